//! What the controller is told once: its model's mapping, horizon, blocks and weights.

use plant_models::{ModelCard, PlantModel};
use signals::{MAX_CVS, MAX_MVS};

/// The longest horizon, periods.
pub const HORIZON_MAX: usize = 500;
/// The most SQP iterations of one solve.
pub const SQP_ITERATIONS_MAX: usize = 100;

/// The tuning of one controller.
#[derive(Clone, Debug, PartialEq)]
pub struct MpcConfig {
    /// Control period, s of plant time.
    pub period_s: f64,
    /// Prediction horizon N, periods.
    pub horizon: usize,
    /// Move blocking: for how many periods each input is held; the lengths add up to the horizon.
    pub blocks: Vec<usize>,
    /// Runge-Kutta sub-steps of one period.
    pub substeps: usize,
    /// Quadratic programmes of one solve; 1 is the real-time iteration.
    pub sqp_iterations: usize,
    /// One per CV, in the loop's order.
    pub cv: Vec<CvTuning>,
    /// One per model input, in the model's order.
    pub mv: Vec<MvTuning>,
    /// Model disturbance of each measured DV.
    pub dv_of: Vec<usize>,
}

/// How one CV is weighed. Errors and violations are counted in spans.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CvTuning {
    /// Model output that the CV is.
    pub output: usize,
    /// An error as large as this, in model units, costs `weight`.
    pub span: f64,
    /// Weight of the squared set-point error at periods 1 to N-1.
    pub weight: f64,
    /// Weight of the squared set-point error at period N.
    pub terminal_weight: f64,
    /// Linear price of a violated limit; large enough, it makes the limit exact.
    pub soft_linear: f64,
    /// Quadratic price of a violated limit. With both prices 0 the CV has no limits.
    pub soft_quadratic: f64,
}

/// How one MV is weighed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MvTuning {
    /// A move as large as this, in model units, costs `move_weight`.
    pub span: f64,
    /// Weight of the squared move between two blocks.
    pub move_weight: f64,
}

impl CvTuning {
    /// Whether the CV's limits cost anything.
    pub(super) fn is_limited(&self) -> bool {
        self.soft_linear > 0.0 || self.soft_quadratic > 0.0
    }
}

/// Why a configuration makes no controller.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MpcError {
    /// The horizon is empty or too long.
    #[error("horizon of {horizon} periods, expected 1 to {HORIZON_MAX}")]
    Horizon {
        /// As configured.
        horizon: usize,
    },
    /// The blocks do not cover the horizon.
    #[error("blocks {blocks:?} must be positive and add up to the horizon of {horizon} periods")]
    Blocks {
        /// As configured.
        blocks: Vec<usize>,
        /// As configured.
        horizon: usize,
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
    /// An index points at nothing, or two point at the same.
    #[error("{key}[{position}] is {index}, expected a fresh index below {bound}")]
    Index {
        /// The key of the configuration.
        key: &'static str,
        /// Which of its elements.
        position: usize,
        /// As configured.
        index: usize,
        /// How many there are to point at.
        bound: usize,
    },
    /// A number is not finite, or not of the sign it must have.
    #[error("{key}[{position}] is {value}, expected a finite number, not negative, and positive for a span or period")]
    Number {
        /// The key of the configuration.
        key: &'static str,
        /// Which of its elements.
        position: usize,
        /// As configured.
        value: f64,
    },
    /// The model's numbers at its nominal point make no quadratic programme.
    #[error("the model {model} cannot be linearised at its nominal point")]
    Model {
        /// Name of the model.
        model: &'static str,
    },
    /// The solver refused the quadratic programme.
    #[error("the solver refused the quadratic programme: {reason}")]
    Solver {
        /// In the solver's words.
        reason: String,
    },
}

impl MpcConfig {
    /// Checks the configuration against the model.
    ///
    /// # Errors
    /// The first fault found.
    pub(super) fn check(&self, model: &dyn PlantModel) -> Result<(), MpcError> {
        let card = model.card();
        if !(1..=HORIZON_MAX).contains(&self.horizon) {
            return Err(MpcError::Horizon { horizon: self.horizon });
        }
        if self.blocks.contains(&0) || self.blocks.iter().sum::<usize>() != self.horizon {
            return Err(MpcError::Blocks { blocks: self.blocks.clone(), horizon: self.horizon });
        }
        self.check_counts(card)?;
        check_indices("cv.output", self.cv.iter().map(|cv| cv.output), card.outputs.len())?;
        check_indices("dv_of", self.dv_of.iter().copied(), card.disturbances.len())?;
        self.check_numbers()
    }

    fn check_counts(&self, card: &ModelCard) -> Result<(), MpcError> {
        let inputs = card.inputs.len();
        for (key, value, low, high) in [
            ("mv", self.mv.len(), inputs, inputs.min(MAX_MVS)),
            ("cv", self.cv.len(), 1, card.outputs.len().min(MAX_CVS)),
            ("substeps", self.substeps, 1, 1000),
            ("sqp_iterations", self.sqp_iterations, 1, SQP_ITERATIONS_MAX),
        ] {
            if !(low..=high).contains(&value) {
                return Err(MpcError::Count { key, value, low, high });
            }
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<(), MpcError> {
        check_number("period_s", 0, self.period_s, self.period_s > 0.0)?;
        for (i, cv) in self.cv.iter().enumerate() {
            check_number("cv.span", i, cv.span, cv.span > 0.0)?;
            for (key, value) in [
                ("cv.weight", cv.weight),
                ("cv.terminal_weight", cv.terminal_weight),
                ("cv.soft_linear", cv.soft_linear),
                ("cv.soft_quadratic", cv.soft_quadratic),
            ] {
                check_number(key, i, value, value >= 0.0)?;
            }
        }
        for (i, mv) in self.mv.iter().enumerate() {
            check_number("mv.span", i, mv.span, mv.span > 0.0)?;
            check_number("mv.move_weight", i, mv.move_weight, mv.move_weight >= 0.0)?;
        }
        Ok(())
    }
}

fn check_number(key: &'static str, position: usize, value: f64, sign_holds: bool) -> Result<(), MpcError> {
    if value.is_finite() && sign_holds { Ok(()) } else { Err(MpcError::Number { key, position, value }) }
}

/// Every index below `bound`, and none twice.
fn check_indices(key: &'static str, indices: impl Iterator<Item = usize>, bound: usize) -> Result<(), MpcError> {
    let mut taken = vec![false; bound];
    for (position, index) in indices.enumerate() {
        match taken.get_mut(index) {
            Some(taken) if !*taken => *taken = true,
            _ => return Err(MpcError::Index { key, position, index, bound }),
        }
    }
    Ok(())
}
