//! Estimator and controller together, on plants that are not the model: no offset is left.

use std::time::Duration;

use plant_models::Cstr4;

use super::*;
use crate::estimation::{CvNoise, Ekf, EkfConfig};
use crate::frame::tests::frame_of;

const CB_TARGET: f64 = 0.6;

/// The estimator of the cstr4 loop: CB, reactor and jacket are measured, the feed is not.
fn ekf(offset_free: bool) -> Ekf {
    let cv = |output, measurement_sd: f64| CvNoise {
        output,
        measurement_sd,
        disturbance_sd: if offset_free { measurement_sd } else { 0.0 },
    };
    let config = EkfConfig {
        period_s: 18.0,
        substeps: 2,
        cv: vec![cv(0, 0.005), cv(1, 0.1), cv(2, 0.1)],
        state_sd: vec![0.002, 0.002, 0.05, 0.05],
        initial_sd: vec![0.3, 0.3, 3.0, 3.0],
        dv_of: vec![],
        dv_hold: Duration::ZERO,
        cv_missing_max: 3,
    };
    Ekf::new(model("cstr4"), config).unwrap()
}

/// The relative error of CB at the end of 600 periods on `plant`, whose feed changes to `feed` on the way.
fn error_on(plant: Cstr4, feed: f64, offset_free: bool) -> f64 {
    let plant = Integrator::rk4(Box::leak(Box::new(plant)));
    let (mut ekf, mut controller) = (ekf(offset_free), Nmpc::new(model("cstr4"), cstr4_config(20, 1)).unwrap());
    let mut scene = cstr4_scene();
    scene.setpoints[0] = Some(CB_TARGET);
    let mut x = scene.x.clone();
    for cycle in 0..600_u64 {
        let cvs = [Some(x[1]), Some(x[2]), Some(x[3])];
        let frame = frame_of(cycle, Stamp::from_secs_f64(18.0 * cycle as f64), &cvs, &[]);
        let estimate = ekf.step(&frame, &scene.u_prev);
        (scene.cycle, scene.x, scene.d) = (cycle, estimate.x().to_vec(), estimate.d().to_vec());
        scene.p = estimate.p().to_vec();
        let plan = controller.solve(&scene.input(), &in_time).plan.unwrap();
        let p = [if cycle < 100 { 5.1 } else { feed }];
        plant.step(&mut x, &Held { u: &plan.u[0], p: &p, dt_s: 18.0, substeps: 20 });
        scene.u_prev = plan.u[0].to_vec();
    }
    (x[1] / CB_TARGET - 1.0).abs()
}

#[test]
fn an_unmeasured_feed_and_a_wrong_heat_transfer_leave_no_offset() {
    let transfer = |factor: f64| Cstr4 { heat_transfer: factor * Cstr4::NOMINAL.heat_transfer, ..Cstr4::NOMINAL };
    for (what, plant, feed) in [
        ("feed -10 %", Cstr4::NOMINAL, 0.9 * 5.1),
        ("feed +10 %", Cstr4::NOMINAL, 1.1 * 5.1),
        ("heat transfer -10 %", transfer(0.9), 5.1),
        ("heat transfer +10 %", transfer(1.1), 5.1),
        ("both", transfer(0.9), 0.9 * 5.1),
    ] {
        let error = error_on(plant, feed, true);
        println!("{what}: error {:.5} %", 100.0 * error);
        assert!(error < 1e-3, "{what}: {error}");
    }
    // Negative control: with the disturbances off, the feed alone leaves an offset.
    let error = error_on(Cstr4::NOMINAL, 0.9 * 5.1, false);
    println!("feed -10 % without the disturbance model: error {:.5} %", 100.0 * error);
    assert!(error > 0.02, "{error}");
}
