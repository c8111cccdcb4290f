//! The linear-quadratic problem inside each Newton step, by the Riccati recursion.
//!
//! With weights W on states, inputs and rows (a diagonal, from the bounds), gradients g and defects d of the dynamics:
//!
//! ```text
//! min  Σ ½ dx'(Q + W_x + G'W_g G) dx + du'S dx + ½ du'(R + W_u) du + g_x'dx + g_u'du + g_g'G dx
//! s.t. dx_{k+1} = A dx_k + B du_k + d_k,   dx_0 = 0 or free
//!
//! backward:  M = R + W_u + B'P⁺B = L L'      Y = (S' + A'P⁺B) L⁻ᵀ      P = Q + W_x + G'W_g G + A'P⁺A - Y Y'
//!            h = p⁺ + P⁺d                    w = L⁻¹(g_u + B'h)       p = g_x + G'g_g + A'h - Y w
//! forward:   du = -L⁻ᵀ(Y'dx + w)             dπ = P dx + p
//! ```
//!
//! The factorisation is made once per iteration and serves predictor and corrector. The interior-point method knows it
//! as a [`Lq`]; which sizes are compiled in is decided by [`lq`].
//!
//! # Invariants
//! - P is symmetric to the bit.
//! - Padding (A, B, Q, S, G zero; R one) leaves its variables at zero, exactly.
//!
//! Source: Rao, Wright and Rawlings, *Application of interior-point methods to model predictive control*, JOTA 99
//! (1998); Frison, *Algorithms and methods for high-performance model predictive control* (2015), for the form with L.
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: every slice has a length set at construction")]
#![allow(clippy::needless_range_loop, reason = "index loops over lanes and columns are what the equations say")]

use std::fmt::Debug;

use super::kernel::{self, Dynamic, Fixed, LANES, Shape, Terms};
use super::layout::Layout;
use super::pack::Packed;
use crate::qp::{Initial, OcpDims, OcpQp};

/// The linear-quadratic problem of one programme. Vectors are in its [`Layout`]; costates and defects are (N + 1) · NX,
/// padded, the first block unused.
pub(crate) trait Lq: Debug + Send {
    /// Where things lie.
    fn layout(&self) -> Layout;
    /// Takes the numbers of a programme, all but `x0` and the bounds.
    fn pack(&mut self, qp: &OcpQp);
    /// Sets the rows of `z` to `G x`.
    fn rows(&self, z: &mut [f64]);
    /// Adds `G'` times the rows of `v` to its states, and clears the rows.
    fn fold_rows(&self, v: &mut [f64]);
    /// The objective's part `½ z'Hz + g'z` without soft bounds.
    fn cost(&mut self, z: &[f64]) -> f64;
    /// `gradient` = that of the objective; of the dynamics `A'π⁺ - π` and `B'π⁺` are added when `pi` is given.
    fn gradient(&self, z: &[f64], pi: Option<&[f64]>, gradient: &mut [f64]);
    /// `defects` = `A x + B u + c - x⁺`, remembered too for [`Self::factor`].
    fn defects(&mut self, z: &[f64]) -> &[f64];
    /// Factorises for these weights, with `share` times the remembered defects. False when a pivot is not positive.
    fn factor(&mut self, weights: &[f64], share: f64) -> bool;
    /// The minimiser for these gradients.
    fn solve(&mut self, gradient: &[f64], dz: &mut [f64]);
    /// The costates that belong to the last [`Self::solve`].
    fn costates(&self, dz: &[f64], dpi: &mut [f64]);
    /// The matrices of stage `k`, for certificates.
    fn packed(&self) -> &Packed;
}

/// Factors and vectors of the recursion, for one shape.
#[derive(Debug)]
pub(crate) struct Riccati<S: Shape> {
    shape: S,
    data: Packed,
    defects: Vec<f64>,
    share: f64,
    p_mat: Vec<f64>,
    y: Vec<f64>,
    l: Vec<f64>,
    l_0: Vec<f64>,
    p: Vec<f64>,
    w: Vec<f64>,
    pd: Vec<f64>,
    ap: Vec<f64>,
    minus_y: Vec<f64>,
    weighted_g: Vec<f64>,
    h: Vec<f64>,
}

impl<S: Shape> Riccati<S> {
    pub(crate) fn new(dims: &OcpDims, shape: S) -> Self {
        let (nx, nu, n) = (shape.nx(), shape.nu(), dims.horizon);
        let states = (n + 1) * nx;
        Self {
            shape,
            data: Packed::new(dims, nx, nu),
            defects: vec![0.0; states],
            share: 0.0,
            p_mat: vec![0.0; states * nx],
            y: vec![0.0; n * nx * nu],
            l: vec![0.0; n * nu * nu],
            l_0: vec![0.0; dims.nx * dims.nx],
            p: vec![0.0; states],
            w: vec![0.0; n * nu],
            pd: vec![0.0; states],
            ap: vec![0.0; nx * nx],
            minus_y: vec![0.0; nx * nu],
            weighted_g: vec![0.0; nx * dims.rows],
            h: vec![0.0; nx],
        }
    }

    fn fixed(&self) -> bool {
        self.data.initial == Initial::Fixed
    }

    /// P of stage `k` from the product A'P, Y and the weights; at the last stage from the weights alone.
    #[inline(always)]
    fn close_stage(&mut self, k: usize, weights: &[f64]) {
        let (nx, nu, rows) = (self.shape.nx(), self.shape.nu(), self.data.rows);
        let (w_x, _, w_g) = self.data.layout().stage(weights, k);
        let g = &self.data.g[k * nx * rows..(k + 1) * nx * rows];
        for ((out, g), w) in self.weighted_g.chunks_exact_mut(nx).zip(g.chunks_exact(nx)).zip(w_g) {
            out.iter_mut().zip(g).for_each(|(out, g)| *out = g * w);
        }
        let inner = k < self.data.horizon;
        let nothing: (&[f64], &[f64]) = (&[], &[]);
        let (ap_a, y) = if inner {
            let at = &self.data.at[k * nx * nx..(k + 1) * nx * nx];
            ((&self.ap[..], at), (&self.y[k * nx * nu..(k + 1) * nx * nu], &self.minus_y[..]))
        } else {
            (nothing, nothing)
        };
        let start = &self.data.q_mat[k * nx * nx..(k + 1) * nx * nx];
        let terms = Terms { start, outer: [ap_a, y, (g, &self.weighted_g)] };
        let out = &mut self.p_mat[k * nx * nx..(k + 1) * nx * nx];
        kernel::symmetric(nx, &terms, out);
        for j in 0..nx {
            out[j + j * nx] += w_x[j];
        }
    }

    /// L, Y and A'P of stage `k`, from P of the next. At a fixed first stage only L is needed.
    #[inline(always)]
    fn open_stage(&mut self, k: usize, weights: &[f64]) -> bool {
        let (nx, nu, fixed) = (self.shape.nx(), self.shape.nu(), self.fixed());
        let (_, w_u, _) = self.data.layout().stage(weights, k);
        let p_next = &self.p_mat[(k + 1) * nx * nx..(k + 2) * nx * nx];
        let b = &self.data.b[k * nx * nu..(k + 1) * nx * nu];
        let bt = &self.data.bt[k * nx * nu..(k + 1) * nx * nu];
        // `minus_y` serves as the place of P B first.
        kernel::multiply(nx, p_next, bt, None, &mut self.minus_y[..nx * nu]);
        let l = &mut self.l[k * nu * nu..(k + 1) * nu * nu];
        let r = &self.data.r_mat[k * nu * nu..(k + 1) * nu * nu];
        for j in 0..nu {
            let pb = &self.minus_y[j * nx..(j + 1) * nx];
            for i in j..nu {
                l[i + j * nu] = r[i + j * nu] + kernel::dot(&b[i * nx..(i + 1) * nx], pb);
            }
            l[j + j * nu] += w_u[j];
        }
        if !kernel::cholesky(nu, l) {
            return false;
        }
        if k == 0 && fixed {
            return true;
        }
        let (at, st) = (&self.data.at[k * nx * nx..(k + 1) * nx * nx], &self.data.st[k * nx * nu..(k + 1) * nx * nu]);
        kernel::multiply(nx, at, p_next, None, &mut self.ap[..nx * nx]);
        let y = &mut self.y[k * nx * nu..(k + 1) * nx * nu];
        kernel::multiply(nx, &self.ap[..nx * nx], bt, Some(st), y);
        kernel::solve_right(nx, nu, l, y);
        self.minus_y.iter_mut().zip(&*y).for_each(|(minus, y)| *minus = -y);
        true
    }

    /// The factor of P_0 without its padding.
    fn factor_first(&mut self) -> bool {
        let (nx, real) = (self.shape.nx(), self.data.nx_real);
        for j in 0..real {
            self.l_0[j * real..(j + 1) * real].copy_from_slice(&self.p_mat[j * nx..j * nx + real]);
        }
        kernel::cholesky(real, &mut self.l_0)
    }
}

impl<S: Shape> Lq for Riccati<S> {
    fn layout(&self) -> Layout {
        self.data.layout()
    }

    fn pack(&mut self, qp: &OcpQp) {
        self.data.fill(qp);
    }

    fn packed(&self) -> &Packed {
        &self.data
    }

    fn rows(&self, z: &mut [f64]) {
        let (nx, rows, layout) = (self.shape.nx(), self.data.rows, self.data.layout());
        for k in 0..=self.data.horizon {
            let (x, _, out) = layout.stage_mut(z, k);
            let g = self.data.g[k * nx * rows..(k + 1) * nx * rows].chunks_exact(nx);
            out.iter_mut().zip(g).for_each(|(out, g)| *out = kernel::dot(g, x));
        }
    }

    fn fold_rows(&self, v: &mut [f64]) {
        let (nx, rows, layout) = (self.shape.nx(), self.data.rows, self.data.layout());
        for k in 0..=self.data.horizon {
            let (x, _, from) = layout.stage_mut(v, k);
            kernel::add_product(nx, &self.data.g[k * nx * rows..(k + 1) * nx * rows], from, x);
            from.fill(0.0);
        }
    }

    fn cost(&mut self, z: &[f64]) -> f64 {
        let (nx, nu, layout) = (self.shape.nx(), self.shape.nu(), self.data.layout());
        let mut cost = 0.0;
        for k in 0..=self.data.horizon {
            let (x, u, _) = layout.stage(z, k);
            self.h.fill(0.0);
            kernel::add_product(nx, &self.data.q_mat[k * nx * nx..(k + 1) * nx * nx], x, &mut self.h);
            cost += 0.5 * kernel::dot(&self.h, x) + kernel::dot(&self.data.q[k * nx..(k + 1) * nx], x);
            if k < self.data.horizon {
                for i in 0..nu {
                    let st = &self.data.st[(k * nu + i) * nx..(k * nu + i + 1) * nx];
                    let r = &self.data.r_mat[(k * nu + i) * nu..(k * nu + i + 1) * nu];
                    let ru: f64 = r.iter().zip(u).map(|(r, u)| r * u).sum();
                    cost += u[i] * (kernel::dot(st, x) + 0.5 * ru + self.data.r[k * nu + i]);
                }
            }
        }
        cost
    }

    fn gradient(&self, z: &[f64], pi: Option<&[f64]>, gradient: &mut [f64]) {
        let (nx, nu, layout) = (self.shape.nx(), self.shape.nu(), self.data.layout());
        let data = &self.data;
        for k in 0..=data.horizon {
            let (x, u, _) = layout.stage(z, k);
            let (gx, gu, g_rows) = layout.stage_mut(gradient, k);
            g_rows.fill(0.0);
            gx.copy_from_slice(&data.q[k * nx..(k + 1) * nx]);
            kernel::add_product(nx, &data.q_mat[k * nx * nx..(k + 1) * nx * nx], x, gx);
            if let Some(pi) = pi.filter(|_| k > 0 || !self.fixed()) {
                gx.iter_mut().zip(&pi[k * nx..(k + 1) * nx]).for_each(|(g, pi)| *g -= if k > 0 { *pi } else { 0.0 });
            }
            if k == data.horizon {
                gu.fill(0.0);
                continue;
            }
            kernel::add_product(nx, &data.st[k * nx * nu..(k + 1) * nx * nu], u, gx);
            gu.copy_from_slice(&data.r[k * nu..(k + 1) * nu]);
            for i in 0..nu {
                let r = &data.r_mat[(k * nu + i) * nu..(k * nu + i + 1) * nu];
                gu[i] += r.iter().zip(u).map(|(r, u)| r * u).sum::<f64>();
                gu[i] += kernel::dot(&data.st[(k * nu + i) * nx..(k * nu + i + 1) * nx], x);
            }
            if let Some(pi) = pi {
                let pi = &pi[(k + 1) * nx..(k + 2) * nx];
                kernel::add_product(nx, &data.at[k * nx * nx..(k + 1) * nx * nx], pi, gx);
                for i in 0..nu {
                    gu[i] += kernel::dot(&data.b[(k * nu + i) * nx..(k * nu + i + 1) * nx], pi);
                }
            }
        }
        if self.fixed() {
            layout.stage_mut(gradient, 0).0.fill(0.0);
        }
    }

    fn defects(&mut self, z: &[f64]) -> &[f64] {
        let (nx, nu, layout) = (self.shape.nx(), self.shape.nu(), self.data.layout());
        for k in 0..self.data.horizon {
            let ((x, u, _), (next, ..)) = (layout.stage(z, k), layout.stage(z, k + 1));
            let d = &mut self.defects[(k + 1) * nx..(k + 2) * nx];
            for ((d, c), next) in d.iter_mut().zip(&self.data.c[k * nx..(k + 1) * nx]).zip(next) {
                *d = c - next;
            }
            kernel::add_product(nx, &self.data.a[k * nx * nx..(k + 1) * nx * nx], x, d);
            kernel::add_product(nx, &self.data.b[k * nx * nu..(k + 1) * nx * nu], u, d);
        }
        &self.defects
    }

    fn factor(&mut self, weights: &[f64], share: f64) -> bool {
        let (nx, n) = (self.shape.nx(), self.data.horizon);
        self.share = share;
        self.close_stage(n, weights);
        for k in (0..n).rev() {
            if share != 0.0 {
                let pd = &mut self.pd[(k + 1) * nx..(k + 2) * nx];
                pd.fill(0.0);
                let p_next = &self.p_mat[(k + 1) * nx * nx..(k + 2) * nx * nx];
                kernel::add_product(nx, p_next, &self.defects[(k + 1) * nx..(k + 2) * nx], pd);
            }
            if !self.open_stage(k, weights) {
                return false;
            }
            if k > 0 || !self.fixed() {
                self.close_stage(k, weights);
            }
        }
        self.fixed() || self.factor_first()
    }

    fn solve(&mut self, gradient: &[f64], dz: &mut [f64]) {
        let (nx, nu, rows, layout) = (self.shape.nx(), self.shape.nu(), self.data.rows, self.data.layout());
        let (n, fixed) = (self.data.horizon, self.fixed());
        for k in (0..=n).rev() {
            let (gx, gu, g_rows) = layout.stage(gradient, k);
            let (p, p_next) = self.p[k * nx..].split_at_mut(nx);
            p.copy_from_slice(gx);
            kernel::add_product(nx, &self.data.g[k * nx * rows..(k + 1) * nx * rows], g_rows, p);
            if k == n {
                continue;
            }
            self.h.copy_from_slice(&p_next[..nx]);
            if self.share != 0.0 {
                let pd = &self.pd[(k + 1) * nx..(k + 2) * nx];
                self.h.iter_mut().zip(pd).for_each(|(h, pd)| *h = pd.mul_add(self.share, *h));
            }
            let w = &mut self.w[k * nu..(k + 1) * nu];
            for i in 0..nu {
                w[i] = gu[i] + kernel::dot(&self.data.b[(k * nu + i) * nx..(k * nu + i + 1) * nx], &self.h);
            }
            kernel::solve_lower(nu, &self.l[k * nu * nu..(k + 1) * nu * nu], w);
            if k == 0 && fixed {
                continue;
            }
            kernel::add_product(nx, &self.data.at[k * nx * nx..(k + 1) * nx * nx], &self.h, p);
            let w = &self.w[k * nu..(k + 1) * nu];
            for (i, y) in self.y[k * nx * nu..(k + 1) * nx * nu].chunks_exact(nx).enumerate() {
                p.iter_mut().zip(y).for_each(|(p, y)| *p = y.mul_add(-w[i], *p));
            }
        }
        self.forward(dz);
    }

    fn costates(&self, dz: &[f64], dpi: &mut [f64]) {
        let (nx, layout) = (self.shape.nx(), self.data.layout());
        for k in 1..=self.data.horizon {
            let dpi = &mut dpi[k * nx..(k + 1) * nx];
            dpi.copy_from_slice(&self.p[k * nx..(k + 1) * nx]);
            kernel::add_product(nx, &self.p_mat[k * nx * nx..(k + 1) * nx * nx], layout.stage(dz, k).0, dpi);
        }
    }
}

impl<S: Shape> Riccati<S> {
    #[inline(always)]
    fn forward(&mut self, dz: &mut [f64]) {
        let (nx, nu, layout) = (self.shape.nx(), self.shape.nu(), self.data.layout());
        let first = layout.stage_mut(dz, 0).0;
        first.fill(0.0);
        if !self.fixed() {
            let real = self.data.nx_real;
            first[..real].iter_mut().zip(&self.p[..real]).for_each(|(x, p)| *x = -p);
            kernel::solve_lower(real, &self.l_0, first);
            kernel::solve_upper(real, &self.l_0, first);
        }
        let stride = layout.stride();
        for k in 0..self.data.horizon {
            let (here, next) = dz[k * stride..].split_at_mut(stride);
            let (x, rest) = here.split_at_mut(nx);
            let (u, next) = (&mut rest[..nu], &mut next[..nx]);
            let w = &self.w[k * nu..(k + 1) * nu];
            let still = k == 0 && self.fixed();
            for i in 0..nu {
                let feedback =
                    if still { 0.0 } else { kernel::dot(&self.y[(k * nu + i) * nx..(k * nu + i + 1) * nx], x) };
                u[i] = -(w[i] + feedback);
            }
            kernel::solve_upper(nu, &self.l[k * nu * nu..(k + 1) * nu * nu], u);
            let defects = &self.defects[(k + 1) * nx..(k + 2) * nx];
            next.iter_mut().zip(defects).for_each(|(x, d)| *x = d * self.share);
            if !still {
                kernel::add_product(nx, &self.data.a[k * nx * nx..(k + 1) * nx * nx], x, next);
            }
            kernel::add_product(nx, &self.data.b[k * nx * nu..(k + 1) * nx * nu], u, next);
        }
        if layout.rows > 0 {
            self.rows(dz);
        }
    }
}

/// The compiled sizes that hold `dims`, or sizes that the compiler does not know.
pub(crate) fn lq(dims: &OcpDims) -> Box<dyn Lq> {
    macro_rules! table {
        ($($nx:literal: $($nu:literal)*;)*) => {$($(
            if dims.nx <= $nx && dims.nu <= $nu {
                return Box::new(Riccati::new(dims, Fixed::<$nx, $nu>));
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
    Box::new(Riccati::new(dims, Dynamic { nx, nu: dims.nu.max(1) }))
}
