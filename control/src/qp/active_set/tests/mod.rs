//! Tests of both solvers, against other ways to the same answer.

mod dense;
mod ocp;
mod step_response;
