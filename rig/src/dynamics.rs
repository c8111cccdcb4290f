//! The way between plant and DCS: a lag of first order behind a dead time, for a measurement or an actuator's effect.
//!
//! Place in the loop: part of the rig, not of the model that a controller is given. Invariant: without lag and dead time
//! a value passes with its bits.

use std::collections::VecDeque;

/// A lag and a dead time, stepped once per scan of the DCS.
#[derive(Clone, Debug)]
pub(crate) struct Dynamics {
    /// Share of the way that the lag goes in a scan; 1 without one.
    share: f64,
    /// What is under way, oldest first; as long as the dead time.
    under_way: VecDeque<f64>,
    /// What has come out; none before the first value.
    out: Option<f64>,
    dead_scans: usize,
}

impl Dynamics {
    /// A lag of `lag_s` behind a dead time of `dead_time_s` seconds, rounded to whole scans of `scan_s`.
    pub(crate) fn new(lag_s: f64, dead_time_s: f64, scan_s: f64) -> Self {
        let share = if lag_s > 0.0 { -(-scan_s / lag_s).exp_m1() } else { 1.0 };
        let dead_scans = (dead_time_s / scan_s).round() as usize;
        Self { share, under_way: VecDeque::new(), out: None, dead_scans }
    }

    /// Fills the whole way with `value`: at rest there.
    pub(crate) fn fill(&mut self, value: f64) {
        self.under_way = std::iter::repeat_n(value, self.dead_scans).collect();
        self.out = Some(value);
    }

    /// One scan: `value` goes in. Where nothing came before, it fills the whole way: the run starts at rest.
    pub(crate) fn step(&mut self, value: f64) -> f64 {
        if self.out.is_none() {
            self.fill(value);
        }
        self.under_way.push_back(value);
        let arrived = self.under_way.pop_front().unwrap_or(value);
        let before = self.out.filter(|out| out.is_finite()).unwrap_or(arrived);
        let out = if self.share < 1.0 { before + self.share * (arrived - before) } else { arrived };
        self.out = Some(out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_lag_and_dead_time_a_value_passes_with_its_bits() {
        let mut d = Dynamics::new(0.0, 0.0, 1.0);
        for value in [0.1 + 0.2, -7.0, f64::MIN_POSITIVE] {
            assert_eq!(d.step(value).to_bits(), value.to_bits());
        }
    }

    #[test]
    fn a_dead_time_moves_a_step_by_whole_scans() {
        let mut d = Dynamics::new(0.0, 1.5, 0.5);
        let seen: Vec<f64> = [1.0, 2.0, 2.0, 2.0, 2.0, 2.0].into_iter().map(|v| d.step(v)).collect();
        assert_eq!(seen, [1.0, 1.0, 1.0, 1.0, 2.0, 2.0]);
    }

    #[test]
    fn a_lag_reaches_63_percent_after_its_time() {
        let mut d = Dynamics::new(10.0, 0.0, 1.0);
        d.step(0.0);
        let after = (0..10).map(|_| d.step(1.0)).last().unwrap();
        assert!((after - (1.0 - (-1.0_f64).exp())).abs() < 1e-12, "{after}");
    }

    #[test]
    fn a_lag_comes_back_from_what_is_no_number() {
        let mut d = Dynamics::new(10.0, 0.0, 1.0);
        d.step(1.0);
        assert!(d.step(f64::NAN).is_nan() && (d.step(2.0) - 2.0).abs() < 1e-12);
    }
}
