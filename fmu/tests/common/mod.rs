//! Units made for a test, and the program spoken to as the rig does.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]
#![allow(dead_code, reason = "each test program uses its part")]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

use serde_json::{Value, json};

/// A file of `tests/units`.
pub(crate) fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/units").join(name)
}

/// Packs files into `folder/name`.
pub(crate) fn packed(folder: &Path, name: &str, files: &[(&str, &[u8])]) -> PathBuf {
    let path = folder.join(name);
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    for (inside, bytes) in files {
        zip.start_file(*inside, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
    path
}

/// The tank of C as a unit of FMI `version`, in `folder`; `edit` may change its description.
pub(crate) fn tank(folder: &Path, version: u8, edit: impl Fn(String) -> String) -> PathBuf {
    let library = folder.join(format!("tank{version}.so"));
    let c = source(&format!("tank{version}.c"));
    let built = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).args([&library, &c]).arg("-lm").status();
    assert!(built.unwrap().success(), "cc cannot build {}", c.display());
    let machine = match (version, std::env::consts::ARCH) {
        (2, _) => "linux64".to_owned(),
        (_, arch) => format!("{arch}-linux"),
    };
    let xml = edit(std::fs::read_to_string(source(&format!("tank{version}.xml"))).unwrap());
    let inside = format!("binaries/{machine}/tank{version}.so");
    let files = [("modelDescription.xml", xml.as_bytes()), (inside.as_str(), &std::fs::read(&library).unwrap()[..])];
    packed(folder, &format!("tank{version}.fmu"), &files)
}

/// The program, not started; what it unpacks lies beside the unit, since a crash leaves it there.
pub(crate) fn program(unit: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger-fmu"));
    command.arg(unit).args(arguments).env("TMPDIR", unit.parent().unwrap());
    command
}

/// Runs the program with nothing to read; whether it did well, what it printed, and what it printed to standard error.
pub(crate) fn run(unit: &Path, arguments: &[&str]) -> (bool, String, String) {
    let Output { status, stdout, stderr } = program(unit, arguments).stdin(Stdio::null()).output().unwrap();
    (status.success(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// The program, spoken to.
pub(crate) struct Plant {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
    n: u64,
}

impl Plant {
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (to, from) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, to, from, n: 0 }
    }

    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.to.as_mut().unwrap(), "{line}").unwrap();
    }

    /// The next line; `None` if it has ended.
    pub(crate) fn hear(&mut self) -> Option<Value> {
        let mut line = String::new();
        let n = self.from.read_line(&mut line).unwrap();
        (n > 0).then(|| serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line:?}: {e}")))
    }

    pub(crate) fn ask(&mut self, line: &Value) -> Value {
        self.say(&line.to_string());
        self.hear().unwrap()
    }

    pub(crate) fn hello(&mut self) -> Value {
        self.ask(&json!({"op": "hello", "protocol": 1}))
    }

    pub(crate) fn start(&mut self, u: &[f64], p: &[f64]) -> Value {
        self.n = 0;
        self.ask(&json!({"op": "start", "u": u, "p": p}))
    }

    /// One step; its answer must bear its number.
    pub(crate) fn step(&mut self, dt_s: f64, u: &[f64], p: &[f64]) -> Value {
        self.n += 1;
        let answer = self.ask(&json!({"op": "step", "n": self.n, "dt_s": dt_s, "u": u, "p": p}));
        assert_eq!(answer["n"], self.n, "{answer}");
        answer
    }

    /// What `step` answered instead of numbers.
    pub(crate) fn refused(&mut self, u: f64) -> String {
        let answer = self.step(1.0, &[u], &[]);
        answer["error"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// How it ends when it is told to stop.
    pub(crate) fn stop(mut self) -> std::process::ExitStatus {
        self.say(r#"{"op":"stop"}"#);
        self.to = None;
        assert_eq!(self.hear(), None);
        self.child.wait().unwrap()
    }

    /// How it ended by itself.
    pub(crate) fn ended(mut self) -> std::process::ExitStatus {
        assert_eq!(self.hear(), None);
        self.child.wait().unwrap()
    }
}

/// One output, as the analytic answer `want`.
pub(crate) fn assert_y(answer: &Value, want: f64) {
    let y = answer["y"][0].as_f64().unwrap_or_else(|| panic!("{answer}"));
    assert!((y - want).abs() < 1e-9, "{y}, expected {want}");
}

/// The tank `t_s` seconds after `from`, under `power`.
pub(crate) fn level(from: f64, power: f64, t_s: f64) -> f64 {
    let rest = 20.0 + power;
    rest + (from - rest) * (-t_s / 10.0).exp()
}
