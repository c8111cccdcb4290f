//! Identification against systems that are known, and against data that are not ours.

mod daisy;
mod synthetic;
mod table;

use nalgebra::{DMatrix, DVector};

use super::*;

/// Seeded standard normal numbers: splitmix64 and Box-Muller.
pub(super) struct Normal(pub(super) u64);

impl Normal {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(super) fn next(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

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
    let mut normal = Normal(7);
    let u = DMatrix::from_fn(samples, nu, |_, _| normal.next());
    let mut y = DMatrix::zeros(samples, ny);
    let mut x = DVector::from_element(model.order(), 0.5);
    for t in 0..samples {
        let input = u.row(t).transpose();
        let e = DVector::from_fn(ny, |_, _| noise * normal.next());
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
