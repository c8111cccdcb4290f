//! The commands of `outrigger-hil` for campaigns: `list`, `check`, `run`, `key`, `soak`.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use actors::kernel::Clock;
use anyhow::Context;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rig::{Rig, RigConfig};
use runtime::commission::certificate::rfc3339;
use runtime::commission::rig_key::{RigKey, public};

use crate::bed;
use crate::campaign::{self, Count, Options, Outcome};
use crate::certify;
use crate::clock::WallClock;
use crate::report::{self, Subject};
use crate::scenario::Scenario;
use crate::soak::Soak;
use crate::wall::Programs;

/// A task of a campaign.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// List the scenarios of campaigns.
    List(Which),
    /// Read plant files of the rig, scenarios and campaigns, and report their faults.
    Check {
        /// Files and folders.
        #[arg(required = true)]
        places: Vec<PathBuf>,
    },
    /// Run scenarios, each followed by its negative control; ends with 0 only if every scenario passed and every control
    /// failed.
    Run(RunArgs),
    /// Make the key by which a rig signs its certificates.
    Key {
        /// What to do.
        #[command(subcommand)]
        what: KeyTask,
    },
    /// Run hours of plant time with faults by seed; ends with 0 only if no unsafe write was made.
    Soak(SoakArgs),
}

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum KeyTask {
    /// Make a new pair: FILE with the secret, FILE.pub with the line for a file of trusted keys.
    New {
        /// Where.
        #[arg(default_value = "rig.key")]
        file: PathBuf,
    },
}

/// Which scenarios.
#[derive(Debug, Args)]
pub struct Which {
    /// Folders of campaigns, and files of scenarios.
    #[arg(required = true)]
    places: Vec<PathBuf>,
    /// Only scenarios whose name matches; `*` is any letters, `?` one.
    #[arg(long, value_name = "GLOB", default_value = "")]
    filter: String,
}

/// How to run.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    which: Which,
    /// Threads for scenarios under virtual time; by default one a processor.
    #[arg(long, value_name = "N", default_value_t = 0)]
    jobs: usize,
    /// Keep good results here, and do not run again what stands there.
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// Print one JSON object at the end.
    #[arg(long)]
    json: bool,
    /// Write report.html, junit.xml and results.json into this folder.
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// The program under test: run by scenarios on the wall's clock, and named in the certificate. By default the
    /// `outrigger` beside this program.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Devices on the wall's clock run in a network namespace of their own: what is lost there is lost by the kernel. Root,
    /// `ip` and `nft`.
    #[arg(long)]
    netns: bool,
    /// Sign a certificate with this key and write it here, if the campaign was passed whole.
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// The secret key of the rig.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// For how many days the certificate holds.
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
}

/// How to soak.
#[derive(Debug, Args)]
pub struct SoakArgs {
    /// Hours of plant time.
    #[arg(long, default_value_t = 1000)]
    hours: u32,
    /// The seed of the first hour; each hour has the next one.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The plant file.
    #[arg(long, default_value = "deploy/plants/cstr-1hz.toml")]
    plant: PathBuf,
    /// The rig's plant file.
    #[arg(long, default_value = "hil/plants/cstr-1hz.toml")]
    rig: PathBuf,
    /// Threads; by default one a processor.
    #[arg(long, value_name = "N", default_value_t = 0)]
    jobs: usize,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Does it.
///
/// # Errors
/// Files with faults, each told whole; a folder that cannot be written.
pub fn perform(task: Task) -> anyhow::Result<ExitCode> {
    match task {
        Task::List(which) => list(&which),
        Task::Check { places } => check(&places),
        Task::Run(args) => run(&args),
        Task::Key { what: KeyTask::New { file } } => {
            let key = RigKey::create(&file)?;
            say(&format!("secret: {}\npublic: {}: {}", file.display(), public(&file).display(), key.public_line()))
        }
        Task::Soak(args) => soak(&args),
    }
}

fn say(text: &str) -> anyhow::Result<ExitCode> {
    writeln!(std::io::stdout(), "{text}")?;
    Ok(ExitCode::SUCCESS)
}

fn list(which: &Which) -> anyhow::Result<ExitCode> {
    let scenarios = campaign::load(&which.places, &which.filter)?;
    let line = |s: &Scenario| {
        let faults: Vec<_> = s.faults.iter().map(|fault| fault.kind.as_str()).collect();
        format!("{:<28} {:<36} {}", s.id, faults.join(", "), s.title)
    };
    say(&scenarios.iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// Every file is read, so that every fault of all of them is told.
fn check(places: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let mut faulty = false;
    for file in campaign::files(places)? {
        let told = match is_scenario(&file) {
            true => check_scenario(&file),
            false => check_rig(&file),
        };
        match told {
            Ok(text) => drop(say(text.trim_end())?),
            Err(error) => {
                faulty = true;
                writeln!(std::io::stderr(), "{error:#}")?;
            }
        }
    }
    Ok(if faulty { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A scenario lies beside a `campaign.toml`, or has criteria.
fn is_scenario(file: &Path) -> bool {
    let beside = file.parent().is_some_and(|folder| folder.join("campaign.toml").exists());
    beside || std::fs::read_to_string(file).is_ok_and(|text| text.lines().any(|line| line.trim() == "[pass]"))
}

fn check_scenario(file: &Path) -> anyhow::Result<String> {
    let scenario = Scenario::load(file)?;
    let off = Some(&scenario.negative);
    bed::fit(&scenario, None)?;
    bed::fit(&scenario, off).context("the negative control")?;
    Ok(format!("{}: {}", scenario.id, scenario.title))
}

fn check_rig(file: &Path) -> anyhow::Result<String> {
    let config = RigConfig::load(file)?;
    let (title, prefix) = (config.title.clone(), config.prefix.to_string());
    let rig = Rig::new(config, 0)?;
    Ok(format!("{title}: {prefix} starts at rest\n{}", crate::words::cycle(&rig.snapshot())))
}

fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let which = &args.which;
    let scenarios = campaign::load(&which.places, &which.filter)?;
    let left_out = campaign::files(&which.places)?.len() - scenarios.len();
    let key = args.key.as_deref().map(RigKey::read).transpose()?;
    let program = args.program.clone().or_else(beside);
    let folder = std::env::temp_dir().join(format!("outrigger-hil-{}", std::process::id()));
    let wall = Programs { outrigger: program.clone(), folder: folder.clone(), namespace: args.netns };
    let options = Options { jobs: args.jobs, resume: args.resume.clone(), wall: Some(wall) };
    let (clock, bar) = (WallClock::start(1.0), bar(scenarios.len() as u64));
    let outcomes = campaign::run(&scenarios, &options, |outcome| {
        let line = line(outcome);
        bar.suspend(|| {
            if args.json { writeln!(std::io::stderr(), "{line}") } else { writeln!(std::io::stdout(), "{line}") }
        })
        .ok();
        bar.inc(1);
    })?;
    bar.finish_and_clear();
    // Of runs under virtual time there is none.
    let _ = std::fs::remove_dir_all(&folder);
    let count = Count::of(&outcomes, clock.elapsed());
    let title = campaign::title(&which.places);
    if let Some(folder) = &args.report {
        let loaded = certify::subject(&scenarios)?;
        let device = certify::device(&scenarios);
        let ours = program.as_deref().filter(|_| device.is_none());
        let binding = ours.map(|program| certify::binding(&loaded, program)).transpose();
        let date = rfc3339(Clock::calendar_s());
        // A report names the program where it can; a certificate must.
        let subject = Subject { campaign: title.clone(), date, device, loaded, binding: binding.ok().flatten() };
        report::write(folder, &subject, &outcomes, &count).with_context(|| folder.display().to_string())?;
    }
    let out = if args.json { serde_json::to_string(&count)? } else { in_words(&count) };
    say(&out)?;
    if let (Some(file), Some(key)) = (&args.certificate, &key) {
        let program = program.context("no program to certify: --program FILE")?;
        let binding = certify::binding(&certify::subject(&scenarios)?, &program)?;
        let certificate = certify::certificate(&title, (&scenarios, left_out), &count, &binding, (key, args.days))?;
        std::fs::write(file, serde_json::to_string_pretty(&certificate)?)
            .with_context(|| file.display().to_string())?;
    }
    Ok(if count.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The program that lies beside this one.
fn beside() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?.with_file_name("outrigger");
    program.is_file().then_some(program)
}

fn line(outcome: &Outcome) -> String {
    let mut out =
        format!("{:<4} {:<28} {:>6.1} s  {}", mark(outcome.is_good()), outcome.id, outcome.seconds, outcome.title);
    let errors = [&outcome.run, &outcome.negative].into_iter().filter_map(|ran| ran.error.as_ref());
    let wrong = outcome.run.findings.iter().filter(|f| !f.ok);
    for text in errors.cloned().chain(wrong.map(|f| format!("{}: {} instead of {}", f.criterion, f.actual, f.expected)))
    {
        out.push_str(&format!("\n       {text}"));
    }
    if outcome.negative.passed() {
        out.push_str(&format!("\n       the negative control passed: {}", outcome.guard));
    }
    out
}

fn mark(good: bool) -> &'static str {
    if good { "ok" } else { "FAIL" }
}

fn in_words(count: &Count) -> String {
    format!(
        "{} scenarios with {} kinds of faults: {} passed, {} failed; {} of {} negative controls failed as they must; {:.1} s",
        count.scenarios,
        count.faults,
        count.passed,
        count.failed,
        count.negative_failed_as_expected,
        count.negative_controls,
        count.seconds
    )
}

/// A bar for a person who watches; elsewhere none.
fn bar(length: u64) -> ProgressBar {
    let watched = std::io::stderr().is_terminal();
    let target = if watched { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len}, {elapsed} gone, {eta} to go");
    ProgressBar::with_draw_target(Some(length), target)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn soak(args: &SoakArgs) -> anyhow::Result<ExitCode> {
    let absolute = |file: &Path| file.canonicalize().with_context(|| file.display().to_string());
    let soak = Soak {
        plant: absolute(&args.plant)?,
        rig: absolute(&args.rig)?,
        hours: args.hours,
        seed: args.seed,
        jobs: args.jobs,
    };
    let bar = bar(u64::from(args.hours));
    let soaked = soak.run(|hours| bar.set_position(hours))?;
    bar.finish_and_clear();
    if args.json {
        say(&serde_json::to_string(&soaked)?)?;
    } else {
        for failed in &soaked.failed {
            say(&format!("UNSAFE: {failed}"))?;
        }
        say(&format!(
            "{} hours from seed {}: {} faults, {} new set-points, handed back {} times, {} stages made anew, {} unsafe writes; \
             resident memory {} KiB after a tenth and {} KiB at the end",
            soaked.hours,
            args.seed,
            soaked.faults,
            soaked.writes,
            soaked.released,
            soaked.restarts,
            soaked.unsafe_writes,
            soaked.memory_kib.0,
            soaked.memory_kib.1
        ))?;
    }
    Ok(if soaked.unsafe_writes == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
