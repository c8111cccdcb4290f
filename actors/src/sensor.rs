//! One actor per tag: judges the newest sample of its tag, once per cycle. Three transmitters vote before that.

use control::screening::Screen;
use signals::vote::TRANSMITTERS;
use signals::{MAX_MVS, Sample, Stamp, TagId, Values};

use crate::board::Board;
use crate::kernel::{Clock, Doorbell, LastGood, Stage};

/// Sample → Screened.
#[derive(Debug)]
pub(crate) struct Sensor {
    pub(crate) tag: TagId,
    /// The number of its DV, if it is one.
    pub(crate) dv: Option<usize>,
    pub(crate) spares: Option<Spares>,
    pub(crate) board: Board,
    pub(crate) estimator: Doorbell,
    pub(crate) clock: Clock,
    pub(crate) memory: SensorMemory,
    pub(crate) last_good: LastGood<SensorMemory>,
}

/// The spare transmitters of a tag.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spares {
    /// Their places in the inlet.
    pub(crate) places: [usize; TRANSMITTERS - 1],
    /// The most by which one of three may differ from their median: the interlock's number.
    pub(crate) tolerance: f64,
}

/// What a sensor's next incarnation must know: without the windows of the checks, the first value after a crash would be
/// believed whatever it is.
#[derive(Clone, Debug)]
pub(crate) struct SensorMemory {
    pub(crate) screen: Screen,
    /// Set-points at the last cycle: a measurement that stands still is frozen only if an input has moved.
    pub(crate) last_u: Option<Values<MAX_MVS>>,
}

impl Sensor {
    /// The newest sample, or the vote of the three; none of a DV that the operator has switched off (`DVn.OPR_ON`), so that its last value is
    /// held for a while and then given up.
    fn sample(&self, now: Stamp) -> Option<Sample> {
        let read = |place: usize| self.board.image.samples.get(place)?.read();
        let own = read(self.tag.index());
        let sample = match self.spares {
            None => own,
            Some(Spares { places: [b, c], tolerance }) => {
                self.memory.screen.vote([own, read(b), read(c)], tolerance, now)
            }
        };
        let Some(dv) = self.dv else { return sample };
        let on = self.board.image.dcs.read()?.dvs.get(dv)?.opr_on.good();
        sample.filter(|_| on == Some(true))
    }
}

impl Stage for Sensor {
    fn step(&mut self, _now: Stamp) {
        let slots = self.board.beat.read().zip(self.board.screened.get(self.tag.index()));
        let Some((beat, screened)) = slots else { return };
        let sample = self.sample(beat.at);
        let memory = &mut self.memory;
        let before = memory.last_u;
        let moved = self.board.set_points_in_use(&mut memory.last_u) != before;
        screened.put(memory.screen.step(sample.as_ref(), moved, beat.cycle, beat.at));
        self.last_good.save(memory);
        self.estimator.ring(self.clock.wall_ns());
    }
}
