//! `outrigger-prove` as a child: built in release, run, its one JSON object read. And `cargo fuzz`, where it is installed.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Seconds that `cargo fuzz` runs in the long form.
const FUZZ_SECONDS: u32 = 120;

/// What the model checker found.
#[derive(Debug, Deserialize)]
pub(super) struct Checked {
    pub(super) states: u64,
    pub(super) clean: Vec<Clean>,
    pub(super) seeded: Vec<Seeded>,
}

/// A model without a bug.
#[derive(Debug, Deserialize)]
pub(super) struct Clean {
    counterexamples: Vec<serde_json::Value>,
    missing: Vec<String>,
}

impl Clean {
    /// Nothing is broken, and everything that should happen somewhere did.
    pub(super) fn holds(&self) -> bool {
        self.counterexamples.is_empty() && self.missing.is_empty()
    }
}

/// A seeded bug.
#[derive(Debug, Deserialize)]
pub(super) struct Seeded {
    counterexample: Option<serde_json::Value>,
}

impl Seeded {
    pub(super) fn is_found(&self) -> bool {
        self.counterexample.is_some()
    }
}

/// What the fuzzer found.
#[derive(Debug, Deserialize)]
pub(super) struct Fuzzed {
    pub(super) steps: u64,
    pub(super) unsafe_writes: u64,
    pub(super) engagements: u64,
    pub(super) moves: u64,
}

/// Builds and runs; progress passes through on standard error. A program that says no still says what it found.
pub(super) fn run<R: DeserializeOwned>(root: &Path, args: &[&str]) -> Result<R> {
    eprintln!("    outrigger-prove {}", args.join(" "));
    let out = Command::new(crate::cargo())
        .args(["run", "--release", "--quiet", "--locked", "--package", "proof", "--bin", "outrigger-prove", "--"])
        .args(args)
        .current_dir(root)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cargo cannot be started")?;
    read(&out.stdout)
}

fn read<R: DeserializeOwned>(stdout: &[u8]) -> Result<R> {
    serde_json::from_slice(stdout).context("outrigger-prove printed something else than a report")
}

/// The coverage-guided fuzzer on the same entry, for two minutes. Without sanitizers it runs on the stable compiler: there is
/// no `unsafe` for them to look at. `false` when it found something; where it is not installed, it is said and nothing more.
pub(super) fn cargo_fuzz(root: &Path) -> Result<bool> {
    let cargo = crate::cargo();
    let quiet = |args: &[&str]| {
        let mut command = Command::new(&cargo);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()
    };
    if !quiet(&["fuzz", "--version"]).is_ok_and(|status| status.success()) {
        eprintln!("    cargo-fuzz is missing: only the driver of outrigger-prove has run");
        return Ok(true);
    }
    let seconds = format!("-max_total_time={FUZZ_SECONDS}");
    let args = ["fuzz", "run", "-s", "none", "--fuzz-dir", "proof/fuzz", "step", "--", &seconds, "-max_len=2048"];
    eprintln!("    cargo {}", args.join(" "));
    let status =
        Command::new(&cargo).args(args).current_dir(root).stdin(Stdio::null()).stdout(std::io::stderr()).status();
    Ok(status.context("cargo cannot be started")?.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_report_is_an_error_and_a_missing_milestone_is_no_proof() {
        for text in ["", "{}", "[]"] {
            assert!(read::<Checked>(text.as_bytes()).is_err(), "{text}");
        }
        let text = |missing: &str| {
            format!(
                "{{\"states\": 3, \"clean\": [{{\"counterexamples\": [], \"missing\": [{missing}]}}], \
                 \"seeded\": [{{\"counterexample\": null}}]}}"
            )
        };
        let checked: Checked = read(text("").as_bytes()).unwrap();
        assert!(checked.clean[0].holds() && !checked.seeded[0].is_found());
        let tame: Checked = read(text("\"a loop engages\"").as_bytes()).unwrap();
        assert!(!tame.clean[0].holds());
    }
}
