//! Changes to named cells, as they come from a file.

use std::time::Duration;

use serde::Deserialize;

use crate::config::{InterlockConfig, OverlayFault, SafetyError};
use crate::reaction::{Effect, Priority};
use crate::row::Row;

/// Changes to the cells of a matrix: a file with one table `[[cell]]` for each.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlay {
    /// The changes; no cell twice.
    #[serde(default)]
    pub cell: Vec<CellChange>,
}

/// A change of one cell; what is left out stays as it is.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellChange {
    /// The row.
    pub cause: Row,
    /// The subject, as [`crate::Subject`] is written: `loop`, `CV1`, `DV1`, `MV1`, `balance1`.
    pub on: String,
    /// Another effect. Without `priority` the alarm takes the customary one of the effect.
    pub effect: Option<Effect>,
    /// Another delay, in seconds.
    pub delay_s: Option<f64>,
    /// Another priority.
    pub priority: Option<Priority>,
}

/// The longest delay that can be asked for.
const MAX_DELAY_S: f64 = 86_400.0;

impl Overlay {
    /// Makes every change, or none.
    ///
    /// # Errors
    /// [`SafetyError::Overlay`] with every fault that was found; the configuration is then as it was.
    pub fn apply(&self, config: &mut InterlockConfig) -> Result<(), SafetyError> {
        let mut changed = config.clone();
        let mut faults = Vec::new();
        for (n, change) in self.cell.iter().enumerate() {
            let mut fault = |key, must: String| {
                let on = change.on.clone();
                faults.push(OverlayFault { number: n + 1, row: change.cause, on, key, must });
            };
            let earlier = self.cell.iter().take(n);
            if earlier.into_iter().any(|other| other.cause == change.cause && other.on == change.on) {
                fault("on", "named once".to_owned());
            }
            change.apply(config, &mut changed, &mut fault);
        }
        if !faults.is_empty() {
            return Err(SafetyError::Overlay { faults });
        }
        *config = changed;
        Ok(())
    }
}

impl CellChange {
    fn apply(
        &self,
        before: &InterlockConfig,
        after: &mut InterlockConfig,
        fault: &mut dyn FnMut(&'static str, String),
    ) {
        let mut cells = before.matrix().into_iter().filter(|cell| cell.row == self.cause);
        let Some(cell) = cells.find(|cell| cell.subject.to_string() == self.on) else {
            return fault("on", format!("a cell of `{}` that this loop watches", self.cause));
        };
        if cell.fixed {
            for (key, asked) in [("effect", self.effect.is_some()), ("delay_s", self.delay_s.is_some())] {
                if asked {
                    fault(key, "left out: it is fixed".to_owned());
                }
            }
            after.priorities.extend(self.priority.map(|priority| (self.cause, priority)));
            return;
        }
        let effect = self.effect.unwrap_or(cell.effect);
        let lawful_s = self.delay_s.filter(|s| (0.0..=MAX_DELAY_S).contains(s));
        let delay = lawful_s.map_or(cell.delay, Duration::from_secs_f64);
        if self.delay_s.is_some() && lawful_s.is_none() {
            fault("delay_s", format!("from 0 to {MAX_DELAY_S}"));
        }
        if effect == Effect::Clamp {
            fault("effect", "other than clamp: only commands are clamped".to_owned());
        }
        if self.cause.is_always_on() && effect < cell.effect {
            fault("effect", format!("at least {}: this check is always on", cell.effect));
        }
        if self.cause.is_always_on() && delay > cell.delay {
            fault("delay_s", format!("at most {}: this check is always on", cell.delay.as_secs_f64()));
        }
        let Some(reaction) = after.configured_mut(self.cause, cell.subject) else { return };
        let follows = if self.effect.is_some() { effect.priority() } else { cell.priority };
        reaction.effect = effect;
        reaction.delay = delay;
        reaction.priority = self.priority.unwrap_or(follows);
    }
}
