//! Lines to and from a plant: a process or a socket, with a thread that reads and a bounded channel behind it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use rig::PlantFault;

use super::{ExternalError, Place, Say};

/// The longest line.
const LINE_MAX: u64 = 1 << 20;
/// Lines that wait to be looked at; a plant that says more is not read on.
const LINES_MAX: usize = 64;
/// How long a program may take to end when it is told to.
const END_MAX: Duration = Duration::from_millis(500);

/// What came from the plant.
#[derive(Debug)]
pub(super) enum Heard {
    /// A line, without its end.
    Line(String),
    /// Nothing within the time.
    Nothing,
    /// It has ended, and how.
    End(String),
}

/// A connection to a plant.
#[derive(Debug)]
pub(super) struct Link {
    writer: Option<Writer>,
    lines: Receiver<Result<String, String>>,
    child: Option<Child>,
    ended: Option<String>,
}

#[derive(Debug)]
enum Writer {
    Program(std::process::ChildStdin),
    Socket(TcpStream),
}

impl Writer {
    fn write(&mut self, line: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Program(stdin) => stdin.write_all(line).and_then(|()| stdin.flush()),
            Self::Socket(stream) => stream.write_all(line),
        }
    }
}

impl Link {
    pub(super) fn open(place: &Place, time_out: Duration) -> Result<Self, ExternalError> {
        match place {
            Place::Program(words) => {
                Self::program(words).map_err(|source| ExternalError::Start { place: place.clone(), source })
            }
            Place::Address(address) => Self::socket(address, time_out)
                .map_err(|source| ExternalError::Connect { place: place.clone(), source }),
        }
    }

    /// Its standard error stays that of the rig, so that people see what it says there.
    fn program(words: &[String]) -> std::io::Result<Self> {
        let none = || std::io::Error::new(std::io::ErrorKind::InvalidInput, "no program is named");
        let (program, arguments) = words.split_first().ok_or_else(none)?;
        let mut command = Command::new(program);
        let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (Some(stdin), Some(stdout)) = (stdin, stdout) else { return Err(none()) };
        Ok(Self { writer: Some(Writer::Program(stdin)), lines: listen(stdout), child: Some(child), ended: None })
    }

    fn socket(address: &str, time_out: Duration) -> std::io::Result<Self> {
        let mut last = std::io::Error::new(std::io::ErrorKind::InvalidInput, "the name has no address");
        for address in address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, time_out) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_write_timeout(Some(time_out))?;
                    let lines = listen(stream.try_clone()?);
                    return Ok(Self { writer: Some(Writer::Socket(stream)), lines, child: None, ended: None });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Says one line.
    pub(super) fn say(&mut self, say: &Say<'_>) -> Result<(), PlantFault> {
        let mut line = serde_json::to_vec(say).map_err(|e| PlantFault { why: e.to_string() })?;
        line.push(b'\n');
        let Some(writer) = &mut self.writer else { return Err(PlantFault { why: self.end(None) }) };
        if let Err(error) = writer.write(&line) {
            return Err(PlantFault { why: self.end(Some(&error.to_string())) });
        }
        Ok(())
    }

    /// The next line, waited for.
    pub(super) fn hear(&mut self, time_out: Duration) -> Heard {
        match self.lines.recv_timeout(time_out) {
            Ok(Ok(line)) => Heard::Line(line),
            Ok(Err(why)) => Heard::End(self.end(Some(&why))),
            Err(RecvTimeoutError::Timeout) => Heard::Nothing,
            Err(RecvTimeoutError::Disconnected) => Heard::End(self.end(None)),
        }
    }

    /// The next line, if it is there.
    pub(super) fn look(&mut self) -> Heard {
        match self.lines.try_recv() {
            Ok(Ok(line)) => Heard::Line(line),
            Ok(Err(why)) => Heard::End(self.end(Some(&why))),
            Err(TryRecvError::Empty) => Heard::Nothing,
            Err(TryRecvError::Disconnected) => Heard::End(self.end(None)),
        }
    }

    /// Notes that it is over; how, in words.
    fn end(&mut self, why: Option<&str>) -> String {
        if self.ended.is_none() {
            let status = self.child.as_mut().map(|child| {
                waited(child).map_or_else(
                    || "the program closed its output and runs on".to_owned(),
                    |status| format!("the program has ended, {status}"),
                )
            });
            let status = status.unwrap_or_else(|| "the connection has ended".to_owned());
            self.ended = Some(why.map_or_else(|| status.clone(), |why| format!("{status} ({why})")));
            self.writer = None;
        }
        self.ended.clone().unwrap_or_default()
    }
}

/// The program's end, waited for a moment.
fn waited(child: &mut Child) -> Option<std::process::ExitStatus> {
    let step = END_MAX / 50;
    for _ in 0..50 {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        std::thread::sleep(step);
    }
    None
}

/// The program is told to stop, and ended if it does not.
impl Drop for Link {
    fn drop(&mut self) {
        let _ = self.say(&Say::Stop);
        if let Some(Writer::Socket(stream)) = &self.writer {
            // The reading thread holds a clone of the socket: without this it would read for ever.
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
        self.writer = None;
        if let Some(child) = &mut self.child
            && waited(child).is_none()
        {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Reads lines on a thread of its own until the end, a line that is too long, or nobody listens any more.
fn listen(from: impl Read + Send + 'static) -> Receiver<Result<String, String>> {
    let (sender, receiver) = sync_channel(LINES_MAX);
    std::thread::spawn(move || read(BufReader::new(from), &sender));
    receiver
}

fn read(mut from: impl BufRead, sender: &SyncSender<Result<String, String>>) {
    loop {
        let mut line = Vec::new();
        let said = match from.by_ref().take(LINE_MAX).read_until(b'\n', &mut line) {
            Ok(0) => return,
            Ok(_) if line.last() == Some(&b'\n') => Ok(String::from_utf8_lossy(&line).trim_end().to_owned()),
            Ok(n) if n as u64 == LINE_MAX => Err(format!("a line is longer than {LINE_MAX} bytes")),
            Ok(_) => Err("it ended within a line".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        let over = said.is_err();
        if sender.send(said).is_err() || over {
            return;
        }
    }
}
