//! Checks 1, 2, 3 and 20 on the samples of one transmitter.
//!
//! # Invariants
//! - A bad sample has no value.
//! - A sample from the future is as little worth as an old one, or a source clock running ahead would blind check 2.

use std::cmp::Ordering;

use signals::{Quality, Sample, Stamp};

use super::Look;
use crate::cause::Fault;
use crate::check::CheckId;
use crate::config::TagChecks;

/// What one step sees of one transmitter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reading {
    /// Its quality.
    pub(super) quality: Option<Fault>,
    /// Its age.
    pub(super) age: Option<Fault>,
    /// NaN or infinity.
    pub(super) not_finite: Option<Fault>,
    /// The order of its samples.
    pub(super) sequence: Option<Fault>,
    /// The value, if there is a finite one.
    pub(super) value: Option<f64>,
    /// When the source took it.
    pub(super) source_time: Stamp,
    /// Whether it is seen for the first time.
    pub(super) is_new: bool,
}

impl Reading {
    /// What makes the value worthless: the first finding of checks 1 to 3.
    pub(super) fn unusable(&self) -> Option<Fault> {
        self.quality.or(self.age).or(self.not_finite)
    }

    /// The value, if none of checks 1 to 3 speaks against it.
    pub(super) fn usable(&self) -> Option<f64> {
        self.value.filter(|_| self.unusable().is_none())
    }
}

/// A sample as it is told from the next.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Mark {
    sequence: u64,
    source_time: Stamp,
    value: u64,
}

/// The memory of one transmitter.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Transmitter {
    last: Option<Mark>,
    /// What check 20 says of the newest sample; it holds until the next.
    order: Option<Fault>,
}

impl Transmitter {
    pub(super) fn read(&mut self, checks: &TagChecks, sample: Option<&Sample>, look: Look) -> Reading {
        let on = |check: CheckId| move |_: &Fault| !look.off.contains(check);
        let age = age(checks, sample, look.now).filter(on(CheckId::Age));
        let Some(sample) = sample else { return Reading { age, ..Reading::default() } };
        let mark = Mark { sequence: sample.sequence, source_time: sample.source_time, value: sample.value.to_bits() };
        let before = self.last.replace(mark);
        let is_new = before != Some(mark);
        if let Some(before) = before.filter(|_| is_new) {
            self.order = order(before, mark, checks.gap_max);
        }
        let has_value = sample.quality != Quality::Bad;
        let not_finite = (has_value && !sample.value.is_finite()).then_some(Fault::NotFinite);
        Reading {
            quality: quality(checks, sample).filter(on(CheckId::Quality)),
            age,
            not_finite: not_finite.filter(on(CheckId::NotFinite)),
            sequence: self.order.filter(on(CheckId::Sequence)),
            value: Some(sample.value).filter(|value| has_value && value.is_finite()),
            source_time: sample.source_time,
            is_new,
        }
    }
}

fn quality(checks: &TagChecks, sample: &Sample) -> Option<Fault> {
    match sample.quality {
        Quality::Good => None,
        Quality::Uncertain => (!checks.accept_uncertain).then_some(Fault::Uncertain),
        Quality::Bad => Some(Fault::Bad),
    }
}

fn age(checks: &TagChecks, sample: Option<&Sample>, now: Stamp) -> Option<Fault> {
    let Some(sample) = sample else { return Some(Fault::Missing) };
    let (age, ahead) = (now.since(sample.source_time), sample.source_time.since(now));
    if age > checks.max_age {
        Some(Fault::Old { age })
    } else if ahead > checks.max_age {
        Some(Fault::Early { ahead })
    } else {
        None
    }
}

/// Check 20. A source may say more of the same sample, such as another quality; what it may not do is to say another
/// value or another time under the same number.
fn order(before: Mark, mark: Mark, gap_max: Option<u64>) -> Option<Fault> {
    let by = before.source_time.since(mark.source_time);
    let missed = mark.sequence.saturating_sub(before.sequence).saturating_sub(1);
    match mark.sequence.cmp(&before.sequence) {
        Ordering::Equal => Some(Fault::Duplicate),
        Ordering::Less => Some(Fault::Reordered),
        Ordering::Greater if !by.is_zero() => Some(Fault::SourceBack { by }),
        Ordering::Greater => gap_max.is_some_and(|most| missed > most).then_some(Fault::Gap { missed }),
    }
}
