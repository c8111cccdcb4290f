//! A run without a plant, a wire or a wall clock: the whole loop, every actor of it, beside a rig in the same process.
//!
//! ```text
//! seed ─┬─▶ noise ───▶ rig ◀── commands ── operator ◀─┐
//!       ├─▶ feed ───────┘ ▲ │                         │ streams
//!       └─▶ upsets ─▶ plumbing ─▶ loop ─▶ tape ─▶ fingerprint
//! ```
//!
//! # Invariants
//! - A run is a function of plant file, rig file, duration, seed and whether there are upsets. It is told no time but
//!   tokio's paused clock, draws no chance but from its seed, and ends in a [`Fingerprint`] over all inputs and outputs.
//! - Streams of the seed ([`Random::stream`]): 0 set-points, 1 feed, 2 the operator's attention, 3 to 7 upsets; the
//!   instruments' noise is the seed itself. One more draw in one of them moves nothing in another.
//! - The loop is the one that [`crate::run`] starts; only its ports and its clock are others.

mod cell;
mod command;
mod crashes;
mod fingerprint;
mod judge;
mod operator;
mod outcome;
mod plumbing;
mod stand_in;
mod sweep;
mod upsets;

use std::sync::Arc;
use std::time::Duration;

use actors::WiringError;
use actors::board::LoopStatus;
use actors::kernel::{Observer, Unobserved};
use actors::tape::Tape;
use plant_models::SteadyStateError;
use rig::{Random, Rig, RigConfig, RigError};
use safety::{Latch, State};
use signals::{Spared, TagId};
use tokio::time::Instant;

pub use cell::{Cell, Fittings, MakeSink};
pub use command::{SimulateArgs, perform};
pub use crashes::{Crashes, Moment, Victim};
pub use fingerprint::Fingerprint;
pub use judge::InvalidMoves;
pub use operator::{Operator, Shift};
pub use outcome::{Outcome, REFUSED_FOR_VALUE};
pub use plumbing::{LATE_MAX, LinkFaults, Plumbing, RigSink, SharedRig};
pub use stand_in::stand_in;
pub use sweep::sweep;
pub use upsets::{UpsetCounts, Upsets};

use crate::advice::mv_tags;
use crate::config::{Mode, PlantFile};
use crate::journal::Shape;

/// A simulation that cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// The model is not steady at its nominal inputs.
    #[error("the model has no steady state at its nominal inputs ({0}); give a rig file that starts elsewhere")]
    NoStart(#[from] SteadyStateError),
    /// The rig.
    #[error("rig: {0}")]
    Rig(#[from] RigError),
    /// The rig is that of another plant.
    #[error("the rig's {what} {theirs}, the plant file's {ours}")]
    Misfit {
        /// What was compared.
        what: &'static str,
        /// The rig file's.
        theirs: String,
        /// The plant file's.
        ours: String,
    },
    /// The loop.
    #[error("{0}")]
    Wiring(#[from] WiringError),
    /// The operating system.
    #[error("no runtime: {0}")]
    Runtime(#[from] std::io::Error),
}

/// What is to be simulated.
#[derive(Clone, Debug)]
pub struct Simulation {
    /// The loop.
    pub plant: PlantFile,
    /// Plant and DCS.
    pub rig: RigConfig,
    /// For how much plant time.
    pub duration: Duration,
    /// Whether stages crash and the link fails.
    pub upsets: bool,
}

impl Simulation {
    /// Puts a plant file and a rig together.
    ///
    /// # Errors
    /// [`SimulateError::Misfit`] when the two do not speak of the same variables or periods.
    pub fn new(plant: PlantFile, rig: RigConfig, duration: Duration, upsets: bool) -> Result<Self, SimulateError> {
        let names = |names: Vec<&'static str>| names.join(", ");
        let pairs = [
            (
                "MVs are",
                names(rig.mvs.iter().map(|v| v.variable.name).collect()),
                names(plant.mvs.iter().map(|v| v.variable.name).collect()),
            ),
            (
                "CVs are",
                names(rig.cvs.iter().map(|v| v.variable.name).collect()),
                names(plant.cvs.iter().map(|v| v.variable.name).collect()),
            ),
            (
                "DVs are",
                names(rig.dvs.iter().map(|v| v.variable.name).collect()),
                names(plant.dvs.iter().map(|v| v.variable.name).collect()),
            ),
            ("spare transmitters are of", spared(&plant, rig.spared()), spared(&plant, plant.spared())),
            ("period is", format!("{:?}", rig.period), format!("{:?}", plant.period())),
        ];
        match pairs.into_iter().find(|(_, theirs, ours)| theirs != ours) {
            Some((what, theirs, ours)) => Err(SimulateError::Misfit { what, theirs, ours }),
            None => Ok(Self { plant, rig, duration, upsets }),
        }
    }

    /// Runs it, on this thread, under a clock that does not wait. `tape` is told of all that goes in and comes out;
    /// `progress` is told the plant time now and then.
    ///
    /// # Errors
    /// [`SimulateError`]; a loop that ends by itself is no error but a part of the outcome.
    pub fn run(
        &self,
        seed: u64,
        tape: Arc<dyn Tape>,
        progress: &mut dyn FnMut(Duration),
    ) -> Result<Outcome, SimulateError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
        runtime.block_on(self.run_here(seed, tape, progress))
    }

    async fn run_here(
        &self,
        seed: u64,
        tape: Arc<dyn Tape>,
        progress: &mut dyn FnMut(Duration),
    ) -> Result<Outcome, SimulateError> {
        let (plant, scan) = (&self.plant, self.rig.scan);
        let stream = |number| Random::stream(seed, number);
        let mut operator = Operator::new(plant, &self.rig, [0, 1, 2].map(stream));
        let tags = plant.cvs.len() + plant.dvs.len();
        let fingerprint = Arc::new(Fingerprint::new(Shape::of(plant), tape));
        let crashes = Crashes::telling(fingerprint.clone());
        let mut upsets = self.upsets.then(|| {
            let sizes = (tags, stages(plant));
            Upsets::new([3, 4, 5, 6, 7].map(stream), plant.period(), sizes, crashes.clone())
        });
        let (tape, observer): (Arc<dyn Tape>, Box<dyn Observer>) = match self.upsets {
            true => (Arc::new(crashes.clone()), Box::new(crashes)),
            false => (fingerprint.clone(), Box::new(Unobserved)),
        };
        let rig = SharedRig::new(Rig::new(self.rig.clone(), seed)?);
        let fittings = Fittings { observer, tape, latch: Latch::default(), gap_max: None };
        let (cell, mut plumbing) = Cell::start(plant, rig.clone(), fittings).await?;
        let faults = plumbing.faults();
        let mut in_state = [0_u64; State::ALL.len()];
        let (start, mut passed) = (Instant::now(), Duration::ZERO);
        while passed + scan <= self.duration && cell.ended().is_none() {
            passed += scan;
            tokio::time::sleep_until(start + passed).await;
            if let Some(upsets) = &mut upsets {
                faults.put(upsets.at(rig.lock().now() + scan));
            }
            plumbing.exchange(scan);
            operator.look(&mut rig.lock());
            count_state(&mut in_state, cell.board.status.read());
            progress(passed);
        }
        Ok(Outcome::of(
            seed,
            &cell,
            outcome::Seen {
                fingerprint: &fingerprint,
                in_state,
                shift: operator.shift(),
                mv_tags: mv_tags(plant),
                upsets: upsets.map(|u| u.counts()),
            },
        ))
    }
}

/// Which of the variables for which a plant file wants spare transmitters have them. A rig may have more.
fn spared(plant: &PlantFile, has: Spared) -> String {
    let tags = plant.cvs.iter().map(|cv| &cv.tag).chain(plant.dvs.iter().map(|dv| &dv.tag));
    let tags = (0..).map(TagId).zip(tags).filter(|(id, _)| plant.spared().has(*id) && has.has(*id));
    let tags: Vec<_> = tags.map(|(_, tag)| tag.name.as_str()).collect();
    if tags.is_empty() { "none".to_owned() } else { tags.join(", ") }
}

fn count_state(in_state: &mut [u64; State::ALL.len()], status: Option<LoopStatus>) {
    let state = status.map_or(State::Boot, |s| s.state);
    let place = State::ALL.iter().position(|s| *s == state);
    if let Some(scans) = place.and_then(|i| in_state.get_mut(i)) {
        *scans += 1;
    }
}

/// How many stages the loop of a plant file has: a sensor per tag, estimator, model and interlock; beyond shadow the
/// optimiser, the selector and the recommender; in closed loop the actuator.
fn stages(plant: &PlantFile) -> usize {
    let beyond_shadow = match plant.mode {
        Mode::Shadow => 0,
        Mode::Advisory => 3,
        Mode::ClosedLoop => 4,
    };
    plant.cvs.len() + plant.dvs.len() + 3 + beyond_shadow
}
