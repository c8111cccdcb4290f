//! Linear models from recorded data: what the DMC controller predicts with, when no table of step responses is at hand.
//!
//! Off the loop: an engineer runs it on a step test, looks at the scores, and hands the model to [`crate::dmc`].
//!
//! ```text
//! text ─> Table ─> DataSet ─> Scaling ─┬─> Arx::fit ────> StateSpace ─> score on fresh data
//!                                      └─> subspace::fit ─┘    └─> step responses ─> dmc::StepResponseModel
//! ```
//!
//! Models are in deviations from the data's level, in the units that the data set was in; [`StateSpace::in_units`]
//! takes the scaling off again.
//!
//! # Invariants
//! - Pure: text in, models out; nothing is read from disk here. Equal data give bit-equal models.
//! - A fit that the data do not determine is refused ([`IdentificationError::Rank`]), not guessed; the subspace method
//!   alone works with pseudo-inverses, for there the order says how much rank is meant.
//!
//! Sources: Ljung, *System Identification*, 2nd ed., ch. 4 (ARX), 10 (least squares), 16.6 (validation); Van Overschee
//! and De Moor, *Subspace Identification for Linear Systems*, 1996; Verhaegen, *Automatica* 30(1) 1994 (PO-MOESP).

mod arx;
mod data;
mod gain;
mod linear;
mod score;
mod state_space;
pub mod subspace;
mod table;

#[cfg(test)]
mod tests;

pub use arx::{Arx, ArxInput, ArxOrders};
pub use data::{DataSet, Scaling, Trend};
pub use score::{Horizon, Score, fit_percent, score};
pub use state_space::StateSpace;
pub use table::Table;

/// Why data make no model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum IdentificationError {
    /// A cell of a table is not what it must be.
    #[error("{source_name}, line {line}, column `{column}`: `{value}`, expected {expected}")]
    Cell {
        /// Where the table is from.
        source_name: String,
        /// Line of the text, from 1.
        line: usize,
        /// The column's name.
        column: String,
        /// As it stands there.
        value: String,
        /// What should.
        expected: &'static str,
    },
    /// A row has more or fewer cells than the table has columns.
    #[error("{source_name}, line {line}: {cells} cells, expected {columns}")]
    Width {
        /// Where the table is from.
        source_name: String,
        /// Line of the text, from 1.
        line: usize,
        /// How many stand there.
        cells: usize,
        /// How many should.
        columns: usize,
    },
    /// A table has no rows.
    #[error("{source_name}: no rows of numbers")]
    Empty {
        /// Where the table is from.
        source_name: String,
    },
    /// A column is asked for that the table does not have.
    #[error("{source_name}: no column `{column}`, there are {present:?}")]
    Column {
        /// Where the table is from.
        source_name: String,
        /// As asked for.
        column: String,
        /// Those that are there.
        present: Vec<String>,
    },
    /// Fewer samples than a fit needs.
    #[error("{samples} samples, at least {needed} needed")]
    Short {
        /// Samples given.
        samples: usize,
        /// Samples needed.
        needed: usize,
    },
    /// The regressors are linearly dependent: too little excitation, or too high an order.
    #[error("the data do not determine the model: {regressors} regressors of numerical rank {rank}")]
    Rank {
        /// Unknowns of the regression.
        regressors: usize,
        /// Those that are determined.
        rank: usize,
    },
    /// An order or a number is out of its range.
    #[error("{key} is {value}, expected {expected}")]
    Argument {
        /// Which.
        key: &'static str,
        /// As given.
        value: f64,
        /// What is lawful.
        expected: &'static str,
    },
}
