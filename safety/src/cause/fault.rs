//! What may be wrong with a measurement.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::row::Row;

/// What is wrong with a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Check 1: its source says bad.
    Bad,
    /// Check 1: its source says uncertain, which this tag does not accept.
    Uncertain,
    /// Check 2: no sample was ever seen.
    Missing,
    /// Check 2: the sample is older than allowed.
    Old {
        /// Its age.
        age: Duration,
    },
    /// Check 2: the sample claims to be from the future, by more than the age allowed.
    Early {
        /// How far ahead of the loop's clock it is.
        ahead: Duration,
    },
    /// Check 3: NaN or infinite.
    NotFinite,
    /// Check 4, upper side.
    High {
        /// The value, in the unit of the variable.
        value: f64,
        /// The limit.
        limit: f64,
    },
    /// Check 4, lower side.
    Low {
        /// The value, in the unit of the variable.
        value: f64,
        /// The limit.
        limit: f64,
    },
    /// Check 5: the value changed too fast.
    Fast {
        /// Its rate of change per second.
        per_s: f64,
        /// The limit per second.
        limit_per_s: f64,
    },
    /// Check 6: no change, although an input moved.
    Frozen {
        /// Samples since the input moved.
        samples: u32,
    },
    /// Check 7: an outlier in its window.
    Spike {
        /// The value.
        value: f64,
        /// The median of the window.
        median: f64,
    },
    /// Check 8: a transmitter away from the other two.
    Deviates {
        /// Its value.
        value: f64,
        /// What the vote came to.
        voted: f64,
    },
    /// Check 8: no two transmitters agree.
    Disagree {
        /// The lowest value.
        low: f64,
        /// The highest value.
        high: f64,
    },
    /// Check 8: only this transmitter is left, 1 for the tag's own.
    OneLeft {
        /// The transmitter.
        transmitter: u8,
    },
    /// Check 9: away from the value that the model expects.
    Residual {
        /// The value.
        value: f64,
        /// The expected value.
        expected: f64,
    },
    /// Check 10: the sum of what the model does not explain has grown too large; its sign is the side.
    Drift {
        /// The sum, in the unit of the variable.
        sum: f64,
        /// Its limit.
        limit: f64,
    },
    /// Check 20: samples were lost.
    Gap {
        /// How many.
        missed: u64,
    },
    /// Check 20: another sample under the same number.
    Duplicate,
    /// Check 20: an older sample after a newer one.
    Reordered,
    /// Check 20: the source's time ran back.
    SourceBack {
        /// By how much.
        by: Duration,
    },
}

impl Fault {
    /// The row of the matrix that it belongs to.
    #[must_use]
    pub fn row(self) -> Row {
        match self {
            Self::Bad | Self::Uncertain => Row::Quality,
            Self::Missing | Self::Old { .. } | Self::Early { .. } => Row::Age,
            Self::NotFinite => Row::NotFinite,
            Self::High { .. } | Self::Low { .. } => Row::Range,
            Self::Fast { .. } => Row::Rate,
            Self::Frozen { .. } => Row::Frozen,
            Self::Spike { .. } => Row::Spike,
            Self::Deviates { .. } => Row::Transmitter,
            Self::Disagree { .. } => Row::TwoDisagree,
            Self::OneLeft { .. } => Row::OneLeft,
            Self::Residual { .. } => Row::Residual,
            Self::Drift { .. } => Row::Drift,
            Self::Gap { .. } | Self::Duplicate | Self::Reordered | Self::SourceBack { .. } => Row::Sequence,
        }
    }
}
