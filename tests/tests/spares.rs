//! Three transmitters of one variable, from the rig's instruments to the set-points, in virtual time.
//!
//! CV1 of `cstr` (the product's concentration, with a set-point) has two spares with a tolerance of 0.03 mol/L; the noise is
//! 0.005 mol/L. The controls are the same loop and the same fault without the spares, or without the row of check 8.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a scenario that cannot go on has failed")]

use std::sync::Arc;

use actors::kernel::Unwitnessed;
use actors::tape::Tape;
use runtime::config::{Loaded, PlantFile, parse};
use runtime::journal::{Header, Journal, Reader, Settings};
use runtime::replay::{Verdict, verify};
use runtime::simulate::{LinkFaults, Simulation, stand_in};
use safety::{Cause, Effect, Event, Fault, Latch, State};
use signals::TagId;
use tests::{Bench, edited_rig, repo, triplicated, with_key};

/// `SHED_REASON` of check 8 on CV1.
const CHECK_8_ON_CV1: u16 = 801;

fn shipped(folder: &str) -> String {
    std::fs::read_to_string(repo(&format!("{folder}/plants/cstr.toml"))).unwrap()
}

/// The plant file with three transmitters of CV1, and what `more` adds to it.
fn three(more: &str) -> PlantFile {
    let (plant, _) = triplicated(shipped("deploy"), shipped("hil"), &[(1, "0.03")]);
    parse(&repo("deploy/plants/cstr.toml"), &(plant + more)).unwrap()
}

/// The shipped plant file, which knows of one transmitter of each variable.
fn one() -> PlantFile {
    parse(&repo("deploy/plants/cstr.toml"), &shipped("deploy")).unwrap()
}

/// A loop in closed loop beside a rig whose CV1 has three transmitters.
async fn engaged(seed: u64, plant: PlantFile) -> Bench {
    let rig = edited_rig("cstr", seed, |rig| triplicated(shipped("deploy"), rig, &[(1, "0.03")]).1).unwrap();
    let bench = Bench::start_on(rig, plant, (Arc::new(Unwitnessed) as Arc<dyn Tape>, Latch::default()), None);
    let bench = bench.await.unwrap();
    bench.engage().await;
    assert_eq!(bench.state(), State::Active);
    bench
}

/// The concentration as it is, without noise, on average over the next periods.
async fn truth(bench: &Bench, periods: u32) -> f64 {
    let mut sum = 0.0;
    for _ in 0..periods {
        bench.periods(1).await;
        sum += bench.rig.lock().truth()[0];
    }
    sum / f64::from(periods)
}

/// Which transmitters of CV1 check 8 has warned of, with the fault of each.
fn warned(bench: &mut Bench) -> Vec<(u8, Fault)> {
    let of = |event: &Event| match event {
        Event::Raised { cause: Cause::Transmitter { tag, transmitter, fault }, effect: Effect::Warn } => {
            tag.to_string().starts_with("CV1 ").then_some((*transmitter, *fault))
        }
        _ => None,
    };
    bench.events().iter().filter_map(of).collect()
}

fn shed_reason(bench: &Bench) -> u16 {
    bench.rig.lock().apc().shed_reason.value
}

/// Whether the loop ever left closed loop or held.
fn was_disturbed(bench: &mut Bench) -> bool {
    let left = |event: &Event| matches!(event, Event::Changed { from: State::Active, .. });
    bench.events().iter().any(left)
}

#[tokio::test(start_paused = true)]
async fn one_stuck_transmitter_of_three_is_outvoted_and_alone_it_is_believed() {
    for number in ["CV1", "CV1.B", "CV1.C"] {
        let mut bench = engaged(11, three("")).await;
        assert!(warned(&mut bench).is_empty(), "nothing is wrong yet");
        bench.command(&format!("pv {number} frozen"));
        bench.command("sp CV1 0.9");
        bench.periods(60).await;
        let reached = truth(&bench, 40).await;
        assert!((reached - 0.9).abs() < 0.005, "{number} is stuck: {reached} mol/L");
        assert_eq!(bench.state(), State::Active);
        assert!(!was_disturbed(&mut bench));
        let told = warned(&mut bench);
        let its = match number {
            "CV1.B" => 2,
            "CV1.C" => 3,
            _ => 1,
        };
        assert!(told.iter().all(|(n, fault)| *n == its && matches!(fault, Fault::Deviates { .. })), "{told:?}");
        assert!(!told.is_empty() && shed_reason(&bench) == 0, "a warning");
    }
    // The negative control: the loop that knows of the own transmitter alone follows it into nowhere.
    let bench = engaged(11, one()).await;
    bench.command("pv CV1 frozen");
    bench.command("sp CV1 0.9");
    bench.periods(60).await;
    let reached = truth(&bench, 40).await;
    assert!((reached - 0.9).abs() > 0.05, "alone: {reached} mol/L");
}

#[tokio::test(start_paused = true)]
async fn a_transmitter_that_jumps_dies_or_says_no_number_moves_nothing_and_alone_it_costs_the_loop() {
    for fault in ["pv CV1 0.75", "quality CV1 bad", "pv CV1 nan"] {
        let mut bench = engaged(12, three("")).await;
        let before = truth(&bench, 20).await;
        bench.command(fault);
        let after = truth(&bench, 40).await;
        assert!((after - before).abs() < 0.003, "{fault}: from {before} to {after} mol/L");
        assert!(!was_disturbed(&mut bench) && !warned(&mut bench).is_empty(), "{fault}");
        // The negative control: believed where it looks well, else the end of closed loop.
        let alone = engaged(12, one()).await;
        alone.command(fault);
        let after = truth(&alone, 40).await;
        let moved = (after - before).abs() > 0.02;
        assert!(if fault == "pv CV1 0.75" { moved } else { alone.state() == State::Shed }, "{fault}: {after} mol/L");
    }
}

#[tokio::test(start_paused = true)]
async fn two_wrong_transmitters_of_three_have_the_configured_effect_and_check_8_is_the_first_out() {
    let cell = |effect: &str| {
        format!("\n[[cell]]\ncause = \"two_disagree\"\non = \"CV1\"\neffect = \"{effect}\"\ndelay_s = 0.0\n")
    };
    let cases = [(String::new(), State::Shed), (cell("shed"), State::Shed), (cell("trip"), State::Tripped)];
    for (more, state) in cases {
        let bench = engaged(13, three(&more)).await;
        bench.command("pv CV1 0.6");
        bench.command("pv CV1.B 1.1");
        bench.periods(12).await;
        assert_eq!((bench.state(), shed_reason(&bench)), (state, CHECK_8_ON_CV1), "{more}");
    }
    // The negative control: with the row at a warning check 8 ends nothing; it is the want of a measurement that does,
    // some periods later.
    let mut bench = engaged(13, three(&cell("warn"))).await;
    bench.command("pv CV1 0.6");
    bench.command("pv CV1.B 1.1");
    bench.periods(4).await;
    assert_eq!((bench.state(), was_disturbed(&mut bench)), (State::Active, false));
    bench.periods(20).await;
    assert_ne!(shed_reason(&bench), CHECK_8_ON_CV1);
}

#[tokio::test(start_paused = true)]
async fn the_last_transmitter_is_used_or_not_as_the_file_says() {
    let trip = "\n[[cell]]\ncause = \"one_left\"\non = \"CV1\"\neffect = \"trip\"\n";
    for (more, state, reason) in [("", State::Active, 0), (trip, State::Tripped, CHECK_8_ON_CV1)] {
        let bench = engaged(14, three(more)).await;
        bench.command("quality CV1 bad");
        bench.command("quality CV1.C bad");
        bench.periods(6).await;
        assert_eq!((bench.state(), shed_reason(&bench)), (state, reason), "{more}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_estimator_is_given_the_vote_and_not_the_own_transmitter() {
    let bench = engaged(15, three("")).await;
    bench.command("pv CV1 1.2");
    bench.periods(2).await;
    let screened = bench.board.screened[0].read().unwrap();
    let said = |n| bench.rig.lock().view().measurement(TagId(0), n).unwrap().value;
    assert!((said(0) - 1.2).abs() < 1e-12, "the own transmitter is wrong");
    assert!((screened.usable().unwrap() - said(1)).abs() < 0.03, "{screened:?}");
}

/// The shipped plant file, with check 20 of CV2 told at once: a gap is seen until the next sample and no longer.
fn at_once() -> PlantFile {
    let cell = "\n[[cell]]\ncause = \"sequence\"\non = \"CV2\"\ndelay_s = 0.0\n";
    parse(&repo("deploy/plants/cstr.toml"), &(shipped("deploy") + cell)).unwrap()
}

/// Lost samples can be told where each has a number: under virtual time.
#[tokio::test(start_paused = true)]
async fn lost_samples_are_told_of_their_own_transmitter_and_only_while_check_20_has_its_number() {
    for gap_max in [Some(3), None] {
        let rig = edited_rig("cstr", 16, |rig| rig).unwrap();
        let no_tape = (Arc::new(Unwitnessed) as Arc<dyn Tape>, Latch::default());
        let mut bench = Bench::start_on(rig, at_once(), no_tape, gap_max).await.unwrap();
        bench.engage().await;
        bench.link.put(LinkFaults { lost_tag: Some(TagId(1)), ..LinkFaults::default() });
        tokio::time::sleep(std::time::Duration::from_secs(9)).await;
        bench.link.put(LinkFaults::default());
        bench.periods(2).await;
        let of = |event: &Event| match event {
            Event::Raised { cause: Cause::Measurement { tag, fault: Fault::Gap { missed } }, effect } => {
                Some((tag.to_string(), *missed, *effect))
            }
            _ => None,
        };
        let told: Vec<_> = bench.events().iter().filter_map(of).collect();
        match gap_max {
            Some(_) => {
                assert!(matches!(&told[..], [(tag, 8..=11, Effect::Warn)] if tag.starts_with("CV2 ")), "{told:?}")
            }
            None => assert!(told.is_empty(), "the negative control: {told:?}"),
        }
        assert_eq!(bench.state(), State::Active);
    }
}

/// The simulation of a loop with spares is recorded with all its transmitters and done again.
#[test]
fn a_simulation_with_three_transmitters_is_found_again_in_its_journal() {
    let (text, _) = triplicated(shipped("deploy"), shipped("hil"), &[(1, "0.02"), (2, "1.0")]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plant.toml");
    std::fs::write(&path, &text).unwrap();
    let loaded: Loaded = runtime::config::load(&path).unwrap();
    let rig = stand_in(&loaded.plant).unwrap();
    assert_eq!(rig.spared(), loaded.plant.spared(), "the stand-in has what the plant file asks for");
    let minutes = std::time::Duration::from_secs(20 * 60);
    let simulation = Simulation::new(loaded.plant.clone(), rig, minutes, false).unwrap();
    let file = folder.path().join("run.journal");
    let settings = Settings { waits: true, ..Settings::default() };
    let journal = Journal::create(&file, &Header::of(&loaded, 7).unwrap(), settings).unwrap();
    let outcome = simulation.run(7, journal.tape(), &mut |_| {}).unwrap();
    assert_eq!(journal.close(outcome.cycles).stopped(), None);
    let mut reader = Reader::open(&file).unwrap();
    let header = reader.header().clone();
    assert_eq!(header.shape.spared, loaded.plant.spared());
    let verified = verify(&header, reader.by_ref()).unwrap();
    assert_eq!(verified.verdict, Verdict::Same);
    assert!(verified.counts.moves == outcome.moves && outcome.is_valid(), "{outcome:?}");
}

#[test]
fn a_rig_without_the_spares_that_a_plant_file_asks_for_is_refused_by_name() {
    let plant = three("");
    let minute = std::time::Duration::from_secs(60);
    let rig = |edit: fn(String) -> String| edited_rig("cstr", 1, edit).unwrap().lock().config().clone();
    let refused = Simulation::new(plant.clone(), rig(|rig| rig), minute, false).unwrap_err().to_string();
    assert_eq!(refused, "the rig's spare transmitters are of none, the plant file's AI101");
    let more = |rig: String| {
        let cv1 = with_key(&rig, "name = \"CB\"", "transmitters = 3");
        with_key(&cv1, "name = \"TK\"", "transmitters = 3")
    };
    assert!(Simulation::new(plant, rig(more), minute, false).is_ok(), "a rig may have more");
}
