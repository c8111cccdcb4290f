//! The rows of a report, as `outrigger-bench` prints them and as they are printed again.

use serde::{Deserialize, Serialize};

/// Whose a row of ours is.
pub(super) const OURS: &str = "outrigger";

/// One benchmark under one solver. What does not apply is `null` in JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    /// `family/problem/method`, or `family/problem`.
    pub(super) name: String,
    pub(super) solver: String,
    pub(super) median_us: Option<f64>,
    pub(super) p99_us: Option<f64>,
    pub(super) max_us: Option<f64>,
    pub(super) feedback_us: Option<f64>,
    #[serde(default)]
    pub(super) feedback_p99_us: Option<f64>,
    pub(super) cost: Option<f64>,
    pub(super) failures: Option<u64>,
    pub(super) allocations: Option<u64>,
    /// Largest difference to the reference objective, relative.
    #[serde(default)]
    pub(super) error: Option<f64>,
    /// Median and largest iterations of a step.
    #[serde(default)]
    pub(super) iterations: Option<[f64; 2]>,
}

impl Row {
    /// Family and problem, what ours and the peers' rows have in common.
    pub(super) fn problem(&self) -> &str {
        let end = self.name.match_indices('/').nth(1).map_or(self.name.len(), |(at, _)| at);
        self.name.get(..end).unwrap_or(&self.name)
    }

    /// The rest: the method.
    pub(super) fn method(&self) -> &str {
        self.name.get(self.problem().len() + 1..).unwrap_or("")
    }

    pub(super) fn is_ours(&self) -> bool {
        self.solver == OURS
    }
}

/// How a line of a picture is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
    Cv,
    Setpoint,
    Limit,
    Mv,
    Disturbance,
    Estimate,
    Measured,
}

/// One line of a panel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) values: Vec<f64>,
}

/// The lines of one variable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) lines: Vec<Line>,
}

/// One run, for a picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Trace {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) time_unit: String,
    pub(super) period: f64,
    pub(super) panels: Vec<Panel>,
    pub(super) us: Vec<f64>,
    pub(super) feedback_us: Vec<f64>,
}

/// A run's report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) rows: Vec<Row>,
    /// The machine in one line.
    #[serde(default)]
    pub(super) machine: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) traces: Vec<Trace>,
}

impl Report {
    pub(super) fn without_traces(&self) -> Self {
        Self { rows: self.rows.clone(), machine: self.machine.clone(), traces: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_problem_and_a_method() {
        for (name, problem, method) in
            [("qp/quad_4_2_40/ipm", "qp/quad_4_2_40", "ipm"), ("est/kf_20", "est/kf_20", ""), ("odd", "odd", "")]
        {
            let row = Row { name: name.to_owned(), ..Row::default() };
            assert_eq!((row.problem(), row.method()), (problem, method));
        }
    }

    #[test]
    fn the_json_has_the_keys_that_were_promised_and_null_for_what_is_absent() {
        let report = Report {
            rows: vec![Row { name: "est/kf_4".to_owned(), median_us: Some(0.2), ..Row::default() }],
            ..Report::default()
        };
        let json = serde_json::to_value(report.without_traces()).unwrap();
        for key in ["name", "solver", "median_us", "p99_us", "max_us", "feedback_us", "cost", "failures", "allocations"]
        {
            assert!(json["rows"][0].as_object().unwrap().contains_key(key), "{key}");
        }
        assert!(json["rows"][0]["cost"].is_null() && json.get("traces").is_none(), "{json}");
    }

    /// The shape that `outrigger-bench` prints, with a key that this reader does not know.
    #[test]
    fn a_report_of_the_program_is_read() {
        let text = r#"{"rows":[{"name":"qp/x/ipm","solver":"outrigger","median_us":1.5,"p99_us":2.0,"max_us":3.0,
            "feedback_us":null,"cost":null,"failures":0,"allocations":0,"error":1e-9,"iterations":[4.0,7.0],"steps":60,
            "repetitions":5}]}"#;
        let report: Report = serde_json::from_str(text).unwrap();
        assert_eq!(report.rows[0].iterations, Some([4.0, 7.0]));
        assert!(report.rows[0].is_ours());
    }
}
