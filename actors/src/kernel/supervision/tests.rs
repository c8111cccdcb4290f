//! Crashes of a stage, of its factory and of the supervisor, under virtual time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::super::probe::Unobserved;
use super::super::witness::Unwitnessed;
use super::*;

/// Counts its steps; crashes in its next step, or while it is made, when told so.
#[derive(Clone, Debug, Default)]
struct Fragile {
    steps: Arc<AtomicU64>,
    crash: Arc<AtomicBool>,
    crash_making: Arc<AtomicU64>,
}

impl Stage for Fragile {
    fn step(&mut self, _now: Stamp) {
        assert!(!self.crash.swap(false, Ordering::Relaxed), "injected");
        self.steps.fetch_add(1, Ordering::Relaxed);
    }
}

impl Fragile {
    fn spec(&self, bell: &Doorbell, backoff: Backoff) -> ChildSpec {
        let it = self.clone();
        let make = move || -> Box<dyn Stage> {
            let left = it.crash_making.load(Ordering::Relaxed);
            it.crash_making.store(left.saturating_sub(1), Ordering::Relaxed);
            assert_eq!(left, 0, "injected");
            Box::new(it.clone())
        };
        ChildSpec { name: "fragile", bell: bell.clone(), backoff, make: Box::new(make) }
    }

    fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }
}

struct Bench {
    bell: Doorbell,
    stage: Fragile,
    telemetry: Telemetry,
    escalation: Escalation,
    tree: Supervised,
}

impl Bench {
    async fn start() -> Self {
        Self::with(Backoff::Periods).await
    }

    async fn with(backoff: Backoff) -> Self {
        let (bell, stage) = (Doorbell::new(), Fragile::default());
        let (telemetry, escalation) = (Telemetry::new(Box::new(Unobserved)), Escalation::default());
        let policy = RestartPolicy { period: Duration::from_secs(1), intensity: 3, window_periods: 60 };
        let around = Surroundings {
            clock: Clock::of_tokio(),
            telemetry: telemetry.clone(),
            escalation: escalation.clone(),
            witness: Arc::new(Unwitnessed),
        };
        let tree = Supervised::start(vec![stage.spec(&bell, backoff)], policy, around).await.unwrap();
        Self { bell, stage, telemetry, escalation, tree }
    }

    async fn ring(&self) {
        self.bell.ring(0);
        settle().await;
    }

    async fn crash(&self) {
        self.stage.crash.store(true, Ordering::Relaxed);
        self.ring().await;
    }
}

async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_crashed_stage_answers_its_old_bell_again_at_once() {
    let b = Bench::start().await;
    b.ring().await;
    b.crash().await;
    b.ring().await;
    assert_eq!((b.stage.steps(), b.telemetry.restarts()), (2, 1));
    assert_eq!(b.telemetry.stages()[0].restarts, 1);
    b.tree.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_second_crash_waits_and_the_fourth_escalates() {
    let b = Bench::start().await;
    for (crash, wait_s) in [(1, 0), (2, 1), (3, 3)] {
        b.crash().await;
        b.bell.ring(0);
        tokio::time::sleep(Duration::from_secs(wait_s)).await;
        settle().await;
        assert_eq!(b.stage.steps(), crash, "answered after {wait_s} s");
        assert!(!b.escalation.is_raised());
    }
    b.crash().await;
    assert_eq!(b.escalation.raised_by(), Some("fragile"));
}

#[tokio::test(start_paused = true)]
async fn without_a_backoff_every_crash_is_mended_at_once_and_the_fourth_escalates_all_the_same() {
    for (backoff, answered) in [(Backoff::None, 3), (Backoff::Periods, 1)] {
        let b = Bench::with(backoff).await;
        for _ in 0..3 {
            b.crash().await;
            b.ring().await;
        }
        assert_eq!(b.stage.steps(), answered, "{backoff:?}");
        b.crash().await;
        assert_eq!(b.escalation.raised_by(), (backoff == Backoff::None).then_some("fragile"), "{backoff:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_crashes_while_it_is_made_is_made_again() {
    let b = Bench::start().await;
    b.stage.crash_making.store(1, Ordering::Relaxed);
    b.crash().await;
    b.bell.ring(0);
    tokio::time::sleep(Duration::from_secs(1)).await;
    settle().await;
    assert_eq!((b.stage.steps(), b.telemetry.restarts(), b.escalation.is_raised()), (1, 2, false));
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_can_never_be_made_again_is_given_up() {
    let b = Bench::start().await;
    b.stage.crash_making.store(u64::MAX, Ordering::Relaxed);
    b.crash().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!((b.escalation.raised_by(), b.telemetry.restarts()), (Some("fragile"), 3));
}

/// A supervisor that is dead, with whether anybody mends it.
async fn after_the_supervisors_death(b: &mut Bench, mended: bool) -> u64 {
    b.tree.supervisor.kill();
    settle().await;
    if mended {
        b.tree.mend().await;
    }
    b.ring().await;
    b.stage.steps()
}

#[tokio::test(start_paused = true)]
async fn a_dead_supervisor_is_made_anew_with_its_stages() {
    let mut b = Bench::start().await;
    assert_eq!(after_the_supervisors_death(&mut b, false).await, 0, "the negative control: nobody answers");
    b.tree.mend().await;
    settle().await;
    assert_eq!((b.stage.steps(), b.telemetry.restarts()), (1, 1), "the ring that nobody answered is answered");
    b.crash().await;
    b.ring().await;
    assert_eq!(b.stage.steps(), 2, "the new supervisor mends");
    for death in 2..=3 {
        assert_eq!(after_the_supervisors_death(&mut b, true).await, death + 1);
    }
    after_the_supervisors_death(&mut b, true).await;
    assert_eq!(b.escalation.raised_by(), Some("supervisor"), "not for ever");
}

#[tokio::test(start_paused = true)]
async fn rings_are_coalesced() {
    let b = Bench::start().await;
    for _ in 0..100 {
        b.bell.ring(0);
    }
    settle().await;
    assert_eq!((b.stage.steps(), b.bell.coalesced()), (1, 99));
}
