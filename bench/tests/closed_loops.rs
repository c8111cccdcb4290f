//! Closed loops of the benchmark against the costs and errors that converged peers reach on the same problems.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test: what fails here fails it"
)]

use bench::cases::{self, Bench, Options};
use bench::meter::Effort;
use bench::report::Row;

fn row(name: &str) -> Row {
    let options = Options { effort: Effort { repetitions: 1, budget_s: 0.0 }, traces: false };
    let case = cases::all().into_iter().find(|case| case.name == name).unwrap();
    Bench::new(options).unwrap().run(&case).unwrap().0
}

/// CasADi with IPOPT, converged at every step: the specification's closed-loop cost.
const CONVERGED: [(&str, f64); 4] =
    [("cstr2_N20", 234.2086), ("cstr2_N60", 234.2083), ("cstr4_N20", 55.12), ("cstr4_N60", 52.89)];

#[test]
fn the_real_time_iteration_loses_less_than_half_a_percent_to_converged_peers() {
    for (problem, converged) in CONVERGED {
        let row = row(&format!("nmpc/{problem}/rti"));
        let excess = row.cost.unwrap() / converged - 1.0;
        println!("{}: cost {:.4}, {:+.4} % of converged", row.name, row.cost.unwrap(), 100.0 * excess);
        // 52.89 has two decimals, and acados loses 0.56 % there.
        let allowed = if problem == "cstr4_N60" { 0.006 } else { 0.005 };
        assert!((-1e-4..allowed).contains(&excess), "{row:?}");
        assert_eq!(row.failures, Some(0), "{row:?}");
    }
}

#[test]
fn the_converged_iteration_costs_what_converged_peers_cost() {
    for (problem, converged) in CONVERGED {
        let row = row(&format!("nmpc/{problem}/sqp"));
        println!("{}: cost {:.5}", row.name, row.cost.unwrap());
        assert!((row.cost.unwrap() / converged - 1.0).abs() < 5e-4, "{row:?}");
        assert_eq!(row.failures, Some(0), "{row:?}");
    }
}

/// The peers' own numbers, by the same rule: mean over five seeds of the error of the concentration.
#[test]
fn the_filters_err_as_the_peers_do() {
    for (name, peer) in [("est/ekf_cstr2", 0.020003), ("est/ukf_cstr2", 0.020221)] {
        let row = row(name);
        println!("{name}: {:.6}, the peer {peer}", row.cost.unwrap());
        assert!((row.cost.unwrap() - peer).abs() < 2e-6, "{row:?}");
        assert_eq!(row.failures, Some(0), "{row:?}");
    }
    let row = row("est/mhe_cstr_N20");
    assert!(row.cost.unwrap() < 0.0201, "{row:?}");
}

/// Negative control: the first guess, held, errs by far more.
#[test]
fn an_estimate_that_is_never_corrected_errs_by_more() {
    let spec = &bench::problems::spec().unwrap().est_cstr;
    let run = bench::estimation::reactor_run(spec, plant_models::by_name("cstr2").unwrap(), spec.seed);
    let stuck = vec![spec.xhat0; run.x.len()];
    assert!(bench::estimation::rmse(&run.x, &stuck)[0] > 0.1);
}

#[test]
fn filters_and_own_quadratic_programmes_allocate_nothing() {
    for name in [
        "qp/mass_10_2_10/ipm",
        "qp/mass_10_2_10/active_set",
        "qp/wb_2x2/active_set",
        "est/kf_20",
        "est/ekf_cstr2",
        "est/mhe_cstr_N20",
    ] {
        let row = row(name);
        assert_eq!((row.allocations, row.failures), (Some(0), Some(0)), "{row:?}");
    }
    // The counter counts: Clarabel allocates.
    assert!(row("qp/mass_10_2_10/clarabel").allocations.unwrap() > 0);
}

/// Another code on the same programmes reaches the same objective.
#[test]
fn clarabel_confirms_the_reference_objectives() {
    for name in ["qp/quad_4_2_40/clarabel", "qp/mass_20_5_20/clarabel", "qp/rti_cstr2_N20/clarabel"] {
        let row = row(name);
        assert!(row.failures == Some(0) && row.error.unwrap() < 1e-6, "{row:?}");
    }
}
