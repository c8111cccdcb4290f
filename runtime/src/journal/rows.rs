//! The rows: what of the loop's inputs and outputs is told, cell by cell, and how it is put back.
//!
//! A reading is three cells: value, quality, time; the value of a text is five, its length and its bytes. What is not there is told by a flag or by the quality [`ABSENT`], never
//! left out, so that a row of a kind has the same cells throughout a run.

use actors::board::{Effort, Prepared, Solved};
use actors::{Answer, Inlet};
use control::advice::Advice;
use safety::bypass::MAX_BYPASSES;
use safety::{ApprovedMove, BypassSet, ConfigHash, MoveKind, WriteReport};
use signals::dcs::{ApcView, DcsTag, DcsView, Direction, TEXT_MAX, Text, WireField, WireType, WireValue};
use signals::{Fixed, MAX_CVS, MAX_DVS, MAX_MVS, Quality, Sample, Spared, Stamp, TagId};

use super::bypasses::{BYPASS, bypass, to_bypass};
use super::track::Cell;
use crate::config::PlantFile;

/// The quality of a field that an image does not have.
const ABSENT: u64 = 3;

/// How many variables a loop has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Manipulated variables.
    pub mvs: usize,
    /// Controlled variables.
    pub cvs: usize,
    /// Measured disturbances.
    pub dvs: usize,
    /// Which of the measured variables have spare transmitters.
    pub spared: Spared,
}

impl Shape {
    /// That of the loop of a plant file.
    #[must_use]
    pub fn of(plant: &PlantFile) -> Self {
        Self { mvs: plant.mvs.len(), cvs: plant.cvs.len(), dvs: plant.dvs.len(), spared: plant.spared() }
    }

    fn transmitters(self) -> usize {
        self.spared.transmitters(self.cvs + self.dvs)
    }
}

/// The kinds of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// In: the image of a scan.
    Image,
    /// In: an answer of the solver; its last cells say what the answer was, which a playback finds again.
    Solved,
    /// Out: the status tags.
    View,
    /// Out: a move.
    Move,
    /// Out: a recommendation.
    Recommended,
}

impl Kind {
    /// How many of a row's first cells a playback is given by the record instead of finding them: they cannot differ.
    #[must_use]
    pub fn given(self) -> usize {
        if self == Self::Solved { ANSWER } else { 0 }
    }
}

/// The cells of an answer's row that make a [`Answer`].
const ANSWER: usize = 9;

/// One cell's name, for people, and kind.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) cell: Cell,
}

/// Which cells the rows of a loop have. Making rows allocates nothing but what the row itself lacks.
#[derive(Clone, Debug)]
pub struct Layout {
    shape: Shape,
    ours: Vec<DcsTag>,
    theirs: Vec<DcsTag>,
}

impl Layout {
    /// The cells of a loop of this shape.
    #[must_use]
    pub fn new(shape: Shape) -> Self {
        let owned = |direction| {
            let Shape { mvs, cvs, dvs, spared } = shape;
            let tags = DcsTag::all(mvs, cvs, dvs).into_iter().chain(DcsTag::spares(cvs, dvs, spared));
            tags.filter(move |tag| tag.direction() == direction && !tag.is_beside()).collect()
        };
        Self { shape, ours: owned(Direction::ApcToDcs), theirs: owned(Direction::DcsToApc) }
    }

    /// The cells of a kind of row, in order.
    pub(super) fn fields(&self, kind: Kind) -> Vec<Field> {
        let mut fields = Vec::new();
        let mut field = |cell, name: String| fields.push(Field { name, cell });
        match kind {
            Kind::Image => {
                HOST.iter().for_each(|(cell, part)| field(*cell, (*part).into()));
                for transmitter in 0..self.shape.transmitters() {
                    for (cell, part) in SAMPLE {
                        field(cell, format!("sample {transmitter} {part}"));
                    }
                }
                for part in ["present", "mvs", "cvs", "dvs"] {
                    field(Cell::Count, format!("dcs {part}"));
                }
                readings(&self.theirs, &mut field);
                for (cell, part) in [(Cell::Count, "present"), (Cell::Count, "confirmed"), (Cell::Time, "at")] {
                    field(cell, format!("writes {part}"));
                }
                field(Cell::Count, "writes mvs".into());
                (0..self.shape.mvs).for_each(|mv| field(Cell::Count, format!("writes failed {mv}")));
                field(Cell::Count, "bypasses".into());
                for n in 0..MAX_BYPASSES {
                    BYPASS.iter().for_each(|(cell, part)| field(*cell, format!("bypass {n} {part}")));
                }
            }
            Kind::Solved => {
                SOLVED.iter().for_each(|(cell, part)| field(*cell, (*part).into()));
                (0..self.shape.mvs).for_each(|mv| field(Cell::Bits, format!("plan u {mv}")));
            }
            Kind::View => readings(&self.ours, &mut field),
            Kind::Move => {
                MOVE.iter().for_each(|(cell, part)| field(*cell, (*part).into()));
                for mv in 0..self.shape.mvs {
                    field(Cell::Bits, format!("u {mv}"));
                    field(Cell::Count, format!("written {mv}"));
                    field(Cell::Count, format!("in service {mv}"));
                }
            }
            Kind::Recommended => {
                RECOMMENDED.iter().for_each(|(cell, part)| field(*cell, (*part).into()));
                for mv in 0..self.shape.mvs {
                    field(Cell::Bits, format!("u {mv}"));
                    field(Cell::Count, format!("concerns {mv}"));
                }
            }
        }
        fields
    }

    /// The name of a cell, and how its value is said.
    #[must_use]
    pub fn field(&self, kind: Kind, cell: usize) -> (String, fn(u64) -> String) {
        let Some(field) = self.fields(kind).into_iter().nth(cell) else { return (format!("cell {cell}"), count) };
        let say: fn(u64) -> String = match field.cell {
            Cell::Bits => |cell| format!("{} (0x{cell:016x})", f64::from_bits(cell)),
            Cell::Count => count,
            Cell::Time => |cell| format!("{} ns", cell.cast_signed()),
        };
        (field.name, say)
    }

    /// The row of an image.
    pub fn image(&self, inlet: &Inlet, row: &mut Vec<u64>) {
        row.clear();
        let (calendar, changed) = (inlet.calendar.read(), inlet.changed_config.read());
        row.extend([inlet.link_up().into(), calendar.is_some().into(), calendar.map_or(0, stamp)]);
        row.extend([changed.is_some().into(), changed.map_or(0, |hash| hash.0)]);
        for slot in inlet.samples.iter().take(self.shape.transmitters()) {
            match slot.read() {
                Some(s) => {
                    let sample =
                        [1, s.tag.0.into(), s.value.to_bits(), quality(s.quality), stamp(s.source_time), s.sequence];
                    row.extend(sample);
                }
                None => row.extend([0; SAMPLE.len()]),
            }
        }
        let dcs = inlet.dcs.read();
        row.push(dcs.is_some().into());
        let mut dcs = dcs.unwrap_or_default();
        row.extend([dcs.mvs.len() as u64, dcs.cvs.len() as u64, dcs.dvs.len() as u64]);
        for tag in &self.theirs {
            reading(dcs.field_mut(*tag), row);
        }
        let writes = inlet.writes.read();
        row.push(writes.is_some().into());
        let writes = writes.unwrap_or_default();
        row.extend([writes.confirmed, stamp(writes.at), writes.failures.len() as u64]);
        row.extend((0..self.shape.mvs).map(|mv| writes.failures.get(mv).map_or(0, |n| u64::from(*n))));
        let bypasses = inlet.bypasses.read().unwrap_or_default();
        row.push(bypasses.len() as u64);
        row.extend((0..MAX_BYPASSES).flat_map(|n| bypasses.get(n).map_or([0; BYPASS.len()], bypass)));
    }

    /// Puts a row of an image into an inlet.
    pub fn restore(&self, row: &[u64], inlet: &Inlet) {
        let mut cells = row.iter().copied();
        let mut next = || cells.next().unwrap_or_default();
        let [link, known, calendar, changed, hash] = [(); HOST.len()].map(|()| next());
        inlet.set_link(link != 0);
        if known != 0 {
            inlet.calendar.put(to_stamp(calendar));
        }
        if changed != 0 {
            inlet.changed_config.put(ConfigHash(hash));
        }
        for slot in inlet.samples.iter().take(self.shape.transmitters()) {
            let [present, tag, value, quality, time, sequence] = [(); SAMPLE.len()].map(|()| next());
            let tag = TagId(u16::try_from(tag).unwrap_or(u16::MAX));
            let (value, quality, source_time) = (f64::from_bits(value), to_quality(quality), to_stamp(time));
            if present != 0 {
                slot.put(Sample { tag, value, quality, source_time, sequence });
            }
        }
        let [present, mvs, cvs, dvs] = [(); 4].map(|()| next());
        let (mvs, cvs, dvs) = (size(mvs, MAX_MVS), size(cvs, MAX_CVS), size(dvs, MAX_DVS));
        let mut dcs = DcsView::sized(mvs, cvs, dvs).with_spares(self.shape.spared);
        for tag in &self.theirs {
            let text = tag.wire_type() == WireType::String;
            let value = if text { [(); TEXT].map(|()| next()) } else { [next(), 0, 0, 0, 0] };
            let [quality, time] = [(); 2].map(|()| next());
            if let Some(field) = dcs.field_mut(*tag).filter(|_| quality != ABSENT) {
                field.set(to_wire(value, field.wire_type()), to_quality(quality), to_stamp(time));
            }
        }
        if present != 0 {
            inlet.dcs.put(dcs);
        }
        let [present, confirmed, at, mvs] = [(); 4].map(|()| next());
        let failures = (0..self.shape.mvs).map(|_| u32::try_from(next()).unwrap_or(u32::MAX)).collect::<Vec<_>>();
        let failures = Fixed::collect(failures.into_iter().take(size(mvs, MAX_MVS)));
        if present != 0 {
            inlet.writes.put(WriteReport { confirmed, failures, at: to_stamp(at) });
        }
        let bypasses = size(next(), MAX_BYPASSES);
        inlet.bypasses.put(BypassSet::collect((0..bypasses).map(|_| to_bypass([(); BYPASS.len()].map(|()| next())))));
    }

    /// The row of an answer.
    pub fn solved(&self, solved: &Solved, row: &mut Vec<u64>) {
        let Solved { cycle, at, deadline, took_ns, outcome, effort } = solved;
        let (prepared, wanted) = match effort.prepared {
            Prepared::Not => (0, 0),
            Prepared::Ran { wanted_after } => (1, optional(wanted_after)),
            Prepared::Panicked => (2, 0),
        };
        let (late, panicked) = (optional(effort.late_after), u64::from(effort.panicked));
        row.clear();
        row.extend([*cycle, stamp(*at), took_ns.cast_unsigned(), effort.solver.into(), effort.answer]);
        row.extend([prepared, wanted, late, panicked]);
        let plan = outcome.plan.as_ref();
        let cost = plan.map_or(0, |plan| plan.cost.to_bits());
        row.extend([outcome.status.code().into(), outcome.iterations.into(), cost, stamp(*deadline)]);
        let first = plan.and_then(|plan| plan.u.first());
        row.extend((0..self.shape.mvs).map(|mv| first.and_then(|u| u.get(mv)).map_or(0, |u| u.to_bits())));
    }

    /// The answer in a row: what a playback needs of it.
    #[must_use]
    pub fn answer(row: &[u64]) -> Answer {
        let mut cells = row.iter().copied();
        let mut next = || cells.next().unwrap_or_default();
        let [cycle, at, took, solver, answer, prepared, wanted, late, panicked] = [(); ANSWER].map(|()| next());
        let prepared = match prepared {
            0 => Prepared::Not,
            1 => Prepared::Ran { wanted_after: to_optional(wanted) },
            _ => Prepared::Panicked,
        };
        let effort = Effort {
            solver: u32::try_from(solver).unwrap_or(u32::MAX),
            answer,
            prepared,
            late_after: to_optional(late),
            panicked: panicked != 0,
        };
        Answer { cycle, at: to_stamp(at), took_ns: took.cast_signed(), effort }
    }

    /// The row of a status.
    pub fn view(&self, view: &ApcView, row: &mut Vec<u64>) {
        let mut view = *view;
        row.clear();
        for tag in &self.ours {
            reading(view.field_mut(*tag), row);
        }
    }

    /// The row of a move.
    pub fn approved(&self, approved: &ApprovedMove, row: &mut Vec<u64>) {
        let tracks = u64::from(approved.kind() == MoveKind::Track);
        row.clear();
        row.extend([approved.id(), tracks, approved.lease().into(), approved.cycle(), stamp(approved.valid_until())]);
        for mv in 0..self.shape.mvs {
            let u = approved.u().get(mv).map_or(0, |u| u.to_bits());
            row.extend([u, approved.set_point(mv).is_some().into(), approved.in_service(mv).into()]);
        }
    }

    /// The row of a recommendation.
    pub fn recommended(&self, advice: &Advice, row: &mut Vec<u64>) {
        let Advice { id, u, concerns, proposer, cycle, expires_at, .. } = advice;
        row.clear();
        row.extend([u64::from(*id), *proposer as u64, *cycle, stamp(*expires_at)]);
        for mv in 0..self.shape.mvs {
            row.extend([u.get(mv).map_or(0, |u| u.to_bits()), concerns.get(mv).copied().unwrap_or(false).into()]);
        }
    }
}

const HOST: [(Cell, &str); 5] = [
    (Cell::Count, "link"),
    (Cell::Count, "calendar present"),
    (Cell::Time, "calendar"),
    (Cell::Count, "configuration changed"),
    (Cell::Count, "configuration"),
];

const SAMPLE: [(Cell, &str); 6] = [
    (Cell::Count, "present"),
    (Cell::Count, "tag"),
    (Cell::Bits, "value"),
    (Cell::Count, "quality"),
    (Cell::Time, "source time"),
    (Cell::Count, "sequence"),
];

const SOLVED: [(Cell, &str); 13] = [
    (Cell::Count, "cycle"),
    (Cell::Time, "done at"),
    (Cell::Count, "wall time"),
    (Cell::Count, "solver"),
    (Cell::Count, "answer"),
    (Cell::Count, "prepared"),
    (Cell::Count, "wanted after"),
    (Cell::Count, "late after"),
    (Cell::Count, "panicked"),
    (Cell::Count, "status"),
    (Cell::Count, "iterations"),
    (Cell::Bits, "cost"),
    (Cell::Time, "deadline"),
];

const MOVE: [(Cell, &str); 5] = [
    (Cell::Count, "id"),
    (Cell::Count, "tracks"),
    (Cell::Count, "lease"),
    (Cell::Count, "cycle"),
    (Cell::Time, "valid until"),
];

const RECOMMENDED: [(Cell, &str); 4] =
    [(Cell::Count, "id"), (Cell::Count, "proposer"), (Cell::Count, "cycle"), (Cell::Time, "valid until")];

/// The cells of a text's value.
const TEXT: usize = 1 + TEXT_MAX / size_of::<u64>();

fn readings(tags: &[DcsTag], field: &mut impl FnMut(Cell, String)) {
    for tag in tags {
        match tag.wire_type() {
            WireType::Double => field(Cell::Bits, format!("{tag} value")),
            WireType::String => {
                field(Cell::Count, format!("{tag} length"));
                (1..TEXT).for_each(|word| field(Cell::Bits, format!("{tag} word {word}")));
            }
            _ => field(Cell::Count, format!("{tag} value")),
        }
        field(Cell::Count, format!("{tag} quality"));
        field(Cell::Time, format!("{tag} time"));
    }
}

fn reading(field: Option<&mut dyn WireField>, row: &mut Vec<u64>) {
    let Some(reading) = field.map(|field| field.get()) else { return row.extend([0, ABSENT, 0]) };
    match reading.value {
        WireValue::Boolean(v) => row.push(v.into()),
        WireValue::UInt16(v) => row.push(v.into()),
        WireValue::UInt32(v) => row.push(v.into()),
        WireValue::Int32(v) => row.push(i64::from(v).cast_unsigned()),
        WireValue::Double(v) => row.push(v.to_bits()),
        WireValue::String(v) => row.extend(text_cells(&v)),
    }
    row.extend([quality(reading.quality), stamp(reading.source_time)]);
}

fn text_cells(text: &Text) -> [u64; TEXT] {
    let (bytes, mut cells) = (text.as_str().as_bytes(), [0; TEXT]);
    let (length, words) = cells.split_at_mut(1);
    length.fill(bytes.len() as u64);
    for (word, chunk) in words.iter_mut().zip(bytes.chunks(size_of::<u64>())) {
        *word = chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    }
    cells
}

fn to_text([length, words @ ..]: [u64; TEXT]) -> Text {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).take(size(length, TEXT_MAX)).collect();
    Text::from_bytes(&bytes)
}

fn to_wire(cells: [u64; TEXT], kind: WireType) -> Option<WireValue> {
    let [cell, ..] = cells;
    Some(match kind {
        WireType::Boolean => WireValue::Boolean(cell != 0),
        WireType::UInt16 => WireValue::UInt16(u16::try_from(cell).ok()?),
        WireType::UInt32 => WireValue::UInt32(u32::try_from(cell).ok()?),
        WireType::Int32 => WireValue::Int32(i32::try_from(cell.cast_signed()).ok()?),
        WireType::Double => WireValue::Double(f64::from_bits(cell)),
        WireType::String => WireValue::String(to_text(cells)),
    })
}

fn count(cell: u64) -> String {
    cell.cast_signed().to_string()
}

fn quality(quality: Quality) -> u64 {
    match quality {
        Quality::Good => 0,
        Quality::Uncertain => 1,
        Quality::Bad => 2,
    }
}

fn to_quality(cell: u64) -> Quality {
    match cell {
        0 => Quality::Good,
        1 => Quality::Uncertain,
        _ => Quality::Bad,
    }
}

pub(super) fn stamp(stamp: Stamp) -> u64 {
    stamp.nanos().cast_unsigned()
}

pub(super) fn to_stamp(cell: u64) -> Stamp {
    Stamp::from_nanos(cell.cast_signed())
}

/// 0 for none, else one more than the number.
fn optional(value: Option<u32>) -> u64 {
    value.map_or(0, |v| u64::from(v) + 1)
}

fn to_optional(cell: u64) -> Option<u32> {
    cell.checked_sub(1).map(|v| u32::try_from(v).unwrap_or(u32::MAX))
}

/// A length in a row; no image is longer than `most`.
fn size(cell: u64, most: usize) -> usize {
    usize::try_from(cell).unwrap_or(0).min(most)
}
