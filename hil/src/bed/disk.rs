//! A disk that takes nothing, under the journal and the state of a loop in this process.
//!
//! Both are the real ones, on their own threads. The journal's file is `/dev/full`, or was opened for reading only; of the
//! state folder the next file leads to `/dev/full`, or the folder is gone.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use actors::Board;
use actors::kernel::{Act, Clock, Witness};
use actors::tape::{Entry, Tape};
use runtime::config::Loaded;
use runtime::journal::{Header, Journal, Settings};
use runtime::state::{Keeper, StateFolder, names};

use super::BedError;

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    Full,
    Gone,
}

/// The disk of one life.
#[derive(Debug)]
pub(super) struct Disk {
    folder: PathBuf,
    keeper: Keeper,
    journal: Journal,
}

impl Disk {
    pub(super) fn start(broken: Broken, loaded: &Loaded, board: &Board) -> Result<Self, BedError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("outrigger-hil-{}-{number}", std::process::id()));
        let disk = |what: &str, e: std::io::Error| BedError::Disk(format!("{what}: {e}"));
        let file = match broken {
            Broken::Full => OpenOptions::new().write(true).open("/dev/full"),
            Broken::Gone => File::open("/dev/null"),
        };
        let header = Header::of(loaded, 0).map_err(|e| BedError::Disk(e.to_string()))?;
        let file = file.map_err(|e| disk("/dev", e))?;
        let journal = Journal::on(file, &header, Settings::default()).map_err(|e| disk("journal", e))?;
        let state = StateFolder::take(&folder).map_err(|e| BedError::Disk(e.to_string()))?;
        if broken == Broken::Full {
            let next = folder.join("latch.json.new");
            std::os::unix::fs::symlink("/dev/full", next).map_err(|e| disk("state", e))?;
        }
        let keeper = Keeper::start(state, names(&loaded.plant), board.clone(), Clock::of_tokio());
        let keeper = keeper.map_err(|e| BedError::Disk(e.to_string()))?;
        if broken == Broken::Gone {
            std::fs::remove_dir_all(&folder).map_err(|e| disk("state", e))?;
        }
        Ok(Self { folder, keeper, journal })
    }

    pub(super) fn tape(&self) -> Arc<dyn Tape> {
        self.journal.tape()
    }

    /// Ends it; gives what journal and state say of the disk.
    pub(super) fn end(self) -> Vec<String> {
        let status = self.keeper.status();
        self.keeper.end();
        let state = status.fault().map(|why| format!("state: {why}"));
        let journal = self.journal.close_as(None).stopped().map(|why| format!("journal: {why}"));
        // Nobody needs it any more, and it may be gone.
        let _ = std::fs::remove_dir_all(&self.folder);
        state.into_iter().chain(journal).collect()
    }
}

/// The negative control: a loop that writes on its own thread and dies of what the disk does not take.
#[derive(Debug)]
pub(super) struct Direct(Mutex<File>);

impl Direct {
    pub(super) fn start() -> Result<Self, BedError> {
        let file = OpenOptions::new().write(true).open("/dev/full");
        file.map(|file| Self(Mutex::new(file))).map_err(|e| BedError::Disk(format!("/dev/full: {e}")))
    }
}

impl Witness for Direct {
    fn act(&self, _act: Act) {}
}

impl Tape for Direct {
    fn note(&self, entry: Entry<'_>) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let written = file.write_all(b"an entry");
        drop(file);
        if written.is_err() && matches!(entry, Entry::View(_)) {
            std::panic::resume_unwind(Box::new("the disk is full"));
        }
    }
}
