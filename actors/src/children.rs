//! What each stage of a loop is made of, at the start and after each crash.
//!
//! A factory is asked for an incarnation on the control thread. It gives it what survives a crash:
//!
//! | stage | what survives | without it |
//! |---|---|---|
//! | sensor | the windows of its checks | the first value after a crash would be believed whatever it is |
//! | estimator | the belief, and its cycle | the state would be guessed anew from one measurement |
//! | model | nothing: no decision hangs on it | |
//! | mpc | the operator's last good values; the solver, beside it | bad values would count as none |
//! | selector | the last plan, and since when it holds | no fallback, and a bound on holding that crashes renew |
//! | interlock | the latch; it boots tripped | the first cause of a trip would be lost |
//! | recommender | the open recommendation, its number, the statistics | a person would answer a number that nobody knows |
//! | actuator | nothing: an approval waits in its slot while it is valid | |

use std::sync::Arc;
use std::time::Duration;

use control::accuracy::OpenLoop;
use control::advice::{Adviser, Forecast};
use control::estimation::Ekf;
use control::guarded::Guarded;
use control::mpc::Nmpc;
use control::screening::Screen;
use control::selector::Selector;
use control::targets::Targeting;
use safety::Interlock;
use signals::TagId;

use crate::actuator::Actuator;
use crate::board::{Board, SCANS_PER_CYCLE};
use crate::config::{Ending, LoopConfig, WiringError};
use crate::driver::Bells;
use crate::estimator::Estimator;
use crate::interlock::Guard;
use crate::kernel::supervision::{Backoff, ChildSpec, Escalation};
use crate::kernel::watchdog::Watched;
use crate::kernel::{Clock, Doorbell, LastGood, Stage, Telemetry};
use crate::model::Model;
use crate::mpc::{Mpc, MpcMemory};
use crate::ports::EventQueue;
use crate::recommender::{Recommender, RecommenderMemory};
use crate::selector::{Select, SelectorMemory};
use crate::sensor::{Sensor, SensorMemory, Spares};
use crate::solver::{Limits, MakeOptimiser, PlayedSolver, Results, Solver};
use crate::tape::Tape;

/// Periods without a sign of life after which a solver is replaced: one for its solve, and one more, because a solver that
/// is slow once is not worth a new one.
const PATIENCE_PERIODS: u32 = 2;
/// The least of it, wall time: below, an operating system that is busy looks like a solver that hangs.
const PATIENCE_MIN: Duration = Duration::from_millis(50);

/// Makes the children of one loop, running or played.
pub(crate) struct Wiring {
    pub(crate) config: LoopConfig,
    pub(crate) board: Board,
    pub(crate) bells: Bells,
    pub(crate) clock: Clock,
    pub(crate) telemetry: Telemetry,
    pub(crate) tape: Arc<dyn Tape>,
    /// The solver of a playback.
    pub(crate) played: Option<PlayedSolver>,
}

/// A child whose incarnations `make` makes.
fn child<S: Stage + 'static>(
    name: &'static str,
    bell: &Doorbell,
    mut make: impl FnMut() -> S + Send + 'static,
) -> ChildSpec {
    ChildSpec { name, bell: bell.clone(), backoff: Backoff::Periods, make: Box::new(move || Box::new(make())) }
}

impl Wiring {
    /// Every child of the loop. Their order is their number in the record of a run.
    pub(crate) fn children(
        &self,
        ending: Ending,
        events: EventQueue,
        escalation: Escalation,
    ) -> Result<Vec<ChildSpec>, WiringError> {
        let mut children = self.sensing()?;
        if !matches!(ending, Ending::Shadow) {
            children.extend(self.proposing()?);
        }
        children.push(self.guard(events, escalation)?);
        if !matches!(ending, Ending::Shadow) {
            children.extend(self.recommending());
        }
        children.extend(self.ending(ending));
        Ok(children)
    }

    fn sensing(&self) -> Result<Vec<ChildSpec>, WiringError> {
        let mut children = Vec::new();
        for (i, (screen, bell)) in self.config.screens.iter().zip(&self.bells.sensors).enumerate() {
            let tag = TagId(u16::try_from(i).unwrap_or(u16::MAX));
            let screen = Screen::new(tag, *screen).map_err(|source| WiringError::Screen { tag: i + 1, source })?;
            let (board, estimator, clock) = (self.board.clone(), self.bells.estimator.clone(), self.clock);
            let (dv, spares) = (i.checked_sub(self.config.interlock.cvs), self.spares(tag));
            let (last_good, fresh) = (LastGood::new(), SensorMemory { screen, last_u: None });
            children.push(child("sensor", bell, move || Sensor {
                tag,
                dv,
                spares,
                board: board.clone(),
                estimator: estimator.clone(),
                clock,
                memory: last_good.recall().unwrap_or_else(|| fresh.clone()),
                last_good: last_good.clone(),
            }));
        }
        let ekf = Ekf::new(self.config.model, self.config.ekf.clone())?;
        let next = [self.bells.mpc.clone(), self.bells.model.clone()];
        let (board, cvs, clock) = (self.board.clone(), self.config.interlock.cvs, self.clock);
        let last_good = LastGood::new();
        children.push(child("estimator", &self.bells.estimator, move || {
            let (ekf, board, next, last_good) = (ekf.clone(), board.clone(), next.clone(), last_good.clone());
            Estimator { ekf, cvs, board, next, clock, last_cycle: 0, last_u: None, last_good }.resumed()
        }));
        let (board, model, open_loop) = (self.board.clone(), self.config.model, self.config.open_loop.clone());
        children.push(child("model", &self.bells.model, move || Model {
            open_loop: OpenLoop::new(model, open_loop.clone()),
            board: board.clone(),
            last_u: None,
        }));
        Ok(children)
    }

    /// The spare transmitters of a tag, with the tolerance that the interlock has for them.
    fn spares(&self, tag: TagId) -> Option<Spares> {
        let interlock = &self.config.interlock;
        let tolerance = interlock.tags.get(tag.index())?.spares_tolerance?;
        let place = |n| interlock.spared().place(interlock.tags.len(), tag, n);
        Some(Spares { places: [place(1)?, place(2)?], tolerance })
    }

    fn proposing(&self) -> Result<Vec<ChildSpec>, WiringError> {
        let solver = self.solver()?;
        let (board, clock, targets) = (self.board.clone(), self.clock, self.config.targets.clone());
        let operator = Targeting::new(targets.clone()).operator_values();
        let (last_good, fresh) = (LastGood::new(), MpcMemory { operator, last_cycle: 0, last_u: None });
        let time_limit = self.time_limit();
        let mpc = child("mpc", &self.bells.mpc, move || {
            let MpcMemory { operator, last_cycle, last_u } = last_good.recall().unwrap_or(fresh);
            let targeting = Targeting::resume(targets.clone(), operator);
            let (solver, board, last_good) = (solver.clone(), board.clone(), last_good.clone());
            Mpc { targeting, solver, time_limit, board, clock, last_cycle, last_u, last_good }
        });
        let (board, interlock) = (self.board.clone(), self.bells.interlock.clone());
        let (period, deadline_scan) = (self.config.period, self.config.deadline_scan);
        let fresh = SelectorMemory { selector: Selector::new(self.config.selector), last_cycle: 0, last_u: None };
        let (last_good, tape) = (LastGood::new(), Arc::clone(&self.tape));
        let selector = child("selector", &self.bells.selector, move || Select {
            period,
            board: board.clone(),
            deadline_scan,
            interlock: interlock.clone(),
            clock,
            tape: Arc::clone(&tape),
            memory: last_good.recall().unwrap_or_else(|| fresh.clone()),
            last_good: last_good.clone(),
        });
        Ok(vec![mpc, selector])
    }

    /// The solver, which outlives the stages that ask it.
    fn solver(&self) -> Result<Solver, WiringError> {
        let make = self.optimiser()?;
        if let Some(played) = &self.played {
            return Ok(Solver::Played(played.take_up(make)));
        }
        let results = Results {
            answers: self.board.answers.clone(),
            bell: self.bells.selector.clone(),
            clock: self.clock,
            telemetry: self.telemetry.clone(),
        };
        let limits = Limits {
            solve: self.clock.wall_span(self.time_limit()),
            patience: self.clock.wall_span(self.config.period * PATIENCE_PERIODS).max(PATIENCE_MIN),
        };
        Ok(Solver::start(make, results, limits)?)
    }

    /// Makes the controller, with its guard where it has one.
    fn optimiser(&self) -> Result<MakeOptimiser, WiringError> {
        let (model, mpc) = (self.config.model, self.config.mpc.clone());
        drop(Nmpc::new(model, mpc.clone())?);
        let Some(guard) = self.config.guard.clone() else {
            return Ok(Arc::new(move || match Nmpc::new(model, mpc.clone()) {
                Ok(nmpc) => Box::new(nmpc),
                Err(error) => unreachable!("the same configuration was accepted before: {error}"),
            }));
        };
        drop(Guarded::new(model, mpc.clone(), guard.clone())?);
        Ok(Arc::new(move || match Guarded::new(model, mpc.clone(), guard.clone()) {
            Ok(guarded) => Box::new(guarded),
            Err(error) => unreachable!("the same configuration was accepted before: {error}"),
        }))
    }

    /// The plant time that a plan may take, from the opening of its cycle.
    fn time_limit(&self) -> Duration {
        self.config.period.mul_f64(self.config.deadline_scan as f64 / SCANS_PER_CYCLE as f64)
    }

    fn guard(&self, events: EventQueue, escalation: Escalation) -> Result<ChildSpec, WiringError> {
        // Every incarnation is a new interlock, and a new interlock is tripped.
        let config = self.config.interlock.clone();
        drop(Interlock::new(config.clone())?);
        let (board, telemetry) = (self.board.clone(), self.telemetry.clone());
        let (next, clock) = (self.bells.end.clone(), self.clock);
        let recommender = self.bells.recommender.clone();
        let (tape, heartbeat) = (Arc::clone(&self.tape), self.board.heartbeat.clone());
        // A latch is plain data that cannot make its heir crash, and it must not be forgotten: no probation for it.
        let guard = move || Guard {
            handed_out: board.latch.read().and_then(|latch| latch.first_out()),
            interlock: match Interlock::with_latch(config.clone(), board.latch.read().unwrap_or_default()) {
                Ok(interlock) => interlock,
                Err(error) => unreachable!("the same configuration was accepted before: {error}"),
            },
            board: board.clone(),
            telemetry: telemetry.clone(),
            escalation: escalation.clone(),
            next: next.clone(),
            recommender: recommender.clone(),
            events: events.clone(),
            clock,
            tape: Arc::clone(&tape),
            last_cycle: 0,
            last_move: None,
            answered: 0,
        };
        // The watchdog's patience may be shorter than a period.
        let spec = child("interlock", &self.bells.interlock, move || Watched::new(guard(), heartbeat.clone(), clock));
        Ok(ChildSpec { backoff: Backoff::None, ..spec })
    }

    fn recommending(&self) -> Option<ChildSpec> {
        let config = self.config.advice.clone()?;
        let forecast = Forecast::new(self.config.model, config.forecast);
        let (board, tape, period) = (self.board.clone(), Arc::clone(&self.tape), self.config.period);
        let (last_good, fresh) =
            (LastGood::new(), RecommenderMemory { adviser: Adviser::new(config.adviser), last_u: None });
        Some(child("recommender", &self.bells.recommender, move || Recommender {
            period,
            forecast: forecast.clone(),
            board: board.clone(),
            tape: Arc::clone(&tape),
            memory: last_good.recall().unwrap_or(fresh),
            last_good: last_good.clone(),
        }))
    }

    fn ending(&self, ending: Ending) -> Option<ChildSpec> {
        let Ending::ClosedLoop(mut sink) = ending else { return None };
        let (board, clock, tape) = (self.board.clone(), self.clock, Arc::clone(&self.tape));
        let cycle = self.telemetry.probe("cycle");
        Some(child("actuator", &self.bells.end, move || Actuator {
            sink: sink(),
            board: board.clone(),
            cycle: cycle.clone(),
            clock,
            tape: Arc::clone(&tape),
        }))
    }
}
