//! Plant models: differential equations with Jacobians, and the integrators that step them.
//!
//! Used by the estimator and the MPC (prediction), by the rig (the emulated plant) and by replay. A new plant is one
//! file here and one line in [`ALL`].
//!
//! # Invariants
//! - Pure: no clock, no I/O, no allocation in a step.
//! - A model's numbers are in the units that its card names, the units of its literature source.

mod catalogue;
mod column_a;
mod cstr2;
mod cstr2_aged;
mod cstr4;
mod exchanger;
mod integrate;
mod interval;
mod model;
mod quadtank;
mod shape;
mod steady;

pub use catalogue::{ALL, RIG_ONLY, UnknownModel, by_name, for_rig};
pub use column_a::ColumnA;
pub use cstr2::Cstr2;
pub use cstr2_aged::AgedCstr2;
pub use cstr4::Cstr4;
pub use exchanger::Exchanger;
pub use integrate::{ABREAST, Integrator};
pub use interval::{Held, Method, Sensitivities};
pub use model::{Equations, Linearised, MAX_STATES, ModelCard, PlantModel, Variable};
pub use quadtank::{LOWEST_CM, QuadTank};
pub use steady::{RESIDUAL_MAX, STEPS_MAX, SteadyStateError, steady_state};
