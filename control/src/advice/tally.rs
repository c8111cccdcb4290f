//! What became of the recommendations, counted.

use std::time::Duration;

use signals::{Fixed, MAX_MVS};

use super::{Answer, Proposed, Violates};

/// The statistics of a run's recommendations.
///
/// `offered = accepted + rejected + expired + superseded + withdrawn`, and one more while one is open.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Recommendations offered.
    pub offered: u64,
    /// Taken by a person.
    pub accepted: u64,
    /// Declined by a person.
    pub rejected: u64,
    /// Unanswered when their time was over.
    pub expired: u64,
    /// Replaced by one that differs from them by more than the tolerance.
    pub superseded: u64,
    /// Unanswered when the loop left ADVISORY or the controller stood by them no longer.
    pub withdrawn: u64,
    /// Answers refused because their number was stale.
    pub refused_stale: u64,
    /// Answers refused because nobody's name stood with them.
    pub refused_unsigned: u64,
    /// Plant time from the offer to the answer, all answered ones together.
    pub answered_after: Duration,
    /// Proposals of the controller that were looked at, one a cycle.
    pub proposals: u64,
    /// Of these, the ones of which at least one set-point, written as it was, would have violated a bound.
    pub would_have_violated: u64,
    /// How many set-points would have violated the operator's limits, the rate, the windup, the hard limits.
    pub would_have_violated_by: [u64; 4],
    /// Recommendations that were not taken (rejected, or expired), after each of which a horizon was looked at.
    pub untaken: u64,
    /// Of these, the ones after which a CV that had been inside the operator's limits left them within the horizon.
    pub untaken_violated: u64,
    /// Per MV: the recommendations that would change it by what is worth an offer.
    pub mvs: Fixed<MvTally, MAX_MVS>,
}

/// The recommendations that spoke of one MV.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MvTally {
    /// Offered.
    pub offered: u64,
    /// Accepted.
    pub accepted: u64,
    /// Rejected.
    pub rejected: u64,
}

impl Tally {
    /// The part of the recommendations that were taken, of those that a person could have answered to their end: accepted,
    /// rejected, expired. `None` before the first of them.
    #[must_use]
    pub fn acceptance(&self) -> Option<f64> {
        let of = self.accepted + self.rejected + self.expired;
        (of > 0).then(|| self.accepted as f64 / of as f64)
    }

    /// The mean plant time from the offer to the answer, in seconds; `None` before the first answer.
    #[must_use]
    pub fn mean_answer_s(&self) -> Option<f64> {
        let answers = self.accepted + self.rejected;
        (answers > 0).then(|| self.answered_after.as_secs_f64() / answers as f64)
    }

    pub(super) fn proposal(&mut self, proposed: &Proposed) {
        self.proposals += 1;
        let mut any = false;
        for violates in proposed.violates.iter().flatten() {
            any = true;
            let place = match violates {
                Violates::Operator => 0,
                Violates::Rate => 1,
                Violates::Windup => 2,
                Violates::Hard => 3,
            };
            if let Some(times) = self.would_have_violated_by.get_mut(place) {
                *times += 1;
            }
        }
        self.would_have_violated += u64::from(any);
    }

    pub(super) fn offer(&mut self, speaks_of: impl Iterator<Item = bool>) {
        self.offered += 1;
        let mvs = self.mvs.iter_mut().zip(speaks_of);
        mvs.for_each(|(mv, spoken_of)| mv.offered += u64::from(spoken_of));
    }

    pub(super) fn answer(&mut self, answer: Answer, after: Duration, speaks_of: impl Iterator<Item = bool>) {
        self.answered_after += after;
        let accepted = answer == Answer::Accept;
        *(if accepted { &mut self.accepted } else { &mut self.rejected }) += 1;
        for (mv, spoken_of) in self.mvs.iter_mut().zip(speaks_of) {
            *(if accepted { &mut mv.accepted } else { &mut mv.rejected }) += u64::from(spoken_of);
        }
    }
}
