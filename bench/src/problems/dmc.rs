//! Dynamic matrix control in closed loop: Wood and Berry's column, the Shell heavy-oil fractionator.
//!
//! With the moves `du`, one slack ε ≥ 0 per output, and f the outputs if nothing moves any more:
//!
//! ```text
//! min  Σ_i Q_i Σ_{t=1..P} (y_i(t) - r_i)² + Σ R_j du² + ρ1 ε + ρ2 ε²,    y = f + Φ du
//! s.t. ylo - ε ≤ y ≤ yhi + ε,  ulo ≤ u_prev + C du ≤ uhi,  |du| ≤ du_max
//! ```
//!
//! The plant is the model and an output disturbance, which the forecast holds constant. What is written here shares no
//! code with `control::dmc`.
#![allow(clippy::indexing_slicing, reason = "indices come from the sizes that the matrices were made with")]

use control::qp::active_set::{QpError, StepResponseRows, StepResponseShape};
use nalgebra::{DMatrix, DVector};
use signals::SolveStatus;

use super::spec::Dmc;
use crate::qp::{DenseMatrix, DenseSequence, DenseSolver, DenseStep, dense_objective};

/// A closed loop of step-response control that could not be run.
#[derive(Debug, thiserror::Error)]
pub enum DmcError {
    /// The solver refuses the problem.
    #[error("{sequence}: {source}")]
    Refused {
        /// Name of the sequence.
        sequence: String,
        /// In its words.
        source: QpError,
    },
    /// A step was not solved.
    #[error("{sequence}, step {step}: the solve ended as {status:?}")]
    NotSolved {
        /// Name of the sequence.
        sequence: String,
        /// Step.
        step: usize,
        /// Its ending.
        status: SolveStatus,
    },
}

/// The step responses of one problem.
struct Model<'a> {
    spec: &'a Dmc,
    ny: usize,
    nu: usize,
    /// `[(i NU + j)][t]`: output i, t + 1 samples after a unit step of input j; `n` of them.
    response: Vec<Vec<f64>>,
}

impl<'a> Model<'a> {
    fn new(spec: &'a Dmc) -> Self {
        let transfer = &spec.fopdt_gain_tau_delay_min;
        let of = |[gain, tau, delay]: &[f64; 3]| {
            let at = |t: usize| {
                let since = t as f64 * spec.period_min - delay;
                if since > 0.0 { gain * (1.0 - (-since / tau).exp()) } else { 0.0 }
            };
            (1..=spec.n).map(at).collect()
        };
        let nu = transfer.first().map_or(0, Vec::len);
        Self { spec, ny: transfer.len(), nu, response: transfer.iter().flatten().map(of).collect() }
    }

    /// The response of output `i` to input `j`, `t + 1` samples after its step; constant after the last.
    fn response(&self, i: usize, j: usize, t: usize) -> f64 {
        let response = self.response.get(i * self.nu + j);
        response.and_then(|s| s.get(t.min(self.spec.n - 1))).copied().unwrap_or(0.0)
    }

    /// Φ: (NY P) × (NU M), output by output, move by move.
    fn dynamic_matrix(&self) -> DMatrix<f64> {
        let (p, nu) = (self.spec.horizon, self.nu);
        DMatrix::from_fn(self.ny * p, nu * self.spec.moves, |row, column| {
            (row % p).checked_sub(column / nu).map_or(0.0, |t| self.response(row / p, column % nu, t))
        })
    }

    /// H of `[du; ε]`.
    fn hessian(&self, phi: &DMatrix<f64>) -> DMatrix<f64> {
        let moves = self.nu * self.spec.moves;
        let mut weighted = phi.clone();
        for (row, mut values) in weighted.row_iter_mut().enumerate() {
            values *= self.weight(row / self.spec.horizon);
        }
        let mut hessian = DMatrix::zeros(moves + self.ny, moves + self.ny);
        hessian.view_mut((0, 0), (moves, moves)).copy_from(&(2.0 * phi.transpose() * weighted));
        for i in 0..moves + self.ny {
            hessian[(i, i)] += 2.0 * if i < moves { at(&self.spec.r, i % self.nu) } else { self.spec.rho2 };
        }
        hessian
    }

    fn weight(&self, output: usize) -> f64 {
        at(&self.spec.q, output)
    }

    fn rows(&self) -> Result<StepResponseRows, QpError> {
        let Dmc { horizon, moves, .. } = *self.spec;
        let shape = StepResponseShape { outputs: self.ny, inputs: self.nu, horizon, moves, slack: true };
        let coefficients: Vec<f64> = self.response.iter().flat_map(|s| s.iter().take(horizon)).copied().collect();
        StepResponseRows::new(shape, &coefficients)
    }

    /// The outputs of the next P samples, disturbance included, if nothing moves any more: NY · P.
    fn forecast(&self, moves: &[Vec<f64>], disturbance: &[f64]) -> Vec<f64> {
        let p = self.spec.horizon;
        let mut forecast: Vec<f64> = (0..self.ny * p).map(|row| at(disturbance, row / p)).collect();
        for (made_at, du) in moves.iter().enumerate() {
            let age = moves.len() - made_at;
            for (row, value) in forecast.iter_mut().enumerate() {
                let respond = |(j, du): (usize, &f64)| du * self.response(row / p, j, age + row % p);
                *value += du.iter().enumerate().map(respond).sum::<f64>();
            }
        }
        forecast
    }

    /// The programme of one step.
    fn step(&self, phi: &DMatrix<f64>, (forecast, reference): (&[f64], &[f64]), u_prev: &[f64]) -> DenseStep {
        let Dmc { horizon: p, moves, .. } = *self.spec;
        let weighted = forecast.iter().enumerate().map(|(row, f)| {
            let output = row / p;
            -2.0 * self.weight(output) * (at(reference, output) - f)
        });
        let gradient = phi.tr_mul(&DVector::from_iterator(self.ny * p, weighted));
        let f = gradient.iter().copied().chain(std::iter::repeat_n(self.spec.rho1, self.ny)).collect();
        let boxes =
            |du: f64, slack: f64| std::iter::repeat_n(du, self.nu * moves).chain(std::iter::repeat_n(slack, self.ny));
        let limit = |limits: &'a [f64], row: usize| at(limits, row / p);
        let room = |limit: f64| (0..moves).flat_map(move |_| u_prev.iter().map(move |u| limit - u));
        let free = |value: f64| std::iter::repeat_n(value, self.ny * p);
        let below = forecast.iter().enumerate().map(|(row, f)| limit(&self.spec.ylo, row) - f);
        let above = forecast.iter().enumerate().map(|(row, f)| limit(&self.spec.yhi, row) - f);
        DenseStep {
            f,
            lo: boxes(-self.spec.du, 0.0)
                .chain(free(f64::NEG_INFINITY))
                .chain(below)
                .chain(room(self.spec.ulo))
                .collect(),
            hi: boxes(self.spec.du, f64::INFINITY)
                .chain(above)
                .chain(free(f64::INFINITY))
                .chain(room(self.spec.uhi))
                .collect(),
        }
    }
}

fn at(values: &[f64], i: usize) -> f64 {
    values.get(i).copied().unwrap_or(0.0)
}

/// What disturbs the outputs at sample `k`: up at 10, down at 60, filtered; the second output by 0.7 of it.
fn disturbance(k: usize, outputs: usize) -> Vec<f64> {
    let since = |from: f64, tau: f64| 1.0 - (-(k as f64 - from) / tau).exp();
    let up = if k >= 10 { 0.8 * since(10.0, 10.0) } else { 0.0 };
    let down = if k >= 60 { 1.4 * since(60.0, 6.0) } else { 0.0 };
    (0..outputs).map(|i| (up - down) * if i == 1 { 0.7 } else { 1.0 }).collect()
}

/// The set-points at sample `k`.
fn reference(k: usize, outputs: usize) -> Vec<f64> {
    (0..outputs).map(|i| if i == 0 && (5..70).contains(&k) { 0.4 } else { 0.0 }).collect()
}

/// The closed-loop sequence of one problem.
///
/// # Errors
/// [`DmcError`] when the solver refuses the problem or a step of the closed loop is not solved.
pub fn dynamic_matrix_control(name: &str, spec: &Dmc) -> Result<DenseSequence, DmcError> {
    along(name, spec, &[])
}

/// The same, with the plant moved by `recorded` moves, NU each, for as long as they last, in place of the solution's.
///
/// # Errors
/// As [`dynamic_matrix_control`].
pub fn along(name: &str, spec: &Dmc, recorded: &[Vec<f64>]) -> Result<DenseSequence, DmcError> {
    let model = Model::new(spec);
    let phi = model.dynamic_matrix();
    let hessian = model.hessian(&phi);
    let refused = |source| DmcError::Refused { sequence: name.to_owned(), source };
    let rows = DenseMatrix::StepResponse(model.rows().map_err(refused)?);
    let mut solver = DenseSolver::new(&hessian, &rows).map_err(refused)?;
    let (mut steps, mut objectives) = (Vec::new(), Vec::new());
    let (mut moves, mut u): (Vec<Vec<f64>>, Vec<f64>) = (Vec::new(), vec![0.0; model.nu]);
    for k in 0..spec.steps {
        let forecast = model.forecast(&moves, &disturbance(k, model.ny));
        let step = model.step(&phi, (&forecast, &reference(k, model.ny)), &u);
        let status = solver.solve(&step).status;
        if status != SolveStatus::Solved {
            return Err(DmcError::NotSolved { sequence: name.to_owned(), step: k, status });
        }
        objectives.push(dense_objective(&hessian, &step.f, solver.x()));
        let solved = || solver.x().iter().take(model.nu).copied().collect();
        let du: Vec<f64> = recorded.get(k).cloned().unwrap_or_else(solved);
        u.iter_mut().zip(&du).for_each(|(u, du)| *u += du);
        moves.push(du);
        steps.push(step);
    }
    Ok(DenseSequence { name: name.to_owned(), hessian, rows, steps, objectives })
}
