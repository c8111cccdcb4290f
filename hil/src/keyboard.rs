//! The operator's hand, the plant's whims and the rig's own faults, by the time of a scenario: what is typed at the rig,
//! whatever the clock and whoever the device.

use std::time::Duration;

use rig::Rig;
use runtime::config::Mode;

use crate::faults::{Fault, HostFault, Timed};
use crate::record::{Record, Said};
use crate::scenario::{Guard, Line, Off, Scenario};

/// What is still to be typed.
#[derive(Debug)]
pub struct Keyboard<'a> {
    scenario: &'a Scenario,
    off: Option<&'a Guard>,
    /// The next last.
    lines: Vec<Line>,
}

/// The way in, by how far the loop goes: what is typed, and after how many periods.
fn way_in(scenario: &Scenario) -> &'static [(u32, &'static str)] {
    match (scenario.way_in, scenario.mode) {
        (false, _) => &[],
        (true, Mode::Shadow) => &[(2, "mode off"), (4, "mode warm")],
        (true, Mode::Advisory) => &[(2, "mode off"), (4, "mode warm"), (8, "mode advisory")],
        (true, Mode::ClosedLoop) => &[(2, "mode off"), (4, "mode warm"), (8, "mode on"), (10, "engage")],
    }
}

impl<'a> Keyboard<'a> {
    /// The way in, and the scenario's lines; with that guard switched off, where it is the operator.
    #[must_use]
    pub fn new(scenario: &'a Scenario, off: Option<&'a Guard>, period: Duration) -> Self {
        let typed = |(at, line): &(u32, &str)| Line {
            at: period * *at,
            line: (*line).to_owned(),
            refused: false,
            disturbance: false,
        };
        let helps = |line: &&Line| line.disturbance || off != Some(&Guard::Other(Off::Operator));
        let scenarios = scenario.lines.iter().filter(helps).cloned();
        let mut lines: Vec<Line> = way_in(scenario).iter().map(typed).chain(scenarios).collect();
        lines.sort_by_key(|line| line.at);
        lines.reverse();
        Self { scenario, off, lines }
    }

    fn is_off(&self, off: Off) -> bool {
        self.off == Some(&Guard::Other(off))
    }

    /// Does what falls due in the scan that ends at `now`, and notes what was typed.
    pub fn at_the_rig(&mut self, now: Duration, rig: &mut Rig, record: &mut Record) {
        while let Some(line) = self.lines.pop_if(|line| line.at <= now) {
            let refused = rig.command(&line.line).err().map(|e| e.to_string());
            let as_wanted = refused.is_some() == line.refused;
            record.said.push(Said { t_s: now.as_secs_f64(), line: line.line, refused, as_wanted });
        }
        let acts = |timed: &&Timed| timed.acts(now);
        let watchdog_is_off = |timed: &Timed| timed.fault == Fault::Host(HostFault::DcsWatchdogOff);
        if self.is_off(Off::DcsWatchdog) || self.scenario.faults.iter().filter(acts).any(watchdog_is_off) {
            // Nobody refuses it.
            let _ = rig.command("rearm");
        }
        let scan = rig.config().scan;
        for timed in &self.scenario.faults {
            let begins = timed.acts(now) && timed.at + scan > now;
            let ends = timed.until.is_some_and(|until| now >= until && until + scan > now);
            match &timed.fault {
                // Whether the rig takes it was found when the scenario was read.
                Fault::AtTheRig(words) if begins => drop(rig.command(&format!("fault {} {words}", timed.on))),
                Fault::AtTheRig(_) if ends => drop(rig.command(&format!("fault {} off", timed.on))),
                Fault::Host(HostFault::DeviceRestart) if begins => {
                    for mv in 1..=rig.config().mvs.len() {
                        // A slave that is in AUTO already stays there.
                        let _ = rig.command(&format!("slave MV{mv} auto"));
                    }
                }
                _ => {}
            }
        }
        if self.is_off(Off::Latch) {
            self.engage_again(now, rig);
        }
    }

    /// A DCS that takes the application back in by itself, whatever it let go for.
    fn engage_again(&self, now: Duration, rig: &mut Rig) {
        let scan = rig.config().scan;
        let line_at = |at: Duration| {
            let periods = at.as_secs_f64() / rig.config().period.as_secs_f64();
            [(0.0, "rearm"), (2.0, "mode off"), (4.0, "mode warm"), (7.0, "mode on"), (9.0, "engage")]
                .into_iter()
                .rev()
                .find(|(from, _)| periods % 12.0 >= *from)
                .map(|(_, line)| line)
        };
        let (line, before) = (line_at(now), line_at(now.saturating_sub(scan)));
        let is_out = now >= self.scenario.onset() && rig.view().lease.value == 0;
        if let Some(line) = line.filter(|line| is_out && before != Some(*line)) {
            // What comes too early is refused, and comes again.
            let _ = rig.command(line);
        }
    }
}
