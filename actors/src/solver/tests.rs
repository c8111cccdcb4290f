//! The solver on its thread: limits, panics, and optimisers that do not return.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use control::estimation::{CvNoise, Ekf, EkfConfig};
use control::frame::Frame;
use control::mpc::{self, CvTuning, MpcConfig, MvTuning};
use control::screening::{Screen, ScreenConfig};
use plant_models::{Method, by_name};
use signals::{Fixed, Quality, Sample, SolveStatus, Stamp, TagId};

use super::worker::broken_down;
use super::*;
use crate::board::{Effort, Prepared, Solved};
use crate::kernel::Unobserved;

/// An estimate of the small reactor at rest, from one measurement of its temperature.
fn estimate(cycle: u64) -> Estimate {
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
    let screened = Screen::new(tag, screen).unwrap().step(Some(&sample), false, cycle, Stamp::ZERO);
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
    ekf.step(&Frame::assemble(cycle, Stamp::ZERO, &[Some(screened)], 1), &[300.0])
}

fn problem(clock: Clock, cycle: u64) -> Problem {
    let targets = Targets {
        setpoints: Fixed::filled(Some(325.0), 1),
        mv_targets: Fixed::filled(None, 1),
        cv_lo: Values::filled(f64::NEG_INFINITY, 1),
        cv_hi: Values::filled(f64::INFINITY, 1),
        u_lo: Values::filled(290.0, 1),
        u_hi: Values::filled(310.0, 1),
        du_max: Values::filled(2.0, 1),
    };
    let (estimate, u_prev) = (estimate(cycle), Values::filled(300.0, 1));
    Problem { estimate, targets, u_prev, deadline: Stamp::NEVER, opened_ns: clock.wall_ns() }
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

fn results() -> Results {
    let (clock, telemetry) = (Clock::wall(1.0), Telemetry::new(Box::new(Unobserved)));
    Results { answers: Answers::default(), bell: Doorbell::new(), clock, telemetry }
}

/// Waits until `seen`, 10 s at most.
fn until(seen: impl Fn() -> bool) -> bool {
    (0..5000).any(|_| {
        std::thread::sleep(Duration::from_millis(2));
        seen()
    })
}

const NEVER: Duration = Duration::from_secs(3600);

#[test]
fn a_solve_within_its_time_gives_a_plan_and_one_without_time_says_so() {
    for (limit, status) in [(NEVER, SolveStatus::Solved), (Duration::ZERO, SolveStatus::TimeLimit)] {
        let (results, limits) = (results(), Limits { solve: limit, patience: NEVER });
        let solver = Solver::start(Arc::new(|| Box::new(nmpc())), results.clone(), limits).unwrap();
        solver.solve(problem(results.clock, 1));
        let mut answer = None;
        assert!((0..5000).any(|_| {
            std::thread::sleep(Duration::from_millis(2));
            answer = results.answers.take();
            answer.is_some()
        }));
        assert_eq!(answer.unwrap().outcome.status, status);
    }
}

/// What the optimisers of one test are told, and what they say.
#[derive(Debug, Default)]
struct Script {
    /// A solve of an optimiser with a number below this does not return.
    hangs_below: AtomicU32,
    hangs_preparing: AtomicBool,
    hangs_building: AtomicBool,
    panics: AtomicBool,
    built: AtomicUsize,
    returned: AtomicUsize,
}

/// Asks nothing and obeys nothing but its script; its outcomes bear its number as their iterations.
struct Scripted(Arc<Script>, u32);

fn stand_still_while(hangs: impl Fn() -> bool) {
    while hangs() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

impl Optimiser for Scripted {
    fn solve(&mut self, _input: &MpcInput<'_>, _late: &dyn Fn() -> bool) -> MpcOutcome {
        stand_still_while(|| self.1 < self.0.hangs_below.load(Ordering::Relaxed));
        assert!(!self.0.panics.swap(false, Ordering::Relaxed), "injected");
        self.0.returned.fetch_add(1, Ordering::Relaxed);
        MpcOutcome { iterations: self.1, status: SolveStatus::Solved, ..broken_down() }
    }

    fn prepare(&mut self, _next: &MpcInput<'_>, _wanted: &dyn Fn() -> bool) {
        stand_still_while(|| self.1 == 0 && self.0.hangs_preparing.load(Ordering::Relaxed));
    }
}

struct Scene {
    script: Arc<Script>,
    results: Results,
    solver: Solver,
    /// How many answers came so far, and the newest.
    came: Mutex<(u64, Option<Solved>)>,
}

impl Scene {
    fn start(patience: Duration) -> Self {
        Self::with(Arc::default(), patience)
    }

    fn with(script: Arc<Script>, patience: Duration) -> Self {
        let results = results();
        let told = Arc::clone(&script);
        let make: MakeOptimiser = Arc::new(move || {
            let number = told.built.fetch_add(1, Ordering::Relaxed);
            stand_still_while(|| number == 0 && told.hangs_building.load(Ordering::Relaxed));
            Box::new(Scripted(Arc::clone(&told), u32::try_from(number).unwrap()))
        });
        let solver = Solver::start(make, results.clone(), Limits { solve: NEVER, patience }).unwrap();
        Self { script, results, solver, came: Mutex::default() }
    }

    fn hang_below(&self, number: u32) {
        self.script.hangs_below.store(number, Ordering::Relaxed);
    }

    fn bring(&self, cycle: u64) {
        self.solver.solve(problem(self.results.clock, cycle));
    }

    /// How many answers came so far, and the newest.
    fn came(&self) -> (u64, Option<Solved>) {
        let mut came = self.came.lock().unwrap();
        while let Some(answer) = self.results.answers.take() {
            *came = (came.0 + 1, Some(answer));
        }
        *came
    }

    /// Cycle, status and solver of the newest result.
    fn newest(&self) -> Option<(u64, SolveStatus, u32)> {
        self.came().1.map(|s| (s.cycle, s.outcome.status, s.outcome.iterations))
    }

    fn comes(&self, cycle: u64, status: SolveStatus, solver: u32) -> bool {
        until(|| self.newest() == Some((cycle, status, solver)))
    }

    fn replaced(&self) -> u64 {
        self.results.telemetry.solvers_replaced()
    }

    fn hung(&self) -> usize {
        self.results.telemetry.solvers_hung()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.hang_below(0);
        self.script.hangs_preparing.store(false, Ordering::Relaxed);
        self.script.hangs_building.store(false, Ordering::Relaxed);
    }
}

const PATIENCE: Duration = Duration::from_millis(40);

#[test]
fn a_panic_of_the_solver_costs_one_result_and_it_is_built_anew() {
    let scene = Scene::start(NEVER);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    scene.script.panics.store(true, Ordering::Relaxed);
    scene.bring(1);
    let came = scene.comes(1, SolveStatus::Numerical, 0);
    std::panic::set_hook(hook);
    assert!(came, "{:?}", scene.newest());
    scene.bring(2);
    assert!(scene.comes(2, SolveStatus::Solved, 1), "{:?}", scene.newest());
    assert_eq!(scene.replaced(), 0, "its thread lives");
}

#[test]
fn wall_a_solver_that_never_returns_is_replaced_and_the_next_problem_is_solved() {
    for (patience, replaced) in [(PATIENCE, true), (NEVER, false)] {
        let scene = Scene::start(patience);
        scene.bring(1);
        assert!(scene.comes(1, SolveStatus::Solved, 0));
        scene.hang_below(1);
        scene.bring(2);
        if replaced {
            assert!(until(|| scene.replaced() == 1));
            scene.bring(3);
            assert!(scene.comes(3, SolveStatus::Solved, 1), "{:?}", scene.newest());
            assert_eq!((scene.replaced(), scene.hung()), (1, 1));
            assert_eq!(scene.came().1.unwrap().effort.solver, 1, "told as another solver's");
        } else {
            scene.bring(3);
            std::thread::sleep(4 * PATIENCE);
            assert_eq!((scene.newest(), scene.replaced()), (Some((1, SolveStatus::Solved, 0)), 0), "negative control");
        }
    }
}

#[test]
fn wall_a_late_result_of_an_abandoned_solver_reaches_no_slot() {
    for (patience, reaches) in [(PATIENCE, false), (NEVER, true)] {
        let scene = Scene::start(patience);
        scene.hang_below(1);
        scene.bring(1);
        assert!(reaches || until(|| scene.replaced() == 1));
        let put = scene.came().0;
        scene.hang_below(0);
        assert!(until(|| scene.script.returned.load(Ordering::Relaxed) == 1), "the abandoned solver has returned");
        assert!(until(|| scene.hung() == 0), "and its thread has ended");
        std::thread::sleep(Duration::from_millis(20));
        let (arrived, newest) = (scene.came().0 - put, scene.newest());
        let expected = reaches.then_some((1, SolveStatus::Solved, 0));
        assert_eq!((arrived, newest), (u64::from(reaches), expected), "patience {patience:?}");
    }
}

#[test]
fn wall_a_solver_that_hangs_while_it_prepares_is_replaced_once_a_problem_waits() {
    let scene = Scene::start(PATIENCE);
    scene.script.hangs_preparing.store(true, Ordering::Relaxed);
    scene.bring(1);
    assert!(scene.comes(1, SolveStatus::Solved, 0));
    std::thread::sleep(4 * PATIENCE);
    assert_eq!(scene.replaced(), 0, "nobody waits for it");
    scene.bring(2);
    assert!(scene.comes(2, SolveStatus::Solved, 1), "{:?}", scene.newest());
    assert_eq!((scene.replaced(), scene.hung()), (1, 1));
}

#[test]
fn wall_a_solver_that_hangs_while_it_is_built_is_replaced() {
    let script = Arc::new(Script::default());
    script.hangs_building.store(true, Ordering::Relaxed);
    let scene = Scene::with(script, PATIENCE);
    scene.bring(1);
    assert!(scene.comes(1, SolveStatus::Solved, 1), "{:?}", scene.newest());
}

#[test]
fn wall_no_more_threads_hang_than_may_and_plans_come_again_when_one_returns() {
    let scene = Scene::start(PATIENCE);
    scene.hang_below(u32::MAX);
    let mut cycle = 0;
    let all_hang = until(|| {
        scene.bring(1);
        scene.hung() == HUNG_MAX
    });
    assert!(all_hang);
    for _ in 0..40 {
        cycle += 1;
        scene.bring(cycle);
        std::thread::sleep(PATIENCE / 4);
        assert!(scene.script.built.load(Ordering::Relaxed) <= HUNG_MAX, "no solver is built beyond the bound");
    }
    assert_eq!((scene.replaced(), scene.hung()), (HUNG_MAX as u64 - 1, HUNG_MAX));
    scene.hang_below(0);
    assert!(until(|| scene.hung() == 0));
    scene.bring(1000);
    assert!(until(|| scene.newest().is_some_and(|(cycle, status, _)| (cycle, status) == (1000, SolveStatus::Solved))));
}

#[test]
fn the_threads_end_with_the_last_handle() {
    let results = results();
    let solver =
        Solver::start(Arc::new(|| Box::new(nmpc())), results.clone(), Limits { solve: NEVER, patience: PATIENCE })
            .unwrap();
    let Solver::OnItsThread(lease) = &solver else { panic!("a wall clock has threads") };
    let desk = Arc::downgrade(&lease.0);
    let last = solver.clone();
    drop(solver);
    std::thread::sleep(2 * PATIENCE);
    assert!(desk.upgrade().is_some(), "one handle is left");
    drop(last);
    assert!(until(|| desk.upgrade().is_none()), "neither the keeper nor the solver holds the desk any more");
}

#[test]
fn under_virtual_time_a_problem_is_solved_on_the_spot() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let results = Results { clock: Clock::of_tokio(), ..results() };
        let solver =
            Solver::start(Arc::new(|| Box::new(nmpc())), results.clone(), Limits { solve: NEVER, patience: NEVER })
                .unwrap();
        solver.solve(problem(results.clock, 1));
        assert_eq!(results.answers.take().map(|s| s.outcome.status), Some(SolveStatus::Solved));
    });
}

/// Three solves, in the second of which `cut` questions are denied before it is late, and the preparation before it is
/// wanted after as many. As the worker answered, and as a playback finds it by the effort that `told` makes of the true one.
fn cut_short(cut: u32, told: impl Fn(Effort) -> Effort) -> (Vec<String>, Vec<String>) {
    let (results, make): (_, MakeOptimiser) = (results(), Arc::new(|| Box::new(nmpc())));
    let mut worker = Worker::new(Arc::clone(&make), results.clone(), 0);
    let played = PlayedSolver::default().take_up(make);
    let (mut answered, mut found) = (Vec::new(), Vec::new());
    for cycle in 1..=3 {
        let problem = problem(results.clock, cycle);
        let asked = AtomicU32::new(0);
        let solved = worker.solve(&problem, &|| cycle == 2 && asked.fetch_add(1, Ordering::Relaxed) >= cut);
        let asked = AtomicU32::new(0);
        worker.prepare(&problem, &|| cycle == 1 && asked.fetch_add(1, Ordering::Relaxed) >= cut);
        played.note(problem);
        let Solved { at, took_ns, effort, .. } = solved;
        let again = played.find(&Answer { cycle, at, took_ns, effort: told(effort) }).unwrap();
        // A float's debug form tells every bit of it.
        answered.push(format!("{:?}", solved.outcome));
        found.push(format!("{:?}", again.outcome));
    }
    (answered, found)
}

#[test]
fn what_was_cut_short_is_found_again_by_its_questions() {
    let uncut = cut_short(u32::MAX, |effort| effort).0;
    let (mut late, mut control) = (0, 0);
    for cut in 0..20 {
        let (answered, found) = cut_short(cut, |effort| effort);
        assert_eq!(answered, found, "cut after {cut} questions");
        late += usize::from(answered != uncut);
        // The negative control: the questions are not told.
        let forget = |effort| Effort { late_after: None, prepared: Prepared::Ran { wanted_after: None }, ..effort };
        let (answered, found) = cut_short(cut, forget);
        control += usize::from(answered != found);
    }
    assert!(late > 1 && control == late, "{late} were cut short, {control} were not found without their questions");
}

/// A solver answers cycle 1 and hangs in cycle 2; another one, with the number 1, answers cycles 3 and 4. As they answered, and
/// as a playback finds it by the effort that `told` makes of the true one.
fn replaced(told: impl Fn(Effort) -> Effort) -> (Vec<String>, Vec<Option<String>>) {
    let (results, make): (_, MakeOptimiser) = (results(), Arc::new(|| Box::new(nmpc())));
    let played = PlayedSolver::default().take_up(Arc::clone(&make));
    let (mut answered, mut found) = (Vec::new(), Vec::new());
    let mut worker = Worker::new(Arc::clone(&make), results.clone(), 0);
    for cycle in 1..=4 {
        let problem = problem(results.clock, cycle);
        played.note(problem);
        if cycle == 2 {
            worker = Worker::new(Arc::clone(&make), results.clone(), 1);
            continue;
        }
        let Solved { at, took_ns, effort, outcome, .. } = worker.solve(&problem, &|| false);
        worker.prepare(&problem, &|| false);
        let again = played.find(&Answer { cycle, at, took_ns, effort: told(effort) });
        answered.push(format!("{outcome:?}"));
        found.push(again.ok().map(|again| format!("{:?}", again.outcome)));
    }
    (answered, found)
}

#[test]
fn the_answers_of_a_replaced_solver_are_found_again_by_its_number() {
    let (answered, found) = replaced(|effort| effort);
    assert_eq!(answered.iter().cloned().map(Some).collect::<Vec<_>>(), found);
    // The negative control: the second is told as answers of the first, which knows of cycle 1.
    let first = |effort: Effort| Effort { answer: effort.answer + u64::from(effort.solver), solver: 0, ..effort };
    let (answered, found) = replaced(first);
    assert_eq!(found[0].as_ref(), Some(&answered[0]));
    assert!(found[1].is_some() && found[1].as_ref() != Some(&answered[1]), "the same from another start");
}
