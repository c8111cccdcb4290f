//! The rig in process and in virtual time.

use signals::TagId;
use signals::dcs::{CvTag, ModeActual, MvMode, MvTag, Wire};

use super::*;
use crate::test_plant;

const TS: Duration = Duration::from_secs(18);

fn rig() -> Rig {
    Rig::new(test_plant(), 7).unwrap()
}

/// What an application does in a period: heartbeat, claim, requests, acknowledgements.
fn speak(rig: &mut Rig, beat: u32, mode: ModeActual, u: [f64; 2]) {
    rig.write(DcsTag::HbApc, WireValue::UInt32(beat), Quality::Good).unwrap();
    rig.write(DcsTag::ModeAct, mode.encode(), Quality::Good).unwrap();
    for (n, sp) in (0..).zip(u) {
        rig.write(DcsTag::Mv(n, MvTag::SpReq), WireValue::Double(sp), Quality::Good).unwrap();
        rig.write(DcsTag::Mv(n, MvTag::InitAck), WireValue::Boolean(true), Quality::Good).unwrap();
    }
}

/// A rig in closed loop under an application that only holds.
fn engaged(rig: &mut Rig) {
    rig.command("mode on").unwrap();
    speak(rig, 1, ModeActual::Init, [14.0, -4000.0]);
    rig.command("engage").unwrap();
    rig.step(Duration::from_secs(1));
    speak(rig, 2, ModeActual::Init, [14.0, -4000.0]);
    rig.step(Duration::from_secs(1));
    speak(rig, 3, ModeActual::On, [14.0, -4000.0]);
    assert!(rig.view().mvs.iter().all(|mv| mv.mode.value == MvMode::Rcas));
}

#[test]
fn same_seed_and_steps_give_the_same_bits_and_another_seed_another_noise() {
    let run = |seed, pieces: u32| {
        let mut rig = Rig::new(test_plant(), seed).unwrap();
        rig.command("disturb CA0 4.8").unwrap();
        (0..pieces).for_each(|_| rig.step(Duration::from_secs(1800) / pieces));
        (*rig.view(), rig.truth().to_vec())
    };
    assert_eq!(run(1, 1), run(1, 1800), "how time is cut does not matter");
    assert_eq!(run(1, 1).1, run(2, 1).1);
    assert_ne!(run(1, 1).0.cvs[0].pv, run(2, 1).0.cvs[0].pv);
}

#[test]
fn the_words_of_the_dcs_bear_the_time_of_its_scan() {
    let mut rig = rig();
    rig.step(Duration::from_millis(2700));
    assert_eq!(rig.now(), Stamp::from_nanos(2_700_000_000));
    assert_eq!(rig.view().cvs[0].pv.source_time, Stamp::from_nanos(2_000_000_000));
    assert_eq!((rig.view().hb_dcs.value, rig.to_next_period()), (2, Duration::from_millis(15_300)));
    rig.step(rig.to_next_period());
    assert_eq!((rig.cycles(), rig.to_next_period()), (1, TS));
}

#[test]
fn the_noise_has_the_configured_spread_and_the_cost_does_not_see_it() {
    let mut rig = rig();
    let readings: Vec<f64> = (0..4000)
        .map(|_| {
            rig.step(Duration::from_secs(1));
            rig.view().cvs[1].pv.value
        })
        .collect();
    let truth = rig.truth()[1];
    let sd = (readings.iter().map(|r| (r - truth).powi(2)).sum::<f64>() / 4000.0).sqrt();
    assert!((sd / 0.05 - 1.0).abs() < 0.05, "{sd}");
    let totals = rig.summary().totals;
    let miss = (rig.truth()[0] - 0.82) / 2.0;
    let want = rig.cycles() as f64 * miss * miss;
    assert!((totals.cost / want - 1.0).abs() < 1e-6 && (totals.cost_open_loop / want - 1.0).abs() < 1e-6, "{totals:?}");
}

#[test]
fn limits_are_judged_on_the_truth_in_percent_of_range() {
    let mut rig = rig();
    rig.command("limits CV2 100 132").unwrap();
    rig.step(TS);
    let want = 100.0 * (rig.truth()[1] - 132.0) / 60.0;
    assert!(want > 0.5, "the test needs a violation, {want}");
    assert!((rig.summary().totals.max_limit_violation - want).abs() < 1e-6);
    let mut off = self::rig();
    off.command("limits CV2 100 132").unwrap();
    off.command("cv CV2 off").unwrap();
    off.step(TS);
    assert!(off.summary().totals.max_limit_violation < 1e-12, "a CV that is switched off is not judged");
}

/// The largest excess is kept, so a plant that recovers from NaN has still been out of its limits.
#[test]
fn an_output_that_is_no_number_is_an_infinite_violation_and_null_in_json() {
    let mut rig = rig();
    rig.step(TS);
    assert!(rig.summary().totals.max_limit_violation < 1e-12);
    assert!(rig.emulator.disturb(0, f64::NAN));
    rig.step(TS);
    assert!(rig.truth()[0].is_nan(), "the test needs a NaN, {:?}", rig.truth());
    let violation = rig.summary().totals.max_limit_violation;
    assert!(violation.is_infinite() && violation > 0.0, "{violation}");
    for json in [serde_json::to_value(rig.summary()).unwrap(), serde_json::to_value(rig.snapshot()).unwrap()] {
        assert_eq!(json.get("max_limit_violation"), Some(&serde_json::Value::Null), "{json}");
    }
}

#[test]
fn faults_of_measurements_reach_the_application_and_not_the_plant() {
    let mut rig = rig();
    let y = rig.truth().to_vec();
    for (command, quality) in [
        ("quality CV1 bad", Quality::Bad),
        ("quality CV1 uncertain", Quality::Uncertain),
        ("quality CV1 good", Quality::Good),
    ] {
        rig.command(command).unwrap();
        rig.step(TS);
        assert_eq!(rig.view().cvs[0].pv.quality, quality);
    }
    rig.command("pv CV1 nan").unwrap();
    rig.step(TS);
    assert!(rig.view().cvs[0].pv.value.is_nan() && rig.view().cvs[0].pv.quality.is_good());
    rig.command("pv CV1 frozen").unwrap();
    rig.command("pv CV2 frozen").unwrap();
    let before = rig.view().cvs[1].pv.value;
    rig.step(TS);
    assert_eq!(rig.view().cvs[1].pv.value.to_bits(), before.to_bits());
    rig.command("pv CV1 0.5").unwrap();
    rig.command("pv DV1 off").unwrap();
    rig.step(TS);
    assert_eq!(rig.view().cvs[0].pv.value.to_bits(), 0.5_f64.to_bits());
    rig.command("pv CV1 off").unwrap();
    rig.step(TS);
    assert!((rig.view().cvs[0].pv.value - y[0]).abs() < 0.02);
    assert!(rig.truth().iter().zip(&y).all(|(a, b)| (a - b).abs() < 1e-6));
    assert!(rig.command("pv CV9 nan").is_err() && rig.command("quality DV2 bad").is_err());
}

/// A rig whose CV2 and DV1 have three transmitters each.
fn triplicated() -> Rig {
    let mut config = test_plant();
    (config.cvs[1].spared, config.dvs[0].spared) = (true, true);
    Rig::new(config, 7).unwrap()
}

#[test]
fn three_transmitters_have_noise_of_their_own_and_shift_nobody_elses() {
    let (mut three, mut one) = (triplicated(), rig());
    let mut errors = Vec::new();
    for _ in 0..2000 {
        three.step(Duration::from_secs(1));
        one.step(Duration::from_secs(1));
        let (view, alone) = (three.view(), one.view());
        assert!(view.cvs.iter().zip(&alone.cvs).all(|(a, b)| a.pv.value.to_bits() == b.pv.value.to_bits()));
        assert_eq!(view.dvs[0].pv, alone.dvs[0].pv);
        let truth = three.truth()[1];
        errors.push([0, 1, 2].map(|n| view.measurement(TagId(1), n).unwrap().value - truth));
    }
    let mean = |of: fn(&[f64; 3]) -> f64| errors.iter().map(of).sum::<f64>() / errors.len() as f64;
    let (sd, together) = (mean(|e| e[1] * e[1]).sqrt(), mean(|e| e[1] * e[2]) / mean(|e| e[1] * e[1]));
    assert!((sd / 0.05 - 1.0).abs() < 0.1 && together.abs() < 0.1, "{sd} {together}");
    assert!((mean(|e| e[0] * e[1]) / (sd * sd)).abs() < 0.1);
    assert_eq!(one.view().cvs[1].spares, None, "the control: a rig without spares shows none");
}

#[test]
fn a_command_reaches_a_single_transmitter() {
    let mut rig = triplicated();
    rig.command("pv CV2.B 7").unwrap();
    rig.command("quality CV2.C bad").unwrap();
    rig.command("pv DV1.C nan").unwrap();
    rig.step(TS);
    let said = |tag, n| rig.view().measurement(TagId(tag), n).unwrap();
    assert_eq!(said(1, 1).value.to_bits(), 7.0_f64.to_bits());
    assert_eq!([said(1, 0), said(1, 1), said(1, 2)].map(|pv| pv.quality.is_good()), [true, true, false]);
    assert!((said(1, 0).value - rig.truth()[1]).abs() < 1.0 && (said(1, 2).value - rig.truth()[1]).abs() < 1.0);
    assert!(said(3, 2).value.is_nan() && said(3, 1).value.is_finite() && said(3, 0).value.is_finite());
    let refused = rig.command("pv CV1.B 7").unwrap_err();
    assert_eq!(refused.to_string(), "there is no CV1.B");
}

#[test]
fn the_timeline_is_carried_out_at_its_time_and_told() {
    let mut config = test_plant();
    let command = |at_s, line: &str| crate::config::Scheduled {
        at: Duration::from_secs(at_s),
        line: line.to_owned(),
        command: line.parse().unwrap(),
    };
    config.timeline = vec![command(0, "mode on"), command(5, "engage"), command(9, "server stop")];
    let mut rig = Rig::new(config, 1).unwrap();
    rig.step(Duration::from_secs(8));
    let carried = rig.take_carried();
    assert_eq!(carried.len(), 2);
    assert_eq!(carried[0].outcome, Ok(Ack::Done));
    assert!(matches!(carried[1].outcome, Err(CommandError::CannotEngage { .. })), "nobody is armed");
    rig.step(Duration::from_secs(1));
    assert_eq!(rig.take_carried()[0].outcome, Ok(Ack::ServerStop));
}

#[test]
fn the_summary_tells_what_happened() {
    let mut rig = rig();
    engaged(&mut rig);
    rig.step(Duration::from_secs(100));
    let summary = rig.summary();
    assert_eq!(summary.mode_acts, ["INIT", "ON"]);
    assert_eq!((summary.sheds, summary.writes_while_not_on, summary.bump_pct), (1, 0, 0.0));
    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!(json["alarms"][0]["text"], "watchdog tripped: all MVs shed");
    assert!(json["cost"].is_number() && json["max_limit_violation"].is_number());
    let json = serde_json::to_value(rig.snapshot()).unwrap();
    assert_eq!(json["mv"][0]["mode"], "AUTO");
    assert_eq!((&json["cv"][0]["sp"], &json["cv"][1]["sp"]), (&0.82.into(), &serde_json::Value::Null));
    rig.command("pv CV1 nan").unwrap();
    rig.step(TS);
    assert!(serde_json::to_value(rig.snapshot()).unwrap()["cv"][0]["pv"].is_null());
}

#[test]
fn the_operators_account_sees_its_entry_at_once() {
    let mut rig = rig();
    rig.operate(DcsTag::Cv(0, CvTag::SpOpr), WireValue::Double(0.9)).unwrap();
    assert_eq!(rig.view().cvs[0].sp_opr.good(), Some(0.9));
    assert!(rig.operate(DcsTag::Lease, WireValue::UInt32(9)).is_err());
}

/// The shipped reactor leaves room for the exercises that it is shipped for: a step of +0.1 in CB, and the feed
/// falling from 5.1 to 4.8, each settled with every limit kept by inputs well inside the clamps.
#[test]
fn the_exercises_of_the_shipped_reactor_are_feasible() {
    let mut rig = rig();
    let cb_start = rig.truth()[0];
    assert!((0.75..0.85).contains(&cb_start) && rig.truth()[1] < 135.0, "{:?}", rig.truth());
    engaged(&mut rig);
    let mut beat = 3;
    let mut hold = |rig: &mut Rig, u: [f64; 2]| {
        for _ in 0..300 {
            beat += 1;
            speak(rig, beat, ModeActual::On, u);
            rig.step(TS);
        }
        println!("u {u:?} y {:?}", rig.truth());
        rig.truth().to_vec()
    };
    let up = hold(&mut rig, [19.0, -4700.0]);
    assert!((up[0] - 0.92).abs() < 0.02 && up[1] < 136.0, "{up:?}");
    rig.command("disturb CA0 4.8").unwrap();
    let lean = hold(&mut rig, [21.0, -5200.0]);
    assert!((lean[0] - 0.92).abs() < 0.02 && lean[1] < 136.0, "{lean:?}");
    let summary = rig.summary();
    assert_eq!((summary.sheds, summary.totals.max_limit_violation), (0, 0.0));
}
