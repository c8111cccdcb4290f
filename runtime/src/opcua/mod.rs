//! The OPC UA client: the DCS's tags in, our tags out. The one place of async-opcua in the runtime.
//!
//! One task owns the connection. It connects, subscribes to every tag that the DCS owns, writes every tag that we own,
//! and when anything at all goes wrong it throws the session away and starts from the beginning. That is the cure for
//! three weaknesses of async-opcua 0.19, seen in measurement: after its own reconnect it sends no PublishRequest and is
//! silently dead; it does not republish what a transferred subscription missed; and a wrong password is retried for
//! ever. A fresh session with fresh subscriptions has none of them and costs a few round trips.
//!
//! # Invariants
//! - Values go up only with a severity of good, and converted to the model's unit once, here.
//! - A move is written only if, looked at right before the write, the watchdog's permit stands, it has not expired, its
//!   lease is still the DCS's, the DCS permits, and the loop still says that it is ON.
//! - Once the watchdog has dropped the permit, the DCS is told FAULT, and the heartbeat stands, whatever the loop says.
//! - The loop hears nothing of a new connection until every tag was heard over it.
//! - Nothing is queued: what the link could not write in time is lost and reported as failed.
//! - Silence is an error: a subscription that says nothing for three periods is given up like a broken connection. Once a
//!   period every tag is read besides, for an item that has died among healthy ones.

mod browse;
mod connect;
mod error;
mod inbound;
mod outbound;
mod read_back;
mod value;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actors::kernel::watchdog::Permit;
use actors::kernel::{Clock, Latest};
use actors::{Board, Inlet, MoveSink, Outlet};
use control::advice::Advised;
use safety::ApprovedMove;
use tokio::sync::Notify;

use crate::config::Loaded;

pub use browse::{Found, browse};
pub use connect::Pki;
pub use error::LinkError;
pub(crate) use outbound::{objection, overdue, unheard};

/// What a link needs beside the plant file.
#[derive(Clone, Debug)]
pub struct LinkSettings {
    /// The plant file, its endpoint perhaps overridden.
    pub loaded: Loaded,
    /// The folder with our certificate and those that we trust.
    pub pki_dir: PathBuf,
    /// The loop's clock.
    pub clock: Clock,
    /// A namespace that the server must have, or the run ends: what a run under an override asks of the rig.
    pub proof: Option<&'static str>,
}

/// Counts of a link. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct LinkCounts(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    connects: AtomicU64,
    refused_values: AtomicU64,
    failed_writes: AtomicU64,
    late_moves: AtomicU64,
}

impl LinkCounts {
    /// Connections that were lost and made again.
    #[must_use]
    pub fn reconnects(&self) -> u64 {
        self.0.connects.load(Ordering::Relaxed).saturating_sub(1)
    }

    /// Values of a type that their tag does not have.
    #[must_use]
    pub fn refused_values(&self) -> u64 {
        self.0.refused_values.load(Ordering::Relaxed)
    }

    /// Writes that the DCS did not accept.
    #[must_use]
    pub fn failed_writes(&self) -> u64 {
        self.0.failed_writes.load(Ordering::Relaxed)
    }

    /// Approved moves that were not written because they had expired or their lease had.
    #[must_use]
    pub fn late_moves(&self) -> u64 {
        self.0.late_moves.load(Ordering::Relaxed)
    }
}

/// What the loop hands to the link: newest values only.
#[derive(Clone, Debug, Default)]
struct Orders {
    approved: Latest<ApprovedMove>,
    wake: Arc<Notify>,
}

/// A link that is not yet running. The sink may be given away before it runs.
#[derive(Debug)]
pub struct Link {
    settings: LinkSettings,
    inlet: Inlet,
    outlet: Outlet,
    /// What is recommended, for the words that go with it.
    advised: Latest<Advised>,
    permit: Permit,
    orders: Orders,
    counts: LinkCounts,
}

impl Link {
    /// A link between the DCS of `settings` and the ports of a loop.
    #[must_use]
    pub fn new(settings: LinkSettings, board: &Board) -> Self {
        Self {
            settings,
            inlet: board.inlet.clone(),
            outlet: board.outlet.clone(),
            advised: board.advised.clone(),
            permit: board.heartbeat.permit(),
            orders: Orders::default(),
            counts: LinkCounts::default(),
        }
    }

    /// The way of approved moves into this link.
    #[must_use]
    pub fn move_sink(&self) -> impl MoveSink + Clone + use<> {
        Sink(self.orders.clone())
    }

    /// What the link writes beside moves.
    #[must_use]
    pub fn outlet(&self) -> &Outlet {
        &self.outlet
    }

    /// The link's counts.
    #[must_use]
    pub fn counts(&self) -> LinkCounts {
        self.counts.clone()
    }

    /// Connects, serves, and connects again, for ever. Run it on the service runtime.
    ///
    /// # Errors
    /// Only what trying again cannot mend: [`LinkError::Login`], lest the account be locked out,
    /// [`LinkError::Setup`], and [`LinkError::NotTheRig`]. Everything else is logged and tried again.
    pub async fn run(&mut self) -> Result<std::convert::Infallible, LinkError> {
        let pki = Pki::open(&self.settings)?;
        let mut backoff = Backoff::default();
        loop {
            match connect::connect(&pki, &self.settings, &self.inlet, &self.counts).await {
                Ok(connection) => {
                    backoff = Backoff::default();
                    self.counts.0.connects.fetch_add(1, Ordering::Relaxed);
                    // What the loop ordered over the last connection is void.
                    let _void = self.orders.approved.take();
                    let why = outbound::serve(&connection, self).await;
                    self.inlet.set_link(false);
                    connection.close().await;
                    // Its last words may have come between.
                    self.inlet.set_link(false);
                    tracing::warn!(%why, "the connection to the DCS is lost");
                }
                Err(fatal) if fatal.is_fatal() => return Err(fatal),
                Err(error) => tracing::warn!(%error, retry_in = ?backoff.delay, "no connection to the DCS"),
            }
            tokio::time::sleep(backoff.next()).await;
        }
    }
}

/// Waits between attempts: 200 ms at first, doubling to 2 s.
#[derive(Debug)]
struct Backoff {
    delay: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { delay: Duration::from_millis(200) }
    }
}

impl Backoff {
    fn next(&mut self) -> Duration {
        let now = self.delay;
        self.delay = (self.delay * 2).min(Duration::from_secs(2));
        now
    }
}

/// The newest order, and a nudge.
#[derive(Clone, Debug)]
struct Sink(Orders);

impl MoveSink for Sink {
    fn write(&mut self, approved: ApprovedMove) {
        self.0.approved.put(approved);
        self.0.wake.notify_one();
    }
}
