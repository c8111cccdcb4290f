//! The whole loop against the whole rig, in virtual time.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a scenario that cannot go on has failed")]

use runtime::config::Mode;
use safety::State;
use signals::dcs::MvStatus;
use tests::Bench;

/// Mean distance of a CV from its set-point over the next periods.
async fn mean_error(bench: &Bench, cv: usize, periods: u32) -> f64 {
    let mut sum = 0.0;
    for _ in 0..periods {
        bench.periods(1).await;
        let cv = bench.rig.lock().view().cvs[cv];
        sum += cv.pv.value - cv.sp_opr.value;
    }
    sum / f64::from(periods)
}

#[tokio::test(start_paused = true)]
async fn the_loop_engages_tracks_and_writes_nothing_while_not_on() {
    let mut bench = Bench::start("cstr", 1, |_| {}).await.unwrap();
    bench.engage().await;
    let events = format!("{:#?}", bench.events());
    assert_eq!(bench.state(), State::Active, "{events}");
    bench.command("sp CV1 0.9");
    bench.periods(60).await;
    let error = mean_error(&bench, 0, 40).await;
    assert!(error.abs() < 0.005, "error {error} mol/L");
    let summary = bench.rig.lock().summary();
    assert_eq!(summary.writes_while_not_on, 0);
    assert!(summary.totals.max_limit_violation <= 0.0);
    assert!(summary.bump_pct <= 0.1, "bump {} %", summary.bump_pct);
    assert!(summary.totals.cost < summary.totals.cost_open_loop);
    assert_eq!(summary.sheds, 0);
}

#[tokio::test(start_paused = true)]
async fn an_unmeasured_mismatch_leaves_no_offset() {
    // The rig's slave loops lag and its jacket is not told to the model: a step of the feed that the DV shows too late
    // and a bias of the DV itself are both unmeasured for the controller.
    let bench = Bench::start("cstr", 2, |_| {}).await.unwrap();
    bench.engage().await;
    bench.command("pv DV1 5.1");
    bench.command("disturb CA0 4.8");
    bench.periods(120).await;
    assert_eq!(bench.state(), State::Active);
    let error = mean_error(&bench, 0, 100).await;
    assert!(error.abs() < 0.002, "offset {error} mol/L");
}

/// The plant file with every `disturbance_sd` at 0.
fn without_disturbances(text: &str) -> String {
    let lines = text.lines().map(|l| if l.starts_with("disturbance_sd") { "disturbance_sd = 0.0" } else { l });
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test(start_paused = true)]
async fn without_the_output_disturbance_the_same_mismatch_leaves_an_offset() {
    let bench = Bench::start_edited("cstr", 2, |text| without_disturbances(&text)).await.unwrap();
    bench.engage().await;
    bench.command("pv DV1 5.1");
    bench.command("disturb CA0 4.8");
    bench.periods(120).await;
    let error = mean_error(&bench, 0, 100).await;
    assert!(error.abs() > 0.005, "the negative control: offset {error} mol/L");
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_run() {
    let mut runs = Vec::new();
    for seed in [7, 7, 8] {
        let bench = Bench::start("cstr", seed, |_| {}).await.unwrap();
        bench.engage().await;
        bench.command("sp CV1 0.9");
        bench.periods(50).await;
        let summary = bench.rig.lock().summary();
        runs.push((summary.totals.cost.to_bits(), format!("{:?}", bench.rig.lock().view().mvs)));
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2], "the negative control: another seed is another run");
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_is_withdrawn_sheds_and_nothing_comes_back_by_itself() {
    let bench = Bench::start("cstr", 3, |_| {}).await.unwrap();
    bench.engage().await;
    bench.command("permit off");
    bench.periods(1).await;
    assert_eq!(bench.state(), State::Shed);
    bench.command("permit on");
    bench.periods(20).await;
    assert_eq!(bench.state(), State::Shed, "only the operator's edge acknowledges");
    bench.engage().await;
    assert_eq!(bench.state(), State::Active);
    assert_eq!(bench.rig.lock().summary().writes_while_not_on, 0);
}

#[tokio::test(start_paused = true)]
async fn a_nan_measurement_holds_then_sheds() {
    for fault in ["pv CV1 nan", "quality CV1 bad", "pv CV1 2.5", "pv CV1 frozen"] {
        let bench = Bench::start("cstr", 4, |_| {}).await.unwrap();
        bench.engage().await;
        bench.command(fault);
        bench.periods(4).await;
        let frozen = fault.ends_with("frozen");
        let expected = if frozen { State::Active } else { State::Hold };
        assert_eq!(bench.state(), expected, "{fault}: the frozen check is off in this file");
        bench.periods(8).await;
        assert_eq!(bench.state(), if frozen { State::Active } else { State::Shed }, "{fault}");
        let summary = bench.rig.lock().summary();
        assert_eq!((summary.writes_while_not_on, summary.totals.max_limit_violation), (0, 0.0), "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_bad_spell_costs_a_hold_and_the_loop_goes_on() {
    let mut bench = Bench::start("cstr", 5, |_| {}).await.unwrap();
    bench.engage().await;
    bench.command("quality CV1 bad");
    bench.periods(3).await;
    assert_eq!(bench.state(), State::Hold);
    bench.command("quality CV1 good");
    bench.periods(3).await;
    assert_eq!(bench.state(), State::Active, "{:#?}", bench.events());
}

#[tokio::test(start_paused = true)]
async fn an_mv_whose_set_points_are_confirmed_and_not_taken_is_out_of_service() {
    for (told, expected) in [("lost", MvStatus::Serv), ("taken", MvStatus::On)] {
        let bench = Bench::start("cstr", 6, |_| {}).await.unwrap();
        bench.engage().await;
        bench.command(&format!("writes MV1 {told}"));
        bench.command("sp CV1 0.88");
        bench.periods(5).await;
        let apc = *bench.rig.lock().apc();
        assert_eq!((apc.mvs[0].sts.value, apc.mvs[1].sts.value), (expected, MvStatus::On), "{told}");
        assert_eq!(bench.state(), State::Active, "the other MV goes on");
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_of_any_stage_before_the_interlock_or_after_it_costs_a_cycle_and_not_the_loop() {
    for stage in ["sensor", "estimator", "model", "mpc", "selector", "actuator"] {
        let bench = Bench::start("cstr", 6, |_| {}).await.unwrap();
        bench.engage().await;
        bench.crashes.inject(stage, 1);
        bench.periods(3).await;
        assert_eq!((bench.telemetry.restarts(), bench.state()), (1, State::Active), "{stage}");
        bench.command("sp CV1 0.9");
        bench.periods(40).await;
        assert_eq!((bench.ended(), bench.state()), (None, State::Active), "{stage}");
        let error = mean_error(&bench, 0, 20).await;
        assert!(error.abs() < 0.01, "{stage}: error {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_of_the_interlock_withdraws_everything_until_the_operator_returns() {
    let bench = Bench::start("cstr", 6, |_| {}).await.unwrap();
    bench.engage().await;
    bench.crashes.inject("interlock", 1);
    bench.periods(2).await;
    assert_eq!((bench.telemetry.restarts(), bench.state()), (1, State::Tripped));
    bench.periods(20).await;
    assert_eq!(bench.state(), State::Tripped, "the request still says ON; nothing comes back by itself");
    let view = *bench.rig.lock().view();
    assert!(view.mvs.iter().all(|mv| mv.mode.value != signals::dcs::MvMode::Rcas), "the DCS has the MVs");
    bench.command("rearm");
    bench.engage().await;
    assert_eq!(bench.state(), State::Active);
    assert_eq!(bench.rig.lock().summary().writes_while_not_on, 0);
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_crashes_again_and_again_ends_the_loop_and_the_dcs_has_the_mvs() {
    for stage in ["estimator", "actuator", "interlock"] {
        let bench = Bench::start("cstr", 6, |_| {}).await.unwrap();
        bench.engage().await;
        bench.crashes.inject(stage, 1000);
        bench.periods(80).await;
        // A loop that has shed gives its actuator nothing to crash at: the watchdog of the DCS was faster.
        let given_up = bench.ended().is_some_and(|why| why.contains("given up"));
        assert_eq!(given_up, stage != "actuator", "{stage}: {:?}", bench.ended());
        if stage != "interlock" {
            assert_eq!(bench.state(), State::Shed, "{stage}");
        }
        let view = *bench.rig.lock().view();
        assert!(view.mvs.iter().all(|mv| mv.mode.value != signals::dcs::MvMode::Rcas), "{stage}: the DCS has the MVs");
        assert_eq!(bench.rig.lock().summary().writes_while_not_on, 0, "{stage}");
    }
}

/// Whether any set-point was ever written to the DCS while the operator asked for WARM, ADVISORY and ON.
async fn writes_set_points(mode: Mode) -> (bool, Bench) {
    let bench = Bench::start("cstr", 8, |file| file.mode = mode).await.unwrap();
    for (line, periods) in [("mode off", 2), ("mode warm", 4), ("mode advisory", 10), ("mode on", 10)] {
        bench.command(line);
        bench.periods(periods).await;
    }
    let written = bench.rig.lock().apc().mvs.iter().any(|mv| mv.sp_req.good().is_some());
    (written, bench)
}

#[tokio::test(start_paused = true)]
async fn shadow_and_advisory_write_no_set_point_whatever_the_operator_asks() {
    let (written, bench) = writes_set_points(Mode::Shadow).await;
    assert!(!written && bench.advised().tally.offered == 0);
    let (written, bench) = writes_set_points(Mode::Advisory).await;
    assert!(!written && bench.advised().tally.proposals > 5, "{:?}", bench.advised());
    let (written, _bench) = writes_set_points(Mode::ClosedLoop).await;
    assert!(written, "the negative control: closed loop tracks when it is asked for more than WARM");
}

/// The loop of a shipped plant file engages against the rig of the same name, and tracks.
async fn closes_its_loop(plant: &str) {
    let mut bench = Bench::start(plant, 9, |_| {}).await.unwrap();
    bench.engage().await;
    bench.periods(100).await;
    let events = format!("{:#?}", bench.events());
    assert_eq!(bench.state(), State::Active, "{plant}: {events}");
    let error = mean_error(&bench, 0, 30).await;
    let cv = bench.rig.lock().view().cvs[0];
    assert!(error.abs() < 0.01 * (cv.hi_opr.value - cv.lo_opr.value), "{plant}: error {error}");
}

#[tokio::test(start_paused = true)]
async fn the_small_reactor_closes_its_loop() {
    closes_its_loop("cstr2").await;
}

#[tokio::test(start_paused = true)]
async fn the_quadruple_tank_closes_its_loop() {
    closes_its_loop("quadtank").await;
}
