//! Crashes by the thousand: any stage, the supervisor too, at any moment of any cycle, by seed, in virtual time.
//!
//! What must hold, crash by crash:
//! - No move that is written is invalid: no number, outside the limits, or not permitted. Two judges look: the simulation's
//!   sink ([`runtime::simulate::InvalidMoves`]) and the rig's DCS, which counts what it refuses and what comes while it is
//!   not asked for.
//! - A crash of a stage costs at most the cycle in which it comes: the next cycle's move is written, and the loop has
//!   stayed closed.
//! - A crash of the interlock, or of the supervisor, which takes the interlock along, withdraws everything within a
//!   period, by design (I16). The interlock is back within one scan, tripped, and the scripted operator engages again.
//!
//! The restart policy is the shipped one. It makes a stage that crashes again within its window wait; so a stage is let
//! crash once in a window.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a scenario that cannot go on has failed"
)]

use actors::board::SCANS_PER_CYCLE;
use rig::Random;
use safety::State;
use signals::dcs::MvMode;
use tests::{Bench, Moment, Victim};

/// Crashes of one run; then the next run begins, with the next seed.
const CRASHES_OF_A_RUN: u32 = 250;
/// The stages of the small reactor's loop in their order: three tags, estimator, model, mpc, selector, interlock, recommender,
/// actuator. The recommender has nothing to do while the loop is closed, and does not come to crash.
const STAGES: u16 = 10;
/// Periods in which a stage that crashes again has to wait: the restart policy's window.
const WINDOW: u64 = 60;
const SELECTOR: u16 = 6;
const INTERLOCK: u16 = 7;
const RECOMMENDER: u16 = 8;
const ACTUATOR: u16 = 9;

/// A crash of one of `stages`.
fn crash(chance: &mut Random, stages: &[u16]) -> (Victim, Moment) {
    let stage = stages[chance.below(stages.len())];
    // One in fifty is the supervisor's, at a crash of that stage.
    let victim = if chance.below(50) == 0 { Victim::Supervisor(stage) } else { Victim::Stage(stage) };
    let moments = [Moment::Before, Moment::After, Moment::During];
    // Before the selector no stage tells the tape anything in the middle of its step.
    let choices = if stage < SELECTOR { 2 } else { 3 };
    (victim, moments[chance.below(choices)])
}

/// What a campaign has seen.
#[derive(Debug, Default)]
struct Tally {
    crashes: u32,
    /// Crashes that withdrew the loop, by design.
    withdrawn: u32,
    /// Other crashes: so many of them left even the cycle in which they came its move.
    no_cycle_lost: u32,
    cycles: u64,
}

/// One run of a campaign. Time stands between the last scan of a cycle and the first of the next whenever it judges.
struct Run {
    bench: Bench,
    chance: Random,
    tally: Tally,
    seed: u64,
    /// The cycle of each stage's last crash.
    last: [Option<u64>; STAGES as usize],
}

impl Run {
    /// A loop that is closed.
    async fn start(seed: u64) -> Self {
        let bench = Bench::start("cstr2", seed, |_| {}).await.unwrap();
        tokio::time::sleep(bench.period / 20).await;
        bench.engage().await;
        assert_eq!(bench.state(), State::Active, "seed {seed}");
        Self { bench, chance: Random::seeded(seed), tally: Tally::default(), seed, last: [None; STAGES as usize] }
    }

    fn cycle(&self) -> u64 {
        self.bench.board.beat.read().unwrap().cycle
    }

    /// Waits for the end of this cycle.
    async fn end_of_cycle(&self) {
        let scan = self.bench.board.beat.read().unwrap().scan;
        let left = u32::try_from(SCANS_PER_CYCLE - 1 - scan).unwrap();
        tokio::time::sleep(self.bench.period / 10 * left).await;
    }

    /// Lets one crash come; gives the cycle in which it came.
    async fn crash(&mut self, victim: Victim, moment: Moment) -> u64 {
        let scans = u32::try_from(self.chance.below(usize::try_from(SCANS_PER_CYCLE).unwrap())).unwrap();
        tokio::time::sleep(self.bench.period / 10 * scans).await;
        self.bench.crashes.plan(victim, moment);
        for _ in 0..2 * SCANS_PER_CYCLE {
            tokio::time::sleep(self.bench.period / 10).await;
            if !self.bench.crashes.is_due() {
                return self.cycle();
            }
        }
        panic!("seed {}: {victim:?} has not come to crash, {moment:?}", self.seed);
    }

    /// One crash and what must hold after it.
    async fn step(&mut self) {
        let now = self.cycle();
        let rested = |stage: &u16| self.last[usize::from(*stage)].is_none_or(|last| now > last + WINDOW);
        let rested: Vec<u16> = (0..STAGES).filter(|stage| *stage != RECOMMENDER).filter(rested).collect();
        if rested.is_empty() {
            return self.bench.periods(1).await;
        }
        let (victim, moment) = crash(&mut self.chance, &rested);
        let restarts = self.bench.telemetry.restarts();
        let came = self.crash(victim, moment).await;
        let what = format!("seed {}, crash {}: {victim:?} {moment:?} in cycle {came}", self.seed, self.tally.crashes);
        self.tally.crashes += 1;
        let (Victim::Stage(stage) | Victim::Supervisor(stage)) = victim;
        self.last[usize::from(stage)] = Some(came);
        self.end_of_cycle().await;
        let moved = self.bench.crashes.moved() == came;
        self.bench.periods(1).await;
        assert_eq!(self.bench.telemetry.restarts(), restarts + 1, "{what}: mended once, and at once");
        assert_eq!(self.bench.ended(), None, "{what}");
        if matches!(victim, Victim::Supervisor(_) | Victim::Stage(INTERLOCK)) {
            self.is_withdrawn(&what);
            self.bench.command("rearm");
            self.bench.engage().await;
            self.tally.withdrawn += 1;
        } else {
            assert_eq!(self.bench.crashes.moved(), came + 1, "{what}: the next cycle has its move");
            self.tally.no_cycle_lost += u32::from(moved);
        }
        assert_eq!(self.bench.state(), State::Active, "{what}");
        let gap = u32::try_from(self.chance.below(4)).unwrap();
        self.bench.periods(1 + gap).await;
    }

    fn is_withdrawn(&self, what: &str) {
        assert_eq!(self.bench.state(), State::Tripped, "{what}");
        let view = *self.bench.rig.lock().view();
        assert!(view.mvs.iter().all(|mv| mv.mode.value != MvMode::Rcas), "{what}: the DCS has the MVs");
    }

    /// Adds this run to the campaign's tally.
    fn end(self, all: &mut Tally) {
        let summary = self.bench.rig.lock().summary();
        let invalid = self.bench.invalid_moves();
        assert_eq!(invalid.total(), 0, "seed {}: {invalid:?}", self.seed);
        assert_eq!(summary.writes_while_not_on, 0, "seed {}", self.seed);
        assert!(summary.refused_writes.is_empty(), "seed {}: {:?}", self.seed, summary.refused_writes);
        all.crashes += self.tally.crashes;
        all.withdrawn += self.tally.withdrawn;
        all.no_cycle_lost += self.tally.no_cycle_lost;
        all.cycles += summary.cycles;
    }
}

async fn campaign(crashes: u32, first_seed: u64) {
    let mut all = Tally::default();
    for seed in (first_seed..).take((crashes / CRASHES_OF_A_RUN) as usize) {
        let mut run = Run::start(seed).await;
        while run.tally.crashes < CRASHES_OF_A_RUN {
            run.step().await;
        }
        run.end(&mut all);
    }
    println!("{all:?}");
    assert_eq!(all.crashes, crashes);
    assert!(all.withdrawn * 20 > crashes && all.withdrawn * 5 < crashes, "a mixture: {all:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_is_not_back_in_time_is_seen() {
    // The negative control: the third crash of a stage within its window waits for three periods.
    let mut run = Run::start(1).await;
    for (crash, back) in [(1, true), (2, true), (3, false)] {
        let came = run.crash(Victim::Stage(ACTUATOR), Moment::Before).await;
        run.end_of_cycle().await;
        run.bench.periods(1).await;
        assert_eq!(run.bench.crashes.moved() == came + 1, back, "crash {crash}");
        run.bench.periods(4).await;
    }
}

#[tokio::test(start_paused = true)]
async fn five_hundred_crashes_of_anyone_write_nothing_invalid_and_cost_a_cycle_each_at_most() {
    campaign(500, 1).await;
}

#[tokio::test(start_paused = true)]
#[ignore = "long: some minutes"]
async fn ten_thousand_crashes_of_anyone_write_nothing_invalid_and_cost_a_cycle_each_at_most() {
    campaign(10_000, 1000).await;
}
