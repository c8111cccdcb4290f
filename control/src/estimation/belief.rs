//! The arithmetic of the filter: a mean and a covariance, moved by the model and corrected by one scalar at a time.
//!
//! The state is `z = [x; θ; d]` of [`super::system`], NZ numbers. The covariance P is kept symmetric bit for bit: its
//! lower triangle is computed and mirrored. Only the used part of the fixed storage is ever touched.
//!
//! Sources: R. S. Bucy and P. D. Joseph, *Filtering for Stochastic Processes*, 1968 (the stabilised update);
//! G. J. Bierman, *Factorization Methods for Discrete Sequential Estimation*, 1977 (scalar updates).

#![allow(clippy::indexing_slicing, reason = "a numeric kernel: nx <= n <= MAX_Z, set once by the system")]
#![allow(clippy::needless_range_loop, reason = "matrix formulas read best by their indices")]

use plant_models::MAX_STATES;
use signals::MAX_CVS;

/// The most elements of z.
pub(super) const MAX_Z: usize = MAX_STATES + MAX_CVS;

/// A direction in z: one row of the measurement matrix.
pub(super) type Row = [f64; MAX_Z];

/// Work space of a belief, or a factor of its P.
pub(super) type Square = [Row; MAX_Z];

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
    /// `z`, whose first `nx` elements the model moves, with independent standard deviations `sd`. Its caller has
    /// checked the capacity.
    pub(super) fn new(nx: usize, z: &[f64], sd: &[f64]) -> Self {
        let mut belief = Self { nx, n: sd.len(), mean: [0.0; MAX_Z], p: [[0.0; MAX_Z]; MAX_Z] };
        belief.mean[..z.len()].copy_from_slice(z);
        for (i, sd) in sd.iter().enumerate() {
            belief.p[i][i] = sd * sd;
        }
        belief
    }

    /// NX and NZ.
    pub(super) fn shape(&self) -> (usize, usize) {
        (self.nx, self.n)
    }

    /// The mean, all of it (NZ).
    pub(super) fn mean(&self) -> &[f64] {
        &self.mean[..self.n]
    }

    /// The mean, to be moved.
    pub(super) fn mean_mut(&mut self) -> &mut [f64] {
        &mut self.mean[..self.n]
    }

    /// The states' mean (NX).
    pub(super) fn x(&self) -> &[f64] {
        &self.mean[..self.nx]
    }

    /// The covariance of elements `i` and `j`.
    pub(super) fn covariance(&self, i: usize, j: usize) -> f64 {
        self.p[i][j]
    }

    /// Row `i` of P (NZ).
    pub(super) fn row(&self, i: usize) -> &[f64] {
        &self.p[i][..self.n]
    }

    /// Holds element `i` of the mean between `low` and `high`.
    pub(super) fn clamp(&mut self, i: usize, low: f64, high: f64) {
        self.mean[i] = self.mean[i].max(low).min(high);
    }

    /// Copies another belief of the same shape: its used part only.
    pub(super) fn copy_from(&mut self, other: &Self) {
        let n = other.n;
        (self.nx, self.n) = (other.nx, n);
        self.mean[..n].copy_from_slice(&other.mean[..n]);
        for (row, from) in self.p.iter_mut().zip(&other.p).take(n) {
            row[..n].copy_from_slice(&from[..n]);
        }
    }

    /// The variance of element `i`.
    pub(super) fn variance(&self, i: usize) -> f64 {
        self.p[i][i]
    }

    /// Time update of P: `P⁺ = F P Fᵀ + diag(q)` with `F = [U; 0 I]`, `U` moving the first NX elements.
    ///
    /// `upper` is U, NX × m by columns, NX ≤ m ≤ NZ: only the first m elements of z move x. `q` holds NZ variances.
    /// The mean is moved by the caller.
    pub(super) fn predict(&mut self, upper: &[f64], q: &[f64], work: &mut Square) {
        let (nx, n) = (self.nx, self.n);
        // The upper rows of F P; the lower ones are those of P.
        for i in 0..nx {
            let fp = &mut work[i][..n];
            fp.fill(0.0);
            for (column, p) in upper.chunks_exact(nx).zip(&self.p) {
                let factor = column[i];
                fp.iter_mut().zip(p).for_each(|(fp, p)| *fp = p.mul_add(factor, *fp));
            }
        }
        for i in 0..nx {
            for j in 0..=i {
                let columns = upper.chunks_exact(nx).zip(&work[i]);
                let value = columns.fold(0.0, |sum, (column, fp)| column[j].mul_add(*fp, sum));
                self.set(i, j, value);
            }
            for j in nx..n {
                self.set(j, i, work[i][j]);
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
    /// Gives S; `None`, with the belief unchanged, when S is not a positive number.
    pub(super) fn correct(&mut self, h: &Row, innovation: f64, r: f64) -> Option<f64> {
        let n = self.n;
        let ph = self.direction(h);
        let hph = dot(&h[..n], &ph);
        let s = hph + r;
        if !(s.is_finite() && s > 0.0) {
            return None;
        }
        let mut k = [0.0; MAX_Z];
        k[..n].iter_mut().zip(&ph).for_each(|(k, ph)| *k = ph / s);
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
        Some(s)
    }

    /// Whether every number is finite and P is positive semidefinite up to rounding, by its Cholesky factor, which is
    /// left in `l` (lower triangle, rows). A part of z without variance of its own has a zero column.
    pub(super) fn factor(&self, l: &mut Square) -> bool {
        let n = self.n;
        if !self.mean().iter().chain(self.p.iter().take(n).flat_map(|row| &row[..n])).all(|v| v.is_finite()) {
            return false;
        }
        for j in 0..n {
            let variance = self.p[j][j];
            let pivot = variance - dot(&l[j][..j], &l[j]);
            if variance < 0.0 || pivot < -PIVOT_ROUNDING * variance {
                return false;
            }
            // No independent part of its own: a disturbance that is switched off, a state without noise.
            let own = if pivot > PIVOT_ROUNDING * variance { pivot.sqrt() } else { 0.0 };
            l[j][j] = own;
            for i in j + 1..n {
                let rest = self.p[i][j] - dot(&l[i][..j], &l[j]);
                l[i][j] = if own > 0.0 { rest / own } else { 0.0 };
            }
        }
        true
    }

    /// `P h`.
    pub(super) fn direction(&self, h: &Row) -> Row {
        let n = self.n;
        let mut ph = [0.0; MAX_Z];
        for (row, h) in self.p.iter().zip(h).take(n).filter(|(_, h)| h.abs() > 0.0) {
            ph[..n].iter_mut().zip(row).for_each(|(ph, p)| *ph = p.mul_add(*h, *ph));
        }
        ph
    }

    /// `z += w a`, `P -= w wᵀ`: a correction by a whitened scalar `a` in the direction `w`.
    pub(super) fn shift(&mut self, w: &Row, a: f64) {
        for i in 0..self.n {
            self.mean[i] += w[i] * a;
            for j in 0..=i {
                let value = self.p[i][j] - w[i] * w[j];
                self.set(i, j, value);
            }
        }
    }

    /// Replaces element (i, j) of P, and (j, i).
    pub(super) fn set(&mut self, i: usize, j: usize, value: f64) {
        self.p[i][j] = value;
        self.p[j][i] = value;
    }
}

/// `aᵀb` over the shorter of the two, summed in order.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use nalgebra::{DMatrix, DVector};

    use super::*;

    fn row(values: &[f64]) -> Row {
        let mut row = [0.0; MAX_Z];
        row[..values.len()].copy_from_slice(values);
        row
    }

    /// Two states, a parameter and an offset, against the textbook's matrices written out with nalgebra.
    #[test]
    fn a_cycle_equals_the_matrix_formulas() {
        let mut belief = Belief::new(2, &[1.0, -2.0, 0.3, 0.0], &[0.5, 2.0, 1.5, 0.7]);
        let mut work = [[0.0; MAX_Z]; MAX_Z];
        let upper = DMatrix::from_row_slice(2, 3, &[0.9, 0.2, 0.4, -0.1, 1.05, -0.3]);
        let (q, h, r, nu) = ([0.01, 0.02, 0.03, 0.04], [0.3, 1.0, 0.0, 1.0], 0.25, 0.7);
        let moved = [0.5, -2.2, 0.3, 0.0];
        let mut f = DMatrix::identity(4, 4);
        f.view_mut((0, 0), (2, 3)).copy_from(&upper);
        let mut p = DMatrix::from_diagonal(&DVector::from_row_slice(&[0.25, 4.0, 2.25, 0.49]));
        for cycle in 0..3 {
            belief.predict(upper.as_slice(), &q, &mut work);
            belief.mean_mut().copy_from_slice(&moved);
            let variance = belief.correct(&row(&h), nu, r).unwrap();

            p = &f * p * f.transpose() + DMatrix::from_diagonal(&DVector::from_row_slice(&q));
            let h = DMatrix::from_row_slice(1, 4, &h);
            let s = (&h * &p * h.transpose())[(0, 0)] + r;
            let k = &p * h.transpose() / s;
            let i_kh = DMatrix::identity(4, 4) - &k * &h;
            p = &i_kh * &p * i_kh.transpose() + &k * k.transpose() * r;
            let mean = DVector::from_row_slice(&moved) + k.column(0) * nu;
            assert!((variance - s).abs() < 1e-13);
            for i in 0..4 {
                assert!((belief.mean()[i] - mean[i]).abs() < 1e-13);
                for j in 0..4 {
                    assert!((belief.covariance(i, j) - p[(i, j)]).abs() < 1e-13, "cycle {cycle} P[{i}, {j}]");
                    assert_eq!(belief.covariance(i, j).to_bits(), belief.covariance(j, i).to_bits());
                }
            }
        }
        // And P is what its factor says.
        assert!(belief.factor(&mut work));
        let l = DMatrix::from_fn(4, 4, |i, j| if j <= i { work[i][j] } else { 0.0 });
        assert!((&l * l.transpose() - p).amax() < 1e-13);
    }

    #[test]
    fn an_indefinite_covariance_and_a_nan_are_not_sound() {
        let mut work = [[0.0; MAX_Z]; MAX_Z];
        let mut is_sound = |belief: &Belief| belief.factor(&mut work);
        let sound = Belief::new(2, &[1.0, 2.0, 0.0], &[1.0, 1.0, 0.0]);
        assert!(is_sound(&sound));
        let mut indefinite = sound;
        indefinite.set(1, 0, 1.001);
        assert!(!is_sound(&indefinite));
        let mut negative = sound;
        negative.p[2][2] = -1e-300;
        assert!(!is_sound(&negative));
        let mut nan_mean = sound;
        nan_mean.mean[0] = f64::NAN;
        assert!(!is_sound(&nan_mean));
        let mut infinite = sound;
        infinite.p[1][1] = f64::INFINITY;
        assert!(!is_sound(&infinite));
    }

    #[test]
    fn an_unusable_innovation_variance_leaves_the_belief_alone() {
        let before = Belief::new(1, &[1.0, 0.0], &[1.0, 1.0]);
        for r in [-3.0, f64::NAN, f64::INFINITY] {
            let mut belief = before;
            assert_eq!(belief.correct(&row(&[1.0, 1.0]), 0.5, r), None);
            assert_eq!(belief, before);
        }
    }
}
