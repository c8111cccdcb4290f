//! What the controller promises: no offset, hard limits to the last bit, outcomes instead of errors, no allocation.

use std::cell::Cell;

use super::*;

/// A tank: the inflow fills it, a valve with lag drains it; the feed is measured. Slopes per second, period 10 s.
fn tank() -> StepResponseModel {
    let names = Names {
        cvs: vec!["level".into(), "temperature".into()],
        mvs: vec!["inflow".into(), "heat".into()],
        dvs: vec!["feed".into()],
    };
    let ramp = |gain: f64, delay_s: f64| Transfer::Integrator { gain, tau_s: 30.0, delay_s };
    let lag = |gain: f64, delay_s: f64| Transfer::Fopdt { gain, tau_s: 80.0, delay_s };
    let pairs = [
        Pair { cv: 0, input: 0, transfer: ramp(0.01, 20.0) },
        Pair { cv: 0, input: 2, transfer: ramp(-0.008, 30.0) },
        Pair { cv: 1, input: 0, transfer: lag(-1.5, 20.0) },
        Pair { cv: 1, input: 1, transfer: lag(2.0, 40.0) },
        Pair { cv: 1, input: 2, transfer: lag(0.7, 60.0) },
    ];
    StepResponseModel::new(names, (10.0, 100), &pairs).unwrap()
}

fn tank_config() -> DmcConfig {
    let mut config = tuned(&tank());
    (config.horizon, config.moves) = (60, 15);
    config.cv[0].feedback = Feedback::ramp(0.6);
    config
}

#[test]
fn a_wrong_gain_and_a_disturbance_leave_no_offset() {
    for factor in [0.9, 1.1] {
        let mut control = Loop::new(&wood_berry(), &tuned(&wood_berry()));
        control.plant.gain = vec![factor, 2.0 - factor];
        control.scene.setpoints = vec![Some(1.0), Some(-0.5)];
        control.run(400, &[0.4, -0.7]);
        for (y, setpoint) in control.scene.y.iter().zip([1.0, -0.5]) {
            assert!((y - setpoint).abs() < 1e-3 * f64::abs(setpoint), "{factor}: {y} for {setpoint}");
        }
        // The model alone is wrong by far more than what is left: the moves are those of the true gains.
        let model = wood_berry();
        let believed: f64 = (0..2).map(|j| model.final_gain(0, j) * control.scene.u_prev[j]).sum();
        assert!((believed - 0.6).abs() > 0.05, "{believed}");
    }
}

#[test]
fn a_disturbance_that_is_not_believed_leaves_an_offset() {
    // The negative control: measurements that repeat the prediction give the controller no feedback.
    let mut control = Loop::new(&wood_berry(), &tuned(&wood_berry()));
    control.scene.setpoints = vec![Some(1.0), Some(-0.5)];
    control.step(&[0.0, 0.0]);
    for _ in 0..300 {
        control.scene.y = vec![f64::NAN; 2];
        let outcome = control.controller.step(&control.scene.input(), &|| false);
        control.scene.u_prev = outcome.mpc.plan.unwrap().u[0].to_vec();
        control.moved();
    }
    let y = control.plant.y(control.scene.cycle, 0) + 0.4;
    assert!((y - 1.0).abs() > 0.3, "{y}");
}

#[test]
fn an_integrating_cv_returns_to_its_setpoint() {
    for factor in [0.9, 1.0, 1.1] {
        let mut control = Loop::new(&tank(), &tank_config());
        control.plant.gain = vec![factor, 1.0, 2.0 - factor];
        control.scene.setpoints = vec![Some(2.0), Some(1.0)];
        control.scene.dv = vec![1.0];
        control.run(600, &[-0.5, 0.3]);
        assert!((control.scene.y[0] - 2.0).abs() < 1e-3 * 2.0, "{factor}: level {}", control.scene.y[0]);
        assert!((control.scene.y[1] - 1.0).abs() < 1e-3, "{factor}: temperature {}", control.scene.y[1]);
    }
}

/// Level after 600 cycles under a leak that nobody measures, with the given feedback.
fn level_with_a_leak(feedback: Feedback) -> f64 {
    let mut config = tank_config();
    config.cv[0].feedback = feedback;
    let mut control = Loop::new(&tank(), &config);
    for k in 0..600 {
        control.step(&[-0.01 * f64::from(k), 0.0]);
    }
    control.scene.y[0]
}

#[test]
fn only_a_rotated_prediction_stops_an_unmeasured_leak() {
    let rotated = level_with_a_leak(Feedback::ramp(0.6));
    assert!(rotated.abs() < 1e-3, "{rotated}");
    let shifted = level_with_a_leak(Feedback::BIAS);
    assert!(shifted.abs() > 0.01, "bias alone leaves the level below: {shifted}");
}

/// Greatest excursion of the temperature after a step of the feed.
fn excursion(measured: bool) -> f64 {
    let mut control = Loop::new(&tank(), &tank_config());
    if !measured {
        let services = Services { dv: vec![false], ..control.controller.services().clone() };
        control.controller.set_services(services).unwrap();
    }
    control.run(5, &[0.0; 2]);
    control.scene.dv = vec![3.0];
    (0..100).fold(0.0, |most, _| {
        control.step(&[0.0; 2]);
        most.max(control.scene.y[1].abs())
    })
}

#[test]
fn a_measured_disturbance_is_met_before_it_is_felt() {
    let (with, without) = (excursion(true), excursion(false));
    assert!(with < 0.5 * without, "{with} with, {without} without");
}

#[test]
fn a_prediction_without_measurement_is_carried_and_told() {
    let mut control = Loop::new(&wood_berry(), &tuned(&wood_berry()));
    control.scene.setpoints = vec![Some(1.0), Some(-0.5)];
    control.run(10, &[0.2, 0.1]);
    let twin_d = [0.2, 0.1];
    for lost in 1..=20 {
        for (cv, d) in twin_d.iter().enumerate() {
            control.scene.y[cv] = control.plant.y(control.scene.cycle, cv) + d;
        }
        let truth = control.scene.y[0];
        control.scene.y[0] = f64::NAN;
        let outcome = control.controller.step(&control.scene.input(), &|| false);
        assert_eq!(outcome.mpc.status, SolveStatus::Solved);
        assert_eq!((outcome.cv[0].carried_cycles, outcome.cv[1].carried_cycles), (lost, 0));
        let carried = control.controller.prediction(0)[0];
        assert!((carried - truth).abs() < 1e-9, "{carried} for {truth}");
        control.scene.u_prev = outcome.mpc.plan.unwrap().u[0].to_vec();
        control.moved();
    }
    assert_eq!(control.step(&twin_d).cv[0].carried_cycles, 0);
}

#[test]
fn an_absurd_measurement_is_carried_and_an_absurd_input_ends_in_a_new_start() {
    let model = wood_berry();
    let mut control = Loop::new(&model, &tuned(&model));
    control.scene.setpoints = vec![Some(1.0), Some(-0.5)];
    control.run(10, &[0.2, 0.1]);
    let good = control.scene.clone();
    control.scene.y[0] = 1e30;
    let outcome = control.controller.step(&control.scene.input(), &|| false);
    assert_eq!((outcome.mpc.status, outcome.cv[0].carried_cycles), (SolveStatus::Solved, 1));
    control.scene = Scene { cycle: good.cycle + 1, ..good.clone() };
    control.scene.u_prev[0] = 1e30;
    let outcome = control.controller.step(&control.scene.input(), &|| false);
    assert_eq!((outcome.mpc.status, outcome.mpc.plan), (SolveStatus::Numerical, None));
    control.scene = Scene { cycle: good.cycle + 2, ..good };
    assert_eq!(control.controller.step(&control.scene.input(), &|| false).mpc.status, SolveStatus::Solved);
    let free = control.controller.prediction(0);
    assert!(free.iter().all(|y| (y - control.scene.y[0]).abs() < 1e-12), "at rest at the measurement");
}

#[test]
fn nothing_is_planned_before_every_cv_was_seen() {
    let model = wood_berry();
    let mut control = Loop::new(&model, &tuned(&model));
    control.scene.y[1] = f64::NAN;
    let outcome = control.controller.step(&control.scene.input(), &|| false);
    assert_eq!((outcome.mpc.status, outcome.mpc.plan), (SolveStatus::BadInput, None));
    // Out of service it need not be seen.
    let services = Services { cv: vec![true, false], ..control.controller.services().clone() };
    control.controller.set_services(services).unwrap();
    control.scene.cycle += 1;
    assert_eq!(control.controller.step(&control.scene.input(), &|| false).mpc.status, SolveStatus::Solved);
}

#[test]
fn bad_inputs_are_outcomes_and_leave_the_prediction_alone() {
    let model = tank();
    let mut control = Loop::new(&model, &tank_config());
    control.scene.setpoints = vec![Some(2.0), None];
    control.run(5, &[0.0; 2]);
    let good = control.scene.clone();
    let before = control.controller.prediction(0).to_vec();
    let spoil: [fn(&mut Scene); 8] = [
        |scene| scene.u_prev[0] = f64::NAN,
        |scene| scene.setpoints[0] = Some(f64::INFINITY),
        |scene| scene.u_lo = vec![1.0; 3],
        |scene| (scene.cv_lo[0], scene.cv_hi[0]) = (1.0, 0.9),
        |scene| scene.cv_lo[1] = f64::NAN,
        |scene| scene.du_max[0] = -1.0,
        |scene| scene.u_ideal[1] = Some(f64::NAN),
        |scene| scene.y.push(0.0),
    ];
    for (which, spoil) in spoil.iter().enumerate() {
        control.scene = good.clone();
        spoil(&mut control.scene);
        let outcome = control.controller.step(&control.scene.input(), &|| false);
        assert_eq!((outcome.mpc.status, outcome.mpc.plan), (SolveStatus::BadInput, None), "{which}");
        assert_eq!(control.controller.prediction(0), before);
    }
    control.scene = good;
    assert_eq!(control.step(&[0.0; 2]).mpc.status, SolveStatus::Solved);
}

#[test]
fn a_late_solve_says_so_and_the_next_one_is_as_if_nothing_had_been() {
    let model = wood_berry();
    let [mut hurried, mut calm] = [(); 2].map(|()| Loop::new(&model, &tuned(&model)));
    for control in [&mut hurried, &mut calm] {
        control.scene.setpoints = vec![Some(1.0), Some(-0.5)];
        control.scene.u_hi = vec![0.02; 2];
        control.run(3, &[0.0; 2]);
    }
    for cv in 0..2 {
        hurried.scene.y[cv] = hurried.plant.y(hurried.scene.cycle, cv);
    }
    let questions = Cell::new(0);
    for allowed in [0, 1, 3] {
        questions.set(0);
        let late = || {
            questions.set(questions.get() + 1);
            questions.get() > allowed
        };
        hurried.scene.setpoints[0] = Some(1.0 + f64::from(allowed));
        let outcome = hurried.controller.step(&hurried.scene.input(), &late);
        assert_eq!((outcome.mpc.status, outcome.mpc.plan), (SolveStatus::TimeLimit, None), "{allowed}");
    }
    hurried.scene.setpoints[0] = Some(1.0);
    let [one, other] = [hurried, calm].map(|mut control| control.step(&[0.0; 2]).mpc.plan.unwrap());
    for (a, b) in one.u[0].iter().zip(&other.u[0]) {
        assert!((a - b).abs() < 1e-9, "{a} {b}");
    }
}

#[test]
fn the_hard_limits_hold_to_the_last_bit() {
    let model = shell();
    let mut control = Loop::new(&model, &DmcConfig { horizon: 140, moves: 30, ..tuned(&model) });
    control.scene.u_lo = vec![-0.1; 5];
    control.scene.u_hi = vec![0.1; 5];
    control.scene.du_max = vec![0.03; 5];
    control.scene.u_prev = vec![0.25, 0.0, 0.0, 0.0, -0.4];
    let mut before = control.scene.u_prev.clone();
    let mut at_limit = false;
    for k in 0..80 {
        control.scene.setpoints[k % 7] = Some(if k % 3 == 0 { 2.0 } else { -1.0 });
        let outcome = control.step(&[0.3; 7]);
        let plan = outcome.mpc.plan.unwrap();
        let mut last = before.clone();
        for u in &plan.u {
            for (j, u) in u.iter().enumerate() {
                assert!((u - last[j]).abs() <= 0.03, "cycle {k}: {last:?} to {u}");
                let outside = last[j].abs() > 0.1;
                assert!(
                    u.abs() <= if outside { (last[j].abs() - 0.03 + 1e-12).max(0.1) } else { 0.1 },
                    "cycle {k}: {u}"
                );
                at_limit |= u.abs() >= 0.1;
            }
            last = u.to_vec();
        }
        before = plan.u[0].to_vec();
    }
    assert!(at_limit, "the limits have been at work");
}

#[test]
fn a_step_allocates_nothing() {
    let model = shell();
    let mut control = Loop::new(&model, &DmcConfig { horizon: 140, moves: 30, ..tuned(&model) });
    control.scene.u_hi = vec![0.05; 5];
    control.scene.cv_hi = vec![0.5; 7];
    control.run(2, &[0.0; 7]);
    for k in 0..20 {
        control.scene.setpoints[0] = Some(f64::from(k % 4));
        control.scene.y[3] = if k % 5 == 0 { f64::NAN } else { f64::from(k) * 0.1 };
        control.scene.cycle += 1;
        let scene = &control.scene;
        let controller = &mut control.controller;
        let counted = allocation_counter::measure(|| {
            assert_eq!(controller.step(&scene.input(), &|| false).mpc.status, SolveStatus::Solved);
        });
        assert_eq!(counted.count_total, 0, "cycle {k}");
    }
}

#[test]
fn cycles_without_a_step_are_made_up_for() {
    // The inputs rest in the gap, so that nothing is lost but time.
    let model = tank();
    let [mut steady, mut gappy] = [(); 2].map(|()| Loop::new(&model, &tank_config()));
    for control in [&mut steady, &mut gappy] {
        control.scene.setpoints = vec![Some(2.0), Some(1.0)];
        control.run(8, &[0.0; 2]);
    }
    for gap in 0..12 {
        for (control, sees) in [(&mut steady, true), (&mut gappy, gap == 11)] {
            for cv in 0..2 {
                control.scene.y[cv] = control.plant.y(control.scene.cycle, cv);
            }
            if sees {
                control.controller.step(&control.scene.input(), &|| false);
            }
            control.moved();
        }
    }
    for cv in 0..2 {
        let pairs = steady.controller.prediction(cv).iter().zip(gappy.controller.prediction(cv));
        let apart = pairs.fold(0.0, |most: f64, (a, b)| most.max((a - b).abs()));
        assert!(apart < 1e-9, "{apart}");
    }
    gappy.scene.cycle += 1000;
    gappy.controller.step(&gappy.scene.input(), &|| false);
    let free = gappy.controller.prediction(0);
    assert!(free.iter().all(|y| (y - gappy.scene.y[0]).abs() < 1e-12), "after so long a gap, a new start");
}

#[test]
fn equal_histories_give_bit_equal_plans() {
    let run = || {
        let mut control = Loop::new(&shell(), &DmcConfig { horizon: 140, moves: 30, ..tuned(&shell()) });
        control.scene.setpoints = vec![Some(1.0), Some(-1.0), None, None, None, None, Some(0.5)];
        control.scene.du_max = vec![0.1; 5];
        control.run(30, &[0.1; 7])
    };
    assert_eq!(run(), run());
}

#[test]
fn a_configuration_that_does_not_fit_is_told() {
    let model = tank();
    let told = |change: fn(&mut DmcConfig)| {
        let mut config = tank_config();
        change(&mut config);
        DmcController::new(model.clone(), config).unwrap_err().to_string()
    };
    assert_eq!(told(|config| config.horizon = 101), "horizon is 101, expected 1 to 100");
    assert_eq!(told(|config| config.moves = 61), "moves is 61, expected 1 to 60");
    assert_eq!(told(|config| config.cv.truncate(1)), "cv is 1, expected 2 to 2");
    assert_eq!(told(|config| config.mv[1].move_weight = 0.0), "mv.move_weight[1] is 0, expected positive");
    assert_eq!(told(|config| config.cv[1].span = -1.0), "cv.span[1] is -1, expected positive");
    assert_eq!(
        told(|config| config.cv[0].soft_quadratic = 0.0),
        "cv.soft_quadratic[0] is 0, expected positive where there is a linear price"
    );
    assert_eq!(told(|config| config.cv[0].feedback.bias = 0.0), "cv.feedback.bias[0] is 0, expected above 0 to 1");
    let unaimed = |config: &mut DmcConfig| (config.targets, config.mv[0].rest_weight) = (false, 1.0);
    assert_eq!(told(unaimed), "mv.rest_weight[0] is 1, expected not negative, and 0 without targets");
}
