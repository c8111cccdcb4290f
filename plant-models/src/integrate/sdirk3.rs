//! Alexander's three-stage diagonally implicit method: order 3, L-stable, stiffly accurate.
//!
//! ```text
//! k_i = f(x + h Σ_{j<i} a_ij k_j + h γ k_i),   x⁺ = x + h Σ_i b_i k_i,   b_i = a_3i
//! ```
//!
//! Each stage is solved by Newton's method with the exact Jacobian to rounding. The sensitivities follow by the
//! implicit function theorem: `(I - hγ f_x) K_i = f_x (S + h Σ_{j<i} a_ij K_j) + [0 | f_u]`.
#![allow(
    clippy::indexing_slicing,
    clippy::needless_range_loop,
    reason = "a numeric kernel on arrays whose lengths are types"
)]

use std::array::from_fn;

use super::linear::Lu;
use super::{Carried, Span, plus, times_plus};
use crate::model::{Equations, Linearised};

/// The root of `γ³ - 3γ² + 3γ/2 - 1/6` in (1/6, 1/2).
const GAMMA: f64 = 0.435_866_521_508_459;
const TAU: f64 = (1.0 + GAMMA) / 2.0;
const B1: f64 = -(6.0 * GAMMA * GAMMA - 16.0 * GAMMA + 1.0) / 4.0;
const B2: f64 = (6.0 * GAMMA * GAMMA - 20.0 * GAMMA + 5.0) / 4.0;
/// Below the diagonal.
const A: [[f64; 2]; 3] = [[0.0, 0.0], [TAU - GAMMA, 0.0], [B1, B2]];
const B: [f64; 3] = [B1, B2, GAMMA];

/// Newton steps of one stage; a stage that needs more has diverged and becomes NaN.
const NEWTON_MAX: usize = 25;
/// Newton ends when its step moves no state by more than this share of it.
const NEWTON_DONE: f64 = 1e-12;

/// The slope of one stage, with the linearisation and the factor of `I - hγ f_x` there.
struct Stage<const NX: usize, const NU: usize> {
    k: [f64; NX],
    at: Linearised<NX, NU>,
    factor: Lu<NX>,
}

/// Solves `k = f(start + hγ k)` from the guess `k`.
fn stage<M, const NX: usize, const NU: usize, const NP: usize>(
    model: &M,
    start: &[f64; NX],
    mut k: [f64; NX],
    span: &Span<NU, NP>,
) -> Stage<NX, NU>
where
    M: Equations<NX, NU, NP>,
{
    let mut left = NEWTON_MAX;
    loop {
        let at = model.linearised(&plus(start, span.h * GAMMA, &k), &span.u, &span.p);
        let factor = Lu::new(from_fn(|j| from_fn(|i| f64::from(u8::from(i == j)) - span.h * GAMMA * at.by_x[j][i])));
        let step = factor.solve(from_fn(|i| at.slope[i] - k[i]));
        k = plus(&k, 1.0, &step);
        let small = step.iter().zip(start).all(|(dk, x)| (span.h * dk).abs() <= NEWTON_DONE * (1.0 + x.abs()));
        left -= 1;
        if small || left == 0 {
            let k = if small { k } else { [f64::NAN; NX] };
            return Stage { k, at, factor };
        }
    }
}

pub(super) fn step<M, const NX: usize, const NU: usize, const NP: usize>(
    model: &M,
    mut x: [f64; NX],
    span: &Span<NU, NP>,
) -> [f64; NX]
where
    M: Equations<NX, NU, NP>,
{
    for _ in 0..span.substeps {
        let mut k = [[0.0; NX]; 3];
        let mut guess = model.slope(&x, &span.u, &span.p);
        for i in 0..3 {
            let start = A[i].iter().zip(&k).fold(x, |point, (a, k)| plus(&point, span.h * a, k));
            guess = stage(model, &start, guess, span).k;
            k[i] = guess;
        }
        x = B.iter().zip(&k).fold(x, |point, (b, k)| plus(&point, span.h * b, k));
    }
    x
}

pub(super) fn step_with_sensitivities<M, const NX: usize, const NU: usize, const NP: usize>(
    model: &M,
    mut x: [f64; NX],
    span: &Span<NU, NP>,
) -> ([f64; NX], Carried<NX, NU>)
where
    M: Equations<NX, NU, NP>,
{
    let mut s = Carried::identity();
    for _ in 0..span.substeps {
        let (mut k, mut s_k) = ([[0.0; NX]; 3], [Carried::ZERO; 3]);
        let mut guess = model.slope(&x, &span.u, &span.p);
        for i in 0..3 {
            let start = A[i].iter().zip(&k).fold(x, |point, (a, k)| plus(&point, span.h * a, k));
            let s_start = A[i].iter().zip(&s_k).fold(s, |point, (a, k)| point.plus(span.h * a, k));
            let stage = stage(model, &start, guess, span);
            guess = stage.k;
            k[i] = guess;
            let by_x = |j: usize| stage.factor.solve(times_plus(&stage.at.by_x, &s_start.by_x[j], [0.0; NX]));
            let by_u = |j: usize| stage.factor.solve(times_plus(&stage.at.by_x, &s_start.by_u[j], stage.at.by_u[j]));
            s_k[i] = Carried { by_x: from_fn(by_x), by_u: from_fn(by_u) };
        }
        x = B.iter().zip(&k).fold(x, |point, (b, k)| plus(&point, span.h * b, k));
        s = B.iter().zip(&s_k).fold(s, |point, (b, k)| point.plus(span.h * b, k));
    }
    (x, s)
}
