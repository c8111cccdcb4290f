//! The negative controls of "no invalid output": the simulation's own sink is handed moves that are wrong, and counts them.
//!
//! The moves are real ones, of a loop that is closed. What is wrong with them is the world in which they are judged: a DCS
//! whose clamp and rate are narrower than those that the loop was told, or a time at which they should be no more.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a scenario that cannot go on has failed")]

use std::sync::Arc;
use std::time::Duration;

use actors::kernel::{Clock, Latest, Telemetry, Unobserved, Unwitnessed};
use actors::{Board, Ending, Loop, LoopContext, MoveSink};
use rig::{Rig, RigConfig};
use runtime::config::load;
use runtime::simulate::{InvalidMoves, Plumbing, RigSink, SharedRig};
use safety::{ApprovedMove, MoveKind, State};
use tests::{repo, shared_rig};
use tokio::task::JoinHandle;

const SCAN: Duration = Duration::from_secs(1);
const PERIODS: u32 = 18;

/// Leaves moves where the scenario takes them.
#[derive(Clone, Debug, Default)]
struct Held(Latest<ApprovedMove>);

impl MoveSink for Held {
    fn write(&mut self, approved: ApprovedMove) {
        self.0.put(approved);
    }
}

/// A loop whose moves the scenario hands to the sink.
struct Desk {
    rig: SharedRig,
    board: Board,
    plumbing: Plumbing,
    /// The sink beside the loop's own rig.
    sink: RigSink,
    held: Held,
    drive: JoinHandle<()>,
}

impl Desk {
    async fn start() -> Self {
        let plant = load(&repo("deploy/plants/cstr.toml")).unwrap().plant;
        let (rig, board, held) = (shared_rig("cstr", 1).unwrap(), Board::new(4), Held::default());
        let plumbing = Plumbing::new(rig.clone(), board.clone());
        let (sink, end) = (plumbing.sink(), held.clone());
        let ending = Ending::ClosedLoop(Box::new(move || Box::new(end.clone())));
        let telemetry = Telemetry::new(Box::new(Unobserved));
        let context =
            LoopContext { board: board.clone(), clock: Clock::of_tokio(), telemetry, tape: Arc::new(Unwitnessed) };
        let (mut running, _events) = Loop::start(plant.loop_config(), ending, context).await.unwrap();
        board.inlet.set_link(true);
        let drive = tokio::spawn(async move {
            let _ = running.drive().await;
        });
        tokio::time::sleep(SCAN / 2).await;
        let mut desk = Self { rig, board, plumbing, sink, held, drive };
        desk.engage().await;
        desk
    }

    /// Lets scans pass. Moves are handed over at the scan after them.
    async fn pass(&mut self, scans: u32) {
        for _ in 0..scans {
            tokio::time::sleep(SCAN).await;
            self.plumbing.exchange(SCAN);
            if let Some(approved) = self.held.0.take() {
                self.sink.write(approved);
            }
        }
    }

    /// Waits for the next move of the plant and keeps it; none comes from a loop that is open.
    async fn keep(&mut self) -> Option<ApprovedMove> {
        for _ in 0..10 * PERIODS {
            tokio::time::sleep(SCAN).await;
            self.plumbing.exchange(SCAN);
            if let Some(approved) = self.held.0.take() {
                if approved.kind() == MoveKind::Move {
                    return Some(approved);
                }
                self.sink.write(approved);
            }
        }
        None
    }

    fn command(&self, line: &str) {
        assert!(self.rig.lock().command(line).is_ok(), "{line}");
    }

    async fn engage(&mut self) {
        for (line, periods) in [("mode off", 2), ("mode warm", 4), ("mode on", 2), ("engage", 4)] {
            self.command(line);
            self.pass(periods * PERIODS).await;
        }
        assert_eq!(self.board.status.read().map(|s| s.state), Some(State::Active));
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.drive.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn moves_handed_over_in_time_have_no_fault() {
    let mut desk = Desk::start().await;
    desk.command("sp CV1 0.9");
    desk.pass(20 * PERIODS).await;
    assert_eq!(desk.sink.invalid(), InvalidMoves::default());
}

#[tokio::test(start_paused = true)]
async fn an_expired_move_is_counted_though_the_last_look_stops_it() {
    let mut desk = Desk::start().await;
    let kept = desk.keep().await.unwrap();
    desk.pass(2 * PERIODS).await;
    desk.sink.write(kept);
    let invalid = desk.sink.invalid();
    // It also goes back behind the moves that were handed over after it was approved.
    assert!(invalid.expired == 1 && invalid.total() == 1 + invalid.too_fast, "{invalid:?}");
}

#[tokio::test(start_paused = true)]
async fn a_move_under_an_old_lease_is_counted_though_the_last_look_stops_it() {
    let mut desk = Desk::start().await;
    let kept = desk.keep().await.unwrap();
    desk.engage().await;
    desk.sink.write(kept);
    let invalid = desk.sink.invalid();
    assert_eq!((invalid.old_lease, invalid.not_permitted), (1, 0), "{invalid:?}");
}

#[tokio::test(start_paused = true)]
async fn a_move_without_permit_is_counted_once_the_loop_knows_and_before_that_it_was_overtaken() {
    for (beats, known) in [(false, false), (true, true)] {
        let mut desk = Desk::start().await;
        let kept = desk.keep().await.unwrap();
        desk.command("permit off");
        // To carry the news without letting the loop's time go on is to let it hear and not latch.
        desk.plumbing.exchange(SCAN);
        if beats {
            desk.pass(3).await;
        }
        desk.sink.write(kept);
        let invalid = desk.sink.invalid();
        let counted = u64::from(known);
        assert_eq!((invalid.not_permitted, invalid.not_on, invalid.overtaken), (counted, counted, 1 - counted));
        assert_eq!(invalid.total() > 0, known, "{invalid:?}");
    }
}

/// The moves of a loop whose set-point is moved, judged beside a rig of which `narrow` was made.
async fn beside(narrow: impl FnOnce(&mut RigConfig)) -> InvalidMoves {
    let mut config = RigConfig::load(&repo("hil/plants/cstr.toml")).unwrap();
    narrow(&mut config);
    let other = SharedRig::new(Rig::new(config, 1).unwrap());
    let mut desk = Desk::start().await;
    let mut sink = Plumbing::new(other.clone(), desk.board.clone()).sink();
    desk.command("sp CV1 0.9");
    for _ in 0..5 {
        // A DCS that refuses every set-point makes the loop let go.
        let Some(kept) = desk.keep().await else { break };
        let behind = desk.rig.lock().now().since(other.lock().now());
        other.lock().step(behind);
        sink.write(kept);
    }
    sink.invalid()
}

#[tokio::test(start_paused = true)]
async fn moves_of_a_loop_that_was_told_wider_limits_than_the_dcs_has_are_counted() {
    let known = beside(|_| {}).await;
    assert_eq!(known.total(), 0, "the negative control of this one: {known:?}");
    let slow = beside(|rig| rig.mvs.iter_mut().for_each(|mv| mv.max_rate_per_s *= 1e-6)).await;
    assert!(slow.too_fast > 0 && slow.outside_clamp == 0, "{slow:?}");
    let tight = beside(|rig| {
        for mv in &mut rig.mvs {
            mv.clamp.low = mv.start - 1e-9;
            mv.clamp.high = mv.start + 1e-9;
        }
    })
    .await;
    assert!(tight.outside_clamp > 0, "{tight:?}");
}
