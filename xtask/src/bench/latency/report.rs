//! The report of `outrigger-bench latency`, and the table that a person reads.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::super::table::{NONE, Table, number};
use super::aims::Judged;

/// One measurement under one load.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) load: String,
    pub(super) n: u64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) p999_us: f64,
    pub(super) max_us: f64,
    pub(super) allocs_per_cycle: Option<f64>,
}

/// A run's report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) rows: Vec<Row>,
    /// What belongs to the rows and is no latency.
    pub(super) facts: BTreeMap<String, f64>,
    /// Whether control threads were real-time threads.
    pub(super) rt: bool,
    /// How they ran, in words.
    pub(super) control: String,
    #[serde(default)]
    pub(super) machine: String,
}

/// Rows, aims, facts, machine.
pub(super) fn text(report: &Report, judged: &[Judged]) -> String {
    let mut rows = Table::new(&["measurement", "load", "n", "p50 µs", "p99", "p99.9", "max", "alloc/cycle"]);
    for row in &report.rows {
        let times = [row.p50_us, row.p99_us, row.p999_us, row.max_us].map(|us| number(Some(us)));
        let allocs = row.allocs_per_cycle.map_or_else(|| NONE.to_owned(), |count| format!("{count:.2}"));
        let head = [row.name.clone(), row.load.clone(), row.n.to_string()];
        rows.push(head.into_iter().chain(times).chain([allocs]).collect());
    }
    let mut aims = Table::new(&["aim", "", "measured", "bound"]);
    for it in judged {
        let measured = number(it.measured);
        aims.push(vec![it.aim.what.to_owned(), it.verdict.word().to_owned(), measured, it.aim.bound.to_string()]);
    }
    let mut text = rows.text(2);
    if !judged.is_empty() {
        let _ = write!(text, "\n{}", aims.text(2));
    }
    let facts = report.facts.iter().map(|(name, value)| format!("{name} {value:.0}"));
    let _ = writeln!(text, "\nfacts: {}", facts.collect::<Vec<_>>().join(", "));
    let _ = writeln!(text, "control threads: {}\nmachine: {}", report.control, report.machine);
    text
}

#[cfg(test)]
mod tests {
    use super::super::aims;
    use super::*;

    fn report() -> Report {
        let json = r#"{"rows":[{"name":"cycle/actors","load":"idle","n":100000,"p50_us":1.6,"p99_us":2.1,"p999_us":3.4,
            "max_us":18.0,"allocs_per_cycle":0.0},{"name":"release/pacer","load":"idle","n":10000,"p50_us":12.0,
            "p99_us":20.0,"p999_us":31.0,"max_us":99.0,"allocs_per_cycle":null}],"facts":{"crash/period_us":1000.0},
            "rt":true,"control":"SCHED_FIFO 80"}"#;
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_rows_have_the_keys_that_were_promised_and_no_others() {
        let json = serde_json::to_value(report()).unwrap();
        let keys: Vec<&str> = json["rows"][1].as_object().unwrap().keys().map(String::as_str).collect();
        let mut promised = ["name", "load", "n", "p50_us", "p99_us", "p999_us", "max_us", "allocs_per_cycle"];
        promised.sort_unstable();
        assert_eq!(keys, promised);
        assert!(json["rows"][1]["allocs_per_cycle"].is_null());
    }

    #[test]
    fn a_row_stands_in_the_table_with_its_allocations_or_a_dash() {
        let text = text(&report(), &aims::judge(&report()));
        let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        assert!(line("cycle/actors").contains("1.60") && line("cycle/actors").ends_with("0.00"), "{text}");
        assert!(line("release/pacer").ends_with(NONE), "{text}");
        assert!(text.contains("crash/period_us 1000") && text.contains("SCHED_FIFO 80"), "{text}");
    }
}
