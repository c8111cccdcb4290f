//! The estimator of a loop: an extended Kalman filter on the plant model, offset-free by output disturbances.
//!
//! Between screening and the controllers. A [`Frame`] and the set-points in use go in, an [`Estimate`] comes out. The
//! state x of the model is augmented by one disturbance d per CV, a random walk added to the output, and where asked by
//! disturbances of the model's card that nobody measures ([`Ekf::with_parameters`]):
//!
//! ```text
//! x⁺ = Φ(x, u, p) + w,   w ~ N(0, diag(state_sd²))            Φ: the model over one period, u and p held
//! d⁺ = d + w_d,          w_d ~ N(0, diag(disturbance_sd²))
//! y  = h(x, p) + d + v,  v ~ N(0, diag(measurement_sd²))      the measured CVs
//! ```
//!
//! The arithmetic is [`Extended`]'s; this is its shell for the loop: it starts the filter, counts what is missing,
//! holds the measured disturbances, and bridges gaps in the cycles. In steady state the innovations are zero on average
//! whatever the model's error: that is what lets the controller meet its set-points. The pair is detectable if the
//! model is and has no eigenvalue 1 (no integrating mode) with the disturbances on.
//!
//! # Invariants
//! - [`Estimate`] is made only here. Equal frames and set-points give bit-equal estimates.
//! - P is symmetric bit for bit, and positive semidefinite: a belief that is not, or is not finite, is dropped, the
//!   cycle's estimate is invalid, and the filter starts anew at the next cycle.
//! - A step does not allocate, but for the one that starts the filter (it looks for a steady state).
//!
//! # Sources
//! A. H. Jazwinski, *Stochastic Processes and Filtering Theory*, 1970, ch. 8; K. R. Muske and T. A. Badgwell,
//! Disturbance modeling for offset-free linear model predictive control, J. Process Control 12 (2002) 617;
//! G. Pannocchia and J. B. Rawlings, Disturbance models for offset-free model-predictive control, AIChE J. 49 (2003)
//! 426; Y. Bar-Shalom, X. R. Li and T. Kirubarajan, *Estimation with Applications to Tracking and Navigation*, 2001,
//! 5.4 (the normalised innovation squared).

use std::time::Duration;

use plant_models::{Held, Method, PlantModel};
use signals::{Fixed, MAX_CVS, MAX_DVS, Stamp, Values};

use super::config::{EkfConfig, EstimationError};
use super::estimate::{Checkpoint, Estimate, Memory};
use super::extended::{Extended, check_x0};
use super::filter::{Correction, Outcome, Period};
use super::late::{LateFusion, LateOutcome, LateSample};
use super::start::{Measured, initial_state};
use super::system::{ParameterNoise, SystemConfig};
use crate::frame::Frame;

/// The most cycles that the filter predicts over at once; after a longer gap it starts anew.
pub const GAP_MAX: u64 = 60;

/// The estimator of one loop.
#[derive(Clone, Debug)]
pub struct Ekf {
    model: &'static dyn PlantModel,
    config: EkfConfig,
    core: LateFusion<Extended>,
    /// Whether the core has a belief: `false` until the filter has started.
    running: bool,
    memory: Memory,
    // Work space, sized once.
    y: Vec<f64>,
    nothing: Vec<f64>,
}

impl Ekf {
    /// A filter that has not started yet.
    ///
    /// # Errors
    /// [`EstimationError`] for the first value of `config` that does not fit the model or cannot be worked with.
    pub fn new(model: &'static dyn PlantModel, config: EkfConfig) -> Result<Self, EstimationError> {
        Self::with_parameters(model, config, vec![])
    }

    /// The same, which also estimates disturbances of the model's card that no tag measures. [`Estimate::p`] then has
    /// their estimates, held in the range of the card.
    ///
    /// Offsets and parameters compete for the same innovations. For the pair to be detectable there may be no more
    /// parameters and offsets together than CVs: switch an offset off (`disturbance_sd = 0`) for each parameter.
    ///
    /// # Errors
    /// As [`Self::new`]; a parameter that is also one of `dv_of` is an [`EstimationError::Index`].
    pub fn with_parameters(
        model: &'static dyn PlantModel,
        config: EkfConfig,
        parameters: Vec<ParameterNoise>,
    ) -> Result<Self, EstimationError> {
        let card = model.card();
        config.check(card)?;
        let taken = parameters.iter().position(|p| config.dv_of.contains(&p.disturbance));
        if let Some((entry, parameter)) = taken.and_then(|entry| Some((entry, parameters.get(entry)?))) {
            return Err(EstimationError::Index { list: "parameter", entry, index: parameter.disturbance });
        }
        let system = SystemConfig {
            period_s: config.period_s,
            substeps: config.substeps,
            method: Method::Rk4,
            measured: config.cv.clone(),
            state_sd: config.state_sd.clone(),
            initial_sd: config.initial_sd.clone(),
            parameters,
        };
        let nominal: Vec<_> = card.states.iter().map(|state| state.nominal).collect();
        Ok(Self {
            model,
            core: LateFusion::new(Extended::new(model, &system, &nominal)?, 0),
            running: false,
            memory: Memory::new(model, &config),
            y: vec![0.0; card.outputs.len()],
            nothing: vec![f64::NAN; config.cv.len()],
            config,
        })
    }

    /// Remembers the last `periods` periods from now on, for samples that arrive late ([`Self::fuse_late`]).
    #[must_use]
    pub fn remembering(mut self, periods: usize) -> Self {
        self.core = LateFusion::new(self.core.filter().clone(), periods);
        self
    }

    /// One cycle: predicts over the cycles since the last frame, then corrects with the CVs that were measured.
    ///
    /// | argument | meaning |
    /// |---|---|
    /// | `frame` | the judged measurements; the CVs and DVs of the configuration, in its order |
    /// | `u` | the set-points in use since the last frame, NU of them, in model units |
    ///
    /// The filter starts with the first frame in which every CV is usable; till then the estimate is invalid. A second
    /// frame of the same cycle gives the same estimate again. A frame of an earlier cycle, or one more than
    /// [`GAP_MAX`] cycles later, starts the filter anew. `u` of the wrong length or not finite stops it.
    pub fn step(&mut self, frame: &Frame, u: &[f64]) -> Estimate {
        let last = self.memory.last;
        if let Some(same) = last.filter(|last| last.cycle == frame.cycle()) {
            return same;
        }
        let elapsed = last.map_or(Some(1), |last| frame.cycle().checked_sub(last.cycle));
        let acted = self.memory.p;
        self.memory.p = self.disturbances(frame);
        self.count_missing(frame, elapsed.unwrap_or(1));

        let usable_u = u.len() == self.model.card().inputs.len() && u.iter().all(|u| u.is_finite());
        let correction = match (usable_u, self.running, elapsed.filter(|cycles| *cycles <= GAP_MAX)) {
            (false, ..) => None,
            (true, true, Some(cycles)) => self.advanced(frame, &Acting { u, p: acted }, cycles),
            (true, ..) => self.started(frame, u),
        };
        self.running = correction.is_some();
        let estimate = self.report(frame.cycle(), frame.at(), correction);
        self.memory.last = Some(estimate);
        estimate
    }

    /// Fuses a sample of CV `cv` that was taken at `taken` and arrives only now: a laboratory's. The cycles since are
    /// run again with it, exactly; [`Self::last`] then is the newest cycle's estimate anew. The sample counts for the
    /// period that ended nearest to `taken`. Needs [`Self::remembering`].
    pub fn fuse_late(&mut self, taken: Stamp, cv: usize, value: f64) -> LateOutcome {
        let Some(last) = self.memory.last.filter(|_| self.running) else {
            return LateOutcome::TooOld { remembered: 0 };
        };
        let half = Duration::from_secs_f64(0.5 * self.config.period_s);
        if taken.since(last.at) > half {
            return LateOutcome::Refused; // Of the future.
        }
        let age = (last.at.since(taken).as_secs_f64() / self.config.period_s).round();
        let sample = LateSample { age: age as usize, row: cv, value };
        let outcome = self.core.fuse(&sample);
        if let LateOutcome::Fused { correction, .. } = outcome {
            let fresh = self.report(last.cycle, last.at, Some(correction));
            self.memory.last = Some(Estimate { valid: last.valid, ..fresh });
        }
        outcome
    }

    /// The newest estimate.
    #[must_use]
    pub fn last(&self) -> Option<Estimate> {
        self.memory.last
    }

    /// Whether the measurements hold parameter `t` of [`Self::with_parameters`]; see [`ParameterNoise::sd_max`].
    #[must_use]
    pub fn is_observed(&self, t: usize) -> bool {
        self.running && self.core.filter().is_observed(t)
    }

    /// Begins at a known state, with the configured initial error, as of `cycle`: for studies and replay, where the
    /// state is known better than a first measurement tells it. `false`, and nothing changes, if `x` does not have NX
    /// finite elements.
    pub fn begin_at(&mut self, cycle: u64, at: Stamp, x: &[f64]) -> bool {
        if check_x0(x, self.core.filter().x().len()).is_err() || !self.core.filter_mut().begin_at(x) {
            return false;
        }
        self.memory = Memory::new(self.model, &self.config);
        self.running = true;
        self.memory.last = Some(self.report(cycle, at, Some(Correction::none(Outcome::Predicted))));
        true
    }

    /// Everything that the filter remembers.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { memory: self.memory, belief: self.running.then(|| *self.core.filter().belief()) }
    }

    /// Goes on from a checkpoint. One of a filter of another shape is refused: the filter is then reset, and the
    /// answer is `false`. Late samples of before the checkpoint are too old.
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> bool {
        let fresh = Memory::new(self.model, &self.config);
        let it = &checkpoint.memory;
        let shape = self.core.filter().belief().shape();
        let fits = checkpoint.belief.is_none_or(|belief| belief.shape() == shape)
            && (it.p.len(), it.dv.len(), it.missing.len()) == (fresh.p.len(), fresh.dv.len(), fresh.missing.len());
        self.memory = if fits { *it } else { fresh };
        self.running = fits && checkpoint.belief.is_some();
        if let Some(belief) = checkpoint.belief.filter(|_| fits) {
            self.core.filter_mut().put(&belief);
        }
        fits
    }

    /// Forgets everything; the next frame starts the filter.
    pub fn reset(&mut self) {
        self.memory = Memory::new(self.model, &self.config);
        self.running = false;
    }

    /// The model's disturbances now: each DV's newest usable value while it is young enough, else the nominal.
    fn disturbances(&mut self, frame: &Frame) -> Values<MAX_DVS> {
        let mut p = nominal_disturbances(self.model);
        for (i, (index, known)) in self.config.dv_of.iter().zip(self.memory.dv.iter_mut()).enumerate() {
            *known = frame.dv(i).map(|value| (value, frame.at())).or(*known);
            let young = known.filter(|(_, at)| frame.at().since(*at) <= self.config.dv_hold);
            if let (Some(p), Some((value, _))) = (p.get_mut(*index), young) {
                *p = value;
            }
        }
        p
    }

    fn count_missing(&mut self, frame: &Frame, elapsed: u64) {
        let elapsed = u32::try_from(elapsed).unwrap_or(u32::MAX);
        for (i, missing) in self.memory.missing.iter_mut().enumerate() {
            *missing = if frame.cv(i).is_some() { 0 } else { missing.saturating_add(elapsed) };
        }
    }

    /// Starts at the first frame and corrects with it; `None` while it lacks a CV.
    fn started(&mut self, frame: &Frame, u: &[f64]) -> Option<Correction> {
        let measured = self.config.cv.iter().enumerate();
        let measured = measured.map(|(i, cv)| Some(Measured { output: cv.output, value: frame.cv(i)? }));
        let measured: Vec<_> = measured.collect::<Option<_>>()?;
        let (dt_s, substeps) = (self.config.period_s, self.config.substeps);
        let held = Held { u, p: &self.memory.p, dt_s, substeps };
        let x = initial_state(self.model, &held, &measured);
        let y = measurements(frame, self.config.cv.len());
        let core = self.core.filter_mut();
        let begun = core.begin_at(&x);
        let now = &self.memory.p;
        let correction = begun.then(|| core.correct(&Period { u, acting: now, now, y: &y }));
        correction.filter(|correction| correction.outcome != Outcome::Lost)
    }

    /// Predicts over `cycles` cycles and corrects at the last; `None` when the belief is lost.
    fn advanced(&mut self, frame: &Frame, acting: &Acting<'_>, cycles: u64) -> Option<Correction> {
        let y = measurements(frame, self.config.cv.len());
        let mut last = None;
        for ahead in (0..cycles).rev() {
            let y = if ahead == 0 { &y[..] } else { &self.nothing };
            let correction = self.core.advance(&Period { u: acting.u, acting: &acting.p, now: &self.memory.p, y });
            last = matches!(correction.outcome, Outcome::Corrected | Outcome::Predicted).then_some(correction);
            last?;
        }
        last
    }

    fn report(&mut self, cycle: u64, at: Stamp, correction: Option<Correction>) -> Estimate {
        let card = self.model.card();
        let (cvs, filter) = (self.config.cv.len(), self.core.filter());
        let nominal = card.states.iter().map(|state| state.nominal);
        let (belief, system) = (filter.belief(), filter.system());
        let mut p = self.memory.p;
        let (x, x_sd, d) = if self.running || correction.is_some() {
            for (index, value) in system.parameters(belief.mean()) {
                p.iter_mut().skip(index).take(1).for_each(|p| *p = value);
            }
            let sd = (0..belief.x().len()).map(|i| belief.variance(i).max(0.0).sqrt());
            let offset = |i| system.offset(i).and_then(|at| belief.mean().get(at)).copied().unwrap_or(0.0);
            (collect(belief.x()), Values::collect(sd), Values::collect((0..cvs).map(offset)))
        } else {
            (Values::collect(nominal), Values::filled(0.0, card.states.len()), Values::filled(0.0, cvs))
        };
        let innovation = correction.map_or_else(|| Values::filled(0.0, cvs), |_| collect(filter.innovation()));
        self.model.outputs(&x, &p, &mut self.y);
        let outputs = self.config.cv.iter().map(|cv| self.y.get(cv.output).copied().unwrap_or(f64::NAN));
        let y = Values::collect(outputs.zip(&d).map(|(y, d)| y + d));
        let missing = self.memory.missing.iter().filter(|cycles| **cycles > 0).count();
        let bridged = self.memory.missing.iter().all(|cycles| *cycles <= self.config.cv_missing_max);
        Estimate {
            cycle,
            at,
            x,
            x_sd,
            d,
            p,
            y,
            innovation,
            nis: correction.map_or(0.0, |correction| correction.nis),
            missing: u32::try_from(missing).unwrap_or(u32::MAX),
            valid: correction.is_some() && bridged,
        }
    }
}

/// The CVs of a frame; a missing one is NaN.
fn measurements(frame: &Frame, cvs: usize) -> Values<MAX_CVS> {
    Values::collect((0..cvs).map(|i| frame.cv(i).unwrap_or(f64::NAN)))
}

/// What acted on the plant over the last period.
#[derive(Clone, Copy, Debug)]
struct Acting<'a> {
    u: &'a [f64],
    p: Values<MAX_DVS>,
}

impl Memory {
    fn new(model: &dyn PlantModel, config: &EkfConfig) -> Self {
        Self {
            p: nominal_disturbances(model),
            dv: Fixed::filled(None, config.dv_of.len()),
            missing: Fixed::filled(0, config.cv.len()),
            last: None,
        }
    }
}

fn nominal_disturbances(model: &dyn PlantModel) -> Values<MAX_DVS> {
    Values::collect(model.card().disturbances.iter().map(|disturbance| disturbance.nominal))
}

fn collect<const CAP: usize>(values: &[f64]) -> Values<CAP> {
    Values::collect(values.iter().copied())
}
