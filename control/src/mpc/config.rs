//! What the controller is told once: its model's mapping, horizon, blocks and weights.

use plant_models::{Method, ModelCard, PlantModel};
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
    /// How the model is integrated; a stiff one wants the implicit method.
    pub method: Method,
    /// Integration sub-steps of one period.
    pub substeps: usize,
    /// Quadratic programmes of one solve; 1 is the real-time iteration.
    pub sqp_iterations: usize,
    /// Whether the terminal cost is that of the linear-quadratic regulator about the steady target, in place of the
    /// terminal weights.
    pub terminal_lqr: bool,
    /// Which solver goes first.
    pub solver: Solver,
    /// One per CV, in the loop's order.
    pub cv: Vec<CvTuning>,
    /// One per model input, in the model's order.
    pub mv: Vec<MvTuning>,
    /// Model disturbance of each measured DV.
    pub dv_of: Vec<usize>,
}

/// Which solver is given the quadratic programmes first. Those after it in this list stand behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Solver {
    /// The dual active-set method: fastest from a good guess, which a shifted plan is.
    #[default]
    ActiveSet,
    /// The Riccati interior-point method: an even time whatever happens.
    InteriorPoint,
    /// Clarabel: an independent code, 5 to 20 times slower.
    Conic,
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
    /// Which limits are given up first when not all can be kept at rest: those of the highest rank. With every rank
    /// equal, the prices decide.
    pub rank: u8,
    /// Time constant, in periods, with which limits that the CV lies outside of close in on it; 0 closes them at once.
    pub funnel_periods: f64,
    /// Economic price of one span more of this CV at rest; negative is a profit.
    pub price: f64,
}

impl Default for CvTuning {
    /// Output 0, a span of 1, and no weight on anything.
    fn default() -> Self {
        Self {
            output: 0,
            span: 1.0,
            weight: 0.0,
            terminal_weight: 0.0,
            soft_linear: 0.0,
            soft_quadratic: 0.0,
            rank: 0,
            funnel_periods: 0.0,
            price: 0.0,
        }
    }
}

/// How one MV is weighed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MvTuning {
    /// A move as large as this, in model units, costs `move_weight`.
    pub span: f64,
    /// Weight of the squared move between two blocks.
    pub move_weight: f64,
    /// Weight of the squared distance from the MV's target, where it has one, at periods 1 to N-1. With prices, the
    /// target is the economic optimum, and the weight must be positive: it is how the optimum is approached.
    pub target_weight: f64,
    /// The same at period N.
    pub terminal_target_weight: f64,
    /// Economic price of one span more of this MV at rest; negative is a profit.
    pub price: f64,
}

impl Default for MvTuning {
    /// A span of 1, and no weight on anything.
    fn default() -> Self {
        Self { span: 1.0, move_weight: 0.0, target_weight: 0.0, terminal_target_weight: 0.0, price: 0.0 }
    }
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
    #[error(
        "{key}[{position}] is {value}, expected a finite number, not negative, and positive for a span, a period, or the target weight beside prices"
    )]
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
}

impl MpcConfig {
    /// Whether a steady target is of use: for the terminal cost, for an economic optimum, or where ranks differ.
    pub(super) fn wants_steady_target(&self) -> bool {
        let ranked = self.cv.iter().any(|cv| cv.rank != self.cv.first().map_or(0, |first| first.rank));
        self.terminal_lqr || self.has_prices() || ranked
    }

    /// Whether anything is priced.
    pub(super) fn has_prices(&self) -> bool {
        let mut prices = self.cv.iter().map(|cv| cv.price).chain(self.mv.iter().map(|mv| mv.price));
        prices.any(|price| price.abs() > 0.0)
    }

    /// Checks the configuration against the model.
    ///
    /// # Errors
    /// The first fault found.
    pub(crate) fn check(&self, model: &dyn PlantModel) -> Result<(), MpcError> {
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
                ("cv.funnel_periods", cv.funnel_periods),
            ] {
                check_number(key, i, value, value >= 0.0)?;
            }
            check_number("cv.price", i, cv.price, true)?;
        }
        for (i, mv) in self.mv.iter().enumerate() {
            check_number("mv.span", i, mv.span, mv.span > 0.0)?;
            for (key, value) in [
                ("mv.move_weight", mv.move_weight),
                ("mv.target_weight", mv.target_weight),
                ("mv.terminal_target_weight", mv.terminal_target_weight),
            ] {
                check_number(key, i, value, value >= 0.0)?;
            }
            if self.has_prices() {
                check_number("mv.target_weight", i, mv.target_weight, mv.target_weight > 0.0)?;
            }
            check_number("mv.price", i, mv.price, true)?;
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
