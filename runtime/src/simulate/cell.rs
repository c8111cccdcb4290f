//! A loop wired to a rig in one process, under tokio's paused clock: every actor of the loop, and no wire.
//!
//! Place in the loop: where [`crate::run`] has a link, this has [`super::plumbing`]. Whoever holds the cell lets time
//! pass: tokio's clock stands still while anything can run, and jumps to the next timer when nothing can.

use std::sync::{Arc, Mutex, PoisonError};

use actors::kernel::{Clock, Observer, Telemetry};
use actors::tape::Tape;
use actors::{Board, Ending, EventQueue, Loop, LoopConfig, LoopContext, MoveSink, WiringError};
use safety::Latch;
use tokio::task::JoinHandle;

use super::plumbing::{Plumbing, RigSink, SharedRig};
use crate::config::{Mode, PlantFile};

/// What a loop is fitted with, beside its plant file and its rig.
#[derive(Debug)]
pub struct Fittings {
    /// Told of the stages' latencies.
    pub observer: Box<dyn Observer>,
    /// Told of all that goes in and comes out.
    pub tape: Arc<dyn Tape>,
    /// What the interlock takes up from an earlier run.
    pub latch: Latch,
    /// Check 20: how many samples may pass unseen between two. Here, where every sample bears the number of its scan, lost
    /// ones can be judged; over OPC UA nobody knows of them.
    pub gap_max: Option<u64>,
}

/// Makes the end of a loop, once for each incarnation of its actuator, around the sink into the rig.
pub type MakeSink = Box<dyn Fn(&RigSink) -> Box<dyn MoveSink> + Send>;

/// A running loop and its rig. Dropping it ends the loop.
#[derive(Debug)]
pub struct Cell {
    /// The rig.
    pub rig: SharedRig,
    /// The loop's slots.
    pub board: Board,
    /// The loop's measurements.
    pub telemetry: Telemetry,
    /// The log of the interlock's events; it loses the newest when nobody reads.
    pub events: EventQueue,
    /// Where moves go, and are judged.
    pub sink: RigSink,
    ended: Arc<Mutex<Option<String>>>,
    drive: JoinHandle<()>,
}

impl Cell {
    /// Starts the loop of a plant file against a rig. Call it inside a tokio runtime whose clock is paused, and keep the
    /// plumbing going: nothing else moves the rig.
    ///
    /// # Errors
    /// [`WiringError`], naming the part that cannot be made.
    pub async fn start(plant: &PlantFile, rig: SharedRig, fittings: Fittings) -> Result<(Self, Plumbing), WiringError> {
        let config = plant.loop_config();
        let board = Board::with_spares(config.screens.len(), config.interlock.spared());
        let end: MakeSink = Box::new(|sink| Box::new(sink.clone()));
        Box::pin(Self::of(config, plant.mode, board, rig, (fittings, end))).await
    }

    /// As [`Self::start`], with the parts of a loop: what it is told, how far it reaches, its slots, and what is made of its
    /// sink. A campaign of the rig changes one of them and leaves the rest.
    ///
    /// # Errors
    /// [`WiringError`], naming the part that cannot be made.
    pub async fn of(
        mut config: LoopConfig,
        mode: Mode,
        board: Board,
        rig: SharedRig,
        (fittings, end): (Fittings, MakeSink),
    ) -> Result<(Self, Plumbing), WiringError> {
        let Fittings { observer, tape, latch, gap_max } = fittings;
        let (clock, telemetry) = (Clock::of_tokio(), Telemetry::new(observer));
        config.interlock.tags.iter_mut().for_each(|tag| tag.gap_max = gap_max);
        let spared = config.interlock.spared();
        board.latch.put(latch);
        let plumbing = Plumbing::new(rig.clone(), board.clone()).with_spares(spared);
        let sink = plumbing.sink();
        let plain = sink.clone();
        let ending = match mode {
            Mode::ClosedLoop => Ending::ClosedLoop(Box::new(move || end(&plain))),
            Mode::Advisory => Ending::Advisory,
            Mode::Shadow => Ending::Shadow,
        };
        let context = LoopContext { board: board.clone(), clock, telemetry: telemetry.clone(), tape };
        let (mut running, events) = Loop::start(config, ending, context).await?;
        board.inlet.set_link(true);
        let ended = Arc::new(Mutex::new(None));
        let end = Arc::clone(&ended);
        let drive = tokio::spawn(async move {
            let Err(stopped) = running.drive().await;
            *end.lock().unwrap_or_else(PoisonError::into_inner) = Some(stopped.to_string());
        });
        Ok((Self { rig, board, telemetry, events, sink, ended, drive }, plumbing))
    }

    /// Why the loop ended by itself, if it did.
    #[must_use]
    pub fn ended(&self) -> Option<String> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        self.drive.abort();
    }
}
