//! State estimation: an extended Kalman filter on the plant model, offset-free by output disturbances.
//!
//! Between screening and the controllers. A [`Frame`] and the set-points in use go in, an [`Estimate`] comes out. The
//! state x of the model is augmented by one disturbance d per CV, a random walk added to the output:
//!
//! ```text
//! x⁺ = Φ(x, u, p) + w,   w ~ N(0, diag(state_sd²))            Φ: the model over one period, u and p held
//! d⁺ = d + w_d,          w_d ~ N(0, diag(disturbance_sd²))
//! y  = h(x, p) + d + v,  v ~ N(0, diag(measurement_sd²))      the measured CVs
//! ```
//!
//! The time update uses the exact Jacobian of the integrator's step. The measurement update takes the CVs one at a
//! time in Joseph's form, linearised once at the prediction, so a missing CV is simply left out. In steady state the
//! innovations are zero on average whatever the model's error: that is what lets the controller meet its set-points.
//! The pair is detectable if the model is and has no eigenvalue 1 (no integrating mode) with the disturbances on.
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

mod belief;
mod config;
mod estimate;
pub mod filter;
pub mod kalman;
mod start;

use nalgebra::DMatrix;
use plant_models::{Held, Integrator, PlantModel, Variable};
use signals::{Fixed, MAX_CVS, MAX_DVS, Stamp, Values};

use self::belief::{Belief, MAX_Z};
use self::estimate::Memory;
use self::start::{Measured, NEAR_SPANS, initial_state};
use crate::frame::Frame;

pub use self::config::{CvNoise, EkfConfig, EstimationError};
pub use self::estimate::{Checkpoint, Estimate};

/// The most cycles that the filter predicts over at once; after a longer gap it starts anew.
pub const GAP_MAX: u64 = 60;

/// The estimator of one loop.
#[derive(Clone, Debug)]
pub struct Ekf {
    model: &'static dyn PlantModel,
    config: EkfConfig,
    /// Variances of the process noise per period, and standard deviations of the initial error; NX + NC each.
    q: Vec<f64>,
    initial_sd: Vec<f64>,
    memory: Memory,
    // Work space, sized once.
    rk4: Integrator,
    x: Vec<f64>,
    y: Vec<f64>,
    ad: DMatrix<f64>,
    bd: DMatrix<f64>,
    c: DMatrix<f64>,
}

/// What one measurement update found.
#[derive(Clone, Copy, Debug)]
struct Found {
    innovation: Values<MAX_CVS>,
    nis: f64,
}

impl Ekf {
    /// A filter that has not started yet.
    ///
    /// # Errors
    /// [`EstimationError`] for the first value of `config` that does not fit the model or cannot be worked with.
    pub fn new(model: &'static dyn PlantModel, config: EkfConfig) -> Result<Self, EstimationError> {
        let card = model.card();
        config.check(card)?;
        let (nx, nu, ny) = (card.states.len(), card.inputs.len(), card.outputs.len());
        let disturbance_sds = config.cv.iter().map(|cv| cv.disturbance_sd);
        let q = config.state_sd.iter().copied().chain(disturbance_sds).map(|sd| sd * sd).collect();
        let offset_sds = config.cv.iter().map(|cv| {
            let span = card.outputs.get(cv.output).map_or(0.0, Variable::span);
            if cv.disturbance_sd > 0.0 { NEAR_SPANS * span } else { 0.0 }
        });
        let initial_sd = config.initial_sd.iter().copied().chain(offset_sds).collect();
        Ok(Self {
            model,
            q,
            initial_sd,
            memory: Memory::new(model, &config),
            rk4: Integrator::rk4(model),
            x: vec![0.0; nx],
            y: vec![0.0; ny],
            ad: DMatrix::zeros(nx, nx),
            bd: DMatrix::zeros(nx, nu),
            c: DMatrix::zeros(ny, nx),
            config,
        })
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
        let predicted = match (usable_u, self.memory.belief, elapsed.filter(|cycles| *cycles <= GAP_MAX)) {
            (false, ..) => None,
            (true, Some(belief), Some(cycles)) => Some(self.predicted(belief, &Acting { u, p: acted }, cycles)),
            (true, ..) => self.started(frame, u),
        };
        let corrected = predicted.and_then(|belief| self.corrected(belief, frame));
        self.memory.belief = corrected.map(|(belief, _)| belief);
        let estimate = self.report(frame.cycle(), frame.at(), corrected.map(|(_, found)| found));
        self.memory.last = Some(estimate);
        estimate
    }

    /// Begins at a known state, with the configured initial error, as of `cycle`: for studies and replay, where the
    /// state is known better than a first measurement tells it. `false`, and nothing changes, if `x` does not have NX
    /// finite elements.
    pub fn begin_at(&mut self, cycle: u64, at: Stamp, x: &[f64]) -> bool {
        if x.len() != self.x.len() || x.iter().any(|x| !x.is_finite()) {
            return false;
        }
        self.reset();
        self.memory.belief = Some(Belief::new(x, &self.initial_sd));
        let found = Found { innovation: Values::filled(0.0, self.config.cv.len()), nis: 0.0 };
        self.memory.last = Some(self.report(cycle, at, Some(found)));
        true
    }

    /// Everything that the filter remembers.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { memory: self.memory }
    }

    /// Goes on from a checkpoint. One of a filter of another shape is refused: the filter is then reset, and the
    /// answer is `false`.
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> bool {
        let fresh = Memory::new(self.model, &self.config);
        let it = &checkpoint.memory;
        let shape = (self.x.len(), self.initial_sd.len());
        let fits = it.belief.is_none_or(|belief| belief.shape() == shape)
            && (it.p.len(), it.dv.len(), it.missing.len()) == (fresh.p.len(), fresh.dv.len(), fresh.missing.len());
        self.memory = if fits { *it } else { fresh };
        fits
    }

    /// Forgets everything; the next frame starts the filter.
    pub fn reset(&mut self) {
        self.memory = Memory::new(self.model, &self.config);
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

    fn started(&self, frame: &Frame, u: &[f64]) -> Option<Belief> {
        let measured = self.config.cv.iter().enumerate();
        let measured = measured.map(|(i, cv)| Some(Measured { output: cv.output, value: frame.cv(i)? }));
        let measured: Vec<_> = measured.collect::<Option<_>>()?;
        let (dt_s, substeps) = (self.config.period_s, self.config.substeps);
        let held = Held { u, p: &self.memory.p, dt_s, substeps };
        let x = initial_state(self.model, &held, &measured);
        Some(Belief::new(&x, &self.initial_sd))
    }

    fn predicted(&mut self, mut belief: Belief, acting: &Acting<'_>, cycles: u64) -> Belief {
        let held = Held { u: acting.u, p: &acting.p, dt_s: self.config.period_s, substeps: self.config.substeps };
        for _ in 0..cycles {
            self.x.copy_from_slice(belief.x());
            self.rk4.step_with_sensitivities(&mut self.x, &held, &mut self.ad, &mut self.bd);
            belief.predict(&self.x, &self.ad, &self.q);
        }
        belief
    }

    /// `None` when the belief is not sound any more.
    fn corrected(&mut self, mut belief: Belief, frame: &Frame) -> Option<(Belief, Found)> {
        let prior = belief;
        self.model.outputs(prior.x(), &self.memory.p, &mut self.y);
        self.model.output_jacobian(prior.x(), &self.memory.p, &mut self.c);
        let mut found = Found { innovation: Values::filled(0.0, self.config.cv.len()), nis: 0.0 };
        let cvs = self.config.cv.iter().zip(prior.d()).zip(found.innovation.iter_mut()).enumerate();
        for (i, ((cv, d), innovation)) in cvs {
            let Some(measured) = frame.cv(i) else { continue };
            let mut h = [0.0; MAX_Z];
            h.iter_mut().zip(self.c.row(cv.output).iter()).for_each(|(h, c)| *h = *c);
            *h.get_mut(prior.x().len() + i)? = 1.0;
            *innovation = measured - (self.y.get(cv.output)? + d);
            // What the CVs before this one have already moved of its prediction.
            let moved: f64 = h.iter().zip(belief.mean()).zip(prior.mean()).map(|((h, z), z0)| h * (z - z0)).sum();
            found.nis += belief.correct(&h, *innovation - moved, cv.measurement_sd * cv.measurement_sd)?;
        }
        belief.is_sound().then_some((belief, found))
    }

    fn report(&mut self, cycle: u64, at: Stamp, found: Option<Found>) -> Estimate {
        let card = self.model.card();
        let cvs = self.config.cv.len();
        let nominal = card.states.iter().map(|state| state.nominal);
        let (x, x_sd, d) = self.memory.belief.as_ref().map_or_else(
            || (Values::collect(nominal), Values::filled(0.0, card.states.len()), Values::filled(0.0, cvs)),
            |belief| {
                let sd = (0..belief.x().len()).map(|i| belief.variance(i).max(0.0).sqrt());
                (collect(belief.x()), Values::collect(sd), collect(belief.d()))
            },
        );
        self.model.outputs(&x, &self.memory.p, &mut self.y);
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
            p: self.memory.p,
            y,
            innovation: found.map_or_else(|| Values::filled(0.0, cvs), |found| found.innovation),
            nis: found.map_or(0.0, |found| found.nis),
            missing: u32::try_from(missing).unwrap_or(u32::MAX),
            valid: found.is_some() && bridged,
        }
    }
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
            belief: None,
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

#[cfg(test)]
mod tests;
