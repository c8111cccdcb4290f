//! The end of a closed loop; in advisory and shadow nothing stands here.

use std::sync::Arc;

use signals::Stamp;

use crate::board::Board;
use crate::kernel::{Clock, Probe, Stage};
use crate::ports::MoveSink;
use crate::tape::{Entry, Tape};

/// `ApprovedMove` → plant.
#[derive(Debug)]
pub(crate) struct Actuator {
    pub(crate) sink: Box<dyn MoveSink>,
    pub(crate) board: Board,
    /// From the opening of the cycle to the hand-over of its move.
    pub(crate) cycle: Probe,
    pub(crate) clock: Clock,
    pub(crate) tape: Arc<dyn Tape>,
}

impl Stage for Actuator {
    fn step(&mut self, now: Stamp) {
        // An actuator that was down for a while finds an approval whose time is over.
        let Some(approved) = self.board.approved.take().filter(|a| now <= a.valid_until()) else { return };
        let cycle = approved.cycle();
        self.tape.note(Entry::Move(&approved));
        self.sink.write(approved);
        // Tracking and holding follow other rhythms; only the answer to a cycle's proposal is timed.
        let answered = self.board.status.read().is_some_and(|s| s.answered == cycle);
        if let Some(beat) = self.board.beat.read().filter(|b| answered && b.cycle == cycle) {
            self.cycle.record(self.clock.wall_ns() - beat.wall_ns);
        }
    }
}
