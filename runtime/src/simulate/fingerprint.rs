//! One hash over all that went into a loop and all that came out of it.
//!
//! Place in the loop: the end of the tape ([`actors::tape::Tape`]), which is told on the control thread and in its
//! order. Hashed, SHA-256, each entry with a letter of its own and every number little-endian:
//!
//! | entry | fields |
//! |---|---|
//! | `B`, a beat | cycle, scan, its opening, now, beats dropped; link; every transmitter's sample; every tag that the DCS owns; what became of the writes |
//! | `V`, the status | every tag that we own |
//! | `M`, a move | number, kind, lease, cycle, end of validity, each set-point that is to be written |
//! | `R`, a recommendation | number, cycle, end of validity, each set-point that it speaks of |
//! | `C`, `N`, `G` | the stage that crashed, was made anew, was given up |
//!
//! A reading is its value, quality and source time; a float is its bit pattern, and every NaN is one NaN, because which
//! of them an operation gives is left to the compiler. How the stages came to their outputs is not hashed.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use actors::Inlet;
use actors::kernel::{Act, Witness};
use actors::tape::{Entry, Tape};
use control::advice::Advice;
use safety::{ApprovedMove, MoveKind};
use sha2::{Digest, Sha256};
use signals::dcs::{ApcView, DcsTag, DcsView, Direction, Reading, WireField, WireValue};
use signals::{Sample, Stamp};

use crate::journal::Shape;

/// Hashes what it is told, and tells it on.
#[derive(Debug)]
pub struct Fingerprint {
    hash: Mutex<Hash>,
    next: Arc<dyn Tape>,
}

/// The hash under way, with the tags of the two images in the order of the interface.
struct Hash {
    sha: Sha256,
    buffer: Vec<u8>,
    dcs_tags: Vec<DcsTag>,
    apc_tags: Vec<DcsTag>,
    moves: u64,
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hash").field("moves", &self.moves).finish_non_exhaustive()
    }
}

impl Fingerprint {
    /// Nothing heard yet, of a loop of this shape.
    #[must_use]
    pub fn new(Shape { mvs, cvs, dvs, spared }: Shape, next: Arc<dyn Tape>) -> Self {
        let all = || DcsTag::all(mvs, cvs, dvs).into_iter().chain(DcsTag::spares(cvs, dvs, spared));
        let owned = |by| all().filter(|tag| tag.direction() == by).collect();
        let hash = Hash {
            sha: Sha256::new(),
            buffer: Vec::with_capacity(8192),
            dcs_tags: owned(Direction::DcsToApc),
            apc_tags: owned(Direction::ApcToDcs),
            moves: 0,
        };
        Self { hash: Mutex::new(hash), next }
    }

    /// The hash of what was heard so far, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> String {
        let hash = self.hash.lock().unwrap_or_else(PoisonError::into_inner);
        hash.sha.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// How many moves were handed to the sink.
    #[must_use]
    pub fn moves(&self) -> u64 {
        self.hash.lock().unwrap_or_else(PoisonError::into_inner).moves
    }

    fn with(&self, letter: u8, write: impl FnOnce(&mut Hash)) {
        let mut hash = self.hash.lock().unwrap_or_else(PoisonError::into_inner);
        hash.buffer.clear();
        hash.buffer.push(letter);
        write(&mut hash);
        let Hash { sha, buffer, .. } = &mut *hash;
        sha.update(&*buffer);
    }
}

impl Witness for Fingerprint {
    fn act(&self, act: Act) {
        let (letter, child) = match act {
            Act::Step { .. } => return self.next.act(act),
            Act::Crashed { child } => (b'C', child),
            Act::Restarted { child } => (b'N', child),
            Act::GivenUp { child } => (b'G', child),
        };
        self.with(letter, |hash| hash.put(&child.to_le_bytes()));
        self.next.act(act);
    }
}

impl Tape for Fingerprint {
    fn note(&self, entry: Entry<'_>) {
        match entry {
            Entry::Beat { beat, now, dropped, image } => self.with(b'B', |hash| {
                [beat.cycle, beat.scan, dropped].iter().for_each(|n| hash.u64(*n));
                [beat.at, now].iter().for_each(|t| hash.stamp(*t));
                hash.image(image);
            }),
            Entry::View(view) => self.with(b'V', |hash| hash.status(view)),
            Entry::Move(approved) => self.with(b'M', |hash| hash.approved(approved)),
            Entry::Recommended(recommended) => self.with(b'R', |hash| hash.recommended(recommended)),
            // Neither in nor out: what the solver answers follows from the inputs, and shows in the outputs.
            Entry::Solved(_) => {}
        }
        self.next.note(entry);
    }
}

impl Hash {
    fn put(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    fn u64(&mut self, n: u64) {
        self.put(&n.to_le_bytes());
    }

    fn f64(&mut self, value: f64) {
        let value = if value.is_nan() { f64::NAN } else { value };
        self.put(&value.to_bits().to_le_bytes());
    }

    fn stamp(&mut self, stamp: Stamp) {
        self.put(&stamp.nanos().to_le_bytes());
    }

    fn image(&mut self, image: &Inlet) {
        self.put(&[u8::from(image.link_up())]);
        for sample in &image.samples {
            self.sample(sample.read());
        }
        match image.dcs.read() {
            Some(view) => self.dcs(view),
            None => self.put(&[0]),
        }
        let writes = image.writes.read().unwrap_or_default();
        self.u64(writes.confirmed);
        self.stamp(writes.at);
        writes.failures.iter().for_each(|failures| self.put(&failures.to_le_bytes()));
    }

    fn sample(&mut self, sample: Option<Sample>) {
        let Some(Sample { tag, value, quality, source_time, sequence }) = sample else { return self.put(&[0]) };
        self.put(&[1, quality as u8]);
        self.put(&tag.0.to_le_bytes());
        self.f64(value);
        self.stamp(source_time);
        self.u64(sequence);
    }

    fn dcs(&mut self, mut view: DcsView) {
        self.put(&[1]);
        for i in 0..self.dcs_tags.len() {
            self.field(self.dcs_tags.get(i).and_then(|tag| view.field_mut(*tag)));
        }
    }

    fn status(&mut self, view: &ApcView) {
        let mut view = *view;
        for i in 0..self.apc_tags.len() {
            self.field(self.apc_tags.get(i).and_then(|tag| view.field_mut(*tag)));
        }
    }

    /// A field of an image; what passes beside the images has none.
    fn field(&mut self, field: Option<&mut dyn WireField>) {
        let Some(Reading { value, quality, source_time }) = field.map(|f| f.get()) else { return };
        match value {
            WireValue::Boolean(v) => self.put(&[u8::from(v)]),
            WireValue::UInt16(v) => self.put(&v.to_le_bytes()),
            WireValue::UInt32(v) => self.put(&v.to_le_bytes()),
            WireValue::Int32(v) => self.put(&v.to_le_bytes()),
            WireValue::Double(v) => self.f64(v),
            WireValue::String(v) => {
                self.u64(v.as_str().len() as u64);
                self.put(v.as_str().as_bytes());
            }
        }
        self.put(&[quality as u8]);
        self.stamp(source_time);
    }

    fn approved(&mut self, approved: &ApprovedMove) {
        self.moves += 1;
        self.u64(approved.id());
        self.put(&[u8::from(approved.kind() == MoveKind::Move)]);
        self.put(&approved.lease().to_le_bytes());
        self.u64(approved.cycle());
        self.stamp(approved.valid_until());
        for mv in 0..approved.u().len() {
            self.set_point(approved.set_point(mv));
        }
    }

    fn recommended(&mut self, advice: &Advice) {
        self.put(&advice.id.to_le_bytes());
        self.u64(advice.cycle);
        self.stamp(advice.expires_at);
        for (u, concerned) in advice.u.iter().zip(advice.concerns.iter()) {
            self.set_point(Some(*u).filter(|_| *concerned));
        }
    }

    fn set_point(&mut self, u: Option<f64>) {
        self.put(&[u8::from(u.is_some())]);
        u.into_iter().for_each(|u| self.f64(u));
    }
}

#[cfg(test)]
mod tests {
    use actors::board::Beat;
    use actors::kernel::Unwitnessed;
    use signals::{Quality, Spared, TagId};

    use super::*;

    /// The hash of one beat and one status; `spoil` may change something before.
    fn hash(spoil: impl FnOnce(&mut Beat, &mut Sample, &mut DcsView, &mut ApcView)) -> String {
        let spared = Spared::collect([true, false]);
        let fingerprint = Fingerprint::new(Shape { mvs: 2, cvs: 1, dvs: 1, spared }, Arc::new(Unwitnessed));
        let sample =
            Sample { tag: TagId(0), value: 0.9, quality: Quality::Good, source_time: Stamp::ZERO, sequence: 3 };
        let (mut beat, mut sample) = (Beat { cycle: 1, ..Beat::default() }, sample);
        let (mut dcs, mut apc) = (DcsView::sized(2, 1, 1).with_spares(spared), ApcView::sized(2, 1));
        spoil(&mut beat, &mut sample, &mut dcs, &mut apc);
        let image = Inlet::new(2);
        image.samples[0].put(sample);
        image.dcs.put(dcs);
        fingerprint.note(Entry::Beat { beat, now: Stamp::ZERO, dropped: 0, image: &image });
        fingerprint.note(Entry::View(&apc));
        fingerprint.digest()
    }

    #[test]
    fn the_least_change_of_any_input_or_output_is_another_hash() {
        let known = hash(|_, _, _, _| {});
        assert_eq!(hash(|_, _, _, _| {}), known);
        let last = |value: &mut f64| *value = f64::from_bits(value.to_bits() ^ 1);
        for changed in [
            hash(|_, sample, _, _| last(&mut sample.value)),
            hash(|_, sample, _, _| sample.source_time = Stamp::from_nanos(1)),
            hash(|_, sample, _, _| sample.quality = Quality::Uncertain),
            hash(|beat, _, _, _| beat.scan = 1),
            hash(|_, _, dcs, _| dcs.lease.value = 1),
            hash(|_, _, _, apc| apc.hb_apc.source_time = Stamp::ZERO),
        ] {
            assert_ne!(changed, known);
        }
        for tag in DcsTag::all(2, 1, 1).into_iter().chain(DcsTag::spares(1, 1, Spared::collect([true, false]))) {
            let changed = hash(|_, _, dcs, apc| {
                let field =
                    if tag.direction() == Direction::DcsToApc { dcs.field_mut(tag) } else { apc.field_mut(tag) };
                let Some(field) = field else { return };
                let (value, now) = (field.get().value, Stamp::ZERO);
                field.set(Some(value), Quality::Good, now);
            });
            assert_eq!(changed == known, tag.is_beside(), "{tag}");
        }
    }

    #[test]
    fn every_nan_is_one_nan() {
        let with = |bits| hash(|_, sample, _, _| sample.value = f64::from_bits(bits));
        assert_eq!(with(0x7ff8_0000_0000_0000), with(0xfff8_0000_0000_0001));
        assert_ne!(with(0.0_f64.to_bits()), with((-0.0_f64).to_bits()), "a zero has a sign");
    }
}
