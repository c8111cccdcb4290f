//! Text tables: one line per cycle, so that a case reads like the trend that an engineer would draw.

use super::*;

/// Everything off but quality, age and finiteness.
fn open() -> ScreenConfig {
    ScreenConfig {
        lo: f64::NEG_INFINITY,
        hi: f64::INFINITY,
        hysteresis: 0.0,
        rate_max_per_s: f64::INFINITY,
        max_age: Duration::from_millis(2500),
        frozen_samples: 0,
        frozen_band: 0.0,
        spike_window: 0,
        spike_sigmas: 3.0,
        accept_uncertain: false,
    }
}

fn verdict(screened: &Screened) -> &'static str {
    match screened.fault() {
        None => "ok",
        Some(Fault::NoData) => "no-data",
        Some(Fault::BadQuality) => "bad",
        Some(Fault::Stale) => "stale",
        Some(Fault::NotFinite) => "not-finite",
        Some(Fault::OutOfRange) => "range",
        Some(Fault::RateOfChange) => "rate",
        Some(Fault::Frozen) => "frozen",
        Some(Fault::Spike) => "spike",
    }
}

/// Plays a table of `now taken value quality moved | verdict`, one line per cycle; times in seconds. `taken` is the
/// source's time, `-` for no sample and `same` for the sample of the line before, not renewed.
#[track_caller]
fn play(config: ScreenConfig, table: &str) {
    let mut screen = Screen::new(TagId(3), config).unwrap();
    let mut sample: Option<Sample> = None;
    let lines = table.lines().map(str::trim).filter(|line| !line.is_empty());
    for (cycle, line) in lines.enumerate() {
        let (given, expected) = line.split_once('|').unwrap();
        let [now, taken, value, quality, moved] = given.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("five columns before the bar: {line}");
        };
        let now = Stamp::from_secs_f64(now.parse().unwrap());
        sample = match taken {
            "-" => None,
            "same" => sample,
            taken => Some(Sample {
                tag: TagId(3),
                value: value.parse().unwrap(),
                quality: match quality {
                    "good" => Quality::Good,
                    "uncertain" => Quality::Uncertain,
                    _ => Quality::Bad,
                },
                source_time: Stamp::from_secs_f64(taken.parse().unwrap()),
                sequence: cycle as u64,
            }),
        };
        let screened = screen.step(sample.as_ref(), moved == "moved", cycle as u64, now);
        assert_eq!(verdict(&screened), expected.trim(), "cycle {cycle}: {line}");
        let value = sample.map(|s| s.value);
        assert_eq!(screened.usable(), value.filter(|_| expected.trim() == "ok"), "cycle {cycle}: {line}");
    }
}

#[test]
fn what_is_absent_bad_old_or_no_number_is_not_usable() {
    play(
        open(),
        "0.0  -    0    -          - | no-data
         1.0  1.0  5.0  good       - | ok
         2.0  same 5.0  good       - | ok
         3.0  same 5.0  good       - | ok
         3.6  same 5.0  good       - | stale
         4.0  4.0  5.0  uncertain  - | bad
         5.0  5.0  5.0  bad        - | bad
         6.0  6.0  NaN  good       - | not-finite
         7.0  7.0  inf  good       - | not-finite
         8.0  8.0  NaN  bad        - | bad
         9.0  5.0  NaN  good       - | stale
        10.0 10.0  5.0  good       - | ok",
    );
}

#[test]
fn uncertain_quality_is_usable_only_where_it_is_accepted() {
    let accepting = ScreenConfig { accept_uncertain: true, ..open() };
    play(accepting, "0 0 5.0 uncertain - | ok\n 1 1 5.0 bad - | bad");
    play(open(), "0 0 5.0 uncertain - | bad");
}

#[test]
fn a_source_whose_clock_is_ahead_cannot_stay_young() {
    play(
        open(),
        "0.0   2.0  5.0 good - | ok
         1.0   same 5.0 good - | ok
         2.4   same 5.0 good - | ok
         2.6   same 5.0 good - | stale
         3.0   6.0  5.0 good - | stale
         3.0   5.0  5.0 good - | ok",
    );
}

#[test]
fn a_value_out_of_range_must_come_back_by_the_hysteresis() {
    let config = ScreenConfig { lo: 0.0, hi: 100.0, hysteresis: 2.0, ..open() };
    play(
        config,
        "0 0  99.0 good - | ok
         1 1 100.0 good - | ok
         2 2 100.1 good - | range
         3 3  99.0 good - | range
         4 4  98.0 good - | ok
         5 5  99.0 good - | ok
         6 6  -0.1 good - | range
         7 7   1.9 good - | range
         8 8   2.0 good - | ok",
    );
    let without = ScreenConfig { hysteresis: 0.0, ..config };
    play(without, "0 0 100.1 good - | range\n 1 1 99.9 good - | ok");
}

#[test]
fn a_jump_is_flagged_and_a_real_step_is_believed_after_three_samples() {
    let config = ScreenConfig { rate_max_per_s: 1.0, ..open() };
    play(
        config,
        "0 0 10.0 good - | ok
         1 1 11.0 good - | ok
         2 2 50.0 good - | rate
         3 3 11.5 good - | ok
         4 4 50.0 good - | rate
         5 5 50.5 good - | rate
         5.5 same 0 good - | rate
         6 6 51.0 good - | ok
         7 7 51.5 good - | ok
         8 8 49.0 good - | rate",
    );
    play(open(), "0 0 10.0 good - | ok\n 1 1 1e9 good - | ok");
}

#[test]
fn a_ramp_beyond_the_rate_stays_flagged() {
    let config = ScreenConfig { rate_max_per_s: 1.0, ..open() };
    play(
        config,
        "0 0  0 good - | ok
         1 1  3 good - | rate
         2 2  6 good - | rate
         3 3  9 good - | rate
         4 4 12 good - | rate
         5 5 15 good - | rate
         6 6 18 good - | rate",
    );
}

#[test]
fn the_rate_counts_the_time_of_the_gap_and_survives_a_source_clock_that_stands() {
    let config = ScreenConfig { rate_max_per_s: 1.0, ..open() };
    play(
        config,
        "0  0  0.0 good - | ok
         1  1  9.0 bad  - | bad
         8  8  8.0 good - | ok
         9  8  8.9 good - | ok
        10  8 12.0 good - | rate
        11 11  8.9 good - | ok
        12 10.5  9.8 good - | ok
        13 10.5 19.8 good - | rate",
    );
}

#[test]
fn a_still_value_is_frozen_only_after_an_input_has_moved() {
    let config = ScreenConfig { frozen_samples: 3, frozen_band: 0.1, ..open() };
    play(
        config,
        "0 0 5.00 good -     | ok
         1 1 5.05 good -     | ok
         2 2 5.00 good -     | ok
         3 3 5.00 good -     | ok
         4 4 5.00 good -     | ok
         5 5 5.00 good moved | ok
         6 6 5.05 good -     | ok
         7 7 4.95 good -     | ok
         8 8 5.00 good -     | frozen
         9 9 5.00 good -     | frozen
        10 10 5.20 good -    | ok
        11 11 5.20 good moved | ok
        12 12 5.20 good -     | ok
        13 13 5.40 good -     | ok
        14 14 5.40 good -     | ok
        15 15 5.40 good -     | ok",
    );
    let off = ScreenConfig { frozen_samples: 0, ..config };
    play(off, "0 0 5 good moved | ok\n 1 1 5 good - | ok\n 2 2 5 good - | ok\n 3 3 5 good - | ok\n 4 4 5 good - | ok");
}

#[test]
fn asking_twice_in_a_cycle_does_not_age_the_frozen_check() {
    let config = ScreenConfig { frozen_samples: 2, frozen_band: 0.1, ..open() };
    let mut screen = Screen::new(TagId(0), config).unwrap();
    let sample = Sample { tag: TagId(0), value: 5.0, quality: Quality::Good, source_time: Stamp::ZERO, sequence: 0 };
    for _ in 0..10 {
        assert_eq!(screen.step(Some(&sample), true, 4, Stamp::ZERO).fault(), None);
    }
    assert_eq!(screen.step(Some(&sample), false, 5, Stamp::ZERO).fault(), None);
    assert_eq!(screen.step(Some(&sample), false, 6, Stamp::ZERO).fault(), Some(Fault::Frozen));
}

#[test]
fn a_spike_is_flagged_and_a_step_is_believed_after_half_the_window() {
    let config = ScreenConfig { spike_window: 5, spike_sigmas: 3.0, frozen_band: 0.05, ..open() };
    play(
        config,
        "0  0 10.0 good - | ok
         1  1 10.1 good - | ok
         2  2  9.9 good - | ok
         3  3 10.2 good - | ok
         4  4 10.0 good - | ok
         5  5 14.0 good - | spike
         5.5 same 0 good - | spike
         6  6 10.1 good - | ok
         7  7 10.0 good - | ok
         8  8  9.9 good - | ok
         9  9 10.1 good - | ok
        10 10 10.0 good - | ok
        11 11 20.0 good - | spike
        12 12 20.3 good - | spike
        13 13 19.8 good - | ok
        14 14 20.1 good - | ok
        15 15 20.0 good - | ok",
    );
    let off = ScreenConfig { spike_window: 0, ..config };
    play(
        off,
        "0 0 1 good - | ok\n 1 1 1 good - | ok\n 2 2 1 good - | ok\n 3 3 1 good - | ok\n 4 4 1 good - | ok
         5 5 99 good - | ok",
    );
}

#[test]
fn a_quantised_signal_at_rest_and_a_ramp_are_not_spikes() {
    let config = ScreenConfig { spike_window: 7, spike_sigmas: 3.0, frozen_band: 0.1, ..open() };
    let rest: String = (0..20).map(|n| format!("{n} {n} {} good - | ok\n", if n == 12 { 5.1 } else { 5.0 })).collect();
    play(config, &rest);
    let ramp: String = (0..20).map(|n| format!("{n} {n} {n} good - | ok\n")).collect();
    play(config, &ramp);
    // Without the floor the one quantum would be a spike: the negative control of the first half.
    let floorless = ScreenConfig { frozen_band: 0.0, ..config };
    play(floorless, &rest.replace("12 12 5.1 good - | ok", "12 12 5.1 good - | spike"));
}

#[test]
fn a_broken_wire_leaves_no_trace_in_the_spike_window() {
    let config = ScreenConfig { lo: 0.0, hi: 50.0, spike_window: 3, frozen_band: 0.5, rate_max_per_s: 5.0, ..open() };
    play(
        config,
        "0 0 10.0 good - | ok
         1 1 10.1 good - | ok
         2 2 10.0 good - | ok
         3 3 9999 good - | range
         4 4 9999 good - | range
         5 5 9999 good - | range
         6 6 9999 good - | range
         7 7 10.1 good - | ok",
    );
}

#[test]
fn of_several_faults_the_gravest_is_named() {
    let config = ScreenConfig {
        lo: 0.0,
        hi: 100.0,
        rate_max_per_s: 1.0,
        spike_window: 3,
        frozen_samples: 1,
        frozen_band: 0.1,
        ..open()
    };
    play(
        config,
        "0 0  10.0 good -     | ok
         1 1  10.1 good -     | ok
         2 2  10.0 good moved | ok
         3 3  10.0 good -     | frozen
         4 4  90.0 good -     | rate
         5 5 190.0 good -     | range
         6 6 190.0 bad  -     | bad",
    );
}

#[test]
fn a_sample_of_another_tag_counts_as_none() {
    let mut screen = Screen::new(TagId(3), open()).unwrap();
    let sample = Sample { tag: TagId(4), value: 5.0, quality: Quality::Good, source_time: Stamp::ZERO, sequence: 0 };
    assert_eq!(screen.step(Some(&sample), false, 0, Stamp::ZERO).fault(), Some(Fault::NoData));
}

#[test]
fn a_reused_sequence_number_does_not_borrow_a_verdict() {
    let config = ScreenConfig { lo: 0.0, hi: 10.0, ..open() };
    let mut screen = Screen::new(TagId(0), config).unwrap();
    let good = Sample { tag: TagId(0), value: 5.0, quality: Quality::Good, source_time: Stamp::ZERO, sequence: 0 };
    assert_eq!(screen.step(Some(&good), false, 0, Stamp::ZERO).usable(), Some(5.0));
    let after_restart = Sample { value: 1e60, ..good };
    assert_eq!(screen.step(Some(&after_restart), false, 1, Stamp::ZERO).fault(), Some(Fault::OutOfRange));
}

#[test]
fn a_value_that_cannot_be_kept_to_is_refused() {
    let refused = |config| Screen::new(TagId(0), config).unwrap_err();
    let range = ScreenConfig { lo: 0.0, hi: 10.0, ..open() };
    assert!(matches!(refused(ScreenConfig { lo: 5.0, hi: 5.0, ..open() }), ScreenError::EmptyRange { .. }));
    assert!(matches!(refused(ScreenConfig { lo: f64::NAN, ..open() }), ScreenError::EmptyRange { .. }));
    assert!(matches!(refused(ScreenConfig { hysteresis: 5.0, ..range }), ScreenError::Hysteresis { .. }));
    assert!(matches!(refused(ScreenConfig { hysteresis: -1.0, ..range }), ScreenError::Hysteresis { .. }));
    assert!(matches!(refused(ScreenConfig { hysteresis: f64::NAN, ..range }), ScreenError::Hysteresis { .. }));
    assert!(matches!(refused(ScreenConfig { rate_max_per_s: 0.0, ..open() }), ScreenError::Rate { .. }));
    assert!(matches!(refused(ScreenConfig { rate_max_per_s: f64::NAN, ..open() }), ScreenError::Rate { .. }));
    assert!(matches!(refused(ScreenConfig { max_age: Duration::ZERO, ..open() }), ScreenError::MaxAge));
    assert!(matches!(refused(ScreenConfig { frozen_band: -0.1, ..open() }), ScreenError::FrozenBand { .. }));
    for window in [1, 2, 4, 16, 17] {
        let config = ScreenConfig { spike_window: window, ..open() };
        assert_eq!(refused(config), ScreenError::SpikeWindow { window });
    }
    for sigmas in [0.0, 0.5, f64::NAN] {
        let config = ScreenConfig { spike_window: 5, spike_sigmas: sigmas, ..open() };
        assert!(matches!(refused(config), ScreenError::SpikeSigmas { .. }));
    }
}

#[test]
fn a_step_does_not_allocate() {
    let config = ScreenConfig { lo: 0.0, hi: 9.0, rate_max_per_s: 1.0, frozen_samples: 5, spike_window: 15, ..open() };
    let mut screen = Screen::new(TagId(0), config).unwrap();
    let mut faults = 0;
    let counted = allocation_counter::measure(|| {
        for cycle in 0..1000_u64 {
            let at = Stamp::from_secs_f64(cycle as f64);
            let value = (cycle as f64 * 0.7).sin() + 0.2 * (cycle % 7) as f64;
            let sample = Sample { tag: TagId(0), value, quality: Quality::Good, source_time: at, sequence: cycle };
            faults += u32::from(screen.step(Some(&sample), cycle % 3 == 0, cycle, at).fault().is_some());
        }
    });
    assert_eq!(counted.count_total, 0);
    assert!((1..1000).contains(&faults), "the scenario must exercise both verdicts: {faults}");
}

proptest::proptest! {
    #[test]
    fn whatever_comes_a_usable_value_is_finite_fresh_and_in_range(
        samples in proptest::collection::vec(
            (proptest::num::f64::ANY, 0_u8..3, -9_i64..30, 0_u64..4, proptest::bool::ANY), 1..60),
    ) {
        let config = ScreenConfig {
            lo: -50.0, hi: 50.0, hysteresis: 1.0, rate_max_per_s: 1e3, frozen_samples: 2, spike_window: 5,
            frozen_band: 0.1, ..open()
        };
        let mut screen = Screen::new(TagId(0), config).unwrap();
        for (cycle, (value, quality, taken_s, sequence, moved)) in samples.into_iter().enumerate() {
            let quality = [Quality::Good, Quality::Uncertain, Quality::Bad][usize::from(quality)];
            let source_time = Stamp::from_nanos(taken_s * 1_000_000_000);
            let now = Stamp::from_secs_f64(cycle as f64);
            let sample = Sample { tag: TagId(0), value, quality, source_time, sequence };
            let screened = screen.step(Some(&sample), moved, cycle as u64, now);
            if let Some(usable) = screened.usable() {
                assert!((-50.0..=50.0).contains(&usable) && quality == Quality::Good);
                assert!(screened.age() <= config.max_age && source_time.since(now) <= config.max_age);
                assert_eq!(usable.to_bits(), value.to_bits());
            }
        }
    }
}

/// Three transmitters at `now` 10 s, each `taken value quality` or `-`; what their vote is screened to.
#[track_caller]
fn vote(tolerance: f64, transmitters: [&str; 3]) -> (String, Option<f64>) {
    let mut screen = Screen::new(TagId(3), open()).unwrap();
    let now = Stamp::from_secs_f64(10.0);
    let mut number = 0;
    let samples = transmitters.map(|words| {
        number += 1;
        let [taken, value, quality] = words.split_whitespace().collect::<Vec<_>>()[..] else { return None };
        let quality = if quality == "good" { Quality::Good } else { Quality::Bad };
        let source_time = Stamp::from_secs_f64(taken.parse().unwrap());
        Some(Sample { tag: TagId(3), value: value.parse().unwrap(), quality, source_time, sequence: number })
    });
    let voted = screen.vote(samples, tolerance, now);
    let screened = screen.step(voted.as_ref(), false, 1, now);
    (verdict(&screened).to_owned(), screened.usable())
}

#[test]
fn one_bad_transmitter_of_three_costs_nothing_whatever_is_wrong_with_it() {
    assert_eq!(vote(1.0, ["10 5.0 good", "10 5.2 good", "10 5.1 good"]), ("ok".into(), Some(5.1)));
    for wrong in ["-", "10 5.0 bad", "2 5.0 good", "19 5.0 good", "10 NaN good", "10 9.0 good"] {
        for place in 0..3 {
            let mut three = ["10 5.0 good", "10 5.2 good", "10 5.1 good"];
            three[place] = wrong;
            let (said, value) = vote(1.0, three);
            assert!(said == "ok" && (value.unwrap() - 5.1).abs() < 0.11, "{three:?}: {said} {value:?}");
        }
    }
    // The negative control: alone, the same transmitter is nothing or believed.
    assert_eq!(vote(1.0, ["10 5.0 bad", "-", "-"]).1, None);
    assert_eq!(vote(1.0, ["10 9.0 good", "-", "-"]).1, Some(9.0));
    assert_eq!(vote(f64::INFINITY, ["10 9.0 good", "10 9.1 good", "10 5.1 good"]).1, Some(9.0), "and nothing deviates");
}

#[test]
fn where_no_two_agree_there_is_no_value_and_where_none_is_left_the_fault_is_named() {
    assert_eq!(vote(1.0, ["10 5.0 good", "10 7.0 good", "10 9.0 good"]), ("bad".into(), None));
    assert_eq!(vote(1.0, ["10 5.0 good", "10 7.0 good", "-"]), ("bad".into(), None));
    assert_eq!(vote(1.0, ["-", "10 7.0 good", "-"]), ("ok".into(), Some(7.0)), "the last one stands alone");
    assert_eq!(vote(1.0, ["-", "2 7.0 good", "-"]).0, "stale");
    assert_eq!(vote(1.0, ["10 NaN good", "2 7.0 good", "10 7.0 bad"]).0, "not-finite");
    assert_eq!(vote(1.0, ["-", "-", "-"]).0, "no-data");
}

#[test]
fn a_vote_is_a_new_sample_when_any_of_the_three_has_measured() {
    let screen = Screen::new(TagId(3), open()).unwrap();
    let sample = |n: u64, at: f64| {
        let (tag, quality, source_time) = (TagId(3), Quality::Good, Stamp::from_secs_f64(at));
        Some(Sample { tag, value: 5.0, quality, source_time, sequence: n })
    };
    let vote = |samples| screen.vote(samples, 1.0, Stamp::from_secs_f64(10.0)).unwrap();
    let before = vote([sample(4, 9.0), sample(7, 9.0), sample(2, 9.0)]);
    let after = vote([sample(4, 9.0), sample(7, 9.0), sample(3, 9.5)]);
    assert_ne!(before.sequence, after.sequence);
    assert_eq!(after.source_time, Stamp::from_secs_f64(9.5));
}
