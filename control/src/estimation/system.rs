//! The plant as an estimator sees it: the model's state with what else is to be estimated, and the measured rows.
//!
//! ```text
//! z = [x; θ; d]       x: the model's states, NX.  θ: disturbances of its card that are estimated, NT.
//!                     d: offsets of measured outputs, one per row with a random walk of its own
//! x⁺ = Φ(x, u, p(θ)) + w,   θ⁺ = θ + w_θ,   d⁺ = d + w_d
//! y_i = h_i(x, p(θ)) + d_i + v_i
//! ```
//!
//! Φ is the integrator's step and its Jacobian by x is exact; by θ it is taken by central differences of a
//! ten-thousandth of the variable's span, whose error is of the order 1e-8 of the second derivative.

#![allow(
    clippy::indexing_slicing,
    reason = "a numeric kernel: every length is set at construction, or checked by admit"
)]

use nalgebra::DMatrix;
use plant_models::{ABREAST, Held, Integrator, MAX_STATES, Method, ModelCard, PlantModel, Sensitivities, Variable};
use signals::{MAX_CVS, MAX_DVS};

use super::belief::{Belief, MAX_Z, Row};
use super::config::{CvNoise, EstimationError, capacity, indices, numbers};
use super::filter::{Lengths, Period};
use super::start::NEAR_SPANS;

/// Part of a span by which θ is moved for its derivative.
const DIFFERENCE_SPANS: f64 = 1e-4;

/// A disturbance of the model's card that is estimated as a random walk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ParameterNoise {
    /// Its index on the card; each at most once, and none that is measured.
    pub disturbance: usize,
    /// Standard deviation of its random walk, per period, in its unit; above 0.
    pub walk_sd: f64,
    /// Standard deviation of the initial error about the nominal; above 0, below `sd_max`.
    pub initial_sd: f64,
    /// The guard: at this standard deviation the walk is no longer fed, and the parameter counts as not observed.
    pub sd_max: f64,
}

/// The model of one estimator, with its noises.
#[derive(Clone, Debug, PartialEq)]
pub struct SystemConfig {
    /// Length of a period, s of plant time.
    pub period_s: f64,
    /// Integration steps per period.
    pub substeps: usize,
    /// How a period is integrated.
    pub method: Method,
    /// The measured rows of y.
    pub measured: Vec<CvNoise>,
    /// Standard deviation of the process noise per period, one per state.
    pub state_sd: Vec<f64>,
    /// Standard deviation of the initial error, one per state.
    pub initial_sd: Vec<f64>,
    /// The disturbances that are estimated; may be empty.
    pub parameters: Vec<ParameterNoise>,
}

impl SystemConfig {
    fn check(&self, card: &ModelCard) -> Result<(), EstimationError> {
        let nx = card.states.len();
        capacity("measured", self.measured.len(), MAX_CVS)?;
        // No disturbance at all is fine.
        capacity("disturbances", card.disturbances.len().max(1), MAX_DVS)?;
        let offsets = self.measured.iter().filter(|cv| cv.disturbance_sd > 0.0).count();
        capacity("states, parameters and offsets", nx + self.parameters.len() + offsets, MAX_Z)?;
        for (list, values) in [("state_sd", &self.state_sd), ("initial_sd", &self.initial_sd)] {
            if values.len() != nx {
                return Err(EstimationError::Length { list, got: values.len(), expected: nx });
            }
            numbers(list, values.iter().copied(), true)?;
        }
        numbers("period_s", [self.period_s], false)?;
        if self.substeps == 0 {
            return Err(EstimationError::Number { list: "substeps", entry: 0, value: 0.0, zero_allowed: false });
        }
        numbers("measurement_sd", self.measured.iter().map(|cv| cv.measurement_sd), false)?;
        numbers("disturbance_sd", self.measured.iter().map(|cv| cv.disturbance_sd), true)?;
        indices("output", self.measured.iter().map(|cv| cv.output), card.outputs.len())?;
        let parameters = &self.parameters;
        indices("parameter", parameters.iter().map(|p| p.disturbance), card.disturbances.len())?;
        numbers("parameter.walk_sd", parameters.iter().map(|p| p.walk_sd), false)?;
        numbers("parameter.initial_sd", parameters.iter().map(|p| p.initial_sd), false)?;
        numbers("parameter.sd_max less initial_sd", parameters.iter().map(|p| p.sd_max - p.initial_sd), false)
    }
}

/// One estimated disturbance, with the card's range.
#[derive(Clone, Copy, Debug)]
struct Parameter {
    noise: ParameterNoise,
    range: Variable,
}

/// The augmented model of one estimator.
#[derive(Clone, Debug)]
pub(super) struct System {
    integrator: Integrator,
    period_s: f64,
    substeps: usize,
    rows: Vec<CvNoise>,
    /// Where in z the offset of each row is.
    offset: Vec<Option<usize>>,
    parameters: Vec<Parameter>,
    nx: usize,
    n: usize,
    /// Variances per period, NZ, and of the rows, NY.
    q: Vec<f64>,
    r: Vec<f64>,
    initial_sd: Vec<f64>,
    // Work space.
    by_u: Vec<f64>,
    moved: [Vec<f64>; 2],
    p: Vec<f64>,
    outputs: Vec<f64>,
    c: DMatrix<f64>,
}

impl System {
    pub(super) fn new(model: &'static dyn PlantModel, config: &SystemConfig) -> Result<Self, EstimationError> {
        let card = model.card();
        config.check(card)?;
        let (nx, nu, ny) = (card.states.len(), card.inputs.len(), card.outputs.len());
        let parameters: Vec<_> = config
            .parameters
            .iter()
            .map(|noise| Parameter { noise: *noise, range: card.disturbances[noise.disturbance] })
            .collect();
        let mut next = nx + parameters.len();
        let offset = config.measured.iter().map(|row| {
            (row.disturbance_sd > 0.0).then(|| {
                next += 1;
                next - 1
            })
        });
        let offset: Vec<_> = offset.collect();
        let with_offset = || config.measured.iter().filter(|row| row.disturbance_sd > 0.0);
        let walks = config.parameters.iter().map(|p| p.walk_sd).chain(with_offset().map(|row| row.disturbance_sd));
        let begins = config.parameters.iter().map(|p| p.initial_sd);
        let begins = begins.chain(with_offset().map(|row| NEAR_SPANS * card.outputs[row.output].span()));
        Ok(Self {
            integrator: Integrator::new(model, config.method),
            period_s: config.period_s,
            substeps: config.substeps,
            rows: config.measured.clone(),
            offset,
            parameters,
            nx,
            n: next,
            q: config.state_sd.iter().copied().chain(walks).map(|sd| sd * sd).collect(),
            r: config.measured.iter().map(|row| row.measurement_sd * row.measurement_sd).collect(),
            initial_sd: config.initial_sd.iter().copied().chain(begins).collect(),
            by_u: vec![0.0; nx * nu],
            moved: [vec![0.0; nx], vec![0.0; nx]],
            p: vec![0.0; card.disturbances.len()],
            outputs: vec![0.0; ny],
            c: DMatrix::zeros(ny, nx),
        })
    }

    pub(super) fn card(&self) -> &'static ModelCard {
        self.integrator.model().card()
    }

    /// NX, NZ.
    pub(super) fn shape(&self) -> (usize, usize) {
        (self.nx, self.n)
    }

    /// How many elements of z move x: states and parameters.
    pub(super) fn drivers(&self) -> usize {
        self.nx + self.parameters.len()
    }

    pub(super) fn lengths(&self) -> Lengths {
        Lengths { u: self.card().inputs.len(), p: self.p.len(), y: self.rows.len() }
    }

    /// Variances of the measured rows, NY.
    pub(super) fn r(&self) -> &[f64] {
        &self.r
    }

    /// Where in z the offset of row `i` is.
    pub(super) fn offset(&self, i: usize) -> Option<usize> {
        self.offset.get(i).copied().flatten()
    }

    /// The belief about z at a state `x0` (NX): parameters at their nominal values, offsets at 0.
    pub(super) fn belief(&self, x0: &[f64]) -> Belief {
        let mut z = [0.0; MAX_Z];
        z[..self.nx].copy_from_slice(x0);
        for (z, parameter) in z[self.nx..].iter_mut().zip(&self.parameters) {
            *z = parameter.range.nominal;
        }
        Belief::new(self.nx, &z[..self.n], &self.initial_sd)
    }

    /// Appends the ranges of the parameters, and no bounds for the offsets, to bounds of the states.
    pub(super) fn extend_bounds(&self, lo: &mut Vec<f64>, hi: &mut Vec<f64>) {
        lo.extend(self.parameters.iter().map(|parameter| parameter.range.low));
        hi.extend(self.parameters.iter().map(|parameter| parameter.range.high));
        lo.resize(self.n, f64::NEG_INFINITY);
        hi.resize(self.n, f64::INFINITY);
    }

    /// The natural scales of z, NZ.
    pub(super) fn spans(&self) -> Vec<f64> {
        let states = self.card().states.iter().map(Variable::span);
        let parameters = self.parameters.iter().map(|parameter| parameter.range.span());
        let rows = self.rows.iter().filter(|row| row.disturbance_sd > 0.0);
        states.chain(parameters).chain(rows.map(|row| self.card().outputs[row.output].span())).collect()
    }

    /// `p` with the estimated disturbances of `z` in their places.
    fn put_parameters(&mut self, z: &[f64], p: &[f64]) {
        self.p.copy_from_slice(p);
        for (parameter, value) in self.parameters.iter().zip(&z[self.nx..]) {
            self.p[parameter.noise.disturbance] = *value;
        }
    }

    /// Moves `z` over a period.
    pub(super) fn advance(&mut self, z: &mut [f64], period: &Period<'_>) {
        self.put_parameters(z, period.acting);
        let held = Held { u: period.u, p: &self.p, dt_s: self.period_s, substeps: self.substeps };
        self.integrator.step(&mut z[..self.nx], &held);
    }

    /// Moves every one of `points` (their first NZ numbers) over a period: side by side, where they share their
    /// disturbances.
    pub(super) fn advance_all(&mut self, points: &mut [Row], period: &Period<'_>) {
        if !self.parameters.is_empty() {
            points.iter_mut().for_each(|point| self.advance(&mut point[..self.n], period));
            return;
        }
        let nx = self.nx;
        self.p.copy_from_slice(period.acting);
        let held = Held { u: period.u, p: &self.p, dt_s: self.period_s, substeps: self.substeps };
        for points in points.chunks_mut(ABREAST) {
            let mut x = [0.0; ABREAST * MAX_STATES];
            let x = &mut x[..points.len() * nx];
            for (x, point) in x.chunks_exact_mut(nx).zip(&*points) {
                x.copy_from_slice(&point[..nx]);
            }
            self.integrator.step(x, &held);
            for (x, point) in x.chunks_exact(nx).zip(points) {
                point[..nx].copy_from_slice(x);
            }
        }
    }

    /// Moves `z` over a period; `upper`, NX × (NX + NT) by columns, becomes `[∂Φ/∂x | ∂Φ/∂θ]`.
    pub(super) fn advance_with_jacobian(&mut self, z: &mut [f64], period: &Period<'_>, upper: &mut [f64]) {
        self.put_parameters(z, period.acting);
        let (by_x, by_theta) = upper.split_at_mut(self.nx * self.nx);
        for (parameter, column) in self.parameters.iter().zip(by_theta.chunks_exact_mut(self.nx)) {
            let index = parameter.noise.disturbance;
            let (middle, half) = (self.p[index], DIFFERENCE_SPANS * parameter.range.span());
            for (moved, sign) in self.moved.iter_mut().zip([1.0, -1.0]) {
                self.p[index] = middle + sign * half;
                moved.copy_from_slice(&z[..self.nx]);
                let held = Held { u: period.u, p: &self.p, dt_s: self.period_s, substeps: self.substeps };
                self.integrator.step(moved, &held);
            }
            self.p[index] = middle;
            for ((slope, up), down) in column.iter_mut().zip(&self.moved[0]).zip(&self.moved[1]) {
                *slope = (up - down) / (2.0 * half);
            }
        }
        let held = Held { u: period.u, p: &self.p, dt_s: self.period_s, substeps: self.substeps };
        let sensitivities = Sensitivities { by_x, by_u: &mut self.by_u };
        self.integrator.step_into(&mut z[..self.nx], &held, sensitivities);
    }

    /// What the rows would read at `z`, into `y` (NY), under the disturbances `p`.
    pub(super) fn predict_rows(&mut self, z: &[f64], p: &[f64], y: &mut [f64]) {
        self.put_parameters(z, p);
        self.integrator.model().outputs(&z[..self.nx], &self.p, &mut self.outputs);
        for ((y, row), offset) in y.iter_mut().zip(&self.rows).zip(&self.offset) {
            *y = self.outputs[row.output] + offset.map_or(0.0, |at| z[at]);
        }
    }

    /// The Jacobian of [`Self::predict_rows`] at `z`: `h`, NY rows of [`MAX_Z`].
    pub(super) fn row_jacobian(&mut self, z: &[f64], p: &[f64], h: &mut [Row]) {
        self.put_parameters(z, p);
        let (x, model) = (&z[..self.nx], self.integrator.model());
        model.output_jacobian(x, &self.p, &mut self.c);
        for ((h, row), offset) in h.iter_mut().zip(&self.rows).zip(&self.offset) {
            h[..self.n].fill(0.0);
            for (j, h) in h[..self.nx].iter_mut().enumerate() {
                *h = self.c[(row.output, j)];
            }
            if let Some(at) = offset {
                h[*at] = 1.0;
            }
        }
        for (t, parameter) in self.parameters.iter().enumerate() {
            let index = parameter.noise.disturbance;
            let (middle, half) = (self.p[index], DIFFERENCE_SPANS * parameter.range.span());
            for sign in [1.0, -1.0] {
                self.p[index] = middle + sign * half;
                model.outputs(x, &self.p, &mut self.outputs);
                for (h, row) in h.iter_mut().zip(&self.rows) {
                    h[self.nx + t] += sign * self.outputs[row.output] / (2.0 * half);
                }
            }
            self.p[index] = middle;
        }
    }

    /// Takes the walk of a parameter that the measurements do not hold out of `q` (NZ): the guard.
    pub(super) fn guarded_q(&self, belief: &Belief, q: &mut [f64]) {
        q.copy_from_slice(&self.q);
        for (t, parameter) in self.parameters.iter().enumerate() {
            if belief.variance(self.nx + t) >= parameter.noise.sd_max.powi(2) {
                q[self.nx + t] = 0.0;
            }
        }
    }

    /// Holds the parameters in the range of the model's card.
    pub(super) fn clamp_parameters(&self, belief: &mut Belief) {
        for (t, parameter) in self.parameters.iter().enumerate() {
            belief.clamp(self.nx + t, parameter.range.low, parameter.range.high);
        }
    }

    /// Whether parameter `t` is known better than its guard.
    pub(super) fn is_observed(&self, belief: &Belief, t: usize) -> bool {
        self.parameters.get(t).is_some_and(|p| belief.variance(self.nx + t) < p.noise.sd_max.powi(2))
    }

    /// The estimated disturbances of `z`, each with its index on the card.
    pub(super) fn parameters<'a>(&'a self, z: &'a [f64]) -> impl Iterator<Item = (usize, f64)> + 'a {
        let values = z.get(self.nx..).unwrap_or_default();
        self.parameters.iter().zip(values).map(|(parameter, value)| (parameter.noise.disturbance, *value))
    }

    /// Whether every state lies, and spreads, within [`SPREAD_MAX`] spans of its nominal value.
    pub(super) fn is_bounded(&self, belief: &Belief) -> bool {
        self.card().states.iter().zip(belief.x()).enumerate().all(|(i, (state, x))| {
            let most = SPREAD_MAX * state.span();
            (x - state.nominal).abs() <= most && belief.variance(i) <= most * most
        })
    }
}

/// A state that is, or whose standard deviation is, more spans than this from its nominal value is lost. It leaves room
/// for a gap of [`super::GAP_MAX`] periods at an unstable steady state.
pub const SPREAD_MAX: f64 = 1e6;
