//! The one place of `xtask` that reads a clock. What it measures are our own commands, never the loop.

use std::time::Instant;

/// Wall time since it was started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch {
    started: Instant,
}

impl Stopwatch {
    #[allow(clippy::disallowed_methods, reason = "times our own commands; nothing here is part of the loop")]
    pub(crate) fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Seconds of wall time since the start.
    pub(crate) fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}
