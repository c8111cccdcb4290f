//! Plant files: those that are shipped are in order, and a spoiled one says what is wrong, where, and what was expected.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test speaks by panicking, helpers of tests too"
)]

use std::fs;
use std::path::{Path, PathBuf};

use runtime::config::{ConfigError, Faults, load, parse};

/// A folder of the repository.
fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

fn toml_files(name: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    files.sort();
    files
}

fn cstr() -> String {
    fs::read_to_string(folder("deploy/plants/cstr.toml")).unwrap()
}

/// The file with the first `from` replaced.
fn spoiled(from: &str, to: &str) -> String {
    let sound = cstr();
    assert!(sound.contains(from), "the file no longer says `{from}`");
    sound.replacen(from, to, 1)
}

/// The line, counted from 1, on which `text` first says `mark`.
fn line_of(text: &str, mark: &str) -> usize {
    1 + text.lines().position(|line| line.contains(mark)).unwrap_or_else(|| panic!("no line says `{mark}`"))
}

fn faults(text: &str) -> Faults {
    match parse(Path::new("cstr.toml"), text) {
        Err(ConfigError::Faulty(faults)) => faults,
        other => panic!("not faulty but {other:?}"),
    }
}

#[test]
fn every_shipped_plant_file_is_in_order() {
    let files = toml_files("deploy/plants");
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        let loaded = load(&file).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(loaded.revision.len(), 16, "{}", file.display());
        assert_eq!(load(&file).unwrap().revision, loaded.revision, "the same file, the same revision");
    }
}

/// Loop and rig are two files; what they must agree on is compared here. A limit of ours may be tighter than the
/// clamp of the DCS, never wider: the DCS would refuse the write.
#[test]
fn every_shipped_plant_file_fits_the_rig_of_the_same_name() {
    let number = |table: &toml::Table, key: &str| table[key].as_float().unwrap();
    let tables = |file: &toml::Table, key: &str| -> Vec<toml::Table> {
        let array = file.get(key).and_then(toml::Value::as_array).cloned().unwrap_or_default();
        array.iter().map(|item| item.as_table().unwrap().clone()).collect()
    };
    for file in toml_files("deploy/plants") {
        let name = file.file_name().unwrap();
        let ours: toml::Table = fs::read_to_string(&file).unwrap().parse().unwrap();
        let rigs: toml::Table = fs::read_to_string(folder("hil/plants").join(name)).unwrap().parse().unwrap();
        let text = |key: &str| rigs[key].as_str().unwrap();
        let (head, dcs) = (ours["loop"].as_table().unwrap(), ours["dcs"].as_table().unwrap());
        let prefix = format!("{}.{}.APC_{}.", text("area"), text("unit"), text("app"));
        assert_eq!(dcs["prefix"].as_str(), Some(prefix.as_str()), "{name:?}");
        assert_eq!(head["model"].as_str(), Some(text("model")), "{name:?}");
        assert!((number(head, "period_s") - number(&rigs, "period_s")).abs() < 1e-12, "{name:?}");
        for (kind, variable) in [("mv", "input"), ("cv", "output"), ("dv", "disturbance")] {
            let (ours, rigs) = (tables(&ours, kind), tables(&rigs, kind));
            assert_eq!(ours.len(), rigs.len(), "{name:?} {kind}");
            for (i, (our, rig)) in ours.iter().zip(&rigs).enumerate() {
                assert_eq!(our[variable], rig["name"], "{name:?} {kind}");
                assert_eq!(our["node"].as_str(), Some(format!("{}{}", kind.to_uppercase(), i + 1).as_str()));
            }
        }
        for (our, rig) in tables(&ours, "mv").iter().zip(tables(&rigs, "mv")) {
            let clamp: Vec<f64> = rig["clamp"].as_array().unwrap().iter().map(|v| v.as_float().unwrap()).collect();
            assert!(number(our, "low") >= clamp[0] && number(our, "high") <= clamp[1], "{name:?} {our:?}");
            assert!(number(our, "rate_max_per_s") <= number(&rig, "max_rate_per_s"), "{name:?} {our:?}");
        }
    }
}

/// What is replaced by what, the text on whose line the fault is told, and the whole of what is told.
const SPOILED: [(&str, &str, &str, &str); 45] = [
    (
        "period_s = 18.0 ",
        "perod_s = 18.0 ",
        "perod_s",
        "`loop.perod_s` = 18.0, expected no such key here; known keys: mode, model, name, period_s",
    ),
    (
        "period_s = 18.0 ",
        "perod_s = 18.0 ",
        "[loop]",
        "`loop.period_s` is missing, expected the control period in seconds, from 0.1 to 86400",
    ),
    (
        "period_s = 18.0 ",
        "period_s = -18.0 ",
        "period_s",
        "`loop.period_s` = -18.0, expected the control period in seconds, from 0.1 to 86400",
    ),
    (
        "period_s = 18.0 ",
        "period_s = 1e300 ",
        "period_s",
        "`loop.period_s` = 1e300, expected the control period in seconds, from 0.1 to 86400",
    ),
    (
        "period_s = 18.0 ",
        "period_s = nan ",
        "period_s",
        "`loop.period_s` = nan, expected the control period in seconds, from 0.1 to 86400",
    ),
    (
        "period_s = 18.0 ",
        "period_s = \"18 s\" ",
        "period_s",
        "`loop.period_s` = \"18 s\", expected the control period in seconds, from 0.1 to 86400",
    ),
    (
        "model = \"cstr4\"",
        "model = \"cstr5\"",
        "cstr5",
        "`loop.model` = \"cstr5\", expected one of the plant models, \"cstr2\", \"cstr4\", \"quadtank\"",
    ),
    (
        "mode = \"closed-loop\"",
        "mode = \"on\"",
        "mode = \"on\"",
        "`loop.mode` = \"on\", expected one of \"shadow\", \"advisory\", \"closed-loop\"",
    ),
    (
        "opc.tcp://127",
        "http://127",
        "endpoint",
        "`dcs.endpoint` = \"http://127.0.0.1:4855/\", expected an OPC UA address, opc.tcp://host:port/path",
    ),
    (
        "basic256sha256-sign-and-encrypt\"",
        "none at all\"",
        "security",
        "`dcs.security` = \"none at all\", expected one of \"none\", \"basic256sha256-sign\", \"basic256sha256-sign-and-encrypt\"",
    ),
    (
        "sis_tags = [\"",
        "sis_tags = [7, \"",
        "sis_tags",
        "`dcs.sis_tags` = a list, expected a list of tags that must never be written",
    ),
    (
        "[dcs.login]",
        "[dcs.longin]",
        "[dcs.longin]",
        "`dcs.longin` = a table, expected no such key here; known keys: endpoint, login, namespace, prefix, security, sis_tags",
    ),
    ("[dcs.login]", "[dcs.longin]", "[dcs]", "`dcs.login` is missing, expected a table [dcs.login]"),
    ("[safety]", "[safty]", "The Klatt-Engell reactor", "`safety` is missing, expected a table [safety]"),
    ("[mpc] ", "[[mpc]] ", "[[mpc]]", "`mpc` = a list, expected a table [mpc]"),
    (
        "state_sd = { CA = 0.002, CB = 0.002,",
        "state_sd = { CA = 0.002,",
        "state_sd",
        "`estimator.state_sd.CB` is missing, expected a number, at least 0",
    ),
    (
        "horizon = 20 ",
        "horizon = 21 ",
        "blocks",
        "`mpc.blocks` = a list, expected block lengths whose sum is the horizon, 21",
    ),
    (
        "time_limit_pct = 40.0",
        "time_limit_pct = 95",
        "time_limit_pct",
        "`mpc.time_limit_pct` = 95, expected percent of the period, from 10 to 90",
    ),
    (
        "hold_periods = 5",
        "hold_periods = 2.5",
        "hold_periods",
        "`safety.hold_periods` = 2.5, expected a whole number from 1 to 1000",
    ),
    (
        "armed_timeout_s = 1080.0",
        "armed_timeout_s = inf",
        "armed_timeout_s",
        "`safety.armed_timeout_s` = inf, expected seconds, from 0.1 to 86400",
    ),
    (
        "heartbeat_timeout_s = 54.0",
        "heartbeat_timeout_s = 9.0",
        "heartbeat_timeout_s",
        "`safety.heartbeat_timeout_s` = 9.0, expected at least the control period, 18 s",
    ),
    (
        "solver_failures_shed = 5",
        "solver_failures_shed = 1",
        "solver_failures_shed",
        "`safety.solver_failures_shed` = 1, expected at least solver_failures_hold, 2",
    ),
    (
        "[commission]",
        "[commision]",
        "The Klatt-Engell reactor",
        "`commission` is missing, expected a table [commission]",
    ),
    (
        "shadow_hours = 72.0",
        "shadow_hours = 0",
        "shadow_hours",
        "`commission.shadow_hours` = 0, expected hours, from 0.01 to 8760",
    ),
    (
        "rig_endpoints = [\"opc.tcp",
        "rig_endpoints = [\"http",
        "rig_endpoints",
        "`commission.rig_endpoints` = a list, expected a list of OPC UA addresses, such as \"opc.tcp://127.0.0.1:*/\"",
    ),
    (
        "evidence = \"commission/cstr\"",
        "evidence = \"\"",
        "evidence",
        "`commission.evidence` = \"\", expected the folder of the evidence, one for each loop",
    ),
    (
        "bias_max = 0.01",
        "bias_max = 0.03",
        "bias_max",
        "`cv[1].bias_max` = 0.03, expected at most rmse_max, 0.02: a bias is never larger",
    ),
    (
        "r2_min = 0.5",
        "r2_min = 1.5",
        "r2_min = 1.5",
        "`cv[1].r2_min` = 1.5, expected a share of the variance, from -100 to 1",
    ),
    (
        "unit = \"1/h\"",
        "# no unit",
        "[[mv]]",
        "`mv[1].unit` is missing, expected the unit of the tag, one of K, degC, ",
    ),
    (
        "unit = \"1/h\"",
        "unit = \"degC\"",
        "unit = \"degC\"",
        "`mv[1].unit` = \"degC\", expected a unit of the same kind as the model's: `degC` measures Temperature and `1/h` measures Frequency",
    ),
    (
        "unit = \"kJ/h\"",
        "unit = \"kJ per h\"",
        "kJ per h",
        "`mv[2].unit` = \"kJ per h\", expected the unit of the tag, one of K, degC, ",
    ),
    (
        "horizon = 20 ",
        "integrator = \"euler\"\nhorizon = 20 ",
        "euler",
        "`mpc.integrator` = \"euler\", expected one of \"rk4\", \"sdirk3\"",
    ),
    (
        "horizon = 20 ",
        "terminal = \"LQR\"\nhorizon = 20 ",
        "LQR",
        "`mpc.terminal` = \"LQR\", expected one of \"weights\", \"lqr\"",
    ),
    (
        "high = 100.0",
        "high = 100.0\nrest = 200.0",
        "rest = 200.0",
        "`mv[1].rest` = 200.0, expected a set-point to rest at, within low and high",
    ),
    (
        "high = 100.0",
        "high = 100.0\nrest = 20.0",
        "[[mv]]",
        "`mv[1].rest_weight` is missing, expected a number, above 0",
    ),
    (
        "critical = true ",
        "price = -1.0\ncritical = true ",
        "[[mv]]",
        "`mv[1].rest` is missing, expected a set-point to rest at, with a `rest_weight`: something has a price",
    ),
    (
        "critical = true ",
        "rank = 256\ncritical = true ",
        "rank = 256",
        "`cv[1].rank` = 256, expected a whole number from 0 (kept longest) to 255",
    ),
    ("high = 100.0", "high = 5.0", "high = 5.0", "`mv[1].high` = 5.0, expected a number above `low`, 5"),
    (
        "node = \"MV2\"",
        "node = \"MV1\" # again",
        "# again",
        "`mv[2].node` = \"MV1\", expected a node of its own; mv[1] has this one",
    ),
    (
        "tag = \"TI102\"",
        "tag = \"TI101\" # again",
        "# again",
        "`cv[3].tag` = \"TI101\", expected a name of its own; cv[2] bears this one",
    ),
    (
        "output = \"TK\"",
        "output = \"TR\" # again",
        "# again",
        "`cv[3].output` = \"TR\", expected an output that no other CV stands for",
    ),
    ("critical = true ", "critical = \"yes\" ", "critical", "`cv[1].critical` = \"yes\", expected true or false"),
    (
        "spike_window = 5",
        "spike_window = 4",
        "spike_window",
        "`cv[1].spike_window` = 4, expected 0 or an odd number from 3 to 15",
    ),
    (
        "max_age_s = 45.0",
        "max_age_s = 5.0",
        "max_age_s",
        "`cv[1].max_age_s` = 5.0, expected at least the control period, 18 s",
    ),
    (
        "R101.SIS.XV101",
        "R101.APC_cstr.MV2.SP_REQ",
        "sis_tags",
        "`dcs.sis_tags` = a list, expected no tag that the loop writes, and `MV2.SP_REQ` is \"Area1.R101.APC_cstr.MV2.SP_REQ\" (SR-01)",
    ),
];

#[test]
fn each_fault_is_told_with_line_key_value_and_expectation() {
    for (from, to, mark, told) in SPOILED {
        let text = spoiled(from, to);
        let (all, wanted) = (faults(&text).to_string(), format!("cstr.toml:{}: {told}", line_of(&text, mark)));
        let hit = all.lines().any(|line| line.starts_with(wanted.as_str()));
        assert!(hit, "`{to}` should say\n{wanted}\nand says\n{all}");
    }
}

/// The text before the first `[[mv]]`, each of the two MVs, and the rest.
fn by_mv() -> (String, String, String, String) {
    let text = cstr();
    let starts: Vec<usize> = ["[[mv]]", "[[cv]]"].iter().flat_map(|key| text.match_indices(key)).map(|m| m.0).collect();
    let (head, rest) = text.split_at(starts[0]);
    let (first, rest) = rest.split_at(starts[1] - starts[0]);
    let (second, rest) = rest.split_at(starts[2] - starts[1]);
    (head.into(), first.into(), second.into(), rest.into())
}

#[test]
fn mvs_out_of_the_models_order_are_refused() {
    let (head, first, second, rest) = by_mv();
    let told = faults(&format!("{head}{second}{first}{rest}")).to_string();
    for (n, written, expected) in [(1, "QDOT", "F"), (2, "F", "QDOT")] {
        let wanted = format!("`mv[{n}].input` = \"{written}\", expected \"{expected}\": the MVs are in the order");
        assert!(told.contains(&wanted), "{told}");
    }
}

#[test]
fn a_missing_mv_is_refused_by_the_name_of_its_input() {
    let (head, first, _, rest) = by_mv();
    let told = faults(&format!("{head}{first}{rest}")).to_string();
    assert!(told.contains("`mv` = a list, expected a table [[mv]] for the model's input \"QDOT\""), "{told}");
    let told = faults(&format!("{head}{rest}")).to_string();
    assert!(told.contains("`mv` is missing, expected from 1 to 8 tables [[mv]]"), "{told}");
}

/// SR-01. The control: the same list with a tag that is not written is accepted (the shipped file has one).
#[test]
fn every_tag_that_the_loop_writes_is_refused_as_a_sis_tag() {
    let plant = parse(Path::new("cstr.toml"), &cstr()).unwrap();
    let (mut refused, mut accepted) = (0, 0);
    for (tag, address) in plant.addresses() {
        let outcome = parse(Path::new("cstr.toml"), &spoiled("Area1.R101.SIS.XV101", &address));
        let written = tag.direction() == signals::dcs::Direction::ApcToDcs;
        assert_eq!(outcome.is_err(), written, "{tag}");
        *(if written { &mut refused } else { &mut accepted }) += 1;
    }
    assert!(refused >= 20 && accepted >= 30, "{refused} refused, {accepted} accepted");
}

#[test]
fn a_tag_with_a_spares_tolerance_has_two_transmitters_more_in_its_unit() {
    let with = |key: &str| spoiled("resolution = 0.0005", &format!("{key}\nresolution = 0.0005"));
    let plant = |text: &str| parse(Path::new("cstr.toml"), text).unwrap();
    let spares = |text: &str| {
        let names = plant(text).addresses().filter(|(tag, _)| tag.is_spare()).map(|(_, node)| node).collect::<Vec<_>>();
        (plant(text).loop_config().interlock.tags[0].spares_tolerance, names)
    };
    let nodes = ["Area1.R101.APC_cstr.CV1.PV_B", "Area1.R101.APC_cstr.CV1.PV_C"].map(str::to_owned);
    assert_eq!(spares(&with("spares_tolerance = 0.02")), (Some(0.02), nodes.to_vec()));
    assert_eq!(spares(&cstr()), (None, vec![]), "left out, there are none");
    // In degrees Fahrenheit a tolerance is a span.
    let fahrenheit = cstr().replacen(
        "unit = \"degC\"\ncritical = true\nlow = 80.0\nhigh = 160.0",
        "unit = \"degF\"\ncritical = true\nspares_tolerance = 0.9\nlow = 176.0\nhigh = 320.0",
        1,
    );
    let tolerance = plant(&fahrenheit).loop_config().interlock.tags[1].spares_tolerance.unwrap();
    assert!((tolerance - 0.5).abs() < 1e-12, "{tolerance}");
    for wrong in ["0.0", "-0.02", "2.0", "nan", "\"three\""] {
        let text = with(&format!("spares_tolerance = {wrong}"));
        let told = faults(&text);
        assert_eq!(told.faults.len(), 1, "{told}");
        let at = format!("cstr.toml:{}: `cv[1].spares_tolerance` = ", line_of(&text, "spares_tolerance"));
        let told = told.to_string();
        assert!(told.contains(&at) && told.contains("above 0 and below the range from low to high"), "{told}");
    }
}

#[test]
fn several_faults_are_told_at_once_in_the_order_of_the_lines() {
    let text = cstr()
        .replace("period_s = 18.0 ", "period_s = 0 ")
        .replace("horizon = 20 ", "horizon = 0 ")
        .replace("frozen_samples = 0", "frozen_samples = -1")
        .replace("unit = \"kJ/h\"", "unit = \"bar\"");
    let faults = faults(&text).faults;
    let keys: Vec<&str> = faults.iter().map(|fault| fault.key.as_str()).collect();
    let wanted = ["loop.period_s", "mpc.horizon", "mv[2].unit"];
    let frozen = ["cv[1].frozen_samples", "cv[2].frozen_samples", "cv[3].frozen_samples", "dv[1].frozen_samples"];
    assert_eq!(keys, [wanted.as_slice(), frozen.as_slice()].concat());
    assert!(faults.iter().zip(faults.iter().skip(1)).all(|(a, b)| a.line <= b.line));
}

/// Each fault stands in another pass of the reading; a table with a fault of its own takes part in the cross checks with
/// the keys that are in order, and hides nothing.
#[test]
fn faults_of_keys_and_faults_between_keys_are_told_in_one_pass() {
    let sound = cstr();
    let text = sound
        .replacen("period_s = 18.0 ", "period_s = -18.0 ", 1)
        .replacen("R101.SIS.XV101", "R101.APC_cstr.CV2.STS", 1)
        .replacen("solver_failures_shed = 5", "solver_failures_shed = 1", 1)
        .replacen("unit = \"1/h\"", "# no unit", 1)
        .replacen("node = \"MV2\"", "node = \"MV1\"", 1)
        .replacen("unit = \"kJ/h\"", "unit = \"bar\"", 1)
        .replacen("hysteresis = 0.02", "hysteresis = 1.5", 1)
        .replacen("output = \"TK\"", "output = \"TR\"", 1)
        .replacen("critical = false", "critical = 0", 1);
    let keys: Vec<String> = faults(&text).faults.into_iter().map(|fault| fault.key).collect();
    let wanted = [
        "loop.period_s",
        "dcs.sis_tags",
        "safety.solver_failures_shed",
        "mv[1].unit",
        "mv[2].node",
        "mv[2].unit",
        "cv[1].hysteresis",
        "cv[3].output",
        "cv[3].critical",
    ];
    assert_eq!(keys, wanted);
}

#[test]
fn without_a_model_what_does_not_speak_of_it_is_judged_all_the_same() {
    let text = spoiled("model = \"cstr4\"", "model = \"cstr5\"")
        .replacen("substeps = 2 ", "substeps = 0 ", 1)
        .replacen("node = \"CV2\"", "node = \"CV1\"", 1)
        .replacen("max_age_s = 45.0", "max_age_s = 5.0", 1);
    let keys: Vec<String> = faults(&text).faults.into_iter().map(|fault| fault.key).collect();
    assert_eq!(keys, ["loop.model", "estimator.substeps", "cv[1].max_age_s", "cv[2].node"]);
}

#[test]
fn too_many_tables_are_told_and_read_all_the_same() {
    let sound = cstr();
    let dv = sound.split("[[dv]]").nth(1).unwrap();
    let second = dv.replace("AI100", "AI100B").replace("max_age_s = 45.0", "max_age_s = 5.0");
    let keys: Vec<_> = faults(&format!("{sound}\n[[dv]]{second}")).faults.into_iter().map(|f| f.key).collect();
    for wanted in ["dv[2].node", "dv[2].disturbance", "dv[2].max_age_s"] {
        assert!(keys.iter().any(|key| key == wanted), "{wanted} is not in {keys:?}");
    }
}

#[test]
fn a_syntax_error_is_told_with_its_line() {
    let text = spoiled("[safety]", "[safety");
    let told = faults(&text).to_string();
    assert!(told.starts_with(&format!("cstr.toml:{}: ", line_of(&text, "[safety"))), "{told}");
}

#[test]
fn an_empty_file_lacks_every_section() {
    let told = faults("").to_string();
    for section in ["loop", "dcs", "estimator", "mpc", "safety", "commission"] {
        assert!(told.contains(&format!("`{section}` is missing, expected a table [{section}]")), "{told}");
    }
}

#[test]
fn what_is_no_text_or_no_file_is_said_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let binary = dir.path().join("binary.toml");
    fs::write(&binary, [b'#', b' ', b'a', b'\n', 0xff, 0xfe, 0x00, 0x9f]).unwrap();
    let said = load(&binary).unwrap_err().to_string();
    assert!(said.ends_with("binary.toml:2: not UTF-8 text, as a TOML file must be"), "{said}");
    for (missing, why) in [(dir.path().join("none.toml"), "No such file"), (dir.path().to_owned(), "directory")] {
        let error = load(&missing).unwrap_err();
        let why_said = std::error::Error::source(&error).unwrap().to_string();
        assert!(error.to_string().contains("cannot be read") && why_said.contains(why), "{error}: {why_said}");
    }
}
