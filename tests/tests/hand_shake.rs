//! Rows of the interface to the DCS that need the whole loop: what the operator's switches do, and what the DCS is shown.
//! The table in `docs/dcs-interface.md` names the test of every row.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a scenario that cannot go on has failed")]

use signals::SolveStatus;
use signals::dcs::{CvStatus, ModeActual, MvMode};
use tests::Bench;

#[tokio::test(start_paused = true)]
async fn dv_opr_on_a_disturbance_that_is_switched_off_is_held_for_a_while_and_then_the_models() {
    for (line, later) in [("dv DV1 off", 5.1), ("dv DV1 on", 4.8)] {
        let bench = Bench::start("cstr", 1, |_| {}).await.unwrap();
        let feed = || bench.board.estimate.read().unwrap().p()[0];
        bench.command("disturb CA0 4.8");
        bench.periods(10).await;
        assert!((feed() - 4.8).abs() < 0.03, "{}", feed());
        bench.command(line);
        bench.periods(8).await;
        assert!((feed() - 4.8).abs() < 0.03, "{line}: held, {}", feed());
        bench.periods(6).await;
        assert!((feed() - later).abs() < 0.03, "{line}: {}", feed());
    }
}

#[tokio::test(start_paused = true)]
async fn cv_ss_tgt_pred_sts_say_what_is_expected_of_a_cv_and_how_it_is_used() {
    let bench = Bench::start("cstr", 2, |_| {}).await.unwrap();
    bench.engage().await;
    bench.command("sp CV1 0.9");
    bench.periods(2).await;
    let cvs = || bench.rig.lock().apc().cvs;
    let cv1 = cvs()[0];
    let pv = bench.rig.lock().view().cvs[0].pv.value;
    assert!((cv1.ss_tgt.good().unwrap() - 0.9).abs() < 0.02, "{cv1:?}");
    assert!((cv1.pred.good().unwrap() - pv).abs() < (cv1.ss_tgt.value - pv).abs(), "one period ahead: {cv1:?}");
    assert!(cvs().iter().all(|cv| cv.sts.good() == Some(CvStatus::On)), "the negative control: {:?}", cvs());
    for (line, end, cv, status) in [
        ("cv CV3 off", "cv CV3 on", 2, CvStatus::Inac),
        ("limits CV2 60 70", "limits CV2 60 160", 1, CvStatus::High),
        ("limits CV2 180 190", "limits CV2 60 160", 1, CvStatus::Low),
        ("quality CV3 bad", "quality CV3 good", 2, CvStatus::Pred),
    ] {
        bench.command(line);
        bench.periods(2).await;
        assert_eq!(cvs()[cv].sts.good(), Some(status), "{line}");
        bench.command(end);
        bench.periods(2).await;
    }
}

#[tokio::test(start_paused = true)]
async fn solve_sts_and_overruns_tell_of_the_last_solve() {
    let bench = Bench::start("cstr", 3, |_| {}).await.unwrap();
    bench.engage().await;
    let apc = *bench.rig.lock().apc();
    assert_eq!((apc.solve_sts.good(), apc.overruns.value), (Some(SolveStatus::Solved.code()), 0));
    // Without a measurement there is nothing to solve, and what was solved before is not shown for ever.
    bench.command("pv CV1 nan");
    bench.periods(9).await;
    assert_ne!(bench.rig.lock().apc().solve_sts.good(), Some(SolveStatus::Solved.code()));
}

#[tokio::test(start_paused = true)]
async fn shed_opt_nothing_returns_by_itself_whatever_the_dcs_does_with_an_mv_on_shed() {
    let bench = Bench::start("cstr", 4, |_| {}).await.unwrap();
    bench.engage().await;
    let modes = || bench.rig.lock().view().mvs.iter().map(|mv| mv.mode.value).collect::<Vec<_>>();
    assert_eq!(modes(), [MvMode::Rcas; 2], "the negative control");
    bench.command("permit off");
    bench.periods(1).await;
    bench.command("permit on");
    for _ in 0..20 {
        bench.periods(1).await;
        assert!(!modes().contains(&MvMode::Rcas));
        assert_eq!(bench.rig.lock().apc().mode_act.good(), Some(ModeActual::Shed));
    }
}
