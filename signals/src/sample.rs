//! One measurement as it came from the plant, before anyone has judged it.

use crate::{Quality, Stamp};

/// The index of a measured tag in its loop: the CVs first, in the plant file's order, then the DVs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagId(pub u16);

impl TagId {
    /// The tag's place in an array of the loop's tags.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A measurement as its source gave it: unjudged, possibly NaN, possibly old.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<T = f64> {
    /// Which tag was measured.
    pub tag: TagId,
    /// The value, in the unit of the model's variable (the adapter has converted it).
    pub value: T,
    /// What the source says of the value.
    pub quality: Quality,
    /// When the source took the value.
    pub source_time: Stamp,
    /// Counts the samples of its transmitter since the start of the run: a series of its own for each transmitter.
    pub sequence: u64,
}
