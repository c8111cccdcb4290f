//! The queue under loom.

use loom::thread;

use super::*;
use crate::sync::model;

/// A fault that loom must find.
impl Bounded<u64, 2> {
    /// A send that passes the turn on before the message is in.
    fn send_turn_first(&self, message: u64) -> Result<(), Full<u64>> {
        let at = self.0.sent.fetch_add(1, Ordering::Relaxed);
        let cell = self.cell(at);
        cell.turn.store(at + 1, Ordering::Release);
        *entered(&cell.message) = Some(message);
        Ok(())
    }
}

/// Two senders and a receiver: every message comes once.
fn senders_and_receiver(send: fn(&Bounded<u64, 2>, u64) -> Result<(), Full<u64>>) {
    let queue = Bounded::new();
    let senders = [1, 2].map(|message| {
        let queue = queue.clone();
        thread::spawn(move || send(&queue, message).is_ok())
    });
    let receiver = {
        let queue = queue.clone();
        thread::spawn(move || queue.receive())
    };
    let first = receiver.join().unwrap();
    let accepted = senders.into_iter().map(|sender| sender.join().unwrap()).filter(|ok| *ok).count();
    let mut got: Vec<u64> = [first, queue.receive(), queue.receive()].into_iter().flatten().collect();
    got.sort_unstable();
    assert_eq!((accepted, got), (2, vec![1, 2]), "lost or doubled");
}

#[test]
fn every_message_comes_once() {
    model(|| senders_and_receiver(Bounded::try_send));
}

#[test]
#[should_panic(expected = "lost or doubled")]
fn loom_finds_a_send_that_passes_the_turn_too_early() {
    model(|| senders_and_receiver(Bounded::send_turn_first));
}

#[test]
fn a_full_queue_gives_back_and_loses_nothing_while_it_is_emptied() {
    model(|| {
        let queue: Bounded<u64, 2> = Bounded::new();
        queue.try_send(1).unwrap();
        queue.try_send(2).unwrap();
        let receiver = {
            let queue = queue.clone();
            thread::spawn(move || queue.receive())
        };
        let sender = {
            let queue = queue.clone();
            thread::spawn(move || queue.try_send(3))
        };
        let third = sender.join().unwrap();
        assert_eq!(receiver.join().unwrap(), Some(1));
        let given_back = u64::from(third.is_err());
        assert_eq!(queue.rejected(), given_back);
        let rest: Vec<u64> = std::iter::from_fn(|| queue.receive()).collect();
        assert_eq!(rest, if given_back == 1 { vec![2] } else { vec![2, 3] });
    });
}
