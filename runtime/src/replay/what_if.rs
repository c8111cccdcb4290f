//! What another configuration would have proposed on the same inputs.
//!
//! A second loop is stepped beside the replayed one: the same images, the same stages at the same times, up to the
//! selector. It stands where the run stood: the set-points in use, the last approved move and the state of the interlock
//! are the run's, so each cycle's proposal is the first move that the second loop would have made from there. Its own
//! estimator, model, targets and controller have their own past. Its solver has all the time it wants.

use std::sync::Arc;

use actors::kernel::Unwitnessed;
use actors::{Playback, Reach};
use control::selector::Selection;
use signals::{MAX_CVS, MAX_MVS, Proposer, Stamp, Values};

use super::ReplayError;
use super::player::{Missing, Played, Player};
use crate::config::{Mode, PlantFile, Tag};
use crate::journal::{Header, Record};

/// One cycle of both loops, in model units.
#[derive(Clone, Copy, Debug)]
pub struct Proposals {
    /// The cycle.
    pub cycle: u64,
    /// Its time.
    pub at: Stamp,
    /// The measured CVs; NaN where there was none.
    pub cvs: Values<MAX_CVS>,
    /// The set-points in use in the plant.
    pub in_use: Option<Values<MAX_MVS>>,
    /// What the run proposed, if anything.
    pub recorded: Option<(Proposer, Values<MAX_MVS>)>,
    /// What the other configuration proposes, if anything.
    pub other: Option<(Proposer, Values<MAX_MVS>)>,
}

impl Proposals {
    /// Whether the two loops propose other set-points, by any bit.
    #[must_use]
    pub fn differ(&self) -> bool {
        let bits = |of: Option<(Proposer, Values<MAX_MVS>)>| {
            of.map(|(_, u)| u.iter().map(|u| u.to_bits()).collect::<Vec<_>>())
        };
        bits(self.recorded) != bits(self.other)
    }
}

/// Both loops, cycle by cycle.
#[derive(Debug)]
pub struct Compared {
    /// The loop that ran.
    pub plant: PlantFile,
    /// Every cycle in which either loop had the chance to propose.
    pub cycles: Vec<Proposals>,
    /// Why the run is not known behind the last cycle, if it is not.
    pub missing: Option<Missing>,
}

impl Compared {
    /// In how many cycles the two loops propose other set-points.
    #[must_use]
    pub fn differing(&self) -> usize {
        self.cycles.iter().filter(|cycle| cycle.differ()).count()
    }

    /// The largest difference between the proposals for an MV, in model units, and the mean of its magnitude over the cycles
    /// in which both propose; `None` where they never do.
    #[must_use]
    pub fn apart(&self, mv: usize) -> Option<(f64, f64)> {
        let both = self.cycles.iter().filter_map(|c| Some((*c.recorded?.1.get(mv)?, *c.other?.1.get(mv)?)));
        let apart: Vec<f64> = both.map(|(ours, theirs)| (theirs - ours).abs()).collect();
        let largest = apart.iter().copied().reduce(f64::max)?;
        Some((largest, apart.iter().sum::<f64>() / apart.len() as f64))
    }
}

/// Replays a run with a loop of the configuration `other` beside it.
///
/// # Errors
/// [`ReplayError`] when one of the loops cannot be made, when `other` is a configuration of another loop, or when the records
/// do not fit the loop that ran.
pub fn what_if(
    header: &Header,
    records: impl Iterator<Item = Record>,
    mut other: PlantFile,
) -> Result<Compared, ReplayError> {
    let mut player = Player::new(header, records)?;
    fits(&player.plant, &other)?;
    // It proposes and does not write.
    other.mode = Mode::Advisory;
    for (mv, may) in other.mvs.iter_mut().zip(&header.commissioned) {
        mv.commissioned = *may;
    }
    let mut beside = Playback::new(other.loop_config(), Reach::Advisory, header.latch, Arc::new(Unwitnessed))?;
    let proposes = header.reach != Reach::Shadow;
    let by_name = |name: &str| beside.names().position(|n| n == name).and_then(|i| u16::try_from(i).ok());
    let (mpc, selector) = (by_name("mpc"), by_name("selector"));
    let mut cycles: Vec<Proposals> = Vec::new();
    let missing = loop {
        match player.next()? {
            Played::Beat { .. } => {
                player.layout.restore(&player.image, beside.inlet());
                beside.beat(player.beat, player.now, 0);
            }
            Played::Step { child, now, .. } => {
                if let Some(status) = player.playback.board().status.read() {
                    beside.board().status.put(status);
                }
                match player.stage(child).as_str() {
                    "sensor" | "model" => drop(beside.step(child, now)?),
                    "estimator" => {
                        beside.step(child, now)?;
                        for extra in [mpc, selector].into_iter().flatten().filter(|_| !proposes) {
                            propose(&mut beside, extra, now)?;
                        }
                    }
                    "mpc" | "selector" => propose(&mut beside, child, now)?,
                    _ => continue,
                }
                note(&mut cycles, &player, &beside);
            }
            Played::Act(_) => {}
            Played::Missing(missing) => break Some(missing),
            Played::End => break None,
        }
    };
    Ok(Compared { plant: player.plant, cycles, missing })
}

fn propose(beside: &mut Playback, child: u16, now: Stamp) -> Result<(), ReplayError> {
    beside.step(child, now)?;
    beside.answer_freely(now);
    Ok(())
}

/// Notes what is proposed in the present cycle so far.
fn note<I: Iterator<Item = Record>>(cycles: &mut Vec<Proposals>, player: &Player<I>, beside: &Playback) {
    let board = player.playback.board();
    let cycle = player.beat.cycle;
    let proposed = |playback: &Playback| {
        let selected = playback.board().selected.read().filter(|s| s.cycle == cycle)?;
        match selected.selection {
            Selection::Move(proposed) => Some((proposed.proposer, proposed.u)),
            Selection::Shed => None,
        }
    };
    if cycles.last().is_none_or(|last| last.cycle != cycle) {
        let dcs = board.image.dcs.read();
        let in_use = dcs.map(|dcs| Values::collect(dcs.mvs.iter().map(|mv| mv.sp_act.finite().unwrap_or(f64::NAN))));
        let measured = board.image.samples.iter().take(player.plant.cvs.len());
        let cvs = Values::collect(measured.map(|slot| slot.read().map_or(f64::NAN, |s| s.value)));
        cycles.push(Proposals { cycle, at: player.beat.at, cvs, in_use, recorded: None, other: None });
    }
    if let Some(last) = cycles.last_mut() {
        (last.recorded, last.other) = (proposed(&player.playback), proposed(beside));
    }
}

/// Whether a configuration is one of the loop that ran: the same tags of the same variables in the same order, and the same
/// period.
fn fits(ran: &PlantFile, other: &PlantFile) -> Result<(), ReplayError> {
    let check = |what: &str, recorded: String, found: String| {
        let what = what.to_owned();
        if recorded == found { Ok(()) } else { Err(ReplayError::Misfit { what, recorded, found }) }
    };
    let list = |tags: Vec<(&Tag, &str)>| {
        let each = tags.iter().map(|(tag, variable)| format!("{} ({}, {variable})", tag.name, tag.node));
        each.collect::<Vec<_>>().join(", ")
    };
    let mvs = |plant: &PlantFile| list(plant.mvs.iter().map(|v| (&v.tag, v.variable.name)).collect());
    let cvs = |plant: &PlantFile| list(plant.cvs.iter().map(|v| (&v.tag, v.variable.name)).collect());
    let dvs = |plant: &PlantFile| list(plant.dvs.iter().map(|v| (&v.tag, v.variable.name)).collect());
    check("the list of MVs", mvs(ran), mvs(other))?;
    check("the list of CVs", cvs(ran), cvs(other))?;
    check("the list of DVs", dvs(ran), dvs(other))?;
    let spares = |plant: &PlantFile| {
        let tags = plant.addresses().filter(|(tag, _)| tag.is_spare()).map(|(tag, _)| tag.to_string());
        tags.collect::<Vec<_>>().join(", ")
    };
    check("the list of spare transmitters", spares(ran), spares(other))?;
    check("the period", format!("{} s", ran.period_s), format!("{} s", other.period_s))
}
