//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::simulate::SimulateArgs;

/// A real-time controller that runs beside a DCS.
///
/// Outrigger reads a plant through OPC UA, estimates its state, plans its moves (nonlinear MPC), and writes set-points
/// under a hand-shake that the DCS owns. When anything fails it stops writing and the DCS carries on by itself.
///
/// It is a supervisory (BPCS/APC) function. It is not a safety instrumented system, carries no SIL and must not be
/// credited as a protection layer.
#[derive(Debug, Parser)]
#[command(name = "outrigger", version, after_long_help = EXAMPLES)]
pub struct Cli {
    /// How logs are written to standard error.
    #[arg(long, value_enum, default_value_t = LogFormat::Text, global = true)]
    pub log: LogFormat,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
First steps:
  1. outrigger check deploy/plants/cstr.toml         every fault of the file, with line and key
  2. outrigger certificate --trust dcs.der           trust the DCS's certificate; make ours,
                                                     and say where it is, for the DCS to trust
  3. outrigger browse deploy/plants/cstr.toml        what the server offers
  4. outrigger run deploy/plants/cstr.toml --http 127.0.0.1:9090

The mode in the file (shadow, advisory, closed-loop) is the highest that a run may reach; the operator raises and
lowers it at the DCS through MODE_REQ. Begin with shadow.

Environment:
  RUST_LOG                  what is logged, such as `info` (the default) or `runtime=debug`
  the variable named in [dcs.login] password_env";

/// A form of the logs.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the loop of a plant file.
    Run(RunArgs),
    /// Do a recorded run again, from its journal.
    ///
    /// With --verify, the loop's stages are stepped as they were, and every output is compared bit for bit: 0 the same (a file
    /// that was cut off counts up to its cut), 1 something differs, 3 the file is broken or has a gap. With --with, another
    /// configuration looks at the same inputs: what would it have proposed? The plant is as recorded.
    Replay(ReplayArgs),
    /// Simulate the loop of a plant file beside an emulated plant and DCS, in virtual time and reproducibly.
    Simulate(SimulateArgs),
    /// Check a plant file and report every fault with file, line, key, value and what was expected.
    Check {
        /// The plant file.
        plant: PathBuf,
        /// Print the faults as JSON on standard output.
        #[arg(long)]
        json: bool,
    },
    /// List what a plant file's OPC UA server offers.
    Browse {
        /// The plant file; only its section [dcs] counts.
        plant: PathBuf,
        /// Another server than the file's.
        #[arg(long, value_name = "URL")]
        endpoint: Option<String>,
        /// The folder of certificates.
        #[arg(long, value_name = "DIR", default_value = "pki")]
        pki: PathBuf,
    },
    /// Make our key pair and certificate, and say where they are.
    Certificate {
        /// The folder of certificates; made if missing, never overwritten.
        #[arg(long, value_name = "DIR", default_value = "pki")]
        pki: PathBuf,
        /// Trust this server's certificate (a DER file).
        #[arg(long, value_name = "FILE")]
        trust: Option<PathBuf>,
    },
}

/// How to run.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The plant file.
    pub plant: PathBuf,
    /// Another server than the file's.
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,
    /// The folder of certificates.
    #[arg(long, value_name = "DIR", default_value = "pki")]
    pub pki: PathBuf,
    /// Plant time runs so many times as fast as the wall. For a rig that is as fast; beside a plant, leave it at 1.
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = speed)]
    pub speed: f64,
    /// Serve /metrics, /status and /healthz here, such as 127.0.0.1:9090.
    #[arg(long, value_name = "ADDRESS")]
    pub http: Option<SocketAddr>,
    /// Write a report of the run here when it ends.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// The journal.
    #[command(flatten)]
    pub journal: JournalArgs,
}

/// How a journal is written.
#[derive(Debug, Args)]
pub struct JournalArgs {
    /// Record the run here, so that it can be replayed; never overwrites.
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// How long a record may wait until it is on the disk.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, requires = "journal", value_parser = sync)]
    pub journal_sync: f64,
    /// The journal does not grow beyond this; then journalling stops and the loop goes on.
    #[arg(long, value_name = "MB", default_value_t = 4096, requires = "journal")]
    pub journal_limit: u64,
}

/// What to replay, and to what end.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The journal of a run.
    pub journal: PathBuf,
    /// Compare every output with the recorded one.
    #[arg(long, required_unless_present = "with", conflicts_with = "with")]
    pub verify: bool,
    /// Say what this plant file would have proposed.
    #[arg(long, value_name = "PLANT")]
    pub with: Option<PathBuf>,
    /// Draw both proposals over time, as SVG.
    #[arg(long, value_name = "FILE", requires = "with")]
    pub plot: Option<PathBuf>,
    /// Answer in JSON.
    #[arg(long)]
    pub json: bool,
}

fn sync(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    if (0.0..=3600.0).contains(&seconds) { Ok(seconds) } else { Err("expected 0 to 3600 s".to_owned()) }
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    if (1.0..=10_000.0).contains(&speed) { Ok(speed) } else { Err("expected a number from 1 to 10000".to_owned()) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_replay_is_asked_for_one_thing() {
        let replay =
            |more: &[&str]| Cli::try_parse_from(["outrigger", "replay", "run.journal"].iter().chain(more)).is_ok();
        assert!(replay(&["--verify", "--json"]) && replay(&["--with", "new.toml", "--plot", "both.svg"]));
        for bad in [&[][..], &["--verify", "--with", "new.toml"], &["--verify", "--plot", "both.svg"]] {
            assert!(!replay(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_speed_below_the_walls_is_refused() {
        for bad in ["0.5", "-1", "nan", "inf", "fast"] {
            assert!(speed(bad).is_err(), "{bad}");
        }
    }
}
