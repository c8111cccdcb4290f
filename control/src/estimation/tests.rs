//! How the filter begins, bridges gaps, loses its belief, and is restored.
//!
//! Also the plant that `accuracy` shares.

use std::time::Duration;

use plant_models::{Cstr4, Held, Integrator, PlantModel, by_name, steady_state};
use signals::Stamp;

use super::start::{Measured, initial_state};
use super::*;
use crate::frame::Frame;
use crate::frame::tests::frame_of;
use crate::test_support::Random;

mod accuracy;
mod consistency;
mod late;
mod parameters;
pub(super) mod scenario;

/// 0.1 min, the sampling time of the `cstr2` benchmark.
const PERIOD_S: f64 = 6.0;
/// Its outputs.
const CA: usize = 0;
const T: usize = 1;

fn cv(output: usize, measurement_sd: f64, disturbance_sd: f64) -> CvNoise {
    CvNoise { output, measurement_sd, disturbance_sd }
}

fn cstr2() -> &'static dyn PlantModel {
    by_name("cstr2").unwrap()
}

fn config(cv: &[CvNoise]) -> EkfConfig {
    EkfConfig {
        period_s: PERIOD_S,
        substeps: 10,
        cv: cv.to_vec(),
        state_sd: vec![1e-5_f64.sqrt(), 0.1],
        initial_sd: vec![0.2, 5.0],
        dv_of: vec![],
        dv_hold: Duration::from_secs(60),
        cv_missing_max: 10,
    }
}

fn stamp(cycle: u64) -> Stamp {
    Stamp::from_secs_f64(cycle as f64 * PERIOD_S)
}

fn frame(cycle: u64, cvs: &[Option<f64>]) -> Frame {
    frame_of(cycle, stamp(cycle), cvs, &[])
}

/// A plant that is stepped beside the filter.
struct Plant {
    rk4: Integrator,
    x: Vec<f64>,
    p: Vec<f64>,
}

impl Plant {
    fn new(model: &'static dyn PlantModel, x: &[f64]) -> Self {
        let p = model.card().disturbances.iter().map(|d| d.nominal).collect();
        Self { rk4: Integrator::rk4(model), x: x.to_vec(), p }
    }

    fn step(&mut self, u: &[f64], substeps: usize) {
        self.rk4.step(&mut self.x, &Held { u, p: &self.p, dt_s: PERIOD_S, substeps });
    }
}

#[test]
fn a_missing_cv_is_bridged_and_too_long_a_gap_is_invalid() {
    let mut ekf = Ekf::new(cstr2(), config(&[cv(T, 0.5, 0.05)])).unwrap();
    let mut plant = Plant::new(cstr2(), &[0.877, 324.503_685_79]);
    let u = [300.0];
    let mut sd_before = 0.0;
    for cycle in 0..120 {
        plant.step(&u, 10);
        let there = !(50..70).contains(&cycle);
        let estimate = ekf.step(&frame(cycle, &[there.then_some(plant.x[1])]), &u);
        // cv_missing_max is 10: cycles 50 to 59 are bridged, 60 to 69 are not.
        assert_eq!(estimate.valid(), !(60..70).contains(&cycle), "cycle {cycle}");
        assert_eq!(estimate.missing(), u32::from(!there));
        assert!((estimate.y()[0] - plant.x[1]).abs() < 0.5, "cycle {cycle}: {estimate:?} {:?}", plant.x);
        if (51..70).contains(&cycle) {
            assert!(estimate.x_sd()[1] > sd_before && estimate.innovation() == [0.0]);
        }
        sd_before = estimate.x_sd()[1];
    }
}

#[test]
fn one_missing_cv_leaves_the_others_at_work() {
    let noises = [cv(CA, 0.01, 1e-3), cv(T, 0.5, 0.05)];
    let mut ekf = Ekf::new(cstr2(), config(&noises)).unwrap();
    ekf.step(&frame(0, &[Some(0.87), Some(325.0)]), &[300.0]);
    let before = ekf.step(&frame(1, &[Some(0.87), Some(325.0)]), &[300.0]);
    let after = ekf.step(&frame(2, &[None, Some(327.0)]), &[300.0]);
    assert!(after.valid() && after.missing() == 1);
    assert!(after.innovation()[0] == 0.0 && after.innovation()[1] > 1.0, "{after:?}");
    assert!(after.y()[1] > before.y()[1] + 0.5);
}

#[test]
fn the_order_of_the_cvs_does_not_matter() {
    let (ca, t) = (cv(CA, 0.01, 1e-3), cv(T, 0.5, 0.05));
    let mut one = Ekf::new(cstr2(), config(&[ca, t])).unwrap();
    let mut other = Ekf::new(cstr2(), config(&[t, ca])).unwrap();
    for cycle in 0..50 {
        let (y_ca, y_t) = (Some(0.87 + 0.01 * (cycle as f64).sin()), Some(325.0 + (0.5 * cycle as f64).cos()));
        let one = one.step(&frame(cycle, &[y_ca, y_t]), &[300.0]);
        let other = other.step(&frame(cycle, &[y_t, y_ca]), &[300.0]);
        assert!((one.x()[0] - other.x()[0]).abs() < 1e-10 && (one.x()[1] - other.x()[1]).abs() < 1e-8);
        assert!((one.d()[0] - other.d()[1]).abs() < 1e-10 && (one.nis() - other.nis()).abs() < 1e-8);
    }
}

#[test]
fn a_gap_in_the_cycles_is_predicted_over() {
    let noises = [cv(T, 0.5, 0.05)];
    let mut by_one = Ekf::new(cstr2(), config(&noises)).unwrap();
    let u = [302.0];
    for cycle in 0..5 {
        by_one.step(&frame(cycle, &[Some(325.0)]), &u);
    }
    let mut at_once = by_one.clone();
    for cycle in 5..12 {
        by_one.step(&frame(cycle, &[None]), &u);
    }
    let end = frame(12, &[Some(326.0)]);
    let (by_one, at_once) = (by_one.step(&end, &u), at_once.step(&end, &u));
    assert!((by_one.x()[1] - at_once.x()[1]).abs() < 1e-9 && (by_one.nis() - at_once.nis()).abs() < 1e-9);
}

#[test]
fn too_long_a_gap_and_a_cycle_that_runs_back_start_anew() {
    let u = [300.016_447_597_829_37];
    for (next, anew) in [(9 + GAP_MAX, false), (10 + GAP_MAX, true), (3, true)] {
        let mut ekf = Ekf::new(cstr2(), config(&[cv(T, 0.5, 0.05)])).unwrap();
        assert!(ekf.begin_at(8, stamp(8), &[0.5, 350.0]));
        ekf.step(&frame(9, &[Some(350.0)]), &u);
        let fresh = Ekf::new(cstr2(), config(&[cv(T, 0.5, 0.05)])).unwrap().step(&frame(next, &[Some(324.5)]), &u);
        let estimate = ekf.step(&frame(next, &[Some(324.5)]), &u);
        assert!(estimate.valid());
        assert_eq!(estimate == fresh, anew, "cycle 9 then {next}");
    }
}

#[test]
fn a_second_frame_of_a_cycle_changes_nothing() {
    let mut ekf = Ekf::new(cstr2(), config(&[cv(T, 0.5, 0.05)])).unwrap();
    let first = ekf.step(&frame(0, &[Some(325.0)]), &[300.0]);
    assert_eq!(ekf.step(&frame(0, &[Some(400.0)]), &[310.0]), first);
}

#[test]
fn the_filter_waits_for_every_cv_and_then_starts() {
    let mut ekf = Ekf::new(cstr2(), config(&[cv(CA, 0.01, 1e-3), cv(T, 0.5, 0.05)])).unwrap();
    let u = [300.016_447_597_829_37];
    for (cycle, cvs) in [(0, [None, None]), (1, [Some(0.877), None]), (2, [None, Some(324.5)])] {
        let estimate = ekf.step(&frame(cycle, &cvs), &u);
        assert!(!estimate.valid(), "cycle {cycle}");
        assert!(estimate.y().iter().all(|y| y.is_finite()));
    }
    let estimate = ekf.step(&frame(3, &[Some(0.877), Some(324.5)]), &u);
    assert!(estimate.valid() && (estimate.x()[1] - 324.5).abs() < 0.1, "{estimate:?}");
}

#[test]
fn the_start_is_the_steady_state_near_the_plant_or_the_measurement() {
    let p = [1.0, 350.0];
    let held = Held { u: &[300.0], p: &p, dt_s: PERIOD_S, substeps: 2 };
    let at = |t| initial_state(cstr2(), &held, &[Measured { output: T, value: t }]);
    let ignited = steady_state(cstr2(), &[300.0], &p, &[0.02, 390.0]).unwrap();
    let extinct = steady_state(cstr2(), &[300.0], &p, &[0.877, 324.5]).unwrap();
    assert!(ignited[1] - extinct[1] > 30.0, "two steady states: {ignited:?} {extinct:?}");
    for x in [&ignited, &extinct] {
        let begun = at(x[1] + 2.0);
        assert!((begun[0] - x[0]).abs() < 1e-6 && (begun[1] - x[1]).abs() < 1e-6, "{begun:?} against {x:?}");
    }
    // Far from any steady state: the measured state is taken as it is, and the other follows it.
    let moving = at(450.0);
    assert!((moving[1] - 450.0).abs() < 1e-12, "{moving:?}");
    // dCA/dt = 0 at that temperature: CA = CAF / (1 + k0 exp(-8750/450)).
    let settled = 1.0 / (1.0 + 7.2e10 * (-8750.0_f64 / 450.0).exp());
    assert!((moving[0] - settled).abs() < 1e-9, "{moving:?} against {settled}");
}

#[test]
fn a_dv_that_fails_is_held_and_then_the_nominal_stands_in() {
    // DV 0 is TF (disturbance 1), nominal 350 K; its value is held for 60 s, ten periods.
    let mut ekf = Ekf::new(cstr2(), EkfConfig { dv_of: vec![1], ..config(&[cv(T, 0.5, 0.05)]) }).unwrap();
    let nominal = cstr2().card().disturbances[1].nominal;
    for cycle in 0..40 {
        let dv = (cycle < 5).then_some(355.0).or((cycle >= 30).then_some(352.0));
        let estimate = ekf.step(&frame_of(cycle, stamp(cycle), &[Some(325.0)], &[dv]), &[300.0]);
        let expected = match cycle {
            0..=14 => 355.0,
            15..=29 => nominal,
            _ => 352.0,
        };
        assert_eq!(estimate.p(), [cstr2().card().disturbances[0].nominal, expected], "cycle {cycle}");
        assert!(estimate.valid());
    }
}

#[test]
fn set_points_that_are_no_numbers_stop_the_filter_for_that_cycle() {
    for bad in [&[f64::NAN][..], &[f64::INFINITY], &[], &[300.0, 300.0]] {
        let mut ekf = Ekf::new(cstr2(), config(&[cv(T, 0.5, 0.05)])).unwrap();
        assert!(ekf.step(&frame(0, &[Some(325.0)]), &[300.0]).valid());
        assert!(!ekf.step(&frame(1, &[Some(325.0)]), bad).valid(), "{bad:?}");
        assert!(ekf.step(&frame(2, &[Some(325.0)]), &[300.0]).valid(), "{bad:?}");
        let mut cold = Ekf::new(cstr2(), config(&[cv(T, 0.5, 0.05)])).unwrap();
        assert!(!cold.step(&frame(0, &[Some(325.0)]), bad).valid(), "{bad:?}");
    }
}

#[test]
fn a_belief_that_is_lost_is_dropped_and_found_again() {
    // Far out of the envelope the reaction runs away to numbers that are not finite, measured or not.
    for measured in [Some(325.0), None] {
        let mut ekf = Ekf::new(cstr2(), config(&[cv(T, 0.5, 0.05)])).unwrap();
        assert!(ekf.begin_at(0, Stamp::ZERO, &[1e300, 1e300]));
        let lost = ekf.step(&frame(1, &[measured]), &[300.0]);
        assert!(!lost.valid() && lost.x().iter().all(|x| x.is_finite()), "{lost:?}");
        let found = ekf.step(&frame(2, &[Some(325.0)]), &[300.0]);
        assert!(found.valid() && (found.x()[1] - 325.0).abs() < 1.0, "{found:?}");
    }
}

#[test]
fn a_restored_filter_goes_on_bit_for_bit() {
    let run = |ekf: &mut Ekf, from: u64| -> Vec<Estimate> {
        (from..from + 100)
            .map(|k| {
                let t = (k % 7 != 0).then_some(325.0 + (0.3 * k as f64).sin());
                let dv = (k % 11 < 9).then_some(350.0 + (0.1 * k as f64).cos());
                ekf.step(&frame_of(k, stamp(k), &[Some(0.87), t], &[dv]), &[300.0 + (k % 5) as f64])
            })
            .collect()
    };
    let new = || {
        let noises = [cv(CA, 0.01, 1e-3), cv(T, 0.5, 0.05)];
        Ekf::new(cstr2(), EkfConfig { dv_of: vec![1], ..config(&noises) }).unwrap()
    };
    let mut first = new();
    run(&mut first, 1);
    let checkpoint = first.checkpoint();
    let expected = run(&mut first, 101);
    let mut second = new();
    assert!(second.restore(&checkpoint));
    let bits = |run: &[Estimate]| -> Vec<u64> {
        run.iter().flat_map(|e| e.x().iter().chain(e.x_sd()).chain(e.d()).map(|v| v.to_bits())).collect()
    };
    let got = run(&mut second, 101);
    assert_eq!(bits(&got), bits(&expected));
    assert_eq!(got, expected);
    // Negative control: without the checkpoint the same frames give something else.
    assert_ne!(bits(&run(&mut new(), 101)), bits(&expected));
}

#[test]
fn a_checkpoint_of_another_shape_is_refused() {
    let mut donor = Ekf::new(cstr2(), config(&[cv(CA, 0.01, 1e-3), cv(T, 0.5, 0.05)])).unwrap();
    donor.step(&frame(0, &[Some(0.87), Some(325.0)]), &[300.0]);
    let mut ekf = Ekf::new(cstr2(), config(&[cv(T, 0.5, 0.05)])).unwrap();
    ekf.step(&frame(0, &[Some(325.0)]), &[300.0]);
    assert!(!ekf.restore(&donor.checkpoint()));
    assert!(ekf.step(&frame(1, &[Some(325.0)]), &[300.0]).valid());
}

#[test]
fn a_reset_filter_is_as_new() {
    let new = || Ekf::new(cstr2(), config(&[cv(T, 0.5, 0.05)])).unwrap();
    let mut used = new();
    for cycle in 0..20 {
        used.step(&frame(cycle, &[Some(330.0)]), &[305.0]);
    }
    used.reset();
    let next = frame(20, &[Some(325.0)]);
    assert_eq!(used.step(&next, &[300.0]), new().step(&next, &[300.0]));
}

#[test]
fn a_running_filter_does_not_allocate() {
    let config = EkfConfig {
        period_s: 18.0,
        substeps: 2,
        cv: vec![cv(0, 0.01, 1e-3), cv(1, 0.1, 0.01), cv(2, 0.1, 0.01)],
        state_sd: vec![1e-3, 1e-3, 0.05, 0.05],
        initial_sd: vec![0.1, 0.1, 1.0, 1.0],
        dv_of: vec![0],
        dv_hold: Duration::from_secs(60),
        cv_missing_max: 5,
    };
    let mut ekf = Ekf::new(&Cstr4::NOMINAL, config).unwrap();
    let frames: Vec<_> = (0..200)
        .map(|k| {
            let tr = (k % 9 != 4).then_some(134.14 + 0.1 * (k as f64).sin());
            frame_of(k, stamp(k), &[Some(0.8), tr, Some(130.0)], &[(k % 50 < 30).then_some(5.1)])
        })
        .collect();
    let u = [18.0, -4500.0];
    assert!(ekf.step(&frames[0], &u).valid());
    let mut valid = 0;
    let counted = allocation_counter::measure(|| {
        for frame in &frames[1..] {
            valid += u32::from(ekf.step(frame, &u).valid());
        }
    });
    assert_eq!((counted.count_total, valid), (0, 199));
}

#[test]
fn what_does_not_fit_the_model_is_refused() {
    let refused = |config| Ekf::new(cstr2(), config).unwrap_err();
    let good = || config(&[cv(T, 0.5, 0.05)]);
    type Bad = (fn(&mut EkfConfig), &'static str);
    let table: [Bad; 12] = [
        (|c| c.cv.clear(), "0 cv, the estimator takes 1 to 16"),
        (|c| c.cv = vec![cv(2, 0.5, 0.0)], "cv.output entry 0 refers to variable 2"),
        (|c| c.cv = vec![cv(T, 0.5, 0.0), cv(T, 0.5, 0.0)], "cv.output entry 1 refers to variable 1"),
        (|c| c.cv[0].measurement_sd = 0.0, "cv.measurement_sd entry 0 is 0, expected a finite number above 0"),
        (|c| c.cv[0].disturbance_sd = -1.0, "cv.disturbance_sd entry 0 is -1, expected a finite number of at least 0"),
        (|c| c.state_sd = vec![0.1], "state_sd has 1 entries, expected 2"),
        (|c| c.initial_sd = vec![0.1; 3], "initial_sd has 3 entries, expected 2"),
        (|c| c.state_sd[1] = f64::NAN, "state_sd entry 1 is NaN"),
        (|c| c.period_s = 0.0, "period_s entry 0 is 0"),
        (|c| c.substeps = 0, "substeps entry 0 is 0"),
        (|c| c.dv_of = vec![2], "dv_of entry 0 refers to variable 2"),
        (|c| c.dv_of = vec![1, 1], "dv_of entry 1 refers to variable 1"),
    ];
    for (spoil, expected) in table {
        let mut config = good();
        spoil(&mut config);
        let message = refused(config).to_string();
        assert!(message.starts_with(expected), "{message}");
    }
}
