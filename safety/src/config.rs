//! What an interlock is told once, when its loop is wired; all numbers in model units and plant time.
//!
//! A configuration is judged whole: [`SafetyError::Config`] lists every fault, not the first.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use signals::{MAX_CVS, MAX_DVS, MAX_MVS};

use crate::cause::{CheckId, CheckSet, Effect, Fault, Measured, Variable};

/// The highest state that a loop may reach, whatever the operator asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Watches; writes no set-point, not even a tracked one.
    Shadow,
    /// Recommends to a person; writes no set-point.
    Advisory,
    /// Tracks, engages and moves.
    ClosedLoop,
}

/// Whether a loop can do without a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// No reset without it.
    Critical,
    /// The loop goes on without it.
    NonCritical,
}

/// What each measurement check does when it finds its tag at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagEffects {
    /// Check 1.
    pub quality: Effect,
    /// Check 2.
    pub age: Effect,
    /// Check 3.
    pub not_finite: Effect,
    /// Check 4.
    pub range: Effect,
    /// Check 5.
    pub rate: Effect,
}

impl TagEffects {
    /// The usual effects of a role: a critical tag holds the loop (and the ladder climbs from there), another warns.
    #[must_use]
    pub fn of(role: Role) -> Self {
        let effect = match role {
            Role::Critical => Effect::Hold,
            Role::NonCritical => Effect::Warn,
        };
        Self { quality: effect, age: effect, not_finite: effect, range: effect, rate: effect }
    }

    pub(crate) fn of_fault(&self, fault: Fault) -> Effect {
        match fault.check() {
            CheckId::Quality => self.quality,
            CheckId::Age => self.age,
            CheckId::NotFinite => self.not_finite,
            CheckId::Range => self.range,
            _ => self.rate,
        }
    }

    fn all(&self) -> [Effect; 5] {
        [self.quality, self.age, self.not_finite, self.range, self.rate]
    }
}

/// Checks 1 to 5 of one measured tag.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TagChecks {
    /// Whether the loop can do without the tag.
    pub role: Role,
    /// Check 4: the lowest lawful value.
    pub lo: f64,
    /// Check 4: the highest lawful value.
    pub hi: f64,
    /// Check 4: how far inside the limits a value must come back before the violation is over.
    pub hysteresis: f64,
    /// Check 5: the fastest lawful change between two samples, per second.
    pub rate_max_per_s: f64,
    /// Check 2: the oldest usable sample; by custom 2.5 periods.
    pub max_age: Duration,
    /// Check 1: whether an uncertain value will do.
    pub accept_uncertain: bool,
    /// How long a fault must last without a break before it has its effect.
    pub delay: Duration,
    /// What each check does.
    pub effects: TagEffects,
}

/// Checks 11 and 12 of one MV.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MvChecks {
    /// The lowest set-point ever written: the plant file's engineering limit.
    pub lo: f64,
    /// The highest set-point ever written.
    pub hi: f64,
    /// The fastest change of the set-point, per second.
    pub rate_max_per_s: f64,
    /// Where Ramp takes it; `None` leaves it at the last good value.
    pub ramp_safe_value: Option<f64>,
    /// The natural scale of the variable; differences below 10⁻⁶ of it are rounding, not a violation.
    pub span: f64,
    /// Whether the loop may manipulate it. One that it may not is as one that the operator has switched off, and is
    /// not even tracked.
    pub commissioned: bool,
}

impl MvChecks {
    /// The difference below which two set-points are the same: unit conversion and a solver's tolerance both leave
    /// residues far below 10⁻⁶ of the span, and no valve can tell.
    #[must_use]
    pub fn tolerance(&self) -> f64 {
        1e-6 * self.span
    }
}

/// The whole configuration of an interlock.
#[derive(Clone, Debug, PartialEq)]
pub struct InterlockConfig {
    /// The control period T.
    pub period: Duration,
    /// The highest state that this loop may reach.
    pub reach: Reach,
    /// One entry per measured tag: the CVs, then the DVs.
    pub tags: Vec<TagChecks>,
    /// How many of the tags are CVs.
    pub cvs: usize,
    /// One entry per MV, in the model's order.
    pub mvs: Vec<MvChecks>,
    /// Check 16: how long the DCS may be silent.
    pub heartbeat_timeout: Duration,
    /// How long an armed loop waits for the DCS to hand over.
    pub armed_timeout: Duration,
    /// How many periods Hold lasts at most.
    pub hold_periods: u32,
    /// Check 17: failed cycles in a row that lead to Hold.
    pub solver_failures_hold: u32,
    /// Check 17: failed cycles in a row that lead to Shed.
    pub solver_failures_shed: u32,
    /// Failed writes in a row that put an MV out of service.
    pub write_failures_max: u32,
    /// The checks that this loop does without. Those of [`CheckId::ALWAYS_ON`] cannot be among them.
    pub switched_off: CheckSet,
}

/// What is wrong with a configuration.
#[derive(Clone, Debug, PartialEq)]
pub enum ConfigFault {
    /// The number of CVs, DVs or MVs is outside what a loop can hold.
    Count {
        /// What is counted.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// The most there may be.
        max: usize,
    },
    /// A duration or number of the loop that cannot be used.
    Loop {
        /// The field.
        field: &'static str,
        /// What it must be.
        must: &'static str,
    },
    /// A number of a measured tag that cannot be used.
    Tag {
        /// The tag.
        tag: Measured,
        /// The field.
        field: &'static str,
        /// What it must be.
        must: &'static str,
    },
    /// A number of an MV that cannot be used.
    Mv {
        /// The MV, counted from 0.
        mv: usize,
        /// The field.
        field: &'static str,
        /// What it must be.
        must: &'static str,
    },
    /// A check that cannot be switched off.
    AlwaysOn {
        /// The check.
        check: CheckId,
    },
}

/// What the safety crate can fail at.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SafetyError {
    /// The configuration cannot be used.
    #[error("interlock configuration: {}", list(.faults))]
    Config {
        /// Everything that is wrong with it.
        faults: Vec<ConfigFault>,
    },
}

fn list(faults: &[ConfigFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count { what, count, max } => write!(f, "{count} {what}, must be 1 to {max} (DVs: 0 to {MAX_DVS})"),
            Self::Loop { field, must } => write!(f, "{field} must be {must}"),
            Self::Tag { tag, field, must } => write!(f, "{tag}: {field} must be {must}"),
            Self::Mv { mv, field, must } => write!(f, "MV{}: {field} must be {must}", mv + 1),
            Self::AlwaysOn { check } => {
                write!(f, "check {} ({check:?}) cannot be switched off", check.number())
            }
        }
    }
}

impl InterlockConfig {
    /// A configuration with the customary times and counts: `heartbeat_timeout` 3 T, `armed_timeout` 60 s, Hold for
    /// 5 periods, solver 2 and 5 failed cycles, 2 failed writes, no check switched off.
    #[must_use]
    pub fn customary(period: Duration, reach: Reach, tags: Vec<TagChecks>, cvs: usize, mvs: Vec<MvChecks>) -> Self {
        Self {
            period,
            reach,
            tags,
            cvs,
            mvs,
            heartbeat_timeout: period.saturating_mul(3),
            armed_timeout: Duration::from_secs(60),
            hold_periods: 5,
            solver_failures_hold: 2,
            solver_failures_shed: 5,
            write_failures_max: 2,
            switched_off: CheckSet::EMPTY,
        }
    }

    /// The tag of index `tag` under its name.
    #[must_use]
    pub fn measured(&self, tag: usize) -> Measured {
        let number = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        let variable = match tag.checked_sub(self.cvs) {
            Some(dv) => Variable::Dv(number(dv)),
            None => Variable::Cv(number(tag)),
        };
        Measured { tag: number(tag), variable }
    }

    /// Judges the whole configuration.
    ///
    /// # Errors
    /// [`SafetyError::Config`] with every fault that was found.
    pub fn validate(&self) -> Result<(), SafetyError> {
        let mut faults = Vec::new();
        self.judge_counts(&mut faults);
        self.judge_loop(&mut faults);
        for (i, tag) in self.tags.iter().enumerate() {
            let measured = self.measured(i);
            let rules = tag.rules().into_iter().filter(|rule| !rule.0);
            faults.extend(rules.map(|(_, field, must)| ConfigFault::Tag { tag: measured, field, must }));
        }
        for (mv, checks) in self.mvs.iter().enumerate() {
            let rules = checks.rules().into_iter().filter(|rule| !rule.0);
            faults.extend(rules.map(|(_, field, must)| ConfigFault::Mv { mv, field, must }));
        }
        let locked = CheckId::ALWAYS_ON.into_iter().filter(|c| self.switched_off.contains(*c));
        faults.extend(locked.map(|check| ConfigFault::AlwaysOn { check }));
        if faults.is_empty() { Ok(()) } else { Err(SafetyError::Config { faults }) }
    }

    fn judge_counts(&self, faults: &mut Vec<ConfigFault>) {
        let dvs = self.tags.len().saturating_sub(self.cvs);
        if self.cvs == 0 || self.cvs > MAX_CVS.min(self.tags.len()) {
            faults.push(ConfigFault::Count { what: "CVs", count: self.cvs, max: MAX_CVS.min(self.tags.len()) });
        }
        if dvs > MAX_DVS {
            faults.push(ConfigFault::Count { what: "DVs", count: dvs, max: MAX_DVS });
        }
        if self.mvs.is_empty() || self.mvs.len() > MAX_MVS {
            faults.push(ConfigFault::Count { what: "MVs", count: self.mvs.len(), max: MAX_MVS });
        }
    }

    fn judge_loop(&self, faults: &mut Vec<ConfigFault>) {
        let rules = [
            (!self.period.is_zero(), "period", "above 0"),
            (self.heartbeat_timeout >= self.period, "heartbeat_timeout", "at least the period"),
            (!self.armed_timeout.is_zero(), "armed_timeout", "above 0"),
            (self.hold_periods >= 1, "hold_periods", "at least 1"),
            (self.solver_failures_hold >= 1, "solver_failures_hold", "at least 1"),
            (
                self.solver_failures_shed >= self.solver_failures_hold,
                "solver_failures_shed",
                "at least solver_failures_hold",
            ),
            (self.write_failures_max >= 1, "write_failures_max", "at least 1"),
        ];
        let broken = rules.into_iter().filter(|rule| !rule.0);
        faults.extend(broken.map(|(_, field, must)| ConfigFault::Loop { field, must }));
    }
}

/// Whether a rule holds, of which field it speaks, what the field must be.
type Rule = (bool, &'static str, &'static str);

impl TagChecks {
    fn rules(&self) -> [Rule; 5] {
        let ordered = self.lo.is_finite() && self.hi.is_finite() && self.lo < self.hi;
        let half = 0.5 * (self.hi - self.lo);
        [
            (ordered, "lo and hi", "finite, and lo below hi"),
            (
                self.hysteresis >= 0.0 && (!ordered || self.hysteresis < half),
                "hysteresis",
                "0 or more, and below half of hi - lo",
            ),
            (self.rate_max_per_s > 0.0, "rate_max_per_s", "above 0"),
            (!self.max_age.is_zero(), "max_age", "above 0"),
            (!self.effects.all().contains(&Effect::Clamp), "effects", "other than clamp: a measurement is not clamped"),
        ]
    }
}

impl MvChecks {
    fn rules(&self) -> [Rule; 4] {
        let ordered = self.lo.is_finite() && self.hi.is_finite() && self.lo < self.hi;
        let safe = self.ramp_safe_value.is_none_or(|v| !ordered || (self.lo..=self.hi).contains(&v));
        [
            (ordered, "lo and hi", "finite, and lo below hi"),
            (self.rate_max_per_s > 0.0 && self.rate_max_per_s.is_finite(), "rate_max_per_s", "finite and above 0"),
            (safe, "ramp_safe_value", "between lo and hi"),
            (self.span > 0.0 && self.span.is_finite(), "span", "finite and above 0"),
        ]
    }
}
