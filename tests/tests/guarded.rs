//! The loop with a safety filter behind its controller: it keeps its limits, and a run with it comes out again bit for bit.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a scenario that cannot go on has failed")]

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use actors::kernel::Unwitnessed;
use runtime::config::{Loaded, load};
use runtime::journal::{Header, Journal, Reader, Settings};
use runtime::replay::{Verdict, verify};
use runtime::simulate::{Outcome, Simulation, stand_in};
use tests::repo;

const MINUTE: Duration = Duration::from_secs(60);

/// The shipped cstr2 with a filter over all proposers, and a contract.
fn guarded(folder: &std::path::Path, guards: &str) -> Loaded {
    let plain = fs::read_to_string(repo("deploy/plants/cstr2.toml")).unwrap();
    let sections = format!(
        "[filter]\nguards = \"{guards}\"\nhorizon = 20\ntail = 10\nsqp_iterations = 3\nrest_max = 0.002\nslack_price = 1000.0\n\n\
         [contract]\nvoid_after = 3\nholds_after = 10\nstate_residual_max = {{ CA = 0.1, T = 10.0 }}\n\n[[mv]]"
    );
    let safe = "safe_low = 295.0\nsafe_high = 350.0\nsafe_margin = 0.5\nsafe_tolerance = 0.1\nspan = 10.0";
    let text = plain.replacen("[[mv]]", &sections, 1).replacen("span = 10.0", safe, 1);
    let file = folder.join("cstr2.toml");
    fs::write(&file, text).unwrap();
    load(&file).unwrap_or_else(|e| panic!("{e}"))
}

fn simulation(loaded: &Loaded, upsets: bool) -> Simulation {
    let rig = stand_in(&loaded.plant).unwrap();
    Simulation::new(loaded.plant.clone(), rig, 60 * MINUTE, upsets).unwrap()
}

fn run(simulation: &Simulation, seed: u64) -> Outcome {
    simulation.run(seed, Arc::new(Unwitnessed), &mut |_| {}).unwrap()
}

#[test]
fn a_guarded_hour_is_valid_and_is_not_the_unguarded_one() {
    let folder = tempfile::tempdir().unwrap();
    let all = run(&simulation(&guarded(folder.path(), "all"), false), 3);
    assert!(all.is_valid() && all.ended.is_none() && all.operator.sheds == 0, "{all:?}");
    assert!(all.states_pct["Active"] > 90.0 && all.max_limit_violation_pct <= 0.0, "{all:?}");
    let untrusted = run(&simulation(&guarded(folder.path(), "untrusted"), false), 3);
    let plain = run(&simulation(&load(&repo("deploy/plants/cstr2.toml")).unwrap(), false), 3);
    assert_eq!(untrusted.hash, plain.hash, "a trusted controller's plans are untouched");
    assert_ne!(all.hash, plain.hash, "the negative control");
}

#[test]
fn a_guarded_hour_with_crashes_is_replayed_from_its_journal_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let loaded = guarded(folder.path(), "all");
    let file = folder.path().join("run.journal");
    let settings = Settings { waits: true, ..Settings::default() };
    let journal = Journal::create(&file, &Header::of(&loaded, 7).unwrap(), settings).unwrap();
    let outcome = simulation(&loaded, true).run(7, journal.tape(), &mut |_| {}).unwrap();
    assert_eq!(journal.close(outcome.cycles).stopped(), None);
    let mut reader = Reader::open(&file).unwrap();
    let header = reader.header().clone();
    let verified = verify(&header, reader.by_ref()).unwrap();
    assert_eq!(verified.verdict, Verdict::Same);
    assert!(outcome.restarts > 0 && verified.counts.moves == outcome.moves, "{:?} {outcome:?}", verified.counts);
}
