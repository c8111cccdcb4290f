//! How far the model can be believed: it is run beside the plant, uncorrected, and compared.
//!
//! An estimator corrects its model at every sample and so hides the model's faults. Here the model runs open loop from
//! an anchor, the estimate of some cycles ago, with the set-points and disturbances that the plant had; what it is off
//! by after 1 … `anchor_every` periods is the error that the MPC's horizon suffers from. The commissioning ladder asks
//! for these numbers before the loop may be closed.

use plant_models::{Held, Integrator, MAX_STATES, PlantModel};
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
    sums: Fixed<Sums, MAX_CVS>,
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

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    n: u32,
    mean: f64,
    mean_square: f64,
}

impl Sums {
    fn add(&mut self, error: f64) {
        self.n = self.n.saturating_add(1);
        self.mean += (error - self.mean) / f64::from(self.n);
        self.mean_square += (error * error - self.mean_square) / f64::from(self.n);
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
            sums: Fixed::filled(Sums::default(), cvs),
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
        let (mut expected, mut error) = (Fixed::new(), Fixed::new());
        for (i, sums) in self.sums.iter_mut().enumerate() {
            let predicted = self.config.outputs.get(i).and_then(|o| self.y.get(*o)).zip(self.d.get(i));
            let predicted = predicted.map(|(h, d)| h + d);
            let miss = frame.cv(i).zip(predicted).map(|(y, predicted)| y - predicted).filter(|e| e.is_finite());
            let _ = expected.push(predicted);
            if let Some(miss) = miss {
                sums.add(miss);
            }
            let _ = error.push(miss);
        }
        Some(ModelError {
            cycle: estimate.cycle(),
            ahead,
            expected,
            error,
            rmse: Values::collect(self.sums.iter().map(|s| s.mean_square.sqrt())),
            bias: Values::collect(self.sums.iter().map(|s| s.mean)),
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

    #[test]
    fn the_model_is_set_to_the_estimate_again_after_its_time() {
        let ahead: Vec<_> = errors(by_name("cstr2").unwrap()).iter().map(|e| e.ahead).collect();
        assert_eq!(&ahead[..12], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1, 2]);
    }
}
