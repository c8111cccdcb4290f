//! A configuration that cannot be used is refused whole.

use std::time::Duration;

use signals::{MAX_CVS, MAX_MVS, MAX_TAGS};

use super::world::{config, everything, large};
use crate::check::{CheckId, CheckSet};
use crate::config::{
    Cusum, Frozen, InterlockConfig, MAX_BALANCES, MAX_SPIKE_WINDOW, MvChecks, Reach, SafetyError, Spike, Travel,
};
use crate::config_hash::ConfigHash;
use crate::interlock::Interlock;
use crate::reaction::Effect;
use crate::row::Row;

#[test]
fn a_sound_configuration_is_accepted() {
    assert!(Interlock::new(config(Reach::ClosedLoop)).is_ok());
    assert!(Interlock::new(everything(Reach::ClosedLoop)).is_ok());
}

#[test]
fn each_unsound_number_is_refused_by_name() {
    type Spoil = fn(&mut InterlockConfig);
    let spoils: [(&str, Spoil); 57] = [
        ("period", |c| c.period = Duration::ZERO),
        ("heartbeat_timeout", |c| c.heartbeat_timeout = c.period / 2),
        ("armed_timeout", |c| c.armed_timeout = Duration::ZERO),
        ("hold_periods", |c| c.hold_periods = 0),
        ("solver_failures_hold", |c| c.solver_failures_hold = 0),
        ("solver_failures_shed", |c| c.solver_failures_shed = 1),
        ("write_failures_max", |c| c.write_failures_max = 0),
        ("3 CVs", |c| {
            c.cvs = 3;
            c.tags.truncate(2);
        }),
        ("0 CVs", |c| c.cvs = 0),
        ("0 MVs", |c| c.mvs.clear()),
        ("9 MVs", |c| c.mvs = vec![c.mvs[0]; 9]),
        ("9 DVs", |c| c.tags = vec![c.tags[0]; 11]),
        ("CV1 (tag 0): lo and hi", |c| c.tags[0].lo = f64::NAN),
        ("DV1 (tag 2): lo and hi", |c| c.tags[2].hi = c.tags[2].lo),
        ("hysteresis", |c| c.tags[0].hysteresis = 50.0),
        ("CV1 (tag 0): rate_max_per_s", |c| c.tags[0].rate_max_per_s = 0.0),
        ("max_age", |c| c.tags[0].max_age = Duration::ZERO),
        ("reactions", |c| c.tags[0].reactions = c.tags[0].reactions.with(Row::Rate, Effect::Clamp)),
        ("for check 3", |c| c.tags[0].reactions = c.tags[0].reactions.with(Row::NotFinite, Effect::Warn)),
        ("frozen", |c| c.tags[0].frozen = Some(Frozen { samples: 0, resolution: 0.1 })),
        ("frozen", |c| c.tags[0].frozen = Some(Frozen { samples: 1, resolution: f64::NAN })),
        ("spike", |c| c.tags[0].spike = Some(Spike { window: 4, sigmas: 3.0, floor: 0.0 })),
        ("spike", |c| c.tags[0].spike = Some(Spike { window: 17, sigmas: 3.0, floor: 0.0 })),
        ("spike", |c| c.tags[0].spike = Some(Spike { window: 5, sigmas: 0.5, floor: 0.0 })),
        ("spares_tolerance", |c| c.tags[1].spares_tolerance = Some(0.0)),
        ("residual_max", |c| c.tags[1].residual_max = Some(f64::NAN)),
        ("residual_max", |c| c.tags[1].residual_max = Some(0.0)),
        ("cusum", |c| c.tags[1].cusum = Some(Cusum { slack: -1.0, limit: 1.0 })),
        ("MV1: readback_tolerance", |c| c.mvs[0].readback_tolerance = 0.0),
        ("MV1: travel", |c| c.mvs[0].travel.as_mut().unwrap().window = Duration::ZERO),
        ("MV1: reactions", |c| c.mvs[0].reactions = c.mvs[0].reactions.with(Row::Readback, Effect::Clamp)),
        ("balance 1: tags", |c| c.balances[0].tags[0].0 = 3),
        ("balance 1: coefficients", |c| c.balances[0].bias = f64::INFINITY),
        ("tolerance and effect", |c| c.balances[0].tolerance = 0.0),
        ("tolerance and effect", |c| c.balances[0].reaction.effect = Effect::Clamp),
        ("policy", |c| c.policy.as_mut().unwrap().distance_max = 0.0),
        ("policy", |c| c.policy.as_mut().unwrap().disagreement_max = 0.0),
        ("17 balances", |c| c.balances = vec![c.balances[0].clone(); 17]),
        ("policy", |c| c.policy.as_mut().unwrap().distance_max = f64::NAN),
        ("scan_max", |c| c.scan_max = Duration::ZERO),
        ("for check 22", |c| c.reactions = c.reactions.with(Row::ConfigHash, Effect::Warn)),
        ("MV2: lo and hi", |c| c.mvs[1].hi = f64::INFINITY),
        ("MV1: rate_max_per_s", |c| c.mvs[0].rate_max_per_s = f64::NAN),
        ("ramp_safe_value", |c| c.mvs[0].ramp_safe_value = Some(100.5)),
        ("span", |c| c.mvs[0].span = 0.0),
        ("span", |c| c.mvs[0].span = f64::INFINITY),
        ("MV1: lo and hi", |c| c.mvs[0].hi = c.mvs[0].lo),
        ("MV1: rate_max_per_s", |c| c.mvs[0].rate_max_per_s = 0.0),
        ("MV1: travel", |c| c.mvs[0].travel.as_mut().unwrap().travel_max = 0.0),
        ("MV1: travel", |c| c.mvs[0].travel.as_mut().unwrap().reversals_max = 0),
        ("MV1: travel", |c| c.mvs[0].travel.as_mut().unwrap().dead_band = -0.1),
        ("hysteresis", |c| c.tags[0].hysteresis = -0.1),
        ("hysteresis", |c| (c.tags[0].lo, c.tags[0].hysteresis) = (40.0, 30.0)),
        ("frozen", |c| c.tags[0].frozen = Some(Frozen { samples: 1, resolution: -0.1 })),
        ("spike", |c| c.tags[0].spike = Some(Spike { window: 5, sigmas: 3.0, floor: -0.1 })),
        ("cusum", |c| c.tags[1].cusum = Some(Cusum { slack: 0.0, limit: 0.0 })),
        ("cusum", |c| c.tags[1].cusum = Some(Cusum { slack: 0.0, limit: f64::INFINITY })),
    ];
    for (name, spoil) in spoils {
        let mut config = everything(Reach::ClosedLoop);
        spoil(&mut config);
        let message = Interlock::new(config).unwrap_err().to_string();
        assert!(message.contains(name), "{name}: {message}");
    }
}

#[test]
fn a_number_exactly_at_its_bound_is_accepted() {
    let mut config = everything(Reach::ClosedLoop);
    let [low, high, ..] = &mut config.tags[..] else { panic!("three tags") };
    low.hysteresis = 0.0;
    low.frozen = Some(Frozen { samples: 1, resolution: 0.0 });
    low.spike = Some(Spike { window: 3, sigmas: 1.0, floor: 0.0 });
    low.cusum = Some(Cusum { slack: 0.0, limit: 1e-9 });
    high.spike = Some(Spike { window: MAX_SPIKE_WINDOW, sigmas: 1.0, floor: 0.0 });
    for (mv, safe) in config.mvs.iter_mut().zip([0.0, 100.0]) {
        mv.ramp_safe_value = Some(safe);
        mv.travel = Some(Travel { reversals_max: 1, dead_band: 0.0, ..mv.travel.unwrap() });
    }
    assert_eq!((config.mvs[0].lo, config.mvs[0].hi), (0.0, 100.0));
    assert!(Interlock::new(config).is_ok());
}

#[test]
fn as_many_as_there_may_be_are_accepted() {
    let mut config = large();
    config.mvs = vec![config.mvs[0]; MAX_MVS];
    config.balances.iter_mut().for_each(|balance| balance.mvs.clear());
    assert_eq!((config.tags.len(), config.cvs, config.balances.len()), (MAX_TAGS, MAX_CVS, MAX_BALANCES));
    assert!(Interlock::new(config).is_ok());
}

#[test]
fn the_customary_numbers_are_those_that_are_told() {
    let InterlockConfig { tags, mvs, cvs, .. } = config(Reach::ClosedLoop);
    let period = Duration::from_secs(10);
    let config = InterlockConfig::customary(period, Reach::ClosedLoop, tags, cvs, mvs);
    assert_eq!((config.heartbeat_timeout, config.armed_timeout), (period * 3, Duration::from_secs(60)));
    assert_eq!((config.clock_jump_max, config.scan_max), (Duration::from_secs(5), Duration::from_secs(3)));
    assert_eq!((config.hold_periods, config.write_failures_max), (5, 2));
    assert_eq!((config.solver_failures_hold, config.solver_failures_shed), (2, 5));
    let mv = MvChecks::customary(20.0, 70.0, 2.0, period);
    assert_eq!((mv.span, mv.readback_tolerance, mv.tolerance()), (50.0, 0.5, 1e-6 * 50.0));
    for (row, effect) in [
        (Row::OutOfDistribution, Effect::Hold),
        (Row::Disagreement, Effect::Hold),
        (Row::ClockJump, Effect::Hold),
        (Row::ConfigHash, Effect::StandDown),
        (Row::ScanOverrun, Effect::Warn),
    ] {
        let reaction = config.reactions.get(row).unwrap();
        assert_eq!((reaction.effect, reaction.delay), (effect, Duration::ZERO), "{row:?}");
    }
}

#[test]
fn a_set_of_checks_is_a_set_and_a_hash_is_shown_in_sixteen_digits() {
    let twice = CheckSet::EMPTY.with(CheckId::Rate).with(CheckId::Rate);
    assert!(twice.contains(CheckId::Rate) && !twice.contains(CheckId::Range));
    assert_eq!(ConfigHash(0xabc).to_string(), "0000000000000abc");
}

#[test]
fn every_fault_is_told_at_once() {
    let mut config = config(Reach::ClosedLoop);
    config.period = Duration::ZERO;
    config.mvs[1].span = -1.0;
    config.tags[0].max_age = Duration::ZERO;
    let Err(SafetyError::Config { faults }) = Interlock::new(config) else { panic!("must be refused") };
    assert_eq!(faults.len(), 3, "{faults:?}");
}

#[test]
fn what_must_stay_on_cannot_be_switched_off() {
    for check in CheckId::ALWAYS_ON {
        let config = InterlockConfig { switched_off: CheckSet::EMPTY.with(check), ..config(Reach::ClosedLoop) };
        let message = Interlock::new(config).unwrap_err().to_string();
        assert!(message.contains(&format!("check {}", check.number())), "{message}");
    }
    let config = InterlockConfig { switched_off: CheckSet::EMPTY.with(CheckId::Rate), ..config(Reach::ClosedLoop) };
    assert!(Interlock::new(config).is_ok());
}
