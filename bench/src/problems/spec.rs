//! `problems/bench_spec.json` as types: equations are in the models, numbers are here.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

const TEXT: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/problems/bench_spec.json"));

/// The file that was compiled in does not say what this crate reads.
#[derive(Clone, Debug, thiserror::Error)]
#[error("problems/bench_spec.json: {reason}")]
pub struct SpecError {
    /// With line and column.
    pub reason: String,
}

/// Everything that is read of the file.
#[derive(Clone, Debug, Deserialize)]
pub struct Spec {
    /// Ignition of Henson and Seborg's reactor.
    pub cstr2: Reactor,
    /// Klatt and Engell's reactor.
    pub cstr4: Reactor,
    /// Johansson's quadruple tank, linear.
    pub quadtank: QuadTankSpec,
    /// Step-response controllers, by name.
    pub dmc: BTreeMap<String, Dmc>,
    /// Chains of masses.
    pub masses: Masses,
    /// The estimators' scenario.
    pub est_cstr: EstimationSpec,
}

/// A nonlinear scenario in velocity form `z = [x; u_prev]`, `v = Δu`.
#[derive(Clone, Debug, Deserialize)]
pub struct Reactor {
    /// Name of the model.
    pub name: String,
    /// Period, in `time_unit`.
    #[serde(rename = "Ts")]
    pub period: f64,
    /// Unit of time of the model.
    pub time_unit: String,
    /// States, NX.
    pub states: usize,
    /// Inputs, NU.
    pub inputs: usize,
    /// Horizons to run.
    pub horizons: Vec<usize>,
    /// Weights of z at each period, NX + NU.
    pub w: Vec<f64>,
    /// Weights of z at the end of the horizon.
    #[serde(rename = "wN")]
    pub w_end: Vec<f64>,
    /// Weights of v, NU.
    pub wv: Vec<f64>,
    /// Hard limits of u.
    pub u_min: Vec<f64>,
    /// Hard limits of u.
    pub u_max: Vec<f64>,
    /// Hard limit of |v|.
    pub du_max_per_sample: Vec<f64>,
    /// Soft limits of z.
    pub soft_upper: Vec<SoftUpper>,
    /// Where the scenario begins.
    pub z0: Vec<f64>,
    /// Its length.
    pub steps: usize,
    /// What changes on the way.
    pub scenario: Vec<Row>,
}

/// `z[state] ≤ limit`, at the price `l1 s + l2 s²`.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct SoftUpper {
    /// Index into z.
    pub state: usize,
    /// The limit.
    pub limit: f64,
    /// Linear price.
    pub l1: f64,
    /// Price of the square, without ½.
    pub l2: f64,
}

/// From one step on: the disturbances and the references.
#[derive(Clone, Debug, Deserialize)]
pub struct Row {
    /// First step of the row.
    pub from_step: usize,
    /// Disturbances.
    pub p: Vec<f64>,
    /// References of z.
    #[serde(rename = "ref")]
    pub reference: Vec<f64>,
}

impl Reactor {
    /// The row in force at `step`.
    #[must_use]
    pub fn row(&self, step: usize) -> Option<&Row> {
        self.scenario.iter().rev().find(|row| row.from_step <= step)
    }

    /// What z, after step `v` from `z_before`, adds to the closed-loop cost.
    #[must_use]
    pub fn closed_loop_cost(&self, z_before: &[f64], v: &[f64], (row, z_after): (&Row, &[f64])) -> f64 {
        let tracking: f64 =
            self.w.iter().zip(z_before).zip(&row.reference).map(|((w, z), r)| w * (z - r).powi(2)).sum();
        let moves: f64 = self.wv.iter().zip(v).map(|(w, v)| w * v * v).sum();
        let soft = self.soft_upper.iter().map(|soft| {
            let s = z_after.get(soft.state).map_or(0.0, |z| (z - soft.limit).max(0.0));
            soft.l1 * s + soft.l2 * s * s
        });
        tracking + moves + soft.sum::<f64>()
    }
}

/// The linear quadruple tank.
#[derive(Clone, Debug, Deserialize)]
pub struct QuadTankSpec {
    /// Period, s.
    #[serde(rename = "Ts")]
    pub period_s: f64,
    /// Horizon.
    #[serde(rename = "N")]
    pub horizon: usize,
    /// Rows of A.
    #[serde(rename = "A")]
    pub a: Vec<Vec<f64>>,
    /// Rows of B.
    #[serde(rename = "B")]
    pub b: Vec<Vec<f64>>,
    /// Diagonal of Q.
    #[serde(rename = "Q")]
    pub q: Vec<f64>,
    /// Diagonal of R.
    #[serde(rename = "R")]
    pub r: Vec<f64>,
    /// Hard limit of |u|.
    pub u_abs_max: f64,
    /// Initial state.
    pub x0: Vec<f64>,
    /// Length of the sequence.
    pub steps: usize,
}

/// One step-response controller.
#[derive(Clone, Debug, Deserialize)]
pub struct Dmc {
    /// `[output][input]`: gain, time constant, dead time.
    pub fopdt_gain_tau_delay_min: Vec<Vec<[f64; 3]>>,
    /// Period, min.
    #[serde(rename = "Ts")]
    pub period_min: f64,
    /// Length of the step responses.
    pub n: usize,
    /// Prediction horizon.
    #[serde(rename = "P")]
    pub horizon: usize,
    /// Moves.
    #[serde(rename = "M")]
    pub moves: usize,
    /// Length of the sequence.
    pub steps: usize,
    /// Weight of each output.
    #[serde(rename = "Q")]
    pub q: Vec<f64>,
    /// Weight of each input's moves.
    #[serde(rename = "R")]
    pub r: Vec<f64>,
    /// Limits of every input.
    pub ulo: f64,
    /// Limits of every input.
    pub uhi: f64,
    /// Limit of a move.
    pub du: f64,
    /// Soft limits of the outputs.
    pub ylo: Vec<f64>,
    /// Soft limits of the outputs.
    pub yhi: Vec<f64>,
    /// Linear price of an output's slack.
    pub rho1: f64,
    /// Price of its square, without ½.
    pub rho2: f64,
}

/// The chains of masses.
#[derive(Clone, Debug, Deserialize)]
pub struct Masses {
    /// nx, nu, N of each.
    #[serde(rename = "sizes_nx_nu_N")]
    pub sizes: Vec<[usize; 3]>,
    /// Period, s.
    #[serde(rename = "Ts")]
    pub period_s: f64,
    /// Spring constant.
    pub k: f64,
    /// Damping.
    pub d: f64,
    /// Hard limit of |u|.
    pub u_abs_max: f64,
    /// Hard limit of |position|.
    pub pos_abs_max: f64,
}

/// The estimators' scenario on cstr2.
#[derive(Clone, Debug, Deserialize)]
pub struct EstimationSpec {
    /// Period, min.
    #[serde(rename = "Ts")]
    pub period_min: f64,
    /// Length.
    pub steps: usize,
    /// Seed of the noise.
    pub seed: u64,
    /// Variance of the measurement.
    #[serde(rename = "R")]
    pub r: f64,
    /// Variances of the states' noise per step.
    #[serde(rename = "Qd")]
    pub qd: [f64; 2],
    /// Where the plant begins.
    pub x0: [f64; 2],
    /// Where the estimator begins.
    pub xhat0: [f64; 2],
    /// Its variances there.
    #[serde(rename = "P0")]
    pub p0: [f64; 2],
    /// Sub-steps of the integrator.
    pub sub: usize,
}

/// The problems.
///
/// # Errors
/// [`SpecError`] when the file compiled in lacks something; a test holds that it does not.
pub fn spec() -> Result<&'static Spec, SpecError> {
    static SPEC: LazyLock<Result<Spec, SpecError>> = LazyLock::new(|| {
        serde_json::from_str(TEXT).map_err(|error: serde_json::Error| SpecError { reason: error.to_string() })
    });
    SPEC.as_ref().map_err(Clone::clone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specification_is_read_whole() {
        let spec = spec().unwrap();
        assert_eq!(spec.cstr2.row(49).unwrap().p, [1.0, 350.0]);
        assert_eq!(spec.cstr2.row(50).unwrap().p, [1.0, 355.0]);
        assert_eq!(spec.cstr4.w.len(), spec.cstr4.states + spec.cstr4.inputs);
        assert_eq!(spec.dmc["hof_7x5"].fopdt_gain_tau_delay_min.len(), 7);
        assert_eq!(spec.quadtank.a.len(), 4);
    }

    #[test]
    fn the_cost_of_a_step_is_that_of_the_specification() {
        let reactor = &spec().unwrap().cstr2;
        let row = reactor.row(0).unwrap();
        let (z, after) = ([0.5, row.reference[1] + 2.0, row.reference[2]], [0.5, 358.0, 300.0]);
        // 0.01 · 2² + 0.02 · 1.5² + 10 · 2 + 1 · 2²
        let cost = reactor.closed_loop_cost(&z, &[1.5], (row, &after));
        assert!((cost - (0.04 + 0.045 + 24.0)).abs() < 1e-9, "{cost}");
    }
}
