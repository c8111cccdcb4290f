//! The plant model, run uncorrected beside the plant: how far can the controller's predictions be believed?

use control::accuracy::OpenLoop;
use signals::{MAX_MVS, Stamp, Values};

use crate::board::Board;
use crate::kernel::Stage;

/// Frame, Estimate → `ModelError`. A side branch: the loop does not wait for it, and no decision hangs on it. So a new
/// incarnation anchors and counts anew.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) open_loop: OpenLoop,
    pub(crate) board: Board,
    pub(crate) last_u: Option<Values<MAX_MVS>>,
}

impl Stage for Model {
    fn step(&mut self, _now: Stamp) {
        let (Some(frame), Some(estimate)) = (self.board.frame.read(), self.board.estimate.read()) else { return };
        let Some(u) = self.board.set_points_in_use(&mut self.last_u) else { return };
        if let Some(error) = self.open_loop.step(&frame, &estimate, &u) {
            self.board.model_error.put(error);
        }
    }
}
