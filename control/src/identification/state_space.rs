//! A linear model in discrete time, with the noise that drives it:
//!
//! ```text
//! x(t+1) = A x(t) + B u(t) + K e(t)        x: NX, u: NU, y and e: NY
//! y(t)   = C x(t) + D u(t) + e(t)
//! ```
//!
//! K is the steady-state Kalman gain; with K = 0 every prediction is a simulation.
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: shapes are those of the model")]

use nalgebra::{DMatrix, DVector};

use super::{DataSet, linear};

/// The model; see the module for the equations.
#[derive(Clone, Debug, PartialEq)]
pub struct StateSpace {
    /// NX × NX.
    pub a: DMatrix<f64>,
    /// NX × NU.
    pub b: DMatrix<f64>,
    /// NY × NX.
    pub c: DMatrix<f64>,
    /// NY × NU.
    pub d: DMatrix<f64>,
    /// NX × NY.
    pub k: DMatrix<f64>,
    /// Sample time, in the data set's unit of time; s where it is to go to [`crate::dmc`].
    pub period: f64,
}

impl StateSpace {
    /// Number of states.
    #[must_use]
    pub fn order(&self) -> usize {
        self.a.nrows()
    }

    /// Greatest modulus of the poles.
    #[must_use]
    pub fn spectral_radius(&self) -> f64 {
        linear::spectral_radius(&self.a)
    }

    /// Outputs from `x0` under the inputs `u` (samples × NU), without noise; samples × NY.
    #[must_use]
    pub fn simulate(&self, u: &DMatrix<f64>, x0: &DVector<f64>) -> DMatrix<f64> {
        let mut y = DMatrix::zeros(u.nrows(), self.c.nrows());
        let mut x = x0.clone();
        for t in 0..u.nrows() {
            let input = u.row(t).transpose();
            y.set_row(t, &(&self.c * &x + &self.d * &input).transpose());
            x = &self.a * &x + &self.b * &input;
        }
        y
    }

    /// Predictions `ŷ(t | t - steps)`, samples × NY: the observer with gain K has seen the outputs up to `t - steps`,
    /// the inputs are known throughout. The first `steps` samples are simulated from `x0`.
    #[must_use]
    pub fn predict(&self, data: &DataSet, x0: &DVector<f64>, steps: usize) -> DMatrix<f64> {
        let steps = steps.max(1);
        let samples = data.len();
        let mut y_hat = self.simulate(&data.u.rows(0, steps.min(samples)).into_owned(), x0);
        y_hat = y_hat.resize_vertically(samples, 0.0);
        // x is the observer's state before the sample s; it foretells s + steps - 1.
        let mut x = x0.clone();
        for s in 0..samples.saturating_sub(steps - 1) {
            let mut ahead = x.clone();
            for t in s..s + steps - 1 {
                ahead = &self.a * &ahead + &self.b * data.u.row(t).transpose();
            }
            let target = s + steps - 1;
            y_hat.set_row(target, &(&self.c * &ahead + &self.d * data.u.row(target).transpose()).transpose());
            let input = data.u.row(s).transpose();
            let innovation = data.y.row(s).transpose() - &self.c * &x - &self.d * &input;
            x = &self.a * &x + &self.b * &input + &self.k * innovation;
        }
        y_hat
    }

    /// The initial state that makes the simulation fit `data` best, by least squares.
    #[must_use]
    pub fn initial_state(&self, data: &DataSet) -> DVector<f64> {
        let (nx, ny, samples) = (self.order(), self.c.nrows(), data.len());
        let forced = self.simulate(&data.u, &DVector::zeros(nx));
        let mut regressors = DMatrix::zeros(samples * ny, nx);
        let mut row = self.c.clone();
        for t in 0..samples {
            regressors.rows_mut(t * ny, ny).copy_from(&row);
            row = &row * &self.a;
        }
        let errors = (&data.y - forced).transpose();
        let right = DMatrix::from_column_slice(samples * ny, 1, errors.as_slice());
        DVector::from_column_slice(linear::min_norm(&regressors, &right).as_slice())
    }

    /// Response of `output` to a unit step of `input` at time 0, at the samples 1 … `samples`.
    #[must_use]
    pub fn step_response(&self, output: usize, input: usize, samples: usize) -> Vec<f64> {
        let mut x = DVector::zeros(self.order());
        (0..samples)
            .map(|_| {
                x = &self.a * &x + self.b.column(input);
                (self.c.row(output) * &x)[(0, 0)] + self.d[(output, input)]
            })
            .collect()
    }

    /// Steady-state gain `C (I - A)⁻¹ B + D`, NY × NU; `None` for an integrating model.
    #[must_use]
    pub fn dc_gain(&self) -> Option<DMatrix<f64>> {
        let nx = self.order();
        let x = (DMatrix::identity(nx, nx) - &self.a).lu().solve(&self.b)?;
        Some(&self.c * x + &self.d)
    }
}
