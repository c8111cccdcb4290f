//! What a run prints: one row of numbers per benchmark and solver, and what a picture needs.

use serde::Serialize;

use crate::meter::Measured;

/// One benchmark under one solver. What does not apply is `null` in JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Row {
    /// `family/problem/method`, such as `qp/quad_4_2_40/ipm`.
    pub name: String,
    /// Whose solver: `outrigger`, or the library's name.
    pub solver: String,
    /// Median over the steps of a step's time, µs.
    pub median_us: Option<f64>,
    /// 99th percentile over the steps, µs.
    pub p99_us: Option<f64>,
    /// Slowest step, µs.
    pub max_us: Option<f64>,
    /// Median over the steps of the feedback part, µs.
    pub feedback_us: Option<f64>,
    /// 99th percentile of the same, µs.
    pub feedback_p99_us: Option<f64>,
    /// Closed-loop cost, or the estimator's root-mean-square error.
    pub cost: Option<f64>,
    /// Steps that were not solved, or not to the reference's objective.
    pub failures: Option<u32>,
    /// Allocations of all steps together, after construction.
    pub allocations: Option<u64>,
    /// Largest difference to the reference objective, relative to `1 + |objective|`.
    pub error: Option<f64>,
    /// Median and largest iterations of a step.
    pub iterations: Option<[f64; 2]>,
    /// Steps of one run.
    pub steps: usize,
    /// Timed repetitions.
    pub repetitions: usize,
}

impl Row {
    /// The row of what was measured; cost, error and iterations are the scenario's to add.
    #[must_use]
    pub fn new(name: &str, solver: &str, measured: &Measured) -> Self {
        let of = |share: f64| percentile(&measured.us, share);
        let of_feedback = |share: f64| measured.feedback_us.as_deref().and_then(|us| percentile(us, share));
        Self {
            name: name.to_owned(),
            solver: solver.to_owned(),
            median_us: of(0.5),
            p99_us: of(0.99),
            max_us: of(1.0),
            feedback_us: of_feedback(0.5),
            feedback_p99_us: of_feedback(0.99),
            failures: Some(measured.failures),
            allocations: Some(measured.allocations),
            steps: measured.us.len(),
            repetitions: measured.repetitions,
            ..Self::default()
        }
    }
}

/// How a line of a picture is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Controlled variable, or a state.
    Cv,
    /// What the CV should be.
    Setpoint,
    /// What a variable may not pass.
    Limit,
    /// Manipulated variable.
    Mv,
    /// What acts on the plant unasked.
    Disturbance,
    /// What an estimator believes.
    Estimate,
    /// What was measured.
    Measured,
}

/// One line of a panel: a value per step, and one more where the line ends with the last step's end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// Name in the legend.
    pub name: String,
    /// How it is to be read.
    pub role: Role,
    /// Values, one per sample.
    pub values: Vec<f64>,
}

/// The lines of one variable.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Panel {
    /// Title with unit.
    pub title: String,
    /// Lines.
    pub lines: Vec<Line>,
}

/// The run of one scenario, for a picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Trace {
    /// The row's name.
    pub name: String,
    /// What the picture is called.
    pub title: String,
    /// Unit of the time axis.
    pub time_unit: String,
    /// Length of a step in that unit.
    pub period: f64,
    /// Panels from top to bottom; empty for a sequence of programmes.
    pub panels: Vec<Panel>,
    /// Time of each step, µs.
    pub us: Vec<f64>,
    /// Feedback part of each step, µs; empty where steps are not divided.
    pub feedback_us: Vec<f64>,
}

/// The object that `--json` prints.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// The rows.
    pub rows: Vec<Row>,
    /// Runs for pictures; only with `--traces`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub traces: Vec<Trace>,
}

/// The value below which `share` of the values lie, linear between neighbours (definition 7 of Hyndman and Fan, *The
/// American Statistician* 50(4) 1996, which is numpy's). `None` for no values or a NaN among them.
#[must_use]
pub fn percentile(values: &[f64], share: f64) -> Option<f64> {
    if values.is_empty() || values.iter().any(|value| value.is_nan()) {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = share.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let below = *sorted.get(at.floor() as usize)?;
    let above = *sorted.get(at.ceil() as usize)?;
    // Equal neighbours also when both are infinite.
    Some(if below < above { below + (at - at.floor()) * (above - below) } else { below })
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "the values are exact")]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_numpy() {
        let values = [3.0, 1.0, 2.0, 10.0];
        // numpy.percentile([3, 1, 2, 10], [0, 50, 99, 100])
        for (share, expected) in [(0.0, 1.0), (0.5, 2.5), (0.99, 9.79), (1.0, 10.0)] {
            assert!((percentile(&values, share).unwrap() - expected).abs() < 1e-12, "{share}");
        }
        assert_eq!(percentile(&[7.0], 0.99), Some(7.0));
    }

    #[test]
    fn no_value_and_a_nan_have_no_percentile() {
        assert_eq!(percentile(&[], 0.5), None);
        assert_eq!(percentile(&[1.0, f64::NAN], 0.5), None);
        assert_eq!(percentile(&[1.0, f64::INFINITY], 1.0), Some(f64::INFINITY));
    }

    #[test]
    fn what_does_not_apply_is_null_in_json() {
        let measured = Measured { us: vec![1.0, 2.0], repetitions: 3, ..Measured::default() };
        let json = serde_json::to_value(Row::new("qp/x/ipm", "outrigger", &measured)).unwrap();
        assert_eq!(json["median_us"], 1.5);
        for key in ["feedback_us", "feedback_p99_us", "cost"] {
            assert!(json.as_object().unwrap().contains_key(key) && json[key].is_null(), "{json}");
        }
        assert_eq!(json["failures"], 0);
        assert_eq!(json["allocations"], 0);
    }
}
