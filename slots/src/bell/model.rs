//! The bell under loom.

use loom::thread;

use super::*;
use crate::sync::model;

/// A mailbox that counts what comes. A dead one is a mailbox at which nobody looks.
#[derive(Clone)]
struct Mailbox(Arc<AtomicU64>);

impl Mailbox {
    fn new() -> Self {
        Self(Arc::new(AtomicU64::new(0)))
    }

    fn received(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

impl Wake for Mailbox {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }
}

/// Faults that loom must find, each in place of one call.
impl Bell<Mailbox> {
    /// An answer that stores where it must exchange.
    fn answer_by_store(&self) -> Option<i64> {
        let rung_at_ns = self.0.rung_at_ns.load(Ordering::Acquire);
        self.0.rung_at_ns.store(IDLE, Ordering::Release);
        (rung_at_ns != IDLE).then_some(rung_at_ns)
    }

    /// A bind that looks for rings before it stands behind the bell.
    fn bind_after_the_look(&self, target: Mailbox) {
        let rung = self.0.rung_at_ns.load(Ordering::Relaxed) != IDLE;
        self.0.target.put(target);
        if rung {
            self.wake();
        }
    }

    /// A bind whose look is a load.
    fn bind_by_load(&self, target: Mailbox) {
        self.0.target.put(target);
        if self.0.rung_at_ns.load(Ordering::Acquire) != IDLE {
            self.wake();
        }
    }
}

/// A producer writes and rings twice; the consumer acts when it is woken. Once every wake-up is answered, it must have seen
/// the second value.
fn every_ring_is_answered(answer: fn(&Bell<Mailbox>) -> Option<i64>) {
    let (bell, value, mailbox) = (Bell::new(), Arc::new(AtomicU64::new(0)), Mailbox::new());
    bell.bind(mailbox.clone());
    bell.ring(0);
    answer(&bell);
    let producer = {
        let (bell, value) = (bell.clone(), Arc::clone(&value));
        thread::spawn(move || {
            for k in 1..=2 {
                value.store(k, Ordering::Relaxed);
                bell.ring(0);
            }
        })
    };
    let consumer = {
        let (bell, value, mailbox) = (bell.clone(), Arc::clone(&value), mailbox.clone());
        thread::spawn(move || {
            let (mut answered, mut seen) = (1, 0);
            for _ in 0..2 {
                if mailbox.received() > answered {
                    answered += 1;
                    answer(&bell);
                    seen = value.load(Ordering::Relaxed);
                }
            }
            (answered, seen)
        })
    };
    producer.join().unwrap();
    let (answered, seen) = consumer.join().unwrap();
    assert!(seen == 2 || mailbox.received() > answered, "a ring is lost: {seen} was seen");
}

#[test]
fn who_answers_sees_what_every_ring_stands_for() {
    model(|| every_ring_is_answered(Bell::answer));
}

#[test]
#[should_panic(expected = "a ring is lost")]
fn loom_finds_an_answer_that_stores() {
    model(|| every_ring_is_answered(Bell::answer_by_store));
}

/// A ring beside a bind: the first mailbox is dead, so the second must be told.
fn ring_beside_bind(bind: fn(&Bell<Mailbox>, Mailbox)) {
    let (bell, mailbox) = (Bell::new(), Mailbox::new());
    bell.bind(Mailbox::new());
    // Once rung and answered: the address is then read without an exchange, which would order more.
    bell.ring(1);
    assert_eq!(bell.answer(), Some(1));
    let ringer = {
        let bell = bell.clone();
        thread::spawn(move || bell.ring(7))
    };
    let binder = {
        let (bell, mailbox) = (bell.clone(), mailbox.clone());
        thread::spawn(move || bind(&bell, mailbox))
    };
    ringer.join().unwrap();
    binder.join().unwrap();
    assert!(mailbox.received() > 0, "a ring is lost");
    assert_eq!(bell.answer(), Some(7));
}

#[test]
fn no_ring_is_lost_across_a_rebind() {
    model(|| ring_beside_bind(Bell::bind));
}

#[test]
#[should_panic(expected = "a ring is lost")]
fn loom_finds_a_bind_that_looks_too_early() {
    model(|| ring_beside_bind(Bell::bind_after_the_look));
}

#[test]
#[should_panic(expected = "a ring is lost")]
fn loom_finds_a_bind_that_only_loads() {
    model(|| ring_beside_bind(Bell::bind_by_load));
}

#[test]
fn one_of_two_ringers_wakes_and_the_other_is_counted() {
    model(|| {
        let (bell, mailbox) = (Bell::new(), Mailbox::new());
        bell.bind(mailbox.clone());
        let ringers = [3, 5].map(|at_ns| {
            let bell = bell.clone();
            thread::spawn(move || bell.ring(at_ns))
        });
        ringers.into_iter().for_each(|ringer| ringer.join().unwrap());
        assert_eq!((mailbox.received(), bell.coalesced()), (1, 1));
        assert_eq!((bell.answer(), bell.answer()), (Some(3), None));
    });
}
