//! The working set: the rows held at their bounds, their multipliers, and the factor of their Gram matrix.
//!
//! Shared by both solvers. Each entry carries its image `m`, signed so that the row reads `m'v ≤ b` whichever side is
//! held, and stands in one of four duties:
//!
//! | duty | multiplier | equation |
//! |---|---|---|
//! | `Free`: both sides are equal | any | `m'v = b` |
//! | `Hard` | `0 ≤ λ` | `m'v = b` |
//! | `Tight`: soft, price not yet reached | `0 ≤ λ ≤ linear` | `m'v = b` |
//! | `Open`: soft and given way | `linear ≤ λ` | `m'v = b + (λ - linear) / quadratic` |
//!
//! So the dual is `min ½ λ'Gλ + b'λ` in a box, with `1/quadratic` on the diagonal of open rows. [`Working::settle`] is a
//! primal active-set method on it: steps to the minimiser over the working set, shortened where a multiplier meets the
//! end of its range; there the entry leaves or changes its duty.
//!
//! # Invariants
//! - Multipliers are in their ranges between calls, whatever the bounds do: so any earlier working set is a start.
//! - The factor is that of the entries, in their order.
#![allow(clippy::indexing_slicing, reason = "entries and slots have their counts fixed at construction")]

use super::factor::Factor;
use super::lanes::{add_multiple, dot, padded};
use crate::qp::Soft;

/// A pivot below this part of the diagonal means that the row depends on those already in.
const DEPENDENT: f64 = 1e-12;
/// A pivot below this part of the diagonal has lost digits to cancellation, and is formed again.
const DOUBTFUL: f64 = 1e-5;
/// A multiplier that moves along a ray by less than this, against the fastest, is at rest.
const RESTING: f64 = 1e-9;

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

    fn least(self) -> f64 {
        match self {
            Self::Free => f64::NEG_INFINITY,
            Self::Hard | Self::Tight(_) => 0.0,
            Self::Open(soft) => soft.linear,
        }
    }

    fn most(self) -> f64 {
        match self {
            Self::Tight(soft) => soft.linear,
            Self::Free | Self::Hard | Self::Open(_) => f64::INFINITY,
        }
    }

    /// What is added to the diagonal.
    fn give(self) -> f64 {
        if let Self::Open(soft) = self { 1.0 / soft.quadratic } else { 0.0 }
    }

    /// The duty on the other side of the end that the multiplier reached; `None` where the entry leaves.
    fn beyond(self, end: End) -> Option<Self> {
        match (self, end) {
            (Self::Tight(soft), End::Most) => Some(Self::Open(soft)),
            (Self::Open(soft), End::Least) if soft.linear > 0.0 => Some(Self::Tight(soft)),
            _ => None,
        }
    }
}

/// An end of a multiplier's range.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Least,
    Most,
}

/// A row in the working set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) row: usize,
    /// Which side is held; false for the lower, whose image and bound are negated.
    pub(super) upper: bool,
    pub(super) duty: Duty,
    /// `b`, signed as the image is.
    pub(super) bound: f64,
    pub(super) lambda: f64,
    slot: usize,
}

impl Entry {
    pub(super) fn new(row: usize, upper: bool, duty: Duty, bound: f64) -> Self {
        let lambda = if let Duty::Open(soft) = duty { soft.linear } else { 0.0 };
        Self { row, upper, duty, bound, lambda, slot: 0 }
    }

    /// The multiplier, negative at the lower side.
    pub(super) fn signed(&self) -> f64 {
        if self.upper { self.lambda } else { -self.lambda }
    }

    /// The right side of the entry's equation `m'v - give · λ = …`.
    fn target(&self) -> f64 {
        if let Duty::Open(soft) = self.duty { self.bound - soft.linear / soft.quadratic } else { self.bound }
    }
}

/// How a call to [`Working::settle`] or [`Working::push`] left the working set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// As asked.
    Done,
    /// The dual is unbounded: the rows contradict each other.
    Unbounded,
    /// No room for another row, or the limit of changes is reached.
    Exhausted,
    /// Not a finite number.
    Broken,
}

#[derive(Debug)]
pub(super) struct Working {
    width: usize,
    entries: Vec<Entry>,
    /// One image per slot, each padded to `width`.
    images: Vec<f64>,
    /// Slots without an entry; the last is the candidate's.
    unused: Vec<usize>,
    factor: Factor,
    gram: Vec<f64>,
    star: Vec<f64>,
    /// What the entries leave of an image.
    rest: Vec<f64>,
    /// Changes since [`Self::begin`], and their limit.
    pub(super) changes: u32,
    changes_max: u32,
    /// Ties go to the row with the least index: cannot cycle.
    pub(super) careful: bool,
}

impl Working {
    /// Room for `capacity` rows with images of `width` numbers.
    pub(super) fn new(capacity: usize, width: usize) -> Self {
        let width = padded(width);
        Self {
            width,
            entries: Vec::with_capacity(capacity),
            images: vec![0.0; (capacity + 1) * width],
            unused: (0..=capacity).rev().collect(),
            factor: Factor::new(capacity + 1),
            gram: vec![0.0; capacity + 1],
            star: vec![0.0; capacity + 1],
            rest: vec![0.0; width],
            changes: 0,
            changes_max: 0,
            careful: false,
        }
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn image(&self, at: usize) -> &[f64] {
        let slot = self.entries[at].slot;
        &self.images[slot * self.width..(slot + 1) * self.width]
    }

    /// Whether this side of the row is in, or, the sides being equal, the other.
    pub(super) fn holds(&self, row: usize, upper: bool) -> bool {
        self.entries.iter().any(|e| e.row == row && (e.upper == upper || e.duty == Duty::Free))
    }

    /// Gives entry `at` a new bound. The duty may only change between those without a soft bound.
    pub(super) fn retarget(&mut self, at: usize, duty: Duty, bound: f64) {
        self.entries[at].duty = duty;
        self.entries[at].bound = bound;
    }

    pub(super) fn clear(&mut self) {
        while let Some(entry) = self.entries.pop() {
            self.unused.push(entry.slot);
        }
        self.factor.clear();
    }

    /// Starts a solve with its own limit of changes.
    pub(super) fn begin(&mut self, changes_max: u32) {
        self.changes = 0;
        self.changes_max = changes_max;
        self.careful = false;
    }

    /// Where the image of the row that is to be pushed is written, signed; all of it is to be written.
    pub(super) fn candidate(&mut self) -> &mut [f64] {
        let slot = self.unused.last().copied().unwrap_or_default();
        &mut self.images[slot * self.width..(slot + 1) * self.width]
    }

    /// Takes in `entry`, whose image is in [`Self::candidate`]. Rows that it depends on may leave.
    pub(super) fn push(&mut self, entry: Entry) -> Settled {
        if self.unused.len() < 2 {
            return Settled::Exhausted;
        }
        let Some(slot) = self.unused.pop() else { return Settled::Exhausted };
        self.insert(Entry { slot, ..entry })
    }

    fn insert(&mut self, mut entry: Entry) -> Settled {
        loop {
            self.changes += 1;
            let size = self.entries.len();
            let (gram, diagonal) = self.products(entry.slot);
            let diagonal = diagonal + entry.duty.give();
            let mut pivot = self.factor.offer(&self.gram[..gram], diagonal);
            if pivot < DOUBTFUL * diagonal {
                self.factor.ray(&mut self.star[..size]);
                pivot = self.distance(&entry);
            }
            if pivot > DEPENDENT * diagonal {
                self.factor.accept(pivot);
                self.entries.push(entry);
                return Settled::Done;
            }
            if !pivot.is_finite() || self.changes > self.changes_max {
                self.unused.push(entry.slot);
                return if pivot.is_finite() { Settled::Exhausted } else { Settled::Broken };
            }
            match self.ride(&mut entry) {
                Ride::Unbounded => {
                    self.unused.push(entry.slot);
                    return Settled::Unbounded;
                }
                Ride::Candidate(Some(duty)) => entry.duty = duty,
                Ride::Candidate(None) => {
                    self.unused.push(entry.slot);
                    return Settled::Done;
                }
                Ride::Entry(at, None) => self.remove(at),
                Ride::Entry(at, Some(duty)) => {
                    let ending = self.change_duty(at, duty);
                    if ending != Settled::Done {
                        self.unused.push(entry.slot);
                        return ending;
                    }
                }
            }
        }
    }

    /// Products of the image in `slot` with those of the entries, into `gram`, and with itself.
    fn products(&mut self, slot: usize) -> (usize, f64) {
        let image = &self.images[slot * self.width..(slot + 1) * self.width];
        for (gram, entry) in self.gram.iter_mut().zip(&self.entries) {
            *gram = dot(image, &self.images[entry.slot * self.width..(entry.slot + 1) * self.width]);
        }
        (self.entries.len(), dot(image, image))
    }

    /// The pivot from its meaning, the squared distance of the candidate from the span of the entries, with the ray in
    /// `star`: `|m + Σ z_i m_i|²`, and what open entries give. Exact to the square of the rounding that the factor has.
    fn distance(&mut self, candidate: &Entry) -> f64 {
        let Self { width, entries, images, rest, star, .. } = self;
        let image = |slot: usize| &images[slot * *width..(slot + 1) * *width];
        rest.copy_from_slice(image(candidate.slot));
        let mut pivot = candidate.duty.give();
        for (entry, z) in entries.iter().zip(&*star) {
            add_multiple(rest, *z, image(entry.slot));
            pivot += entry.duty.give() * z * z;
        }
        pivot + dot(rest, rest)
    }

    /// Moves the multipliers along the ray in `star` (and 1 for the candidate) until one meets the end of its range.
    fn ride(&mut self, candidate: &mut Entry) -> Ride {
        let size = self.entries.len();
        let slope =
            candidate.target() + self.entries.iter().zip(&self.star).map(|(e, z)| e.target() * z).sum::<f64>();
        let sense = if slope > 0.0 { -1.0 } else { 1.0 };
        let scale = self.star[..size].iter().fold(1.0, |scale: f64, z| scale.max(z.abs()));
        let (least, most) = (candidate.duty.least(), candidate.duty.most());
        let mut step = if sense > 0.0 { most - candidate.lambda } else { candidate.lambda - least };
        let mut who = Ride::Candidate(candidate.duty.beyond(if sense > 0.0 { End::Most } else { End::Least }));
        if step.is_infinite() {
            who = Ride::Unbounded;
        }
        for (at, entry) in self.entries.iter().enumerate() {
            let rate = sense * self.star[at];
            if rate.abs() <= RESTING * scale || matches!(entry.duty, Duty::Open(_)) {
                continue;
            }
            let end = if rate < 0.0 { End::Least } else { End::Most };
            let limit = if rate < 0.0 { entry.duty.least() } else { entry.duty.most() };
            let there = (limit - entry.lambda) / rate;
            if there < step {
                (step, who) = (there, Ride::Entry(at, entry.duty.beyond(end)));
            }
        }
        if who != Ride::Unbounded {
            for (entry, z) in self.entries.iter_mut().zip(&self.star) {
                entry.lambda = (step * sense * z + entry.lambda).clamp(entry.duty.least(), entry.duty.most());
            }
            candidate.lambda += step * sense;
        }
        who
    }

    /// Takes entry `at` out.
    pub(super) fn remove(&mut self, at: usize) {
        let entry = self.entries.remove(at);
        self.unused.push(entry.slot);
        self.factor.remove(at);
    }

    /// Gives entry `at` another duty, with its multiplier where the two meet. An entry that was `Tight` and becomes `Open`
    /// always goes in; the other way round the row may now depend on others.
    fn change_duty(&mut self, at: usize, duty: Duty) -> Settled {
        let entry = self.entries.remove(at);
        self.factor.remove(at);
        self.insert(Entry { duty, ..entry })
    }

    /// Steps to the minimiser over the working set; entries whose multiplier meets the end of its range on the way leave
    /// or change their duty.
    pub(super) fn settle(&mut self) -> Settled {
        loop {
            let size = self.entries.len();
            for (star, entry) in self.star.iter_mut().zip(&self.entries) {
                *star = -entry.target();
            }
            self.factor.solve(&mut self.star[..size]);
            let Some((part, at, end)) = self.blocking() else {
                for (entry, star) in self.entries.iter_mut().zip(&self.star) {
                    entry.lambda = *star;
                }
                return if self.star[..size].iter().all(|star| star.is_finite()) {
                    Settled::Done
                } else {
                    Settled::Broken
                };
            };
            if self.changes >= self.changes_max {
                return Settled::Exhausted;
            }
            for (entry, star) in self.entries.iter_mut().zip(&self.star) {
                let lambda = part.mul_add(star - entry.lambda, entry.lambda);
                entry.lambda = lambda.clamp(entry.duty.least(), entry.duty.most());
            }
            let entry = &mut self.entries[at];
            entry.lambda = if end == End::Least { entry.duty.least() } else { entry.duty.most() };
            match entry.duty.beyond(end) {
                None => {
                    self.changes += 1;
                    self.remove(at);
                }
                Some(duty) => match self.change_duty(at, duty) {
                    Settled::Done => (),
                    ending => return ending,
                },
            }
        }
    }

    /// The entry whose multiplier is the first to meet the end of its range on the way to `star`.
    fn blocking(&self) -> Option<(f64, usize, End)> {
        let mut first: Option<(f64, usize, End)> = None;
        for (at, (entry, star)) in self.entries.iter().zip(&self.star).enumerate() {
            let (least, most) = (entry.duty.least(), entry.duty.most());
            let (limit, end) = if *star < least {
                (least, End::Least)
            } else if *star > most {
                (most, End::Most)
            } else {
                continue;
            };
            let part = ((limit - entry.lambda) / (star - entry.lambda)).clamp(0.0, 1.0);
            let sooner = first.is_none_or(|(least, other, _)| {
                part < least || (self.careful && part <= least && entry.row < self.entries[other].row)
            });
            if sooner {
                first = Some((part, at, end));
            }
        }
        first
    }

    /// `v = -Σ λ_i m_i`.
    pub(super) fn point(&self, v: &mut [f64]) {
        v.fill(0.0);
        for (at, entry) in self.entries.iter().enumerate() {
            add_multiple(v, -entry.lambda, self.image(at));
        }
    }

    /// Forms the factor anew from the images: what many changes left of rounding is gone. Entries that now depend on
    /// others leave.
    pub(super) fn refresh(&mut self) {
        self.factor.clear();
        let mut at = 0;
        while at < self.entries.len() {
            let entry = self.entries[at];
            let image = &self.images[entry.slot * self.width..(entry.slot + 1) * self.width];
            for (gram, other) in self.gram.iter_mut().zip(&self.entries[..at]) {
                *gram = dot(image, &self.images[other.slot * self.width..(other.slot + 1) * self.width]);
            }
            let diagonal = dot(image, image) + entry.duty.give();
            let pivot = self.factor.offer(&self.gram[..at], diagonal);
            if pivot > DEPENDENT * diagonal {
                self.factor.accept(pivot);
                at += 1;
            } else {
                self.entries.remove(at);
                self.unused.push(entry.slot);
            }
        }
    }
}

/// Where a move along a ray ended.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ride {
    Unbounded,
    /// The candidate met an end, and what it becomes beyond it.
    Candidate(Option<Duty>),
    /// An entry met an end, and what it becomes beyond it.
    Entry(usize, Option<Duty>),
}
