//! Dual active-set methods: the solvers whose work falls with the number of changes, not with the size.
//!
//! Both solve for a point `v` with identity Hessian, `min ½|v|²` subject to rows `m_i'v ≤ b_i`, after a change of
//! variables that is made once (dense) or by a Riccati recursion (optimal control). In the dual, with the working set
//! W:
//!
//! ```text
//! v = -Σ_W λ_i m_i,   M_W M_W' λ = -b_W,   λ ≥ 0
//! ```
//!
//! The multipliers of the last solve are always feasible in the dual, so every warm start is a correct one, and the
//! dual objective rises with every change. What each solve costs is a scan of all rows per added row; the two solvers
//! differ in that scan, and share `working`.
//!
//! | solver | change of variables | scan |
//! |---|---|---|
//! | [`DualActiveSet`] | `v = L'x + L⁻¹f`, `H = LL'` | [`Rows::times`]: for DMC the Toeplitz product |
//! | [`OcpActiveSet`] | deviations from the unbounded problem's feedback (`closed_loop`) | one simulation |
//!
//! # Invariants
//! - No allocation after construction, no clock.
//! - `Solved` is said only after the optimality conditions were checked in the caller's variables.
//! - What is published ([`DualActiveSet::x`]) is always the last `Solved` point.
//!
//! # Sources
//! Goldfarb and Idnani, *A numerically stable dual method for solving strictly convex quadratic programs* (1983).
//! Arnström, Bemporad and Axehill, *A dual active-set solver for embedded quadratic programming using recursive LDL'
//! updates* (2022).

mod ascent;
mod cholesky;
mod closed_loop;
mod costates;
mod dense;
mod entry;
mod factor;
mod lanes;
mod ocp;
mod rows;
mod step_response;
mod working;

pub use dense::DualActiveSet;
pub use ocp::{ActiveSetLimits, OcpActiveSet};
pub use rows::{DenseRows, Rows};
pub use step_response::{StepResponseRows, StepResponseShape};

#[cfg(test)]
mod tests;

/// Why a solver could not be built.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum QpError {
    /// A matrix or a list has not the shape that goes with the others.
    #[error("{what} has {got} numbers, expected {expected}")]
    Shape {
        /// What is misshapen.
        what: &'static str,
        /// How many numbers it has.
        got: usize,
        /// How many it should have.
        expected: usize,
    },
    /// The Hessian is not positive definite, or holds a number that is not finite.
    #[error("the hessian is not positive definite: pivot {pivot} is {value}")]
    NotPositiveDefinite {
        /// Index of the first bad pivot.
        pivot: usize,
        /// Its value.
        value: f64,
    },
}
