//! What a step decides: the verdict, the state shown to the DCS, and what the journal must know.
//!
//! An [`ApprovedMove`] is the only thing that a sink of set-points takes. It has no public constructor, is neither
//! `Clone` nor `Copy`, and is given away by value, so that no code outside this crate can make one, keep one, or spend
//! one twice:
//!
//! ```compile_fail
//! fn forge(approved: safety::ApprovedMove) -> safety::ApprovedMove {
//!     safety::ApprovedMove { id: 2, ..approved }
//! }
//! ```
//! ```compile_fail
//! fn keep(approved: &safety::ApprovedMove) -> safety::ApprovedMove {
//!     approved.clone()
//! }
//! ```
//! ```compile_fail
//! fn write(_: safety::ApprovedMove) {}
//! fn twice(approved: safety::ApprovedMove) {
//!     write(approved);
//!     write(approved);
//! }
//! ```
//! Spent once, it compiles:
//! ```
//! fn write(_: safety::ApprovedMove) {}
//! fn once(approved: safety::ApprovedMove) {
//!     write(approved);
//! }
//! ```

use signals::dcs::{ModeActual, ModeRequest, MvStatus};
use signals::{Fixed, MAX_MVS, Proposer, Stamp, Values};

use crate::bypass::{Bypass, EndOfBypass, Objection};
use crate::cause::Cause;
use crate::limits::Bound;
use crate::reaction::Effect;

/// The state of the interlock; see the crate's table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Before the first step.
    #[default]
    Boot,
    /// Latched; writes nothing; left only by an accepted reset.
    Tripped,
    /// The DCS is in control.
    Ready,
    /// Recommends; writes no move.
    Advisory,
    /// Tracks and waits for the DCS to hand over.
    Armed,
    /// Moves.
    Active,
    /// Writes the last good move again.
    Hold,
    /// Goes to the safe values.
    Ramp,
    /// Latched, lighter; writes nothing; left by an operator's acknowledgement.
    Shed,
}

impl State {
    /// Every state, in the order in which a loop may climb to Active, and then down the ladder.
    pub const ALL: [Self; 9] = [
        Self::Boot,
        Self::Tripped,
        Self::Ready,
        Self::Advisory,
        Self::Armed,
        Self::Active,
        Self::Hold,
        Self::Ramp,
        Self::Shed,
    ];

    /// Whether set-points of the loop are in force in the DCS.
    #[must_use]
    pub fn is_engaged(self) -> bool {
        matches!(self, Self::Active | Self::Hold | Self::Ramp)
    }
}

/// What an approved set of set-points is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveKind {
    /// Moves the plant.
    Move,
    /// Follows the DCS, so that taking over is bumpless.
    Track,
}

/// Set-points that may be written, once.
#[derive(Debug, PartialEq)]
pub struct ApprovedMove {
    pub(crate) id: u64,
    pub(crate) kind: MoveKind,
    pub(crate) u: Values<MAX_MVS>,
    pub(crate) in_service: Fixed<bool, MAX_MVS>,
    pub(crate) written: Fixed<bool, MAX_MVS>,
    pub(crate) lease: u32,
    pub(crate) cycle: u64,
    pub(crate) valid_until: Stamp,
}

impl ApprovedMove {
    /// Its number: 1 for the first of a run, one more for each that follows.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whether it moves or tracks.
    #[must_use]
    pub fn kind(&self) -> MoveKind {
        self.kind
    }

    /// The set-points of all MVs in the model's order and unit: the approved value of an MV in service, `SP_ACT` (or
    /// its last known value) of another. What to write is [`Self::set_point`].
    #[must_use]
    pub fn u(&self) -> &[f64] {
        &self.u
    }

    /// The value to write to `SP_REQ` of MV `mv`, counted from 0; `None` when it must not be written: its `SP_ACT` is
    /// unknown or outside the plant file's limits, or its writes fail.
    #[must_use]
    pub fn set_point(&self, mv: usize) -> Option<f64> {
        let written = self.written.get(mv).copied().unwrap_or(false);
        self.u.get(mv).copied().filter(|_| written)
    }

    /// Whether MV `mv`, counted from 0, is manipulated.
    #[must_use]
    pub fn in_service(&self, mv: usize) -> bool {
        self.in_service.get(mv).copied().unwrap_or(false)
    }

    /// The lease under which it was approved.
    #[must_use]
    pub fn lease(&self) -> u32 {
        self.lease
    }

    /// The control cycle in which it was approved.
    #[must_use]
    pub fn cycle(&self) -> u64 {
        self.cycle
    }

    /// After this it must not be written.
    #[must_use]
    pub fn valid_until(&self) -> Stamp {
        self.valid_until
    }
}

/// A proposal that may be shown to a person; nobody writes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recommended {
    /// The set-points inside every bound that a move would have to keep, in the model's order and unit.
    pub u: Values<MAX_MVS>,
    /// Which MVs it speaks of; of the others `u` holds the present set-point.
    pub concerns: Fixed<bool, MAX_MVS>,
    /// What would have cut the move that was proposed; as a move it would have violated this bound.
    pub cut: Fixed<Option<Bound>, MAX_MVS>,
    /// How low each MV may go in time: every bound but the rate. Of an MV that it does not speak of, the present
    /// set-point.
    pub low: Values<MAX_MVS>,
    /// How high.
    pub high: Values<MAX_MVS>,
    /// Who proposed it.
    pub proposer: Proposer,
    /// The control cycle for which it was computed.
    pub cycle: u64,
    /// After this it is void.
    pub valid_until: Stamp,
}

/// Why a step lets nothing through without tripping.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Withheld {
    /// Nothing is due: no proposal came, or this cycle's set-points are out.
    NothingDue,
    /// The DCS is in control and tracking is off (request OFF, or a loop that does not reach closed loop).
    NotEngaged,
    /// Shed, for this cause.
    Shed(Cause),
    /// An active cause forbids the move.
    Active(Cause),
    /// The proposal came after its own expiry, or is of an earlier cycle than the last.
    Expired,
    /// A move of this cycle is out already; two in one period would break the rate.
    CycleSpent,
}

/// What may be done with set-points after a step.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// Write them.
    Pass(ApprovedMove),
    /// Show them.
    Recommend(Recommended),
    /// Do nothing.
    Withhold(Withheld),
    /// Tripped, by this cause.
    Trip(Cause),
}

/// The first cause of a trip or shed, kept until the reset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FirstOut {
    /// What came first.
    pub cause: Cause,
    /// When.
    pub at: Stamp,
    /// In which control cycle.
    pub cycle: u64,
}

/// Why a request of the operator is refused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Refusal {
    /// This cause is still present.
    CausePresent(Cause),
    /// Critical data are not usable.
    DataNotUsable(Cause),
    /// The DCS shows no life, or the link is down.
    DcsNotAlive(Cause),
    /// `PERMIT` is false or bad.
    NoPermit,
    /// `WD_OK` is false or bad.
    WatchdogTripped,
    /// `LEASE` is bad, so that no new one could be told from it.
    NoLease,
    /// The configuration does not let this loop go so far.
    BeyondReach,
}

/// Why a state was left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Why {
    /// The first step.
    Started,
    /// A cause.
    Cause(Cause),
    /// The operator.
    Operator(ModeRequest),
    /// The DCS handed over under this lease.
    Engaged {
        /// The new lease.
        lease: u32,
    },
    /// The DCS did not hand over in time.
    ArmedTimeout,
    /// The cause of Hold is gone.
    Healthy,
    /// Hold lasted its time; this is what began it.
    HoldExpired(Cause),
    /// The ramp has arrived, or can go no further; this is what began it.
    RampEnded(Cause),
}

/// What the journal must know of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// The state changed.
    Changed {
        /// From this state.
        from: State,
        /// To this one.
        to: State,
        /// For this reason.
        why: Why,
    },
    /// The operator asks for another mode at the DCS (check 23).
    Asked {
        /// The request before.
        from: ModeRequest,
        /// The request now.
        to: ModeRequest,
    },
    /// The operator asked, and it was refused; the request is spent.
    Refused {
        /// What was asked.
        asked: ModeRequest,
        /// Why not.
        refusal: Refusal,
    },
    /// A cause became active; its effect may be no more than this event.
    Raised {
        /// The cause.
        cause: Cause,
        /// Its effect.
        effect: Effect,
    },
    /// A cause that was raised is over.
    Cleared {
        /// The cause as it was raised.
        cause: Cause,
    },
    /// A bypass is in force from now on.
    BypassBegan {
        /// Which.
        bypass: Bypass,
    },
    /// A bypass is over.
    BypassEnded {
        /// Which.
        bypass: Bypass,
        /// For what reason.
        why: EndOfBypass,
    },
    /// A bypass was offered that breaks a rule; it bypasses nothing.
    BypassRefused {
        /// Which.
        bypass: Bypass,
        /// The rule.
        objection: Objection,
    },
    /// A command was cut back.
    Clamped {
        /// The MV, counted from 0.
        mv: u8,
        /// What was proposed.
        asked: f64,
        /// What was approved.
        given: f64,
        /// What cut it.
        by: Bound,
    },
}

/// Fills the unused places of a [`Fixed`]; never seen.
impl Default for Event {
    fn default() -> Self {
        Self::Changed { from: State::Boot, to: State::Boot, why: Why::Started }
    }
}

/// What a step shows of one MV.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MvDecision {
    /// `MVn.INIT_ACK`.
    pub init_ack: bool,
    /// `MVn.STS`.
    pub sts: MvStatus,
}

/// The most events of one step; news that finds no room waits for the next.
pub const MAX_EVENTS: usize = 16;

pub(crate) type Events = Fixed<Event, MAX_EVENTS>;

/// What one step decides.
#[derive(Debug, PartialEq)]
pub struct Decision {
    /// The state after the step.
    pub state: State,
    /// What may be done with set-points.
    pub verdict: Verdict,
    /// `MODE_ACT`.
    pub mode_act: ModeActual,
    /// What is shown of each MV.
    pub mv: Fixed<MvDecision, MAX_MVS>,
    /// `HB_APC`.
    pub heartbeat: u32,
    /// `SHED_REASON`.
    pub shed_reason: u16,
    /// The first cause of the present trip or shed.
    pub first_out: Option<FirstOut>,
    /// For the journal, in the order in which they came about.
    pub events: Fixed<Event, MAX_EVENTS>,
    /// Whether the approved move was cut back.
    pub clamped: bool,
    /// How many bypasses are in force.
    pub bypasses: u8,
}
