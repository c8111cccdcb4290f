//! The controller: one cycle from measurements to a plan.
#![allow(clippy::indexing_slicing, reason = "every list is checked against the model before it is read")]

use signals::{Fixed, SolveStatus, Values};

use super::prediction::Prediction;
use super::programme::Programme;
use super::steady_state::Calculator;
use super::{
    CvState, DmcConfig, DmcError, DmcInput, DmcOutcome, GivenUp, Services, SteadyState, StepResponseModel, Wish,
};
use super::{programme, steady_state};
use crate::mpc::reach::InputLimits;
use crate::mpc::{MpcOutcome, PLAN_MOVES, Plan};

/// What the solver calls solved, as a relative residual of the optimality conditions.
const SOLVED_WITHIN: f64 = 1e-8;

/// The controller of one loop.
#[derive(Debug)]
pub struct DmcController {
    model: StepResponseModel,
    config: DmcConfig,
    services: Services,
    prediction: Prediction,
    calculator: Calculator,
    pub(super) programme: Programme,
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
    cv_lo: Vec<f64>,
    cv_hi: Vec<f64>,
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
                cv_lo: zeros(cvs),
                cv_hi: zeros(cvs),
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

    /// Puts variables in and out of service. Where a CV with a weight changes, the Hessian is formed and factored anew,
    /// which allocates and takes milliseconds; the prediction is untouched in any case.
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
    /// | `BadInput` | no | a length, a NaN, crossed limits: nothing was taken in; or a CV in service was never measured |
    /// | `TimeLimit`, `IterationLimit`, `Infeasible` | no | of the targets or the moves; the prediction is up to date |
    /// | `Numerical` | no | of the targets; or of moves or prediction: then the next step starts anew, at rest |
    pub fn step(&mut self, input: &DmcInput<'_>, late: &dyn Fn() -> bool) -> DmcOutcome {
        let mpc = MpcOutcome::without_plan(SolveStatus::BadInput);
        let mut outcome = DmcOutcome { mpc, steady_state: SteadyState::default(), cv: Fixed::new() };
        if !self.accepts(input) {
            return outcome;
        }
        self.take_in(input);
        if !self.prediction.is_sound(&self.config.cv) {
            self.reset();
            outcome.mpc.status = SolveStatus::Numerical;
            return outcome;
        }
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
            if outcome.mpc.status == SolveStatus::Numerical {
                self.reset();
            }
        }
        if let Some(plan) = &mut outcome.mpc.plan {
            let limits = |told: &&GivenUp| matches!(told.wish, Wish::LowerLimit | Wish::UpperLimit);
            outcome.steady_state.given_up.iter().filter(limits).for_each(|told| plan.given_up[told.cv] = true);
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
        let elapsed = elapsed.unwrap_or(1);
        // Of several cycles without a step, all moves are taken to have been made in the first.
        for (j, u) in input.u_prev.iter().enumerate() {
            self.prediction.feed(&self.model, j, *u);
            self.scratch.u[j] = self.prediction.input(j);
        }
        self.prediction.advance(&self.model, elapsed);
        for (j, dv) in input.dv.iter().enumerate() {
            if self.services.dv[j] {
                self.prediction.feed(&self.model, mvs + j, *dv);
            } else {
                self.prediction.remember(mvs + j, *dv);
            }
        }
        if elapsed > 0 {
            for (cv, y) in input.y.iter().enumerate() {
                self.prediction.correct(cv, *y, &self.config.cv[cv]);
            }
        }
        self.cycle = Some(input.cycle);
    }

    /// Finds where everything shall rest, into the scratch lists.
    fn aim(&mut self, input: &DmcInput<'_>, late: &dyn Fn() -> bool) -> SteadyState {
        let Scratch { u, reference, rest, cv_lo, cv_hi, .. } = &mut self.scratch;
        cv_lo.copy_from_slice(input.cv_lo);
        cv_hi.copy_from_slice(input.cv_hi);
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
            // A limit that the targets have given up is not fought for by the moves.
            cv_lo[i] = cv_lo[i].min(reference[i]);
            cv_hi[i] = cv_hi[i].max(reference[i]);
        }
        found.u = Values::collect(rest.iter().copied());
        found.y = Values::collect(reference.iter().copied());
        found
    }

    /// Plans the moves.
    fn plan(&mut self, input: &DmcInput<'_>, late: &dyn Fn() -> bool, outcome: &mut MpcOutcome) {
        let Scratch { u, reference, rest, lo, hi, du_max, cv_lo, cv_hi } = &mut self.scratch;
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
            cv_lo,
            cv_hi,
            limits: InputLimits { u_prev: u, lo, hi, du_max },
        };
        let ending = self.programme.solve(at, late);
        outcome.status = ending.status;
        outcome.iterations = ending.iterations;
        if ending.status != SolveStatus::Solved {
            return;
        }
        outcome.kkt_residual = SOLVED_WITHIN;
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
            given_up: Fixed::filled(false, self.model.cvs()),
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
        let in_force =
            |j: usize| input.u_prev[j].is_finite() || (!self.services.mv[j] && !self.prediction.input(j).is_nan());
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
