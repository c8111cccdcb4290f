//! The model's contract: what is proved on the model counts for the plant only while the plant does what the model says.
//!
//! Two things are watched, once per period:
//!
//! ```text
//! residual    w = x⁺ - F(x, u, p)                in a box W, state by state
//!             v = y⁺ - (h(F(x, u, p), p⁺) + d)    in a box V, CV by CV
//! envelope    x, u, p inside the ranges that the model's card names
//! ```
//!
//! x, d and p are the estimator's, F is the model's flow over one period, and y = h(x, p) + d. So w is what the estimator
//! had to correct; a filter or a controller with margins for W keeps its promise exactly while w stays in W.
//!
//! A breach makes the contract *suspect*; so many breaches in a row make it *void*, and so many periods in a row without
//! one make it hold again. One outlier of a transmitter is no breach of physics, and a plant that has left the model does not
//! return by one lucky sample. While it is void, untrusted proposers are not accepted: whoever selects goes on without
//! them, down the ladder.
//!
//! # Invariants
//! - The verdict counts periods and knows no clock. A gap between two cycles, or an estimate that is not valid, says
//!   nothing of the residual: neither breach nor proof.
//! - No allocation after construction.
//!
//! Source: the assume-guarantee contracts of run-time assurance: Hobbs, Mote, Abate, Coogan and Feron, *IEEE Control Systems*
//! 43(2) 2023; the set W is that of robust predictive control, Rawlings, Mayne and Diehl, *Model Predictive Control*, 2nd
//! ed., ch. 3.

use plant_models::{Held, Integrator, MAX_STATES, Method, PlantModel, Variable};
use signals::{MAX_CVS, MAX_DVS, MAX_MVS, Values};

/// What the contract says. Boxes are half-widths in model units; infinite is not watched.
#[derive(Clone, Debug, PartialEq)]
pub struct ContractConfig {
    /// Control period, s of plant time.
    pub period_s: f64,
    /// How the model is integrated.
    pub method: Method,
    /// Integration sub-steps of one period.
    pub substeps: usize,
    /// The model output of each CV.
    pub outputs: Vec<usize>,
    /// W: largest residual of each state, NX.
    pub state_residual_max: Vec<f64>,
    /// V: largest residual of each CV.
    pub cv_residual_max: Vec<f64>,
    /// Breaches in a row that make the contract void.
    pub void_after: u32,
    /// Periods in a row without a breach that make a void contract hold again.
    pub holds_after: u32,
}

/// Why a configuration makes no contract.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ContractError {
    /// A list has not the length that the model's card asks for.
    #[error("{key} has {got} elements, expected {expected}")]
    Length {
        /// The key of the configuration.
        key: &'static str,
        /// As configured.
        got: usize,
        /// What it must be.
        expected: usize,
    },
    /// A number is out of its range.
    #[error("{key} is {value}, expected {expected}")]
    Number {
        /// The key of the configuration.
        key: &'static str,
        /// As configured.
        value: f64,
        /// What it must be.
        expected: &'static str,
    },
}

/// What the contract is told each cycle. Model units.
#[derive(Clone, Copy, Debug)]
pub struct ContractInput<'a> {
    /// The control cycle.
    pub cycle: u64,
    /// Estimated state, NX.
    pub x: &'a [f64],
    /// Estimated output disturbance, one per CV.
    pub d: &'a [f64],
    /// Model disturbances, NP.
    pub p: &'a [f64],
    /// Set-points in force since the last cycle, NU.
    pub u: &'a [f64],
}

/// What a breach is of; numbers count from 0 in the model's or the loop's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clause {
    /// The residual of a state.
    StateResidual(usize),
    /// The residual of a CV.
    CvResidual(usize),
    /// The envelope of a state.
    StateEnvelope(usize),
    /// The envelope of an input.
    InputEnvelope(usize),
    /// The envelope of a disturbance, measured or nominal.
    DisturbanceEnvelope(usize),
}

/// One clause that does not hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Breach {
    /// Of what.
    pub clause: Clause,
    /// By how much it lies outside, model units; infinite for a number that is none.
    pub by: f64,
    /// The same beside the box or the envelope's span: which of several breaches is the worst.
    pub share: f64,
}

/// Where the contract stands.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum ContractStatus {
    /// The plant does what the model says.
    #[default]
    Holding,
    /// It did not, in the last period or periods; not often enough to be void.
    Suspect {
        /// The worst breach of this period.
        breach: Breach,
        /// Breaches in a row.
        periods: u32,
    },
    /// What is proved on the model does not count.
    Void {
        /// The worst of the last breach.
        breach: Breach,
    },
}

impl ContractStatus {
    /// Whether untrusted proposers may be accepted.
    #[must_use]
    pub fn admits_untrusted(&self) -> bool {
        !matches!(self, Self::Void { .. })
    }
}

/// Where the model was one period ago.
#[derive(Clone, Copy, Debug)]
struct Before {
    cycle: u64,
    x: Values<MAX_STATES>,
    d: Values<MAX_CVS>,
    p: Values<MAX_DVS>,
}

/// The contract of one loop, watched.
#[derive(Debug)]
pub struct Contract {
    config: ContractConfig,
    model: &'static dyn PlantModel,
    integrator: Integrator,
    before: Option<Before>,
    status: ContractStatus,
    /// Periods in a row without a breach, while void.
    clean: u32,
    y: [Vec<f64>; 2],
}

impl Contract {
    /// The contract of `model`; it holds until it is broken.
    ///
    /// # Errors
    /// [`ContractError`] when the configuration does not fit the model.
    pub fn new(model: &'static dyn PlantModel, config: ContractConfig) -> Result<Self, ContractError> {
        config.check(model)?;
        let y = vec![0.0; model.card().outputs.len()];
        let integrator = Integrator::new(model, config.method);
        let status = ContractStatus::default();
        Ok(Self { config, model, integrator, before: None, status, clean: 0, y: [y.clone(), y] })
    }

    /// Where the contract stands.
    #[must_use]
    pub fn status(&self) -> ContractStatus {
        self.status
    }

    /// Judges one cycle. An input whose lengths do not fit is a gap.
    pub fn step(&mut self, input: &ContractInput<'_>) -> ContractStatus {
        if !self.fits(input) {
            self.before = None;
            return self.status;
        }
        let residual = self.residual(input);
        let judged = residual.is_some();
        let worst = [residual.flatten(), self.envelope(input)].into_iter().flatten().reduce(worse);
        self.before = Some(Before {
            cycle: input.cycle,
            x: Values::collect(input.x.iter().copied()),
            d: Values::collect(input.d.iter().copied()),
            p: Values::collect(input.p.iter().copied()),
        });
        self.status = match worst {
            Some(breach) => self.breached(breach),
            None if judged => self.kept(),
            None => self.status,
        };
        self.status
    }

    fn breached(&mut self, breach: Breach) -> ContractStatus {
        self.clean = 0;
        let periods = match self.status {
            ContractStatus::Void { .. } => return ContractStatus::Void { breach },
            ContractStatus::Suspect { periods, .. } => periods + 1,
            ContractStatus::Holding => 1,
        };
        if periods >= self.config.void_after {
            ContractStatus::Void { breach }
        } else {
            ContractStatus::Suspect { breach, periods }
        }
    }

    fn kept(&mut self) -> ContractStatus {
        self.clean = self.clean.saturating_add(1);
        match self.status {
            ContractStatus::Void { breach } if self.clean < self.config.holds_after => ContractStatus::Void { breach },
            _ => ContractStatus::Holding,
        }
    }

    /// The worst residual outside its box. The outer `None` is a period that cannot be judged.
    fn residual(&mut self, input: &ContractInput<'_>) -> Option<Option<Breach>> {
        let Before { mut x, d, p, .. } =
            self.before.filter(|before| before.cycle.checked_add(1) == Some(input.cycle))?;
        let held = Held { u: input.u, p: &p, dt_s: self.config.period_s, substeps: self.config.substeps };
        self.integrator.step(&mut x, &held);
        let [foretold, seen] = &mut self.y;
        self.model.outputs(&x, input.p, foretold);
        self.model.outputs(input.x, input.p, seen);
        let states = input.x.iter().zip(x.iter()).zip(&self.config.state_residual_max).enumerate();
        let states = states.map(|(i, ((to, from), most))| outside(Clause::StateResidual(i), to - from, *most));
        let cvs = self.config.outputs.iter().zip(input.d.iter().zip(d.iter())).zip(&self.config.cv_residual_max);
        let at = |y: &[f64], output: usize| y.get(output).copied().unwrap_or(f64::NAN);
        let cvs = cvs.enumerate().map(|(i, ((output, (d_now, d_then)), most))| {
            let residual = at(seen, *output) + d_now - at(foretold, *output) - d_then;
            outside(Clause::CvResidual(i), residual, *most)
        });
        Some(states.chain(cvs).flatten().reduce(worse))
    }

    /// What lies furthest outside the envelope of the model's card.
    fn envelope(&self, input: &ContractInput<'_>) -> Option<Breach> {
        let card = self.model.card();
        let part = |variables: &'static [Variable], values: &[f64], clause: fn(usize) -> Clause| {
            let outside = variables.iter().zip(values).enumerate().filter_map(|(i, (variable, value))| {
                let by = (variable.low - value).max(value - variable.high);
                let by = if value.is_finite() { by } else { f64::INFINITY };
                (by > 0.0).then(|| Breach { clause: clause(i), by, share: by / variable.span() })
            });
            outside.reduce(worse)
        };
        let parts = [
            part(card.states, input.x, Clause::StateEnvelope),
            part(card.inputs, input.u, Clause::InputEnvelope),
            part(card.disturbances, input.p, Clause::DisturbanceEnvelope),
        ];
        parts.into_iter().flatten().reduce(worse)
    }

    fn fits(&self, input: &ContractInput<'_>) -> bool {
        let card = self.model.card();
        let lengths = [
            (input.x.len(), card.states.len()),
            (input.d.len(), self.config.outputs.len()),
            (input.p.len(), card.disturbances.len()),
            (input.u.len(), card.inputs.len()),
        ];
        lengths.iter().all(|(got, expected)| got == expected)
    }
}

/// The breach of a value that should lie within `most` of zero.
fn outside(clause: Clause, value: f64, most: f64) -> Option<Breach> {
    let by = value.abs() - most;
    if by.is_nan() {
        // Not a number, or infinite and not watched: only the first is a breach.
        return value.is_nan().then_some(Breach { clause, by: f64::INFINITY, share: f64::INFINITY });
    }
    (by > 0.0).then(|| Breach { clause, by, share: by / most })
}

fn worse(a: Breach, b: Breach) -> Breach {
    if b.share > a.share { b } else { a }
}

impl ContractConfig {
    /// Checks the configuration against the model.
    ///
    /// # Errors
    /// The first fault found.
    fn check(&self, model: &dyn PlantModel) -> Result<(), ContractError> {
        let card = model.card();
        for (key, got, expected) in [
            ("state_residual_max", self.state_residual_max.len(), card.states.len()),
            ("cv_residual_max", self.cv_residual_max.len(), self.outputs.len()),
            ("outputs", self.outputs.len(), self.outputs.len().clamp(1, MAX_CVS)),
            ("inputs of the model", card.inputs.len(), card.inputs.len().min(MAX_MVS)),
        ] {
            if got != expected {
                return Err(ContractError::Length { key, got, expected });
            }
        }
        let known = |output: &&usize| **output >= card.outputs.len();
        if let Some(output) = self.outputs.iter().find(known) {
            return Err(number("outputs", *output as f64, "an output of the model"));
        }
        for (key, boxes) in
            [("state_residual_max", &self.state_residual_max), ("cv_residual_max", &self.cv_residual_max)]
        {
            if let Some(value) = boxes.iter().find(|value| !(**value > 0.0)) {
                return Err(number(key, *value, "a positive number, infinite where it is not watched"));
            }
        }
        for (key, value) in [("period_s", self.period_s), ("substeps", self.substeps as f64)] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(number(key, value, "a positive number"));
            }
        }
        for (key, value) in [("void_after", self.void_after), ("holds_after", self.holds_after)] {
            if value == 0 {
                return Err(number(key, 0.0, "at least 1 period"));
            }
        }
        Ok(())
    }
}

fn number(key: &'static str, value: f64, expected: &'static str) -> ContractError {
    ContractError::Number { key, value, expected }
}

#[cfg(test)]
mod tests;
