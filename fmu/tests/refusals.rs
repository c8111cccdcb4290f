//! What cannot be played, and units that refuse a step, each told in words.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod common;

use common::{Plant, assert_y, level, packed, program, run, tank};

const PLAIN: [&str; 4] = ["--input", "power", "--output", "T"];

#[test]
fn a_step_that_is_refused_is_told_until_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    for (version, power, says) in [
        (2, 91.0, "fmi2DoStep was discarded by the unit: too steep at 6 s"),
        (2, 92.0, "fmi2DoStep ended: the unit asks to end the simulation: enough at 6 s"),
        (2, 93.0, "fmi2DoStep failed: no solution at 6 s"),
        (3, 91.0, "fmi3DoStep was discarded by the unit: too steep"),
        (3, 92.0, "fmi3DoStep ended: the unit asks to end the simulation"),
        (3, 93.0, "fmi3DoStep failed: no solution"),
    ] {
        let mut plant = Plant::of(program(&tank(folder.path(), version, |xml| xml), &PLAIN));
        plant.start(&[50.0], &[]);
        assert_y(&plant.step(1.0, &[50.0], &[]), level(20.0, 50.0, 1.0));
        assert_eq!(plant.refused(power), says);
        assert_eq!(plant.refused(50.0), says, "what it holds now is nobody's promise");
        assert_y(&plant.start(&[50.0], &[]), 20.0);
        assert_y(&plant.step(1.0, &[50.0], &[]), level(20.0, 50.0, 1.0));
    }
}

#[test]
fn a_unit_that_is_broken_for_good_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    let unit = tank(folder.path(), 2, |xml| xml);
    for (power, says) in
        [(94.0, "fmi2DoStep failed for good: out of memory at 5 s"), (97.0, "the unit breaks the standard")]
    {
        let mut plant = Plant::of(program(&unit, &PLAIN));
        plant.start(&[50.0], &[]);
        let why = plant.refused(power);
        assert!(why.starts_with(says), "{why}");
        let answer = plant.start(&[50.0], &[]);
        assert!(answer["error"].as_str().unwrap().contains("start this program again"), "{answer}");
        assert!(plant.stop().success());
    }
}

#[test]
fn a_unit_that_crashes_takes_nothing_but_its_program_along() {
    let folder = tempfile::tempdir().unwrap();
    let mut plant = Plant::of(program(&tank(folder.path(), 2, |xml| xml), &PLAIN));
    plant.start(&[50.0], &[]);
    plant.say(r#"{"op":"step","n":1,"dt_s":1.0,"u":[95.0],"p":[]}"#);
    assert!(!plant.ended().success());
}

#[test]
fn a_value_that_is_no_number_is_null() {
    let folder = tempfile::tempdir().unwrap();
    let mut plant = Plant::of(program(&tank(folder.path(), 2, |xml| xml), &PLAIN));
    plant.start(&[50.0], &[]);
    let answer = plant.step(1.0, &[98.0], &[]);
    assert!(answer["y"].as_array().is_some_and(|y| y.len() == 1 && y[0].is_null()), "{answer}");
}

#[test]
fn what_cannot_be_asked_is_answered_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let mut plant = Plant::of(program(&tank(folder.path(), 2, |xml| xml), &PLAIN));
    assert_eq!(plant.refused(50.0), "asked for a step before `start`");
    plant.start(&[50.0], &[]);
    assert_eq!(plant.step(1.0, &[], &[])["error"], "got 0 inputs, expected 1");
    assert_eq!(plant.step(1.0, &[50.0], &[1.0])["error"], "got 1 disturbances, expected 0");
    assert_eq!(plant.step(-1.0, &[50.0], &[])["error"], "`dt_s` is -1, expected a positive number of seconds");
    plant.say("hello there");
    let said = plant.hear().unwrap()["error"].as_str().unwrap().to_owned();
    assert!(said.starts_with("asked \"hello there\", expected hello, start, step or stop"), "{said}");
    assert_y(&plant.step(1.0, &[50.0], &[]), level(20.0, 50.0, 1.0));
}

#[test]
fn what_does_not_fit_the_unit_is_told_all_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let unit = tank(folder.path(), 2, |xml| xml);
    let words = "--input powr --input T --input power=X --input on=X --input tau --output maker --output steps \
                 --output T=Y --start steps=1 --start tau=slow --start x --range power=5:1 --range level=0:1 --nominal T=200";
    let (well, out, said) = run(&unit, &words.split_whitespace().collect::<Vec<_>>());
    assert!(!well && out.is_empty(), "{out}");
    for says in [
        "--input powr: the unit has no such variable, expected one of `power`, `tau`, `on`",
        "--input T: it is output Real, expected one of `power`, `tau`, `on`",
        "`power`: the range is 5 to 1, expected the lower end first",
        "`on`: min is none and max none, expected --range on=LOW:HIGH",
        "`tau`: the unit of measure is not given, expected --unit tau=SYMBOL",
        "--output maker: it is parameter String, expected one of",
        "--start tau=slow: expected a finite number",
        "--start x: expected NAME=VALUE",
        "--range level=0:1: `level` is no --input, --disturbance or --output",
        "--nominal T=200: expected it from 0 to 120",
    ] {
        assert!(said.contains(says), "{says:?} in\n{said}");
    }
    assert!(said.lines().all(|line| line.starts_with(&unit.display().to_string())), "{said}");
    let (_, _, said) = run(&unit, &[]);
    assert!(said.contains("expected at least one --input (--list shows the unit's variables)"), "{said}");
}

#[test]
fn a_unit_that_will_not_start_says_why() {
    let folder = tempfile::tempdir().unwrap();
    for (version, was, is, says) in [
        (2, "{tank", "{bowl", "it refused to be instantiated: the guid is another at 0 s"),
        (3, "{tank3}", "{bowl}", "it refused to be instantiated: the token is another"),
        (2, "tank2\"", "tank9\"", "tank9.so`, expected one for this machine; it has `linux64`"),
        (2, "\"2.0\"", "\"1.0\"", "`fmiVersion` = 1.0, expected 2.0 or 3.0"),
        (3, "\"3.0\"", "\"4.0\"", "`fmiVersion` = 4.0, expected 2.0 or 3.0"),
        (2, "CoSimulation", "ModelExchange", "it has no `CoSimulation`"),
        (2, "guid=", "gui=", "`fmiModelDescription` has no attribute `guid`"),
        (2, "valueReference=\"0\"", "", "`power` has no `valueReference`"),
        (2, "</ModelStructure>", "", "expected 'ModelStructure' tag"),
    ] {
        let unit = tank(folder.path(), version, |xml| xml.replace(was, is));
        let (well, out, said) = run(&unit, &PLAIN);
        assert!(!well && out.is_empty() && said.contains(says), "{says:?} in {said}");
        assert!(said.contains("tank"), "the file is named: {said}");
    }
    let mut plant =
        Plant::of(program(&tank(folder.path(), 2, |xml| xml), &[&PLAIN[..], &["--start", "tau=0"]].concat()));
    let answer = plant.start(&[50.0], &[]);
    assert_eq!(answer["error"], "fmi2ExitInitializationMode failed: tau must be above 0 at 5 s");
}

#[test]
fn what_is_no_unit_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let (_, _, said) = run(&folder.path().join("none.fmu"), &PLAIN);
    assert!(said.contains("cannot read `") && said.contains("none.fmu`: No such file"), "{said}");
    let text = folder.path().join("text.fmu");
    std::fs::write(&text, "no archive").unwrap();
    assert!(run(&text, &PLAIN).2.contains("is no FMU: invalid Zip archive"), "{}", run(&text, &PLAIN).2);
    let empty = packed(folder.path(), "empty.fmu", &[("readme.txt", b"nothing")]);
    let said = run(&empty, &PLAIN).2;
    assert!(said.contains("modelDescription.xml: No such file") && said.contains("expected a ZIP archive"), "{said}");
    let xml = std::fs::read(common::source("tank2.xml")).unwrap();
    let files = [("modelDescription.xml", &xml[..]), ("binaries/linux64/tank2.so", b"no library")];
    let said = run(&packed(folder.path(), "fake.fmu", &files), &PLAIN).2;
    assert!(said.contains("fake.fmu`: the unit cannot be started: ") && said.contains("tank2.so"), "{said}");
}
