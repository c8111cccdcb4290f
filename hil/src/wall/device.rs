//! The program under test, and what befalls its process.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

use super::Programs;
use crate::faults::{Fault, HostFault};
use crate::scenario::Scenario;

/// The variable of the password.
const PASSWORD: &str = "OUTRIGGER_DCS_PASSWORD";
/// Blocks of 512 bytes or a KiB that a file may have on the full disk: the journal's first block fits, and no more.
const FULL_BLOCKS: u32 = 16;
/// Lines of the log that are shown when something is wrong.
const LAST_WORDS: usize = 20;

/// Whether a fault can befall a program from outside.
pub(super) fn can(fault: &Fault) -> bool {
    match fault {
        Fault::AtTheRig(_) | Fault::Link(_) => true,
        Fault::Host(host) => !matches!(host, HostFault::ClockJump { .. } | HostFault::CertificateExpiry),
        Fault::Controller(_) => false,
    }
}

/// The program, in a folder of its own.
#[derive(Debug)]
pub(super) struct Device {
    program: PathBuf,
    folder: PathBuf,
    arguments: Vec<String>,
    password: String,
    disk_is_full: bool,
    child: Option<Child>,
    killed: bool,
    stopped: bool,
    folder_is_gone: bool,
}

impl Device {
    pub(super) fn new(
        programs: &Programs,
        folder: &Path,
        (plant, password): (&str, &str),
        (endpoint, speed): (SocketAddr, f64),
        scenario: &Scenario,
    ) -> anyhow::Result<Self> {
        std::fs::write(folder.join("plant.toml"), plant)?;
        let has = |what: &HostFault| scenario.faults.iter().any(|timed| timed.fault == Fault::Host(*what));
        let mut arguments: Vec<String> =
            ["run", "plant.toml", "--pki", "pki", "--state", "state"].map(str::to_owned).into();
        arguments.extend([
            "--endpoint".to_owned(),
            format!("opc.tcp://{endpoint}/"),
            "--speed".to_owned(),
            speed.to_string(),
        ]);
        arguments.extend(["--override", "a campaign at the rig", "--override-hours", "1"].map(str::to_owned));
        if has(&HostFault::DiskFull) || has(&HostFault::IoError) {
            arguments.extend(["--journal".to_owned(), "run.journal".to_owned()]);
        }
        let device = Self {
            program: programs.outrigger.canonicalize().with_context(|| programs.outrigger.display().to_string())?,
            folder: folder.to_owned(),
            arguments,
            password: password.to_owned(),
            disk_is_full: has(&HostFault::DiskFull),
            child: None,
            killed: false,
            stopped: false,
            folder_is_gone: false,
        };
        device.call(&["certificate", "--pki", "pki"])?;
        Ok(device)
    }

    fn call(&self, args: &[&str]) -> anyhow::Result<()> {
        let out = Command::new(&self.program).args(args).current_dir(&self.folder).output()?;
        if !out.status.success() {
            bail!("{} {}: {}", self.program.display(), args.join(" "), String::from_utf8_lossy(&out.stderr));
        }
        Ok(())
    }

    /// Its own certificate.
    pub(super) fn certificate(&self) -> anyhow::Result<PathBuf> {
        let file = self.folder.join("pki/own/cert.der");
        if !file.is_file() {
            bail!("{}: the program has made no certificate", file.display());
        }
        Ok(file)
    }

    /// Lets it trust the server.
    pub(super) fn trust(&self, certificate: &Path) -> anyhow::Result<()> {
        let certificate = certificate.canonicalize()?.display().to_string();
        self.call(&["certificate", "--pki", "pki", "--trust", &certificate])
    }

    pub(super) fn spawn(&mut self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(self.folder.join("log"))?;
        let mut command = match self.disk_is_full {
            false => Command::new(&self.program),
            true => {
                // A write beyond the limit fails instead of killing the process.
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("trap '' XFSZ; ulimit -f {FULL_BLOCKS}; exec \"$0\" \"$@\"")]);
                shell.arg(&self.program);
                shell
            }
        };
        command.args(&self.arguments).current_dir(&self.folder).env(PASSWORD, &self.password);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        // The log goes through a pipe where the disk is full, or it would be the first to feel it.
        command.stderr(if self.disk_is_full { Stdio::null() } else { Stdio::from(log) });
        self.child = Some(command.spawn().with_context(|| self.program.display().to_string())?);
        Ok(())
    }

    /// What acts at `now` befalls the process and its folder.
    pub(super) fn befall(&mut self, scenario: &Scenario, now: Duration) -> anyhow::Result<()> {
        let acting = |is: fn(&HostFault) -> bool| {
            let all = scenario.faults.iter().filter(|timed| timed.acts(now));
            all.into_iter().find(|timed| matches!(&timed.fault, Fault::Host(host) if is(host)))
        };
        let kill = acting(|host| *host == HostFault::Kill).is_some();
        if kill && !self.killed {
            self.kill();
        } else if !kill && self.killed {
            // A journal is never overwritten: the next run has its own.
            self.arguments.retain(|word| word != "--journal" && word != "run.journal");
            self.spawn()?;
        }
        self.killed = kill;
        let hog = acting(|host| matches!(host, HostFault::CpuHog { .. })).is_some_and(|timed| match timed.fault {
            Fault::Host(HostFault::CpuHog { stall_s, every_s }) => (now - timed.at).as_secs_f64() % every_s < stall_s,
            _ => false,
        });
        if hog != self.stopped {
            self.signal(if hog { "-STOP" } else { "-CONT" })?;
            self.stopped = hog;
        }
        if !self.folder_is_gone && acting(|host| *host == HostFault::IoError).is_some() {
            self.folder_is_gone = true;
            std::fs::remove_dir_all(self.folder.join("state"))?;
        }
        Ok(())
    }

    fn signal(&self, which: &str) -> anyhow::Result<()> {
        let Some(child) = &self.child else { return Ok(()) };
        let told = Command::new("kill").args([which, &child.id().to_string()]).status().context("no program `kill`")?;
        if told.success() { Ok(()) } else { bail!("the program cannot be signalled") }
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Both fail only if it has ended already, which is what is wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Ends it; gives how it had ended by itself, if it had.
    pub(super) fn end(&mut self) -> Option<String> {
        let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
        self.kill();
        ended.map(|status| format!("the program ended by itself, {status}: {}", self.last_words()))
    }

    /// The last lines of its log.
    pub(super) fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines.get(lines.len().saturating_sub(LAST_WORDS)..).unwrap_or_default().join("\n")
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.kill();
    }
}
