//! The quadratic programme of an optimal-control problem, stage by stage.
//!
//! With the states `x_k` (NX), `k = 0 … N`, and the inputs `u_k` (NU), `k = 0 … N-1`:
//!
//! ```text
//! min  Σ_{k=0..N-1} ½ x'Q_k x + u'S_k x + ½ u'R_k u + q_k'x + r_k'u   +   ½ x_N'Q_N x_N + q_N'x_N
//!      + Σ over soft bounds of  linear · s + ½ quadratic · s²
//! s.t. x_{k+1} = A_k x_k + B_k u_k + c_k
//!      x_0 = x0                                   (Initial::Fixed; with Initial::Free x_0 is an unknown)
//!      lo_k - s ≤ [u_k; x_k[boxed]; G_k x_k] ≤ hi_k + s,  s ≥ 0;  hard bounds have no s
//! ```
//!
//! The bounds of a stage stand in one list of NC = NU + NB + NG: inputs, then the boxed states, then the rows of G.
//! Each side of a soft bound has a slack of its own. An absent side is infinite. At stage N the inputs' bounds are not
//! read; at stage 0 the states' are read only when the initial state is free.
//!
//! Matrices are stored column by column.
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: every slice has a length set at construction")]

/// Whether the first state is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initial {
    /// `x_0 = x0`: control.
    Fixed,
    /// `x_0` is an unknown, weighed by `Q_0` and `q_0`: estimation.
    Free,
}

/// The shape of a programme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OcpDims {
    /// States, NX.
    pub nx: usize,
    /// Inputs, NU.
    pub nu: usize,
    /// States that have bounds of their own (NB), ascending.
    pub boxed: Vec<usize>,
    /// Rows of G, NG.
    pub rows: usize,
    /// Periods, N.
    pub horizon: usize,
    /// Whether the first state is given.
    pub initial: Initial,
    /// Prices of the soft bounds; one entry per bound (NC), `None` for a hard one.
    pub soft: Vec<Option<Soft>>,
}

/// The prices of a violated bound: `linear · s + ½ quadratic · s²`; `linear ≥ 0`, `quadratic > 0`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Soft {
    /// Price of the first unit; above the bound's multiplier it makes the bound exact.
    pub linear: f64,
    /// Price of the square.
    pub quadratic: f64,
}

impl Eq for Soft {}

impl OcpDims {
    /// Bounds of one stage, NC = NU + NB + NG.
    #[must_use]
    pub fn bounds(&self) -> usize {
        self.nu + self.boxed.len() + self.rows
    }
}

/// The numbers of a programme; see the module for the formula.
#[derive(Clone, Debug)]
pub struct OcpQp {
    dims: OcpDims,
    /// The initial state, NX; not read when it is free.
    pub x0: Vec<f64>,
    a: Vec<f64>,
    b: Vec<f64>,
    c: Vec<f64>,
    q_mat: Vec<f64>,
    s_mat: Vec<f64>,
    r_mat: Vec<f64>,
    q: Vec<f64>,
    r: Vec<f64>,
    g: Vec<f64>,
    lo: Vec<f64>,
    hi: Vec<f64>,
}

/// One stage, to be written. The last stage (k = N) has only `q_mat`, `q`, `g`, `lo` and `hi`; what else it lends is
/// empty.
#[derive(Debug)]
pub struct StageMut<'a> {
    /// NX × NX.
    pub a: &'a mut [f64],
    /// NX × NU.
    pub b: &'a mut [f64],
    /// NX.
    pub c: &'a mut [f64],
    /// NX × NX, symmetric: both triangles are to be written.
    pub q_mat: &'a mut [f64],
    /// NU × NX.
    pub s_mat: &'a mut [f64],
    /// NU × NU, symmetric: both triangles are to be written.
    pub r_mat: &'a mut [f64],
    /// NX.
    pub q: &'a mut [f64],
    /// NU.
    pub r: &'a mut [f64],
    /// NG × NX.
    pub g: &'a mut [f64],
    /// NC.
    pub lo: &'a mut [f64],
    /// NC.
    pub hi: &'a mut [f64],
}

/// Both sides of one stage's bounds, NC each: inputs, boxed states, rows.
#[derive(Clone, Copy, Debug)]
pub struct Bounds<'a> {
    /// Lower sides, -∞ for none.
    pub lo: &'a [f64],
    /// Upper sides, +∞ for none.
    pub hi: &'a [f64],
}

/// `$name(k)`: the `$len` numbers of stage k in `$field`.
macro_rules! parts {
    ($($(#[$doc:meta])* $name:ident => $field:ident, |$d:ident| $len:expr;)*) => {
        $(
            $(#[$doc])*
            #[inline]
            #[must_use]
            pub fn $name(&self, k: usize) -> &[f64] {
                let $d = &self.dims;
                let len = $len;
                &self.$field[k * len..(k + 1) * len]
            }
        )*
    };
}

impl OcpQp {
    /// A programme of zeros without bounds.
    #[must_use]
    pub fn new(dims: OcpDims) -> Self {
        let (nx, nu, ng, n) = (dims.nx, dims.nu, dims.rows, dims.horizon);
        let nc = dims.bounds();
        debug_assert_eq!(dims.soft.len(), nc, "one entry of `soft` per bound");
        Self {
            x0: vec![0.0; nx],
            a: vec![0.0; n * nx * nx],
            b: vec![0.0; n * nx * nu],
            c: vec![0.0; n * nx],
            q_mat: vec![0.0; (n + 1) * nx * nx],
            s_mat: vec![0.0; n * nu * nx],
            r_mat: vec![0.0; n * nu * nu],
            q: vec![0.0; (n + 1) * nx],
            r: vec![0.0; n * nu],
            g: vec![0.0; (n + 1) * ng * nx],
            lo: vec![f64::NEG_INFINITY; (n + 1) * nc],
            hi: vec![f64::INFINITY; (n + 1) * nc],
            dims,
        }
    }

    /// The shape.
    #[inline]
    #[must_use]
    pub fn dims(&self) -> &OcpDims {
        &self.dims
    }

    parts! {
        /// `A_k`, NX × NX, k < N.
        a => a, |d| d.nx * d.nx;
        /// `B_k`, NX × NU, k < N.
        b => b, |d| d.nx * d.nu;
        /// `c_k`, NX, k < N.
        c => c, |d| d.nx;
        /// `Q_k`, NX × NX, k ≤ N.
        q_mat => q_mat, |d| d.nx * d.nx;
        /// `S_k`, NU × NX, k < N.
        s_mat => s_mat, |d| d.nu * d.nx;
        /// `R_k`, NU × NU, k < N.
        r_mat => r_mat, |d| d.nu * d.nu;
        /// `q_k`, NX, k ≤ N.
        q => q, |d| d.nx;
        /// `r_k`, NU, k < N.
        r => r, |d| d.nu;
        /// `G_k`, NG × NX, k ≤ N.
        g => g, |d| d.rows * d.nx;
    }

    /// The bounds of stage k ≤ N.
    #[inline]
    #[must_use]
    pub fn bounds(&self, k: usize) -> Bounds<'_> {
        let nc = self.dims.bounds();
        Bounds { lo: &self.lo[k * nc..(k + 1) * nc], hi: &self.hi[k * nc..(k + 1) * nc] }
    }

    /// Stage k ≤ N, to be written.
    pub fn stage_mut(&mut self, k: usize) -> StageMut<'_> {
        let (nx, nu, ng, nc) = (self.dims.nx, self.dims.nu, self.dims.rows, self.dims.bounds());
        let inner = k < self.dims.horizon;
        fn part(values: &mut [f64], k: usize, len: usize, there: bool) -> &mut [f64] {
            if there { &mut values[k * len..(k + 1) * len] } else { &mut [] }
        }
        StageMut {
            a: part(&mut self.a, k, nx * nx, inner),
            b: part(&mut self.b, k, nx * nu, inner),
            c: part(&mut self.c, k, nx, inner),
            q_mat: part(&mut self.q_mat, k, nx * nx, true),
            s_mat: part(&mut self.s_mat, k, nu * nx, inner),
            r_mat: part(&mut self.r_mat, k, nu * nu, inner),
            q: part(&mut self.q, k, nx, true),
            r: part(&mut self.r, k, nu, inner),
            g: part(&mut self.g, k, ng * nx, true),
            lo: part(&mut self.lo, k, nc, true),
            hi: part(&mut self.hi, k, nc, true),
        }
    }

    /// Whether bound `i` of stage `k` is read.
    #[inline]
    #[must_use]
    pub fn is_read(&self, k: usize, i: usize) -> bool {
        if i < self.dims.nu { k < self.dims.horizon } else { k > 0 || self.dims.initial == Initial::Free }
    }

    /// The largest entry of `q` and `r`: what residuals of the gradient are large or small beside.
    #[must_use]
    pub fn gradient_size(&self) -> f64 {
        self.q.iter().chain(&self.r).fold(0.0, |largest, value| f64::max(largest, value.abs()))
    }
}

/// Primal and dual variables of a programme.
#[derive(Clone, Debug, PartialEq)]
pub struct OcpSolution {
    /// (N + 1) · NX states, stage by stage.
    pub x: Vec<f64>,
    /// N · NU inputs, stage by stage.
    pub u: Vec<f64>,
    /// (N + 1) · NX costates: π_k is the multiplier of the equation that gives `x_k`. The first is not used.
    pub pi: Vec<f64>,
    /// (N + 1) · NC multipliers of the lower sides, not negative; 0 where the side is absent or not read.
    pub lambda_lo: Vec<f64>,
    /// (N + 1) · NC multipliers of the upper sides, likewise.
    pub lambda_hi: Vec<f64>,
}

impl OcpSolution {
    /// Zeros.
    #[must_use]
    pub fn new(dims: &OcpDims) -> Self {
        let (stages, nc) = (dims.horizon + 1, dims.bounds());
        Self {
            x: vec![0.0; stages * dims.nx],
            u: vec![0.0; dims.horizon * dims.nu],
            pi: vec![0.0; stages * dims.nx],
            lambda_lo: vec![0.0; stages * nc],
            lambda_hi: vec![0.0; stages * nc],
        }
    }
}
