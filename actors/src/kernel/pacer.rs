//! Beats on absolute time.
//!
//! `tokio::time::interval` is 1 to 2 ms late by construction and bursts after a stall, so the wall's beat comes from a
//! Linux `timerfd` armed once with an absolute start and an interval: its phase cannot drift, and a late reader is told
//! how many expirations it missed instead of being sent them one by one. A process that was stopped, or a thread that
//! was blocked, for many periods gets one beat, which says how many were dropped.
//!
//! A thread that sleeps until the moment itself is late by what its wake-up takes: some microseconds on bare metal, some
//! tens through a hypervisor. So the timer is armed a little earlier, and the rest is waited for awake. That costs its
//! thread at most [`LEAD`] of each beat, and never more than a twentieth of the period.
//!
//! The timer runs on `CLOCK_MONOTONIC`, which stands while the machine is suspended: then no beat is dropped, and it is the
//! watchdog that notices. Lateness is that of the beats that are released; dropped ones have none.
//!
//! Sources: timerfd_create(2), clock_gettime(2).

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

use super::clock::Clock;

/// The periods that a timer keeps, in wall time; under virtual time, in virtual time.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// How long before its beat a thread is woken, at most: more than most wake-ups take on a virtual machine, out of deep idle
/// states too, and 0.15 % of a processor for a loop of 1 s.
const LEAD: Duration = Duration::from_micros(150);
/// The part of a period that may be waited for awake.
const LEAD_OF_PERIOD: u32 = 20;

/// One tick of a pacer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// Counts the scheduled beats since the start, dropped ones included: the phase.
    pub index: u64,
    /// How many beats before this one were dropped because the last one ran over them.
    pub dropped: u64,
    /// How late, in wall time, this beat is.
    pub lateness: Duration,
}

/// A timer that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PacerError {
    /// The period is not one that a timer can keep.
    #[error("period {0:?} is not of {SHORTEST:?} to {LONGEST:?} of wall time")]
    Period(Duration),
    /// The operating system refused the timer.
    #[error("cannot set up a timerfd: {0}")]
    Timer(#[from] std::io::Error),
}

/// A source of beats. Keeps its phase, drops and counts the beats it is late for, never bursts.
#[derive(Debug)]
pub struct Pacer {
    period: Duration,
    next_index: u64,
    timer: Timer,
}

#[derive(Debug)]
enum Timer {
    Wall { fd: AsyncFd<OwnedFd>, start: Timespec },
    Virtual { start: Instant },
}

impl Pacer {
    /// Beats every `period` of plant time on `clock`, the first one period from now. Call it inside the runtime that
    /// will wait for the beats.
    ///
    /// # Errors
    /// [`PacerError`] when the wall period is below 1 ms or above a year, or the operating system gives no timer.
    pub fn new(clock: &Clock, period: Duration) -> Result<Self, PacerError> {
        let period = clock.wall_span(period);
        if !(SHORTEST..=LONGEST).contains(&period) {
            return Err(PacerError::Period(period));
        }
        if clock.is_virtual() {
            return Ok(Self { period, next_index: 0, timer: Timer::Virtual { start: Instant::now() + period } });
        }
        let start = clock_gettime(ClockId::Monotonic) + timespec(period);
        let armed = start - timespec(LEAD.min(period / LEAD_OF_PERIOD));
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags).map_err(std::io::Error::from)?;
        let spec = Itimerspec { it_interval: timespec(period), it_value: armed };
        timerfd_settime(&fd, TimerfdTimerFlags::ABSTIME, &spec).map_err(std::io::Error::from)?;
        #[allow(
            deprecated,
            reason = "`register` is unsafe code; `new` is sound here: the OwnedFd stays in the AsyncFd until both are dropped"
        )]
        let fd = AsyncFd::new(fd)?;
        Ok(Self { period, next_index: 0, timer: Timer::Wall { fd, start } })
    }

    /// Waits for the next beat.
    ///
    /// # Errors
    /// The operating system's, if reading the timer fails; the pacer is then of no use any more.
    pub async fn next(&mut self) -> Result<Tick, PacerError> {
        let (dropped, since_start) = match &self.timer {
            Timer::Wall { fd, start } => {
                let dropped = read_expirations(fd).await? - 1;
                let due = self.scheduled_ns(self.next_index.saturating_add(dropped));
                (dropped, awake_until(nanos(*start).saturating_add(due)).saturating_sub(nanos(*start)))
            }
            Timer::Virtual { start } => {
                let scheduled = self.scheduled_ns(self.next_index);
                // Beyond what the clock can tell there are no beats.
                let Some(due) = start.checked_add(duration_ns(scheduled)) else { return std::future::pending().await };
                tokio::time::sleep_until(due).await;
                (0, scheduled)
            }
        };
        let index = self.next_index.saturating_add(dropped);
        self.next_index = index.saturating_add(1);
        let lateness = duration_ns(since_start.saturating_sub(self.scheduled_ns(index)));
        Ok(Tick { index, dropped, lateness })
    }

    /// When the beat `index` is due, after the first one. A u128 holds any product of two u64.
    fn scheduled_ns(&self, index: u64) -> u128 {
        u128::from(index) * self.period.as_nanos()
    }
}

/// Waits without sleeping until `due_ns` of the monotonic clock; what the clock says then, ns. At most [`LEAD`] away: the
/// timer, on the same clock, let us through.
fn awake_until(due_ns: u128) -> u128 {
    loop {
        let now_ns = nanos(clock_gettime(ClockId::Monotonic));
        if now_ns >= due_ns {
            return now_ns;
        }
        std::hint::spin_loop();
    }
}

/// How many periods have passed since the last read; at least 1.
async fn read_expirations(fd: &AsyncFd<OwnedFd>) -> Result<u64, PacerError> {
    loop {
        let mut guard = fd.readable().await?;
        let mut count = [0_u8; 8];
        match guard.try_io(|fd| Ok(rustix::io::read(fd, &mut count)?)) {
            Ok(Ok(_)) => return Ok(u64::from_ne_bytes(count).max(1)),
            Ok(Err(e)) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Ok(Err(e)) => return Err(e.into()),
            Err(_would_block) => {}
        }
    }
}

fn timespec(span: Duration) -> Timespec {
    Timespec { tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX), tv_nsec: i64::from(span.subsec_nanos()) }
}

fn nanos(t: Timespec) -> u128 {
    u128::try_from(i128::from(t.tv_sec) * 1_000_000_000 + i128::from(t.tv_nsec)).unwrap_or(0)
}

fn duration_ns(ns: u128) -> Duration {
    Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn wall_a_stall_drops_beats_keeps_phase_and_does_not_burst() {
        let mut pacer = Pacer::new(&Clock::wall(1.0), Duration::from_millis(20)).unwrap();
        let first = pacer.next().await.unwrap();
        assert_eq!(first.index, 0);
        std::thread::sleep(Duration::from_millis(70));
        let late = pacer.next().await.unwrap();
        assert!(late.dropped >= 2, "{late:?}");
        assert_eq!(late.index, first.index + late.dropped + 1);
        let next = pacer.next().await.unwrap();
        assert_eq!(next.index, late.index + 1 + next.dropped, "one beat, not a burst");
    }

    /// The timer is early on purpose; without the wait awake this fails at the first beat.
    #[tokio::test]
    async fn no_beat_is_let_go_before_its_time() {
        let mut pacer = Pacer::new(&Clock::wall(1.0), Duration::from_millis(2)).unwrap();
        let Timer::Wall { start, .. } = pacer.timer else { panic!("the wall's") };
        for _ in 0..50 {
            let tick = pacer.next().await.unwrap();
            let let_go = nanos(clock_gettime(ClockId::Monotonic));
            assert!(let_go >= nanos(start) + pacer.scheduled_ns(tick.index), "{tick:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn virtual_beats_are_exact() {
        let clock = Clock::of_tokio();
        let mut pacer = Pacer::new(&clock, Duration::from_millis(1800)).unwrap();
        for k in 0..1000_u32 {
            assert_eq!(pacer.next().await.unwrap().index, u64::from(k));
            assert_eq!(clock.now().since(signals::Stamp::ZERO), Duration::from_millis(1800) * (k + 1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn virtual_beats_of_hours_keep_their_phase_for_years() {
        let (clock, period) = (Clock::of_tokio(), Duration::from_secs(7 * 3600));
        let mut pacer = Pacer::new(&clock, period).unwrap();
        for k in 0..2000_u32 {
            let tick = pacer.next().await.unwrap();
            assert_eq!((tick.index, tick.dropped, tick.lateness), (u64::from(k), 0, Duration::ZERO));
            assert_eq!(clock.now().since(signals::Stamp::ZERO), period * (k + 1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn near_the_end_of_the_clock_there_is_no_overflow_and_no_beat() {
        let mut pacer = Pacer::new(&Clock::of_tokio(), LONGEST).unwrap();
        assert_eq!(pacer.scheduled_ns(u64::MAX), u128::from(u64::MAX) * LONGEST.as_nanos());
        pacer.next_index = u64::MAX;
        let century = Duration::from_secs(100 * 366 * 24 * 3600);
        assert!(tokio::time::timeout(century, pacer.next()).await.is_err());
    }

    /// The kernel's arithmetic, not ours: a timer of hours is armed for the right moment.
    #[tokio::test]
    async fn a_wall_period_of_hours_is_armed_on_absolute_time() {
        for hours in [1, 24, 366 * 24] {
            let period = Duration::from_secs(3600 * hours);
            let pacer = Pacer::new(&Clock::wall(1.0), period).unwrap();
            let Timer::Wall { fd, .. } = &pacer.timer else { panic!("the wall's") };
            let armed = rustix::time::timerfd_gettime(fd.get_ref()).unwrap();
            assert_eq!(nanos(armed.it_interval), period.as_nanos());
            let left = nanos(armed.it_value);
            assert!(left <= period.as_nanos() && left > period.as_nanos() - 10_000_000_000, "{armed:?}");
        }
    }

    #[tokio::test]
    async fn wall_a_period_of_a_millisecond_beats_a_thousand_times_a_second() {
        let clock = Clock::wall(1.0);
        let mut pacer = Pacer::new(&clock, Duration::from_millis(1)).unwrap();
        let mut last = pacer.next().await.unwrap();
        let begun_ns = clock.wall_ns();
        let first = last.index;
        while last.index < first + 1000 {
            last = pacer.next().await.unwrap();
        }
        // Beats that this machine was too busy for are dropped, so the count holds whatever the load.
        let took_s = (clock.wall_ns() - begun_ns) as f64 * 1e-9;
        assert!((took_s - (last.index - first) as f64 * 1e-3).abs() < 0.05, "{took_s} s for {}", last.index - first);
    }

    #[tokio::test(start_paused = true)]
    async fn a_period_that_no_timer_keeps_is_refused() {
        let (wall, fast, of_tokio) = (Clock::wall(1.0), Clock::wall(1000.0), Clock::of_tokio());
        let refused = |clock: &Clock, period| matches!(Pacer::new(clock, period), Err(PacerError::Period(_)));
        assert!(refused(&fast, Duration::from_millis(999)));
        for clock in [wall, of_tokio] {
            assert!(refused(&clock, Duration::ZERO) && refused(&clock, Duration::from_micros(999)));
            assert!(refused(&clock, LONGEST + Duration::from_secs(1)) && refused(&clock, Duration::MAX));
        }
    }
}
