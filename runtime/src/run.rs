//! A run: two runtimes, one loop, one link.
//!
//! The control runtime is single-threaded and lives on a thread of its own; everything that waits for the world (OPC
//! UA, HTTP, logs) is on the service runtime. Only slots and nudges cross between them. Beside both stands the watchdog.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actors::board::SCANS_PER_CYCLE;
use actors::kernel::panics::{Panicked, Panics};
use actors::kernel::rt::RealTime;
use actors::kernel::watchdog::{Lapse, Watch, Watchdog};
use actors::kernel::{Clock, Telemetry, Unwitnessed};
use actors::{Board, Ending, Inlet, LoopContext, Outlet};
use anyhow::Context;
use prometheus::Registry;
use safety::{ConfigHash, Latch};
use signals::Stamp;
use signals::dcs::{ModeActual, Reading};
use tokio::sync::oneshot;

use crate::advice::{AdviceReport, Audit, mv_tags};
use crate::commission::Recorder;
use crate::commission::admission::CommissionStatus;
use crate::commission::evidence::Tally;
use crate::config::{Loaded, Mode, config_hash};
use crate::control_thread::ControlThread;
use crate::events::EventLog;
use crate::http::{self, Pages};
use crate::journal::{Header, Journal, Settings};
use crate::metrics::{Exporter, StageLatencies, transmitter_names};
use crate::opcua::{Link, LinkError, LinkSettings};
use crate::report::{Footing, RealTimeStatus, RunReport};
use crate::state::{Keeper, StateFolder, names};

/// How to run, beside what the plant file says.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The plant file, to be watched for changes; `None`: nobody watches.
    pub plant_file: Option<PathBuf>,
    /// How many times faster than the wall plant time runs: 1 beside a plant, more against a rig that is as fast.
    pub speed: f64,
    /// Our certificate and those that we trust.
    pub pki_dir: PathBuf,
    /// Where the loop keeps what outlives a restart.
    pub state: PathBuf,
    /// Where the pages are served.
    pub http: Option<SocketAddr>,
    /// Where the report of the run is written.
    pub report: Option<PathBuf>,
    /// Where and how the run is recorded.
    pub journal: Option<JournalOptions>,
    /// Where recommendations and their answers are written down.
    pub audit: Option<PathBuf>,
    /// Whether the control thread is to run in real time, and how.
    pub real_time: Option<RealTime>,
    /// The shortest silence of the control cycle, in wall time, for which the watchdog drops the permit.
    pub watchdog: Duration,
}

/// What the commissioning ladder says of a run; the plant file is lowered to it already.
#[derive(Clone, Debug)]
pub struct Commissioned {
    /// What `/status` and the report show of it.
    pub status: CommissionStatus,
    /// Where time and accuracy are counted, and the file that keeps them.
    pub evidence: Option<(Tally, PathBuf)>,
    /// By which namespace the server must prove to be the rig.
    pub proof: Option<&'static str>,
}

/// Where and how a run is recorded.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    /// The file; it must not exist.
    pub file: PathBuf,
    /// How it is kept.
    pub settings: Settings,
}

/// Runs the loop until `stop` resolves or something fails that trying again cannot mend.
///
/// # Errors
/// A loop that cannot be wired, an address that cannot be listened at, a login that the server refuses.
pub async fn run(
    loaded: Loaded,
    options: RunOptions,
    commission: Commissioned,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let panics = Panics::hook();
    let clock = Clock::wall(options.speed);
    let registry = Registry::new();
    let latencies = StageLatencies::register(&registry)?;
    let telemetry = Telemetry::new(Box::new(latencies));
    let state = StateFolder::take(&options.state)?;
    let latch = state.latch();
    let journal = options.journal.as_ref().map(|options| record(&loaded, latch, options, &registry)).transpose()?;
    let mut config = loaded.plant.loop_config();
    config.interlock.config_hash = loaded.config_hash();
    let board = Board::with_spares(config.screens.len(), config.interlock.spared());
    board.latch.put(latch);
    let keeper = Keeper::start(state, names(&loaded.plant), board.clone(), clock)?;
    let Commissioned { status, evidence, proof } = commission;
    let settings = LinkSettings { loaded: loaded.clone(), pki_dir: options.pki_dir.clone(), clock, proof };
    let mut link = Link::new(settings, &board);
    let counts = link.counts();
    let tape = journal.as_ref().map_or_else(|| Arc::new(Unwitnessed) as _, Journal::tape);
    let audit = Audit::start(board.news.clone(), options.audit.as_deref(), loaded.plant.clone(), clock)?;
    let (watchdog, lapsed) = watch(&board, config.period, clock, &options)?;
    let context = LoopContext { board: board.clone(), clock, telemetry: telemetry.clone(), tape };
    let (log, ending) = (EventLog::default(), ending(loaded.plant.mode, &link));
    let (mut control, granted) = ControlThread::start(config, ending, context, log.clone(), options.real_time).await?;
    if let Some(granted) = &granted {
        tracing::info!(%granted, "the control thread runs in real time");
    }
    let record = |evidence| Recorder::start(&board, clock, loaded.plant.period(), evidence);
    let recorder = evidence.map(record).transpose()?;
    let real_time = granted.as_ref().map(RealTimeStatus::from);
    let footing = Footing { real_time, commission: Some(status), ..Footing::default() };
    let pages = Pages {
        exporter: Exporter::register(registry)?,
        board: board.clone(),
        telemetry: telemetry.clone(),
        journal: journal.as_ref().map(Journal::status),
        keeper: keeper.status(),
        audit: audit.status(),
        link: counts.clone(),
        tags: transmitter_names(&loaded.plant),
        mv_tags: mv_tags(&loaded.plant),
        clock,
        period: loaded.plant.period(),
        footing: footing.clone(),
    };
    let pages = serve_pages(options.http, pages).await?;
    tracing::info!(loop_name = loaded.plant.name, revision = loaded.revision, mode = ?loaded.plant.mode, "running");
    let outlet = link.outlet().clone();
    let mut serving = std::pin::pin!(link.run());
    let watched = (loaded.config_hash(), clock.wall_span(loaded.plant.period()));
    let outcome = tokio::select! {
        failed = &mut serving => Err(failed.map(|never| match never {}).map_err(anyhow::Error::from)),
        failed = &mut control.failed => {
            Ok(Err(anyhow::anyhow!("the control loop ended: {}", failed.unwrap_or_default())))
        }
        lapse = lapsed => Ok(Err(dropped(lapse))),
        served = pages => Ok(served.context("the HTTP server ended")),
        never = tell_panics(&panics) => match never {},
        never = watch_file(options.plant_file.as_deref(), watched, &board.inlet) => match never {},
        () = stop => Ok(Ok(())),
    };
    // From here on a silence is what is wanted.
    drop(watchdog);
    let outcome = take_leave(outcome, control, (&outlet, clock), &mut serving).await;
    Books { keeper, recorder, journal, audit }.close(telemetry.cycles(), &outcome);
    tell(&panics);
    let footing = Footing { panics_lost: panics.lost(), ..footing }.with_permit(&board.heartbeat.permit());
    let report = RunReport::new(&loaded.revision, &telemetry, &counts, &log.states()).on(footing);
    write_report(options.report, report.with_advice(AdviceReport::read(&board, &mv_tags(&loaded.plant))))?;
    outcome
}

/// What of a run is written down.
struct Books {
    keeper: Keeper,
    recorder: Option<Recorder>,
    journal: Option<Journal>,
    audit: Audit,
}

impl Books {
    /// Closes them, after so many cycles, with this outcome.
    fn close(self, cycles: u64, outcome: &anyhow::Result<()>) {
        self.keeper.end();
        if let Some(recorder) = self.recorder {
            recorder.finish();
        }
        close(self.journal, cycles, outcome);
        drop(self.audit);
    }
}

/// Ends the loop. Of a link that has ended (`Err`) nobody can say farewell: then the DCS's watchdog has the last word.
async fn take_leave(
    outcome: Result<anyhow::Result<()>, anyhow::Result<()>>,
    control: ControlThread,
    (outlet, clock): (&Outlet, Clock),
    serving: &mut (impl Future<Output = Result<Infallible, LinkError>> + Unpin),
) -> anyhow::Result<()> {
    match outcome {
        Err(outcome) => {
            control.end().await;
            outcome
        }
        Ok(outcome) => {
            say_good_bye(control, outlet, clock, serving).await;
            outcome
        }
    }
}

/// Begins the journal of a run.
fn record(loaded: &Loaded, latch: Latch, options: &JournalOptions, registry: &Registry) -> anyhow::Result<Journal> {
    let journal = Journal::create(&options.file, &Header::of(loaded, 0)?.with_latch(latch), options.settings)?;
    journal.status().register(registry)?;
    Ok(journal)
}

/// Ends the journal of a run with this outcome after so many cycles. A control thread that was left behind still has the tape:
/// then nobody knows what it was about to do, and there is no last word.
fn close(journal: Option<Journal>, cycles: u64, outcome: &anyhow::Result<()>) {
    let Some(journal) = journal else { return };
    let why = outcome.as_ref().err().map(|why| format!("{why:#}")).unwrap_or_default();
    let last_word = if journal.is_held() { None } else { Some((cycles, why.as_str())) };
    let status = journal.close_as(last_word);
    let (bytes, blocks, lost, ended) = (status.bytes(), status.blocks(), status.lost(), last_word.is_some());
    tracing::info!(bytes, blocks, lost, ended, "journal closed");
}

/// The error of a run whose permit is dropped.
fn dropped(lapse: Result<Lapse, oneshot::error::RecvError>) -> anyhow::Error {
    let why = lapse.map_or_else(|_| "the watchdog has ended".to_owned(), |lapse| lapse.to_string());
    tracing::error!(why, "the watchdog has dropped the permit to write");
    anyhow::anyhow!("{why}; the watchdog has dropped the permit to write, and only a new run has another")
}

/// How long the link may take to carry the farewell.
const FAREWELL: Duration = Duration::from_millis(500);

/// Ends the loop, and lets the link, which it still serves, carry a last word.
async fn say_good_bye(
    control: ControlThread,
    outlet: &Outlet,
    clock: Clock,
    serving: &mut (impl Future<Output = Result<Infallible, LinkError>> + Unpin),
) {
    // The link is served meanwhile: a thread that hangs must not keep the DCS waiting for its FAULT.
    tokio::select! {
        () = control.end() => {}
        _ = &mut *serving => return,
    }
    say_off(outlet, clock.now());
    let _ = tokio::time::timeout(FAREWELL, serving).await;
}

/// Watches the cycle of `board`: silent for longer than three scans and what the options say, it loses its permit. The
/// watchdog's thread stands one above a real-time control thread.
fn watch(
    board: &Board,
    period: Duration,
    clock: Clock,
    options: &RunOptions,
) -> anyhow::Result<(Watchdog, oneshot::Receiver<Lapse>)> {
    let scans = clock.wall_span(period.mul_f64(SILENT_SCANS / SCANS_PER_CYCLE as f64));
    let priority = options.real_time.map(|rt| rt.priority.saturating_add(1));
    let watch = Watch { limit: scans.max(options.watchdog), priority };
    let (tell, lapsed) = oneshot::channel();
    let watchdog = Watchdog::start(&board.heartbeat, watch, clock, move |lapse| {
        // Nobody listens any more when the run is being stopped.
        let _ = tell.send(lapse);
    });
    Ok((watchdog.context("the loop is not run unwatched")?, lapsed))
}

/// Scans of the interlock that may fail to come before the watchdog acts.
const SILENT_SCANS: f64 = 3.0;

/// Tells the DCS that nobody is here any more, so that it need not wait for its watchdog. The loop has ended before:
/// nothing comes after this word.
fn say_off(outlet: &Outlet, now: Stamp) {
    if let Some(mut view) = outlet.read() {
        view.mode_act = Reading::of(ModeActual::Off, now);
        outlet.put(view);
    }
}

fn write_report(file: Option<PathBuf>, report: RunReport) -> anyhow::Result<()> {
    let Some(file) = file else { return Ok(()) };
    report.write(&file).with_context(|| format!("cannot write the report {}", file.display()))
}

/// The pages' server, or a wait without end where no address was given.
async fn serve_pages(
    address: Option<SocketAddr>,
    pages: Pages,
) -> anyhow::Result<impl Future<Output = std::io::Result<()>>> {
    let server = match address {
        Some(address) => {
            let (bound, server) =
                http::serve(address, pages).await.with_context(|| format!("cannot listen at {address}"))?;
            tracing::info!(%bound, "serving /metrics, /status and /healthz");
            Some(server)
        }
        None => None,
    };
    Ok(async move {
        match server {
            Some(server) => server.await,
            None => std::future::pending().await,
        }
    })
}

/// Modes are wiring: neither shadow nor advisory is given a way to the plant.
fn ending(mode: Mode, link: &Link) -> Ending {
    match mode {
        Mode::Shadow => Ending::Shadow,
        Mode::Advisory => Ending::Advisory,
        Mode::ClosedLoop => {
            let sink = link.move_sink();
            Ending::ClosedLoop(Box::new(move || Box::new(sink.clone())))
        }
    }
}

/// Looks twice a period, and at least every [`WATCH_FILE`], whether the plant file on the disk is still the one that runs, and
/// tells the interlock when it is not (check 22): whoever changes it under a closed loop wants it back in WARM before the
/// next start. A file that cannot be read is no change.
async fn watch_file(file: Option<&Path>, (runs, period): (ConfigHash, Duration), inlet: &Inlet) -> Infallible {
    let Some(file) = file else { return std::future::pending().await };
    let mut known = runs;
    loop {
        tokio::time::sleep(WATCH_FILE.min(period / 2)).await;
        let seen = std::fs::read_to_string(file).map_or(known, |text| config_hash(&text));
        if seen != known {
            tracing::warn!(file = %file.display(), %runs, %seen, "the plant file has changed; this run goes on with what it read");
            inlet.changed_config.put(seen);
            known = seen;
        }
    }
}

/// How rarely the plant file may be looked at, in wall time.
const WATCH_FILE: Duration = Duration::from_secs(2);

/// Tells the log of panics, as long as it is polled.
async fn tell_panics(panics: &Panics) -> Infallible {
    loop {
        tell(panics);
        tokio::time::sleep(TELL_PANICS).await;
    }
}

/// How often panics are told.
const TELL_PANICS: Duration = Duration::from_millis(100);

fn tell(panics: &Panics) {
    for Panicked { thread, file, line, message } in panics.drain() {
        let (thread, file, message) = (thread.as_str(), file.as_str(), message.as_str());
        tracing::error!(thread, file, line, message, "panic");
    }
}
