//! The fake DCS: its side of every row of the interface (`docs/dcs-interface.md`).
//!
//! Place in the loop: between the application, which sees only the two images, and the slave loops. It is the hull:
//! it must carry the plant safely with the application dead, so shedding lives here.
//!
//! # Invariants
//! - `SP_REQ` reaches a slave only in RCAS, under a lease, with the watchdog in order, good, finite and inside the
//!   clamp; the slave ramps to it.
//! - RCAS is reached only through `engage` and the hand-shake, and left for good: nothing returns by itself.
//! - The heartbeat unchanged for `max(3 Ts, 30 s)` while an MV is in RCAS or the application claims ON: every MV is
//!   shed by its option, and `WD_OK` stays false until [`Dcs::rearm`].
//! - A recommendation is answered only while it is open, in time and under a name; its set-points reach the slaves in AUTO
//!   only when the application has taken the acceptance.
//! - `LEASE` is 0 while nothing is handed over, and a number never used before while something is.
//!
//! Anchors: Foundation Fieldbus FF-891 (RCAS, IR/IA, SHED_OPT); the watchdog in the manner of DeltaV and Profit.

mod advice;
mod mv;
mod operator;
#[cfg(test)]
mod tests;
mod writes;

use std::time::Duration;

use signals::dcs::{ApcView, CvRead, DcsView, ModeActual, ModeRequest, MvMode, Reading};
use signals::{Quality, Stamp};

use crate::command::CommandError;
use crate::config::{CvConfig, RigConfig};
use crate::report::{Alarm, AlarmCause, Tally};
use crate::slave::{Controller, SlaveView};
use advice::Answers;
use mv::MvLoop;
pub use operator::is_operator_tag;
pub use writes::WriteRefusal;

/// How far a request may lie from the set-point in use and still count as the same, in percent of range.
pub const SP_TOLERANCE: f64 = 0.1;

/// The shortest watchdog time.
const WATCHDOG_FLOOR: Duration = Duration::from_secs(30);

/// A CV's operator entries.
#[derive(Clone, Debug)]
struct CvPoint {
    config: CvConfig,
    opr_on: bool,
    setpoint: Option<f64>,
    limits: (f64, f64),
}

/// What the application has said in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    /// `CFG_REV`.
    pub cfg_rev: String,
    /// `REC.REASON`.
    pub rec_reason: String,
}

/// The DCS around one application.
#[derive(Clone, Debug)]
pub struct Dcs {
    period: Duration,
    mvs: Vec<MvLoop>,
    cvs: Vec<CvPoint>,
    dvs_on: Vec<bool>,
    mode_req: ModeRequest,
    permit: bool,
    wd_ok: bool,
    epoch: u32,
    leased: bool,
    lease_lost_at: Stamp,
    hb_dcs: u32,
    hb_good: Option<u32>,
    hb_changed_at: Stamp,
    watched_since: Stamp,
    view: DcsView,
    apc: ApcView,
    texts: Texts,
    answers: Answers,
    tally: Tally,
}

impl Dcs {
    /// A DCS in charge of its plant: slaves in AUTO at rest, request OFF, watchdog in order, permit given.
    #[must_use]
    pub fn new(config: &RigConfig) -> Self {
        let history = usize::try_from(2 * config.scans_per_period() + 1).unwrap_or(usize::MAX);
        let cv = |cv: &CvConfig| CvPoint {
            opr_on: true,
            setpoint: cv.setpoint,
            limits: (cv.limits.low, cv.limits.high),
            config: cv.clone(),
        };
        let (mvs, cvs, dvs) = (config.mvs.len(), config.cvs.len(), config.dvs.len());
        let mut dcs = Self {
            period: config.period,
            mvs: config.mvs.iter().map(|mv| MvLoop::at_rest(mv.clone(), history)).collect(),
            cvs: config.cvs.iter().map(cv).collect(),
            dvs_on: vec![true; dvs],
            mode_req: ModeRequest::Off,
            permit: true,
            wd_ok: true,
            epoch: 0,
            leased: false,
            lease_lost_at: Stamp::NEVER,
            hb_dcs: 0,
            hb_good: None,
            hb_changed_at: Stamp::ZERO,
            watched_since: Stamp::ZERO,
            view: DcsView::sized(mvs, cvs, dvs).with_spares(config.spared()),
            apc: ApcView::sized(mvs, cvs),
            texts: Texts::default(),
            answers: Answers::default(),
            tally: Tally::default(),
        };
        dcs.image(Stamp::ZERO);
        dcs
    }

    /// What the DCS says.
    #[must_use]
    pub fn view(&self) -> &DcsView {
        &self.view
    }

    /// The DCS's words, for the instruments to put their measurements in.
    pub fn view_mut(&mut self) -> &mut DcsView {
        &mut self.view
    }

    /// What the application has said.
    #[must_use]
    pub fn apc(&self) -> &ApcView {
        &self.apc
    }

    /// What the application has said in words.
    #[must_use]
    pub fn texts(&self) -> &Texts {
        &self.texts
    }

    /// What was counted.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The plant's inputs: the positions of the actuators, in the model's order and units.
    #[must_use]
    pub fn inputs(&self) -> Vec<f64> {
        self.mvs.iter().map(|mv| mv.slave.pv()).collect()
    }

    /// A slave loop as a device outside is told of it; `None` for no such MV, counted from 0.
    #[must_use]
    pub fn slave(&self, mv: usize) -> Option<SlaveView> {
        self.mvs.get(mv).map(|mv| mv.slave.view())
    }

    /// Has somebody else compute the output of a slave loop; nothing for no such MV, counted from 0.
    pub fn set_controller(&mut self, mv: usize, controller: Controller) {
        if let Some(mv) = self.mvs.get_mut(mv) {
            mv.slave.set_controller(controller);
        }
    }

    /// The time after which an unchanged heartbeat sheds: `max(3 Ts, 30 s)`.
    #[must_use]
    pub fn watchdog_time(&self) -> Duration {
        (3 * self.period).max(WATCHDOG_FLOOR)
    }

    /// One scan of `dt_s` seconds at `now`: hand-shake, watchdog, set-points, slaves.
    pub fn scan(&mut self, now: Stamp, dt_s: f64) {
        self.hb_dcs = self.hb_dcs.wrapping_add(1);
        self.watch(now);
        self.follow_the_application(now);
        // A slave loop without a controller is in the hand of the operator, whoever had it.
        for mv in self.mvs.iter_mut().filter(|mv| mv.slave.is_lost()) {
            mv.change_mode(MvMode::Man);
        }
        self.hand_over(now);
        self.follow_the_answers(now);
        let may_write = self.leased && self.wd_ok;
        for (mv, said) in self.mvs.iter_mut().zip(&self.apc.mvs) {
            let wanted = mv::usable(&said.sp_req).filter(|sp| mv.config.clamp.contains(*sp));
            let bump = mv.step(dt_s, wanted.filter(|_| may_write && mv.is_rcas()));
            self.tally.bump_pct = self.tally.bump_pct.max(bump);
        }
        if self.leased && !self.mvs.iter().any(|mv| mv.is_rcas() || mv.init_since.is_some()) {
            self.drop_lease(now);
        }
    }

    /// Writes the DCS's words, measurements excepted, stamped `now`.
    pub fn image(&mut self, now: Stamp) {
        let v = &mut self.view;
        v.hb_echo = Reading::of(self.apc.hb_apc.value, now);
        v.hb_dcs = Reading::of(self.hb_dcs, now);
        v.mode_req = Reading::of(self.mode_req, now);
        v.lease = Reading::of(if self.leased { self.epoch } else { 0 }, now);
        v.permit = Reading::of(self.permit, now);
        v.wd_ok = Reading::of(self.wd_ok, now);
        self.answers.image(now, &mut v.rec);
        for (mv, out) in self.mvs.iter().zip(v.mvs.iter_mut()) {
            mv.image(now, out);
        }
        for (cv, out) in self.cvs.iter().zip(v.cvs.iter_mut()) {
            let sp_quality = if cv.setpoint.is_some() { Quality::Good } else { Quality::Bad };
            *out = CvRead {
                pv: out.pv,
                opr_on: Reading::of(cv.opr_on, now),
                sp_opr: Reading { value: cv.setpoint.unwrap_or(0.0), quality: sp_quality, source_time: now },
                lo_opr: Reading::of(cv.limits.0, now),
                hi_opr: Reading::of(cv.limits.1, now),
                spares: out.spares,
            };
        }
        for (on, out) in self.dvs_on.iter().zip(v.dvs.iter_mut()) {
            out.opr_on = Reading::of(*on, now);
        }
    }

    /// The operator hands over: a lease, and `INIT_REQ` for every MV that is switched on and in AUTO or CAS. While
    /// some MVs are with the application already, the others join under the same lease.
    ///
    /// # Errors
    /// [`CommandError::CannotEngage`], with what stands against it; nothing has changed.
    pub fn engage(&mut self, now: Stamp) -> Result<(), CommandError> {
        let armed = matches!(self.apc.mode_act.good(), Some(ModeActual::Init | ModeActual::On));
        let ready = |mv: &MvLoop| mv.opr_on && matches!(mv.slave.mode(), MvMode::Auto | MvMode::Cas);
        let obstacles = [
            (self.mode_req != ModeRequest::On, "the request is not ON"),
            (!self.permit, "the permissives are not given"),
            (!self.wd_ok, "the watchdog has tripped and is not re-armed"),
            (!armed, "the application is not armed (MODE_ACT is neither INIT nor ON)"),
            (!self.mvs.iter().any(ready), "no MV is switched on and in AUTO or CAS"),
        ];
        if let Some((_, why)) = obstacles.into_iter().find(|(stands, _)| *stands) {
            return Err(CommandError::CannotEngage { why });
        }
        if !self.leased {
            self.epoch = self.epoch.wrapping_add(1).max(1);
            self.leased = true;
        }
        self.mvs.iter_mut().filter(|mv| ready(mv)).for_each(|mv| mv.init_since = Some(now));
        Ok(())
    }

    /// Re-arms the watchdog. Nothing returns to the application by that.
    pub fn rearm(&mut self, now: Stamp) {
        self.wd_ok = true;
        self.watched_since = now;
    }

    /// The watchdog.
    fn watch(&mut self, now: Stamp) {
        let claims_on = self.apc.mode_act.good() == Some(ModeActual::On);
        let watching = self.wd_ok && (claims_on || self.mvs.iter().any(MvLoop::is_rcas));
        if !watching {
            self.watched_since = now;
            return;
        }
        if now.since(self.hb_changed_at.max(self.watched_since)) < self.watchdog_time() {
            return;
        }
        self.wd_ok = false;
        // A claim without a heartbeat is void.
        self.apc.mode_act.quality = Quality::Bad;
        self.shed_all(now, AlarmCause::WatchdogTripped);
    }

    /// The application lets go: MVs back to AUTO where they are.
    fn follow_the_application(&mut self, now: Stamp) {
        let Some(mode) = self.apc.mode_act.good() else { return };
        match mode {
            ModeActual::Init | ModeActual::On => {}
            ModeActual::Off | ModeActual::Shed | ModeActual::Fault => {
                if self.release_all(now) {
                    self.tally.sheds += 1;
                    self.alarm(now, AlarmCause::ApplicationLetGo { mode });
                }
            }
            // Stepping down with MVs in hand; an MV whose hand-shake is pending may wait for INIT.
            ModeActual::Warm | ModeActual::Advisory => {
                let released = self.mvs.iter_mut().filter(|mv| mv.is_rcas()).map(MvLoop::release).count();
                if released > 0 {
                    self.tally.sheds += 1;
                    self.alarm(now, AlarmCause::ApplicationLetGo { mode });
                }
            }
        }
    }

    /// The hand-shake: acknowledged with the request at the set-point, the MV goes to RCAS; late, it stays in AUTO.
    fn hand_over(&mut self, now: Stamp) {
        let armed = matches!(self.apc.mode_act.good(), Some(ModeActual::Init | ModeActual::On));
        let mut late = Vec::new();
        for (number, (mv, said)) in (1..).zip(self.mvs.iter_mut().zip(&self.apc.mvs)) {
            let Some(since) = mv.init_since else { continue };
            let acknowledged = said.init_ack.good() == Some(true) && said.init_ack.source_time >= since;
            let equal = mv::usable(&said.sp_req).is_some_and(|sp| mv.pct(sp, mv.slave.sp()) <= SP_TOLERANCE);
            if armed && acknowledged && equal {
                mv.change_mode(MvMode::Rcas);
            } else if now.since(since) > 2 * self.period {
                mv.init_since = None;
                late.push(number);
            }
        }
        late.into_iter().for_each(|mv| self.alarm(now, AlarmCause::NoInitAck { mv }));
    }

    /// Every MV back to AUTO where it is; whether one was in the application's hands.
    fn release_all(&mut self, now: Stamp) -> bool {
        let released = self.mvs.iter_mut().filter_map(|mv| mv.release().then_some(())).count() > 0;
        self.drop_lease(now);
        released
    }

    /// Every MV back by its shed option, with an alarm.
    fn shed_all(&mut self, now: Stamp, cause: AlarmCause) {
        let shed = self.mvs.iter_mut().filter_map(|mv| mv.shed().then_some(())).count() > 0;
        self.drop_lease(now);
        self.tally.sheds += u32::from(shed);
        self.alarm(now, cause);
    }

    fn drop_lease(&mut self, now: Stamp) {
        if self.leased {
            self.leased = false;
            self.lease_lost_at = now;
        }
    }

    /// Notes an alarm at `now`.
    pub(crate) fn alarm(&mut self, now: Stamp, cause: AlarmCause) {
        self.tally.note(Alarm { t_s: now.secs_f64(), cause });
    }
}
