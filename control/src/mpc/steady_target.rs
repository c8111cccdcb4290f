//! The steady target: where the plant should come to rest, and which limits it cannot keep there.
//!
//! Under the disturbances of the cycle it looks for the state and inputs `(x_s, u_s)` at rest that come nearest to the
//! set-points and rest values, at the least price, inside the limits:
//!
//! ```text
//! min  Σ_cv w ((y - r)/span)² + price·y/span + Σ_mv w_t ((u - u_t)/span)² + price·u/span
//! s.t. f(x_s, u_s, p) = 0,  y = h(x_s, p) + d,  u_lo ≤ u_s ≤ u_hi,  cv_lo ≤ y ≤ cv_hi
//! ```
//!
//! The prices have no curvature of their own, the plant gives it: an estimate B of the reduced Hessian is carried from step
//! to step (BFGS, damped by Powell's rule), so that an optimum between the limits is found as well as one on them.
//!
//! Where the CVs' limits contradict each other, they are given up by rank: the limits of rank 0 are violated as little
//! as can be, then those of rank 1 with the former held, and so on. A limit that was given up is widened to what was
//! reached, for the dynamic programme to aim at, and it is told.
//!
//! The search is one Gauss-Newton step per cycle, from the last cycle's target, and several at the start. Each step
//! solves one small programme per rank and one for the objective, in the inputs alone: the outputs' gains at rest are
//! `G = C f_x⁻¹ (-f_u)`. A plant that integrates has no such gain; then there is no target.
//!
//! # Sources
//! Nocedal and Wright, *Numerical Optimization*, 2nd ed., 18.3 (damped BFGS); Muske and Rawlings, Model predictive control
//! with linear models, *AIChE J.* 39 (1993) 262 (target calculation); Qin and Badgwell, A survey of industrial model
//! predictive control technology, *Control Eng. Practice* 11 (2003) 733 (ranked relaxation).
//!
//! # Invariants
//! - No allocation after construction.
#![allow(clippy::indexing_slicing, reason = "every dimension is counted once, at construction")]

use nalgebra::DMatrix;
use plant_models::{PlantModel, Variable};
use signals::{Fixed, MAX_CVS, MAX_MVS, SolveStatus, Values};

use super::linear::solve_in_place;
use super::{MpcConfig, MpcInput};
use crate::qp::riccati::{IpmOptions, RiccatiIpm};
use crate::qp::{Initial, OcpDims, OcpQp, OcpSolver, Soft};

/// Gauss-Newton steps of a first search, and of each later cycle.
const STEPS_COLD: usize = 30;
const STEPS_WARM: usize = 3;
/// The longest step of a state, in spans of the model's card.
const STEP_LONGEST: f64 = 0.25;
/// Price of the first span of violation, beside weights and prices of about 1.
const LIMIT_PRICE: f64 = 1e4;
/// A limit of the rank in question costs this share of one that is already held, inputs' gains being equal.
const RANK_SHARE: f64 = 1e-3;
/// The least gain by which a CV is counted, spans per span.
const GAIN_LEAST: f64 = 1e-6;
/// A limit missed by more than this, in spans, is given up.
const GIVEN_UP_SPANS: f64 = 1e-3;
/// Weight of an input's step: for programmes that leave it free, and so that a set-point out of reach, about which the
/// gains vanish, does not send the inputs to and fro (Levenberg).
const STEP_WEIGHT: f64 = 1e-2;
/// A residual below this, in spans per period, is rest.
const RESIDUAL_SMALL: f64 = 1e-5;

/// The steady target of one cycle.
#[derive(Debug)]
pub(super) struct SteadyTarget {
    model: &'static dyn PlantModel,
    config: MpcConfig,
    /// Ranks that occur among the limited CVs, the first to be kept first.
    ranks: Vec<u8>,
    x_spans: Vec<f64>,
    /// Whether `x` and `u` are a target: at rest, and the last programme's answer.
    pub(super) found: bool,
    /// Whether there is a point to go on from.
    begun: bool,
    pub(super) x: Vec<f64>,
    pub(super) u: Vec<f64>,
    /// The CVs' limits, widened where they were given up.
    pub(super) cv_lo: Values<MAX_CVS>,
    pub(super) cv_hi: Values<MAX_CVS>,
    pub(super) given_up: Fixed<bool, MAX_CVS>,
    /// The economic optimum as targets of the MVs; nothing without prices.
    mv_targets: Option<Fixed<Option<f64>, MAX_MVS>>,
    curvature: Option<Curvature>,
    qp: OcpQp,
    solver: RiccatiIpm,
    work: Work,
}

#[derive(Debug)]
struct Work {
    f: Vec<f64>,
    y: Vec<f64>,
    a: DMatrix<f64>,
    b: DMatrix<f64>,
    c: DMatrix<f64>,
    /// NX × (1 + NU): `-f_x⁻¹ [f | f_u]`.
    response: Vec<f64>,
    factor: Vec<f64>,
    /// CVs at rest after the state's own step, model units; and NCV × NU gains, spans per span.
    y_rest: Vec<f64>,
    gains: Vec<f64>,
    /// By which a CV is counted in the programme.
    scale: Vec<f64>,
}

impl SteadyTarget {
    pub(super) fn new(model: &'static dyn PlantModel, config: &MpcConfig) -> Self {
        let card = model.card();
        let (nx, nu, ny, ncv) = (card.states.len(), card.inputs.len(), card.outputs.len(), config.cv.len());
        let mut ranks: Vec<u8> = config.cv.iter().filter(|cv| cv.is_limited()).map(|cv| cv.rank).collect();
        ranks.sort_unstable();
        ranks.dedup();
        let prices = config.cv.iter().map(|cv| cv.price).chain(config.mv.iter().map(|mv| mv.price));
        let price_size = prices.fold(1.0, |most, price| f64::max(most, price.abs()));
        let soft = Some(Soft { linear: LIMIT_PRICE * price_size, quadratic: LIMIT_PRICE * price_size });
        let dims = OcpDims {
            nx: ncv,
            nu,
            boxed: (0..ncv).collect(),
            rows: 0,
            horizon: 1,
            initial: Initial::Fixed,
            soft: std::iter::repeat_n(None, nu).chain(std::iter::repeat_n(soft, ncv)).collect(),
        };
        let options = IpmOptions { tolerance: 1e-9, iterations_max: 60, warm_start: false };
        Self {
            model,
            config: config.clone(),
            ranks,
            x_spans: card.states.iter().map(Variable::span).collect(),
            found: false,
            begun: false,
            x: vec![0.0; nx],
            u: vec![0.0; nu],
            cv_lo: Values::filled(f64::NEG_INFINITY, ncv),
            cv_hi: Values::filled(f64::INFINITY, ncv),
            given_up: Fixed::filled(false, ncv),
            mv_targets: None,
            curvature: config.has_prices().then(|| Curvature::new(nu, CURVATURE_FIRST * price_size)),
            solver: RiccatiIpm::new(&dims, options),
            qp: OcpQp::new(dims),
            work: Work {
                f: vec![0.0; nx],
                y: vec![0.0; ny],
                a: DMatrix::zeros(nx, nx),
                b: DMatrix::zeros(nx, nu),
                c: DMatrix::zeros(ny, nx),
                response: vec![0.0; nx * (1 + nu)],
                factor: vec![0.0; nx * nx],
                y_rest: vec![0.0; ncv],
                gains: vec![0.0; ncv * nu],
                scale: vec![1.0; ncv],
            },
        }
    }

    /// The next search starts from the estimated state.
    pub(super) fn reset(&mut self) {
        self.found = false;
        self.begun = false;
        if let Some(curvature) = &mut self.curvature {
            curvature.reset();
        }
    }

    /// Moves the target to this cycle's disturbances, set-points and limits. Where there is no state at rest to aim at,
    /// it is not `found`, and the limits are as they were asked.
    pub(super) fn step(&mut self, input: &MpcInput<'_>, late: &dyn Fn() -> bool) {
        if !self.begun {
            self.x.copy_from_slice(input.x);
            self.u.copy_from_slice(input.u_prev);
        }
        let steps = if self.begun { STEPS_WARM } else { STEPS_COLD };
        self.begun = true;
        for _ in 0..steps {
            let stepped = !late() && self.gauss_newton(input, late);
            if late() {
                // What was cut short has not failed: the last target stands.
                return;
            }
            self.begun = stepped;
            self.found = stepped && self.residual(input) < RESIDUAL_SMALL;
            if !stepped {
                break;
            }
        }
        if !self.found {
            self.ask(input);
        }
    }

    /// The economic optimum as targets of the MVs, where there are prices and a target.
    pub(super) fn mv_targets(&self) -> Option<&[Option<f64>]> {
        self.mv_targets.as_deref().filter(|_| self.found)
    }

    /// The limits as they were asked.
    fn ask(&mut self, input: &MpcInput<'_>) {
        self.cv_lo.copy_from_slice(input.cv_lo);
        self.cv_hi.copy_from_slice(input.cv_hi);
        self.given_up.fill(false);
    }

    /// The largest slope at the target, in spans per period.
    fn residual(&mut self, input: &MpcInput<'_>) -> f64 {
        self.model.rhs(&self.x, &self.u, input.p, &mut self.work.f);
        let periods = self.config.period_s / self.model.card().time_unit_s;
        self.work.f.iter().zip(&self.x_spans).fold(0.0, |most, (f, span)| f64::max(most, (periods * f / span).abs()))
    }

    fn gauss_newton(&mut self, input: &MpcInput<'_>, late: &dyn Fn() -> bool) -> bool {
        if !self.linearise(input) {
            return false;
        }
        self.ask(input);
        for rank in 0..self.ranks.len() {
            let rank = self.ranks[rank];
            self.fill(input, Some(rank));
            if !self.solve(late) {
                return false;
            }
            self.give_up(rank);
        }
        self.take_curvature();
        self.fill(input, None);
        if !self.solve(late) {
            return false;
        }
        self.tell(input);
        self.advance(input)
    }

    /// Rest points and gains at the target.
    fn linearise(&mut self, input: &MpcInput<'_>) -> bool {
        let (nx, nu, ncv) = (self.x.len(), self.u.len(), self.config.cv.len());
        let Work { f, y, a, b, c, response, factor, y_rest, gains, .. } = &mut self.work;
        self.model.rhs(&self.x, &self.u, input.p, f);
        self.model.rhs_jacobians(&self.x, &self.u, input.p, a, b);
        self.model.outputs(&self.x, input.p, y);
        self.model.output_jacobian(&self.x, input.p, c);
        factor.copy_from_slice(a.as_slice());
        for (response, value) in response.iter_mut().zip(f.iter().chain(b.as_slice())) {
            *response = -value;
        }
        if !solve_in_place(factor, response, nx) {
            return false;
        }
        for (cv, tuning) in self.config.cv.iter().enumerate() {
            let row =
                |column: usize| -> f64 { (0..nx).map(|i| c[(tuning.output, i)] * response[column * nx + i]).sum() };
            y_rest[cv] = y[tuning.output] + row(0) + input.d[cv];
            for i in 0..nu {
                gains[cv + i * ncv] = row(1 + i) * self.config.mv[i].span / tuning.span;
            }
        }
        true
    }

    /// The programme in the inputs' step (spans) for one rank of limits, or for the objective.
    fn fill(&mut self, input: &MpcInput<'_>, rank: Option<u8>) {
        let (nu, ncv) = (self.u.len(), self.config.cv.len());
        for (cv, tuning) in self.config.cv.iter().enumerate() {
            // Every CV answers the inputs alike, so that prices say what goes first whatever the spans are.
            let gain = self.work.gains.iter().skip(cv).step_by(ncv).fold(GAIN_LEAST, |most, g| f64::max(most, g.abs()));
            self.work.scale[cv] = if rank == Some(tuning.rank) { RANK_SHARE } else { 1.0 } / gain;
        }
        let first = self.qp.stage_mut(0);
        for (b, gains) in first.b.chunks_exact_mut(ncv).zip(self.work.gains.chunks_exact(ncv)) {
            b.iter_mut().zip(gains.iter().zip(&self.work.scale)).for_each(|(b, (gain, scale))| *b = gain * scale);
        }
        first.r_mat.fill(0.0);
        for (i, mv) in self.config.mv.iter().enumerate() {
            let target = input.mv_targets[i].filter(|_| rank.is_none() && self.curvature.is_none());
            let weight = target.map_or(0.0, |_| 2.0 * mv.target_weight);
            let error = target.map_or(0.0, |target| (self.u[i] - target) / mv.span);
            first.r_mat[i * (nu + 1)] = weight + STEP_WEIGHT;
            first.r[i] = weight * error + if rank.is_none() { mv.price } else { 0.0 };
            first.lo[i] = (input.u_lo[i] - self.u[i]) / mv.span;
            first.hi[i] = (input.u_hi[i] - self.u[i]) / mv.span;
        }
        if let (Some(curvature), None) = (&self.curvature, rank) {
            first.r_mat.iter_mut().zip(&curvature.b).for_each(|(r, b)| *r += b);
        }
        let last = self.qp.stage_mut(1);
        last.q_mat.fill(0.0);
        for (cv, tuning) in self.config.cv.iter().enumerate() {
            let y = self.work.y_rest[cv];
            let setpoint = input.setpoints[cv].filter(|_| rank.is_none());
            let weight = setpoint.map_or(0.0, |_| 2.0 * tuning.weight);
            let error = setpoint.map_or(0.0, |setpoint| (y - setpoint) / tuning.span);
            let scale = self.work.scale[cv];
            last.q_mat[cv * (ncv + 1)] = weight / (scale * scale);
            last.q[cv] = (weight * error + if rank.is_none() { tuning.price } else { 0.0 }) / scale;
            let counts = tuning.is_limited() && rank.is_none_or(|rank| tuning.rank <= rank);
            let per_span = self.work.scale[cv] / tuning.span;
            last.lo[nu + cv] = if counts { (self.cv_lo[cv] - y) * per_span } else { f64::NEG_INFINITY };
            last.hi[nu + cv] = if counts { (self.cv_hi[cv] - y) * per_span } else { f64::INFINITY };
        }
    }

    /// The reduced gradient of the prices at the target, and with the last one the curvature on the way between.
    fn take_curvature(&mut self) {
        let ncv = self.config.cv.len();
        let Some(curvature) = &mut self.curvature else { return };
        for (i, slot) in curvature.gradient.iter_mut().enumerate() {
            let prices = self.config.cv.iter().zip(&self.work.gains[i * ncv..]);
            let now: f64 = prices.map(|(cv, gain)| cv.price * gain).sum();
            curvature.change[i] = now - *slot;
            *slot = now;
        }
        curvature.update();
    }

    fn solve(&mut self, late: &dyn Fn() -> bool) -> bool {
        self.solver.prepare(&self.qp);
        self.solver.solve(&self.qp, late).status == SolveStatus::Solved
    }

    /// Widens the limits of `rank` to what the last programme reached.
    fn give_up(&mut self, rank: u8) {
        let (ncv, reached) = (self.config.cv.len(), &self.solver.solution().x);
        for (cv, tuning) in self.config.cv.iter().enumerate().filter(|(_, cv)| cv.is_limited() && cv.rank == rank) {
            let y = self.work.y_rest[cv] + tuning.span * reached[ncv + cv] / self.work.scale[cv];
            let missed = (self.cv_lo[cv] - y).max(y - self.cv_hi[cv]) / tuning.span;
            if missed > GIVEN_UP_SPANS {
                self.cv_lo[cv] = self.cv_lo[cv].min(y);
                self.cv_hi[cv] = self.cv_hi[cv].max(y);
            }
        }
    }

    /// Which limits the last programme, of all ranks together, does not keep as they were asked.
    fn tell(&mut self, input: &MpcInput<'_>) {
        let (ncv, reached) = (self.config.cv.len(), &self.solver.solution().x);
        for (cv, tuning) in self.config.cv.iter().enumerate().filter(|(_, cv)| cv.is_limited()) {
            let y = self.work.y_rest[cv] + tuning.span * reached[ncv + cv] / self.work.scale[cv];
            let missed = (input.cv_lo[cv] - y).max(y - input.cv_hi[cv]) / tuning.span;
            self.given_up[cv] = missed > GIVEN_UP_SPANS;
        }
    }

    /// Takes the step of the last programme; false when it leads nowhere finite.
    fn advance(&mut self, input: &MpcInput<'_>) -> bool {
        let (nx, nu) = (self.x.len(), self.u.len());
        let du = &self.solver.solution().u[..nu];
        let dx = |i: usize| -> f64 {
            let by_u: f64 =
                (0..nu).map(|j| self.work.response[(1 + j) * nx + i] * self.config.mv[j].span * du[j]).sum();
            self.work.response[i] + by_u
        };
        let furthest = (0..nx).fold(0.0, |most, i| f64::max(most, (dx(i) / self.x_spans[i]).abs()));
        let share = (STEP_LONGEST / furthest).min(1.0);
        for i in 0..nx {
            let step = share * dx(i);
            self.work.f[i] = self.x[i] + step;
        }
        self.x.copy_from_slice(&self.work.f);
        for (i, u) in self.u.iter_mut().enumerate() {
            let step = share * du[i];
            *u = (*u + step * self.config.mv[i].span).clamp(input.u_lo[i], input.u_hi[i]);
            if let Some(curvature) = &mut self.curvature {
                curvature.step[i] = step;
            }
        }
        self.mv_targets = self.curvature.as_ref().map(|_| Fixed::collect(self.u.iter().copied().map(Some)));
        self.x.iter().chain(&self.u).all(|value| value.is_finite())
    }
}

/// The estimate of a reduced Hessian, inputs counted in spans.
#[derive(Debug)]
struct Curvature {
    /// The curvature that is believed before anything was seen.
    first: f64,
    /// NU × NU, positive definite.
    b: Vec<f64>,
    /// The last step, the gradient where it ended, and how the gradient has changed along it; NU each.
    step: Vec<f64>,
    gradient: Vec<f64>,
    change: Vec<f64>,
    bs: Vec<f64>,
}

/// The curvature that is believed before anything was seen, per squared span, beside the largest price.
const CURVATURE_FIRST: f64 = 1.0;
/// Powell's damping: the share of the believed curvature that is never given up in one update.
const CURVATURE_KEPT: f64 = 0.2;
/// A step shorter than this, in spans, tells nothing.
const STEP_TELLING: f64 = 1e-7;

impl Curvature {
    fn new(nu: usize, first: f64) -> Self {
        let zeros = || vec![0.0; nu];
        let mut new =
            Self { first, b: vec![0.0; nu * nu], step: zeros(), gradient: zeros(), change: zeros(), bs: zeros() };
        new.reset();
        new
    }

    fn reset(&mut self) {
        let nu = self.step.len();
        self.b.fill(0.0);
        (0..nu).for_each(|i| self.b[i * (nu + 1)] = self.first);
        self.step.fill(0.0);
    }

    /// `B += r rᵀ / sᵀr - B s sᵀ B / sᵀBs` with `r = θ y + (1 - θ) B s`, `sᵀr ≥ 0.2 sᵀBs`.
    fn update(&mut self) {
        let nu = self.step.len();
        for (i, bs) in self.bs.iter_mut().enumerate() {
            *bs = (0..nu).map(|j| self.b[i + j * nu] * self.step[j]).sum();
        }
        let along = |v: &[f64]| -> f64 { v.iter().zip(&self.step).map(|(v, s)| v * s).sum() };
        let (sbs, sy) = (along(&self.bs), along(&self.change));
        let telling = self.step.iter().any(|s| s.abs() > STEP_TELLING) && sbs > 0.0 && sy.is_finite();
        if telling {
            let damped = sy < CURVATURE_KEPT * sbs;
            let theta = if damped { (1.0 - CURVATURE_KEPT) * sbs / (sbs - sy) } else { 1.0 };
            let r = |i: usize| theta * self.change[i] + (1.0 - theta) * self.bs[i];
            let sr: f64 = (0..nu).map(|i| r(i) * self.step[i]).sum();
            for j in 0..nu {
                for i in 0..nu {
                    self.b[i + j * nu] += r(i) * r(j) / sr - self.bs[i] * self.bs[j] / sbs;
                }
            }
        }
        self.step.fill(0.0);
    }
}
