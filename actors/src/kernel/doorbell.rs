//! The doorbell: how one stage tells the next that a slot holds something new.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ractor::ActorRef;

/// The message of a doorbell. It has no size, so that ractor boxes it without an allocation.
#[derive(Clone, Copy, Debug)]
pub struct Ring;

/// Wakes the stage behind it, at most once per answer: rings in between are coalesced, so a mailbox never holds more
/// than one. The address is stable: when the stage is restarted, the new incarnation is bound to the same bell.
/// Clones share the bell.
#[derive(Clone, Debug, Default)]
pub struct Doorbell(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    pending: AtomicBool,
    rung_at_ns: AtomicI64,
    coalesced: AtomicU64,
    target: Mutex<Option<ActorRef<Ring>>>,
}

impl Doorbell {
    /// A bell behind which nobody stands yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Rings. `wall_ns` is [`super::Clock::wall_ns`], from which the answering stage's latency is counted.
    ///
    /// A ring for a stage that has died stays pending and is answered by the next incarnation.
    pub fn ring(&self, wall_ns: i64) {
        if self.0.pending.swap(true, Ordering::AcqRel) {
            self.0.coalesced.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.0.rung_at_ns.store(wall_ns, Ordering::Release);
        self.send();
    }

    /// Answers: rings from here on wake the stage again. Gives the wall time of the first ring since the last answer.
    pub(crate) fn answer(&self) -> i64 {
        self.0.pending.store(false, Ordering::Release);
        self.0.rung_at_ns.load(Ordering::Acquire)
    }

    /// Puts an incarnation of the stage behind the bell. What was rung while nobody stood there is sent on.
    pub(crate) fn bind(&self, actor: ActorRef<Ring>) {
        *self.0.target.lock().unwrap_or_else(PoisonError::into_inner) = Some(actor);
        if self.0.pending.load(Ordering::Acquire) {
            self.send();
        }
    }

    /// How many rings found another one pending.
    #[must_use]
    pub fn coalesced(&self) -> u64 {
        self.0.coalesced.load(Ordering::Relaxed)
    }

    fn send(&self) {
        if let Some(actor) = self.0.target.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            // A dead actor's mailbox is closed; its next incarnation is told by `bind`.
            let _ = actor.cast(Ring);
        }
    }
}
