//! The two programs over real OPC UA, each in a process of its own, and a foreign client beside them.
//!
//! Everything waits for something seen: an event of the rig, a line of a log, a page, a change that a subscription
//! reported. The rig runs 36 times as fast as the wall. Tests that need the foreign client or the foreign DCS (Python with
//! asyncua) say that they are skipped where there is none.
#![allow(clippy::indexing_slicing, reason = "of JSON values, where what is not there is null; and a test may panic")]

#[path = "over_the_wire/advice.rs"]
mod advice;
#[path = "over_the_wire/configuration.rs"]
mod configuration;
#[path = "over_the_wire/foreign.rs"]
mod foreign;
#[path = "over_the_wire/foreign_dcs.rs"]
mod foreign_dcs;
#[path = "over_the_wire/ladder.rs"]
mod ladder;
#[path = "over_the_wire/logins.rs"]
mod logins;
#[path = "over_the_wire/pages.rs"]
mod pages;
#[path = "over_the_wire/read_back.rs"]
mod read_back;
#[path = "over_the_wire/replay.rs"]
mod replay;
#[path = "over_the_wire/spares.rs"]
mod spares;
#[path = "over_the_wire/standstill.rs"]
mod standstill;
#[path = "over_the_wire/state.rs"]
mod state;
#[path = "over_the_wire/takeover.rs"]
mod takeover;

use anyhow::{Context, Result};
use serde_json::Value;
use tests::wire::{As, Foreign, RigProcess, Site};

/// Whether every MV of a record is in `mode`.
fn all_mvs_in(cycle: &Value, mode: &str) -> bool {
    cycle["mv"].as_array().is_some_and(|mvs| !mvs.is_empty() && mvs.iter().all(|mv| mv["mode"] == mode))
}

/// Whether an MV of a record is in RCAS.
fn any_mv_remote(cycle: &Value) -> bool {
    cycle["mv"].as_array().is_none_or(|mvs| mvs.is_empty() || mvs.iter().any(|mv| mv["mode"] == "RCAS"))
}

/// What the application asks of each MV; null where it never has.
fn set_points(cycle: &Value) -> Vec<Value> {
    cycle["mv"].as_array().into_iter().flatten().map(|mv| mv["sp_req"].clone()).collect()
}

/// In Shed the application is silent: the operator moves MV1 by hand, and `SP_REQ` does not follow.
fn assert_silent(rig: &RigProcess) -> Result<()> {
    let before = rig.cycles(1)?.remove(0);
    let sp_act = before["mv"][0]["sp_act"].as_f64().context("no SP_ACT")?;
    rig.command(&format!("slave MV1 sp {}", sp_act + 0.5))?;
    for cycle in rig.cycles(4)? {
        assert_eq!(cycle["mode_act"], "SHED");
        assert_eq!(set_points(&cycle), set_points(&before));
    }
    let after = rig.cycles(1)?.remove(0);
    assert_ne!(after["mv"][0]["sp_act"], before["mv"][0]["sp_act"], "the operator did move it");
    Ok(())
}

#[test]
fn wall_a_bad_or_nan_measurement_holds_then_sheds() -> Result<()> {
    let site = Site::new()?;
    let rig = site.rig(&[])?;
    let runtime = site.run(&site.shipped_plant(), &rig.endpoint)?;
    for (fault, remedy) in [("quality CV1 bad", "quality CV1 good"), ("pv CV2 nan", "pv CV2 off")] {
        rig.engage()?;
        rig.command(fault)?;
        runtime.says("Hold", |status| status["state"] == "Hold")?;
        let shed = runtime.says("Shed", |status| status["state"] == "Shed")?;
        assert!(all_mvs_in(&rig.shows("SHED")?, "AUTO"), "{fault}");
        let first_out = shed["first_out"].as_str().context("no first-out")?;
        let tag = fault.split(' ').nth(1).context("no tag")?;
        assert!(first_out.contains(tag), "{first_out}");
        rig.command(remedy)?;
        assert_silent(&rig)?;
    }
    let summary = rig.quit()?;
    assert_eq!(summary["writes_while_not_on"], 0);
    assert_eq!(summary["refused_writes"], serde_json::json!({}));
    let (report, log) = runtime.stop()?;
    let states: Vec<_> = report["states"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let falls = states.windows(3).filter(|w| w == &["Active", "Hold", "Shed"]).count();
    assert_eq!(falls, 2, "{states:?}");
    for said in ["CV1", "CV2", "quality bad", "value not finite"] {
        assert!(log.lines().any(|line| line.contains("raised") && line.contains(said)), "{said}: {log}");
    }
    assert!(!log.contains("panic"), "{log}");
    Ok(())
}

#[test]
fn wall_the_loop_recovers_after_the_servers_restart() -> Result<()> {
    let site = Site::new()?;
    let rig = site.rig(&[])?;
    let runtime = site.run(&site.shipped_plant(), &rig.endpoint)?;
    rig.engage()?;
    rig.command("server stop")?;
    // Three seconds of the wall: twice the DCS's watchdog time.
    let outage = rig.cycles(6)?;
    let last = outage.last().context("no cycle")?;
    assert_eq!(last["server_up"], false);
    assert!(last["wd_ok"] == false && all_mvs_in(last, "AUTO"), "the DCS took over by itself: {last}");
    runtime.says("Shed by itself", |status| status["state"] == "Shed" && status["link_up"] == false)?;
    rig.command("server start")?;
    runtime.says("the link again", |status| status["link_up"] == true)?;
    for cycle in rig.cycles(6)? {
        assert!(!any_mv_remote(&cycle) && cycle["mode_act"] != "ON", "nothing returns by itself: {cycle}");
    }
    rig.command("rearm")?;
    assert!(all_mvs_in(&rig.engage()?, "RCAS"));
    let summary = rig.quit()?;
    assert_eq!(summary["writes_while_not_on"], 0);
    let (report, log) = runtime.stop()?;
    // The rig has quit before the runtime was told to stop; a connection lost then is not made again.
    assert_eq!(report["reconnects"], 1, "{log}");
    assert!(!log.contains("panic"), "{log}");
    Ok(())
}

/// What a run showed in which the operator asked for everything.
#[derive(Debug)]
struct Asked {
    /// `MODE_ACT` after the request ON and an attempt to hand over.
    after_on: String,
    /// `MODE_ACT` after the request ADVISORY.
    after_advisory: String,
    /// Every set-point that was ever requested of the DCS.
    set_points: Vec<Value>,
    /// `REC.ID` before and after some periods of ADVISORY, where there is a foreign client to read it.
    recommendations: Option<(u64, u64)>,
    writes_while_not_on: Value,
    log: String,
}

/// The loop in `mode` of the plant file, and an operator who asks for ON, tries to hand over, and asks for ADVISORY.
fn ask_for_everything(mode: &str) -> Result<Asked> {
    let site = Site::new()?;
    let foreign = Foreign::at(&site)?;
    let rig = site.rig(&[])?;
    let plant = site.plant_with(&[("mode = \"closed-loop\"", &format!("mode = \"{mode}\""))])?;
    let runtime = site.run(&plant, &rig.endpoint)?;
    runtime.says("the link", |status| status["link_up"] == true)?;
    let shown_after = |line: &str, periods: usize| -> Result<String> {
        rig.command(line)?;
        let last = rig.cycles(periods)?.pop().context("no cycle")?;
        Ok(last["mode_act"].as_str().unwrap_or_default().to_owned())
    };
    shown_after("mode off", 3)?;
    rig.command("mode warm")?;
    rig.shows("WARM")?;
    shown_after("mode on", 4)?;
    let closed_loop = mode == "closed-loop";
    let engaged = rig.command("engage");
    assert_eq!(engaged.is_ok(), closed_loop, "{mode}: {engaged:?}");
    let after_on = rig.cycles(5)?.pop().context("no cycle")?["mode_act"].as_str().unwrap_or_default().to_owned();
    rig.command("sp CV1 0.9")?;
    let after_advisory = shown_after("mode advisory", 4)?;
    let recommended = || -> Result<Option<u64>> {
        let Some(foreign) = &foreign else { return Ok(None) };
        let all = foreign.browse(&rig, As::Operator)?;
        Ok(all.iter().find(|node| node["tag"] == "REC.ID").and_then(|node| node["value"].as_u64()))
    };
    let first = recommended()?;
    rig.cycles(4)?;
    let recommendations = first.zip(recommended()?);
    assert!(closed_loop || !rig.history().iter().any(any_mv_remote), "{mode}");
    let set_points = rig.history().iter().flat_map(set_points).filter(|sp| !sp.is_null()).collect();
    let (_, log) = runtime.stop()?;
    let writes_while_not_on = rig.quit()?["writes_while_not_on"].clone();
    Ok(Asked { after_on, after_advisory, set_points, recommendations, writes_while_not_on, log })
}

fn assert_harmless(asked: &Asked) {
    assert_eq!(asked.after_on, "WARM");
    assert!(asked.log.contains("request is refused") && asked.log.contains("BeyondReach"), "{}", asked.log);
    assert!(asked.set_points.is_empty(), "{:?}", asked.set_points);
    assert_eq!(asked.writes_while_not_on, 0);
}

#[test]
fn wall_advisory_recommends_and_never_writes_a_set_point() -> Result<()> {
    let asked = ask_for_everything("advisory")?;
    assert_harmless(&asked);
    assert_eq!(asked.after_advisory, "ADVISORY");
    assert!(asked.recommendations.is_none_or(|(first, last)| last >= first && first > 0), "{asked:?}");
    Ok(())
}

#[test]
fn wall_shadow_never_writes_a_set_point_and_recommends_nothing() -> Result<()> {
    let asked = ask_for_everything("shadow")?;
    assert_harmless(&asked);
    assert_eq!(asked.after_advisory, "WARM");
    assert!(asked.recommendations.is_none_or(|(first, last)| (first, last) == (0, 0)), "{asked:?}");
    Ok(())
}

#[test]
fn wall_in_closed_loop_the_same_operator_gets_set_points() -> Result<()> {
    let asked = ask_for_everything("closed-loop")?;
    assert_eq!(asked.after_on, "ON", "the negative control of advisory and shadow");
    assert_eq!(asked.after_advisory, "ADVISORY");
    assert!(!asked.set_points.is_empty());
    Ok(())
}
