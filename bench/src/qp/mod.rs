//! Sequences of quadratic programmes under each solver that fits, and how a solution is judged.
//!
//! | method | of | start of each solve |
//! |---|---|---|
//! | `ipm` | `control`'s Riccati interior point | cold |
//! | `active_set` | `control`'s dual active set | from the last solve, shifted by one period |
//! | `clarabel` | Clarabel | cold, it has no other |
//!
//! A step fails unless the solver says `Solved`, and the objective agrees with the reference's to [`OBJECTIVE_TOLERANCE`]
//! of `1 + |objective|`, and no equation or hard bound is violated by more than [`PRIMAL_TOLERANCE`] of the largest number
//! in the solution. The check shares no code with the solvers.

mod dense;
mod staged;

pub use dense::{DenseMatrix, DenseScenario, DenseSequence, DenseStep};
pub(crate) use dense::{Solver as DenseSolver, objective as dense_objective};
pub use staged::{Method, OcpScenario, Reference, ReferenceError};

/// Largest difference to the reference objective, relative to `1 + |objective|`.
pub const OBJECTIVE_TOLERANCE: f64 = 1e-6;
/// Largest violation of an equation or a hard bound, relative to `1 + ‖z‖∞`.
pub const PRIMAL_TOLERANCE: f64 = 1e-6;

/// What the steps of a run say beyond their times.
#[derive(Clone, Debug, Default)]
pub struct Quality {
    /// Largest difference to the reference objective, relative to `1 + |objective|`.
    pub error: f64,
    /// Largest violation, relative to `1 + ‖z‖∞`.
    pub violation: f64,
    /// Iterations of each step.
    pub iterations: Vec<f64>,
}

impl Quality {
    /// Takes in one step; true if it is good.
    fn judge(&mut self, solved: bool, (objective, reference): (f64, f64), violation: f64) -> bool {
        let error = (objective - reference).abs() / (1.0 + reference.abs());
        // `max` would drop a NaN.
        self.error = if error.is_nan() { f64::INFINITY } else { self.error.max(error) };
        self.violation = if violation.is_nan() { f64::INFINITY } else { self.violation.max(violation) };
        solved && error <= OBJECTIVE_TOLERANCE && violation <= PRIMAL_TOLERANCE
    }

    /// Median and largest iterations.
    #[must_use]
    pub fn iterations(&self) -> Option<[f64; 2]> {
        let of = |share| crate::report::percentile(&self.iterations, share);
        Some([of(0.5)?, of(1.0)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_solution_is_good_only_if_every_judgement_is() {
        let mut quality = Quality::default();
        assert!(quality.judge(true, (10.0, 10.0), 0.0));
        for (solved, objective, violation) in [
            (false, 10.0, 0.0),
            (true, 10.0 + 2e-5, 0.0),
            (true, 10.0, 2e-6),
            (true, f64::NAN, 0.0),
            (true, 10.0, f64::NAN),
        ] {
            assert!(!quality.judge(solved, (objective, 10.0), violation), "{solved} {objective} {violation}");
        }
        assert!(quality.error.is_infinite() && quality.violation.is_infinite());
    }
}
