//! The recommender: what a person is shown in ADVISORY, and his answers.
//!
//! Rung at every scan, for an answer may come at any, and by the interlock with what may be shown of a proposal. It has no
//! way to the plant: what it says are the tags `REC.*` ([`crate::report`]) and the news for the audit.

use std::sync::Arc;
use std::time::Duration;

use control::advice::{Adviser, AdviserInput, Forecast, Foretold, News, Proposed, Violates};
use safety::{Bound, Recommended, State};
use signals::dcs::DcsView;
use signals::{Fixed, MAX_MVS, Proposer, Stamp, Values};

use crate::board::{Board, SCANS_PER_CYCLE};
use crate::kernel::{LastGood, Stage};
use crate::tape::{Entry, Tape};

/// `Recommended` → `Advised`.
#[derive(Debug)]
pub(crate) struct Recommender {
    pub(crate) period: Duration,
    pub(crate) forecast: Forecast,
    pub(crate) board: Board,
    pub(crate) tape: Arc<dyn Tape>,
    pub(crate) memory: RecommenderMemory,
    pub(crate) last_good: LastGood<RecommenderMemory>,
}

/// What a recommender's next incarnation must know: a person may be about to answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecommenderMemory {
    pub(crate) adviser: Adviser,
    pub(crate) last_u: Option<Values<MAX_MVS>>,
}

impl Recommender {
    /// What the interlock shows of this cycle's proposal, with where its plan leads.
    fn proposed(&self, shown: &Recommended, u_now: Values<MAX_MVS>) -> Proposed {
        let plan = self.board.solved.read().and_then(|solved| solved.outcome.plan);
        let plan = plan.filter(|plan| shown.proposer == Proposer::Mpc && plan.cycle == shown.cycle);
        let violates = |bound: Bound| match bound {
            Bound::Operator => Violates::Operator,
            Bound::Rate => Violates::Rate,
            Bound::Windup => Violates::Windup,
            Bound::Hard => Violates::Hard,
        };
        Proposed {
            cycle: shown.cycle,
            proposer: shown.proposer,
            target: plan.and_then(|plan| plan.u.last().copied()),
            u_now,
            concerns: shown.concerns,
            low: shown.low,
            high: shown.high,
            violates: Fixed::collect(shown.cut.iter().map(|cut| cut.map(violates))),
        }
    }
}

/// How far the DCS takes each set-point in a period; not at all where it does not say.
fn du_max(dcs: &DcsView, period: Duration) -> Values<MAX_MVS> {
    Values::collect(dcs.mvs.iter().map(|mv| mv.roc_max.finite().unwrap_or(0.0).max(0.0) * period.as_secs_f64()))
}

impl Stage for Recommender {
    fn step(&mut self, now: Stamp) {
        let (Some(beat), Some(dcs)) = (self.board.beat.read(), self.board.image.dcs.read()) else { return };
        let Some(u_now) = self.board.set_points_in_use(&mut self.memory.last_u) else { return };
        let shown = self.board.recommended.take();
        let proposed = shown.map(|shown| self.proposed(&shown, u_now));
        let input = AdviserInput {
            now,
            cycle: beat.cycle,
            image: beat.cycle * SCANS_PER_CYCLE + beat.scan,
            dcs: &dcs,
            advising: self.board.status.read().is_some_and(|status| status.state == State::Advisory),
            proposed: proposed.as_ref(),
        };
        let Self { board, forecast, period, tape, memory, .. } = self;
        let mut foretell = |u: &Values<MAX_MVS>| -> Option<Foretold> {
            let estimate = board.estimate.read().filter(|estimate| estimate.valid())?;
            Some(forecast.foretell(&estimate, &u_now, u, &du_max(&dcs, *period)))
        };
        let mut tell = |news: News| {
            if let News::Offered(advice) = &news {
                tape.note(Entry::Recommended(advice));
            }
            // A full queue loses news, never time, and counts them.
            let _ = board.news.try_send(news);
        };
        let advised = memory.adviser.step(&input, &mut foretell, &mut tell);
        board.advised.put(advised);
        self.last_good.save(&self.memory);
    }
}
