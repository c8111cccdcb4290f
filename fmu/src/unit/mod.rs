//! A unit that is loaded and can be stepped, whichever of the two standards it follows.
//!
//! # Invariants
//! - A unit that refused a call is not called again before [`Instance::renew`]: what it holds then is nobody's promise. After
//!   a fatal refusal it is not called at all, not even to be freed, as the standards ask.
//! - Its library stays loaded until the program ends, so that what a library keeps for itself outlives one instance.

mod archive;
mod fmi2;
mod fmi3;

use std::path::Path;

use crate::description::{Description, Variable, Version};
use crate::error::FmuError;
use crate::said;

/// How a unit refused a call, in the words of both standards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Discard,
    Error,
    Fatal,
    /// It wants the simulation to end.
    End,
}

/// A call that a unit refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) call: &'static str,
    pub(crate) status: Status,
    /// What it said about it; empty if nothing.
    pub(crate) said: String,
}

impl Refusal {
    /// A refusal, with what the unit said last.
    fn new(call: &'static str, status: Status) -> Self {
        Self { call, status, said: said::take() }
    }

    /// A value that the unit was not asked to take, since its type cannot hold it.
    fn value(variable: &Variable, value: f64) -> Self {
        let said = format!("`{}` is {}, which cannot hold {value}", variable.name, variable.type_name);
        Self { call: "the value", status: Status::Error, said }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let status = match self.status {
            Status::Discard => "was discarded by the unit",
            Status::Error => "failed",
            Status::Fatal => "failed for good",
            Status::End => "ended: the unit asks to end the simulation",
        };
        write!(f, "{} {status}", self.call)?;
        if self.said.is_empty() { Ok(()) } else { write!(f, ": {}", self.said) }
    }
}

/// One instance of a unit.
pub(crate) trait Instance {
    /// Gives a variable its value; a Boolean is true at anything but 0.
    fn set(&mut self, variable: &Variable, value: f64) -> Result<(), Refusal>;
    /// Gives a variable of text its value.
    fn set_text(&mut self, variable: &Variable, value: &str) -> Result<(), Refusal>;
    /// The value of a variable.
    fn get(&mut self, variable: &Variable) -> Result<f64, Refusal>;
    /// From what it was given to a state of its own, at `start_s`.
    fn initialise(&mut self, start_s: f64) -> Result<(), Refusal>;
    /// From `t_s` to `t_s + dt_s`.
    fn step(&mut self, t_s: f64, dt_s: f64) -> Result<(), Refusal>;
    /// As if it had just been made.
    fn renew(&mut self) -> Result<(), Refusal>;
}

/// A number as a whole one, if it is one that `T` can hold.
fn whole<T: TryFrom<i128>>(variable: &Variable, value: f64) -> Result<T, Refusal> {
    let fits = value.is_finite() && value.fract().abs() < f64::EPSILON;
    let number = if fits { T::try_from(value as i128).ok() } else { None };
    number.ok_or_else(|| Refusal::value(variable, value))
}

/// Unpacks a unit and reads what it says of itself.
///
/// # Errors
/// [`FmuError`]: it is no unit, or none that can be played.
pub(crate) fn open(file: &Path) -> Result<Unpacked, FmuError> {
    archive::unpack(file)
}

/// A unit on disk, not loaded.
#[derive(Debug)]
pub(crate) struct Unpacked {
    pub(crate) file: String,
    pub(crate) description: Description,
    folder: tempfile::TempDir,
    /// Holds `folder`, and outlives a unit that may not be freed.
    outer: tempfile::TempDir,
}

/// A unit that is loaded, with one instance of it.
pub(crate) struct Loaded {
    pub(crate) description: Description,
    pub(crate) instance: Box<dyn Instance>,
    pub(crate) folder: tempfile::TempDir,
}

impl Unpacked {
    /// Loads its library and makes an instance.
    ///
    /// # Errors
    /// [`FmuError::Binary`] and [`FmuError::Start`].
    pub(crate) fn start(self) -> Result<Loaded, FmuError> {
        let Self { file, description, folder, outer } = self;
        let instance: Box<dyn Instance> = match description.version {
            Version::Fmi2 => Box::new(fmi2::Unit2::start(&file, &description, folder)?),
            Version::Fmi3 => Box::new(fmi3::Unit3::start(&file, &description, folder)?),
        };
        Ok(Loaded { description, instance, folder: outer })
    }
}

/// Why a unit would not start: what the crate says and what the unit said.
fn not_started(file: &str, error: &fmi::Error) -> FmuError {
    let said = said::take();
    let why = match error {
        fmi::Error::Instantiation if said.is_empty() => "it refused to be instantiated".to_owned(),
        fmi::Error::Instantiation => format!("it refused to be instantiated: {said}"),
        other => other.to_string(),
    };
    FmuError::Start { file: file.to_owned(), why }
}
