//! Slow decay: a parameter of the plant, one of its model's disturbances, that changes over days and months by a law.
//!
//! Place in the loop: in the emulator. The application does not see it, unless a measured disturbance is made to decay.
//! `disturb NAME X` at the rig's keyboard is the maintenance: the law begins anew from that value.

use serde::Deserialize;

const DAY_S: f64 = 86_400.0;

/// How a parameter decays with the time t in days since it was last set to its start `p₀`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Law {
    /// `p₀ + r t`: a deposit that grows without end, such as scale.
    Linear(Linear),
    /// `p₀ + (p∞ - p₀)(1 - exp(-t / τ))`: a deposit whose removal grows with it. Source: Kern and Seaton, A theoretical
    /// analysis of thermal surface fouling, *Brit. Chem. Eng.* 4 (1959) 258.
    KernSeaton(KernSeaton),
    /// `p₀ exp(-k t)`: a catalyst that is poisoned, deactivation of order one. Source: Levenspiel, *Chemical Reaction
    /// Engineering*, 3rd ed., ch. 21.
    FirstOrder(FirstOrder),
    /// `p₀ / (1 + k t)`: a catalyst that sinters, deactivation of order two. Source: as before.
    SecondOrder(SecondOrder),
}

/// See [`Law::Linear`].
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// Units of the parameter per day.
    pub rate_per_day: f64,
}

/// See [`Law::KernSeaton`].
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernSeaton {
    /// Where it ends, in units of the parameter.
    pub asymptote: f64,
    /// Time constant in days, above 0.
    pub tau_days: f64,
}

/// See [`Law::FirstOrder`].
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirstOrder {
    /// Per day, above 0.
    pub rate_per_day: f64,
}

/// See [`Law::SecondOrder`].
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecondOrder {
    /// Per day, above 0.
    pub rate_per_day: f64,
}

impl Law {
    /// Whether the numbers can be used.
    ///
    /// # Errors
    /// What was expected, in words.
    pub fn check(&self) -> Result<(), String> {
        let positive = |key: &str, value: f64| {
            let good = value.is_finite() && value > 0.0;
            good.then_some(()).ok_or_else(|| format!("`{key}` is {value}, expected a finite number above 0"))
        };
        let finite = |key: &str, value: f64| {
            value.is_finite().then_some(()).ok_or_else(|| format!("`{key}` is {value}, expected a finite number"))
        };
        match *self {
            Self::Linear(Linear { rate_per_day }) => finite("rate_per_day", rate_per_day),
            Self::KernSeaton(KernSeaton { asymptote, tau_days }) => {
                finite("asymptote", asymptote).and_then(|()| positive("tau_days", tau_days))
            }
            Self::FirstOrder(FirstOrder { rate_per_day }) | Self::SecondOrder(SecondOrder { rate_per_day }) => {
                positive("rate_per_day", rate_per_day)
            }
        }
    }

    /// The parameter `t_s` seconds after it was `start`.
    #[must_use]
    pub fn value(&self, start: f64, t_s: f64) -> f64 {
        let t = t_s / DAY_S;
        match *self {
            Self::Linear(Linear { rate_per_day }) => start + rate_per_day * t,
            Self::KernSeaton(KernSeaton { asymptote, tau_days }) => {
                start - (asymptote - start) * (-t / tau_days).exp_m1()
            }
            Self::FirstOrder(FirstOrder { rate_per_day }) => start * (-rate_per_day * t).exp(),
            Self::SecondOrder(SecondOrder { rate_per_day }) => start / (1.0 + rate_per_day * t),
        }
    }
}

/// A parameter that decays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Degradation {
    /// Its place among the model's disturbances.
    pub index: usize,
    /// How.
    pub law: Law,
}

/// A decay under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decay {
    pub(crate) of: Degradation,
    pub(crate) start: f64,
    pub(crate) age_s: f64,
}

impl Decay {
    /// The parameter's value `dt_s` seconds on.
    pub(crate) fn grow(&mut self, dt_s: f64) -> f64 {
        self.age_s += dt_s;
        self.of.law.value(self.start, self.age_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_law_gives_the_numbers_of_its_formula() {
        let e = (-1.0_f64).exp();
        for (law, start, days, want) in [
            (Law::Linear(Linear { rate_per_day: 0.5 }), 1.0, 4.0, 3.0),
            (Law::KernSeaton(KernSeaton { asymptote: 3.0, tau_days: 20.0 }), 0.0, 20.0, 3.0 * (1.0 - e)),
            (Law::KernSeaton(KernSeaton { asymptote: 3.0, tau_days: 20.0 }), 0.0, 2000.0, 3.0),
            (Law::FirstOrder(FirstOrder { rate_per_day: 0.01 }), 0.8, 100.0, 0.8 * e),
            (Law::SecondOrder(SecondOrder { rate_per_day: 0.01 }), 0.8, 100.0, 0.4),
        ] {
            let got = law.value(start, days * DAY_S);
            assert!((got - want).abs() < 1e-12, "{law:?}: {got}, expected {want}");
            assert!((law.value(start, 0.0) - start).abs() < 1e-15, "{law:?}");
        }
    }

    #[test]
    fn a_law_that_cannot_be_used_says_what_was_expected() {
        let refused = Law::KernSeaton(KernSeaton { asymptote: 1.0, tau_days: 0.0 }).check().unwrap_err();
        assert_eq!(refused, "`tau_days` is 0, expected a finite number above 0");
        assert!(Law::Linear(Linear { rate_per_day: f64::NAN }).check().is_err());
        assert!(Law::FirstOrder(FirstOrder { rate_per_day: -1.0 }).check().is_err());
        assert!(Law::SecondOrder(SecondOrder { rate_per_day: 0.1 }).check().is_ok());
    }
}
