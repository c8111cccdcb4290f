//! Where the estimator begins: at a steady state of the model if the plant is near one, else at what is measured.
//!
//! Source of the settling: C. T. Kelley and D. E. Keyes, Convergence analysis of pseudo-transient continuation, SIAM J.
//! Numer. Anal. 35 (1998) 508.

use nalgebra::{DMatrix, DVector};
use plant_models::{Held, PlantModel, steady_state};

/// A measured output, within this many of its spans, is near. Also the standard deviation, in spans, of the output
/// disturbance that the estimator is prepared to find at first.
pub(super) const NEAR_SPANS: f64 = 0.05;

/// Implicit steps in which the states that are not measured settle beside those that are. The first is one period
/// long and each twice the one before, so that the last are Newton's.
const SETTLING_STEPS: usize = 40;

/// One measured output of the model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    /// Its index among the model's outputs.
    pub(super) output: usize,
    /// Its value, in the output's unit.
    pub(super) value: f64,
}

/// A state that a measurement gives.
#[derive(Clone, Copy, Debug)]
struct Pin {
    state: usize,
    value: f64,
}

/// The initial state (NX) under what is `held` over a period.
///
/// 1. The guess: the card's nominal state, every measured output that *is* a state put in its place, and the others
///    settled with those held in place. (A nominal concentration beside the temperature of an ignited reactor would
///    send the next step to the wrong steady state.)
/// 2. The steady state that Newton's method finds from there is taken if its outputs are all near the measured ones.
///    A plant in motion starts at the guess.
pub(super) fn initial_state(model: &dyn PlantModel, held: &Held<'_>, measured: &[Measured]) -> Vec<f64> {
    let card = model.card();
    let mut guess: Vec<f64> = card.states.iter().map(|state| state.nominal).collect();
    let pins = pins(model, &guess, held.p, measured);
    put(&mut guess, &pins);

    guess = settled(model, held, &pins, &guess).unwrap_or(guess);
    match steady_state(model, held.u, held.p, &guess) {
        Ok(x) if is_near(model, &x, held.p, measured) => x,
        _ => guess,
    }
}

/// `x` after the states without a pin have settled: `(I/τ - f_x) Δ = f` with `Δ = 0` where there is a pin. `None` when
/// that leads to no finite state.
fn settled(model: &dyn PlantModel, held: &Held<'_>, pins: &[Pin], x: &[f64]) -> Option<Vec<f64>> {
    let mut x = DVector::from_column_slice(x);
    let mut f = DVector::zeros(x.len());
    let mut a = DMatrix::zeros(x.len(), x.len());
    let mut b = DMatrix::zeros(x.len(), held.u.len());
    let mut step = held.dt_s / model.card().time_unit_s;
    for _ in 0..SETTLING_STEPS {
        model.rhs(x.as_slice(), held.u, held.p, f.as_mut_slice());
        model.rhs_jacobians(x.as_slice(), held.u, held.p, &mut a, &mut b);
        let mut implicit = DMatrix::from_diagonal_element(x.len(), x.len(), 1.0 / step) - &a;
        for pin in pins {
            implicit.row_mut(pin.state).fill(0.0);
            implicit.row_mut(pin.state).iter_mut().skip(pin.state).take(1).for_each(|diagonal| *diagonal = 1.0);
            f.iter_mut().skip(pin.state).take(1).for_each(|f| *f = 0.0);
        }
        x += implicit.lu().solve(&f)?;
        step *= 2.0;
    }
    x.iter().all(|x| x.is_finite()).then(|| x.as_slice().to_vec())
}

/// The measured outputs that are states, by the output Jacobian at `x`: a row with a single element, which is 1.
fn pins(model: &dyn PlantModel, x: &[f64], p: &[f64], measured: &[Measured]) -> Vec<Pin> {
    let mut c = DMatrix::zeros(model.card().outputs.len(), x.len());
    model.output_jacobian(x, p, &mut c);
    let pin = |m: &Measured| {
        let row = c.row_iter().nth(m.output)?;
        let mut elements = row.iter().enumerate().filter(|(_, c)| c.abs() > 0.0);
        match (elements.next(), elements.next()) {
            (Some((state, c)), None) if (c - 1.0).abs() < f64::EPSILON => Some(Pin { state, value: m.value }),
            _ => None,
        }
    };
    measured.iter().filter_map(pin).collect()
}

fn put(x: &mut [f64], pins: &[Pin]) {
    for pin in pins {
        x.iter_mut().skip(pin.state).take(1).for_each(|x| *x = pin.value);
    }
}

fn is_near(model: &dyn PlantModel, x: &[f64], p: &[f64], measured: &[Measured]) -> bool {
    let outputs = model.card().outputs;
    let mut y = vec![0.0; outputs.len()];
    model.outputs(x, p, &mut y);
    measured.iter().all(|m| {
        let (predicted, variable) = (y.get(m.output), outputs.get(m.output));
        predicted.zip(variable).is_some_and(|(y, variable)| (y - m.value).abs() <= NEAR_SPANS * variable.span())
    })
}
