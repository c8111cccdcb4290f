//! `outrigger-fmu`: an FMI 2.0 or 3.0 co-simulation unit as a plant outside the rig.
//!
//! It speaks the line protocol of `docs/external-plant.md` on standard input and output, so `outrigger-hil plant --exec`
//! takes it like any other plant. A unit is foreign native code, and lives in this process alone: when it falls, the
//! rig sees a plant that is gone (`docs/adr/0020-fmi-units.md`).
//!
//! # Invariants
//! - Standard output is the protocol's. What a unit prints there goes to standard error.
//! - The step is what the rig asks for; a unit that cannot vary its step takes several equal ones.

mod choice;
mod cli;
mod description;
mod error;
mod list;
mod plant;
mod protocol;
mod said;
mod unit;

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::process::ExitCode;

use clap::Parser;

use cli::Cli;
use error::FmuError;
use plant::{Timing, UnitPlant};

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), FmuError> {
    let unpacked = unit::open(&cli.file)?;
    let mut out = private_output()?;
    if cli.list {
        return Ok(out.write_all(list::table(&unpacked.description).as_bytes())?);
    }
    let choice = choice::choose(&unpacked.file, &unpacked.description, &cli.play)?;
    let (settle_s, settle_step_s) = (cli.play.settle, cli.play.settle_step);
    if !(settle_s.is_finite() && settle_s >= 0.0 && settle_step_s.is_finite() && settle_step_s > 0.0) {
        let why = format!("--settle {settle_s} --settle-step {settle_step_s}: expected seconds, the step above 0");
        return Err(FmuError::Choice(vec![why]));
    }
    said::listen();
    let loaded = unpacked.start()?;
    let says = &loaded.description;
    let timing = Timing { start_s: says.start_s, varies_steps: says.varies_steps, settle_s, settle_step_s };
    let mut plant = UnitPlant::new(loaded.instance, choice, timing);
    let name = format!("{}, FMI {}", says.name, says.fmi_version);
    let served = protocol::serve(&name, &mut plant, std::io::stdin().lock(), &mut out);
    // The instance goes before the folder that its library and resources are in.
    drop(plant);
    drop(loaded.folder);
    served
}

/// Standard output for ourselves; whoever else in this process writes there writes to standard error from now on.
fn private_output() -> Result<File, FmuError> {
    let ours = std::io::stdout().as_fd().try_clone_to_owned()?;
    rustix::stdio::dup2_stdout(std::io::stderr()).map_err(std::io::Error::from)?;
    Ok(File::from(ours))
}
