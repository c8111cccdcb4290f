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
//! Where the CVs' limits contradict each other, they are given up by rank: the limits of rank 0 are violated as little
//! as can be, then those of rank 1 with the former held, and so on. A limit that was given up is widened to what was
//! reached, for the dynamic programme to aim at, and it is told.
//!
//! The search is one Gauss-Newton step per cycle, from the last cycle's target, and several at the start. Each step
//! solves one small programme per rank and one for the objective, in the inputs alone: the outputs' gains at rest are
//! `G = C f_x⁻¹ (-f_u)`. A plant that integrates has no such gain; then there is no target.
//!
//! # Sources
//! Muske and Rawlings, Model predictive control with linear models, *AIChE J.* 39 (1993) 262 (target calculation);
//! Qin and Badgwell, A survey of industrial model predictive control technology, *Control Eng. Practice* 11 (2003) 733
//! (ranked relaxation).
//!
//! # Invariants
//! - No allocation after construction.
#![allow(clippy::indexing_slicing, reason = "every dimension is counted once, at construction")]

use nalgebra::DMatrix;
use plant_models::{PlantModel, Variable};
use signals::{Fixed, MAX_CVS, Values};

use super::linear::solve_in_place;
use super::{MpcConfig, MpcInput};
use crate::qp::riccati::{IpmOptions, RiccatiIpm};
use crate::qp::{Initial, OcpDims, OcpQp, OcpSolver, Soft};

/// Gauss-Newton steps of a first search, and of each later cycle.
const STEPS_COLD: usize = 30;
const STEPS_WARM: usize = 1;
/// The longest step of a state, in spans of the model's card.
const STEP_LONGEST: f64 = 0.25;
/// Price of the first span of violation, beside weights of about 1.
const LIMIT_PRICE: f64 = 1e4;
/// A limit missed by more than this, in spans, is given up.
const GIVEN_UP_SPANS: f64 = 1e-3;
/// Weight of an input's step, for programmes that leave it free.
const STEP_WEIGHT: f64 = 1e-6;
/// A residual below this, in spans per period, is rest.
const RESIDUAL_SMALL: f64 = 1e-6;

/// The steady target of one cycle.
#[derive(Debug)]
pub(super) struct SteadyTarget {
    model: &'static dyn PlantModel,
    config: MpcConfig,
    /// Ranks that occur among the limited CVs, the first to be kept first.
    ranks: Vec<u8>,
    x_spans: Vec<f64>,
    /// Whether `x` and `u` are a target.
    pub(super) found: bool,
    pub(super) x: Vec<f64>,
    pub(super) u: Vec<f64>,
    /// The CVs' limits, widened where they were given up.
    pub(super) cv_lo: Values<MAX_CVS>,
    pub(super) cv_hi: Values<MAX_CVS>,
    pub(super) given_up: Fixed<bool, MAX_CVS>,
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
}

impl SteadyTarget {
    pub(super) fn new(model: &'static dyn PlantModel, config: &MpcConfig) -> Self {
        let card = model.card();
        let (nx, nu, ny, ncv) = (card.states.len(), card.inputs.len(), card.outputs.len(), config.cv.len());
        let mut ranks: Vec<u8> = config.cv.iter().filter(|cv| cv.is_limited()).map(|cv| cv.rank).collect();
        ranks.sort_unstable();
        ranks.dedup();
        let soft = Some(Soft { linear: LIMIT_PRICE, quadratic: LIMIT_PRICE });
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
            x: vec![0.0; nx],
            u: vec![0.0; nu],
            cv_lo: Values::filled(f64::NEG_INFINITY, ncv),
            cv_hi: Values::filled(f64::INFINITY, ncv),
            given_up: Fixed::filled(false, ncv),
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
            },
        }
    }

    /// The next search starts from the estimated state.
    pub(super) fn reset(&mut self) {
        self.found = false;
    }

    /// Moves the target to this cycle's disturbances, set-points and limits. Where there is no state at rest to aim at,
    /// it is not `found`, and the limits are as they were asked.
    pub(super) fn step(&mut self, input: &MpcInput<'_>, late: &dyn Fn() -> bool) {
        if !self.found {
            self.x.copy_from_slice(input.x);
            self.u.copy_from_slice(input.u_prev);
        }
        let steps = if self.found { STEPS_WARM } else { STEPS_COLD };
        let searched = (0..steps).all(|_| self.gauss_newton(input, late));
        self.found = searched && (self.found || self.residual(input) < RESIDUAL_SMALL);
        if !self.found {
            self.ask(input);
        }
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
        self.fill(input, None);
        self.solve(late) && self.advance(input)
    }

    /// Rest points and gains at the target.
    fn linearise(&mut self, input: &MpcInput<'_>) -> bool {
        let (nx, nu, ncv) = (self.x.len(), self.u.len(), self.config.cv.len());
        let Work { f, y, a, b, c, response, factor, y_rest, gains } = &mut self.work;
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
        let first = self.qp.stage_mut(0);
        first.b.copy_from_slice(&self.work.gains);
        first.r_mat.fill(0.0);
        for (i, mv) in self.config.mv.iter().enumerate() {
            let target = input.mv_targets[i].filter(|_| rank.is_none());
            let weight = target.map_or(0.0, |_| 2.0 * mv.target_weight);
            let error = target.map_or(0.0, |target| (self.u[i] - target) / mv.span);
            first.r_mat[i * (nu + 1)] = weight + STEP_WEIGHT;
            first.r[i] = weight * error + if rank.is_none() { mv.price } else { 0.0 };
            first.lo[i] = (input.u_lo[i] - self.u[i]) / mv.span;
            first.hi[i] = (input.u_hi[i] - self.u[i]) / mv.span;
        }
        let last = self.qp.stage_mut(1);
        last.q_mat.fill(0.0);
        for (cv, tuning) in self.config.cv.iter().enumerate() {
            let y = self.work.y_rest[cv];
            let setpoint = input.setpoints[cv].filter(|_| rank.is_none());
            let weight = setpoint.map_or(0.0, |_| 2.0 * tuning.weight);
            let error = setpoint.map_or(0.0, |setpoint| (y - setpoint) / tuning.span);
            last.q_mat[cv * (ncv + 1)] = weight;
            last.q[cv] = weight * error + if rank.is_none() { tuning.price } else { 0.0 };
            let counts = tuning.is_limited() && rank.is_none_or(|rank| tuning.rank <= rank);
            last.lo[nu + cv] = if counts { (self.cv_lo[cv] - y) / tuning.span } else { f64::NEG_INFINITY };
            last.hi[nu + cv] = if counts { (self.cv_hi[cv] - y) / tuning.span } else { f64::INFINITY };
        }
    }

    fn solve(&mut self, late: &dyn Fn() -> bool) -> bool {
        self.solver.prepare(&self.qp);
        self.solver.solve(&self.qp, late).status.is_usable()
    }

    /// Widens the limits of `rank` to what the last programme reached.
    fn give_up(&mut self, rank: u8) {
        let (ncv, reached) = (self.config.cv.len(), &self.solver.solution().x);
        for (cv, tuning) in self.config.cv.iter().enumerate().filter(|(_, cv)| cv.is_limited() && cv.rank == rank) {
            let y = self.work.y_rest[cv] + tuning.span * reached[ncv + cv];
            let missed = (self.cv_lo[cv] - y).max(y - self.cv_hi[cv]) / tuning.span;
            self.given_up[cv] = missed > GIVEN_UP_SPANS;
            if self.given_up[cv] {
                self.cv_lo[cv] = self.cv_lo[cv].min(y);
                self.cv_hi[cv] = self.cv_hi[cv].max(y);
            }
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
            *u = (*u + share * du[i] * self.config.mv[i].span).clamp(input.u_lo[i], input.u_hi[i]);
        }
        self.x.iter().chain(&self.u).all(|value| value.is_finite())
    }
}
