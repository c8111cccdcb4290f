//! Recommendations outside of the loop: their words, their statistics for the pages and reports, and the audit.

mod audit;
mod reason;

use actors::Board;
use control::advice::{Advised, MvTally, Tally};
use serde::Serialize;

use crate::config::PlantFile;

pub use audit::{Audit, AuditError, AuditStatus};
pub(crate) use reason::reason;

/// What became of a run's recommendations; the words are explained in `docs/advisory.md`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AdviceReport {
    /// The newest recommendation.
    pub id: Option<u32>,
    /// What became of it: the label of `REC.STATUS`.
    pub status: String,
    /// Offered.
    pub offered: u64,
    /// Taken by a person.
    pub accepted: u64,
    /// Declined by a person.
    pub rejected: u64,
    /// Unanswered when their time was over.
    pub expired: u64,
    /// Replaced by another one.
    pub superseded: u64,
    /// Withdrawn.
    pub withdrawn: u64,
    /// Answers refused as stale.
    pub refused_stale: u64,
    /// Answers refused for want of a name.
    pub refused_unsigned: u64,
    /// Accepted, in percent of accepted, rejected and expired.
    pub acceptance_pct: Option<f64>,
    /// Mean plant time from the offer to the answer.
    pub mean_answer_s: Option<f64>,
    /// Proposals of the controller, one a cycle.
    pub proposals: u64,
    /// Of these, those that would have violated a bound.
    pub would_have_violated: u64,
    /// How many set-points would have, by bound.
    pub would_have_violated_by: ByBound,
    /// Recommendations rejected or expired.
    pub untaken: u64,
    /// Of these, those after which a CV left its limits within the horizon.
    pub untaken_violated: u64,
    /// By MV.
    pub mvs: Vec<MvAdvice>,
}

/// Set-points that would have violated a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ByBound {
    /// The operator's limits.
    pub operator: u64,
    /// The rate.
    pub rate: u64,
    /// The slave loop's saturation.
    pub windup: u64,
    /// The plant file's limits and the DCS's clamps.
    pub hard: u64,
}

/// The recommendations that spoke of one MV.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MvAdvice {
    /// The plant's name of it.
    pub tag: String,
    /// Offered.
    pub offered: u64,
    /// Accepted.
    pub accepted: u64,
    /// Rejected.
    pub rejected: u64,
}

impl ByBound {
    pub(crate) fn of(tally: &Tally) -> Self {
        let [operator, rate, windup, hard] = tally.would_have_violated_by;
        Self { operator, rate, windup, hard }
    }
}

impl AdviceReport {
    /// Reads it from the loop's slots; `None` where nothing is ever recommended.
    #[must_use]
    pub fn read(board: &Board, mv_tags: &[String]) -> Option<Self> {
        board.advised.read().map(|advised| Self::of(&advised, mv_tags))
    }

    fn of(advised: &Advised, mv_tags: &[String]) -> Self {
        let tally = &advised.tally;
        let mvs = mv_tags.iter().zip(&tally.mvs).map(|(tag, mv)| {
            let MvTally { offered, accepted, rejected } = *mv;
            MvAdvice { tag: tag.clone(), offered, accepted, rejected }
        });
        Self {
            id: advised.advice.map(|advice| advice.id),
            status: advised.status.label(),
            offered: tally.offered,
            accepted: tally.accepted,
            rejected: tally.rejected,
            expired: tally.expired,
            superseded: tally.superseded,
            withdrawn: tally.withdrawn,
            refused_stale: tally.refused_stale,
            refused_unsigned: tally.refused_unsigned,
            acceptance_pct: tally.acceptance().map(|part| 100.0 * part),
            mean_answer_s: tally.mean_answer_s(),
            proposals: tally.proposals,
            would_have_violated: tally.would_have_violated,
            would_have_violated_by: ByBound::of(tally),
            untaken: tally.untaken,
            untaken_violated: tally.untaken_violated,
            mvs: mvs.collect(),
        }
    }
}

/// The plant's names of the MVs.
#[must_use]
pub fn mv_tags(plant: &PlantFile) -> Vec<String> {
    plant.mvs.iter().map(|mv| mv.tag.name.clone()).collect()
}
