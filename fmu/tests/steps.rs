//! Units of both standards, made of C, stepped over pipes and held against the analytic answer.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod common;

use common::{Plant, assert_y, level, program, run, tank};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_unit_agrees_with_the_analytic_answer() {
    for version in [2, 3] {
        let folder = folder();
        let unit = tank(folder.path(), version, |xml| xml);
        let mut plant = Plant::of(program(&unit, &["--input", "power=JACKET", "--output", "T=TEMP"]));
        let offer = plant.hello();
        assert_eq!(offer["name"], format!("heated tank, FMI {version}.0"));
        let jacket = serde_json::json!(
            {"name": "JACKET", "unit": "%", "low": 0.0, "high": 100.0, "nominal": 0.0, "description": "heater"});
        assert_eq!(offer["inputs"][0], jacket);
        // Unit and range are those of the type that the variable declares.
        let temp = &offer["outputs"][0];
        assert!(temp["unit"] == "degC" && temp["low"] == 0.0 && temp["high"] == 120.0, "{temp}");
        for _ in 0..2 {
            assert_y(&plant.start(&[50.0], &[]), 20.0);
            let mut want = 20.0;
            for dt_s in [0.5, 3.0, 0.25] {
                want = level(want, 50.0, dt_s);
                assert_y(&plant.step(dt_s, &[50.0], &[]), want);
            }
            assert_y(&plant.step(1.0, &[10.0], &[]), level(want, 10.0, 1.0));
        }
        assert!(plant.stop().success());
    }
}

#[test]
fn start_values_disturbances_and_other_types_reach_the_unit() {
    let folder = folder();
    let unit = tank(folder.path(), 2, |xml| xml);
    let flags =
        "--input power --disturbance tau=LAG --unit tau=1 --range tau=1:100 --output T --output steps --unit steps=1";
    let words: Vec<&str> = flags.split(' ').chain(["--start", "on=false", "--start", "T=80"]).collect();
    let mut plant = Plant::of(program(&unit, &words));
    assert_eq!(plant.hello()["disturbances"][0]["nominal"], 10.0);
    assert_y(&plant.start(&[50.0], &[20.0]), 80.0);
    // Switched off, so it cools to 20; the disturbance is its time constant.
    let answer = plant.step(5.0, &[50.0], &[20.0]);
    assert_y(&answer, 20.0 + 60.0 * (-5.0_f64 / 20.0).exp());
    assert_eq!(answer["y"][1], 1.0);
    let unit = tank(folder.path(), 3, |xml| xml);
    let words = ["--input", "power", "--output", "T", "--output", "steps", "--unit", "steps=1"];
    let starts = ["--start", "ambient=0", "--start", "on=1", "--start", "tau=5"];
    let mut plant = Plant::of(program(&unit, &[&words[..], &starts].concat()));
    assert_y(&plant.start(&[50.0], &[]), 20.0);
    let answer = plant.step(5.0, &[50.0], &[]);
    assert_y(&answer, 50.0 - 30.0 * (-1.0_f64).exp());
    assert_eq!(answer["y"][1], 1.0);
}

#[test]
fn a_unit_can_be_run_to_rest_before_it_starts() {
    let folder = folder();
    let unit = tank(folder.path(), 2, |xml| xml);
    let words = ["--input", "power", "--output", "T", "--output", "steps", "--unit", "steps=1"];
    let settle = ["--settle", "100.5", "--settle-step", "2"];
    let mut plant = Plant::of(program(&unit, &[&words[..], &settle].concat()));
    let answer = plant.start(&[50.0], &[]);
    assert_y(&answer, level(20.0, 50.0, 100.5));
    assert_eq!(answer["y"][1], 51.0);
    assert_y(&plant.step(1.0, &[50.0], &[]), level(20.0, 50.0, 101.5));
}

#[test]
fn a_unit_that_cannot_vary_its_step_takes_equal_ones() {
    let folder = folder();
    let fixed = |xml: String| xml.replace("StepSize=\"true\"", "StepSize=\"false\"");
    for version in [2, 3] {
        let unit = tank(folder.path(), version, fixed);
        let words = ["--input", "power", "--output", "T", "--output", "steps", "--unit", "steps=1"];
        let mut plant = Plant::of(program(&unit, &words));
        plant.start(&[50.0], &[]);
        plant.step(0.5, &[50.0], &[]);
        let answer = plant.step(1.5, &[50.0], &[]);
        assert_y(&answer, level(20.0, 50.0, 2.0));
        assert_eq!(answer["y"][1], 4.0);
        let answer = plant.step(0.75, &[50.0], &[]);
        let why = "asked for a step of 0.75 s, expected a multiple of 0.5 s: this unit cannot vary its step";
        assert_eq!(answer["error"], why);
        assert_y(&plant.start(&[50.0], &[]), 20.0);
        assert_y(&plant.step(0.75, &[50.0], &[]), level(20.0, 50.0, 0.75));
    }
}

#[test]
fn a_unit_of_which_there_may_be_only_one_is_reset() {
    let folder = folder();
    let unit = tank(folder.path(), 2, |xml| xml.replace("PerProcess=\"false\"", "PerProcess=\"true\""));
    let mut plant = Plant::of(program(&unit, &["--input", "power", "--output", "T"]));
    for _ in 0..2 {
        assert_y(&plant.start(&[50.0], &[]), 20.0);
        assert_y(&plant.step(1.0, &[50.0], &[]), level(20.0, 50.0, 1.0));
    }
}

#[test]
fn the_variables_are_listed() {
    let folder = folder();
    let (well, said, _) = run(&tank(folder.path(), 3, |xml| xml), &["--list"]);
    assert!(well && said.starts_with("heated tank, FMI 3.0, co-simulation, steps of any length\n"), "{said}");
    let words = |name: &str| -> Vec<&str> {
        let line = said.lines().find(|line| line.starts_with(&format!("{name} ")));
        line.unwrap().split_whitespace().collect()
    };
    assert_eq!(words("power"), ["power", "input", "Float64", "%", "0", "100", "0", "heater"]);
    assert_eq!(words("T"), ["T", "output", "Float64", "degC", "0", "120", "-"]);
    assert_eq!(words("profile"), ["profile", "output", "[Float64]", "-", "-", "-", "-"]);
}
