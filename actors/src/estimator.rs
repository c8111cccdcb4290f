//! Assembles the cycle's frame and estimates the state.
//!
//! Every sensor rings. The estimator waits until all tags are judged for this cycle, or for the cut-off that the pacer
//! rings one scan after the beat: a sensor that has crashed costs its value, not the cycle.

use control::estimation::Ekf;
use control::frame::Frame;
use control::screening::Screened;
use signals::{Fixed, MAX_MVS, MAX_TAGS, Stamp, Values};

use crate::board::Board;
use crate::kernel::{Clock, Doorbell, Latest, Stage};

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
}

impl Estimator {
    /// A filter that goes on where its last incarnation stopped.
    pub(crate) fn resume(mut ekf: Ekf, cvs: usize, board: Board, next: [Doorbell; 2], clock: Clock) -> Self {
        if let Some(checkpoint) = board.checkpoint.read() {
            ekf.restore(&checkpoint);
        }
        Self { ekf, cvs, board, next, clock, last_cycle: 0, last_u: None }
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
        self.board.checkpoint.put(self.ekf.checkpoint());
        for bell in &self.next {
            bell.ring(self.clock.wall_ns());
        }
    }
}
