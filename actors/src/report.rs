//! What the DCS is told, moves excepted: the status tags of one scan.

use control::advice::Advised;
use safety::Decision;
use signals::dcs::{ApcView, CvStatus, CvWrite, DcsView, MvWrite, Reading, Recommendation};
use signals::{Quality, SolveStatus, Stamp};

use crate::board::Board;
use crate::kernel::Telemetry;

/// The image of the tags that we own, from the newest decision, plan and counts.
pub(crate) fn apc_view(
    board: &Board,
    decision: &Decision,
    dcs: Option<&DcsView>,
    telemetry: &Telemetry,
    now: Stamp,
) -> ApcView {
    let (mvs, cvs) = dcs.map_or((0, 0), |d| (d.mvs.len(), d.cvs.len()));
    let mut view = ApcView::sized(mvs, cvs);
    view.hb_apc = Reading::of(decision.heartbeat, now);
    view.mode_act = Reading::of(decision.mode_act, now);
    view.shed_reason = Reading::of(decision.shed_reason, now);
    view.overruns = Reading::of(u32::try_from(telemetry.overruns()).unwrap_or(u32::MAX), now);
    for (out, mv) in view.mvs.iter_mut().zip(&decision.mv) {
        *out = MvWrite { init_ack: Reading::of(mv.init_ack, now), sts: Reading::of(mv.sts, now), ..*out };
    }
    if let Some(advised) = board.advised.read() {
        show(&advised, &mut view.rec, now);
    }
    if let Some(solved) = board.solved.read() {
        let millis = u32::try_from(solved.took_ns / 1_000_000).unwrap_or(u32::MAX);
        // A solver that says nothing is not to be read as the one that it was.
        let cycle = board.beat.read().map_or(0, |beat| beat.cycle);
        let silent = cycle > solved.cycle + 1;
        let status = if silent { SolveStatus::NotRun } else { solved.outcome.status };
        view.solve_sts = Reading::of(status.code(), now);
        view.cycle_ms = Reading::of(millis, now);
        if let Some(plan) = solved.outcome.plan {
            let planned = plan.cv_next.iter().zip(&plan.cv_end);
            for (i, (out, (&next, &end))) in view.cvs.iter_mut().zip(planned).enumerate() {
                let sts = cv_status(board, dcs, i, next);
                *out =
                    CvWrite { ss_tgt: Reading::of(end, now), pred: Reading::of(next, now), sts: Reading::of(sts, now) };
            }
        }
    }
    view
}

/// The tags of the newest recommendation.
fn show(advised: &Advised, rec: &mut Recommendation, now: Stamp) {
    rec.status = Reading::of(advised.status, now);
    rec.stale_id = Reading::of(advised.stale_id, now);
    let Some(advice) = &advised.advice else { return };
    rec.id = Reading::of(advice.id, now);
    rec.expiry_s = Reading::of(advice.expires_at.since(advice.offered_at).as_secs_f64(), now);
    for (out, u) in rec.sp.iter_mut().zip(&advice.u) {
        *out = Reading::of(*u, now);
    }
    let foretold = |value: f64| {
        let quality = if value.is_finite() { Quality::Good } else { Quality::Bad };
        Reading { quality, ..Reading::of(value, now) }
    };
    for ((pred, hold), effect) in rec.pred.iter_mut().zip(rec.hold.iter_mut()).zip(&advice.effects) {
        (*pred, *hold) = (foretold(effect.pred), foretold(effect.hold));
    }
}

/// What a CV's prediction says of its limits, and whether its measurement is in use.
fn cv_status(board: &Board, dcs: Option<&DcsView>, i: usize, predicted: f64) -> CvStatus {
    let Some(cv) = dcs.and_then(|d| d.cvs.get(i)).filter(|cv| cv.opr_on.good() == Some(true)) else {
        return CvStatus::Inac;
    };
    if board.frame.read().is_none_or(|f| f.cv(i).is_none()) {
        CvStatus::Pred
    } else if cv.hi_opr.finite().is_some_and(|hi| predicted > hi) {
        CvStatus::High
    } else if cv.lo_opr.finite().is_some_and(|lo| predicted < lo) {
        CvStatus::Low
    } else {
        CvStatus::On
    }
}
