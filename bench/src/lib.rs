//! The benchmark problems, and how fast and how well the solvers and estimators of `control` do on them.
//!
//! Stands outside the loop. `outrigger-bench` prints rows of numbers as JSON; `cargo xtask bench` builds and runs it, sets
//! the peers' numbers beside its own and draws. The problems are those of `problems/bench_spec.json`, and the sequences
//! of quadratic programmes are made here in closed loop, so that a run needs nothing but this crate.
//!
//! ```text
//! problems ──> a Scenario: start, step 0, step 1, …  ──> meter (minimum over repetitions) ──> Row
//! qp_file ───┘
//! ```
//!
//! # Invariants
//! - A scenario is deterministic: each repetition does the same work, so that the least time of a step is its time.
//! - Only [`meter`] reads a clock.
//! - A step fails when its objective is above that of a reference solve, whose optimality conditions were checked. Of the
//!   step-response sequences the reference is the dual active-set method itself: there the judge is a test, which holds its
//!   objectives to those of another solver.

pub mod cases;
pub mod estimation;
pub mod latency;
pub mod loops;
pub mod meter;
pub mod nmpc;
pub mod problems;
pub mod qp;
pub mod qp_file;
pub mod report;
pub mod safety_filter;
