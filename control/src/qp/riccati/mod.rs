//! A primal-dual interior-point method on the stages of an optimal-control problem.
//!
//! Under nonlinear MPC and moving-horizon estimation. Mehrotra's predictor and corrector share one Riccati
//! factorisation (`lq`); bounds and slacks are eliminated as scalars (`hard`, `soft`) and leave diagonal weights.
//! Primal and dual variables take a common step α, so that all linear residuals shrink by exactly 1-α: they are
//! computed at the start and once more before a solution is believed, and in between only their share is carried along.
//!
//! # Invariants
//! - `prepare`, `solve` and `shift` do not allocate.
//! - `Solved` is said only of residuals computed afresh, and of a duality gap within the tolerance.
//! - A warm start that stalls costs a few iterations (`WARM_ITERATIONS`); then the solve starts cold.
//! - After `Numerical` or `Infeasible` the solution is that of the last solve that ended otherwise.
//!
//! Sources: Mehrotra, *On the implementation of a primal-dual interior point method*, SIAM J. Optim. 2 (1992); Rao,
//! Wright and Rawlings, JOTA 99 (1998); Frison and Diehl, *HPIPM: a high-performance quadratic programming framework
//! for model predictive control*, IFAC 2020.
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: every slice has a length set at construction")]

mod bounds;
mod certificate;
mod hard;
pub(crate) mod kernel;
pub(crate) mod layout;
pub(crate) mod lq;
pub(crate) mod pack;
mod soft;
mod start;
#[cfg(test)]
pub(crate) mod tests;

use signals::SolveStatus;

use self::bounds::BoundLists;
use self::hard::{Aim, Reach};
use self::kernel::LANES;
use self::layout::Layout;
use self::lq::{Lq, lq};
use super::{Ending, Initial, OcpDims, OcpQp, OcpSolution, OcpSolver};

/// The most iterations that a warm start may take before the solve starts cold.
const WARM_ITERATIONS: u32 = 6;
/// The share of the way to the nearest bound that a step may go.
const TO_BOUNDARY: f64 = 0.995;

/// Multipliers below this many tolerances are those of bounds that do not matter.
const FREE: f64 = 100.0;
/// A shorter step is none.
const STEP_MIN: f64 = 1e-9;
/// Both factors of a degenerate pair are the root of its product; they are not asked to be smaller than this.
const PAIR_TOLERANCE_MIN: f64 = 1e-6;
/// No step aims at a complementarity below this share of the square of that tolerance: beyond is only ill conditioning.
const CENTRE_MIN: f64 = 0.1;

/// Settings of [`RiccatiIpm`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IpmOptions {
    /// Residuals and duality gap, relative to the programme's own size where that is above one.
    pub tolerance: f64,
    /// The most iterations of one solve, warm and cold together.
    pub iterations_max: u32,
    /// Whether a solve starts from the last one's solution.
    pub warm_start: bool,
}

impl Default for IpmOptions {
    fn default() -> Self {
        Self { tolerance: 1e-6, iterations_max: 60, warm_start: true }
    }
}

/// The interior-point method. See the module.
#[derive(Debug)]
pub struct RiccatiIpm {
    options: IpmOptions,
    lq: Box<dyn Lq>,
    layout: Layout,
    initial: Initial,
    bounds: BoundLists,
    z: Vec<f64>,
    dz: Vec<f64>,
    pi: Vec<f64>,
    dpi: Vec<f64>,
    weights: Vec<f64>,
    /// The Lagrangian's gradient when it was last computed afresh.
    stationarity: Vec<f64>,
    gradient: Vec<f64>,
    residual: Residual,
    solution: OcpSolution,
    warm: Option<OcpSolution>,
    is_warm: bool,
    real: (usize, usize),
    last_sum: f64,
    /// No bound mattered in the last solve: the next one tries that first.
    was_free: bool,
}

/// Largest residuals of the linear conditions when last computed afresh, and what they are measured by.
#[derive(Clone, Copy, Debug, Default)]
struct Residual {
    primal: f64,
    dual: f64,
    primal_scale: f64,
    dual_scale: f64,
}

impl RiccatiIpm {
    /// A solver for programmes of this shape.
    #[must_use]
    pub fn new(dims: &OcpDims, options: IpmOptions) -> Self {
        let lq = lq(dims);
        let layout = lq.layout();
        let flat = || vec![0.0; layout.len()];
        let costates = || vec![0.0; (layout.horizon + 1) * layout.nx];
        Self {
            options,
            layout,
            initial: dims.initial,
            bounds: BoundLists::new(dims, layout),
            z: flat(),
            dz: flat(),
            pi: costates(),
            dpi: costates(),
            weights: flat(),
            stationarity: flat(),
            gradient: flat(),
            residual: Residual::default(),
            solution: OcpSolution::new(dims),
            warm: options.warm_start.then(|| OcpSolution::new(dims)),
            is_warm: false,
            real: (dims.nx, dims.nu),
            last_sum: 0.0,
            was_free: false,
            lq,
        }
    }

    /// Computes the linear residuals of the present point afresh.
    fn refresh(&mut self) {
        self.lq.gradient(&self.z, Some(&self.pi), &mut self.stationarity);
        self.bounds.push_into(&mut self.stationarity);
        self.lq.fold_rows(&mut self.stationarity);
        if self.initial == Initial::Fixed {
            self.layout.stage_mut(&mut self.stationarity, 0).0.fill(0.0);
        }
        let defects = largest(self.lq.defects(&self.z));
        let bounds = self.bounds.refresh(&self.z);
        self.residual = Residual {
            primal: defects.max(bounds.primal),
            dual: largest(&self.stationarity).max(bounds.dual),
            primal_scale: largest(&self.z).max(1.0),
            dual_scale: largest(&self.pi).max(1.0),
        };
    }

    /// Iterates from the present point, at most `most` times. Counts into `iterations`.
    fn iterate(&mut self, most: u32, iterations: &mut u32, late: &dyn Fn() -> bool) -> SolveStatus {
        self.refresh();
        self.last_sum = f64::INFINITY;
        let mut share = 1.0;
        let mut slow = 0;
        for _ in 0..=most {
            if !(self.residual.primal.is_finite() && self.residual.dual.is_finite()) {
                return SolveStatus::Numerical;
            }
            if self.seems_solved(share) {
                self.refresh();
                share = 1.0;
                if self.is_solved() {
                    return SolveStatus::Solved;
                }
            }
            if late() {
                return SolveStatus::TimeLimit;
            }
            if *iterations >= self.options.iterations_max {
                return SolveStatus::IterationLimit;
            }
            *iterations += 1;
            let alpha = self.step(share).unwrap_or(0.0);
            share *= 1.0 - alpha;
            slow = if alpha < 0.5 { slow + 1 } else { 0 };
            let stuck = alpha < STEP_MIN;
            if (stuck || slow > 2) && self.is_certificate() {
                return SolveStatus::Infeasible;
            }
            if stuck {
                return SolveStatus::Numerical;
            }
        }
        SolveStatus::IterationLimit
    }

    /// Whether the residuals, as far as they are carried along, and the complementarity are within the tolerance.
    fn seems_solved(&self, share: f64) -> bool {
        let (tolerance, residual) = (self.options.tolerance, &self.residual);
        let primal = (share * residual.primal).max(self.bounds.pin_error());
        primal <= tolerance * residual.primal_scale
            && share * residual.dual <= tolerance * residual.dual_scale
            && self.bounds.complementarity().1 <= tolerance * residual.dual_scale
    }

    /// Whether the residuals, just computed afresh, and the duality gap are within the tolerance.
    fn is_solved(&mut self) -> bool {
        if !self.seems_solved(1.0) {
            return false;
        }
        let cost = self.lq.cost(&self.z) + self.bounds.slack_cost();
        let tolerance = self.options.tolerance;
        let (slack, priced) = self.bounds.slack_error();
        self.bounds.complementarity().0 <= tolerance * cost.abs().max(1.0)
            && slack <= self.pair_tolerance() * self.residual.primal_scale
            && priced <= self.pair_tolerance() * self.residual.dual_scale
    }

    /// The tolerance of each factor of a degenerate pair.
    fn pair_tolerance(&self) -> f64 {
        self.options.tolerance.max(PAIR_TOLERANCE_MIN)
    }

    /// One predictor and corrector; the step's length, or none when the arithmetic broke down.
    fn step(&mut self, share: f64) -> Option<f64> {
        let pairs = self.bounds.pairs().max(1) as f64;
        self.bounds.weigh(&mut self.weights);
        if !self.lq.factor(&self.weights, share) {
            return None;
        }
        let (sum, _) = self.bounds.complementarity();
        let mut reach = self.direct(Aim::Affine, share);
        if self.bounds.pairs() > 0 {
            let alpha = f64::min(1.0 / reach.steepest, 1.0);
            let affine = (1.0 - alpha) * sum + alpha * alpha * reach.product;
            let ratio = (affine / sum).max(0.0);
            let mehrotra = ratio * ratio * ratio;
            // Where the last step lost ground, the second-order term has led astray: one step without it.
            let (sigma, second) = if sum > self.last_sum { (mehrotra.max(0.5), 0.0) } else { (mehrotra, 1.0) };
            self.last_sum = sum;
            let target = (sigma * sum / pairs).max(CENTRE_MIN * self.pair_tolerance().powi(2));
            reach = self.direct(Aim::Centre(target, second), share);
        }
        let alpha = f64::min(TO_BOUNDARY / reach.steepest, 1.0);
        if !(reach.product.is_finite() && alpha.is_finite()) {
            return None;
        }
        self.lq.costates(&self.dz, &mut self.dpi);
        self.z.iter_mut().zip(&self.dz).for_each(|(z, dz)| *z = dz.mul_add(alpha, *z));
        self.pi.iter_mut().zip(&self.dpi).for_each(|(pi, dpi)| *pi = dpi.mul_add(alpha, *pi));
        self.bounds.advance(alpha);
        Some(alpha)
    }
}

impl RiccatiIpm {
    /// The direction for this aim, of all variables but the costates.
    fn direct(&mut self, aim: Aim, share: f64) -> Reach {
        self.gradient.iter_mut().zip(&self.stationarity).for_each(|(g, s)| *g = s * share);
        self.bounds.aim(aim, share, &mut self.gradient);
        self.lq.solve(&self.gradient, &mut self.dz);
        self.bounds.direct(&self.dz, share)
    }
}

impl OcpSolver for RiccatiIpm {
    fn prepare(&mut self, qp: &OcpQp) {
        self.lq.pack(qp);
        self.bounds.fill(qp);
    }

    fn solve(&mut self, qp: &OcpQp, late: &dyn Fn() -> bool) -> Ending {
        let mut iterations = 0;
        let x0_is_spoilt = self.initial == Initial::Fixed && !qp.x0.iter().all(|x| x.is_finite());
        if x0_is_spoilt || self.bounds.are_spoilt() {
            return Ending { status: SolveStatus::Numerical, iterations };
        }
        if self.bounds.are_crossed() {
            return Ending { status: SolveStatus::Infeasible, iterations };
        }
        let mut status = SolveStatus::NotRun;
        if self.is_warm && !self.was_free {
            self.start_warm(qp);
            status = self.iterate(WARM_ITERATIONS, &mut iterations, late);
            self.was_free =
                self.bounds.largest_multiplier() <= FREE * self.options.tolerance * self.residual.dual_scale;
        }
        if !matches!(status, SolveStatus::Solved | SolveStatus::TimeLimit) {
            iterations += 1;
            self.was_free = self.start_cold(qp);
            status = if self.was_free { SolveStatus::Solved } else { self.iterate(u32::MAX, &mut iterations, late) };
        }
        self.export(status);
        Ending { status, iterations }
    }

    fn solution(&self) -> &OcpSolution {
        &self.solution
    }

    fn shift(&mut self, periods: usize) {
        let (nx, nu, n) = (self.real.0, self.real.1, self.layout.horizon);
        let Some(warm) = &mut self.warm else { return };
        let nc = warm.lambda_lo.len() / (n + 1);
        for k in 0..=n {
            let from = (k + periods).min(n);
            warm.x.copy_within(from * nx..(from + 1) * nx, k * nx);
            warm.pi.copy_within(from * nx..(from + 1) * nx, k * nx);
            for lambda in [&mut warm.lambda_lo, &mut warm.lambda_hi] {
                lambda.copy_within(from * nc + nu..(from + 1) * nc, k * nc + nu);
            }
            if k < n {
                let from = from.min(n - 1);
                warm.u.copy_within(from * nu..(from + 1) * nu, k * nu);
                for lambda in [&mut warm.lambda_lo, &mut warm.lambda_hi] {
                    lambda.copy_within(from * nc..from * nc + nu, k * nc);
                }
            }
        }
    }

    fn reset(&mut self) {
        self.is_warm = false;
    }
}

impl RiccatiIpm {
    /// Copies the present point into the solution and the memory, unless `status` or a number forbids.
    fn export(&mut self, status: SolveStatus) {
        let believed = matches!(status, SolveStatus::Solved | SolveStatus::IterationLimit | SolveStatus::TimeLimit);
        if !believed || !self.z.iter().chain(&self.pi).all(|v| v.is_finite()) {
            self.is_warm = false;
            return;
        }
        let (nx, nu) = self.real;
        for k in 0..=self.layout.horizon {
            let (x, u, _) = self.layout.stage(&self.z, k);
            self.solution.x[k * nx..(k + 1) * nx].copy_from_slice(&x[..nx]);
            self.solution.pi[k * nx..(k + 1) * nx].copy_from_slice(&self.pi[k * self.layout.nx..][..nx]);
            if k < self.layout.horizon {
                self.solution.u[k * nu..(k + 1) * nu].copy_from_slice(&u[..nu]);
            }
        }
        self.bounds.export(&mut self.solution.lambda_lo, &mut self.solution.lambda_hi);
        if let Some(warm) = &mut self.warm {
            // Field by field: a derived `clone_from` allocates.
            let OcpSolution { x, u, pi, lambda_lo, lambda_hi } = &self.solution;
            warm.x.copy_from_slice(x);
            warm.u.copy_from_slice(u);
            warm.pi.copy_from_slice(pi);
            warm.lambda_lo.copy_from_slice(lambda_lo);
            warm.lambda_hi.copy_from_slice(lambda_hi);
        }
        self.is_warm = self.warm.is_some() && status == SolveStatus::Solved;
    }
}

/// The largest size of a number; NaN counts as infinite.
fn largest(values: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (largest, value) in lanes.iter_mut().zip(chunk) {
            grow(largest, *value);
        }
    }
    let mut all = 0.0;
    lanes.iter().chain(rest).for_each(|value| grow(&mut all, *value));
    all
}

/// `largest = max(largest, |value|)`; NaN counts as infinite.
#[inline(always)]
fn grow(largest: &mut f64, value: f64) {
    let size = if value.is_nan() { f64::INFINITY } else { value.abs() };
    *largest = if size > *largest { size } else { *largest };
}
