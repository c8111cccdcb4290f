//! The solver itself: an optimiser with its work space, and what is told of its answers.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use control::mpc::{MpcInput, MpcOutcome};
use signals::{Fixed, MAX_CVS, SolveStatus};

use super::desk::{Desk, Turn};
use super::{Limits, MakeOptimiser, Optimiser, Problem, Results};
use crate::board::{Effort, Prepared, Solved};

/// The life of a solver's thread: serves the desk until it is replaced or the desk is closed. The solver is built here,
/// where it will work, because building takes time.
pub(super) fn serve(desk: &Desk, mut turn: Turn, make: MakeOptimiser, results: Results, limits: Limits) {
    let clock = results.clock;
    let limit_ns = i64::try_from(limits.solve.as_nanos()).unwrap_or(i64::MAX);
    let mut worker = Worker::new(make, results, turn.generation());
    while let Some(problem) = desk.next(&mut turn) {
        let deadline_ns = problem.opened_ns.saturating_add(limit_ns);
        let solved = worker.solve(&problem, &|| clock.wall_ns() > deadline_ns);
        if !desk.advance(&mut turn) {
            tracing::warn!(cycle = solved.cycle, "a solver that was replaced has returned; its answer is not used");
            return;
        }
        worker.publish(solved);
        if !desk.advance(&mut turn) {
            return;
        }
        worker.tell_given_up(&solved);
        let mine = turn;
        worker.prepare(&problem, &|| desk.is_waiting() || desk.is_closed() || desk.turn() != mine);
        if !desk.advance(&mut turn) {
            return;
        }
    }
}

/// An optimiser that a panic costs what it was at: it is built anew.
pub(crate) struct Sturdy {
    make: MakeOptimiser,
    optimiser: Box<dyn Optimiser>,
}

impl Sturdy {
    pub(crate) fn new(make: MakeOptimiser) -> Self {
        Self { optimiser: make(), make }
    }

    /// Solves; `None` after a panic.
    pub(crate) fn solve(&mut self, problem: &Problem, late: &dyn Fn() -> bool) -> Option<MpcOutcome> {
        let input = problem.input();
        let outcome = catch_unwind(AssertUnwindSafe(|| self.optimiser.solve(&input, late))).ok();
        if outcome.is_none() {
            tracing::error!(cycle = input.cycle, "a solve panicked; the solver is built anew");
            self.rebuild();
        }
        outcome
    }

    /// While the plan is on its way: what can be done of the next solve, believing that nothing but the state changes, and
    /// till somebody waits. `false` after a panic.
    pub(crate) fn prepare(&mut self, problem: &Problem, wanted: &dyn Fn() -> bool) -> bool {
        let now = problem.input();
        let next = MpcInput { cycle: now.cycle + 1, ..now };
        let through = catch_unwind(AssertUnwindSafe(|| self.optimiser.prepare(&next, wanted))).is_ok();
        if !through {
            tracing::error!(cycle = next.cycle, "the preparation of a solve panicked; the solver is built anew");
            self.rebuild();
        }
        through
    }

    pub(crate) fn rebuild(&mut self) {
        self.optimiser = (self.make)();
    }
}

/// The outcome of a solve that panicked.
pub(crate) fn broken_down() -> MpcOutcome {
    MpcOutcome { kkt_residual: f64::NAN, ..MpcOutcome::without_plan(SolveStatus::Numerical) }
}

/// Counts the questions of a solve up to the first that is answered with yes.
#[derive(Debug, Default)]
struct Questions {
    denied: Cell<u32>,
    granted: Cell<bool>,
}

impl Questions {
    fn note(&self, answer: bool) -> bool {
        if answer {
            self.granted.set(true);
        } else if !self.granted.get() {
            self.denied.set(self.denied.get().saturating_add(1));
        }
        answer
    }

    /// How many were denied before one was granted; `None` if none was.
    fn granted_after(&self) -> Option<u32> {
        self.granted.get().then(|| self.denied.get())
    }
}

/// The solver with its surroundings: the clock, and where answers go.
pub(crate) struct Worker {
    sturdy: Sturdy,
    results: Results,
    /// Of the newest answer.
    effort: Effort,
    /// What the last plan gave up.
    given_up: Fixed<bool, MAX_CVS>,
}

impl Worker {
    /// The solver with this number among the loop's.
    pub(super) fn new(make: MakeOptimiser, results: Results, number: u32) -> Self {
        let effort = Effort { solver: number, ..Effort::default() };
        Self { sturdy: Sturdy::new(make), results, effort, given_up: Fixed::default() }
    }

    pub(super) fn solve(&mut self, problem: &Problem, late: &dyn Fn() -> bool) -> Solved {
        let (cycle, begun_ns) = (problem.estimate.cycle(), self.results.clock.wall_ns());
        let questions = Questions::default();
        let outcome = self.sturdy.solve(problem, &|| questions.note(late()));
        let took_ns = self.results.clock.wall_ns() - begun_ns;
        self.effort.answer += 1;
        self.effort.late_after = questions.granted_after();
        self.effort.panicked = outcome.is_none();
        let (outcome, at, effort) = (outcome.unwrap_or_else(broken_down), self.results.clock.now(), self.effort);
        Solved { cycle, at, deadline: problem.deadline, took_ns, outcome, effort }
    }

    /// Hands an answer over and rings the selector.
    pub(super) fn publish(&mut self, solved: Solved) {
        self.results.answers.put(solved);
        self.results.bell.ring(self.results.clock.wall_ns());
    }

    /// Says which CVs' limits the plans have begun or ceased to give up. Not while publishing, which nothing may delay.
    pub(super) fn tell_given_up(&mut self, solved: &Solved) {
        let (cycle, plan) = (solved.cycle, solved.outcome.plan.as_ref());
        let Some(plan) = plan.filter(|plan| plan.given_up != self.given_up) else { return };
        // Before the first plan nothing is known, and a plan that gives nothing up is no news.
        let is_news = plan.given_up.iter().chain(self.given_up.iter()).any(|given| *given);
        self.given_up = plan.given_up;
        if !is_news {
            return;
        }
        let cvs: Vec<usize> = (1..).zip(plan.given_up.iter()).filter(|(_, given)| **given).map(|(cv, _)| cv).collect();
        tracing::warn!(cycle, ?cvs, "CVs whose limits cannot all be kept at rest and are given up, by rank");
    }

    pub(super) fn prepare(&mut self, problem: &Problem, wanted: &dyn Fn() -> bool) {
        let questions = Questions::default();
        let through = self.sturdy.prepare(problem, &|| questions.note(wanted()));
        let wanted_after = questions.granted_after();
        self.effort.prepared = if through { Prepared::Ran { wanted_after } } else { Prepared::Panicked };
    }
}
