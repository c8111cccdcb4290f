//! The linear filter against the textbook's matrices, in awkward places, and when it must give up.

use super::steady::RESIDUAL_MAX;
use super::*;
use crate::test_support::Random;

/// A chain of `masses` unit masses between walls, springs 1, dampers 0.1, sampled at 0.5, one force; the first half of
/// the states measured: the timing problem of the benchmark.
pub(crate) fn masses(masses: usize) -> LinearModel {
    let (m, nx) = (masses, 2 * masses);
    let mut ac = DMatrix::zeros(nx + 1, nx + 1);
    for i in 0..m {
        ac[(i, m + i)] = 1.0;
        for (j, l) in [(i.wrapping_sub(1), 1.0), (i, -2.0), (i + 1, 1.0)] {
            if j < m {
                ac[(m + i, j)] = l;
                ac[(m + i, m + j)] = 0.1 * l;
            }
        }
    }
    ac[(m + m / 2, nx)] = 1.0;
    let e = (ac * 0.5).exp();
    LinearModel {
        a: e.view((0, 0), (nx, nx)).into_owned(),
        b: e.view((0, nx), (nx, 1)).into_owned(),
        c: DMatrix::identity(nx / 2, nx),
        q: 0.01 * DMatrix::identity(nx, nx),
        r: vec![0.1; nx / 2],
    }
}

fn random_model(nx: usize, ny: usize, random: &mut Random) -> LinearModel {
    let mut matrix = |rows, columns| DMatrix::from_fn(rows, columns, |_, _| random.signed());
    let (a, b, c, root) = (matrix(nx, nx), matrix(nx, 2), matrix(ny, nx), matrix(nx, nx));
    let a = a.scale(0.95 / a.norm().max(1.0));
    LinearModel { a, b, c, q: &root * root.transpose(), r: (0..ny).map(|i| 0.3 + i as f64).collect() }
}

/// The textbook: all rows at once, Joseph's form, a Cholesky factor of S.
struct Textbook {
    x: DMatrix<f64>,
    p: DMatrix<f64>,
}

impl Textbook {
    fn step(&mut self, model: &LinearModel, u: &[f64], y: &[f64]) -> f64 {
        let u = DMatrix::from_column_slice(u.len(), 1, u);
        self.x = &model.a * &self.x + &model.b * u;
        self.p = &model.a * &self.p * model.a.transpose() + &model.q;
        let there: Vec<usize> = (0..y.len()).filter(|i| y[*i].is_finite()).collect();
        let c = model.c.select_rows(&there);
        let r = DMatrix::from_fn(there.len(), there.len(), |i, j| if i == j { model.r[there[i]] } else { 0.0 });
        let y = DMatrix::from_fn(there.len(), 1, |i, _| y[there[i]]);
        let s = (&c * &self.p * c.transpose() + &r).cholesky().unwrap();
        let k = s.solve(&(&c * &self.p)).transpose();
        let nu = y - &c * &self.x;
        self.x += &k * &nu;
        let rest = DMatrix::identity(self.p.nrows(), self.p.nrows()) - &k * c;
        self.p = &rest * &self.p * rest.transpose() + &k * r * k.transpose();
        (nu.transpose() * s.solve(&nu))[(0, 0)] + 1e-3 * (s.determinant().ln() - 0.0)
    }
}

#[test]
fn every_size_equals_the_textbook_with_rows_missing() {
    let mut random = Random::new(5);
    for nx in 1..=27 {
        let ny = 1 + nx * 2 / 3;
        let model = random_model(nx, ny, &mut random);
        let x0: Vec<f64> = (0..nx).map(|_| random.signed()).collect();
        let p0 = DMatrix::from_diagonal_element(nx, nx, 2.0);
        let mut filter = Kalman::new(&model, &x0, &p0).unwrap();
        let mut textbook = Textbook { x: DMatrix::from_column_slice(nx, 1, &x0), p: p0 };
        for k in 0..30 {
            let u = [random.signed(), random.signed()];
            let y: Vec<f64> = (0..ny).map(|i| if (k + i) % 4 == 3 { f64::NAN } else { random.signed() }).collect();
            let got = filter.step(&u, &y);
            let want = textbook.step(&model, &u, &y);
            let there = y.iter().filter(|y| y.is_finite()).count();
            let log_det = -2.0 * got.log_likelihood - got.nis - f64::from(got.measured) * std::f64::consts::TAU.ln();
            assert_eq!(got.measured as usize, there);
            assert!((got.nis + 1e-3 * log_det - want).abs() < 1e-9 * want.abs().max(1.0), "nx {nx}: {got:?} {want}");
            for i in 0..nx {
                assert!((filter.x()[i] - textbook.x[i]).abs() < 1e-10, "nx {nx} x[{i}]");
                for j in 0..nx {
                    assert!((filter.covariance(i, j) - textbook.p[(i, j)]).abs() < 1e-10, "nx {nx} P[{i}, {j}]");
                    assert_eq!(filter.covariance(i, j).to_bits(), filter.covariance(j, i).to_bits());
                }
            }
        }
    }
}

#[test]
fn exact_sensors_and_a_poor_start_leave_a_definite_covariance() {
    // Variances 20 orders apart: the plain P - K C P in one piece loses its sign here.
    let mut model = masses(5);
    model.q.fill(0.0);
    model.r = vec![1e-10; 5];
    let p0 = DMatrix::from_diagonal_element(10, 10, 1e4);
    let mut filter = Kalman::new(&model, &[0.0; 10], &p0).unwrap();
    for k in 0..2000 {
        let y: Vec<f64> = (0..5).map(|i| (0.1 * f64::from(k) + f64::from(i)).sin()).collect();
        assert_eq!(filter.step(&[0.0], &y).outcome, Outcome::Corrected, "step {k}");
    }
    let p = DMatrix::from_fn(10, 10, |i, j| filter.covariance(i, j));
    let least = p.symmetric_eigenvalues().min();
    assert!(least > -1e-12, "least eigenvalue {least}");
}

#[test]
fn a_nan_row_is_left_out_and_wrong_lengths_change_nothing() {
    let model = masses(2);
    let new = || Kalman::new(&model, &[0.0; 4], &DMatrix::identity(4, 4)).unwrap();
    let (mut with, mut without) = (new(), new());
    assert_eq!(with.step(&[0.5], &[1.0, f64::NAN]).measured, 1);
    assert_eq!(without.step(&[0.5], &[1.0, f64::INFINITY]).measured, 1);
    assert_eq!(with.memory(), without.memory());
    assert!(with.x().iter().all(|x| x.is_finite()));
    let before = with.memory();
    for (u, y) in [(&[][..], &[1.0, 1.0][..]), (&[0.0], &[1.0]), (&[f64::NAN], &[1.0, 1.0]), (&[0.0; 2], &[1.0; 2])] {
        assert_eq!(with.step(u, y).outcome, Outcome::Refused);
        assert_eq!(with.memory(), before);
    }
    // Negative control: a finite row in its place does move the state.
    with.step(&[0.5], &[1.0, 1.0]);
    assert_ne!(with.memory(), before);
}

#[test]
fn what_nothing_observes_and_grows_is_lost_and_begun_anew() {
    let mut model = masses(2);
    model.a = DMatrix::from_diagonal(&nalgebra::DVector::from_row_slice(&[0.9, 0.9, 0.9, 2.0]));
    let mut filter = Kalman::new(&model, &[0.0; 4], &DMatrix::identity(4, 4)).unwrap();
    let lost = (0..100).find(|_| filter.step(&[0.0], &[1.0, 1.0]).outcome == Outcome::Lost);
    assert_eq!(lost, Some(19), "variance 4^k passes 1e12 after 20 periods");
    assert!((filter.covariance(3, 3) - 1.0).abs() < 1e-15);
    assert_eq!(filter.step(&[0.0], &[1.0, 1.0]).outcome, Outcome::Corrected);
    // Negative control: with that state measured the same plant is held.
    model.c[(1, 1)] = 0.0;
    model.c[(1, 3)] = 1.0;
    let mut filter = Kalman::new(&model, &[0.0; 4], &DMatrix::identity(4, 4)).unwrap();
    assert!((0..100).all(|_| filter.step(&[0.0], &[1.0, 1.0]).outcome == Outcome::Corrected));
}

#[test]
fn an_input_beyond_random_is_an_outcome() {
    let mut model = masses(2);
    model.b *= 100.0;
    let mut filter = Kalman::new(&model, &[0.0; 4], &DMatrix::identity(4, 4)).unwrap();
    assert_eq!(filter.step(&[f64::MAX], &[1.0, 1.0]).outcome, Outcome::Lost);
    assert!(filter.x().iter().all(|x| x.abs() < 1.0));
}

#[test]
fn the_steady_gain_is_where_the_filter_settles() {
    for m in [1, 2, 10, 25] {
        let model = masses(m);
        let solution = riccati(&model).unwrap();
        assert!(solution.residual <= RESIDUAL_MAX);
        let nx = 2 * m;
        let mut filter = Kalman::new(&model, &vec![0.0; nx], &DMatrix::identity(nx, nx)).unwrap();
        let mut steady = SteadyKalman::new(&model, &vec![0.0; nx]).unwrap();
        let mut random = Random::new(3);
        let mut last = (0.0, 0.0);
        for _ in 0..600 {
            let u = [random.signed()];
            let y: Vec<f64> = (0..model.c.nrows()).map(|_| random.signed()).collect();
            last = (filter.step(&u, &y).nis, steady.step(&u, &y).nis);
        }
        let pc = &solution.p * model.c.transpose();
        for i in 0..nx {
            assert!((filter.x()[i] - steady.x()[i]).abs() < 1e-9, "{m} masses, x[{i}]");
            let posterior = solution.p[(i, i)] - (solution.gain.row(i) * pc.row(i).transpose())[(0, 0)];
            assert!((filter.covariance(i, i) - posterior).abs() < 1e-9, "{m} masses, P[{i}, {i}]");
        }
        assert!((last.0 - last.1).abs() < 1e-8 * last.0.abs().max(1.0), "{last:?}");
    }
}

#[test]
fn a_scalar_riccati_equation_has_its_closed_form() {
    // p = a² p r / (p + r) + q, the positive root of p² + p (r (1 - a²) - q) - q r = 0.
    for (a, q, r) in [(0.9, 0.1, 1.0), (1.0, 0.01, 0.5), (1.2, 0.0, 2.0), (0.5, 1e-6, 1e3)] {
        let one = |v| DMatrix::from_element(1, 1, v);
        let model = LinearModel { a: one(a), b: DMatrix::zeros(1, 0), c: one(1.0), q: one(q), r: vec![r] };
        let half: f64 = 0.5 * (r * (1.0 - a * a) - q);
        let root = (half * half + q * r).sqrt();
        let want = if half > 0.0 { q * r / (half + root) } else { root - half };
        match riccati(&model) {
            Ok(solution) => assert!((solution.p[0] / want - 1.0).abs() < 1e-9, "{a} {q} {r}: {} {want}", solution.p[0]),
            // Without noise the doubling starts from P = 0 and stays there, which does not stabilise: refused.
            Err(error) => assert!(a > 1.0 && q == 0.0, "{error}"),
        }
    }
}

#[test]
fn an_unstable_mode_that_is_not_measured_has_no_steady_gain() {
    let mut model = masses(2);
    model.a = DMatrix::from_diagonal(&nalgebra::DVector::from_row_slice(&[0.9, 0.9, 0.9, 1.1]));
    assert!(matches!(riccati(&model), Err(EstimationError::NoSteadyState { .. })));
    assert!(SteadyKalman::new(&model, &[0.0; 4]).is_err());
    model.c[(1, 3)] = 1.0;
    assert!(riccati(&model).is_ok(), "negative control: measured, it has one");
}

#[test]
fn a_model_that_does_not_fit_is_refused() {
    type Bad = (fn(&mut LinearModel), &'static str);
    let table: [Bad; 6] = [
        (|m| m.a = DMatrix::zeros(4, 3), "a has 3 entries, expected 4"),
        (|m| m.c = DMatrix::zeros(2, 5), "c has 5 entries, expected 4"),
        (|m| m.r = vec![0.1; 3], "r has 3 entries, expected 2"),
        (|m| m.r[1] = 0.0, "r entry 1 is 0, expected a finite number above 0"),
        (|m| m.q[(0, 1)] = 0.5, "q is no covariance"),
        (|m| m.b[2] = f64::NAN, "b entry 2 is NaN"),
    ];
    for (spoil, expected) in table {
        let mut model = masses(2);
        spoil(&mut model);
        let message = Kalman::new(&model, &[0.0; 4], &DMatrix::identity(4, 4)).unwrap_err().to_string();
        assert!(message.starts_with(expected), "{message}");
    }
    let negative = DMatrix::from_diagonal_element(4, 4, -1.0);
    assert!(Kalman::new(&masses(2), &[0.0; 4], &negative).is_err());
}

#[test]
fn a_step_does_not_allocate() {
    let model = masses(10);
    let mut filter = Kalman::new(&model, &[0.0; 20], &DMatrix::identity(20, 20)).unwrap();
    let mut steady = SteadyKalman::new(&model, &[0.0; 20]).unwrap();
    let mut memory = filter.memory();
    let mut y = vec![1.0; 10];
    y[3] = f64::NAN;
    let counted = allocation_counter::measure(|| {
        for _ in 0..50 {
            filter.step(&[0.1], &y);
            steady.step(&[0.1], &y);
            filter.save(&mut memory);
            filter.load(&memory);
        }
    });
    assert_eq!(counted.count_total, 0);
}
