//! The predictive safety filter: of an untrusted proposal, the nearest move from which the model can still be brought to
//! rest inside its limits.
//!
//! It stands between whoever proposes and the interlock, and knows nothing of what the proposer wants. With the proposal
//! u_p, the model's flow F over one period, outputs `y = h(x, p) + d`, and N moves, it looks for
//!
//! ```text
//! min  |u_0 - u_p|²
//! s.t. x_{k+1} = F(x_k, u_k, p),  x_0 = x                 the model, as the estimator believes it to be
//!      lo ≤ y_k ≤ hi,  k = 1 … N                          the limits of the CVs
//!      u_lo ≤ u_k ≤ u_hi,  |u_k - u_{k-1}| ≤ du_max        the limits of the MVs
//!      x_N = F(x_N, u_{N-1})                              the plan ends at rest
//! ```
//!
//! The moves behind the first are the *backup plan*: they say how to stay safe whatever is proposed next. An end at rest
//! is a terminal set that the plant need not be told: whoever rests inside the limits stays there under the last input.
//!
//! One step does this, and ends at the first that holds:
//!
//! ```text
//! the proposal, then the last backup plan ── holds ──▶ Passed, or Changed where a limit or rate of an MV cut it
//!       │
//! search: a programme about the last backup plan, solved by Clarabel; its plan, rehearsed; again about that plan
//!       │                                  ── holds ──▶ Passed, or Changed to the nearest move
//! the solver failed, is late, or finds nothing better ─▶ Backup: the next move of the stored plan
//! there is none, or it is used up ─────────────────────▶ Exhausted: whoever selects goes on without
//! ```
//!
//! *Holds* is the word of the rehearsal alone: the nonlinear model run forward from the estimate under the plan. The
//! programme is an idea of a plan; its status, its slacks and its optimality conditions are told and never believed.
//!
//! | file | what |
//! |---|---|
//! | `config` | limits, horizon, tolerances |
//! | `programme` | the quadratic programme of the search |
//! | `rehearsal` | the nonlinear model run forward, and the verdict |
//!
//! # Invariants
//! - A stored plan's rehearsal kept every limit within its tolerance and ended at rest when it was stored.
//! - Every move that leaves is finite and keeps the limits and rates of its MV to the last bit; where the last input lies
//!   outside them, it returns at full rate.
//! - A proposal that holds is passed bit for bit. A proposal that is not a number is a wish for the backup plan's move.
//! - Where no plan keeps the limits, the move of the least violation is given, with a slack: that is an alarm.
//! - No clock, no randomness: equal inputs after equal histories give bit-equal answers. Nothing allocates, Clarabel
//!   excepted.
//!
//! What it does not prove: see docs/safety-filter.md.
//!
//! Sources: Wabersich and Zeilinger, *Automatica* 129 (2021) 109597, and *IEEE CDC* 2018 (predictive safety filter); Limon,
//! Alvarado, Alamo and Camacho, *Automatica* 44 (2008) (an end at any steady state, not at a chosen one); Seto, Krogh, Sha
//! and Chutinan, *ACC* 1998 (Simplex); Hobbs, Mote, Abate, Coogan and Feron, *IEEE Control Systems* 43(2) 2023 (run-time
//! assurance); Diehl, Bock and Schlöder, *SIAM J. Control Optim.* 43(5) 2005 (shift and re-linearise).
#![allow(clippy::indexing_slicing, reason = "periods, states and inputs are counted once, at construction")]

mod config;
mod programme;
mod rehearsal;
#[cfg(test)]
#[allow(clippy::float_cmp, reason = "what must be bit-equal is compared so")]
mod tests;

use plant_models::PlantModel;
use signals::{Fixed, MAX_CVS, MAX_MVS, SolveStatus, Values};

pub use config::{CvLimits, FilterConfig, FilterError};

use crate::guard_report::Outcome;
use crate::mpc::chain::Chain;
use crate::mpc::reach::{InputLimits, Reach};
use crate::mpc::trajectory::Trajectory;
use crate::mpc::{PLAN_MOVES, Solver};
use programme::{Point, Programme};
use rehearsal::{Rehearsal, Verdict};

/// What one step starts from. Model units throughout.
#[derive(Clone, Copy, Debug)]
pub struct FilterInput<'a> {
    /// The control cycle.
    pub cycle: u64,
    /// Estimated state, NX.
    pub x: &'a [f64],
    /// Estimated output disturbance, one per CV.
    pub d: &'a [f64],
    /// Model disturbances, NP, held over the horizon.
    pub p: &'a [f64],
    /// Set-points in force, NU.
    pub u_prev: &'a [f64],
    /// The proposed set-points, NU; any numbers.
    pub proposal: &'a [f64],
    /// Lower hard limits, NU; -∞ is none.
    pub u_lo: &'a [f64],
    /// Upper hard limits, NU; +∞ is none.
    pub u_hi: &'a [f64],
    /// Greatest move per period, NU, hard; +∞ is none.
    pub du_max: &'a [f64],
}

/// The answer of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Filtered {
    /// What became of the proposal.
    pub outcome: Outcome,
    /// The move, and the moves that keep it safe if no answer follows; at most [`PLAN_MOVES`]. Empty when exhausted.
    pub plan: Fixed<Values<MAX_MVS>, PLAN_MOVES>,
    /// Whether the plan's rehearsal holds: within the limits to its end, and at rest there.
    pub certified: bool,
    /// Per CV, how far it lies outside its limits now or will under the plan, model units.
    pub slack: Values<MAX_CVS>,
    /// Whether a slack is above its tolerance, or the limits cannot be shown to be kept.
    pub alarm: bool,
    /// CVs expected one period ahead under the plan.
    pub cv_next: Values<MAX_CVS>,
    /// CVs expected at the end of the plan.
    pub cv_end: Values<MAX_CVS>,
    /// How the last programme ended; `NotRun` when none was needed.
    pub status: SolveStatus,
    /// Clarabel's iterations, all programmes together.
    pub iterations: u32,
    /// Largest residual of the last programme's optimality conditions; 0 when none was needed.
    pub kkt_residual: f64,
}

impl Filtered {
    /// The set-points to be proposed to the interlock; `None` when exhausted.
    #[must_use]
    pub fn u(&self) -> Option<Values<MAX_MVS>> {
        self.plan.first().copied()
    }
}

/// The filter of one loop: model, search, rehearsal and the stored plan.
#[derive(Debug)]
pub struct SafetyFilter {
    config: FilterConfig,
    states: usize,
    disturbances: usize,
    /// What the search linearises about.
    trajectory: Trajectory,
    reach: Reach,
    programme: Programme,
    chain: Chain,
    rehearsal: Rehearsal,
    /// The cycle that the trajectory belongs to.
    anchored: Option<u64>,
    /// The last plan that held, N · NU, and the cycle of its first move.
    stored: Vec<f64>,
    stored_for: Option<u64>,
    /// The stored plan as it is from this cycle on; the plan in rehearsal; the best that was rehearsed.
    backup: Vec<f64>,
    candidate: Vec<f64>,
    best: Vec<f64>,
}

/// How a search ended.
#[derive(Clone, Copy, Debug)]
struct Search {
    status: SolveStatus,
    iterations: u32,
    residual: f64,
    /// Of the plan in `best`.
    verdict: Option<Verdict>,
}

impl Search {
    const NONE: Self = Self { status: SolveStatus::NotRun, iterations: 0, residual: 0.0, verdict: None };

    fn holds(&self) -> bool {
        self.verdict.is_some_and(|verdict| verdict.holds)
    }
}

impl SafetyFilter {
    /// A filter of `model`, without a plan yet.
    ///
    /// # Errors
    /// [`FilterError`] when the configuration does not fit the model.
    pub fn new(model: &'static dyn PlantModel, config: FilterConfig) -> Result<Self, FilterError> {
        config.check(model)?;
        let card = model.card();
        let (programme, moves) = (Programme::new(model, &config), config.horizon * card.inputs.len());
        Ok(Self {
            states: card.states.len(),
            disturbances: card.disturbances.len(),
            trajectory: Trajectory::new(model, &config.shape()),
            reach: Reach::new(config.horizon, card.inputs.len()),
            chain: Chain::new(programme.qp.dims(), Solver::Conic),
            rehearsal: Rehearsal::new(model, &config),
            programme,
            anchored: None,
            stored: vec![0.0; moves],
            stored_for: None,
            backup: vec![0.0; moves],
            candidate: vec![0.0; moves],
            best: vec![0.0; moves],
            config,
        })
    }

    /// Forgets the stored plan: what was safe before a restart or another operator's limits need not be.
    pub fn reset(&mut self) {
        self.stored_for = None;
        self.anchored = None;
    }

    /// Filters the proposal of a cycle; `is_late` is asked before and after every programme.
    ///
    /// An input that fits not (a length, an estimate that is not a number, crossed limits of an MV) counts as a solver that
    /// failed, with `BadInput`.
    pub fn step(&mut self, input: &FilterInput<'_>, is_late: &dyn Fn() -> bool) -> Filtered {
        if !self.accepts(input) {
            return self.unheard(input);
        }
        self.reach.update(&input.limits());
        let left = self.take_up_backup(input);
        let wanted = self.wanted(input, left.is_some());
        let mut search = Search::NONE;
        if is_late() {
            search.status = SolveStatus::TimeLimit;
        } else {
            if left.is_some() {
                self.try_backup_behind(input, &wanted, &mut search);
            }
            if !search.holds() {
                self.search(input, &wanted, (is_late, &mut search));
            }
        }
        self.decide(input, left, &search)
    }

    /// Shifts the stored plan to this cycle, cut to the limits that are in force now. Gives the moves that are left
    /// behind the first; `None` when there is no plan any more.
    fn take_up_backup(&mut self, input: &FilterInput<'_>) -> Option<usize> {
        let nu = self.config.mv_span.len();
        let age =
            self.stored_for.and_then(|cycle| input.cycle.checked_sub(cycle)).and_then(|age| usize::try_from(age).ok());
        let Some(age) = age.filter(|age| *age < self.config.horizon) else {
            self.stored_for = None;
            return None;
        };
        for (k, u) in self.backup.chunks_exact_mut(nu).enumerate() {
            let from = (k + age).min(self.config.horizon - 1) * nu;
            u.copy_from_slice(&self.stored[from..from + nu]);
        }
        self.reach.project(&mut self.backup, &input.limits());
        Some(self.config.horizon - 1 - age)
    }

    /// The move that the filter tries to come near to: the proposal where it is a number, inside the MVs' limits and rates.
    fn wanted(&self, input: &FilterInput<'_>, has_backup: bool) -> Values<MAX_MVS> {
        let instead = |i: usize| if has_backup { self.backup[i] } else { input.u_prev[i] };
        let finite = |(i, u): (usize, &f64)| if u.is_finite() { *u } else { instead(i) };
        let mut wanted = Values::collect(input.proposal.iter().enumerate().map(finite));
        self.reach.project(&mut wanted, &input.limits());
        wanted
    }

    /// Rehearses the wanted move with the stored plan behind it.
    fn try_backup_behind(&mut self, input: &FilterInput<'_>, wanted: &[f64], search: &mut Search) {
        self.candidate.copy_from_slice(&self.backup);
        self.candidate[..wanted.len()].copy_from_slice(wanted);
        self.rehearse(input, search);
        // What does not hold is the proposer's idea and not the filter's.
        search.verdict = search.verdict.filter(|verdict| verdict.holds);
    }

    /// Searches for a plan: programme, rehearsal, programme about the outcome. What the last backup does not lead to, a
    /// second search from the state standing still may.
    fn search(&mut self, input: &FilterInput<'_>, wanted: &[f64], (is_late, search): (&dyn Fn() -> bool, &mut Search)) {
        for shifted in [true, false] {
            if shifted && !self.shift_to(input) {
                continue;
            }
            if !shifted {
                self.trajectory.start(input.x, input.u_prev);
                self.anchored = Some(input.cycle);
            }
            for _ in 0..self.config.sqp_iterations {
                self.improve(input, wanted, (is_late, search));
                if search.holds() || search.status == SolveStatus::TimeLimit {
                    return;
                }
                if !search.status.is_usable() {
                    break;
                }
            }
        }
    }

    /// One programme about the trajectory, and the rehearsal of what it gives.
    fn improve(
        &mut self,
        input: &FilterInput<'_>,
        wanted: &[f64],
        (is_late, search): (&dyn Fn() -> bool, &mut Search),
    ) {
        let Self { trajectory, reach, programme, chain, .. } = self;
        let sound = trajectory.linearise(input.p) && programme.fill(Point { trajectory, input, reach, wanted });
        if !sound {
            search.status = SolveStatus::Numerical;
            return;
        }
        chain.prepare(&programme.qp);
        let checked = chain.solve(&programme.qp, is_late);
        search.status = checked.ending.status;
        search.iterations += checked.ending.iterations;
        search.residual = checked.residual;
        let Some(solution) = chain.solution().filter(|_| search.status.is_usable()) else { return };
        trajectory.correct(&solution.x);
        trajectory.u_before.copy_from_slice(input.u_prev);
        reach.project(&mut trajectory.u, &input.limits());
        self.candidate.copy_from_slice(&self.trajectory.u);
        let near = |(u, (wanted, span)): (&f64, (&f64, &f64))| (u - wanted).abs() <= self.config.pass_spans * span;
        if self.candidate.iter().zip(wanted.iter().zip(&self.config.mv_span)).all(near) {
            self.candidate[..wanted.len()].copy_from_slice(wanted);
        }
        self.rehearse(input, search);
    }

    /// Rehearses the candidate, and keeps it if it is the best so far.
    fn rehearse(&mut self, input: &FilterInput<'_>, search: &mut Search) {
        self.reach.project(&mut self.candidate, &input.limits());
        let verdict = self.rehearsal.run(input, &self.candidate);
        let better = search.verdict.is_none_or(|best| verdict.holds || verdict.score < best.score);
        if better {
            self.best.copy_from_slice(&self.candidate);
            search.verdict = Some(verdict);
        }
    }

    /// Chooses between what was found and the stored plan.
    fn decide(&mut self, input: &FilterInput<'_>, left: Option<usize>, search: &Search) -> Filtered {
        let now = self.rehearsal.now(input);
        let tolerances: Values<MAX_CVS> = Values::collect(self.config.cv.iter().map(|cv| cv.tolerance));
        let told = |answer: Filtered, ahead: &[f64]| {
            let slack: Values<MAX_CVS> = Values::collect(now.iter().zip(ahead).map(|(now, ahead)| now.max(*ahead)));
            let outside = slack.iter().zip(&tolerances).any(|(slack, tolerance)| slack > tolerance);
            Filtered {
                slack,
                alarm: outside || !answer.certified,
                status: search.status,
                iterations: search.iterations,
                kkt_residual: search.residual,
                ..answer
            }
        };
        if let Some(verdict) = search.verdict.filter(|verdict| verdict.holds) {
            self.store(input);
            return told(self.answer(self.outcome(input), &self.best, &verdict), &verdict.slack);
        }
        let backup = left.map(|left| (left, self.rehearsal.run(input, &self.backup)));
        let found = search.verdict.filter(|found| search.status.is_usable() && found.score.is_finite());
        match (found, backup) {
            (Some(found), backup) if backup.is_none_or(|(_, kept)| !kept.holds && found.score < kept.score) => {
                let outcome = Outcome::Changed { by_spans: self.change(input) };
                told(self.answer(outcome, &self.best, &found), &found.slack)
            }
            (_, Some((left, kept))) => told(self.answer(Outcome::Backup { left }, &self.backup, &kept), &kept.slack),
            (_, None) => told(exhausted(search.status), &now),
        }
    }

    /// What the best plan, which held, does to the proposal.
    fn outcome(&self, input: &FilterInput<'_>) -> Outcome {
        let by_spans = self.change(input);
        if by_spans > 0.0 { Outcome::Changed { by_spans } } else { Outcome::Passed }
    }

    /// How far the best plan's first move is from the proposal, in spans; infinite where the proposal is no number.
    fn change(&self, input: &FilterInput<'_>) -> f64 {
        let changes = self.best.iter().zip(input.proposal).zip(&self.config.mv_span);
        let by_spans = changes.map(|((u, proposed), span)| ((u - proposed) / span).abs());
        by_spans.fold(0.0, |most, by| if by.is_nan() { f64::INFINITY } else { f64::max(most, by) })
    }

    /// Stores the best plan, which held, and makes it what the next search linearises about.
    fn store(&mut self, input: &FilterInput<'_>) {
        self.stored.copy_from_slice(&self.best);
        self.stored_for = Some(input.cycle);
        self.trajectory.start(input.x, input.u_prev);
        self.trajectory.u.copy_from_slice(&self.best);
        self.trajectory.simulate(input.p);
        self.anchored = Some(input.cycle);
    }

    fn answer(&self, outcome: Outcome, plan: &[f64], verdict: &Verdict) -> Filtered {
        let moves = plan.chunks_exact(self.config.mv_span.len()).take(PLAN_MOVES);
        Filtered {
            outcome,
            plan: Fixed::collect(moves.map(|u| Values::collect(u.iter().copied()))),
            certified: verdict.holds,
            cv_next: verdict.cv_next,
            cv_end: verdict.cv_end,
            ..exhausted(SolveStatus::NotRun)
        }
    }

    /// What is answered to an input that says nothing: the stored plan, whose rehearsal has no start.
    fn unheard(&mut self, input: &FilterInput<'_>) -> Filtered {
        let nu = self.config.mv_span.len();
        let limits = [input.u_prev, input.u_lo, input.u_hi, input.du_max];
        let limited = limits.iter().all(|values| values.len() == nu) && are_limits(input);
        let mut answer = exhausted(SolveStatus::BadInput);
        if !limited {
            return answer;
        }
        self.reach.update(&input.limits());
        if let Some(left) = self.take_up_backup(input) {
            let moves = self.backup.chunks_exact(nu).take(PLAN_MOVES);
            answer.plan = Fixed::collect(moves.map(|u| Values::collect(u.iter().copied())));
            answer.outcome = Outcome::Backup { left };
        }
        answer
    }

    /// Shifts the trajectory to the cycle; false when there is none, or it ended before.
    fn shift_to(&mut self, input: &FilterInput<'_>) -> bool {
        let elapsed = self.anchored.and_then(|anchored| input.cycle.checked_sub(anchored));
        match elapsed.and_then(|cycles| usize::try_from(cycles).ok()) {
            Some(periods) if periods < self.config.horizon => {
                self.trajectory.shift(periods, input.p);
                self.anchored = Some(input.cycle);
                true
            }
            _ => false,
        }
    }

    /// Whether every length fits, the estimate is of numbers, and no limits contradict each other.
    fn accepts(&self, input: &FilterInput<'_>) -> bool {
        let (nu, cvs) = (self.config.mv_span.len(), self.config.cv.len());
        let lengths = [
            (input.x.len(), self.states),
            (input.p.len(), self.disturbances),
            (input.d.len(), cvs),
            (input.u_prev.len(), nu),
            (input.proposal.len(), nu),
            (input.u_lo.len(), nu),
            (input.u_hi.len(), nu),
            (input.du_max.len(), nu),
        ];
        let numbers = [input.x, input.p, input.d];
        lengths.iter().all(|(got, expected)| got == expected)
            && numbers.iter().all(|values| values.iter().all(|value| value.is_finite()))
            && are_limits(input)
    }
}

impl<'a> FilterInput<'a> {
    fn limits(&self) -> InputLimits<'a> {
        InputLimits { u_prev: self.u_prev, lo: self.u_lo, hi: self.u_hi, du_max: self.du_max }
    }
}

/// Whether the inputs in force are numbers, and their limits and rates leave a move.
fn are_limits(input: &FilterInput<'_>) -> bool {
    let mut boxes = input.u_lo.iter().zip(input.u_hi);
    input.u_prev.iter().all(|u| u.is_finite())
        && boxes.all(|(lo, hi)| lo <= hi && *lo < f64::INFINITY && *hi > f64::NEG_INFINITY)
        && input.du_max.iter().all(|du| *du >= 0.0)
}

fn exhausted(status: SolveStatus) -> Filtered {
    Filtered {
        outcome: Outcome::Exhausted,
        plan: Fixed::new(),
        certified: false,
        slack: Values::new(),
        alarm: true,
        cv_next: Values::new(),
        cv_end: Values::new(),
        status,
        iterations: 0,
        kkt_residual: 0.0,
    }
}
