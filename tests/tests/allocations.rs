//! A cycle of the loop in its steady state allocates nothing outside the solver.
//!
//! The loop runs on the wall's clock and on this thread, as it does in the runtime; the solver has its own thread and
//! the rig another, so that what is counted here is the loop, with the tape of its journal and the log of the shipped
//! program at its usual level, and nothing else. The journal
//! of the run is replayed afterwards: what the solver's thread answered under a clock comes out again without one.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement that cannot be made has failed"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actors::kernel::{Clock, Latest, Telemetry, Unobserved};
use actors::{Board, Ending, Loop, LoopContext, MoveSink};
use runtime::cli::LogFormat;
use runtime::config::load;
use runtime::journal::{Header, Journal, Kind, Layout, Reader, Record, Settings};
use runtime::logging;
use runtime::replay::{Verdict, verify};
use runtime::simulate::{Plumbing, SharedRig};
use safety::{ApprovedMove, State, WriteReport};
use signals::dcs::{DcsTag, MvTag, WireValue};
use signals::{Fixed, Quality};
use tests::{repo, shared_rig};

/// Hands over, as the link's sink does.
#[derive(Clone, Debug)]
struct SlotSink(Latest<ApprovedMove>);

impl MoveSink for SlotSink {
    fn write(&mut self, approved: ApprovedMove) {
        self.0.put(approved);
    }
}

/// The rig's side: writes moves, carries images, and plays the operator, until told to stop.
fn rig_thread(rig: &SharedRig, board: &Board, moves: &Latest<ApprovedMove>, clock: Clock, stop: &AtomicBool) {
    let mut plumbing = Plumbing::new(rig.clone(), board.clone());
    let mut operator = [(60.0, "mode warm"), (150.0, "mode on"), (220.0, "engage")].into_iter().peekable();
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(2));
        if let Some((_, line)) = operator.next_if(|(at_s, _)| clock.now().secs_f64() > *at_s) {
            assert!(rig.lock().command(line).is_ok(), "{line}");
        }
        if let Some(approved) = moves.take() {
            for mv in 0..2_u8 {
                let Some(u) = approved.set_point(usize::from(mv)) else { continue };
                let tag = DcsTag::Mv(mv, MvTag::SpReq);
                assert!(rig.lock().write(tag, WireValue::Double(u), Quality::Good).is_ok());
            }
            let failures = Fixed::filled(0, 2);
            board.inlet.writes.put(WriteReport { confirmed: approved.id(), failures, at: clock.now() });
        }
        let behind = clock.now().since(rig.lock().now());
        plumbing.exchange(behind);
    }
}

#[test]
fn wall_steady_cycles_do_not_allocate() {
    assert!(logging::start(LogFormat::Text, logging::USUAL, (std::io::sink, false)));
    let loaded = load(&repo("deploy/plants/cstr.toml")).unwrap();
    let (folder, header) = (tempfile::tempdir().unwrap(), Header::of(&loaded, 1).unwrap());
    let file = folder.path().join("run.journal");
    let journal = Journal::create(&file, &header, Settings::default()).unwrap();
    let rig = shared_rig("cstr", 1).unwrap();
    // A period of 180 ms on the wall: what ages in three of them does not age by a busy machine.
    let (clock, telemetry) = (Clock::wall(100.0), Telemetry::new(Box::new(Unobserved)));
    let board = Board::new(4);
    let moves = Latest::new();
    let sink = SlotSink(moves.clone());
    let stop = Arc::new(AtomicBool::new(false));
    let rig_side = {
        let (rig, board, stop) = (rig.clone(), board.clone(), Arc::clone(&stop));
        std::thread::spawn(move || rig_thread(&rig, &board, &moves, clock, &stop))
    };
    let control = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let context = LoopContext { board: board.clone(), clock, telemetry: telemetry.clone(), tape: journal.tape() };
    let ending = Ending::ClosedLoop(Box::new(move || Box::new(sink.clone())));
    let (mut running, _events) = control.block_on(Loop::start(loaded.plant.loop_config(), ending, context)).unwrap();
    board.inlet.set_link(true);
    let mut run_for = |wall: Duration| {
        control.block_on(async {
            tokio::select! {
                _ = running.drive() => {}
                () = tokio::time::sleep(wall) => {}
            }
        });
    };
    // A mailbox makes its second block of 32 messages once, and reuses the two from then on: 40 cycles of warm-up are more
    // than the 32 that a stage with one ring per cycle needs.
    run_for(Duration::from_millis(7200));
    let state = || board.status.read().map(|s| s.state);
    assert_eq!(state(), Some(State::Active), "engaged before the counting begins");
    let (before, mut idle) = (telemetry.cycles(), None);
    let counted = allocation_counter::measure(|| run_for(Duration::from_millis(5400)));
    let cycles = telemetry.cycles() - before;
    assert_eq!(state(), Some(State::Active));
    assert!(cycles >= 20, "{cycles} cycles");
    println!("{cycles} cycles, {} allocations, {} bytes", counted.count_total, counted.bytes_total);
    // The negative control: the counter counts on this thread.
    let counter = allocation_counter::measure(|| idle = Some(Box::new(cycles)));
    assert_eq!(counter.count_total, 1);
    assert_eq!(counted.count_total, 0);
    stop.store(true, Ordering::Relaxed);
    rig_side.join().unwrap();
    control.block_on(running.stop());
    let status = journal.close(telemetry.cycles());
    assert_eq!((status.lost(), status.stopped()), (0, None));
    comes_out_again(&file);
}

fn comes_out_again(file: &std::path::Path) {
    let mut reader = Reader::open(file).unwrap();
    let (header, mut records) = (reader.header().clone(), reader.by_ref().collect::<Vec<Record>>());
    let verified = verify(&header, records.iter().cloned()).unwrap();
    println!("{:?}", verified.counts);
    assert_eq!(verified.verdict, Verdict::Same);
    assert!(verified.counts.solves > 20 && verified.counts.moves > 10, "{:?}", verified.counts);
    // The negative control: one measurement, changed by less than a millionth; one in the middle, for a run may end between
    // its last beat and what follows from that.
    let images = records.iter_mut().filter_map(|r| match r {
        Record::Beat { beat, image, .. } if beat.scan == 0 => Some(image),
        _ => None,
    });
    let layout = Layout::new(header.shape);
    let value = (0..).find(|cell| layout.field(Kind::Image, *cell).0 == "sample 0 value").unwrap();
    let mut images: Vec<_> = images.collect();
    let middle = images.len() / 2;
    images[middle][value] ^= 1 << 20;
    drop(images);
    assert!(matches!(verify(&header, records.into_iter()).unwrap().verdict, Verdict::Differs(_)));
}
