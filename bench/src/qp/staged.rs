//! Optimal-control programmes: the solvers, the reference, and the scenario that runs a sequence.

use control::qp::active_set::OcpActiveSet;
use control::qp::conic::Conic;
use control::qp::riccati::{IpmOptions, RiccatiIpm};
use control::qp::{Ending, OcpDims, OcpQp, OcpSolution, OcpSolver};
use signals::SolveStatus;

use super::Quality;
use crate::meter::{Meter, Scenario};
use crate::problems::OcpSequence;

/// A way to solve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Riccati interior point, cold.
    Ipm,
    /// Dual active set, warm.
    ActiveSet,
    /// Clarabel, cold.
    Clarabel,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ipm, Self::ActiveSet, Self::Clarabel];

    /// The last part of a row's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ipm => "ipm",
            Self::ActiveSet => "active_set",
            Self::Clarabel => "clarabel",
        }
    }

    /// Whose it is.
    #[must_use]
    pub fn solver(self) -> &'static str {
        if self == Self::Clarabel { "clarabel" } else { "outrigger" }
    }

    /// A solver of this kind.
    #[must_use]
    pub fn build(self, dims: &OcpDims) -> Box<dyn OcpSolver> {
        match self {
            Self::Ipm => Box::new(RiccatiIpm::new(dims, cold(1e-6))),
            Self::ActiveSet => Box::new(OcpActiveSet::new(dims)),
            Self::Clarabel => Box::new(Conic::new(dims)),
        }
    }
}

fn cold(tolerance: f64) -> IpmOptions {
    IpmOptions { tolerance, iterations_max: 100, warm_start: false }
}

/// A programme of a closed loop that the reference could not solve.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    /// The solver gave up.
    #[error("{sequence}, step {step}: the reference solve ended as {status:?}")]
    NotSolved {
        /// Name of the sequence.
        sequence: String,
        /// Step.
        step: usize,
        /// Its ending.
        status: SolveStatus,
    },
    /// The solver said `Solved`, and it is not.
    #[error("{sequence}, step {step}: the reference solution's optimality conditions are off by {residual:e} of its scale")]
    Inaccurate {
        /// Name of the sequence.
        sequence: String,
        /// Step.
        step: usize,
        /// Relative residual.
        residual: f64,
    },
}

/// The solver that closes the loop when a sequence is made, and whose objective the others are held to. Its solutions are
/// believed only by their residual.
#[derive(Debug)]
pub struct Reference {
    solver: Box<dyn OcpSolver>,
    inputs: usize,
}

impl Reference {
    const TOLERANCE: f64 = 1e-10;
    const RESIDUAL_MAX: f64 = 1e-7;

    /// For programmes of this shape.
    #[must_use]
    pub fn new(dims: &OcpDims) -> Self {
        Self { solver: Box::new(RiccatiIpm::new(dims, cold(Self::TOLERANCE))), inputs: dims.nu }
    }

    /// Solves; the objective. `sequence` and `step` are for the error.
    ///
    /// # Errors
    /// [`ReferenceError`] when the solver gave up or its solution does not stand the check.
    pub fn solve(&mut self, sequence: &str, step: usize, qp: &OcpQp) -> Result<f64, ReferenceError> {
        self.solver.prepare(qp);
        let Ending { status, .. } = self.solver.solve(qp, &|| false);
        if !status.is_usable() {
            return Err(ReferenceError::NotSolved { sequence: sequence.to_owned(), step, status });
        }
        let solution = self.solver.solution();
        let scale = [&solution.x, &solution.u, &solution.pi, &solution.lambda_lo, &solution.lambda_hi];
        let scale = 1.0 + scale.into_iter().map(|values| largest(values)).fold(0.0, f64::max);
        let residual = qp.kkt_residual(solution).largest() / scale;
        if residual <= Self::RESIDUAL_MAX {
            Ok(qp.objective(solution))
        } else {
            Err(ReferenceError::Inaccurate { sequence: sequence.to_owned(), step, residual })
        }
    }

    /// The last solution.
    #[must_use]
    pub fn solution(&self) -> &OcpSolution {
        self.solver.solution()
    }

    /// Its first input, NU.
    #[must_use]
    pub fn first_input(&self) -> &[f64] {
        self.solver.solution().u.get(..self.inputs).unwrap_or_default()
    }
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest, value| f64::max(largest, value.abs()))
}

/// One sequence under one method.
#[derive(Debug)]
pub struct OcpScenario<'a> {
    sequence: &'a OcpSequence,
    method: Method,
    solver: Option<Box<dyn OcpSolver>>,
    /// Of the last run.
    pub quality: Quality,
}

impl<'a> OcpScenario<'a> {
    /// The sequence under the method.
    #[must_use]
    pub fn new(sequence: &'a OcpSequence, method: Method) -> Self {
        Self { sequence, method, solver: None, quality: Quality::default() }
    }
}

impl Scenario for OcpScenario<'_> {
    fn steps(&self) -> usize {
        self.sequence.programmes.len()
    }

    /// A new solver: what it remembers of the last run would make the runs unlike.
    fn start(&mut self) {
        self.solver = self.sequence.programmes.first().map(|first| self.method.build(first.dims()));
        self.quality = Quality::default();
    }

    fn step(&mut self, k: usize, meter: &mut Meter) -> bool {
        let (Some(qp), Some(objective)) = (self.sequence.programmes.get(k), self.sequence.objectives.get(k)) else {
            return false;
        };
        let Some(solver) = &mut self.solver else { return false };
        meter.preparation(|| {
            if k > 0 && self.method == Method::ActiveSet {
                solver.shift(1);
            }
            solver.prepare(qp);
        });
        let ending = meter.feedback(|| solver.solve(qp, &|| false));
        let solution = solver.solution();
        self.quality.iterations.push(f64::from(ending.iterations));
        let scale = 1.0 + largest(&solution.x).max(largest(&solution.u));
        let violation = qp.kkt_residual(solution).primal / scale;
        self.quality.judge(ending.status == SolveStatus::Solved, (qp.objective(solution), *objective), violation)
    }
}
