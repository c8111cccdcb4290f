//! The rig on the wall clock, behind a real OPC UA server, and the campaigns that are run against it: what `outrigger-hil` is
//! made of.
//!
//! Place in the loop: where the plant and its DCS would be, on the other end of the wire. The rig itself is the crate
//! [`rig`] and steps when told to; here is what tells it to, and what serves it. Under virtual time ([`bed`]) the whole loop is
//! held in this process.
//!
//! ```text
//! scenario, faults ─▶ bed (virtual time) ─▶ record ─▶ verdict ─▶ campaign ─▶ report, certify
//! ```
//!
//! # Invariants
//! - Only [`clock`] reads a clock; only [`server`] knows OPC UA; only [`external`] speaks to a plant outside.
//! - What arrives is checked by the rig's DCS; [`server`] adds what only the wire knows: accounts and types.

pub mod bed;
pub mod campaign;
pub mod certify;
pub mod cli;
pub mod clock;
pub mod external;
pub mod faults;
pub mod keyboard;
pub mod live;
pub mod modbus;
pub mod proxy;
pub mod record;
pub mod report;
pub mod scenario;
pub mod server;
pub mod soak;
pub mod verdict;
pub mod wall;
pub mod words;

#[cfg(test)]
pub(crate) fn test_plant() -> rig::RigConfig {
    rig::RigConfig::load(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/plants/cstr.toml"))).unwrap()
}
