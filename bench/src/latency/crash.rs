//! From the crash of a stage to the next valid output of the loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use actors::kernel::panics::Panics;
use actors::kernel::supervision::RestartPolicy;
use actors::kernel::{Clock, Pacer, Stage};
use anyhow::{Result, ensure};
use signals::Stamp;

use super::chain::{Contestant, Finish, Item, STAGES};
use super::contestants::{Actors, Link};
use super::control::on_control_thread;
use super::{Run, Samples};

pub(super) const NAME: &str = "crash/next_valid";

const PERIOD: Duration = Duration::from_millis(1);
/// Beats from one crash to the next. Beyond the window, so that each is a first crash and is mended at once.
const BETWEEN: usize = 10;
const POLICY: RestartPolicy = RestartPolicy { period: PERIOD, intensity: 3, window_periods: 5 };
const NOBODY: usize = usize::MAX;

/// Which stage is to crash next, and when it did.
#[derive(Clone, Debug)]
struct Fuse(Arc<(AtomicUsize, AtomicI64)>);

/// A link that crashes when its fuse says so.
#[derive(Debug)]
struct Fragile {
    link: Link,
    fuse: Fuse,
}

impl Stage for Fragile {
    fn step(&mut self, now: Stamp) {
        let (who, at_ns) = &*self.fuse.0;
        if who.compare_exchange(self.link.number, NOBODY, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            at_ns.store(self.link.finish.clock().wall_ns(), Ordering::Relaxed);
            std::panic::resume_unwind(Box::new("injected"));
        }
        self.link.step(now);
    }
}

/// Crashes one stage after the other, each a few beats after the last is mended; the loop beats on meanwhile.
pub(super) fn measure(run: &mut Run<'_>) -> Result<()> {
    (run.say)(NAME);
    let crashes = run.options.seconds as usize * 1000 / BETWEEN;
    let panics = Panics::hook();
    let samples = on_control_thread(run.options.rt, |runtime| runtime.block_on(crash(crashes)))?;
    drop(panics);
    run.report.facts.insert("crash/period_us".to_owned(), PERIOD.as_secs_f64() * 1e6);
    run.report.rows.extend(samples.row(NAME, "idle", None));
    Ok(())
}

async fn crash(crashes: usize) -> Result<Samples> {
    let finish = Finish::new(Clock::wall(1.0));
    let fuse = Fuse(Arc::new((AtomicUsize::new(NOBODY), AtomicI64::new(0))));
    let lit = fuse.clone();
    let wrap = move |link| Fragile { link, fuse: lit.clone() };
    let mut actors = Actors::start(&finish, POLICY, wrap).await?;
    let (clock, mut pacer) = (finish.clock(), Pacer::new(&finish.clock(), PERIOD)?);
    let mut samples = Samples::with_capacity(crashes);
    for k in 0..crashes {
        fuse.0.0.store(k % STAGES, Ordering::Relaxed);
        for beat in 0..BETWEEN {
            pacer.next().await?;
            let begun_ns = clock.wall_ns();
            actors.begin(Item::new(begun_ns));
            if beat == 0 {
                // The crash takes this cycle's output with it.
                continue;
            }
            let latency_ns = finish.wait().await;
            if beat == 1 {
                samples.push(begun_ns + latency_ns - fuse.0.1.load(Ordering::Relaxed));
            }
        }
    }
    ensure!(actors.restarts() == crashes as u64, "{} restarts of {crashes} crashes", actors.restarts());
    Ok(samples)
}
