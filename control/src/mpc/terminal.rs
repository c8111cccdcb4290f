//! The terminal cost of the linear-quadratic regulator, which makes a finite horizon act like an infinite one.
//!
//! P solves the discrete algebraic Riccati equation of the linearisation at the steady target, with the stage's weights:
//!
//! ```text
//! P = Q + AᵀPA - AᵀPB (R + BᵀPB)⁻¹ BᵀPA
//! ```
//!
//! It is not solved anew each cycle: a few steps of this recursion are taken from the last cycle's P, which is where
//! the recursion was. The cost is `(z_N - z_s)ᵀ P (z_N - z_s)` about the steady target `z_s = [x_s; u_s]`. Where there
//! is no target, the weights of the tuning stay.
//!
//! Source: Rawlings, Mayne and Diehl, *Model Predictive Control*, 2nd ed., 1.3 and 2.5.
#![allow(clippy::indexing_slicing, reason = "every dimension is counted once, at construction")]

use super::linear::solve_in_place;
use super::programme::Point;
use super::steady_target::SteadyTarget;
use crate::qp::OcpQp;

/// Steps of the recursion in the first cycle, and in each later one.
const STEPS_COLD: usize = 400;
const STEPS_WARM: usize = 4;

#[derive(Debug)]
pub(super) struct Terminal {
    nz: usize,
    nu: usize,
    warm: bool,
    /// Twice the move weights, NU.
    r_cost: Vec<f64>,
    /// The dynamics of one period at the target in z, every move free: NZ × NZ and NZ × NU.
    a: Vec<f64>,
    b: Vec<f64>,
    p: Vec<f64>,
    /// Where the target lies from the trajectory's end, in the programme's deviations; NZ.
    centre: Vec<f64>,
    /// `P A`, NZ × NZ; `P B`, NZ × NU; `R + BᵀPB`, NU × NU; `BᵀPA`, NU × NZ, and the gain.
    pa: Vec<f64>,
    pb: Vec<f64>,
    r: Vec<f64>,
    bpa: Vec<f64>,
    gain: Vec<f64>,
}

impl Terminal {
    /// For NX states and twice the move weights `r_cost` (NU).
    pub(super) fn new(nx: usize, r_cost: Vec<f64>) -> Self {
        let nu = r_cost.len();
        let nz = nx + nu;
        Self {
            nz,
            nu,
            warm: false,
            r_cost,
            a: (0..nz * nz).map(|at| if at % (nz + 1) == 0 && at >= nx * nz { 1.0 } else { 0.0 }).collect(),
            b: vec![0.0; nz * nu],
            p: vec![0.0; nz * nz],
            centre: vec![0.0; nz],
            pa: vec![0.0; nz * nz],
            pb: vec![0.0; nz * nu],
            r: vec![0.0; nu * nu],
            bpa: vec![0.0; nu * nz],
            gain: vec![0.0; nu * nz],
        }
    }

    pub(super) fn reset(&mut self) {
        self.warm = false;
    }

    /// Replaces the cost of `qp`'s last stage, the other stages being filled already. Nothing changes, and the next call
    /// starts cold, when the recursion does not stay finite (a plant that the inputs cannot steer).
    pub(super) fn apply(&mut self, qp: &mut OcpQp, point: &Point<'_>, target: &SteadyTarget) {
        let last = point.trajectory.horizon() - 1;
        if last == 0 {
            return;
        }
        let nx = self.nz - self.nu;
        let (a, b) = self.a.split_at_mut(nx * self.nz);
        point.trajectory.linearise_at((&target.x, &target.u), point.input.p, (a, b));
        self.b.copy_from_slice(b);
        if !self.warm {
            self.p.copy_from_slice(qp.q_mat(last));
        }
        for _ in 0..if self.warm { STEPS_WARM } else { STEPS_COLD } {
            self.warm = self.recur(qp.q_mat(last));
            if !self.warm {
                return;
            }
        }
        point.trajectory.deviation_from_end(&target.x, &target.u, &mut self.centre);
        self.write(qp);
    }

    /// One step of the recursion; false when a number is not finite.
    fn recur(&mut self, q: &[f64]) -> bool {
        let (nz, nu) = (self.nz, self.nu);
        let (a, b) = (&self.a, &self.b);
        multiply(&self.p, a, nz, &mut self.pa);
        multiply(&self.p, b, nz, &mut self.pb);
        transposed_multiply(b, &self.pb, nz, &mut self.r);
        transposed_multiply(b, &self.pa, nz, &mut self.bpa);
        for i in 0..nu {
            self.r[i + i * nu] += self.r_cost[i];
        }
        self.gain.copy_from_slice(&self.bpa);
        if !solve_in_place(&mut self.r, &mut self.gain, nu) {
            return false;
        }
        transposed_multiply(a, &self.pa, nz, &mut self.p);
        let mut sum = 0.0;
        for j in 0..nz {
            for i in 0..=j {
                let taken: f64 = (0..nu).map(|k| self.bpa[k + i * nu] * self.gain[k + j * nu]).sum();
                let value = 0.5 * (self.p[i + j * nz] + self.p[j + i * nz]) + q[i + j * nz] - taken;
                self.p[i + j * nz] = value;
                self.p[j + i * nz] = value;
                sum += 0.0 * value;
            }
        }
        sum == 0.0
    }

    /// `½ (z - centre)ᵀ P (z - centre)`.
    fn write(&self, qp: &mut OcpQp) {
        let horizon = qp.dims().horizon;
        let stage = qp.stage_mut(horizon);
        stage.q_mat.copy_from_slice(&self.p);
        for (q, row) in stage.q.iter_mut().zip(self.p.chunks_exact(self.nz)) {
            *q = -row.iter().zip(&self.centre).map(|(p, centre)| p * centre).sum::<f64>();
        }
    }
}

/// `out = left · right`, `left` n × n.
fn multiply(left: &[f64], right: &[f64], n: usize, out: &mut [f64]) {
    for (out, right) in out.chunks_exact_mut(n).zip(right.chunks_exact(n)) {
        out.fill(0.0);
        for (column, factor) in left.chunks_exact(n).zip(right) {
            out.iter_mut().zip(column).for_each(|(out, value)| *out = factor.mul_add(*value, *out));
        }
    }
}

/// `out = leftᵀ · right`, both n high.
fn transposed_multiply(left: &[f64], right: &[f64], n: usize, out: &mut [f64]) {
    let rows = left.len() / n;
    for (out, right) in out.chunks_exact_mut(rows).zip(right.chunks_exact(n)) {
        for (out, left) in out.iter_mut().zip(left.chunks_exact(n)) {
            *out = left.iter().zip(right).map(|(l, r)| l * r).sum();
        }
    }
}
