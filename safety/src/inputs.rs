//! What one step is given. All of it is borrowed or `Copy`; the interlock asks nobody for anything.

use signals::dcs::DcsView;
use signals::{Fixed, MAX_MVS, ProposedMove, Sample, SolveStatus, Stamp};

use crate::bypass::BypassSet;

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

/// Everything that a step looks at.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The newest raw sample of each tag, CVs first, then DVs; `None` before the first.
    pub samples: &'a [Option<Sample>],
    /// The newest image of the DCS.
    pub dcs: &'a DcsView,
    /// Whether the connection to the DCS stands.
    pub link_up: bool,
    /// The proposal that came with this step; `None` on every step that brings no new one.
    pub proposal: Option<&'a ProposedMove>,
    /// Whether the selector has run out of proposals.
    pub no_proposal_left: bool,
    /// The newest solve.
    pub solve: SolveReport,
    /// The present control cycle; never runs back.
    pub cycle: u64,
    /// The newest report of the sink.
    pub writes: WriteReport,
    /// The bypasses that are said to be in force; each step judges them anew.
    pub bypasses: &'a BypassSet,
}
