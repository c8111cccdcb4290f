//! How long a cycle takes, how late it is let go, what a crash and an overload cost: `outrigger-bench latency`.
//!
//! Stands outside the loop and measures its kernel: the slots, doorbells, shells, supervisor and pacer that the loop runs on,
//! with stages that do next to nothing, beside what one would otherwise take. No control is calculated here.
//!
//! ```text
//! load (hogs, messages) ─┐
//! control ── a thread as the loop's, real-time if asked ── cycle · release · crash · overload ── Samples ── Row
//! ```
//!
//! # Invariants
//! - What is compared is measured in the same run, in turns.
//! - Every sample counts: nothing is trimmed, and percentiles are taken from all of them.
//! - The clock is `actors::kernel::Clock`, as in the loop.

mod chain;
mod contestants;
mod control;
mod crash;
mod cycle;
mod load;
mod overload;
mod release;
mod row;

use std::collections::BTreeMap;

use actors::kernel::rt::RealTime;
use anyhow::{Result, bail};
use serde::Serialize;

pub use load::Load;
pub use row::{Row, Samples};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long each measurement takes, s; the overload six times as long.
    pub seconds: u64,
    /// Only measurements of rows whose name contains this.
    pub filter: Option<String>,
    /// Control threads are SCHED_FIFO, pinned, with their memory locked.
    pub rt: Option<RealTime>,
}

/// The measurements of one run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LatencyReport {
    /// One per name and load.
    pub rows: Vec<Row>,
    /// What belongs to the rows and is no latency: the load that was really there, memory, periods.
    pub facts: BTreeMap<String, f64>,
    /// Whether the control threads were real-time threads.
    pub rt: bool,
    /// How they ran.
    pub control: String,
}

/// A run under way.
struct Run<'a> {
    options: &'a Options,
    /// Told what is begun, and what cannot be had.
    say: &'a dyn Fn(&str),
    report: LatencyReport,
}

impl Options {
    fn wants(&self, names: &[&str]) -> bool {
        self.filter.as_ref().is_none_or(|filter| names.iter().any(|name| name.contains(filter.as_str())))
    }
}

/// Runs what the filter leaves. `say` is told of the progress, a line at a time.
///
/// # Errors
/// When a thread, a runtime or a timer cannot be had, when real time is asked for and refused, or when the filter leaves
/// nothing.
pub fn run(options: &Options, say: &dyn Fn(&str)) -> Result<LatencyReport> {
    let (control, rt) = control::granted(options.rt)?;
    let options = &Options { rt, ..options.clone() };
    let report = LatencyReport { rt: rt.is_some(), control, ..LatencyReport::default() };
    let mut run = Run { options, say, report };
    if options.wants(&cycle::NAMES) {
        for load in Load::ALL {
            cycle::measure(&mut run, load)?;
        }
    }
    if options.wants(&release::NAMES) {
        for load in [Load::Idle, Load::Loaded] {
            release::measure(&mut run, load)?;
        }
    }
    if options.wants(&[crash::NAME]) {
        crash::measure(&mut run)?;
    }
    if options.wants(&overload::NAMES) {
        overload::measure(&mut run)?;
    }
    let mut report = run.report;
    report.rows.retain(|row| options.wants(&[row.name.as_str()]));
    if report.rows.is_empty() {
        bail!("no row's name contains {:?}", options.filter.as_deref().unwrap_or(""));
    }
    Ok(report)
}
