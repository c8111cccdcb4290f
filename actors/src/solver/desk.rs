//! Where the control thread, the solver's threads and their keeper meet: the newest problem, and whose turn it is.
//!
//! One atomic word says which solver is in service, by its generation, and what it is at:
//!
//! ```text
//! Free ──▶ Solving ──▶ Publishing ──▶ Preparing ──▶ Free      by the solver in service
//!   └─────────┴─── not from here ─────────┴──▶ next generation, Free     by the keeper
//! ```
//!
//! Every step is a compare-and-exchange from the word that its maker saw last, so of a solver that publishes and a keeper
//! that replaces it exactly one succeeds. Publishing is a copy into a slot and a ring, and cannot hang.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use super::Problem;
use crate::kernel::Latest;

/// The word: the generation in the upper half, the steps of this generation in the lower. Four steps are a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn(u64);

/// What the solver in service is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Free,
    Solving,
    Publishing,
    Preparing,
}

impl Turn {
    const GENERATION: u64 = 1 << 32;

    pub(super) fn phase(self) -> Phase {
        match self.0 % 4 {
            0 => Phase::Free,
            1 => Phase::Solving,
            2 => Phase::Publishing,
            _ => Phase::Preparing,
        }
    }

    /// The number of the solver, modulo 2³².
    pub(super) fn generation(self) -> u32 {
        u32::try_from(self.0 / Self::GENERATION).unwrap_or(u32::MAX)
    }

    /// The next step of the same generation.
    pub(super) fn next(self) -> Self {
        let step = (self.0 + 1) % Self::GENERATION;
        Self(self.0 - self.0 % Self::GENERATION + step)
    }

    /// The first step of the next generation.
    fn next_generation(self) -> Self {
        Self((self.0 - self.0 % Self::GENERATION).wrapping_add(Self::GENERATION))
    }
}

#[derive(Debug, Default)]
pub(super) struct Desk {
    problem: Latest<Problem>,
    /// Which problem was taken last, by its sequence.
    taken: AtomicU64,
    turn: AtomicU64,
    /// The solver in service, to wake it. Held for the waking and, by the keeper, for the exchange of one pointer.
    seat: Mutex<Option<Thread>>,
    closed: AtomicBool,
}

impl Desk {
    /// Makes `problem` the newest and wakes the solver.
    pub(super) fn bring(&self, problem: Problem) {
        self.problem.put(problem);
        self.wake();
    }

    /// No more problems will come.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.wake();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(super) fn turn(&self) -> Turn {
        Turn(self.turn.load(Ordering::Acquire))
    }

    /// Whether a problem lies here that nobody has taken.
    pub(super) fn is_waiting(&self) -> bool {
        self.problem.sequence() != self.taken.load(Ordering::Acquire)
    }

    /// Takes the next step for the solver that saw `turn` last; `false` when it has been replaced.
    pub(super) fn advance(&self, turn: &mut Turn) -> bool {
        let won = self.exchange(*turn, turn.next());
        *turn = turn.next();
        won
    }

    /// Waits, as the solver in service, for a problem and begins it. `None` when the solver has been replaced or the
    /// desk is closed.
    pub(super) fn next(&self, turn: &mut Turn) -> Option<Problem> {
        loop {
            if self.is_closed() || self.turn() != *turn {
                return None;
            }
            if !self.is_waiting() {
                // A wake-up that came before is kept by the thread. The time-out is for the replaced, whom nobody wakes.
                std::thread::park_timeout(Duration::from_secs(1));
                continue;
            }
            if !self.advance(turn) {
                return None;
            }
            let (sequence, problem) = self.problem.read_with_sequence()?;
            self.taken.store(sequence, Ordering::Release);
            return Some(problem);
        }
    }

    /// As the keeper: takes the solver that was seen at `turn` out of service. Gives the first turn of the next one, or
    /// `None` when the old one has moved on, or publishes just now.
    pub(super) fn replace(&self, turn: Turn) -> Option<Turn> {
        let next = turn.next_generation();
        (turn.phase() != Phase::Publishing && self.exchange(turn, next)).then_some(next)
    }

    /// As the keeper: `solver` is in service. It is woken, for what was brought while nobody was.
    pub(super) fn seat(&self, solver: Thread) {
        *self.seat.lock().unwrap_or_else(PoisonError::into_inner) = Some(solver);
        self.wake();
    }

    fn wake(&self) {
        if let Some(solver) = self.seat.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            solver.unpark();
        }
    }

    fn exchange(&self, from: Turn, to: Turn) -> bool {
        self.turn.compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_steps_are_a_round_and_stay_in_their_generation() {
        let last = Turn(3 * Turn::GENERATION - 1);
        assert_eq!((last.phase(), last.next()), (Phase::Preparing, Turn(2 * Turn::GENERATION)));
        assert_eq!((last.next().phase(), last.next_generation()), (Phase::Free, Turn(3 * Turn::GENERATION)));
    }

    #[test]
    fn of_a_solver_that_publishes_and_a_keeper_that_replaces_it_one_succeeds() {
        let desk = Desk::default();
        let mut solver = desk.turn();
        assert!(desk.advance(&mut solver), "solving");
        let seen = desk.turn();
        assert!(desk.advance(&mut solver), "publishing");
        assert_eq!((desk.replace(seen), desk.replace(desk.turn())), (None, None), "too late to replace it");
        assert!(desk.advance(&mut solver) && desk.advance(&mut solver) && desk.advance(&mut solver), "solving again");
        let mut heir = desk.replace(desk.turn()).unwrap();
        assert!(!desk.advance(&mut solver), "the replaced may not publish");
        assert!(desk.advance(&mut heir));
    }
}
