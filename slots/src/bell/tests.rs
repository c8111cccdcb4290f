//! The bell on the machine it runs on; `model` has it under loom.

use super::*;

/// Counts wake-ups.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicU64>);

impl Wake for Counter {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn rings_are_coalesced_until_the_answer_and_the_first_ones_time_is_kept() {
    let (bell, counter) = (Bell::new(), Counter::default());
    bell.bind(counter.clone());
    assert_eq!(bell.answer(), None);
    for wall_ns in [5, 3, 9] {
        bell.ring(wall_ns);
    }
    assert_eq!((bell.coalesced(), counter.0.load(Ordering::Relaxed)), (2, 1));
    assert_eq!((bell.answer(), bell.answer()), (Some(3), None));
    bell.ring(11);
    assert_eq!((bell.answer(), counter.0.load(Ordering::Relaxed)), (Some(11), 2));
}

#[test]
fn a_ring_before_anybody_is_bound_is_sent_on() {
    let (bell, dead, living) = (Bell::new(), Counter::default(), Counter::default());
    bell.ring(1);
    bell.bind(dead.clone());
    assert_eq!(dead.0.load(Ordering::Relaxed), 1);
    bell.bind(living.clone());
    assert_eq!((living.0.load(Ordering::Relaxed), bell.answer()), (1, Some(1)), "the dead one never answered");
    bell.bind(Counter::default());
    assert_eq!(living.0.load(Ordering::Relaxed), 1, "answered rings are not sent again");
}

/// While one thread rings as fast as it can and another answers now and then, at most one wake-up is under way.
#[test]
fn ten_thousand_rings_leave_at_most_one_wake_up_waiting() {
    let (bell, counter) = (Bell::new(), Counter::default());
    bell.bind(counter.clone());
    let mut most = 0;
    let answered = std::thread::scope(|scope| {
        let ringer = scope.spawn(|| (0..10_000).for_each(|wall_ns| bell.ring(wall_ns)));
        let mut answered = 0;
        loop {
            let over = ringer.is_finished();
            let waiting = counter.0.load(Ordering::SeqCst) - answered;
            most = most.max(waiting);
            if waiting > 0 {
                answered += 1;
                bell.answer();
            } else if over {
                return answered;
            }
        }
    });
    assert_eq!(most, 1);
    assert_eq!(answered + bell.coalesced(), 10_000, "every ring woke or was coalesced");
}
