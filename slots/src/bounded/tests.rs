//! The bounded queue on the machine it runs on; `model` has it under loom.

use super::*;

#[test]
fn a_full_queue_gives_the_message_back_and_counts_it() {
    let queue: Bounded<u32, 3> = Bounded::new();
    for round in 0..5 {
        (0..3).for_each(|k| queue.try_send(10 * round + k).unwrap());
        assert_eq!(queue.try_send(99), Err(Full { message: 99, capacity: 3 }));
        let got: Vec<u32> = std::iter::from_fn(|| queue.receive()).collect();
        assert_eq!(got, [10 * round, 10 * round + 1, 10 * round + 2]);
    }
    assert_eq!(queue.rejected(), 5);
}

#[test]
fn under_fire_every_accepted_message_comes_once_and_in_its_senders_order() {
    let queue: Bounded<(usize, u64), 8> = Bounded::new();
    let each = 10_000;
    let (accepted, got) = std::thread::scope(|scope| {
        let senders = [0, 1].map(|who| {
            let queue = queue.clone();
            scope.spawn(move || (0..each).filter(|k| queue.try_send((who, *k)).is_ok()).count())
        });
        let mut got = Vec::new();
        while !senders.iter().all(|sender| sender.is_finished()) {
            got.extend(queue.receive());
        }
        got.extend(std::iter::from_fn(|| queue.receive()));
        (senders.map(|sender| sender.join().unwrap()).iter().sum::<usize>(), got)
    });
    assert_eq!(accepted, got.len());
    assert_eq!(accepted as u64 + queue.rejected(), 2 * each);
    for who in 0..2 {
        let of_one: Vec<u64> = got.iter().filter(|(sender, _)| *sender == who).map(|(_, k)| *k).collect();
        assert!(of_one.windows(2).all(|pair| pair[0] < pair[1]));
    }
}

#[test]
fn who_holds_the_last_clone_is_alone() {
    let queue: Bounded<u32, 2> = Bounded::new();
    let sender = queue.clone();
    assert!(!queue.is_alone());
    sender.try_send(1).unwrap();
    drop(sender);
    assert_eq!((queue.is_alone(), queue.receive()), (true, Some(1)));
}
