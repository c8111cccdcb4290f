//! The plant file: its sections, key by key, and what the loop's crates are told of them.
//!
//! Nothing that touches the plant has a default. A value is checked where it is read; what spans several keys is
//! checked by [`PlantFile::cross_check`] and by the crates themselves, which [`super::load`] asks before anything runs.

use plant_models::{PlantModel, Variable};
use signals::{MAX_CVS, MAX_DVS, MAX_MVS, Unit};

use super::reader::Section;
use super::units::Affine;

/// A plant file that was read without a fault.
#[derive(Clone, Debug)]
pub struct PlantFile {
    /// The loop's name.
    pub name: String,
    /// The plant model.
    pub model: &'static dyn PlantModel,
    /// The control period T, in seconds of plant time.
    pub period_s: f64,
    /// The highest mode.
    pub mode: Mode,
    /// Where and how the DCS is reached.
    pub dcs: Dcs,
    pub(crate) estimator: Estimator,
    pub(crate) mpc: Mpc,
    pub(crate) safety: Safety,
    /// Manipulated variables, in the model's order.
    pub mvs: Vec<Mv>,
    /// Controlled variables.
    pub cvs: Vec<Cv>,
    /// Measured disturbances.
    pub dvs: Vec<Dv>,
}

/// The three ways in which the loop is used. Each is a wiring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Watch.
    Shadow,
    /// Recommend.
    Advisory,
    /// Control.
    ClosedLoop,
}

/// The section `[dcs]`.
#[derive(Clone, Debug)]
pub struct Dcs {
    /// `opc.tcp://host:port/path`.
    pub endpoint: String,
    /// Policy and mode of the secure channel.
    pub security: Security,
    /// URI of the namespace in which the tags live.
    pub namespace: String,
    /// What stands before every tag.
    pub prefix: String,
    /// Who we are.
    pub login: Login,
}

/// Security of the channel (OPC 10000-7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Open: for rigs on one's own machine.
    None,
    /// Basic256Sha256, signed.
    Sign,
    /// Basic256Sha256, signed and encrypted.
    SignAndEncrypt,
}

/// The identity under which we write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// No identity.
    Anonymous,
    /// A user name, and the environment variable that holds the password.
    Password {
        /// The user.
        user: String,
        /// The variable.
        password_env: String,
    },
    /// An X.509 certificate of the user.
    Certificate {
        /// DER file.
        certificate: String,
        /// PEM file.
        private_key: String,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Estimator {
    pub(crate) substeps: usize,
    pub(crate) dv_hold_s: f64,
    pub(crate) cv_missing_max: u32,
    pub(crate) state_sd: Vec<f64>,
    pub(crate) initial_sd: Vec<f64>,
}

#[derive(Clone, Debug)]
pub(crate) struct Mpc {
    pub(crate) horizon: usize,
    pub(crate) blocks: Vec<usize>,
    pub(crate) substeps: usize,
    pub(crate) sqp_iterations: usize,
    pub(crate) time_limit_pct: f64,
    pub(crate) plan_max_age: u64,
    pub(crate) hold_max: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Safety {
    pub(crate) heartbeat_timeout_s: f64,
    pub(crate) armed_timeout_s: f64,
    pub(crate) hold_periods: u32,
    pub(crate) solver_failures_hold: u32,
    pub(crate) solver_failures_shed: u32,
    pub(crate) write_failures_max: u32,
}

/// What every tag has: a name, a node, a unit.
#[derive(Clone, Debug)]
pub struct Tag {
    /// The plant's name.
    pub name: String,
    /// The node below the prefix.
    pub node: String,
    /// The tag's unit.
    pub unit: Unit,
    /// From the tag's unit to the model's.
    pub to_model: Affine,
}

/// The section `[[mv]]`.
#[derive(Clone, Debug)]
pub struct Mv {
    /// Name, node, unit.
    pub tag: Tag,
    /// The model's variable.
    pub variable: &'static Variable,
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) rate_max_per_s: f64,
    pub(crate) ramp_to: Option<f64>,
    pub(crate) move_weight: f64,
}

/// What a confirmed range violation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnRange {
    Hold,
    Shed,
    Trip,
}

/// Validation of one measured tag.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) hysteresis: f64,
    pub(crate) rate_max_per_s: f64,
    pub(crate) max_age_s: f64,
    pub(crate) delay_s: f64,
    pub(crate) resolution: f64,
    pub(crate) frozen_samples: u32,
    pub(crate) spike_window: u32,
    pub(crate) spike_sigmas: f64,
}

/// The section `[[cv]]`.
#[derive(Clone, Debug)]
pub struct Cv {
    /// Name, node, unit.
    pub tag: Tag,
    /// The model's output.
    pub variable: &'static Variable,
    pub(crate) output: usize,
    pub(crate) critical: bool,
    pub(crate) on_range: OnRange,
    pub(crate) limits: Limits,
    pub(crate) span: f64,
    pub(crate) weight: f64,
    pub(crate) terminal_weight: f64,
    pub(crate) limit_linear: f64,
    pub(crate) limit_quadratic: f64,
    pub(crate) limit_margin: f64,
    pub(crate) measurement_sd: f64,
    pub(crate) disturbance_sd: f64,
}

/// The section `[[dv]]`.
#[derive(Clone, Debug)]
pub struct Dv {
    /// Name, node, unit.
    pub tag: Tag,
    /// The model's disturbance.
    pub variable: &'static Variable,
    pub(crate) disturbance: usize,
    pub(crate) limits: Limits,
}

/// Reads the whole file. Every section is read before the first missing value ends the reading, so that all faults are
/// found.
pub(crate) fn read(root: &Section<'_, '_>) -> Option<PlantFile> {
    let head = root.section("loop", read_loop);
    let dcs = root.section("dcs", read_dcs);
    let safety = root.section("safety", read_safety);
    // The sections below speak of the model's variables; without a model they cannot be judged, only their presence.
    let Some((name, model, period_s, mode)) = head else {
        for key in ["estimator", "mpc", "mv", "cv", "dv"] {
            root.skip(key);
        }
        return None;
    };
    let card = model.card();
    let estimator = root.section("estimator", |s| read_estimator(s, model));
    let mpc = root.section("mpc", read_mpc);
    let mvs = root.sections("mv", (1, MAX_MVS), |s| read_mv(s, model));
    let cvs = root.sections("cv", (1, MAX_CVS.min(card.outputs.len())), |s| read_cv(s, model));
    let dvs = root.sections("dv", (0, MAX_DVS.min(card.disturbances.len())), |s| read_dv(s, model));
    let (dcs, sis_tags) = dcs?;
    let file = PlantFile {
        name,
        model,
        period_s,
        mode,
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

fn read_loop(s: &Section<'_, '_>) -> Option<(String, &'static dyn PlantModel, f64, Mode)> {
    let name = s.text("name", "the loop's name");
    let model = s.text("model", "a plant model");
    let period_s = s.positive("period_s", "the control period in seconds");
    let mode = s.choice(
        "mode",
        &[("shadow", Mode::Shadow), ("advisory", Mode::Advisory), ("closed-loop", Mode::ClosedLoop)],
    );
    let model = model.and_then(|name| plant_models::by_name(&name).map_err(|e| s.fault("model", e.to_string())).ok());
    Some((name?, model?, period_s?, mode?))
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
    let dcs = Dcs {
        endpoint: endpoint?,
        security: security?,
        namespace: namespace?,
        prefix: prefix?,
        login: login?,
    };
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
    let dv_hold_s = s.non_negative("dv_hold_s", "seconds");
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
    let time_limit_pct = s.get("time_limit_pct", "percent of the period, from 10 to 90", |v| {
        super::reader::number(v).filter(|p| (10.0..=90.0).contains(p))
    });
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
    let heartbeat_timeout_s = s.positive("heartbeat_timeout_s", "seconds");
    let armed_timeout_s = s.positive("armed_timeout_s", "seconds");
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
    let unit = s.text("unit", "the unit of the tag, such as \"degC\"");
    let unit = unit.and_then(|symbol| symbol.parse::<Unit>().map_err(|e| s.fault("unit", e.to_string())).ok());
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
        super::reader::number(v).filter(|u| range.is_none_or(|(low, high)| (low..=high).contains(u)))
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
    let max_age_s = s.positive("max_age_s", "seconds");
    let delay_s = s.non_negative("delay_s", "seconds");
    let resolution = s.non_negative("resolution", "the tag's unit");
    let frozen_samples = s.count("frozen_samples", 0, 10_000);
    let spike_window = s.get("spike_window", "0 or an odd number from 3 to 15", |v| {
        super::reader::count(v, 0, 15).filter(|n| *n == 0 || (*n >= 3 && n % 2 == 1))
    });
    let spike_sigmas = s.get("spike_sigmas", "a number of at least 1", |v| {
        super::reader::number(v).filter(|sigmas| *sigmas >= 1.0)
    });
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
    let on_range =
        s.choice("on_range", &[("hold", OnRange::Hold), ("shed", OnRange::Shed), ("trip", OnRange::Trip)]);
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
