//! What the controller is told once: horizons, weights, ranks, feedback.

use signals::{MAX_CVS, MAX_DVS, MAX_MVS};

use super::StepResponseModel;
use crate::qp::active_set::QpError;

/// The tuning of one controller.
#[derive(Clone, Debug, PartialEq)]
pub struct DmcConfig {
    /// Prediction horizon P, samples; at most those of the model.
    pub horizon: usize,
    /// Control horizon M, moves; at most P.
    pub moves: usize,
    /// Whether the steady-state targets stand between set-points and moves. Without them a CV with a weight follows its
    /// set-point, whether it can be reached or not.
    pub targets: bool,
    /// One per CV.
    pub cv: Vec<CvTuning>,
    /// One per MV.
    pub mv: Vec<MvTuning>,
}

/// How one CV is weighed. Errors and violations are counted in spans.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CvTuning {
    /// An error as large as this, in CV units, costs `weight`.
    pub span: f64,
    /// Weight of the squared error at each sample of the horizon.
    pub weight: f64,
    /// Linear price of the largest violation along the horizon.
    pub soft_linear: f64,
    /// Quadratic price of the same. With both prices 0 the moves know no limits of this CV.
    pub soft_quadratic: f64,
    /// How the prediction follows the measurement.
    pub feedback: Feedback,
    /// Rank of the limits in the targets; 1 is kept before 2.
    pub limit_rank: u8,
    /// Rank of the set-point in the targets.
    pub setpoint_rank: u8,
    /// Economic cost of the steady state, per span; negative for a product. Of an integrating CV it is not read.
    pub cost: f64,
}

/// How much of an innovation is believed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Feedback {
    /// Fraction of it that shifts the whole prediction, above 0 to 1; 1 is the classical DMC.
    pub bias: f64,
    /// Fraction that becomes slope per sample, 0 to 1: the rotation of an integrating CV.
    pub slope: f64,
}

impl Feedback {
    /// The classical correction: the whole innovation at once, no slope.
    pub const BIAS: Self = Self { bias: 1.0, slope: 0.0 };

    /// Bias `f` with the slope `f² / (2 - f)` that goes with it for a ramp: the gains of the steady-state Kalman filter
    /// of a double integrator (Lee, Morari and García, *Automatica* 30(4) 1994).
    #[must_use]
    pub fn ramp(bias: f64) -> Self {
        Self { bias, slope: bias * bias / (2.0 - bias) }
    }
}

/// How one MV is weighed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MvTuning {
    /// A move as large as this, in MV units, costs `move_weight`.
    pub span: f64,
    /// Weight of the squared move: move suppression.
    pub move_weight: f64,
    /// Weight, in the moves, of the squared distance from the steady-state target after each move.
    pub rest_weight: f64,
    /// Weight, in the targets, of the squared distance from the ideal resting value, where there is one.
    pub ideal_weight: f64,
    /// Economic cost of the steady state, per span.
    pub cost: f64,
}

/// Why a model or a configuration makes no controller.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DmcError {
    /// Sample time or number of samples of a model.
    #[error("{samples} samples of {period_s} s, expected 2 to {} of a positive time", super::SAMPLES_MAX)]
    Grid {
        /// As given.
        period_s: f64,
        /// As given.
        samples: usize,
    },
    /// A pair points at nothing, or is named twice.
    #[error("pair of CV {cv} and input {input}: no such variables, or named before")]
    Pair {
        /// As given.
        cv: usize,
        /// As given.
        input: usize,
    },
    /// A parameter of a response.
    #[error("{key} is {value}, expected a finite number in its range")]
    Transfer {
        /// Which.
        key: &'static str,
        /// As given.
        value: f64,
    },
    /// A list of coefficients of the wrong length.
    #[error("{got} coefficients, expected {samples}")]
    Coefficients {
        /// As given.
        got: usize,
        /// Of the model.
        samples: usize,
    },
    /// Two lists that must match do not.
    #[error("{what}: {got}, expected {expected}")]
    Shape {
        /// Which list.
        what: &'static str,
        /// Its length.
        got: usize,
        /// What it should be.
        expected: usize,
    },
    /// A whole number is out of its range.
    #[error("{key} is {value}, expected {low} to {high}")]
    Count {
        /// The key of the configuration.
        key: &'static str,
        /// As configured.
        value: usize,
        /// Least lawful value.
        low: usize,
        /// Greatest lawful value.
        high: usize,
    },
    /// A number is not finite, or out of its range.
    #[error("{key}[{position}] is {value}, expected {expected}")]
    Number {
        /// The key of the configuration.
        key: &'static str,
        /// Which of its elements.
        position: usize,
        /// As configured.
        value: f64,
        /// What is lawful.
        expected: &'static str,
    },
    /// The solver refused a quadratic programme.
    #[error(transparent)]
    Solver(#[from] QpError),
}

impl DmcConfig {
    /// Checks the configuration against the model.
    ///
    /// # Errors
    /// The first fault found.
    pub(super) fn check(&self, model: &StepResponseModel) -> Result<(), DmcError> {
        for (key, value, low, high) in [
            ("horizon", self.horizon, 1, model.samples()),
            ("moves", self.moves, 1, self.horizon),
            ("cv", self.cv.len(), model.cvs().max(1), model.cvs().min(MAX_CVS)),
            ("mv", self.mv.len(), model.mvs().max(1), model.mvs().min(MAX_MVS)),
            ("model.dvs", model.dvs(), 0, MAX_DVS),
        ] {
            if !(low..=high).contains(&value) {
                return Err(DmcError::Count { key, value, low, high });
            }
        }
        for (i, cv) in self.cv.iter().enumerate() {
            let Feedback { bias, slope } = cv.feedback;
            number(("cv.span", i), cv.span, ("positive", cv.span > 0.0))?;
            number(("cv.weight", i), cv.weight, ("not negative", cv.weight >= 0.0))?;
            number(("cv.soft_linear", i), cv.soft_linear, ("not negative", cv.soft_linear >= 0.0))?;
            let priced = cv.soft_quadratic > 0.0 || (cv.soft_quadratic >= 0.0 && cv.soft_linear <= 0.0);
            number(("cv.soft_quadratic", i), cv.soft_quadratic, ("positive where there is a linear price", priced))?;
            number(("cv.feedback.bias", i), bias, ("above 0 to 1", bias > 0.0 && bias <= 1.0))?;
            number(("cv.feedback.slope", i), slope, ("0 to 1", (0.0..=1.0).contains(&slope)))?;
            number(("cv.cost", i), cv.cost, ("finite", true))?;
        }
        for (i, mv) in self.mv.iter().enumerate() {
            number(("mv.span", i), mv.span, ("positive", mv.span > 0.0))?;
            number(("mv.move_weight", i), mv.move_weight, ("positive", mv.move_weight > 0.0))?;
            let lawful = mv.rest_weight >= 0.0 && (self.targets || mv.rest_weight <= 0.0);
            number(("mv.rest_weight", i), mv.rest_weight, ("not negative, and 0 without targets", lawful))?;
            number(("mv.ideal_weight", i), mv.ideal_weight, ("not negative", mv.ideal_weight >= 0.0))?;
            number(("mv.cost", i), mv.cost, ("finite", true))?;
        }
        Ok(())
    }
}

fn number(
    (key, position): (&'static str, usize),
    value: f64,
    (expected, lawful): (&'static str, bool),
) -> Result<(), DmcError> {
    if value.is_finite() && lawful { Ok(()) } else { Err(DmcError::Number { key, position, value, expected }) }
}
