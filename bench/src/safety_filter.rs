//! The safety filter on the reactor that ignites, against a proposer that presses on the limit.

use control::safety_filter::{CvLimits, FilterConfig, FilterError, FilterInput, SafetyFilter};
use plant_models::{Cstr2, Held, Integrator, Method, PlantModel};

use crate::meter::{Meter, Scenario};

static MODEL: Cstr2 = Cstr2::NOMINAL;
/// Steps of one run: the way to the limit, and as long again at it.
const STEPS: usize = 400;
const PERIOD_S: f64 = 6.0;
const PLANT_SUBSTEPS: usize = 20;
/// The highest temperature, K, and the margin to it.
const HOTTEST: (f64, f64) = (345.0, 0.5);
const START: ([f64; 2], [f64; 1]) = ([0.877, 324.503_685_790_141_7], [300.016_447_597_829_37]);
const FEED: [f64; 2] = [1.0, 350.0];

/// A closed loop of filter and plant.
#[derive(Debug)]
pub struct FilterScenario {
    filter: SafetyFilter,
    plant: Integrator,
    x: [f64; 2],
    u: [f64; 1],
    /// Programmes' iterations of each step of the last run.
    pub iterations: Vec<f64>,
}

impl FilterScenario {
    /// The scenario of `safety_filter/cstr2`.
    ///
    /// # Errors
    /// When the filter's configuration does not fit the model.
    pub fn new() -> Result<Self, FilterError> {
        let (hi, margin) = HOTTEST;
        let config = FilterConfig {
            period_s: PERIOD_S,
            horizon: 20,
            tail: 10,
            method: Method::Rk4,
            substeps: 2,
            sqp_iterations: 3,
            cv: vec![CvLimits { output: 1, span: 10.0, lo: 290.0, hi, margin, tolerance: 0.05 }],
            mv_span: vec![40.0],
            rest_max: 2e-3,
            pass_spans: 1e-3,
            slack_price: 1e3,
        };
        let model: &'static dyn PlantModel = &MODEL;
        let (filter, plant) = (SafetyFilter::new(model, config)?, Integrator::rk4(model));
        Ok(Self { filter, plant, x: START.0, u: START.1, iterations: Vec::new() })
    }
}

impl Scenario for FilterScenario {
    fn steps(&self) -> usize {
        STEPS
    }

    fn start(&mut self) {
        self.filter.reset();
        (self.x, self.u) = START;
        self.iterations.clear();
    }

    /// The proposer heats, lets go for a while, and heats again; the step fails when the plan does not hold or the plant
    /// leaves the limit.
    fn step(&mut self, k: usize, meter: &mut Meter) -> bool {
        let proposal = if k % 40 < 30 { [320.0] } else { [295.0] };
        let input = FilterInput {
            cycle: k as u64,
            x: &self.x,
            d: &[0.0],
            p: &FEED,
            u_prev: &self.u,
            proposal: &proposal,
            u_lo: &[280.0],
            u_hi: &[320.0],
            du_max: &[3.0],
        };
        let filter = &mut self.filter;
        let filtered = meter.feedback(|| filter.step(&input, &|| false));
        self.iterations.push(f64::from(filtered.iterations));
        if let Some(first) = filtered.u().and_then(|u| u.first().copied()) {
            self.u = [first];
        }
        self.plant.step(&mut self.x, &Held { u: &self.u, p: &FEED, dt_s: PERIOD_S, substeps: PLANT_SUBSTEPS });
        let [_, hottest] = self.x;
        filtered.certified && hottest <= HOTTEST.0
    }
}
