//! A recommendation over the wire: offered, answered at the DCS, applied there, audited here.

use anyhow::{Context, Result};
use serde_json::Value;
use tests::wire::{As, Foreign, RigProcess, Site};

/// Waits for a recommendation that can be answered.
fn open(rig: &RigProcess) -> Result<Value> {
    let cycle = rig.cycle("an open recommendation", |cycle| {
        cycle["rec"]["status"] == "OPEN" && cycle["rec"]["left_s"].as_f64().is_some_and(|left| left > 250.0)
    })?;
    Ok(cycle["rec"].clone())
}

fn id(rec: &Value) -> Result<u64> {
    rec["id"].as_u64().context("no number")
}

#[test]
fn wall_a_person_accepts_at_the_dcs_which_moves_its_own_set_points_and_all_of_it_is_audited() -> Result<()> {
    let site = Site::new()?;
    let foreign = Foreign::at(&site)?;
    let rig = site.rig(&[])?;
    let plant = site.plant_with(&[("mode = \"closed-loop\"", "mode = \"advisory\"")])?;
    let audit = site.path("audit.jsonl");
    let runtime = site.run_but(&plant, &rig.endpoint, &["--audit", "audit.jsonl"])?;
    runtime.says("the link", |status| status["link_up"] == true)?;
    rig.command("mode off")?;
    rig.cycles(2)?;
    rig.command("mode warm")?;
    rig.shows("WARM")?;
    rig.command("sp CV1 0.9")?;
    rig.cycles(2)?;
    rig.command("mode advisory")?;
    rig.shows("ADVISORY")?;
    let rec = open(&rig)?;
    let reason = rec["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("AI101") && reason.contains("its set-point 0.9") && reason.contains("FC101"), "{reason}");
    let stale = id(&rec)? + 50;
    assert!(rig.command(&format!("accept {stale} Meyer")).is_err(), "the DCS refuses what is stale");
    rig.command("answers unchecked")?;
    rig.command(&format!("reject {stale} Meyer"))?;
    rig.cycle("the loop's refusal", |cycle| cycle["rec"]["stale_id"] == stale)?;
    rig.command("answers checked")?;
    let rec = open(&rig)?;
    match &foreign {
        // Under the operator's account: the name first, then the number.
        Some(foreign) => {
            let number = id(&rec)?.to_string();
            let writes = [("REC.USER", "String", "Meyer"), ("REC.ACCEPT", "UInt32", number.as_str())];
            for answer in foreign.write(&rig, As::Operator, &writes)? {
                assert_eq!(answer["status"], "Good", "{answer}");
            }
            let refused = foreign.write(&rig, As::Application, &[("REC.ACCEPT", "UInt32", "1")])?;
            assert_ne!(refused[0]["status"], "Good", "our own account accepts nothing");
        }
        None => rig.command(&format!("accept {} Meyer", id(&rec)?))?,
    }
    let goal = rec["sp"][0].as_f64().context("no set-point")?;
    let there = |cycle: &Value| cycle["mv"][0]["sp_act"].as_f64().is_some_and(|sp| (sp - goal).abs() < 1e-6);
    rig.cycle("the set-point where it was recommended", there)?;
    assert!(rig.history().iter().flat_map(super::set_points).all(|sp| sp.is_null()), "no SP_REQ is ever written");
    let status = runtime.says("accepted", |status| status["advice"]["accepted"].as_u64() >= Some(1))?;
    assert!(status["audit"].as_str().is_some_and(|told| told.contains(" 0 lost")), "{status}");
    let (_, metrics) = runtime.page("/metrics")?;
    for series in ["{what=\"accepted\"} 1", "{what=\"refused_stale\"} 1"] {
        assert!(metrics.contains(&format!("outrigger_recommendations_total{series}")), "{metrics}");
    }
    let (report, _) = runtime.stop()?;
    assert_eq!((&report["advice"]["accepted"], &report["advice"]["would_have_violated"]), (&1.into(), &0.into()));
    assert_eq!(rig.quit()?["writes_while_not_on"], 0);
    let text = std::fs::read_to_string(audit)?;
    let lines: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let taken = lines.iter().find(|line| line["verdict"] == "taken").context("no line of the acceptance")?;
    assert_eq!((&taken["user"], &taken["answer"], &taken["id"]), (&"Meyer".into(), &"accept".into(), &rec["id"]));
    assert!(lines.iter().any(|line| line["verdict"] == "refused: stale" && line["id"] == stale), "{text}");
    assert!(lines.iter().any(|line| line["event"] == "offered" && line["id"] == rec["id"]), "{text}");
    Ok(())
}
