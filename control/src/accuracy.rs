//! How far the model can be believed: it is run beside the plant, uncorrected, and compared.
//!
//! An estimator corrects its model at every sample and so hides the model's faults. Here the model runs open loop from
//! an anchor, the estimate of some cycles ago, with the set-points and disturbances that the plant had; what it is off
//! by after 1 … `anchor_every` periods is the error that the MPC's horizon suffers from. The commissioning ladder asks
//! for these numbers before the loop may be closed.

use plant_models::{Held, MAX_STATES, PlantModel, Rk4};
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
    rk4: Rk4,
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
            rk4: Rk4::new(model),
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
        let mut error = Fixed::new();
        for (i, sums) in self.sums.iter_mut().enumerate() {
            let predicted = self.config.outputs.get(i).and_then(|o| self.y.get(*o)).zip(self.d.get(i));
            let miss = frame.cv(i).zip(predicted).map(|(y, (h, d))| y - h - d).filter(|e| e.is_finite());
            if let Some(miss) = miss {
                sums.add(miss);
            }
            let _ = error.push(miss);
        }
        Some(ModelError {
            cycle: estimate.cycle(),
            ahead,
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
