//! Scenario files and the `campaign.toml` of their folder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rig::Command;
use runtime::config::Mode;
use runtime::config::reader::{Document, Faults, Section, number};

use super::foreign::Foreign;
use super::guard::Guard;
use super::pass::Pass;
use super::set::Changes;
use super::{ClockKind, Line, Scenario};
use crate::faults;

/// The most lines and faults of one scenario.
const MANY: usize = 200;
/// What a campaign's own file is called.
pub(super) const CAMPAIGN_FILE: &str = "campaign.toml";

/// A scenario that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// A file cannot be read.
    #[error("{}: cannot be read: {source}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file has faults.
    #[error(transparent)]
    Faulty(#[from] Faults),
}

/// What the scenarios of a folder have in common: its `campaign.toml`. Each key may stand in a scenario instead.
#[derive(Clone, Debug, Default)]
pub struct Campaign {
    /// What the campaign is called.
    pub title: String,
    common: Common,
    text: String,
}

#[derive(Clone, Debug, Default)]
struct Common {
    plant: Option<PathBuf>,
    rig: Option<PathBuf>,
    seed: Option<u32>,
    duration_s: Option<f64>,
    clock: Option<ClockKind>,
    mode: Option<Mode>,
    way_in: Option<bool>,
    device: Option<Foreign>,
    plant_set: Changes,
    rig_set: Changes,
}

impl Campaign {
    /// The campaign of a folder; an unnamed one without anything in common where it has no `campaign.toml`.
    ///
    /// # Errors
    /// [`ScenarioError`], with every fault.
    pub fn of(folder: &Path) -> Result<Self, ScenarioError> {
        let file = folder.join(CAMPAIGN_FILE);
        if !file.exists() {
            return Ok(Self::default());
        }
        let text = text_of(&file)?;
        let (title, common) = Document::new(&file, &text).read(|s| {
            let title = s.text("title", "what the campaign shows, in a line");
            let common = read_common(s, folder);
            Some((title?, common?))
        })?;
        Ok(Self { title, common, text })
    }
}

fn text_of(file: &Path) -> Result<String, ScenarioError> {
    std::fs::read_to_string(file).map_err(|source| ScenarioError::Unreadable { file: file.to_owned(), source })
}

pub(super) fn load(file: &Path) -> Result<Scenario, ScenarioError> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let campaign = Campaign::of(folder)?;
    let text = text_of(file)?;
    parse(file, &text, &campaign)
}

/// A scenario's text; `file` is its name in the messages, and its folder is where other files are looked for.
pub(super) fn parse(file: &Path, text: &str, campaign: &Campaign) -> Result<Scenario, ScenarioError> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let read = |s: &Section<'_, '_>| read_scenario(s, (file, folder), campaign);
    let scenario = Document::new(file, text).read(read)?;
    Ok(Scenario { text: format!("{}\n{text}", campaign.text), ..scenario })
}

fn read_scenario(s: &Section<'_, '_>, (file, folder): (&Path, &Path), campaign: &Campaign) -> Option<Scenario> {
    let title = s.text("title", "what the scenario shows, in a line");
    let requirements = s.texts("requirements", "a list of the requirements that it speaks of");
    let common = read_common(s, folder);
    let lines = read_lines(s);
    let faults = s.sections("fault", (0, MANY), faults::read);
    let pass = s.section("pass", Pass::read);
    let negative = s.section("negative", Guard::read);
    if requirements.as_ref().is_some_and(Vec::is_empty) {
        s.fault("requirements", "a list of at least one requirement, such as [\"check 3\", \"I6\"]");
    }
    let (common, usual) = (common?, &campaign.common);
    let missing = |key: &str, what: &str| {
        s.fault(key, format!("{what}, here or in {CAMPAIGN_FILE}"));
    };
    let plant = common.plant.or_else(|| usual.plant.clone());
    let rig = common.rig.or_else(|| usual.rig.clone());
    let duration_s = common.duration_s.or(usual.duration_s);
    if plant.is_none() {
        missing("plant", "the plant file of the loop");
    }
    if rig.is_none() {
        missing("rig", "the plant file of the rig");
    }
    if duration_s.is_none() {
        missing("duration_s", "seconds of plant time");
    }
    let both = |of: &Changes, more: Changes| Changes(of.0.iter().cloned().chain(more.0).collect());
    let scenario = Scenario {
        id: file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default(),
        file: file.to_owned(),
        title: title?,
        requirements: requirements?,
        plant: plant?,
        rig: rig?,
        seed: u64::from(common.seed.or(usual.seed).unwrap_or(1)),
        duration: Duration::from_secs_f64(duration_s?),
        clock: common.clock.or(usual.clock).unwrap_or(ClockKind::Virtual),
        mode: common.mode.or(usual.mode).unwrap_or(Mode::ClosedLoop),
        way_in: common.way_in.or(usual.way_in).unwrap_or(true),
        device: common.device.or_else(|| usual.device.clone()),
        plant_set: both(&usual.plant_set, common.plant_set),
        rig_set: both(&usual.rig_set, common.rig_set),
        lines: lines?,
        faults: faults?,
        pass: pass?,
        negative: negative?,
        text: String::new(),
    };
    judge_whole(s, &scenario);
    Some(scenario)
}

/// What spans several keys.
fn judge_whole(s: &Section<'_, '_>, scenario: &Scenario) {
    for (i, fault) in scenario.faults.iter().enumerate() {
        if fault.at >= scenario.duration {
            s.fault_in("fault", i, "at_s", format!("before the end of the run, {:?}", scenario.duration));
        }
    }
    if scenario.device.is_some() && scenario.clock == ClockKind::Virtual {
        s.fault("clock", "\"wall\" or \"wall x N\": a device is no part of virtual time");
    }
    if !scenario.pass.told.is_empty() && scenario.clock != ClockKind::Virtual {
        s.fault_in("told", 0, "cause", "no such criterion by the wall clock: the DCS is not shown warnings");
    }
    if !scenario.pass.told.is_empty() || scenario.pass.first_out.is_some() || scenario.pass.released_within_s.is_some()
    {
        let onset = scenario.onset();
        if onset >= scenario.duration {
            s.fault_in_section("pass", "first_out", "a fault or a line at the keyboard before it");
        }
    }
}

fn read_common(s: &Section<'_, '_>, folder: &Path) -> Option<Common> {
    let path = |key| s.optional(key, "a file", |v| v.as_str().map(|file| folder.join(file)));
    let (plant, rig) = (path("plant"), path("rig"));
    for (key, file) in [("plant", &plant), ("rig", &rig)] {
        if let Some(Some(file)) = file
            && !file.is_file()
        {
            s.fault(key, format!("a file; {} is none", file.display()));
        }
    }
    let seed = s.optional("seed", "a whole number", |v| runtime::config::reader::count(v, 0, u32::MAX));
    let duration_s = s.optional("duration_s", "seconds of plant time, from 1 to 3600000", |v| {
        number(v).filter(|x| (1.0..=faults::TIME_MAX_S).contains(x))
    });
    let clock =
        s.optional("clock", "\"virtual\", \"wall\" or \"wall x N\" with N from 0.001 to 10000", |v| clock(v.as_str()?));
    let modes = [("shadow", Mode::Shadow), ("advisory", Mode::Advisory), ("closed-loop", Mode::ClosedLoop)];
    let mode = s.optional_choice("mode", &modes);
    let way_in = s.optional("way_in", "true or false", |v| v.as_bool());
    let device = match s.has("device") {
        true => s.section("device", |s| Foreign::read(s, folder)).map(Some),
        false => Some(None),
    };
    let keys = "a table of keys and values, such as { \"cv.1.frozen_samples\" = 10 }";
    let plant_set = s.optional("plant_set", keys, Changes::read).map(Option::unwrap_or_default);
    let rig_set = s.optional("rig_set", keys, Changes::read).map(Option::unwrap_or_default);
    Some(Common {
        plant: plant?,
        rig: rig?,
        seed: seed?,
        duration_s: duration_s?,
        clock: clock?,
        mode: mode?,
        way_in: way_in?,
        device: device?,
        plant_set: plant_set?,
        rig_set: rig_set?,
    })
}

fn clock(word: &str) -> Option<ClockKind> {
    match word {
        "virtual" => Some(ClockKind::Virtual),
        "wall" => Some(ClockKind::Wall { speed: 1.0 }),
        _ => {
            let speed: f64 = word.strip_prefix("wall x ")?.trim().parse().ok()?;
            (0.001..=10_000.0).contains(&speed).then_some(ClockKind::Wall { speed })
        }
    }
}

fn read_lines(s: &Section<'_, '_>) -> Option<Vec<Line>> {
    let of = |disturbance: bool| {
        move |s: &Section<'_, '_>| {
            let at_s = s.between("at_s", "seconds from the start of the run", 0.0, faults::TIME_MAX_S);
            let line = s.get("do", "a command of the rig", |v| v.as_str().map(str::to_owned));
            let refused = s.optional("refused", "true or false", |v| v.as_bool());
            let line = line?;
            if let Err(error) = line.parse::<Command>() {
                s.fault("do", format!("a command of the rig: {error}"));
            }
            let at = Duration::from_secs_f64(at_s?);
            Some(Line { at, line, refused: refused?.unwrap_or(false), disturbance })
        }
    };
    let (operator, disturbance) =
        (s.sections("operator", (0, MANY), of(false)), s.sections("disturbance", (0, MANY), of(true)));
    let mut lines: Vec<Line> = operator?.into_iter().chain(disturbance?).collect();
    lines.sort_by_key(|line| line.at);
    Some(lines)
}
