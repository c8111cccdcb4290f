//! The audit: one line of JSON for each recommendation, each answer, and each end, on the disk before the next one.
//!
//! A thread of its own takes the news from the loop's queue. Without a file it only tells the log. A file is appended to,
//! never overwritten; a last line that a power failure has cut is closed before the first new one.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use actors::NewsQueue;
use actors::kernel::Clock;
use chrono::{DateTime, SecondsFormat, Utc};
use control::advice::{Advice, Answer, End, News, Verdict};
use serde_json::{Value, json};
use signals::Stamp;

use super::reason;
use crate::config::PlantFile;

/// How long news waits for the audit at most.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// An audit that cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file cannot be opened.
    #[error("audit {}: {source}", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No thread.
    #[error("no thread for the audit: {0}")]
    Thread(std::io::Error),
}

/// How the audit is doing. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct AuditStatus(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    lines: AtomicU64,
    lost: AtomicU64,
    why: Mutex<Option<String>>,
}

impl AuditStatus {
    /// Lines on the disk.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.0.lines.load(Ordering::Relaxed)
    }

    /// News that is in no file: the queue was full, or the file could not be written.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }

    /// In words.
    #[must_use]
    pub fn told(&self) -> String {
        let why = self.0.why.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let failed = why.map(|why| format!("; the last failure: {why}")).unwrap_or_default();
        format!("{} lines, {} lost{failed}", self.lines(), self.lost())
    }
}

/// A running audit. Dropping it lets the thread take what is there, and waits for it.
#[derive(Debug)]
pub struct Audit {
    status: AuditStatus,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Audit {
    /// Begins to write down what comes through `news`.
    ///
    /// # Errors
    /// [`AuditError`]: the file cannot be opened, or there is no thread.
    pub fn start(news: NewsQueue, file: Option<&Path>, plant: PlantFile, clock: Clock) -> Result<Self, AuditError> {
        let open = |path: &Path| open(path).map_err(|source| AuditError::File { file: path.to_owned(), source });
        let file = file.map(open).transpose()?;
        let (status, ending) = (AuditStatus::default(), Arc::new(AtomicBool::new(false)));
        let mut writer = Writer { file, plant, clock, status: status.clone(), rejected: 0 };
        let ends = Arc::clone(&ending);
        let body = move || {
            loop {
                // Asked before the last look: what was put before the end is not missed.
                let last = ends.load(Ordering::Acquire);
                writer.turn(&news);
                if last {
                    return;
                }
                std::thread::park_timeout(LOOK_EVERY);
            }
        };
        let thread = std::thread::Builder::new().name("outrigger-audit".to_owned()).spawn(body);
        Ok(Self { status, ending, thread: Some(thread.map_err(AuditError::Thread)?) })
    }

    /// How it is doing.
    #[must_use]
    pub fn status(&self) -> AuditStatus {
        self.status.clone()
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // One that panicked has been told of by the hook.
            let _ = thread.join();
        }
    }
}

/// The file, to be appended to, its last line closed.
fn open(path: &Path) -> std::io::Result<File> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    if file.metadata()?.len() > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

struct Writer {
    file: Option<File>,
    plant: PlantFile,
    clock: Clock,
    status: AuditStatus,
    rejected: u64,
}

impl Writer {
    fn turn(&mut self, news: &NewsQueue) {
        while let Some(news) = news.receive() {
            let line = line(&news, &self.plant, &self.clock);
            tracing::info!(%line, "advice");
            self.write(&line);
        }
        let rejected = news.rejected();
        if rejected > self.rejected {
            self.lose(rejected - self.rejected, "the queue of the audit was full".to_owned());
            self.rejected = rejected;
        }
    }

    fn write(&mut self, line: &Value) {
        let Some(file) = &mut self.file else { return };
        match file.write_all(format!("{line}\n").as_bytes()).and_then(|()| file.sync_data()) {
            Ok(()) => drop(self.status.0.lines.fetch_add(1, Ordering::Relaxed)),
            Err(why) => self.lose(1, why.to_string()),
        }
    }

    fn lose(&self, lines: u64, why: String) {
        tracing::error!(lines, why, "the audit lacks these");
        self.status.0.lost.fetch_add(lines, Ordering::Relaxed);
        *self.status.0.why.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }
}

/// The line of one piece of news, numbers in the units of the tags.
fn line(news: &News, plant: &PlantFile, clock: &Clock) -> Value {
    let with = |at: Stamp, id: u32, event: &str, more: Value| {
        let utc = clock.utc(at).map(|utc| DateTime::<Utc>::from(utc).to_rfc3339_opts(SecondsFormat::Millis, true));
        let mut line = json!({ "utc": utc, "t_s": at.secs_f64(), "loop": plant.name, "event": event, "id": id });
        if let (Some(line), Value::Object(more)) = (line.as_object_mut(), more) {
            line.extend(more);
        }
        line
    };
    match news {
        News::Offered(advice) => {
            let more = json!({
                "proposer": format!("{:?}", advice.proposer),
                "expiry_s": advice.expires_at.since(advice.offered_at).as_secs_f64(),
                "mv": set_points(advice, plant),
                "cv": effects(advice, plant),
                "reason": reason(advice, plant),
            });
            with(advice.offered_at, advice.id, "offered", more)
        }
        News::Answered { at, id, answer, user, verdict, advice } => {
            let answer = if *answer == Answer::Accept { "accept" } else { "reject" };
            let verdict = match verdict {
                Verdict::Taken => "taken",
                Verdict::Stale => "refused: stale",
                Verdict::Unsigned => "refused: unsigned",
            };
            let mv = advice.as_ref().map(|advice| set_points(advice, plant));
            let more = json!({ "answer": answer, "user": user.as_str(), "verdict": verdict, "mv": mv });
            with(*at, *id, "answered", more)
        }
        News::Ended { at, id, end } => {
            let how = match end {
                End::Expired => "expired",
                End::Superseded => "superseded",
                End::Withdrawn => "withdrawn",
            };
            with(*at, *id, "ended", json!({ "how": how }))
        }
        News::Violated { at, id, cv } => {
            let tag = plant.cvs.get(usize::from(*cv)).map(|cv| cv.tag.name.as_str());
            with(*at, *id, "limit left after a recommendation not taken", json!({ "cv": tag }))
        }
    }
}

fn set_points(advice: &Advice, plant: &PlantFile) -> Vec<Value> {
    let mvs = plant.mvs.iter().zip(advice.from.iter().zip(&advice.u)).zip(&advice.concerns);
    let concerned = mvs.filter(|(_, concerned)| **concerned);
    let told = concerned.map(|((mv, (from, to)), _)| {
        let by = mv.tag.to_model;
        json!({ "tag": mv.tag.name, "unit": mv.tag.unit.symbol(), "from": by.to_tag(*from), "to": by.to_tag(*to) })
    });
    told.collect()
}

fn effects(advice: &Advice, plant: &PlantFile) -> Vec<Value> {
    let told = plant.cvs.iter().zip(&advice.effects).map(|(cv, effect)| {
        let tagged = |value: f64| cv.tag.to_model.to_tag(value);
        json!({
            "tag": cv.tag.name,
            "unit": cv.tag.unit.symbol(),
            "pv": effect.pv.map(tagged),
            "setpoint": effect.setpoint.map(tagged),
            "low": effect.limits.map(|(low, _)| tagged(low)),
            "high": effect.limits.map(|(_, high)| tagged(high)),
            "hold": tagged(effect.hold),
            "pred": tagged(effect.pred),
        })
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use signals::dcs::Text;
    use signals::{Fixed, Proposer, Values};

    use super::*;

    fn plant() -> PlantFile {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/plants/cstr.toml");
        crate::config::load(Path::new(file)).unwrap().plant
    }

    fn advice() -> Advice {
        Advice {
            id: 7,
            cycle: 3,
            proposer: Proposer::Mpc,
            offered_at: Stamp::from_secs_f64(54.0),
            expires_at: Stamp::from_secs_f64(414.0),
            from: Values::collect([14.0, -4000.0]),
            u: Values::collect([18.0, -4000.0]),
            concerns: Fixed::collect([true, true]),
            effects: Fixed::new(),
        }
    }

    fn answered(verdict: Verdict) -> News {
        let at = Stamp::from_secs_f64(60.0);
        let (answer, user) = (Answer::Accept, Text::new("Meyer"));
        News::Answered { at, id: 7, answer, user, verdict, advice: Some(advice()) }
    }

    /// The lines of a file after these news were written to it.
    fn written(file: &Path, news: &[News]) -> Vec<Value> {
        let queue = NewsQueue::new();
        assert!(news.iter().all(|news| queue.try_send(*news).is_ok()));
        let audit = Audit::start(queue, Some(file), plant(), Clock::wall(1.0)).unwrap();
        let status = audit.status();
        drop(audit);
        assert_eq!((status.lines(), status.lost()), (news.len() as u64, 0));
        let text = std::fs::read_to_string(file).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_default()).collect()
    }

    #[test]
    fn a_line_says_when_what_who_and_what_became_of_it_in_the_units_of_the_tags() {
        let folder = tempfile::tempdir().unwrap();
        let news = [News::Offered(advice()), answered(Verdict::Taken), answered(Verdict::Stale)];
        let lines = written(&folder.path().join("audit.jsonl"), &news);
        assert_eq!(
            (&lines[0]["event"], &lines[0]["id"], &lines[0]["t_s"]),
            (&"offered".into(), &7.into(), &54.0.into())
        );
        assert_eq!(lines[0]["mv"][0], json!({ "tag": "FC101", "unit": "1/h", "from": 14.0, "to": 18.0 }));
        assert!(lines[0]["utc"].as_str().unwrap().ends_with('Z') && lines[0]["reason"].is_string());
        assert_eq!((&lines[1]["user"], &lines[1]["verdict"]), (&"Meyer".into(), &"taken".into()));
        assert_eq!((&lines[1]["answer"], &lines[2]["verdict"]), (&"accept".into(), &"refused: stale".into()));
    }

    #[test]
    fn a_file_is_appended_to_and_a_line_that_was_cut_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("audit.jsonl");
        assert_eq!(written(&file, &[answered(Verdict::Taken)]).len(), 1);
        let mut text = std::fs::read_to_string(&file).unwrap();
        text.push_str("{\"id\":");
        std::fs::write(&file, text).unwrap();
        let lines = written(&file, &[answered(Verdict::Stale)]);
        assert_eq!((lines.len(), &lines[0]["id"], &lines[1], &lines[2]["id"]), (3, &7.into(), &Value::Null, &7.into()));
    }

    #[test]
    fn what_the_queue_could_not_take_is_counted_as_lost() {
        let queue = NewsQueue::new();
        let taken = (0..300).filter(|_| queue.try_send(answered(Verdict::Taken)).is_ok()).count();
        assert_eq!(taken, 256);
        let audit = Audit::start(queue, None, plant(), Clock::wall(1.0)).unwrap();
        let status = audit.status();
        drop(audit);
        assert_eq!((status.lines(), status.lost()), (0, 300 - 256));
    }
}
