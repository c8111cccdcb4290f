//! The closed-loop coordinates of an optimal-control problem, in which its Hessian is the identity.
//!
//! The Riccati recursion of the problem without bounds gives the feedback; what is left free are the deviations `w`:
//!
//! ```text
//! backward:  R + B'P⁺B = L L'     Y = (S' + A'P⁺B) L'⁻¹     E = B L'⁻¹     P = Q + A'P⁺A - Y Y'
//!            h = p⁺ + P⁺c         w₀ = L⁻¹(r + B'h)         p = q + A'h - Y w₀
//! forward:   d = w - w₀ - Y'x     u = L'⁻¹ d                x⁺ = A x + c + E d
//! objective: ½ |w|² + constant
//! ```
//!
//! A bound on `g'x_k` is a row in `w`; its coefficients, the *image*, are one sweep backwards from stage k:
//!
//! ```text
//! ψ_k = g,   image_j = E_j'ψ_{j+1},   ψ_j = A_j'ψ_{j+1} - Y_j image_j          j = k-1 … 0
//! ```
//!
//! and one on `u_k[i]` starts with `image_k = L_k⁻¹e_i`, `ψ_k = -Y_k image_k`. Nothing is condensed: the sweeps run
//! along the closed loop, so their numbers stay small for an unstable plant, whatever the horizon. A free first state
//! is one more block of unknowns, `P_0 = L L'`, `x_0 = L'⁻¹(w - L⁻¹p_0)`; it stands before the others.
//!
//! # Invariants
//! - Padding (A, B, Q, S, G zero; R one) leaves its variables at zero, exactly.
//! - The image of a row at stage k is zero behind stage k.
//!
//! Source: Rossiter, Kouvaritakis and Rice, *A numerically robust state-space approach to stable-predictive control
//! strategies*, Automatica 34 (1998), for the coordinates.
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: every slice has a length set at construction")]

use std::fmt::Debug;
use std::ops::Range;

use crate::qp::riccati::kernel::{self, Dynamic, Fixed, LANES, Shape, Terms};
use crate::qp::riccati::pack::Packed;
use crate::qp::{Initial, OcpDims, OcpQp};

/// What a row bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bounded {
    Input(usize),
    State(usize),
    Row(usize),
}

/// How far a point is from the optimality conditions that simulating it does not meet by itself, each against the size
/// of its terms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mismatch {
    pub(super) dynamics: f64,
    pub(super) gradient: f64,
}

/// The operations that the active-set method needs, for a shape that it does not see.
pub(super) trait ClosedLoop: Debug + Send {
    /// Numbers in `w`.
    fn width(&self) -> usize;
    /// Takes the numbers of a programme, all but `x0` and the bounds. True if a matrix is another one than before.
    fn pack(&mut self, qp: &OcpQp) -> bool;
    /// The recursion of the matrices. False when a pivot is not positive.
    fn factor(&mut self) -> bool;
    /// The recursion of the vectors.
    fn offset(&mut self);
    /// The states and inputs for these deviations.
    fn simulate(&mut self, x0: &[f64], w: &[f64]);
    /// The values of all bounded quantities at the simulated point, stage by stage.
    fn values(&self, values: &mut [f64]);
    /// The images of rows, one after the other in `out`; no more rows than were announced.
    fn images(&mut self, rows: &[(usize, Bounded)], out: &mut [f64]);
    /// The length of the image's last block: what a row can be moved by at the last moment.
    fn grip(&mut self, k: usize, bounded: Bounded) -> f64;
    /// The costates at the simulated point, with multipliers `pushes` (upper less lower) of all bounds, stage by stage.
    fn costates(&mut self, pushes: &[f64]) -> Mismatch;
    /// State, input and costate of stage `k`; the input is empty at the last stage.
    fn stage(&self, k: usize) -> (&[f64], &[f64], &[f64]);
}

#[derive(Debug)]
pub(super) struct Feedback<S: Shape> {
    pub(super) shape: S,
    pub(super) data: Packed,
    pub(super) boxed: Vec<usize>,
    /// P, p and P c of each stage, L, Y, E and w₀.
    pub(super) p_mat: Vec<f64>,
    pub(super) p: Vec<f64>,
    pub(super) l: Vec<f64>,
    pub(super) y: Vec<f64>,
    pub(super) e: Vec<f64>,
    pub(super) w: Vec<f64>,
    /// The factor of P_0 without its padding.
    pub(super) l_0: Vec<f64>,
    pub(super) x: Vec<f64>,
    pub(super) u: Vec<f64>,
    pub(super) pi: Vec<f64>,
    pub(super) pb: Vec<f64>,
    pub(super) ap: Vec<f64>,
    pub(super) psi: Vec<f64>,
    /// ψ of each row that is imaged.
    pub(super) psis: Vec<f64>,
    pub(super) next: Vec<f64>,
    pub(super) step: Vec<f64>,
    /// Whether a multiplier was met on the way back.
    pub(super) pushed: bool,
}

/// The numbers of block `k`, each block having `len`.
pub(super) fn block(k: usize, len: usize) -> Range<usize> {
    k * len..(k + 1) * len
}

impl<S: Shape> Feedback<S> {
    fn new(dims: &OcpDims, rows: usize, shape: S) -> Self {
        let (nx, nu, n) = (shape.nx(), shape.nu(), dims.horizon);
        let states = (n + 1) * nx;
        Self {
            shape,
            data: Packed::new(dims, nx, nu),
            boxed: dims.boxed.clone(),
            p_mat: vec![0.0; states * nx],
            p: vec![0.0; states],
            l: vec![0.0; n * nu * nu],
            y: vec![0.0; n * nx * nu],
            e: vec![0.0; n * nx * nu],
            w: vec![0.0; n * nu],
            l_0: vec![0.0; dims.nx * dims.nx],
            x: vec![0.0; states],
            u: vec![0.0; n * nu],
            pi: vec![0.0; states],
            pb: vec![0.0; nx * nu],
            ap: vec![0.0; nx * nx],
            psi: vec![0.0; nx],
            psis: vec![0.0; rows.max(1) * nx],
            next: vec![0.0; nx],
            step: vec![0.0; nu],
            pushed: false,
        }
    }

    pub(super) fn fixed(&self) -> bool {
        self.data.initial == Initial::Fixed
    }

    /// Numbers in `w` before those of stage 0.
    fn first(&self) -> usize {
        if self.fixed() { 0 } else { self.shape.nx() }
    }

    /// L, Y, E and P of stage `k`, from P of the next.
    #[inline(always)]
    fn factor_stage(&mut self, k: usize) -> bool {
        let (nx, nu) = (self.shape.nx(), self.shape.nu());
        let (xx, xu, uu) = (block(k, nx * nx), block(k, nx * nu), block(k, nu * nu));
        let data = &self.data;
        let (p, p_next) = self.p_mat[k * nx * nx..].split_at_mut(nx * nx);
        let p_next = &p_next[..nx * nx];
        let (b, bt) = (&data.b[xu.clone()], &data.bt[xu.clone()]);
        kernel::multiply(nx, p_next, bt, None, &mut self.pb);
        let l = &mut self.l[uu.clone()];
        for j in 0..nu {
            for i in j..nu {
                l[i + j * nu] =
                    data.r_mat[uu.start + i + j * nu] + kernel::dot(&b[block(i, nx)], &self.pb[block(j, nx)]);
            }
        }
        if !kernel::cholesky(nu, l) {
            return false;
        }
        let (y, e) = (&mut self.y[xu.clone()], &mut self.e[xu.clone()]);
        e.copy_from_slice(b);
        kernel::solve_right(nx, nu, l, e);
        let at = &data.at[xx.clone()];
        kernel::multiply(nx, at, p_next, None, &mut self.ap);
        kernel::multiply(nx, &self.ap, bt, Some(&data.st[xu]), y);
        kernel::solve_right(nx, nu, l, y);
        if k == 0 && data.initial == Initial::Fixed {
            return true;
        }
        self.pb.iter_mut().zip(&*y).for_each(|(minus, y)| *minus = -y);
        let outer: [(&[f64], &[f64]); 3] = [(&self.ap, at), (y, &self.pb), (&[], &[])];
        kernel::symmetric(nx, &Terms { start: &data.q_mat[xx], outer }, p);
        true
    }

    /// `image_k = E'ψ`, `ψ ← A'ψ - Y image_k` at stage `k`.
    #[inline(always)]
    fn sweep(&mut self, k: usize, row: usize, image: &mut [f64]) {
        let nx = self.shape.nx();
        let psi = &mut self.psis[block(row, nx)];
        for (image, e) in image.iter_mut().zip(self.e[block(k, nx * self.shape.nu())].chunks_exact(nx)) {
            *image = kernel::dot(e, psi);
        }
        if k > 0 || self.data.initial == Initial::Free {
            self.next.fill(0.0);
            kernel::add_product(nx, &self.data.at[block(k, nx * nx)], psi, &mut self.next);
            subtract_product(nx, &self.y[block(k, nx * self.shape.nu())], image, &mut self.next);
            psi.copy_from_slice(&self.next);
        }
    }

    /// The last block of a row's image at its own stage, and ψ there.
    fn enter(&mut self, k: usize, bounded: Bounded, (row, image): (usize, &mut [f64])) {
        let (nx, nu) = (self.shape.nx(), self.shape.nu());
        if self.start(k, bounded) {
            self.psis[block(row, nx)].copy_from_slice(&self.psi);
        } else if let Bounded::Input(i) = bounded {
            self.unit_input(k, i);
            image.copy_from_slice(&self.step);
            let psi = &mut self.psis[block(row, nx)];
            psi.fill(0.0);
            subtract_product(nx, &self.y[block(k, nx * nu)], image, psi);
        }
    }

    /// Sets `ψ` to the row that bounds a state, and tells whether it is one.
    fn start(&mut self, k: usize, bounded: Bounded) -> bool {
        let (nx, rows) = (self.shape.nx(), self.data.rows);
        self.psi.fill(0.0);
        match bounded {
            Bounded::Input(_) => return false,
            Bounded::State(i) => self.psi[self.boxed[i]] = 1.0,
            Bounded::Row(i) => self.psi.copy_from_slice(&self.data.g[k * nx * rows..][block(i, nx)]),
        }
        true
    }

    /// `L_k⁻¹ e_i` into `step`.
    fn unit_input(&mut self, k: usize, i: usize) {
        let nu = self.shape.nu();
        self.step.fill(0.0);
        self.step[i] = 1.0;
        kernel::solve_lower(nu, &self.l[block(k, nu * nu)], &mut self.step);
    }
}

/// `y -= X v`; X is NX × K.
#[inline(always)]
pub(super) fn subtract_product(nx: usize, x: &[f64], v: &[f64], y: &mut [f64]) {
    for (x, v) in x.chunks_exact(nx).zip(v) {
        for (y, x) in y.iter_mut().zip(x) {
            *y = x.mul_add(-v, *y);
        }
    }
}

impl<S: Shape> ClosedLoop for Feedback<S> {
    fn width(&self) -> usize {
        self.first() + self.data.horizon * self.shape.nu()
    }

    fn pack(&mut self, qp: &OcpQp) -> bool {
        self.data.fill(qp)
    }

    fn factor(&mut self) -> bool {
        let (nx, n) = (self.shape.nx(), self.data.horizon);
        self.p_mat[block(n, nx * nx)].copy_from_slice(&self.data.q_mat[block(n, nx * nx)]);
        for k in (0..n).rev() {
            if !self.factor_stage(k) {
                return false;
            }
        }
        let real = self.data.nx_real;
        for j in 0..real {
            self.l_0[block(j, real)].copy_from_slice(&self.p_mat[j * nx..j * nx + real]);
        }
        self.fixed() || kernel::cholesky(real, &mut self.l_0)
    }

    fn offset(&mut self) {
        let (nx, nu, n) = (self.shape.nx(), self.shape.nu(), self.data.horizon);
        let data = &self.data;
        self.p[block(n, nx)].copy_from_slice(&data.q[block(n, nx)]);
        for k in (0..n).rev() {
            let (p, p_next) = self.p[k * nx..].split_at_mut(nx);
            let h = &mut self.next;
            h.copy_from_slice(&p_next[..nx]);
            kernel::add_product(nx, &self.p_mat[block(k + 1, nx * nx)], &data.c[block(k, nx)], h);
            let w = &mut self.w[block(k, nu)];
            for (i, w) in w.iter_mut().enumerate() {
                *w = data.r[k * nu + i] + kernel::dot(&data.b[block(k * nu + i, nx)], h);
            }
            kernel::solve_lower(nu, &self.l[block(k, nu * nu)], w);
            if k > 0 || data.initial == Initial::Free {
                p.copy_from_slice(&data.q[block(k, nx)]);
                kernel::add_product(nx, &data.at[block(k, nx * nx)], h, p);
                subtract_product(nx, &self.y[block(k, nx * nu)], w, p);
            }
        }
    }

    fn simulate(&mut self, x0: &[f64], w: &[f64]) {
        let (nx, nu, first, real) = (self.shape.nx(), self.shape.nu(), self.first(), self.data.nx_real);
        if first == 0 {
            self.x[..real].copy_from_slice(&x0[..real]);
        } else {
            let x = &mut self.x[..real];
            x.copy_from_slice(&self.p[..real]);
            kernel::solve_lower(real, &self.l_0, x);
            x.iter_mut().zip(w).for_each(|(x, w)| *x = w - *x);
            kernel::solve_upper(real, &self.l_0, x);
        }
        for k in 0..self.data.horizon {
            let (x, next) = self.x[k * nx..].split_at_mut(nx);
            let next = &mut next[..nx];
            let (d, y) = (&mut self.u[block(k, nu)], &self.y[block(k, nx * nu)]);
            for (i, d) in d.iter_mut().enumerate() {
                *d = w[first + k * nu + i] - self.w[k * nu + i] - kernel::dot(&y[block(i, nx)], x);
            }
            next.copy_from_slice(&self.data.c[block(k, nx)]);
            kernel::add_product(nx, &self.data.a[block(k, nx * nx)], x, next);
            kernel::add_product(nx, &self.e[block(k, nx * nu)], d, next);
            kernel::solve_upper(nu, &self.l[block(k, nu * nu)], d);
        }
    }

    fn values(&self, values: &mut [f64]) {
        let (nx, nu, rows, n) = (self.shape.nx(), self.shape.nu(), self.data.rows, self.data.horizon);
        let real = self.data.nu_real;
        for (k, values) in values.chunks_exact_mut(real + self.boxed.len() + rows).enumerate() {
            let x = &self.x[block(k, nx)];
            let (inputs, states) = values.split_at_mut(real);
            if k < n {
                inputs.copy_from_slice(&self.u[k * nu..k * nu + real]);
            }
            let (states, general) = states.split_at_mut(self.boxed.len());
            states.iter_mut().zip(&self.boxed).for_each(|(value, i)| *value = x[*i]);
            let g = self.data.g[block(k, nx * rows)].chunks_exact(nx);
            general.iter_mut().zip(g).for_each(|(value, g)| *value = kernel::dot(g, x));
        }
    }

    fn images(&mut self, rows: &[(usize, Bounded)], out: &mut [f64]) {
        let (nu, first, real) = (self.shape.nu(), self.first(), self.data.nx_real);
        out.fill(0.0);
        if rows.is_empty() {
            return;
        }
        let width = out.len() / rows.len();
        let last = rows.iter().fold(0, |last, (k, _)| last.max(*k));
        // Stage by stage with all rows: their sweeps do not wait for one another.
        for k in (0..=last).rev() {
            for (row, ((from, bounded), image)) in rows.iter().zip(out.chunks_exact_mut(width)).enumerate() {
                let image = image.get_mut(first + k * nu..first + (k + 1) * nu).unwrap_or_default();
                if *from > k {
                    self.sweep(k, row, image);
                } else if *from == k {
                    self.enter(k, *bounded, (row, image));
                }
            }
        }
        if first > 0 {
            for (row, image) in out.chunks_exact_mut(width).enumerate() {
                image[..real].copy_from_slice(&self.psis[row * self.shape.nx()..][..real]);
                kernel::solve_lower(real, &self.l_0, &mut image[..real]);
            }
        }
    }

    fn grip(&mut self, k: usize, bounded: Bounded) -> f64 {
        let (nx, nu) = (self.shape.nx(), self.shape.nu());
        if let Bounded::Input(i) = bounded {
            self.unit_input(k, i);
        } else {
            self.start(k, bounded);
            if k == 0 {
                return 1.0;
            }
            for (step, e) in self.step.iter_mut().zip(self.e[block(k - 1, nx * nu)].chunks_exact(nx)) {
                *step = kernel::dot(e, &self.psi);
            }
        }
        self.step[..nu].iter().map(|s| s * s).sum::<f64>().sqrt()
    }

    fn costates(&mut self, pushes: &[f64]) -> Mismatch {
        self.check(pushes)
    }

    fn stage(&self, k: usize) -> (&[f64], &[f64], &[f64]) {
        let (nx, nu) = (self.shape.nx(), self.shape.nu());
        let (x, pi) = (&self.x[k * nx..][..self.data.nx_real], &self.pi[k * nx..][..self.data.nx_real]);
        let u = if k < self.data.horizon { &self.u[k * nu..][..self.data.nu_real] } else { &[] };
        (x, u, pi)
    }
}

/// For as many `rows` imaged at once: the compiled sizes that hold `dims`, or sizes that the compiler does not know.
pub(super) fn closed_loop(dims: &OcpDims, rows: usize) -> Box<dyn ClosedLoop> {
    macro_rules! table {
        ($($nx:literal: $($nu:literal)*;)*) => {$($(
            if dims.nx <= $nx && dims.nu <= $nu {
                return Box::new(Feedback::new(dims, rows, Fixed::<$nx, $nu>));
            }
        )*)*};
    }
    // Each pair costs seconds of compilation: the sizes that occur, and none between.
    table! {
        4: 1 2;
        8: 2 4;
        12: 2 4;
        20: 5;
    }
    let nx = dims.nx.next_multiple_of(LANES);
    Box::new(Feedback::new(dims, rows, Dynamic { nx, nu: dims.nu.max(1) }))
}
