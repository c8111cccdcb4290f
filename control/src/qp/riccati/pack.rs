//! A programme's numbers in the padded storage of the kernels.
//!
//! NX is padded to whole vectors, NU to a compiled size. The padding is zeros, but for ones on the diagonal of R, so that
//! the padded variables stay at zero exactly. A' and the rows of G are kept transposed: every product then runs along
//! columns of height NX.
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: every slice has a length set at construction")]

use super::layout::Layout;
use crate::qp::{Initial, OcpDims, OcpQp};

/// The padded programme; bounds and `x0` are not in it.
#[derive(Debug)]
pub(crate) struct Packed {
    nx: usize,
    nu: usize,
    pub(crate) nx_real: usize,
    pub(crate) nu_real: usize,
    pub(crate) rows: usize,
    pub(crate) horizon: usize,
    pub(crate) initial: Initial,
    /// A, NX × NX a stage.
    pub(crate) a: Vec<f64>,
    /// A', NX × NX.
    pub(crate) at: Vec<f64>,
    /// B, NX × NU.
    pub(crate) b: Vec<f64>,
    /// B', NU × NX.
    pub(crate) bt: Vec<f64>,
    /// c, NX.
    pub(crate) c: Vec<f64>,
    /// Q, NX × NX.
    pub(crate) q_mat: Vec<f64>,
    /// S', NX × NU.
    pub(crate) st: Vec<f64>,
    /// R, NU × NU.
    pub(crate) r_mat: Vec<f64>,
    /// q, NX.
    pub(crate) q: Vec<f64>,
    /// r, NU.
    pub(crate) r: Vec<f64>,
    /// G', NX × NG.
    pub(crate) g: Vec<f64>,
}

impl Packed {
    pub(crate) fn new(dims: &OcpDims, nx: usize, nu: usize) -> Self {
        let n = dims.horizon;
        let mut r_mat = vec![0.0; n * nu * nu];
        for k in 0..n {
            for i in dims.nu..nu {
                r_mat[(k * nu + i) * nu + i] = 1.0;
            }
        }
        Self {
            nx,
            nu,
            nx_real: dims.nx,
            nu_real: dims.nu,
            rows: dims.rows,
            horizon: n,
            initial: dims.initial,
            a: vec![0.0; n * nx * nx],
            at: vec![0.0; n * nx * nx],
            b: vec![0.0; n * nx * nu],
            bt: vec![0.0; n * nx * nu],
            c: vec![0.0; n * nx],
            q_mat: vec![0.0; (n + 1) * nx * nx],
            st: vec![0.0; n * nx * nu],
            r_mat,
            q: vec![0.0; (n + 1) * nx],
            r: vec![0.0; n * nu],
            g: vec![0.0; (n + 1) * nx * dims.rows],
        }
    }

    pub(crate) fn layout(&self) -> Layout {
        Layout { nx: self.nx, nu: self.nu, rows: self.rows, horizon: self.horizon }
    }

    /// Takes the numbers of `qp`, of the shape given at construction.
    pub(crate) fn fill(&mut self, qp: &OcpQp) {
        let (nx, nu, rows) = (self.nx, self.nu, self.rows);
        let real = (self.nx_real, self.nu_real);
        for k in 0..=self.horizon {
            copy(qp.q_mat(k), real.0, &mut self.q_mat[k * nx * nx..(k + 1) * nx * nx], nx);
            copy(qp.q(k), real.0, &mut self.q[k * nx..(k + 1) * nx], nx);
            transpose(qp.g(k), rows, &mut self.g[k * nx * rows..(k + 1) * nx * rows], nx);
            if k < self.horizon {
                copy(qp.a(k), real.0, &mut self.a[k * nx * nx..(k + 1) * nx * nx], nx);
                transpose(qp.a(k), real.0, &mut self.at[k * nx * nx..(k + 1) * nx * nx], nx);
                copy(qp.b(k), real.0, &mut self.b[k * nx * nu..(k + 1) * nx * nu], nx);
                transpose(qp.b(k), real.0, &mut self.bt[k * nx * nu..(k + 1) * nx * nu], nu);
                copy(qp.c(k), real.0, &mut self.c[k * nx..(k + 1) * nx], nx);
                transpose(qp.s_mat(k), real.1, &mut self.st[k * nx * nu..(k + 1) * nx * nu], nx);
                copy(qp.r_mat(k), real.1, &mut self.r_mat[k * nu * nu..(k + 1) * nu * nu], nu);
                copy(qp.r(k), real.1, &mut self.r[k * nu..(k + 1) * nu], nu);
            }
        }
    }
}

/// Columns of height `height` into columns of height `padded`.
fn copy(from: &[f64], height: usize, to: &mut [f64], padded: usize) {
    if height == 0 {
        return;
    }
    if height == padded {
        to[..from.len()].copy_from_slice(from);
        return;
    }
    for (to, from) in to.chunks_exact_mut(padded).zip(from.chunks_exact(height)) {
        to[..height].copy_from_slice(from);
    }
}

/// The matrix with `height` rows, transposed: its rows become columns of height `padded`.
fn transpose(from: &[f64], height: usize, to: &mut [f64], padded: usize) {
    if height == 0 {
        return;
    }
    for (j, column) in from.chunks_exact(height).enumerate() {
        for (to, value) in to[j..].iter_mut().step_by(padded).zip(column) {
            *to = *value;
        }
    }
}
