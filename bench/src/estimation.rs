//! The estimators' problems: linear filters of growing size on a chain of masses, and the reactor whose concentration is
//! not measured.

use anyhow::Result;
use control::estimation::{
    CvNoise, Extended, Filter, Kalman, LinearModel, MheConfig, MovingHorizon, Outcome, Period, Spread, SystemConfig,
    Unscented,
};
use control::qp::riccati::{IpmOptions, RiccatiIpm};
use nalgebra::DMatrix;
use plant_models::{Held, Integrator, Method, PlantModel};

use crate::meter::{Meter, Scenario};
use crate::problems::{EstimationSpec, Spec, oscillating_masses};
use crate::report::{Line, Panel, Role};

/// What is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Estimator {
    /// Linear Kalman filter of NX states, half of them measured.
    Kalman(usize),
    /// Extended Kalman filter on the reactor.
    Extended,
    /// Unscented Kalman filter on the reactor.
    Unscented,
    /// Moving-horizon estimation on the reactor, a window of twenty periods, states bounded.
    MovingHorizon,
}

impl Estimator {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Kalman(4), Self::Kalman(20), Self::Kalman(50), Self::Extended, Self::Unscented, Self::MovingHorizon];

    /// The last part of a row's name.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Kalman(nx) => format!("kf_{nx}"),
            Self::Extended => "ekf_cstr2".to_owned(),
            Self::Unscented => "ukf_cstr2".to_owned(),
            Self::MovingHorizon => format!("mhe_cstr_N{WINDOW}"),
        }
    }

    /// In words.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Kalman(_) => "Kalman filter, predict and update",
            Self::Extended => "extended Kalman filter, the concentration not measured",
            Self::Unscented => "unscented Kalman filter, the concentration not measured",
            Self::MovingHorizon => "moving-horizon estimation, the concentration not measured",
        }
    }
}

/// A scenario that knows what its estimates are worth.
pub trait EstimationScenario: Scenario {
    /// Root-mean-square error of the estimate of what is not measured, where the truth is known.
    fn error(&self) -> Option<f64>;

    /// The last run, for a picture; empty where there is no truth.
    fn panels(&self) -> Vec<Panel>;
}

/// The scenario of one estimator.
///
/// # Errors
/// What the estimator says of its configuration.
pub fn scenario(estimator: Estimator, spec: &Spec) -> Result<Box<dyn EstimationScenario>> {
    match estimator {
        Estimator::Kalman(nx) => Ok(Box::new(LinearScenario::new(nx, spec)?)),
        _ => {
            let (model, spec) = (plant_models::by_name("cstr2")?, &spec.est_cstr);
            let subject: Box<dyn Subject> = match estimator {
                Estimator::Unscented => {
                    // The peers' spread.
                    let spread = Spread { alpha: 0.1, beta: 2.0, kappa: 1.0 };
                    Box::new(Recursive::of(Unscented::new(model, &system(spec, spec.sub), spread, &spec.xhat0)?))
                }
                Estimator::MovingHorizon => Box::new(moving_horizon(model, spec)?),
                _ => Box::new(Recursive::of(Extended::new(model, &system(spec, spec.sub), &spec.xhat0)?)),
            };
            Ok(Box::new(ReactorScenario::new(subject, spec, model)))
        }
    }
}

/// Periods of the moving horizon, integration steps of its model per period, and the bounds of its states: the peer's.
const WINDOW: usize = 20;
const WINDOW_SUBSTEPS: usize = 2;
const WINDOW_BOUNDS: ([f64; 2], [f64; 2]) = ([0.0, 280.0], [1.2, 450.0]);

fn moving_horizon(model: &'static dyn PlantModel, spec: &EstimationSpec) -> Result<MovingHorizon> {
    let (lo, hi) = WINDOW_BOUNDS;
    let config = MheConfig {
        system: system(spec, WINDOW_SUBSTEPS),
        horizon: WINDOW,
        lo: lo.to_vec(),
        hi: hi.to_vec(),
        iterations: 1,
        tolerance: 0.0,
    };
    let options = IpmOptions { tolerance: 1e-6, iterations_max: 100, warm_start: true };
    Ok(MovingHorizon::new(model, &config, &spec.xhat0, &|dims| Box::new(RiccatiIpm::new(dims, options)))?)
}

/// An estimator on the reactor.
trait Subject: std::fmt::Debug {
    /// Back to where it began.
    fn restart(&mut self);

    /// One period; true if it was corrected.
    fn advance(&mut self, period: &Period<'_>) -> bool;

    /// States.
    fn estimate(&self) -> &[f64];
}

/// A filter, and the one that it began as.
#[derive(Debug)]
struct Recursive<F> {
    fresh: F,
    filter: F,
}

impl<F: Filter + Clone> Recursive<F> {
    fn of(fresh: F) -> Self {
        Self { filter: fresh.clone(), fresh }
    }
}

impl<F: Filter + Clone + std::fmt::Debug> Subject for Recursive<F> {
    fn restart(&mut self) {
        self.filter = self.fresh.clone();
    }

    fn advance(&mut self, period: &Period<'_>) -> bool {
        self.filter.advance(period).outcome == Outcome::Corrected
    }

    fn estimate(&self) -> &[f64] {
        self.filter.mean()
    }
}

impl Subject for MovingHorizon {
    fn restart(&mut self) {
        self.reset();
    }

    fn advance(&mut self, period: &Period<'_>) -> bool {
        Self::advance(self, period, &|| false).correction.outcome == Outcome::Corrected
    }

    fn estimate(&self) -> &[f64] {
        self.x()
    }
}

/// A chain of masses of which the positions are measured, as `1`, at every step; Q = 0.01 I, R = 0.1 I, P₀ = I.
#[derive(Debug)]
struct LinearScenario {
    fresh: Kalman,
    filter: Kalman,
    y: Vec<f64>,
}

impl LinearScenario {
    const STEPS: usize = 200;

    fn new(nx: usize, spec: &Spec) -> Result<Self> {
        let ny = nx / 2;
        let (a, _) = oscillating_masses(nx / 2, 1, &spec.masses);
        let eye = DMatrix::<f64>::identity(nx, nx);
        let model = LinearModel {
            a,
            b: DMatrix::zeros(nx, 0),
            c: eye.rows(0, ny).into_owned(),
            q: 0.01 * &eye,
            r: vec![0.1; ny],
        };
        let fresh = Kalman::new(&model, &vec![0.0; nx], &eye)?;
        Ok(Self { filter: fresh.clone(), fresh, y: vec![1.0; ny] })
    }
}

impl Scenario for LinearScenario {
    fn steps(&self) -> usize {
        Self::STEPS
    }

    fn start(&mut self) {
        self.filter = self.fresh.clone();
    }

    fn step(&mut self, _k: usize, meter: &mut Meter) -> bool {
        let period = Period { u: &[], acting: &[], now: &[], y: &self.y };
        let correction = meter.preparation(|| self.filter.advance(&period));
        correction.measured as usize == self.y.len() && correction.nis.is_finite()
    }
}

impl EstimationScenario for LinearScenario {
    fn error(&self) -> Option<f64> {
        None
    }

    fn panels(&self) -> Vec<Panel> {
        Vec::new()
    }
}

/// The reactor as the filters are told it: the temperature measured, the specification's variances.
fn system(spec: &EstimationSpec, substeps: usize) -> SystemConfig {
    let temperature = CvNoise { output: 1, measurement_sd: spec.r.sqrt(), disturbance_sd: 0.0 };
    SystemConfig {
        period_s: 60.0 * spec.period_min,
        substeps,
        method: Method::Rk4,
        measured: vec![temperature],
        state_sd: spec.qd.map(f64::sqrt).to_vec(),
        initial_sd: spec.p0.map(f64::sqrt).to_vec(),
        parameters: Vec::new(),
    }
}

/// Seeds whose errors are averaged: the specification's and the ones after it.
const SEEDS: u64 = 5;

/// An estimator on the reactor, five runs one after the other.
#[derive(Debug)]
struct ReactorScenario {
    subject: Box<dyn Subject>,
    runs: Vec<Run>,
    /// Estimates of the last repetition, run by run.
    estimates: Vec<Vec<[f64; 2]>>,
}

impl ReactorScenario {
    fn new(subject: Box<dyn Subject>, spec: &EstimationSpec, model: &'static dyn PlantModel) -> Self {
        let runs = (0..SEEDS).map(|seed| reactor_run(spec, model, spec.seed + seed)).collect();
        Self { subject, runs, estimates: Vec::new() }
    }
}

impl Scenario for ReactorScenario {
    fn steps(&self) -> usize {
        self.runs.iter().map(|run| run.y.len()).sum()
    }

    fn start(&mut self) {
        self.estimates = vec![Vec::new(); self.runs.len()];
    }

    fn step(&mut self, k: usize, meter: &mut Meter) -> bool {
        let length = self.runs.first().map_or(1, |run| run.y.len());
        let (number, at) = (k / length, k % length);
        if at == 0 {
            self.subject.restart();
        }
        let Some(run) = self.runs.get(number) else { return false };
        let (Some(u), Some(y)) = (run.u.get(at), run.y.get(at)) else { return false };
        let period = Period { u: &[*u], acting: &FEED, now: &FEED, y: &[*y] };
        let corrected = meter.preparation(|| self.subject.advance(&period));
        let estimate = self.subject.estimate().first_chunk().copied().unwrap_or([f64::NAN; 2]);
        if let Some(estimates) = self.estimates.get_mut(number) {
            estimates.push(estimate);
        }
        corrected
    }
}

impl EstimationScenario for ReactorScenario {
    /// Of the concentration, the mean over the runs.
    fn error(&self) -> Option<f64> {
        let errors = self.runs.iter().zip(&self.estimates).map(|(run, estimates)| rmse(&run.x, estimates)[0]);
        Some(errors.sum::<f64>() / self.runs.len() as f64)
    }

    /// The first run.
    fn panels(&self) -> Vec<Panel> {
        let (Some(run), Some(estimates)) = (self.runs.first(), self.estimates.first()) else { return Vec::new() };
        let line = |name: &str, role, values| Line { name: name.to_owned(), role, values };
        let of = |states: &[[f64; 2]], i: usize| states.iter().map(|x| x.get(i).copied().unwrap_or(f64::NAN)).collect();
        let concentration =
            vec![line("true", Role::Cv, of(&run.x, 0)), line("estimated", Role::Estimate, of(estimates, 0))];
        let temperature = vec![
            line("measured", Role::Measured, run.y.clone()),
            line("true", Role::Cv, of(&run.x, 1)),
            line("estimated", Role::Estimate, of(estimates, 1)),
        ];
        vec![
            Panel { title: "CA  concentration, not measured, mol/L".to_owned(), lines: concentration },
            Panel { title: "T  temperature, K".to_owned(), lines: temperature },
            Panel { title: "TC  coolant, K".to_owned(), lines: vec![line("TC", Role::Mv, run.u.clone())] },
        ]
    }
}

/// Uniform numbers in [0, 1) by splitmix64 (Steele, Lea and Flood, *OOPSLA* 2014), the specification's generator.
#[derive(Clone, Copy, Debug)]
pub struct SplitMix(u64);

impl SplitMix {
    /// From a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        (z >> 11) as f64 / 9_007_199_254_740_992.0
    }

    /// Two independent standard normal numbers by Box and Muller, cosine first.
    fn normals(&mut self) -> [f64; 2] {
        let u1 = self.uniform().max(1e-300);
        let angle = 2.0 * std::f64::consts::PI * self.uniform();
        let r = (-2.0 * u1.ln()).sqrt();
        [r * angle.cos(), r * angle.sin()]
    }
}

/// What the reactor did, and what was seen of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// States after each step.
    pub x: Vec<[f64; 2]>,
    /// Measured temperature after each step, K.
    pub y: Vec<f64>,
    /// Coolant temperature of each step, K.
    pub u: Vec<f64>,
}

/// Disturbances of the reactor in the estimators' scenario: CAF, TF.
pub const FEED: [f64; 2] = [1.0, 350.0];

/// The scenario under the noise of `seed`: coolant on a slow sine, process noise on both states, temperature measured.
#[must_use]
pub fn reactor_run(spec: &EstimationSpec, model: &'static dyn PlantModel, seed: u64) -> Run {
    let mut noise = SplitMix::new(seed);
    let mut pair: Vec<f64> = Vec::new();
    let mut normal = move || {
        if pair.is_empty() {
            let [first, second] = noise.normals();
            pair = vec![second, first];
        }
        pair.pop().unwrap_or(0.0)
    };
    let plant = Integrator::rk4(model);
    let mut x = spec.x0;
    let mut run = Run { x: Vec::new(), y: Vec::new(), u: Vec::new() };
    for k in 0..spec.steps {
        let u = 300.0 + 3.0 * (0.15 * k as f64).sin();
        plant.step(&mut x, &Held { u: &[u], p: &FEED, dt_s: 60.0 * spec.period_min, substeps: spec.sub });
        x.iter_mut().zip(spec.qd).for_each(|(x, q)| *x += q.sqrt() * normal());
        let [_, t] = x;
        run.x.push(x);
        run.y.push(t + spec.r.sqrt() * normal());
        run.u.push(u);
    }
    run
}

/// Root-mean-square of `estimate - truth`, per state.
#[must_use]
pub fn rmse(truth: &[[f64; 2]], estimate: &[[f64; 2]]) -> [f64; 2] {
    let mut sum = [0.0; 2];
    for (x, e) in truth.iter().zip(estimate) {
        sum.iter_mut().zip(x.iter().zip(e)).for_each(|(sum, (x, e))| *sum += (e - x) * (e - x));
    }
    sum.map(|sum| (sum / truth.len().max(1) as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problems::spec;

    /// The first measurements that the peers' script prints for this seed.
    #[test]
    fn the_scenario_is_that_of_the_peers() {
        let spec = &spec().unwrap().est_cstr;
        let run = reactor_run(spec, plant_models::by_name("cstr2").unwrap(), spec.seed);
        println!("{:?}", &run.y[..3]);
        for (y, expected) in run.y.iter().zip(FIRST_Y) {
            assert!((y - expected).abs() < 1e-9, "{y} {expected}");
        }
        let measured: Vec<[f64; 2]> = run.x.iter().zip(&run.y).map(|(x, y)| [x[0], *y]).collect();
        assert!((rmse(&run.x, &measured)[1] - MEASURED_RMSE).abs() < 1e-9);
    }

    const FIRST_Y: [f64; 3] = [324.99752036790585, 323.79988458909685, 323.98376229588];
    const MEASURED_RMSE: f64 = 0.46924644184126296;
}
