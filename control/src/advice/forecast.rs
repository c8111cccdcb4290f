//! What the CVs would come to: the model, run from the estimate with the set-points held, and with them moved.
//!
//! The set-points go to their goal as the DCS would take them there, by at most `du_max` a period, and then stay. The
//! estimator's output disturbance is held, as in the controller's own prediction.

use plant_models::{Held, Integrator, MAX_STATES, PlantModel};
use signals::{MAX_CVS, MAX_MVS, Values};

use crate::estimation::Estimate;

/// How far ahead, and in what steps.
#[derive(Clone, Debug)]
pub struct ForecastConfig {
    /// The control period, in seconds.
    pub period_s: f64,
    /// RK4 steps per period.
    pub substeps: usize,
    /// The horizon, in periods.
    pub periods: usize,
    /// The model output of each CV.
    pub outputs: Vec<usize>,
}

/// The CVs at the end of the horizon, model units; not finite where the model has left its domain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Foretold {
    /// If the set-points stay where they are.
    pub hold: Values<MAX_CVS>,
    /// If they go where they are recommended.
    pub pred: Values<MAX_CVS>,
}

/// Foretells. It has no memory: equal arguments give equal answers.
#[derive(Clone, Debug)]
pub struct Forecast {
    model: &'static dyn PlantModel,
    rk4: Integrator,
    config: ForecastConfig,
}

impl Forecast {
    /// For one loop.
    #[must_use]
    pub fn new(model: &'static dyn PlantModel, config: ForecastConfig) -> Self {
        Self { model, rk4: Integrator::rk4(model), config }
    }

    /// The CVs with the set-points `from` held, and with them moved to `to`.
    ///
    /// | argument | meaning |
    /// |---|---|
    /// | `from`, `to` | NU, model units |
    /// | `du_max` | NU, model units per period |
    #[must_use]
    pub fn foretell(&self, estimate: &Estimate, from: &[f64], to: &[f64], du_max: &[f64]) -> Foretold {
        Foretold { hold: self.end(estimate, from, from, du_max), pred: self.end(estimate, from, to, du_max) }
    }

    fn end(&self, estimate: &Estimate, from: &[f64], to: &[f64], du_max: &[f64]) -> Values<MAX_CVS> {
        let mut x = Values::<MAX_STATES>::collect(estimate.x().iter().copied());
        let mut u = Values::<MAX_MVS>::collect(from.iter().copied());
        for _ in 0..self.config.periods {
            for ((u, to), du) in u.iter_mut().zip(to).zip(du_max) {
                *u += (to - *u).max(-du).min(*du);
            }
            let (dt_s, substeps) = (self.config.period_s, self.config.substeps);
            self.rk4.step(&mut x, &Held { u: &u, p: estimate.p(), dt_s, substeps });
        }
        let mut y = Values::<MAX_CVS>::filled(0.0, self.model.card().outputs.len());
        self.model.outputs(&x, estimate.p(), &mut y);
        let cvs = self.config.outputs.iter().zip(estimate.d());
        Values::collect(cvs.map(|(output, d)| y.get(*output).map_or(f64::NAN, |y| y + d)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use plant_models::by_name;
    use signals::Stamp;

    use super::*;
    use crate::estimation::{CvNoise, Ekf, EkfConfig};
    use crate::frame::tests::frame_of;

    const PERIOD_S: f64 = 6.0;

    /// The nominal reactor, at rest at 300 K of jacket.
    fn at_rest() -> (Forecast, Estimate) {
        let model = by_name("cstr2").unwrap();
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
        let mut ekf = Ekf::new(model, config).unwrap();
        let frame = |k: u64| frame_of(k, Stamp::from_secs_f64(k as f64 * PERIOD_S), &[Some(0.877), Some(324.5)], &[]);
        let estimate = (1..40).map(|k| ekf.step(&frame(k), &[300.0])).last().unwrap();
        let config = ForecastConfig { period_s: PERIOD_S, substeps: 4, periods: 10, outputs: vec![0, 1] };
        (Forecast::new(model, config), estimate)
    }

    #[test]
    fn what_stays_is_foretold_to_stay_and_a_warmer_jacket_to_warm() {
        let (forecast, estimate) = at_rest();
        let told = forecast.foretell(&estimate, &[300.0], &[303.0], &[f64::INFINITY]);
        assert!((told.hold[1] - 324.5).abs() < 0.5, "{told:?}");
        assert!(told.pred[1] > told.hold[1] + 1.0, "{told:?}");
    }

    #[test]
    fn the_set_points_go_no_faster_than_the_dcs_takes_them() {
        let (forecast, estimate) = at_rest();
        let end = |du| forecast.foretell(&estimate, &[300.0], &[303.0], &[du]).pred[1];
        assert!(end(0.1) < end(1.0) && end(1.0) < end(f64::INFINITY));
        let still = forecast.foretell(&estimate, &[300.0], &[303.0], &[0.0]);
        assert_eq!(still.pred, still.hold, "the negative control: no rate, no move");
    }
}
