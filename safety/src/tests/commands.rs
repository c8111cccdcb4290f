//! Checks 11 and 12, the DCS's own limits, windup, writes that fail, and proposals that come late.

use signals::dcs::{ModeRequest, MvMode, MvStatus};

use super::script::play;
use super::states::engaged;
use super::world::{SCANS_PER_PERIOD, T, World, config};
use crate::check::{CheckId, CheckSet};
use crate::config::Reach;
use crate::latch::Latch;
use crate::limits::Bound;
use crate::verdict::{MoveKind, Recommended, State, Verdict};

fn on() -> CheckSet {
    CheckSet::EMPTY
}

#[test]
fn an_approved_move_says_under_what_it_was_approved() {
    let mut world = engaged(on());
    world.dcs.mvs[1].mode.value = MvMode::Auto;
    let moved = (0..2 * SCANS_PER_PERIOD).find_map(|_| {
        let Verdict::Pass(approved) = world.scan().verdict else { return None };
        (approved.kind() == MoveKind::Move).then_some((approved, world.now))
    });
    let (approved, now) = moved.unwrap();
    assert_eq!((approved.lease(), approved.cycle()), (world.dcs.lease.value, world.cycle()));
    assert_eq!([0, 1, 2].map(|mv| approved.in_service(mv)), [true, false, false]);
    assert_eq!(approved.u().len(), 2);
    assert!(approved.valid_until() > now && approved.valid_until() < now + T * 10, "{approved:?}");
}

#[test]
fn check_11_keeps_a_command_in_range_and_only_while_it_is_on() {
    let table = "prop=1000,-1000 | 200 | Active | clamped u1=90 u2=10 sts1=HIGH sts2=LOW";
    play(&mut engaged(on()), table);
    let off = on().with(CheckId::CommandRange);
    play(&mut engaged(off), "prop=1000,-1000 | 90 | Active | u1=95 u2=5");
    for (off, u1) in [(on(), 57), (off, 60)] {
        play(&mut engaged(off), &format!("mv1.clamp=5,57 prop=70,50 | 20 | Active | clamped u1={u1}"));
    }
}

#[test]
fn check_12_keeps_a_command_in_rate_and_only_while_it_is_on() {
    play(&mut engaged(on()), "prop=80,20 | 10 | Active | clamped u1=55 u2=45");
    play(&mut engaged(on().with(CheckId::CommandRate)), "prop=80,20 | 10 | Active | clamped=0 u1=80 u2=20");
    play(&mut engaged(on()), "mv1.roc=2 prop=80,80 | 10 | Active | clamped u1=52 u2=55");
}

#[test]
fn the_tightest_of_the_limits_holds() {
    play(&mut engaged(on()), "mv1.clamp=5,52 prop=54,54 | 10 | Active | clamped u1=52 u2=54");
    play(&mut engaged(on()), "mv1.lim=40,53 prop=54,54 | 10 | Active | clamped u1=53 u2=54");
}

#[test]
fn bad_or_crossed_operator_limits_leave_the_last_good_ones() {
    for fault in ["mv1.lim=bad", "mv1.lim=60,40", "mv1.lim=nan,nan"] {
        let table = format!("mv1.lim=40,53 | 1 | Active |\n {fault} prop=54,54 | 10 | Active | raised u1=53 u2=54");
        play(&mut engaged(on()), &table);
    }
}

#[test]
fn windup_stops_its_direction() {
    play(&mut engaged(on()), "mv1.windup=HI mv2.windup=HI prop=53,47 | 10 | Active | u1=50 u2=47");
    play(&mut engaged(on()), "mv1.windup=LO mv2.windup=LO prop=53,47 | 10 | Active | u1=53 u2=50");
    play(&mut engaged(on()), "mv1.windup=bad mv2.windup=BOTH prop=53,47 | 10 | Active | clamped u1=50 u2=50");
}

#[test]
fn an_mv_whose_switch_is_off_or_bad_is_not_manipulated() {
    for (switch, sts) in [("opr=0", "INAC"), ("opr=bad", "INAC"), ("opr=1", "ON")] {
        play(&mut engaged(on()), &format!("mv1.{switch} prop=53,53 | 10 | Active | sts1={sts} sts2=ON u2=53"));
    }
}

#[test]
fn an_mv_with_a_bad_signal_goes_out_of_service_and_comes_back_without_a_bump() {
    for fault in ["mv1.sp=bad", "mv1.clamp=bad", "mv1.clamp=60,40", "mv1.roc=bad", "mv1.mode=bad", "mv1.sp=1000"] {
        let table = format!("prop=53,53 {fault} | 10 | Active | sts1=SERV sts2=ON u2=53");
        play(&mut engaged(on()), &table);
    }
    play(
        &mut engaged(on()),
        "
        prop=53,53 mv1.mode=AUTO | 10 | Active | sts1=FFWD u1=50 u2=53
        mv1.sp=40 mv1.mode=RCAS  | 10 | Active | sts1=ON u1=40
                                 | 10 | Active | u1=45
        ",
    );
}

#[test]
fn an_mv_that_left_between_two_moves_starts_where_the_dcs_has_it() {
    play(
        &mut engaged(on()),
        "
        prop=53,53               | 5  | Active | u1=53
        mv1.mode=AUTO mv1.sp=40  | 2  | Active | moves=0
        mv1.mode=RCAS            | 8  | Active | moves=1 u1=40
                                 | 10 | Active | u1=45
        ",
    );
}

#[test]
fn two_failed_writes_put_an_mv_out_until_the_loop_engages_again() {
    play(
        &mut engaged(on()),
        "
        fail1=1                 | 10 | Active | sts1=ON
        fail1=2 prop=53,53      | 1  | Active | sts1=SERV raised
        fail1=0                 | 20 | Active | sts1=SERV u2=53 beats=2
        fail2=2                 | 1  | Shed   | reason=13
        mode=OFF fail2=0        | 5  | Shed   |
        mode=WARM               | 5  | Ready  |
        mode=ON                 | 12 | Armed  | sts1=INIT
        grant                   | 3  | Active | sts1=ON sts2=ON
        ",
    );
}

#[test]
fn steps_that_never_landed_do_not_add_up() {
    play(
        &mut engaged(on()),
        "
        prop=80,80   | 10 | Active | u1=55
        confirm=stop | 10 | Active | u1=60
                     | 40 | Active | u1=60
        confirm=go   | 10 | Active | u1=60
                     | 10 | Active | u1=65
        ",
    );
}

#[test]
fn a_late_proposal_moves_nothing() {
    play(&mut engaged(on()), "late=1 prop=53,53 | 10 | Active | moves=1");
    play(&mut engaged(on()), "late=2 prop=53,53 | 40 | Active | moves=0");
}

#[test]
fn a_spent_lease_does_not_engage_again() {
    play(
        &mut engaged(on()),
        "
        lease=7                 | 1  | Shed   | reason=12
        mode=OFF                | 5  | Shed   |
        mode=WARM               | 5  | Ready  |
        mode=ON                 | 12 | Armed  |
        lease=8 takes_back=0 mv1.mode=RCAS mv2.mode=RCAS | 30 | Armed | moves=0
        lease=9                 | 1  | Active | moves=1
        ",
    );
}

#[test]
fn an_engagement_starts_with_a_zero_move_and_one_move_per_cycle() {
    let mut world = super::world::World::new(crate::Reach::ClosedLoop, on());
    play(
        &mut world,
        "
                                | 5  | Tripped |
        mode=WARM               | 5  | Ready   |
        mode=ON prop=55,45 mv1.sp=62 mv2.sp=38 | 12 | Armed |
        grant                   | 2  | Active  | moves=1 u1=62 u2=38
                                | 6  | Active  | moves=0
                                | 10 | Active  | moves=1 u1=57 u2=43
        ",
    );
}

/// One MV at a time: MV2 is left to the DCS, even where that puts it in RCAS of its own accord. The control: once it is
/// commissioned, it is tracked and moved.
#[test]
fn an_mv_that_is_not_commissioned_is_neither_tracked_nor_moved() {
    for commissioned in [false, true] {
        let mut config = config(Reach::ClosedLoop);
        config.mvs[1].commissioned = commissioned;
        let mut world = World::with_config(config, Latch::default());
        let (mut written, mut decision) = ([0, 0], world.scan());
        let mut scan = |world: &mut World, scans: usize| {
            for _ in 0..scans {
                decision = world.scan();
                if let Verdict::Pass(approved) = &decision.verdict {
                    for (mv, count) in written.iter_mut().enumerate() {
                        *count += usize::from(approved.set_point(mv).is_some());
                    }
                }
            }
        };
        scan(&mut world, 4);
        world.dcs.mode_req.value = ModeRequest::Warm;
        scan(&mut world, 10);
        world.dcs.mode_req.value = ModeRequest::On;
        scan(&mut world, 12);
        world.grant();
        scan(&mut world, 13);
        world.dcs.mvs[1].mode.value = MvMode::Rcas;
        world.propose = Some([55.0, 55.0]);
        scan(&mut world, 30);
        assert_eq!(decision.state, State::Active);
        assert!(written[0] > 0);
        assert_eq!(written[1] > 0, commissioned, "{written:?}");
        assert_eq!(decision.mv[1].sts != MvStatus::Inac, commissioned);
    }
}

/// What is shown of proposals in ADVISORY: moves of a period, which bound each would have violated, and how far the MVs
/// may go in time.
fn shown(asked: [f64; 2]) -> Recommended {
    let mut world = World::new(Reach::Advisory, on());
    play(&mut world, "| 5 | Tripped |\n mode=WARM | 10 | Ready |\n mode=ADVISORY | 1 | Advisory |");
    world.propose = Some(asked);
    let found = (0..SCANS_PER_PERIOD).find_map(|_| match world.scan().verdict {
        Verdict::Recommend(shown) => Some(shown),
        _ => None,
    });
    found.unwrap()
}

#[test]
fn a_recommendation_says_which_bound_its_proposal_would_have_violated_and_how_far_the_mv_may_go() {
    let free = shown([54.0, 46.0]);
    assert_eq!((free.u[..].to_vec(), free.cut[..].to_vec()), (vec![54.0, 46.0], vec![None, None]));
    assert_eq!((free.low[..].to_vec(), free.high[..].to_vec()), (vec![10.0; 2], vec![90.0; 2]));
    let beyond = shown([60.0, 7.0]);
    assert_eq!((beyond.u[..].to_vec(), beyond.cut[..].to_vec()), (vec![55.0, 45.0], vec![Some(Bound::Rate); 2]));
}
