//! Moving-horizon estimation: the states of the last N periods at once, so that bounds on them can be kept.
//!
//! ```text
//! min  ‖z_0 - m_0‖²_{P_0⁻¹} + Σ_{k=0..N-1} ‖w_k‖²_{Q⁻¹} + Σ_{k=1..N} ‖y_k - h(z_k)‖²_{R⁻¹}
//! s.t. z_{k+1} = Φ(z_k, u_k) + w_k,   lo ≤ z_k ≤ hi
//! ```
//!
//! with z of [`super::system`]: states, parameters, offsets. Gauss and Newton's method: linearised at the trajectory,
//! the window is solved by one sweep forward and back (`window`), which is exact as long as no bound is active. Only
//! when its trajectory passes a bound is the programme solved with bounds, by an [`OcpSolver`] (`bounded`). One
//! iteration per period from the shifted trajectory is the real-time iteration; more follow while the trajectory still
//! moves.
//!
//! The arrival cost (m_0, P_0) is what the forward sweep believed of the first stage given all measurements up to it.
//! It is linearised at the smoothed trajectory of the time when the stage left the window, and knows no bounds.
//!
//! A late sample enters at its own stage ([`MovingHorizon::fuse`]): here that costs no more than a period.
//!
//! # Invariants
//! - The estimate is within the bounds, whatever the solver said.
//! - A step does not allocate (a solver may). A window that is not finite or not definite any more is
//!   [`Outcome::Lost`] and begins anew.
//!
//! # Sources
//! C. V. Rao, J. B. Rawlings and D. Q. Mayne, Constrained state estimation for nonlinear discrete-time systems, IEEE
//! Trans. Autom. Control 48 (2003) 246; P. Kühl, M. Diehl et al., A real-time algorithm for moving horizon state and
//! parameter estimation, Comput. Chem. Eng. 35 (2011) 71.

#![allow(clippy::indexing_slicing, reason = "every length is set at construction, or checked by admit")]

mod bounded;
mod window;

use plant_models::PlantModel;
use signals::SolveStatus;

use self::bounded::Bounded;
use self::window::Window;
use super::belief::Belief;
use super::config::{EstimationError, numbers};
use super::extended::check_x0;
use super::filter::{Correction, Lengths, Outcome, Period};
use super::late::{LateOutcome, LateSample};
use super::system::{System, SystemConfig};
use crate::qp::{OcpDims, OcpSolver};

/// The tuning of a [`MovingHorizon`].
#[derive(Clone, Debug, PartialEq)]
pub struct MheConfig {
    /// The model and its noises.
    pub system: SystemConfig,
    /// Periods of the window, N: at least 1.
    pub horizon: usize,
    /// Lower bounds of the states, NX; -∞ for none. Parameters are bounded by the model's card.
    pub lo: Vec<f64>,
    /// Upper bounds of the states, NX; +∞ for none.
    pub hi: Vec<f64>,
    /// The most Gauss-Newton iterations of one period: 1 is the real-time iteration.
    pub iterations: u32,
    /// No further iteration once the trajectory moves by less, in spans of the states.
    pub tolerance: f64,
}

/// How a window was solved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// By the sweep: no bound is active.
    Sweep,
    /// By the solver, bounds kept.
    Bounded,
    /// The solver ended so; the estimate is the sweep's, clipped to the bounds.
    Clipped(SolveStatus),
}

/// What one period found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MheCorrection {
    /// The newest period's innovations, as of a filter.
    pub correction: Correction,
    /// How the last iteration was solved.
    pub path: Path,
    /// Gauss-Newton iterations.
    pub iterations: u32,
    /// The last iteration's move, in spans.
    pub moved: f64,
}

/// A moving-horizon estimator.
#[derive(Debug)]
pub struct MovingHorizon {
    system: System,
    begin: Belief,
    window: Window,
    bounded: Option<Bounded>,
    scale: Vec<f64>,
    iterations: u32,
    tolerance: f64,
}

impl MovingHorizon {
    /// An estimator of `model` that begins at the state `x0` (NX) with the configured initial errors. `make` builds the
    /// solver for the programme's shape; it is asked only if there is a bound.
    ///
    /// # Errors
    /// [`EstimationError`] for the first value that does not fit the model or cannot be worked with.
    pub fn new(
        model: &'static dyn PlantModel,
        config: &MheConfig,
        x0: &[f64],
        make: &dyn Fn(&OcpDims) -> Box<dyn OcpSolver>,
    ) -> Result<Self, EstimationError> {
        let system = System::new(model, &config.system)?;
        let (nx, _) = system.shape();
        check_x0(x0, nx)?;
        for (list, bounds) in [("lo", &config.lo), ("hi", &config.hi)] {
            if bounds.len() != nx {
                return Err(EstimationError::Length { list, got: bounds.len(), expected: nx });
            }
        }
        let widths = config.lo.iter().zip(&config.hi).map(|(lo, hi)| (hi - lo).min(f64::MAX));
        numbers("hi less lo", widths, false)?;
        numbers("horizon", [config.horizon as f64], false)?;
        numbers("iterations", [f64::from(config.iterations)], false)?;
        numbers("tolerance", [config.tolerance], true)?;
        let (mut lo, mut hi) = (config.lo.clone(), config.hi.clone());
        system.extend_bounds(&mut lo, &mut hi);
        let scale = system.spans();
        let is_bounded = lo.iter().chain(&hi).any(|bound| bound.is_finite());
        let begin = system.belief(x0);
        Ok(Self {
            window: Window::new(&system, config.horizon, &begin),
            bounded: is_bounded.then(|| Bounded::new((&lo, &hi), &scale, config.horizon, make)),
            begin,
            scale,
            iterations: config.iterations,
            tolerance: config.tolerance,
            system,
        })
    }

    /// One period in which the disturbances `p` (NP) hold: takes in `u` (NU) and `y` (NY; not finite: missing), and
    /// solves the window. `late` is handed to the solver, and ends the iterations.
    pub fn step(&mut self, u: &[f64], p: &[f64], y: &[f64], late: &dyn Fn() -> bool) -> MheCorrection {
        self.advance(&Period { u, acting: p, now: p, y }, late)
    }

    /// The same, with disturbances that changed at the end of the period.
    pub fn advance(&mut self, period: &Period<'_>, late: &dyn Fn() -> bool) -> MheCorrection {
        if !self.system.lengths().admit(period) {
            return MheCorrection::without(Outcome::Refused);
        }
        self.window.push(period);
        self.solve(late)
    }

    /// Puts a late sample into its own period and solves the window with it.
    pub fn fuse(&mut self, sample: &LateSample, late: &dyn Fn() -> bool) -> LateOutcome {
        let Lengths { y: rows, .. } = self.system.lengths();
        if sample.row >= rows || !sample.value.is_finite() {
            return LateOutcome::Refused;
        }
        let len = self.window.len;
        if sample.age >= len {
            return LateOutcome::TooOld { remembered: len };
        }
        let slot = &mut self.window.stage_mut(len - sample.age).y[sample.row];
        if slot.is_finite() {
            return LateOutcome::AlreadyMeasured;
        }
        *slot = sample.value;
        let correction = self.solve(late).correction;
        match correction.outcome {
            Outcome::Lost => LateOutcome::Implausible,
            _ => LateOutcome::Fused { periods: sample.age + 1, correction },
        }
    }

    /// The state x̂ now, NX.
    #[must_use]
    pub fn x(&self) -> &[f64] {
        self.trajectory(0)
    }

    /// The smoothed state `age` periods ago, NX; the oldest of the window beyond it.
    #[must_use]
    pub fn trajectory(&self, age: usize) -> &[f64] {
        let k = self.window.len.saturating_sub(age);
        &self.window.stage(k).z[..self.system.shape().0]
    }

    /// The estimated disturbances now: index on the card, value.
    pub fn parameters(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.system.parameters(&self.window.stage(self.window.len).z)
    }

    /// The covariance of elements i and j of z now, bounds not counted; 0 out of range.
    #[must_use]
    pub fn covariance(&self, i: usize, j: usize) -> f64 {
        let n = self.scale.len();
        if i < n && j < n { self.window.stage(self.window.len).belief.covariance(i, j) } else { 0.0 }
    }

    /// `ν_i / √s_i` of the newest period, NY; 0 where missing.
    #[must_use]
    pub fn whitened(&self) -> &[f64] {
        &self.window.whitened
    }

    /// Begins anew.
    pub fn reset(&mut self) {
        self.window.begin(&self.begin);
    }

    fn solve(&mut self, late: &dyn Fn() -> bool) -> MheCorrection {
        let mut result = MheCorrection::without(Outcome::Lost);
        for iteration in 1..=self.iterations {
            let Some(correction) = self.window.forward(&mut self.system) else { return self.lost() };
            self.window.backward();
            let path = self.keep_bounds(late);
            let moved = self.window.accept(&self.scale);
            if !moved.is_finite() {
                return self.lost();
            }
            result = MheCorrection { correction, path, iterations: iteration, moved };
            if moved <= self.tolerance || late() {
                break;
            }
        }
        result
    }

    /// Brings the smoothed trajectory into the bounds where it passes them.
    fn keep_bounds(&mut self, late: &dyn Fn() -> bool) -> Path {
        let Some(bounded) = &mut self.bounded else { return Path::Sweep };
        if !bounded.is_passed(&self.window) {
            return Path::Sweep;
        }
        match bounded.solve(&mut self.window, &self.system, late) {
            SolveStatus::Solved => Path::Bounded,
            status => {
                bounded.clip(&mut self.window);
                Path::Clipped(status)
            }
        }
    }

    fn lost(&mut self) -> MheCorrection {
        self.reset();
        MheCorrection::without(Outcome::Lost)
    }
}

impl MheCorrection {
    fn without(outcome: Outcome) -> Self {
        Self { correction: Correction::none(outcome), path: Path::Sweep, iterations: 0, moved: 0.0 }
    }
}

#[cfg(test)]
mod tests;
