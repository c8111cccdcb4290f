//! `cargo xtask bench`: ours and the peers on the benchmark problems, in one run on one machine.
//!
//! Builds and runs `outrigger-bench` and, where the peers' Python scripts are, those; both are processes that print JSON,
//! and nothing of either is linked here. The rows are merged, printed as a table with ratios and the aims of the project,
//! or as JSON, and drawn.

mod aims;
mod latency;
mod loops;
mod machine;
mod peers;
mod plot;
mod program;
mod rows;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};

use rows::Report;

/// Where pictures go unless they are asked for elsewhere.
const ARTIFACTS: &str = "artifacts/bench";

/// Time the controllers and estimators on the benchmark problems, and the loop's kernel, beside their peers.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The benchmark problems: nonlinear MPC, quadratic programmes, estimators.
    Mpc(MpcArgs),
    /// A sequence of quadratic programmes from a file, under every solver that fits.
    Qp(QpArgs),
    /// The loop's kernel: a cycle, its release, a crash, an overload; beside tokio, ractor and cyclictest.
    Latency(latency::LatencyArgs),
    /// Many loops in one process, and what a fault in one does to the others.
    Loops(loops::LoopsArgs),
    /// One picture per benchmark, in artifacts/bench.
    Plot(PlotArgs),
}

#[derive(Debug, Args)]
struct MpcArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Print one JSON object on standard output; the table goes to standard error.
    #[arg(long)]
    json: bool,
    /// Draw a picture per benchmark too.
    #[arg(long)]
    plot: bool,
    /// Fail if an aim is missed, or a step of ours failed.
    #[arg(long)]
    strict: bool,
}

#[derive(Debug, Args)]
struct PlotArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Put the pictures in this folder instead of artifacts/bench.
    #[arg(long)]
    to: Option<PathBuf>,
}

/// What `mpc` and `plot` have in common.
#[derive(Clone, Debug, Args)]
struct RunArgs {
    /// Only benchmarks whose name contains this.
    #[arg(long)]
    filter: Option<String>,
    #[command(flatten)]
    effort: EffortArgs,
    /// Run the peers' scripts too; without a folder, those in ../shared/bench beside the repository.
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = peers::BESIDE)]
    peers: Option<PathBuf>,
    /// The Python of the peers; by default that of target/bench-venv, else python3.
    #[arg(long)]
    python: Option<PathBuf>,
    /// Set up target/bench-venv with the packages that the peers need.
    #[arg(long)]
    install_peers: bool,
}

#[derive(Clone, Copy, Debug, Args)]
struct EffortArgs {
    /// Fewer repetitions.
    #[arg(long)]
    quick: bool,
    /// Timed repetitions of ours, at least 1.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    reps: Option<u32>,
}

#[derive(Debug, Args)]
struct QpArgs {
    /// A sequence in the format of the peers' gen_qps.py.
    file: PathBuf,
    #[command(flatten)]
    effort: EffortArgs,
    /// Print one JSON object on standard output; the table goes to standard error.
    #[arg(long)]
    json: bool,
}

/// Runs the command; `false` if `--strict` asked for more than there was.
pub(crate) fn run(args: &BenchArgs) -> Result<bool> {
    let root = crate::root()?;
    match &args.command {
        Command::Mpc(args) => mpc(&root, args),
        Command::Qp(args) => {
            let report = program::qp(&root, &args.file, args.effort)?;
            show(&report, args.json)?;
            Ok(true)
        }
        Command::Latency(args) => latency::run(&root, args),
        Command::Loops(args) => loops::run(&root, args),
        Command::Plot(args) => {
            let report = measure(&root, &args.run, true)?;
            draw(&root, &report, args.to.as_deref())?;
            Ok(true)
        }
    }
}

fn mpc(root: &Path, args: &MpcArgs) -> Result<bool> {
    let report = measure(root, &args.run, args.plot)?;
    show(&report, args.json)?;
    if args.plot {
        draw(root, &report, None)?;
    }
    let sound = aims::judge(&report.rows).iter().all(|judged| judged.verdict.is_met())
        && report.rows.iter().all(|row| row.failures.is_none_or(|failures| failures == 0));
    Ok(sound || !args.strict)
}

/// Ours, and then the peers: one after the other, so that neither disturbs the other.
fn measure(root: &Path, args: &RunArgs, traces: bool) -> Result<Report> {
    if args.install_peers {
        peers::install(root)?;
    }
    let mut report = program::mpc(root, args, traces)?;
    report.machine = machine::describe();
    if let Some(folder) = &args.peers {
        let folder = if folder.as_os_str() == peers::BESIDE { root.join(folder) } else { folder.clone() };
        let peers = peers::Peers { root, folder: &folder, python: args.python.as_deref(), quick: args.effort.quick };
        match peers.run() {
            Ok(rows) => {
                let ours: Vec<String> = report.rows.iter().map(|row| row.problem().to_owned()).collect();
                let wanted = rows.into_iter().filter(|row| ours.iter().any(|problem| problem == row.problem()));
                report.rows.extend(wanted);
            }
            // Ours are measured already, and worth showing without them.
            Err(absent) => eprintln!("bench: no peers: {absent:#}"),
        }
    }
    Ok(report)
}

fn show(report: &Report, json: bool) -> Result<()> {
    let table = table::of(report);
    if json {
        eprint!("{table}");
        println!("{}", serde_json::to_string(&report.without_traces()).context("the report as JSON")?);
    } else {
        print!("{table}");
    }
    Ok(())
}

fn draw(root: &Path, report: &Report, to: Option<&Path>) -> Result<()> {
    let folder = to.map_or_else(|| root.join(ARTIFACTS), Path::to_path_buf);
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let drawn = plot::all(&folder, report)?;
    eprintln!("bench: {drawn} pictures in {}", folder.display());
    Ok(())
}
