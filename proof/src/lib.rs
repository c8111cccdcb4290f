//! The proof: what can be said of the interlock by machine, beyond its own tests.
//!
//! Place: beside the loop, like `bench`. Two means:
//!
//! - [`model`]: a bounded model checker (`stateright`) around the real `safety::Interlock` and the real stand-in DCS of
//!   `rig`, with a link between them that loses, duplicates, reorders and delays, an operator who may do anything at any
//!   time, and a process that crashes, hangs and restarts. Seeded bugs are its negative controls.
//! - [`fuzz`]: arbitrary bytes as the life of an interlock, under an oracle that shares no code with it.
//!
//! `docs/proof.md` says what is proven by what, and what is not.

pub mod fuzz;
pub mod model;

/// What keeps a proof from being tried at all.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The model's rig.
    #[error("the model's rig: {0}")]
    Rig(#[from] rig::ConfigError),
    /// The model's interlock.
    #[error("the model's {0}")]
    Interlock(#[from] safety::SafetyError),
}
