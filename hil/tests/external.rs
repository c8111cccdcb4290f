//! The Python example as the plant of `outrigger-hil`: looked at, and run behind the OPC UA server.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]
#![allow(clippy::print_stderr, reason = "a test that is left out says so")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// Whether there is a Python. Without one the test is left out, in words; with `OUTRIGGER_REQUIRE_PYTHON=1` it fails.
fn python() -> bool {
    let found = Command::new("python3").arg("--version").stdout(Stdio::null()).status().is_ok_and(|s| s.success());
    let required = std::env::var("OUTRIGGER_REQUIRE_PYTHON").is_ok_and(|v| v == "1");
    assert!(found || !required, "OUTRIGGER_REQUIRE_PYTHON=1, and there is no python3");
    if !found {
        eprintln!("left out: there is no python3");
    }
    found
}

fn hil(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger-hil"));
    command.args(arguments).env("OUTRIGGER_DCS_PASSWORD", "secret").stdin(Stdio::null()).output().unwrap()
}

#[test]
fn the_python_plant_is_looked_at() {
    if !python() {
        return;
    }
    let tank = format!("python3 {}", example("tank.py").display());
    let output = hil(&["plant", "--exec", &tank, "--plant-time-out", "20", "--look-step", "20"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("tank with an outlet, in Python, protocol 1"), "{said}");
    assert!(said.contains("PUMP from 50 to 60"), "{said}");
    let rows: Vec<Vec<f64>> = said
        .lines()
        .filter_map(|line| line.split_whitespace().map(|w| w.parse().ok()).collect::<Option<Vec<f64>>>())
        .filter(|row| row.len() == 2)
        .collect();
    // Rest is the root of 0.001 u = 0.05 √h: 1 m at 50 %, 1.44 m at 60 %; the time constant there is 40 s and more.
    assert!(rows.len() == 11 && (rows[0][1] - 1.0).abs() < 1e-6 && (rows[10][1] - 1.43).abs() < 0.02, "{rows:?}");
    assert!(rows.windows(2).all(|w| w[1][1] > w[0][1]), "{rows:?}");
}

#[test]
fn the_python_plant_runs_behind_the_server() {
    if !python() {
        return;
    }
    let pki = tempfile::tempdir().unwrap();
    let tank = format!("python3 {}", example("tank.py").display());
    let file = example("tank.toml");
    let (file, pki) = (file.to_str().unwrap(), pki.path().to_str().unwrap());
    let run = ["plant", file, "--exec", &tank, "--plant-time-out", "20", "--speed", "10", "--seconds", "3", "--json"];
    let output = hil(&[&run[..], &["--listen", "127.0.0.1:0", "--pki", pki]].concat());
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let events: Vec<serde_json::Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let cycles: Vec<_> = events.iter().filter(|e| e["event"] == "cycle").collect();
    assert!(cycles.len() >= 2, "{said}");
    for cycle in cycles {
        assert!((cycle["cv"][0]["pv"].as_f64().unwrap() - 1.0).abs() < 0.02, "at rest: {cycle}");
    }
    assert!(events.iter().all(|e| e["event"] != "plant"), "it never fell silent: {said}");
    assert_eq!(events.last().unwrap()["event"], "summary");
}

#[test]
fn a_program_that_is_no_plant_is_refused_in_words() {
    let output = hil(&["plant", "--exec", "/nonexistent/plant"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("cannot start `/nonexistent/plant`"), "{said}");
    let output = hil(&["plant"]);
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("FILE"));
}
