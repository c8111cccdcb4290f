//! Disturbances that nobody measures, estimated with the state.

use super::scenario::{X_HAT_0, system};
use super::*;
use crate::estimation::{
    Extended, Filter, MheConfig, MovingHorizon, Outcome, ParameterNoise, Spread, SystemConfig, Unscented,
};
use crate::qp::riccati::{IpmOptions, RiccatiIpm};

const FEED: ParameterNoise = ParameterNoise { disturbance: 0, walk_sd: 0.005, initial_sd: 0.05, sd_max: 0.3 };
const FEED_TEMPERATURE: ParameterNoise = ParameterNoise { disturbance: 1, walk_sd: 0.1, initial_sd: 2.0, sd_max: 10.0 };

fn with(parameters: Vec<ParameterNoise>) -> SystemConfig {
    SystemConfig { parameters, measured: vec![cv(T, 0.2, 0.0)], ..system(4) }
}

/// Runs `step` beside a plant whose feed has CAF = `feed` from period 50 on, T measured with noise, for 600 periods,
/// and gives the true last state.
fn beside_a_changed_feed(feed: f64, mut step: impl FnMut(&[f64], &[f64])) -> [f64; 2] {
    let mut noise = Random::new(11);
    let mut plant = Plant::new(cstr2(), &[0.877, 324.503_685_79]);
    for k in 0..600 {
        plant.p[0] = if k < 50 { 1.0 } else { feed };
        let u = [300.0 + (0.1 * f64::from(k)).sin()];
        plant.step(&u, 4);
        step(&u, &[plant.x[1] + 0.2 * noise.normal()]);
    }
    [plant.x[0], plant.x[1]]
}

#[test]
fn an_unmeasured_feed_is_found_by_every_estimator() {
    let nominal = [1.0, 350.0];
    let config = with(vec![FEED]);
    let mut extended = Extended::new(cstr2(), &config, &X_HAT_0).unwrap();
    let mut unscented = Unscented::new(cstr2(), &config, Spread::third_order(3), &X_HAT_0).unwrap();
    let bounds = (vec![0.0, 280.0], vec![1.2, 450.0]);
    let mhe = MheConfig { system: config, horizon: 20, lo: bounds.0, hi: bounds.1, iterations: 1, tolerance: 0.0 };
    let make = |dims: &crate::qp::OcpDims| {
        Box::new(RiccatiIpm::new(dims, IpmOptions::default())) as Box<dyn crate::qp::OcpSolver>
    };
    let mut horizon = MovingHorizon::new(cstr2(), &mhe, &X_HAT_0, &make).unwrap();
    let mut without = Extended::new(cstr2(), &with(vec![]), &X_HAT_0).unwrap();
    let x = beside_a_changed_feed(0.93, |u, y| {
        assert_eq!(extended.step(u, &nominal, y).outcome, Outcome::Corrected);
        assert_eq!(unscented.step(u, &nominal, y).outcome, Outcome::Corrected);
        assert_eq!(horizon.step(u, &nominal, y, &|| false).correction.outcome, Outcome::Corrected);
        without.step(u, &nominal, y);
    });
    let found = [
        ("extended", extended.parameters().next(), extended.x()[0]),
        ("unscented", unscented.parameters().next(), unscented.x()[0]),
        ("horizon", horizon.parameters().next(), horizon.x()[0]),
    ];
    for (name, feed, ca) in found {
        let (index, feed) = feed.unwrap();
        assert!(index == 0 && (feed - 0.93).abs() < 0.02, "{name}: CAF {feed}");
        assert!((ca - x[0]).abs() < 0.02, "{name}: CA {ca} against {}", x[0]);
    }
    assert!(extended.is_observed(0));
    assert!((without.x()[0] - x[0]).abs() > 0.03, "negative control: {} against {}", without.x()[0], x[0]);
}

#[test]
fn a_feed_beyond_the_card_is_held_at_its_range() {
    let mut filter = Extended::new(cstr2(), &with(vec![FEED]), &X_HAT_0).unwrap();
    beside_a_changed_feed(0.7, |u, y| {
        filter.step(u, &[1.0, 350.0], y);
        let (_, feed) = filter.parameters().next().unwrap();
        assert!((0.8..=1.2).contains(&feed), "{feed}");
    });
    assert!(filter.parameters().next().unwrap().1 < 0.82);
}

#[test]
fn what_the_measurements_do_not_hold_stops_at_its_guard() {
    // One temperature cannot tell the feed's concentration from its temperature.
    let run = |parameters: Vec<ParameterNoise>| {
        let count = parameters.len();
        let mut filter = Extended::new(cstr2(), &with(parameters), &X_HAT_0).unwrap();
        let mut plant = Plant::new(cstr2(), &[0.877, 324.503_685_79]);
        let u = [300.0];
        for _ in 0..20_000 {
            plant.step(&u, 4);
            assert_eq!(filter.step(&u, &[1.0, 350.0], &[plant.x[1]]).outcome, Outcome::Corrected);
        }
        (0..count).map(|t| (filter.is_observed(t), filter.covariance(2 + t, 2 + t).sqrt())).collect::<Vec<_>>()
    };
    let loose = ParameterNoise { walk_sd: 0.05, sd_max: 1e3, ..FEED };
    let guarded = ParameterNoise { walk_sd: 0.05, sd_max: 0.3, ..FEED };
    let two = run(vec![guarded, ParameterNoise { walk_sd: 0.5, sd_max: 10.0, ..FEED_TEMPERATURE }]);
    assert!(two.iter().any(|(observed, _)| !observed), "{two:?}");
    assert!(two[0].1 < 0.31 && two[1].1 < 10.5, "{two:?}");
    let free = run(vec![loose, ParameterNoise { walk_sd: 0.5, sd_max: 1e4, ..FEED_TEMPERATURE }]);
    assert!(free[0].1 > 1.0, "negative control: without the guard it grows: {free:?}");
    let one = run(vec![guarded]);
    assert!(one[0].0 && one[0].1 < 0.2, "alone it is observed: {one:?}");
}

#[test]
fn the_loop_reports_the_estimated_feed_as_its_disturbance() {
    let new = |dv_of| {
        let config = EkfConfig { dv_of, ..config(&[cv(T, 0.2, 0.0)]) };
        Ekf::with_parameters(cstr2(), config, vec![FEED])
    };
    let mut ekf = new(vec![1]).unwrap();
    let mut cycle = 0;
    let x = beside_a_changed_feed(0.93, |u, y| {
        cycle += 1;
        ekf.step(&frame_of(cycle, stamp(cycle), &[Some(y[0])], &[Some(350.0)]), u);
    });
    let last = ekf.last().unwrap();
    assert!(last.valid() && ekf.is_observed(0));
    assert!((last.p()[0] - 0.93).abs() < 0.02 && (last.p()[1] - 350.0).abs() < 1e-12, "{last:?}");
    assert!((last.x()[0] - x[0]).abs() < 0.02, "{last:?} {x:?}");
    let refused = new(vec![0]).unwrap_err().to_string();
    assert!(refused.starts_with("parameter entry 0 refers to variable 0"), "{refused}");
}

#[test]
fn a_parameter_that_does_not_fit_is_refused() {
    for (parameter, expected) in [
        (ParameterNoise { disturbance: 2, ..FEED }, "parameter entry 0 refers to variable 2"),
        (ParameterNoise { walk_sd: 0.0, ..FEED }, "parameter.walk_sd entry 0 is 0"),
        (ParameterNoise { sd_max: 0.05, ..FEED }, "parameter.sd_max less initial_sd entry 0 is 0"),
    ] {
        let message = Extended::new(cstr2(), &with(vec![parameter]), &X_HAT_0).unwrap_err().to_string();
        assert!(message.starts_with(expected), "{message}");
    }
}
