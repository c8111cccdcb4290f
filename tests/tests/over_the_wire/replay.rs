//! A run of the program is recorded, and done again by the program.

use anyhow::{Context, Result};
use serde_json::Value;
use tests::wire::Site;

fn verified(site: &Site, journal: &str) -> Result<Value> {
    Ok(serde_json::from_str(&site.outrigger(&["replay", journal, "--verify", "--json"])?)?)
}

fn count(answer: &Value, what: &str) -> u64 {
    answer["counts"][what].as_u64().unwrap_or(0)
}

#[test]
fn wall_a_run_over_the_wire_is_done_again_bit_for_bit() -> Result<()> {
    let site = Site::new()?;
    let rig = site.rig(&[])?;
    let runtime = site.run_but(&site.shipped_plant(), &rig.endpoint, &["--journal", "run.journal"])?;
    rig.engage()?;
    rig.command("sp CV1 0.9")?;
    rig.cycles(10)?;
    assert!(runtime.status()?["journal"].as_str().is_some_and(|j| j.ends_with("0 blocks lost")));
    let (_, page) = runtime.page("/metrics")?;
    assert!(page.contains("outrigger_journal_stopped 0"), "{page}");
    rig.command("permit off")?;
    runtime.says("Shed", |status| status["state"] == "Shed")?;
    runtime.stop()?;
    let answer = verified(&site, "run.journal")?;
    println!("{answer}");
    assert_eq!((&answer["outcome"], &answer["ending"]), (&"same".into(), &"ended in order".into()), "{answer}");
    assert!(count(&answer, "solves") > 15 && count(&answer, "moves") > 10 && count(&answer, "views") > 200, "{answer}");

    // A program that is killed leaves what it had written: the same as far as it goes, and no whole run.
    let runtime = site.run_but(&site.shipped_plant(), &rig.endpoint, &["--journal", "killed.journal"])?;
    rig.cycles(6)?;
    runtime.kill()?;
    let incomplete = site.outrigger(&["replay", "killed.journal", "--verify"]);
    assert!(incomplete.is_err_and(|why| format!("{why:#}").contains("exit status: 3")), "a killed run is not whole");
    let answer = serde_json::to_value(runtime::replay::command::verify_file(&site.path("killed.journal"))?)?;
    assert_eq!(answer["outcome"], "incomplete", "{answer}");
    assert!(count(&answer, "cycles") >= 4 && answer["ending"] != "ended in order", "{answer}");

    // One bit, in the middle.
    let path = site.path("run.journal");
    let mut bytes = std::fs::read(&path)?;
    let middle = bytes.len() / 2;
    *bytes.get_mut(middle).context("an empty journal")? ^= 1;
    std::fs::write(site.path("spoilt.journal"), bytes)?;
    let refused = site.outrigger(&["replay", "spoilt.journal", "--verify"]);
    assert!(refused.is_err_and(|why| format!("{why:#}").contains("exit status: 3")), "a flipped bit is found");

    // Another configuration, on the same inputs.
    let lighter = site.plant_with(&[("weight = 100.0", "weight = 10.0")])?;
    let (lighter, shipped) = (lighter.display().to_string(), site.shipped_plant().display().to_string());
    let asked = |plant: &str| -> Result<Value> {
        let plot = site.path("both.svg").display().to_string();
        let answer = site.outrigger(&["replay", "run.journal", "--with", plant, "--plot", &plot, "--json"])?;
        assert!(std::fs::read_to_string(plot)?.starts_with("<svg"));
        Ok(serde_json::from_str(&answer)?)
    };
    let (other, same) = (asked(&lighter)?, asked(&shipped)?);
    println!("{other}\n{same}");
    assert!(other["differing"].as_u64() > same["differing"].as_u64(), "{other} {same}");
    let quadtank = tests::repo("deploy/plants/quadtank.toml").display().to_string();
    let refused = site.outrigger(&["replay", "run.journal", "--with", &quadtank]);
    assert!(refused.is_err_and(|why| format!("{why:#}").contains("does not fit the journal")));
    Ok(())
}
