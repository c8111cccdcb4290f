//! The watchdog: a loop whose cycle stands still loses the permit to write.
//!
//! ```text
//! pacer's beat ────────┐
//!                      ├──▶ Heartbeat ──▶ Watchdog (a thread of its own) ──▶ Permit ──▶ whoever writes moves
//! interlock's step ────┘
//! ```
//!
//! The control thread gives two signs of life: one at each beat, one after each step of the interlock. When either is
//! silent for longer than the limit, the permit is dropped. It is dropped once: nothing gives it back but a new run.
//!
//! Three look at the silence, so that none has to be quick: the watchdog's thread while the cycle stands; the next sign,
//! should the cycle go on before the thread has looked (after SIGSTOP or a suspend all threads wake at once); and
//! whoever is about to write, who asks [`Permit::objection`] with the time.
//!
//! # Invariants
//! - No tokio: a plain thread, which parks and looks. It shares with the loop nothing but atomics.
//! - Silence is counted on `CLOCK_BOOTTIME`, so a suspend of the machine is a silence.
//! - Before the first beat there is no permit; it is not dropped either, since nothing has lapsed.
//! - A stage that keeps ringing (a live-lock) starves nobody under tokio's cooperative budget; while beats and interlock
//!   go on in time, the cycle lives. A step that does not return, a crashed interlock, a blocked runtime do not go on.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, OnceLock};
use std::thread::{JoinHandle, park_timeout};
use std::time::Duration;

use signals::Stamp;

use super::clock::Clock;
use super::rt::{self, RtError};
use super::stage::Stage;

/// The shortest limit, and the longest time between two looks.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST_LOOK: Duration = Duration::from_millis(100);

/// A sign of life of the cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// The pacer's beat.
    Beat,
    /// The interlock has done a step.
    Interlock,
}

/// Why the permit was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lapse {
    /// The sign that stayed away.
    pub sign: Sign,
    /// For how long, when it was noticed.
    pub silence: Duration,
}

impl std::fmt::Display for Lapse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let who = match self.sign {
            Sign::Beat => "the control cycle stood",
            Sign::Interlock => "the interlock stood",
        };
        write!(f, "{who} for {:.3} s", self.silence.as_secs_f64())
    }
}

/// The cycle's side: where it leaves its signs of life. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Heartbeat(Arc<Pulse>);

/// The writer's side: whether moves may still be written. Clones share it.
#[derive(Clone, Debug)]
pub struct Permit(Arc<Pulse>);

#[derive(Debug)]
struct Pulse {
    /// Boot time of the newest signs; 0 before the first.
    beat_ns: AtomicI64,
    interlock_ns: AtomicI64,
    /// `i64::MAX` while nobody watches.
    limit_ns: AtomicI64,
    lapse: OnceLock<Lapse>,
}

impl Default for Pulse {
    fn default() -> Self {
        let unset = || AtomicI64::new(0);
        Self { beat_ns: unset(), interlock_ns: unset(), limit_ns: AtomicI64::new(i64::MAX), lapse: OnceLock::new() }
    }
}

impl Heartbeat {
    /// Signs of life that nobody watches yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a sign of life at `boot_ns` ([`Clock::boot_ns`]). A sign after too long a silence drops the permit before it
    /// is heard.
    pub fn give(&self, sign: Sign, boot_ns: i64) {
        let pulse = &*self.0;
        pulse.judge(boot_ns);
        match sign {
            Sign::Beat => {
                pulse.beat_ns.store(boot_ns, Ordering::Release);
                // From the first beat on the interlock is waited for.
                let _ = pulse.interlock_ns.compare_exchange(0, boot_ns, Ordering::AcqRel, Ordering::Relaxed);
            }
            Sign::Interlock => pulse.interlock_ns.store(boot_ns, Ordering::Release),
        }
    }

    /// The permit that depends on these signs. Without a [`Watchdog`] it holds for ever.
    #[must_use]
    pub fn permit(&self) -> Permit {
        Permit(Arc::clone(&self.0))
    }
}

impl Permit {
    /// Why nothing may be written at `boot_ns` ([`Clock::boot_ns`]), if so.
    #[must_use]
    pub fn objection(&self, boot_ns: i64) -> Option<&'static str> {
        if self.0.limit_ns.load(Ordering::Acquire) == i64::MAX {
            return None;
        }
        if self.0.judge(boot_ns).is_some() {
            return Some("the watchdog has dropped the permit");
        }
        (self.0.beat_ns.load(Ordering::Acquire) == 0).then_some("the cycle has not begun")
    }

    /// Why the permit was dropped, if it was.
    #[must_use]
    pub fn lapse(&self) -> Option<Lapse> {
        self.0.lapse.get().copied()
    }
}

impl Pulse {
    /// Drops the permit if a sign has been silent for too long. Gives the lapse, old or new.
    fn judge(&self, boot_ns: i64) -> Option<Lapse> {
        if let Some(lapse) = self.lapse.get() {
            return Some(*lapse);
        }
        let limit = self.limit_ns.load(Ordering::Acquire);
        let signs = [(Sign::Beat, &self.beat_ns), (Sign::Interlock, &self.interlock_ns)];
        let silent = signs.into_iter().find_map(|(sign, at)| {
            let at = at.load(Ordering::Acquire);
            let silence = boot_ns.saturating_sub(at);
            (at != 0 && silence > limit).then_some((sign, silence))
        });
        let (sign, silence) = silent?;
        let silence = Duration::from_nanos(u64::try_from(silence).unwrap_or(0));
        Some(*self.lapse.get_or_init(|| Lapse { sign, silence }))
    }
}

/// A stage each of whose completed steps is a sign of life: the interlock.
#[derive(Debug)]
pub struct Watched<S> {
    stage: S,
    heartbeat: Heartbeat,
    clock: Clock,
}

impl<S> Watched<S> {
    /// `stage`, whose steps are told to `heartbeat`.
    pub fn new(stage: S, heartbeat: Heartbeat, clock: Clock) -> Self {
        Self { stage, heartbeat, clock }
    }
}

impl<S: Stage> Stage for Watched<S> {
    fn step(&mut self, now: Stamp) {
        self.stage.step(now);
        self.heartbeat.give(Sign::Interlock, self.clock.boot_ns());
    }
}

/// A watchdog that cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum WatchdogError {
    /// The operating system gave no thread.
    #[error("no thread for the watchdog")]
    Thread(#[from] std::io::Error),
    /// The operating system refused its priority.
    #[error(transparent)]
    Priority(#[from] RtError),
}

/// How to watch.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    /// The longest lawful silence, in wall time. Less than 10 ms counts as 10 ms.
    pub limit: Duration,
    /// The real-time priority of the watchdog's thread, above that of what it watches; none: an ordinary thread.
    pub priority: Option<u8>,
}

/// The thread that watches one loop. Dropping it ends the watch and leaves the permit as it is.
#[derive(Debug)]
pub struct Watchdog {
    off: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Watchdog {
    /// Watches `heartbeat`; `on_lapse` is called once, on the watchdog's thread, when the permit is dropped.
    ///
    /// # Errors
    /// [`WatchdogError`]; then nobody watches, and the permit holds.
    pub fn start(
        heartbeat: &Heartbeat,
        watch: Watch,
        clock: Clock,
        on_lapse: impl FnOnce(Lapse) + Send + 'static,
    ) -> Result<Self, WatchdogError> {
        let limit = watch.limit.max(SHORTEST);
        let (pulse, off) = (Arc::clone(&heartbeat.0), Arc::new(AtomicBool::new(false)));
        let is_off = Arc::clone(&off);
        let (ready, made) = sync_channel(1);
        let thread = std::thread::Builder::new().name("outrigger-watch".to_owned()).spawn(move || {
            let ranked = watch.priority.map_or(Ok(()), rt::fifo);
            let refused = ranked.is_err();
            let _ = ready.send(ranked);
            let look = (limit / 8).min(LONGEST_LOOK);
            while !refused && !is_off.load(Ordering::Acquire) {
                if let Some(lapse) = pulse.judge(clock.boot_ns()) {
                    return on_lapse(lapse);
                }
                park_timeout(look);
            }
        })?;
        made.recv().map_err(std::io::Error::other)??;
        heartbeat.0.limit_ns.store(i64::try_from(limit.as_nanos()).unwrap_or(i64::MAX - 1), Ordering::Release);
        Ok(Self { off, thread })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.off.store(true, Ordering::Release);
        self.thread.thread().unpark();
    }
}

#[cfg(test)]
mod tests;
