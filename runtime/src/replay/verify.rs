//! Whether a run comes out again, bit for bit.

use actors::kernel::Act;

use super::ReplayError;
use super::compare::{Difference, What, first};
use super::player::{Missing, Played, Player};
use crate::journal::{Header, Kind, Record};

/// What was replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Control cycles.
    pub cycles: u64,
    /// Beats.
    pub beats: u64,
    /// Steps of stages.
    pub steps: u64,
    /// Optimisations that were solved again and compared.
    pub solves: u64,
    /// Statuses that were compared.
    pub views: u64,
    /// Moves that were compared.
    pub moves: u64,
    /// Recommendations that were compared.
    pub recommendations: u64,
    /// Cells that were compared: those that could have been others.
    pub cells: u64,
    /// Crashes of stages.
    pub crashes: u64,
    /// Restarts of stages.
    pub restarts: u64,
}

/// What a replay found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every output of the run, up to its last word, is the same.
    Same,
    /// Something is not.
    Differs(Box<Difference>),
    /// The run is not known to its end; as far as it is, every output is the same.
    Incomplete(Missing),
}

/// How a replay went.
#[derive(Clone, Debug)]
pub struct Verified {
    /// How much was replayed.
    pub counts: Counts,
    /// What was found.
    pub verdict: Verdict,
}

/// Replays the records of a run up to the first difference, the first gap, or their end.
///
/// # Errors
/// [`ReplayError`] when the loop of this header cannot be made by this program.
pub fn verify(header: &Header, records: impl Iterator<Item = Record>) -> Result<Verified, ReplayError> {
    let mut player = Player::new(header, records)?;
    let mut counts = Counts::default();
    let verdict = loop {
        let (cycle, scan) = (player.beat.cycle, player.beat.scan);
        let difference = |player: &Player<_>, stage, what| {
            Verdict::Differs(Box::new(Difference { cycle, scan, at: player.now, stage, what }))
        };
        match player.next() {
            Ok(Played::End) => break Verdict::Same,
            Ok(Played::Missing(missing)) => break Verdict::Incomplete(missing),
            Ok(Played::Beat { recorded, replayed }) => {
                counts.beats += 1;
                recorded.iter().for_each(|(kind, row)| counts.row(*kind, row.len()));
                let what = first(&player.layout, &recorded, &replayed);
                if let Some(what) = what.filter(|what| counts_at(&mut player, what)) {
                    break difference(&player, String::from("driver"), what);
                }
                counts.cycles += u64::from(player.beat.cycle != cycle);
            }
            Ok(Played::Act(act)) => match act {
                Act::Crashed { .. } => counts.crashes += 1,
                Act::Restarted { .. } => counts.restarts += 1,
                Act::Step { .. } | Act::GivenUp { .. } => {}
            },
            Ok(Played::Step { child, recorded, replayed, panicked, .. }) => {
                counts.steps += 1;
                recorded.iter().for_each(|(kind, row)| counts.row(*kind, row.len()));
                let what = first(&player.layout, &recorded, &replayed);
                let what = what.or((panicked == (true, false)).then_some(What::Panicked));
                if let Some(what) = what.filter(|what| counts_at(&mut player, what)) {
                    break difference(&player, player.stage(child), what);
                }
            }
            Err(misfit) => break difference(&player, String::from("replay"), What::Misfit(misfit.to_string())),
        }
    };
    Ok(Verified { counts, verdict })
}

/// Whether this is a difference where the player stands. Where the records break off, what a step put out last, or its
/// crash, need not be among them.
fn counts_at<I: Iterator<Item = Record>>(player: &mut Player<I>, what: &What) -> bool {
    !matches!(what, What::Surplus(_) | What::Panicked) || !player.breaks_off()
}

impl Counts {
    fn row(&mut self, kind: Kind, cells: usize) {
        match kind {
            Kind::Image => {}
            Kind::Solved => self.solves += 1,
            Kind::View => self.views += 1,
            Kind::Move => self.moves += 1,
            Kind::Recommended => self.recommendations += 1,
        }
        self.cells += cells.saturating_sub(kind.given()) as u64;
    }
}
