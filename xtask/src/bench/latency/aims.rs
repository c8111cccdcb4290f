//! What the project set itself for latency: ratios of rows of one run, mostly.

use std::fmt;

use super::report::{Report, Row};

/// A number of a row: its name, its load, and which.
type Number = (&'static str, &'static str, fn(&Row) -> Option<f64>);

/// What is held to the bound.
#[derive(Clone, Copy, Debug)]
enum Quantity {
    Of(Number),
    Ratio(Number, Number),
    /// In units of a fact.
    In(Number, &'static str),
    Fact(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(bound) => write!(f, "≤ {bound}"),
            Self::AtLeast(bound) => write!(f, "≥ {bound}"),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Aim {
    pub(super) what: &'static str,
    quantity: Quantity,
    pub(super) bound: Bound,
    /// Set for real-time control threads; without them it is shown and not judged.
    wants_rt: bool,
}

const fn aim(what: &'static str, quantity: Quantity, bound: Bound) -> Aim {
    Aim { what, quantity, bound, wants_rt: false }
}

const fn with_rt(what: &'static str, quantity: Quantity, bound: Bound) -> Aim {
    Aim { what, quantity, bound, wants_rt: true }
}

const P50: fn(&Row) -> Option<f64> = |row| Some(row.p50_us);
const P99: fn(&Row) -> Option<f64> = |row| Some(row.p99_us);
const P999: fn(&Row) -> Option<f64> = |row| Some(row.p999_us);
const MAX: fn(&Row) -> Option<f64> = |row| Some(row.max_us);
const ALLOCS: fn(&Row) -> Option<f64> = |row| row.allocs_per_cycle;

const OURS: Number = ("cycle/actors", "idle", P999);
const LOADED: Number = ("cycle/actors", "loaded", P999);
const SAME_RUNTIME: Number = ("cycle/actors", "loaded_same_runtime", P999);

use Bound::{AtLeast, AtMost};
use Quantity::{Fact, In, Of, Ratio};

const AIMS: [Aim; 13] = [
    aim("a cycle's p99.9, of tokio's channels", Ratio(OURS, ("cycle/mpsc", "idle", P999)), AtMost(2.0)),
    aim("a cycle's p99.9, of ractor's casts", Ratio(OURS, ("cycle/ractor_cast", "idle", P999)), AtMost(0.5)),
    aim("allocations per cycle", Of(("cycle/actors", "idle", ALLOCS)), AtMost(0.0)),
    aim("a cycle's p99.9 under load, of idle", Ratio(LOADED, OURS), AtMost(1.5)),
    aim("the same load in the control runtime", Ratio(SAME_RUNTIME, LOADED), AtLeast(10.0)),
    with_rt(
        "release p99 at 1 kHz, of cyclictest",
        Ratio(("release/pacer", "idle", P99), ("release/cyclictest", "idle", P99)),
        AtMost(1.2),
    ),
    with_rt(
        "release p99 at 100 Hz, of cyclictest",
        Ratio(("release/pacer_100hz", "idle", P99), ("release/cyclictest_100hz", "idle", P99)),
        AtMost(1.2),
    ),
    with_rt(
        "release p99 at 1 kHz under load, of cyclictest",
        Ratio(("release/pacer", "loaded", P99), ("release/cyclictest", "loaded", P99)),
        AtMost(1.2),
    ),
    with_rt(
        "tokio's interval later than our pacer at 1 kHz, p50",
        Ratio(("release/tokio_interval", "idle", P50), ("release/pacer", "idle", P50)),
        AtLeast(30.0),
    ),
    with_rt(
        "tokio's interval later than our pacer at 100 Hz, p50",
        Ratio(("release/tokio_interval_100hz", "idle", P50), ("release/pacer_100hz", "idle", P50)),
        AtLeast(30.0),
    ),
    aim("cycles lost to a crash, the most", Fact("crash/cycles_lost_at_most"), AtMost(1.0)),
    aim(
        "staleness under overload, the longest, periods",
        In(("overload/staleness", "10x", MAX), "overload/period_us"),
        AtMost(2.0),
    ),
    aim("memory grown under overload, bytes", Fact("overload/staleness_growth_bytes"), AtMost(1_048_576.0)),
];

/// How an aim came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Met,
    Missed,
    /// Set for --rt, and run without.
    WantsRt,
}

impl Verdict {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "MISSED",
            Self::WantsRt => "wants --rt",
        }
    }
}

/// An aim and what was measured.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    pub(super) aim: Aim,
    pub(super) measured: Option<f64>,
    pub(super) verdict: Verdict,
}

impl Quantity {
    /// The rows that it speaks of; of a fact, none.
    fn rows(self) -> Vec<&'static str> {
        match self {
            Self::Of((name, ..)) | Self::In((name, ..), _) => vec![name],
            Self::Ratio((a, ..), (b, ..)) => vec![a, b],
            Self::Fact(_) => Vec::new(),
        }
    }

    fn in_run(self, report: &Report) -> Option<f64> {
        let number =
            |(name, load, of): Number| report.rows.iter().find(|row| row.name == name && row.load == load).and_then(of);
        let value = match self {
            Self::Of(of) => number(of)?,
            Self::Ratio(above, below) => number(above)? / number(below)?,
            Self::In(of, unit) => number(of)? / report.facts.get(unit)?,
            Self::Fact(fact) => *report.facts.get(fact)?,
        };
        value.is_finite().then_some(value)
    }
}

/// The aims of which a row was measured, or the fact. One whose other row is absent is missed.
pub(super) fn judge(report: &Report) -> Vec<Judged> {
    let there = |name: &str| report.rows.iter().any(|row| row.name == name);
    let touched = |aim: &&Aim| match aim.quantity {
        Quantity::Fact(fact) => report.facts.contains_key(fact),
        quantity => quantity.rows().into_iter().any(there),
    };
    let judged = AIMS.iter().filter(touched).map(|aim| {
        let measured = aim.quantity.in_run(report);
        let verdict = match measured {
            _ if aim.wants_rt && !report.rt => Verdict::WantsRt,
            Some(value) if aim.bound.holds(value) => Verdict::Met,
            _ => Verdict::Missed,
        };
        Judged { aim: *aim, measured, verdict }
    });
    judged.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, load: &str, us: f64) -> Row {
        let allocs_per_cycle = Some(0.0);
        let (name, load) = (name.to_owned(), load.to_owned());
        Row { name, load, n: 10, p50_us: us, p99_us: us, p999_us: us, max_us: us, allocs_per_cycle }
    }

    fn verdicts(report: &Report) -> Vec<(&'static str, Verdict)> {
        judge(report).iter().map(|judged| (judged.aim.what, judged.verdict)).collect()
    }

    #[test]
    fn a_ratio_is_met_missed_or_missed_for_want_of_a_row() {
        for (mpsc_us, expected) in [(Some(2.0), Verdict::Met), (Some(1.9), Verdict::Missed), (None, Verdict::Missed)] {
            let mpsc = mpsc_us.map(|us| row("cycle/mpsc", "idle", us));
            let rows = std::iter::once(row("cycle/actors", "idle", 4.0)).chain(mpsc).collect();
            let report = Report { rows, ..Report::default() };
            assert_eq!(verdicts(&report)[0], ("a cycle's p99.9, of tokio's channels", expected));
        }
    }

    #[test]
    fn an_aim_for_real_time_is_not_judged_without_and_a_filtered_run_is_not_blamed() {
        let rows = vec![row("release/pacer", "idle", 50.0), row("release/cyclictest", "idle", 30.0)];
        let mut report = Report { rows, ..Report::default() };
        assert_eq!(verdicts(&report)[0], ("release p99 at 1 kHz, of cyclictest", Verdict::WantsRt));
        report.rt = true;
        assert_eq!(verdicts(&report)[0].1, Verdict::Missed);
        assert!(verdicts(&report).iter().all(|(what, _)| what.contains("1 kHz")), "{:?}", verdicts(&report));
    }

    #[test]
    fn the_negative_control_must_be_worse() {
        for (same_us, expected) in [(100.0, Verdict::Met), (40.0, Verdict::Missed)] {
            let rows = vec![row("cycle/actors", "loaded", 5.0), row("cycle/actors", "loaded_same_runtime", same_us)];
            let report = Report { rows, ..Report::default() };
            let of_load = verdicts(&report).into_iter().find(|(what, _)| what.contains("control runtime")).unwrap();
            assert_eq!(of_load.1, expected);
        }
    }

    #[test]
    fn staleness_is_counted_in_the_runs_own_periods() {
        let facts = [("overload/period_us".to_owned(), 1000.0)].into();
        let report = Report { rows: vec![row("overload/staleness", "10x", 2500.0)], facts, ..Report::default() };
        let judged = judge(&report);
        assert_eq!((judged[0].measured, judged[0].verdict), (Some(2.5), Verdict::Missed));
    }
}
