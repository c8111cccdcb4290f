//! A stage of the loop, and the ractor shell around it.

use std::fmt;
use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use signals::Stamp;

use super::clock::Clock;
use super::doorbell::{Doorbell, Ring};
use super::probe::Probe;
use super::witness::{Act, Witness};

/// What an actor of the loop does when its bell rings: read slots, call one pure step, write slots, ring on.
///
/// It must not block, and should not allocate in the steady state. A panic ends this incarnation, not the loop.
pub trait Stage: Send + fmt::Debug {
    /// One step at the plant time `now`, the only time that it may decide by: the shell reads the clock once per step, so
    /// that a step is a function of the slots and of `now` and can be replayed. Stages that have nothing new to do return
    /// at once: rings are hints, slots are the truth.
    fn step(&mut self, now: Stamp);
}

/// One incarnation of a stage, with its bell and its probe.
#[derive(Debug)]
pub(crate) struct Incarnation {
    pub(crate) stage: Box<dyn Stage>,
    pub(crate) bell: Doorbell,
    pub(crate) probe: Probe,
    pub(crate) clock: Clock,
    pub(crate) child: u16,
    pub(crate) witness: Arc<dyn Witness>,
}

/// The one ractor actor of the house: it answers the bell.
pub(crate) struct Shell;

impl Actor for Shell {
    type Msg = Ring;
    type State = Incarnation;
    type Arguments = Incarnation;

    async fn pre_start(
        &self,
        _me: ActorRef<Ring>,
        incarnation: Incarnation,
    ) -> Result<Incarnation, ActorProcessingErr> {
        Ok(incarnation)
    }

    async fn handle(&self, _me: ActorRef<Ring>, Ring: Ring, it: &mut Incarnation) -> Result<(), ActorProcessingErr> {
        // After a restart a ring may come twice.
        let Some(rung_at_ns) = it.bell.answer() else { return Ok(()) };
        let now = it.clock.now();
        it.witness.act(Act::Step { child: it.child, now });
        it.stage.step(now);
        it.probe.record(it.clock.wall_ns() - rung_at_ns);
        Ok(())
    }
}
