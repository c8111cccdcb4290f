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

/// What the crashes cost.
struct Outcome {
    /// From each crash to the end of the next cycle that ends.
    samples: Samples,
    /// The most cycles without an end after one crash, the crashed one included.
    lost_at_most: usize,
}

/// Crashes one stage after the other, each some beats after the last; the loop beats on meanwhile.
pub(super) fn measure(run: &mut Run<'_>) -> Result<()> {
    (run.say)(NAME);
    let crashes = run.options.seconds as usize * 1000 / BETWEEN;
    let panics = Panics::hook();
    let outcome = on_control_thread(run.options.rt, |runtime| runtime.block_on(crash(crashes)))?;
    drop(panics);
    run.report.facts.insert("crash/period_us".to_owned(), PERIOD.as_secs_f64() * 1e6);
    run.report.facts.insert("crash/cycles_lost_at_most".to_owned(), outcome.lost_at_most as f64);
    run.report.rows.extend(outcome.samples.row(NAME, "idle", None));
    Ok(())
}

async fn crash(crashes: usize) -> Result<Outcome> {
    let finish = Finish::new(Clock::wall(1.0));
    let fuse = Fuse(Arc::new((AtomicUsize::new(NOBODY), AtomicI64::new(0))));
    let lit = fuse.clone();
    let wrap = move |link| Fragile { link, fuse: lit.clone() };
    let mut actors = Actors::start(&finish, POLICY, wrap).await?;
    let (clock, mut pacer) = (finish.clock(), Pacer::new(&finish.clock(), PERIOD)?);
    let mut outcome = Outcome { samples: Samples::with_capacity(crashes), lost_at_most: 0 };
    pacer.next().await?;
    for k in 0..crashes {
        fuse.0.0.store(k % STAGES, Ordering::Relaxed);
        let mut lost = None;
        for beat in 0..BETWEEN {
            let begun_ns = clock.wall_ns();
            actors.begin(Item::new(begun_ns));
            pacer.next().await?;
            let (ended_cycle_ns, ended_ns) = finish.last();
            if lost.is_none() && ended_cycle_ns == begun_ns {
                lost = Some(beat);
                outcome.samples.push(ended_ns - fuse.0.1.load(Ordering::Relaxed));
            }
        }
        ensure!(lost != Some(0), "crash {k} did not cost its own cycle: it was none");
        outcome.lost_at_most = outcome.lost_at_most.max(lost.unwrap_or(BETWEEN));
    }
    ensure!(actors.restarts() == crashes as u64, "{} restarts of {crashes} crashes", actors.restarts());
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_each_crash_is_a_sample_and_none_costs_more_than_two_cycles() {
        let panics = Panics::hook();
        let outcome = on_control_thread(None, |runtime| runtime.block_on(crash(12))).unwrap();
        drop(panics);
        assert_eq!(outcome.samples.len(), 12);
        assert!((1..=2).contains(&outcome.lost_at_most), "{}", outcome.lost_at_most);
    }
}
