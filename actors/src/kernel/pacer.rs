//! Beats on absolute time.
//!
//! `tokio::time::interval` is 1 to 2 ms late by construction and bursts after a stall, so the wall's beat comes from a
//! Linux `timerfd` armed once with an absolute start and an interval: its phase cannot drift, and a late reader is told
//! how many expirations it missed instead of being sent them one by one.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

use super::clock::Clock;

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
    /// The period is too short to be a wall period.
    #[error("period {0:?} is below the shortest, 1 ms of wall time")]
    TooShort(Duration),
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
    /// [`PacerError`] when the wall period is below 1 ms or the operating system gives no timer.
    pub fn new(clock: &Clock, period: Duration) -> Result<Self, PacerError> {
        if clock.is_virtual() {
            return Ok(Self { period, next_index: 0, timer: Timer::Virtual { start: Instant::now() + period } });
        }
        let period = clock.wall_span(period);
        if period < Duration::from_millis(1) {
            return Err(PacerError::TooShort(period));
        }
        let start = clock_gettime(ClockId::Monotonic) + timespec(period);
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags).map_err(std::io::Error::from)?;
        let spec = Itimerspec { it_interval: timespec(period), it_value: start };
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
        let (expired, lateness) = match &self.timer {
            Timer::Wall { fd, start } => {
                let expired = read_expirations(fd).await?;
                let scheduled = u128::from(self.next_index + expired - 1) * self.period.as_nanos();
                let since_start = nanos(clock_gettime(ClockId::Monotonic)).saturating_sub(nanos(*start));
                (expired, duration_ns(since_start.saturating_sub(scheduled)))
            }
            Timer::Virtual { start } => {
                let due = *start + duration_ns(u128::from(self.next_index) * self.period.as_nanos());
                tokio::time::sleep_until(due).await;
                (1, Duration::ZERO)
            }
        };
        let index = self.next_index + expired - 1;
        self.next_index = index + 1;
        Ok(Tick { index, dropped: expired - 1, lateness })
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

    #[tokio::test(start_paused = true)]
    async fn virtual_beats_are_exact() {
        let clock = Clock::of_tokio();
        let mut pacer = Pacer::new(&clock, Duration::from_millis(1800)).unwrap();
        for k in 0..1000_u32 {
            assert_eq!(pacer.next().await.unwrap().index, u64::from(k));
            assert_eq!(clock.now().since(signals::Stamp::ZERO), Duration::from_millis(1800) * (k + 1));
        }
    }

    #[tokio::test]
    async fn a_period_below_a_millisecond_is_refused() {
        let refused = Pacer::new(&Clock::wall(1000.0), Duration::from_millis(500));
        assert!(matches!(refused, Err(PacerError::TooShort(_))));
    }
}
