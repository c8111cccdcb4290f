//! The journal of a run: every input with the beat that latched it, every step with its time, every output. From it the run
//! can be done again, bit for bit (`crate::replay`).
//!
//! ```text
//! control thread:  Tape ─▶ block (one beat) ─▶ bounded ring ─▶ journal thread ─▶ file
//! ```
//!
//! | file | what |
//! |---|---|
//! | `bytes` | integers of variable length |
//! | `track` | rows of cells, told by what changed |
//! | `rows` | which cells an image, an answer, a status, a move have |
//! | `bypasses` | which cells a bypass has |
//! | `record` | the records of a run |
//! | `header` | what stands before them |
//! | `tape` | the control thread's side: records into blocks, blocks into the ring |
//! | `file` | the journal thread: blocks with their checksums into the file |
//! | `reader` | back from the file |
//! | `metrics` | what the metrics page says of it |
//!
//! [docs/journal.md](../../../docs/journal.md) is the format.
//!
//! # Invariants
//! - The control thread neither waits for the disk nor allocates: what the ring cannot take is lost, counted, and said in
//!   the file as a gap.
//! - A journal that cannot be written on is stopped and says so; the loop goes on.
//! - A file is never overwritten. What is behind a broken checksum is never read.

mod bypasses;
mod bytes;
mod file;
mod header;
mod metrics;
mod reader;
mod record;
mod rows;
mod tape;
mod track;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use file::{Journal, JournalStatus, Settings};
pub use header::{FORMAT, Header};
pub use reader::{Ending, Reader};
pub use record::Record;
pub use rows::{Kind, Layout, Shape};

/// A journal that cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be made, opened or read.
    #[error("journal {}: {source}", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file does not begin as a journal does.
    #[error("{}: not a journal", .0.display())]
    NotAJournal(PathBuf),
    /// The header is cut off or broken, so that nothing behind it can be understood.
    #[error("{}: the header is damaged", .0.display())]
    NoHeader(PathBuf),
    /// The file is of another format.
    #[error("{}: format {found}, this program reads format {expected}", .file.display())]
    Format {
        /// The file.
        file: PathBuf,
        /// The file's format.
        found: u64,
        /// Ours.
        expected: u64,
    },
}
