//! The convolution against the rows written out.

use nalgebra::{DMatrix, DVector};
use signals::SolveStatus;

use crate::qp::active_set::{DenseRows, DualActiveSet, QpError, Rows, StepResponseRows, StepResponseShape};
use crate::test_support::{Random, in_time};

fn random_rows(random: &mut Random, shape: StepResponseShape) -> StepResponseRows {
    let count = shape.outputs * shape.inputs * shape.horizon;
    let coefficients: Vec<f64> = (0..count).map(|_| random.signed()).collect();
    StepResponseRows::new(shape, &coefficients).unwrap()
}

fn written_out(rows: &StepResponseRows) -> DMatrix<f64> {
    let mut matrix = DMatrix::zeros(rows.rows(), rows.columns());
    let mut row = vec![0.0; rows.columns()];
    for i in 0..rows.rows() {
        rows.row_into(i, &mut row);
        matrix.row_mut(i).copy_from_slice(&row);
    }
    matrix
}

#[test]
fn the_rows_are_those_of_dynamic_matrix_control() {
    // Two samples of a pair that answers 1 then 3, two moves, one slack.
    let shape = StepResponseShape { outputs: 1, inputs: 1, horizon: 3, moves: 2, slack: true };
    let rows = StepResponseRows::new(shape, &[1.0, 3.0, 4.0]).unwrap();
    #[rustfmt::skip]
    let expected = DMatrix::from_row_slice(8, 3, &[
        1.0, 0.0, -1.0,
        3.0, 1.0, -1.0,
        4.0, 3.0, -1.0,
        1.0, 0.0, 1.0,
        3.0, 1.0, 1.0,
        4.0, 3.0, 1.0,
        1.0, 0.0, 0.0,
        1.0, 1.0, 0.0,
    ]);
    assert_eq!(written_out(&rows), expected);
}

#[test]
fn the_product_is_that_of_the_rows_written_out() {
    let mut random = Random::new(20);
    for case in 0..60 {
        let horizon = 1 + random.below(40);
        let shape = StepResponseShape {
            outputs: 1 + random.below(3),
            inputs: 1 + random.below(3),
            horizon,
            moves: 1 + random.below(horizon),
            slack: case % 2 == 0,
        };
        let rows = random_rows(&mut random, shape);
        let x = DVector::from_fn(rows.columns(), |_, _| random.signed());
        let mut product = vec![f64::NAN; rows.rows()];
        rows.times(x.as_slice(), &mut product);
        let expected = written_out(&rows) * x;
        let worst = (DVector::from_vec(product) - expected).amax();
        assert!(worst < 1e-13, "{shape:?}: {worst}");
    }
}

#[test]
fn both_forms_of_the_rows_lead_to_the_same_moves() {
    let mut random = Random::new(21);
    let shape = StepResponseShape { outputs: 2, inputs: 2, horizon: 12, moves: 4, slack: true };
    let rows = random_rows(&mut random, shape);
    let matrix = written_out(&rows);
    let hessian = matrix.transpose() * &matrix + DMatrix::identity(rows.columns(), rows.columns());
    let all = rows.columns() + rows.rows();
    let mut by_structure = DualActiveSet::new(&hessian, rows).unwrap();
    let mut by_matrix = DualActiveSet::new(&hessian, DenseRows::new(&matrix)).unwrap();
    for _ in 0..20 {
        let f: Vec<f64> = (0..hessian.nrows()).map(|_| 30.0 * random.signed()).collect();
        let (lo, hi) = (vec![-0.3; all], vec![0.3; all]);
        assert_eq!(by_structure.solve(&f, &lo, &hi, &in_time).status, SolveStatus::Solved);
        assert_eq!(by_matrix.solve(&f, &lo, &hi, &in_time).status, SolveStatus::Solved);
        for (a, b) in by_structure.x().iter().zip(by_matrix.x()) {
            assert!((a - b).abs() < 1e-9, "{a} against {b}");
        }
    }
}

#[test]
fn coefficients_that_do_not_fit_are_refused() {
    let shape = StepResponseShape { outputs: 1, inputs: 2, horizon: 3, moves: 2, slack: false };
    let error = StepResponseRows::new(shape, &[0.0; 5]).unwrap_err();
    assert_eq!(error, QpError::Shape { what: "the step responses", got: 5, expected: 6 });
}
