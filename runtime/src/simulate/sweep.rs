//! Many seeds, one run each, on all cores.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

use actors::kernel::Unwitnessed;

use super::{Outcome, SimulateError, Simulation};

/// Runs `simulation` with `count` seeds from `first` on, each on a thread of its own, as many at a time as there are
/// cores. `told` is given the outcomes in the order of the seeds; what it is told of a seed is what [`Simulation::run`]
/// gives for that seed alone.
///
/// # Errors
/// The first error of a run; the runs after it are not told.
pub fn sweep(
    simulation: &Simulation,
    first: u64,
    count: u64,
    mut told: impl FnMut(Outcome),
) -> Result<(), SimulateError> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let next = AtomicU64::new(0);
    let (done, outcomes) = sync_channel(threads);
    thread::scope(|scope| {
        for _ in 0..threads {
            let (done, next) = (done.clone(), &next);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        return;
                    }
                    let outcome = simulation.run(first.wrapping_add(index), Arc::new(Unwitnessed), &mut |_| {});
                    // A sweep that failed is not waited for.
                    if done.send((index, outcome)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        let mut waiting = std::collections::BTreeMap::new();
        let mut due = 0;
        for (index, outcome) in outcomes {
            waiting.insert(index, outcome);
            while let Some(outcome) = waiting.remove(&due) {
                told(outcome?);
                due += 1;
            }
        }
        Ok(())
    })
}
