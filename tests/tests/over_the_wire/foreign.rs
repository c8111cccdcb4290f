//! A foreign client at the rig: what it finds, and what it may not write.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use signals::dcs::{CvTag, DcsTag};
use tests::wire::{As, Foreign, RigProcess, Site};

/// The tags of `cstr`: 2 MVs, 3 CVs, 1 DV.
fn tags() -> Vec<DcsTag> {
    DcsTag::all(2, 3, 1)
}

#[test]
fn wall_a_foreign_client_browses_and_reads_the_rig() -> Result<()> {
    let site = Site::new()?;
    let Some(foreign) = Foreign::at(&site)? else { return Ok(()) };
    let rig = site.rig(&[])?;
    rig.cycles(1)?;
    for who in [As::Operator, As::Anonymous] {
        let found: BTreeMap<_, _> = foreign
            .browse(&rig, who)?
            .into_iter()
            .map(|node| (node["tag"].as_str().unwrap_or_default().to_owned(), node))
            .collect();
        assert_eq!(found.len(), tags().len(), "{who:?}: {:?}", found.keys());
        for tag in tags() {
            let node = found.get(&tag.to_string()).with_context(|| format!("{who:?}: no {tag}"))?;
            let wanted = format!("{:?}", tag.wire_type());
            assert_eq!(node["declared"], *wanted, "{tag}");
            assert!(node["type"] == *wanted || node["status"] != "Good", "{tag}: {node}");
        }
        for cv in 0..3 {
            let node = &found[&DcsTag::Cv(cv, CvTag::Pv).to_string()];
            let time = |key: &str| node[key].as_f64().with_context(|| format!("no {key}: {node}"));
            let age_s = time("now_s")? - time("source_s")?;
            assert!((-0.1..1.0).contains(&age_s), "{age_s} s old: {node}");
            assert!(time("later_s")? > time("source_s")?, "its time goes on: {node}");
            assert!(node["status"] == "Good" && node["value"].is_number(), "{node}");
        }
    }
    rig.quit()?;
    Ok(())
}

/// What became of one write.
fn try_one(foreign: &Foreign, rig: &RigProcess, who: As, write: (&str, &str, &str)) -> Result<Value> {
    foreign.write(rig, who, &[write])?.pop().context("no answer")
}

#[test]
fn wall_wrong_values_are_refused_with_status() -> Result<()> {
    let site = Site::new()?;
    let Some(foreign) = Foreign::at(&site)? else { return Ok(()) };
    let rig = site.rig(&[])?;
    // A lawful write passes: what is refused below is not refused for want of rights.
    let lawful = [("MV1.SP_REQ", "Double", "14.0"), ("MODE_ACT", "Int32", "2")];
    for (answer, after) in foreign.write(&rig, As::Application, &lawful)?.iter().zip([json!(14.0), json!(2)]) {
        assert_eq!((&answer["status"], &answer["after"]), (&json!("Good"), &after), "{answer}");
    }
    let wrong = [
        (("MV1.SP_REQ", "String", "20"), "BadTypeMismatch"),
        (("MV1.SP_REQ", "Int32", "20"), "BadTypeMismatch"),
        (("MV1.SP_REQ", "Double", "nan"), "BadOutOfRange"),
        (("MV1.SP_REQ", "Double", "inf"), "BadOutOfRange"),
        (("MV1.SP_REQ", "Double", "100.1"), "BadOutOfRange"),
        (("MV1.SP_REQ", "Double", "4.9"), "BadOutOfRange"),
        (("MODE_ACT", "Int32", "99"), "BadOutOfRange"),
        (("MODE_ACT", "Int32", "-1"), "BadOutOfRange"),
        (("MODE_ACT", "UInt32", "4"), "BadTypeMismatch"),
    ];
    let answers = foreign.write(&rig, As::Application, &wrong.map(|(write, _)| write))?;
    for ((write, status), answer) in wrong.iter().zip(&answers) {
        assert_eq!(answer["status"], *status, "{write:?}");
        assert_eq!(answer["before"], answer["after"], "{write:?} changed the value");
        assert!(answer["after"] == 14.0 || answer["after"] == 2, "{answer}");
    }
    let summary = rig.quit()?;
    assert_eq!(summary["mode_acts"].as_array().and_then(|modes| modes.last()), Some(&json!("WARM")));
    Ok(())
}

#[test]
fn wall_each_account_writes_its_own_tags_only() -> Result<()> {
    let site = Site::new()?;
    let Some(foreign) = Foreign::at(&site)? else { return Ok(()) };
    let rig = site.rig(&[])?;
    let (sp_req, mode_req) = (("MV1.SP_REQ", "Double", "20.0"), ("MODE_REQ", "Int32", "1"));
    for (who, write) in [
        (As::Anonymous, sp_req),
        (As::Anonymous, mode_req),
        (As::Operator, sp_req),
        (As::Application, mode_req),
        (As::Application, ("HB_DCS", "UInt32", "7")),
        (As::Operator, ("WD_OK", "Boolean", "true")),
    ] {
        let answer = try_one(&foreign, &rig, who, write)?;
        let status = answer["status"].as_str().unwrap_or_default();
        assert!(["BadUserAccessDenied", "BadNotWritable"].contains(&status), "{who:?} {write:?}: {status}");
    }
    assert_eq!(super::set_points(&rig.cycles(1)?.remove(0)), [Value::Null, Value::Null]);
    for (who, write) in [(As::Operator, mode_req), (As::Application, sp_req)] {
        assert_eq!(try_one(&foreign, &rig, who, write)?["status"], "Good", "{who:?} {write:?}");
    }
    let cycle = rig.cycle("WARM by the operator", |cycle| cycle["mode_req"] == "WARM")?;
    assert_eq!(cycle["mv"][0]["sp_req"], 20.0);
    Ok(())
}
