//! Several models at once: which of them explains the measurements, and the estimate that weighs them all.
//!
//! Each candidate is a [`Filter`] of its own; all see the same periods. With `Λ_i` the likelihood of what was measured
//! under candidate i,
//!
//! ```text
//! μ_i ∝ μ_i Λ_i,   then μ_i = floor + (1 - n floor) (μ_i - floor)⁺ / Σ_j (μ_j - floor)⁺
//! x̂   = Σ μ_i x̂_i,  P = Σ μ_i (P_i + (x̂_i - x̂)(x̂_i - x̂)ᵀ)
//! ```
//!
//! The floor lets a model that was wrong for long come back when the plant changes: with 1e-3 it needs three decades of
//! likelihood, a few periods, whatever happened before. Without one a probability reaches 0 and stays there.
//!
//! The candidates do not mix their beliefs (they are static multiple models, not the interacting ones): each remains a
//! filter of its own model. A candidate that loses its belief in a period has no likelihood and falls to the floor.
//!
//! # Invariants
//! - The probabilities are finite, at least the floor, and sum to 1 to rounding. A step does not allocate.
//!
//! Sources: D. T. Magill, Optimal adaptive estimation of sampled stochastic processes, IEEE Trans. Autom. Control 10
//! (1965) 434; Y. Bar-Shalom, X. R. Li and T. Kirubarajan, *Estimation with Applications to Tracking and Navigation*,
//! 2001, 11.6.2.

#![allow(clippy::indexing_slicing, reason = "every length is that of the candidates, set at construction")]

use super::config::{EstimationError, capacity, numbers};
use super::filter::{Filter, Outcome, Period};

/// The most candidates of a bank.
pub const CANDIDATES_MAX: usize = 64;

/// A bank of candidate models, each with its filter and its probability.
#[derive(Clone, Debug)]
pub struct ModelBank<F: Filter> {
    filters: Vec<F>,
    probability: Vec<f64>,
    floor: f64,
    /// `ln Λ_i` of the newest period; -∞ for a lost belief.
    log_likelihood: Vec<f64>,
    mean: Vec<f64>,
}

impl<F: Filter> ModelBank<F> {
    /// A bank of equally probable candidates, whose means have one length; `floor` is the least probability of each,
    /// at least 0 and below 1/n.
    ///
    /// # Errors
    /// [`EstimationError`] for no candidate, too many, unequal shapes, or a floor out of its range.
    pub fn new(filters: Vec<F>, floor: f64) -> Result<Self, EstimationError> {
        let n = filters.len();
        capacity("candidates", n, CANDIDATES_MAX)?;
        numbers("floor", [floor], true)?;
        numbers("1/n less floor", [1.0 / n as f64 - floor], false)?;
        let (nz, lengths) = filters.first().map(|f| (f.mean().len(), f.lengths())).unzip();
        let nz = nz.unwrap_or(0);
        for filter in &filters {
            if filter.mean().len() != nz || Some(filter.lengths()) != lengths {
                return Err(EstimationError::Length { list: "candidate", got: filter.mean().len(), expected: nz });
            }
        }
        let probability = vec![1.0 / n as f64; n];
        let mut bank = Self { probability, floor, log_likelihood: vec![0.0; n], mean: vec![0.0; nz], filters };
        bank.weigh();
        Ok(bank)
    }

    /// One period of every candidate, and Bayes' rule on what was measured. Gives how many candidates lost their
    /// belief in it; a period that is refused changes nothing.
    pub fn advance(&mut self, period: &Period<'_>) -> usize {
        let mut lost = 0;
        for (filter, log) in self.filters.iter_mut().zip(&mut self.log_likelihood) {
            let correction = filter.advance(period);
            *log = match correction.outcome {
                Outcome::Lost => f64::NEG_INFINITY,
                _ if correction.log_likelihood.is_finite() => correction.log_likelihood,
                _ => f64::NEG_INFINITY,
            };
            lost += usize::from(correction.outcome == Outcome::Lost);
        }
        self.bayes();
        self.weigh();
        lost
    }

    /// The probabilities of the candidates.
    #[must_use]
    pub fn probability(&self) -> &[f64] {
        &self.probability
    }

    /// The most probable candidate.
    #[must_use]
    pub fn best(&self) -> usize {
        let ranked = self.probability.iter().enumerate();
        ranked.max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(i, _)| i)
    }

    /// The candidates.
    #[must_use]
    pub fn filters(&self) -> &[F] {
        &self.filters
    }

    /// The weighted mean.
    #[must_use]
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Variance of element `i` of the weighted estimate: within the candidates and between them.
    #[must_use]
    pub fn variance(&self, i: usize) -> f64 {
        let Some(middle) = self.mean.get(i) else { return 0.0 };
        let parts = self.filters.iter().zip(&self.probability);
        parts.map(|(filter, p)| p * (filter.covariance(i, i) + (filter.mean()[i] - middle).powi(2))).sum()
    }

    /// Multiplies by the likelihoods, relative to the largest so that none underflows together, and floors.
    fn bayes(&mut self) {
        let largest = self.log_likelihood.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if !largest.is_finite() {
            return; // Nothing was measured that any candidate could judge.
        }
        let pairs = self.probability.iter_mut().zip(&self.log_likelihood);
        let sum: f64 = pairs
            .map(|(p, log)| {
                *p *= (log - largest).exp();
                *p
            })
            .sum();
        let n = self.probability.len() as f64;
        if sum <= 0.0 {
            self.probability.fill(1.0 / n); // Each that was possible has become impossible.
            return;
        }
        // What is above the floor is scaled, what is below is lifted: probabilities that are right already stay.
        let floor = self.floor;
        self.probability.iter_mut().for_each(|p| *p = (*p / sum - floor).max(0.0));
        let above: f64 = self.probability.iter().sum();
        self.probability.iter_mut().for_each(|p| *p = floor + (1.0 - n * floor) * *p / above);
    }

    fn weigh(&mut self) {
        self.mean.fill(0.0);
        for (filter, p) in self.filters.iter().zip(&self.probability) {
            self.mean.iter_mut().zip(filter.mean()).for_each(|(mean, z)| *mean += p * z);
        }
    }
}
