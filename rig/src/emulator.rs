//! The emulated plant: a model's differential equations or a plant outside, its disturbances, and an open-loop twin.
//!
//! Place in the loop: where the plant would be. Its inputs are the actuators of the slave loops; its outputs become
//! the measurements of the DCS. The twin stands beside a model with its inputs frozen at the start and meets the same
//! disturbances: what would have happened if nobody had moved anything. A plant outside has no twin.
//!
//! Invariants: a model starts at a steady state of the configured inputs; deterministic, as far as a plant outside is;
//! noise-free (the DCS adds the noise of its instruments). While a plant gives no numbers, its outputs are NaN.

use plant_models::{Held, Integrator, SteadyStateError, steady_state};

use crate::config::RigConfig;
use crate::degradation::Decay;
use crate::plant::{Plant, PlantFault, PlantSource};

/// The plant and its twin.
#[derive(Debug)]
pub(crate) struct Emulator {
    plant: Box<dyn Plant>,
    twin: Option<Twin>,
    p: Vec<f64>,
    decays: Vec<Decay>,
    y: Vec<f64>,
    y_open_loop: Vec<f64>,
    fault: Option<PlantFault>,
}

/// A model of ours, integrated from a steady state.
#[derive(Clone, Debug)]
struct ModelPlant {
    integrator: Integrator,
    substeps: usize,
    x: Vec<f64>,
}

/// The plant whose inputs never move.
#[derive(Debug)]
struct Twin {
    plant: ModelPlant,
    u_start: Vec<f64>,
}

impl Plant for ModelPlant {
    fn start(&mut self, _u: &[f64], p: &[f64], y: &mut [f64]) -> Result<(), PlantFault> {
        self.integrator.model().outputs(&self.x, p, y);
        Ok(())
    }

    fn step(&mut self, u: &[f64], p: &[f64], dt_s: f64, y: &mut [f64]) -> Result<(), PlantFault> {
        self.integrator.step(&mut self.x, &Held { u, p, dt_s, substeps: self.substeps });
        self.integrator.model().outputs(&self.x, p, y);
        Ok(())
    }
}

/// What stands against a start.
#[derive(Debug)]
pub(crate) enum NoStart {
    /// The model has no steady state there that Newton's method finds from the card's nominal states.
    NoSteadyState(SteadyStateError),
    /// The plant file names a plant outside, and none was given.
    NoPlant,
    /// The plant outside gave no numbers.
    Silent(PlantFault),
}

impl Emulator {
    /// A plant at rest under the configured inputs and disturbances; `outside` is the plant of a file that names one.
    pub(crate) fn at_rest(config: &RigConfig, outside: Option<Box<dyn Plant>>) -> Result<Self, NoStart> {
        let card = config.card();
        let u_start: Vec<f64> = config.mvs.iter().map(|mv| mv.start).collect();
        let p = config.disturbances();
        let (plant, twin): (Box<dyn Plant>, _) = match (config.plant, outside) {
            (_, Some(outside)) => (outside, None),
            (PlantSource::External(_), None) => return Err(NoStart::NoPlant),
            (PlantSource::Model(model), None) => {
                let guess: Vec<f64> = card.states.iter().map(|state| state.nominal).collect();
                let x = steady_state(model, &u_start, &p, &guess).map_err(NoStart::NoSteadyState)?;
                let plant = ModelPlant { integrator: Integrator::rk4(model), substeps: config.substeps, x };
                let twin = Twin { plant: plant.clone(), u_start: u_start.clone() };
                (Box::new(plant), Some(twin))
            }
        };
        let start = |of: &crate::degradation::Degradation| p.get(of.index).copied().unwrap_or(f64::NAN);
        let decays = config.degradation.iter().map(|of| Decay { of: *of, start: start(of), age_s: 0.0 }).collect();
        let nothing = vec![f64::NAN; card.outputs.len()];
        let (y, y_open_loop) = (nothing.clone(), nothing);
        let mut emulator = Self { plant, twin, p, decays, y, y_open_loop, fault: None };
        emulator.plant.start(&u_start, &emulator.p, &mut emulator.y).map_err(NoStart::Silent)?;
        if emulator.twin.is_some() {
            emulator.y_open_loop.clone_from(&emulator.y);
        }
        Ok(emulator)
    }

    /// Moves plant and twin by `dt_s` seconds; `u` (NU) is held over the interval, in model units.
    pub(crate) fn step(&mut self, u: &[f64], dt_s: f64) {
        for decay in &mut self.decays {
            let value = decay.grow(dt_s);
            if let Some(slot) = self.p.get_mut(decay.of.index) {
                *slot = value;
            }
        }
        self.fault = self.plant.step(u, &self.p, dt_s, &mut self.y).err();
        if self.fault.is_some() {
            self.y.fill(f64::NAN);
        }
        if let Some(Twin { plant, u_start }) = &mut self.twin {
            // A model always answers.
            let _ = plant.step(u_start, &self.p, dt_s, &mut self.y_open_loop);
        }
    }

    /// The outputs y (NY) without noise, in model units.
    #[must_use]
    pub(crate) fn y(&self) -> &[f64] {
        &self.y
    }

    /// The outputs of the open-loop twin; NaN where there is none.
    #[must_use]
    pub(crate) fn y_open_loop(&self) -> &[f64] {
        &self.y_open_loop
    }

    /// The disturbances p (NP), in model units.
    #[must_use]
    pub(crate) fn p(&self) -> &[f64] {
        &self.p
    }

    /// Why the plant gave no numbers at the last step; none while it does.
    #[must_use]
    pub(crate) fn fault(&self) -> Option<&PlantFault> {
        self.fault.as_ref()
    }

    /// Steps disturbance `index` to `value`; `false` when the model has no such disturbance. One that decays begins anew
    /// from there.
    pub(crate) fn disturb(&mut self, index: usize, value: f64) -> bool {
        for decay in self.decays.iter_mut().filter(|decay| decay.of.index == index) {
            (decay.start, decay.age_s) = (value, 0.0);
        }
        self.p.get_mut(index).map(|slot| *slot = value).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_plant;

    #[test]
    fn a_plant_at_rest_stays_at_rest_and_so_does_its_twin() {
        let config = test_plant();
        let mut plant = Emulator::at_rest(&config, None).unwrap();
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
        let mut plant = Emulator::at_rest(&config, None).unwrap();
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
