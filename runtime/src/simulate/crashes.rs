//! Crashes on demand, of any stage at any moment, and of the supervisor.
//!
//! Nothing of the loop is changed for it. A stage's actor tells the tape that it is about to step, and what it puts out;
//! an observer, how long the step took. All three are told inside the actor, so a teller that panics is a stage that
//! panics: before its step, in the middle of it, and after it. The supervisor tells the tape that a stage has crashed.
//! No panic hook is run: a thousand crashes on purpose are no news.

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actors::kernel::{Act, Observer, RELEASE, Witness};
use actors::tape::{Entry, Tape};

/// The probe by which the actuator tells how long a whole cycle took.
const CYCLE: &str = "cycle";

/// When in a step the crash comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before it: nothing of the step was done.
    Before,
    /// In the middle: some slots are written and others are not. Only of a stage that tells the tape something.
    During,
    /// After it: everything was done but the answer to the bell.
    After,
}

/// Who crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// The stage with this number: the order of the loop.
    Stage(u16),
    /// The supervisor, when it is told that the stage with this number has crashed; all stages die with it.
    Supervisor(u16),
}

impl Victim {
    fn stage(self) -> u16 {
        match self {
            Self::Stage(stage) | Self::Supervisor(stage) => stage,
        }
    }
}

/// The crashes of one loop, as an observer and as a tape that tells another one. Clones share them.
#[derive(Clone, Debug)]
pub struct Crashes {
    plan: Arc<Mutex<Plan>>,
    tape: Arc<dyn Tape>,
}

#[derive(Debug, Default)]
struct Plan {
    by_name: Option<(&'static str, u32)>,
    once: Option<(Victim, Moment)>,
    /// The supervisor crashes when it is told of the next crash.
    supervisor: bool,
    /// The stage that is stepping, or stepped last.
    stepping: Option<u16>,
    /// Planned crashes that have come.
    come: u32,
    /// The cycle of the newest move that was handed to the sink.
    moved: u64,
}

impl Crashes {
    /// No crash is planned; what the loop tells is told on to `tape`.
    pub fn telling(tape: Arc<dyn Tape>) -> Self {
        Self { plan: Arc::default(), tape }
    }

    /// Lets the next `n` steps of the stage `name` crash, after the step.
    pub fn inject(&self, name: &'static str, n: u32) {
        self.lock().by_name = Some((name, n));
    }

    /// Lets `victim` crash once, at the next step of its stage.
    pub fn plan(&self, victim: Victim, moment: Moment) {
        self.lock().once = Some((victim, moment));
    }

    /// Whether the planned crash has not come yet.
    #[must_use]
    pub fn is_due(&self) -> bool {
        let plan = self.lock();
        plan.once.is_some() || plan.supervisor
    }

    /// How many planned crashes have come.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.lock().come
    }

    /// The cycle of the newest move that was handed to the sink.
    #[must_use]
    pub fn moved(&self) -> u64 {
        self.lock().moved
    }

    fn lock(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Crashes, if that is the plan for the stage that is stepping.
    fn come(&self, moment: Moment) {
        let mut plan = self.lock();
        let stepping = plan.stepping;
        if let Some((victim, _)) = plan.once.take_if(|(v, m)| Some(v.stage()) == stepping && *m == moment) {
            plan.supervisor = matches!(victim, Victim::Supervisor(_));
            plan.come += 1;
            drop(plan);
            crash();
        }
    }
}

fn crash() -> ! {
    resume_unwind(Box::new("injected crash"))
}

impl Observer for Crashes {
    fn stage(&self, name: &'static str, _latency_ns: u64) {
        let mut plan = self.lock();
        if let Some((_, left)) = plan.by_name.as_mut().filter(|(stage, left)| *stage == name && *left > 0) {
            *left -= 1;
            drop(plan);
            crash();
        }
        drop(plan);
        // The driver and the actuator tell of other times than that of a step.
        if !matches!(name, RELEASE | CYCLE) {
            self.come(Moment::After);
        }
    }
}

impl Witness for Crashes {
    /// A step that is prevented is not told of.
    fn act(&self, act: Act) {
        if let Act::Step { child, .. } = act {
            self.lock().stepping = Some(child);
            self.come(Moment::Before);
        }
        self.tape.act(act);
        let supervisor = matches!(act, Act::Crashed { .. }) && std::mem::take(&mut self.lock().supervisor);
        if supervisor {
            crash();
        }
    }
}

impl Tape for Crashes {
    fn note(&self, entry: Entry<'_>) {
        self.tape.note(entry);
        // The beat is the driver's, which is no actor.
        if !matches!(entry, Entry::Beat { .. }) {
            self.come(Moment::During);
        }
        if let Entry::Move(approved) = entry {
            self.lock().moved = approved.cycle();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use actors::kernel::Unwitnessed;
    use signals::Stamp;

    use super::*;

    #[test]
    fn a_planned_crash_comes_once_and_only_for_its_stage_and_moment() {
        let crashes = Crashes::telling(Arc::new(Unwitnessed));
        let step = |child| {
            let step = Act::Step { child, now: Stamp::ZERO };
            catch_unwind(AssertUnwindSafe(|| crashes.act(step))).is_err()
        };
        let ends = |probe| catch_unwind(AssertUnwindSafe(|| crashes.stage(probe, 1))).is_err();
        crashes.plan(Victim::Stage(3), Moment::Before);
        assert_eq!((step(2), ends("mpc"), step(3), step(3)), (false, false, true, false));
        crashes.plan(Victim::Stage(3), Moment::After);
        assert_eq!((step(3), ends(RELEASE), ends(CYCLE), ends("mpc"), ends("mpc")), (false, false, false, true, false));
        assert_eq!((crashes.count(), crashes.is_due()), (2, false));
    }
}
