//! The rig in process and in virtual time.

use signals::TagId;
use signals::dcs::{CvTag, ModeActual, MvMode, MvTag, Wire};

use super::*;
use crate::command::Measured;
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

/// What CV1, CV2 and MV1's plant input did over ten minutes with these commands given at the start; CV1 with its status.
fn trace(seed: u64, commands: &[&str]) -> Vec<(Quality, [u64; 3])> {
    let mut rig = Rig::new(test_plant(), seed).unwrap();
    for line in commands {
        rig.command(line).unwrap_or_else(|e| panic!("{line}: {e}"));
    }
    let mut seen = || {
        rig.step(Duration::from_secs(1));
        let values = [rig.view().cvs[0].pv.value, rig.view().cvs[1].pv.value, rig.snapshot().mv[0].pv];
        (rig.view().cvs[0].pv.quality, values.map(f64::to_bits))
    };
    (0..600).map(|_| seen()).collect()
}

#[test]
fn a_fault_touches_its_own_transmitter_and_no_other_and_leaves_no_trace_when_mended() {
    let healthy = trace(7, &[]);
    for line in SensorFault::EXAMPLES {
        let inject = format!("fault CV1 {line}");
        let faulty = trace(7, &[&inject]);
        assert_ne!(faulty, healthy, "{line} must show");
        let others_alike = faulty.iter().zip(&healthy).all(|((_, f), (_, h))| f[1..] == h[1..]);
        assert!(others_alike, "{line} must not touch the others");
        assert_eq!(trace(7, &[&inject, "fault CV1 off"]), healthy, "{line}");
        assert_eq!(trace(7, &[&inject]), faulty, "{line} must repeat");
    }
    let noisy = |seed| trace(seed, &["fault CV1 noise sd=0.5"]);
    assert_ne!(noisy(7), noisy(8));
}

#[test]
fn an_actuator_fault_reaches_the_plant_and_what_is_read_back() {
    let mut rig = rig();
    engaged(&mut rig);
    let sp = rig.view().mvs[1].sp_act.value;
    rig.command("fault MV1 fail_closed stroke_s=20").unwrap();
    rig.command("fault MV2 wrong_readback by_pct=10").unwrap();
    rig.step(Duration::from_secs(60));
    let mv = rig.snapshot().mv;
    assert!(mv[0].pv < 0.1, "closed: {}", mv[0].pv);
    assert!((mv[1].pv + 4000.0).abs() < 1.0, "in order: {}", mv[1].pv);
    assert!((rig.view().mvs[1].sp_act.value - sp - 900.0).abs() < 1e-6, "10 % of the range too much is read back");
    assert!(rig.truth()[0] < 0.8, "no feed, no product: {:?}", rig.truth());
    assert_eq!(rig.view().mvs[0].windup.value, signals::dcs::Windup::Hi, "the slave works against it and winds up");
    rig.command("fault MV1 off").unwrap();
    rig.command("fault MV2 off").unwrap();
    rig.step(Duration::from_secs(300));
    assert!((rig.snapshot().mv[0].pv - 14.0).abs() < 0.1 && rig.view().mvs[1].sp_act.value < -3999.0);
}

/// The limit cycle for which stiction is known: a PI loop on a sticking valve does not settle; with a good one it does.
#[test]
fn stiction_makes_the_slave_loop_swing() {
    let swing = |commands: &[&str]| {
        let mut rig = rig();
        for line in commands {
            rig.command(line).unwrap();
        }
        rig.command("slave MV1 sp 20").unwrap();
        rig.step(Duration::from_secs(300));
        let seen = (0..300).map(|_| {
            rig.step(Duration::from_secs(1));
            rig.snapshot().mv[0].pv
        });
        let (low, high) = seen.fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)));
        high - low
    };
    assert!(swing(&[]) < 0.01);
    assert!(swing(&["fault MV1 stiction static_pct=5 kinetic_pct=1"]) > 1.0);
}

#[test]
fn a_fault_that_cannot_be_changes_nothing() {
    let mut rig = rig();
    for line in ["fault CV9 sign_flip", "fault MV3 fail_in_place", "fault CV1 drift per_s=nan", "fault CV1 fly"] {
        assert!(rig.command(line).is_err(), "{line}");
    }
    let unfit = SensorFault::Noise(crate::fault::NoisySensor { sd: -1.0 });
    let refused = rig.inject_sensor(Measured::Cv(0), Some(unfit)).unwrap_err();
    assert_eq!(refused.to_string(), "no such fault: noise: `sd` is -1, expected a finite number above 0");
}

/// Lag and dead time stand between the plant and the word, and between the actuator and the plant; the truth has neither.
#[test]
fn lag_and_dead_time_belong_to_the_rig_and_not_to_the_model() {
    let mut config = test_plant();
    config.cvs.iter_mut().for_each(|cv| cv.noise_sd = 0.0);
    (config.cvs[1].dead_time_s, config.cvs[2].lag_s) = (20.0, 60.0);
    let mut late = config.clone();
    late.mvs.iter_mut().for_each(|mv| mv.dead_time_s = 30.0);
    let run = |config: RigConfig| {
        let mut rig = Rig::new(config, 1).unwrap();
        rig.command("slave MV1 sp 20").unwrap();
        let mut seen = || {
            rig.step(Duration::from_secs(1));
            let pv = [rig.view().cvs[1].pv.value, rig.view().cvs[2].pv.value];
            (pv, [rig.truth()[1], rig.truth()[2]])
        };
        (0..200).map(|_| seen()).collect::<Vec<_>>()
    };
    let (prompt, late) = (run(config), run(late));
    for k in 20..200 {
        assert_eq!(prompt[k].0[0].to_bits(), prompt[k - 20].1[0].to_bits(), "twenty scans behind the truth");
        assert_ne!(prompt[k].0[1].to_bits(), prompt[k].1[1].to_bits(), "behind a lag");
    }
    for k in 30..200 {
        let differs = (late[k].1[0] - prompt[k - 30].1[0]).abs();
        assert!(differs < 1e-6, "thirty scans later the plant does the same: {differs}");
    }
}

fn shipped(name: &str) -> RigConfig {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../hil/plants");
    RigConfig::load(&folder.join(name)).unwrap()
}

/// A year of a cooler that fouls, in scans of half an hour: the outlet ends where the closed form of the exchanger puts it
/// under the fouling that the law gives. Maintenance brings it back.
#[test]
fn a_year_of_fouling_runs_in_seconds_and_ends_where_the_law_says() {
    let mut config = shipped("exchanger.toml").coarser(1800);
    // Steps of five seconds: half of what the fastest cell bears.
    config.substeps = 360;
    let mut rig = Rig::new(config, 1).unwrap();
    let clean = rig.truth()[0];
    let year = Duration::from_secs(365 * 86_400);
    rig.step(year);
    let fouling = 0.35 * (1.0 - (-365.0_f64 / 60.0).exp());
    // Four pairs of mixed cells in counter-current, 5 m2 each, 1 kW/(m2 K) clean: Incropera, eq. 11.31b.
    let (mh, mc, area, cp) = (2.0, 3.0, 5.0, 4.18);
    let (c, ntu) = (mh / mc, area / (1.0 + fouling) / (mh * cp));
    let one = ntu / (1.0 + ntu * (1.0 + c));
    let ratio = ((1.0 - one * c) / (1.0_f64 - one)).powi(4);
    let want = 80.0 - (ratio - 1.0) / (ratio - c) * 60.0;
    assert!((rig.truth()[0] - want).abs() < 1e-4, "{:?}, the closed form says {want}", rig.truth());
    assert!(want - clean > 3.0, "a year must show: {clean} to {want}");
    rig.command("disturb RF 0").unwrap();
    rig.step(Duration::from_secs(7200));
    assert!((rig.truth()[0] - clean).abs() < 0.05, "cleaned: {:?}", rig.truth());
}

#[test]
fn a_month_takes_a_catalyst_and_a_jacket_down() {
    let mut config = shipped("cstr2-aged.toml").coarser(100);
    config.substeps = 10;
    let mut rig = Rig::new(config, 1).unwrap();
    let fresh = rig.truth().to_vec();
    rig.step(Duration::from_secs(30 * 86_400));
    let (p, left) = (rig.emulator.p().to_vec(), 1.0 - 0.05 * (1.0 - (-1.0_f64 / 3.0).exp()));
    assert!((p[2] - (-0.03_f64).exp()).abs() < 1e-9 && (p[3] - left).abs() < 1e-9, "{p:?}");
    assert!(rig.truth().iter().zip(&fresh).any(|(now, then)| (now - then).abs() > 1e-3), "{:?} {fresh:?}", rig.truth());
}
