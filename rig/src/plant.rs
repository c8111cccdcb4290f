//! The seam behind which the plant stands: a model of ours, or a simulator outside this program.
//!
//! Place in the loop: under the emulator. A model of `plant-models` is integrated by the emulator itself; any other
//! simulator implements [`Plant`] (`hil::external` does so for a process or a TCP peer that speaks a line protocol) and
//! says in an [`Offer`] what it has.
//!
//! Invariant: a plant that cannot answer says so. The rig then shows every measurement with a bad status and no number
//! until it answers again; it never shows the last good values in their place.

use std::fmt;

use plant_models::{ModelCard, PlantModel, Variable};
use serde::Deserialize;
use signals::Unit;

/// A plant that gives no numbers, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct PlantFault {
    /// Why, in words.
    pub why: String,
}

/// A plant that is stepped from outside.
pub trait Plant: fmt::Debug + Send {
    /// Brings the plant to its start under inputs `u` (NU) and disturbances `p` (NP), both in the order and the units of
    /// its card, and writes its outputs `y` (NY).
    ///
    /// # Errors
    /// Why it gives no numbers; `y` is then as it was.
    fn start(&mut self, u: &[f64], p: &[f64], y: &mut [f64]) -> Result<(), PlantFault>;

    /// Moves the plant by `dt_s` seconds with `u` and `p` held, and writes its outputs at the end.
    ///
    /// # Errors
    /// Why it gives no numbers; it may do so again at a later step.
    fn step(&mut self, u: &[f64], p: &[f64], dt_s: f64, y: &mut [f64]) -> Result<(), PlantFault>;
}

/// Where a rig's plant comes from.
#[derive(Clone, Copy, Debug)]
pub enum PlantSource {
    /// A model of ours.
    Model(&'static dyn PlantModel),
    /// A plant outside, with what it offers.
    External(&'static ModelCard),
}

impl PlantSource {
    /// Its variables.
    #[must_use]
    pub fn card(self) -> &'static ModelCard {
        match self {
            Self::Model(model) => model.card(),
            Self::External(card) => card,
        }
    }
}

/// A variable as a plant outside offers it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfferedVariable {
    /// Short name, unique among the plant's variables of its kind.
    pub name: String,
    /// The symbol of its unit, one of [`Unit::ALL`].
    pub unit: String,
    /// Lower end of the range in which the plant is meant to work.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// A typical value.
    pub nominal: f64,
    /// What it is, in words.
    #[serde(default)]
    pub description: String,
}

/// What a plant outside says of itself.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// The version of the protocol that it speaks.
    pub protocol: u32,
    /// What it is, in one line.
    pub name: String,
    /// Its inputs (MVs), in order.
    pub inputs: Vec<OfferedVariable>,
    /// Its disturbances, in order.
    #[serde(default)]
    pub disturbances: Vec<OfferedVariable>,
    /// Its outputs, in order.
    pub outputs: Vec<OfferedVariable>,
}

impl Offer {
    /// The offer as a card. It lives as long as the program: call this once per plant.
    ///
    /// # Errors
    /// The first variable that cannot be used, and what was expected of it.
    pub fn card(&self) -> Result<&'static ModelCard, PlantFault> {
        let groups = [("inputs", &self.inputs), ("disturbances", &self.disturbances), ("outputs", &self.outputs)];
        for (group, offered) in groups {
            check(group, offered)?;
        }
        for (group, offered) in [("inputs", &self.inputs), ("outputs", &self.outputs)] {
            if offered.is_empty() {
                return Err(PlantFault { why: format!("{group}: expected at least one variable") });
            }
        }
        Ok(Box::leak(Box::new(ModelCard {
            name: "external",
            title: leak(&self.name),
            time_unit_s: 1.0,
            states: &[],
            inputs: variables(&self.inputs)?,
            disturbances: variables(&self.disturbances)?,
            outputs: variables(&self.outputs)?,
            assumptions: &[],
            sources: &[],
        })))
    }
}

fn check(group: &str, offered: &[OfferedVariable]) -> Result<(), PlantFault> {
    for (i, v) in offered.iter().enumerate() {
        let finite = [v.low, v.nominal, v.high].iter().all(|value| value.is_finite());
        let ordered = v.low < v.high && v.low <= v.nominal && v.nominal <= v.high;
        if !(finite && ordered) {
            let why = format!(
                "{group}: `{}` has low {}, nominal {}, high {}, expected finite numbers in this order",
                v.name, v.low, v.nominal, v.high
            );
            return Err(PlantFault { why });
        }
        if v.name.is_empty() || offered.iter().take(i).any(|other| other.name == v.name) {
            return Err(PlantFault { why: format!("{group}: the name `{}` is empty or taken", v.name) });
        }
    }
    Ok(())
}

fn variables(offered: &[OfferedVariable]) -> Result<&'static [Variable], PlantFault> {
    let made: Result<Vec<Variable>, PlantFault> = offered.iter().map(variable).collect();
    Ok(Box::leak(made?.into_boxed_slice()))
}

fn variable(v: &OfferedVariable) -> Result<Variable, PlantFault> {
    let unit = v.unit.parse::<Unit>().map_err(|e| PlantFault { why: format!("`{}`: {e}", v.name) })?;
    let (name, description) = (leak(&v.name), leak(&v.description));
    Ok(Variable { name, description, unit, low: v.low, high: v.high, nominal: v.nominal })
}

fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(edit: impl FnOnce(&mut Offer)) -> Result<&'static ModelCard, PlantFault> {
        let v = |name: &str| OfferedVariable {
            name: name.to_owned(),
            unit: "%".to_owned(),
            low: 0.0,
            high: 100.0,
            nominal: 50.0,
            description: String::new(),
        };
        let (inputs, outputs) = (vec![v("VALVE")], vec![v("LEVEL"), v("FLOW")]);
        let mut offer = Offer { protocol: 1, name: "a tank".to_owned(), inputs, disturbances: Vec::new(), outputs };
        edit(&mut offer);
        offer.card()
    }

    #[test]
    fn an_offer_becomes_a_card() {
        let card = offer(|_| {}).unwrap();
        assert_eq!((card.title, card.inputs[0].name, card.outputs[1].name), ("a tank", "VALVE", "FLOW"));
        assert_eq!(card.inputs[0].unit, Unit::PERCENT);
    }

    #[test]
    fn an_offer_that_cannot_be_used_says_what_was_expected() {
        let why = |edit: fn(&mut Offer)| offer(edit).unwrap_err().why;
        assert!(why(|o| o.inputs.clear()).contains("inputs: expected at least one"));
        assert!(why(|o| o.outputs[0].high = f64::NAN).contains("`LEVEL` has low 0, nominal 50, high NaN"));
        assert!(why(|o| o.outputs[0].nominal = 120.0).contains("expected finite numbers in this order"));
        assert!(why(|o| o.outputs[1].name = "LEVEL".to_owned()).contains("`LEVEL` is empty or taken"));
        assert!(why(|o| o.inputs[0].unit = "furlong".to_owned()).contains("unknown unit `furlong`"));
    }
}
