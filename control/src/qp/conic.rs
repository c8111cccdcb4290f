//! Clarabel as a solver of optimal-control programmes.
//!
//! The independent cross-check of our own methods, and what stands behind them. It shares no code with them:
//! elimination order, storage and scaling are its own. The sparse form is made from the first programme and kept while
//! the same sides of bounds are present and pinned; otherwise it is made anew.
//!
//! # Invariants
//! - It starts cold always: [`OcpSolver::shift`] and [`OcpSolver::reset`] do nothing.
//! - The caller's `late` cannot be asked within Clarabel: its callback must outlive the borrow. `late` is asked before
//!   and after, iterations are capped, and [`Conic::set_deadline`] takes a closure that may be asked in each iteration.
//! - It allocates: once per solve, and for a new form.
//!
//! Source: Goulart and Chen, *Clarabel: An interior-point solver for conic programs with quadratic objectives* (2024),
//! and the solver's source, version 0.11: presolve and dropped zeros forbid updates; infinity in an updated `b` is an
//! error; refinement costs about as much as the iterations.
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: every slice has a length set at construction")]

mod sparse;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use clarabel::solver::{DefaultSettings, DefaultSolver, IPSolver, SolverStatus, SupportedConeT};
use signals::SolveStatus;

use self::sparse::Sparse;
use super::{Ending, OcpDims, OcpQp, OcpSolution, OcpSolver};

/// The deadline as Clarabel can ask it: true once the solve is late.
pub type Deadline = Arc<dyn Fn() -> bool + Send + Sync>;

/// Settings of [`Conic`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConicOptions {
    /// Feasibility and gap, absolute and relative.
    pub tolerance: f64,
    /// The most iterations of one solve.
    pub iterations_max: u32,
}

impl Default for ConicOptions {
    fn default() -> Self {
        Self { tolerance: 1e-8, iterations_max: 60 }
    }
}

/// Clarabel around programmes of one shape. See the module.
pub struct Conic {
    options: ConicOptions,
    deadline: Option<Deadline>,
    built: Option<(Sparse, DefaultSolver<f64>)>,
    solution: OcpSolution,
}

impl Conic {
    /// A solver for programmes of this shape.
    #[must_use]
    pub fn new(dims: &OcpDims, options: ConicOptions) -> Self {
        Self { options, deadline: None, built: None, solution: OcpSolution::new(dims) }
    }

    /// Sets what is asked in each iteration, besides `late` before and after the solve.
    pub fn set_deadline(&mut self, deadline: Option<Deadline>) {
        self.deadline = deadline;
    }

    fn settings(&self) -> DefaultSettings<f64> {
        let tolerance = self.options.tolerance;
        DefaultSettings {
            max_iter: self.options.iterations_max,
            tol_gap_abs: tolerance,
            tol_gap_rel: tolerance,
            tol_feas: tolerance,
            verbose: false,
            presolve_enable: false,
            input_sparse_dropzeros: false,
            iterative_refinement_enable: false,
            direct_solve_method: "qdldl".to_owned(),
            ..DefaultSettings::default()
        }
    }

    /// The solver of a form; none when Clarabel refuses its numbers.
    fn build(&self, form: Sparse) -> Option<(Sparse, DefaultSolver<f64>)> {
        let inequalities = form.b.len() - form.equalities;
        let cones = [SupportedConeT::ZeroConeT(form.equalities), SupportedConeT::NonnegativeConeT(inequalities)];
        let solver = DefaultSolver::new(&form.p, &form.g, &form.a, &form.b, &cones, self.settings());
        solver.ok().map(|solver| (form, solver))
    }

    /// Copies Clarabel's solution.
    fn export(solution: &mut OcpSolution, qp: &OcpQp, (form, solver): &(Sparse, DefaultSolver<f64>)) {
        let (nx, nu, n) = (qp.dims().nx, qp.dims().nu, qp.dims().horizon);
        let (y, dual) = (&solver.solution.x, &solver.solution.z);
        let equations = form.equalities - form.places().iter().filter(|place| place.pin.is_some()).count();
        let first = equations - n * nx;
        for k in 0..=n {
            let at = form.stage(k);
            solution.x[k * nx..(k + 1) * nx].copy_from_slice(&y[at..at + nx]);
            if k < n {
                solution.u[k * nu..(k + 1) * nu].copy_from_slice(&y[at + nx..at + nx + nu]);
                let row = first + k * nx;
                solution.pi[(k + 1) * nx..(k + 2) * nx].copy_from_slice(&dual[row..row + nx]);
            }
        }
        for (at, place) in form.places().iter().enumerate() {
            let pin = place.pin.map_or(0.0, |row| dual[row]);
            solution.lambda_lo[at] = place.lo.map_or(-pin, |row| dual[row]).max(0.0);
            solution.lambda_hi[at] = place.hi.map_or(pin, |row| dual[row]).max(0.0);
        }
    }
}

impl OcpSolver for Conic {
    fn prepare(&mut self, qp: &OcpQp) {
        match &mut self.built {
            Some((form, _)) if form.fits(qp) => form.fill(qp),
            _ => {
                let mut form = Sparse::new(qp);
                form.fill(qp);
                self.built = self.build(form);
            }
        }
    }

    fn solve(&mut self, qp: &OcpQp, late: &dyn Fn() -> bool) -> Ending {
        let ended = |status, iterations| Ending { status, iterations };
        if late() {
            return ended(SolveStatus::TimeLimit, 0);
        }
        let Some(built) = &mut self.built else { return ended(SolveStatus::Numerical, 0) };
        let (form, solver) = &mut *built;
        form.start_from(qp);
        let finite = [&form.p.nzval, &form.g, &form.a.nzval, &form.b].into_iter().flatten().all(|v| v.is_finite());
        if !finite || solver.update_data(&form.p.nzval, &form.g, &form.a.nzval, &form.b).is_err() {
            // A solver that was built around such numbers is scaled by them.
            self.built = None;
            return ended(SolveStatus::Numerical, 0);
        }
        if let Some(deadline) = self.deadline.clone() {
            solver.set_termination_callback(move |_| deadline());
        }
        solver.solve();
        solver.unset_termination_callback();
        let iterations = solver.solution.iterations;
        let finite = solver.solution.x.iter().chain(&solver.solution.z).all(|v| v.is_finite());
        let status = match solver.solution.status {
            _ if !finite => SolveStatus::Numerical,
            SolverStatus::Solved => SolveStatus::Solved,
            SolverStatus::AlmostSolved | SolverStatus::MaxIterations => SolveStatus::IterationLimit,
            SolverStatus::CallbackTerminated | SolverStatus::MaxTime => SolveStatus::TimeLimit,
            SolverStatus::PrimalInfeasible | SolverStatus::AlmostPrimalInfeasible => SolveStatus::Infeasible,
            _ => SolveStatus::Numerical,
        };
        let status = if status != SolveStatus::Infeasible && late() { SolveStatus::TimeLimit } else { status };
        if matches!(status, SolveStatus::Solved | SolveStatus::IterationLimit | SolveStatus::TimeLimit) {
            Self::export(&mut self.solution, qp, built);
        }
        ended(status, iterations)
    }

    fn solution(&self) -> &OcpSolution {
        &self.solution
    }

    fn shift(&mut self, _periods: usize) {}

    fn reset(&mut self) {}
}

impl fmt::Debug for Conic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.built.as_ref().map(|(_, solver)| solver.solution.status);
        f.debug_struct("Conic").field("options", &self.options).field("status", &status).finish_non_exhaustive()
    }
}
