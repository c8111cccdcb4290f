//! What one step is given. All of it is borrowed or `Copy`; the interlock asks nobody for anything.

use signals::dcs::DcsView;
use signals::{Fixed, MAX_MVS, ProposedMove, Sample, SolveStatus, Stamp, Values};

use crate::bypass::BypassSet;
use crate::config_hash::ConfigHash;

/// The newest report of the solver.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SolveReport {
    /// How the solve ended.
    pub status: SolveStatus,
    /// For which control cycle it was made.
    pub cycle: u64,
    /// When it ended.
    pub at: Stamp,
}

/// The newest report of the sink of set-points.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WriteReport {
    /// The number of the newest approved move of which every write was confirmed; 0 for none.
    pub confirmed: u64,
    /// Failed writes in a row, per MV.
    pub failures: Fixed<u32, MAX_MVS>,
    /// When it was made.
    pub at: Stamp,
}

/// What stands beside the proposal of a learned policy: how far it is off the ground on which it was trained, and what
/// the MPC would have done.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PolicyReport {
    /// For which control cycle it was made; a report of another cycle than the proposal's is none.
    pub cycle: u64,
    /// The distance of the policy's input from its training data, in whatever measure the limit is set in.
    pub distance: f64,
    /// The MPC's set-points for the same cycle, in the model's order and unit; empty when it has none.
    pub reference: Values<MAX_MVS>,
}

/// Everything that a step looks at.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The newest raw sample of each transmitter, `None` before the first: each CV's own, each DV's own, then the two
    /// spares of every tag that has them, in the order of the tags.
    pub samples: &'a [Option<Sample>],
    /// What the model expects each tag to measure now, in the order of the tags; `None` or NaN where it expects nothing.
    /// Empty when there is no model.
    pub expected: &'a [Option<f64>],
    /// The newest image of the DCS.
    pub dcs: &'a DcsView,
    /// Whether the connection to the DCS stands.
    pub link_up: bool,
    /// The proposal that came with this step; `None` on every step that brings no new one.
    pub proposal: Option<&'a ProposedMove>,
    /// Whether the selector has run out of proposals.
    pub no_proposal_left: bool,
    /// What stands beside a policy's proposal.
    pub policy: Option<&'a PolicyReport>,
    /// The newest solve.
    pub solve: SolveReport,
    /// The present control cycle; never runs back.
    pub cycle: u64,
    /// The newest report of the sink.
    pub writes: WriteReport,
    /// The bypasses that are said to be in force; each step judges them anew.
    pub bypasses: &'a BypassSet,
    /// The wall clock, read together with `now`, counted from anywhere, at the speed of plant time; `None` when nobody
    /// reads it.
    pub wall: Option<Stamp>,
    /// The hash of the configuration in force.
    pub config_hash: ConfigHash,
    /// Scheduled beats that were dropped since the start.
    pub beats_dropped: u64,
}
