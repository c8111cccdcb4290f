//! The dual active-set method on a dense programme with a constant Hessian and constant rows.
//!
//! ```text
//! min ½ x'Hx + f'x   s.t.  lo ≤ [x; A x] ≤ hi
//! ```
//!
//! With `H = LL'` and `v = L'x + L⁻¹f` the objective is `½|v|²` and a row `a` becomes its image `m = L⁻¹a`. All images
//! are formed at construction, so that a solve starts with the factor of the last working set as it stands: only the
//! bounds moved.
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: shapes are checked at construction and on entry")]

use nalgebra::DMatrix;
use signals::SolveStatus;

use super::QpError;
use super::ascent::{Ascent, climb};
use super::cholesky::Cholesky;
use super::entry::{Duty, Entry};
use super::lanes::{add_multiple, dot, largest, padded};
use super::rows::Rows;
use super::working::{Settled, Working, normalise};
use crate::qp::Ending;

/// A bound is met within this, times one plus the row's size.
const FEASIBLE: f64 = 1e-9;
/// The gradient of the Lagrangian vanishes within this, times the largest of its terms.
const STATIONARY: f64 = 1e-8;
/// Sides closer than this, times one plus their size, are equal.
const PINNED: f64 = 1e-12;
/// Rows that are looked at together for the most violated.
const BLOCK: usize = 64;
/// A row is taken in together with the worst if it is violated by this part of it.
const WORTH_ADDING: f64 = 0.02;

/// See the module. Rows are counted from the unknowns' own bounds: `0 … n-1`, then those of `A`.
#[derive(Debug)]
pub struct DualActiveSet<R> {
    rows: R,
    unknowns: usize,
    /// `H`, by columns.
    hessian: Vec<f64>,
    cholesky: Cholesky,
    /// `L⁻¹a` of every row, divided by its length and padded.
    images: Vec<f64>,
    /// One over that length.
    weights: Vec<f64>,
    working: Working,
    /// The worst of each block of rows, and the rows to take in.
    blocks: Vec<f64>,
    picks: Vec<(usize, bool)>,
    scratch: Scratch,
    /// The last solved point, and its multipliers.
    x: Vec<f64>,
    multipliers: Vec<f64>,
}

#[derive(Debug)]
struct Scratch {
    /// `L⁻¹f`.
    shift: Vec<f64>,
    /// `v`, padded.
    v: Vec<f64>,
    /// A candidate for the solution, and the values of all rows there.
    x: Vec<f64>,
    values: Vec<f64>,
    row: Vec<f64>,
    gradient: Vec<f64>,
}

/// The programme of one solve.
#[derive(Clone, Copy)]
struct Numbers<'a> {
    f: &'a [f64],
    lo: &'a [f64],
    hi: &'a [f64],
}

/// One solve: the solver and its programme.
struct Solve<'a, R> {
    set: &'a mut DualActiveSet<R>,
    numbers: Numbers<'a>,
}

impl<R: Rows> Ascent for Solve<'_, R> {
    fn working(&mut self) -> &mut Working {
        &mut self.set.working
    }

    fn evaluate(&mut self) -> f64 {
        self.set.evaluate()
    }

    fn pick(&mut self) {
        self.set.pick(self.numbers);
    }

    fn picks(&self) -> &[(usize, bool)] {
        &self.set.picks
    }

    fn add(&mut self, row: usize, upper: bool) -> Settled {
        self.set.add(self.numbers, row, upper)
    }

    fn accept(&mut self) -> bool {
        self.set.accept(self.numbers)
    }

    fn renew(&mut self) {
        self.set.working.refresh();
    }
}

impl<R: Rows> DualActiveSet<R> {
    /// Prepares for programmes with this Hessian and these rows.
    ///
    /// | argument | shape |
    /// |---|---|
    /// | `hessian` | n × n, symmetric positive definite; the lower triangle is read |
    /// | `rows` | any number × n |
    ///
    /// Memory: n numbers per row.
    ///
    /// # Errors
    /// [`QpError::Shape`] if the columns of `rows` are not those of `hessian`; [`QpError::NotPositiveDefinite`].
    pub fn new(hessian: &DMatrix<f64>, rows: R) -> Result<Self, QpError> {
        let n = hessian.nrows();
        for (what, got) in [("a row of the hessian", hessian.ncols()), ("a row of constraints", rows.columns())] {
            if got != n {
                return Err(QpError::Shape { what, got, expected: n });
            }
        }
        let cholesky = Cholesky::new(hessian)?;
        let (all, width) = (n + rows.rows(), padded(n));
        let (mut images, mut weights) = (vec![0.0; all * width], vec![1.0; all]);
        for (i, image) in images.chunks_exact_mut(width.max(1)).enumerate() {
            if i < n {
                image[i] = 1.0;
            } else {
                rows.row_into(i - n, &mut image[..n]);
            }
            cholesky.forward(&mut image[..n]);
            weights[i] = 1.0 / normalise(image);
        }
        let symmetric = |j: usize, i: usize| if i >= j { hessian[(i, j)] } else { hessian[(j, i)] };
        Ok(Self {
            rows,
            unknowns: n,
            hessian: (0..n * n).map(|at| symmetric(at / n, at % n)).collect(),
            cholesky,
            images,
            weights,
            working: Working::new(n + 1, n),
            blocks: vec![0.0; all.div_ceil(BLOCK)],
            picks: Vec::with_capacity(all.div_ceil(BLOCK)),
            scratch: Scratch {
                shift: vec![0.0; width],
                v: vec![0.0; width],
                x: vec![0.0; n],
                values: vec![0.0; all],
                row: vec![0.0; n],
                gradient: vec![0.0; n],
            },
            x: vec![0.0; n],
            multipliers: vec![0.0; all],
        })
    }

    /// Solves for `f` (n) and the bounds `lo`, `hi` (n + rows; infinite where there is none), starting from the last
    /// working set. `late` is asked before each added row.
    ///
    /// | status | meaning |
    /// |---|---|
    /// | `Solved` | the optimality conditions hold within 1e-8 |
    /// | `Infeasible` | a combination of the rows contradicts itself, or `lo > hi` |
    /// | `TimeLimit` | `late` said so; the working set is kept, and the next solve goes on from it |
    /// | `IterationLimit` | more changes than 10 per unknown |
    /// | `Numerical` | a number is not finite or a slice has not its length, or the conditions do not hold after a fresh factor |
    pub fn solve(&mut self, f: &[f64], lo: &[f64], hi: &[f64], late: &dyn Fn() -> bool) -> Ending {
        let all = self.weights.len();
        let shaped = f.len() == self.unknowns && lo.len() == all && hi.len() == all;
        if !shaped || !f.iter().all(|f| f.is_finite()) || lo.iter().chain(hi).any(|bound| bound.is_nan()) {
            return Ending { status: SolveStatus::Numerical, iterations: 0 };
        }
        let crossed = |(lo, hi): (&f64, &f64)| lo - hi > FEASIBLE * (1.0 + lo.abs().min(hi.abs()));
        if lo.iter().zip(hi).any(crossed) {
            return Ending { status: SolveStatus::Infeasible, iterations: 0 };
        }
        self.working.begin(100 + 10 * u32::try_from(self.unknowns).unwrap_or(u32::MAX / 20));
        let numbers = Numbers { f, lo, hi };
        self.aim(numbers);
        let status = climb(&mut Solve { set: self, numbers }, late);
        if status == SolveStatus::Numerical {
            self.working.clear();
        }
        Ending { status, iterations: self.working.changes }
    }

    /// The last solved point; zeros before the first.
    #[must_use]
    pub fn x(&self) -> &[f64] {
        &self.x
    }

    /// The multipliers of the last solved point, one per bound: positive at the upper side, negative at the lower, with
    /// `Hx + f + [I; A]'λ = 0`.
    #[must_use]
    pub fn multipliers(&self) -> &[f64] {
        &self.multipliers
    }

    /// Forgets the working set: the next solve starts cold.
    pub fn reset(&mut self) {
        self.working.clear();
    }

    /// The general rows.
    #[must_use]
    pub fn rows(&self) -> &R {
        &self.rows
    }

    /// Moves the bounds of the working set to this programme's. Rows whose side is gone leave.
    fn aim(&mut self, numbers: Numbers<'_>) {
        let n = self.unknowns;
        self.scratch.shift[..n].copy_from_slice(numbers.f);
        self.cholesky.forward(&mut self.scratch.shift[..n]);
        let mut at = 0;
        while at < self.working.entries().len() {
            let entry = self.working.entries()[at];
            let (bound, duty) = numbers.side(entry.row, entry.upper);
            let shift = dot(self.working.image(at), &self.scratch.shift) / self.weights[entry.row];
            if bound.is_finite() && self.working.retarget(at, duty, bound + shift) {
                at += 1;
            } else {
                self.working.remove(at);
            }
        }
    }

    /// Brings a violated row into the working set.
    fn add(&mut self, numbers: Numbers<'_>, row: usize, upper: bool) -> Settled {
        let width = self.scratch.v.len();
        let (bound, duty) = numbers.side(row, upper);
        let sign = if upper { 1.0 } else { -1.0 };
        let image = &self.images[row * width..(row + 1) * width];
        for (to, from) in self.working.candidate().iter_mut().zip(image) {
            *to = sign * from;
        }
        let length = 1.0 / self.weights[row];
        let shift = dot(self.working.candidate(), &self.scratch.shift) * length;
        self.working.push(Entry::new(row, upper, duty, (bound + shift, length)))
    }

    /// `v` from the multipliers, `x = L'⁻¹(v - L⁻¹f)`, and the values of all rows there; returns the dual
    /// objective.
    fn evaluate(&mut self) -> f64 {
        let (n, scratch) = (self.unknowns, &mut self.scratch);
        let height = self.working.point(&mut scratch.v);
        for ((x, v), shift) in scratch.x.iter_mut().zip(&scratch.v).zip(&scratch.shift) {
            *x = v - shift;
        }
        self.cholesky.backward(&mut scratch.x);
        let (own, general) = scratch.values.split_at_mut(n);
        own.copy_from_slice(&scratch.x);
        self.rows.times(&scratch.x, general);
        height
    }

    /// Lists the most violated row of every block, measured by the distance in `v`, if no neighbour is more violated:
    /// in the rows of a trajectory only the peaks are wanted. Far lesser ones than the worst are left for later.
    fn pick(&mut self, numbers: Numbers<'_>) {
        let values = &self.scratch.values;
        let excess = |i: usize| {
            let value = values[i];
            let (above, below) = (value - numbers.hi[i], numbers.lo[i] - value);
            (if above > below { above } else { below }) - FEASIBLE * (1.0 + value.abs())
        };
        let side = |row: usize| values[row] - numbers.hi[row] > numbers.lo[row] - values[row];
        let all = values.len();
        self.picks.clear();
        if self.working.careful {
            self.picks.extend((0..all).find(|i| excess(*i) > 0.0).map(|row| (row, side(row))));
            return;
        }
        let mut worst = 0.0;
        for (start, most) in (0..all).step_by(BLOCK).zip(&mut self.blocks) {
            let part = start..(start + BLOCK).min(all);
            *most = most_excessive(numbers.part(part.clone()), &values[part.clone()], &self.weights[part]);
            worst = most.max(worst);
        }
        if worst <= 0.0 {
            return;
        }
        let key = |i: usize| excess(i) * self.weights[i];
        for (start, most) in (0..all).step_by(BLOCK).zip(&self.blocks) {
            if *most < WORTH_ADDING * worst {
                continue;
            }
            let part = start..(start + BLOCK).min(all);
            let Some(row) = part.max_by(|i, j| key(*i).total_cmp(&key(*j))) else { continue };
            let peak = (row == 0 || key(row - 1) <= *most) && (row + 1 == all || key(row + 1) <= *most);
            if peak || *most >= worst {
                self.picks.push((row, side(row)));
            }
        }
    }

    /// Checks the conditions that the scan of the rows left open, and publishes the point if they hold: stationarity,
    /// with `H` itself and the rows themselves, and that the held rows are at their bounds.
    fn accept(&mut self, numbers: Numbers<'_>) -> bool {
        let n = self.unknowns;
        let scratch = &mut self.scratch;
        scratch.gradient.copy_from_slice(numbers.f);
        for (column, x) in self.hessian.chunks_exact(n.max(1)).zip(&scratch.x) {
            add_multiple(&mut scratch.gradient, *x, column);
        }
        let mut scale = largest(numbers.f).max(largest(&scratch.gradient));
        for entry in self.working.entries() {
            let push = entry.signed();
            let bound = if entry.upper { numbers.hi[entry.row] } else { numbers.lo[entry.row] };
            if (scratch.values[entry.row] - bound).abs() > 10.0 * FEASIBLE * (1.0 + bound.abs()) {
                return false;
            }
            if entry.row < n {
                scratch.gradient[entry.row] += push;
                scale = scale.max(push.abs());
            } else {
                self.rows.row_into(entry.row - n, &mut scratch.row);
                add_multiple(&mut scratch.gradient, push, &scratch.row);
                scale = scale.max(push.abs() * largest(&scratch.row));
            }
        }
        if largest(&scratch.gradient) > STATIONARY * scale {
            return false;
        }
        self.x.copy_from_slice(&scratch.x);
        self.multipliers.fill(0.0);
        for entry in self.working.entries() {
            self.multipliers[entry.row] = entry.signed();
        }
        true
    }
}

impl<'a> Numbers<'a> {
    /// The bound of one side, signed as the row's image is, and the duty of the row there.
    fn side(&self, row: usize, upper: bool) -> (f64, Duty) {
        let (lo, hi) = (self.lo[row], self.hi[row]);
        let pinned = hi.is_finite() && hi - lo <= PINNED * (1.0 + hi.abs());
        (if upper { hi } else { -lo }, Duty::of(None, pinned))
    }

    fn part(&self, range: std::ops::Range<usize>) -> Self {
        Self { f: self.f, lo: &self.lo[range.clone()], hi: &self.hi[range] }
    }
}

/// The largest excess over a bound, tolerance taken off, times the row's weight; 0 if there is none.
fn most_excessive(numbers: Numbers<'_>, values: &[f64], weights: &[f64]) -> f64 {
    let mut most = [0.0; 4];
    let lanes = values.chunks(4).zip(weights.chunks(4)).zip(numbers.lo.chunks(4).zip(numbers.hi.chunks(4)));
    for ((values, weights), (lo, hi)) in lanes {
        for (lane, value) in values.iter().enumerate() {
            let (above, below) = (value - hi[lane], lo[lane] - value);
            let over = if above > below { above } else { below };
            let key = (over - FEASIBLE * (1.0 + value.abs())) * weights[lane];
            most[lane] = if key > most[lane] { key } else { most[lane] };
        }
    }
    most[0].max(most[1]).max(most[2].max(most[3]))
}
