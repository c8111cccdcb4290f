//! The tape: what the control thread tells of itself, so that a run can be done again.

use control::advice::Advice;
use safety::ApprovedMove;
use signals::Stamp;
use signals::dcs::ApcView;

use crate::board::{Beat, Board, Solved};
use crate::kernel::{Unwitnessed, Witness};
use crate::ports::Inlet;

/// One thing that went into the loop's outputs, or came out.
#[derive(Clone, Copy, Debug)]
pub enum Entry<'a> {
    /// A beat of the pacer, after the image was latched.
    Beat {
        /// The beat.
        beat: Beat,
        /// When it came; within a cycle later than [`Beat::at`].
        now: Stamp,
        /// Scheduled beats that were dropped before it.
        dropped: u64,
        /// The input image of the scan that it begins.
        image: &'a Inlet,
    },
    /// In: what the solver has answered is taken over, at a beat or by the selector.
    Solved(&'a Solved),
    /// Out: the status tags of a scan.
    View(&'a ApcView),
    /// Out: a move goes to the [`crate::MoveSink`].
    Move(&'a ApprovedMove),
    /// Out: a recommendation is offered to a person. His answer comes in with an image.
    Recommended(&'a Advice),
}

/// Where the control thread tells, in its order, all that its outputs depend on, and the outputs. With this the loop's
/// stages can be stepped again, without actors, threads or a clock, and come to the same outputs bit for bit
/// ([`crate::Playback`]). It must neither block nor, in the steady state, allocate.
pub trait Tape: Witness {
    /// Notes an entry. What a beat or a step does is noted between its own entry or [`crate::kernel::Act::Step`] and the next act.
    fn note(&self, entry: Entry<'_>);
}

impl Tape for Unwitnessed {
    fn note(&self, _entry: Entry<'_>) {}
}

/// Takes over what the solver has answered: the selector does at its step, and the driver at each beat, so that no answer
/// is lost while the selector is down.
pub(crate) fn take_over(board: &Board, tape: &dyn Tape) {
    while let Some(answer) = board.answers.take() {
        tape.note(Entry::Solved(&answer));
        board.solved.put(answer);
    }
}
