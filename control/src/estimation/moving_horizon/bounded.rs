//! The window as a quadratic programme, for when a bound is active.
//!
//! In scaled deviations `ξ_k = (z_k - z̄_k) / σ` and noises `ω_k = w_k / √q`:
//!
//! ```text
//! min  ½ (z_0 - m_0)ᵀ P_0⁻¹ (z_0 - m_0) + Σ_k ½ ω_kᵀ ω_k + Σ_{k≥1} Σ_i ½ (y_i - h_i(z̄_k) - H_i σ ξ_k)² / r_i
//! s.t. ξ_{k+1} = σ⁻¹ F_k σ ξ_k + σ⁻¹ √q ω_k + σ⁻¹ (Φ(z̄_k) - z̄_{k+1}),   lo ≤ z̄_k + σ ξ_k ≤ hi
//! ```
//!
//! with `ξ_0` free. A window that is not full yet is padded with stages that only carry ξ on.

#![allow(clippy::indexing_slicing, reason = "a numeric kernel: every length is set at construction")]
#![allow(clippy::needless_range_loop, reason = "matrix formulas read best by their indices")]

use signals::SolveStatus;

use super::window::{Stage, Window};
use crate::estimation::belief::{MAX_Z, Square};
use crate::estimation::system::System;
use crate::qp::{Initial, OcpDims, OcpQp, OcpSolver};

/// Smallest standard deviation of the arrival cost, in σ.
const ARRIVAL_SD_MIN: f64 = 1e-7;
/// Part of σ by which a bound may be passed without counting.
const SLACK: f64 = 1e-9;

/// The bounds of z, and the solver of the programme.
#[derive(Debug)]
pub(super) struct Bounded {
    qp: OcpQp,
    solver: Box<dyn OcpSolver>,
    boxed: Vec<usize>,
    lo: Vec<f64>,
    hi: Vec<f64>,
    scale: Vec<f64>,
    factor: Box<Square>,
}

impl Bounded {
    /// Bounds `lo`, `hi` (NZ, infinite for none) on a window of `horizon` periods.
    pub(super) fn new(
        bounds: (&[f64], &[f64]),
        scale: &[f64],
        horizon: usize,
        make: &dyn Fn(&OcpDims) -> Box<dyn OcpSolver>,
    ) -> Self {
        let (lo, hi) = bounds;
        let n = scale.len();
        let boxed: Vec<_> = (0..n).filter(|j| lo[*j].is_finite() || hi[*j].is_finite()).collect();
        let soft = vec![None; n + boxed.len()];
        let dims = OcpDims { nx: n, nu: n, boxed: boxed.clone(), rows: 0, horizon, initial: Initial::Free, soft };
        Self {
            solver: make(&dims),
            qp: OcpQp::new(dims),
            boxed,
            lo: lo.to_vec(),
            hi: hi.to_vec(),
            scale: scale.to_vec(),
            factor: Box::new([[0.0; MAX_Z]; MAX_Z]),
        }
    }

    /// Whether the smoothed trajectory of the window passes a bound.
    pub(super) fn is_passed(&self, window: &Window) -> bool {
        (0..=window.len).any(|k| {
            let z = &window.stage(k).smoothed;
            self.boxed.iter().any(|j| {
                let slack = SLACK * self.scale[*j];
                !(self.lo[*j] - slack..=self.hi[*j] + slack).contains(&z[*j])
            })
        })
    }

    /// Holds the smoothed trajectory within the bounds, element by element.
    pub(super) fn clip(&self, window: &mut Window) {
        for k in 0..=window.len {
            let z = &mut window.stage_mut(k).smoothed;
            for j in &self.boxed {
                z[*j] = z[*j].max(self.lo[*j]).min(self.hi[*j]);
            }
        }
    }

    /// Solves the programme at the window's trajectory; on `Solved` the smoothed trajectory is its solution.
    pub(super) fn solve(&mut self, window: &mut Window, system: &System, late: &dyn Fn() -> bool) -> SolveStatus {
        self.write(window, system);
        self.solver.reset();
        self.solver.prepare(&self.qp);
        let ending = self.solver.solve(&self.qp, late);
        if ending.status == SolveStatus::Solved {
            let n = self.scale.len();
            let x = &self.solver.solution().x;
            for k in 0..=window.len {
                let stage = window.stage_mut(k);
                for j in 0..n {
                    stage.smoothed[j] = stage.z[j] + self.scale[j] * x[k * n + j];
                }
            }
            // What the solver's tolerance leaves beyond a bound.
            self.clip(window);
        }
        ending.status
    }

    #[cfg(test)]
    pub(super) fn programme(&self) -> (&OcpQp, &dyn OcpSolver) {
        (&self.qp, &*self.solver)
    }

    /// Writes the programme of the window.
    pub(super) fn write(&mut self, window: &Window, system: &System) {
        let horizon = self.qp.dims().horizon;
        for k in 0..=horizon {
            self.write_cost(k, window.stage(k.min(window.len)), k <= window.len, system);
            if k < horizon {
                let next = (k < window.len).then(|| window.stage(k + 1));
                self.write_dynamics(k, next);
            }
        }
        self.write_arrival(window.stage(0));
    }

    /// Bounds and rows of stage k; none if it is padding.
    fn write_cost(&mut self, k: usize, stage: &Stage, there: bool, system: &System) {
        let (n, scale) = (self.scale.len(), &self.scale);
        let out = self.qp.stage_mut(k);
        out.q_mat.fill(0.0);
        out.q.fill(0.0);
        for (at, j) in self.boxed.iter().enumerate() {
            out.lo[n + at] = if there { (self.lo[*j] - stage.z[*j]) / scale[*j] } else { f64::NEG_INFINITY };
            out.hi[n + at] = if there { (self.hi[*j] - stage.z[*j]) / scale[*j] } else { f64::INFINITY };
        }
        if k == 0 || !there {
            return;
        }
        for (i, (y, r)) in stage.y.iter().zip(system.r()).enumerate() {
            if !y.is_finite() {
                continue;
            }
            let (h, miss) = (&stage.h[i], y - stage.y_bar[i]);
            for a in 0..n {
                let ha = h[a] * scale[a] / r;
                out.q[a] -= ha * miss;
                for b in 0..n {
                    out.q_mat[a + b * n] += ha * h[b] * scale[b];
                }
            }
        }
    }

    /// The period k → k+1.
    fn write_dynamics(&mut self, k: usize, next: Option<&Stage>) {
        let (n, scale) = (self.scale.len(), &self.scale);
        let out = self.qp.stage_mut(k);
        out.a.fill(0.0);
        out.b.fill(0.0);
        out.c.fill(0.0);
        out.r_mat.fill(0.0);
        for j in 0..n {
            out.a[j + j * n] = 1.0;
            out.r_mat[j + j * n] = 1.0;
        }
        let Some(next) = next else { return };
        let nx = next.belief.x().len();
        for (column, f) in next.upper.chunks_exact(nx).enumerate() {
            for (row, f) in f.iter().enumerate() {
                out.a[row + column * n] = f * scale[column] / scale[row];
            }
        }
        for j in 0..n {
            out.b[j + j * n] = next.q[j].sqrt() / scale[j];
            out.c[j] = (next.end[j] - next.z[j]) / scale[j];
        }
    }

    /// The arrival cost: `P_0⁻¹` by a Cholesky factor whose pivots have a floor.
    fn write_arrival(&mut self, stage: &Stage) {
        let (n, scale) = (self.scale.len(), &self.scale);
        let l = &mut self.factor;
        for j in 0..n {
            for i in j..n {
                let p = stage.belief.covariance(i, j) / (scale[i] * scale[j]);
                let rest = p - (0..j).map(|m| l[i][m] * l[j][m]).sum::<f64>();
                l[i][j] = if i == j { rest.max(0.0).sqrt().max(ARRIVAL_SD_MIN) } else { rest / l[j][j] };
            }
        }
        // The inverse factor, over the upper triangle: l[j][i] holds element (i, j) of L⁻¹, i > j.
        for j in 0..n {
            for i in j + 1..n {
                let diagonal = |m: usize, l: &Square| if m == j { 1.0 / l[j][j] } else { l[j][m] };
                let sum: f64 = (j..i).map(|m| l[i][m] * diagonal(m, l)).sum();
                l[j][i] = -sum / l[i][i];
            }
        }
        let inverse = |i: usize, j: usize| if i == j { 1.0 / l[i][i] } else { l[j][i] };
        let out = self.qp.stage_mut(0);
        for a in 0..n {
            for b in 0..n {
                let value: f64 = (a.max(b)..n).map(|m| inverse(m, a) * inverse(m, b)).sum();
                out.q_mat[a + b * n] = value;
                out.q[a] -= value * (stage.belief.mean()[b] - stage.z[b]) / scale[b];
            }
        }
    }
}
