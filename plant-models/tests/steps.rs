//! The integrator against the specification's trajectories, an adaptive library integrator and finite differences;
//! steady states against closed forms.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]
#![allow(clippy::float_cmp, reason = "what must be bit-equal is compared so")]

use nalgebra::DMatrix;
use ode_solvers::dop_shared::OutputType;
use ode_solvers::{DVector, Dopri5, System};
use plant_models::{
    ALL, Cstr4, Held, Integrator, Method, PlantModel, QuadTank, RESIDUAL_MAX, Sensitivities, SteadyStateError, by_name,
    steady_state,
};
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn spec(model: &str) -> Value {
    serde_json::from_str::<Value>(include_str!("data/bench_spec.json")).unwrap()[model].clone()
}

fn nominal(variables: &[plant_models::Variable]) -> Vec<f64> {
    variables.iter().map(|v| v.nominal).collect()
}

fn assert_close(got: &[f64], want: &[f64], relative: f64) {
    assert_eq!(got.len(), want.len());
    for (got, want) in got.iter().zip(want) {
        assert!((got - want).abs() <= relative * want.abs().max(1.0), "{got} is not {want}");
    }
}

/// Expected values: the specification's plant (RK4, 20 sub-steps) run in Python, coolant raised by 5 K at step 10,
/// which ignites the reactor into its limit cycle.
#[test]
fn cstr2_ignites_as_the_specification_does() {
    let spec = spec("cstr2");
    let z0 = numbers(&spec["z0"]);
    let mut x = z0[..2].to_vec();
    let rk4 = Integrator::rk4(by_name("cstr2").unwrap());
    for k in 0..150 {
        let u = [z0[2] + if k >= 10 { 5.0 } else { 0.0 }];
        let dt_s = 60.0 * spec["Ts"].as_f64().unwrap();
        rk4.step(&mut x, &Held { u: &u, p: &[1.0, 350.0], dt_s, substeps: 20 });
        match k + 1 {
            20 => assert_close(&x, &[0.839_733_836_543_914_9, 332.463_497_533_854_4], 1e-10),
            50 => assert_close(&x, &[0.216_247_617_230_868_27, 365.111_857_545_689_13], 1e-9),
            100 => assert_close(&x, &[0.276_522_049_407_443_74, 364.931_857_615_216_36], 1e-9),
            150 => assert_close(&x, &[0.046_700_339_216_895_66, 395.276_925_923_923_3], 1e-9),
            _ => {}
        }
    }
}

/// Expected values: as above; flow and cooling change at step 50, the feed's concentration at step 100.
#[test]
fn cstr4_responds_as_the_specification_does() {
    let spec = spec("cstr4");
    let z0 = numbers(&spec["z0"]);
    let mut x = z0[..4].to_vec();
    let rk4 = Integrator::rk4(by_name("cstr4").unwrap());
    for k in 0..150 {
        let u = if k < 50 { [z0[4], z0[5]] } else { [z0[4] + 10.0, z0[5] - 1000.0] };
        let p = [if k < 100 { 5.1 } else { 4.6 }];
        let dt_s = 3600.0 * spec["Ts"].as_f64().unwrap();
        rk4.step(&mut x, &Held { u: &u, p: &p, dt_s, substeps: 20 });
        let want = match k + 1 {
            1 => [0.937_199_097_021_699, 0.541_468_695_339_523_2, 133.709_812_875_742_36, 129.545_436_998_256_92],
            50 => [1.216_624_053_141_922_6, 0.892_366_076_702_911_3, 133.745_483_410_413_44, 128.544_667_600_363_3],
            100 => [1.540_519_532_426_539_3, 1.013_018_195_878_962_6, 135.166_421_400_181_12, 128.818_540_535_383_2],
            150 => [1.501_060_069_742_611_5, 0.948_791_328_968_971_9, 133.281_324_018_591_16, 126.940_053_599_041_72],
            _ => continue,
        };
        assert_close(&x, &want, 1e-10);
    }
}

struct Adaptive {
    model: &'static dyn PlantModel,
    u: Vec<f64>,
    p: Vec<f64>,
}

impl System<f64, DVector<f64>> for Adaptive {
    fn system(&self, _t: f64, x: &DVector<f64>, dx: &mut DVector<f64>) {
        self.model.rhs(x.as_slice(), &self.u, &self.p, dx.as_mut_slice());
    }
}

#[test]
fn fine_steps_agree_with_an_adaptive_integrator() {
    for (name, x0, period_s, periods) in [
        ("cstr2", vec![0.6, 340.0], 6.0, 10),
        ("cstr4", vec![0.8, 0.5, 134.14, 130.0], 18.0, 20),
        ("quadtank", vec![5.0, 4.0, 3.0, 2.0], 5.0, 20),
    ] {
        let model = by_name(name).unwrap();
        let (u, p) = (nominal(model.card().inputs), nominal(model.card().disturbances));
        let mut x = x0.clone();
        let rk4 = Integrator::rk4(model);
        for _ in 0..periods {
            rk4.step(&mut x, &Held { u: &u, p: &p, dt_s: period_s, substeps: 100 });
        }
        let end = period_s * f64::from(periods) / model.card().time_unit_s;
        let system = Adaptive { model, u, p };
        let mut dopri5 = Dopri5::new(system, 0.0, end, end, DVector::from_vec(x0), 1e-12, 1e-12);
        dopri5.set_output(OutputType::Sparse);
        dopri5.integrate().unwrap();
        assert_close(&dopri5.x_out()[dopri5.x_out().len() - 1..], &[end], 1e-12);
        assert_close(&x, dopri5.y_out().last().unwrap().as_slice(), 1e-8);
    }
}

/// Halving the sub-step divides the error of a method of order four by 16, of order three by 8.
#[test]
fn the_methods_are_of_their_orders() {
    let model = by_name("cstr4").unwrap();
    let end = |method, substeps| {
        let mut x = vec![0.8, 0.5, 134.14, 130.0];
        let held = Held { u: &[60.0, -2000.0], p: &[5.1], dt_s: 36.0, substeps };
        Integrator::new(model, method).step(&mut x, &held);
        x[0]
    };
    let exact = end(Method::Rk4, 400);
    let ratio = |method, n| (end(method, n) - exact) / (end(method, 2 * n) - exact);
    let (rk4, sdirk3) = (ratio(Method::Rk4, 4), ratio(Method::Sdirk3, 32));
    assert!((12.0..20.0).contains(&rk4), "{rk4}");
    assert!((6.5..9.5).contains(&sdirk3), "{sdirk3}");
}

/// A jacket without mass answers at once: its mode is 10,000 times faster than the control period. The explicit method
/// blows up there (the negative control), the L-stable one does not.
#[test]
fn a_stiff_plant_needs_the_implicit_method() {
    let stiff = Cstr4 { coolant_mass: 5e-4, ..Cstr4::NOMINAL };
    let stiff: &'static Cstr4 = Box::leak(Box::new(stiff));
    let (u, p) = ([18.0, -4500.0], [5.1]);
    let at_rest = steady_state(&Cstr4::NOMINAL, &u, &p, &[1.2, 0.9, 134.0, 129.0]).unwrap();
    let end = |method| {
        let mut x = at_rest.clone();
        x[2] += 1.0;
        for _ in 0..200 {
            Integrator::new(stiff, method).step(&mut x, &Held { u: &u, p: &p, dt_s: 18.0, substeps: 2 });
        }
        x
    };
    assert_close(&end(Method::Sdirk3), &at_rest, 1e-6);
    assert!(end(Method::Rk4).iter().any(|x| !x.is_finite()), "{:?}", end(Method::Rk4));
}

#[test]
fn a_stage_that_cannot_be_solved_gives_nan() {
    let (u, p) = ([18.0, f64::NAN], [5.1]);
    let mut x = [0.8, 0.5, 134.14, 130.0];
    let held = Held { u: &u, p: &p, dt_s: 18.0, substeps: 1 };
    Integrator::new(by_name("cstr4").unwrap(), Method::Sdirk3).step(&mut x, &held);
    assert!(x.iter().any(|x| x.is_nan()), "{x:?}");
}

#[test]
fn sensitivities_are_the_derivatives_of_the_step() {
    for (name, x, u, dt_s) in [
        ("cstr2", vec![0.6, 345.0], vec![302.0], 6.0),
        ("cstr2", vec![0.3, 365.0], vec![295.0], 6.0),
        ("cstr4", vec![0.8, 0.5, 134.14, 130.0], vec![18.0, -4500.0], 18.0),
        ("cstr4", vec![2.0, 1.0, 110.0, 105.0], vec![80.0, -500.0], 18.0),
        ("quadtank", vec![12.4, 12.7, 1.8, 1.4], vec![3.0, 3.0], 5.0),
    ] {
        let model = by_name(name).unwrap();
        let card = model.card();
        let p = nominal(card.disturbances);
        let (nx, nu) = (x.len(), u.len());
        for rk4 in [Method::Rk4, Method::Sdirk3].map(|method| Integrator::new(model, method)) {
            let (mut ad, mut bd) = (DMatrix::from_element(nx, nx, f64::NAN), DMatrix::from_element(nx, nu, f64::NAN));
            let mut with = x.clone();
            let held = Held { u: &u, p: &p, dt_s, substeps: 2 };
            rk4.step_with_sensitivities(&mut with, &held, &mut ad, &mut bd);
            let mut without = x.clone();
            rk4.step(&mut without, &held);
            assert_close(&with, &without, 1e-12);

            let spans: Vec<f64> = card.states.iter().chain(card.inputs).map(|v| v.span()).collect();
            for j in 0..nx + nu {
                let h = 1e-6 * spans[j];
                let end_of = |sign: f64| {
                    let (mut x, mut u) = (x.clone(), u.clone());
                    *x.iter_mut().chain(u.iter_mut()).nth(j).unwrap() += sign * h;
                    rk4.step(&mut x, &Held { u: &u, ..held });
                    x
                };
                let (up, down) = (end_of(1.0), end_of(-1.0));
                for i in 0..nx {
                    let want = (up[i] - down[i]) / (2.0 * h) * spans[j] / spans[i];
                    let got = if j < nx { ad[(i, j)] } else { bd[(i, j - nx)] } * spans[j] / spans[i];
                    assert!((got - want).abs() < 1e-7, "{name} ({i}, {j}): {got} is not {want}");
                }
            }
        }
    }
}

#[test]
fn states_moved_together_end_where_each_ends_alone() {
    for model in ALL {
        let card = model.card();
        let (x, u, p) = (nominal(card.states), nominal(card.inputs), nominal(card.disturbances));
        let held = Held { u: &u, p: &p, dt_s: 0.01 * card.time_unit_s, substeps: 3 };
        for integrator in [Method::Rk4, Method::Sdirk3].map(|method| Integrator::new(model, method)) {
            let states: Vec<Vec<f64>> =
                (0..6).map(|k| x.iter().map(|x| x * (1.0 + 0.01 * f64::from(k))).collect()).collect();
            let mut together = states.concat();
            integrator.step(&mut together, &held);
            let alone = states.into_iter().map(|mut x| {
                integrator.step(&mut x, &held);
                x
            });
            assert_eq!(together, alone.collect::<Vec<_>>().concat(), "{}", card.name);
        }
    }
}

#[test]
fn a_step_does_not_allocate() {
    for model in ALL {
        let card = model.card();
        let (mut x, u, p) = (nominal(card.states), nominal(card.inputs), nominal(card.disturbances));
        let (mut ad, mut bd) = (DMatrix::zeros(x.len(), x.len()), DMatrix::zeros(x.len(), u.len()));
        let held = Held { u: &u, p: &p, dt_s: 0.01 * card.time_unit_s, substeps: 3 };
        let counted = allocation_counter::measure(|| {
            for integrator in [Method::Rk4, Method::Sdirk3].map(|method| Integrator::new(model, method)) {
                integrator.step(&mut x, &held);
                integrator.step_with_sensitivities(&mut x, &held, &mut ad, &mut bd);
            }
        });
        assert_eq!(counted.count_total, 0, "{}", card.name);
    }
}

/// The specification's A and B are the zero-order-hold discretisation of the tank linearised at its operating point.
#[test]
fn quadtank_linearised_and_discretised_equals_the_specification() {
    let spec = spec("quadtank");
    let (mut a, mut b) = (DMatrix::zeros(4, 4), DMatrix::zeros(4, 2));
    QuadTank::NOMINAL.rhs_jacobians(&[12.4, 12.7, 1.8, 1.4], &[3.0, 3.0], &[], &mut a, &mut b);
    let mut block = DMatrix::zeros(6, 6);
    block.view_mut((0, 0), (4, 4)).copy_from(&a);
    block.view_mut((0, 4), (4, 2)).copy_from(&b);
    let discrete = (block * spec["Ts"].as_f64().unwrap()).exp();
    for i in 0..4 {
        let (a, b) = (numbers(&spec["A"][i]), numbers(&spec["B"][i]));
        for (j, want) in a.iter().chain(&b).enumerate() {
            assert!((discrete[(i, j)] - want).abs() < 1e-9, "({i}, {j}): {} is not {want}", discrete[(i, j)]);
        }
    }
}

/// The specification's set-points hold the closed form of the steady state.
#[test]
fn cstr2_steady_states_equal_their_closed_form() {
    let model = by_name("cstr2").unwrap();
    for (tc, tf, guess, want) in [
        (300.016_447_597_829_37, 350.0, [0.85, 326.0], [0.877, 324.503_685_790_141_7]),
        (300.001_407_970_056_8, 350.0, [0.52, 349.0], [0.5, 350.000_952_619_118_27]),
        (296.139_654_287_800_57, 355.0, [0.4, 355.0], [0.4, 355.771_078_679_161_4]),
    ] {
        assert_close(&steady_state(model, &[tc], &[1.0, tf], &guess).unwrap(), &want, 1e-9);
    }
}

#[test]
fn a_steady_state_stays_where_it_is() {
    for model in ALL {
        let card = model.card();
        let (u, p) = (nominal(card.inputs), nominal(card.disturbances));
        let x = steady_state(model, &u, &p, &nominal(card.states)).unwrap();
        let mut dx = vec![0.0; x.len()];
        model.rhs(&x, &u, &p, &mut dx);
        assert!(dx.iter().zip(card.states).all(|(dx, v)| dx.abs() <= RESIDUAL_MAX * v.span()), "{}", card.name);
        assert!(model.outside_envelope(&x, &u).is_none(), "{}: {x:?}", card.name);
    }
}

#[test]
fn a_far_guess_still_reaches_a_steady_state() {
    let model = by_name("cstr4").unwrap();
    let near = steady_state(model, &[18.0, -4500.0], &[5.1], &[1.2, 0.9, 134.0, 129.0]).unwrap();
    let far = steady_state(model, &[18.0, -4500.0], &[5.1], &[5.0, 0.1, 60.0, 60.0]).unwrap();
    assert_close(&far, &near, 1e-7);
}

#[test]
fn a_failed_search_says_where_it_stopped() {
    let model = by_name("quadtank").unwrap();
    let length = steady_state(model, &[3.0], &[], &[1.0; 4]).unwrap_err();
    assert_eq!(length, SteadyStateError::Length { argument: "u", expected: 2, got: 1 });
    let nan = steady_state(model, &[f64::NAN, 3.0], &[], &[1.0; 4]).unwrap_err();
    assert!(matches!(nan, SteadyStateError::Singular { step: 0, .. }), "{nan}");
    // A pump that sucks has no steady level: an empty tank gives nothing back.
    let dry = steady_state(model, &[-3.0, 3.0], &[], &[1.0; 4]).unwrap_err();
    assert!(matches!(&dry, SteadyStateError::Stalled { residual, .. } if *residual > 1e-6), "{dry}");
}

/// Two explicit sub-steps would leap from the front of the ignition to a cold reactor, and an optimiser would go there.
#[test]
fn an_ignition_is_not_leapt_over() {
    let model = by_name("cstr2").unwrap();
    let after = |substeps: usize| {
        let mut x = [0.539, 365.271, 0.6, 340.0, 0.539, 365.271, 0.6, 340.0];
        let held = Held { u: &[309.99], p: &[1.0, 348.28], dt_s: 6.0, substeps };
        Integrator::rk4(model).step(&mut x, &held);
        x
    };
    let (fine, coarse) = (after(64), after(2));
    assert!(fine[1] > 455.0 && (coarse[1] - fine[1]).abs() < 0.5, "{fine:?} {coarse:?}");
    assert_eq!(coarse[..4], coarse[4..], "four abreast end as each by itself");
    let mut alone = [0.539, 365.271];
    let held = Held { u: &[309.99], p: &[1.0, 348.28], dt_s: 6.0, substeps: 2 };
    let (mut by_x, mut by_u) = ([0.0_f64; 4], [0.0_f64; 2]);
    Integrator::rk4(model).step_into(&mut alone, &held, Sensitivities { by_x: &mut by_x, by_u: &mut by_u });
    assert_eq!(alone, coarse[..2], "with sensitivities as without");
    assert!(by_x.iter().chain(&by_u).all(|s| s.is_finite()), "{by_x:?} {by_u:?}");
}
