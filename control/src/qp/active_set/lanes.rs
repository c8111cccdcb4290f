//! Dot products and multiples of vectors, in a form that compiles to vector code.
//!
//! A strict `f64` sum is a chain that no compiler may reorder; here the order is four lanes by four accumulators, so it
//! is both fast and the same on every machine with fused multiply-add.
#![allow(clippy::indexing_slicing, reason = "indices run over the lanes of fixed-size chunks")]

/// Lengths of vectors that go through here often are rounded up to a multiple of this, with zeros.
pub(super) const LANES: usize = 4;

/// The next multiple of [`LANES`].
pub(super) const fn padded(len: usize) -> usize {
    len.next_multiple_of(LANES)
}

/// `a'b` over the shorter of the two.
#[inline]
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let len = a.len().min(b.len());
    let (a, b) = (&a[..len], &b[..len]);
    let (a16, a_rest) = a.as_chunks::<16>();
    let (b16, b_rest) = b.as_chunks::<16>();
    let mut sums = [0.0; 16];
    for (a, b) in a16.iter().zip(b16) {
        for lane in 0..16 {
            sums[lane] = a[lane].mul_add(b[lane], sums[lane]);
        }
    }
    let (a4, a_tail) = a_rest.as_chunks::<LANES>();
    let (b4, b_tail) = b_rest.as_chunks::<LANES>();
    for (a, b) in a4.iter().zip(b4) {
        for lane in 0..LANES {
            sums[lane] = a[lane].mul_add(b[lane], sums[lane]);
        }
    }
    let mut sum = [0.0; LANES];
    for lane in 0..LANES {
        sum[lane] = (sums[lane] + sums[lane + 4]) + (sums[lane + 8] + sums[lane + 12]);
    }
    let tail = a_tail.iter().zip(b_tail).fold(0.0, |tail, (a, b)| a.mul_add(*b, tail));
    (sum[0] + sum[2]) + (sum[1] + sum[3]) + tail
}

/// `y += factor · x` over the shorter of the two.
#[inline]
pub(super) fn add_multiple(y: &mut [f64], factor: f64, x: &[f64]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = factor.mul_add(*x, *y);
    }
}

/// The largest size; NaN counts as infinite.
pub(super) fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest: f64, value| if value.is_nan() { f64::INFINITY } else { largest.max(value.abs()) })
}
