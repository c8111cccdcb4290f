//! The tank of [`Cstr2`] with two slow parameters that the controller's model does not have: the activity of its catalyst
//! and the share of its heat transfer that fouling has left.
//!
//! The equations are those of [`Cstr2`] with `k0 · ACT` and `UA · UAREL`; the disturbances are `p = [CAF, TF, ACT, UAREL]`.
//! Only a rig plays it; how the two decay is the rig's affair.
//!
//! Sources: those of [`Cstr2`]; Levenspiel, *Chemical Reaction Engineering*, 3rd ed., ch. 21 (activity as a factor of the
//! rate).
#![allow(clippy::indexing_slicing, reason = "the card of the fresh tank has two disturbances")]

use nalgebra::DMatrix;
use signals::Unit;

use crate::cstr2::CARD as FRESH;
use crate::integrate::integrate;
use crate::shape::{self, numbers, put, put_columns};
use crate::{Cstr2, Equations, Held, Linearised, Method, ModelCard, PlantModel, Sensitivities, Variable};

/// The model, by that of the fresh tank.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AgedCstr2 {
    /// The tank with a fresh catalyst and a clean jacket.
    pub fresh: Cstr2,
}

impl AgedCstr2 {
    /// The parameters of the literature.
    pub const NOMINAL: Self = Self { fresh: Cstr2::NOMINAL };

    fn at(&self, activity: f64, heat_transfer: f64) -> Cstr2 {
        let fresh = self.fresh;
        Cstr2 { rate: fresh.rate * activity, heat_transfer: fresh.heat_transfer * heat_transfer, ..fresh }
    }
}

const fn share(name: &'static str, description: &'static str) -> Variable {
    Variable { name, description, unit: Unit::ONE, low: 0.0, high: 1.0, nominal: 1.0 }
}

static CARD: ModelCard = ModelCard {
    name: "cstr2-aged",
    title: "exothermic stirred tank with a catalyst that decays and a jacket that fouls",
    time_unit_s: FRESH.time_unit_s,
    states: FRESH.states,
    inputs: FRESH.inputs,
    disturbances: &[
        FRESH.disturbances[0],
        FRESH.disturbances[1],
        share("ACT", "activity of the catalyst"),
        share("UAREL", "heat transfer that fouling has left"),
    ],
    outputs: FRESH.outputs,
    assumptions: &[
        "those of the fresh tank",
        "activity and fouling change so slowly that the states follow them at rest",
    ],
    sources: &[
        "Henson and Seborg (eds.), Nonlinear Process Control, Prentice Hall 1997, ch. 4",
        "Levenspiel, Chemical Reaction Engineering, 3rd ed., ch. 21",
    ],
};

impl Equations<2, 1, 4> for AgedCstr2 {
    fn slope(&self, x: &[f64; 2], u: &[f64; 1], &[caf, tf, act, left]: &[f64; 4]) -> [f64; 2] {
        self.at(act, left).slope(x, u, &[caf, tf])
    }

    fn linearised(&self, x: &[f64; 2], u: &[f64; 1], &[caf, tf, act, left]: &[f64; 4]) -> Linearised<2, 1> {
        self.at(act, left).linearised(x, u, &[caf, tf])
    }
}

impl PlantModel for AgedCstr2 {
    fn card(&self) -> &'static ModelCard {
        &CARD
    }

    fn rhs(&self, x: &[f64], u: &[f64], p: &[f64], dx: &mut [f64]) {
        shape::rhs(self, (x, u, p), dx);
    }

    fn rhs_jacobians(&self, x: &[f64], u: &[f64], p: &[f64], a: &mut DMatrix<f64>, b: &mut DMatrix<f64>) {
        shape::rhs_jacobians(self, (x, u, p), a, b);
    }

    fn integrate(&self, method: Method, x: &mut [f64], held: &Held<'_>, sensitivities: Option<Sensitivities<'_>>) {
        integrate(self, method, x, held, sensitivities);
    }

    fn outputs(&self, x: &[f64], _p: &[f64], y: &mut [f64]) {
        put::<2>(y, numbers(x));
    }

    fn output_jacobian(&self, _x: &[f64], _p: &[f64], c: &mut DMatrix<f64>) {
        put_columns(c.as_mut_slice(), [[1.0, 0.0], [0.0, 1.0]]);
    }
}
