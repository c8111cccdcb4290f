//! What was seen of a run, from the DCS's side: the rig is looked at once a scan, whatever the clock and whoever the device.
//!
//! What the loop says of itself stands in here only where the DCS is told it (`MODE_ACT`, `SHED_REASON`, `OVERRUNS`), and in
//! the events, which only virtual time has and which no unsafe write is judged by.

use std::collections::BTreeMap;
use std::time::Duration;

use rig::Rig;
use runtime::simulate::REFUSED_FOR_VALUE;
use serde::{Deserialize, Serialize};
use signals::Stamp;
use signals::dcs::{ModeActual, MvMode};

/// What of an MV's range is rounding.
const TOLERANCE: f64 = 1e-9;

/// Writes that no loop should ever have made, by how they were seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnsafeWrites {
    /// The DCS refused it for its value, its type or its tag.
    pub refused: u64,
    /// It asked for a move while the application did not claim ON or held no lease.
    pub not_on: u64,
    /// It asked for more than `ROC_MAX` permits in the periods since the one before.
    pub too_fast: u64,
    /// The judge at the loop's sink found it invalid ([`runtime::simulate::InvalidMoves`]); virtual time only.
    pub at_the_sink: u64,
}

impl UnsafeWrites {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.refused + self.not_on + self.too_fast + self.at_the_sink
    }
}

/// A CV over time, in the model's unit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CvTrend {
    /// Its tag, `CV1`.
    pub tag: String,
    /// The model's name and unit.
    pub name: String,
    /// Without noise.
    pub truth: Vec<f64>,
    /// As the loop sees it; null where it is no number.
    pub pv: Vec<Option<f64>>,
    /// The set-point, where it has one.
    pub sp: Vec<Option<f64>>,
    /// The operator's limits.
    pub limits: Vec<(f64, f64)>,
    /// The range by which it is drawn.
    pub range: (f64, f64),
}

/// An MV over time, in the model's unit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MvTrend {
    /// Its tag, `MV1`.
    pub tag: String,
    /// The model's name and unit.
    pub name: String,
    /// The set-point in use.
    pub sp_act: Vec<f64>,
    /// The range by which it is drawn.
    pub range: (f64, f64),
}

/// Values once a control period.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    /// Plant time, in seconds.
    pub t_s: Vec<f64>,
    /// The CVs.
    pub cvs: Vec<CvTrend>,
    /// The MVs.
    pub mvs: Vec<MvTrend>,
}

/// A state of `MODE_ACT`, from when on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stay {
    /// Since when, in seconds of plant time.
    pub t_s: f64,
    /// Its label.
    pub mode: String,
    /// `SHED_REASON` then, or the last one that was shown in it.
    pub reason: u16,
    /// When that reason was first shown.
    pub reason_t_s: f64,
}

/// A cause that the loop told of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RaisedSeen {
    /// When, in seconds of plant time.
    pub t_s: f64,
    /// The row of the matrix.
    pub row: String,
    /// Its subject.
    pub on: String,
    /// In words.
    pub text: String,
}

/// A line at the keyboard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// When, in seconds of plant time.
    pub t_s: f64,
    /// The line.
    pub line: String,
    /// Why it was refused.
    pub refused: Option<String>,
    /// Whether that is what was wanted.
    pub as_wanted: bool,
}

/// A run, as it was seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Plant time, in seconds.
    pub t_s: f64,
    /// How many CVs the loop has.
    pub cvs: u16,
    /// When the first thing befell the loop, in seconds.
    pub onset_s: f64,
    /// The trend.
    pub trend: Trend,
    /// What `MODE_ACT` passed through.
    pub modes: Vec<Stay>,
    /// What the loop told of.
    pub raised: Vec<RaisedSeen>,
    /// What was typed.
    pub said: Vec<Said>,
    /// The DCS's alarms, with their times.
    pub alarms: Vec<(f64, String)>,
    /// Unsafe writes.
    pub unsafe_writes: UnsafeWrites,
    /// New set-points by what `MODE_ACT` showed.
    pub writes: BTreeMap<String, u64>,
    /// When the DCS got the last of the MVs back, each time, in seconds.
    pub released_s: Vec<f64>,
    /// Whether an MV was with the application at the end.
    pub held_at_the_end: bool,
    /// When the loop was ON first, in seconds.
    pub first_on_s: Option<f64>,
    /// Integrals of the squared error from the first ON on, by CV with a set-point.
    pub ise: BTreeMap<String, f64>,
    /// Integrals of what lies outside the operator's limits, by CV.
    pub violation: BTreeMap<String, f64>,
    /// The rig's cost, and that of the plant whose inputs are held.
    pub cost: (f64, f64),
    /// The greatest step of a set-point at a change of mode, in percent of range.
    pub bump_pct: f64,
    /// Late scans.
    pub late_scans: u64,
    /// Stages made anew.
    pub restarts: u64,
    /// Seconds of plant time between two heartbeats of the loop while ON: how many in each class of a tenth of a period, the
    /// last for 3 T and more.
    pub heartbeats: Vec<u64>,
    /// Why the loop ended by itself.
    pub ended: Option<String>,
    /// What else a person should know of the run.
    pub notes: Vec<String>,
}

/// Classes of the histogram of heartbeats.
const CLASSES: usize = 31;

/// The memory of one MV's requests.
#[derive(Clone, Copy, Debug, Default)]
struct Request {
    value: f64,
    at: Option<Stamp>,
    was_rcas: bool,
}

/// Looks at a rig, scan by scan.
#[derive(Debug)]
pub struct Observer {
    record: Record,
    requests: Vec<Request>,
    period: Duration,
    /// When it was looked last.
    looked: Stamp,
    cycles: u64,
    mode: Option<ModeActual>,
    heartbeat: (u32, Stamp),
    any_rcas: bool,
    /// The rig's time at which the scenario's begins.
    epoch: Stamp,
}

impl Observer {
    /// Nothing seen yet of this rig; the scenario's time begins now.
    #[must_use]
    pub fn new(rig: &Rig, onset: Duration) -> Self {
        let config = rig.config();
        let range = |r: rig::config::Span| (r.low, r.high);
        let cvs = (1..).zip(&config.cvs).map(|(n, cv)| CvTrend {
            tag: format!("CV{n}"),
            name: format!("{}, {}", cv.variable.name, cv.variable.unit.symbol()),
            range: range(cv.range),
            ..CvTrend::default()
        });
        let mvs = (1..).zip(&config.mvs).map(|(n, mv)| MvTrend {
            tag: format!("MV{n}"),
            name: format!("{}, {}", mv.variable.name, mv.variable.unit.symbol()),
            range: range(mv.range),
            ..MvTrend::default()
        });
        let trend = Trend { t_s: Vec::new(), cvs: cvs.collect(), mvs: mvs.collect() };
        let record = Record {
            onset_s: onset.as_secs_f64(),
            cvs: u16::try_from(config.cvs.len()).unwrap_or(u16::MAX),
            trend,
            heartbeats: vec![0; CLASSES],
            ..Record::default()
        };
        Self {
            record,
            requests: vec![Request::default(); config.mvs.len()],
            period: config.period,
            looked: rig.now(),
            cycles: u64::MAX,
            mode: None,
            heartbeat: (0, Stamp::ZERO),
            any_rcas: false,
            epoch: rig.now(),
        }
    }

    /// The record, to add to.
    pub fn record_mut(&mut self) -> &mut Record {
        &mut self.record
    }

    /// Seconds of the scenario's time.
    fn t_s(&self, rig: &Rig) -> f64 {
        rig.now().since(self.epoch).as_secs_f64()
    }

    /// One look, after a scan.
    pub fn look(&mut self, rig: &Rig) {
        self.watch_mode(rig);
        self.watch_writes(rig);
        self.integrate(rig);
        let any_rcas = rig.view().mvs.iter().any(|mv| mv.mode.value == MvMode::Rcas);
        if self.any_rcas && !any_rcas {
            self.record.released_s.push(self.t_s(rig));
        }
        self.any_rcas = any_rcas;
        if rig.cycles() != self.cycles {
            self.cycles = rig.cycles();
            self.sample(rig);
        }
    }

    fn watch_mode(&mut self, rig: &Rig) {
        let (apc, t_s) = (rig.apc(), self.t_s(rig));
        let (mode, reason) = (apc.mode_act.value, apc.shed_reason.value);
        let changed = self.mode != Some(mode);
        if changed {
            self.record.modes.push(Stay { t_s, mode: mode.label(), reason, reason_t_s: t_s });
        } else if let Some(stay) = self.record.modes.last_mut().filter(|stay| stay.reason != reason && reason != 0) {
            (stay.reason, stay.reason_t_s) = (reason, t_s);
        }
        if mode == ModeActual::On && self.record.first_on_s.is_none() {
            self.record.first_on_s = Some(t_s);
        }
        let (last, at) = self.heartbeat;
        if apc.hb_apc.value != last {
            if self.mode == Some(ModeActual::On) && mode == ModeActual::On {
                let tenths = 10.0 * apc.hb_apc.source_time.since(at).as_secs_f64() / self.period.as_secs_f64();
                let class = (tenths.round() as usize).min(CLASSES - 1);
                if let Some(count) = self.record.heartbeats.get_mut(class) {
                    *count += 1;
                }
            }
            self.heartbeat = (apc.hb_apc.value, apc.hb_apc.source_time);
        }
    }

    /// Counts new set-points by what is shown, before and after the scan alike, and judges their speed.
    fn watch_writes(&mut self, rig: &Rig) {
        let mode = rig.apc().mode_act.value;
        let stayed = self.mode == Some(mode);
        self.mode = Some(mode);
        let mvs = rig.apc().mvs.iter().zip(&rig.view().mvs).zip(&rig.config().mvs);
        for (request, ((said, read), config)) in self.requests.iter_mut().zip(mvs) {
            let (value, at) = (said.sp_req.value, said.sp_req.source_time);
            let is_new = request.at.is_none_or(|before| at > before) && at != Stamp::NEVER;
            let is_rcas = read.mode.value == MvMode::Rcas;
            if is_new {
                let moved = request.at.is_some() && value.to_bits() != request.value.to_bits();
                if stayed && moved {
                    *self.record.writes.entry(mode.label()).or_default() += 1;
                }
                if let Some(before) = request.at.filter(|_| moved && is_rcas && request.was_rcas) {
                    let periods = (at.since(before).as_secs_f64() / self.period.as_secs_f64()).ceil().max(1.0);
                    let most = config.max_rate_per_s * self.period.as_secs_f64() * periods;
                    // A clamp that is tightened past the set-point is applied by the DCS; from there the rate holds.
                    let base = config.clamp.clamp(request.value);
                    let fast = (value - base).abs() > most * (1.0 + TOLERANCE) + TOLERANCE * config.range.width();
                    self.record.unsafe_writes.too_fast += u64::from(fast || !value.is_finite());
                }
                (request.value, request.at) = (value, Some(at));
            }
            request.was_rcas = is_rcas;
        }
    }

    fn integrate(&mut self, rig: &Rig) {
        let scan_s = rig.now().since(self.looked).as_secs_f64();
        self.looked = rig.now();
        let on = self.record.first_on_s.is_some();
        let cvs = rig.config().cvs.iter().zip(&rig.view().cvs);
        for (n, (cv, said)) in (1..).zip(cvs).filter(|(_, (_, said))| said.opr_on.value) {
            let Some(&y) = rig.truth().get(cv.output) else { continue };
            let outside = (said.lo_opr.value - y).max(y - said.hi_opr.value).max(0.0);
            *self.record.violation.entry(format!("CV{n}")).or_default() += scan_s * outside;
            if let Some(sp) = said.sp_opr.good().filter(|_| on) {
                *self.record.ise.entry(format!("CV{n}")).or_default() += scan_s * (y - sp).powi(2);
            }
        }
    }

    fn sample(&mut self, rig: &Rig) {
        let t_s = self.t_s(rig);
        let trend = &mut self.record.trend;
        trend.t_s.push(t_s);
        let cvs = rig.config().cvs.iter().zip(&rig.view().cvs);
        for (trend, (cv, said)) in trend.cvs.iter_mut().zip(cvs) {
            trend.truth.push(rig.truth().get(cv.output).copied().unwrap_or(f64::NAN));
            trend.pv.push(Some(said.pv.value).filter(|pv| pv.is_finite() && said.pv.quality.is_good()));
            trend.sp.push(said.sp_opr.good());
            trend.limits.push((said.lo_opr.value, said.hi_opr.value));
        }
        for (trend, said) in trend.mvs.iter_mut().zip(&rig.view().mvs) {
            trend.sp_act.push(said.sp_act.value);
        }
    }

    /// The record, at the end.
    #[must_use]
    pub fn finish(mut self, rig: &Rig) -> Record {
        let summary = rig.summary();
        let refused = |reason| summary.refused_writes.get(reason).copied().unwrap_or(0);
        self.record.t_s = self.t_s(rig);
        self.record.unsafe_writes.refused = REFUSED_FOR_VALUE.into_iter().map(refused).sum();
        self.record.unsafe_writes.not_on = summary.writes_while_not_on;
        self.record.cost = (summary.totals.cost, summary.totals.cost_open_loop);
        self.record.bump_pct = summary.bump_pct;
        self.record.alarms =
            summary.alarms.iter().map(|a| (a.t_s - self.epoch.secs_f64(), a.cause.to_string())).collect();
        self.record.held_at_the_end = self.any_rcas;
        self.record
    }
}
