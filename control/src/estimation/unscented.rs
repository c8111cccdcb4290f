//! The unscented Kalman filter: the belief is carried through the model by 2 n + 1 points instead of a Jacobian.
//!
//! With `λ = α² (n + κ) - n` and L the Cholesky factor of P, the points are `z` and `z ± √(n + λ) L_j`, their weights
//!
//! ```text
//! W₀ᵐ = λ / (n + λ),   W₀ᶜ = W₀ᵐ + 1 - α² + β,   Wⱼ = 1 / (2 (n + λ))
//! ```
//!
//! The points are moved over the period, `z⁻` and `P⁻ = Σ W (Z - z⁻)(Z - z⁻)ᵀ + Q` are taken from them, new points are
//! drawn from these, and the rows are read at the new points. The correction takes the rows through the Cholesky factor
//! of their joint covariance, one after the other, so that a missing row is left out and no matrix is inverted. The
//! parameters and offsets of [`super::system`] are part of z.
//!
//! # Invariants
//! - P is symmetric bit for bit. A belief whose P is not positive semidefinite is [`Outcome::Lost`]: with a large
//!   negative W₀ᶜ (small α) that can happen, and the filter begins anew.
//! - A step does not allocate.
//!
//! Sources: S. J. Julier and J. K. Uhlmann, Unscented filtering and nonlinear estimation, Proc. IEEE 92 (2004) 401;
//! R. van der Merwe, *Sigma-Point Kalman Filters for Probabilistic Inference in Dynamic State-Space Models*, 2004.

#![allow(clippy::needless_range_loop, reason = "matrix formulas read best by their indices")]
#![allow(
    clippy::indexing_slicing,
    reason = "a numeric kernel: every length is set at construction, or checked by admit"
)]

use plant_models::PlantModel;

use super::belief::{Belief, MAX_Z, Row, Square};
use super::config::{EstimationError, numbers};
use super::extended::{BeliefMemory, check_x0};
use super::filter::{Correction, Filter, Lengths, Outcome, Period};
use super::system::{System, SystemConfig};

/// How the points are spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// α, above 0: how far out the points lie.
    pub alpha: f64,
    /// β: 2 is right for a Gaussian.
    pub beta: f64,
    /// κ, above -NZ; `3 - NZ` matches the fourth moment at α = 1.
    pub kappa: f64,
}

impl Spread {
    /// Points at √3 standard deviations with positive weights for up to three elements of z: α = 1, β = 0, κ = 3 - NZ.
    #[must_use]
    pub fn third_order(nz: usize) -> Self {
        Self { alpha: 1.0, beta: 0.0, kappa: 3.0 - nz as f64 }
    }
}

/// Weights of the points and their distance in standard deviations.
#[derive(Clone, Copy, Debug)]
struct Weights {
    distance: f64,
    covariance0: f64,
    other: f64,
}

/// An unscented Kalman filter.
#[derive(Clone, Debug)]
pub struct Unscented {
    system: System,
    weights: Weights,
    begin: Belief,
    belief: Belief,
    whitened: Vec<f64>,
    // Work space: factor of P; points and their deviations, 2 NZ + 1; rows at the points and their mean.
    l: Box<Square>,
    points: Vec<Row>,
    q: Vec<f64>,
    y: Vec<Vec<f64>>,
    y_mean: Vec<f64>,
    /// Factor of the rows' joint covariance, and the directions in z that belong to its columns.
    s: Vec<Vec<f64>>,
    w: Vec<Row>,
}

impl Unscented {
    /// A filter of `model` that begins at the state `x0` (NX) with the configured initial errors.
    ///
    /// # Errors
    /// [`EstimationError`] for the first value that does not fit the model or cannot be worked with.
    pub fn new(
        model: &'static dyn PlantModel,
        config: &SystemConfig,
        spread: Spread,
        x0: &[f64],
    ) -> Result<Self, EstimationError> {
        let system = System::new(model, config)?;
        let (nx, n) = system.shape();
        check_x0(x0, nx)?;
        let size = n as f64;
        numbers("alpha", [spread.alpha], false)?;
        numbers("beta", [spread.beta], true)?;
        numbers("kappa plus the size of z", [spread.kappa + size], false)?;
        let square = spread.alpha * spread.alpha;
        let scale = square * (size + spread.kappa);
        let mean0 = (scale - size) / scale;
        let weights =
            Weights { distance: scale.sqrt(), covariance0: mean0 + 1.0 - square + spread.beta, other: 0.5 / scale };
        let (rows, points) = (config.measured.len(), 2 * n + 1);
        let begin = system.belief(x0);
        Ok(Self {
            weights,
            belief: begin,
            begin,
            whitened: vec![0.0; rows],
            l: Box::new([[0.0; MAX_Z]; MAX_Z]),
            points: vec![[0.0; MAX_Z]; points],
            q: vec![0.0; n],
            y: vec![vec![0.0; rows]; points],
            y_mean: vec![0.0; rows],
            s: vec![vec![0.0; rows]; rows],
            w: vec![[0.0; MAX_Z]; rows],
            system,
        })
    }

    /// One period in which the disturbances `p` (NP) hold: predicts under `u` (NU), corrects with `y` (NY; not finite:
    /// missing).
    pub fn step(&mut self, u: &[f64], p: &[f64], y: &[f64]) -> Correction {
        self.advance(&Period { u, acting: p, now: p, y })
    }

    /// The state x̂, NX.
    #[must_use]
    pub fn x(&self) -> &[f64] {
        self.belief.x()
    }

    /// The estimated disturbances: index on the card, value.
    pub fn parameters(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.system.parameters(self.belief.mean())
    }

    /// Weight of point `i` in a covariance.
    fn weight(&self, i: usize) -> f64 {
        if i == 0 { self.weights.covariance0 } else { self.weights.other }
    }

    /// Draws the points of the belief; `false` when it is not sound.
    fn draw(&mut self) -> bool {
        if !self.belief.factor(&mut self.l) {
            return false;
        }
        let n = self.belief.mean().len();
        for (i, point) in self.points.iter_mut().enumerate() {
            point[..n].copy_from_slice(self.belief.mean());
            if i > 0 {
                let (column, up) = ((i - 1) / 2, i % 2 == 1);
                let distance = if up { self.weights.distance } else { -self.weights.distance };
                for row in column..n {
                    point[row] += distance * self.l[row][column];
                }
            }
        }
        true
    }

    fn predict(&mut self, period: &Period<'_>) {
        let n = self.belief.mean().len();
        self.system.guarded_q(&self.belief, &mut self.q);
        self.system.advance_all(&mut self.points, period);
        // About the first point, so that a large negative weight does not cancel digits of the mean.
        let first = self.points[0];
        let mut shift = [0.0; MAX_Z];
        for point in &self.points[1..] {
            for j in 0..n {
                shift[j] += self.weights.other * (point[j] - first[j]);
            }
        }
        for j in 0..n {
            self.belief.mean_mut()[j] = first[j] + shift[j];
        }
        for point in &mut self.points {
            point[..n].iter_mut().zip(self.belief.mean()).for_each(|(z, mean)| *z -= mean);
        }
        for i in 0..n {
            for j in 0..=i {
                let products = self.points.iter().map(|point| point[i] * point[j]);
                let own = if i == j { self.q[i] } else { 0.0 };
                let value = own + products.enumerate().map(|(k, product)| self.weight(k) * product).sum::<f64>();
                self.belief.set(i, j, value);
            }
        }
    }

    /// Reads the rows at the points, and makes them deviations from their mean.
    fn read_rows(&mut self, now: &[f64]) {
        let n = self.belief.mean().len();
        for (point, y) in self.points.iter().zip(&mut self.y) {
            self.system.predict_rows(&point[..n], now, y);
        }
        for i in 0..self.y_mean.len() {
            let first = self.y[0][i];
            let shift: f64 = self.y[1..].iter().map(|y| self.weights.other * (y[i] - first)).sum();
            self.y_mean[i] = first + shift;
            self.y.iter_mut().for_each(|y| y[i] -= self.y_mean[i]);
        }
        for point in &mut self.points {
            point[..n].iter_mut().zip(self.belief.mean()).for_each(|(z, mean)| *z -= mean);
        }
    }

    /// `None` when a row has no positive variance.
    fn correct(&mut self, period: &Period<'_>) -> Option<Correction> {
        let mut correction = Correction::none(Outcome::Predicted);
        self.read_rows(period.now);
        let n = self.belief.mean().len();
        for (i, measured) in period.y.iter().enumerate() {
            if !measured.is_finite() {
                self.s[i].fill(0.0);
                continue;
            }
            // Row i of the factor of S, and the part of the cross covariance that is not in the rows before.
            let mut variance = self.system.r()[i] + self.weighted(i, |_, y| y[i]);
            let mut innovation = measured - self.y_mean[i];
            let mut w = [0.0; MAX_Z];
            for (j, w) in w.iter_mut().enumerate().take(n) {
                *w = self.weighted(i, |point, _| point[j]);
            }
            for k in 0..i {
                let pivot = self.s[k][k];
                if pivot > 0.0 {
                    let covariance = self.weighted(i, |_, y| y[k]);
                    let before: f64 = (0..k).map(|m| self.s[i][m] * self.s[k][m]).sum();
                    let l = (covariance - before) / pivot;
                    self.s[i][k] = l;
                    variance -= l * l;
                    innovation -= l * self.whitened[k];
                    w[..n].iter_mut().zip(&self.w[k]).for_each(|(w, before)| *w -= l * before);
                } else {
                    self.s[i][k] = 0.0;
                }
            }
            if !(variance > 0.0 && variance.is_finite()) {
                return None;
            }
            let root = variance.sqrt();
            self.s[i][i] = root;
            w[..n].iter_mut().for_each(|w| *w /= root);
            let whitened = innovation / root;
            self.w[i] = w;
            self.whitened[i] = whitened;
            self.belief.shift(&w, whitened);
            correction.add(whitened * whitened, variance);
        }
        Some(correction)
    }

    /// `Σ W part(point, y) y_i` over the points.
    fn weighted(&self, i: usize, part: impl Fn(&Row, &[f64]) -> f64) -> f64 {
        let points = self.points.iter().zip(&self.y).enumerate();
        points.map(|(k, (point, y))| self.weight(k) * part(point, y) * y[i]).sum()
    }
}

impl Filter for Unscented {
    type Memory = BeliefMemory;

    fn memory(&self) -> BeliefMemory {
        BeliefMemory(self.belief)
    }

    fn save(&self, into: &mut BeliefMemory) {
        into.0.copy_from(&self.belief);
    }

    fn load(&mut self, from: &BeliefMemory) {
        self.belief.copy_from(&from.0);
    }

    fn advance(&mut self, period: &Period<'_>) -> Correction {
        if !self.lengths().admit(period) {
            return Correction::none(Outcome::Refused);
        }
        self.whitened.fill(0.0);
        let measured = period.y.iter().any(|y| y.is_finite());
        let mut correction = None;
        if self.draw() {
            self.predict(period);
            correction = if !measured {
                Some(Correction::none(Outcome::Predicted))
            } else if self.draw() {
                self.correct(period)
            } else {
                None
            };
        }
        self.system.clamp_parameters(&mut self.belief);
        let sound = self.belief.factor(&mut self.l) && self.system.is_bounded(&self.belief);
        correction.filter(|_| sound).unwrap_or_else(|| {
            self.belief.copy_from(&self.begin);
            Correction::none(Outcome::Lost)
        })
    }

    fn mean(&self) -> &[f64] {
        self.belief.mean()
    }

    fn covariance(&self, i: usize, j: usize) -> f64 {
        self.belief.row(i.min(MAX_Z - 1)).get(j).copied().unwrap_or(0.0)
    }

    fn whitened(&self) -> &[f64] {
        &self.whitened
    }

    fn lengths(&self) -> Lengths {
        self.system.lengths()
    }
}
