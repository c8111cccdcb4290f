//! What is told once when it begins and once when it ends.

use crate::cause::Cause;
use crate::reaction::Effect;
use crate::verdict::{Event, Events};

/// A condition that is told when it begins and when it ends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Notice {
    told: Option<Cause>,
}

impl Notice {
    /// Whether a beginning was told whose end was not.
    pub(super) fn is_told(&self) -> bool {
        self.told.is_some()
    }

    pub(super) fn tell(&mut self, active: Option<Cause>, events: &mut Events) {
        let event = match (self.told, active) {
            (None, Some(cause)) => Event::Raised { cause, effect: Effect::Warn },
            (Some(cause), None) => Event::Cleared { cause },
            _ => return,
        };
        if events.push(event).is_ok() {
            self.told = active;
        }
    }
}
