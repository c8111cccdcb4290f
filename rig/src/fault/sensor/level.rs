//! Faults of the level: the wrong number at every sample, with a good status and its own time.

use serde::{Deserialize, Serialize};
use signals::dcs::Reading;

use super::super::{FaultError, expect, finite, positive};
use super::{Distort, Memory};
use crate::random::Random;

/// It shows `at` for ever, in the unit of the tag; without `at`, what it showed when the fault began.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stuck {
    /// The value, in the unit of the tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<f64>,
}

impl Distort for Stuck {
    fn check(&self) -> Result<(), FaultError> {
        self.at.map_or(Ok(()), |at| finite("stuck", ("at", at)))
    }

    fn show(&self, healthy: Reading<f64>, memory: &Memory, _: &mut Random) -> Reading<f64> {
        Reading { value: self.at.unwrap_or(memory.last.value), ..healthy }
    }
}

/// It runs away by `per_s` a second, without end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// Units of the tag per second of plant time; not 0.
    pub per_s: f64,
}

impl Distort for Drift {
    fn check(&self) -> Result<(), FaultError> {
        let good = self.per_s.is_finite() && self.per_s.abs() > 0.0;
        expect(good, "drift", ("per_s", self.per_s), "a finite number other than 0")
    }

    fn show(&self, healthy: Reading<f64>, memory: &Memory, _: &mut Random) -> Reading<f64> {
        Reading { value: healthy.value + self.per_s * memory.elapsed_s, ..healthy }
    }
}

/// It shows `by` too much.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bias {
    /// Units of the tag; below 0 it shows too little.
    pub by: f64,
}

impl Distort for Bias {
    fn check(&self) -> Result<(), FaultError> {
        finite("bias", ("by", self.by))
    }

    fn show(&self, healthy: Reading<f64>, _: &Memory, _: &mut Random) -> Reading<f64> {
        Reading { value: healthy.value + self.by, ..healthy }
    }
}

/// It shows NaN and says that all is well.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotANumber {}

impl Distort for NotANumber {
    fn check(&self) -> Result<(), FaultError> {
        Ok(())
    }

    fn show(&self, healthy: Reading<f64>, _: &Memory, _: &mut Random) -> Reading<f64> {
        Reading { value: f64::NAN, ..healthy }
    }
}

/// An end of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The lower end.
    Low,
    /// The upper end.
    High,
}

/// It fails to a value beyond an end of its range, as a 4 to 20 mA transmitter does (NAMUR NE 43: 21 mA is 6.25 % above
/// the range, 3.6 mA is 2.5 % below it), and the status stays good.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutOfRange {
    /// Beyond which end.
    pub side: Side,
    /// How far beyond it, in percent of the range; above 0.
    pub by_pct: f64,
}

impl Distort for OutOfRange {
    fn check(&self) -> Result<(), FaultError> {
        positive("out_of_range", ("by_pct", self.by_pct))
    }

    fn show(&self, healthy: Reading<f64>, memory: &Memory, _: &mut Random) -> Reading<f64> {
        let (low, high) = memory.range;
        let beyond = self.by_pct / 100.0 * (high - low);
        let value = match self.side {
            Side::Low => low - beyond,
            Side::High => high + beyond,
        };
        Reading { value, ..healthy }
    }
}

/// It shows the negative: two wires exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignFlip {}

impl Distort for SignFlip {
    fn check(&self) -> Result<(), FaultError> {
        Ok(())
    }

    fn show(&self, healthy: Reading<f64>, _: &Memory, _: &mut Random) -> Reading<f64> {
        Reading { value: -healthy.value, ..healthy }
    }
}

/// It shows `factor · value + offset`: another unit than its tag says (1.8 and 32: degF for degC).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrongUnit {
    /// The shown unit's numbers per unit of the tag; above 0.
    pub factor: f64,
    /// What the shown unit says at 0 of the tag's; 0 where the key is missing.
    #[serde(default)]
    pub offset: f64,
}

impl Distort for WrongUnit {
    fn check(&self) -> Result<(), FaultError> {
        positive("wrong_unit", ("factor", self.factor))?;
        finite("wrong_unit", ("offset", self.offset))
    }

    fn show(&self, healthy: Reading<f64>, _: &Memory, _: &mut Random) -> Reading<f64> {
        Reading { value: self.factor * healthy.value + self.offset, ..healthy }
    }
}

/// It shows whole multiples of `step` only: a converter of too few bits, or a dead band of transmission.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantised {
    /// The step, in units of the tag; above 0.
    pub step: f64,
}

impl Distort for Quantised {
    fn check(&self) -> Result<(), FaultError> {
        positive("quantised", ("step", self.step))
    }

    fn show(&self, healthy: Reading<f64>, _: &Memory, _: &mut Random) -> Reading<f64> {
        Reading { value: (healthy.value / self.step).round() * self.step, ..healthy }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{shown, values};

    fn close(words: &str, healthy: [f64; 3], want: [f64; 3]) {
        let got = values(words, healthy);
        assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-12), "{words}: {got:?}, expected {want:?}");
        assert!(shown(words, healthy).iter().all(|r| r.quality.is_good()), "{words}");
    }

    #[test]
    fn a_stuck_transmitter_shows_one_value_for_ever() {
        close("stuck", [1.0, 2.0, 3.0], [7.0; 3]);
        close("stuck at=-2.5", [1.0, 2.0, 3.0], [-2.5; 3]);
    }

    #[test]
    fn a_drift_grows_with_time() {
        close("drift per_s=0.5", [1.0, 1.0, 4.0], [1.5, 2.0, 5.5]);
    }

    #[test]
    fn a_bias_is_added() {
        close("bias by=-0.25", [1.0, 2.0, 3.0], [0.75, 1.75, 2.75]);
    }

    #[test]
    fn not_a_number_has_a_good_status() {
        assert!(values("not_a_number", [1.0]).iter().all(|v| v.is_nan()));
        assert!(shown("not_a_number", [1.0]).iter().all(|r| r.quality.is_good()));
    }

    #[test]
    fn out_of_range_lies_beyond_the_named_end() {
        close("out_of_range side=high by_pct=6.25", [1.0; 3], [10.625; 3]);
        close("out_of_range side=low by_pct=2.5", [1.0; 3], [-0.25; 3]);
    }

    #[test]
    fn a_flipped_sign_mirrors_the_truth() {
        close("sign_flip", [1.0, 0.0, -3.0], [-1.0, 0.0, 3.0]);
    }

    #[test]
    fn a_wrong_unit_scales_and_shifts() {
        close("wrong_unit factor=1.8 offset=32", [0.0, 100.0, 20.0], [32.0, 212.0, 68.0]);
        close("wrong_unit factor=1000", [0.5, 1.0, 2.0], [500.0, 1000.0, 2000.0]);
    }

    #[test]
    fn a_quantised_value_is_the_nearest_multiple() {
        close("quantised step=0.5", [1.2, 1.3, -0.6], [1.0, 1.5, -0.5]);
    }
}
