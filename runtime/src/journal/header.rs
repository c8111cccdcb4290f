//! What stands at the head of a journal: all that the records mean nothing without.

use std::sync::Arc;

use actors::kernel::Unwitnessed;
use actors::{Playback, Reach, WiringError};
use safety::Latch;
use signals::Spared;

use super::bytes::{Bytes, put, put_text};
use super::rows::Shape;
use crate::config::{Loaded, Mode};

/// The first bytes of a journal.
pub(super) const MAGIC: [u8; 8] = *b"OUTRJRNL";

/// The format that is written here.
pub const FORMAT: u64 = 7;

/// What a run is, beside its records.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// The version of the program that ran.
    pub program: String,
    /// The hash by which the configuration is known (`CFG_REV`).
    pub revision: String,
    /// The plant file, word by word.
    pub plant: String,
    /// How far the run could go: the mode that was wired.
    pub reach: Reach,
    /// Which MVs the run might manipulate, in order.
    pub commissioned: Vec<bool>,
    /// The seed of a simulated run; 0 beside a plant.
    pub seed: u64,
    /// How many variables the loop has.
    pub shape: Shape,
    /// The stages, by the numbers under which the records know them.
    pub stages: Vec<String>,
    /// What the interlock took up from an earlier run.
    pub latch: Latch,
}

impl Header {
    /// The header of a run of this plant file in the mode that it is wired in now.
    ///
    /// # Errors
    /// [`WiringError`] when its loop cannot be made.
    pub fn of(loaded: &Loaded, seed: u64) -> Result<Self, WiringError> {
        let (plant, reach) = (&loaded.plant, reach(loaded.plant.mode));
        let latch = Latch::default();
        let stages = Playback::new(plant.loop_config(), reach, latch, Arc::new(Unwitnessed))?;
        Ok(Self {
            program: env!("CARGO_PKG_VERSION").to_owned(),
            revision: loaded.revision.clone(),
            plant: loaded.text.clone(),
            reach,
            commissioned: plant.mvs.iter().map(|mv| mv.commissioned).collect(),
            seed,
            shape: Shape::of(plant),
            stages: stages.names().map(str::to_owned).collect(),
            latch,
        })
    }

    /// The header of a run that begins with the latch of an earlier one.
    #[must_use]
    pub fn with_latch(self, latch: Latch) -> Self {
        Self { latch, ..self }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, FORMAT);
        [&self.program, &self.revision, &self.plant].into_iter().for_each(|text| put_text(&mut out, text));
        let reach = match self.reach {
            Reach::Shadow => 0,
            Reach::Advisory => 1,
            Reach::ClosedLoop => 2,
        };
        let Shape { mvs, cvs, dvs, spared } = self.shape;
        let shape = [mvs as u64, cvs as u64, dvs as u64, spared.bits().into()];
        for number in [reach, self.seed].into_iter().chain(shape).chain([self.stages.len() as u64]) {
            put(&mut out, number);
        }
        self.stages.iter().for_each(|stage| put_text(&mut out, stage));
        // A latch holds finite numbers and names: it is always JSON.
        put_text(&mut out, &serde_json::to_string(&self.latch).unwrap_or_default());
        self.commissioned.iter().for_each(|may| put(&mut out, u64::from(*may)));
        out
    }

    /// The header in a block; the format alone where it is not ours, and `None` where the block is none.
    pub(super) fn decode(bytes: &mut Bytes<'_>) -> Option<Result<Self, u64>> {
        let format = bytes.get()?;
        if format != FORMAT {
            return Some(Err(format));
        }
        let mut text = || bytes.text().map(str::to_owned);
        let (program, revision, plant) = (text()?, text()?, text()?);
        let reach = match bytes.get()? {
            0 => Reach::Shadow,
            1 => Reach::Advisory,
            2 => Reach::ClosedLoop,
            _ => return None,
        };
        let seed = bytes.get()?;
        let mut size = |most: usize| bytes.get().and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= most);
        let (mvs, cvs, dvs) = (size(signals::MAX_MVS)?, size(signals::MAX_CVS)?, size(signals::MAX_DVS)?);
        let spared = Spared::from_bits(u32::try_from(bytes.get()?).ok()?, cvs + dvs)?;
        let shape = Shape { mvs, cvs, dvs, spared };
        let mut size = |most: usize| bytes.get().and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= most);
        let stages =
            (0..size(usize::from(u16::MAX))?).map(|_| bytes.text().map(str::to_owned)).collect::<Option<_>>()?;
        let latch = serde_json::from_str(bytes.text()?).ok()?;
        let commissioned = (0..shape.mvs).map(|_| bytes.get().map(|may| may != 0)).collect::<Option<_>>()?;
        Some(Ok(Self { program, revision, plant, reach, commissioned, seed, shape, stages, latch }))
    }
}

/// How far a mode reaches.
fn reach(mode: Mode) -> Reach {
    match mode {
        Mode::Shadow => Reach::Shadow,
        Mode::Advisory => Reach::Advisory,
        Mode::ClosedLoop => Reach::ClosedLoop,
    }
}
