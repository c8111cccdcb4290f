//! The page.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use runtime::matrix::Matrix;

use super::{Subject, escaped, plot};
use crate::campaign::{Count, Outcome, Ran};

const NOT_A_SIS: &str = "What was tested is a supervisory (BPCS/APC) function. It is not a safety instrumented system, carries \
    no SIL and must not be credited as a protection layer. The SIS is separate in sensors, logic solver and final elements, does \
    not depend on this system, and cannot be written by it. The DCS enforces its own limits and its own watchdog. A rig shows how \
    the loop behaves at an emulated plant; it does not show that the plant behaves so.";

const STYLE: &str = "body{font:14px/1.4 system-ui,sans-serif;margin:2em auto;max-width:60em;color:#222}h1{font-size:1.6em}\
h2{margin-top:2em;border-bottom:1px solid #999}table{border-collapse:collapse;width:100%}td,th{border:1px solid #ccc;\
padding:2px 6px;text-align:left;vertical-align:top;font-size:12px}th{background:#eee}.pass{background:#d8f0d8}.fail{background:#f4c7c3}\
svg{display:block;width:100%;margin:1px 0;background:#fafafa}svg text{font:10px sans-serif}svg .n{fill:#666;font-size:9px}\
path{fill:none;stroke-width:1.2}.truth{stroke:#1559a5}.pv{stroke:#9bbfe8;stroke-width:.7}.sp{stroke:#c60;stroke-dasharray:4 2}\
.limit{stroke:#b00;stroke-dasharray:2 2}.mv{stroke:#272}.fault{fill:#f4c7c3;opacity:.5}.bar{fill:#1559a5}rect.on{fill:#9fd39f}\
rect.shed,rect.fault{fill:#f4c7c3}rect.off,rect.warm{fill:#ddd}rect.init,rect.advisory{fill:#fbe6a2}section.test{break-inside:avoid}\
.sign td{height:3em}@media print{body{margin:0;max-width:none}h2{break-before:page}h2.run-on{break-before:auto}a{color:inherit}}";

pub(super) fn page(subject: &Subject, outcomes: &[Outcome], count: &Count) -> String {
    let title = escaped(&format!("{}: report of the hardware-in-the-loop campaign", subject.loaded.plant.name));
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style>\n<h1>{title}</h1>\n<p>{}</p>",
        escaped(&subject.campaign)
    );
    let verdict = if count.is_good() { "passed" } else { "NOT PASSED" };
    let class = if count.is_good() { "pass" } else { "fail" };
    // A string takes what is written to it, here and below.
    let _ = write!(
        out,
        "<p class=\"{class}\"><b>{verdict}</b>: {} scenarios with {} kinds of faults, {} passed, {} failed; of {} negative controls {} \
         failed as they must; {:.1} s of wall time.</p><p><b>{NOT_A_SIS}</b></p>",
        count.scenarios,
        count.faults,
        count.passed,
        count.failed,
        count.negative_controls,
        count.negative_failed_as_expected,
        count.seconds,
    );
    identity(&mut out, subject);
    limits(&mut out, subject);
    requirements(&mut out, outcomes);
    deviations(&mut out, outcomes);
    timing(&mut out, outcomes);
    out.push_str("<h2>Tests</h2>\n");
    outcomes.iter().for_each(|outcome| test(&mut out, outcome));
    out.push_str("<h2>Cause-and-effect matrix</h2>\n");
    out.push_str(&body_of(&Matrix::of(&subject.loaded).html()));
    sign_off(&mut out);
    out
}

/// The tables of a page of its own.
fn body_of(page: &str) -> String {
    let from = page.find("<table").unwrap_or(page.len());
    page.get(from..).unwrap_or_default().to_owned()
}

fn identity(out: &mut String, subject: &Subject) {
    let plant = &subject.loaded.plant;
    out.push_str("<h2 class=\"run-on\">System under test</h2>\n<table>");
    let mut row = |what: &str, value: &str| {
        let _ = write!(out, "<tr><th>{what}<td>{}", escaped(value));
    };
    if let Some(device) = &subject.device {
        row("device", device);
    }
    row("loop", &plant.name);
    row("model", plant.model.card().title);
    row("control period", &format!("{} s", plant.period_s));
    row("reach", &plant.mode.to_string());
    row("configuration (CFG_REV)", &subject.loaded.revision);
    if let Some(binding) = &subject.binding {
        row("SHA-256 of the configuration", &binding.hashes.configuration);
        row("SHA-256 of the model", &binding.hashes.model);
        row("SHA-256 of the program", &binding.hashes.binary);
    }
    row("rig", &format!("outrigger-hil {}", env!("CARGO_PKG_VERSION")));
    row("date", &subject.date);
    out.push_str("</table>\n");
}

fn limits(out: &mut String, subject: &Subject) {
    let plant = &subject.loaded.plant;
    out.push_str("<h2 class=\"run-on\">Tags and limits</h2>\n<table><tr><th>node<th>tag<th>variable<th>unit<th>envelope of the model");
    let tags = plant.mvs.iter().map(|mv| (&mv.tag, mv.variable));
    let tags = tags.chain(plant.cvs.iter().map(|cv| (&cv.tag, cv.variable)));
    for (tag, variable) in tags.chain(plant.dvs.iter().map(|dv| (&dv.tag, dv.variable))) {
        let _ = write!(
            out,
            "<tr><td>{}<td>{}<td>{} ({})<td>{}<td>{} to {}",
            escaped(&tag.node),
            escaped(&tag.name),
            variable.name,
            variable.description,
            tag.unit.symbol(),
            variable.low,
            variable.high
        );
    }
    let _ = write!(
        out,
        "</table>\n<details><summary>The plant file, word by word</summary><pre>{}</pre></details>\n",
        escaped(&subject.loaded.text)
    );
}

fn requirements(out: &mut String, outcomes: &[Outcome]) {
    let mut of: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
    for outcome in outcomes {
        outcome.requirements.iter().for_each(|r| of.entry(r).or_default().push(outcome));
    }
    out.push_str("<h2>Requirements</h2>\n<table><tr><th>requirement<th>scenarios<th>result");
    for (requirement, scenarios) in of {
        let good = scenarios.iter().all(|o| o.is_good());
        let links = scenarios.iter().map(|o| format!("<a href=\"#{0}\">{0}</a>", escaped(&o.id))).collect::<Vec<_>>();
        let _ = write!(out, "<tr><td>{}<td>{}{}", escaped(requirement), links.join(", "), cell(good));
    }
    out.push_str("</table>\n");
}

fn cell(good: bool) -> &'static str {
    if good { "<td class=\"pass\">pass" } else { "<td class=\"fail\">FAIL" }
}

fn deviations(out: &mut String, outcomes: &[Outcome]) {
    out.push_str("<h2 class=\"run-on\">Deviations</h2>\n");
    let bad: Vec<_> = outcomes.iter().filter(|o| !o.is_good()).collect();
    if bad.is_empty() {
        out.push_str("<p>None.</p>\n");
        return;
    }
    out.push_str("<table><tr><th>no.<th>test<th>deviation<th>disposition");
    for (n, outcome) in (1..).zip(bad) {
        let mut what: Vec<String> = outcome.run.error.iter().map(|e| format!("could not be run: {e}")).collect();
        let wrong = outcome.run.findings.iter().filter(|f| !f.ok);
        what.extend(wrong.map(|f| format!("{}: {} instead of {}", f.criterion, f.actual, f.expected)));
        if !outcome.negative.failed() {
            let why = outcome.negative.error.as_deref().unwrap_or("the run passed without its guard");
            what.push(format!("negative control ({}): {why}", outcome.guard));
        }
        let _ = write!(
            out,
            "<tr><td>{n}<td><a href=\"#{0}\">{0}</a><td>{1}<td>",
            escaped(&outcome.id),
            escaped(&what.join("; "))
        );
    }
    out.push_str("</table>\n");
}

fn timing(out: &mut String, outcomes: &[Outcome]) {
    let mut sum: Vec<u64> = Vec::new();
    for record in outcomes.iter().filter_map(|o| o.run.record.as_ref()) {
        sum.resize(sum.len().max(record.heartbeats.len()), 0);
        sum.iter_mut().zip(&record.heartbeats).for_each(|(sum, n)| *sum += n);
    }
    let late: u64 = outcomes.iter().filter_map(|o| o.run.record.as_ref()).map(|r| r.late_scans).sum();
    let _ = write!(
        out,
        "<h2 class=\"run-on\">Timing</h2>\n<p>Intervals between two heartbeats of the loop while ON, as the DCS saw them, in control periods \
         T; logarithmic. {late} late scans over all runs.</p>{}\n",
        plot::histogram(&sum)
    );
}

fn test(out: &mut String, outcome: &Outcome) {
    let _ = write!(
        out,
        "<section class=\"test\" id=\"{0}\"><h3>{0}: {1}</h3><table><tr><th>requirements<td>{2}<tr><th>precondition<td>clock {3}, seed {4}; the \
         operator has taken the loop in<tr><th>steps<td>{5}</table>",
        escaped(&outcome.id),
        escaped(&outcome.title),
        escaped(&outcome.requirements.join(", ")),
        escaped(&outcome.clock),
        outcome.seed,
        steps(outcome),
    );
    findings(out, "with every guard on", &outcome.run, outcome.run.passed());
    if let Some(record) = &outcome.run.record {
        out.push_str(&plot::trend(record, &outcome.faults));
        let alarms: Vec<_> = record.alarms.iter().map(|(t, text)| format!("{t:.1} s {text}")).collect();
        let notes: Vec<_> = alarms.iter().chain(&record.notes).map(|note| escaped(note)).collect();
        if !notes.is_empty() {
            let _ = write!(out, "<p>{}</p>", notes.join("<br>"));
        }
    }
    let control = format!("negative control: {}; it must fail", outcome.guard);
    findings(out, &control, &outcome.negative, outcome.negative.failed());
    out.push_str("</section>\n");
}

fn steps(outcome: &Outcome) -> String {
    let faults = outcome.faults.iter().map(|(at, until, kind, on)| {
        let until = until.map_or_else(String::new, |until| format!(" to {until} s"));
        (*at, format!("{at} s{until}: fault {kind} {on}"))
    });
    let said = outcome.run.record.iter().flat_map(|record| &record.said);
    let said = said.map(|said| {
        let refused = said.refused.as_ref().map_or_else(String::new, |why| format!(" (refused: {why})"));
        (said.t_s, format!("{} s: {}{refused}", said.t_s, said.line))
    });
    let mut all: Vec<_> = faults.chain(said).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all.iter().map(|(_, step)| escaped(step)).collect::<Vec<_>>().join("<br>")
}

fn findings(out: &mut String, title: &str, ran: &Ran, good: bool) {
    let _ = write!(out, "<table><tr><th>{}<th>expected<th>actual<th>verdict", escaped(title));
    if let Some(error) = &ran.error {
        let _ = write!(out, "<tr><td>could not be run<td><td>{}<td class=\"fail\">ERROR", escaped(error));
    }
    for finding in &ran.findings {
        let _ = write!(
            out,
            "<tr><td>{}<td>{}<td>{}<td>{}",
            escaped(&finding.criterion),
            escaped(&finding.expected),
            escaped(&finding.actual),
            if finding.ok { "holds" } else { "does not hold" },
        );
    }
    let _ = write!(out, "<tr><th colspan=3>verdict{}</table>", cell(good));
}

fn sign_off(out: &mut String) {
    out.push_str("<h2>Sign-off</h2>\n<table class=\"sign\"><tr><th>role<th>name<th>date<th>signature");
    for role in ["test engineer", "owner's process engineer", "owner's control engineer", "witness"] {
        let _ = write!(out, "<tr><td>{role}<td><td><td>");
    }
    let _ = write!(out, "</table>\n<p>{NOT_A_SIS}</p>\n</html>\n");
}
