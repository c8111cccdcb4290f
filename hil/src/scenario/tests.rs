//! What a scenario file may say, and the faults it may have.

use std::path::Path;

use super::read::{Campaign, ScenarioError, parse};
use super::*;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("campaigns/cstr")
}

const GOOD: &str = "title = \"t\"\nrequirements = [\"check 3\"]\n[[fault]]\nat_s = 60\nkind = \"drop\"\n[pass]\n\
                    end_state = [\"shed\"]\n[negative]\nguard = \"interlock\"\n";

fn read(text: &str) -> Result<Scenario, ScenarioError> {
    parse(&folder().join("x.toml"), text, &Campaign::of(&folder()).unwrap())
}

fn faults(text: &str) -> Vec<(usize, String, String)> {
    match read(text) {
        Err(ScenarioError::Faulty(faults)) => faults.faults.into_iter().map(|f| (f.line, f.key, f.expected)).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_scenario_leaves_out_is_that_of_its_campaign() {
    let scenario = read(GOOD).unwrap();
    assert_eq!((scenario.id.as_str(), scenario.seed), ("x", 1));
    assert_eq!(scenario.duration, Duration::from_secs(150));
    assert!(scenario.plant.ends_with("cstr-1hz.toml") && scenario.clock == ClockKind::Virtual);
    assert_eq!(scenario.onset(), Duration::from_secs(60));
}

/// A scenario with a device of its own.
fn with_device(table: &str, clock: &str) -> String {
    GOOD.replacen("[[fault]]", &format!("clock = \"{clock}\"\n[device]\n{table}\n[[fault]]"), 1)
}

#[test]
fn a_device_is_told_where_the_rig_is() {
    let table = "name = \"PLC\"\nwire = \"modbus\"\nexec = [\"python3\", \"./plc.py\", \"{host}:{port}\"]";
    let device = read(&with_device(table, "wall x 10")).unwrap().device.unwrap();
    assert_eq!((device.name.as_str(), device.wire, device.listen.port()), ("PLC", Wire::Modbus, 0));
    let words = device.words(&[("{host}", "127.0.0.1".to_owned()), ("{port}", "502".to_owned())]);
    assert_eq!(words[0], "python3");
    assert_eq!(
        words[1],
        std::path::absolute(folder().join("plc.py")).unwrap().display().to_string(),
        "a file beside the scenario"
    );
    assert_eq!(words[2], "127.0.0.1:502");
}

#[test]
fn a_device_with_faults_is_told_by_its_keys() {
    let good = "name = \"PLC\"\nwire = \"modbus\"";
    for (table, clock, key, says) in [
        (good, "virtual", "clock", "no part of virtual time"),
        ("name = \"PLC\"\nwire = \"rope\"", "wall", "device.wire", "\"opcua\""),
        ("wire = \"opcua\"", "wall", "device.name", "what the device is called"),
        ("name = \"PLC\"\nwire = \"modbus\"\nlisten = \"0.0.0.0:502\"", "wall", "device.listen", "of this machine"),
        ("name = \"PLC\"\nwire = \"modbus\"\nexec = \"plc.py\"", "wall", "device.exec", "a program and its arguments"),
    ] {
        let found = faults(&with_device(table, clock));
        assert!(found.iter().any(|f| f.1 == key && f.2.contains(says)), "{table}: {found:?}");
    }
    assert!(read(&with_device(good, "wall")).unwrap().device.unwrap().exec.is_empty(), "the negative control");
}

#[test]
fn each_fault_is_found_at_its_line_and_key() {
    for (from, to, key, says) in [
        ("kind = \"drop\"", "kind = \"drip\"", "fault[1].kind", "\"drop\""),
        ("at_s = 60", "at_s = -1", "fault[1].at_s", "from 0"),
        ("at_s = 60", "at_s = 600", "fault[1].at_s", "before the end"),
        ("at_s = 60", "at_s = 60\nuntil_s = 50", "fault[1].until_s", "after `at_s`"),
        ("kind = \"drop\"", "kind = \"panic\"\non = \"pump\"\ntimes = 1", "fault[1].on", "\"interlock\""),
        ("end_state = [\"shed\"]", "end_state = [\"dead\"]", "pass.end_state", "off, init, warm"),
        ("end_state = [\"shed\"]", "bump_max_pct = 1", "pass.end_state", "a criterion"),
        ("guard = \"interlock\"", "guard = \"luck\"", "negative.guard", "\"last_look\""),
        ("guard = \"interlock\"", "check = \"command_range\"", "negative.check", "\"quality\""),
        ("guard = \"interlock\"", "guard = \"interlock\"\ncheck = \"age\"", "negative.guard", "and no two"),
        ("requirements = [\"check 3\"]", "requirements = []", "requirements", "at least one"),
        ("title = \"t\"", "title = \"t\"\nplant = \"none.toml\"", "plant", "none.toml is none"),
        ("title = \"t\"", "title = \"t\"\nclock = \"sun\"", "clock", "wall x N"),
        ("title = \"t\"", "title = \"t\"\nspeed = 3", "speed", "no such key"),
        ("[[fault]]", "[[operator]]\nat_s = 1\ndo = \"fly\"\n[[fault]]", "operator[1].do", "no command"),
    ] {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "{from}");
        let found = faults(&text);
        let place = found.iter().find(|f| f.1 == key);
        assert!(place.is_some_and(|f| f.2.contains(says)), "{to}: {found:?}");
        let line = text.lines().nth(place.unwrap().0 - 1).unwrap();
        let last = key.rsplit('.').next().unwrap();
        assert!(line.starts_with(last) || line.starts_with('['), "{key} points at `{line}`");
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let text = GOOD.replace("60", "-1").replace("\"shed\"", "\"dead\"").replace("\"interlock\"", "\"luck\"");
    let keys: Vec<_> = faults(&text).into_iter().map(|f| f.1).collect();
    assert_eq!(keys, ["fault[1].at_s", "pass.end_state", "negative.guard"]);
}

#[test]
fn a_scenario_without_a_campaign_must_say_all() {
    let text = GOOD.to_owned();
    let Err(ScenarioError::Faulty(faults)) = parse(Path::new("y.toml"), &text, &Campaign::default()) else { panic!() };
    let keys: Vec<_> = faults.faults.iter().map(|f| f.key.as_str()).collect();
    assert_eq!(keys, ["plant", "rig", "duration_s"]);
}
