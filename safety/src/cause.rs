//! Why the interlock acted: the cause that goes to the first-out and to the tag `SHED_REASON`.
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
//! | 100·k + n | check k; n: 0 the loop, 1–24 the measured tag (CVs, then DVs), 51–58 the command of MV1–MV8, 61–76 the balance |
//! | 1500, 1501 | check 15: the controller is silent; it has nothing left to propose |
//! | 1601–1603 | check 16: `HB_DCS` stands still; `HB_ECHO` lags; the link is down |
//! | 2400 | check 24: the control cycle stood still; told by the adapter, for the interlock cannot |
//! | 2401 | check 24: the interlock's own scan was late, or beats were dropped |
//!
//! Codes are part of the interface: one is never given a second meaning.
//!
//! Every number in a [`Cause`] is finite, so that a latch survives a text format that knows no infinity.

mod fault;
mod words;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::check::CheckId;
use crate::config_hash::ConfigHash;
use crate::row::Row;
use crate::subject::{Measured, Subject};

pub use fault::Fault;

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
    /// Neither no expected value at all nor one per tag.
    Expected,
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
    /// Checks 1 to 10 and 20 on a measured tag.
    Measurement {
        /// The tag.
        tag: Measured,
        /// What is wrong with it.
        fault: Fault,
    },
    /// Check 8: one of a tag's three transmitters is lost or deviates.
    Transmitter {
        /// The tag.
        tag: Measured,
        /// The transmitter, 1 for the tag's own.
        transmitter: u8,
        /// What is wrong with it.
        fault: Fault,
    },
    /// Check 9: a balance does not close.
    Balance {
        /// The balance, counted from 0.
        balance: u16,
        /// What is left.
        residual: f64,
        /// What may be left.
        tolerance: f64,
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
    /// Check 13: the DCS confirmed a set-point and does not follow it.
    Readback {
        /// The MV, counted from 0.
        mv: u16,
        /// `SP_ACT`.
        sp_act: f64,
        /// Where it should have gone by now.
        expected: f64,
    },
    /// Check 14: the MV was moved too far in its window.
    Travel {
        /// The MV, counted from 0.
        mv: u16,
        /// The sum of its moves.
        travel: f64,
        /// The limit.
        limit: f64,
    },
    /// Check 14: the MV turned back too often in its window.
    Chatter {
        /// The MV, counted from 0.
        mv: u16,
        /// How often.
        reversals: u32,
        /// The limit.
        limit: u32,
    },
    /// Check 18: the policy is asked for what it has not learned.
    OutOfDistribution {
        /// How far off its ground it is; the greatest number when it did not say.
        distance: f64,
        /// The limit.
        limit: f64,
    },
    /// Check 19: the policy and the MPC disagree.
    Disagreement {
        /// The MV on which they differ most, counted from 0.
        mv: u16,
        /// By how much of its span; the greatest number when there is nothing to compare with.
        by: f64,
        /// The limit.
        limit: f64,
    },
    /// Check 21: the wall clock jumped against the monotonic one.
    ClockJump {
        /// By how many nanoseconds; above 0 is ahead.
        by_ns: i64,
    },
    /// Check 22: the configuration in force is not the one at the start.
    ConfigChanged {
        /// That of the start.
        held: ConfigHash,
        /// That in force now.
        seen: ConfigHash,
    },
    /// Check 23: an MV in service was taken out of RCAS at the DCS.
    LeftRcas {
        /// The MV, counted from 0.
        mv: u16,
    },
    /// Check 24: the interlock's own scan was late, or beats were dropped.
    ScanOverrun {
        /// Since the step before.
        gap: Duration,
        /// Beats dropped since the step before.
        dropped: u64,
    },
}

/// A number as a [`Cause`] may hold it: a NaN or an infinity is the greatest number.
pub(crate) fn finite(x: f64) -> f64 {
    if x.is_nan() { f64::MAX } else { x.clamp(f64::MIN, f64::MAX) }
}

impl Cause {
    /// The row of the matrix that it belongs to.
    #[must_use]
    pub fn row(&self) -> Row {
        match self {
            Self::Boot => Row::Boot,
            Self::ClockBack { .. } => Row::ClockBack,
            Self::Inconsistent(_) => Row::Inconsistent,
            Self::Measurement { fault, .. } => fault.row(),
            Self::Transmitter { .. } => Row::Transmitter,
            Self::Balance { .. } => Row::Balance,
            Self::CommandNotFinite { .. } => Row::CommandNotFinite,
            Self::ControllerSilent { .. } => Row::ControllerSilent,
            Self::NoProposalLeft => Row::NoProposalLeft,
            Self::DcsSilent { source: Silence::HbDcs } => Row::HbDcs,
            Self::DcsSilent { source: Silence::HbEcho } => Row::HbEcho,
            Self::DcsSilent { source: Silence::Link } => Row::Link,
            Self::SolverFailing { .. } => Row::SolverHold,
            Self::NoPermit => Row::Permit,
            Self::WatchdogTripped => Row::WdOk,
            Self::LeaseLost { .. } => Row::Lease,
            Self::NoMvInService => Row::NoMvInService,
            Self::WritesFail { .. } => Row::WritesFail,
            Self::OperatorLimits { .. } => Row::OperatorLimits,
            Self::Readback { .. } => Row::Readback,
            Self::Travel { .. } => Row::Travel,
            Self::Chatter { .. } => Row::Chatter,
            Self::OutOfDistribution { .. } => Row::OutOfDistribution,
            Self::Disagreement { .. } => Row::Disagreement,
            Self::ClockJump { .. } => Row::ClockJump,
            Self::ConfigChanged { .. } => Row::ConfigHash,
            Self::LeftRcas { .. } => Row::LeftRcas,
            Self::ScanOverrun { .. } => Row::ScanOverrun,
        }
    }

    /// What it speaks of.
    #[must_use]
    pub fn subject(&self) -> Subject {
        match self {
            Self::Measurement { tag, .. } | Self::Transmitter { tag, .. } => Subject::Tag(*tag),
            Self::Balance { balance, .. } => Subject::Balance(*balance),
            Self::CommandNotFinite { mv }
            | Self::WritesFail { mv, .. }
            | Self::OperatorLimits { mv }
            | Self::Readback { mv, .. }
            | Self::Travel { mv, .. }
            | Self::Chatter { mv, .. }
            | Self::LeftRcas { mv } => Subject::Mv(*mv),
            _ => Subject::Loop,
        }
    }

    /// The check behind the cause; `None` for a cause of the hand-shake or of the interlock itself.
    #[must_use]
    pub fn check(&self) -> Option<CheckId> {
        self.row().check()
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
                Self::NoProposalLeft | Self::ScanOverrun { .. } => 1,
                Self::DcsSilent { source: Silence::HbDcs } => 1,
                Self::DcsSilent { source: Silence::HbEcho } => 2,
                Self::DcsSilent { source: Silence::Link } => 3,
                _ => self.subject().number(),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::Variable;

    const NONE: Duration = Duration::ZERO;

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
    fn a_cause_of_the_loop_or_an_mv_says_what_was_seen() {
        for (cause, words) in [
            (Cause::Readback { mv: 0, sp_act: 1.0, expected: 2.5 }, "MV1: SP_ACT is 1 and was to be 2.5 by now"),
            (Cause::Travel { mv: 1, travel: 2.0, limit: 1.0 }, "MV2: moved by 2 in its window, limit 1"),
            (Cause::Chatter { mv: 0, reversals: 7, limit: 6 }, "MV1: turned back 7 times in its window, limit 6"),
            (Cause::OutOfDistribution { distance: 2.0, limit: 1.0 }, "the policy is 2 off its ground, limit 1"),
            (
                Cause::Disagreement { mv: 1, by: 0.5, limit: 0.2 },
                "policy and MPC differ by 0.5 of the span of MV2, limit 0.2",
            ),
            (Cause::ClockJump { by_ns: 1_500_000_000 }, "the wall clock jumped by 1.500 s"),
            (
                Cause::ConfigChanged { held: ConfigHash(1), seen: ConfigHash(2) },
                "configuration 0000000000000002 in force, 0000000000000001 at the start",
            ),
            (Cause::LeftRcas { mv: 1 }, "MV2: taken out of RCAS at the DCS"),
            (
                Cause::ScanOverrun { gap: Duration::from_millis(250), dropped: 3 },
                "0.250 s since the scan before, 3 beats dropped",
            ),
        ] {
            assert_eq!(cause.to_string(), words);
        }
    }

    #[test]
    fn codes_are_those_of_the_table_and_differ() {
        let table = [
            (Cause::Boot, 1),
            (Cause::ClockBack { by: NONE }, 2),
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
            (Cause::ControllerSilent { silent: NONE }, 1500),
            (Cause::NoProposalLeft, 1501),
            (Cause::DcsSilent { source: Silence::HbDcs }, 1601),
            (Cause::DcsSilent { source: Silence::HbEcho }, 1602),
            (Cause::DcsSilent { source: Silence::Link }, 1603),
            (Cause::SolverFailing { cycles: 5 }, 1700),
            (measurement(0, Fault::Frozen { samples: 3 }), 601),
            (measurement(0, Fault::Spike { value: 2.0, median: 1.0 }), 701),
            (measurement(2, Fault::Disagree { low: 1.0, high: 2.0 }), 803),
            (measurement(0, Fault::Residual { value: 2.0, expected: 1.0 }), 901),
            (Cause::Balance { balance: 15, residual: 2.0, tolerance: 1.0 }, 976),
            (measurement(0, Fault::Drift { sum: 2.0, limit: 1.0 }), 1001),
            (Cause::Readback { mv: 0, sp_act: 1.0, expected: 2.0 }, 1351),
            (Cause::Travel { mv: 7, travel: 2.0, limit: 1.0 }, 1458),
            (Cause::OutOfDistribution { distance: 2.0, limit: 1.0 }, 1800),
            (Cause::Disagreement { mv: 0, by: 2.0, limit: 1.0 }, 1900),
            (measurement(0, Fault::Duplicate), 2001),
            (Cause::ClockJump { by_ns: 1 }, 2100),
            (Cause::ConfigChanged { held: ConfigHash(1), seen: ConfigHash(2) }, 2200),
            (Cause::LeftRcas { mv: 1 }, 2352),
            (Cause::ScanOverrun { gap: NONE, dropped: 1 }, 2401),
        ];
        for (i, (cause, code)) in table.iter().enumerate() {
            assert_eq!(cause.code(), *code, "{cause}");
            assert!(table.iter().skip(i + 1).all(|(_, other)| other != code), "{cause}");
        }
    }
}
