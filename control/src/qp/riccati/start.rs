//! Where the iterations start.
//!
//! Cold: the minimiser without the bounds, which costs one factorisation. It keeps the dynamics, has the size of the
//! solution whatever the units, and if it keeps the bounds too it is the solution. Otherwise each distance is at least
//! a share of the room between the two sides, and the multipliers make all products equal.
//!
//! Warm: the remembered point, moved off the bounds, with products near a small one.
//!
//! Sources: Mehrotra (1992), section 7, for the cold start; Yildirim and Wright, *Warm-start strategies in
//! interior-point methods for linear programming*, SIAM J. Optim. 12 (2002).
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: every slice has a length set at construction")]

use super::RiccatiIpm;
use super::hard::Aim;
use crate::qp::{Initial, OcpQp};

/// Cold: the least distance in rooms, and the product of each pair.
const COLD: (f64, f64) = (0.05, 0.05);
/// A larger violation, in rooms, changes the start no more.
const VIOLATION_MAX: f64 = 10.0;
/// Warm, likewise.
const WARM: (f64, f64) = (0.01, 0.01);

impl RiccatiIpm {
    /// Starts without memory. True when the point is the solution already.
    pub(super) fn start_cold(&mut self, qp: &OcpQp) -> bool {
        self.z.fill(0.0);
        self.pi.fill(0.0);
        self.set_initial(qp);
        self.lq.rows(&mut self.z);
        self.bounds.start(&self.z, COLD, None);
        self.bounds.relax(0.0, None);
        let mut least = f64::NEG_INFINITY;
        // Without any weight of the bounds the Hessian may be singular; with some it is not.
        if self.step_freely() || (self.bounds.relax(1.0, None) > 0.0 && self.step_freely()) {
            self.lq.costates(&self.dz, &mut self.dpi);
            self.z.iter_mut().zip(&self.dz).for_each(|(z, dz)| *z += dz);
            self.pi.iter_mut().zip(&self.dpi).for_each(|(pi, dpi)| *pi += dpi);
            self.bounds.settle_pins();
            least = self.bounds.relax(0.0, Some(&self.z));
            if least >= 0.0 {
                self.refresh();
                if self.is_solved() {
                    return true;
                }
            }
        }
        // The further the free minimiser is out, the further from the bounds the iterations start.
        let out = 1.0 + (-least).clamp(0.0, VIOLATION_MAX);
        let cold = (COLD.0 * out, COLD.1 * out * out);
        self.bounds.start_sides(&self.z, cold, None);
        false
    }

    /// The direction to the minimiser with the bounds' present weights, without their limits.
    fn step_freely(&mut self) -> bool {
        self.refresh();
        self.bounds.weigh(&mut self.weights);
        if !self.lq.factor(&self.weights, 1.0) {
            return false;
        }
        self.direct(Aim::Affine, 1.0);
        true
    }

    /// Starts from the remembered point.
    pub(super) fn start_warm(&mut self, qp: &OcpQp) {
        let (nx, nu) = self.real;
        let Some(warm) = &self.warm else { return };
        for k in 0..=self.layout.horizon {
            let (x, u, _) = self.layout.stage_mut(&mut self.z, k);
            x[..nx].copy_from_slice(&warm.x[k * nx..(k + 1) * nx]);
            self.pi[k * self.layout.nx..][..nx].copy_from_slice(&warm.pi[k * nx..(k + 1) * nx]);
            if k < self.layout.horizon {
                u[..nu].copy_from_slice(&warm.u[k * nu..(k + 1) * nu]);
            }
        }
        self.set_initial(qp);
        self.lq.rows(&mut self.z);
        self.bounds.start(&self.z, WARM, self.warm.as_ref());
    }

    fn set_initial(&mut self, qp: &OcpQp) {
        if self.initial == Initial::Fixed {
            self.layout.stage_mut(&mut self.z, 0).0[..self.real.0].copy_from_slice(&qp.x0);
        }
    }
}
