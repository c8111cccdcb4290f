//! A plant outside this program: a process on standard input and output, or a peer over TCP, that speaks a line
//! protocol (`docs/external-plant.md`).
//!
//! Place in the loop: behind the rig's seam [`rig::Plant`]. One line of JSON is asked and one is answered; each answer
//! bears the number of its step, so a late one is told from the one that is waited for.
//!
//! # Invariants
//! - Nothing waits longer than the time-out: once a plant is late, later steps only look whether it has caught up, and the
//!   time that it owes is added to its next step. A program that does not end by itself is given half a second more.
//! - A plant that has ended stays ended: it is not started again behind the back of whoever runs the rig.
//! - Whatever a plant says, the answer is numbers or a [`PlantFault`], never a panic; a line is bounded in length.

mod link;
mod response;

use std::path::Path;
use std::time::Duration;

use rig::{ConfigError, Offer, Plant, PlantFault, Rig, RigConfig, RigError};
use serde::{Deserialize, Serialize};

use link::{Heard, Link};
pub use response::{StepResponse, describe, step_responses};

/// The version of the protocol.
pub const PROTOCOL: u32 = 1;

/// Where the plant is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A program, its arguments behind it; it is started, and spoken to on its standard input and output.
    Program(Vec<String>),
    /// `host:port`; it is connected to.
    Address(String),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Program(words) => f.write_str(&words.join(" ")),
            Self::Address(address) => f.write_str(address),
        }
    }
}

/// A plant that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ExternalError {
    /// The program cannot be started.
    #[error("cannot start `{place}`: {source}")]
    Start {
        /// The program.
        place: Place,
        /// Why.
        source: std::io::Error,
    },
    /// Nobody listens there.
    #[error("cannot connect to `{place}`: {source}")]
    Connect {
        /// The address.
        place: Place,
        /// Why.
        source: std::io::Error,
    },
    /// It does not speak the protocol.
    #[error("`{place}`: {source}")]
    Greeting {
        /// Where.
        place: Place,
        /// What it did.
        source: PlantFault,
    },
    /// The plant file cannot be used with it.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The rig cannot be built around it.
    #[error(transparent)]
    Rig(#[from] RigError),
}

/// What the rig says.
#[derive(Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum Say<'a> {
    Hello { protocol: u32 },
    Start { u: &'a [f64], p: &'a [f64] },
    Step { n: u64, dt_s: f64, u: &'a [f64], p: &'a [f64] },
    Stop,
}

/// What a plant answers to `start` (step 0) and to `step`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    #[serde(default)]
    n: u64,
    #[serde(default)]
    y: Vec<Option<f64>>,
    error: Option<String>,
}

/// A plant outside, greeted.
#[derive(Debug)]
pub struct ExternalPlant {
    link: Link,
    offer: Offer,
    time_out: Duration,
    /// The newest step that was asked for.
    n: u64,
    /// Whether its answer is still to come.
    waiting: bool,
    /// Plant time that no step has carried yet.
    owed_s: f64,
}

fn fault(why: impl Into<String>) -> PlantFault {
    PlantFault { why: why.into() }
}

impl ExternalPlant {
    /// Starts or connects to the plant and asks what it has.
    ///
    /// # Errors
    /// [`ExternalError`]; a program that was started is ended again.
    pub fn greet(place: &Place, time_out: Duration) -> Result<Self, ExternalError> {
        let mut link = Link::open(place, time_out)?;
        let greeting = |source| ExternalError::Greeting { place: place.clone(), source };
        let offer = offered(&mut link, time_out).map_err(greeting)?;
        Ok(Self { link, offer, time_out, n: 0, waiting: false, owed_s: 0.0 })
    }

    /// What it has.
    #[must_use]
    pub fn offer(&self) -> &Offer {
        &self.offer
    }

    /// The answer to step `self.n`, waited for until the time-out, or only looked for.
    fn answer(&mut self, wait: bool, y: &mut [f64]) -> Result<(), PlantFault> {
        let heard = if wait { self.link.hear(self.time_out) } else { self.link.look() };
        let line = match heard {
            Heard::Line(line) => line,
            Heard::Nothing => return Err(fault(self.late())),
            Heard::End(why) => return Err(fault(why)),
        };
        let answer = understood(&line)?;
        if answer.n != self.n {
            return Err(fault(format!("answered step {} when asked for step {}", answer.n, self.n)));
        }
        self.waiting = false;
        numbers(answer, y)
    }

    fn late(&self) -> String {
        format!("no answer to step {} within {} s", self.n, self.time_out.as_secs_f64())
    }

    fn ask(&mut self, say: &Say<'_>, y: &mut [f64]) -> Result<(), PlantFault> {
        self.link.say(say)?;
        self.waiting = true;
        self.answer(true, y)
    }
}

impl Plant for ExternalPlant {
    fn start(&mut self, u: &[f64], p: &[f64], y: &mut [f64]) -> Result<(), PlantFault> {
        (self.n, self.owed_s) = (0, 0.0);
        self.ask(&Say::Start { u, p }, y)
    }

    fn step(&mut self, u: &[f64], p: &[f64], dt_s: f64, y: &mut [f64]) -> Result<(), PlantFault> {
        self.owed_s += dt_s;
        if self.waiting {
            // Numbers of a moment that is gone: they show that it lives, and the next step brings it to the present.
            self.answer(false, y)?;
        }
        self.n += 1;
        let dt_s = std::mem::take(&mut self.owed_s);
        self.ask(&Say::Step { n: self.n, dt_s, u, p }, y)
    }
}

/// The plant's answer to the greeting.
fn offered(link: &mut Link, time_out: Duration) -> Result<Offer, PlantFault> {
    link.say(&Say::Hello { protocol: PROTOCOL })?;
    let line = match link.hear(time_out) {
        Heard::Line(line) => line,
        Heard::Nothing => return Err(fault(format!("no answer to `hello` within {} s", time_out.as_secs_f64()))),
        Heard::End(why) => return Err(fault(why)),
    };
    let offer: Offer = serde_json::from_str(&line).map_err(|e| fault(format!("`hello` was answered {line:?}: {e}")))?;
    if offer.protocol != PROTOCOL {
        return Err(fault(format!("speaks protocol {}, expected {PROTOCOL}", offer.protocol)));
    }
    Ok(offer)
}

fn understood(line: &str) -> Result<Answer, PlantFault> {
    serde_json::from_str(line).map_err(|error| {
        let shown: String = line.chars().take(80).collect();
        fault(format!("said {shown:?}, expected {{\"n\":…,\"y\":[…]}}: {error}"))
    })
}

/// The numbers of an answer; `null` is a NaN, which is no number to anybody behind it.
fn numbers(answer: Answer, y: &mut [f64]) -> Result<(), PlantFault> {
    if let Some(error) = answer.error {
        return Err(fault(format!("it says: {error}")));
    }
    if answer.y.len() != y.len() {
        return Err(fault(format!("answered {} outputs, expected {}", answer.y.len(), y.len())));
    }
    y.iter_mut().zip(answer.y).for_each(|(slot, value)| *slot = value.unwrap_or(f64::NAN));
    Ok(())
}

/// A rig of this plant file, whose `model` is `external`, around the plant at `place`.
///
/// # Errors
/// [`ExternalError`]: the plant cannot be had, or the file does not fit it.
pub fn rig_around(file: &Path, seed: u64, place: &Place, time_out: Duration) -> Result<Rig, ExternalError> {
    let plant = ExternalPlant::greet(place, time_out)?;
    let greeting = |source| ExternalError::Greeting { place: place.clone(), source };
    let card = plant.offer().card().map_err(greeting)?;
    let config = RigConfig::load_with(file, Some(card))?;
    Ok(Rig::with_plant(config, seed, Box::new(plant))?)
}

#[cfg(test)]
mod tests;
