//! `cargo xtask demo`: the two programs over a real wire, from certificates to a verdict.
//!
//! Builds `outrigger` and `outrigger-hil`, lets them trust each other, and plays the operator at the rig's keyboard:
//! hand-over, set-point change, feed disturbance, loss and return of the DCS's server, second hand-over. What happened
//! is judged from the rig's side of the wire alone (`verdict`), and drawn (`plot`). The plant runs faster than the
//! wall; every number of the plant is in plant time.

pub(crate) mod axis;
mod plot;
mod processes;
mod record;
mod script;
mod verdict;
mod view;

use std::fs;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::stopwatch::Stopwatch;
use processes::{Passwords, Places, Rig, Runtime};
use record::{History, Mark, Report, RigLine, Summary};
use script::{Act, Script, Sight};

const RIG_PLANT: &str = "hil/plants/cstr.toml";
const RUNTIME_PLANT: &str = "deploy/plants/cstr.toml";
/// Plant seconds per wall second.
const SPEED: f64 = 36.0;
/// A run may take this much longer than asked for: hand-overs that are tried again, and settling.
const EXTRA_S: f64 = 120.0;
const POLL: Duration = Duration::from_millis(50);

/// Show the whole loop: plant and fake DCS, the runtime beside it, an operator, an outage; then judge it.
///
/// Draws live when standard output is a terminal (q stops). Leaves the plot, the report and the logs in
/// artifacts/demo. The exit status is 0 only if the loop was closed twice, kept every limit, wrote nothing while it
/// was not ON, ended on its set-point and did better than leaving the plant alone.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Wall time of the run; the plant runs 36 times faster.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(20..=3600))]
    seconds: u32,
    /// Print one JSON object instead of a table, and draw nothing live.
    #[arg(long)]
    json: bool,
    /// Put the run's files in this folder, which must be new or empty, instead of artifacts/demo.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Take `outrigger` and `outrigger-hil` from this folder instead of building them.
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
}

/// Runs the demo; `false` if the verdict is not good. With `--json` an object is printed whatever happens.
pub(crate) fn run(args: &DemoArgs) -> Result<bool> {
    let verdict = told(perform(args), args.json)?;
    if args.json {
        println!("{}", serde_json::to_string(&verdict)?);
    } else {
        println!("{}", verdict.table());
    }
    Ok(verdict.ok)
}

/// Who reads JSON is told in JSON why nothing was played; a person reads the error as it is.
fn told(performed: Result<verdict::Verdict>, json: bool) -> Result<verdict::Verdict> {
    match performed {
        Err(error) if json => Ok(verdict::Verdict::not_played(format!("{error:#}"))),
        performed => performed,
    }
}

/// Sets the stage, plays, judges and draws. An error means that nothing was played.
fn perform(args: &DemoArgs) -> Result<verdict::Verdict> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted)).context("signals cannot be caught")?;
    }
    let places = places(args)?;
    let live = std::io::stdout().is_terminal() && !args.json;
    let mut stage = Stage::set(&places, f64::from(args.seconds), live)?;
    if let Err(error) = stage.play(&interrupted) {
        stage.mishaps.push(format!("{error:#}"));
    }
    let (mut verdict, history) = stage.strike(&places);
    draw(&places.artifacts.join("run.svg"), &history, &mut verdict);
    eprintln!("demo: plot, report and logs are in {}", places.artifacts.display());
    if !verdict.ok {
        for name in ["runtime.log", "rig.log"] {
            eprintln!("--- the end of {name}\n{}", processes::tail(&places.artifacts.join(name), 12));
        }
    }
    Ok(verdict)
}

/// Draws the plot; one that cannot be drawn is a failure of the run beside the others.
fn draw(picture: &Path, history: &History, verdict: &mut verdict::Verdict) {
    if let Err(error) = plot::draw(picture, history, SPEED) {
        verdict.fail(format!("{} cannot be drawn: {error:#}", picture.display()));
    }
}

/// The two programs, built if need be, and an empty folder for the run.
fn places(args: &DemoArgs) -> Result<Places> {
    let root = crate::root()?;
    let artifacts = prepare(&root, args.keep.as_deref())?;
    let programs = match &args.programs {
        Some(folder) => folder.canonicalize().with_context(|| format!("no folder {}", folder.display()))?,
        None => build(&root)?,
    };
    Ok(Places { outrigger: programs.join("outrigger"), rig: programs.join("outrigger-hil"), artifacts, root })
}

/// An empty folder for the run's files. Only our own default folder is ever emptied.
fn prepare(root: &Path, keep: Option<&Path>) -> Result<PathBuf> {
    let folder = match keep {
        Some(folder) => std::path::absolute(folder)?,
        None => root.join("artifacts/demo"),
    };
    if folder.exists() {
        if keep.is_none() {
            fs::remove_dir_all(&folder).with_context(|| format!("{} cannot be emptied", folder.display()))?;
        } else if fs::read_dir(&folder)?.next().is_some() {
            bail!("{} is not empty", folder.display());
        }
    }
    for part in ["", "runtime-pki", "rig-pki"] {
        fs::create_dir_all(folder.join(part)).with_context(|| format!("{} cannot be made", folder.display()))?;
    }
    Ok(folder)
}

/// Builds both programs and says where they are.
fn build(root: &Path) -> Result<PathBuf> {
    eprintln!("demo: building the two programs (release)");
    let args = ["build", "--release", "--locked", "-p", "runtime", "-p", "hil", "--bins"];
    let status = Command::new(crate::cargo()).args(args).current_dir(root).status().context("cargo")?;
    if !status.success() {
        bail!("cargo build: {status}");
    }
    let metadata = cargo_metadata::MetadataCommand::new()
        .cargo_path(crate::cargo())
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .exec()?;
    Ok(metadata.target_directory.into_std_path_buf().join("release"))
}

/// Everything that is alive during a run.
struct Stage {
    seconds: f64,
    // Before the rig, so that on any way out the runtime is the first to go.
    runtime: Runtime,
    rig: Rig,
    script: Script,
    history: History,
    summary: Option<Summary>,
    mishaps: Vec<String>,
    watch: Stopwatch,
    screen: view::Screen,
}

impl Stage {
    /// Certificates, rig, runtime: in the order in which a site would commission them.
    fn set(places: &Places, seconds: f64, live: bool) -> Result<Self> {
        processes::introduce_runtime(places)?;
        let passwords = Passwords::random()?;
        let mut rig = Rig::start(places, &passwords, RIG_PLANT, SPEED)?;
        let (endpoint, certificate) = ready(&mut rig, places)?;
        processes::introduce_rig(places, &places.root.join(certificate))?;
        let runtime = Runtime::start(places, &passwords, RUNTIME_PLANT, &endpoint, SPEED)?;
        Ok(Self {
            seconds,
            runtime,
            rig,
            script: Script::new(seconds),
            history: History::default(),
            summary: None,
            mishaps: Vec::new(),
            watch: Stopwatch::start(),
            screen: view::Screen::open(live, seconds)?,
        })
    }

    /// Plays the story until it ends, fails or is stopped.
    fn play(&mut self, interrupted: &AtomicBool) -> Result<()> {
        loop {
            self.listen(POLL)?;
            if !self.act()? {
                return Ok(());
            }
            let sight = view::Scene {
                elapsed_s: self.watch.seconds(),
                history: &self.history,
                status: self.runtime.status(),
                caption: self.script.caption(),
            };
            let stopped = self.screen.show(&sight)?;
            if stopped || interrupted.load(Ordering::Relaxed) {
                self.mishaps.push("stopped by hand".to_owned());
            } else if let Some(status) = self.runtime.child.ended()? {
                self.mishaps.push(format!("the runtime ended by itself: {status}"));
            } else if let Some(status) = self.rig.child.ended()? {
                self.mishaps.push(format!("the rig ended by itself: {status}"));
            } else if self.watch.seconds() > self.seconds + EXTRA_S {
                self.mishaps.push(format!("the run was not over {EXTRA_S} s after its time"));
            } else {
                continue;
            }
            return Ok(());
        }
    }

    /// Takes in what the rig has said.
    fn listen(&mut self, limit: Duration) -> Result<()> {
        let mut limit = limit;
        while let Some(line) = self.rig.line(limit)? {
            limit = Duration::ZERO;
            match line {
                RigLine::Cycle(cycle) => self.take(*cycle),
                RigLine::Ack { command, ok: false, error } if !script::may_be_refused(&command) => {
                    self.mishaps.push(format!("the rig refused `{command}`: {}", error.unwrap_or_default()));
                }
                RigLine::Summary(summary) => self.summary = Some(*summary),
                RigLine::Ack { .. } | RigLine::Ready { .. } | RigLine::Other => {}
            }
        }
        Ok(())
    }

    /// Keeps a cycle, and marks a fall from ON that nobody asked for.
    fn take(&mut self, cycle: record::Cycle) {
        let was_on = self.history.last().is_some_and(|last| last.wd_ok);
        if was_on && !cycle.wd_ok {
            self.history.marks.push(Mark { t_s: cycle.t_s, label: "DCS sheds".to_owned() });
        }
        self.history.cycles.push(cycle);
    }

    /// Lets the operator act as long as there is something to do; `false` when the story is over.
    fn act(&mut self) -> Result<bool> {
        loop {
            let runtime_up = self.runtime.status().is_some_and(|s| s.link_up && s.state != "Boot");
            let sight = Sight {
                elapsed_s: self.watch.seconds(),
                cycle: self.history.last(),
                cycles: self.history.cycles.len(),
                runtime_up,
            };
            let t_s = sight.cycle.map_or(0.0, |cycle| cycle.t_s);
            let act = self.script.step(&sight);
            self.history.marks.extend(script::mark(&act, t_s));
            match act {
                Act::Wait => return Ok(true),
                Act::Type(line, _) => self.rig.type_line(&line)?,
                Act::End => return Ok(false),
                Act::Fail(why) => {
                    self.mishaps.push(why);
                    return Ok(false);
                }
            }
        }
    }

    /// Stops the runtime, then the rig, and judges.
    fn strike(mut self, places: &Places) -> (verdict::Verdict, History) {
        self.screen.close();
        let judged = self.history.cycles.len();
        if let Err(error) = self.stop_runtime() {
            self.mishaps.push(format!("{error:#}"));
        }
        if let Err(error) = self.stop_rig() {
            self.mishaps.push(format!("{error:#}"));
        }
        let report = fs::read_to_string(places.report()).ok().and_then(|text| match serde_json::from_str(&text) {
            Ok(report) => Some(report),
            Err(error) => {
                self.mishaps.push(format!("report.json: {error}"));
                None::<Report>
            }
        });
        self.history.cycles.truncate(judged);
        let evidence = verdict::Evidence {
            cycles: &self.history.cycles,
            summary: self.summary.take(),
            report,
            recovery_s: self.script.recovery_s,
            reengaged_s: self.script.reengaged_s,
            dcs_took_over: self.script.dcs_took_over(),
            mishaps: std::mem::take(&mut self.mishaps),
        };
        let verdict = verdict::judge(&evidence);
        (verdict, self.history)
    }

    fn stop_runtime(&mut self) -> Result<()> {
        if self.runtime.child.ended()?.is_some() {
            return Ok(()); // told already
        }
        self.runtime.child.terminate()?;
        let status = self.runtime.child.wait(15.0)?;
        if !status.success() {
            bail!("the runtime did not end cleanly: {status}");
        }
        Ok(())
    }

    fn stop_rig(&mut self) -> Result<()> {
        if self.rig.child.ended()?.is_none() {
            self.rig.type_line("quit")?;
        }
        let watch = Stopwatch::start();
        while self.summary.is_none() && watch.seconds() < 10.0 {
            self.listen(POLL)?;
        }
        let status = self.rig.child.wait(5.0)?;
        if !status.success() {
            bail!("the rig did not end cleanly: {status}");
        }
        Ok(())
    }
}

/// Waits until the rig's server listens: its endpoint and its certificate.
fn ready(rig: &mut Rig, places: &Places) -> Result<(String, String)> {
    let watch = Stopwatch::start();
    while watch.seconds() < 30.0 {
        if let Some(RigLine::Ready { endpoint, certificate }) = rig.line(POLL)? {
            return Ok((endpoint, certificate));
        }
        if let Some(status) = rig.child.ended()? {
            bail!(
                "the rig ended before it was ready: {status}\n{}",
                processes::tail(&places.artifacts.join("rig.log"), 12)
            );
        }
    }
    bail!("the rig was not ready within 30 s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_up_that_fails_is_an_object_for_json_and_an_error_for_people() {
        let folder = tempfile::tempdir().unwrap();
        let (keep, programs) = (Some(folder.path().join("run")), Some(folder.path().join("no programs")));
        let args = DemoArgs { seconds: 20, json: true, keep, programs };
        let nothing_played = || places(&args).map(|_| verdict::Verdict::default());
        let json = serde_json::to_value(told(nothing_played(), true).unwrap()).unwrap();
        assert_eq!((&json["ok"], json["failures"].as_array().unwrap().len()), (&false.into(), 1), "{json}");
        assert!(json["failures"][0].as_str().unwrap().contains("no programs"), "{json}");
        assert!(told(nothing_played(), false).is_err());
    }

    #[test]
    fn a_plot_that_cannot_be_drawn_fails_the_run_and_keeps_the_verdict() {
        let folder = tempfile::tempdir().unwrap();
        let mut verdict = verdict::judge(&verdict::Evidence::default());
        let before = serde_json::to_value(&verdict).unwrap();
        let history = History { cycles: vec![record::Cycle::default(); 2], marks: Vec::new() };
        draw(&folder.path().join("no such folder/run.svg"), &history, &mut verdict);
        let after = serde_json::to_value(&verdict).unwrap();
        let failures = |json: &serde_json::Value| json["failures"].as_array().unwrap().clone();
        let (kept, added) = (failures(&before), failures(&after));
        assert_eq!(added[..kept.len()], kept);
        assert!(added[kept.len()].as_str().unwrap().contains("cannot be drawn"), "{added:?}");
        assert_eq!(after["ok"], false);
    }
}
