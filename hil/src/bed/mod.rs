//! The test bed in this process: a scenario under virtual time, the whole loop beside the whole rig.
//!
//! ```text
//! scenario ─▶ operator, faults ─▶ rig ◀─▶ plumbing ◀─▶ loop (every stage of it)
//!                                  │ looked at once a scan
//!                                  ▼
//!                               Record ─▶ verdict
//! ```
//!
//! The rig outlives the loop: `kill` takes the loop's runtime away with every task in it, as SIGKILL takes a process, and
//! the rig goes on alone.
//!
//! # Invariants
//! - A run is a function of the scenario's file, its plant files and its seed; streams of the seed: 20 the link's chance.
//! - Nothing of the loop is built for it: what is wrong is wrong with its ports, its slots, its clock or its disk.

mod disk;
mod life;
mod model;
mod saboteur;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rig::{Random, Rig, RigConfig, RigError};
use runtime::config::{Loaded, load_text};
use runtime::simulate::{SharedRig, SimulateError, Simulation};
use safety::{CheckSet, Latch, Overlay, SafetyError};

use crate::faults::network::STREAM;
use crate::faults::{ControllerFault, Fault, HostFault, Timed};
use crate::keyboard::Keyboard;
use crate::record::{Observer, Record};
use crate::scenario::set::{Changes, SetError};
use crate::scenario::{ClockKind, Guard, Off, Scenario};

/// A scenario that cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum BedError {
    /// A plant file, with the changes of the scenario.
    #[error("{0}")]
    Plant(String),
    /// A change of a key.
    #[error("{}: {source}", .file.display())]
    Set {
        /// The file that was to be changed.
        file: PathBuf,
        /// Why not.
        source: SetError,
    },
    /// A guard that cannot be switched off.
    #[error("the negative control: {0}")]
    Guard(#[from] SafetyError),
    /// Loop and rig do not go together, or cannot be made.
    #[error("{0}")]
    Simulate(#[from] SimulateError),
    /// The rig.
    #[error("rig: {0}")]
    Rig(#[from] RigError),
    /// The broken disk cannot be had.
    #[error("the broken disk: {0}")]
    Disk(String),
    /// It is to run by the wall's clock.
    #[error("this scenario runs by the wall's clock, against the program")]
    Wall,
}

/// The plant file and the rig of a scenario, changed as it says.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// The plant file.
    pub loaded: Loaded,
    /// The rig.
    pub rig: RigConfig,
}

/// Reads the two files of a scenario, with its changes and those of the guard that is switched off.
///
/// # Errors
/// [`BedError`]: a file with faults, a key that is not there, two files of different plants.
pub fn fit(scenario: &Scenario, off: Option<&Guard>) -> Result<Fitted, BedError> {
    let none = Changes::default();
    let (plant_off, rig_off) = match off {
        Some(Guard::Keys { plant, rig }) => (plant, rig),
        _ => (&none, &none),
    };
    let text = changed(&scenario.plant, [&scenario.plant_set, plant_off])?;
    let mut loaded = load_text(&scenario.plant, text).map_err(|e| BedError::Plant(e.to_string()))?;
    loaded.plant.mode = loaded.plant.mode.min(scenario.mode);
    let text = changed(&scenario.rig, [&scenario.rig_set, rig_off])?;
    let name = scenario.rig.display().to_string();
    let rig = RigConfig::parse(&text, &name).map_err(|e| BedError::Plant(e.to_string()))?;
    Simulation::new(loaded.plant.clone(), rig.clone(), scenario.duration, false)?;
    Ok(Fitted { loaded, rig })
}

fn changed(file: &Path, changes: [&Changes; 2]) -> Result<String, BedError> {
    let text = std::fs::read_to_string(file).map_err(|e| BedError::Plant(format!("{}: {e}", file.display())))?;
    let changes = Changes(changes.iter().flat_map(|c| c.0.iter().cloned()).collect());
    changes.apply(&text).map_err(|source| BedError::Set { file: file.to_owned(), source })
}

/// Runs a scenario under virtual time on this thread, with that guard switched off, and gives what was seen.
///
/// # Errors
/// [`BedError`]. A loop that does what it should not is no error but a part of the record.
pub fn run(scenario: &Scenario, off: Option<&Guard>) -> Result<Record, BedError> {
    if scenario.clock != ClockKind::Virtual {
        return Err(BedError::Wall);
    }
    let Fitted { loaded, rig } = fit(scenario, off)?;
    let period = rig.period;
    let rig = SharedRig::new(Rig::new(rig, scenario.seed)?);
    let observer = Observer::new(&rig.lock(), scenario.onset());
    let chance = Random::stream(scenario.seed, STREAM);
    let keyboard = Keyboard::new(scenario, off, period);
    let (passed, latch) = (Duration::ZERO, Latch::default());
    let mut bed = Bed { scenario, off, loaded, rig, observer, chance, keyboard, passed, latch };
    bed.live_through()?;
    let rig = bed.rig.clone();
    let record = bed.observer.finish(&rig.lock());
    Ok(record)
}

/// A scenario under way.
struct Bed<'a> {
    scenario: &'a Scenario,
    off: Option<&'a Guard>,
    loaded: Loaded,
    rig: SharedRig,
    observer: Observer,
    chance: Random,
    keyboard: Keyboard<'a>,
    /// Plant time so far.
    passed: Duration,
    /// What the last life has left in its state.
    latch: Latch,
}

impl Bed<'_> {
    fn live_through(&mut self) -> Result<(), BedError> {
        let scan = self.rig.lock().config().scan;
        while self.passed + scan <= self.scenario.duration {
            if self.is_dead() {
                self.passed += scan;
                self.at_the_rig();
                self.rig.lock().step(scan);
                self.observer.look(&self.rig.lock());
            } else {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
                let runtime = runtime.map_err(SimulateError::from)?;
                runtime.block_on(Box::pin(life::live(self)))?;
            }
        }
        Ok(())
    }

    fn is_off(&self, off: Off) -> bool {
        self.off == Some(&Guard::Other(off))
    }

    /// The faults that act now, each with its time.
    fn acting(&self) -> impl Iterator<Item = &Timed> {
        self.scenario.faults.iter().filter(|fault| fault.acts(self.passed))
    }

    fn host(&self, is: impl Fn(&HostFault) -> bool) -> bool {
        self.acting().any(|timed| matches!(&timed.fault, Fault::Host(host) if is(host)))
    }

    /// The controller fault of a kind that acts now.
    fn controller(&self, is: impl Fn(&ControllerFault) -> bool) -> Option<ControllerFault> {
        self.acting().find_map(|timed| match &timed.fault {
            Fault::Controller(fault) if is(fault) => Some(fault.clone()),
            _ => None,
        })
    }

    /// Whether our process is killed and not started again.
    fn is_dead(&self) -> bool {
        self.host(|host| *host == HostFault::Kill)
    }

    /// What the operator, the plant and the rig's own faults do before this scan.
    fn at_the_rig(&mut self) {
        self.keyboard.at_the_rig(self.passed, &mut self.rig.lock(), self.observer.record_mut());
    }
}

/// The loop's configuration, with the guard switched off and the wrong model believed in.
fn loop_config(bed: &Bed<'_>) -> Result<actors::LoopConfig, BedError> {
    let mut config = bed.loaded.plant.loop_config();
    match bed.off {
        Some(Guard::Check(check)) => config.interlock.switched_off = CheckSet::EMPTY.with(*check),
        Some(Guard::Cell(cell)) => {
            Overlay { cell: vec![cell.clone()] }.apply(&mut config.interlock)?;
        }
        Some(Guard::Other(Off::Supervision)) => config.restarts.intensity = 0,
        _ => {}
    }
    for timed in &bed.scenario.faults {
        if let Fault::Controller(ControllerFault::WrongModel { input, gain }) = &timed.fault {
            config.model = model::Skewed::of(config.model, *input, *gain);
        }
    }
    Ok(config)
}
