//! The numbered checks of the safety specification, and sets of them.

use serde::{Deserialize, Serialize};

/// The numbered checks of the safety specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
#[allow(missing_docs, reason = "each variant is the check of that number and name in docs/safety.md")]
pub enum CheckId {
    Quality = 1,
    Age = 2,
    NotFinite = 3,
    Range = 4,
    Rate = 5,
    Frozen = 6,
    Spike = 7,
    Redundancy = 8,
    Balance = 9,
    ModelMismatch = 10,
    CommandRange = 11,
    CommandRate = 12,
    Readback = 13,
    Travel = 14,
    ControllerSilent = 15,
    DcsHeartbeat = 16,
    SolverStatus = 17,
    OutOfDistribution = 18,
    Disagreement = 19,
    Sequence = 20,
    ClockJump = 21,
    ConfigHash = 22,
    OperatorMode = 23,
    ScanOverrun = 24,
}

impl CheckId {
    /// Every check, in the order of its number.
    pub const ALL: [Self; 24] = [
        Self::Quality,
        Self::Age,
        Self::NotFinite,
        Self::Range,
        Self::Rate,
        Self::Frozen,
        Self::Spike,
        Self::Redundancy,
        Self::Balance,
        Self::ModelMismatch,
        Self::CommandRange,
        Self::CommandRate,
        Self::Readback,
        Self::Travel,
        Self::ControllerSilent,
        Self::DcsHeartbeat,
        Self::SolverStatus,
        Self::OutOfDistribution,
        Self::Disagreement,
        Self::Sequence,
        Self::ClockJump,
        Self::ConfigHash,
        Self::OperatorMode,
        Self::ScanOverrun,
    ];
    /// The checks that nobody may switch off or bypass.
    pub const ALWAYS_ON: [Self; 5] =
        [Self::NotFinite, Self::CommandRange, Self::CommandRate, Self::DcsHeartbeat, Self::ConfigHash];

    /// The number of the check.
    #[must_use]
    pub fn number(self) -> u16 {
        self as u16
    }
}

/// A set of checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckSet(u32);

impl CheckSet {
    /// No check.
    pub const EMPTY: Self = Self(0);

    /// This set and `check`.
    #[must_use]
    pub const fn with(self, check: CheckId) -> Self {
        Self(self.0 | 1 << check as u8)
    }

    /// Whether `check` is in the set.
    #[must_use]
    pub const fn contains(self, check: CheckId) -> bool {
        self.0 & (1 << check as u8) != 0
    }
}
