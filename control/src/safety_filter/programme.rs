//! The quadratic programme of one search: the move nearest to the proposal from which a plan keeps the limits and ends at
//! rest, linearised about a trajectory.
//!
//! In velocity form, as the controller's: state `z_k = [ξ_k; υ_k]`, the scaled deviations of the plant's state and of the
//! inputs in force from the trajectory; input `ν_k`, the deviation of the move.
//!
//! ```text
//! min  Σ_mv ((u_0 - u_p)/span)² + ε Σ_k Σ_mv (δ_k + ν_k)²  +  ρ Σ (s + ½ s²)
//! s.t. ξ_{k+1} = A ξ_k + B (υ_k + ν_k) + defect,   υ_{k+1} = υ_k + ν_k
//!      lo_k ≤ u_k + span υ_{k+1} ≤ hi_k,  |u_k - u_{k-1} + span ν_k| ≤ du_max           hard
//!      lo + margin - span s ≤ y_k + d + span C ξ_k ≤ hi - margin + span s,  k = 1 … N    soft
//!      -s ≤ (A_N - I) ξ_N + B_N υ_N + (F(x_N, u_{N-1}) - x_N)/span ≤ s                   soft
//! ```
//!
//! The last line says that the plan ends at rest: under its last input the last state stays where it is. An input whose
//! box is a point is known and leaves the programme.
//!
//! # Invariants
//! - No allocation after construction. Every number is written anew by [`Programme::fill`].
#![allow(clippy::indexing_slicing, reason = "every dimension is counted once, at construction")]

use plant_models::{Held, Integrator, PlantModel, Sensitivities, Variable};

use super::{FilterConfig, FilterInput};
use crate::mpc::reach::Reach;
use crate::mpc::trajectory::{Stage, Trajectory};
use crate::qp::{Initial, OcpDims, OcpQp, Soft, StageMut};

/// Weight of the squared moves, beside the squared distance of the first one from the proposal: it makes the rest of the
/// plan unique and calm.
const MOVE_WEIGHT: f64 = 1e-4;
/// A box narrower than this, in spans, is a point.
const POINT_SPANS: f64 = 1e-9;
/// A bound this many spans away is none.
const ABSENT_SPANS: f64 = 1e6;

#[derive(Debug)]
pub(super) struct Programme {
    pub(super) qp: OcpQp,
    config: FilterConfig,
    integrator: Integrator,
    /// The CVs that have limits.
    limited: Vec<usize>,
    /// Spans of the states.
    spans: Vec<f64>,
    /// Of one period from the end of the trajectory: its end, and the derivatives by state and by input.
    end: Vec<f64>,
    by_x: Vec<f64>,
    by_u: Vec<f64>,
}

/// What the numbers are filled from.
#[derive(Clone, Copy)]
pub(super) struct Point<'a> {
    pub(super) trajectory: &'a Trajectory,
    pub(super) input: &'a FilterInput<'a>,
    pub(super) reach: &'a Reach,
    /// The move to stay near to.
    pub(super) wanted: &'a [f64],
}

impl Programme {
    pub(super) fn new(model: &'static dyn PlantModel, config: &FilterConfig) -> Self {
        let card = model.card();
        let (nx, nu) = (card.states.len(), card.inputs.len());
        let limited: Vec<usize> = (0..config.cv.len()).filter(|i| config.cv[*i].is_limited()).collect();
        let price = Soft { linear: config.slack_price, quadratic: config.slack_price };
        let rows = limited.len() + nx;
        let dims = OcpDims {
            nx: nx + nu,
            nu,
            boxed: (nx..nx + nu).collect(),
            rows,
            horizon: config.horizon,
            initial: Initial::Fixed,
            soft: std::iter::repeat_n(None, 2 * nu).chain(std::iter::repeat_n(Some(price), rows)).collect(),
        };
        Self {
            qp: OcpQp::new(dims),
            integrator: Integrator::new(model, config.method),
            limited,
            spans: card.states.iter().map(Variable::span).collect(),
            end: vec![0.0; nx],
            by_x: vec![0.0; nx * nx],
            by_u: vec![0.0; nx * nu],
            config: config.clone(),
        }
    }

    /// Overwrites every number from `point`, the initial state included. False when the model's end is not a number.
    pub(super) fn fill(&mut self, point: Point<'_>) -> bool {
        let horizon = self.config.horizon;
        let sound = self.look_behind(point);
        let Self { qp, config, limited, spans, end, by_x, by_u, .. } = self;
        let writer = Writer { config, limited, spans, point };
        for k in 0..=horizon {
            let mut stage = qp.stage_mut(k);
            if k < horizon {
                writer.dynamics(k, &mut stage);
                writer.moves(k, &mut stage);
            }
            stage.q_mat.fill(0.0);
            stage.q.fill(0.0);
            if k == 1 {
                writer.distance(&mut stage);
            }
            if k > 0 {
                writer.limits(k - 1, &mut stage);
            }
            if k == horizon {
                writer.rest(&mut stage, (end, by_x, by_u));
            }
        }
        point.trajectory.deviation(point.input.x, point.input.u_prev, &mut qp.x0);
        sound
    }

    /// Integrates one period further than the trajectory, under its last input.
    fn look_behind(&mut self, Point { trajectory, input, .. }: Point<'_>) -> bool {
        let horizon = self.config.horizon;
        self.end.copy_from_slice(trajectory.x_at(horizon));
        let u = trajectory.u_at(horizon - 1);
        let held = Held { u, p: input.p, dt_s: self.config.period_s, substeps: self.config.substeps };
        let sensitivities = Sensitivities { by_x: &mut self.by_x, by_u: &mut self.by_u };
        self.integrator.step_into(&mut self.end, &held, sensitivities);
        self.end.iter().chain(&self.by_x).chain(&self.by_u).all(|value| value.is_finite())
    }
}

/// Writes one stage.
struct Writer<'a> {
    config: &'a FilterConfig,
    limited: &'a [usize],
    spans: &'a [f64],
    point: Point<'a>,
}

impl Writer<'_> {
    /// The known deviation of an input whose box is a point, scaled; `None` for a free one.
    fn known(&self, period: usize, i: usize) -> Option<f64> {
        let (lo, hi) = self.point.reach.bounds(period, i);
        let span = self.config.mv_span[i];
        (hi - lo <= POINT_SPANS * span).then(|| (lo - self.point.trajectory.u_at(period)[i]) / span)
    }

    fn dynamics(&self, k: usize, stage: &mut StageMut<'_>) {
        let nx = self.spans.len();
        let nz = nx + self.config.mv_span.len();
        let Stage { a, b, defect, .. } = self.point.trajectory.stage(k);
        for (to, from) in stage.a.chunks_exact_mut(nz).zip(a.chunks_exact(nx)) {
            to[..nx].copy_from_slice(from);
            to[nx..].fill(0.0);
        }
        stage.c[..nx].copy_from_slice(defect);
        stage.a[nx * nz..].fill(0.0);
        stage.b.fill(0.0);
        for (i, by_u) in b.chunks_exact(nx).enumerate() {
            let known = self.known(k, i);
            stage.c[nx + i] = known.unwrap_or(0.0);
            if let Some(known) = known {
                stage.c.iter_mut().zip(by_u).for_each(|(c, b)| *c += b * known);
                continue;
            }
            for column in [&mut stage.a[(nx + i) * nz..], &mut stage.b[i * nz..]] {
                column[..nx].copy_from_slice(by_u);
                column[nx + i] = 1.0;
            }
        }
    }

    /// Costs and bounds of the moves of period k.
    fn moves(&self, k: usize, stage: &mut StageMut<'_>) {
        let nu = self.config.mv_span.len();
        stage.r_mat.fill(0.0);
        for (i, span) in self.config.mv_span.iter().enumerate() {
            let free = self.known(k, i).is_none();
            let planned = self.point.trajectory.move_at(k, i) / span;
            let most = self.point.input.du_max[i] / span;
            stage.r_mat[i + i * nu] = if free { 2.0 * MOVE_WEIGHT } else { 1.0 };
            stage.r[i] = if free { 2.0 * MOVE_WEIGHT * planned } else { 0.0 };
            stage.lo[i] = if free { lower(-most - planned) } else { f64::NEG_INFINITY };
            stage.hi[i] = if free { upper(most - planned) } else { f64::INFINITY };
        }
    }

    /// The squared distance of the first input from the proposal.
    fn distance(&self, stage: &mut StageMut<'_>) {
        let (nx, nz) = (self.spans.len(), stage.q.len());
        for (i, span) in self.config.mv_span.iter().enumerate() {
            stage.q_mat[(nx + i) * (nz + 1)] = 2.0;
            stage.q[nx + i] = 2.0 * (self.point.trajectory.u_at(0)[i] - self.point.wanted[i]) / span;
        }
    }

    /// Bounds of the inputs in force at the end of `period`, and of the limited CVs there.
    fn limits(&self, period: usize, stage: &mut StageMut<'_>) {
        let (nx, nu, ncv) = (self.spans.len(), self.config.mv_span.len(), self.config.cv.len());
        let rows = self.limited.len() + nx;
        for (i, span) in self.config.mv_span.iter().enumerate() {
            let free = self.known(period, i).is_none();
            let (lo, hi) = self.point.reach.bounds(period, i);
            let u = self.point.trajectory.u_at(period)[i];
            stage.lo[nu + i] = if free { lower((lo - u) / span) } else { f64::NEG_INFINITY };
            stage.hi[nu + i] = if free { upper((hi - u) / span) } else { f64::INFINITY };
        }
        stage.g.fill(0.0);
        stage.lo[2 * nu..].fill(f64::NEG_INFINITY);
        stage.hi[2 * nu..].fill(f64::INFINITY);
        let Stage { c, y, .. } = self.point.trajectory.stage(period);
        for (row, cv) in self.limited.iter().enumerate() {
            let limits = &self.config.cv[*cv];
            let y = y[*cv] + self.point.input.d[*cv];
            stage.lo[2 * nu + row] = lower((limits.lo + limits.margin - y) / limits.span);
            stage.hi[2 * nu + row] = upper((limits.hi - limits.margin - y) / limits.span);
            for j in 0..nx {
                stage.g[row + j * rows] = c[*cv + j * ncv];
            }
        }
    }

    /// The end at rest: `x_N` one period on is `x_N`. `ahead` is one period from the trajectory's end, and its
    /// derivatives.
    fn rest(&self, stage: &mut StageMut<'_>, (end, by_x, by_u): (&[f64], &[f64], &[f64])) {
        let (nx, nu, limited) = (self.spans.len(), self.config.mv_span.len(), self.limited.len());
        let rows = limited + nx;
        let last = self.point.trajectory.x_at(self.config.horizon);
        for (i, span) in self.spans.iter().enumerate() {
            let row = limited + i;
            let motion = (end[i] - last[i]) / span;
            stage.lo[2 * nu + row] = -motion;
            stage.hi[2 * nu + row] = -motion;
            for j in 0..nx {
                let identity = if i == j { 1.0 } else { 0.0 };
                stage.g[row + j * rows] = by_x[i + j * nx] * self.spans[j] / span - identity;
            }
            for j in 0..nu {
                stage.g[row + (nx + j) * rows] = by_u[i + j * nx] * self.config.mv_span[j] / span;
            }
        }
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
