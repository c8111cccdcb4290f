//! The interlock: the pure, solver-free step between what a controller wants and what the plant gets.
//!
//! `step(inputs, now) -> Decision` is the whole of it: no clock, no allocation, no I/O, no task. It judges the raw
//! measurements, the command and the hand-shake with the DCS, moves its state machine, and is the only maker of an
//! [`ApprovedMove`], the only thing that a sink of set-points takes.
//!
//! This is a supervisory (BPCS/APC) function. It is not a safety instrumented system, carries no SIL and must not be
//! credited as a protection layer. The DCS enforces its own limits and its own watchdog.
//!
//! | state | `SP_REQ` | leaves to |
//! |---|---|---|
//! | Boot | none | Tripped, at the first step |
//! | Tripped (latched) | none | Ready, by the operator's accepted reset |
//! | Ready | tracks `SP_ACT` while `MODE_REQ` is WARM or higher | Advisory, Armed, by the operator |
//! | Advisory | tracks | Ready, Armed |
//! | Armed | tracks | Active under a new lease with the MVs in RCAS; Ready on time-out or a lost condition |
//! | Active | moves | Hold, Ramp, Shed; Ready or Advisory by the operator |
//! | Hold (bounded) | last good move | Active when healthy; Ramp or Shed on expiry |
//! | Ramp | toward the safe values | Shed |
//! | Shed (latched) | none | Ready, by the operator's acknowledgement |
//!
//! Every state but Boot goes to Tripped on a cause of that effect. Tracking needs [`Reach::ClosedLoop`]: a loop that
//! may not engage has no use for it and writes no set-point at all.
//!
//! The reset, and the acknowledgement alike, is an edge of `MODE_REQ` from OFF to WARM or higher between two good
//! readings. It does that one thing: an edge from OFF to ON resets and does not arm. A refused edge is spent.
//!
//! # Invariants
//! I1 every written number lies inside the plant file's limits, whatever was proposed · I2 no move exceeds its rate ·
//! I3 Tripped is left only by an accepted reset · I4 which is refused while the cause is present or critical data are
//! not usable · I5 Tripped and Shed write nothing · I7 the first-out is never overwritten before the reset · I8 a move
//! is approved only under the lease of its engagement · I11 Advisory approves no move · I12 engaging starts with a
//! zero move · I14 the same inputs give the same decisions, bit for bit · I15 the hardest active cause decides.
//!
//! # Sources
//! The ladder and mode shedding follow Foundation Fieldbus function blocks (RCAS, IR/IA, SHED_OPT); first-out follows
//! ISA-18.1 annunciator practice; the split of a small pure monitor from an untrusted controller is the Simplex
//! pattern (L. Sha, "Using simplicity to control complexity", IEEE Software 18(4), 2001).

pub mod bypass;
mod cause;
mod check;
mod checks;
mod config;
mod config_hash;
mod handshake;
mod inputs;
mod interlock;
mod latch;
mod limits;
mod matrix;
pub mod pre_trip;
mod reaction;
mod row;
mod subject;
mod verdict;

#[cfg(test)]
mod tests;

pub use bypass::{Bypass, BypassSet};
pub use cause::{Cause, Fault, Mismatch, Silence};
pub use check::{CheckId, CheckSet};
pub use config::{
    Balance, ConfigFault, Cusum, Frozen, InterlockConfig, LoopReactions, MAX_BALANCES, MAX_SPIKE_WINDOW, MvChecks,
    MvReactions, OverlayFault, PolicyChecks, Reach, Reactions, Role, SafetyError, Spike, TagChecks, TagReactions,
    Travel,
};
pub use config_hash::ConfigHash;
pub use inputs::{Inputs, PolicyReport, SolveReport, WriteReport};
pub use interlock::Interlock;
pub use latch::Latch;
pub use limits::Bound;
pub use matrix::{Cell, CellChange, Overlay, Vote};
pub use pre_trip::PreTrip;
pub use reaction::{Effect, Priority, Reaction};
pub use row::Row;
pub use subject::{Measured, Subject, Variable};
pub use verdict::{
    ApprovedMove, Decision, Event, FirstOut, MAX_EVENTS, MoveKind, MvDecision, Recommended, Refusal, State, Verdict,
    Why, Withheld,
};
