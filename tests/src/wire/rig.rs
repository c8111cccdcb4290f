//! The rig as a child: its events, and the operator's keyboard.

use std::io::Write;
use std::process::{ChildStdin, Command};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{Child, Heard, LIMIT};

/// How often the hand-over may be begun.
const ENGAGE_TRIES: u32 = 4;

/// A running `outrigger-hil plant`, or another program that says and understands the same.
#[derive(Debug)]
pub struct RigProcess {
    /// The URL of its server.
    pub endpoint: String,
    /// Its log.
    pub log: Heard<String>,
    events: Heard<Value>,
    keyboard: Mutex<ChildStdin>,
    child: Child,
}

impl RigProcess {
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        let mut child = Child::spawn("outrigger-hil", command)?;
        let events = Heard::listen(child.output()?, |line| serde_json::from_str(&line).unwrap_or(Value::String(line)));
        let log = Heard::listen(child.errors()?, |line| line);
        let keyboard = Mutex::new(child.keyboard()?);
        let ready = events.wait("the rig is ready", 0, LIMIT, |events| of_kind(events, "ready").next().cloned());
        let ready = ready.with_context(|| format!("log: {:#?}", log.all()))?;
        let endpoint = ready["endpoint"].as_str().context("no endpoint")?.to_owned();
        Ok(Self { endpoint, log, events, keyboard, child })
    }

    /// Types a line at the operator's keyboard and waits until it is carried out.
    ///
    /// # Errors
    /// When the rig refuses it, or does not answer.
    pub fn command(&self, line: &str) -> Result<()> {
        let from = self.events.len();
        let mut keyboard = self.keyboard.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(keyboard, "{line}").and_then(|()| keyboard.flush()).context("the rig does not read any more")?;
        drop(keyboard);
        let ack = self
            .events
            .wait(line, from, LIMIT, |events| of_kind(events, "ack").find(|ack| ack["command"] == line).cloned())?;
        if ack["ok"] == true { Ok(()) } else { bail!("refused: {line}: {}", ack["error"]) }
    }

    /// The records of the next `n` control periods.
    ///
    /// # Errors
    /// When they do not come.
    pub fn cycles(&self, n: usize) -> Result<Vec<Value>> {
        self.events.wait("control periods", self.events.len(), LIMIT * 2, |events| {
            let cycles: Vec<_> = of_kind(events, "cycle").take(n).cloned().collect();
            (cycles.len() == n).then_some(cycles)
        })
    }

    /// The first record from now on for which `holds`.
    ///
    /// # Errors
    /// When there is none in time.
    pub fn cycle(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Result<Value> {
        self.events
            .wait(what, self.events.len(), LIMIT, |events| of_kind(events, "cycle").find(|cycle| holds(cycle)).cloned())
    }

    /// Every record so far.
    #[must_use]
    pub fn history(&self) -> Vec<Value> {
        of_kind(&self.events.all(), "cycle").cloned().collect()
    }

    /// Waits until the application says that it is in `mode`.
    ///
    /// # Errors
    /// When it does not in time.
    pub fn shows(&self, mode: &str) -> Result<Value> {
        self.cycle(&format!("MODE_ACT {mode}"), |cycle| cycle["mode_act"] == mode)
    }

    /// The operator's way into closed loop: OFF for two periods, WARM, ON, and when the loop is armed, the hand-over.
    ///
    /// # Errors
    /// When the loop is not ON after a few tries.
    pub fn engage(&self) -> Result<Value> {
        let try_once = || -> Result<Value> {
            self.command("mode off")?;
            if self.cycles(2)?.iter().any(|cycle| cycle["wd_ok"] == false) {
                self.command("rearm")?;
            }
            for (line, mode) in [("mode warm", "WARM"), ("mode on", "INIT"), ("engage", "ON")] {
                self.command(line)?;
                let soon = |cycles: &[Value]| cycles.iter().find(|cycle| cycle["mode_act"] == mode).cloned();
                let Some(shown) = soon(&self.cycles(4)?) else { bail!("no {mode} within four periods of {line}") };
                if mode == "ON" {
                    return Ok(shown);
                }
            }
            bail!("the hand-over has no end")
        };
        let mut last = None;
        for _ in 0..ENGAGE_TRIES {
            match try_once() {
                Ok(cycle) => return Ok(cycle),
                Err(error) => last = Some(error),
            }
        }
        Err(last.context("not tried")?.context("the loop does not engage"))
    }

    /// Ends the run; gives its summary.
    ///
    /// # Errors
    /// When there is none.
    pub fn quit(mut self) -> Result<Value> {
        self.command("quit")?;
        let summary = |events: &[Value]| of_kind(events, "summary").next().cloned();
        let summary = self.events.wait("the summary", 0, LIMIT, summary)?;
        self.child.ended(LIMIT)?;
        Ok(summary)
    }
}

fn of_kind<'a>(events: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    events.iter().filter(move |event| event["event"] == kind)
}
