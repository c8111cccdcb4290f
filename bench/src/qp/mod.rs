//! Sequences of quadratic programmes under each solver that fits, and how a solution is judged.
//!
//! | method | of | start of each solve |
//! |---|---|---|
//! | `ipm` | `control`'s Riccati interior point | cold |
//! | `active_set` | `control`'s dual active set | from the last solve, shifted by one period |
//! | `clarabel` | Clarabel | cold, it has no other |
//!
//! A step fails unless the solver says `Solved`, no equation or hard bound is violated by more than [`PRIMAL_TOLERANCE`]
//! of its own size, and the objective is above the reference's by no more than [`OBJECTIVE_TOLERANCE`] of
//! `1 + |objective|`. A feasible point below the reference is no failure: then it is the reference that was not at the
//! minimum. The checks share no code with the solvers.

mod dense;
mod staged;

pub use dense::{DenseMatrix, DenseScenario, DenseSequence, DenseStep};
pub(crate) use dense::{Solver as DenseSolver, objective as dense_objective};
pub use staged::{Method, OcpScenario, OcpSequence, Reference, ReferenceError};

/// Largest difference to the reference objective, relative to `1 + |objective|`.
pub const OBJECTIVE_TOLERANCE: f64 = 1e-6;
/// Largest violation of an equation or a hard bound, relative to one plus its size.
pub const PRIMAL_TOLERANCE: f64 = 1e-6;

/// What the steps of a run say beyond their times.
#[derive(Clone, Debug, Default)]
pub struct Quality {
    /// Largest difference to the reference objective, relative to `1 + |objective|`.
    pub error: f64,
    /// Largest violation, each relative to one plus its size.
    pub violation: f64,
    /// Iterations of each step.
    pub iterations: Vec<f64>,
}

impl Quality {
    /// Takes in one step; true if it is good.
    fn judge(&mut self, solved: bool, (objective, reference): (f64, f64), violation: f64) -> bool {
        let above = (objective - reference) / (1.0 + reference.abs());
        // `max` would drop a NaN.
        self.error = if above.is_nan() { f64::INFINITY } else { self.error.max(above.abs()) };
        self.violation = if violation.is_nan() { f64::INFINITY } else { self.violation.max(violation) };
        solved && above <= OBJECTIVE_TOLERANCE && violation <= PRIMAL_TOLERANCE
    }

    /// Median and largest iterations.
    #[must_use]
    pub fn iterations(&self) -> Option<[f64; 2]> {
        let of = |share| crate::report::percentile(&self.iterations, share);
        Some([of(0.5)?, of(1.0)?])
    }
}

/// How far `v` lies beyond its sides, each relative to one plus its size.
fn beyond(v: f64, (lo, hi): (f64, f64)) -> f64 {
    let side = |limit: f64, beyond: f64| if limit.is_finite() { beyond / (1.0 + limit.abs()) } else { 0.0 };
    worst([side(lo, lo - v), side(hi, v - hi)].into_iter())
}

/// The largest, at least 0; NaN if one is.
fn worst(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |worst, value| if value.is_nan() || worst.is_nan() { f64::NAN } else { worst.max(value) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_solution_is_good_only_if_every_judgement_is() {
        let mut quality = Quality::default();
        assert!(quality.judge(true, (10.0, 10.0), 0.0));
        assert!(quality.judge(true, (9.0, 10.0), 0.0), "feasible and better than the reference");
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
