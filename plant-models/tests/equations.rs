//! Right-hand sides against independently computed numbers, Jacobians against differences, cards against their rules.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use nalgebra::DMatrix;
use plant_models::{ALL, Cstr2, Cstr4, PlantModel, QuadTank, RIG_ONLY, Variable, by_name, for_rig};
use serde_json::Value;

fn spec() -> Value {
    serde_json::from_str(include_str!("data/bench_spec.json")).unwrap()
}

/// Every model, those that only a rig plays included.
fn every() -> impl Iterator<Item = &'static dyn PlantModel> {
    ALL.into_iter().chain(RIG_ONLY)
}

fn rhs(model: &dyn PlantModel, x: &[f64], u: &[f64], p: &[f64]) -> Vec<f64> {
    let mut dx = vec![f64::NAN; x.len()];
    model.rhs(x, u, p, &mut dx);
    dx
}

fn assert_close(got: &[f64], want: &[f64], relative: f64, what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (got, want) in got.iter().zip(want) {
        assert!((got - want).abs() <= relative * want.abs().max(1e-3), "{what}: {got} is not {want}");
    }
}

/// Expected values: the formulas of the specification, evaluated in Python.
#[test]
fn rhs_equals_the_formulas_of_the_specification() {
    type Row<'a> = (&'a str, &'a [f64], &'a [f64], &'a [f64], &'a [f64]);
    let table: [Row<'_>; 6] = [
        ("cstr2", &[0.5, 350.0], &[300.0], &[1.0, 350.0], &[3.402_086_129_522_53e-5, -0.007_117_334_998_994_806_5]),
        ("cstr2", &[0.877, 324.5], &[305.0], &[0.9, 355.0], &[-0.099_962_334_570_031_12, 15.429_358_696_659_236]),
        (
            "cstr4",
            &[0.8, 0.5, 134.14, 130.0],
            &[18.0, -4500.0],
            &[5.1],
            &[32.593_743_799_518_734, 6.184_372_218_446_949, -99.288_903_237_242_69, -91.111_680_000_001_2],
        ),
        (
            "cstr4",
            &[1.235, 0.9, 120.0, 110.0],
            &[60.0, -8000.0],
            &[4.6],
            &[170.665_264_022_293_14, -46.837_178_344_100_48, 399.722_240_394_473_94, 66.879_999_999_999_92],
        ),
        (
            "quadtank",
            &[12.4, 12.7, 1.8, 1.4],
            &[3.0, 3.0],
            &[],
            &[
                0.004_927_660_787_742_808,
                6.179_755_585_672_966e-4,
                -0.007_119_139_975_443_619,
                3.010_751_467_815_292_5e-4,
            ],
        ),
        (
            "quadtank",
            &[5.0, 8.0, 0.5, -0.2],
            &[4.0, 2.0],
            &[],
            &[0.161_269_955_507_520_68, -0.097_536_551_627_963_04, 0.016_293_382_628_644_753, 0.124_875],
        ),
    ];
    for (name, x, u, p, want) in table {
        assert_close(&rhs(by_name(name).unwrap(), x, u, p), want, 1e-11, name);
    }
}

#[test]
fn parameters_equal_the_specification() {
    let spec = spec();
    let (two, four) = (&spec["cstr2"]["params"], &spec["cstr4"]["params"]);
    let (m2, m4) = (Cstr2::NOMINAL, Cstr4::NOMINAL);
    let pairs = [
        (m2.flow, &two["q"]),
        (m2.volume, &two["V"]),
        (m2.heat_capacity, &two["rho_Cp"]),
        (m2.reaction_heat, &two["mdH"]),
        (m2.activation_k, &two["EoR"]),
        (m2.rate, &two["k0"]),
        (m2.heat_transfer, &two["UA"]),
        (m4.rate_ab, &four["K0_ab"]),
        (m4.rate_bc, &four["K0_bc"]),
        (m4.rate_ad, &four["K0_ad"]),
        (m4.activation_ab_k, &four["E_ab"]),
        (m4.activation_bc_k, &four["E_bc"]),
        (m4.activation_ad_k, &four["E_ad"]),
        (m4.enthalpy_ab, &four["H_ab"]),
        (m4.enthalpy_bc, &four["H_bc"]),
        (m4.enthalpy_ad, &four["H_ad"]),
        (m4.density, &four["rho"]),
        (m4.heat_capacity, &four["Cp"]),
        (m4.coolant_heat_capacity, &four["Cpk"]),
        (m4.area, &four["AR"]),
        (m4.volume, &four["VR"]),
        (m4.coolant_mass, &four["mk"]),
        (m4.feed_degc, &four["Tin"]),
        (m4.heat_transfer, &four["Kw"]),
    ];
    for (ours, theirs) in pairs {
        assert_eq!(Some(ours), theirs.as_f64(), "{theirs}");
    }
}

/// Points inside the envelope: `fraction` of the way from low to high, staggered over the variables.
fn inside(variables: &[Variable], fraction: f64) -> Vec<f64> {
    let staggered = (0..variables.len()).map(|i| (fraction + 0.23 * i as f64) % 1.0);
    variables.iter().zip(staggered).map(|(v, f)| v.low + (0.05 + 0.9 * f) * v.span()).collect()
}

/// Central differences of `f` by its argument, one column per variable, steps of 1e-6 spans.
fn differences(at: &[f64], variables: &[Variable], f: impl Fn(&[f64]) -> Vec<f64>) -> DMatrix<f64> {
    let columns = (0..at.len()).map(|j| {
        let h = 1e-6 * variables[j].span();
        let (mut up, mut down) = (at.to_vec(), at.to_vec());
        up[j] += h;
        down[j] -= h;
        let (up, down) = (f(&up), f(&down));
        up.iter().zip(&down).map(|(a, b)| (a - b) / (2.0 * h)).collect::<Vec<_>>()
    });
    let columns: Vec<Vec<f64>> = columns.collect();
    DMatrix::from_fn(columns[0].len(), at.len(), |i, j| columns[j][i])
}

#[test]
fn jacobians_equal_central_differences_throughout_the_envelope() {
    for model in every() {
        let card = model.card();
        let (nx, nu, ny) = (card.states.len(), card.inputs.len(), card.outputs.len());
        let mut a = DMatrix::from_element(nx, nx, f64::NAN);
        let mut b = DMatrix::from_element(nx, nu, f64::NAN);
        let mut c = DMatrix::from_element(ny, nx, f64::NAN);
        for k in 0..20 {
            let fraction = 0.05 * f64::from(k);
            let (x, u) = (inside(card.states, fraction), inside(card.inputs, 1.0 - fraction));
            let p = inside(card.disturbances, 0.5 * fraction);
            model.rhs_jacobians(&x, &u, &p, &mut a, &mut b);
            model.output_jacobian(&x, &p, &mut c);
            let outputs = |x: &[f64]| {
                let mut y = vec![f64::NAN; ny];
                model.outputs(x, &p, &mut y);
                y
            };
            for (what, got, want) in [
                ("a", &a, differences(&x, card.states, |x| rhs(model, x, &u, &p))),
                ("b", &b, differences(&u, card.inputs, |u| rhs(model, &x, u, &p))),
                ("c", &c, differences(&x, card.states, outputs)),
            ] {
                let scale = want.amax().max(1e-6);
                assert!((got - &want).amax() < 1e-6 * scale, "{} {what} at {x:?}: {got} {want}", card.name);
            }
        }
    }
}

#[test]
fn an_empty_tank_gives_finite_numbers() {
    let (mut a, mut b) = (DMatrix::zeros(4, 4), DMatrix::zeros(4, 2));
    for x in [[0.0; 4], [-1.0; 4], [1e-12; 4]] {
        let dx = rhs(&QuadTank::NOMINAL, &x, &[0.0, 0.0], &[]);
        QuadTank::NOMINAL.rhs_jacobians(&x, &[0.0, 0.0], &[], &mut a, &mut b);
        assert!(dx.iter().chain(a.iter()).chain(b.iter()).all(|v| v.is_finite()), "{x:?}");
    }
}

#[test]
fn a_nan_state_is_not_hidden() {
    for model in every() {
        let card = model.card();
        let (u, p) = (inside(card.inputs, 0.3), inside(card.disturbances, 0.3));
        let dx = rhs(model, &vec![f64::NAN; card.states.len()], &u, &p);
        assert!(dx.iter().any(|v| v.is_nan()), "{}", card.name);
    }
}

#[test]
fn a_wrong_length_gives_nan_and_never_panics() {
    for model in every() {
        let card = model.card();
        let (x, u, p) = (inside(card.states, 0.3), inside(card.inputs, 0.3), inside(card.disturbances, 0.3));
        let mut dx = vec![0.0; x.len()];
        model.rhs(&x[1..], &u, &p, &mut dx);
        assert!(dx.iter().any(|v| v.is_nan()), "{}", card.name);
    }
}

#[test]
fn cards_are_complete_and_their_ranges_ordered() {
    for model in every() {
        let card = model.card();
        assert!(card.time_unit_s > 0.0 && !card.sources.is_empty() && !card.assumptions.is_empty());
        for group in [card.states, card.inputs, card.disturbances, card.outputs] {
            for (i, v) in group.iter().enumerate() {
                assert!(v.low <= v.nominal && v.nominal <= v.high && v.low < v.high, "{} {}", card.name, v.name);
                assert!(group[i + 1..].iter().all(|other| other.name != v.name), "{} {}", card.name, v.name);
            }
        }
        assert!(card.inputs.iter().all(|u| card.states.iter().all(|x| x.name != u.name)));
    }
}

#[test]
fn what_a_controller_may_name_is_not_too_large_for_it() {
    for model in ALL {
        assert!(model.card().states.len() <= plant_models::MAX_STATES, "{}", model.card().name);
    }
    for model in RIG_ONLY {
        let name = model.card().name;
        assert!(by_name(name).is_err() && for_rig(name).is_ok(), "{name}");
    }
}

#[test]
fn names_find_their_models_and_others_are_refused_with_a_list() {
    for model in every() {
        assert_eq!(for_rig(model.card().name).unwrap().card().name, model.card().name);
    }
    let message = by_name("cstr3").unwrap_err().to_string();
    assert_eq!(message, "unknown plant model `cstr3`, expected one of `cstr2`, `cstr4`, `quadtank`");
}

#[test]
fn the_envelope_names_what_left_it() {
    let model = by_name("cstr4").unwrap();
    assert!(model.outside_envelope(&[1.2, 0.9, 134.0, 128.0], &[18.0, -4500.0]).is_none());
    let (variable, value) = model.outside_envelope(&[1.2, 0.9, 134.0, 128.0], &[18.0, 20.0]).unwrap();
    assert_eq!((variable.name, value), ("QDOT", 20.0));
    assert!(model.outside_envelope(&[1.2, f64::NAN, 134.0, 128.0], &[18.0, -4500.0]).is_some());
}
