//! What an interlock is told once, when its loop is wired; all numbers in model units and plant time.
//!
//! A configuration is judged whole: [`SafetyError::Config`] lists every fault, not the first.

mod fault;
mod mv;
mod reactions;
mod tag;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use signals::{MAX_CVS, MAX_DVS, MAX_MVS, Spared};

use crate::check::{CheckId, CheckSet};
use crate::config_hash::ConfigHash;
use crate::reaction::{Effect, Priority, Reaction};
use crate::row::Row;
use crate::subject::{Measured, Variable};

pub use fault::{ConfigFault, OverlayFault, SafetyError};
pub use mv::{MvChecks, MvReactions, Travel};
pub use reactions::Reactions;
pub use tag::{Cusum, Frozen, MAX_SPIKE_WINDOW, Role, Spike, TagChecks, TagReactions};

/// The most balances of one loop.
pub const MAX_BALANCES: usize = 16;

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

/// What each check of the loop does, where that may be chosen.
pub type LoopReactions = Reactions<{ Row::LOOP.len() }>;

impl LoopReactions {
    /// The usual reactions: a policy off its ground or at odds with the MPC, and a clock that jumped, hold the loop;
    /// another configuration stands it down; a late scan warns.
    #[must_use]
    pub fn customary() -> Self {
        Self::new(Row::LOOP, |row| match row {
            Row::ConfigHash => Reaction::of(Effect::StandDown, Duration::ZERO),
            Row::ScanOverrun => Reaction::of(Effect::Warn, Duration::ZERO),
            _ => Reaction::of(Effect::Hold, Duration::ZERO),
        })
    }
}

/// Checks 18 and 19.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolicyChecks {
    /// Check 18: the greatest distance from its training data at which a policy is believed.
    pub distance_max: f64,
    /// Check 19: the most by which policy and MPC may differ on an MV, as a share of its span.
    pub disagreement_max: f64,
}

/// Check 9: `Σ coefficient · value + bias`, which is 0 but for the tolerance when every instrument tells the truth.
#[derive(Clone, Debug, PartialEq)]
pub struct Balance {
    /// Measured tags, by their place, with their coefficients.
    pub tags: Vec<(usize, f64)>,
    /// MVs, by their place, with the coefficients of their `SP_ACT`.
    pub mvs: Vec<(usize, f64)>,
    /// What is added.
    pub bias: f64,
    /// The most that may be left over.
    pub tolerance: f64,
    /// What it does when it does not close.
    pub reaction: Reaction,
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
    /// Check 9.
    pub balances: Vec<Balance>,
    /// Checks 18 and 19; `None`: the loop has no policy.
    pub policy: Option<PolicyChecks>,
    /// Check 21: the most by which the wall clock may move against the monotonic one between two steps.
    pub clock_jump_max: Duration,
    /// Check 22: the hash of what this loop was built from.
    pub config_hash: ConfigHash,
    /// Check 24: the longest time between two steps; by custom three scans.
    pub scan_max: Duration,
    /// What checks 18, 19, 21, 22 and 24 do.
    pub reactions: LoopReactions,
    /// Priorities of rows whose effect is fixed, where they are not the customary ones.
    pub priorities: BTreeMap<Row, Priority>,
    /// The checks that this loop does without. Those of [`CheckId::ALWAYS_ON`] cannot be among them.
    pub switched_off: CheckSet,
}

impl InterlockConfig {
    /// A configuration with the customary times and counts: `heartbeat_timeout` 3 T, `armed_timeout` 60 s, Hold for
    /// 5 periods, solver 2 and 5 failed cycles, 2 failed writes, a scan of 0.3 T and a clock's jump of 0.5 T at most; no
    /// balance, no policy, no check switched off.
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
            balances: Vec::new(),
            policy: None,
            clock_jump_max: period / 2,
            config_hash: ConfigHash::default(),
            scan_max: period.saturating_mul(3) / 10,
            reactions: LoopReactions::customary(),
            priorities: BTreeMap::new(),
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
        for (n, balance) in self.balances.iter().enumerate() {
            let rules = self.balance_rules(balance).into_iter().filter(|rule| !rule.0);
            faults.extend(rules.map(|(_, field, must)| ConfigFault::Balance { balance: n, field, must }));
        }
        let locked = CheckId::ALWAYS_ON.into_iter().filter(|c| self.switched_off.contains(*c));
        faults.extend(locked.map(|check| ConfigFault::AlwaysOn { check }));
        if faults.is_empty() { Ok(()) } else { Err(SafetyError::Config { faults }) }
    }

    /// How many transmitters a step is given: one per tag, and two more of each that has spares.
    #[must_use]
    pub fn transmitters(&self) -> usize {
        self.spared().transmitters(self.tags.len())
    }

    /// Which tags have spare transmitters.
    #[must_use]
    pub fn spared(&self) -> Spared {
        Spared::collect(self.tags.iter().map(|tag| tag.spares_tolerance.is_some()))
    }

    fn balance_rules(&self, balance: &Balance) -> [Rule; 5] {
        let known = |terms: &[(usize, f64)], count| terms.iter().all(|(n, _)| *n < count);
        let numbers = balance.tags.iter().chain(&balance.mvs).map(|term| term.1).chain([balance.bias]);
        [
            (!balance.tags.is_empty(), "tags", "at least one"),
            (known(&balance.tags, self.tags.len()), "tags", "tags of this loop"),
            (known(&balance.mvs, self.mvs.len()), "mvs", "MVs of this loop"),
            (numbers.into_iter().all(f64::is_finite), "coefficients and bias", "finite"),
            (
                balance.tolerance > 0.0 && balance.reaction.effect != Effect::Clamp,
                "tolerance and effect",
                "above 0, and other than clamp",
            ),
        ]
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
        if self.balances.len() > MAX_BALANCES {
            faults.push(ConfigFault::Count { what: "balances", count: self.balances.len(), max: MAX_BALANCES });
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
            (!self.clock_jump_max.is_zero(), "clock_jump_max", "above 0"),
            (!self.scan_max.is_zero(), "scan_max", "above 0"),
            (
                self.policy.is_none_or(|p| p.distance_max > 0.0 && p.disagreement_max > 0.0),
                "policy.distance_max and policy.disagreement_max",
                "above 0",
            ),
            (
                self.reactions.get(Row::ConfigHash).unwrap_or_default().effect >= Effect::StandDown,
                "reactions",
                "for check 22 at least stand down: it is always on",
            ),
            (
                self.reactions.iter().all(|(_, reaction)| reaction.effect != Effect::Clamp),
                "reactions",
                "other than clamp: nothing of the loop is clamped",
            ),
        ];
        let broken = rules.into_iter().filter(|rule| !rule.0);
        faults.extend(broken.map(|(_, field, must)| ConfigFault::Loop { field, must }));
    }
}

/// Whether a rule holds, of which field it speaks, what the field must be.
type Rule = (bool, &'static str, &'static str);
