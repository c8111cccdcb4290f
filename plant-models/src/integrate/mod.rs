//! One step over an interval with u and p held, with the exact derivatives of the discrete map.
//!
//! | [`Method`] | for | order | stability |
//! |---|---|---|---|
//! | `Rk4` | plants whose fastest mode is slower than a sub-step | 4 | explicit |
//! | `Sdirk3` | stiff plants | 3 | L-stable |
//!
//! The interval is split into equal sub-steps of length h in the model's unit of time. The sensitivities differentiate
//! the map itself, not the differential equation: with `S = [∂x/∂x₀ | ∂x/∂u]`, begun as `[I | 0]`, each stage carries
//! its own `K = f_x · S_stage + [0 | f_u]`. So they agree with finite differences of the step to rounding.
//!
//! An explicit method leaps over the front of an ignition, to states that the plant cannot reach, and an optimiser finds
//! the shortcut. So an interval over which `Rk4` moves a state by more than a tenth of its range is integrated again in
//! sixteen times as many sub-steps; one that was split into sixteen or more is believed as it is.
//!
//! The arithmetic is compiled once per plant in its own fixed shapes ([`Equations`](crate::Equations)); [`Integrator`]
//! is the door to it for callers that know a plant by name only.
//!
//! # Invariants
//! - No allocation in a step.
//! - Total: a slice of a wrong length gives NaN; a number that is not finite stays so.
//!
//! Sources: Hairer, Nørsett and Wanner, *Solving Ordinary Differential Equations I*, II.1 and I.14; R. Alexander,
//! Diagonally implicit Runge-Kutta methods for stiff O.D.E.'s, *SIAM J. Numer. Anal.* 14 (1977) 1006 (Sdirk3).
#![allow(
    clippy::indexing_slicing,
    clippy::needless_range_loop,
    reason = "a numeric kernel on arrays whose lengths are types"
)]

mod linear;
mod rk4;
mod sdirk3;

use std::array::from_fn;

use nalgebra::DMatrix;

use crate::interval::{Held, Method, Sensitivities};
use crate::model::{Equations, PlantModel, Variable};
use crate::shape::{numbers, put, put_columns};

/// The integrator of one model.
#[derive(Clone, Copy, Debug)]
pub struct Integrator {
    model: &'static dyn PlantModel,
    method: Method,
}

impl Integrator {
    /// An integrator for `model`.
    #[must_use]
    pub fn new(model: &'static dyn PlantModel, method: Method) -> Self {
        Self { model, method }
    }

    /// The classic Runge-Kutta method for `model`.
    #[must_use]
    pub fn rk4(model: &'static dyn PlantModel) -> Self {
        Self::new(model, Method::Rk4)
    }

    /// The model that is integrated.
    #[must_use]
    pub fn model(&self) -> &'static dyn PlantModel {
        self.model
    }

    /// Moves `x` over the interval: one state (NX), or several one after the other, which together take less time than
    /// each by itself and end at the same numbers.
    pub fn step(&self, x: &mut [f64], held: &Held<'_>) {
        self.model.integrate(self.method, x, held, None);
    }

    /// Moves `x` (NX) over the interval and gives the derivatives of its end: `ad = ∂x⁺/∂x` (NX × NX) and
    /// `bd = ∂x⁺/∂u` (NX × NU), both overwritten whole.
    pub fn step_with_sensitivities(
        &self,
        x: &mut [f64],
        held: &Held<'_>,
        ad: &mut DMatrix<f64>,
        bd: &mut DMatrix<f64>,
    ) {
        self.step_into(x, held, Sensitivities { by_x: ad.as_mut_slice(), by_u: bd.as_mut_slice() });
    }

    /// [`Self::step_with_sensitivities`] into slices.
    pub fn step_into(&self, x: &mut [f64], held: &Held<'_>, sensitivities: Sensitivities<'_>) {
        self.model.integrate(self.method, x, held, Some(sensitivities));
    }
}

/// `[∂x/∂x₀ | ∂x/∂u]`, by columns.
#[derive(Clone, Copy, Debug)]
struct Carried<const NX: usize, const NU: usize> {
    by_x: [[f64; NX]; NX],
    by_u: [[f64; NX]; NU],
}

impl<const NX: usize, const NU: usize> Carried<NX, NU> {
    const ZERO: Self = Self { by_x: [[0.0; NX]; NX], by_u: [[0.0; NX]; NU] };

    fn identity() -> Self {
        Self { by_x: from_fn(|j| from_fn(|i| if i == j { 1.0 } else { 0.0 })), by_u: [[0.0; NX]; NU] }
    }

    /// `self + factor · other`.
    #[inline(always)]
    fn plus(&self, factor: f64, other: &Self) -> Self {
        Self {
            by_x: from_fn(|j| plus(&self.by_x[j], factor, &other.by_x[j])),
            by_u: from_fn(|j| plus(&self.by_u[j], factor, &other.by_u[j])),
        }
    }
}

/// `a + factor · b`.
#[inline(always)]
fn plus<const N: usize>(a: &[f64; N], factor: f64, b: &[f64; N]) -> [f64; N] {
    from_fn(|i| factor.mul_add(b[i], a[i]))
}

/// `matrix · v + start`, the matrix by columns.
#[inline(always)]
fn times_plus<const NX: usize>(matrix: &[[f64; NX]; NX], v: &[f64; NX], start: [f64; NX]) -> [f64; NX] {
    let mut out = start;
    for (column, factor) in matrix.iter().zip(v) {
        out = plus(&out, *factor, column);
    }
    out
}

/// What is held, in fixed shapes: inputs, disturbances, length of a sub-step in the model's time, and their number.
#[derive(Clone, Copy, Debug)]
struct Span<const NU: usize, const NP: usize> {
    u: [f64; NU],
    p: [f64; NP],
    h: f64,
    substeps: usize,
}

impl<const NU: usize, const NP: usize> Span<NU, NP> {
    /// Whether an explicit step from `from` to `to` over this interval is to be done again, in finer sub-steps: a state
    /// moved further than [`LEAP`] of its range, or to no number at all.
    #[inline(always)]
    fn is_too_coarse<M: PlantModel, const NX: usize>(&self, model: &M, from: &[f64; NX], to: &[f64; NX]) -> bool {
        let states = model.card().states.iter().zip(from.iter().zip(to));
        let near =
            |(state, (from, to)): (&Variable, (&f64, &f64))| (to - from).abs() <= LEAP * (state.high - state.low);
        self.substeps < FINER && !states.map(near).fold(true, |all, near| all & near)
    }

    /// The same interval in [`FINER`] times as many sub-steps.
    fn finer(&self) -> Self {
        Self { h: self.h / FINER as f64, substeps: self.substeps * FINER, ..*self }
    }
}

/// The share of a state's range that an explicit step may cross in one interval before it is doubted.
const LEAP: f64 = 0.1;
/// How many times as many sub-steps the interval then has.
const FINER: usize = 16;

/// [`PlantModel::integrate`] of a model in fixed shapes.
#[allow(clippy::too_many_arguments, reason = "the arguments of the trait's method, and the model")]
pub(crate) fn integrate<M, const NX: usize, const NU: usize, const NP: usize>(
    model: &M,
    method: Method,
    x: &mut [f64],
    held: &Held<'_>,
    sensitivities: Option<Sensitivities<'_>>,
) where
    M: Equations<NX, NU, NP> + PlantModel,
{
    let substeps = held.substeps.max(1);
    let h = held.dt_s / model.card().time_unit_s / substeps as f64;
    let span = Span { u: numbers(held.u), p: numbers(held.p), h, substeps };
    let Some(out) = sensitivities else {
        step_all(model, method, x, &span);
        return;
    };
    let from = numbers(x);
    let (to, s) = match method {
        Method::Rk4 => {
            let once = rk4::step_with_sensitivities(model, from, &span);
            if span.is_too_coarse(model, &from, &once.0) {
                rk4::step_with_sensitivities(model, from, &span.finer())
            } else {
                once
            }
        }
        Method::Sdirk3 => sdirk3::step_with_sensitivities(model, from, &span),
    };
    put(x, to);
    put_columns(out.by_x, s.by_x);
    put_columns(out.by_u, s.by_u);
}

/// So many states [`Integrator::step`] moves side by side: while one waits for its exponential, the others go on.
pub const ABREAST: usize = 4;

/// Moves every state of `x`.
fn step_all<M, const NX: usize, const NU: usize, const NP: usize>(
    model: &M,
    method: Method,
    x: &mut [f64],
    span: &Span<NU, NP>,
) where
    M: Equations<NX, NU, NP> + PlantModel,
{
    for group in x.chunks_mut(ABREAST * NX) {
        if method == Method::Rk4 && group.len() == ABREAST * NX {
            rk4_group::<M, NX, NU, NP, ABREAST>(model, group, span);
            continue;
        }
        for state in group.chunks_mut(NX) {
            match method {
                Method::Rk4 => rk4_group::<M, NX, NU, NP, 1>(model, state, span),
                Method::Sdirk3 => put(state, sdirk3::step(model, numbers(state), span)),
            }
        }
    }
}

/// Moves `COUNT` states side by side, and those that leap once more.
fn rk4_group<M, const NX: usize, const NU: usize, const NP: usize, const COUNT: usize>(
    model: &M,
    group: &mut [f64],
    span: &Span<NU, NP>,
) where
    M: Equations<NX, NU, NP> + PlantModel,
{
    let mut states = group.chunks_exact(NX);
    let from: [[f64; NX]; COUNT] = from_fn(|_| states.next().map_or([f64::NAN; NX], numbers));
    let mut to = rk4::step(model, from, span);
    for (from, to) in from.iter().zip(&mut to).filter(|(from, to)| span.is_too_coarse(model, from, to)) {
        let [finer] = rk4::step(model, [*from], &span.finer());
        *to = finer;
    }
    put_columns(group, to);
}
