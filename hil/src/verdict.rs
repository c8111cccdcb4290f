//! Whether a run has passed: each criterion with what was expected and what was seen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::record::Record;
use crate::scenario::{Pass, Settled, Shown, Told};

/// One criterion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Its name.
    pub criterion: String,
    /// What must be.
    pub expected: String,
    /// What was.
    pub actual: String,
    /// Whether that is so.
    pub ok: bool,
}

/// Slack of times that are seen scan by scan, in seconds: two scans at 2 Hz.
const SCANS_S: f64 = 1.0;

/// Judges a run. That no unsafe write was made, that the loop got ON before anything befell it, that it did not end by
/// itself, and that every line at the keyboard was answered as wanted, is judged always.
#[must_use]
pub fn judge(pass: &Pass, record: &Record) -> Vec<Finding> {
    let mut all = vec![unsafe_writes(record), answered(record)];
    if !pass.ends {
        let ended = record.ended.clone().unwrap_or_else(|| "it ran to the end".to_owned());
        all.push(finding("the loop", "runs to the end", ended, record.ended.is_none()));
    }
    if pass.engages {
        let actual = record.first_on_s.map_or_else(|| "never".to_owned(), |t| format!("at {t:.1} s"));
        let ok = record.first_on_s.is_some_and(|t| t <= record.onset_s);
        all.push(finding("precondition", format!("ON by {:.1} s", record.onset_s), actual, ok));
    }
    integrals(&mut all, ("ise", "unit² s"), &pass.ise_max, &record.ise);
    integrals(&mut all, ("limit violation", "unit s"), &pass.violation_max, &record.violation);
    if let Some(most) = pass.cost_ratio_max {
        let ratio = record.cost.0 / record.cost.1.max(f64::MIN_POSITIVE);
        let (expected, actual) = (format!("at most {most} of that with inputs held"), format!("{ratio:.4}"));
        all.push(finding("cost", expected, actual, ratio <= most));
    }
    all.extend(pass.settled.as_ref().map(|settled| settles(settled, record)));
    if let Some(most) = pass.late_scans_max {
        let late = record.late_scans;
        all.push(finding("late scans", format!("at most {most}"), late.to_string(), late <= most));
    }
    all.extend(pass.first_out.as_ref().map(|told| first_out(told, record)));
    all.extend(pass.told.iter().map(|told| told_of(told, record)));
    states(&mut all, pass, record);
    if let Some(within) = pass.released_within_s {
        all.push(released(within, record));
    }
    if let Some(most) = pass.bump_max_pct {
        let bump = record.bump_pct;
        all.push(finding("bump", format!("at most {most} % of range"), format!("{bump:.4} %"), bump <= most));
    }
    if pass.restarts_min > 0 {
        let (least, seen) = (pass.restarts_min, record.restarts);
        all.push(finding("stages made anew", format!("at least {least}"), seen.to_string(), seen >= least));
    }
    for words in &pass.noted {
        let noted = record.notes.iter().any(|note| note.contains(words));
        all.push(finding("noted", format!("`{words}`"), record.notes.join("; "), noted));
    }
    all
}

fn finding(criterion: &str, expected: impl Into<String>, actual: impl Into<String>, ok: bool) -> Finding {
    Finding { criterion: criterion.to_owned(), expected: expected.into(), actual: actual.into(), ok }
}

fn unsafe_writes(record: &Record) -> Finding {
    let seen = record.unsafe_writes;
    let actual = if seen.total() == 0 { "0".to_owned() } else { format!("{seen:?}") };
    finding("unsafe writes", "0", actual, seen.total() == 0)
}

fn answered(record: &Record) -> Finding {
    let wrong = record.said.iter().find(|said| !said.as_wanted);
    let actual = wrong.map_or_else(
        || format!("{} lines, all as wanted", record.said.len()),
        |said| format!("`{}` at {:.1} s: {}", said.line, said.t_s, said.refused.as_deref().unwrap_or("taken")),
    );
    finding("keyboard", "each line answered as wanted", actual, wrong.is_none())
}

fn integrals(
    all: &mut Vec<Finding>,
    (name, unit): (&str, &str),
    most: &BTreeMap<String, f64>,
    seen: &BTreeMap<String, f64>,
) {
    for (cv, most) in most {
        // A NaN is not within anything.
        let (value, ok) = seen.get(cv).map_or((f64::NAN, false), |value| (*value, *value <= *most));
        all.push(finding(&format!("{name} of {cv}"), format!("at most {most} {unit}"), format!("{value:.4}"), ok));
    }
}

fn settles(settled: &Settled, record: &Record) -> Finding {
    let Settled { cv, band, by_s } = settled;
    let name = format!("{cv} at rest");
    let expected = format!("within {band} of its set-point from {by_s} s on");
    let Some(trend) = record.trend.cvs.iter().find(|trend| trend.tag == *cv) else {
        return finding(&name, expected, "no such CV", false);
    };
    let errors = record.trend.t_s.iter().zip(trend.truth.iter().zip(&trend.sp));
    let mut errors = errors.map(|(t, (y, sp))| (*t, sp.map_or(f64::NAN, |sp| (y - sp).abs())));
    let last = errors.rfind(|(_, e)| e.is_nan() || *e > *band);
    let end = record.trend.t_s.last().copied().unwrap_or(0.0);
    let at = last.map_or(0.0, |(t, _)| t);
    finding(&name, expected, format!("last outside at {at:.1} s of {end:.1} s"), at < *by_s && end >= *by_s)
}

fn on(told: &Told) -> String {
    let subject = if told.cause.on.is_empty() { String::new() } else { format!(" on {}", told.cause.on) };
    format!("{}{subject} within {} s", told.cause.row, told.within_s)
}

/// The first code other than that of the start that the DCS was shown after the onset.
fn first_out(told: &Told, record: &Record) -> Finding {
    let onset = record.onset_s;
    let shown = record.modes.iter().filter(|stay| stay.reason > 1 && stay.reason_t_s >= onset);
    let first = shown.min_by(|a, b| a.reason_t_s.total_cmp(&b.reason_t_s));
    let code = told.cause.code(record.cvs);
    let actual = first.map_or_else(
        || "SHED_REASON shows none".to_owned(),
        |stay| format!("{} shown {:.1} s after the onset", stay.reason, stay.reason_t_s - onset),
    );
    let right = first.is_some_and(|stay| {
        let code_is_right = match (told.cause.on.is_empty(), code) {
            (_, None) => false,
            // Any subject of that check.
            (true, Some(code)) if code >= 100 && code % 100 == 0 => stay.reason / 100 == code / 100,
            (_, Some(code)) => stay.reason == code,
        };
        code_is_right && stay.reason_t_s - onset <= told.within_s + SCANS_S
    });
    let code = code.map_or_else(String::new, |code| format!(" (code {code})"));
    finding("first-out", format!("{}{code}", on(told)), actual, right)
}

fn told_of(told: &Told, record: &Record) -> Finding {
    let is_it = |row: &str, subject: &str| {
        row == told.cause.row.key() && (told.cause.on.is_empty() || told.cause.on == subject)
    };
    let seen = record.raised.iter().find(|raised| raised.t_s >= record.onset_s && is_it(&raised.row, &raised.on));
    let actual = seen.map_or_else(
        || "not told".to_owned(),
        |raised| format!("{} after {:.1} s", raised.text, raised.t_s - record.onset_s),
    );
    let ok = seen.is_some_and(|raised| raised.t_s - record.onset_s <= told.within_s + SCANS_S);
    finding("told", on(told), actual, ok)
}

fn words(shown: &[Shown]) -> String {
    shown.iter().map(|shown| shown.label()).collect::<Vec<_>>().join(" or ")
}

fn states(all: &mut Vec<Finding>, pass: &Pass, record: &Record) {
    let is = |label: &str, shown: &[Shown]| shown.iter().any(|shown| shown.label() == label);
    let path = || record.modes.iter().map(|stay| stay.mode.as_str()).collect::<Vec<_>>().join(" ");
    if !pass.end_state.is_empty() {
        let end = record.modes.last().map_or("none", |stay| stay.mode.as_str());
        all.push(finding("end state", words(&pass.end_state), end, is(end, &pass.end_state)));
    }
    let after = || record.modes.iter().filter(|stay| stay.t_s >= record.onset_s);
    for shown in &pass.reached {
        let seen = after().find(|stay| stay.mode == shown.label());
        let actual = seen.map_or_else(path, |stay| format!("at {:.1} s", stay.t_s));
        all.push(finding("reaches", shown.label(), actual, seen.is_some()));
    }
    for shown in &pass.never {
        let seen = after().find(|stay| stay.mode == shown.label());
        let actual = seen.map_or_else(path, |stay| format!("at {:.1} s", stay.t_s));
        all.push(finding("never shows", shown.label(), actual, seen.is_none()));
    }
    for shown in &pass.no_writes_in {
        let count = record.writes.get(&shown.label()).copied().unwrap_or(0);
        all.push(finding("writes nothing", format!("in {}", shown.label()), count.to_string(), count == 0));
    }
}

fn released(within: f64, record: &Record) -> Finding {
    let expected = format!("the DCS has every MV within {within} s of the onset, and keeps them");
    let first = record.released_s.iter().map(|t| t - record.onset_s).find(|after| *after >= 0.0);
    let actual = match (first, record.held_at_the_end) {
        (Some(after), false) => format!("after {after:.1} s"),
        (Some(after), true) => format!("after {after:.1} s, and not at the end"),
        (None, _) => "it never got them back".to_owned(),
    };
    let ok = first.is_some_and(|after| after <= within + SCANS_S) && !record.held_at_the_end;
    finding("handed back", expected, actual, ok)
}
