//! The program under test, and what befalls its process.

use std::ffi::OsString;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

use super::netns::Namespace;
use crate::faults::{Fault, HostFault};
use crate::scenario::{Foreign, Scenario};

/// The variable of the password.
const PASSWORD: &str = "OUTRIGGER_DCS_PASSWORD";
/// Blocks of 512 bytes or a KiB that a file may have on the full disk: the journal's first block fits, and no more.
const FULL_BLOCKS: u32 = 16;
/// Where a device finds the map of the Modbus registers.
pub(super) const REGISTERS: &str = "registers.txt";
/// Lines of the log that are shown when something is wrong.
const LAST_WORDS: usize = 20;

/// Whether a fault can befall a device from outside: `outrigger` where none is named. The disk is that of `outrigger`; a
/// device that a person has started is not ours to kill.
pub(super) fn can(fault: &Fault, device: Option<&Foreign>) -> bool {
    let host = match fault {
        Fault::AtTheRig(_) | Fault::Link(_) => return true,
        Fault::Controller(_) => return false,
        Fault::Host(host) => host,
    };
    match host {
        HostFault::ClockJump { .. } | HostFault::CertificateExpiry => false,
        HostFault::DiskFull | HostFault::IoError => device.is_none(),
        HostFault::Kill | HostFault::CpuHog { .. } => device.is_none_or(|device| !device.exec.is_empty()),
        HostFault::DeviceRestart | HostFault::SessionLoss | HostFault::DcsWatchdogOff => true,
    }
}

/// What a device is told of the rig.
pub(super) struct Told<'a> {
    /// Where it finds it.
    pub(super) rig: SocketAddr,
    /// Plant seconds per wall second.
    pub(super) speed: f64,
    /// The password of user `outrigger`.
    pub(super) password: &'a str,
}

/// The program, in a folder of its own.
#[derive(Debug)]
pub(super) struct Device {
    /// Nothing where a person starts it.
    program: PathBuf,
    folder: PathBuf,
    arguments: Vec<String>,
    password: String,
    disk_is_full: bool,
    /// Words before the program: those that start it in a namespace.
    within: Vec<String>,
    child: Option<Child>,
    killed: bool,
    stopped: bool,
    folder_is_gone: bool,
}

impl Device {
    fn new(program: PathBuf, arguments: Vec<String>, folder: &Path, password: &str) -> Self {
        Self {
            program,
            folder: folder.to_owned(),
            arguments,
            password: password.to_owned(),
            disk_is_full: false,
            within: Vec::new(),
            child: None,
            killed: false,
            stopped: false,
            folder_is_gone: false,
        }
    }

    /// A foreign device: its own program with what it is told, or one that a person starts.
    pub(super) fn foreign(foreign: &Foreign, folder: &Path, scenario: &Scenario, told: &Told<'_>) -> Self {
        let seconds = scenario.duration.as_secs_f64() / told.speed;
        let words = foreign.words(&[
            ("{host}", told.rig.ip().to_string()),
            ("{port}", told.rig.port().to_string()),
            ("{endpoint}", format!("opc.tcp://{}/", told.rig)),
            ("{registers}", folder.join(REGISTERS).display().to_string()),
            ("{speed}", told.speed.to_string()),
            // With what it takes to start.
            ("{seconds}", (seconds.ceil() + 60.0).to_string()),
        ]);
        let mut words = words.into_iter();
        Self::new(words.next().unwrap_or_default().into(), words.collect(), folder, told.password)
    }

    /// `outrigger`, with a certificate of its own.
    pub(super) fn outrigger(
        program: &Path,
        folder: &Path,
        plant: &str,
        scenario: &Scenario,
        told: &Told<'_>,
    ) -> anyhow::Result<Self> {
        std::fs::write(folder.join("plant.toml"), plant)?;
        let has = |what: &HostFault| scenario.faults.iter().any(|timed| timed.fault == Fault::Host(*what));
        let mut arguments: Vec<String> =
            ["run", "plant.toml", "--pki", "pki", "--state", "state"].map(str::to_owned).into();
        arguments.extend([
            "--endpoint".to_owned(),
            format!("opc.tcp://{}/", told.rig),
            "--speed".to_owned(),
            told.speed.to_string(),
        ]);
        arguments.extend(["--override", "a campaign at the rig", "--override-hours", "1"].map(str::to_owned));
        if has(&HostFault::DiskFull) || has(&HostFault::IoError) {
            arguments.extend(["--journal".to_owned(), "run.journal".to_owned()]);
        }
        let program = program.canonicalize().with_context(|| program.display().to_string())?;
        let mut device = Self::new(program, arguments, folder, told.password);
        device.disk_is_full = has(&HostFault::DiskFull);
        device.call(&["certificate", "--pki", "pki"])?;
        Ok(device)
    }

    /// Has it run in this namespace.
    pub(super) fn put_into(&mut self, namespace: &Namespace) {
        self.within = namespace.words().map(str::to_owned).into();
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

    /// Starts it; one that a person starts is waited for by the rig.
    pub(super) fn spawn(&mut self) -> anyhow::Result<()> {
        if self.program.as_os_str().is_empty() {
            return Ok(());
        }
        let log = File::options().create(true).append(true).open(self.folder.join("log"))?;
        let mut words: Vec<OsString> = self.within.iter().map(OsString::from).collect();
        if self.disk_is_full {
            // A write beyond the limit fails instead of killing the process.
            let line = format!("trap '' XFSZ; ulimit -f {FULL_BLOCKS}; exec \"$0\" \"$@\"");
            words.extend(["sh".into(), "-c".into(), line.into()]);
        }
        words.push(self.program.clone().into());
        words.extend(self.arguments.iter().map(OsString::from));
        let mut words = words.into_iter();
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).current_dir(&self.folder).env(PASSWORD, &self.password);
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

    /// How it has ended by itself, if it has.
    pub(super) fn ended(&mut self) -> Option<String> {
        let status = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
        status.map(|status| format!("the program ended by itself, {status}: {}", self.last_words()))
    }

    /// Ends it; gives how it had ended by itself, if it had.
    pub(super) fn end(&mut self) -> Option<String> {
        let ended = self.ended();
        self.kill();
        ended
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
