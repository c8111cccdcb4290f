//! A counter-current heat exchanger, water on both sides, that fouls: four pairs of mixed cells.
//!
//! With the temperatures `x = [TH1 … TH4, TC1 … TC4]` along the way of the hot side, the cold flow `u = [MC]` and
//! `p = [MH, THIN, TCIN, RF]`, time in seconds:
//!
//! ```text
//! U         = 1 / (1/U0 + RF)
//! m dTHi/dt = MH (TH(i-1) - THi) - U a / cp (THi - TCi),   TH0 = THIN
//! m dTCi/dt = MC (TC(i+1) - TCi) + U a / cp (THi - TCi),   TC5 = TCIN
//! y         = [TH4, TC1]
//! ```
//!
//! At rest a pair of mixed cells has the effectiveness `ε₁ = N / (1 + N (1 + C))`, and the four in counter-current that
//! of four passes; the tests hold the model to these closed forms.
//!
//! Sources: Incropera et al., *Fundamentals of Heat and Mass Transfer*, 6th ed., 11.4 (table 11.3 and eq. 11.31b);
//! fouling resistances: TEMA, *Standards*, section 10.
#![allow(
    clippy::indexing_slicing,
    clippy::needless_range_loop,
    reason = "a numeric kernel on arrays whose lengths are types"
)]

use nalgebra::DMatrix;
use signals::Unit;

use crate::integrate::integrate;
use crate::shape::{self, numbers, put, put_columns};
use crate::{Equations, Held, Linearised, Method, ModelCard, PlantModel, Sensitivities, Variable};

/// Pairs of cells.
const CELLS: usize = 4;
const NX: usize = 2 * CELLS;

/// The model, by its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exchanger {
    /// Water in one cell, kg.
    pub cell_mass: f64,
    /// Area of one pair of cells, m2.
    pub cell_area: f64,
    /// Heat capacity of water, kJ/(kg K).
    pub heat_capacity: f64,
    /// Clean heat transfer coefficient U0, kW/(m2 K).
    pub clean_transfer: f64,
}

impl Exchanger {
    /// Twenty square metres, a kilowatt per square metre and kelvin.
    pub const NOMINAL: Self = Self { cell_mass: 15.0, cell_area: 5.0, heat_capacity: 4.18, clean_transfer: 1.0 };

    /// `U a / cp` of one pair, kg/s.
    fn exchange(&self, fouling: f64) -> f64 {
        self.cell_area / self.heat_capacity / (1.0 / self.clean_transfer + fouling)
    }
}

const fn celsius(name: &'static str, description: &'static str, nominal: f64) -> Variable {
    Variable { name, description, unit: Unit::CELSIUS, low: 5.0, high: 95.0, nominal }
}

const TH_OUT: Variable = celsius("TH4", "hot side, outlet", 39.3);
const TC_OUT: Variable = celsius("TC1", "cold side, outlet", 47.1);

static CARD: ModelCard = ModelCard {
    name: "exchanger",
    title: "counter-current heat exchanger that fouls",
    time_unit_s: 1.0,
    states: &[
        celsius("TH1", "hot side, first cell", 66.3),
        celsius("TH2", "hot side, second cell", 55.5),
        celsius("TH3", "hot side, third cell", 46.6),
        TH_OUT,
        TC_OUT,
        celsius("TC2", "cold side, second cell", 38.0),
        celsius("TC3", "cold side, third cell", 30.8),
        celsius("TC4", "cold side, inlet cell", 24.9),
    ],
    inputs: &[Variable {
        name: "MC",
        description: "flow of the cold side",
        unit: Unit::KG_PER_S,
        low: 0.0,
        high: 10.0,
        nominal: 3.0,
    }],
    disturbances: &[
        Variable {
            name: "MH",
            description: "flow of the hot side",
            unit: Unit::KG_PER_S,
            low: 0.5,
            high: 4.0,
            nominal: 2.0,
        },
        celsius("THIN", "hot side, inlet", 80.0),
        celsius("TCIN", "cold side, inlet", 20.0),
        Variable {
            name: "RF",
            description: "fouling resistance of both sides",
            unit: Unit::M2_K_PER_KW,
            low: 0.0,
            high: 1.0,
            nominal: 0.0,
        },
    ],
    outputs: &[TH_OUT, TC_OUT],
    assumptions: &[
        "each side is four mixed cells in series; no heat in the wall, none lost",
        "constant properties; the coefficient does not depend on the flows",
    ],
    sources: &[
        "Incropera et al., Fundamentals of Heat and Mass Transfer, 6th ed., 11.4",
        "TEMA, Standards of the Tubular Exchanger Manufacturers Association, section 10",
    ],
};

impl Equations<NX, 1, 4> for Exchanger {
    fn slope(&self, x: &[f64; NX], &[mc]: &[f64; 1], &[mh, th_in, tc_in, fouling]: &[f64; 4]) -> [f64; NX] {
        let ua = self.exchange(fouling);
        let mut dx = [0.0; NX];
        for i in 0..CELLS {
            let (th, tc) = (x[i], x[CELLS + i]);
            let from_hot = if i == 0 { th_in } else { x[i - 1] };
            let from_cold = if i == CELLS - 1 { tc_in } else { x[CELLS + i + 1] };
            dx[i] = (mh * (from_hot - th) - ua * (th - tc)) / self.cell_mass;
            dx[CELLS + i] = (mc * (from_cold - tc) + ua * (th - tc)) / self.cell_mass;
        }
        dx
    }

    fn linearised(&self, x: &[f64; NX], u: &[f64; 1], p: &[f64; 4]) -> Linearised<NX, 1> {
        let (&[mc], &[mh, _, tc_in, fouling]) = (u, p);
        let ua = self.exchange(fouling);
        let mut at = Linearised { slope: self.slope(x, u, p), by_x: [[0.0; NX]; NX], by_u: [[0.0; NX]; 1] };
        for i in 0..CELLS {
            let cold = CELLS + i;
            at.by_x[i][i] = -(mh + ua) / self.cell_mass;
            at.by_x[cold][i] = ua / self.cell_mass;
            at.by_x[cold][cold] = -(mc + ua) / self.cell_mass;
            at.by_x[i][cold] = ua / self.cell_mass;
            if i > 0 {
                at.by_x[i - 1][i] = mh / self.cell_mass;
            }
            let from_cold = if i == CELLS - 1 { tc_in } else { x[cold + 1] };
            if i < CELLS - 1 {
                at.by_x[cold + 1][cold] = mc / self.cell_mass;
            }
            at.by_u[0][cold] = (from_cold - x[cold]) / self.cell_mass;
        }
        at
    }
}

impl PlantModel for Exchanger {
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
        let x: [f64; NX] = numbers(x);
        put(y, [x[CELLS - 1], x[CELLS]]);
    }

    fn output_jacobian(&self, _x: &[f64], _p: &[f64], c: &mut DMatrix<f64>) {
        let mut columns = [[0.0; 2]; NX];
        columns[CELLS - 1][0] = 1.0;
        columns[CELLS][1] = 1.0;
        put_columns(c.as_mut_slice(), columns);
    }
}
