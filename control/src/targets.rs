//! What the operator asks of the controller, made fit for the optimiser: set-points, limits and which MVs are free.
//!
//! Stands between the DCS image and the MPC. The rules are those of `docs/dcs-interface.md`: an operator's value that
//! is bad or crossed does not count and the last good one holds; an MV that is not handed over is not moved; a wound-up
//! MV moves only back.

use std::time::Duration;

use signals::dcs::{CvRead, DcsView, MvMode, MvRead, Windup};
use signals::{Fixed, MAX_CVS, MAX_MVS, Values};

/// The part of a plant file that bounds the optimiser.
#[derive(Clone, Debug)]
pub struct TargetsConfig {
    /// The control period T.
    pub period: Duration,
    /// Per CV, in the loop's order.
    pub cvs: Vec<CvTarget>,
    /// Per MV, in the model's order.
    pub mvs: Vec<MvRange>,
}

/// How one CV is aimed at.
#[derive(Clone, Copy, Debug)]
pub struct CvTarget {
    /// Whether it has a set-point; otherwise only its limits count.
    pub has_setpoint: bool,
    /// How far inside the operator's limits the controller keeps, in the CV's unit.
    pub margin: f64,
}

/// The hard range of one MV, in its unit and per second of plant time.
#[derive(Clone, Copy, Debug)]
pub struct MvRange {
    /// Lower limit.
    pub low: f64,
    /// Upper limit.
    pub high: f64,
    /// Largest rate of change.
    pub rate_max_per_s: f64,
    /// Where the MV rests when the CVs leave it the choice.
    pub rest: Option<f64>,
    /// Whether the loop may move it; one that it may not is known to the model where it stands.
    pub commissioned: bool,
}

/// What the optimiser is to do now, in model units.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Targets {
    /// Per CV; `None` for limits only.
    pub setpoints: Fixed<Option<f64>, MAX_CVS>,
    /// Lower soft limits, −∞ for none.
    pub cv_lo: Values<MAX_CVS>,
    /// Upper soft limits, +∞ for none.
    pub cv_hi: Values<MAX_CVS>,
    /// Per MV, where it rests inside its limits; `None` for nowhere.
    pub mv_targets: Fixed<Option<f64>, MAX_MVS>,
    /// Lower hard limits.
    pub u_lo: Values<MAX_MVS>,
    /// Upper hard limits.
    pub u_hi: Values<MAX_MVS>,
    /// Largest move per period.
    pub du_max: Values<MAX_MVS>,
}

/// Remembers the operator's last good values.
#[derive(Clone, Debug)]
pub struct Targeting {
    config: TargetsConfig,
    last: OperatorValues,
}

/// The operator's last good values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OperatorValues {
    setpoints: Fixed<Option<f64>, MAX_CVS>,
    cv_limits: Fixed<(f64, f64), MAX_CVS>,
    mv_limits: Fixed<(f64, f64), MAX_MVS>,
}

impl Targeting {
    /// Nothing was asked yet: no set-points, no CV limits, the MVs' hard ranges.
    #[must_use]
    pub fn new(config: TargetsConfig) -> Self {
        let cvs = config.cvs.len();
        let last = OperatorValues {
            setpoints: Fixed::filled(None, cvs),
            cv_limits: Fixed::filled((f64::NEG_INFINITY, f64::INFINITY), cvs),
            mv_limits: Fixed::collect(config.mvs.iter().map(|m| (m.low, m.high))),
        };
        Self { config, last }
    }

    /// Goes on with what another one of the same configuration knew.
    #[must_use]
    pub fn resume(config: TargetsConfig, last: OperatorValues) -> Self {
        Self { config, last }
    }

    /// The operator's last good values, for [`Self::resume`].
    #[must_use]
    pub fn operator_values(&self) -> OperatorValues {
        self.last
    }

    /// The targets of this cycle.
    ///
    /// | argument | meaning |
    /// |---|---|
    /// | `dcs` | the newest image of the DCS |
    /// | `u_now` | set-points in use, NU, model units |
    /// | `engaged` | whether the loop is closed: then only MVs in RCAS are free, before it those that the operator left on |
    pub fn step(&mut self, dcs: &DcsView, u_now: &[f64], engaged: bool) -> Targets {
        let mut targets = Targets::default();
        let cvs = self.config.cvs.iter().zip(&dcs.cvs);
        for (((cv, read), last_sp), last_limits) in cvs.zip(&mut *self.last.setpoints).zip(&mut *self.last.cv_limits) {
            let (lo, hi) = cv_limits(cv, read, last_limits);
            // Every vector of the loop's CVs has the capacity MAX_CVS, so no push is refused.
            let _ = targets.setpoints.push(setpoint(cv, read, last_sp, (lo, hi)));
            let _ = targets.cv_lo.push(lo);
            let _ = targets.cv_hi.push(hi);
        }
        let mvs = self.config.mvs.iter().zip(&dcs.mvs);
        for (((mv, read), last_limits), &u) in mvs.zip(&mut *self.last.mv_limits).zip(u_now) {
            let (lo, hi) = mv_limits(mv, read, last_limits);
            let (lo, hi) =
                if mv.commissioned && is_free(read, engaged) { windup_limits(read, (lo, hi), u) } else { (u, u) };
            let _ = targets.mv_targets.push(mv.rest.map(|rest| rest.max(lo).min(hi)));
            let rate = read.roc_max.finite().filter(|r| *r >= 0.0).map_or(0.0, |r| r.min(mv.rate_max_per_s));
            let _ = targets.u_lo.push(lo);
            let _ = targets.u_hi.push(hi);
            let _ = targets.du_max.push(rate * self.config.period.as_secs_f64());
        }
        targets
    }
}

/// The operator's limits drawn in by the margin; last good ones when bad or crossed; none while the CV is switched off.
fn cv_limits(cv: &CvTarget, read: &CvRead, last: &mut (f64, f64)) -> (f64, f64) {
    if let (Some(lo), Some(hi)) = (read.lo_opr.finite(), read.hi_opr.finite())
        && lo <= hi
    {
        *last = (lo, hi);
    }
    if read.opr_on.good() != Some(true) {
        return (f64::NEG_INFINITY, f64::INFINITY);
    }
    // Limits closer together than twice the margin meet in their middle.
    let margin = if last.0.is_finite() { cv.margin.min((last.1 - last.0) / 2.0) } else { cv.margin };
    (last.0 + margin, last.1 - margin)
}

/// The operator's set-point inside the limits; the last good one when bad; none while the CV is switched off.
fn setpoint(cv: &CvTarget, read: &CvRead, last: &mut Option<f64>, (lo, hi): (f64, f64)) -> Option<f64> {
    *last = read.sp_opr.finite().or(*last);
    (cv.has_setpoint && read.opr_on.good() == Some(true)).then_some(*last)?.map(|sp| sp.max(lo).min(hi))
}

/// The intersection of the plant file's, the DCS's and the operator's limits; where they leave nothing, or one is bad,
/// the last good ones.
fn mv_limits(mv: &MvRange, read: &MvRead, last: &mut (f64, f64)) -> (f64, f64) {
    let lows = [read.clamp_lo.finite(), read.lo_opr.finite()];
    let highs = [read.clamp_hi.finite(), read.hi_opr.finite()];
    if let ([Some(clamp_lo), Some(lo_opr)], [Some(clamp_hi), Some(hi_opr)]) = (lows, highs) {
        let (lo, hi) = (mv.low.max(clamp_lo).max(lo_opr), mv.high.min(clamp_hi).min(hi_opr));
        if lo <= hi {
            *last = (lo, hi);
        }
    }
    *last
}

fn is_free(read: &MvRead, engaged: bool) -> bool {
    let in_service = read.opr_on.good() == Some(true) && read.sp_act.finite().is_some();
    in_service && (!engaged || read.mode.good() == Some(MvMode::Rcas))
}

fn windup_limits(read: &MvRead, (lo, hi): (f64, f64), u: f64) -> (f64, f64) {
    match read.windup.good().unwrap_or(Windup::Both) {
        Windup::None => (lo, hi),
        Windup::Hi => (lo, u.max(lo).min(hi)),
        Windup::Lo => (u.min(hi).max(lo), hi),
        Windup::Both => (u, u),
    }
}

#[cfg(test)]
mod tests {
    use signals::dcs::Reading;
    use signals::{Quality, Stamp};

    use super::*;

    fn targeting() -> Targeting {
        Targeting::new(TargetsConfig {
            period: Duration::from_secs(10),
            cvs: vec![CvTarget { has_setpoint: true, margin: 1.0 }, CvTarget { has_setpoint: false, margin: 0.0 }],
            mvs: vec![MvRange { low: 0.0, high: 100.0, rate_max_per_s: 2.0, rest: Some(15.0), commissioned: true }],
        })
    }

    fn good<T: Copy>(value: T) -> Reading<T> {
        Reading::of(value, Stamp::ZERO)
    }

    fn dcs() -> DcsView {
        let mut dcs = DcsView::sized(1, 2, 0);
        for cv in &mut *dcs.cvs {
            *cv = CvRead {
                pv: good(5.0),
                opr_on: good(true),
                sp_opr: good(6.0),
                lo_opr: good(0.0),
                hi_opr: good(10.0),
                spares: None,
            };
        }
        dcs.mvs[0] = MvRead {
            sp_act: good(50.0),
            mode: good(MvMode::Rcas),
            opr_on: good(true),
            windup: good(Windup::None),
            lo_opr: good(10.0),
            hi_opr: good(90.0),
            clamp_lo: good(20.0),
            clamp_hi: good(95.0),
            roc_max: good(1.0),
            ..MvRead::default()
        };
        dcs
    }

    #[test]
    fn limits_are_the_innermost_and_the_margin_draws_them_in() {
        let t = targeting().step(&dcs(), &[50.0], true);
        assert_eq!((&t.setpoints[..], t.cv_lo[0], t.cv_hi[0]), (&[Some(6.0), None][..], 1.0, 9.0));
        assert_eq!((t.u_lo[0], t.u_hi[0], t.du_max[0]), (20.0, 90.0, 10.0));
        assert_eq!(t.mv_targets[0], Some(20.0), "rest, as near as the limits allow");
    }

    #[test]
    fn bad_or_crossed_values_leave_the_last_good_ones() {
        let (mut targeting, mut dcs) = (targeting(), dcs());
        let before = targeting.step(&dcs, &[50.0], true);
        dcs.cvs[0].sp_opr.quality = Quality::Bad;
        dcs.cvs[0].lo_opr.value = 11.0;
        dcs.cvs[1].hi_opr.value = f64::NAN;
        dcs.mvs[0].lo_opr.value = 96.0;
        assert_eq!(targeting.step(&dcs, &[50.0], true), before);
    }

    #[test]
    fn a_setpoint_outside_the_limits_stops_at_the_limit() {
        let mut dcs = dcs();
        dcs.cvs[0].sp_opr.value = 50.0;
        assert_eq!(targeting().step(&dcs, &[50.0], true).setpoints[0], Some(9.0));
    }

    #[test]
    fn an_mv_that_is_not_handed_over_is_pinned_where_it_is() {
        let mut dcs = dcs();
        dcs.mvs[0].mode.value = MvMode::Auto;
        let engaged = targeting().step(&dcs, &[50.0], true);
        assert_eq!((engaged.u_lo[0], engaged.u_hi[0]), (50.0, 50.0));
        let warm = targeting().step(&dcs, &[50.0], false);
        assert_eq!((warm.u_lo[0], warm.u_hi[0]), (20.0, 90.0));
        dcs.mvs[0].opr_on.value = false;
        let off = targeting().step(&dcs, &[50.0], false);
        assert_eq!((off.u_lo[0], off.u_hi[0]), (50.0, 50.0));
    }

    #[test]
    fn an_mv_that_is_not_commissioned_is_pinned_though_the_dcs_hands_it_over() {
        let mut targeting = targeting();
        targeting.config.mvs[0].commissioned = false;
        for engaged in [true, false] {
            let t = targeting.step(&dcs(), &[50.0], engaged);
            assert_eq!((t.u_lo[0], t.u_hi[0]), (50.0, 50.0), "engaged: {engaged}");
        }
    }

    #[test]
    fn a_wound_up_mv_moves_only_back() {
        for (windup, want) in [(Windup::Hi, (20.0, 50.0)), (Windup::Lo, (50.0, 90.0)), (Windup::Both, (50.0, 50.0))] {
            let mut dcs = dcs();
            dcs.mvs[0].windup.value = windup;
            let t = targeting().step(&dcs, &[50.0], true);
            assert_eq!((t.u_lo[0], t.u_hi[0]), want, "{windup:?}");
        }
    }

    #[test]
    fn a_bad_rate_limit_allows_no_move() {
        let mut dcs = dcs();
        dcs.mvs[0].roc_max.quality = Quality::Bad;
        assert!(targeting().step(&dcs, &[50.0], true).du_max[0] <= 0.0);
    }

    #[test]
    fn a_cv_that_is_switched_off_is_left_alone() {
        for switch in [Reading { quality: Quality::Bad, ..good(true) }, good(false)] {
            let mut dcs = dcs();
            dcs.cvs[0].opr_on = switch;
            let t = targeting().step(&dcs, &[50.0], true);
            assert_eq!((t.setpoints[0], t.cv_lo[0], t.cv_hi[0]), (None, f64::NEG_INFINITY, f64::INFINITY));
        }
    }
}
