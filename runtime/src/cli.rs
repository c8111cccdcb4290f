//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use actors::kernel::rt;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commission::admission::OVERRIDE_MAX_HOURS;
use crate::commission::command::CommissionArgs;
use crate::simulate::SimulateArgs;
use crate::state::command::BypassArgs;

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
lowers it at the DCS through MODE_REQ. Begin with shadow: each step up needs evidence, which a run gathers and
`outrigger commission status` shows. At a rig, --override stands in for it.

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
    /// With --verify, the loop's stages are stepped as they were, and every output is compared bit for bit. Exit code
    /// 0: the same, to the end of the run. 1: something differs, or the journal cannot be used at all. 3: incomplete, the same
    /// as far as the records go, but the run is not there to its end (killed, disk full, gap, damaged file). With --with,
    /// another configuration looks at the same inputs: what would it have proposed? The plant is as recorded.
    Replay(ReplayArgs),
    /// Simulate the loop of a plant file beside an emulated plant and DCS, in virtual time and reproducibly.
    Simulate(SimulateArgs),
    /// Ask for a bypass of a check, approve one, revoke one, or list them. Two people are needed, and it ends by itself.
    Bypass(BypassArgs),
    /// See, approve and revoke how far a loop may go: shadow, advisory, closed loop, one MV at a time.
    Commission(CommissionArgs),
    /// Check a plant file and report every fault with file, line, key, value and what was expected.
    Check {
        /// The plant file.
        plant: PathBuf,
        /// Print the faults as JSON on standard output.
        #[arg(long)]
        json: bool,
    },
    /// What the interlock of a plant file watches, and what it does.
    Safety {
        /// What to show.
        #[command(subcommand)]
        what: SafetyCommand,
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

/// What of the interlock to show.
#[derive(Debug, Subcommand)]
pub enum SafetyCommand {
    /// The cause-and-effect matrix: every cause with its vote, delay, effect, latching and priority.
    Matrix {
        /// The plant file.
        plant: PathBuf,
        /// Write a page of its own here instead, to be shown or printed.
        #[arg(long, value_name = "FILE", conflicts_with = "toml")]
        html: Option<PathBuf>,
        /// Print it as the tables [[cell]] that the plant file could hold to say the same.
        #[arg(long)]
        toml: bool,
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
    /// The folder in which the loop keeps its latch, its bypasses and its trips over restarts [default: state/ and the loop's
    /// name].
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
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
    /// Write recommendations, and who answered what to them, here as lines of JSON; appends.
    #[arg(long, value_name = "FILE")]
    pub audit: Option<PathBuf>,
    /// Run the control thread in real time: SCHED_FIFO, memory locked, pinned to this CPU. Refused with the reason where
    /// the system forbids it. Without a number: the first isolated CPU, else the last. See docs/real-time.md.
    #[arg(long, value_name = "CPU", num_args = 0..=1, value_parser = cpu)]
    pub rt: Option<Option<usize>>,
    /// The priority of the control thread within SCHED_FIFO; the watchdog has one more, threaded interrupts have 50.
    #[arg(long, value_name = "N", default_value_t = 80, requires = "rt", value_parser = priority())]
    pub rt_priority: u8,
    /// The watchdog drops the permit to write, for good, and ends the run when the control cycle stands still for so many
    /// seconds of the wall, or for three scans where that is longer.
    #[arg(long, value_name = "S", default_value_t = 2.0, value_parser = watchdog)]
    pub watchdog: f64,
    /// Run without evidence, at a rig only and for this reason; written into the audit log. When the hours are over, the
    /// run goes on as far as the evidence permits.
    #[arg(long = "override", value_name = "REASON", requires = "override_hours")]
    pub override_reason: Option<String>,
    /// How long the override lasts.
    #[arg(long, value_name = "H", requires = "override_reason", value_parser = override_hours)]
    pub override_hours: Option<f64>,
}

/// How a journal is written.
#[derive(Debug, Args)]
pub struct JournalArgs {
    /// Record the run here, so that it can be replayed; never overwrites.
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// How long a block of records may wait until it is on the disk; a block is closed by the next scan.
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
    #[arg(long, value_name = "FILE", requires = "with", conflicts_with = "verify")]
    pub plot: Option<PathBuf>,
    /// Answer in JSON.
    #[arg(long)]
    pub json: bool,
}

fn sync(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    if (0.0..=3600.0).contains(&seconds) { Ok(seconds) } else { Err("expected 0 to 3600 s".to_owned()) }
}

fn cpu(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "expected the number of a CPU, from 0; the plant file goes before `--rt`".to_owned())
}

fn priority() -> clap::builder::RangedI64ValueParser<u8> {
    clap::value_parser!(u8).range(i64::from(*rt::PRIORITIES.start())..=i64::from(*rt::PRIORITIES.end()))
}

fn watchdog(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    if (0.01..=3600.0).contains(&seconds) { Ok(seconds) } else { Err("expected 0.01 to 3600 s".to_owned()) }
}

fn override_hours(text: &str) -> Result<f64, String> {
    let hours: f64 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    let expected = format!("expected hours above 0, up to {OVERRIDE_MAX_HOURS}");
    (hours > 0.0 && hours <= OVERRIDE_MAX_HOURS).then_some(hours).ok_or(expected)
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
    fn real_time_takes_a_cpu_or_chooses_one() {
        let rt = |more: &[&str]| {
            let line = ["outrigger", "run", "plant.toml"].iter().chain(more);
            let Command::Run(args) = Cli::try_parse_from(line).ok()?.command else { return None };
            Some((args.rt, args.rt_priority))
        };
        assert_eq!(rt(&[]), Some((None, 80)));
        assert_eq!(rt(&["--rt"]), Some((Some(None), 80)));
        assert_eq!(rt(&["--rt", "3", "--rt-priority", "60"]), Some((Some(Some(3)), 60)));
        for bad in [&["--rt", "x"][..], &["--rt-priority", "60"], &["--rt", "--rt-priority", "98"]] {
            assert_eq!(rt(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_shipped_unit_starts_what_the_command_line_takes() {
        let unit = include_str!("../../deploy/systemd/outrigger.service");
        let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
        let Command::Run(args) = Cli::try_parse_from(start.split(' ')).unwrap().command else { panic!("{start}") };
        assert_eq!(args.rt, Some(Some(3)));
        let priority = unit.lines().find_map(|line| line.strip_prefix("LimitRTPRIO=")).unwrap();
        assert!(priority.parse::<u8>().unwrap() > args.rt_priority, "room for the watchdog");
    }

    #[test]
    fn an_override_has_a_reason_and_an_end() {
        let run = |more: &[&str]| Cli::try_parse_from(["outrigger", "run", "p.toml"].iter().chain(more)).is_ok();
        assert!(run(&["--override", "a trial", "--override-hours", "8"]) && run(&[]));
        for bad in [
            &["--override", "a trial"][..],
            &["--override-hours", "8"],
            &["--override", "a trial", "--override-hours", "8.1"],
            &["--override", "a trial", "--override-hours", "0"],
        ] {
            assert!(!run(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_speed_below_the_walls_is_refused() {
        for bad in ["0.5", "-1", "nan", "inf", "fast"] {
            assert!(speed(bad).is_err(), "{bad}");
        }
    }
}
