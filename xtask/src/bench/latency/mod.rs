//! `cargo xtask bench latency`: what the kernel of the loop costs and keeps, beside what one would otherwise take.
//!
//! Builds and runs `outrigger-bench latency`, prints its rows as a table with the aims, or as JSON.

mod aims;
mod report;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::{machine, program};
use report::Report;

/// A Debian package: the peer of the pacer.
const PEERS: &str = "rt-tests";

#[derive(Debug, Args)]
pub(super) struct LatencyArgs {
    /// Only measurements of rows whose name contains this.
    #[arg(long)]
    filter: Option<String>,
    /// How long each measurement takes; the overload six times as long. Without it 10.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,
    /// Two seconds each.
    #[arg(long, conflicts_with = "seconds")]
    quick: bool,
    /// Control threads are SCHED_FIFO with this priority (80), pinned, with their memory locked. Wants CAP_SYS_NICE and
    /// CAP_IPC_LOCK.
    #[arg(long, value_name = "PRIORITY", num_args = 0..=1, default_missing_value = "80")]
    rt: Option<u8>,
    /// The CPU to which --rt pins.
    #[arg(long, requires = "rt")]
    cpu: Option<usize>,
    /// Install cyclictest (Debian: rt-tests) with apt-get, as root.
    #[arg(long)]
    install_peers: bool,
    /// Print one JSON object on standard output; the table goes to standard error.
    #[arg(long)]
    json: bool,
    /// Fail if an aim is missed.
    #[arg(long)]
    strict: bool,
}

/// Runs the command; `false` if `--strict` asked for more than there was.
pub(super) fn run(root: &Path, args: &LatencyArgs) -> Result<bool> {
    if args.install_peers {
        install()?;
    }
    let mut report: Report = program::run(root, &args.to_child())?;
    report.machine = machine::describe();
    let judged = aims::judge(&report);
    let text = report::text(&report, &judged);
    if args.json {
        eprint!("{text}");
        println!("{}", serde_json::to_string(&report).context("the report as JSON")?);
    } else {
        print!("{text}");
    }
    Ok(!args.strict || judged.iter().all(|judged| judged.verdict != aims::Verdict::Missed))
}

impl LatencyArgs {
    /// The arguments of the program.
    fn to_child(&self) -> Vec<String> {
        let seconds = if self.quick { Some(2) } else { self.seconds };
        let options = [
            ("--filter", self.filter.clone()),
            ("--seconds", seconds.map(|seconds| seconds.to_string())),
            ("--rt", self.rt.map(|priority| priority.to_string())),
            ("--cpu", self.cpu.map(|cpu| cpu.to_string())),
        ];
        let given = options.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?]));
        std::iter::once("latency".to_owned()).chain(given.flatten()).collect()
    }
}

fn install() -> Result<()> {
    eprintln!("bench: apt-get install --yes {PEERS}");
    let status = Command::new("apt-get").args(["install", "--yes", "--quiet", PEERS]).status();
    let status = status.context("apt-get cannot be started")?;
    if !status.success() {
        bail!("apt-get install {PEERS}: {status} (it wants root, and apt-get update before)");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_passed_on() {
        let args = LatencyArgs {
            filter: Some("cycle/".to_owned()),
            seconds: None,
            quick: true,
            rt: Some(80),
            cpu: None,
            install_peers: false,
            json: false,
            strict: false,
        };
        assert_eq!(args.to_child(), ["latency", "--filter", "cycle/", "--seconds", "2", "--rt", "80"]);
    }
}
