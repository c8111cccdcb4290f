//! One-for-one supervision: who crashed is made anew, in its place, behind its old bell.
//!
//! ractor gives links and events; restarting is ours. A child is rebuilt by its factory, which takes what state may
//! survive from a slot. The first crash is mended at once, so that it costs the rest of one cycle; further crashes
//! within the window wait longer and longer, counted in control periods; beyond the intensity the supervisor gives the
//! child up and says so, and the loop sheds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};
use signals::Stamp;

use super::clock::Clock;
use super::doorbell::Doorbell;
use super::probe::Telemetry;
use super::stage::{Incarnation, Shell, Stage};
use super::witness::{Act, Witness};

/// How often a stage may crash.
#[derive(Clone, Copy, Debug)]
pub struct RestartPolicy {
    /// The control period.
    pub period: Duration,
    /// Most restarts of one stage within the window; one more gives it up.
    pub intensity: usize,
    /// The window, in control periods.
    pub window_periods: u32,
}

/// A stage that the supervisor keeps alive.
pub struct ChildSpec {
    /// Its name, in reports and logs.
    pub name: &'static str,
    /// Its bell.
    pub bell: Doorbell,
    /// Makes an incarnation. Called on the control thread, at the start and after each crash.
    pub make: Box<dyn FnMut() -> Box<dyn Stage> + Send>,
}

impl std::fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChildSpec").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Set once a stage was given up. The loop must shed, and a person must look.
#[derive(Clone, Debug, Default)]
pub struct Escalation(Arc<AtomicBool>);

impl Escalation {
    /// Says that a stage was given up.
    pub(crate) fn raise(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether a stage was given up.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What the supervisor shares with the rest of the loop.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The clock.
    pub clock: Clock,
    /// The measurements.
    pub telemetry: Telemetry,
    /// Raised when a child is given up.
    pub escalation: Escalation,
    /// Told of every step, crash and restart.
    pub witness: Arc<dyn Witness>,
}

/// A running subtree: one loop's supervisor and its stages.
#[derive(Debug)]
pub struct Supervised {
    supervisor: ActorRef<Restart>,
}

impl Supervised {
    /// Starts every child under a new supervisor, on the runtime in which this is called.
    ///
    /// # Errors
    /// ractor's, when an actor cannot be spawned; those already started are stopped.
    pub async fn start(
        children: Vec<ChildSpec>,
        policy: RestartPolicy,
        around: Surroundings,
    ) -> Result<Self, SpawnErr> {
        let tree = Tree { children: Vec::new(), policy, around };
        let (supervisor, _join) = Actor::spawn(None, Supervisor, (tree, children)).await?;
        Ok(Self { supervisor })
    }

    /// Stops the subtree and waits for it.
    pub async fn stop(self) {
        let _ = self.supervisor.stop_and_wait(None, None).await;
    }
}

/// Tells the supervisor that a child's backoff is over.
struct Restart(usize);

struct Supervisor;

struct Child {
    spec: ChildSpec,
    id: Option<ActorId>,
    crashes: Vec<Stamp>,
}

struct Tree {
    children: Vec<Child>,
    policy: RestartPolicy,
    around: Surroundings,
}

impl Actor for Supervisor {
    type Msg = Restart;
    type State = Tree;
    type Arguments = (Tree, Vec<ChildSpec>);

    async fn pre_start(
        &self,
        me: ActorRef<Restart>,
        (mut tree, children): Self::Arguments,
    ) -> Result<Tree, ActorProcessingErr> {
        for (index, spec) in children.into_iter().enumerate() {
            tree.children.push(Child { spec, id: None, crashes: Vec::new() });
            tree.spawn(index, me.get_cell()).await?;
        }
        Ok(tree)
    }

    async fn handle(&self, me: ActorRef<Restart>, message: Restart, tree: &mut Tree) -> Result<(), ActorProcessingErr> {
        tree.around.telemetry.count_restart();
        tree.around.witness.act(Act::Restarted { child: number(message.0) });
        if let Err(error) = tree.spawn(message.0, me.get_cell()).await {
            tracing::error!(%error, "a stage could not be restarted");
            tree.give_up(message.0);
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        me: ActorRef<Restart>,
        event: SupervisionEvent,
        tree: &mut Tree,
    ) -> Result<(), ActorProcessingErr> {
        let (who, why) = match &event {
            SupervisionEvent::ActorFailed(who, error) => (who, error.to_string()),
            SupervisionEvent::ActorTerminated(who, _, reason) => (who, reason.clone().unwrap_or_default()),
            _ => return Ok(()),
        };
        let Some(index) = tree.children.iter().position(|c| c.id == Some(who.get_id())) else { return Ok(()) };
        match tree.after_crash(index, &why) {
            Some(Duration::ZERO) => drop(me.cast(Restart(index))),
            Some(backoff) => drop(me.send_after(backoff, move || Restart(index))),
            None => tree.give_up(index),
        }
        Ok(())
    }
}

/// The number under which a witness knows a child.
fn number(index: usize) -> u16 {
    u16::try_from(index).unwrap_or(u16::MAX)
}

impl Tree {
    fn give_up(&self, index: usize) {
        self.around.escalation.raise();
        self.around.witness.act(Act::GivenUp { child: number(index) });
    }

    async fn spawn(&mut self, index: usize, me: ActorCell) -> Result<(), SpawnErr> {
        let Some(child) = self.children.get_mut(index) else { return Ok(()) };
        let incarnation = Incarnation {
            stage: (child.spec.make)(),
            bell: child.spec.bell.clone(),
            probe: self.around.telemetry.probe(child.spec.name),
            clock: self.around.clock,
            child: number(index),
            witness: Arc::clone(&self.around.witness),
        };
        let (actor, _join) = Actor::spawn_linked(None, Shell, incarnation, me).await?;
        child.id = Some(actor.get_id());
        child.spec.bell.bind(actor);
        Ok(())
    }

    /// Notes a crash; the wall time to wait before the restart, or `None` when the child is given up.
    fn after_crash(&mut self, index: usize, why: &str) -> Option<Duration> {
        let (policy, now) = (self.policy, self.around.clock.now());
        self.around.witness.act(Act::Crashed { child: number(index) });
        let child = self.children.get_mut(index)?;
        child.id = None;
        let window = policy.period * policy.window_periods;
        child.crashes.retain(|at| now.since(*at) < window);
        child.crashes.push(now);
        let crashes = child.crashes.len();
        tracing::error!(stage = child.spec.name, crashes, why, "a stage crashed");
        if crashes > policy.intensity {
            tracing::error!(stage = child.spec.name, "restart intensity exceeded, the stage is given up");
            return None;
        }
        let periods = (1_u32 << (crashes - 1).min(10)) - 1;
        Some(self.around.clock.wall_span(policy.period * periods))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::super::probe::Unobserved;
    use super::super::witness::Unwitnessed;
    use super::*;

    #[derive(Debug)]
    struct Fragile {
        steps: Arc<AtomicU64>,
        crash: Arc<AtomicBool>,
    }

    impl Stage for Fragile {
        fn step(&mut self, _now: Stamp) {
            assert!(!self.crash.swap(false, Ordering::Relaxed), "injected");
            self.steps.fetch_add(1, Ordering::Relaxed);
        }
    }

    struct Bench {
        bell: Doorbell,
        steps: Arc<AtomicU64>,
        crash: Arc<AtomicBool>,
        telemetry: Telemetry,
        escalation: Escalation,
        tree: Supervised,
    }

    async fn bench() -> Bench {
        let (bell, steps, crash) = (Doorbell::new(), Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let telemetry = Telemetry::new(Box::new(Unobserved));
        let (s, c) = (steps.clone(), crash.clone());
        let make: Box<dyn FnMut() -> Box<dyn Stage> + Send> =
            Box::new(move || Box::new(Fragile { steps: s.clone(), crash: c.clone() }));
        let children = vec![ChildSpec { name: "fragile", bell: bell.clone(), make }];
        let policy = RestartPolicy { period: Duration::from_secs(1), intensity: 3, window_periods: 60 };
        let escalation = Escalation::default();
        let around = Surroundings {
            clock: Clock::of_tokio(),
            telemetry: telemetry.clone(),
            escalation: escalation.clone(),
            witness: Arc::new(Unwitnessed),
        };
        let tree = Supervised::start(children, policy, around).await.unwrap();
        Bench { bell, steps, crash, telemetry, escalation, tree }
    }

    async fn settle() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_crashed_stage_answers_its_old_bell_again_at_once() {
        let b = bench().await;
        b.bell.ring(0);
        settle().await;
        b.crash.store(true, Ordering::Relaxed);
        b.bell.ring(0);
        settle().await;
        b.bell.ring(0);
        settle().await;
        assert_eq!((b.steps.load(Ordering::Relaxed), b.telemetry.restarts()), (2, 1));
        b.tree.stop().await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_crash_waits_and_the_fourth_escalates() {
        let b = bench().await;
        for (crash, wait_s) in [(1, 0), (2, 1), (3, 3)] {
            b.crash.store(true, Ordering::Relaxed);
            b.bell.ring(0);
            settle().await;
            b.bell.ring(0);
            tokio::time::sleep(Duration::from_secs(wait_s)).await;
            settle().await;
            assert_eq!(b.steps.load(Ordering::Relaxed), crash, "answered after {wait_s} s");
            assert!(!b.escalation.is_raised());
        }
        b.crash.store(true, Ordering::Relaxed);
        b.bell.ring(0);
        settle().await;
        assert!(b.escalation.is_raised());
    }

    #[tokio::test(start_paused = true)]
    async fn rings_are_coalesced() {
        let b = bench().await;
        for _ in 0..100 {
            b.bell.ring(0);
        }
        settle().await;
        assert_eq!((b.steps.load(Ordering::Relaxed), b.bell.coalesced()), (1, 99));
    }
}
