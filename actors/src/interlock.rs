//! The interlock actor: gathers the interlock's inputs, lets it step, and carries its decision out.
//!
//! Rung at every scan (T/10) by the pacer and by the selector when there is a proposal. A new incarnation, after a
//! crash, boots tripped: whatever had been granted is withdrawn (invariant I16). It takes up the latch of the one before,
//! so that the first cause of an earlier trip is not lost, and nothing else.

use std::sync::Arc;

use safety::{Decision, Inputs, Interlock, Latch, MoveKind, SolveReport, Verdict};
use signals::{Fixed, MAX_MVS, MAX_TAGS, ProposedMove, Sample, SolveStatus, Stamp, Values};

use control::selector::Selection;

use crate::board::{Board, LoopStatus};
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
    /// For the next incarnation.
    pub(crate) latch: Latest<Latch>,
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
            answered: self.answered,
            last_move: self.last_move,
        }
    }
}

impl Stage for Guard {
    fn step(&mut self, now: Stamp) {
        let (Some(beat), Some(dcs)) = (self.board.beat.read(), self.board.image.dcs.read()) else { return };
        let samples: Fixed<Option<Sample>, MAX_TAGS> =
            Fixed::collect(self.board.image.samples.iter().map(Latest::read));
        let (proposal, no_proposal_left) = self.selection();
        let solve = self.board.solved.read().map_or_else(SolveReport::default, |s| SolveReport {
            // A plan that nobody could use in time is no sign of a healthy solver.
            status: if s.is_late() { SolveStatus::TimeLimit } else { s.outcome.status },
            cycle: s.cycle,
            at: s.at,
        });
        let inputs = Inputs {
            samples: &samples,
            dcs: &dcs,
            link_up: self.board.image.link_up(),
            proposal: proposal.as_ref(),
            no_proposal_left,
            solve,
            cycle: beat.cycle,
            writes: self.board.image.writes.read().unwrap_or_default(),
        };
        let decision = self.interlock.step(&inputs, now);
        self.latch.put(self.interlock.latch());
        self.carry_out(decision, proposal.map(|p| p.cycle), now);
    }
}
