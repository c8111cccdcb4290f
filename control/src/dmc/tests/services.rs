//! Variables that leave service and return.

use super::*;

fn at_rest() -> Loop {
    let model = wood_berry();
    let mut control = Loop::new(&model, &tuned(&model));
    control.scene.setpoints = vec![Some(1.0), Some(-0.5)];
    control.run(400, &[0.0; 2]);
    control
}

fn set(control: &mut Loop, cv: [bool; 2], mv: [bool; 2]) {
    let services = Services { cv: cv.to_vec(), mv: mv.to_vec(), dv: vec![] };
    control.controller.set_services(services).unwrap();
}

/// The inputs move to `u` by hand, the plant runs on for so many cycles, the controller watches.
fn by_hand(control: &mut Loop, u: [Option<f64>; 2], cycles: usize) {
    for _ in 0..cycles {
        for cv in 0..2 {
            control.scene.y[cv] = control.plant.y(control.scene.cycle, cv);
        }
        let outcome = control.controller.step(&control.scene.input(), &|| false);
        let planned = outcome.mpc.plan.unwrap().u[0];
        for (j, by_hand) in u.iter().enumerate() {
            control.scene.u_prev[j] = by_hand.unwrap_or(planned[j]);
        }
        control.moved();
    }
}

/// Greatest first move of the next step.
fn bump(control: &mut Loop) -> f64 {
    let before = control.scene.u_prev.clone();
    control.step(&[0.0; 2]);
    control.scene.u_prev.iter().zip(&before).fold(0.0, |most: f64, (u, before)| most.max((u - before).abs()))
}

#[test]
fn an_mv_out_of_service_is_not_moved() {
    let mut control = at_rest();
    set(&mut control, [true; 2], [true, false]);
    control.scene.setpoints[0] = Some(1.5);
    let held = control.scene.u_prev[1];
    for _ in 0..30 {
        let plan = control.step(&[0.0; 2]).mpc.plan.unwrap();
        assert!(plan.u.iter().all(|u| u[1].to_bits() == held.to_bits()));
    }
    // One input for two set-points: something had to be given up, and the limits of the other MV do not matter.
    assert!(!control.outcome.unwrap().steady_state.given_up.is_empty());
    control.scene.u_hi[1] = held - 1.0;
    assert_eq!(control.step(&[0.0; 2]).mpc.status, SolveStatus::Solved);
    control.scene.u_prev[1] = f64::NAN;
    assert_eq!(control.controller.step(&control.scene.input(), &|| false).mpc.status, SolveStatus::Solved);
}

#[test]
fn what_others_do_with_an_mv_is_fed_forward() {
    let mut control = at_rest();
    set(&mut control, [true; 2], [true, false]);
    let moved = control.scene.u_prev[1] + 0.1;
    by_hand(&mut control, [None, Some(moved)], 2);
    // The dead time is not over: nothing is measured yet, and the prediction knows.
    assert!(control.scene.y.iter().zip([1.0, -0.5]).all(|(y, rest)| (y - rest).abs() < 1e-6), "{:?}", control.scene.y);
    let end = control.controller.prediction(1)[120];
    let expected = -0.5 - 19.4 * 0.1;
    assert!((end - expected).abs() < 0.8, "{end}, about {expected} but for the other MV's answer");
    for _ in 0..60 {
        by_hand(&mut control, [None, Some(moved)], 1);
        let innovation = control.controller.prediction(1)[0] - control.scene.y[1];
        assert!(innovation.abs() < 1e-9, "no surprise: {innovation}");
    }
}

#[test]
fn an_mv_returns_without_a_bump() {
    let mut control = at_rest();
    set(&mut control, [true; 2], [true, false]);
    let moved = control.scene.u_prev[1] + 0.1;
    by_hand(&mut control, [None, Some(moved)], 10);
    by_hand(&mut control, [None, Some(moved - 0.1)], 300);
    set(&mut control, [true; 2], [true; 2]);
    let with = bump(&mut control);
    assert!(with < 1e-6, "{with}");

    // Negative control: a controller that was not told of the hand's moves believes in them when it is.
    let mut control = at_rest();
    set(&mut control, [true; 2], [true, false]);
    let known = control.scene.u_prev.clone();
    for k in 0..310 {
        for cv in 0..2 {
            control.scene.y[cv] = control.plant.y(control.scene.cycle, cv);
        }
        let told = Scene { u_prev: known.clone(), ..control.scene.clone() };
        control.controller.step(&told.input(), &|| false);
        control.scene.u_prev[1] = if k < 10 { known[1] + 0.1 } else { known[1] + 0.05 };
        control.moved();
    }
    set(&mut control, [true; 2], [true; 2]);
    let without = bump(&mut control);
    assert!(without > 1e-3, "{without}");
}

#[test]
fn a_cv_returns_without_a_bump() {
    let run = |watched: bool| {
        let mut control = at_rest();
        set(&mut control, [true, false], [true; 2]);
        // While the second CV is out, the first one goes elsewhere and takes it along.
        control.scene.setpoints[0] = Some(1.4);
        control.run(400, &[0.0; 2]);
        let rest = control.plant.y(control.scene.cycle, 1);
        assert!((rest + 0.5).abs() > 0.05, "it has gone away: {rest}");
        control.scene.setpoints[1] = Some(rest);
        if !watched {
            // Negative control: a prediction that stood still while the CV was out. The jump is its first innovation.
            let stale = at_rest();
            let mut scene = control.scene.clone();
            control.controller = stale.controller;
            let u = scene.u_prev.clone();
            scene.u_prev = stale.scene.u_prev;
            scene.cycle = stale.scene.cycle;
            (control.scene.cycle, control.plant.moves) = (scene.cycle, vec![]);
            control.scene.u_prev = u;
            control.plant.inputs = vec![0.0; 2];
            control.plant.put(0, 0, control.scene.u_prev[0]);
            control.plant.put(0, 1, control.scene.u_prev[1]);
        }
        set(&mut control, [true; 2], [true; 2]);
        bump(&mut control)
    };
    let (with, without) = (run(true), run(false));
    assert!(with < 1e-6, "{with}");
    assert!(without > 1e-3, "{without}");
}

#[test]
fn a_cv_out_of_service_weighs_nothing() {
    let mut control = at_rest();
    set(&mut control, [true, false], [true; 2]);
    control.scene.setpoints[1] = Some(100.0);
    control.scene.cv_hi[1] = -50.0;
    control.scene.cv_lo[1] = -60.0;
    let moved = bump(&mut control);
    assert!(moved < 1e-6, "{moved}");
    assert!(control.outcome.unwrap().steady_state.given_up.is_empty());
    set(&mut control, [true; 2], [true; 2]);
    assert!(bump(&mut control) > 1e-2, "in service it does");
}

#[test]
fn a_dv_returns_without_its_past() {
    let names = Names { cvs: vec!["y".into()], mvs: vec!["u".into()], dvs: vec!["d".into()] };
    let lag = |gain: f64| Transfer::Fopdt { gain, tau_s: 5.0, delay_s: 1.0 };
    let pairs = [Pair { cv: 0, input: 0, transfer: lag(1.0) }, Pair { cv: 0, input: 1, transfer: lag(2.0) }];
    let model = StepResponseModel::new(names, (1.0, 60), &pairs).unwrap();
    let mut control = Loop::new(&model, &DmcConfig { horizon: 40, moves: 8, ..tuned(&model) });
    let set = |control: &mut Loop, on: bool| {
        let services = Services { cv: vec![true], mv: vec![true], dv: vec![on] };
        control.controller.set_services(services).unwrap();
    };
    control.run(5, &[0.0]);
    set(&mut control, false);
    control.scene.dv = vec![1.0];
    control.run(200, &[0.0]);
    set(&mut control, true);
    let silent = bump_of_one(&mut control);
    assert!(silent < 1e-6, "{silent}");
    // Negative control: a change while in service is a move.
    control.scene.dv = vec![2.0];
    assert!(bump_of_one(&mut control) > 0.1);
}

fn bump_of_one(control: &mut Loop) -> f64 {
    let before = control.scene.u_prev[0];
    control.step(&[0.0]);
    (control.scene.u_prev[0] - before).abs()
}

#[test]
fn services_of_another_shape_are_refused() {
    let mut control = at_rest();
    let wrong = Services { cv: vec![true; 3], ..control.controller.services().clone() };
    let fault = control.controller.set_services(wrong).unwrap_err();
    assert_eq!(fault.to_string(), "services.cv: 3, expected 2");
    assert_eq!(control.controller.services().cv.len(), 2);
}
