//! The classic Runge-Kutta step of order four, with the exact derivatives of the discrete map.
//!
//! Over an interval with u and p held, split in n equal sub-steps of length h (in the model's unit of time):
//!
//! ```text
//! k_s  = f(x + c_s h k_{s-1}, u, p),   c = (0, 1/2, 1/2, 1)
//! x⁺   = x + h/6 (k_1 + 2 k_2 + 2 k_3 + k_4)
//! ```
//!
//! The sensitivities differentiate this map itself, not the differential equation. With `S = [∂x/∂x₀ | ∂x/∂u]`,
//! begun as `[I | 0]`, each stage has `K_s = f_x (S + c_s h K_{s-1}) + [0 | f_u]` at that stage's point, and S is
//! updated as x is. So they agree with finite differences of the step to rounding, whatever h is.
//!
//! # Invariants
//! - No allocation in a step: the work space is sized once, from the model's card.
//! - Total: a wrong length leaves what exceeds it untouched; a number that is not finite stays so.
//!
//! Source: Hairer, Nørsett and Wanner, *Solving Ordinary Differential Equations I*, II.1 and I.14.

use nalgebra::DMatrix;

use crate::PlantModel;

/// Stage nodes c and weights b of the classic method.
const STAGES: [(f64, f64); 4] = [(0.0, 1.0 / 6.0), (0.5, 1.0 / 3.0), (0.5, 1.0 / 3.0), (1.0, 1.0 / 6.0)];

/// What acts on the plant over one interval, held constant.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// Inputs, NU of them, in model units.
    pub u: &'a [f64],
    /// Disturbances, NP of them, in model units.
    pub p: &'a [f64],
    /// Length of the interval, s.
    pub dt_s: f64,
    /// Equal sub-steps that it is split into; 0 counts as 1.
    pub substeps: usize,
}

/// The integrator of one model, with its work space.
#[derive(Clone, Debug)]
pub struct Rk4 {
    model: &'static dyn PlantModel,
    /// The stage's point, its slope, and the weighted sum of slopes; NX each.
    point: Vec<f64>,
    slope: Vec<f64>,
    sum: Vec<f64>,
    /// `f_x` (NX × NX) and `f_u` (NX × NU) at the stage's point.
    a: DMatrix<f64>,
    b: DMatrix<f64>,
    /// S, the stage's `S + c h K`, its K, and the weighted sum of the Ks; NX × (NX + NU) each.
    s: DMatrix<f64>,
    s_point: DMatrix<f64>,
    s_slope: DMatrix<f64>,
    s_sum: DMatrix<f64>,
}

impl Rk4 {
    /// An integrator for `model`.
    #[must_use]
    pub fn new(model: &'static dyn PlantModel) -> Self {
        let (nx, nu) = (model.card().states.len(), model.card().inputs.len());
        let wide = DMatrix::zeros(nx, nx + nu);
        Self {
            model,
            point: vec![0.0; nx],
            slope: vec![0.0; nx],
            sum: vec![0.0; nx],
            a: DMatrix::zeros(nx, nx),
            b: DMatrix::zeros(nx, nu),
            s: wide.clone(),
            s_point: wide.clone(),
            s_slope: wide.clone(),
            s_sum: wide,
        }
    }

    /// The model that is integrated.
    #[must_use]
    pub fn model(&self) -> &'static dyn PlantModel {
        self.model
    }

    /// Moves `x` (NX) over the interval.
    pub fn step(&mut self, x: &mut [f64], held: &Held<'_>) {
        let (h, substeps) = self.substep(held);
        for _ in 0..substeps {
            self.sum.fill(0.0);
            self.slope.fill(0.0);
            for (c, weight) in STAGES {
                self.stage(x, c * h, weight, held);
            }
            add_scaled(x, h, &self.sum);
        }
    }

    /// Moves `x` (NX) over the interval and gives the derivatives of its end: `ad = ∂x⁺/∂x` (NX × NX) and
    /// `bd = ∂x⁺/∂u` (NX × NU), both overwritten whole.
    pub fn step_with_sensitivities(
        &mut self,
        x: &mut [f64],
        held: &Held<'_>,
        ad: &mut DMatrix<f64>,
        bd: &mut DMatrix<f64>,
    ) {
        let (h, substeps) = self.substep(held);
        self.s.fill_with_identity();
        for _ in 0..substeps {
            self.sum.fill(0.0);
            self.slope.fill(0.0);
            self.s_sum.fill(0.0);
            self.s_slope.fill(0.0);
            for (c, weight) in STAGES {
                self.stage(x, c * h, weight, held);
                self.model.rhs_jacobians(&self.point, held.u, held.p, &mut self.a, &mut self.b);
                self.sensitivity_stage(c * h, weight);
            }
            add_scaled(x, h, &self.sum);
            add_scaled(self.s.as_mut_slice(), h, self.s_sum.as_slice());
        }
        let (by_x, by_u) = self.s.as_slice().split_at(self.a.len());
        ad.as_mut_slice().iter_mut().zip(by_x).for_each(|(out, value)| *out = *value);
        bd.as_mut_slice().iter_mut().zip(by_u).for_each(|(out, value)| *out = *value);
    }

    /// Length of a sub-step in the model's unit of time, and their number.
    fn substep(&self, held: &Held<'_>) -> (f64, usize) {
        let substeps = held.substeps.max(1);
        (held.dt_s / self.model.card().time_unit_s / substeps as f64, substeps)
    }

    /// One stage: its point from the last slope, its slope, and the sum.
    fn stage(&mut self, x: &[f64], ch: f64, weight: f64, held: &Held<'_>) {
        for ((point, x), slope) in self.point.iter_mut().zip(x).zip(&self.slope) {
            *point = x + ch * slope;
        }
        self.model.rhs(&self.point, held.u, held.p, &mut self.slope);
        add_scaled(&mut self.sum, weight, &self.slope);
    }

    /// The same for S, with `f_x` and `f_u` at the stage's point.
    fn sensitivity_stage(&mut self, ch: f64, weight: f64) {
        self.s_point.copy_from(&self.s);
        add_scaled(self.s_point.as_mut_slice(), ch, self.s_slope.as_slice());
        let nx = self.point.len().max(1);
        let (by_x, by_u) = self.s_slope.as_mut_slice().split_at_mut(self.a.len());
        by_x.fill(0.0);
        by_u.iter_mut().zip(self.b.as_slice()).for_each(|(k, b)| *k = *b);
        let columns = self.s_slope.as_mut_slice().chunks_exact_mut(nx);
        for (k, point) in columns.zip(self.s_point.as_slice().chunks_exact(nx)) {
            for (a, factor) in self.a.as_slice().chunks_exact(nx).zip(point) {
                add_scaled(k, *factor, a);
            }
        }
        add_scaled(self.s_sum.as_mut_slice(), weight, self.s_slope.as_slice());
    }
}

/// `out += factor * values`.
fn add_scaled(out: &mut [f64], factor: f64, values: &[f64]) {
    out.iter_mut().zip(values).for_each(|(out, value)| *out += factor * value);
}
