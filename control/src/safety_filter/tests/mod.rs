//! The filter against proposers that mean ill, against solvers that fail, and against its promises.

mod closed_loop;
mod promises;

use plant_models::{Held, Integrator, Method, PlantModel, by_name};

use super::*;
use crate::test_support::{Random, in_time};

/// A plant, the limits of its variables, and where it begins.
#[derive(Clone, Debug)]
struct Plant {
    model: &'static dyn PlantModel,
    config: FilterConfig,
    x: Vec<f64>,
    p: Vec<f64>,
    u: Vec<f64>,
    u_lo: Vec<f64>,
    u_hi: Vec<f64>,
    du_max: Vec<f64>,
}

/// The reactor that ignites: below 345 K, at rest just below the point of ignition at first.
fn cstr2() -> Plant {
    let ca = CvLimits { output: 0, span: 0.2, lo: f64::NEG_INFINITY, hi: f64::INFINITY, margin: 0.0, tolerance: 0.01 };
    let t = CvLimits { output: 1, span: 10.0, lo: 290.0, hi: 345.0, margin: 0.5, tolerance: 0.05 };
    let config = FilterConfig {
        period_s: 6.0,
        horizon: 20,
        tail: 10,
        method: Method::Rk4,
        substeps: 2,
        sqp_iterations: 3,
        cv: vec![ca, t],
        mv_span: vec![40.0],
        rest_max: 2e-3,
        pass_spans: 1e-3,
        slack_price: 1e3,
    };
    Plant {
        model: by_name("cstr2").unwrap(),
        config,
        x: vec![0.877, 324.503_685_790_141_7],
        p: vec![1.0, 350.0],
        u: vec![300.016_447_597_829_37],
        u_lo: vec![280.0],
        u_hi: vec![320.0],
        du_max: vec![3.0],
    }
}

/// The four tanks: two pumps that each move both lower levels, which stay between 8 and 16 cm.
fn quadtank() -> Plant {
    let level = |output| CvLimits { output, span: 2.0, lo: 8.0, hi: 16.0, margin: 0.1, tolerance: 0.01 };
    let config = FilterConfig {
        period_s: 5.0,
        horizon: 30,
        tail: 10,
        method: Method::Rk4,
        substeps: 2,
        sqp_iterations: 3,
        cv: vec![level(0), level(1)],
        mv_span: vec![7.5, 7.5],
        rest_max: 2e-3,
        pass_spans: 1e-3,
        slack_price: 1e3,
    };
    let model = by_name("quadtank").unwrap();
    let u = vec![3.0, 3.0];
    Plant {
        config,
        x: plant_models::steady_state(model, &u, &[], &[12.4, 12.7, 1.8, 1.4]).unwrap(),
        model,
        p: vec![],
        u,
        u_lo: vec![0.5; 2],
        u_hi: vec![8.0; 2],
        du_max: vec![1.0; 2],
    }
}

impl Plant {
    fn filter(&self) -> SafetyFilter {
        SafetyFilter::new(self.model, self.config.clone()).unwrap()
    }

    fn input<'a>(&'a self, cycle: u64, d: &'a [f64], proposal: &'a [f64]) -> FilterInput<'a> {
        FilterInput {
            cycle,
            x: &self.x,
            d,
            p: &self.p,
            u_prev: &self.u,
            proposal,
            u_lo: &self.u_lo,
            u_hi: &self.u_hi,
            du_max: &self.du_max,
        }
    }

    fn no_disturbance(&self) -> Vec<f64> {
        vec![0.0; self.config.cv.len()]
    }

    /// One period under `u`, by `truth` in fine steps. Gives how far the CVs lie outside their limits then, beyond the
    /// tolerance, in spans.
    fn advance(&mut self, truth: &Integrator, u: &[f64]) -> f64 {
        self.u = u.to_vec();
        truth.step(&mut self.x, &Held { u, p: &self.p, dt_s: self.config.period_s, substeps: 20 });
        let mut y = vec![0.0; self.model.card().outputs.len()];
        self.model.outputs(&self.x, &self.p, &mut y);
        let beyond = |cv: &CvLimits| (cv.violation(y[cv.output]) - cv.tolerance).max(0.0) / cv.span;
        self.config.cv.iter().map(beyond).fold(0.0, f64::max)
    }

    /// The move that an interlock would make of a proposal: inside the MVs' limits and rates, or none.
    fn clamped(&self, proposal: &[f64]) -> Vec<f64> {
        let each = (0..self.u.len()).map(|i| {
            let wish = if proposal[i].is_finite() { proposal[i] } else { self.u[i] };
            let boxed = wish.clamp(self.u_lo[i], self.u_hi[i]);
            boxed.clamp(self.u[i] - self.du_max[i], self.u[i] + self.du_max[i])
        });
        each.collect()
    }
}
