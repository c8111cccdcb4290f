//! A programme's numbers in the padded storage of the kernels, and whether its matrices are those of the last one.
//!
//! NX is padded to whole vectors, NU to a compiled size. The padding is zeros, but for ones on the diagonal of R, so
//! that the padded variables stay at zero exactly. A', B' and the rows of G are kept transposed: every product then
//! runs along columns of height NX. For a linear model the matrices do not change from cycle to cycle, and nothing that
//! was made of them has to be made again.
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

    /// Takes the numbers of `qp`, of the shape given at construction. True if a matrix is not the one of before.
    pub(crate) fn fill(&mut self, qp: &OcpQp) -> bool {
        let (nx, nu, rows) = (self.nx, self.nu, self.rows);
        let (real_x, real_u) = (self.nx_real, self.nu_real);
        let mut changed = false;
        for k in 0..=self.horizon {
            let xx = k * nx * nx..(k + 1) * nx * nx;
            changed |= copy(qp.q_mat(k), real_x, &mut self.q_mat[xx.clone()], nx);
            changed |= transpose(qp.g(k), rows, &mut self.g[k * nx * rows..(k + 1) * nx * rows], nx);
            copy(qp.q(k), real_x, &mut self.q[k * nx..(k + 1) * nx], nx);
            if k < self.horizon {
                let xu = k * nx * nu..(k + 1) * nx * nu;
                if copy(qp.a(k), real_x, &mut self.a[xx.clone()], nx) {
                    transpose(qp.a(k), real_x, &mut self.at[xx], nx);
                    changed = true;
                }
                if copy(qp.b(k), real_x, &mut self.b[xu.clone()], nx) {
                    transpose(qp.b(k), real_x, &mut self.bt[xu.clone()], nu);
                    changed = true;
                }
                changed |= transpose(qp.s_mat(k), real_u, &mut self.st[xu], nx);
                changed |= copy(qp.r_mat(k), real_u, &mut self.r_mat[k * nu * nu..(k + 1) * nu * nu], nu);
                copy(qp.c(k), real_x, &mut self.c[k * nx..(k + 1) * nx], nx);
                copy(qp.r(k), real_u, &mut self.r[k * nu..(k + 1) * nu], nu);
            }
        }
        changed
    }

    /// Adds what the multipliers `pushes` of the boxed states, then of the rows of G, push at stage `k`.
    #[inline(always)]
    pub(crate) fn push_states(&self, k: usize, (boxed, pushes): (&[usize], &[f64]), to: &mut [f64]) {
        let (own, general) = pushes.split_at(boxed.len());
        boxed.iter().zip(own).for_each(|(state, push)| to[*state] += push);
        let g = &self.g[k * self.nx * self.rows..(k + 1) * self.nx * self.rows];
        for (g, push) in g.chunks_exact(self.nx).zip(general) {
            to.iter_mut().zip(g).for_each(|(to, g)| *to = g.mul_add(*push, *to));
        }
    }
}

/// Columns of height `height` into columns of height `padded`. True if a number is another one than before.
fn copy(from: &[f64], height: usize, to: &mut [f64], padded: usize) -> bool {
    /// The same for a height that the compiler knows.
    fn fixed<const HEIGHT: usize>(from: &[f64], to: &mut [f64], padded: usize) -> bool {
        let mut difference = 0;
        for (to, from) in to.chunks_exact_mut(padded).zip(from.as_chunks::<HEIGHT>().0) {
            let Some(to) = to.first_chunk_mut::<HEIGHT>() else { break };
            for i in 0..HEIGHT {
                difference |= to[i].to_bits() ^ from[i].to_bits();
            }
            *to = *from;
        }
        difference != 0
    }
    macro_rules! heights {
        ($($height:literal)*) => {
            match height {
                $($height => return fixed::<$height>(from, to, padded),)*
                _ => {}
            }
        };
    }
    heights!(1 2 3 4 5 6 8 10 12 16 20 24);
    let mut changed = false;
    for (to, from) in to.chunks_exact_mut(padded).zip(from.chunks_exact(height.max(1))) {
        for (to, from) in to.iter_mut().zip(from) {
            changed |= to.to_bits() != from.to_bits();
            *to = *from;
        }
    }
    changed
}

/// The matrix with `height` rows, transposed: its rows become columns of height `padded`. True as for [`copy`].
fn transpose(from: &[f64], height: usize, to: &mut [f64], padded: usize) -> bool {
    let mut changed = false;
    for (j, column) in from.chunks_exact(height.max(1)).enumerate() {
        for (to, from) in to[j..].iter_mut().step_by(padded).zip(column) {
            changed |= to.to_bits() != from.to_bits();
            *to = *from;
        }
    }
    changed
}
