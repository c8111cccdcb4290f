//! From a configuration to a running loop. Modes are wiring: what a mode may not do, it is not given.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use control::accuracy::{OpenLoop, OpenLoopConfig};
use control::estimation::{Ekf, EkfConfig, EstimationError};
use control::mpc::{MpcConfig, MpcError, Nmpc};
use control::screening::{Screen, ScreenConfig, ScreenError};
use control::selector::{Selector, SelectorConfig};
use control::targets::{Targeting, TargetsConfig};
use plant_models::PlantModel;
use safety::{Event, Interlock, InterlockConfig, SafetyError};
use signals::TagId;

use crate::actuator::{Actuator, Recommender};
use crate::board::{Board, SCANS_PER_CYCLE};
use crate::driver::{Bells, Driver};
use crate::estimator::Estimator;
use crate::interlock::Guard;
use crate::kernel::supervision::{ChildSpec, Escalation, RestartPolicy, Supervised, Surroundings};
use crate::kernel::{Clock, Doorbell, Pacer, PacerError, Stage, Telemetry, Witness};
use crate::model::Model;
use crate::mpc::Mpc;
use crate::playback::PlayedSolvers;
use crate::ports::{MoveSink, RecommendationSink, Tape};
use crate::selector::Select;
use crate::sensor::Sensor;
use crate::solver::{MakeNmpc, Results, Solver};

/// How many events the log holds before it loses some.
const EVENT_LOG: usize = 1024;

/// Everything that a loop must be told, every part checked by the crate that uses it.
#[derive(Clone, Debug)]
pub struct LoopConfig {
    /// The plant model.
    pub model: &'static dyn PlantModel,
    /// The control period T.
    pub period: Duration,
    /// Per tag: the CVs, then the DVs.
    pub screens: Vec<ScreenConfig>,
    /// The estimator.
    pub ekf: EkfConfig,
    /// The model beside the plant.
    pub open_loop: OpenLoopConfig,
    /// Set-points and limits.
    pub targets: TargetsConfig,
    /// The controller.
    pub mpc: MpcConfig,
    /// The part of the period, in scans, after which a plan is late.
    pub deadline_scan: u64,
    /// The fallback list.
    pub selector: SelectorConfig,
    /// The interlock.
    pub interlock: InterlockConfig,
    /// Crashes.
    pub restarts: RestartPolicy,
}

/// Where the loop ends: the mode. The sink is made anew for each incarnation of the stage that holds it.
pub enum Ending {
    /// Nothing is proposed and nothing written but status.
    Shadow,
    /// Moves are recommended to a person; there is no way to the plant.
    Advisory(Box<dyn FnMut() -> Box<dyn RecommendationSink> + Send>),
    /// Approved moves are written.
    ClosedLoop(Box<dyn FnMut() -> Box<dyn MoveSink> + Send>),
}

impl std::fmt::Debug for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Shadow => "Shadow",
            Self::Advisory(_) => "Advisory",
            Self::ClosedLoop(_) => "ClosedLoop",
        })
    }
}

/// A loop that cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum WiringError {
    /// The screening of a tag.
    #[error("tag {tag}: {source}")]
    Screen {
        /// The tag, counted from 1.
        tag: usize,
        /// Why.
        source: ScreenError,
    },
    /// The estimator.
    #[error("estimator: {0}")]
    Estimation(#[from] EstimationError),
    /// The controller.
    #[error("mpc: {0}")]
    Mpc(#[from] MpcError),
    /// The interlock.
    #[error("interlock: {0}")]
    Safety(#[from] SafetyError),
    /// The pacer.
    #[error("pacer: {0}")]
    Pacer(#[from] PacerError),
    /// The actors.
    #[error("actors: {0}")]
    Spawn(#[from] Box<ractor::SpawnErr>),
}

/// Why a loop does not go on.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// The pacer.
    #[error("pacer: {0}")]
    Pacer(#[from] PacerError),
    /// A stage crashed more often than it may. The interlock, if it lives, has shed the loop before.
    #[error("a stage crashed too often and was given up; its name is in the log")]
    GivenUp,
}

/// A loop that is wired and running once [`Loop::drive`] is polled.
#[derive(Debug)]
pub struct Loop {
    supervised: Supervised,
    pacer: Pacer,
    driver: Driver,
}

/// What a loop needs beside its configuration.
#[derive(Clone, Debug)]
pub struct LoopContext {
    /// The loop's slots, shared with the adapters.
    pub board: Board,
    /// The clock.
    pub clock: Clock,
    /// The measurements.
    pub telemetry: Telemetry,
    /// Told of all that the outputs depend on; [`crate::kernel::Unwitnessed`] where nobody wants to know.
    pub tape: Arc<dyn Tape>,
}

impl Loop {
    /// Wires and starts the actors of one loop on the runtime in which this is called: the control runtime. Gives the
    /// loop and the log of the interlock's events.
    ///
    /// # Errors
    /// [`WiringError`], naming the part that cannot be made; nothing is left running.
    pub async fn start(
        config: LoopConfig,
        ending: Ending,
        context: LoopContext,
    ) -> Result<(Self, Receiver<Event>), WiringError> {
        let LoopContext { board, clock, telemetry, tape } = context;
        let pacer = Pacer::new(&clock, config.period / u32::try_from(SCANS_PER_CYCLE).unwrap_or(u32::MAX))?;
        let bells = Bells::of(config.screens.len());
        let (events, log) = sync_channel(EVENT_LOG);
        let escalation = Escalation::default();
        let (restarts, deadline_scan) = (config.restarts, config.deadline_scan);
        let wiring = Wiring {
            config,
            board: board.clone(),
            bells: bells.clone(),
            clock,
            telemetry: telemetry.clone(),
            tape: Arc::clone(&tape),
            played: None,
        };
        let children = wiring.children(ending, events, escalation.clone())?;
        let witness: Arc<dyn Witness> = Arc::clone(&tape) as Arc<dyn Witness>;
        let (shared, raised) = (telemetry.clone(), escalation.clone());
        let around = Surroundings { clock, telemetry: shared, escalation: raised, witness };
        let supervised = Supervised::start(children, restarts, around).await.map_err(Box::new)?;
        let driver = Driver {
            board,
            bells,
            clock,
            telemetry,
            tape,
            deadline_scan,
            cycle: 0,
            estimated: 0,
            escalation: escalation.clone(),
            given_up: None,
        };
        Ok((Self { supervised, pacer, driver }, log))
    }

    /// Drives the loop, beat by beat, until it cannot go on; drop it, or race it, to stop.
    ///
    /// # Errors
    /// [`Stopped`]: the timer failed, or a stage was given up.
    pub async fn drive(&mut self) -> Result<std::convert::Infallible, Stopped> {
        loop {
            let tick = self.pacer.next().await?;
            self.driver.beat(tick);
            if self.driver.is_over() {
                return Err(Stopped::GivenUp);
            }
        }
    }

    /// Stops every actor and waits for them.
    pub async fn stop(self) {
        self.supervised.stop().await;
    }
}

/// Makes the children of one loop, running or played.
pub(crate) struct Wiring {
    pub(crate) config: LoopConfig,
    pub(crate) board: Board,
    pub(crate) bells: Bells,
    pub(crate) clock: Clock,
    pub(crate) telemetry: Telemetry,
    pub(crate) tape: Arc<dyn Tape>,
    /// The solvers of a playback.
    pub(crate) played: Option<PlayedSolvers>,
}

/// A child whose incarnations `make` makes.
fn child<S: Stage + 'static>(
    name: &'static str,
    bell: &Doorbell,
    mut make: impl FnMut() -> S + Send + 'static,
) -> ChildSpec {
    ChildSpec { name, bell: bell.clone(), make: Box::new(move || Box::new(make())) }
}

impl Wiring {
    /// Every child of the loop. Their order is their number in the record of a run.
    pub(crate) fn children(
        &self,
        ending: Ending,
        events: SyncSender<Event>,
        escalation: Escalation,
    ) -> Result<Vec<ChildSpec>, WiringError> {
        let mut children = self.sensing()?;
        if !matches!(ending, Ending::Shadow) {
            children.extend(self.proposing()?);
        }
        children.push(self.guard(events, escalation)?);
        children.extend(self.ending(ending));
        Ok(children)
    }

    fn sensing(&self) -> Result<Vec<ChildSpec>, WiringError> {
        let mut children = Vec::new();
        for (i, (screen, bell)) in self.config.screens.iter().zip(&self.bells.sensors).enumerate() {
            let tag = TagId(u16::try_from(i).unwrap_or(u16::MAX));
            let screen = Screen::new(tag, *screen).map_err(|source| WiringError::Screen { tag: i + 1, source })?;
            let (board, estimator, clock) = (self.board.clone(), self.bells.estimator.clone(), self.clock);
            let dv = i.checked_sub(self.config.interlock.cvs);
            children.push(child("sensor", bell, move || Sensor {
                tag,
                dv,
                screen: screen.clone(),
                board: board.clone(),
                estimator: estimator.clone(),
                clock,
                last_u: None,
            }));
        }
        let ekf = Ekf::new(self.config.model, self.config.ekf.clone())?;
        let next = [self.bells.mpc.clone(), self.bells.model.clone()];
        let (board, cvs, clock) = (self.board.clone(), self.config.interlock.cvs, self.clock);
        children.push(child("estimator", &self.bells.estimator, move || {
            Estimator::resume(ekf.clone(), cvs, board.clone(), next.clone(), clock)
        }));
        let (board, model, open_loop) = (self.board.clone(), self.config.model, self.config.open_loop.clone());
        children.push(child("model", &self.bells.model, move || Model {
            open_loop: OpenLoop::new(model, open_loop.clone()),
            board: board.clone(),
            last_u: None,
        }));
        Ok(children)
    }

    fn proposing(&self) -> Result<Vec<ChildSpec>, WiringError> {
        let (model, mpc) = (self.config.model, self.config.mpc.clone());
        drop(Nmpc::new(model, mpc.clone())?);
        let make: MakeNmpc = Arc::new(move || match Nmpc::new(model, mpc.clone()) {
            Ok(nmpc) => nmpc,
            Err(error) => unreachable!("the same configuration was accepted before: {error}"),
        });
        let answer = self.board.answer.clone();
        let results = Results { answer, bell: self.bells.selector.clone(), clock: self.clock };
        let share = self.config.deadline_scan as f64 / SCANS_PER_CYCLE as f64;
        let limit = self.clock.wall_span(self.config.period.mul_f64(share));
        let limit_ns = i64::try_from(limit.as_nanos()).unwrap_or(i64::MAX);
        let (board, clock, targets) = (self.board.clone(), self.clock, self.config.targets.clone());
        let (made, played) = (AtomicU32::new(0), self.played.clone());
        let solver = move || {
            let (make, number) = (Arc::clone(&make), made.fetch_add(1, Ordering::Relaxed));
            match &played {
                Some(played) => Solver::Played(played.add(make, number)),
                None => Solver::new(make, results.clone(), limit_ns, number),
            }
        };
        let mpc = child("mpc", &self.bells.mpc, move || Mpc {
            targeting: Targeting::new(targets.clone()),
            solver: solver(),
            board: board.clone(),
            clock,
            last_cycle: 0,
            last_u: None,
        });
        let (board, interlock) = (self.board.clone(), self.bells.interlock.clone());
        let (selector, period) = (self.config.selector, self.config.period);
        let (deadline_scan, tape) = (self.config.deadline_scan, Arc::clone(&self.tape));
        let selector = child("selector", &self.bells.selector, move || Select {
            selector: Selector::new(selector),
            period,
            board: board.clone(),
            deadline_scan,
            interlock: interlock.clone(),
            clock,
            tape: Arc::clone(&tape),
            last_cycle: 0,
            last_u: None,
        });
        Ok(vec![mpc, selector])
    }

    fn guard(&self, events: SyncSender<Event>, escalation: Escalation) -> Result<ChildSpec, WiringError> {
        // Every incarnation is a new interlock, and a new interlock is tripped.
        let config = self.config.interlock.clone();
        drop(Interlock::new(config.clone())?);
        let (board, telemetry) = (self.board.clone(), self.telemetry.clone());
        let (next, clock, tape) = (self.bells.end.clone(), self.clock, Arc::clone(&self.tape));
        Ok(child("interlock", &self.bells.interlock, move || Guard {
            interlock: match Interlock::new(config.clone()) {
                Ok(interlock) => interlock,
                Err(error) => unreachable!("the same configuration was accepted before: {error}"),
            },
            board: board.clone(),
            telemetry: telemetry.clone(),
            escalation: escalation.clone(),
            next: next.clone(),
            events: events.clone(),
            clock,
            tape: Arc::clone(&tape),
            last_cycle: 0,
            last_move: None,
            answered: 0,
        }))
    }

    fn ending(&self, ending: Ending) -> Option<ChildSpec> {
        let (board, bell, clock) = (self.board.clone(), self.bells.end.clone(), self.clock);
        let tape = Arc::clone(&self.tape);
        match ending {
            Ending::Shadow => None,
            Ending::Advisory(mut sink) => Some(child("recommender", &bell, move || Recommender {
                sink: sink(),
                board: board.clone(),
                tape: Arc::clone(&tape),
            })),
            Ending::ClosedLoop(mut sink) => {
                let cycle = self.telemetry.probe("cycle");
                Some(child("actuator", &bell, move || Actuator {
                    sink: sink(),
                    board: board.clone(),
                    cycle: cycle.clone(),
                    clock,
                    tape: Arc::clone(&tape),
                }))
            }
        }
    }
}
