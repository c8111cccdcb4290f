//! Checks 1 to 5 on one measured tag, made on the raw sample and independent of the controller's own screening.
//!
//! # Invariants
//! - A bad sample has no value: checks 3 to 5 do not look at it.
//! - A fault is *present* from the first step that sees it and *active* once it has been present without a break for
//!   the tag's delay. Effects follow the active faults; a reset looks at those present.
//! - A bypassed check goes on finding and telling; its findings only warn and keep no reset back ([`crate::bypass`]).
//! - A sample from the future is as little worth as an old one, or a source clock running ahead would blind check 2.

use std::time::Duration;

use signals::{Quality, Sample, Stamp};

use crate::cause::{CheckId, CheckSet, Effect, Fault};
use crate::config::TagChecks;

/// How many checks there are on a measured tag.
const CHECKS: usize = 5;
const ORDER: [CheckId; CHECKS] = [CheckId::Quality, CheckId::Age, CheckId::NotFinite, CheckId::Range, CheckId::Rate];

/// One check's finding: what it found, since when, and whether it has been told.
#[derive(Clone, Copy, Debug, Default)]
struct Finding {
    fault: Option<Fault>,
    since: Stamp,
    told: Option<Fault>,
}

impl Finding {
    fn active(&self, delay: Duration, now: Stamp) -> Option<Fault> {
        self.fault.filter(|_| now.since(self.since) >= delay)
    }
}

/// What a tag monitor has to tell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum News {
    /// A fault became active.
    Raised(Fault, Effect),
    /// A fault that was told is over.
    Cleared(Fault),
}

/// The memory of checks 1 to 5 of one tag.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TagMonitor {
    findings: [Finding; CHECKS],
    bypassed: CheckSet,
    baseline: Option<(f64, Stamp)>,
}

impl TagMonitor {
    /// Takes the newest sample of the tag; `off` are the checks that are switched off.
    ///
    /// Check 5 judges `|v − v₀| / (t − t₀)` between two values with their source times, so it speaks of a sample and
    /// holds until the next.
    pub(crate) fn observe(&mut self, checks: &TagChecks, off: CheckSet, sample: Option<&Sample>, now: Stamp) {
        let usable = sample.filter(|s| s.quality != Quality::Bad);
        let finite = usable.filter(|s| s.value.is_finite());
        let faults = [
            sample.and_then(|s| quality(checks, s)),
            age(checks, sample, now),
            usable.and_then(|s| (!s.value.is_finite()).then_some(Fault::NotFinite)),
            finite.and_then(|s| self.range(checks, s.value)),
            finite.and_then(|s| self.rate(checks, s)),
        ];
        for ((finding, fault), check) in self.findings.iter_mut().zip(faults).zip(ORDER) {
            let fault = fault.filter(|_| !off.contains(check));
            if finding.fault.is_none() && fault.is_some() {
                finding.since = now;
            }
            finding.fault = fault;
        }
    }

    /// Which checks are bypassed from now on.
    pub(crate) fn bypass(&mut self, checks: CheckSet) {
        self.bypassed = checks;
    }

    /// The active fault with the hardest effect; of equals the one of the lowest number.
    pub(crate) fn worst(&self, checks: &TagChecks, now: Stamp) -> Option<(Effect, Fault)> {
        let active = self.findings.iter().filter_map(|f| f.active(checks.delay, now));
        active.map(|fault| (effect(checks, self.bypassed, fault), fault)).reduce(|a, b| if b.0 > a.0 { b } else { a })
    }

    /// The fault that `check` sees at present, active or not.
    pub(crate) fn present(&self, check: CheckId) -> Option<Fault> {
        self.findings.iter().zip(ORDER).find(|(_, c)| *c == check).and_then(|(f, _)| f.fault)
    }

    /// The fault that `check` sees at present, if it is not bypassed.
    pub(crate) fn holding(&self, check: CheckId) -> Option<Fault> {
        self.present(check).filter(|_| !self.bypassed.contains(check))
    }

    /// The first present fault that makes the value worthless: checks 1 to 3, those bypassed excepted.
    pub(crate) fn unusable(&self) -> Option<Fault> {
        ORDER.into_iter().take(3).find_map(|check| self.holding(check))
    }

    /// The first present fault that trips.
    pub(crate) fn tripping(&self, checks: &TagChecks) -> Option<Fault> {
        let mut present = self.findings.iter().filter_map(|f| f.fault);
        present.find(|fault| effect(checks, self.bypassed, *fault) == Effect::Trip)
    }

    /// Hands each piece of news to `tell`; one that `tell` has no room for (`false`) is offered again next time.
    pub(crate) fn tell(&mut self, checks: &TagChecks, now: Stamp, tell: &mut dyn FnMut(News) -> bool) {
        let bypassed = self.bypassed;
        for finding in &mut self.findings {
            match (finding.told, finding.active(checks.delay, now)) {
                (None, Some(fault)) if tell(News::Raised(fault, effect(checks, bypassed, fault))) => {
                    finding.told = Some(fault);
                }
                (Some(fault), None) if finding.fault.is_none() && tell(News::Cleared(fault)) => finding.told = None,
                _ => {}
            }
        }
    }

    fn range(&self, checks: &TagChecks, value: f64) -> Option<Fault> {
        let (was_high, was_low) = match self.present(CheckId::Range) {
            Some(Fault::High { .. }) => (true, false),
            Some(Fault::Low { .. }) => (false, true),
            _ => (false, false),
        };
        let back_from = |was: bool| if was { checks.hysteresis } else { 0.0 };
        if value > checks.hi - back_from(was_high) {
            Some(Fault::High { value, limit: checks.hi })
        } else if value < checks.lo + back_from(was_low) {
            Some(Fault::Low { value, limit: checks.lo })
        } else {
            None
        }
    }

    fn rate(&mut self, checks: &TagChecks, sample: &Sample) -> Option<Fault> {
        let before = self.baseline.replace((sample.value, sample.source_time));
        let (value, taken) = before?;
        if taken == sample.source_time {
            self.baseline = before;
            return self.present(CheckId::Rate);
        }
        let span_s = sample.source_time.since(taken).as_secs_f64();
        let per_s = ((sample.value - value).abs() / span_s).min(f64::MAX);
        (span_s > 0.0 && per_s > checks.rate_max_per_s)
            .then_some(Fault::Fast { per_s, limit_per_s: checks.rate_max_per_s })
    }
}

/// What a fault does; that of a bypassed check warns.
fn effect(checks: &TagChecks, bypassed: CheckSet, fault: Fault) -> Effect {
    if bypassed.contains(fault.check()) { Effect::Warn } else { checks.effects.of_fault(fault) }
}

fn quality(checks: &TagChecks, sample: &Sample) -> Option<Fault> {
    match sample.quality {
        Quality::Good => None,
        Quality::Uncertain => (!checks.accept_uncertain).then_some(Fault::Uncertain),
        Quality::Bad => Some(Fault::Bad),
    }
}

fn age(checks: &TagChecks, sample: Option<&Sample>, now: Stamp) -> Option<Fault> {
    let Some(sample) = sample else { return Some(Fault::Missing) };
    let (age, ahead) = (now.since(sample.source_time), sample.source_time.since(now));
    if age > checks.max_age {
        Some(Fault::Old { age })
    } else if ahead > checks.max_age {
        Some(Fault::Early { ahead })
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Role, TagEffects};
    use signals::TagId;

    const CHECKS: TagChecks = TagChecks {
        role: Role::Critical,
        lo: 0.0,
        hi: 100.0,
        hysteresis: 2.0,
        rate_max_per_s: 10.0,
        max_age: Duration::from_millis(2500),
        accept_uncertain: false,
        delay: Duration::ZERO,
        effects: TagEffects {
            quality: Effect::Hold,
            age: Effect::Hold,
            not_finite: Effect::Hold,
            range: Effect::Trip,
            rate: Effect::Warn,
        },
    };

    fn sample(value: f64, at_s: f64) -> Sample {
        let source_time = Stamp::from_secs_f64(at_s);
        Sample { tag: TagId(0), value, quality: Quality::Good, source_time, sequence: 0 }
    }

    fn after(checks: &TagChecks, samples: &[Sample]) -> Option<(Effect, Fault)> {
        let mut monitor = TagMonitor::default();
        let mut now = Stamp::ZERO;
        for s in samples {
            now = now.max(s.source_time);
            monitor.observe(checks, CheckSet::EMPTY, Some(s), now);
        }
        monitor.worst(checks, now)
    }

    #[test]
    fn a_range_violation_lasts_until_the_value_is_inside_by_the_hysteresis() {
        let high = |value| Some((Effect::Trip, Fault::High { value, limit: 100.0 }));
        assert_eq!(after(&CHECKS, &[sample(101.0, 0.0), sample(99.0, 1.0)]), high(99.0));
        assert_eq!(after(&CHECKS, &[sample(101.0, 0.0), sample(98.0, 1.0)]), None);
        assert_eq!(after(&CHECKS, &[sample(99.0, 0.0)]), None);
        let low = Some((Effect::Trip, Fault::Low { value: 1.0, limit: 0.0 }));
        assert_eq!(after(&CHECKS, &[sample(-1.0, 0.0), sample(1.0, 1.0)]), low);
    }

    #[test]
    fn the_rate_is_taken_between_source_times_and_speaks_of_one_sample() {
        let fast = Some((Effect::Warn, Fault::Fast { per_s: 11.0, limit_per_s: 10.0 }));
        let steps = [sample(50.0, 0.0), sample(61.0, 1.0), sample(61.0, 1.0), sample(70.0, 2.0)];
        assert_eq!(after(&CHECKS, &steps[..1]), None);
        assert_eq!(after(&CHECKS, &steps[..2]), fast);
        assert_eq!(after(&CHECKS, &steps[..3]), fast, "the same sample seen again");
        assert_eq!(after(&CHECKS, &steps), None);
    }

    #[test]
    fn a_fault_counts_only_after_its_delay_and_a_break_starts_it_anew() {
        let checks = TagChecks { delay: Duration::from_secs(2), ..CHECKS };
        let bad = |at| Sample { quality: Quality::Bad, ..sample(50.0, at) };
        assert_eq!(after(&checks, &[bad(0.0), bad(1.9)]), None);
        assert_eq!(after(&checks, &[bad(0.0), bad(2.0)]), Some((Effect::Hold, Fault::Bad)));
        assert_eq!(after(&checks, &[bad(0.0), sample(50.0, 1.0), bad(2.0), bad(3.0)]), None);
    }

    #[test]
    fn a_sample_from_the_future_is_no_sample() {
        let mut monitor = TagMonitor::default();
        monitor.observe(&CHECKS, CheckSet::EMPTY, Some(&sample(50.0, 9.0)), Stamp::ZERO);
        assert!(matches!(monitor.unusable(), Some(Fault::Early { .. })));
        monitor.observe(&CHECKS, CheckSet::EMPTY, None, Stamp::ZERO);
        assert_eq!(monitor.unusable(), Some(Fault::Missing));
    }

    #[test]
    fn the_hardest_effect_wins_and_of_equals_the_first() {
        let bad_and_old = Sample { quality: Quality::Bad, ..sample(500.0, -9.0) };
        assert_eq!(after(&CHECKS, &[bad_and_old]), Some((Effect::Hold, Fault::Bad)));
        let old_and_high = sample(500.0, -9.0);
        assert_eq!(after(&CHECKS, &[old_and_high]).unwrap().0, Effect::Trip);
    }

    #[test]
    fn news_comes_once_and_waits_for_room() {
        let mut monitor = TagMonitor::default();
        let mut heard = Vec::new();
        monitor.observe(&CHECKS, CheckSet::EMPTY, Some(&sample(f64::NAN, 0.0)), Stamp::ZERO);
        monitor.tell(&CHECKS, Stamp::ZERO, &mut |_| false);
        for _ in 0..2 {
            monitor.tell(&CHECKS, Stamp::ZERO, &mut |news| {
                heard.push(news);
                true
            });
        }
        monitor.observe(&CHECKS, CheckSet::EMPTY, Some(&sample(1.0, 0.0)), Stamp::ZERO);
        monitor.tell(&CHECKS, Stamp::ZERO, &mut |news| {
            heard.push(news);
            true
        });
        assert_eq!(heard, [News::Raised(Fault::NotFinite, Effect::Hold), News::Cleared(Fault::NotFinite)]);
    }
}
