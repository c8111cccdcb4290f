//! The report of a campaign, in the shape of IEC 62381 (factory and site acceptance tests): one self-contained page that
//! prints, and a JUnit file for a build server.

mod html;
mod junit;
mod plot;
#[cfg(test)]
mod tests;

use std::path::Path;

use runtime::commission::hashes::Binding;
use runtime::config::Loaded;

use crate::campaign::{Count, Outcome};

/// What a report says beside the outcomes.
#[derive(Clone, Debug)]
pub struct Subject {
    /// What the campaign is called.
    pub campaign: String,
    /// When it was run, RFC 3339.
    pub date: String,
    /// The device under test, where it is not `outrigger`.
    pub device: Option<String>,
    /// The plant file under test.
    pub loaded: Loaded,
    /// Its hashes, with those of the program where one was named.
    pub binding: Option<Binding>,
}

/// Writes `report.html`, `junit.xml` and `results.json` into a folder, which is made if it is not there.
///
/// # Errors
/// The file system's.
pub fn write(folder: &Path, subject: &Subject, outcomes: &[Outcome], count: &Count) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("report.html"), html::page(subject, outcomes, count))?;
    std::fs::write(folder.join("junit.xml"), junit::file(&subject.campaign, outcomes, count))?;
    let results = serde_json::to_string_pretty(&outcomes.iter().map(short).collect::<Vec<_>>())?;
    std::fs::write(folder.join("results.json"), results)
}

/// An outcome without its trend.
fn short(outcome: &Outcome) -> Outcome {
    let mut short = outcome.clone();
    if let Some(record) = &mut short.run.record {
        record.trend = crate::record::Trend::default();
    }
    short
}

/// A text inside HTML or XML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
