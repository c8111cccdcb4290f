//! What an engaged loop writes, at the edges: proposals that lapse, MVs that join, the ramp's end, and what it remembers.

use super::script::{change, play};
use super::states::engaged;
use super::world::{SCAN_NS, World, config};
use crate::cause::{Cause, Fault};
use crate::check::CheckSet;
use crate::config::{InterlockConfig, Reach};
use crate::inputs::PolicyReport;
use crate::latch::Latch;
use crate::reaction::Effect;
use crate::row::Row;
use crate::verdict::{ApprovedMove, Event, State, Verdict};
use signals::{Proposer, Stamp, Values};

fn engaged_with(spoil: impl Fn(&mut InterlockConfig)) -> World {
    let mut config = config(Reach::ClosedLoop);
    spoil(&mut config);
    let mut world = World::with_config(config, Latch::default());
    assert_eq!(world.engage().state, State::Active);
    world
}

/// The next approval.
fn approved(world: &mut World) -> ApprovedMove {
    let verdicts = std::iter::repeat_with(|| world.scan().verdict).take(20);
    let mut approved =
        verdicts.filter_map(|verdict| if let Verdict::Pass(approved) = verdict { Some(approved) } else { None });
    approved.next().unwrap()
}

#[test]
fn a_proposal_is_used_up_to_the_moment_at_which_it_lapses_and_of_this_cycle_or_the_last() {
    for (age, moves) in [("valid=0", 1), ("valid=-0.1", 0), ("late=1", 1), ("late=2", 0), ("late=2 valid=-0.1", 0)] {
        play(&mut engaged(CheckSet::EMPTY), &format!("prop=53,50 {age} | 10 | Active | moves={moves}"));
        let mut world = World::new(Reach::Advisory, CheckSet::EMPTY);
        play(&mut world, " | 5 | Tripped |\n mode=ADVISORY | 20 | Advisory | shown=+");
        play(&mut world, &format!("prop=53,50 {age} | 10 | Advisory | shown={moves}"));
    }
}

#[test]
fn an_mv_that_joins_a_ramp_begins_where_the_dcs_has_it() {
    let mut world = engaged_with(|config| config.mvs[1].ramp_safe_value = Some(20.0));
    play(
        &mut world,
        "
        cv1=bad                 | 30 | Hold |
                                | 11 | Ramp | u1=45 u2=45
        mv1.mode=AUTO mv1.sp=48 | 10 | Ramp | u1=48 u2=40
        mv1.init=1              | 10 | Ramp | acked u1=48 u2=35
                                | 10 | Ramp | u1=43 u2=30
        ",
    );
}

#[test]
fn a_ramp_has_nothing_left_to_do_within_the_tolerance_of_a_set_point() {
    let tolerance = config(Reach::ClosedLoop).mvs[0].tolerance();
    for (sp, state) in [(tolerance, "Shed"), (1.1 * tolerance, "Ramp")] {
        let mut world = engaged_with(|config| config.mvs[0].ramp_safe_value = Some(0.0));
        let low = format!("mv1.lim=0,90 mv1.clamp=0,95 mv1.mode=AUTO mv1.sp={sp} | 2 | Active |");
        play(&mut world, &format!("{low}\n mv1.init=1 prop={sp},50 | 15 | Active | u1={sp}"));
        play(&mut world, &format!("cv1=bad | 30 | Hold |\n | 1 | {state} |"));
    }
}

#[test]
fn an_mv_that_is_not_ours_is_tracked_unless_its_writes_fail() {
    let mut world = engaged(CheckSet::EMPTY);
    change(&mut world, "mv2.mode=AUTO");
    change(&mut world, "mv2.sp=44");
    assert_eq!(approved(&mut world).set_point(1), Some(44.0));
    change(&mut world, "fail2=2");
    let unwritten = approved(&mut world);
    assert_eq!((unwritten.set_point(0).is_some(), unwritten.set_point(1)), (true, None));
}

#[test]
fn an_mv_in_rcas_is_on_only_while_the_loop_is() {
    let mut world = engaged(CheckSet::EMPTY);
    play(&mut world, " | 1 | Active | sts1=ON\n takes_back=0 mode=WARM | 5 | Ready | sts1=FFWD");
}

#[test]
fn a_cause_may_lead_straight_to_the_ramp() {
    let ramps = |config: &mut InterlockConfig| {
        config.tags[0].reactions = config.tags[0].reactions.with(Row::Quality, Effect::Ramp);
    };
    play(&mut engaged_with(ramps), "cv1=bad | 1 | Ramp |");
    play(&mut engaged_with(ramps), "cv2=bad | 10 | Hold |\n cv1=bad | 1 | Ramp |");
}

#[test]
fn what_sheds_is_what_came_first_only_if_it_began_the_hold() {
    play(&mut engaged(CheckSet::EMPTY), "cv1=bad | 10 | Hold |\n permit=0 | 1 | Shed | reason=10");
    let mut world = engaged_with(|config| config.mvs[0].ramp_safe_value = None);
    let began = Stamp::from_nanos(world.now.nanos() + SCAN_NS);
    play(&mut world, "cv1=bad | 30 | Hold |\n | 1 | Shed | reason=101");
    let first_out = world.interlock.latch().first_out().unwrap();
    let bad = Cause::Measurement { tag: world.interlock.config().measured(0), fault: Fault::Bad };
    assert_eq!((first_out.cause, first_out.at), (bad, began));
}

#[test]
fn an_echo_may_lag_by_the_beats_of_the_time_out_and_two() {
    for (lag, state) in [(5, State::Active), (6, State::Shed)] {
        let mut world = engaged(CheckSet::EMPTY);
        world.run(60);
        world.echo_runs = false;
        let mut last = None;
        for _ in 0..60 {
            world.dcs.hb_echo.value = world.heartbeat - lag;
            last = Some(world.scan().state);
        }
        assert_eq!(last, Some(state), "{lag} beats");
    }
}

#[test]
fn two_steps_at_the_same_time_are_lawful() {
    let mut world = engaged(CheckSet::EMPTY);
    world.now = Stamp::from_nanos(world.now.nanos() - SCAN_NS);
    assert_eq!(world.scan().state, State::Active);
    world.now = Stamp::from_nanos(world.now.nanos() - SCAN_NS - 1);
    assert_eq!(world.scan().state, State::Tripped);
}

#[test]
fn a_write_that_was_in_flight_when_the_loop_stopped_holds_back_no_beat() {
    play(
        &mut engaged(CheckSet::EMPTY),
        "prop=53,50 confirm=stop | 10 | Active | moves=1\n mode=OFF | 40 | Ready | beats=4",
    );
}

#[test]
fn what_the_host_was_shed_for_bars_the_reset_while_it_lasts() {
    let mut world = engaged_with(|config| config.reactions = config.reactions.with(Row::ClockJump, Effect::Shed));
    play(
        &mut world,
        "
        wall=jump mode=OFF | 1  | Shed  | reason=2100
        mode=WARM          | 1  | Shed  | refused
        mode=OFF           | 12 | Shed  |
        mode=WARM          | 1  | Ready |
        ",
    );
}

#[test]
fn a_policy_is_judged_by_more_than_its_limits_and_until_its_proposal_has_lapsed() {
    let raised = |world: &mut World| {
        let events: Vec<Event> = (0..10).flat_map(|_| world.scan().events.to_vec()).collect();
        let causes =
            events.iter().filter_map(|e| if let Event::Raised { cause, .. } = e { Some(*cause) } else { None });
        causes.collect::<Vec<_>>()
    };
    // Up to the scan in which the policy's proposal is judged.
    let found = |distance, reference: [f64; 2]| {
        let mut world = World::with_everything(Reach::ClosedLoop);
        assert_eq!(world.engage().state, State::Active);
        world.after_a_proposal();
        world.proposer = Proposer::Policy;
        world.policy = Some(PolicyReport { cycle: 0, distance, reference: Values::collect(reference) });
        let causes = raised(&mut world);
        (world, causes)
    };
    let causes = |distance, reference| found(distance, reference).1;
    assert_eq!(causes(1.0, [50.0, 50.0]), []);
    assert_eq!(causes(1.1, [50.0, 50.0]), [Cause::OutOfDistribution { distance: 1.1, limit: 1.0 }]);
    let disagrees = |mv, by| [Cause::Disagreement { mv, by, limit: 0.2 }];
    assert_eq!(causes(0.0, [70.0, 35.0]), [], "a fifth of the span of 100");
    assert_eq!(causes(0.0, [80.0, 50.0]), disagrees(0, 0.3));
    assert_eq!(causes(0.0, [80.0, 90.0]), disagrees(1, 0.4), "the most");
    assert_eq!(causes(0.0, [80.0, 80.0]), disagrees(0, 0.3), "of equals the first");

    let (mut world, _) = found(0.0, [80.0, 50.0]);
    change(&mut world, "prop=none");
    let cleared = (1..20).find(|_| world.scan().events.iter().any(|e| matches!(e, Event::Cleared { .. })));
    assert_eq!(cleared, Some(11), "the tenth scan is at the very moment");
}
