//! The bounded queue: for what must not be overwritten.
//!
//! A ring of cells, each with a *turn* that says who may enter it next: the sender of message `n` where the turn is `n`, its
//! receiver where it is `n + 1`. The turns alone keep two threads out of one cell, so the lock in it is always free.

use std::fmt;

use crate::sync::{Arc, AtomicU64, Ordering, RwLock, RwLockWriteGuard, held, spin_loop};

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;

/// A full queue, and the message that found it so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a queue of {capacity} is full")]
pub struct Full<T> {
    /// The message, back with its sender.
    pub message: T,
    /// How many messages the queue holds.
    pub capacity: usize,
}

/// A queue of at most `N` messages, at least 2, for any number of senders and receivers. Its memory is laid out once. A full
/// queue gives the message back and counts it; what is in it outlives whoever receives. Clones share the queue.
///
/// A sender that is suspended within a send holds up the receipt of its own message and of those behind it, until it goes
/// on; other sends go on up to the capacity. A receiver that is suspended within a receipt costs one place.
pub struct Bounded<T, const N: usize>(Arc<Inner<T, N>>);

struct Inner<T, const N: usize> {
    sent: AtomicU64,
    received: AtomicU64,
    rejected: AtomicU64,
    cells: [Cell<T>; N],
}

struct Cell<T> {
    turn: AtomicU64,
    message: RwLock<Option<T>>,
}

impl<T, const N: usize> Bounded<T, N> {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Self {
        const { assert!(N >= 2, "the turns of a single cell cannot be told apart") };
        let cell = |i| Cell { turn: AtomicU64::new(i as u64), message: RwLock::new(None) };
        let zero = || AtomicU64::new(0);
        let cells = std::array::from_fn(cell);
        Self(Arc::new(Inner { sent: zero(), received: zero(), rejected: zero(), cells }))
    }

    /// Appends a message.
    ///
    /// # Errors
    /// [`Full`], with the message; it is counted.
    pub fn try_send(&self, message: T) -> Result<(), Full<T>> {
        let mut at = self.0.sent.load(Ordering::Relaxed);
        loop {
            let cell = self.cell(at);
            let turn = cell.turn.load(Ordering::Acquire);
            if turn < at {
                self.0.rejected.fetch_add(1, Ordering::Relaxed);
                return Err(Full { message, capacity: N });
            }
            if turn > at {
                at = self.0.sent.load(Ordering::Relaxed);
                continue;
            }
            match self.0.sent.compare_exchange_weak(at, at + 1, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    *entered(&cell.message) = Some(message);
                    cell.turn.store(at + 1, Ordering::Release);
                    return Ok(());
                }
                Err(now) => at = now,
            }
        }
    }

    /// The oldest message, if there is one.
    #[must_use]
    pub fn receive(&self) -> Option<T> {
        let mut at = self.0.received.load(Ordering::Relaxed);
        loop {
            let cell = self.cell(at);
            let turn = cell.turn.load(Ordering::Acquire);
            if turn <= at {
                return None;
            }
            if turn > at + 1 {
                at = self.0.received.load(Ordering::Relaxed);
                continue;
            }
            match self.0.received.compare_exchange_weak(at, at + 1, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    let message = entered(&cell.message).take();
                    cell.turn.store(at + N as u64, Ordering::Release);
                    return message;
                }
                Err(now) => at = now,
            }
        }
    }

    /// How many messages were given back.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.0.rejected.load(Ordering::Relaxed)
    }

    /// Whether this is the last clone: nobody else can send any more.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    #[allow(clippy::indexing_slicing, reason = "a remainder by N is below N")]
    fn cell(&self, at: u64) -> &Cell<T> {
        &self.0.cells[(at % N as u64) as usize]
    }
}

/// The message of a cell whose turn is the caller's: nobody else is in it.
fn entered<T>(message: &RwLock<Option<T>>) -> RwLockWriteGuard<'_, Option<T>> {
    loop {
        if let Some(guard) = held(message.try_write()) {
            return guard;
        }
        spin_loop();
    }
}

impl<T, const N: usize> fmt::Debug for Bounded<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { sent, received, rejected, .. } = &*self.0;
        let fields = [("sent", sent), ("received", received), ("rejected", rejected)];
        fields
            .iter()
            .fold(&mut f.debug_struct("Bounded"), |f, (name, count)| f.field(name, count))
            .finish_non_exhaustive()
    }
}

impl<T, const N: usize> Default for Bounded<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, const N: usize> Clone for Bounded<T, N> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
