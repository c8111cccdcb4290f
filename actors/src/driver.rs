//! Turns the pacer's beats into the input image and the rings of a scan.

use std::sync::Arc;

use crate::board::{Beat, Board, SCANS_PER_CYCLE};
use crate::kernel::supervision::Escalation;
use crate::kernel::watchdog::Sign;
use crate::kernel::{Clock, Doorbell, Probe, Telemetry, Tick};
use crate::tape::{Entry, Tape, take_over};

/// The bells of one loop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bells {
    pub(crate) sensors: Vec<Doorbell>,
    pub(crate) estimator: Doorbell,
    pub(crate) model: Doorbell,
    pub(crate) mpc: Doorbell,
    pub(crate) selector: Doorbell,
    pub(crate) interlock: Doorbell,
    pub(crate) recommender: Doorbell,
    pub(crate) end: Doorbell,
}

impl Bells {
    /// Those of a loop with so many measured tags.
    pub(crate) fn of(tags: usize) -> Self {
        Self { sensors: (0..tags).map(|_| Doorbell::new()).collect(), ..Self::default() }
    }
}

/// Turns the pacer's beats into rings.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) board: Board,
    pub(crate) bells: Bells,
    pub(crate) clock: Clock,
    pub(crate) telemetry: Telemetry,
    /// How late the beats are.
    pub(crate) release: Probe,
    pub(crate) tape: Arc<dyn Tape>,
    pub(crate) deadline_scan: u64,
    pub(crate) cycle: u64,
    /// The last cycle whose cut-off was rung.
    pub(crate) estimated: u64,
    pub(crate) escalation: Escalation,
    /// The cycle in which a stage was seen to be given up.
    pub(crate) given_up: Option<u64>,
}

impl Driver {
    /// The stage that was given up a period ago or more: the interlock had the time to shed, and if it was the
    /// interlock itself, nobody else can say that the loop is over.
    pub(crate) fn over(&mut self) -> Option<&'static str> {
        let stage = self.escalation.raised_by()?;
        let since = *self.given_up.get_or_insert(self.cycle);
        (self.cycle > since + 1).then_some(stage)
    }

    pub(crate) fn beat(&mut self, Tick { index, dropped, lateness }: Tick) {
        self.board.heartbeat.give(Sign::Beat, self.clock.boot_ns());
        self.telemetry.count_overruns(dropped);
        self.release.record(i64::try_from(lateness.as_nanos()).unwrap_or(i64::MAX));
        let (cycle, scan) = (index / SCANS_PER_CYCLE + 1, index % SCANS_PER_CYCLE);
        let (now, wall_ns) = (self.clock.now(), self.clock.wall_ns());
        let opens = cycle != self.cycle;
        let last = self.board.beat.read().unwrap_or_default();
        self.cycle = cycle;
        // Within a cycle the times of its opening stay: they are the stages' `now`.
        let (at, wall_ns) = if opens { (now, wall_ns) } else { (last.at, last.wall_ns) };
        if let Some(calendar) = self.clock.calendar() {
            self.board.inlet.calendar.put(calendar);
        }
        self.board.image.latch(&self.board.inlet);
        let beat = Beat { cycle, scan, at, wall_ns };
        self.board.beat.put(beat);
        self.tape.note(Entry::Beat { beat, now, dropped, image: &self.board.image });
        take_over(&self.board, &*self.tape);
        let now_ns = self.clock.wall_ns();
        if opens {
            self.telemetry.count_cycle();
            for bell in &self.bells.sensors {
                bell.ring(now_ns);
            }
        } else if self.estimated != cycle {
            // Once a cycle is enough: the estimator has the whole of the sensors' answers or does without the rest.
            self.estimated = cycle;
            self.bells.estimator.ring(now_ns);
        }
        if scan >= self.deadline_scan {
            self.bells.selector.ring(now_ns);
        }
        self.bells.interlock.ring(now_ns);
        // A person may answer at any scan, whatever the interlock has to show.
        self.bells.recommender.ring(now_ns);
    }
}
