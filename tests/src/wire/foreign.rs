//! A foreign OPC UA client: Python with asyncua, which shares no line with the stack under test.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{Child, Heard, LIMIT, RigProcess, Site};

/// The variable that names the interpreter.
const PYTHON: &str = "OUTRIGGER_TEST_PYTHON";
/// The variable that makes a missing client an error: where it is set, no interop test passes without having run.
const REQUIRE_PYTHON: &str = "OUTRIGGER_REQUIRE_PYTHON";

/// Who the client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum As {
    /// Nobody, without security.
    Anonymous,
    /// The operator, signed and encrypted (Basic256Sha256).
    Operator,
    /// The application, signed and encrypted.
    Application,
}

/// A change that a subscription reported.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The tag, below the prefix.
    pub tag: String,
    /// Its value; null for NaN.
    pub value: Value,
    /// Its source time, seconds of UTC.
    pub source_s: f64,
}

/// The client, its certificate known to the rig.
#[derive(Debug)]
pub struct Foreign {
    python: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
    server_certificate: PathBuf,
    passwords: (String, String),
}

impl Foreign {
    /// The client, or `None` with a printed word where this machine has none.
    ///
    /// # Errors
    /// When there is none and `OUTRIGGER_REQUIRE_PYTHON` is set, or when there is one and its certificate cannot be made
    /// or is refused.
    pub fn at(site: &Site) -> Result<Option<Self>> {
        let Some(python) = python()? else { return Ok(None) };
        let foreign = Self {
            python,
            certificate: site.path("foreign.der"),
            key: site.path("foreign.pem"),
            server_certificate: site.path("rig-pki/own/cert.der"),
            passwords: (site.operator_password.clone(), site.dcs_password.clone()),
        };
        let mut command = foreign.script("certificate.py");
        foreign.output(command.arg(&foreign.certificate).arg(&foreign.key))?;
        site.let_in(&foreign.certificate)?;
        Ok(Some(foreign))
    }

    fn script(&self, name: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg("-B").arg(crate::repo("tests/python").join(name));
        command
    }

    /// Tells the script who it is through its environment, where other users of the machine do not see it.
    fn connected(&self, name: &str, rig: &RigProcess, who: As) -> Command {
        let user = match who {
            As::Anonymous => Value::Null,
            As::Operator => json!({ "name": "operator", "password": self.passwords.0 }),
            As::Application => json!({ "name": "outrigger", "password": self.passwords.1 }),
        };
        let connection = json!({
            "endpoint": rig.endpoint,
            "user": user,
            "certificate": self.certificate,
            "key": self.key,
            "server_certificate": self.server_certificate,
        });
        let mut command = self.script(name);
        command.env("RIG_CONNECTION", connection.to_string());
        command
    }

    fn output(&self, command: &mut Command) -> Result<Value> {
        let output = command.output().context("python cannot be started")?;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            bail!("{}\n{err}", output.status);
        }
        serde_json::from_str(&out).with_context(|| format!("no JSON: {out}{err}"))
    }

    /// Every variable below the loop's folder, found by browsing from Objects: `{tag, declared, type, status, value,
    /// source_s, later_s, now_s}`, the source time read twice.
    ///
    /// # Errors
    /// The script's.
    pub fn browse(&self, rig: &RigProcess, who: As) -> Result<Vec<Value>> {
        let found = self.output(&mut self.connected("browse.py", rig, who))?;
        found.as_array().cloned().context("no list")
    }

    /// Tries writes, given as (tag, type, value as text); gives `{tag, status, before, after}` for each.
    ///
    /// # Errors
    /// The script's; a refused write is none.
    pub fn write(&self, rig: &RigProcess, who: As, writes: &[(&str, &str, &str)]) -> Result<Vec<Value>> {
        let writes: Vec<_> = writes.iter().map(|(tag, kind, value)| json!([tag, kind, value])).collect();
        let mut command = self.connected("write.py", rig, who);
        let answers = self.output(command.arg(Value::from(writes).to_string()))?;
        answers.as_array().cloned().context("no list")
    }

    /// Subscribes to tags; gives the client and what it reports, once every tag has been reported.
    ///
    /// # Errors
    /// The script's.
    pub fn watch(&self, rig: &RigProcess, tags: &[&str]) -> Result<(Child, Heard<Change>)> {
        let mut command = self.connected("watch.py", rig, As::Operator);
        let mut child = Child::spawn("watch.py", command.args(tags))?;
        let changes = Heard::listen(child.output()?, |line| change(&line));
        let errors = Heard::listen(child.errors()?, |line| line);
        let all =
            |changes: &[Change]| tags.iter().all(|tag| changes.iter().any(|change| change.tag == *tag)).then_some(());
        changes
            .wait("a first report of every tag", 0, LIMIT, all)
            .with_context(|| format!("{:#?}", errors.to_the_end(Duration::from_secs(1)).unwrap_or_default()))?;
        Ok((child, changes))
    }
}

/// The Python with asyncua, or `None` with a printed word where this machine has none.
///
/// # Errors
/// When there is none and `OUTRIGGER_REQUIRE_PYTHON` is set.
pub(super) fn python() -> Result<Option<PathBuf>> {
    let given = std::env::var_os(PYTHON).map(PathBuf::from);
    let python = given.unwrap_or_else(|| crate::repo("target/venv/bin/python"));
    let has_client = Command::new(&python).args(["-c", "import asyncua"]).output();
    if has_client.is_ok_and(|output| output.status.success()) {
        return Ok(Some(python));
    }
    let missing = format!("no Python with asyncua at {} (set {PYTHON})", python.display());
    if std::env::var_os(REQUIRE_PYTHON).is_some() {
        bail!("{missing}, and {REQUIRE_PYTHON} is set");
    }
    announce(&format!("skipped: {missing}"));
    Ok(None)
}

fn change(line: &str) -> Change {
    let read: Value = serde_json::from_str(line).unwrap_or_default();
    let tag = read["tag"].as_str().unwrap_or(line).to_owned();
    Change { tag, value: read["value"].clone(), source_s: read["source_s"].as_f64().unwrap_or(f64::NAN) }
}

#[allow(clippy::print_stdout, reason = "how a test says that it was skipped")]
fn announce(text: &str) {
    println!("{text}");
}
