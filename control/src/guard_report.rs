//! What a guard says of a cycle, for displays.

use signals::{MAX_CVS, Values};

use crate::contract::ContractStatus;

/// What became of a proposal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// It is safe, and unchanged.
    Passed,
    /// The nearest safe move took its place; where no plan keeps the limits, the move of the least violation.
    Changed {
        /// By how many spans, the MV that was changed most; infinite when the proposal was not a number.
        by_spans: f64,
    },
    /// The search failed, was late, or found nothing as good: the next move of the stored plan.
    Backup {
        /// Moves of the stored plan that are left behind this one.
        left: usize,
    },
    /// Nothing is left to play.
    Exhausted,
}

/// What the guard says of a cycle, for displays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GuardReport {
    /// What became of the proposal; `None` when the filter was not asked.
    pub outcome: Option<Outcome>,
    /// Whether the plan is known to keep the limits. A filter that is asked and cannot say so is an alarm.
    pub certified: bool,
    /// Per CV, how far it lies outside its limits now or will under the plan.
    pub slack: Values<MAX_CVS>,
    /// Whether somebody should look: a slack above its tolerance, a plan that cannot be shown to be safe, a backup in use, a
    /// contract that is void.
    pub alarm: bool,
    /// The contract.
    pub contract: ContractStatus,
}

impl GuardReport {
    /// Whether another move than the proposed one was put in its place.
    #[must_use]
    pub fn is_filtered(&self) -> bool {
        matches!(self.outcome, Some(Outcome::Changed { .. } | Outcome::Backup { .. }))
    }
}
