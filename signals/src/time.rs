//! Plant time. Pure code never reads a clock: it is given a [`Stamp`].

use std::ops::Add;
use std::time::Duration;

/// An instant of plant time: nanoseconds since the start of the run. Against a rig that runs n times faster than
/// the wall, plant time runs n times faster too, so a period is a period whatever the speed.
///
/// Negative stamps are lawful: a source may have taken its sample before the run began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(i64);

impl Stamp {
    /// The start of the run.
    pub const ZERO: Self = Self(0);
    /// A time so long ago that whatever bears it is stale.
    pub const NEVER: Self = Self(i64::MIN / 2);

    /// A stamp of `nanos` nanoseconds after the start of the run.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// A stamp of `seconds` after the start of the run; saturates, and a NaN gives the start.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "float to integer casts saturate, which is what is wanted")]
    pub fn from_secs_f64(seconds: f64) -> Self {
        Self((seconds * 1e9) as i64)
    }

    /// Nanoseconds since the start of the run.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Seconds since the start of the run.
    #[must_use]
    pub fn secs_f64(self) -> f64 {
        self.0 as f64 * 1e-9
    }

    /// How long after `earlier` this stamp is; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Stamp {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_never_goes_below_zero() {
        let (a, b) = (Stamp::from_nanos(5), Stamp::from_nanos(9));
        assert_eq!(b.since(a), Duration::from_nanos(4));
        assert_eq!(a.since(b), Duration::ZERO);
        assert!(Stamp::ZERO.since(Stamp::NEVER) > Duration::from_secs(1 << 31));
    }

    #[test]
    fn adding_saturates() {
        assert_eq!(Stamp::from_nanos(i64::MAX) + Duration::MAX, Stamp::from_nanos(i64::MAX));
    }
}
