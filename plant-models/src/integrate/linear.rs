//! Linear equations of a fixed small size.
#![allow(
    clippy::indexing_slicing,
    clippy::needless_range_loop,
    reason = "a numeric kernel on arrays whose lengths are types"
)]

/// The LU factors of a square matrix, rows exchanged for the largest pivot. A singular matrix gives solutions that are
/// not finite.
///
/// Source: Golub and Van Loan, *Matrix Computations*, 4th ed., 3.4.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lu<const N: usize> {
    /// By columns: U on and above the diagonal, L below it.
    columns: [[f64; N]; N],
    pivots: [usize; N],
}

impl<const N: usize> Lu<N> {
    /// Factors a matrix given by its columns.
    pub(super) fn new(mut columns: [[f64; N]; N]) -> Self {
        let mut pivots = [0; N];
        for k in 0..N {
            let pivot = (k..N).fold(k, |best, i| if columns[k][i].abs() > columns[k][best].abs() { i } else { best });
            pivots[k] = pivot;
            columns.iter_mut().for_each(|column| column.swap(k, pivot));
            for i in k + 1..N {
                columns[k][i] /= columns[k][k];
            }
            for j in k + 1..N {
                for i in k + 1..N {
                    columns[j][i] -= columns[k][i] * columns[j][k];
                }
            }
        }
        Self { columns, pivots }
    }

    /// The solution for one right-hand side.
    pub(super) fn solve(&self, mut b: [f64; N]) -> [f64; N] {
        for k in 0..N {
            b.swap(k, self.pivots[k]);
            for i in k + 1..N {
                b[i] -= self.columns[k][i] * b[k];
            }
        }
        for k in (0..N).rev() {
            b[k] /= self.columns[k][k];
            for i in 0..k {
                b[i] -= self.columns[k][i] * b[k];
            }
        }
        b
    }
}
