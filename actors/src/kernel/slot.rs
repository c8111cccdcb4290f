//! The newest-value slot: an edge of the loop.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A slot that holds the newest value of an edge. Writers overwrite, readers copy; nobody waits for anybody longer
/// than the copy of one value takes, and memory does not grow. Clones share the slot.
///
/// The lock is held for one copy and never across a call into foreign code, so a panic of a stage cannot leave it
/// held; poisoning is therefore ignored.
#[derive(Debug)]
pub struct Latest<T>(Arc<Inner<T>>);

#[derive(Debug)]
struct Inner<T> {
    value: Mutex<Option<T>>,
    sequence: AtomicU64,
    overwritten: AtomicU64,
    unread: AtomicBool,
}

impl<T> Latest<T> {
    /// An empty slot.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            value: Mutex::new(None),
            sequence: AtomicU64::new(0),
            overwritten: AtomicU64::new(0),
            unread: AtomicBool::new(false),
        }))
    }

    /// Makes `value` the newest; what nobody read is counted as overwritten.
    pub fn put(&self, value: T) {
        let replaced = self.lock().replace(value);
        if self.0.unread.swap(true, Ordering::AcqRel) {
            self.0.overwritten.fetch_add(1, Ordering::Relaxed);
        }
        self.0.sequence.fetch_add(1, Ordering::Release);
        drop(replaced);
    }

    /// Takes the newest value out: it is read once. For values that must not be used twice.
    #[must_use]
    pub fn take(&self) -> Option<T> {
        self.0.unread.store(false, Ordering::Release);
        self.lock().take()
    }

    /// How many values were put so far.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.0.sequence.load(Ordering::Acquire)
    }

    /// How many values were overwritten before anybody read them.
    #[must_use]
    pub fn overwritten(&self) -> u64 {
        self.0.overwritten.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Option<T>> {
        self.0.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Copy> Latest<T> {
    /// A copy of the newest value, which stays.
    #[must_use]
    pub fn read(&self) -> Option<T> {
        self.0.unread.store(false, Ordering::Release);
        *self.lock()
    }
}

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for Latest<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_value_wins_and_the_lost_one_is_counted() {
        let slot = Latest::new();
        assert_eq!(slot.read(), None);
        slot.put(1);
        slot.put(2);
        assert_eq!((slot.read(), slot.read(), slot.overwritten(), slot.sequence()), (Some(2), Some(2), 1, 2));
        slot.put(3);
        assert_eq!((slot.take(), slot.take(), slot.overwritten()), (Some(3), None, 1));
    }

    #[test]
    fn a_panic_while_holding_a_clone_leaves_the_slot_usable() {
        let slot = Latest::new();
        let clone = slot.clone();
        let crashed = std::thread::spawn(move || {
            clone.put(7);
            panic!("stage crashes");
        });
        assert!(crashed.join().is_err());
        assert_eq!(slot.read(), Some(7));
    }
}
