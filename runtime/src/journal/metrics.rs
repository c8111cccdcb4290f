//! The journal on the metrics page: how large, what was lost, and whether it is still written.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, Registry};

use super::JournalStatus;

/// Reads a journal's status whenever the page is asked for.
struct Exported {
    status: JournalStatus,
    bytes: IntGauge,
    lost: IntGauge,
    stopped: IntGauge,
}

impl JournalStatus {
    /// Puts the journal on the page of `registry`.
    ///
    /// # Errors
    /// The registry's, when a metric of the name is there already.
    pub fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(Exported {
            status: self.clone(),
            bytes: IntGauge::new("outrigger_journal_bytes", "Size of the journal")?,
            lost: IntGauge::new("outrigger_journal_lost_blocks", "Blocks of records that the disk was too slow for")?,
            stopped: IntGauge::new("outrigger_journal_stopped", "1 once journalling has stopped by a fault")?,
        }))
    }
}

impl Collector for Exported {
    fn desc(&self) -> Vec<&Desc> {
        [&self.bytes, &self.lost, &self.stopped].into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Self { status, bytes, lost, stopped } = self;
        let all = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        bytes.set(all(status.bytes()));
        lost.set(all(status.lost()));
        stopped.set(i64::from(status.stopped().is_some()));
        [bytes, lost, stopped].into_iter().flat_map(Collector::collect).collect()
    }
}
