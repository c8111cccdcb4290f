//! The loop's slots: one per edge. Who writes which is told by the fields' order, which is that of the cycle.

use std::time::Duration;

use control::accuracy::ModelError;
use control::advice::Advised;
use control::estimation::Estimate;
use control::frame::Frame;
use control::mpc::MpcOutcome;
use control::screening::Screened;
use control::selector::Selection;
use safety::{ApprovedMove, FirstOut, Latch, PreTrip, Recommended, State};
use signals::dcs::ModeActual;
use signals::{MAX_MVS, Spared, Stamp, Values};

use crate::kernel::watchdog::Heartbeat;
use crate::kernel::{Bounded, Latest};
use crate::ports::{Inlet, NewsQueue, Outlet};

/// Interlock scans in a control period (the interlock's scan is T/10).
pub const SCANS_PER_CYCLE: u64 = 10;

/// The newest beat of the pacer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beat {
    /// The control cycle that is under way, counted from 1.
    pub cycle: u64,
    /// The interlock scan within the cycle; 0 opens the cycle.
    pub scan: u64,
    /// When the cycle was opened: the `now` of every stage before the interlock.
    pub at: Stamp,
    /// The same, on the wall's monotonic clock.
    pub wall_ns: i64,
}

impl Beat {
    /// Whether sensors that are not heard yet are given up for this cycle.
    pub(crate) fn past_cut_off(&self) -> bool {
        self.scan > 0
    }
}

/// What came of this cycle's optimisation.
#[derive(Clone, Copy, Debug)]
pub struct Solved {
    /// The control cycle for which it was started.
    pub cycle: u64,
    /// When it was done.
    pub at: Stamp,
    /// By when it was to be done: a later one is not used in its cycle.
    pub deadline: Stamp,
    /// How long it took, in wall time.
    pub took_ns: i64,
    /// Its result.
    pub outcome: MpcOutcome,
    /// How it came about.
    pub effort: Effort,
}

/// How a solver came to an answer: what beside the problem and the solves before it decides, to the last bit, on what it
/// answers. `late_after` and `wanted_after` count the questions that were answered with no.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// Which of the loop's solvers, counted from 0 in the order in which they were made.
    pub solver: u32,
    /// Which of its answers, counted from 1.
    pub answer: u64,
    /// The preparation before this solve.
    pub prepared: Prepared,
    /// The question whether it was late that was answered with yes; `None` if none was.
    pub late_after: Option<u32>,
    /// Whether the solve panicked and the solver was built anew.
    pub panicked: bool,
}

/// What became of the preparation between two solves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prepared {
    /// There was none.
    #[default]
    Not,
    /// It ran to its end, or until somebody waited.
    Ran {
        /// The question whether somebody waited that was answered with yes; `None` if none was.
        wanted_after: Option<u32>,
    },
    /// It panicked and the solver was built anew.
    Panicked,
}

impl Solved {
    /// Its age, counted from the opening of its cycle: the age of the measurements that it knows.
    #[must_use]
    pub fn age(&self, now: Stamp) -> Option<Duration> {
        self.outcome.plan.map(|plan| now.since(plan.computed_at))
    }

    /// Whether it came after its deadline.
    #[must_use]
    pub fn is_late(&self) -> bool {
        self.at > self.deadline
    }
}

/// Most answers that lie between two beats; a solver is done once a cycle, and an heir of the `mpc` stage may ask again.
const ANSWERS: usize = 8;

/// What the solver has answered and nobody has taken over, oldest first. Every answer goes to the tape, also one that a
/// newer one follows at once: what a solver knows rests on all its solves, and a playback must do them again. When nobody
/// takes any more, the oldest is dropped and counted. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Answers(Bounded<Solved, ANSWERS>);

impl Answers {
    /// Adds the newest.
    pub fn put(&self, solved: Solved) {
        if let Err(full) = self.0.try_send(solved) {
            let _ = self.0.receive();
            let _ = self.0.try_send(full.message);
        }
    }

    /// Takes the oldest.
    #[must_use]
    pub fn take(&self) -> Option<Solved> {
        self.0.receive()
    }

    /// How many were dropped.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.rejected()
    }
}

/// What the selector chose.
#[derive(Clone, Copy, Debug)]
pub struct Selected {
    /// The control cycle.
    pub cycle: u64,
    /// The choice.
    pub selection: Selection,
}

/// What the interlock decided last, for displays and for the stages before it.
#[derive(Clone, Copy, Debug)]
pub struct LoopStatus {
    /// When.
    pub at: Stamp,
    /// The state of the interlock.
    pub state: State,
    /// What the DCS is told of it.
    pub mode_act: ModeActual,
    /// The heartbeat that the DCS is given.
    pub heartbeat: u32,
    /// The first cause of the present trip or shed.
    pub first_out: Option<FirstOut>,
    /// Whether the last move was cut to its limits.
    pub clamped: bool,
    /// Whether the safety filter has put another move in the place of the controller's.
    pub filtered: bool,
    /// The last cycle whose proposal was approved, as it was or clamped.
    pub answered: u64,
    /// The set-points of the last approved move, while the loop is closed.
    pub last_move: Option<Values<MAX_MVS>>,
    /// How many bypasses are in force.
    pub bypasses: u8,
}

impl LoopStatus {
    /// Whether the loop is closed: our set-points are in use.
    #[must_use]
    pub fn engaged(&self) -> bool {
        self.state.is_engaged()
    }
}

/// A trip or shed, for whoever keeps it.
#[derive(Clone, Debug)]
pub struct Tripped {
    /// What came first.
    pub first_out: FirstOut,
    /// What came before it, and it.
    pub pre_trip: PreTrip,
}

/// Every slot of one loop. Clones share the slots.
#[derive(Clone, Debug)]
pub struct Board {
    /// From the plant: the adapter's side, which changes at any time. No stage reads it.
    pub inlet: Inlet,
    /// From the pacer: the inlet as it was at the newest beat. Every stage reads this, so that all steps of a scan see
    /// one plant, as the programme of a PLC sees its input image.
    pub image: Inlet,
    /// From the pacer.
    pub beat: Latest<Beat>,
    /// From the sensors, by `TagId`.
    pub screened: Vec<Latest<Screened>>,
    /// From the estimator: the judged measurements of the cycle.
    pub frame: Latest<Frame>,
    /// From the estimator.
    pub estimate: Latest<Estimate>,
    /// From the model that runs beside the plant.
    pub model_error: Latest<ModelError>,
    /// From the solver, on its thread, to the driver and the selector; taken, not read.
    pub answers: Answers,
    /// The answer that was taken over last, at a beat or at the selector's step. What every stage reads, so that a solver
    /// that is done in the middle of a scan changes nothing at once.
    pub solved: Latest<Solved>,
    /// From the selector.
    pub selected: Latest<Selected>,
    /// From the interlock to the actuator; taken, not read.
    pub approved: Latest<ApprovedMove>,
    /// From the interlock to the recommender; taken, not read.
    pub recommended: Latest<Recommended>,
    /// From the recommender.
    pub advised: Latest<Advised>,
    /// From the recommender to the audit.
    pub news: NewsQueue,
    /// From the interlock.
    pub status: Latest<LoopStatus>,
    /// From the interlock: what its next incarnation takes up. Before the start, from whoever kept that of an earlier run.
    pub latch: Latest<Latch>,
    /// From the interlock, once for each trip or shed; taken, not read.
    pub tripped: Latest<Box<Tripped>>,
    /// To the plant, beside moves.
    pub outlet: Outlet,
    /// From the pacer and the interlock to the watchdog.
    pub heartbeat: Heartbeat,
}

impl Board {
    /// The empty slots of a loop with so many measured tags, none of which has spare transmitters.
    #[must_use]
    pub fn new(tags: usize) -> Self {
        Self::with_spares(tags, Spared::default())
    }

    /// The empty slots of a loop with so many measured tags, of which these have spare transmitters.
    #[must_use]
    pub fn with_spares(tags: usize, spared: Spared) -> Self {
        let transmitters = spared.transmitters(tags);
        Self {
            inlet: Inlet::new(transmitters),
            image: Inlet::new(transmitters),
            beat: Latest::new(),
            screened: (0..tags).map(|_| Latest::new()).collect(),
            frame: Latest::new(),
            estimate: Latest::new(),
            model_error: Latest::new(),
            answers: Answers::default(),
            solved: Latest::new(),
            selected: Latest::new(),
            approved: Latest::new(),
            recommended: Latest::new(),
            advised: Latest::new(),
            news: NewsQueue::new(),
            status: Latest::new(),
            latch: Latest::new(),
            tripped: Latest::new(),
            outlet: Outlet::default(),
            heartbeat: Heartbeat::new(),
        }
    }

    /// The set-points in use: what the DCS says, and where it says nothing good, what was known before. `None` until
    /// every MV was heard of once.
    pub(crate) fn set_points_in_use(&self, last: &mut Option<Values<MAX_MVS>>) -> Option<Values<MAX_MVS>> {
        let dcs = self.image.dcs.read()?;
        let known = *last;
        let mut u = Values::new();
        for (i, mv) in dcs.mvs.iter().enumerate() {
            let before = known.and_then(|k| k.get(i).copied());
            let _ = u.push(mv.sp_act.finite().or(before)?);
        }
        *last = Some(u);
        Some(u)
    }
}
