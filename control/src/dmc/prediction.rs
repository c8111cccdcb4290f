//! The prediction that DMC carries from cycle to cycle: what each CV does if no input moves any more.
//!
//! Of each CV it holds `y(k), y(k+1) … y(k+n)`. A cycle is, in this order:
//!
//! ```text
//! move of an MV since the last cycle    y(k-1+t) += s_ij(t) Δu_j          t = 1 … n; as read back, whoever made it
//! the time that has passed              y(k+t) = y(k-1+t+1), the end held, or ramped on when integrating
//! move of a DV now                      y(k+t) += s_ij(t) Δd_j
//! measurement                           y(k+t) += (bias + slope · t) (y_measured - y(k))
//! ```
//!
//! So the whole past is in n+1 numbers per CV, a manual move of an MV is fed forward like a measured disturbance, and a
//! constant disturbance leaves no offset. The first good measurement of a CV is believed entirely. Numbers so large
//! that they would drown the prediction's digits are refused, or, if they come from the inputs, end in a new start.
//!
//! Source: Lee, Morari and García, *State-space interpretation of model predictive control*, Automatica 30(4) 1994.
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: shapes are those of the model")]

use super::{CvTuning, StepResponseModel};

/// A measurement this many spans from its prediction is none.
const INNOVATION_MAX: f64 = 1e6;
/// A prediction this many spans from 0 has lost its digits, and so has a first measurement.
const MAGNITUDE_MAX: f64 = 1e12;

/// The prediction of all CVs; see the module.
#[derive(Clone, Debug)]
pub(super) struct Prediction {
    samples: usize,
    /// `y(k+t)` of CV i at `i · (samples + 1) + t`.
    free: Vec<f64>,
    /// What is known of each CV.
    cvs: Vec<Tracked>,
    /// Last inputs, MVs then DVs; NaN before the first good one.
    inputs: Vec<f64>,
}

/// How far a CV's prediction may be trusted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tracked {
    /// Whether it was measured at least once.
    pub(super) known: bool,
    /// Cycles since its last good measurement.
    pub(super) carried: u64,
    /// The last difference of measurement and prediction.
    pub(super) innovation: f64,
}

impl Prediction {
    pub(super) fn new(model: &StepResponseModel) -> Self {
        Self {
            samples: model.samples(),
            free: vec![0.0; model.cvs() * (model.samples() + 1)],
            cvs: vec![Tracked::default(); model.cvs()],
            inputs: vec![f64::NAN; model.mvs() + model.dvs()],
        }
    }

    /// Forgets everything: the plant is taken to be at rest at its next measurements.
    pub(super) fn reset(&mut self) {
        self.free.fill(0.0);
        self.cvs.fill(Tracked::default());
        self.inputs.fill(f64::NAN);
    }

    /// `y(k) … y(k+n)` of CV `cv`.
    pub(super) fn of(&self, cv: usize) -> &[f64] {
        let width = self.samples + 1;
        &self.free[cv * width..(cv + 1) * width]
    }

    pub(super) fn tracked(&self, cv: usize) -> Tracked {
        self.cvs[cv]
    }

    /// Last known value of an input; NaN before the first.
    pub(super) fn input(&self, input: usize) -> f64 {
        self.inputs[input]
    }

    /// Feeds what `input` has moved to since it was last fed; a first value or one that is no number moves nothing.
    pub(super) fn feed(&mut self, model: &StepResponseModel, input: usize, value: f64) {
        let delta = self.remember(input, value);
        if delta.abs() > 0.0 {
            let width = self.samples + 1;
            for cv in 0..self.cvs.len() {
                let ahead = &mut self.free[cv * width + 1..(cv + 1) * width];
                for (y, s) in ahead.iter_mut().zip(model.response(cv, input)) {
                    *y = s.mul_add(delta, *y);
                }
            }
        }
    }

    /// Remembers `value` and returns the difference, which is not fed; 0 when there is none.
    pub(super) fn remember(&mut self, input: usize, value: f64) -> f64 {
        if !value.is_finite() {
            return 0.0;
        }
        let delta = value - std::mem::replace(&mut self.inputs[input], value);
        if delta.is_finite() { delta } else { 0.0 }
    }

    /// Lets `periods` pass.
    pub(super) fn advance(&mut self, model: &StepResponseModel, periods: usize) {
        let width = self.samples + 1;
        let periods_kept = periods.min(self.samples);
        for (cv, tracked) in self.cvs.iter_mut().enumerate() {
            let free = &mut self.free[cv * width..(cv + 1) * width];
            let last = free[self.samples];
            let slope = if model.is_integrating(cv) { last - free[self.samples - 1] } else { 0.0 };
            free.copy_within(periods_kept.., 0);
            let first_new = width - periods_kept;
            for (at, y) in free.iter_mut().enumerate().skip(first_new) {
                *y = last + slope * (at + periods - self.samples) as f64;
            }
            tracked.carried += periods as u64;
        }
    }

    /// Whether the numbers are still worth computing with.
    pub(super) fn is_sound(&self, tunings: &[CvTuning]) -> bool {
        let lawful = |y: &f64, span: f64| y.abs() <= MAGNITUDE_MAX * span;
        let width = self.samples + 1;
        self.free.chunks_exact(width).zip(tunings).all(|(free, cv)| free.iter().all(|y| lawful(y, cv.span)))
    }

    /// Corrects the prediction of `cv` by its measurement; one that is no number, or absurd, carries it on.
    pub(super) fn correct(&mut self, cv: usize, y: f64, tuning: &CvTuning) {
        let width = self.samples + 1;
        let free = &mut self.free[cv * width..(cv + 1) * width];
        let innovation = y - free[0];
        let tracked = &mut self.cvs[cv];
        let most = if tracked.known { INNOVATION_MAX } else { MAGNITUDE_MAX };
        let believable = innovation.abs() <= most * tuning.span;
        if !believable {
            return;
        }
        let (bias, slope) = if tracked.known { (tuning.feedback.bias, tuning.feedback.slope) } else { (1.0, 0.0) };
        for (t, y) in free.iter_mut().enumerate() {
            *y += (bias + slope * t as f64) * innovation;
        }
        *tracked = Tracked { known: true, carried: 0, innovation };
    }
}
