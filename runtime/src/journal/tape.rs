//! The control thread's side of a journal.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actors::kernel::{Act, Witness};
use actors::tape::{Entry, Tape};
use rtrb::Producer;

use super::file::JournalStatus;
use super::record::Encoder;
use super::rows::Shape;

/// A block is closed at each beat, and within a beat when it is as long as this.
const BLOCK_FULL: usize = 32 * 1024;
/// Room for a full block and any one record more.
const BLOCK_ROOM: usize = 2 * BLOCK_FULL;

/// What a full ring does to the control thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WhenFull {
    /// The block is lost.
    Lose,
    /// The thread waits: for runs in virtual time, where nobody is late.
    Wait,
}

/// Makes blocks of what it is told. Only the control thread tells it anything while the loop runs, so its lock is never
/// waited for.
#[derive(Debug)]
pub(super) struct Recorder(Mutex<Recording>);

#[derive(Debug)]
struct Recording {
    encoder: Encoder,
    block: Vec<u8>,
    ring: Producer<u8>,
    when_full: WhenFull,
    /// Blocks lost since the last that went through.
    lost: u64,
    /// Whether the open block says so.
    said: bool,
    /// The last word is said.
    ended: bool,
    status: JournalStatus,
}

impl Recorder {
    pub(super) fn new(shape: Shape, ring: Producer<u8>, when_full: WhenFull, status: JournalStatus) -> Arc<Self> {
        let (encoder, block) = (Encoder::new(shape), Vec::with_capacity(BLOCK_ROOM));
        Arc::new(Self(Mutex::new(Recording {
            encoder,
            block,
            ring,
            when_full,
            lost: 0,
            said: false,
            ended: false,
            status,
        })))
    }

    /// Closes the last block, and with a last word the run: after so many cycles, by what. A gap before it is said. The run
    /// is over, so this waits for room as long as `drained` says that somebody makes it.
    pub(super) fn end(&self, last_word: Option<(u64, &str)>, drained: &dyn Fn() -> bool) {
        let mut it = self.lock();
        it.close_block(drained);
        if let Some((cycles, why)) = last_word {
            it.say_gap();
            Encoder::end(cycles, why, &mut it.block);
            it.close_block(drained);
        }
        it.ended = true;
    }

    fn lock(&self) -> MutexGuard<'_, Recording> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recording {
    /// Whether a record can be taken; after a loss, only once there is room again, and then the gap is said first.
    fn is_open(&mut self) -> bool {
        if self.ended || self.status.is_stopped() {
            return false;
        }
        if self.lost > 0 && !self.said {
            if self.ring.slots() < BLOCK_ROOM.min(self.ring.buffer().capacity() / 2) {
                return false;
            }
            self.say_gap();
        }
        true
    }

    /// Says in the open block what was lost before it, if anything was.
    fn say_gap(&mut self) {
        if self.lost > 0 && !self.said {
            self.encoder.gap(self.lost, &mut self.block);
            self.said = true;
        }
    }

    /// Hands the block to the journal thread; a full ring is waited for where that is the rule.
    fn pass_block(&mut self) {
        let waits = self.when_full == WhenFull::Wait;
        self.close_block(&|| waits);
    }

    /// Hands the block to the journal thread, or loses it once `waits` says no.
    fn close_block(&mut self, waits: &dyn Fn() -> bool) {
        if self.block.is_empty() {
            return;
        }
        let length = u32::try_from(self.block.len()).unwrap_or(u32::MAX).to_le_bytes();
        let total = length.len() + self.block.len();
        let fits = total <= self.ring.buffer().capacity();
        while fits && self.ring.slots() < total && !self.status.is_stopped() && waits() {
            std::thread::sleep(Duration::from_millis(1));
        }
        match self.ring.write_chunk(total) {
            Ok(mut chunk) => {
                let (first, second) = chunk.as_mut_slices();
                let bytes = length.iter().chain(&self.block);
                first.iter_mut().chain(second).zip(bytes).for_each(|(slot, byte)| *slot = *byte);
                chunk.commit_all();
                if self.said {
                    self.lost = 0;
                }
            }
            Err(_too_full) => {
                self.lost += 1;
                self.status.count_lost();
            }
        }
        self.said = false;
        self.block.clear();
    }
}

impl Witness for Recorder {
    fn act(&self, act: Act) {
        let it = &mut *self.lock();
        if it.is_open() {
            it.encoder.act(act, &mut it.block);
        }
    }
}

impl Tape for Recorder {
    fn note(&self, entry: Entry<'_>) {
        let it = &mut *self.lock();
        if matches!(entry, Entry::Beat { .. }) || it.block.len() > BLOCK_FULL {
            it.pass_block();
        }
        if it.is_open() {
            it.encoder.entry(entry, &mut it.block);
        } else if matches!(entry, Entry::Beat { .. }) && it.lost > 0 {
            it.lost += 1;
            it.status.count_lost();
        }
    }
}
