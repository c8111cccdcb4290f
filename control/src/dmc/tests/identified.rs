//! From a step test to a controller: a plant that only its data know.

use nalgebra::DMatrix;

use super::*;
use crate::identification::subspace::{Gain, Order, SubspaceOrders, Weighting, fit};
use crate::identification::{DataSet, Scaling, Trend};
use crate::test_support::Random;

/// A seeded random telegraph signal that holds each level for so many samples at least.
fn telegraph(seed: u64, samples: usize, hold: usize) -> Vec<f64> {
    let mut random = Random::new(seed);
    let mut level = 1.0;
    (0..samples)
        .map(|t| {
            if t % hold == 0 && random.chance(0.5) {
                level = -level;
            }
            level
        })
        .collect()
}

#[test]
fn a_column_is_controlled_with_what_a_step_test_showed() {
    let truth = wood_berry();
    let samples = 1500;
    let mut plant = Plant::of(&truth);
    let inputs = [telegraph(1, samples, 15), telegraph(2, samples, 25)];
    let noise = telegraph(3, samples, 1);
    let mut y = DMatrix::zeros(samples, 2);
    for t in 0..samples {
        for cv in 0..2 {
            y[(t, cv)] = 90.0 + plant.y(t as u64, cv) + 0.02 * noise[t];
        }
        for (j, u) in inputs.iter().enumerate() {
            plant.put(t as u64, j, 0.1 * u[t]);
        }
    }
    let u = DMatrix::from_fn(samples, 2, |t, j| 0.1 * inputs[j][t]);
    let names = |names: [&str; 2]| names.map(String::from).to_vec();
    let data = DataSet {
        period: 60.0,
        first: 0,
        input_names: names(["reflux", "steam"]),
        output_names: names(["top", "bottom"]),
        u,
        y,
    };
    let scaling = Scaling::of(&data, Trend::Mean);
    let orders = SubspaceOrders {
        order: Order::Fixed(14),
        block_rows: 20,
        weighting: Weighting::Cva,
        feedthrough: false,
        gain: Gain::Covariance,
    };
    let model = fit(&scaling.apply(&data), &orders).unwrap().model.in_units(&scaling);
    let names = Names { cvs: data.output_names.clone(), mvs: data.input_names.clone(), dvs: vec![] };
    let sampling = Sampling { samples: 120, delay: &[0, 0], integrating: &[false, false] };
    let identified = StepResponseModel::from_state_space(&model, names, &sampling).unwrap();
    for (cv, input) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let (found, true_gain) = (identified.final_gain(cv, input), truth.final_gain(cv, input));
        println!("gain {cv} {input}: {found:.2} for {true_gain:.2}");
        assert!((found - true_gain).abs() < 0.1 * true_gain.abs(), "{cv} {input}: {found} for {true_gain}");
    }
    let mut control = Loop::new(&identified, &tuned(&identified));
    control.plant = Plant::of(&truth);
    control.scene.setpoints = vec![Some(1.0), Some(-0.5)];
    control.run(300, &[0.3, -0.2]);
    for (y, setpoint) in control.scene.y.iter().zip([1.0f64, -0.5]) {
        assert!((y - setpoint).abs() < 1e-3 * setpoint.abs(), "{y} for {setpoint}");
    }
}
