//! Who allowed what: an append-only log, one JSON object a line, of approvals, revocations and all that a run was allowed.
//!
//! Each line has a SHA-256 over the line before it and itself, so that a line that was changed, moved or taken out of the
//! middle is told; it does not stop somebody who writes the whole file anew, or cuts it short. Names are what people said; the
//! operating system's user beside them is what the machine knew.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::CommissionError;
use super::certificate::rfc3339;
use super::hashes::sha256;
use crate::config::Mode;

/// A person, as named on the command line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The name.
    pub name: String,
    /// The role in which it acts.
    pub role: String,
    /// The operating system's user.
    pub os_user: String,
}

impl Person {
    /// Whether two names mean one person: case and space do not tell people apart.
    fn is(&self, other: &Self) -> bool {
        let plain = |name: &str| name.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>();
        plain(&self.name) == plain(&other.name)
    }
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "kebab-case")]
pub enum Act {
    /// A person allows a step, for closed loop of one MV.
    Approve {
        /// The step.
        step: Mode,
        /// The MV, by the plant's name.
        mv: Option<String>,
        /// Who.
        by: Person,
        /// Why.
        reason: String,
    },
    /// A person takes every earlier approval of a step back, whatever loop it was of; without an MV, of every MV.
    Revoke {
        /// The step.
        step: Mode,
        /// The MV.
        mv: Option<String>,
        /// Who.
        by: Person,
        /// Why.
        reason: String,
    },
    /// A HIL certificate was accepted.
    Certificate {
        /// Its campaign.
        campaign: String,
        /// Its signer.
        key: String,
        /// By which user.
        os_user: String,
    },
    /// A run began by evidence.
    Run {
        /// In this mode.
        mode: Mode,
        /// With these MVs, of closed loop.
        mvs: Vec<String>,
    },
    /// A run began, or went on, below the mode of the file.
    FellBack {
        /// From this mode.
        from: Mode,
        /// To this one.
        to: Mode,
        /// Why.
        why: String,
    },
    /// A run at a rig began without evidence.
    Override {
        /// In this mode.
        mode: Mode,
        /// At this server.
        endpoint: String,
        /// Until then, as RFC 3339.
        until: String,
        /// Why.
        reason: String,
        /// By which user.
        os_user: String,
    },
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When, as RFC 3339.
    pub at: String,
    /// Of which loop: [`super::hashes::Binding::id`].
    pub binding: String,
    /// What.
    #[serde(flatten)]
    pub act: Act,
}

#[derive(Serialize, Deserialize)]
struct Line {
    chain: String,
    entry: Entry,
}

/// The log of one loop.
#[derive(Clone, Debug)]
pub struct AuditLog {
    file: PathBuf,
}

impl AuditLog {
    /// The log in this file, which need not be there yet.
    #[must_use]
    pub fn at(file: PathBuf) -> Self {
        Self { file }
    }

    fn failed(&self, why: impl Into<String>) -> CommissionError {
        CommissionError::Audit { file: self.file.display().to_string(), why: why.into() }
    }

    /// Every line.
    ///
    /// # Errors
    /// [`CommissionError::Audit`] with the first line that is none, or not the one that followed.
    pub fn entries(&self) -> Result<Vec<Entry>, CommissionError> {
        match std::fs::read_to_string(&self.file) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            read => self.parse(&read.map_err(|e| self.failed(e.to_string()))?).map(|(entries, _)| entries),
        }
    }

    /// The entries, and the chain's last link.
    fn parse(&self, text: &str) -> Result<(Vec<Entry>, String), CommissionError> {
        let (mut entries, mut chain) = (Vec::new(), String::new());
        for (n, line) in text.split_inclusive('\n').enumerate() {
            let fault = |why: &str| self.failed(format!("line {}: {why}", n + 1));
            if !line.ends_with('\n') {
                return Err(fault("it was not written to its end"));
            }
            let Line { chain: link, entry } = serde_json::from_str(line).map_err(|e| fault(&e.to_string()))?;
            if link != next_link(&chain, &entry) {
                return Err(fault("it, or the line before it, was changed or taken out"));
            }
            chain = link;
            entries.push(entry);
        }
        Ok((entries, chain))
    }

    /// Appends a line and returns when the disk has it. Whoever else appends at the same time waits.
    ///
    /// # Errors
    /// [`CommissionError::Audit`]: the file system's, or a log that was changed, to which nothing is appended.
    pub fn append(&self, binding: &str, act: Act, now_s: u64) -> Result<(), CommissionError> {
        let failed = |e: std::io::Error| self.failed(e.to_string());
        if let Some(folder) = self.file.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(&self.file).map_err(failed)?;
        file.lock().map_err(failed)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        let (_, chain) = self.parse(&text)?;
        let entry = Entry { at: rfc3339(now_s), binding: binding.to_owned(), act };
        let line = Line { chain: next_link(&chain, &entry), entry };
        let line = serde_json::to_string(&line).map_err(|e| self.failed(e.to_string()))? + "\n";
        file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
    }
}

fn next_link(chain: &str, entry: &Entry) -> String {
    // Texts only, which always have a form in JSON.
    sha256(format!("{chain}\n{}", serde_json::to_string(entry).unwrap_or_default()).as_bytes())
}

/// Whose approvals of a step stand: different persons who allowed this loop, not revoked since.
#[must_use]
pub fn approvals<'e>(entries: &'e [Entry], binding: &str, step: Mode, mv: Option<&str>) -> Vec<&'e Person> {
    let mut standing: Vec<&Person> = Vec::new();
    for entry in entries {
        match &entry.act {
            Act::Approve { step: s, mv: m, by, .. } if *s == step && m.as_deref() == mv && entry.binding == binding => {
                if !standing.iter().any(|person| person.is(by)) {
                    standing.push(by);
                }
            }
            Act::Revoke { step: s, mv: m, .. } if *s == step && (m.is_none() || m.as_deref() == mv) => standing.clear(),
            _ => {}
        }
    }
    standing
}

/// Whether another loop than this one, the same before a hash changed, was once allowed so far.
#[must_use]
pub fn once_reached(entries: &[Entry], binding: &str, step: Mode) -> bool {
    entries.iter().any(|entry| entry.binding != binding && matches!(entry.act, Act::Run { mode, .. } if mode >= step))
}

/// The operating system's user under which this program runs: its number, and its name where there is one.
#[must_use]
pub fn os_user() -> String {
    let Ok(uid) = std::fs::metadata("/proc/self").map(|process| process.uid()) else { return "unknown".to_owned() };
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    name.map_or_else(|| format!("uid {uid}"), |name| format!("{name} (uid {uid})"))
}

/// The log's file in a folder of evidence.
#[must_use]
pub fn log_in(folder: &Path) -> AuditLog {
    AuditLog::at(folder.join("audit.jsonl"))
}
