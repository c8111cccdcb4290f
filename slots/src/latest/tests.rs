//! The newest-value slot on the machine it runs on; `model` has it under loom.

use std::sync::Barrier;
use std::sync::atomic::AtomicBool;

use super::*;

#[test]
fn the_newest_value_wins_and_the_lost_one_is_counted() {
    let slot = Latest::new();
    assert_eq!(slot.read(), None);
    slot.put(1);
    slot.put(2);
    assert_eq!((slot.read(), slot.read(), slot.overwritten(), slot.sequence()), (Some(2), Some(2), 1, 2));
    slot.put(3);
    assert_eq!((slot.take(), slot.take(), slot.overwritten()), (Some(3), None, 1));
    slot.put(4);
    assert_eq!((slot.read_with_sequence(), slot.overwritten()), (Some((4, 4)), 1));
}

#[test]
fn a_panic_while_holding_a_clone_leaves_the_slot_usable() {
    let slot = Latest::new();
    let clone = slot.clone();
    let crashed = std::thread::spawn(move || {
        clone.put(7);
        panic!("stage crashes");
    });
    assert!(crashed.join().is_err());
    assert_eq!(slot.read(), Some(7));
}

#[test]
fn a_panic_of_who_looks_leaves_the_slot_usable() {
    let slot = Latest::new();
    slot.put(7);
    let looked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| slot.with(|_, _| panic!("injected"))));
    assert!(looked.is_err());
    for value in 0..20 {
        slot.put(value);
        assert_eq!(slot.read(), Some(value));
    }
}

/// What the mutex before this slot could not do: the reader who holds the newest value stands still, and the writer goes
/// on, 1000 times, and others read.
#[test]
fn a_suspended_reader_stops_nobody() {
    let slot = Latest::new();
    slot.put(0);
    let (inside, leave) = (Barrier::new(2), Barrier::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            slot.with(|_, value| {
                inside.wait();
                leave.wait();
                assert_eq!(*value, 0, "what is held does not change");
            })
        });
        inside.wait();
        for value in 1..=1000 {
            slot.put(value);
            assert_eq!(slot.read(), Some(value));
        }
        leave.wait();
    });
}

#[test]
fn a_suspended_writer_stops_nobody() {
    let slot = Latest::new();
    slot.put(1);
    let (cell, guard) = slot.claim();
    for value in 2..100 {
        slot.put(value);
        assert_eq!(slot.read(), Some(value));
    }
    drop(guard);
    slot.give_up(cell);
}

#[test]
fn with_six_readers_inside_a_writer_still_finds_a_cell() {
    let slot = Latest::new();
    let (inside, leave) = (Barrier::new(2), Barrier::new(7));
    std::thread::scope(|scope| {
        for value in 0..6 {
            slot.put(value);
            let (slot, inside, leave) = (&slot, &inside, &leave);
            scope.spawn(move || {
                slot.with(|_, held| {
                    assert_eq!(*held, value);
                    inside.wait();
                    leave.wait();
                })
            });
            inside.wait();
        }
        slot.put(6);
        slot.put(7);
        assert_eq!(slot.read(), Some(7));
        leave.wait();
    });
}

/// Four threads for a while, on real processors: every value is whole, none comes back, and the counts agree.
#[test]
fn under_fire_no_value_is_torn_and_every_one_is_accounted_for() {
    let slot = Latest::new();
    let stop = AtomicBool::new(false);
    let puts = 20_000_u64;
    let taken = std::thread::scope(|scope| {
        let taker = scope.spawn(|| {
            let mut taken = 0;
            while !stop.load(Ordering::Acquire) {
                taken += u64::from(slot.take().is_some_and(whole));
            }
            taken + u64::from(slot.take().is_some_and(whole))
        });
        let writers = [1, 2].map(|who| {
            let slot = &slot;
            scope.spawn(move || (0..puts).for_each(|k| slot.put([who * puts + k; 16])))
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        stop.store(true, Ordering::Release);
        taker.join().unwrap()
    });
    assert_eq!((taken + slot.overwritten(), slot.sequence()), (2 * puts, 2 * puts));
}

fn whole(value: [u64; 16]) -> bool {
    assert!(value.iter().all(|part| *part == value[0]), "{value:?}");
    true
}

#[test]
fn what_was_put_last_is_dropped_with_the_slot_and_nothing_twice() {
    let witness = std::sync::Arc::new(());
    let slot = Latest::new();
    for _ in 0..50 {
        slot.put(std::sync::Arc::clone(&witness));
    }
    assert!(std::sync::Arc::strong_count(&witness) <= 1 + CELLS);
    drop(slot);
    assert_eq!(std::sync::Arc::strong_count(&witness), 1);
}
