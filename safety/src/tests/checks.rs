//! Every implemented check by its number, each with its negative control: the same scenario with that check, and only
//! that, switched off must not react.

use std::time::Duration;

use super::script::{change, play};
use super::states::engaged;
use super::world::{World, everything};
use crate::check::{CheckId, CheckSet};
use crate::config::{InterlockConfig, Reach};
use crate::latch::Latch;
use crate::row::Row;
use crate::verdict::{Event, State};
use signals::dcs::ModeRequest;

/// Check, the disturbance, the scans in which it must be handled, the state, the code of its cause.
const TABLE: [(CheckId, &str, usize, State, u16); 16] = [
    (CheckId::Quality, "cv1=bad", 1, State::Hold, 101),
    (CheckId::Quality, "cv1=uncertain", 1, State::Hold, 101),
    (CheckId::Age, "cv1=frozen", 26, State::Hold, 201),
    (CheckId::Age, "cv1=lost", 1, State::Hold, 201),
    (CheckId::NotFinite, "cv1=nan", 1, State::Hold, 301),
    (CheckId::NotFinite, "cv1=inf", 1, State::Hold, 301),
    (CheckId::NotFinite, "prop=nan,50", 10, State::Tripped, 351),
    (CheckId::NotFinite, "prop=50,inf", 10, State::Tripped, 352),
    (CheckId::Range, "cv1=100.5", 1, State::Tripped, 401),
    (CheckId::Range, "cv1=-0.5", 1, State::Tripped, 401),
    (CheckId::Rate, "cv1=61", 1, State::Hold, 501),
    (CheckId::ControllerSilent, "prop=none", 18, State::Hold, 1500),
    (CheckId::ControllerSilent, "left=0", 1, State::Shed, 1501),
    (CheckId::DcsHeartbeat, "hb_dcs=stop", 31, State::Shed, 1601),
    (CheckId::DcsHeartbeat, "echo=stop", 45, State::Shed, 1602),
    (CheckId::DcsHeartbeat, "link=down", 32, State::Shed, 1603),
];

/// The same in a loop with everything in force. Code 0: what held the loop was over before Hold was.
const EVERYTHING: [(CheckId, &str, usize, State, u16); 15] = [
    (CheckId::Frozen, "cv1=still mv1.sp=53", 12, State::Hold, 601),
    (CheckId::Spike, "model=none cv1=56", 1, State::Hold, 0),
    (CheckId::Redundancy, "cv2b=70 cv2c=bad", 6, State::Hold, 802),
    (CheckId::Redundancy, "cv2b=bad cv2c=lost", 6, State::Tripped, 802),
    (CheckId::Balance, "stuck=1 mv1.sp=60 mv2.sp=40", 11, State::Shed, 961),
    (CheckId::Balance, "model=61", 1, State::Hold, 901),
    (CheckId::ModelMismatch, "model=44", 5, State::Hold, 1001),
    (CheckId::Readback, "stuck=1 mv1.sp=54", 21, State::Hold, 1351),
    (CheckId::Travel, "mv1.sp=75 mv2.sp=75", 1, State::Hold, 1451),
    (CheckId::OutOfDistribution, "by=policy ground=2", 3, State::Hold, 1800),
    (CheckId::Disagreement, "by=policy ground=0 prop=80,50", 3, State::Hold, 1900),
    (CheckId::Sequence, "cv1=skipped", 1, State::Hold, 0),
    (CheckId::ClockJump, "wall=jump", 1, State::Hold, 0),
    (CheckId::ConfigHash, "hash=7", 1, State::Ready, 0),
    (CheckId::OperatorMode, "mv1.mode=AUTO", 1, State::Shed, 2351),
];

/// After the disturbance: the state at the end and the first code seen on `SHED_REASON`, Hold being led on to Shed.
fn outcome(check: CheckId, mut world: World, disturbance: &str, scans: usize) -> (State, u16) {
    // The rate check speaks of one sample; to lead its Hold on to Shed the value goes on jumping.
    disturbance.split_whitespace().for_each(|token| change(&mut world, token));
    let mut reached = world.scan();
    for _ in 1..scans {
        reached = world.scan();
    }
    let state = reached.state;
    if state != State::Hold {
        return (state, reached.shed_reason);
    }
    for n in 0..200 {
        if check == CheckId::Rate {
            change(&mut world, if n % 2 == 0 { "cv1=40" } else { "cv1=61" });
        }
        let decision = world.scan();
        if decision.state == State::Shed {
            return (state, decision.shed_reason);
        }
    }
    (state, 0)
}

#[test]
fn every_check_reacts_in_time_and_only_while_it_is_on() {
    for (check, disturbance, scans, state, code) in TABLE {
        assert_eq!(
            outcome(check, engaged(CheckSet::EMPTY), disturbance, scans),
            (state, code),
            "check {check:?}: {disturbance}"
        );
        let off = CheckSet::EMPTY.with(check);
        let (state, _) = outcome(check, engaged(off), disturbance, scans.max(10));
        assert_eq!(state, State::Active, "negative control of check {check:?}: {disturbance}");
    }
}

#[test]
fn every_check_that_needs_a_number_of_the_site_reacts_in_time_and_only_while_it_is_on() {
    for (check, disturbance, scans, state, code) in EVERYTHING {
        let loop_with = |switched_off| {
            let config = InterlockConfig { switched_off, ..everything(Reach::ClosedLoop) };
            let mut world = World::alive(config, Latch::default());
            assert_eq!(world.engage().state, State::Active);
            world
        };
        let world = loop_with(CheckSet::EMPTY);
        assert_eq!(outcome(check, world, disturbance, scans), (state, code), "check {check:?}: {disturbance}");
        let control = loop_with(CheckSet::EMPTY.with(check));
        let (state, _) = outcome(check, control, disturbance, scans);
        assert_eq!(state, State::Active, "negative control of check {check:?}: {disturbance}");
    }
}

#[test]
fn a_scan_that_is_late_or_lost_holds_and_only_while_check_24_is_on() {
    for disturbance in ["late_scan=3", "dropped=1"] {
        for (off, state) in
            [(CheckSet::EMPTY, State::Hold), (CheckSet::EMPTY.with(CheckId::ScanOverrun), State::Active)]
        {
            let config = InterlockConfig { switched_off: off, ..everything(Reach::ClosedLoop) };
            let mut world = World::alive(config, Latch::default());
            world.engage();
            change(&mut world, disturbance);
            assert_eq!(world.scan().state, state, "{disturbance}");
            assert_eq!(world.scan().state, State::Active, "{disturbance}: over with the next scan");
        }
    }
}

/// A loop with everything in force, engaged.
fn everything_engaged() -> World {
    let mut world = World::with_everything(Reach::ClosedLoop);
    assert_eq!(world.engage().state, State::Active);
    world
}

#[test]
fn a_scan_of_exactly_the_longest_and_a_clock_that_goes_exactly_as_far_as_it_may_are_no_fault() {
    let mut world = everything_engaged();
    change(&mut world, "late_scan=2");
    assert_eq!(world.scan().state, State::Active);
    let mut world = everything_engaged();
    world.wall_ahead += world.interlock.config().clock_jump_max;
    assert_eq!(world.scan().state, State::Active);
    world.wall_ahead += world.interlock.config().clock_jump_max + Duration::from_nanos(1);
    assert_eq!(world.scan().state, State::Hold);
}

#[test]
fn a_clock_that_jumped_is_told_for_a_period_and_then_its_end() {
    let mut world = everything_engaged();
    change(&mut world, "wall=jump");
    let of = |event: &Event| match event {
        Event::Raised { cause, .. } if cause.row() == Row::ClockJump => Some(true),
        Event::Cleared { cause } if cause.row() == Row::ClockJump => Some(false),
        _ => None,
    };
    let told: Vec<Option<bool>> = (0..12).map(|_| world.scan().events.iter().find_map(of)).collect();
    assert_eq!((told[0], told[10]), (Some(true), Some(false)), "{told:?}");
    assert_eq!(told.iter().flatten().count(), 2, "{told:?}");
}

#[test]
fn a_balance_counts_its_bias() {
    let state_with = |bias| {
        let mut config = everything(Reach::ClosedLoop);
        config.balances[0].bias = bias;
        let mut world = World::alive(config, Latch::default());
        world.engage();
        change(&mut world, "cv1=56");
        (0..20).map(|_| world.scan().state).last()
    };
    // The step of CV1 has checks of its own, which hold the loop.
    assert_eq!((state_with(4.0), state_with(-4.0)), (Some(State::Shed), Some(State::Hold)));
}

#[test]
fn another_configuration_stands_the_loop_down_and_bars_the_arming_until_it_is_the_old_one() {
    let mut world = World::with_everything(Reach::ClosedLoop);
    world.engage();
    play(
        &mut world,
        "
        hash=7              | 1  | Ready  | act=WARM reason=0 moves=0
                            | 20 | Ready  | moves=0 tracks=2
        mode=WARM           | 5  | Ready  |
        mode=ON             | 5  | Ready  | refused
        hash=2748 mode=WARM | 5  | Ready  |
        mode=ON             | 12 | Armed  |
        hash=7              | 1  | Ready  |
        ",
    );
}

#[test]
fn the_operators_hand_at_the_dcs_is_shown() {
    let asked = |off| {
        let mut world = engaged(off);
        change(&mut world, "mode=WARM");
        let decision = world.scan();
        decision.events.iter().any(|event| matches!(event, Event::Asked { to: ModeRequest::Warm, .. }))
    };
    assert!(asked(CheckSet::EMPTY) && !asked(CheckSet::EMPTY.with(CheckId::OperatorMode)));
    // A stop by the operator takes the MVs out of RCAS, and so is no hand at one of them.
    let mut world = World::with_everything(Reach::ClosedLoop);
    world.engage();
    play(&mut world, "mode=WARM mv1.mode=AUTO mv2.mode=AUTO | 1 | Ready | raised=0");
}

#[test]
fn a_silence_within_the_time_out_is_nothing() {
    for (disturbance, scans) in [("hb_dcs=stop", 29), ("echo=stop", 29), ("link=down", 29), ("cv1=frozen", 24)] {
        let mut world = engaged(CheckSet::EMPTY);
        play(&mut world, &format!("{disturbance} | {scans} | Active |"));
    }
}

#[test]
fn check_17_holds_after_two_failed_cycles_and_sheds_after_five() {
    for disturbance in ["solver=fail", "solver=silent"] {
        // Hold would give way to the ramp before the fifth failure; here it is patient.
        let config = InterlockConfig { hold_periods: 100, ..super::world::config(Reach::ClosedLoop) };
        let mut world = World::with_config(config, Latch::default());
        world.engage();
        // The last usable solve is that of cycle 5; a silent solver is known to have failed a cycle later.
        let last_usable = world.cycle();
        change(&mut world, disturbance);
        let mut entered = |state| (1..=90).find(|_| world.scan().state == state).map(|_| world.cycle() - last_usable);
        let late = u64::from(disturbance == "solver=silent");
        assert_eq!(entered(State::Hold), Some(2 + late), "{disturbance}");
        assert_eq!(entered(State::Shed), Some(5 + late), "{disturbance}");
        assert_eq!(world.interlock.latch().first_out().map(|f| f.cause.code()), Some(1700));
        let mut control = engaged(CheckSet::EMPTY.with(CheckId::SolverStatus));
        play(&mut control, &format!("{disturbance} | 90 | Active |"));
    }
}

#[test]
fn a_tag_that_may_be_missed_only_warns() {
    for disturbance in ["dv1=bad", "dv1=nan", "dv1=500", "dv1=lost"] {
        play(&mut engaged(CheckSet::EMPTY), &format!("{disturbance} | 50 | Active | raised reason=0"));
    }
}

#[test]
fn a_delay_bridges_a_gap_of_its_length() {
    play(&mut engaged(CheckSet::EMPTY), "cv2=bad | 5 | Active |\n cv2=ok | 1 | Active |\n cv2=bad | 5 | Active |");
    play(&mut engaged(CheckSet::EMPTY), "cv2=bad | 5 | Active |\n | 1 | Hold |");
}

#[test]
fn an_accepted_uncertain_value_is_a_value() {
    let mut config = super::world::config(Reach::ClosedLoop);
    config.tags[0].accept_uncertain = true;
    let mut world = World::with_config(config, Latch::default());
    world.engage();
    play(&mut world, "cv1=uncertain | 50 | Active |\n cv1=101 | 1 | Tripped | reason=401");
}

#[test]
fn a_ready_loop_warns_of_a_silent_dcs_and_does_not_track() {
    let mut world = World::new(Reach::ClosedLoop, CheckSet::EMPTY);
    play(
        &mut world,
        "
                            | 5  | Tripped |
        mode=WARM           | 20 | Ready   | tracks=3
        hb_dcs=stop         | 31 | Ready   | raised
                            | 30 | Ready   | tracks=0 raised=0
        hb_dcs=go           | 20 | Ready   | tracks=3
        ",
    );
}

#[test]
fn the_hardest_of_two_causes_decides() {
    play(&mut engaged(CheckSet::EMPTY), "cv1=bad permit=0 | 1 | Shed | reason=10");
    play(&mut engaged(CheckSet::EMPTY), "cv1=150 permit=0 cv2=bad | 1 | Tripped | reason=401");
    play(&mut engaged(CheckSet::EMPTY), "mode=WARM cv1=150 | 1 | Tripped | reason=401");
}
