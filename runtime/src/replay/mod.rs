//! A run done again, from its journal: the loop's own stages, stepped in the recorded order at the recorded times on the
//! recorded images.
//!
//! [`verify`] asks whether they put out what was put out, bit for bit. [`what_if`] lets a second loop of another
//! configuration look at the same inputs, and says what it would have proposed. The plant is as recorded: it does not
//! answer to the second loop's moves.
//!
//! # Invariants
//! - No actors, no threads, no clock: a replay is a function of the file.
//! - Nothing is made up. Where records are missing the replay ends, and says where.

mod capture;
pub mod command;
mod compare;
mod player;
mod plot;
mod verify;
mod what_if;

use actors::{PlaybackError, Reach, WiringError};

use crate::config::{ConfigError, Mode, PlantFile, parse};
use crate::journal::Header;

pub use compare::{Difference, What};
pub use player::Missing;
pub use plot::draw;
pub use verify::{Counts, Verdict, Verified, verify};
pub use what_if::{Compared, Proposals, what_if};

/// A replay that cannot be begun, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The plant file in the journal is not accepted by this program.
    #[error("the journal's plant file: {0}")]
    Plant(#[from] ConfigError),
    /// The loop cannot be made.
    #[error("the loop cannot be made: {0}")]
    Wiring(#[from] WiringError),
    /// The stages of this program are not those that ran.
    #[error("the journal knows the stages {recorded:?}, this program makes {ours:?}")]
    Stages {
        /// As recorded.
        recorded: Vec<String>,
        /// As made here.
        ours: Vec<String>,
    },
    /// The other configuration is of another loop.
    #[error("{what} of the new configuration does not fit the journal: it has {found}, the journal {recorded}")]
    Misfit {
        /// What does not fit.
        what: String,
        /// As recorded.
        recorded: String,
        /// In the new configuration.
        found: String,
    },
    /// The records do not fit the loop.
    #[error(transparent)]
    Playback(#[from] PlaybackError),
}

/// The plant file in a journal, in the mode that was wired.
///
/// # Errors
/// [`ReplayError::Plant`] when this program does not accept it.
pub fn recorded_plant(header: &Header) -> Result<PlantFile, ReplayError> {
    let mut plant = parse(std::path::Path::new("(journal)"), &header.plant)?;
    plant.mode = match header.reach {
        Reach::Shadow => Mode::Shadow,
        Reach::Advisory => Mode::Advisory,
        Reach::ClosedLoop => Mode::ClosedLoop,
    };
    for (mv, may) in plant.mvs.iter_mut().zip(&header.commissioned) {
        mv.commissioned = *may;
    }
    Ok(plant)
}
