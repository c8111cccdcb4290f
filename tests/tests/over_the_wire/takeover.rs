//! The runtime dies with the loop closed: the DCS must take over by itself, and a foreign client must see it.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rig::Random;
use serde_json::Value;
use tests::wire::{Change, Child, Foreign, Heard, LIMIT, PERIOD_S, RigProcess, RuntimeProcess, SPEED, Site};

use super::{all_mvs_in, any_mv_remote};

const WATCHED: [&str; 6] = ["HB_APC", "WD_OK", "MV1.MODE", "MV2.MODE", "MV1.SP_ACT", "MV2.SP_ACT"];
/// The DCS's watchdog: max(3 Ts, 30 s).
const WATCHDOG_S: f64 = 3.0 * PERIOD_S;
/// One scan of the DCS.
const SCAN_S: f64 = 1.0;
/// 100 ms of the wall: the rig's clock is looked at every 10 ms, a busy machine takes longer.
const SAMPLING_S: f64 = 0.1 * SPEED;
/// Ranges of the slaves of MV1 and MV2.
const RANGES: [(&str, f64); 2] = [("MV1", 100.0), ("MV2", 9000.0)];
/// `MVn.MODE` in RCAS.
const RCAS: u64 = 3;

/// A closed loop with a foreign client that watches it.
struct Watched {
    rig: RigProcess,
    runtime: RuntimeProcess,
    changes: Heard<Change>,
    _client: Child,
}

fn closed_loop(site: &Site, foreign: &Foreign) -> Result<Watched> {
    let rig = site.rig(&[])?;
    let runtime = site.run(&site.shipped_plant(), &rig.endpoint)?;
    rig.engage()?;
    let (client, changes) = foreign.watch(&rig, &WATCHED)?;
    // The client sees the heart beat before anything is judged.
    changes.wait("five beats", 0, LIMIT, |changes| (of(changes, "HB_APC").len() >= 5).then_some(()))?;
    Ok(Watched { rig, runtime, changes, _client: client })
}

fn of(changes: &[Change], tag: &str) -> Vec<Change> {
    changes.iter().filter(|change| change.tag == tag).cloned().collect()
}

fn last(changes: &[Change], tag: &str) -> Result<Change> {
    of(changes, tag).pop().with_context(|| format!("no report of {tag}"))
}

/// Plant seconds from one change to another, by their source times.
fn plant_s(from: &Change, to: &Change) -> f64 {
    (to.source_s - from.source_s) * SPEED
}

/// The judgement of what the client saw: every MV left RCAS once, at the watchdog time after the last beat, `WD_OK` fell,
/// and no set-point moved by that. Gives the plant seconds from the last beat to the last MV out of RCAS.
fn bumpless_takeover(changes: &[Change]) -> Result<f64> {
    let beat = last(changes, "HB_APC")?;
    ensure!(last(changes, "WD_OK")?.value == false, "WD_OK stands");
    let mut slowest_s = 0.0_f64;
    for (mv, range) in RANGES {
        let modes = of(changes, &format!("{mv}.MODE"));
        let [before, shed] = modes.as_slice() else { bail!("{mv} does not change its mode once: {modes:?}") };
        ensure!(before.value == RCAS && shed.value != RCAS, "{mv}: {modes:?}");
        let took_s = plant_s(&beat, shed);
        slowest_s = slowest_s.max(took_s);
        ensure!((took_s - WATCHDOG_S).abs() <= SCAN_S + SAMPLING_S, "{mv}: {took_s} s after the last beat");
        let sp_act = of(changes, &format!("{mv}.SP_ACT"));
        let (before, after): (Vec<_>, Vec<_>) = sp_act.iter().partition(|sp| plant_s(sp, shed) > 0.5 * SCAN_S);
        let number = |change: &Change| change.value.as_f64().with_context(|| format!("{change:?}"));
        let held = number(before.last().context("no SP_ACT before")?)?;
        for sp_act in after {
            let bump_pct = 100.0 * (number(sp_act)? - held).abs() / range;
            ensure!(bump_pct <= 0.1, "{mv}: bump of {bump_pct} %");
        }
    }
    Ok(slowest_s)
}

fn assert_nothing_engaged(cycles: &[Value]) {
    for cycle in cycles {
        assert!(!any_mv_remote(cycle) && cycle["wd_ok"] == false && cycle["lease"] == 0, "{cycle}");
    }
}

/// Kills the runtime of a closed loop: the DCS takes over and nothing is engaged. Gives the plant seconds from the last beat.
fn killed(rig: &RigProcess, runtime: RuntimeProcess, changes: &Heard<Change>) -> Result<f64> {
    runtime.kill()?;
    let tripped = |changes: &[Change]| of(changes, "WD_OK").iter().any(|c| c.value == false).then_some(());
    changes.wait("WD_OK false", 0, LIMIT, tripped)?;
    assert_nothing_engaged(&rig.cycles(10)?);
    bumpless_takeover(&changes.all())
}

#[test]
fn wall_sigkill_sheds_and_the_dcs_takes_over_bumplessly() -> Result<()> {
    let site = Site::new()?;
    let Some(foreign) = Foreign::at(&site)? else { return Ok(()) };
    let Watched { rig, runtime, changes, _client } = closed_loop(&site, &foreign)?;
    let took_s = killed(&rig, runtime, &changes)?;
    println!("every MV out of RCAS {took_s:.1} s of plant time after the last beat");

    // The request still says ON. A new runtime boots tripped and engages nothing.
    let again = site.run(&site.shipped_plant(), &rig.endpoint)?;
    again.says("tripped, link up", |status| status["state"] == "Tripped" && status["link_up"] == true)?;
    let cycles = rig.cycles(10)?;
    assert_nothing_engaged(&cycles);
    assert!(cycles.iter().all(|cycle| cycle["mode_req"] == "ON" && cycle["mode_act"] != "ON"));
    assert_eq!(again.status()?["state"], "Tripped");
    rig.command("rearm")?;
    assert!(!rig.cycles(3)?.iter().any(any_mv_remote), "arming the watchdog is no hand-over");
    assert!(all_mvs_in(&rig.engage()?, "RCAS"), "the operator's way works");
    again.stop()?;
    let summary = rig.quit()?;
    assert_eq!((&summary["writes_while_not_on"], &summary["refused_writes"]), (&0.into(), &serde_json::json!({})));
    assert!(summary["bump_pct"].as_f64().is_some_and(|bump| bump <= 0.1), "{summary}");
    Ok(())
}

/// Kills of the long form.
const KILLS: u32 = 20;

#[test]
#[ignore = "long: some minutes"]
fn wall_twenty_kills_at_random_moments_leave_the_dcs_with_its_mvs_and_nothing_returns_by_itself() -> Result<()> {
    let site = Site::new()?;
    let Some(foreign) = Foreign::at(&site)? else { return Ok(()) };
    let rig = site.rig(&[])?;
    let mut chance = Random::seeded(20);
    let mut runtime = site.run(&site.shipped_plant(), &rig.endpoint)?;
    let mut slowest_s = 0.0_f64;
    for kill in 1..=KILLS {
        rig.engage()?;
        let (_client, changes) = foreign.watch(&rig, &WATCHED)?;
        changes.wait("two beats", 0, LIMIT, |changes| (of(changes, "HB_APC").len() >= 2).then_some(()))?;
        // Some control periods, and any fraction of one.
        let periods = chance.between(0.0, 4.0);
        std::thread::sleep(Duration::from_secs_f64(periods * PERIOD_S / SPEED));
        let took_s = killed(&rig, runtime, &changes).with_context(|| format!("kill {kill}"))?;
        slowest_s = slowest_s.max(took_s);
        runtime = site.run(&site.shipped_plant(), &rig.endpoint)?;
        runtime.says("tripped, link up", |status| status["state"] == "Tripped" && status["link_up"] == true)?;
        assert_nothing_engaged(&rig.cycles(4)?);
        rig.command("rearm")?;
        assert!(!rig.cycles(2)?.iter().any(any_mv_remote), "kill {kill}: arming the watchdog is no hand-over");
    }
    println!("{KILLS} kills; every MV out of RCAS {slowest_s:.1} s of plant time after the last beat at the latest");
    runtime.stop()?;
    let summary = rig.quit()?;
    assert_eq!(summary["writes_while_not_on"], 0, "{summary}");
    assert!(summary["bump_pct"].as_f64().is_some_and(|bump| bump <= 0.1), "{summary}");
    Ok(())
}

#[test]
fn wall_without_the_kill_the_heart_beats_on_and_the_mvs_stay() -> Result<()> {
    let site = Site::new()?;
    let Some(foreign) = Foreign::at(&site)? else { return Ok(()) };
    let Watched { rig, runtime, changes, _client } = closed_loop(&site, &foreign)?;
    let beats_before = of(&changes.all(), "HB_APC").len();
    // As long as the watchdog and the ten periods after it.
    let cycles = rig.cycles(14)?;
    let seen = changes.all();
    let beats = of(&seen, "HB_APC").len() - beats_before;
    assert!(beats >= 12, "the negative control: {beats} beats");
    assert!(cycles.iter().all(|cycle| all_mvs_in(cycle, "RCAS") && cycle["wd_ok"] == true));
    for tag in ["WD_OK", "MV1.MODE", "MV2.MODE"] {
        assert_eq!(of(&seen, tag).len(), 1, "{tag} was reported once, at the start");
    }
    assert!(bumpless_takeover(&seen).is_err(), "what holds after the kill does not hold here");
    runtime.stop()?;
    rig.quit()?;
    Ok(())
}

#[test]
fn wall_an_orderly_stop_gives_the_mvs_back_at_once() -> Result<()> {
    let site = Site::new()?;
    let rig = site.rig(&[])?;
    let runtime = site.run(&site.shipped_plant(), &rig.endpoint)?;
    rig.engage()?;
    rig.cycles(3)?;
    runtime.stop()?;
    // Without the farewell the watchdog needs three periods, and trips; see the test with SIGKILL.
    let cycle = rig.cycle("MVs back", |cycle| !any_mv_remote(cycle))?;
    assert_eq!((&cycle["mode_act"], &cycle["wd_ok"]), (&"OFF".into(), &true.into()), "{cycle}");
    let summary = rig.quit()?;
    assert_eq!(summary["writes_while_not_on"], 0, "{summary}");
    assert_eq!(summary["alarms"][0]["text"], "application went to OFF: MVs back to AUTO", "{summary}");
    Ok(())
}
