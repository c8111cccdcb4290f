//! The instruments: they put the plant's outputs and disturbances, with noise, into the words of the DCS.
//!
//! Place in the loop: between emulator and DCS. Faults of measurements ([`SensorFault`]) are injected here, so that the
//! application meets them as it would meet those of a real transmitter: a wrong number, a frozen one, a bad status.

use signals::dcs::{DcsView, Reading};
use signals::vote::TRANSMITTERS;
use signals::{Quality, Stamp};

use crate::command::{Instrument, Measured};
use crate::config::{CvConfig, DvConfig, RigConfig};
use crate::dynamics::Dynamics;
use crate::fault::{SensorFault, Sick};
use crate::random::Random;

/// The stream of the seed from which the chance of sensor faults comes ([`Random::stream`]).
const FAULTS: u32 = 100;

/// One transmitter.
#[derive(Clone, Debug)]
struct Transmitter {
    source: usize,
    way: Dynamics,
    range: (f64, f64),
    noise_sd: f64,
    shown: Reading<f64>,
    sick: Option<Sick>,
}

impl Transmitter {
    fn new(source: usize, way: Dynamics, range: (f64, f64), noise_sd: f64) -> Self {
        let shown = Reading::of(f64::NAN, Stamp::NEVER);
        Self { source, way, range, noise_sd, shown, sick: None }
    }

    /// Draws its noise in every case, so that a fault does not shift the noise of the others.
    fn read(&mut self, truth: &[f64], noise: &mut Random, now: Stamp) -> Reading<f64> {
        let draw = noise.normal() * self.noise_sd;
        let arrived = self.way.step(truth.get(self.source).copied().unwrap_or(f64::NAN));
        let healthy = Reading::of(arrived + draw, now);
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
        let (noise, faults) = (Random::seeded(seed), Random::stream(seed, FAULTS));
        Self {
            noise,
            faults,
            cvs: config.cvs.iter().map(|cv| of_cv(cv, config)).collect(),
            dvs: config.dvs.iter().map(|dv| of_dv(dv, config)).collect(),
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

    /// Every measurement bad and without a number, stamped `now`: the plant says nothing. A faulty transmitter is no
    /// exception, or a stuck one would show a good value of a plant that is not there.
    pub(crate) fn blind(now: Stamp, view: &mut DcsView) {
        let nothing = Reading { value: f64::NAN, quality: Quality::Bad, source_time: now };
        for (pv, spares) in view
            .cvs
            .iter_mut()
            .map(|cv| (&mut cv.pv, &mut cv.spares))
            .chain(view.dvs.iter_mut().map(|dv| (&mut dv.pv, &mut dv.spares)))
        {
            *pv = nothing;
            spares.iter_mut().flatten().for_each(|spare| *spare = nothing);
        }
    }

    /// Gives a transmitter a fault from `now` on, or mends it; `false` when there is no such transmitter.
    pub(crate) fn inject(&mut self, of: Instrument, fault: Option<SensorFault>, now: Stamp) -> bool {
        let chance = Random::seeded(self.faults.bits());
        let Some(transmitter) = self.find(of) else { return false };
        let (shown, range) = (transmitter.shown, transmitter.range);
        transmitter.sick = fault.map(|fault| Sick::new(fault, now, shown, range, chance));
        true
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
    let pair = |one: Transmitter| [one.clone(), one];
    let cvs = config.cvs.iter().enumerate().filter(|(_, cv)| cv.spared);
    let dvs = config.dvs.iter().enumerate().filter(|(_, dv)| dv.spared);
    let cvs = cvs.map(|(n, cv)| (Measured::Cv(n), pair(of_cv(cv, config))));
    cvs.chain(dvs.map(|(n, dv)| (Measured::Dv(n), pair(of_dv(dv, config))))).collect()
}

/// A transmitter of a CV.
fn of_cv(cv: &CvConfig, config: &RigConfig) -> Transmitter {
    let way = Dynamics::new(cv.lag_s, cv.dead_time_s, config.scan.as_secs_f64());
    Transmitter::new(cv.output, way, (cv.range.low, cv.range.high), cv.noise_sd)
}

/// One of a DV. It has no range in the plant file: its transmitter has that of the model's card.
fn of_dv(dv: &DvConfig, config: &RigConfig) -> Transmitter {
    let range = (dv.variable.low, dv.variable.high);
    Transmitter::new(dv.index, Dynamics::new(0.0, 0.0, config.scan.as_secs_f64()), range, dv.noise_sd)
}
