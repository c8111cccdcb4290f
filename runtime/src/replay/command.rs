//! `outrigger replay`: what it answers, for a person and as JSON.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::{Compared, Counts, Missing, Verdict, draw, verify, what_if};
use crate::config::load;
use crate::journal::{Header, Reader};

/// How a replay ended, as the program's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All of it came out again, up to the run's last word.
    Same = 0,
    /// Something did not.
    Differs = 1,
    /// What is there came out again, but the run is not there to its end: a killed program, a full disk, a gap, a damaged
    /// file.
    Incomplete = 3,
}

/// The answer to `--verify`.
#[derive(Clone, Debug, Serialize)]
pub struct Answered {
    /// How it ended.
    pub outcome: Outcome,
    #[serde(flatten)]
    head: Head,
    counts: Counts,
    difference: Option<String>,
    /// The journal's end, in words.
    ending: String,
}

/// Which run it was.
#[derive(Clone, Debug, Serialize)]
struct Head {
    program: String,
    this_program: &'static str,
    revision: String,
    seed: u64,
}

impl Head {
    fn of(header: &Header) -> Self {
        Self {
            program: header.program.clone(),
            this_program: env!("CARGO_PKG_VERSION"),
            revision: header.revision.clone(),
            seed: header.seed,
        }
    }
}

/// Replays a journal and compares every output.
///
/// # Errors
/// When the journal cannot be read, or its loop cannot be made by this program.
pub fn verify_file(file: &Path) -> anyhow::Result<Answered> {
    let mut reader = Reader::open(file)?;
    let header = reader.header().clone();
    let verified = verify(&header, reader.by_ref())?;
    let last_word = reader.ending().map_or_else(String::new, |ending| ending.to_string());
    let (outcome, difference, ending) = match verified.verdict {
        Verdict::Same => (Outcome::Same, None, last_word),
        Verdict::Incomplete(Missing::LastWord) => (Outcome::Incomplete, None, last_word),
        Verdict::Incomplete(missing) => (Outcome::Incomplete, None, format!("{missing} here: the replay cannot go on")),
        Verdict::Differs(difference) => {
            let ending = "the replay stopped at the first difference".to_owned();
            (Outcome::Differs, Some(difference.to_string()), ending)
        }
    };
    Ok(Answered { outcome, head: Head::of(&header), counts: verified.counts, difference, ending })
}

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Head { program, this_program, revision, seed } = &self.head;
        writeln!(f, "run of {program}, revision {revision}, seed {seed}; replayed by {this_program}")?;
        let Counts { cycles, beats, steps, solves, views, moves, recommendations, cells, crashes, restarts } =
            self.counts;
        writeln!(f, "{cycles} cycles, {beats} beats, {steps} steps, {crashes} crashes, {restarts} restarts")?;
        writeln!(
            f,
            "compared: {solves} solves, {views} statuses, {moves} moves, {recommendations} recommendations, {cells} cells"
        )?;
        writeln!(f, "journal: {}", self.ending)?;
        match (&self.difference, self.outcome) {
            (Some(difference), _) => write!(f, "DIFFERS at {difference}"),
            (None, Outcome::Incomplete) => write!(f, "INCOMPLETE: the same as far as the records go: {}", self.ending),
            (None, _) => write!(f, "SAME: every output, bit for bit"),
        }
    }
}

/// The answer to `--with`.
#[derive(Clone, Debug, Serialize)]
pub struct Proposed {
    #[serde(flatten)]
    head: Head,
    /// The revision of the other configuration.
    other_revision: String,
    cycles: usize,
    /// Cycles in which the run proposed something, and those in which the other configuration does.
    proposing: (usize, usize),
    /// Cycles whose proposals are not the same to the last bit.
    differing: usize,
    mvs: Vec<Apart>,
    /// Why there are no more cycles, where it is not that the run ended.
    missing: Option<String>,
}

/// How far the two proposals for one MV are apart.
#[derive(Clone, Debug, Serialize)]
struct Apart {
    name: String,
    unit: String,
    largest: Option<f64>,
    mean: Option<f64>,
}

/// Lets the configuration in `plant` look at the inputs of a journal; draws both if asked to.
///
/// # Errors
/// When the journal or the plant file cannot be read, or the file is one of another loop.
pub fn compare_file(file: &Path, plant: &Path, plot: Option<&Path>) -> anyhow::Result<Proposed> {
    let mut reader = Reader::open(file)?;
    let header = reader.header().clone();
    let other = load(plant)?;
    let compared = what_if(&header, reader.by_ref(), other.plant)?;
    if let Some(plot) = plot {
        let title = format!("{}: revision {} and {}", compared.plant.name, header.revision, other.revision);
        draw(&compared, &title, plot)?;
    }
    Ok(Proposed::of(&compared, &header, other.revision))
}

impl Proposed {
    fn of(compared: &Compared, header: &Header, other_revision: String) -> Self {
        let mvs = compared.plant.mvs.iter().enumerate().map(|(i, mv)| {
            // A difference: the tag's unit without its offset.
            let to_tag = |span: f64| span / mv.tag.to_model.span(1.0);
            let apart = compared.apart(i);
            let (largest, mean) = (apart.map(|(largest, _)| to_tag(largest)), apart.map(|(_, mean)| to_tag(mean)));
            Apart { name: mv.tag.name.clone(), unit: mv.tag.unit.to_string(), largest, mean }
        });
        let count = |which: &dyn Fn(&super::Proposals) -> bool| compared.cycles.iter().filter(|c| which(c)).count();
        Self {
            head: Head::of(header),
            other_revision,
            cycles: compared.cycles.len(),
            proposing: (count(&|c| c.recorded.is_some()), count(&|c| c.other.is_some())),
            differing: compared.differing(),
            mvs: mvs.collect(),
            missing: compared.missing.map(|missing| missing.to_string()),
        }
    }
}

impl fmt::Display for Proposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { head, other_revision, cycles, proposing: (ran, other), differing, mvs, missing } = self;
        writeln!(f, "run of {}, revision {}, beside revision {other_revision}", head.program, head.revision)?;
        writeln!(f, "{cycles} cycles; the run proposed in {ran}, the other configuration in {other}")?;
        write!(f, "{differing} cycles differ")?;
        for Apart { name, unit, largest, mean } in mvs {
            if let Some((largest, mean)) = largest.zip(*mean) {
                write!(f, "\n  {name}: {mean:.6} {unit} apart in the mean, {largest:.6} {unit} at most")?;
            }
        }
        missing.iter().try_for_each(|missing| write!(f, "\nnot the whole run: {missing}; compared up to there"))
    }
}

impl From<Outcome> for std::process::ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(outcome as u8)
    }
}
