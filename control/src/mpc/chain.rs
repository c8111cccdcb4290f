//! The solvers of one controller, one behind the other, and the check that each solution must pass.
//!
//! The first solver is prepared before the measurement is known. When its answer is not usable, or fails the check of
//! its optimality conditions, the next one is asked, within the same deadline. They share no code but the programme:
//! what breaks one need not break the next.

use signals::SolveStatus;

use super::Solver;
use crate::qp::active_set::{ActiveSetLimits, OcpActiveSet};
use crate::qp::conic::{Conic, ConicOptions};
use crate::qp::riccati::{IpmOptions, RiccatiIpm};
use crate::qp::{Ending, KktResidual, OcpDims, OcpQp, OcpSolution, OcpSolver};

/// The largest residual of a solution that counts as solved: of the states and bounds in spans, of the gradient and of
/// the multipliers beside the gradient's own size.
const RESIDUAL_SOLVED: f64 = 1e-5;
/// The largest residual of one that may still be used.
const RESIDUAL_USABLE: f64 = 1e-3;
/// The interior-point method's tolerance and iterations.
const IPM: IpmOptions = IpmOptions { tolerance: 1e-7, iterations_max: 50, warm_start: true };
/// The active-set method gives up where the interior-point method is the faster one.
const ACTIVE_SET: ActiveSetLimits = ActiveSetLimits { rows: 256, changes: 400 };

#[derive(Debug)]
pub(crate) struct Chain {
    solvers: Vec<Box<dyn OcpSolver>>,
    /// The one whose solution stands.
    last: usize,
}

/// How a programme ended, and the largest residual of its optimality conditions beside its size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checked {
    pub(crate) ending: Ending,
    pub(crate) residual: f64,
}

impl Chain {
    pub(crate) fn new(dims: &OcpDims, first: Solver) -> Self {
        let mut solvers: Vec<Box<dyn OcpSolver>> = Vec::new();
        if first == Solver::ActiveSet {
            solvers.push(Box::new(OcpActiveSet::new(dims, ACTIVE_SET)));
        }
        if first != Solver::Conic {
            solvers.push(Box::new(RiccatiIpm::new(dims, IPM)));
        }
        solvers.push(Box::new(Conic::new(dims, ConicOptions::default())));
        Self { solvers, last: 0 }
    }

    /// What can be done of the next solve before its initial state is known.
    pub(crate) fn prepare(&mut self, qp: &OcpQp) {
        if let Some(first) = self.solvers.first_mut() {
            first.prepare(qp);
        }
    }

    /// Solves the prepared programme by the first solver that can.
    pub(crate) fn solve(&mut self, qp: &OcpQp, late: &dyn Fn() -> bool) -> Checked {
        let nothing = Ending { status: SolveStatus::NotRun, iterations: 0 };
        let mut checked = Checked { ending: nothing, residual: f64::INFINITY };
        let (mut iterations, mut best) = (0, None::<(f64, usize)>);
        for (position, solver) in self.solvers.iter_mut().enumerate() {
            if position > 0 {
                solver.prepare(qp);
            }
            let ending = solver.solve(qp, late);
            iterations += ending.iterations;
            checked = check(qp, solver.as_ref(), Ending { iterations, ..ending });
            self.last = position;
            match checked.ending.status {
                SolveStatus::Solved | SolveStatus::TimeLimit => return checked,
                status if status.is_usable() && best.is_none_or(|(residual, _)| checked.residual < residual) => {
                    best = Some((checked.residual, position));
                }
                _ => solver.reset(),
            }
        }
        // None has solved it: the best of what may be used.
        if let Some((residual, position)) = best {
            self.last = position;
            checked = Checked { ending: Ending { status: SolveStatus::IterationLimit, iterations }, residual };
        }
        checked
    }

    /// The last solution.
    pub(crate) fn solution(&self) -> Option<&OcpSolution> {
        self.solvers.get(self.last).map(|solver| solver.solution())
    }

    pub(crate) fn shift(&mut self, periods: usize) {
        self.solvers.iter_mut().for_each(|solver| solver.shift(periods));
    }

    pub(crate) fn reset(&mut self) {
        self.solvers.iter_mut().for_each(|solver| solver.reset());
    }
}

/// The status that the residual allows.
fn check(qp: &OcpQp, solver: &dyn OcpSolver, ending: Ending) -> Checked {
    if !ending.status.is_usable() {
        // The hard bounds of these programmes are never empty: what seems infeasible is arithmetic that broke down.
        let infeasible = ending.status == SolveStatus::Infeasible;
        let status = if infeasible { SolveStatus::Numerical } else { ending.status };
        return Checked { ending: Ending { status, ..ending }, residual: f64::INFINITY };
    }
    let KktResidual { primal, dual, complementarity } = qp.kkt_residual(solver.solution());
    let residual = [primal, dual / (1.0 + qp.gradient_size()), complementarity / (1.0 + qp.gradient_size())];
    let residual = residual.into_iter().fold(0.0, |most, r| if r <= most { most } else { r });
    let status = match residual {
        r if r <= RESIDUAL_SOLVED => SolveStatus::Solved,
        r if r <= RESIDUAL_USABLE => SolveStatus::IterationLimit,
        _ => SolveStatus::Numerical,
    };
    Checked { ending: Ending { status, ..ending }, residual }
}
