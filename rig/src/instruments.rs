//! The instruments: they put the plant's outputs and disturbances, with noise, into the words of the DCS.
//!
//! Place in the loop: between emulator and DCS. Faults of measurements ([`SensorFault`]) are injected here, so that the
//! application meets them as it would meet those of a real transmitter: a wrong number, a frozen one, a bad status.

use signals::Stamp;
use signals::dcs::{DcsView, Reading};

use crate::command::Measured;
use crate::config::{DvConfig, RigConfig};
use crate::fault::{SensorFault, Sick};
use crate::random::Random;

/// The stream of the seed from which the chance of sensor faults comes ([`Random::stream`]).
const FAULTS: u32 = 100;

/// One transmitter.
#[derive(Clone, Debug)]
struct Transmitter {
    source: usize,
    range: (f64, f64),
    noise_sd: f64,
    shown: Reading<f64>,
    sick: Option<Sick>,
}

impl Transmitter {
    fn new(source: usize, range: (f64, f64), noise_sd: f64) -> Self {
        let shown = Reading::of(f64::NAN, Stamp::NEVER);
        Self { source, range, noise_sd, shown, sick: None }
    }

    /// Draws its noise in every case, so that a fault does not shift the noise of the others.
    fn read(&mut self, truth: &[f64], noise: &mut Random, now: Stamp) -> Reading<f64> {
        let draw = noise.normal() * self.noise_sd;
        let healthy = Reading::of(truth.get(self.source).map_or(f64::NAN, |value| value + draw), now);
        self.shown = self.sick.as_mut().map_or(healthy, |sick| sick.show(healthy));
        self.shown
    }
}

/// Every transmitter of the loop.
#[derive(Clone, Debug)]
pub(crate) struct Instruments {
    noise: Random,
    /// Where each fault gets its own chance from.
    faults: Random,
    cvs: Vec<Transmitter>,
    dvs: Vec<Transmitter>,
}

impl Instruments {
    /// Healthy instruments.
    #[must_use]
    pub(crate) fn new(config: &RigConfig, seed: u64) -> Self {
        let cvs = config.cvs.iter().map(|cv| Transmitter::new(cv.output, (cv.range.low, cv.range.high), cv.noise_sd));
        // A DV has no range in the plant file: its transmitter has that of the model's card.
        let range = |dv: &DvConfig| (dv.variable.low, dv.variable.high);
        let dvs = config.dvs.iter().map(|dv| Transmitter::new(dv.index, range(dv), dv.noise_sd));
        let (noise, faults) = (Random::seeded(seed), Random::stream(seed, FAULTS));
        Self { noise, faults, cvs: cvs.collect(), dvs: dvs.collect() }
    }

    /// Reads outputs `y` (NY) and disturbances `p` (NP) into the `PV`s of the image, stamped `now`.
    pub(crate) fn read(&mut self, y: &[f64], p: &[f64], now: Stamp, view: &mut DcsView) {
        for (transmitter, cv) in self.cvs.iter_mut().zip(view.cvs.iter_mut()) {
            cv.pv = transmitter.read(y, &mut self.noise, now);
        }
        for (transmitter, dv) in self.dvs.iter_mut().zip(view.dvs.iter_mut()) {
            dv.pv = transmitter.read(p, &mut self.noise, now);
        }
    }

    /// Gives a transmitter a fault from `now` on, or mends it; `false` when there is no such measurement.
    pub(crate) fn inject(&mut self, of: Measured, fault: Option<SensorFault>, now: Stamp) -> bool {
        let chance = Random::seeded(self.faults.bits());
        let Some(transmitter) = self.find(of) else { return false };
        let (shown, range) = (transmitter.shown, transmitter.range);
        transmitter.sick = fault.map(|fault| Sick::new(fault, now, shown, range, chance));
        true
    }

    fn find(&mut self, of: Measured) -> Option<&mut Transmitter> {
        match of {
            Measured::Cv(n) => self.cvs.get_mut(n),
            Measured::Dv(n) => self.dvs.get_mut(n),
        }
    }
}
