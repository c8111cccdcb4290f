//! The steady-state Kalman filter: the gain that P settles at, from the discrete algebraic Riccati equation.
//!
//! ```text
//! P = A P Aᵀ - A P Cᵀ (C P Cᵀ + R)⁻¹ C P Aᵀ + Q      P: covariance of the prediction
//! K = P Cᵀ (C P Cᵀ + R)⁻¹,   x̂⁺ = A x̂ + B u,   x̂ = x̂⁺ + K (y - C x̂⁺)
//! ```
//!
//! Solved by doubling: with `A₀ = Aᵀ`, `G₀ = Cᵀ R⁻¹ C`, `H₀ = Q` and `W = I + G H`,
//! `A' = A W⁻¹ A`, `G' = G + A W⁻¹ G Aᵀ`, `H' = H + Aᵀ H W⁻¹ A`. After k doublings H is what 2ᵏ steps of the Riccati
//! recursion give from nothing; it converges quadratically to the stabilising solution if (A, C) is detectable and
//! (A, Q) has no mode on the unit circle out of the noise's reach.
//!
//! Sources: B. D. O. Anderson, Second-order convergent algorithms for the steady-state Riccati equation, Int. J.
//! Control 28 (1978) 295; E. K.-W. Chu et al., A structure-preserving doubling algorithm for periodic discrete-time
//! algebraic Riccati equations, Int. J. Control 77 (2004) 767.

#![allow(clippy::indexing_slicing, reason = "a numeric kernel: every length is checked at construction")]

use nalgebra::DMatrix;

use super::panel::{Panel, add_scaled, padded};
use super::{LinearModel, sparse_dot};
use crate::estimation::config::EstimationError;
use crate::estimation::filter::{Correction, Outcome};

/// The most doublings: 2⁵⁰ steps of the recursion.
const DOUBLINGS_MAX: usize = 50;
/// Relative change of P at which the doubling has settled.
const CHANGE_MAX: f64 = 1e-14;
/// Largest element of the closed loop's last power.
const STABLE_MAX: f64 = 1e-3;
/// The largest relative residual of a solution.
pub(super) const RESIDUAL_MAX: f64 = 1e-9;

/// A stabilising solution of the filter's Riccati equation.
#[derive(Clone, Debug, PartialEq)]
pub struct RiccatiSolution {
    /// Covariance of the prediction, NX × NX.
    pub p: DMatrix<f64>,
    /// The gain K, NX × NY.
    pub gain: DMatrix<f64>,
    /// What the equation leaves, relative to the largest element of P.
    pub residual: f64,
}

/// Solves the discrete algebraic Riccati equation of the filter.
///
/// # Errors
/// [`EstimationError::NoSteadyState`] with the residual reached when the doubling does not converge: a mode that is
/// unstable and not measured, or on the unit circle without noise. The errors of [`LinearModel::check`].
pub fn riccati(model: &LinearModel) -> Result<RiccatiSolution, EstimationError> {
    model.check()?;
    let nx = model.a.nrows();
    let unit = DMatrix::<f64>::identity(nx, nx);
    let mut weighted = model.c.clone();
    for (i, r) in model.r.iter().enumerate() {
        weighted.row_mut(i).scale_mut(1.0 / r);
    }
    let (mut a, mut g, mut h) = (model.a.transpose(), model.c.transpose() * weighted, model.q.clone());
    for _ in 0..DOUBLINGS_MAX {
        let lu = (&unit + &g * &h).lu();
        let (Some(wa), Some(wg)) = (lu.solve(&a), lu.solve(&g)) else { break };
        let step = a.transpose() * &h * &wa;
        g = symmetric(&g + &a * wg * a.transpose());
        a = &a * wa;
        let change = step.amax();
        h = symmetric(h + step);
        if !change.is_finite() || change <= CHANGE_MAX * h.amax() {
            break;
        }
    }
    // A carries the closed loop's powers: what is left of it is a mode that the gain does not stabilise.
    let left = a.amax();
    if left.is_finite() && left < STABLE_MAX {
        finish(model, h)
    } else {
        Err(EstimationError::NoSteadyState { residual: left })
    }
}

/// Gain and residual of a candidate P; refused if the residual is too large.
fn finish(model: &LinearModel, p: DMatrix<f64>) -> Result<RiccatiSolution, EstimationError> {
    let pc = &p * model.c.transpose();
    let mut s = &model.c * &pc;
    for (i, r) in model.r.iter().enumerate() {
        s[(i, i)] += r;
    }
    let gain = s.cholesky().map(|s| s.solve(&pc.transpose()).transpose());
    let Some(gain) = gain else { return Err(EstimationError::NoSteadyState { residual: f64::INFINITY }) };
    let posterior = &p - &gain * pc.transpose();
    let next = &model.a * posterior * model.a.transpose() + &model.q;
    let size = p.amax().max(f64::MIN_POSITIVE);
    let residual = (next - &p).amax() / size;
    if residual <= RESIDUAL_MAX {
        Ok(RiccatiSolution { p, gain, residual })
    } else {
        Err(EstimationError::NoSteadyState { residual })
    }
}

fn symmetric(m: DMatrix<f64>) -> DMatrix<f64> {
    0.5 * (&m + m.transpose())
}

/// A filter with a constant gain: no covariance is carried, a step costs one product with A, B and K each.
///
/// A missing row is left out of the correction with the gain of the others unchanged, which is stable for a stable
/// plant and not optimal; where rows are often missing, [`super::Kalman`] is the better choice.
#[derive(Clone, Debug)]
pub struct SteadyKalman {
    nx: usize,
    nu: usize,
    a: Panel,
    b: Panel,
    c: Vec<Vec<(usize, f64)>>,
    gain: Panel,
    /// Inverse Cholesky factor of `C P Cᵀ + R`, row by row, for the innovations' size.
    whiten: DMatrix<f64>,
    x0: Vec<f64>,
    x: Vec<f64>,
    next: Vec<f64>,
    innovation: Vec<f64>,
}

impl SteadyKalman {
    /// The steady-state filter of `model`, begun at `x0` (NX).
    ///
    /// # Errors
    /// Those of [`riccati`], and [`EstimationError::Length`] for `x0`.
    pub fn new(model: &LinearModel, x0: &[f64]) -> Result<Self, EstimationError> {
        let solution = riccati(model)?;
        let (nx, ny) = (model.a.nrows(), model.c.nrows());
        if x0.len() != nx {
            return Err(EstimationError::Length { list: "x0", got: x0.len(), expected: nx });
        }
        let mut s = &model.c * &solution.p * model.c.transpose();
        for (i, r) in model.r.iter().enumerate() {
            s[(i, i)] += r;
        }
        let whiten = s.cholesky().and_then(|s| s.l().solve_lower_triangular(&DMatrix::identity(ny, ny)));
        let whiten = whiten.ok_or(EstimationError::NoSteadyState { residual: f64::INFINITY })?;
        let row = |i: usize| model.c.row(i).iter().copied().enumerate().filter(|(_, c)| c.abs() > 0.0).collect();
        let mut x = vec![0.0; padded(nx)];
        x[..nx].copy_from_slice(x0);
        Ok(Self {
            nx,
            nu: model.b.ncols(),
            a: Panel::from(&model.a),
            b: Panel::from(&model.b),
            c: (0..ny).map(row).collect(),
            gain: Panel::from(&solution.gain),
            whiten,
            next: x.clone(),
            x0: x.clone(),
            x,
            innovation: vec![0.0; ny],
        })
    }

    /// One period: predicts under `u` (NU), corrects with `y` (NY; not finite: missing). A wrong length or an input
    /// that is not finite changes nothing; a state that is not finite any more begins anew at `x0`. The normalised
    /// innovation squared is reported when every row is there.
    pub fn step(&mut self, u: &[f64], y: &[f64]) -> Correction {
        let fits = u.len() == self.nu && y.len() == self.c.len();
        if !fits || u.iter().any(|u| !u.is_finite()) {
            return Correction::none(Outcome::Refused);
        }
        self.next.fill(0.0);
        for (j, x) in self.x.iter().enumerate().take(self.nx) {
            add_scaled(&mut self.next, *x, self.a.column(j));
        }
        for (j, u) in u.iter().enumerate() {
            add_scaled(&mut self.next, *u, self.b.column(j));
        }
        let mut correction = Correction::none(Outcome::Predicted);
        for ((nu, row), y) in self.innovation.iter_mut().zip(&self.c).zip(y) {
            *nu = if y.is_finite() { y - sparse_dot(row, &self.next) } else { 0.0 };
        }
        std::mem::swap(&mut self.x, &mut self.next);
        for (j, nu) in self.innovation.iter().enumerate() {
            add_scaled(&mut self.x, *nu, self.gain.column(j));
        }
        if self.x.iter().any(|x| !x.is_finite()) {
            self.x.copy_from_slice(&self.x0);
            return Correction::none(Outcome::Lost);
        }
        if y.iter().all(|y| y.is_finite()) {
            for i in 0..y.len() {
                let whitened: f64 = (0..=i).map(|j| self.whiten[(i, j)] * self.innovation[j]).sum();
                correction.add(whitened * whitened, self.whiten[(i, i)].powi(-2));
            }
        } else if y.iter().any(|y| y.is_finite()) {
            correction.outcome = Outcome::Corrected;
        }
        correction
    }

    /// The state x̂, NX.
    #[must_use]
    pub fn x(&self) -> &[f64] {
        &self.x[..self.nx]
    }
}
