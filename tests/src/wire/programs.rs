//! Where the two programs are: beside the test executable, built if they are not there or older than their sources.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

const NAMES: [&str; 2] = ["outrigger", "outrigger-hil"];

/// The folder with both programs.
pub(super) fn folder() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = BUILT.get_or_init(|| find().map_err(|error| format!("{error:#}")));
    found.clone().map_err(anyhow::Error::msg)
}

fn find() -> Result<PathBuf> {
    // A test lies in <target>/<profile>/deps.
    let test = std::env::current_exe().context("where is this test?")?;
    let folder = test.parent().and_then(Path::parent).context("a test lies in <target>/<profile>/deps")?;
    if NAMES.iter().all(|name| fresh(&folder.join(name))) {
        return Ok(folder.to_owned());
    }
    build(folder)?;
    let missing: Vec<_> = NAMES.into_iter().filter(|name| !folder.join(name).is_file()).collect();
    if missing.is_empty() {
        Ok(folder.to_owned())
    } else {
        bail!("not in {}: {}", folder.display(), missing.join(", "))
    }
}

/// Whether the program is there and no source that cargo noted beside it is newer. Without the note (an unpacked test
/// archive) the program counts as it is.
fn fresh(program: &Path) -> bool {
    let changed = |path: &Path| path.metadata().and_then(|m| m.modified()).ok();
    let Some(built) = changed(program) else { return false };
    let Ok(note) = std::fs::read_to_string(program.with_extension("d")) else { return true };
    let sources = note.split_once(": ").map_or("", |(_, sources)| sources);
    // A space in a path is escaped; such a path is not found, and the build that follows is no harm.
    sources.split_whitespace().all(|source| changed(Path::new(source)).is_some_and(|at| at <= built))
}

/// Cargo's own lock keeps tests that do this at the same time apart.
fn build(folder: &Path) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--package", "runtime", "--package", "hil", "--bins", "--profile", profile]);
    if let Some(target) = folder.parent() {
        command.arg("--target-dir").arg(target);
    }
    let output = command.current_dir(crate::repo("")).output().context("cargo cannot be started")?;
    if output.status.success() {
        return Ok(());
    }
    bail!("the programs cannot be built:\n{}", String::from_utf8_lossy(&output.stderr))
}
