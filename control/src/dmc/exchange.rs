//! What the controller is given in each cycle, and what it gives back.

use signals::{Fixed, MAX_CVS, MAX_MVS, SolveStatus, Stamp, Values};

use crate::mpc::MpcOutcome;

/// What one step starts from. Units of the model throughout.
#[derive(Clone, Copy, Debug)]
pub struct DmcInput<'a> {
    /// The control cycle. One that runs back, or jumps further than the model remembers, starts anew.
    pub cycle: u64,
    /// Its time.
    pub now: Stamp,
    /// Measured CVs, NY; NaN for one that cannot be used.
    pub y: &'a [f64],
    /// Set-points in force, NU, read back; NaN is allowed out of service.
    pub u_prev: &'a [f64],
    /// Measured DVs, ND; NaN for one that cannot be used.
    pub dv: &'a [f64],
    /// Targets, NY; `None` where only the limits count.
    pub setpoints: &'a [Option<f64>],
    /// Lower limits of the CVs, NY; -∞ is none.
    pub cv_lo: &'a [f64],
    /// Upper limits of the CVs, NY; +∞ is none.
    pub cv_hi: &'a [f64],
    /// Lower hard limits, NU; -∞ is none.
    pub u_lo: &'a [f64],
    /// Upper hard limits, NU; +∞ is none.
    pub u_hi: &'a [f64],
    /// Greatest move per period, NU, hard; +∞ is none.
    pub du_max: &'a [f64],
    /// Ideal resting values, NU; `None` for no preference.
    pub u_ideal: &'a [Option<f64>],
}

/// What a CV in the targets may wish for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    /// To stay above its lower limit.
    #[default]
    LowerLimit,
    /// To stay below its upper limit.
    UpperLimit,
    /// To rest at its set-point.
    Setpoint,
    /// To rest at all, of an integrating CV.
    Balance,
}

/// A wish that could not be met.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GivenUp {
    /// Index of the CV.
    pub cv: usize,
    /// What it wished for.
    pub wish: Wish,
    /// By how much it will rest above (or below: negative), CV units. Of a balance: its drift over the horizon.
    pub by: f64,
}

/// The targets of one cycle.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SteadyState {
    /// How the search ended; `NotRun` without targets.
    pub status: SolveStatus,
    /// Where the MVs shall rest, NU.
    pub u: Values<MAX_MVS>,
    /// Where the CVs shall rest, NY.
    pub y: Values<MAX_CVS>,
    /// What was given up, most important rank first.
    pub given_up: Fixed<GivenUp, { 2 * MAX_CVS }>,
}

/// What became of a CV's measurement.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CvState {
    /// Cycles since it was last measured; above 0, its prediction is carried by the model alone.
    pub carried_cycles: u64,
    /// Last measurement minus its prediction.
    pub innovation: f64,
}

/// How one step ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DmcOutcome {
    /// For the selector. Its residual is the solver's bound when solved, else infinite.
    pub mpc: MpcOutcome,
    /// The targets.
    pub steady_state: SteadyState,
    /// One per CV.
    pub cv: Fixed<CvState, MAX_CVS>,
}

/// Which variables take part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Services {
    /// One per CV.
    pub cv: Vec<bool>,
    /// One per MV.
    pub mv: Vec<bool>,
    /// One per DV.
    pub dv: Vec<bool>,
}
