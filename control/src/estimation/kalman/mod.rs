//! The linear Kalman filter, for models of any size, with missing rows and a steady-state gain.
//!
//! ```text
//! x⁺ = A x + B u + w,   w ~ N(0, Q)          time update:         x = A x + B u,  P = A P Aᵀ + Q
//! y  = C x + v,         v ~ N(0, diag(r))    measurement update:  row by row, below
//! ```
//!
//! The rows of y are taken one at a time, which for a diagonal R is exact and lets a missing row be left out. With the
//! rows 1 … m present, their directions projected past those before,
//!
//! ```text
//! g_i = P c_i - Σ_{j<i} w_j (w_jᵀ c_i),   s_i = c_iᵀ g_i + r_i,   w_i = g_i / √s_i,   x += g_i (y_i - c_iᵀ x) / s_i
//! P  -= W Wᵀ
//! ```
//!
//! equals m scalar updates, with P read and written once instead of m times. No matrix is inverted, and the zeros of C
//! cost nothing.
//!
//! # Invariants
//! - P is symmetric bit for bit. A P that has lost its positive diagonal, or has grown beyond [`GROWTH_MAX`], is an
//!   outcome: the filter begins anew.
//! - No allocation in a step.
//!
//! # Sources
//! R. E. Kalman, A new approach to linear filtering and prediction problems, J. Basic Eng. 82 (1960) 35;
//! G. J. Bierman, *Factorization Methods for Discrete Sequential Estimation*, 1977, ch. V (sequential updates).

#![allow(clippy::indexing_slicing, reason = "a numeric kernel: every length is checked at construction or by admit")]

mod panel;
mod steady;

use nalgebra::DMatrix;

use self::panel::{Panel, add_scaled};
use super::config::{EstimationError, numbers};
use super::filter::{Correction, Filter, Lengths, Outcome, Period};

pub use self::steady::{RiccatiSolution, SteadyKalman, riccati};

/// A variance that has grown beyond this many times the largest of P₀ and Q is lost: nothing observes it.
pub const GROWTH_MAX: f64 = 1e12;

/// A linear model with its noises, per period.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearModel {
    /// A, NX × NX.
    pub a: DMatrix<f64>,
    /// B, NX × NU; NU may be 0.
    pub b: DMatrix<f64>,
    /// C, NY × NX.
    pub c: DMatrix<f64>,
    /// Q, NX × NX, symmetric positive semidefinite: covariance of the process noise.
    pub q: DMatrix<f64>,
    /// The diagonal of R, NY: variances of the measurements, above 0.
    pub r: Vec<f64>,
}

impl LinearModel {
    /// Checks shapes and signs.
    ///
    /// # Errors
    /// [`EstimationError`] for the first that does not fit.
    pub fn check(&self) -> Result<(), EstimationError> {
        let (nx, ny) = (self.a.nrows(), self.c.nrows());
        let lengths = [
            ("a", self.a.ncols(), nx),
            ("b", self.b.nrows(), nx),
            ("c", self.c.ncols(), nx),
            ("q", self.q.nrows(), nx),
            ("q", self.q.ncols(), nx),
            ("r", self.r.len(), ny),
        ];
        for (list, got, expected) in lengths {
            if got != expected || expected == 0 {
                return Err(EstimationError::Length { list, got, expected });
            }
        }
        for (list, matrix) in [("a", &self.a), ("b", &self.b), ("c", &self.c), ("q", &self.q)] {
            finite(list, matrix)?;
        }
        covariance("q", &self.q)?;
        numbers("r", self.r.iter().copied(), false)
    }
}

/// Every element finite.
fn finite(list: &'static str, matrix: &DMatrix<f64>) -> Result<(), EstimationError> {
    match matrix.iter().enumerate().find(|(_, v)| !v.is_finite()) {
        Some((entry, value)) => Err(EstimationError::Number { list, entry, value: *value, zero_allowed: true }),
        None => Ok(()),
    }
}

/// Symmetric, and no eigenvalue below 0 but by rounding.
fn covariance(list: &'static str, matrix: &DMatrix<f64>) -> Result<(), EstimationError> {
    finite(list, matrix)?;
    let size = matrix.amax();
    let asymmetry = (matrix - matrix.transpose()).amax();
    let least = matrix.clone().symmetric_eigenvalues().min();
    if asymmetry > 1e-12 * size || least < -1e-12 * size {
        return Err(EstimationError::Covariance { list, least_eigenvalue: least, asymmetry });
    }
    Ok(())
}

/// One row of C without its zeros.
type SparseRow = Vec<(usize, f64)>;

/// The filter of one linear model.
#[derive(Clone, Debug)]
pub struct Kalman {
    lengths: Lengths,
    nx: usize,
    a: Panel,
    b: Panel,
    c: Vec<SparseRow>,
    q: Panel,
    r: Vec<f64>,
    begin: KalmanMemory,
    variance_max: f64,
    belief: KalmanMemory,
    whitened: Vec<f64>,
    // Work space.
    x: Vec<f64>,
    ap: Panel,
    w: Panel,
    g: Vec<f64>,
}

/// What a [`Kalman`] remembers: its belief.
#[derive(Clone, Debug, PartialEq)]
pub struct KalmanMemory {
    x: Vec<f64>,
    p: Panel,
}

impl Kalman {
    /// A filter that believes `x ~ N(x0, p0)`.
    ///
    /// | argument | shape |
    /// |---|---|
    /// | `model` | see [`LinearModel`] |
    /// | `x0` | NX |
    /// | `p0` | NX × NX, symmetric positive semidefinite |
    ///
    /// # Errors
    /// [`EstimationError`] for the first that does not fit.
    pub fn new(model: &LinearModel, x0: &[f64], p0: &DMatrix<f64>) -> Result<Self, EstimationError> {
        model.check()?;
        let (nx, nu, ny) = (model.a.nrows(), model.b.ncols(), model.c.nrows());
        for (list, got) in [("x0", x0.len()), ("p0", p0.nrows()), ("p0", p0.ncols())] {
            if got != nx {
                return Err(EstimationError::Length { list, got, expected: nx });
            }
        }
        finite("x0", &DMatrix::from_column_slice(nx, 1, x0))?;
        covariance("p0", p0)?;
        let row = |i: usize| {
            let row = model.c.row(i);
            row.iter().copied().enumerate().filter(|(_, c)| c.abs() > 0.0).collect::<SparseRow>()
        };
        let square = Panel::zeros(nx, nx);
        let mut x = vec![0.0; square.lead];
        x[..nx].copy_from_slice(x0);
        let begin = KalmanMemory { x: x.clone(), p: Panel::from(&(0.5 * (p0 + p0.transpose()))) };
        let largest = p0.diagonal().amax().max(model.q.diagonal().amax());
        Ok(Self {
            lengths: Lengths { u: nu, p: 0, y: ny },
            nx,
            a: Panel::from(&model.a),
            b: Panel::from(&model.b),
            c: (0..ny).map(row).collect(),
            q: Panel::from(&model.q),
            r: model.r.clone(),
            variance_max: GROWTH_MAX * largest,
            belief: begin.clone(),
            begin,
            whitened: vec![0.0; ny],
            g: vec![0.0; square.lead],
            w: Panel::zeros(nx, ny),
            x,
            ap: square,
        })
    }

    /// One period: predicts under `u` (NU), corrects with `y` (NY; not finite: missing).
    pub fn step(&mut self, u: &[f64], y: &[f64]) -> Correction {
        self.advance(&Period { u, acting: &[], now: &[], y })
    }

    /// The state x̂, NX.
    #[must_use]
    pub fn x(&self) -> &[f64] {
        &self.belief.x[..self.nx]
    }

    /// Begins anew from the first belief.
    pub fn reset(&mut self) {
        self.belief.clone_from(&self.begin);
    }

    fn predict(&mut self, u: &[f64]) {
        let KalmanMemory { x, p } = &mut self.belief;
        self.x.fill(0.0);
        for (j, x) in x.iter().enumerate().take(self.nx) {
            add_scaled(&mut self.x, *x, self.a.column(j));
        }
        for (j, u) in u.iter().enumerate() {
            add_scaled(&mut self.x, *u, self.b.column(j));
        }
        x.copy_from_slice(&self.x);
        self.ap.product(&self.a, p);
        p.symmetric_product(&self.ap, &self.a, &self.q);
    }

    /// `None` when an innovation's variance is not a positive number.
    fn correct(&mut self, y: &[f64]) -> Option<Correction> {
        let KalmanMemory { x, p } = &mut self.belief;
        let lead = p.lead;
        let mut correction = Correction::none(Outcome::Predicted);
        let mut used = 0;
        for (i, ((row, r), y)) in self.c.iter().zip(&self.r).zip(y).enumerate() {
            self.whitened[i] = 0.0;
            if !y.is_finite() {
                continue;
            }
            let (before, rest) = self.w.data.split_at_mut(used * lead);
            self.g.fill(0.0);
            for (j, c) in row {
                add_scaled(&mut self.g, *c, p.column(*j));
            }
            for w in before.chunks_exact(lead) {
                add_scaled(&mut self.g, -sparse_dot(row, w), w);
            }
            let s = sparse_dot(row, &self.g) + r;
            if !(s > 0.0 && s.is_finite()) {
                return None;
            }
            let root = s.sqrt();
            let whitened = (y - sparse_dot(row, x)) / root;
            let w = &mut rest[..lead];
            w.iter_mut().zip(&self.g).for_each(|(w, g)| *w = g / root);
            add_scaled(x, whitened, w);
            self.whitened[i] = whitened;
            correction.add(whitened * whitened, s);
            used += 1;
        }
        p.downdate(&self.w, used);
        Some(correction)
    }

    fn is_sound(&self) -> bool {
        let KalmanMemory { x, p } = &self.belief;
        let variances = (0..self.nx).all(|i| (0.0..=self.variance_max).contains(&p.at(i, i)));
        variances && x.iter().all(|x| x.is_finite())
    }
}

/// The product of a row of C with a dense vector.
fn sparse_dot(row: &[(usize, f64)], v: &[f64]) -> f64 {
    row.iter().map(|(j, c)| c * v[*j]).sum()
}

impl Filter for Kalman {
    type Memory = KalmanMemory;

    fn memory(&self) -> KalmanMemory {
        self.belief.clone()
    }

    fn save(&self, into: &mut KalmanMemory) {
        into.x.copy_from_slice(&self.belief.x);
        into.p.data.copy_from_slice(&self.belief.p.data);
    }

    fn load(&mut self, from: &KalmanMemory) {
        self.belief.x.copy_from_slice(&from.x);
        self.belief.p.data.copy_from_slice(&from.p.data);
    }

    fn advance(&mut self, period: &Period<'_>) -> Correction {
        if !self.lengths.admit(period) {
            return Correction::none(Outcome::Refused);
        }
        self.predict(period.u);
        let correction = self.correct(period.y);
        match correction.filter(|_| self.is_sound()) {
            Some(correction) => correction,
            None => {
                self.belief.x.copy_from_slice(&self.begin.x);
                self.belief.p.data.copy_from_slice(&self.begin.p.data);
                Correction::none(Outcome::Lost)
            }
        }
    }

    fn mean(&self) -> &[f64] {
        self.x()
    }

    fn covariance(&self, i: usize, j: usize) -> f64 {
        if i < self.nx && j < self.nx { self.belief.p.at(i, j) } else { 0.0 }
    }

    fn whitened(&self) -> &[f64] {
        &self.whitened
    }

    fn lengths(&self) -> Lengths {
        self.lengths
    }
}

#[cfg(test)]
mod tests;
