//! A loop's stages, stepped as a record of a run says, and nothing else: no actors, no threads, no clock that decides.
//!
//! A run's outputs are a function of what its tape was told ([`crate::tape::Tape`]): the images, the order and the times
//! of the steps, the crashes, and what each answer of the solver cost. Whoever reads the record fills
//! [`Playback::inlet`] and calls the methods in the recorded order; the stages are the loop's own, made by the same
//! wiring. What they put out goes to the playback's own tape.
//!
//! An answer of the solver is not believed but found again: by the same solver, on the problem that the played stages
//! state, asking the same questions and getting the same answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use safety::{ApprovedMove, Latch};
use signals::Stamp;

use crate::board::{Beat, Board};
use crate::children::Wiring;
use crate::driver::Bells;
use crate::kernel::supervision::{ChildSpec, Escalation};
use crate::kernel::{Act, Clock, Stage, Telemetry, Unobserved};
use crate::ports::{EventQueue, Inlet, MoveSink};
use crate::solver::{Answer, PlaybackError, PlayedSolver};
use crate::tape::{Entry, Tape, take_over};
use crate::wiring::{Ending, LoopConfig, WiringError};

/// How far the played loop goes: which stages it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// No proposer and no end.
    Shadow,
    /// A recommender.
    Advisory,
    /// A recommender and an actuator.
    ClosedLoop,
}

/// Swallows moves: the tape has them.
#[derive(Clone, Copy, Debug)]
struct Nowhere;

impl MoveSink for Nowhere {
    fn write(&mut self, _approved: ApprovedMove) {}
}

#[derive(Debug)]
struct Part {
    spec: ChildSpec,
    stage: Option<Box<dyn Stage>>,
}

/// The stages of one loop, to be stepped by hand.
#[derive(Debug)]
pub struct Playback {
    board: Board,
    parts: Vec<Part>,
    solver: PlayedSolver,
    telemetry: Telemetry,
    escalation: Escalation,
    tape: Arc<dyn Tape>,
}

impl Playback {
    /// The stages of a loop of this configuration, made as the loop makes them, its interlock with the latch of an earlier
    /// run. What they put out is told to `tape`.
    ///
    /// # Errors
    /// [`WiringError`], naming the part that cannot be made.
    pub fn new(config: LoopConfig, reach: Reach, latch: Latch, tape: Arc<dyn Tape>) -> Result<Self, WiringError> {
        let ending = match reach {
            Reach::Shadow => Ending::Shadow,
            Reach::Advisory => Ending::Advisory,
            Reach::ClosedLoop => Ending::ClosedLoop(Box::new(|| Box::new(Nowhere))),
        };
        let board = Board::with_spares(config.screens.len(), config.interlock.spared());
        board.latch.put(latch);
        let (telemetry, escalation) = (Telemetry::new(Box::new(Unobserved)), Escalation::default());
        let solver = PlayedSolver::default();
        let bells = Bells::of(config.screens.len());
        let wiring = Wiring {
            config,
            board: board.clone(),
            bells,
            // Asked for latencies only, which nobody reads here.
            clock: Clock::wall(1.0),
            telemetry: telemetry.clone(),
            tape: Arc::clone(&tape),
            played: Some(solver.clone()),
        };
        // Events are not outputs: nobody reads this log.
        let children = wiring.children(ending, EventQueue::new(), escalation.clone())?;
        let parts = children.into_iter().map(|mut spec| Part { stage: Some((spec.make)()), spec }).collect();
        Ok(Self { board, parts, solver, telemetry, escalation, tape })
    }

    /// Where the recorded image is put before [`Self::beat`].
    #[must_use]
    pub fn inlet(&self) -> &Inlet {
        &self.board.inlet
    }

    /// What the stages have put.
    #[must_use]
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// The names of the stages, by number.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.parts.iter().map(|part| part.spec.name)
    }

    /// A beat at `now`, after `dropped` that were missed: the inlet is latched.
    pub fn beat(&mut self, beat: Beat, now: Stamp, dropped: u64) {
        self.telemetry.count_overruns(dropped);
        self.board.image.latch(&self.board.inlet);
        self.board.beat.put(beat);
        self.tape.note(Entry::Beat { beat, now, dropped, image: &self.board.image });
        take_over(&self.board, &*self.tape);
    }

    /// One step of a stage. `false` when it panicked: then it is down until [`Self::restart`].
    ///
    /// # Errors
    /// [`PlaybackError`] when there is no such stage or it is down.
    pub fn step(&mut self, child: u16, now: Stamp) -> Result<bool, PlaybackError> {
        let part = self.parts.get_mut(usize::from(child)).ok_or(PlaybackError::NoChild { child })?;
        let stage = part.stage.as_mut().ok_or(PlaybackError::Down { child })?;
        self.tape.act(Act::Step { child, now });
        let through = catch_unwind(AssertUnwindSafe(|| stage.step(now))).is_ok();
        if !through {
            part.stage = None;
        }
        Ok(through)
    }

    /// The stage is down from now on.
    ///
    /// # Errors
    /// [`PlaybackError::NoChild`].
    pub fn crash(&mut self, child: u16) -> Result<(), PlaybackError> {
        self.parts.get_mut(usize::from(child)).ok_or(PlaybackError::NoChild { child })?.stage = None;
        Ok(())
    }

    /// A new incarnation of the stage.
    ///
    /// # Errors
    /// [`PlaybackError::NoChild`].
    pub fn restart(&mut self, child: u16) -> Result<(), PlaybackError> {
        let part = self.parts.get_mut(usize::from(child)).ok_or(PlaybackError::NoChild { child })?;
        // One that panics while it is made is down at once, as it was in the run.
        part.stage = catch_unwind(AssertUnwindSafe(|| (part.spec.make)())).ok();
        Ok(())
    }

    /// A stage is given up: from now on nothing is proposed.
    pub fn give_up(&mut self) {
        self.escalation.raise("played");
    }

    /// Solves as the recorded solver did, and lays the answer where the next beat or the selector's next step will take it.
    ///
    /// # Errors
    /// [`PlaybackError`] when the record names a problem that was not stated, or an answer is missing before it.
    pub fn answer(&mut self, answer: &Answer) -> Result<(), PlaybackError> {
        self.board.answers.put(self.solver.find(answer)?);
        Ok(())
    }

    /// Solves the newest problem without a time limit, if there is one that was not solved: for a loop that is asked what it
    /// would have done. The answer counts as given at `at`.
    pub fn answer_freely(&mut self, at: Stamp) {
        if let Some(solved) = self.solver.lock().solve_newest(at) {
            self.board.answers.put(solved);
        }
    }
}
