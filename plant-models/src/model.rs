//! What a plant model is: equations, Jacobians, the envelope in which they hold, and a card that says where from.

use std::fmt;

use nalgebra::DMatrix;
use signals::Unit;

use crate::interval::{Held, Method, Sensitivities};

/// The most states of one model.
pub const MAX_STATES: usize = 16;

/// One variable of a model: its name, its unit, and the range in which the model is meant to hold.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Short name, unique in its model; a plant file refers to it.
    pub name: &'static str,
    /// What it is, in words.
    pub description: &'static str,
    /// The unit of every number that bears this name.
    pub unit: Unit,
    /// Lower end of the model's envelope.
    pub low: f64,
    /// Upper end of the model's envelope.
    pub high: f64,
    /// A typical value; stands in for a disturbance that is not measured.
    pub nominal: f64,
}

impl Variable {
    /// Width of the envelope, the natural scale of the variable.
    #[must_use]
    pub fn span(&self) -> f64 {
        self.high - self.low
    }
}

/// What a reader must know of a model before trusting it.
#[derive(Clone, Copy, Debug)]
pub struct ModelCard {
    /// The name under which a plant file asks for the model.
    pub name: &'static str,
    /// The model in one line.
    pub title: &'static str,
    /// Seconds in the model's own unit of time; `rhs` is per that unit.
    pub time_unit_s: f64,
    /// The states x, in order; `NX` of them.
    pub states: &'static [Variable],
    /// The inputs u (MVs), in order; `NU` of them.
    pub inputs: &'static [Variable],
    /// The disturbances p (DVs, or unmeasured), in order; `NP` of them.
    pub disturbances: &'static [Variable],
    /// The outputs y that can be measured, in order; `NY` of them.
    pub outputs: &'static [Variable],
    /// What is left out, and what the numbers assume.
    pub assumptions: &'static [&'static str],
    /// Where equations and parameters come from.
    pub sources: &'static [&'static str],
}

/// The differential equation `dx/dt = f(x, u, p)` of one plant in fixed shapes, per unit of the model's time: what the
/// integrators are compiled for. Total, like [`PlantModel`], and without allocation.
pub trait Equations<const NX: usize, const NU: usize, const NP: usize> {
    /// `f(x, u, p)`.
    fn slope(&self, x: &[f64; NX], u: &[f64; NU], p: &[f64; NP]) -> [f64; NX];

    /// `f`, `∂f/∂x` and `∂f/∂u` at one point.
    fn linearised(&self, x: &[f64; NX], u: &[f64; NU], p: &[f64; NP]) -> Linearised<NX, NU>;
}

/// A slope with its derivatives, by columns.
#[derive(Clone, Copy, Debug)]
pub struct Linearised<const NX: usize, const NU: usize> {
    /// `f(x, u, p)`.
    pub slope: [f64; NX],
    /// `∂f/∂x`, NX × NX.
    pub by_x: [[f64; NX]; NX],
    /// `∂f/∂u`, NX × NU.
    pub by_u: [[f64; NX]; NU],
}

/// A continuous-time plant: `dx/dt = f(x, u, p)`, `y = h(x, p)`.
///
/// Slices are in the card's order and of the card's lengths; every matrix is given with its shape set by the caller
/// and is overwritten whole. All functions are total: outside the envelope they give numbers, possibly not finite
/// ones, and never panic. They do not allocate.
pub trait PlantModel: Send + Sync + fmt::Debug {
    /// The model's card.
    fn card(&self) -> &'static ModelCard;

    /// `dx = f(x, u, p)`, per unit of the model's time.
    fn rhs(&self, x: &[f64], u: &[f64], p: &[f64], dx: &mut [f64]);

    /// `a = ∂f/∂x` (NX × NX) and `b = ∂f/∂u` (NX × NU), per unit of the model's time.
    #[allow(
        clippy::too_many_arguments,
        reason = "the two matrices are outputs, and models are called where nothing may allocate"
    )]
    fn rhs_jacobians(&self, x: &[f64], u: &[f64], p: &[f64], a: &mut DMatrix<f64>, b: &mut DMatrix<f64>);

    /// Moves `x` (NX, or several states one after the other) over an interval, and of a single state gives the
    /// derivatives of its end where asked. Called through [`Integrator`](crate::Integrator).
    #[allow(clippy::too_many_arguments, reason = "one door for both methods, with and without derivatives")]
    fn integrate(&self, method: Method, x: &mut [f64], held: &Held<'_>, sensitivities: Option<Sensitivities<'_>>);

    /// `y = h(x, p)`.
    fn outputs(&self, x: &[f64], p: &[f64], y: &mut [f64]);

    /// `c = ∂h/∂x` (NY × NX).
    fn output_jacobian(&self, x: &[f64], p: &[f64], c: &mut DMatrix<f64>);

    /// The first state or input that lies outside the envelope, with its value; `None` inside.
    fn outside_envelope(&self, x: &[f64], u: &[f64]) -> Option<(&'static Variable, f64)> {
        let card = self.card();
        let states = card.states.iter().zip(x.iter().copied());
        let inputs = card.inputs.iter().zip(u.iter().copied());
        states.chain(inputs).find(|(var, value)| !(var.low..=var.high).contains(value))
    }
}
