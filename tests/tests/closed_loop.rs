//! The whole loop against the whole rig, in virtual time.

use safety::State;
use tests::Bench;

/// Mean of a CV's noise-free distance from its set-point over the next periods.
async fn mean_error(bench: &Bench, output: usize, periods: u32) -> f64 {
    let mut sum = 0.0;
    for _ in 0..periods {
        bench.periods(1).await;
        let rig = bench.rig.lock();
        sum += rig.truth()[output] - rig.view().cvs[output].sp_opr.value;
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
    assert_eq!(summary.totals.max_limit_violation, 0.0);
    assert!(summary.bump_pct <= 0.1, "bump {} %", summary.bump_pct);
    assert!(summary.totals.cost < summary.totals.cost_open_loop);
    assert_eq!(summary.sheds, 0);
}
