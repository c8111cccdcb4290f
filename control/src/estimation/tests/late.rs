//! Samples that arrive late, through every filter and through the loop's shell.

use nalgebra::DMatrix;

use super::scenario::{P, SEED, X_HAT_0, input, scenario, system};
use super::*;
use crate::estimation::{
    Correction, Extended, Filter, Kalman, LateFusion, LateOutcome, LateSample, LinearModel, Outcome, Period, Spread,
    SystemConfig, Unscented,
};

/// CA from the laboratory, seldom; T every period.
fn with_laboratory() -> SystemConfig {
    SystemConfig { measured: vec![cv(CA, 0.005, 0.0), cv(T, 0.5, 0.0)], ..system(4) }
}

fn linear() -> LinearModel {
    LinearModel {
        a: DMatrix::from_row_slice(3, 3, &[0.9, 0.1, 0.0, -0.2, 0.95, 0.1, 0.0, 0.05, 0.8]),
        b: DMatrix::from_row_slice(3, 1, &[0.0, 0.1, 0.3]),
        c: DMatrix::from_row_slice(2, 3, &[1.0, 0.0, 0.5, 0.0, 1.0, 0.0]),
        q: DMatrix::from_diagonal_element(3, 3, 0.01),
        r: vec![0.05, 0.1],
    }
}

/// Two filters over 60 periods. Row 0 is sampled every tenth period and told four periods late to the one, in time to
/// the other; after each fusion their memories must be equal, which compares every number.
fn late_equals_timely<F>(filter: F, p: &[f64])
where
    F: Filter + Clone,
    F::Memory: PartialEq,
{
    let scenario = scenario(SEED);
    let (mut late, mut timely) = (LateFusion::new(filter.clone(), 12), LateFusion::new(filter, 12));
    let mut differed = 0;
    for (k, y) in scenario.y.iter().enumerate().take(60) {
        let u = input(k);
        let sample = if k % 10 == 5 { scenario.x[k][0] } else { f64::NAN };
        late.advance(&Period { u: &u, acting: p, now: p, y: &[f64::NAN, *y] });
        timely.advance(&Period { u: &u, acting: p, now: p, y: &[sample, *y] });
        differed += u32::from(late.filter().memory() != timely.filter().memory());
        if k % 10 == 9 {
            let sample = LateSample { age: 4, row: 0, value: scenario.x[k - 4][0] };
            let outcome = late.fuse(&sample);
            assert!(matches!(outcome, LateOutcome::Fused { periods: 5, .. }), "{outcome:?}");
            assert!(late.filter().memory() == timely.filter().memory(), "period {k}");
        }
    }
    assert!(differed >= 24, "negative control: until it is told, the sample is not there: {differed}");
}

#[test]
fn a_late_sample_equals_one_in_time_bit_for_bit() {
    let config = with_laboratory();
    late_equals_timely(Extended::new(cstr2(), &config, &X_HAT_0).unwrap(), &P);
    let spread = Spread { alpha: 0.5, beta: 2.0, kappa: 1.0 };
    late_equals_timely(Unscented::new(cstr2(), &config, spread, &X_HAT_0).unwrap(), &P);
    late_equals_timely(Kalman::new(&linear(), &[0.0; 3], &DMatrix::identity(3, 3)).unwrap(), &[]);
}

fn advanced(depth: usize, periods: usize) -> LateFusion<Extended> {
    let mut filter = LateFusion::new(Extended::new(cstr2(), &with_laboratory(), &X_HAT_0).unwrap(), depth);
    for k in 0..periods {
        filter.advance(&Period { u: &input(k), acting: &P, now: &P, y: &[f64::NAN, 324.5] });
    }
    filter
}

#[test]
fn what_is_too_old_known_or_no_number_is_refused_and_changes_nothing() {
    let mut filter = advanced(6, 20);
    let before = filter.filter().memory();
    let mut fuse = |age, row, value| filter.fuse(&LateSample { age, row, value });
    assert_eq!(fuse(6, 0, 0.87), LateOutcome::TooOld { remembered: 6 });
    assert_eq!(fuse(0, 1, 324.0), LateOutcome::AlreadyMeasured);
    assert_eq!(fuse(0, 2, 0.87), LateOutcome::Refused);
    assert_eq!(fuse(0, 0, f64::NAN), LateOutcome::Refused);
    assert_eq!(filter.filter().memory(), before);
    // The oldest that is remembered, and a second time.
    assert!(matches!(filter.fuse(&LateSample { age: 5, row: 0, value: 0.87 }), LateOutcome::Fused { periods: 6, .. }));
    assert_ne!(filter.filter().memory(), before);
    assert_eq!(filter.fuse(&LateSample { age: 5, row: 0, value: 0.87 }), LateOutcome::AlreadyMeasured);
    // Without a memory everything is too old.
    let sample = LateSample { age: 0, row: 0, value: 0.87 };
    assert_eq!(advanced(0, 20).fuse(&sample), LateOutcome::TooOld { remembered: 0 });
}

#[test]
fn a_sample_that_breaks_the_filter_is_taken_out_again() {
    let mut filter = advanced(8, 20);
    let before = filter.filter().memory();
    let outcome = filter.fuse(&LateSample { age: 3, row: 0, value: 1e300 });
    assert_eq!(outcome, LateOutcome::Implausible);
    assert_eq!(filter.filter().memory(), before);
    assert!(matches!(filter.fuse(&LateSample { age: 3, row: 0, value: 0.87 }), LateOutcome::Fused { .. }));
}

#[test]
fn a_fusion_does_not_allocate() {
    let mut filter = advanced(8, 20);
    let counted = allocation_counter::measure(|| {
        assert!(matches!(filter.fuse(&LateSample { age: 7, row: 0, value: 0.87 }), LateOutcome::Fused { .. }));
    });
    assert_eq!(counted.count_total, 0);
}

#[test]
fn the_loop_takes_a_late_sample_by_its_stamp() {
    let noises = [cv(CA, 0.005, 0.0), cv(T, 0.5, 0.0)];
    let new = || {
        let mut ekf = Ekf::new(cstr2(), EkfConfig { cv_missing_max: 100, ..config(&noises) }).unwrap().remembering(30);
        assert!(ekf.begin_at(0, Stamp::ZERO, &X_HAT_0));
        ekf
    };
    let (mut late, mut timely) = (new(), new());
    let scenario = scenario(SEED);
    for k in 0..25_usize {
        let (cycle, y) = (k as u64 + 1, scenario.y[k]);
        let sample = (k == 15).then_some(0.87);
        late.step(&frame(cycle, &[None, Some(y)]), &input(k));
        timely.step(&frame(cycle, &[sample, Some(y)]), &input(k));
    }
    assert_ne!(late.last().unwrap().x(), timely.last().unwrap().x());
    // Taken two seconds after the end of cycle 16.
    let taken = Stamp::from_secs_f64(16.0 * PERIOD_S + 2.0);
    assert!(matches!(late.fuse_late(taken, 0, 0.87), LateOutcome::Fused { periods: 10, .. }));
    let (late_last, timely_last) = (late.last().unwrap(), timely.last().unwrap());
    assert_eq!(late_last.x(), timely_last.x());
    assert_eq!(late_last.x_sd(), timely_last.x_sd());
    assert_eq!(late.fuse_late(Stamp::from_secs_f64(100.0 * PERIOD_S), 0, 0.87), LateOutcome::Refused);
    // A restored filter has no past.
    let checkpoint = late.checkpoint();
    assert!(late.restore(&checkpoint));
    assert_eq!(late.fuse_late(taken, 0, 0.87), LateOutcome::TooOld { remembered: 0 });
}

#[test]
fn a_lost_belief_is_an_outcome_and_the_filter_begins_anew() {
    fn check<F: Filter>(mut filter: F) {
        let step = |filter: &mut F, u: f64, y: f64| -> Correction {
            filter.advance(&Period { u: &[u], acting: &P, now: &P, y: &[f64::NAN, y] })
        };
        let begin = filter.mean().to_vec();
        assert_eq!(step(&mut filter, f64::NAN, 324.5).outcome, Outcome::Refused);
        assert_eq!(step(&mut filter, 300.0, f64::NAN).outcome, Outcome::Predicted);
        assert_eq!(step(&mut filter, 300.0, 324.5).outcome, Outcome::Corrected);
        assert!((0..20).any(|_| step(&mut filter, 1e300, 324.5).outcome == Outcome::Lost));
        assert_eq!(filter.mean(), begin);
        assert_eq!(step(&mut filter, 300.0, 324.5).outcome, Outcome::Corrected);
        assert!(filter.mean().iter().all(|z| z.is_finite()));
    }
    check(Extended::new(cstr2(), &with_laboratory(), &X_HAT_0).unwrap());
    check(Unscented::new(cstr2(), &with_laboratory(), Spread::third_order(2), &X_HAT_0).unwrap());
}

#[test]
fn a_spread_that_nothing_bounds_is_lost() {
    // At the unstable steady state, with nothing measured, the linearised spread grows e-fold in half a minute or so.
    let u = [300.0];
    let x = steady_state(cstr2(), &u, &P, &[0.5, 350.0]).unwrap();
    let periods_till_lost = |measured: bool| {
        let mut filter = Extended::new(cstr2(), &with_laboratory(), &x).unwrap();
        let y = if measured { [f64::NAN, x[1]] } else { [f64::NAN; 2] };
        (0..300).position(|_| filter.step(&u, &P, &y).outcome == Outcome::Lost)
    };
    let lost = periods_till_lost(false).unwrap();
    assert!((30..250).contains(&lost), "after {lost} periods");
    assert_eq!(periods_till_lost(true), None, "negative control: measured, it is held");
}

#[test]
fn no_filter_allocates_in_a_step() {
    let mut extended = Extended::new(cstr2(), &with_laboratory(), &X_HAT_0).unwrap();
    let mut unscented = Unscented::new(cstr2(), &with_laboratory(), Spread::third_order(2), &X_HAT_0).unwrap();
    let counted = allocation_counter::measure(|| {
        for k in 0..20 {
            extended.step(&input(k), &P, &[0.87, f64::NAN]);
            unscented.step(&input(k), &P, &[0.87, f64::NAN]);
        }
    });
    assert_eq!(counted.count_total, 0);
}
