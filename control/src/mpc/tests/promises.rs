//! What the controller promises whatever it is given: bounds, rates, statuses, determinism, bounded allocation.

use std::cell::Cell;

use proptest::prelude::*;

use super::*;

fn controller(sqp_iterations: usize) -> Nmpc {
    Nmpc::new(model("cstr4"), cstr4_config(20, sqp_iterations)).unwrap()
}

/// Every move of the plan inside its limits, or on its way back at full rate, and within the rate.
fn assert_feasible(plan: &Plan, scene: &Scene) {
    let mut before = scene.u_prev.clone();
    for u in &plan.u {
        for i in 0..u.len() {
            let (lo, hi, du) = (scene.u_lo[i], scene.u_hi[i], scene.du_max[i]);
            assert!((u[i] - before[i]).abs() <= du, "move from {} to {} exceeds {du}", before[i], u[i]);
            let returning = (before[i] < lo && u[i] >= before[i]) || (before[i] > hi && u[i] <= before[i]);
            assert!((lo..=hi).contains(&u[i]) || returning, "{} outside [{lo}, {hi}]", u[i]);
        }
        before = u.to_vec();
    }
}

fn scenes() -> impl Strategy<Value = Scene> {
    let state = (0.1..3.0, 0.1..1.5, 90.0..150.0, 90.0..150.0);
    let inputs = (0.0..110.0, -9000.0..500.0, 0.0..30.0, 0.0..3000.0);
    let limits = (5.0..50.0, 0.0..50.0, -8500.0..-4000.0, 0.0..4000.0);
    (state, inputs, limits, 0.2..1.5).prop_map(|(x, u, limits, target)| Scene {
        x: vec![x.0, x.1, x.2, x.3],
        u_prev: vec![u.0, u.1],
        du_max: vec![u.2, u.3],
        u_lo: vec![limits.0, limits.2],
        u_hi: vec![limits.0 + limits.1, limits.2 + limits.3],
        setpoints: vec![Some(target), None, Some(130.0)],
        ..cstr4_scene()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hard_limits_and_rates_hold_for_any_input(scene in scenes(), next in scenes()) {
        let mut controller = controller(1);
        for scene in [Scene { cycle: 5, ..scene }, Scene { cycle: 6, ..next }] {
            let outcome = controller.solve(&scene.input(), &in_time);
            prop_assert_eq!(outcome.plan.is_some(), outcome.status.is_usable());
            prop_assert!(outcome.status.is_usable(), "{:?}", outcome);
            assert_feasible(&outcome.plan.unwrap(), &scene);
        }
    }
}

/// Negative control of the projection: the solver alone misses a bound by its rounding.
#[test]
fn without_the_projection_a_bound_is_missed() {
    let config = MpcConfig { solver: Solver::ActiveSet, ..cstr4_config(20, 1) };
    let mut controller = Nmpc::new(model("cstr4"), config).unwrap();
    let scene = Scene { setpoints: vec![Some(1.5), None, None], ..cstr4_scene() };
    let input = scene.input();
    controller.reach.update(&input.limits());
    controller.start(&input, Start::Simulated);
    let mut outcome = MpcOutcome::without_plan(SolveStatus::NotRun);
    assert!(controller.iterate(&input, &in_time, (1, Done::Nothing, &mut outcome)).is_usable());
    let mut raw = controller.trajectory.u.clone();
    let outside = |u: &[f64]| {
        let moves = std::iter::once((u[0], 18.0)).chain(u.windows(3).step_by(2).map(|w| (w[2], w[0])));
        u.chunks(2).any(|u| !(5.0..=100.0).contains(&u[0]) || !(-8500.0..=0.0).contains(&u[1]))
            || moves.into_iter().any(|(to, from)| (to - from).abs() > 20.0)
    };
    assert!(outside(&raw), "{raw:?}");
    controller.reach.project(&mut raw, &input.limits());
    assert!(!outside(&raw), "{raw:?}");
}

#[test]
fn an_input_outside_its_limits_returns_at_full_rate() {
    let mut controller = controller(1);
    let mut scene = Scene { u_prev: vec![18.0, -4500.0], u_lo: vec![75.0, -8500.0], ..cstr4_scene() };
    let plant = Integrator::rk4(model("cstr4"));
    let mut seen = Vec::new();
    for _ in 0..4 {
        let plan = controller.solve(&scene.input(), &in_time).plan.unwrap();
        assert_feasible(&plan, &scene);
        seen.push(plan.u[0][0]);
        scene.advance(&plant, &plan.u[0], 18.0);
    }
    assert_eq!(&seen[..2], &[38.0, 58.0]);
    assert!(seen[2] >= 75.0 && seen[3] >= 75.0, "{seen:?}");
}

/// A state that a linearisation sends beyond its envelope would take the next linearisation to where the model is none;
/// the inputs answer in full all the same.
#[test]
fn a_prediction_is_cut_at_half_an_envelope_and_the_inputs_are_not() {
    let mut controller = controller(1);
    let scene = cstr4_scene();
    controller.start(&scene.input(), Start::Simulated);
    let trajectory = &mut controller.trajectory;
    // Stages of [ξ; υ], six numbers each: every input moves by a span, one state of stage 3 by five.
    let (u, x) = (trajectory.u.clone(), trajectory.x_at(3)[2]);
    let mut z = [0.0, 0.0, 0.0, 0.0, 1.0, 1.0].repeat(21);
    z[3 * 6 + 2] = 5.0;
    trajectory.correct(&z);
    assert!(trajectory.is_cut() && (trajectory.x_at(3)[2] - x - 0.5 * 110.0).abs() < 1e-9);
    assert!(trajectory.u.iter().zip(&u).step_by(2).all(|(after, before)| (after - before - 20.0).abs() < 1e-9));
    z[3 * 6 + 2] = 0.25;
    trajectory.correct(&z);
    assert!(!trajectory.is_cut());
}

#[test]
fn a_pinned_input_stays_where_it_is() {
    let mut controller = controller(1);
    let mut scene = cstr4_scene();
    scene.u_lo[0] = 18.0;
    scene.u_hi[0] = 18.0;
    scene.du_max[1] = 0.0;
    let outcome = controller.solve(&scene.input(), &in_time);
    assert_eq!(outcome.status, SolveStatus::Solved, "{outcome:?}");
    assert!(outcome.plan.unwrap().u.iter().all(|u| u[..] == [18.0, -4500.0]));
}

#[test]
fn absent_limits_are_accepted() {
    let mut controller = controller(1);
    let mut scene = cstr4_scene();
    scene.u_lo = vec![f64::NEG_INFINITY; 2];
    scene.u_hi = vec![f64::INFINITY; 2];
    scene.du_max = vec![f64::INFINITY; 2];
    scene.cv_hi = vec![f64::INFINITY; 3];
    let outcome = controller.solve(&scene.input(), &in_time);
    assert_eq!(outcome.status, SolveStatus::Solved, "{outcome:?}");
}

#[test]
fn what_cannot_be_solved_is_bad_input() {
    type Spoil = fn(&mut Scene);
    let table: [(&str, Spoil); 14] = [
        ("NaN state", |s| s.x[2] = f64::NAN),
        ("infinite state", |s| s.x[2] = f64::INFINITY),
        ("short state", |s| s.x.truncate(3)),
        ("NaN disturbance", |s| s.p[0] = f64::NAN),
        ("NaN output disturbance", |s| s.d[0] = f64::NAN),
        ("NaN last input", |s| s.u_prev[1] = f64::NAN),
        ("NaN set-point", |s| s.setpoints[0] = Some(f64::NAN)),
        ("missing set-point", |s| s.setpoints.truncate(2)),
        ("input limits crossed", |s| s.u_lo[0] = 101.0),
        ("output limits crossed", |s| (s.cv_lo[1], s.cv_hi[1]) = (141.0, 140.0)),
        ("NaN limit", |s| s.u_hi[0] = f64::NAN),
        ("NaN output limit", |s| s.cv_hi[1] = f64::NAN),
        ("negative rate", |s| s.du_max[0] = -1.0),
        ("NaN rate", |s| s.du_max[0] = f64::NAN),
    ];
    for (what, spoil) in table {
        let mut controller = controller(1);
        let mut scene = cstr4_scene();
        spoil(&mut scene);
        let outcome = controller.solve(&scene.input(), &in_time);
        assert_eq!((outcome.status, outcome.plan), (SolveStatus::BadInput, None), "{what}");
        // Negative control: the same controller solves the same scene unspoilt.
        assert_eq!(controller.solve(&cstr4_scene().input(), &in_time).status, SolveStatus::Solved, "{what}");
    }
}

#[test]
fn bad_input_leaves_the_warm_start_alone() {
    let (mut disturbed, mut calm) = (controller(1), controller(1));
    let mut scene = cstr4_scene();
    for controller in [&mut disturbed, &mut calm] {
        controller.solve(&scene.input(), &in_time);
    }
    scene.cycle += 1;
    let bad = Scene { x: vec![f64::NAN; 4], ..scene.clone() };
    assert_eq!(disturbed.solve(&bad.input(), &in_time).status, SolveStatus::BadInput);
    assert_eq!(disturbed.solve(&scene.input(), &in_time), calm.solve(&scene.input(), &in_time));
}

#[test]
fn a_late_solve_gives_no_plan() {
    let mut controller = controller(1);
    let scene = cstr4_scene();
    let outcome = controller.solve(&scene.input(), &|| true);
    assert_eq!((outcome.status, outcome.plan, outcome.iterations), (SolveStatus::TimeLimit, None, 0));
}

#[test]
fn a_deadline_is_seen_within_the_interior_point_iterations() {
    let mut controller = controller(1);
    let scene = cstr4_scene();
    let needed = controller.solve(&scene.input(), &in_time).iterations;
    controller.reset();
    let asked = Cell::new(0);
    let after_four = || asked.replace(asked.get() + 1) >= 4;
    let outcome = controller.solve(&scene.input(), &after_four);
    assert_eq!((outcome.status, outcome.plan), (SolveStatus::TimeLimit, None));
    assert!(outcome.iterations < needed && asked.get() == 5, "{outcome:?}");
    // The next solve, in time, is not harmed.
    let next = Scene { cycle: scene.cycle + 1, ..scene };
    assert_eq!(controller.solve(&next.input(), &in_time).status, SolveStatus::Solved);
}

#[test]
fn soft_limits_that_cannot_be_kept_still_give_a_plan() {
    let mut controller = controller(1);
    let mut scene = cstr4_scene();
    scene.cv_hi = vec![f64::INFINITY, 60.0, 60.0];
    let outcome = controller.solve(&scene.input(), &in_time);
    assert!(outcome.status.is_usable(), "{outcome:?}");
    let plan = outcome.plan.unwrap();
    assert_feasible(&plan, &scene);
    assert!(plan.cv_next.iter().chain(&plan.cv_end).all(|y| y.is_finite()) && plan.cost.is_finite());
    assert!(plan.u[0][1] < -4500.0, "it cools as it can: {:?}", plan.u[0]);
}

#[test]
fn equal_histories_give_bit_equal_plans() {
    let run = || {
        let mut controller = controller(1);
        let plant = Integrator::rk4(model("cstr4"));
        let mut scene = cstr4_scene();
        let mut seen = Vec::new();
        for _ in 0..20 {
            let outcome = controller.solve(&scene.input(), &in_time);
            seen.push((format!("{outcome:?}"), outcome.plan.unwrap().cost.to_bits()));
            scene.advance(&plant, &outcome.plan.unwrap().u[0], 18.0);
        }
        seen
    };
    assert_eq!(run(), run());
}

#[test]
fn a_gap_longer_than_the_horizon_starts_anew() {
    let (mut gapped, mut fresh) = (controller(1), controller(1));
    let mut scene = cstr4_scene();
    gapped.solve(&scene.input(), &in_time);
    scene.cycle += 20;
    let after_gap = gapped.solve(&scene.input(), &in_time);
    assert_eq!(after_gap.plan, fresh.solve(&scene.input(), &in_time).plan);
    scene.cycle += 5;
    assert_eq!(gapped.solve(&scene.input(), &in_time).status, SolveStatus::Solved, "a short gap is shifted over");
    gapped.reset();
    fresh.reset();
    scene.cycle -= 3;
    assert_eq!(gapped.solve(&scene.input(), &in_time).plan, fresh.solve(&scene.input(), &in_time).plan);
}

#[test]
fn a_later_solve_does_not_allocate() {
    let mut controller = controller(1);
    let plant = Integrator::rk4(model("cstr4"));
    let mut scene = cstr4_scene();
    for cycle in 0..20 {
        let mut plan = None;
        let input = scene.input();
        let counted = allocation_counter::measure(|| {
            controller.prepare(&input, &in_time);
            plan = controller.solve(&input, &in_time).plan;
        });
        if cycle == 19 {
            println!("allocations of one solve: {} ({} bytes)", counted.count_total, counted.bytes_total);
        }
        assert!(cycle == 0 || counted.count_total == 0, "cycle {cycle}: {counted:?}");
        scene.advance(&plant, &plan.unwrap().u[0], 18.0);
    }
}

#[test]
fn a_plan_is_as_long_as_its_horizon_allows() {
    for (horizon, moves) in [(5, 5), (16, 16), (30, PLAN_MOVES)] {
        let mut controller = Nmpc::new(model("cstr4"), cstr4_config(horizon, 1)).unwrap();
        let scene = cstr4_scene();
        let plan = controller.solve(&scene.input(), &in_time).plan.unwrap();
        assert_eq!((plan.u.len(), plan.cycle, plan.computed_at), (moves, scene.cycle, scene.input().now));
    }
}

#[test]
fn a_configuration_that_does_not_fit_is_refused() {
    type Spoil = fn(&mut MpcConfig);
    type Expected = fn(&MpcError) -> bool;
    let table: [(Spoil, Expected); 10] = [
        (|c| c.horizon = 0, |e| matches!(e, MpcError::Horizon { .. })),
        (|c| c.blocks = vec![1; 19], |e| matches!(e, MpcError::Blocks { .. })),
        (|c| c.blocks = vec![20, 0], |e| matches!(e, MpcError::Blocks { .. })),
        (|c| c.mv.truncate(1), |e| matches!(e, MpcError::Count { key: "mv", .. })),
        (|c| c.cv.clear(), |e| matches!(e, MpcError::Count { key: "cv", .. })),
        (|c| c.substeps = 0, |e| matches!(e, MpcError::Count { key: "substeps", .. })),
        (|c| c.cv[1].output = 0, |e| matches!(e, MpcError::Index { position: 1, index: 0, .. })),
        (|c| c.cv[1].output = 3, |e| matches!(e, MpcError::Index { bound: 3, .. })),
        (|c| c.cv[0].span = 0.0, |e| matches!(e, MpcError::Number { key: "cv.span", .. })),
        (|c| c.mv[1].move_weight = f64::NAN, |e| matches!(e, MpcError::Number { key: "mv.move_weight", .. })),
    ];
    for (spoil, expected) in table {
        let mut config = cstr4_config(20, 1);
        spoil(&mut config);
        let error = Nmpc::new(model("cstr4"), config).unwrap_err();
        assert!(expected(&error), "{error}");
    }
}

/// What crosses a slot or a thread may.
#[test]
fn outcomes_are_copied_and_controllers_sent() {
    fn copied<T: Copy + Send + Sync + 'static>() {}
    fn sent<T: Send + 'static>() {}
    copied::<MpcOutcome>();
    sent::<Nmpc>();
}
