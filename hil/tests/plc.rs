//! A foreign Modbus master as the controller under test: `examples/plc.py`, a PLC's program on pymodbus.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a rig that cannot be run has failed; what is waited for is the wall's time"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const RIG: &str = env!("CARGO_BIN_EXE_outrigger-hil");

fn repo(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)
}

/// The Python that has pymodbus; `None`, said aloud, where there is none and none is required.
fn python() -> Option<PathBuf> {
    let found = std::env::var_os("OUTRIGGER_TEST_PYTHON").map_or_else(|| repo("target/venv/bin/python"), PathBuf::from);
    let has = Command::new(&found).args(["-c", "import pymodbus"]).stderr(Stdio::null()).status();
    if has.is_ok_and(|status| status.success()) {
        return Some(found);
    }
    assert!(
        std::env::var_os("OUTRIGGER_REQUIRE_PYTHON").is_none(),
        "no Python with pymodbus; `cargo xtask test` makes one"
    );
    eprintln!("skipped: no Python with pymodbus (`cargo xtask test` makes one)");
    None
}

/// Ends what it holds, also when a test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The next event of that name.
fn event(lines: &mut impl Iterator<Item = std::io::Result<String>>, name: &str) -> Value {
    lines
        .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap())
        .find(|event| event["event"] == name)
        .unwrap_or_else(|| panic!("no event `{name}`"))
}

#[test]
fn wall_a_plc_shakes_hands_over_modbus_and_moves_the_plant_to_its_set_point() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let plant = repo("hil/plants/cstr-1hz.toml");
    let map = Command::new(RIG).arg("registers").arg(&plant).output().unwrap();
    assert!(map.status.success());
    let file = folder.path().join("map.txt");
    std::fs::write(&file, map.stdout).unwrap();

    let mut rig = Command::new(RIG);
    rig.arg("plant").arg(&plant).args(["--json", "--speed", "10", "--seconds", "120", "--listen", "127.0.0.1:0"]);
    rig.args(["--modbus", "127.0.0.1:0", "--pki"]).arg(folder.path().join("pki")).env("OUTRIGGER_DCS_PASSWORD", "plc");
    let mut rig = Running(rig.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let (mut keys, out) = (rig.0.stdin.take().unwrap(), rig.0.stdout.take().unwrap());
    let mut lines = BufReader::new(out).lines();
    let address = event(&mut lines, "ready")["modbus"].as_str().unwrap().to_owned();
    let (host, port) = address.rsplit_once(':').unwrap();
    let mut plc = Command::new(python);
    plc.arg(repo("hil/examples/plc.py")).arg(&file).args([host, port, "60"]);
    let plc = Running(plc.stdout(Stdio::null()).spawn().unwrap());

    let mut say = |line: &str| writeln!(keys, "{line}").unwrap();
    say("mode warm");
    say("mode on");
    // The PLC answers in its next scans; the DCS lets nobody engage before.
    let engaged = engage(&mut say, &mut lines);
    assert!(engaged, "the DCS never handed over");
    say("sp CV1 0.86");
    let begun = Instant::now();
    let moved = std::iter::from_fn(|| (begun.elapsed() < Duration::from_secs(45)).then(|| event(&mut lines, "cycle")))
        .any(|cycle| cycle["cv"][0]["pv"].as_f64().is_some_and(|cb| (cb - 0.86).abs() < 0.01));
    assert!(moved, "CV1 did not come to its set-point");
    // Without its heart the DCS takes the MV back; nothing else does.
    drop(plc);
    let shed = std::iter::from_fn(|| (begun.elapsed() < Duration::from_secs(75)).then(|| event(&mut lines, "cycle")))
        .any(|cycle| cycle["mv"][0]["mode"] == "AUTO");
    assert!(shed, "the DCS did not take its MV back from a dead PLC");
    say("quit");
    let summary = event(&mut lines, "summary");
    assert_eq!(summary["writes_while_not_on"], 0, "{summary}");
}

/// Engages as soon as the DCS lets the operator.
fn engage(say: &mut impl FnMut(&str), lines: &mut impl Iterator<Item = std::io::Result<String>>) -> bool {
    (0..20).any(|_| {
        std::thread::sleep(Duration::from_millis(500));
        say("engage");
        loop {
            let ack = event(lines, "ack");
            if ack["command"] == "engage" {
                return ack["ok"] == true;
            }
        }
    })
}

/// A PLC that is the slave loop of MV1, at a port or at a free one; gives its port.
fn slave_loop(python: &Path, port: u16) -> (Running, u16) {
    let mut plc = Command::new(python);
    plc.arg(repo("hil/examples/slave.py")).arg(port.to_string()).args(["0", "100", "0.5"]);
    let mut plc = Running(plc.stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(plc.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let port = line.trim().strip_prefix("ready ").unwrap().parse().unwrap();
    (plc, port)
}

#[test]
fn wall_a_plc_is_a_slave_loop_and_without_it_the_loop_is_in_man_until_a_person_takes_it_out() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (plc, port) = slave_loop(&python, 0);
    let mut rig = Command::new(RIG);
    rig.arg("plant").arg(repo("hil/plants/cstr-1hz.toml")).args(["--json", "--speed", "10", "--seconds", "120"]);
    rig.args(["--listen", "127.0.0.1:0", "--slave", &format!("MV1=127.0.0.1:{port}"), "--pki"]);
    rig.arg(folder.path().join("pki")).env("OUTRIGGER_DCS_PASSWORD", "plc");
    let mut rig = Running(rig.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let (mut keys, out) = (rig.0.stdin.take().unwrap(), rig.0.stdout.take().unwrap());
    let mut lines = BufReader::new(out).lines();
    event(&mut lines, "ready");
    let begun = Instant::now();
    let mut comes = |seconds: u64, is: &dyn Fn(&Value) -> bool| {
        let before = begun.elapsed() + Duration::from_secs(seconds);
        std::iter::from_fn(|| (begun.elapsed() < before).then(|| event(&mut lines, "cycle")))
            .any(|cycle| is(&cycle["mv"][0]))
    };
    let mut say = |line: &str| writeln!(keys, "{line}").unwrap();
    let pv_near = |at: f64| move |mv: &Value| (mv["pv"].as_f64().unwrap() - at).abs() < 0.05;
    say("slave MV1 sp 18");
    assert!(comes(20, &pv_near(18.0)), "the PLC did not bring the actuator to its set-point");

    // It answers no more: the loop is in MAN, and the actuator stays.
    drop(plc);
    assert!(comes(20, &|mv| mv["mode"] == "MAN"), "the loop of a dead PLC is not in MAN");
    assert!(comes(2, &pv_near(18.0)));
    say("slave MV1 auto");
    assert!(!comes(2, &|mv| mv["mode"] != "MAN"), "nobody computes an output, and the loop left MAN");

    // It answers again: that alone changes nothing.
    let (_plc, _) = slave_loop(&python, port);
    assert!(!comes(3, &|mv| mv["mode"] != "MAN"), "the loop left MAN by itself");
    say("slave MV1 auto");
    assert!(comes(5, &|mv| mv["mode"] == "AUTO"));
    say("slave MV1 sp 15");
    assert!(comes(20, &pv_near(15.0)));
    say("quit");
}

#[test]
fn wall_a_campaign_against_a_plc_is_judged_at_the_rig_and_its_control_fails() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = std::env::join_paths([python.parent().unwrap().to_owned(), PathBuf::from("/usr/bin"), "/bin".into()]);
    let mut run = Command::new(RIG);
    run.arg("run").arg(repo("hil/campaigns/plc")).args(["--filter", "plc-permit", "--json", "--report"]);
    let out = run.arg(folder.path()).env("PATH", path.unwrap()).output().unwrap();
    let count: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((&count["passed"], &count["negative_failed_as_expected"]), (&1.into(), &1.into()), "{out:?}");
    let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(page.contains("examples/plc.py"), "the report names the device");
}
