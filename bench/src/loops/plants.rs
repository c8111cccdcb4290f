//! The threads: one for the field, and per loop a control thread, as the runtime has it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use actors::kernel::{Clock, Telemetry, Unwitnessed};
use actors::{Board, Ending, Loop, LoopConfig, LoopContext};
use anyhow::{Context, Result};
use plant_models::by_name;
use safety::State;
use tokio::sync::watch;

use super::config::{TAGS, loop_config};
use super::fault::{Meter, Observed, Sticky};
use super::site::{Handover, Site};
use super::{Faulty, Options};

/// Looks of the field per period.
const LOOKS: u32 = 20;
/// Which loop has which fault, once faults begin.
const CRASHES: usize = 0;
const HANGS: usize = 1;
const STICKS: usize = 2;

/// One loop from outside.
pub(super) struct Running {
    pub(super) telemetry: Telemetry,
    pub(super) meter: Arc<Meter>,
    board: Board,
}

/// A loop to be started, and its way to the plant.
struct Part {
    config: LoopConfig,
    sink: Handover,
    context: LoopContext,
}

impl Running {
    pub(super) fn state(&self) -> Option<State> {
        self.board.status.read().map(|status| status.state)
    }

    pub(super) fn report(&self, fault: &'static str) -> Faulty {
        Faulty {
            fault,
            state: self.state().map_or_else(String::new, |state| format!("{state:?}")),
            restarts: self.telemetry.restarts(),
            solvers_replaced: self.telemetry.solvers_replaced(),
            solvers_hung: self.telemetry.solvers_hung(),
        }
    }
}

/// Every loop with its plant.
pub(super) struct Plants {
    pub(super) loops: Vec<Running>,
    sticky: &'static Sticky,
    threads: Vec<JoinHandle<Result<(), String>>>,
    field: JoinHandle<()>,
    over: Arc<AtomicBool>,
    stop: watch::Sender<()>,
}

impl Plants {
    /// Starts every loop, spread over a period, and their field.
    pub(super) fn start(options: &Options) -> Result<Self> {
        let cstr2 = by_name("cstr2").context("the catalogue has no cstr2")?;
        let sticky: &'static Sticky = Box::leak(Box::new(Sticky::new(cstr2)));
        let clock = Clock::wall(1.0);
        let (stop, stopped) = watch::channel(());
        let (mut loops, mut sites, mut parts, mut threads) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for number in 0..options.loops {
            let board = Board::new(TAGS);
            let site = Site::new(board.clone(), clock, options.period, number as u64)?;
            let meter = Meter::for_cycles(options.periods as usize + 100);
            let telemetry = Telemetry::new(Box::new(Observed(Arc::clone(&meter))));
            let tape = Arc::new(Unwitnessed);
            let context = LoopContext { board: board.clone(), clock, telemetry: telemetry.clone(), tape };
            let config = loop_config(if number == STICKS { sticky } else { cstr2 }, options.period);
            parts.push(Part { config, sink: site.sink(), context });
            loops.push(Running { telemetry, meter, board });
            sites.push(site);
            if !options.one_thread {
                threads.push(control_thread(std::mem::take(&mut parts), stopped.clone())?);
                std::thread::sleep(options.period / u32::try_from(options.loops)?);
            }
        }
        if options.one_thread {
            threads.push(control_thread(parts, stopped)?);
        }
        let over = Arc::new(AtomicBool::new(false));
        let field = field(sites, clock, options.period / LOOKS, Arc::clone(&over))?;
        Ok(Self { loops, sticky, threads, field, over, stop })
    }

    /// From now on one loop's estimator crashes every thirty periods, one loop's estimator does not return, and one
    /// loop's solver does not.
    pub(super) fn begin_faults(&self, period: Duration) -> Result<Faults> {
        let meter = |number: usize| self.loops.get(number).map(|l| Arc::clone(&l.meter)).context("no such loop");
        let (crashes, hangs, over) = (meter(CRASHES)?, meter(HANGS)?, Arc::new(AtomicBool::new(false)));
        hangs.hang.store(true, Ordering::Relaxed);
        self.sticky.stick(true);
        let ends = Arc::clone(&over);
        let crashing = std::thread::Builder::new().name("faults".to_owned()).spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                crashes.crash.store(true, Ordering::Relaxed);
                std::thread::park_timeout(30 * period);
            }
        })?;
        Ok(Faults { hangs, sticky: self.sticky, over, crashing })
    }

    /// Stops every loop and its field.
    pub(super) fn stop(self) -> Result<()> {
        drop(self.stop);
        for thread in self.threads {
            let ended = thread.join().ok().context("a control thread panicked")?;
            ended.map_err(anyhow::Error::msg)?;
        }
        self.over.store(true, Ordering::Relaxed);
        self.field.join().ok().context("the field's thread panicked")
    }
}

/// The faults that are under way.
pub(super) struct Faults {
    hangs: Arc<Meter>,
    sticky: &'static Sticky,
    over: Arc<AtomicBool>,
    crashing: JoinHandle<()>,
}

impl Faults {
    /// What hangs returns.
    pub(super) fn end(self) {
        self.hangs.hang.store(false, Ordering::Relaxed);
        self.sticky.stick(false);
        self.over.store(true, Ordering::Relaxed);
        self.crashing.thread().unpark();
    }
}

/// Steps every plant on the wall's clock and carries its images.
fn field(mut sites: Vec<Site>, clock: Clock, look: Duration, over: Arc<AtomicBool>) -> std::io::Result<JoinHandle<()>> {
    let body = move || {
        while !over.load(Ordering::Relaxed) {
            sites.iter_mut().for_each(|site| site.exchange(clock));
            std::thread::sleep(look);
        }
    };
    std::thread::Builder::new().name("field".to_owned()).spawn(body)
}

/// Loops on a control thread: one, or for the comparison all of them.
fn control_thread(parts: Vec<Part>, stopped: watch::Receiver<()>) -> Result<JoinHandle<Result<(), String>>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let body = move || {
        runtime.block_on(async {
            let running: Vec<_> = parts.into_iter().map(|part| tokio::spawn(drive(part, stopped.clone()))).collect();
            for ended in running {
                ended.await.map_err(|e| e.to_string())??;
            }
            Ok(())
        })
    };
    Ok(std::thread::Builder::new().name("control".to_owned()).spawn(body)?)
}

async fn drive(Part { config, sink, context }: Part, mut stopped: watch::Receiver<()>) -> Result<(), String> {
    let ending = Ending::ClosedLoop(Box::new(move || Box::new(sink.clone())));
    // The log of events is closed: nobody reads it here.
    let (mut running, _) = Loop::start(config, ending, context).await.map_err(|e| e.to_string())?;
    let ended = tokio::select! {
        driven = running.drive() => driven.map(|never| match never {}).map_err(|e| e.to_string()),
        _ = stopped.changed() => Ok(()),
    };
    running.stop().await;
    ended
}
