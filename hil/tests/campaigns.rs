//! The campaigns as they ship, and what a broken controller comes to in one.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a campaign that cannot be run has failed"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use actors::kernel::Clock;
use hil::campaign::{Count, Options, Outcome, load, run};
use hil::certify::{CertifyError, certificate};
use hil::faults::{ControllerFault, Fault, KINDS, Timed};
use hil::scenario::{ClockKind, Foreign, Scenario, Wire};
use runtime::commission::Dossier;
use runtime::commission::hashes::Binding;
use runtime::commission::rig_key::{RigKey, public};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("campaigns").join(name)
}

fn scenarios(campaign: &str, filter: &str) -> Vec<Scenario> {
    load(&[folder(campaign)], filter).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn every_shipped_scenario_is_sound_with_its_guard_and_without() {
    for campaign in ["cstr", "cstr2", "quadtank", "cstr-wall", "plc"] {
        for scenario in scenarios(campaign, "") {
            for off in [None, Some(&scenario.negative)] {
                hil::bed::fit(&scenario, off).unwrap_or_else(|e| panic!("{}: {e}", scenario.file.display()));
            }
        }
    }
}

#[test]
fn the_standard_campaign_has_every_fault_and_sixty_scenarios() {
    let all = scenarios("cstr", "");
    let kinds: BTreeSet<&str> = all.iter().flat_map(|s| s.faults.iter().map(|f| f.kind.as_str())).collect();
    let missing: Vec<_> = KINDS.iter().flat_map(|(_, kinds)| *kinds).filter(|kind| !kinds.contains(*kind)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(all.len() >= 60, "{}", all.len());
    let wall = scenarios("cstr-wall", "");
    assert!(wall.len() >= 12 && wall.iter().all(|s| s.clock != ClockKind::Virtual));
}

/// Every fault does what its scenario says, and every scenario fails without its guard.
#[test]
fn the_campaigns_under_virtual_time_are_passed_whole() {
    for campaign in ["cstr", "cstr2", "quadtank"] {
        let (outcomes, count) = ran(&scenarios(campaign, ""));
        assert!(count.is_good(), "{campaign}: {:#?}", failed(&outcomes));
    }
}

/// A few scenarios of the standard campaign, that are quick.
fn few() -> Vec<Scenario> {
    ["permit", "perf-setpoint", "nan-weights", "control-time-out"]
        .into_iter()
        .flat_map(|name| scenarios("cstr", name))
        .collect()
}

fn ran(scenarios: &[Scenario]) -> (Vec<Outcome>, Count) {
    let outcomes = run(scenarios, &Options::default(), |_| {}).unwrap();
    let count = Count::of(&outcomes, Duration::ZERO);
    (outcomes, count)
}

fn failed(outcomes: &[Outcome]) -> Vec<String> {
    let bad = outcomes.iter().filter(|o| !o.is_good());
    bad.map(|o| format!("{}: {:?} {:?}", o.id, o.run.findings, o.negative.error)).collect()
}

/// A certificate of the few, into the folder of the evidence.
fn certified(count: &Count, dir: &Path) -> Result<PathBuf, CertifyError> {
    certified_of(&few(), count, dir)
}

fn certified_of(scenarios: &[Scenario], count: &Count, dir: &Path) -> Result<PathBuf, CertifyError> {
    let loaded = runtime::config::load(&scenarios[0].plant)?;
    let key = dir.join("rig.key");
    let key = if key.exists() { RigKey::read(&key) } else { RigKey::create(&key) }.unwrap();
    let certificate = certificate("a few", (scenarios, 0), count, &Binding::of(&loaded)?, (&key, 1))?;
    let file = dir.join("certificate.json");
    std::fs::write(&file, serde_json::to_string(&certificate).unwrap()).unwrap();
    Ok(file)
}

#[test]
fn a_campaign_that_was_passed_gets_a_certificate_that_the_ladder_takes() {
    let dir = tempfile::tempdir().unwrap();
    let (outcomes, count) = ran(&few());
    assert!(count.is_good(), "{:#?}", failed(&outcomes));
    let file = certified(&count, dir.path()).unwrap();
    let mut loaded = runtime::config::load(&few()[0].plant).unwrap();
    loaded.plant.commission.rig_keys = public(&dir.path().join("rig.key"));
    loaded.plant.commission.evidence = dir.path().join("evidence");
    let (dossier, now) = (Dossier::of(&loaded).unwrap(), Clock::calendar_s());
    assert!(dossier.certificate(&dossier.certificate_file(), now).is_err(), "the control: none was accepted yet");
    let taken = dossier.certificate(&file, now);
    assert!(taken.is_ok(), "{taken:?}");
    assert!(dossier.certificate(&file, now + 2 * 86_400).is_err(), "the control: it was for a day");
}

#[test]
fn a_campaign_against_another_device_gives_no_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let (_, count) = ran(&few());
    let mut scenarios = few();
    certified_of(&scenarios, &count, dir.path()).unwrap();
    let listen = "127.0.0.1:0".parse().unwrap();
    scenarios[1].device = Some(Foreign { name: "a PLC".to_owned(), wire: Wire::Modbus, listen, exec: Vec::new() });
    let refused = certified_of(&scenarios, &count, dir.path());
    assert!(matches!(refused, Err(CertifyError::OtherDevice(name)) if name == "a PLC"));
}

#[test]
fn a_broken_controller_fails_the_campaign_and_gets_no_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let all_the_time = |fault: ControllerFault| Timed {
        at: Duration::ZERO,
        until: None,
        kind: "broken".to_owned(),
        on: String::new(),
        fault: Fault::Controller(fault),
    };
    let flipped = ControllerFault::WrongModel { input: 1, gain: -1.0 };
    let slow = ControllerFault::TimeOut { late_s: 0.6 };
    for broken in [flipped, slow] {
        let mut scenarios = few();
        scenarios.iter_mut().for_each(|s| s.faults.push(all_the_time(broken.clone())));
        let (_, count) = ran(&scenarios);
        assert!(!count.is_good() && count.failed > 0, "{broken:?}: {count:?}");
        assert!(matches!(certified(&count, dir.path()), Err(CertifyError::NotPassed(_))), "{broken:?}");
    }
}

#[test]
fn an_interlock_without_a_check_fails_the_campaign_and_gets_no_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let mut scenarios = scenarios("cstr", "sensor-bad");
    let softened = "plant_set = { \"cell\" = [{ cause = \"quality\", on = \"CV1\", effect = \"warn\" }] }";
    for scenario in &mut scenarios {
        let text = std::fs::read_to_string(&scenario.file).unwrap();
        let broken = format!("{softened}\n{text}");
        let file = scenario.file.with_file_name("broken.toml");
        *scenario = Scenario::parse_beside(&file, &broken).unwrap();
    }
    let (_, count) = ran(&scenarios);
    assert_eq!(count.failed, 1);
    assert!(matches!(certified(&count, dir.path()), Err(CertifyError::NotPassed(_))));
}
