//! Faults of travel, and of what is said about it.

use serde::{Deserialize, Serialize};

use super::super::{FaultError, expect, finite, not_negative, positive};
use super::{Impair, Stem};

/// `to`, or as near to it as a full stroke in `stroke_s` seconds allows; 0 is at once.
fn stroke(from_pct: f64, to_pct: f64, stroke_s: f64, dt_s: f64) -> f64 {
    if stroke_s <= 0.0 {
        return to_pct;
    }
    let step = 100.0 * dt_s / stroke_s;
    from_pct + (to_pct - from_pct).clamp(-step, step)
}

/// It does not leave this part of its range: a travel stop, a weak spring, too little air.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saturation {
    /// The lowest position, in percent of range.
    pub low_pct: f64,
    /// The highest position, in percent of range; above `low_pct`.
    pub high_pct: f64,
}

impl Impair for Saturation {
    fn check(&self) -> Result<(), FaultError> {
        let inside = |v: f64| (0.0..=100.0).contains(&v);
        expect(inside(self.low_pct), "saturation", ("low_pct", self.low_pct), "0 to 100")?;
        expect(inside(self.high_pct), "saturation", ("high_pct", self.high_pct), "0 to 100")?;
        let good = self.low_pct < self.high_pct;
        expect(good, "saturation", ("high_pct", self.high_pct), "a number above `low_pct`")
    }

    fn travel(&self, demand_pct: f64, _: &mut Stem, _dt_s: f64) -> f64 {
        demand_pct.max(self.low_pct).min(self.high_pct)
    }
}

/// It stays where it is when the fault begins: loss of signal with the air locked in.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailInPlace {}

impl Impair for FailInPlace {
    fn check(&self) -> Result<(), FaultError> {
        Ok(())
    }

    fn travel(&self, _demand_pct: f64, stem: &mut Stem, _dt_s: f64) -> f64 {
        stem.at_pct
    }
}

/// It goes to 100 %, whatever is demanded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailOpen {
    /// Seconds for a full stroke; 0 is at once.
    pub stroke_s: f64,
}

impl Impair for FailOpen {
    fn check(&self) -> Result<(), FaultError> {
        not_negative("fail_open", ("stroke_s", self.stroke_s))
    }

    fn travel(&self, _demand_pct: f64, stem: &mut Stem, dt_s: f64) -> f64 {
        stroke(stem.at_pct, 100.0, self.stroke_s, dt_s)
    }
}

/// It goes to 0 %, whatever is demanded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailClosed {
    /// Seconds for a full stroke; 0 is at once.
    pub stroke_s: f64,
}

impl Impair for FailClosed {
    fn check(&self) -> Result<(), FaultError> {
        not_negative("fail_closed", ("stroke_s", self.stroke_s))
    }

    fn travel(&self, _demand_pct: f64, stem: &mut Stem, dt_s: f64) -> f64 {
        stroke(stem.at_pct, 0.0, self.stroke_s, dt_s)
    }
}

/// It follows the demand at the pace of a full stroke in `stroke_s` seconds: a leaking diaphragm, a thin air line.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlowActuator {
    /// Seconds for a full stroke; above 0.
    pub stroke_s: f64,
}

impl Impair for SlowActuator {
    fn check(&self) -> Result<(), FaultError> {
        positive("slow", ("stroke_s", self.stroke_s))
    }

    fn travel(&self, demand_pct: f64, stem: &mut Stem, dt_s: f64) -> f64 {
        stroke(stem.at_pct, demand_pct, self.stroke_s, dt_s)
    }
}

/// The valve is in order; the set-point that the DCS reads back (`SP_ACT`) is off by `by_pct`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrongReadback {
    /// How far off, in percent of range.
    pub by_pct: f64,
}

impl Impair for WrongReadback {
    fn check(&self) -> Result<(), FaultError> {
        finite("wrong_readback", ("by_pct", self.by_pct))
    }

    fn travel(&self, demand_pct: f64, _: &mut Stem, _dt_s: f64) -> f64 {
        demand_pct
    }

    fn readback_error_pct(&self) -> f64 {
        self.by_pct
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ActuatorFault, Valve, close};

    #[test]
    fn a_saturated_valve_stays_between_its_stops() {
        close("saturation low_pct=10 high_pct=60", &[5.0, 10.0, 42.0, 60.0, 100.0], &[10.0, 10.0, 42.0, 60.0, 60.0]);
    }

    #[test]
    fn a_valve_that_fails_in_place_does_not_move() {
        close("fail_in_place", &[0.0, 100.0, 50.0], &[50.0; 3]);
    }

    #[test]
    fn a_valve_that_fails_open_or_closed_goes_there_at_the_pace_of_its_stroke() {
        close("fail_open stroke_s=4", &[0.0; 4], &[75.0, 100.0, 100.0, 100.0]);
        close("fail_closed stroke_s=4", &[90.0; 4], &[25.0, 0.0, 0.0, 0.0]);
        close("fail_open stroke_s=0", &[0.0], &[100.0]);
        close("fail_closed stroke_s=0", &[90.0], &[0.0]);
    }

    #[test]
    fn a_slow_valve_follows_at_the_pace_of_its_stroke() {
        close("slow stroke_s=50", &[55.0, 55.0, 55.0, 40.0], &[52.0, 54.0, 55.0, 53.0]);
    }

    #[test]
    fn a_wrong_readback_moves_nothing_and_is_told() {
        close("wrong_readback by_pct=5", &[55.0, 20.0], &[55.0, 20.0]);
        let error =
            |words: [&str; 2]| Valve::new(ActuatorFault::from_words(&words).unwrap(), 50.0, 50.0).readback_error_pct();
        assert!((error(["wrong_readback", "by_pct=5"]) - 5.0).abs() < 1e-12);
        assert!(error(["slow", "stroke_s=5"]).abs() < 1e-12);
    }
}
