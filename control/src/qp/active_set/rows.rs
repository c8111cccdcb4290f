//! The general rows of a dense programme: `A x`, by whatever structure makes the product cheap.
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: shapes are checked at construction")]

use nalgebra::DMatrix;

use super::lanes::{dot, padded};

/// A matrix `A` that is never asked for as a whole.
pub trait Rows: std::fmt::Debug + Send {
    /// Number of rows.
    fn rows(&self) -> usize;

    /// Number of columns: unknowns of the programme.
    fn columns(&self) -> usize;

    /// Writes row `i < rows` into `out`, of `columns` numbers. Asked at construction, and per active row in the final
    /// check.
    fn row_into(&self, i: usize, out: &mut [f64]);

    /// `out = A x`, with `x` of `columns` and `out` of `rows` numbers. Asked once per added row: the hot path.
    fn times(&self, x: &[f64], out: &mut [f64]);
}

/// A matrix without structure, row by row.
#[derive(Clone, Debug)]
pub struct DenseRows {
    rows: usize,
    columns: usize,
    stride: usize,
    values: Vec<f64>,
}

impl DenseRows {
    /// The rows of `matrix`.
    #[must_use]
    pub fn new(matrix: &DMatrix<f64>) -> Self {
        let (rows, columns) = matrix.shape();
        let stride = padded(columns);
        let mut values = vec![0.0; rows * stride];
        for i in 0..rows {
            for j in 0..columns {
                values[i * stride + j] = matrix[(i, j)];
            }
        }
        Self { rows, columns, stride, values }
    }

    /// No rows at all: a programme with boxes only.
    #[must_use]
    pub fn none(columns: usize) -> Self {
        Self::new(&DMatrix::zeros(0, columns))
    }
}

impl Rows for DenseRows {
    fn rows(&self) -> usize {
        self.rows
    }

    fn columns(&self) -> usize {
        self.columns
    }

    fn row_into(&self, i: usize, out: &mut [f64]) {
        out.copy_from_slice(&self.values[i * self.stride..i * self.stride + self.columns]);
    }

    fn times(&self, x: &[f64], out: &mut [f64]) {
        for (out, row) in out.iter_mut().zip(self.values.chunks_exact(self.stride.max(1))) {
            *out = dot(&row[..self.columns], x);
        }
    }
}
