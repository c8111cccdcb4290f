//! `cargo xtask prove`: what can be said of the interlock by machine. Properties, a model checker with its seeded bugs, a fuzzer,
//! mutants, and kills of the whole runtime.
//!
//! The short form is for every change, the long form for what is claimed in `docs/proof.md`. Each part is a program or a test
//! run of its own; what they print is read, and nothing of them is linked here.

mod mutants;
mod program;

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;

use crate::stopwatch::Stopwatch;
use mutants::Mutants;
use program::{Checked, Fuzzed};

/// Prove what can be proven by machine: properties, model checker, fuzzing, mutants, kills.
#[derive(Debug, Args)]
pub(crate) struct ProveArgs {
    /// Everything that docs/proof.md claims, mutants too: an hour and a half.
    #[arg(long)]
    long: bool,
    /// Print one JSON object on standard output.
    #[arg(long)]
    json: bool,
    /// Only these parts.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
}

/// A part of the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Properties,
    Check,
    Fuzz,
    Mutants,
    Kills,
}

/// What the parts came to. What was not asked for, or could not be run, is null.
#[derive(Debug, Default, Serialize)]
struct Report {
    long: bool,
    passed: bool,
    seconds: f64,
    properties: Option<bool>,
    states: Option<u64>,
    seeded_bugs: Option<usize>,
    seeded_found: Option<usize>,
    fuzz_steps: Option<u64>,
    unsafe_writes: Option<u64>,
    mutants: Option<u64>,
    caught: Option<u64>,
    kills: Option<u32>,
    wall_kills: Option<u32>,
    /// What did not hold, or could not be shown.
    faults: Vec<String>,
}

/// Fewest unique states of the long form.
const STATES_LONG: u64 = 1_000_000;
/// Steps of the fuzzer in the short form.
const FUZZ_STEPS_SHORT: &str = "1000000";
/// And in the long one.
const FUZZ_STEPS_LONG: &str = "20000000";
/// The kills that the long tests do, by their names' word.
const KILLS: [(&str, &str, &str, u32); 2] = [
    (
        "kill_campaign",
        "a_thousand_kills_of_the_runtime_leave_the_dcs_with_its_mvs_and_nothing_returns_by_itself",
        "virtual",
        1000,
    ),
    (
        "over_the_wire",
        "takeover::wall_twenty_kills_at_random_moments_leave_the_dcs_with_its_mvs_and_nothing_returns_by_itself",
        "wall",
        20,
    ),
];
const KILLS_SHORT: (&str, u32) =
    ("forty_kills_of_the_runtime_leave_the_dcs_with_its_mvs_and_nothing_returns_by_itself", 40);

/// Proves one part.
type Prove = fn(&Path, &mut Report) -> Result<()>;

/// Runs the parts in order; `false` if one of them failed.
pub(crate) fn run(args: &ProveArgs) -> Result<bool> {
    let (root, whole) = (crate::root()?, Stopwatch::start());
    let mut report = Report { long: args.long, ..Report::default() };
    let parts: [(Part, Prove); 5] = [
        (Part::Properties, properties),
        (Part::Check, check),
        (Part::Fuzz, fuzz),
        (Part::Mutants, mutate),
        (Part::Kills, kills),
    ];
    for (part, prove) in parts {
        let asked = if args.only.is_empty() { args.long || part != Part::Mutants } else { args.only.contains(&part) };
        if !asked {
            continue;
        }
        let watch = Stopwatch::start();
        eprintln!("\n==> prove: {part:?}");
        let before = report.faults.len();
        if let Err(error) = prove(&root, &mut report) {
            report.faults.push(format!("{part:?}: {error:#}"));
        }
        let word = if report.faults.len() == before { "holds" } else { "FAILED" };
        eprintln!("<== prove: {part:?}: {word} after {:.0} s", watch.seconds());
    }
    report.passed = report.faults.is_empty();
    report.seconds = whole.seconds();
    report.faults.iter().for_each(|fault| eprintln!("prove: {fault}"));
    if args.json {
        println!("{}", serde_json::to_string(&report).context("the report as JSON")?);
    } else {
        println!("{}", table(&report));
    }
    Ok(report.passed)
}

fn table(report: &Report) -> String {
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let count = |count: Option<usize>| number(count.and_then(|count| u64::try_from(count).ok()));
    let kills = |kills: Option<u32>| number(kills.map(u64::from));
    let rows = [
        ("unique states of the model", number(report.states)),
        ("seeded bugs", count(report.seeded_bugs)),
        ("  of them found", count(report.seeded_found)),
        ("steps fuzzed", number(report.fuzz_steps)),
        ("  unsafe writes", number(report.unsafe_writes)),
        ("mutants", number(report.mutants)),
        ("  of them caught", number(report.caught)),
        ("kills in virtual time", kills(report.kills)),
        ("kills in real time", kills(report.wall_kills)),
        ("", format!("{} after {:.0} s", if report.passed { "passed" } else { "FAILED" }, report.seconds)),
    ];
    rows.iter().map(|(what, value)| format!("{what:28} {value}")).collect::<Vec<_>>().join("\n")
}

/// The property tests of the interlock, and all its others.
fn properties(root: &Path, report: &mut Report) -> Result<()> {
    let passed = tests(root, &["--package", "safety", "--lib"])?;
    report.properties = Some(passed);
    report.expect(passed, "the tests of safety fail");
    Ok(())
}

fn check(root: &Path, report: &mut Report) -> Result<()> {
    let short = ["check", "--scans", "7", "--oddities", "2", "--bug-oddities", "2"];
    let long = ["check", "--scans", "7", "--oddities", "3", "--bug-oddities", "3"];
    let checked: Checked = program::run(root, if report.long { &long } else { &short })?;
    let found = checked.seeded.iter().filter(|seeded| seeded.is_found()).count();
    (report.states, report.seeded_bugs) = (Some(checked.states), Some(checked.seeded.len()));
    report.seeded_found = Some(found);
    report.expect(checked.clean.iter().all(program::Clean::holds), "the model without a bug is not clean");
    report.expect(found == checked.seeded.len() && found >= 10, "a seeded bug is not found");
    let enough = !report.long || checked.states >= STATES_LONG;
    report.expect(enough, "fewer states than the long form has to go through");
    Ok(())
}

fn fuzz(root: &Path, report: &mut Report) -> Result<()> {
    let steps = if report.long { FUZZ_STEPS_LONG } else { FUZZ_STEPS_SHORT };
    let fuzzed: Fuzzed = program::run(root, &["fuzz", "--steps", steps])?;
    (report.fuzz_steps, report.unsafe_writes) = (Some(fuzzed.steps), Some(fuzzed.unsafe_writes));
    report.expect(fuzzed.unsafe_writes == 0, "the fuzzer found an unsafe write");
    report.expect(fuzzed.engagements > 0 && fuzzed.moves > 0, "the fuzzer engaged and moved nothing");
    if report.long {
        report.expect(program::cargo_fuzz(root)?, "cargo fuzz failed");
    }
    Ok(())
}

fn mutate(root: &Path, report: &mut Report) -> Result<()> {
    let Some(Mutants { caught, missed, timeout }) = mutants::run(root)? else {
        report.expect(false, "cargo-mutants is missing: cargo install cargo-mutants --locked");
        return Ok(());
    };
    report.mutants = Some(caught + missed + timeout);
    report.caught = Some(caught + timeout);
    report.expect(missed == 0, "a mutant survives and is not explained");
    report.expect(caught > 0, "no mutant was tried");
    Ok(())
}

fn kills(root: &Path, report: &mut Report) -> Result<()> {
    if !report.long {
        let (name, kills) = KILLS_SHORT;
        let passed = tests(root, &["--workspace", "--test", "kill_campaign", "--", "--exact", name])?;
        report.kills = passed.then_some(kills);
        report.expect(passed, "the kill campaign failed");
        return Ok(());
    }
    for (file, name, time, count) in KILLS {
        let args = ["--workspace", "--test", file, "--", "--ignored", "--nocapture", "--exact", name];
        let passed = tests(root, &args)?.then_some(count);
        *if time == "wall" { &mut report.wall_kills } else { &mut report.kills } = passed;
        report.expect(passed.is_some(), &format!("{file}: the kill campaign failed"));
    }
    Ok(())
}

impl Report {
    fn expect(&mut self, holds: bool, fault: &str) {
        if !holds {
            self.faults.push(fault.to_owned());
        }
    }
}

/// Whether tests pass; their own output goes to standard error.
fn tests(root: &Path, args: &[&str]) -> Result<bool> {
    eprintln!("    cargo test {}", args.join(" "));
    let mut command = Command::new(crate::cargo());
    command.arg("test").arg("--locked").args(args).current_dir(root);
    // Where a foreign client is part of the proof, its absence is no proof.
    command.env("OUTRIGGER_REQUIRE_PYTHON", "1");
    command.stdin(Stdio::null()).stdout(std::io::stderr());
    Ok(command.status().context("cargo cannot be started")?.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_hold_is_a_fault_and_what_was_not_tried_is_null() {
        let mut report = Report::default();
        report.expect(true, "held");
        assert!(report.faults.is_empty());
        report.expect(false, "broken");
        assert_eq!(report.faults, ["broken"]);
        let json = serde_json::to_value(&report).unwrap();
        for key in ["states", "seeded_bugs", "seeded_found", "mutants", "caught", "fuzz_steps", "unsafe_writes"] {
            assert!(json.get(key).is_some_and(serde_json::Value::is_null), "{key}");
        }
        assert!(table(&report).contains("FAILED"));
    }
}
