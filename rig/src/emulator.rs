//! The emulated plant: the model's differential equations, its disturbances, and an open-loop twin.
//!
//! Place in the loop: where the plant would be. Its inputs are the actuators of the slave loops; its outputs become
//! the measurements of the DCS. The twin stands beside it with its inputs frozen at the start and meets the same
//! disturbances: what would have happened if nobody had moved anything.
//!
//! Invariants: starts at a steady state of the configured inputs; deterministic; noise-free (the DCS adds the noise
//! of its instruments).

use plant_models::{Held, Integrator, SteadyStateError, steady_state};

use crate::config::RigConfig;

/// The plant and its twin.
#[derive(Clone, Debug)]
pub(crate) struct Emulator {
    rk4: Integrator,
    substeps: usize,
    x: Vec<f64>,
    x_open_loop: Vec<f64>,
    u_start: Vec<f64>,
    p: Vec<f64>,
    y: Vec<f64>,
    y_open_loop: Vec<f64>,
}

impl Emulator {
    /// A plant at rest under the configured inputs and disturbances.
    ///
    /// # Errors
    /// The model has no steady state there that Newton's method finds from the card's nominal states.
    pub(crate) fn at_rest(config: &RigConfig) -> Result<Self, SteadyStateError> {
        let card = config.card();
        let u_start: Vec<f64> = config.mvs.iter().map(|mv| mv.start).collect();
        let p = config.disturbances();
        let guess: Vec<f64> = card.states.iter().map(|state| state.nominal).collect();
        let x = steady_state(config.model, &u_start, &p, &guess)?;
        let mut plant = Self {
            rk4: Integrator::rk4(config.model),
            substeps: config.substeps,
            x_open_loop: x.clone(),
            x,
            u_start,
            p,
            y: vec![0.0; card.outputs.len()],
            y_open_loop: vec![0.0; card.outputs.len()],
        };
        plant.measure();
        Ok(plant)
    }

    /// Moves plant and twin by `dt_s` seconds; `u` (NU) is held over the interval, in model units.
    pub(crate) fn step(&mut self, u: &[f64], dt_s: f64) {
        let held = |u| Held { u, p: &self.p, dt_s, substeps: self.substeps };
        self.rk4.step(&mut self.x, &held(u));
        self.rk4.step(&mut self.x_open_loop, &held(&self.u_start));
        self.measure();
    }

    /// The outputs y (NY) without noise, in model units.
    #[must_use]
    pub(crate) fn y(&self) -> &[f64] {
        &self.y
    }

    /// The outputs of the open-loop twin.
    #[must_use]
    pub(crate) fn y_open_loop(&self) -> &[f64] {
        &self.y_open_loop
    }

    /// The disturbances p (NP), in model units.
    #[must_use]
    pub(crate) fn p(&self) -> &[f64] {
        &self.p
    }

    /// Steps disturbance `index` to `value`; `false` when the model has no such disturbance.
    pub(crate) fn disturb(&mut self, index: usize, value: f64) -> bool {
        self.p.get_mut(index).map(|slot| *slot = value).is_some()
    }

    fn measure(&mut self) {
        let model = self.rk4.model();
        model.outputs(&self.x, &self.p, &mut self.y);
        model.outputs(&self.x_open_loop, &self.p, &mut self.y_open_loop);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_plant;

    #[test]
    fn a_plant_at_rest_stays_at_rest_and_so_does_its_twin() {
        let config = test_plant();
        let mut plant = Emulator::at_rest(&config).unwrap();
        let start = plant.y().to_vec();
        let u: Vec<f64> = config.mvs.iter().map(|mv| mv.start).collect();
        (0..3600).for_each(|_| plant.step(&u, 1.0));
        for (now, (then, twin)) in plant.y().iter().zip(start.iter().zip(plant.y_open_loop())) {
            assert!((now - then).abs() < 1e-6 && (now - twin).abs() < 1e-12, "{now} {then} {twin}");
        }
    }

    #[test]
    fn a_disturbance_reaches_both_and_a_move_only_the_plant() {
        let config = test_plant();
        let mut plant = Emulator::at_rest(&config).unwrap();
        let start = plant.y()[0];
        let mut u: Vec<f64> = config.mvs.iter().map(|mv| mv.start).collect();
        assert!(plant.disturb(0, config.dvs[0].start * 0.94) && !plant.disturb(9, 1.0));
        (0..3600).for_each(|_| plant.step(&u, 1.0));
        assert!((plant.y()[0] - start).abs() > 1e-3);
        assert!((plant.y()[0] - plant.y_open_loop()[0]).abs() < 1e-12);
        u[0] *= 1.2;
        (0..3600).for_each(|_| plant.step(&u, 1.0));
        assert!((plant.y()[0] - plant.y_open_loop()[0]).abs() > 1e-3);
    }
}
