//! The quadratic programme of one SQP iteration: its pattern, laid once, and its numbers, filled each time.
//!
//! Unknowns, all scaled: the correction `υ` of each block's input, `ξ_k` of each state `k = 1 … N`, and one slack
//! `s ≥ 0` per period and limited CV, shared by its two limits. With stage matrices `A, B, C` and defects `c`
//! ([`Stage`]), `e = (y + d - r)/span` and `δ_j = (u_j - u_{j-1})/span` at the point of linearisation:
//!
//! ```text
//! min  Σ_k Σ_cv w (e + C ξ_k)² + Σ_j Σ_mv m (δ_j + υ_j - υ_{j-1})² + Σ (ρ1 s + ρ2 s²)
//! s.t. ξ_{k+1} = A ξ_k + B υ_{j(k)} + c,  ξ_0 = 0
//!      lo_j ≤ u_j + span υ_j ≤ hi_j,  |u_j - u_{j-1}| ≤ du_max           (hard)
//!      lo - span s ≤ y + d + span C ξ_k ≤ hi + span s,  s ≥ 0            (soft)
//! ```
//!
//! in Clarabel's form `min ½ zᵀPz + qᵀz, Az + s = b`, s in the zero cone for the dynamics, else not negative.
//!
//! # Invariants
//! - The pattern never changes: numbers that happen to be zero are stored. A limit that is absent keeps its row, with
//!   zero coefficients and `b = 1`, because the solver takes no infinite `b`.
//! - The hard rows are widened by [`RELAX`], so that a pinned input leaves the solver an interior; the plan is
//!   projected afterwards ([`Reach::project`]).
#![allow(clippy::indexing_slicing, reason = "rows and columns are laid out once, at construction")]

use clarabel::algebra::CscMatrix;

use super::reach::Reach;
use super::trajectory::{Stage, Trajectory};
use super::{CvTuning, MpcConfig, MpcInput, MvTuning};

/// Widening of every hard bound, in spans.
const RELAX: f64 = 1e-7;
/// A bound this many spans away is none.
const ABSENT_SPANS: f64 = 1e6;

/// The programme's numbers, in Clarabel's form.
#[derive(Debug)]
pub(super) struct Programme {
    layout: Layout,
    pub(super) p: Filled,
    pub(super) q: Vec<f64>,
    pub(super) a: Filled,
    pub(super) b: Vec<f64>,
}

/// What the numbers are filled from: the linearised trajectory, the cycle's input, and the reachable boxes.
#[derive(Clone, Copy)]
pub(super) struct Point<'a> {
    pub(super) trajectory: &'a Trajectory,
    pub(super) input: &'a MpcInput<'a>,
    pub(super) reach: &'a Reach,
}

impl Programme {
    /// Lays the pattern out and fills it from `point`.
    pub(super) fn new(config: &MpcConfig, nx: usize, point: Point<'_>) -> Self {
        let layout = Layout::new(config, nx);
        let mut b = vec![0.0; layout.rows()];
        let mut cost = Vec::new();
        layout.emit_hessian(point, &mut cost);
        let mut rows = Vec::new();
        layout.emit_constraints(point, &mut rows, &mut b);
        let mut q = vec![0.0; layout.columns()];
        layout.fill_gradient(point, &mut q);
        let p = Filled::new(layout.columns(), layout.columns(), &cost);
        let a = Filled::new(layout.rows(), layout.columns(), &rows);
        Self { layout, p, q, a, b }
    }

    /// Overwrites every number from `point`. False when one is not finite.
    pub(super) fn fill(&mut self, point: Point<'_>) -> bool {
        self.p.restart();
        self.layout.emit_hessian(point, &mut self.p);
        self.a.restart();
        self.layout.emit_constraints(point, &mut self.a, &mut self.b);
        self.layout.fill_gradient(point, &mut self.q);
        self.p.values().iter().chain(&self.q).chain(self.a.values()).chain(&self.b).all(|value| value.is_finite())
    }

    /// Number of equality rows; they come first.
    pub(super) fn equalities(&self) -> usize {
        self.layout.horizon * self.layout.nx
    }

    /// The parts of a solution: `υ` block by block, and `ξ_1 … ξ_N`.
    pub(super) fn split<'z>(&self, z: &'z [f64]) -> (&'z [f64], &'z [f64]) {
        let inputs = self.layout.blocks * self.layout.nu;
        (&z[..inputs], &z[inputs..inputs + self.equalities()])
    }
}

/// Receives the entries of a matrix, always in the same order.
trait Entries {
    fn put(&mut self, row: usize, column: usize, value: f64);
}

impl Entries for Vec<(usize, usize, f64)> {
    fn put(&mut self, row: usize, column: usize, value: f64) {
        self.push((row, column, value));
    }
}

/// A sparse matrix that knows where each emitted entry is stored.
#[derive(Debug)]
pub(super) struct Filled {
    pub(super) matrix: CscMatrix<f64>,
    slots: Vec<usize>,
    next: usize,
}

impl Filled {
    fn new(rows: usize, columns: usize, entries: &[(usize, usize, f64)]) -> Self {
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.sort_by_key(|at| (entries[*at].1, entries[*at].0));
        let mut slots = vec![0; entries.len()];
        let mut column_starts = vec![0; columns + 1];
        for (slot, at) in order.iter().enumerate() {
            slots[*at] = slot;
            column_starts[entries[*at].1 + 1] += 1;
        }
        for column in 0..columns {
            column_starts[column + 1] += column_starts[column];
        }
        let row_of = order.iter().map(|at| entries[*at].0).collect();
        let values = order.iter().map(|at| entries[*at].2).collect();
        Self { matrix: CscMatrix::new(rows, columns, column_starts, row_of, values), slots, next: 0 }
    }

    fn restart(&mut self) {
        self.next = 0;
    }

    /// The stored numbers, column by column.
    pub(super) fn values(&self) -> &Vec<f64> {
        &self.matrix.nzval
    }
}

impl Entries for Filled {
    fn put(&mut self, row: usize, _column: usize, value: f64) {
        let slot = self.slots[self.next];
        debug_assert_eq!(self.matrix.rowval[slot], row, "entries must come in the order of the pattern");
        self.matrix.nzval[slot] = value;
        self.next += 1;
    }
}

#[derive(Debug)]
struct Layout {
    nx: usize,
    nu: usize,
    blocks: usize,
    horizon: usize,
    cv: Vec<CvTuning>,
    mv: Vec<MvTuning>,
    /// The CVs whose limits cost anything.
    limited: Vec<usize>,
}

impl Layout {
    fn new(config: &MpcConfig, nx: usize) -> Self {
        let limited = config.cv.iter().enumerate().filter(|(_, cv)| cv.is_limited()).map(|(i, _)| i);
        Self {
            nx,
            nu: config.mv.len(),
            blocks: config.blocks.len(),
            horizon: config.horizon,
            limited: limited.collect(),
            cv: config.cv.clone(),
            mv: config.mv.clone(),
        }
    }

    fn columns(&self) -> usize {
        self.blocks * self.nu + self.horizon * (self.nx + self.limited.len())
    }

    /// Dynamics; two rows per input of the first block, four per later one; three per period and limited CV.
    fn rows(&self) -> usize {
        self.horizon * (self.nx + 3 * self.limited.len()) + (4 * self.blocks - 2) * self.nu
    }

    fn u_column(&self, block: usize, i: usize) -> usize {
        block * self.nu + i
    }

    /// Column of state `i` at the end of `period`, that is of `ξ_{period + 1}`.
    fn x_column(&self, period: usize, i: usize) -> usize {
        self.blocks * self.nu + period * self.nx + i
    }

    fn slack_column(&self, period: usize, limited: usize) -> usize {
        self.blocks * self.nu + self.horizon * self.nx + period * self.limited.len() + limited
    }

    /// Weight of a CV's squared error at the end of `period`; 0 without a set-point.
    fn weight(&self, period: usize, cv: usize, input: &MpcInput<'_>) -> f64 {
        let tuning = &self.cv[cv];
        let weight = if period + 1 == self.horizon { tuning.terminal_weight } else { tuning.weight };
        input.setpoints[cv].map_or(0.0, |_| weight)
    }

    /// Upper triangle of P.
    fn emit_hessian(&self, point: Point<'_>, out: &mut impl Entries) {
        for block in 0..self.blocks {
            for (i, mv) in self.mv.iter().enumerate() {
                let moves = if block + 1 < self.blocks { 2.0 } else { 1.0 };
                let column = self.u_column(block, i);
                out.put(column, column, 2.0 * mv.move_weight * moves);
                if block > 0 {
                    out.put(self.u_column(block - 1, i), column, -2.0 * mv.move_weight);
                }
            }
        }
        for (period, Stage { c, .. }) in point.trajectory.stages.iter().enumerate() {
            for j in 0..self.nx {
                for i in 0..=j {
                    let terms =
                        (0..self.cv.len()).map(|cv| self.weight(period, cv, point.input) * c[(cv, i)] * c[(cv, j)]);
                    out.put(self.x_column(period, i), self.x_column(period, j), 2.0 * terms.sum::<f64>());
                }
            }
            for (at, cv) in self.limited.iter().enumerate() {
                let column = self.slack_column(period, at);
                out.put(column, column, 2.0 * self.cv[*cv].soft_quadratic);
            }
        }
    }

    fn fill_gradient(&self, point: Point<'_>, q: &mut [f64]) {
        q.fill(0.0);
        for block in 0..self.blocks {
            for (i, mv) in self.mv.iter().enumerate() {
                let slope = 2.0 * mv.move_weight * point.planned_move(block, i) / mv.span;
                q[self.u_column(block, i)] += slope;
                if block > 0 {
                    q[self.u_column(block - 1, i)] -= slope;
                }
            }
        }
        for (period, stage) in point.trajectory.stages.iter().enumerate() {
            for (cv, tuning) in self.cv.iter().enumerate() {
                let Some(setpoint) = point.input.setpoints[cv] else { continue };
                let error = (stage.y[cv] + point.input.d[cv] - setpoint) / tuning.span;
                let slope = 2.0 * self.weight(period, cv, point.input) * error;
                (0..self.nx).for_each(|i| q[self.x_column(period, i)] += slope * stage.c[(cv, i)]);
            }
            for (at, cv) in self.limited.iter().enumerate() {
                q[self.slack_column(period, at)] = self.cv[*cv].soft_linear;
            }
        }
    }

    fn emit_constraints(&self, point: Point<'_>, out: &mut impl Entries, b: &mut [f64]) {
        let (dynamics, inequalities) = b.split_at_mut(self.horizon * self.nx);
        self.emit_dynamics(point, out, dynamics);
        let mut rows = Rows { first: self.horizon * self.nx, next: 0, out, b: inequalities };
        self.emit_input_rows(point, &mut rows);
        self.emit_soft_rows(point, &mut rows);
    }

    fn emit_dynamics(&self, point: Point<'_>, out: &mut impl Entries, b: &mut [f64]) {
        for (period, stage) in point.trajectory.stages.iter().enumerate() {
            let block = point.trajectory.block_of[period];
            for i in 0..self.nx {
                let row = period * self.nx + i;
                out.put(row, self.x_column(period, i), 1.0);
                if period > 0 {
                    (0..self.nx).for_each(|j| out.put(row, self.x_column(period - 1, j), -stage.a[(i, j)]));
                }
                (0..self.nu).for_each(|j| out.put(row, self.u_column(block, j), -stage.b[(i, j)]));
                b[row] = stage.defect[i];
            }
        }
    }

    fn emit_input_rows<E: Entries>(&self, point: Point<'_>, rows: &mut Rows<'_, E>) {
        for block in 0..self.blocks {
            for (i, mv) in self.mv.iter().enumerate() {
                let u = point.trajectory.u_at(block)[i];
                let du = point.planned_move(block, i);
                let (mut lo, mut hi) = point.reach.bounds(block, i);
                let (mut down, mut up) = (-point.input.du_max[i] - du, point.input.du_max[i] - du);
                (lo, hi) = (lo - u, hi - u);
                let column = self.u_column(block, i);
                if block == 0 {
                    // The first move's rate is a box as well: one pair of rows serves both.
                    (lo, hi) = (lo.max(down), hi.min(up));
                } else {
                    (down, up) = (down / mv.span, up / mv.span);
                    let before = self.u_column(block - 1, i);
                    rows.put(&[(before, -1.0), (column, 1.0)], up + RELAX);
                    rows.put(&[(before, 1.0), (column, -1.0)], RELAX - down);
                }
                rows.put(&[(column, 1.0)], hi / mv.span + RELAX);
                rows.put(&[(column, -1.0)], RELAX - lo / mv.span);
            }
        }
    }

    fn emit_soft_rows<E: Entries>(&self, point: Point<'_>, rows: &mut Rows<'_, E>) {
        for (period, stage) in point.trajectory.stages.iter().enumerate() {
            for (at, cv) in self.limited.iter().enumerate() {
                let y = stage.y[*cv] + point.input.d[*cv];
                let span = self.cv[*cv].span;
                let slack = (self.slack_column(period, at), -1.0);
                let below = (point.input.cv_hi[*cv] - y) / span;
                let above = (y - point.input.cv_lo[*cv]) / span;
                for (sign, bound) in [(1.0, below), (-1.0, above)] {
                    let output = (0..self.nx).map(|i| (self.x_column(period, i), sign * stage.c[(*cv, i)]));
                    rows.put_terms(output.chain([slack]), bound);
                }
                rows.put(&[slack], 0.0);
            }
        }
    }
}

impl Point<'_> {
    /// `u_j - u_{j-1}` of input `i` at the point of linearisation, in model units.
    fn planned_move(&self, block: usize, i: usize) -> f64 {
        let before = if block == 0 { self.input.u_prev[i] } else { self.trajectory.u_at(block - 1)[i] };
        self.trajectory.u_at(block)[i] - before
    }
}

/// Rows `terms · z ≤ bound`, one after the other.
struct Rows<'a, E> {
    first: usize,
    next: usize,
    out: &'a mut E,
    b: &'a mut [f64],
}

impl<E: Entries> Rows<'_, E> {
    fn put(&mut self, terms: &[(usize, f64)], bound: f64) {
        self.put_terms(terms.iter().copied(), bound);
    }

    /// A bound that is too far to matter leaves the row empty: `0 ≤ 1`.
    fn put_terms(&mut self, terms: impl Iterator<Item = (usize, f64)>, bound: f64) {
        let absent = bound > ABSENT_SPANS;
        for (column, coefficient) in terms {
            self.out.put(self.first + self.next, column, if absent { 0.0 } else { coefficient });
        }
        self.b[self.next] = if absent { 1.0 } else { bound };
        self.next += 1;
    }
}
