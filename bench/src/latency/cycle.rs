//! A cycle through six stages, four ways, in turns within each beat.

use std::time::Duration;

use actors::kernel::{Clock, Pacer};
use anyhow::Result;
use tokio::runtime::Runtime;

use super::chain::{Contestant, Finish, Item};
use super::contestants::{Actors, Casts, Direct, NO_CRASHES, Tasks};
use super::control::on_control_thread;
use super::load::{Running, spawn_all};
use super::{Load, Run, Samples};

pub(super) const NAMES: [&str; 4] = ["cycle/actors", "cycle/mpsc", "cycle/ractor_cast", "cycle/direct"];

/// Between beats the thread sleeps, as the loop's does.
const BEAT: Duration = Duration::from_millis(1);
/// Cycles of each contestant in a beat: the first finds its code cold, the others warm. The same for all.
const BURST: usize = 10;
const WARM_UP: usize = 2_000;
const COUNTED: usize = 2_000;

type Contestants = [Box<dyn Contestant + Send>; NAMES.len()];

/// What a run of all four gives.
struct Outcome {
    samples: [Samples; NAMES.len()],
    allocs_per_cycle: [f64; NAMES.len()],
}

pub(super) fn measure(run: &mut Run<'_>, load: Load) -> Result<()> {
    (run.say)(&format!("cycle, {}", load.name()));
    let running = Running::start(load)?;
    let counter = running.counter();
    let beats = run.options.seconds as usize * 1000;
    let outcome = on_control_thread(run.options.rt, move |runtime| {
        let finish = Finish::new(Clock::wall(1.0));
        let mut contestants = runtime.block_on(start(&finish))?;
        let allocs_per_cycle = allocations(runtime, &mut contestants, &finish);
        if load == Load::LoadedSameRuntime {
            runtime.block_on(async { spawn_all(&counter, finish.clock()) });
        }
        let samples = runtime.block_on(beat(&mut contestants, &finish, beats))?;
        Ok(Outcome { samples, allocs_per_cycle })
    })?;
    if load != Load::Idle {
        run.report.facts.insert(format!("messages_per_s/{}", load.name()), running.messages_per_s());
    }
    for ((name, samples), allocs) in NAMES.iter().zip(outcome.samples).zip(outcome.allocs_per_cycle) {
        run.report.rows.extend(samples.row(name, load.name(), Some(allocs)));
    }
    Ok(())
}

async fn start(finish: &Finish) -> Result<Contestants> {
    Ok([
        Box::new(Actors::start(finish, NO_CRASHES, |link| link).await?),
        Box::new(Tasks::start(finish)),
        Box::new(Casts::start(finish).await?),
        Box::new(Direct::new(finish)),
    ])
}

/// One cycle; its latency, ns.
async fn cycle(contestant: &mut (dyn Contestant + Send), finish: &Finish) -> i64 {
    contestant.begin(Item::new(finish.clock().wall_ns()));
    finish.wait().await
}

/// Allocations per cycle of each contestant, once it is warm: the counter counts what its own thread allocates.
fn allocations(runtime: &Runtime, contestants: &mut Contestants, finish: &Finish) -> [f64; NAMES.len()] {
    let mut counts = [0.0; NAMES.len()];
    for (count, contestant) in counts.iter_mut().zip(contestants) {
        let mut run = |cycles: usize| {
            runtime.block_on(async {
                for _ in 0..cycles {
                    cycle(contestant.as_mut(), finish).await;
                }
            });
        };
        run(WARM_UP);
        *count = allocation_counter::measure(|| run(COUNTED)).count_total as f64 / COUNTED as f64;
    }
    counts
}

async fn beat(contestants: &mut Contestants, finish: &Finish, beats: usize) -> Result<[Samples; NAMES.len()]> {
    let mut samples = [(); NAMES.len()].map(|()| Samples::with_capacity(beats * BURST));
    let mut pacer = Pacer::new(&finish.clock(), BEAT)?;
    let mut seed = 1_u64;
    for _ in 0..beats {
        pacer.next().await?;
        // Who is first is left to chance: turns of four beats of 1 ms keep step with the system's tick of 4 ms, and it
        // would always be the same one whom the tick interrupts.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let first = (seed >> 33) as usize;
        for k in 0..NAMES.len() {
            let who = (first + k) % NAMES.len();
            let (Some(contestant), Some(samples)) = (contestants.get_mut(who), samples.get_mut(who)) else { continue };
            for _ in 0..BURST {
                samples.push(cycle(contestant.as_mut(), finish).await);
            }
        }
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contestant_ends_its_cycles_and_ours_allocates_nothing_where_casts_do() {
        let (samples, allocs) = on_control_thread(None, |runtime| {
            let finish = Finish::new(Clock::wall(1.0));
            let mut contestants = runtime.block_on(start(&finish))?;
            let allocs = allocations(runtime, &mut contestants, &finish);
            let samples = runtime.block_on(beat(&mut contestants, &finish, 5))?;
            Ok((samples, allocs))
        })
        .unwrap();
        assert!(samples.iter().all(|samples| samples.len() == 5 * BURST));
        let [ours, mpsc, casts, direct] = allocs;
        assert_eq!((ours, mpsc, direct), (0.0, 0.0, 0.0));
        assert!(casts >= 6.0, "the negative control: a cast boxes its message, {casts}");
    }

    /// A stage in the middle that does not pass on would make every latency that of the others.
    #[test]
    fn an_item_passes_all_six_stages_of_every_contestant() {
        let worked = (0..super::super::chain::STAGES).fold(Item::new(0), Item::worked);
        assert!(
            (worked.x[0] - 0.9_f64.powi(6) - (1..6).map(|k| f64::from(k) * 0.9_f64.powi(5 - k)).sum::<f64>()).abs()
                < 1e-12
        );
    }
}
