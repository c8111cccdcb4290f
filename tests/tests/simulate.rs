//! Simulations: the same seed is the same run, bit for bit; and whatever is thrown at the loop, no output is invalid.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a scenario that cannot go on has failed")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actors::kernel::Unwitnessed;
use rig::RigConfig;
use runtime::config::{load, parse};
use runtime::journal::{Header, Journal, Reader, Settings};
use runtime::replay::{Verdict, verify};
use runtime::simulate::{Outcome, SimulateError, Simulation, stand_in, sweep};
use tests::repo;

const MINUTE: Duration = Duration::from_secs(60);

fn simulation(plant: &str, duration: Duration, upsets: bool) -> Simulation {
    let file = load(&repo(&format!("deploy/plants/{plant}.toml"))).unwrap().plant;
    let rig = stand_in(&file).unwrap();
    Simulation::new(file, rig, duration, upsets).unwrap()
}

fn run(simulation: &Simulation, seed: u64) -> Outcome {
    simulation.run(seed, Arc::new(Unwitnessed), &mut |_| {}).unwrap()
}

#[test]
fn the_same_seed_is_the_same_run_and_another_seed_another() {
    let simulation = simulation("cstr-1hz", 60 * MINUTE, false);
    let first = run(&simulation, 7);
    assert_eq!(run(&simulation, 7), first);
    assert_ne!(run(&simulation, 8).hash, first.hash, "the negative control");
    assert!(first.states_pct["Active"] > 95.0 && first.is_valid() && first.cost < first.cost_hold, "{first:?}");
}

/// The hash depends on every bit of every input and output, and so on the model, the rig, the tuning and the scripts of
/// the operator: who changes one of them on purpose records it anew. What must not change it is the profile, the machine's
/// load and the number of its cores. The C library's `exp` and `ln` take part: this is the one of glibc 2.28 or later.
#[test]
fn the_run_that_was_recorded_comes_out_again() {
    let plain = run(&simulation("cstr", 60 * MINUTE, false), 7);
    let upset = run(&simulation("cstr", 60 * MINUTE, true), 7);
    assert_eq!([plain.hash.as_str(), upset.hash.as_str()], RECORDED);
}

/// `outrigger simulate deploy/plants/cstr.toml --hours 1 --seed 7`, without and with `--upsets`.
const RECORDED: [&str; 2] = [
    "ab0722b608342cfe862fc704e97984f88d2fa214cd9c8f18ea6162a3d4df9ffb",
    "2f0c16d494a933a0ad49875180aa7954862a583e6e24e9debfb8cc1242d3eb14",
];

#[test]
fn ten_minutes_of_upsets_over_ten_seeds_leave_no_invalid_output_and_each_is_found_again() {
    let simulation = simulation("cstr-1hz", 10 * MINUTE, true);
    let mut swept = Vec::new();
    sweep(&simulation, 100, 10, |outcome| swept.push(outcome)).unwrap();
    assert_eq!(swept.iter().map(|o| o.seed).collect::<Vec<_>>(), (100..110).collect::<Vec<_>>());
    for outcome in &swept {
        assert!(outcome.is_valid() && outcome.ended.is_none(), "{outcome:?}");
    }
    let count = |of: fn(&Outcome) -> u32| swept.iter().map(of).sum::<u32>();
    let crashes = count(|o| o.upsets.unwrap().crashes);
    assert!(crashes >= 4, "{crashes} crashes in 100 min, 10 are to be expected");
    assert_eq!(swept.iter().map(|o| o.restarts).sum::<u64>(), u64::from(crashes));
    assert!(count(|o| o.operator.engagements) > 10, "somewhere the loop let go and was closed again");
    assert_eq!(run(&simulation, 104), swept[4], "alone as in the sweep");
}

#[test]
fn a_simulated_hour_with_crashes_is_replayed_from_its_journal_bit_for_bit() {
    let loaded = load(&repo("deploy/plants/cstr.toml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.journal");
    let settings = Settings { waits: true, ..Settings::default() };
    let journal = Journal::create(&file, &Header::of(&loaded, 7).unwrap(), settings).unwrap();
    let simulation = simulation("cstr", 60 * MINUTE, true);
    let outcome = simulation.run(7, journal.tape(), &mut |_| {}).unwrap();
    assert_eq!(outcome.hash, run(&simulation, 7).hash, "to be recorded changes nothing");
    assert_eq!(journal.close(outcome.cycles).stopped(), None);
    let mut reader = Reader::open(&file).unwrap();
    let header = reader.header().clone();
    let verified = verify(&header, reader.by_ref()).unwrap();
    assert_eq!(verified.verdict, Verdict::Same);
    assert!(outcome.restarts > 0 && verified.counts.moves == outcome.moves, "{:?} {outcome:?}", verified.counts);
}

#[test]
fn without_the_last_seconds_of_a_run_its_hash_is_another() {
    let whole = run(&simulation("quadtank", 10 * MINUTE, false), 1);
    let shorter = run(&simulation("quadtank", 10 * MINUTE - Duration::from_secs(1), false), 1);
    assert_ne!(whole.hash, shorter.hash);
}

#[test]
fn every_shipped_plant_file_is_simulated_beside_its_own_model_and_beside_its_rig() {
    for plant in ["cstr", "cstr-1hz", "cstr2", "quadtank"] {
        let own = simulation(plant, 30 * MINUTE, false);
        let config = RigConfig::load(&repo(&format!("hil/plants/{plant}.toml"))).unwrap();
        let rigs = Simulation::new(own.plant.clone(), config, own.duration, false).unwrap();
        for simulation in [own, rigs] {
            let outcome = run(&simulation, 3);
            assert!(outcome.is_valid() && outcome.operator.sheds == 0, "{plant}: {outcome:?}");
            assert_eq!(outcome.operator.engagements, 1, "{plant}");
            assert!(outcome.max_limit_violation_pct <= 0.0, "{plant}: {outcome:?}");
        }
    }
}

#[test]
fn a_rig_of_another_plant_is_refused_by_name() {
    let plant = load(&repo("deploy/plants/cstr.toml")).unwrap().plant;
    for (file, says) in [("quadtank", "MVs are V1, V2"), ("cstr-1hz", "period is 1s")] {
        let rig = RigConfig::load(&repo(&format!("hil/plants/{file}.toml"))).unwrap();
        let refused = Simulation::new(plant.clone(), rig, MINUTE, false);
        assert!(
            matches!(&refused, Err(e @ SimulateError::Misfit { .. }) if e.to_string().contains(says)),
            "{refused:?}"
        );
    }
}

#[test]
fn an_operator_who_takes_what_is_recommended_brings_the_plant_to_its_target_and_the_run_is_reproducible() {
    let text = std::fs::read_to_string(repo("deploy/plants/cstr.toml")).unwrap();
    let text = text.replace("mode = \"closed-loop\"", "mode = \"advisory\"");
    let file = parse(Path::new("advisory.toml"), &text).unwrap();
    let rig = stand_in(&file).unwrap();
    let simulation = Simulation::new(file, rig, 120 * MINUTE, false).unwrap();
    let first = run(&simulation, 7);
    assert_eq!(run(&simulation, 7), first);
    assert_ne!(run(&simulation, 8).hash, first.hash, "the negative control");
    let advice = first.advice.as_ref().unwrap();
    assert!(advice.accepted > 5 && advice.accepted == u64::from(first.operator.accepted), "{first:?}");
    assert_eq!((first.moves, first.writes_while_not_on, advice.would_have_violated), (0, 0, 0));
    assert!(first.is_valid() && first.cost < first.cost_hold, "{first:?}");
}
