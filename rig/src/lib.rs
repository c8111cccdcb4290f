//! The rig: an emulated plant and the DCS around it, pure and stepped when told to.
//!
//! Place in the loop: everything on the other side of the application's two images. `hil` puts it on the wall clock and
//! behind a real OPC UA server; `runtime::simulate` holds it in process under virtual time.
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
//! - No clock, no I/O but the reading of a rig file, no threads. Same rig file, seed, steps and writes give the same bits.
//! - The rig takes nothing from the application on trust: types, ranges, modes, leases and heartbeats are checked
//!   here, as a DCS would.

pub mod command;
pub mod config;
pub mod dcs;
pub mod degradation;
mod dynamics;
mod emulator;
pub mod fault;
mod instruments;
pub mod plant;
mod random;
pub mod report;
mod rig;
mod slave;

pub use command::{Ack, Command, CommandError};
pub use config::{ConfigError, RigConfig};
pub use dcs::WriteRefusal;
pub use fault::{ActuatorFault, SensorFault};
pub use plant::{Offer, Plant, PlantFault, PlantSource};
pub use random::Random;
pub use rig::{Carried, Rig, RigError};
pub use slave::{Controller, SlaveView};

#[cfg(test)]
pub(crate) fn test_plant() -> RigConfig {
    RigConfig::load(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../hil/plants/cstr.toml"))).unwrap()
}
