//! Ten times more comes in than can be handled: how old is what is used, and does memory grow?
//!
//! One consumer needs most of its period for each item; a thread sends ten items in that time. Through a slot and a bell the
//! consumer always has the newest; through a queue, the negative control, it falls behind for as long as one waits. The
//! consumer never sleeps, so its thread is an ordinary one: the kernel stops a real-time thread that takes all of a CPU.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actors::kernel::supervision::{Backoff, ChildSpec, Supervised};
use actors::kernel::{Clock, Doorbell, Latest, Stage, Telemetry, Unobserved};
use anyhow::{Context, Result};
use signals::Stamp;
use tokio::sync::mpsc;

use super::chain::Item;
use super::contestants::{NO_CRASHES, surroundings};
use super::control::on_control_thread;
use super::{Run, Samples};

pub(super) const NAMES: [&str; 2] = ["overload/staleness", "overload/queue"];
const LOAD: &str = "10x";

/// The period of the consumer, which is busy for nine tenths of it.
const PERIOD: Duration = Duration::from_millis(20);
const ITEMS_PER_PERIOD: u32 = 10;
/// The overload lasts so many times the seconds of the options; the queue, so many of them.
const TIMES: u64 = 6;

pub(super) fn measure(run: &mut Run<'_>) -> Result<()> {
    (run.say)("overload");
    let seconds = Duration::from_secs(run.options.seconds);
    let report = &mut run.report;
    let (samples, grown) = staleness(seconds * u32::try_from(TIMES)?)?;
    report.facts.insert("overload/staleness_growth_bytes".to_owned(), grown);
    report.rows.extend(samples.row("overload/staleness", LOAD, None));
    let (samples, grown) = queue(seconds)?;
    report.facts.insert("overload/queue_growth_bytes".to_owned(), grown);
    report.facts.insert("overload/period_us".to_owned(), PERIOD.as_secs_f64() * 1e6);
    report.rows.extend(samples.row("overload/queue", LOAD, None));
    Ok(())
}

/// Uses an item: notes how old it is, and is then busy.
#[derive(Debug)]
struct Consumer {
    clock: Clock,
    samples: Samples,
}

impl Consumer {
    fn new(clock: Clock, span: Duration) -> Self {
        Self { clock, samples: Samples::with_capacity(2 * (span.as_millis() / PERIOD.as_millis()) as usize) }
    }

    fn consume(&mut self, item: &Item) {
        let begun_ns = self.clock.wall_ns();
        let busy_ns = i64::try_from(PERIOD.as_nanos() * 9 / 10).unwrap_or(i64::MAX);
        while self.clock.wall_ns() - begun_ns < busy_ns {
            std::hint::black_box(item.worked(0));
        }
        // The output leaves now, and rests on what was put then.
        self.samples.push(self.clock.wall_ns() - item.begun_ns);
    }
}

#[derive(Debug)]
struct Slow {
    input: Latest<Item>,
    consumer: Arc<std::sync::Mutex<Consumer>>,
}

impl Stage for Slow {
    fn step(&mut self, _now: Stamp) {
        let Some(item) = self.input.read() else { return };
        self.consumer.lock().unwrap_or_else(std::sync::PoisonError::into_inner).consume(&item);
    }
}

/// Sends at ten times the rate for `span`, from a thread of its own.
fn flood(
    clock: Clock,
    span: Duration,
    mut send: impl FnMut(Item) + Send + 'static,
) -> Result<std::thread::JoinHandle<()>> {
    let body = move || {
        let begun_ns = clock.wall_ns();
        let span_ns = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        let gap_ns = i64::try_from((PERIOD / ITEMS_PER_PERIOD).as_nanos()).unwrap_or(1);
        let mut sent = 0;
        while clock.wall_ns() - begun_ns < span_ns {
            std::thread::sleep(PERIOD / ITEMS_PER_PERIOD);
            while sent < (clock.wall_ns() - begun_ns) / gap_ns {
                send(Item::new(clock.wall_ns()));
                sent += 1;
            }
        }
    };
    std::thread::Builder::new().name("bench-flood".to_owned()).spawn(body).context("the flood's thread")
}

fn staleness(span: Duration) -> Result<(Samples, f64)> {
    let clock = Clock::wall(1.0);
    let (input, bell, over) = (Latest::new(), Doorbell::new(), Arc::new(AtomicBool::new(false)));
    let consumer = Arc::new(std::sync::Mutex::new(Consumer::new(clock, span)));
    let (slot, to_ring) = (input.clone(), bell.clone());
    let flood = flood(clock, span, move |item| {
        slot.put(item);
        to_ring.ring(clock.wall_ns());
    })?;
    let (ended, kept) = (Arc::clone(&over), Arc::clone(&consumer));
    let control = move || {
        on_control_thread(None, |runtime| {
            runtime.block_on(async {
                let make: Box<dyn FnMut() -> Box<dyn Stage> + Send> =
                    Box::new(move || Box::new(Slow { input: input.clone(), consumer: Arc::clone(&kept) }));
                let children = vec![ChildSpec { name: "slow", bell, backoff: Backoff::Periods, make }];
                let telemetry = Telemetry::new(Box::new(Unobserved));
                let tree = Supervised::start(children, NO_CRASHES, surroundings(clock, &telemetry)).await?;
                tokio::time::sleep(span / 10).await;
                let before = resident_bytes()?;
                while !ended.load(Ordering::Acquire) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                let grown = resident_bytes()? - before;
                tree.stop().await;
                Ok(grown)
            })
        })
    };
    let grown = std::thread::scope(|scope| {
        let control = scope.spawn(control);
        let flooded = flood.join();
        over.store(true, Ordering::Release);
        let grown = control.join().map_err(|_| anyhow::anyhow!("the control thread panicked"))?;
        flooded.map_err(|_| anyhow::anyhow!("the flood panicked"))?;
        grown
    })?;
    let mut consumer = consumer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok((std::mem::take(&mut consumer.samples), grown))
}

/// The same through an unbounded queue.
#[allow(clippy::disallowed_methods, reason = "the negative control: an unbounded queue is what is measured here")]
fn queue(span: Duration) -> Result<(Samples, f64)> {
    let clock = Clock::wall(1.0);
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let flood = flood(clock, span, move |item| {
        let _ = sender.send(item);
    })?;
    let outcome = on_control_thread(None, |runtime| {
        let mut consumer = Consumer::new(clock, span);
        let before = resident_bytes()?;
        runtime.block_on(async {
            while let Some(item) = receiver.recv().await {
                consumer.consume(&item);
                tokio::task::yield_now().await;
                if clock.wall_ns() > i64::try_from(span.as_nanos()).unwrap_or(i64::MAX) {
                    break;
                }
            }
        });
        Ok((consumer.samples, resident_bytes()? - before))
    });
    flood.join().map_err(|_| anyhow::anyhow!("the flood panicked"))?;
    outcome
}

/// Memory of this process that is in RAM, bytes.
fn resident_bytes() -> Result<f64> {
    let statm = std::fs::read_to_string("/proc/self/statm").context("/proc/self/statm")?;
    let pages: f64 = statm.split_whitespace().nth(1).context("/proc/self/statm is short")?.parse()?;
    Ok(pages * 4096.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_what_is_used_under_overload_is_fresh_and_through_a_queue_it_is_not() {
        let span = Duration::from_millis(1500);
        let fresh = staleness(span).unwrap().0.row("overload/staleness", LOAD, None).unwrap();
        let queued = queue(span).unwrap().0.row("overload/queue", LOAD, None).unwrap();
        assert!(fresh.n > 20 && fresh.p50_us < 2.0 * PERIOD.as_secs_f64() * 1e6, "{fresh:?}");
        assert!(queued.p50_us > 10.0 * fresh.p50_us, "{queued:?} {fresh:?}");
    }
}
