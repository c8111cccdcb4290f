//! The sections of a plant file, key by key.
//!
//! Nothing that touches the plant has a default; what may be left out is then not there, not something typical. A value is checked where it is read, and noted for the checks that span
//! several keys ([`Facts::check`]), which run on whatever could be read.

use control::mpc::Solver;
use plant_models::{Method, PlantModel, Variable};
use signals::{MAX_CVS, MAX_DVS, MAX_MVS, Unit};

use super::checks::{ModelChecks, Names, ValveChecks, check_cells, read_balances, read_cells};
use super::cross::{Facts, TableFacts};
use super::guard::{read_contract, read_filter, read_residual_max, read_safe};
use super::plant::{
    Accuracy, Advisory, Commission, Cv, Dcs, Dv, Estimator, Limits, Login, Mode, Mpc, Mv, OnRange, PlantFile, Safety,
    Security, Tag,
};
use super::reader::{Section, count, number};
use super::units::Affine;

/// The shortest control period: the interlock scans ten times in it, and not faster than every 10 ms.
const PERIOD_MIN_S: f64 = 0.1;
/// The longest time that a plant file may name. A day is longer than any loop of this kind waits for anything.
const TIME_MAX_S: f64 = 86_400.0;
/// The longest time that a loop may be asked to prove itself: a year.
const PROOF_MAX_HOURS: f64 = 8760.0;

/// Reads the whole file. Every section is read, and what spans them is checked, before the first missing value ends the
/// reading, so that all faults are found.
pub(crate) fn read(root: &Section<'_, '_>) -> Option<PlantFile> {
    let mut facts = Facts::default();
    let name = root.section("loop", |s| read_loop(s, &mut facts));
    let dcs = root.section("dcs", |s| read_dcs(s, &mut facts));
    let safety = root.section("safety", |s| read_safety(s, &mut facts));
    let mpc = root.section("mpc", read_mpc);
    let filter = read_filter(root);
    let commission = root.section("commission", read_commission);
    // Where nothing is ever recommended the section may be left out.
    let advisory = match facts.mode {
        Some(Mode::Shadow) if !root.has("advisory") => Some(None),
        _ => root.section("advisory", |s| read_advisory(s, &mut facts)).map(Some),
    };
    // Without a model, what names its variables cannot be judged and is passed over; the rest of a table can.
    let model = facts.model;
    let card = model.map(PlantModel::card);
    let (cvs_max, dvs_max) =
        card.map_or((MAX_CVS, MAX_DVS), |c| (MAX_CVS.min(c.outputs.len()), MAX_DVS.min(c.disturbances.len())));
    let estimator = root.section("estimator", |s| read_estimator(s, card.map(|c| c.states)));
    let contract = read_contract(root, card.map(|c| c.states));
    let inputs = card.map(|c| c.inputs);
    let (mv_facts, mvs) = tables(root, "mv", (1, MAX_MVS), |s, facts| read_mv(s, inputs, facts));
    let outputs = card.map(|c| c.outputs);
    let (cv_facts, cvs) = tables(root, "cv", (1, cvs_max), |s, facts| read_cv(s, outputs, facts));
    let disturbances = card.map(|c| c.disturbances);
    let (dv_facts, dvs) = tables(root, "dv", (0, dvs_max), |s, facts| read_dv(s, disturbances, facts));
    let facts = Facts { mvs: mv_facts, cvs: cv_facts, dvs: dv_facts, ..facts };
    facts.check(root);
    let names = Names { measured: facts.cvs.iter().chain(&facts.dvs).collect(), mvs: &facts.mvs };
    let (balances, cells) = (read_balances(root, &names), read_cells(root));
    let plant = PlantFile {
        name: name?,
        model: model?,
        period_s: facts.period_s?,
        mode: facts.mode?,
        dcs: dcs?,
        estimator: estimator?,
        mpc: mpc?,
        safety: safety?,
        filter: filter?,
        contract: contract?,
        commission: commission?,
        advisory: advisory?,
        mvs: mvs?,
        cvs: cvs?,
        dvs: dvs?,
        balances: balances?,
        cells: cells?,
    };
    check_cells(root, &plant.cells, &plant.interlock_without_cells());
    Some(plant)
}

/// The tables `[[key]]`: what the cross checks ask of each, and all of them if none has a fault of its own.
fn tables<'d, 't, T>(
    root: &Section<'d, 't>,
    key: &'static str,
    bounds: (usize, usize),
    read: impl Fn(&Section<'d, 't>, &mut TableFacts) -> Option<T>,
) -> (Vec<TableFacts>, Option<Vec<T>>) {
    let read_one = |s: &Section<'d, 't>| {
        let mut facts = TableFacts::default();
        let table = read(s, &mut facts);
        Some((facts, table))
    };
    let Some(tables) = root.sections(key, bounds, read_one) else { return (Vec::new(), None) };
    let (facts, tables): (Vec<_>, Vec<_>) = tables.into_iter().unzip();
    (facts, tables.into_iter().collect())
}

/// Gives the loop's name; the rest is noted.
fn read_loop(s: &Section<'_, '_>, facts: &mut Facts) -> Option<String> {
    let name = s.text("name", "the loop's name");
    let known = plant_models::ALL.map(|model| format!("\"{}\"", model.card().name)).join(", ");
    facts.model = s.get("model", &format!("one of the plant models, {known}"), |v| {
        v.as_str().and_then(|name| plant_models::by_name(name).ok())
    });
    facts.period_s = s.between("period_s", "the control period in seconds", PERIOD_MIN_S, TIME_MAX_S);
    facts.mode =
        s.choice("mode", &[("shadow", Mode::Shadow), ("advisory", Mode::Advisory), ("closed-loop", Mode::ClosedLoop)]);
    name
}

fn read_dcs(s: &Section<'_, '_>, facts: &mut Facts) -> Option<Dcs> {
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
    facts.prefix.clone_from(&prefix);
    facts.sis_tags = sis_tags.unwrap_or_default();
    Some(Dcs { endpoint: endpoint?, security: security?, namespace: namespace?, prefix: prefix?, login: login? })
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

fn read_estimator(s: &Section<'_, '_>, states: Option<&'static [Variable]>) -> Option<Estimator> {
    let substeps = s.count("substeps", 1, 100);
    let dv_hold_s = s.between("dv_hold_s", "seconds", 0.0, TIME_MAX_S);
    let cv_missing_max = s.count("cv_missing_max", 0, 1000);
    let per_state = |key: &'static str| match states {
        Some(states) => s.numbers(key, &states.iter().map(|v| v.name).collect::<Vec<_>>()),
        None => {
            s.skip(key);
            None
        }
    };
    let (state_sd, initial_sd) = (per_state("state_sd"), per_state("initial_sd"));
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
    let method = s.optional_choice("integrator", &[("rk4", Method::Rk4), ("sdirk3", Method::Sdirk3)]);
    let terminal_lqr = s.optional_choice("terminal", &[("weights", false), ("lqr", true)]);
    let solvers =
        [("active-set", Solver::ActiveSet), ("interior-point", Solver::InteriorPoint), ("conic", Solver::Conic)];
    let solver = s.optional_choice("solver", &solvers);
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
        method: method?.unwrap_or_default(),
        substeps: substeps? as usize,
        sqp_iterations: sqp_iterations? as usize,
        terminal_lqr: terminal_lqr?.unwrap_or_default(),
        solver: solver?.unwrap_or_default(),
        time_limit_pct: time_limit_pct?,
        plan_max_age: u64::from(plan_max_age?),
        hold_max: u64::from(hold_max?),
    })
}

fn read_safety(s: &Section<'_, '_>, facts: &mut Facts) -> Option<Safety> {
    let heartbeat_timeout_s = s.between("heartbeat_timeout_s", "seconds", PERIOD_MIN_S, TIME_MAX_S);
    let armed_timeout_s = s.between("armed_timeout_s", "seconds", PERIOD_MIN_S, TIME_MAX_S);
    let hold_periods = s.count("hold_periods", 1, 1000);
    let solver_failures_hold = s.count("solver_failures_hold", 1, 100);
    let solver_failures_shed = s.count("solver_failures_shed", 1, 100);
    let write_failures_max = s.count("write_failures_max", 1, 100);
    facts.heartbeat_timeout_s = heartbeat_timeout_s;
    facts.solver_failures_hold = solver_failures_hold;
    facts.solver_failures_shed = solver_failures_shed;
    Some(Safety {
        heartbeat_timeout_s: heartbeat_timeout_s?,
        armed_timeout_s: armed_timeout_s?,
        hold_periods: hold_periods?,
        solver_failures_hold: solver_failures_hold?,
        solver_failures_shed: solver_failures_shed?,
        write_failures_max: write_failures_max?,
    })
}

fn read_commission(s: &Section<'_, '_>) -> Option<Commission> {
    let evidence = s.text("evidence", "the folder of the evidence, one for each loop");
    let rig_keys = s.text("rig_keys", "a file with the public keys of rigs");
    let rig_endpoints = s.texts("rig_endpoints", RIG_ENDPOINTS);
    if rig_endpoints.iter().flatten().any(|url| !url.starts_with("opc.tcp://")) {
        s.fault("rig_endpoints", RIG_ENDPOINTS);
    }
    let hours = |key| s.between(key, "hours", 0.01, PROOF_MAX_HOURS);
    let (shadow_hours, advisory_hours) = (hours("shadow_hours"), hours("advisory_hours"));
    Some(Commission {
        evidence: evidence?.into(),
        rig_keys: rig_keys?.into(),
        rig_endpoints: rig_endpoints?,
        shadow_hours: shadow_hours?,
        advisory_hours: advisory_hours?,
    })
}

const RIG_ENDPOINTS: &str = "a list of OPC UA addresses, such as \"opc.tcp://127.0.0.1:*/\"";

fn read_accuracy(s: &Section<'_, '_>) -> Option<Accuracy> {
    let rmse_max = s.positive("rmse_max", "the tag's unit");
    let bias_max = s.positive("bias_max", "the tag's unit");
    let r2_min = s.between("r2_min", "a share of the variance", -100.0, 1.0);
    let (rmse_max, bias_max) = (rmse_max?, bias_max?);
    if bias_max > rmse_max {
        s.fault("bias_max", format!("at most rmse_max, {rmse_max}: a bias is never larger"));
    }
    Some(Accuracy { rmse_max, bias_max, r2_min: r2_min? })
}

fn read_advisory(s: &Section<'_, '_>, facts: &mut Facts) -> Option<Advisory> {
    let expiry_s = s.between("expiry_s", "seconds", PERIOD_MIN_S, TIME_MAX_S);
    let offer_pct = s.between("offer_pct", "percent of an MV's range", 0.0, 100.0);
    let supersede_pct = s.between("supersede_pct", "percent of an MV's range", 0.0, 100.0);
    facts.expiry_s = expiry_s;
    Some(Advisory { expiry_s: expiry_s?, offer_pct: offer_pct?, supersede_pct: supersede_pct? })
}

/// Name, node and unit of a tag that stands for one of the model's `variables`, found under `key`.
fn read_tag(
    s: &Section<'_, '_>,
    key: &'static str,
    variables: Option<&'static [Variable]>,
    facts: &mut TableFacts,
) -> Option<(Tag, usize, &'static Variable)> {
    let name = s.text("tag", "the plant's name of the tag");
    let node = s.text("node", "the node below the prefix, such as \"CV1\"");
    facts.name.clone_from(&name);
    facts.node.clone_from(&node);
    if let Some(variables) = variables {
        let known = variables.iter().map(|v| format!("\"{}\"", v.name)).collect::<Vec<_>>().join(", ");
        facts.variable = s.get(key, &format!("one of the model's, {known}"), |v| {
            variables.iter().position(|var| v.as_str() == Some(var.name))
        });
    } else {
        s.skip(key);
    }
    let symbols = Unit::ALL.iter().map(Unit::symbol).collect::<Vec<_>>().join(", ");
    let unit = s.get("unit", &format!("the unit of the tag, one of {symbols}"), |v| v.as_str()?.parse::<Unit>().ok());
    let (index, unit) = (facts.variable?, unit?);
    let variable = variables?.get(index)?;
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

fn read_mv(s: &Section<'_, '_>, inputs: Option<&'static [Variable]>, facts: &mut TableFacts) -> Option<Mv> {
    let tag = read_tag(s, "input", inputs, facts);
    let range = read_range(s);
    let rate_max_per_s = s.positive("rate_max_per_s", "the tag's unit per second");
    let ramp_to = s.optional("ramp_to", "a safe set-point within low and high", |v| {
        number(v).filter(|u| range.is_none_or(|(low, high)| (low..=high).contains(u)))
    });
    let move_weight = s.positive("move_weight", "a number");
    let rest = s.optional("rest", "a set-point to rest at, within low and high", |v| {
        number(v).filter(|u| range.is_none_or(|(low, high)| (low..=high).contains(u)))
    });
    let rest_weight = if s.has("rest") { s.positive("rest_weight", "a number") } else { Some(0.0) };
    let price = s.optional("price", "a price per unit of the tag and period, negative for a profit", number);
    let checks = ValveChecks::read(s);
    facts.price = price.flatten();
    facts.rest_weight = rest_weight;
    let ((tag, _, variable), (low, high)) = (tag?, range?);
    let by = tag.to_model;
    Some(Mv {
        variable,
        low: by.value(low),
        high: by.value(high),
        rate_max_per_s: by.span(rate_max_per_s?),
        ramp_to: ramp_to?.map(|u| by.value(u)),
        move_weight: move_weight?,
        rest: rest?.map(|u| by.value(u)),
        rest_weight: rest_weight?,
        price: price?.unwrap_or(0.0) / by.span(1.0),
        checks: checks?.in_model_units(by),
        commissioned: true,
        tag,
    })
}

fn read_limits(s: &Section<'_, '_>, facts: &mut TableFacts) -> Option<Limits> {
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
    let spares = "the tag's unit, above 0 and below the range from low to high: there are two spare transmitters";
    let spares_tolerance = s.optional("spares_tolerance", spares, |v| {
        number(v).filter(|most| *most > 0.0 && range.is_none_or(|(low, high)| *most < high - low))
    });
    facts.range = range;
    facts.hysteresis = hysteresis;
    facts.max_age_s = max_age_s;
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
        spares_tolerance: spares_tolerance?,
    })
}

impl Limits {
    fn in_model_units(self, by: Affine) -> Self {
        let (low, high) = (by.value(self.low), by.value(self.high));
        let (hysteresis, rate_max_per_s) = (by.span(self.hysteresis), by.span(self.rate_max_per_s));
        let (resolution, spares_tolerance) =
            (by.span(self.resolution), self.spares_tolerance.map(|most| by.span(most)));
        Self { low, high, hysteresis, rate_max_per_s, resolution, spares_tolerance, ..self }
    }
}

fn read_cv(s: &Section<'_, '_>, outputs: Option<&'static [Variable]>, facts: &mut TableFacts) -> Option<Cv> {
    let tag = read_tag(s, "output", outputs, facts);
    let critical = s.flag("critical");
    let on_range = s.choice("on_range", &[("hold", OnRange::Hold), ("shed", OnRange::Shed), ("trip", OnRange::Trip)]);
    let limits = read_limits(s, facts);
    let span = s.positive("span", "the tag's unit");
    let weight = s.non_negative("weight", "a number");
    let terminal_weight = s.non_negative("terminal_weight", "a number");
    let limit_linear = s.non_negative("limit_linear", "a number");
    let limit_quadratic = s.non_negative("limit_quadratic", "a number");
    let limit_margin = s.non_negative("limit_margin", "the tag's unit");
    let rank = s.optional("rank", "a whole number from 0 (kept longest) to 255", |v| {
        count(v, 0, 255).and_then(|rank| u8::try_from(rank).ok())
    });
    let funnel_s = s.optional("funnel_s", "seconds, above 0", |v| number(v).filter(|s| *s > 0.0));
    let price = s.optional("price", "a price per unit of the tag and period, negative for a profit", number);
    let safe = read_safe(s, &mut facts.safe);
    let residual_max = read_residual_max(s, &mut facts.safe);
    let measurement_sd = s.positive("measurement_sd", "the tag's unit");
    let disturbance_sd = s.non_negative("disturbance_sd", "the tag's unit");
    let checks = ModelChecks::read(s);
    let accuracy = read_accuracy(s);
    facts.price = price.flatten();
    facts.weight = weight;
    facts.terminal_weight = terminal_weight;
    let (tag, output, variable) = tag?;
    let by = tag.to_model;
    let Accuracy { rmse_max, bias_max, r2_min } = accuracy?;
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
        safe: safe?.map(|safe| safe.in_model_units(by)),
        residual_max: by.span(residual_max?),
        rank: rank?.unwrap_or(0),
        funnel_s: funnel_s?.unwrap_or(0.0),
        price: price?.unwrap_or(0.0) / by.span(1.0),
        measurement_sd: by.span(measurement_sd?),
        disturbance_sd: by.span(disturbance_sd?),
        checks: checks?.in_model_units(by),
        accuracy: Accuracy { rmse_max: by.span(rmse_max), bias_max: by.span(bias_max), r2_min },
        tag,
    })
}

fn read_dv(s: &Section<'_, '_>, disturbances: Option<&'static [Variable]>, facts: &mut TableFacts) -> Option<Dv> {
    let tag = read_tag(s, "disturbance", disturbances, facts);
    let limits = read_limits(s, facts);
    let (tag, disturbance, variable) = tag?;
    Some(Dv { variable, disturbance, limits: limits?.in_model_units(tag.to_model), tag })
}
