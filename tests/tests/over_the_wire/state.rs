//! What a loop keeps over a kill of its program: the first-out with what came before it, and the bypasses.

use anyhow::{Context, Result};
use serde_json::Value;
use tests::wire::Site;

/// The arguments of `outrigger bypass`.
fn bypass(site: &Site, task: &str, more: &[&str]) -> Result<String> {
    let plant = site.shipped_plant().display().to_string();
    site.outrigger(&[&["bypass", task, "--plant", &plant], more].concat())
}

fn first_out(status: &Value) -> &str {
    status["first_out"].as_str().unwrap_or_default()
}

#[test]
fn wall_the_first_out_and_the_bypasses_outlive_a_kill_of_the_program() -> Result<()> {
    let site = Site::new()?;
    let rig = site.rig(&[])?;
    let runtime = site.run(&site.shipped_plant(), &rig.endpoint)?;
    rig.engage()?;
    let asked = ["--check", "quality", "--tag", "AI101", "--reason", "calibration", "--hours", "2", "--by", "Abel"];
    bypass(&site, "request", &asked)?;
    assert_eq!(runtime.status()?["bypasses_in_force"], 0, "nobody has approved it");
    bypass(&site, "approve", &["--id", "1", "--by", "Baker"])?;
    let status = runtime.says("the bypass", |status| status["bypasses_in_force"] == 1)?;
    assert_eq!(status["bypasses"][0]["target"], "AI101", "{status}");
    assert!(runtime.page("/metrics")?.1.contains("outrigger_bypass_active 1"));
    runtime.tells("a check is bypassed")?;
    rig.command("permit off")?;
    runtime.says("Shed", |status| status["state"] == "Shed" && first_out(status).contains("PERMIT"))?;
    runtime.tells("a trip is kept")?;
    runtime.kill()?;
    let trip = std::fs::read_to_string(site.path("state/R101/trips/000001.jsonl"))?;
    let lines: Vec<Value> = trip.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let (head, last) = (lines.first().context("no head")?, lines.last().context("no step")?);
    assert_eq!((&head["code"], &head["tags"][0], &last["state"]), (&10.into(), &"AI101".into(), &"Shed".into()));
    assert!(lines.len() > 30 && last["value"][0].is_number(), "{} lines", lines.len());

    // The negative control: a run that has its state elsewhere knows nothing of it.
    let elsewhere = site.run_but(&site.shipped_plant(), &rig.endpoint, &["--state", "elsewhere"])?;
    let status = elsewhere.says("tripped", |status| status["state"] == "Tripped")?;
    assert_eq!((first_out(&status), &status["bypasses_in_force"]), ("the process started", &0.into()));
    elsewhere.stop()?;

    let again = site.run(&site.shipped_plant(), &rig.endpoint)?;
    let status = again.says("tripped", |status| status["state"] == "Tripped" && status["bypasses_in_force"] == 1)?;
    assert!(first_out(&status).contains("PERMIT"), "{status}");
    rig.shows("FAULT")?;
    bypass(&site, "revoke", &["--id", "1", "--reason", "done", "--by", "Abel"])?;
    again.says("no bypass", |status| status["bypasses_in_force"] == 0)?;
    rig.command("permit on")?;
    rig.command("rearm")?;
    rig.engage()?;
    again.stop()?;
    // The reset is kept too: the next run has nothing to show of the shed.
    let third = site.run(&site.shipped_plant(), &rig.endpoint)?;
    let status = third.says("tripped", |status| status["state"] == "Tripped")?;
    assert_eq!(first_out(&status), "the process started");
    third.stop()?;
    rig.quit()?;
    Ok(())
}
