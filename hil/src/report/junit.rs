//! JUnit XML: a case for each scenario and one for each negative control.

use std::fmt::Write as _;

use super::escaped;
use crate::campaign::{Count, Outcome, Ran};

pub(super) fn file(campaign: &str, outcomes: &[Outcome], count: &Count) -> String {
    let errors = outcomes.iter().flat_map(|o| [&o.run, &o.negative]).filter(|ran| ran.error.is_some()).count();
    let bad_controls = count.negative_controls - count.negative_failed_as_expected;
    let failures = count.failed + bad_controls - errors.min(count.failed + bad_controls);
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{:.3}\">\n",
        escaped(campaign),
        2 * outcomes.len(),
        count.seconds,
    );
    for outcome in outcomes {
        let wrong = outcome.run.findings.iter().filter(|f| !f.ok);
        let wrong: Vec<_> = wrong.map(|f| format!("{}: {} instead of {}", f.criterion, f.actual, f.expected)).collect();
        case(&mut out, &outcome.id, outcome.seconds, &outcome.run, (!outcome.run.passed()).then(|| wrong.join("; ")));
        let passed = format!("{} and the run passed all the same", outcome.guard);
        let name = format!("{} (negative control)", outcome.id);
        case(&mut out, &name, 0.0, &outcome.negative, (!outcome.negative.failed()).then_some(passed));
    }
    out.push_str("</testsuite>\n");
    out
}

fn case(out: &mut String, name: &str, seconds: f64, ran: &Ran, wrong: Option<String>) {
    // A string takes what is written to it, here and below.
    let _ = write!(out, "  <testcase name=\"{}\" time=\"{seconds:.3}\"", escaped(name));
    let _ = match (&ran.error, wrong) {
        (Some(error), _) => writeln!(out, "><error message=\"{}\"/></testcase>", escaped(error)),
        (None, Some(wrong)) => writeln!(out, "><failure message=\"{}\"/></testcase>", escaped(&wrong)),
        (None, None) => writeln!(out, "/>"),
    };
}
