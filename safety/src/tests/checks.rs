//! Every implemented check by its number, each with its negative control: the same scenario with that check, and only
//! that, switched off must not react.

use super::script::{change, play};
use super::states::engaged;
use super::world::World;
use crate::cause::{CheckId, CheckSet};
use crate::config::{InterlockConfig, Reach};
use crate::latch::Latch;
use crate::verdict::State;

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

/// After the disturbance: the state at the end and the first code seen on `SHED_REASON`, Hold being led on to Shed.
fn outcome(check: CheckId, off: CheckSet, disturbance: &str, scans: usize) -> (State, u16) {
    let mut world = engaged(off);
    // The rate check speaks of one sample; to lead its Hold on to Shed the value goes on jumping.
    change(&mut world, disturbance);
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
            outcome(check, CheckSet::EMPTY, disturbance, scans),
            (state, code),
            "check {check:?}: {disturbance}"
        );
        let off = CheckSet::EMPTY.with(check);
        let (state, _) = outcome(check, off, disturbance, scans.max(10));
        assert_eq!(state, State::Active, "negative control of check {check:?}: {disturbance}");
    }
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
