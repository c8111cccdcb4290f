//! The reader of the clock. Everything else is told the time; only the pacer next door asks too, for the start and the
//! lateness of its timer.
#![allow(clippy::disallowed_methods, reason = "this is the module that the rule points to")]

use std::time::{Duration, Instant, SystemTime};

use rustix::time::{ClockId, clock_gettime};
use signals::Stamp;

/// Plant time, from the wall or from tokio's paused clock.
///
/// Under the wall, plant time runs `speed` times as fast as the monotonic clock: 1 beside a plant, more against a rig
/// that runs faster. Clones agree with each other.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    source: Source,
    origin: Instant,
    speed: f64,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    Wall { utc_origin: SystemTime },
    Virtual { origin: tokio::time::Instant },
}

impl Clock {
    /// The wall's clock, starting now, `speed` times as fast. A speed that is not positive and finite counts as 1.
    #[must_use]
    pub fn wall(speed: f64) -> Self {
        let speed = if speed.is_finite() && speed > 0.0 { speed } else { 1.0 };
        Self { source: Source::Wall { utc_origin: SystemTime::now() }, origin: Instant::now(), speed }
    }

    /// The clock of the tokio runtime in which this is called: under its paused clock, virtual time.
    #[must_use]
    pub fn of_tokio() -> Self {
        let source = Source::Virtual { origin: tokio::time::Instant::now() };
        Self { source, origin: Instant::now(), speed: 1.0 }
    }

    /// The plant time now.
    #[must_use]
    pub fn now(&self) -> Stamp {
        self.both().0
    }

    /// Nanoseconds of the wall's monotonic clock since this clock was made: for measuring how long code takes. Not
    /// plant time, not an input of any decision.
    ///
    /// Under virtual time code takes no time: what a run tells the DCS of its latencies must not hang on the machine.
    #[must_use]
    pub fn wall_ns(&self) -> i64 {
        nanoseconds(self.elapsed())
    }

    /// [`Self::now`] and [`Self::wall_ns`] by one look at the clock.
    #[must_use]
    pub fn both(&self) -> (Stamp, i64) {
        let elapsed = self.elapsed();
        (Stamp::ZERO + elapsed.mul_f64(self.speed), nanoseconds(elapsed))
    }

    fn elapsed(&self) -> Duration {
        match self.source {
            Source::Wall { .. } => self.origin.elapsed(),
            Source::Virtual { origin } => origin.elapsed(),
        }
    }

    /// Nanoseconds since the machine was booted, the time that it was suspended included (`CLOCK_BOOTTIME`): by this the
    /// watchdog judges silence. Under virtual time, the virtual time.
    #[must_use]
    pub fn boot_ns(&self) -> i64 {
        match self.source {
            Source::Wall { .. } => {
                let t = clock_gettime(ClockId::Boottime);
                t.tv_sec.saturating_mul(1_000_000_000).saturating_add(t.tv_nsec)
            }
            Source::Virtual { origin } => nanoseconds(origin.elapsed()),
        }
    }

    /// The plant time at a moment of the calendar: for source times that come over the wire. Under virtual time the
    /// calendar has no meaning and the answer is now.
    #[must_use]
    pub fn at_utc(&self, utc: SystemTime) -> Stamp {
        let Source::Wall { utc_origin } = self.source else { return self.now() };
        match utc.duration_since(utc_origin) {
            Ok(after) => Stamp::ZERO + after.mul_f64(self.speed),
            Err(before) => Stamp::from_secs_f64(-before.duration().as_secs_f64() * self.speed),
        }
    }

    /// What the calendar says now, as plant time: against [`Self::now`] it tells a calendar that jumps. Under virtual time
    /// there is no calendar.
    #[must_use]
    pub fn calendar(&self) -> Option<Stamp> {
        (!self.is_virtual()).then(|| self.at_utc(SystemTime::now()))
    }

    /// Seconds of the calendar since 1970: for dates that people set, such as the end of a certificate.
    #[must_use]
    pub fn calendar_s() -> u64 {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    /// The moment of the calendar at a plant time: for people. `None` under virtual time, and beyond what a calendar holds.
    #[must_use]
    pub fn utc(&self, stamp: Stamp) -> Option<SystemTime> {
        let Source::Wall { utc_origin } = self.source else { return None };
        let span = |seconds: f64| Duration::try_from_secs_f64(seconds / self.speed).ok();
        let seconds = stamp.secs_f64();
        if seconds < 0.0 { utc_origin.checked_sub(span(-seconds)?) } else { utc_origin.checked_add(span(seconds)?) }
    }

    /// How much wall time a span of plant time takes; the longest span there is, if it takes longer.
    #[must_use]
    pub fn wall_span(&self, plant: Duration) -> Duration {
        Duration::try_from_secs_f64(plant.as_secs_f64() / self.speed).unwrap_or(Duration::MAX)
    }

    /// Whether time is virtual.
    #[must_use]
    pub fn is_virtual(&self) -> bool {
        matches!(self.source, Source::Virtual { .. })
    }
}

/// What the wall's calendar says: for what must outlive the process. Not an input of any decision of a loop.
#[must_use]
pub fn utc_now() -> SystemTime {
    SystemTime::now()
}

fn nanoseconds(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plant_time_runs_at_its_speed() {
        let clock = Clock::wall(1000.0);
        let utc = SystemTime::now();
        std::thread::sleep(Duration::from_millis(5));
        assert!(clock.now() >= Stamp::from_secs_f64(5.0));
        let (lo, hi) = (clock.at_utc(utc - Duration::from_millis(1)), clock.at_utc(utc));
        assert!((hi.since(lo).as_secs_f64() - 1.0).abs() < 1e-6);
        assert!(lo < Stamp::ZERO);
        assert_eq!(clock.wall_span(Duration::from_secs(2)), Duration::from_millis(2));
    }

    #[tokio::test(start_paused = true)]
    async fn virtual_time_moves_only_when_tokio_moves_it() {
        let clock = Clock::of_tokio();
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(clock.now(), Stamp::from_secs_f64(3600.0));
        let before = clock.wall_ns();
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(clock.wall_ns(), before, "code takes no virtual time");
    }
}
