//! The extended Kalman filter on a plant model, with estimated disturbances and output offsets.
//!
//! ```text
//! z⁻ = Φ(z), P⁻ = F P Fᵀ + Q;   then for each measured row i:   ν = y_i - h_i(z⁻) - H_i (z - z⁻),  z, P corrected
//! ```
//!
//! with z, F and H of [`super::system`]. The rows are taken one at a time in Joseph's form, linearised once at the
//! prediction, so that a missing row is simply left out and the order of the rows does not matter.
//!
//! # Invariants
//! - P is symmetric bit for bit and positive semidefinite; a belief that is not, is not finite, or has a state spread
//!   over more than [`super::SPREAD_MAX`] spans is [`Outcome::Lost`], and the filter begins anew.
//! - A step does not allocate.
//!
//! Source: A. H. Jazwinski, *Stochastic Processes and Filtering Theory*, 1970, ch. 8.

#![allow(
    clippy::indexing_slicing,
    reason = "a numeric kernel: every length is set at construction, or checked by admit"
)]

use plant_models::PlantModel;

use super::belief::{Belief, MAX_Z, Row, Square};
use super::config::{EstimationError, numbers};
use super::filter::{Correction, Filter, Lengths, Outcome, Period};
use super::system::{System, SystemConfig};

/// An extended Kalman filter.
#[derive(Clone, Debug)]
pub struct Extended {
    system: System,
    begin: Belief,
    belief: Belief,
    innovation: Vec<f64>,
    whitened: Vec<f64>,
    // Work space.
    upper: Vec<f64>,
    q: Vec<f64>,
    prior: Row,
    y: Vec<f64>,
    h: Vec<Row>,
    square: Box<Square>,
}

/// Checks a first state: NX finite numbers.
pub(super) fn check_x0(x0: &[f64], nx: usize) -> Result<(), EstimationError> {
    if x0.len() != nx {
        return Err(EstimationError::Length { list: "x0", got: x0.len(), expected: nx });
    }
    match x0.iter().position(|x| !x.is_finite()) {
        Some(_) => numbers("x0", x0.iter().map(|x| x.abs()), true),
        None => Ok(()),
    }
}

impl Extended {
    /// A filter of `model` that begins at the state `x0` (NX) with the configured initial errors.
    ///
    /// # Errors
    /// [`EstimationError`] for the first value that does not fit the model or cannot be worked with.
    pub fn new(model: &'static dyn PlantModel, config: &SystemConfig, x0: &[f64]) -> Result<Self, EstimationError> {
        let system = System::new(model, config)?;
        let (nx, n) = system.shape();
        check_x0(x0, nx)?;
        let rows = config.measured.len();
        let begin = system.belief(x0);
        Ok(Self {
            upper: vec![0.0; nx * system.drivers()],
            q: vec![0.0; n],
            prior: [0.0; MAX_Z],
            y: vec![0.0; rows],
            h: vec![[0.0; MAX_Z]; rows],
            square: Box::new([[0.0; MAX_Z]; MAX_Z]),
            innovation: vec![0.0; rows],
            whitened: vec![0.0; rows],
            belief: begin,
            begin,
            system,
        })
    }

    /// One period in which the disturbances `p` (NP) hold: predicts under `u` (NU), corrects with `y` (NY; not finite:
    /// missing).
    pub fn step(&mut self, u: &[f64], p: &[f64], y: &[f64]) -> Correction {
        self.advance(&Period { u, acting: p, now: p, y })
    }

    /// The state x̂, NX.
    #[must_use]
    pub fn x(&self) -> &[f64] {
        self.belief.x()
    }

    /// The estimated disturbances: index on the card, value.
    pub fn parameters(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.system.parameters(self.belief.mean())
    }

    /// Whether the measurements hold parameter `t`: its standard deviation is below its guard.
    #[must_use]
    pub fn is_observed(&self, t: usize) -> bool {
        self.system.is_observed(&self.belief, t)
    }

    /// Begins anew at `x0` (NX); what does not fit changes nothing and gives `false`.
    pub fn begin_at(&mut self, x0: &[f64]) -> bool {
        if check_x0(x0, self.belief.x().len()).is_err() {
            return false;
        }
        self.begin = self.system.belief(x0);
        self.belief = self.begin;
        true
    }

    /// The innovations `y - h(z⁻)` of the last period, NY; 0 where missing.
    pub(super) fn innovation(&self) -> &[f64] {
        &self.innovation
    }

    pub(super) fn belief(&self) -> &Belief {
        &self.belief
    }

    pub(super) fn system(&self) -> &System {
        &self.system
    }

    pub(super) fn put(&mut self, belief: &Belief) {
        self.belief.copy_from(belief);
    }

    fn predict(&mut self, period: &Period<'_>) {
        self.system.guarded_q(&self.belief, &mut self.q);
        self.system.advance_with_jacobian(self.belief.mean_mut(), period, &mut self.upper);
        self.belief.predict(&self.upper, &self.q, &mut self.square);
    }

    /// Corrects without predicting: what [`Self::advance`](Filter::advance) does second.
    pub(super) fn correct(&mut self, period: &Period<'_>) -> Correction {
        self.innovation.fill(0.0);
        self.whitened.fill(0.0);
        let corrected = self.correct_rows(period);
        self.system.clamp_parameters(&mut self.belief);
        let sound = self.belief.factor(&mut self.square) && self.system.is_bounded(&self.belief);
        match corrected.filter(|_| sound) {
            Some(correction) => correction,
            None => {
                self.belief.copy_from(&self.begin);
                Correction::none(Outcome::Lost)
            }
        }
    }

    /// `None` when an innovation has no positive variance.
    fn correct_rows(&mut self, period: &Period<'_>) -> Option<Correction> {
        let mut correction = Correction::none(Outcome::Predicted);
        if period.y.iter().all(|y| !y.is_finite()) {
            return Some(correction);
        }
        let n = self.belief.mean().len();
        self.prior[..n].copy_from_slice(self.belief.mean());
        self.system.predict_rows(&self.prior[..n], period.now, &mut self.y);
        self.system.row_jacobian(&self.prior[..n], period.now, &mut self.h);
        for (i, measured) in period.y.iter().enumerate() {
            if !measured.is_finite() {
                continue;
            }
            let (h, r) = (&self.h[i], self.system.r()[i]);
            let innovation = measured - self.y[i];
            // What the rows before this one have already moved of its prediction.
            let moves = self.belief.mean().iter().zip(&self.prior);
            let moved: f64 = h.iter().zip(moves).map(|(h, (z, z0))| h * (z - z0)).sum();
            let fresh = innovation - moved;
            let s = self.belief.correct(h, fresh, r)?;
            self.innovation[i] = innovation;
            self.whitened[i] = fresh / s.sqrt();
            correction.add(fresh * fresh / s, s);
        }
        Some(correction)
    }
}

/// What an [`Extended`] filter remembers: its belief.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BeliefMemory(pub(super) Belief);

impl Filter for Extended {
    type Memory = BeliefMemory;

    fn memory(&self) -> BeliefMemory {
        BeliefMemory(self.belief)
    }

    fn save(&self, into: &mut BeliefMemory) {
        into.0.copy_from(&self.belief);
    }

    fn load(&mut self, from: &BeliefMemory) {
        self.belief.copy_from(&from.0);
    }

    fn advance(&mut self, period: &Period<'_>) -> Correction {
        if !self.lengths().admit(period) {
            return Correction::none(Outcome::Refused);
        }
        self.predict(period);
        self.correct(period)
    }

    fn mean(&self) -> &[f64] {
        self.belief.mean()
    }

    fn covariance(&self, i: usize, j: usize) -> f64 {
        self.belief.row(i.min(MAX_Z - 1)).get(j).copied().unwrap_or(0.0)
    }

    fn whitened(&self) -> &[f64] {
        &self.whitened
    }

    fn lengths(&self) -> Lengths {
        self.system.lengths()
    }
}
