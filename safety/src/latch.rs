//! What survives a restart: the first-out of a trip or shed.

use serde::{Deserialize, Serialize};
use signals::Stamp;

use crate::cause::Cause;
use crate::verdict::FirstOut;

/// The persistent part of an interlock. Empty when nothing is latched; an interlock boots tripped either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latch {
    first_out: Option<Latched>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Latched {
    cause: Cause,
    /// Plant time of the run in which it happened.
    at_ns: i64,
    cycle: u64,
}

impl Latch {
    /// The latch of a first-out.
    #[must_use]
    pub(crate) fn of(first_out: Option<FirstOut>) -> Self {
        let latched = |f: FirstOut| Latched { cause: f.cause, at_ns: f.at.nanos(), cycle: f.cycle };
        Self { first_out: first_out.map(latched) }
    }

    /// The first-out that it holds; its time and cycle are those of the run in which it happened.
    #[must_use]
    pub fn first_out(&self) -> Option<FirstOut> {
        self.first_out.map(|l| FirstOut { cause: l.cause, at: Stamp::from_nanos(l.at_ns), cycle: l.cycle })
    }
}
