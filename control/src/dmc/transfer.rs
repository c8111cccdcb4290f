//! The forms in which a pair of input and CV is known, and their responses to a unit step.
//!
//! With `t` counted from the end of the dead time and `y = 0` before it:
//!
//! | form | transfer function | response |
//! |---|---|---|
//! | `Fopdt` | `K / (τs + 1)` | `K (1 - e^{-t/τ})` |
//! | `Sopdt` | `K (λs + 1) / (τ²s² + 2ζτs + 1)` | `K (g + λ g')`, g the response without zero |
//! | `Integrator` | `K / (s (τs + 1))` | `K (t - τ (1 - e^{-t/τ}))` |
//! | `Coefficients` | – | as given, sample by sample |
//! | `Impulse` | finite impulse response | `Σ h` up to the sample |
//!
//! Source: Seborg, Edgar, Mellichamp and Doyle, *Process Dynamics and Control*, 3rd ed., ch. 5.

use super::DmcError;

/// So near 1 a damping counts as critical: the formula for two real poles loses its digits there.
const CRITICAL: f64 = 1e-9;

/// One pair's dynamics. Gains in CV units per input unit; see the module.
#[derive(Clone, Debug, PartialEq)]
pub enum Transfer {
    /// First order with dead time.
    Fopdt {
        /// Steady-state gain.
        gain: f64,
        /// Time constant, s; 0 is a pure gain.
        tau_s: f64,
        /// Dead time, s.
        delay_s: f64,
    },
    /// Second order with zero and dead time.
    Sopdt {
        /// Steady-state gain.
        gain: f64,
        /// Time constant (inverse natural frequency), s.
        tau_s: f64,
        /// Damping.
        zeta: f64,
        /// Time constant of the zero, s; negative for an inverse response.
        lead_s: f64,
        /// Dead time, s.
        delay_s: f64,
    },
    /// Integrator with lag and dead time.
    Integrator {
        /// Final slope, CV units per input unit and second.
        gain: f64,
        /// Time constant of the lag, s; 0 is none.
        tau_s: f64,
        /// Dead time, s.
        delay_s: f64,
    },
    /// The response itself at the samples 1, 2, ….
    Coefficients {
        /// As many as the model has samples.
        values: Vec<f64>,
        /// Whether it goes on rising after the last sample as between the last two.
        ramp: bool,
    },
    /// The response to a pulse of one sample at the samples 1, 2, …: the coefficients of an FIR model.
    Impulse {
        /// As many as the model has samples.
        values: Vec<f64>,
    },
}

impl Transfer {
    /// Whether a step of the input ends in a ramp.
    #[must_use]
    pub fn is_ramp(&self) -> bool {
        matches!(self, Self::Integrator { .. } | Self::Coefficients { ramp: true, .. })
    }

    /// The response at the samples 1 … `samples` of `period_s`.
    ///
    /// # Errors
    /// [`DmcError::Transfer`] for a number that is not finite or out of its range, [`DmcError::Coefficients`] for a
    /// list of another length.
    pub fn sampled(&self, period_s: f64, samples: usize) -> Result<Vec<f64>, DmcError> {
        self.check(samples)?;
        let times = (1..=samples).map(|sample| sample as f64 * period_s);
        Ok(match *self {
            Self::Fopdt { gain, tau_s, delay_s } => {
                times.map(|t| gain * after(t - delay_s, |t| first_order(t, tau_s))).collect()
            }
            Self::Sopdt { gain, tau_s, zeta, lead_s, delay_s } => {
                let response = |t| {
                    let (step, impulse) = second_order(t, tau_s, zeta);
                    step + lead_s * impulse
                };
                times.map(|t| gain * after(t - delay_s, response)).collect()
            }
            Self::Integrator { gain, tau_s, delay_s } => {
                times.map(|t| gain * after(t - delay_s, |t| t - tau_s * first_order(t, tau_s))).collect()
            }
            Self::Coefficients { ref values, .. } => values.clone(),
            Self::Impulse { ref values } => {
                let sum = |total: &mut f64, h: &f64| {
                    *total += h;
                    Some(*total)
                };
                values.iter().scan(0.0, sum).collect()
            }
        })
    }

    fn check(&self, samples: usize) -> Result<(), DmcError> {
        let any = |_: f64| true;
        let not_negative = |value: f64| value >= 0.0;
        let positive = |value: f64| value > 0.0;
        match *self {
            Self::Fopdt { gain, tau_s, delay_s } | Self::Integrator { gain, tau_s, delay_s } => {
                check("gain", gain, any)?;
                check("tau_s", tau_s, not_negative)?;
                check("delay_s", delay_s, not_negative)
            }
            Self::Sopdt { gain, tau_s, zeta, lead_s, delay_s } => {
                check("gain", gain, any)?;
                check("tau_s", tau_s, positive)?;
                check("zeta", zeta, positive)?;
                check("lead_s", lead_s, any)?;
                check("delay_s", delay_s, not_negative)
            }
            Self::Coefficients { ref values, .. } | Self::Impulse { ref values } => {
                if values.len() != samples {
                    return Err(DmcError::Coefficients { got: values.len(), samples });
                }
                values.iter().try_for_each(|value| check("coefficients", *value, any))
            }
        }
    }
}

fn check(key: &'static str, value: f64, lawful: impl Fn(f64) -> bool) -> Result<(), DmcError> {
    if value.is_finite() && lawful(value) { Ok(()) } else { Err(DmcError::Transfer { key, value }) }
}

fn after(t: f64, response: impl Fn(f64) -> f64) -> f64 {
    if t > 0.0 { response(t) } else { 0.0 }
}

/// `1 - e^{-t/τ}`.
fn first_order(t: f64, tau: f64) -> f64 {
    if tau > 0.0 { 1.0 - (-t / tau).exp() } else { 1.0 }
}

/// Step and impulse response of `1 / (τ²s² + 2ζτs + 1)`.
fn second_order(t: f64, tau: f64, zeta: f64) -> (f64, f64) {
    let x = t / tau;
    if (zeta - 1.0).abs() < CRITICAL {
        let decay = (-x).exp();
        return (1.0 - (1.0 + x) * decay, x * decay / tau);
    }
    if zeta < 1.0 {
        let root = (1.0 - zeta * zeta).sqrt();
        let decay = (-zeta * x).exp();
        let (sin, cos) = (root * x).sin_cos();
        return (1.0 - decay * (cos + zeta / root * sin), decay * sin / (tau * root));
    }
    let root = (zeta * zeta - 1.0).sqrt();
    // The product of the poles is 1: the slow one is 1 / fast, without the difference of two near numbers.
    let fast = zeta + root;
    let slow = 1.0 / fast;
    let (e_fast, e_slow) = ((-fast * x).exp(), (-slow * x).exp());
    let spread = 2.0 * root;
    (1.0 - (fast * e_slow - slow * e_fast) / spread, (e_slow - e_fast) / (spread * tau))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Step response of a sopdt without dead time, by Runge-Kutta with tiny steps.
    fn integrated((tau, zeta, lead): (f64, f64, f64), end: f64) -> f64 {
        let slope = |x: [f64; 2]| [x[1], (1.0 - x[0] - 2.0 * zeta * tau * x[1]) / (tau * tau)];
        let steps = 20_000;
        let h = end / f64::from(steps);
        let mut x = [0.0, 0.0];
        for _ in 0..steps {
            let k1 = slope(x);
            let k2 = slope([x[0] + h / 2.0 * k1[0], x[1] + h / 2.0 * k1[1]]);
            let k3 = slope([x[0] + h / 2.0 * k2[0], x[1] + h / 2.0 * k2[1]]);
            let k4 = slope([x[0] + h * k3[0], x[1] + h * k3[1]]);
            for i in 0..2 {
                x[i] += h / 6.0 * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]);
            }
        }
        x[0] + lead * x[1]
    }

    #[test]
    fn a_second_order_response_solves_its_differential_equation() {
        for zeta in [0.3, 0.999_999, 1.0, 1.000_001, 2.5] {
            for lead in [0.0, 4.0, -3.0] {
                let form = Transfer::Sopdt { gain: 2.0, tau_s: 5.0, zeta, lead_s: lead, delay_s: 3.0 };
                let sampled = form.sampled(1.0, 40).unwrap();
                assert!(sampled[..3].iter().all(|y| y.abs() < 1e-12), "dead time");
                for t in [4, 10, 39] {
                    let expected = 2.0 * integrated((5.0, zeta, lead), f64::from(t) - 2.0);
                    let got = sampled[t as usize];
                    assert!((got - expected).abs() < 1e-8, "ζ {zeta}, λ {lead}, t {t}: {got}, not {expected}");
                }
            }
        }
    }

    #[test]
    fn an_integrator_ends_on_its_slope_late_by_its_lag_and_dead_time() {
        let form = Transfer::Integrator { gain: 0.5, tau_s: 4.0, delay_s: 6.0 };
        let sampled = form.sampled(2.0, 100).unwrap();
        assert!(form.is_ramp());
        assert!((sampled[99] - 0.5 * (200.0 - 6.0 - 4.0)).abs() < 1e-9, "{}", sampled[99]);
        assert!((sampled[99] - sampled[98] - 1.0).abs() < 1e-9);
        assert!(sampled[2].abs() < 1e-12 && sampled[3] > 0.0);
    }

    #[test]
    fn an_impulse_response_adds_up_to_the_step_response() {
        let step = Transfer::Fopdt { gain: 3.0, tau_s: 4.0, delay_s: 2.0 }.sampled(1.0, 30).unwrap();
        let before = std::iter::once(&0.0).chain(&step);
        let values = step.iter().zip(before).map(|(now, before)| now - before).collect();
        let form = Transfer::Impulse { values };
        let summed = form.sampled(1.0, 30).unwrap();
        assert!(!form.is_ramp() && step.iter().zip(&summed).all(|(a, b)| (a - b).abs() < 1e-13));
    }

    #[test]
    fn a_number_out_of_range_is_told() {
        let told = |form: Transfer| form.sampled(1.0, 3).unwrap_err().to_string();
        let fopdt = Transfer::Fopdt { gain: f64::NAN, tau_s: 1.0, delay_s: 0.0 };
        assert_eq!(told(fopdt), "gain is NaN, expected a finite number in its range");
        let fopdt = Transfer::Fopdt { gain: 1.0, tau_s: 1.0, delay_s: -2.0 };
        assert_eq!(told(fopdt), "delay_s is -2, expected a finite number in its range");
        let list = Transfer::Coefficients { values: vec![1.0, 2.0], ramp: false };
        assert_eq!(told(list), "2 coefficients, expected 3");
    }
}
