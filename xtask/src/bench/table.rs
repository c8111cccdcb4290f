//! The report as a person reads it: a table of the rows by problem with ratios, the aims, and the machine.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::aims::{self, Judged};
use super::rows::{Report, Row};

/// What stands where there is no number.
pub(super) const NONE: &str = "-";

/// The whole text.
pub(super) fn of(report: &Report) -> String {
    let mut text = rows(&report.rows);
    let judged = aims::judge(&report.rows);
    if !judged.is_empty() {
        text.push('\n');
        text.push_str(&aims_table(&judged));
    }
    if !report.machine.is_empty() {
        let _ = writeln!(text, "\nmachine: {}", report.machine);
    }
    text
}

/// Columns of text: the first to the left, the rest to the right.
pub(super) struct Table {
    lines: Vec<Vec<String>>,
    columns: usize,
}

impl Table {
    pub(super) fn new(head: &[&str]) -> Self {
        Self { lines: vec![head.iter().map(|word| (*word).to_owned()).collect()], columns: head.len() }
    }

    pub(super) fn push(&mut self, line: Vec<String>) {
        self.lines.push(line);
    }

    /// With `left` columns to the left.
    pub(super) fn text(&self, left: usize) -> String {
        let length = |text: &String| text.chars().count();
        let width =
            |column: usize| self.lines.iter().filter_map(|line| line.get(column)).map(length).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.columns).map(width).collect();
        let mut text = String::new();
        for line in &self.lines {
            let mut row = String::new();
            for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
                let gap = if column == 0 { "" } else { "  " };
                let _ =
                    if column < left { write!(row, "{gap}{cell:<width$}") } else { write!(row, "{gap}{cell:>width$}") };
            }
            let _ = writeln!(text, "{}", row.trim_end());
        }
        text
    }
}

fn rows(rows: &[Row]) -> String {
    let head = [
        "benchmark",
        "solver",
        "median µs",
        "p99",
        "max",
        "feedback",
        "cost",
        "error",
        "fail",
        "alloc",
        "iter",
        "ours/peer",
        "best peer",
    ];
    let mut table = Table::new(&head);
    for problem in problems(rows) {
        let mut of_problem: Vec<&Row> = rows.iter().filter(|row| row.problem() == problem).collect();
        // Ours first, then by time.
        of_problem.sort_by(|a, b| {
            let key = |row: &Row| (!row.is_ours(), row.median_us.unwrap_or(f64::INFINITY));
            key(a).0.cmp(&key(b).0).then(key(a).1.total_cmp(&key(b).1))
        });
        let best = best_peer(&of_problem);
        for row in of_problem {
            table.push(line(row, best));
        }
    }
    table.text(2)
}

/// Each problem once, in the order of the rows.
fn problems(rows: &[Row]) -> Vec<&str> {
    let mut seen = BTreeMap::new();
    for (at, row) in rows.iter().enumerate() {
        seen.entry(row.problem()).or_insert(at);
    }
    let mut problems: Vec<(usize, &str)> = seen.into_iter().map(|(problem, at)| (at, problem)).collect();
    problems.sort_unstable();
    problems.into_iter().map(|(_, problem)| problem).collect()
}

/// The fastest row that is not ours and did not fail.
fn best_peer<'a>(rows: &[&'a Row]) -> Option<&'a Row> {
    let peers = rows.iter().copied().filter(|row| !row.is_ours() && row.failures.is_none_or(|failures| failures == 0));
    let timed = peers.filter(|row| row.median_us.is_some_and(f64::is_finite));
    timed.min_by(|a, b| a.median_us.unwrap_or(f64::INFINITY).total_cmp(&b.median_us.unwrap_or(f64::INFINITY)))
}

fn line(row: &Row, best: Option<&Row>) -> Vec<String> {
    let best = best.filter(|_| row.is_ours());
    let ratio = best.and_then(|peer| Some(row.median_us? / peer.median_us?));
    let iterations = row.iterations.map(|[median, largest]| format!("{median:.0}/{largest:.0}"));
    let whole = |count: Option<u64>| count.map_or_else(|| NONE.to_owned(), |count| count.to_string());
    vec![
        row.name.clone(),
        row.solver.clone(),
        number(row.median_us),
        number(row.p99_us),
        number(row.max_us),
        number(row.feedback_us),
        row.cost.map_or_else(|| NONE.to_owned(), cost),
        row.error.map_or_else(|| NONE.to_owned(), |error| format!("{error:.0e}")),
        whole(row.failures),
        whole(row.allocations),
        iterations.unwrap_or_else(|| NONE.to_owned()),
        ratio.map_or_else(|| NONE.to_owned(), share),
        best.map_or_else(String::new, |peer| peer.solver.clone()),
    ]
}

/// A time with three figures.
pub(super) fn number(value: Option<f64>) -> String {
    match value {
        Some(value) if value.is_finite() => {
            let decimals = if value < 10.0 {
                2
            } else if value < 100.0 {
                1
            } else {
                0
            };
            format!("{value:.decimals$}")
        }
        _ => NONE.to_owned(),
    }
}

/// A ratio with two figures at least.
fn share(value: f64) -> String {
    let decimals = if value < 0.01 {
        4
    } else if value < 0.1 {
        3
    } else {
        2
    };
    format!("{value:.decimals$}")
}

fn cost(value: f64) -> String {
    if value.abs() < 1.0 { format!("{value:.5}") } else { format!("{value:.3}") }
}

fn aims_table(judged: &[Judged]) -> String {
    let mut table = Table::new(&["aim", "measure", "measured", "at most", "stretch", "", "reference", "ours/ref"]);
    let mut unnamed = 0;
    for it in judged {
        // No failures and no allocations are asked of every row: only where one is missed it is worth a line.
        if it.aim.reference.is_none() && it.aim.at_most <= 0.0 && it.verdict.is_met() {
            unnamed += 1;
            continue;
        }
        let value = |value: f64| if it.aim.measure == aims::Measure::Cost { cost(value) } else { number(Some(value)) };
        let reference = it.aim.reference.map(|reference| format!("{} {}", reference.peer, value(reference.value)));
        let ratio = it.aim.reference.and_then(|reference| Some(it.measured? / reference.value));
        table.push(vec![
            it.row.clone(),
            it.aim.measure.name().to_owned(),
            it.measured.map_or_else(|| NONE.to_owned(), value),
            value(it.aim.at_most),
            it.aim.stretch.map_or_else(String::new, value),
            it.verdict.word().to_owned(),
            reference.unwrap_or_default(),
            ratio.map_or_else(String::new, share),
        ]);
    }
    let met = judged.iter().filter(|judged| judged.verdict.is_met()).count();
    format!(
        "{}\n{met} of {} aims met, {unnamed} of them no failures and no allocations.\n\
         reference: the best peer where the aims were set (AMD EPYC, Zen 5, 2 cores), not this machine.\n",
        table.text(2),
        judged.len()
    )
}

#[cfg(test)]
mod tests {
    use super::super::rows::OURS;
    use super::*;

    fn row(name: &str, solver: &str, median_us: f64) -> Row {
        Row {
            name: name.to_owned(),
            solver: solver.to_owned(),
            median_us: Some(median_us),
            p99_us: Some(2.0 * median_us),
            max_us: Some(3.0 * median_us),
            failures: Some(0),
            allocations: Some(0),
            ..Row::default()
        }
    }

    fn report() -> Report {
        let rows = vec![
            row("qp/quad_4_2_40/ipm", OURS, 40.0),
            row("qp/quad_4_2_40/clarabel", "clarabel", 400.0),
            row("est/kf_4", OURS, 0.2),
            row("qp/quad_4_2_40/osqp", "osqp", 200.0),
            Row { failures: Some(3), ..row("qp/quad_4_2_40/fast", "fast but wrong", 1.0) },
            row("est/kf_4", "statsmodels", 1.6),
        ];
        Report { rows, machine: "a machine".to_owned(), ..Report::default() }
    }

    #[test]
    fn a_row_of_ours_has_the_ratio_to_the_fastest_peer_that_did_not_fail() {
        let text = of(&report());
        let line = text.lines().find(|line| line.starts_with("qp/quad_4_2_40/ipm")).unwrap();
        assert!(line.contains("0.20") && line.ends_with("osqp"), "{line}");
        let line = text.lines().find(|line| line.starts_with("est/kf_4")).unwrap();
        assert!(line.contains("0.12") && line.ends_with("statsmodels"), "{line}");
    }

    #[test]
    fn rows_of_one_problem_stand_together_with_ours_first() {
        let text = of(&report());
        let names: Vec<&str> = text.lines().skip(1).take(6).filter_map(|line| line.split_whitespace().next()).collect();
        let quad = ["qp/quad_4_2_40/ipm", "qp/quad_4_2_40/fast", "qp/quad_4_2_40/osqp", "qp/quad_4_2_40/clarabel"];
        assert_eq!(names[..4], quad);
        assert_eq!(names[4..], ["est/kf_4", "est/kf_4"]);
    }

    #[test]
    fn columns_stand_under_each_other() {
        let text = of(&report());
        let end_of = |line: &str, word: &str| line.find(word).map(|at| line[..at + word.len()].chars().count());
        let head = text.lines().next().unwrap();
        let end = end_of(head, "median µs").unwrap();
        for (line, median) in text.lines().skip(1).zip(["40.0", "1.00", "200", "400", "0.20", "1.60"]) {
            assert_eq!(end_of(line, median), Some(end), "{line}");
        }
        assert!(text.contains("machine: a machine"), "{text}");
    }

    #[test]
    fn an_aim_has_its_mark_and_its_reference() {
        let text = of(&report());
        let line = text.lines().find(|line| line.contains("HPIPM")).unwrap();
        assert!(line.contains("met") && line.contains("45.0") && line.ends_with("0.45"), "{line}");
        let mut slow = report();
        slow.rows[0].median_us = Some(50.0);
        slow.rows[2].failures = Some(1);
        let text = of(&slow);
        assert!(text.lines().any(|line| line.contains("HPIPM") && line.contains("MISSED")), "{text}");
        assert!(
            text.lines()
                .any(|line| line.starts_with("est/kf_4") && line.contains("failures") && line.contains("MISSED")),
            "{text}"
        );
    }

    #[test]
    fn what_was_not_measured_is_a_dash() {
        assert_eq!(
            (number(None), number(Some(f64::NAN)), number(Some(3.456))),
            ("-".to_owned(), "-".to_owned(), "3.46".to_owned())
        );
        assert_eq!((number(Some(34.56)), number(Some(345.6))), ("34.6".to_owned(), "346".to_owned()));
    }
}
