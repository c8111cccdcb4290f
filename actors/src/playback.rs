//! A loop's stages, stepped as a record of a run says, and nothing else: no actors, no threads, no clock that decides.
//!
//! A run's outputs are a function of what its tape was told ([`crate::ports::Tape`]): the images, the order and the times
//! of the steps, the crashes, and what each answer of the solver cost. Whoever reads the record fills
//! [`Playback::inlet`] and calls the methods in the recorded order; the stages are the loop's own, made by the same
//! wiring. What they put out goes to the playback's own tape.
//!
//! An answer of the solver is not believed but found again: by the same solver, on the problem that the played stages
//! state, asking the same questions and getting the same answers.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use safety::{ApprovedMove, Recommended};
use signals::Stamp;

use crate::board::{Beat, Board, Effort, Prepared, Solved};
use crate::children::Wiring;
use crate::driver::Bells;
use crate::kernel::supervision::{ChildSpec, Escalation};
use crate::kernel::{Act, Clock, Stage, Telemetry, Unobserved};
use crate::ports::{Entry, EventQueue, Inlet, MoveSink, RecommendationSink, Tape};
use crate::solver::{MakeOptimiser, Problem, Sturdy, broken_down};
use crate::wiring::{Ending, LoopConfig, WiringError};

/// Problems that wait for an answer in a playback; a solver that is so far behind had long been given up.
const PROBLEMS: usize = 16;

/// How far the played loop goes: which stages it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// No proposer and no end.
    Shadow,
    /// A recommender.
    Advisory,
    /// An actuator.
    ClosedLoop,
}

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

/// Swallows moves and recommendations: the tape has them.
#[derive(Clone, Copy, Debug)]
struct Nowhere;

impl MoveSink for Nowhere {
    fn write(&mut self, _approved: ApprovedMove) {}
}

impl RecommendationSink for Nowhere {
    fn recommend(&mut self, _recommended: Recommended) {}
}

#[derive(Debug)]
struct Part {
    spec: ChildSpec,
    stage: Option<Box<dyn Stage>>,
}

/// The stages of one loop, to be stepped by hand.
#[derive(Debug)]
pub struct Playback {
    board: Board,
    parts: Vec<Part>,
    solver: PlayedSolver,
    telemetry: Telemetry,
    escalation: Escalation,
    tape: Arc<dyn Tape>,
}

impl Playback {
    /// The stages of a loop of this configuration, made as the loop makes them. What they put out is told to `tape`.
    ///
    /// # Errors
    /// [`WiringError`], naming the part that cannot be made.
    pub fn new(config: LoopConfig, reach: Reach, tape: Arc<dyn Tape>) -> Result<Self, WiringError> {
        let ending = match reach {
            Reach::Shadow => Ending::Shadow,
            Reach::Advisory => Ending::Advisory(Box::new(|| Box::new(Nowhere))),
            Reach::ClosedLoop => Ending::ClosedLoop(Box::new(|| Box::new(Nowhere))),
        };
        let board = Board::new(config.screens.len());
        let (telemetry, escalation) = (Telemetry::new(Box::new(Unobserved)), Escalation::default());
        let solver = PlayedSolver::default();
        let bells = Bells::of(config.screens.len());
        let wiring = Wiring {
            config,
            board: board.clone(),
            bells,
            // Asked for latencies only, which nobody reads here.
            clock: Clock::wall(1.0),
            telemetry: telemetry.clone(),
            tape: Arc::clone(&tape),
            played: Some(solver.clone()),
        };
        // Events are not outputs: nobody reads this log.
        let children = wiring.children(ending, EventQueue::new(), escalation.clone())?;
        let parts = children.into_iter().map(|mut spec| Part { stage: Some((spec.make)()), spec }).collect();
        Ok(Self { board, parts, solver, telemetry, escalation, tape })
    }

    /// Where the recorded image is put before [`Self::beat`].
    #[must_use]
    pub fn inlet(&self) -> &Inlet {
        &self.board.inlet
    }

    /// What the stages have put.
    #[must_use]
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// The names of the stages, by number.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.parts.iter().map(|part| part.spec.name)
    }

    /// A beat at `now`, after `dropped` that were missed: the inlet is latched.
    pub fn beat(&mut self, beat: Beat, now: Stamp, dropped: u64) {
        self.telemetry.count_overruns(dropped);
        self.board.image.latch(&self.board.inlet);
        self.board.beat.put(beat);
        self.tape.note(Entry::Beat { beat, now, dropped, image: &self.board.image });
    }

    /// One step of a stage. `false` when it panicked: then it is down until [`Self::restart`].
    ///
    /// # Errors
    /// [`PlaybackError`] when there is no such stage or it is down.
    pub fn step(&mut self, child: u16, now: Stamp) -> Result<bool, PlaybackError> {
        let part = self.parts.get_mut(usize::from(child)).ok_or(PlaybackError::NoChild { child })?;
        let stage = part.stage.as_mut().ok_or(PlaybackError::Down { child })?;
        self.tape.act(Act::Step { child, now });
        let through = catch_unwind(AssertUnwindSafe(|| stage.step(now))).is_ok();
        if !through {
            part.stage = None;
        }
        Ok(through)
    }

    /// The stage is down from now on.
    ///
    /// # Errors
    /// [`PlaybackError::NoChild`].
    pub fn crash(&mut self, child: u16) -> Result<(), PlaybackError> {
        self.parts.get_mut(usize::from(child)).ok_or(PlaybackError::NoChild { child })?.stage = None;
        Ok(())
    }

    /// A new incarnation of the stage.
    ///
    /// # Errors
    /// [`PlaybackError::NoChild`].
    pub fn restart(&mut self, child: u16) -> Result<(), PlaybackError> {
        let part = self.parts.get_mut(usize::from(child)).ok_or(PlaybackError::NoChild { child })?;
        // One that panics while it is made is down at once, as it was in the run.
        part.stage = catch_unwind(AssertUnwindSafe(|| (part.spec.make)())).ok();
        Ok(())
    }

    /// A stage is given up: from now on nothing is proposed.
    pub fn give_up(&mut self) {
        self.escalation.raise("played");
    }

    /// Solves as the recorded solver did, and lays the answer where the selector will take it.
    ///
    /// # Errors
    /// [`PlaybackError`] when the record names a problem that was not stated, or an answer is missing before it.
    pub fn answer(&mut self, answer: &Answer) -> Result<(), PlaybackError> {
        let solved = self.solver.lock().solve(answer)?;
        self.board.answer.put(solved);
        Ok(())
    }

    /// Solves the newest problem without a time limit, if there is one that was not solved: for a loop that is asked what it
    /// would have done. The answer counts as given at `at`.
    pub fn answer_freely(&mut self, at: Stamp) {
        if let Some(solved) = self.solver.lock().solve_newest(at) {
            self.board.answer.put(solved);
        }
    }
}

/// The solver of a playback: empty until the wiring has made it, and in shadow for good.
#[derive(Clone, Debug, Default)]
pub(crate) struct PlayedSolver(Arc<Mutex<Rack>>);

#[derive(Debug, Default)]
struct Rack(Option<Played>);

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

    /// Notes a problem; which of them were solved, the record says.
    pub(crate) fn note(&self, problem: Problem) {
        if let Some(solver) = &mut self.lock().0 {
            if solver.problems.len() == PROBLEMS {
                solver.problems.pop_front();
            }
            solver.problems.push_back(problem);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Rack> {
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

    fn solve_newest(&mut self, at: Stamp) -> Option<Solved> {
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
