//! How far the model can be believed: it is run beside the plant, uncorrected, and compared.
//!
//! An estimator corrects its model at every sample and so hides the model's faults. Here the model runs open loop from
//! an anchor, the estimate of some cycles ago, with the set-points and disturbances that the plant had; what it is off
//! by after 1 … `anchor_every` periods is the error that the MPC's horizon suffers from. The commissioning ladder asks
//! for these numbers before the loop may be closed.

use plant_models::{Held, Integrator, MAX_STATES, PlantModel};
use serde::{Deserialize, Serialize};
use signals::{Fixed, MAX_CVS, Values};

use crate::estimation::Estimate;
use crate::frame::Frame;

/// The error of the open-loop model in one cycle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ModelError {
    /// The control cycle.
    pub cycle: u64,
    /// Periods since the anchor.
    pub ahead: u32,
    /// Per CV: what the open-loop model expects to be measured, model units.
    pub expected: Fixed<Option<f64>, MAX_CVS>,
    /// Per CV: measurement minus open-loop prediction, model units; `None` where the CV is not measured.
    pub error: Fixed<Option<f64>, MAX_CVS>,
    /// Per CV: the measurement that it speaks of.
    pub measured: Fixed<Option<f64>, MAX_CVS>,
    /// Root mean square of all errors so far, per CV.
    pub rmse: Values<MAX_CVS>,
    /// Mean of all errors so far, per CV.
    pub bias: Values<MAX_CVS>,
    /// Whether the estimate lies in the envelope that the model's card names.
    pub in_envelope: bool,
}

/// Runs the model beside the plant.
#[derive(Debug)]
pub struct OpenLoop {
    model: &'static dyn PlantModel,
    rk4: Integrator,
    config: OpenLoopConfig,
    x: Values<MAX_STATES>,
    d: Values<MAX_CVS>,
    last: Option<(u64, u32)>,
    y: Values<MAX_CVS>,
    fits: Fixed<Fit, MAX_CVS>,
}

/// How the model is run.
#[derive(Clone, Debug)]
pub struct OpenLoopConfig {
    /// The control period, in seconds.
    pub period_s: f64,
    /// RK4 steps per period.
    pub substeps: usize,
    /// The model output of each CV.
    pub outputs: Vec<usize>,
    /// Periods after which the model is set to the estimate again.
    pub anchor_every: u32,
}

/// How well one variable is foretold: running means over its measurements y and their errors e. Model units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fit {
    n: u32,
    mean: f64,
    mean_square: f64,
    y_mean: f64,
    y_variance: f64,
}

impl Fit {
    /// Takes in a measurement and its error.
    pub fn add(&mut self, measured: f64, error: f64) {
        self.merge(&Self { n: 1, mean: error, mean_square: error * error, y_mean: measured, y_variance: 0.0 });
    }

    /// Takes in all that another one has seen (Chan, Golub and LeVeque 1983).
    pub fn merge(&mut self, other: &Self) {
        let n = self.n.saturating_add(other.n);
        if other.n == 0 || n == self.n {
            return;
        }
        let (share, apart) = (f64::from(other.n) / f64::from(n), other.y_mean - self.y_mean);
        self.mean += share * (other.mean - self.mean);
        self.mean_square += share * (other.mean_square - self.mean_square);
        self.y_mean += share * apart;
        self.y_variance += share * (other.y_variance - self.y_variance) + share * (1.0 - share) * apart * apart;
        self.n = n;
    }

    /// How many errors there were.
    #[must_use]
    pub fn n(&self) -> u32 {
        self.n
    }

    /// `√(mean e²)`; 0 before the first.
    #[must_use]
    pub fn rmse(&self) -> f64 {
        self.mean_square.sqrt()
    }

    /// `mean e`; 0 before the first.
    #[must_use]
    pub fn bias(&self) -> f64 {
        self.mean
    }

    /// `1 - mean e² / var y`: 1 for a perfect model, 0 for one that is as good as the mean of the measurements. `None`
    /// where the measurement did not vary.
    #[must_use]
    pub fn r2(&self) -> Option<f64> {
        (self.y_variance > 0.0).then(|| 1.0 - self.mean_square / self.y_variance)
    }
}

impl OpenLoop {
    /// Not anchored yet: the first valid estimate anchors it.
    #[must_use]
    pub fn new(model: &'static dyn PlantModel, config: OpenLoopConfig) -> Self {
        let (cvs, outputs) = (config.outputs.len(), model.card().outputs.len());
        Self {
            model,
            rk4: Integrator::rk4(model),
            x: Values::new(),
            d: Values::new(),
            last: None,
            y: Values::filled(0.0, outputs),
            fits: Fixed::filled(Fit::default(), cvs),
            config,
        }
    }

    /// Runs the model to this cycle with the set-points `u` (NU, model units) that were in use since the last one, and
    /// compares. `None` while there is no valid estimate to anchor to.
    pub fn step(&mut self, frame: &Frame, estimate: &Estimate, u: &[f64]) -> Option<ModelError> {
        let due = match self.last {
            Some((cycle, ahead)) if estimate.cycle() == cycle + 1 => ahead >= self.config.anchor_every,
            _ => true,
        };
        if due {
            self.anchor(estimate);
            return None;
        }
        let ahead = self.last.map_or(0, |(_, ahead)| ahead) + 1;
        self.last = Some((estimate.cycle(), ahead));
        let held = Held { u, p: estimate.p(), dt_s: self.config.period_s, substeps: self.config.substeps };
        self.rk4.step(&mut self.x, &held);
        self.model.outputs(&self.x, estimate.p(), &mut self.y);
        let (mut expected, mut error, mut measured) = (Fixed::new(), Fixed::new(), Fixed::new());
        for (i, fit) in self.fits.iter_mut().enumerate() {
            let predicted = self.config.outputs.get(i).and_then(|o| self.y.get(*o)).zip(self.d.get(i));
            let predicted = predicted.map(|(h, d)| h + d);
            let miss = frame.cv(i).zip(predicted).map(|(y, predicted)| (y, y - predicted));
            let miss = miss.filter(|(_, e)| e.is_finite());
            let _ = expected.push(predicted);
            if let Some((y, e)) = miss {
                fit.add(y, e);
            }
            let _ = error.push(miss.map(|(_, e)| e));
            let _ = measured.push(miss.map(|(y, _)| y));
        }
        Some(ModelError {
            cycle: estimate.cycle(),
            ahead,
            expected,
            error,
            measured,
            rmse: Values::collect(self.fits.iter().map(Fit::rmse)),
            bias: Values::collect(self.fits.iter().map(Fit::bias)),
            in_envelope: self.model.outside_envelope(estimate.x(), u).is_none(),
        })
    }

    fn anchor(&mut self, estimate: &Estimate) {
        if !estimate.valid() {
            self.last = None;
            return;
        }
        self.x = Values::collect(estimate.x().iter().copied());
        self.d = Values::collect(estimate.d().iter().copied());
        self.last = Some((estimate.cycle(), 0));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use plant_models::{Cstr2, by_name};
    use signals::Stamp;

    use super::*;
    use crate::estimation::{CvNoise, Ekf, EkfConfig};
    use crate::frame::tests::frame_of;

    const PERIOD_S: f64 = 6.0;
    static DULL: Cstr2 = Cstr2 { heat_transfer: 0.9 * Cstr2::NOMINAL.heat_transfer, ..Cstr2::NOMINAL };

    fn ekf(model: &'static dyn PlantModel) -> Ekf {
        let noise = |output| CvNoise { output, measurement_sd: 0.01, disturbance_sd: 0.01 };
        let config = EkfConfig {
            period_s: PERIOD_S,
            substeps: 4,
            cv: vec![noise(0), noise(1)],
            state_sd: vec![0.001, 0.1],
            initial_sd: vec![0.1, 1.0],
            dv_of: vec![],
            dv_hold: Duration::ZERO,
            cv_missing_max: 3,
        };
        Ekf::new(model, config).unwrap()
    }

    /// Runs `plant` beside the nominal model with a wandering input; the errors that the open-loop model makes.
    fn errors(plant: &'static dyn PlantModel) -> Vec<ModelError> {
        let model = by_name("cstr2").unwrap();
        let config = OpenLoopConfig { period_s: PERIOD_S, substeps: 4, outputs: vec![0, 1], anchor_every: 10 };
        let (mut ekf, mut open_loop, rk4) = (ekf(model), OpenLoop::new(model, config), Integrator::rk4(plant));
        let (mut x, p) = ([0.877, 324.5], [1.0, 350.0]);
        let mut errors = Vec::new();
        for cycle in 1..120_u64 {
            let u = [300.0 + 2.0 * (0.2 * cycle as f64).sin()];
            rk4.step(&mut x, &Held { u: &u, p: &p, dt_s: PERIOD_S, substeps: 4 });
            let frame = frame_of(cycle, Stamp::from_secs_f64(cycle as f64 * PERIOD_S), &[Some(x[0]), Some(x[1])], &[]);
            errors.extend(open_loop.step(&frame, &ekf.step(&frame, &u), &u));
        }
        errors
    }

    #[test]
    fn a_true_model_makes_small_errors_and_a_wrong_one_large_ones() {
        let (true_model, wrong_model) = (errors(by_name("cstr2").unwrap()), errors(&DULL));
        let (small, large) = (true_model.last().unwrap(), wrong_model.last().unwrap());
        assert!(small.rmse[1] < 0.2, "{small:?}");
        assert!(large.rmse[1] > 5.0 * small.rmse[1], "{large:?}");
        assert!(small.in_envelope && large.in_envelope);
    }

    /// Against sums taken in two passes.
    #[test]
    fn a_fit_in_pieces_is_the_fit_of_the_whole() {
        let pairs: Vec<(f64, f64)> =
            (0..40).map(|i| (f64::from(i) * 0.3 - 2.0, 0.1 * f64::from(i % 7) - 0.2)).collect();
        let (mut whole, mut head, mut tail) = (Fit::default(), Fit::default(), Fit::default());
        for (i, (y, e)) in pairs.iter().enumerate() {
            whole.add(*y, *e);
            if i < 13 { head.add(*y, *e) } else { tail.add(*y, *e) }
        }
        head.merge(&tail);
        let mean = |f: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(f).sum::<f64>() / 40.0;
        let (square, y_mean) = (mean(&|p| p.1 * p.1), mean(&|p| p.0));
        let r2 = 1.0 - square / mean(&|p| (p.0 - y_mean).powi(2));
        for fit in [whole, head] {
            assert_eq!(fit.n(), 40);
            assert!((fit.rmse() - square.sqrt()).abs() < 1e-12 && (fit.bias() - mean(&|p| p.1)).abs() < 1e-12);
            assert!((fit.r2().unwrap() - r2).abs() < 1e-12, "{fit:?}");
        }
        head.merge(&Fit::default());
        assert_eq!(head.n(), 40);
        assert_eq!(Fit::default().r2(), None, "nothing varied");
    }

    #[test]
    fn a_true_model_explains_the_measurement_and_a_wrong_one_less() {
        let r2 = |plant| {
            let mut fit = Fit::default();
            for e in errors(plant) {
                fit.add(e.measured[1].unwrap(), e.error[1].unwrap());
            }
            fit.r2().unwrap()
        };
        let (right, wrong) = (r2(by_name("cstr2").unwrap()), r2(&DULL));
        assert!(right > 0.9 && right > wrong, "{right} {wrong}");
    }

    #[test]
    fn the_model_is_set_to_the_estimate_again_after_its_time() {
        let ahead: Vec<_> = errors(by_name("cstr2").unwrap()).iter().map(|e| e.ahead).collect();
        assert_eq!(&ahead[..12], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1, 2]);
    }
}
