//! Cross-crate scenarios. This library is their bench: the whole loop and the whole rig in one process.
//!
//! [`Bench`] runs every actor of a loop against the rig's emulated plant and fake DCS ([`Cell`]) under tokio's paused clock: a
//! minute of plant time takes milliseconds, and the same scenario gives the same numbers. Nothing is mocked but the
//! clock and the wire; the wire's own tests are in `tests/over_the_wire.rs`.

pub mod wire;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actors::Board;
use actors::kernel::{Latest, Telemetry, Unwitnessed};
use actors::tape::Tape;
use control::advice::Advised;
use rig::{Rig, RigConfig};
use runtime::config::{PlantFile, load, parse};
use runtime::simulate::{Cell, Fittings, InvalidMoves, LinkFaults, SharedRig};
use safety::{Event, Latch, State};
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub use runtime::simulate::{Crashes, Moment, Victim};

/// A file of the repository.
#[must_use]
pub fn repo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A rig of `hil/plants/<plant>.toml`.
///
/// # Errors
/// When the file is faulty or the plant has no steady state where it says.
pub fn shared_rig(plant: &str, seed: u64) -> anyhow::Result<SharedRig> {
    edited_rig(plant, seed, |text| text)
}

/// As [`shared_rig`]; `edit` may change the rig file's text.
///
/// # Errors
/// As [`shared_rig`].
pub fn edited_rig(plant: &str, seed: u64, edit: impl FnOnce(String) -> String) -> anyhow::Result<SharedRig> {
    let path = repo(&format!("hil/plants/{plant}.toml"));
    let config = RigConfig::parse(&edit(std::fs::read_to_string(&path)?), &path.display().to_string())?;
    Ok(SharedRig::new(Rig::new(config, seed)?))
}

/// The text of a plant file or a rig file with `key` in one of its tables: the `[[table]]` that has the line `with`.
///
/// # Panics
/// When there is not exactly one such line.
#[must_use]
pub fn with_key(text: &str, with: &str, key: &str) -> String {
    let is_it = |line: &str| line.split('#').next().is_some_and(|line| line.trim_end() == with);
    assert_eq!(text.lines().filter(|line| is_it(line)).count(), 1, "`{with}`");
    let lines = text.lines().map(|line| if is_it(line) { format!("{line}\n{key}\n") } else { format!("{line}\n") });
    lines.collect()
}

/// Fits variables of `cstr` with three transmitters each, in the texts of its plant file and of its rig file: `CV1` to
/// `CV3` by number, with the tolerance of each.
#[must_use]
pub fn triplicated(plant: String, rig: String, cvs: &[(u8, &str)]) -> (String, String) {
    let names = ["CB", "TR", "TK"];
    cvs.iter().fold((plant, rig), |(plant, rig), (cv, tolerance)| {
        let name = names.get(usize::from(*cv) - 1).copied().unwrap_or_default();
        let plant = with_key(&plant, &format!("node = \"CV{cv}\""), &format!("spares_tolerance = {tolerance}"));
        (plant, with_key(&rig, &format!("name = \"{name}\""), "transmitters = 3"))
    })
}

/// A loop and a rig in virtual time. Make it inside a tokio runtime whose clock is paused.
#[derive(Debug)]
pub struct Bench {
    /// The rig.
    pub rig: SharedRig,
    /// The loop's slots.
    pub board: Board,
    /// The loop's measurements.
    pub telemetry: Telemetry,
    /// The control period.
    pub period: Duration,
    /// Crashes of stages.
    pub crashes: Crashes,
    /// Where the link is told what to do wrong.
    pub link: Latest<LinkFaults>,
    cell: Cell,
    seen: Vec<Event>,
    carry: JoinHandle<()>,
}

impl Bench {
    /// The loop of `deploy/plants/<plant>.toml` against the rig of the same name; `adapt` may change the plant file.
    ///
    /// # Errors
    /// When a file is faulty or the loop cannot be wired.
    pub async fn start(plant: &str, seed: u64, adapt: impl FnOnce(&mut PlantFile)) -> anyhow::Result<Self> {
        let mut file = load(&repo(&format!("deploy/plants/{plant}.toml")))?.plant;
        adapt(&mut file);
        Self::start_with((plant, seed), file, Arc::new(Unwitnessed)).await
    }

    /// As [`Self::start`]; `edit` may change the plant file's text.
    ///
    /// # Errors
    /// When the edited file is faulty or the loop cannot be wired.
    pub async fn start_edited(plant: &str, seed: u64, edit: impl FnOnce(String) -> String) -> anyhow::Result<Self> {
        let path = repo(&format!("deploy/plants/{plant}.toml"));
        let text = edit(std::fs::read_to_string(&path)?);
        Self::start_with((plant, seed), parse(&path, &text)?, Arc::new(Unwitnessed)).await
    }

    /// The loop of a plant file against the rig of the plant `rig.0` with the seed `rig.1`; the tape is told all.
    ///
    /// # Errors
    /// When the rig's file is faulty or the loop cannot be wired.
    pub async fn start_with(rig: (&str, u64), file: PlantFile, tape: Arc<dyn Tape>) -> anyhow::Result<Self> {
        Self::start_latched(rig, file, tape, Latch::default()).await
    }

    /// As [`Self::start_with`], with the latch of an earlier run.
    ///
    /// # Errors
    /// As [`Self::start_with`].
    pub async fn start_latched(
        rig: (&str, u64),
        file: PlantFile,
        tape: Arc<dyn Tape>,
        latch: Latch,
    ) -> anyhow::Result<Self> {
        Self::start_on(shared_rig(rig.0, rig.1)?, file, (tape, latch), None).await
    }

    /// As [`Self::start_latched`], against any rig; `gap_max` is that of check 20.
    ///
    /// # Errors
    /// When the loop cannot be wired.
    pub async fn start_on(
        rig: SharedRig,
        file: PlantFile,
        (tape, latch): (Arc<dyn Tape>, Latch),
        gap_max: Option<u64>,
    ) -> anyhow::Result<Self> {
        let crashes = Crashes::telling(tape);
        let (observer, tape) = (Box::new(crashes.clone()), Arc::new(crashes.clone()));
        let fittings = Fittings { observer, tape, latch, gap_max };
        let (cell, mut plumbing) = Cell::start(&file, rig.clone(), fittings).await?;
        let link = plumbing.faults();
        let carry = tokio::spawn(async move {
            let (start, scan) = (Instant::now(), Duration::from_secs(1));
            for k in 1_u32.. {
                tokio::time::sleep_until(start + scan * k).await;
                plumbing.exchange(scan);
            }
        });
        let (board, telemetry, period) = (cell.board.clone(), cell.telemetry.clone(), file.period());
        Ok(Self { rig, board, telemetry, period, crashes, link, cell, seen: Vec::new(), carry })
    }

    /// Lets so many control periods pass.
    pub async fn periods(&self, n: u32) {
        tokio::time::sleep(self.period * n).await;
    }

    /// Gives the rig a command.
    ///
    /// # Panics
    /// When the rig refuses it: a scenario that says something else than it means is no scenario.
    pub fn command(&self, line: &str) {
        let carried = self.rig.lock().command(line);
        assert!(carried.is_ok(), "{line}: {carried:?}");
    }

    /// The operator's way from OFF into closed loop: WARM, INIT, ON.
    pub async fn engage(&self) {
        for (line, periods) in [("mode off", 2), ("mode warm", 4), ("mode on", 2), ("engage", 4)] {
            self.command(line);
            self.periods(periods).await;
        }
    }

    /// The state of the interlock.
    #[must_use]
    pub fn state(&self) -> State {
        self.board.status.read().map_or(State::Boot, |s| s.state)
    }

    /// What is recommended.
    #[must_use]
    pub fn advised(&self) -> Advised {
        self.board.advised.read().unwrap_or_default()
    }

    /// Why the loop ended by itself, if it did.
    #[must_use]
    pub fn ended(&self) -> Option<String> {
        self.cell.ended()
    }

    /// Moves that should never have been made.
    #[must_use]
    pub fn invalid_moves(&self) -> InvalidMoves {
        self.cell.sink.invalid()
    }

    /// Every event of the interlock so far.
    pub fn events(&mut self) -> &[Event] {
        self.seen.extend(std::iter::from_fn(|| self.cell.events.receive()));
        &self.seen
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.carry.abort();
    }
}
