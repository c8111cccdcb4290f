//! `CFG_REV`: a plant file that is changed on the disk under a closed loop.

use anyhow::{Context, Result};
use serde_json::Value;
use tests::wire::{PERIOD_S, RigProcess, Site};

/// Plant seconds of a record.
fn time_s(cycle: &Value) -> Result<f64> {
    cycle["t_s"].as_f64().with_context(|| format!("no time: {cycle}"))
}

/// The plant time now, at the rig.
fn now_s(rig: &RigProcess) -> Result<f64> {
    time_s(rig.cycles(1)?.first().context("no cycle")?)
}

#[test]
fn wall_a_plant_file_that_is_changed_takes_the_loop_to_warm_and_the_same_file_written_again_does_not() -> Result<()> {
    let site = Site::new()?;
    let rig = site.rig(&[])?;
    let plant = site.plant_with(&[])?;
    let runtime = site.run(&plant, &rig.endpoint)?;
    rig.engage()?;
    let text = std::fs::read_to_string(&plant)?;

    // The negative control: check 22 is always on, so it is the change that must be missing.
    std::fs::write(&plant, &text)?;
    for cycle in rig.cycles(8)? {
        assert_eq!(cycle["mode_act"], "ON", "written again without a change: {cycle}");
    }

    let before_s = now_s(&rig)?;
    std::fs::write(&plant, format!("{text}\n# a word more\n"))?;
    let took_s = time_s(&rig.shows("WARM")?)? - before_s;
    // A period to be seen in, one that was under way when it was written, one that was under way when it was shown.
    assert!(took_s <= 3.0 * PERIOD_S, "{took_s} s");
    let status = runtime.says("Ready", |status| status["state"] == "Ready")?;
    assert!(status["first_out"].is_null(), "a stand-down latches nothing: {status}");
    runtime.tells("the plant file has changed")?;

    // It bars the arming as long as it is there, and no longer.
    rig.command("mode warm")?;
    rig.cycles(2)?;
    rig.command("mode on")?;
    for cycle in rig.cycles(4)? {
        assert_eq!(cycle["mode_act"], "WARM", "{cycle}");
    }
    std::fs::write(&plant, &text)?;
    rig.cycles(3)?;
    rig.engage()?;
    runtime.stop()?;
    rig.quit()?;
    Ok(())
}
