//! Files that are whole or not there, whatever happens to the program or the machine while they are written.
//!
//! ```text
//! replace:  FILE.new, written and synced ─▶ renamed to FILE ─▶ the folder synced
//! append:   a line that the kill of a writer has torn is cut off ─▶ the line ─▶ synced
//! ```

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Puts these bytes in the place of the file: a reader sees the old ones or the new ones. When this returns, the new ones
/// are on the disk.
///
/// # Errors
/// The file system's; then the old bytes are there.
pub(super) fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = beside(file, "new");
    let mut written = File::create(&new)?;
    written.write_all(bytes)?;
    written.sync_all()?;
    std::fs::rename(&new, file)?;
    sync_folder(file)
}

/// Adds a line to a file of lines. When this returns, it is on the disk. One writer at a time: whoever calls holds a lock.
///
/// # Errors
/// The file system's; then the line may be there in part, which the next call cuts off.
pub(super) fn append(file: &Path, line: &str) -> io::Result<()> {
    let is_new = !file.exists();
    let mut it = OpenOptions::new().read(true).append(true).create(true).open(file)?;
    let mut text = Vec::new();
    it.read_to_end(&mut text)?;
    let whole = whole_lines(&text);
    if whole < text.len() {
        it.set_len(whole as u64)?;
        it.seek(SeekFrom::End(0))?;
    }
    it.write_all(format!("{line}\n").as_bytes())?;
    it.sync_all()?;
    if is_new { sync_folder(file) } else { Ok(()) }
}

/// How many of the bytes belong to lines with an end.
pub(super) fn whole_lines(text: &[u8]) -> usize {
    text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1)
}

/// Moves a damaged file out of the way, to the first free `FILE.damaged-N`, and says where it is now. It is never
/// overwritten.
///
/// # Errors
/// The file system's.
pub(super) fn set_aside(file: &Path) -> io::Result<PathBuf> {
    let free = (1..=1000).map(|n| beside(file, &format!("damaged-{n}"))).find(|place| !place.exists());
    let place = free.ok_or_else(|| io::Error::other("a thousand damaged files lie there already"))?;
    std::fs::rename(file, &place)?;
    sync_folder(file)?;
    Ok(place)
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(ending);
    file.with_file_name(name)
}

fn sync_folder(file: &Path) -> io::Result<()> {
    match file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}
