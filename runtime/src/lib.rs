//! The runtime: one plant file in, one loop beside the DCS.
//!
//! Configuration ([`config`]) → wiring ([`run`]) → adapters: the DCS ([`opcua`]), Prometheus ([`metrics`]), HTTP
//! ([`http`]), what outlives a restart ([`state`]). [`commission`] decides how far a run may go. One adapter, one foreign
//! library, one place. [`simulate`] runs the same loop beside a rig in this process.
//!
//! # Invariants
//! - A plant file that has a fault starts nothing.
//! - The control runtime does no I/O but the pacer's timer; the service runtime computes nothing that the plant feels.

pub mod advice;
pub mod cli;
pub mod commission;
pub mod config;
mod control_thread;
mod events;
pub mod http;
pub mod journal;
pub mod legs;
pub mod logging;
pub mod matrix;
pub mod metrics;
pub mod opcua;
pub mod replay;
pub mod report;
pub mod run;
pub mod simulate;
pub mod state;
