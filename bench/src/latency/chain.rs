//! The work of six stages from sensor to actuator, and the end at which a cycle is timed: the same for every contestant.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use actors::kernel::Clock;
use tokio::sync::Notify;

/// Sensor, estimator, MPC, selector, interlock, actuator.
pub(super) const STAGES: usize = 6;

/// What goes from stage to stage: as large as a small frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    /// When the cycle began, on the wall's monotonic clock.
    pub(super) begun_ns: i64,
    pub(super) x: [f64; 8],
}

impl Item {
    pub(super) fn new(begun_ns: i64) -> Self {
        Self { begun_ns, x: [1.0; 8] }
    }

    /// What stage number `stage` does: some nanoseconds, which the compiler cannot foresee.
    pub(super) fn worked(mut self, stage: usize) -> Self {
        let gain = std::hint::black_box(0.9);
        self.x.iter_mut().for_each(|x| *x = gain * *x + stage as f64);
        self
    }
}

/// Where the last stage says that it is done.
#[derive(Clone, Debug)]
pub(super) struct Finish(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    begun_ns: AtomicI64,
    latency_ns: AtomicI64,
    done: Notify,
}

impl Finish {
    pub(super) fn new(clock: Clock) -> Self {
        let zero = || AtomicI64::new(0);
        Self(Arc::new(Inner { clock, begun_ns: zero(), latency_ns: zero(), done: Notify::new() }))
    }

    pub(super) fn clock(&self) -> Clock {
        self.0.clock
    }

    /// The last stage is done with `item`: the cycle ends here.
    pub(super) fn done(&self, item: &Item) {
        let now_ns = self.0.clock.wall_ns();
        std::hint::black_box(item.x);
        self.0.begun_ns.store(item.begun_ns, Ordering::Relaxed);
        self.0.latency_ns.store(now_ns - item.begun_ns, Ordering::Relaxed);
        self.0.done.notify_one();
    }

    /// Waits for the end of a cycle; its latency, ns.
    pub(super) async fn wait(&self) -> i64 {
        self.0.done.notified().await;
        self.0.latency_ns.load(Ordering::Relaxed)
    }

    /// When the cycle that ended last began and ended, ns.
    pub(super) fn last(&self) -> (i64, i64) {
        let begun_ns = self.0.begun_ns.load(Ordering::Relaxed);
        (begun_ns, begun_ns + self.0.latency_ns.load(Ordering::Relaxed))
    }
}

/// A way of getting an item through six stages.
pub(super) trait Contestant {
    /// Starts a cycle: the first stage is given the item. The end is told by [`Finish::done`].
    fn begin(&mut self, item: Item);
}
