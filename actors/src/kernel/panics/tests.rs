//! The quiet panic hook: what it keeps, what it loses and counts, and what it costs beside the default one.

use std::hint::black_box;
use std::panic::{UnwindSafe, catch_unwind};

use super::super::clock::Clock;
use super::*;

fn crash(what: impl FnOnce() + UnwindSafe) {
    assert!(catch_unwind(what).is_err());
}

#[test]
fn a_panic_is_told_later_with_thread_place_and_message() {
    let panics = Panics::hook();
    let body = || crash(|| panic!("tag {} of {}", black_box(3), 7));
    std::thread::Builder::new().name("control".to_owned()).spawn(body).unwrap().join().unwrap();
    let told: Vec<_> = panics.drain().collect();
    let [it] = told[..] else { panic!("one record: {told:?}") };
    assert_eq!((it.thread.as_str(), it.message.as_str()), ("control", "tag 3 of 7"));
    assert!(it.file.as_str().ends_with("panics/tests.rs") && it.line > 0, "{it:?}");
    assert_eq!((panics.drain().count(), panics.lost()), (0, 0));
}

#[test]
fn a_full_ring_counts_what_it_loses_and_keeps_the_first() {
    let panics = Panics::hook();
    for n in 0..RING + 10 {
        crash(move || panic!("{n}"));
    }
    let told: Vec<_> = panics.drain().map(|it| it.message.as_str().to_owned()).collect();
    assert_eq!(told, (0..RING).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(panics.lost(), 10);
    crash(|| panic!("room again"));
    assert_eq!(panics.drain().count(), 1);
}

#[test]
fn a_text_is_cut_at_a_character() {
    assert_eq!(Text::<5>::cut("abcdefg").as_str(), "abcde");
    assert_eq!(Text::<5>::cut("abcdé").as_str(), "abcd");
    assert_eq!(Text::<5>::cut("").as_str(), "");
}

#[test]
fn a_payload_that_is_no_text_is_told_too() {
    let panics = Panics::hook();
    crash(|| std::panic::panic_any(7_u8));
    assert_eq!(panics.drain().next().unwrap().message.as_str(), "not a text");
}

/// Median and longest time of a panic and its catching, in microseconds; `between` is not timed.
fn cost(between: impl Fn()) -> (f64, f64) {
    let clock = Clock::wall(1.0);
    let one = || {
        let begun_ns = clock.wall_ns();
        crash(|| panic!("injected"));
        let took_us = (clock.wall_ns() - begun_ns) as f64 * 1e-3;
        between();
        took_us
    };
    let mut times: Vec<f64> = (0..10_000).map(|_| one()).collect();
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() - 1])
}

/// Run with `RUST_BACKTRACE=1 … --run-ignored only --no-capture 2>/dev/null` and read standard output.
#[test]
#[ignore = "a measurement"]
fn wall_the_cost_of_a_panic_by_hook() {
    let default = cost(|| {});
    let panics = Panics::hook();
    let ours = cost(|| panics.drain().for_each(drop));
    println!("default hook: p50 {:.1} µs, max {:.1} µs", default.0, default.1);
    println!("this hook:    p50 {:.1} µs, max {:.1} µs", ours.0, ours.1);
    assert!(panics.lost() == 0 && ours.0 < default.0);
}
