//! State estimation: what the plant is doing, from what is measured, when it is measured.
//!
//! Between screening and the controllers. In the loop stands [`Ekf`]: a [`Frame`](crate::frame::Frame) and the
//! set-points in use go in, an [`Estimate`] comes out. Beneath it, and for studies beside it:
//!
//! | module | what |
//! |---|---|
//! | [`filter`] | the trait of all filters: one period, its outcome; a row that is not finite is missing |
//! | [`kalman`] | linear models of any size; steady-state gain |
//! | [`system`] | what is estimated: the model's states, disturbances of its card, offsets of outputs; the noises |
//! | [`extended`], [`unscented`] | the nonlinear plant models, with estimated disturbances and output offsets |
//! | [`moving_horizon`] | the last N periods at once, with bounds on the states |
//! | [`monitor`] | whether the innovations are as large and as white as the filter expects |
//! | [`model_bank`] | several models at once, weighed by Bayes' rule |
//! | [`late`] | samples that arrive late, fused at their own time |
//!
//! # Invariants
//! - Equal inputs give bit-equal estimates. A step does not allocate.
//! - A measurement that is not a number is missing; a belief that is lost is an outcome and begins anew.

mod belief;
mod config;
mod ekf;
mod estimate;
pub mod extended;
pub mod filter;
pub mod kalman;
pub mod late;
pub mod model_bank;
pub mod monitor;
pub mod moving_horizon;
mod start;
pub mod system;
pub mod unscented;

pub use self::config::{CvNoise, EkfConfig, EstimationError};
pub use self::ekf::{Ekf, GAP_MAX};
pub use self::estimate::{Checkpoint, Estimate};
pub use self::extended::Extended;
pub use self::filter::{Correction, Filter, Outcome, Period};
pub use self::kalman::{Kalman, LinearModel, SteadyKalman};
pub use self::late::{LateFusion, LateOutcome, LateSample};
pub use self::model_bank::ModelBank;
pub use self::monitor::{Evidence, Monitor, MonitorConfig, Verdict};
pub use self::moving_horizon::{MheConfig, MheCorrection, MovingHorizon, Path};
pub use self::system::{ParameterNoise, SPREAD_MAX, SystemConfig};
pub use self::unscented::{Spread, Unscented};

#[cfg(test)]
mod tests;
