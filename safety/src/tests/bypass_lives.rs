//! Random lives with random bypasses: nothing forbidden is ever bypassed, and every bypass ends.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRng, TestRunner};
use signals::Stamp;

use super::bypass::{BYPASSABLE, set};
use super::script::change;
use super::states::engaged;
use super::world::config;
use crate::bypass::{Bypass, MAX_LIFE, Person, Subject};
use crate::check::{CheckId, CheckSet};
use crate::config::Reach;
use crate::interlock::Interlock;
use crate::latch::Latch;
use crate::verdict::{Decision, Event};

const CHECKS: [CheckId; 9] = [
    CheckId::Quality,
    CheckId::Age,
    CheckId::NotFinite,
    CheckId::Range,
    CheckId::CommandRange,
    CheckId::CommandRate,
    CheckId::DcsHeartbeat,
    CheckId::SolverStatus,
    CheckId::ConfigHash,
];

/// Anything, and as often something to the point.
fn any_bypass() -> impl Strategy<Value = Bypass> {
    let subject = prop_oneof![Just(Subject::Loop), (0..4_u16).prop_map(Subject::Tag), (0..3_u16).prop_map(Subject::Mv)];
    let apt = prop::sample::select(BYPASSABLE.to_vec()).prop_map(|(check, subject, ..)| (check, subject));
    let place = prop_oneof![1 => (prop::sample::select(CHECKS.to_vec()), subject), 2 => apt];
    let people = (prop::sample::select(vec!["Abel", "Baker", "Carol"]), prop::sample::select(vec!["Abel", "Dora"]));
    // Seconds about the seconds 0 to 20 that a life takes, and lives about the longest.
    let begins = prop_oneof![2 => -20_000.0..0.0, 1 => -40_000.0..20.0];
    let lasts = prop_oneof![1 => 0.0..20.0, 3 => 20_000.0..40_000.0];
    (place, people, begins, lasts).prop_map(|((check, subject), (asked, approved), begins, lasts)| Bypass {
        id: 0,
        check,
        subject,
        requested_by: Person::named(asked),
        approved_by: Person::named(approved),
        from: Stamp::from_secs_f64(begins),
        until: Stamp::from_secs_f64(begins + lasts),
    })
}

/// What the rules say, written down once more and apart from the interlock.
fn is_lawful(b: &Bypass, now: Stamp) -> bool {
    let forbidden = [3, 11, 12, 16, 22].contains(&b.check.number());
    let here = match b.subject {
        Subject::Loop => true,
        Subject::Tag(n) => n < 3,
        Subject::Mv(n) => n < 2,
    };
    let life_s = b.until.secs_f64() - b.from.secs_f64();
    !forbidden && here && b.requested_by != b.approved_by && life_s <= 28_800.0 && b.from <= now && now < b.until
}

/// A decision without what is said of bypasses.
fn but_words(decision: &Decision) -> String {
    let of_bypass =
        |e: &&Event| !matches!(e, Event::BypassBegan { .. } | Event::BypassEnded { .. } | Event::BypassRefused { .. });
    let events: Vec<_> = decision.events.iter().filter(of_bypass).collect();
    let Decision { state, verdict, mode_act, mv, heartbeat, shed_reason, first_out, bypasses, .. } = decision;
    format!("{state:?} {verdict:?} {mode_act:?} {mv:?} {heartbeat} {shed_reason} {first_out:?} {bypasses} {events:?}")
}

/// An interlock that is offered anything decides like its twin that is offered only what is lawful at that moment: nothing
/// forbidden is ever bypassed. And behind the longest life nothing is in force.
#[test]
fn nothing_forbidden_is_ever_bypassed_and_every_bypass_ends() {
    const TOKENS: [&str; 16] = [
        "cv1=bad",
        "cv1=ok",
        "cv2=bad",
        "cv2=ok",
        "cv1=nan",
        "cv1=frozen",
        "cv1=150",
        "dv1=bad",
        "solver=fail",
        "solver=ok",
        "prop=99,1",
        "hb_dcs=stop",
        "hb_dcs=go",
        "mode=OFF",
        "mode=WARM",
        "prop=nan,1",
    ];
    let (spared, forbidden) = (Cell::new(0), Cell::new(0));
    let life =
        (prop::collection::vec(any_bypass(), 0..7), prop::collection::vec((0..TOKENS.len(), 1..12_usize), 1..12));
    let config_of = Config { cases: 600, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(Default::default());
    let run = TestRunner::new_with_rng(config_of, rng).run(&life, |(bypasses, tokens)| {
        let offered = set((1..).zip(bypasses).map(|(id, b)| Bypass { id, ..b }));
        let mut world = engaged(CheckSet::EMPTY);
        let mut twin = engaged(CheckSet::EMPTY).interlock;
        let mut plain = engaged(CheckSet::EMPTY).interlock;
        for (token, scans) in tokens {
            change(&mut world, TOKENS[token]);
            for _ in 0..scans {
                world.pass_time();
                let proposal = world.proposal();
                world.bypasses = set(offered.iter().copied().filter(|b| is_lawful(b, world.now)));
                let lawful = twin.step(&world.inputs(proposal.as_ref()), world.now);
                world.bypasses = set([]);
                let without = plain.step(&world.inputs(proposal.as_ref()), world.now);
                world.bypasses = offered;
                let mut interlock = Interlock::build(config(Reach::ClosedLoop), Latch::default());
                std::mem::swap(&mut interlock, &mut world.interlock);
                let decision = interlock.step(&world.inputs(proposal.as_ref()), world.now);
                world.interlock = interlock;
                prop_assert_eq!(but_words(&decision), but_words(&lawful));
                spared.set(spared.get() + u32::from(decision.state != without.state));
                forbidden.set(forbidden.get() + u32::from(usize::from(decision.bypasses) < offered.len()));
                world.react(&decision);
            }
        }
        world.now = world.now + MAX_LIFE;
        world.bypasses = offered;
        prop_assert_eq!(world.scan().bypasses, 0, "I10");
        Ok(())
    });
    run.unwrap_or_else(|e| panic!("{e}"));
    println!("spared: {}, forbidden: {}", spared.get(), forbidden.get());
    assert!(spared.get() > 100, "only {} steps were spared anything", spared.get());
    assert!(forbidden.get() > 1000, "only {} steps were offered what breaks a rule", forbidden.get());
}
