//! The checks, made on raw inputs and independent of the controller's own screening. Each family is a small monitor that
//! is shown what a step sees, and keeps findings.
//!
//! | file | checks |
//! |---|---|
//! | `sample` | 1, 2, 3, 20: one transmitter's samples |
//! | `tag` | 8: the vote of three transmitters; puts together what speaks of one measured variable |
//! | `pattern` | 4, 5, 6, 7: what values do in time |
//! | `model` | 9, 10: values against a model and against each other |
//! | `command` | 13, 14, 23: what the DCS does with an MV |
//! | `policy` | 18, 19: a learned policy |
//! | `host` | 21, 22, 24: the machine that we run on |
//!
//! Checks 11 and 12 are in `limits`, 15 and 17 in `interlock`, 16 in `handshake`.
//!
//! # Invariants
//! - A finding is *present* from the first step that sees it and *active* once it has been present without a break for its
//!   delay. Effects follow the active findings; a reset looks at those present.
//! - A check that is switched off finds nothing. It may still remember, so that it can be believed when it is back.
//! - Memory is bounded and there from the start.

mod command;
mod finding;
mod host;
mod model;
mod pattern;
mod policy;
mod sample;
mod tag;

#[cfg(test)]
mod tests;

pub(crate) use command::{MvMonitor, MvSeen};
pub(crate) use finding::{Findings, Hazard, harder};
pub(crate) use host::HostWatch;
pub(crate) use model::BalanceMonitor;
pub(crate) use tag::{TagMonitor, Tagged};

use signals::Stamp;

use crate::check::CheckSet;

/// What every monitor is told of a step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// The checks that are switched off.
    pub(crate) off: CheckSet,
    /// Plant time.
    pub(crate) now: Stamp,
    /// Counts how often an input of the plant has moved.
    pub(crate) moves: u32,
}
