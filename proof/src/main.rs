//! `outrigger-prove`: runs the model checker and the fuzzing, and prints one JSON object. `cargo xtask prove` builds it, runs
//! it, and judges.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool: printing is its job")]

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use proof::fuzz;
use proof::model::{self, Bounds, Bug, Clean, Grain, Seeded};
use safety::Reach;
use serde::Serialize;

/// Prove what can be proven by machine; one JSON object on standard output, progress on standard error.
#[derive(Debug, Parser)]
#[command(name = "outrigger-prove", max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The model checker: clean without a bug, and every seeded bug found.
    Check(CheckArgs),
    /// The step of the interlock under arbitrary lives.
    Fuzz(FuzzArgs),
}

#[derive(Debug, Args)]
struct CheckArgs {
    /// Scans of a life.
    #[arg(long, default_value_t = 9)]
    scans: u8,
    /// Oddities of a life.
    #[arg(long, default_value_t = 2)]
    oddities: u8,
    /// Most oddities with which a seeded bug is looked for.
    #[arg(long, default_value_t = 3)]
    bug_oddities: u8,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Only the model without a bug.
    #[arg(long)]
    clean_only: bool,
    /// Only seeded bugs whose name contains this.
    #[arg(long, conflicts_with = "clean_only")]
    bug: Option<String>,
}

#[derive(Debug, Args)]
struct FuzzArgs {
    /// Steps of the interlock.
    #[arg(long, default_value_t = 1_000_000)]
    steps: u64,
    /// The seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What the model checker found.
#[derive(Debug, Serialize)]
struct Checked {
    states: usize,
    clean: Vec<Clean>,
    seeded: Vec<Seeded>,
}

/// The models that must be clean.
const MODELS: [(Grain, Reach); 3] =
    [(Grain::Period, Reach::ClosedLoop), (Grain::Half, Reach::ClosedLoop), (Grain::Period, Reach::Advisory)];

fn main() -> Result<ExitCode> {
    match Cli::parse().command {
        Command::Check(args) => check(&args),
        Command::Fuzz(args) => fuzz(&args),
    }
}

fn check(args: &CheckArgs) -> Result<ExitCode> {
    let bounds = Bounds { scans: args.scans, oddities: args.oddities, threads: args.threads };
    let mut checked = Checked { states: 0, clean: Vec::new(), seeded: Vec::new() };
    let models = match args.bug {
        Some(_) => &[][..],
        None => &MODELS,
    };
    for (grain, reach) in models.iter().copied() {
        let clean = model::check_clean(grain, reach, bounds)?;
        eprintln!(
            "check: {} {}: {} unique states of {} generated, {} broken, {} never happened",
            clean.grain,
            clean.reach,
            clean.states,
            clean.generated,
            clean.counterexamples.len(),
            clean.missing.len()
        );
        tell(&clean);
        checked.states += clean.states;
        checked.clean.push(clean);
    }
    let named = |bug: &&Bug| args.bug.as_ref().is_none_or(|name| format!("{bug:?}").contains(name.as_str()));
    let bugs = if args.clean_only { &[][..] } else { Bug::ALL };
    for bug in bugs.iter().filter(named) {
        let seeded = model::find(*bug, Bounds { oddities: args.bug_oddities, ..bounds })?;
        match &seeded.counterexample {
            Some(found) => {
                eprintln!("check: {bug:?}: found with {} oddities: {}", seeded.oddities, found.invariant);
                found.path.iter().for_each(|line| eprintln!("    {line}"));
            }
            None => eprintln!("check: {bug:?}: NOT FOUND"),
        }
        checked.seeded.push(seeded);
    }
    println!("{}", serde_json::to_string(&checked)?);
    let sound = checked.clean.iter().all(|clean| clean.counterexamples.is_empty() && clean.missing.is_empty())
        && checked.seeded.iter().all(|seeded| seeded.counterexample.is_some());
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell(clean: &Clean) {
    for broken in &clean.counterexamples {
        eprintln!("check: BROKEN: {}", broken.invariant);
        broken.path.iter().for_each(|line| eprintln!("    {line}"));
    }
    clean.missing.iter().for_each(|name| eprintln!("check: NEVER HAPPENED: {name}"));
}

fn fuzz(args: &FuzzArgs) -> Result<ExitCode> {
    let told = &mut |all: &fuzz::Campaign| eprintln!("fuzz: {} steps, {} unsafe writes", all.steps, all.unsafe_writes);
    let all = fuzz::campaign(args.seed, args.steps, told);
    println!("{}", serde_json::to_string(&all)?);
    Ok(if all.unsafe_writes == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
