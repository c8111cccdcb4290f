//! Our process as the model has it: the real interlock, and around it the slot in which an approval waits for the writer,
//! the writer's last look, and a controller that wants more than it may have.
//!
//! The wiring follows `actors/src/interlock.rs` (an approval that waits is withdrawn when the loop lets go) and
//! `runtime/src/opcua/outbound.rs` (the last look, the status before the set-points); it is the model's own code.

use std::sync::Arc;

use safety::{
    BypassSet, ConfigHash, Decision, Event, Inputs, Interlock, MoveKind, SolveReport, State, Verdict, WriteReport,
};
use signals::dcs::{DcsView, ModeActual, ModeRequest, MvMode, MvStatus, Reading};
use signals::{Fixed, ProposedMove, Proposer, Quality, Sample, SolveStatus, Stamp, TagId, Values};

use super::bug::Bug;
use super::oddity::Oddity;
use super::setup::{HIGH, LOW, MISREAD, PERIOD, Setup};

/// How far beyond the limits the controller wants to go.
const GREED: f64 = 40.0;
/// For so many cycles it wants to go in one direction.
const ONE_WAY: u64 = 8;

/// What the DCS said at one scan, with what its operator had done by then.
#[derive(Clone, Debug)]
pub(super) struct Image {
    pub(super) view: Arc<DcsView>,
    pub(super) scan: u64,
    /// How often the operator has raised his request from OFF.
    pub(super) raises: u32,
    /// How often he has asked for ON.
    pub(super) ons: u32,
    /// How often he has engaged.
    pub(super) grants: u32,
}

/// An approved move, as the writer has it. The model has one MV.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Approval {
    pub(super) id: u64,
    pub(super) moves: bool,
    pub(super) lease: u32,
    pub(super) set_point: Option<f64>,
    pub(super) in_service: bool,
    pub(super) valid_until: Stamp,
}

/// What we tell the DCS of ourselves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Said {
    pub(super) heartbeat: u32,
    pub(super) mode_act: ModeActual,
    pub(super) shed_reason: u16,
    pub(super) init_ack: bool,
    pub(super) sts: MvStatus,
}

/// One writing: status first, then set-points.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Message {
    pub(super) said: Said,
    pub(super) points: Option<Approval>,
    pub(super) sent: u64,
}

/// A scan: when it is, what befalls, and in which variant of the model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan<'a> {
    pub(super) now: Stamp,
    pub(super) number: u64,
    pub(super) cycle: u64,
    /// Whether this scan opens its cycle.
    pub(super) opens: bool,
    pub(super) oddity: Oddity,
    pub(super) setup: &'a Setup,
}

impl Scan<'_> {
    pub(super) fn has(&self, bug: Bug) -> bool {
        self.setup.bug == Some(bug)
    }
}

/// What one step of the interlock came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stepped {
    /// `None` on the first step of a process.
    pub(super) before: Option<State>,
    pub(super) after: State,
    pub(super) refused: bool,
    pub(super) proposed_nan: bool,
    pub(super) recommended: bool,
}

/// Our process.
#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) interlock: Interlock,
    pub(super) state: Option<State>,
    pub(super) heard: Option<Image>,
    /// An approval that waits for the writer.
    pub(super) slot: Option<Approval>,
    pub(super) said: Option<Said>,
    pub(super) report: WriteReport,
    solve: SolveReport,
    plan: f64,
    /// What a seeded bug remembers.
    written: Option<Approval>,
}

impl Process {
    pub(super) fn start(interlock: Interlock) -> Self {
        Self {
            interlock,
            state: None,
            heard: None,
            slot: None,
            said: None,
            report: WriteReport { failures: Fixed::filled(0, 1), ..WriteReport::default() },
            solve: SolveReport::default(),
            plan: 0.0,
            written: None,
        }
    }

    /// Takes an image in, unless it was overtaken.
    pub(super) fn hear(&mut self, image: Image, at: Scan<'_>) {
        let overtaken = self.heard.as_ref().is_some_and(|heard| heard.scan >= image.scan);
        if !overtaken || at.has(Bug::OlderImageTaken) {
            self.heard = Some(image);
        }
    }

    /// One step of the interlock. `fails` says that the solver fails, `down` that the connection is known to be lost.
    pub(super) fn step(&mut self, at: Scan<'_>, (fails, down): (bool, bool)) -> Option<Stepped> {
        let image = self.heard.clone()?;
        let mut dcs = *image.view;
        self.lie(&mut dcs, &image, at);
        let status = if fails && !at.has(Bug::FailureHidden) { SolveStatus::Infeasible } else { SolveStatus::Solved };
        let mut proposal = None;
        if at.opens {
            self.solve = SolveReport { status, cycle: at.cycle, at: at.now };
            proposal = self.propose(at).filter(|_| status.is_usable());
        }
        let samples = samples(&dcs, at);
        let inputs = Inputs {
            samples: &samples,
            expected: &[],
            dcs: &dcs,
            link_up: !down,
            proposal: proposal.as_ref(),
            no_proposal_left: false,
            policy: None,
            solve: self.solve,
            cycle: at.cycle,
            writes: self.report,
            bypasses: &BypassSet::default(),
            wall: None,
            config_hash: ConfigHash::default(),
            beats_dropped: 0,
        };
        let decision = self.interlock.step(&inputs, at.now);
        let before = self.state.replace(decision.state);
        let stepped = Stepped {
            before,
            after: decision.state,
            refused: decision.events.iter().any(|event| matches!(event, Event::Refused { .. })),
            proposed_nan: at.opens && !fails && at.oddity == Oddity::ProposeNan,
            recommended: matches!(decision.verdict, Verdict::Recommend(_)),
        };
        self.carry_out(&decision, dcs.lease.value, at);
        Some(stepped)
    }

    /// As the interlock's actor does.
    fn carry_out(&mut self, decision: &Decision, lease: u32, at: Scan<'_>) {
        let shown = decision.mv.first().copied().unwrap_or_default();
        self.said = Some(Said {
            heartbeat: decision.heartbeat,
            mode_act: decision.mode_act,
            shed_reason: self.reason(decision, at),
            init_ack: shown.init_ack,
            sts: shown.sts,
        });
        match &decision.verdict {
            Verdict::Pass(approved) => {
                self.slot = Some(Approval {
                    id: approved.id(),
                    moves: approved.kind() == MoveKind::Move,
                    lease: approved.lease(),
                    set_point: approved.set_point(0),
                    in_service: approved.in_service(0),
                    valid_until: approved.valid_until(),
                });
            }
            Verdict::Recommend(recommended) if at.has(Bug::AdvisoryWrites) => {
                let (id, valid_until) = (at.cycle, recommended.valid_until);
                let set_point = recommended.u.first().copied();
                self.slot = Some(Approval { id, moves: false, lease, set_point, in_service: false, valid_until });
            }
            _ if !decision.state.is_engaged() => {
                self.slot = self.slot.filter(|_| at.has(Bug::ApprovalKept));
            }
            _ => {}
        }
    }

    fn reason(&self, decision: &Decision, at: Scan<'_>) -> u16 {
        let newest = decision.events.iter().rev().find_map(|event| match event {
            Event::Raised { cause, .. } => Some(cause.code()),
            _ => None,
        });
        let newest = newest.filter(|_| at.has(Bug::NewestCauseShown) && decision.shed_reason != 0);
        newest.unwrap_or(decision.shed_reason)
    }

    /// What the writer writes now, and whether its last look stopped a move.
    pub(super) fn write(&mut self, at: Scan<'_>) -> Option<(Message, bool)> {
        let said = self.said?;
        let again = self.written.take().filter(|_| at.has(Bug::ApprovalSpentTwice));
        let waiting = self.slot.take();
        let mut points = waiting.filter(|approval| !self.is_void(approval, &said, at)).or(again);
        let stopped = waiting.is_some_and(|approval| approval.moves) && points.is_none();
        self.written = points;
        if let Some(approval) = points.as_mut().filter(|a| a.moves && at.has(Bug::PlanWritten)) {
            approval.set_point = Some(self.plan);
        }
        Some((Message { said, points, sent: at.number }, stopped))
    }

    /// The writer's last look.
    fn is_void(&self, approval: &Approval, said: &Said, at: Scan<'_>) -> bool {
        let Some(heard) = self.heard.as_ref().map(|image| &image.view) else { return true };
        let permitted = heard.lease.good() == Some(approval.lease)
            && heard.permit.good() == Some(true)
            && heard.wd_ok.good() == Some(true);
        let silent = matches!(said.mode_act, ModeActual::Off | ModeActual::Shed | ModeActual::Fault);
        let void = match approval.moves {
            true => said.mode_act != ModeActual::On || !(permitted || at.has(Bug::LastLookSkipped)),
            false => silent,
        };
        let unheard = approval.moves && at.now.since(heard.hb_dcs.source_time) > PERIOD;
        void || unheard || at.now > approval.valid_until
    }

    /// What a process that hangs writes: nothing, unless somebody else beats for it.
    pub(super) fn write_while_hanging(&mut self, at: Scan<'_>) -> Option<Message> {
        let said = self.said.as_mut().filter(|_| at.has(Bug::HeartbeatWithoutWork))?;
        said.heartbeat = said.heartbeat.wrapping_add(1);
        Some(Message { said: *said, points: None, sent: at.number })
    }

    /// What our watchdog has the DCS told in the loop's stead.
    pub(super) fn write_last_word(&mut self, at: Scan<'_>) -> Option<Message> {
        let said = Said { mode_act: ModeActual::Fault, ..self.said? };
        Some(Message { said, points: None, sent: at.number })
    }

    /// Takes note of what became of set-points.
    pub(super) fn answered(&mut self, approval: &Approval, landed: bool, at: Scan<'_>) {
        let confirmed = landed || at.has(Bug::ConfirmedUnread);
        for failures in self.report.failures.iter_mut() {
            *failures = if confirmed { 0 } else { *failures + 1 };
        }
        if confirmed {
            self.report.confirmed = approval.id;
        }
        self.report.at = at.now;
    }

    /// The controller always wants to go beyond what it may.
    fn propose(&mut self, at: Scan<'_>) -> Option<ProposedMove> {
        let up = (at.cycle / ONE_WAY).is_multiple_of(2);
        self.plan = if up { HIGH + GREED } else { LOW - GREED };
        let nan = at.oddity == Oddity::ProposeNan && !at.has(Bug::NanReplaced);
        (at.oddity != Oddity::ProposeNothing).then(|| ProposedMove {
            proposer: Proposer::Mpc,
            cycle: at.cycle,
            computed_at: at.now,
            valid_until: at.now + PERIOD,
            u: Values::collect([if nan { f64::NAN } else { self.plan }]),
            solve: SolveStatus::Solved,
        })
    }

    /// What the seeded bugs make of an image.
    fn lie(&mut self, dcs: &mut DcsView, image: &Image, at: Scan<'_>) {
        let now = at.now;
        match at.setup.bug {
            Some(Bug::AutoReset) => {
                let latched = matches!(self.state, Some(State::Tripped | State::Shed));
                if latched && dcs.mode_req.value > ModeRequest::Off && at.number.is_multiple_of(2) {
                    dcs.mode_req.value = ModeRequest::Off;
                }
            }
            Some(Bug::PermitIgnored) => dcs.permit = Reading::of(true, now),
            Some(Bug::VerdictIgnored) => dcs.wd_ok = Reading::of(true, now),
            Some(Bug::EchoForged) => dcs.hb_echo.value = self.said.map_or(0, |said| said.heartbeat),
            Some(Bug::StaleImageFresh) if image.scan < at.number => {
                dcs.hb_dcs.value = dcs.hb_dcs.value.wrapping_add(u32::try_from(at.number - image.scan).unwrap_or(1));
                dcs.hb_echo.value = self.said.map_or(0, |said| said.heartbeat);
                dcs.cvs.iter_mut().for_each(|cv| cv.pv.source_time = now);
            }
            _ => {}
        }
        for mv in dcs.mvs.iter_mut() {
            match at.setup.bug {
                Some(Bug::RcasAssumed) => mv.mode = Reading::of(MvMode::Rcas, now),
                Some(Bug::RatePerMinute) => mv.roc_max.value *= 60.0,
                Some(Bug::ClampMisread) => {
                    for low in [&mut mv.clamp_lo.value, &mut mv.lo_opr.value] {
                        *low -= MISREAD;
                    }
                    for high in [&mut mv.clamp_hi.value, &mut mv.hi_opr.value] {
                        *high += MISREAD;
                    }
                }
                _ => {}
            }
        }
    }
}

fn samples(dcs: &DcsView, at: Scan<'_>) -> [Option<Sample>; 1] {
    let pv = dcs.cvs.first().map(|cv| cv.pv).unwrap_or_default();
    let quality = if at.has(Bug::QualityIgnored) { Quality::Good } else { pv.quality };
    [Some(Sample { tag: TagId(0), value: pv.value, quality, source_time: pv.source_time, sequence: 0 })]
}
