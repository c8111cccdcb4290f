//! What a transmitter can do wrong.

mod level;
mod sample;

use std::fmt;

use serde::{Deserialize, Serialize};
use signals::Stamp;
use signals::dcs::Reading;

use super::FaultError;
use crate::random::Random;
pub use level::{Bias, Drift, NotANumber, OutOfRange, Quantised, Side, SignFlip, Stuck, WrongUnit};
pub use sample::{BadQuality, Dropout, NoisySensor, SlowSampling, Spike, Status};

/// A fault of one transmitter.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SensorFault {
    /// It shows one value for ever.
    Stuck(Stuck),
    /// It runs away from the truth.
    Drift(Drift),
    /// It shows too much, or too little.
    Bias(Bias),
    /// It is noisier than it was.
    Noise(NoisySensor),
    /// Single samples lie far off.
    Spike(Spike),
    /// Samples do not arrive.
    Dropout(Dropout),
    /// It shows NaN, with a good status.
    NotANumber(NotANumber),
    /// It fails beyond an end of its range.
    OutOfRange(OutOfRange),
    /// Its status is not good.
    BadQuality(BadQuality),
    /// It shows the negative.
    SignFlip(SignFlip),
    /// It shows another unit than its tag says.
    WrongUnit(WrongUnit),
    /// It shows coarse steps.
    Quantised(Quantised),
    /// It samples rarely.
    SlowSampling(SlowSampling),
}

/// What a fault knows besides the healthy reading.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    /// Seconds since the fault began.
    pub(super) elapsed_s: f64,
    /// What was shown last.
    pub(super) last: Reading<f64>,
    /// The transmitter's range, low and high, in the unit of its tag.
    pub(super) range: (f64, f64),
}

/// What each fault does.
pub(super) trait Distort {
    /// Whether the parameters can be used.
    ///
    /// # Errors
    /// The first that cannot.
    fn check(&self) -> Result<(), FaultError>;

    /// What is shown in place of `healthy`.
    fn show(&self, healthy: Reading<f64>, memory: &Memory, chance: &mut Random) -> Reading<f64>;
}

impl SensorFault {
    /// One of each kind, as it is written at the command line.
    pub const EXAMPLES: [&'static str; 13] = [
        "stuck at=0.5",
        "drift per_s=0.01",
        "bias by=0.2",
        "noise sd=0.05",
        "spike size=0.5 probability=0.02",
        "dropout probability=0.5",
        "not_a_number",
        "out_of_range side=high by_pct=6.25",
        "bad_quality status=bad",
        "sign_flip",
        "wrong_unit factor=1.8 offset=32",
        "quantised step=0.1",
        "slow_sampling every_s=60",
    ];

    /// A fault from its words, such as `["drift", "per_s=0.01"]`; its parameters are checked.
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

    fn kind(&self) -> &dyn Distort {
        match self {
            Self::Stuck(fault) => fault,
            Self::Drift(fault) => fault,
            Self::Bias(fault) => fault,
            Self::Noise(fault) => fault,
            Self::Spike(fault) => fault,
            Self::Dropout(fault) => fault,
            Self::NotANumber(fault) => fault,
            Self::OutOfRange(fault) => fault,
            Self::BadQuality(fault) => fault,
            Self::SignFlip(fault) => fault,
            Self::WrongUnit(fault) => fault,
            Self::Quantised(fault) => fault,
            Self::SlowSampling(fault) => fault,
        }
    }
}

/// `drift per_s=0.01`.
impl fmt::Display for SensorFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::write_words(self, f)
    }
}

/// A transmitter with a fault: since when, what it showed last, and its own chance.
#[derive(Clone, Debug)]
pub(crate) struct Sick {
    fault: SensorFault,
    since: Stamp,
    last: Reading<f64>,
    range: (f64, f64),
    chance: Random,
}

impl Sick {
    /// A fault that begins at `since` in a transmitter that showed `last` and has this range.
    pub(crate) fn new(fault: SensorFault, since: Stamp, last: Reading<f64>, range: (f64, f64), chance: Random) -> Self {
        Self { fault, since, last, range, chance }
    }

    /// What is shown in place of `healthy`, a reading of now.
    pub(crate) fn show(&mut self, healthy: Reading<f64>) -> Reading<f64> {
        let elapsed_s = healthy.source_time.since(self.since).as_secs_f64();
        let memory = Memory { elapsed_s, last: self.last, range: self.range };
        self.last = self.fault.kind().show(healthy, &memory, &mut self.chance);
        self.last
    }
}

/// A run of a fault over healthy readings, one a second, for the tests of the kinds.
#[cfg(test)]
fn shown(words: &str, healthy: impl IntoIterator<Item = f64>) -> Vec<Reading<f64>> {
    let fault = SensorFault::from_words(&words.split(' ').collect::<Vec<_>>()).unwrap_or_else(|e| panic!("{e}"));
    let reading = |value, s: u32| Reading::of(value, Stamp::from_secs_f64(f64::from(s)));
    let mut sick = Sick::new(fault, Stamp::ZERO, reading(7.0, 0), (0.0, 10.0), Random::seeded(5));
    (1..).zip(healthy).map(|(s, value)| sick.show(reading(value, s))).collect()
}

#[cfg(test)]
fn values(words: &str, healthy: impl IntoIterator<Item = f64>) -> Vec<f64> {
    shown(words, healthy).iter().map(|r| r.value).collect()
}
