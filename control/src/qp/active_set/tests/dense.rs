//! The dense solver against enumeration, against Clarabel, and at the edges.

use clarabel::algebra::CscMatrix;
use clarabel::solver::{DefaultSettingsBuilder, DefaultSolver, IPSolver, SolverStatus, SupportedConeT};
use nalgebra::{DMatrix, DVector};
use signals::SolveStatus;

use crate::qp::active_set::{DenseRows, DualActiveSet, QpError};
use crate::test_support::{Random, in_time};

/// A programme with its numbers.
struct Programme {
    h: DMatrix<f64>,
    f: DVector<f64>,
    a: DMatrix<f64>,
    lo: Vec<f64>,
    hi: Vec<f64>,
}

impl Programme {
    /// A feasible programme: its bounds enclose the values at a random point, some of them closely, some not at all.
    fn random(random: &mut Random, n: usize, m: usize) -> Self {
        let root = DMatrix::from_fn(n, n, |_, _| random.signed());
        let h = &root * root.transpose() + DMatrix::identity(n, n) * 0.05;
        let f = DVector::from_fn(n, |_, _| 5.0 * random.signed());
        let a = DMatrix::from_fn(m, n, |_, _| random.signed());
        let inside = DVector::from_fn(n, |_, _| random.signed());
        let general = &a * &inside;
        let values = inside.iter().chain(general.iter());
        let side = |random: &mut Random| match random.below(4) {
            0 => f64::INFINITY,
            1 => 0.0,
            _ => random.unit(),
        };
        let (mut lo, mut hi) = (Vec::new(), Vec::new());
        for value in values {
            lo.push(value - side(random));
            hi.push(value + side(random));
        }
        Self { h, f, a, lo, hi }
    }

    fn solver(&self) -> DualActiveSet<DenseRows> {
        DualActiveSet::new(&self.h, DenseRows::new(&self.a)).unwrap()
    }

    fn solve(&self, solver: &mut DualActiveSet<DenseRows>) -> SolveStatus {
        solver.solve(self.f.as_slice(), &self.lo, &self.hi, &in_time).status
    }

    fn objective(&self, x: &[f64]) -> f64 {
        let x = DVector::from_row_slice(x);
        0.5 * (x.transpose() * &self.h * &x)[0] + self.f.dot(&x)
    }

    /// All rows, the unknowns' own first.
    fn stacked(&self) -> DMatrix<f64> {
        let (m, n) = self.a.shape();
        let mut rows = DMatrix::zeros(n + m, n);
        rows.rows_mut(0, n).fill_with_identity();
        rows.rows_mut(n, m).copy_from(&self.a);
        rows
    }

    /// How far `x` and `multipliers` are from the optimality conditions, all of them, from the definition.
    fn residual(&self, x: &[f64], multipliers: &[f64]) -> f64 {
        let (point, lambda) = (DVector::from_row_slice(x), DVector::from_row_slice(multipliers));
        let rows = self.stacked();
        let gradient = &self.h * &point + &self.f + rows.transpose() * &lambda;
        let values = rows * &point;
        let mut worst = gradient.amax();
        for i in 0..values.len() {
            worst = worst.max(self.lo[i] - values[i]).max(values[i] - self.hi[i]);
            let held = if lambda[i] > 0.0 { self.hi[i] } else { self.lo[i] };
            if lambda[i] != 0.0 {
                worst = worst.max((lambda[i] * (values[i] - held)).abs());
            }
        }
        worst
    }

    /// The least objective over all choices of held sides: no method at all.
    fn by_enumeration(&self) -> Option<f64> {
        let rows = self.stacked();
        let (all, n) = rows.shape();
        let mut best: Option<f64> = None;
        for choice in 0..3_usize.pow(all as u32) {
            let held: Vec<(usize, f64)> = (0..all)
                .filter_map(|i| match choice / 3_usize.pow(i as u32) % 3 {
                    1 => Some((i, self.lo[i])),
                    2 => Some((i, self.hi[i])),
                    _ => None,
                })
                .collect();
            if held.len() > n || held.iter().any(|(_, bound)| bound.is_infinite()) {
                continue;
            }
            let mut kkt = DMatrix::zeros(n + held.len(), n + held.len());
            let mut right = DVector::zeros(n + held.len());
            kkt.view_mut((0, 0), (n, n)).copy_from(&self.h);
            right.rows_mut(0, n).copy_from(&-&self.f);
            for (at, (i, bound)) in held.iter().enumerate() {
                kkt.view_mut((n + at, 0), (1, n)).copy_from(&rows.row(*i));
                kkt.view_mut((0, n + at), (n, 1)).copy_from(&rows.row(*i).transpose());
                right[n + at] = *bound;
            }
            let Some(solution) = kkt.lu().solve(&right) else { continue };
            let x = solution.rows(0, n).into_owned();
            let values = &rows * &x;
            if (0..all).all(|i| values[i] >= self.lo[i] - 1e-7 && values[i] <= self.hi[i] + 1e-7) {
                let objective = self.objective(x.as_slice());
                best = Some(best.map_or(objective, |best| best.min(objective)));
            }
        }
        best
    }

    /// Clarabel's status and objective.
    fn by_clarabel(&self) -> (SolverStatus, f64) {
        let (n, rows) = (self.h.nrows(), self.stacked());
        let (mut triples, mut b) = ((Vec::new(), Vec::new(), Vec::new()), Vec::new());
        for i in 0..rows.nrows() {
            for (sign, bound) in [(1.0, self.hi[i]), (-1.0, -self.lo[i])] {
                if bound.is_finite() {
                    for j in 0..n {
                        triples.0.push(b.len());
                        triples.1.push(j);
                        triples.2.push(sign * rows[(i, j)]);
                    }
                    b.push(bound);
                }
            }
        }
        let upper: Vec<(usize, usize)> = (0..n).flat_map(|j| (0..=j).map(move |i| (i, j))).collect();
        let p = CscMatrix::new_from_triplets(
            n,
            n,
            upper.iter().map(|at| at.0).collect(),
            upper.iter().map(|at| at.1).collect(),
            upper.iter().map(|at| self.h[*at]).collect(),
        );
        let a = CscMatrix::new_from_triplets(b.len(), n, triples.0, triples.1, triples.2);
        let settings = DefaultSettingsBuilder::default().verbose(false).build().unwrap();
        let cones = [SupportedConeT::NonnegativeConeT(b.len())];
        let mut solver = DefaultSolver::new(&p, self.f.as_slice(), &a, &b, &cones, settings).unwrap();
        solver.solve();
        (solver.solution.status, solver.solution.obj_val)
    }
}

#[test]
fn agrees_with_enumeration_on_small_programmes() {
    let mut random = Random::new(1);
    for case in 0..150 {
        let (n, m) = (1 + random.below(3), random.below(4));
        let programme = Programme::random(&mut random, n, m);
        let mut solver = programme.solver();
        assert_eq!(programme.solve(&mut solver), SolveStatus::Solved, "case {case}");
        let (ours, exact) = (programme.objective(solver.x()), programme.by_enumeration().unwrap());
        assert!((ours - exact).abs() < 1e-7 * (1.0 + exact.abs()), "case {case}: {ours} against {exact}");
        assert!(programme.residual(solver.x(), solver.multipliers()) < 1e-7, "case {case}");
    }
}

#[test]
fn agrees_with_clarabel_cold_and_warm() {
    let mut random = Random::new(2);
    for case in 0..300 {
        let (n, m) = (2 + random.below(30), random.below(60));
        let mut programme = Programme::random(&mut random, n, m);
        let mut solver = programme.solver();
        for step in 0..4 {
            assert_eq!(programme.solve(&mut solver), SolveStatus::Solved, "case {case} step {step}");
            let (ours, (status, theirs)) = (programme.objective(solver.x()), programme.by_clarabel());
            assert_eq!(status, SolverStatus::Solved);
            assert!((ours - theirs).abs() < 1e-6 * (1.0 + theirs.abs()), "case {case} step {step}: {ours}, {theirs}");
            assert!(programme.residual(solver.x(), solver.multipliers()) < 1e-6, "case {case} step {step}");
            // The next is warm, with another gradient and looser bounds, so that it stays feasible.
            programme.f.iter_mut().for_each(|f| *f += random.signed());
            programme.hi.iter_mut().for_each(|hi| *hi += 0.2 * random.unit());
        }
    }
}

#[test]
fn a_residual_sees_a_corrupted_solution() {
    let programme = Programme::random(&mut Random::new(3), 6, 8);
    let mut solver = programme.solver();
    programme.solve(&mut solver);
    let (mut x, mut multipliers) = (solver.x().to_vec(), solver.multipliers().to_vec());
    x[2] += 1e-3;
    assert!(programme.residual(&x, solver.multipliers()) > 1e-5);
    let held = multipliers.iter().position(|lambda| *lambda != 0.0).unwrap();
    multipliers[held] *= 1.01;
    assert!(programme.residual(solver.x(), &multipliers) > 1e-5);
}

#[test]
fn contradicting_rows_are_infeasible_for_us_and_for_clarabel() {
    let mut random = Random::new(4);
    for case in 0..60 {
        let n = 2 + random.below(10);
        let mut programme = Programme::random(&mut random, n, n + 3);
        // The last row is the sum of two others and asked to be well above what they allow.
        let sum = programme.a.row(0) + programme.a.row(1);
        programme.a.row_mut(n + 2).copy_from(&sum);
        for i in [n, n + 1] {
            programme.hi[i] = programme.lo[i].max(-3.0) + 0.5;
            programme.lo[i] = programme.hi[i] - 1.0;
        }
        programme.lo[2 * n + 2] = programme.hi[n] + programme.hi[n + 1] + 0.01;
        programme.hi[2 * n + 2] = f64::INFINITY;
        let mut solver = programme.solver();
        assert_eq!(programme.solve(&mut solver), SolveStatus::Infeasible, "case {case}");
        assert_eq!(programme.by_clarabel().0, SolverStatus::PrimalInfeasible, "case {case}");
        // A hair on the other side it is feasible, and the solver is none the worse for the failure.
        programme.lo[2 * n + 2] -= 0.02;
        for i in (0..n).chain(n + 2..2 * n + 2) {
            (programme.lo[i], programme.hi[i]) = (f64::NEG_INFINITY, f64::INFINITY);
        }
        assert_eq!(programme.solve(&mut solver), SolveStatus::Solved, "case {case}");
    }
}

#[test]
fn repeated_rows_and_equal_sides_are_no_trouble() {
    let mut random = Random::new(5);
    for case in 0..100 {
        let n = 3 + random.below(8);
        let mut programme = Programme::random(&mut random, n, 3 * n);
        for i in 0..n {
            let row = programme.a.row(i).into_owned();
            programme.a.row_mut(n + i).copy_from(&row);
            programme.a.row_mut(2 * n + i).copy_from(&-row);
            (programme.lo[2 * n + i], programme.hi[2 * n + i]) = (programme.lo[n + i], programme.hi[n + i]);
            (programme.lo[3 * n + i], programme.hi[3 * n + i]) = (-programme.hi[n + i], -programme.lo[n + i]);
        }
        for i in 0..n / 2 {
            let middle = if programme.hi[i].is_finite() { programme.hi[i] } else { programme.lo[i].max(-1.0) };
            (programme.lo[i], programme.hi[i]) = (middle, middle);
        }
        let (reference, theirs) = programme.by_clarabel();
        let mut solver = programme.solver();
        let status = programme.solve(&mut solver);
        if reference == SolverStatus::Solved {
            assert_eq!(status, SolveStatus::Solved, "case {case}");
            let ours = programme.objective(solver.x());
            assert!((ours - theirs).abs() < 1e-6 * (1.0 + theirs.abs()), "case {case}: {ours} against {theirs}");
        } else {
            assert_eq!(status, SolveStatus::Infeasible, "case {case}: {reference:?}");
        }
    }
}

#[test]
fn a_pinned_unknown_may_push_either_way() {
    let h = DMatrix::identity(1, 1);
    let mut solver = DualActiveSet::new(&h, DenseRows::none(1)).unwrap();
    for (f, lo, hi, x, lambda) in
        [(3.0, 1.0, 1.0, 1.0, -4.0), (-3.0, 1.0, 1.0, 1.0, 2.0), (-3.0, 1.0, 2.0, 2.0, 1.0), (-1.5, 1.0, 2.0, 1.5, 0.0)]
    {
        assert_eq!(solver.solve(&[f], &[lo], &[hi], &in_time).status, SolveStatus::Solved);
        assert!((solver.x()[0] - x).abs() < 1e-12 && (solver.multipliers()[0] - lambda).abs() < 1e-12);
    }
}

#[test]
fn crossed_bounds_are_infeasible() {
    let mut solver = DualActiveSet::new(&DMatrix::identity(2, 2), DenseRows::none(2)).unwrap();
    let ending = solver.solve(&[0.0, 0.0], &[0.0, 1.0], &[1.0, 0.9], &in_time);
    assert_eq!(ending.status, SolveStatus::Infeasible);
}

#[test]
fn nan_is_numerical_and_the_next_solve_is_not() {
    let mut programme = Programme::random(&mut Random::new(6), 5, 5);
    let mut solver = programme.solver();
    assert_eq!(programme.solve(&mut solver), SolveStatus::Solved);
    for spoil in 0..3 {
        let good = solver.x().to_vec();
        let (f, lo, hi) = (programme.f.clone(), programme.lo.clone(), programme.hi.clone());
        match spoil {
            0 => programme.f[1] = f64::NAN,
            1 => programme.lo[7] = f64::NAN,
            _ => programme.f[0] = f64::INFINITY,
        }
        assert_eq!(programme.solve(&mut solver), SolveStatus::Numerical);
        assert_eq!(solver.x(), good, "what is published is the last good point");
        (programme.f, programme.lo, programme.hi) = (f, lo, hi);
        assert_eq!(programme.solve(&mut solver), SolveStatus::Solved);
        assert!(programme.residual(solver.x(), solver.multipliers()) < 1e-8);
    }
}

#[test]
fn a_late_solve_stops_and_the_next_goes_on_from_there() {
    let programme = Programme::random(&mut Random::new(7), 20, 40);
    let mut solver = programme.solver();
    let asked = std::cell::Cell::new(0);
    let late = || {
        asked.set(asked.get() + 1);
        asked.get() > 2
    };
    let ending = solver.solve(programme.f.as_slice(), &programme.lo, &programme.hi, &late);
    assert_eq!(ending.status, SolveStatus::TimeLimit);
    assert_eq!(solver.x(), vec![0.0; 20], "nothing was solved yet");
    let mut endings = 0;
    loop {
        let asked = std::cell::Cell::new(0);
        let late = || {
            asked.set(asked.get() + 1);
            asked.get() > 3
        };
        endings += 1;
        match solver.solve(programme.f.as_slice(), &programme.lo, &programme.hi, &late).status {
            SolveStatus::Solved => break,
            status => assert_eq!(status, SolveStatus::TimeLimit),
        }
        assert!(endings < 100);
    }
    assert!(programme.residual(solver.x(), solver.multipliers()) < 1e-8);
}

#[test]
fn a_solve_allocates_nothing() {
    let mut random = Random::new(8);
    let programmes: Vec<_> = (0..10)
        .map(|_| {
            let (f, lo) = (DVector::from_fn(20, |_, _| 9.0 * random.signed()), vec![-0.5; 50]);
            (f, lo, vec![0.5; 50])
        })
        .collect();
    let base = Programme::random(&mut random, 20, 30);
    let mut solver = base.solver();
    let mut changes = 0;
    let count = allocation_counter::measure(|| {
        for (f, lo, hi) in &programmes {
            changes += solver.solve(f.as_slice(), lo, hi, &in_time).iterations;
        }
    });
    assert!(changes > 50, "{changes} changes are no test");
    assert_eq!(count.count_total, 0);
}

#[test]
fn a_warm_start_at_the_solution_changes_nothing() {
    let programme = Programme::random(&mut Random::new(9), 20, 30);
    let mut solver = programme.solver();
    let cold = solver.solve(programme.f.as_slice(), &programme.lo, &programme.hi, &in_time);
    let warm = solver.solve(programme.f.as_slice(), &programme.lo, &programme.hi, &in_time);
    assert!(cold.iterations > 5 && warm.iterations == 0, "{cold:?} {warm:?}");
    solver.reset();
    let again = solver.solve(programme.f.as_slice(), &programme.lo, &programme.hi, &in_time);
    assert_eq!(again, cold);
}

#[test]
fn what_is_not_a_programme_is_refused() {
    let indefinite = DMatrix::from_row_slice(2, 2, &[1.0, 2.0, 2.0, 1.0]);
    let error = DualActiveSet::new(&indefinite, DenseRows::none(2)).unwrap_err();
    assert_eq!(error, QpError::NotPositiveDefinite { pivot: 1, value: -3.0 });
    let error = DualActiveSet::new(&DMatrix::identity(2, 2), DenseRows::none(3)).unwrap_err();
    assert_eq!(error, QpError::Shape { what: "a row of constraints", got: 3, expected: 2 });
}
