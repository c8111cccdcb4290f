//! Two steps' rows, cell by cell.

use signals::Stamp;

use crate::journal::{Kind, Layout};

/// The first thing in which a replay is not the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The control cycle.
    pub cycle: u64,
    /// The interlock scan within it.
    pub scan: u64,
    /// The plant time of the step.
    pub at: Stamp,
    /// The stage.
    pub stage: String,
    /// What is different.
    pub what: What,
}

/// What is different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A cell of a row.
    Field {
        /// The kind of row.
        kind: Kind,
        /// The cell.
        field: String,
        /// As recorded.
        expected: String,
        /// As replayed.
        got: String,
    },
    /// The run put something out that the replay did not.
    Missing(Kind),
    /// The replay puts something out that the run did not.
    Surplus(Kind),
    /// The stage panicked here and not in the run.
    Panicked,
    /// The records do not fit the replayed loop.
    Misfit(String),
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cycle, scan, at, stage, what } = self;
        write!(f, "cycle {cycle}, scan {scan}, {:.3} s, stage {stage}: ", at.secs_f64())?;
        match what {
            What::Field { kind, field, expected, got } => {
                write!(f, "{kind:?}, field {field}: recorded {expected}, replayed {got}")
            }
            What::Missing(kind) => write!(f, "{kind:?} was recorded and is not replayed"),
            What::Surplus(kind) => write!(f, "{kind:?} is replayed and was not recorded"),
            What::Panicked => write!(f, "the stage panics in the replay and did not in the run"),
            What::Misfit(why) => write!(f, "{why}"),
        }
    }
}

/// The first difference between what was recorded of a step and what was replayed.
pub(super) fn first(layout: &Layout, recorded: &[(Kind, Vec<u64>)], replayed: &[(Kind, Vec<u64>)]) -> Option<What> {
    for (place, (kind, expected)) in recorded.iter().enumerate() {
        let Some((found, got)) = replayed.get(place) else { return Some(What::Missing(*kind)) };
        if found != kind {
            return Some(What::Missing(*kind));
        }
        let width = expected.len().max(got.len());
        let cell = |row: &[u64], i: usize| row.get(i).copied().unwrap_or_default();
        if let Some(i) = (0..width).find(|i| cell(expected, *i) != cell(got, *i)) {
            let (field, say) = layout.field(*kind, i);
            return Some(What::Field { kind: *kind, field, expected: say(cell(expected, i)), got: say(cell(got, i)) });
        }
    }
    replayed.get(recorded.len()).map(|(kind, _)| What::Surplus(*kind))
}
