//! The selector actor: whose move is put to the interlock this cycle.
//!
//! Rung by the solver when it is done, and by the pacer at the solve deadline: whichever comes first decides the cycle.

use std::sync::Arc;
use std::time::Duration;

use control::selector::{Selector, SelectorInput};
use signals::{MAX_MVS, Stamp, Values};

use crate::board::{Board, Selected};
use crate::kernel::{Clock, Doorbell, LastGood, Stage};
use crate::tape::{Tape, take_over};

/// `Solved` → `ProposedMove`, or nothing left.
#[derive(Debug)]
pub(crate) struct Select {
    pub(crate) period: Duration,
    pub(crate) board: Board,
    pub(crate) deadline_scan: u64,
    pub(crate) interlock: Doorbell,
    pub(crate) clock: Clock,
    pub(crate) tape: Arc<dyn Tape>,
    pub(crate) memory: SelectorMemory,
    pub(crate) last_good: LastGood<SelectorMemory>,
}

/// What a selector's next incarnation must know: the last plan, and since when it has been holding. Without them a crash
/// would take the fallback away, and crashes in a row would let it hold for ever.
#[derive(Clone, Debug)]
pub(crate) struct SelectorMemory {
    pub(crate) selector: Selector,
    pub(crate) last_cycle: u64,
    pub(crate) last_u: Option<Values<MAX_MVS>>,
}

impl Stage for Select {
    fn step(&mut self, now: Stamp) {
        take_over(&self.board, &*self.tape);
        let Some(beat) = self.board.beat.read().filter(|b| b.cycle != self.memory.last_cycle) else { return };
        // An answer of an earlier cycle is late, and still the newest plan to fall back on.
        let newest = self.board.solved.read();
        let answered = newest.as_ref().is_some_and(|s| s.cycle == beat.cycle);
        if !answered && beat.scan < self.deadline_scan {
            return;
        }
        let Some(in_use) = self.board.set_points_in_use(&mut self.memory.last_u) else { return };
        self.memory.last_cycle = beat.cycle;
        let last_move = self.board.status.read().filter(|s| s.engaged()).and_then(|s| s.last_move);
        let selection = self.memory.selector.step(&SelectorInput {
            cycle: beat.cycle,
            now,
            valid_for: self.period,
            outcome: newest.as_ref().map(|s| &s.outcome),
            u_current: &last_move.unwrap_or(in_use),
        });
        self.board.selected.put(Selected { cycle: beat.cycle, selection });
        self.last_good.save(&self.memory);
        self.interlock.ring(self.clock.wall_ns());
    }
}

#[cfg(test)]
mod tests {
    use control::selector::{Selection, SelectorConfig};
    use signals::Proposer;
    use signals::dcs::{DcsView, Reading};

    use super::*;
    use crate::board::Beat;
    use crate::kernel::Unwitnessed;

    /// A selector of one MV without a solver, in its fresh state.
    fn select(board: &Board, last_good: &LastGood<SelectorMemory>) -> Select {
        let config = SelectorConfig { plan_max_age: 0, hold_max: 2 };
        Select {
            period: Duration::from_secs(1),
            board: board.clone(),
            deadline_scan: 4,
            interlock: Doorbell::new(),
            clock: Clock::wall(1.0),
            tape: Arc::new(Unwitnessed),
            memory: SelectorMemory { selector: Selector::new(config), last_cycle: 0, last_u: None },
            last_good: last_good.clone(),
        }
    }

    /// What is chosen in four cycles, when the selector crashes after the first and its heir remembers or does not.
    fn chosen(remembers: bool) -> [Option<Proposer>; 4] {
        let (board, last_good) = (Board::new(0), LastGood::new());
        let mut dcs = DcsView::sized(1, 0, 0);
        dcs.mvs[0].sp_act = Reading::of(300.0, Stamp::ZERO);
        board.image.dcs.put(dcs);
        let mut selector = select(&board, &last_good);
        std::array::from_fn(|k| {
            let cycle = k as u64 + 1;
            if cycle == 2 {
                selector = select(&board, &last_good);
                selector.memory = last_good.recall().filter(|_| remembers).unwrap_or(selector.memory.clone());
            }
            board.beat.put(Beat { cycle, scan: 4, ..Beat::default() });
            selector.step(Stamp::from_secs_f64(cycle as f64));
            match board.selected.read().unwrap().selection {
                Selection::Move(proposed) => Some(proposed.proposer),
                Selection::Shed => None,
            }
        })
    }

    #[test]
    fn a_crash_does_not_renew_the_bound_on_holding() {
        let hold = Some(Proposer::Hold);
        assert_eq!(chosen(true), [hold, hold, None, None]);
        assert_eq!(chosen(false), [hold, hold, hold, None], "the negative control: an heir that knows nothing");
    }
}
