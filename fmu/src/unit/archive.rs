//! A unit's file: a ZIP archive with a description, libraries for some machines, and resources.

use std::fs::File;
use std::path::Path;

use super::Unpacked;
use crate::description::Description;
use crate::error::FmuError;

/// Unpacks `file` into a folder of its own, which goes when `Unpacked::outer` is dropped.
///
/// # Errors
/// [`FmuError`]: it cannot be read, is no archive, or its description cannot be used.
pub(super) fn unpack(file: &Path) -> Result<Unpacked, FmuError> {
    let name = file.display().to_string();
    let read = |source| FmuError::Read { file: name.clone(), source };
    let archive = |why: String| FmuError::Archive { file: name.clone(), why };
    let mut zip = zip::ZipArchive::new(File::open(file).map_err(read)?).map_err(|e| archive(e.to_string()))?;
    let outer = tempfile::Builder::new().prefix("outrigger-fmu-").tempdir().map_err(read)?;
    let folder = tempfile::tempdir_in(outer.path()).map_err(read)?;
    zip.extract(folder.path()).map_err(|e| archive(e.to_string()))?;
    let xml = std::fs::read_to_string(folder.path().join("modelDescription.xml"))
        .map_err(|e| archive(format!("modelDescription.xml: {e}")))?;
    let description = Description::read(&name, &xml)?;
    Ok(Unpacked { file: name, description, folder, outer })
}

/// Whether the library `expected` is among what was unpacked; if not, which machines there are.
///
/// # Errors
/// [`FmuError::Binary`].
pub(super) fn has_binary(file: &str, folder: &Path, expected: &Path) -> Result<(), FmuError> {
    if folder.join(expected).is_file() {
        return Ok(());
    }
    let names = std::fs::read_dir(folder.join("binaries")).into_iter().flatten().flatten();
    let mut found: Vec<String> = names.map(|entry| format!("`{}`", entry.file_name().to_string_lossy())).collect();
    found.sort();
    let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
    Err(FmuError::Binary { file: file.to_owned(), expected: expected.display().to_string(), found })
}
