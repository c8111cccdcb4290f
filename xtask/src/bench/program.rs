//! `outrigger-bench` as a child: built in release, run, its one JSON object read.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;

use super::rows::Report;
use super::{EffortArgs, RunArgs};

/// Runs the benchmark problems.
pub(super) fn mpc(root: &Path, args: &RunArgs, traces: bool) -> Result<Report> {
    let mut list = vec!["mpc".to_owned()];
    if let Some(filter) = &args.filter {
        list.extend(["--filter".to_owned(), filter.clone()]);
    }
    if traces {
        list.push("--traces".to_owned());
    }
    list.extend(effort(args.effort));
    run(root, &list)
}

/// Runs the sequence of a file.
pub(super) fn qp(root: &Path, file: &Path, how: EffortArgs) -> Result<Report> {
    // The child runs in the root, the file is named from where the person stands.
    let file = std::path::absolute(file).with_context(|| format!("{}", file.display()))?;
    let mut list = vec!["qp".to_owned(), file.display().to_string()];
    list.extend(effort(how));
    run(root, &list)
}

/// Arguments that ask for the effort.
fn effort(effort: EffortArgs) -> Vec<String> {
    let mut list = Vec::new();
    if effort.quick {
        list.push("--quick".to_owned());
    }
    if let Some(reps) = effort.reps {
        list.extend(["--reps".to_owned(), reps.to_string()]);
    }
    list
}

/// Builds and runs; progress passes through on standard error.
pub(super) fn run<R: DeserializeOwned>(root: &Path, args: &[String]) -> Result<R> {
    eprintln!("bench: cargo build --release -p bench");
    let out = Command::new(crate::cargo())
        .args(["run", "--release", "--quiet", "--locked", "--package", "bench", "--bin", "outrigger-bench", "--"])
        .args(args)
        .current_dir(root)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cargo cannot be started")?;
    if !out.status.success() {
        bail!("outrigger-bench: {}", out.status);
    }
    read(&out.stdout)
}

/// The report in what the program printed.
fn read<R: DeserializeOwned>(stdout: &[u8]) -> Result<R> {
    serde_json::from_slice(stdout).context("outrigger-bench printed something else than a report")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_report_is_an_error_and_not_an_empty_table() {
        for text in ["", "{}", "[]", "{\"rows\": 3}"] {
            assert!(read::<Report>(text.as_bytes()).is_err(), "{text}");
        }
        assert!(read::<Report>(b"{\"rows\": []}").is_ok());
    }

    #[test]
    fn effort_is_passed_on() {
        assert_eq!(effort(EffortArgs { quick: true, reps: Some(3) }), ["--quick", "--reps", "3"]);
        assert!(effort(EffortArgs { quick: false, reps: None }).is_empty());
    }
}
