//! Every row of the state table.

use super::script::play;
use super::world::World;
use crate::cause::{Cause, Mismatch};
use crate::check::CheckSet;
use crate::config::Reach;
use crate::inputs::Inputs;
use crate::interlock::Interlock;
use crate::latch::Latch;
use crate::verdict::{Decision, State, Verdict};
use signals::Stamp;
use signals::dcs::DcsView;

fn closed_loop() -> World {
    World::new(Reach::ClosedLoop, CheckSet::EMPTY)
}

/// A closed loop, engaged by the operator's proper actions.
pub(super) fn engaged(off: CheckSet) -> World {
    let mut world = World::new(Reach::ClosedLoop, off);
    assert_eq!(world.engage().state, State::Active);
    world
}

#[test]
fn the_whole_way_up_and_down_by_the_operator() {
    play(
        &mut closed_loop(),
        "
        # boots tripped, and the operator resets
                            | 1  | Tripped  | act=OFF reason=1 tracks=0 moves=0 beats=0
        mode=WARM           | 1  | Ready    | act=WARM reason=0
                            | 20 | Ready    | tracks=2 moves=0 beats=2 sts1=FFWD
        mode=ADVISORY       | 20 | Advisory | act=ADVISORY shown=2 moves=0 tracks=2
        mode=ON             | 1  | Armed    | act=INIT sts1=INIT ack1=0
                            | 20 | Armed    | tracks=2 moves=0 ack1=0
        # the operator's second action: a new lease, INIT_REQ, our INIT_ACK, RCAS
        grant               | 1  | Armed    | ack1=1 ack2=1 moves=0
                            | 1  | Active   | act=ON sts1=ON moves=1 u1=50 u2=50
        prop=53,48          | 20 | Active   | moves=2 tracks=0 u1=53 u2=48 beats=2 clamped=0
        mode=WARM           | 1  | Ready    | act=WARM moves=0 reason=0
        mode=OFF            | 20 | Ready    | act=OFF moves=0 tracks=0
        ",
    );
}

#[test]
fn a_request_that_stood_at_the_start_is_no_reset_and_a_refused_edge_is_spent() {
    play(
        &mut closed_loop(),
        "
        mode=WARM           | 30 | Tripped  | act=FAULT moves=0 tracks=0 beats=0
        mode=OFF permit=0   | 5  | Tripped  | act=OFF
        mode=WARM           | 1  | Tripped  | refused
        permit=1            | 30 | Tripped  | refused=0
        mode=OFF            | 5  | Tripped  |
        mode=WARM           | 1  | Ready    |
        ",
    );
}

#[test]
fn a_reset_needs_permit_link_life_and_critical_data() {
    for (fault, cured) in [
        ("permit=0", "permit=1"),
        ("permit=bad", "permit=1"),
        ("link=down", "link=up"),
        ("hb_dcs=stop", "hb_dcs=go"),
        ("cv2=bad", "cv2=ok"),
        ("cv2=lost", "cv2=ok"),
        ("cv2=nan", "cv2=ok"),
        ("cv2=frozen", "cv2=ok"),
        ("cv1=150", "cv1=ok"),
    ] {
        let refused = format!("{fault} | 40 | Tripped |\n mode=WARM | 5 | Tripped | refused act=FAULT\n");
        let granted = format!("mode=OFF {cured} | 5 | Tripped |\n mode=WARM | 1 | Ready | refused=0");
        play(&mut closed_loop(), &(refused + &granted));
    }
    play(&mut closed_loop(), "dv1=lost | 40 | Tripped |\n mode=WARM | 1 | Ready | refused=0");
}

#[test]
fn an_edge_out_of_a_bad_reading_is_no_edge() {
    play(
        &mut closed_loop(),
        "
                            | 5  | Tripped  |
        mode=bad            | 5  | Tripped  |
        mode=WARM           | 1  | Ready    | act=WARM
        mode=bad            | 5  | Ready    | act=OFF tracks=0
        mode=ON             | 1  | Armed    |
        mode=bad            | 1  | Ready    |
        mode=ON             | 30 | Ready    | tracks=3 moves=0
        ",
    );
}

#[test]
fn one_edge_does_one_thing() {
    play(&mut closed_loop(), " | 5 | Tripped |\n mode=ON | 1 | Ready |\n | 30 | Ready | tracks=3 moves=0");
}

#[test]
fn armed_stands_down_on_time_out_and_wants_a_fresh_edge() {
    let mut world = closed_loop();
    play(
        &mut world,
        "
                            | 5   | Tripped |
        mode=WARM           | 5   | Ready   |
        mode=ON             | 600 | Armed   | moves=0
                            | 1   | Ready   | act=WARM
        grant               | 30  | Ready   | moves=0
        mode=WARM           | 5   | Ready   |
        mode=ON             | 12  | Armed   |
        grant               | 3   | Active  | moves=1
        ",
    );
}

#[test]
fn armed_falls_back_when_a_condition_is_lost() {
    for lost in ["permit=0", "permit=bad", "wd=0", "mode=WARM", "mode=bad"] {
        let table =
            format!(" | 5 | Tripped |\n mode=WARM | 5 | Ready |\n mode=ON | 5 | Armed |\n {lost} | 1 | Ready |");
        play(&mut closed_loop(), &table);
    }
    for refused in ["permit=0", "wd=0", "wd=bad", "lease=bad", "link=down"] {
        let table = format!(" | 5 | Tripped |\n mode=WARM | 5 | Ready |\n {refused} mode=ON | 1 | Ready | refused");
        play(&mut closed_loop(), &table);
    }
}

#[test]
fn no_engagement_without_a_new_lease_every_mv_in_rcas_and_a_confirmed_track() {
    let armed = " | 5 | Tripped |\n mode=WARM | 5 | Ready |\n mode=ON | 15 | Armed |\n";
    for line in [
        "takes_back=0 mv1.mode=RCAS mv2.mode=RCAS | 30 | Armed | moves=0",
        "lease=8 mv1.mode=RCAS | 30 | Armed | moves=0 sts2=INIT",
        "mv1.init=1 mv2.init=1 | 30 | Armed | acked=0 moves=0",
        "grant cv1=bad | 30 | Armed | moves=0",
    ] {
        play(&mut closed_loop(), &format!("{armed}{line}"));
    }
    let unconfirmed = armed.replace("mode=ON", "confirm=stop mode=ON");
    play(&mut closed_loop(), &format!("{unconfirmed} grant | 30 | Armed | acked=0 moves=0"));
    let in_rcas = "takes_back=0 lease=8 mv1.mode=RCAS mv2.mode=RCAS";
    play(&mut closed_loop(), &format!("{unconfirmed} {in_rcas} | 30 | Armed | moves=0\n confirm=go | 12 | Active |"));
    let solver = armed.replace("mode=ON", "solver=fail mode=ON");
    play(&mut closed_loop(), &format!("{solver} | 10 | Armed |\n grant | 30 | Armed | moves=0"));
    play(&mut closed_loop(), &format!("{armed} grant | 3 | Active | moves=1"));
}

#[test]
fn an_mv_that_is_off_takes_no_part() {
    let mut world = closed_loop();
    play(
        &mut world,
        "
        mv2.opr=0           | 5  | Tripped |
        mode=WARM           | 5  | Ready   |
        mode=ON             | 12 | Armed   |
        grant prop=52,10    | 13 | Active  | sts1=ON sts2=INAC u1=52 u2=50
        # it joins by its own hand-over, with a zero first move
        mv2.opr=1           | 10 | Active  | sts2=FFWD
        mv2.sp=40           | 10 | Active  | u2=40
        mv2.init=1          | 1  | Active  | ack2=1
                            | 10 | Active  | sts2=ON u2=40
                            | 10 | Active  | u2=35
        mv1.opr=0 mv2.opr=0 | 1  | Shed    | reason=13
        ",
    );
}

#[test]
fn a_withdrawn_permission_sheds_in_one_scan_and_shed_latches() {
    for (loss, reason, cured) in [
        ("permit=0", 10, "permit=1"),
        ("permit=bad", 10, "permit=1"),
        ("wd=0", 11, "wd=1"),
        ("lease=99", 12, ""),
        ("lease=bad", 12, "lease=8"),
        ("mv1.mode=AUTO mv2.mode=AUTO", 13, ""),
        ("left=0", 1501, "left=1"),
    ] {
        let table = format!(
            "{loss} | 1 | Shed | act=SHED reason={reason} moves=0
             {cured} mode=WARM | 20 | Shed | moves=0 tracks=0 reason={reason}
             mode=ON | 20 | Shed | moves=0 tracks=0 sts1=INAC
             mode=OFF | 20 | Shed | act=SHED
             mode=WARM | 1 | Ready | reason=0"
        );
        play(&mut engaged(CheckSet::EMPTY), &table);
    }
}

#[test]
fn the_operators_stop_is_no_shed() {
    play(&mut engaged(CheckSet::EMPTY), "mode=OFF lease=9 mv1.mode=AUTO mv2.mode=AUTO | 1 | Ready | reason=0 act=OFF");
    play(&mut engaged(CheckSet::EMPTY), "mode=ADVISORY | 1 | Advisory | act=ADVISORY moves=0");
    play(&mut engaged(CheckSet::EMPTY), "mode=bad | 1 | Ready | act=OFF moves=0");
    play(&mut engaged(CheckSet::EMPTY), "mode=OFF permit=0 | 1 | Shed | reason=10");
    for stop in ["mode=WARM", "mode=OFF"] {
        let table = format!(" | 5 | Tripped |\n mode=ADVISORY | 5 | Advisory |\n {stop} | 1 | Ready | refused=0");
        play(&mut closed_loop(), &table);
    }
}

#[test]
fn hold_writes_the_last_good_move_and_returns_by_itself() {
    play(
        &mut engaged(CheckSet::EMPTY),
        "
        prop=53,50          | 10 | Active | u1=53 moves=1
        prop=60,50 cv1=bad  | 1  | Hold   | act=ON moves=1 u1=53
                            | 20 | Hold   | u1=53 u2=50 moves=2 beats=2
        cv1=ok              | 1  | Active | reason=0
                            | 20 | Active | u1=58 clamped
        ",
    );
}

#[test]
fn hold_expires_into_the_ramp_and_the_ramp_ends_in_shed() {
    play(
        &mut engaged(CheckSet::EMPTY),
        "
        cv1=bad             | 1  | Hold   |
                            | 29 | Hold   | u1=50
                            | 1  | Ramp   |
                            | 10 | Ramp   | moves=1 u1=45 u2=50
        # health does not lead back from here
        cv1=ok              | 10 | Ramp   | u1=40
                            | 20 | Shed   | u1=35 u2=50 reason=101
                            | 20 | Shed   | moves=0 tracks=0
        ",
    );
}

#[test]
fn hold_without_a_safe_value_sheds() {
    let mut config = super::world::config(Reach::ClosedLoop);
    config.mvs[0].ramp_safe_value = None;
    let mut world = World::with_config(config, Latch::default());
    world.engage();
    play(&mut world, "cv1=bad | 30 | Hold |\n | 1 | Shed | reason=101");
}

#[test]
fn a_ramp_that_the_dcs_blocks_sheds_at_once() {
    play(&mut engaged(CheckSet::EMPTY), "cv1=bad mv1.windup=LO | 30 | Hold |\n | 1 | Shed | moves=0 reason=101");
}

#[test]
fn a_trip_is_kept_until_its_cause_is_gone_and_the_operator_resets() {
    play(
        &mut engaged(CheckSet::EMPTY),
        "
        cv1=101             | 1  | Tripped | act=FAULT reason=401 moves=0
        # a NaN while tripped leaves the first-out alone
        cv1=nan cv2=nan     | 5  | Tripped | reason=401 beats=0
        prop=nan,nan        | 20 | Tripped | reason=401
        prop=50,50 cv2=ok cv1=101 mode=OFF | 5 | Tripped |
        mode=WARM           | 5  | Tripped | refused reason=401
        # inside, and not by the hysteresis
        cv1=99 mode=OFF     | 5  | Tripped |
        mode=WARM           | 5  | Tripped | refused
        cv1=97 mode=OFF     | 5  | Tripped |
        mode=WARM           | 1  | Ready   | reason=0
        ",
    );
}

#[test]
fn an_echo_that_was_lost_before_a_trip_does_not_bar_the_reset_but_the_arming() {
    play(
        &mut engaged(CheckSet::EMPTY),
        "
        echo=stop           | 12 | Active  |
        cv1=101             | 40 | Tripped |
        mode=OFF cv1=ok     | 5  | Tripped |
        mode=WARM           | 1  | Ready   |
                            | 50 | Ready   | raised
        mode=ON             | 1  | Ready   | refused
        mode=WARM echo=go   | 5  | Ready   |
        mode=ON             | 1  | Armed   |
        ",
    );
}

#[test]
fn what_shed_the_loop_must_be_gone_before_the_acknowledgement() {
    play(
        &mut engaged(CheckSet::EMPTY),
        "
        cv2=150             | 90 | Shed    | reason=402
        mode=OFF            | 5  | Shed    |
        mode=WARM           | 5  | Shed    | refused
        mode=OFF cv2=ok     | 5  | Shed    |
        mode=WARM           | 1  | Ready   |
        ",
    );
}

#[test]
fn shed_climbs_to_tripped_and_keeps_its_first_out() {
    play(&mut engaged(CheckSet::EMPTY), "permit=0 | 1 | Shed | reason=10\n cv1=-3 | 1 | Tripped | reason=10 act=FAULT");
}

#[test]
fn time_or_cycle_running_back_trips_and_nothing_survives_on_old_stamps() {
    play(&mut engaged(CheckSet::EMPTY), "clock=back | 1 | Tripped | reason=2");
    play(&mut engaged(CheckSet::EMPTY), "cycle=back | 1 | Tripped | reason=3");
    // The heartbeat of the DCS must be seen anew before a reset.
    play(
        &mut engaged(CheckSet::EMPTY),
        "hb_dcs=stop clock=back | 1 | Tripped |\n mode=OFF | 3 | Tripped |\n mode=WARM | 3 | Tripped | refused",
    );
}

#[test]
fn inputs_that_do_not_fit_trip() {
    let with = |change: &dyn Fn(Inputs<'_>, &mut Interlock, Stamp) -> Decision| {
        let mut world = engaged(CheckSet::EMPTY);
        world.pass_time();
        let mut interlock = Interlock::build(super::world::config(Reach::ClosedLoop), Latch::default());
        std::mem::swap(&mut interlock, &mut world.interlock);
        change(world.inputs(None), &mut interlock, world.now)
    };
    let trips = |mismatch, decision: Decision| {
        assert_eq!(decision.verdict, Verdict::Trip(Cause::Inconsistent(mismatch)));
        assert_eq!(decision.mv.len(), 2);
    };
    let one_mv = DcsView::sized(1, 2, 1);
    let proposal = closed_loop().proposal_of([50.0]);
    trips(Mismatch::Samples, with(&|i, interlock, now| interlock.step(&Inputs { samples: &i.samples[..2], ..i }, now)));
    trips(
        Mismatch::Expected,
        with(&|i, interlock, now| interlock.step(&Inputs { expected: &i.expected[..2], ..i }, now)),
    );
    trips(Mismatch::Mvs, with(&|i, interlock, now| interlock.step(&Inputs { dcs: &one_mv, ..i }, now)));
    trips(
        Mismatch::Proposal,
        with(&|i, interlock, now| interlock.step(&Inputs { proposal: Some(&proposal), ..i }, now)),
    );
    let no_model = with(&|i, interlock, now| interlock.step(&Inputs { expected: &[], ..i }, now));
    assert_eq!(no_model.state, State::Active, "a loop without a model expects nothing");
}

#[test]
fn shadow_and_advisory_write_no_set_point() {
    for reach in [Reach::Shadow, Reach::Advisory] {
        let mut world = World::new(reach, CheckSet::EMPTY);
        let top = if reach == Reach::Shadow { "Ready" } else { "Advisory" };
        let refused = u8::from(reach == Reach::Shadow);
        let (act, shown) = if reach == Reach::Shadow { ("WARM", "0") } else { ("ADVISORY", "+") };
        let table = format!(
            " | 5 | Tripped |
             mode=WARM | 20 | Ready | tracks=0 moves=0 act=WARM
             mode=ADVISORY | 20 | {top} | tracks=0 moves=0 act={act} shown={shown} refused={refused}
             mode=ON | 20 | {top} | tracks=0 moves=0 refused
             grant | 20 | {top} | tracks=0 moves=0"
        );
        play(&mut world, &table);
    }
}

#[test]
fn a_latch_survives_a_restart() {
    let mut world = engaged(CheckSet::EMPTY);
    play(&mut world, "cv1=101 | 1 | Tripped | reason=401");
    let text = serde_json::to_string(&world.interlock.latch()).unwrap();
    let latch: Latch = serde_json::from_str(&text).unwrap();
    assert_eq!(latch, world.interlock.latch());
    let mut again = World::with_config(super::world::config(Reach::ClosedLoop), latch);
    play(
        &mut again,
        "
        cv1=101             | 5  | Tripped | reason=401 act=FAULT
        mode=WARM           | 5  | Tripped | refused
        mode=OFF cv1=ok     | 5  | Tripped | reason=401
        mode=WARM           | 1  | Ready   | reason=0
        ",
    );
    assert_eq!(again.interlock.latch(), Latch::default());
}

#[test]
fn the_heartbeat_needs_a_solve_and_confirmed_writes() {
    play(&mut engaged(CheckSet::EMPTY), " | 51 | Active | beats=5");
    play(&mut engaged(CheckSet::EMPTY), "solver=fail | 19 | Active | beats=0\n | 10 | Hold | beats=0");
    play(&mut engaged(CheckSet::EMPTY), "confirm=stop | 10 | Active | beats=1\n | 40 | Active | beats=0");
}

#[test]
fn a_shed_that_the_dcs_did_not_hear_has_no_heartbeat() {
    play(&mut engaged(CheckSet::EMPTY), "permit=no | 2 | Shed |\n | 30 | Shed | beats=3");
    let mut deaf = engaged(CheckSet::EMPTY);
    deaf.takes_back = false;
    play(&mut deaf, "permit=no | 2 | Shed |\n | 30 | Shed | beats=0");
}

#[test]
fn what_an_earlier_interlock_had_confirmed_confirms_nothing() {
    let mut world = World::new(Reach::ClosedLoop, CheckSet::EMPTY);
    world.confirms = false;
    world.writes.confirmed = 5000;
    // The report is older than this interlock: no set-point of this arming has landed, so nothing is acknowledged.
    assert_ne!(world.engage().state, State::Active);

    // A refused write reports the writer's newest success, which may be an earlier interlock's, at a fresh time.
    let mut world = World::new(Reach::ClosedLoop, CheckSet::EMPTY);
    world.confirms = false;
    world.writes.confirmed = 5000;
    world.writes.at = Stamp::from_secs_f64(1e9);
    assert_ne!(world.engage().state, State::Active);
}
