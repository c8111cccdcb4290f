//! The instruments: they put the plant's outputs and disturbances, with noise, into the words of the DCS.
//!
//! Place in the loop: between emulator and DCS. Faults of measurements are injected here, so that the application
//! meets them as it would meet those of a real transmitter: a wrong number, a frozen one, a bad status.

use signals::dcs::{DcsView, Reading};
use signals::vote::TRANSMITTERS;
use signals::{Quality, Stamp};

use crate::command::{Forced, Instrument, Measured};
use crate::config::RigConfig;
use crate::random::Random;

/// One transmitter.
#[derive(Clone, Copy, Debug)]
struct Transmitter {
    source: usize,
    noise_sd: f64,
    quality: Quality,
    forced: Option<Forced>,
    shown: f64,
}

impl Transmitter {
    fn new(source: usize, noise_sd: f64) -> Self {
        Self { source, noise_sd, quality: Quality::Good, forced: None, shown: f64::NAN }
    }

    /// Draws its noise in every case, so that a fault does not shift the noise of the others.
    fn read(&mut self, truth: &[f64], noise: &mut Random, now: Stamp) -> Reading<f64> {
        let draw = noise.normal() * self.noise_sd;
        self.shown = match self.forced {
            Some(Forced::Value(value)) => value,
            Some(Forced::Frozen) => self.shown,
            None => truth.get(self.source).map_or(f64::NAN, |value| value + draw),
        };
        Reading { value: self.shown, quality: self.quality, source_time: now }
    }
}

/// Every transmitter of the loop.
#[derive(Clone, Debug)]
pub(crate) struct Instruments {
    noise: Random,
    cvs: Vec<Transmitter>,
    dvs: Vec<Transmitter>,
    /// The spares draw from a stream of their own: nobody else's noise is another where there are some.
    spare_noise: Random,
    spares: Vec<(Measured, [Transmitter; TRANSMITTERS - 1])>,
}

/// The stream of the seed from which the spares draw their noise.
const SPARE_NOISE: u32 = 64;

impl Instruments {
    /// Healthy instruments.
    #[must_use]
    pub(crate) fn new(config: &RigConfig, seed: u64) -> Self {
        Self {
            noise: Random::seeded(seed),
            cvs: config.cvs.iter().map(|cv| Transmitter::new(cv.output, cv.noise_sd)).collect(),
            dvs: config.dvs.iter().map(|dv| Transmitter::new(dv.index, dv.noise_sd)).collect(),
            spare_noise: Random::stream(seed, SPARE_NOISE),
            spares: spares(config),
        }
    }

    /// Reads outputs `y` (NY) and disturbances `p` (NP) into the `PV`s of the image, stamped `now`.
    pub(crate) fn read(&mut self, y: &[f64], p: &[f64], now: Stamp, view: &mut DcsView) {
        for (transmitter, cv) in self.cvs.iter_mut().zip(view.cvs.iter_mut()) {
            cv.pv = transmitter.read(y, &mut self.noise, now);
        }
        for (transmitter, dv) in self.dvs.iter_mut().zip(view.dvs.iter_mut()) {
            dv.pv = transmitter.read(p, &mut self.noise, now);
        }
        for (of, transmitters) in &mut self.spares {
            let (truth, said) = match *of {
                Measured::Cv(n) => (y, view.cvs.get_mut(n).and_then(|cv| cv.spares.as_mut())),
                Measured::Dv(n) => (p, view.dvs.get_mut(n).and_then(|dv| dv.spares.as_mut())),
            };
            for (transmitter, pv) in transmitters.iter_mut().zip(said.into_iter().flatten()) {
                *pv = transmitter.read(truth, &mut self.spare_noise, now);
            }
        }
    }

    /// Sets the status that a transmitter bears from the next scan on; `false` when there is no such transmitter.
    pub(crate) fn set_quality(&mut self, of: Instrument, quality: Quality) -> bool {
        self.find(of).map(|t| t.quality = quality).is_some()
    }

    /// Forces what a transmitter shows from the next scan on, or frees it; `false` when there is no such transmitter.
    pub(crate) fn force(&mut self, of: Instrument, forced: Option<Forced>) -> bool {
        self.find(of).map(|t| t.forced = forced).is_some()
    }

    fn find(&mut self, Instrument { of, number }: Instrument) -> Option<&mut Transmitter> {
        match (of, number.checked_sub(1)) {
            (Measured::Cv(n), None) => self.cvs.get_mut(n),
            (Measured::Dv(n), None) => self.dvs.get_mut(n),
            (of, Some(spare)) => self.spares.iter_mut().find(|(its, _)| *its == of)?.1.get_mut(spare),
        }
    }
}

fn spares(config: &RigConfig) -> Vec<(Measured, [Transmitter; TRANSMITTERS - 1])> {
    let pair = |source, noise_sd| [Transmitter::new(source, noise_sd); TRANSMITTERS - 1];
    let cvs = config.cvs.iter().enumerate().filter(|(_, cv)| cv.spared);
    let dvs = config.dvs.iter().enumerate().filter(|(_, dv)| dv.spared);
    let cvs = cvs.map(|(n, cv)| (Measured::Cv(n), pair(cv.output, cv.noise_sd)));
    cvs.chain(dvs.map(|(n, dv)| (Measured::Dv(n), pair(dv.index, dv.noise_sd)))).collect()
}
