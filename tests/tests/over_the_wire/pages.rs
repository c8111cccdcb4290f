//! What the program shows: the server's tags, its metrics, its state.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use signals::dcs::DcsTag;
use tests::wire::{PREFIX, Site};

#[test]
fn wall_browse_lists_every_tag() -> Result<()> {
    let site = Site::new()?;
    let rig = site.rig(&[])?;
    let plant = site.shipped_plant();
    let listed = site.outrigger(&["browse", &plant.display().to_string(), "--endpoint", &rig.endpoint])?;
    let mut found = BTreeSet::new();
    for line in listed.lines() {
        let (node, path) = line.split_once('\t').with_context(|| format!("no tab: {line}"))?;
        if let Some((_, tag)) = node.split_once(PREFIX) {
            assert_eq!(path, format!("/{PREFIX}{tag}").replace('.', "/"));
            found.insert(tag.to_owned());
        }
    }
    let wanted: BTreeSet<_> = DcsTag::all(2, 3, 1).iter().map(ToString::to_string).collect();
    assert_eq!(found, wanted);
    rig.quit()?;
    Ok(())
}

/// The families of `runtime/src/metrics.rs`.
const FAMILIES: [&str; 25] = [
    "outrigger_bypass_active",
    "outrigger_filter_certified",
    "outrigger_stage_latency_seconds",
    "outrigger_release_lateness_seconds",
    "outrigger_cycles_total",
    "outrigger_overruns_total",
    "outrigger_restarts_total",
    "outrigger_reconnects_total",
    "outrigger_refused_values_total",
    "outrigger_failed_writes_total",
    "outrigger_late_moves_total",
    "outrigger_link_up",
    "outrigger_sample_age_seconds",
    "outrigger_overwritten_total",
    "outrigger_plan_age_seconds",
    "outrigger_model_rmse",
    "outrigger_solver_status",
    "outrigger_solver_seconds",
    "outrigger_solver_iterations",
    "outrigger_interlock_state",
    "outrigger_heartbeat",
    "outrigger_watchdog_permit",
    "outrigger_recommendations_total",
    "outrigger_would_have_violated_total",
    "outrigger_untaken_violated_total",
];
/// The stages of a closed loop.
const STAGES: [&str; 8] = ["sensor", "estimator", "model", "mpc", "selector", "interlock", "actuator", "cycle"];

/// The series of a text in the exposition format 0.0.4, and the families that it declares.
fn exposition(text: &str) -> Result<(BTreeMap<String, f64>, BTreeSet<String>)> {
    let (mut series, mut families) = (BTreeMap::new(), BTreeSet::new());
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            match comment.splitn(3, ' ').collect::<Vec<_>>().as_slice() {
                ["HELP", _, _] => {}
                ["TYPE", name, "counter" | "gauge" | "histogram"] => drop(families.insert((*name).to_owned())),
                _ => bail!("no comment of the format: {line}"),
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').with_context(|| format!("no value: {line}"))?;
        let family = name.split('{').next().unwrap_or_default();
        if !family.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
            bail!("no name: {line}");
        }
        let value = value.parse().with_context(|| format!("no number: {line}"))?;
        if series.insert(name.to_owned(), value).is_some() {
            bail!("twice: {line}");
        }
    }
    Ok((series, families))
}

#[test]
fn wall_metrics_and_status_are_served() -> Result<()> {
    let site = Site::new()?;
    let rig = site.rig(&[])?;
    let runtime = site.run(&site.shipped_plant(), &rig.endpoint)?;
    rig.engage()?;
    rig.cycles(3)?;
    let status = runtime.says("Active", |status| status["state"] == "Active")?;
    let (code, text) = runtime.page("/metrics")?;
    let (series, families) = exposition(&text)?;
    let value = |name: &str| series.get(name).copied().with_context(|| format!("no {name} in:\n{text}"));
    assert_eq!(code, 200);
    assert_eq!(families, FAMILIES.map(str::to_owned).into());
    for stage in STAGES {
        let count = value(&format!("outrigger_stage_latency_seconds_count{{stage=\"{stage}\"}}"))?;
        assert!(count >= 5.0, "{stage}: {count}");
    }
    for tag in ["AI101", "TI101", "TI102", "AI100"] {
        let age_s = value(&format!("outrigger_sample_age_seconds{{tag=\"{tag}\"}}"))?;
        assert!((0.0..45.0).contains(&age_s), "{tag}: {age_s} s");
        assert!(tag == "AI100" || value(&format!("outrigger_model_rmse{{tag=\"{tag}\"}}"))? >= 0.0);
    }
    let states: Vec<_> = series.iter().filter(|(name, _)| name.starts_with("outrigger_interlock_state")).collect();
    let present: Vec<_> = states.iter().filter(|(_, v)| **v > 0.5).map(|(name, _)| name.as_str()).collect();
    assert_eq!((states.len(), present.as_slice()), (9, &["outrigger_interlock_state{state=\"Active\"}"][..]));
    assert_eq!((value("outrigger_link_up")?, value("outrigger_failed_writes_total")?), (1.0, 0.0));
    assert!(value("outrigger_watchdog_permit")? > 0.5);
    assert!(value("outrigger_release_lateness_seconds_count")? >= 50.0, "ten beats a cycle");
    assert!(value("outrigger_heartbeat")? > 0.0 && value("outrigger_solver_seconds")? > 0.0);
    let cycles = status["cycle"].as_u64().context("no cycle")?;
    assert!(value("outrigger_cycles_total")? >= cycles as f64);
    assert_eq!((&status["mode_act"], &status["link_up"]), (&"ON".into(), &true.into()));
    let stages = status["stages"].as_array().context("no stages")?;
    for stage in STAGES {
        assert!(stages.iter().any(|s| s["name"] == stage && s["p50_us"].is_number()), "{stage}: {stages:?}");
    }
    assert_eq!(runtime.page("/healthz")?, (200, "ok\n".to_owned()));
    assert_eq!(runtime.page("/engage")?.0, 404, "there is nothing to command here");
    runtime.stop()?;
    rig.quit()?;
    Ok(())
}
