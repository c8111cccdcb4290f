//! The file of the latch.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use safety::Latch;

use super::{StateError, at, durable};

/// The file of a loop's latch.
#[derive(Clone, Debug)]
pub struct LatchFile(PathBuf);

impl LatchFile {
    /// The one in this folder.
    #[must_use]
    pub fn of(folder: &Path) -> Self {
        Self(folder.join("latch.json"))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// What is kept; `None` where nothing was.
    ///
    /// # Errors
    /// [`StateError::Damaged`] with the line, or the file system's.
    pub fn read(&self) -> Result<Option<Latch>, StateError> {
        let bytes = match std::fs::read(&self.0) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            read => read.map_err(at(&self.0))?,
        };
        let latch = serde_json::from_slice(&bytes);
        latch.map(Some).map_err(|e| StateError::Damaged { file: self.0.clone(), line: e.line(), why: e.to_string() })
    }

    /// Keeps a latch. When this returns it is on the disk.
    ///
    /// # Errors
    /// The file system's; then what was kept before is there.
    pub fn write(&self, latch: &Latch) -> Result<(), StateError> {
        let text = serde_json::to_string_pretty(latch).map_err(|e| at(&self.0)(e.into()))?;
        durable::replace(&self.0, format!("{text}\n").as_bytes()).map_err(at(&self.0))
    }
}
