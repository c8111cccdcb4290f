//! What a stage's memory was after its last good steps, kept outside the stage, so that a crash does not take it along.
//!
//! A stage saves at the end of a step, its factory recalls at the start of an incarnation. What is recalled was good
//! when it was saved, but it need not be innocent of the crash: a memory that makes the next step crash would make
//! every incarnation crash. So what is recalled is on probation for [`PROBATION`] steps:
//!
//! ```text
//! crash                            -> the newest memory
//! crash again within the probation -> the one before it, of before the first crash
//! crash again within the probation -> none: a fresh start
//! ```
//!
//! # Invariants
//! - While on probation, saving does not touch the older memory: it stays one of before the first crash.
//! - Saving copies into place; with a `T` whose clone does not allocate, so does it not.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Good steps after which a recalled memory is held innocent of the crash before it.
pub const PROBATION: u32 = 10;

/// The kept memory of one stage. Clones share it.
///
/// Saved and recalled on the control thread only, so nobody ever waits for its lock.
#[derive(Debug)]
pub struct LastGood<T>(Arc<Mutex<Kept<T>>>);

#[derive(Debug)]
struct Kept<T> {
    newest: Option<T>,
    older: Option<T>,
    /// Crashes in a row within a probation.
    suspicion: u32,
    /// Good steps that are missing until the suspicion is over.
    probation: u32,
}

impl<T: Clone> LastGood<T> {
    /// Nothing kept yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Kept { newest: None, older: None, suspicion: 0, probation: 0 })))
    }

    /// Keeps the memory of a step that ended well.
    pub fn save(&self, memory: &T) {
        let mut kept = self.lock();
        if kept.probation > 0 {
            kept.probation -= 1;
        } else {
            kept.suspicion = 0;
            kept.older = kept.newest.take();
        }
        kept.newest = Some(memory.clone());
    }

    /// The memory for a new incarnation, or `None` for a fresh start. Each call counts as one crash.
    #[must_use]
    pub fn recall(&self) -> Option<T> {
        let mut kept = self.lock();
        kept.newest.as_ref()?;
        kept.suspicion += 1;
        kept.probation = PROBATION;
        match kept.suspicion {
            1 => kept.newest.clone(),
            2 => kept.older.clone(),
            _ => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> Default for LastGood<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for LastGood<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(steps: u32) -> LastGood<u32> {
        let kept = LastGood::new();
        (1..=steps).for_each(|k| kept.save(&k));
        kept
    }

    #[test]
    fn the_first_incarnation_starts_fresh_and_the_next_goes_on() {
        assert_eq!(after(0).recall(), None);
        assert_eq!(after(1).recall(), Some(1));
        assert_eq!(after(7).recall(), Some(7));
    }

    #[test]
    fn a_memory_that_crashes_its_heir_at_once_is_recalled_once() {
        let kept = after(7);
        assert_eq!([kept.recall(), kept.recall(), kept.recall(), kept.recall()], [Some(7), Some(6), None, None]);
    }

    #[test]
    fn what_an_heir_saves_on_probation_does_not_displace_the_memory_of_before_the_crash() {
        let kept = after(7);
        assert_eq!(kept.recall(), Some(7));
        (100..103).for_each(|k| kept.save(&k));
        assert_eq!(kept.recall(), Some(6), "not 101, an heir of 7");
        kept.save(&200);
        assert_eq!(kept.recall(), None);
    }

    #[test]
    fn after_its_probation_a_memory_is_held_innocent() {
        let kept = after(7);
        for crash in 1..=5 {
            let last = kept.recall();
            assert!(last.is_some(), "crash {crash}");
            (0..=PROBATION).for_each(|k| kept.save(&(1000 * crash + k)));
        }
    }
}
