//! What the loop thinks: from judged measurements to the move that it would like to make.
//!
//! ```text
//! Sample -> Screen -> Screened -> Frame -> Ekf -> Estimate -> Nmpc -> MpcOutcome -> Selector -> ProposedMove
//! ```
//!
//! Every stage is a plain value with a `step`: it is given the time and its inputs, and returns its output. The same
//! `step` serves the live loop, replay and proof. The actors around it only carry values from slot to slot.
//!
//! # Invariants
//! - Pure: no clock, no I/O, no randomness; equal inputs give bit-equal outputs.
//! - What leaves a stage is `Copy`, of fixed size, and made only by that stage.
//! - A `step` of screening, estimation and selection does not allocate (the estimator's start excepted) and does
//!   not panic, whatever the numbers.
//! - Nothing here may write to a plant: a [`signals::ProposedMove`] is a wish, and the interlock decides.

pub mod accuracy;
pub mod dmc;
pub mod estimation;
pub mod frame;
pub mod identification;
pub mod mpc;
pub mod qp;
pub mod screening;
pub mod selector;
pub mod targets;

/// Compiles only if what crosses a slot between two threads is a plain value.
const _: () = {
    const fn crosses_a_slot<T: Copy + Send + 'static>() {}
    crosses_a_slot::<screening::Screened>();
    crosses_a_slot::<frame::Frame>();
    crosses_a_slot::<estimation::Estimate>();
    crosses_a_slot::<estimation::Checkpoint>();
    crosses_a_slot::<mpc::MpcOutcome>();
    crosses_a_slot::<dmc::DmcOutcome>();
    crosses_a_slot::<selector::Selection>();
    crosses_a_slot::<targets::Targets>();
    crosses_a_slot::<accuracy::ModelError>();
};
