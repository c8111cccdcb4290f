//! Causes in words, for the log.

use std::fmt;

use super::{Cause, Fault, Mismatch, Silence};

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
            Self::Frozen { samples } => write!(f, "no change in {samples} samples since an input moved"),
            Self::Spike { value, median } => write!(f, "value {value} is an outlier, its neighbours are near {median}"),
            Self::Deviates { value, voted } => write!(f, "value {value} deviates from the vote {voted}"),
            Self::Disagree { low, high } => write!(f, "no two transmitters agree, from {low} to {high}"),
            Self::OneLeft { transmitter } => write!(f, "only transmitter {transmitter} is left"),
            Self::Residual { value, expected } => write!(f, "value {value}, the model expects {expected}"),
            Self::Drift { sum, limit } => write!(f, "drifts away from the model, sum {sum}, limit {limit}"),
            Self::Gap { missed } => write!(f, "{missed} samples lost"),
            Self::Duplicate => f.write_str("another sample under the same number"),
            Self::Reordered => f.write_str("an older sample after a newer one"),
            Self::SourceBack { by } => write!(f, "the source's time ran back by {:.3} s", by.as_secs_f64()),
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
            Self::Inconsistent(Mismatch::Expected) => f.write_str("number of expected values differs from the tags"),
            Self::Measurement { tag, fault } => write!(f, "{tag}: {fault}"),
            Self::Transmitter { tag, transmitter, fault } => write!(f, "{tag}, transmitter {transmitter}: {fault}"),
            Self::Balance { balance, residual, tolerance } => {
                write!(f, "balance {}: {residual} left, tolerance {tolerance}", balance + 1)
            }
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
            other => other.describe(f),
        }
    }
}

impl Cause {
    /// The words of checks 13, 14, 18, 19 and 21 to 24.
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Readback { mv, sp_act, expected } => {
                write!(f, "MV{}: SP_ACT is {sp_act} and was to be {expected} by now", mv + 1)
            }
            Self::Travel { mv, travel, limit } => {
                write!(f, "MV{}: moved by {travel} in its window, limit {limit}", mv + 1)
            }
            Self::Chatter { mv, reversals, limit } => {
                write!(f, "MV{}: turned back {reversals} times in its window, limit {limit}", mv + 1)
            }
            Self::OutOfDistribution { distance, limit } => {
                write!(f, "the policy is {distance} off its ground, limit {limit}")
            }
            Self::Disagreement { mv, by, limit } => {
                write!(f, "policy and MPC differ by {by} of the span of MV{}, limit {limit}", mv + 1)
            }
            Self::ClockJump { by_ns } => write!(f, "the wall clock jumped by {:.3} s", *by_ns as f64 * 1e-9),
            Self::ConfigChanged { held, seen } => write!(f, "configuration {seen} in force, {held} at the start"),
            Self::LeftRcas { mv } => write!(f, "MV{}: taken out of RCAS at the DCS", mv + 1),
            Self::ScanOverrun { gap, dropped } => {
                write!(f, "{:.3} s since the scan before, {dropped} beats dropped", gap.as_secs_f64())
            }
            _ => f.write_str(self.row().words()),
        }
    }
}
