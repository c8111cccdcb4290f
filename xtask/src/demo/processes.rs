//! The two programs as children: started, listened to, and never left behind.
//!
//! Each child runs in a process group of its own, so a Ctrl-C at the terminal reaches this command alone, which then
//! stops them in order; whatever way the command ends, dropping a child kills it. Their lines come through a bounded
//! channel, their standard error goes to a log beside the other artifacts.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::record::{RigLine, Status};
use crate::stopwatch::Stopwatch;

/// Lines of the rig that may wait to be read; the rig waits when they are more.
const LINES_MAX: usize = 1024;
const POLL: Duration = Duration::from_millis(50);

/// A child that does not outlive this value.
#[derive(Debug)]
pub(super) struct Guarded {
    name: &'static str,
    child: Child,
}

impl Guarded {
    fn spawn(name: &'static str, command: &mut Command) -> Result<Self> {
        let child = command.process_group(0).spawn().with_context(|| format!("{name} cannot be started"))?;
        Ok(Self { name, child })
    }

    /// `Some` once the child has ended.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("{} cannot be waited for", self.name))
    }

    /// Waits for the child to end by itself.
    pub(super) fn wait(&mut self, limit_s: f64) -> Result<ExitStatus> {
        let watch = Stopwatch::start();
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if watch.seconds() > limit_s {
                bail!("{} did not end within {limit_s} s", self.name);
            }
            thread::sleep(POLL);
        }
    }

    /// Asks the child to stop (SIGTERM).
    pub(super) fn terminate(&self) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        let pid = pid.with_context(|| format!("{} has no process id", self.name))?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)
            .with_context(|| format!("{} cannot be signalled", self.name))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // Both fail only if the child has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the programs are and where they leave their files.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub(super) root: PathBuf,
    pub(super) outrigger: PathBuf,
    pub(super) rig: PathBuf,
    pub(super) artifacts: PathBuf,
}

impl Places {
    pub(super) fn runtime_pki(&self) -> PathBuf {
        self.artifacts.join("runtime-pki")
    }

    pub(super) fn rig_pki(&self) -> PathBuf {
        self.artifacts.join("rig-pki")
    }

    fn state(&self) -> PathBuf {
        self.artifacts.join("state")
    }

    pub(super) fn report(&self) -> PathBuf {
        self.artifacts.join("report.json")
    }

    fn log(&self, name: &str) -> Result<File> {
        let path = self.artifacts.join(name);
        File::create(&path).with_context(|| format!("{} cannot be made", path.display()))
    }
}

/// The passwords of the run, made up for it.
#[derive(Clone, Debug)]
pub(super) struct Passwords {
    dcs: String,
    operator: String,
}

impl Passwords {
    pub(super) fn random() -> Result<Self> {
        let word = || -> Result<String> {
            let mut bytes = [0_u8; 16];
            File::open("/dev/urandom")?.read_exact(&mut bytes)?;
            Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
        };
        let made = || -> Result<Self> { Ok(Self { dcs: word()?, operator: word()? }) };
        made().context("no random bytes for passwords")
    }
}

/// Makes the runtime's certificate and lets the rig trust it.
pub(super) fn introduce_runtime(places: &Places) -> Result<()> {
    run(places, "outrigger", |outrigger| outrigger.arg("certificate").arg("--pki").arg(places.runtime_pki()))?;
    let certificate = places.runtime_pki().join("own/cert.der");
    run(places, "outrigger-hil", |rig| rig.arg("trust").arg(certificate).arg("--pki").arg(places.rig_pki()))
}

/// Lets the runtime trust the rig's certificate.
pub(super) fn introduce_rig(places: &Places, certificate: &Path) -> Result<()> {
    run(places, "outrigger", |outrigger| {
        outrigger.arg("certificate").arg("--pki").arg(places.runtime_pki()).arg("--trust").arg(certificate)
    })
}

/// Runs one of the two programs to its end.
fn run(places: &Places, program: &'static str, with: impl FnOnce(&mut Command) -> &mut Command) -> Result<()> {
    let log = places.log("certificates.log")?;
    let mut command = Command::new(if program == "outrigger" { &places.outrigger } else { &places.rig });
    with(&mut command).current_dir(&places.root).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let status = Guarded::spawn(program, &mut command)?.wait(60.0)?;
    if !status.success() {
        bail!("{program}: {status}; see certificates.log");
    }
    Ok(())
}

/// The rig: plant, DCS and operator's keyboard.
#[derive(Debug)]
pub(super) struct Rig {
    pub(super) child: Guarded,
    keyboard: ChildStdin,
    lines: Receiver<Result<RigLine, String>>,
}

impl Rig {
    pub(super) fn start(places: &Places, passwords: &Passwords, plant: &str, speed: f64) -> Result<Self> {
        let mut command = Command::new(&places.rig);
        command.args(["plant", plant, "--speed", &speed.to_string(), "--listen", "127.0.0.1:0", "--json", "--pki"]);
        command.arg(places.rig_pki()).current_dir(&places.root);
        command.env("OUTRIGGER_DCS_PASSWORD", &passwords.dcs).env("OUTRIGGER_OPERATOR_PASSWORD", &passwords.operator);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(places.log("rig.log")?);
        let mut child = Guarded::spawn("outrigger-hil", &mut command)?;
        let keyboard = child.child.stdin.take().context("outrigger-hil has no standard input")?;
        let output = child.child.stdout.take().context("outrigger-hil has no standard output")?;
        let mut copy = places.log("rig.jsonl")?;
        let (sender, lines) = sync_channel(LINES_MAX);
        thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let line = match line {
                    Ok(text) => {
                        let _ = writeln!(copy, "{text}");
                        serde_json::from_str(&text).map_err(|error| format!("{error} in the rig's line: {text}"))
                    }
                    Err(error) => Err(format!("the rig's output cannot be read: {error}")),
                };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, keyboard, lines })
    }

    /// The next line, or `None` if there is none within `limit` or none will come any more.
    pub(super) fn line(&self, limit: Duration) -> Result<Option<RigLine>> {
        match self.lines.recv_timeout(limit) {
            Ok(Ok(line)) => Ok(Some(line)),
            Ok(Err(error)) => bail!(error),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                // The rig has closed its output; do not spin on it.
                thread::sleep(limit);
                Ok(None)
            }
        }
    }

    /// Types a line at the operator's keyboard.
    pub(super) fn type_line(&mut self, line: &str) -> Result<()> {
        writeln!(self.keyboard, "{line}").and_then(|()| self.keyboard.flush()).context("the rig does not read any more")
    }
}

/// The runtime, and what its `/status` said last.
#[derive(Debug)]
pub(super) struct Runtime {
    pub(super) child: Guarded,
    status: Arc<Mutex<Option<Status>>>,
    stop: Arc<AtomicBool>,
}

impl Runtime {
    pub(super) fn start(
        places: &Places,
        passwords: &Passwords,
        plant: &str,
        endpoint: &str,
        speed: f64,
    ) -> Result<Self> {
        let http = free_port()?;
        let log = places.log("runtime.log")?;
        let mut command = Command::new(&places.outrigger);
        command.arg("run").arg(places.root.join(plant)).args(["--speed", &speed.to_string(), "--endpoint", endpoint]);
        command.args(["--http", &http, "--override", "the demo, at its rig", "--override-hours", "1", "--pki"]);
        command.arg(places.runtime_pki()).arg("--state").arg(places.state());
        // What is written relative to where it runs, its evidence, lies with the artifacts.
        command.arg("--report").arg(places.report()).current_dir(&places.artifacts);
        command.env("OUTRIGGER_DCS_PASSWORD", &passwords.dcs);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = Guarded::spawn("outrigger", &mut command)?;
        let status = Arc::new(Mutex::new(None));
        let stop = Arc::new(AtomicBool::new(false));
        let (latest, done) = (Arc::clone(&status), Arc::clone(&stop));
        thread::spawn(move || {
            while !done.load(Ordering::Relaxed) {
                if let Ok(body) = get(&http, "/status")
                    && let Ok(status) = serde_json::from_str::<Status>(&body)
                {
                    *latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
                }
                thread::sleep(Duration::from_millis(300));
            }
        });
        Ok(Self { child, status, stop })
    }

    pub(super) fn status(&self) -> Option<Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// An address on this machine on which nobody listens now.
fn free_port() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no free port")?;
    Ok(listener.local_addr()?.to_string())
}

/// One HTTP/1.1 GET, without keep-alive; the body of a 200.
fn get(address: &str, path: &str) -> Result<String> {
    const LIMIT: Duration = Duration::from_secs(1);
    let mut stream = TcpStream::connect_timeout(&address.parse()?, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(1 << 20).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP head")?;
    if !head.starts_with("HTTP/1.1 200") && !head.starts_with("HTTP/1.0 200") {
        bail!("{}", head.lines().next().unwrap_or_default());
    }
    Ok(body.to_owned())
}

/// The last lines of a log, for a failure message.
pub(super) fn tail(path: &Path, lines: usize) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> Guarded {
        Guarded::spawn("sleep", Command::new("sleep").arg("600")).unwrap()
    }

    fn alive(pid: u32) -> bool {
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        rustix::process::test_kill_process(pid).is_ok()
    }

    #[test]
    fn a_dropped_child_is_dead() {
        let child = sleeper();
        let pid = child.child.id();
        assert!(alive(pid));
        drop(child);
        assert!(!alive(pid));
    }

    #[test]
    fn a_child_asked_to_stop_ends() {
        let mut child = sleeper();
        child.terminate().unwrap();
        assert!(!child.wait(5.0).unwrap().success());
    }

    #[test]
    fn waiting_for_a_child_has_a_limit() {
        assert!(sleeper().wait(0.1).unwrap_err().to_string().contains("did not end"));
    }

    #[test]
    fn only_the_body_of_a_200_is_taken() {
        let serve = |answer: &'static str| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap().to_string();
            thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                // Closing with bytes of the request unread would reset the connection.
                let head = BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
                assert!(head.count() > 1);
                stream.write_all(answer.as_bytes()).unwrap();
            });
            address
        };
        assert_eq!(get(&serve("HTTP/1.1 200 OK\r\nA: b\r\n\r\n{}"), "/status").unwrap(), "{}");
        assert!(get(&serve("HTTP/1.1 503 Busy\r\n\r\n{}"), "/status").is_err());
    }
}
