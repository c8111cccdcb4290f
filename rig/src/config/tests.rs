//! What a plant file of the rig may say, and the faults it may have.

use super::*;

const GOOD: &str = include_str!("../../../hil/plants/cstr.toml");

fn faults(text: &str) -> Vec<(usize, String, String)> {
    match RigConfig::parse(text, "x.toml") {
        Err(ConfigError::Faults { faults, .. }) => faults.into_iter().map(|f| (f.line, f.key, f.message)).collect(),
        other => panic!("{other:?}"),
    }
}

fn line(text: &str, needle: &str) -> usize {
    text.lines().position(|l| l.contains(needle)).unwrap() + 1
}

#[test]
fn every_shipped_plant_file_reads_and_starts_at_rest() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hil/plants");
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    assert!(files.len() >= 3);
    for file in files {
        let config = RigConfig::load(&file).unwrap_or_else(|e| panic!("{e}"));
        for cv in config.cvs.clone() {
            let rig = crate::Rig::new(config.clone(), 1).unwrap();
            let y = rig.truth()[cv.output];
            assert!(cv.limits.contains(y), "{}: {} starts at {y}", file.display(), cv.variable.name);
            let far = cv.setpoint.map_or(0.0, |sp| (sp - y).abs() / cv.range.width());
            assert!(far < 0.03, "{}: {} starts at {y}", file.display(), cv.variable.name);
        }
    }
}

#[test]
fn the_prefix_and_the_times_are_those_of_the_file() {
    let config = RigConfig::parse(GOOD, "x.toml").unwrap();
    assert_eq!(config.prefix.to_string(), "Area1.R101.APC_cstr.");
    assert_eq!((config.scans_per_period(), config.period), (18, Duration::from_secs(18)));
    assert_eq!(config.disturbances(), [5.1]);
    assert!((config.mvs[0].max_rate_per_s * 18.0 - 20.0).abs() < 1e-12);
    assert!((config.mvs[1].max_rate_per_s * 18.0 - 2000.0).abs() < 1e-9);
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let text = GOOD.replace("substeps = 4 ", "substepz = 4 ");
    let Err(ConfigError::Syntax { file, line: at, message }) = RigConfig::parse(&text, "x.toml") else { panic!() };
    assert_eq!((file.as_str(), at), ("x.toml", line(&text, "substepz")));
    assert!(message.contains("substepz"), "{message}");
}

#[test]
fn each_fault_is_found_at_its_line_and_key() {
    for (from, to, key, says) in [
        ("model = \"cstr4\"", "model = \"cstr9\"", "model", "`cstr4`"),
        ("app = \"cstr\"", "app = \"c.str\"", "app", "`c.str`"),
        ("period_s = 18.0", "period_s = 18.5", "scan_s", "no whole fraction"),
        ("substeps = 4", "substeps = 0", "substeps", "0 is outside"),
        ("clamp = [5.0, 100.0]", "clamp = [5.0, 101.0]", "mv[0].clamp", "leaves the range"),
        ("clamp = [5.0, 100.0]", "clamp = [5.0, nan]", "mv[0].clamp", "NaN is no interval"),
        ("start = -4000.0", "start = 100.0", "mv[1].start", "outside -8500 to 0"),
        ("shed = \"hold-auto\"", "shed = \"backup-sp\"", "mv[0].backup_sp", "needs a `backup_sp`"),
        ("actuator_tau_s = 3.0", "actuator_tau_s = -3.0", "mv[0].slave", "actuator_tau_s: -3"),
        ("setpoint = 0.82", "setpoint = 1.3", "cv[0].setpoint", "outside 0.2 to 1.2"),
        ("name = \"TR\"", "name = \"TX\"", "cv[1].name", "`CB`, `TR`, `TK`"),
        ("noise_sd = 0.005", "noise_sd = -1", "dv[0].noise_sd", "below 0"),
        ("name = \"TR\"", "transmitters = 2\nname = \"TR\"", "cv[1].transmitters", "2 is neither 1 nor 3"),
        ("noise_sd = 0.002", "noise_sd = 0.002\nlag_s = -1.0", "cv[0].lag_s", "below 0"),
        ("noise_sd = 0.002", "noise_sd = 0.002\ndead_time_s = 1e9", "cv[0].dead_time_s", "above 100000"),
        ("max_rate_per_s = 1.1", "dead_time_s = nan\nmax_rate_per_s = 1.1", "mv[0].dead_time_s", "NaN is below 0"),
    ] {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "{from}");
        let found = faults(&text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].1, key);
        assert!(found[0].2.contains(says), "{found:?}");
        let last = key.rsplit('.').next().unwrap();
        let at = text.lines().nth(found[0].0 - 1).unwrap();
        assert!(at.starts_with(last) || at.starts_with("[["), "{found:?} points at `{at}`");
    }
}

#[test]
fn all_faults_are_told_at_once_in_the_order_of_the_lines() {
    let text = GOOD.replace("substeps = 4", "substeps = 0").replace("setpoint = 0.82", "setpoint = 9.0");
    let text = text + "\n[[operator]]\nat_s = -1\ncommand = \"fly\"\n";
    let keys: Vec<_> = faults(&text).into_iter().map(|(_, key, _)| key).collect();
    assert_eq!(keys, ["substeps", "cv[0].setpoint", "operator[0].at_s", "operator[0].command"]);
}

#[test]
fn three_transmitters_are_those_of_the_variable_that_has_the_key() {
    let spared = |text: &str| RigConfig::parse(text, "x.toml").unwrap().spared();
    assert_eq!(spared(GOOD), Spared::default());
    let three = GOOD.replace("name = \"TR\"", "transmitters = 3\nname = \"TR\"");
    assert_eq!(spared(&three), Spared::collect([false, true, false, false]));
    assert_eq!(spared(&three.replace("transmitters = 3", "transmitters = 1")), Spared::default());
}

#[test]
fn the_mvs_are_the_models_inputs_in_order() {
    let text = GOOD.replace("name = \"F\"", "name = \"X\"").replace("name = \"QDOT\"", "name = \"F\"");
    assert!(faults(&text)[0].2.contains("[\"F\", \"QDOT\"]"));
}

#[test]
fn the_timeline_is_put_in_order() {
    let text = GOOD.to_owned()
        + "[[operator]]\nat_s = 90\ncommand = \"engage\"\n[[operator]]\nat_s = 10\ncommand = \"mode on\"\n";
    let config = RigConfig::parse(&text, "x.toml").unwrap();
    assert_eq!(config.timeline.iter().map(|s| s.line.as_str()).collect::<Vec<_>>(), ["mode on", "engage"]);
}

#[test]
fn excess_is_percent_of_the_scale_and_infinite_for_what_is_no_number() {
    let (limits, scale) = (Span { low: 1.0, high: 3.0 }, Span { low: 0.0, high: 4.0 });
    for (value, want) in [(1.0, 0.0), (2.0, 0.0), (3.0, 0.0), (4.0, 25.0), (-1.0, 50.0)] {
        assert!((limits.excess_pct(value, scale) - want).abs() < 1e-12, "{value}");
    }
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let excess = limits.excess_pct(value, scale);
        assert!(excess.is_infinite() && excess > 0.0, "{value}: {excess}");
    }
}

const DECAY: &str = "\n[[degradation]]\nparameter = \"CA0\"\nlaw = { kind = \"first_order\", rate_per_day = 0.1 }\n";

#[test]
fn a_decay_that_cannot_be_is_found_at_its_line_and_key() {
    let text = GOOD.to_owned() + DECAY;
    assert_eq!(RigConfig::parse(&text, "x.toml").unwrap().degradation[0].index, 0);
    for (from, to, key, says) in [
        ("parameter = \"CA0\"", "parameter = \"RF\"", "degradation[0].parameter", "no disturbance `RF`, it has `CA0`"),
        ("rate_per_day = 0.1", "rate_per_day = -0.1", "degradation[0].law", "`rate_per_day` is -0.1, expected"),
    ] {
        let found = faults(&text.replace(from, to));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].1 == key && found[0].2.contains(says), "{found:?}");
    }
    let found = faults(&(text + DECAY));
    assert!(found[0].1 == "degradation[1].parameter" && found[0].2.contains("decays already"), "{found:?}");
}

#[test]
fn a_plant_outside_needs_its_offer_and_brings_its_own_steps() {
    let text = GOOD.replace("model = \"cstr4\"", "model = \"external\"");
    let found = faults(&text);
    assert!(found.iter().any(|(_, key, says)| key == "model" && says.contains("--exec or --connect")), "{found:?}");
    assert!(found.iter().any(|(_, key, says)| key == "substeps" && says.contains("steps itself")), "{found:?}");
    let missing = GOOD.replace("substeps = 4", "#");
    assert!(faults(&missing)[0].2.contains("the key is missing"), "{:?}", faults(&missing));
}
