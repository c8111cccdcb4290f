//! The moves of one cycle as a quadratic programme.
//!
//! Moves `v_j(m) = Δu_j(m) / span_j`, `m = 0 … M-1`, one slack `ε_i ≥ 0` per CV, predictions `y_i(t)`, `t = 1 … P`,
//! in spans, relative to the prediction f without moves:
//!
//! ```text
//! min  Σ_i Q_i Σ_t (y_i(t) - r_i)² + Σ_j Σ_m R_j v_j(m)² + W_j (u_j(m) - rest_j)²  +  Σ_i ρ1 ε_i + ρ2 ε_i²
//! s.t. y = f + Φ v,   u_j(m) = u_prev + Σ_{l ≤ m} v_j(l)
//!      cv_lo - ε ≤ y ≤ cv_hi + ε                 soft
//!      u_lo ≤ u ≤ u_hi,  |Δu| ≤ du_max           hard; v = 0 out of service
//! ```
//!
//! The Hessian depends on model, weights and services only; a cycle changes the linear term and the bounds. Bounds of
//! inputs are those of [`Reach`], so they never contradict each other.
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: shapes are those of model and configuration")]

use nalgebra::DMatrix;
use signals::SolveStatus;

use super::prediction::Prediction;
use super::{DmcConfig, DmcError, StepResponseModel};
use crate::mpc::reach::{InputLimits, Reach};
use crate::qp::Ending;
use crate::qp::active_set::{DualActiveSet, Rows, StepResponseRows, StepResponseShape};

/// The programme and its solver.
#[derive(Debug)]
pub(super) struct Programme {
    shape: StepResponseShape,
    /// `s_ij(t)` in spans, at `(i · NU + j) · P + t - 1`.
    responses: Vec<f64>,
    solver: DualActiveSet<StepResponseRows>,
    pub(super) f: Vec<f64>,
    lo: Vec<f64>,
    hi: Vec<f64>,
    /// `Q_i (r_i - f_i(t))`, CV by CV.
    pull: Vec<f64>,
    reach: Reach,
    /// Planned inputs, move by move, in MV units.
    pub(super) u: Vec<f64>,
    /// The plan as unknowns, slacks 0, and all rows there.
    x: Vec<f64>,
    rows: Vec<f64>,
}

/// What the programme looks at in one cycle.
#[derive(Clone, Copy)]
pub(super) struct Situation<'a> {
    pub(super) config: &'a DmcConfig,
    pub(super) prediction: &'a Prediction,
    pub(super) cv_on: &'a [bool],
    /// Where each CV shall go, CV units.
    pub(super) reference: &'a [f64],
    /// Where each MV shall rest, MV units.
    pub(super) rest: &'a [f64],
    pub(super) cv_lo: &'a [f64],
    pub(super) cv_hi: &'a [f64],
    /// Inputs in force and their bounds; an MV out of service has no limits and a rate of 0.
    pub(super) limits: InputLimits<'a>,
}

/// What the plan promises.
#[derive(Clone, Copy, Debug)]
pub(super) struct Promise {
    pub(super) next: f64,
    pub(super) end: f64,
    pub(super) cost: f64,
}

impl Programme {
    pub(super) fn new(model: &StepResponseModel, config: &DmcConfig, cv_on: &[bool]) -> Result<Self, DmcError> {
        let (outputs, inputs) = (model.cvs(), model.mvs());
        let (horizon, moves) = (config.horizon, config.moves);
        let shape = StepResponseShape { outputs, inputs, horizon, moves, slack: true };
        let mut responses = Vec::with_capacity(outputs * inputs * horizon);
        for i in 0..outputs {
            for j in 0..inputs {
                let scale = config.mv[j].span / config.cv[i].span;
                responses.extend(model.response(i, j)[..horizon].iter().map(|s| s * scale));
            }
        }
        let hessian = hessian(shape, &responses, (config, cv_on));
        let solver = DualActiveSet::new(&hessian, StepResponseRows::new(shape, &responses)?)?;
        let (unknowns, rows) = (hessian.nrows(), solver.rows().rows());
        let mut lo = vec![f64::NEG_INFINITY; unknowns + rows];
        lo[inputs * moves..unknowns].fill(0.0);
        Ok(Self {
            shape,
            responses,
            solver,
            f: vec![0.0; unknowns],
            lo,
            hi: vec![f64::INFINITY; unknowns + rows],
            pull: vec![0.0; outputs * horizon],
            reach: Reach::new(moves, inputs),
            u: vec![0.0; moves * inputs],
            x: vec![0.0; unknowns],
            rows: vec![0.0; rows],
        })
    }

    /// Forgets the last working set.
    pub(super) fn reset(&mut self) {
        self.solver.reset();
    }

    /// Solves for the plan; [`Self::u`] holds it only if that is `Solved`.
    pub(super) fn solve(&mut self, at: Situation<'_>, late: &dyn Fn() -> bool) -> Ending {
        self.reach.update(&at.limits);
        self.fill_gradient(at);
        self.fill_bounds(at);
        let ending = self.solver.solve(&self.f, &self.lo, &self.hi, late);
        if ending.status == SolveStatus::Solved {
            self.read_plan(at);
        }
        ending
    }

    /// `f = -2 Φ'Q (r - f) + 2 W Σ_{l ≥ m} (u_prev - rest)`, and ρ1 for the slacks.
    fn fill_gradient(&mut self, at: Situation<'_>) {
        let StepResponseShape { inputs, horizon, moves, .. } = self.shape;
        self.f[..inputs * moves].fill(0.0);
        for (i, tuning) in at.config.cv.iter().enumerate() {
            self.f[inputs * moves + i] = tuning.soft_linear;
            let weight = if at.cv_on[i] { tuning.weight } else { 0.0 };
            if weight <= 0.0 {
                continue;
            }
            let pull = &mut self.pull[i * horizon..(i + 1) * horizon];
            for (pull, free) in pull.iter_mut().zip(&at.prediction.of(i)[1..]) {
                *pull = weight * (at.reference[i] - free) / tuning.span;
            }
            for j in 0..inputs {
                let response = &self.responses[(i * inputs + j) * horizon..][..horizon];
                for m in 0..moves {
                    self.f[m * inputs + j] -= 2.0 * correlation(&response[..horizon - m], &pull[m..]);
                }
            }
        }
        for (j, mv) in at.config.mv.iter().enumerate().filter(|(_, mv)| mv.rest_weight > 0.0) {
            let away = 2.0 * mv.rest_weight * (at.limits.u_prev[j] - at.rest[j]) / mv.span;
            for m in 0..moves {
                self.f[m * inputs + j] += (moves - m) as f64 * away;
            }
        }
    }

    fn fill_bounds(&mut self, at: Situation<'_>) {
        let StepResponseShape { outputs, inputs, horizon, moves, .. } = self.shape;
        let predictions = outputs * horizon;
        let first = inputs * moves + outputs;
        for (i, tuning) in at.config.cv.iter().enumerate() {
            let limited = at.cv_on[i] && tuning.soft_quadratic > 0.0;
            let (lo, hi) = if limited { (at.cv_lo[i], at.cv_hi[i]) } else { (f64::NEG_INFINITY, f64::INFINITY) };
            let upper = &mut self.hi[first + i * horizon..][..horizon];
            let lower = &mut self.lo[first + predictions + i * horizon..][..horizon];
            for ((upper, lower), free) in upper.iter_mut().zip(lower).zip(&at.prediction.of(i)[1..]) {
                *upper = (hi - free) / tuning.span;
                *lower = (lo - free) / tuning.span;
            }
        }
        let accumulated = first + 2 * predictions;
        for m in 0..moves {
            for (j, mv) in at.config.mv.iter().enumerate() {
                let at_move = m * inputs + j;
                let rate = at.limits.du_max[j] / mv.span;
                (self.lo[at_move], self.hi[at_move]) = (-rate, rate);
                let (lo, hi) = self.reach.bounds(m, j);
                self.lo[accumulated + at_move] = (lo - at.limits.u_prev[j]) / mv.span;
                self.hi[accumulated + at_move] = (hi - at.limits.u_prev[j]) / mv.span;
            }
        }
    }

    /// Adds the moves up and projects them on the hard bounds, to the last bit.
    fn read_plan(&mut self, at: Situation<'_>) {
        let inputs = self.shape.inputs;
        for at_move in 0..self.u.len() {
            let j = at_move % inputs;
            let before = if at_move < inputs { at.limits.u_prev[j] } else { self.u[at_move - inputs] };
            self.u[at_move] = before + self.solver.x()[at_move] * at.config.mv[j].span;
        }
        self.reach.project(&mut self.u, &at.limits);
        for at_move in 0..self.u.len() {
            let j = at_move % inputs;
            let before = if at_move < inputs { at.limits.u_prev[j] } else { self.u[at_move - inputs] };
            self.x[at_move] = (self.u[at_move] - before) / at.config.mv[j].span;
        }
        self.solver.rows().times(&self.x, &mut self.rows);
    }

    /// What the plan makes of CV `i`: its next value, its last, and what it costs.
    pub(super) fn promise(&self, at: Situation<'_>, i: usize) -> Promise {
        let horizon = self.shape.horizon;
        let tuning = at.config.cv[i];
        let forced = &self.rows[i * horizon..(i + 1) * horizon];
        let y = |t: usize| at.prediction.of(i)[t + 1] + forced[t] * tuning.span;
        let mut promise = Promise { next: y(0), end: y(horizon - 1), cost: 0.0 };
        if at.cv_on[i] {
            let mut slack = 0.0f64;
            for y in (0..horizon).map(y) {
                let error = if tuning.weight > 0.0 { (y - at.reference[i]) / tuning.span } else { 0.0 };
                promise.cost += tuning.weight * error * error;
                slack = slack.max((y - at.cv_hi[i]) / tuning.span).max((at.cv_lo[i] - y) / tuning.span);
            }
            promise.cost += slack * (tuning.soft_linear + tuning.soft_quadratic * slack);
        }
        promise
    }

    /// What the moves themselves cost.
    pub(super) fn move_cost(&self, at: Situation<'_>) -> f64 {
        let inputs = self.shape.inputs;
        let of = |at_move: usize| {
            let mv = at.config.mv[at_move % inputs];
            let away = if mv.rest_weight > 0.0 { (self.u[at_move] - at.rest[at_move % inputs]) / mv.span } else { 0.0 };
            mv.move_weight * self.x[at_move].powi(2) + mv.rest_weight * away * away
        };
        (0..self.u.len()).map(of).sum()
    }
}

/// `2 (Φ'QΦ + R + C'WC)` and, for the slacks, `2 ρ2`.
pub(super) fn hessian(
    shape: StepResponseShape,
    responses: &[f64],
    (config, cv_on): (&DmcConfig, &[bool]),
) -> DMatrix<f64> {
    let StepResponseShape { outputs, inputs, horizon, moves, .. } = shape;
    let unknowns = inputs * moves + outputs;
    let mut hessian = DMatrix::zeros(unknowns, unknowns);
    for (i, tuning) in config.cv.iter().enumerate().filter(|(i, cv)| cv_on[*i] && cv.weight > 0.0) {
        let of = |j: usize| &responses[(i * inputs + j) * horizon..][..horizon];
        for (a, b) in (0..inputs).flat_map(|a| (0..inputs).map(move |b| (a, b))) {
            for late in 0..moves {
                for early in 0..=late {
                    // Both have moved from sample `late` on; the one of the earlier move is older.
                    let sum = correlation(&of(a)[..horizon - late], &of(b)[late - early..horizon - early]);
                    hessian[(late * inputs + a, early * inputs + b)] += 2.0 * tuning.weight * sum;
                }
            }
        }
    }
    for (j, mv) in config.mv.iter().enumerate() {
        for late in 0..moves {
            hessian[(late * inputs + j, late * inputs + j)] += 2.0 * mv.move_weight;
            for early in 0..=late {
                hessian[(late * inputs + j, early * inputs + j)] += 2.0 * mv.rest_weight * (moves - late) as f64;
            }
        }
    }
    for (i, tuning) in config.cv.iter().enumerate() {
        let quadratic = if tuning.soft_quadratic > 0.0 { tuning.soft_quadratic } else { 1.0 };
        hessian[(inputs * moves + i, inputs * moves + i)] = 2.0 * quadratic;
    }
    hessian.fill_upper_triangle_with_lower_triangle();
    hessian
}

/// `Σ a_t b_t` of two slices of equal length, in eight sums so that it vectorises.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a_chunks, b_chunks) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for lane in 0..8 {
            sums[lane] = a[lane].mul_add(b[lane], sums[lane]);
        }
    }
    sums.iter().sum::<f64>() + rest
}
