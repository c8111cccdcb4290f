//! A file for each trip or shed: its first-out, and the minute before it.
//!
//! The first line is the head, each other one a step, oldest first; the last is the step of the first-out. Numbers are in the
//! model's units, in the order of the names in the head. A number that is not finite stands there as text, as `"NaN"`.

use std::path::{Path, PathBuf};

use actors::board::Tripped;
use safety::bypass::{Calendar, Names};
use safety::pre_trip::PreTripEntry;
use serde_json::{Value, json};

use super::{StateError, at, date, durable};

/// The folder in the folder.
pub(super) const FOLDER: &str = "trips";
/// Files that are kept; the oldest go.
const KEPT: usize = 100;

/// The files of a loop's trips.
#[derive(Debug)]
pub(super) struct Trips {
    folder: PathBuf,
    next: u64,
}

impl Trips {
    pub(super) fn of(folder: &Path) -> Result<Self, StateError> {
        let folder = folder.join(FOLDER);
        let newest = numbers(&folder).map_err(at(&folder))?.last().copied();
        Ok(Self { next: newest.map_or(1, |n| n + 1), folder })
    }

    /// Keeps a trip. When this returns it is on the disk.
    pub(super) fn keep(
        &mut self,
        tripped: &Tripped,
        names: &Names,
        seen: Option<Calendar>,
    ) -> Result<PathBuf, StateError> {
        let file = self.file(self.next);
        durable::replace(&file, text(tripped, names, seen).as_bytes()).map_err(at(&file))?;
        self.next += 1;
        let numbers = numbers(&self.folder).map_err(at(&self.folder))?;
        for number in numbers.iter().take(numbers.len().saturating_sub(KEPT)) {
            let old = self.file(*number);
            std::fs::remove_file(&old).map_err(at(&old))?;
        }
        Ok(file)
    }

    fn file(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:06}.jsonl"))
    }
}

/// The numbers of the files that are there, in order.
fn numbers(folder: &Path) -> std::io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.strip_suffix(".jsonl")?.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn text(tripped: &Tripped, names: &Names, seen: Option<Calendar>) -> String {
    let first_out = &tripped.first_out;
    let head = json!({
        "format": 1,
        "when": seen.map(date),
        "first_out": first_out.cause.to_string(),
        "cause": first_out.cause,
        "code": first_out.cause.code(),
        "at_s": first_out.at.secs_f64(),
        "cycle": first_out.cycle,
        "tags": names.tags,
        "mvs": names.mvs,
    });
    let steps = tripped.pre_trip.entries().map(step);
    std::iter::once(head).chain(steps).map(|line| format!("{line}\n")).collect()
}

fn step(entry: &PreTripEntry) -> Value {
    let quality = |quality: Option<signals::Quality>| quality.map(|q| format!("{q:?}").to_lowercase());
    json!({
        "at_s": entry.at.secs_f64(),
        "cycle": entry.cycle,
        "state": format!("{:?}", entry.state),
        "value": entry.tags.iter().map(|tag| number(tag.value)).collect::<Vec<_>>(),
        "quality": entry.tags.iter().map(|tag| quality(tag.quality)).collect::<Vec<_>>(),
        "sp_act": entry.mvs.iter().map(|mv| mv.sp_act.map(number)).collect::<Vec<_>>(),
        "approved": entry.mvs.iter().map(|mv| mv.approved.map(number)).collect::<Vec<_>>(),
    })
}

fn number(value: f64) -> Value {
    if value.is_finite() { value.into() } else { value.to_string().into() }
}
