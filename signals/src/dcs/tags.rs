//! The table of tags.

use std::fmt;

use crate::vote::TRANSMITTERS;
use crate::{Spared, TagId};

/// Who owns a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The DCS writes it, the APC application reads it.
    DcsToApc,
    /// The APC application writes it, the DCS reads it.
    ApcToDcs,
}

/// A tag of the hand-shake. MVs, CVs and DVs are counted from 0 here and from 1 in the tag's name.
///
/// The order is that in which the link writes: a recommendation's number comes after all that belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each variant is the tag of that name in docs/dcs-interface.md")]
pub enum DcsTag {
    HbApc,
    HbEcho,
    HbDcs,
    ModeReq,
    ModeAct,
    Lease,
    Permit,
    WdOk,
    ShedReason,
    SolveSts,
    CycleMs,
    Overruns,
    CfgRev,
    RecAccept,
    RecReject,
    RecUser,
    RecReason,
    RecExpiryS,
    RecSp(u8),
    RecPred(u8),
    RecHold(u8),
    RecStaleId,
    RecStatus,
    RecId,
    Mv(u8, MvTag),
    Cv(u8, CvTag),
    Dv(u8, DvTag),
}

/// A tag of one MV.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each variant is the tag of that name in docs/dcs-interface.md")]
pub enum MvTag {
    SpReq,
    SpAct,
    Mode,
    OprOn,
    InitReq,
    InitAck,
    Sts,
    Windup,
    LoOpr,
    HiOpr,
    ClampLo,
    ClampHi,
    RocMax,
    ShedOpt,
}

/// A tag of one CV.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each variant is the tag of that name in docs/dcs-interface.md")]
pub enum CvTag {
    Pv,
    OprOn,
    SpOpr,
    LoOpr,
    HiOpr,
    SsTgt,
    Pred,
    Sts,
    PvB,
    PvC,
}

/// A tag of one DV.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each variant is the tag of that name in docs/dcs-interface.md")]
pub enum DvTag {
    Pv,
    OprOn,
    PvB,
    PvC,
}

impl MvTag {
    const ALL: [(Self, &'static str, Direction); 14] = {
        use Direction::{ApcToDcs, DcsToApc};
        [
            (Self::SpReq, "SP_REQ", ApcToDcs),
            (Self::SpAct, "SP_ACT", DcsToApc),
            (Self::Mode, "MODE", DcsToApc),
            (Self::OprOn, "OPR_ON", DcsToApc),
            (Self::InitReq, "INIT_REQ", DcsToApc),
            (Self::InitAck, "INIT_ACK", ApcToDcs),
            (Self::Sts, "STS", ApcToDcs),
            (Self::Windup, "WINDUP", DcsToApc),
            (Self::LoOpr, "LO_OPR", DcsToApc),
            (Self::HiOpr, "HI_OPR", DcsToApc),
            (Self::ClampLo, "CLAMP_LO", DcsToApc),
            (Self::ClampHi, "CLAMP_HI", DcsToApc),
            (Self::RocMax, "ROC_MAX", DcsToApc),
            (Self::ShedOpt, "SHED_OPT", DcsToApc),
        ]
    };
}

impl CvTag {
    const ALL: [(Self, &'static str, Direction); 10] = {
        use Direction::{ApcToDcs, DcsToApc};
        [
            (Self::Pv, "PV", DcsToApc),
            (Self::OprOn, "OPR_ON", DcsToApc),
            (Self::SpOpr, "SP_OPR", DcsToApc),
            (Self::LoOpr, "LO_OPR", DcsToApc),
            (Self::HiOpr, "HI_OPR", DcsToApc),
            (Self::SsTgt, "SS_TGT", ApcToDcs),
            (Self::Pred, "PRED", ApcToDcs),
            (Self::Sts, "STS", ApcToDcs),
            (Self::PvB, "PV_B", DcsToApc),
            (Self::PvC, "PV_C", DcsToApc),
        ]
    };

    /// The measurements: the tag's own transmitter, then its spares.
    const MEASURED: [Self; TRANSMITTERS] = [Self::Pv, Self::PvB, Self::PvC];
}

impl DvTag {
    const ALL: [(Self, &'static str, Direction); 4] = {
        use Direction::DcsToApc;
        [
            (Self::Pv, "PV", DcsToApc),
            (Self::OprOn, "OPR_ON", DcsToApc),
            (Self::PvB, "PV_B", DcsToApc),
            (Self::PvC, "PV_C", DcsToApc),
        ]
    };

    /// The measurements: the tag's own transmitter, then its spares.
    const MEASURED: [Self; TRANSMITTERS] = [Self::Pv, Self::PvB, Self::PvC];
}

const LOOP_TAGS: [(DcsTag, &str, Direction); 21] = {
    use Direction::{ApcToDcs, DcsToApc};
    [
        (DcsTag::HbApc, "HB_APC", ApcToDcs),
        (DcsTag::HbEcho, "HB_ECHO", DcsToApc),
        (DcsTag::HbDcs, "HB_DCS", DcsToApc),
        (DcsTag::ModeReq, "MODE_REQ", DcsToApc),
        (DcsTag::ModeAct, "MODE_ACT", ApcToDcs),
        (DcsTag::Lease, "LEASE", DcsToApc),
        (DcsTag::Permit, "PERMIT", DcsToApc),
        (DcsTag::WdOk, "WD_OK", DcsToApc),
        (DcsTag::ShedReason, "SHED_REASON", ApcToDcs),
        (DcsTag::SolveSts, "SOLVE_STS", ApcToDcs),
        (DcsTag::CycleMs, "CYCLE_MS", ApcToDcs),
        (DcsTag::Overruns, "OVERRUNS", ApcToDcs),
        (DcsTag::CfgRev, "CFG_REV", ApcToDcs),
        (DcsTag::RecAccept, "REC.ACCEPT", DcsToApc),
        (DcsTag::RecReject, "REC.REJECT", DcsToApc),
        (DcsTag::RecUser, "REC.USER", DcsToApc),
        (DcsTag::RecReason, "REC.REASON", ApcToDcs),
        (DcsTag::RecExpiryS, "REC.EXPIRY_S", ApcToDcs),
        (DcsTag::RecStaleId, "REC.STALE_ID", ApcToDcs),
        (DcsTag::RecStatus, "REC.STATUS", ApcToDcs),
        (DcsTag::RecId, "REC.ID", ApcToDcs),
    ]
};

/// How many of each kind of variable a loop has: `u8` numbers index the tags.
fn numbers(count: usize) -> impl Iterator<Item = u8> {
    0..u8::try_from(count).unwrap_or(u8::MAX)
}

impl DcsTag {
    /// Every tag of a loop with `mvs`, `cvs` and `dvs` variables and no spare transmitters, in a fixed order.
    #[must_use]
    pub fn all(mvs: usize, cvs: usize, dvs: usize) -> Vec<Self> {
        let mut tags: Vec<_> = LOOP_TAGS.iter().map(|(tag, ..)| *tag).collect();
        tags.extend(numbers(mvs).map(Self::RecSp));
        tags.extend(numbers(cvs).flat_map(|n| [Self::RecPred(n), Self::RecHold(n)]));
        tags.extend(numbers(mvs).flat_map(|n| MvTag::ALL.map(|(t, ..)| Self::Mv(n, t))));
        tags.extend(numbers(cvs).flat_map(|n| CvTag::ALL.map(|(t, ..)| Self::Cv(n, t))));
        tags.extend(numbers(dvs).flat_map(|n| DvTag::ALL.map(|(t, ..)| Self::Dv(n, t))));
        tags.retain(|tag| !tag.is_spare());
        tags
    }

    /// The tags of the spare transmitters of a loop with `cvs` CVs and `dvs` DVs, which come behind [`Self::all`].
    pub fn spares(cvs: usize, dvs: usize, spared: Spared) -> impl Iterator<Item = Self> {
        let tags = (0..).map(TagId).take(cvs + dvs).filter(move |tag| spared.has(*tag));
        tags.flat_map(move |tag| (1..TRANSMITTERS).filter_map(move |n| Self::measuring(cvs, tag, n)))
    }

    /// The tag of a measurement: by a variable's own transmitter (0) or by one of its spares (1, 2).
    #[must_use]
    pub fn measuring(cvs: usize, tag: TagId, transmitter: usize) -> Option<Self> {
        let number = |n: usize| u8::try_from(n).ok();
        match tag.index().checked_sub(cvs) {
            None => Some(Self::Cv(number(tag.index())?, *CvTag::MEASURED.get(transmitter)?)),
            Some(dv) => Some(Self::Dv(number(dv)?, *DvTag::MEASURED.get(transmitter)?)),
        }
    }

    /// Of which variable it is a measurement, in a loop with `cvs` CVs, and by which of its transmitters; `None` for one that
    /// is no measurement.
    #[must_use]
    pub fn measured(self, cvs: usize) -> Option<(TagId, usize)> {
        let (index, transmitter) = match self {
            Self::Cv(n, tag) => (usize::from(n), CvTag::MEASURED.iter().position(|t| *t == tag)?),
            Self::Dv(n, tag) => (cvs + usize::from(n), DvTag::MEASURED.iter().position(|t| *t == tag)?),
            _ => return None,
        };
        u16::try_from(index).ok().map(|index| (TagId(index), transmitter))
    }

    /// Whether it is the measurement of a spare transmitter.
    #[must_use]
    pub fn is_spare(self) -> bool {
        self.measured(0).is_some_and(|(_, transmitter)| transmitter > 0)
    }

    /// Who owns the tag.
    #[must_use]
    pub fn direction(self) -> Direction {
        self.row().1
    }

    /// The number of its variable, counted from 0; 0 for a tag of the loop.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::RecSp(n) | Self::RecPred(n) | Self::RecHold(n) => n,
            Self::Mv(n, _) | Self::Cv(n, _) | Self::Dv(n, _) => n,
            _ => 0,
        }
    }

    /// Whether its value passes beside the images: a text of ours, on which no decision hangs.
    #[must_use]
    pub fn is_beside(self) -> bool {
        matches!(self, Self::CfgRev | Self::RecReason)
    }

    fn row(self) -> (&'static str, Direction) {
        fn find<T: PartialEq + Copy>(table: &[(T, &'static str, Direction)], tag: T) -> (&'static str, Direction) {
            table.iter().find(|row| row.0 == tag).map_or(("", Direction::DcsToApc), |row| (row.1, row.2))
        }
        match self {
            Self::RecSp(_) => ("REC.SP", Direction::ApcToDcs),
            Self::RecPred(_) => ("REC.PRED", Direction::ApcToDcs),
            Self::RecHold(_) => ("REC.HOLD", Direction::ApcToDcs),
            Self::Mv(_, t) => find(&MvTag::ALL, t),
            Self::Cv(_, t) => find(&CvTag::ALL, t),
            Self::Dv(_, t) => find(&DvTag::ALL, t),
            tag => find(&LOOP_TAGS, tag),
        }
    }
}

/// The tag's name below the application's prefix, such as `HB_APC`, `MV1.SP_REQ` or `REC.SP2`.
impl fmt::Display for DcsTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, number) = (self.row().0, self.number() + 1);
        match self {
            Self::RecSp(_) | Self::RecPred(_) | Self::RecHold(_) => write!(f, "{name}{number}"),
            Self::Mv(..) => write!(f, "MV{number}.{name}"),
            Self::Cv(..) => write!(f, "CV{number}.{name}"),
            Self::Dv(..) => write!(f, "DV{number}.{name}"),
            _ => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_interface_and_unique() {
        let tags = DcsTag::all(2, 3, 1);
        let mut names: Vec<_> = tags.iter().map(ToString::to_string).collect();
        for name in ["HB_APC", "MV1.SP_REQ", "MV2.INIT_ACK", "CV3.PV", "DV1.OPR_ON", "REC.SP2", "REC.PRED3", "REC.USER"]
        {
            assert!(names.iter().any(|n| n == name), "{name}");
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), tags.len());
    }

    #[test]
    fn a_spare_has_a_tag_only_where_it_is_configured() {
        let spares = |has: [bool; 3]| {
            DcsTag::spares(2, 1, Spared::collect(has)).map(|tag| tag.to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(spares([false; 3]), "");
        assert_eq!(spares([true, false, true]), "CV1.PV_B CV1.PV_C DV1.PV_B DV1.PV_C");
        assert!(DcsTag::all(1, 2, 1).iter().all(|tag| !tag.to_string().contains("PV_")));
        for tag in DcsTag::all(1, 2, 1).into_iter().chain(DcsTag::spares(2, 1, Spared::ALL)) {
            let back = tag.measured(2).and_then(|(measured, n)| DcsTag::measuring(2, measured, n));
            assert_eq!(back, tag.to_string().contains(".PV").then_some(tag), "{tag}");
        }
    }
}
