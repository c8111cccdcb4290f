//! What stands where the link would be: it carries images, samples and moves between a rig and a loop's ports, all in
//! one process, and may do it badly.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actors::kernel::Latest;
use actors::kernel::watchdog::Permit;
use actors::{Board, MoveSink};
use rig::Rig;
use safety::{ApprovedMove, WriteReport};
use signals::dcs::{ApcView, DcsTag, DcsView, Direction, ModeActual, MvTag, Reading, WireValue};
use signals::vote::TRANSMITTERS;
use signals::{Fixed, MAX_MVS, Quality, Sample, Spared, Stamp, TagId};

use super::judge::{InvalidMoves, Judge};
use crate::opcua::{objection, overdue, unheard};

/// The most scans by which images may be late.
pub const LATE_MAX: usize = 15;

/// A rig that the plumbing, the sink and whoever plays the operator share.
#[derive(Clone, Debug)]
pub struct SharedRig(Arc<Mutex<Rig>>);

impl SharedRig {
    /// Shares a rig.
    #[must_use]
    pub fn new(rig: Rig) -> Self {
        Self(Arc::new(Mutex::new(rig)))
    }

    /// The rig.
    pub fn lock(&self) -> MutexGuard<'_, Rig> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is wrong with the link; by default nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkFaults {
    /// Nothing comes in, and nobody is told.
    pub deaf: bool,
    /// Nothing goes out, and nobody is told.
    pub mute: bool,
    /// Images and samples come so many scans late; at most [`LATE_MAX`].
    pub late_scans: usize,
    /// The image of so many scans ago comes once more, behind the newest: 0 is a duplicate, more is out of order; at most
    /// [`LATE_MAX`].
    pub again: Option<usize>,
    /// The samples of this tag are lost, those of all its transmitters.
    pub lost_tag: Option<TagId>,
    /// Writes of moves fail, and the loop is told.
    pub failing_writes: bool,
    /// The last look before a write is left out: what a negative control switches off.
    pub no_last_look: bool,
}

/// The rig's time at which the loop's begins: a loop that is started beside a rig which has run for a while counts its own.
#[derive(Clone, Copy, Debug)]
struct Epoch(Stamp);

impl Epoch {
    /// A time of the rig, on the loop's clock.
    fn on_the_loops_clock(self, rigs: Stamp) -> Stamp {
        Stamp::from_nanos(rigs.nanos().saturating_sub(self.0.nanos()))
    }
}

/// The status tags on their way to the DCS: those that changed since they were carried last, moves excepted.
#[derive(Debug)]
struct Status {
    tags: Vec<DcsTag>,
    last: ApcView,
}

impl Status {
    fn of(view: &DcsView) -> Self {
        let tags = DcsTag::all(view.mvs.len(), view.cvs.len(), view.dvs.len()).into_iter();
        let moves = |tag: &DcsTag| matches!(tag, DcsTag::Mv(_, MvTag::SpReq));
        let tags = tags.filter(|tag| tag.direction() == Direction::ApcToDcs && !moves(tag)).collect();
        Self { tags, last: ApcView::default() }
    }

    fn carry(&mut self, mut view: ApcView, rig: &mut Rig) {
        for tag in &self.tags {
            let Some(new) = view.field_mut(*tag).map(|f| f.get()) else { continue };
            let old = self.last.field_mut(*tag).map(|f| f.get().value);
            if new.quality.is_good() && old != Some(new.value) {
                let _ = rig.write(*tag, new.value, Quality::Good);
            }
        }
        self.last = view;
    }
}

/// Writes set-points straight into the rig, as the link does: status before orders, and none that at the last moment
/// something speaks against. Clones, such as the sink of a restarted actuator, share their counts.
#[derive(Clone, Debug)]
pub struct RigSink {
    rig: SharedRig,
    board: Board,
    faults: Latest<LinkFaults>,
    status: Arc<Mutex<Status>>,
    judge: Arc<Mutex<Judge>>,
    epoch: Epoch,
    period: Duration,
    permit: Permit,
    failures: Fixed<u32, MAX_MVS>,
    confirmed: u64,
}

impl RigSink {
    /// The moves so far that should never have come here.
    #[must_use]
    pub fn invalid(&self) -> InvalidMoves {
        self.judge.lock().unwrap_or_else(PoisonError::into_inner).counts()
    }

    /// What the loop says of itself.
    fn mode(&self) -> ModeActual {
        self.board.outlet.read().map_or(ModeActual::Off, |apc| apc.mode_act.value)
    }

    /// Whether the last look before the write, the link's own, speaks against it. No watchdog watches the wall's clock here.
    fn is_void(&self, approved: &ApprovedMove, now: Stamp) -> bool {
        let heard = self.board.inlet.dcs.read().unwrap_or_default();
        let said = self.epoch.on_the_loops_clock(heard.hb_dcs.source_time);
        overdue(&self.permit, 0, now, approved.valid_until()).is_some()
            || unheard(approved.kind(), said, now, self.period).is_some()
            || objection(approved.kind(), approved.lease(), self.mode(), &heard).is_some()
    }
}

impl MoveSink for RigSink {
    fn write(&mut self, approved: ApprovedMove) {
        let faults = self.faults.read().unwrap_or_default();
        let mut rig = self.rig.lock();
        let now = self.epoch.on_the_loops_clock(rig.now());
        let mut judge = self.judge.lock().unwrap_or_else(PoisonError::into_inner);
        judge.judge(&approved, rig.view(), &self.board, now);
        drop(judge);
        if faults.mute || (!faults.no_last_look && self.is_void(&approved, now)) {
            return;
        }
        if let Some(view) = self.board.outlet.read() {
            self.status.lock().unwrap_or_else(PoisonError::into_inner).carry(view, &mut rig);
        }
        if approved.id() <= self.confirmed {
            // The numbers begin anew: another interlock's.
            self.confirmed = 0;
        }
        let (mut sent, mut failed) = (0, 0);
        for mv in 0..self.failures.len() {
            let (Some(u), Ok(n)) = (approved.set_point(mv), u8::try_from(mv)) else { continue };
            let tag = DcsTag::Mv(n, MvTag::SpReq);
            let answered = !faults.failing_writes && rig.write(tag, WireValue::Double(u), Quality::Good).is_ok();
            // Read back, as the link does.
            let held = rig.apc().mvs.get(mv).map(|it| it.sp_req.value.to_bits());
            let written = answered && held == Some(u.to_bits());
            (sent, failed) = (sent + 1, failed + u32::from(!written));
            if let Some(failures) = self.failures.get_mut(mv) {
                *failures = if written { 0 } else { *failures + 1 };
            }
        }
        if sent > 0 && failed == 0 {
            self.confirmed = approved.id();
        }
        self.board.inlet.writes.put(WriteReport { confirmed: self.confirmed, failures: self.failures, at: now });
    }
}

/// Carries the images between a rig and a loop's ports, as the link does over the wire.
#[derive(Debug)]
pub struct Plumbing {
    rig: SharedRig,
    board: Board,
    faults: Latest<LinkFaults>,
    status: Arc<Mutex<Status>>,
    epoch: Epoch,
    /// What the DCS said at the last scans, newest last.
    said: VecDeque<DcsView>,
    carried: Stamp,
    /// Which tags the loop has spare transmitters of.
    spared: Spared,
    /// How often the transmitters measure: at each scan of the DCS.
    scan: Duration,
}

impl Plumbing {
    /// Nothing carried yet, nothing wrong. The loop's time begins now; it has no spare transmitters.
    #[must_use]
    pub fn new(rig: SharedRig, board: Board) -> Self {
        let (status, epoch, scan) = {
            let rig = rig.lock();
            (Arc::new(Mutex::new(Status::of(rig.view()))), Epoch(rig.now()), rig.config().scan)
        };
        let said = VecDeque::with_capacity(LATE_MAX + 1);
        Self {
            rig,
            board,
            faults: Latest::new(),
            status,
            epoch,
            said,
            carried: Stamp::NEVER,
            spared: Spared::default(),
            scan,
        }
    }

    /// Carries the spare transmitters of these tags too.
    #[must_use]
    pub fn with_spares(self, spared: Spared) -> Self {
        Self { spared, ..self }
    }

    /// The sink of moves beside this plumbing.
    #[must_use]
    pub fn sink(&self) -> RigSink {
        let (mvs, period) = {
            let rig = self.rig.lock();
            (rig.view().mvs.len(), rig.config().period)
        };
        RigSink {
            failures: Fixed::filled(0, mvs),
            confirmed: 0,
            rig: self.rig.clone(),
            board: self.board.clone(),
            faults: self.faults.clone(),
            status: Arc::clone(&self.status),
            judge: Arc::new(Mutex::new(Judge::new(period))),
            epoch: self.epoch,
            period,
            permit: self.board.heartbeat.permit(),
        }
    }

    /// Where the link is told what to do wrong.
    #[must_use]
    pub fn faults(&self) -> Latest<LinkFaults> {
        self.faults.clone()
    }

    /// Writes what the loop says, lets the rig run for `dt`, and reads what it says.
    pub fn exchange(&mut self, dt: Duration) {
        let faults = self.faults.read().unwrap_or_default();
        let view = {
            let mut rig = self.rig.lock();
            if let Some(view) = self.board.outlet.read().filter(|_| !faults.mute) {
                self.status.lock().unwrap_or_else(PoisonError::into_inner).carry(view, &mut rig);
            }
            rig.step(dt);
            *rig.view()
        };
        if self.said.len() > LATE_MAX {
            self.said.pop_front();
        }
        self.said.push_back(view);
        let newest = self.said.len().saturating_sub(1);
        let Some(view) = self.said.get(newest.saturating_sub(faults.late_scans)).copied() else { return };
        // A link that has become slow stands still until its time has come; it does not go back.
        if faults.deaf {
            return;
        }
        if view.hb_dcs.source_time > self.carried {
            self.carried = view.hb_dcs.source_time;
            self.carry_in(&view, faults.lost_tag);
        }
        let again = faults.again.and_then(|scans| self.said.get(newest.checked_sub(scans)?)).copied();
        if let Some(again) = again {
            self.carry_in(&again, faults.lost_tag);
        }
    }

    fn carry_in(&mut self, view: &DcsView, lost: Option<TagId>) {
        let tags = view.cvs.len() + view.dvs.len();
        for tag in (0..).map(TagId).take(tags).filter(|tag| lost != Some(*tag)) {
            for transmitter in 0..TRANSMITTERS {
                let place = self.spared.place(tags, tag, transmitter);
                let slot = place.and_then(|place| self.board.inlet.samples.get(place));
                if let (Some(slot), Some(said)) = (slot, view.measurement(tag, transmitter)) {
                    slot.put(self.sample(tag, said));
                }
            }
        }
        self.board.inlet.dcs.put(*view);
    }

    /// A sample bears the number of the scan in which it was taken, so that what is lost on the way is missing in its row.
    fn sample(&self, tag: TagId, said: Reading<f64>) -> Sample {
        let Reading { value, quality, source_time: taken } = said;
        let scans = taken.since(Stamp::ZERO).as_nanos() / self.scan.as_nanos().max(1);
        let sequence = u64::try_from(scans).unwrap_or(u64::MAX);
        Sample { tag, value, quality, source_time: self.epoch.on_the_loops_clock(taken), sequence }
    }
}

#[cfg(test)]
mod tests {
    use rig::RigConfig;

    use super::*;

    fn plumbing() -> Plumbing {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../hil/plants/cstr.toml");
        let config = RigConfig::load(std::path::Path::new(file)).unwrap();
        let rig = SharedRig::new(Rig::new(config, 1).unwrap());
        Plumbing::new(rig, Board::new(4))
    }

    const SCAN: Duration = Duration::from_secs(1);

    #[test]
    fn a_frozen_link_carries_nothing_and_a_late_one_what_was_said_before() {
        let mut plumbing = plumbing();
        let (inlet, faults) = (plumbing.board.inlet.clone(), plumbing.faults());
        let heard = |inlet: &actors::Inlet| inlet.dcs.read().map(|view| view.hb_dcs.value);
        let mut run = |wrong: LinkFaults, scans: usize| {
            faults.put(wrong);
            (0..scans).for_each(|_| plumbing.exchange(SCAN));
            heard(&inlet)
        };
        let healthy = LinkFaults::default();
        let first = run(healthy, 3);
        assert_eq!(run(LinkFaults { deaf: true, mute: true, ..healthy }, 5), first);
        let after = run(healthy, 1);
        assert_eq!(after, first.map(|hb| hb + 6));
        // It stands still for the first of the scans that it is late, and does not go back.
        assert_eq!(run(LinkFaults { late_scans: 4, ..healthy }, 3), after);
        assert_eq!(run(LinkFaults { late_scans: 4, ..healthy }, 3), after.map(|hb| hb + 2));
    }

    #[test]
    fn an_image_that_comes_again_is_the_newest_that_the_loop_sees() {
        let mut plumbing = plumbing();
        let (inlet, faults) = (plumbing.board.inlet.clone(), plumbing.faults());
        let mut heard = |again| {
            faults.put(LinkFaults { again, ..LinkFaults::default() });
            plumbing.exchange(SCAN);
            inlet.dcs.read().map(|view| view.hb_dcs.value)
        };
        assert_eq!([heard(None), heard(None), heard(Some(0))], [Some(1), Some(2), Some(3)]);
        assert_eq!(heard(Some(2)), Some(2), "the fourth image came, and then the second once more");
        assert_eq!(heard(None), Some(5));
    }

    #[test]
    fn a_lost_tag_keeps_its_last_sample_and_the_others_go_on() {
        let mut plumbing = plumbing();
        let (samples, faults) = (plumbing.board.inlet.samples.clone(), plumbing.faults());
        plumbing.exchange(SCAN);
        faults.put(LinkFaults { lost_tag: Some(TagId(1)), ..LinkFaults::default() });
        plumbing.exchange(SCAN);
        let times: Vec<_> = samples.iter().map(|s| s.read().unwrap().source_time).collect();
        assert!(times[1] < times[0] && times[0] == times[2] && times[2] == times[3], "{times:?}");
        // What was lost is missing in the row of its own transmitter and in no other.
        let numbers = || samples.iter().map(|s| s.read().unwrap().sequence).collect::<Vec<_>>();
        assert_eq!(numbers(), [2, 1, 2, 2]);
        faults.put(LinkFaults::default());
        plumbing.exchange(SCAN);
        assert_eq!(numbers(), [3; 4]);
    }
}
