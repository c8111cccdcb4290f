//! The plant file as TOML spells it, and the checks that turn it into a [`RigConfig`].

use std::time::Duration;

use plant_models::{ModelCard, Variable, for_rig};
use serde::Deserialize;
use signals::dcs::ShedOption;
use signals::{MAX_CVS, MAX_DVS, MAX_MVS};

use super::faults::{At, ConfigError, Faults, line_of};
use super::{CvConfig, DvConfig, MvConfig, Prefix, RigConfig, Scheduled, SlaveTuning, Span};
use crate::command::Command;
use crate::degradation::{Degradation, Law};
use crate::plant::PlantSource;

/// A scan and a period are whole numbers of nanoseconds and at most a day.
const LONGEST_S: f64 = 86_400.0;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRig {
    title: String,
    model: String,
    area: String,
    unit: String,
    app: String,
    period_s: f64,
    scan_s: f64,
    substeps: Option<usize>,
    mv: Vec<RawMv>,
    cv: Vec<RawCv>,
    #[serde(default)]
    dv: Vec<RawDv>,
    #[serde(default)]
    degradation: Vec<RawDegradation>,
    #[serde(default)]
    operator: Vec<RawOperator>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMv {
    name: String,
    range: [f64; 2],
    start: f64,
    clamp: [f64; 2],
    limits: [f64; 2],
    max_rate_per_s: f64,
    shed: RawShed,
    backup_sp: Option<f64>,
    slave: RawSlave,
    #[serde(default)]
    dead_time_s: f64,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum RawShed {
    HoldAuto,
    BackupSp,
    Man,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSlave {
    gain: f64,
    reset_s: f64,
    rate_s: f64,
    actuator_tau_s: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCv {
    name: String,
    range: [f64; 2],
    setpoint: Option<f64>,
    limits: [f64; 2],
    weight: f64,
    noise_sd: f64,
    transmitters: Option<u32>,
    #[serde(default)]
    lag_s: f64,
    #[serde(default)]
    dead_time_s: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDv {
    name: String,
    start: Option<f64>,
    noise_sd: f64,
    transmitters: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDegradation {
    parameter: String,
    law: Law,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOperator {
    at_s: f64,
    command: String,
}

/// The name of a model that is none of ours.
const EXTERNAL: &str = "external";
/// The most scans that a dead time lasts.
const DEAD_SCANS_MAX: f64 = 100_000.0;

/// The checks of one file.
struct Check<'a> {
    faults: Faults<'a>,
    outside: Option<&'static ModelCard>,
}

pub(super) fn check(text: &str, file: &str, outside: Option<&'static ModelCard>) -> Result<RigConfig, ConfigError> {
    let raw: RawRig = toml::from_str(text).map_err(|error| ConfigError::Syntax {
        file: file.to_owned(),
        line: line_of(text, error.span().map_or(0, |span| span.start)),
        message: error.message().to_owned(),
    })?;
    let mut check = Check { faults: Faults::of(text), outside };
    let config = check.rig(&raw);
    match config {
        Some(config) if check.faults.is_empty() => Ok(config),
        _ => Err(check.faults.into_error(file)),
    }
}

fn top(key: &str) -> At<'_> {
    At { table: None, key }
}

fn entry<'a>(table: &'a str, number: usize, key: &'a str) -> At<'a> {
    At { table: Some((table, number)), key }
}

/// `value` when it lies in `low..=high`; a NaN does not.
fn within(value: f64, low: f64, high: f64) -> Result<f64, String> {
    let message = || format!("{value} is outside {low} to {high}");
    (low..=high).contains(&value).then_some(value).ok_or_else(message)
}

fn positive(value: f64) -> Result<f64, String> {
    (value.is_finite() && value > 0.0).then_some(value).ok_or_else(|| format!("{value} is not above 0"))
}

fn not_negative(value: f64) -> Result<f64, String> {
    (value.is_finite() && value >= 0.0).then_some(value).ok_or_else(|| format!("{value} is below 0"))
}

fn span([low, high]: [f64; 2]) -> Result<Span, String> {
    let good = low.is_finite() && high.is_finite() && low < high;
    good.then_some(Span { low, high }).ok_or_else(|| format!("{low} to {high} is no interval of finite numbers"))
}

fn span_within(ends: [f64; 2], outer: Option<Span>, what: &str) -> Result<Span, String> {
    let inner = span(ends)?;
    match outer {
        Some(o) if !(o.contains(inner.low) && o.contains(inner.high)) => {
            Err(format!("{} to {} leaves the {what} {} to {}", inner.low, inner.high, o.low, o.high))
        }
        _ => Ok(inner),
    }
}

/// Whether there are spares: one transmitter or three, for two cannot outvote each other.
fn spared(transmitters: Option<u32>) -> Result<bool, String> {
    match transmitters {
        None | Some(1) => Ok(false),
        Some(3) => Ok(true),
        Some(n) => Err(format!("{n} is neither 1 nor 3")),
    }
}

fn variable(list: &'static [Variable], name: &str, what: &str) -> Result<(usize, &'static Variable), String> {
    let names = || list.iter().map(|v| format!("`{}`", v.name)).collect::<Vec<_>>().join(", ");
    let found = list.iter().enumerate().find(|(_, v)| v.name == name);
    found.ok_or_else(|| format!("the model has no {what} `{name}`, it has {}", names()))
}

/// A part of a tag's name: letters, digits, `_` and `-`.
fn identifier(name: &str) -> Result<String, String> {
    let good = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    good.then(|| name.to_owned()).ok_or_else(|| format!("`{name}` is not made of letters, digits, `_` and `-`"))
}

fn substeps(raw: &RawRig) -> Result<usize, String> {
    match (raw.model.as_str(), raw.substeps) {
        (EXTERNAL, None) => Ok(1),
        (EXTERNAL, Some(_)) => Err("a plant outside steps itself, expected no such key".to_owned()),
        (_, None) => Err("the key is missing, expected 1 to 1000".to_owned()),
        (_, Some(n)) if (1..=1000).contains(&n) => Ok(n),
        (_, Some(n)) => Err(format!("{n} is outside 1 to 1000")),
    }
}

/// A dead time that is not negative and not too long to be kept.
fn dead_time(value: f64, scan_s: f64) -> Result<f64, String> {
    not_negative(value)?;
    let longest = DEAD_SCANS_MAX * scan_s;
    if value <= longest { Ok(value) } else { Err(format!("{value} is above {longest}, {DEAD_SCANS_MAX} scans")) }
}

impl Check<'_> {
    fn rig(&mut self, raw: &RawRig) -> Option<RigConfig> {
        let plant = self.plant(&raw.model);
        let plant = self.faults.note(top("model"), plant);
        let prefix = self.prefix(raw);
        let (period, scan) = self.times(raw);
        let substeps = self.faults.note(top("substeps"), substeps(raw));
        let timeline = self.timeline(&raw.operator);
        let plant = plant?;
        let card = plant.card();
        let mvs = self.mvs(&raw.mv, card, raw.scan_s);
        let cvs = self.cvs(&raw.cv, card, raw.scan_s);
        let dvs = self.dvs(&raw.dv, card);
        let degradation = self.degradation(&raw.degradation, card);
        let (title, timeline, degradation) = (raw.title.clone(), timeline?, degradation?);
        let (prefix, period, scan, substeps, mvs) = (prefix?, period?, scan?, substeps?, mvs?);
        let (cvs, dvs) = (cvs?, dvs?);
        Some(RigConfig { title, prefix, plant, period, scan, substeps, mvs, cvs, dvs, degradation, timeline })
    }

    fn plant(&self, name: &str) -> Result<PlantSource, String> {
        match (name, self.outside) {
            (EXTERNAL, Some(card)) => Ok(PlantSource::External(card)),
            (EXTERNAL, None) => Err("`external` is a plant outside: give it with --exec or --connect".to_owned()),
            (name, Some(_)) => {
                Err(format!("`{name}` is a model of ours and a plant outside is given, expected `external`"))
            }
            (name, None) => for_rig(name).map(PlantSource::Model).map_err(|e| e.to_string()),
        }
    }

    fn degradation(&mut self, raw: &[RawDegradation], card: &'static ModelCard) -> Option<Vec<Degradation>> {
        let mut found: Vec<Degradation> = Vec::new();
        for (i, one) in raw.iter().enumerate() {
            let at = |key| entry("degradation", i, key);
            let place = self.faults.note(at("parameter"), variable(card.disturbances, &one.parameter, "disturbance"));
            let law = self.faults.note(at("law"), one.law.check().map(|()| one.law));
            let (Some((index, _)), Some(law)) = (place, law) else { continue };
            if found.iter().any(|other| other.index == index) {
                self.faults.add(at("parameter"), format!("`{}` decays already", one.parameter));
                continue;
            }
            found.push(Degradation { index, law });
        }
        (found.len() == raw.len()).then_some(found)
    }

    fn prefix(&mut self, raw: &RawRig) -> Option<Prefix> {
        let area = self.faults.note(top("area"), identifier(&raw.area));
        let unit = self.faults.note(top("unit"), identifier(&raw.unit));
        let app = self.faults.note(top("app"), identifier(&raw.app));
        Some(Prefix { area: area?, unit: unit?, app: app? })
    }

    fn times(&mut self, raw: &RawRig) -> (Option<Duration>, Option<Duration>) {
        let seconds = |value: f64| within(value, 0.001, LONGEST_S).map(Duration::from_secs_f64);
        let period = self.faults.note(top("period_s"), seconds(raw.period_s));
        let scan = self.faults.note(top("scan_s"), seconds(raw.scan_s));
        if let (Some(period), Some(scan)) = (period, scan)
            && (period < scan || period.as_nanos() % scan.as_nanos() != 0)
        {
            let message = format!("{} s is no whole fraction of the period, {} s", raw.scan_s, raw.period_s);
            self.faults.add(top("scan_s"), message);
        }
        (period, scan)
    }

    fn timeline(&mut self, raw: &[RawOperator]) -> Option<Vec<Scheduled>> {
        let mut timeline = Vec::new();
        for (i, entry_raw) in raw.iter().enumerate() {
            let at = self.faults.note(entry("operator", i, "at_s"), within(entry_raw.at_s, 0.0, 365.0 * LONGEST_S));
            let parsed = entry_raw.command.parse::<Command>().map_err(|e| e.to_string());
            let command = self.faults.note(entry("operator", i, "command"), parsed);
            if let (Some(at), Some(command)) = (at, command) {
                timeline.push(Scheduled { at: Duration::from_secs_f64(at), line: entry_raw.command.clone(), command });
            }
        }
        timeline.sort_by_key(|scheduled| scheduled.at);
        (timeline.len() == raw.len()).then_some(timeline)
    }

    fn mvs(&mut self, raw: &[RawMv], card: &'static ModelCard, scan_s: f64) -> Option<Vec<MvConfig>> {
        let wanted: Vec<_> = card.inputs.iter().map(|v| v.name).collect();
        let given: Vec<_> = raw.iter().map(|mv| mv.name.as_str()).collect();
        if wanted != given || raw.len() > MAX_MVS {
            self.faults.add(top("mv"), format!("the model's inputs in its order are {wanted:?}, here are {given:?}"));
            return None;
        }
        let pairs = raw.iter().zip(card.inputs).enumerate();
        let mvs: Vec<_> = pairs.filter_map(|(i, (mv, variable))| self.mv(i, mv, variable, scan_s)).collect();
        (mvs.len() == raw.len()).then_some(mvs)
    }

    fn mv(&mut self, i: usize, raw: &RawMv, variable: &'static Variable, scan_s: f64) -> Option<MvConfig> {
        let at = |key| entry("mv", i, key);
        let range = self.faults.note(at("range"), span(raw.range));
        let clamp = self.faults.note(at("clamp"), span_within(raw.clamp, range, "range"));
        let limits = self.faults.note(at("limits"), span_within(raw.limits, clamp, "clamp"));
        let inside = |value: f64, span: Option<Span>| span.map_or(Ok(value), |s| within(value, s.low, s.high));
        let start = self.faults.note(at("start"), inside(raw.start, clamp));
        let rate = self.faults.note(at("max_rate_per_s"), positive(raw.max_rate_per_s));
        let backup = match (raw.shed, raw.backup_sp) {
            (RawShed::BackupSp, None) => Err("`backup-sp` needs a `backup_sp`".to_owned()),
            (_, None) => Ok(raw.start),
            (_, Some(sp)) => inside(sp, clamp),
        };
        let backup_sp = self.faults.note(at("backup_sp"), backup);
        let slave = self.slave(at("slave"), raw.slave);
        let dead_time_s = self.faults.note(at("dead_time_s"), dead_time(raw.dead_time_s, scan_s));
        let shed = match raw.shed {
            RawShed::HoldAuto => ShedOption::HoldAuto,
            RawShed::BackupSp => ShedOption::BackupSp,
            RawShed::Man => ShedOption::Man,
        };
        let (range, clamp, limits) = (range?, clamp?, limits?);
        let (start, max_rate_per_s, backup_sp, slave, dead_time_s) = (start?, rate?, backup_sp?, slave?, dead_time_s?);
        Some(MvConfig { variable, range, start, clamp, limits, max_rate_per_s, shed, backup_sp, slave, dead_time_s })
    }

    fn slave(&mut self, at: At<'_>, raw: RawSlave) -> Option<SlaveTuning> {
        let RawSlave { gain, reset_s, rate_s, actuator_tau_s } = raw;
        let checks = [positive(gain), positive(reset_s), not_negative(rate_s), not_negative(actuator_tau_s)];
        let names = ["gain", "reset_s", "rate_s", "actuator_tau_s"];
        let named = checks.into_iter().zip(names).try_for_each(|(c, n)| c.map(drop).map_err(|m| format!("{n}: {m}")));
        self.faults.note(at, named.map(|()| SlaveTuning { gain, reset_s, rate_s, actuator_tau_s }))
    }

    fn cvs(&mut self, raw: &[RawCv], card: &'static ModelCard, scan_s: f64) -> Option<Vec<CvConfig>> {
        if raw.is_empty() || raw.len() > MAX_CVS {
            self.faults.add(top("cv"), format!("{} CVs, expected 1 to {MAX_CVS}", raw.len()));
        }
        let cvs: Vec<_> = raw.iter().enumerate().filter_map(|(i, cv)| self.cv(i, cv, card, scan_s)).collect();
        (cvs.len() == raw.len()).then_some(cvs)
    }

    fn cv(&mut self, i: usize, raw: &RawCv, card: &'static ModelCard, scan_s: f64) -> Option<CvConfig> {
        let at = |key| entry("cv", i, key);
        let found = self.faults.note(at("name"), variable(card.outputs, &raw.name, "output"));
        let range = self.faults.note(at("range"), span(raw.range));
        let limits = self.faults.note(at("limits"), span_within(raw.limits, range, "range"));
        let setpoint = raw.setpoint.map_or(Ok(None), |sp| match limits {
            Some(l) => within(sp, l.low, l.high).map(Some),
            None => Ok(Some(sp)),
        });
        let setpoint = self.faults.note(at("setpoint"), setpoint);
        let weight = self.faults.note(at("weight"), not_negative(raw.weight));
        let noise_sd = self.faults.note(at("noise_sd"), not_negative(raw.noise_sd));
        let spared = self.faults.note(at("transmitters"), spared(raw.transmitters));
        let lag_s = self.faults.note(at("lag_s"), not_negative(raw.lag_s));
        let dead_time_s = self.faults.note(at("dead_time_s"), dead_time(raw.dead_time_s, scan_s));
        let (output, variable) = found?;
        let (range, setpoint, limits, lag_s, dead_time_s) = (range?, setpoint?, limits?, lag_s?, dead_time_s?);
        let (weight, noise_sd, spared) = (weight?, noise_sd?, spared?);
        Some(CvConfig { variable, output, range, setpoint, limits, weight, noise_sd, spared, lag_s, dead_time_s })
    }

    fn dvs(&mut self, raw: &[RawDv], card: &'static ModelCard) -> Option<Vec<DvConfig>> {
        if raw.len() > MAX_DVS {
            self.faults.add(top("dv"), format!("{} DVs, at most {MAX_DVS}", raw.len()));
        }
        let dvs: Vec<_> = raw.iter().enumerate().filter_map(|(i, dv)| self.dv(i, dv, card)).collect();
        (dvs.len() == raw.len()).then_some(dvs)
    }

    fn dv(&mut self, i: usize, raw: &RawDv, card: &'static ModelCard) -> Option<DvConfig> {
        let at = |key| entry("dv", i, key);
        let found = self.faults.note(at("name"), variable(card.disturbances, &raw.name, "disturbance"));
        let noise_sd = self.faults.note(at("noise_sd"), not_negative(raw.noise_sd));
        let spared = self.faults.note(at("transmitters"), spared(raw.transmitters));
        let (index, variable) = found?;
        let start = raw.start.unwrap_or(variable.nominal);
        let start = self.faults.note(at("start"), within(start, variable.low, variable.high));
        Some(DvConfig { variable, index, start: start?, noise_sd: noise_sd?, spared: spared? })
    }
}
