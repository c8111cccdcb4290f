//! Convex quadratic programmes: what they are, how a solution is checked, and the solvers.
//!
//! Under the controllers and the moving-horizon estimator. Two shapes of programme occur:
//!
//! | shape | from | solvers |
//! |---|---|---|
//! | [`OcpQp`]: one stage per period | `mpc`, moving-horizon estimation | [`riccati`], [`active_set`], [`conic`] |
//! | dense, with a constant Hessian: moves only | `dmc` | [`active_set::DualActiveSet`] |
//!
//! Every solver of the first shape is an [`OcpSolver`]. Nonlinear MPC believes a solution only after
//! [`OcpQp::kkt_residual`], which shares no code with the solvers, has looked at it.
//!
//! # Invariants
//! - After construction nothing allocates, `conic` excepted (Clarabel allocates once per solve).
//! - No clock: a deadline is a closure of the caller's, asked in each iteration.
//! - Equal programmes after equal histories give bit-equal solutions.

pub mod active_set;
mod check;
pub mod conic;
mod ocp;
pub mod riccati;

pub use check::KktResidual;
pub use ocp::{Bounds, Initial, OcpDims, OcpQp, OcpSolution, Soft, StageMut};

use signals::SolveStatus;

/// How one programme ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ending {
    /// The ending. `Solved` means that the tolerance of the solver is met.
    pub status: SolveStatus,
    /// Iterations: Newton steps, or changes of the active set.
    pub iterations: u32,
}

/// A solver of programmes of one shape, built once for the shape.
///
/// A solve is in two phases, as the real-time iteration asks: [`Self::prepare`] may use everything but `x0`,
/// [`Self::solve`] is what stands between a measurement and its move.
pub trait OcpSolver: std::fmt::Debug + Send {
    /// Everything that can be done before the initial state is known. Reads all of `qp` but its `x0`.
    fn prepare(&mut self, qp: &OcpQp);

    /// Solves the prepared programme for `qp`'s `x0`. `late` is asked in each iteration; once true, the solve ends with
    /// `TimeLimit`. Whatever the status, the solution holds finite numbers or those of the last good solve.
    fn solve(&mut self, qp: &OcpQp, late: &dyn Fn() -> bool) -> Ending;

    /// The last solve's primal and dual variables.
    fn solution(&self) -> &OcpSolution;

    /// Moves what is remembered for the warm start `periods` back in time.
    fn shift(&mut self, periods: usize);

    /// Forgets what is remembered: the next solve starts cold.
    fn reset(&mut self);
}
