//! Skogestad's binary distillation column A: 41 stages, constant relative volatility, in the LV configuration.
//!
//! Stage 1 is the reboiler, stage 21 the feed, stage 41 the total condenser. States: the light component's mole fraction
//! on each stage, then the hold-ups. With `u = [LT, VB]` and `p = [F, ZF]` (the feed is a saturated liquid), time in minutes:
//!
//! ```text
//! y_i  = α x_i / (1 + (α - 1) x_i)
//! L_i  = L0 + (M_i - M0)/τ above the feed, L0 + F0 + (M_i - M0)/τ below;  L_41 = LT
//! dM_i/dt     = L_(i+1) - L_i  [+ F at the feed],   V is VB throughout
//! M_i dx_i/dt = L_(i+1) (x_(i+1) - x_i) + VB (y_(i-1) - y_i)  [+ F (ZF - x_i) at the feed]
//! reboiler:  dM_1/dt = L_2 - VB - B,   M_1 dx_1/dt = L_2 (x_2 - x_1) - VB (y_1 - x_1)
//! condenser: dM_41/dt = VB - LT - D,   M_41 dx_41/dt = VB (y_40 - x_41)
//! levels:    D = D0 + K (M_41 - M0),   B = B0 + K (M_1 - M0)
//! ```
//!
//! The outputs are the two product compositions. With 82 states it is for a rig only.
//!
//! Sources: Skogestad, Dynamics and control of distillation columns, a tutorial introduction, *Trans. IChemE* 75 A (1997)
//! 539, with its program `colamod.m`; Skogestad and Postlethwaite, *Multivariable Feedback Control*, the column of its
//! chapters 3 and 12.
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

/// Stages, reboiler and condenser included.
const STAGES: usize = 41;
const NX: usize = 2 * STAGES;
/// The feed's stage, counted from 0.
const FEED: usize = 20;
const TOP: usize = STAGES - 1;

/// The model, by its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColumnA {
    /// Relative volatility α.
    pub volatility: f64,
    /// Nominal hold-up M0 of every stage, kmol.
    pub hold_up: f64,
    /// Time constant τ of the liquid flow on a stage, min.
    pub hydraulic_lag: f64,
    /// Nominal reflux L0, kmol/min.
    pub reflux: f64,
    /// Nominal feed F0, kmol/min.
    pub feed: f64,
    /// Nominal products D0 and B0, kmol/min.
    pub product: f64,
    /// Gain K of both level controllers, 1/min.
    pub level_gain: f64,
}

impl ColumnA {
    /// The parameters of the literature.
    pub const NOMINAL: Self = Self {
        volatility: 1.5,
        hold_up: 0.5,
        hydraulic_lag: 0.063,
        reflux: 2.706_29,
        feed: 1.0,
        product: 0.5,
        level_gain: 10.0,
    };

    /// The vapour in equilibrium with a liquid, and its derivative.
    fn vapour(&self, x: f64) -> (f64, f64) {
        let below = 1.0 + (self.volatility - 1.0) * x;
        (self.volatility * x / below, self.volatility / (below * below))
    }

    /// The liquid that leaves stage `i`, and its derivative by the hold-up there.
    fn liquid(&self, i: usize, hold_up: f64, reflux: f64) -> (f64, f64) {
        if i == TOP {
            return (reflux, 0.0);
        }
        let at_rest = if i <= FEED { self.reflux + self.feed } else { self.reflux };
        (at_rest + (hold_up - self.hold_up) / self.hydraulic_lag, 1.0 / self.hydraulic_lag)
    }

    /// A product's flow under its level controller.
    fn drawn(&self, hold_up: f64) -> f64 {
        self.product + self.level_gain * (hold_up - self.hold_up)
    }
}

/// Names of the compositions and the hold-ups, from the reboiler upwards.
const NAMES: [&str; NX] = [
    "X1", "X2", "X3", "X4", "X5", "X6", "X7", "X8", "X9", "X10", "X11", "X12", "X13", "X14", "X15", "X16", "X17",
    "X18", "X19", "X20", "X21", "X22", "X23", "X24", "X25", "X26", "X27", "X28", "X29", "X30", "X31", "X32", "X33",
    "X34", "X35", "X36", "X37", "X38", "X39", "X40", "X41", "M1", "M2", "M3", "M4", "M5", "M6", "M7", "M8", "M9",
    "M10", "M11", "M12", "M13", "M14", "M15", "M16", "M17", "M18", "M19", "M20", "M21", "M22", "M23", "M24", "M25",
    "M26", "M27", "M28", "M29", "M30", "M31", "M32", "M33", "M34", "M35", "M36", "M37", "M38", "M39", "M40", "M41",
];

/// The compositions at the nominal point.
const PROFILE: [f64; STAGES] = [
    0.010_000, 0.014_261, 0.019_724, 0.026_693, 0.035_531, 0.046_651, 0.060_506, 0.077_558, 0.098_234, 0.122_854,
    0.151_544, 0.184_147, 0.220_160, 0.258_707, 0.298_607, 0.338_497, 0.377_015, 0.412_984, 0.445_533, 0.474_164,
    0.498_725, 0.526_495, 0.557_764, 0.592_160, 0.629_039, 0.667_506, 0.706_498, 0.744_890, 0.781_625, 0.815_826,
    0.846_866, 0.874_391, 0.898_301, 0.918_704, 0.935_848, 0.950_071, 0.961_744, 0.971_242, 0.978_913, 0.985_075,
    0.990_000,
];

const fn composition(stage: usize, description: &'static str) -> Variable {
    Variable { name: NAMES[stage], description, unit: Unit::ONE, low: 0.0, high: 1.0, nominal: PROFILE[stage] }
}

const fn hold_up(stage: usize) -> Variable {
    let (name, unit) = (NAMES[STAGES + stage], Unit::KMOL);
    Variable { name, description: "hold-up of the stage", unit, low: 0.25, high: 1.0, nominal: 0.5 }
}

const XB: Variable = composition(0, "light component in the bottom product");
const XD: Variable = composition(TOP, "light component in the distillate");

static STATES: [Variable; NX] = {
    let mut states = [XB; NX];
    let mut stage = 0;
    while stage < STAGES {
        if stage > 0 {
            states[stage] = composition(stage, "light component in the liquid of the stage");
        }
        states[STAGES + stage] = hold_up(stage);
        stage += 1;
    }
    states[TOP] = XD;
    states
};

const fn flow(name: &'static str, description: &'static str, low: f64, high: f64, nominal: f64) -> Variable {
    Variable { name, description, unit: Unit::KMOL_PER_MIN, low, high, nominal }
}

static CARD: ModelCard = ModelCard {
    name: "column-a",
    title: "binary distillation column A of Skogestad, LV configuration",
    time_unit_s: 60.0,
    states: &STATES,
    inputs: &[flow("LT", "reflux", 1.5, 4.5, 2.706_29), flow("VB", "boil-up", 2.0, 5.0, 3.206_29)],
    disturbances: &[
        flow("F", "feed", 0.7, 1.3, 1.0),
        Variable {
            name: "ZF",
            description: "light component in the feed",
            unit: Unit::ONE,
            low: 0.3,
            high: 0.7,
            nominal: 0.5,
        },
    ],
    outputs: &[Variable { name: "XD", ..XD }, Variable { name: "XB", ..XB }],
    assumptions: &[
        "binary mixture of constant relative volatility, constant molar flows, no vapour hold-up, constant pressure",
        "total condenser; saturated liquid feed; liquid flow linear in the hold-up, vapour without effect on it",
        "levels of reboiler and condenser held by the products, proportional control",
    ],
    sources: &[
        "Skogestad, Trans. IChemE 75 A (1997) 539, and its program colamod.m",
        "Skogestad and Postlethwaite, Multivariable Feedback Control",
    ],
};

impl Equations<NX, 2, 2> for ColumnA {
    fn slope(&self, x: &[f64; NX], &[lt, vb]: &[f64; 2], &[f, zf]: &[f64; 2]) -> [f64; NX] {
        let mut dx = [0.0; NX];
        let mut vapour_below = 0.0;
        for i in 0..STAGES {
            let (x_i, m_i) = (x[i], x[STAGES + i]);
            let (vapour, _) = self.vapour(x_i);
            let (leaves, _) = self.liquid(i, m_i, lt);
            let above = if i == TOP { None } else { Some((self.liquid(i + 1, x[STAGES + i + 1], lt).0, x[i + 1])) };
            let (enters, brings) = above.map_or((0.0, 0.0), |(l, x_above)| (l, l * (x_above - x_i)));
            let (feed, feeds) = if i == FEED { (f, f * (zf - x_i)) } else { (0.0, 0.0) };
            (dx[i], dx[STAGES + i]) = match i {
                0 => (brings - vb * (vapour - x_i), enters - vb - self.drawn(m_i)),
                TOP => (vb * (vapour_below - x_i), vb - lt - self.drawn(m_i)),
                _ => (brings + vb * (vapour_below - vapour) + feeds, enters - leaves + feed),
            };
            dx[i] /= m_i;
            vapour_below = vapour;
        }
        dx
    }

    fn linearised(&self, x: &[f64; NX], u: &[f64; 2], p: &[f64; 2]) -> Linearised<NX, 2> {
        let (&[lt, vb], &[f, _]) = (u, p);
        let slope = self.slope(x, u, p);
        let mut at = Linearised { slope, by_x: [[0.0; NX]; NX], by_u: [[0.0; NX]; 2] };
        for i in 0..STAGES {
            let (m, m_i) = (STAGES + i, x[STAGES + i]);
            let (vapour, vapour_by_x) = self.vapour(x[i]);
            let vapour_below = if i == 0 { x[0] } else { self.vapour(x[i - 1]).0 };
            // The condenser's contents leave as liquid: what stands for the vapour is the liquid itself.
            let (leaves, leaves_by_x) = if i == TOP { (x[i], 1.0) } else { (vapour, vapour_by_x) };
            at.by_x[m][i] -= slope[i] / m_i;
            at.by_u[1][i] = (vapour_below - leaves) / m_i;
            at.by_x[i][i] -= vb * leaves_by_x / m_i;
            if i == 0 {
                at.by_x[i][i] += vb / m_i;
            } else {
                at.by_x[i - 1][i] += vb * self.vapour(x[i - 1]).1 / m_i;
            }
            if i == FEED {
                at.by_x[i][i] -= f / m_i;
            }
            if i < TOP {
                let (enters, by_m) = self.liquid(i + 1, x[m + 1], lt);
                at.by_x[i][i] -= enters / m_i;
                at.by_x[i + 1][i] += enters / m_i;
                at.by_x[m + 1][i] += by_m * (x[i + 1] - x[i]) / m_i;
                at.by_x[m + 1][m] += by_m;
                if i + 1 == TOP {
                    at.by_u[0][i] = (x[i + 1] - x[i]) / m_i;
                    at.by_u[0][m] = 1.0;
                }
            }
            if i == 0 || i == TOP {
                at.by_x[m][m] -= self.level_gain;
            } else {
                at.by_x[m][m] -= 1.0 / self.hydraulic_lag;
            }
        }
        at.by_u[0][STAGES + TOP] = -1.0;
        at.by_u[1][STAGES] = -1.0;
        at.by_u[1][STAGES + TOP] = 1.0;
        at
    }
}

impl PlantModel for ColumnA {
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
        put(y, [x[TOP], x[0]]);
    }

    fn output_jacobian(&self, _x: &[f64], _p: &[f64], c: &mut DMatrix<f64>) {
        let mut columns = [[0.0; 2]; NX];
        columns[TOP][0] = 1.0;
        columns[0][1] = 1.0;
        put_columns(c.as_mut_slice(), columns);
    }
}
