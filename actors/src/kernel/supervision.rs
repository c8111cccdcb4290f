//! One-for-one supervision: who crashed is made anew, in its place, behind its old bell.
//!
//! The supervisor is the one actor of a loop. It owns the stages and steps them ([`super::round`]), each caught by itself; a
//! crash is its next turn but for those who waited before. Restarting is ours. A child is rebuilt by its factory, which takes what memory may
//! survive from a [`LastGood`](super::LastGood). The first crash is mended at once, so that it costs the rest of one
//! cycle; further crashes within the window wait longer and longer, counted in control periods, but for a child that the
//! loop cannot be without for a period ([`Backoff::None`]); beyond the intensity the supervisor gives the child up and says
//! so, and the loop sheds.
//!
//! | who crashes | who mends it |
//! |---|---|
//! | a stage, in its step | the supervisor |
//! | a stage, while it is being made | the supervisor: it counts as one more crash of that stage |
//! | the supervisor; its stages die with it | the loop's driver, at its next beat: [`Supervised::mend`] |
//!
//! # Invariants
//! - A factory that panics takes nobody along.
//! - Every crash is counted under somebody's name, and nobody is mended for ever: beyond the intensity the
//!   [`Escalation`] is raised, with the name, and stays raised.
#![allow(
    clippy::disallowed_methods,
    reason = "the supervisor's own rings: one for the rest of a run, and one per child whose backoff is under way"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, ActorStatus, SpawnErr};
use signals::Stamp;

use super::clock::Clock;
use super::doorbell::{Doorbell, Ring};
use super::probe::Telemetry;
use super::round::{Fallen, Incarnation, MOST, Round, number};
use super::stage::Stage;
use super::witness::{Act, Witness};

/// The name under which the supervisor's own crashes are counted.
const SUPERVISOR: &str = "supervisor";

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

/// How long a stage that crashes again waits for its next incarnation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backoff {
    /// 0, 1, 3, 7, ... control periods.
    #[default]
    Periods,
    /// It does not wait: a watchdog waits for it.
    None,
}

/// A stage that the supervisor keeps alive.
pub struct ChildSpec {
    /// Its name, in reports and logs.
    pub name: &'static str,
    /// Its bell.
    pub bell: Doorbell,
    /// How long it waits after its second crash and those that follow.
    pub backoff: Backoff,
    /// Makes an incarnation. Called on the control thread, at the start and after each crash.
    pub make: Box<dyn FnMut() -> Box<dyn Stage> + Send>,
}

impl std::fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChildSpec").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Raised once a stage was given up. The loop must shed, and a person must look.
#[derive(Clone, Debug, Default)]
pub struct Escalation(Arc<OnceLock<&'static str>>);

impl Escalation {
    /// Whether a stage was given up.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.0.get().is_some()
    }

    /// The stage that was given up first.
    #[must_use]
    pub fn raised_by(&self) -> Option<&'static str> {
        self.0.get().copied()
    }

    /// Says that the stage `name` was given up.
    pub(crate) fn raise(&self, name: &'static str) {
        let _ = self.0.set(name);
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
    supervisor: ActorRef<Ring>,
    tree: SharedTree,
    /// Of the supervisor itself.
    crashes: Crashes,
}

impl Supervised {
    /// Starts every child under a new supervisor, on the runtime in which this is called.
    ///
    /// # Errors
    /// ractor's, when the supervisor cannot be spawned.
    pub async fn start(
        children: Vec<ChildSpec>,
        policy: RestartPolicy,
        around: Surroundings,
    ) -> Result<Self, SpawnErr> {
        let children = children.into_iter().map(|spec| Child { spec, crashes: Crashes::default() }).collect();
        let tree = SharedTree(Arc::new(Mutex::new(Tree { children, policy, around })));
        let (supervisor, _join) = Actor::spawn(None, Supervisor, tree.clone()).await?;
        Ok(Self { supervisor, tree, crashes: Crashes::default() })
    }

    /// Looks whether the supervisor lives, and if not, makes it and every stage anew: they died with it.
    /// One load and nothing else while it lives; to be called at every beat, by whoever drives the loop.
    pub async fn mend(&mut self) {
        if matches!(self.supervisor.get_status(), ActorStatus::Starting | ActorStatus::Running) {
            return;
        }
        let (policy, around) = self.tree.shared();
        if around.escalation.is_raised() {
            return;
        }
        let crashes = self.crashes.note(around.clock.now(), &policy);
        tracing::error!(crashes, "the supervisor died and its stages with it");
        if crashes > policy.intensity {
            return around.escalation.raise(SUPERVISOR);
        }
        around.telemetry.count_restart(SUPERVISOR);
        self.tree.tell_that_all_are_made_anew();
        match Actor::spawn(None, Supervisor, self.tree.clone()).await {
            Ok((supervisor, _join)) => self.supervisor = supervisor,
            Err(error) => {
                tracing::error!(%error, "the supervisor could not be restarted");
                around.escalation.raise(SUPERVISOR);
            }
        }
    }

    /// Stops the subtree and waits for it.
    pub async fn stop(self) {
        let _ = self.supervisor.stop_and_wait(None, None).await;
    }
}

struct Supervisor;

#[derive(Debug)]
struct Child {
    spec: ChildSpec,
    crashes: Crashes,
}

/// When somebody crashed, within the window.
#[derive(Debug, Default)]
struct Crashes(Vec<Stamp>);

impl Crashes {
    /// Notes a crash; gives how many there are in the window that ends now.
    fn note(&mut self, now: Stamp, policy: &RestartPolicy) -> usize {
        let window = policy.period * policy.window_periods;
        self.0.retain(|at| now.since(*at) < window);
        self.0.push(now);
        self.0.len()
    }
}

#[derive(Debug)]
struct Tree {
    children: Vec<Child>,
    policy: RestartPolicy,
    around: Surroundings,
}

/// The tree outlives its supervisor. Locked on the control thread only, and never across a wait.
#[derive(Clone, Debug)]
struct SharedTree(Arc<Mutex<Tree>>);

/// What one life of the supervisor owns: its stages die with it.
#[derive(Debug)]
struct Life {
    tree: SharedTree,
    round: Round,
    me: ActorRef<Ring>,
}

impl Actor for Supervisor {
    type Msg = Ring;
    type State = Life;
    type Arguments = SharedTree;

    async fn pre_start(&self, me: ActorRef<Ring>, tree: SharedTree) -> Result<Life, ActorProcessingErr> {
        let (bells, clock, witness) = tree.to_begin();
        let round = Round::new(bells.len(), clock, witness);
        round.turns.bind(me.clone());
        let mut life = Life { tree, round, me };
        for (index, bell) in bells.iter().enumerate() {
            life.make(index);
            bell.bind(life.round.turns.seat(index));
        }
        life.round.turns.wake();
        Ok(life)
    }

    async fn handle(&self, me: ActorRef<Ring>, Ring: Ring, life: &mut Life) -> Result<(), ActorProcessingErr> {
        life.round.turns.answer();
        if !life.run() {
            let _ = me.cast(Ring);
            // The actor would take its next message at once; so others, and the runtime's timers, are served first.
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

impl Life {
    /// Serves who was rung; `false` when the turns of a run were used up.
    fn run(&mut self) -> bool {
        self.round.call_in();
        // Behind those who are rung, as after a crash that is mended at once.
        for index in self.round.turns.all_due() {
            self.restart(index);
        }
        let mut left = MOST;
        while let Some(Fallen { stage, why }) = self.round.run(&mut left) {
            self.mend(stage, &why);
        }
        left > 0
    }

    /// Puts a new incarnation of a child behind its bell.
    fn make(&mut self, index: usize) {
        let made = self.tree.lock().incarnation(index);
        match made {
            Some(incarnation) => self.round.seat(index, incarnation),
            None => self.mend(index, "panicked while it was made"),
        }
    }

    fn restart(&mut self, index: usize) {
        self.tree.tell_restart(index);
        self.make(index);
    }

    /// After a crash of a child: restarts it at once or after its backoff, or gives it up. It calls itself by way of a
    /// restart that panics, at most as often as the policy's intensity.
    fn mend(&mut self, index: usize, why: &str) {
        let backoff = self.tree.lock().after_crash(index, why);
        match backoff {
            Some(Duration::ZERO) => self.restart(index),
            Some(backoff) => {
                let turns = self.round.turns.clone();
                turns.down(index);
                drop(self.me.send_after(backoff, move || {
                    turns.due(index);
                    Ring
                }));
            }
            None => self.round.turns.down(index),
        }
    }
}

impl SharedTree {
    fn lock(&self) -> MutexGuard<'_, Tree> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shared(&self) -> (RestartPolicy, Surroundings) {
        let tree = self.lock();
        (tree.policy, tree.around.clone())
    }

    fn tell_that_all_are_made_anew(&self) {
        let tree = self.lock();
        for child in (0..tree.children.len()).map(number) {
            tree.around.witness.act(Act::Crashed { child });
            tree.around.witness.act(Act::Restarted { child });
        }
    }

    /// The bells of the children, and what a round needs beside.
    fn to_begin(&self) -> (Vec<Doorbell>, Clock, Arc<dyn Witness>) {
        let Tree { children, around, .. } = &*self.lock();
        let bells = children.iter().map(|child| child.spec.bell.clone()).collect();
        (bells, around.clock, Arc::clone(&around.witness))
    }

    fn tell_restart(&self, index: usize) {
        let tree = self.lock();
        if let Some(child) = tree.children.get(index) {
            tree.around.telemetry.count_restart(child.spec.name);
            tree.around.witness.act(Act::Restarted { child: number(index) });
        }
    }
}

impl Tree {
    fn incarnation(&mut self, index: usize) -> Option<Incarnation> {
        let child = self.children.get_mut(index)?;
        let stage = catch_unwind(AssertUnwindSafe(|| (child.spec.make)())).ok()?;
        let (bell, probe) = (child.spec.bell.clone(), self.around.telemetry.probe(child.spec.name));
        Some(Incarnation { stage, bell, probe })
    }

    /// Notes a crash; the wall time to wait before the restart, or `None` when the child is given up.
    fn after_crash(&mut self, index: usize, why: &str) -> Option<Duration> {
        let Surroundings { clock, escalation, witness, .. } = &self.around;
        let now = clock.now();
        witness.act(Act::Crashed { child: number(index) });
        let child = self.children.get_mut(index)?;
        let crashes = child.crashes.note(now, &self.policy);
        tracing::error!(stage = child.spec.name, crashes, why, "a stage crashed");
        if crashes > self.policy.intensity {
            tracing::error!(stage = child.spec.name, "restart intensity exceeded, the stage is given up");
            escalation.raise(child.spec.name);
            witness.act(Act::GivenUp { child: number(index) });
            return None;
        }
        let periods = match child.spec.backoff {
            Backoff::Periods => (1_u32 << (crashes - 1).min(10)) - 1,
            Backoff::None => 0,
        };
        Some(clock.wall_span(self.policy.period * periods))
    }
}

#[cfg(test)]
mod tests;
