//! A stage of the loop.

use std::fmt;

use signals::Stamp;

/// What happens when a bell of the loop rings: read slots, call one pure step, write slots, ring on.
///
/// It must not block, and should not allocate in the steady state. A panic ends this incarnation, not the loop.
pub trait Stage: Send + fmt::Debug {
    /// One step at the plant time `now`, the only time that it may decide by: it is read from the clock for it, so
    /// that a step is a function of the slots and of `now` and can be replayed. Stages that have nothing new to do return
    /// at once: rings are hints, slots are the truth.
    fn step(&mut self, now: Stamp);
}
