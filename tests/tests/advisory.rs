//! Advisory mode, end to end in virtual time: the loop recommends, a person answers at the DCS, the DCS applies.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a scenario that cannot go on has failed"
)]

use control::advice::{Advised, Answer, News, Verdict};
use runtime::config::{Mode, load};
use runtime::journal::{Header, Journal, Kind, Layout, Reader, Record, Settings};
use runtime::replay;
use safety::State;
use signals::dcs::RecStatus;
use tests::{Bench, repo};

/// In ADVISORY, with a set-point of CV1 that asks for something, and the recommendation that came of it.
async fn recommending(seed: u64, mode: Mode) -> (Bench, u32) {
    let bench = Bench::start("cstr", seed, |file| file.mode = mode).await.unwrap();
    let id = recommend(&bench).await;
    (bench, id)
}

async fn recommend(bench: &Bench) -> u32 {
    for (line, periods) in [("mode off", 2), ("mode warm", 6), ("mode advisory", 4), ("sp CV1 0.9", 4)] {
        bench.command(line);
        bench.periods(periods).await;
    }
    let advised = bench.advised();
    assert_eq!((bench.state(), advised.status), (State::Advisory, RecStatus::Open), "{advised:?}");
    advised.advice.unwrap().id
}

/// The verdicts of all answers so far.
fn verdicts(bench: &Bench) -> Vec<(Answer, Verdict)> {
    let news = std::iter::from_fn(|| bench.board.news.receive());
    let answers = news.filter_map(|news| match news {
        News::Answered { answer, verdict, .. } => Some((answer, verdict)),
        _ => None,
    });
    answers.collect()
}

/// How far the set-points in use are from those that were recommended, in the unit of each.
fn away(bench: &Bench, advised: &Advised) -> Vec<f64> {
    let view = *bench.rig.lock().view();
    let advice = advised.advice.unwrap();
    view.mvs.iter().zip(&advice.u).map(|(mv, u)| (mv.sp_act.value - u).abs()).collect()
}

fn set_points(bench: &Bench) -> Vec<u64> {
    bench.rig.lock().view().mvs.iter().map(|mv| mv.sp_act.value.to_bits()).collect()
}

#[tokio::test(start_paused = true)]
async fn what_a_person_accepts_the_dcs_applies_and_the_loop_writes_no_set_point() {
    let (bench, id) = recommending(1, Mode::Advisory).await;
    let advised = bench.advised();
    let effect = advised.advice.unwrap().effects[0];
    assert!((effect.pred - 0.9).abs() < (effect.hold - 0.9).abs(), "{effect:?}");
    assert!(away(&bench, &advised)[0] > 0.5, "there is something to do");
    bench.command(&format!("accept {id} Meyer"));
    bench.periods(1).await;
    assert_eq!(
        (bench.advised().status, verdicts(&bench)),
        (RecStatus::Accepted, vec![(Answer::Accept, Verdict::Taken)])
    );
    bench.periods(10).await;
    assert!(away(&bench, &advised)[0] < 1e-6, "{:?}", away(&bench, &advised));
    // What is recommended afterwards is taken too: the plant comes to its target.
    for _ in 0..60 {
        bench.periods(2).await;
        let now = bench.advised();
        if now.status == RecStatus::Open {
            bench.command(&format!("accept {} Meyer", now.advice.unwrap().id));
        }
    }
    let pv = bench.rig.lock().truth()[0];
    assert!((pv - 0.9).abs() < 0.02, "CB is {pv}, and was foretold as {}", effect.pred);
    let apc = *bench.rig.lock().apc();
    let summary = bench.rig.lock().summary();
    assert!(apc.mvs.iter().all(|mv| mv.sp_req.good().is_none()), "no SP_REQ was ever written");
    assert_eq!((summary.writes_while_not_on, summary.sheds), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_page_shows_the_number_the_set_points_and_the_expected_effect() {
    let (bench, id) = recommending(2, Mode::Advisory).await;
    let (advice, shown) = (bench.advised().advice.unwrap(), bench.rig.lock().apc().rec);
    assert_eq!((shown.id.good(), shown.status.good(), shown.stale_id.value), (Some(id), Some(RecStatus::Open), 0));
    assert_eq!(shown.expiry_s.good(), Some(360.0));
    for (sp, u) in shown.sp.iter().zip(&advice.u) {
        assert_eq!(sp.good(), Some(*u));
    }
    for ((pred, hold), effect) in shown.pred.iter().zip(&shown.hold).zip(&advice.effects) {
        assert_eq!((pred.good(), hold.good()), (Some(effect.pred), Some(effect.hold)));
    }
    assert_eq!(bench.rig.lock().snapshot().rec.unwrap().id, id);
}

#[tokio::test(start_paused = true)]
async fn what_is_rejected_is_not_applied_and_not_asked_again_at_once() {
    let (bench, id) = recommending(3, Mode::Advisory).await;
    let before = set_points(&bench);
    bench.command(&format!("reject {id} Meyer"));
    bench.periods(5).await;
    let advised = bench.advised();
    assert_eq!((advised.status, advised.advice.unwrap().id), (RecStatus::Rejected, id));
    assert_eq!((set_points(&bench), advised.tally.rejected), (before, 1));
}

#[tokio::test(start_paused = true)]
async fn a_stale_number_is_refused_by_the_dcs_and_by_the_loop_each_by_itself() {
    let (bench, id) = recommending(4, Mode::Advisory).await;
    let before = set_points(&bench);
    for stale in [id + 1, id + 100] {
        assert!(bench.rig.lock().command(&format!("accept {stale} Meyer")).is_err(), "the DCS's refusal");
    }
    bench.periods(2).await;
    assert_eq!(verdicts(&bench), [], "and the loop hears nothing of it");
    // The DCS's check off: the loop refuses, and without its word the DCS moves nothing.
    bench.command("answers unchecked");
    for line in [format!("accept {} Meyer", id + 1), format!("reject {} Meyer", id + 2)] {
        bench.command(&line);
        bench.periods(2).await;
    }
    assert_eq!(verdicts(&bench), [(Answer::Accept, Verdict::Stale), (Answer::Reject, Verdict::Stale)]);
    let advised = bench.advised();
    assert_eq!((advised.status, advised.stale_id, advised.tally.refused_stale), (RecStatus::Open, id + 2, 2));
    assert_eq!((set_points(&bench), bench.rig.lock().apc().rec.stale_id.good()), (before.clone(), Some(id + 2)));
    bench.command(&format!("accept {id} Meyer"));
    bench.periods(3).await;
    assert_eq!(verdicts(&bench), [(Answer::Accept, Verdict::Taken)], "the negative control");
    assert_ne!(set_points(&bench), before);
}

#[tokio::test(start_paused = true)]
async fn an_answer_after_the_expiry_is_refused_on_both_sides() {
    for checked in [true, false] {
        let (bench, id) = recommending(5, Mode::Advisory).await;
        let before = set_points(&bench);
        bench.command(if checked { "answers checked" } else { "answers unchecked" });
        bench.periods(21).await;
        let advised = bench.advised();
        assert!(advised.tally.expired + advised.tally.superseded > 0, "{advised:?}");
        let said = bench.rig.lock().command(&format!("accept {id} Meyer"));
        assert_eq!(said.is_err(), checked, "{said:?}");
        bench.periods(3).await;
        let wanted = if checked { vec![] } else { vec![(Answer::Accept, Verdict::Stale)] };
        assert_eq!((verdicts(&bench), set_points(&bench)), (wanted, before));
    }
}

#[tokio::test(start_paused = true)]
async fn leaving_advisory_withdraws_what_was_open() {
    let (bench, id) = recommending(6, Mode::Advisory).await;
    bench.command("mode warm");
    bench.periods(2).await;
    assert_eq!((bench.advised().status, bench.advised().tally.withdrawn), (RecStatus::Withdrawn, 1));
    assert!(bench.rig.lock().command(&format!("accept {id} Meyer")).is_err());
    bench.command("mode advisory");
    bench.periods(4).await;
    assert_eq!((bench.advised().status, bench.advised().advice.unwrap().id), (RecStatus::Open, id + 1));
}

#[tokio::test(start_paused = true)]
async fn a_bad_measurement_withdraws_what_rests_on_it() {
    let (bench, _) = recommending(7, Mode::Advisory).await;
    bench.command("quality CV1 bad");
    bench.periods(7).await;
    assert_eq!(bench.advised().status, RecStatus::Withdrawn);
}

#[tokio::test(start_paused = true)]
async fn a_crash_of_the_recommender_does_not_forget_what_is_open() {
    let (bench, id) = recommending(8, Mode::Advisory).await;
    bench.crashes.inject("recommender", 1);
    bench.periods(1).await;
    assert_eq!(bench.telemetry.restarts(), 1);
    assert_eq!((bench.advised().status, bench.advised().advice.unwrap().id), (RecStatus::Open, id));
    bench.command(&format!("accept {id} Meyer"));
    bench.periods(1).await;
    assert_eq!(bench.advised().status, RecStatus::Accepted);
}

#[tokio::test(start_paused = true)]
async fn a_file_for_closed_loop_recommends_in_advisory_too_and_then_closes_its_loop() {
    let (bench, id) = recommending(9, Mode::ClosedLoop).await;
    bench.command(&format!("accept {id} Meyer"));
    bench.periods(10).await;
    assert_eq!((bench.advised().tally.accepted, bench.rig.lock().summary().writes_while_not_on), (1, 0));
    bench.engage().await;
    assert_eq!(bench.state(), State::Active);
    let offered = bench.advised().tally.offered;
    bench.command("sp CV1 0.8");
    bench.periods(10).await;
    assert_eq!(bench.advised().tally.offered, offered, "ON recommends nothing");
}

/// The records of a run with `REC.ACCEPT` never written.
fn without_the_acceptance(mut records: Vec<Record>, layout: &Layout) -> Vec<Record> {
    let cell = (0..5000).find(|cell| layout.field(Kind::Image, *cell).0 == "REC.ACCEPT value").unwrap();
    for record in &mut records {
        if let Record::Beat { image, .. } = record {
            image[cell] = 0;
        }
    }
    records
}

/// The answers are inputs: they come out of the journal again, and so does what became of them.
#[tokio::test(start_paused = true)]
async fn a_run_with_answers_is_judged_again_by_its_replay_bit_for_bit() {
    let mut loaded = load(&repo("deploy/plants/cstr.toml")).unwrap();
    loaded.plant.mode = Mode::Advisory;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.journal");
    let settings = Settings { waits: true, ..Settings::default() };
    let journal = Journal::create(&file, &Header::of(&loaded, 10).unwrap(), settings).unwrap();
    let bench = Bench::start_with(("cstr", 10), loaded.plant.clone(), journal.tape()).await.unwrap();
    let id = recommend(&bench).await;
    bench.command("answers unchecked");
    for line in [format!("reject {} Schröder", id + 9), format!("accept {id} Meyer")] {
        bench.command(&line);
        bench.periods(3).await;
    }
    let (cycles, tally) = (bench.telemetry.cycles(), bench.advised().tally);
    assert_eq!((tally.accepted, tally.refused_stale), (1, 1));
    drop(bench);
    assert_eq!(journal.close(cycles).stopped(), None);
    let mut reader = Reader::open(&file).unwrap();
    let header = reader.header().clone();
    let records: Vec<_> = reader.by_ref().collect();
    let verified = replay::verify(&header, records.iter().cloned()).unwrap();
    assert_eq!(verified.verdict, replay::Verdict::Same);
    assert!(verified.counts.recommendations > 0);
    let spoiled = without_the_acceptance(records, &Layout::new(header.shape));
    let verified = replay::verify(&header, spoiled.into_iter()).unwrap();
    let replay::Verdict::Differs(found) = verified.verdict else { panic!("an answer was taken out of the record") };
    assert!(found.to_string().contains("REC.STATUS"), "{found}");
}
