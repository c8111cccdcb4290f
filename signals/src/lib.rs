//! The words of the loop, shared by every crate and knowing none of them.
//!
//! A measurement enters as a [`Sample`]. A [`ProposedMove`] is a wish: anyone may make one, and it binds nobody. What
//! carries trust (`Screened`, `Frame`, `Estimate`, `ApprovedMove`) is made, and can only be made, by the crate whose
//! stage it is. [`dcs`] holds the vocabulary of the hand-shake with the distributed control system: one table of
//! tags that both sides of the wire read.
//!
//! # Invariants
//! - Nothing here reads a clock, allocates on the path of a cycle, or does I/O.
//! - Everything that crosses a slot is `Copy` and of fixed capacity: [`Fixed`].
//! - Time is plant time: a [`Stamp`] counts nanoseconds since the start of the run.

pub mod dcs;
mod fixed;
mod proposal;
mod quality;
mod sample;
mod spared;
mod time;
mod unit;
pub mod vote;

pub use fixed::{Fixed, Values};
pub use proposal::{ProposedMove, Proposer, SolveStatus};
pub use quality::Quality;
pub use sample::{Sample, TagId};
pub use spared::Spared;
pub use time::Stamp;
pub use unit::{Dimension, Unit, UnitError};

/// The most manipulated variables (MVs) of one loop.
pub const MAX_MVS: usize = 8;
/// The most controlled variables (CVs) of one loop.
pub const MAX_CVS: usize = 16;
/// The most disturbance variables (DVs, measured feed-forwards) of one loop.
pub const MAX_DVS: usize = 8;
/// The most measured tags of one loop: every CV and every DV.
pub const MAX_TAGS: usize = MAX_CVS + MAX_DVS;
/// The most transmitters of one loop: each tag's own and its two spares.
pub const MAX_TRANSMITTERS: usize = vote::TRANSMITTERS * MAX_TAGS;
