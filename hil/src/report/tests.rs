//! What must stand in a report.

use std::path::Path;

use super::*;
use crate::campaign::Ran;
use crate::record::Record;
use crate::verdict::Finding;

fn ran(ok: bool) -> Ran {
    let finding = Finding { criterion: "end <state>".into(), expected: "SHED".into(), actual: "ON".into(), ok };
    Ran { findings: vec![finding], record: Some(Record { t_s: 10.0, ..Record::default() }), error: None }
}

fn outcome(id: &str, ok: bool, control_fails: bool) -> Outcome {
    Outcome {
        id: id.into(),
        title: "a title".into(),
        requirements: vec!["check 3".into(), "I6".into()],
        faults: vec![(1.0, None, "drop".into(), String::new())],
        clock: "virtual".into(),
        seed: 1,
        guard: "the guard".into(),
        run: ran(ok),
        negative: ran(!control_fails),
        seconds: 0.5,
    }
}

fn files(outcomes: &[Outcome]) -> (String, String) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/plants/cstr-1hz.toml");
    let loaded = runtime::config::load(&file).unwrap();
    let binding = Some(Binding::of(&loaded).unwrap());
    let (campaign, date, device) = ("a campaign".into(), "2026-11-28".into(), Some("a PLC".into()));
    let subject = Subject { campaign, date, device, loaded, binding };
    let dir = tempfile::tempdir().unwrap();
    let count = Count::of(outcomes, std::time::Duration::from_secs(1));
    write(dir.path(), &subject, outcomes, &count).unwrap();
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    (read("report.html"), read("junit.xml"))
}

#[test]
fn a_report_has_every_part_and_asks_nothing_of_the_network() {
    let (page, junit) = files(&[outcome("one", true, true)]);
    for part in [
        "System under test",
        "a PLC",
        "SHA-256 of the program",
        "Tags and limits",
        "Cause-and-effect matrix",
        "Requirements",
        "Deviations",
        "Timing",
        "Sign-off",
        "not a safety instrumented system",
        "negative control: the guard",
        "end &lt;state&gt;",
        "<b>passed</b>",
        "<p>None.</p>",
        "@media print",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<script"));
    assert!(junit.contains("tests=\"2\" failures=\"0\" errors=\"0\""), "{junit}");
}

#[test]
fn a_failed_run_and_a_control_that_passed_are_deviations() {
    let (page, junit) = files(&[outcome("one", false, true), outcome("two", true, false)]);
    assert!(page.contains("NOT PASSED") && page.contains("ON instead of SHED"));
    assert!(page.contains("the run passed without its guard"));
    assert!(junit.contains("failures=\"2\" errors=\"0\""), "{junit}");
    assert_eq!(junit.matches("<failure").count(), 2);
}
