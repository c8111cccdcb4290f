//! The MPC actor: states the cycle's problem and hands it to the solver.

use std::time::Duration;

use control::targets::{OperatorValues, Targeting};
use signals::{MAX_MVS, Stamp, Values};

use crate::board::Board;
use crate::kernel::{Clock, LastGood, Stage};
use crate::solver::{Problem, Solver};

/// Estimate → problem → (solver) → `Solved`.
#[derive(Debug)]
pub(crate) struct Mpc {
    pub(crate) targeting: Targeting,
    pub(crate) solver: Solver,
    /// How long a plan may take, from the opening of its cycle.
    pub(crate) time_limit: Duration,
    pub(crate) board: Board,
    pub(crate) clock: Clock,
    pub(crate) last_cycle: u64,
    pub(crate) last_u: Option<Values<MAX_MVS>>,
    pub(crate) last_good: LastGood<MpcMemory>,
}

/// What the next incarnation must know: what the operator asked last, should his values be bad just then. The solver
/// outlives its stage by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MpcMemory {
    pub(crate) operator: OperatorValues,
    pub(crate) last_cycle: u64,
    pub(crate) last_u: Option<Values<MAX_MVS>>,
}

impl Stage for Mpc {
    fn step(&mut self, _now: Stamp) {
        let Some(estimate) = self.board.estimate.read().filter(|e| e.cycle() != self.last_cycle) else { return };
        self.last_cycle = estimate.cycle();
        let (Some(dcs), Some(in_use)) = (self.board.image.dcs.read(), self.board.set_points_in_use(&mut self.last_u))
        else {
            return;
        };
        if !estimate.valid() {
            return;
        }
        let status = self.board.status.read();
        let engaged = status.is_some_and(|s| s.engaged());
        // In closed loop the plan starts from what was approved last, which the DCS may not yet have confirmed.
        let u_prev = status.filter(|_| engaged).and_then(|s| s.last_move).unwrap_or(in_use);
        let targets = self.targeting.step(&dcs, &in_use, engaged);
        let opened_ns = self.board.beat.read().map_or_else(|| self.clock.wall_ns(), |b| b.wall_ns);
        let deadline = estimate.at() + self.time_limit;
        self.solver.solve(Problem { estimate, targets, u_prev, deadline, opened_ns });
        let operator = self.targeting.operator_values();
        self.last_good.save(&MpcMemory { operator, last_cycle: self.last_cycle, last_u: self.last_u });
    }
}
