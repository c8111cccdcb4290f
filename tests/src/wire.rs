//! The two programs as a site has them, over real OPC UA: bench of the tests in `tests/over_the_wire.rs`.
//!
//! [`Site`] is a folder of its own with both certificate stores and made-up passwords. [`RigProcess`] and
//! [`RuntimeProcess`] are the programs `outrigger-hil` and `outrigger` as children; [`Foreign`] is an OPC UA client that
//! shares no code with either (Python, asyncua; scripts in `tests/python`). [`OtherDcs`] is a DCS that is not the rig
//! (`hil/examples/dcs.py`), at which the loop needs evidence.
//!
//! # Invariants
//! - A child does not outlive its value: dropping it kills it, by its handle.
//! - Every wait ends with what was looked for, or with an error that shows what was heard instead.
//! - One site at a time in a process: these tests hold real-time loops on the wall clock.
#![allow(clippy::indexing_slicing, reason = "of JSON values only: what is not there is null")]
#![allow(clippy::disallowed_methods, reason = "the limits of waits on real programs are wall time")]

mod child;
mod foreign;
mod other_dcs;
mod programs;
mod rig;
mod site;

pub use child::{Child, Heard};
pub use foreign::{As, Change, Foreign};
pub use other_dcs::OtherDcs;
pub use rig::RigProcess;
pub use site::{RuntimeProcess, Site};

use std::time::Duration;

/// How long anything may take that should happen within a few periods. Generous: the machine may be slow.
pub const LIMIT: Duration = Duration::from_secs(60);
/// Plant seconds per wall second.
pub const SPEED: f64 = 36.0;
/// The control period of `cstr`, in seconds of plant time.
pub const PERIOD_S: f64 = 18.0;
/// Where the tags of `cstr` lie.
pub const PREFIX: &str = "Area1.R101.APC_cstr.";
