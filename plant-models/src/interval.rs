//! One interval of integration: what acts over it, how it is integrated, and the derivatives of its end.

/// What acts on the plant over one interval, held constant.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// Inputs, NU of them, in model units.
    pub u: &'a [f64],
    /// Disturbances, NP of them, in model units.
    pub p: &'a [f64],
    /// Length of the interval, s.
    pub dt_s: f64,
    /// Equal sub-steps that it is split into; 0 counts as 1.
    pub substeps: usize,
}

/// How an interval is integrated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// The classic explicit method of order four.
    #[default]
    Rk4,
    /// Alexander's diagonally implicit method of order three, L-stable.
    Sdirk3,
}

/// The derivatives of one interval's end, column by column.
#[derive(Debug)]
pub struct Sensitivities<'a> {
    /// `∂x⁺/∂x`, NX × NX.
    pub by_x: &'a mut [f64],
    /// `∂x⁺/∂u`, NX × NU.
    pub by_u: &'a mut [f64],
}
