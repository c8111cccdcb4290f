//! The classic Runge-Kutta method: `k_s = f(x + c_s h k_{s-1})`, `x⁺ = x + h/6 (k_1 + 2 k_2 + 2 k_3 + k_4)`.

use super::{Carried, Span, plus, times_plus};
use crate::model::Equations;

/// Stage nodes c and weights b.
const STAGES: [(f64, f64); 4] = [(0.0, 1.0 / 6.0), (0.5, 1.0 / 3.0), (0.5, 1.0 / 3.0), (1.0, 1.0 / 6.0)];

/// `COUNT` states side by side.
pub(super) fn step<M, const NX: usize, const NU: usize, const NP: usize, const COUNT: usize>(
    model: &M,
    mut x: [[f64; NX]; COUNT],
    span: &Span<NU, NP>,
) -> [[f64; NX]; COUNT]
where
    M: Equations<NX, NU, NP>,
{
    for _ in 0..span.substeps {
        let (mut slope, mut sum) = ([[0.0; NX]; COUNT], [[0.0; NX]; COUNT]);
        for (c, weight) in STAGES {
            for ((slope, sum), x) in slope.iter_mut().zip(&mut sum).zip(&x) {
                *slope = model.slope(&plus(x, c * span.h, slope), &span.u, &span.p);
                *sum = plus(sum, weight, slope);
            }
        }
        for (x, sum) in x.iter_mut().zip(&sum) {
            *x = plus(x, span.h, sum);
        }
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
        let (mut slope, mut sum) = ([0.0; NX], [0.0; NX]);
        let (mut s_slope, mut s_sum) = (Carried::ZERO, Carried::ZERO);
        for (c, weight) in STAGES {
            let at = model.linearised(&plus(&x, c * span.h, &slope), &span.u, &span.p);
            slope = at.slope;
            sum = plus(&sum, weight, &slope);
            let s_point = s.plus(c * span.h, &s_slope);
            for (column, point) in s_slope.by_x.iter_mut().zip(&s_point.by_x) {
                *column = times_plus(&at.by_x, point, [0.0; NX]);
            }
            for ((column, point), f_u) in s_slope.by_u.iter_mut().zip(&s_point.by_u).zip(&at.by_u) {
                *column = times_plus(&at.by_x, point, *f_u);
            }
            s_sum = s_sum.plus(weight, &s_slope);
        }
        x = plus(&x, span.h, &sum);
        s = s.plus(span.h, &s_sum);
    }
    (x, s)
}
