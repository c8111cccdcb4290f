//! Many loops in one process: each the small reactor with its own MPC, its own control thread and solver, on the wall's
//! clock. How late are their moves, does anything grow, and what does a fault in one do to the others?
//!
//! ```text
//! field thread: 50 plants with their DCS, stepped and carried across every T/20
//! loop k: control thread ─ keeper ─ solver      (k = 0, 1, 2 … 49; begun T/50 one after the other)
//! ```
//!
//! Two phases of equal length in one run, compared on the same loops. In the first all are well. In the second one loop's
//! estimator crashes again and again, one loop's estimator does not return, and one loop's solver never returns; the
//! others are the measured ones in both.

mod config;
mod fault;
mod plants;
mod site;

use std::time::Duration;

use actors::kernel::panics::Panics;
use anyhow::{Context, Result, bail};
use safety::State;
use serde::Serialize;

use plants::Plants;

/// Loops with a fault in the second phase; they are the first ones.
const FAULTY: usize = 3;
/// Periods in which every loop engages and the process finds its size.
const WARM_UP: u32 = 30;

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many loops, more than the faulty ones.
    pub loops: usize,
    /// The control period of each.
    pub period: Duration,
    /// Length of each of the two phases, in periods.
    pub periods: u32,
    /// All loops on one control thread: the negative control. A stage that does not return takes all of them.
    pub one_thread: bool,
}

/// The measured loops in one phase, pooled.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// `loops/` and their number.
    pub name: String,
    /// `idle`, or `faults` while there are faults in other loops.
    pub load: &'static str,
    /// Moves.
    pub n: usize,
    /// From the opening of a cycle to the hand-over of its move, µs.
    pub p50_us: f64,
    /// 99th percentile, µs.
    pub p99_us: f64,
    /// 99.9th percentile, µs.
    pub p999_us: f64,
    /// The longest, µs.
    pub max_us: f64,
    /// Beats that were dropped.
    pub overruns: u64,
    /// Cycles that were opened.
    pub cycles: u64,
    /// Growth of the process's resident memory over the phase, KiB.
    pub rss_growth_kib: i64,
    /// Measured loops that are closed at its end.
    pub engaged: usize,
}

/// What became of a loop with a fault.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Faulty {
    /// Its fault.
    pub fault: &'static str,
    /// The state of its interlock at the end.
    pub state: String,
    /// Restarts of its stages.
    pub restarts: u64,
    /// Solvers that were replaced.
    pub solvers_replaced: u64,
    /// Threads of solvers that hang at the end.
    pub solvers_hung: usize,
}

/// What a run has shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// One row per phase.
    pub rows: Vec<Row>,
    /// The loops that are not measured.
    pub faulty: Vec<Faulty>,
}

/// Runs both phases; `tell` is told how it goes.
///
/// # Errors
/// A loop that cannot be wired, a thread that cannot be had, or no memory statistics.
pub fn run(options: &Options, tell: &dyn Fn(&str)) -> Result<Report> {
    if options.loops <= FAULTY {
        bail!("{} loops are too few: the first {FAULTY} have faults and are not measured", options.loops);
    }
    let panics = Panics::hook();
    let plants = Plants::start(options)?;
    tell(&format!("{} loops; warming up", options.loops));
    std::thread::sleep(options.period * WARM_UP);
    let mut rows = vec![phase("idle", &plants, options)?];
    tell("idle phase done; faults from now on");
    let faults = plants.begin_faults(options.period)?;
    rows.push(phase("faults", &plants, options)?);
    let names = ["estimator crashes", "estimator hangs", "solver hangs"];
    let faulty = names.into_iter().zip(&plants.loops).map(|(fault, running)| running.report(fault)).collect();
    faults.end();
    plants.stop()?;
    panics.drain().for_each(|panicked| tell(&format!("{panicked:?}")));
    Ok(Report { rows, faulty })
}

/// Lets a phase pass and measures the loops without faults.
fn phase(load: &'static str, plants: &Plants, options: &Options) -> Result<Row> {
    let well = plants.loops.get(FAULTY..).unwrap_or_default();
    let overruns = || well.iter().map(|l| l.telemetry.overruns()).sum::<u64>();
    let cycles = || well.iter().map(|l| l.telemetry.cycles()).sum::<u64>();
    well.iter().for_each(|l| drop(l.meter.take()));
    let (overruns_before, cycles_before, rss_before) = (overruns(), cycles(), rss_kib()?);
    std::thread::sleep(options.period * options.periods);
    let mut us: Vec<f64> = well.iter().flat_map(|l| l.meter.take()).map(|ns| ns as f64 * 1e-3).collect();
    us.sort_by(f64::total_cmp);
    let at = |share: f64| us.get(((us.len() as f64 * share) as usize).min(us.len().saturating_sub(1))).copied();
    let [p50_us, p99_us, p999_us, max_us] = [0.5, 0.99, 0.999, 1.0].map(|share| at(share).unwrap_or(f64::NAN));
    Ok(Row {
        name: format!("loops/{}", options.loops),
        load,
        n: us.len(),
        p50_us,
        p99_us,
        p999_us,
        max_us,
        overruns: overruns() - overruns_before,
        cycles: cycles() - cycles_before,
        rss_growth_kib: rss_kib()? - rss_before,
        engaged: well.iter().filter(|l| l.state().is_some_and(State::is_engaged)).count(),
    })
}

/// Resident memory of this process, KiB.
fn rss_kib() -> Result<i64> {
    let status = std::fs::read_to_string("/proc/self/status").context("no memory statistics")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    line.trim().trim_end_matches(" kB").parse().context("VmRSS is no number")
}
