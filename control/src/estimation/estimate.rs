//! What the estimator says each cycle, and what it can be restarted from.

use plant_models::MAX_STATES;
use signals::{Fixed, MAX_CVS, MAX_DVS, Stamp, Values};

use super::belief::Belief;

/// The state of the plant as far as the measurements tell. Made only by [`super::Ekf`].
///
/// When it is not [`Self::valid`], its numbers are the best guess there is, for display; control must not use them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    pub(super) cycle: u64,
    pub(super) at: Stamp,
    pub(super) x: Values<MAX_STATES>,
    pub(super) x_sd: Values<MAX_STATES>,
    pub(super) d: Values<MAX_CVS>,
    pub(super) p: Values<MAX_DVS>,
    pub(super) y: Values<MAX_CVS>,
    pub(super) innovation: Values<MAX_CVS>,
    pub(super) nis: f64,
    pub(super) missing: u32,
    pub(super) valid: bool,
}

impl Estimate {
    /// The control cycle of the frame behind it.
    #[must_use]
    pub fn cycle(&self) -> u64 {
        self.cycle
    }

    /// When that frame was assembled.
    #[must_use]
    pub fn at(&self) -> Stamp {
        self.at
    }

    /// The states x̂, NX of them, in the model's order and units.
    #[must_use]
    pub fn x(&self) -> &[f64] {
        &self.x
    }

    /// The standard deviations that the filter gives the states.
    #[must_use]
    pub fn x_sd(&self) -> &[f64] {
        &self.x_sd
    }

    /// The output disturbances d̂, one per CV, in the outputs' units.
    #[must_use]
    pub fn d(&self) -> &[f64] {
        &self.d
    }

    /// The model's disturbances p, all NP of them: measured, held or nominal.
    #[must_use]
    pub fn p(&self) -> &[f64] {
        &self.p
    }

    /// The CVs as estimated, `ŷ = h(x̂, p) + d̂`.
    #[must_use]
    pub fn y(&self) -> &[f64] {
        &self.y
    }

    /// The innovations `y - ŷ⁻`, one per CV: what the measurements had that the prediction had not. 0 where a CV was
    /// missing.
    #[must_use]
    pub fn innovation(&self) -> &[f64] {
        &self.innovation
    }

    /// The normalised innovation squared `νᵀ S⁻¹ ν`. In a filter whose noises are right it is χ² distributed with as
    /// many degrees of freedom as CVs were measured.
    #[must_use]
    pub fn nis(&self) -> f64 {
        self.nis
    }

    /// How many CVs were missing in this cycle.
    #[must_use]
    pub fn missing(&self) -> u32 {
        self.missing
    }

    /// Whether control may use it: the filter runs, and no CV has been missing for too long.
    #[must_use]
    pub fn valid(&self) -> bool {
        self.valid
    }
}

/// Everything that an [`super::Ekf`] remembers, at one instant: restored, it goes on bit for bit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Checkpoint {
    pub(super) memory: Memory,
    /// `None` until the filter has started.
    pub(super) belief: Option<Belief>,
}

/// What the estimator remembers from cycle to cycle; of fixed size, so that a checkpoint is a copy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Memory {
    /// The model's disturbances as they act now.
    pub(super) p: Values<MAX_DVS>,
    /// The last usable value of each DV, and the frame's time.
    pub(super) dv: Fixed<Option<(f64, Stamp)>, MAX_DVS>,
    /// Cycles in a row without a measurement, per CV.
    pub(super) missing: Fixed<u32, MAX_CVS>,
    pub(super) last: Option<Estimate>,
}
