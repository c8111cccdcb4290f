//! Puts controller faults into the loop's slots, between two steps.
//!
//! The loop tells its tape before each step which stage is about to step. Before the selector's, the solver's answers are
//! taken out and put back changed or later; before the interlock's, what was selected is changed. So the stages run as
//! they are, and the interlock is handed what a broken controller would hand it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actors::Board;
use actors::board::{Selected, Solved};
use actors::kernel::{Act, Witness};
use actors::tape::{Entry, Tape};
use control::mpc::MpcOutcome;
use control::selector::Selection;
use runtime::simulate::Crashes;
use signals::{ProposedMove, Proposer, SolveStatus, Stamp, Values};

use crate::faults::ControllerFault;

/// The numbers of the stages that are waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stages {
    pub(super) selector: u16,
    pub(super) interlock: u16,
}

impl Stages {
    /// Those of a loop beyond shadow with so many measured tags.
    pub(super) fn of(tags: usize) -> Self {
        let after = u16::try_from(tags).unwrap_or(u16::MAX - 8);
        Self { selector: after + 3, interlock: after + 4 }
    }
}

/// What is being done.
#[derive(Debug, Default)]
struct Plan {
    answer: Option<ControllerFault>,
    proposal: Option<ControllerFault>,
    /// Proposes the set-points in use: the negative control of all that a controller does.
    idle: bool,
    held: VecDeque<Solved>,
    frozen: Option<Selected>,
    /// By how much the calendar is off, in nanoseconds; `None`: there is no calendar.
    calendar: Option<i64>,
}

/// The tape of a loop under test.
#[derive(Debug)]
pub(super) struct Saboteur {
    board: Board,
    stages: Stages,
    plan: Mutex<Plan>,
    next: Crashes,
}

impl Saboteur {
    pub(super) fn new(board: Board, stages: Stages, next: Crashes) -> Self {
        Self { board, stages, plan: Mutex::default(), next }
    }

    fn lock(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is wrong from now on.
    pub(super) fn set(&self, answer: Option<ControllerFault>, proposal: Option<ControllerFault>) {
        let mut plan = self.lock();
        if proposal.is_none() {
            plan.frozen = None;
        }
        (plan.answer, plan.proposal) = (answer, proposal);
    }

    /// The controller proposes to stay.
    pub(super) fn idle(&self) {
        self.lock().idle = true;
    }

    /// The calendar is off by so many seconds.
    pub(super) fn set_calendar(&self, off_s: f64) {
        self.lock().calendar = Some(Stamp::from_secs_f64(off_s).nanos());
    }

    fn before_the_selector(&self, now: Stamp) {
        let mut plan = self.lock();
        if plan.answer.is_none() && plan.held.is_empty() {
            return;
        }
        let answers = &self.board.answers;
        while let Some(solved) = answers.take() {
            let changed = match &plan.answer {
                Some(ControllerFault::Infeasible) => {
                    Solved { outcome: MpcOutcome::without_plan(SolveStatus::Infeasible), ..solved }
                }
                Some(ControllerFault::TimeOut { late_s }) => {
                    Solved { at: solved.at + Duration::from_secs_f64(*late_s), ..solved }
                }
                _ => solved,
            };
            plan.held.push_back(changed);
        }
        while let Some(due) = plan.held.pop_front_if(|solved| solved.at <= now) {
            answers.put(due);
        }
    }

    fn before_the_interlock(&self, now: Stamp) {
        let mut plan = self.lock();
        if let Some(off) = plan.calendar {
            self.board.image.calendar.put(Stamp::from_nanos(now.nanos().saturating_add(off)));
        }
        let Some(selected) = self.board.selected.read() else { return };
        let Selection::Move(proposed) = selected.selection else { return };
        let changed = match &plan.proposal {
            Some(ControllerFault::NanWeights) => Some(Values::collect(proposed.u.iter().map(|_| f64::NAN))),
            Some(ControllerFault::OutOfDistribution) => self.ends(selected.cycle),
            Some(ControllerFault::FrozenOutput) => {
                let frozen = *plan.frozen.get_or_insert(selected);
                self.board.selected.put(frozen);
                return;
            }
            _ if plan.idle => {
                self.board.image.dcs.read().map(|dcs| Values::collect(dcs.mvs.iter().map(|mv| mv.sp_act.value)))
            }
            _ => None,
        };
        if let Some(u) = changed {
            let proposer = if plan.idle { proposed.proposer } else { Proposer::Policy };
            let selection = Selection::Move(ProposedMove { u, proposer, ..proposed });
            self.board.selected.put(Selected { selection, ..selected });
        }
    }

    /// One end of each MV's range in odd cycles, the other in even ones.
    fn ends(&self, cycle: u64) -> Option<Values<{ signals::MAX_MVS }>> {
        let dcs = self.board.image.dcs.read()?;
        let end =
            |mv: &signals::dcs::MvRead| if cycle.is_multiple_of(2) { mv.clamp_lo.value } else { mv.clamp_hi.value };
        Some(Values::collect(dcs.mvs.iter().map(end)))
    }
}

impl Witness for Saboteur {
    fn act(&self, act: Act) {
        if let Act::Step { child, now } = act {
            if child == self.stages.selector {
                self.before_the_selector(now);
            }
            if child == self.stages.interlock {
                self.before_the_interlock(now);
            }
        }
        self.next.act(act);
    }
}

impl Tape for Saboteur {
    fn note(&self, entry: Entry<'_>) {
        self.next.note(entry);
    }
}
