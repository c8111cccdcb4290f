//! What the safety filter is told once: the limits that must hold, and how far ahead it looks for a way to keep them.

use plant_models::{Method, PlantModel};

use crate::mpc::{CvTuning, HORIZON_MAX, MpcConfig, MpcError, MvTuning, Solver};

/// The configuration of one filter.
#[derive(Clone, Debug, PartialEq)]
pub struct FilterConfig {
    /// Control period, s of plant time.
    pub period_s: f64,
    /// Moves of the backup plan, periods.
    pub horizon: usize,
    /// Periods behind the horizon over which a rehearsal holds the last move; the first of them measures how much at rest
    /// the plan ends.
    pub tail: usize,
    /// How the model is integrated.
    pub method: Method,
    /// Integration sub-steps of one period.
    pub substeps: usize,
    /// Quadratic programmes of one search at most.
    pub sqp_iterations: usize,
    /// One per CV, in the loop's order.
    pub cv: Vec<CvLimits>,
    /// One per model input: a move as large as this, in model units, is one span.
    pub mv_span: Vec<f64>,
    /// A plan ends at rest when no state moves by more than this in a period, in spans of the model's card.
    pub rest_max: f64,
    /// A safe move this close to the proposal, in spans, is the proposal.
    pub pass_spans: f64,
    /// Price of a violated limit and of motion at the end, per span, beside the squared distance from the proposal in spans.
    /// Above the multipliers, the penalty is exact: limits give way only where they must.
    pub slack_price: f64,
}

/// What must hold of one CV. Model units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CvLimits {
    /// Model output that the CV is.
    pub output: usize,
    /// The scale of its violations.
    pub span: f64,
    /// Lower limit; -∞ is none.
    pub lo: f64,
    /// Upper limit; +∞ is none.
    pub hi: f64,
    /// The search keeps this far inside the limits: room for what the model does not know.
    pub margin: f64,
    /// A rehearsal that leaves the limits by no more than this keeps them.
    pub tolerance: f64,
}

/// Why a configuration makes no filter.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FilterError {
    /// A part that the filter has in common with the controller.
    #[error(transparent)]
    Shape(#[from] MpcError),
    /// A number is out of its range.
    #[error("{key} is {value}, expected {expected}")]
    Number {
        /// The key of the configuration.
        key: &'static str,
        /// As configured.
        value: f64,
        /// What it must be.
        expected: &'static str,
    },
    /// The limits of a CV leave no room between their margins.
    #[error("cv[{position}] has limits {lo} to {hi} and a margin of {margin}: nothing is left between them")]
    Limits {
        /// Which CV.
        position: usize,
        /// As configured.
        lo: f64,
        /// As configured.
        hi: f64,
        /// As configured.
        margin: f64,
    },
    /// No CV has a limit.
    #[error("no cv has a limit: there is nothing to keep")]
    Unlimited,
}

impl FilterConfig {
    /// The controller's configuration of the same shape: what the shared trajectory is made of.
    pub(super) fn shape(&self) -> MpcConfig {
        let cv = |cv: &CvLimits| CvTuning { output: cv.output, span: cv.span, ..CvTuning::default() };
        MpcConfig {
            period_s: self.period_s,
            horizon: self.horizon,
            blocks: vec![1; self.horizon],
            method: self.method,
            substeps: self.substeps,
            sqp_iterations: self.sqp_iterations,
            terminal_lqr: false,
            solver: Solver::Conic,
            cv: self.cv.iter().map(cv).collect(),
            mv: self.mv_span.iter().map(|span| MvTuning { span: *span, ..MvTuning::default() }).collect(),
            dv_of: Vec::new(),
        }
    }

    /// Checks the configuration against the model.
    ///
    /// # Errors
    /// The first fault found.
    pub(super) fn check(&self, model: &dyn PlantModel) -> Result<(), FilterError> {
        self.shape().check(model)?;
        let tail = self.tail as f64;
        check("tail", tail, "1 to 500 periods", (1..=HORIZON_MAX).contains(&self.tail))?;
        for (key, value) in
            [("rest_max", self.rest_max), ("pass_spans", self.pass_spans), ("slack_price", self.slack_price)]
        {
            check(key, value, "a positive number", value.is_finite() && value > 0.0)?;
        }
        for (position, cv) in self.cv.iter().enumerate() {
            for (key, value) in [("cv.margin", cv.margin), ("cv.tolerance", cv.tolerance)] {
                check(key, value, "a number, not negative", value.is_finite() && value >= 0.0)?;
            }
            let is_room = cv.lo + cv.margin < cv.hi - cv.margin;
            if !is_room || cv.lo.is_nan() || cv.hi.is_nan() {
                let CvLimits { lo, hi, margin, .. } = *cv;
                return Err(FilterError::Limits { position, lo, hi, margin });
            }
        }
        if self.cv.iter().any(CvLimits::is_limited) { Ok(()) } else { Err(FilterError::Unlimited) }
    }
}

impl CvLimits {
    /// Whether there is a limit at all.
    pub(super) fn is_limited(&self) -> bool {
        self.lo.is_finite() || self.hi.is_finite()
    }

    /// How far `y` lies outside the limits; 0 inside, infinite when it is not a number.
    pub(super) fn violation(&self, y: f64) -> f64 {
        if y.is_finite() { (self.lo - y).max(y - self.hi).max(0.0) } else { f64::INFINITY }
    }
}

fn check(key: &'static str, value: f64, expected: &'static str, holds: bool) -> Result<(), FilterError> {
    if holds { Ok(()) } else { Err(FilterError::Number { key, value, expected }) }
}
