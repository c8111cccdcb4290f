//! The newest-value slot: an edge of the loop.
//!
//! Eight cells and one word. The word says which cell holds the newest value, how many values were put, whether the newest
//! was read, and which cells are *claimed*: being written, or being emptied. Every decision is one compare-and-swap of that
//! word; the cells are only ever tried, never waited for.
//!
//! ```text
//! put    claim a cell that is not the newest ── write it ── publish: newest, sequence + 1, unread, claim given up
//! read   look at the word ── hold the newest cell ── still the newest? mark it read ── copy
//! take   the word says empty, and the cell is claimed ── move the value out ── give the claim up
//! ```
//!
//! # Invariants
//! - The newest cell of a full slot is never claimed, and a cell is written by its claimant only. So a reader who sees a
//!   cell as the newest after it got hold of it holds the newest value, whole.
//! - The order of the values is the order of their publications. A value is either read, taken, or counted as overwritten,
//!   exactly one of the three (for the newest: or not yet any).

use crate::sync::{Arc, AtomicU64, Ordering, RwLock, RwLockWriteGuard, held, spin_loop, yield_now};

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;

/// Cells of a slot: one for the newest value, and one for each thread that is inside a call at the same moment. Bits of
/// [`Word`] number them.
const CELLS: usize = 8;

/// A slot that holds the newest value of an edge. Writers overwrite, readers copy. Clones share the slot.
///
/// *Lock-free* means here: a thread that is suspended in the middle of any call stops no other thread's `put` or `read`, as
/// long as fewer than eight threads are inside calls of one slot at once (beyond that a `put` yields until one has left). A
/// call tries again only when another call on the same slot got ahead of it meanwhile, so some call always ends; a single
/// call has no bound of its own against writers that never pause. Nothing waits in the operating system.
///
/// The slot adds sequence and count of overwrites. Quality and time are the value's own: what ages carries its time
/// (`Sample::source_time`, `Solved::at`), for only the writer knows when it was true.
///
/// An overwritten value is dropped when its cell is written again, by the writer.
#[derive(Debug)]
pub struct Latest<T>(Arc<Inner<T>>);

#[derive(Debug)]
struct Inner<T> {
    word: AtomicU64,
    overwritten: AtomicU64,
    cells: [RwLock<Option<T>>; CELLS],
}

/// `sequence (51 bits) | unread | full | newest cell (3) | claimed (8)`. 51 bits last 71 years at a million a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Word(u64);

impl Word {
    const CLAIMED: u64 = (1 << CELLS) - 1;
    const CELL_SHIFT: u32 = 8;
    const FULL: u64 = 1 << 11;
    const UNREAD: u64 = 1 << 12;
    const SEQUENCE_SHIFT: u32 = 13;

    fn sequence(self) -> u64 {
        self.0 >> Self::SEQUENCE_SHIFT
    }

    fn is_full(self) -> bool {
        self.0 & Self::FULL != 0
    }

    fn is_unread(self) -> bool {
        self.0 & Self::UNREAD != 0
    }

    /// The cell of the newest value, if the slot is full.
    fn cell(self) -> usize {
        (self.0 >> Self::CELL_SHIFT) as usize % CELLS
    }

    /// The cells that may be claimed, as bits.
    fn free(self) -> u64 {
        let newest = if self.is_full() { bit(self.cell()) } else { 0 };
        Self::CLAIMED & !(self.0 | newest)
    }

    fn claiming(self, cell: usize) -> Self {
        Self(self.0 | bit(cell))
    }

    /// The claimed `cell` made the newest, and its claim given up.
    fn publishing(self, cell: usize) -> Self {
        let claimed = self.0 & Self::CLAIMED & !bit(cell);
        let sequence = (self.sequence() + 1) << Self::SEQUENCE_SHIFT;
        Self(sequence | Self::UNREAD | Self::FULL | (cell as u64) << Self::CELL_SHIFT | claimed)
    }

    fn reading(self) -> Self {
        Self(self.0 & !Self::UNREAD)
    }

    /// Empty, and the cell of the newest claimed.
    fn taking(self) -> Self {
        Self(self.0 & !(Self::UNREAD | Self::FULL) | bit(self.cell()))
    }
}

const fn bit(cell: usize) -> u64 {
    1 << cell
}

impl<T> Latest<T> {
    /// An empty slot.
    #[must_use]
    pub fn new() -> Self {
        let cells = std::array::from_fn(|_| RwLock::new(None));
        Self(Arc::new(Inner { word: AtomicU64::new(0), overwritten: AtomicU64::new(0), cells }))
    }

    /// Makes `value` the newest; what nobody read is counted as overwritten.
    pub fn put(&self, value: T) {
        let (cell, mut guard) = self.claim();
        let replaced = guard.replace(value);
        drop(guard);
        self.publish(cell);
        drop(replaced);
    }

    /// Takes the newest value out: it is got once, by one caller. For values that must not be used twice.
    ///
    /// On a slot that is also read, a take waits for a reader that holds the value at that moment. No slot of the loop is
    /// both; a value that is not `Copy` cannot be read at all.
    #[must_use]
    pub fn take(&self) -> Option<T> {
        let mut seen = self.word(Ordering::Acquire);
        while seen.is_full() {
            match self.exchange(seen, seen.taking()) {
                Ok(()) => return self.empty(seen.cell()),
                Err(now) => seen = now,
            }
        }
        None
    }

    /// How many values were put so far.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.word(Ordering::Acquire).sequence()
    }

    /// How many values were overwritten before anybody read them.
    #[must_use]
    pub fn overwritten(&self) -> u64 {
        self.0.overwritten.load(Ordering::Relaxed)
    }

    /// What `look` says of the newest value and its sequence. The value's cell is held meanwhile: `look` must be short.
    pub(crate) fn with<R>(&self, look: impl FnOnce(u64, &T) -> R) -> Option<R> {
        loop {
            let seen = self.word(Ordering::Acquire);
            if !seen.is_full() {
                return None;
            }
            match held(self.cell(seen.cell()).try_read()) {
                // A writer or a taker is in it: the word has changed.
                None => spin_loop(),
                Some(guard) if self.is_still_newest(seen) => {
                    return guard.as_ref().map(|value| look(seen.sequence(), value));
                }
                Some(_lapped) => {}
            }
        }
    }

    /// Whether the value that was `seen` as the newest is so now, and if so, marks it as read.
    fn is_still_newest(&self, seen: Word) -> bool {
        let mut now = self.word(Ordering::Acquire);
        while now.is_full() && now.sequence() == seen.sequence() {
            if !now.is_unread() {
                return true;
            }
            match self.exchange(now, now.reading()) {
                Ok(()) => return true,
                Err(newer) => now = newer,
            }
        }
        false
    }

    /// A cell that is nobody else's until it is published.
    fn claim(&self) -> (usize, RwLockWriteGuard<'_, Option<T>>) {
        // Cells in which a reader still is, who came when they were the newest.
        let mut lingering = 0;
        let mut seen = self.word(Ordering::Relaxed);
        loop {
            let free = seen.free() & !lingering;
            if free == 0 {
                lingering = 0;
                yield_now();
                seen = self.word(Ordering::Relaxed);
                continue;
            }
            let cell = free.trailing_zeros() as usize;
            match self.exchange(seen, seen.claiming(cell)) {
                Err(now) => seen = now,
                Ok(()) => match held(self.cell(cell).try_write()) {
                    Some(guard) => return (cell, guard),
                    None => {
                        lingering |= bit(cell);
                        seen = self.give_up(cell);
                    }
                },
            }
        }
    }

    fn publish(&self, cell: usize) {
        let mut seen = self.word(Ordering::Relaxed);
        while let Err(now) = self.exchange(seen, seen.publishing(cell)) {
            seen = now;
        }
        if seen.is_unread() {
            self.0.overwritten.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Moves the value out of a cell that this call has claimed, and gives up the claim.
    fn empty(&self, cell: usize) -> Option<T> {
        loop {
            if let Some(mut guard) = held(self.cell(cell).try_write()) {
                let value = guard.take();
                drop(guard);
                self.give_up(cell);
                return value;
            }
            yield_now();
        }
    }

    /// Gives up the claim on a cell; the word after that.
    fn give_up(&self, cell: usize) -> Word {
        Word(self.0.word.fetch_and(!bit(cell), Ordering::AcqRel) & !bit(cell))
    }

    fn word(&self, order: Ordering) -> Word {
        Word(self.0.word.load(order))
    }

    fn exchange(&self, seen: Word, next: Word) -> Result<(), Word> {
        let exchanged = self.0.word.compare_exchange(seen.0, next.0, Ordering::AcqRel, Ordering::Acquire);
        exchanged.map(drop).map_err(Word)
    }

    #[allow(clippy::indexing_slicing, reason = "the caller's cell is below CELLS: three bits, or a bit of eight")]
    fn cell(&self, cell: usize) -> &RwLock<Option<T>> {
        &self.0.cells[cell % CELLS]
    }
}

impl<T: Copy> Latest<T> {
    /// A copy of the newest value, which stays.
    #[must_use]
    pub fn read(&self) -> Option<T> {
        self.with(|_, value| *value)
    }

    /// The same, and the value's sequence: how many values had been put when it was.
    #[must_use]
    pub fn read_with_sequence(&self) -> Option<(u64, T)> {
        self.with(|sequence, value| (sequence, *value))
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
