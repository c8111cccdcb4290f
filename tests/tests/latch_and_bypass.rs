//! What a run has from outside its plant, the latch of an earlier run and the bypasses, is part of its record.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a scenario that cannot go on has failed"
)]

use std::time::Duration;

use runtime::config::load;
use runtime::journal::{Header, Journal, Layout, Reader, Record, Settings};
use runtime::replay::{Verdict, verify};
use safety::bypass::{Person, Subject};
use safety::{Bypass, BypassSet, CheckId, Event, Latch, State};
use signals::Stamp;
use tests::{Bench, repo};

/// A trip of an earlier run: CV1 was above its range.
fn earlier() -> Latch {
    let text = r#"{"first_out":{"cause":{"measurement":{"tag":{"tag":0,"variable":{"cv":0}},
        "fault":{"high":{"value":2.25,"limit":2.0}}}},"at_ns":77000000000,"cycle":5}}"#;
    serde_json::from_str(text).unwrap()
}

/// A bypass of check 1 on CV1, approved an hour ago, that ends in so long.
fn bypass(now: Stamp, left: Duration) -> BypassSet {
    let from = Stamp::from_nanos(now.nanos() - 3_600_000_000_000);
    let (requested_by, approved_by) = (Person::named("Abel"), Person::named("Baker"));
    let (check, subject) = (CheckId::Quality, Subject::Tag(0));
    BypassSet::collect([Bypass { id: 1, check, subject, requested_by, approved_by, from, until: now + left }])
}

/// A run that starts with `latch`, and its record.
async fn recorded(latch: Latch, scenario: impl AsyncFnOnce(&mut Bench)) -> (Header, Vec<Record>) {
    let folder = tempfile::tempdir().unwrap();
    let (file, loaded) = (folder.path().join("run.journal"), load(&repo("deploy/plants/cstr.toml")).unwrap());
    let settings = Settings { waits: true, ..Settings::default() };
    let header = Header::of(&loaded, 3).unwrap().with_latch(latch);
    let journal = Journal::create(&file, &header, settings).unwrap();
    let mut bench = Bench::start_latched(("cstr", 3), loaded.plant, journal.tape(), latch).await.unwrap();
    scenario(&mut bench).await;
    let cycles = bench.telemetry.cycles();
    drop(bench);
    let _status = journal.close(cycles);
    let mut reader = Reader::open(&file).unwrap();
    let records = reader.by_ref().collect();
    assert_eq!(reader.header(), &header);
    (header, records)
}

fn verdict(header: &Header, records: &[Record]) -> Verdict {
    verify(header, records.iter().cloned()).unwrap().verdict
}

#[tokio::test(start_paused = true)]
async fn a_run_with_an_earlier_latch_shows_it_and_comes_out_again_only_with_it() {
    let (header, records) = recorded(earlier(), async |bench: &mut Bench| {
        bench.periods(4).await;
        let status = bench.board.status.read().unwrap();
        assert_eq!((status.state, status.first_out), (State::Tripped, earlier().first_out()));
        assert_eq!(bench.board.outlet.read().unwrap().shed_reason.value, 401);
        assert!(bench.board.tripped.take().is_none(), "an earlier trip is no new one");
        bench.engage().await;
        assert_eq!((bench.state(), bench.board.latch.read()), (State::Active, Some(Latch::default())));
    })
    .await;
    assert_eq!(verdict(&header, &records), Verdict::Same);
    let without = Header { latch: Latch::default(), ..header };
    assert!(matches!(verdict(&without, &records), Verdict::Differs(_)), "the negative control");
}

/// CV1 is bad for three periods. The states that were seen meanwhile.
async fn while_cv1_is_bad(bench: &Bench) -> Vec<State> {
    bench.command("quality CV1 bad");
    let mut seen = Vec::new();
    for _ in 0..30 {
        tokio::time::sleep(bench.period / 10).await;
        seen.push(bench.state());
    }
    bench.command("quality CV1 good");
    bench.periods(4).await;
    seen
}

#[tokio::test(start_paused = true)]
async fn a_bypassed_check_does_not_hold_the_loop_and_the_run_comes_out_again_only_with_the_bypass() {
    let (header, records) = recorded(Latch::default(), async |bench: &mut Bench| {
        bench.engage().await;
        let now = bench.board.beat.read().unwrap().at;
        bench.board.inlet.bypasses.put(bypass(now, bench.period * 8));
        let seen = while_cv1_is_bad(bench).await;
        assert!(seen.iter().all(|state| *state == State::Active), "{seen:?}");
        assert_eq!(bench.board.status.read().unwrap().bypasses, 1);
        bench.periods(6).await;
        assert_eq!(bench.board.status.read().unwrap().bypasses, 0, "it ended by itself");
        let seen = while_cv1_is_bad(bench).await;
        assert!(seen.contains(&State::Hold), "the negative control: {seen:?}");
        let (mut began, mut ended) = (0, 0);
        for event in bench.events() {
            began += u32::from(matches!(event, Event::BypassBegan { .. }));
            ended += u32::from(matches!(event, Event::BypassEnded { .. }));
        }
        assert_eq!((began, ended), (1, 1));
    })
    .await;
    assert_eq!(verdict(&header, &records), Verdict::Same);
    let (layout, mut without) = (Layout::new(header.shape), records);
    for record in &mut without {
        let Record::Beat { image, .. } = record else { continue };
        let inlet = actors::Inlet::new(header.shape.cvs + header.shape.dvs);
        layout.restore(image, &inlet);
        inlet.bypasses.put(BypassSet::new());
        layout.image(&inlet, image);
    }
    assert!(matches!(verdict(&header, &without), Verdict::Differs(_)), "the negative control");
}

#[tokio::test(start_paused = true)]
async fn a_trip_is_handed_out_once_with_the_minute_before_it() {
    recorded(Latch::default(), async |bench: &mut Bench| {
        bench.engage().await;
        bench.periods(4).await;
        assert!(bench.board.tripped.take().is_none(), "nothing has tripped");
        bench.command("permit off");
        bench.periods(3).await;
        let tripped = bench.board.tripped.take().unwrap();
        assert_eq!(tripped.first_out.cause.code(), 10);
        let entries: Vec<_> = tripped.pre_trip.entries().collect();
        // A scan every 1.8 s, and one more with each proposal.
        assert!(entries.len() >= 33, "{}", entries.len());
        let (first, last) = (entries[0], entries[entries.len() - 1]);
        assert!(last.at == tripped.first_out.at && last.at.since(first.at) >= Duration::from_secs(57));
        assert_eq!((first.state, last.state), (State::Active, State::Shed));
        assert_eq!((last.tags.len(), last.mvs.len()), (4, 2));
        assert!(entries.iter().all(|e| e.mvs[0].approved.is_some() && e.tags[0].value.is_finite()));
        bench.periods(3).await;
        assert!(bench.board.tripped.take().is_none(), "once");
    })
    .await;
}
