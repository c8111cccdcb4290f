//! The faults of instruments and valves that can be put into the rig: small named types with their parameters.
//!
//! Place in the loop: a sensor fault stands between the plant and the words of the DCS, in a transmitter
//! ([`SensorFault`]); an actuator fault between the output of a slave loop and the plant, in a valve
//! ([`ActuatorFault`]). A transmitter or a valve bears one fault at a time; the next one replaces it.
//!
//! A fault is written the same way everywhere: `{ kind = "drift", per_s = 0.01 }` in a scenario, `drift per_s=0.01`
//! at the rig's command line ([`SensorFault::from_words`]); `docs/rig.md` lists them all.
//!
//! Invariants: without a fault nothing here is reached, and a run keeps its bits. Chance comes from a stream of the
//! rig's seed that nothing else draws from, and each fault has its own.

mod actuator;
mod sensor;

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::Value;

pub(crate) use actuator::Valve;
pub use actuator::{
    ActuatorFault, FailClosed, FailInPlace, FailOpen, Hysteresis, Saturation, SlowActuator, Stiction, WrongReadback,
};
pub(crate) use sensor::Sick;
pub use sensor::{
    BadQuality, Bias, Drift, Dropout, NoisySensor, NotANumber, OutOfRange, Quantised, SensorFault, Side, SignFlip,
    SlowSampling, Spike, Status, Stuck, WrongUnit,
};

/// A parameter of a fault that cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{kind}: `{key}` is {value}, expected {expected}")]
pub struct FaultError {
    /// The fault, as it is written.
    pub kind: &'static str,
    /// The parameter.
    pub key: &'static str,
    /// Its value.
    pub value: f64,
    /// What was expected, in words.
    pub expected: &'static str,
}

/// `Ok` when `good`, else the fault of that parameter.
fn expect(
    good: bool,
    kind: &'static str,
    (key, value): (&'static str, f64),
    expected: &'static str,
) -> Result<(), FaultError> {
    if good { Ok(()) } else { Err(FaultError { kind, key, value, expected }) }
}

fn finite(kind: &'static str, of: (&'static str, f64)) -> Result<(), FaultError> {
    expect(of.1.is_finite(), kind, of, "a finite number")
}

fn positive(kind: &'static str, of: (&'static str, f64)) -> Result<(), FaultError> {
    expect(of.1.is_finite() && of.1 > 0.0, kind, of, "a finite number above 0")
}

fn not_negative(kind: &'static str, of: (&'static str, f64)) -> Result<(), FaultError> {
    expect(of.1.is_finite() && of.1 >= 0.0, kind, of, "a finite number, 0 or above")
}

fn probability(kind: &'static str, of: (&'static str, f64)) -> Result<(), FaultError> {
    expect(of.1 > 0.0 && of.1 <= 1.0, kind, of, "a probability above 0 and at most 1")
}

/// A fault from `kind key=value …`: the words become the table that a scenario would hold.
///
/// # Errors
/// What stands against it, in words: no such kind, an unknown or a missing parameter, a value of another type.
fn from_words<T: DeserializeOwned>(words: &[&str]) -> Result<T, String> {
    let (kind, parameters) = words.split_first().ok_or("a fault needs a kind")?;
    let mut table = toml::Table::new();
    table.insert("kind".to_owned(), Value::String((*kind).to_owned()));
    for word in parameters {
        let (key, value) = word.split_once('=').ok_or_else(|| format!("`{word}` is not of the form key=value"))?;
        let value = value.parse::<f64>().map_or_else(|_| Value::String(value.to_owned()), Value::Float);
        if key == "kind" || table.insert(key.to_owned(), value).is_some() {
            return Err(format!("`{key}` is given twice"));
        }
    }
    T::deserialize(Value::Table(table)).map_err(|error| error.message().to_owned())
}

/// The words of a fault, the reverse of [`from_words`].
fn write_words<T: Serialize>(fault: &T, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let table = toml::Table::try_from(fault).map_err(|_| fmt::Error)?;
    f.write_str(table.get("kind").and_then(Value::as_str).unwrap_or_default())?;
    for (key, value) in table.iter().filter(|(key, _)| *key != "kind") {
        match value {
            Value::String(text) => write!(f, " {key}={text}")?,
            Value::Float(number) => write!(f, " {key}={number}")?,
            other => write!(f, " {key}={other}")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
