//! Cross-crate scenarios. This library is their bench: the whole loop and the whole rig in one process.
//!
//! [`Bench`] runs every actor of a loop against the rig's emulated plant and fake DCS under tokio's paused clock: a
//! minute of plant time takes milliseconds, and the same scenario gives the same numbers. Nothing is mocked but the
//! clock and the wire; the wire's own tests are in `tests/over_the_wire.rs`.

pub mod wire;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actors::kernel::{Clock, Observer, Telemetry, Unwitnessed};
use actors::tape::Tape;
use actors::{Board, Ending, Loop, LoopContext, MoveSink, RecommendationSink};
use rig::{Rig, RigConfig};
use runtime::config::{Mode, PlantFile, load, parse};
use safety::{ApprovedMove, Event, Recommended, State, WriteReport};
use signals::dcs::{ApcView, DcsTag, Direction, MvTag, WireValue};
use signals::{Fixed, MAX_MVS, Quality, Sample, TagId};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A file of the repository.
#[must_use]
pub fn repo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A rig that the plumbing, the sink and the test share.
#[derive(Clone, Debug)]
pub struct SharedRig(Arc<Mutex<Rig>>);

impl SharedRig {
    /// A rig of `hil/plants/<plant>.toml`.
    ///
    /// # Errors
    /// When the file is faulty or the plant has no steady state where it says.
    pub fn load(plant: &str, seed: u64) -> anyhow::Result<Self> {
        let config = RigConfig::load(&repo(&format!("hil/plants/{plant}.toml")))?;
        Ok(Self(Arc::new(Mutex::new(Rig::new(config, seed)?))))
    }

    /// The rig.
    pub fn lock(&self) -> MutexGuard<'_, Rig> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes set-points straight into the rig.
#[derive(Clone, Debug)]
pub struct RigSink {
    rig: SharedRig,
    board: Board,
    failures: Fixed<u32, MAX_MVS>,
}

impl MoveSink for RigSink {
    fn write(&mut self, approved: ApprovedMove) {
        let mut rig = self.rig.lock();
        for mv in 0..self.failures.len() {
            let (Some(u), Ok(n)) = (approved.set_point(mv), u8::try_from(mv)) else { continue };
            let written = rig.write(DcsTag::Mv(n, MvTag::SpReq), WireValue::Double(u), Quality::Good);
            if let Some(failures) = self.failures.get_mut(mv) {
                *failures = if written.is_ok() { 0 } else { *failures + 1 };
            }
        }
        let confirmed = if self.failures.iter().all(|f| *f == 0) { approved.id() } else { 0 };
        self.board.inlet.writes.put(WriteReport { confirmed, failures: self.failures, at: rig.now() });
    }
}

/// Keeps every recommendation.
#[derive(Clone, Debug, Default)]
pub struct Recommendations(Arc<Mutex<Vec<Recommended>>>);

impl Recommendations {
    /// Those so far.
    #[must_use]
    pub fn all(&self) -> Vec<Recommended> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl RecommendationSink for Recommendations {
    fn recommend(&mut self, recommended: Recommended) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(recommended);
    }
}

/// Crashes a stage on demand: a stage's latency is told to an observer inside the stage's actor, so an observer that
/// panics is a stage that panics.
#[derive(Clone, Debug, Default)]
pub struct Crashes(Arc<Mutex<Option<(&'static str, u32)>>>);

impl Crashes {
    /// Lets the next `n` steps of the stage `name` crash.
    pub fn inject(&self, name: &'static str, n: u32) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((name, n));
    }
}

impl Observer for Crashes {
    #[allow(clippy::panic, reason = "the crash is the scenario")]
    fn stage(&self, name: &'static str, _latency_ns: u64) {
        let mut planned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((stage, left)) = planned.as_mut()
            && *stage == name
            && *left > 0
        {
            *left -= 1;
            drop(planned);
            panic!("injected crash of the stage {name}");
        }
    }
}

/// Carries the images between a rig and a loop's ports, as the link does over the wire.
#[derive(Debug)]
pub struct Plumbing {
    rig: SharedRig,
    board: Board,
    last: ApcView,
    sequence: u64,
}

impl Plumbing {
    /// Nothing carried yet.
    #[must_use]
    pub fn new(rig: SharedRig, board: Board) -> Self {
        Self { rig, board, last: ApcView::default(), sequence: 0 }
    }

    /// Writes what the loop says, lets the rig run for `dt`, and reads what it says.
    pub fn exchange(&mut self, dt: Duration) {
        let mut rig = self.rig.lock();
        let (mvs, cvs, dvs) = (rig.view().mvs.len(), rig.view().cvs.len(), rig.view().dvs.len());
        if let Some(mut view) = self.board.outlet.read() {
            for tag in DcsTag::all(mvs, cvs, dvs) {
                let Some(new) = view.field_mut(tag).map(|f| f.get()) else { continue };
                let old = self.last.field_mut(tag).map(|f| f.get().value);
                let moves = matches!(tag, DcsTag::Mv(_, MvTag::SpReq));
                if tag.direction() == Direction::ApcToDcs && !moves && new.quality.is_good() && old != Some(new.value) {
                    let _ = rig.write(tag, new.value, Quality::Good);
                }
            }
            self.last = view;
        }
        rig.step(dt);
        let view = *rig.view();
        drop(rig);
        let readings = view.cvs.iter().map(|cv| cv.pv).chain(view.dvs.iter().map(|dv| dv.pv));
        for ((number, pv), slot) in (0..).zip(readings).zip(&self.board.inlet.samples) {
            self.sequence += 1;
            let (tag, sequence) = (TagId(number), self.sequence);
            slot.put(Sample { tag, value: pv.value, quality: pv.quality, source_time: pv.source_time, sequence });
        }
        self.board.inlet.dcs.put(view);
    }
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
    /// What was recommended, in advisory mode.
    pub recommendations: Recommendations,
    ended: Arc<Mutex<Option<String>>>,
    events: std::sync::mpsc::Receiver<Event>,
    seen: Vec<Event>,
    tasks: Vec<JoinHandle<()>>,
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
        let (plant, seed) = rig;
        let rig = SharedRig::load(plant, seed)?;
        let (crashes, recommendations) = (Crashes::default(), Recommendations::default());
        let (clock, telemetry) = (Clock::of_tokio(), Telemetry::new(Box::new(crashes.clone())));
        let config = file.loop_config();
        let board = Board::new(config.screens.len());
        let ending = match file.mode {
            Mode::ClosedLoop => {
                let failures = Fixed::filled(0, file.mvs.len());
                let sink = RigSink { rig: rig.clone(), board: board.clone(), failures };
                Ending::ClosedLoop(Box::new(move || Box::new(sink.clone())))
            }
            Mode::Advisory => {
                let sink = recommendations.clone();
                Ending::Advisory(Box::new(move || Box::new(sink.clone())))
            }
            Mode::Shadow => Ending::Shadow,
        };
        let context = LoopContext { board: board.clone(), clock, telemetry: telemetry.clone(), tape };
        let (mut running, events) = Loop::start(config, ending, context).await?;
        board.inlet.set_link(true);
        let ended = Arc::new(Mutex::new(None));
        let end = Arc::clone(&ended);
        let drive = tokio::spawn(async move {
            let Err(stopped) = running.drive().await;
            *end.lock().unwrap_or_else(PoisonError::into_inner) = Some(stopped.to_string());
        });
        let mut plumbing = Plumbing::new(rig.clone(), board.clone());
        let carry = tokio::spawn(async move {
            let (start, scan) = (Instant::now(), Duration::from_secs(1));
            for k in 1_u32.. {
                tokio::time::sleep_until(start + scan * k).await;
                plumbing.exchange(scan);
            }
        });
        let (tasks, period) = (vec![drive, carry], file.period());
        let seen = Vec::new();
        Ok(Self { rig, board, telemetry, period, crashes, recommendations, ended, events, seen, tasks })
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

    /// Why the loop ended by itself, if it did.
    #[must_use]
    pub fn ended(&self) -> Option<String> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every event of the interlock so far.
    pub fn events(&mut self) -> &[Event] {
        self.seen.extend(self.events.try_iter());
        &self.seen
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
