//! The slot under loom: every interleaving of few threads, within three preemptions, and with the memory orders as written.

use loom::thread;

use super::*;
use crate::sync::model;

/// Faults that loom must find, each in place of one call.
impl Latest<u64> {
    /// A put that enters a cell without a claim.
    fn put_without_claim(&self, value: u64) {
        loop {
            let cell = self.word(Ordering::Acquire).free().trailing_zeros() as usize;
            if let Some(mut guard) = held(self.cell(cell).try_write()) {
                *guard = Some(value);
                drop(guard);
                return self.publish(cell);
            }
            yield_now();
        }
    }

    /// A read that does not look again whether it holds the newest.
    fn read_without_second_look(&self) -> Option<(u64, u64)> {
        let seen = self.word(Ordering::Acquire);
        let guard = held(self.cell(seen.cell()).try_read())?;
        seen.is_full().then(|| guard.map(|value| (seen.sequence(), value)))?
    }

    /// A take that empties the word without a claim on the cell.
    fn take_without_claim(&self) -> Option<u64> {
        let mut seen = self.word(Ordering::Acquire);
        while seen.is_full() {
            match self.exchange(seen, Word(seen.0 & !(Word::FULL | Word::UNREAD))) {
                Ok(()) => return held(self.cell(seen.cell()).try_write()).and_then(|mut guard| guard.take()),
                Err(now) => seen = now,
            }
        }
        None
    }
}

/// Runs `body` on a thread of the model.
fn on_thread<R: 'static>(slot: &Latest<u64>, body: impl FnOnce(&Latest<u64>) -> R + 'static) -> thread::JoinHandle<R> {
    let slot = slot.clone();
    thread::spawn(move || body(&slot))
}

/// A reader beside a writer who uses the reader's cell again: the value belongs to the sequence, and both only grow.
fn reader_and_lapping_writer(read: fn(&Latest<u64>) -> Option<(u64, u64)>) {
    let slot = Latest::new();
    slot.put(1);
    let writer = on_thread(&slot, |slot| (2..=3).for_each(|value| slot.put(value)));
    let reader = on_thread(&slot, move |slot| {
        let mut last = 0;
        for _ in 0..2 {
            let (sequence, value) = read(slot).unwrap_or((last, last));
            assert_eq!(sequence, value, "a value under another's sequence");
            assert!(value >= last, "{value} after {last}");
            last = value;
        }
    });
    writer.join().unwrap();
    reader.join().unwrap();
    assert_eq!(slot.read(), Some(3));
}

/// What was put was taken once, or is counted, or is still there.
fn nothing_lost(slot: &Latest<u64>, taken: impl IntoIterator<Item = Option<u64>>) {
    let mut taken: Vec<u64> = taken.into_iter().chain([slot.take(), slot.take()]).flatten().collect();
    let total = taken.len();
    taken.sort_unstable();
    taken.dedup();
    assert_eq!((taken.len(), total as u64 + slot.overwritten()), (total, slot.sequence()), "lost, or taken twice");
}

/// Two writers and a taker.
fn writers_and_taker(put: fn(&Latest<u64>, u64), take: fn(&Latest<u64>) -> Option<u64>) {
    let slot = Latest::new();
    let writers = [1, 2].map(|value| on_thread(&slot, move |slot| put(slot, value)));
    let taken = on_thread(&slot, take).join().unwrap();
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    assert_eq!(slot.sequence(), 2);
    nothing_lost(&slot, [taken]);
}

/// Two takers, and a writer who uses the taken cell again.
fn takers_and_writer(take: fn(&Latest<u64>) -> Option<u64>) {
    let slot = Latest::new();
    slot.put(1);
    let writer = on_thread(&slot, |slot| (2..=3).for_each(|value| slot.put(value)));
    let takers = [0, 1].map(|_| on_thread(&slot, take));
    let taken = takers.map(|taker| taker.join().unwrap());
    writer.join().unwrap();
    assert_eq!(slot.sequence(), 3);
    nothing_lost(&slot, taken);
}

#[test]
fn a_reader_sees_whole_values_in_order() {
    model(|| reader_and_lapping_writer(Latest::read_with_sequence));
}

#[test]
#[should_panic(expected = "a value under another's sequence")]
fn loom_finds_a_read_without_a_second_look() {
    model(|| reader_and_lapping_writer(Latest::read_without_second_look));
}

#[test]
fn a_value_is_taken_once_or_counted() {
    model(|| writers_and_taker(Latest::put, Latest::take));
}

#[test]
#[should_panic(expected = "lost, or taken twice")]
fn loom_finds_a_put_without_a_claim() {
    model(|| writers_and_taker(Latest::put_without_claim, Latest::take));
}

#[test]
fn a_put_during_a_take_is_not_lost() {
    model(|| takers_and_writer(Latest::take));
}

#[test]
#[should_panic(expected = "lost, or taken twice")]
fn loom_finds_a_take_without_a_claim() {
    model(|| takers_and_writer(Latest::take_without_claim));
}

#[test]
fn a_value_is_read_or_counted_never_both() {
    model(|| {
        let slot = Latest::new();
        let writers = [1, 2].map(|value| on_thread(&slot, move |slot| slot.put(value)));
        let first = on_thread(&slot, Latest::read_with_sequence).join().unwrap();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        let mut read: Vec<(u64, u64)> = [first, slot.read_with_sequence()].into_iter().flatten().collect();
        read.dedup();
        assert_eq!(read.len() as u64 + slot.overwritten(), 2);
    });
}
