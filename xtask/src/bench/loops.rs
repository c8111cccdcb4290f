//! `cargo xtask bench loops`: many loops in one process, and what a fault in one does to the others.
//!
//! Builds and runs `outrigger-bench loops`, prints its rows with the aims, or as JSON.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use clap::Args;
use serde::{Deserialize, Serialize};

use super::{machine, program};

/// The others' p99 with faults, against theirs without, at most.
const AIM_RATIO: f64 = 1.2;
/// What the process may grow in a phase, KiB.
const AIM_GROWTH_KIB: i64 = 1024;

#[derive(Debug, Args)]
pub(super) struct LoopsArgs {
    /// How many loops; the first three have the faults and are not measured.
    #[arg(long, default_value_t = 50)]
    loops: usize,
    /// Length of each of the two phases, in seconds.
    #[arg(long, default_value_t = 600)]
    seconds: u32,
    /// All loops on one control thread: the negative control.
    #[arg(long)]
    one_thread: bool,
    /// Print one JSON object on standard output; the table goes to standard error.
    #[arg(long)]
    json: bool,
    /// Fail if an aim is missed.
    #[arg(long)]
    strict: bool,
}

#[derive(Debug, Deserialize, Serialize)]
struct Report {
    rows: Vec<Row>,
    faulty: Vec<Faulty>,
    #[serde(default)]
    machine: String,
}

#[derive(Debug, Deserialize, Serialize)]
struct Row {
    name: String,
    load: String,
    n: usize,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
    max_us: f64,
    overruns: u64,
    cycles: u64,
    rss_growth_kib: i64,
    engaged: usize,
}

#[derive(Debug, Deserialize, Serialize)]
struct Faulty {
    fault: String,
    state: String,
    restarts: u64,
    solvers_replaced: u64,
    solvers_hung: usize,
}

/// Runs the command; `false` if `--strict` asked for more than there was.
pub(super) fn run(root: &Path, args: &LoopsArgs) -> Result<bool> {
    let mut list = vec!["loops".to_owned(), "--loops".to_owned(), args.loops.to_string()];
    list.extend(["--periods".to_owned(), args.seconds.to_string()]);
    list.extend(args.one_thread.then(|| "--one-thread".to_owned()));
    let mut report: Report = program::run(root, &list)?;
    report.machine = machine::describe();
    let missed = missed(&report);
    let text = text(&report, &missed)?;
    if args.json {
        eprint!("{text}");
        println!("{}", serde_json::to_string(&report).context("the report as JSON")?);
    } else {
        print!("{text}");
    }
    Ok(!args.strict || missed.is_empty())
}

/// The aims that were missed, in words.
fn missed(report: &Report) -> Vec<String> {
    let mut missed = Vec::new();
    for row in &report.rows {
        let of = |what: String| format!("{} {}: {what}", row.name, row.load);
        if row.overruns > 0 {
            missed.push(of(format!("{} overruns, none allowed", row.overruns)));
        }
        if row.rss_growth_kib > AIM_GROWTH_KIB {
            missed.push(of(format!("memory grew by {} KiB, at most {AIM_GROWTH_KIB}", row.rss_growth_kib)));
        }
    }
    if let [idle, faults] = &report.rows[..] {
        let ratio = faults.p99_us / idle.p99_us;
        // A ratio that is no number is a miss too.
        if ratio.is_nan() || ratio > AIM_RATIO {
            missed.push(format!(
                "{}: p99 with faults elsewhere is {ratio:.2} of that without, at most {AIM_RATIO}",
                idle.name
            ));
        }
    }
    missed
}

fn text(report: &Report, missed: &[String]) -> Result<String> {
    let mut text = format!("{}\n", report.machine);
    for row in &report.rows {
        let Row { name, load, n, p50_us, p99_us, p999_us, max_us, overruns, cycles, rss_growth_kib, engaged } = row;
        writeln!(
            text,
            "{name:<10} {load:<7} p50 {p50_us:>8.1} p99 {p99_us:>8.1} p99.9 {p999_us:>8.1} max {max_us:>9.1} µs; {n} moves in \
             {cycles} cycles, {overruns} overruns, {rss_growth_kib:+} KiB, {engaged} closed"
        )?;
    }
    for Faulty { fault, state, restarts, solvers_replaced, solvers_hung } in &report.faulty {
        writeln!(
            text,
            "           {fault:<18} {state}: {restarts} restarts, {solvers_replaced} solvers replaced, {solvers_hung} hang"
        )?;
    }
    for aim in missed {
        writeln!(text, "missed: {aim}")?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(load: &str, p99_us: f64, overruns: u64, rss_growth_kib: i64) -> Row {
        let (name, load) = ("loops/50".to_owned(), load.to_owned());
        let (p50_us, p999_us, max_us, n, cycles, engaged) = (1.0, p99_us, p99_us, 100, 100, 47);
        Row { name, load, n, p50_us, p99_us, p999_us, max_us, overruns, cycles, rss_growth_kib, engaged }
    }

    fn judged(idle: Row, faults: Row) -> usize {
        missed(&Report { rows: vec![idle, faults], faulty: vec![], machine: String::new() }).len()
    }

    #[test]
    fn every_aim_can_be_missed() {
        assert_eq!(judged(row("idle", 100.0, 0, 10), row("faults", 119.0, 0, 900)), 0);
        assert_eq!(judged(row("idle", 100.0, 1, 10), row("faults", 100.0, 0, 10)), 1);
        assert_eq!(judged(row("idle", 100.0, 0, 1025), row("faults", 100.0, 0, 2000)), 2);
        assert_eq!(judged(row("idle", 100.0, 0, 10), row("faults", 121.0, 0, 10)), 1);
        assert_eq!(judged(row("idle", 100.0, 0, 10), row("faults", f64::NAN, 0, 10)), 1);
    }
}
