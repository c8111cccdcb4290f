//! What came before a trip or shed: a ring of the last [`SPAN`] of plant time, kept with the first-out.
//!
//! ```text
//! step ─▶ entry ─▶ newest place of the ring        a place is kept once it lies SPACING after the one before it,
//!                                                  else the next step writes over it
//! ```
//!
//! # Invariants
//! - The newest entry is that of the newest step; at a first-out that is the step that tripped or shed.
//! - Whatever the scan is, the ring reaches back over [`SPAN`] (or to the reset): a scan faster than [`SPACING`] is thinned.
//! - From the first-out to the accepted reset nothing is recorded. The reset empties the ring.
//! - Recording allocates nothing. Nobody pays for reading who does not read.

use std::fmt;
use std::time::Duration;

use signals::{Fixed, MAX_MVS, MAX_TAGS, Quality, Stamp};

use crate::verdict::State;

/// How far back the ring reaches.
pub const SPAN: Duration = Duration::from_secs(60);
/// The least time between two entries that are kept, but for the newest.
pub const SPACING: Duration = Duration::from_millis(250);
/// Places for [`SPAN`] in steps of [`SPACING`], both ends, and the newest.
const PLACES: usize = 242;

/// A measurement as the step saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measurement {
    /// The value, in the model's unit.
    pub value: f64,
    /// Its quality; `None` before the first sample.
    pub quality: Option<Quality>,
}

/// An MV as the step saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MvTrace {
    /// `SP_ACT`, if good and finite.
    pub sp_act: Option<f64>,
    /// The set-point last approved; `None` before the first approval.
    pub approved: Option<f64>,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PreTripEntry {
    /// Its time.
    pub at: Stamp,
    /// Its cycle.
    pub cycle: u64,
    /// The state after it.
    pub state: State,
    /// The measured tags.
    pub tags: Fixed<Measurement, MAX_TAGS>,
    /// The MVs.
    pub mvs: Fixed<MvTrace, MAX_MVS>,
}

/// The ring.
#[derive(Clone)]
pub struct PreTrip {
    entries: Vec<PreTripEntry>,
    /// The place of the newest.
    newest: usize,
}

/// Without the entries: no decision hangs on them, and a model checker tells states apart by what can be read of them.
impl fmt::Debug for PreTrip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreTrip").finish_non_exhaustive()
    }
}

impl PreTrip {
    pub(crate) fn new() -> Self {
        Self { entries: Vec::with_capacity(PLACES), newest: 0 }
    }

    /// Makes `entry` the newest.
    pub(crate) fn record(&mut self, entry: PreTripEntry) {
        let len = self.entries.len();
        let before = len.checked_sub(2).and_then(|_| self.entries.get((self.newest + len - 1) % len));
        let is_kept = |newest: &PreTripEntry| {
            before.is_none_or(|before| newest.at.since(before.at) >= SPACING || newest.at < before.at)
        };
        match self.entries.get(self.newest) {
            Some(newest) if !is_kept(newest) => {}
            Some(_) if len == PLACES => self.newest = (self.newest + 1) % PLACES,
            Some(_) | None => {
                // There is room: `len` is below the capacity.
                self.entries.push(entry);
                self.newest = self.entries.len() - 1;
                return;
            }
        }
        if let Some(place) = self.entries.get_mut(self.newest) {
            *place = entry;
        }
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.newest = 0;
    }

    /// What is in it, oldest first, none of it more than [`SPAN`] older than the newest.
    pub fn entries(&self) -> impl Iterator<Item = &PreTripEntry> {
        let (newer, older) = self.entries.split_at(self.entries.len().min(self.newest + 1));
        let end = newer.last().map_or(Stamp::ZERO, |newest| newest.at);
        older.iter().chain(newer).filter(move |entry| end.since(entry.at) <= SPAN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(times_s: impl IntoIterator<Item = f64>) -> PreTrip {
        let mut ring = PreTrip::new();
        for at in times_s.into_iter().map(Stamp::from_secs_f64) {
            ring.record(PreTripEntry { at, cycle: 1, state: State::Active, tags: Fixed::new(), mvs: Fixed::new() });
        }
        ring
    }

    #[test]
    fn a_step_at_which_time_ran_back_is_kept_and_one_at_the_same_time_gives_way() {
        let times = |ring: &PreTrip| ring.entries().map(|entry| entry.at.nanos()).collect::<Vec<_>>();
        assert_eq!(times(&ring([10.0, 5.0, 5.01])), [10_000_000_000, 5_000_000_000, 5_010_000_000]);
        assert_eq!(times(&ring([10.0, 10.0, 10.01])), [10_000_000_000, 10_010_000_000]);
    }

    #[test]
    fn a_full_ring_turns_and_does_not_grow() {
        let steps = u32::try_from(PLACES).unwrap() + 10;
        let spaced = |step: u32| f64::from(step) * SPACING.as_secs_f64();
        let full = ring((0..steps).map(spaced));
        assert_eq!((full.entries.len(), full.entries.capacity()), (PLACES, PreTrip::new().entries.capacity()));
        let times = |ring: &PreTrip| ring.entries().map(|entry| entry.at).collect::<Vec<_>>();
        let told = times(&full);
        let in_span = steps - 1 - u32::try_from(SPAN.as_millis() / SPACING.as_millis()).unwrap();
        assert_eq!(told, (in_span..steps).map(spaced).map(Stamp::from_secs_f64).collect::<Vec<_>>());
        // What comes a millisecond after another gives way to the next, but for the last.
        let fast = times(&ring((0..steps).flat_map(|step| [spaced(step), spaced(step) + 1e-3])));
        assert_eq!((fast.len(), &fast[..told.len() - 1]), (told.len(), &told[1..]));
    }
}
