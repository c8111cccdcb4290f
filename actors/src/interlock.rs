//! The interlock actor: gathers the interlock's inputs, lets it step, and carries its decision out.
//!
//! Rung at every scan (T/10) by the pacer and by the selector when there is a proposal. A new incarnation, after a
//! crash, boots tripped: whatever had been granted is withdrawn (invariant I16). It takes up the latch of the one before,
//! so that the first cause of an earlier trip is not lost, and nothing else.

use std::sync::Arc;

use safety::{Cause, Decision, FirstOut, Inputs, Interlock, MoveKind, SolveReport, Verdict};
use signals::{Fixed, MAX_MVS, MAX_TAGS, MAX_TRANSMITTERS, ProposedMove, Sample, SolveStatus, Stamp, Values};

use control::selector::Selection;

use crate::board::{Board, LoopStatus, Tripped};
use crate::kernel::supervision::Escalation;
use crate::kernel::{Clock, Doorbell, Latest, Stage, Telemetry};
use crate::ports::EventQueue;
use crate::report;
use crate::tape::{Entry, Tape};

/// `ProposedMove` → `Verdict` → `ApprovedMove`.
#[derive(Debug)]
pub(crate) struct Guard {
    pub(crate) interlock: Interlock,
    pub(crate) board: Board,
    pub(crate) telemetry: Telemetry,
    /// Raised when a stage was given up: then nothing is proposed any more.
    pub(crate) escalation: Escalation,
    pub(crate) next: Doorbell,
    pub(crate) recommender: Doorbell,
    pub(crate) events: EventQueue,
    pub(crate) clock: Clock,
    pub(crate) tape: Arc<dyn Tape>,
    pub(crate) last_cycle: u64,
    pub(crate) last_move: Option<Values<MAX_MVS>>,
    pub(crate) answered: u64,
    /// The first-out that was handed out, or was there at the start.
    pub(crate) handed_out: Option<FirstOut>,
}

impl Guard {
    /// The selection of a cycle that was not looked at before, and whether the selector has nothing left.
    fn selection(&mut self) -> (Option<ProposedMove>, bool) {
        let given_up = self.escalation.is_raised();
        let Some(selected) = self.board.selected.read() else { return (None, given_up) };
        let fresh = selected.cycle != self.last_cycle;
        self.last_cycle = selected.cycle;
        match selected.selection {
            Selection::Move(proposed) if fresh && !given_up => (Some(proposed), false),
            Selection::Move(_) => (None, given_up),
            Selection::Shed => (None, true),
        }
    }

    /// What the model that runs beside the plant expects of each tag in this cycle or in the one before: in the first scans of
    /// a cycle it has not looked at it yet. Of a DV it expects nothing.
    fn expected(&self, cycle: u64) -> Fixed<Option<f64>, MAX_TAGS> {
        let Some(known) = self.board.model_error.read().filter(|known| known.cycle + 1 >= cycle) else {
            return Fixed::new();
        };
        let tags = self.interlock.config().tags.len();
        Fixed::collect(known.expected.iter().copied().chain(std::iter::repeat(None)).take(tags))
    }

    fn carry_out(&mut self, decision: Decision, proposed: Option<u64>, now: Stamp) {
        let dcs = self.board.image.dcs.read();
        let status = self.status_of(&decision, proposed, now);
        self.board.status.put(status);
        let view = report::apc_view(&self.board, &decision, dcs.as_ref(), &self.telemetry, now);
        for event in &decision.events {
            // A full log loses events, never time, and counts them.
            let _ = self.events.try_send(*event);
        }
        match decision.verdict {
            Verdict::Pass(approved) => {
                self.board.approved.put(approved);
                self.next.ring(self.clock.wall_ns());
            }
            Verdict::Recommend(recommended) => {
                // A loop that steps down to advising moves nothing any more.
                let _withdrawn = self.board.approved.take();
                self.board.recommended.put(recommended);
                self.recommender.ring(self.clock.wall_ns());
            }
            // What was approved and not yet fetched is withdrawn with the loop: no write after a shed or a trip (I5).
            Verdict::Withhold(_) | Verdict::Trip(_) if !decision.state.is_engaged() => {
                let _withdrawn = self.board.approved.take();
            }
            Verdict::Withhold(_) | Verdict::Trip(_) => {}
        }
        self.tape.note(Entry::View(&view));
        self.board.outlet.put(view);
    }

    fn status_of(&mut self, decision: &Decision, proposed: Option<u64>, now: Stamp) -> LoopStatus {
        if let Verdict::Pass(approved) = &decision.verdict {
            self.last_move = Some(Values::collect(approved.u().iter().copied()));
            self.answered = proposed.filter(|_| approved.kind() == MoveKind::Move).unwrap_or(self.answered);
        }
        LoopStatus {
            at: now,
            state: decision.state,
            mode_act: decision.mode_act,
            heartbeat: decision.heartbeat,
            first_out: decision.first_out,
            clamped: decision.clamped,
            filtered: self.board.solved.read().is_some_and(|s| s.outcome.guarded.is_some_and(|g| g.is_filtered())),
            answered: self.answered,
            last_move: self.last_move,
            bypasses: decision.bypasses,
        }
    }

    /// Hands a new first-out to whoever keeps it, with what came before. This allocates, once for a trip or shed and after
    /// everything that the plant feels. The start of a process is no trip.
    fn hand_out(&mut self, first_out: Option<FirstOut>) {
        if first_out == self.handed_out {
            return;
        }
        self.handed_out = first_out;
        if let Some(first_out) = first_out.filter(|first_out| first_out.cause != Cause::Boot) {
            let pre_trip = self.interlock.pre_trip().clone();
            self.board.tripped.put(Box::new(Tripped { first_out, pre_trip }));
        }
    }
}

impl Stage for Guard {
    fn step(&mut self, now: Stamp) {
        let (Some(beat), Some(dcs)) = (self.board.beat.read(), self.board.image.dcs.read()) else { return };
        let (proposal, no_proposal_left) = self.selection();
        let expected = self.expected(beat.cycle);
        let image = &self.board.image;
        let samples: Fixed<Option<Sample>, MAX_TRANSMITTERS> = Fixed::collect(image.samples.iter().map(Latest::read));
        let solve = self.board.solved.read().map_or_else(SolveReport::default, |s| SolveReport {
            // A plan that nobody could use in time is no sign of a healthy solver.
            status: if s.is_late() { SolveStatus::TimeLimit } else { s.outcome.status },
            cycle: s.cycle,
            at: s.at,
        });
        let bypasses = image.bypasses.read().unwrap_or_default();
        let inputs = Inputs {
            samples: &samples,
            expected: &expected,
            dcs: &dcs,
            link_up: image.link_up(),
            proposal: proposal.as_ref(),
            no_proposal_left,
            policy: None,
            solve,
            cycle: beat.cycle,
            writes: image.writes.read().unwrap_or_default(),
            bypasses: &bypasses,
            wall: image.calendar.read(),
            config_hash: image.changed_config.read().unwrap_or(self.interlock.config().config_hash),
            beats_dropped: self.telemetry.overruns(),
        };
        let decision = self.interlock.step(&inputs, now);
        let first_out = decision.first_out;
        self.board.latch.put(self.interlock.latch());
        self.carry_out(decision, proposal.map(|p| p.cycle), now);
        self.hand_out(first_out);
    }
}
