//! The monitors by themselves.

use std::time::Duration;

use signals::{Fixed, Quality, Sample, Stamp, TagId};

use super::*;
use crate::cause::{Cause, Fault};
use crate::config::{Balance, Cusum, Frozen, Role, Spike, TagChecks, TagReactions};
use crate::handshake::MvScan;
use crate::reaction::{Effect, Reaction};
use crate::row::Row;
use crate::subject::{Measured, Variable};
use crate::verdict::{Event, Events};

const NAME: Measured = Measured { tag: 0, variable: Variable::Cv(0) };

fn checks() -> TagChecks {
    TagChecks {
        hysteresis: 2.0,
        rate_max_per_s: 10.0,
        reactions: TagReactions::of(Role::Critical, Duration::ZERO)
            .with(Row::Range, Effect::Trip)
            .with(Row::Rate, Effect::Warn),
        ..TagChecks::customary(Role::Critical, 0.0, 100.0, Duration::from_secs(1))
    }
}

fn look(now: Stamp) -> Look {
    Look { off: CheckSet::EMPTY, now, moves: 0 }
}

fn sample(value: f64, at_s: f64) -> Sample {
    let source_time = Stamp::from_secs_f64(at_s);
    let sequence = (at_s.max(0.0) * 1000.0) as u64;
    Sample { tag: TagId(0), value, quality: Quality::Good, source_time, sequence }
}

/// A tag that is shown one sample after the other, each at its own time.
struct Shown {
    checks: TagChecks,
    monitor: TagMonitor,
    now: Stamp,
    moves: u32,
    expected: Option<f64>,
}

impl Shown {
    fn new(checks: TagChecks) -> Self {
        Self { checks, monitor: TagMonitor::new(&checks), now: Stamp::ZERO, moves: 0, expected: None }
    }

    fn show(&mut self, s: &Sample) -> Option<(Effect, Fault)> {
        self.now = self.now.max(s.source_time);
        let tag = Tagged { checks: &self.checks, name: NAME };
        let look = Look { moves: self.moves, ..look(self.now) };
        self.monitor.observe(tag, (Some(s), &[]), self.expected, look);
        self.monitor.worst(&self.checks, self.now).map(|(effect, cause)| match cause {
            Cause::Measurement { fault, .. } => (effect, fault),
            other => panic!("{other}"),
        })
    }

    fn row(&mut self, s: &Sample) -> Option<Row> {
        self.show(s).map(|(_, fault)| fault.row())
    }
}

fn after(checks: TagChecks, samples: &[Sample]) -> Option<(Effect, Fault)> {
    let mut shown = Shown::new(checks);
    samples.iter().map(|s| shown.show(s)).last().flatten()
}

#[test]
fn a_range_violation_lasts_until_the_value_is_inside_by_the_hysteresis() {
    let slow = TagChecks { rate_max_per_s: f64::INFINITY, ..checks() };
    let high = |value| Some((Effect::Trip, Fault::High { value, limit: 100.0 }));
    assert_eq!(after(slow, &[sample(101.0, 0.0), sample(99.0, 1.0)]), high(99.0));
    assert_eq!(after(slow, &[sample(101.0, 0.0), sample(98.0, 1.0)]), None);
    assert_eq!(after(slow, &[sample(99.0, 0.0)]), None);
    let low = Some((Effect::Trip, Fault::Low { value: 1.0, limit: 0.0 }));
    assert_eq!(after(slow, &[sample(-1.0, 0.0), sample(1.0, 1.0)]), low);
}

#[test]
fn a_value_exactly_at_a_limit_is_lawful() {
    let calm = TagChecks { rate_max_per_s: f64::INFINITY, ..checks() };
    for value in [0.0, 100.0] {
        assert_eq!(after(calm, &[sample(value, 0.0)]), None, "{value}");
    }
    assert_eq!(after(checks(), &[sample(50.0, 0.0), sample(60.0, 1.0)]), None, "10 in a second");
    let ahead = |at_s| {
        let mut monitor = TagMonitor::new(&calm);
        let tag = Tagged { checks: &calm, name: NAME };
        monitor.observe(tag, (Some(&sample(50.0, at_s)), &[]), None, look(Stamp::ZERO));
        monitor.unusable().is_some()
    };
    assert_eq!((ahead(2.5), ahead(2.6)), (false, true));
}

#[test]
fn no_rate_is_taken_where_time_runs_back_nor_over_what_is_no_value() {
    let fast = |samples: &[Sample]| after(checks(), samples).is_some_and(|(_, fault)| fault.row() == Row::Rate);
    let jump = [sample(50.0, 0.5), sample(80.0, 1.0)];
    assert!(fast(&jump));
    assert!(!fast(&[sample(50.0, 1.0), sample(80.0, 0.5)]));
    // Another quality of the same sample: what was found on its value is over.
    let [first, second] = jump;
    let bad = Sample { quality: Quality::Bad, ..second };
    assert!(!fast(&[first, second, bad, second]));
}

#[test]
fn a_monitor_that_has_forgotten_is_as_new() {
    let frozen = Some(Frozen { samples: 3, resolution: 0.1 });
    let spike = Some(Spike { window: 3, sigmas: 3.0, floor: 0.5 });
    let cusum = Some(Cusum { slack: 0.5, limit: 4.0 });
    for spares_tolerance in [None, Some(5.0)] {
        let checks = TagChecks { frozen, spike, cusum, spares_tolerance, ..checks() };
        let tag = Tagged { checks: &checks, name: NAME };
        let mut monitor = TagMonitor::new(&checks);
        let new = format!("{monitor:?}");
        for (at, value) in [(0.0, 50.0), (0.1, 150.0), (0.2, 90.0)] {
            let (own, spare) = (sample(value, at), Some(sample(50.0, at)));
            let spares = &[spare, spare][..monitor.spares()];
            monitor.observe(tag, (Some(&own), spares), Some(40.0), look(own.source_time));
        }
        assert!(monitor.usable().is_some() && monitor.present().next().is_some());
        assert_ne!(format!("{monitor:?}"), new);
        monitor.forget();
        assert_eq!(format!("{monitor:?}"), new);
    }
}

#[test]
fn the_one_of_three_that_is_left_is_named_and_two_sets_of_voters_are_not_compared() {
    let checks = TagChecks { spares_tolerance: Some(5.0), ..checks() };
    let tag = Tagged { checks: &checks, name: NAME };
    let mut monitor = TagMonitor::new(&checks);
    let mut found = |at_s: f64, [own, second, third]: [f64; 3]| {
        let [own, second, third] = [own, second, third].map(|value| sample(value, at_s));
        monitor.observe(tag, (Some(&own), &[Some(second), Some(third)]), None, look(own.source_time));
        monitor.present().collect::<Vec<_>>()
    };
    assert_eq!(found(0.0, [46.0, 50.0, 54.0]), []);
    // The value is now 52, and was 50: in a tenth of a second too fast, if the same had measured both.
    let lost = |transmitter, fault| Cause::Transmitter { tag: NAME, transmitter, fault };
    assert_eq!(found(0.1, [f64::NAN, 50.0, 54.0]), [lost(1, Fault::NotFinite)]);
    let fast = |cause: &Cause| cause.row() == Row::Rate;
    assert!(found(0.2, [f64::NAN, 53.0, 57.0]).iter().any(fast), "the same two again");
    let one_left = Cause::Measurement { tag: NAME, fault: Fault::OneLeft { transmitter: 3 } };
    assert_eq!(found(0.3, [f64::NAN, f64::NAN, 57.0]), [lost(1, Fault::NotFinite), one_left]);
}

#[test]
fn a_balance_is_closed_over_tags_and_set_points() {
    let reaction = Reaction::of(Effect::Shed, Duration::ZERO);
    let balance = Balance { tags: vec![(0, 2.0)], mvs: vec![(0, -1.0)], bias: 1.0, tolerance: 3.0, reaction };
    let cause = |residual| Cause::Balance { balance: 7, residual, tolerance: 3.0 };
    let mut monitor = BalanceMonitor::new();
    let mut found = |tag: f64, sp_act: Option<f64>| {
        let mvs = Fixed::filled(MvScan { sp_act, ..MvScan::default() }, 1);
        monitor.observe((7, &balance), |_| Some(tag), &mvs, look(Stamp::ZERO));
        let mut events: Events = Fixed::new();
        monitor.tell(&balance, Stamp::ZERO, &mut events);
        (monitor.present().next(), events.first().copied())
    };
    assert_eq!(found(10.0, Some(18.0)), (None, None), "2 · 10 − 18 + 1 is the tolerance");
    assert_eq!(found(10.0, Some(24.0)), (None, None), "and so from below");
    let began = Event::Raised { cause: cause(4.0), effect: Effect::Shed };
    assert_eq!(found(10.0, Some(17.0)), (Some(cause(4.0)), Some(began)));
    assert_eq!(found(10.0, Some(25.0)), (Some(cause(-4.0)), None));
    assert_eq!(found(10.0, None), (None, Some(Event::Cleared { cause: cause(4.0) })));
}

#[test]
fn the_rate_is_taken_between_source_times_and_speaks_of_one_sample() {
    let fast = Some((Effect::Warn, Fault::Fast { per_s: 11.0, limit_per_s: 10.0 }));
    let steps = [sample(50.0, 0.0), sample(61.0, 1.0), sample(61.0, 1.0), sample(70.0, 2.0)];
    assert_eq!(after(checks(), &steps[..1]), None);
    assert_eq!(after(checks(), &steps[..2]), fast);
    assert_eq!(after(checks(), &steps[..3]), fast, "the same sample seen again");
    assert_eq!(after(checks(), &steps), None);
}

#[test]
fn a_fault_counts_only_after_its_delay_and_a_break_starts_it_anew() {
    let checks = TagChecks { reactions: checks().reactions.after(Row::Quality, Duration::from_secs(2)), ..checks() };
    let bad = |at| Sample { quality: Quality::Bad, ..sample(50.0, at) };
    assert_eq!(after(checks, &[bad(0.0), bad(1.9)]), None);
    assert_eq!(after(checks, &[bad(0.0), bad(2.0)]), Some((Effect::Hold, Fault::Bad)));
    assert_eq!(after(checks, &[bad(0.0), sample(50.0, 1.0), bad(2.0), bad(3.0)]), None);
}

#[test]
fn a_sample_from_the_future_is_no_sample() {
    let checks = checks();
    let mut monitor = TagMonitor::new(&checks);
    let tag = Tagged { checks: &checks, name: NAME };
    monitor.observe(tag, (Some(&sample(50.0, 9.0)), &[]), None, look(Stamp::ZERO));
    assert!(matches!(monitor.unusable(), Some(Cause::Measurement { fault: Fault::Early { .. }, .. })));
    assert_eq!(monitor.usable(), None);
    monitor.observe(tag, (None, &[]), None, look(Stamp::ZERO));
    assert_eq!(monitor.unusable(), Some(Cause::Measurement { tag: NAME, fault: Fault::Missing }));
}

#[test]
fn the_hardest_effect_wins_and_of_equals_the_first() {
    let bad_and_old = Sample { quality: Quality::Bad, ..sample(500.0, -9.0) };
    assert_eq!(after(checks(), &[bad_and_old]), Some((Effect::Hold, Fault::Bad)));
    let old_and_high = sample(500.0, -9.0);
    assert_eq!(after(checks(), &[old_and_high]).unwrap().0, Effect::Trip);
}

#[test]
fn a_still_value_is_frozen_only_after_an_input_has_moved() {
    let frozen = Some(Frozen { samples: 3, resolution: 0.1 });
    let mut shown = Shown::new(TagChecks { frozen, ..checks() });
    let mut at = 0.0;
    let mut rows = |shown: &mut Shown, values: &[f64]| {
        let seen = values.iter().map(|value| {
            at += 1.0;
            shown.row(&sample(*value, at))
        });
        seen.collect::<Vec<_>>()
    };
    assert_eq!(rows(&mut shown, &[5.0; 9]), [None; 9], "at rest");
    shown.moves = 1;
    assert_eq!(rows(&mut shown, &[5.05, 4.95, 5.0, 5.0]), [None, None, Some(Row::Frozen), Some(Row::Frozen)]);
    assert_eq!(rows(&mut shown, &[5.2, 5.2, 5.2, 5.2, 5.2]), [None; 5], "it moved, and is at rest again");
    shown.moves = 2;
    assert_eq!(rows(&mut shown, &[5.2, 5.2, 5.4, 5.4]), [None; 4]);
    let before = shown.row(&sample(5.4, at));
    assert_eq!(before, None, "the same sample seen again is no sample");
}

#[test]
fn an_outlier_is_a_spike_and_a_step_is_believed_when_it_has_the_median() {
    let spike = Some(Spike { window: 5, sigmas: 3.0, floor: 0.5 });
    let mut shown = Shown::new(TagChecks { spike, ..checks() });
    let values = [5.0, 5.2, 4.9, 5.1, 9.0, 5.0, 5.1, 5.4, 8.0, 8.1, 8.0, 8.1];
    let rows: Vec<_> = (1..).zip(values).map(|(at, value)| shown.row(&sample(value, f64::from(at)))).collect();
    let spikes: Vec<_> = (0..).zip(&rows).filter(|(_, row)| **row == Some(Row::Spike)).map(|(n, _)| n).collect();
    assert_eq!(spikes, [4, 8, 9], "{rows:?}");
    // Of 0, 0, 3 the median is 0, and the deviation of most is none: the floor alone decides.
    let last_of = |values: [f64; 3], floor| {
        let spike = Some(Spike { window: 3, sigmas: 3.0, floor });
        let mut shown = Shown::new(TagChecks { spike, ..checks() });
        (0..).zip(values).map(|(at, value)| shown.row(&sample(value, f64::from(at)))).last().flatten()
    };
    assert_eq!((last_of([0.0, 0.0, 3.0], 3.0), last_of([0.0, 0.0, 3.0], 2.9)), (None, Some(Row::Spike)));
    assert_eq!(Shown::new(checks()).row(&sample(9.0, 0.0)), None);
    let mut young = Shown::new(TagChecks { spike, ..checks() });
    let rows: Vec<_> =
        (0..).zip([0.0, 0.0, 0.0, 9.0]).map(|(at, value)| young.row(&sample(value, f64::from(at)))).collect();
    assert_eq!(rows, [None; 4], "the window of 5 is not full");
}

#[test]
fn a_residual_is_judged_at_once_and_a_drift_when_it_has_added_up() {
    let cusum = Some(Cusum { slack: 0.5, limit: 4.0 });
    let mut shown = Shown::new(TagChecks { residual_max: Some(3.0), cusum, ..checks() });
    shown.expected = Some(50.0);
    let mut at = 0.0;
    let mut row = |shown: &mut Shown, value: f64| {
        at += 1.0;
        shown.row(&sample(value, at))
    };
    assert_eq!(row(&mut shown, 53.5), Some(Row::Residual));
    assert_eq!([0; 20].map(|_| row(&mut shown, 50.4)), [None; 20], "within the slack");
    for value in [52.0, 48.0] {
        let seen = [0; 4].map(|_| row(&mut shown, value));
        assert_eq!(seen.last(), Some(&Some(Row::Drift)), "{seen:?}");
        assert_eq!(seen.first(), Some(&None), "{seen:?}");
        // The sum stops at twice the limit, and so the model is believed again in bounded time.
        for _ in 0..30 {
            row(&mut shown, value);
        }
        assert_eq!([0; 20].map(|_| row(&mut shown, 50.0)).last(), Some(&None));
    }
    shown.expected = None;
    assert_eq!(row(&mut shown, 53.5), None, "a model that expects nothing is not contradicted");
    shown.expected = Some(f64::NAN);
    assert_eq!(row(&mut shown, 53.5), None);
}

#[test]
fn what_is_exactly_at_its_limit_is_no_finding() {
    let mut shown = Shown::new(TagChecks { residual_max: Some(3.0), ..checks() });
    shown.expected = Some(50.0);
    assert_eq!(shown.row(&sample(53.0, 1.0)), None);
    assert_eq!(shown.row(&sample(53.1, 2.0)), Some(Row::Residual));
    let mut cusum = super::model::Cusum::default();
    let config = Cusum { slack: 0.5, limit: 4.0 };
    let mut add = |by: f64, times: usize| {
        (0..times).for_each(|_| cusum.observe(config, 50.0 + by, 50.0));
        cusum.found(config)
    };
    assert_eq!(add(1.5, 4), None, "a sum of 4");
    assert_eq!(add(1.5, 1), Some(Fault::Drift { sum: 5.0, limit: 4.0 }));
    assert_eq!(add(10.0, 9), Some(Fault::Drift { sum: 8.0, limit: 4.0 }), "it stops at twice the limit");
    assert_eq!(add(0.0, 8), None, "and from there it takes eight samples to be believed");
    assert_eq!(add(-10.0, 1), Some(Fault::Drift { sum: -8.0, limit: 4.0 }), "the other way it is below 0");
}

#[test]
fn the_order_of_samples_is_kept() {
    let numbered = |sequence, at_s, value| Sample { sequence, ..sample(value, at_s) };
    let first = numbered(7, 1.0, 50.0);
    let fault = |gap_max, second: Sample| {
        let reactions = checks().reactions.with(Row::Sequence, Effect::Hold);
        after(TagChecks { gap_max, reactions, ..checks() }, &[first, second]).map(|(_, fault)| fault)
    };
    assert_eq!(fault(Some(0), numbered(8, 1.1, 50.0)), None);
    assert_eq!(fault(Some(0), numbered(10, 1.1, 50.0)), Some(Fault::Gap { missed: 2 }));
    assert_eq!(fault(Some(2), numbered(10, 1.1, 50.0)), None);
    assert_eq!(fault(None, numbered(1000, 1.1, 50.0)), None, "where nothing is said of gaps any is lawful");
    assert_eq!(fault(None, numbered(7, 1.1, 50.0)), Some(Fault::Duplicate));
    assert_eq!(fault(None, numbered(7, 1.0, 50.5)), Some(Fault::Duplicate));
    assert_eq!(fault(None, numbered(6, 1.1, 50.0)), Some(Fault::Reordered));
    assert_eq!(fault(None, numbered(8, 0.5, 50.0)), Some(Fault::SourceBack { by: Duration::from_millis(500) }));
    let worse = Sample { quality: Quality::Uncertain, ..first };
    assert_eq!(fault(None, worse), Some(Fault::Uncertain), "another quality of the same sample is no other sample");
    assert_eq!(fault(None, first), None, "the same sample seen again");
}

#[test]
fn news_comes_once_and_waits_for_room() {
    let mut shown = Shown::new(checks());
    let mut heard = Vec::new();
    let mut tell = |shown: &mut Shown, room: usize| {
        let mut events: Events = Fixed::filled(Event::default(), crate::MAX_EVENTS - room);
        shown.monitor.tell(&shown.checks, shown.now, &mut events);
        heard.extend(events.iter().skip(crate::MAX_EVENTS - room).copied());
    };
    shown.show(&sample(f64::NAN, 0.0));
    tell(&mut shown, 0);
    tell(&mut shown, 5);
    tell(&mut shown, 5);
    shown.show(&sample(1.0, 1.0));
    tell(&mut shown, 5);
    tell(&mut shown, 5);
    let cause = Cause::Measurement { tag: NAME, fault: Fault::NotFinite };
    assert_eq!(heard, [Event::Raised { cause, effect: Effect::Hold }, Event::Cleared { cause }]);
}
