//! The commissioning ladder through the program itself: from nothing to closed loop, and down again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test speaks by panicking, helpers of tests too"
)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use control::accuracy::Fit;
use ed25519_dalek::SigningKey;
use runtime::commission::certificate::{Certificate, Claims, Results, rfc3339};
use runtime::commission::evidence::{Evidence, Shown};
use runtime::commission::hashes::{Binding, Hashes};
use serde_json::Value;
use tempfile::TempDir;

/// A folder with a plant file, in which the program is started.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/plants/cstr.toml");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let text = fs::read_to_string(shipped).unwrap().replace("127.0.0.1:4855", &format!("127.0.0.1:{port}"));
        fs::write(place.path().join("plant.toml"), text).unwrap();
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.path().join("plant.toml")).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(self.path().join("plant.toml"), text.replacen(from, to, 1)).unwrap();
    }

    fn outrigger(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
        command.args(args).current_dir(self.path()).stdin(Stdio::null());
        command.env_remove("RUST_LOG").env("OUTRIGGER_DCS_PASSWORD", "never sent");
        command
    }

    fn output(&self, args: &[&str]) -> Output {
        self.outrigger(args).output().unwrap()
    }

    fn status(&self) -> Value {
        let output = self.output(&["commission", "status", "plant.toml", "--json"]);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&output.stderr)))
    }

    fn sign(&self, task: &str, step: &str, mv: Option<&str>, by: &str) -> Output {
        let words = ["commission", task, "plant.toml", "--step", step, "--by", by];
        let more = ["--role", "engineer", "--reason", "as seen"];
        let mv: Vec<&str> = mv.into_iter().flat_map(|mv| ["--mv", mv]).collect();
        self.output(&[&words[..], &more[..], &mv[..]].concat())
    }

    /// A run that is stopped once it says how far it may go; its log's line, its exit code and its report.
    fn run(&self) -> (String, Option<i32>, Value) {
        let mut child = self
            .outrigger(&["run", "plant.toml", "--report", "report.json"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let said = lines.find(|line| line.contains("commissioned") || line.contains("FALLEN BACK")).unwrap();
        assert!(lines.any(|line| line.contains("no connection to the DCS")), "it runs");
        assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
        lines.for_each(drop);
        let code = child.wait().unwrap().code();
        let report = fs::read_to_string(self.path().join("report.json")).unwrap();
        (said, code, serde_json::from_str(&report).unwrap())
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Refused by the ladder: its exit code, and what it said.
fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    text(&output.stderr)
}

fn succeeds(output: &Output) {
    assert!(output.status.success(), "{}", text(&output.stderr));
}

fn binding(status: &Value) -> Binding {
    let hash = |key: &str| status["hashes"][key].as_str().unwrap().to_owned();
    let hashes = Hashes { configuration: hash("configuration"), model: hash("model"), binary: hash("binary") };
    Binding { hashes, site: status["site"].as_str().unwrap().to_owned() }
}

/// So many hours as a run would have recorded them: the reactor's three CVs, well foretold.
fn shown(hours: f64) -> Shown {
    let fit = |limit: f64| {
        let mut fit = Fit::default();
        for sign in [1.0, -1.0] {
            fit.add(5.0 * sign * limit, 0.5 * sign * limit);
        }
        fit
    };
    Shown { seconds: 3600.0 * hours, seconds_beyond: 0.0, fits: vec![fit(0.02), fit(0.4), fit(0.4)] }
}

/// The rig's certificate for this loop, and its public key among the trusted ones.
fn certify(place: &Place, binding: &Binding) {
    let rig = SigningKey::from_bytes(&[9; 32]);
    let key: String = rig.verifying_key().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(place.path().join("rig-keys.txt"), format!("{key}  the rig\n")).unwrap();
    let claims = Claims {
        format: 1,
        campaign: "full".into(),
        rig: "0.1.0".into(),
        hashes: binding.hashes.clone(),
        results: Results { passed: 100, failed: 0, skipped: 0 },
        issued: rfc3339(0),
        expires: "2100-01-01T00:00:00Z".into(),
        key: String::new(),
    };
    let certificate = serde_json::to_string(&Certificate::sign(claims, &rig)).unwrap();
    fs::write(place.path().join("forged.json"), certificate.replace("\"passed\":100", "\"passed\":101")).unwrap();
    fs::write(place.path().join("certificate.json"), certificate).unwrap();
}

/// A place with all the evidence that a machine can give, for its two modes; nobody has approved.
fn with_evidence() -> Place {
    let place = Place::new();
    let binding = binding(&place.status());
    certify(&place, &binding);
    let evidence = Evidence { shadow: shown(72.0), advisory: shown(168.0), ..Evidence::none(binding.clone()) };
    evidence.save(&place.path().join(format!("commission/cstr/evidence-{}.txt", binding.id()))).unwrap();
    place
}

#[test]
fn closed_loop_without_evidence_is_refused_with_the_list_before_anything_is_tried() {
    let place = Place::new();
    let said = refused(&place.output(&["run", "plant.toml"]));
    for word in [
        "`mode = \"closed-loop\"` is refused; shadow is permitted",
        "72 h in shadow",
        "a HIL certificate",
        "closed-loop of QC101",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(!said.contains("connection") && !place.path().join("pki").exists(), "{said}");
    let table = text(&place.output(&["commission", "status", "plant.toml"]).stdout);
    assert!(
        table.contains("shadow permitted; the file asks for closed-loop") && table.contains("72 h in shadow"),
        "{table}"
    );
    place.edit("mode = \"closed-loop\"", "mode = \"shadow\"");
    assert_eq!(place.run().1, Some(0), "the control");
}

#[test]
fn an_override_off_the_rig_is_refused() {
    let place = Place::new();
    let over = ["--override", "a trial", "--override-hours", "1"];
    let elsewhere = ["run", "plant.toml", "--endpoint", "opc.tcp://192.0.2.1:4840/"];
    let said = refused(&place.output(&[&elsewhere[..], &over[..]].concat()));
    assert!(said.contains("an override is for rigs only, and opc.tcp://192.0.2.1:4840/ is none"), "{said}");
    assert!(!place.path().join("commission/cstr/audit.jsonl").exists());
}

#[test]
fn a_forged_certificate_is_refused_and_an_approval_without_evidence_too() {
    let place = Place::new();
    certify(&place, &binding(&place.status()));
    let accept = |file: &str| place.output(&["commission", "accept-certificate", "plant.toml", file]);
    let forged = accept("forged.json");
    assert!(!forged.status.success() && text(&forged.stderr).contains("it was changed"), "{}", text(&forged.stderr));
    succeeds(&accept("certificate.json"));
    let status = place.status();
    assert!(status["certificate"].as_str().unwrap().starts_with("full, valid until 2100"), "{status}");
    let early = place.sign("approve", "advisory", None, "Ann Lee");
    let said = text(&early.stderr);
    assert!(
        !early.status.success() && said.contains("nothing yet to approve") && said.contains("72 h in shadow"),
        "{said}"
    );
}

#[test]
fn the_ladder_is_climbed_step_by_step_and_a_changed_file_falls_back() {
    let place = with_evidence();
    let permitted = || place.status()["permitted"].as_str().unwrap().to_owned();
    assert!(refused(&place.output(&["run", "plant.toml"])).contains("a HIL certificate: none was accepted"));
    succeeds(&place.output(&["commission", "accept-certificate", "plant.toml", "certificate.json"]));
    for (by, step) in [("Ann Lee", "shadow"), ("ann lee", "shadow"), ("Bo Ek", "advisory")] {
        succeeds(&place.sign("approve", "advisory", None, by));
        assert_eq!(permitted(), step, "{by}");
    }
    assert!(!place.sign("approve", "closed-loop", None, "Ann Lee").status.success(), "of which MV?");
    assert!(!place.sign("approve", "closed-loop", Some("XC1"), "Ann Lee").status.success(), "no such MV");
    for (by, step) in [("Ann Lee", "advisory"), ("Bo Ek", "closed-loop")] {
        succeeds(&place.sign("approve", "closed-loop", Some("FC101"), by));
        assert_eq!(permitted(), step, "{by}");
    }

    // One MV: the loop runs, and leaves the other to the DCS.
    let (said, code, report) = place.run();
    assert!(said.contains("commissioned for some MVs") && said.contains("closed-loop of QC101"), "{said}");
    assert_eq!((code, &report["commission"]["mode"]), (Some(0), &"closed-loop".into()));
    assert_eq!(report["commission"]["mvs"], serde_json::json!(["FC101"]));
    let hours = |status: &Value| status["modes"][0]["hours"].as_f64().unwrap();
    assert!((hours(&place.status()) - 72.0).abs() < 1e-9, "a restart keeps the hours");

    // A changed file has nothing to show, and starts at the bottom. As it was, it has all of it again.
    place.edit("move_weight = 1.0", "move_weight = 1.1");
    assert!(hours(&place.status()).abs() < 1e-9);
    let (said, code, report) = place.run();
    assert!(said.contains("FALLEN BACK") && said.contains("ERROR"), "{said}");
    assert_eq!((code, &report["commission"]["mode"]), (Some(0), &"shadow".into()));
    assert_eq!(report["commission"]["grounds"], "fell-back");
    place.edit("move_weight = 1.1", "move_weight = 1.0 # as it was");
    assert_eq!(place.run().2["commission"]["mode"], "closed-loop");

    // Revoked, it is refused.
    succeeds(&place.sign("revoke", "advisory", None, "Cy Dorn"));
    assert!(refused(&place.output(&["run", "plant.toml"])).contains("approvals by 2 different persons; there are 0"));
    let log = fs::read_to_string(place.path().join("commission/cstr/audit.jsonl")).unwrap();
    let acts = ["certificate", "approve", "run", "fell-back", "revoke"];
    assert!(acts.iter().all(|act| log.contains(&format!("\"act\":\"{act}\""))), "{log}");
    assert!(log.contains("Ann Lee") && log.contains("(uid "), "{log}");
}
