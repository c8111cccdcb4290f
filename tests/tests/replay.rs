//! A run is recorded, and done again from its journal.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a scenario that cannot go on has failed"
)]

use std::path::Path;

use runtime::config::{Loaded, Mode, load, parse};
use runtime::journal::{Ending, Header, Journal, Kind, Layout, Reader, Record, Settings};
use runtime::replay::command::{Outcome, verify_file};
use runtime::replay::{Missing, ReplayError, Verdict, What, verify, what_if};
use safety::State;
use tests::{Bench, repo};

fn loaded(plant: &str) -> Loaded {
    load(&repo(&format!("deploy/plants/{plant}.toml"))).unwrap()
}

/// A run of the plant in virtual time with `scenario`, as its journal tells it.
async fn recorded(loaded: &Loaded, seed: u64, scenario: impl AsyncFnOnce(&Bench)) -> (Header, Vec<Record>) {
    let folder = tempfile::tempdir().unwrap();
    recorded_in(folder.path(), loaded, seed, scenario).await
}

/// As [`recorded`], with the file left in `folder`.
async fn recorded_in(
    folder: &Path,
    loaded: &Loaded,
    seed: u64,
    scenario: impl AsyncFnOnce(&Bench),
) -> (Header, Vec<Record>) {
    let file = folder.join("run.journal");
    let settings = Settings { waits: true, ..Settings::default() };
    let journal = Journal::create(&file, &Header::of(loaded, seed).unwrap(), settings).unwrap();
    let bench = Bench::start_with(("cstr", seed), loaded.plant.clone(), journal.tape()).await.unwrap();
    scenario(&bench).await;
    let (cycles, why) = (bench.telemetry.cycles(), bench.ended().unwrap_or_default());
    drop(bench);
    let status = journal.close_as(Some((cycles, &why)));
    assert_eq!((status.lost(), status.stopped()), (0, None));
    let mut reader = Reader::open(&file).unwrap();
    let records: Vec<Record> = reader.by_ref().collect();
    assert_eq!(reader.ending(), Some(if why.is_empty() { Ending::InOrder } else { Ending::Ended { why } }));
    assert_eq!(reader.bytes(), status.bytes());
    (reader.header().clone(), records)
}

/// Engages, crashes every stage, moves a set-point, loses a measurement and the permit.
async fn eventful(bench: &Bench) {
    bench.engage().await;
    for stage in ["sensor", "estimator", "model", "mpc", "selector", "actuator"] {
        bench.crashes.inject(stage, 1);
        bench.periods(8).await;
    }
    bench.command("sp CV1 0.9");
    bench.periods(10).await;
    bench.command("quality CV1 bad");
    bench.periods(3).await;
    bench.command("quality CV1 good");
    bench.periods(10).await;
    bench.command("permit off");
    bench.periods(3).await;
    assert_eq!(bench.state(), State::Shed);
}

fn quietly_panicking() {
    std::panic::set_hook(Box::new(|info| {
        if !info.payload_as_str().is_some_and(|what| what.contains("injected")) {
            eprintln!("{info}");
        }
    }));
}

fn verdict(header: &Header, records: &[Record]) -> Verdict {
    verify(header, records.iter().cloned()).unwrap().verdict
}

#[tokio::test(start_paused = true)]
async fn a_run_with_crashes_and_a_shed_is_done_again_bit_for_bit() {
    quietly_panicking();
    let (header, records) = recorded(&loaded("cstr"), 11, eventful).await;
    let verified = verify(&header, records.iter().cloned()).unwrap();
    assert_eq!(verified.verdict, Verdict::Same);
    let counts = verified.counts;
    assert_eq!((counts.crashes, counts.restarts), (6, 6));
    assert!(counts.cycles > 80 && counts.solves > 60 && counts.views > 800 && counts.moves > 40, "{counts:?}");
}

/// How the program answers for a file of these bytes: the outcome, the number of cells compared, and the whole as text.
fn answer(folder: &Path, bytes: &[u8]) -> (Outcome, u64, String) {
    let file = folder.join("other.journal");
    std::fs::write(&file, bytes).unwrap();
    let answered = verify_file(&file).unwrap();
    let json = serde_json::to_value(&answered).unwrap();
    (answered.outcome, json["counts"]["cells"].as_u64().unwrap(), answered.to_string())
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_not_there_to_its_end_is_never_called_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let ran = loaded("cstr");
    let (header, records) = recorded_in(folder.path(), &ran, 15, async |b: &Bench| b.periods(3).await).await;
    let path = folder.path().join("run.journal");
    let whole = std::fs::read(&path).unwrap();
    let mut reader = Reader::open(&path).unwrap();
    let mut ends = vec![reader.bytes()];
    while reader.next().is_some() {
        ends.push(reader.bytes());
    }
    let ends: Vec<usize> = ends.into_iter().map(|end| usize::try_from(end).unwrap()).collect();
    let head = ends[0];
    let (outcome, cells, said) = answer(folder.path(), &whole);
    assert_eq!((outcome, said.contains("SAME")), (Outcome::Same, true), "{said}");
    assert!(cells > 1000, "{said}");
    let incomplete = |bytes: &[u8], what: &str| {
        let (outcome, compared, said) = answer(folder.path(), bytes);
        assert_eq!(outcome, Outcome::Incomplete, "{what}: {said}");
        assert!(compared <= cells && said.contains("INCOMPLETE") && !said.contains("SAME"), "{what}: {said}");
    };
    incomplete(&whole[..head], "the header alone");
    incomplete(&[&whole[..head], &[0; 8]].concat(), "zeros behind the header");
    for end in ends.iter().filter(|end| **end < whole.len()).step_by(7) {
        incomplete(&whole[..*end], "cut between two blocks");
        incomplete(&whole[..end + 5], "cut within a block");
        let mut spoilt = whole.clone();
        spoilt[end + 2] ^= 0x20;
        incomplete(&spoilt, "a length that points beyond the end");
        spoilt.clone_from(&whole);
        spoilt[end + 9] ^= 1;
        incomplete(&spoilt, "a flipped bit");
    }
    // A block may end within a step: what the step put out then is not there, and that is no difference.
    for cut in 0..records.len() {
        assert_eq!(verdict(&header, &records[..cut]), Verdict::Incomplete(Missing::LastWord), "cut at {cut}");
    }
}

/// A solver that answers twice between two scans: the first answer is overwritten, and nobody can say what it was.
#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_took_makes_a_run_incomplete_and_not_another() {
    let (header, mut records) = recorded(&loaded("cstr"), 16, async |bench: &Bench| bench.engage().await).await;
    assert_eq!(verdict(&header, &records), Verdict::Same);
    let answers = records.iter_mut().filter_map(|r| match r {
        Record::Row(Kind::Solved, row) => Some(row),
        _ => None,
    });
    // From the sixth on each has a number more, the fifth cell of its row.
    answers.skip(5).for_each(|row| row[4] += 1);
    let found = verdict(&header, &records);
    assert!(matches!(found, Verdict::Incomplete(Missing::Answer { expected: 6, .. })), "{found:?}");
}

/// Crashes of a stage drawn by `seed`, one or two in a row, every few periods, the interlock's included; after a trip the
/// operator comes back.
async fn crashing(bench: &Bench, seed: u64) {
    let mut dice = rig::Random::seeded(seed);
    bench.engage().await;
    for _ in 0..25 {
        let stages = ["sensor", "estimator", "model", "mpc", "selector", "actuator", "interlock"];
        let stage = stages[dice.below(stages.len())];
        bench.crashes.inject(stage, 1 + u32::try_from(dice.below(2)).unwrap());
        bench.periods(9 + u32::try_from(dice.below(4)).unwrap()).await;
        if bench.state() == State::Tripped {
            // Each may be refused: the interlock may crash again in the middle of it.
            for (line, periods) in [("rearm", 0), ("mode off", 2), ("mode warm", 4), ("mode on", 2), ("engage", 4)] {
                let _ = bench.rig.lock().command(line);
                bench.periods(periods).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_crashes_the_run_comes_out_again() {
    quietly_panicking();
    let mut crashes = 0;
    for seed in 0..24 {
        let (header, records) =
            recorded(&loaded("cstr"), seed, async |bench: &Bench| crashing(bench, seed).await).await;
        let verified = verify(&header, records.into_iter()).unwrap();
        assert_eq!(verified.verdict, Verdict::Same, "seed {seed}");
        crashes += verified.counts.crashes;
    }
    // In some a stage is given up, and the run ends early.
    assert!(crashes > 100, "{crashes}");
}

/// The first image of a run in its steady state, told with another first measurement.
fn with_one_measurement_changed(header: &Header, records: &[Record]) -> Vec<Record> {
    let layout = Layout::new(header.shape);
    let value = (0..).find(|cell| layout.field(Kind::Image, *cell).0 == "sample 0 value").unwrap();
    let mut records = records.to_vec();
    let image = records.iter_mut().filter_map(|r| match r {
        Record::Beat { beat, image, .. } if beat.cycle == 30 && beat.scan == 0 => Some(image),
        _ => None,
    });
    // The lowest bit but twenty of a number of fifty-two.
    image.into_iter().next().unwrap()[value] ^= 1 << 20;
    records
}

#[tokio::test(start_paused = true)]
async fn a_changed_input_and_a_changed_key_are_found() {
    quietly_panicking();
    let (header, records) = recorded(&loaded("cstr"), 11, eventful).await;
    let Verdict::Differs(found) = verdict(&header, &with_one_measurement_changed(&header, &records)) else {
        panic!("a measurement was changed")
    };
    assert_eq!(found.cycle, 30, "{found}");
    assert!(matches!(&found.what, What::Field { expected, got, .. } if expected != got), "{found}");
    let key = "move_weight = ";
    let at = header.plant.find(key).unwrap() + key.len();
    let mut plant = header.plant.clone();
    plant.insert(at, '1');
    let other = Header { plant, ..header.clone() };
    let Verdict::Differs(found) = verdict(&other, &records) else { panic!("a weight was changed") };
    assert!(matches!(&found.what, What::Field { kind: Kind::Solved, .. }), "{found}");
    // The recommender's last step would not be missed: it puts nothing out.
    let interlock = header.stages.iter().position(|stage| stage == "interlock").unwrap();
    let steps = |r: &Record| matches!(r, Record::Act(actors::kernel::Act::Step { child, .. }) if usize::from(*child) == interlock);
    let place = records.iter().rposition(steps).unwrap();
    let mut shorter = records.clone();
    shorter.remove(place);
    assert_ne!(verdict(&header, &shorter), Verdict::Same, "the negative control: a step was left out");
    assert_eq!(verdict(&header, &records), Verdict::Same);
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_is_given_up_and_every_mode_come_out_again() {
    quietly_panicking();
    for mode in [Mode::Shadow, Mode::Advisory, Mode::ClosedLoop] {
        let mut loaded = loaded("cstr");
        loaded.plant.mode = mode;
        let (header, records) = recorded(&loaded, 12, async |bench: &Bench| {
            for (line, periods) in [("mode off", 2), ("mode warm", 4), ("mode advisory", 0), ("sp CV1 0.9", 10)] {
                bench.command(line);
                bench.periods(periods).await;
            }
            if mode == Mode::ClosedLoop {
                bench.engage().await;
            }
            bench.crashes.inject("estimator", 1000);
            bench.periods(60).await;
            assert!(bench.ended().is_some());
        })
        .await;
        let verified = verify(&header, records.iter().cloned()).unwrap();
        assert_eq!(verified.verdict, Verdict::Same, "{mode:?}");
        let counts = verified.counts;
        assert_eq!(counts.recommendations > 0, mode != Mode::Shadow, "{mode:?}: {counts:?}");
        assert_eq!(counts.moves > 0, mode == Mode::ClosedLoop, "{mode:?}: {counts:?}");
        assert_eq!((counts.crashes, counts.restarts), (6, 5), "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_configuration_is_asked_on_the_same_inputs() {
    let ran = loaded("cstr");
    let (header, records) = recorded(&ran, 13, async |bench: &Bench| {
        bench.engage().await;
        bench.command("sp CV1 0.9");
        bench.periods(30).await;
    })
    .await;
    let same = what_if(&header, records.iter().cloned(), ran.plant.clone()).unwrap();
    let proposing = |c: &runtime::replay::Compared| c.cycles.iter().filter(|c| c.other.is_some()).count();
    assert_eq!((same.differing(), proposing(&same) > 35), (0, true), "the same configuration proposes the same");
    let slower = ran.text.replace("move_weight = ", "move_weight = 1");
    let slower = parse(Path::new("slower.toml"), &slower).unwrap();
    let other = what_if(&header, records.iter().cloned(), slower).unwrap();
    assert!(other.differing() > 30, "{} cycles differ", other.differing());
    let (largest, mean) = other.apart(0).unwrap();
    assert!(largest > 0.0 && mean > 0.0 && mean <= largest);
    let folder = tempfile::tempdir().unwrap();
    let svg = folder.path().join("both.svg");
    runtime::replay::draw(&other, "cstr", &svg).unwrap();
    let drawn = std::fs::read_to_string(svg).unwrap();
    assert!(
        drawn.starts_with("<svg") && drawn.contains("the other proposes") && drawn.matches("<polyline").count() >= 8
    );
    for plant in ["cstr2", "quadtank"] {
        let refused = what_if(&header, records.iter().cloned(), loaded(plant).plant);
        assert!(matches!(refused, Err(ReplayError::Misfit { .. })), "{plant}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_shadow_run_shows_what_a_proposer_would_have_asked() {
    let mut watched = loaded("cstr");
    watched.plant.mode = Mode::Shadow;
    let (header, records) = recorded(&watched, 14, async |bench: &Bench| bench.periods(20).await).await;
    let asked = what_if(&header, records.into_iter(), loaded("cstr").plant).unwrap();
    assert!(asked.cycles.iter().all(|c| c.recorded.is_none()));
    assert!(asked.cycles.iter().filter(|c| c.other.is_some()).count() > 10);
}
