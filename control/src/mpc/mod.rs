//! Nonlinear model predictive control: at each period a plan of set-points that brings the CVs to their targets.
//!
//! It stands after the estimator and before the selector, usually on a worker thread of its own:
//!
//! ```text
//! Estimate ──> Nmpc ──> MpcOutcome { Plan } ──> Selector
//! ```
//!
//! Over the horizon N, with the model's flow F over one period, outputs `y_k = h(x_k, p) + d`, inputs held over
//! blocks, weights w (terminal: at N), m, and prices ρ of [`CvTuning`] and [`MvTuning`], it minimises
//!
//! ```text
//! Σ_{k=1..N} Σ_cv [w ((y_k - r)/span)² + ρ1 s_k + ρ2 s_k²]
//!   + Σ_{k=1..N} Σ_mv w_t ((u_{k-1} - u_t)/span)² + Σ_blocks Σ_mv m (Δu/span)²
//! s.t.  x_{k+1} = F(x_k, u_k, p),  x_0 = x
//!       u_lo ≤ u ≤ u_hi,  |Δu| ≤ du_max                          hard
//!       cv_lo - span s_k ≤ y_k ≤ cv_hi + span s_k,  s_k ≥ 0      soft
//! ```
//!
//! by sequential quadratic programming: multiple shooting, Gauss-Newton Hessian, a merit line search. One programme per
//! period is the real-time iteration; it starts from the last plan, shifted by the elapsed periods. Where there is
//! none, it starts from a simulation and solves a few programmes at once. The disturbance d that the estimator carries is
//! held over the horizon, which removes the offset of a constant model error.
//!
//! A solve is in two phases. [`Nmpc::prepare`], called when the last plan is out, shifts, linearises, and prepares the
//! solver on what is known by then; [`Nmpc::solve`] then only puts the measured state in. Whatever else has changed in
//! between is done again, so the plan is the same, to the solver's tolerance, as without a preparation.
//!
//! | file | what |
//! |---|---|
//! | `trajectory` | what is linearised about, shifted and corrected |
//! | `programme` | the quadratic programme, in velocity form |
//! | `chain` | active set, interior point, Clarabel, one behind the other, and the check of each solution |
//! | `reach`, `steady_target`, `terminal` | boxes of the inputs; target at rest, ranks; the regulator's cost |
//!
//! # Invariants
//! - [`Nmpc::solve`] never fails and never panics: every ending is a [`SolveStatus`].
//! - A plan, if there is one, keeps every hard bound and every rate to the last bit. Where the last input lies outside
//!   its limits, the plan returns at full rate.
//! - No clock: the caller's closure says when the solve is late.
//! - Equal inputs after equal histories give bit-equal plans.
//!
//! Sources: Diehl, Bock and Schlöder, *SIAM J. Control Optim.* 43(5) 2005 (real-time iteration); Rawlings, Mayne and
//! Diehl, *Model Predictive Control*, 2nd ed., ch. 1 (offset-free) and 8 (numerics); Kerrigan and Maciejowski, *UKACC
//! Control* 2000 (soft constraints).

pub(crate) mod chain;
mod config;
mod linear;
mod phases;
mod programme;
pub(crate) mod reach;
mod steady_target;
mod terminal;
pub(crate) mod trajectory;

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "what must be bit-equal is compared so")]
mod tests;

use plant_models::PlantModel;
use signals::{Fixed, MAX_CVS, MAX_MVS, SolveStatus, Stamp, Values};

pub use config::{CvTuning, HORIZON_MAX, MpcConfig, MpcError, MvTuning, SQP_ITERATIONS_MAX, Solver};

use crate::guard_report::GuardReport;
use chain::Chain;
use phases::{Done, Merit, Prepared, SHORT_SIGHT, Start};
use programme::{Point, Programme};
use reach::{InputLimits, Reach};
use steady_target::SteadyTarget;
use trajectory::Trajectory;

/// How many of its moves a plan carries: as long may the selector play it without a new one.
pub const PLAN_MOVES: usize = 16;
/// The least number of programmes of a solve that starts from a simulation: the first linearisation lies far from the
/// plan, and its first move is not worth making.
const SQP_ITERATIONS_COLD: usize = 4;
/// A scaled SQP step shorter than this ends the iteration.
const STEP_SMALL: f64 = 1e-6;
/// How often a step that does not lower the merit is halved.
const HALVINGS: usize = 4;
/// A merit that grows by less than this share has not grown.
const MERIT_ROUNDING: f64 = 1e-9;

/// What one solve starts from. Model units throughout.
#[derive(Clone, Copy, Debug)]
pub struct MpcInput<'a> {
    /// The control cycle.
    pub cycle: u64,
    /// Its time.
    pub now: Stamp,
    /// Estimated state, NX.
    pub x: &'a [f64],
    /// Estimated output disturbance, one per CV.
    pub d: &'a [f64],
    /// Model disturbances, NP, held over the horizon.
    pub p: &'a [f64],
    /// Set-points in force, NU.
    pub u_prev: &'a [f64],
    /// Targets, one per CV; `None` where only the limits count.
    pub setpoints: &'a [Option<f64>],
    /// Targets of the MVs, NU; `None` where an MV has none.
    pub mv_targets: &'a [Option<f64>],
    /// Lower soft limits, one per CV; -∞ is none.
    pub cv_lo: &'a [f64],
    /// Upper soft limits, one per CV; +∞ is none.
    pub cv_hi: &'a [f64],
    /// Lower hard limits, NU; -∞ is none.
    pub u_lo: &'a [f64],
    /// Upper hard limits, NU; +∞ is none.
    pub u_hi: &'a [f64],
    /// Greatest move per period, NU, hard; +∞ is none.
    pub du_max: &'a [f64],
}

/// A feasible sequence of set-points, and what the model expects of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// The cycle it was computed for: its first move is that cycle's.
    pub cycle: u64,
    /// Time of that cycle.
    pub computed_at: Stamp,
    /// Absolute set-points of the next periods, [`PLAN_MOVES`] or the horizon if that is shorter.
    pub u: Fixed<Values<MAX_MVS>, PLAN_MOVES>,
    /// CVs expected one period ahead, disturbance included.
    pub cv_next: Values<MAX_CVS>,
    /// CVs expected at the end of the horizon, disturbance included.
    pub cv_end: Values<MAX_CVS>,
    /// The objective along the plan.
    pub cost: f64,
    /// The CVs whose limits cannot all be kept at rest and were given up, by rank. All `false` where the configuration
    /// has no ranks: then the prices decide, period by period.
    pub given_up: Fixed<bool, MAX_CVS>,
}

/// How a solve ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MpcOutcome {
    /// The ending.
    pub status: SolveStatus,
    /// The plan; present exactly when the status is usable.
    pub plan: Option<Plan>,
    /// Iterations of the solvers, all programmes together.
    pub iterations: u32,
    /// Largest residual of the last programme's optimality conditions beside its size; infinite when none was solved.
    pub kkt_residual: f64,
    /// What stood guard over it; `None` where nothing does.
    pub guarded: Option<GuardReport>,
}

impl MpcOutcome {
    /// An ending without a plan, before anything was solved.
    #[must_use]
    pub fn without_plan(status: SolveStatus) -> Self {
        Self { status, plan: None, iterations: 0, kkt_residual: f64::INFINITY, guarded: None }
    }
}

/// The controller of one loop: model, programme, solvers and the last trajectory.
#[derive(Debug)]
pub struct Nmpc {
    config: MpcConfig,
    inputs: usize,
    states: usize,
    disturbances: usize,
    trajectory: Trajectory,
    reach: Reach,
    programme: Programme,
    chain: Chain,
    target: Option<SteadyTarget>,
    /// The cycle that the trajectory belongs to; `None` before the first solve and after a breakdown.
    anchored: Option<u64>,
    /// What the solver stands prepared for.
    prepared: Prepared,
    /// The periods that count in the programme now.
    sight: usize,
    /// Whether the trajectory has been a plan; one that was cut short by its deadline on the way from a simulation is not.
    planned: bool,
}

impl Nmpc {
    /// A controller of `model`, with all its work space.
    ///
    /// # Errors
    /// [`MpcError`] when the configuration does not fit the model.
    pub fn new(model: &'static dyn PlantModel, config: MpcConfig) -> Result<Self, MpcError> {
        config.check(model)?;
        let card = model.card();
        let mut trajectory = Trajectory::new(model, &config);
        let nominal = |of: &[plant_models::Variable]| of.iter().map(|v| v.nominal).collect::<Vec<_>>();
        let p = nominal(card.disturbances);
        trajectory.start(&nominal(card.states), &nominal(card.inputs));
        trajectory.simulate(&p);
        if !trajectory.linearise(&p) {
            return Err(MpcError::Model { model: card.name });
        }
        let programme = Programme::new(&config, card.states.len());
        let (cvs, mvs, blocks) = (config.cv.len(), config.mv.len(), config.blocks.len());
        Ok(Self {
            inputs: card.inputs.len(),
            states: card.states.len(),
            disturbances: card.disturbances.len(),
            reach: Reach::new(config.blocks.len(), card.inputs.len()),
            chain: Chain::new(programme.qp.dims(), config.solver),
            target: config.wants_steady_target().then(|| SteadyTarget::new(model, &config)),
            sight: config.horizon,
            planned: false,
            config,
            trajectory,
            programme,
            anchored: None,
            // Per CV: set-point, disturbance, limits; per MV: target, limits, rate; per block: the box.
            prepared: Prepared::with_room(card.disturbances.len(), 4 * cvs + 4 * mvs + 2 * mvs * blocks),
        })
    }

    /// Forgets the last trajectory; the next solve starts from a simulation with the inputs held.
    pub fn reset(&mut self) {
        self.anchored = None;
        self.planned = false;
        self.prepared.valid = false;
        self.chain.reset();
        self.programme.reset();
        if let Some(target) = &mut self.target {
            target.reset();
        }
    }

    /// The preparation phase for `next.cycle`: all of the next solve that does not wait for its measurement. `next`
    /// carries what is believed of that cycle; its state and inputs in force are not read, the last plan predicts them.
    /// Without a plan there is nothing to prepare, and once `late` (a problem waits already) nothing more is done.
    pub fn prepare(&mut self, next: &MpcInput<'_>, late: &dyn Fn() -> bool) {
        if !self.accepts(next) || !self.shift_to(next.cycle, next.p) {
            return;
        }
        let limits = InputLimits { u_prev: &self.trajectory.u_before, ..next.limits() };
        self.reach.update(&limits);
        self.sight = self.config.horizon;
        self.aim(next, late);
        if !late() && self.trajectory.linearise(next.p) {
            self.fill(next);
            self.chain.prepare(&self.programme.qp);
            self.prepared.take(next, &self.reach);
        }
    }

    /// Solves for the plan of `input.cycle`; `late` is asked before every programme and in each iteration of its solver.
    ///
    /// | ending | plan | the next solve starts from |
    /// |---|---|---|
    /// | `Solved`, `IterationLimit` (reduced accuracy) | yes | this plan, shifted |
    /// | `TimeLimit` | no | the trajectory so far, shifted |
    /// | `BadInput`: a length, a NaN, contradictory limits | no | as if it had not been called |
    /// | `Numerical`, `Infeasible` | no | a simulation |
    ///
    /// A breakdown is answered within the same call: what failed from the last plan is tried from a simulation with the
    /// inputs held, what failed from there (a plant that runs away by itself) from the state standing still, and what failed
    /// even so over a few periods only.
    pub fn solve(&mut self, input: &MpcInput<'_>, late: &dyn Fn() -> bool) -> MpcOutcome {
        let mut outcome = MpcOutcome::without_plan(SolveStatus::BadInput);
        if !self.accepts(input) {
            return outcome;
        }
        for start in [Start::Shifted, Start::Simulated, Start::Standing, Start::ShortSighted] {
            let warm = start == Start::Shifted;
            if warm && !self.shift_to(input.cycle, input.p) {
                continue;
            }
            if !warm {
                self.start(input, start);
            }
            self.reach.update(&input.limits());
            self.sight = if start == Start::ShortSighted { SHORT_SIGHT } else { HORIZON_MAX }.min(self.config.horizon);
            let mut done = self.prepared.stands_for(input, &self.reach);
            if done == Done::Prepared && self.programme.has_funnel() {
                // How far a funnel opens hangs on the measurement.
                done = Done::Linearised;
            }
            if done != Done::Prepared {
                self.aim(input, late);
            }
            let settled = warm && self.planned;
            let programmes =
                if settled { self.config.sqp_iterations } else { self.config.sqp_iterations.max(SQP_ITERATIONS_COLD) };
            outcome.status = self.iterate(input, late, (programmes, done, &mut outcome));
            self.prepared.valid = false;
            match outcome.status {
                SolveStatus::Solved | SolveStatus::IterationLimit => outcome.plan = self.plan(input),
                SolveStatus::TimeLimit => break,
                _ => {}
            }
            if outcome.plan.is_some() {
                self.planned = true;
                break;
            }
            outcome.status = SolveStatus::Numerical;
            self.reset();
        }
        outcome
    }

    /// Runs up to so many programmes; leaves their iterations and the last residual in `outcome`.
    fn iterate(
        &mut self,
        input: &MpcInput<'_>,
        late: &dyn Fn() -> bool,
        (programmes, mut done, outcome): (usize, Done, &mut MpcOutcome),
    ) -> SolveStatus {
        let mut status = SolveStatus::NotRun;
        let mut merit = Merit::default();
        for programme in 0..programmes {
            if late() {
                return SolveStatus::TimeLimit;
            }
            if done == Done::Nothing && !self.descend(input, &mut merit) {
                return SolveStatus::Numerical;
            }
            if done != Done::Prepared {
                self.fill(input);
                self.chain.prepare(&self.programme.qp);
            }
            if programme == 0 && done != Done::Nothing && programmes > 1 {
                let violation = self.trajectory.defects() + self.trajectory.distance_from_start(input.x);
                merit.base(self.cost(input), violation);
            }
            done = Done::Nothing;
            let x0 = &mut self.programme.qp.x0;
            self.trajectory.deviation(input.x, input.u_prev, x0);
            let checked = self.chain.solve(&self.programme.qp, late);
            outcome.iterations += checked.ending.iterations;
            outcome.kkt_residual = checked.residual;
            status = checked.ending.status;
            let Some(solution) = self.chain.solution().filter(|_| status.is_usable()) else { return status };
            if programme + 1 < programmes {
                merit.weigh(&solution.pi);
            }
            let length = self.trajectory.correct(&solution.x);
            self.trajectory.u_before.copy_from_slice(input.u_prev);
            if length < STEP_SMALL {
                break;
            }
        }
        let cut = self.trajectory.is_cut() && status == SolveStatus::Solved;
        match (late(), cut) {
            (true, _) => SolveStatus::TimeLimit,
            // A prediction that was cut is not the one that the programme was solved for.
            (_, true) => SolveStatus::IterationLimit,
            _ => status,
        }
    }

    /// Linearises about the trajectory; when the merit has grown since the last linearisation, goes back half of the
    /// way, a few times at most. False when the trajectory has left the model.
    fn descend(&mut self, input: &MpcInput<'_>, merit: &mut Merit) -> bool {
        for halving in 0..=HALVINGS {
            let sound = self.trajectory.linearise(input.p);
            let violation = self.trajectory.defects() + self.trajectory.distance_from_start(input.x);
            let cost = self.cost(input);
            if sound && (halving == HALVINGS || merit.accepts(cost, violation)) {
                merit.base(cost, violation);
                return true;
            }
            if !merit.has_base() {
                return false;
            }
            self.trajectory.halve();
        }
        false
    }

    /// The steady target of the cycle, where the configuration asks for one.
    fn aim(&mut self, input: &MpcInput<'_>, late: &dyn Fn() -> bool) {
        if let Some(target) = &mut self.target {
            target.step(input, late);
        }
    }

    fn fill(&mut self, input: &MpcInput<'_>) {
        if self.programme.has_funnel() {
            self.programme.open(&mut self.trajectory, input);
        }
        let input = aimed(self.target.as_ref(), input);
        let point = Point { trajectory: &self.trajectory, input: &input, reach: &self.reach, sight: self.sight };
        self.programme.fill(point, self.target.as_ref().filter(|target| target.found));
    }

    /// Shifts the last trajectory to `cycle`; false when there is none, or it ended before.
    fn shift_to(&mut self, cycle: u64, p: &[f64]) -> bool {
        let elapsed = self.anchored.and_then(|anchored| cycle.checked_sub(anchored));
        match elapsed.and_then(|cycles| usize::try_from(cycles).ok()) {
            Some(0) => true,
            Some(periods) if periods < self.config.horizon => {
                self.trajectory.shift(periods, p);
                self.chain.shift(periods);
                self.anchored = Some(cycle);
                self.prepared.valid = false;
                true
            }
            _ => false,
        }
    }

    /// Starts anew with the inputs held.
    fn start(&mut self, input: &MpcInput<'_>, start: Start) {
        self.reset();
        self.trajectory.start(input.x, input.u_prev);
        if start == Start::Simulated {
            self.trajectory.simulate(input.p);
        }
        self.anchored = Some(input.cycle);
    }

    /// Projects the trajectory's inputs on the hard bounds and reads the plan off it.
    ///
    /// `None` when what the model expects of it is not a number: about such a trajectory nothing is promised.
    fn plan(&mut self, input: &MpcInput<'_>) -> Option<Plan> {
        self.reach.project(&mut self.trajectory.u, &input.limits());
        let blocks = self.trajectory.block_of.iter().take(PLAN_MOVES);
        let u = Fixed::collect(blocks.map(|block| Values::collect(self.trajectory.u_at(*block).iter().copied())));
        let mut cv_next = Values::filled(0.0, self.config.cv.len());
        let mut cv_end = cv_next;
        self.trajectory.outputs_after(input.x, input.p, |cv, y| add(&mut cv_next, input.d, cv, y));
        self.trajectory.outputs_at(self.config.horizon, input.p, |cv, y| add(&mut cv_end, input.d, cv, y));
        let none = Fixed::filled(false, self.config.cv.len());
        let cost = self.cost(input);
        let given_up = self.target.as_ref().map_or(none, |target| target.given_up);
        let expected = cv_next.iter().chain(&cv_end).chain([&cost]).all(|value| value.is_finite());
        let plan = Plan { cycle: input.cycle, computed_at: input.now, u, cv_next, cv_end, cost, given_up };
        expected.then_some(plan)
    }

    /// The objective along the trajectory; the terminal cost by the tuning's weights.
    fn cost(&mut self, input: &MpcInput<'_>) -> f64 {
        let input = aimed(self.target.as_ref(), input);
        let mut cost = 0.0;
        for period in 1..=self.config.horizon {
            let at_end = period == self.config.horizon;
            let tunings = &self.config.cv;
            self.trajectory.outputs_at(period, input.p, |cv, y| cost += input.output_cost(tunings, (cv, y), at_end));
            let u = self.trajectory.block_of.get(period - 1).map_or(&[][..], |block| self.trajectory.u_at(*block));
            cost += input.target_cost(&self.config.mv, u, at_end);
        }
        for block in 0..self.config.blocks.len() {
            for (i, mv) in self.config.mv.iter().enumerate() {
                cost += mv.move_weight * (self.trajectory.move_at(block, i) / mv.span).powi(2);
            }
        }
        cost
    }

    /// Whether every length fits, every number is one, and no limits contradict each other.
    fn accepts(&self, input: &MpcInput<'_>) -> bool {
        let cvs = self.config.cv.len();
        let lengths = [
            (input.x.len(), self.states),
            (input.p.len(), self.disturbances),
            (input.d.len(), cvs),
            (input.setpoints.len(), cvs),
            (input.cv_lo.len(), cvs),
            (input.cv_hi.len(), cvs),
            (input.mv_targets.len(), self.inputs),
            (input.u_prev.len(), self.inputs),
            (input.u_lo.len(), self.inputs),
            (input.u_hi.len(), self.inputs),
            (input.du_max.len(), self.inputs),
        ];
        let numbers = [input.x, input.p, input.d, input.u_prev];
        lengths.iter().all(|(got, expected)| got == expected)
            && numbers.iter().all(|values| values.iter().all(|value| value.is_finite()))
            && input.setpoints.iter().chain(input.mv_targets).flatten().all(|target| target.is_finite())
            && are_limits(input.cv_lo, input.cv_hi)
            && are_limits(input.u_lo, input.u_hi)
            && input.du_max.iter().all(|du| *du >= 0.0)
    }
}

/// The input with what the steady target has decided: limits that are given up are widened, and where there are prices,
/// every MV aims at the optimum.
fn aimed<'a>(target: Option<&'a SteadyTarget>, input: &MpcInput<'a>) -> MpcInput<'a> {
    let Some(target) = target else { return *input };
    let mv_targets = target.mv_targets().unwrap_or(input.mv_targets);
    MpcInput { cv_lo: &target.cv_lo, cv_hi: &target.cv_hi, mv_targets, ..*input }
}

impl<'a> MpcInput<'a> {
    fn limits(&self) -> InputLimits<'a> {
        InputLimits { u_prev: self.u_prev, lo: self.u_lo, hi: self.u_hi, du_max: self.du_max }
    }

    /// What the output `y` of a CV costs at one period: set-point error and violated limits.
    fn output_cost(&self, tunings: &[CvTuning], (cv, y): (usize, f64), at_end: bool) -> f64 {
        let of = |values: &[f64], absent| values.get(cv).copied().unwrap_or(absent);
        let Some(tuning) = tunings.get(cv) else { return 0.0 };
        let y = y + of(self.d, 0.0);
        let weight = if at_end { tuning.terminal_weight } else { tuning.weight };
        let target = self.setpoints.get(cv).copied().flatten();
        let error = target.map_or(0.0, |target| (y - target) / tuning.span);
        let over = y - of(self.cv_hi, f64::INFINITY);
        let under = of(self.cv_lo, f64::NEG_INFINITY) - y;
        let slack = over.max(under).max(0.0) / tuning.span;
        weight * error * error + slack * (tuning.soft_linear + tuning.soft_quadratic * slack)
    }

    /// What the inputs `u` cost over one period: their distance from their targets.
    fn target_cost(&self, tunings: &[MvTuning], u: &[f64], at_end: bool) -> f64 {
        let of = |(mv, (u, target)): (&MvTuning, (&f64, &Option<f64>))| {
            let weight = if at_end { mv.terminal_target_weight } else { mv.target_weight };
            let error = target.map_or(0.0, |target| (u - target) / mv.span);
            weight * error * error
        };
        tunings.iter().zip(u.iter().zip(self.mv_targets)).map(of).sum()
    }
}

/// `lo ≤ hi` throughout, without NaN, and with room on the real line.
fn are_limits(lo: &[f64], hi: &[f64]) -> bool {
    lo.iter().zip(hi).all(|(lo, hi)| lo <= hi && *lo < f64::INFINITY && *hi > f64::NEG_INFINITY)
}

/// `cvs[cv] = y + d[cv]`.
fn add(cvs: &mut Values<MAX_CVS>, d: &[f64], cv: usize, y: f64) {
    if let (Some(slot), Some(d)) = (cvs.get_mut(cv), d.get(cv)) {
        *slot = y + d;
    }
}
