//! What may be asked of the controller beyond set-points: two phases, funnels, ranks, prices, rest values, the
//! regulator's terminal cost; and what it does when a cycle goes wrong.

use plant_models::steady_state;

use super::*;

/// The states and inputs that a nominal cstr4 ends at after so many periods.
fn end_of(config: MpcConfig, mut scene: Scene, periods: usize) -> (Scene, Plan) {
    let mut controller = Nmpc::new(model("cstr4"), config).unwrap();
    let plant = Integrator::rk4(model("cstr4"));
    let mut last = None;
    for _ in 0..periods {
        let plan = controller.solve(&scene.input(), &in_time).plan.unwrap();
        scene.advance(&plant, &plan.u[0], 18.0);
        last = Some(plan);
    }
    (scene, last.unwrap())
}

#[test]
fn a_plan_does_not_depend_on_whether_there_was_a_preparation() {
    for solver in [Solver::ActiveSet, Solver::InteriorPoint] {
        let config = MpcConfig { solver, ..cstr4_config(20, 1) };
        let (mut prepared, mut plain) =
            (Nmpc::new(model("cstr4"), config.clone()).unwrap(), Nmpc::new(model("cstr4"), config).unwrap());
        let plant = Integrator::rk4(model("cstr4"));
        let mut scene = cstr4_scene();
        for step in 0..60 {
            // What the preparation believes turns out wrong now and then: the feed, the target, a limit.
            let believed = Scene { cycle: scene.cycle, ..scene.clone() };
            match step {
                20 => scene.p[0] = 4.6,
                30 => scene.setpoints[0] = Some(0.9),
                40 => scene.cv_hi[1] = 136.0,
                50 => scene.u_lo[0] = scene.u_prev[0] + 3.0,
                _ => {}
            }
            prepared.prepare(&believed.input(), &in_time);
            let (with, without) = (prepared.solve(&scene.input(), &in_time), plain.solve(&scene.input(), &in_time));
            let (u, expected) = (with.plan.unwrap().u[0], without.plan.unwrap().u[0]);
            for (i, span) in [20.0, 2000.0].into_iter().enumerate() {
                let gap = (u[i] - expected[i]).abs() / span;
                assert!(gap < 1e-6, "step {step}, {solver:?}: {u:?} {expected:?}");
            }
            scene.advance(&plant, &with.plan.unwrap().u[0], 18.0);
        }
    }
}

#[test]
fn a_preparation_without_a_plan_or_of_nonsense_changes_nothing() {
    let (mut prepared, mut plain) = (controller(), controller());
    let scene = cstr4_scene();
    prepared.prepare(&scene.input(), &in_time);
    assert_eq!(prepared.solve(&scene.input(), &in_time), plain.solve(&scene.input(), &in_time));
    let next = Scene { cycle: 2, ..scene };
    prepared.prepare(&Scene { d: vec![f64::NAN; 3], ..next.clone() }.input(), &in_time);
    assert_eq!(prepared.solve(&next.input(), &in_time), plain.solve(&next.input(), &in_time));
}

fn controller() -> Nmpc {
    Nmpc::new(model("cstr4"), cstr4_config(20, 1)).unwrap()
}

#[test]
fn a_funnel_brings_a_cv_back_at_its_own_pace() {
    let after = |funnel_periods: f64, periods: usize| {
        let mut config = cstr4_config(20, 1);
        config.cv[1].funnel_periods = funnel_periods;
        let mut scene = cstr4_scene();
        scene.cv_hi[1] = 125.0;
        end_of(config, scene, periods).0.x[2]
    };
    let (at_once, slowly) = (after(0.0, 15), after(30.0, 15));
    println!("reactor after 15 periods: {at_once:.2} at once, {slowly:.2} by the funnel");
    assert!(slowly > at_once + 1.0, "{slowly} {at_once}");
    assert!(after(30.0, 300) < 125.1, "it arrives all the same");
}

/// Cooling goes from the reactor to the jacket, so at rest the jacket is the colder one: it cannot be above 125 °C while
/// the reactor is below 120 °C.
#[test]
fn contradictory_limits_are_given_up_by_rank_and_told() {
    let contest = |ranks: [u8; 2]| {
        let mut config = cstr4_config(20, 1);
        config.cv[1].rank = ranks[0];
        config.cv[2].rank = ranks[1];
        let mut scene = cstr4_scene();
        scene.setpoints[0] = None;
        scene.cv_hi = vec![f64::INFINITY, 120.0, f64::INFINITY];
        scene.cv_lo[2] = 125.0;
        let (scene, plan) = end_of(config, scene, 200);
        println!("ranks {ranks:?}: reactor {:.3}, jacket {:.3}, given up {:?}", scene.x[2], scene.x[3], plan.given_up);
        (scene.x[2], scene.x[3], plan.given_up.to_vec())
    };
    let (reactor, _, given_up) = contest([0, 1]);
    assert!(reactor < 120.05, "{reactor}");
    assert_eq!(given_up, [false, false, true]);
    let (_, jacket, given_up) = contest([1, 0]);
    assert!(jacket > 124.95, "{jacket}");
    assert_eq!(given_up, [false, true, false]);
    // Negative control: with one rank the prices decide, neither limit is kept, and nothing is said to be given up.
    let (reactor, jacket, given_up) = contest([0, 0]);
    assert!(reactor > 120.5 || jacket < 124.5, "{reactor} {jacket}");
    assert_eq!(given_up, [false; 3]);
}

/// The most CB that any inputs give at rest with both temperatures below 140 °C, by scanning them.
fn best_cb() -> f64 {
    let mut best = 0.0_f64;
    for f in 5..=100 {
        for qdot in (-8500..=0).step_by(100) {
            let u = [f64::from(f), f64::from(qdot)];
            let Ok(x) = steady_state(model("cstr4"), &u, &[5.1], &[1.2, 0.9, 134.0, 129.0]) else { continue };
            if x[2] <= 140.0 && x[3] <= 140.0 {
                best = best.max(x[1]);
            }
        }
    }
    best
}

#[test]
fn a_price_drives_the_plant_to_its_economic_optimum() {
    let priced = |price| {
        let mut config = cstr4_config(20, 1);
        config.cv[0] = CvTuning { span: 0.1, price, ..CvTuning::default() };
        config.mv.iter_mut().for_each(|mv| (mv.target_weight, mv.terminal_target_weight) = (0.1, 1.0));
        config
    };
    let scene = Scene { setpoints: vec![None; 3], ..cstr4_scene() };
    let (end, _) = end_of(priced(-1.0), scene.clone(), 200);
    let best = best_cb();
    println!("CB for a price: {:.4} mol/L, best by scan {best:.4}", end.x[1]);
    assert!((end.x[1] / best - 1.0).abs() < 5e-3, "{:?}", end.x);
    // Negative control: without the price there is nothing to move for.
    assert!(end_of(priced(0.0), scene, 200).0.x[1] < 0.95 * best);
}

#[test]
fn an_mv_comes_to_rest_where_the_cvs_leave_it_the_choice() {
    let end = |rest| {
        let mut config = cstr4_config(20, 1);
        config.mv[0].target_weight = 0.1;
        config.mv[0].terminal_target_weight = 0.1;
        let scene = Scene { mv_targets: vec![rest, None], ..cstr4_scene() };
        end_of(config, scene, 400).0
    };
    for rest in [7.0, 11.0] {
        let scene = end(Some(rest));
        println!("rest at {rest}: F {:.3}, CB {:.5}", scene.u_prev[0], scene.x[1]);
        assert!((scene.u_prev[0] - rest).abs() < 0.05 && (scene.x[1] - 0.6).abs() < 1e-3, "{scene:?}");
    }
    let free = end(None).u_prev[0];
    assert!((free - 7.0).abs() > 0.5 && (free - 11.0).abs() > 0.5, "negative control: {free}");
}

/// The cost of 60 periods at the unstable state of cstr2, which begins 3 K too cold, by the benchmark's weights.
fn regulation_cost(config: MpcConfig) -> f64 {
    let mut controller = Nmpc::new(model("cstr2"), config).unwrap();
    let plant = Integrator::rk4(model("cstr2"));
    let (mut scene, mut cost) = (cstr2_scene(), 0.0);
    scene.x = vec![0.5, 347.0];
    scene.u_prev = vec![300.0];
    for _ in 0..60 {
        let plan = controller.solve(&scene.input(), &in_time).plan;
        let u = plan.map_or_else(|| scene.u_prev.clone(), |plan| plan.u[0].to_vec());
        cost += 100.0 * (scene.x[0] - 0.5).powi(2) + 0.01 * (scene.x[1] - 350.0).powi(2);
        cost += 0.001 * (scene.u_prev[0] - 300.0).powi(2) + 0.02 * (u[0] - scene.u_prev[0]).powi(2);
        scene.advance(&plant, &u, 6.0);
    }
    cost
}

#[test]
fn the_regulators_terminal_cost_makes_a_short_horizon_act_like_a_long_one() {
    let cost = |horizon, terminal_lqr| {
        let mut config = MpcConfig { terminal_lqr, ..cstr2_config(horizon) };
        config.cv.iter_mut().for_each(|cv| cv.terminal_weight = cv.weight);
        config.mv[0].terminal_target_weight = config.mv[0].target_weight;
        regulation_cost(config)
    };
    let (long, short, short_with) = (cost(60, false), cost(5, false), cost(5, true));
    println!("regulation: N=60 {long:.3}, N=5 {short:.3}, N=5 with the regulator's cost {short_with:.3}");
    assert!((short_with - long).abs() < 0.2 * (short - long).abs(), "{long} {short} {short_with}");
}

#[test]
fn a_stiff_model_is_controlled_by_the_implicit_method() {
    let stiff = plant_models::Cstr4 { coolant_mass: 5e-3, ..plant_models::Cstr4::NOMINAL };
    let stiff: &'static dyn PlantModel = Box::leak(Box::new(stiff));
    let end = |method| {
        let mut controller = Nmpc::new(stiff, MpcConfig { method, ..cstr4_config(20, 1) })?;
        let plant = Integrator::new(stiff, Method::Sdirk3);
        let mut scene = cstr4_scene();
        for _ in 0..100 {
            let plan = controller.solve(&scene.input(), &in_time).plan;
            let u = plan.map_or_else(|| scene.u_prev.clone(), |plan| plan.u[0].to_vec());
            scene.advance(&plant, &u, 18.0);
        }
        Ok::<f64, MpcError>(scene.x[1])
    };
    let implicit = end(Method::Sdirk3).unwrap();
    assert!((implicit - 0.6).abs() < 1e-3, "{implicit}");
    // Negative control: by the explicit method there is no controller, or none that moves.
    assert!(end(Method::Rk4).map_or(true, |cb| (cb - 0.6).abs() > 0.1), "{:?}", end(Method::Rk4));
}

/// One wild estimate between sane ones: the cycle itself ends with a status, and the next plan is sound again.
#[test]
fn after_a_wild_cycle_the_second_sample_is_solved() {
    for wild in [vec![1e9, -1e9, 1e6, -1e6], vec![0.8, 0.5, -273.15, 130.0], vec![-1e300, 1e300, 1e300, -1e300]] {
        let mut controller = controller();
        let plant = Integrator::rk4(model("cstr4"));
        let mut scene = cstr4_scene();
        for step in 0..20 {
            let spoilt = Scene { x: wild.clone(), ..scene.clone() };
            let outcome = controller.solve(&if step == 10 { spoilt.input() } else { scene.input() }, &in_time);
            assert_eq!(outcome.plan.is_some(), outcome.status.is_usable());
            if step != 10 && step != 11 {
                assert_eq!(outcome.status, SolveStatus::Solved, "step {step} after {wild:?}");
            }
            if let Some(plan) = outcome.plan {
                assert!(plan.u.iter().flat_map(|u| u.iter()).all(|u| u.is_finite()));
            }
            let u = outcome.plan.filter(|_| step != 10).map_or(scene.u_prev.clone(), |plan| plan.u[0].to_vec());
            scene.advance(&plant, &u, 18.0);
        }
    }
}

/// A start of cstr2 near its extinguished state, and a target behind the ignition.
fn seeded_start(seed: u64) -> Scene {
    let mut state = seed;
    let mut uniform = |low: f64, high: f64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        low + (high - low) * ((state >> 11) as f64 / 9_007_199_254_740_992.0)
    };
    let mut scene = cstr2_scene();
    scene.x = vec![uniform(0.8, 0.95), uniform(318.0, 330.0)];
    scene.u_prev = vec![uniform(295.0, 305.0)];
    scene.p[1] = uniform(348.0, 352.0);
    scene
}

/// Steps without a plan, over so many seeded ignitions of 50 periods.
fn ignition_failures(horizon: usize, seeds: std::ops::Range<u64>) -> usize {
    let plant = Integrator::rk4(model("cstr2"));
    let mut controller = Nmpc::new(model("cstr2"), cstr2_config(horizon)).unwrap();
    let mut failures = 0;
    for seed in seeds {
        controller.reset();
        let mut scene = seeded_start(seed);
        for _ in 0..50 {
            let outcome = controller.solve(&scene.input(), &in_time);
            if outcome.plan.is_none() {
                println!(
                    "N={horizon}, seed {seed}, step {}: {:?}, residual {:e}",
                    scene.cycle, outcome.status, outcome.kkt_residual
                );
                failures += 1;
            }
            let u = outcome.plan.map_or_else(|| scene.u_prev.clone(), |plan| plan.u[0].to_vec());
            scene.advance(&plant, &u, 6.0);
        }
    }
    failures
}

#[test]
fn seeded_ignitions_are_all_solved() {
    assert_eq!([ignition_failures(20, 0..100), ignition_failures(60, 0..30)], [0, 0]);
}

/// Seed 31 begins so near to ignition that its input, held, ignites it: a first guess by simulation runs through the
/// steepest part of the model, and the programme about it is worth nothing.
#[test]
fn a_start_that_ignites_by_itself_is_solved_at_once() {
    assert_eq!(ignition_failures(20, 31..32), 0);
}

/// Each of these ran away when the prediction leapt over the front of the ignition: the plan went by a shortcut that the
/// plant does not have.
#[test]
fn starts_whose_plans_went_through_the_front_are_solved() {
    for seed in [101, 4377, 7278] {
        assert_eq!(ignition_failures(60, seed..seed + 1), 0, "seed {seed}");
    }
    assert_eq!(ignition_failures(20, 1078..1079), 0);
}

/// `cargo test --release -p control -- --ignored ten_thousand`.
#[test]
#[ignore = "a minute or two in release"]
fn ten_thousand_seeded_ignitions_are_all_solved() {
    assert_eq!([ignition_failures(20, 0..10_000), ignition_failures(60, 0..10_000)], [0, 0]);
}
