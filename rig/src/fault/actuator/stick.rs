//! Friction and play.

use serde::{Deserialize, Serialize};

use super::super::{FaultError, expect, not_negative, positive};
use super::{Impair, Stem};

/// Stiction in the two-parameter model of He: the valve stands until the demand that friction held back exceeds the
/// static band; then it slips to the demand less the kinetic band.
///
/// With `c = u_r + u - u⁻`: where `|c| > f_s`, `v = u - sign(c) f_d` and `u_r = sign(c) f_d`; else `v` stays and
/// `u_r = c`. In the words of Choudhury's model `S = f_s + f_d` is the dead band with stick, `J = f_s - f_d` the slip jump.
///
/// Source: He, Wang, Pottmann and Qin, A curve fitting method for detecting valve stiction in oscillating control loops,
/// *Ind. Eng. Chem. Res.* 46 (2007) 4549, fig. 3.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stiction {
    /// Static friction band `f_s`, in percent of range; above 0.
    pub static_pct: f64,
    /// Kinetic friction band `f_d`, in percent of range; from 0 to `static_pct`.
    pub kinetic_pct: f64,
}

impl Impair for Stiction {
    fn check(&self) -> Result<(), FaultError> {
        positive("stiction", ("static_pct", self.static_pct))?;
        not_negative("stiction", ("kinetic_pct", self.kinetic_pct))?;
        let good = self.kinetic_pct <= self.static_pct;
        expect(good, "stiction", ("kinetic_pct", self.kinetic_pct), "at most `static_pct`")
    }

    fn travel(&self, demand_pct: f64, stem: &mut Stem, _dt_s: f64) -> f64 {
        let pushed = stem.held_back_pct + demand_pct - stem.demand_pct;
        if pushed.abs() <= self.static_pct {
            stem.held_back_pct = pushed;
            return stem.at_pct;
        }
        stem.held_back_pct = self.kinetic_pct.copysign(pushed);
        demand_pct - stem.held_back_pct
    }
}

/// Play between actuator and stem: the demand moves freely through the band before it takes the stem along, and does so
/// again at each reversal (backlash).
///
/// Source: Tao and Kokotović, *Adaptive Control of Systems with Actuator and Sensor Nonlinearities*, Wiley 1996, ch. 2,
/// with slope 1 and half the band on either side.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hysteresis {
    /// The whole band, in percent of range; above 0.
    pub band_pct: f64,
}

impl Impair for Hysteresis {
    fn check(&self) -> Result<(), FaultError> {
        positive("hysteresis", ("band_pct", self.band_pct))
    }

    fn travel(&self, demand_pct: f64, stem: &mut Stem, _dt_s: f64) -> f64 {
        let half = 0.5 * self.band_pct;
        stem.at_pct.max(demand_pct - half).min(demand_pct + half)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{close, travelled};

    #[test]
    fn a_sticking_valve_stands_then_slips_by_the_difference_of_the_bands() {
        close(
            "stiction static_pct=3 kinetic_pct=1",
            &[51.0, 52.0, 53.0, 53.5, 54.0, 53.0, 51.0, 50.0, 49.0],
            // The slip at 53.5; a reversal stands until the demand has gone back by f_s + f_d.
            &[50.0, 50.0, 50.0, 52.5, 52.5, 52.5, 52.5, 52.5, 50.0],
        );
    }

    /// A slow triangle under stiction is the figure of the literature: a parallelogram with dead bands `S = f_s + f_d`.
    #[test]
    fn a_triangle_under_stiction_shows_the_dead_band_at_each_reversal() {
        let triangle = |k: i32| 50.0 + 0.1 * f64::from(if k <= 200 { k } else { 400 - k });
        let got = travelled("stiction static_pct=3 kinetic_pct=1", (0..=400).map(triangle));
        let top = got[200];
        let back = (200..=400).find(|&k| got[usize::try_from(k).unwrap()] < top - 1e-9).unwrap();
        // At the top up to f_s - f_d is held back already; the stem leaves after a reversal of at most f_s + f_d and a step.
        let gone_back = triangle(200) - triangle(back);
        assert!((2.0..=4.25).contains(&gone_back), "{gone_back}");
        assert!(got.windows(2).all(|w| (w[1] - w[0]).abs() < 1e-9 || (w[1] - w[0]).abs() > 1.9), "it slips in jumps");
    }

    #[test]
    fn play_is_lost_at_each_reversal_and_only_there() {
        close(
            "hysteresis band_pct=4",
            &[51.0, 52.0, 53.0, 56.0, 55.0, 52.0, 51.0, 53.0],
            &[50.0, 50.0, 51.0, 54.0, 54.0, 54.0, 53.0, 53.0],
        );
    }

    #[test]
    fn a_kinetic_band_above_the_static_one_is_refused() {
        let words = ["stiction", "static_pct=1", "kinetic_pct=2"];
        let refused = super::super::ActuatorFault::from_words(&words).unwrap_err();
        assert_eq!(refused, "stiction: `kinetic_pct` is 2, expected at most `static_pct`");
    }
}
