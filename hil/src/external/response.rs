//! A plant outside, looked at: what it offers, and what a step of each input does to its outputs.

use std::fmt::Write;

use rig::{Offer, Plant, PlantFault};

use super::ExternalPlant;

/// Steps of plant time after the move.
const STEPS: usize = 10;

/// What the outputs did after one input was moved.
#[derive(Clone, Debug, PartialEq)]
pub struct StepResponse {
    /// The input.
    pub input: String,
    /// From where to where it moved.
    pub from_to: (f64, f64),
    /// The outputs at rest and after each step, in the plant's order.
    pub y: Vec<Vec<f64>>,
}

/// What the plant offers, for people.
#[must_use]
pub fn describe(offer: &Offer) -> String {
    let mut text = format!("{}, protocol {}\n", offer.name, offer.protocol);
    let groups = [("input", &offer.inputs), ("disturbance", &offer.disturbances), ("output", &offer.outputs)];
    for (group, v) in groups.into_iter().flat_map(|(group, list)| list.iter().map(move |v| (group, v))) {
        let _ = writeln!(
            text,
            "{group:<12} {:<12} {:>12} to {:<12} {:<8} nominal {:<12} {}",
            v.name, v.low, v.high, v.unit, v.nominal, v.description
        );
    }
    text
}

/// Moves each input by a tenth of its range from the nominal start, towards the farther end, and steps the plant ten times
/// by `dt_s` seconds. Each response begins with a new `start`.
///
/// # Errors
/// The plant gave no numbers, or offers what cannot be used.
pub fn step_responses(plant: &mut ExternalPlant, dt_s: f64) -> Result<Vec<StepResponse>, PlantFault> {
    let offer = plant.offer().clone();
    offer.card()?;
    let nominal: Vec<f64> = offer.inputs.iter().map(|v| v.nominal).collect();
    let p: Vec<f64> = offer.disturbances.iter().map(|v| v.nominal).collect();
    let mut responses = Vec::new();
    for (i, input) in offer.inputs.iter().enumerate() {
        let up = input.high - input.nominal >= input.nominal - input.low;
        let to = input.nominal + if up { 0.1 } else { -0.1 } * (input.high - input.low);
        let mut y = vec![f64::NAN; offer.outputs.len()];
        plant.start(&nominal, &p, &mut y)?;
        let mut seen = vec![y.clone()];
        let u: Vec<f64> = nominal.iter().enumerate().map(|(j, at)| if i == j { to } else { *at }).collect();
        for _ in 0..STEPS {
            plant.step(&u, &p, dt_s, &mut y)?;
            seen.push(y.clone());
        }
        responses.push(StepResponse { input: input.name.clone(), from_to: (input.nominal, to), y: seen });
    }
    Ok(responses)
}
