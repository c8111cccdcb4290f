//! The solver in closed-loop coordinates against Clarabel, and at the edges.

use nalgebra::DMatrix;
use signals::SolveStatus;

use crate::qp::active_set::{ActiveSetLimits, OcpActiveSet};
use crate::qp::conic::{Conic, ConicOptions};
use crate::qp::riccati::tests::draw::{feasible, infeasible};
use crate::qp::{Ending, Initial, OcpDims, OcpQp, OcpSolution, OcpSolver, Soft};
use crate::test_support::{Random, in_time};

fn solver(qp: &OcpQp) -> OcpActiveSet {
    OcpActiveSet::new(qp.dims(), ActiveSetLimits::default())
}

fn run(solver: &mut impl OcpSolver, qp: &OcpQp) -> Ending {
    solver.prepare(qp);
    solver.solve(qp, &in_time)
}

fn scale(z: &OcpSolution) -> f64 {
    z.pi.iter().chain(&z.x).chain(&z.lambda_lo).chain(&z.lambda_hi).fold(1.0, |scale: f64, v| scale.max(v.abs()))
}

/// Every stage of `qp` changed a little: the next programme of a sequence.
fn drift(random: &mut Random, qp: &mut OcpQp) {
    qp.x0.iter_mut().for_each(|x| *x += 0.05 * random.signed());
    for k in 0..=qp.dims().horizon {
        let stage = qp.stage_mut(k);
        stage.q.iter_mut().chain(stage.r.iter_mut()).for_each(|v| *v += 0.3 * random.signed());
        stage.a.iter_mut().for_each(|v| *v *= 1.0 + 0.01 * random.signed());
    }
}

#[test]
fn random_programmes_are_solved_to_their_conditions() {
    let mut random = Random::new(1);
    for case in 0..500 {
        let qp = feasible(&mut random);
        let mut ours = solver(&qp);
        let ending = run(&mut ours, &qp);
        assert_eq!(ending.status, SolveStatus::Solved, "case {case}: {ending:?}");
        let residual = qp.kkt_residual(ours.solution());
        assert!(residual.largest() <= 1e-7 * scale(ours.solution()), "case {case}: {residual:?}");
    }
}

#[test]
fn agrees_with_clarabel() {
    let mut random = Random::new(2);
    for case in 0..200 {
        let qp = feasible(&mut random);
        let (mut ours, mut theirs) = (solver(&qp), Conic::new(qp.dims(), ConicOptions::default()));
        assert_eq!(run(&mut ours, &qp).status, SolveStatus::Solved, "case {case}");
        assert_eq!(run(&mut theirs, &qp).status, SolveStatus::Solved, "case {case}");
        let (a, b) = (qp.objective(ours.solution()), qp.objective(theirs.solution()));
        assert!((a - b).abs() <= 1e-6 * b.abs().max(1.0), "case {case}: {a} against {b}");
    }
}

#[test]
fn a_sequence_is_solved_warm() {
    let mut random = Random::new(3);
    let (mut warm_changes, mut cold_changes) = (0, 0);
    for case in 0..60 {
        let mut qp = feasible(&mut random);
        let mut warm = solver(&qp);
        run(&mut warm, &qp);
        for step in 0..8 {
            drift(&mut random, &mut qp);
            let mut cold = solver(&qp);
            let (ending, reference) = (run(&mut warm, &qp), run(&mut cold, &qp));
            assert_eq!(ending.status, reference.status, "case {case} step {step}");
            if ending.status != SolveStatus::Solved {
                continue;
            }
            let residual = qp.kkt_residual(warm.solution());
            assert!(residual.largest() <= 1e-7 * scale(warm.solution()), "case {case} step {step}: {residual:?}");
            (warm_changes, cold_changes) = (warm_changes + ending.iterations, cold_changes + reference.iterations);
        }
    }
    assert!(3 * warm_changes < cold_changes, "{warm_changes} changes warm, {cold_changes} cold");
}

#[test]
fn a_shifted_start_is_a_start() {
    let mut random = Random::new(4);
    for case in 0..100 {
        let qp = feasible(&mut random);
        let mut ours = solver(&qp);
        run(&mut ours, &qp);
        let objective = qp.objective(ours.solution());
        ours.shift(1 + case % 3);
        assert_eq!(run(&mut ours, &qp).status, SolveStatus::Solved, "case {case}");
        let again = qp.objective(ours.solution());
        assert!((again - objective).abs() <= 1e-8 * objective.abs().max(1.0), "case {case}: {again} after {objective}");
    }
}

#[test]
fn infeasible_programmes_are_called_so() {
    let mut random = Random::new(5);
    for case in 0..200 {
        let qp = infeasible(&mut random);
        let ending = run(&mut solver(&qp), &qp);
        assert_eq!(ending.status, SolveStatus::Infeasible, "case {case}: {ending:?}");
    }
}

/// An oscillator that doubles with each period, N = 60, with bounds on its input and a soft one on its first state.
fn unstable() -> OcpQp {
    let soft = vec![None, Some(Soft { linear: 5.0, quadratic: 1.0 })];
    let dims = OcpDims { nx: 2, nu: 1, boxed: vec![0], rows: 0, horizon: 60, initial: Initial::Fixed, soft };
    let mut qp = OcpQp::new(dims);
    for k in 0..=60 {
        let stage = qp.stage_mut(k);
        stage.q_mat.copy_from_slice(&[1.0, 0.0, 0.0, 1.0]);
        if k < 60 {
            stage.a.copy_from_slice(&[1.8, -0.8, 0.8, 1.8]);
            stage.b.copy_from_slice(&[0.0, 1.0]);
            stage.r_mat[0] = 0.1;
        }
        (stage.lo[0], stage.hi[0]) = (-1.0, 1.0);
        (stage.lo[1], stage.hi[1]) = (-0.15, 0.15);
    }
    qp.x0.copy_from_slice(&[0.2, 0.1]);
    qp
}

#[test]
fn an_unstable_plant_is_solved_where_a_condensed_hessian_is_not_definite() {
    let qp = unstable();
    let mut ours = solver(&qp);
    let ending = run(&mut ours, &qp);
    assert_eq!(ending.status, SolveStatus::Solved);
    assert!(ending.iterations > 3, "{ending:?}: bounds that are not met are no test");
    let residual = qp.kkt_residual(ours.solution());
    assert!(residual.largest() < 1e-8 * scale(ours.solution()), "{residual:?}");

    // The same programme condensed: x = Γ u, H = Γ'QΓ + R.
    let n = 60;
    let a = DMatrix::from_row_slice(2, 2, &[1.8, 0.8, -0.8, 1.8]);
    let b = DMatrix::from_row_slice(2, 1, &[0.0, 1.0]);
    let mut gamma = DMatrix::zeros(2 * n, n);
    for j in 0..n {
        let mut column = b.clone();
        for k in j..n {
            gamma.view_mut((2 * k, j), (2, 1)).copy_from(&column);
            column = &a * column;
        }
    }
    let hessian = gamma.transpose() * &gamma + DMatrix::identity(n, n) * 0.1;
    assert!(hessian.cholesky().is_none(), "condensing was to fail here");
}

#[test]
fn a_soft_bound_gives_way_at_its_price_and_not_before() {
    // min ½ (u - 2)² + price of u over 1: held while the multiplier 1 is below `linear`, and given way beyond.
    for (linear, quadratic, u) in [(1.5, 1.0, 1.0), (0.5, 1.0, 1.25), (0.0, 3.0, 1.25), (0.5, 1e9, 1.0)] {
        let soft = vec![Some(Soft { linear, quadratic })];
        let dims = OcpDims { nx: 1, nu: 1, boxed: vec![], rows: 0, horizon: 1, initial: Initial::Fixed, soft };
        let mut qp = OcpQp::new(dims);
        let stage = qp.stage_mut(0);
        (stage.r_mat[0], stage.r[0], stage.hi[0]) = (1.0, -2.0, 1.0);
        let mut ours = solver(&qp);
        assert_eq!(run(&mut ours, &qp).status, SolveStatus::Solved);
        assert!((ours.solution().u[0] - u).abs() < 1e-8, "{linear} {quadratic}: {:?}", ours.solution());
        assert!(qp.kkt_residual(ours.solution()).largest() < 1e-8);
    }
}

#[test]
fn nan_is_numerical_and_the_next_solve_is_not() {
    let good = unstable();
    let mut ours = solver(&good);
    run(&mut ours, &good);
    let published = ours.solution().clone();
    let spoils: [fn(&mut OcpQp); 5] = [
        |qp| qp.x0[0] = f64::NAN,
        |qp| qp.stage_mut(0).a[0] = f64::NAN,
        |qp| qp.stage_mut(30).b[1] = f64::NAN,
        |qp| qp.stage_mut(60).q[0] = f64::NAN,
        |qp| qp.stage_mut(5).hi[1] = f64::NAN,
    ];
    for (which, spoil) in spoils.iter().enumerate() {
        let mut bad = good.clone();
        spoil(&mut bad);
        assert_eq!(run(&mut ours, &bad).status, SolveStatus::Numerical, "spoil {which}");
        assert_eq!(ours.solution(), &published, "spoil {which}: what is published is the last good solution");
        assert_eq!(run(&mut ours, &good).status, SolveStatus::Solved, "after spoil {which}");
        assert!(good.kkt_residual(ours.solution()).largest() < 1e-7);
    }
}

#[test]
fn limits_and_the_deadline_end_a_solve() {
    let qp = unstable();
    let mut few_rows = OcpActiveSet::new(qp.dims(), ActiveSetLimits { rows: 2, changes: 100 });
    assert_eq!(run(&mut few_rows, &qp).status, SolveStatus::NotRun, "a cap is reached: there is no point to show");
    let mut ours = solver(&qp);
    ours.prepare(&qp);
    assert_eq!(ours.solve(&qp, &|| true).status, SolveStatus::TimeLimit);
    assert_eq!(ours.solve(&qp, &in_time).status, SolveStatus::Solved, "the next goes on from there");
}

#[test]
fn no_phase_allocates() {
    let mut random = Random::new(6);
    let mut qp = feasible(&mut random);
    while qp.dims().bounds() < 5 || qp.dims().horizon < 8 {
        qp = feasible(&mut random);
    }
    let mut ours = solver(&qp);
    run(&mut ours, &qp);
    let mut changes = 0;
    for _ in 0..10 {
        drift(&mut random, &mut qp);
        let count = allocation_counter::measure(|| {
            ours.shift(1);
            ours.prepare(&qp);
            changes += ours.solve(&qp, &in_time).iterations;
        });
        assert_eq!(count.count_total, 0);
    }
    assert!(changes > 10, "{changes} changes are no test");
}

#[test]
fn what_does_not_change_is_not_made_again_and_the_answer_is_the_same() {
    let mut random = Random::new(7);
    for _ in 0..50 {
        let mut qp = feasible(&mut random);
        let mut ours = solver(&qp);
        run(&mut ours, &qp);
        qp.x0.iter_mut().for_each(|x| *x += 0.1 * random.signed());
        qp.stage_mut(0).r[0] += 0.1;
        let kept = (run(&mut ours, &qp).status, ours.solution().clone());
        let mut fresh = solver(&qp);
        let made = (run(&mut fresh, &qp).status, fresh.solution().clone());
        assert_eq!(kept.0, made.0);
        if kept.0 == SolveStatus::Solved {
            let (a, b) = (qp.objective(&kept.1), qp.objective(&made.1));
            assert!((a - b).abs() < 1e-9 * b.abs().max(1.0), "{a} against {b}");
        }
    }
}
