//! Dense programmes: `min ½ z'H z + f'z  s.t.  lo ≤ [z; A z] ≤ hi`, H and A the same at every step.

use control::qp::active_set::{DenseRows, DualActiveSet, QpError, Rows, StepResponseRows};
use nalgebra::DMatrix;
use signals::SolveStatus;

use super::Quality;
use crate::meter::{Meter, Scenario};

/// What changes from step to step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DenseStep {
    /// Linear cost, one per variable.
    pub f: Vec<f64>,
    /// Lower sides, variables and then rows; -∞ for none.
    pub lo: Vec<f64>,
    /// Upper sides, likewise.
    pub hi: Vec<f64>,
}

/// A, with what is known of it.
#[derive(Clone, Debug)]
pub enum DenseMatrix {
    /// Nothing is known.
    General(DMatrix<f64>),
    /// Step responses.
    StepResponse(StepResponseRows),
}

/// A sequence of them.
#[derive(Clone, Debug)]
pub struct DenseSequence {
    /// Name without the family.
    pub name: String,
    /// H, symmetric.
    pub hessian: DMatrix<f64>,
    /// A.
    pub rows: DenseMatrix,
    /// The steps.
    pub steps: Vec<DenseStep>,
    /// Objective of each by the reference.
    pub objectives: Vec<f64>,
}

/// A dense solver over either kind of rows.
#[derive(Debug)]
pub(crate) struct Solver(Box<dyn Warm>);

trait Warm: std::fmt::Debug {
    fn solve(&mut self, step: &DenseStep) -> control::qp::Ending;
    fn x(&self) -> &[f64];
    fn reset(&mut self);
}

impl<R: Rows> Warm for DualActiveSet<R> {
    fn solve(&mut self, step: &DenseStep) -> control::qp::Ending {
        Self::solve(self, &step.f, &step.lo, &step.hi, &|| false)
    }

    fn x(&self) -> &[f64] {
        Self::x(self)
    }

    fn reset(&mut self) {
        Self::reset(self);
    }
}

impl Solver {
    pub(crate) fn new(hessian: &DMatrix<f64>, rows: &DenseMatrix) -> Result<Self, QpError> {
        Ok(Self(match rows {
            DenseMatrix::General(matrix) => Box::new(DualActiveSet::new(hessian, DenseRows::new(matrix))?),
            DenseMatrix::StepResponse(rows) => Box::new(DualActiveSet::new(hessian, rows.clone())?),
        }))
    }

    pub(crate) fn solve(&mut self, step: &DenseStep) -> control::qp::Ending {
        self.0.solve(step)
    }

    pub(crate) fn x(&self) -> &[f64] {
        self.0.x()
    }
}

/// `½ z'H z + f'z`.
pub(crate) fn objective(hessian: &DMatrix<f64>, f: &[f64], z: &[f64]) -> f64 {
    let columns = hessian.column_iter().zip(z);
    let quadratic: f64 = columns.map(|(column, zj)| zj * column.iter().zip(z).map(|(h, zi)| h * zi).sum::<f64>()).sum();
    0.5 * quadratic + f.iter().zip(z).map(|(f, z)| f * z).sum::<f64>()
}

/// One sequence under the dual active set, warm.
#[derive(Debug)]
pub struct DenseScenario<'a> {
    sequence: &'a DenseSequence,
    solver: Solver,
    /// A as a matrix, for the check.
    matrix: DMatrix<f64>,
    /// Of the last run.
    pub quality: Quality,
}

impl<'a> DenseScenario<'a> {
    /// The sequence under the dual active set.
    ///
    /// # Errors
    /// [`QpError`] when the solver refuses the Hessian or the rows.
    pub fn new(sequence: &'a DenseSequence) -> Result<Self, QpError> {
        let solver = Solver::new(&sequence.hessian, &sequence.rows)?;
        let matrix = match &sequence.rows {
            DenseMatrix::General(matrix) => matrix.clone(),
            DenseMatrix::StepResponse(rows) => written_out(rows),
        };
        Ok(Self { sequence, solver, matrix, quality: Quality::default() })
    }

    /// Largest violation of a side at `z`, relative to one plus the side.
    fn violation(&self, step: &DenseStep, z: &[f64]) -> f64 {
        let rows = self.matrix.row_iter().map(|row| row.iter().zip(z).map(|(a, z)| a * z).sum::<f64>());
        let values = z.iter().copied().chain(rows);
        let beyond = values.zip(step.lo.iter().zip(&step.hi)).map(|(v, (lo, hi))| super::beyond(v, (*lo, *hi)));
        super::worst(beyond)
    }
}

/// The rows one by one.
fn written_out(rows: &StepResponseRows) -> DMatrix<f64> {
    let mut matrix = DMatrix::zeros(rows.rows(), rows.columns());
    let mut row = vec![0.0; rows.columns()];
    for (i, mut out) in matrix.row_iter_mut().enumerate() {
        rows.row_into(i, &mut row);
        out.iter_mut().zip(&row).for_each(|(out, value)| *out = *value);
    }
    matrix
}

impl Scenario for DenseScenario<'_> {
    fn steps(&self) -> usize {
        self.sequence.steps.len()
    }

    fn start(&mut self) {
        self.solver.0.reset();
        self.quality = Quality::default();
    }

    fn step(&mut self, k: usize, meter: &mut Meter) -> bool {
        let (Some(step), Some(reference)) = (self.sequence.steps.get(k), self.sequence.objectives.get(k)) else {
            return false;
        };
        let ending = meter.preparation(|| self.solver.solve(step));
        let z = self.solver.x();
        let objective = objective(&self.sequence.hessian, &step.f, z);
        let violation = self.violation(step, z);
        self.quality.iterations.push(f64::from(ending.iterations));
        self.quality.judge(ending.status == SolveStatus::Solved, (objective, *reference), violation)
    }
}
