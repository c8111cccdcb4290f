//! The arithmetic of the filter: a mean and a covariance, moved by the model and corrected by one scalar at a time.
//!
//! The state is `z = [x; d]`, NX + NC numbers. The covariance P is kept symmetric bit for bit: its lower triangle is
//! computed and mirrored.
//!
//! Sources: R. S. Bucy and P. D. Joseph, *Filtering for Stochastic Processes*, 1968 (the stabilised update);
//! G. J. Bierman, *Factorization Methods for Discrete Sequential Estimation*, 1977 (scalar updates).

#![allow(clippy::indexing_slicing, reason = "a numeric kernel: nx <= n <= MAX_Z, set once at construction")]
#![allow(clippy::needless_range_loop, reason = "matrix formulas read best by their indices")]

use nalgebra::DMatrix;
use plant_models::MAX_STATES;
use signals::MAX_CVS;

/// The most elements of z.
pub(super) const MAX_Z: usize = MAX_STATES + MAX_CVS;

/// A direction in z: one row of the measurement matrix.
pub(super) type Row = [f64; MAX_Z];

/// Relative size of a negative pivot that is still rounding.
const PIVOT_ROUNDING: f64 = 1e-10;

/// A Gaussian belief about z: `z ~ N(mean, P)`. Elements from `n` on are zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Belief {
    nx: usize,
    n: usize,
    mean: Row,
    p: [Row; MAX_Z],
}

impl Belief {
    /// `x` and zeros, with independent standard deviations `sd` (NX + NC). Its caller has checked the capacity.
    pub(super) fn new(x: &[f64], sd: &[f64]) -> Self {
        let mut belief = Self { nx: x.len(), n: sd.len(), mean: [0.0; MAX_Z], p: [[0.0; MAX_Z]; MAX_Z] };
        belief.mean[..x.len()].copy_from_slice(x);
        for (i, sd) in sd.iter().enumerate() {
            belief.p[i][i] = sd * sd;
        }
        belief
    }

    /// NX and NX + NC.
    pub(super) fn shape(&self) -> (usize, usize) {
        (self.nx, self.n)
    }

    /// The mean, all of it (NX + NC).
    pub(super) fn mean(&self) -> &[f64] {
        &self.mean[..self.n]
    }

    /// The states' mean (NX).
    pub(super) fn x(&self) -> &[f64] {
        &self.mean[..self.nx]
    }

    /// The output disturbances' mean (NC).
    pub(super) fn d(&self) -> &[f64] {
        &self.mean[self.nx..self.n]
    }

    /// The covariance of elements `i` and `j`.
    #[cfg(test)]
    pub(super) fn covariance(&self, i: usize, j: usize) -> f64 {
        self.p[i][j]
    }

    /// The variance of element `i`.
    pub(super) fn variance(&self, i: usize) -> f64 {
        self.p[i][i]
    }

    /// Time update: `x⁺` is given, d stays, `P⁺ = F P Fᵀ + diag(q)` with `F = blkdiag(ad, I)`.
    ///
    /// `ad` is NX × NX, `q` holds NX + NC variances.
    pub(super) fn predict(&mut self, x: &[f64], ad: &DMatrix<f64>, q: &[f64]) {
        let (nx, n) = (self.nx, self.n);
        self.mean[..nx].copy_from_slice(x);
        // The upper rows of F P; the lower ones are those of P.
        let mut fp = [[0.0; MAX_Z]; MAX_STATES];
        for i in 0..nx {
            for j in 0..n {
                fp[i][j] = (0..nx).map(|k| ad[(i, k)] * self.p[k][j]).sum();
            }
        }
        for i in 0..nx {
            for j in 0..=i {
                let value = (0..nx).map(|k| fp[i][k] * ad[(j, k)]).sum();
                self.set(i, j, value);
            }
            for j in nx..n {
                self.set(j, i, fp[i][j]);
            }
        }
        for (i, q) in q.iter().enumerate().take(n) {
            self.p[i][i] += q;
        }
    }

    /// Measurement update with one scalar, `innovation = y - ŷ`, of direction `h` and noise variance `r`:
    ///
    /// `S = h P hᵀ + r`, `K = P hᵀ / S`, `z += K ν`, `P = (I - K h) P (I - K h)ᵀ + K r Kᵀ`.
    ///
    /// Gives the normalised innovation squared `ν² / S`; `None`, with the belief unchanged, when S is not a positive
    /// number.
    pub(super) fn correct(&mut self, h: &Row, innovation: f64, r: f64) -> Option<f64> {
        let n = self.n;
        let mut ph = [0.0; MAX_Z];
        for (ph, row) in ph.iter_mut().zip(&self.p).take(n) {
            *ph = dot(row, h, n);
        }
        let hph = dot(h, &ph, n);
        let s = hph + r;
        if !(s.is_finite() && s > 0.0) {
            return None;
        }
        let k = ph.map(|ph| ph / s);
        for (z, k) in self.mean.iter_mut().zip(&k).take(n) {
            *z += k * innovation;
        }
        for i in 0..n {
            // Element i of (I - K h) P hᵀ.
            let left = ph[i] - k[i] * hph;
            for j in 0..=i {
                let value = self.p[i][j] - k[i] * ph[j] - left * k[j] + k[i] * r * k[j];
                self.set(i, j, value);
            }
        }
        Some(innovation * innovation / s)
    }

    /// Whether every number is finite and P is positive semidefinite up to rounding (by its Cholesky factor).
    pub(super) fn is_sound(&self) -> bool {
        let n = self.n;
        if !self.mean().iter().chain(self.p.iter().flatten()).all(|v| v.is_finite()) {
            return false;
        }
        let mut l = [[0.0; MAX_Z]; MAX_Z];
        for j in 0..n {
            let pivot = self.p[j][j] - dot(&l[j], &l[j], j);
            if self.p[j][j] < 0.0 || pivot < -PIVOT_ROUNDING * self.p[j][j] {
                return false;
            }
            if pivot <= PIVOT_ROUNDING * self.p[j][j] {
                continue; // No independent part of its own: a disturbance that is switched off, a state without noise.
            }
            l[j][j] = pivot.sqrt();
            for i in j + 1..n {
                let below = (self.p[i][j] - dot(&l[i], &l[j], j)) / l[j][j];
                l[i][j] = below;
            }
        }
        true
    }

    fn set(&mut self, i: usize, j: usize, value: f64) {
        self.p[i][j] = value;
        self.p[j][i] = value;
    }
}

/// The first `n` products, summed in order.
fn dot(a: &Row, b: &Row, n: usize) -> f64 {
    a[..n].iter().zip(&b[..n]).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use nalgebra::DVector;

    use super::*;

    fn row(values: &[f64]) -> Row {
        let mut row = [0.0; MAX_Z];
        row[..values.len()].copy_from_slice(values);
        row
    }

    /// Two states and one disturbance, against the textbook's matrices written out with nalgebra.
    #[test]
    fn a_cycle_equals_the_matrix_formulas() {
        let mut belief = Belief::new(&[1.0, -2.0], &[0.5, 2.0, 1.5]);
        let ad = DMatrix::from_row_slice(2, 2, &[0.9, 0.2, -0.1, 1.05]);
        let (q, h, r, nu) = ([0.01, 0.02, 0.03], [0.3, 1.0, 1.0], 0.25, 0.7);
        belief.predict(&[0.5, -2.2], &ad, &q);
        let nis = belief.correct(&row(&h), nu, r).unwrap();

        let mut f = DMatrix::identity(3, 3);
        f.view_mut((0, 0), (2, 2)).copy_from(&ad);
        let p = DMatrix::from_diagonal(&DVector::from_row_slice(&[0.25, 4.0, 2.25]));
        let p = &f * p * f.transpose() + DMatrix::from_diagonal(&DVector::from_row_slice(&[0.01, 0.02, 0.03]));
        let h = DMatrix::from_row_slice(1, 3, &h);
        let s = (&h * &p * h.transpose())[(0, 0)] + r;
        let k = &p * h.transpose() / s;
        let i_kh = DMatrix::identity(3, 3) - &k * &h;
        let joseph = &i_kh * &p * i_kh.transpose() + &k * k.transpose() * r;
        let mean = DVector::from_row_slice(&[0.5, -2.2, 0.0]) + k.column(0) * nu;

        assert!((nis - nu * nu / s).abs() < 1e-14);
        for i in 0..3 {
            assert!((belief.mean()[i] - mean[i]).abs() < 1e-14);
            for j in 0..3 {
                assert!((belief.covariance(i, j) - joseph[(i, j)]).abs() < 1e-14, "P[{i}, {j}]");
            }
        }
    }

    #[test]
    fn an_indefinite_covariance_and_a_nan_are_not_sound() {
        let sound = Belief::new(&[1.0, 2.0], &[1.0, 1.0, 0.0]);
        assert!(sound.is_sound());
        let mut indefinite = sound;
        indefinite.set(1, 0, 1.001);
        assert!(!indefinite.is_sound());
        let mut negative = sound;
        negative.p[2][2] = -1e-300;
        assert!(!negative.is_sound());
        let mut nan_mean = sound;
        nan_mean.mean[0] = f64::NAN;
        assert!(!nan_mean.is_sound());
        let mut infinite = sound;
        infinite.p[1][1] = f64::INFINITY;
        assert!(!infinite.is_sound());
    }

    #[test]
    fn an_unusable_innovation_variance_leaves_the_belief_alone() {
        let before = Belief::new(&[1.0], &[1.0, 1.0]);
        for r in [-3.0, f64::NAN, f64::INFINITY] {
            let mut belief = before;
            assert_eq!(belief.correct(&row(&[1.0, 1.0]), 0.5, r), None);
            assert_eq!(belief, before);
        }
    }
}
