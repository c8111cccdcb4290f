//! What a loop keeps over restarts of the program, in a folder of its own.
//!
//! | file | what | written |
//! |---|---|---|
//! | `latch.json` | the interlock's first-out | when it changes |
//! | `bypass.jsonl` | the audit trail of bypasses, which is the book of them | by `outrigger bypass`, a line for each act |
//! | `spent.json` | up to when the lives of bypasses are spent | ahead, while one is in force |
//! | `trips/NNNNNN.jsonl` | a first-out with what came before it | once for each trip or shed |
//! | `run.lock`, `bypass.lock` | nothing; locked by a run, and by a writer of the trail | |
//!
//! The control thread only puts into slots. A thread ([`Keeper`]) takes from them, writes, and tells the loop which bypasses
//! are in force.
//!
//! # Invariants
//! - A file is replaced whole and synced, or a line is added and synced, before anybody is told that it is kept.
//! - A file that cannot be understood is told with its line, set aside and never overwritten. The loop starts all the same:
//!   tripped, as always, and without what cannot be read, which is the safe side.
//! - One run to a folder, one writer of the trail at a time.

pub mod account;
pub mod command;
mod durable;
mod keeper;
mod latch;
mod trail;
mod trips;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use actors::kernel::utc_now;
use safety::Latch;
use safety::bypass::{Calendar, Names};

use crate::config::PlantFile;

pub use keeper::{BypassStatus, Keeper, KeeperStatus};
pub use latch::LatchFile;
pub use trail::{Acted, Trail};

/// A state that cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file system.
    #[error("state {}: {source}", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file cannot be understood.
    #[error("{}:{line}: {why}", .file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        why: String,
    },
    /// Another run has the folder.
    #[error("state {}: another run of the loop has it", .0.display())]
    Held(PathBuf),
}

/// Makes a [`StateError`] of a file system's.
fn at(file: &Path) -> impl FnOnce(std::io::Error) -> StateError + use<> {
    let file = file.to_owned();
    move |source| StateError::File { file, source }
}

/// The folder of a loop's state where none is named: `state/` and the loop's name.
#[must_use]
pub fn usual_folder(loop_name: &str) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' };
    Path::new("state").join(loop_name.chars().map(plain).collect::<String>())
}

/// The names of a plant file's tags and MVs, by the interlock's numbers.
#[must_use]
pub fn names(plant: &PlantFile) -> Names {
    Names { tags: crate::metrics::tag_names(plant), mvs: plant.mvs.iter().map(|mv| mv.tag.name.clone()).collect() }
}

/// What the calendar says; `None` when it says a time that cannot be.
#[must_use]
pub fn calendar() -> Option<Calendar> {
    let since = utc_now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok().map(Calendar)
}

/// The moment as people write it.
#[must_use]
pub fn date(at: Calendar) -> String {
    let date = chrono::DateTime::from_timestamp_millis(at.0);
    date.map_or_else(|| "?".to_owned(), |date| date.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
}

/// The state of a loop, locked for this run.
#[derive(Debug)]
pub struct StateFolder {
    folder: PathBuf,
    latch: Latch,
    /// Held as long as this lives.
    _lock: File,
}

impl StateFolder {
    /// Takes the folder, makes it if it is not there, and reads the latch. A latch that cannot be understood is set aside
    /// and said.
    ///
    /// # Errors
    /// [`StateError::Held`], or the file system's.
    pub fn take(folder: &Path) -> Result<Self, StateError> {
        std::fs::create_dir_all(folder.join(trips::FOLDER)).map_err(at(folder))?;
        let lock = locked(&folder.join("run.lock"), false)?.ok_or_else(|| StateError::Held(folder.to_owned()))?;
        let file = LatchFile::of(folder);
        let latch = match file.read() {
            Ok(latch) => latch.unwrap_or_default(),
            Err(damaged @ StateError::Damaged { .. }) => {
                let aside = durable::set_aside(file.path()).map_err(at(file.path()))?;
                let aside = aside.display();
                tracing::error!(%damaged, %aside, "the latch is damaged and set aside; the first-out of the run before is lost");
                Latch::default()
            }
            Err(other) => return Err(other),
        };
        Ok(Self { folder: folder.to_owned(), latch, _lock: lock })
    }

    /// What the run before has left latched.
    #[must_use]
    pub fn latch(&self) -> Latch {
        self.latch
    }
}

/// The file, locked; `None` when another has it and we do not wait.
fn locked(file: &Path, wait: bool) -> Result<Option<File>, StateError> {
    let lock = File::options().write(true).create(true).truncate(false).open(file).map_err(at(file))?;
    if wait {
        lock.lock().map_err(at(file))?;
        return Ok(Some(lock));
    }
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(at(file)(source)),
    }
}
