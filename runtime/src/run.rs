//! A run: two runtimes, one loop, one link.
//!
//! The control runtime is single-threaded and lives on a thread of its own; everything that waits for the world (OPC
//! UA, HTTP, logs) is on the service runtime. Only slots and nudges cross between them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actors::kernel::{Clock, Telemetry, Unwitnessed};
use actors::ports::Tape;
use actors::{Board, Ending, EventQueue, Loop, LoopContext, Outlet};
use anyhow::Context;
use prometheus::Registry;
use safety::{Event, State};
use signals::Stamp;
use signals::dcs::{ModeActual, Reading};
use tokio::sync::oneshot;

use crate::config::{Loaded, Mode};
use crate::http::{self, Pages};
use crate::journal::{Header, Journal, Settings};
use crate::metrics::{Exporter, StageLatencies, tag_names};
use crate::opcua::{Link, LinkCounts, LinkSettings};
use crate::report::RunReport;

/// How to run, beside what the plant file says.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// How many times faster than the wall plant time runs: 1 beside a plant, more against a rig that is as fast.
    pub speed: f64,
    /// Our certificate and those that we trust.
    pub pki_dir: PathBuf,
    /// Where the pages are served.
    pub http: Option<SocketAddr>,
    /// Where the report of the run is written.
    pub report: Option<PathBuf>,
    /// Where and how the run is recorded.
    pub journal: Option<JournalOptions>,
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
pub async fn run(loaded: Loaded, options: RunOptions, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    quiet_panics();
    let clock = Clock::wall(options.speed);
    let registry = Registry::new();
    let latencies = StageLatencies::register(&registry)?;
    let telemetry = Telemetry::new(Box::new(latencies));
    let journal = options.journal.map(|options| record(&loaded, &options, &registry)).transpose()?;
    let config = loaded.plant.loop_config();
    let board = Board::new(config.screens.len());
    let settings = LinkSettings { loaded: loaded.clone(), pki_dir: options.pki_dir, clock };
    let mut link = Link::new(settings, board.inlet.clone(), board.outlet.clone());
    let counts = link.counts();
    let ending = ending(loaded.plant.mode, &link);
    let tape = journal.as_ref().map_or_else(|| Arc::new(Unwitnessed) as Arc<dyn Tape>, Journal::tape);
    let context = LoopContext { board: board.clone(), clock, telemetry: telemetry.clone(), tape };
    let pages = Pages {
        exporter: Exporter::register(registry)?,
        board,
        telemetry: telemetry.clone(),
        journal: journal.as_ref().map(Journal::status),
        link: counts.clone(),
        tags: tag_names(&loaded.plant),
        clock,
        period: loaded.plant.period(),
    };
    let pages = serve_pages(options.http, pages).await?;
    let log = EventLog::default();
    let control = ControlThread::start(config, ending, context, log.clone())?;
    tracing::info!(loop_name = loaded.plant.name, revision = loaded.revision, mode = ?loaded.plant.mode, "running");
    let outlet = link.outlet().clone();
    let mut serving = std::pin::pin!(link.run());
    let outcome = tokio::select! {
        failed = &mut serving => Err(failed.map(|never| match never {}).map_err(anyhow::Error::from)),
        failed = control.failed => Ok(Err(anyhow::anyhow!("the control loop ended: {}", failed.unwrap_or_default()))),
        served = pages => Ok(served.context("the HTTP server ended")),
        () = stop => Ok(Ok(())),
    };
    drop(control.stop);
    let joined = tokio::task::spawn_blocking(move || control.thread.join()).await;
    if !matches!(joined, Ok(Ok(()))) {
        tracing::error!("the control thread did not end in order");
    }
    if let Some(journal) = journal {
        let status = journal.close(telemetry.cycles());
        tracing::info!(bytes = status.bytes(), blocks = status.blocks(), lost = status.lost(), "journal closed");
    }
    // An ended link carries no farewell: then the DCS's watchdog has the last word.
    let outcome = match outcome {
        Ok(outcome) => {
            say_off(&outlet, clock.now());
            let _ = tokio::time::timeout(FAREWELL, &mut serving).await;
            outcome
        }
        Err(outcome) => outcome,
    };
    write_report(options.report, &loaded, &telemetry, &counts, &log)?;
    outcome
}

/// Begins the journal of a run.
fn record(loaded: &Loaded, options: &JournalOptions, registry: &Registry) -> anyhow::Result<Journal> {
    let journal = Journal::create(&options.file, &Header::of(loaded, 0)?, options.settings)?;
    journal.status().register(registry)?;
    Ok(journal)
}

/// How long the link may take to carry the farewell.
const FAREWELL: Duration = Duration::from_millis(500);

/// Tells the DCS that nobody is here any more, so that it need not wait for its watchdog. The loop has ended before:
/// nothing comes after this word.
fn say_off(outlet: &Outlet, now: Stamp) {
    if let Some(mut view) = outlet.read() {
        view.mode_act = Reading::of(ModeActual::Off, now);
        outlet.put(view);
    }
}

fn write_report(
    file: Option<PathBuf>,
    loaded: &Loaded,
    telemetry: &Telemetry,
    counts: &LinkCounts,
    log: &EventLog,
) -> anyhow::Result<()> {
    let Some(file) = file else { return Ok(()) };
    let report = RunReport::new(&loaded.revision, telemetry, counts, &log.states());
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

/// Modes are wiring: shadow is given no way out, advisory none to the plant.
fn ending(mode: Mode, link: &Link) -> Ending {
    match mode {
        Mode::Shadow => Ending::Shadow,
        Mode::Advisory => {
            let sink = link.recommendation_sink();
            Ending::Advisory(Box::new(move || Box::new(sink.clone())))
        }
        Mode::ClosedLoop => {
            let sink = link.move_sink();
            Ending::ClosedLoop(Box::new(move || Box::new(sink.clone())))
        }
    }
}

/// The thread on which every stage of the loop runs.
struct ControlThread {
    thread: std::thread::JoinHandle<()>,
    /// Dropping it ends the loop.
    stop: oneshot::Sender<()>,
    /// Resolves when the loop ended by itself, with the reason.
    failed: oneshot::Receiver<String>,
}

impl ControlThread {
    fn start(config: actors::LoopConfig, ending: Ending, context: LoopContext, log: EventLog) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .context("cannot make the control runtime")?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (fail, failed) = oneshot::channel();
        let body = move || {
            let ended = runtime.block_on(async {
                let (mut running, events) = Loop::start(config, ending, context).await.map_err(|e| e.to_string())?;
                log.drain(events)?;
                let ended = tokio::select! {
                    driven = running.drive() => driven.map(|never| match never {}).map_err(|e| e.to_string()),
                    _ = stopped => Ok(()),
                };
                running.stop().await;
                ended
            });
            if let Err(why) = ended {
                // Nobody listens any more when the run is being stopped.
                let _ = fail.send(why);
            }
        };
        let thread = std::thread::Builder::new()
            .name("outrigger-control".to_owned())
            .spawn(body)
            .context("no thread for the control loop")?;
        Ok(Self { thread, stop, failed })
    }
}

/// The interlock's events: told to the log, and the states kept for the report.
#[derive(Clone, Debug, Default)]
struct EventLog(Arc<Mutex<Vec<State>>>);

/// How long an event waits for the log at most. The queue holds a thousand.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// States that the report keeps at most.
const STATES_KEPT: usize = 10_000;

impl EventLog {
    /// Looks for events from time to time, on a thread of its own, until nobody can send any more.
    fn drain(&self, events: EventQueue) -> Result<(), String> {
        let log = self.clone();
        let body = move || {
            let mut lost = 0;
            loop {
                // Asked before the last look: who is alone then misses nothing.
                let is_last = events.is_alone();
                while let Some(event) = events.receive() {
                    log.note(event);
                }
                let rejected = events.rejected();
                if rejected > lost {
                    tracing::warn!(events = rejected - lost, "the log was full, and these are lost");
                    lost = rejected;
                }
                if is_last {
                    return;
                }
                std::thread::sleep(LOOK_EVERY);
            }
        };
        let spawned = std::thread::Builder::new().name("outrigger-events".to_owned()).spawn(body);
        spawned.map(drop).map_err(|e| format!("no thread for the event log: {e}"))
    }

    fn note(&self, event: Event) {
        match event {
            Event::Changed { from, to, why } => {
                tracing::info!(?from, ?to, ?why, "interlock");
                let mut states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                if states.is_empty() {
                    states.push(from);
                }
                if states.len() < STATES_KEPT {
                    states.push(to);
                }
            }
            Event::Refused { asked, refusal } => tracing::warn!(?asked, ?refusal, "the operator's request is refused"),
            Event::Raised { cause, effect } => tracing::warn!(%cause, ?effect, "raised"),
            Event::Cleared { cause } => tracing::info!(%cause, "cleared"),
            Event::Clamped { mv, asked, given, by } => tracing::info!(mv, asked, given, ?by, "clamped"),
        }
    }

    fn states(&self) -> Vec<State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The default panic hook prints a backtrace on the thread that panicked, and costs up to tens of milliseconds there.
/// The supervisor reports crashes; one line is enough here.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|info| tracing::error!(%info, "panic")));
}
