//! What a cause does: how hard it bites, how long it must last before, and how loud the alarm is.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::row::Row;

/// How hard a cause bites, from mild to hard; of the active ones the hardest decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Tell.
    #[default]
    Warn,
    /// Cut a command back to its limits and tell.
    Clamp,
    /// Write the last good move again, for a bounded time.
    Hold,
    /// Go to the safe values at the permitted rate, then shed.
    Ramp,
    /// Give the MVs back to the DCS and go on tracking; the operator arms anew.
    StandDown,
    /// Give the MVs back to the DCS; an operator acknowledges.
    Shed,
    /// Stop; an operator resets.
    Trip,
}

impl Effect {
    /// Whether the effect stays after its cause has gone, until an operator's reset or acknowledgement.
    #[must_use]
    pub fn latches(self) -> bool {
        self >= Self::Shed
    }

    /// The customary priority of its alarm.
    #[must_use]
    pub fn priority(self) -> Priority {
        match self {
            Self::Warn | Self::Clamp => Priority::Low,
            Self::Hold | Self::Ramp => Priority::Medium,
            Self::StandDown | Self::Shed => Priority::High,
            Self::Trip => Priority::Critical,
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Warn => "warn",
            Self::Clamp => "clamp",
            Self::Hold => "hold",
            Self::Ramp => "ramp",
            Self::StandDown => "stand down",
            Self::Shed => "shed",
            Self::Trip => "trip",
        })
    }
}

/// The priority of an alarm (ISA-18.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the words are those of ISA-18.2")]
pub enum Priority {
    #[default]
    Low,
    Medium,
    High,
    Critical,
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}

/// What a cause does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reaction {
    /// How hard it bites.
    pub effect: Effect,
    /// How long the cause must be present without a break before it has its effect.
    pub delay: Duration,
    /// The priority of its alarm.
    pub priority: Priority,
}

impl Reaction {
    /// An effect with its customary priority.
    #[must_use]
    pub fn of(effect: Effect, delay: Duration) -> Self {
        Self { effect, delay, priority: effect.priority() }
    }
}

/// The reactions of one subject to `N` rows of the matrix that follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reactions<const N: usize> {
    first: Row,
    cells: [Reaction; N],
}

impl<const N: usize> Reactions<N> {
    pub(crate) fn new(rows: [Row; N], of: impl Fn(Row) -> Reaction) -> Self {
        Self { first: rows.first().copied().unwrap_or(Row::Quality), cells: rows.map(of) }
    }

    /// The reaction to `row`; `None` for a row of another kind of subject.
    #[must_use]
    pub fn get(&self, row: Row) -> Option<Reaction> {
        self.at(row.place().checked_sub(self.first.place())?)
    }

    /// The reaction to `row`, to be changed.
    pub fn get_mut(&mut self, row: Row) -> Option<&mut Reaction> {
        self.cells.get_mut(row.place().checked_sub(self.first.place())?)
    }

    /// The same with another effect of `row`, at its customary priority.
    #[must_use]
    pub fn with(mut self, row: Row, effect: Effect) -> Self {
        if let Some(reaction) = self.get_mut(row) {
            *reaction = Reaction::of(effect, reaction.delay);
        }
        self
    }

    /// The same with another delay of `row`.
    #[must_use]
    pub fn after(mut self, row: Row, delay: Duration) -> Self {
        if let Some(reaction) = self.get_mut(row) {
            reaction.delay = delay;
        }
        self
    }

    pub(crate) fn at(&self, place: usize) -> Option<Reaction> {
        self.cells.get(place).copied()
    }

    /// Each row with its reaction.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Row, Reaction)> {
        Row::all().skip(self.first.place()).zip(self.cells)
    }
}
