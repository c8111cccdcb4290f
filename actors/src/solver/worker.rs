//! The solver itself: an optimiser with its work space, and what is told of its results.

use std::panic::{AssertUnwindSafe, catch_unwind};

use control::mpc::{MpcInput, MpcOutcome, Plan};
use signals::{Fixed, MAX_CVS, SolveStatus};

use super::desk::{Desk, Turn};
use super::{MakeOptimiser, Optimiser, Problem, Results};
use crate::board::Solved;

/// One solver. It is built where it will work, because building takes time.
pub(crate) struct Worker {
    make: MakeOptimiser,
    optimiser: Box<dyn Optimiser>,
    results: Results,
    /// What the last plan gave up.
    given_up: Fixed<bool, MAX_CVS>,
}

/// The life of a solver's thread: serves the desk until it is replaced or the desk is closed.
pub(super) fn serve(desk: &Desk, mut turn: Turn, make: MakeOptimiser, results: Results) {
    let (clock, limit) = (results.clock, results.clock.wall_span(results.limit));
    let limit_ns = i64::try_from(limit.as_nanos()).unwrap_or(i64::MAX);
    let mut worker = Worker::new(make, results);
    while let Some(problem) = desk.next(&mut turn) {
        let deadline_ns = problem.opened_ns.saturating_add(limit_ns);
        let solved = worker.solve(&problem, &|| clock.wall_ns() > deadline_ns);
        if !desk.advance(&mut turn) {
            tracing::warn!(cycle = solved.cycle, "a solver that was replaced has returned; its result is not used");
            return;
        }
        worker.publish(solved);
        if !desk.advance(&mut turn) {
            return;
        }
        let mine = turn;
        worker.prepare(&problem, &|| desk.is_waiting() || desk.is_closed() || desk.turn() != mine);
        if !desk.advance(&mut turn) {
            return;
        }
    }
}

impl Worker {
    pub(super) fn new(make: MakeOptimiser, results: Results) -> Self {
        Self { optimiser: make(), make, results, given_up: Fixed::default() }
    }

    /// Solves; a panic costs this result and the work space.
    pub(super) fn solve(&mut self, problem: &Problem, late: &dyn Fn() -> bool) -> Solved {
        let input = problem.input();
        let begun_ns = self.results.clock.wall_ns();
        let outcome = catch_unwind(AssertUnwindSafe(|| self.optimiser.solve(&input, late))).unwrap_or_else(|_| {
            tracing::error!(cycle = input.cycle, "a solve panicked; the solver is built anew");
            self.optimiser = (self.make)();
            no_plan(SolveStatus::Numerical)
        });
        let took_ns = self.results.clock.wall_ns() - begun_ns;
        self.results.result_of(problem, took_ns, outcome)
    }

    /// Puts a result into its slot and rings the selector.
    pub(super) fn publish(&mut self, solved: Solved) {
        self.tell_given_up(solved.cycle, solved.outcome.plan.as_ref());
        self.results.solved.put(solved);
        self.results.bell.ring(self.results.clock.wall_ns());
    }

    /// Says which CVs' limits the plans have begun or ceased to give up.
    fn tell_given_up(&mut self, cycle: u64, plan: Option<&Plan>) {
        let Some(plan) = plan.filter(|plan| plan.given_up != self.given_up) else { return };
        self.given_up = plan.given_up;
        let cvs: Vec<usize> = (1..).zip(plan.given_up.iter()).filter(|(_, given)| **given).map(|(cv, _)| cv).collect();
        tracing::warn!(cycle, ?cvs, "CVs whose limits cannot all be kept at rest and are given up, by rank");
    }

    /// While the plan is on its way: what can be done of the next solve, believing that nothing but the state changes, and
    /// till somebody waits.
    pub(super) fn prepare(&mut self, problem: &Problem, wanted: &dyn Fn() -> bool) {
        let now = problem.input();
        let next = MpcInput { cycle: now.cycle + 1, ..now };
        if catch_unwind(AssertUnwindSafe(|| self.optimiser.prepare(&next, wanted))).is_err() {
            tracing::error!(cycle = next.cycle, "the preparation of a solve panicked; the solver is built anew");
            self.optimiser = (self.make)();
        }
    }
}

impl Results {
    /// A result of `problem`, now.
    pub(super) fn result_of(&self, problem: &Problem, took_ns: i64, outcome: MpcOutcome) -> Solved {
        let estimate = &problem.estimate;
        let (cycle, deadline) = (estimate.cycle(), estimate.at() + self.limit);
        Solved { cycle, at: self.clock.now(), deadline, took_ns, outcome }
    }
}

/// An outcome without a plan.
pub(super) fn no_plan(status: SolveStatus) -> MpcOutcome {
    MpcOutcome { status, plan: None, iterations: 0, kkt_residual: f64::NAN }
}
