//! The promises.

use signals::SolveStatus;

use super::draw::{Rng, feasible, infeasible};
use crate::qp::riccati::{IpmOptions, RiccatiIpm};
use crate::qp::{OcpQp, OcpSolver};

fn cold(qp: &OcpQp, tolerance: f64) -> (RiccatiIpm, crate::qp::Ending) {
    let mut ipm = RiccatiIpm::new(qp.dims(), IpmOptions { tolerance, ..IpmOptions::default() });
    ipm.prepare(qp);
    let ending = ipm.solve(qp, &|| false);
    (ipm, ending)
}

#[test]
fn random_programmes_are_solved_to_their_kkt_conditions() {
    let mut rng = Rng(1);
    let (mut most, mut sum) = (0, 0);
    for case in 0..500 {
        let qp = feasible(&mut rng);
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
    let mut rng = Rng(2);
    for case in 0..200 {
        let qp = infeasible(&mut rng);
        let (_, ending) = cold(&qp, 1e-8);
        assert_eq!(ending.status, SolveStatus::Infeasible, "case {case}: {ending:?}");
    }
}
