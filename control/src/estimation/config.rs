//! What the estimator is told: noises, disturbances, and how long it may bridge what is missing.

use std::time::Duration;

use plant_models::{MAX_STATES, ModelCard};
use signals::{MAX_CVS, MAX_DVS};

/// The noises of one CV.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CvNoise {
    /// Index of the model output that this CV is; each at most once.
    pub output: usize,
    /// Standard deviation of the measurement, in the output's unit; above 0.
    pub measurement_sd: f64,
    /// Standard deviation of the output disturbance's random walk, per period, in the output's unit. 0 switches
    /// the disturbance off: it stays 0 and the estimate is no longer offset-free in this CV.
    pub disturbance_sd: f64,
}

/// The tuning of an [`super::Ekf`].
#[derive(Clone, Debug, PartialEq)]
pub struct EkfConfig {
    /// The control period, s of plant time.
    pub period_s: f64,
    /// Integration steps per period.
    pub substeps: usize,
    /// The CVs, in the plant file's order.
    pub cv: Vec<CvNoise>,
    /// Standard deviation of the process noise per period, one per state, in the states' units.
    pub state_sd: Vec<f64>,
    /// Standard deviation of the initial error, one per state, in the states' units.
    pub initial_sd: Vec<f64>,
    /// Index of the model disturbance that each DV is; each at most once.
    pub dv_of: Vec<usize>,
    /// How long the last usable value of a DV stands in before the nominal does.
    pub dv_hold: Duration,
    /// Cycles for which a CV may be missing before the estimate is no longer valid.
    pub cv_missing_max: u32,
}

/// Why an [`EkfConfig`] was refused.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum EstimationError {
    /// The model has more of something than a fixed-size value can carry, or the loop has nothing to estimate from.
    #[error("{got} {what}, the estimator takes 1 to {most}")]
    Capacity {
        /// What there is too much or too little of.
        what: &'static str,
        /// How many there are.
        got: usize,
        /// How many there may be.
        most: usize,
    },
    /// A list has not one entry per item.
    #[error("{list} has {got} entries, expected {expected}")]
    Length {
        /// The list.
        list: &'static str,
        /// Its length.
        got: usize,
        /// The length that it should have.
        expected: usize,
    },
    /// A variable that the model does not have, or one named twice.
    #[error("{list} entry {entry} refers to variable {index}, which the model lacks or which was taken before")]
    Index {
        /// The list.
        list: &'static str,
        /// The entry in it.
        entry: usize,
        /// The index that it holds.
        index: usize,
    },
    /// A number that is negative, zero where it must not be, or not finite.
    #[error("{list} entry {entry} is {value}, expected a finite number {}", lower_end(*.zero_allowed))]
    Number {
        /// The list.
        list: &'static str,
        /// The entry in it.
        entry: usize,
        /// The number.
        value: f64,
        /// Whether 0 would do.
        zero_allowed: bool,
    },
    /// A matrix that is no covariance: not symmetric, or with a negative eigenvalue.
    #[error("{list} is no covariance: least eigenvalue {least_eigenvalue}, asymmetry {asymmetry}")]
    Covariance {
        /// The matrix.
        list: &'static str,
        /// Its least eigenvalue.
        least_eigenvalue: f64,
        /// The largest difference to its transpose.
        asymmetry: f64,
    },
    /// The Riccati equation has no stabilising solution that the doubling could find.
    #[error("no steady-state gain: the Riccati equation leaves a relative residual of {residual}")]
    NoSteadyState {
        /// What the equation leaves, relative to P.
        residual: f64,
    },
}

impl EkfConfig {
    /// Checks the configuration against the model that it is for.
    pub(super) fn check(&self, card: &ModelCard) -> Result<(), EstimationError> {
        let nx = card.states.len();
        capacity("states", nx, MAX_STATES)?;
        capacity("cv", self.cv.len(), MAX_CVS)?;
        // No disturbance at all is fine.
        capacity("disturbances", card.disturbances.len().max(1), MAX_DVS)?;
        for (list, values) in [("state_sd", &self.state_sd), ("initial_sd", &self.initial_sd)] {
            if values.len() != nx {
                return Err(EstimationError::Length { list, got: values.len(), expected: nx });
            }
            numbers(list, values.iter().copied(), true)?;
        }
        numbers("period_s", [self.period_s], false)?;
        if self.substeps == 0 {
            return Err(EstimationError::Number { list: "substeps", entry: 0, value: 0.0, zero_allowed: false });
        }
        numbers("cv.measurement_sd", self.cv.iter().map(|cv| cv.measurement_sd), false)?;
        numbers("cv.disturbance_sd", self.cv.iter().map(|cv| cv.disturbance_sd), true)?;
        indices("cv.output", self.cv.iter().map(|cv| cv.output), card.outputs.len())?;
        indices("dv_of", self.dv_of.iter().copied(), card.disturbances.len())
    }
}

fn lower_end(zero_allowed: bool) -> &'static str {
    if zero_allowed { "of at least 0" } else { "above 0" }
}

pub(super) fn capacity(what: &'static str, got: usize, most: usize) -> Result<(), EstimationError> {
    if (1..=most).contains(&got) { Ok(()) } else { Err(EstimationError::Capacity { what, got, most }) }
}

pub(super) fn numbers(
    list: &'static str,
    values: impl IntoIterator<Item = f64>,
    zero_allowed: bool,
) -> Result<(), EstimationError> {
    for (entry, value) in values.into_iter().enumerate() {
        let fits = value.is_finite() && (value > 0.0 || (zero_allowed && value >= 0.0));
        if !fits {
            return Err(EstimationError::Number { list, entry, value, zero_allowed });
        }
    }
    Ok(())
}

pub(super) fn indices(
    list: &'static str,
    values: impl Iterator<Item = usize> + Clone,
    count: usize,
) -> Result<(), EstimationError> {
    for (entry, index) in values.clone().enumerate() {
        if index >= count || values.clone().take(entry).any(|taken| taken == index) {
            return Err(EstimationError::Index { list, entry, index });
        }
    }
    Ok(())
}
