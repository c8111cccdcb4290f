//! How well a model foretells data that it has not seen.
//!
//! The score is the normalised root mean square error of each output, in percent of the trivial model that always says
//! the mean: `100 (1 - |y - ŷ| / |y - mean(y)|)`; 100 is perfect, 0 as good as the mean, below 0 worse. It is the
//! number that MATLAB's `compare` shows, and like there the initial state is fitted to the data.

use nalgebra::DMatrix;

use super::{DataSet, StateSpace};

/// How far ahead a prediction looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Horizon {
    /// Infinitely: the model sees the inputs only.
    Simulation,
    /// So many samples: ŷ(t) knows the outputs up to t - k.
    Steps(usize),
}

/// One score per output.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Fit of each output, percent.
    pub fit_pct: Vec<f64>,
}

/// `100 (1 - |y - ŷ| / |y - mean(y)|)` of each column. Of a column that never moves it is 100 or -∞.
#[must_use]
pub fn fit_percent(y: &DMatrix<f64>, y_hat: &DMatrix<f64>) -> Vec<f64> {
    y.column_iter()
        .zip(y_hat.column_iter())
        .map(|(y, y_hat)| {
            let error = (y - y_hat).norm();
            let spread = y.add_scalar(-y.mean()).norm();
            if error > 0.0 { 100.0 * (1.0 - error / spread) } else { 100.0 }
        })
        .collect()
}

/// Scores `model` on `data`.
#[must_use]
pub fn score(model: &StateSpace, data: &DataSet, horizon: Horizon) -> Score {
    let x0 = model.initial_state(data);
    let y_hat = match horizon {
        Horizon::Simulation => model.simulate(&data.u, &x0),
        Horizon::Steps(steps) => model.predict(data, &x0, steps),
    };
    Score { fit_pct: fit_percent(&data.y, &y_hat) }
}
