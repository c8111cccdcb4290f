//! What the ring before a trip holds, and that it stands still with the first-out.

use std::time::Duration;

use signals::{Fixed, Quality, Stamp};

use super::script::{change, play};
use super::states::engaged;
use super::world::World;
use crate::check::CheckSet;
use crate::pre_trip::{PreTrip, PreTripEntry, SPACING, SPAN};
use crate::verdict::State;

fn entry(at: Stamp) -> PreTripEntry {
    PreTripEntry { at, cycle: 1, state: State::Active, tags: Fixed::new(), mvs: Fixed::new() }
}

#[test]
fn the_ring_reaches_back_over_its_span_whatever_the_scan_is() {
    for scan_ms in [1, 10, 100, 249, 250, 251, 1800, 70_000] {
        let scan = Duration::from_millis(scan_ms);
        let (mut ring, mut now) = (PreTrip::new(), Stamp::ZERO);
        let steps = 200_000 / scan_ms + 5;
        for step in 1..=steps {
            now = now + scan;
            ring.record(entry(now));
            let times: Vec<_> = ring.entries().map(|e| e.at).collect();
            assert_eq!(times.last(), Some(&now), "the newest is there");
            if step % 977 != 0 && step != steps {
                continue;
            }
            assert!(times.is_sorted(), "{scan_ms} ms");
            // Both ends: to the start or over the span, but for one spacing, which the oldest may lack.
            let reach = now.since(times[0]);
            let whole = now.since(Stamp::ZERO + scan).min(SPAN);
            assert!(reach <= SPAN && reach + SPACING + scan >= whole, "{scan_ms} ms: {reach:?} of {whole:?}");
            let widest = times.windows(2).map(|w| w[1].since(w[0])).max().unwrap_or_default();
            assert!(widest <= (SPACING + scan).max(scan), "{scan_ms} ms: a hole of {widest:?}");
        }
    }
}

/// What the entries are is no part of what a model checker tells states apart by.
#[test]
fn the_ring_shows_nothing_of_its_entries() {
    let mut ring = PreTrip::new();
    let empty = format!("{ring:?}");
    ring.record(entry(Stamp::from_secs_f64(1.0)));
    assert_eq!((empty.as_str(), format!("{ring:?}")), ("PreTrip { .. }", empty.clone()));
}

/// Time, cycle and value of CV1 of all that the ring holds.
fn held(world: &World) -> Vec<(Stamp, u64, u64)> {
    world.interlock.pre_trip().entries().map(|e| (e.at, e.cycle, e.tags[0].value.to_bits())).collect()
}

#[test]
fn the_ring_stands_still_from_the_first_out_to_the_reset() {
    let mut world = engaged(CheckSet::EMPTY);
    play(&mut world, "prop=53,48 | 20 | Active |\n cv1=101 | 1 | Tripped | reason=401");
    let first_out = world.interlock.latch().first_out().unwrap();
    let frozen = held(&world);
    assert!(frozen.len() > 10, "{}", frozen.len());
    let entries: Vec<_> = world.interlock.pre_trip().entries().copied().collect();
    let last = entries.last().unwrap();
    assert_eq!((last.at, last.cycle, last.state), (first_out.at, first_out.cycle, State::Tripped));
    assert_eq!((last.tags[0].value, last.tags[0].quality), (101.0, Some(Quality::Good)));
    assert_eq!((last.tags.len(), last.mvs.len()), (3, 2));
    let before = entries[entries.len() - 2];
    assert_eq!((before.state, before.tags[0].value), (State::Active, 50.0));
    assert!(entries.iter().any(|e| e.mvs[0].approved == Some(53.0) && e.mvs[0].sp_act == Some(53.0)));
    // NaN while tripped is the case that people miss.
    play(&mut world, "cv1=nan | 30 | Tripped |\n cv1=ok mode=OFF | 30 | Tripped |\n mode=OFF cv1=ok | 3 | Tripped |");
    assert_eq!(held(&world), frozen);
    play(&mut world, "mode=WARM | 1 | Ready |");
    assert!(held(&world).is_empty(), "a reset begins anew");
    play(&mut world, " | 20 | Ready |");
    assert!(held(&world).len() > 4 && held(&world)[0].0 > first_out.at);
}

#[test]
fn without_a_first_out_the_ring_goes_on() {
    let mut world = engaged(CheckSet::EMPTY);
    let before = held(&world);
    change(&mut world, "dv1=bad");
    world.run(10);
    assert_ne!(held(&world), before, "the negative control: a warning freezes nothing");
    assert_eq!(held(&world).last().map(|e| e.0), Some(world.now));
}

#[test]
fn a_shed_that_climbs_to_a_trip_keeps_what_came_before_the_shed() {
    let mut world = engaged(CheckSet::EMPTY);
    play(&mut world, "permit=0 | 1 | Shed | reason=10");
    let frozen = held(&world);
    play(&mut world, " | 20 | Shed |\n cv1=-3 | 5 | Tripped | reason=10");
    assert_eq!(held(&world), frozen);
}

#[test]
fn a_start_leaves_nothing_in_the_ring() {
    let mut world = World::new(crate::Reach::ClosedLoop, CheckSet::EMPTY);
    world.run(20);
    assert!(held(&world).is_empty(), "every start is tripped, and nothing came before it");
}
