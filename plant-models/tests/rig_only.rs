//! The plants that only a rig plays, against what is published of them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use plant_models::{AgedCstr2, ColumnA, Cstr2, Exchanger, Held, Integrator, PlantModel, steady_state};

fn nominal(list: &[plant_models::Variable]) -> Vec<f64> {
    list.iter().map(|v| v.nominal).collect()
}

/// The outputs at rest under `u` and `p`, from the card's nominal states.
fn at_rest(model: &dyn PlantModel, u: &[f64], p: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let x = steady_state(model, u, p, &nominal(model.card().states)).unwrap();
    let mut y = vec![f64::NAN; model.card().outputs.len()];
    model.outputs(&x, p, &mut y);
    (x, y)
}

/// Skogestad (1997), table 1: yD = 0.99 and xB = 0.01 at F = 1, zF = 0.5, L = 2.706, V = 3.206, hold-ups of 0.5 kmol.
#[test]
fn the_column_rests_at_its_published_point() {
    let card = ColumnA::NOMINAL.card();
    let (x, y) = at_rest(&ColumnA::NOMINAL, &nominal(card.inputs), &nominal(card.disturbances));
    assert!((y[0] - 0.99).abs() < 1e-5 && (y[1] - 0.01).abs() < 1e-5, "{y:?}");
    assert!(x[41..].iter().all(|m| (m - 0.5).abs() < 1e-6), "{:?}", &x[41..]);
    // A profile that was integrated to rest by a program of its own.
    assert!(x.iter().zip(nominal(card.states)).all(|(a, b)| (a - b).abs() < 2e-6), "{x:?}");
}

/// Skogestad and Postlethwaite: G(0) = [0.878 -0.864; 1.082 -1.096] (mole fraction per kmol/min), RGA λ11 = 35.1. The
/// figures are those of a fit; the nonlinear column's own slopes lie within one percent of them.
#[test]
fn the_columns_steady_gains_are_the_published_ones() {
    let card = ColumnA::NOMINAL.card();
    let (u, p) = (nominal(card.inputs), nominal(card.disturbances));
    let gain = |input: usize| {
        let moved = |by: f64| {
            let mut u = u.clone();
            u[input] += by;
            at_rest(&ColumnA::NOMINAL, &u, &p).1
        };
        let (up, down) = (moved(1e-5), moved(-1e-5));
        [(up[0] - down[0]) / 2e-5, (up[1] - down[1]) / 2e-5]
    };
    let (by_lt, by_vb) = (gain(0), gain(1));
    for (got, want) in [(by_lt[0], 0.878), (by_vb[0], -0.864), (by_lt[1], 1.082), (by_vb[1], -1.096)] {
        assert!((got / want - 1.0).abs() < 0.01, "{got}, published {want}");
    }
    let lambda = 1.0 / (1.0 - by_lt[1] * by_vb[0] / (by_lt[0] * by_vb[1]));
    assert!((lambda / 35.1 - 1.0).abs() < 0.05, "{lambda}");
}

/// Skogestad (1997): the dominant time constant of the external flows is about 194 min; a small step goes 63 % of its way
/// within some three hours.
#[test]
fn the_column_answers_a_change_of_the_external_flows_in_about_three_hours() {
    let card = ColumnA::NOMINAL.card();
    let (mut u, p) = (nominal(card.inputs), nominal(card.disturbances));
    let (mut x, y0) = at_rest(&ColumnA::NOMINAL, &u, &p);
    u[1] -= 1e-5;
    let (_, y1) = at_rest(&ColumnA::NOMINAL, &u, &p);
    let rk4 = Integrator::rk4(&ColumnA::NOMINAL);
    let minute = Held { u: &u, p: &p, dt_s: 60.0, substeps: 20 };
    let mut minutes = 0;
    while (x[40] - y0[0]) / (y1[0] - y0[0]) < 1.0 - (-1.0_f64).exp() {
        rk4.step(&mut x, &minute);
        minutes += 1;
    }
    assert!((170..220).contains(&minutes), "{minutes} min");
}

/// The effectiveness of four pairs of mixed cells in counter-current: Incropera et al., table 11.3 and eq. 11.31b.
fn effectiveness(mc: f64, mh: f64, fouling: f64) -> (f64, f64) {
    let m = Exchanger::NOMINAL;
    let (least, most) = (mc.min(mh), mc.max(mh));
    let c = least / most;
    let ntu = m.cell_area / (1.0 / m.clean_transfer + fouling) / (least * m.heat_capacity);
    let one = ntu / (1.0 + ntu * (1.0 + c));
    let ratio = ((1.0 - one * c) / (1.0 - one)).powi(4);
    ((ratio - 1.0) / (ratio - c), least)
}

#[test]
fn the_exchanger_at_rest_has_the_effectiveness_of_its_arrangement() {
    for (mc, fouling) in [(3.0, 0.0), (3.0, 0.35), (1.5, 0.0), (8.0, 0.7)] {
        let (mh, th, tc) = (2.0, 80.0, 20.0);
        let (_, y) = at_rest(&Exchanger::NOMINAL, &[mc], &[mh, th, tc, fouling]);
        let (epsilon, least) = effectiveness(mc, mh, fouling);
        let heat = epsilon * least * (th - tc);
        assert!((y[0] - (th - heat / mh)).abs() < 1e-8, "{mc} {fouling}: {y:?}");
        assert!((y[1] - (tc + heat / mc)).abs() < 1e-8, "{mc} {fouling}: {y:?}");
    }
}

#[test]
fn a_fresh_tank_is_the_tank_of_the_literature_and_an_old_one_converts_less() {
    let card = AgedCstr2::NOMINAL.card();
    let u = nominal(card.inputs);
    let (_, fresh) = at_rest(&AgedCstr2::NOMINAL, &u, &[1.0, 350.0, 1.0, 1.0]);
    let (_, literature) = at_rest(&Cstr2::NOMINAL, &u, &[1.0, 350.0]);
    assert_eq!(fresh, literature);
    let (_, old) = at_rest(&AgedCstr2::NOMINAL, &u, &[1.0, 350.0, 0.5, 1.0]);
    assert!(old[0] > fresh[0] && old[1] < fresh[1], "less reaction, less heat: {old:?} {fresh:?}");
    let (_, fouled) = at_rest(&AgedCstr2::NOMINAL, &u, &[1.0, 350.0, 1.0, 0.95]);
    assert!(fouled[1] > fresh[1], "less cooling: {fouled:?} {fresh:?}");
}
