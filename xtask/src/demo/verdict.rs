//! Whether the run was good: a pure function of what was seen, and the two ways to say it.

use std::fmt::Write as _;

use serde::Serialize;

use super::record::{Cycle, Report, Stage, Summary};
use super::script::MOVED_CV;

/// The states an operator must have been shown, in this order, with others between.
const STORY: [&str; 6] = ["WARM", "INIT", "ON", "WARM", "INIT", "ON"];
/// The last cycles over which the tracking error is averaged, and the most it may be, in percent of the CV's span.
const JUDGED_CYCLES: usize = 10;
const TRACKING_ERROR_MAX_PCT: f64 = 2.0;

/// What was seen of a run.
#[derive(Debug, Default)]
pub(super) struct Evidence<'a> {
    /// The rig's cycles up to the moment when the runtime was told to stop.
    pub(super) cycles: &'a [Cycle],
    pub(super) summary: Option<Summary>,
    pub(super) report: Option<Report>,
    pub(super) recovery_s: Option<f64>,
    pub(super) reengaged_s: Option<f64>,
    /// During the outage the DCS's watchdog took the set-points back.
    pub(super) dcs_took_over: bool,
    /// What went wrong on the way: time-outs, refusals, exits.
    pub(super) mishaps: Vec<String>,
}

/// The result of a run: the object that `--json` prints.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Verdict {
    pub(super) ok: bool,
    cycles: u64,
    overruns: u64,
    restarts: u64,
    reconnects: u64,
    cost: f64,
    cost_open_loop: f64,
    tracking_error_pct: Option<f64>,
    max_limit_violation: f64,
    writes_while_not_on: u64,
    bump_pct: f64,
    states: Vec<String>,
    recovery_s: Option<f64>,
    reengaged_s: Option<f64>,
    stages: Vec<Stage>,
    failures: Vec<String>,
}

/// Judges the run. Everything that fails is named; `ok` means that nothing did.
pub(super) fn judge(evidence: &Evidence<'_>) -> Verdict {
    let mut failures = evidence.mishaps.clone();
    let tracking_error_pct = tracking_error_pct(evidence.cycles);
    match tracking_error_pct {
        Some(error) if error <= TRACKING_ERROR_MAX_PCT => {}
        Some(error) => failures.push(format!(
            "{MOVED_CV} is {error:.2} % of span off its set-point over the last {JUDGED_CYCLES} cycles; at most {TRACKING_ERROR_MAX_PCT} %"
        )),
        None => failures.push(format!("{MOVED_CV} has no value, set-point and span over the last {JUDGED_CYCLES} cycles")),
    }
    let last_mode = evidence.cycles.last().and_then(|cycle| cycle.mode_act.as_deref());
    if last_mode != Some("ON") {
        failures.push(format!("MODE_ACT is {} at the end, not ON", last_mode.unwrap_or("unknown")));
    }
    if evidence.recovery_s.is_none() {
        failures.push("no recovery from the outage was seen".to_owned());
    }
    if !evidence.dcs_took_over {
        failures.push("the DCS's watchdog did not take the set-points back during the outage".to_owned());
    }
    match &evidence.summary {
        Some(summary) => failures.extend(summary_faults(summary)),
        None => failures.push("the rig gave no summary".to_owned()),
    }
    if evidence.report.is_none() {
        failures.push("the runtime left no report".to_owned());
    }
    let summary = evidence.summary.clone().unwrap_or_default();
    let report = evidence.report.clone().unwrap_or_default();
    Verdict {
        ok: failures.is_empty(),
        cycles: report.cycles,
        overruns: report.overruns,
        restarts: report.restarts,
        reconnects: report.reconnects,
        cost: summary.cost,
        cost_open_loop: summary.cost_open_loop,
        tracking_error_pct,
        max_limit_violation: summary.max_limit_violation,
        writes_while_not_on: summary.writes_while_not_on,
        bump_pct: summary.bump_pct,
        states: summary.mode_acts,
        recovery_s: evidence.recovery_s,
        reengaged_s: evidence.reengaged_s,
        stages: report.stages,
        failures,
    }
}

fn summary_faults(summary: &Summary) -> Vec<String> {
    let mut faults = Vec::new();
    let mut states = summary.mode_acts.iter();
    if !STORY.iter().all(|wanted| states.any(|state| state == wanted)) {
        faults.push(format!("the states were {}, not in order {}", summary.mode_acts.join(" "), STORY.join(" ")));
    }
    // Not `> 0`: a violation that is not a number is one too.
    if summary.max_limit_violation.is_nan() || summary.max_limit_violation > 0.0 {
        faults.push(match summary.max_limit_violation {
            violation if violation.is_finite() => format!("a CV was {violation:.3} % of its span beyond a limit"),
            _ => "how far a CV was beyond a limit is no number".to_owned(),
        });
    }
    if summary.writes_while_not_on != 0 {
        faults.push(format!("{} write(s) moved a set-point while not ON", summary.writes_while_not_on));
    }
    let better = summary.cost < summary.cost_open_loop;
    if !better {
        faults.push(format!("the loop cost {:.4}, leaving it open {:.4}", summary.cost, summary.cost_open_loop));
    }
    faults
}

/// Mean of |PV − SP| over the last cycles, in percent of the width between the CV's limits; `None` if a cycle lacks
/// one of them or there are too few.
fn tracking_error_pct(cycles: &[Cycle]) -> Option<f64> {
    let judged = cycles.get(cycles.len().checked_sub(JUDGED_CYCLES)?..)?;
    let error = |cycle: &Cycle| {
        let cv = cycle.cv.iter().find(|cv| cv.tag == MOVED_CV)?;
        let span = cv.hi? - cv.lo?;
        (span > 0.0).then_some((cv.pv? - cv.sp?).abs() / span * 100.0)
    };
    let errors: Option<Vec<f64>> = judged.iter().map(error).collect();
    errors.map(|errors| errors.iter().sum::<f64>() / JUDGED_CYCLES as f64)
}

impl Verdict {
    /// The result of a run that could not be set up: it has a reason and no numbers.
    pub(super) fn not_played(why: String) -> Self {
        let unknown = f64::NAN;
        Self {
            failures: vec![why],
            cost: unknown,
            cost_open_loop: unknown,
            max_limit_violation: unknown,
            bump_pct: unknown,
            ..Self::default()
        }
    }

    /// Adds what went wrong after the run was judged.
    pub(super) fn fail(&mut self, why: String) {
        self.ok = false;
        self.failures.push(why);
    }

    /// The result as a table for people.
    pub(super) fn table(&self) -> String {
        let mut text = String::new();
        let seconds = |value: Option<f64>| value.map_or_else(|| "not seen".to_owned(), |s| format!("{s:.1} s"));
        let gain = 100.0 * (1.0 - self.cost / self.cost_open_loop);
        let rows = [
            ("states", self.states.join(" > ")),
            (
                "cycles",
                format!(
                    "{} ({} overruns, {} restarts, {} reconnects)",
                    self.cycles, self.overruns, self.restarts, self.reconnects
                ),
            ),
            (
                "cost",
                format!(
                    "{:.4} against {:.4} with the inputs left alone ({gain:.0} % less)",
                    self.cost, self.cost_open_loop
                ),
            ),
            (
                "tracking error",
                self.tracking_error_pct
                    .map_or_else(|| "unknown".to_owned(), |e| format!("{e:.2} % of span at the end")),
            ),
            ("limit violation", format!("{:.3} % of span at worst", self.max_limit_violation)),
            ("writes while not ON", self.writes_while_not_on.to_string()),
            ("bump", format!("{:.2} % of span at a change of mode", self.bump_pct)),
            (
                "outage",
                format!(
                    "data again after {}, closed loop after {}",
                    seconds(self.recovery_s),
                    seconds(self.reengaged_s)
                ),
            ),
        ];
        for (name, value) in rows {
            let _ = writeln!(text, "  {name:<20} {value}");
        }
        if !self.stages.is_empty() {
            let _ = writeln!(text, "\n  {:<20} {:>10} {:>10} {:>10}", "stage, µs", "p50", "p99", "p99.9");
        }
        for stage in &self.stages {
            let _ = writeln!(
                text,
                "  {:<20} {:>10.1} {:>10.1} {:>10.1}",
                stage.name, stage.p50_us, stage.p99_us, stage.p999_us
            );
        }
        let _ = writeln!(text, "\n{}", if self.ok { "demo: passed" } else { "demo: FAILED" });
        for failure in &self.failures {
            let _ = writeln!(text, "  - {failure}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::CvState;
    use super::*;

    fn cycle(pv: f64, mode_act: &str) -> Cycle {
        let cv = CvState {
            tag: MOVED_CV.to_owned(),
            pv: Some(pv),
            sp: Some(0.85),
            lo: Some(0.5),
            hi: Some(1.0),
            ..CvState::default()
        };
        Cycle { cv: vec![cv], mode_act: Some(mode_act.to_owned()), ..Cycle::default() }
    }

    fn good_summary() -> Summary {
        let mode_acts = "OFF WARM INIT ON SHED OFF WARM INIT ON OFF".split(' ').map(str::to_owned).collect();
        Summary { cost: 0.4, cost_open_loop: 2.0, mode_acts, ..Summary::default() }
    }

    fn good(cycles: &[Cycle]) -> Evidence<'_> {
        Evidence {
            cycles,
            summary: Some(good_summary()),
            report: Some(Report::default()),
            recovery_s: Some(1.5),
            reengaged_s: Some(4.0),
            dcs_took_over: true,
            mishaps: vec![],
        }
    }

    fn failures(spoil: impl FnOnce(&mut Evidence<'_>)) -> Vec<String> {
        let cycles = vec![cycle(0.851, "ON"); 20];
        let mut evidence = good(&cycles);
        spoil(&mut evidence);
        let verdict = judge(&evidence);
        assert_eq!(verdict.ok, verdict.failures.is_empty());
        verdict.failures
    }

    fn spoil_summary(spoil: impl FnOnce(&mut Summary)) -> Vec<String> {
        failures(|evidence| spoil(evidence.summary.as_mut().unwrap()))
    }

    #[test]
    fn a_good_run_passes() {
        assert_eq!(failures(|_| ()), Vec::<String>::new());
    }

    #[test]
    fn each_thing_that_can_be_wrong_fails_the_run_alone() {
        let cold = vec![cycle(0.851, "SHED"); 20];
        let off = vec![cycle(0.87, "ON"); 20];
        let few = vec![cycle(0.851, "ON"); JUDGED_CYCLES - 1];
        let cases: [(&str, Vec<String>); 14] = [
            ("beyond a limit", spoil_summary(|s| s.max_limit_violation = 0.01)),
            ("beyond a limit", spoil_summary(|s| s.max_limit_violation = f64::NAN)),
            ("while not ON", spoil_summary(|s| s.writes_while_not_on = 1)),
            ("leaving it open", spoil_summary(|s| s.cost = 2.0)),
            ("leaving it open", spoil_summary(|s| s.cost = f64::NAN)),
            ("not in order", spoil_summary(|s| s.mode_acts.truncate(4))),
            ("no summary", failures(|e| e.summary = None)),
            ("no report", failures(|e| e.report = None)),
            ("no recovery", failures(|e| e.recovery_s = None)),
            ("watchdog", failures(|e| e.dcs_took_over = false)),
            ("the rig ended", failures(|e| e.mishaps.push("the rig ended".to_owned()))),
            ("not ON", judge(&good(&cold)).failures),
            ("off its set-point", judge(&good(&off)).failures),
            ("has no value", judge(&good(&few)).failures),
        ];
        for (words, failures) in cases {
            assert_eq!(failures.len(), 1, "{words}: {failures:?}");
            assert!(failures[0].contains(words), "{words}: {failures:?}");
        }
    }

    /// As it comes over the wire: JSON has no infinity, so the rig's infinite violation is a null.
    #[test]
    fn a_violation_without_a_number_fails_the_run() {
        for said in [r#""max_limit_violation":null,"#, ""] {
            let text = format!(r#"{{{said}"cost":0.4,"cost_open_loop":2,"writes_while_not_on":0}}"#);
            let read: Summary = serde_json::from_str(&text).unwrap();
            let failures = spoil_summary(|s| s.max_limit_violation = read.max_limit_violation);
            assert_eq!(failures.len(), 1, "{failures:?}");
            assert!(failures[0].contains("beyond a limit"), "{failures:?}");
        }
    }

    #[test]
    fn a_run_that_was_never_played_is_one_object_with_its_failure_and_no_made_up_number() {
        let json = serde_json::to_value(Verdict::not_played("no rig".to_owned())).unwrap();
        assert_eq!((&json["ok"], &json["failures"]), (&false.into(), &serde_json::json!(["no rig"])));
        for number in ["cost", "cost_open_loop", "max_limit_violation", "bump_pct", "tracking_error_pct"] {
            assert!(json[number].is_null(), "{number}: {json}");
        }
    }

    #[test]
    fn a_later_failure_spoils_a_good_verdict_and_keeps_its_numbers() {
        let cycles = vec![cycle(0.851, "ON"); 20];
        let mut verdict = judge(&good(&cycles));
        assert!(verdict.ok);
        verdict.fail("no picture".to_owned());
        assert!(!verdict.ok && verdict.failures == ["no picture"] && verdict.cost < verdict.cost_open_loop);
    }

    #[test]
    fn the_table_names_every_failure() {
        let cycles = vec![cycle(0.851, "SHED"); 20];
        let table = judge(&good(&cycles)).table();
        assert!(table.contains("demo: FAILED") && table.contains("MODE_ACT is SHED"), "{table}");
    }
}
