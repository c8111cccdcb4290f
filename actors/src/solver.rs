//! Runs the optimisation beside the control thread, within a time limit.
//!
//! The solver has a thread of its own, so that an optimisation, however long, never delays a scan of the interlock. It
//! is given the newest problem and puts its result into a slot. It asks its deadline itself; a result that comes after
//! the deadline all the same is not used by the selector, which looks at the cycle. A panic inside it costs one cycle:
//! the solver is built anew.
//!
//! Under virtual time there are no threads: the problem is solved on the spot, without a deadline, so that a run is a
//! function of its inputs.

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use control::estimation::Estimate;
use control::mpc::{MpcInput, MpcOutcome, Nmpc, Plan};
use control::targets::Targets;
use signals::{Fixed, MAX_CVS, MAX_MVS, SolveStatus, Values};

use crate::board::{Effort, Prepared, Solved};
use crate::kernel::{Clock, Doorbell, Latest};
use crate::playback::PlayedSolver;

/// Asked by the solver between iterations: is it too late?
pub(crate) type Late = Arc<dyn Fn() -> bool + Send + Sync>;

/// Makes a solver; the configuration was checked when the first one was made.
pub(crate) type MakeNmpc = Arc<dyn Fn() -> Nmpc + Send + Sync>;

/// One cycle's problem.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Problem {
    pub(crate) estimate: Estimate,
    pub(crate) targets: Targets,
    pub(crate) u_prev: Values<MAX_MVS>,
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
    pub(crate) answer: Latest<Solved>,
    pub(crate) bell: Doorbell,
    pub(crate) clock: Clock,
}

/// The way to the solver. Dropping it ends the solver's thread.
#[derive(Debug)]
pub(crate) enum Solver {
    OnTheSpot(Box<Worker>),
    OnItsThread(Arc<Mailbox>),
    /// In a playback: solves when the record says that it had solved.
    Played(PlayedSolver),
}

#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    problem: Mutex<Option<Problem>>,
    arrived: Condvar,
    closed: AtomicBool,
}

impl Solver {
    /// A solver on a thread of its own, or on the spot under virtual time. `limit_ns` is the wall time that a solve may
    /// take, counted from the opening of the cycle; `number` is its number among the loop's solvers.
    ///
    /// An operating system that gives no thread leaves a loop without plans: the selector falls back, and sheds.
    pub(crate) fn new(make: MakeNmpc, results: Results, limit_ns: i64, number: u32) -> Self {
        if results.clock.is_virtual() {
            let late: Late = Arc::new(|| false);
            return Self::OnTheSpot(Box::new(Worker::new(make, results, late, number)));
        }
        let mailbox = Arc::new(Mailbox::default());
        let inbox = Arc::clone(&mailbox);
        let spawned = std::thread::Builder::new().name("outrigger-mpc".to_owned()).spawn(move || {
            let (deadline, clock) = (Arc::new(AtomicI64::new(0)), results.clock);
            let asked = Arc::clone(&deadline);
            let late: Late = Arc::new(move || clock.wall_ns() > asked.load(Ordering::Relaxed));
            let mut worker = Worker::new(make, results, late, number);
            while let Some(problem) = inbox.wait() {
                deadline.store(problem.opened_ns.saturating_add(limit_ns), Ordering::Relaxed);
                worker.solve(&problem);
                worker.prepare(&problem, &|| inbox.is_wanted());
            }
        });
        if let Err(error) = spawned {
            tracing::error!(%error, "no thread for the solver");
        }
        Self::OnItsThread(mailbox)
    }

    /// Hands over a problem; one that was not begun yet is replaced.
    pub(crate) fn start(&mut self, problem: Problem) {
        match self {
            Self::OnTheSpot(worker) => {
                worker.solve(&problem);
                worker.prepare(&problem, &|| false);
            }
            Self::OnItsThread(mailbox) => {
                *mailbox.problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem);
                mailbox.arrived.notify_one();
            }
            Self::Played(solver) => solver.start(problem),
        }
    }
}

impl Drop for Solver {
    fn drop(&mut self) {
        if let Self::OnItsThread(mailbox) = self {
            mailbox.closed.store(true, Ordering::Release);
            mailbox.arrived.notify_one();
        }
    }
}

impl Mailbox {
    /// Whether somebody waits for the solver, or it is to end.
    fn is_wanted(&self) -> bool {
        let waiting = self.problem.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        waiting || self.closed.load(Ordering::Acquire)
    }

    fn wait(&self) -> Option<Problem> {
        let mut problem = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if self.closed.load(Ordering::Acquire) {
                return None;
            }
            if let Some(problem) = problem.take() {
                return Some(problem);
            }
            // The time-out guards against a close between the look and the wait.
            let waited = self.arrived.wait_timeout(problem, std::time::Duration::from_secs(1));
            problem = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The solver itself, with its work space. A panic costs what it was at: it is built anew.
pub(crate) struct Sturdy {
    make: MakeNmpc,
    nmpc: Nmpc,
}

impl Sturdy {
    pub(crate) fn new(make: MakeNmpc) -> Self {
        Self { nmpc: make(), make }
    }

    /// Solves; `None` after a panic.
    pub(crate) fn solve(&mut self, problem: &Problem, late: &dyn Fn() -> bool) -> Option<MpcOutcome> {
        let input = problem.input();
        let outcome = catch_unwind(AssertUnwindSafe(|| self.nmpc.solve(&input, late))).ok();
        if outcome.is_none() {
            self.rebuild();
        }
        outcome
    }

    /// While the plan is on its way: what can be done of the next solve, believing that nothing but the state changes, and
    /// till somebody waits. `false` after a panic.
    pub(crate) fn prepare(&mut self, problem: &Problem, wanted: &dyn Fn() -> bool) -> bool {
        let now = problem.input();
        let next = MpcInput { cycle: now.cycle + 1, ..now };
        let through = catch_unwind(AssertUnwindSafe(|| self.nmpc.prepare(&next, wanted))).is_ok();
        if !through {
            tracing::error!(cycle = next.cycle, "the preparation of a solve panicked; the solver is built anew");
            self.rebuild();
        }
        through
    }

    pub(crate) fn rebuild(&mut self) {
        self.nmpc = (self.make)();
    }
}

/// The outcome of a solve that panicked.
pub(crate) fn broken_down() -> MpcOutcome {
    MpcOutcome { status: SolveStatus::Numerical, plan: None, iterations: 0, kkt_residual: f64::NAN }
}

/// Counts the questions of a solve up to the first that is answered with yes.
#[derive(Debug, Default)]
struct Questions {
    denied: Cell<u32>,
    granted: Cell<bool>,
}

impl Questions {
    fn note(&self, answer: bool) -> bool {
        if answer {
            self.granted.set(true);
        } else if !self.granted.get() {
            self.denied.set(self.denied.get().saturating_add(1));
        }
        answer
    }

    /// How many were denied before one was granted; `None` if none was.
    fn granted_after(&self) -> Option<u32> {
        self.granted.get().then(|| self.denied.get())
    }
}

/// The solver with its surroundings: the clock, and where answers go.
pub(crate) struct Worker {
    sturdy: Sturdy,
    results: Results,
    late: Late,
    /// Of the newest answer.
    effort: Effort,
    /// What the last plan gave up.
    given_up: Fixed<bool, MAX_CVS>,
}

impl Worker {
    fn new(make: MakeNmpc, results: Results, late: Late, number: u32) -> Self {
        let effort = Effort { solver: number, ..Effort::default() };
        Self { sturdy: Sturdy::new(make), results, late, effort, given_up: Fixed::default() }
    }

    fn solve(&mut self, problem: &Problem) {
        let (cycle, begun_ns) = (problem.estimate.cycle(), self.results.clock.wall_ns());
        let questions = Questions::default();
        let late = || questions.note((self.late)());
        let outcome = self.sturdy.solve(problem, &late);
        let took_ns = self.results.clock.wall_ns() - begun_ns;
        self.effort.answer += 1;
        self.effort.late_after = questions.granted_after();
        self.effort.panicked = outcome.is_none();
        let (outcome, at, effort) = (outcome.unwrap_or_else(broken_down), self.results.clock.now(), self.effort);
        self.tell_given_up(cycle, outcome.plan.as_ref());
        self.results.answer.put(Solved { cycle, at, took_ns, outcome, effort });
        self.results.bell.ring(self.results.clock.wall_ns());
    }

    /// Says which CVs' limits the plans have begun or ceased to give up.
    fn tell_given_up(&mut self, cycle: u64, plan: Option<&Plan>) {
        let Some(plan) = plan.filter(|plan| plan.given_up != self.given_up) else { return };
        self.given_up = plan.given_up;
        let cvs: Vec<usize> = (1..).zip(plan.given_up.iter()).filter(|(_, given)| **given).map(|(cv, _)| cv).collect();
        tracing::warn!(cycle, ?cvs, "CVs whose limits cannot all be kept at rest and are given up, by rank");
    }

    fn prepare(&mut self, problem: &Problem, wanted: &dyn Fn() -> bool) {
        let questions = Questions::default();
        let through = self.sturdy.prepare(problem, &|| questions.note(wanted()));
        let wanted_after = questions.granted_after();
        self.effort.prepared = if through { Prepared::Ran { wanted_after } } else { Prepared::Panicked };
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("results", &self.results).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use control::estimation::{CvNoise, Ekf, EkfConfig};
    use control::frame::Frame;
    use control::mpc::{self, CvTuning, MpcConfig, MvTuning};
    use control::screening::{Screen, ScreenConfig};
    use plant_models::{Method, by_name};
    use signals::{Fixed, Quality, Sample, Stamp, TagId};

    use super::*;

    /// An estimate of the small reactor at rest, from one measurement of its temperature.
    fn estimate() -> Estimate {
        let screen = ScreenConfig {
            lo: 200.0,
            hi: 500.0,
            hysteresis: 0.0,
            rate_max_per_s: f64::INFINITY,
            max_age: Duration::from_secs(60),
            frozen_samples: 0,
            frozen_band: 0.0,
            spike_window: 0,
            spike_sigmas: 3.0,
            accept_uncertain: false,
        };
        let (tag, source_time) = (TagId(0), Stamp::ZERO);
        let sample = Sample { tag, value: 324.5, quality: Quality::Good, source_time, sequence: 1 };
        let screened = Screen::new(tag, screen).unwrap().step(Some(&sample), false, 1, Stamp::ZERO);
        let config = EkfConfig {
            period_s: 6.0,
            substeps: 2,
            cv: vec![CvNoise { output: 1, measurement_sd: 0.1, disturbance_sd: 0.01 }],
            state_sd: vec![0.01, 0.1],
            initial_sd: vec![0.1, 1.0],
            dv_of: vec![],
            dv_hold: Duration::ZERO,
            cv_missing_max: 1,
        };
        let mut ekf = Ekf::new(by_name("cstr2").unwrap(), config).unwrap();
        ekf.step(&Frame::assemble(1, Stamp::ZERO, &[Some(screened)], 1), &[300.0])
    }

    fn problem(clock: Clock) -> Problem {
        let targets = Targets {
            setpoints: Fixed::filled(Some(325.0), 1),
            mv_targets: Fixed::filled(None, 1),
            cv_lo: Values::filled(f64::NEG_INFINITY, 1),
            cv_hi: Values::filled(f64::INFINITY, 1),
            u_lo: Values::filled(290.0, 1),
            u_hi: Values::filled(310.0, 1),
            du_max: Values::filled(2.0, 1),
        };
        Problem { estimate: estimate(), targets, u_prev: Values::filled(300.0, 1), opened_ns: clock.wall_ns() }
    }

    fn nmpc() -> Nmpc {
        let cv = CvTuning { output: 1, span: 10.0, weight: 1.0, terminal_weight: 1.0, ..CvTuning::default() };
        let config = MpcConfig {
            period_s: 6.0,
            horizon: 10,
            blocks: vec![1; 10],
            method: Method::Rk4,
            substeps: 2,
            sqp_iterations: 1,
            terminal_lqr: false,
            solver: mpc::Solver::default(),
            cv: vec![cv],
            mv: vec![MvTuning { span: 10.0, move_weight: 0.1, ..MvTuning::default() }],
            dv_of: vec![],
        };
        Nmpc::new(by_name("cstr2").unwrap(), config).unwrap()
    }

    fn status_within(limit_ns: i64) -> SolveStatus {
        let clock = Clock::wall(1.0);
        let results = Results { answer: Latest::new(), bell: Doorbell::new(), clock };
        let mut solver = Solver::new(Arc::new(nmpc), results.clone(), limit_ns, 0);
        solver.start(problem(clock));
        for _ in 0..1000 {
            if let Some(solved) = results.answer.read() {
                return solved.outcome.status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("no result within 10 s");
    }

    #[test]
    fn a_solve_within_its_time_gives_a_plan_and_one_without_time_says_so() {
        assert_eq!(status_within(i64::MAX), SolveStatus::Solved);
        assert_eq!(status_within(-1), SolveStatus::TimeLimit);
    }

    #[test]
    fn a_panic_of_the_solver_costs_one_result_and_it_is_built_anew() {
        let clock = Clock::wall(1.0);
        let results = Results { answer: Latest::new(), bell: Doorbell::new(), clock };
        let crash = Arc::new(AtomicBool::new(true));
        let asked = Arc::clone(&crash);
        let late: Late = Arc::new(move || {
            assert!(!asked.swap(false, Ordering::Relaxed), "injected");
            false
        });
        let mut worker = Worker::new(Arc::new(nmpc), results.clone(), late, 0);
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        worker.solve(&problem(clock));
        std::panic::set_hook(hook);
        assert_eq!(results.answer.read().unwrap().outcome.status, SolveStatus::Numerical);
        worker.solve(&problem(clock));
        assert_eq!(results.answer.read().unwrap().outcome.status, SolveStatus::Solved);
    }
}
