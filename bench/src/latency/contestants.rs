//! Four ways through the same six stages, all on one single-threaded runtime.

use std::sync::Arc;
use std::time::Duration;

use actors::kernel::supervision::{Backoff, ChildSpec, Escalation, RestartPolicy, Supervised, Surroundings};
use actors::kernel::{Clock, Doorbell, Latest, Stage, Telemetry, Unobserved, Unwitnessed};
use anyhow::Result;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use signals::Stamp;
use tokio::sync::mpsc;

use super::chain::{Contestant, Finish, Item, STAGES};

/// The loop's own machinery: a slot and a doorbell per edge, supervised actors, their probes.
#[derive(Debug)]
pub(super) struct Actors {
    first: Latest<Item>,
    bell: Doorbell,
    clock: Clock,
    telemetry: Telemetry,
    _tree: Supervised,
}

/// One stage between two slots. `next` is the bell behind it; the last one has the end.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) number: usize,
    pub(super) input: Latest<Item>,
    pub(super) output: Latest<Item>,
    pub(super) next: Option<Doorbell>,
    pub(super) finish: Finish,
}

impl Stage for Link {
    fn step(&mut self, _now: Stamp) {
        let Some(item) = self.input.read() else { return };
        let item = item.worked(self.number);
        match &self.next {
            Some(next) => {
                self.output.put(item);
                next.ring(self.finish.clock().wall_ns());
            }
            None => self.finish.done(&item),
        }
    }
}

impl Actors {
    /// Starts six supervised stages, each made by `wrap` around its link.
    pub(super) async fn start<S: Stage + 'static>(
        finish: &Finish,
        policy: RestartPolicy,
        wrap: impl Fn(Link) -> S + Clone + Send + 'static,
    ) -> Result<Self> {
        let (clock, telemetry) = (finish.clock(), Telemetry::new(Box::new(Unobserved)));
        let slots: Vec<Latest<Item>> = (0..=STAGES).map(|_| Latest::new()).collect();
        let bells: Vec<Doorbell> = (0..STAGES).map(|_| Doorbell::new()).collect();
        let names = ["sensor", "estimator", "mpc", "selector", "interlock", "actuator"];
        let edges = slots.iter().zip(slots.iter().skip(1));
        let mut children = Vec::new();
        for (number, ((name, bell), (input, output))) in names.into_iter().zip(&bells).zip(edges).enumerate() {
            let next = bells.get(number + 1).cloned();
            let link = Link { number, input: input.clone(), output: output.clone(), next, finish: finish.clone() };
            let wrap = wrap.clone();
            let make: Box<dyn FnMut() -> Box<dyn Stage> + Send> = Box::new(move || Box::new(wrap(link.clone())));
            children.push(ChildSpec { name, bell: bell.clone(), backoff: Backoff::Periods, make });
        }
        let tree = Supervised::start(children, policy, surroundings(clock, &telemetry)).await?;
        let (first, bell) =
            (slots.into_iter().next().unwrap_or_default(), bells.into_iter().next().unwrap_or_default());
        Ok(Self { first, bell, clock, telemetry, _tree: tree })
    }

    pub(super) fn restarts(&self) -> u64 {
        self.telemetry.restarts()
    }
}

/// Of a tree of which nobody takes note.
pub(super) fn surroundings(clock: Clock, telemetry: &Telemetry) -> Surroundings {
    let (telemetry, escalation) = (telemetry.clone(), Escalation::default());
    Surroundings { clock, telemetry, escalation, witness: Arc::new(Unwitnessed) }
}

/// No restarts to speak of: for measurements in which nothing crashes.
pub(super) const NO_CRASHES: RestartPolicy =
    RestartPolicy { period: Duration::from_millis(1), intensity: 0, window_periods: 1 };

impl Contestant for Actors {
    fn begin(&mut self, item: Item) {
        self.first.put(item);
        self.bell.ring(self.clock.wall_ns());
    }
}

/// Plain tokio: a task per stage, a bounded channel per edge.
#[derive(Debug)]
pub(super) struct Tasks(mpsc::Sender<Item>);

impl Tasks {
    pub(super) fn start(finish: &Finish) -> Self {
        let (first, mut input) = mpsc::channel::<Item>(4);
        for number in 0..STAGES - 1 {
            let (sender, next) = mpsc::channel(4);
            tokio::spawn(async move {
                while let Some(item) = input.recv().await {
                    if sender.send(item.worked(number)).await.is_err() {
                        return;
                    }
                }
            });
            input = next;
        }
        let finish = finish.clone();
        tokio::spawn(async move {
            while let Some(item) = input.recv().await {
                finish.done(&item.worked(STAGES - 1));
            }
        });
        Self(first)
    }
}

impl Contestant for Tasks {
    fn begin(&mut self, item: Item) {
        // Room for four, and one is under way.
        let _ = self.0.try_send(item);
    }
}

/// Plain ractor: an actor per stage, and the item itself cast from one to the next.
#[derive(Debug)]
pub(super) struct Casts(ActorRef<Item>);

struct Caster;

struct CasterState {
    number: usize,
    next: Option<ActorRef<Item>>,
    finish: Finish,
}

#[allow(clippy::disallowed_methods, reason = "plain ractor is what is measured here")]
fn cast(to: &ActorRef<Item>, item: Item) {
    let _ = to.cast(item);
}

impl Actor for Caster {
    type Msg = Item;
    type State = CasterState;
    type Arguments = CasterState;

    async fn pre_start(&self, _me: ActorRef<Item>, state: CasterState) -> Result<CasterState, ActorProcessingErr> {
        Ok(state)
    }

    async fn handle(&self, _me: ActorRef<Item>, item: Item, at: &mut CasterState) -> Result<(), ActorProcessingErr> {
        let item = item.worked(at.number);
        match &at.next {
            Some(next) => cast(next, item),
            None => at.finish.done(&item),
        }
        Ok(())
    }
}

impl Casts {
    pub(super) async fn start(finish: &Finish) -> Result<Self> {
        let mut next = None;
        for number in (0..STAGES).rev() {
            let state = CasterState { number, next: next.take(), finish: finish.clone() };
            next = Some(Actor::spawn(None, Caster, state).await?.0);
        }
        next.map(Self).ok_or_else(|| anyhow::anyhow!("a chain has stages"))
    }
}

impl Contestant for Casts {
    fn begin(&mut self, item: Item) {
        cast(&self.0, item);
    }
}

/// Six calls, one after the other, each behind a pointer as an actor's stage is.
pub(super) struct Direct {
    stages: Vec<Box<dyn Fn(Item) -> Item + Send>>,
    finish: Finish,
}

impl Direct {
    pub(super) fn new(finish: &Finish) -> Self {
        let stage = |number: usize| Box::new(move |item: Item| item.worked(number)) as Box<dyn Fn(Item) -> Item + Send>;
        Self { stages: (0..STAGES).map(stage).collect(), finish: finish.clone() }
    }
}

impl Contestant for Direct {
    fn begin(&mut self, item: Item) {
        let item = self.stages.iter().fold(item, |item, stage| stage(item));
        self.finish.done(&item);
    }
}
