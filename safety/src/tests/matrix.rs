//! The matrix as data, and the changes that a file may make to it.

use std::time::Duration;

use super::world::{World, config, everything};
use crate::cause::{Cause, Fault};
use crate::check::{CheckId, CheckSet};
use crate::config::{InterlockConfig, Reach, SafetyError};
use crate::latch::Latch;
use crate::matrix::Overlay;
use crate::reaction::{Effect, Priority};
use crate::row::Row;
use crate::subject::Subject;
use crate::verdict::State;

fn overlay(text: &str) -> Overlay {
    serde_json::from_str(text).unwrap()
}

fn apply(text: &str) -> (InterlockConfig, Result<(), SafetyError>) {
    let mut config = everything(Reach::ClosedLoop);
    let result = overlay(text).apply(&mut config);
    (config, result)
}

#[test]
fn a_cell_reads_as_a_line() {
    let cell = everything(Reach::ClosedLoop).matrix().into_iter().find(|c| c.row == Row::OneLeft).unwrap();
    assert_eq!(cell.to_string(), " 8  one_left            CV2       2oo3    0.500 s  trip       latched  critical");
}

#[test]
fn a_check_without_its_number_or_switched_off_has_no_cell() {
    let rows = |config: &InterlockConfig| config.matrix().iter().map(|cell| cell.row).collect::<Vec<_>>();
    let plain = rows(&config(Reach::ClosedLoop));
    let missing = [Row::Frozen, Row::Spike, Row::OneLeft, Row::Residual, Row::Drift, Row::Balance, Row::Travel];
    for row in missing.into_iter().chain([Row::Disagreement]) {
        assert!(!plain.contains(&row), "{row}");
    }
    assert!(plain.contains(&Row::Readback) && plain.contains(&Row::Permit));
    let off = InterlockConfig { switched_off: CheckSet::EMPTY.with(CheckId::Rate), ..everything(Reach::ClosedLoop) };
    assert!(!rows(&off).contains(&Row::Rate) && rows(&off).contains(&Row::Range));
}

#[test]
fn how_many_transmitters_must_say_so_follows_from_the_row() {
    let votes = |on: &str| {
        let cells = everything(Reach::ClosedLoop).matrix().into_iter().filter(|c| c.subject.to_string() == on);
        cells.map(|c| (c.row, (c.vote.needed, c.vote.of))).collect::<Vec<_>>()
    };
    for (row, vote) in votes("CV2") {
        let expected = match row {
            Row::Quality | Row::Age | Row::NotFinite | Row::Sequence => (3, 3),
            Row::Transmitter => (1, 3),
            _ => (2, 3),
        };
        assert_eq!(vote, expected, "{row}");
    }
    assert!(votes("CV1").iter().chain(&votes("MV1")).all(|(_, vote)| *vote == (1, 1)), "without spares");
}

#[test]
fn latching_follows_from_the_effect() {
    for cell in everything(Reach::ClosedLoop).matrix() {
        assert_eq!(cell.latches(), matches!(cell.effect, Effect::Shed | Effect::Trip), "{cell}");
    }
}

#[test]
fn a_cause_finds_its_cell() {
    let config = everything(Reach::ClosedLoop);
    let cause = Cause::Measurement { tag: config.measured(0), fault: Fault::High { value: 101.0, limit: 100.0 } };
    let cell = config.cell_of(&cause).unwrap();
    assert_eq!((cell.row, cell.effect, cell.priority), (Row::Range, Effect::Trip, Priority::Critical));
}

#[test]
fn a_file_changes_named_cells_and_the_step_obeys() {
    let (config, result) = apply(
        r#"{"cell": [
            {"cause": "quality", "on": "CV1", "effect": "shed", "delay_s": 0.3},
            {"cause": "rate", "on": "DV1", "priority": "high"},
            {"cause": "not_finite", "on": "CV1", "effect": "hold", "delay_s": 0.0},
            {"cause": "permit", "on": "loop", "priority": "critical"},
            {"cause": "balance", "on": "balance1", "effect": "warn"},
            {"cause": "left_rcas", "on": "MV2", "effect": "hold"}
        ]}"#,
    );
    assert_eq!(result, Ok(()));
    let cell = |row, subject| config.cell(row, subject).unwrap();
    let tag = |n| Subject::Tag(config.measured(n));
    assert_eq!(cell(Row::Quality, tag(0)).priority, Priority::High, "the priority follows the effect");
    assert_eq!(cell(Row::Rate, tag(2)).priority, Priority::High);
    assert_eq!(cell(Row::Permit, Subject::Loop).priority, Priority::Critical);
    assert_eq!(cell(Row::Balance, Subject::Balance(0)).effect, Effect::Warn);
    assert_eq!(cell(Row::LeftRcas, Subject::Mv(1)).effect, Effect::Hold);
    let mut world = World::alive(config, Latch::default());
    world.engage();
    super::script::play(&mut world, "cv1=bad | 3 | Active |\n | 1 | Shed | reason=101");
    let mut control = World::with_everything(Reach::ClosedLoop);
    control.engage();
    super::script::change(&mut control, "cv1=bad");
    assert_eq!(control.scan().state, State::Hold);
}

/// Where a cause that has not had its effect yet leaves the operator's reset; the loop was engaged if it `was_on`.
fn reset_beside(cause: &str, on: &str, effect: &str, (disturbance, was_on): (&str, bool)) -> State {
    let cell = format!(r#"{{"cause": "{cause}", "on": "{on}", "effect": "{effect}", "delay_s": 100}}"#);
    let (config, result) = apply(&format!(r#"{{"cell": [{cell}]}}"#));
    assert_eq!(result, Ok(()));
    let mut world = World::alive(config, Latch::default());
    if was_on {
        world.engage();
    } else {
        world.scan();
    }
    disturbance.split_whitespace().for_each(|token| super::script::change(&mut world, token));
    world.scan();
    if was_on {
        super::script::change(&mut world, "cv1=150");
        assert_eq!(world.scan().state, State::Tripped);
        super::script::change(&mut world, "cv1=ok");
    }
    super::script::change(&mut world, "mode=OFF");
    for _ in 0..4 {
        assert_eq!(world.scan().state, State::Tripped);
    }
    super::script::change(&mut world, "mode=WARM");
    world.scan().state
}

#[test]
fn what_will_trip_keeps_a_reset_back_before_its_delay_is_over() {
    for (cause, on, softer, disturbance) in [
        ("range", "CV1", "warn", ("cv1=150", false)),
        ("balance", "balance1", "warn", ("cv1=60", false)),
        ("clock_jump", "loop", "warn", ("wall=jump", false)),
        ("travel", "MV1", "warn", ("mv1.sp=75 mv2.sp=75", true)),
    ] {
        assert_eq!(reset_beside(cause, on, "trip", disturbance), State::Tripped, "{cause}");
        assert_eq!(reset_beside(cause, on, softer, disturbance), State::Ready, "the negative control: {cause}");
    }
}

#[test]
fn every_fault_of_a_file_is_told_with_its_row_and_key_and_nothing_is_changed() {
    let (config, result) = apply(
        r#"{"cell": [
            {"cause": "not_finite", "on": "CV1", "effect": "warn", "delay_s": 5.0},
            {"cause": "config_hash", "on": "loop", "effect": "hold"},
            {"cause": "permit", "on": "loop", "effect": "warn"},
            {"cause": "hb_dcs", "on": "loop", "delay_s": 60.0},
            {"cause": "range", "on": "CV9", "effect": "warn"},
            {"cause": "range", "on": "CV2", "effect": "clamp", "delay_s": -1.0},
            {"cause": "spike", "on": "CV1", "effect": "trip"},
            {"cause": "spike", "on": "CV1", "effect": "warn"}
        ]}"#,
    );
    assert_eq!(config, everything(Reach::ClosedLoop));
    let Err(SafetyError::Overlay { faults }) = result else { panic!("must be refused") };
    let told: Vec<_> = faults.iter().map(|f| (f.number, f.row, f.key)).collect();
    let expected = [
        (1, Row::NotFinite, "effect"),
        (1, Row::NotFinite, "delay_s"),
        (2, Row::ConfigHash, "effect"),
        (3, Row::Permit, "effect"),
        (4, Row::HbDcs, "delay_s"),
        (5, Row::Range, "on"),
        (6, Row::Range, "delay_s"),
        (6, Row::Range, "effect"),
        (8, Row::Spike, "on"),
    ];
    assert_eq!(told, expected);
    assert_eq!(
        faults[0].to_string(),
        "cell 1 (not_finite on CV1): `effect` must be at least hold: this check is always on"
    );
}

#[test]
fn a_file_with_an_unknown_word_is_refused() {
    for text in [
        r#"{"cell": [{"cause": "range", "on": "CV1", "effct": "warn"}]}"#,
        r#"{"cell": [{"cause": "rnge", "on": "CV1"}]}"#,
        r#"{"cells": []}"#,
    ] {
        assert!(serde_json::from_str::<Overlay>(text).is_err(), "{text}");
    }
}

#[test]
fn a_delay_longer_than_a_day_or_no_number_is_refused() {
    for delay_s in [f64::NAN, f64::INFINITY, -0.1, 1e9] {
        let mut changed = overlay(r#"{"cell": [{"cause": "range", "on": "CV2"}]}"#);
        changed.cell[0].delay_s = Some(delay_s);
        assert!(changed.apply(&mut everything(Reach::ClosedLoop)).is_err(), "{delay_s}");
        changed.cell[0].delay_s = Some(2.0);
        let mut config = everything(Reach::ClosedLoop);
        changed.apply(&mut config).unwrap();
        assert_eq!(config.tags[1].reactions.get(Row::Range).unwrap().delay, Duration::from_secs(2));
    }
}
