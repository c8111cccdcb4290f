//! The solver of a playback: what was answered is not believed but found again, by the same solver on the problems that the
//! played stages state, asking the same questions and getting the same answers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use signals::Stamp;

use super::worker::{Sturdy, broken_down};
use super::{MakeOptimiser, Problem};
use crate::board::{Effort, Prepared, Solved};

/// Problems that wait for an answer in a playback; a solver that is so far behind had long been given up.
const PROBLEMS: usize = 16;

/// A record that does not fit the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaybackError {
    /// There is no such stage.
    #[error("stage {child} is not in this loop")]
    NoChild {
        /// The recorded number.
        child: u16,
    },
    /// The stage is down.
    #[error("stage {child} steps while it is down")]
    Down {
        /// The recorded number.
        child: u16,
    },
    /// The played stages had not stated the problem that was answered.
    #[error("solver {solver} answers cycle {cycle}, for which it was given no problem")]
    NoProblem {
        /// The solver's number.
        solver: u32,
        /// The cycle.
        cycle: u64,
    },
    /// An answer was overwritten before the selector took it, so what the solver did is not known to the end.
    #[error("answer {expected} of solver {solver} was never taken; its later plans cannot be found again")]
    AnswerLost {
        /// The solver's number.
        solver: u32,
        /// The first answer that is missing.
        expected: u64,
    },
}

/// A recorded answer of the solver.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// The cycle.
    pub cycle: u64,
    /// When it was done.
    pub at: Stamp,
    /// How long it took, in wall time.
    pub took_ns: i64,
    /// How it came about.
    pub effort: Effort,
}

/// The solver of a playback: empty until the wiring has made it, and in shadow for good.
#[derive(Clone, Debug, Default)]
pub(crate) struct PlayedSolver(Arc<Mutex<Rack>>);

#[derive(Debug, Default)]
pub(crate) struct Rack(Option<Played>);

/// The one of the run's solvers that is in service, and the problems that were stated.
struct Played {
    make: MakeOptimiser,
    number: u32,
    sturdy: Sturdy,
    answers: u64,
    problems: VecDeque<Problem>,
    last: Option<Problem>,
}

impl std::fmt::Debug for Played {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Played").field("number", &self.number).field("answers", &self.answers).finish_non_exhaustive()
    }
}

impl PlayedSolver {
    /// What the `mpc` stage is given in place of a solver.
    pub(crate) fn take_up(&self, make: MakeOptimiser) -> Self {
        let (sturdy, problems) = (Sturdy::new(Arc::clone(&make)), VecDeque::with_capacity(PROBLEMS));
        self.lock().0 = Some(Played { make, number: 0, sturdy, answers: 0, problems, last: None });
        self.clone()
    }

    /// Solves as the run's solver did.
    pub(crate) fn find(&self, answer: &Answer) -> Result<Solved, PlaybackError> {
        self.lock().solve(answer)
    }

    /// Notes a problem; which of them were solved, the record says.
    pub(crate) fn note(&self, problem: Problem) {
        if let Some(solver) = &mut self.lock().0 {
            if solver.problems.len() == PROBLEMS {
                solver.problems.pop_front();
            }
            solver.problems.push_back(problem);
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Rack> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rack {
    fn solve(&mut self, answer: &Answer) -> Result<Solved, PlaybackError> {
        let Answer { cycle, at, took_ns, effort } = *answer;
        let unknown = PlaybackError::NoProblem { solver: effort.solver, cycle };
        let solver = self.0.as_mut().filter(|s| s.number <= effort.solver).ok_or(unknown)?;
        if solver.number != effort.solver {
            solver.is_replaced_by(effort.solver);
        }
        if effort.answer != solver.answers + 1 {
            return Err(PlaybackError::AnswerLost { solver: effort.solver, expected: solver.answers + 1 });
        }
        solver.answers = effort.answer;
        // Problems before this one were replaced before the solver came to them.
        solver.problems.retain(|p| p.estimate.cycle() >= cycle);
        let problem = solver.problems.pop_front().filter(|p| p.estimate.cycle() == cycle).ok_or(unknown)?;
        solver.prepare(effort.prepared);
        let outcome = if effort.panicked {
            solver.sturdy.rebuild();
            broken_down()
        } else {
            solver.sturdy.solve(&problem, &after(effort.late_after)).unwrap_or_else(broken_down)
        };
        solver.last = Some(problem);
        Ok(Solved { cycle, at, deadline: problem.deadline, took_ns, outcome, effort })
    }

    pub(crate) fn solve_newest(&mut self, at: Stamp) -> Option<Solved> {
        let solver = self.0.as_mut()?;
        let problem = solver.problems.pop_back()?;
        solver.problems.clear();
        solver.prepare(Prepared::Ran { wanted_after: None });
        let outcome = solver.sturdy.solve(&problem, &|| false).unwrap_or_else(broken_down);
        solver.answers += 1;
        let effort = Effort { solver: solver.number, answer: solver.answers, ..Effort::default() };
        let (cycle, deadline) = (problem.estimate.cycle(), problem.deadline);
        solver.last = Some(problem);
        Some(Solved { cycle, at, deadline, took_ns: 0, outcome, effort })
    }
}

impl Played {
    /// The run's solver did not return and was replaced; the problems that were stated are still there.
    fn is_replaced_by(&mut self, number: u32) {
        self.sturdy = Sturdy::new(Arc::clone(&self.make));
        (self.number, self.answers, self.last) = (number, 0, None);
    }

    /// Prepares on the last problem, as was recorded.
    fn prepare(&mut self, prepared: Prepared) {
        let Some(last) = self.last.take() else { return };
        match prepared {
            Prepared::Not => {}
            Prepared::Ran { wanted_after } => {
                self.sturdy.prepare(&last, &after(wanted_after));
            }
            Prepared::Panicked => self.sturdy.rebuild(),
        }
    }
}

/// Answers no so many times and then yes; `None` is always no.
fn after(denied: Option<u32>) -> impl Fn() -> bool {
    let asked = std::cell::Cell::new(0_u32);
    move || {
        let before = asked.get();
        asked.set(before.saturating_add(1));
        denied.is_some_and(|denied| before >= denied)
    }
}
