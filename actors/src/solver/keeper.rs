//! The keeper: the thread that makes the solver's threads and replaces those that hang.
//!
//! It looks at the desk several times within the patience. A solver that has something to do, and whose turn has not moved
//! for the whole patience, hangs: in a solve, in a preparation while a problem waits, or while it is being built. What
//! takes long without hanging looks the same, and is replaced as well: a result that late is of no use.

use std::sync::Arc;
use std::thread::JoinHandle;

use super::desk::{Desk, Phase, Turn};
use super::worker::serve;
use super::{HUNG_MAX, Limits, MakeOptimiser, Results};

/// How often the keeper looks within the patience.
const LOOKS: u32 = 4;

pub(super) struct Keeper {
    desk: Arc<Desk>,
    make: MakeOptimiser,
    results: Results,
    limits: Limits,
    watch: Watch,
    in_service: Option<JoinHandle<()>>,
    /// Threads of solvers that were replaced and have not returned.
    abandoned: Vec<JoinHandle<()>>,
    /// Whether the one in service hangs too and no more may.
    none_left: bool,
}

/// Since when the desk shows the same turn with something to do.
struct Watch {
    patience_ns: i64,
    seen: Option<(Turn, i64)>,
}

impl Watch {
    fn hangs(&mut self, turn: Turn, busy: bool, now_ns: i64) -> bool {
        match self.seen.filter(|(seen, _)| busy && *seen == turn) {
            Some((_, since_ns)) => now_ns - since_ns >= self.patience_ns,
            None => {
                self.seen = busy.then_some((turn, now_ns));
                false
            }
        }
    }
}

impl Keeper {
    /// Starts the keeper's thread, which starts the first solver's.
    pub(super) fn start(desk: Arc<Desk>, make: MakeOptimiser, results: Results, limits: Limits) -> std::io::Result<()> {
        let patience_ns = i64::try_from(limits.patience.as_nanos()).unwrap_or(i64::MAX);
        let watch = Watch { patience_ns, seen: None };
        let (in_service, abandoned) = (None, Vec::new());
        let mut keeper = Self { desk, make, results, limits, watch, in_service, abandoned, none_left: false };
        let body = move || {
            keeper.employ(keeper.desk.turn());
            while !keeper.desk.is_closed() {
                // Nobody wakes the keeper, so that a cycle need not: a closed desk is seen at the next look.
                std::thread::park_timeout(limits.patience / LOOKS);
                keeper.look();
            }
        };
        std::thread::Builder::new().name("outrigger-keeper".to_owned()).spawn(body).map(drop)
    }

    /// Puts a solver on a new thread into service.
    fn employ(&mut self, turn: Turn) {
        let (desk, make, results) = (Arc::clone(&self.desk), Arc::clone(&self.make), self.results.clone());
        let limits = self.limits;
        let body = move || serve(&desk, turn, make, results, limits);
        match std::thread::Builder::new().name("outrigger-mpc".to_owned()).spawn(body) {
            Ok(thread) => {
                self.desk.seat(thread.thread().clone());
                self.in_service = Some(thread);
            }
            Err(error) => tracing::error!(%error, "no thread for the solver; asked for again at the next look"),
        }
    }

    fn look(&mut self) {
        self.abandoned.retain(|thread| !thread.is_finished());
        if self.desk.is_closed() {
            return;
        }
        let turn = self.desk.turn();
        let busy = turn.phase() == Phase::Solving || self.desk.is_waiting();
        let gone = self.in_service.as_ref().is_none_or(JoinHandle::is_finished);
        if !gone && !self.watch.hangs(turn, busy, self.results.clock.wall_ns()) {
            self.none_left = false;
            return self.count();
        }
        if !gone && self.abandoned.len() + 1 >= HUNG_MAX {
            return self.leave_it();
        }
        let Some(next) = self.desk.replace(turn) else { return };
        if let Some(thread) = self.in_service.take().filter(|thread| !thread.is_finished()) {
            self.abandoned.push(thread);
        }
        self.results.telemetry.count_solver_replaced();
        self.count();
        tracing::error!(hung = self.abandoned.len(), gone, "the solver hangs or is gone and is replaced");
        self.employ(next);
    }

    /// As many hang as may. The last one stays in service: if it returns, there are plans again.
    fn leave_it(&mut self) {
        if !std::mem::replace(&mut self.none_left, true) {
            tracing::error!(hung = HUNG_MAX, "every solver hangs; the loop has no plans until one returns");
        }
        self.count();
    }

    fn count(&self) {
        self.results.telemetry.set_solvers_hung(self.abandoned.len() + usize::from(self.none_left));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_busy_turn_that_stands_still_for_the_whole_patience_hangs() {
        let (mut watch, first) = (Watch { patience_ns: 100, seen: None }, Desk::default().turn());
        let solving = first.next();
        let looks = [
            (first, false, 0, false),
            (first, false, 1000, false),
            (solving, true, 1010, false),
            (solving, true, 1109, false),
            (solving, true, 1110, true),
            (solving.next().next().next().next(), true, 1200, false),
            (solving.next().next().next().next(), false, 1310, false),
            (solving.next().next().next().next(), true, 1320, false),
            (solving.next().next().next().next(), true, 1420, true),
        ];
        for (turn, busy, now_ns, hangs) in looks {
            assert_eq!(watch.hangs(turn, busy, now_ns), hangs, "at {now_ns}");
        }
    }
}
