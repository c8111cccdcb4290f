//! The plant file: which model is emulated, and how the DCS around it is configured.
//!
//! Place in the loop: read once, before anything runs. A [`RigConfig`] that exists is valid: ranges are ordered,
//! names are in the model's card, a control period is a whole number of DCS scans. There are no defaults for what
//! touches the plant; the optional keys are listed with the fields.
//!
//! Every fault of a file is reported at once, each with its line and its key ([`ConfigError`]).

mod faults;
mod raw;

use std::path::Path;
use std::time::Duration;

use plant_models::{ModelCard, Variable};
use signals::Spared;
use signals::dcs::ShedOption;

use crate::command::Command;
use crate::degradation::Degradation;
use crate::plant::PlantSource;
pub use faults::{ConfigError, Fault};

/// A closed interval of engineering values, `low < high`, both finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Span {
    /// `high - low`, above zero.
    #[must_use]
    pub fn width(self) -> f64 {
        self.high - self.low
    }

    /// `value` moved into the interval. A NaN stays NaN.
    #[must_use]
    pub fn clamp(self, value: f64) -> f64 {
        value.clamp(self.low, self.high)
    }

    /// Whether `value` lies inside, ends included.
    #[must_use]
    pub fn contains(self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// How far `value` lies outside, in percent of `scale`'s width; 0 inside. A value that is no number is infinitely
    /// far out: nothing says that it is inside, and `f64::max` would drop it.
    #[must_use]
    pub fn excess_pct(self, value: f64, scale: Self) -> f64 {
        if !value.is_finite() {
            return f64::INFINITY;
        }
        100.0 * (value - self.high).max(self.low - value).max(0.0) / scale.width()
    }
}

/// Tuning of a slave loop: a PID on percent of range, and the actuator that it drives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlaveTuning {
    /// Proportional gain, percent of output per percent of error.
    pub gain: f64,
    /// Integral time in seconds, above zero.
    pub reset_s: f64,
    /// Derivative time in seconds, on the measurement; 0 switches it off.
    pub rate_s: f64,
    /// Time constant of the actuator in seconds; 0 makes it immediate.
    pub actuator_tau_s: f64,
}

/// A manipulated variable: one input of the model behind one slave loop.
#[derive(Clone, Debug)]
pub struct MvConfig {
    /// The model's variable.
    pub variable: &'static Variable,
    /// The slave's range: 0 % and 100 % of its output and its measurement.
    pub range: Span,
    /// The steady input at which the run starts.
    pub start: f64,
    /// The DCS's clamp on the set-point.
    pub clamp: Span,
    /// The operator's limits at the start.
    pub limits: Span,
    /// Largest rate of the set-point, in engineering units per second.
    pub max_rate_per_s: f64,
    /// What the DCS does on shed.
    pub shed: ShedOption,
    /// Where [`ShedOption::BackupSp`] ramps to; optional for the other options, which do not use it.
    pub backup_sp: f64,
    /// The slave's tuning.
    pub slave: SlaveTuning,
    /// Dead time between the actuator and its effect on the plant, in seconds; 0 when the key is missing.
    pub dead_time_s: f64,
}

/// A controlled variable: one output of the model.
#[derive(Clone, Debug)]
pub struct CvConfig {
    /// The model's variable.
    pub variable: &'static Variable,
    /// Its place among the model's outputs.
    pub output: usize,
    /// The measurement's range, the scale of cost and violation.
    pub range: Span,
    /// The operator's set-point; none for a CV that has limits only.
    pub setpoint: Option<f64>,
    /// The operator's limits at the start.
    pub limits: Span,
    /// Weight in the cost.
    pub weight: f64,
    /// Standard deviation of the measurement noise.
    pub noise_sd: f64,
    /// Whether two spare transmitters measure it too: three where `transmitters = 3`, one where the key is missing.
    pub spared: bool,
    /// Time constant of the measurement, in seconds; 0 when the key is missing.
    pub lag_s: f64,
    /// Dead time of the measurement, in seconds: a sample line, an analyser; 0 when the key is missing.
    pub dead_time_s: f64,
}

/// A measured disturbance.
#[derive(Clone, Debug)]
pub struct DvConfig {
    /// The model's variable.
    pub variable: &'static Variable,
    /// Its place among the model's disturbances.
    pub index: usize,
    /// Its value at the start; the card's nominal when the key is missing.
    pub start: f64,
    /// Standard deviation of the measurement noise.
    pub noise_sd: f64,
    /// Whether two spare transmitters measure it too, as of a CV.
    pub spared: bool,
}

/// An operator's command at a time of the run.
#[derive(Clone, Debug, PartialEq)]
pub struct Scheduled {
    /// When, in plant time since the start.
    pub at: Duration,
    /// What, as it was written.
    pub line: String,
    /// What, as it was understood.
    pub command: Command,
}

/// A plant file.
#[derive(Clone, Debug)]
pub struct RigConfig {
    /// The plant in one line, for people.
    pub title: String,
    /// `<area>.<unit>.APC_<app>.`: what stands before each tag.
    pub prefix: Prefix,
    /// The model that is emulated, or what the plant outside offers.
    pub plant: PlantSource,
    /// The control period of the application.
    pub period: Duration,
    /// The DCS's scan, a whole fraction of the period.
    pub scan: Duration,
    /// Integration steps per scan; 1 for a plant outside, which steps itself.
    pub substeps: usize,
    /// One per input of the model, in the model's order.
    pub mvs: Vec<MvConfig>,
    /// In the file's order.
    pub cvs: Vec<CvConfig>,
    /// In the file's order.
    pub dvs: Vec<DvConfig>,
    /// In the file's order.
    pub degradation: Vec<Degradation>,
    /// In the order of time.
    pub timeline: Vec<Scheduled>,
}

/// Where the application's tags live in the DCS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// Plant area.
    pub area: String,
    /// Process unit.
    pub unit: String,
    /// The application, without the leading `APC_`.
    pub app: String,
}

impl std::fmt::Display for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.APC_{}.", self.area, self.unit, self.app)
    }
}

impl RigConfig {
    /// Reads and checks a plant file.
    ///
    /// # Errors
    /// The file cannot be read, is no TOML, or has faults: all of them, in the order of the lines.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::load_with(path, None)
    }

    /// [`RigConfig::load`] of a file whose `model` is `external`, with what the plant outside offers.
    ///
    /// # Errors
    /// As [`RigConfig::load`].
    pub fn load_with(path: &Path, outside: Option<&'static ModelCard>) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { file: file.clone(), source })?;
        raw::check(&text, &file, outside)
    }

    /// Checks the text of a plant file; `file` is the name that the errors bear.
    ///
    /// # Errors
    /// As [`RigConfig::load`], reading excepted.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        raw::check(text, file, None)
    }

    /// [`RigConfig::parse`] with what the plant outside offers.
    ///
    /// # Errors
    /// As [`RigConfig::load`], reading excepted.
    pub fn parse_with(text: &str, file: &str, outside: &'static ModelCard) -> Result<Self, ConfigError> {
        raw::check(text, file, Some(outside))
    }

    /// Scans in one control period, at least 1.
    #[must_use]
    pub fn scans_per_period(&self) -> u64 {
        scans_in(self.period, self.scan)
    }

    /// Which measured variables have spare transmitters.
    #[must_use]
    pub fn spared(&self) -> Spared {
        Spared::collect(self.cvs.iter().map(|cv| cv.spared).chain(self.dvs.iter().map(|dv| dv.spared)))
    }

    /// The same rig in coarser steps, for what takes months: scan, period and the slaves' times `factor` times as long, the
    /// steps of integration as long as before, the rates as fast. What happens within a scan is lost; what is slower than
    /// the new period is not.
    #[must_use]
    pub fn coarser(&self, factor: u32) -> Self {
        let mut coarse = self.clone();
        (coarse.period, coarse.scan) = (self.period * factor, self.scan * factor);
        coarse.substeps *= factor as usize;
        for slave in coarse.mvs.iter_mut().map(|mv| &mut mv.slave) {
            slave.reset_s *= f64::from(factor);
            slave.rate_s *= f64::from(factor);
            slave.actuator_tau_s *= f64::from(factor);
        }
        coarse
    }

    /// The model's card.
    #[must_use]
    pub fn card(&self) -> &'static ModelCard {
        self.plant.card()
    }

    /// Every disturbance of the model at the start: measured ones as configured, the others nominal.
    #[must_use]
    pub fn disturbances(&self) -> Vec<f64> {
        let mut p: Vec<f64> = self.card().disturbances.iter().map(|d| d.nominal).collect();
        for dv in &self.dvs {
            if let Some(slot) = p.get_mut(dv.index) {
                *slot = dv.start;
            }
        }
        p
    }
}

/// `period / scan`, rounded down, at least 1.
fn scans_in(period: Duration, scan: Duration) -> u64 {
    let scans = period.as_nanos() / scan.as_nanos().max(1);
    u64::try_from(scans).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests;
