//! From a configuration to a running loop. Modes are wiring: what a mode may not do, it is not given.

use std::sync::Arc;

use crate::board::{Board, SCANS_PER_CYCLE};
use crate::children::Wiring;
pub use crate::config::{AdviceConfig, Ending, LoopConfig, WiringError};
use crate::driver::{Bells, Driver};
use crate::kernel::supervision::{Escalation, Supervised, Surroundings};
use crate::kernel::{Clock, Pacer, PacerError, RELEASE, Telemetry, Witness};
use crate::ports::EventQueue;
use crate::tape::Tape;

/// Why a loop does not go on.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// The pacer.
    #[error("pacer: {0}")]
    Pacer(#[from] PacerError),
    /// A stage crashed more often than it may. The interlock, if it lives, has shed the loop before.
    #[error("the stage {stage:?} crashed too often and was given up")]
    GivenUp {
        /// Its name.
        stage: &'static str,
    },
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
    /// The thread that makes the loop's other threads is made here: promote the calling thread after this, so that they
    /// do not inherit its priority and its processor.
    ///
    /// # Errors
    /// [`WiringError`], naming the part that cannot be made; nothing is left running.
    pub async fn start(
        config: LoopConfig,
        ending: Ending,
        context: LoopContext,
    ) -> Result<(Self, EventQueue), WiringError> {
        let LoopContext { board, clock, telemetry, tape } = context;
        let pacer = Pacer::new(&clock, config.period / u32::try_from(SCANS_PER_CYCLE).unwrap_or(u32::MAX))?;
        let bells = Bells::of(config.screens.len());
        let events = EventQueue::new();
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
        let children = wiring.children(ending, events.clone(), escalation.clone())?;
        let witness: Arc<dyn Witness> = Arc::clone(&tape) as Arc<dyn Witness>;
        let (shared, raised) = (telemetry.clone(), escalation.clone());
        let around = Surroundings { clock, telemetry: shared, escalation: raised, witness };
        let supervised = Supervised::start(children, restarts, around).await.map_err(Box::new)?;
        let driver = Driver {
            board,
            bells,
            clock,
            release: telemetry.probe(RELEASE),
            telemetry,
            tape,
            deadline_scan,
            cycle: 0,
            estimated: 0,
            escalation: escalation.clone(),
            given_up: None,
        };
        Ok((Self { supervised, pacer, driver }, events))
    }

    /// Drives the loop, beat by beat, until it cannot go on; drop it, or race it, to stop.
    ///
    /// # Errors
    /// [`Stopped`]: the timer failed, or a stage was given up.
    pub async fn drive(&mut self) -> Result<std::convert::Infallible, Stopped> {
        loop {
            let tick = self.pacer.next().await?;
            self.supervised.mend().await;
            self.driver.beat(tick);
            if let Some(stage) = self.driver.over() {
                return Err(Stopped::GivenUp { stage });
            }
        }
    }

    /// Stops every actor and waits for them.
    pub async fn stop(self) {
        self.supervised.stop().await;
    }
}
