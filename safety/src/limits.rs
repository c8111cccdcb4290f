//! Checks 11 and 12: what a set-point may be, and how far it may move in one period.
//!
//! Four bounds apply, in this order, the later ones outranking the earlier:
//!
//! 1. the operator's limits `LO_OPR`, `HI_OPR` (the last good ones, when bad or crossed);
//! 2. the rate: `|u − base| ≤ min(rate_max_per_s, ROC_MAX) · T`;
//! 3. `WINDUP`: no move from `base` in a direction in which the slave loop cannot follow;
//! 4. the hard range: the plant file's limits cut with `CLAMP_LO`, `CLAMP_HI`.
//!
//! `base` is the set-point last approved, brought into the hard range. When the DCS tightens a clamp past the present
//! set-point it applies the clamp itself, so that the step to the clamp is the DCS's and not ours; from there the
//! rate holds. When the operator moves a limit past the present set-point, the set-point walks back at the rate.
//!
//! # Invariants (for any `f64` asked, NaN and infinities included)
//! - I1: the result is finite and inside the hard range.
//! - I2: the result is within the rate of `base`.

use signals::dcs::{MvRead, Windup};

use crate::check::{CheckId, CheckSet};
use crate::config::MvChecks;

/// A closed range `lo ≤ hi` of finite numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Range {
    pub(crate) lo: f64,
    pub(crate) hi: f64,
}

impl Range {
    /// The range, if both ends are finite and in order.
    pub(crate) fn new(lo: f64, hi: f64) -> Option<Self> {
        (lo.is_finite() && hi.is_finite() && lo <= hi).then_some(Self { lo, hi })
    }

    /// What both ranges share.
    pub(crate) fn and(self, other: Self) -> Option<Self> {
        Self::new(self.lo.max(other.lo), self.hi.min(other.hi))
    }

    /// The number of the range that is nearest to `x`; the lower end for NaN.
    pub(crate) fn nearest(self, x: f64) -> f64 {
        x.max(self.lo).min(self.hi)
    }

    /// The range stretched to hold `x`.
    pub(crate) fn with(self, x: f64) -> Self {
        Self { lo: self.lo.min(x), hi: self.hi.max(x) }
    }

    /// Whether `x` lies in the range or within `tolerance` of it.
    pub(crate) fn holds(self, x: f64, tolerance: f64) -> bool {
        x >= self.lo - tolerance && x <= self.hi + tolerance
    }
}

/// What cut a command back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bound {
    /// Check 11: the operator's limits.
    Operator,
    /// Check 12: the rate.
    Rate,
    /// The slave loop's saturation.
    Windup,
    /// Check 11: the plant file's limits or the DCS's clamps.
    Hard,
}

/// The bounds of one MV at one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bounds {
    pub(crate) hard: Range,
    pub(crate) operator: Option<Range>,
    pub(crate) step: f64,
    pub(crate) windup: Windup,
    pub(crate) tolerance: f64,
}

/// A command after its bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limited {
    pub(crate) u: f64,
    /// The last bound that cut by more than rounding.
    pub(crate) by: Option<Bound>,
}

impl Bounds {
    /// The bounds of an MV; `None` when a clamp or `ROC_MAX` is bad, or leaves nothing of the plant file's range: such
    /// an MV is out of service.
    pub(crate) fn of(checks: &MvChecks, read: &MvRead, operator: Option<Range>, period_s: f64) -> Option<Self> {
        let clamp = Range::new(read.clamp_lo.finite()?, read.clamp_hi.finite()?)?;
        let roc_max = read.roc_max.finite().filter(|rate| *rate >= 0.0)?;
        Some(Self {
            hard: Range { lo: checks.lo, hi: checks.hi }.and(clamp)?,
            operator,
            step: checks.rate_max_per_s.min(roc_max) * period_s,
            windup: read.windup.good().unwrap_or(Windup::Both),
            tolerance: checks.tolerance(),
        })
    }

    /// The nearest to `asked` that the bounds permit, coming from `last`; see the module for the order.
    pub(crate) fn limit(&self, asked: f64, last: f64, off: CheckSet) -> Limited {
        let free = Range { lo: f64::MIN, hi: f64::MAX };
        let ranged = |range: Range| if off.contains(CheckId::CommandRange) { free } else { range };
        let base = ranged(self.hard).nearest(last);
        let step = if off.contains(CheckId::CommandRate) { f64::MAX } else { self.step };
        let windup = match self.windup {
            Windup::None => free,
            Windup::Hi => Range { hi: base, ..free },
            Windup::Lo => Range { lo: base, ..free },
            Windup::Both => Range { lo: base, hi: base },
        };
        let order = [
            (self.operator.map_or(free, ranged), Bound::Operator),
            (Range { lo: base - step, hi: base + step }, Bound::Rate),
            (windup, Bound::Windup),
            (ranged(self.hard), Bound::Hard),
        ];
        let start = Limited { u: asked, by: None };
        order.into_iter().fold(start, |Limited { u, by }, (range, bound)| {
            let cut = range.nearest(u);
            let same = (cut - u).abs() <= self.tolerance;
            Limited { u: cut, by: if same { by } else { Some(bound) } }
        })
    }

    /// Where the MV may go from `sp` in time: every bound but the rate.
    pub(crate) fn in_time(&self, sp: f64) -> Range {
        let (reach, base) = (self.reachable(), self.hard.nearest(sp));
        match self.windup {
            Windup::None => reach,
            Windup::Hi => Range { hi: reach.hi.min(base), lo: reach.lo.min(base) },
            Windup::Lo => Range { lo: reach.lo.max(base), hi: reach.hi.max(base) },
            Windup::Both => Range { lo: base, hi: base },
        }
    }

    /// The range in which an MV is neither at its high nor at its low limit.
    pub(crate) fn reachable(&self) -> Range {
        self.operator.and_then(|operator| operator.and(self.hard)).unwrap_or(self.hard)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use signals::Stamp;
    use signals::dcs::Reading;

    use super::*;

    const FREE: Bounds =
        Bounds { hard: Range { lo: 0.0, hi: 100.0 }, operator: None, step: 5.0, windup: Windup::None, tolerance: 1e-4 };

    fn limit(bounds: &Bounds, asked: f64, last: f64) -> (f64, Option<Bound>) {
        let Limited { u, by } = bounds.limit(asked, last, CheckSet::EMPTY);
        (u, by)
    }

    #[test]
    fn a_step_is_the_lesser_of_the_rates_over_the_period() {
        let good = |value| Reading::of(value, Stamp::ZERO);
        let read = MvRead { clamp_lo: good(0.0), clamp_hi: good(100.0), roc_max: good(4.0), ..MvRead::default() };
        for (rate, step) in [(3.0, 7.5), (5.0, 10.0)] {
            let checks = MvChecks::customary(0.0, 100.0, rate, Duration::from_secs_f64(2.5));
            let bounds = Bounds::of(&checks, &read, None, 2.5).unwrap();
            assert!((bounds.step - step).abs() < 1e-12, "{bounds:?}");
        }
    }

    #[test]
    fn each_bound_cuts_in_its_turn() {
        let operator = Bounds { operator: Range::new(40.0, 60.0), step: 50.0, ..FREE };
        assert_eq!(limit(&FREE, 52.0, 50.0), (52.0, None));
        assert_eq!(limit(&FREE, 70.0, 50.0), (55.0, Some(Bound::Rate)));
        assert_eq!(limit(&FREE, 104.0, 99.0), (100.0, Some(Bound::Hard)));
        assert_eq!(limit(&operator, 70.0, 50.0), (60.0, Some(Bound::Operator)));
        assert_eq!(limit(&FREE, 100.000_05, 99.0), (100.0, None), "a solver's residue is cut and not told");
    }

    #[test]
    fn a_moved_operator_limit_is_walked_to_and_a_moved_clamp_is_obeyed() {
        let below = Bounds { operator: Range::new(0.0, 20.0), ..FREE };
        assert_eq!(limit(&below, 50.0, 50.0), (45.0, Some(Bound::Rate)));
        let clamped = Bounds { hard: Range { lo: 0.0, hi: 20.0 }, ..FREE };
        assert_eq!(limit(&clamped, 50.0, 50.0), (20.0, Some(Bound::Hard)));
    }

    #[test]
    fn windup_stops_its_direction_only() {
        for (windup, up, down) in
            [(Windup::None, 52.0, 48.0), (Windup::Hi, 50.0, 48.0), (Windup::Lo, 52.0, 50.0), (Windup::Both, 50.0, 50.0)]
        {
            let bounds = Bounds { windup, ..FREE };
            assert_eq!((limit(&bounds, 52.0, 50.0).0, limit(&bounds, 48.0, 50.0).0), (up, down), "{windup:?}");
        }
    }

    #[test]
    fn in_time_an_mv_goes_as_far_as_every_bound_but_the_rate_allows() {
        let within = |windup, sp| {
            let Range { lo, hi } = Bounds { operator: Range::new(20.0, 60.0), windup, ..FREE }.in_time(sp);
            (lo, hi)
        };
        assert_eq!(within(Windup::None, 50.0), (20.0, 60.0));
        assert_eq!((within(Windup::Hi, 50.0), within(Windup::Lo, 50.0)), ((20.0, 50.0), (50.0, 60.0)));
        assert_eq!(within(Windup::Both, 50.0), (50.0, 50.0));
        assert_eq!(within(Windup::Hi, 10.0), (10.0, 10.0), "below the operator's limits, and it cannot rise");
    }

    #[test]
    fn a_check_that_is_switched_off_does_not_cut() {
        let asked = |off| FREE.limit(150.0, 50.0, off).u;
        let (range, rate) = (CheckId::CommandRange, CheckId::CommandRate);
        let cases = [CheckSet::EMPTY.with(rate), CheckSet::EMPTY.with(range), CheckSet::EMPTY.with(rate).with(range)];
        assert_eq!(cases.map(asked).as_slice(), [100.0, 55.0, 150.0].as_slice());
    }

    proptest! {
        #[test]
        fn any_float_ends_inside_the_hard_range_and_the_rate(
            asked in any::<f64>(), last in any::<f64>(), step in 0.0..50.0, lo in -100.0..100.0, width in 0.0..100.0,
            operator in proptest::option::of((-200.0..200.0, 0.0..100.0)), windup in 0usize..4,
        ) {
            let bounds = Bounds {
                hard: Range { lo, hi: lo + width },
                operator: operator.and_then(|(lo, width)| Range::new(lo, lo + width)),
                step,
                windup: Windup::ALL[windup],
                tolerance: 1e-6,
            };
            let u = bounds.limit(asked, last, CheckSet::EMPTY).u;
            let base = bounds.hard.nearest(last);
            prop_assert!((lo..=lo + width).contains(&u), "{u}");
            prop_assert!((u - base).abs() <= step + 1e-12 * (1.0 + step + base.abs()), "{u} from {base}");
            prop_assert!(u <= base || !matches!(bounds.windup, Windup::Hi | Windup::Both));
            prop_assert!(u >= base || !matches!(bounds.windup, Windup::Lo | Windup::Both));
        }
    }
}
