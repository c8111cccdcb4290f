//! Between the slices of [`PlantModel`](crate::PlantModel) and the fixed shapes in which a model is written.
//!
//! A wrong length gives NaN in and nothing out of bounds: the models are total.

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
