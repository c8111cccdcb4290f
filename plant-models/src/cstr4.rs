//! The stirred tank of Klatt and Engell: the van de Vusse reactions A → B → C and 2A → D with a cooled jacket.
//!
//! With the states `x = [CA, CB, TR, TK]`, the dilution rate and the heat removed `u = [F, QDOT]` and the feed
//! `p = [CA0]`, time in hours, temperatures in °C, `θ = TR + 273.15`:
//!
//! ```text
//! k1 = K_ab exp(-E_ab/θ),  k2 = K_bc exp(-E_bc/θ),  k3 = K_ad exp(-E_ad/θ)
//! dCA/dt = F (CA0 - CA) - k1 CA - k3 CA²
//! dCB/dt = -F CB + k1 CA - k2 CB
//! dTR/dt = -(k1 CA H_ab + k2 CB H_bc + k3 CA² H_ad)/(ρ Cp) + F (Tin - TR) + Kw AR (TK - TR)/(ρ Cp VR)
//! dTK/dt = (QDOT + Kw AR (TR - TK))/(mk Cpk)
//! ```
//!
//! The outputs are `[CB, TR, TK]`: nobody measures the feed's remainder CA. The gain from F to CB changes its sign at
//! the maximum of CB, and the response is inverse on one side of it.
//!
//! Sources: Klatt and Engell, *Comput. Chem. Eng.* 22 (1998); parameters as in the CSTR example of do-mpc.

use nalgebra::DMatrix;
use signals::Unit;

use crate::integrate::integrate;
use crate::shape::{self, numbers, put, put_columns};
use crate::{Equations, Held, Linearised, Method, ModelCard, PlantModel, Sensitivities, Variable};

/// The model, by its parameters. [`Cstr4::NOMINAL`] is the literature's; a rig may change one to be a plant that the
/// controller does not know.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cstr4 {
    /// Pre-exponential factor of A → B, 1/h.
    pub rate_ab: f64,
    /// Pre-exponential factor of B → C, 1/h.
    pub rate_bc: f64,
    /// Pre-exponential factor of 2A → D, L/(mol h).
    pub rate_ad: f64,
    /// Activation temperature of A → B, K.
    pub activation_ab_k: f64,
    /// Activation temperature of B → C, K.
    pub activation_bc_k: f64,
    /// Activation temperature of 2A → D, K.
    pub activation_ad_k: f64,
    /// Reaction enthalpy of A → B, kJ/mol.
    pub enthalpy_ab: f64,
    /// Reaction enthalpy of B → C, kJ/mol.
    pub enthalpy_bc: f64,
    /// Reaction enthalpy of 2A → D, kJ/mol.
    pub enthalpy_ad: f64,
    /// Density of the content ρ, kg/L.
    pub density: f64,
    /// Heat capacity of the content Cp, kJ/(kg K).
    pub heat_capacity: f64,
    /// Heat capacity of the coolant, kJ/(kg K).
    pub coolant_heat_capacity: f64,
    /// Area of the jacket, m².
    pub area: f64,
    /// Volume of the reactor, L.
    pub volume: f64,
    /// Mass of the coolant, kg.
    pub coolant_mass: f64,
    /// Temperature of the feed, °C.
    pub feed_degc: f64,
    /// Heat transfer coefficient of the jacket, kJ/(h m² K).
    pub heat_transfer: f64,
}

/// The three rate constants at a temperature, with their derivatives by it.
struct Rates {
    k: [f64; 3],
    dk: [f64; 3],
}

impl Cstr4 {
    /// The parameters of the literature.
    pub const NOMINAL: Self = Self {
        rate_ab: 1.287e12,
        rate_bc: 1.287e12,
        rate_ad: 9.043e9,
        activation_ab_k: 9758.3,
        activation_bc_k: 9758.3,
        activation_ad_k: 8560.0,
        enthalpy_ab: 4.2,
        enthalpy_bc: -11.0,
        enthalpy_ad: -41.85,
        density: 0.9342,
        heat_capacity: 3.01,
        coolant_heat_capacity: 2.0,
        area: 0.215,
        volume: 10.01,
        coolant_mass: 5.0,
        feed_degc: 130.0,
        heat_transfer: 4032.0,
    };

    fn rates(&self, tr: f64) -> Rates {
        let theta = tr + 273.15;
        let k0 = [self.rate_ab, self.rate_bc, self.rate_ad];
        let activation = [self.activation_ab_k, self.activation_bc_k, self.activation_ad_k];
        let mut rates = Rates { k: [0.0; 3], dk: [0.0; 3] };
        let slots = rates.k.iter_mut().zip(&mut rates.dk);
        for ((k, dk), (k0, e)) in slots.zip(k0.into_iter().zip(activation)) {
            *k = k0 * (-e / theta).exp();
            *dk = *k * e / (theta * theta);
        }
        rates
    }

    /// The balances under given rate constants.
    fn balances(&self, &[k1, k2, k3]: &[f64; 3], x: &[f64; 4], u: &[f64; 2], &[ca0]: &[f64; 1]) -> [f64; 4] {
        let ([ca, cb, tr, tk], [f, qdot]) = (*x, *u);
        let (ab, bc, ad) = (k1 * ca, k2 * cb, k3 * ca * ca);
        let released = ab * self.enthalpy_ab + bc * self.enthalpy_bc + ad * self.enthalpy_ad;
        let through = self.jacket() * (tk - tr);
        [
            f * (ca0 - ca) - ab - ad,
            -f * cb + ab - bc,
            -released / self.content() + f * (self.feed_degc - tr) + through / (self.content() * self.volume),
            (qdot - through) / self.coolant(),
        ]
    }

    /// ρ·Cp, kJ/(L K).
    fn content(&self) -> f64 {
        self.density * self.heat_capacity
    }

    /// Kw·AR, kJ/(h K).
    fn jacket(&self) -> f64 {
        self.heat_transfer * self.area
    }

    /// mk·Cpk, kJ/K.
    fn coolant(&self) -> f64 {
        self.coolant_mass * self.coolant_heat_capacity
    }
}

const CA: Variable = Variable {
    name: "CA",
    description: "concentration of A in the reactor",
    unit: Unit::MOL_PER_L,
    low: 0.0,
    high: 6.0,
    nominal: 1.2345,
};
const CB: Variable = Variable {
    name: "CB",
    description: "concentration of the product B in the reactor",
    unit: Unit::MOL_PER_L,
    low: 0.0,
    high: 2.0,
    nominal: 0.9,
};
const TR: Variable = Variable {
    name: "TR",
    description: "temperature of the reactor",
    unit: Unit::CELSIUS,
    low: 50.0,
    high: 160.0,
    nominal: 134.14,
};
const TK: Variable = Variable {
    name: "TK",
    description: "temperature of the jacket",
    unit: Unit::CELSIUS,
    low: 50.0,
    high: 160.0,
    nominal: 128.95,
};

static CARD: ModelCard = ModelCard {
    name: "cstr4",
    title: "van de Vusse reactor with a cooled jacket",
    time_unit_s: 3600.0,
    states: &[CA, CB, TR, TK],
    inputs: &[
        Variable {
            name: "F",
            description: "dilution rate: feed flow per reactor volume",
            unit: Unit::PER_HOUR,
            low: 5.0,
            high: 100.0,
            nominal: 18.0,
        },
        Variable {
            name: "QDOT",
            description: "heat flow into the jacket; cooling is negative",
            unit: Unit::KJ_PER_HOUR,
            low: -8500.0,
            high: 0.0,
            nominal: -4500.0,
        },
    ],
    disturbances: &[Variable {
        name: "CA0",
        description: "concentration of A in the feed",
        unit: Unit::MOL_PER_L,
        low: 4.0,
        high: 6.0,
        nominal: 5.1,
    }],
    outputs: &[CB, TR, TK],
    assumptions: &[
        "perfectly mixed reactor and jacket, constant volume and physical properties",
        "no loss to the surroundings; feed at a constant temperature",
        "flow and heat duty are set without lag",
    ],
    sources: &[
        "Klatt and Engell, Gain-scheduling trajectory control of a continuous stirred tank reactor, Comput. Chem. Eng. 22 (1998)",
        "do-mpc, example CSTR (parameters, bounds, sampling time)",
    ],
};

impl Equations<4, 2, 1> for Cstr4 {
    fn slope(&self, x: &[f64; 4], u: &[f64; 2], p: &[f64; 1]) -> [f64; 4] {
        self.balances(&self.rates(x[2]).k, x, u, p)
    }

    fn linearised(&self, x: &[f64; 4], u: &[f64; 2], p: &[f64; 1]) -> Linearised<4, 2> {
        let ([ca, cb, tr, _], [f, _], [ca0]) = (*x, *u, *p);
        let Rates { k, dk } = self.rates(tr);
        let ([k1, k2, k3], [dk1, dk2, dk3]) = (k, dk);
        let heat = -1.0 / self.content();
        let film = self.jacket() / (self.content() * self.volume);
        let wall = self.jacket() / self.coolant();

        let ad_by_ca = 2.0 * k3 * ca;
        let by_ca = [-f - k1 - ad_by_ca, k1, heat * (k1 * self.enthalpy_ab + ad_by_ca * self.enthalpy_ad), 0.0];
        let by_cb = [0.0, -f - k2, heat * k2 * self.enthalpy_bc, 0.0];
        let (ab, bc, ad) = (dk1 * ca, dk2 * cb, dk3 * ca * ca);
        let released_by_tr = ab * self.enthalpy_ab + bc * self.enthalpy_bc + ad * self.enthalpy_ad;
        let by_tr = [-ab - ad, ab - bc, heat * released_by_tr - f - film, wall];
        let by_tk = [0.0, 0.0, film, -wall];
        let by_f = [ca0 - ca, -cb, self.feed_degc - tr, 0.0];
        let by_qdot = [0.0, 0.0, 0.0, 1.0 / self.coolant()];
        Linearised { slope: self.balances(&k, x, u, p), by_x: [by_ca, by_cb, by_tr, by_tk], by_u: [by_f, by_qdot] }
    }
}

impl PlantModel for Cstr4 {
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
        let [_, cb, tr, tk] = numbers(x);
        put(y, [cb, tr, tk]);
    }

    fn output_jacobian(&self, _x: &[f64], _p: &[f64], c: &mut DMatrix<f64>) {
        put_columns(c.as_mut_slice(), [[0.0; 3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
    }
}
