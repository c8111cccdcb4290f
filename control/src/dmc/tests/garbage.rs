//! Whatever comes in, what goes out is an outcome, and a plan is lawful.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

fn garbage() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => -2.0..2.0f64,
        1 => -1e6..1e6f64,
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => Just(-1e308),
        1 => Just(0.0),
    ]
}

/// Whether a plan keeps limits and rates; outside its limits an MV may only return.
fn lawful(plan: &crate::mpc::Plan, scene: &Scene) -> bool {
    let mut last = scene.u_prev.clone();
    plan.u.iter().all(|u| {
        let fine = (0..u.len()).all(|j| {
            let within = u[j] >= scene.u_lo[j].min(last[j]) && u[j] <= scene.u_hi[j].max(last[j]);
            within && (u[j] - last[j]).abs() <= scene.du_max[j]
        });
        last = u.to_vec();
        fine
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn any_input_is_an_outcome_and_two_good_cycles_later_all_is_well(
        cycles in proptest::collection::vec((proptest::collection::vec(garbage(), 12), 0u8..6), 1..12),
    ) {
        let model = wood_berry();
        let mut control = Loop::new(&model, &tuned(&model));
        control.scene.u_lo = vec![-0.15; 2];
        control.scene.u_hi = vec![0.15; 2];
        control.scene.du_max = vec![0.02; 2];
        control.run(3, &[0.0; 2]);
        let good = control.scene.clone();
        let mut cycle = good.cycle;
        for (numbers, what) in &cycles {
            let mut scene = good.clone();
            scene.cycle = cycle;
            match what {
                0 => scene.y.copy_from_slice(&numbers[..2]),
                1 => scene.u_prev.copy_from_slice(&numbers[..2]),
                2 => scene.setpoints = vec![Some(numbers[0]), None],
                3 => (scene.cv_lo[0], scene.cv_hi[0]) = (numbers[0], numbers[1]),
                4 => (scene.u_lo[1], scene.u_hi[1]) = (numbers[0], numbers[1]),
                _ => (scene.du_max[0], scene.u_ideal[1]) = (numbers[0], Some(numbers[1])),
            }
            let outcome = control.controller.step(&scene.input(), &|| false);
            prop_assert_eq!(outcome.mpc.plan.is_some(), outcome.mpc.status == SolveStatus::Solved);
            if let Some(plan) = outcome.mpc.plan {
                prop_assert!(lawful(&plan, &scene), "{:?} under {:?}", plan.u, scene);
                prop_assert!(plan.cost.is_finite() && plan.cv_end.iter().all(|y| y.is_finite()));
            }
            cycle += 1;
        }
        for last in [false, true] {
            let scene = Scene { cycle, ..good.clone() };
            let outcome = control.controller.step(&scene.input(), &|| false);
            prop_assert!(!last || outcome.mpc.status == SolveStatus::Solved, "{:?}", outcome);
            if let (true, Some(plan)) = (last, outcome.mpc.plan) {
                prop_assert!(lawful(&plan, &scene));
            }
            cycle += 1;
        }
    }

    #[test]
    fn random_plants_are_brought_to_rest_within_their_limits(
        gains in proptest::collection::vec(0.3..2.0f64, 4),
        taus in proptest::collection::vec(20.0..300.0f64, 4),
        delays in proptest::collection::vec(0.0..120.0f64, 4),
        errors in proptest::collection::vec(0.9..1.1f64, 2),
        setpoints in proptest::collection::vec(-1.0..1.0f64, 2),
    ) {
        // Signs that keep the plant well away from a singular gain.
        let names = Names { cvs: vec!["a".into(), "b".into()], mvs: vec!["u".into(), "v".into()], dvs: vec![] };
        let sign = [1.0, -1.0, 1.0, 1.0];
        let pairs: Vec<Pair> = (0..4).map(|at| Pair {
            cv: at / 2,
            input: at % 2,
            transfer: Transfer::Fopdt { gain: sign[at] * gains[at], tau_s: taus[at], delay_s: delays[at] },
        }).collect();
        let model = StepResponseModel::new(names, (20.0, 120), &pairs).unwrap();
        let mut control = Loop::new(&model, &DmcConfig { horizon: 80, moves: 10, ..tuned(&model) });
        control.plant.gain.clone_from(&errors);
        control.scene.setpoints = setpoints.iter().copied().map(Some).collect();
        control.scene.u_lo = vec![-8.0; 2];
        control.scene.u_hi = vec![8.0; 2];
        control.scene.du_max = vec![0.5; 2];
        for _ in 0..200 {
            let outcome = control.step(&[0.2, -0.1]);
            prop_assert_eq!(outcome.mpc.status, SolveStatus::Solved);
            prop_assert!(outcome.steady_state.given_up.is_empty(), "{:?}", outcome.steady_state);
        }
        for (y, setpoint) in control.scene.y.iter().zip(&setpoints) {
            prop_assert!((y - setpoint).abs() < 1e-3 * setpoint.abs().max(0.3), "{} for {}", y, setpoint);
        }
    }
}
