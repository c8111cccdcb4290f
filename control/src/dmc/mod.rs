//! Dynamic matrix control: linear MPC on step responses, for the loops where a model is a table and not an equation.
//!
//! Made to stand where the nonlinear controller stands, and to hand the selector the same plan (no loop has it yet):
//!
//! ```text
//!            y, dv, u in force ──> prediction ──> targets ──> moves ──> DmcOutcome { MpcOutcome, SteadyState, … }
//!                               (prediction.rs) (steady_state.rs) (programme.rs)
//! ```
//!
//! In each cycle the prediction takes in what the MVs and DVs have done and what the CVs show; the targets say where
//! the plant shall come to rest, given limits with ranks, set-points and money; the moves lead there at least cost.
//! Each of the three files has its equations at its top.
//!
//! # Services
//! Every variable can be taken out of service and put back ([`DmcController::set_services`]):
//!
//! | out of service | what it means |
//! |---|---|
//! | MV | it is not moved; what others do with it is fed forward |
//! | CV | it weighs nothing and has no limits; its prediction goes on and follows its measurement |
//! | DV | its changes are not fed forward; on return the first value is only remembered |
//!
//! The prediction is the same with and without, so a switch moves nothing by itself.
//!
//! # Example
//! A furnace from a table of one row; the outlet temperature is to rise by 2.
//! ```
//! use control::dmc::*;
//! use signals::Stamp;
//!
//! let table = "period_s,60\nsamples,40\n\
//!     cv,input,role,form,gain,tau_s,zeta,lead_s,delay_s,coefficients\n\
//!     outlet,fuel,mv,fopdt,1.5,300,,,120,";
//! let model = StepResponseModel::from_table("furnace.csv", table)?;
//! let cv = CvTuning {
//!     span: 1.0,
//!     weight: 1.0,
//!     soft_linear: 10.0,
//!     soft_quadratic: 100.0,
//!     feedback: Feedback::BIAS,
//!     limit_rank: 1,
//!     setpoint_rank: 2,
//!     cost: 0.0,
//! };
//! let mv = MvTuning { span: 1.0, move_weight: 0.5, rest_weight: 0.0, ideal_weight: 0.0, cost: 0.0 };
//! let config = DmcConfig { horizon: 30, moves: 8, targets: true, cv: vec![cv], mv: vec![mv] };
//! let mut controller = DmcController::new(model, config)?;
//! let outcome = controller.step(
//!     &DmcInput {
//!         cycle: 0,
//!         now: Stamp::from_secs_f64(0.0),
//!         y: &[350.0],
//!         u_prev: &[40.0],
//!         dv: &[],
//!         setpoints: &[Some(352.0)],
//!         cv_lo: &[340.0],
//!         cv_hi: &[360.0],
//!         u_lo: &[0.0],
//!         u_hi: &[100.0],
//!         du_max: &[0.8],
//!         u_ideal: &[None],
//!     },
//!     &|| false,
//! );
//! assert!((outcome.steady_state.u[0] - (40.0 + 2.0 / 1.5)).abs() < 1e-2);
//! let plan = outcome.mpc.plan.expect("a plan");
//! assert!(plan.u[0][0] > 40.0 && plan.u[0][0] <= 40.8);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Invariants
//! - [`DmcController::step`] never fails, never panics, never allocates: every ending is a [`signals::SolveStatus`].
//!   Without a plan the selector plays the last one or holds.
//! - A plan keeps every hard bound and every rate to the last bit; outside its limits an MV returns at full rate.
//! - A constant disturbance and a wrong gain leave no offset on a CV that its MVs can bring to its target.
//! - No clock: the caller's closure says when a solve is late. Equal inputs after equal histories give bit-equal plans.
//!
//! Sources: Cutler and Ramaker, *AIChE 86th Nat. Meeting* 1979; García and Morshedi, *Chem. Eng. Comm.* 46 1986 (QDMC);
//! Qin and Badgwell, *Control Eng. Practice* 11(7) 2003; Lee, Morari and García, *Automatica* 30(4) 1994.

mod config;
mod controller;
mod exchange;
mod model;
mod prediction;
mod programme;
mod steady_state;
mod table;
mod transfer;

#[cfg(test)]
mod tests;

pub use config::{CvTuning, DmcConfig, DmcError, Feedback, MvTuning};
pub use controller::DmcController;
pub use exchange::{CvState, DmcInput, DmcOutcome, GivenUp, Services, SteadyState, Wish};
pub use model::{Names, Pair, SAMPLES_MAX, Sampling, StepResponseModel};
pub use table::{TableError, TableFault};
pub use transfer::Transfer;
