//! What a cause does: how hard it bites, how long it must last before, and how loud the alarm is.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

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
