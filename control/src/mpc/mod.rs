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
//! Σ_{k=1..N} Σ_cv w ((y_k - r)/span)² + Σ_blocks Σ_mv m (Δu/span)² + Σ_{k=1..N} Σ_cv (ρ1 s_k + ρ2 s_k²)
//! s.t.  x_{k+1} = F(x_k, u_k, p),  x_0 = x
//!       u_lo ≤ u ≤ u_hi,  |Δu| ≤ du_max                          hard
//!       cv_lo - span s_k ≤ y_k ≤ cv_hi + span s_k,  s_k ≥ 0      soft
//! ```
//!
//! by sequential quadratic programming: multiple shooting, Gauss-Newton Hessian, full steps. One programme per period
//! is the real-time iteration; it starts from the last plan, shifted by the elapsed periods. Where there is none, it
//! starts from a simulation and solves a few programmes at once. The disturbance d that
//! the estimator carries is held over the horizon, which removes the offset of a constant model error.
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

mod config;
mod interior_point;
mod qp;
pub(crate) mod reach;
mod trajectory;

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "what must be bit-equal is compared so")]
mod tests;

use plant_models::PlantModel;
use signals::{Fixed, MAX_CVS, MAX_MVS, SolveStatus, Stamp, Values};

pub use config::{CvTuning, HORIZON_MAX, MpcConfig, MpcError, MvTuning, SQP_ITERATIONS_MAX};
pub use interior_point::Deadline;

use interior_point::InteriorPoint;
use qp::{Point, Programme};
use reach::{InputLimits, Reach};
use trajectory::Trajectory;

/// How many of its moves a plan carries: as long may the selector play it without a new one.
pub const PLAN_MOVES: usize = 16;
/// The least number of programmes of a solve that starts from a simulation: the first linearisation lies far from the
/// plan, and its first move is not worth making.
const SQP_ITERATIONS_COLD: usize = 4;
/// A scaled SQP step shorter than this ends the iteration.
const STEP_SMALL: f64 = 1e-7;

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
}

/// How a solve ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MpcOutcome {
    /// The ending.
    pub status: SolveStatus,
    /// The plan; present exactly when the status is usable.
    pub plan: Option<Plan>,
    /// Interior-point iterations, all programmes together.
    pub iterations: u32,
    /// Largest relative residual of the last programme's optimality conditions; infinite when none was solved.
    pub kkt_residual: f64,
}

/// The controller of one loop: model, programme, solver and the last trajectory.
#[derive(Debug)]
pub struct Nmpc {
    config: MpcConfig,
    inputs: usize,
    states: usize,
    disturbances: usize,
    trajectory: Trajectory,
    reach: Reach,
    programme: Programme,
    solver: InteriorPoint,
    /// The cycle that the trajectory belongs to; `None` before the first solve and after a breakdown.
    solved: Option<u64>,
}

impl Nmpc {
    /// A controller of `model`. Lays out the quadratic programme and analyses its pattern; takes milliseconds.
    ///
    /// # Errors
    /// [`MpcError`] when the configuration does not fit the model.
    pub fn new(model: &'static dyn PlantModel, config: MpcConfig) -> Result<Self, MpcError> {
        config.check(model)?;
        let card = model.card();
        let mut trajectory = Trajectory::new(model, &config);
        let mut reach = Reach::new(config.blocks.len(), card.inputs.len());
        let nominal = Nominal::new(model, &config);
        let input = nominal.input();
        reach.update(&input.limits());
        trajectory.start(input.x, input.u_prev, input.p);
        if !trajectory.linearise(input.p) {
            return Err(MpcError::Model { model: card.name });
        }
        let point = Point { trajectory: &trajectory, input: &input, reach: &reach };
        let programme = Programme::new(&config, card.states.len(), point);
        let solver = InteriorPoint::new(&programme)?;
        Ok(Self {
            inputs: card.inputs.len(),
            states: card.states.len(),
            disturbances: card.disturbances.len(),
            config,
            trajectory,
            reach,
            programme,
            solver,
            solved: None,
        })
    }

    /// Forgets the last trajectory; the next solve starts from a simulation with the inputs held.
    pub fn reset(&mut self) {
        self.solved = None;
    }

    /// Solves for the plan of `input.cycle`; `late` is asked before every programme and in each interior-point
    /// iteration.
    ///
    /// | ending | plan | the next solve starts from |
    /// |---|---|---|
    /// | `Solved`, `IterationLimit` (reduced accuracy) | yes | this plan, shifted |
    /// | `TimeLimit` | no | the trajectory so far, shifted |
    /// | `BadInput`: a length, a NaN, contradictory limits | no | as if it had not been called |
    /// | `Numerical`, `Infeasible` | no | a simulation |
    pub fn solve(&mut self, input: &MpcInput<'_>, late: &Deadline) -> MpcOutcome {
        let mut outcome =
            MpcOutcome { status: SolveStatus::BadInput, plan: None, iterations: 0, kkt_residual: f64::INFINITY };
        if !self.accepts(input) {
            return outcome;
        }
        self.reach.update(&input.limits());
        let warm = self.anchor(input);
        let programmes =
            if warm { self.config.sqp_iterations } else { self.config.sqp_iterations.max(SQP_ITERATIONS_COLD) };
        outcome.status = self.iterate(input, late, (programmes, &mut outcome));
        match outcome.status {
            SolveStatus::Solved | SolveStatus::IterationLimit => outcome.plan = Some(self.plan(input)),
            SolveStatus::TimeLimit => {}
            _ => self.reset(),
        }
        outcome
    }

    /// Runs up to so many programmes; leaves their iterations and the last residual in `outcome`.
    fn iterate(
        &mut self,
        input: &MpcInput<'_>,
        late: &Deadline,
        (programmes, outcome): (usize, &mut MpcOutcome),
    ) -> SolveStatus {
        let mut status = SolveStatus::NotRun;
        for _ in 0..programmes {
            if late() {
                return SolveStatus::TimeLimit;
            }
            let sound = self.trajectory.linearise(input.p);
            let point = Point { trajectory: &self.trajectory, input, reach: &self.reach };
            if !sound || !self.programme.fill(point) {
                return SolveStatus::Numerical;
            }
            let ending = self.solver.solve(&self.programme, late);
            outcome.iterations += ending.iterations;
            outcome.kkt_residual = ending.kkt_residual;
            status = ending.status;
            if !status.is_usable() {
                return status;
            }
            let (du, dx) = self.programme.split(self.solver.solution());
            if self.trajectory.correct(du, dx) < STEP_SMALL {
                break;
            }
        }
        if late() { SolveStatus::TimeLimit } else { status }
    }

    /// Brings the trajectory to `input.cycle` and puts the estimated state at its start; false when that took a
    /// simulation.
    fn anchor(&mut self, input: &MpcInput<'_>) -> bool {
        let elapsed = self.solved.and_then(|solved| input.cycle.checked_sub(solved));
        self.solved = Some(input.cycle);
        match elapsed.and_then(|cycles| usize::try_from(cycles).ok()) {
            Some(periods) if periods < self.config.horizon => {
                self.trajectory.shift(periods, input.x, input.p);
                true
            }
            _ => {
                self.trajectory.start(input.x, input.u_prev, input.p);
                false
            }
        }
    }

    /// Projects the trajectory's inputs on the hard bounds and reads the plan off it.
    fn plan(&mut self, input: &MpcInput<'_>) -> Plan {
        self.reach.project(&mut self.trajectory.u, &input.limits());
        let blocks = self.trajectory.block_of.iter().take(PLAN_MOVES);
        let u = Fixed::collect(blocks.map(|block| Values::collect(self.trajectory.u_at(*block).iter().copied())));
        let mut cv_next = Values::filled(0.0, self.config.cv.len());
        let mut cv_end = cv_next;
        self.trajectory.outputs_next(input.p, |cv, y| add(&mut cv_next, input.d, cv, y));
        self.trajectory.outputs_at(self.config.horizon, input.p, |cv, y| add(&mut cv_end, input.d, cv, y));
        Plan { cycle: input.cycle, computed_at: input.now, u, cv_next, cv_end, cost: self.cost(input) }
    }

    /// The objective along the trajectory.
    fn cost(&mut self, input: &MpcInput<'_>) -> f64 {
        let mut cost = 0.0;
        for period in 1..=self.config.horizon {
            let at_end = period == self.config.horizon;
            let tunings = &self.config.cv;
            self.trajectory.outputs_at(period, input.p, |cv, y| cost += input.output_cost(tunings, (cv, y), at_end));
        }
        let mut before = input.u_prev;
        for block in 0..self.config.blocks.len() {
            let u = self.trajectory.u_at(block);
            for ((u, before), mv) in u.iter().zip(before).zip(&self.config.mv) {
                cost += mv.move_weight * ((u - before) / mv.span).powi(2);
            }
            before = u;
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
            (input.u_prev.len(), self.inputs),
            (input.u_lo.len(), self.inputs),
            (input.u_hi.len(), self.inputs),
            (input.du_max.len(), self.inputs),
        ];
        let numbers = [input.x, input.p, input.d, input.u_prev];
        lengths.iter().all(|(got, expected)| got == expected)
            && numbers.iter().all(|values| values.iter().all(|value| value.is_finite()))
            && input.setpoints.iter().flatten().all(|target| target.is_finite())
            && are_limits(input.cv_lo, input.cv_hi)
            && are_limits(input.u_lo, input.u_hi)
            && input.du_max.iter().all(|du| *du >= 0.0)
    }
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

/// A typical input, at the model's nominal point with every limit present: it sets the solver's equilibration.
struct Nominal {
    x: Vec<f64>,
    u: Vec<f64>,
    p: Vec<f64>,
    d: Vec<f64>,
    setpoints: Vec<Option<f64>>,
    cv: [Vec<f64>; 2],
    mv: [Vec<f64>; 3],
}

impl Nominal {
    fn new(model: &dyn PlantModel, config: &MpcConfig) -> Self {
        let card = model.card();
        let nominal = |variables: &[plant_models::Variable]| variables.iter().map(|v| v.nominal).collect::<Vec<_>>();
        let outputs = nominal(card.outputs);
        let targets = config.cv.iter().filter_map(|cv| outputs.get(cv.output).copied());
        let off = |sign: f64| targets.clone().zip(&config.cv).map(move |(y, cv)| y + sign * cv.span).collect();
        Self {
            x: nominal(card.states),
            u: nominal(card.inputs),
            p: nominal(card.disturbances),
            d: vec![0.0; config.cv.len()],
            setpoints: targets.clone().map(Some).collect(),
            cv: [off(-1.0), off(1.0)],
            mv: [
                card.inputs.iter().map(|u| u.low).collect(),
                card.inputs.iter().map(|u| u.high).collect(),
                config.mv.iter().map(|mv| mv.span).collect(),
            ],
        }
    }

    fn input(&self) -> MpcInput<'_> {
        let ([cv_lo, cv_hi], [u_lo, u_hi, du_max]) = (&self.cv, &self.mv);
        MpcInput {
            cycle: 0,
            now: Stamp::ZERO,
            x: &self.x,
            d: &self.d,
            p: &self.p,
            u_prev: &self.u,
            setpoints: &self.setpoints,
            cv_lo,
            cv_hi,
            u_lo,
            u_hi,
            du_max,
        }
    }
}
