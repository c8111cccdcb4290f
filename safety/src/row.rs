//! The rows of the cause-and-effect matrix: every kind of cause that the interlock knows.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::check::CheckId;
use crate::reaction::Effect;

/// A kind of cause. The rows of one kind of subject follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
#[allow(missing_docs, reason = "each variant is the row of that key in the table below, which has the words")]
pub enum Row {
    Quality,
    Age,
    NotFinite,
    Range,
    Rate,
    Frozen,
    Spike,
    Transmitter,
    TwoDisagree,
    OneLeft,
    Residual,
    Drift,
    Sequence,
    Balance,
    Readback,
    Travel,
    Chatter,
    LeftRcas,
    CommandNotFinite,
    CommandRange,
    CommandRate,
    WritesFail,
    OperatorLimits,
    OutOfDistribution,
    Disagreement,
    ClockJump,
    ConfigHash,
    ScanOverrun,
    ControllerSilent,
    NoProposalLeft,
    HbDcs,
    HbEcho,
    Link,
    SolverHold,
    SolverShed,
    Permit,
    WdOk,
    Lease,
    NoMvInService,
    Boot,
    ClockBack,
    Inconsistent,
}

/// Key, check, effect where nobody may choose it, what is looked at.
type Facts = (Row, &'static str, Option<CheckId>, Option<Effect>, &'static str);

const TABLE: [Facts; 42] = {
    use Effect::{Clamp, Hold, Shed, Trip, Warn};
    [
        (Row::Quality, "quality", Some(CheckId::Quality), None, "quality bad or uncertain"),
        (Row::Age, "age", Some(CheckId::Age), None, "sample missing, too old or from the future"),
        (Row::NotFinite, "not_finite", Some(CheckId::NotFinite), None, "NaN or infinity, measured"),
        (Row::Range, "range", Some(CheckId::Range), None, "out of range"),
        (Row::Rate, "rate", Some(CheckId::Rate), None, "changes too fast"),
        (Row::Frozen, "frozen", Some(CheckId::Frozen), None, "still, although an input moved"),
        (Row::Spike, "spike", Some(CheckId::Spike), None, "an outlier among its neighbours in time"),
        (
            Row::Transmitter,
            "transmitter",
            Some(CheckId::Redundancy),
            None,
            "one of three transmitters lost or deviating",
        ),
        (Row::TwoDisagree, "two_disagree", Some(CheckId::Redundancy), None, "no two transmitters agree"),
        (Row::OneLeft, "one_left", Some(CheckId::Redundancy), None, "one transmitter left of three"),
        (Row::Residual, "residual", Some(CheckId::Balance), None, "away from what the model expects"),
        (Row::Drift, "drift", Some(CheckId::ModelMismatch), None, "drifts away from the model (CUSUM)"),
        (Row::Sequence, "sequence", Some(CheckId::Sequence), None, "samples lost, repeated or out of order"),
        (Row::Balance, "balance", Some(CheckId::Balance), None, "a balance does not close"),
        (Row::Readback, "readback", Some(CheckId::Readback), None, "SP_ACT does not follow a confirmed SP_REQ"),
        (Row::Travel, "travel", Some(CheckId::Travel), None, "moved too far in the window"),
        (Row::Chatter, "chatter", Some(CheckId::Travel), None, "turned back too often in the window"),
        (Row::LeftRcas, "left_rcas", Some(CheckId::OperatorMode), None, "taken out of RCAS at the DCS"),
        (
            Row::CommandNotFinite,
            "command_not_finite",
            Some(CheckId::NotFinite),
            Some(Trip),
            "NaN or infinity, proposed",
        ),
        (Row::CommandRange, "command_range", Some(CheckId::CommandRange), Some(Clamp), "proposed outside its limits"),
        (Row::CommandRate, "command_rate", Some(CheckId::CommandRate), Some(Clamp), "proposed faster than its rate"),
        (Row::WritesFail, "writes_fail", None, Some(Warn), "writes fail; the MV goes out of service"),
        (Row::OperatorLimits, "operator_limits", None, Some(Warn), "operator's limits bad or crossed"),
        (
            Row::OutOfDistribution,
            "out_of_distribution",
            Some(CheckId::OutOfDistribution),
            None,
            "policy off its ground",
        ),
        (Row::Disagreement, "disagreement", Some(CheckId::Disagreement), None, "policy and MPC disagree"),
        (Row::ClockJump, "clock_jump", Some(CheckId::ClockJump), None, "wall clock jumps against the monotonic one"),
        (Row::ConfigHash, "config_hash", Some(CheckId::ConfigHash), None, "another configuration than at the start"),
        (
            Row::ScanOverrun,
            "scan_overrun",
            Some(CheckId::ScanOverrun),
            None,
            "the interlock's own scan late, or beats dropped",
        ),
        (Row::ControllerSilent, "controller_silent", Some(CheckId::ControllerSilent), Some(Hold), "no proposal"),
        (
            Row::NoProposalLeft,
            "no_proposal_left",
            Some(CheckId::ControllerSilent),
            Some(Shed),
            "nothing left to propose",
        ),
        (Row::HbDcs, "hb_dcs", Some(CheckId::DcsHeartbeat), Some(Shed), "HB_DCS stands still"),
        (Row::HbEcho, "hb_echo", Some(CheckId::DcsHeartbeat), Some(Shed), "HB_ECHO does not follow"),
        (Row::Link, "link", Some(CheckId::DcsHeartbeat), Some(Shed), "link to the DCS down"),
        (Row::SolverHold, "solver_hold", Some(CheckId::SolverStatus), Some(Hold), "solver fails"),
        (Row::SolverShed, "solver_shed", Some(CheckId::SolverStatus), Some(Shed), "solver goes on failing"),
        (Row::Permit, "permit", None, Some(Shed), "PERMIT false or bad"),
        (Row::WdOk, "wd_ok", None, Some(Shed), "WD_OK false or bad"),
        (Row::Lease, "lease", None, Some(Shed), "LEASE changed or bad"),
        (Row::NoMvInService, "no_mv_in_service", None, Some(Shed), "no MV left in service"),
        (Row::Boot, "boot", None, Some(Trip), "the process starts"),
        (Row::ClockBack, "clock_back", None, Some(Trip), "the clock runs back"),
        (Row::Inconsistent, "inconsistent", None, Some(Trip), "inputs do not fit the configuration"),
    ]
};

impl Row {
    /// Every row, in the order of the matrix.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|facts| facts.0)
    }

    /// The rows of a measured tag.
    pub(crate) const TAG: [Self; 13] = [
        Self::Quality,
        Self::Age,
        Self::NotFinite,
        Self::Range,
        Self::Rate,
        Self::Frozen,
        Self::Spike,
        Self::Transmitter,
        Self::TwoDisagree,
        Self::OneLeft,
        Self::Residual,
        Self::Drift,
        Self::Sequence,
    ];
    /// The rows of an MV whose reaction is configured.
    pub(crate) const MV: [Self; 4] = [Self::Readback, Self::Travel, Self::Chatter, Self::LeftRcas];
    /// The rows of an MV whose reaction is fixed.
    pub(crate) const MV_FIXED: [Self; 5] =
        [Self::CommandNotFinite, Self::CommandRange, Self::CommandRate, Self::WritesFail, Self::OperatorLimits];
    /// The rows of the loop whose reaction is configured.
    pub(crate) const LOOP: [Self; 5] =
        [Self::OutOfDistribution, Self::Disagreement, Self::ClockJump, Self::ConfigHash, Self::ScanOverrun];

    pub(crate) fn place(self) -> usize {
        usize::from(self as u8)
    }

    fn facts(self) -> Facts {
        TABLE.get(self.place()).copied().unwrap_or((self, "", None, None, ""))
    }

    /// Its name in a file.
    #[must_use]
    pub fn key(self) -> &'static str {
        self.facts().1
    }

    /// The check behind it; `None` for a cause of the hand-shake or of the interlock itself.
    #[must_use]
    pub fn check(self) -> Option<CheckId> {
        self.facts().2
    }

    /// The effect, where it is fixed.
    #[must_use]
    pub fn fixed_effect(self) -> Option<Effect> {
        self.facts().3
    }

    /// What is looked at, in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        self.facts().4
    }

    /// Whether nobody may switch it off or soften it.
    #[must_use]
    pub fn is_always_on(self) -> bool {
        self.check().is_some_and(|check| CheckId::ALWAYS_ON.contains(&check))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_stands_in_the_order_of_the_rows_and_its_keys_are_those_of_a_file() {
        for (place, (row, key, ..)) in TABLE.iter().enumerate() {
            assert_eq!(row.place(), place, "{key}");
            assert_eq!(serde_json::to_string(row).unwrap(), format!("\"{key}\""));
        }
        let follow = |rows: &[Row]| rows.windows(2).all(|pair| pair[0].place() + 1 == pair[1].place());
        assert!(follow(&Row::TAG) && follow(&Row::MV) && follow(&Row::LOOP));
    }

    #[test]
    fn every_row_has_words_of_its_own() {
        let mut words: Vec<_> = Row::all().map(Row::words).collect();
        words.sort_unstable();
        assert!(words[0].len() > 3 && words.windows(2).all(|pair| pair[0] != pair[1]), "{words:?}");
    }

    #[test]
    fn every_check_has_a_row() {
        for check in CheckId::ALL {
            assert!(Row::all().any(|row| row.check() == Some(check)), "{check:?}");
        }
    }

    #[test]
    fn an_effect_is_fixed_or_configured_and_never_both() {
        for row in Row::all() {
            let configured =
                Row::TAG.contains(&row) || Row::MV.contains(&row) || Row::LOOP.contains(&row) || row == Row::Balance;
            assert_ne!(configured, row.fixed_effect().is_some(), "{row}");
        }
    }
}
