//! What the rig counts and tells: alarms, totals, one record per control period, one summary per run.
//!
//! Place in the loop: beside it. The campaign runner and the demo read these records as JSON lines.
//! Invariant: every list is bounded; what exceeds the bound is counted.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};
use signals::dcs::ModeActual;

/// The most alarms and the most states of `MODE_ACT` that a run keeps.
const KEPT: usize = 1000;

/// Why the DCS alarms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmCause {
    /// The heartbeat stood still: every MV was shed.
    WatchdogTripped,
    /// The permissives were withdrawn: every MV was shed.
    PermitWithdrawn,
    /// The application left ON by itself: every MV went back to AUTO.
    ApplicationLetGo {
        /// What it said.
        mode: ModeActual,
    },
    /// The plant behind the rig gives no numbers.
    PlantSilent,
    /// The hand-shake was not acknowledged in time.
    NoInitAck {
        /// The MV, from 1.
        mv: usize,
    },
}

impl fmt::Display for AlarmCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WatchdogTripped => f.write_str("watchdog tripped: all MVs shed"),
            Self::PermitWithdrawn => f.write_str("permissives withdrawn: all MVs shed"),
            Self::ApplicationLetGo { mode } => write!(f, "application went to {}: MVs back to AUTO", mode.label()),
            Self::PlantSilent => f.write_str("the plant gives no numbers: every measurement is bad"),
            Self::NoInitAck { mv } => write!(f, "MV{mv}: hand-shake not acknowledged, stays in AUTO"),
        }
    }
}

impl Serialize for AlarmCause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An alarm of the DCS.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Alarm {
    /// When, in seconds of plant time.
    pub t_s: f64,
    /// Why.
    #[serde(rename = "text")]
    pub cause: AlarmCause,
}

/// What the DCS counts over a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Set-points that asked for a move while the application did not claim ON or held no lease.
    pub writes_while_not_on: u64,
    /// Writes not taken, by reason.
    pub refused_writes: BTreeMap<&'static str, u64>,
    /// The greatest step of a set-point at a change of mode, in percent of the slave's range.
    pub bump_pct: f64,
    /// How often MVs were taken back from the application other than by the operator's request or switch.
    pub sheds: u32,
    /// The alarms, oldest first.
    pub alarms: Vec<Alarm>,
    /// The states that `MODE_ACT` passed through, repetitions left out.
    pub mode_acts: Vec<ModeActual>,
    /// Alarms and states beyond what is kept.
    pub dropped: u64,
}

impl Tally {
    pub(crate) fn note(&mut self, alarm: Alarm) {
        if self.alarms.len() < KEPT { self.alarms.push(alarm) } else { self.dropped += 1 }
    }

    pub(crate) fn passed_through(&mut self, mode: ModeActual) {
        if self.mode_acts.last() == Some(&mode) {
            return;
        }
        if self.mode_acts.len() < KEPT { self.mode_acts.push(mode) } else { self.dropped += 1 }
    }
}

/// The integrals of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Totals {
    /// `Σ_periods Σ_cv weight ((y - sp) / range)²`, noise-free, over CVs with a set-point that are switched on.
    pub cost: f64,
    /// The same for the plant whose inputs never moved; null in JSON beside a plant outside, which has no such twin.
    pub cost_open_loop: f64,
    /// The greatest noise-free excess over an operator's limit, in percent of the CV's range; infinite, and null in
    /// JSON, once an output was no number.
    pub max_limit_violation: f64,
}

/// A CV in a record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CvRecord {
    /// Its tag, `CV1`.
    pub tag: String,
    /// The model's name.
    pub name: &'static str,
    /// The unit of all its numbers.
    pub unit: &'static str,
    /// The measurement as the application sees it; null when it is no number.
    pub pv: f64,
    /// The operator's set-point, if it has one.
    pub sp: Option<f64>,
    /// The operator's low limit.
    pub lo: f64,
    /// The operator's high limit.
    pub hi: f64,
}

/// An MV in a record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MvRecord {
    /// Its tag, `MV1`.
    pub tag: String,
    /// The model's name.
    pub name: &'static str,
    /// The unit of all its numbers.
    pub unit: &'static str,
    /// The set-point in use.
    pub sp_act: f64,
    /// The application's request; null before the first.
    pub sp_req: Option<f64>,
    /// The actuator's position: the plant's input.
    pub pv: f64,
    /// The slave's mode.
    pub mode: String,
    /// The operator's low limit.
    pub lo: f64,
    /// The operator's high limit.
    pub hi: f64,
}

/// A DV in a record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DvRecord {
    /// Its tag, `DV1`.
    pub tag: String,
    /// The model's name.
    pub name: &'static str,
    /// The unit of all its numbers.
    pub unit: &'static str,
    /// The measurement as the application sees it; null when it is no number.
    pub pv: f64,
}

/// The newest recommendation in a record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RecRecord {
    /// Its number.
    pub id: u32,
    /// What became of it, as the application says.
    pub status: String,
    /// The number that the last answer quoted that the application refused as stale; 0 for none.
    pub stale_id: u32,
    /// How long it can still be answered; null when it cannot.
    pub left_s: Option<f64>,
    /// The recommended set-points, in the order of the MVs.
    pub sp: Vec<f64>,
    /// Each CV at the end of the horizon if it is taken; null where the application does not know.
    pub pred: Vec<Option<f64>>,
    /// Each CV at the end of the horizon if nothing is done.
    pub hold: Vec<Option<f64>>,
    /// Why, in words.
    pub reason: String,
}

/// The state of the rig at the end of a control period.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Snapshot {
    /// Plant time in seconds.
    pub t_s: f64,
    /// The operator's request.
    pub mode_req: String,
    /// What the application last said of itself.
    pub mode_act: String,
    /// The application's heartbeat.
    pub hb_apc: u32,
    /// The watchdog's verdict.
    pub wd_ok: bool,
    /// The permissives.
    pub permit: bool,
    /// The epoch under which the application may write; 0 for none.
    pub lease: u32,
    /// The CVs.
    pub cv: Vec<CvRecord>,
    /// The MVs.
    pub mv: Vec<MvRecord>,
    /// The DVs.
    pub dv: Vec<DvRecord>,
    /// The newest recommendation; null before the first.
    pub rec: Option<RecRecord>,
    /// Why the plant gives no numbers; absent while it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plant_fault: Option<String>,
    /// The integrals so far.
    #[serde(flatten)]
    pub totals: Totals,
    /// See [`Tally`].
    pub writes_while_not_on: u64,
    /// See [`Tally`].
    pub bump_pct: f64,
}

/// A run, summed up.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Plant time in seconds.
    pub t_s: f64,
    /// Control periods completed.
    pub cycles: u64,
    /// The integrals.
    #[serde(flatten)]
    pub totals: Totals,
    /// See [`Tally`].
    pub writes_while_not_on: u64,
    /// See [`Tally`].
    pub bump_pct: f64,
    /// See [`Tally`].
    pub sheds: u32,
    /// See [`Tally`].
    pub refused_writes: BTreeMap<&'static str, u64>,
    /// See [`Tally`].
    pub alarms: Vec<Alarm>,
    /// See [`Tally`].
    pub mode_acts: Vec<String>,
    /// Alarms and states beyond what is kept.
    pub dropped: u64,
}
