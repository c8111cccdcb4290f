//! The outer loop of both solvers: settle the multipliers, look for violated rows, take them in, until there is none.
//!
//! The dual objective is a lower bound of the primal one, so it tells three things: that a step made progress; that
//! there is no feasible point within a distance, when it has grown beyond the square of that; and, when it no longer
//! rises, that the method may be cycling.

use signals::SolveStatus;

use super::working::{Settled, Working};

/// Added rows without progress before ties go to the least index.
const STALLS_MAX: u32 = 10;
/// A point this many times farther away than the worst single row asks for is none.
const FAR: f64 = 1e7;
/// The same, once the arithmetic is at its end.
const FAR_IF_BROKEN: f64 = 1e4;

/// What the two solvers do differently.
pub(super) trait Ascent {
    fn working(&mut self) -> &mut Working;
    /// Moves to the point that the multipliers ask for and returns the dual objective; not finite if any number is not.
    fn evaluate(&mut self) -> f64;
    /// Lists the violated rows to take in next, with their sides: in careful mode the one with the least index.
    fn pick(&mut self);
    /// The list.
    fn picks(&self) -> &[(usize, bool)];
    /// Brings a row into the working set.
    fn add(&mut self, row: usize, upper: bool) -> Settled;
    /// Checks the conditions of optimality that the scan left open, and publishes the point if they hold.
    fn accept(&mut self) -> bool;
    /// Forms anew what rounding may have spoilt.
    fn renew(&mut self);
}

/// Climbs to the optimum from whatever the working set is.
pub(super) fn climb(solver: &mut impl Ascent, late: &dyn Fn() -> bool) -> SolveStatus {
    let (mut best, mut stalls, mut renewed) = (f64::NEG_INFINITY, 0, false);
    loop {
        if late() {
            return SolveStatus::TimeLimit;
        }
        let mut ending = solver.working().settle();
        if ending == Settled::Done {
            let height = solver.evaluate();
            if !height.is_finite() {
                return SolveStatus::Numerical;
            }
            stalls = if height > best { 0 } else { stalls + 1 };
            best = best.max(height);
            solver.working().careful = stalls > STALLS_MAX;
            ending = if beyond(best, FAR, solver.working()) { Settled::Unbounded } else { step(solver) };
        }
        match ending {
            Settled::Added => {}
            Settled::Done => return SolveStatus::Solved,
            Settled::Exhausted => return SolveStatus::IterationLimit,
            Settled::Unbounded if renewed || beyond(best, FAR_IF_BROKEN, solver.working()) => {
                return SolveStatus::Infeasible;
            }
            Settled::Broken if beyond(best, FAR_IF_BROKEN, solver.working()) => return SolveStatus::Infeasible,
            Settled::Broken if renewed => return SolveStatus::Numerical,
            Settled::Unbounded | Settled::Broken => {
                renewed = true;
                solver.renew();
            }
        }
    }
}

/// Takes violated rows in, or accepts the point. Several at once are sound: the step that follows rises at least as far
/// as with any one of them, and those that came in vain leave without cost to the dual objective.
fn step(solver: &mut impl Ascent) -> Settled {
    solver.pick();
    let count = solver.picks().len();
    if count == 0 {
        return if solver.accept() { Settled::Done } else { Settled::Broken };
    }
    let mut added = Settled::Broken;
    for at in 0..count {
        let Some(&(row, upper)) = solver.picks().get(at) else { break };
        if solver.working().holds(row, upper) {
            continue;
        }
        match solver.add(row, upper) {
            Settled::Done => added = Settled::Added,
            ending => return ending,
        }
    }
    added
}

/// Whether every feasible point is `times` farther away than the worst row asks for.
fn beyond(height: f64, times: f64, working: &Working) -> bool {
    let distance = times * working.depth().max(1.0);
    2.0 * height > distance * distance
}
