//! What every recursive estimator here can do: move over one period, say what it found, be saved and loaded.
//!
//! Under the bank of models and the fusion of late samples, which work with any [`Filter`]. A row of y that is not a
//! finite number is a missing measurement: several sampling rates, a failed transmitter and a laboratory's sample
//! that is still on its way are all written as NaN, and leave the other rows at work.
//!
//! # Invariants
//! - [`Filter::advance`] does not allocate and does not panic, whatever the numbers.
//! - A saved and loaded filter goes on bit for bit.

/// What acted on the plant over one period, and what was measured at its end.
#[derive(Clone, Copy, Debug)]
pub struct Period<'a> {
    /// The inputs over the period, NU.
    pub u: &'a [f64],
    /// The model's disturbances over the period, NP; of a linear model none.
    pub acting: &'a [f64],
    /// The model's disturbances when y was measured, NP; of a linear model none.
    pub now: &'a [f64],
    /// The measurements at the end of the period, NY; a row that is not finite is missing.
    pub y: &'a [f64],
}

/// How one period ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Predicted and corrected.
    Corrected,
    /// Predicted; nothing was measured.
    Predicted,
    /// A length is wrong, or an input or disturbance is not finite. Nothing changed.
    Refused,
    /// The belief was not finite, not positive semidefinite, or grew without bound. The filter begins anew from
    /// where it was begun.
    Lost,
}

/// What one period found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Correction {
    /// How it ended.
    pub outcome: Outcome,
    /// How many rows were measured: the degrees of freedom of `nis`.
    pub measured: u32,
    /// The normalised innovation squared `νᵀ S⁻¹ ν`.
    pub nis: f64,
    /// `ln N(ν; 0, S)`, the likelihood of what was measured given what was predicted.
    pub log_likelihood: f64,
}

/// `ln 2π`.
const LN_TAU: f64 = 1.837_877_066_409_345_5;

impl Correction {
    /// Nothing measured.
    pub(super) const fn none(outcome: Outcome) -> Self {
        Self { outcome, measured: 0, nis: 0.0, log_likelihood: 0.0 }
    }

    /// One more independent scalar: its squared normalised innovation and its variance.
    pub(super) fn add(&mut self, nis: f64, s: f64) {
        self.outcome = Outcome::Corrected;
        self.measured += 1;
        self.nis += nis;
        self.log_likelihood -= 0.5 * (nis + s.ln() + LN_TAU);
    }
}

/// A recursive estimator of a state with a Gaussian belief.
pub trait Filter {
    /// Everything that it remembers.
    type Memory: Clone + std::fmt::Debug;

    /// What it remembers now; may allocate.
    fn memory(&self) -> Self::Memory;

    /// Writes what it remembers over a memory of its own; does not allocate.
    fn save(&self, into: &mut Self::Memory);

    /// Goes on from a memory of its own; does not allocate.
    fn load(&mut self, from: &Self::Memory);

    /// Predicts over one period and corrects with what was measured at its end.
    fn advance(&mut self, period: &Period<'_>) -> Correction;

    /// The mean of the belief, NZ numbers.
    fn mean(&self) -> &[f64];

    /// The covariance of elements i and j; 0 out of range.
    fn covariance(&self, i: usize, j: usize) -> f64;

    /// `ν_i / √s_i` of the last period, NY numbers, each independent of the ones before it; 0 where it was missing.
    fn whitened(&self) -> &[f64];

    /// The lengths that [`Self::advance`] wants of u, the disturbances and y.
    fn lengths(&self) -> Lengths;
}

/// Lengths of the parts of a [`Period`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lengths {
    /// NU.
    pub u: usize,
    /// NP.
    pub p: usize,
    /// NY.
    pub y: usize,
}

impl Lengths {
    /// Whether the period's lengths are right and what acted is finite.
    pub(super) fn admit(&self, period: &Period<'_>) -> bool {
        let lengths = period.u.len() == self.u
            && period.acting.len() == self.p
            && period.now.len() == self.p
            && period.y.len() == self.y;
        lengths && period.u.iter().chain(period.acting).chain(period.now).all(|v| v.is_finite())
    }
}
