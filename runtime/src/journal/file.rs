//! The journal thread: from the ring into the file.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use actors::tape::Tape;
use rtrb::{Consumer, RingBuffer};

use super::JournalError;
use super::header::{Header, MAGIC};
use super::tape::{Recorder, WhenFull};

/// How often the thread looks into the ring.
const POLL: Duration = Duration::from_millis(20);
/// So much is gathered before it is written.
const WRITE_AT: usize = 256 * 1024;

/// How a journal is kept.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long a record may wait until it is on the disk (`fdatasync`).
    pub sync: Duration,
    /// The file does not grow beyond this; then journalling stops.
    pub limit_bytes: u64,
    /// What may wait for the journal thread.
    pub ring_bytes: usize,
    /// Whether the loop waits for the journal thread instead of losing records: for virtual time only.
    pub waits: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { sync: Duration::from_secs(1), limit_bytes: 4 << 30, ring_bytes: 4 << 20, waits: false }
    }
}

/// How a journal is doing. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct JournalStatus(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    bytes: AtomicU64,
    blocks: AtomicU64,
    lost: AtomicU64,
    stopped: AtomicBool,
    why: Mutex<Option<String>>,
}

impl JournalStatus {
    /// Bytes in the file.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Blocks in the file.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.0.blocks.load(Ordering::Relaxed)
    }

    /// Blocks that the ring could not take.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }

    /// Why nothing is written any more; `None` while all is well.
    #[must_use]
    pub fn stopped(&self) -> Option<String> {
        self.0.why.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::Acquire)
    }

    pub(super) fn count_lost(&self) {
        self.0.lost.fetch_add(1, Ordering::Relaxed);
    }

    fn stop(&self, why: String) {
        tracing::error!(%why, "journalling stopped; the loop goes on without");
        *self.0.why.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        self.0.stopped.store(true, Ordering::Release);
    }
}

/// A journal that is being written.
#[derive(Debug)]
pub struct Journal {
    recorder: Arc<Recorder>,
    status: JournalStatus,
    closing: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Journal {
    /// Makes the file and begins to write.
    ///
    /// # Errors
    /// [`JournalError::File`] when the file exists (a journal is never overwritten) or cannot be made.
    pub fn create(file: &Path, header: &Header, settings: Settings) -> Result<Self, JournalError> {
        let made = OpenOptions::new().write(true).create_new(true).open(file).and_then(|open| {
            let journal = Self::on(open, header, settings)?;
            Ok(journal)
        });
        made.map_err(|source| JournalError::File { file: file.to_owned(), source })
    }

    /// Begins to write on an open file.
    ///
    /// # Errors
    /// The system's, when there is no thread for it. What the file does not take stops the journal and is told by its status.
    pub fn on(file: File, header: &Header, settings: Settings) -> std::io::Result<Self> {
        let (producer, ring) = RingBuffer::new(settings.ring_bytes);
        let (status, closing) = (JournalStatus::default(), Arc::new(AtomicBool::new(false)));
        let when_full = if settings.waits { WhenFull::Wait } else { WhenFull::Lose };
        let recorder = Recorder::new(header.shape, producer, when_full, status.clone());
        let mut writer =
            Writer { file, ring, out: Vec::new(), block: Vec::new(), dirty: false, status: status.clone() };
        writer.out.extend_from_slice(&MAGIC);
        writer.block.extend_from_slice(&header.encode());
        writer.seal();
        let ends = Arc::clone(&closing);
        let body = move || writer.run(settings, &ends);
        let thread = std::thread::Builder::new().name("outrigger-journal".to_owned()).spawn(body)?;
        Ok(Self { recorder, status, closing, thread })
    }

    /// What the loop is to be given.
    #[must_use]
    pub fn tape(&self) -> Arc<dyn Tape> {
        Arc::clone(&self.recorder) as Arc<dyn Tape>
    }

    /// How the journal is doing.
    #[must_use]
    pub fn status(&self) -> JournalStatus {
        self.status.clone()
    }

    /// Whether anybody still has the tape: then the loop has not ended, or was left behind.
    #[must_use]
    pub fn is_held(&self) -> bool {
        Arc::strong_count(&self.recorder) > 1
    }

    /// Ends the journal, once the loop was asked to stop and has ended after so many cycles, and waits until all of it is on
    /// the disk. Gives its last status.
    #[must_use]
    pub fn close(self, cycles: u64) -> JournalStatus {
        self.close_as(Some((cycles, "")))
    }

    /// As [`Self::close`], with another last word: the cycles, and what ended the run, empty when it was asked to stop. `None`
    /// where the loop was left behind, perhaps within a step: then the file has no last word, and nothing more is recorded.
    #[must_use]
    pub fn close_as(self, last_word: Option<(u64, &str)>) -> JournalStatus {
        self.recorder.end(last_word, &|| !self.thread.is_finished());
        self.closing.store(true, Ordering::Release);
        self.thread.thread().unpark();
        if self.thread.join().is_err() {
            self.status.stop("the journal thread panicked".to_owned());
        }
        self.status
    }
}

struct Writer {
    file: File,
    ring: Consumer<u8>,
    /// Sealed blocks that are not written yet.
    out: Vec<u8>,
    /// The block at hand.
    block: Vec<u8>,
    /// Whether something was written since the last sync.
    dirty: bool,
    status: JournalStatus,
}

impl Writer {
    fn run(mut self, settings: Settings, closing: &AtomicBool) {
        let polls = (settings.sync.as_millis() / POLL.as_millis()).max(1);
        for poll in 1_u128.. {
            let last = closing.load(Ordering::Acquire);
            if let Err(why) = self.turn(last || poll % polls == 0, settings.limit_bytes) {
                self.status.stop(why);
                return;
            }
            if last {
                return;
            }
            std::thread::park_timeout(POLL);
        }
    }

    /// Writes what has come, and puts it on the disk if `sync` is due.
    fn turn(&mut self, sync: bool, limit: u64) -> Result<(), String> {
        loop {
            let more = self.next_block();
            if more {
                self.seal();
            }
            if self.out.len() >= WRITE_AT || (!more && !self.out.is_empty()) {
                if self.status.bytes() + self.out.len() as u64 > limit {
                    return Err(format!("its limit of {limit} bytes is reached"));
                }
                self.file.write_all(&self.out).map_err(|e| format!("cannot write: {e}"))?;
                self.status.0.bytes.fetch_add(self.out.len() as u64, Ordering::Relaxed);
                self.out.clear();
                self.dirty = true;
            }
            if !more {
                break;
            }
        }
        if sync && self.dirty {
            self.file.sync_data().map_err(|e| format!("cannot sync: {e}"))?;
            self.dirty = false;
        }
        Ok(())
    }

    /// Takes the next block out of the ring; the control thread puts only whole ones.
    fn next_block(&mut self) -> bool {
        let mut length = [0; 4];
        if !self.take(&mut length) {
            return false;
        }
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(0);
        self.block.resize(length, 0);
        let mut block = std::mem::take(&mut self.block);
        let whole = self.take(&mut block);
        self.block = block;
        whole
    }

    fn take(&mut self, to: &mut [u8]) -> bool {
        let Ok(chunk) = self.ring.read_chunk(to.len()) else { return false };
        let (first, second) = chunk.as_slices();
        to.iter_mut().zip(first.iter().chain(second)).for_each(|(to, from)| *to = *from);
        chunk.commit_all();
        true
    }

    /// The block with its length and checksum goes out.
    fn seal(&mut self) {
        let length = u32::try_from(self.block.len()).unwrap_or(u32::MAX);
        self.out.extend_from_slice(&length.to_le_bytes());
        self.out.extend_from_slice(&checksum(length, &self.block).to_le_bytes());
        self.out.extend_from_slice(&self.block);
        self.status.0.blocks.fetch_add(1, Ordering::Relaxed);
    }
}

/// The checksum of a block: over its length, as it stands in the file, and its payload.
pub(super) fn checksum(length: u32, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}
