//! The round by itself: no actor, no runtime. What a run serves was rung in it, or called in before.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signals::Stamp;

use super::super::probe::{Telemetry, Unobserved};
use super::super::witness::Unwitnessed;
use super::*;

/// Notes its number, rings the bells that it is told to ring, and crashes when told so.
#[derive(Clone, Debug, Default)]
struct Ringer {
    number: usize,
    rings: Vec<Doorbell>,
    /// How often it rings, at most.
    times: Arc<AtomicUsize>,
    crash: Arc<AtomicBool>,
    log: Arc<Mutex<Vec<usize>>>,
}

impl Stage for Ringer {
    fn step(&mut self, _now: Stamp) {
        self.log.lock().unwrap().push(self.number);
        if self.times.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            self.rings.iter().for_each(|bell| bell.ring(0));
        }
        assert!(!self.crash.swap(false, Ordering::Relaxed), "injected");
    }
}

struct Loop {
    round: Round,
    bells: Vec<Doorbell>,
    stages: Vec<Ringer>,
    log: Arc<Mutex<Vec<usize>>>,
}

impl Loop {
    /// A stage for each entry, which rings the stages of that entry at its first `times` steps.
    fn of(rings: &[&[usize]], times: usize) -> Self {
        let bells: Vec<Doorbell> = rings.iter().map(|_| Doorbell::new()).collect();
        let round = Round::new(rings.len(), Clock::wall(1.0), Arc::new(Unwitnessed));
        let log = Arc::default();
        let mut it = Self { round, bells, stages: Vec::new(), log };
        for (number, rings) in rings.iter().enumerate() {
            let rings = rings.iter().map(|to| it.bells[*to].clone()).collect();
            let (times, crash) = (Arc::new(AtomicUsize::new(times)), Arc::default());
            it.stages.push(Ringer { number, rings, times, crash, log: it.log.clone() });
            it.seat(number);
            it.bells[number].bind(it.round.turns.seat(number));
        }
        // An heir's first turn comes without a ring.
        it.run(&[], MOST);
        assert_eq!(it.stepped(), [0; 0]);
        it
    }

    fn seat(&mut self, stage: usize) {
        let probe = Telemetry::new(Box::new(Unobserved)).probe("ringer");
        let (made, bell) = (Box::new(self.stages[stage].clone()), self.bells[stage].clone());
        self.round.seat(stage, Incarnation { stage: made, bell, probe });
    }

    /// Rings from outside, and runs; who crashed, and how many turns are left of so many.
    fn run(&mut self, rung: &[usize], turns: usize) -> (Option<Fallen>, usize) {
        rung.iter().for_each(|stage| self.bells[*stage].ring(0));
        self.round.call_in();
        let mut left = turns;
        (self.round.run(&mut left), left)
    }

    /// The numbers of the stages that have stepped since the last call.
    fn stepped(&self) -> Vec<usize> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }
}

#[test]
fn who_is_rung_in_a_step_waits_behind_all_who_were_rung_before() {
    // Two sensors, an estimator, an interlock, an actuator.
    let mut it = Loop::of(&[&[2], &[2], &[3], &[4], &[]], 10);
    it.run(&[0, 1, 3], MOST);
    assert_eq!(it.stepped(), [0, 1, 3, 2, 4, 3, 4], "3 and its 4 came before 2 had rung it again");
}

#[test]
fn a_stage_waits_once_however_often_it_is_rung() {
    let mut it = Loop::of(&[&[1, 1, 2, 1], &[2], &[]], 10);
    it.run(&[0], MOST);
    assert_eq!((it.stepped(), it.bells[1].coalesced()), (vec![0, 1, 2], 2));
}

#[test]
fn what_is_rung_from_outside_waits_until_the_round_is_woken_and_looks() {
    let mut it = Loop::of(&[&[], &[]], 10);
    it.run(&[], MOST);
    it.bells[1].ring(0);
    assert!(it.round.run(&mut MOST.clone()).is_none());
    assert_eq!(it.stepped(), [0; 0]);
    it.run(&[0], MOST);
    assert_eq!(it.stepped(), [0, 1], "in the order of the loop");
}

#[test]
fn a_step_that_panics_takes_nobody_along_and_is_mended_behind_who_waited() {
    let mut it = Loop::of(&[&[1], &[2], &[]], 10);
    it.stages[0].crash.store(true, Ordering::Relaxed);
    let (fallen, left) = it.run(&[0, 2], MOST);
    let fallen = fallen.expect("a crash");
    assert_eq!((fallen.stage, fallen.why.as_str()), (0, "injected"));
    // 1 was rung before the panic, 2 from outside.
    assert_eq!(it.stepped(), [0, 2, 1]);
    let mut left = left;
    it.bells[0].ring(0);
    it.round.call_in();
    assert!(it.round.run(&mut left).is_none());
    assert_eq!(it.stepped(), [2], "who is down does not step; 1 had rung 2");
    it.seat(0);
    it.round.run(&mut left);
    assert_eq!(it.stepped(), [0, 1, 2], "the ring that nobody answered is answered by the heir");
}

#[test]
fn a_crash_in_the_step_in_which_it_rang_itself_leaves_it_down_until_it_is_mended() {
    let mut it = Loop::of(&[&[0]], 1);
    it.stages[0].crash.store(true, Ordering::Relaxed);
    assert_eq!(it.run(&[0], MOST).0.expect("a crash").stage, 0);
    assert_eq!(it.stepped(), [0]);
    it.seat(0);
    it.run(&[], MOST);
    assert_eq!(it.stepped(), [0]);
}

#[test]
fn a_stage_that_rings_itself_for_long_ends_the_run_and_lets_the_others_in() {
    let mut it = Loop::of(&[&[0], &[]], 1000);
    let (_, left) = it.run(&[0], MOST);
    assert_eq!((it.stepped().len(), left), (MOST, 0));
    it.run(&[1], MOST);
    assert!(it.stepped()[..2].contains(&1), "who is rung from outside is second at the latest");
    it.run(&[], 100_000);
    assert_eq!(it.stepped().len(), 1001 - 2 * MOST + 1, "the negative control: without the bound it has its way");
}

#[test]
fn a_ring_for_another_loop_is_none_of_this_rounds_turns() {
    let (mut one, mut other) = (Loop::of(&[&[]], 10), Loop::of(&[&[]], 10));
    one.run(&[], MOST);
    one.stages[0].rings = vec![other.bells[0].clone()];
    one.seat(0);
    one.run(&[0], MOST);
    assert_eq!((one.stepped(), other.bells[0].is_rung()), (vec![0], true));
    other.run(&[], MOST);
    assert_eq!(other.stepped(), [0]);
}
