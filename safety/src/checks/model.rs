//! Checks 9 and 10: values against what a model expects, and against each other.
//!
//! # Source
//! E. S. Page, Continuous inspection schemes, Biometrika 41 (1954) 100: the cumulative sum.

use signals::{Fixed, MAX_MVS, Stamp};

use super::Look;
use super::finding::{Findings, Hazard};
use crate::cause::{Cause, Fault, finite};
use crate::check::CheckId;
use crate::config::{self, Balance, Reactions};
use crate::handshake::MvScan;
use crate::row::Row;
use crate::verdict::Events;

/// Check 9 on one variable: `|value − expected| > max`.
pub(super) fn residual(residual_max: f64, value: f64, expected: f64) -> Option<Fault> {
    let away = (value - expected).abs() > residual_max;
    away.then_some(Fault::Residual { value, expected })
}

/// Check 10. `S⁺ ← max(0, S⁺ + r − slack)` and `S⁻ ← max(0, S⁻ − r − slack)` with `r = value − expected`, once a sample;
/// the model is void while one of them is above the limit. A sum stops at twice the limit, so that a model that is right
/// again is believed in bounded time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cusum {
    above: f64,
    below: f64,
}

impl Cusum {
    pub(super) fn observe(&mut self, config: config::Cusum, value: f64, expected: f64) {
        let r = value - expected;
        let most = 2.0 * config.limit;
        self.above = (self.above + r - config.slack).max(0.0).min(most);
        self.below = (self.below - r - config.slack).max(0.0).min(most);
    }

    pub(super) fn found(&self, config: config::Cusum) -> Option<Fault> {
        let sum = if self.above >= self.below { self.above } else { -self.below };
        (sum.abs() > config.limit).then_some(Fault::Drift { sum: finite(sum), limit: config.limit })
    }
}

/// Check 9 on one balance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BalanceMonitor {
    findings: Findings<1>,
}

impl BalanceMonitor {
    pub(crate) fn new() -> Self {
        Self { findings: Findings::new(Row::Balance) }
    }

    /// Closes the balance over the usable values of the tags and the `SP_ACT` of the MVs. Where one is missing there is
    /// nothing to close, and nothing is found: checks 1 to 3 speak of it.
    pub(crate) fn observe(
        &mut self,
        (number, balance): (usize, &Balance),
        value: impl Fn(usize) -> Option<f64>,
        mvs: &Fixed<MvScan, MAX_MVS>,
        look: Look,
    ) {
        let sp_act = |mv: usize| mvs.get(mv)?.sp_act;
        let sum = |terms: &[(usize, f64)], of: &dyn Fn(usize) -> Option<f64>| {
            terms.iter().try_fold(0.0, |sum, (n, coefficient)| Some(sum + coefficient * of(*n)?))
        };
        let both = sum(&balance.tags, &value).zip(sum(&balance.mvs, &sp_act));
        // A sum that is no number closes nothing.
        let open = |residual: &f64| residual.is_nan() || residual.abs() > balance.tolerance;
        let on = !look.off.contains(CheckId::Balance);
        let found = both.map(|(tags, mvs)| tags + mvs + balance.bias).filter(open).filter(|_| on);
        let cause = found.map(|residual| Cause::Balance {
            balance: u16::try_from(number).unwrap_or(u16::MAX),
            residual: finite(residual),
            tolerance: finite(balance.tolerance),
        });
        self.findings.set(Row::Balance, cause, look.now);
    }

    pub(crate) fn worst(&self, balance: &Balance, now: Stamp) -> Option<Hazard> {
        self.findings.worst(&reactions(balance), now)
    }

    pub(crate) fn present(&self) -> impl Iterator<Item = Cause> {
        self.findings.present()
    }

    pub(crate) fn tripping(&self, balance: &Balance) -> Option<Cause> {
        self.findings.tripping(&reactions(balance))
    }

    pub(crate) fn tell(&mut self, balance: &Balance, now: Stamp, events: &mut Events) {
        self.findings.tell(&reactions(balance), now, events);
    }
}

fn reactions(balance: &Balance) -> Reactions<1> {
    Reactions::new([Row::Balance], |_| balance.reaction)
}
