//! What a solution is worth: its objective, and how far it is from the conditions of Karush, Kuhn and Tucker.
//!
//! Written from the programme's definition alone and sharing no code with the solvers, so that a fault of theirs shows
//! here. It is called once per solution, and written for the reader.
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: every slice has a length set at construction")]

use super::ocp::{Initial, OcpQp, OcpSolution};

impl OcpQp {
    /// The objective at `z`, soft bounds at their least cost.
    #[must_use]
    pub fn objective(&self, z: &OcpSolution) -> f64 {
        let (nx, nu, n) = (self.dims().nx, self.dims().nu, self.dims().horizon);
        let mut cost = 0.0;
        for k in 0..=n {
            let x = &z.x[k * nx..(k + 1) * nx];
            cost += 0.5 * quadratic(self.q_mat(k), x, x) + dot(self.q(k), x);
            if k < n {
                let u = &z.u[k * nu..(k + 1) * nu];
                cost += quadratic(self.s_mat(k), u, x) + 0.5 * quadratic(self.r_mat(k), u, u) + dot(self.r(k), u);
            }
            for (i, soft) in self.dims().soft.iter().enumerate() {
                let (Some(soft), true) = (soft, self.is_read(k, i)) else { continue };
                let (value, bounds) = (self.bounded(z, k, i), self.bounds(k));
                for s in [bounds.lo[i] - value, value - bounds.hi[i]] {
                    let s = s.max(0.0);
                    cost += soft.linear * s + 0.5 * soft.quadratic * s * s;
                }
            }
        }
        cost
    }

    /// How far `z` is from the conditions of Karush, Kuhn and Tucker; see [`KktResidual`]. The slack of a soft bound is
    /// taken from its multiplier: `s = max(0, (λ - linear) / quadratic)`.
    #[must_use]
    pub fn kkt_residual(&self, z: &OcpSolution) -> KktResidual {
        let (nx, nu, nc, n) = (self.dims().nx, self.dims().nu, self.dims().bounds(), self.dims().horizon);
        let mut residual = KktResidual::default();
        for k in 0..=n {
            let x = &z.x[k * nx..(k + 1) * nx];
            let u = if k < n { &z.u[k * nu..(k + 1) * nu] } else { &[][..] };
            for i in 0..nc {
                if self.is_read(k, i) {
                    residual.add_bound(self, z, (k, i));
                }
            }
            for j in 0..nx {
                let fixed = k == 0 && self.dims().initial == Initial::Fixed;
                if fixed {
                    grow(&mut residual.primal, x[j] - self.x0[j]);
                } else {
                    grow(&mut residual.dual, self.gradient_x(z, k, j));
                }
                if k < n {
                    let next = affine_row(self.a(k), x, nx, j) + affine_row(self.b(k), u, nx, j) + self.c(k)[j];
                    grow(&mut residual.primal, next - z.x[(k + 1) * nx + j]);
                }
            }
            for j in 0..u.len() {
                grow(&mut residual.dual, self.gradient_u(z, k, j));
            }
        }
        residual
    }

    /// `λ_hi - λ_lo` of bound `i` at stage `k`.
    fn push(&self, z: &OcpSolution, k: usize, i: usize) -> f64 {
        let at = k * self.dims().bounds() + i;
        if self.is_read(k, i) { z.lambda_hi[at] - z.lambda_lo[at] } else { 0.0 }
    }

    /// Derivative of the Lagrangian by element `j` of `x_k`. With π the costates,
    /// `L = f + Σ π_{k+1}'(A x + B u + c - x⁺)`.
    fn gradient_x(&self, z: &OcpSolution, k: usize, j: usize) -> f64 {
        let (nx, nu, nb, n) = (self.dims().nx, self.dims().nu, self.dims().boxed.len(), self.dims().horizon);
        let x = &z.x[k * nx..(k + 1) * nx];
        let mut sum = affine_row(self.q_mat(k), x, nx, j) + self.q(k)[j];
        if k < n {
            let u = &z.u[k * nu..(k + 1) * nu];
            sum += dot(&self.s_mat(k)[j * nu..(j + 1) * nu], u);
            sum += dot(&self.a(k)[j * nx..(j + 1) * nx], &z.pi[(k + 1) * nx..(k + 2) * nx]);
        }
        if k > 0 {
            sum -= z.pi[k * nx + j];
        }
        for (i, state) in self.dims().boxed.iter().enumerate() {
            sum += if *state == j { self.push(z, k, nu + i) } else { 0.0 };
        }
        for row in 0..self.dims().rows {
            sum += self.g(k)[row + j * self.dims().rows] * self.push(z, k, nu + nb + row);
        }
        sum
    }

    fn gradient_u(&self, z: &OcpSolution, k: usize, j: usize) -> f64 {
        let (nx, nu) = (self.dims().nx, self.dims().nu);
        let (x, u) = (&z.x[k * nx..(k + 1) * nx], &z.u[k * nu..(k + 1) * nu]);
        affine_row(self.r_mat(k), u, nu, j)
            + affine_row(self.s_mat(k), x, nu, j)
            + self.r(k)[j]
            + dot(&self.b(k)[j * nx..(j + 1) * nx], &z.pi[(k + 1) * nx..(k + 2) * nx])
            + self.push(z, k, j)
    }

    /// The value that bound `i` of stage `k` bounds: an input, a boxed state, or a row of G times the state.
    fn bounded(&self, z: &OcpSolution, k: usize, i: usize) -> f64 {
        let (nx, nu, nb) = (self.dims().nx, self.dims().nu, self.dims().boxed.len());
        if i < nu {
            return z.u[k * nu + i];
        }
        let x = &z.x[k * nx..(k + 1) * nx];
        if i < nu + nb {
            return x[self.dims().boxed[i - nu]];
        }
        let (g, row) = (self.g(k), i - nu - nb);
        (0..nx).map(|j| g[row + j * self.dims().rows] * x[j]).sum()
    }
}

/// The largest violation of each kind of condition, absolute.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KktResidual {
    /// Dynamics, the initial state, bounds.
    pub primal: f64,
    /// The Lagrangian's gradient; a negative multiplier.
    pub dual: f64,
    /// Multiplier times distance to the bound.
    pub complementarity: f64,
}

impl KktResidual {
    /// The largest of the three; NaN counts as infinite.
    #[must_use]
    pub fn largest(&self) -> f64 {
        let mut largest = 0.0;
        [self.primal, self.dual, self.complementarity].iter().for_each(|r| grow(&mut largest, *r));
        largest
    }

    fn add_bound(&mut self, qp: &OcpQp, z: &OcpSolution, (k, i): (usize, usize)) {
        let at = k * qp.dims().bounds() + i;
        let (value, bounds) = (qp.bounded(z, k, i), qp.bounds(k));
        for (lambda, distance) in [(z.lambda_lo[at], value - bounds.lo[i]), (z.lambda_hi[at], bounds.hi[i] - value)] {
            grow(&mut self.dual, lambda.min(0.0));
            let slack = qp.dims().soft[i].map_or(0.0, |soft| ((lambda - soft.linear) / soft.quadratic).max(0.0));
            let distance = distance + slack;
            grow(&mut self.primal, distance.min(0.0));
            if distance.is_infinite() {
                grow(&mut self.dual, lambda);
            } else {
                grow(&mut self.complementarity, lambda * distance);
            }
        }
    }
}

/// `largest = max(largest, |value|)`; NaN becomes infinite.
fn grow(largest: &mut f64, value: f64) {
    let size = value.abs();
    if size.is_nan() {
        *largest = f64::INFINITY;
    } else if size > *largest {
        *largest = size;
    }
}

/// Row `row` of the `rows`-high matrix times `v`.
fn affine_row(matrix: &[f64], v: &[f64], rows: usize, row: usize) -> f64 {
    v.iter().enumerate().map(|(j, v)| matrix[row + j * rows] * v).sum()
}

/// `left' M right`.
fn quadratic(matrix: &[f64], left: &[f64], right: &[f64]) -> f64 {
    right.iter().zip(matrix.chunks_exact(left.len().max(1))).map(|(r, column)| r * dot(column, left)).sum()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
