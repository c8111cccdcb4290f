//! The cause-and-effect matrix as data: every cause that is watched in a loop, and what it does.
//!
//! The matrix is not a description beside the code. A configured cell is read from the same [`Reaction`] that the step
//! acts by, and a fixed one from the same table of rows.

mod overlay;

use std::fmt;
use std::time::Duration;

use crate::cause::Cause;
use crate::config::InterlockConfig;
use crate::reaction::{Effect, Priority, Reaction};
use crate::row::Row;
use crate::subject::Subject;

pub use overlay::{CellChange, Overlay};

/// How many of how many must say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    /// How many must.
    pub needed: u8,
    /// Of how many.
    pub of: u8,
}

impl Vote {
    /// One of one.
    pub const SINGLE: Self = Self { needed: 1, of: 1 };
}

/// `2oo3`.
impl fmt::Display for Vote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}oo{}", self.needed, self.of))
    }
}

/// One cell: a cause and what it does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// The kind of cause.
    pub row: Row,
    /// What it speaks of.
    pub subject: Subject,
    /// How many of its sources must say so.
    pub vote: Vote,
    /// How long it must last before it has its effect.
    pub delay: Duration,
    /// What it does.
    pub effect: Effect,
    /// The priority of its alarm.
    pub priority: Priority,
    /// Whether delay and effect are given by the hand-shake or by other keys, and are not for the matrix to change.
    pub fixed: bool,
}

impl Cell {
    /// Whether the effect stays until an operator's reset; it follows from the effect.
    #[must_use]
    pub fn latches(&self) -> bool {
        self.effect.latches()
    }
}

/// One line: check, cause, subject, vote, delay, effect, latching, priority.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let check = self.row.check().map_or_else(|| "-".to_owned(), |check| check.number().to_string());
        let latch = if self.latches() { "latched" } else { "-" };
        write!(f, "{check:>2}  {:<19} {:<9} {:<4} ", self.row, self.subject, self.vote)?;
        write!(f, "{:>8.3} s  {:<10} {latch:<8} {}", self.delay.as_secs_f64(), self.effect, self.priority)
    }
}

impl InterlockConfig {
    /// Every cell of the matrix, in a fixed order: row by row, and in a row by the subjects in theirs. A check that has no
    /// number to judge by, or is switched off, has no cell.
    #[must_use]
    pub fn matrix(&self) -> Vec<Cell> {
        Row::all().flat_map(|row| self.subjects(row).into_iter().filter_map(move |s| self.cell(row, s))).collect()
    }

    /// The cell of a row and a subject, if it is watched.
    #[must_use]
    pub fn cell(&self, row: Row, subject: Subject) -> Option<Cell> {
        let reaction = self.reaction(row, subject)?;
        let Reaction { effect, delay, priority } = reaction;
        Some(Cell {
            row,
            subject,
            vote: self.vote(row, subject),
            delay,
            effect,
            priority,
            fixed: row.fixed_effect().is_some(),
        })
    }

    /// The cell that a cause belongs to; `None` for one that this loop does not watch.
    #[must_use]
    pub fn cell_of(&self, cause: &Cause) -> Option<Cell> {
        self.cell(cause.row(), cause.subject())
    }

    /// Of what a row may speak.
    fn subjects(&self, row: Row) -> Vec<Subject> {
        let count = |n: usize| 0..u16::try_from(n).unwrap_or(u16::MAX);
        if Row::TAG.contains(&row) {
            (0..self.tags.len()).map(|tag| Subject::Tag(self.measured(tag))).collect()
        } else if Row::MV.contains(&row) || Row::MV_FIXED.contains(&row) {
            count(self.mvs.len()).map(Subject::Mv).collect()
        } else if row == Row::Balance {
            count(self.balances.len()).map(Subject::Balance).collect()
        } else {
            vec![Subject::Loop]
        }
    }

    fn vote(&self, row: Row, subject: Subject) -> Vote {
        let Subject::Tag(measured) = subject else { return Vote::SINGLE };
        let spared = self.tags.get(usize::from(measured.tag)).is_some_and(|tag| tag.spares_tolerance.is_some());
        match row {
            _ if !spared => Vote::SINGLE,
            Row::Quality | Row::Age | Row::NotFinite | Row::Sequence => Vote { needed: 3, of: 3 },
            Row::Transmitter => Vote { needed: 1, of: 3 },
            _ => Vote { needed: 2, of: 3 },
        }
    }

    fn reaction(&self, row: Row, subject: Subject) -> Option<Reaction> {
        if row.check().is_some_and(|check| self.switched_off.contains(check)) {
            return None;
        }
        let watched = match subject {
            Subject::Tag(measured) => self.tags.get(usize::from(measured.tag))?.has(row),
            Subject::Mv(mv) => self.mvs.get(usize::from(mv))?.has(row),
            // Which there are is seen where its reaction is looked up.
            Subject::Balance(_) => true,
            Subject::Loop => self.policy.is_some() || !matches!(row, Row::OutOfDistribution | Row::Disagreement),
        };
        if !watched {
            return None;
        }
        let Some(effect) = row.fixed_effect() else { return self.configured(row, subject) };
        let priority = self.priorities.get(&row).copied().unwrap_or(effect.priority());
        Some(Reaction { effect, delay: self.fixed_delay(row), priority })
    }

    fn configured(&self, row: Row, subject: Subject) -> Option<Reaction> {
        match subject {
            Subject::Tag(measured) => self.tags.get(usize::from(measured.tag))?.reactions.get(row),
            Subject::Mv(mv) => self.mvs.get(usize::from(mv))?.reactions.get(row),
            Subject::Balance(n) => (row == Row::Balance).then_some(self.balances.get(usize::from(n))?.reaction),
            Subject::Loop => self.reactions.get(row),
        }
    }

    /// The reaction of a configured cell, to be changed.
    pub(crate) fn configured_mut(&mut self, row: Row, subject: Subject) -> Option<&mut Reaction> {
        match subject {
            Subject::Tag(measured) => self.tags.get_mut(usize::from(measured.tag))?.reactions.get_mut(row),
            Subject::Mv(mv) => self.mvs.get_mut(usize::from(mv))?.reactions.get_mut(row),
            Subject::Balance(n) => Some(&mut self.balances.get_mut(usize::from(n))?.reaction),
            Subject::Loop => self.reactions.get_mut(row),
        }
    }

    /// What the other keys of the configuration make of it.
    fn fixed_delay(&self, row: Row) -> Duration {
        match row {
            Row::HbDcs | Row::HbEcho | Row::Link => self.heartbeat_timeout,
            Row::ControllerSilent => self.controller_timeout(),
            // Counted from the first solve that fails.
            Row::SolverHold => self.period.saturating_mul(self.solver_failures_hold.saturating_sub(1)),
            Row::SolverShed => self.period.saturating_mul(self.solver_failures_shed.saturating_sub(1)),
            _ => Duration::ZERO,
        }
    }

    /// Check 15: how long a controller may be silent.
    pub(crate) fn controller_timeout(&self) -> Duration {
        self.period.saturating_mul(3) / 2
    }
}
