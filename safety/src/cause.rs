//! Why the interlock acted: the numbered checks, how hard each bites, and the cause that goes to the first-out and to
//! the tag `SHED_REASON`.
//!
//! # Codes of `SHED_REASON`
//! | code | cause |
//! |---|---|
//! | 0 | none |
//! | 1 | the process started |
//! | 2 | the clock ran back |
//! | 3 | the step was given inputs that do not fit its configuration |
//! | 10 | `PERMIT` false or bad |
//! | 11 | `WD_OK` false or bad |
//! | 12 | `LEASE` changed or bad |
//! | 13 | no MV left in service |
//! | 21–28 | writes to MV1–MV8 failed (a warning) |
//! | 31–38 | operator's limits of MV1–MV8 bad or crossed (a warning) |
//! | 100·k + n | check k; n: 0 the loop, 1–24 the measured tag (CVs, then DVs), 51–58 the command of MV1–MV8 |
//! | 1500, 1501 | check 15: the controller is silent; it has nothing left to propose |
//! | 1601–1603 | check 16: `HB_DCS` stands still; `HB_ECHO` lags; the link is down |
//! | 2400 | check 24: the control cycle stood still; told by the adapter, for the interlock cannot |
//!
//! Codes are part of the interface: one is never given a second meaning.
//!
//! Every number in a [`Cause`] is finite, so that a latch survives a text format that knows no infinity.

use std::fmt;
use std::time::Duration;

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
    /// The checks that this release carries out.
    pub const IMPLEMENTED: [Self; 10] = [
        Self::Quality,
        Self::Age,
        Self::NotFinite,
        Self::Range,
        Self::Rate,
        Self::CommandRange,
        Self::CommandRate,
        Self::ControllerSilent,
        Self::DcsHeartbeat,
        Self::SolverStatus,
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
    /// Give the MVs back to the DCS; an operator acknowledges.
    Shed,
    /// Stop; an operator resets.
    Trip,
}

/// A measured variable of the loop, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variable {
    /// A controlled variable.
    Cv(u16),
    /// A disturbance variable.
    Dv(u16),
}

/// A measured tag by its place in the loop and by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// The index of [`signals::TagId`].
    pub tag: u16,
    /// The variable that it measures.
    pub variable: Variable,
}

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
}

impl Fault {
    /// The check that found it.
    #[must_use]
    pub fn check(self) -> CheckId {
        match self {
            Self::Bad | Self::Uncertain => CheckId::Quality,
            Self::Missing | Self::Old { .. } | Self::Early { .. } => CheckId::Age,
            Self::NotFinite => CheckId::NotFinite,
            Self::High { .. } | Self::Low { .. } => CheckId::Range,
            Self::Fast { .. } => CheckId::Rate,
        }
    }
}

/// How a step's inputs fail to fit its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mismatch {
    /// Not one sample slot per tag.
    Samples,
    /// Not one block of DCS readings per MV.
    Mvs,
    /// A proposal that has not one value per MV.
    Proposal,
    /// The cycle number ran back.
    Cycle,
}

/// Which sign of life of the DCS is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Silence {
    /// `HB_DCS` does not advance.
    HbDcs,
    /// `HB_ECHO` does not follow `HB_APC`.
    HbEcho,
    /// The connection is down.
    Link,
}

/// Why the interlock acted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The process started; it always starts tripped.
    Boot,
    /// A step's time lies before the step before it.
    ClockBack {
        /// By how much.
        by: Duration,
    },
    /// A step's inputs do not fit the configuration.
    Inconsistent(Mismatch),
    /// Checks 1 to 5.
    Measurement {
        /// The tag.
        tag: Measured,
        /// What is wrong with it.
        fault: Fault,
    },
    /// Check 3 on a command: a proposal holds NaN or an infinity.
    CommandNotFinite {
        /// The first such MV, counted from 0.
        mv: u16,
    },
    /// Check 15: no proposal for too long.
    ControllerSilent {
        /// How long.
        silent: Duration,
    },
    /// Check 15: the selector has nothing left to propose.
    NoProposalLeft,
    /// Check 16.
    DcsSilent {
        /// Which sign of life is missing.
        source: Silence,
    },
    /// Check 17: no usable solution for so many cycles in a row.
    SolverFailing {
        /// How many.
        cycles: u64,
    },
    /// `PERMIT` is false or bad.
    NoPermit,
    /// `WD_OK` is false or bad.
    WatchdogTripped,
    /// `LEASE` is no longer the one under which the loop engaged.
    LeaseLost {
        /// The lease held.
        held: u32,
        /// The lease now read; `None` when its quality is bad.
        seen: Option<u32>,
    },
    /// No MV is left in service.
    NoMvInService,
    /// Writes to an MV failed so often that it went out of service.
    WritesFail {
        /// The MV, counted from 0.
        mv: u16,
        /// Failures in a row.
        failures: u32,
    },
    /// The operator's limits of an MV are bad or crossed; the last good ones stand in.
    OperatorLimits {
        /// The MV, counted from 0.
        mv: u16,
    },
}

impl Cause {
    /// The check behind the cause; `None` for a cause of the hand-shake or of the interlock itself.
    #[must_use]
    pub fn check(&self) -> Option<CheckId> {
        Some(match self {
            Self::Measurement { fault, .. } => fault.check(),
            Self::CommandNotFinite { .. } => CheckId::NotFinite,
            Self::ControllerSilent { .. } | Self::NoProposalLeft => CheckId::ControllerSilent,
            Self::DcsSilent { .. } => CheckId::DcsHeartbeat,
            Self::SolverFailing { .. } => CheckId::SolverStatus,
            _ => return None,
        })
    }

    /// The code for `SHED_REASON`; the table stands at the head of this module.
    #[must_use]
    pub fn code(&self) -> u16 {
        let hundreds = 100 * self.check().map_or(0, CheckId::number);
        hundreds
            + match self {
                Self::Boot => 1,
                Self::ClockBack { .. } => 2,
                Self::Inconsistent(_) => 3,
                Self::NoPermit => 10,
                Self::WatchdogTripped => 11,
                Self::LeaseLost { .. } => 12,
                Self::NoMvInService => 13,
                Self::WritesFail { mv, .. } => mv + 21,
                Self::OperatorLimits { mv } => mv + 31,
                Self::Measurement { tag, .. } => tag.tag + 1,
                Self::CommandNotFinite { mv } => mv + 51,
                Self::ControllerSilent { .. } | Self::SolverFailing { .. } => 0,
                Self::NoProposalLeft => 1,
                Self::DcsSilent { source: Silence::HbDcs } => 1,
                Self::DcsSilent { source: Silence::HbEcho } => 2,
                Self::DcsSilent { source: Silence::Link } => 3,
            }
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.variable {
            Variable::Cv(n) => write!(f, "CV{} (tag {})", n + 1, self.tag),
            Variable::Dv(n) => write!(f, "DV{} (tag {})", n + 1, self.tag),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bad => f.write_str("quality bad"),
            Self::Uncertain => f.write_str("quality uncertain"),
            Self::Missing => f.write_str("no sample yet"),
            Self::Old { age } => write!(f, "sample {:.3} s old", age.as_secs_f64()),
            Self::Early { ahead } => write!(f, "sample {:.3} s ahead of the clock", ahead.as_secs_f64()),
            Self::NotFinite => f.write_str("value not finite"),
            Self::High { value, limit } => write!(f, "value {value} above high limit {limit}"),
            Self::Low { value, limit } => write!(f, "value {value} below low limit {limit}"),
            Self::Fast { per_s, limit_per_s } => write!(f, "changes by {per_s} per s, limit {limit_per_s}"),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boot => f.write_str("the process started"),
            Self::ClockBack { by } => write!(f, "the clock ran back by {:.3} s", by.as_secs_f64()),
            Self::Inconsistent(Mismatch::Samples) => f.write_str("number of samples differs from the configuration"),
            Self::Inconsistent(Mismatch::Mvs) => f.write_str("number of MVs differs from the configuration"),
            Self::Inconsistent(Mismatch::Proposal) => f.write_str("number of proposed values differs from the MVs"),
            Self::Inconsistent(Mismatch::Cycle) => f.write_str("the cycle number ran back"),
            Self::Measurement { tag, fault } => write!(f, "{tag}: {fault}"),
            Self::CommandNotFinite { mv } => write!(f, "MV{}: proposed value not finite", mv + 1),
            Self::ControllerSilent { silent } => write!(f, "no proposal for {:.3} s", silent.as_secs_f64()),
            Self::NoProposalLeft => f.write_str("the controllers have nothing left to propose"),
            Self::DcsSilent { source: Silence::HbDcs } => f.write_str("HB_DCS stands still"),
            Self::DcsSilent { source: Silence::HbEcho } => f.write_str("HB_ECHO does not follow HB_APC"),
            Self::DcsSilent { source: Silence::Link } => f.write_str("link to the DCS down"),
            Self::SolverFailing { cycles } => write!(f, "no usable solution for {cycles} cycles"),
            Self::NoPermit => f.write_str("PERMIT false or bad"),
            Self::WatchdogTripped => f.write_str("WD_OK false or bad"),
            Self::LeaseLost { held, seen: Some(seen) } => write!(f, "LEASE changed from {held} to {seen}"),
            Self::LeaseLost { held, seen: None } => write!(f, "LEASE {held} cannot be confirmed, its quality is bad"),
            Self::NoMvInService => f.write_str("no MV in service"),
            Self::WritesFail { mv, failures } => write!(f, "MV{}: {failures} writes failed in a row", mv + 1),
            Self::OperatorLimits { mv } => {
                write!(f, "MV{}: operator's limits bad or crossed, the last good ones hold", mv + 1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measurement(tag: u16, fault: Fault) -> Cause {
        Cause::Measurement { tag: Measured { tag, variable: Variable::Cv(tag) }, fault }
    }

    #[test]
    fn a_cause_reads_as_a_sentence() {
        let high = measurement(1, Fault::High { value: 151.2, limit: 140.0 });
        assert_eq!(high.to_string(), "CV2 (tag 1): value 151.2 above high limit 140");
        let dv = Measured { tag: 3, variable: Variable::Dv(0) };
        let old = Cause::Measurement { tag: dv, fault: Fault::Old { age: Duration::from_millis(2600) } };
        assert_eq!(old.to_string(), "DV1 (tag 3): sample 2.600 s old");
    }

    #[test]
    fn codes_are_those_of_the_table_and_differ() {
        let table = [
            (Cause::Boot, 1),
            (Cause::ClockBack { by: Duration::ZERO }, 2),
            (Cause::Inconsistent(Mismatch::Cycle), 3),
            (Cause::NoPermit, 10),
            (Cause::WatchdogTripped, 11),
            (Cause::LeaseLost { held: 1, seen: None }, 12),
            (Cause::NoMvInService, 13),
            (Cause::WritesFail { mv: 7, failures: 2 }, 28),
            (Cause::OperatorLimits { mv: 7 }, 38),
            (measurement(0, Fault::Bad), 101),
            (measurement(23, Fault::Missing), 224),
            (measurement(1, Fault::NotFinite), 302),
            (Cause::CommandNotFinite { mv: 0 }, 351),
            (measurement(1, Fault::Low { value: 0.0, limit: 1.0 }), 402),
            (measurement(1, Fault::Fast { per_s: 2.0, limit_per_s: 1.0 }), 502),
            (Cause::ControllerSilent { silent: Duration::ZERO }, 1500),
            (Cause::NoProposalLeft, 1501),
            (Cause::DcsSilent { source: Silence::HbDcs }, 1601),
            (Cause::DcsSilent { source: Silence::HbEcho }, 1602),
            (Cause::DcsSilent { source: Silence::Link }, 1603),
            (Cause::SolverFailing { cycles: 5 }, 1700),
        ];
        for (i, (cause, code)) in table.iter().enumerate() {
            assert_eq!(cause.code(), *code, "{cause}");
            assert!(table.iter().skip(i + 1).all(|(_, other)| other != code), "{cause}");
        }
    }
}
