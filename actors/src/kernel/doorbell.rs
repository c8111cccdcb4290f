//! The doorbell of a stage: [`slots::Bell`] with its place in the round behind it, and behind the round's own, a ractor mailbox.
//!
//! The one place from which the cycle reaches a mailbox. ractor's mailboxes are unbounded, so nothing else may: clippy
//! forbids `ActorRef::cast` and its kin, and the exceptions give their reason.
#![allow(
    clippy::disallowed_methods,
    reason = "this is the module that the rule points to: a bell coalesces what it sends"
)]

use ractor::ActorRef;
use slots::{Bell, Wake};

use super::turns::{self, Seat};

/// The message of a doorbell. It has no size, so that ractor boxes it without an allocation.
#[derive(Clone, Copy, Debug)]
pub struct Ring;

/// Calls the stage behind it, at most once per answer. The address is stable: when the stage is restarted, the new
/// incarnation answers the same bell. Clones share the bell.
#[derive(Clone, Debug, Default)]
pub struct Doorbell(Bell<Seat>);

/// A dead actor's mailbox is closed: what is sent there is lost; its heir finds the bells rung.
pub(crate) struct Mailbox(pub(crate) ActorRef<Ring>);

impl Wake for Mailbox {
    fn wake(&self) {
        let _ = self.0.cast(Ring);
    }
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
        self.0.ring_or(wall_ns, turns::is_turn);
    }

    /// Answers: rings from here on wake the stage again. The wall time of the first ring since the last answer; `None`
    /// when there was none.
    pub(crate) fn answer(&self) -> Option<i64> {
        self.0.answer()
    }

    /// Whether it was rung and not answered.
    pub(crate) fn is_rung(&self) -> bool {
        self.0.is_rung()
    }

    /// Puts a stage's place in its round behind the bell. What was rung and not answered is sent on.
    pub(crate) fn bind(&self, seat: Seat) {
        self.0.set_label(seat.label());
        self.0.bind(seat);
    }

    /// How many rings found another one pending.
    #[must_use]
    pub fn coalesced(&self) -> u64 {
        self.0.coalesced()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use ractor::{Actor, ActorProcessingErr};

    use super::turns::Turns;
    use super::*;

    /// An actor that counts its messages, and answers its bell before each.
    struct Slow;

    impl Actor for Slow {
        type Msg = Ring;
        type State = (Doorbell, Arc<AtomicU64>);
        type Arguments = (Doorbell, Arc<AtomicU64>);

        async fn pre_start(
            &self,
            _me: ActorRef<Ring>,
            state: Self::Arguments,
        ) -> Result<Self::State, ActorProcessingErr> {
            Ok(state)
        }

        async fn handle(
            &self,
            _me: ActorRef<Ring>,
            Ring: Ring,
            (bell, handled): &mut Self::State,
        ) -> Result<(), ActorProcessingErr> {
            bell.answer();
            handled.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }

    /// How many messages wait in the actor's mailbox after 10,000 calls of `send` that it had no chance to answer.
    async fn waiting_after(send: impl Fn(&Doorbell, &ActorRef<Ring>)) -> u64 {
        let (bell, turns, handled) = (Doorbell::new(), Turns::new(1), Arc::new(AtomicU64::new(0)));
        let (actor, join) = Actor::spawn(None, Slow, (bell.clone(), handled.clone())).await.unwrap();
        turns.bind(actor.clone());
        bell.bind(turns.seat(0));
        for _ in 0..10_000 {
            send(&bell, &actor);
        }
        // What is in the mailbox now is handled before the actor ends.
        actor.drain().unwrap();
        join.await.unwrap();
        handled.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn ten_thousand_rings_leave_one_message_where_casts_leave_them_all() {
        assert_eq!(waiting_after(|bell, _| bell.ring(0)).await, 1);
        assert_eq!(waiting_after(|_, actor| actor.cast(Ring).unwrap()).await, 10_000, "the negative control");
    }
}
