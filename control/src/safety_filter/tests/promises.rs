//! What the filter promises whatever it is given.

use super::*;

/// A step with the plant at rest.
fn step(filter: &mut SafetyFilter, plant: &Plant, cycle: u64, proposal: &[f64]) -> Filtered {
    filter.step(&plant.input(cycle, &plant.no_disturbance(), proposal), &in_time)
}

/// Lets the proposer press against the limit until the filter has to hold it back, by more than the MVs' own limits do.
fn pressed(plant: &mut Plant, filter: &mut SafetyFilter, proposal: &[f64]) -> u64 {
    let truth = Integrator::rk4(plant.model);
    for cycle in 1..=100 {
        let filtered = step(filter, plant, cycle, proposal);
        let u = filtered.u().unwrap();
        let held_back = plant.clamped(proposal).iter().zip(&u).any(|(wish, u)| wish - u > 0.5 * plant.du_max[0]);
        plant.advance(&truth, &u);
        if held_back && filtered.certified {
            return cycle;
        }
    }
    panic!("the proposer never came to a limit");
}

#[test]
fn a_safe_proposal_is_passed_bit_for_bit() {
    for mut plant in [cstr2(), quadtank()] {
        let (mut filter, truth) = (plant.filter(), Integrator::rk4(plant.model));
        for cycle in 1..=60 {
            let swing = 0.01 * (0.4 * cycle as f64).sin();
            let proposal: Vec<f64> =
                plant.u.iter().zip(&plant.config.mv_span).map(|(u, span)| u + swing * span).collect();
            let filtered = step(&mut filter, &plant, cycle, &proposal);
            assert_eq!(filtered.outcome, Outcome::Passed, "{filtered:?}");
            assert_eq!(filtered.u().unwrap()[..], proposal[..]);
            assert!(filtered.certified && filtered.slack.iter().all(|slack| *slack == 0.0));
            plant.advance(&truth, &proposal);
        }
    }
}

#[test]
fn a_changed_proposal_is_changed_no_more_than_needed() {
    let mut plant = cstr2();
    let mut filter = plant.filter();
    let cycle = pressed(&mut plant, &mut filter, &[320.0]) + 1;
    let filtered = step(&mut filter, &plant, cycle, &[320.0]);
    let Outcome::Changed { by_spans } = filtered.outcome else { panic!("{filtered:?}") };
    let u = filtered.u().unwrap()[0];
    assert!((by_spans - (320.0 - u) / 40.0).abs() < 1e-12);
    // Half a kelvin nearer to the proposal is not safe: a filter that knows nothing yet brings it back to the same move.
    let again = step(&mut plant.filter(), &plant, 1, &[u + 0.5]);
    assert!(again.certified && again.outcome != Outcome::Passed, "{again:?}");
    assert!((again.u().unwrap()[0] - u).abs() < 0.1, "{again:?} {u}");
}

#[test]
fn when_the_solver_is_late_the_backup_plan_is_played_and_keeps_the_limits() {
    for mut plant in [cstr2(), quadtank()] {
        let truth = Integrator::rk4(plant.model);
        let mut filter = plant.filter();
        let (worst, horizon) = (plant.u_hi.clone(), plant.config.horizon);
        let cycle = pressed(&mut plant, &mut filter, &worst);
        let d = plant.no_disturbance();
        for left in (0..horizon - 1).rev() {
            let input = plant.input(cycle + (horizon - 1 - left) as u64, &d, &worst);
            let filtered = filter.step(&input, &|| true);
            assert_eq!((filtered.outcome, filtered.status), (Outcome::Backup { left }, SolveStatus::TimeLimit));
            let beyond = plant.advance(&truth, &filtered.u().unwrap());
            assert!(beyond == 0.0, "{left}: {:?}", plant.x);
        }
        let used_up = filter.step(&plant.input(cycle + horizon as u64, &d, &worst), &|| true);
        assert_eq!((used_up.outcome, used_up.u()), (Outcome::Exhausted, None));
    }
}

/// The negative control of the backup: whoever plays the proposal when the solver fails leaves the limits.
#[test]
fn without_the_backup_the_late_solver_costs_the_limit() {
    let mut plant = cstr2();
    let (truth, mut filter) = (Integrator::rk4(plant.model), plant.filter());
    pressed(&mut plant, &mut filter, &[320.0]);
    let mut beyond = 0.0_f64;
    for _ in 0..20 {
        let u = plant.clamped(&[320.0]);
        beyond = beyond.max(plant.advance(&truth, &u));
    }
    assert!(beyond > 1.0, "{beyond}");
}

#[test]
fn a_broken_solver_costs_no_limit_and_a_proposal_that_needs_none_still_passes() {
    let mut plant = cstr2();
    let (truth, mut filter) = (Integrator::rk4(plant.model), plant.filter());
    let cycle = pressed(&mut plant, &mut filter, &[320.0]);
    // A price that is no number: every programme from here on is refused.
    let broken = FilterConfig { slack_price: f64::NAN, ..plant.config.clone() };
    filter.programme = Programme::new(plant.model, &broken);
    let mut backups = 0;
    for cycle in cycle + 1..cycle + 10 {
        let filtered = step(&mut filter, &plant, cycle, &[320.0]);
        assert!(filtered.certified && filtered.u().is_some(), "{filtered:?}");
        if matches!(filtered.outcome, Outcome::Backup { .. }) {
            assert_eq!(filtered.status, SolveStatus::Numerical);
            backups += 1;
        }
        assert!(plant.advance(&truth, &filtered.u().unwrap()) == 0.0);
    }
    assert!(backups > 0, "the proposer was never held back");
    // The backup's own next move is a safe proposal, and its rehearsal needs no solver.
    let held = filter.step(&plant.input(cycle + 10, &plant.no_disturbance(), &[320.0]), &|| true);
    let passed = step(&mut filter, &plant, cycle + 10, &held.plan[0]);
    assert_eq!((passed.outcome, passed.status), (Outcome::Passed, SolveStatus::NotRun));
}

#[test]
fn a_start_outside_the_limits_is_an_alarm_with_its_slack_and_is_brought_back() {
    let mut plant = quadtank();
    plant.x[0] = 16.8;
    let (truth, mut filter) = (Integrator::rk4(plant.model), plant.filter());
    let first = step(&mut filter, &plant, 1, &[3.0, 3.0]);
    assert!(first.alarm && first.slack[0] >= 0.8 - 1e-9 && first.slack[1] == 0.0, "{first:?}");
    let mut back = None;
    for cycle in 1..=60 {
        let filtered = step(&mut filter, &plant, cycle, &[8.0, 8.0]);
        plant.advance(&truth, &filtered.u().unwrap());
        if filtered.certified {
            back = back.or(Some(cycle));
        }
        assert!(back.is_none_or(|_| filtered.certified), "{cycle}: {filtered:?}");
    }
    assert!(back.is_some(), "it was never brought back: {:?}", plant.x);
}

#[test]
fn a_proposal_that_is_no_number_is_taken_for_the_backup_plan_and_renews_it() {
    let mut plant = quadtank();
    let (truth, mut filter) = (Integrator::rk4(plant.model), plant.filter());
    for cycle in 1..=100 {
        let filtered = step(&mut filter, &plant, cycle, &[f64::NAN, 3.0]);
        assert_eq!(filtered.outcome, Outcome::Changed { by_spans: f64::INFINITY }, "{cycle}");
        assert!(filtered.certified);
        plant.advance(&truth, &filtered.u().unwrap());
    }
}

#[test]
fn what_fits_not_is_bad_input_and_plays_the_backup() {
    let plant = cstr2();
    let mut filter = plant.filter();
    let d = plant.no_disturbance();
    let good = plant.input(1, &d, &[300.0]);
    assert_eq!(filter.step(&FilterInput { x: &[f64::NAN, 320.0], ..good }, &in_time).outcome, Outcome::Exhausted);
    assert!(filter.step(&good, &in_time).certified);
    let table = [
        FilterInput { cycle: 2, x: &[0.9], ..good },
        FilterInput { cycle: 3, x: &[f64::NAN, 320.0], ..good },
        FilterInput { cycle: 4, d: &[0.0], ..good },
        FilterInput { cycle: 5, p: &[1.0, f64::INFINITY], ..good },
        FilterInput { cycle: 6, proposal: &[], ..good },
    ];
    for input in table {
        let filtered = filter.step(&input, &in_time);
        let left = 20 - input.cycle as usize;
        assert_eq!((filtered.outcome, filtered.status), (Outcome::Backup { left }, SolveStatus::BadInput));
        assert!(filtered.alarm && filtered.u().is_some());
    }
    for bad in [FilterInput { u_prev: &[f64::NAN], ..good }, FilterInput { u_lo: &[310.0], u_hi: &[300.0], ..good }] {
        assert_eq!(filter.step(&FilterInput { cycle: 7, ..bad }, &in_time).outcome, Outcome::Exhausted);
    }
}

#[test]
fn a_plan_is_not_played_before_its_cycle_nor_after_its_end() {
    let plant = cstr2();
    let mut filter = plant.filter();
    let d = plant.no_disturbance();
    assert!(step(&mut filter, &plant, 10, &[300.0]).certified);
    for cycle in [9, 30, 11] {
        assert_eq!(filter.step(&plant.input(cycle, &d, &[300.0]), &|| true).outcome, Outcome::Exhausted, "{cycle}");
    }
}

#[test]
fn an_mv_that_is_not_handed_over_stays_where_it_is() {
    let mut plant = quadtank();
    (plant.u_lo[1], plant.u_hi[1]) = (3.0, 3.0);
    let (truth, mut filter) = (Integrator::rk4(plant.model), plant.filter());
    for cycle in 1..=80 {
        let filtered = step(&mut filter, &plant, cycle, &[8.0, 8.0]);
        assert!(filtered.certified && filtered.plan.iter().all(|u| u[1] == 3.0), "{cycle}: {filtered:?}");
        assert!(plant.advance(&truth, &filtered.u().unwrap()) == 0.0, "{cycle}");
    }
}

#[test]
fn equal_histories_give_equal_answers_to_the_last_bit() {
    let answers = || {
        let mut plant = quadtank();
        let (truth, mut filter, mut random) = (Integrator::rk4(plant.model), plant.filter(), Random::new(3));
        let each = (1..=40).map(|cycle| {
            let proposal = [8.0 * random.unit(), 8.0 * random.unit()];
            let filtered = step(&mut filter, &plant, cycle, &proposal);
            plant.advance(&truth, &filtered.u().unwrap());
            filtered
        });
        each.collect::<Vec<_>>()
    };
    assert_eq!(answers(), answers());
}

#[test]
fn a_step_that_needs_no_programme_does_not_allocate() {
    let plant = cstr2();
    let mut filter = plant.filter();
    let d = plant.no_disturbance();
    assert!(filter.step(&plant.input(1, &d, &[300.0]), &in_time).certified);
    let mut passed = 0;
    let counted = allocation_counter::measure(|| {
        for cycle in 2..20 {
            let filtered = filter.step(&plant.input(cycle, &d, &[300.0]), &in_time);
            passed += u32::from(filtered.status == SolveStatus::NotRun && filtered.certified);
        }
    });
    assert_eq!((counted.count_total, passed), (0, 18));
}

#[test]
fn what_fits_not_the_model_makes_no_filter() {
    type Spoil = fn(&mut FilterConfig);
    let table: [(&str, Spoil); 9] = [
        ("horizon", |c| c.horizon = 0),
        ("tail", |c| c.tail = 0),
        ("mv ", |c| c.mv_span.push(1.0)),
        ("cv.span", |c| c.cv[1].span = 0.0),
        ("cv.margin", |c| c.cv[1].margin = -1.0),
        ("cv[1] has limits", |c| c.cv[1].margin = 30.0),
        ("cv[1] has limits", |c| c.cv[1].hi = f64::NAN),
        ("rest_max", |c| c.rest_max = 0.0),
        ("no cv has a limit", |c| (c.cv[1].lo, c.cv[1].hi) = (f64::NEG_INFINITY, f64::INFINITY)),
    ];
    for (words, spoil) in table {
        let mut plant = cstr2();
        spoil(&mut plant.config);
        let error = SafetyFilter::new(plant.model, plant.config).unwrap_err();
        assert!(error.to_string().starts_with(words), "{words}: {error}");
    }
}
