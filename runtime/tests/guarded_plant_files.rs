//! The sections `[filter]` and `[contract]` of a plant file, and the keys of a CV that go with them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test speaks by panicking, helpers of tests too")]

use std::fs;
use std::path::Path;

use control::guarded::Guards;
use runtime::config::{ConfigError, PlantFile, parse};

const FILTER: &str = "[filter]
guards = \"all\"
horizon = 20
tail = 10
sqp_iterations = 3
rest_max = 0.002
slack_price = 1000.0
";
const CONTRACT: &str = "[contract]
void_after = 3
holds_after = 20
state_residual_max = { CA = 0.02, T = 2.0 }
";
/// Of the temperature, the first CV.
const SAFE: &str = "safe_low = 295.0
safe_high = 350.0
safe_margin = 0.5
safe_tolerance = 0.1
";
const RESIDUAL: &str = "residual_max = 2.0
";

/// The shipped cstr2 with these sections, and these keys in its first CV.
fn file(sections: &str, keys: &str) -> String {
    let plant = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/plants/cstr2.toml");
    let plain = fs::read_to_string(plant).unwrap();
    plain.replacen("[[mv]]", &format!("{sections}\n[[mv]]"), 1).replacen("span = ", &format!("{keys}span = "), 1)
}

fn read(text: &str) -> Result<PlantFile, ConfigError> {
    parse(Path::new("cstr2.toml"), text)
}

#[test]
fn what_is_left_out_is_not_there() {
    assert!(read(&file("", "")).unwrap().loop_config().guard.is_none());
    let guard = read(&file(FILTER, SAFE)).unwrap().loop_config().guard.unwrap();
    assert!(guard.contract.is_none() && guard.guards == Guards::All);
}

#[test]
fn the_keys_reach_the_guard_in_the_models_units() {
    // The tag in °F; the model's temperature is in K.
    let keys = "safe_high = 170.33
safe_margin = 0.9
safe_tolerance = 0.18
residual_max = 3.6
";
    let sections = format!("{FILTER}{CONTRACT}").replace("\"all\"", "\"untrusted\"");
    let text = file(&sections, keys);
    let (head, cvs) = text.split_once("[[cv]]").unwrap();
    let cvs = cvs.replacen("unit = \"K\"", "unit = \"degF\"", 1);
    let cvs = cvs.replacen("low = 290.0", "low = 62.33", 1).replacen("high = 360.0", "high = 188.33", 1);
    let guard = read(&format!("{head}[[cv]]{cvs}")).unwrap().loop_config().guard.unwrap();
    assert_eq!(guard.guards, Guards::Untrusted);
    let [temperature, concentration] = &guard.filter.cv[..] else { panic!("{guard:?}") };
    assert!((temperature.hi - 350.0).abs() < 1e-9 && temperature.lo == f64::NEG_INFINITY, "{temperature:?}");
    assert!((temperature.margin - 0.5).abs() < 1e-9 && (temperature.tolerance - 0.1).abs() < 1e-9);
    assert!(concentration.hi == f64::INFINITY && concentration.lo == f64::NEG_INFINITY);
    let contract = guard.contract.unwrap();
    assert!((contract.cv_residual_max[0] - 2.0).abs() < 1e-9 && contract.cv_residual_max[1] == f64::INFINITY);
    assert_eq!((contract.void_after, contract.state_residual_max), (3, vec![0.02, 2.0]));
}

#[test]
fn each_fault_is_told_with_key_value_and_expectation() {
    let (filter, safe) = (|| FILTER.to_owned(), || SAFE.to_owned());
    let both = || format!("{FILTER}{CONTRACT}");
    let table: [(String, String, &str); 15] = [
        (
            FILTER.replace("\"all\"", "\"some\""),
            safe(),
            "`filter.guards` = \"some\", expected one of \"all\", \"untrusted\"",
        ),
        (
            FILTER.replace("horizon = 20", "horizon = 0"),
            safe(),
            "`filter.horizon` = 0, expected a whole number from 1 to 200",
        ),
        (FILTER.replace("tail = 10\n", ""), safe(), "`filter.tail` is missing"),
        (
            FILTER.replace("rest_max = 0.002", "rest_max = 0.0"),
            safe(),
            "`filter.rest_max` = 0.0, expected spans of a state per period, above 0",
        ),
        (FILTER.replace("slack_price", "price"), safe(), "`filter.price` = 1000.0, expected no such key here"),
        (filter(), String::new(), "`filter` = a table, expected a [[cv]] with `safe_low` or `safe_high`"),
        (String::new(), safe(), "`cv[1].safe_tolerance` = 0.1, expected a [filter] that keeps the safe limits"),
        (CONTRACT.to_owned(), String::new(), "`contract` = a table, expected a [filter] beside it"),
        (filter(), format!("{SAFE}{RESIDUAL}"), "`cv[1].residual_max` = 2.0, expected a [contract] that watches it"),
        (
            both().replace("T = 2.0", "T = 0.0"),
            safe(),
            "`contract.state_residual_max.T` = 0.0, expected the model's unit, above 0",
        ),
        (
            both().replace("void_after = 3", "void_after = 0"),
            safe(),
            "`contract.void_after` = 0, expected a whole number from 1 to 1000",
        ),
        (
            filter(),
            SAFE.replace("safe_margin = 0.5", "safe_margin = 30.0"),
            "`cv[1].safe_margin` = 30.0, expected a margin that leaves room between 295 and 350",
        ),
        (filter(), SAFE.replace("safe_margin = 0.5\n", ""), "`cv[1].safe_margin` is missing"),
        (filter(), SAFE.replace("295.0", "-inf"), "`cv[1].safe_low` = -inf, expected a number"),
        (filter(), SAFE.replace("350.0", "\"hot\""), "`cv[1].safe_high` = \"hot\", expected a number"),
    ];
    for (sections, keys, told) in table {
        let Err(ConfigError::Faulty(faults)) = read(&file(&sections, &keys)) else { panic!("{told}: no fault") };
        let all = faults.to_string();
        assert!(all.lines().any(|line| line.contains(told)), "should say\n{told}\nand says\n{all}");
    }
}
