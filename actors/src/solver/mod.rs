//! Runs the optimisation beside the control thread, within a time limit, and does without it when it does not return.
//!
//! ```text
//! mpc stage ─▷ desk (newest problem) ─▷ worker: solve, publish, prepare ─▶ `answers`, the selector's bell
//!                 ▲                        ▲
//!                 └──────── keeper ────────┘   replaces a worker that shows no sign of life
//! ```
//!
//! The solver has a thread of its own, so that an optimisation, however long, never delays a scan of the interlock. It
//! asks its deadline itself; a result that comes after the deadline all the same is not used by the selector, which
//! looks at the cycle. A panic inside it costs one result: the solver is built anew.
//!
//! A solver that does not return can be neither stopped nor reused: its thread is *abandoned*, and the keeper, a third
//! thread, makes another, on which another solver is built. The loop notices nothing but missing plans, for which it has
//! its fallbacks. [`HUNG_MAX`] bounds the threads that hang; beyond it nothing is made any more until one of them
//! returns, and the loop, without plans, sheds with the cause of a solver that fails (check 17).
//!
//! # Invariants
//! - A result of an abandoned solver reaches no slot: publishing and abandoning exclude each other ([`desk`]).
//! - What decides on an answer, to the last bit, beside the problem and the solves before it, is told with it
//!   ([`crate::board::Effort`]): a playback finds the answer again.
//! - The control thread spawns nothing and builds nothing after the start: the keeper does, which was made before the
//!   control thread was promoted, and so inherits neither its priority nor its processor.
//! - The solver outlives the `mpc` stage: a crash there costs no warm start.
//! - Under virtual time there are no threads: the problem is solved on the spot, without a deadline, so that a run is a
//!   function of its inputs.

mod desk;
mod keeper;
mod played;
#[cfg(test)]
mod tests;
mod worker;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use control::estimation::Estimate;
use control::guarded::Guarded;
use control::mpc::{MpcInput, MpcOutcome, Nmpc};
use control::targets::Targets;
use signals::{MAX_MVS, Stamp, Values};

use crate::board::Answers;
use crate::kernel::{Clock, Doorbell, Telemetry};
use desk::Desk;
use keeper::Keeper;
pub(crate) use played::PlayedSolver;
pub use played::{Answer, PlaybackError};
use worker::Worker;

/// Threads of one loop that may hang at a time.
pub(crate) const HUNG_MAX: usize = 4;

/// What the solver's thread runs.
pub(crate) trait Optimiser: Send {
    /// Solves one cycle's problem; asks `late` between iterations and gives up when it says so.
    fn solve(&mut self, input: &MpcInput<'_>, late: &dyn Fn() -> bool) -> MpcOutcome;

    /// Does what can be done of the next solve ahead; asks `wanted` and gives up when it says so.
    fn prepare(&mut self, next: &MpcInput<'_>, wanted: &dyn Fn() -> bool);
}

impl Optimiser for Nmpc {
    fn solve(&mut self, input: &MpcInput<'_>, late: &dyn Fn() -> bool) -> MpcOutcome {
        Self::solve(self, input, late)
    }

    fn prepare(&mut self, next: &MpcInput<'_>, wanted: &dyn Fn() -> bool) {
        Self::prepare(self, next, wanted);
    }
}

impl Optimiser for Guarded {
    fn solve(&mut self, input: &MpcInput<'_>, late: &dyn Fn() -> bool) -> MpcOutcome {
        Self::solve(self, input, late)
    }

    fn prepare(&mut self, next: &MpcInput<'_>, wanted: &dyn Fn() -> bool) {
        Self::prepare(self, next, wanted);
    }
}

/// Makes an optimiser; the configuration was checked when the first one was made.
pub(crate) type MakeOptimiser = Arc<dyn Fn() -> Box<dyn Optimiser> + Send + Sync>;

/// One cycle's problem.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Problem {
    pub(crate) estimate: Estimate,
    pub(crate) targets: Targets,
    pub(crate) u_prev: Values<MAX_MVS>,
    /// By when a plan is of use.
    pub(crate) deadline: Stamp,
    /// When the cycle was opened, on the wall's clock: the time limit counts from here.
    pub(crate) opened_ns: i64,
}

impl Problem {
    /// The problem as the optimiser reads it.
    fn input(&self) -> MpcInput<'_> {
        let Self { estimate, targets, u_prev, .. } = self;
        MpcInput {
            cycle: estimate.cycle(),
            now: estimate.at(),
            x: estimate.x(),
            d: estimate.d(),
            p: estimate.p(),
            u_prev,
            setpoints: &targets.setpoints,
            mv_targets: &targets.mv_targets,
            cv_lo: &targets.cv_lo,
            cv_hi: &targets.cv_hi,
            u_lo: &targets.u_lo,
            u_hi: &targets.u_hi,
            du_max: &targets.du_max,
        }
    }
}

/// Where results go.
#[derive(Clone, Debug)]
pub(crate) struct Results {
    pub(crate) answers: Answers,
    pub(crate) bell: Doorbell,
    pub(crate) clock: Clock,
    pub(crate) telemetry: Telemetry,
}

/// How long a solver may take, in wall time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// For a solve, from the opening of its cycle; it asks and gives up by itself.
    pub(crate) solve: Duration,
    /// Without a sign of life; then it is replaced.
    pub(crate) patience: Duration,
}

/// The way to the solver. When the last clone is dropped, its threads end; those that hang do not.
#[derive(Clone, Debug)]
pub(crate) enum Solver {
    OnTheSpot(Arc<Mutex<Worker>>),
    OnItsThread(Arc<Lease>),
    /// In a playback: solves when the record says that it had solved.
    Played(PlayedSolver),
}

/// Closes the desk when nobody brings problems any more.
#[derive(Debug)]
pub(crate) struct Lease(Arc<Desk>);

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Solver {
    /// A solver on a thread of its own, or on the spot under virtual time. Call it before the calling thread is promoted:
    /// the threads inherit.
    ///
    /// # Errors
    /// The operating system's, when it gives no thread for the keeper. Where it gives none for a solver, the keeper
    /// goes on asking.
    pub(crate) fn start(make: MakeOptimiser, results: Results, limits: Limits) -> std::io::Result<Self> {
        if results.clock.is_virtual() {
            return Ok(Self::OnTheSpot(Arc::new(Mutex::new(Worker::new(make, results, 0)))));
        }
        let desk = Arc::new(Desk::default());
        Keeper::start(Arc::clone(&desk), make, results, limits)?;
        Ok(Self::OnItsThread(Arc::new(Lease(desk))))
    }

    /// Hands over a problem; one that was not begun yet is replaced.
    pub(crate) fn solve(&self, problem: Problem) {
        match self {
            Self::OnTheSpot(worker) => {
                let mut worker = worker.lock().unwrap_or_else(PoisonError::into_inner);
                let solved = worker.solve(&problem, &|| false);
                worker.publish(solved);
                worker.tell_given_up(&solved);
                worker.prepare(&problem, &|| false);
            }
            Self::OnItsThread(lease) => lease.0.bring(problem),
            Self::Played(solver) => solver.note(problem),
        }
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}
