//! A unit as a plant: started, stepped, and refused for the rest of a run once it has refused a step.
//!
//! # Invariants
//! - After a refusal every step is refused with the same words until the next start; what the unit holds is not shown.
//! - After a fatal one the unit is not called again, not even to be freed, as the standards ask.

use crate::choice::{Choice, Chosen, Start};
use crate::unit::{Instance, Refusal, Status};

/// How far the sum of equal steps may be off what was asked for, relatively.
const STEP_TOLERANCE: f64 = 1e-9;
/// Equal steps within one that was asked for, at most.
const STEPS_MAX: f64 = 1e6;

/// When the unit begins, and how it may be stepped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) start_s: f64,
    /// Whether one step may be longer than another.
    pub(crate) varies_steps: bool,
    pub(crate) settle_s: f64,
    pub(crate) settle_step_s: f64,
}

/// How the unit stands.
#[derive(Debug)]
enum Stand {
    /// Made, and not started.
    New,
    /// At `t_s`; `step_s` is its first step, which a unit that cannot vary keeps.
    Running { t_s: f64, step_s: Option<f64> },
    /// It refused something.
    Refused(String),
}

/// The plant.
pub(crate) struct UnitPlant {
    /// `None` once it is broken for good.
    instance: Option<Box<dyn Instance>>,
    choice: Choice,
    timing: Timing,
    stand: Stand,
}

impl UnitPlant {
    pub(crate) fn new(instance: Box<dyn Instance>, choice: Choice, timing: Timing) -> Self {
        Self { instance: Some(instance), choice, timing, stand: Stand::New }
    }

    pub(crate) fn choice(&self) -> &Choice {
        &self.choice
    }

    /// Begins anew under inputs `u` and disturbances `p`; the outputs then.
    ///
    /// # Errors
    /// Why not, in words; the plant is then refused until the next start.
    pub(crate) fn start(&mut self, u: &[f64], p: &[f64]) -> Result<Vec<f64>, String> {
        self.sized(u, p)?;
        let is_new = matches!(self.stand, Stand::New);
        self.stand = Stand::Running { t_s: self.timing.start_s, step_s: None };
        let started = self.started(is_new, u, p);
        self.noted(started)
    }

    /// `dt_s` seconds on, with `u` and `p` held meanwhile; the outputs then.
    ///
    /// # Errors
    /// Why not, in words; the plant is then refused until the next start.
    pub(crate) fn step(&mut self, dt_s: f64, u: &[f64], p: &[f64]) -> Result<Vec<f64>, String> {
        self.sized(u, p)?;
        match &self.stand {
            Stand::Running { .. } => {}
            Stand::New => return Err("asked for a step before `start`".to_owned()),
            Stand::Refused(why) => return Err(why.clone()),
        }
        if !(dt_s.is_finite() && dt_s > 0.0) {
            return Err(format!("`dt_s` is {dt_s}, expected a positive number of seconds"));
        }
        let stepped = self.moved(u, p).and_then(|()| self.advanced(dt_s)).and_then(|()| self.seen());
        self.noted(stepped)
    }

    /// Refused until the next start, or for good.
    pub(crate) fn refuse(&mut self, why: &str, for_good: bool) {
        self.stand = Stand::Refused(why.to_owned());
        if for_good {
            std::mem::forget(self.instance.take());
        }
    }

    fn sized(&self, u: &[f64], p: &[f64]) -> Result<(), String> {
        for (what, got, expected) in
            [("inputs", u.len(), self.choice.inputs.len()), ("disturbances", p.len(), self.choice.disturbances.len())]
        {
            if got != expected {
                return Err(format!("got {got} {what}, expected {expected}"));
            }
        }
        Ok(())
    }

    fn noted<T>(&mut self, outcome: Result<T, Trouble>) -> Result<T, String> {
        outcome.map_err(|trouble| {
            let (why, for_good) = match trouble {
                Trouble::Refused(refusal) => (refusal.to_string(), refusal.status == Status::Fatal),
                Trouble::Lost => (LOST.to_owned(), false),
                Trouble::Step(why) => (why, false),
            };
            self.refuse(&why, for_good);
            why
        })
    }

    fn unit(&mut self) -> Result<&mut dyn Instance, Trouble> {
        Ok(self.instance.as_mut().ok_or(Trouble::Lost)?.as_mut())
    }

    fn started(&mut self, is_new: bool, u: &[f64], p: &[f64]) -> Result<Vec<f64>, Trouble> {
        if !is_new {
            self.unit()?.renew()?;
        }
        let unit = self.instance.as_mut().ok_or(Trouble::Lost)?;
        for start in &self.choice.starts {
            match start {
                Start::Number(variable, value) => unit.set(variable, *value)?,
                Start::Text(variable, text) => unit.set_text(variable, text)?,
            }
        }
        self.moved(u, p)?;
        let start_s = self.timing.start_s;
        self.unit()?.initialise(start_s)?;
        let mut left_s = self.timing.settle_s;
        while left_s > STEP_TOLERANCE * self.timing.settle_s {
            // Less than a thousandth of a step that is left over is rounding, not time.
            let step_s = self.timing.settle_step_s;
            let dt_s = if left_s < 1.001 * step_s { left_s } else { step_s };
            self.advanced(dt_s)?;
            left_s -= dt_s;
        }
        self.seen()
    }

    fn moved(&mut self, u: &[f64], p: &[f64]) -> Result<(), Trouble> {
        let unit = self.instance.as_mut().ok_or(Trouble::Lost)?;
        let given = |list: &'_ [Chosen], values: &[f64]| -> Vec<_> {
            list.iter().map(|c| c.variable.clone()).zip(values.iter().copied()).collect()
        };
        let all = [given(&self.choice.inputs, u), given(&self.choice.disturbances, p)];
        for (variable, value) in all.iter().flatten() {
            unit.set(variable, *value)?;
        }
        Ok(())
    }

    fn advanced(&mut self, dt_s: f64) -> Result<(), Trouble> {
        let Stand::Running { t_s, step_s } = self.stand else { return Ok(()) };
        let first_s = step_s.unwrap_or(dt_s);
        let steps = if self.timing.varies_steps { 1.0 } else { (dt_s / first_s).round() };
        let each_s = if self.timing.varies_steps { dt_s } else { first_s };
        if (steps * each_s - dt_s).abs() > STEP_TOLERANCE * dt_s || !(1.0..=STEPS_MAX).contains(&steps) {
            let why = format!(
                "asked for a step of {dt_s} s, expected a multiple of {first_s} s: this unit cannot vary its step"
            );
            return Err(Trouble::Step(why));
        }
        for i in 0..steps as u64 {
            self.unit()?.step(t_s + i as f64 * each_s, each_s)?;
        }
        self.stand = Stand::Running { t_s: t_s + dt_s, step_s: Some(first_s) };
        Ok(())
    }

    fn seen(&mut self) -> Result<Vec<f64>, Trouble> {
        let unit = self.instance.as_mut().ok_or(Trouble::Lost)?;
        self.choice.outputs.iter().map(|c| unit.get(&c.variable).map_err(Trouble::from)).collect()
    }
}

const LOST: &str = "the unit is broken for good, as it said before: start this program again";

/// What kept a unit from a step.
enum Trouble {
    Refused(Refusal),
    Lost,
    Step(String),
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
