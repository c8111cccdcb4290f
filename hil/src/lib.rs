//! The rig: an emulated plant and a fake DCS behind a real OPC UA server.
//!
//! Two faces of one thing. [`Rig`] is pure and steps when told to: tests in virtual time hold it in process. The
//! binary `outrigger-hil` puts the same rig on the wall clock, at any speed, and behind [`server`].
//!
//! ```text
//!            ┌───────────────────────── Rig ─────────────────────────┐
//!  commands ─▶ Dcs ── set-points ─▶ Slave ── positions ─▶ Emulator   │
//!            │  ▲ ▲                                          │       │
//!  writes ───┼──┘ └──────── words ◀── Instruments ◀──────────┘       │
//!            └───────────────────────────────────────────────────────┘
//! ```
//!
//! # Invariants
//! - Only [`clock`] reads a clock; only [`server`] knows OPC UA.
//! - The rig takes nothing from the application on trust: types, ranges, modes, leases and heartbeats are checked
//!   here, as a DCS would.

pub mod clock;
pub mod command;
pub mod config;
pub mod dcs;
mod emulator;
mod instruments;
pub mod live;
mod noise;
pub mod report;
mod rig;
pub mod server;
mod slave;

pub use command::{Ack, Command, CommandError};
pub use config::{ConfigError, RigConfig};
pub use dcs::WriteRefusal;
pub use rig::{Carried, Rig, RigError};

#[cfg(test)]
pub(crate) fn test_plant() -> RigConfig {
    RigConfig::load(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/plants/cstr.toml"))).unwrap()
}
