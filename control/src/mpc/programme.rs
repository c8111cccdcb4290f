//! The quadratic programme of one SQP iteration, in velocity form.
//!
//! The state of stage k is `z_k = [ξ_k; υ_k]`: what the plant's state and the inputs in force deviate from the
//! trajectory, scaled. The input is the deviation of the move, which a block allows in its first period only:
//!
//! ```text
//! ξ_{k+1} = A ξ_k + B (υ_k + ν_k) + defect,   υ_{k+1} = υ_k + ν_k
//! ```
//!
//! With the CVs' linearisation C, `e = (y + d - r)/span`, `δ = (u_j - u_{j-1})/span` and the MVs' errors
//! `ε = (u - u_t)/span` along the trajectory:
//!
//! ```text
//! min  Σ_{k=1..N} [Σ_cv w (e + C ξ)² + Σ_mv w_t (ε + υ)²] + Σ_blocks Σ_mv m (δ + ν)² + soft
//! s.t. lo_j ≤ u_j + span υ ≤ hi_j,  |u_j - u_{j-1} + span ν| ≤ du_max           (hard)
//!      lo - span s ≤ y + d + span C ξ ≤ hi + span s                             (soft: ρ1 s + ρ2 s²)
//! ```
//!
//! An input that is pinned (its box is a point) leaves the programme: its deviation is known, and moves the right-hand
//! side of the dynamics. A funnel opens a CV's limits as far as the CV lies outside them at first, and closes them
//! with its time constant.
//!
//! # Invariants
//! - No allocation after construction. Every number is written anew by [`Programme::fill`].
#![allow(clippy::indexing_slicing, reason = "every dimension is counted once, at construction")]

use super::reach::Reach;
use super::steady_target::SteadyTarget;
use super::terminal::Terminal;
use super::trajectory::{Stage, Trajectory};
use super::{CvTuning, MpcConfig, MpcInput, MvTuning};
use crate::qp::{Initial, OcpDims, OcpQp, Soft, StageMut};

/// A box narrower than this, in spans, is a point.
const POINT_SPANS: f64 = 1e-9;
/// A bound this many spans away is none.
const ABSENT_SPANS: f64 = 1e6;
/// The least quadratic price of a violated limit, as a share of the linear one: the solvers want it positive.
const QUADRATIC_LEAST: f64 = 1e-3;

#[derive(Debug)]
pub(super) struct Programme {
    pub(super) qp: OcpQp,
    nx: usize,
    cv: Vec<CvTuning>,
    mv: Vec<MvTuning>,
    /// The CVs whose limits cost anything.
    limited: Vec<usize>,
    /// How far each CV lies below and above its limits now, where it has a funnel; else 0.
    opening: Vec<(f64, f64)>,
    /// The regulator's terminal cost, where the configuration asks for it.
    terminal: Option<Terminal>,
}

/// What the numbers are filled from.
#[derive(Clone, Copy)]
pub(super) struct Point<'a> {
    pub(super) trajectory: &'a Trajectory,
    pub(super) input: &'a MpcInput<'a>,
    pub(super) reach: &'a Reach,
    /// The periods that count; behind them the inputs are held and nothing costs anything.
    pub(super) sight: usize,
}

impl Programme {
    pub(super) fn new(config: &MpcConfig, nx: usize) -> Self {
        let nu = config.mv.len();
        let limited: Vec<usize> = (0..config.cv.len()).filter(|i| config.cv[*i].is_limited()).collect();
        let price = |cv: &CvTuning| Soft {
            linear: cv.soft_linear,
            quadratic: 2.0 * cv.soft_quadratic.max(QUADRATIC_LEAST * cv.soft_linear),
        };
        let hard = std::iter::repeat_n(None, 2 * nu);
        let dims = OcpDims {
            nx: nx + nu,
            nu,
            boxed: (nx..nx + nu).collect(),
            rows: limited.len(),
            horizon: config.horizon,
            initial: Initial::Fixed,
            soft: hard.chain(limited.iter().map(|cv| Some(price(&config.cv[*cv])))).collect(),
        };
        let terminal =
            config.terminal_lqr.then(|| Terminal::new(nx, config.mv.iter().map(|mv| 2.0 * mv.move_weight).collect()));
        Self {
            qp: OcpQp::new(dims),
            nx,
            cv: config.cv.clone(),
            mv: config.mv.clone(),
            opening: vec![(0.0, 0.0); config.cv.len()],
            limited,
            terminal,
        }
    }

    /// Whether a CV has a funnel.
    pub(super) fn has_funnel(&self) -> bool {
        self.cv.iter().any(|cv| cv.funnel_periods > 0.0)
    }

    /// Opens the funnels as far as the measured state asks for.
    pub(super) fn open(&mut self, trajectory: &mut Trajectory, input: &MpcInput<'_>) {
        let (opening, tunings) = (&mut self.opening, &self.cv);
        trajectory.outputs_of(input.x, input.p, |cv, y| {
            let y = y + input.d[cv];
            let (below, above) = (input.cv_lo[cv] - y, y - input.cv_hi[cv]);
            let has_funnel = tunings[cv].funnel_periods > 0.0;
            opening[cv] = if has_funnel { (below.max(0.0), above.max(0.0)) } else { (0.0, 0.0) };
        });
    }

    /// Forgets the terminal cost of the last cycle.
    pub(super) fn reset(&mut self) {
        if let Some(terminal) = &mut self.terminal {
            terminal.reset();
        }
    }

    /// Overwrites every number but `x0` from `point`; the terminal cost is about `target`, where there is one.
    pub(super) fn fill(&mut self, point: Point<'_>, target: Option<&SteadyTarget>) {
        let horizon = point.trajectory.horizon();
        for k in 0..=horizon {
            let mut stage = self.qp.stage_mut(k);
            if k > point.sight {
                held(&mut stage, self.nx);
                continue;
            }
            let writer = Writer {
                nx: self.nx,
                cv: &self.cv,
                mv: &self.mv,
                limited: &self.limited,
                opening: &self.opening,
                point,
            };
            if k < point.sight {
                writer.dynamics(k, &mut stage);
                writer.moves(k, &mut stage);
            } else {
                held(&mut stage, self.nx);
            }
            if k > 0 {
                writer.costs(k - 1, &mut stage);
                writer.limits(k - 1, &mut stage);
            }
        }
        if let (Some(terminal), Some(target)) = (&mut self.terminal, target.filter(|_| point.sight == horizon)) {
            terminal.apply(&mut self.qp, &point, target);
        }
    }
}

/// A stage that costs nothing and leads on to the same inputs: the state's deviation is forgotten, moves are free of
/// effect. At the last stage there is nothing to lead on to.
fn held(stage: &mut StageMut<'_>, nx: usize) {
    let nz = stage.q.len();
    for part in [&mut *stage.a, &mut *stage.b, &mut *stage.c, &mut *stage.q_mat, &mut *stage.r_mat, &mut *stage.q] {
        part.fill(0.0);
    }
    stage.r.fill(0.0);
    stage.g.fill(0.0);
    stage.lo.fill(f64::NEG_INFINITY);
    stage.hi.fill(f64::INFINITY);
    if !stage.a.is_empty() {
        (nx..nz).for_each(|i| stage.a[i * (nz + 1)] = 1.0);
    }
    let nu = stage.r.len();
    (0..nu).for_each(|i| stage.r_mat[i * (nu + 1)] = 1.0);
}

/// Writes one stage.
struct Writer<'a> {
    nx: usize,
    cv: &'a [CvTuning],
    mv: &'a [MvTuning],
    limited: &'a [usize],
    opening: &'a [(f64, f64)],
    point: Point<'a>,
}

impl Writer<'_> {
    /// The known deviation of a pinned input in the block of `period`, scaled; `None` for a free one.
    fn pinned(&self, period: usize, i: usize) -> Option<f64> {
        let block = self.point.trajectory.block_of[period];
        let (lo, hi) = self.point.reach.bounds(block, i);
        let span = self.mv[i].span;
        (hi - lo <= POINT_SPANS * span).then(|| (lo - self.point.trajectory.u_at(block)[i]) / span)
    }

    fn dynamics(&self, k: usize, stage: &mut StageMut<'_>) {
        let (nx, nu) = (self.nx, self.mv.len());
        let nz = nx + nu;
        let Stage { a, b, defect, .. } = self.point.trajectory.stage(k);
        let starts = self.point.trajectory.starts_block(k);
        for (to, from) in stage.a.chunks_exact_mut(nz).zip(a.chunks_exact(nx)) {
            to[..nx].copy_from_slice(from);
        }
        stage.c[..nx].copy_from_slice(defect);
        stage.a[nx * nz..].fill(0.0);
        stage.b.fill(0.0);
        for (i, by_u) in b.chunks_exact(nx).enumerate() {
            let pinned = self.pinned(k, i);
            stage.c[nx + i] = pinned.unwrap_or(0.0);
            if let Some(known) = pinned {
                stage.c.iter_mut().zip(by_u).for_each(|(c, b)| *c += b * known);
                continue;
            }
            for column in [Some(&mut stage.a[(nx + i) * nz..]), starts.then_some(&mut stage.b[i * nz..])] {
                let Some(column) = column else { continue };
                column[..nx].copy_from_slice(by_u);
                column[nx + i] = 1.0;
            }
        }
    }

    /// Costs and bounds of the moves of period k.
    fn moves(&self, k: usize, stage: &mut StageMut<'_>) {
        let (nu, trajectory) = (self.mv.len(), self.point.trajectory);
        stage.r_mat.fill(0.0);
        for (i, mv) in self.mv.iter().enumerate() {
            let free = trajectory.starts_block(k) && self.pinned(k, i).is_none();
            let planned = trajectory.move_at(trajectory.block_of[k], i) / mv.span;
            let most = self.point.input.du_max[i] / mv.span;
            stage.r_mat[i + i * nu] = if free { 2.0 * mv.move_weight } else { 1.0 };
            stage.r[i] = if free { 2.0 * mv.move_weight * planned } else { 0.0 };
            stage.lo[i] = if free { lower(-most - planned) } else { f64::NEG_INFINITY };
            stage.hi[i] = if free { upper(most - planned) } else { f64::INFINITY };
        }
    }

    /// Costs of the outputs at the end of `period` and of the inputs in force then.
    fn costs(&self, period: usize, stage: &mut StageMut<'_>) {
        let (nx, nu, ncv, input) = (self.nx, self.mv.len(), self.cv.len(), self.point.input);
        let nz = nx + nu;
        let at_end = period + 1 == self.point.sight;
        let Stage { c, y, .. } = self.point.trajectory.stage(period);
        stage.q_mat.fill(0.0);
        stage.q.fill(0.0);
        for (cv, tuning) in self.cv.iter().enumerate() {
            let weight = if at_end { tuning.terminal_weight } else { tuning.weight };
            let error = input.setpoints[cv].map(|setpoint| (y[cv] + input.d[cv] - setpoint) / tuning.span);
            let (weight, error) = error.map_or((0.0, 0.0), |error| (2.0 * weight, error));
            if weight == 0.0 {
                continue;
            }
            for j in 0..nx {
                let c_j = c[cv + j * ncv];
                stage.q[j] += weight * error * c_j;
                for i in 0..nx {
                    stage.q_mat[i + j * nz] += weight * c[cv + i * ncv] * c_j;
                }
            }
        }
        let u = self.point.trajectory.u_at(self.point.trajectory.block_of[period]);
        for (i, mv) in self.mv.iter().enumerate() {
            let weight = if at_end { mv.terminal_target_weight } else { mv.target_weight };
            let error = input.mv_targets[i].map(|target| (u[i] - target) / mv.span);
            let (weight, error) = error.map_or((0.0, 0.0), |error| (2.0 * weight, error));
            stage.q_mat[(nx + i) * (nz + 1)] = weight;
            stage.q[nx + i] = weight * error;
        }
    }

    /// Bounds of the inputs in force at the end of `period`, and of the limited CVs there.
    fn limits(&self, period: usize, stage: &mut StageMut<'_>) {
        let (nx, nu, ncv) = (self.nx, self.mv.len(), self.cv.len());
        let (trajectory, input) = (self.point.trajectory, self.point.input);
        let block = trajectory.block_of[period];
        for (i, mv) in self.mv.iter().enumerate() {
            let free = trajectory.starts_block(period) && self.pinned(period, i).is_none();
            let (lo, hi) = self.point.reach.bounds(block, i);
            let u = trajectory.u_at(block)[i];
            stage.lo[nu + i] = if free { lower((lo - u) / mv.span) } else { f64::NEG_INFINITY };
            stage.hi[nu + i] = if free { upper((hi - u) / mv.span) } else { f64::INFINITY };
        }
        let Stage { c, y, .. } = trajectory.stage(period);
        for (row, cv) in self.limited.iter().enumerate() {
            let tuning = &self.cv[*cv];
            let (lo, hi) = self.funnel(*cv, period + 1);
            let y = y[*cv] + input.d[*cv];
            stage.lo[2 * nu + row] = lower((lo - y) / tuning.span);
            stage.hi[2 * nu + row] = upper((hi - y) / tuning.span);
            for j in 0..nx {
                stage.g[row + j * self.limited.len()] = c[*cv + j * ncv];
            }
        }
    }

    /// The limits of a CV `periods` ahead.
    fn funnel(&self, cv: usize, periods: usize) -> (f64, f64) {
        let (input, tuning) = (self.point.input, &self.cv[cv]);
        let (lo, hi) = (input.cv_lo[cv], input.cv_hi[cv]);
        if tuning.funnel_periods <= 0.0 {
            return (lo, hi);
        }
        let open = (-(periods as f64) / tuning.funnel_periods).exp();
        let (below, above) = self.opening[cv];
        (lo - below * open, hi + above * open)
    }
}

/// A lower bound in spans; none where it is too far to matter.
fn lower(bound: f64) -> f64 {
    if bound < -ABSENT_SPANS { f64::NEG_INFINITY } else { bound.min(ABSENT_SPANS) }
}

/// An upper bound in spans, likewise.
fn upper(bound: f64) -> f64 {
    -lower(-bound)
}
