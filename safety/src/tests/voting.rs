//! Redundant transmitters (check 8). CV2 has three: `cv2`, `cv2b`, `cv2c`; its delay is half a period.

use std::time::Duration;

use super::script::{change, play};
use super::world::{World, everything};
use crate::cause::{Cause, Fault};
use crate::check::{CheckId, CheckSet};
use crate::config::{InterlockConfig, Reach};
use crate::latch::Latch;
use crate::reaction::Effect;
use crate::row::Row;
use crate::verdict::{Event, State};

fn engaged_with(off: CheckSet, spoil: impl Fn(&mut InterlockConfig)) -> World {
    let mut config = InterlockConfig { switched_off: off, ..everything(Reach::ClosedLoop) };
    // The vote alone is looked at: no model, no pattern, and a range that trips.
    for tag in &mut config.tags {
        (tag.frozen, tag.spike, tag.residual_max, tag.cusum) = (None, None, None, None);
    }
    config.balances.clear();
    config.tags[1].rate_max_per_s = f64::INFINITY;
    config.tags[1].reactions = config.tags[1].reactions.with(Row::Range, Effect::Trip);
    spoil(&mut config);
    let mut world = World::alive(config, Latch::default());
    assert_eq!(world.engage().state, State::Active);
    world
}

fn engaged(off: CheckSet) -> World {
    engaged_with(off, |_| {})
}

const ON: CheckSet = CheckSet::EMPTY;
const OFF: CheckSet = CheckSet::EMPTY.with(CheckId::Redundancy);

#[test]
fn one_of_three_moves_nothing_and_is_named() {
    for (disturbance, transmitter) in
        [("cv2=500", 1), ("cv2b=500", 2), ("cv2c=-500", 3), ("cv2=bad", 1), ("cv2b=lost", 2)]
    {
        let mut world = engaged(ON);
        change(&mut world, disturbance);
        let mut named = None;
        for _ in 0..50 {
            let decision = world.scan();
            assert_eq!(decision.state, State::Active, "{disturbance}");
            named = decision.events.iter().fold(named, |named, event| match event {
                Event::Raised { cause: Cause::Transmitter { transmitter, fault, .. }, .. } => {
                    Some((*transmitter, *fault))
                }
                _ => named,
            });
        }
        let (number, fault) = named.expect(disturbance);
        assert_eq!(number, transmitter, "{disturbance}");
        assert_eq!(matches!(fault, Fault::Deviates { .. }), disturbance.ends_with('0'), "{disturbance}: {fault}");
        let mut control = engaged(OFF);
        play(&mut control, &format!("{disturbance} | 50 | Active | raised=0"));
    }
}

#[test]
fn two_of_three_out_of_range_trip_and_one_does_not() {
    play(&mut engaged(ON), "cv2=102 cv2b=102 cv2c=102 | 6 | Tripped | reason=402");
    // The third is within the tolerance of the median.
    play(&mut engaged(ON), "cv2=102 cv2b=102 cv2c=98 | 6 | Tripped | reason=402");
    play(&mut engaged(ON), "cv2=102 cv2b=98 cv2c=98 | 50 | Active |");
}

#[test]
fn of_two_that_are_left_the_worse_decides() {
    play(&mut engaged(ON), "cv2=102 cv2b=98 cv2c=bad | 6 | Tripped | reason=402");
    play(&mut engaged(ON), "cv2=98 cv2b=98 cv2c=bad | 50 | Active |");
    // One that deviates has no vote, so the same holds for the two that agree.
    play(&mut engaged(ON), "cv2=102 cv2b=98 cv2c=50 | 6 | Tripped | reason=402");
}

#[test]
fn two_that_disagree_hold_or_trip_by_configuration() {
    play(&mut engaged(ON), "cv2=50 cv2b=70 cv2c=bad | 5 | Active |\n | 1 | Hold |");
    let trips = |config: &mut InterlockConfig| {
        config.tags[1].reactions = config.tags[1].reactions.with(Row::TwoDisagree, Effect::Trip);
    };
    play(&mut engaged_with(ON, trips), "cv2=50 cv2b=70 cv2c=bad | 6 | Tripped | reason=802");
    play(&mut engaged_with(OFF, trips), "cv2=50 cv2b=70 cv2c=bad | 50 | Active |");
    play(&mut engaged(ON), "cv2=20 cv2b=50 cv2c=80 | 6 | Hold |");
}

#[test]
fn the_last_one_is_used_or_trips_by_configuration() {
    play(&mut engaged(ON), "cv2=bad cv2b=lost | 6 | Tripped | reason=802");
    let uses = |config: &mut InterlockConfig| {
        config.tags[1].reactions = config.tags[1].reactions.with(Row::OneLeft, Effect::Warn);
    };
    play(&mut engaged_with(ON, uses), "cv2=bad cv2b=lost | 50 | Active | raised\n cv2c=105 | 6 | Tripped | reason=402");
    play(&mut engaged_with(OFF, uses), "cv2=bad cv2b=lost | 50 | Active | raised=0");
}

#[test]
fn none_left_is_the_fault_of_the_tag_and_bars_the_reset() {
    let uses = |config: &mut InterlockConfig| {
        config.tags[1].reactions = config.tags[1].reactions.with(Row::OneLeft, Effect::Warn);
    };
    let mut world = engaged_with(ON, uses);
    play(&mut world, "cv2=bad cv2b=nan cv2c=lost | 5 | Active |\n | 1 | Hold |\n | 100 | Shed | reason=102");
    play(
        &mut world,
        "
        mode=OFF            | 5 | Shed  |
        mode=WARM           | 5 | Shed  | refused
        mode=OFF cv2b=ok    | 5 | Shed  |
        mode=WARM           | 5 | Ready |
        ",
    );
}

#[test]
fn a_vote_of_others_is_no_jump() {
    let rate = |config: &mut InterlockConfig| {
        config.tags[1].rate_max_per_s = 15.0;
        config.tags[1].reactions = config.tags[1].reactions.after(Row::Rate, Duration::ZERO);
    };
    // The mean of the two that are left is another number than the median of three.
    let mut world = engaged_with(ON, rate);
    let table = "
        cv2=still cv2b=still cv2c=still | 5 | Active |
        cv2=46 cv2b=50 cv2c=54          | 5 | Active |
        cv2c=bad                        | 5 | Active |
        cv2c=54                         | 5 | Active |
    ";
    play(&mut world, table);
    play(&mut world, "cv2=48 cv2b=52 cv2c=56 | 1 | Hold |");
}
