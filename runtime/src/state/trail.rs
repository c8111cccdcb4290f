//! The audit trail of bypasses: a line for each act, refused ones too; what was accepted is the book.
//!
//! ```text
//! {"when":"2026-11-28T17:00:00Z","entry":{"at":...,"by":{...},"act":{...},"outcome":...},"crc":3735928559}
//! ```
//! `crc` is the CRC-32 (IEEE) over `when` and the JSON of `entry`: a changed line is damaged. It guards against accidents; against
//! a person with the right to write the file guard the rights of the folder.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use safety::bypass::{Account, Act, BypassBook, Calendar, Entry, Refused};
use serde::{Deserialize, Serialize};

use super::{StateError, at, date, durable, locked};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    when: String,
    entry: Entry,
    crc: u32,
}

impl Line {
    fn of(entry: Entry) -> Result<Self, serde_json::Error> {
        let when = date(entry.at);
        Ok(Self { crc: checksum(&when, &entry)?, when, entry })
    }
}

fn checksum(when: &str, entry: &Entry) -> Result<u32, serde_json::Error> {
    Ok(crc32fast::hash(format!("{when}{}", serde_json::to_string(entry)?).as_bytes()))
}

/// What came of an act, after it was written down.
pub type Acted = Result<(), Refused>;

/// The trail of a loop.
#[derive(Clone, Debug)]
pub struct Trail {
    file: PathBuf,
    lock: PathBuf,
}

impl Trail {
    /// The one in this folder.
    #[must_use]
    pub fn of(folder: &Path) -> Self {
        Self { file: folder.join("bypass.jsonl"), lock: folder.join("bypass.lock") }
    }

    pub(super) fn path(&self) -> &Path {
        &self.file
    }

    /// The book that the lines come to. A last line without its end is the line of a writer that was killed: nobody was
    /// told that it is kept, and it does not count.
    ///
    /// # Errors
    /// [`StateError::Damaged`] with the line, or the file system's.
    pub fn read(&self) -> Result<BypassBook, StateError> {
        let mut book = BypassBook::default();
        let text = match std::fs::read(&self.file) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(book),
            read => read.map_err(at(&self.file))?,
        };
        let whole = text.get(..durable::whole_lines(&text)).unwrap_or_default();
        for (n, line) in whole.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
            let damaged = |why: String| StateError::Damaged { file: self.file.clone(), line: n + 1, why };
            let Line { when, entry, crc } = serde_json::from_slice(line).map_err(|e| damaged(e.to_string()))?;
            if checksum(&when, &entry).ok() != Some(crc) {
                return Err(damaged("the checksum is not that of the line".to_owned()));
            }
            book.take(&entry).map_err(|e| damaged(e.to_string()))?;
        }
        Ok(book)
    }

    /// Does what `act` makes of the book, by `by` at `at`, and writes it down, refused or not. When this returns, the line is on
    /// the disk.
    ///
    /// # Errors
    /// A trail that is damaged or cannot be written: then nothing is done.
    pub fn act(
        &self,
        (by, now): (Account, Calendar),
        act: impl FnOnce(&BypassBook) -> Act,
    ) -> Result<(Act, Acted), StateError> {
        if let Some(folder) = self.file.parent() {
            std::fs::create_dir_all(folder).map_err(at(folder))?;
        }
        let _lock = locked(&self.lock, true)?;
        let mut book = self.read()?;
        let act = act(&book);
        let (entry, acted) = book.write(by, act.clone(), now);
        let line = Line::of(entry).and_then(|line| serde_json::to_string(&line));
        let line = line.map_err(|e| at(&self.file)(e.into()))?;
        durable::append(&self.file, &line).map_err(at(&self.file))?;
        Ok((act, acted))
    }
}
