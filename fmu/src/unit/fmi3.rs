//! A unit of FMI 3.0. It is stepped without event mode, early return and intermediate updates, none of which a plant needs.

use std::ffi::CString;

use fmi::fmi3::import::Fmi3Import;
use fmi::fmi3::instance::InstanceCS;
use fmi::fmi3::{CoSimulation, Common, Fmi3Error, Fmi3Model, Fmi3Res, GetSet, binding};
use fmi::traits::FmiImport;

use super::{Instance, Refusal, Status, archive, not_started, whole};
use crate::description::{Description, Kind, Variable};
use crate::error::FmuError;

/// An instance of it, and what it takes to make another.
pub(super) struct Unit3 {
    instance: InstanceCS,
    import: Fmi3Import,
    _library: binding::Fmi3Binding,
    name: String,
    only_one: bool,
}

impl Unit3 {
    pub(super) fn start(file: &str, says: &Description, folder: tempfile::TempDir) -> Result<Self, FmuError> {
        let told = |e: fmi::Error| not_started(file, &e);
        let path = folder.path().to_owned();
        let import = Fmi3Import::new(folder, &says.bare()).map_err(told)?;
        archive::has_binary(file, &path, &import.shared_lib_path(&says.identifier).map_err(told)?)?;
        let library = import.binding(&says.identifier).map_err(told)?;
        let instance = made(&import, &says.name).map_err(told)?;
        let (name, only_one) = (says.name.clone(), says.only_one);
        Ok(Self { instance, import, _library: library, name, only_one })
    }
}

fn made(import: &Fmi3Import, name: &str) -> Result<InstanceCS, fmi::Error> {
    import.instantiate_cs(name, false, false, false, false, &[])
}

fn told<T>(call: &'static str, answer: Result<T, Fmi3Error>) -> Result<T, Refusal> {
    answer.map_err(|error| {
        let status = match error {
            Fmi3Error::Discard => Status::Discard,
            Fmi3Error::Error => Status::Error,
            Fmi3Error::Fatal => Status::Fatal,
        };
        Refusal::new(call, status)
    })
}

impl Instance for Unit3 {
    fn set(&mut self, variable: &Variable, value: f64) -> Result<(), Refusal> {
        let (unit, at) = (&mut self.instance, [variable.reference]);
        let (call, answer) = match variable.kind {
            Kind::Float32 => ("fmi3SetFloat32", unit.set_float32(&at, &[value as f32])),
            Kind::Int8 => ("fmi3SetInt8", unit.set_int8(&at, &[whole(variable, value)?])),
            Kind::UInt8 => ("fmi3SetUInt8", unit.set_uint8(&at, &[whole(variable, value)?])),
            Kind::Int16 => ("fmi3SetInt16", unit.set_int16(&at, &[whole(variable, value)?])),
            Kind::UInt16 => ("fmi3SetUInt16", unit.set_uint16(&at, &[whole(variable, value)?])),
            Kind::Int32 => ("fmi3SetInt32", unit.set_int32(&at, &[whole(variable, value)?])),
            Kind::UInt32 => ("fmi3SetUInt32", unit.set_uint32(&at, &[whole(variable, value)?])),
            Kind::Int64 => ("fmi3SetInt64", unit.set_int64(&at, &[whole(variable, value)?])),
            Kind::UInt64 => ("fmi3SetUInt64", unit.set_uint64(&at, &[whole(variable, value)?])),
            Kind::Boolean => ("fmi3SetBoolean", unit.set_boolean(&at, &[value != 0.0])),
            Kind::Float64 | Kind::Text | Kind::Other => ("fmi3SetFloat64", unit.set_float64(&at, &[value])),
        };
        told(call, answer).map(|_: Fmi3Res| ())
    }

    fn set_text(&mut self, variable: &Variable, value: &str) -> Result<(), Refusal> {
        let text = CString::new(value).map_err(|_| Refusal::value(variable, f64::NAN))?;
        told("fmi3SetString", self.instance.set_string(&[variable.reference], &[text]))
    }

    fn get(&mut self, variable: &Variable) -> Result<f64, Refusal> {
        /// Asks one getter for one value.
        macro_rules! got {
            ($get:ident, $call:literal, $type:ty) => {{
                let mut value = [<$type>::default()];
                told($call, self.instance.$get(&[variable.reference], &mut value))?;
                let [value] = value;
                value
            }};
        }
        Ok(match variable.kind {
            Kind::Float32 => f64::from(got!(get_float32, "fmi3GetFloat32", f32)),
            Kind::Int8 => f64::from(got!(get_int8, "fmi3GetInt8", i8)),
            Kind::UInt8 => f64::from(got!(get_uint8, "fmi3GetUInt8", u8)),
            Kind::Int16 => f64::from(got!(get_int16, "fmi3GetInt16", i16)),
            Kind::UInt16 => f64::from(got!(get_uint16, "fmi3GetUInt16", u16)),
            Kind::Int32 => f64::from(got!(get_int32, "fmi3GetInt32", i32)),
            Kind::UInt32 => f64::from(got!(get_uint32, "fmi3GetUInt32", u32)),
            Kind::Int64 => got!(get_int64, "fmi3GetInt64", i64) as f64,
            Kind::UInt64 => got!(get_uint64, "fmi3GetUInt64", u64) as f64,
            Kind::Boolean => f64::from(u8::from(got!(get_boolean, "fmi3GetBoolean", bool))),
            Kind::Float64 | Kind::Text | Kind::Other => got!(get_float64, "fmi3GetFloat64", f64),
        })
    }

    fn initialise(&mut self, start_s: f64) -> Result<(), Refusal> {
        let answer = Common::enter_initialization_mode(&mut self.instance, None, start_s, None);
        told("fmi3EnterInitializationMode", answer)?;
        told("fmi3ExitInitializationMode", Common::exit_initialization_mode(&mut self.instance)).map(|_| ())
    }

    fn step(&mut self, t_s: f64, dt_s: f64) -> Result<(), Refusal> {
        let (mut event, mut end, mut early, mut last_s) = (false, false, false, t_s);
        let answer = self.instance.do_step(t_s, dt_s, true, &mut event, &mut end, &mut early, &mut last_s);
        told("fmi3DoStep", answer)?;
        if end {
            return Err(Refusal::new("fmi3DoStep", Status::End));
        }
        if early {
            let said = format!("it returned early, at {last_s} s, which it was not allowed");
            return Err(Refusal { call: "fmi3DoStep", status: Status::Error, said });
        }
        Ok(())
    }

    fn renew(&mut self) -> Result<(), Refusal> {
        if self.only_one {
            return told("fmi3Reset", Common::reset(&mut self.instance)).map(|_| ());
        }
        let made = made(&self.import, &self.name);
        self.instance = made.map_err(|_| Refusal::new("fmi3InstantiateCoSimulation", Status::Error))?;
        Ok(())
    }
}
