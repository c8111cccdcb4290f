//! The costates of a simulated point in closed-loop coordinates, and the check that it is optimal.
//!
//! Swept with A' alone, costates of an unstable plant grow without bound, and rounding with them. So only what the
//! multipliers push is swept, along the closed loop, and added to the feedback's `P x + p`. The result is then held
//! against the programme's own matrices, stage by stage: whatever is wrong in a factor shows there.
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: every slice has a length set at construction")]

use super::closed_loop::{Feedback, Mismatch, block, subtract_product};
use super::lanes::largest;
use crate::qp::Initial;
use crate::qp::riccati::kernel::{self, Shape};

impl<S: Shape> Feedback<S> {
    /// [`super::closed_loop::ClosedLoop::costates`].
    pub(super) fn check(&mut self, pushes: &[f64]) -> Mismatch {
        let (nx, nc) = (self.shape.nx(), pushes.len() / (self.data.horizon + 1));
        let mut mismatch = Mismatch { dynamics: 0.0, gradient: 0.0 };
        self.psi.fill(0.0);
        self.pushed = false;
        for k in (0..=self.data.horizon).rev() {
            self.costate(k, &pushes[block(k, nc)]);
            let (dynamics, gradient) = self.check_stage(k, &pushes[block(k, nc)]);
            mismatch.dynamics = mismatch.dynamics.max(dynamics);
            mismatch.gradient = mismatch.gradient.max(gradient);
        }
        if !self.fixed() {
            let size = 1.0 + largest(&self.p[..nx]);
            mismatch.gradient = mismatch.gradient.max(largest(&self.pi[..nx]) / size);
        }
        mismatch
    }

    /// `π = P x + p + ψ`, where ψ is what the multipliers push, swept backwards along the closed loop: ψ of the next
    /// stage is in `psi`, and is replaced by this one's.
    #[inline(always)]
    fn costate(&mut self, k: usize, pushes: &[f64]) {
        let (nx, nu, real) = (self.shape.nx(), self.shape.nu(), self.data.nu_real);
        self.next.fill(0.0);
        self.pushed |= pushes.iter().any(|push| *push != 0.0);
        if k < self.data.horizon && self.pushed {
            self.step.fill(0.0);
            self.step[..real].copy_from_slice(&pushes[..real]);
            kernel::solve_lower(nu, &self.l[block(k, nu * nu)], &mut self.step);
            for (step, e) in self.step.iter_mut().zip(self.e[block(k, nx * nu)].chunks_exact(nx)) {
                *step += kernel::dot(e, &self.psi);
            }
            kernel::add_product(nx, &self.data.at[block(k, nx * nx)], &self.psi, &mut self.next);
            subtract_product(nx, &self.y[block(k, nx * nu)], &self.step, &mut self.next);
        }
        if self.pushed {
            self.data.push_states(k, (&self.boxed, &pushes[real..]), &mut self.next);
        }
        std::mem::swap(&mut self.psi, &mut self.next);
        if k == 0 && self.data.initial == Initial::Fixed {
            return;
        }
        let pi = &mut self.pi[block(k, nx)];
        for ((pi, p), psi) in pi.iter_mut().zip(&self.p[block(k, nx)]).zip(&self.psi) {
            *pi = p + psi;
        }
        kernel::add_product(nx, &self.p_mat[block(k, nx * nx)], &self.x[block(k, nx)], pi);
    }

    /// Errors of the dynamics and of the Lagrangian's gradient at stage `k`, by the programme's own matrices and
    /// against the size of their terms.
    #[inline(always)]
    fn check_stage(&mut self, k: usize, pushes: &[f64]) -> (f64, f64) {
        let (nx, nu, data) = (self.shape.nx(), self.shape.nu(), &self.data);
        let (x, pi, stated) = (&self.x[block(k, nx)], &self.pi[block(k, nx)], k > 0 || data.initial == Initial::Free);
        let scratch = &mut self.next;
        scratch.copy_from_slice(&data.q[block(k, nx)]);
        kernel::add_product(nx, &data.q_mat[block(k, nx * nx)], x, scratch);
        data.push_states(k, (&self.boxed, &pushes[data.nu_real..]), scratch);
        let (mut dynamics, mut gradient) = (0.0_f64, 0.0_f64);
        let mut size = 1.0 + largest(pi).max(largest(scratch));
        if k < data.horizon {
            let (u, pi_next) = (&self.u[block(k, nu)], &self.pi[block(k + 1, nx)]);
            size = size.max(largest(pi_next));
            for (i, push) in pushes[..data.nu_real].iter().enumerate() {
                let ru: f64 = data.r_mat[block(k * nu + i, nu)].iter().zip(u).map(|(r, u)| r * u).sum();
                let sx = kernel::dot(&data.st[block(k * nu + i, nx)], x);
                let bp = kernel::dot(&data.b[block(k * nu + i, nx)], pi_next);
                let scale = size + ru.abs() + bp.abs() + push.abs();
                gradient = gradient.max((ru + sx + data.r[k * nu + i] + bp + push).abs() / scale);
            }
            kernel::add_product(nx, &data.st[block(k, nx * nu)], u, scratch);
            kernel::add_product(nx, &data.at[block(k, nx * nx)], pi_next, scratch);
            let next = &self.x[block(k + 1, nx)];
            let stepped = &mut self.pb[..nx];
            stepped.copy_from_slice(&data.c[block(k, nx)]);
            kernel::add_product(nx, &data.a[block(k, nx * nx)], x, stepped);
            kernel::add_product(nx, &data.b[block(k, nx * nu)], u, stepped);
            stepped.iter_mut().zip(next).for_each(|(stepped, next)| *stepped -= next);
            dynamics = largest(stepped) / (1.0 + largest(next));
        }
        if stated {
            let costate = if k > 0 { 1.0 } else { 0.0 };
            scratch.iter_mut().zip(pi).for_each(|(g, pi)| *g -= costate * pi);
            gradient = gradient.max(largest(scratch) / size);
        }
        (dynamics, gradient)
    }
}
