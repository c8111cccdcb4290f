//! Advisory mode: one recommendation at a time for a person to judge, and what became of each.
//!
//! ```text
//! Recommended (interlock), plan, Estimate ──> Adviser ──> Advised (REC.* for the DCS, audit, statistics)
//!                  REC.ACCEPT, REC.REJECT, REC.USER ──────┘
//! ```
//!
//! The plan's last set-points, inside every bound that the interlock names, are offered under a number and stay as they
//! are until they are answered, expire, are withdrawn, or a plan differs from them by more than a tolerance: nothing
//! changes under the person's hands. An answer quotes the number. Nobody here writes a set-point (I11): who accepts applies.
//!
//! | answer to | verdict |
//! |---|---|
//! | the open recommendation, in time, under a name | Accepted, Rejected |
//! | any other number: unknown, superseded, withdrawn, expired, answered | refused as stale |
//! | the open one, without a good name | refused as unsigned; it stays open |
//!
//! What stood on a tag at the start is no answer, nor is a bad reading, nor 0. An answer is judged one scan after it was
//! seen, so that the name that was written with it has come; whether it is in time is judged by when it was seen. A
//! rejection that comes with an acceptance of the same number is heard first.
//!
//! Numbers begin behind those that stand on the answer tags at the start: an answer to an earlier run quotes none of this.
//!
//! # Invariants
//! - An offered value lies within the bounds given with its proposal.
//! - A recommendation is answered once at most; afterwards its number is stale.
//! - While an answer waits to be judged, nothing supersedes, withdraws or expires the recommendation.
//! - Pure and `Copy`: equal inputs give equal verdicts, so a run's answers are judged again by its replay.

mod adviser;
mod forecast;
mod tally;
#[cfg(test)]
mod tests;

use std::time::Duration;

use signals::dcs::{DcsView, RecStatus, Text};
use signals::{Fixed, MAX_CVS, MAX_MVS, Proposer, Stamp, Values};

pub use adviser::Adviser;
pub use forecast::{Forecast, ForecastConfig, Foretold};
pub use tally::{MvTally, Tally};

/// When something is worth a person's attention.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdviserConfig {
    /// How long a recommendation holds; and how long after an answer the same is not offered again.
    pub expiry: Duration,
    /// How far ahead its effect is foretold; so long is looked for violations after one that was not taken.
    pub horizon: Duration,
    /// Per MV, in the model's order.
    pub mvs: Fixed<Worth, MAX_MVS>,
}

/// Differences of one MV's set-point, in model units.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Worth {
    /// A smaller change is not offered.
    pub offer: f64,
    /// A smaller difference does not supersede an open recommendation.
    pub supersede: f64,
}

/// What the controller would have done in a cycle, as the interlock shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Proposed {
    /// The control cycle.
    pub cycle: u64,
    /// Who proposed it.
    pub proposer: Proposer,
    /// Where the plan leads; `None` where there is no plan of this cycle: then nothing new is offered.
    pub target: Option<Values<MAX_MVS>>,
    /// The set-points in use.
    pub u_now: Values<MAX_MVS>,
    /// Which MVs it speaks of.
    pub concerns: Fixed<bool, MAX_MVS>,
    /// How low each may go.
    pub low: Values<MAX_MVS>,
    /// How high.
    pub high: Values<MAX_MVS>,
    /// The bound that the bare move would have violated.
    pub violates: Fixed<Option<Violates>, MAX_MVS>,
}

/// A bound that a proposal would have violated, had it been written as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violates {
    /// The operator's limits.
    Operator,
    /// The rate.
    Rate,
    /// The slave loop's saturation.
    Windup,
    /// The plant file's limits or the DCS's clamps.
    Hard,
}

/// A recommendation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Advice {
    /// Its number, to be quoted in the answer.
    pub id: u32,
    /// The control cycle of its plan.
    pub cycle: u64,
    /// Who proposed it.
    pub proposer: Proposer,
    /// When it was offered.
    pub offered_at: Stamp,
    /// After this it is void.
    pub expires_at: Stamp,
    /// The set-points in use at that time.
    pub from: Values<MAX_MVS>,
    /// The recommended set-points, in the model's order and unit.
    pub u: Values<MAX_MVS>,
    /// Which MVs it speaks of; of the others `u` is `from`.
    pub concerns: Fixed<bool, MAX_MVS>,
    /// What it is expected to do to each CV.
    pub effects: Fixed<CvEffect, MAX_CVS>,
}

/// What a recommendation is expected to do to one CV, in model units, and what the operator had asked of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CvEffect {
    /// The measurement; `None` where there was no good one.
    pub pv: Option<f64>,
    /// The operator's set-point; `None` where there is none or the CV is switched off.
    pub setpoint: Option<f64>,
    /// The operator's limits; `None` where they are bad or the CV is switched off.
    pub limits: Option<(f64, f64)>,
    /// At the end of the horizon, if the set-points stay where they are.
    pub hold: f64,
    /// At the end of the horizon, if the recommendation is taken.
    pub pred: f64,
}

impl CvEffect {
    /// Whether the measurement lies outside the operator's limits.
    #[must_use]
    pub fn is_outside(&self) -> bool {
        self.pv.zip(self.limits).is_some_and(|(pv, (low, high))| pv < low || pv > high)
    }
}

/// What a person answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `REC.ACCEPT`.
    Accept,
    /// `REC.REJECT`.
    Reject,
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was the open recommendation, and is now closed by this answer.
    Taken,
    /// Refused: the number is not that of an open recommendation, or it came too late.
    Stale,
    /// Refused: nobody's name stood with it.
    Unsigned,
}

/// What is to be written down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum News {
    /// A recommendation was offered.
    Offered(Advice),
    /// An answer was judged.
    Answered {
        /// When it was seen.
        at: Stamp,
        /// The number that it quotes.
        id: u32,
        /// What was answered.
        answer: Answer,
        /// The name that stood with it; empty where none did.
        user: Text,
        /// What became of it.
        verdict: Verdict,
        /// The recommendation, where the number is that of the newest.
        advice: Option<Advice>,
    },
    /// The open recommendation ended without an answer.
    Ended {
        /// When.
        at: Stamp,
        /// Its number.
        id: u32,
        /// How.
        end: End,
    },
    /// After a recommendation that was not taken, a CV left the operator's limits.
    Violated {
        /// When.
        at: Stamp,
        /// The recommendation's number.
        id: u32,
        /// The CV, counted from 0.
        cv: u8,
    },
}

/// How a recommendation ends without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its time was over.
    Expired,
    /// A plan differed from it by more than the tolerance.
    Superseded,
    /// The loop left ADVISORY, or the controller stood by it no longer.
    Withdrawn,
}

/// What a step is given.
#[derive(Clone, Copy, Debug)]
pub struct AdviserInput<'a> {
    /// Plant time.
    pub now: Stamp,
    /// The control cycle.
    pub cycle: u64,
    /// The number of the input image; steps of one image share it.
    pub image: u64,
    /// The newest image of the DCS.
    pub dcs: &'a DcsView,
    /// Whether the interlock is in ADVISORY.
    pub advising: bool,
    /// What came with this step.
    pub proposed: Option<&'a Proposed>,
}

/// What is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Advised {
    /// The newest recommendation.
    pub advice: Option<Advice>,
    /// What became of it.
    pub status: RecStatus,
    /// The number that the last stale answer quoted; 0 for none.
    pub stale_id: u32,
    /// The statistics.
    pub tally: Tally,
}
