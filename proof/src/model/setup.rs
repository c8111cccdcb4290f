//! The numbers of the model: how its DCS and its interlock are configured, and how finely its time is cut.

use std::time::Duration;

use rig::RigConfig;
use safety::{
    CheckSet, Effect, Interlock, InterlockConfig, Latch, MvChecks, Reach, Role, Row, TagChecks, TagReactions,
};

use super::bug::Bug;
use crate::ProofError;

/// The control period T.
pub(super) const PERIOD: Duration = Duration::from_secs(10);
/// The engineering limits of the MV, in its unit; the DCS's clamp is the same.
pub(super) const LOW: f64 = 280.0;
/// The upper one.
pub(super) const HIGH: f64 = 320.0;
/// How much too wide a seeded bug reads them.
pub(super) const MISREAD: f64 = 20.0;
/// The fastest lawful change of the set-point per second, for the interlock and the DCS alike.
pub(super) const RATE_PER_S: f64 = 0.5;
/// The span of the MV.
pub(super) const SPAN: f64 = 60.0;
/// The measurement in order.
pub(super) const CV_GOOD: f64 = 324.0;
/// The end of its range.
pub(super) const CV_HIGH: f64 = 400.0;
/// A measurement that trips.
pub(super) const CV_TRIPS: f64 = 500.0;
/// How many periods of silence the interlock bears.
pub(super) const SILENT_PERIODS: u64 = 2;
/// By how many scans a message may be late at most. Later ones never arrive: the link gives up a request, and closes a
/// connection, long before an operator can engage again.
pub(super) const LATE_MAX: u64 = 2;

const RIG: &str = include_str!("rig.toml");

/// How finely time is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    /// One scan per control period.
    Period,
    /// Two.
    Half,
}

impl Grain {
    /// Scans per control period.
    #[must_use]
    pub fn scans(self) -> u32 {
        match self {
            Self::Period => 1,
            Self::Half => 2,
        }
    }
}

/// A variant of the model.
#[derive(Clone, Debug)]
pub struct Setup {
    /// How finely time is cut.
    pub grain: Grain,
    /// How far the loop may go.
    pub reach: Reach,
    /// What is wrong with it on purpose.
    pub bug: Option<Bug>,
    pub(super) rig: RigConfig,
    interlock: InterlockConfig,
    fresh: Interlock,
}

impl Setup {
    /// A variant.
    ///
    /// # Errors
    /// [`ProofError`] when a configuration is refused.
    pub fn new(grain: Grain, reach: Reach, bug: Option<Bug>) -> Result<Self, ProofError> {
        let mut rig = RigConfig::parse(RIG, "rig.toml")?;
        rig.scan = PERIOD / grain.scans();
        if bug == Some(Bug::WatchdogInMinutes) {
            rig.period *= 60;
        }
        let mut interlock = interlock_config(reach);
        for mv in &mut interlock.mvs {
            match bug {
                Some(Bug::RatePerMinute) => mv.rate_max_per_s *= 60.0,
                Some(Bug::ClampMisread) => (mv.lo, mv.hi) = (mv.lo - MISREAD, mv.hi + MISREAD),
                _ => {}
            }
        }
        let fresh = Interlock::new(interlock.clone())?;
        Ok(Self { grain, reach, bug, rig, interlock, fresh })
    }

    /// The time between two scans.
    pub(super) fn scan(&self) -> Duration {
        PERIOD / self.grain.scans()
    }

    /// So many scans take as long as `periods`.
    pub(super) fn scans_of(&self, periods: u64) -> u64 {
        periods * u64::from(self.grain.scans())
    }

    /// The interlock of a process that starts and finds `latch` where it keeps it.
    pub(super) fn interlock(&self, latch: Latch) -> Interlock {
        // The configuration was accepted when the setup was made.
        Interlock::with_latch(self.interlock.clone(), latch).unwrap_or_else(|_| self.fresh.clone())
    }
}

fn interlock_config(reach: Reach) -> InterlockConfig {
    let cv = TagChecks {
        hysteresis: 1.0,
        rate_max_per_s: 1e6,
        reactions: TagReactions::of(Role::Critical, Duration::ZERO).with(Row::Range, Effect::Trip),
        ..TagChecks::customary(Role::Critical, 280.0, CV_HIGH, PERIOD)
    };
    let mv = MvChecks { span: SPAN, ..MvChecks::customary(LOW, HIGH, RATE_PER_S, PERIOD) };
    InterlockConfig {
        heartbeat_timeout: PERIOD * 2,
        hold_periods: 1,
        solver_failures_hold: 1,
        solver_failures_shed: 3,
        // A scan of the model is as long as a period.
        scan_max: PERIOD * 2,
        switched_off: CheckSet::EMPTY,
        ..InterlockConfig::customary(PERIOD, reach, vec![cv], 1, vec![mv])
    }
}
