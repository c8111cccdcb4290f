//! A unit of FMI 2.0.

use std::ffi::CString;

use fmi::fmi2::import::Fmi2Import;
use fmi::fmi2::instance::{CoSimulation, Common, InstanceCS};
use fmi::fmi2::{Fmi2Error, Fmi2Res, binding};
use fmi::traits::{FmiImport, FmiInstance};

use super::{Instance, Refusal, Status, archive, not_started, whole};
use crate::description::{Description, Kind, Variable};
use crate::error::FmuError;

/// An instance of it, and what it takes to make another.
pub(super) struct Unit2 {
    instance: InstanceCS,
    import: Fmi2Import,
    _library: binding::Fmi2Binding,
    name: String,
    only_one: bool,
}

type Answer<T> = Result<T, Fmi2Error>;

impl Unit2 {
    pub(super) fn start(file: &str, says: &Description, folder: tempfile::TempDir) -> Result<Self, FmuError> {
        let told = |e: fmi::Error| not_started(file, &e);
        let path = folder.path().to_owned();
        let import = Fmi2Import::new(folder, &says.bare()).map_err(told)?;
        archive::has_binary(file, &path, &import.shared_lib_path(&says.identifier).map_err(told)?)?;
        let library = import.binding(&says.identifier).map_err(told)?;
        let instance = import.instantiate_cs(&says.name, false, false).map_err(told)?;
        let (name, only_one) = (says.name.clone(), says.only_one);
        Ok(Self { instance, import, _library: library, name, only_one })
    }
}

fn told<T>(call: &'static str, answer: Answer<T>) -> Result<T, Refusal> {
    answer.map_err(|error| {
        let status = match error {
            Fmi2Error::Discard => Status::Discard,
            Fmi2Error::Fatal => Status::Fatal,
            Fmi2Error::Error | Fmi2Error::TypesPlatformMismatch(_) => Status::Error,
        };
        Refusal::new(call, status)
    })
}

impl Instance for Unit2 {
    fn set(&mut self, variable: &Variable, value: f64) -> Result<(), Refusal> {
        let at = [variable.reference];
        let (call, answer) = match variable.kind {
            Kind::Float64 => ("fmi2SetReal", self.instance.set_real(&at, &[value])),
            Kind::Boolean => ("fmi2SetBoolean", self.instance.set_boolean(&at, &[i32::from(value != 0.0)])),
            _ => ("fmi2SetInteger", self.instance.set_integer(&at, &[whole(variable, value)?])),
        };
        told(call, answer).map(|_: Fmi2Res| ())
    }

    fn set_text(&mut self, variable: &Variable, value: &str) -> Result<(), Refusal> {
        let text = CString::new(value).map_err(|_| Refusal::value(variable, f64::NAN))?;
        let answer = self.instance.set_string(&[variable.reference], &[text]);
        told("fmi2SetString", answer)
    }

    fn get(&mut self, variable: &Variable) -> Result<f64, Refusal> {
        let at = [variable.reference];
        let (mut real, mut integer) = ([0.0], [0]);
        let (call, answer) = match variable.kind {
            Kind::Float64 => ("fmi2GetReal", self.instance.get_real(&at, &mut real)),
            Kind::Boolean => ("fmi2GetBoolean", self.instance.get_boolean(&at, &mut integer)),
            _ => ("fmi2GetInteger", self.instance.get_integer(&at, &mut integer)),
        };
        told(call, answer)?;
        let ([real], [integer]) = (real, integer);
        Ok(match variable.kind {
            Kind::Float64 => real,
            Kind::Boolean => f64::from(u8::from(integer != 0)),
            _ => f64::from(integer),
        })
    }

    fn initialise(&mut self, start_s: f64) -> Result<(), Refusal> {
        let answer = FmiInstance::enter_initialization_mode(&mut self.instance, None, start_s, None);
        told("fmi2EnterInitializationMode", answer)?;
        let answer = Common::exit_initialization_mode(&mut self.instance);
        told("fmi2ExitInitializationMode", answer).map(|_| ())
    }

    fn step(&mut self, t_s: f64, dt_s: f64) -> Result<(), Refusal> {
        let answer = self.instance.do_step(t_s, dt_s, true);
        let refused = match told("fmi2DoStep", answer) {
            Ok(_) => return Ok(()),
            Err(refused) => refused,
        };
        // A unit that wants to end discards the step, and says so when it is asked.
        let ends = refused.status == Status::Discard && matches!(self.instance.terminated(), Ok(true));
        Err(Refusal { status: if ends { Status::End } else { refused.status }, ..refused })
    }

    fn renew(&mut self) -> Result<(), Refusal> {
        if self.only_one {
            let answer = Common::reset(&mut self.instance);
            return told("fmi2Reset", answer).map(|_| ());
        }
        let made = self.import.instantiate_cs(&self.name, false, false);
        let made = made.map_err(|_| Refusal::new("fmi2Instantiate", Status::Error))?;
        self.instance = made;
        Ok(())
    }
}
