//! The program `outrigger`: reads the command line, does what it says, and ends with 0 only if that worked.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program speaks through its standard streams")]

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use actors::kernel::Clock;
use actors::kernel::rt::RealTime;
use anyhow::Context;
use clap::Parser;
use runtime::cli::{Cli, Command, JournalArgs, LogFormat, ReplayArgs, RunArgs, SafetyCommand};
use runtime::commission::admission::{Override, Refused, admit};
use runtime::commission::{Dossier, command as commission};
use runtime::config::{ConfigError, Loaded, load};
use runtime::journal::Settings;
use runtime::legs::run_admitted;
use runtime::logging;
use runtime::matrix::Matrix;
use runtime::opcua::{Pki, browse};
use runtime::replay::command::{compare_file, verify_file};
use runtime::run::{JournalOptions, RunOptions};
use runtime::state::usual_folder;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let _told_to_the_end = start_logging(cli.log, &cli.command);
    match perform(cli.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("outrigger: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Lines of the log that wait for whoever reads standard error; what comes beyond them is lost.
const LOG_LINES: usize = 1024;

/// Nothing of a run ever waits for a reader of the log, who may have stalled: a thread of its own writes it. Dropping
/// the guard writes what still waits.
fn start_logging(format: LogFormat, command: &Command) -> WorkerGuard {
    let usual = match command {
        // What a simulated loop has to say is in its outcome; a crash there is no news.
        Command::Simulate(_) => "off",
        _ => logging::USUAL,
    };
    let asked = EnvFilter::try_from_default_env().map_or_else(|_| usual.to_owned(), |filter| filter.to_string());
    let lines = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LOG_LINES);
    let (writer, guard) = lines.finish(std::io::stderr());
    let _first = logging::start(format, &asked, (writer, std::io::stderr().is_terminal()));
    guard
}

fn perform(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Check { plant, json } => check(&plant, json),
        Command::Certificate { pki, trust } => {
            let pki = Pki::create(&pki)?;
            println!("ours: {}", pki.certificate().display());
            if let Some(certificate) = trust {
                println!("trusted: {}", pki.trust(&certificate)?.display());
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Browse { plant, endpoint, pki } => {
            let loaded = with_endpoint(load(&plant)?, endpoint);
            let found = service_runtime()?.block_on(async { browse(&Pki::create(&pki)?, &loaded.plant.dcs).await })?;
            for node in found.iter().filter(|n| n.is_variable) {
                println!("{}\t{}", node.node, node.path);
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Safety { what } => show(&what),
        Command::Commission(args) => {
            let (plant, endpoint) = args.task.plant();
            let loaded = with_endpoint(load(plant)?, endpoint.clone());
            commission::perform(&args.task, &loaded)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Run(args) => run_loop(args),
        Command::Bypass(args) => {
            println!("{}", runtime::state::command::perform(args)?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Replay(args) => replay(&args),
        Command::Simulate(args) => runtime::simulate::perform(&args),
    }
}

fn show(what: &SafetyCommand) -> anyhow::Result<ExitCode> {
    let SafetyCommand::Matrix { plant, html, toml } = what;
    let loaded = load(plant)?;
    let matrix = Matrix::of(&loaded);
    match html {
        Some(file) => {
            std::fs::write(file, matrix.html()).with_context(|| format!("cannot write {}", file.display()))?;
            println!("{}", file.display());
        }
        None if *toml => print!("{}", matrix.toml()),
        None => print!("{}", matrix.text()),
    }
    Ok(ExitCode::SUCCESS)
}

/// The exit code of a run that the commissioning ladder refuses.
const NOT_COMMISSIONED: u8 = 4;

fn run_loop(args: RunArgs) -> anyhow::Result<ExitCode> {
    let RunArgs { plant, endpoint, pki, state, speed, http, report, journal, audit, rt, rt_priority, watchdog, .. } =
        args;
    let loaded = with_endpoint(load(&plant)?, endpoint);
    let wish = args.override_reason.zip(args.override_hours).map(|(reason, hours)| Override { reason, hours });
    let dossier = Dossier::of(&loaded)?;
    let admission = match admit(&dossier, &loaded.plant, wish.as_ref(), Clock::calendar_s()) {
        Err(Refused::Broken(error)) => return Err(error.into()),
        Err(refused) => {
            eprintln!("outrigger: {refused}");
            return Ok(ExitCode::from(NOT_COMMISSIONED));
        }
        Ok(admission) => admission,
    };
    let options = RunOptions {
        plant_file: Some(plant),
        speed,
        pki_dir: pki,
        state: state.unwrap_or_else(|| usual_folder(&loaded.plant.name)),
        http,
        report,
        journal: journal_options(journal),
        audit,
        real_time: rt.map(|cpu| RealTime { cpu, priority: rt_priority }),
        watchdog: Duration::from_secs_f64(watchdog),
    };
    let runtime = service_runtime()?;
    let outcome = runtime.block_on(run_admitted(loaded, options, (dossier, admission), stopped()));
    runtime.shutdown_timeout(Duration::from_secs(2));
    outcome.map(|()| ExitCode::SUCCESS)
}

fn journal_options(args: JournalArgs) -> Option<JournalOptions> {
    let JournalArgs { journal, journal_sync, journal_limit } = args;
    let settings = Settings {
        sync: Duration::from_secs_f64(journal_sync),
        limit_bytes: journal_limit.saturating_mul(1_000_000),
        ..Settings::default()
    };
    journal.map(|file| JournalOptions { file, settings })
}

fn replay(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    if let Some(plant) = &args.with {
        let proposed = compare_file(&args.journal, plant, args.plot.as_deref())?;
        if args.json {
            println!("{}", serde_json::to_string(&proposed)?);
        } else {
            println!("{proposed}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let answered = verify_file(&args.journal)?;
    if args.json {
        println!("{}", serde_json::to_string(&answered)?);
    } else {
        println!("{answered}");
    }
    Ok(answered.outcome.into())
}

fn service_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.context("cannot make the service runtime")
}

fn with_endpoint(mut loaded: Loaded, endpoint: Option<String>) -> Loaded {
    if let Some(endpoint) = endpoint {
        loaded.plant.dcs.endpoint = endpoint;
    }
    loaded
}

fn check(file: &Path, json: bool) -> anyhow::Result<ExitCode> {
    match load(file) {
        Ok(Loaded { plant, revision, .. }) => {
            if json {
                println!("{}", serde_json::json!({ "ok": true, "revision": revision, "faults": [] }));
            } else {
                let (mvs, cvs, dvs) = (plant.mvs.len(), plant.cvs.len(), plant.dvs.len());
                println!("{}: in order (revision {revision})", file.display());
                println!("loop {}: {mvs} MVs, {cvs} CVs, {dvs} DVs, {:?}", plant.name, plant.mode);
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(ConfigError::Faulty(faults)) => {
            if json {
                println!("{}", serde_json::json!({ "ok": false, "faults": faults.faults }));
            } else {
                eprintln!("{faults}");
                eprintln!("{}: {} faults", file.display(), faults.faults.len());
            }
            Ok(ExitCode::FAILURE)
        }
        Err(other) if json => {
            println!(
                "{}",
                serde_json::json!({ "ok": false, "error": format!("{:#}", anyhow::Error::from(other)), "faults": [] })
            );
            Ok(ExitCode::FAILURE)
        }
        Err(other) => Err(other.into()),
    }
}

/// Resolves at SIGINT or SIGTERM.
async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("stopping: the DCS is told, and takes the MVs back");
}
