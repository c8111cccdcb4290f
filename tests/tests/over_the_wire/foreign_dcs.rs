//! The program beside a DCS that shares no code with ours: another server, another stack, another namespace, and its own
//! idea of the hand-shake (`hil/examples/dcs.py`, asyncua). It runs there by evidence; the override is the rig's.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::wire::{OtherDcs, RigProcess, RuntimeProcess, Site};

use super::{all_mvs_in, any_mv_remote};

/// Periods of ten scans of the interlock: `cstr2`.
const PERIOD_S: f64 = 6.0;
/// The DCS's watchdog, and its scan.
const WATCHDOG_S: f64 = 30.0;
const SCAN_S: f64 = 1.0;
/// 150 ms of the wall: a busy machine is late.
const LATE_S: f64 = 1.8;

fn number(cycle: &Value, key: &str) -> Result<f64> {
    cycle[key].as_f64().with_context(|| format!("no {key}: {cycle}"))
}

fn pv(cycle: &Value) -> Result<f64> {
    number(&cycle["cv"][0], "pv")
}

/// A closed loop beside the foreign DCS; `None` where there is no Python for it.
fn closed(site: &Site) -> Result<Option<(OtherDcs, RuntimeProcess)>> {
    let Some(other) = OtherDcs::commissioned(site)? else { return Ok(None) };
    let runtime = other.run(site)?;
    assert!(all_mvs_in(&other.dcs.engage()?, "RCAS"));
    Ok(Some((other, runtime)))
}

/// Ends the DCS: it has refused nothing, and no move came while it had the MV.
fn ends_clean(dcs: RigProcess) -> Result<()> {
    let summary = dcs.quit()?;
    assert_eq!((&summary["writes_while_not_on"], &summary["refused_writes"]), (&json!(0), &json!({})), "{summary}");
    Ok(())
}

#[test]
fn wall_the_loop_closes_beside_a_foreign_dcs_without_a_bump_and_moves_its_plant() -> Result<()> {
    let site = Site::of_strangers()?;
    let Some(other) = OtherDcs::commissioned(&site)? else { return Ok(()) };
    let runtime = other.run(&site)?;
    let status = runtime.says("the link", |status| status["link_up"] == true)?;
    let commissioned = &status["commission"];
    assert_eq!((&commissioned["mode"], &commissioned["grounds"]), (&json!("closed-loop"), &json!("evidence")));
    let dcs = &other.dcs;
    dcs.command("sp CV1 322.4")?;
    for cycle in dcs.cycles(8)? {
        assert!((pv(&cycle)? - 324.4).abs() < 0.6 && !any_mv_remote(&cycle), "the negative control: {cycle}");
    }
    let on = dcs.engage()?;
    assert!(all_mvs_in(&on, "RCAS") && on["lease"] != 0, "{on}");
    let first = dcs.cycle("a first move", |cycle| cycle["first_move"].is_number())?;
    assert!(number(&first, "first_move")?.abs() < 1e-6, "{first}");
    let there = |cycle: &Value| pv(cycle).is_ok_and(|pv| (pv - 322.4).abs() < 0.5);
    let arrived = dcs.cycle("the new set-point", there)?;
    let held = dcs.cycles(6)?;
    assert!(held.iter().all(|cycle| cycle["mode_act"] == "ON" && all_mvs_in(cycle, "RCAS")), "{held:?}");
    assert!((pv(&held[5])? - 322.4).abs() < 0.8, "{held:?}");
    println!("at the set-point {:.0} s of plant time after ON", number(&arrived, "t_s")? - number(&on, "t_s")?);
    let (report, log) = runtime.stop()?;
    assert_eq!((&report["failed_writes"], &report["reconnects"]), (&json!(0), &json!(0)), "{log}");
    assert!(!log.contains("panic") && !log.contains("refused a value"), "{log}");
    let back = dcs.cycle("the MV back at the DCS", |cycle| !any_mv_remote(cycle))?;
    assert_eq!((&back["mode_act"], &back["wd_ok"]), (&json!("OFF"), &json!(true)), "{back}");
    ends_clean(other.dcs)
}

#[test]
fn wall_sigkill_leaves_the_mv_to_the_foreign_dcss_watchdog_and_nothing_returns_by_itself() -> Result<()> {
    let site = Site::of_strangers()?;
    let Some((other, runtime)) = closed(&site)? else { return Ok(()) };
    let dcs = &other.dcs;
    runtime.kill()?;
    let shed = dcs.cycle("the watchdog", |cycle| cycle["wd_ok"] == false)?;
    assert!(!any_mv_remote(&shed) && shed["lease"] == 0, "{shed}");
    let took_s = number(&shed, "released_at_s")? - number(&shed, "beat_at_s")?;
    assert!((WATCHDOG_S - SCAN_S..=WATCHDOG_S + SCAN_S + LATE_S).contains(&took_s), "{took_s} s");
    println!("the MV out of RCAS {took_s:.1} s of plant time after the last beat");

    let again = other.run(&site)?;
    again.says("tripped, link up", |status| status["state"] == "Tripped" && status["link_up"] == true)?;
    let nothing = |cycles: &[Value]| cycles.iter().all(|cycle| !any_mv_remote(cycle) && cycle["mode_act"] != "ON");
    let cycles = dcs.cycles(4)?;
    assert!(nothing(&cycles) && cycles.iter().all(|cycle| cycle["mode_req"] == "ON"), "{cycles:?}");
    dcs.command("rearm")?;
    assert!(nothing(&dcs.cycles(2)?), "arming the watchdog is no hand-over");
    assert!(all_mvs_in(&dcs.engage()?, "RCAS"), "the operator's way works");
    again.stop()?;
    ends_clean(other.dcs)
}

#[test]
fn wall_without_the_kill_the_mv_stays_in_rcas_at_the_foreign_dcs() -> Result<()> {
    let site = Site::of_strangers()?;
    let Some((other, runtime)) = closed(&site)? else { return Ok(()) };
    // Longer than the watchdog and the six periods of the test with the kill.
    for cycle in other.dcs.cycles(12)? {
        assert!(all_mvs_in(&cycle, "RCAS") && cycle["wd_ok"] == true && cycle["mode_act"] == "ON", "{cycle}");
        assert!(number(&cycle, "t_s")? - number(&cycle, "beat_at_s")? <= PERIOD_S + SCAN_S + LATE_S, "{cycle}");
    }
    runtime.stop()?;
    ends_clean(other.dcs)
}

#[test]
fn wall_a_permit_that_the_foreign_dcs_withdraws_sheds_within_a_period_and_no_set_point_follows() -> Result<()> {
    let site = Site::of_strangers()?;
    let Some((other, runtime)) = closed(&site)? else { return Ok(()) };
    let dcs = &other.dcs;
    let before = dcs.cycles(5)?;
    let written = number(&before[4], "sp_writes")? - number(&before[0], "sp_writes")?;
    assert!(written >= 3.0, "the negative control: {written} set-points in four periods");
    dcs.command("permit off")?;
    let shed = dcs.shows("SHED")?;
    let took_s = number(&shed, "mode_act_at_s")? - number(&shed, "released_at_s")?;
    assert!(took_s <= PERIOD_S, "{took_s} s: {shed}");
    println!("SHED {took_s:.1} s of plant time after the permit");
    assert_eq!(shed["shed_reason"], 10, "{shed}");
    dcs.command("permit on")?;
    for cycle in dcs.cycles(6)? {
        assert_eq!((&cycle["mode_act"], &cycle["sp_writes"]), (&json!("SHED"), &shed["sp_writes"]), "{cycle}");
        assert!(!any_mv_remote(&cycle), "{cycle}");
    }
    runtime.stop()?;
    ends_clean(other.dcs)
}

#[test]
fn wall_a_foreign_dcs_that_is_restarted_gets_no_set_point_until_its_operator_engages_again() -> Result<()> {
    let site = Site::of_strangers()?;
    let Some((other, runtime)) = closed(&site)? else { return Ok(()) };
    let other = other.restarted(&site)?;
    runtime.says("Shed, link up", |status| status["state"] == "Shed" && status["link_up"] == true)?;
    other.dcs.shows("SHED")?;
    for cycle in other.dcs.cycles(4)? {
        assert!(cycle["sp_writes"] == 0 && cycle["mode_act"] == "SHED" && !any_mv_remote(&cycle), "{cycle}");
    }
    assert!(all_mvs_in(&other.dcs.engage()?, "RCAS"), "the operator's way works");
    let (report, log) = runtime.stop()?;
    assert!(report["reconnects"] == 1 && !log.contains("panic"), "{report} {log}");
    ends_clean(other.dcs)
}

#[test]
fn wall_an_override_is_void_at_the_foreign_dcs_and_nothing_is_written_there() -> Result<()> {
    let site = Site::of_strangers()?;
    // Its address is in the plant file's list of rigs: the server itself is asked.
    let Some(other) = OtherDcs::at(&site)? else { return Ok(()) };
    let runtime = site.run(&other.plant, &other.dcs.endpoint)?;
    let (status, log) = runtime.ended()?;
    assert!(!status.success() && log.contains("is not the rig"), "{status} {log}");
    let cycle = other.dcs.cycles(2)?.remove(1);
    assert_eq!((&cycle["sp_writes"], &cycle["hb_apc"], &cycle["mode_act_at_s"]), (&json!(0), &json!(0), &Value::Null));
    ends_clean(other.dcs)
}
