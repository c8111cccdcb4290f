//! The records of a run, and their form in bytes.
//!
//! Encoder and decoder know the same past: the last row of each kind and the last present. What stands in the file is told
//! against that, so a record means nothing without those before it. A gap makes both forget.

use actors::board::Beat;
use actors::kernel::Act;
use actors::tape::Entry;
use signals::Stamp;

use super::bytes::{Bytes, put, put_signed, put_text};
use super::rows::{Field, Kind, Layout, Shape};
use super::track::Track;

/// The first byte of each record.
mod tag {
    pub(super) const BEAT: u8 = 0x01;
    pub(super) const STEP: u8 = 0x02;
    pub(super) const CRASHED: u8 = 0x03;
    pub(super) const RESTARTED: u8 = 0x04;
    pub(super) const GIVEN_UP: u8 = 0x05;
    pub(super) const SOLVED: u8 = 0x10;
    pub(super) const VIEW: u8 = 0x20;
    pub(super) const MOVE: u8 = 0x21;
    pub(super) const RECOMMENDED: u8 = 0x22;
    pub(super) const GAP: u8 = 0x7e;
    pub(super) const END: u8 = 0x7f;
}

/// One record of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A beat, and the image that was latched with it.
    Beat {
        /// The beat. Its wall time is not recorded.
        beat: Beat,
        /// When it came.
        now: Stamp,
        /// Beats that were dropped before it.
        dropped: u64,
        /// The image, a row of [`Kind::Image`].
        image: Vec<u64>,
    },
    /// A step, a crash, a restart, a stage given up.
    Act(Act),
    /// An answer of the solver is taken over, or something is put out: a row of this kind.
    Row(Kind, Vec<u64>),
    /// Records are missing: so many blocks of them were lost, because the disk did not keep up.
    Gap {
        /// How many blocks.
        lost: u64,
    },
    /// The last word: the loop has ended, and nothing of it is missing behind the last record.
    End {
        /// Control cycles.
        cycles: u64,
        /// What ended it; empty when it was asked to stop.
        why: String,
    },
}

/// What both ends of a journal know of what was told.
#[derive(Debug)]
pub(super) struct Past {
    pub(super) layout: Layout,
    image: Track,
    solved: Track,
    view: Track,
    approved: Track,
    recommended: Track,
    cycle: u64,
    now: i64,
}

impl Past {
    pub(super) fn new(shape: Shape) -> Self {
        let layout = Layout::new(shape);
        let track = |kind| Track::new(layout.fields(kind).into_iter().map(|field: Field| field.cell));
        let (image, solved, view) = (track(Kind::Image), track(Kind::Solved), track(Kind::View));
        let (approved, recommended) = (track(Kind::Move), track(Kind::Recommended));
        Self { layout, image, solved, view, approved, recommended, cycle: 0, now: 0 }
    }

    fn track(&mut self, kind: Kind) -> &mut Track {
        match kind {
            Kind::Image => &mut self.image,
            Kind::Solved => &mut self.solved,
            Kind::View => &mut self.view,
            Kind::Move => &mut self.approved,
            Kind::Recommended => &mut self.recommended,
        }
    }

    fn forget(&mut self) {
        for kind in [Kind::Image, Kind::Solved, Kind::View, Kind::Move, Kind::Recommended] {
            self.track(kind).reset();
        }
        (self.cycle, self.now) = (0, 0);
    }

    fn put_now(&mut self, now: Stamp, out: &mut Vec<u8>) {
        put_signed(out, now.nanos().wrapping_sub(self.now));
        self.now = now.nanos();
    }

    fn get_now(&mut self, bytes: &mut Bytes<'_>) -> Option<Stamp> {
        self.now = self.now.wrapping_add(bytes.signed()?);
        Some(Stamp::from_nanos(self.now))
    }
}

/// Writes records.
#[derive(Debug)]
pub(super) struct Encoder {
    past: Past,
    row: Vec<u64>,
}

impl Encoder {
    pub(super) fn new(shape: Shape) -> Self {
        Self { past: Past::new(shape), row: Vec::with_capacity(4096) }
    }

    pub(super) fn act(&mut self, act: Act, out: &mut Vec<u8>) {
        let (tag, child) = match act {
            Act::Step { child, .. } => (tag::STEP, child),
            Act::Crashed { child } => (tag::CRASHED, child),
            Act::Restarted { child } => (tag::RESTARTED, child),
            Act::GivenUp { child } => (tag::GIVEN_UP, child),
        };
        out.push(tag);
        put(out, child.into());
        if let Act::Step { now, .. } = act {
            self.past.put_now(now, out);
        }
    }

    pub(super) fn entry(&mut self, entry: Entry<'_>, out: &mut Vec<u8>) {
        let Self { past, row } = self;
        let (tag, kind) = match entry {
            Entry::Beat { beat, now, dropped, image } => {
                out.push(tag::BEAT);
                put(out, beat.cycle.wrapping_sub(past.cycle));
                past.cycle = beat.cycle;
                put(out, beat.scan);
                past.put_now(now, out);
                put_signed(out, now.nanos().wrapping_sub(beat.at.nanos()));
                put(out, dropped);
                past.layout.image(image, row);
                past.image.encode(row, past.now, out);
                return;
            }
            Entry::Solved(solved) => {
                past.layout.solved(solved, row);
                (tag::SOLVED, Kind::Solved)
            }
            Entry::View(view) => {
                past.layout.view(view, row);
                (tag::VIEW, Kind::View)
            }
            Entry::Move(approved) => {
                past.layout.approved(approved, row);
                (tag::MOVE, Kind::Move)
            }
            Entry::Recommended(recommended) => {
                past.layout.recommended(recommended, row);
                (tag::RECOMMENDED, Kind::Recommended)
            }
        };
        out.push(tag);
        let now = past.now;
        past.track(kind).encode(row, now, out);
    }

    /// Says that blocks were lost, and begins anew.
    pub(super) fn gap(&mut self, lost: u64, out: &mut Vec<u8>) {
        self.past.forget();
        out.push(tag::GAP);
        put(out, lost);
    }

    pub(super) fn end(cycles: u64, why: &str, out: &mut Vec<u8>) {
        out.push(tag::END);
        put(out, cycles);
        put_text(out, why);
    }
}

/// Reads records.
#[derive(Debug)]
pub(super) struct Decoder {
    past: Past,
}

impl Decoder {
    pub(super) fn new(shape: Shape) -> Self {
        Self { past: Past::new(shape) }
    }

    /// The next record; `None` where the bytes are none.
    pub(super) fn record(&mut self, bytes: &mut Bytes<'_>) -> Option<Record> {
        let tag = bytes.byte()?;
        Some(match tag {
            tag::BEAT => self.beat(bytes)?,
            tag::STEP | tag::CRASHED | tag::RESTARTED | tag::GIVEN_UP => {
                let child = u16::try_from(bytes.get()?).ok()?;
                Record::Act(match tag {
                    tag::STEP => Act::Step { child, now: self.past.get_now(bytes)? },
                    tag::CRASHED => Act::Crashed { child },
                    tag::RESTARTED => Act::Restarted { child },
                    _ => Act::GivenUp { child },
                })
            }
            tag::SOLVED => self.row(Kind::Solved, bytes)?,
            tag::VIEW => self.row(Kind::View, bytes)?,
            tag::MOVE => self.row(Kind::Move, bytes)?,
            tag::RECOMMENDED => self.row(Kind::Recommended, bytes)?,
            tag::GAP => {
                self.past.forget();
                Record::Gap { lost: bytes.get()? }
            }
            tag::END => Record::End { cycles: bytes.get()?, why: bytes.text()?.to_owned() },
            _ => return None,
        })
    }

    fn beat(&mut self, bytes: &mut Bytes<'_>) -> Option<Record> {
        let cycle = self.past.cycle.wrapping_add(bytes.get()?);
        self.past.cycle = cycle;
        let scan = bytes.get()?;
        let now = self.past.get_now(bytes)?;
        let at = Stamp::from_nanos(now.nanos().wrapping_sub(bytes.signed()?));
        let dropped = bytes.get()?;
        let image = self.past.image.decode(self.past.now, bytes)?;
        Some(Record::Beat { beat: Beat { cycle, scan, at, wall_ns: 0 }, now, dropped, image })
    }

    fn row(&mut self, kind: Kind, bytes: &mut Bytes<'_>) -> Option<Record> {
        let now = self.past.now;
        Some(Record::Row(kind, self.past.track(kind).decode(now, bytes)?))
    }
}
