//! What a valve, or any other final element, can do wrong.
//!
//! Positions are in percent of the slave's range: 0 % is closed, 100 % is open. The fault stands before the actuator's
//! own lag; the slave loop measures where the actuator really is, so it works against the fault, as a real one does.

mod stick;
mod travel;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::FaultError;
pub use stick::{Hysteresis, Stiction};
pub use travel::{FailClosed, FailInPlace, FailOpen, Saturation, SlowActuator, WrongReadback};

/// A fault of one actuator.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ActuatorFault {
    /// It sticks, and slips when pushed.
    Stiction(Stiction),
    /// It does not reach the ends of its range.
    Saturation(Saturation),
    /// It stays where it is.
    FailInPlace(FailInPlace),
    /// It opens.
    FailOpen(FailOpen),
    /// It closes.
    FailClosed(FailClosed),
    /// It moves slowly.
    Slow(SlowActuator),
    /// The set-point that the DCS reads back is not the one in use.
    WrongReadback(WrongReadback),
    /// It has play.
    Hysteresis(Hysteresis),
}

/// What a valve remembers, in percent of range.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stem {
    /// Where it was sent last, the fault included.
    pub(super) at_pct: f64,
    /// What the slave demanded last.
    pub(super) demand_pct: f64,
    /// The force that friction held back, as a demand.
    pub(super) held_back_pct: f64,
}

/// What each fault does.
pub(super) trait Impair {
    /// Whether the parameters can be used.
    ///
    /// # Errors
    /// The first that cannot.
    fn check(&self) -> Result<(), FaultError>;

    /// Where the stem goes within `dt_s` seconds when the slave demands `demand_pct`.
    fn travel(&self, demand_pct: f64, stem: &mut Stem, dt_s: f64) -> f64;

    /// What is added to the set-point that is read back, in percent of range.
    fn readback_error_pct(&self) -> f64 {
        0.0
    }
}

impl ActuatorFault {
    /// One of each kind, as it is written at the command line.
    pub const EXAMPLES: [&'static str; 8] = [
        "stiction static_pct=3 kinetic_pct=1",
        "saturation low_pct=10 high_pct=60",
        "fail_in_place",
        "fail_open stroke_s=10",
        "fail_closed stroke_s=10",
        "slow stroke_s=300",
        "wrong_readback by_pct=5",
        "hysteresis band_pct=4",
    ];

    /// A fault from its words, such as `["slow", "stroke_s=300"]`; its parameters are checked.
    ///
    /// # Errors
    /// What stands against it, in words.
    pub fn from_words(words: &[&str]) -> Result<Self, String> {
        let fault: Self = super::from_words(words)?;
        fault.check().map_err(|error| error.to_string())?;
        Ok(fault)
    }

    /// Whether the parameters can be used.
    ///
    /// # Errors
    /// The first that cannot, with what was expected.
    pub fn check(&self) -> Result<(), FaultError> {
        self.kind().check()
    }

    fn kind(&self) -> &dyn Impair {
        match self {
            Self::Stiction(fault) => fault,
            Self::Saturation(fault) => fault,
            Self::FailInPlace(fault) => fault,
            Self::FailOpen(fault) => fault,
            Self::FailClosed(fault) => fault,
            Self::Slow(fault) => fault,
            Self::WrongReadback(fault) => fault,
            Self::Hysteresis(fault) => fault,
        }
    }
}

/// `slow stroke_s=300`.
impl fmt::Display for ActuatorFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::write_words(self, f)
    }
}

/// A valve with a fault.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Valve {
    fault: ActuatorFault,
    stem: Stem,
}

impl Valve {
    /// A fault that begins with the stem at `at_pct` under the demand `demand_pct`.
    pub(crate) fn new(fault: ActuatorFault, at_pct: f64, demand_pct: f64) -> Self {
        Self { fault, stem: Stem { at_pct, demand_pct, held_back_pct: 0.0 } }
    }

    /// Where the stem goes within `dt_s` seconds, in percent of range.
    pub(crate) fn travel(&mut self, demand_pct: f64, dt_s: f64) -> f64 {
        self.stem.at_pct = self.fault.kind().travel(demand_pct, &mut self.stem, dt_s);
        self.stem.demand_pct = demand_pct;
        self.stem.at_pct
    }

    /// What is added to the set-point that is read back, in percent of range.
    pub(crate) fn readback_error_pct(&self) -> f64 {
        self.fault.kind().readback_error_pct()
    }
}

/// Where the stem of a valve with this fault goes, from 50 % under a demand of 50 %, one demand a second.
#[cfg(test)]
fn travelled(words: &str, demands: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let fault = ActuatorFault::from_words(&words.split(' ').collect::<Vec<_>>()).unwrap_or_else(|e| panic!("{e}"));
    let mut valve = Valve::new(fault, 50.0, 50.0);
    demands.into_iter().map(|demand| valve.travel(demand, 1.0)).collect()
}

#[cfg(test)]
fn close(words: &str, demands: &[f64], want: &[f64]) {
    let got = travelled(words, demands.iter().copied());
    let same = got.len() == want.len() && got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-9);
    assert!(same, "{words}: {got:?}, expected {want:?}");
}
