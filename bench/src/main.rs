//! `outrigger-bench`: runs the benchmarks and prints one JSON object. `cargo xtask bench` builds it, runs it, and prints the
//! table.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool: printing is its job")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use actors::kernel::rt::RealTime;
use anyhow::{Result, bail};
use bench::cases::{self, Bench, Options};
use bench::latency;
use bench::loops;
use bench::meter::Effort;
use bench::report::Report;
use clap::{Args, Parser, Subcommand};
use serde::Serialize;

/// Run the benchmarks; one JSON object on standard output, progress on standard error.
#[derive(Debug, Parser)]
#[command(name = "outrigger-bench", max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The benchmarks of `problems/bench_spec.json`.
    Mpc(MpcArgs),
    /// A sequence of quadratic programmes from a file.
    Qp(QpArgs),
    /// Cycle, release, crash and overload of the loop's kernel.
    Latency(LatencyArgs),
    /// Many loops in one process, without faults and with.
    Loops(LoopsArgs),
    /// The names of the benchmarks.
    List,
}

#[derive(Debug, Args)]
struct MpcArgs {
    /// Only benchmarks whose name contains this.
    #[arg(long)]
    filter: Option<String>,
    #[command(flatten)]
    effort: EffortArgs,
    /// Add what pictures need: the time of every step, and closed-loop trajectories.
    #[arg(long)]
    traces: bool,
}

#[derive(Debug, Args)]
struct QpArgs {
    /// A sequence in the format of the peers' generator.
    file: PathBuf,
    #[command(flatten)]
    effort: EffortArgs,
}

#[derive(Debug, Args)]
struct LatencyArgs {
    /// Only measurements of rows whose name contains this.
    #[arg(long)]
    filter: Option<String>,
    /// How long each measurement takes; the overload six times as long.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Control threads are SCHED_FIFO with this priority, pinned, with their memory locked.
    #[arg(long, value_name = "PRIORITY", num_args = 0..=1, default_missing_value = "80")]
    rt: Option<u8>,
    /// The CPU to which --rt pins; by default the first isolated one, else the last.
    #[arg(long, requires = "rt")]
    cpu: Option<usize>,
}

#[derive(Debug, Args)]
struct LoopsArgs {
    /// How many loops; the first three have the faults and are not measured.
    #[arg(long, default_value_t = 50)]
    loops: usize,
    /// The control period, in milliseconds.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(20..))]
    period_ms: u64,
    /// Length of each of the two phases, in periods.
    #[arg(long, default_value_t = 600)]
    periods: u32,
    /// All loops on one control thread, to see what that would cost.
    #[arg(long)]
    one_thread: bool,
}

#[derive(Clone, Copy, Debug, Args)]
struct EffortArgs {
    /// Fewer repetitions.
    #[arg(long)]
    quick: bool,
    /// Timed repetitions of each run, at least 1.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    reps: Option<u32>,
}

impl LatencyArgs {
    fn options(self) -> latency::Options {
        let rt = self.rt.map(|priority| RealTime { cpu: self.cpu, priority });
        latency::Options { seconds: self.seconds, filter: self.filter, rt }
    }
}

impl EffortArgs {
    fn effort(self) -> Effort {
        let (repetitions, budget_s) = if self.quick { (5, 1.0) } else { (40, 6.0) };
        match self.reps {
            Some(reps) => Effort { repetitions: reps as usize, budget_s: f64::INFINITY },
            None => Effort { repetitions, budget_s },
        }
    }
}

impl LoopsArgs {
    fn options(&self) -> loops::Options {
        let period = Duration::from_millis(self.period_ms);
        loops::Options { loops: self.loops, period, periods: self.periods, one_thread: self.one_thread }
    }
}

/// What a command has found, as one line.
fn main() -> ExitCode {
    let report = match Cli::parse().command {
        Command::Mpc(args) => mpc(&args).and_then(json),
        Command::Qp(args) => cases::run_file(&args.file, args.effort.effort()).and_then(json),
        Command::Latency(args) => latency::run(&args.options(), &|line| eprintln!("{line}")).and_then(json),
        Command::Loops(args) => loops::run(&args.options(), &|line| eprintln!("{line}")).and_then(json),
        Command::List => {
            cases::all().iter().for_each(|case| println!("{}", case.name));
            return ExitCode::SUCCESS;
        }
    };
    match report {
        Ok(json) => {
            println!("{json}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("outrigger-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn json(report: impl Serialize) -> Result<String> {
    Ok(serde_json::to_string(&report)?)
}

fn mpc(args: &MpcArgs) -> Result<Report> {
    let chosen = |name: &str| args.filter.as_ref().is_none_or(|filter| name.contains(filter));
    let cases: Vec<_> = cases::all().into_iter().filter(|case| chosen(&case.name)).collect();
    if cases.is_empty() {
        bail!("no benchmark's name contains {:?}; see `outrigger-bench list`", args.filter.as_deref().unwrap_or(""));
    }
    let mut bench = Bench::new(Options { effort: args.effort.effort(), traces: args.traces })?;
    let mut report = Report::default();
    for (number, case) in cases.iter().enumerate() {
        eprintln!("[{:>2}/{}] {}", number + 1, cases.len(), case.name);
        // A benchmark that cannot be run is told and costs only its own row.
        match bench.run(case) {
            Ok((row, trace)) => {
                report.rows.push(row);
                report.traces.extend(trace);
            }
            Err(error) => eprintln!("        {}: {error:#}", case.name),
        }
    }
    if report.rows.is_empty() {
        bail!("none of the {} benchmarks could be run", cases.len());
    }
    Ok(report)
}
