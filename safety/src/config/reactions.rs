//! The reactions of one subject.

use std::time::Duration;

use crate::reaction::{Effect, Reaction};
use crate::row::Row;

/// The reactions of one subject to `N` rows of the matrix that follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reactions<const N: usize> {
    first: Row,
    cells: [Reaction; N],
}

impl<const N: usize> Reactions<N> {
    pub(crate) fn new(rows: [Row; N], of: impl Fn(Row) -> Reaction) -> Self {
        Self { first: rows.first().copied().unwrap_or(Row::Quality), cells: rows.map(of) }
    }

    /// The reaction to `row`; `None` for a row of another kind of subject.
    #[must_use]
    pub fn get(&self, row: Row) -> Option<Reaction> {
        self.at(row.place().checked_sub(self.first.place())?)
    }

    /// The reaction to `row`, to be changed.
    pub fn get_mut(&mut self, row: Row) -> Option<&mut Reaction> {
        self.cells.get_mut(row.place().checked_sub(self.first.place())?)
    }

    /// The same with another effect of `row`, at its customary priority.
    #[must_use]
    pub fn with(mut self, row: Row, effect: Effect) -> Self {
        if let Some(reaction) = self.get_mut(row) {
            *reaction = Reaction::of(effect, reaction.delay);
        }
        self
    }

    /// The same with another delay of `row`.
    #[must_use]
    pub fn after(mut self, row: Row, delay: Duration) -> Self {
        if let Some(reaction) = self.get_mut(row) {
            reaction.delay = delay;
        }
        self
    }

    pub(crate) fn at(&self, place: usize) -> Option<Reaction> {
        self.cells.get(place).copied()
    }

    /// Each row with its reaction.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Row, Reaction)> {
        Row::all().skip(self.first.place()).zip(self.cells)
    }
}
