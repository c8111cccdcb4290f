//! Whose turn it is in one loop: the stages that were rung and wait for their step, first come, first served.
//!
//! A bell that is rung by a stage in its step, or by whatever that step calls, puts its stage in the queue here; nobody is
//! woken, because the round that runs the step will serve the queue. A bell that is rung from anywhere else, the pacer's
//! driver and other threads, wakes the round, which then looks at every bell. The second way touches neither queue nor
//! lock, so a thread that is suspended within a ring holds up nobody.
//!
//! # Invariants
//! - Of each stage the queue holds at most one step and one crash. So it is of fixed size and cannot be full.
//! - The queue is touched by the round, between and within steps, and by nobody else. Its atomics are words that may be
//!   shared, not a protocol: which thread runs the round, if it ever changes, is handed over by its runtime.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};

use ractor::ActorRef;
use slots::{Bell, Wake};

use super::doorbell::{Mailbox, Ring};

/// Numbers the loops of the process from 1.
static LOOPS: AtomicU64 = AtomicU64::new(1);

thread_local! {
    /// The turns of the round that this thread runs.
    static RUNNING: RefCell<Option<Turns>> = const { RefCell::new(None) };
}

/// Alive, and not in the queue.
const IDLE: u8 = 0;
/// In the queue.
const WAITS: u8 = 1;
/// Crashed, and not yet made anew.
const DOWN: u8 = 2;
/// Down, and its backoff is over.
const DUE: u8 = 3;

/// What is next in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// A step of the stage with this number.
    Step(usize),
    /// The supervisor's: the stage with this number has crashed.
    Crashed(usize),
}

/// The queue of one round. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Turns(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: u64,
    /// Wakes the round.
    bell: Bell<Mailbox>,
    places: Box<[AtomicU8]>,
    /// Twice the number of a stage; one more for its crash. A power of two, and room for both of each stage.
    queue: Box<[AtomicUsize]>,
    head: AtomicUsize,
    tail: AtomicUsize,
}

/// A stage's place behind its bell, as those find it who ring from outside of the round.
pub(crate) struct Seat {
    turns: Turns,
    stage: usize,
}

impl Wake for Seat {
    fn wake(&self) {
        self.turns.wake();
    }
}

/// Bits of a label for the stage; those above are the loop's.
const STAGE_BITS: u32 = 20;

impl Seat {
    /// The number of the loop and that of the stage.
    pub(crate) fn label(&self) -> u64 {
        self.turns.0.id << STAGE_BITS | self.stage as u64
    }
}

/// Gives the stage with this label a turn, if its round is being run on this thread.
pub(crate) fn is_turn(label: u64) -> bool {
    let turn = |running: &RefCell<Option<Turns>>| match &*running.borrow() {
        Some(turns) if turns.0.id == label >> STAGE_BITS => {
            turns.enqueue((label & ((1 << STAGE_BITS) - 1)) as usize);
            true
        }
        _ => false,
    };
    RUNNING.try_with(turn).unwrap_or(false)
}

/// While it lives, a ring on this thread of a bell of this round is a turn.
pub(crate) struct Running;

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.set(None);
    }
}

impl Turns {
    /// Of a round of so many stages, all alive, none rung.
    pub(crate) fn new(stages: usize) -> Self {
        let places = (0..stages).map(|_| AtomicU8::new(IDLE)).collect();
        let queue = (0..(2 * stages).next_power_of_two()).map(|_| AtomicUsize::new(0)).collect();
        let zero = || AtomicUsize::new(0);
        let id = LOOPS.fetch_add(1, Ordering::Relaxed);
        Self(Arc::new(Inner { id, bell: Bell::new(), places, queue, head: zero(), tail: zero() }))
    }

    /// The actor that is woken by a ring from outside of the round.
    pub(crate) fn bind(&self, round: ActorRef<Ring>) {
        self.0.bell.bind(Mailbox(round));
    }

    /// The place of a stage, to be put behind its bell.
    pub(crate) fn seat(&self, stage: usize) -> Seat {
        Seat { turns: self.clone(), stage }
    }

    /// Wakes the round from outside.
    pub(crate) fn wake(&self) {
        self.0.bell.ring(0);
    }

    /// Answers what woke the round: a ring from outside wakes it again from here on.
    pub(crate) fn answer(&self) {
        let _ = self.0.bell.answer();
    }

    /// The round is run on this thread until what is given is dropped.
    pub(crate) fn running(&self) -> Running {
        RUNNING.set(Some(self.clone()));
        Running
    }

    /// The stage waits for its turn, unless it does already or is down.
    pub(crate) fn enqueue(&self, stage: usize) {
        if self.is(stage, IDLE) {
            self.set(stage, WAITS);
            self.push(2 * stage);
        }
    }

    /// The stage is down; whoever mends it has a turn behind all that wait.
    pub(crate) fn crashed(&self, stage: usize) {
        self.set(stage, DOWN);
        self.push(2 * stage + 1);
    }

    /// The stage is down, and is being mended.
    pub(crate) fn down(&self, stage: usize) {
        self.set(stage, DOWN);
    }

    /// The backoff of a stage is over. Called from a timer.
    pub(crate) fn due(&self, stage: usize) {
        self.set(stage, DUE);
    }

    /// The stages that are down and whose backoff is over.
    pub(crate) fn all_due(&self) -> impl Iterator<Item = usize> + use<> {
        let it = self.clone();
        (0..self.0.places.len()).filter(move |stage| it.is(*stage, DUE))
    }

    /// The stage is made anew, and has a turn: it may have been rung when it was down.
    pub(crate) fn up(&self, stage: usize) {
        self.set(stage, WAITS);
        self.push(2 * stage);
    }

    /// Who is next.
    pub(crate) fn next(&self) -> Option<Turn> {
        let Inner { queue, head, tail, .. } = &*self.0;
        let at = head.load(Ordering::Relaxed);
        if at == tail.load(Ordering::Relaxed) {
            return None;
        }
        head.store(at.wrapping_add(1), Ordering::Relaxed);
        let turn = queue.get(at & (queue.len() - 1))?.load(Ordering::Relaxed);
        let stage = turn / 2;
        if turn % 2 == 1 {
            return Some(Turn::Crashed(stage));
        }
        // One that crashed in the step in which it rang itself stays down.
        if self.is(stage, WAITS) {
            self.set(stage, IDLE);
        }
        Some(Turn::Step(stage))
    }

    fn push(&self, turn: usize) {
        let Inner { queue, tail, .. } = &*self.0;
        let at = tail.load(Ordering::Relaxed);
        if let Some(cell) = queue.get(at & (queue.len() - 1)) {
            cell.store(turn, Ordering::Relaxed);
        }
        tail.store(at.wrapping_add(1), Ordering::Relaxed);
    }

    fn is(&self, stage: usize, place: u8) -> bool {
        self.0.places.get(stage).is_some_and(|it| it.load(Ordering::Relaxed) == place)
    }

    fn set(&self, stage: usize, place: u8) {
        if let Some(it) = self.0.places.get(stage) {
            it.store(place, Ordering::Relaxed);
        }
    }
}
