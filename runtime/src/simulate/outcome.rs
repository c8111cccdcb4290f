//! What a simulation came to. All of it is a function of the run's inputs, so two runs of one seed are equal.

use std::collections::BTreeMap;

use safety::State;
use serde::Serialize;

use super::cell::Cell;
use super::fingerprint::Fingerprint;
use super::judge::InvalidMoves;
use super::operator::Shift;
use super::upsets::UpsetCounts;
use crate::advice::AdviceReport;

/// The reasons for which the DCS refuses a write that no loop should ever have made.
pub const REFUSED_FOR_VALUE: [&str; 6] =
    ["no_such_tag", "not_writable", "wrong_type", "no_such_code", "not_finite", "outside_clamp"];

/// A run, summed up.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// SHA-256 over all inputs and outputs ([`Fingerprint`]).
    pub hash: String,
    /// Plant time, in seconds.
    pub t_s: f64,
    /// Control cycles begun.
    pub cycles: u64,
    /// Moves handed to the sink.
    pub moves: u64,
    /// The rig's cost, noise-free; see [`rig::report::Totals`].
    pub cost: f64,
    /// The same for the plant whose inputs are held at the start.
    pub cost_hold: f64,
    /// The greatest noise-free excess over an operator's limit, in percent of the CV's range.
    pub max_limit_violation_pct: f64,
    /// How much of the run the interlock was in each state it was in, in percent.
    pub states_pct: BTreeMap<String, f64>,
    /// The operator's part.
    pub operator: Shift,
    /// What became of recommendations, where there could be any.
    pub advice: Option<AdviceReport>,
    /// Upsets, where there were any.
    pub upsets: Option<UpsetCounts>,
    /// Stages made anew.
    pub restarts: u64,
    /// Why the loop ended before its time, if it did.
    pub ended: Option<String>,
    /// Moves that should never have been made, as the sink saw them.
    pub invalid: InvalidMoves,
    /// Set-points that asked for a move without the DCS's leave, as the DCS counts them.
    pub writes_while_not_on: u64,
    /// Writes that the DCS refused, by reason.
    pub refused_writes: BTreeMap<&'static str, u64>,
}

/// What was seen beside the cell.
pub(super) struct Seen<'a> {
    pub(super) fingerprint: &'a Fingerprint,
    pub(super) in_state: [u64; State::ALL.len()],
    pub(super) shift: Shift,
    pub(super) mv_tags: Vec<String>,
    pub(super) upsets: Option<UpsetCounts>,
}

impl Outcome {
    pub(super) fn of(seed: u64, cell: &Cell, seen: Seen<'_>) -> Self {
        let summary = cell.rig.lock().summary();
        let scans = seen.in_state.iter().sum::<u64>().max(1) as f64;
        let states = State::ALL.iter().zip(seen.in_state).filter(|(_, n)| *n > 0);
        Self {
            seed,
            hash: seen.fingerprint.digest(),
            t_s: summary.t_s,
            cycles: cell.telemetry.cycles(),
            moves: seen.fingerprint.moves(),
            cost: summary.totals.cost,
            cost_hold: summary.totals.cost_open_loop,
            max_limit_violation_pct: summary.totals.max_limit_violation,
            states_pct: states.map(|(state, n)| (format!("{state:?}"), 100.0 * n as f64 / scans)).collect(),
            operator: seen.shift,
            advice: AdviceReport::read(&cell.board, &seen.mv_tags),
            upsets: seen.upsets,
            restarts: cell.telemetry.restarts(),
            ended: cell.ended(),
            invalid: cell.sink.invalid(),
            writes_while_not_on: summary.writes_while_not_on,
            refused_writes: summary.refused_writes,
        }
    }

    /// Whether no output was invalid: no move with a fault ([`InvalidMoves`]), and nothing that the DCS had to refuse for
    /// its value.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let refused = |reason| self.refused_writes.get(reason).copied().unwrap_or(0);
        let refused: u64 = REFUSED_FOR_VALUE.into_iter().map(refused).sum();
        self.invalid.total() + refused + self.writes_while_not_on == 0
    }
}
