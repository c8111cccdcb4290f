//! Checks 21, 22 and 24: whether the machine that we run on keeps time and runs what it was told to.

use std::time::Duration;

use signals::Stamp;

use super::policy::PolicyWatch;
use super::{Findings, Hazard, Look};
use crate::cause::Cause;
use crate::check::{CheckId, CheckSet};
use crate::config::{InterlockConfig, LoopReactions};
use crate::inputs::Inputs;
use crate::row::Row;
use crate::verdict::Events;

/// The step before, as far as it matters here.
#[derive(Clone, Copy, Debug)]
struct Before {
    at: Stamp,
    wall: Option<Stamp>,
    dropped: u64,
}

/// The memory of checks 18, 19, 21, 22 and 24: what is found on the loop as a whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostWatch {
    before: Option<Before>,
    /// When the wall clock last jumped, and by how many nanoseconds.
    jumped: Option<(Stamp, i64)>,
    policy: PolicyWatch,
    findings: Findings<{ Row::LOOP.len() }>,
}

impl HostWatch {
    pub(crate) fn new() -> Self {
        Self {
            before: None,
            jumped: None,
            policy: PolicyWatch::default(),
            findings: Findings::new(Row::OutOfDistribution),
        }
    }

    pub(crate) fn observe(&mut self, config: &InterlockConfig, inputs: &Inputs<'_>, look: Look) {
        if let Some(policy) = &config.policy {
            self.policy.observe(policy, &config.mvs, inputs, look.now);
        }
        let now = Before { at: look.now, wall: inputs.wall, dropped: inputs.beats_dropped };
        let before = self.before.replace(now);
        let found = [
            (Row::OutOfDistribution, self.policy.off_ground),
            (Row::Disagreement, self.policy.disagrees),
            (Row::ClockJump, self.clock_jump(config, before, now)),
            (Row::ConfigHash, config_changed(config, inputs)),
            (Row::ScanOverrun, before.and_then(|before| scan_overrun(config.scan_max, before, now))),
        ];
        for (row, cause) in found {
            let on = row.check().is_none_or(|check: CheckId| !look.off.contains(check));
            self.findings.set(row, cause.filter(|_| on), look.now);
        }
    }

    /// Check 21. A clock that is slewed is no jump; one that jumped is told for a period, for it may go on jumping.
    fn clock_jump(&mut self, config: &InterlockConfig, before: Option<Before>, now: Before) -> Option<Cause> {
        let walls = before.and_then(|before| Some((before.at, before.wall?, now.wall?)));
        if let Some((at, old, new)) = walls {
            let passed_ns = now.at.nanos().saturating_sub(at.nanos());
            let by_ns = new.nanos().saturating_sub(old.nanos()).saturating_sub(passed_ns);
            if Duration::from_nanos(by_ns.unsigned_abs()) > config.clock_jump_max {
                self.jumped = Some((now.at, by_ns));
            }
        }
        self.jumped = self.jumped.filter(|(at, _)| now.at.since(*at) < config.period);
        self.jumped.map(|(_, by_ns)| Cause::ClockJump { by_ns })
    }

    /// Which checks are bypassed from now on.
    pub(crate) fn bypass(&mut self, checks: CheckSet) {
        self.findings.bypass(checks);
    }

    pub(crate) fn worst(&self, reactions: &LoopReactions, now: Stamp) -> Option<Hazard> {
        self.findings.worst(reactions, now)
    }

    pub(crate) fn present(&self) -> impl Iterator<Item = Cause> {
        self.findings.present()
    }

    pub(crate) fn tripping(&self, reactions: &LoopReactions) -> Option<Cause> {
        self.findings.tripping(reactions)
    }

    pub(crate) fn tell(&mut self, reactions: &LoopReactions, now: Stamp, events: &mut Events) {
        self.findings.tell(reactions, now, events);
    }
}

/// Check 22.
fn config_changed(config: &InterlockConfig, inputs: &Inputs<'_>) -> Option<Cause> {
    let (held, seen) = (config.config_hash, inputs.config_hash);
    (held != seen).then_some(Cause::ConfigChanged { held, seen })
}

/// Check 24.
fn scan_overrun(scan_max: Duration, before: Before, now: Before) -> Option<Cause> {
    let gap = now.at.since(before.at);
    let dropped = now.dropped.saturating_sub(before.dropped);
    (gap > scan_max || dropped > 0).then_some(Cause::ScanOverrun { gap, dropped })
}
