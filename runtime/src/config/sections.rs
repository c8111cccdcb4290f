//! The sections of a plant file, key by key.
//!
//! Nothing that touches the plant has a default. A value is checked where it is read; what spans several keys is
//! checked by [`PlantFile::cross_check`] and by the crates themselves, which [`super::load`] asks before anything runs.

use plant_models::{PlantModel, Variable};
use signals::{MAX_CVS, MAX_DVS, MAX_MVS, Unit};

use super::plant::{Cv, Dcs, Dv, Estimator, Limits, Login, Mode, Mpc, Mv, OnRange, PlantFile, Safety, Security, Tag};
use super::reader::{Section, count, number};
use super::units::Affine;

/// The shortest control period: the interlock scans ten times in it, and not faster than every 10 ms.
const PERIOD_MIN_S: f64 = 0.1;
/// The longest time that a plant file may name. A day is longer than any loop of this kind waits for anything.
const TIME_MAX_S: f64 = 86_400.0;

/// The section `[loop]`, as far as it is in order.
#[derive(Default)]
struct Head {
    name: Option<String>,
    model: Option<&'static dyn PlantModel>,
    period_s: Option<f64>,
    mode: Option<Mode>,
}

/// Reads the whole file. Every section is read before the first missing value ends the reading, so that all faults are
/// found.
pub(crate) fn read(root: &Section<'_, '_>) -> Option<PlantFile> {
    let head = root.section("loop", read_loop);
    let dcs = root.section("dcs", read_dcs);
    let safety = root.section("safety", read_safety);
    let mpc = root.section("mpc", read_mpc);
    // The sections below speak of the model's variables; without a model they cannot be judged.
    let Some(Head { name, model: Some(model), period_s, mode }) = head else {
        for key in ["estimator", "mv", "cv", "dv"] {
            root.skip(key);
        }
        return None;
    };
    let card = model.card();
    let estimator = root.section("estimator", |s| read_estimator(s, model));
    let mvs = root.sections("mv", (1, MAX_MVS), |s| read_mv(s, model));
    let cvs = root.sections("cv", (1, MAX_CVS.min(card.outputs.len())), |s| read_cv(s, model));
    let dvs = root.sections("dv", (0, MAX_DVS.min(card.disturbances.len())), |s| read_dv(s, model));
    let (dcs, sis_tags) = dcs?;
    let file = PlantFile {
        name: name?,
        model,
        period_s: period_s?,
        mode: mode?,
        dcs,
        estimator: estimator?,
        mpc: mpc?,
        safety: safety?,
        mvs: mvs?,
        cvs: cvs?,
        dvs: dvs?,
    };
    file.cross_check(root, &sis_tags);
    Some(file)
}

fn read_loop(s: &Section<'_, '_>) -> Option<Head> {
    let name = s.text("name", "the loop's name");
    let known = plant_models::ALL.map(|model| format!("\"{}\"", model.card().name)).join(", ");
    let model = s.get("model", &format!("one of the plant models, {known}"), |v| {
        v.as_str().and_then(|name| plant_models::by_name(name).ok())
    });
    let period_s = s.between("period_s", "the control period in seconds", PERIOD_MIN_S, TIME_MAX_S);
    let mode =
        s.choice("mode", &[("shadow", Mode::Shadow), ("advisory", Mode::Advisory), ("closed-loop", Mode::ClosedLoop)]);
    Some(Head { name, model, period_s, mode })
}

fn read_dcs(s: &Section<'_, '_>) -> Option<(Dcs, Vec<String>)> {
    let endpoint = s.get("endpoint", "an OPC UA address, opc.tcp://host:port/path", |v| {
        v.as_str().filter(|url| url.starts_with("opc.tcp://") && url.len() > "opc.tcp://".len()).map(str::to_owned)
    });
    let security = s.choice(
        "security",
        &[
            ("none", Security::None),
            ("basic256sha256-sign", Security::Sign),
            ("basic256sha256-sign-and-encrypt", Security::SignAndEncrypt),
        ],
    );
    let namespace = s.text("namespace", "the URI of the namespace of the tags");
    let prefix = s.text("prefix", "what stands before every tag, such as \"Area1.R101.APC_cstr.\"");
    let sis_tags = s.texts("sis_tags", "a list of tags that must never be written");
    let login = s.section("login", read_login);
    let dcs = Dcs { endpoint: endpoint?, security: security?, namespace: namespace?, prefix: prefix?, login: login? };
    Some((dcs, sis_tags?))
}

fn read_login(s: &Section<'_, '_>) -> Option<Login> {
    if s.has("certificate") || s.has("private_key") {
        let certificate = s.text("certificate", "a DER file with the user's certificate");
        let private_key = s.text("private_key", "a PEM file with the user's private key");
        return Some(Login::Certificate { certificate: certificate?, private_key: private_key? });
    }
    if s.has("anonymous") {
        return s.get("anonymous", "true", |v| v.as_bool().filter(|b| *b)).map(|_| Login::Anonymous);
    }
    let user = s.text("user", "a user name (or `certificate` and `private_key`, or `anonymous = true`)");
    let password_env = s.text("password_env", "the environment variable that holds the password");
    Some(Login::Password { user: user?, password_env: password_env? })
}

fn read_estimator(s: &Section<'_, '_>, model: &'static dyn PlantModel) -> Option<Estimator> {
    let states: Vec<_> = model.card().states.iter().map(|v| v.name).collect();
    let substeps = s.count("substeps", 1, 100);
    let dv_hold_s = s.between("dv_hold_s", "seconds", 0.0, TIME_MAX_S);
    let cv_missing_max = s.count("cv_missing_max", 0, 1000);
    let state_sd = s.numbers("state_sd", &states);
    let initial_sd = s.numbers("initial_sd", &states);
    Some(Estimator {
        substeps: substeps? as usize,
        dv_hold_s: dv_hold_s?,
        cv_missing_max: cv_missing_max?,
        state_sd: state_sd?,
        initial_sd: initial_sd?,
    })
}

fn read_mpc(s: &Section<'_, '_>) -> Option<Mpc> {
    let horizon = s.count("horizon", 1, 200);
    let blocks = s.counts("blocks", 1, 200);
    let substeps = s.count("substeps", 1, 100);
    let sqp_iterations = s.count("sqp_iterations", 1, 50);
    let time_limit_pct = s.between("time_limit_pct", "percent of the period", 10.0, 90.0);
    let plan_max_age = s.count("plan_max_age", 0, 15);
    let hold_max = s.count("hold_max", 0, 1000);
    if let (Some(horizon), Some(blocks)) = (horizon, &blocks)
        && blocks.iter().sum::<u32>() != horizon
    {
        s.fault("blocks", format!("block lengths whose sum is the horizon, {horizon}"));
    }
    Some(Mpc {
        horizon: horizon? as usize,
        blocks: blocks?.into_iter().map(|b| b as usize).collect(),
        substeps: substeps? as usize,
        sqp_iterations: sqp_iterations? as usize,
        time_limit_pct: time_limit_pct?,
        plan_max_age: u64::from(plan_max_age?),
        hold_max: u64::from(hold_max?),
    })
}

fn read_safety(s: &Section<'_, '_>) -> Option<Safety> {
    let heartbeat_timeout_s = s.between("heartbeat_timeout_s", "seconds", PERIOD_MIN_S, TIME_MAX_S);
    let armed_timeout_s = s.between("armed_timeout_s", "seconds", PERIOD_MIN_S, TIME_MAX_S);
    let hold_periods = s.count("hold_periods", 1, 1000);
    let solver_failures_hold = s.count("solver_failures_hold", 1, 100);
    let solver_failures_shed = s.count("solver_failures_shed", 1, 100);
    let write_failures_max = s.count("write_failures_max", 1, 100);
    Some(Safety {
        heartbeat_timeout_s: heartbeat_timeout_s?,
        armed_timeout_s: armed_timeout_s?,
        hold_periods: hold_periods?,
        solver_failures_hold: solver_failures_hold?,
        solver_failures_shed: solver_failures_shed?,
        write_failures_max: write_failures_max?,
    })
}

/// Name, node and unit of a tag that stands for one of the model's `variables`, found under `key`.
fn read_tag(
    s: &Section<'_, '_>,
    key: &'static str,
    variables: &'static [Variable],
) -> Option<(Tag, usize, &'static Variable)> {
    let name = s.text("tag", "the plant's name of the tag");
    let node = s.text("node", "the node below the prefix, such as \"CV1\"");
    let known = variables.iter().map(|v| format!("\"{}\"", v.name)).collect::<Vec<_>>().join(", ");
    let index = s.get(key, &format!("one of the model's, {known}"), |v| {
        variables.iter().position(|var| v.as_str() == Some(var.name))
    });
    let symbols = Unit::ALL.iter().map(Unit::symbol).collect::<Vec<_>>().join(", ");
    let unit = s.get("unit", &format!("the unit of the tag, one of {symbols}"), |v| v.as_str()?.parse::<Unit>().ok());
    let (index, unit) = (index?, unit?);
    let variable = variables.get(index)?;
    let to_model = Affine::between(&unit, &variable.unit)
        .map_err(|e| s.fault("unit", format!("a unit of the same kind as the model's: {e}")))
        .ok()?;
    Some((Tag { name: name?, node: node?, unit, to_model }, index, variable))
}

fn read_range(s: &Section<'_, '_>) -> Option<(f64, f64)> {
    let (low, high) = (s.number("low", "a number"), s.number("high", "a number"));
    let (low, high) = (low?, high?);
    if low >= high {
        s.fault("high", format!("a number above `low`, {low}"));
        return None;
    }
    Some((low, high))
}

fn read_mv(s: &Section<'_, '_>, model: &'static dyn PlantModel) -> Option<Mv> {
    let tag = read_tag(s, "input", model.card().inputs);
    let range = read_range(s);
    let rate_max_per_s = s.positive("rate_max_per_s", "the tag's unit per second");
    let ramp_to = s.optional("ramp_to", "a safe set-point within low and high", |v| {
        number(v).filter(|u| range.is_none_or(|(low, high)| (low..=high).contains(u)))
    });
    let move_weight = s.positive("move_weight", "a number");
    let ((tag, _, variable), (low, high)) = (tag?, range?);
    let by = tag.to_model;
    Some(Mv {
        variable,
        low: by.value(low),
        high: by.value(high),
        rate_max_per_s: by.span(rate_max_per_s?),
        ramp_to: ramp_to?.map(|u| by.value(u)),
        move_weight: move_weight?,
        tag,
    })
}

fn read_limits(s: &Section<'_, '_>) -> Option<Limits> {
    let range = read_range(s);
    let hysteresis = s.non_negative("hysteresis", "the tag's unit");
    let rate_max_per_s = s.positive("rate_max_per_s", "the tag's unit per second");
    let max_age_s = s.between("max_age_s", "seconds", PERIOD_MIN_S, TIME_MAX_S);
    let delay_s = s.between("delay_s", "seconds", 0.0, TIME_MAX_S);
    let resolution = s.non_negative("resolution", "the tag's unit");
    let frozen_samples = s.count("frozen_samples", 0, 10_000);
    let spike_window = s.get("spike_window", "0 or an odd number from 3 to 15", |v| {
        count(v, 0, 15).filter(|n| *n == 0 || (*n >= 3 && n % 2 == 1))
    });
    let spike_sigmas = s.get("spike_sigmas", "a number of at least 1", |v| number(v).filter(|sigmas| *sigmas >= 1.0));
    let (low, high) = range?;
    Some(Limits {
        low,
        high,
        hysteresis: hysteresis?,
        rate_max_per_s: rate_max_per_s?,
        max_age_s: max_age_s?,
        delay_s: delay_s?,
        resolution: resolution?,
        frozen_samples: frozen_samples?,
        spike_window: spike_window?,
        spike_sigmas: spike_sigmas?,
    })
}

impl Limits {
    fn in_model_units(self, by: Affine) -> Self {
        let (low, high) = (by.value(self.low), by.value(self.high));
        let (hysteresis, rate_max_per_s) = (by.span(self.hysteresis), by.span(self.rate_max_per_s));
        Self { low, high, hysteresis, rate_max_per_s, resolution: by.span(self.resolution), ..self }
    }
}

fn read_cv(s: &Section<'_, '_>, model: &'static dyn PlantModel) -> Option<Cv> {
    let tag = read_tag(s, "output", model.card().outputs);
    let critical = s.flag("critical");
    let on_range = s.choice("on_range", &[("hold", OnRange::Hold), ("shed", OnRange::Shed), ("trip", OnRange::Trip)]);
    let limits = read_limits(s);
    let span = s.positive("span", "the tag's unit");
    let weight = s.non_negative("weight", "a number");
    let terminal_weight = s.non_negative("terminal_weight", "a number");
    let limit_linear = s.non_negative("limit_linear", "a number");
    let limit_quadratic = s.non_negative("limit_quadratic", "a number");
    let limit_margin = s.non_negative("limit_margin", "the tag's unit");
    let measurement_sd = s.positive("measurement_sd", "the tag's unit");
    let disturbance_sd = s.non_negative("disturbance_sd", "the tag's unit");
    let (tag, output, variable) = tag?;
    let by = tag.to_model;
    Some(Cv {
        variable,
        output,
        critical: critical?,
        on_range: on_range?,
        limits: limits?.in_model_units(by),
        span: by.span(span?),
        weight: weight?,
        terminal_weight: terminal_weight?,
        limit_linear: limit_linear?,
        limit_quadratic: limit_quadratic?,
        limit_margin: by.span(limit_margin?),
        measurement_sd: by.span(measurement_sd?),
        disturbance_sd: by.span(disturbance_sd?),
        tag,
    })
}

fn read_dv(s: &Section<'_, '_>, model: &'static dyn PlantModel) -> Option<Dv> {
    let tag = read_tag(s, "disturbance", model.card().disturbances);
    let limits = read_limits(s);
    let (tag, disturbance, variable) = tag?;
    Some(Dv { variable, disturbance, limits: limits?.in_model_units(tag.to_model), tag })
}
