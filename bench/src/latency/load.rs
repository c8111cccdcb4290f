//! What else the machine has to do meanwhile.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use actors::kernel::Clock;
use anyhow::{Context, Result};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

/// Threads that calculate without end.
const HOGS: usize = 4;
/// Messages a second, of all producers together.
pub(super) const MESSAGES_PER_S: u64 = 100_000;
const PRODUCERS: u64 = 10;
/// After so long a calculating task gives way, ns.
const GIVES_WAY_NS: i64 = 100_000;

/// The load of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Nothing of ours.
    Idle,
    /// 100,000 messages a second on a runtime of their own, and four threads that calculate.
    Loaded,
    /// The same, but all of it in the control runtime, and the threads are tasks: the negative control.
    LoadedSameRuntime,
}

impl Load {
    pub(super) const ALL: [Self; 3] = [Self::Idle, Self::Loaded, Self::LoadedSameRuntime];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Loaded => "loaded",
            Self::LoadedSameRuntime => "loaded_same_runtime",
        }
    }
}

/// A load that runs until it is dropped.
#[derive(Debug)]
pub(super) struct Running {
    stop: Arc<AtomicBool>,
    hogs: Vec<JoinHandle<()>>,
    service: Option<Runtime>,
    handled: Arc<AtomicU64>,
    clock: Clock,
}

impl Running {
    /// Starts what of `load` runs outside the control thread. Call it from an ordinary thread: threads inherit.
    pub(super) fn start(load: Load) -> Result<Self> {
        let (stop, handled) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut running = Self { stop, hogs: Vec::new(), service: None, handled, clock: Clock::wall(1.0) };
        if load == Load::Loaded {
            for _ in 0..HOGS {
                let stop = Arc::clone(&running.stop);
                let hog = std::thread::Builder::new().name("bench-hog".to_owned()).spawn(move || hog(&stop));
                running.hogs.push(hog.context("a hog's thread")?);
            }
            let mut service = Builder::new_multi_thread();
            service.worker_threads(2).thread_name("bench-service").enable_all();
            let service = service.build().context("the service runtime")?;
            service.block_on(async { spawn_messages(&running.counter(), running.clock) });
            running.service = Some(service);
        }
        Ok(running)
    }

    /// Where handled messages are counted.
    pub(super) fn counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.handled)
    }

    /// Messages a second so far.
    pub(super) fn messages_per_s(&self) -> f64 {
        self.handled.load(Ordering::Relaxed) as f64 * 1e9 / self.clock.wall_ns().max(1) as f64
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.hogs.drain(..).for_each(|hog| drop(hog.join()));
        if let Some(service) = self.service.take() {
            service.shutdown_timeout(Duration::from_secs(1));
        }
    }
}

fn hog(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        calculate();
    }
}

/// Some ten microseconds of arithmetic.
fn calculate() {
    let mut x = 1_u64;
    for _ in 0..10_000 {
        x = std::hint::black_box(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}

/// Starts the whole load on the runtime in which this is called: the messages, and as many tasks that calculate as there
/// are threads elsewhere. Each gives way ten times a millisecond, which is what a well-behaved task does: "10 to 100
/// microseconds between each .await" (A. Ryhl, "Async: What is blocking?", 2020).
pub(super) fn spawn_all(handled: &Arc<AtomicU64>, clock: Clock) {
    spawn_messages(handled, clock);
    for _ in 0..HOGS {
        tokio::spawn(async move {
            loop {
                let begun_ns = clock.wall_ns();
                while clock.wall_ns() - begun_ns < GIVES_WAY_NS {
                    calculate();
                }
                tokio::task::yield_now().await;
            }
        });
    }
}

/// Starts the messages on the runtime in which this is called: ten producers, each of which sleeps for 10 to 50 ms, each
/// time for another span, and then sends what is due, as a server's subscription publishes; ten consumers that format each message into a line, as a historian would.
fn spawn_messages(handled: &Arc<AtomicU64>, clock: Clock) {
    for producer in 0..PRODUCERS {
        let (sender, mut receiver) = mpsc::channel::<u64>(1024);
        let handled = Arc::clone(handled);
        tokio::spawn(async move {
            let mut line = String::with_capacity(128);
            while let Some(message) = receiver.recv().await {
                line.clear();
                let _ = write!(line, "tag {} value {:.3} quality good", message % 64, message as f64 * 0.1);
                std::hint::black_box(line.as_str());
                handled.fetch_add(1, Ordering::Relaxed);
            }
        });
        tokio::spawn(async move {
            let (begun_ns, mut sent, mut seed) = (clock.wall_ns(), 0, producer + 1);
            loop {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                tokio::time::sleep(Duration::from_micros(10_000 + (seed >> 33) % 40_000)).await;
                let elapsed_ns = u64::try_from(clock.wall_ns() - begun_ns).unwrap_or(0);
                // In f64: in integers the product overflows after three minutes.
                let due = (elapsed_ns as f64 * 1e-9 * (MESSAGES_PER_S / PRODUCERS) as f64) as u64;
                while sent < due {
                    if sender.send(sent).await.is_err() {
                        return;
                    }
                    sent += 1;
                }
            }
        });
    }
}
