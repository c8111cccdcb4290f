//! What the loop thinks: from judged measurements to the move that it would like to make.
//!
//! ```text
//! Sample -> Screen -> Screened -> Frame -> Ekf -> Estimate -> Nmpc -> MpcOutcome -> Selector -> ProposedMove
//! ```
//!
//! Every stage is a plain value with a `step` ([`mpc::Nmpc::solve`] for the optimisation): it is given the time and its
//! inputs, and returns its output. The same `step` serves the live loop, replay and proof. The actors around it only
//! carry values from slot to slot.
//!
//! | beside the loop | what |
//! |---|---|
//! | [`qp`] | under `mpc`, `dmc` and the moving-horizon estimator: quadratic programmes, solvers, the check |
//! | [`dmc`] | linear MPC on step responses: ends in the same outcome as `mpc`, and is in no loop yet |
//! | [`identification`] | models from recorded data, off the loop |
//! | [`targets`] | what the operator asks, made fit for the optimiser |
//! | [`safety_filter`] | of an untrusted proposal, the nearest move from which a stored plan keeps the model inside its limits |
//! | [`contract`] | whether the plant still does what the model says; without it nothing that is proved on the model counts |
//! | [`guarded`] | the controller with these two behind it, as one optimiser |
//! | [`advice`] | advisory mode: one recommendation at a time, and what became of it |
//! | [`accuracy`] | how well the model, run open loop, foretells the plant |
//!
//! # Invariants
//! - Pure: no clock, no I/O, no randomness; equal inputs give bit-equal outputs.
//! - What leaves a stage is `Copy`, of fixed size, and made only by that stage.
//! - A `step` does not panic, whatever the numbers, and does not allocate. Excepted are the start of the estimator and
//!   of the optimisation, and Clarabel, the last of its solvers and the safety filter's only one.
//! - Nothing here may write to a plant: a [`signals::ProposedMove`] is a wish, and the interlock decides.

pub mod accuracy;
pub mod advice;
pub mod contract;
pub mod dmc;
pub mod estimation;
pub mod frame;
pub mod guard_report;
pub mod guarded;
pub mod identification;
pub mod mpc;
pub mod qp;
pub mod safety_filter;
pub mod screening;
pub mod selector;
pub mod targets;

#[cfg(test)]
mod test_support;

/// Compiles only if what crosses a slot between two threads is a plain value.
const _: () = {
    const fn crosses_a_slot<T: Copy + Send + 'static>() {}
    crosses_a_slot::<screening::Screened>();
    crosses_a_slot::<frame::Frame>();
    crosses_a_slot::<estimation::Estimate>();
    crosses_a_slot::<estimation::Checkpoint>();
    crosses_a_slot::<mpc::MpcOutcome>();
    crosses_a_slot::<dmc::DmcOutcome>();
    crosses_a_slot::<safety_filter::Filtered>();
    crosses_a_slot::<contract::ContractStatus>();
    crosses_a_slot::<selector::Selection>();
    crosses_a_slot::<targets::Targets>();
    crosses_a_slot::<accuracy::ModelError>();
    crosses_a_slot::<advice::Advised>();
    crosses_a_slot::<advice::News>();
};
