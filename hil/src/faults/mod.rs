//! The faults that a scenario may inject: each a small named value with its parameters.
//!
//! | family | acts on | in |
//! |---|---|---|
//! | [`rig::fault::SensorFault`], [`rig::fault::ActuatorFault`] | the rig's instruments and valves | the crate `rig` |
//! | [`LinkFault`] | what passes between the DCS and the loop | [`network`] |
//! | [`HostFault`] | the DCS's server, our process, its clock, its disk | [`host`] |
//! | [`ControllerFault`] | what the solver answers and the controller proposes | [`controller`] |
//!
//! # Invariant
//! A fault acts from outside: on the rig, on the link, on the loop's slots between two steps. No stage knows of it.

pub mod controller;
pub mod host;
pub mod network;
mod read;

use std::time::Duration;

pub use controller::ControllerFault;
pub use host::HostFault;
pub use network::LinkFault;
pub use read::{KINDS, TIME_MAX_S, read};

/// A fault of one of the families.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Of an instrument or a valve: what follows `fault CV1` or `fault MV1` at the rig's keyboard.
    AtTheRig(String),
    /// Of the link.
    Link(LinkFault),
    /// Of server and host.
    Host(HostFault),
    /// Of the controller.
    Controller(ControllerFault),
}

/// A fault with its time.
#[derive(Clone, Debug, PartialEq)]
pub struct Timed {
    /// When it comes, in plant time from the start of the run.
    pub at: Duration,
    /// When it goes; `None`: it stays.
    pub until: Option<Duration>,
    /// Its name in a file.
    pub kind: String,
    /// What it acts on, where it acts on one thing; empty otherwise.
    pub on: String,
    /// The fault.
    pub fault: Fault,
}

impl Timed {
    /// Whether it acts at `now`.
    #[must_use]
    pub fn acts(&self, now: Duration) -> bool {
        now >= self.at && self.until.is_none_or(|until| now < until)
    }
}
