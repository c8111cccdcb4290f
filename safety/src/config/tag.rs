//! The checks of one measured tag.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Reactions, Rule};
use crate::check::CheckId;
use crate::reaction::{Effect, Reaction};
use crate::row::Row;

/// The longest window of check 7.
pub const MAX_SPIKE_WINDOW: usize = 15;

/// Whether a loop can do without a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// No reset without it.
    Critical,
    /// The loop goes on without it.
    NonCritical,
}

impl Role {
    /// The usual effect of a fault: a critical tag holds the loop (and the ladder climbs from there), another warns.
    #[must_use]
    pub fn effect(self) -> Effect {
        match self {
            Self::Critical => Effect::Hold,
            Self::NonCritical => Effect::Warn,
        }
    }
}

/// What each check of a measured tag does.
pub type TagReactions = Reactions<{ Row::TAG.len() }>;

impl TagReactions {
    /// The usual reactions of a role, each after `delay`. What only says that the tag has less behind it than it should
    /// have (a transmitter lost, one left, a sample out of order) warns.
    #[must_use]
    pub fn of(role: Role, delay: Duration) -> Self {
        Self::new(Row::TAG, |row| match row {
            Row::Transmitter | Row::OneLeft | Row::Sequence => Reaction::of(Effect::Warn, delay),
            _ => Reaction::of(role.effect(), delay),
        })
    }
}

/// Check 6.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frozen {
    /// Samples without change after an input moved that make a value frozen.
    pub samples: u32,
    /// A change within this is none: the resolution of the transmitter.
    pub resolution: f64,
}

/// Check 7: Hampel's identifier.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spike {
    /// Samples in the window: odd, 3 to [`MAX_SPIKE_WINDOW`].
    pub window: usize,
    /// Robust standard deviations from the window's median that make a spike; usually 3 to 5.
    pub sigmas: f64,
    /// A deviation within this is none: the resolution of the transmitter, so that a quantised signal at rest, whose
    /// deviation is zero, is not all spikes.
    pub floor: f64,
}

/// Check 10: a two-sided cumulative sum of what the model does not explain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cusum {
    /// What is forgiven in each sample, by custom half of the shift that is to be found.
    pub slack: f64,
    /// The sum at which the model is void, by custom 4 to 5 standard deviations of the residual.
    pub limit: f64,
}

/// Checks 1 to 10 and 20 of one measured tag.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TagChecks {
    /// Whether the loop can do without the tag.
    pub role: Role,
    /// Check 4: the lowest lawful value.
    pub lo: f64,
    /// Check 4: the highest lawful value.
    pub hi: f64,
    /// Check 4: how far inside the limits a value must come back before the violation is over.
    pub hysteresis: f64,
    /// Check 5: the fastest lawful change between two samples, per second.
    pub rate_max_per_s: f64,
    /// Check 2: the oldest usable sample; by custom 2.5 periods.
    pub max_age: Duration,
    /// Check 1: whether an uncertain value will do.
    pub accept_uncertain: bool,
    /// Check 6; `None`: not judged.
    pub frozen: Option<Frozen>,
    /// Check 7; `None`: not judged.
    pub spike: Option<Spike>,
    /// Check 8: the most by which one of three transmitters may differ from their median; `None`: there are no spares.
    pub spares_tolerance: Option<f64>,
    /// Check 9: the most by which the value may differ from what the model expects; `None`: not judged.
    pub residual_max: Option<f64>,
    /// Check 10; `None`: not judged.
    pub cusum: Option<Cusum>,
    /// Check 20: how many samples may pass unseen between two; `None`: any, as where the source is faster than the
    /// interlock, or counts the samples of several tags together.
    pub gap_max: Option<u64>,
    /// What each check does, and how long a fault must last without a break before.
    pub reactions: TagReactions,
}

impl TagChecks {
    /// A tag with these limits, of which nothing more is known: a sample may be 2.5 periods old, the usual reactions
    /// without a delay, no check whose number only the site knows.
    #[must_use]
    pub fn customary(role: Role, lo: f64, hi: f64, period: Duration) -> Self {
        Self {
            role,
            lo,
            hi,
            hysteresis: 0.0,
            rate_max_per_s: f64::INFINITY,
            max_age: period * 5 / 2,
            accept_uncertain: false,
            frozen: None,
            spike: None,
            spares_tolerance: None,
            residual_max: None,
            cusum: None,
            gap_max: None,
            reactions: TagReactions::of(role, Duration::ZERO),
        }
    }

    /// Whether the tag has what the row judges by.
    pub(crate) fn has(&self, row: Row) -> bool {
        match row.check() {
            Some(CheckId::Frozen) => self.frozen.is_some(),
            Some(CheckId::Spike) => self.spike.is_some(),
            Some(CheckId::Redundancy) => self.spares_tolerance.is_some(),
            Some(CheckId::Balance) => self.residual_max.is_some(),
            Some(CheckId::ModelMismatch) => self.cusum.is_some(),
            _ => true,
        }
    }

    pub(super) fn rules(&self) -> [Rule; 11] {
        let ordered = self.lo.is_finite() && self.hi.is_finite() && self.lo < self.hi;
        let half = 0.5 * (self.hi - self.lo);
        let effects = || self.reactions.iter().map(|(_, reaction)| reaction.effect);
        let not_finite = self.reactions.get(Row::NotFinite).unwrap_or_default().effect;
        let window = |s: Spike| s.window % 2 == 1 && (3..=MAX_SPIKE_WINDOW).contains(&s.window);
        [
            (ordered, "lo and hi", "finite, and lo below hi"),
            (
                self.hysteresis >= 0.0 && (!ordered || self.hysteresis < half),
                "hysteresis",
                "0 or more, and below half of hi - lo",
            ),
            (self.rate_max_per_s > 0.0, "rate_max_per_s", "above 0"),
            (!self.max_age.is_zero(), "max_age", "above 0"),
            (
                self.frozen.is_none_or(|f| f.samples >= 1 && f.resolution >= 0.0 && f.resolution.is_finite()),
                "frozen",
                "of at least 1 sample, its resolution 0 or more",
            ),
            (
                self.spike.is_none_or(|s| window(s) && s.sigmas >= 1.0 && s.floor >= 0.0),
                "spike",
                "of an odd window from 3 to 15, its sigmas at least 1, its floor 0 or more",
            ),
            (self.spares_tolerance.is_none_or(|t| t > 0.0), "spares_tolerance", "above 0"),
            (self.residual_max.is_none_or(|r| r > 0.0), "residual_max", "above 0"),
            (
                self.cusum.is_none_or(|c| c.slack >= 0.0 && c.limit > 0.0 && c.limit.is_finite()),
                "cusum",
                "of a slack of 0 or more and a finite limit above 0",
            ),
            (effects().all(|e| e != Effect::Clamp), "reactions", "other than clamp: a measurement is not clamped"),
            (not_finite >= self.role.effect(), "reactions", "for check 3 no milder than usual: it is always on"),
        ]
    }
}
