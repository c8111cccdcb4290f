//! Least squares, in the two forms that identification needs.
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: shapes follow from the arguments'")]

use nalgebra::DMatrix;

use super::IdentificationError;

/// A direction of relative length below this counts as absent.
const RANK_TOLERANCE: f64 = 1e-11;

/// The X that minimises `|A X - B|`, for A (m × n, m ≥ n) of full column rank, by QR of A with its columns scaled to
/// length 1. B is m × k, X is n × k.
pub(super) fn least_squares(a: &DMatrix<f64>, b: &DMatrix<f64>) -> Result<DMatrix<f64>, IdentificationError> {
    let n = a.ncols();
    if a.nrows() < n {
        return Err(IdentificationError::Short { samples: a.nrows(), needed: n });
    }
    let norms: Vec<f64> = a.column_iter().map(|column| column.norm()).collect();
    let mut scaled = a.clone();
    for (mut column, norm) in scaled.column_iter_mut().zip(&norms) {
        if *norm > 0.0 {
            column.unscale_mut(*norm);
        }
    }
    let qr = scaled.qr();
    let r = qr.r();
    let rank = singular_rank(&r);
    if rank < n {
        return Err(IdentificationError::Rank { regressors: n, rank });
    }
    let mut right = b.clone();
    qr.q_tr_mul(&mut right);
    let mut x = right.rows(0, n).into_owned();
    r.solve_upper_triangular_mut(&mut x);
    for (mut row, norm) in x.row_iter_mut().zip(&norms) {
        row.unscale_mut(*norm);
    }
    Ok(x)
}

fn singular_rank(r: &DMatrix<f64>) -> usize {
    let values = r.singular_values();
    let floor = values.iter().fold(0.0, |most: f64, value| most.max(*value)) * RANK_TOLERANCE;
    values.iter().filter(|value| **value > floor).count()
}

/// The X of least norm among those that minimise `|A X - B|`, for A of any shape and rank.
pub(super) fn min_norm(a: &DMatrix<f64>, b: &DMatrix<f64>) -> DMatrix<f64> {
    let (r, right) = if a.nrows() > 2 * a.ncols() {
        let qr = a.clone().qr();
        let mut right = b.clone();
        qr.q_tr_mul(&mut right);
        (qr.r(), right.rows(0, a.ncols()).into_owned())
    } else {
        (a.clone(), b.clone())
    };
    let svd = r.svd(true, true);
    let floor = svd.singular_values.iter().fold(0.0, |most: f64, value| most.max(*value)) * RANK_TOLERANCE;
    svd.solve(&right, floor).unwrap_or_else(|_| DMatrix::zeros(a.ncols(), b.ncols()))
}

/// Greatest modulus of the eigenvalues of a square matrix.
pub(super) fn spectral_radius(a: &DMatrix<f64>) -> f64 {
    if a.is_empty() {
        return 0.0;
    }
    a.complex_eigenvalues().iter().fold(0.0, |most: f64, value| most.max(value.norm()))
}
