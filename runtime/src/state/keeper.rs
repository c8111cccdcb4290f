//! The thread that keeps a loop's state: from the slots to the files, and from the trail of bypasses to the loop.
//!
//! A latch or a trip is on the disk at most [`LOOK_EVERY`] after the step that made it, and what the disk takes. A change of
//! the trail has its effect within [`BYPASSES_EVERY`] and a scan.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use actors::Board;
use actors::kernel::Clock;
use safety::bypass::{Account, Act, BypassBook, Calendar, Names, Shown, Standing};
use safety::{BypassSet, Latch};
use serde::{Deserialize, Serialize};

use super::trips::Trips;
use super::{LatchFile, StateError, StateFolder, Trail, account, at, calendar, date, durable};

/// How long a latch waits for the thread at most.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How often the trail is looked at, in looks.
const BYPASSES_EVERY: u64 = 50;
/// How far ahead the lives of bypasses count as spent: a run that starts anew finds them shorter by so much at most.
const AHEAD: Duration = Duration::from_secs(10);

/// A bypass in force, for the pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BypassStatus {
    id: u32,
    check: u16,
    target: String,
    reason: String,
    requested_by: String,
    approved_by: String,
    until: String,
}

impl BypassStatus {
    fn of(shown: &Shown) -> Option<Self> {
        let (approver, since) = shown.approved.as_ref()?;
        Some(Self {
            id: shown.id,
            check: shown.check.number(),
            target: shown.target.to_string(),
            reason: shown.reason.clone(),
            requested_by: shown.requested_by.name.clone(),
            approved_by: approver.name.clone(),
            until: date(since.after(Duration::from_secs(shown.life_s))),
        })
    }
}

/// What the pages show of a loop's state.
#[derive(Clone, Debug, Default)]
pub struct KeeperStatus(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    bypasses: Vec<BypassStatus>,
    fault: Option<String>,
}

impl KeeperStatus {
    /// The bypasses that the loop was told of.
    #[must_use]
    pub fn bypasses(&self) -> Vec<BypassStatus> {
        self.lock().bypasses.clone()
    }

    /// Why the state cannot be kept at present.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.lock().fault.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The running thread.
#[derive(Debug)]
pub struct Keeper {
    thread: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    status: KeeperStatus,
}

impl Keeper {
    /// Keeps the state of the loop with this board from now on. The latch of the folder must be in the board's slot before the
    /// loop starts.
    ///
    /// # Errors
    /// The file system's; no thread.
    pub fn start(state: StateFolder, names: Names, board: Board, clock: Clock) -> Result<Self, StateError> {
        let (stop, status) = (Arc::new(AtomicBool::new(false)), KeeperStatus::default());
        let mut keeping = Keeping::new(state, names, board, clock, status.clone())?;
        let (told, folder) = (Arc::clone(&stop), keeping.state.folder.clone());
        let body = move || {
            for look in 0_u64.. {
                // Asked before the last look: what was put before the stop is kept.
                let is_last = told.load(Ordering::Acquire);
                keeping.look(look.is_multiple_of(BYPASSES_EVERY) || is_last);
                if is_last {
                    return;
                }
                std::thread::sleep(LOOK_EVERY);
            }
        };
        let thread = std::thread::Builder::new().name("outrigger-state".to_owned()).spawn(body).map_err(at(&folder))?;
        Ok(Self { thread: Some(thread), stop, status })
    }

    /// What the pages show.
    #[must_use]
    pub fn status(&self) -> KeeperStatus {
        self.status.clone()
    }

    /// Keeps what there is to keep, and ends.
    pub fn end(mut self) {
        self.stop.store(true, Ordering::Release);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that keeps the state has panicked");
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

/// Up to when the lives of bypasses are spent.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spent {
    until: Calendar,
}

struct Keeping {
    state: StateFolder,
    names: Names,
    board: Board,
    clock: Clock,
    status: KeeperStatus,
    latch_file: LatchFile,
    trips: Trips,
    trail: Trail,
    spent_file: PathBuf,
    latch: Option<Latch>,
    book: BypassBook,
    /// Length and time of the trail that the book is of.
    book_of: Option<(u64, SystemTime)>,
    /// What an earlier run has spent.
    mark: Calendar,
    /// What this one has written down as spent.
    spent: Calendar,
    in_force: BypassSet,
}

impl Keeping {
    fn new(
        state: StateFolder,
        names: Names,
        board: Board,
        clock: Clock,
        status: KeeperStatus,
    ) -> Result<Self, StateError> {
        let (latch_file, trail) = (LatchFile::of(&state.folder), Trail::of(&state.folder));
        let (trips, spent_file) = (Trips::of(&state.folder)?, state.folder.join("spent.json"));
        let (latch, book, in_force) = (Some(state.latch()), BypassBook::default(), BypassSet::new());
        let mut it = Self {
            state,
            names,
            board,
            clock,
            status,
            latch_file,
            trips,
            trail,
            spent_file,
            latch,
            book,
            book_of: None,
            mark: Calendar(i64::MIN),
            spent: Calendar(i64::MIN),
            in_force,
        };
        it.read_mark()?;
        Ok(it)
    }

    /// Takes up what an earlier run has spent. A mark that cannot be understood is set aside, and since nobody knows how much
    /// of them is left, every bypass is revoked.
    fn read_mark(&mut self) -> Result<(), StateError> {
        let text = match std::fs::read(&self.spent_file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            read => read.map_err(at(&self.spent_file))?,
        };
        match serde_json::from_slice::<Spent>(&text) {
            Ok(spent) => self.mark = spent.until,
            Err(why) => {
                let aside = durable::set_aside(&self.spent_file).map_err(at(&self.spent_file))?;
                let (file, aside, line) = (self.spent_file.display(), aside.display(), why.line());
                tracing::error!(%file, line, %why, %aside, "damaged and set aside; bypasses are revoked");
                self.read_trail()?;
                self.revoke_all("how much of it is left was lost with the file spent.json");
            }
        }
        Ok(())
    }

    fn revoke_all(&mut self, reason: &str) {
        let Some(now) = calendar() else { return };
        let by = || Account { name: "outrigger run".to_owned(), os_user: account::os_user() };
        let in_force = |standing| matches!(standing, Standing::InForce(_) | Standing::Waiting);
        for shown in self.book.all().iter().filter(|shown| in_force(shown.standing(now))) {
            let act = Act::Revoke { id: shown.id, reason: reason.to_owned() };
            if let Err(error) = self.trail.act((by(), now), |_| act) {
                tracing::error!(%error, "a bypass cannot be revoked");
            }
        }
    }

    /// A look, with the bypasses or without. While there is a fault, only those with the bypasses try again.
    fn look(&mut self, bypasses: bool) {
        if !bypasses && self.status.fault().is_some() {
            return;
        }
        let kept = self.keep();
        let told = if bypasses { self.read_trail().and_then(|()| self.tell_bypasses()) } else { Ok(()) };
        let fault = kept.and(told).err().map(|error| error.to_string());
        let mut shown = self.status.lock();
        if let Some(fault) = fault.as_ref().filter(|fault| shown.fault.as_ref() != Some(*fault)) {
            tracing::error!(fault, "the state cannot be kept");
        }
        shown.fault = fault;
    }

    fn keep(&mut self) -> Result<(), StateError> {
        let latch = self.board.latch.read();
        if let Some(latch) = latch.filter(|_| latch != self.latch) {
            self.latch_file.write(&latch)?;
            self.latch = Some(latch);
        }
        while let Some(tripped) = self.board.tripped.take() {
            let file = self.trips.keep(&tripped, &self.names, calendar())?;
            tracing::warn!(first_out = %tripped.first_out.cause, file = %file.display(), "a trip is kept");
        }
        Ok(())
    }

    /// Reads the trail when it has changed. One that is damaged is set aside: then there are no bypasses.
    fn read_trail(&mut self) -> Result<(), StateError> {
        let stamp = std::fs::metadata(self.trail.path()).and_then(|m| Ok((m.len(), m.modified()?))).ok();
        if stamp == self.book_of {
            return Ok(());
        }
        self.book = BypassBook::default();
        self.book_of = None;
        match self.trail.read() {
            Ok(book) => (self.book, self.book_of) = (book, stamp),
            Err(damaged @ StateError::Damaged { .. }) => {
                let aside = durable::set_aside(self.trail.path()).map_err(at(self.trail.path()))?;
                let aside = aside.display();
                tracing::error!(%damaged, %aside, "the trail of bypasses is damaged and set aside: nothing is bypassed");
            }
            Err(other) => return Err(other),
        }
        Ok(())
    }

    /// Tells the loop and the pages which bypasses are in force.
    fn tell_bypasses(&mut self) -> Result<(), StateError> {
        let now = calendar();
        let set = self.book.in_force(&self.names, (now, self.mark), self.clock.now(), &self.in_force);
        if set != self.in_force {
            self.board.inlet.bypasses.put(set);
            self.in_force = set;
        }
        let shown = set.iter().filter_map(|bypass| self.book.all().iter().find(|shown| shown.id == bypass.id));
        let shown = shown.filter_map(BypassStatus::of).collect();
        self.status.lock().bypasses = shown;
        match now {
            Some(now) if !set.is_empty() && self.spent <= now.after(AHEAD / 2) => self.spend(now.after(AHEAD)),
            _ => Ok(()),
        }
    }

    /// Writes down how much of the lives is spent, ahead.
    fn spend(&mut self, until: Calendar) -> Result<(), StateError> {
        let text = serde_json::to_string(&Spent { until }).unwrap_or_default();
        durable::replace(&self.spent_file, format!("{text}\n").as_bytes()).map_err(at(&self.spent_file))?;
        self.spent = until;
        Ok(())
    }
}
