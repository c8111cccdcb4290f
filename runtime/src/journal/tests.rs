//! What a journal keeps, and what it says when it cannot.

use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actors::board::Beat;
use actors::kernel::Act;
use actors::tape::{Entry, Tape};
use actors::{Inlet, Reach};
use safety::bypass::{Person, Subject};
use safety::{Bypass, BypassSet, CheckId, ConfigHash, Latch, WriteReport};
use signals::dcs::{ApcView, DcsView, Reading};
use signals::{Fixed, Quality, Sample, Spared, Stamp, TagId};

use super::*;

/// The DV has spare transmitters.
fn shape() -> Shape {
    Shape { mvs: 2, cvs: 1, dvs: 1, spared: Spared::collect([false, true]) }
}

/// How many transmitters it has.
const TRANSMITTERS: usize = 4;

fn header() -> Header {
    Header {
        program: "0".into(),
        revision: "abc".into(),
        plant: "name = \"p\"".into(),
        reach: Reach::ClosedLoop,
        commissioned: vec![true, false],
        seed: 7,
        shape: shape(),
        stages: vec!["sensor".into(), "interlock".into()],
        latch: latch(),
    }
}

/// A latch with a number that has no short form.
fn latch() -> Latch {
    let text = r#"{"first_out":{"cause":{"measurement":{"tag":{"tag":0,"variable":{"cv":0}},
        "fault":{"high":{"value":0.30000000000000004,"limit":0.1}}}},"at_ns":17,"cycle":3}}"#;
    serde_json::from_str(text).unwrap()
}

fn at(beat: u64) -> Stamp {
    Stamp::from_nanos(i64::try_from(beat).unwrap() * 100_000_000 + 17)
}

/// The inlet at a beat: a noisy value, a NaN with a payload, a DCS that counts.
fn fill(inlet: &Inlet, beat: u64) {
    let noise = f64::from_bits(0x3ff0_0000_0000_0000 | (beat.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 12));
    let values = [noise, f64::from_bits(0x7ff8_0000_0000_0000 | beat), noise + 1.0, noise - 1.0];
    for ((number, slot), value) in (0..).zip(&inlet.samples).zip(values) {
        let quality = if beat % 7 == 3 { Quality::Uncertain } else { Quality::Good };
        let (tag, sequence) = (TagId(number.min(1)), beat + u64::from(number));
        slot.put(Sample { tag, value, quality, source_time: at(beat), sequence });
    }
    let mut dcs = DcsView::sized(2, 1, 1).with_spares(shape().spared);
    dcs.dvs[0].spares = Some([1.0, -1.0].map(|by| Reading::of(noise + by, at(beat))));
    dcs.hb_dcs = Reading::of(u32::try_from(beat).unwrap(), at(beat));
    inlet.dcs.put(dcs);
    if beat > 5 {
        inlet.writes.put(WriteReport { confirmed: beat, failures: Fixed::filled(3, 2), at: at(beat - 1) });
    }
    inlet.set_link(!beat.is_multiple_of(11));
    let bypass = |id, check, subject| Bypass {
        id,
        check,
        subject,
        requested_by: Person::named("Abel"),
        approved_by: Person(beat),
        from: at(3),
        until: at(9000),
    };
    let all = [
        bypass(1, CheckId::Age, Subject::Tag(1)),
        bypass(2, CheckId::Travel, Subject::Mv(0)),
        bypass(3, CheckId::ScanOverrun, Subject::Loop),
    ];
    inlet.bypasses.put(BypassSet::collect(all.into_iter().take(usize::try_from(beat % 4).unwrap())));
    inlet.calendar.put(at(beat + 3));
    if beat > 20 {
        inlet.changed_config.put(ConfigHash(beat));
    }
}

fn view(beat: u64) -> ApcView {
    let mut view = ApcView::sized(2, 1);
    view.hb_apc = Reading::of(u32::try_from(beat).unwrap(), at(beat));
    view
}

/// A run of so many beats, as a tape is told of it.
fn play(tape: &dyn Tape, beats: std::ops::Range<u64>) {
    let inlet = Inlet::new(TRANSMITTERS);
    for index in beats {
        fill(&inlet, index);
        let beat = Beat { cycle: index / 10 + 1, scan: index % 10, at: at(index - index % 10), wall_ns: 0 };
        tape.note(Entry::Beat { beat, now: at(index), dropped: 0, image: &inlet });
        tape.act(Act::Step { child: 1, now: at(index) });
        tape.note(Entry::View(&view(index)));
    }
}

/// The same run, as its records ought to be.
fn expected(beats: u64) -> Vec<Record> {
    let (inlet, layout, mut records) = (Inlet::new(TRANSMITTERS), Layout::new(shape()), Vec::new());
    for index in 0..beats {
        let (mut image, mut row) = (Vec::new(), Vec::new());
        fill(&inlet, index);
        layout.image(&inlet, &mut image);
        layout.view(&view(index), &mut row);
        let beat = Beat { cycle: index / 10 + 1, scan: index % 10, at: at(index - index % 10), wall_ns: 0 };
        records.push(Record::Beat { beat, now: at(index), dropped: 0, image });
        records.push(Record::Act(Act::Step { child: 1, now: at(index) }));
        records.push(Record::Row(Kind::View, row));
    }
    records
}

fn waiting() -> Settings {
    Settings { waits: true, ..Settings::default() }
}

/// The bytes of a journal of so many beats.
fn written(beats: u64) -> Vec<u8> {
    let mut file = tempfile::tempfile().unwrap();
    let journal = Journal::on(file.try_clone().unwrap(), &header(), waiting()).unwrap();
    play(&*journal.tape(), 0..beats);
    let status = journal.close(beats / 10);
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_end(&mut bytes).unwrap();
    assert_eq!((status.bytes(), status.stopped(), status.lost()), (bytes.len() as u64, None, 0));
    bytes
}

/// A block as it stands in a file.
fn sealed(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap();
    [&length.to_le_bytes(), &file::checksum(length, payload).to_le_bytes(), payload].concat()
}

/// Where the header ends.
fn head(bytes: &[u8]) -> usize {
    usize::try_from(Reader::of(Cursor::new(bytes), Path::new("")).unwrap().bytes()).unwrap()
}

/// The payload of a ring, blocks behind their lengths, as the journal thread makes a file of it.
fn file_of(ring: &[u8]) -> Vec<u8> {
    let mut bytes = written(0);
    bytes.truncate(head(&bytes));
    let mut left = ring;
    while let Some((length, more)) = left.split_first_chunk::<4>() {
        let (block, more) = more.split_at(usize::try_from(u32::from_le_bytes(*length)).unwrap());
        bytes.extend(sealed(block));
        left = more;
    }
    bytes
}

fn read(bytes: &[u8]) -> (Vec<Record>, Ending) {
    read_from(Cursor::new(bytes))
}

fn read_from(from: impl Read) -> (Vec<Record>, Ending) {
    let mut reader = Reader::of(from, Path::new("journal")).unwrap();
    assert_eq!(reader.header(), &header());
    let records = reader.by_ref().collect();
    (records, reader.ending().unwrap())
}

#[test]
fn what_was_told_is_read_bit_for_bit() {
    let (records, ending) = read(&written(300));
    let mut told = expected(300);
    told.push(Record::End { cycles: 30, why: String::new() });
    assert!(records == told, "not what was told");
    assert_eq!(ending, Ending::InOrder);
}

#[test]
fn an_image_is_put_back_as_it_was() {
    let (there, back, layout) = (Inlet::new(TRANSMITTERS), Inlet::new(TRANSMITTERS), Layout::new(shape()));
    for beat in 0..20 {
        let (mut row, mut again) = (Vec::new(), Vec::new());
        fill(&there, beat);
        layout.image(&there, &mut row);
        layout.restore(&row, &back);
        layout.image(&back, &mut again);
        assert_eq!(row, again);
        assert_eq!(there.dcs.read(), back.dcs.read());
        assert_eq!(there.bypasses.read(), back.bypasses.read());
    }
}

#[test]
fn a_torn_tail_costs_the_block_that_is_torn_and_nothing_before_it() {
    let (bytes, told) = (written(50), expected(50));
    let (mut endings, mut most) = (std::collections::BTreeSet::new(), 0);
    for cut in head(&bytes)..bytes.len() {
        let (records, ending) = read(&bytes[..cut]);
        assert!(records == told[..records.len()], "cut at {cut}");
        assert!(records.len() >= most, "cut at {cut}: more of the file is more of the run");
        most = records.len();
        endings.insert(match ending {
            Ending::Torn { .. } => "torn",
            Ending::Unfinished => "unfinished",
            _ => "other",
        });
    }
    // The last word, a block of its own, was never whole.
    assert_eq!((endings.into_iter().collect::<Vec<_>>(), most), (vec!["torn", "unfinished"], told.len()));
}

#[test]
fn any_flipped_bit_is_found() {
    let (bytes, told) = (written(20), expected(20));
    let head = head(&bytes);
    let mut lengths = std::collections::BTreeSet::new();
    let mut block = head;
    while let Some(length) = bytes.get(block..block + 4) {
        lengths.extend(block..block + 4);
        block += 8 + usize::try_from(u32::from_le_bytes(length.try_into().unwrap())).unwrap();
    }
    let mut torn = 0;
    for bit in 0..bytes.len() * 8 {
        let mut spoilt = bytes.clone();
        spoilt[bit / 8] ^= 1 << (bit % 8);
        if bit / 8 < head {
            assert!(Reader::of(Cursor::new(&spoilt), Path::new("")).is_err(), "bit {bit} of the header");
            continue;
        }
        let (records, ending) = read(&spoilt);
        match ending {
            Ending::Corrupt { .. } => {}
            // A length that points beyond the end looks as a cut does. Neither is a whole run.
            Ending::Torn { .. } if lengths.contains(&(bit / 8)) => torn += 1,
            _ => panic!("bit {bit}: {ending:?}"),
        }
        assert!(records == told[..records.len()], "bit {bit}: nothing behind the fault is believed");
    }
    assert!(torn > 0);
}

/// The negative control of the checksums: with each mended after the flip, most flips go through as other records.
#[test]
fn without_the_checksum_a_flipped_bit_is_believed() {
    let (bytes, told) = (written(20), expected(20));
    let head = head(&bytes);
    let length = usize::try_from(u32::from_le_bytes(bytes[head..head + 4].try_into().unwrap())).unwrap();
    let (mut believed, flips) = (0, length * 8);
    for bit in 0..flips {
        let mut spoilt = bytes.clone();
        spoilt[head + 8 + bit / 8] ^= 1 << (bit % 8);
        let mended = sealed(&spoilt[head + 8..head + 8 + length]);
        spoilt[head..head + 8 + length].copy_from_slice(&mended);
        let (records, ending) = read(&spoilt);
        believed += usize::from(ending == Ending::InOrder && records[..told.len()] != told);
    }
    assert!(believed * 2 > flips, "{believed} of {flips}");
}

#[test]
fn a_ring_that_is_full_loses_blocks_and_says_so_in_the_file() {
    let (producer, mut ring) = rtrb::RingBuffer::new(2000);
    let status = JournalStatus::default();
    let recorder = tape::Recorder::new(shape(), producer, tape::WhenFull::Lose, status.clone());
    play(&*recorder, 0..100);
    let lost = status.lost();
    assert!(lost > 50, "{lost} blocks lost: nobody reads the ring");
    // The ring is read again, and the recorder goes on.
    let mut payload = vec![0_u8; ring.slots()];
    ring.pop_entire_slice(&mut payload).unwrap();
    play(&*recorder, 100..103);
    recorder.end(Some((10, "")), &|| false);
    let mut rest = vec![0_u8; ring.slots()];
    ring.pop_entire_slice(&mut rest).unwrap();
    payload.extend(rest);
    let (records, ending) = read(&file_of(&payload));
    let gap = records.iter().position(|r| matches!(r, Record::Gap { .. })).unwrap();
    assert!(records[..gap] == expected(100)[..gap], "up to the gap it is the run");
    let Record::Gap { lost: said } = records[gap] else { unreachable!() };
    assert_eq!((said, ending), (status.lost(), Ending::InOrder));
    assert!(matches!(&records[gap + 1], Record::Beat { beat, .. } if beat.cycle == 11));
}

/// A run whose last blocks are lost, and what its file is when the end waits for the ring to be drained, or does not.
fn lost_at_the_end(waits: bool) -> (Vec<Record>, Ending, u64) {
    // A ring of a size that the blocks fill up to less than a last word needs.
    let fill = |room| {
        let (producer, ring) = rtrb::RingBuffer::new(room);
        let status = JournalStatus::default();
        let recorder = tape::Recorder::new(shape(), producer, tape::WhenFull::Lose, status.clone());
        play(&*recorder, 0..100);
        (room - ring.slots() < 8).then_some((recorder, ring, status))
    };
    let (recorder, mut ring, status) = (2000..4000).find_map(fill).unwrap();
    let mut payload = Vec::new();
    std::thread::scope(|scope| {
        let end = scope.spawn(|| recorder.end(Some((10, "")), &|| waits));
        if !waits {
            end.join().unwrap();
            payload.extend(std::iter::from_fn(|| ring.pop().ok()));
            return;
        }
        while !end.is_finished() {
            payload.extend(std::iter::from_fn(|| ring.pop().ok()));
            std::thread::yield_now();
        }
        payload.extend(std::iter::from_fn(|| ring.pop().ok()));
    });
    // The loop was left behind and goes on: nothing of it comes behind the last word.
    play(&*recorder, 100..200);
    assert!(ring.is_empty());
    let (records, ending) = read(&file_of(&payload));
    (records, ending, status.lost())
}

#[test]
fn a_gap_at_the_end_is_said_before_the_last_word() {
    let (mut records, ending, lost) = lost_at_the_end(true);
    assert!(lost > 50, "{lost} blocks lost");
    assert_eq!(records.pop(), Some(Record::End { cycles: 10, why: String::new() }));
    assert_eq!((records.pop(), ending), (Some(Record::Gap { lost }), Ending::InOrder));
    assert!(records == expected(100)[..records.len()]);
    // The negative control: without the wait there is neither gap nor last word.
    let (records, ending, _) = lost_at_the_end(false);
    assert_eq!(ending, Ending::Unfinished);
    assert!(records == expected(100)[..records.len()]);
}

#[test]
fn what_ended_the_run_is_told_and_a_loop_left_behind_has_no_last_word() {
    let end = |last_word: Option<(u64, &str)>| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run.journal");
        let journal = Journal::create(&file, &header(), waiting()).unwrap();
        play(&*journal.tape(), 0..30);
        assert!(!journal.is_held());
        let tape = journal.tape();
        assert!(journal.is_held(), "by us");
        drop((journal.close_as(last_word), tape));
        let mut reader = Reader::open(&file).unwrap();
        let beats = reader.by_ref().filter(|r| matches!(r, Record::Beat { .. })).count();
        (beats, reader.ending().unwrap())
    };
    assert_eq!(end(Some((3, ""))), (30, Ending::InOrder));
    assert_eq!(end(Some((3, "the watchdog"))), (30, Ending::Ended { why: "the watchdog".into() }));
    assert_eq!(end(None), (30, Ending::Unfinished));
}

/// A disk that gives an error behind what it gives.
struct Failing<'a>(&'a [u8]);

impl Read for Failing<'_> {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        if self.0.is_empty() { Err(std::io::ErrorKind::TimedOut.into()) } else { self.0.read(to) }
    }
}

#[test]
fn a_read_error_is_no_end_of_the_file() {
    let (bytes, told) = (written(20), expected(20));
    for cut in head(&bytes)..bytes.len() {
        let (records, ending) = read_from(Failing(&bytes[..cut]));
        let unreadable = Ending::Unreadable { at_byte: cut as u64, why: std::io::ErrorKind::TimedOut };
        assert_eq!(ending, unreadable, "cut at {cut}");
        assert!(records == told[..records.len()]);
    }
    let in_the_header = Reader::of(Failing(&bytes[..20]), Path::new("x")).map(drop);
    assert!(matches!(in_the_header, Err(JournalError::File { .. })), "{in_the_header:?}");
}

#[test]
fn a_header_alone_and_zeros_behind_it_are_no_run() {
    let mut bytes = written(0);
    bytes.truncate(head(&bytes));
    assert_eq!(read(&bytes), (Vec::new(), Ending::Unfinished));
    let at_byte = bytes.len() as u64;
    bytes.extend([0; 8]);
    assert_eq!(read(&bytes), (Vec::new(), Ending::Corrupt { at_byte }));
}

#[test]
fn a_full_disk_stops_the_journal_and_not_the_loop() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let journal = Journal::on(full, &header(), Settings::default()).unwrap();
    let (tape, status) = (journal.tape(), journal.status());
    for _ in 0..500 {
        if status.stopped().is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    play(&*tape, 0..100_000);
    let status = journal.close(10_000);
    assert!(status.stopped().is_some_and(|why| why.contains("cannot write")), "{:?}", status.stopped());
    assert_eq!((status.bytes(), status.lost()), (0, 0), "a stopped journal takes nothing and loses nothing");
}

#[test]
fn a_journal_keeps_its_limit_and_what_it_holds_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.journal");
    let settings = Settings { limit_bytes: 20_000, ring_bytes: 100_000, ..waiting() };
    let journal = Journal::create(&file, &header(), settings).unwrap();
    for _ in 0..200 {
        play(&*journal.tape(), 0..10);
        std::thread::sleep(Duration::from_millis(2));
    }
    let status = journal.close(1);
    assert!(status.stopped().is_some_and(|why| why.contains("limit")), "{:?}", status.stopped());
    let length = std::fs::metadata(&file).unwrap().len();
    assert!(length <= 20_000 && length == status.bytes(), "{length}");
    let mut reader = Reader::open(&file).unwrap();
    assert!(reader.by_ref().count() > 30);
    assert_eq!(reader.ending(), Some(Ending::Unfinished));
    assert!(matches!(Journal::create(&file, &header(), settings), Err(JournalError::File { .. })), "never overwritten");
}

#[test]
fn other_files_are_refused() {
    let of = |bytes: &[u8]| Reader::of(Cursor::new(bytes.to_vec()), Path::new("x")).map(drop);
    assert!(matches!(of(b"name = \"cstr\""), Err(JournalError::NotAJournal(_))));
    assert!(matches!(of(b""), Err(JournalError::NotAJournal(_))));
    let good = written(0);
    assert!(of(&good).is_ok());
    assert!(matches!(of(&good[..20]), Err(JournalError::NoHeader(_))));
    let mut block = header().encode();
    block[0] = 9;
    let foreign = [&good[..8], &sealed(&block)].concat();
    assert!(matches!(of(&foreign), Err(JournalError::Format { found: 9, expected: FORMAT, .. })));
    // Format 3 knew no bypasses and no latch.
    block[0] = 3;
    let foreign = [&good[..8], &sealed(&block)].concat();
    assert!(matches!(of(&foreign), Err(JournalError::Format { found: 3, expected: FORMAT, .. })));
    // Format 1 had its checksums over the payload alone.
    block[0] = 1;
    let length = u32::try_from(block.len()).unwrap().to_le_bytes();
    let old = [&good[..8], &length, &crc32fast::hash(&block).to_le_bytes(), &block].concat();
    assert!(matches!(of(&old), Err(JournalError::Format { found: 1, expected: FORMAT, .. })));
}

/// Not a promise but a number: what a beat costs the control thread.
#[test]
#[ignore = "a measurement"]
#[allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn what_a_beat_costs() {
    let file = tempfile::tempfile().unwrap();
    let journal = Journal::on(file, &header(), Settings { ring_bytes: 64 << 20, ..Settings::default() }).unwrap();
    let (tape, beats) = (journal.tape(), 100_000);
    play(&*tape, 0..1000);
    let begun = std::time::Instant::now();
    play(&*Arc::clone(&tape), 1000..1000 + beats);
    let took = begun.elapsed();
    let status = journal.close(0);
    println!(
        "{:.2} µs a beat, {} bytes a beat",
        took.as_secs_f64() * 1e6 / beats as f64,
        status.bytes() / (beats + 1000)
    );
}
