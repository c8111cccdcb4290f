//! How long a loop has run in each mode, and how well its model foretold the plant meanwhile.
//!
//! The model runs open loop in rounds, from one anchor to the next (`control::accuracy`). A round counts whole or not at
//! all: one with a gap, in which a CV was measured too seldom, or in which the mode changed leaves nothing. The errors of
//! every other round are kept; its time counts only if no CV's error in it was beyond its limit.
//!
//! The record is a file of its own for each [`Binding`], replaced as a whole and synced. Its first line has a checksum of
//! the rest: it tells a damaged or edited file, and does not stop somebody who makes a new one.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use control::accuracy::{Fit, ModelError};
use serde::{Deserialize, Serialize};

use super::CommissionError;
use super::hashes::{Binding, sha256};
use crate::config::{Mode, PlantFile};

/// The beginning of the first line; then comes the checksum.
const HEAD: &str = "outrigger evidence 1 sha256 ";

/// The share of a round in which a CV must have been measured. Screening takes a sample for a spike now and then.
const MEASURED_MIN: f64 = 0.75;

/// What a mode has shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// Seconds of plant time in rounds within the limits.
    pub seconds: f64,
    /// Seconds in rounds beyond them.
    pub seconds_beyond: f64,
    /// Per CV, the errors of all of them.
    pub fits: Vec<Fit>,
}

impl Shown {
    /// Time that counts, in hours.
    #[must_use]
    pub fn hours(&self) -> f64 {
        self.seconds / 3600.0
    }
}

/// What a loop has shown in each mode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Of which loop, at which DCS.
    pub binding: Binding,
    /// While the loop only watched, whatever it was wired for.
    pub shadow: Shown,
    /// While it recommended.
    pub advisory: Shown,
    /// While it was closed.
    pub closed_loop: Shown,
}

impl Evidence {
    /// Nothing yet.
    #[must_use]
    pub fn none(binding: Binding) -> Self {
        Self { binding, shadow: Shown::default(), advisory: Shown::default(), closed_loop: Shown::default() }
    }

    /// Reads what there is for a binding; nothing yet where there is no file.
    ///
    /// # Errors
    /// [`CommissionError::Evidence`]: it cannot be read, was changed, or is of another loop.
    pub fn load(file: &Path, binding: &Binding) -> Result<Self, CommissionError> {
        let failed = |why: String| CommissionError::Evidence { file: file.display().to_string(), why };
        let text = match fs::read_to_string(file) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::none(binding.clone())),
            read => read.map_err(|e| failed(e.to_string()))?,
        };
        let (head, body) = text.split_once('\n').unwrap_or((&text, ""));
        let sum = head.strip_prefix(HEAD).ok_or_else(|| failed(format!("the first line is not `{HEAD}…`")))?;
        if sum != sha256(body.as_bytes()) {
            return Err(failed("its checksum is false: it was changed or damaged".to_owned()));
        }
        let evidence: Self = serde_json::from_str(body).map_err(|e| failed(e.to_string()))?;
        if evidence.binding != *binding {
            return Err(failed("it is the evidence of another loop".to_owned()));
        }
        Ok(evidence)
    }

    /// Replaces the file, and returns when the disk has it: after a crash at any moment there is the old one or the new.
    ///
    /// # Errors
    /// [`CommissionError::Evidence`] with the file system's words.
    pub fn save(&self, file: &Path) -> Result<(), CommissionError> {
        let failed = |why: String| CommissionError::Evidence { file: file.display().to_string(), why };
        let body = serde_json::to_string_pretty(self).map_err(|e| failed(e.to_string()))? + "\n";
        let text = format!("{HEAD}{}\n{body}", sha256(body.as_bytes()));
        replace(file, &text).map_err(|e| failed(e.to_string()))
    }

    fn of(&mut self, mode: Mode) -> &mut Shown {
        match mode {
            Mode::Shadow => &mut self.shadow,
            Mode::Advisory => &mut self.advisory,
            Mode::ClosedLoop => &mut self.closed_loop,
        }
    }
}

/// Replaces a file by one with this text, through one beside it.
pub(super) fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let beside = file.with_extension("new");
    let mut new = File::create(&beside)?;
    new.write_all(text.as_bytes())?;
    new.sync_all()?;
    fs::rename(&beside, file)?;
    File::open(folder)?.sync_all()
}

/// The rounds of a run, taken into the evidence.
#[derive(Clone, Debug)]
pub struct Tally {
    evidence: Evidence,
    period_s: f64,
    anchor_every: u32,
    rmse_max: Vec<f64>,
    round: Option<Round>,
}

/// A round under way.
#[derive(Clone, Debug)]
struct Round {
    mode: Mode,
    cycle: u64,
    fits: Vec<Fit>,
}

impl Tally {
    /// Goes on from this evidence.
    #[must_use]
    pub fn new(plant: &PlantFile, evidence: Evidence) -> Self {
        Self {
            evidence,
            period_s: plant.period_s,
            anchor_every: plant.loop_config().open_loop.anchor_every,
            rmse_max: plant.cvs.iter().map(|cv| cv.accuracy.rmse_max).collect(),
            round: None,
        }
    }

    /// The evidence so far.
    #[must_use]
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// Takes in the newest error, in the mode that the loop is in now; one that was seen before is nothing new. Whether the
    /// evidence has grown.
    pub fn observe(&mut self, error: &ModelError, mode: Mode) -> bool {
        if self.round.as_ref().is_some_and(|round| round.cycle == error.cycle) {
            return false;
        }
        let going_on = self.round.take().filter(|round| round.mode == mode && round.cycle + 1 == error.cycle);
        let first = || Round { mode, cycle: 0, fits: vec![Fit::default(); self.rmse_max.len()] };
        let Some(mut round) = (if error.ahead == 1 { Some(first()) } else { going_on }) else { return false };
        round.cycle = error.cycle;
        for (i, fit) in round.fits.iter_mut().enumerate() {
            let value = |of: &[Option<f64>]| of.get(i).copied().flatten();
            if let Some((measured, miss)) = value(&error.measured).zip(value(&error.error)) {
                fit.add(measured, miss);
            }
        }
        if error.ahead < self.anchor_every {
            self.round = Some(round);
            return false;
        }
        let least = MEASURED_MIN * f64::from(self.anchor_every);
        let measured = round.fits.iter().all(|fit| f64::from(fit.n()) >= least);
        if measured {
            self.commit(&round);
        }
        measured
    }

    fn commit(&mut self, round: &Round) {
        // One period more than there are errors: that of the anchor.
        let seconds = self.period_s * f64::from(self.anchor_every + 1);
        let within = round.fits.iter().zip(&self.rmse_max).all(|(fit, max)| fit.rmse() <= *max);
        let shown = self.evidence.of(round.mode);
        *(if within { &mut shown.seconds } else { &mut shown.seconds_beyond }) += seconds;
        shown.fits.resize(round.fits.len(), Fit::default());
        for (all, these) in shown.fits.iter_mut().zip(&round.fits) {
            all.merge(these);
        }
    }
}
