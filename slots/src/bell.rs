//! The doorbell: how one stage tells the next that a slot holds something new.

use std::fmt;

use crate::latest::Latest;
use crate::sync::{Arc, AtomicI64, AtomicU64, Ordering};

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;

/// Not rung since the last answer.
const IDLE: i64 = i64::MAX;

/// How whoever stands behind a bell is woken: a message to a mailbox, the unparking of a thread. It must not block. A
/// wake-up that finds nobody is lost without harm: the next who is bound is told.
pub trait Wake {
    /// Wakes.
    fn wake(&self);
}

/// Wakes whoever is bound to it, at most once per answer: rings in between are coalesced, so at most one wake-up is
/// under way (and one more right after a bind, which finds its bell already answered). The address is stable: a
/// restarted stage is bound to the same bell. Clones share the bell.
///
/// Nothing is lost: after a ring, whoever is bound then or later is woken, unless the bell is answered first; and who
/// answers sees everything that was written before any ring which the answer covers, coalesced rings included.
pub struct Bell<W>(Arc<Inner<W>>);

struct Inner<W> {
    /// When the bell was first rung since the last answer, or [`IDLE`].
    rung_at_ns: AtomicI64,
    coalesced: AtomicU64,
    label: AtomicU64,
    target: Latest<W>,
}

impl<W: Wake> Bell<W> {
    /// A bell behind which nobody stands yet.
    #[must_use]
    pub fn new() -> Self {
        let (rung_at_ns, zero) = (AtomicI64::new(IDLE), || AtomicU64::new(0));
        Self(Arc::new(Inner { rung_at_ns, coalesced: zero(), label: zero(), target: Latest::new() }))
    }

    /// Rings. `wall_ns` is the wall's monotonic time, from which the latency of the answer is counted.
    pub fn ring(&self, wall_ns: i64) {
        self.ring_or(wall_ns, |_label| false);
    }

    /// Rings; whoever is bound is not woken if `here`, told the bell's label, says that it has seen to it.
    pub fn ring_or(&self, wall_ns: i64, here: impl FnOnce(u64) -> bool) {
        // Written even where it changes nothing: the answer must see what a coalesced ring stands for.
        if self.0.rung_at_ns.fetch_min(wall_ns.min(IDLE - 1), Ordering::AcqRel) != IDLE {
            self.0.coalesced.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if !here(self.0.label.load(Ordering::Relaxed)) {
            self.wake();
        }
    }

    /// Labels the bell, 0 at first, for those who ring on the thread that labels it: others may see it late.
    pub fn set_label(&self, label: u64) {
        self.0.label.store(label, Ordering::Relaxed);
    }

    /// Answers: rings from here on wake again. The wall time of the first ring since the last answer; `None` when there
    /// was none, after a wake-up that came twice: then there is nothing to do.
    pub fn answer(&self) -> Option<i64> {
        // An exchange, not a store: it takes over what every ring before it released.
        let rung_at_ns = self.0.rung_at_ns.swap(IDLE, Ordering::AcqRel);
        (rung_at_ns != IDLE).then_some(rung_at_ns)
    }

    /// Whether it was rung and not answered. After a `false`, the next ring wakes; after a `true`, an answer sees what the
    /// ring stands for.
    #[must_use]
    pub fn is_rung(&self) -> bool {
        self.0.rung_at_ns.load(Ordering::Acquire) != IDLE
    }

    /// Puts someone behind the bell, in place of who stood there. What was rung and not answered is sent on.
    pub fn bind(&self, target: W) {
        self.0.target.put(target);
        // A look that writes what is there. Either it sees a ring, or the ring comes after it and sees the new target.
        if self.0.rung_at_ns.fetch_min(IDLE, Ordering::AcqRel) != IDLE {
            self.wake();
        }
    }

    /// How many rings found another one pending.
    #[must_use]
    pub fn coalesced(&self) -> u64 {
        self.0.coalesced.load(Ordering::Relaxed)
    }

    fn wake(&self) {
        self.0.target.with(|_, target| target.wake());
    }
}

impl<W> fmt::Debug for Bell<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bell").field("rung_at_ns", &self.0.rung_at_ns).finish_non_exhaustive()
    }
}

impl<W: Wake> Default for Bell<W> {
    fn default() -> Self {
        Self::new()
    }
}

impl<W> Clone for Bell<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
