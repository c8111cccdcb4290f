//! Between the slices of [`PlantModel`](crate::PlantModel) and the fixed shapes in which a model is written.
//!
//! A wrong length gives NaN in and nothing out of bounds: the models are total.

use nalgebra::DMatrix;

use crate::model::Equations;

/// The `N` numbers of `values`, or NaNs when there are not exactly `N`.
pub(crate) fn numbers<const N: usize>(values: &[f64]) -> [f64; N] {
    values.try_into().unwrap_or([f64::NAN; N])
}

/// Writes `values` to `out`.
pub(crate) fn put<const N: usize>(out: &mut [f64], values: [f64; N]) {
    out.iter_mut().zip(values).for_each(|(slot, value)| *slot = value);
}

/// Writes a matrix given by its columns to column-major storage.
pub(crate) fn put_columns<const ROWS: usize, const COLUMNS: usize>(out: &mut [f64], columns: [[f64; ROWS]; COLUMNS]) {
    out.iter_mut().zip(columns.as_flattened()).for_each(|(slot, value)| *slot = *value);
}

/// [`PlantModel::rhs`](crate::PlantModel::rhs) of a model in fixed shapes.
pub(crate) fn rhs<M, const NX: usize, const NU: usize, const NP: usize>(
    model: &M,
    (x, u, p): (&[f64], &[f64], &[f64]),
    dx: &mut [f64],
) where
    M: Equations<NX, NU, NP>,
{
    put(dx, model.slope(&numbers(x), &numbers(u), &numbers(p)));
}

/// [`PlantModel::rhs_jacobians`](crate::PlantModel::rhs_jacobians) of a model in fixed shapes.
pub(crate) fn rhs_jacobians<M, const NX: usize, const NU: usize, const NP: usize>(
    model: &M,
    (x, u, p): (&[f64], &[f64], &[f64]),
    a: &mut DMatrix<f64>,
    b: &mut DMatrix<f64>,
) where
    M: Equations<NX, NU, NP>,
{
    let at = model.linearised(&numbers(x), &numbers(u), &numbers(p));
    put_columns(a.as_mut_slice(), at.by_x);
    put_columns(b.as_mut_slice(), at.by_u);
}
