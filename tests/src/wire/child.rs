//! A child process and what it says, line by line.

use std::io::{BufRead, BufReader, Read};
use std::process::{self, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often a child is asked whether it has ended.
const POLL: Duration = Duration::from_millis(20);
/// Items shown when a wait fails.
const SHOWN: usize = 40;

/// A child that is killed when dropped.
#[derive(Debug)]
pub struct Child {
    name: &'static str,
    child: process::Child,
}

impl Child {
    /// Starts it, with its three streams piped.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(name: &'static str, command: &mut Command) -> Result<Self> {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().with_context(|| format!("{name} cannot be started"))?;
        Ok(Self { name, child })
    }

    /// Its standard input; once.
    ///
    /// # Errors
    /// The second time.
    pub fn keyboard(&mut self) -> Result<process::ChildStdin> {
        self.child.stdin.take().context("standard input is taken")
    }

    /// What it says on standard output; once.
    ///
    /// # Errors
    /// The second time.
    pub fn output(&mut self) -> Result<impl Read + Send + use<>> {
        self.child.stdout.take().context("standard output is taken")
    }

    /// What it says on standard error; once.
    ///
    /// # Errors
    /// The second time.
    pub fn errors(&mut self) -> Result<impl Read + Send + use<>> {
        self.child.stderr.take().context("standard error is taken")
    }

    /// Ends it at once (SIGKILL): it gets no chance to say good-bye.
    ///
    /// # Errors
    /// The system's.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().with_context(|| format!("{} cannot be killed", self.name))?;
        self.child.wait().map(drop).with_context(|| format!("{} cannot be waited for", self.name))
    }

    /// Asks it to stop (SIGTERM).
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub fn terminate(&self) -> Result<()> {
        self.signal("-TERM")
    }

    /// Stops all its threads for so long (SIGSTOP, SIGCONT).
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub fn freeze(&self, how_long: Duration) -> Result<()> {
        self.signal("-STOP")?;
        std::thread::sleep(how_long);
        self.signal("-CONT")
    }

    fn signal(&self, which: &str) -> Result<()> {
        let told = Command::new("kill").args([which, &self.child.id().to_string()]).status();
        if told.context("no program `kill`")?.success() { Ok(()) } else { bail!("{} cannot be signalled", self.name) }
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// The system's.
    pub fn runs(&mut self) -> Result<bool> {
        Ok(self.child.try_wait().with_context(|| format!("{} cannot be waited for", self.name))?.is_none())
    }

    /// Waits for it to end by itself.
    ///
    /// # Errors
    /// When it has not within `limit`.
    pub fn ended(&mut self, limit: Duration) -> Result<ExitStatus> {
        let until = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > until {
                bail!("{} has not ended within {limit:?}", self.name);
            }
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail only if it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Debug)]
struct Record<T> {
    items: Vec<T>,
    over: bool,
}

/// Everything that a stream has said, for any number of waits. Clones share it.
#[derive(Clone, Debug)]
pub struct Heard<T>(Arc<(Mutex<Record<T>>, Condvar)>);

impl<T: std::fmt::Debug + Clone + Send + 'static> Heard<T> {
    /// Listens on a thread of its own until the stream ends; `item` makes an item of a line.
    pub fn listen(stream: impl Read + Send + 'static, item: impl Fn(String) -> T + Send + 'static) -> Self {
        let heard = Self(Arc::new((Mutex::new(Record { items: Vec::new(), over: false }), Condvar::new())));
        let record = heard.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(std::result::Result::ok) {
                record.lock().items.push(item(line));
                record.0.1.notify_all();
            }
            record.lock().over = true;
            record.0.1.notify_all();
        });
        heard
    }

    fn lock(&self) -> MutexGuard<'_, Record<T>> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything so far.
    #[must_use]
    pub fn all(&self) -> Vec<T> {
        self.lock().items.clone()
    }

    /// How much there is: a place to wait from.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().items.len()
    }

    /// Whether nothing was said yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Everything, once the stream has ended.
    ///
    /// # Errors
    /// When it has not ended within `limit`.
    pub fn to_the_end(&self, limit: Duration) -> Result<Vec<T>> {
        let until = Instant::now() + limit;
        let mut record = self.lock();
        while !record.over {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("the stream has not ended within {limit:?}");
            }
            record = self.0.1.wait_timeout(record, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(record.items.clone())
    }

    /// Waits until `find` gives something for what was said from place `from` on.
    ///
    /// # Errors
    /// When it has not within `limit`, or the stream ended without it; the error shows the last items.
    pub fn wait<R>(&self, what: &str, from: usize, limit: Duration, find: impl Fn(&[T]) -> Option<R>) -> Result<R> {
        let until = Instant::now() + limit;
        let mut record = self.lock();
        loop {
            let said = record.items.get(from..).unwrap_or_default();
            if let Some(found) = find(said) {
                return Ok(found);
            }
            let left = until.saturating_duration_since(Instant::now());
            if record.over || left.is_zero() {
                let last = said.get(said.len().saturating_sub(SHOWN)..).unwrap_or_default();
                let lines: Vec<_> = last.iter().map(|item| format!("  {item:?}")).collect();
                let why = if record.over { "the stream ended".to_owned() } else { format!("waited {limit:?}") };
                bail!("{what}: not seen ({why}); heard:\n{}", lines.join("\n"));
            }
            record = self.0.1.wait_timeout(record, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
