//! `outrigger simulate`: one run or a sweep of seeds, told in words or as JSON.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use actors::kernel::{Clock, Unwitnessed};
use actors::tape::Tape;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rig::RigConfig;

use super::{Outcome, Simulation, stand_in, sweep};
use crate::config::load;
use crate::journal::{Header, Journal, Settings};

/// How to simulate.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// The plant file.
    pub plant: PathBuf,
    /// How much plant time to run.
    #[arg(long, default_value_t = 24.0, value_parser = hours)]
    pub hours: f64,
    /// The seed of noise, set-points, feed and upsets: the same seed, the same run, bit for bit.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Run so many seeds, from the given one on, on all cores.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
    /// Plant and DCS from a file of the rig; without it, the plant file's own model at its nominal start.
    #[arg(long, value_name = "FILE")]
    pub rig: Option<PathBuf>,
    /// Crash stages, and make the link lose, delay, refuse and freeze, by the seed.
    #[arg(long)]
    pub upsets: bool,
    /// Write the journal of the run here, for `outrigger replay`; of one seed only.
    #[arg(long, value_name = "FILE", conflicts_with = "seeds")]
    pub journal: Option<PathBuf>,
    /// Print one JSON object per run.
    #[arg(long)]
    pub json: bool,
}

/// The longest run, in hours: a year.
const HOURS_MAX: f64 = 8760.0;

fn hours(text: &str) -> Result<f64, String> {
    let hours: f64 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    let expected = format!("expected hours above 0, up to {HOURS_MAX}");
    (hours > 0.0 && hours <= HOURS_MAX).then_some(hours).ok_or(expected)
}

/// Simulates, tells, and ends in failure when an output was invalid or a loop gave up.
///
/// # Errors
/// A file with faults, a rig of another plant, a loop that cannot be wired.
pub fn perform(args: &SimulateArgs) -> anyhow::Result<ExitCode> {
    let loaded = load(&args.plant)?;
    let rig = match &args.rig {
        Some(file) => RigConfig::load(file)?,
        None => stand_in(&loaded.plant)?,
    };
    let duration = Duration::from_secs_f64(args.hours * 3600.0);
    let simulation = Simulation::new(loaded.plant.clone(), rig, duration, args.upsets)?;
    if args.seeds > 1 {
        return many(&simulation, args);
    }
    // In virtual time nobody is late: a full ring is waited for, and nothing is lost.
    let settings = Settings { waits: true, ..Settings::default() };
    let begin = |file: &PathBuf| -> anyhow::Result<Journal> {
        Ok(Journal::create(file, &Header::of(&loaded, args.seed)?, settings)?)
    };
    one(&simulation, args, args.journal.as_ref().map(begin).transpose()?)
}

fn one(simulation: &Simulation, args: &SimulateArgs, journal: Option<Journal>) -> anyhow::Result<ExitCode> {
    let tape = journal.as_ref().map_or_else(|| Arc::new(Unwitnessed) as Arc<dyn Tape>, Journal::tape);
    let (clock, bar) = (Clock::wall(1.0), bar(simulation.duration.as_secs(), "{bar:40} {percent} % of the plant time"));
    let mut shown = 0;
    let outcome = simulation.run(args.seed, tape, &mut |passed| {
        if passed.as_secs() >= shown + 60 {
            shown = passed.as_secs();
            bar.set_position(shown);
        }
    })?;
    bar.finish_and_clear();
    let ended = outcome.ended.as_deref().unwrap_or_default();
    if let Some(why) = journal.and_then(|journal| journal.close_as(Some((outcome.cycles, ended))).stopped()) {
        anyhow::bail!("the journal is not whole: {why}");
    }
    let wall_s = clock.wall_ns() as f64 * 1e-9;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", json(&outcome, wall_s)?)?;
    } else {
        write!(out, "{}", in_words(&outcome, wall_s))?;
    }
    Ok(verdict(outcome.is_valid() && outcome.ended.is_none()))
}

fn many(simulation: &Simulation, args: &SimulateArgs) -> anyhow::Result<ExitCode> {
    let (clock, bar) = (Clock::wall(1.0), bar(args.seeds, "{bar:40} {pos} of {len} seeds"));
    let (mut valid, mut last_ns, mut failed) = (0, 0, None);
    sweep(simulation, args.seed, args.seeds, |outcome| {
        valid += u64::from(outcome.is_valid() && outcome.ended.is_none());
        let wall_s = (clock.wall_ns() - last_ns) as f64 * 1e-9;
        last_ns = clock.wall_ns();
        let line = if args.json { json(&outcome, wall_s) } else { Ok(in_a_line(&outcome)) };
        let written = line.and_then(|line| Ok(bar.suspend(|| writeln!(std::io::stdout(), "{line}"))?));
        failed = failed.take().or(written.err());
        bar.inc(1);
    })?;
    bar.finish_and_clear();
    if let Some(error) = failed {
        return Err(error);
    }
    if !args.json {
        let wall_s = clock.wall_ns() as f64 * 1e-9;
        writeln!(std::io::stdout(), "{valid} of {} seeds without a fault, {wall_s:.1} s of wall time", args.seeds)?;
    }
    Ok(verdict(valid == args.seeds))
}

fn verdict(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A bar for a person who watches; elsewhere none.
fn bar(length: u64, template: &str) -> ProgressBar {
    let watched = std::io::stderr().is_terminal();
    let target = if watched { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template(&format!("{template}, {{elapsed}} gone, {{eta}} to go"));
    ProgressBar::with_draw_target(Some(length), target)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn json(outcome: &Outcome, wall_s: f64) -> anyhow::Result<String> {
    let mut value = serde_json::to_value(outcome)?;
    if let Some(object) = value.as_object_mut() {
        object.insert("valid".to_owned(), outcome.is_valid().into());
        object.insert("wall_s".to_owned(), wall_s.into());
    }
    Ok(value.to_string())
}

fn fault(outcome: &Outcome) -> Option<String> {
    let invalid = (!outcome.is_valid()).then(|| {
        let Outcome { invalid, writes_while_not_on, refused_writes, .. } = outcome;
        format!("INVALID: {invalid:?}, {writes_while_not_on} writes while not ON, refused {refused_writes:?}")
    });
    invalid.or_else(|| outcome.ended.as_ref().map(|why| format!("ENDED: {why}")))
}

fn in_a_line(o: &Outcome) -> String {
    let crashes = o.upsets.map_or(0, |u| u.crashes);
    let verdict = fault(o).unwrap_or_else(|| "valid".to_owned());
    let active = o.states_pct.get("Active").copied().unwrap_or(0.0);
    let sheds = o.operator.sheds;
    format!("seed {} {} | {crashes} crashes, {sheds} sheds, {active:.1} % active | {verdict}", o.seed, o.hash)
}

fn in_words(o: &Outcome, wall_s: f64) -> String {
    let states: Vec<String> = o.states_pct.iter().map(|(state, pct)| format!("{state} {pct:.2} %")).collect();
    let s = &o.operator;
    let mut lines = vec![
        format!("seed {}, {:.2} h of plant time in {wall_s:.1} s", o.seed, o.t_s / 3600.0),
        format!("hash {}", o.hash),
        format!("{} cycles, {} moves, {} stages made anew", o.cycles, o.moves, o.restarts),
        format!("cost {:.6}, with the inputs held {:.6}", o.cost, o.cost_hold),
        format!("greatest limit violation {:.3} % of range", o.max_limit_violation_pct),
        format!("states: {}", states.join(", ")),
        format!(
            "operator: closed the loop {} times, saw it shed {} times; {} set-points and {} disturbances moved, {} commands refused",
            s.engagements, s.sheds, s.setpoints, s.disturbances, s.refused
        ),
    ];
    lines.extend(o.advice.as_ref().filter(|a| a.offered > 0).map(|a| {
        format!(
            "recommendations: {} offered, {} accepted, {} expired, {} superseded, {} withdrawn; {} of {} proposals would have violated a bound",
            a.offered, a.accepted, a.expired, a.superseded, a.withdrawn, a.would_have_violated, a.proposals
        )
    }));
    lines.extend(o.upsets.map(|u| {
        format!(
            "upsets: {} crashes; link frozen {} times, late {}, a tag lost {}, writes failing {}",
            u.crashes, u.frozen, u.late, u.lost, u.failing
        )
    }));
    lines.push(
        fault(o)
            .unwrap_or_else(|| "valid: every move inside clamp and rate, in time, and by the DCS's leave".to_owned()),
    );
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_that_are_none_are_refused() {
        for bad in ["0", "-1", "nan", "inf", "1e9", "day"] {
            assert!(hours(bad).is_err(), "{bad}");
        }
        assert!(hours("0.1").is_ok());
    }
}
