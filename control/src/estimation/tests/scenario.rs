//! The benchmark `est_cstr`, number for number, and what every estimator makes of it.
//!
//! 200 periods of 0.1 min, `TC(k) = 300 + 3 sin(0.15 k)`, T measured with a variance of 0.25 K², process noise of
//! variance (1e-5, 1e-2) per period, the filters begun at (0.7, 330) with variances (0.04, 25). The reference numbers
//! are those of the peers' script: its own EKF, filterpy's UKF, and a moving-horizon estimator solved by CasADi and
//! IPOPT.

use super::*;
use crate::estimation::{
    Correction, Extended, Filter, Monitor, MonitorConfig, Outcome, Spread, SystemConfig, Unscented, Verdict,
};

pub(in crate::estimation) const SEED: u64 = 20_260_823;
pub(in crate::estimation) const P: [f64; 2] = [1.0, 350.0];
pub(in crate::estimation) const X_HAT_0: [f64; 2] = [0.7, 330.0];

/// The points of the peers' UKF.
const PEERS_SPREAD: Spread = Spread { alpha: 0.1, beta: 2.0, kappa: 1.0 };

/// One realisation: the true states and the measurements.
pub(in crate::estimation) struct Scenario {
    pub(in crate::estimation) x: Vec<[f64; 2]>,
    pub(in crate::estimation) y: Vec<f64>,
}

pub(in crate::estimation) fn input(k: usize) -> [f64; 1] {
    [300.0 + 3.0 * (0.15 * k as f64).sin()]
}

pub(in crate::estimation) fn scenario(seed: u64) -> Scenario {
    let mut noise = Random::new(seed);
    let mut plant = Plant::new(cstr2(), &[0.877, 324.503_685_79]);
    let (mut x, mut y) = (vec![], vec![]);
    for k in 0..200 {
        plant.step(&input(k), 10);
        plant.x[0] += 1e-5_f64.sqrt() * noise.normal();
        plant.x[1] += 0.1 * noise.normal();
        x.push([plant.x[0], plant.x[1]]);
        y.push(plant.x[1] + 0.5 * noise.normal());
    }
    Scenario { x, y }
}

pub(in crate::estimation) fn system(substeps: usize) -> SystemConfig {
    SystemConfig {
        period_s: PERIOD_S,
        substeps,
        method: plant_models::Method::Rk4,
        measured: vec![cv(T, 0.5, 0.0)],
        state_sd: vec![1e-5_f64.sqrt(), 0.1],
        initial_sd: vec![0.2, 5.0],
        parameters: vec![],
    }
}

/// RMSE of CA and T over the whole run, and the last estimate.
pub(in crate::estimation) fn run(
    scenario: &Scenario,
    mut step: impl FnMut(&[f64], f64) -> [f64; 2],
) -> ([f64; 2], [f64; 2]) {
    let (mut sum, mut last) = ([0.0; 2], [0.0; 2]);
    for (k, (x, y)) in scenario.x.iter().zip(&scenario.y).enumerate() {
        last = step(&input(k), *y);
        for i in 0..2 {
            sum[i] += (last[i] - x[i]).powi(2) / scenario.x.len() as f64;
        }
    }
    (sum.map(f64::sqrt), last)
}

pub(in crate::estimation) fn extended() -> Extended {
    Extended::new(cstr2(), &system(10), &X_HAT_0).unwrap()
}

pub(in crate::estimation) fn unscented() -> Unscented {
    Unscented::new(cstr2(), &system(10), PEERS_SPREAD, &X_HAT_0).unwrap()
}

fn filtered<F: Filter>(filter: &mut F, u: &[f64], y: f64) -> ([f64; 2], Correction) {
    let correction = filter.advance(&crate::estimation::Period { u, acting: &P, now: &P, y: &[y] });
    assert_eq!(correction.outcome, Outcome::Corrected);
    ([filter.mean()[0], filter.mean()[1]], correction)
}

#[test]
fn the_scenario_is_that_of_the_peers() {
    let first = scenario(SEED).y;
    let peers = [324.997_520_367_905_85, 323.799_884_589_096_85, 323.983_762_295_88];
    for (y, want) in first.iter().zip(peers) {
        assert!((y - want).abs() < 1e-9, "{y} against {want}");
    }
}

#[test]
fn extended_and_unscented_give_the_peers_errors() {
    // RMSE of CA per seed.
    let ekf =
        [0.027_190_156_983_149_902, 0.017_022_821_738_502_68, 0.016_539_693_012_300_585, 0.020_355_926_325_197_21];
    let ukf =
        [0.027_611_354_436_612_688, 0.017_200_821_831_777_985, 0.016_502_396_138_890_72, 0.020_645_200_133_159_153];
    for (n, (ekf, ukf)) in (0..).zip(ekf.into_iter().zip(ukf)) {
        let scenario = scenario(SEED + n);
        let (mut e, mut s) = (extended(), unscented());
        let (extended, _) = run(&scenario, |u, y| filtered(&mut e, u, y).0);
        let (unscented, last) = run(&scenario, |u, y| filtered(&mut s, u, y).0);
        assert!((extended[0] / ekf - 1.0).abs() < 1e-6, "seed {n}: EKF {extended:?} against {ekf}");
        assert!((unscented[0] / ukf - 1.0).abs() < 1e-6, "seed {n}: UKF {unscented:?} against {ukf}");
        if n == 0 {
            let want = [0.868_678_256_021_926_3, 322.360_810_732_354_2];
            assert!((last[0] - want[0]).abs() < 1e-8 && (last[1] - want[1]).abs() < 1e-6, "{last:?}");
        }
    }
}

/// Where the model is nearly linear over the spread of the belief both filters are the same: four states, an offset, a
/// parameter, three rows of which some are missing.
#[test]
fn unscented_and_extended_agree_where_the_model_is_nearly_linear() {
    let parameter = crate::estimation::ParameterNoise { disturbance: 0, walk_sd: 1e-4, initial_sd: 1e-3, sd_max: 1.0 };
    let config = SystemConfig {
        period_s: 18.0,
        substeps: 3,
        method: plant_models::Method::Rk4,
        measured: vec![cv(0, 1e-3, 0.0), cv(1, 1e-2, 1e-3), cv(2, 1e-2, 0.0)],
        state_sd: vec![1e-4, 1e-4, 1e-3, 1e-3],
        initial_sd: vec![1e-3, 1e-3, 1e-2, 1e-2],
        parameters: vec![parameter],
    };
    let x0 = [1.2345, 0.9, 134.14, 128.95];
    let mut extended = Extended::new(&Cstr4::NOMINAL, &config, &x0).unwrap();
    let mut unscented = Unscented::new(&Cstr4::NOMINAL, &config, Spread::third_order(6), &x0).unwrap();
    for k in 0..40 {
        let t = f64::from(k);
        let y = [
            if k % 3 == 1 { f64::NAN } else { 0.9 },
            134.14 + 0.01 * t.sin(),
            if k % 4 == 2 { f64::NAN } else { 128.95 },
        ];
        let (u, p) = ([18.0, -4500.0 + 20.0 * t.cos()], [5.1]);
        let (e, s) = (extended.step(&u, &p, &y), unscented.step(&u, &p, &y));
        assert_eq!((e.outcome, e.measured), (s.outcome, s.measured));
        assert!((e.log_likelihood - s.log_likelihood).abs() < 1e-2, "period {k}: {e:?} {s:?}");
        for i in 0..6 {
            let sd = extended.covariance(i, i).sqrt();
            assert!((extended.mean()[i] - unscented.mean()[i]).abs() < 1e-2 * sd, "period {k}, element {i}");
            for j in 0..6 {
                let size = sd * extended.covariance(j, j).sqrt();
                let difference = extended.covariance(i, j) - unscented.covariance(i, j);
                assert!(difference.abs() < 1e-3 * size, "period {k}, P[{i}, {j}]: {difference} of {size}");
            }
        }
    }
}

#[test]
fn two_substeps_estimate_as_well_as_the_ten_of_the_plant() {
    let mean = |substeps: usize| {
        let mut sum = [0.0; 2];
        for n in 0..5 {
            let scenario = scenario(SEED + n);
            let mut e = Extended::new(cstr2(), &system(substeps), &X_HAT_0).unwrap();
            let mut s = Unscented::new(cstr2(), &system(substeps), PEERS_SPREAD, &X_HAT_0).unwrap();
            sum[0] += run(&scenario, |u, y| filtered(&mut e, u, y).0).0[0] / 5.0;
            sum[1] += run(&scenario, |u, y| filtered(&mut s, u, y).0).0[0] / 5.0;
        }
        sum
    };
    let (two, ten) = (mean(2), mean(10));
    for i in 0..2 {
        assert!((two[i] / ten[i] - 1.0).abs() < 1e-3, "{two:?} against {ten:?}");
    }
}

#[test]
fn the_monitor_finds_the_filter_consistent_and_a_mistuned_one_not() {
    let verdicts = |config: SystemConfig| {
        let mut verdicts = vec![];
        for n in 0..200 {
            let scenario = scenario(SEED + n);
            let mut filter = Extended::new(cstr2(), &config, &X_HAT_0).unwrap();
            let monitor = MonitorConfig { window: 100, lags: 10, significance: 0.01 };
            let mut monitor = Monitor::new(1, monitor).unwrap();
            run(&scenario, |u, y| {
                let (x, correction) = filtered(&mut filter, u, y);
                monitor.push(&correction, filter.whitened());
                x
            });
            verdicts.push(monitor.verdict());
        }
        verdicts
    };
    let of = |verdicts: &[Verdict], wanted| verdicts.iter().filter(|v| **v == wanted).count();
    let consistent = verdicts(system(10));
    assert!(of(&consistent, Verdict::Consistent) >= 190, "{} of 200", of(&consistent, Verdict::Consistent));
    let sure = verdicts(SystemConfig { measured: vec![cv(T, 0.25, 0.0)], ..system(10) });
    assert!(of(&sure, Verdict::Overconfident) >= 190, "{sure:?}");
    let unsure = verdicts(SystemConfig { measured: vec![cv(T, 1.0, 0.0)], ..system(10) });
    assert!(of(&unsure, Verdict::Underconfident) >= 190, "{unsure:?}");
}
