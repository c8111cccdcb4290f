//! Plant models: differential equations with Jacobians, and the integrators that step them.
//!
//! Used by the estimator and the MPC (prediction), by the rig (the emulated plant) and by replay. A new plant is one
//! file here and one line in [`by_name`].
//!
//! # Invariants
//! - Pure: no clock, no I/O, no allocation in a step.
//! - A model's numbers are in the units that its card names, the units of its literature source.

mod model;

pub use model::{MAX_STATES, ModelCard, PlantModel, Variable};
