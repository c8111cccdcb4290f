//! A campaign: scenarios run side by side, each followed by its negative control, and what came of them.
//!
//! Scenarios under virtual time run on as many threads as asked; those by the wall's clock run one after the other, for
//! they share the machine's time. A result is kept in the file of `--resume`, under a key over all that the scenario read,
//! and is not computed again while that stands.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use runtime::commission::hashes::sha256;
use serde::{Deserialize, Serialize};

use crate::bed;
use crate::clock::WallClock;
use crate::record::Record;
use crate::scenario::{Campaign, ClockKind, Guard, Scenario, ScenarioError};
use crate::verdict::{Finding, judge};
use crate::wall::{self, Programs};

/// One run and its verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ran {
    /// What was judged.
    pub findings: Vec<Finding>,
    /// What was seen; of a negative control nothing is kept but the findings.
    pub record: Option<Record>,
    /// Why it could not be run.
    pub error: Option<String>,
}

impl Ran {
    /// Whether it was run and everything held.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.error.is_none() && self.findings.iter().all(|finding| finding.ok)
    }

    /// Whether it was run and something did not hold: what a negative control must do.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.error.is_none() && self.findings.iter().any(|finding| !finding.ok)
    }
}

/// What came of a scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The scenario's name.
    pub id: String,
    /// What it shows.
    pub title: String,
    /// The requirements that it speaks of.
    pub requirements: Vec<String>,
    /// The kinds of its faults, with what they act on.
    pub faults: Vec<(f64, Option<f64>, String, String)>,
    /// Its clock, in words.
    pub clock: String,
    /// Its seed.
    pub seed: u64,
    /// The guard that its negative control switches off.
    pub guard: String,
    /// The run.
    pub run: Ran,
    /// The negative control.
    pub negative: Ran,
    /// Wall time of both, in seconds.
    pub seconds: f64,
}

impl Outcome {
    /// Whether the scenario passed and its negative control failed.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.run.passed() && self.negative.failed()
    }
}

/// How to run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Threads for scenarios under virtual time; 0: as many as the machine has processors.
    pub jobs: usize,
    /// Where results are kept.
    pub resume: Option<PathBuf>,
    /// The program for scenarios by the wall's clock.
    pub wall: Option<Programs>,
}

/// A campaign that cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum CampaignError {
    /// Scenarios with faults, each told whole.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Scenarios(Vec<ScenarioError>),
    /// A folder or the file of results.
    #[error("{}: {source}", .file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Nothing to run.
    #[error("no scenario in {0}")]
    Empty(String),
}

/// The files of scenarios: a folder's, in the order of their names, or the files themselves.
///
/// # Errors
/// [`CampaignError::File`].
pub fn files(places: &[PathBuf]) -> Result<Vec<PathBuf>, CampaignError> {
    let mut all = Vec::new();
    for place in places {
        if place.is_dir() {
            let read =
                std::fs::read_dir(place).map_err(|source| CampaignError::File { file: place.clone(), source })?;
            let mut here: Vec<_> = read.filter_map(Result::ok).map(|entry| entry.path()).collect();
            here.retain(|file| {
                file.extension().is_some_and(|e| e == "toml") && file.file_name().is_some_and(|n| n != "campaign.toml")
            });
            here.sort();
            all.extend(here);
        } else {
            all.push(place.clone());
        }
    }
    Ok(all)
}

/// Reads every scenario of these folders and files whose name matches the filter.
///
/// # Errors
/// [`CampaignError::Scenarios`] with every fault of every file; [`CampaignError::Empty`].
pub fn load(places: &[PathBuf], filter: &str) -> Result<Vec<Scenario>, CampaignError> {
    let (mut scenarios, mut faulty) = (Vec::new(), Vec::new());
    for file in files(places)? {
        match Scenario::load(&file) {
            Ok(scenario) => scenarios.push(scenario),
            Err(error) => faulty.push(error),
        }
    }
    if !faulty.is_empty() {
        return Err(CampaignError::Scenarios(faulty));
    }
    scenarios.retain(|scenario| filter.is_empty() || matches(filter, &scenario.id));
    if scenarios.is_empty() {
        let places: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
        return Err(CampaignError::Empty(format!("{} for `{filter}`", places.join(", "))));
    }
    Ok(scenarios)
}

/// The title of the campaign of the first of these places.
#[must_use]
pub fn title(places: &[PathBuf]) -> String {
    let folder =
        places.first().map(|place| if place.is_dir() { place.as_path() } else { place.parent().unwrap_or(place) });
    let campaign = folder.and_then(|folder| Campaign::of(folder).ok()).unwrap_or_default();
    if campaign.title.is_empty() { "unnamed campaign".to_owned() } else { campaign.title }
}

/// Whether a name matches a pattern of letters, `*` for any letters and `?` for one.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    match (pattern.chars().next(), name.chars().next()) {
        (None, None) => true,
        (Some('*'), _) => {
            let rest = pattern.get(1..).unwrap_or_default();
            name.char_indices()
                .map(|(i, _)| i)
                .chain([name.len()])
                .any(|i| matches(rest, name.get(i..).unwrap_or_default()))
        }
        (Some(p), Some(n)) if p == '?' || p == n => {
            matches(pattern.get(p.len_utf8()..).unwrap_or_default(), name.get(n.len_utf8()..).unwrap_or_default())
        }
        _ => false,
    }
}

/// Runs scenarios; `told` is given each outcome as it comes. Gives them all in the order of the scenarios.
///
/// # Errors
/// [`CampaignError::File`] when results cannot be kept. A scenario that cannot be run is a failed outcome.
pub fn run(
    scenarios: &[Scenario],
    options: &Options,
    mut told: impl FnMut(&Outcome) + Send,
) -> Result<Vec<Outcome>, CampaignError> {
    let mut kept = Kept::open(options.resume.as_deref())?;
    let mut done: BTreeMap<usize, Outcome> = BTreeMap::new();
    let mut waiting = VecDeque::new();
    for (n, scenario) in scenarios.iter().enumerate() {
        match kept.results.remove(&key(scenario)) {
            Some(outcome) => {
                told(&outcome);
                done.insert(n, outcome);
            }
            None => waiting.push_back((n, scenario)),
        }
    }
    let (side_by_side, alone): (VecDeque<_>, VecDeque<_>) =
        waiting.into_iter().partition(|(_, scenario)| scenario.clock == ClockKind::Virtual);
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let jobs = if options.jobs == 0 { processors } else { options.jobs };
    let shared = Mutex::new((side_by_side, &mut done, &mut kept, &mut told, None));
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let next = shared.lock().unwrap_or_else(PoisonError::into_inner).0.pop_front();
                    let Some((n, scenario)) = next else { return };
                    let outcome = both(scenario, options);
                    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
                    let (_, done, kept, told, failed) = &mut *shared;
                    *failed = failed.take().or(kept.keep(scenario, &outcome).err());
                    told(&outcome);
                    done.insert(n, outcome);
                }
            });
        }
    });
    let failed = shared.into_inner().unwrap_or_else(PoisonError::into_inner).4;
    if let Some(failed) = failed {
        return Err(failed);
    }
    for (n, scenario) in alone {
        let outcome = both(scenario, options);
        kept.keep(scenario, &outcome)?;
        told(&outcome);
        done.insert(n, outcome);
    }
    Ok(done.into_values().collect())
}

/// A scenario and its negative control.
fn both(scenario: &Scenario, options: &Options) -> Outcome {
    let clock = WallClock::start(1.0);
    let run = one(scenario, None, options);
    let negative = Ran { record: None, ..one(scenario, Some(&scenario.negative), options) };
    Outcome {
        id: scenario.id.clone(),
        title: scenario.title.clone(),
        requirements: scenario.requirements.clone(),
        faults: scenario
            .faults
            .iter()
            .map(|f| (f.at.as_secs_f64(), f.until.map(|until| until.as_secs_f64()), f.kind.clone(), f.on.clone()))
            .collect(),
        clock: match scenario.clock {
            ClockKind::Virtual => "virtual".to_owned(),
            ClockKind::Wall { speed } => format!("wall x {speed}"),
        },
        seed: scenario.seed,
        guard: scenario.negative.name(),
        run,
        negative,
        seconds: clock.elapsed().as_secs_f64(),
    }
}

fn one(scenario: &Scenario, off: Option<&Guard>, options: &Options) -> Ran {
    let seen = match (scenario.clock, &options.wall) {
        (ClockKind::Virtual, _) => bed::run(scenario, off).map_err(|e| e.to_string()),
        (ClockKind::Wall { speed }, Some(programs)) => {
            wall::run(scenario, off, speed, programs).map_err(|e| format!("{e:#}"))
        }
        (ClockKind::Wall { .. }, None) => Err("no folder for the wall's clock".to_owned()),
    };
    match seen {
        Ok(record) => Ran { findings: judge(&scenario.pass, &record), record: Some(record), error: None },
        Err(error) => Ran { findings: Vec::new(), record: None, error: Some(error) },
    }
}

/// What a result is known by: all that the scenario read, and this program's version.
fn key(scenario: &Scenario) -> String {
    let read = |file: &Path| std::fs::read(file).unwrap_or_default();
    let mut bytes = env!("CARGO_PKG_VERSION").as_bytes().to_vec();
    bytes.extend(scenario.id.as_bytes());
    bytes.extend(scenario.text.as_bytes());
    bytes.extend(read(&scenario.plant));
    bytes.extend(read(&scenario.rig));
    sha256(&bytes)
}

/// Results that are kept.
#[derive(Debug)]
struct Kept {
    file: Option<(PathBuf, File)>,
    results: BTreeMap<String, Outcome>,
}

impl Kept {
    fn open(file: Option<&Path>) -> Result<Self, CampaignError> {
        let Some(file) = file else { return Ok(Self { file: None, results: BTreeMap::new() }) };
        let failed = |source| CampaignError::File { file: file.to_owned(), source };
        let mut results = BTreeMap::new();
        if file.exists() {
            let lines = BufReader::new(File::open(file).map_err(failed)?).lines();
            // A line that a kill has torn is a result that was not kept.
            let read =
                lines.map_while(Result::ok).filter_map(|line| serde_json::from_str::<(String, Outcome)>(&line).ok());
            results = read.filter(|(_, outcome)| outcome.is_good()).collect();
        }
        let open = OpenOptions::new().create(true).append(true).open(file).map_err(failed)?;
        Ok(Self { file: Some((file.to_owned(), open)), results })
    }

    fn keep(&mut self, scenario: &Scenario, outcome: &Outcome) -> Result<(), CampaignError> {
        let Some((file, open)) = &mut self.file else { return Ok(()) };
        let line = serde_json::to_string(&(key(scenario), outcome)).unwrap_or_default();
        writeln!(open, "{line}").map_err(|source| CampaignError::File { file: file.clone(), source })
    }
}

/// A campaign, counted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Count {
    /// Scenarios.
    pub scenarios: usize,
    /// Kinds of faults in them.
    pub faults: usize,
    /// Scenarios that passed.
    pub passed: usize,
    /// Scenarios that did not.
    pub failed: usize,
    /// Negative controls.
    pub negative_controls: usize,
    /// Negative controls that failed, as they must.
    pub negative_failed_as_expected: usize,
    /// Wall time, in seconds.
    pub seconds: f64,
}

impl Count {
    /// The count of these outcomes, which took so long.
    #[must_use]
    pub fn of(outcomes: &[Outcome], took: Duration) -> Self {
        let kinds: BTreeSet<&str> = outcomes.iter().flat_map(|o| o.faults.iter().map(|f| f.2.as_str())).collect();
        let passed = outcomes.iter().filter(|o| o.run.passed()).count();
        Self {
            scenarios: outcomes.len(),
            faults: kinds.len(),
            passed,
            failed: outcomes.len() - passed,
            negative_controls: outcomes.len(),
            negative_failed_as_expected: outcomes.iter().filter(|o| o.negative.failed()).count(),
            seconds: took.as_secs_f64(),
        }
    }

    /// Whether every scenario passed and every negative control failed.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.scenarios > 0 && self.failed == 0 && self.negative_failed_as_expected == self.negative_controls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_names() {
        for (pattern, name, is) in [
            ("link-*", "link-drop", true),
            ("link-*", "a-link-drop", false),
            ("*drop", "link-drop", true),
            ("l?nk*", "link-drop", true),
            ("link", "link-drop", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, name), is, "{pattern} {name}");
        }
    }

    fn ran(ok: bool, error: Option<&str>) -> Ran {
        let finding = Finding { criterion: "c".into(), expected: "e".into(), actual: "a".into(), ok };
        Ran { findings: vec![finding], record: None, error: error.map(str::to_owned) }
    }

    /// A control that could not be run has not failed: it has shown nothing.
    #[test]
    fn a_run_that_could_not_be_made_neither_passes_nor_fails() {
        assert!(ran(true, None).passed() && ran(false, None).failed());
        for broken in [ran(true, Some("no")), ran(false, Some("no"))] {
            assert!(!broken.passed() && !broken.failed());
        }
    }

    #[test]
    fn results_are_taken_up_again_and_another_scenario_is_run() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("campaigns/cstr");
        let dir = tempfile::tempdir().unwrap();
        let mut scenarios = load(&[folder], "permit").unwrap();
        let options = Options { jobs: 1, resume: Some(dir.path().join("results.jsonl")), ..Options::default() };
        let first = run(&scenarios, &options, |_| {}).unwrap();
        assert!(first[0].is_good(), "{:#?}", first[0]);
        let again = run(&scenarios, &options, |_| {}).unwrap();
        assert_eq!(first, again, "the seconds it took are those of the first time");
        scenarios[0].text.push(' ');
        let other = run(&scenarios, &options, |_| {}).unwrap();
        assert_eq!(other[0].run, first[0].run);
        assert_eq!(std::fs::read_to_string(options.resume.unwrap()).unwrap().lines().count(), 2);
    }
}
