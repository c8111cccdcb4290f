//! Bypasses before the interlock: what a lawful one does, and that no other does anything.

use std::time::Duration;

use signals::Stamp;

use super::script::change;
use super::states::engaged;
use super::world::{World, config};
use crate::bypass::{Bypass, BypassSet, EndOfBypass, MAX_LIFE, Objection, Person, Subject};
use crate::check::{CheckId, CheckSet};
use crate::config::Reach;
use crate::interlock::Interlock;
use crate::latch::Latch;
use crate::reaction::Effect;
use crate::verdict::{Decision, Event, State};

fn back(now: Stamp, span: Duration) -> Stamp {
    Stamp::from_nanos(now.nanos() - i64::try_from(span.as_nanos()).unwrap())
}

/// A lawful bypass: approved an hour ago, for two hours.
fn lawful(check: CheckId, subject: Subject, now: Stamp) -> Bypass {
    let hour = Duration::from_hours(1);
    let (requested_by, approved_by) = (Person::named("Abel"), Person::named("Baker"));
    Bypass { id: 1, check, subject, requested_by, approved_by, from: back(now, hour), until: now + hour }
}

pub(super) fn set(bypasses: impl IntoIterator<Item = Bypass>) -> BypassSet {
    BypassSet::collect(bypasses)
}

/// Makes the disturbance and lets so many scans pass; the last state, and every event.
fn after(world: &mut World, disturbance: &str, scans: usize) -> (State, Vec<Event>) {
    disturbance.split_whitespace().for_each(|token| change(world, token));
    let decisions: Vec<Decision> = (0..scans).map(|_| world.scan()).collect();
    (decisions[scans - 1].state, decisions.iter().flat_map(|d| d.events.to_vec()).collect())
}

fn warned_of(check: CheckId, events: &[Event]) -> bool {
    events.iter().any(|e| matches!(e, Event::Raised { cause, effect: Effect::Warn } if cause.check() == Some(check)))
}

/// Check, where it looks, a disturbance that it finds, the scans within which it bites.
pub(super) const BYPASSABLE: [(CheckId, Subject, &str, usize); 8] = [
    (CheckId::Quality, Subject::Tag(0), "cv1=bad", 1),
    (CheckId::Quality, Subject::Tag(1), "cv2=bad", 10),
    (CheckId::Age, Subject::Tag(0), "cv1=frozen", 30),
    (CheckId::Range, Subject::Tag(0), "cv1=101", 1),
    (CheckId::Rate, Subject::Tag(0), "cv1=61", 1),
    (CheckId::ControllerSilent, Subject::Loop, "prop=none", 18),
    (CheckId::ControllerSilent, Subject::Loop, "left=0", 1),
    (CheckId::SolverStatus, Subject::Loop, "solver=fail", 25),
];

#[test]
fn a_bypassed_check_warns_and_has_no_other_effect_and_without_the_bypass_it_bites() {
    for (check, subject, disturbance, scans) in BYPASSABLE {
        let mut world = engaged(CheckSet::EMPTY);
        world.bypasses = set([lawful(check, subject, world.now)]);
        let (state, events) = after(&mut world, disturbance, scans + 60);
        assert_eq!(state, State::Active, "{check:?}: {disturbance}");
        assert!(warned_of(check, &events), "{check:?}: {disturbance} is told: {events:?}");
        let (state, _) = after(&mut engaged(CheckSet::EMPTY), disturbance, scans);
        assert_ne!(state, State::Active, "negative control: {disturbance}");
    }
}

/// Checks 15 and 17 have no findings of their own: what a bypass of theirs told is over with the finding, not with it.
#[test]
fn what_a_bypassed_controller_check_told_is_over_when_its_finding_is() {
    let of = |event: &Event| match event {
        Event::Raised { cause, .. } if cause.check() == Some(CheckId::SolverStatus) => Some(true),
        Event::Cleared { cause } if cause.check() == Some(CheckId::SolverStatus) => Some(false),
        _ => None,
    };
    let told = |events: &[Event]| events.iter().filter_map(of).collect::<Vec<_>>();
    let mut world = engaged(CheckSet::EMPTY);
    world.bypasses = set([lawful(CheckId::SolverStatus, Subject::Loop, world.now)]);
    assert_eq!(told(&after(&mut world, "solver=fail", 40).1), [true]);
    world.bypasses = BypassSet::new();
    assert_eq!(told(&after(&mut world, "", 5).1), Vec::<bool>::new(), "the solver still fails");
    assert_eq!(told(&after(&mut world, "solver=ok", 5).1), [false]);
    // Without a bypass the ladder tells it, and it is no warning.
    assert_eq!(told(&after(&mut engaged(CheckSet::EMPTY), "solver=fail", 40).1), Vec::<bool>::new());
}

/// A loop with everything in force, engaged, with one bypass.
fn everything_with(check: CheckId, subject: Subject) -> World {
    let mut world = World::with_everything(Reach::ClosedLoop);
    assert_eq!(world.engage().state, State::Active);
    world.bypasses = set([lawful(check, subject, world.now)]);
    world
}

#[test]
fn a_bypass_on_an_mv_is_of_that_mv() {
    for (mv, state) in [(0, State::Active), (1, State::Hold)] {
        let mut world = everything_with(CheckId::Readback, Subject::Mv(mv));
        assert_eq!(after(&mut world, "stuck=1 mv1.sp=54", 21).0, state, "on MV{}", mv + 1);
    }
}

#[test]
fn a_check_of_the_host_is_bypassed_on_the_loop() {
    let mut world = everything_with(CheckId::ClockJump, Subject::Loop);
    let (state, events) = after(&mut world, "wall=jump", 1);
    assert!(state == State::Active && warned_of(CheckId::ClockJump, &events), "{events:?}");
    let mut control = everything_with(CheckId::ScanOverrun, Subject::Loop);
    assert_eq!(after(&mut control, "wall=jump", 1).0, State::Hold, "the negative control");
}

#[test]
fn a_balance_is_no_subject_and_one_of_the_loop_does_not_reach_it() {
    let mut world = everything_with(CheckId::Balance, Subject::Loop);
    assert_eq!(after(&mut world, "stuck=1 mv1.sp=60 mv2.sp=40", 11).0, State::Shed);
}

/// Offers a bypass of check 1 on CV1, then the same number with other times; whether it was in force then, and after
/// another hour.
fn offered_again(change: Spoil) -> (u8, u8) {
    let mut world = World::with_everything(Reach::ClosedLoop);
    world.engage();
    let bypass = lawful(CheckId::Quality, Subject::Tag(0), world.now);
    world.bypasses = set([bypass]);
    world.scan();
    world.bypasses = set([change(bypass)]);
    let then = world.scan().bypasses;
    world.now = world.now + Duration::from_hours(1);
    (then, world.scan().bypasses)
}

#[test]
fn other_times_make_no_other_bypass_and_put_no_end_off() {
    assert_eq!(offered_again(|b| b), (1, 0));
    assert_eq!(offered_again(|b| Bypass { from: b.from + Duration::from_secs(60), ..b }), (1, 0));
    assert_eq!(offered_again(|b| Bypass { until: b.until + Duration::from_hours(2), ..b }), (1, 0), "not put off");
    assert_eq!(offered_again(|b| Bypass { subject: Subject::Tag(1), ..b }), (0, 0), "that is another");
}

#[test]
fn what_was_withdrawn_is_forgotten() {
    let mut world = World::with_everything(Reach::ClosedLoop);
    world.engage();
    let bypass = lawful(CheckId::Quality, Subject::Tag(0), world.now);
    for (offered, in_force) in
        [(Some(bypass), 1), (None, 0), (None, 0), (Some(Bypass { subject: Subject::Tag(1), ..bypass }), 1)]
    {
        world.bypasses = set(offered);
        assert_eq!(world.scan().bypasses, in_force);
        assert!(world.interlock.bypasses().eq(offered.as_ref()), "which they are can be asked");
    }
}

#[test]
fn a_bypass_is_of_one_check_on_one_subject() {
    for (check, subject) in [
        (CheckId::Quality, Subject::Tag(1)),
        (CheckId::Quality, Subject::Loop),
        (CheckId::Quality, Subject::Mv(0)),
        (CheckId::Age, Subject::Tag(0)),
    ] {
        let mut world = engaged(CheckSet::EMPTY);
        world.bypasses = set([lawful(check, subject, world.now)]);
        assert_eq!(after(&mut world, "cv1=bad", 1).0, State::Hold, "{check:?} on {subject:?}");
    }
}

#[test]
fn checks_3_11_12_16_and_22_are_never_bypassed_whatever_is_offered() {
    for check in CheckId::ALWAYS_ON {
        for subject in [Subject::Loop, Subject::Tag(0), Subject::Mv(0)] {
            let mut world = engaged(CheckSet::EMPTY);
            world.bypasses = set([lawful(check, subject, world.now)]);
            let decision = world.scan();
            assert_eq!(decision.bypasses, 0);
            let refused = |e: &Event| matches!(e, Event::BypassRefused { objection: Objection::AlwaysOn, .. });
            assert_eq!(decision.events.iter().filter(|e| refused(e)).count(), 1, "{check:?}");
            assert!(!world.scan().events.iter().any(refused), "told once");
        }
    }
    let all: Vec<Bypass> = (1..)
        .zip(CheckId::ALWAYS_ON)
        .flat_map(|(id, check)| {
            let subject = if check == CheckId::NotFinite { Subject::Tag(0) } else { Subject::Loop };
            [Bypass { id, ..lawful(check, subject, Stamp::from_secs_f64(4.0)) }]
        })
        .collect();
    for (disturbance, scans, state) in
        [("cv1=nan", 1, State::Hold), ("prop=nan,50", 10, State::Tripped), ("hb_dcs=stop", 31, State::Shed)]
    {
        let mut world = engaged(CheckSet::EMPTY);
        world.bypasses = set(all.clone());
        assert_eq!(after(&mut world, disturbance, scans).0, state, "{disturbance}");
    }
    let mut world = engaged(CheckSet::EMPTY);
    world.bypasses = set(all);
    change(&mut world, "prop=99,1");
    let clamped = (0..20).map(|_| world.scan()).filter(|d| d.clamped).count();
    assert!(clamped >= 1, "checks 11 and 12 cut the command");
}

/// What spoils a lawful bypass.
type Spoil = fn(Bypass) -> Bypass;

#[test]
fn a_bypass_that_breaks_a_rule_bypasses_nothing_and_says_which() {
    let table: [(Objection, Spoil); 6] = [
        (Objection::OnePerson, |b| Bypass { approved_by: b.requested_by, ..b }),
        (Objection::TooLong, |b| Bypass { until: b.from + MAX_LIFE + Duration::from_nanos(1), ..b }),
        (Objection::NoSubject, |b| Bypass { subject: Subject::Tag(3), ..b }),
        (Objection::NoSubject, |b| Bypass { subject: Subject::Mv(2), ..b }),
        (Objection::NotYet, |b| Bypass { from: b.until, until: b.until + Duration::from_secs(1), ..b }),
        (Objection::Over, |b| Bypass { until: b.from + Duration::from_secs(1), ..b }),
    ];
    for (objection, spoil) in table {
        let mut world = engaged(CheckSet::EMPTY);
        world.bypasses = set([spoil(lawful(CheckId::Quality, Subject::Tag(0), world.now))]);
        let (state, events) = after(&mut world, "cv1=bad", 1);
        assert_eq!(state, State::Hold, "{objection:?}");
        let said = events.iter().find_map(|e| match e {
            Event::BypassRefused { objection, .. } => Some(*objection),
            _ => None,
        });
        // One that is still to begin is no fault.
        assert_eq!(said, Some(objection).filter(|o| *o != Objection::NotYet), "{events:?}");
    }
    let mut world = engaged(CheckSet::EMPTY);
    world.bypasses = set([lawful(CheckId::Quality, Subject::Tag(0), world.now)]);
    assert_eq!(after(&mut world, "cv1=bad", 1).0, State::Active, "the negative control: nothing is spoilt");
    let life = |b: Bypass| Bypass { until: b.from + MAX_LIFE, ..b };
    let mut world = engaged(CheckSet::EMPTY);
    world.bypasses = set([life(lawful(CheckId::Quality, Subject::Tag(0), world.now))]);
    assert_eq!(after(&mut world, "cv1=bad", 1).0, State::Active, "the longest life is lawful");
}

#[test]
fn a_bypass_ends_by_itself_and_its_finding_bites_in_that_scan() {
    let mut world = engaged(CheckSet::EMPTY);
    let until = world.now + Duration::from_secs(2);
    world.bypasses = set([Bypass { until, ..lawful(CheckId::Quality, Subject::Tag(0), world.now) }]);
    change(&mut world, "cv1=bad");
    let mut events = Vec::new();
    loop {
        let decision = world.scan();
        events.extend(decision.events.to_vec());
        let in_force = world.now < until;
        assert_eq!(decision.state, if in_force { State::Active } else { State::Hold }, "I10");
        assert_eq!(decision.bypasses, u8::from(in_force), "the standing count");
        if !in_force {
            break;
        }
    }
    let bypass = world.bypasses[0];
    let told: Vec<_> =
        events.iter().filter(|e| matches!(e, Event::BypassBegan { .. } | Event::BypassEnded { .. })).collect();
    let ended = Event::BypassEnded { bypass, why: EndOfBypass::Expired };
    assert_eq!(told, [&Event::BypassBegan { bypass }, &ended]);
    assert!(!world.scan().events.iter().any(|e| matches!(e, Event::BypassRefused { .. })), "it is over, not wrong");
}

#[test]
fn a_bypass_that_is_offered_no_more_is_over_in_that_scan() {
    let mut world = engaged(CheckSet::EMPTY);
    world.bypasses = set([lawful(CheckId::Quality, Subject::Tag(0), world.now)]);
    let bypass = world.bypasses[0];
    assert_eq!(after(&mut world, "cv1=bad", 5).0, State::Active);
    world.bypasses = set([]);
    let decision = world.scan();
    assert_eq!((decision.state, decision.bypasses), (State::Hold, 0));
    assert!(decision.events.contains(&Event::BypassEnded { bypass, why: EndOfBypass::Withdrawn }));
}

#[test]
fn an_end_is_never_put_off_by_whoever_offers_the_set() {
    let mut world = engaged(CheckSet::EMPTY);
    let first = lawful(CheckId::Quality, Subject::Tag(0), world.now);
    let end = world.now + Duration::from_secs(1);
    world.bypasses = set([Bypass { until: end, ..first }]);
    change(&mut world, "cv1=bad");
    assert_eq!(world.scan().state, State::Active);
    while world.now < end {
        world.bypasses = set([Bypass { from: world.now, until: world.now + MAX_LIFE, ..first }]);
        world.scan();
    }
    assert_eq!(world.scan().state, State::Hold, "the end is the first that was told");
    world.bypasses = set([Bypass { id: 2, ..first }]);
    assert_eq!(world.scan().state, State::Active, "the negative control: another bypass has another end");
}

#[test]
fn a_number_is_not_given_to_another_bypass() {
    let mut world = engaged(CheckSet::EMPTY);
    world.bypasses = set([lawful(CheckId::Age, Subject::Tag(0), world.now)]);
    world.scan();
    world.bypasses = set([lawful(CheckId::Quality, Subject::Tag(0), world.now)]);
    let (state, events) = after(&mut world, "cv1=bad", 5);
    assert_eq!(state, State::Hold);
    assert!(events.iter().any(|e| matches!(e, Event::BypassEnded { .. })));
}

#[test]
fn time_that_runs_back_does_not_revive_a_bypass() {
    let mut world = engaged(CheckSet::EMPTY);
    let until = world.now + Duration::from_millis(500);
    world.bypasses = set([Bypass { until, ..lawful(CheckId::Quality, Subject::Tag(0), world.now) }]);
    world.run(10);
    change(&mut world, "clock=back");
    assert!(world.run(2).bypasses == 0 && world.now < until);
    // The negative control: an interlock that did not see its end counts it.
    let mut fresh = World::new(Reach::ClosedLoop, CheckSet::EMPTY);
    fresh.bypasses = world.bypasses;
    assert_eq!(fresh.run(2).bypasses, 1);
}

#[test]
fn a_bypassed_finding_keeps_no_reset_back() {
    for (check, fault) in [(CheckId::Quality, "cv2=bad"), (CheckId::Range, "cv1=150")] {
        let subject = Subject::Tag(u16::from(check == CheckId::Quality));
        for bypassed in [true, false] {
            let mut world = World::new(Reach::ClosedLoop, CheckSet::EMPTY);
            let lawful = lawful(check, subject, world.now);
            world.bypasses = set([lawful].into_iter().filter(|_| bypassed));
            after(&mut world, fault, 5);
            let (state, _) = after(&mut world, "mode=WARM", 1);
            assert_eq!(state, if bypassed { State::Ready } else { State::Tripped }, "{fault}, bypassed: {bypassed}");
        }
    }
}

#[test]
fn bypasses_outlive_a_restart_of_the_interlock() {
    let mut world = engaged(CheckSet::EMPTY);
    world.bypasses = set([lawful(CheckId::Quality, Subject::Tag(0), world.now)]);
    assert_eq!(world.run(2).bypasses, 1);
    world.interlock = Interlock::build(config(Reach::ClosedLoop), Latch::default());
    assert_eq!(world.scan().bypasses, 1, "they are an input");
}
