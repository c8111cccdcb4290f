//! The model of DMC: what a unit step of each input does to each CV, sample by sample.
//!
//! `s_ij(t)`, `t = 1 … n`, is the change of CV i, t samples after a unit step of input j; the inputs are the MVs, then
//! the DVs. After n samples a CV rests, or, if it is *integrating*, ramps on with the slope of the last two samples.
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: shapes are set at construction, indices checked there")]

use super::{DmcError, Transfer};
use crate::identification::StateSpace;

/// The most samples of a response.
pub const SAMPLES_MAX: usize = 10_000;

/// The variables of a model, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Controlled variables, NY.
    pub cvs: Vec<String>,
    /// Manipulated variables, NU.
    pub mvs: Vec<String>,
    /// Measured disturbances, ND.
    pub dvs: Vec<String>,
}

/// One response of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// Index of the CV.
    pub cv: usize,
    /// Index of the input: MVs, then DVs.
    pub input: usize,
    /// The dynamics.
    pub transfer: Transfer,
}

/// How a state-space model is turned into step responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling<'a> {
    /// Samples of each response.
    pub samples: usize,
    /// Dead time of each input beyond the model's own, samples.
    pub delay: &'a [usize],
    /// Which CVs ramp: an identified pole is never exactly 1.
    pub integrating: &'a [bool],
}

/// Step responses of all pairs; see the module.
#[derive(Clone, Debug, PartialEq)]
pub struct StepResponseModel {
    names: Names,
    period_s: f64,
    samples: usize,
    /// `s_ij(t)` at `(i · inputs + j) · samples + t - 1`.
    coefficients: Vec<f64>,
    integrating: Vec<bool>,
}

impl StepResponseModel {
    /// A model of `samples` samples of `period_s` from the dynamics of its pairs; a pair not named does nothing. A CV
    /// with a pair that ends in a ramp is integrating.
    ///
    /// # Errors
    /// [`DmcError::Grid`], [`DmcError::Pair`] for an index that points at nothing or a pair named twice, and the errors
    /// of [`Transfer::sampled`].
    pub fn new(names: Names, (period_s, samples): (f64, usize), pairs: &[Pair]) -> Result<Self, DmcError> {
        if !(period_s > 0.0 && period_s.is_finite() && (2..=SAMPLES_MAX).contains(&samples)) {
            return Err(DmcError::Grid { period_s, samples });
        }
        let (cvs, inputs) = (names.cvs.len(), names.mvs.len() + names.dvs.len());
        let mut model = Self {
            names,
            period_s,
            samples,
            coefficients: vec![0.0; cvs * inputs * samples],
            integrating: vec![false; cvs],
        };
        let mut named = vec![false; cvs * inputs];
        for Pair { cv, input, transfer } in pairs {
            if *cv >= cvs || *input >= inputs || std::mem::replace(&mut named[cv * inputs + input], true) {
                return Err(DmcError::Pair { cv: *cv, input: *input });
            }
            let at = (cv * inputs + input) * samples;
            model.coefficients[at..at + samples].copy_from_slice(&transfer.sampled(period_s, samples)?);
            model.integrating[*cv] |= transfer.is_ramp();
        }
        Ok(model)
    }

    /// The step responses of a linear model whose sample time is in seconds, its inputs in the order MVs, DVs.
    ///
    /// # Errors
    /// [`DmcError::Shape`] when names or sampling do not fit the model, and the errors of [`Self::new`].
    pub fn from_state_space(model: &StateSpace, names: Names, sampling: &Sampling<'_>) -> Result<Self, DmcError> {
        let Sampling { samples, delay, integrating } = *sampling;
        let (cvs, inputs) = model.d.shape();
        for (what, got, expected) in [
            ("names.cvs", names.cvs.len(), cvs),
            ("names.mvs and names.dvs", names.mvs.len() + names.dvs.len(), inputs),
            ("delay", delay.len(), inputs),
            ("integrating", integrating.len(), cvs),
        ] {
            if got != expected {
                return Err(DmcError::Shape { what, got, expected });
            }
        }
        let pair = |at: usize| {
            let (cv, input) = (at / inputs, at % inputs);
            let dead = delay[input].min(samples);
            let mut values = vec![0.0; dead];
            values.extend(model.step_response(cv, input, samples - dead));
            Pair { cv, input, transfer: Transfer::Coefficients { values, ramp: integrating[cv] } }
        };
        let pairs: Vec<Pair> = (0..cvs * inputs).map(pair).collect();
        Self::new(names, (model.period, samples), &pairs)
    }

    /// The variables.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Sample time, s.
    #[must_use]
    pub fn period_s(&self) -> f64 {
        self.period_s
    }

    /// Samples of each response, n.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Number of CVs, NY.
    #[must_use]
    pub fn cvs(&self) -> usize {
        self.names.cvs.len()
    }

    /// Number of MVs, NU.
    #[must_use]
    pub fn mvs(&self) -> usize {
        self.names.mvs.len()
    }

    /// Number of DVs, ND.
    #[must_use]
    pub fn dvs(&self) -> usize {
        self.names.dvs.len()
    }

    /// Whether CV `cv` ramps.
    #[must_use]
    pub fn is_integrating(&self, cv: usize) -> bool {
        self.integrating[cv]
    }

    /// `s(1) … s(n)` of CV `cv` and `input`.
    #[must_use]
    pub fn response(&self, cv: usize, input: usize) -> &[f64] {
        let at = (cv * (self.mvs() + self.dvs()) + input) * self.samples;
        &self.coefficients[at..at + self.samples]
    }

    /// What a step is worth in the end: `s(n)`, or, of an integrating CV, the slope `s(n) - s(n-1)` per sample.
    #[must_use]
    pub fn final_gain(&self, cv: usize, input: usize) -> f64 {
        let response = self.response(cv, input);
        let last = response[self.samples - 1];
        if self.integrating[cv] { last - response[self.samples - 2] } else { last }
    }

    /// How far the response is from its end: the change over the last sample, relative to the largest coefficient. Of
    /// an integrating CV, the change of slope. More than about a percent says that `samples` is too short.
    #[must_use]
    pub fn unsettled(&self, cv: usize, input: usize) -> f64 {
        let response = self.response(cv, input);
        let n = self.samples;
        let largest = response.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
        let last = response[n - 1] - response[n - 2];
        let before = if self.integrating[cv] && n > 2 { response[n - 2] - response[n - 3] } else { 0.0 };
        if largest > 0.0 { (last - before).abs() / largest } else { 0.0 }
    }
}
