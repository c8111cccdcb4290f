//! The window of a moving-horizon estimator, and the sweep that solves it when no bound is active.
//!
//! Linearised at the trajectory `z̄_0 … z̄_N`, with `F_k` the Jacobian of the period k → k+1 and `H_k` that of the
//! rows:
//!
//! ```text
//! forward:   m⁻ = Φ(z̄_k) + F_k (m - z̄_k),  P⁻ = F_k P F_kᵀ + Q;   row i: ν = y_i - h_i(z̄) - H_i (m - z̄),
//!            g = P H_iᵀ,  s = H_i g + r_i,  m += g ν / s,  P -= g gᵀ / s
//! backward:  λ = 0 at N;  z_k = m_k - P_k λ;  row i, last first: λ -= H_iᵀ (ν + gᵀ λ) / s;  λ ← F_{k-1}ᵀ λ
//! ```
//!
//! This is the Riccati sweep of the programme in `bounded`: λ is its costate and `w = -Q λ` its input. No matrix is
//! inverted, so a state without noise or without doubt is no special case.
//!
//! Sources: G. J. Bierman, Fixed interval smoothing with discrete measurements, Int. J. Control 18 (1973) 65 (the
//! modified form of Bryson and Frazier); B. M. Bell, The iterated Kalman smoother as a Gauss-Newton method, SIAM J.
//! Optim. 4 (1994) 626.

#![allow(
    clippy::indexing_slicing,
    reason = "a numeric kernel: every length is set at construction, or checked by admit"
)]

use crate::estimation::belief::{Belief, MAX_Z, Row, Square, dot};
use crate::estimation::filter::{Correction, Outcome, Period};
use crate::estimation::system::System;

/// What one measured row did in the forward sweep.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowUpdate {
    /// `P Hᵀ` before it.
    g: Row,
    /// Variance of the innovation; 0: the row was missing.
    s: f64,
    nu: f64,
}

/// One instant of the window, and the period that led to it.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    /// Where the model is linearised, and after the sweep the smoothed z.
    pub(super) z: Row,
    pub(super) smoothed: Row,
    /// What is believed of it given the measurements up to it.
    pub(super) belief: Belief,
    pub(super) u: Vec<f64>,
    pub(super) acting: Vec<f64>,
    pub(super) now: Vec<f64>,
    pub(super) y: Vec<f64>,
    /// `Φ(z̄)` of the stage before, the Jacobian's upper rows, and the variances that were added.
    pub(super) end: Row,
    pub(super) upper: Vec<f64>,
    pub(super) q: Vec<f64>,
    /// The rows at `z`, their Jacobian, and what they did.
    pub(super) y_bar: Vec<f64>,
    pub(super) h: Vec<Row>,
    updates: Vec<RowUpdate>,
}

/// The stages of the window, in a ring; the first bears the arrival cost.
#[derive(Clone, Debug)]
pub(super) struct Window {
    ring: Vec<Stage>,
    first: usize,
    /// Periods in the window now, at most `ring.len() - 1`.
    pub(super) len: usize,
    /// The newest stage has no point to linearise at yet but its prediction.
    fresh: bool,
    n: usize,
    work: Belief,
    square: Box<Square>,
    pub(super) whitened: Vec<f64>,
}

impl Window {
    /// A window of at most `horizon` periods that begins at `belief`.
    pub(super) fn new(system: &System, horizon: usize, belief: &Belief) -> Self {
        let lengths = system.lengths();
        let ((nx, n), rows) = (system.shape(), lengths.y);
        let stage = Stage {
            z: [0.0; MAX_Z],
            smoothed: [0.0; MAX_Z],
            belief: *belief,
            u: vec![0.0; lengths.u],
            acting: vec![0.0; lengths.p],
            now: vec![0.0; lengths.p],
            y: vec![f64::NAN; rows],
            end: [0.0; MAX_Z],
            upper: vec![0.0; nx * system.drivers()],
            q: vec![0.0; n],
            y_bar: vec![0.0; rows],
            h: vec![[0.0; MAX_Z]; rows],
            updates: vec![RowUpdate { g: [0.0; MAX_Z], s: 0.0, nu: 0.0 }; rows],
        };
        let mut window = Self {
            ring: vec![stage; horizon + 1],
            first: 0,
            len: 0,
            fresh: false,
            n,
            work: *belief,
            square: Box::new([[0.0; MAX_Z]; MAX_Z]),
            whitened: vec![0.0; rows],
        };
        window.begin(belief);
        window
    }

    /// Begins anew.
    pub(super) fn begin(&mut self, belief: &Belief) {
        (self.first, self.len, self.fresh) = (0, 0, false);
        let (n, stage) = (self.n, &mut self.ring[0]);
        stage.belief.copy_from(belief);
        stage.z[..n].copy_from_slice(belief.mean());
        stage.smoothed = stage.z;
    }

    fn at(&self, k: usize) -> usize {
        (self.first + k) % self.ring.len()
    }

    pub(super) fn stage(&self, k: usize) -> &Stage {
        &self.ring[self.at(k)]
    }

    pub(super) fn stage_mut(&mut self, k: usize) -> &mut Stage {
        let at = self.at(k);
        &mut self.ring[at]
    }

    /// Takes in one period. A full window drops its first; what was believed of the second stage, given all before and
    /// linearised where it was last, is the new arrival cost.
    pub(super) fn push(&mut self, period: &Period<'_>) {
        if self.len + 1 == self.ring.len() {
            self.first = self.at(1);
        } else {
            self.len += 1;
        }
        let stage = self.stage_mut(self.len);
        stage.u.copy_from_slice(period.u);
        stage.acting.copy_from_slice(period.acting);
        stage.now.copy_from_slice(period.now);
        stage.y.copy_from_slice(period.y);
        self.fresh = true;
    }

    /// The forward sweep; `None` when an innovation has no positive variance. The correction is the newest period's.
    pub(super) fn forward(&mut self, system: &mut System) -> Option<Correction> {
        let n = self.n;
        let mut newest = Correction::none(Outcome::Predicted);
        let mut from = self.ring[self.first].z;
        self.work.copy_from(&self.ring[self.first].belief);
        for k in 1..=self.len {
            let at = self.at(k);
            let stage = &mut self.ring[at];
            stage.end[..n].copy_from_slice(&from[..n]);
            let period = Period { u: &stage.u, acting: &stage.acting, now: &stage.now, y: &stage.y };
            system.guarded_q(&self.work, &mut stage.q);
            system.advance_with_jacobian(&mut stage.end[..n], &period, &mut stage.upper);
            if self.fresh && k == self.len {
                stage.z = stage.end;
                self.fresh = false;
            }
            predict_mean(&mut self.work, &from, stage);
            self.work.predict(&stage.upper, &stage.q, &mut self.square);
            let measured = stage.y.iter().any(|y| y.is_finite());
            if measured {
                system.predict_rows(&stage.z[..n], &stage.now, &mut stage.y_bar);
                system.row_jacobian(&stage.z[..n], &stage.now, &mut stage.h);
            }
            newest = Correction::none(Outcome::Predicted);
            for i in 0..stage.y.len() {
                let update = &mut stage.updates[i];
                update.s = 0.0;
                self.whitened[i] = 0.0;
                if stage.y[i].is_finite() {
                    let h = &stage.h[i];
                    let moves = self.work.mean().iter().zip(&stage.z);
                    let moved: f64 = h.iter().zip(moves).map(|(h, (m, z))| h * (m - z)).sum();
                    update.nu = stage.y[i] - stage.y_bar[i] - moved;
                    update.g = self.work.direction(h);
                    update.s = self.work.correct(h, update.nu, system.r()[i])?;
                    self.whitened[i] = update.nu / update.s.sqrt();
                    newest.add(update.nu * update.nu / update.s, update.s);
                }
            }
            stage.belief.copy_from(&self.work);
            from = stage.z;
        }
        self.work.factor(&mut self.square).then_some(newest)
    }

    /// The backward sweep: the smoothed z of every stage.
    pub(super) fn backward(&mut self) {
        let n = self.n;
        let mut lambda = [0.0; MAX_Z];
        for k in (0..=self.len).rev() {
            let at = self.at(k);
            let stage = &mut self.ring[at];
            for j in 0..n {
                stage.smoothed[j] = stage.belief.mean()[j] - dot(stage.belief.row(j), &lambda);
            }
            if k == 0 {
                break;
            }
            for (h, update) in stage.h.iter().zip(&stage.updates).rev().filter(|(_, update)| update.s > 0.0) {
                let share = (update.nu + dot(&update.g[..n], &lambda)) / update.s;
                lambda[..n].iter_mut().zip(h).for_each(|(l, h)| *l -= h * share);
            }
            let nx = stage.belief.x().len();
            let mut before = lambda;
            before[..nx].fill(0.0);
            for (before, column) in before.iter_mut().zip(stage.upper.chunks_exact(nx)) {
                *before += dot(column, &lambda);
            }
            lambda = before;
        }
    }

    /// Makes the smoothed trajectory the one to linearise at; gives its largest move in units of `scale` (NZ).
    pub(super) fn accept(&mut self, scale: &[f64]) -> f64 {
        let mut largest = 0.0_f64;
        for k in 0..=self.len {
            let at = self.at(k);
            let stage = &mut self.ring[at];
            for ((z, to), scale) in stage.z.iter_mut().zip(&stage.smoothed).zip(scale) {
                let step = ((to - *z) / scale).abs();
                largest = if step.is_finite() { largest.max(step) } else { f64::INFINITY };
                *z = *to;
            }
        }
        largest
    }
}

/// `m⁻ = Φ(z̄) + F (m - z̄)` of the stage after `from = z̄`.
fn predict_mean(belief: &mut Belief, from: &Row, stage: &Stage) {
    let (nx, n) = belief.shape();
    let mut off = [0.0; MAX_Z];
    for (off, (mean, from)) in off[..n].iter_mut().zip(belief.mean().iter().zip(from)) {
        *off = mean - from;
    }
    let mean = belief.mean_mut();
    for j in nx..n {
        mean[j] = stage.end[j] + off[j];
    }
    mean[..nx].copy_from_slice(&stage.end[..nx]);
    for (column, off) in stage.upper.chunks_exact(nx).zip(&off) {
        mean[..nx].iter_mut().zip(column).for_each(|(mean, f)| *mean += f * off);
    }
}
