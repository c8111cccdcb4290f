//! Assembles the cycle's frame and estimates the state.
//!
//! Every sensor rings. The estimator waits until all tags are judged for this cycle, or for the cut-off that the pacer
//! rings one scan after the beat: a sensor that has crashed costs its value, not the cycle.

use control::estimation::{Checkpoint, Ekf};
use control::frame::Frame;
use control::screening::Screened;
use signals::{Fixed, MAX_MVS, MAX_TAGS, Stamp, Values};

use crate::board::Board;
use crate::kernel::{Clock, Doorbell, LastGood, Latest, Stage};

/// Screened → Frame → Estimate.
#[derive(Debug)]
pub(crate) struct Estimator {
    pub(crate) ekf: Ekf,
    pub(crate) cvs: usize,
    pub(crate) board: Board,
    pub(crate) next: [Doorbell; 2],
    pub(crate) clock: Clock,
    pub(crate) last_cycle: u64,
    pub(crate) last_u: Option<Values<MAX_MVS>>,
    pub(crate) last_good: LastGood<EstimatorMemory>,
}

/// What an estimator's next incarnation must know: the belief, and of which cycle it is, so that no measurement is
/// weighed twice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EstimatorMemory {
    checkpoint: Checkpoint,
    last_cycle: u64,
    last_u: Option<Values<MAX_MVS>>,
}

impl Estimator {
    /// Goes on where its last incarnation stopped; does nothing where there was none.
    pub(crate) fn resumed(mut self) -> Self {
        if let Some(memory) = self.last_good.recall() {
            self.ekf.restore(&memory.checkpoint);
            (self.last_cycle, self.last_u) = (memory.last_cycle, memory.last_u);
        }
        self
    }
}

impl Stage for Estimator {
    fn step(&mut self, _now: Stamp) {
        let Some(beat) = self.board.beat.read().filter(|b| b.cycle != self.last_cycle) else { return };
        let screened: Fixed<Option<Screened>, MAX_TAGS> = Fixed::collect(self.board.screened.iter().map(Latest::read));
        let complete = screened.iter().all(|s| s.is_some_and(|s| s.cycle() == beat.cycle));
        if !complete && !beat.past_cut_off() {
            return;
        }
        let Some(u) = self.board.set_points_in_use(&mut self.last_u) else { return };
        self.last_cycle = beat.cycle;
        let frame = Frame::assemble(beat.cycle, beat.at, &screened, self.cvs);
        self.board.frame.put(frame);
        self.board.estimate.put(self.ekf.step(&frame, &u));
        let (checkpoint, last_cycle, last_u) = (self.ekf.checkpoint(), self.last_cycle, self.last_u);
        self.last_good.save(&EstimatorMemory { checkpoint, last_cycle, last_u });
        for bell in &self.next {
            bell.ring(self.clock.wall_ns());
        }
    }
}
