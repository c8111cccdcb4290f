//! The factor of a constant Hessian: made once, used in every solve.
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: every slice has the length set at construction")]

use nalgebra::DMatrix;

use super::QpError;
use super::lanes::{add_multiple, dot};

/// `H = LL'`, by columns.
#[derive(Debug)]
pub(super) struct Cholesky {
    n: usize,
    l: Vec<f64>,
    reciprocal: Vec<f64>,
}

impl Cholesky {
    pub(super) fn new(h: &DMatrix<f64>) -> Result<Self, QpError> {
        let n = h.nrows();
        let mut l = vec![0.0; n * n];
        let mut reciprocal = vec![0.0; n];
        for j in 0..n {
            let (done, column) = l.split_at_mut(j * n);
            for i in j..n {
                column[i] = h[(i, j)];
            }
            for k in 0..j {
                let earlier = &done[k * n..(k + 1) * n];
                add_multiple(&mut column[j..n], -earlier[j], &earlier[j..n]);
            }
            let pivot = column[j];
            // In the negative, so that NaN is refused too.
            if !(pivot > f64::EPSILON * h[(j, j)] && pivot.is_finite()) {
                return Err(QpError::NotPositiveDefinite { pivot: j, value: pivot });
            }
            reciprocal[j] = 1.0 / pivot.sqrt();
            column[j..n].iter_mut().for_each(|l| *l *= reciprocal[j]);
        }
        Ok(Self { n, l, reciprocal })
    }

    /// `b ← L⁻¹b`.
    pub(super) fn forward(&self, b: &mut [f64]) {
        let n = self.n;
        for j in 0..n {
            let y = b[j] * self.reciprocal[j];
            b[j] = y;
            add_multiple(&mut b[j + 1..n], -y, &self.l[j * n + j + 1..(j + 1) * n]);
        }
    }

    /// `b ← L'⁻¹b`.
    pub(super) fn backward(&self, b: &mut [f64]) {
        let n = self.n;
        for j in (0..n).rev() {
            b[j] = (b[j] - dot(&self.l[j * n + j + 1..(j + 1) * n], &b[j + 1..n])) * self.reciprocal[j];
        }
    }
}
