//! Johansson's quadruple tank: two pumps, four tanks, and a zero that two valves put on either side of the axis.
//!
//! With the levels `x = [H1, H2, H3, H4]` (1 and 2 below, 3 above 1, 4 above 2) and the pump voltages `u = [V1, V2]`,
//! time in seconds, outlet flow `q_i = a_i √(2 g max(h_i, 0))`:
//!
//! ```text
//! A1 dH1/dt = -q1 + q3 + γ1 k1 V1
//! A2 dH2/dt = -q2 + q4 + γ2 k2 V2
//! A3 dH3/dt = -q3 + (1 - γ2) k2 V2
//! A4 dH4/dt = -q4 + (1 - γ1) k1 V1
//! ```
//!
//! The outputs are the lower levels `[H1, H2]`. The root has an infinite slope at an empty tank; the Jacobian takes
//! the slope at [`LOWEST_CM`] there, so that it stays finite.
//!
//! Source: Johansson, *IEEE Trans. Control Syst. Technol.* 8(3) 2000, minimum-phase operating point P-.

use nalgebra::DMatrix;
use signals::Unit;

use crate::integrate::integrate;
use crate::shape::{self, numbers, put, put_columns};
use crate::{Equations, Held, Linearised, Method, ModelCard, PlantModel, Sensitivities, Variable};

/// Below this level, in cm, the Jacobian no longer follows the slope of the root.
pub const LOWEST_CM: f64 = 1e-2;

/// The model, by its parameters. [`QuadTank::NOMINAL`] is the literature's; a rig may change one to be a plant that
/// the controller does not know.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuadTank {
    /// Cross-sections of tanks 1 to 4, cm².
    pub tank_cm2: [f64; 4],
    /// Cross-sections of the outlets of tanks 1 to 4, cm².
    pub outlet_cm2: [f64; 4],
    /// Gains of the pumps, cm³/(V s).
    pub pump: [f64; 2],
    /// Shares γ of the pumps' flow that go to the lower tanks.
    pub lower_share: [f64; 2],
    /// Acceleration of gravity, cm/s².
    pub gravity: f64,
}

impl QuadTank {
    /// The parameters of the literature, operating point P-.
    pub const NOMINAL: Self = Self {
        tank_cm2: [28.0, 32.0, 28.0, 32.0],
        outlet_cm2: [0.071, 0.057, 0.071, 0.057],
        pump: [3.33, 3.35],
        lower_share: [0.70, 0.60],
        gravity: 981.0,
    };

    /// `q_i`, cm³/s.
    fn outflow(&self, h: [f64; 4]) -> [f64; 4] {
        let [q1, q2, q3, q4] = self.outlet_cm2;
        let [h1, h2, h3, h4] = h.map(|h| (2.0 * self.gravity * not_negative(h)).sqrt());
        [q1 * h1, q2 * h2, q3 * h3, q4 * h4]
    }

    /// `∂q_i/∂h_i`, cm²/s.
    fn outflow_slope(&self, h: [f64; 4]) -> [f64; 4] {
        let [q1, q2, q3, q4] = self.outlet_cm2;
        let [h1, h2, h3, h4] = h.map(|h| (self.gravity / (2.0 * not_below_lowest(h))).sqrt());
        [q1 * h1, q2 * h2, q3 * h3, q4 * h4]
    }

    /// Flow into each tank per volt of its pump, cm³/(V s).
    fn inflow(&self) -> [f64; 4] {
        let ([k1, k2], [g1, g2]) = (self.pump, self.lower_share);
        [g1 * k1, g2 * k2, (1.0 - g2) * k2, (1.0 - g1) * k1]
    }
}

/// `max(h, 0)` that keeps a NaN.
fn not_negative(h: f64) -> f64 {
    if h < 0.0 { 0.0 } else { h }
}

/// `max(h, LOWEST_CM)` that keeps a NaN.
fn not_below_lowest(h: f64) -> f64 {
    if h < LOWEST_CM { LOWEST_CM } else { h }
}

const fn level(name: &'static str, description: &'static str, nominal: f64) -> Variable {
    Variable { name, description, unit: Unit::CENTIMETRE, low: 0.0, high: 20.0, nominal }
}

const fn pump(name: &'static str, description: &'static str) -> Variable {
    Variable { name, description, unit: Unit::VOLT, low: 0.0, high: 10.0, nominal: 3.0 }
}

const H1: Variable = level("H1", "level of lower tank 1", 12.4);
const H2: Variable = level("H2", "level of lower tank 2", 12.7);

static CARD: ModelCard = ModelCard {
    name: "quadtank",
    title: "quadruple tank, minimum-phase setting",
    time_unit_s: 1.0,
    states: &[H1, H2, level("H3", "level of upper tank 3", 1.8), level("H4", "level of upper tank 4", 1.4)],
    inputs: &[
        pump("V1", "voltage of pump 1, feeding tanks 1 and 4"),
        pump("V2", "voltage of pump 2, feeding tanks 2 and 3"),
    ],
    disturbances: &[],
    outputs: &[H1, H2],
    assumptions: &[
        "Torricelli outflow, no friction in the pipes",
        "pump flow proportional to its voltage, without lag",
        "a tank never overflows",
    ],
    sources: &["Johansson, The quadruple-tank process, IEEE Trans. Control Syst. Technol. 8(3) 2000"],
};

impl Equations<4, 2, 0> for QuadTank {
    fn slope(&self, x: &[f64; 4], &[v1, v2]: &[f64; 2], _p: &[f64; 0]) -> [f64; 4] {
        let [q1, q2, q3, q4] = self.outflow(*x);
        let [b1, b2, b3, b4] = self.inflow();
        let [a1, a2, a3, a4] = self.tank_cm2;
        [(q3 - q1 + b1 * v1) / a1, (q4 - q2 + b2 * v2) / a2, (b3 * v2 - q3) / a3, (b4 * v1 - q4) / a4]
    }

    fn linearised(&self, x: &[f64; 4], u: &[f64; 2], p: &[f64; 0]) -> Linearised<4, 2> {
        let [s1, s2, s3, s4] = self.outflow_slope(*x);
        let [b1, b2, b3, b4] = self.inflow();
        let [a1, a2, a3, a4] = self.tank_cm2;
        Linearised {
            slope: self.slope(x, u, p),
            by_x: [
                [-s1 / a1, 0.0, 0.0, 0.0],
                [0.0, -s2 / a2, 0.0, 0.0],
                [s3 / a1, 0.0, -s3 / a3, 0.0],
                [0.0, s4 / a2, 0.0, -s4 / a4],
            ],
            by_u: [[b1 / a1, 0.0, 0.0, b4 / a4], [0.0, b2 / a2, b3 / a3, 0.0]],
        }
    }
}

impl PlantModel for QuadTank {
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
        let [h1, h2, _, _] = numbers(x);
        put(y, [h1, h2]);
    }

    fn output_jacobian(&self, _x: &[f64], _p: &[f64], c: &mut DMatrix<f64>) {
        put_columns(c.as_mut_slice(), [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.0, 0.0]]);
    }
}
