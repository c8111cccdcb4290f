//! Dynamic matrix control: linear MPC on step responses, for the loops where a model is a table and not an equation.
//!
//! It stands where the nonlinear controller stands, and hands the selector the same plan:
//!
//! ```text
//!            y, dv, u in force ──> prediction ──> targets ──> moves ──> DmcOutcome { MpcOutcome, SteadyState, … }
//!                               (prediction.rs) (steady_state.rs) (programme.rs)
//! ```
//!
//! In each cycle the prediction takes in what the MVs and DVs have done and what the CVs show; the targets say where
//! the plant shall come to rest, given limits with ranks, set-points and money; the moves lead there at least cost. Each of
//! the three files has its equations at its top.
//!
//! # Services
//! Every variable can be taken out of service and put back ([`DmcController::set_services`]):
//!
//! | out of service | what it means |
//! |---|---|
//! | MV | it is not moved; what others do with it is fed forward |
//! | CV | it weighs nothing and has no limits; its prediction goes on and follows its measurement |
//! | DV | its changes are not fed forward; on return the first value is only remembered |
//!
//! The prediction is the same with and without, so a switch moves nothing by itself.
//!
//! # Invariants
//! - [`DmcController::step`] never fails, never panics, never allocates: every ending is a [`SolveStatus`]. Without a plan
//!   the selector plays the last one or holds.
//! - A plan keeps every hard bound and every rate to the last bit; outside its limits an MV returns at full rate.
//! - A constant disturbance and a wrong gain leave no offset on a CV that its MVs can bring to its target.
//! - No clock: the caller's closure says when a solve is late. Equal inputs after equal histories give bit-equal plans.
//!
//! Sources: Cutler and Ramaker, *AIChE 86th Nat. Meeting* 1979; García and Morshedi, *Chem. Eng. Comm.* 46 1986 (QDMC);
//! Qin and Badgwell, *Control Eng. Practice* 11(7) 2003; Lee, Morari and García, *Automatica* 30(4) 1994.
#![allow(clippy::indexing_slicing, reason = "every list is checked against the model before it is read")]

mod config;
mod model;
mod prediction;
mod programme;
mod steady_state;
mod table;
mod transfer;

#[cfg(test)]
mod tests;

use signals::{Fixed, MAX_CVS, MAX_MVS, SolveStatus, Stamp, Values};

use crate::mpc::reach::InputLimits;
use crate::mpc::{MpcOutcome, PLAN_MOVES, Plan};

pub use config::{CvTuning, DmcConfig, DmcError, Feedback, MvTuning};
pub use model::{Names, Pair, SAMPLES_MAX, StepResponseModel};
pub use table::{TableError, TableFault};
pub use transfer::Transfer;

use prediction::Prediction;
use programme::Programme;
use steady_state::Calculator;

/// What one step starts from. Units of the model throughout.
#[derive(Clone, Copy, Debug)]
pub struct DmcInput<'a> {
    /// The control cycle. One that runs back, or jumps further than the model remembers, starts anew.
    pub cycle: u64,
    /// Its time.
    pub now: Stamp,
    /// Measured CVs, NY; NaN for one that cannot be used.
    pub y: &'a [f64],
    /// Set-points in force, NU, read back; NaN is allowed out of service.
    pub u_prev: &'a [f64],
    /// Measured DVs, ND; NaN for one that cannot be used.
    pub dv: &'a [f64],
    /// Targets, NY; `None` where only the limits count.
    pub setpoints: &'a [Option<f64>],
    /// Lower limits of the CVs, NY; -∞ is none.
    pub cv_lo: &'a [f64],
    /// Upper limits of the CVs, NY; +∞ is none.
    pub cv_hi: &'a [f64],
    /// Lower hard limits, NU; -∞ is none.
    pub u_lo: &'a [f64],
    /// Upper hard limits, NU; +∞ is none.
    pub u_hi: &'a [f64],
    /// Greatest move per period, NU, hard; +∞ is none.
    pub du_max: &'a [f64],
    /// Ideal resting values, NU; `None` for no preference.
    pub u_ideal: &'a [Option<f64>],
}

/// What a CV in the targets may wish for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    /// To stay above its lower limit.
    #[default]
    LowerLimit,
    /// To stay below its upper limit.
    UpperLimit,
    /// To rest at its set-point.
    Setpoint,
    /// To rest at all, of an integrating CV.
    Balance,
}

/// A wish that could not be met.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GivenUp {
    /// Index of the CV.
    pub cv: usize,
    /// What it wished for.
    pub wish: Wish,
    /// By how much it will rest above (or below: negative), CV units. Of a balance: its drift over the horizon.
    pub by: f64,
}

/// The targets of one cycle.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SteadyState {
    /// How the search ended; `NotRun` without targets.
    pub status: SolveStatus,
    /// Where the MVs shall rest, NU.
    pub u: Values<MAX_MVS>,
    /// Where the CVs shall rest, NY.
    pub y: Values<MAX_CVS>,
    /// What was given up, most important rank first.
    pub given_up: Fixed<GivenUp, { 2 * MAX_CVS }>,
}

/// What became of a CV's measurement.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CvState {
    /// Cycles since it was last measured; above 0, its prediction is carried by the model alone.
    pub carried_cycles: u64,
    /// Last measurement minus its prediction.
    pub innovation: f64,
}

/// How one step ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DmcOutcome {
    /// For the selector. Its residual is not a number of this solver's: 0 when solved, else infinite.
    pub mpc: MpcOutcome,
    /// The targets.
    pub steady_state: SteadyState,
    /// One per CV.
    pub cv: Fixed<CvState, MAX_CVS>,
}

/// Which variables take part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Services {
    /// One per CV.
    pub cv: Vec<bool>,
    /// One per MV.
    pub mv: Vec<bool>,
    /// One per DV.
    pub dv: Vec<bool>,
}

/// The controller of one loop.
#[derive(Debug)]
pub struct DmcController {
    model: StepResponseModel,
    config: DmcConfig,
    services: Services,
    prediction: Prediction,
    calculator: Calculator,
    programme: Programme,
    /// The cycle that the prediction is at.
    cycle: Option<u64>,
    scratch: Scratch,
}

/// Lists of one cycle.
#[derive(Debug)]
struct Scratch {
    u: Vec<f64>,
    reference: Vec<f64>,
    rest: Vec<f64>,
    lo: Vec<f64>,
    hi: Vec<f64>,
    du_max: Vec<f64>,
}

impl DmcController {
    /// A controller of `model` with everything in service. Forms and factors the Hessian; takes milliseconds.
    ///
    /// # Errors
    /// [`DmcError`] when the configuration does not fit the model.
    pub fn new(model: StepResponseModel, config: DmcConfig) -> Result<Self, DmcError> {
        config.check(&model)?;
        let (cvs, mvs) = (model.cvs(), model.mvs());
        let services = Services { cv: vec![true; cvs], mv: vec![true; mvs], dv: vec![true; model.dvs()] };
        let zeros = |n: usize| vec![0.0; n];
        Ok(Self {
            prediction: Prediction::new(&model),
            calculator: Calculator::new(&model, &config)?,
            programme: Programme::new(&model, &config, &services.cv)?,
            scratch: Scratch {
                u: zeros(mvs),
                reference: zeros(cvs),
                rest: zeros(mvs),
                lo: zeros(mvs),
                hi: zeros(mvs),
                du_max: zeros(mvs),
            },
            cycle: None,
            model,
            config,
            services,
        })
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &StepResponseModel {
        &self.model
    }

    /// Which variables are in service.
    #[must_use]
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// Puts variables in and out of service. Where a CV with a weight changes, the Hessian is formed and factored anew, which
    /// allocates and takes milliseconds; the prediction is untouched in any case.
    ///
    /// # Errors
    /// [`DmcError::Shape`] when a list has not the model's length; nothing has changed then.
    pub fn set_services(&mut self, services: Services) -> Result<(), DmcError> {
        for (what, got, expected) in [
            ("services.cv", services.cv.len(), self.model.cvs()),
            ("services.mv", services.mv.len(), self.model.mvs()),
            ("services.dv", services.dv.len(), self.model.dvs()),
        ] {
            if got != expected {
                return Err(DmcError::Shape { what, got, expected });
            }
        }
        let changed = services.cv.iter().zip(&self.services.cv).zip(&self.config.cv);
        if changed.into_iter().any(|((new, old), cv)| new != old && cv.weight > 0.0) {
            self.programme = Programme::new(&self.model, &self.config, &services.cv)?;
        }
        self.services = services;
        Ok(())
    }

    /// Forgets the past: the plant is taken to be at rest at its next measurements.
    pub fn reset(&mut self) {
        self.prediction.reset();
        self.programme.reset();
        self.cycle = None;
    }

    /// The prediction of CV `cv` from now on, n + 1 samples, if no input moves any more.
    #[must_use]
    pub fn prediction(&self, cv: usize) -> &[f64] {
        self.prediction.of(cv)
    }

    /// One cycle: takes in what has happened, and plans. `late` is asked in each iteration of each programme.
    ///
    /// | ending | plan | meaning |
    /// |---|---|---|
    /// | `Solved` | yes | |
    /// | `BadInput` | no | a length, a NaN, contradictory limits: nothing was taken in; or a CV in service was never measured |
    /// | `TimeLimit`, `IterationLimit`, `Infeasible`, `Numerical` | no | of the targets or the moves; the prediction is up to date |
    pub fn step(&mut self, input: &DmcInput<'_>, late: &dyn Fn() -> bool) -> DmcOutcome {
        let mpc =
            MpcOutcome { status: SolveStatus::BadInput, plan: None, iterations: 0, kkt_residual: f64::INFINITY };
        let mut outcome = DmcOutcome { mpc, steady_state: SteadyState::default(), cv: Fixed::new() };
        if !self.accepts(input) {
            return outcome;
        }
        self.take_in(input);
        outcome.cv = Fixed::collect((0..self.model.cvs()).map(|cv| {
            let tracked = self.prediction.tracked(cv);
            CvState { carried_cycles: tracked.carried, innovation: tracked.innovation }
        }));
        let known = |(cv, on): (usize, &bool)| !on || self.prediction.tracked(cv).known;
        if !self.services.cv.iter().enumerate().all(known) {
            return outcome;
        }
        outcome.steady_state = self.aim(input, late);
        outcome.mpc.status = outcome.steady_state.status;
        if matches!(outcome.mpc.status, SolveStatus::Solved | SolveStatus::NotRun) {
            self.plan(input, late, &mut outcome.mpc);
        }
        outcome
    }

    /// Brings the prediction to this cycle.
    fn take_in(&mut self, input: &DmcInput<'_>) {
        let mvs = self.model.mvs();
        let elapsed = self.cycle.and_then(|cycle| input.cycle.checked_sub(cycle));
        let elapsed = elapsed.and_then(|cycles| usize::try_from(cycles).ok()).filter(|n| *n <= self.model.samples());
        if elapsed.is_none() {
            self.reset();
        }
        // Moves that a plan made in cycles without a step are taken to have been made in the last of them.
        let elapsed = elapsed.unwrap_or(1);
        self.prediction.advance(&self.model, elapsed.saturating_sub(1));
        for (j, u) in input.u_prev.iter().enumerate() {
            self.prediction.told(&self.model, j, *u);
            self.scratch.u[j] = self.prediction.input(j);
        }
        self.prediction.advance(&self.model, elapsed.min(1));
        for (j, dv) in input.dv.iter().enumerate() {
            if self.services.dv[j] {
                self.prediction.told(&self.model, mvs + j, *dv);
            } else {
                self.prediction.retold(mvs + j, *dv);
            }
        }
        if elapsed > 0 {
            for (cv, y) in input.y.iter().enumerate() {
                self.prediction.measured(cv, *y, &self.config.cv[cv]);
            }
        }
        self.cycle = Some(input.cycle);
    }

    /// Finds where everything shall rest, into the scratch lists.
    fn aim(&mut self, input: &DmcInput<'_>, late: &dyn Fn() -> bool) -> SteadyState {
        let Scratch { u, reference, rest, .. } = &mut self.scratch;
        if !self.config.targets {
            for (reference, setpoint) in reference.iter_mut().zip(input.setpoints) {
                *reference = setpoint.unwrap_or(0.0);
            }
            return SteadyState::default();
        }
        let situation = steady_state::Situation {
            config: &self.config,
            input,
            prediction: &self.prediction,
            u,
            mv_on: &self.services.mv,
            cv_on: &self.services.cv,
        };
        let mut found = self.calculator.solve(situation, late);
        for (j, mv) in self.config.mv.iter().enumerate() {
            rest[j] = u[j] + self.calculator.step[j] * mv.span;
        }
        for (i, cv) in self.config.cv.iter().enumerate() {
            reference[i] = if self.model.is_integrating(i) {
                // A level has no steady state of its own: it goes to its set-point, or stays within its limits.
                let wanted = input.setpoints[i].unwrap_or(self.prediction.of(i)[0]);
                wanted.max(input.cv_lo[i]).min(input.cv_hi[i])
            } else {
                self.calculator.rest(i, cv.span)
            };
        }
        found.u = Values::collect(rest.iter().copied());
        found.y = Values::collect(reference.iter().copied());
        found
    }

    /// Plans the moves.
    fn plan(&mut self, input: &DmcInput<'_>, late: &dyn Fn() -> bool, outcome: &mut MpcOutcome) {
        let Scratch { u, reference, rest, lo, hi, du_max } = &mut self.scratch;
        for (j, on) in self.services.mv.iter().enumerate() {
            (lo[j], hi[j], du_max[j]) = if *on {
                (input.u_lo[j], input.u_hi[j], input.du_max[j])
            } else {
                (f64::NEG_INFINITY, f64::INFINITY, 0.0)
            };
        }
        let at = programme::Situation {
            config: &self.config,
            prediction: &self.prediction,
            cv_on: &self.services.cv,
            reference,
            rest,
            cv_lo: input.cv_lo,
            cv_hi: input.cv_hi,
            limits: InputLimits { u_prev: u, lo, hi, du_max },
        };
        let ending = self.programme.solve(at, late);
        outcome.status = ending.status;
        outcome.iterations = ending.iterations;
        if ending.status != SolveStatus::Solved {
            return;
        }
        outcome.kkt_residual = 0.0;
        let mvs = self.model.mvs();
        let mut plan = Plan {
            cycle: input.cycle,
            computed_at: input.now,
            u: Fixed::collect(
                self.programme.u.chunks_exact(mvs).take(PLAN_MOVES).map(|u| Values::collect(u.iter().copied())),
            ),
            cv_next: Values::filled(0.0, self.model.cvs()),
            cv_end: Values::filled(0.0, self.model.cvs()),
            cost: self.programme.move_cost(at),
        };
        for i in 0..self.model.cvs() {
            let promise = self.programme.promise(at, i);
            (plan.cv_next[i], plan.cv_end[i]) = (promise.next, promise.end);
            plan.cost += promise.cost;
        }
        outcome.plan = Some(plan);
    }

    /// Whether every length fits, every number is one, and no limits contradict each other.
    fn accepts(&self, input: &DmcInput<'_>) -> bool {
        let (cvs, mvs) = (self.model.cvs(), self.model.mvs());
        let lengths = [
            (input.y.len(), cvs),
            (input.setpoints.len(), cvs),
            (input.cv_lo.len(), cvs),
            (input.cv_hi.len(), cvs),
            (input.u_prev.len(), mvs),
            (input.u_lo.len(), mvs),
            (input.u_hi.len(), mvs),
            (input.du_max.len(), mvs),
            (input.u_ideal.len(), mvs),
            (input.dv.len(), self.model.dvs()),
        ];
        if lengths.iter().any(|(got, expected)| got != expected) {
            return false;
        }
        let followed = |i: usize| self.services.cv[i] && self.config.cv[i].weight > 0.0 && !self.config.targets;
        let in_force = |j: usize| input.u_prev[j].is_finite() || (!self.services.mv[j] && !self.prediction.input(j).is_nan());
        input.setpoints.iter().enumerate().all(|(i, r)| r.map_or(!followed(i), f64::is_finite))
            && input.u_ideal.iter().flatten().all(|u| u.is_finite())
            && (0..mvs).all(in_force)
            && are_limits(input.cv_lo, input.cv_hi)
            && are_limits(input.u_lo, input.u_hi)
            && input.du_max.iter().all(|du| *du >= 0.0)
    }
}

/// `lo ≤ hi` throughout, without NaN, and with room on the real line.
fn are_limits(lo: &[f64], hi: &[f64]) -> bool {
    lo.iter().zip(hi).all(|(lo, hi)| lo <= hi && *lo < f64::INFINITY && *hi > f64::NEG_INFINITY)
}
