//! The wall clock: the one place of this crate that reads a clock.
//!
//! Place in the loop: it turns wall time into the plant time that [`rig::Rig::step`] is given, n times faster if
//! asked, and plant time back into the UTC that OPC UA wants. What cannot be caught up within half a second of wall
//! time is dropped and counted: the plant then ran slower than asked, it never ran in leaps.

#![allow(clippy::disallowed_methods, reason = "the adapter that reads the wall clock for the whole crate")]

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use signals::Stamp;
use tokio::time::Instant;

/// The most wall time that one call of [`WallClock::due`] hands out.
const CATCH_UP_MAX: Duration = Duration::from_millis(500);

/// A wall clock whose plant time runs `speed` times as fast.
#[derive(Clone, Debug)]
pub struct WallClock {
    start: Instant,
    handed_out: Duration,
    dropped: Duration,
    speed: f64,
}

impl WallClock {
    /// A clock that starts now; `speed` is in plant seconds per wall second, finite and above zero.
    #[must_use]
    pub fn start(speed: f64) -> Self {
        Self { start: Instant::now(), handed_out: Duration::ZERO, dropped: Duration::ZERO, speed }
    }

    /// Wall time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Wall time that was dropped because the rig could not keep up.
    #[must_use]
    pub fn dropped(&self) -> Duration {
        self.dropped
    }

    /// The plant time that has fallen due since the last call.
    pub fn due(&mut self) -> Duration {
        self.hand_out(self.elapsed())
    }

    fn hand_out(&mut self, elapsed: Duration) -> Duration {
        let late = elapsed.saturating_sub(self.handed_out + self.dropped);
        let now = late.min(CATCH_UP_MAX);
        self.dropped += late - now;
        self.handed_out += now;
        now.mul_f64(self.speed)
    }

    /// The instant `wait` from now.
    #[must_use]
    pub fn after(&self, wait: Duration) -> Instant {
        Instant::now() + wait
    }

    /// UTC at `stamp`, when plant time is `now`; none for a stamp that was never set.
    #[must_use]
    pub fn utc(&self, stamp: Stamp, now: Stamp) -> Option<DateTime<Utc>> {
        if stamp == Stamp::NEVER {
            return None;
        }
        let age = now.since(stamp).div_f64(self.speed);
        Some(Utc::now() - TimeDelta::from_std(age).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plant_time_runs_n_times_faster_and_never_leaps() {
        let mut clock = WallClock::start(60.0);
        let mut at = |ms| clock.hand_out(Duration::from_millis(ms)).as_millis();
        assert_eq!([at(100), at(100), at(10_100), at(10_110)], [6_000, 0, 30_000, 600]);
        assert_eq!(clock.dropped(), Duration::from_millis(9_500));
    }

    #[test]
    fn an_age_in_plant_time_shrinks_by_the_speed() {
        let clock = WallClock::start(10.0);
        let now = Stamp::from_secs_f64(100.0);
        let (older, newer) = (clock.utc(Stamp::from_secs_f64(50.0), now).unwrap(), clock.utc(now, now).unwrap());
        let seconds = (newer - older).as_seconds_f64();
        assert!((seconds - 5.0).abs() < 0.1, "{seconds}");
        assert_eq!(clock.utc(Stamp::NEVER, now), None);
    }
}
