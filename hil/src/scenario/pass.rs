//! How a scenario must end.

use std::collections::BTreeMap;

use runtime::config::reader::{Section, number};
use safety::Row;
use signals::dcs::ModeActual;

use crate::faults::TIME_MAX_S;

/// What the DCS is shown: the labels of `MODE_ACT`.
pub type Shown = ModeActual;

/// A cause of the interlock, on a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The row of the matrix.
    pub row: Row,
    /// Its subject: `CV1`, `DV1`, `MV1`, `loop`; empty: any.
    pub on: String,
}

/// A cause that must be told within a time of the first thing that befalls the loop.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The cause.
    pub cause: Cause,
    /// Within so many seconds of plant time.
    pub within_s: f64,
}

/// A CV that must come to rest at its set-point.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// The CV.
    pub cv: String,
    /// Within this of the set-point, in the model's unit, without noise.
    pub band: f64,
    /// From this time of the run on, in seconds.
    pub by_s: f64,
}

/// What must hold at the end of a run. That no unsafe write was made must always hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Pass {
    /// Whether the loop must be ON before the first thing befalls it.
    pub engages: bool,
    /// Whether the program may end by itself; otherwise it must run to the end.
    pub ends: bool,
    /// The greatest integral of the squared error of each CV, from the first ON on, in unit squared times seconds.
    pub ise_max: BTreeMap<String, f64>,
    /// The greatest cost, as a share of that of the plant whose inputs are held: the reference that the rig runs along.
    pub cost_ratio_max: Option<f64>,
    /// The greatest integral of what lies outside the operator's limits, in unit times seconds, without noise.
    pub violation_max: BTreeMap<String, f64>,
    /// What must come to rest.
    pub settled: Option<Settled>,
    /// The most late scans (`OVERRUNS`).
    pub late_scans_max: Option<u64>,
    /// The cause that `SHED_REASON` must show, and when.
    pub first_out: Option<Told>,
    /// Causes that must be told, whatever their effect. Under virtual time only: the DCS is not shown warnings.
    pub told: Vec<Told>,
    /// What `MODE_ACT` may be at the end.
    pub end_state: Vec<Shown>,
    /// What `MODE_ACT` must have been at some time after the onset.
    pub reached: Vec<Shown>,
    /// What `MODE_ACT` must never be after the onset.
    pub never: Vec<Shown>,
    /// What `MODE_ACT` shows while no set-point may be written.
    pub no_writes_in: Vec<Shown>,
    /// Within so many seconds of the onset the DCS must have every MV.
    pub released_within_s: Option<f64>,
    /// The greatest step of a set-point at a change of mode, in percent of range.
    pub bump_max_pct: Option<f64>,
    /// The least number of stages made anew.
    pub restarts_min: u64,
    /// Words that must stand in the notes of the run, such as what the journal says of a full disk.
    pub noted: Vec<String>,
}

const SHOWN: [(&str, Shown); 7] = [
    ("off", Shown::Off),
    ("init", Shown::Init),
    ("warm", Shown::Warm),
    ("advisory", Shown::Advisory),
    ("on", Shown::On),
    ("shed", Shown::Shed),
    ("fault", Shown::Fault),
];

impl Pass {
    pub(super) fn read(s: &Section<'_, '_>) -> Option<Self> {
        let flag = s.optional("engages", "true or false", |v| v.as_bool()).map(|flag| flag.unwrap_or(true));
        let ends = s.optional("ends", "true or false", |v| v.as_bool());
        let ise_max = by_cv(s, "ise_max");
        let cost_ratio_max = positive(s, "cost_ratio_max");
        let violation_max = by_cv(s, "violation_max");
        let settled = if s.has("settled") { s.section("settled", read_settled).map(Some) } else { Some(None) };
        let late = s.optional("late_scans_max", "a whole number", |v| {
            runtime::config::reader::count(v, 0, u32::MAX).map(u64::from)
        });
        let first_out = if s.has("first_out") { s.section("first_out", read_told).map(Some) } else { Some(None) };
        let told = s.sections("told", (0, 16), read_told);
        let end_state = shown(s, "end_state");
        let (reached, never, no_writes_in) = (shown(s, "reached"), shown(s, "never"), shown(s, "no_writes_in"));
        let released = positive(s, "released_within_s");
        let bump = positive(s, "bump_max_pct");
        let restarts = s.optional("restarts_min", "a whole number", |v| {
            runtime::config::reader::count(v, 0, u32::MAX).map(u64::from)
        });
        let noted = s.texts("noted", "a list of words that the notes of the run must hold");
        let pass = Self {
            engages: flag?,
            ends: ends?.unwrap_or(false),
            ise_max: ise_max?,
            cost_ratio_max: cost_ratio_max?,
            violation_max: violation_max?,
            settled: settled?,
            late_scans_max: late?,
            first_out: first_out?,
            told: told?,
            end_state: end_state?,
            reached: reached?,
            never: never?,
            no_writes_in: no_writes_in?,
            released_within_s: released?,
            bump_max_pct: bump?,
            restarts_min: restarts?.unwrap_or(0),
            noted: noted?,
        };
        if pass.asks_for_nothing() {
            s.fault("end_state", "a criterion of its own beside the unsafe writes, such as `end_state = [\"on\"]`");
        }
        Some(pass)
    }

    fn asks_for_nothing(&self) -> bool {
        let Self { ise_max, cost_ratio_max, violation_max, settled, first_out, told, end_state, reached, .. } = self;
        let more = self.never.is_empty() && self.released_within_s.is_none() && self.late_scans_max.is_none();
        ise_max.is_empty()
            && cost_ratio_max.is_none()
            && violation_max.is_empty()
            && settled.is_none()
            && first_out.is_none()
            && told.is_empty()
            && end_state.is_empty()
            && reached.is_empty()
            && more
    }
}

#[allow(clippy::option_option, reason = "the outer says whether the key is in order, the inner whether it is there")]
fn positive(s: &Section<'_, '_>, key: &'static str) -> Option<Option<f64>> {
    s.optional(key, "a number above 0", |v| number(v).filter(|x| *x > 0.0))
}

fn by_cv(s: &Section<'_, '_>, key: &'static str) -> Option<BTreeMap<String, f64>> {
    let read = s.optional(key, "a table of numbers from 0 by CV, such as { CV1 = 0.5 }", |v| {
        let pairs = v.as_table()?.iter().map(|(cv, v)| {
            let cv = cv.get_ref().to_string();
            Some((is_cv(&cv).then_some(cv)?, number(v.get_ref()).filter(|x| *x >= 0.0)?))
        });
        pairs.collect::<Option<BTreeMap<_, _>>>()
    });
    read.map(Option::unwrap_or_default)
}

fn is_cv(name: &str) -> bool {
    name.strip_prefix("CV").is_some_and(|n| n.parse::<usize>().is_ok_and(|n| n > 0))
}

fn shown(s: &Section<'_, '_>, key: &'static str) -> Option<Vec<Shown>> {
    let words = SHOWN.map(|(word, _)| word).join(", ");
    let of = |word: &str| SHOWN.iter().find(|(w, _)| *w == word).map(|(_, shown)| *shown);
    let read = s.optional(key, &format!("a list of {words}"), |v| {
        v.as_array()?.iter().map(|item| of(item.get_ref().as_str()?)).collect::<Option<Vec<_>>>()
    });
    read.map(Option::unwrap_or_default)
}

fn read_settled(s: &Section<'_, '_>) -> Option<Settled> {
    let cv = s.get("cv", "a CV such as \"CV1\"", |v| v.as_str().filter(|cv| is_cv(cv)).map(str::to_owned));
    let band = s.positive("band", "the model's unit");
    let by_s = s.between("by_s", "seconds from the start of the run", 0.0, TIME_MAX_S);
    Some(Settled { cv: cv?, band: band?, by_s: by_s? })
}

fn read_told(s: &Section<'_, '_>) -> Option<Told> {
    let rows: Vec<_> = Row::all().map(|row| (row.key(), row)).collect();
    let row = s.choice("cause", &rows);
    let on = s.optional("on", "what the cause speaks of: CV1, DV1, MV1 or loop", |v| v.as_str().map(str::to_owned));
    let within_s = s.positive("within_s", "seconds after the first thing that befalls the loop");
    Some(Told { cause: Cause { row: row?, on: on?.unwrap_or_default() }, within_s: within_s? })
}

impl Cause {
    /// The code that `SHED_REASON` shows for it, in a loop with so many CVs; `None` where the subject is open or unknown.
    /// The table is that of the interface (`docs/dcs-interface.md`), written here once more: what the DCS is told is
    /// judged by what was agreed with it.
    #[must_use]
    pub fn code(&self, cvs: u16) -> Option<u16> {
        let numbered = |kind: &str| self.on.strip_prefix(kind).and_then(|n| n.parse::<u16>().ok());
        let subject = match self.on.get(..2) {
            Some("CV") => numbered("CV")?,
            Some("DV") => cvs + numbered("DV")?,
            Some("MV") => 50 + numbered("MV")?,
            _ => 0,
        };
        Some(match self.row {
            Row::Boot => 1,
            Row::ClockBack => 2,
            Row::Inconsistent => 3,
            Row::Permit => 10,
            Row::WdOk => 11,
            Row::Lease => 12,
            Row::NoMvInService => 13,
            Row::ControllerSilent => 1500,
            Row::NoProposalLeft => 1501,
            Row::HbDcs => 1601,
            Row::HbEcho => 1602,
            Row::Link => 1603,
            Row::SolverHold | Row::SolverShed => 1700,
            Row::ScanOverrun => 2401,
            row => 100 * row.check()?.number() + subject,
        })
    }
}
