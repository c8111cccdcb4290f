//! `cargo xtask hil`: the standard campaigns of the rig, built in release and run.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};

/// Run the standard hardware-in-the-loop campaign: every fault at the rig, each with its negative control.
#[derive(Debug, Args)]
pub(crate) struct HilArgs {
    /// Print one JSON object on standard output.
    #[arg(long)]
    json: bool,
    /// `ci`: the campaigns of all plants under virtual time. Without it, the standard campaign of the reactor alone. `wall`: the
    /// campaign on the wall's clock, against the program.
    #[arg(long, value_enum)]
    subset: Option<Subset>,
    /// Write the report of the campaign into this folder.
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Subset {
    Ci,
    Wall,
}

/// What a campaign came to, as `outrigger-hil` counts it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Count {
    scenarios: u64,
    faults: u64,
    passed: u64,
    failed: u64,
    negative_controls: u64,
    negative_failed_as_expected: u64,
    seconds: f64,
}

impl Count {
    /// Several campaigns as one; of the kinds of faults, those of the richest.
    fn with(self, other: Self) -> Self {
        Self {
            scenarios: self.scenarios + other.scenarios,
            faults: self.faults.max(other.faults),
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            negative_controls: self.negative_controls + other.negative_controls,
            negative_failed_as_expected: self.negative_failed_as_expected + other.negative_failed_as_expected,
            seconds: self.seconds + other.seconds,
        }
    }

    fn is_good(&self) -> bool {
        self.scenarios > 0 && self.failed == 0 && self.negative_failed_as_expected == self.negative_controls
    }
}

pub(crate) fn run(args: &HilArgs) -> Result<bool> {
    let root = crate::root()?;
    let campaigns: &[&str] = match args.subset {
        None => &["cstr"],
        Some(Subset::Ci) => &["cstr", "cstr2", "quadtank"],
        Some(Subset::Wall) => &["cstr-wall"],
    };
    let mut build = Command::new(crate::cargo());
    build.args(["build", "--release", "--quiet", "--locked", "--package", "runtime", "--package", "hil", "--bins"]);
    if !build.current_dir(&root).status().context("cargo cannot be started")?.success() {
        bail!("the programs cannot be built");
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let mut sum = Count::default();
    for campaign in campaigns {
        eprintln!("    outrigger-hil run hil/campaigns/{campaign}");
        let mut command = Command::new(target.join("release/outrigger-hil"));
        command.arg("run").arg(root.join("hil/campaigns").join(campaign)).arg("--json");
        if let Some(report) = &args.report {
            command.arg("--report").arg(report.join(campaign));
        }
        let out = command.current_dir(&root).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        sum = sum.with(read(&out.context("outrigger-hil cannot be started")?.stdout)?);
    }
    if args.json {
        println!("{}", serde_json::to_string(&sum)?);
    } else {
        println!(
            "{} scenarios with {} kinds of faults: {} passed, {} failed; {} of {} negative controls failed as they must; {:.0} s",
            sum.scenarios,
            sum.faults,
            sum.passed,
            sum.failed,
            sum.negative_failed_as_expected,
            sum.negative_controls,
            sum.seconds
        );
    }
    Ok(sum.is_good())
}

fn read(stdout: &[u8]) -> Result<Count> {
    serde_json::from_slice(stdout).context("outrigger-hil printed something else than a count")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(failed: u64, controls_failed: u64) -> Count {
        Count {
            scenarios: 2,
            faults: 2,
            passed: 2 - failed,
            failed,
            negative_controls: 2,
            negative_failed_as_expected: controls_failed,
            seconds: 1.0,
        }
    }

    #[test]
    fn a_campaign_is_good_only_if_all_passed_and_all_controls_failed() {
        assert!(count(0, 2).is_good());
        for bad in [count(1, 2), count(0, 1), Count::default()] {
            assert!(!bad.is_good(), "{bad:?}");
        }
        assert!(!count(0, 2).with(count(1, 2)).is_good());
        assert!(read(b"").is_err() && read(b"{}").is_err());
    }
}
