//! The working set: the rows held at their bounds, their multipliers, and the factor of their Gram matrix.
//!
//! Shared by both solvers. What an entry may be is in [`entry`](super::entry). The dual is `min ½ λ'Gλ + b'λ` in a box,
//! with `1/quadratic` on the diagonal of open rows. [`Working::settle`] is a primal active-set method on it: steps to
//! the minimiser over the working set, shortened where a multiplier meets the end of its range; there the entry leaves
//! or changes its duty.
//!
//! # Invariants
//! - Multipliers are in their ranges between calls, whatever the bounds do: so any earlier working set is a start.
//! - The factor is that of the entries, in their order.
#![allow(clippy::indexing_slicing, reason = "entries and slots have their counts fixed at construction")]

use super::entry::{Duty, End, Entry};
use super::factor::Factor;
use super::lanes::{add_multiple, dot, padded};

/// A pivot below this part of the diagonal means that the row depends on those already in.
const DEPENDENT: f64 = 1e-12;
/// A pivot below this part of the diagonal has lost digits to cancellation, and is formed again.
const DOUBTFUL: f64 = 1e-5;
/// A multiplier that moves along a ray by less than this, against the fastest, is at rest.
const RESTING: f64 = 1e-9;

/// How a call to [`Working::settle`] or [`Working::push`] left the working set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// As asked.
    Done,
    /// A row came in, and the multipliers are to be settled again.
    Added,
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
    capacity: usize,
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
            capacity,
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

    /// Whether this side of the row is in and has given way: it is violated, and paid for.
    pub(super) fn is_open(&self, row: usize, upper: bool) -> bool {
        self.entries.iter().any(|e| e.row == row && e.upper == upper && matches!(e.duty, Duty::Open(_)))
    }

    /// Gives every entry the row that `to` has for it; those without one leave. The images are then to be renewed.
    pub(super) fn move_rows(&mut self, mut to: impl FnMut(usize) -> Option<usize>) {
        let mut at = 0;
        while at < self.entries.len() {
            if let Some(row) = to(self.entries[at].row) {
                self.entries[at].row = row;
                at += 1;
            } else {
                self.remove(at);
            }
        }
    }

    /// Gives entry `at` a new bound, as of the row itself; a hard one may become pinned and the other way round. False
    /// if the entry cannot stay, because its multiplier has the wrong sign.
    pub(super) fn retarget(&mut self, at: usize, duty: Duty, bound: f64) -> bool {
        let entry = &mut self.entries[at];
        if matches!(entry.duty, Duty::Free | Duty::Hard) {
            entry.duty = duty;
        }
        entry.bound = bound / entry.length;
        entry.lambda >= entry.duty.least()
    }

    /// Forms images and factor anew: `write` is given one image after the other, in the order of the entries, to write
    /// as for upper sides. Entries that depend on others leave.
    pub(super) fn renew(&mut self, write: impl FnOnce(&mut [f64])) {
        let count = self.entries.len();
        write(&mut self.images[..count * self.width]);
        self.unused.clear();
        self.unused.extend((count..=self.capacity).rev());
        for (slot, (entry, image)) in self.entries.iter_mut().zip(self.images.chunks_exact_mut(self.width)).enumerate()
        {
            entry.slot = slot;
            if !entry.upper {
                image.iter_mut().for_each(|m| *m = -*m);
            }
            let length = normalise(image);
            let ratio = length / entry.length;
            entry.duty = entry.duty.divided(ratio);
            (entry.lambda, entry.length) = (entry.lambda * ratio, length);
        }
        self.refresh();
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
            match self.offer(&entry, self.entries.len()) {
                Offer::Independent(pivot) => {
                    self.factor.accept(pivot);
                    self.entries.push(entry);
                    return Settled::Done;
                }
                Offer::Broken => return self.turn_away(&entry, Settled::Broken),
                Offer::Dependent if self.changes > self.changes_max => {
                    return self.turn_away(&entry, Settled::Exhausted);
                }
                Offer::Dependent => {}
            }
            match self.ride(&mut entry) {
                Ride::Unbounded => return self.turn_away(&entry, Settled::Unbounded),
                Ride::Candidate(Some(duty)) => entry.duty = duty,
                Ride::Candidate(None) => return self.turn_away(&entry, Settled::Done),
                Ride::Entry(at, None) => self.remove(at),
                Ride::Entry(at, Some(duty)) => {
                    let ending = self.change_duty(at, duty);
                    if ending != Settled::Done {
                        return self.turn_away(&entry, ending);
                    }
                }
            }
        }
    }

    fn turn_away(&mut self, entry: &Entry, ending: Settled) -> Settled {
        self.unused.push(entry.slot);
        ending
    }

    /// Offers a row to the factor of the first `size` entries. If it depends on them, the ray is in `star`.
    fn offer(&mut self, candidate: &Entry, size: usize) -> Offer {
        let width = self.width;
        let image = |slot: usize| &self.images[slot * width..(slot + 1) * width];
        let own = image(candidate.slot);
        for (gram, entry) in self.gram.iter_mut().zip(&self.entries[..size]) {
            *gram = dot(own, image(entry.slot));
        }
        let diagonal = dot(own, own) + candidate.duty.give();
        let mut pivot = self.factor.offer(&self.gram[..size], diagonal);
        if pivot < DOUBTFUL * diagonal {
            self.factor.ray(&mut self.star[..size]);
            pivot = self.distance(candidate, size);
        }
        if pivot > DEPENDENT * diagonal {
            Offer::Independent(pivot)
        } else if pivot.is_finite() {
            Offer::Dependent
        } else {
            Offer::Broken
        }
    }

    /// The pivot from its meaning, the squared distance of the candidate from the span of the entries, with the ray in
    /// `star`: `|m + Σ z_i m_i|²`, and what open entries give. Exact to the square of the rounding that the factor has.
    fn distance(&mut self, candidate: &Entry, size: usize) -> f64 {
        let Self { width, entries, images, rest, star, .. } = self;
        let image = |slot: usize| &images[slot * *width..(slot + 1) * *width];
        rest.copy_from_slice(image(candidate.slot));
        let mut pivot = candidate.duty.give();
        for (entry, z) in entries[..size].iter().zip(&*star) {
            add_multiple(rest, *z, image(entry.slot));
            pivot += entry.duty.give() * z * z;
        }
        pivot + dot(rest, rest)
    }

    /// Moves the multipliers along the ray in `star` (and 1 for the candidate) until one meets the end of its range.
    fn ride(&mut self, candidate: &mut Entry) -> Ride {
        let size = self.entries.len();
        let slope = candidate.target() + self.entries.iter().zip(&self.star).map(|(e, z)| e.target() * z).sum::<f64>();
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

    /// Gives entry `at` another duty, with its multiplier where the two meet. An entry that was `Tight` and becomes
    /// `Open` always goes in; the other way round the row may now depend on others.
    fn change_duty(&mut self, at: usize, duty: Duty) -> Settled {
        let entry = self.entries.remove(at);
        self.factor.remove(at);
        self.insert(Entry { duty, ..entry })
    }

    /// Steps to the minimiser over the working set; entries whose multiplier meets the end of its range on the way
    /// leave or change their duty.
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

    /// Writes `v = -Σ λ_i m_i`, and returns the dual objective, a lower bound of the primal one whatever the
    /// multipliers: `-½|v|² - b'λ - Σ_open ½ (λ - linear)² / quadratic`.
    pub(super) fn point(&self, v: &mut [f64]) -> f64 {
        v.fill(0.0);
        let mut height = 0.0;
        for (at, entry) in self.entries.iter().enumerate() {
            add_multiple(v, -entry.lambda, self.image(at));
            height -= entry.bound * entry.lambda;
            if let Duty::Open(soft) = entry.duty {
                let beyond = entry.lambda - soft.linear;
                height -= 0.5 * beyond * beyond / soft.quadratic;
            }
        }
        height - 0.5 * dot(v, v)
    }

    /// How far from the origin the worst of the entries is.
    pub(super) fn depth(&self) -> f64 {
        self.entries.iter().fold(0.0, |depth: f64, entry| depth.max(-entry.bound))
    }

    /// Forms the factor anew from the images: what many changes left of rounding is gone. Entries that depend on others
    /// leave.
    pub(super) fn refresh(&mut self) {
        self.factor.clear();
        let count = self.entries.len();
        let mut kept = 0;
        for at in 0..count {
            let entry = self.entries[at];
            self.entries[kept] = entry;
            if let Offer::Independent(pivot) = self.offer(&entry, kept) {
                self.factor.accept(pivot);
                kept += 1;
            } else {
                self.unused.push(entry.slot);
            }
        }
        self.entries.truncate(kept);
    }
}

/// Divides an image by its length, and returns that; an image of zeros stays as it is, with length 1.
pub(super) fn normalise(image: &mut [f64]) -> f64 {
    let length = dot(image, image).sqrt();
    if length > 0.0 {
        let reciprocal = 1.0 / length;
        image.iter_mut().for_each(|m| *m *= reciprocal);
        length
    } else {
        1.0
    }
}

/// What the factor says to a row.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Offer {
    /// It may be accepted, with this pivot.
    Independent(f64),
    Dependent,
    Broken,
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
