//! What a hostile reader tried: upsets, deadlines, wishes out of reach, prices and spans of any size.

use super::*;

fn controller(config: MpcConfig) -> Nmpc {
    Nmpc::new(model("cstr4"), config).unwrap()
}

/// Runs the nominal plant for so many periods.
fn settle(controller: &mut Nmpc, scene: &mut Scene, periods: usize) -> Plan {
    let plant = Integrator::rk4(model("cstr4"));
    let mut last = None;
    for _ in 0..periods {
        let plan = controller.solve(&scene.input(), &in_time).plan.unwrap();
        scene.advance(&plant, &plan.u[0], 18.0);
        last = Some(plan);
    }
    last.unwrap()
}

#[test]
fn a_plan_that_was_cut_short_or_expects_nonsense_is_not_solved() {
    for (hotter, whole) in [(20.0, true), (70.0, false), (100.0, false), (1e4, false)] {
        let mut controller = controller(cstr4_config(20, 1));
        let mut scene = cstr4_scene();
        settle(&mut controller, &mut scene, 30);
        scene.x[2] += hotter;
        let outcome = controller.solve(&scene.input(), &in_time);
        assert_eq!(outcome.status == SolveStatus::Solved, whole, "{hotter} K: {outcome:?}");
        if let Some(plan) = outcome.plan {
            assert!(hotter > 1e3 || plan.u[0][1] < scene.u_prev[1] - 1000.0, "{hotter} K: it cools: {:?}", plan.u[0]);
            assert!(plan.cv_next.iter().chain(&plan.cv_end).all(|y| y.is_finite()), "{hotter} K: {plan:?}");
        }
    }
}

/// The solve after one that its deadline cut short on the way from a simulation is as good as a cold one.
#[test]
fn a_start_cut_short_by_its_deadline_is_no_plan_to_go_on_from() {
    for setpoint in [0.6, 0.8, 1.0] {
        let mut controller = controller(cstr4_config(20, 1));
        let mut scene = cstr4_scene();
        scene.x = vec![2.2, 1.0, 112.0, 109.0];
        scene.setpoints[0] = Some(setpoint);
        assert_eq!(controller.solve(&scene.input(), &|| true).status, SolveStatus::TimeLimit);
        let held = Held { u: &scene.u_prev, p: &scene.p, dt_s: 18.0, substeps: 20 };
        Integrator::rk4(model("cstr4")).step(&mut scene.x, &held);
        scene.cycle = 2;
        let after = controller.solve(&scene.input(), &in_time).plan.unwrap();
        controller.reset();
        let cold = controller.solve(&scene.input(), &in_time).plan.unwrap();
        println!("set-point {setpoint}: cost {:.2} after the deadline, {:.2} cold", after.cost, cold.cost);
        assert!(after.cost < 1.05 * cold.cost, "{setpoint}: {} {}", after.cost, cold.cost);
    }
}

#[test]
fn several_programmes_end_alike_with_and_without_a_preparation() {
    let config = MpcConfig { sqp_iterations: 3, ..cstr2_config(20) };
    let new = || Nmpc::new(model("cstr2"), config.clone()).unwrap();
    let (mut prepared, mut plain) = (new(), new());
    let plant = Integrator::rk4(model("cstr2"));
    let mut scene = cstr2_scene();
    for step in 0..80 {
        let believed = scene.clone();
        if step % 10 == 9 {
            scene.x[1] += if step % 20 == 9 { 2.0 } else { -2.0 };
        }
        prepared.prepare(&believed.input(), &in_time);
        let (with, without) = (prepared.solve(&scene.input(), &in_time), plain.solve(&scene.input(), &in_time));
        assert_eq!(with.plan.is_some(), without.plan.is_some(), "step {step}: {with:?} {without:?}");
        let (Some(with), Some(without)) = (with.plan, without.plan) else {
            scene.advance(&plant, &scene.u_prev.clone(), 6.0);
            continue;
        };
        assert!((with.u[0][0] - without.u[0][0]).abs() < 1e-5, "step {step}: {:?} {:?}", with.u[0], without.u[0]);
        scene.advance(&plant, &without.u[0], 6.0);
    }
}

#[test]
fn a_funnel_opens_in_the_cycle_of_the_upset() {
    let first_cooling = |funnel_periods: f64| {
        let mut config = cstr4_config(20, 1);
        config.cv[1].funnel_periods = funnel_periods;
        let mut controller = controller(config);
        let mut scene = cstr4_scene();
        settle(&mut controller, &mut scene, 60);
        scene.cv_hi[1] = scene.x[2] + 1.0;
        settle(&mut controller, &mut scene, 60);
        scene.x[2] += 6.0;
        controller.prepare(&scene.input(), &in_time);
        let plan = controller.solve(&scene.input(), &in_time).plan.unwrap();
        plan.u[0][1] - scene.u_prev[1]
    };
    let (at_once, slowly) = (first_cooling(0.0), first_cooling(30.0));
    println!("first move of the heat flow: {at_once:.0} kJ/h at once, {slowly:.0} by the funnel");
    assert!(slowly > at_once + 100.0, "{at_once} {slowly}");
}

/// The rank decides, whatever the spans are: the reactor's is a thousand times the jacket's.
#[test]
fn a_rank_is_not_sold_for_a_larger_span() {
    for span in [10.0, 1000.0] {
        let mut config = cstr4_config(20, 1);
        (config.cv[1].span, config.cv[2].span) = (span, 1.0);
        config.cv[2].rank = 1;
        let mut controller = controller(config);
        let mut scene = cstr4_scene();
        scene.setpoints[0] = None;
        scene.cv_hi = vec![f64::INFINITY, 120.0, f64::INFINITY];
        scene.cv_lo[2] = 125.0;
        let plan = settle(&mut controller, &mut scene, 200);
        let target = controller.target.as_ref().unwrap();
        println!("span {span}: reactor at rest {:.3}, given up {:?}", target.x[2], plan.given_up);
        assert!(target.x[2] < 120.1, "{}", target.x[2]);
        assert_eq!(plan.given_up[..], [false, false, true]);
    }
}

#[test]
fn a_limit_holds_against_any_price() {
    for price in [-1.0, -1e3, -1e5] {
        let mut config = cstr4_config(20, 1);
        config.cv[0] = CvTuning { span: 0.1, ..CvTuning::default() };
        config.cv[1].price = price;
        config.mv.iter_mut().for_each(|mv| (mv.target_weight, mv.terminal_target_weight) = (0.1, 1.0));
        let mut controller = controller(config);
        let mut scene = Scene { setpoints: vec![None; 3], ..cstr4_scene() };
        scene.cv_hi = vec![f64::INFINITY, 130.0, f64::INFINITY];
        settle(&mut controller, &mut scene, 300);
        println!("price {price}: reactor at {:.3}", scene.x[2]);
        assert!((scene.x[2] - 130.0).abs() < 0.5, "price {price}: {:?}", scene.x);
    }
}
