//! One actor per tag: judges the newest sample of its tag, once per cycle.

use control::screening::Screen;
use signals::{MAX_MVS, TagId, Values};

use crate::board::Board;
use crate::kernel::{Clock, Doorbell, Stage};

/// Sample → Screened.
#[derive(Debug)]
pub(crate) struct Sensor {
    pub(crate) tag: TagId,
    pub(crate) screen: Screen,
    pub(crate) board: Board,
    pub(crate) estimator: Doorbell,
    pub(crate) clock: Clock,
    /// Set-points at the last cycle: a measurement that stands still is frozen only if an input has moved.
    pub(crate) last_u: Option<Values<MAX_MVS>>,
}

impl Stage for Sensor {
    fn step(&mut self) {
        let (Some(beat), Some(sample), Some(screened)) = (
            self.board.beat.read(),
            self.board.inlet.samples.get(self.tag.index()),
            self.board.screened.get(self.tag.index()),
        ) else {
            return;
        };
        let before = self.last_u;
        let moved = self.board.set_points_in_use(&mut self.last_u) != before;
        screened.put(self.screen.step(sample.read().as_ref(), moved, beat.cycle, beat.at));
        self.estimator.ring(self.clock.wall_ns());
    }
}
