//! The programme as one sparse problem, `min ½ y'Py + g'y` subject to `A y + s = b` with s zero or not negative.
//!
//! Unknowns by stage: `x_k`, `u_k`, the slacks of the soft sides. Rows: the initial state, the dynamics, the pinned
//! bounds, then the sides of the others (lower ones turned over), then `s ≥ 0`. Absent sides have no row. Matrices are
//! walked through column by column in the order of storage, once to learn the pattern and again to renew the numbers.
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: every slice has a length set at construction")]

use clarabel::algebra::CscMatrix;

use crate::qp::{Initial, OcpQp};

/// Two hard sides this close are an equation.
const PINNED: f64 = 1e-12;

/// Where the rows and slacks of one bound are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) pin: Option<usize>,
    pub(super) lo: Option<usize>,
    pub(super) hi: Option<usize>,
    slack_lo: Option<usize>,
    slack_hi: Option<usize>,
}

/// The sparse problem and where its parts are.
#[derive(Debug)]
pub(super) struct Sparse {
    pub(super) p: CscMatrix<f64>,
    pub(super) g: Vec<f64>,
    pub(super) a: CscMatrix<f64>,
    pub(super) b: Vec<f64>,
    /// Rows with `s = 0`; they come first.
    pub(super) equalities: usize,
    places: Vec<Places>,
    stages: Vec<usize>,
    slack_rows: usize,
}

impl Sparse {
    /// The form of `qp`: which sides and pins there are decides the pattern.
    pub(super) fn new(qp: &OcpQp) -> Self {
        let (places, stages, unknowns) = place(qp);
        let count = |part: fn(&Places) -> bool| places.iter().filter(|p| part(p)).count();
        let equalities = first_dynamics(qp) + qp.dims().horizon * qp.dims().nx + count(|p| p.pin.is_some());
        let slack_rows = equalities + count(|p| p.lo.is_some()) + count(|p| p.hi.is_some());
        let slacks = count(|p| p.slack_lo.is_some()) + count(|p| p.slack_hi.is_some());
        let rows = slack_rows + slacks;
        let empty = || CscMatrix::zeros((0, 0));
        let (g, b) = (vec![0.0; unknowns], vec![0.0; rows]);
        let mut this = Self { p: empty(), g, a: empty(), b, equalities, places, stages, slack_rows };
        this.p = pattern(unknowns, unknowns, |visit| this.walk_p(qp, visit));
        this.a = pattern(rows, unknowns, |visit| this.walk_a(qp, visit));
        this
    }

    /// Whether `qp` has this form.
    pub(super) fn fits(&self, qp: &OcpQp) -> bool {
        self.places == place(qp).0
    }

    /// Takes the numbers of `qp`, which has to fit.
    pub(super) fn fill(&mut self, qp: &OcpQp) {
        let (mut p, mut a) = (std::mem::take(&mut self.p.nzval), std::mem::take(&mut self.a.nzval));
        p.clear();
        a.clear();
        self.walk_p(qp, &mut |_, _, value| p.push(value));
        self.walk_a(qp, &mut |_, _, value| a.push(value));
        (self.p.nzval, self.a.nzval) = (p, a);
        let (nx, nu, nc, n) = (qp.dims().nx, qp.dims().nu, qp.dims().bounds(), qp.dims().horizon);
        for k in 0..=n {
            let at = self.stages[k];
            self.g[at..at + nx].copy_from_slice(qp.q(k));
            if k < n {
                self.g[at + nx..at + nx + nu].copy_from_slice(qp.r(k));
                let row = first_dynamics(qp) + k * nx;
                self.b[row..row + nx].iter_mut().zip(qp.c(k)).for_each(|(b, c)| *b = -c);
            }
            let bounds = qp.bounds(k);
            for i in 0..nc {
                let Places { pin, lo, hi, slack_lo, slack_hi } = self.places[k * nc + i];
                for (row, value) in [(pin, bounds.hi[i]), (lo, -bounds.lo[i]), (hi, bounds.hi[i])] {
                    row.into_iter().for_each(|row| self.b[row] = value);
                }
                let price = qp.dims().soft[i].map_or(0.0, |soft| soft.linear);
                [slack_lo, slack_hi].into_iter().flatten().for_each(|slack| self.g[slack] = price);
            }
        }
    }

    /// Sets the initial state.
    pub(super) fn start_from(&mut self, qp: &OcpQp) {
        let first = first_dynamics(qp);
        self.b[..first].copy_from_slice(&qp.x0[..first]);
    }

    /// The first unknown of stage `k`: x, then u, then slacks.
    pub(super) fn stage(&self, k: usize) -> usize {
        self.stages[k]
    }

    pub(super) fn places(&self) -> &[Places] {
        &self.places
    }

    /// Visits the upper triangle of P.
    fn walk_p(&self, qp: &OcpQp, visit: &mut dyn FnMut(usize, usize, f64)) {
        let (nx, nu, n) = (qp.dims().nx, qp.dims().nu, qp.dims().horizon);
        for k in 0..=n {
            let at = self.stages[k];
            for j in 0..nx {
                (0..=j).for_each(|i| visit(at + i, at + j, qp.q_mat(k)[i + j * nx]));
            }
            for j in 0..if k < n { nu } else { 0 } {
                (0..nx).for_each(|i| visit(at + i, at + nx + j, qp.s_mat(k)[j + i * nu]));
                (0..=j).for_each(|i| visit(at + nx + i, at + nx + j, qp.r_mat(k)[i + j * nu]));
            }
            for (i, soft) in qp.dims().soft.iter().enumerate() {
                let Places { slack_lo, slack_hi, .. } = self.places[k * qp.dims().bounds() + i];
                let price = soft.map_or(0.0, |soft| soft.quadratic);
                [slack_lo, slack_hi].into_iter().flatten().for_each(|slack| visit(slack, slack, price));
            }
        }
    }

    /// Visits A.
    fn walk_a(&self, qp: &OcpQp, visit: &mut dyn FnMut(usize, usize, f64)) {
        let (nx, nu, nc, n) = (qp.dims().nx, qp.dims().nu, qp.dims().bounds(), qp.dims().horizon);
        let first = first_dynamics(qp);
        let mut slack_row = self.slack_rows;
        for k in 0..=n {
            let (at, row) = (self.stages[k], first + k * nx);
            for j in 0..nx {
                if k > 0 {
                    visit(row - nx + j, at + j, -1.0);
                } else if first > 0 {
                    visit(j, at + j, 1.0);
                }
                if k < n {
                    (0..nx).for_each(|i| visit(row + i, at + j, qp.a(k)[i + j * nx]));
                }
                self.walk_bounds(k * nc, at + j, visit, &mut |i| bound_of_state(qp, (k, i), j));
            }
            for j in 0..if k < n { nu } else { 0 } {
                (0..nx).for_each(|i| visit(row + i, at + nx + j, qp.b(k)[i + j * nx]));
                self.walk_bounds(k * nc, at + nx + j, visit, &mut |i| (i == j).then_some(1.0));
            }
            for i in 0..nc {
                let Places { lo, hi, slack_lo, slack_hi, .. } = self.places[k * nc + i];
                for (side, slack) in [(lo, slack_lo), (hi, slack_hi)] {
                    let (Some(side), Some(slack)) = (side, slack) else { continue };
                    visit(side, slack, -1.0);
                    visit(slack_row, slack, -1.0);
                    slack_row += 1;
                }
            }
        }
    }

    /// Visits one unknown's column in the rows of a stage's bounds; `factor` says by what it enters which.
    fn walk_bounds(
        &self,
        from: usize,
        column: usize,
        visit: &mut dyn FnMut(usize, usize, f64),
        factor: &mut dyn FnMut(usize) -> Option<f64>,
    ) {
        let stage = &self.places[from..from + self.places.len() / self.stages.len()];
        for (i, place) in stage.iter().enumerate() {
            if let (Some(row), Some(factor)) = (place.pin, factor(i)) {
                visit(row, column, factor);
            }
        }
        for (i, place) in stage.iter().enumerate() {
            let Some(factor) = factor(i) else { continue };
            place.lo.into_iter().for_each(|row| visit(row, column, -factor));
            place.hi.into_iter().for_each(|row| visit(row, column, factor));
        }
    }
}

/// By what state `j` enters bound `i` of stage `k`; none when the pattern has nothing there.
fn bound_of_state(qp: &OcpQp, (k, i): (usize, usize), j: usize) -> Option<f64> {
    let dims = qp.dims();
    let i = i.checked_sub(dims.nu)?;
    match dims.boxed.get(i) {
        Some(state) => (*state == j).then_some(1.0),
        None => Some(qp.g(k)[i - dims.boxed.len() + j * dims.rows]),
    }
}

/// Rows before the dynamics: the initial state's.
fn first_dynamics(qp: &OcpQp) -> usize {
    if qp.dims().initial == Initial::Fixed { qp.dims().nx } else { 0 }
}

/// Places of all bounds, first unknown of each stage, number of unknowns.
fn place(qp: &OcpQp) -> (Vec<Places>, Vec<usize>, usize) {
    let (nx, nu, nc, n) = (qp.dims().nx, qp.dims().nu, qp.dims().bounds(), qp.dims().horizon);
    let mut places = vec![Places::default(); (n + 1) * nc];
    let (mut stages, mut unknown) = (Vec::with_capacity(n + 1), 0);
    let next = |counter: &mut usize| {
        *counter += 1;
        *counter - 1
    };
    let mut row = first_dynamics(qp) + n * nx;
    let pinned = |k: usize, i: usize| {
        let bounds = qp.bounds(k);
        qp.is_read(k, i)
            && qp.dims().soft[i].is_none()
            && bounds.lo[i].is_finite()
            && (bounds.hi[i] - bounds.lo[i]).abs() <= PINNED
    };
    for (at, place) in places.iter_mut().enumerate() {
        place.pin = pinned(at / nc, at % nc).then(|| next(&mut row));
    }
    for k in 0..=n {
        stages.push(unknown);
        unknown += nx + if k < n { nu } else { 0 };
        for i in (0..nc).filter(|i| qp.is_read(k, *i) && !pinned(k, *i)) {
            let (place, bounds) = (&mut places[k * nc + i], qp.bounds(k));
            place.lo = (bounds.lo[i] > f64::NEG_INFINITY).then(|| next(&mut row));
            place.hi = (bounds.hi[i] < f64::INFINITY).then(|| next(&mut row));
            if qp.dims().soft[i].is_some() {
                place.slack_lo = place.lo.map(|_| next(&mut unknown));
                place.slack_hi = place.hi.map(|_| next(&mut unknown));
            }
        }
    }
    (places, stages, unknown)
}

/// The pattern of a walk, with its numbers.
fn pattern(m: usize, n: usize, walk: impl Fn(&mut dyn FnMut(usize, usize, f64))) -> CscMatrix<f64> {
    let (mut colptr, mut rowval, mut nzval) = (vec![0; n + 1], Vec::new(), Vec::new());
    walk(&mut |row, column, value| {
        colptr[column + 1] += 1;
        rowval.push(row);
        nzval.push(value);
    });
    for column in 0..n {
        colptr[column + 1] += colptr[column];
    }
    CscMatrix { m, n, colptr, rowval, nzval }
}
