//! A scenario: one run of a loop beside a rig, what befalls it, and how it must end.
//!
//! A scenario is a TOML file; a campaign is a folder of them, whose `campaign.toml` holds what they have in common.
//! [`Scenario::load`] gives one that is sound, or every fault of it with file, line, key, value and what was expected.
//!
//! # Invariant
//! Each scenario has its negative control: one guard that is switched off, and with it the run must fail.

mod foreign;
mod guard;
mod pass;
mod read;
pub mod set;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use runtime::config::Mode;

use crate::faults::Timed;

pub use foreign::{Foreign, Wire};
pub use guard::{Guard, Off};
pub use pass::{Cause, Pass, Settled, Shown, Told};
pub use read::{Campaign, ScenarioError};

/// By which clock a scenario runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ClockKind {
    /// The whole loop in this process, in no time.
    Virtual,
    /// The device under test over the wire, `outrigger` or another, so many times as fast as the wall.
    Wall {
        /// Plant seconds per wall second.
        speed: f64,
    },
}

/// A line at the rig's keyboard.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// When, in plant time from the start of the run.
    pub at: Duration,
    /// The command, as [`rig::command`] has it.
    pub line: String,
    /// Whether the DCS must refuse it.
    pub refused: bool,
    /// Whether it is the plant that does it, not a person.
    pub disturbance: bool,
}

/// A scenario that was read without a fault.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name: that of its file.
    pub id: String,
    /// Its file.
    pub file: PathBuf,
    /// What it shows, in a line.
    pub title: String,
    /// The requirements that it speaks of.
    pub requirements: Vec<String>,
    /// The plant file of the loop.
    pub plant: PathBuf,
    /// The rig's plant file.
    pub rig: PathBuf,
    /// Of the noise and of all chance.
    pub seed: u64,
    /// How long it runs, in plant time.
    pub duration: Duration,
    /// By which clock.
    pub clock: ClockKind,
    /// How far the loop goes.
    pub mode: Mode,
    /// Whether the operator takes the loop in at the start.
    pub way_in: bool,
    /// What is under test instead of `outrigger`, on the wall's clock.
    pub device: Option<Foreign>,
    /// Keys of the plant file that this scenario changes.
    pub plant_set: set::Changes,
    /// Keys of the rig's file that it changes.
    pub rig_set: set::Changes,
    /// What the operator and the plant do, in the order of time.
    pub lines: Vec<Line>,
    /// The faults.
    pub faults: Vec<Timed>,
    /// How it must end.
    pub pass: Pass,
    /// The guard that is switched off for the negative control.
    pub negative: Guard,
    /// All that was read, for telling whether a result is of this scenario.
    pub text: String,
}

impl Scenario {
    /// Reads and checks a scenario; the folder's `campaign.toml` gives what it leaves out.
    ///
    /// # Errors
    /// [`ScenarioError`], with every fault.
    pub fn load(file: &Path) -> Result<Self, ScenarioError> {
        read::load(file)
    }

    /// Checks the text of a scenario that has no folder; `file` is its name in the messages.
    ///
    /// # Errors
    /// [`ScenarioError`], with every fault.
    pub fn parse(file: &Path, text: &str) -> Result<Self, ScenarioError> {
        read::parse(file, text, &Campaign::default())
    }

    /// Checks the text of a scenario as if it stood in this file of a campaign's folder.
    ///
    /// # Errors
    /// [`ScenarioError`], with every fault.
    pub fn parse_beside(file: &Path, text: &str) -> Result<Self, ScenarioError> {
        read::parse(file, text, &Campaign::of(file.parent().unwrap_or(Path::new(".")))?)
    }

    /// When the first thing befalls the loop: what is to be shown counts from here. The end of the run, when nothing does.
    #[must_use]
    pub fn onset(&self) -> Duration {
        let faults = self.faults.iter().map(|fault| fault.at);
        let lines = self.lines.iter().map(|line| line.at);
        faults.chain(lines).filter(|at| !at.is_zero()).min().unwrap_or(self.duration)
    }
}
