//! Steady states: the root of `f(x, u, p) = 0` near a guess, by a damped Newton method.
//!
//! The residual and the unknowns are divided by the spans of the states, so that a concentration and a temperature
//! weigh alike. Each step solves `J Δ = -r` by LU, is cut to half a span at most, and is halved until the largest
//! residual falls. Where a model has several steady states, the one reached depends on the guess.
//!
//! Source: Deuflhard, *Newton Methods for Nonlinear Problems*, ch. 3.

use nalgebra::{DMatrix, DVector};

use crate::{PlantModel, Variable};

/// Largest residual of a root, in spans per unit of the model's time.
pub const RESIDUAL_MAX: f64 = 1e-10;
/// The most Newton steps.
pub const STEPS_MAX: usize = 100;
/// The longest step, in spans.
const STEP_SPANS: f64 = 0.5;
/// A step is halved at most this often.
const HALVINGS: usize = 30;

/// Why no steady state was found, and where the search stopped.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SteadyStateError {
    /// An argument has not the length that the model's card asks for.
    #[error("{argument} has {got} elements, the model has {expected}")]
    Length {
        /// `x_guess`, `u` or `p`.
        argument: &'static str,
        /// The card's number.
        expected: usize,
        /// The argument's.
        got: usize,
    },
    /// The Jacobian cannot be inverted, or the model gave a number that is not finite.
    #[error("newton step {step}: no direction at {x:?}")]
    Singular {
        /// Newton steps taken.
        step: usize,
        /// Where it stopped, in model units.
        x: Vec<f64>,
    },
    /// No part of the Newton step lowers the residual, or the steps are used up.
    #[error("newton step {step}: residual {residual:e} spans per unit of time at {x:?}, wanted {RESIDUAL_MAX:e}")]
    Stalled {
        /// Newton steps taken.
        step: usize,
        /// The largest scaled residual there.
        residual: f64,
        /// Where it stopped, in model units.
        x: Vec<f64>,
    },
}

/// The steady state of `model` near `x_guess` under the held `u` and `p`.
///
/// | argument | length | unit |
/// |---|---|---|
/// | `u` | NU | the inputs' |
/// | `p` | NP | the disturbances' |
/// | `x_guess` | NX | the states' |
///
/// Gives x (NX) with `max |f_i(x, u, p)| / span_i` at most [`RESIDUAL_MAX`].
///
/// # Errors
/// [`SteadyStateError`] when a length is wrong or the search ends elsewhere; a state outside the envelope is no error.
pub fn steady_state(
    model: &dyn PlantModel,
    u: &[f64],
    p: &[f64],
    x_guess: &[f64],
) -> Result<Vec<f64>, SteadyStateError> {
    let card = model.card();
    check_length("x_guess", card.states, x_guess)?;
    check_length("u", card.inputs, u)?;
    check_length("p", card.disturbances, p)?;
    let spans = DVector::from_iterator(card.states.len(), card.states.iter().map(Variable::span));
    let search = Search { model, u, p, spans };

    let mut x = x_guess.to_vec();
    let mut residual = search.residual(&x);
    for step in 0..STEPS_MAX {
        if residual.amax() <= RESIDUAL_MAX {
            return Ok(x);
        }
        let direction = search.direction(&x, &residual);
        let direction = direction.ok_or_else(|| SteadyStateError::Singular { step, x: x.clone() })?;
        let Some((next, its_residual)) = search.descend(&x, &direction, residual.amax()) else {
            return Err(SteadyStateError::Stalled { step, residual: residual.amax(), x });
        };
        (x, residual) = (next, its_residual);
    }
    if residual.amax() <= RESIDUAL_MAX {
        return Ok(x);
    }
    Err(SteadyStateError::Stalled { step: STEPS_MAX, residual: residual.amax(), x })
}

fn check_length(argument: &'static str, expected: &[Variable], got: &[f64]) -> Result<(), SteadyStateError> {
    let (expected, got) = (expected.len(), got.len());
    if expected == got { Ok(()) } else { Err(SteadyStateError::Length { argument, expected, got }) }
}

struct Search<'a> {
    model: &'a dyn PlantModel,
    u: &'a [f64],
    p: &'a [f64],
    spans: DVector<f64>,
}

impl Search<'_> {
    /// `f(x) / span`.
    fn residual(&self, x: &[f64]) -> DVector<f64> {
        let mut f = DVector::zeros(x.len());
        self.model.rhs(x, self.u, self.p, f.as_mut_slice());
        f.component_div(&self.spans)
    }

    /// The Newton step in spans, cut to [`STEP_SPANS`]; `None` when there is none.
    fn direction(&self, x: &[f64], residual: &DVector<f64>) -> Option<DVector<f64>> {
        let mut a = DMatrix::zeros(x.len(), x.len());
        let mut b = DMatrix::zeros(x.len(), self.u.len());
        self.model.rhs_jacobians(x, self.u, self.p, &mut a, &mut b);
        for (mut column, span) in a.column_iter_mut().zip(self.spans.iter()) {
            column *= *span;
        }
        for (mut row, span) in a.row_iter_mut().zip(self.spans.iter()) {
            row /= *span;
        }
        let step = a.lu().solve(&-residual)?;
        let longest = step.amax();
        longest.is_finite().then(|| step * (STEP_SPANS / longest).min(1.0))
    }

    /// The first of the step's halves that lowers the residual, with the residual there.
    fn descend(&self, x: &[f64], direction: &DVector<f64>, from: f64) -> Option<(Vec<f64>, DVector<f64>)> {
        let mut share = 1.0;
        for _ in 0..HALVINGS {
            let moves = direction.iter().zip(self.spans.iter()).map(|(step, span)| share * step * span);
            let next: Vec<f64> = x.iter().zip(moves).map(|(x, step)| x + step).collect();
            let residual = self.residual(&next);
            let falls = residual.iter().all(|r| r.abs() < from);
            if falls {
                return Some((next, residual));
            }
            share *= 0.5;
        }
        None
    }
}
