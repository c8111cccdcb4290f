//! Identification against systems that are known, and against data that are not ours.

mod daisy;
mod synthetic;
mod table;

use nalgebra::{DMatrix, DVector};

use super::*;
use crate::test_support::Random;

/// Three states, two inputs, two outputs, poles 0.9, 0.7 ± 0.2i.
fn plant() -> StateSpace {
    StateSpace {
        a: DMatrix::from_row_slice(3, 3, &[0.9, 0.0, 0.0, 0.0, 0.7, 0.2, 0.0, -0.2, 0.7]),
        b: DMatrix::from_row_slice(3, 2, &[1.0, 0.3, 0.5, -1.0, 0.2, 0.8]),
        c: DMatrix::from_row_slice(2, 3, &[1.0, 0.4, 0.0, -0.5, 0.0, 1.0]),
        d: DMatrix::zeros(2, 2),
        k: DMatrix::from_row_slice(3, 2, &[0.5, 0.0, 0.1, 0.2, 0.0, 0.3]),
        period: 1.0,
    }
}

/// `samples` of `model` under white inputs and innovations of standard deviation `noise`.
fn experiment(model: &StateSpace, samples: usize, noise: f64) -> DataSet {
    let (nu, ny) = (model.b.ncols(), model.c.nrows());
    let mut random = Random::new(7);
    let u = DMatrix::from_fn(samples, nu, |_, _| random.normal());
    let mut y = DMatrix::zeros(samples, ny);
    let mut x = DVector::from_element(model.order(), 0.5);
    for t in 0..samples {
        let input = u.row(t).transpose();
        let e = DVector::from_fn(ny, |_, _| noise * random.normal());
        y.set_row(t, &(&model.c * &x + &model.d * &input + &e).transpose());
        x = &model.a * &x + &model.b * &input + &model.k * &e;
    }
    let names = |prefix: &str, n: usize| (1..=n).map(|i| format!("{prefix}{i}")).collect();
    DataSet { period: model.period, first: 0, input_names: names("u", nu), output_names: names("y", ny), u, y }
}

/// Greatest difference of the step responses of two models over 60 samples.
fn step_distance(one: &StateSpace, other: &StateSpace) -> f64 {
    let mut most = 0.0f64;
    for output in 0..one.c.nrows() {
        for input in 0..one.b.ncols() {
            let pairs = one.step_response(output, input, 60).into_iter().zip(other.step_response(output, input, 60));
            most = pairs.fold(most, |most, (a, b)| most.max((a - b).abs()));
        }
    }
    most
}
