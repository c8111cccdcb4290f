//! The commissioning ladder at the rig: evidence that a run gathers, and an override that ends.

use std::path::Path;
use std::time::Duration;

use actors::Board;
use actors::kernel::Clock;
use anyhow::{Context, Result};
use runtime::commission::admission::RIG_URI;
use runtime::config::load;
use runtime::opcua::{Link, LinkError, LinkSettings};
use serde_json::Value;
use tests::wire::Site;

use super::{all_mvs_in, any_mv_remote, set_points};

/// Hours in shadow, and errors of the first CV, as `outrigger commission status` tells them.
fn shadow(site: &Site, plant: &Path, endpoint: &str) -> Result<(f64, u64)> {
    let plant = plant.display().to_string();
    let said = site.outrigger(&["commission", "status", &plant, "--endpoint", endpoint, "--json"])?;
    let status: Value = serde_json::from_str(&said)?;
    let mode = &status["modes"][0];
    let hours = mode["hours"].as_f64().context("no hours")? + mode["hours_beyond"].as_f64().context("no hours")?;
    Ok((hours, mode["cvs"][0]["n"].as_u64().context("no n")?))
}

#[test]
fn wall_a_run_gathers_evidence_and_a_restart_keeps_it() -> Result<()> {
    let site = Site::new()?;
    let rig = site.rig(&[])?;
    let plant = site.plant_with(&[("mode = \"closed-loop\"", "mode = \"shadow\"")])?;
    assert_eq!(shadow(&site, &plant, &rig.endpoint)?, (0.0, 0));
    let mut last = (0.0, 0);
    for leg in 1..=2 {
        let runtime = site.run(&plant, &rig.endpoint)?;
        runtime.says("the link", |status| status["link_up"] == true)?;
        // A round of the open-loop model has 21 periods, and the first must find its anchor.
        rig.cycles(28)?;
        let (report, log) = runtime.stop()?;
        assert_eq!(report["commission"]["mode"], "shadow", "{log}");
        // A round counts where three quarters of its periods were measured.
        let now = shadow(&site, &plant, &rig.endpoint)?;
        assert!(now.0 >= last.0 + 21.0 * 18.0 / 3600.0 - 1e-9 && now.1 >= last.1 + 15, "leg {leg}: {last:?} {now:?}");
        last = now;
    }
    assert_eq!(shadow(&site, &plant, "opc.tcp://127.0.0.1:1/")?, (0.0, 0), "of another server there is none");
    rig.quit()?;
    Ok(())
}

#[test]
fn wall_an_override_ends_and_the_loop_stands_down_to_what_it_has_evidence_for() -> Result<()> {
    let site = Site::new()?;
    let rig = site.rig(&[])?;
    let over = ["--override", "a short trial", "--override-hours", "0.006"];
    let runtime = site.run_but(&site.shipped_plant(), &rig.endpoint, &over)?;
    let status = runtime.says("the link", |status| status["link_up"] == true)?;
    assert_eq!(
        (&status["commission"]["mode"], &status["commission"]["grounds"]),
        (&"closed-loop".into(), &"override".into())
    );
    assert!(all_mvs_in(&rig.engage()?, "RCAS"), "under the override it closes");
    let told = runtime.tells("FALLEN BACK")?;
    assert!(told.contains("the override has expired") && told.contains("shadow"), "{told}");
    let back = rig.cycle("the DCS has its MVs", |cycle| !any_mv_remote(cycle))?;
    for cycle in rig.cycles(6)? {
        assert!(!any_mv_remote(&cycle) && cycle["mode_act"] != "ON", "{cycle}");
    }
    assert!(rig.engage().is_err(), "in shadow nobody answers the hand-over");
    let last = rig.cycles(1)?.remove(0);
    assert_eq!(set_points(&last), set_points(&back), "and nothing is written");
    assert_eq!(rig.quit()?["writes_while_not_on"], 0);
    runtime.stop()?;
    let report: Value = serde_json::from_str(&std::fs::read_to_string(site.path("report.json.2"))?)?;
    assert_eq!(
        (&report["commission"]["mode"], &report["commission"]["grounds"]),
        (&"shadow".into(), &"fell-back".into())
    );
    Ok(())
}

/// The list of rigs is what the file says; the server must say it too.
#[test]
fn wall_a_server_that_is_not_the_rig_voids_an_override() -> Result<()> {
    let site = Site::new()?;
    let rig = site.rig(&[])?;
    let plant = site.plant_with(&[
        ("user = \"outrigger\"", "anonymous = true"),
        ("password_env = \"OUTRIGGER_DCS_PASSWORD\"", ""),
        ("opc.tcp://127.0.0.1:4855/", &rig.endpoint),
    ])?;
    let loaded = load(&plant)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let run = |proof| {
        let clock = Clock::wall(36.0);
        let settings = LinkSettings { loaded: loaded.clone(), pki_dir: site.path("pki"), clock, proof: Some(proof) };
        let mut link = Link::new(settings, &Board::new(4));
        runtime.block_on(async { tokio::time::timeout(Duration::from_secs(5), link.run()).await })
    };
    let void = run("urn:another:server");
    assert!(matches!(void, Ok(Err(LinkError::NotTheRig { .. }))), "{void:?}");
    assert!(run(RIG_URI).is_err(), "the control: at the rig it goes on");
    rig.quit()?;
    Ok(())
}
