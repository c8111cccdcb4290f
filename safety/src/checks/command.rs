//! Checks 13, 14 and 23: what the DCS does with an MV.

use std::time::Duration;

use signals::Stamp;
use signals::dcs::{MvMode, MvRead};

use super::Look;
use super::finding::{Findings, Hazard};
use crate::cause::{Cause, finite};
use crate::check::{CheckId, CheckSet};
use crate::config::{MvChecks, Travel};
use crate::handshake::{MvScan, Service};
use crate::limits::Range;
use crate::row::Row;
use crate::verdict::Events;

/// What a step sees of one MV, and what is remembered of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MvSeen<'a> {
    pub(crate) read: &'a MvRead,
    pub(crate) scan: MvScan,
    /// The set-point last approved for it, while it was ours at that approval.
    pub(crate) approved: Option<f64>,
    /// Everything approved has been confirmed.
    pub(crate) settled: bool,
    /// The loop is engaged.
    pub(crate) engaged: bool,
    /// Since the step before.
    pub(crate) elapsed: Duration,
    /// The control cycle.
    pub(crate) cycle: u64,
}

/// Check 13. Where a confirmed set-point should have taken `SP_ACT`: a model of the DCS's ramp, at `ROC_MAX` toward the
/// set-point inside its clamps. When the DCS begins the ramp we do not know, so `SP_ACT` may be anywhere where the model was
/// in this control cycle or the last, or at the end of the ramp already.
#[derive(Clone, Copy, Debug, Default)]
struct Readback {
    ramp: Option<Ramp>,
    found: bool,
}

#[derive(Clone, Copy, Debug)]
struct Ramp {
    at: f64,
    cycle: u64,
    now: Range,
    before: Range,
}

impl Readback {
    /// Whether `SP_ACT` is where it cannot be. What is not confirmed yet is not judged, and what was found stays.
    fn observe(&mut self, tolerance: f64, seen: &MvSeen<'_>) -> Option<(f64, f64)> {
        let judged = seen.approved.filter(|_| seen.engaged && seen.scan.service == Service::In);
        let Some(((target, sp_act), bounds)) = judged.zip(seen.scan.sp_act).zip(seen.scan.bounds) else {
            *self = Self::default();
            return None;
        };
        let point = |at| Range { lo: at, hi: at };
        let ramp =
            self.ramp.get_or_insert(Ramp { at: sp_act, cycle: seen.cycle, now: point(sp_act), before: point(sp_act) });
        if seen.settled {
            let target = bounds.hard.nearest(target);
            let reach = seen.read.roc_max.finite().unwrap_or(0.0).max(0.0) * seen.elapsed.as_secs_f64();
            if ramp.cycle != seen.cycle {
                (ramp.before, ramp.now, ramp.cycle) = (ramp.now, point(ramp.at), seen.cycle);
            }
            ramp.at = target.max(ramp.at - reach).min(ramp.at + reach);
            ramp.now = ramp.now.with(ramp.at);
            let may_be = ramp.now.with(ramp.before.lo).with(ramp.before.hi).with(target);
            self.found = !may_be.holds(sp_act, tolerance);
        }
        self.found.then_some((sp_act, ramp.at))
    }
}

/// How many parts a window is kept in.
const BINS: usize = 8;

#[derive(Clone, Copy, Debug, Default)]
struct Bin {
    travel: f64,
    reversals: u32,
}

/// Check 14: the travel and the reversals of `SP_ACT` over a window that moves on by an eighth of itself.
#[derive(Clone, Copy, Debug, Default)]
struct Wear {
    bins: [Bin; BINS],
    /// The bin that is being filled, counted from the start of time.
    bin: i64,
    last: Option<f64>,
    /// Where it turned last, and which way it went from there.
    turned_at: f64,
    rising: Option<bool>,
}

impl Wear {
    fn observe(&mut self, config: Travel, sp_act: Option<f64>, now: Stamp) -> Bin {
        let part_ns = i64::try_from(config.window.as_nanos()).unwrap_or(i64::MAX) / BINS as i64;
        let bin = now.nanos().div_euclid(part_ns.max(1));
        let passed = usize::try_from(bin.saturating_sub(self.bin)).unwrap_or(BINS).min(BINS);
        self.bins.rotate_right(passed);
        self.bins.iter_mut().take(passed).for_each(|old| *old = Bin::default());
        self.bin = bin;
        match (sp_act, self.last) {
            (Some(sp), Some(last)) => {
                let reversed = self.turn(sp, config.dead_band);
                if let Some(newest) = self.bins.first_mut() {
                    newest.travel += (sp - last).abs();
                    newest.reversals = newest.reversals.saturating_add(u32::from(reversed));
                }
            }
            (Some(sp), None) => (self.turned_at, self.rising) = (sp, None),
            (None, _) => {}
        }
        self.last = sp_act;
        self.bins.iter().fold(Bin::default(), |sum, bin| Bin {
            travel: sum.travel + bin.travel,
            reversals: sum.reversals.saturating_add(bin.reversals),
        })
    }

    /// Follows the value to its furthest point; whether it has come back from there by more than the dead band.
    fn turn(&mut self, sp: f64, dead_band: f64) -> bool {
        let on = match self.rising {
            Some(true) => sp >= self.turned_at,
            Some(false) => sp <= self.turned_at,
            None => false,
        };
        let away = sp - self.turned_at;
        if on {
            self.turned_at = sp;
        } else if away.abs() > dead_band {
            self.turned_at = sp;
            return self.rising.replace(away.is_sign_positive()).is_some();
        }
        false
    }
}

/// The memory of checks 13, 14 and 23 of one MV.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MvMonitor {
    readback: Readback,
    wear: Wear,
    /// It was taken out of RCAS since the loop engaged, and is not back.
    left: bool,
    findings: Findings<{ Row::MV.len() }>,
}

impl MvMonitor {
    pub(crate) fn new() -> Self {
        Self {
            readback: Readback::default(),
            wear: Wear::default(),
            left: false,
            findings: Findings::new(Row::Readback),
        }
    }

    pub(crate) fn observe(&mut self, mv: u16, checks: &MvChecks, seen: &MvSeen<'_>, look: Look) {
        let on = |check: CheckId| move |_: &Cause| !look.off.contains(check);
        let readback = self.readback.observe(checks.readback_tolerance, seen);
        let readback = readback.map(|(sp_act, expected)| Cause::Readback { mv, sp_act, expected: finite(expected) });
        self.findings.set(Row::Readback, readback.filter(on(CheckId::Readback)), look.now);
        if let Some(config) = checks.travel {
            let sp_act = seen.scan.sp_act.filter(|_| seen.scan.service == Service::In);
            let Bin { travel, reversals } = self.wear.observe(config, sp_act, look.now);
            let far = (travel > config.travel_max).then(|| Cause::Travel {
                mv,
                travel: finite(travel),
                limit: finite(config.travel_max),
            });
            let often = (reversals > config.reversals_max).then_some(Cause::Chatter {
                mv,
                reversals,
                limit: config.reversals_max,
            });
            self.findings.set(Row::Travel, far.filter(on(CheckId::Travel)), look.now);
            self.findings.set(Row::Chatter, often.filter(on(CheckId::Travel)), look.now);
        }
        let mode = seen.read.mode.good();
        let taken = seen.approved.is_some() && mode.is_some_and(|mode| mode != MvMode::Rcas);
        let switched_off = seen.read.opr_on.good() != Some(true);
        self.left = (self.left || taken) && seen.engaged && !switched_off && mode != Some(MvMode::Rcas);
        let left = self.left.then_some(Cause::LeftRcas { mv });
        self.findings.set(Row::LeftRcas, left.filter(on(CheckId::OperatorMode)), look.now);
    }

    /// Which checks are bypassed from now on.
    pub(crate) fn bypass(&mut self, checks: CheckSet) {
        self.findings.bypass(checks);
    }

    pub(crate) fn worst(&self, checks: &MvChecks, now: Stamp) -> Option<Hazard> {
        self.findings.worst(&checks.reactions, now)
    }

    pub(crate) fn present(&self) -> impl Iterator<Item = Cause> {
        self.findings.present()
    }

    pub(crate) fn tripping(&self, checks: &MvChecks) -> Option<Cause> {
        self.findings.tripping(&checks.reactions)
    }

    pub(crate) fn tell(&mut self, checks: &MvChecks, now: Stamp, events: &mut Events) {
        self.findings.tell(&checks.reactions, now, events);
    }
}

#[cfg(test)]
mod tests {
    use signals::Stamp;
    use signals::dcs::Reading;

    use super::*;
    use crate::limits::Bounds;

    /// Shows check 13 the same `SP_ACT` of 50 in cycle after cycle, 2 s apart, at a rate of 3 per second, after 50 and then
    /// `target` were approved; gives what it found in each.
    fn stuck(target: f64, engaged: bool, cycles: u64) -> Vec<Option<(f64, f64)>> {
        let good = |value| Reading::of(value, Stamp::ZERO);
        let read = MvRead { clamp_lo: good(0.0), clamp_hi: good(100.0), roc_max: good(3.0), ..MvRead::default() };
        let checks = MvChecks::customary(0.0, 100.0, 3.0, Duration::from_secs(2));
        let bounds = Bounds::of(&checks, &read, None, 2.0);
        let scan = MvScan { service: Service::In, sp_act: Some(50.0), bounds, ..MvScan::default() };
        let mut readback = Readback::default();
        let mut seen = MvSeen {
            read: &read,
            scan,
            approved: Some(50.0),
            settled: true,
            engaged,
            elapsed: Duration::from_secs(2),
            cycle: 0,
        };
        assert_eq!(readback.observe(0.5, &seen), None);
        let mut one = |cycle| {
            (seen.approved, seen.cycle) = (Some(target), cycle);
            readback.observe(0.5, &seen)
        };
        (1..=cycles).map(&mut one).collect()
    }

    #[test]
    fn a_set_point_that_stays_is_found_when_the_ramp_has_left_it_two_cycles_ago() {
        // 44 after the first cycle, 38 after the second: then what was in force a cycle ago is 44 to 38 at most.
        assert_eq!(stuck(20.0, true, 3), [None, None, Some((50.0, 32.0))]);
        assert_eq!(stuck(80.0, true, 3), [None, None, Some((50.0, 68.0))]);
        assert_eq!(stuck(50.0, true, 3), [None; 3], "the negative control");
        assert_eq!(stuck(20.0, false, 3), [None; 3], "of a loop that is not engaged nothing is asked");
    }

    const TRAVEL: Travel =
        Travel { window: Duration::from_secs(8), travel_max: 100.0, reversals_max: 100, dead_band: 1.0 };

    /// Travel and reversals after these values, each with its second.
    fn worn(values: &[(f64, f64)]) -> (f64, u32) {
        let mut wear = Wear::default();
        let mut seen = values.iter().map(|(at_s, sp)| wear.observe(TRAVEL, Some(*sp), Stamp::from_secs_f64(*at_s)));
        let Bin { travel, reversals } = seen.by_ref().last().unwrap();
        (travel, reversals)
    }

    /// The rows that are found on an engaged MV after these values of `SP_ACT` in RCAS, and then in that mode.
    fn found(values: &[f64], approved: Option<f64>, mode: MvMode) -> Vec<Row> {
        let good = |value| Reading::of(value, Stamp::ZERO);
        let travel = Some(Travel { travel_max: 10.0, ..TRAVEL });
        let checks = MvChecks { travel, ..MvChecks::customary(0.0, 100.0, 100.0, Duration::from_secs(1)) };
        let mut read = MvRead { opr_on: Reading::of(true, Stamp::ZERO), roc_max: good(100.0), ..MvRead::default() };
        let mut monitor = MvMonitor::new();
        for (n, sp) in values.iter().enumerate() {
            let is_last = n + 1 == values.len();
            read.mode = Reading::of(if is_last { mode } else { MvMode::Rcas }, Stamp::ZERO);
            let scan = MvScan { service: Service::In, sp_act: Some(*sp), ..MvScan::default() };
            let elapsed = Duration::from_secs(1);
            let seen = MvSeen { read: &read, scan, approved, settled: false, engaged: true, elapsed, cycle: n as u64 };
            monitor.observe(
                0,
                &checks,
                &seen,
                Look { off: CheckSet::EMPTY, now: Stamp::from_secs_f64(100.0), moves: 0 },
            );
        }
        monitor.present().map(|cause| cause.row()).collect()
    }

    #[test]
    fn a_travel_of_exactly_what_may_be_is_none_too_far() {
        assert_eq!(found(&[50.0, 60.0], Some(60.0), MvMode::Rcas), []);
        assert_eq!(found(&[50.0, 60.1], Some(60.0), MvMode::Rcas), [Row::Travel]);
    }

    #[test]
    fn only_an_mv_that_was_ours_is_taken_out_of_rcas() {
        assert_eq!(found(&[50.0], Some(50.0), MvMode::Auto), [Row::LeftRcas]);
        assert_eq!(found(&[50.0], None, MvMode::Auto), []);
        assert_eq!(found(&[50.0], Some(50.0), MvMode::Rcas), []);
    }

    #[test]
    fn what_lies_behind_the_window_is_forgotten() {
        assert_eq!(worn(&[(100.0, 0.0), (100.5, 10.0), (107.9, 12.0)]), (12.0, 0));
        assert_eq!(worn(&[(100.0, 0.0), (100.5, 10.0), (108.1, 12.0)]), (2.0, 0));
    }

    #[test]
    fn it_has_turned_back_once_it_is_more_than_the_dead_band_from_its_furthest_point() {
        assert_eq!(worn(&[(100.0, 0.0), (101.0, 10.0), (102.0, 9.0)]).1, 0);
        assert_eq!(worn(&[(100.0, 0.0), (101.0, 10.0), (102.0, 8.9)]).1, 1);
        assert_eq!(worn(&[(100.0, 0.0), (101.0, 10.0), (102.0, 9.5), (103.0, 8.9)]).1, 1, "step by step");
        assert_eq!(worn(&[(100.0, 10.0), (101.0, 0.0), (102.0, 1.1), (103.0, 0.0)]).1, 2, "and up again");
    }
}
