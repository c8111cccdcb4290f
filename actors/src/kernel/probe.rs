//! What is measured of the loop itself: latency per stage, and counts.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use hdrhistogram::Histogram;

/// Longest latency that a histogram tells apart: one minute.
const LONGEST_NS: u64 = 60_000_000_000;

/// The name of the probe of how late beats are released, in wall time.
pub const RELEASE: &str = "release";

/// Where a measurement also goes, such as a metrics endpoint. Called on the control thread: it must not block, and it
/// should not allocate.
pub trait Observer: Send + Sync + fmt::Debug {
    /// A stage answered its bell and was done `latency_ns` after the ring.
    fn stage(&self, name: &'static str, latency_ns: u64);
}

/// An observer that looks away.
#[derive(Debug)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn stage(&self, _name: &'static str, _latency_ns: u64) {}
}

/// The measurements of one run: a probe per stage and the loop's counters. Clones share them.
#[derive(Clone, Debug)]
pub struct Telemetry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    observer: Arc<dyn Observer>,
    probes: Mutex<Vec<Probe>>,
    cycles: AtomicU64,
    overruns: AtomicU64,
    restarts: AtomicU64,
    solvers_replaced: AtomicU64,
    solvers_hung: AtomicUsize,
}

/// The latency of one stage. Recording neither allocates nor waits for anybody.
#[derive(Clone, Debug)]
pub struct Probe {
    name: &'static str,
    histogram: Arc<Mutex<Histogram<u64>>>,
    observer: Arc<dyn Observer>,
    restarts: Arc<AtomicU64>,
    missed: Arc<AtomicU64>,
}

/// Latency of one stage over a run, in microseconds, and its restarts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StageReport {
    /// The stage.
    pub name: &'static str,
    /// How many answers.
    pub count: u64,
    /// Median.
    pub p50_us: f64,
    /// 99th percentile.
    pub p99_us: f64,
    /// 99.9th percentile.
    pub p999_us: f64,
    /// The longest.
    pub max_us: f64,
    /// How often it was restarted.
    pub restarts: u64,
    /// Answers that stand in no percentile, because just then somebody read them.
    pub missed: u64,
}

impl Telemetry {
    /// Nothing measured yet; every latency is also told to `observer`.
    #[must_use]
    pub fn new(observer: Box<dyn Observer>) -> Self {
        let probes = Mutex::new(Vec::new());
        let observer = Arc::from(observer);
        Self(Arc::new(Inner {
            observer,
            probes,
            cycles: AtomicU64::new(0),
            overruns: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
            solvers_replaced: AtomicU64::new(0),
            solvers_hung: AtomicUsize::new(0),
        }))
    }

    /// The probe of the stage `name`, made at the first call.
    #[must_use]
    pub fn probe(&self, name: &'static str) -> Probe {
        let mut probes = self.0.probes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = probes.iter().find(|p| p.name == name) {
            return known.clone();
        }
        let histogram = Histogram::new_with_bounds(1, LONGEST_NS, 3).or_else(|_| Histogram::new(3));
        let Ok(histogram) = histogram else { unreachable!("1 ≤ LONGEST_NS / 2 and 3 digits are lawful bounds") };
        let (histogram, restarts, missed) = (Arc::new(Mutex::new(histogram)), Arc::default(), Arc::default());
        let probe = Probe { name, histogram, restarts, missed, observer: Arc::clone(&self.0.observer) };
        probes.push(probe.clone());
        probe
    }

    /// Counts a control cycle.
    pub fn count_cycle(&self) {
        self.0.cycles.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts scheduled beats that were dropped because an earlier one ran over them.
    pub fn count_overruns(&self, beats: u64) {
        self.0.overruns.fetch_add(beats, Ordering::Relaxed);
    }

    /// Counts a restart of the stage `name`; of one without a probe only in the sum.
    pub fn count_restart(&self, name: &'static str) {
        self.0.restarts.fetch_add(1, Ordering::Relaxed);
        let probes = self.0.probes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(probe) = probes.iter().find(|p| p.name == name) {
            probe.restarts.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a solver that did not return and was replaced.
    pub fn count_solver_replaced(&self) {
        self.0.solvers_replaced.fetch_add(1, Ordering::Relaxed);
    }

    /// Says how many of the solver's threads hang now.
    pub fn set_solvers_hung(&self, threads: usize) {
        self.0.solvers_hung.store(threads, Ordering::Relaxed);
    }

    /// Solvers that were replaced so far.
    #[must_use]
    pub fn solvers_replaced(&self) -> u64 {
        self.0.solvers_replaced.load(Ordering::Relaxed)
    }

    /// Threads of solvers that hang now.
    #[must_use]
    pub fn solvers_hung(&self) -> usize {
        self.0.solvers_hung.load(Ordering::Relaxed)
    }

    /// Control cycles so far.
    #[must_use]
    pub fn cycles(&self) -> u64 {
        self.0.cycles.load(Ordering::Relaxed)
    }

    /// Dropped beats so far.
    #[must_use]
    pub fn overruns(&self) -> u64 {
        self.0.overruns.load(Ordering::Relaxed)
    }

    /// Restarts so far, of all stages and the supervisor.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.0.restarts.load(Ordering::Relaxed)
    }

    /// The latencies of every stage, in the order in which the stages were made.
    #[must_use]
    pub fn stages(&self) -> Vec<StageReport> {
        let probes = self.0.probes.lock().unwrap_or_else(PoisonError::into_inner);
        probes.iter().map(Probe::report).collect()
    }
}

impl Probe {
    /// Records one latency, in nanoseconds; beyond a minute it counts as a minute.
    pub fn record(&self, latency_ns: i64) {
        self.tell(latency_ns);
        self.keep(latency_ns);
    }

    /// Tells the observer of a latency that is still to be kept.
    pub(super) fn tell(&self, latency_ns: i64) {
        self.observer.stage(self.name, counted(latency_ns));
    }

    /// Puts a latency into the report.
    pub(super) fn keep(&self, latency_ns: i64) {
        let latency_ns = counted(latency_ns);
        // Who reads the report is an ordinary thread, and the control thread does not wait for it.
        match self.histogram.try_lock() {
            Ok(mut histogram) => histogram.saturating_record(latency_ns),
            Err(TryLockError::Poisoned(histogram)) => histogram.into_inner().saturating_record(latency_ns),
            Err(TryLockError::WouldBlock) => drop(self.missed.fetch_add(1, Ordering::Relaxed)),
        }
    }

    fn report(&self) -> StageReport {
        let histogram = self.histogram.lock().unwrap_or_else(PoisonError::into_inner);
        let at = |q: f64| histogram.value_at_quantile(q) as f64 * 1e-3;
        StageReport {
            name: self.name,
            count: histogram.len(),
            p50_us: at(0.5),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: if histogram.is_empty() { 0.0 } else { histogram.max() as f64 * 1e-3 },
            restarts: self.restarts.load(Ordering::Relaxed),
            missed: self.missed.load(Ordering::Relaxed),
        }
    }
}

fn counted(latency_ns: i64) -> u64 {
    u64::try_from(latency_ns).unwrap_or(0).clamp(1, LONGEST_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_found_again_by_name_and_reports_its_percentiles() {
        let telemetry = Telemetry::new(Box::new(Unobserved));
        for k in 1..=1000 {
            telemetry.probe("mpc").record(k * 1000);
        }
        let [report] = telemetry.stages()[..] else { panic!("one probe") };
        assert_eq!(report.count, 1000);
        assert!((report.p50_us - 500.0).abs() < 1.0 && (report.p99_us - 990.0).abs() < 1.0, "{report:?}");
    }
}
