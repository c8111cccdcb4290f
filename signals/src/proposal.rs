//! What a controller asks for. A proposal binds nobody: the interlock decides.

use crate::{MAX_MVS, Stamp, Values};

/// Who made a proposal, in the order in which a selector prefers them. The codes are those of the journal: one is never
/// given a second meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Proposer {
    /// A learned policy.
    Policy = 3,
    /// A fresh plan of the model predictive controller.
    Mpc = 0,
    /// The next move of the last feasible plan, its controller being late or without a solution.
    LastPlan = 1,
    /// The last applied set-points again.
    #[default]
    Hold = 2,
}

/// How an optimisation ended. Every ending is an outcome, none is an error. Its code is the tag `SOLVE_STS`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum SolveStatus {
    /// Nothing was solved yet.
    #[default]
    NotRun = 0,
    /// Solved within its tolerances.
    Solved = 1,
    /// Stopped at the iteration limit; the plan is feasible and not optimal.
    IterationLimit = 2,
    /// Stopped at its deadline.
    TimeLimit = 3,
    /// No plan satisfies the hard constraints.
    Infeasible = 4,
    /// The arithmetic broke down (NaN, loss of definiteness).
    Numerical = 5,
    /// The estimate or a limit was not usable, so that nothing was solved.
    BadInput = 6,
}

impl SolveStatus {
    /// Whether the plan that came with this status may be proposed.
    #[must_use]
    pub fn is_usable(self) -> bool {
        matches!(self, Self::Solved | Self::IterationLimit)
    }

    /// The code written to `SOLVE_STS`.
    #[must_use]
    pub fn code(self) -> u16 {
        self as u16
    }
}

/// A wish for the next set-points of all MVs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProposedMove {
    /// Who asks.
    pub proposer: Proposer,
    /// The control cycle for which it was computed.
    pub cycle: u64,
    /// When it was computed.
    pub computed_at: Stamp,
    /// After this it must not be used.
    pub valid_until: Stamp,
    /// Absolute set-points, one per MV in the plant file's order, in model units.
    pub u: Values<MAX_MVS>,
    /// How the solve behind it ended.
    pub solve: SolveStatus,
}
