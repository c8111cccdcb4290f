//! Linear equations of a size known at run time, without allocation.
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: lengths are checked at its top")]

/// A pivot below this share of the largest element, times n, is rounding: the matrix is singular.
const PIVOT_LEAST: f64 = 1e-13;

/// Solves `A X = B` by Gaussian elimination with row exchanges: `a` (n × n) is destroyed, `b` (n × any) becomes X. False
/// when A is singular or a number is not finite.
///
/// Source: Golub and Van Loan, *Matrix Computations*, 4th ed., 3.4.
pub(super) fn solve_in_place(a: &mut [f64], b: &mut [f64], n: usize) -> bool {
    debug_assert!(a.len() == n * n && b.len().is_multiple_of(n));
    let least = PIVOT_LEAST * n as f64 * a.iter().fold(0.0, |most, a| f64::max(most, a.abs()));
    for k in 0..n {
        let pivot = (k..n).fold(k, |best, i| if a[i + k * n].abs() > a[best + k * n].abs() { i } else { best });
        if !a[pivot + k * n].is_finite() || a[pivot + k * n].abs() <= least {
            return false;
        }
        for matrix in [&mut *a, &mut *b] {
            matrix.chunks_exact_mut(n).for_each(|column| column.swap(k, pivot));
        }
        for i in k + 1..n {
            let factor = a[i + k * n] / a[k + k * n];
            (k + 1..n).for_each(|j| a[i + j * n] -= factor * a[k + j * n]);
            b.chunks_exact_mut(n).for_each(|column| column[i] -= factor * column[k]);
        }
    }
    for column in b.chunks_exact_mut(n) {
        for k in (0..n).rev() {
            column[k] /= a[k + k * n];
            (0..k).for_each(|i| column[i] -= a[i + k * n] * column[k]);
        }
    }
    b.iter().all(|x| x.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equations_are_solved_and_singular_ones_refused() {
        // [0 2; 3 1] x = [4; 5] needs an exchange of rows.
        let (mut a, mut b) = ([0.0, 3.0, 2.0, 1.0], [4.0, 5.0, 2.0, 4.0]);
        assert!(solve_in_place(&mut a, &mut b, 2));
        for (got, want) in b.iter().zip([1.0, 2.0, 1.0, 1.0]) {
            assert!((got - want).abs() < 1e-15, "{b:?}");
        }
        assert!(!solve_in_place(&mut [0.1, 0.3, 0.2, 0.6], &mut [1.0, 1.0], 2), "singular but for rounding");
        assert!(!solve_in_place(&mut [1.0, 2.0, 2.0, 4.0], &mut [1.0, 1.0], 2));
        assert!(!solve_in_place(&mut [f64::NAN, 0.0, 0.0, 1.0], &mut [1.0, 1.0], 2));
    }
}
