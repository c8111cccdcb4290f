//! What the two programs say: the rig's lines on its standard output, the runtime's `/status` and its report.
//!
//! Fields that this command does not use are ignored, so either program may say more. A number that is not finite
//! arrives as `null`.

use serde::{Deserialize, Deserializer, Serialize};

fn nan() -> f64 {
    f64::NAN
}

/// A number, or NaN where JSON has `null` in its place: a fault to be judged, not a line to be refused.
fn or_nan<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
}

/// One line of `outrigger-hil plant --json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(crate) enum RigLine {
    Ready {
        endpoint: String,
        certificate: String,
    },
    Cycle(Box<Cycle>),
    Ack {
        command: String,
        ok: bool,
        #[serde(default)]
        error: Option<String>,
    },
    Summary(Box<Summary>),
    #[serde(other)]
    Other,
}

/// The state of plant and DCS at the end of one control period.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Cycle {
    /// Plant time since the start of the rig.
    pub(crate) t_s: f64,
    #[serde(default)]
    pub(crate) mode_req: String,
    /// Absent until the APC application has written it.
    #[serde(default)]
    pub(crate) mode_act: Option<String>,
    #[serde(default)]
    pub(crate) hb_apc: u32,
    #[serde(default)]
    pub(crate) wd_ok: bool,
    #[serde(default)]
    pub(crate) lease: u32,
    #[serde(default)]
    pub(crate) server_up: bool,
    #[serde(default)]
    pub(crate) cv: Vec<CvState>,
    #[serde(default)]
    pub(crate) mv: Vec<MvState>,
    #[serde(default)]
    pub(crate) dv: Vec<DvState>,
    #[serde(default, deserialize_with = "or_nan")]
    pub(crate) cost: f64,
    #[serde(default, deserialize_with = "or_nan")]
    pub(crate) cost_open_loop: f64,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct CvState {
    pub(crate) tag: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) unit: String,
    pub(crate) pv: Option<f64>,
    pub(crate) sp: Option<f64>,
    pub(crate) lo: Option<f64>,
    pub(crate) hi: Option<f64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct MvState {
    pub(crate) tag: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) unit: String,
    pub(crate) sp_act: Option<f64>,
    #[serde(default)]
    pub(crate) mode: String,
    pub(crate) lo: Option<f64>,
    pub(crate) hi: Option<f64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct DvState {
    pub(crate) tag: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) unit: String,
    pub(crate) pv: Option<f64>,
}

/// The rig's last line.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Summary {
    #[serde(default = "nan", deserialize_with = "or_nan")]
    pub(crate) cost: f64,
    #[serde(default = "nan", deserialize_with = "or_nan")]
    pub(crate) cost_open_loop: f64,
    /// Percent of the CV's span beyond its operator limits, at worst; NaN if the rig did not say or could not tell.
    #[serde(default = "nan", deserialize_with = "or_nan")]
    pub(crate) max_limit_violation: f64,
    pub(crate) writes_while_not_on: u64,
    #[serde(default, deserialize_with = "or_nan")]
    pub(crate) bump_pct: f64,
    /// Every `MODE_ACT` in the order in which it was reported.
    #[serde(default)]
    pub(crate) mode_acts: Vec<String>,
}

/// `GET /status` of the runtime.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Status {
    pub(crate) state: String,
    /// The OPC UA session with the DCS stands and data flow.
    #[serde(default)]
    pub(crate) link_up: bool,
    #[serde(default)]
    pub(crate) cycle: u64,
    #[serde(default)]
    pub(crate) overruns: u64,
    #[serde(default)]
    pub(crate) stages: Vec<Stage>,
}

/// The runtime's report, written when it stops.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Report {
    pub(crate) cycles: u64,
    pub(crate) overruns: u64,
    #[serde(default)]
    pub(crate) restarts: u64,
    #[serde(default)]
    pub(crate) reconnects: u64,
    #[serde(default)]
    pub(crate) stages: Vec<Stage>,
}

/// Latency of one stage of the loop.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Stage {
    pub(crate) name: String,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
}

/// Something done to the plant or seen in the run, for the plot and the view.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mark {
    /// Plant time.
    pub(crate) t_s: f64,
    pub(crate) label: String,
}

/// Everything that was seen of a run, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) cycles: Vec<Cycle>,
    pub(crate) marks: Vec<Mark>,
}

impl History {
    pub(crate) fn last(&self) -> Option<&Cycle> {
        self.cycles.last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_rig_are_read_and_unknown_ones_pass() {
        let cycle = r#"{"event":"cycle","t_s":18,"wall_s":0.5,"mode_req":"ON","mode_act":"ON","hb_apc":4,"wd_ok":true,
            "permit":true,"lease":2,"server_up":true,"cv":[{"tag":"CV1","name":"CB","unit":"mol/L","pv":null,"sp":0.8,"lo":0,"hi":1}],
            "mv":[{"tag":"MV1","name":"F","unit":"1/h","sp_act":14.1,"sp_req":14.1,"pv":14,"mode":"RCAS","lo":5,"hi":100}],
            "dv":[],"cost":1,"cost_open_loop":2,"max_limit_violation":0,"writes_while_not_on":0,"bump_pct":0}"#;
        let RigLine::Cycle(cycle) = serde_json::from_str(cycle).unwrap() else { panic!("not a cycle") };
        assert_eq!(cycle.cv[0].pv, None);
        assert_eq!(cycle.mv[0].mode, "RCAS");
        assert!(matches!(serde_json::from_str(r#"{"event":"tea","sugar":1}"#).unwrap(), RigLine::Other));
        assert!(serde_json::from_str::<RigLine>(r#"{"event":"ready"}"#).is_err());
    }

    #[test]
    fn a_number_that_is_not_finite_or_not_said_is_no_number_and_no_zero() {
        for said in ["\"cost\":null,\"cost_open_loop\":null,\"max_limit_violation\":null,", ""] {
            let line = format!(r#"{{"event":"summary",{said}"writes_while_not_on":0}}"#);
            let RigLine::Summary(summary) = serde_json::from_str(&line).unwrap() else { panic!("not a summary") };
            assert!(summary.max_limit_violation.is_nan() && summary.cost.is_nan(), "{summary:?}");
            assert!(summary.cost_open_loop.is_nan(), "{summary:?}");
        }
        let cycle = r#"{"event":"cycle","t_s":18,"cost":null,"cost_open_loop":null}"#;
        let RigLine::Cycle(cycle) = serde_json::from_str(cycle).unwrap() else { panic!("not a cycle") };
        assert!(cycle.cost.is_nan() && cycle.cost_open_loop.is_nan());
    }
}
