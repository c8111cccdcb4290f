//! The promises.

use std::cell::Cell;

use signals::SolveStatus;

use super::draw::{feasible, infeasible};
use crate::qp::riccati::{IpmOptions, RiccatiIpm};
use crate::qp::{Initial, OcpDims, OcpQp, OcpSolver};
use crate::test_support::Random;

fn cold(qp: &OcpQp, tolerance: f64) -> (RiccatiIpm, crate::qp::Ending) {
    let mut ipm = RiccatiIpm::new(qp.dims(), IpmOptions { tolerance, ..IpmOptions::default() });
    ipm.prepare(qp);
    let ending = ipm.solve(qp, &|| false);
    (ipm, ending)
}

#[test]
fn random_programmes_are_solved_to_their_kkt_conditions() {
    let mut random = Random::new(1);
    let (mut most, mut sum) = (0, 0);
    for case in 0..500 {
        let qp = feasible(&mut random);
        let (ipm, ending) = cold(&qp, 1e-8);
        most = most.max(ending.iterations);
        sum += ending.iterations;
        let residual = qp.kkt_residual(ipm.solution());
        assert_eq!(ending.status, SolveStatus::Solved, "case {case}: {ending:?}, {residual:?}");
        let scale = ipm.solution().pi.iter().chain(&ipm.solution().x).fold(1.0_f64, |a, v| a.max(v.abs()));
        assert!(residual.largest() <= 1e-6 * scale, "case {case}: {residual:?} at scale {scale}");
    }
    println!("iterations: most {most}, mean {}", f64::from(sum) / 500.0);
}

#[test]
fn infeasible_programmes_are_called_so() {
    let mut random = Random::new(2);
    for case in 0..200 {
        let qp = infeasible(&mut random);
        let (_, ending) = cold(&qp, 1e-8);
        assert_eq!(ending.status, SolveStatus::Infeasible, "case {case}: {ending:?}");
    }
}

/// A double integrator with a bounded push, pulled to the origin.
fn integrator(horizon: usize) -> OcpQp {
    let soft = vec![None; 2];
    let mut qp = OcpQp::new(OcpDims { nx: 2, nu: 1, boxed: vec![1], rows: 0, horizon, initial: Initial::Fixed, soft });
    for k in 0..=horizon {
        let stage = qp.stage_mut(k);
        stage.q_mat.copy_from_slice(&[1.0, 0.0, 0.0, 0.1]);
        (stage.lo[0], stage.hi[0]) = (-1.0, 1.0);
        (stage.lo[1], stage.hi[1]) = (-2.0, 2.0);
        if k < horizon {
            stage.a.copy_from_slice(&[1.0, 0.0, 0.5, 1.0]);
            stage.b.copy_from_slice(&[0.125, 0.5]);
            stage.r_mat[0] = 0.1;
        }
    }
    qp.x0.copy_from_slice(&[6.0, 0.0]);
    qp
}

/// The scalar programme min ½ u² + ½ (x0 + u)², |u| ≤ bound: u = clamp(-x0 / 2).
#[test]
fn a_scalar_programme_has_its_closed_solution() {
    for (x0, bound) in [(1.0, 10.0), (1.0, 0.2), (-3.0, 1.0), (0.0, 1.0)] {
        let dims =
            OcpDims { nx: 1, nu: 1, boxed: vec![], rows: 0, horizon: 1, initial: Initial::Fixed, soft: vec![None] };
        let mut qp = OcpQp::new(dims);
        let stage = qp.stage_mut(0);
        (stage.a[0], stage.b[0], stage.r_mat[0]) = (1.0, 1.0, 1.0);
        (stage.lo[0], stage.hi[0]) = (-bound, bound);
        qp.stage_mut(1).q_mat[0] = 1.0;
        qp.x0[0] = x0;
        let (ipm, ending) = cold(&qp, 1e-10);
        assert_eq!(ending.status, SolveStatus::Solved);
        let expected = (-x0 / 2.0_f64).clamp(-bound, bound);
        assert!((ipm.solution().u[0] - expected).abs() < 1e-8, "{} for {expected}", ipm.solution().u[0]);
    }
}

#[test]
fn compiled_and_dynamic_sizes_give_the_same_solution() {
    // 26 states are beyond the compiled sizes; 24 of them are copies of zero dynamics.
    let small = integrator(12);
    let dims = OcpDims { nx: 26, soft: vec![None; 2], ..small.dims().clone() };
    let mut large = OcpQp::new(dims);
    for k in 0..=12 {
        let (from, to) = (small.clone(), large.stage_mut(k));
        for j in 0..2 {
            to.q_mat[j * 26..j * 26 + 2].copy_from_slice(&from.q_mat(k)[j * 2..j * 2 + 2]);
            if k < 12 {
                to.a[j * 26..j * 26 + 2].copy_from_slice(&from.a(k)[j * 2..j * 2 + 2]);
                (to.b[j], to.r_mat[0]) = (from.b(k)[j], from.r_mat(k)[0]);
            }
        }
        to.lo.copy_from_slice(from.bounds(k).lo);
        to.hi.copy_from_slice(from.bounds(k).hi);
    }
    large.x0[..2].copy_from_slice(&small.x0);
    let ((a, first), (b, second)) = (cold(&small, 1e-8), cold(&large, 1e-8));
    assert_eq!([first.status, second.status], [SolveStatus::Solved; 2]);
    let (a, b) = (small.objective(a.solution()), large.objective(b.solution()));
    assert!((a - b).abs() <= 1e-7 * a.abs(), "{a} and {b}");
}

#[test]
fn nan_is_numerical_and_the_next_solve_recovers() {
    let good = integrator(20);
    let (mut ipm, _) = cold(&good, 1e-6);
    let before = ipm.solution().clone();
    for spoil in 0..5 {
        let mut qp = good.clone();
        match spoil {
            0 => qp.x0[1] = f64::NAN,
            1 => qp.stage_mut(3).a[2] = f64::NAN,
            2 => qp.stage_mut(7).q[0] = f64::INFINITY,
            3 => qp.stage_mut(2).hi[0] = f64::NAN,
            _ => qp.stage_mut(5).r_mat[0] = -1e3,
        }
        ipm.prepare(&qp);
        assert_eq!(ipm.solve(&qp, &|| false).status, SolveStatus::Numerical, "case {spoil}");
        assert_eq!(*ipm.solution(), before, "case {spoil} touched the solution");
    }
    ipm.prepare(&good);
    assert_eq!(ipm.solve(&good, &|| false).status, SolveStatus::Solved);
    assert!(good.kkt_residual(ipm.solution()).largest() < 1e-5);
}

#[test]
fn a_deadline_ends_the_solve_with_finite_numbers() {
    let qp = integrator(20);
    let whole = cold(&qp, 1e-6).1.iterations;
    for allowed in 0..whole - 1 {
        let mut ipm = RiccatiIpm::new(qp.dims(), IpmOptions::default());
        ipm.prepare(&qp);
        let asked = Cell::new(0);
        let late = || asked.replace(asked.get() + 1) >= allowed;
        let ending = ipm.solve(&qp, &late);
        assert_eq!(ending.status, SolveStatus::TimeLimit, "after {allowed}: {ending:?}");
        assert!(ending.iterations <= allowed + 1);
        assert!(ipm.solution().u.iter().all(|u| u.is_finite()));
    }
}

#[test]
fn the_iteration_limit_is_kept() {
    let qp = integrator(20);
    let options = IpmOptions { iterations_max: 2, ..IpmOptions::default() };
    let mut ipm = RiccatiIpm::new(qp.dims(), options);
    ipm.prepare(&qp);
    let ending = ipm.solve(&qp, &|| false);
    assert_eq!((ending.status, ending.iterations), (SolveStatus::IterationLimit, 2));
}

#[test]
fn bounds_that_do_not_matter_cost_one_iteration() {
    let mut qp = integrator(20);
    qp.x0.copy_from_slice(&[0.1, 0.0]);
    let (ipm, ending) = cold(&qp, 1e-6);
    assert_eq!((ending.status, ending.iterations), (SolveStatus::Solved, 1));
    assert!(qp.kkt_residual(ipm.solution()).largest() < 1e-10);
}

#[test]
fn a_closed_loop_is_solved_warm_as_well_as_cold() {
    let mut qp = integrator(20);
    let mut warm = RiccatiIpm::new(qp.dims(), IpmOptions::default());
    for period in 0..40 {
        warm.prepare(&qp);
        let ending = warm.solve(&qp, &|| false);
        assert_eq!(ending.status, SolveStatus::Solved, "period {period}");
        let (fresh, from_cold) = cold(&qp, 1e-6);
        assert!(ending.iterations <= from_cold.iterations + 7, "period {period}: {ending:?}, cold {from_cold:?}");
        let (a, b) = (qp.objective(warm.solution()), qp.objective(fresh.solution()));
        assert!((a - b).abs() <= 4e-6 * b.abs().max(1.0), "period {period}: {a} and {b}");
        qp.x0.copy_from_slice(&warm.solution().x[2..4]);
        qp.x0[1] += if period % 7 == 0 { 0.8 } else { 0.0 };
        warm.shift(1);
    }
}

#[test]
fn crossed_bounds_are_infeasible() {
    let mut qp = integrator(5);
    (qp.stage_mut(2).lo[0], qp.stage_mut(2).hi[0]) = (0.5, 0.4);
    assert_eq!(cold(&qp, 1e-6).1.status, SolveStatus::Infeasible);
}

#[test]
fn prepare_solve_and_shift_do_not_allocate() {
    let mut random = Random::new(3);
    for case in 0..30 {
        let qp = feasible(&mut random);
        let (mut ipm, _) = cold(&qp, 1e-6);
        let counted = allocation_counter::measure(|| {
            for _ in 0..3 {
                ipm.shift(1);
                ipm.prepare(&qp);
                ipm.solve(&qp, &|| false);
            }
        });
        assert_eq!(counted.count_total, 0, "case {case}");
    }
    let control = allocation_counter::measure(|| drop(std::hint::black_box(vec![0_u8; 64])));
    assert_eq!(control.count_total, 1, "the counter counts");
}

#[test]
fn equal_histories_give_equal_bits() {
    let qp = feasible(&mut Random::new(4));
    let (first, second) = (cold(&qp, 1e-6).0, cold(&qp, 1e-6).0);
    assert_eq!(first.solution(), second.solution());
}
