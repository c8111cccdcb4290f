//! Tables out of text, and their faults.

use super::*;

#[test]
fn commas_semicolons_and_blanks_part_the_cells() {
    for text in ["t,q\n1,2.5\n2,3\n", "t;q\n1;2.5\n\n2;3", "# a comment\n  t  q\n 1\t2.5\n 2   3e0\n"] {
        let table = Table::parse("steps", text).unwrap();
        assert_eq!(table.names, ["t", "q"]);
        assert_eq!(table.values, DMatrix::from_row_slice(2, 2, &[1.0, 2.5, 2.0, 3.0]));
    }
    assert_eq!(Table::parse("steps", "1 2\n3 4").unwrap().names, ["1", "2"]);
}

#[test]
fn a_fault_is_told_with_its_place_and_what_was_expected() {
    let told = |text: &str| Table::parse("steps.csv", text).unwrap_err().to_string();
    assert_eq!(told("t,q\n1,2\n\n# pause\n2,bad\n"), "steps.csv, line 5, column `q`: `bad`, expected a finite number");
    assert_eq!(told("t,q\n1,NaN\n"), "steps.csv, line 2, column `q`: `NaN`, expected a finite number");
    assert_eq!(told("t,q\n1,\n"), "steps.csv, line 2, column `q`: ``, expected a finite number");
    assert_eq!(told("t,q\n1,2,3\n"), "steps.csv, line 2: 3 cells, expected 2");
    assert_eq!(told("t,q\n"), "steps.csv: no rows of numbers");
    assert_eq!(told("# only\n"), "steps.csv: no rows of numbers");
}

#[test]
fn a_column_that_is_not_there_is_told_with_those_that_are() {
    let table = Table::parse("steps.csv", "t,q\n1,2\n").unwrap();
    let fault = DataSet::from_table(&table, &["q"], &["ca"], 1.0).unwrap_err();
    assert_eq!(fault.to_string(), r#"steps.csv: no column `ca`, there are ["t", "q"]"#);
    let fault = DataSet::from_table(&table, &["q"], &["t"], 0.0).unwrap_err();
    assert_eq!(fault.to_string(), "period is 0, expected a positive number");
}
