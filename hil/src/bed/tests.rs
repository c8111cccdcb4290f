//! The bed with its first scenarios: each passes, and without its guard fails.

use std::path::Path;

use super::*;
use crate::verdict::judge;

fn scenario(name: &str) -> Scenario {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("campaigns/cstr/{name}.toml"));
    Scenario::load(&file).unwrap_or_else(|e| panic!("{e}"))
}

/// What fails of a scenario, with its guard on and off.
fn both(name: &str) -> (Vec<String>, Vec<String>) {
    let scenario = scenario(name);
    let failed = |off: Option<&Guard>| {
        let record = run(&scenario, off).unwrap();
        let findings = judge(&scenario.pass, &record).into_iter().filter(|f| !f.ok);
        findings.map(|f| format!("{}: {} instead of {}", f.criterion, f.actual, f.expected)).collect::<Vec<_>>()
    };
    (failed(None), failed(Some(&scenario.negative)))
}

#[test]
fn the_first_scenarios_pass_and_fail_without_their_guard() {
    let mut wrong = Vec::new();
    for name in ["link-drop", "permit", "kill", "nan-weights", "infeasible", "feed-step"] {
        let (with, without) = both(name);
        println!("{name}: with {with:#?} without {without:#?}");
        if !with.is_empty() || without.is_empty() {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn the_same_scenario_gives_the_same_record() {
    let scenario = scenario("link-drop");
    assert_eq!(run(&scenario, None).unwrap(), run(&scenario, None).unwrap());
}
