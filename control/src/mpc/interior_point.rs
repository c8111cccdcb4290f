//! Clarabel around one quadratic programme: built once, then only its numbers are exchanged.
//!
//! The solver keeps its elimination order and its storage from one solve to the next; presolve and the dropping of
//! zeros are off because either would forbid that. It cannot be warm-started, an interior-point method starts from
//! the middle; what is warm is the point of linearisation. Iterative refinement is off: the programme is scaled, and
//! refinement costs about as much as the iterations themselves. The solver's own time limit counts every solve since
//! it was built, so the deadline is asked through its termination callback instead.
//!
//! Source: Goulart and Chen, *Clarabel: An interior-point solver for conic programs with quadratic objectives*
//! (2024), and the solver's source, version 0.11.

use std::fmt;
use std::sync::Arc;

use clarabel::solver::{DefaultSettings, DefaultSolver, IPSolver, SolverStatus, SupportedConeT};
use signals::SolveStatus;

use super::MpcError;
use super::qp::Programme;

/// The most interior-point iterations of one programme.
const ITERATIONS_MAX: u32 = 60;

/// The deadline: true once the solve is late.
pub type Deadline = Arc<dyn Fn() -> bool + Send + Sync>;

/// How one programme ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    pub(super) status: SolveStatus,
    pub(super) iterations: u32,
    /// The largest of relative primal residual, dual residual and duality gap.
    pub(super) kkt_residual: f64,
}

pub(super) struct InteriorPoint {
    solver: DefaultSolver<f64>,
}

impl InteriorPoint {
    /// A solver for programmes of this pattern. The numbers set the equilibration once and for all, so they should be
    /// typical.
    ///
    /// # Errors
    /// [`MpcError::Solver`] when Clarabel refuses the programme.
    pub(super) fn new(programme: &Programme) -> Result<Self, MpcError> {
        let settings = DefaultSettings {
            max_iter: ITERATIONS_MAX,
            verbose: false,
            presolve_enable: false,
            input_sparse_dropzeros: false,
            iterative_refinement_enable: false,
            direct_solve_method: "qdldl".to_owned(),
            ..DefaultSettings::default()
        };
        let Programme { p, q, a, b, .. } = programme;
        let inequalities = b.len() - programme.equalities();
        let cones = [SupportedConeT::ZeroConeT(programme.equalities()), SupportedConeT::NonnegativeConeT(inequalities)];
        let solver = DefaultSolver::new(&p.matrix, q, &a.matrix, b, &cones, settings);
        let solver = solver.map_err(|error| MpcError::Solver { reason: error.to_string() })?;
        Ok(Self { solver })
    }

    /// Solves the programme as it now stands.
    pub(super) fn solve(&mut self, programme: &Programme, late: &Deadline) -> Ending {
        let Programme { p, q, a, b, .. } = programme;
        if self.solver.update_data(p.values(), q, a.values(), b).is_err() {
            return Ending { status: SolveStatus::Numerical, iterations: 0, kkt_residual: f64::INFINITY };
        }
        let late = Arc::clone(late);
        self.solver.set_termination_callback(move |_| late());
        self.solver.solve();
        self.solver.unset_termination_callback();
        let solution = &self.solver.solution;
        let residual = solution.r_prim.max(solution.r_dual).max(self.solver.info.gap_rel.min(self.solver.info.gap_abs));
        let status = match solution.status {
            _ if !solution.x.iter().all(|z| z.is_finite()) => SolveStatus::Numerical,
            SolverStatus::Solved => SolveStatus::Solved,
            SolverStatus::AlmostSolved => SolveStatus::IterationLimit,
            SolverStatus::CallbackTerminated | SolverStatus::MaxTime => SolveStatus::TimeLimit,
            SolverStatus::PrimalInfeasible | SolverStatus::AlmostPrimalInfeasible => SolveStatus::Infeasible,
            SolverStatus::Unsolved
            | SolverStatus::DualInfeasible
            | SolverStatus::AlmostDualInfeasible
            | SolverStatus::MaxIterations
            | SolverStatus::NumericalError
            | SolverStatus::InsufficientProgress => SolveStatus::Numerical,
        };
        Ending { status, iterations: solution.iterations, kkt_residual: residual }
    }

    /// The unknowns of the last solve.
    pub(super) fn solution(&self) -> &[f64] {
        &self.solver.solution.x
    }
}

impl fmt::Debug for InteriorPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InteriorPoint").field("status", &self.solver.solution.status).finish_non_exhaustive()
    }
}
