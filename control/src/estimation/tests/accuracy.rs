//! The filter against reference numbers and against plants that are not its model.

use nalgebra::DMatrix;
use plant_models::Cstr2;

use super::*;

struct Benchmark {
    rmse: [f64; 2],
    last: [f64; 2],
    first_y: f64,
    nis: f64,
}

/// Scenario `est_cstr`: 200 periods of 0.1 min, `TC(k) = 300 + 3 sin(0.15 k)`, T measured with a variance of 0.25 K²,
/// process noise of variance (1e-5, 1e-2) per period, the filter begun at (0.7, 330) with variances (0.04, 25).
fn benchmark(seed: u64) -> Benchmark {
    const STEPS: u32 = 200;
    let mut noise = Random::new(seed);
    let mut plant = Plant::new(cstr2(), &[0.877, 324.503_685_79]);
    let mut ekf = Ekf::new(cstr2(), config(&[cv(T, 0.5, 0.0)])).unwrap();
    assert!(ekf.begin_at(0, Stamp::ZERO, &[0.7, 330.0]));
    let mut result = Benchmark { rmse: [0.0; 2], last: [0.0; 2], first_y: 0.0, nis: 0.0 };
    for k in 0..STEPS {
        let u = [300.0 + 3.0 * (0.15 * f64::from(k)).sin()];
        plant.step(&u, 10);
        plant.x[0] += 1e-5_f64.sqrt() * noise.normal();
        plant.x[1] += 0.1 * noise.normal();
        let y = plant.x[1] + 0.5 * noise.normal();
        let estimate = ekf.step(&frame(u64::from(k) + 1, &[Some(y)]), &u);
        assert!(estimate.valid());
        result.last = [estimate.x()[0], estimate.x()[1]];
        result.nis += estimate.nis() / f64::from(STEPS);
        for (sum, (x_hat, x)) in result.rmse.iter_mut().zip(estimate.x().iter().zip(&plant.x)) {
            *sum += (x_hat - x).powi(2) / f64::from(STEPS);
        }
        if k == 0 {
            result.first_y = y;
        }
    }
    result.rmse = result.rmse.map(f64::sqrt);
    result
}

/// Seed, first measurement, RMSE and last estimate (CA, T), from a NumPy filter of the same equations that takes the
/// Jacobian of the step by central differences.
const REFERENCE: [(u64, f64, [f64; 2], [f64; 2]); 3] = [
    (
        20_260_823,
        324.997_520_367_905_85,
        [0.027_190_156_983_149_902, 0.212_567_464_746_657_55],
        [0.868_716_486_186_488_6, 322.360_053_894_729_84],
    ),
    (
        20_260_824,
        323.993_180_763_263_34,
        [0.017_022_821_738_502_68, 0.209_819_914_489_916_13],
        [0.868_044_268_511_667_7, 322.358_747_725_590_1],
    ),
    (
        20_260_825,
        324.160_232_133_676_86,
        [0.016_539_693_012_300_585, 0.180_346_348_117_767],
        [0.865_086_607_790_522_5, 322.153_259_535_252_35],
    ),
];

#[test]
fn the_benchmark_gives_the_reference_numbers() {
    for (seed, first_y, rmse, last) in REFERENCE {
        let got = benchmark(seed);
        assert!((got.first_y - first_y).abs() < 1e-9, "the scenario itself: {} against {first_y}", got.first_y);
        for i in 0..2 {
            assert!((got.rmse[i] / rmse[i] - 1.0).abs() < 1e-6, "seed {seed}: rmse {:?} against {rmse:?}", got.rmse);
            assert!((got.last[i] / last[i] - 1.0).abs() < 1e-8, "seed {seed}: last {:?} against {last:?}", got.last);
        }
    }
}

#[test]
fn the_innovations_are_as_large_as_the_filter_expects() {
    // The mean of 20 x 200 values of a χ² with one degree of freedom is 1 with a standard deviation of 0.022.
    let mean = (0..20).map(|n| benchmark(20_260_823 + n).nis).sum::<f64>() / 20.0;
    assert!((mean - 1.0).abs() < 0.1, "mean normalised innovation squared {mean}");
}

/// Runs the filter beside a plant whose heat transfer is `factor` of the model's, measured without noise at rest, and
/// gives the last estimate with what was measured.
fn mismatched(factor: f64, disturbance_sd: f64) -> (Estimate, Vec<f64>) {
    let model: &'static dyn PlantModel = match factor {
        f if f < 1.0 => &Cstr2 { heat_transfer: 0.9 * 5.0e4, ..Cstr2::NOMINAL },
        _ => &Cstr2 { heat_transfer: 1.1 * 5.0e4, ..Cstr2::NOMINAL },
    };
    let u = [297.0];
    let x = steady_state(model, &u, &[1.0, 350.0], &[0.9, 320.0]).unwrap();
    let mut plant = Plant::new(model, &x);
    let mut ekf = Ekf::new(cstr2(), config(&[cv(CA, 0.01, 0.1 * disturbance_sd), cv(T, 0.5, disturbance_sd)])).unwrap();
    let mut last = None;
    for cycle in 0..3000 {
        plant.step(&u, 10);
        last = Some(ekf.step(&frame(cycle, &[Some(plant.x[0]), Some(plant.x[1])]), &u));
    }
    (last.unwrap(), plant.x)
}

#[test]
fn a_wrong_heat_transfer_leaves_no_offset_in_the_outputs() {
    for factor in [0.9, 1.1] {
        let (estimate, y) = mismatched(factor, 0.05);
        assert!(estimate.valid());
        assert!((estimate.y()[0] - y[0]).abs() < 1e-6 && (estimate.y()[1] - y[1]).abs() < 1e-4, "{estimate:?} {y:?}");
        assert!(estimate.d()[1].abs() > 0.1, "the mismatch must be there to be compensated: {estimate:?}");
        // Negative control: without the disturbances the same filter keeps an offset.
        let (without, y) = mismatched(factor, 0.0);
        assert!((without.y()[1] - y[1]).abs() > 1e-2, "{without:?} {y:?}");
    }
}

#[test]
fn a_step_of_the_sensors_bias_ends_in_the_disturbance() {
    let mut ekf = Ekf::new(cstr2(), config(&[cv(CA, 0.001, 1e-6), cv(T, 0.1, 0.05)])).unwrap();
    let mut plant = Plant::new(cstr2(), &[0.877, 324.503_685_79]);
    let u = [300.016_447_597_829_37];
    let mut last = None;
    for cycle in 0..2000 {
        plant.step(&u, 10);
        let bias = if cycle < 500 { 0.0 } else { 2.0 };
        last = Some(ekf.step(&frame(cycle, &[Some(plant.x[0]), Some(plant.x[1] + bias)]), &u));
    }
    let last = last.unwrap();
    assert!((last.d()[1] - 2.0).abs() < 0.1, "{last:?}");
    assert!((last.x()[1] - plant.x[1]).abs() < 0.1, "{last:?}");
}

#[test]
fn a_measured_disturbance_is_fed_forward() {
    let step = |dv_of: Vec<usize>| {
        let mut ekf = Ekf::new(cstr2(), EkfConfig { dv_of, ..config(&[cv(T, 0.5, 0.05)]) }).unwrap();
        let mut plant = Plant::new(cstr2(), &[0.877, 324.503_685_79]);
        let mut worst = 0.0_f64;
        for cycle in 0..60 {
            plant.p[1] = if cycle < 20 { 350.0 } else { 353.0 };
            let estimate = ekf.step(&frame_of(cycle, stamp(cycle), &[Some(plant.x[1])], &[Some(plant.p[1])]), &[300.0]);
            if cycle > 5 {
                worst = worst.max(estimate.innovation()[0].abs());
            }
            plant.step(&[300.0], 10);
        }
        worst
    };
    let (with, without) = (step(vec![1]), step(vec![]));
    assert!(with < 0.02 && without > 0.2, "largest innovation {with} K with, {without} K without the feed-forward");
}

#[test]
fn the_covariance_stays_symmetric_and_definite_over_a_hundred_thousand_steps() {
    let noises = [cv(CA, 1e-4, 1e-3), cv(T, 0.5, 0.05)];
    let mut ekf = Ekf::new(cstr2(), EkfConfig { substeps: 2, ..config(&noises) }).unwrap();
    let mut noise = Random::new(7);
    let mut plant = Plant::new(cstr2(), &[0.877, 324.503_685_79]);
    for cycle in 0..100_000_u64 {
        let u = [300.0 + 3.0 * (0.15 * cycle as f64).sin()];
        plant.step(&u, 2);
        let there = noise.chance(0.9);
        let y = [Some(plant.x[0] + 1e-4 * noise.normal()), there.then_some(plant.x[1] + 0.5 * noise.normal())];
        assert!(ekf.step(&frame(cycle, &y), &u).valid(), "cycle {cycle}");
        if cycle % 500 == 0 {
            let belief = ekf.checkpoint().belief.unwrap();
            let p = DMatrix::from_fn(4, 4, |i, j| belief.covariance(i, j));
            assert_eq!(p, p.transpose(), "cycle {cycle}");
            assert!(nalgebra::Cholesky::new(p.clone()).is_some(), "cycle {cycle}: {p}");
        }
    }
}

#[test]
fn a_plant_in_motion_is_found() {
    let mut ekf = Ekf::new(cstr2(), config(&[cv(T, 0.5, 0.01)])).unwrap();
    let mut plant = Plant::new(cstr2(), &[0.6, 335.0]);
    let mut noise = Random::new(3);
    let mut errors = vec![];
    for cycle in 0..200 {
        let estimate = ekf.step(&frame(cycle, &[Some(plant.x[1] + 0.5 * noise.normal())]), &[298.0]);
        errors.push((estimate.x()[0] - plant.x[0]).abs());
        plant.step(&[298.0], 10);
    }
    let settled = errors[60..].iter().fold(0.0, |a: f64, b| a.max(*b));
    assert!(errors[0] > 0.1 && settled < 0.005, "first {} then at most {settled} mol/L", errors[0]);
}
