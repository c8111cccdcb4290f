//! Checks 18 and 19: whether a learned policy may be believed. Only a policy's own proposal is judged; one by the MPC, or
//! one that falls back on it, is what the policy is compared with.

use signals::{Proposer, Stamp};

use crate::cause::{Cause, finite};
use crate::config::{MvChecks, PolicyChecks};
use crate::inputs::Inputs;

/// What was found on the newest proposal of a policy. It holds until the next proposal, or until this one has expired.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PolicyWatch {
    pub(crate) off_ground: Option<Cause>,
    pub(crate) disagrees: Option<Cause>,
    until: Stamp,
}

impl PolicyWatch {
    pub(crate) fn observe(&mut self, policy: &PolicyChecks, mvs: &[MvChecks], inputs: &Inputs<'_>, now: Stamp) {
        let Some(proposal) = inputs.proposal else {
            if now > self.until {
                *self = Self::default();
            }
            return;
        };
        *self = Self { until: proposal.valid_until, ..Self::default() };
        if proposal.proposer != Proposer::Policy {
            return;
        }
        // A policy of which nothing is said is not known to be on its ground.
        let report = inputs.policy.filter(|report| report.cycle == proposal.cycle);
        let distance = report.map_or(f64::MAX, |report| finite(report.distance));
        if distance > policy.distance_max {
            self.off_ground = Some(Cause::OutOfDistribution { distance, limit: finite(policy.distance_max) });
        }
        let reference = |mv: usize| report.and_then(|report| report.reference.get(mv).copied());
        let differences = proposal.u.iter().zip(mvs).enumerate().map(|(mv, (u, checks))| {
            let by = reference(mv).map_or(f64::MAX, |other| finite((u - other).abs() / checks.span));
            (u16::try_from(mv).unwrap_or(u16::MAX), by)
        });
        let most = differences.reduce(|a, b| if b.1 > a.1 { b } else { a });
        self.disagrees = most.filter(|(_, by)| *by > policy.disagreement_max).map(|(mv, by)| Cause::Disagreement {
            mv,
            by,
            limit: finite(policy.disagreement_max),
        });
    }
}
