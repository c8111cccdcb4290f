//! The line protocol of `docs/external-plant.md`, on the plant's side.

use std::io::{BufRead, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize};

use crate::choice::Offered;
use crate::error::FmuError;
use crate::plant::UnitPlant;

/// The version of the protocol.
const PROTOCOL: u32 = 1;
/// The longest line.
const LINE_MAX: u64 = 1 << 20;

/// What the rig says.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum Asked {
    Hello {},
    Start { u: Vec<f64>, p: Vec<f64> },
    Step { n: u64, dt_s: f64, u: Vec<f64>, p: Vec<f64> },
    Stop,
}

#[derive(Serialize)]
struct Offer<'a> {
    protocol: u32,
    name: &'a str,
    inputs: Vec<&'a Offered>,
    disturbances: Vec<&'a Offered>,
    outputs: Vec<&'a Offered>,
}

/// An answer to `start` (without `n`) or to `step`. A value that is no finite number becomes `null`.
#[derive(Default, Serialize)]
struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<Vec<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Answer {
    fn of(n: Option<u64>, outcome: Result<Vec<f64>, String>) -> Self {
        match outcome {
            Ok(y) => Self { n, y: Some(y), error: None },
            Err(why) => Self { n, y: None, error: Some(why) },
        }
    }
}

/// Answers line by line until `stop` or the end of `from`.
///
/// # Errors
/// [`FmuError::Pipe`]: nobody reads, or a line is longer than the protocol allows.
pub(crate) fn serve(
    name: &str,
    plant: &mut UnitPlant,
    mut from: impl BufRead,
    mut to: impl Write,
) -> Result<(), FmuError> {
    loop {
        let mut line = Vec::new();
        from.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            let too_long = line.len() as u64 == LINE_MAX;
            let why = format!("a line is longer than {LINE_MAX} bytes");
            return if too_long { Err(std::io::Error::other(why).into()) } else { Ok(()) };
        }
        let mut answer = match serde_json::from_slice(&line) {
            Ok(Asked::Stop) => return Ok(()),
            Ok(Asked::Hello {}) => serde_json::to_vec(&offer(name, plant)),
            Ok(Asked::Start { u, p }) => {
                serde_json::to_vec(&Answer::of(None, guarded(plant, |plant| plant.start(&u, &p))))
            }
            Ok(Asked::Step { n, dt_s, u, p }) => {
                serde_json::to_vec(&Answer::of(Some(n), guarded(plant, |plant| plant.step(dt_s, &u, &p))))
            }
            Err(error) => {
                let said: String = String::from_utf8_lossy(&line).trim_end().chars().take(80).collect();
                let why = format!("asked {said:?}, expected hello, start, step or stop: {error}");
                serde_json::to_vec(&Answer { error: Some(why), ..Answer::default() })
            }
        }
        .map_err(std::io::Error::other)?;
        answer.push(b'\n');
        to.write_all(&answer)?;
        to.flush()?;
    }
}

fn offer<'a>(name: &'a str, plant: &'a UnitPlant) -> Offer<'a> {
    let choice = plant.choice();
    let [inputs, disturbances, outputs] =
        [&choice.inputs, &choice.disturbances, &choice.outputs].map(|list| list.iter().map(|c| &c.offered).collect());
    Offer { protocol: PROTOCOL, name, inputs, disturbances, outputs }
}

/// The crate `fmi` panics where a library lacks a function or answers with a status of its own; that is a refusal too.
fn guarded<T>(plant: &mut UnitPlant, call: impl FnOnce(&mut UnitPlant) -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(|| call(plant))).unwrap_or_else(|_| {
        let why = "the unit breaks the standard; standard error says how";
        plant.refuse(why, true);
        Err(why.to_owned())
    })
}
