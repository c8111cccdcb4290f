//! Faults as they are written: words, tables and the page that lists them.

use std::collections::BTreeSet;

use super::*;

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

#[test]
fn every_example_is_understood_checked_and_written_back() {
    for line in SensorFault::EXAMPLES {
        let fault = SensorFault::from_words(&words(line)).unwrap_or_else(|e| panic!("{line}: {e}"));
        assert_eq!(SensorFault::from_words(&words(&fault.to_string())), Ok(fault), "{fault}");
        let table = toml::to_string(&fault).unwrap();
        assert_eq!(toml::from_str::<SensorFault>(&table), Ok(fault), "{table}");
    }
    for line in ActuatorFault::EXAMPLES {
        let fault = ActuatorFault::from_words(&words(line)).unwrap_or_else(|e| panic!("{line}: {e}"));
        assert_eq!(ActuatorFault::from_words(&words(&fault.to_string())), Ok(fault), "{fault}");
        let table = toml::to_string(&fault).unwrap();
        assert_eq!(toml::from_str::<ActuatorFault>(&table), Ok(fault), "{table}");
    }
    assert_eq!(SensorFault::from_words(&["stuck"]), Ok(SensorFault::Stuck(Stuck { at: None })));
}

#[test]
fn there_is_an_example_of_each_kind() {
    let said = |refused: &str| refused.matches('`').count() / 2 - 1;
    let refused = SensorFault::from_words(&["fly"]).unwrap_err();
    assert!(refused.contains("`fly`") && said(&refused) == SensorFault::EXAMPLES.len(), "{refused}");
    let refused = ActuatorFault::from_words(&["fly"]).unwrap_err();
    assert!(refused.contains("`fly`") && said(&refused) == ActuatorFault::EXAMPLES.len(), "{refused}");
    let kinds = |lines: &[&'static str]| lines.iter().map(|l| l.split(' ').next().unwrap()).collect::<BTreeSet<_>>();
    assert_eq!(kinds(&SensorFault::EXAMPLES).len(), SensorFault::EXAMPLES.len());
    assert_eq!(kinds(&ActuatorFault::EXAMPLES).len(), ActuatorFault::EXAMPLES.len());
}

#[test]
fn a_fault_that_cannot_be_used_says_what_was_expected() {
    for (line, says) in [
        ("drift", "missing field `per_s`"),
        ("drift per_s=0.1 per_h=2", "unknown field `per_h`, expected `per_s`"),
        ("drift per_s=fast", "expected f64"),
        ("drift per_s=0.1 per_s=0.2", "`per_s` is given twice"),
        ("drift per_s", "`per_s` is not of the form key=value"),
        ("drift per_s=nan", "drift: `per_s` is NaN, expected a finite number other than 0"),
        ("drift per_s=0", "drift: `per_s` is 0, expected a finite number other than 0"),
        ("stuck at=inf", "stuck: `at` is inf, expected a finite number"),
        ("bias by=nan", "bias: `by` is NaN, expected a finite number"),
        ("noise sd=0", "noise: `sd` is 0, expected a finite number above 0"),
        ("spike size=1 probability=1.5", "spike: `probability` is 1.5, expected a probability above 0 and at most 1"),
        ("spike size=-1 probability=1", "spike: `size` is -1, expected a finite number above 0"),
        ("dropout probability=nan", "dropout: `probability` is NaN, expected a probability"),
        ("out_of_range side=left by_pct=1", "unknown variant `left`, expected `low` or `high`"),
        ("out_of_range side=low by_pct=0", "out_of_range: `by_pct` is 0"),
        ("bad_quality status=good", "unknown variant `good`"),
        ("not_a_number at=3", "unknown field `at`"),
        ("sign_flip by=3", "unknown field `by`"),
        ("wrong_unit factor=0", "wrong_unit: `factor` is 0"),
        ("wrong_unit factor=1 offset=inf", "wrong_unit: `offset` is inf"),
        ("quantised step=-1", "quantised: `step` is -1"),
        ("slow_sampling every_s=0", "slow_sampling: `every_s` is 0"),
    ] {
        let refused = SensorFault::from_words(&words(line)).unwrap_err();
        assert!(refused.contains(says), "{line}: {refused}");
    }
    for (line, says) in [
        ("stiction static_pct=0 kinetic_pct=0", "stiction: `static_pct` is 0"),
        ("stiction static_pct=2 kinetic_pct=-1", "stiction: `kinetic_pct` is -1"),
        ("saturation low_pct=60 high_pct=40", "saturation: `high_pct` is 40, expected a number above `low_pct`"),
        ("saturation low_pct=-1 high_pct=40", "saturation: `low_pct` is -1, expected 0 to 100"),
        ("fail_in_place now=1", "unknown field `now`"),
        ("fail_open", "missing field `stroke_s`"),
        ("fail_open stroke_s=-1", "fail_open: `stroke_s` is -1"),
        ("fail_closed stroke_s=nan", "fail_closed: `stroke_s` is NaN"),
        ("slow stroke_s=0", "slow: `stroke_s` is 0"),
        ("wrong_readback by_pct=inf", "wrong_readback: `by_pct` is inf"),
        ("hysteresis band_pct=0", "hysteresis: `band_pct` is 0"),
    ] {
        let refused = ActuatorFault::from_words(&words(line)).unwrap_err();
        assert!(refused.contains(says), "{line}: {refused}");
    }
}
