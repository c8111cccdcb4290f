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
    status: JournalStatus,
}

impl Recorder {
    pub(super) fn new(shape: Shape, ring: Producer<u8>, when_full: WhenFull, status: JournalStatus) -> Arc<Self> {
        let (encoder, block) = (Encoder::new(shape), Vec::with_capacity(BLOCK_ROOM));
        Arc::new(Self(Mutex::new(Recording { encoder, block, ring, when_full, lost: 0, status })))
    }

    /// The last word of the run.
    pub(super) fn end(&self, cycles: u64) {
        let mut it = self.lock();
        if it.is_open() {
            Encoder::end(cycles, &mut it.block);
            it.close_block();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Recording> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recording {
    /// Whether a record can be taken; after a loss, only once there is room again, and then the gap is said first.
    fn is_open(&mut self) -> bool {
        if self.status.is_stopped() {
            return false;
        }
        if self.lost > 0 {
            if self.ring.slots() < BLOCK_ROOM.min(self.ring.buffer().capacity() / 2) {
                return false;
            }
            self.encoder.gap(self.lost, &mut self.block);
            self.lost = 0;
        }
        true
    }

    /// Hands the block to the journal thread, or loses it.
    fn close_block(&mut self) {
        if self.block.is_empty() {
            return;
        }
        let length = u32::try_from(self.block.len()).unwrap_or(u32::MAX).to_le_bytes();
        let total = length.len() + self.block.len();
        while self.when_full == WhenFull::Wait && self.ring.slots() < total && !self.status.is_stopped() {
            std::thread::sleep(Duration::from_millis(1));
        }
        match self.ring.write_chunk(total) {
            Ok(mut chunk) => {
                let (first, second) = chunk.as_mut_slices();
                let bytes = length.iter().chain(&self.block);
                first.iter_mut().chain(second).zip(bytes).for_each(|(slot, byte)| *slot = *byte);
                chunk.commit_all();
            }
            Err(_too_full) => {
                self.lost += 1;
                self.status.count_lost();
            }
        }
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
            it.close_block();
        }
        if it.is_open() {
            it.encoder.entry(entry, &mut it.block);
        } else if matches!(entry, Entry::Beat { .. }) && it.lost > 0 {
            it.lost += 1;
            it.status.count_lost();
        }
    }
}
