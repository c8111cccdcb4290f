//! The exothermic stirred tank of Henson and Seborg: two states, three steady states, ignition and extinction.
//!
//! With the states `x = [CA, T]`, the coolant temperature `u = [TC]` and the feed `p = [CAF, TF]`, time in minutes:
//!
//! ```text
//! r     = k0 exp(-E/R / T) CA
//! dCA/dt = q/V (CAF - CA) - r
//! dT/dt  = q/V (TF - T) + (-ΔH)/(ρ Cp) r + UA/(V ρ Cp) (TC - T)
//! ```
//!
//! The outputs are the states.
//!
//! Sources: Henson and Seborg (eds.), *Nonlinear Process Control*, Prentice Hall 1997, ch. 4; Seborg, Edgar and
//! Mellichamp, *Process Dynamics and Control*.

use nalgebra::DMatrix;
use signals::Unit;

use crate::integrate::integrate;
use crate::shape::{self, numbers, put, put_columns};
use crate::{Equations, Held, Linearised, Method, ModelCard, PlantModel, Sensitivities, Variable};

/// The model, by its parameters. [`Cstr2::NOMINAL`] is the literature's; a rig may change one to be a plant that the
/// controller does not know.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cstr2 {
    /// Feed flow q, L/min.
    pub flow: f64,
    /// Volume V, L.
    pub volume: f64,
    /// Heat capacity of the content per volume ρ·Cp, J/(L K).
    pub heat_capacity: f64,
    /// Heat of reaction -ΔH, J/mol.
    pub reaction_heat: f64,
    /// Activation temperature E/R, K.
    pub activation_k: f64,
    /// Pre-exponential factor k0, 1/min.
    pub rate: f64,
    /// Heat transfer UA, J/(min K).
    pub heat_transfer: f64,
}

impl Cstr2 {
    /// The parameters of the literature.
    pub const NOMINAL: Self = Self {
        flow: 100.0,
        volume: 100.0,
        heat_capacity: 239.0,
        reaction_heat: 5.0e4,
        activation_k: 8750.0,
        rate: 7.2e10,
        heat_transfer: 5.0e4,
    };

    fn rate_constant(&self, t: f64) -> f64 {
        self.rate * (-self.activation_k / t).exp()
    }

    /// UA/(V ρ Cp), 1/min.
    fn cooling(&self) -> f64 {
        self.heat_transfer / (self.volume * self.heat_capacity)
    }
}

const CA: Variable = Variable {
    name: "CA",
    description: "concentration of A in the reactor",
    unit: Unit::MOL_PER_L,
    low: 0.0,
    high: 1.2,
    nominal: 0.877,
};
const T: Variable = Variable {
    name: "T",
    description: "temperature of the reactor",
    unit: Unit::KELVIN,
    low: 280.0,
    high: 460.0,
    nominal: 324.503_685_790_141_7,
};

pub(crate) const CARD: ModelCard = ModelCard {
    name: "cstr2",
    title: "exothermic stirred tank with a cooling jacket, A to B",
    time_unit_s: 60.0,
    states: &[CA, T],
    inputs: &[Variable {
        name: "TC",
        description: "temperature of the coolant",
        unit: Unit::KELVIN,
        low: 270.0,
        high: 330.0,
        nominal: 300.016_447_597_829_37,
    }],
    disturbances: &[
        Variable {
            name: "CAF",
            description: "concentration of A in the feed",
            unit: Unit::MOL_PER_L,
            low: 0.8,
            high: 1.2,
            nominal: 1.0,
        },
        Variable {
            name: "TF",
            description: "temperature of the feed",
            unit: Unit::KELVIN,
            low: 330.0,
            high: 370.0,
            nominal: 350.0,
        },
    ],
    outputs: &[CA, T],
    assumptions: &[
        "perfectly mixed, constant volume and physical properties",
        "first-order irreversible reaction A to B with Arrhenius rate",
        "coolant temperature uniform and set without lag",
    ],
    sources: &[
        "Henson and Seborg (eds.), Nonlinear Process Control, Prentice Hall 1997, ch. 4",
        "Seborg, Edgar and Mellichamp, Process Dynamics and Control",
    ],
};

impl Equations<2, 1, 2> for Cstr2 {
    fn slope(&self, &[ca, t]: &[f64; 2], &[tc]: &[f64; 1], &[caf, tf]: &[f64; 2]) -> [f64; 2] {
        let dilution = self.flow / self.volume;
        let r = self.rate_constant(t) * ca;
        let heating = self.reaction_heat / self.heat_capacity * r;
        [dilution * (caf - ca) - r, dilution * (tf - t) + heating + self.cooling() * (tc - t)]
    }

    fn linearised(&self, &[ca, t]: &[f64; 2], &[tc]: &[f64; 1], &[caf, tf]: &[f64; 2]) -> Linearised<2, 1> {
        let dilution = self.flow / self.volume;
        let k = self.rate_constant(t);
        let r = k * ca;
        let dr_dt = r * self.activation_k / (t * t);
        let adiabatic = self.reaction_heat / self.heat_capacity;
        let cooling = self.cooling();
        Linearised {
            slope: [dilution * (caf - ca) - r, dilution * (tf - t) + adiabatic * r + cooling * (tc - t)],
            by_x: [[-dilution - k, adiabatic * k], [-dr_dt, -dilution + adiabatic * dr_dt - cooling]],
            by_u: [[0.0, cooling]],
        }
    }
}

impl PlantModel for Cstr2 {
    fn card(&self) -> &'static ModelCard {
        const { &CARD }
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
