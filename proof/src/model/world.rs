//! The whole of the model: the DCS, the link, our process, what stands, and what the judge knows of it.

use std::sync::Arc;

use rig::dcs::Dcs;
use safety::{Latch, State};
use signals::dcs::{DcsTag, ModeRequest, MvMode, MvTag, Reading, Wire};
use signals::{Quality, Stamp};

use super::bug::Bug;
use super::judge::{Truth, Witness};
use super::oddity::Oddity;
use super::process::{Approval, Image, Message, Process, Said, Scan};
use super::setup::{CV_GOOD, CV_TRIPS, LATE_MAX, Setup};

/// By how many scans an image may be late; it is overtaken all the same, and dropped.
const LATE_IMAGE_MAX: u64 = 4;

/// What lasts until it is turned off.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standing {
    pub(super) cut: bool,
    pub(super) images_cut: bool,
    pub(super) down: bool,
    pub(super) down_since: u64,
    pub(super) hangs: bool,
    pub(super) stalls: bool,
    pub(super) solver_fails: bool,
    cv_bad: bool,
    echo_stuck: Option<u32>,
}

/// A state of the model.
#[derive(Clone, Debug)]
pub struct World {
    pub(super) scan: u64,
    pub(super) dcs: Dcs,
    pub(super) process: Option<Process>,
    pub(super) standing: Standing,
    pub(super) late_image: Option<Image>,
    pub(super) late_write: Option<Message>,
    /// What the process keeps on its disk.
    latch: Latch,
    /// What a seeded bug takes up again.
    killed: Option<Process>,
    pub(super) truth: Truth,
}

impl World {
    /// A DCS in charge, and a process that has just started.
    pub(super) fn new(setup: &Setup) -> Self {
        Self {
            scan: 0,
            dcs: Dcs::new(&setup.rig),
            process: Some(Process::start(setup.interlock(Latch::default()))),
            standing: Standing::default(),
            late_image: None,
            late_write: None,
            latch: Latch::default(),
            killed: None,
            truth: Truth::default(),
        }
    }

    /// Lets one scan pass in which `oddity` happens.
    pub(super) fn pass(&mut self, oddity: Oddity, setup: &Setup) {
        self.scan += 1;
        let per_cycle = setup.scans_of(1);
        let at = Scan {
            now: Stamp::ZERO + setup.scan() * u32::try_from(self.scan).unwrap_or(u32::MAX),
            number: self.scan,
            cycle: 1 + self.scan / per_cycle,
            opens: self.scan.is_multiple_of(per_cycle),
            oddity,
            setup,
        };
        let mut witness = Witness::default();
        self.befall(at, &mut witness);
        self.dcs_scans(at);
        self.expire(at);
        self.carry_image(at);
        self.run_process(at, &mut witness);
        if oddity == Oddity::LateWrite
            && let Some(message) = self.late_write.take()
        {
            self.land(&message, at.now);
            witness.landed_late = Some(message);
        }
        self.judge(&witness);
    }

    /// What the oddity changes before anything else happens.
    fn befall(&mut self, at: Scan<'_>, witness: &mut Witness) {
        let now = at.now;
        match at.oddity {
            Oddity::Request(mode) => self.request(mode, now),
            Oddity::Engage => {
                let granted = self.dcs.engage(now).is_ok();
                self.truth.grants += u32::from(granted);
            }
            Oddity::Rearm => self.dcs.rearm(now),
            Oddity::PermitOffOrOn => {
                let permit = self.dcs.view().permit.value;
                self.dcs.set_permit(now, !permit);
            }
            Oddity::MvOffOrOn => {
                let on = self.dcs.view().mvs.iter().any(|mv| mv.opr_on.value);
                // There is an MV 0.
                let _ = self.dcs.switch_mv(0, !on);
            }
            Oddity::CutOrMend => self.standing.cut = !self.standing.cut,
            Oddity::ImagesCutOrMend => self.standing.images_cut = !self.standing.images_cut,
            Oddity::DownOrUp => {
                self.standing.down = !self.standing.down;
                self.standing.down_since = at.number;
            }
            Oddity::WriterStallsOrGoesOn => self.standing.stalls = !self.standing.stalls,
            Oddity::HangOrGoOn => self.hang_or_go_on(at),
            Oddity::SolverFailsOrSolves => self.standing.solver_fails = !self.standing.solver_fails,
            Oddity::CvBadOrGood => self.standing.cv_bad = !self.standing.cv_bad,
            Oddity::EchoSticksOrFollows => {
                let echo = self.dcs.view().hb_echo.value;
                self.standing.echo_stuck = if self.standing.echo_stuck.is_some() { None } else { Some(echo) };
            }
            Oddity::Crash => {
                let process = self.process.take();
                self.killed = process.filter(|_| at.has(Bug::RestartEngaged));
                self.standing.hangs = false;
                self.standing.stalls = false;
            }
            Oddity::Restart => {
                let latch = if at.has(Bug::LatchLost) { Latch::default() } else { self.latch };
                self.process = Some(self.killed.take().unwrap_or_else(|| Process::start(at.setup.interlock(latch))));
                self.truth.restart();
                witness.restarted = true;
            }
            _ => {}
        }
        self.truth.cv = if at.oddity == Oddity::CvOutOfRange { CV_TRIPS } else { CV_GOOD };
    }

    /// A process that wakes has stood still for longer than its own watchdog waits: it says FAULT, and ends.
    fn hang_or_go_on(&mut self, at: Scan<'_>) {
        self.standing.hangs = !self.standing.hangs;
        if self.standing.hangs || at.has(Bug::OwnWatchdogOff) {
            self.truth.stood |= self.standing.hangs;
            return;
        }
        let Some(mut process) = self.process.take() else { return };
        if let Some(message) = process.write_last_word(at) {
            self.send(&mut process, message, at);
        }
    }

    fn request(&mut self, mode: ModeRequest, now: Stamp) {
        let before = self.dcs.view().mode_req.value;
        self.truth.raises += u32::from(before == ModeRequest::Off);
        self.truth.ons += u32::from(mode == ModeRequest::On);
        self.dcs.request_mode(now, mode);
    }

    fn dcs_scans(&mut self, at: Scan<'_>) {
        let before = self.is_rcas();
        self.dcs.scan(at.now, at.setup.scan().as_secs_f64());
        self.dcs.image(at.now);
        let quality = if self.standing.cv_bad { Quality::Bad } else { Quality::Good };
        let pv = Reading { value: self.truth.cv, quality, source_time: at.now };
        let view = self.dcs.view_mut();
        view.cvs.iter_mut().for_each(|cv| cv.pv = pv);
        if let Some(echo) = self.standing.echo_stuck {
            view.hb_echo.value = echo;
        }
        self.judge_dcs(before, at);
    }

    pub(super) fn is_rcas(&self) -> bool {
        self.dcs.view().mvs.iter().any(|mv| mv.mode.value == MvMode::Rcas)
    }

    /// What has been under way for too long never arrives.
    fn expire(&mut self, at: Scan<'_>) {
        let scan = at.number;
        let for_ever = at.has(Bug::LateForEver);
        self.late_write.take_if(|message| scan - message.sent > LATE_MAX && !for_ever);
        self.late_image.take_if(|image| scan - image.scan > LATE_IMAGE_MAX);
    }

    fn carry_image(&mut self, at: Scan<'_>) {
        let Truth { raises, ons, grants, .. } = self.truth;
        let image = Image { view: Arc::new(*self.dcs.view()), scan: self.scan, raises, ons, grants };
        let Standing { cut, images_cut, down, .. } = self.standing;
        let Some(process) = self.process.as_mut().filter(|_| !(cut || images_cut || down)) else { return };
        match at.oddity {
            Oddity::LoseImage => {}
            Oddity::DelayImage => self.late_image = Some(image),
            Oddity::CopyImage => {
                self.late_image = Some(image.clone());
                process.hear(image, at);
            }
            Oddity::LateImage => {
                process.hear(image, at);
                if let Some(late) = self.late_image.take() {
                    process.hear(late, at);
                }
            }
            _ => process.hear(image, at),
        }
    }

    /// An approval that waited for a writer that stalled is looked at before the interlock steps again.
    fn run_process(&mut self, at: Scan<'_>, witness: &mut Witness) {
        let Standing { hangs, solver_fails, down, .. } = self.standing;
        let stalls = self.standing.stalls || at.oddity == Oddity::WriterLate;
        let Some(mut process) = self.process.take() else { return };
        if hangs {
            if let Some(message) = process.write_while_hanging(at) {
                self.send(&mut process, message, at);
            }
        } else {
            if process.slot.is_some() && !stalls {
                self.write(&mut process, at, witness);
            }
            witness.stepped = process.step(at, (solver_fails, down));
            if witness.stepped.is_some() {
                self.latch = process.interlock.latch();
                self.judge_step(&process, at, witness);
            }
            if !stalls {
                self.write(&mut process, at, witness);
            }
        }
        self.process = Some(process);
    }

    fn write(&mut self, process: &mut Process, at: Scan<'_>, witness: &mut Witness) {
        if let Some((message, stopped)) = process.write(at) {
            witness.stopped |= stopped;
            self.send(process, message, at);
        }
    }

    /// Puts a message on the link, and tells the process what it learns of its fate.
    fn send(&mut self, process: &mut Process, message: Message, at: Scan<'_>) {
        self.judge_sent(process, &message, at);
        let shut = self.standing.cut || self.standing.down;
        let landed = match at.oddity {
            _ if shut => false,
            Oddity::LoseWrite => false,
            Oddity::DelayWrite => {
                self.late_write = Some(message.clone());
                false
            }
            Oddity::CopyWrite => {
                self.late_write = Some(message.clone());
                self.land(&message, at.now)
            }
            _ => self.land(&message, at.now),
        };
        if let Some(approval) = message.points.filter(|points| points.set_point.is_some()) {
            process.answered(&approval, landed, at);
            self.judge_landed(&approval, landed);
        }
    }

    /// The DCS takes a message in; whether it holds the set-point now.
    fn land(&mut self, message: &Message, now: Stamp) -> bool {
        let Said { heartbeat, mode_act, shed_reason, init_ack, sts } = message.said;
        let status = [
            (DcsTag::HbApc, heartbeat.encode()),
            (DcsTag::ModeAct, mode_act.encode()),
            (DcsTag::ShedReason, shed_reason.encode()),
            (DcsTag::Mv(0, MvTag::InitAck), init_ack.encode()),
            (DcsTag::Mv(0, MvTag::Sts), sts.encode()),
        ];
        for (tag, value) in status {
            // The DCS counts what it refuses.
            let _ = self.dcs.write(now, tag, value, Quality::Good);
        }
        let Some(Approval { set_point: Some(u), .. }) = message.points else { return true };
        let tag = DcsTag::Mv(0, MvTag::SpReq);
        let answered = self.dcs.write(now, tag, u.encode(), Quality::Good).is_ok();
        let held = self.dcs.apc().mvs.first().map(|mv| mv.sp_req.value.to_bits());
        answered && held == Some(u.to_bits())
    }

    /// The state of the interlock; Boot where there is none.
    #[must_use]
    pub fn state(&self) -> State {
        self.process.as_ref().and_then(|process| process.state).unwrap_or_default()
    }

    /// One line for a counterexample.
    pub(super) fn describe(&self) -> String {
        let mode = self.dcs.view().mvs.first().map(|mv| mv.mode.value.label()).unwrap_or_default();
        let process = match &self.process {
            None => "no process".to_owned(),
            Some(_) if self.standing.hangs => format!("{:?}, hangs", self.state()),
            Some(_) => format!("{:?}", self.state()),
        };
        let sp = self.dcs.view().mvs.first().map_or(0.0, |mv| mv.sp_act.value);
        format!("{process}; DCS: MV1 {mode} at {sp}, LEASE {}", self.dcs.view().lease.value)
    }
}
