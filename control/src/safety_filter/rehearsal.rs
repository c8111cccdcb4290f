//! The rehearsal of a plan: the nonlinear model is run forward under it, and looked at period by period.
//!
//! It is what a plan is believed for. It shares nothing with the search but the model: what the quadratic programme said
//! of its linearisation is not asked.
//!
//! # Invariants
//! - No allocation after construction. A state that is not a number fails every limit.
#![allow(clippy::indexing_slicing, reason = "every dimension is counted once, at construction")]

use plant_models::{Held, Integrator, PlantModel, Variable};
use signals::{MAX_CVS, Values};

use super::{FilterConfig, FilterInput};

#[derive(Debug)]
pub(super) struct Rehearsal {
    config: FilterConfig,
    model: &'static dyn PlantModel,
    integrator: Integrator,
    spans: Vec<f64>,
    x: Vec<f64>,
    before: Vec<f64>,
    y: Vec<f64>,
}

/// What came of a rehearsal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Verdict {
    /// Per CV, how far it leaves its limits at most, model units.
    pub(super) slack: Values<MAX_CVS>,
    /// How far a state moves in the period behind the horizon, in spans.
    pub(super) rest: f64,
    /// All violations and the motion at the end, in spans: the less, the better.
    pub(super) score: f64,
    /// Whether every limit is kept within its tolerance, to the end of the tail, and the plan ends at rest.
    pub(super) holds: bool,
    /// CVs after one period, and at the end of the horizon.
    pub(super) cv_next: Values<MAX_CVS>,
    pub(super) cv_end: Values<MAX_CVS>,
}

impl Rehearsal {
    pub(super) fn new(model: &'static dyn PlantModel, config: &FilterConfig) -> Self {
        let card = model.card();
        let nx = card.states.len();
        Self {
            config: config.clone(),
            model,
            integrator: Integrator::new(model, config.method),
            spans: card.states.iter().map(Variable::span).collect(),
            x: vec![0.0; nx],
            before: vec![0.0; nx],
            y: vec![0.0; card.outputs.len()],
        }
    }

    /// Runs the model from `input.x` under the moves `u` (N · NU), and the last of them for the tail.
    pub(super) fn run(&mut self, input: &FilterInput<'_>, u: &[f64]) -> Verdict {
        let (cvs, nu, horizon) = (self.config.cv.len(), self.config.mv_span.len(), self.config.horizon);
        let zeros = Values::filled(0.0, cvs);
        let mut verdict = Verdict { slack: zeros, rest: 0.0, score: 0.0, holds: true, cv_next: zeros, cv_end: zeros };
        self.x.copy_from_slice(input.x);
        for k in 0..horizon + self.config.tail {
            self.before.copy_from_slice(&self.x);
            let at = k.min(horizon - 1) * nu;
            let held =
                Held { u: &u[at..at + nu], p: input.p, dt_s: self.config.period_s, substeps: self.config.substeps };
            self.integrator.step(&mut self.x, &held);
            if k == horizon {
                verdict.rest = self.motion();
            }
            self.judge(input, k, &mut verdict);
        }
        verdict.score += verdict.rest;
        let kept = self.config.cv.iter().zip(&verdict.slack).all(|(cv, slack)| *slack <= cv.tolerance);
        verdict.holds = kept && verdict.rest <= self.config.rest_max;
        verdict
    }

    /// How far each CV lies outside its limits now.
    pub(super) fn now(&mut self, input: &FilterInput<'_>) -> Values<MAX_CVS> {
        self.model.outputs(input.x, input.p, &mut self.y);
        let each = self.config.cv.iter().zip(input.d);
        Values::collect(each.map(|(cv, d)| cv.violation(self.y[cv.output] + d)))
    }

    /// Looks at the state at the end of period `k`.
    fn judge(&mut self, input: &FilterInput<'_>, k: usize, verdict: &mut Verdict) {
        self.model.outputs(&self.x, input.p, &mut self.y);
        for (i, cv) in self.config.cv.iter().enumerate() {
            let y = self.y[cv.output] + input.d[i];
            let violation = cv.violation(y);
            verdict.slack[i] = verdict.slack[i].max(violation);
            verdict.score += violation / cv.span;
            if k == 0 {
                verdict.cv_next[i] = y;
            }
            if k + 1 == self.config.horizon {
                verdict.cv_end[i] = y;
            }
        }
    }

    /// The longest way of a state in the last period, in spans; infinite when it is not a number.
    fn motion(&self) -> f64 {
        let ways =
            self.x.iter().zip(&self.before).zip(&self.spans).map(|((to, from), span)| ((to - from) / span).abs());
        ways.fold(0.0, |most, way| {
            if way <= most {
                most
            } else if way.is_nan() {
                f64::INFINITY
            } else {
                way
            }
        })
    }
}
