//! The controller with the safety filter and the model's contract behind it: one optimiser, one answer.
//!
//! ```text
//! MpcInput ──▶ Nmpc ──▶ plan ──▶ SafetyFilter ──▶ plan of the filter ──▶ Selector
//!     └──────▶ Contract ── void ──▶ no plan
//! ```
//!
//! What leaves is a plan of the filter: its first move is the nearest safe one to the controller's, and those behind it are
//! the backup plan. So whoever selects plays the backup by playing the last plan on, and needs to know nothing of a
//! filter: a solver that is late, hangs or breaks costs the proposal, not the backup.
//!
//! | what happens | status of the answer | what the selector does |
//! |---|---|---|
//! | passed, changed, backup | the controller's | plays its first move, and the next ones while no answer follows |
//! | no backup is left | `Infeasible` | the last plan, then holds, then sheds |
//! | the contract is void | `BadInput` | likewise; the last plan is one of the filter, from when it held |
//! | the controller has no plan | the controller's | likewise |
//!
//! # Invariants
//! - With [`Guards::All`] no plan leaves that the filter did not give.
//! - With [`Guards::Untrusted`] the controller's plans are untouched, bit for bit.

use plant_models::PlantModel;
use signals::{Fixed, SolveStatus, Values};

use crate::contract::{Contract, ContractConfig, ContractError, ContractInput, ContractStatus};
use crate::guard_report::{GuardReport, Outcome};
use crate::mpc::{MpcConfig, MpcError, MpcInput, MpcOutcome, Nmpc};
use crate::safety_filter::{FilterConfig, FilterError, FilterInput, Filtered, SafetyFilter};

/// Whose proposals the filter judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guards {
    /// Every proposer's, the controller's too.
    All,
    /// Only those of proposers that give no guarantee of their own; the controller is none of them.
    Untrusted,
}

/// What stands behind the controller.
#[derive(Clone, Debug, PartialEq)]
pub struct GuardConfig {
    /// Whom the filter judges.
    pub guards: Guards,
    /// The filter.
    pub filter: FilterConfig,
    /// The contract; `None` where it is not watched.
    pub contract: Option<ContractConfig>,
}

/// A part that cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GuardError {
    /// The controller.
    #[error(transparent)]
    Mpc(#[from] MpcError),
    /// The filter.
    #[error("filter: {0}")]
    Filter(#[from] FilterError),
    /// The contract.
    #[error("contract: {0}")]
    Contract(#[from] ContractError),
}

/// The guarded controller of one loop.
#[derive(Debug)]
pub struct Guarded {
    nmpc: Nmpc,
    guards: Guards,
    filter: SafetyFilter,
    contract: Option<Contract>,
}

impl Guarded {
    /// A controller of `model` and its guard.
    ///
    /// # Errors
    /// [`GuardError`], of the part that does not fit the model.
    pub fn new(model: &'static dyn PlantModel, mpc: MpcConfig, guard: GuardConfig) -> Result<Self, GuardError> {
        let contract = guard.contract.map(|contract| Contract::new(model, contract)).transpose()?;
        let (nmpc, filter) = (Nmpc::new(model, mpc)?, SafetyFilter::new(model, guard.filter)?);
        Ok(Self { nmpc, guards: guard.guards, filter, contract })
    }

    /// [`Nmpc::prepare`].
    pub fn prepare(&mut self, next: &MpcInput<'_>, late: &dyn Fn() -> bool) {
        self.nmpc.prepare(next, late);
    }

    /// [`Nmpc::solve`], and what the guard leaves of its plan. `late` counts for both.
    pub fn solve(&mut self, input: &MpcInput<'_>, late: &dyn Fn() -> bool) -> MpcOutcome {
        let contract = self.judge_model(input);
        let mut outcome = self.nmpc.solve(input, late);
        let alarm = !contract.admits_untrusted();
        let mut report = GuardReport { outcome: None, certified: false, slack: Values::new(), alarm, contract };
        if self.guards == Guards::All {
            if !contract.admits_untrusted() {
                (outcome.status, outcome.plan) = (SolveStatus::BadInput, None);
            } else if let Some(first) = outcome.plan.and_then(|plan| plan.u.first().copied()) {
                let filtered = self.admit(input, &first, late);
                report = GuardReport {
                    outcome: Some(filtered.outcome),
                    certified: filtered.certified,
                    slack: filtered.slack,
                    alarm: filtered.alarm || matches!(filtered.outcome, Outcome::Backup { .. }),
                    contract,
                };
                replace(&mut outcome, &filtered);
            }
        }
        outcome.guarded = Some(report);
        outcome
    }

    /// Filters the proposal of whoever gives no guarantee, on this cycle's input. A void contract admits nobody: ask
    /// [`GuardReport::contract`] of the cycle first.
    pub fn admit(&mut self, input: &MpcInput<'_>, proposal: &[f64], late: &dyn Fn() -> bool) -> Filtered {
        let MpcInput { cycle, x, d, p, u_prev, u_lo, u_hi, du_max, .. } = *input;
        self.filter.step(&FilterInput { cycle, x, d, p, u_prev, proposal, u_lo, u_hi, du_max }, late)
    }

    fn judge_model(&mut self, input: &MpcInput<'_>) -> ContractStatus {
        let MpcInput { cycle, x, d, p, u_prev: u, .. } = *input;
        let step = |contract: &mut Contract| contract.step(&ContractInput { cycle, x, d, p, u });
        self.contract.as_mut().map_or(ContractStatus::Holding, step)
    }
}

/// Puts the filter's plan in the place of the controller's.
fn replace(outcome: &mut MpcOutcome, filtered: &Filtered) {
    let Some(plan) = outcome.plan.as_mut().filter(|_| !filtered.plan.is_empty()) else {
        (outcome.status, outcome.plan) = (SolveStatus::Infeasible, None);
        return;
    };
    plan.u = Fixed::collect(filtered.plan.iter().copied());
    if !filtered.cv_next.is_empty() {
        (plan.cv_next, plan.cv_end) = (filtered.cv_next, filtered.cv_end);
    }
}

#[cfg(test)]
mod tests;
