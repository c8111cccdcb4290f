//! A row in the working set, and what holds it there.
//!
//! Each entry carries its image `m`, signed so that the row reads `m'v ≤ b` whichever side is held, and stands in one
//! of four duties:
//!
//! | duty | multiplier | equation |
//! |---|---|---|
//! | `Free`: both sides are equal | any | `m'v = b` |
//! | `Hard` | `0 ≤ λ` | `m'v = b` |
//! | `Tight`: soft, price not yet reached | `0 ≤ λ ≤ linear` | `m'v = b` |
//! | `Open`: soft and given way | `linear ≤ λ` | `m'v = b + (λ - linear) / quadratic` |
//!
//! # Invariants
//! - Rows are divided by the length of their image: multipliers, prices and bounds inside an entry are of the divided
//!   row.

use crate::qp::Soft;

/// What holds an entry; see the module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Duty {
    Free,
    Hard,
    Tight(Soft),
    Open(Soft),
}

impl Duty {
    /// How a row with these prices starts.
    pub(super) fn of(soft: Option<Soft>, pinned: bool) -> Self {
        match soft {
            Some(soft) if soft.linear > 0.0 => Self::Tight(soft),
            Some(soft) => Self::Open(soft),
            None if pinned => Self::Free,
            None => Self::Hard,
        }
    }

    pub(super) fn least(self) -> f64 {
        match self {
            Self::Free => f64::NEG_INFINITY,
            Self::Hard | Self::Tight(_) => 0.0,
            Self::Open(soft) => soft.linear,
        }
    }

    pub(super) fn most(self) -> f64 {
        match self {
            Self::Tight(soft) => soft.linear,
            Self::Free | Self::Hard | Self::Open(_) => f64::INFINITY,
        }
    }

    /// What is added to the diagonal.
    pub(super) fn give(self) -> f64 {
        if let Self::Open(soft) = self { 1.0 / soft.quadratic } else { 0.0 }
    }

    /// The prices in units of a row that is divided by `length`.
    pub(super) fn divided(self, length: f64) -> Self {
        let divide = |soft: Soft| Soft { linear: soft.linear * length, quadratic: soft.quadratic * length * length };
        match self {
            Self::Tight(soft) => Self::Tight(divide(soft)),
            Self::Open(soft) => Self::Open(divide(soft)),
            hard => hard,
        }
    }

    /// The duty on the other side of the end that the multiplier reached; `None` where the entry leaves.
    pub(super) fn beyond(self, end: End) -> Option<Self> {
        match (self, end) {
            (Self::Tight(soft), End::Most) => Some(Self::Open(soft)),
            (Self::Open(soft), End::Least) if soft.linear > 0.0 => Some(Self::Tight(soft)),
            _ => None,
        }
    }
}

/// An end of a multiplier's range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum End {
    Least,
    Most,
}

/// A row in the working set, divided by the length of its image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) row: usize,
    /// Which side is held; false for the lower, whose image and bound are negated.
    pub(super) upper: bool,
    pub(super) duty: Duty,
    /// `b`, signed as the image is.
    pub(super) bound: f64,
    pub(super) lambda: f64,
    /// The length of the image before it was divided.
    pub(super) length: f64,
    pub(super) slot: usize,
}

impl Entry {
    /// `duty` and `bound` as of the row itself, `length` that of its image.
    pub(super) fn new(row: usize, upper: bool, duty: Duty, (bound, length): (f64, f64)) -> Self {
        let duty = duty.divided(length);
        let lambda = if let Duty::Open(soft) = duty { soft.linear } else { 0.0 };
        Self { row, upper, duty, bound: bound / length, lambda, length, slot: 0 }
    }

    /// The multiplier of the row itself, negative at the lower side.
    pub(super) fn signed(&self) -> f64 {
        if self.upper { self.lambda / self.length } else { -self.lambda / self.length }
    }

    /// How far an open row has given way.
    pub(super) fn slack(&self) -> f64 {
        if let Duty::Open(soft) = self.duty { (self.lambda - soft.linear) / soft.quadratic * self.length } else { 0.0 }
    }

    /// The right side of the entry's equation `m'v - give · λ = …`.
    pub(super) fn target(&self) -> f64 {
        if let Duty::Open(soft) = self.duty { self.bound - soft.linear / soft.quadratic } else { self.bound }
    }
}
