//! Clarabel against the conditions of Karush, Kuhn and Tucker, and the Riccati method against Clarabel.

use std::sync::Arc;

use signals::SolveStatus;

use super::{Conic, ConicOptions};
use crate::qp::riccati::tests::draw::{feasible, infeasible};
use crate::qp::riccati::{IpmOptions, RiccatiIpm};
use crate::qp::{Ending, OcpQp, OcpSolver};
use crate::test_support::Random;

fn conic(qp: &OcpQp) -> (Conic, Ending) {
    let mut conic = Conic::new(qp.dims(), ConicOptions::default());
    conic.prepare(qp);
    let ending = conic.solve(qp, &|| false);
    (conic, ending)
}

fn riccati(qp: &OcpQp) -> (RiccatiIpm, Ending) {
    let mut ipm = RiccatiIpm::new(qp.dims(), IpmOptions { tolerance: 1e-8, ..IpmOptions::default() });
    ipm.prepare(qp);
    let ending = ipm.solve(qp, &|| false);
    (ipm, ending)
}

/// Draws feasible and, every tenth, infeasible programmes; both solvers have to agree.
fn agree(seed: u64, cases: usize) {
    let mut random = Random::new(seed);
    let (mut worst, mut objections) = (0.0_f64, Vec::new());
    for case in 0..cases {
        if case % 10 == 9 {
            let qp = infeasible(&mut random);
            let statuses = [conic(&qp).1.status, riccati(&qp).1.status];
            if statuses != [SolveStatus::Infeasible; 2] {
                objections.push(format!("case {case}: infeasible, {statuses:?}"));
            }
        }
        let qp = feasible(&mut random);
        let ((theirs, a), (ours, b)) = (conic(&qp), riccati(&qp));
        let (theirs, ours) = (qp.objective(theirs.solution()), qp.objective(ours.solution()));
        let difference = (theirs - ours).abs() / theirs.abs().max(1.0);
        worst = worst.max(difference);
        if [a.status, b.status] != [SolveStatus::Solved; 2] || difference > 1e-6 || difference.is_nan() {
            objections.push(format!("case {case}: {a:?}, {b:?}, {theirs} and {ours}, {difference:e}"));
        }
    }
    println!("{cases} programmes, largest relative difference of objectives {worst:e}");
    assert!(objections.is_empty(), "{} of {cases}:\n{}", objections.len(), objections.join("\n"));
}

#[test]
fn ours_and_clarabel_agree_on_random_programmes() {
    agree(11, 300);
}

/// `cargo test --release -p control --lib -- --ignored ours_and_clarabel_agree_on_ten_thousand`
#[test]
#[ignore = "several seconds in the release profile"]
fn ours_and_clarabel_agree_on_ten_thousand() {
    agree(12, 10_000);
}

#[test]
fn the_kkt_check_accepts_clarabels_solutions_and_rejects_spoilt_ones() {
    let mut random = Random::new(13);
    for case in 0..50 {
        let qp = feasible(&mut random);
        let (solver, ending) = conic(&qp);
        assert_eq!(ending.status, SolveStatus::Solved, "case {case}");
        let mut z = solver.solution().clone();
        let scale = z.pi.iter().chain(&z.x).fold(1.0_f64, |a, v| a.max(v.abs()));
        let good = qp.kkt_residual(&z).largest();
        assert!(good <= 1e-5 * scale, "case {case}: {good:e}");
        let last = z.u.len() - 1;
        z.u[last] += 0.1;
        let spoilt = qp.kkt_residual(&z).largest();
        assert!(spoilt > 1e-3 && spoilt > 10.0 * good, "case {case}: {spoilt:e} after {good:e}");
    }
}

#[test]
fn one_solver_follows_changing_bounds_and_recovers_from_nan() {
    let mut random = Random::new(14);
    let mut qp = feasible(&mut random);
    let mut solver = conic(&qp).0;
    let before = qp.objective(solver.solution());
    let good = qp.clone();
    qp.stage_mut(0).r[0] = f64::NAN;
    solver.prepare(&qp);
    assert_eq!(solver.solve(&qp, &|| false).status, SolveStatus::Numerical);
    qp = good;
    let free = qp.stage_mut(0);
    free.lo.fill(f64::NEG_INFINITY);
    free.hi.fill(f64::INFINITY);
    solver.prepare(&qp);
    assert_eq!(solver.solve(&qp, &|| false).status, SolveStatus::Solved);
    assert!(qp.objective(solver.solution()) <= before + 1e-6 * before.abs().max(1.0));
}

#[test]
fn a_deadline_ends_the_solve() {
    let qp = feasible(&mut Random::new(15));
    let mut solver = conic(&qp).0;
    solver.prepare(&qp);
    assert_eq!(solver.solve(&qp, &|| true).status, SolveStatus::TimeLimit);
    solver.set_deadline(Some(Arc::new(|| true)));
    assert_eq!(solver.solve(&qp, &|| false).status, SolveStatus::TimeLimit);
    solver.set_deadline(None);
    assert_eq!(solver.solve(&qp, &|| false).status, SolveStatus::Solved);
}
