//! A run is recorded, and done again from its journal.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a scenario that cannot go on has failed")]

use std::path::Path;

use runtime::config::{Loaded, Mode, load, parse};
use runtime::journal::{Ending, Header, Journal, Kind, Layout, Reader, Record, Settings};
use runtime::replay::{ReplayError, Verdict, What, verify, what_if};
use safety::State;
use tests::{Bench, repo};

fn loaded(plant: &str) -> Loaded {
    load(&repo(&format!("deploy/plants/{plant}.toml"))).unwrap()
}

/// A run of the plant in virtual time with `scenario`, as its journal tells it.
async fn recorded(loaded: &Loaded, seed: u64, scenario: impl AsyncFnOnce(&Bench)) -> (Header, Vec<Record>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.journal");
    let settings = Settings { waits: true, ..Settings::default() };
    let journal = Journal::create(&file, &Header::of(loaded, seed).unwrap(), settings).unwrap();
    let bench = Bench::start_with(("cstr", seed), loaded.plant.clone(), journal.tape()).await.unwrap();
    scenario(&bench).await;
    let cycles = bench.telemetry.cycles();
    drop(bench);
    let status = journal.close(cycles);
    assert_eq!((status.lost(), status.stopped()), (0, None));
    let mut reader = Reader::open(&file).unwrap();
    let records: Vec<Record> = reader.by_ref().collect();
    assert_eq!(reader.ending(), Some(Ending::InOrder));
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
