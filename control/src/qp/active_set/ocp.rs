//! The dual active-set method on an optimal-control problem, in its closed-loop coordinates.
//!
//! `prepare` does the recursion and the images of the (shifted) working set, `solve` what `x0` decides: a simulation
//! without deviations for the values of the rows, the multipliers, a simulation with the deviations that they ask for,
//! and changes only as far as that one violates a bound. If nothing changes a solve costs two simulations and a check,
//! whatever the number of bounds that are held.
//!
//! With a model that does not change from one programme to the next, `prepare` keeps the factors, and, unless the
//! working set was shifted, the images.
//!
//! # Invariants
//! - The cap on held rows and on changes bounds the time of a solve; beyond it the status is `NotRun`, and the
//!   caller has the interior-point method.
//! - The costates come from the recursion `π = ∂L/∂x` with the caller's matrices, so a wrong factor shows as a
//!   gradient.
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: every slice has a length set at construction")]

use signals::SolveStatus;

use super::ascent::{Ascent, climb};
use super::closed_loop::{Bounded, ClosedLoop, closed_loop};
use super::entry::{Duty, Entry};
use super::lanes::padded;
use super::working::{Settled, Working, normalise};
use crate::qp::{Ending, Initial, OcpDims, OcpQp, OcpSolution, OcpSolver};

/// A bound is met within this, times one plus the size of what it bounds.
const FEASIBLE: f64 = 1e-9;
/// The conditions of optimality hold within this, times the size of their terms.
const OPTIMAL: f64 = 1e-8;
/// Sides closer than this, times one plus their size, are equal.
const PINNED: f64 = 1e-12;

/// A row is taken in together with the worst if it is violated by this part of it.
const WORTH_ADDING: f64 = 0.01;
/// Of one input, so are the stages where it is violated by this part of its worst.
const SATURATED: f64 = 0.3;

/// Limits of [`OcpActiveSet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveSetLimits {
    /// Rows held at once.
    pub rows: usize,
    /// Changes of the working set in one solve.
    pub changes: u32,
}

impl Default for ActiveSetLimits {
    fn default() -> Self {
        Self { rows: 256, changes: 1000 }
    }
}

/// See the module.
#[derive(Debug)]
pub struct OcpActiveSet {
    dims: OcpDims,
    limits: ActiveSetLimits,
    feedback: Box<dyn ClosedLoop>,
    working: Working,
    /// What `prepare` found: `Solved` if the programme may be solved.
    prepared: SolveStatus,
    /// Whether the images are those of the working set.
    imaged: bool,
    /// Whether the simulated point is the one without deviations.
    at_rest: bool,
    /// Bounds of all stages; those that are not read are infinite.
    lo: Vec<f64>,
    hi: Vec<f64>,
    /// Values of the bounded quantities, without deviations and with them.
    rest: Vec<f64>,
    values: Vec<f64>,
    /// Violation of every row, the worst of each quantity, and the rows to take in.
    keys: Vec<f64>,
    blocks: Vec<f64>,
    picks: Vec<(usize, bool)>,
    places: Vec<(usize, Bounded)>,
    x0: Vec<f64>,
    /// The deviations.
    w: Vec<f64>,
    pushes: Vec<f64>,
    solution: OcpSolution,
}

impl OcpActiveSet {
    /// A solver for programmes of this shape.
    #[must_use]
    pub fn new(dims: &OcpDims, limits: ActiveSetLimits) -> Self {
        let all = (dims.horizon + 1) * dims.bounds();
        let rows = limits.rows.min(all);
        let feedback = closed_loop(dims, rows);
        let flat = || vec![0.0; all];
        Self {
            working: Working::new(rows, feedback.width()),
            prepared: SolveStatus::NotRun,
            imaged: false,
            at_rest: false,
            lo: flat(),
            hi: flat(),
            rest: flat(),
            values: flat(),
            keys: flat(),
            blocks: vec![0.0; dims.bounds()],
            picks: Vec::with_capacity(all),
            places: Vec::with_capacity(rows),
            x0: vec![0.0; dims.nx],
            w: vec![0.0; padded(feedback.width())],
            pushes: flat(),
            solution: OcpSolution::new(dims),
            dims: dims.clone(),
            limits,
            feedback,
        }
    }

    /// Stage and quantity of a row.
    fn place(dims: &OcpDims, row: usize) -> (usize, Bounded) {
        let (k, i) = (row / dims.bounds(), row % dims.bounds());
        let bounded = if i < dims.nu {
            Bounded::Input(i)
        } else if i < dims.nu + dims.boxed.len() {
            Bounded::State(i - dims.nu)
        } else {
            Bounded::Row(i - dims.nu - dims.boxed.len())
        };
        (k, bounded)
    }

    /// Takes the bounds, and tells whether they are numbers and not crossed.
    fn take_bounds(&mut self, qp: &OcpQp) -> SolveStatus {
        let nc = self.dims.bounds();
        let mut status = SolveStatus::Solved;
        for k in 0..=self.dims.horizon {
            let bounds = qp.bounds(k);
            for i in 0..nc {
                let (lo, hi) = if qp.is_read(k, i) { (bounds.lo[i], bounds.hi[i]) } else { UNBOUNDED };
                if lo.is_nan() || hi.is_nan() {
                    return SolveStatus::Numerical;
                }
                let crossed = lo - hi > FEASIBLE * (1.0 + lo.abs().min(hi.abs()));
                if crossed && self.dims.soft[i].is_none() {
                    status = SolveStatus::Infeasible;
                }
                (self.lo[k * nc + i], self.hi[k * nc + i]) = (lo, hi);
            }
        }
        status
    }

    /// The bound of one side, signed as the row's image is, and the duty of the row there.
    fn side(&self, row: usize, upper: bool) -> (f64, Duty) {
        let (lo, hi) = (self.lo[row], self.hi[row]);
        let pinned = hi.is_finite() && hi - lo <= PINNED * (1.0 + hi.abs());
        (if upper { hi } else { -lo }, Duty::of(self.dims.soft[row % self.dims.bounds()], pinned))
    }

    /// Forms the images of the working set anew.
    fn image_all(&mut self) {
        let Self { working, feedback, dims, places, .. } = self;
        places.clear();
        places.extend(working.entries().iter().map(|entry| Self::place(dims, entry.row)));
        working.renew(|images| feedback.images(places, images));
        self.imaged = true;
    }

    /// Moves the bounds of the working set to this programme's, as they are for the deviations. Rows whose side is gone
    /// leave.
    fn aim(&mut self) {
        let mut at = 0;
        while at < self.working.entries().len() {
            let entry = self.working.entries()[at];
            let (bound, duty) = self.side(entry.row, entry.upper);
            let rest = if entry.upper { self.rest[entry.row] } else { -self.rest[entry.row] };
            if bound.is_finite() && self.working.retarget(at, duty, bound - rest) {
                at += 1;
            } else {
                self.working.remove(at);
            }
        }
    }

    fn publish(&mut self) {
        let (nx, nu) = (self.dims.nx, self.dims.nu);
        let solution = &mut self.solution;
        for k in 0..=self.dims.horizon {
            let (x, u, pi) = self.feedback.stage(k);
            solution.x[k * nx..(k + 1) * nx].copy_from_slice(x);
            solution.pi[k * nx..(k + 1) * nx].copy_from_slice(pi);
            if k < self.dims.horizon {
                solution.u[k * nu..(k + 1) * nu].copy_from_slice(u);
            }
        }
        solution.lambda_lo.fill(0.0);
        solution.lambda_hi.fill(0.0);
        for entry in self.working.entries() {
            let pushed = entry.signed();
            if pushed > 0.0 {
                solution.lambda_hi[entry.row] += pushed;
            } else {
                solution.lambda_lo[entry.row] -= pushed;
            }
        }
    }
}

impl Ascent for OcpActiveSet {
    fn working(&mut self) -> &mut Working {
        &mut self.working
    }

    fn evaluate(&mut self) -> f64 {
        let height = self.working.point(&mut self.w);
        if self.at_rest && self.working.entries().is_empty() {
            self.values.copy_from_slice(&self.rest);
        } else {
            self.feedback.simulate(&self.x0, &self.w);
            self.feedback.values(&mut self.values);
        }
        self.at_rest = false;
        height + 0.0 * self.values.iter().sum::<f64>()
    }

    fn add(&mut self, row: usize, upper: bool) -> Settled {
        let (k, bounded) = Self::place(&self.dims, row);
        let (bound, duty) = self.side(row, upper);
        let image = self.working.candidate();
        self.feedback.images(&[(k, bounded)], image);
        if !upper {
            image.iter_mut().for_each(|m| *m = -*m);
        }
        let length = normalise(image);
        let rest = if upper { self.rest[row] } else { -self.rest[row] };
        self.working.push(Entry::new(row, upper, duty, (bound - rest, length)))
    }

    /// Of each bounded quantity the stage where it is violated most, measured by what the last input before can do
    /// about it; of inputs all stages that are nearly as bad, because an input that saturates does so for a while.
    fn pick(&mut self) {
        let nc = self.dims.bounds();
        self.picks.clear();
        let mut worst = 0.0_f64;
        self.blocks.fill(0.0);
        for row in 0..self.values.len() {
            let value = self.values[row];
            let (above, below) = (value - self.hi[row], self.lo[row] - value);
            let excess = if above > below { above } else { below } - FEASIBLE * (1.0 + value.abs());
            self.keys[row] = 0.0;
            if excess <= 0.0 || self.working.is_open(row, above > below) {
                continue;
            }
            if self.working.careful {
                self.picks.push((row, above > below));
                return;
            }
            let (k, bounded) = Self::place(&self.dims, row);
            let grip = self.feedback.grip(k, bounded);
            self.keys[row] = if grip > 0.0 { excess / grip } else { excess };
            self.blocks[row % nc] = self.keys[row].max(self.blocks[row % nc]);
            worst = self.keys[row].max(worst);
        }
        if worst <= 0.0 {
            return;
        }
        for row in 0..self.keys.len() {
            let (key, i) = (self.keys[row], row % nc);
            let enough = if i < self.dims.nu { SATURATED } else { 1.0 } * self.blocks[i];
            if key > 0.0 && key >= enough && key >= WORTH_ADDING * worst {
                self.picks.push((row, self.values[row] > self.hi[row]));
            }
        }
    }

    fn picks(&self) -> &[(usize, bool)] {
        &self.picks
    }

    /// What the simulation and the scan left open: stationarity and the dynamics with the caller's matrices, and that
    /// held rows are at their bounds.
    fn accept(&mut self) -> bool {
        self.pushes.fill(0.0);
        for entry in self.working.entries() {
            let (bound, _) = self.side(entry.row, entry.upper);
            let value = if entry.upper { self.values[entry.row] } else { -self.values[entry.row] };
            if (value - entry.slack() - bound).abs() > 10.0 * FEASIBLE * (1.0 + bound.abs()) {
                return false;
            }
            self.pushes[entry.row] += entry.signed();
        }
        let mismatch = self.feedback.costates(&self.pushes);
        if !(mismatch.gradient <= OPTIMAL && mismatch.dynamics <= OPTIMAL) {
            return false;
        }
        self.publish();
        true
    }

    fn renew(&mut self) {
        self.image_all();
    }
}

/// The sides of a bound that is not read.
const UNBOUNDED: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

impl OcpSolver for OcpActiveSet {
    fn prepare(&mut self, qp: &OcpQp) {
        let changed = self.feedback.pack(qp) || self.prepared == SolveStatus::NotRun;
        self.prepared = SolveStatus::NotRun;
        if changed {
            self.imaged = false;
            if !self.feedback.factor() {
                return;
            }
        }
        self.feedback.offset();
        if !self.imaged {
            self.image_all();
        }
        self.prepared = self.take_bounds(qp);
    }

    fn solve(&mut self, qp: &OcpQp, late: &dyn Fn() -> bool) -> Ending {
        let known = self.dims.initial == Initial::Free || qp.x0.iter().all(|x| x.is_finite());
        let status = match self.prepared {
            SolveStatus::Infeasible => SolveStatus::Infeasible,
            SolveStatus::Solved if known => {
                self.working.begin(self.limits.changes);
                self.x0.copy_from_slice(&qp.x0);
                self.w.fill(0.0);
                self.feedback.simulate(&self.x0, &self.w);
                self.feedback.values(&mut self.rest);
                self.at_rest = true;
                self.aim();
                climb(self, late)
            }
            _ => SolveStatus::Numerical,
        };
        let iterations = if self.prepared == SolveStatus::Solved && known { self.working.changes } else { 0 };
        if status == SolveStatus::Numerical {
            self.reset();
        }
        // At its limit the ascent has no point of this programme to show: the solution is still the last good one.
        let status = if status == SolveStatus::IterationLimit { SolveStatus::NotRun } else { status };
        Ending { status, iterations }
    }

    fn solution(&self) -> &OcpSolution {
        &self.solution
    }

    fn shift(&mut self, periods: usize) {
        let nc = self.dims.bounds();
        let dims = &self.dims;
        self.working.move_rows(|row| {
            let row = row.checked_sub(periods * nc)?;
            let (k, i) = (row / nc, row % nc);
            (i < dims.nu || k > 0 || dims.initial == Initial::Free).then_some(row)
        });
        self.imaged &= periods == 0;
    }

    fn reset(&mut self) {
        self.working.clear();
    }
}
