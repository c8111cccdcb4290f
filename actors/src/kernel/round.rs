//! The round: the stages of one loop, each stepped when it is its turn.
//!
//! One actor, the loop's supervisor, owns the round and runs it when it is woken. What a stage rings in its step is served
//! in the same run, with no mailbox and no scheduler in between: a cycle is woken once, not at every edge.
//!
//! # Invariants
//! - A step that panics is the crash of its stage alone: each is caught by itself. The supervisor has the next free turn.
//! - Rung from within a step: first come, first served. Rung from outside: in the order of the loop, behind who waits.
//! - A run is bounded by [`MOST`] turns; who is left waits for the next, and the runtime's timers are served in between.
//! - What a step took goes into its histogram behind the last turn: a histogram is large, and cold when a cycle comes to it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::clock::Clock;
use super::doorbell::Doorbell;
use super::probe::Probe;
use super::stage::Stage;
use super::turns::{Turn, Turns};
use super::witness::{Act, Witness};

/// Most turns of one run. A cycle of a loop takes one for each tag, and about ten.
pub(super) const MOST: usize = 64;

/// One incarnation of a stage, with its bell and its probe.
#[derive(Debug)]
pub(super) struct Incarnation {
    pub(super) stage: Box<dyn Stage>,
    pub(super) bell: Doorbell,
    pub(super) probe: Probe,
}

/// What has become of a stage.
#[derive(Debug)]
enum Fate {
    Alive(Incarnation),
    /// Crashed, for this reason, and not yet made anew.
    Down(String),
}

/// A stage whose crash is to be mended.
#[derive(Debug)]
pub(super) struct Fallen {
    pub(super) stage: usize,
    pub(super) why: String,
}

/// The stages of one loop, and their turns.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) turns: Turns,
    stages: Vec<Fate>,
    /// Stage and latency, ns, of each step of this run.
    taken: Vec<(usize, i64)>,
    clock: Clock,
    witness: Arc<dyn Witness>,
}

/// The number under which a witness knows a stage.
pub(super) fn number(stage: usize) -> u16 {
    u16::try_from(stage).unwrap_or(u16::MAX)
}

impl Round {
    /// So many stages, none of which is made yet.
    pub(super) fn new(stages: usize, clock: Clock, witness: Arc<dyn Witness>) -> Self {
        let turns = Turns::new(stages);
        (0..stages).for_each(|stage| turns.down(stage));
        let stages = (0..stages).map(|_| Fate::Down(String::new())).collect();
        Self { turns, stages, taken: Vec::with_capacity(MOST), clock, witness }
    }

    /// Puts an incarnation in its place, and gives it a turn.
    pub(super) fn seat(&mut self, stage: usize, it: Incarnation) {
        if let Some(place) = self.stages.get_mut(stage) {
            *place = Fate::Alive(it);
            self.turns.up(stage);
        }
    }

    /// Lets all who were rung from outside wait for their turn.
    pub(super) fn call_in(&self) {
        for (stage, fate) in self.stages.iter().enumerate() {
            if matches!(fate, Fate::Alive(it) if it.bell.is_rung()) {
                self.turns.enqueue(stage);
            }
        }
    }

    /// Takes turns until a crash is to be mended, nobody waits, or `left` are used up.
    pub(super) fn run(&mut self, left: &mut usize) -> Option<Fallen> {
        let running = self.turns.running();
        let fallen = self.take_turns(left);
        drop(running);
        self.keep();
        fallen
    }

    fn take_turns(&mut self, left: &mut usize) -> Option<Fallen> {
        let mut time = self.clock.both();
        while *left > 0 {
            let turn = self.turns.next()?;
            *left -= 1;
            match turn {
                Turn::Step(stage) => time = self.step(stage, time),
                Turn::Crashed(stage) => {
                    let Some(Fate::Down(why)) = self.stages.get_mut(stage) else { continue };
                    return Some(Fallen { stage, why: std::mem::take(why) });
                }
            }
        }
        None
    }

    /// One step, at the time that is given as plant and wall time; the time after it, which is the next one's.
    fn step(&mut self, stage: usize, time: (signals::Stamp, i64)) -> (signals::Stamp, i64) {
        let Some(fate) = self.stages.get_mut(stage) else { return time };
        let Fate::Alive(it) = fate else { return time };
        // After a restart a turn may come without a ring.
        let Some(rung_at_ns) = it.bell.answer() else { return time };
        let (clock, witness) = (&self.clock, &*self.witness);
        let mut after = time;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            witness.act(Act::Step { child: number(stage), now: time.0 });
            it.stage.step(time.0);
            after = clock.both();
            it.probe.tell(after.1 - rung_at_ns);
        }));
        let Err(panic) = outcome else {
            self.taken.push((stage, after.1 - rung_at_ns));
            return after;
        };
        // While its probe is still here.
        self.keep();
        let Some(fate) = self.stages.get_mut(stage) else { return after };
        let dead = std::mem::replace(fate, Fate::Down(reason(&*panic)));
        // What is left of a crashed stage may panic again when it is dropped.
        let _ = catch_unwind(AssertUnwindSafe(move || drop((dead, panic))));
        self.turns.crashed(stage);
        self.clock.both()
    }

    /// Puts what the steps took into the histograms.
    fn keep(&mut self) {
        for (stage, latency_ns) in self.taken.drain(..) {
            if let Some(Fate::Alive(it)) = self.stages.get(stage) {
                it.probe.keep(latency_ns);
            }
        }
    }
}

/// What a panic says of itself.
fn reason(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "not a text".to_owned())
}

#[cfg(test)]
mod tests;
