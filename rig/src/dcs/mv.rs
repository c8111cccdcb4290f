//! One MV as the DCS sees it: its slave loop, its switch, its part of the hand-shake.

use std::collections::VecDeque;

use signals::dcs::{MvMode, MvRead, Reading, ShedOption};
use signals::{Quality, Stamp};

use super::SP_TOLERANCE;
use crate::config::MvConfig;
use crate::slave::Slave;

/// An MV: its slave loop and the DCS's logic around it.
#[derive(Clone, Debug)]
pub(super) struct MvLoop {
    pub(super) config: MvConfig,
    pub(super) slave: Slave,
    /// The operator's switch for this MV.
    pub(super) opr_on: bool,
    /// Whether a set-point that is confirmed is also taken.
    pub(super) takes_writes: bool,
    /// The operator's limits, which may be crossed: the application has to cope with that.
    pub(super) limits: (f64, f64),
    /// `INIT_REQ`: raised since when.
    pub(super) init_since: Option<Stamp>,
    /// The set-point before this scan's change of mode.
    before_change: Option<f64>,
    /// A back-up set-point to ramp to from the next scan on.
    then_target: Option<f64>,
    /// `SP_ACT` of the last two control periods, one per scan.
    history: VecDeque<f64>,
    history_len: usize,
}

impl MvLoop {
    pub(super) fn at_rest(config: MvConfig, history_len: usize) -> Self {
        Self {
            slave: Slave::at_rest(&config),
            opr_on: true,
            takes_writes: true,
            limits: (config.limits.low, config.limits.high),
            init_since: None,
            before_change: None,
            then_target: None,
            history: VecDeque::from([config.start]),
            history_len,
            config,
        }
    }

    pub(super) fn is_rcas(&self) -> bool {
        self.slave.mode() == MvMode::Rcas
    }

    /// A difference of set-points, in percent of the slave's range.
    pub(super) fn pct(&self, a: f64, b: f64) -> f64 {
        100.0 * (a - b).abs() / self.config.range.width()
    }

    pub(super) fn change_mode(&mut self, mode: MvMode) {
        self.init_since = None;
        self.then_target = None;
        if self.slave.mode() != mode {
            self.before_change.get_or_insert(self.slave.sp());
            self.slave.set_mode(mode);
        }
    }

    /// Takes the MV back from the application, holding its set-point. Without effect outside RCAS.
    pub(super) fn release(&mut self) -> bool {
        self.init_since = None;
        let held = self.is_rcas();
        if held {
            self.change_mode(MvMode::Auto);
        }
        held
    }

    /// Takes the MV back from the application by its shed option. Without effect outside RCAS.
    pub(super) fn shed(&mut self) -> bool {
        self.init_since = None;
        if !self.is_rcas() {
            return false;
        }
        match self.config.shed {
            ShedOption::HoldAuto => self.change_mode(MvMode::Auto),
            ShedOption::Man => self.change_mode(MvMode::Man),
            ShedOption::BackupSp => {
                self.change_mode(MvMode::Auto);
                self.then_target = Some(self.config.backup_sp);
            }
        }
        true
    }

    /// Whether a request equals a set-point that was read back as in use within the last two control periods.
    pub(super) fn tracks(&self, sp_req: f64) -> bool {
        self.history.iter().chain([&self.slave.readback()]).any(|sp| self.pct(sp_req, *sp) <= SP_TOLERANCE)
    }

    /// One scan of the slave. Gives the bump of a change of mode, in percent of range: how far the set-point moved in
    /// the scan of the change, or in RCAS would be asked to move.
    pub(super) fn step(&mut self, dt_s: f64, requested: Option<f64>) -> f64 {
        if let Some(target) = requested {
            self.slave.set_target(target);
        }
        self.slave.step(dt_s);
        self.history.push_back(self.slave.readback());
        if self.history.len() > self.history_len {
            self.history.pop_front();
        }
        let reached = [Some(self.slave.sp()), requested].into_iter().flatten();
        let bump = self.before_change.take().map_or(0.0, |sp| reached.map(|r| self.pct(r, sp)).fold(0.0, f64::max));
        if let Some(target) = self.then_target.take() {
            self.slave.set_target(target);
        }
        bump
    }

    pub(super) fn image(&self, now: Stamp, out: &mut MvRead) {
        *out = MvRead {
            sp_act: Reading::of(self.slave.readback(), now),
            mode: Reading::of(self.slave.mode(), now),
            opr_on: Reading::of(self.opr_on, now),
            init_req: Reading::of(self.init_since.is_some(), now),
            windup: Reading::of(self.slave.windup(), now),
            lo_opr: Reading::of(self.limits.0, now),
            hi_opr: Reading::of(self.limits.1, now),
            clamp_lo: Reading::of(self.config.clamp.low, now),
            clamp_hi: Reading::of(self.config.clamp.high, now),
            roc_max: Reading::of(self.config.max_rate_per_s, now),
            shed_opt: Reading::of(self.config.shed, now),
        };
    }
}

/// What the application asked for, if it may be used at all: good and finite.
pub(super) fn usable(reading: &Reading<f64>) -> Option<f64> {
    if reading.quality == Quality::Good { reading.finite() } else { None }
}
