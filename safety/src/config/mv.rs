//! The checks of one MV.

use std::time::Duration;

use super::{Reactions, Rule};
use crate::check::CheckId;
use crate::reaction::{Effect, Reaction};
use crate::row::Row;

/// What each check of an MV does, where that may be chosen.
pub type MvReactions = Reactions<{ Row::MV.len() }>;

impl MvReactions {
    /// The usual reactions: a set-point that the DCS does not follow for two periods holds the loop; travel, chatter and an
    /// MV that was taken out of RCAS warn.
    #[must_use]
    pub fn customary(period: Duration) -> Self {
        Self::new(Row::MV, |row| match row {
            Row::Readback => Reaction::of(Effect::Hold, period.saturating_mul(2)),
            _ => Reaction::of(Effect::Warn, Duration::ZERO),
        })
    }
}

/// Check 14.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Travel {
    /// The window that is looked back on.
    pub window: Duration,
    /// The most that the MV may be moved in it, up and down added.
    pub travel_max: f64,
    /// How often it may turn back in it.
    pub reversals_max: u32,
    /// A move within this turns nothing back.
    pub dead_band: f64,
}

/// Checks 11 to 14 and 23 of one MV.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MvChecks {
    /// The lowest set-point ever written: the plant file's engineering limit.
    pub lo: f64,
    /// The highest set-point ever written.
    pub hi: f64,
    /// The fastest change of the set-point, per second.
    pub rate_max_per_s: f64,
    /// Where Ramp takes it; `None` leaves it at the last good value.
    pub ramp_safe_value: Option<f64>,
    /// The natural scale of the variable; differences below 10⁻⁶ of it are rounding, not a violation.
    pub span: f64,
    /// Whether the loop may manipulate it. One that it may not is as one that the operator has switched off, and is
    /// not even tracked.
    pub commissioned: bool,
    /// Check 13: how far `SP_ACT` may be from where a confirmed `SP_REQ` should have taken it; by custom 1 % of the span.
    pub readback_tolerance: f64,
    /// Check 14; `None`: not judged.
    pub travel: Option<Travel>,
    /// What checks 13, 14 and 23 do.
    pub reactions: MvReactions,
}

impl MvChecks {
    /// An MV with these limits and the customary rest: no safe value, its range as its span, no limit of its travel.
    #[must_use]
    pub fn customary(lo: f64, hi: f64, rate_max_per_s: f64, period: Duration) -> Self {
        Self {
            lo,
            hi,
            rate_max_per_s,
            ramp_safe_value: None,
            span: hi - lo,
            commissioned: true,
            readback_tolerance: 0.01 * (hi - lo),
            travel: None,
            reactions: MvReactions::customary(period),
        }
    }

    /// The difference below which two set-points are the same: unit conversion and a solver's tolerance both leave
    /// residues far below 10⁻⁶ of the span, and no valve can tell.
    #[must_use]
    pub fn tolerance(&self) -> f64 {
        1e-6 * self.span
    }

    /// Whether the MV has what the row judges by.
    pub(crate) fn has(&self, row: Row) -> bool {
        row.check() != Some(CheckId::Travel) || self.travel.is_some()
    }

    pub(super) fn rules(&self) -> [Rule; 7] {
        let ordered = self.lo.is_finite() && self.hi.is_finite() && self.lo < self.hi;
        let safe = self.ramp_safe_value.is_none_or(|v| !ordered || (self.lo..=self.hi).contains(&v));
        let travel =
            |t: Travel| !t.window.is_zero() && t.travel_max > 0.0 && t.reversals_max >= 1 && t.dead_band >= 0.0;
        let mut effects = self.reactions.iter().map(|(_, reaction)| reaction.effect);
        [
            (ordered, "lo and hi", "finite, and lo below hi"),
            (self.rate_max_per_s > 0.0 && self.rate_max_per_s.is_finite(), "rate_max_per_s", "finite and above 0"),
            (safe, "ramp_safe_value", "between lo and hi"),
            (self.span > 0.0 && self.span.is_finite(), "span", "finite and above 0"),
            (self.readback_tolerance > 0.0, "readback_tolerance", "above 0"),
            (
                self.travel.is_none_or(travel),
                "travel",
                "of a window, a travel and at least 1 reversal above 0, its dead band 0 or more",
            ),
            (effects.all(|e| e != Effect::Clamp), "reactions", "other than clamp: checks 11 and 12 clamp"),
        ]
    }
}
