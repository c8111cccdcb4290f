//! What a configuration may be refused for.

use std::fmt;

use signals::MAX_DVS;

use crate::check::CheckId;
use crate::row::Row;
use crate::subject::Measured;

/// What is wrong with a configuration.
#[derive(Clone, Debug, PartialEq)]
pub enum ConfigFault {
    /// The number of CVs, DVs or MVs is outside what a loop can hold.
    Count {
        /// What is counted.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// The most there may be.
        max: usize,
    },
    /// A duration or number of the loop that cannot be used.
    Loop {
        /// The field.
        field: &'static str,
        /// What it must be.
        must: &'static str,
    },
    /// A number of a measured tag that cannot be used.
    Tag {
        /// The tag.
        tag: Measured,
        /// The field.
        field: &'static str,
        /// What it must be.
        must: &'static str,
    },
    /// A number of an MV that cannot be used.
    Mv {
        /// The MV, counted from 0.
        mv: usize,
        /// The field.
        field: &'static str,
        /// What it must be.
        must: &'static str,
    },
    /// A number of a balance that cannot be used.
    Balance {
        /// The balance, counted from 0.
        balance: usize,
        /// The field.
        field: &'static str,
        /// What it must be.
        must: &'static str,
    },
    /// A check that cannot be switched off.
    AlwaysOn {
        /// The check.
        check: CheckId,
    },
}

/// What the safety crate can fail at.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SafetyError {
    /// A change of the matrix cannot be made.
    #[error("cause-and-effect matrix: {}", list(.faults))]
    Overlay {
        /// Everything that is wrong with it.
        faults: Vec<OverlayFault>,
    },
    /// The configuration cannot be used.
    #[error("interlock configuration: {}", list(.faults))]
    Config {
        /// Everything that is wrong with it.
        faults: Vec<ConfigFault>,
    },
}

fn list(faults: &[impl ToString]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count { what, count, max } => write!(f, "{count} {what}, must be 1 to {max} (DVs: 0 to {MAX_DVS})"),
            Self::Loop { field, must } => write!(f, "{field} must be {must}"),
            Self::Tag { tag, field, must } => write!(f, "{tag}: {field} must be {must}"),
            Self::Mv { mv, field, must } => write!(f, "MV{}: {field} must be {must}", mv + 1),
            Self::Balance { balance, field, must } => write!(f, "balance {}: {field} must be {must}", balance + 1),
            Self::AlwaysOn { check } => {
                write!(f, "check {} ({check:?}) cannot be switched off", check.number())
            }
        }
    }
}

/// Why a change of the matrix cannot be made.
#[derive(Clone, Debug, PartialEq)]
pub struct OverlayFault {
    /// Which change, counted from 1.
    pub number: usize,
    /// The row that it names.
    pub row: Row,
    /// The subject that it names.
    pub on: String,
    /// The key that is at fault.
    pub key: &'static str,
    /// What it must be.
    pub must: String,
}

impl fmt::Display for OverlayFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, row, on, key, must } = self;
        write!(f, "cell {number} ({row} on {on}): `{key}` must be {must}")
    }
}
