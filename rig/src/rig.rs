//! The rig: emulator, slave loops, fake DCS and instruments, stepped by whoever holds the time.
//!
//! Place in the loop: everything on the other side of the application's two images. The OPC UA server serves it on
//! the wall clock; a test in virtual time steps it in process. Both see the same numbers.
//!
//! # Invariants
//! - Pure: no clock, no I/O. Same plant file, seed, steps and writes give the same bits.
//! - Everything happens in whole scans of the DCS; a write takes effect at the next scan.

use std::time::Duration;

use plant_models::SteadyStateError;
use signals::dcs::{ApcView, DcsTag, DcsView, WireValue};
use signals::{Quality, Stamp};

use crate::command::{Ack, Command, CommandError, Instrument};
use crate::config::{RigConfig, Span};
use crate::dcs::{Dcs, Texts, WriteRefusal};
use crate::dynamics::Dynamics;
use crate::emulator::{Emulator, NoStart};
use crate::fault::{ActuatorFault, SensorFault};
use crate::instruments::Instruments;
use crate::plant::{Plant, PlantFault};
use crate::report::{AlarmCause, CvRecord, DvRecord, MvRecord, RecRecord, Snapshot, Summary, Totals};
use crate::slave::{Controller, SlaveView};

/// A rig that cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum RigError {
    /// The configured start is not near a steady state of the model.
    #[error("the plant has no steady state at the configured start: {source}")]
    NoSteadyState {
        /// What the search found.
        #[from]
        source: SteadyStateError,
    },
    /// The plant file names a plant outside, and none was given.
    #[error("the plant file names a plant outside, and none is there")]
    NoPlant,
    /// The plant outside gave no numbers at the start.
    #[error("the plant outside did not start: {source}")]
    Silent {
        /// Why.
        source: PlantFault,
    },
}

impl From<NoStart> for RigError {
    fn from(why: NoStart) -> Self {
        match why {
            NoStart::NoSteadyState(source) => Self::NoSteadyState { source },
            NoStart::NoPlant => Self::NoPlant,
            NoStart::Silent(source) => Self::Silent { source },
        }
    }
}

/// A command of the timeline that was carried out, or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Carried {
    /// The command as it was written.
    pub line: String,
    /// What the shell has to do, or why nothing was done.
    pub outcome: Result<Ack, CommandError>,
}

/// The rig.
#[derive(Debug)]
pub struct Rig {
    config: RigConfig,
    emulator: Emulator,
    instruments: Instruments,
    dcs: Dcs,
    /// Between each actuator and its effect on the plant.
    ways: Vec<Dynamics>,
    now: Stamp,
    next_scan: Stamp,
    scans: u64,
    scheduled: usize,
    carried: Vec<Carried>,
    totals: Totals,
}

impl Rig {
    /// A rig at rest at time zero; `seed` decides the measurement noise and the chance of sensor faults, and nothing else.
    ///
    /// # Errors
    /// [`RigError`] when the model has no steady state at the configured start.
    pub fn new(config: RigConfig, seed: u64) -> Result<Self, RigError> {
        Self::around(config, seed, None)
    }

    /// A rig around a plant outside, for a plant file whose `model` is `external`.
    ///
    /// # Errors
    /// [`RigError`] when the plant does not start.
    pub fn with_plant(config: RigConfig, seed: u64, plant: Box<dyn Plant>) -> Result<Self, RigError> {
        Self::around(config, seed, Some(plant))
    }

    fn around(config: RigConfig, seed: u64, outside: Option<Box<dyn Plant>>) -> Result<Self, RigError> {
        let scan_s = config.scan.as_secs_f64();
        let mut ways: Vec<_> = config.mvs.iter().map(|mv| Dynamics::new(0.0, mv.dead_time_s, scan_s)).collect();
        ways.iter_mut().zip(&config.mvs).for_each(|(way, mv)| way.fill(mv.start));
        let mut rig = Self {
            emulator: Emulator::at_rest(&config, outside)?,
            ways,
            instruments: Instruments::new(&config, seed),
            dcs: Dcs::new(&config),
            now: Stamp::ZERO,
            next_scan: Stamp::ZERO + config.scan,
            scans: 0,
            scheduled: 0,
            carried: Vec::new(),
            totals: Totals::default(),
            config,
        };
        rig.measure();
        rig.run_timeline();
        Ok(rig)
    }

    /// Moves time on by `dt`, through every scan that falls due.
    pub fn step(&mut self, dt: Duration) {
        let until = self.now + dt;
        while self.next_scan <= until {
            self.now = self.next_scan;
            self.next_scan = self.next_scan + self.config.scan;
            self.scan();
        }
        self.now = until;
    }

    /// Plant time.
    #[must_use]
    pub fn now(&self) -> Stamp {
        self.now
    }

    /// Control periods completed.
    #[must_use]
    pub fn cycles(&self) -> u64 {
        self.scans / self.config.scans_per_period()
    }

    /// The time left until the present control period ends, above zero.
    #[must_use]
    pub fn to_next_period(&self) -> Duration {
        let scans_left = self.config.scans_per_period() - self.scans % self.config.scans_per_period();
        let whole = self.config.scan * u32::try_from(scans_left - 1).unwrap_or(u32::MAX);
        (self.next_scan + whole).since(self.now)
    }

    /// The plant file.
    #[must_use]
    pub fn config(&self) -> &RigConfig {
        &self.config
    }

    /// What the DCS says, stamped with its last scan.
    #[must_use]
    pub fn view(&self) -> &DcsView {
        self.dcs.view()
    }

    /// What the application has said.
    #[must_use]
    pub fn apc(&self) -> &ApcView {
        self.dcs.apc()
    }

    /// What the application has said in words.
    #[must_use]
    pub fn texts(&self) -> &Texts {
        self.dcs.texts()
    }

    /// Why the plant gave no numbers at the last scan; none while it does. Meanwhile every measurement is bad.
    #[must_use]
    pub fn plant_fault(&self) -> Option<&str> {
        self.emulator.fault().map(|fault| fault.why.as_str())
    }

    /// The plant's outputs without noise, in the model's order and units: what no application can see. NaN while the
    /// plant gives no numbers.
    #[must_use]
    pub fn truth(&self) -> &[f64] {
        self.emulator.y()
    }

    /// A write under the application's account; see [`Dcs::write`].
    ///
    /// # Errors
    /// [`WriteRefusal`]; nothing has changed and the refusal is counted.
    pub fn write(&mut self, tag: DcsTag, value: WireValue, quality: Quality) -> Result<(), WriteRefusal> {
        self.dcs.write(self.now, tag, value, quality)
    }

    /// A text under the application's account.
    ///
    /// # Errors
    /// [`WriteRefusal`]; nothing has changed and the refusal is counted.
    pub fn write_text(&mut self, tag: DcsTag, text: &str) -> Result<(), WriteRefusal> {
        self.dcs.write_text(tag, text)
    }

    /// A write under the operator's account; see [`Dcs::operate`].
    ///
    /// # Errors
    /// [`WriteRefusal`]; nothing has changed and the refusal is counted.
    pub fn operate(&mut self, tag: DcsTag, value: WireValue) -> Result<(), WriteRefusal> {
        self.dcs.operate(self.now, tag, value)?;
        self.dcs.image(self.now);
        Ok(())
    }

    /// Counts a write that an adapter refused because its value has no form on this interface.
    pub fn count_refusal(&mut self, refusal: &WriteRefusal) {
        self.dcs.count_refusal(refusal);
    }

    /// An operator's command; the forms are listed with [`Command`].
    ///
    /// # Errors
    /// [`CommandError`]; nothing has changed.
    pub fn command(&mut self, line: &str) -> Result<Ack, CommandError> {
        let command = line.parse::<Command>()?;
        self.carry_out(&command)
    }

    /// Gives the transmitter of a measurement a fault from the next scan on, or mends it. A transmitter has one fault at a
    /// time: this one replaces the one before.
    ///
    /// # Errors
    /// There is no such measurement, or a parameter cannot be used; nothing has changed.
    pub fn inject_sensor(&mut self, of: impl Into<Instrument>, fault: Option<SensorFault>) -> Result<(), CommandError> {
        let of = of.into();
        fault.map_or(Ok(()), |fault| fault.check())?;
        let injected = self.instruments.inject(of, fault, self.now);
        injected.then_some(()).ok_or_else(|| CommandError::NoSuchVariable { what: of.to_string() })
    }

    /// Gives the actuator of MV `mv`, counted from 0, a fault from the next scan on, or mends it. An actuator has one
    /// fault at a time: this one replaces the one before.
    ///
    /// # Errors
    /// There is no such MV, or a parameter cannot be used; nothing has changed.
    pub fn inject_actuator(&mut self, mv: usize, fault: Option<ActuatorFault>) -> Result<(), CommandError> {
        fault.map_or(Ok(()), |fault| fault.check())?;
        self.dcs.inject(mv, fault)
    }

    /// The slave loop of MV `mv`, counted from 0, as a device outside is told of it.
    #[must_use]
    pub fn slave(&self, mv: usize) -> Option<SlaveView> {
        self.dcs.slave(mv)
    }

    /// Has somebody else compute the output of the slave loop of MV `mv`, counted from 0, from the next scan on.
    pub fn set_controller(&mut self, mv: usize, controller: Controller) {
        self.dcs.set_controller(mv, controller);
    }

    /// The commands of the timeline carried out since the last call, oldest first.
    pub fn take_carried(&mut self) -> Vec<Carried> {
        std::mem::take(&mut self.carried)
    }

    fn scan(&mut self) {
        self.run_timeline();
        let dt_s = self.config.scan.as_secs_f64();
        self.dcs.scan(self.now, dt_s);
        let u: Vec<f64> = self.ways.iter_mut().zip(self.dcs.inputs()).map(|(way, u)| way.step(u)).collect();
        let spoke = self.emulator.fault().is_none();
        self.emulator.step(&u, dt_s);
        if spoke && self.emulator.fault().is_some() {
            self.dcs.alarm(self.now, AlarmCause::PlantSilent);
        }
        self.measure();
        self.scans += 1;
        self.judge();
    }

    fn measure(&mut self) {
        self.dcs.image(self.now);
        self.instruments.read(self.emulator.y(), self.emulator.p(), self.now, self.dcs.view_mut());
        if self.emulator.fault().is_some() {
            Instruments::blind(self.now, self.dcs.view_mut());
        }
    }

    fn run_timeline(&mut self) {
        while let Some(due) = self.config.timeline.get(self.scheduled).filter(|s| Stamp::ZERO + s.at <= self.now) {
            let due = due.clone();
            self.scheduled += 1;
            let outcome = self.carry_out(&due.command);
            self.carried.push(Carried { line: due.line, outcome });
        }
    }

    /// Limits at every scan, cost at every control period.
    fn judge(&mut self) {
        let period_ends = self.scans.is_multiple_of(self.config.scans_per_period());
        let (y, y_open_loop) = (self.emulator.y(), self.emulator.y_open_loop());
        let totals = &mut self.totals;
        for (cv, said) in self.config.cvs.iter().zip(&self.dcs.view().cvs).filter(|(_, said)| said.opr_on.value) {
            let (Some(&pv), Some(&twin)) = (y.get(cv.output), y_open_loop.get(cv.output)) else { continue };
            let limits = Span { low: said.lo_opr.value, high: said.hi_opr.value };
            totals.max_limit_violation = totals.max_limit_violation.max(limits.excess_pct(pv, cv.range));
            if let Some(sp) = said.sp_opr.good().filter(|_| period_ends) {
                let cost = |value: f64| cv.weight * ((value - sp) / cv.range.width()).powi(2);
                totals.cost += cost(pv);
                totals.cost_open_loop += cost(twin);
            }
        }
    }

    fn carry_out(&mut self, command: &Command) -> Result<Ack, CommandError> {
        let (now, dcs) = (self.now, &mut self.dcs);
        let no_such = |what: &str| CommandError::NoSuchVariable { what: what.to_owned() };
        let mut ack = Ack::Done;
        match *command {
            Command::Mode(mode) => dcs.request_mode(now, mode),
            Command::Engage => dcs.engage(now)?,
            Command::Permit(permit) => dcs.set_permit(now, permit),
            Command::Setpoint(n, value) => dcs.set_setpoint(n, value)?,
            Command::CvLimits(n, low, high) => dcs.set_cv_limits(n, low, high)?,
            Command::MvLimits(n, low, high) => dcs.set_mv_limits(n, low, high)?,
            Command::MvSwitch(n, on) => dcs.switch_mv(n, on)?,
            Command::CvSwitch(n, on) => dcs.switch_cv(n, on)?,
            Command::DvSwitch(n, on) => dcs.switch_dv(n, on)?,
            Command::Slave(n, action) => dcs.at_slave(n, action)?,
            Command::Answer(answer, id, ref user) => dcs.answer(now, answer, id, user)?,
            Command::CheckAnswers(checked) => dcs.check_answers(checked),
            Command::Rearm => dcs.rearm(now),
            Command::Disturb(ref name, value) => {
                let mut names = self.config.card().disturbances.iter();
                let index = names.position(|d| d.name == name).ok_or_else(|| no_such(name))?;
                self.emulator.disturb(index, value);
            }
            Command::SensorFault(of, fault) => self.inject_sensor(of, fault)?,
            Command::ActuatorFault(mv, fault) => self.inject_actuator(mv, fault)?,
            Command::Writes(mv, taken) => self.dcs.take_writes(mv, taken)?,
            Command::Server(up) => ack = if up { Ack::ServerStart } else { Ack::ServerStop },
            Command::Quit => ack = Ack::Quit,
        }
        self.dcs.image(self.now);
        Ok(ack)
    }

    /// The state as a record.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let (view, apc, tally) = (self.dcs.view(), self.dcs.apc(), self.dcs.tally());
        let cvs = (1..).zip(self.config.cvs.iter().zip(&view.cvs)).map(|(n, (cv, said))| CvRecord {
            tag: format!("CV{n}"),
            name: cv.variable.name,
            unit: cv.variable.unit.symbol(),
            pv: said.pv.value,
            sp: said.sp_opr.good(),
            lo: said.lo_opr.value,
            hi: said.hi_opr.value,
        });
        let inputs = self.dcs.inputs();
        let requests = apc.mvs.iter().map(|mv| mv.sp_req.good()).zip(inputs);
        let mvs = (1..).zip(self.config.mvs.iter().zip(view.mvs.iter().zip(requests)));
        let mvs = mvs.map(|(n, (mv, (said, (sp_req, pv))))| MvRecord {
            tag: format!("MV{n}"),
            name: mv.variable.name,
            unit: mv.variable.unit.symbol(),
            sp_act: said.sp_act.value,
            sp_req,
            pv,
            mode: said.mode.value.label(),
            lo: said.lo_opr.value,
            hi: said.hi_opr.value,
        });
        let dvs = (1..).zip(self.config.dvs.iter().zip(&view.dvs)).map(|(n, (dv, said))| DvRecord {
            tag: format!("DV{n}"),
            name: dv.variable.name,
            unit: dv.variable.unit.symbol(),
            pv: said.pv.value,
        });
        Snapshot {
            t_s: self.now.secs_f64(),
            mode_req: view.mode_req.value.label(),
            mode_act: apc.mode_act.value.label(),
            hb_apc: apc.hb_apc.value,
            wd_ok: view.wd_ok.value,
            permit: view.permit.value,
            lease: view.lease.value,
            cv: cvs.collect(),
            mv: mvs.collect(),
            dv: dvs.collect(),
            rec: self.recommendation(),
            plant_fault: self.plant_fault().map(str::to_owned),
            totals: self.totals,
            writes_while_not_on: tally.writes_while_not_on,
            bump_pct: tally.bump_pct,
        }
    }

    /// The newest recommendation; `None` before the first.
    fn recommendation(&self) -> Option<RecRecord> {
        let (rec, left) = (&self.dcs.apc().rec, self.dcs.recommendation_left(self.now));
        Some(RecRecord {
            id: rec.id.good()?,
            status: rec.status.value.label(),
            stale_id: rec.stale_id.value,
            left_s: left.map(|left| left.as_secs_f64()),
            sp: rec.sp.iter().map(|sp| sp.value).collect(),
            pred: rec.pred.iter().map(signals::dcs::Reading::finite).collect(),
            hold: rec.hold.iter().map(signals::dcs::Reading::finite).collect(),
            reason: self.dcs.texts().rec_reason.clone(),
        })
    }

    /// The run so far, summed up.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let tally = self.dcs.tally();
        Summary {
            t_s: self.now.secs_f64(),
            cycles: self.cycles(),
            totals: self.totals,
            writes_while_not_on: tally.writes_while_not_on,
            bump_pct: tally.bump_pct,
            sheds: tally.sheds,
            refused_writes: tally.refused_writes.clone(),
            alarms: tally.alarms.clone(),
            mode_acts: tally.mode_acts.iter().map(|mode| mode.label()).collect(),
            dropped: tally.dropped,
        }
    }
}

#[cfg(test)]
#[path = "rig_tests.rs"]
mod tests;
