//! Who is told what the kernel does, in the order in which the control thread does it.

use std::fmt;

use signals::Stamp;

/// One thing that the kernel did. Children are numbered in the order in which they were started, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The child is about to step at the plant time `now`.
    Step {
        /// Its number.
        child: u16,
        /// The time that it is told.
        now: Stamp,
    },
    /// The child's incarnation is dead; until the next restart the child does not step.
    Crashed {
        /// Its number.
        child: u16,
    },
    /// A new incarnation of the child is about to be made.
    Restarted {
        /// Its number.
        child: u16,
    },
    /// The child is given up and the escalation raised.
    GivenUp {
        /// Its number.
        child: u16,
    },
}

/// Told of each [`Act`] on the control thread: it must neither block nor, in the steady state, allocate.
pub trait Witness: Send + Sync + fmt::Debug {
    /// The kernel does `act`.
    fn act(&self, act: Act);
}

/// A witness that looks away.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwitnessed;

impl Witness for Unwitnessed {
    fn act(&self, _act: Act) {}
}
