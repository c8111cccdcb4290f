//! A site: a folder with both certificate stores, the passwords, and the programs started in it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use super::{Child, Heard, LIMIT, RigProcess, SPEED, programs};

/// The environment variable of the application's password.
const DCS_PASSWORD: &str = "OUTRIGGER_DCS_PASSWORD";
/// The environment variable of the operator's password.
const OPERATOR_PASSWORD: &str = "OUTRIGGER_OPERATOR_PASSWORD";

/// One test's site.
#[derive(Debug)]
pub struct Site {
    dir: TempDir,
    programs: PathBuf,
    /// The application's password.
    pub dcs_password: String,
    /// The operator's password.
    pub operator_password: String,
    _turn: MutexGuard<'static, ()>,
}

impl Site {
    /// A site with two certificate stores that know each other.
    ///
    /// # Errors
    /// When the programs cannot be found or built, or a certificate not be made.
    pub fn new() -> Result<Self> {
        let site = Self::of_strangers()?;
        // The rig's certificate is made at its first start.
        drop(site.rig(&[])?);
        site.introduce()?;
        Ok(site)
    }

    /// A site whose two programs do not trust each other.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of_strangers() -> Result<Self> {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::tempdir()?;
        let password = |role: &str| format!("{role}-{}", dir.path().display());
        let (dcs_password, operator_password) = (password("dcs"), password("operator"));
        let site = Self { programs: programs::folder()?, dcs_password, operator_password, dir, _turn: turn };
        site.outrigger(&["certificate"])?;
        Ok(site)
    }

    /// Lets each of the two programs trust the other's certificate.
    ///
    /// # Errors
    /// When one of them refuses.
    pub fn introduce(&self) -> Result<()> {
        self.trust_rig()?;
        self.let_in(&self.path("pki/own/cert.der"))
    }

    /// Lets `outrigger` trust the rig's certificate.
    ///
    /// # Errors
    /// When it refuses.
    pub fn trust_rig(&self) -> Result<()> {
        let theirs = self.path("rig-pki/own/cert.der");
        self.outrigger(&["certificate", "--trust", &theirs.display().to_string()]).map(drop)
    }

    /// Lets a client in at the rig.
    ///
    /// # Errors
    /// When the rig refuses its certificate.
    pub fn let_in(&self, certificate: &Path) -> Result<()> {
        let mut command = self.program("outrigger-hil");
        command.arg("trust").arg(certificate).arg("--pki").arg(self.path("rig-pki"));
        successful("outrigger-hil trust", &command.output()?)
    }

    /// A place in the site's folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir(self.dir.path()).env_remove("RUST_LOG");
        command.env(DCS_PASSWORD, &self.dcs_password).env(OPERATOR_PASSWORD, &self.operator_password);
        command
    }

    /// Runs `outrigger` to its end in the site's folder, where its certificates are in `pki`; gives its output.
    ///
    /// # Errors
    /// When it fails.
    pub fn outrigger(&self, args: &[&str]) -> Result<String> {
        let output = self.program("outrigger").args(args).output().context("outrigger cannot be started")?;
        successful("outrigger", &output)?;
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Starts the rig of `cstr` on a free port, or at the end of `args` on another address.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn rig(&self, args: &[&str]) -> Result<RigProcess> {
        self.rig_of(&crate::repo("hil/plants/cstr.toml"), args)
    }

    /// As [`Self::rig`], of another rig file.
    ///
    /// # Errors
    /// As [`Self::rig`].
    pub fn rig_of(&self, file: &Path, args: &[&str]) -> Result<RigProcess> {
        let mut command = self.program("outrigger-hil");
        // What the server's library says of sessions is how a test counts logins.
        command.env("RUST_LOG", "warn,opcua_server::session::manager=info");
        command.arg("plant").arg(file).args(["--json", "--pki", "rig-pki"]);
        let listen = if args.contains(&"--listen") { &[][..] } else { &["--listen", "127.0.0.1:0"] };
        command.args(["--speed", &SPEED.to_string()]).args(listen).args(args);
        RigProcess::start(&mut command)
    }

    /// The shipped plant file `cstr`.
    #[must_use]
    pub fn shipped_plant(&self) -> PathBuf {
        crate::repo("deploy/plants/cstr.toml")
    }

    /// The shipped plant file with some of its text replaced.
    ///
    /// # Errors
    /// When a text to be replaced is not there exactly once: the variant would not be what it says.
    pub fn plant_with(&self, replaced: &[(&str, &str)]) -> Result<PathBuf> {
        let mut text = std::fs::read_to_string(self.shipped_plant())?;
        for (old, new) in replaced {
            if text.matches(old).count() != 1 {
                bail!("`{old}` is not there exactly once");
            }
            text = text.replace(old, new);
        }
        let file = self.path("plant.toml");
        std::fs::write(&file, text)?;
        Ok(file)
    }

    /// Starts the loop of `plant` against the server at `endpoint`.
    ///
    /// # Errors
    /// When it cannot be started or does not serve its pages.
    pub fn run(&self, plant: &Path, endpoint: &str) -> Result<RuntimeProcess> {
        self.run_with(plant, endpoint, &self.dcs_password)
    }

    /// As [`Self::run`], with arguments more.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_but(&self, plant: &Path, endpoint: &str, more: &[&str]) -> Result<RuntimeProcess> {
        self.start(plant, endpoint, &self.dcs_password, more)
    }

    /// As [`Self::run`], with a password.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_with(&self, plant: &Path, endpoint: &str, password: &str) -> Result<RuntimeProcess> {
        self.start(plant, endpoint, password, &[])
    }

    fn start(&self, plant: &Path, endpoint: &str, password: &str, more: &[&str]) -> Result<RuntimeProcess> {
        let speed = SPEED.to_string();
        let mut args = [&["--endpoint", endpoint, "--speed", &speed], more].concat();
        // A loop that was never commissioned, at the rig.
        if !more.contains(&"--override-hours") {
            args.extend(["--override", "a test at the rig", "--override-hours", "1"]);
        }
        self.run_as_it_is(plant, password, &args)
    }

    /// Starts the loop of `plant` with these arguments and no override.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub(super) fn run_as_it_is(&self, plant: &Path, password: &str, args: &[&str]) -> Result<RuntimeProcess> {
        let mut command = self.program("outrigger");
        command.arg("run").arg(plant).args(args).env(DCS_PASSWORD, password);
        command.args(["--http", "127.0.0.1:0", "--report", "report.json"]);
        // A report of an earlier run must not pass for this one's.
        let report = self.path("report.json");
        let _ = std::fs::remove_file(&report);
        RuntimeProcess::start(&mut command, report)
    }
}

fn successful(what: &str, output: &Output) -> Result<()> {
    if output.status.success() {
        return Ok(());
    }
    bail!("{what}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr))
}

/// A running `outrigger run`.
#[derive(Debug)]
pub struct RuntimeProcess {
    /// Its log.
    pub log: Heard<String>,
    pages: SocketAddr,
    report: PathBuf,
    child: Child,
}

impl RuntimeProcess {
    fn start(command: &mut Command, report: PathBuf) -> Result<Self> {
        let mut child = Child::spawn("outrigger", command)?;
        let log = Heard::listen(child.errors()?, |line| line);
        let bound = log.wait("the address of the pages", 0, LIMIT, |lines| {
            lines.iter().find_map(|line| line.split_once("bound=")?.1.trim().parse().ok())
        })?;
        Ok(Self { log, pages: bound, report, child })
    }

    /// A page: its status code and its body.
    ///
    /// # Errors
    /// When it cannot be had.
    pub fn page(&self, path: &str) -> Result<(u16, String)> {
        let limit = Some(Duration::from_secs(5));
        let mut stream = TcpStream::connect(self.pages)?;
        stream.set_read_timeout(limit)?;
        stream.set_write_timeout(limit)?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.pages)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP head")?;
        let code = head.split_whitespace().nth(1).context("no HTTP status")?.parse()?;
        Ok((code, body.to_owned()))
    }

    /// The present state, from `/status`.
    ///
    /// # Errors
    /// When the page cannot be had.
    pub fn status(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.page("/status")?.1)?)
    }

    /// Waits until `/status` says something.
    ///
    /// # Errors
    /// When it has not within [`LIMIT`].
    pub fn says(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Result<Value> {
        let until = Instant::now() + LIMIT;
        loop {
            let status = self.status();
            if let Ok(status) = &status
                && holds(status)
            {
                return Ok(status.clone());
            }
            if Instant::now() > until {
                bail!("{what}: not seen; /status {status:?}; log:\n{}", self.log.all().join("\n"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits for a line of the log that holds `text`; gives it.
    ///
    /// # Errors
    /// When it has not come within [`LIMIT`].
    pub fn tells(&self, text: &str) -> Result<String> {
        self.log.wait(text, 0, LIMIT, |lines| lines.iter().find(|line| line.contains(text)).cloned())
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// The system's.
    pub fn runs(&mut self) -> Result<bool> {
        self.child.runs()
    }

    /// Stops all its threads for so long.
    ///
    /// # Errors
    /// The system's.
    pub fn freeze(&self, how_long: Duration) -> Result<()> {
        self.child.freeze(how_long)
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// The system's.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()
    }

    /// Waits for it to end by itself; gives how, and its whole log.
    ///
    /// # Errors
    /// When it goes on for longer than [`LIMIT`].
    pub fn ended(mut self) -> Result<(ExitStatus, String)> {
        let status = self.child.ended(LIMIT)?;
        Ok((status, self.log.to_the_end(LIMIT)?.join("\n")))
    }

    /// Asks it to stop and waits until it has; gives its report and its whole log.
    ///
    /// # Errors
    /// When it does not end with 0, or leaves no report.
    pub fn stop(mut self) -> Result<(Value, String)> {
        self.child.terminate()?;
        let status = self.child.ended(LIMIT)?;
        let log = self.log.to_the_end(LIMIT)?.join("\n");
        if !status.success() {
            bail!("outrigger: {status}; log:\n{log}");
        }
        let report = std::fs::read_to_string(&self.report).context("no report")?;
        Ok((serde_json::from_str(&report)?, log))
    }
}
