//! Optimal-control programmes: the solvers, the reference, and the scenario that runs a sequence.

use control::qp::active_set::{ActiveSetLimits, OcpActiveSet};
use control::qp::conic::{Conic, ConicOptions};
use control::qp::riccati::{IpmOptions, RiccatiIpm};
use control::qp::{Ending, OcpDims, OcpQp, OcpSolution, OcpSolver};
use signals::SolveStatus;

use super::Quality;
use crate::meter::{Meter, Scenario};

/// Quadratic programmes of one shape, in the order in which a closed loop met them.
#[derive(Clone, Debug)]
pub struct OcpSequence {
    /// Name without the family, such as `quad_4_2_40`.
    pub name: String,
    /// The programmes.
    pub programmes: Vec<OcpQp>,
    /// Objective of each by the reference.
    pub objectives: Vec<f64>,
}

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
            Self::ActiveSet => Box::new(OcpActiveSet::new(dims, ActiveSetLimits::default())),
            Self::Clarabel => Box::new(Conic::new(dims, ConicOptions::default())),
        }
    }
}

fn cold(tolerance: f64) -> IpmOptions {
    IpmOptions { tolerance, iterations_max: 100, warm_start: false }
}

/// A programme of a closed loop that no solver brought to the reference's accuracy.
#[derive(Debug, thiserror::Error)]
#[error("{sequence}, step {step}: no reference solution: the best residual is {residual:.1e} of its scale")]
pub struct ReferenceError {
    /// Name of the sequence.
    pub sequence: String,
    /// Step.
    pub step: usize,
    /// The least relative residual.
    pub residual: f64,
}

/// The solvers that close the loop when a sequence is made, and whose objective the others are held to: the first of them
/// whose solution has the smallest residual that is asked for. What they say of themselves is not believed.
#[derive(Debug)]
pub struct Reference {
    solvers: [Box<dyn OcpSolver>; 3],
    /// The one that the last solution is of.
    chosen: usize,
    inputs: usize,
}

impl Reference {
    const TOLERANCE: f64 = 1e-10;
    const RESIDUAL_MAX: f64 = 1e-7;

    /// For programmes of this shape.
    #[must_use]
    pub fn new(dims: &OcpDims) -> Self {
        let tight: Box<dyn OcpSolver> = Box::new(RiccatiIpm::new(dims, cold(Self::TOLERANCE)));
        let solvers = [tight, Method::ActiveSet.build(dims), Method::Clarabel.build(dims)];
        Self { solvers, chosen: 0, inputs: dims.nu }
    }

    /// Solves; the objective. `sequence` and `step` are for the error.
    ///
    /// # Errors
    /// [`ReferenceError`] when no solver's solution stands the check.
    pub fn solve(&mut self, sequence: &str, step: usize, qp: &OcpQp) -> Result<f64, ReferenceError> {
        let mut least = f64::INFINITY;
        for (i, solver) in self.solvers.iter_mut().enumerate() {
            solver.reset();
            solver.prepare(qp);
            let Ending { status, .. } = solver.solve(qp, &|| false);
            let residual = relative_residual(qp, solver.solution());
            if status.is_usable() && residual <= Self::RESIDUAL_MAX {
                self.chosen = i;
                return Ok(qp.objective(solver.solution()));
            }
            least = least.min(residual);
        }
        Err(ReferenceError { sequence: sequence.to_owned(), step, residual: least })
    }

    /// The last solution.
    #[must_use]
    pub fn solution(&self) -> &OcpSolution {
        let [first, ..] = &self.solvers;
        self.solvers.get(self.chosen).unwrap_or(first).solution()
    }

    /// Its first input, NU.
    #[must_use]
    pub fn first_input(&self) -> &[f64] {
        self.solution().u.get(..self.inputs).unwrap_or_default()
    }
}

/// The residual of the optimality conditions, relative to one plus the largest number in the solution.
fn relative_residual(qp: &OcpQp, z: &OcpSolution) -> f64 {
    let parts = [&z.x, &z.u, &z.pi, &z.lambda_lo, &z.lambda_hi];
    qp.kkt_residual(z).largest() / (1.0 + parts.into_iter().map(|values| largest(values)).fold(0.0, f64::max))
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
        let found = (qp.objective(solution), *objective);
        self.quality.judge(ending.status == SolveStatus::Solved, found, violation(qp, solution))
    }
}

/// Largest violation of an equation or a hard bound at `z`, each relative to one plus its size.
fn violation(qp: &OcpQp, z: &OcpSolution) -> f64 {
    let OcpDims { nx, nu, horizon, .. } = *qp.dims();
    let at = |values: &[f64], i: usize| values.get(i).copied().unwrap_or(f64::NAN);
    let x = |k: usize, i: usize| at(&z.x, k * nx + i);
    let u = |k: usize, j: usize| if k < horizon { at(&z.u, k * nu + j) } else { 0.0 };
    let start = (0..nx).map(|i| (x(0, i) - at(&qp.x0, i)).abs() / (1.0 + at(&qp.x0, i).abs()));
    let dynamics = (0..horizon * nx).map(|row| {
        let (k, i) = (row / nx, row % nx);
        let by_x = (0..nx).map(|j| at(qp.a(k), i + j * nx) * x(k, j));
        let by_u = (0..nu).map(|j| at(qp.b(k), i + j * nx) * u(k, j));
        let next = by_x.chain(by_u).sum::<f64>() + at(qp.c(k), i);
        (next - x(k + 1, i)).abs() / (1.0 + next.abs())
    });
    let hard = (0..=horizon)
        .flat_map(|k| (0..qp.dims().bounds()).map(move |i| (k, i)))
        .filter(|(k, i)| qp.is_read(*k, *i) && qp.dims().soft.get(*i).is_some_and(Option::is_none));
    let bounds = hard.map(|(k, i)| {
        let value = match (i.checked_sub(nu), qp.dims().boxed.get(i.saturating_sub(nu))) {
            (None, _) => u(k, i),
            (Some(_), Some(state)) => x(k, *state),
            // A row of G.
            (Some(row), None) => {
                let (row, rows) = (row - qp.dims().boxed.len(), qp.dims().rows);
                (0..nx).map(|j| at(qp.g(k), row + j * rows) * x(k, j)).sum()
            }
        };
        let sides = qp.bounds(k);
        super::beyond(value, (at(sides.lo, i), at(sides.hi, i)))
    });
    super::worst(start.chain(dynamics).chain(bounds))
}
