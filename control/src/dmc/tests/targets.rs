//! Where the plant is told to rest: ranks, money, ideal values, and wishes that contradict each other.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

/// Two CVs on one MV, and a second MV that acts on the second CV only. Gains 1, 1, 0.5.
fn short_of_freedom() -> StepResponseModel {
    let names = Names {
        cvs: vec!["quality".into(), "pressure".into()],
        mvs: vec!["reflux".into(), "vent".into()],
        dvs: vec![],
    };
    let lag = |gain: f64| Transfer::Fopdt { gain, tau_s: 2.0, delay_s: 1.0 };
    let pairs = [
        Pair { cv: 0, input: 0, transfer: lag(1.0) },
        Pair { cv: 1, input: 0, transfer: lag(1.0) },
        Pair { cv: 1, input: 1, transfer: lag(0.5) },
    ];
    StepResponseModel::new(names, (1.0, 60), &pairs).unwrap()
}

fn config() -> DmcConfig {
    DmcConfig { horizon: 40, moves: 8, ..tuned(&short_of_freedom()) }
}

/// The set-point of the quality asks for a reflux that the pressure limit forbids; the vent is shut.
fn contradicting(quality_rank: u8, pressure_rank: u8) -> (Loop, DmcOutcome) {
    let mut config = config();
    config.cv[0].setpoint_rank = quality_rank;
    config.cv[1].limit_rank = pressure_rank;
    let mut control = Loop::new(&short_of_freedom(), &config);
    control.scene.setpoints = vec![Some(3.0), None];
    control.scene.cv_hi[1] = 1.0;
    (control.scene.u_lo[1], control.scene.u_hi[1]) = (0.0, 0.0);
    let outcome = control.step(&[0.0; 2]);
    (control, outcome)
}

#[test]
fn the_lower_rank_is_given_up_and_told() {
    let (mut control, outcome) = contradicting(2, 1);
    let [given_up] = outcome.steady_state.given_up[..] else { panic!("{:?}", outcome.steady_state) };
    assert_eq!((given_up.cv, given_up.wish), (0, Wish::Setpoint));
    assert!((given_up.by + 2.0).abs() < 1e-6, "2 below its set-point: {}", given_up.by);
    assert!((outcome.steady_state.y[0] - 1.0).abs() < 1e-6 && (outcome.steady_state.y[1] - 1.0).abs() < 1e-6);
    control.run(150, &[0.0; 2]);
    assert!(control.scene.y[1] < 1.0 + 1e-3, "{}", control.scene.y[1]);

    // The same with the ranks exchanged: now it is the limit.
    let (mut control, outcome) = contradicting(1, 2);
    let [given_up] = outcome.steady_state.given_up[..] else { panic!("{:?}", outcome.steady_state) };
    assert_eq!((given_up.cv, given_up.wish), (1, Wish::UpperLimit));
    assert!((given_up.by - 2.0).abs() < 1e-6, "2 above its limit: {}", given_up.by);
    assert!((outcome.steady_state.y[0] - 3.0).abs() < 1e-6);
    control.run(150, &[0.0; 2]);
    assert!(control.scene.y[0] > 2.0, "{}", control.scene.y[0]);
}

#[test]
fn wishes_of_one_rank_share_what_is_missing() {
    let (_, outcome) = contradicting(1, 1);
    let missed: Vec<f64> = outcome.steady_state.given_up.iter().map(|given_up| given_up.by).collect();
    assert!(missed.len() == 2 && missed[0] < -0.5 && missed[1] > 0.5, "{missed:?}");
    assert!((missed[1] - missed[0] - 2.0).abs() < 1e-6, "together they miss 2: {missed:?}");
}

#[test]
fn what_can_be_met_is_met_and_nothing_is_given_up() {
    let mut control = Loop::new(&short_of_freedom(), &config());
    control.scene.setpoints = vec![Some(3.0), None];
    control.scene.cv_hi[1] = 1.0;
    let outcome = control.step(&[0.0; 2]);
    assert!(outcome.steady_state.given_up.is_empty(), "{:?}", outcome.steady_state.given_up);
    // The vent makes room: 3 + vent / 2 ≤ 1.
    assert!((outcome.steady_state.u[0] - 3.0).abs() < 1e-5 && outcome.steady_state.u[1] <= -4.0 + 1e-5);
    control.run(200, &[0.0; 2]);
    assert!((control.scene.y[0] - 3.0).abs() < 3e-3 && control.scene.y[1] < 1.0 + 1e-3, "{:?}", control.scene.y);
}

#[test]
fn money_drives_to_a_vertex_of_the_limits() {
    // Maximise 2 quality + vent with quality = u1 ≤ 2, pressure = u1 + u2 / 2 ≤ 2.5, u2 ≤ 3: worth 2 a unit of reflux
    // and 1 a unit of vent. Pressure prices reflux 1 and vent 1/2 alike, so the quality's limit decides: u = (2, 1).
    let mut config = config();
    config.cv[0].cost = -2.001;
    config.mv[1].cost = -1.0;
    let mut control = Loop::new(&short_of_freedom(), &config);
    control.scene.setpoints = vec![None; 2];
    control.scene.cv_hi = vec![2.0, 2.5];
    control.scene.u_hi[1] = 3.0;
    let outcome = control.step(&[0.0; 2]);
    let u = outcome.steady_state.u;
    assert!((u[0] - 2.0).abs() < 1e-5 && (u[1] - 1.0).abs() < 1e-5, "{u:?}");
    // Cheaper quality: the vent takes the pressure, u = (1, 3).
    config.cv[0].cost = -1.9;
    let mut control = Loop::new(&short_of_freedom(), &config);
    control.scene.setpoints = vec![None; 2];
    control.scene.cv_hi = vec![2.0, 2.5];
    control.scene.u_hi[1] = 3.0;
    let u = control.step(&[0.0; 2]).steady_state.u;
    assert!((u[0] - 1.0).abs() < 1e-5 && (u[1] - 3.0).abs() < 1e-5, "{u:?}");
    control.run(200, &[0.0; 2]);
    assert!((control.scene.y[1] - 2.5).abs() < 3e-3, "the plant gets there: {:?}", control.scene.y);
}

#[test]
fn spare_inputs_go_to_their_ideal_resting_values() {
    let mut config = config();
    config.mv[0].ideal_weight = 1.0;
    config.mv[0].rest_weight = 0.5;
    config.mv[1].ideal_weight = 1.0;
    config.mv[1].rest_weight = 0.5;
    let mut control = Loop::new(&short_of_freedom(), &config);
    control.scene.setpoints = vec![None, Some(1.0)];
    control.scene.u_ideal = vec![Some(4.0), None];
    control.run(400, &[0.0; 2]);
    // The pressure holds 1 = u1 + u2 / 2; between 4 for the reflux and the vent's present place, time decides for 4.
    let u = &control.scene.u_prev;
    assert!((u[0] - 4.0).abs() < 4e-3 && (u[1] + 6.0).abs() < 1e-2, "{u:?}");
    assert!((control.scene.y[1] - 1.0).abs() < 1e-3, "{:?}", control.scene.y);
}

#[test]
fn a_drift_that_no_input_can_stop_is_told() {
    let names = Names { cvs: vec!["level".into()], mvs: vec!["valve".into()], dvs: vec!["rain".into()] };
    let ramp = |gain: f64| Transfer::Integrator { gain, tau_s: 0.0, delay_s: 0.0 };
    let pairs = [Pair { cv: 0, input: 0, transfer: ramp(-0.1) }, Pair { cv: 0, input: 1, transfer: ramp(0.2) }];
    let model = StepResponseModel::new(names, (1.0, 30), &pairs).unwrap();
    let config = DmcConfig { horizon: 20, moves: 5, ..tuned(&model) };
    let mut control = Loop::new(&model, &config);
    control.scene.u_hi = vec![1.0];
    control.run(3, &[0.0]);
    control.scene.dv = vec![1.0];
    let outcome = control.step(&[0.0]);
    let [given_up] = outcome.steady_state.given_up[..] else { panic!("{:?}", outcome.steady_state) };
    // Rain brings 0.2 a second, the valve drains 0.1 at most: 0.1 · 20 over the horizon.
    assert_eq!((given_up.cv, given_up.wish), (0, Wish::Balance));
    assert!((given_up.by - 2.0).abs() < 1e-5, "{}", given_up.by);
}

#[test]
fn a_setpoint_beyond_a_limit_is_taken_at_the_limit() {
    let mut control = Loop::new(&short_of_freedom(), &config());
    control.scene.setpoints = vec![Some(3.0), None];
    control.scene.cv_hi[0] = 2.0;
    let outcome = control.step(&[0.0; 2]);
    assert!(outcome.steady_state.given_up.is_empty());
    assert!((outcome.steady_state.y[0] - 2.0).abs() < 1e-6);
}

/// One value per CV or MV.
fn list<T: std::fmt::Debug>(of: impl Strategy<Value = T>, n: usize) -> impl Strategy<Value = Vec<T>> {
    proptest::collection::vec(of, n)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20000, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn there_are_targets_whatever_is_wished(
        gains in list(prop_oneof![3 => -3.0..3.0f64, 1 => Just(0.0)], 15),
        ranks in list((1u8..5, 1u8..5), 5),
        limits in list((-3.0..3.0f64, 0.0..2.0f64), 5),
        setpoints in list(proptest::option::of(-5.0..5.0f64), 5),
        services in (list(any::<bool>(), 5), list(any::<bool>(), 3)),
        (disturbances, scale) in (list(-2.0..2.0f64, 5), prop_oneof![Just(1.0), Just(1e4)]),
    ) {
        let names = |prefix: &str, n: usize| (0..n).map(|i| format!("{prefix}{i}")).collect();
        let lag = |gain: f64| Transfer::Fopdt { gain, tau_s: 1.0, delay_s: 0.0 };
        let pairs: Vec<Pair> =
            gains.iter().enumerate().map(|(at, k)| Pair { cv: at / 3, input: at % 3, transfer: lag(*k) }).collect();
        let names = Names { cvs: names("y", 5), mvs: names("u", 3), dvs: vec![] };
        let model = StepResponseModel::new(names, (1.0, 60), &pairs).unwrap();
        let mut config = DmcConfig { horizon: 20, moves: 4, ..tuned(&model) };
        for (cv, (limit, setpoint)) in config.cv.iter_mut().zip(&ranks) {
            (cv.limit_rank, cv.setpoint_rank) = (*limit, *setpoint);
        }
        let mut control = Loop::new(&model, &config);
        let (cv, mv) = services;
        control.controller.set_services(Services { cv: cv.clone(), mv: mv.clone(), dv: vec![] }).unwrap();
        let scene = &mut control.scene;
        scene.cv_lo = limits.iter().map(|(lo, _)| lo * scale).collect();
        scene.cv_hi = limits.iter().map(|(lo, width)| (lo + width) * scale).collect();
        scene.setpoints = setpoints.iter().map(|r| r.map(|r| r * scale)).collect();
        (scene.u_lo, scene.u_hi) = (vec![-scale; 3], vec![scale; 3]);
        let disturbances: Vec<f64> = disturbances.iter().map(|d| d * scale).collect();
        let found = control.step(&disturbances).steady_state;
        prop_assert_eq!(found.status, SolveStatus::Solved);
        for (u, on) in found.u.iter().zip(&mv) {
            prop_assert!(u.abs() <= scale * (1.0 + 1e-6) && (*on || u.abs() < 1e-9 * scale), "{:?}", found.u);
        }
        let scene = &control.scene;
        for (i, y) in found.y.iter().enumerate() {
            let limits = [Wish::LowerLimit, Wish::UpperLimit];
            let gave_up = found.given_up.iter().find(|given_up| given_up.cv == i && limits.contains(&given_up.wish));
            let over = (y - scene.cv_hi[i]).max(0.0) + (y - scene.cv_lo[i]).min(0.0);
            let told = gave_up.map_or(0.0, |given_up| given_up.by);
            if cv[i] {
                // What is told is what its own rank left; the ranks below may only have made it smaller.
                prop_assert!(over.abs() <= told.abs() + 1e-5 * scale, "CV {}: {} over, {:?}", i, over, found.given_up);
                prop_assert!(over * told >= 0.0 || over.abs() < 1e-5 * scale);
            } else {
                prop_assert!(!found.given_up.iter().any(|given_up| given_up.cv == i), "out of service");
            }
        }
    }
}
