//! `cargo mutants` over `safety`: every change that it can think of must make a test fail. What it looks at, and which
//! mutants are equivalent, stands in `.cargo/mutants.toml`.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// What became of the mutants that compile.
#[derive(Debug, Deserialize)]
pub(super) struct Mutants {
    pub(super) caught: u64,
    pub(super) missed: u64,
    pub(super) timeout: u64,
}

/// Runs it; `None` where it is not installed.
pub(super) fn run(root: &Path) -> Result<Option<Mutants>> {
    let cargo = crate::cargo();
    let mut version = Command::new(&cargo);
    version.args(["mutants", "--version"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if !version.status().is_ok_and(|status| status.success()) {
        eprintln!("    cargo-mutants is missing: no mutant is tried (cargo install cargo-mutants --locked)");
        return Ok(None);
    }
    let out = root.join("target/mutants");
    std::fs::create_dir_all(&out).with_context(|| format!("{} cannot be made", out.display()))?;
    let mut command = Command::new(&cargo);
    let jobs = std::thread::available_parallelism().map_or(1, usize::from).min(8).to_string();
    command.args(["mutants", "--package", "safety", "--no-shuffle", "--jobs", &jobs, "--output"]).arg(&out);
    // The tests of one mutant take a second either way; optimised, it takes three times as long to build.
    command.env("CARGO_PROFILE_DEV_OPT_LEVEL", "0").env("CARGO_PROFILE_DEV_DEBUG", "false");
    let status = command.current_dir(root).stdin(Stdio::null()).stdout(std::io::stderr()).status();
    let status = status.context("cargo cannot be started")?;
    // 0: all caught; 2: some missed; 3: some timed out. Anything else is no run.
    if !matches!(status.code(), Some(0 | 2 | 3)) {
        bail!("cargo mutants: {status}");
    }
    let outcomes = out.join("mutants.out/outcomes.json");
    let text = std::fs::read_to_string(&outcomes).with_context(|| format!("{}", outcomes.display()))?;
    Ok(Some(serde_json::from_str(&text).with_context(|| format!("{}", outcomes.display()))?))
}
