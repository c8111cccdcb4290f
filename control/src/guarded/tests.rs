//! The controller under guard: what of its plans is left, and when none is.

use plant_models::{Held, Integrator, Method, by_name};
use signals::Stamp;

use super::*;
use crate::mpc::{CvTuning, MvTuning, Solver};
use crate::safety_filter::CvLimits;
use crate::test_support::in_time;

/// A controller that is told to go where the tank has ignited.
fn mpc() -> MpcConfig {
    let cv = |output, span, weight| CvTuning { output, span, weight, terminal_weight: weight, ..CvTuning::default() };
    MpcConfig {
        period_s: 6.0,
        horizon: 20,
        blocks: vec![1; 20],
        method: Method::Rk4,
        substeps: 2,
        sqp_iterations: 1,
        terminal_lqr: false,
        solver: Solver::default(),
        cv: vec![cv(0, 0.2, 0.0), cv(1, 10.0, 10.0)],
        mv: vec![MvTuning { span: 40.0, move_weight: 0.1, ..MvTuning::default() }],
        dv_of: vec![],
    }
}

/// A guard that keeps the tank below 345 K.
fn guard(guards: Guards) -> GuardConfig {
    let ca = CvLimits { output: 0, span: 0.2, lo: f64::NEG_INFINITY, hi: f64::INFINITY, margin: 0.0, tolerance: 0.01 };
    let filter = FilterConfig {
        period_s: 6.0,
        horizon: 20,
        tail: 10,
        method: Method::Rk4,
        substeps: 2,
        sqp_iterations: 3,
        cv: vec![ca, CvLimits { output: 1, span: 10.0, lo: 290.0, hi: 345.0, margin: 0.5, tolerance: 0.05 }],
        mv_span: vec![40.0],
        rest_max: 2e-3,
        pass_spans: 1e-3,
        slack_price: 1e3,
    };
    let contract = ContractConfig {
        period_s: 6.0,
        method: Method::Rk4,
        substeps: 2,
        outputs: vec![0, 1],
        state_residual_max: vec![0.01, 0.5],
        cv_residual_max: vec![f64::INFINITY; 2],
        void_after: 3,
        holds_after: 5,
    };
    GuardConfig { guards, filter, contract: Some(contract) }
}

fn guarded(guards: Guards) -> Guarded {
    Guarded::new(by_name("cstr2").unwrap(), mpc(), guard(guards)).unwrap()
}

fn input<'a>(cycle: u64, x: &'a [f64], u_prev: &'a [f64]) -> MpcInput<'a> {
    MpcInput {
        cycle,
        now: Stamp::from_secs_f64(6.0 * cycle as f64),
        x,
        d: &[0.0, 0.0],
        p: &[1.0, 350.0],
        u_prev,
        setpoints: &[None, Some(380.0)],
        mv_targets: &[None],
        cv_lo: &[f64::NEG_INFINITY; 2],
        cv_hi: &[f64::INFINITY; 2],
        u_lo: &[280.0],
        u_hi: &[320.0],
        du_max: &[3.0],
    }
}

const START: [f64; 2] = [0.877, 324.503_685_790_141_7];

/// The hottest that the tank becomes, and the answers.
fn run(guards: Guards, cycles: u64) -> (f64, Vec<MpcOutcome>) {
    let (mut guarded, plant) = (guarded(guards), Integrator::rk4(by_name("cstr2").unwrap()));
    let (mut x, mut u, mut hottest) = (START, [300.0], 0.0_f64);
    let step = |cycle| {
        let outcome = guarded.solve(&input(cycle, &x, &u), &in_time);
        u[0] = outcome.plan.map_or(u[0], |plan| plan.u[0][0]);
        plant.step(&mut x, &Held { u: &u, p: &[1.0, 350.0], dt_s: 6.0, substeps: 20 });
        hottest = hottest.max(x[1]);
        outcome
    };
    let outcomes = (1..=cycles).map(step).collect();
    (hottest, outcomes)
}

#[test]
fn a_controller_that_wants_to_ignite_is_held_below_the_limit() {
    let (hottest, outcomes) = run(Guards::All, 80);
    assert!(hottest > 340.0 && hottest <= 345.05, "{hottest}");
    let reports: Vec<_> = outcomes.iter().map(|outcome| outcome.guarded.unwrap()).collect();
    assert!(reports.iter().all(|report| report.certified && !report.alarm), "{reports:?}");
    assert!(reports.iter().filter(|report| report.is_filtered()).count() > 10);
}

/// The negative control, and the other promise of [`Guards::Untrusted`].
#[test]
fn a_trusted_controller_is_not_touched() {
    let (hottest, outcomes) = run(Guards::Untrusted, 80);
    assert!(hottest > 360.0, "{hottest}");
    let mut nmpc = Nmpc::new(by_name("cstr2").unwrap(), mpc()).unwrap();
    let alone = nmpc.solve(&input(1, &START, &[300.0]), &in_time);
    assert_eq!((alone.plan, alone.status), (outcomes[0].plan, outcomes[0].status));
    assert!(outcomes.iter().all(|outcome| !outcome.guarded.unwrap().is_filtered()));
}

#[test]
fn the_moves_behind_the_first_are_the_backup_plan() {
    let (mut guarded, plant) = (guarded(Guards::All), Integrator::rk4(by_name("cstr2").unwrap()));
    let (mut x, mut u, mut plan) = (START, [300.0], None);
    for cycle in 1..=30 {
        plan = guarded.solve(&input(cycle, &x, &u), &in_time).plan;
        u[0] = plan.unwrap().u[0][0];
        plant.step(&mut x, &Held { u: &u, p: &[1.0, 350.0], dt_s: 6.0, substeps: 20 });
    }
    for u in plan.unwrap().u.iter().skip(1) {
        plant.step(&mut x, &Held { u, p: &[1.0, 350.0], dt_s: 6.0, substeps: 20 });
        assert!(x[1] <= 345.05, "{x:?}");
    }
}

#[test]
fn a_void_contract_leaves_no_plan_of_a_guarded_controller() {
    for (guards, left) in [(Guards::All, false), (Guards::Untrusted, true)] {
        let mut guarded = guarded(guards);
        let mut last = None;
        for cycle in 1..=6 {
            // A plant that jumps where the model says that it stands still.
            let x = [0.877, 324.5 + if cycle % 2 == 0 { 2.0 } else { 0.0 }];
            last = Some(guarded.solve(&input(cycle, &x, &[300.0]), &in_time));
        }
        let last = last.unwrap();
        assert!(!last.guarded.unwrap().contract.admits_untrusted() && last.guarded.unwrap().alarm);
        assert_eq!((last.plan.is_some(), last.status.is_usable()), (left, left), "{guards:?}");
    }
}

#[test]
fn a_guard_that_fits_not_the_model_is_named() {
    let model = by_name("cstr2").unwrap();
    let mut wrong = guard(Guards::All);
    wrong.filter.tail = 0;
    assert!(Guarded::new(model, mpc(), wrong).unwrap_err().to_string().starts_with("filter: tail"));
    let mut wrong = guard(Guards::All);
    wrong.contract.as_mut().unwrap().void_after = 0;
    assert!(Guarded::new(model, mpc(), wrong).unwrap_err().to_string().starts_with("contract: void_after"));
}
