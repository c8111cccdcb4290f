//! A double integrator of two stages, written as the peers' generator writes it, and everything that may be wrong with it.

use control::qp::{Initial, OcpQp};
use serde_json::{Value, json};

use super::*;

/// nx 2, nu 1, N 2, one soft upper bound on the second state: `[u0 x1 x2 s1 | u0 …]`, 8 variables.
///
/// Equations: `x+ = [1 0.5; 0 1] x + [0; 1] u`. Rows beyond: |u| ≤ 1 both sides, `x2 - s ≤ 3`, `-s ≤ 0`, per stage.
fn ocp() -> Value {
    let entries: Vec<(usize, usize, f64)> = vec![
        // Equations of stage 0: x1 - B u0 = b.
        (0, 1, 1.0),
        (1, 2, 1.0),
        (1, 0, -1.0),
        // Of stage 1: x2 - A x1 - B u1 = 0.
        (2, 5, 1.0),
        (2, 1, -1.0),
        (2, 2, -0.5),
        (3, 6, 1.0),
        (3, 2, -1.0),
        (3, 4, -1.0),
        // u ≤ 1, x2 - s ≤ 3, u ≥ -1, s ≥ 0.
        (4, 0, 1.0),
        (5, 2, 1.0),
        (5, 3, -1.0),
        (6, 4, 1.0),
        (7, 6, 1.0),
        (7, 7, -1.0),
        (8, 0, -1.0),
        (9, 3, -1.0),
        (10, 4, -1.0),
        (11, 7, -1.0),
    ];
    let mut sorted = entries;
    sorted.sort_by_key(|(row, column, _)| (*column, *row));
    let colptr: Vec<usize> = (0..=8).map(|c| sorted.iter().filter(|(_, column, _)| *column < c).count()).collect();
    let rowval: Vec<usize> = sorted.iter().map(|(row, ..)| *row).collect();
    let values: Vec<f64> = sorted.iter().map(|(.., value)| *value).collect();
    json!({
        "name": "double", "meta": {"kind": "ocp", "nx": 2, "nu": 1, "N": 2, "ns": 1}, "n": 8, "m": 12, "neq": 4,
        "P": {"colptr": [0, 1, 2, 3, 4, 5, 6, 7, 8], "rowval": [0, 1, 2, 3, 4, 5, 6, 7],
            "nzval": [0.1, 1.0, 2.0, 20.0, 0.1, 1.0, 2.0, 20.0]},
        "A": {"colptr": colptr, "rowval": rowval},
        "A_seq": [values],
        "q_seq": [[0.0, -1.0, 0.0, 10.0, 0.0, -1.0, 0.0, 10.0]],
        "b_seq": [[0.25, 0.5, 0.0, 0.0, 1.0, 3.0, 1.0, 3.0, 1.0, 0.0, 1.0, 0.0]],
        "obj": [-1.0]
    })
}

fn programme(file: &Value) -> OcpQp {
    match parse("x.json", &file.to_string()).unwrap() {
        Sequence::Ocp(sequence) => sequence.programmes[0].clone(),
        Sequence::Dense(_) => panic!("stages expected"),
    }
}

#[test]
#[allow(clippy::float_cmp, reason = "numbers are copied, not computed")]
fn rows_are_put_back_into_stages() {
    let qp = programme(&ocp());
    let dims = qp.dims();
    assert_eq!((dims.nx, dims.nu, dims.horizon, dims.initial), (2, 1, 2, Initial::Fixed));
    assert_eq!(dims.boxed, [1]);
    let soft = dims.soft[1].unwrap();
    assert_eq!((soft.linear, soft.quadratic), (10.0, 20.0));
    assert_eq!((qp.a(1), qp.b(1), qp.c(1)), (&[1.0, 0.0, 0.5, 1.0][..], &[0.0, 1.0][..], &[0.0, 0.0][..]));
    assert_eq!((qp.a(0), qp.x0.as_slice()), (&[1.0, 0.0, 0.0, 1.0][..], &[0.25, 0.5][..]));
    assert_eq!((qp.q_mat(0), qp.q_mat(1)), (&[0.0; 4][..], &[1.0, 0.0, 0.0, 2.0][..]));
    assert_eq!((qp.q(2), qp.r_mat(0)), (&[-1.0, 0.0][..], &[0.1][..]));
    let bounds = qp.bounds(1);
    assert_eq!((bounds.lo, bounds.hi), (&[-1.0, f64::NEG_INFINITY][..], &[1.0, 3.0][..]));
}

/// Changes the file and gives the error in words.
fn refusal(change: impl Fn(&mut Value)) -> String {
    let mut file = ocp();
    change(&mut file);
    parse("x.json", &file.to_string()).unwrap_err().to_string()
}

type Change = &'static dyn Fn(&mut Value);

#[test]
fn every_fault_names_the_file_and_the_key_and_what_was_expected() {
    let cases: [(&str, Change); 11] = [
        ("key `n` is missing, expected present", &|f| drop(f.as_object_mut().unwrap().remove("n"))),
        ("key `m` is a string, expected a whole number", &|f| f["m"] = json!("12")),
        ("key `neq` is 400, expected", &|f| f["neq"] = json!(400)),
        ("key `P.rowval[0]` is 9, expected a whole number below 8", &|f| f["P"]["rowval"][0] = json!(9)),
        ("key `P.nzval` is a list of 1, expected a list of 8", &|f| f["P"]["nzval"] = json!([1.0])),
        ("key `A.colptr` is something else, expected ascending from 0 to 19", &|f| f["A"]["colptr"][1] = json!(19)),
        ("key `A.colptr` is missing, expected present", &|f| drop(f["A"].as_object_mut().unwrap().remove("colptr"))),
        ("key `q_seq[0][2]` is a string, expected a number", &|f| f["q_seq"][0][2] = json!("2")),
        ("key `b_seq` is 2 lists, expected 1 lists, as `obj` has 1", &|f| {
            let first = f["b_seq"][0].clone();
            f["b_seq"] = json!([first, first]);
        }),
        ("key `obj` is an empty list, expected one objective per step", &|f| f["obj"] = json!([])),
        ("key `meta.ns` is missing or no whole number, expected", &|f| {
            drop(f["meta"].as_object_mut().unwrap().remove("ns"))
        }),
    ];
    for (expected, change) in cases {
        let said = refusal(change);
        assert!(said.starts_with("x.json: ") && said.contains(expected), "{said}\nexpected {expected}");
    }
    let said = parse("x.json", "{\"n\": 1,").unwrap_err().to_string();
    assert!(said.contains("x.json: not JSON") && said.contains("line 1"), "{said}");
    let said = read(Path::new("no/such/file.json")).unwrap_err().to_string();
    assert!(said.starts_with("no/such/file.json"), "{said}");
}

/// A matrix whose entries contradict `meta` is told by row and column.
#[test]
fn an_entry_without_a_place_in_the_stages_is_told_by_row_and_column() {
    let value_at = |file: &Value, row: u64, column: usize| {
        let (from, to) =
            (file["A"]["colptr"][column].as_u64().unwrap(), file["A"]["colptr"][column + 1].as_u64().unwrap());
        (from..to).find(|at| file["A"]["rowval"][*at as usize] == json!(row)).unwrap() as usize
    };
    // The next state's own factor is not 1.
    let said = refusal(|f| {
        let at = value_at(f, 0, 1);
        f["A_seq"][0][at] = json!(2.0);
    });
    assert!(said.contains("row 0, column 1 of `A`: not of the form"), "{said}");
    // A slack that pays twice.
    let said = refusal(|f| {
        let at = value_at(f, 5, 3);
        f["A_seq"][0][at] = json!(-2.0);
    });
    assert!(said.contains("row 5, column 3 of `A`: a slack whose factor"), "{said}");
    // A cost between stages.
    let said = refusal(|f| f["P"]["rowval"][4] = json!(0));
    assert!(said.contains("row 0, column 4 of `P`: a cost that couples stages"), "{said}");
    // A slack that costs nothing in the square.
    let said = refusal(|f| f["P"]["nzval"][3] = json!(0.0));
    assert!(said.contains("of `P`: a slack without a quadratic price"), "{said}");
}

#[test]
fn no_truncated_file_panics() {
    let whole = ocp().to_string();
    for end in (0..whole.len()).step_by(7) {
        assert!(parse("x.json", &whole[..end]).is_err(), "{end}");
    }
}

/// `min ½|z|² - z_1 - z_2` in two variables: `-1 ≤ z_1 + z_2 ≤ 1` as two rows, `z_1 ≤ 0.25` as `2 z_1 ≤ 0.5`, one equation.
fn dense() -> Value {
    json!({
        "name": "small", "meta": {"kind": "dmc"}, "n": 2, "m": 4, "neq": 1,
        "P": {"colptr": [0, 1, 2], "rowval": [0, 1], "nzval": [1.0, 1.0]},
        "A": {"colptr": [0, 4, 7], "rowval": [0, 1, 2, 3, 0, 1, 3]},
        "A_seq": [[1.0, 1.0, 2.0, -1.0, -1.0, 1.0, -1.0]],
        "q_seq": [[-1.0, -1.0]], "b_seq": [[0.125, 1.0, 0.5, 1.0]], "obj": [0.0]
    })
}

#[test]
#[allow(clippy::float_cmp, reason = "numbers are copied, not computed")]
fn opposite_rows_become_one_with_two_sides_and_single_entries_become_bounds() {
    let Sequence::Dense(sequence) = parse("x.json", &dense().to_string()).unwrap() else { panic!("dense expected") };
    let crate::qp::DenseMatrix::General(matrix) = &sequence.rows else { panic!("a matrix expected") };
    assert_eq!(matrix, &nalgebra::DMatrix::from_row_slice(2, 2, &[1.0, -1.0, 1.0, 1.0]));
    let step = &sequence.steps[0];
    let none = f64::INFINITY;
    assert_eq!(
        (step.lo.as_slice(), step.hi.as_slice()),
        (&[-none, -none, 0.125, -1.0][..], &[0.25, none, 0.125, 1.0][..])
    );
}

#[test]
fn a_dense_sequence_whose_rows_change_is_refused() {
    let mut file = dense();
    for key in ["A_seq", "q_seq", "b_seq"] {
        let first = file[key][0].clone();
        file[key] = json!([first, first]);
    }
    file["obj"] = json!([0.0, 0.0]);
    let said = parse("x.json", &file.to_string()).unwrap_err().to_string();
    assert!(said.contains("key `A_seq` is 2 lists, expected 1 list"), "{said}");
}
