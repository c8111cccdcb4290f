//! The field side of one loop: its plant and DCS, stepped on the wall's clock, and an operator who engages it.

use std::time::Duration;

use actors::kernel::{Clock, Latest};
use actors::{Board, MoveSink};
use anyhow::Context;
use rig::Rig;
use safety::{ApprovedMove, WriteReport};
use signals::dcs::{ApcView, DcsTag, Direction, MvTag, WireValue};
use signals::{Fixed, Quality, Sample, Stamp, TagId};

use super::config::rig_config;

/// Hands a move over to the field's thread, as the link of the runtime does.
#[derive(Clone, Debug)]
pub(super) struct Handover(Latest<ApprovedMove>);

impl MoveSink for Handover {
    fn write(&mut self, approved: ApprovedMove) {
        self.0.put(approved);
    }
}

/// A plant with its DCS and operator.
#[derive(Debug)]
pub(super) struct Site {
    rig: Rig,
    board: Board,
    moves: Latest<ApprovedMove>,
    last: ApcView,
    sequence: u64,
    /// What the operator does next, and from when.
    to_do: std::vec::IntoIter<(Stamp, &'static str)>,
    next: Option<(Stamp, &'static str)>,
}

impl Site {
    /// A plant at rest; its operator goes from OFF to closed loop within ten periods.
    pub(super) fn new(board: Board, clock: Clock, period: Duration, seed: u64) -> anyhow::Result<Self> {
        let mut rig = Rig::new(rig_config(period)?, seed).context("the plant of the small reactor")?;
        let now = clock.now();
        rig.step(now.since(rig.now()));
        let after = |periods: u32, line| (now + period * periods, line);
        let script = vec![after(2, "mode warm"), after(6, "mode on"), after(9, "engage"), after(14, "sp CV1 325.0")];
        let mut to_do = script.into_iter();
        let next = to_do.next();
        board.inlet.set_link(true);
        Ok(Self { rig, board, moves: Latest::new(), last: ApcView::default(), sequence: 0, to_do, next })
    }

    pub(super) fn sink(&self) -> Handover {
        Handover(self.moves.clone())
    }

    /// Carries moves, words and measurements across, and lets the plant run up to now.
    pub(super) fn exchange(&mut self, clock: Clock) {
        let now = clock.now();
        if let Some((_, line)) = self.next.take_if(|(due, _)| *due <= now) {
            // What is refused is tried again: the hand-over waits for the application to be armed.
            let done = self.rig.command(line).is_ok();
            self.next = if done { self.to_do.next() } else { Some((now + Duration::from_millis(100), line)) };
        }
        self.write(now);
        let behind = now.since(self.rig.now());
        self.rig.step(behind);
        let view = *self.rig.view();
        let readings = view.cvs.iter().map(|cv| cv.pv).chain(view.dvs.iter().map(|dv| dv.pv));
        for ((number, pv), slot) in (0..).zip(readings).zip(&self.board.inlet.samples) {
            self.sequence += 1;
            let (tag, sequence) = (TagId(number), self.sequence);
            slot.put(Sample { tag, value: pv.value, quality: pv.quality, source_time: pv.source_time, sequence });
        }
        self.board.inlet.dcs.put(view);
    }

    /// The newest move, and what has changed of the words.
    fn write(&mut self, now: Stamp) {
        if let Some(approved) = self.moves.take() {
            if let Some(u) = approved.set_point(0) {
                let _counted = self.rig.write(DcsTag::Mv(0, MvTag::SpReq), WireValue::Double(u), Quality::Good);
            }
            let failures = Fixed::filled(0, 1);
            self.board.inlet.writes.put(WriteReport { confirmed: approved.id(), failures, at: now });
        }
        let Some(mut view) = self.board.outlet.read() else { return };
        let (mvs, cvs, dvs) = (self.rig.view().mvs.len(), self.rig.view().cvs.len(), self.rig.view().dvs.len());
        for tag in DcsTag::all(mvs, cvs, dvs) {
            let ours = tag.direction() == Direction::ApcToDcs && !matches!(tag, DcsTag::Mv(_, MvTag::SpReq));
            let Some(new) = view.field_mut(tag).map(|f| f.get()).filter(|_| ours) else { continue };
            let old = self.last.field_mut(tag).map(|f| f.get().value);
            if new.quality.is_good() && old != Some(new.value) {
                let _counted = self.rig.write(tag, new.value, Quality::Good);
            }
        }
        self.last = view;
    }
}
