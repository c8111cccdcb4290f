//! The process of the loop stands still and goes on. Nobody was left to say anything meanwhile, so the DCS's watchdog may
//! have run out too; what counts is what the process does once it wakes.

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use tests::wire::{RigProcess, RuntimeProcess, Site};

use super::{all_mvs_in, any_mv_remote, set_points};

/// Longer than the watchdog waits in the first test.
const STANDS: Duration = Duration::from_millis(1600);

/// A closed loop with a watchdog, after it has stood still.
fn after_a_standstill(site: &Site, watchdog_s: &str) -> Result<(RigProcess, RuntimeProcess)> {
    let rig = site.rig(&[])?;
    let runtime = site.run_but(&site.shipped_plant(), &rig.endpoint, &["--watchdog", watchdog_s])?;
    assert!(all_mvs_in(&rig.engage()?, "RCAS"));
    rig.cycles(3)?;
    runtime.freeze(STANDS)?;
    Ok((rig, runtime))
}

#[test]
fn wall_a_process_that_stood_still_writes_nothing_any_more_says_fault_and_ends() -> Result<()> {
    let site = Site::new()?;
    let (rig, runtime) = after_a_standstill(&site, "1")?;
    let (status, log) = runtime.ended()?;
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("the watchdog has dropped the permit to write"), "{log}");
    let back = rig.shows("FAULT")?;
    assert!(!any_mv_remote(&back), "{back}");
    for cycle in rig.cycles(6)? {
        assert_eq!((set_points(&cycle), &cycle["mode_act"]), (set_points(&back), &Value::from("FAULT")), "{cycle}");
    }
    let report: Value = serde_json::from_str(&std::fs::read_to_string(site.path("report.json"))?)?;
    assert!(report["watchdog"].as_str().is_some_and(|why| why.contains("stood for")), "{report}");
    // A new run is tripped, and the operator's way works.
    let again = site.run(&site.shipped_plant(), &rig.endpoint)?;
    again.says("tripped, link up", |status| status["state"] == "Tripped" && status["link_up"] == true)?;
    assert!(!rig.cycles(3)?.iter().any(any_mv_remote), "nothing returns by itself");
    rig.command("rearm")?;
    assert!(all_mvs_in(&rig.engage()?, "RCAS"));
    again.stop()?;
    assert_eq!(rig.quit()?["writes_while_not_on"], 0);
    Ok(())
}

#[test]
fn wall_with_a_patient_watchdog_the_process_goes_on_after_the_same_standstill() -> Result<()> {
    let site = Site::new()?;
    let (rig, mut runtime) = after_a_standstill(&site, "60")?;
    for cycle in rig.cycles(6)? {
        assert_ne!(cycle["mode_act"], "FAULT", "the negative control: {cycle}");
    }
    assert!(runtime.runs()?);
    let (report, _) = runtime.stop()?;
    assert!(report["watchdog"].is_null() && report["overruns"].as_u64() >= Some(20), "{report}");
    rig.quit()?;
    Ok(())
}
