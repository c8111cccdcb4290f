//! Where the plant shall come to rest: the targets, found anew in each cycle, rank by rank.
//!
//! With the resting inputs `u = u_prev + Δu`, the steady state of a CV is its prediction's end plus its gains,
//! `y_i = y_i(k+n) + Σ_j K_ij Δu_j`. Of an *integrating* CV it is the slope, `P (slope_i + Σ_j K_ij Δu_j)`, which must
//! be 0. Each CV in service has wishes, intervals for `y_i`:
//!
//! | wish | interval | rank |
//! |---|---|---|
//! | limits | `[cv_lo, cv_hi]` | `limit_rank` |
//! | set-point (within the limits) | `[r, r]` | `setpoint_rank` |
//! | balance, of an integrating CV | `[0, 0]`, in place of both | `limit_rank` |
//!
//! From rank 1 on, all wishes of a rank g are met as nearly as what came before allows:
//!
//! ```text
//! min  Σ_{wishes of g} ρ s + ½ s²  +  ε |Δu|²
//! s.t. u_lo ≤ u ≤ u_hi,  Δu = 0 out of service       hard
//!      y in the intervals that the ranks before g have settled
//!      lo - s ≤ y ≤ hi + s,  s ≥ 0                   wishes of g
//! ```
//!
//! and the intervals, widened by the s found, join the settled ones. The linear price makes a wish that can be met
//! exact; a wish with s > 0 is *given up*, and told. What freedom is left goes to the money and the ideal resting
//! values:
//!
//! ```text
//! min  Σ_j c_j u_j + w_j (u_j - ideal_j)² + Σ_i c_i y_i + ε |Δu|²
//! ```
//!
//! With ε small this is the linear programme's solution nearest to the present inputs; repeated each cycle it is the
//! proximal point method, whose limit is exact whatever ε.
//!
//! Everything is counted in spans, and solved in units of the farthest wish.
//!
//! Sources: Qin and Badgwell, *Control Eng. Practice* 11(7) 2003, §4 (targets, ranks); Mangasarian and Meyer, *SIAM J.
//! Control Optim.* 17(6) 1979 (exact regularisation of linear programmes).
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: shapes are those of model and configuration")]

use nalgebra::{DMatrix, DVector};
use signals::SolveStatus;

use super::prediction::Prediction;
use super::{CvTuning, DmcConfig, DmcError, DmcInput, GivenUp, SteadyState, StepResponseModel, Wish};
use crate::qp::active_set::{DenseRows, DualActiveSet};

/// ε: price of a squared step of one span.
const PROXIMITY: f64 = 1e-3;
/// Price of the first span of a missed wish. Where it leaves the solver too few digits, because a gain is nearly nothing
/// beside those of inputs out of service, the next is tried.
const PRICES: [f64; 3] = [10.0, 1.0, 0.1];
/// So much room do settled intervals get, relative to one plus their distance: more than the solver's tolerance.
const ROOM: f64 = 1e-7;
/// A wish missed by more than this, in units of the farthest, is given up.
const MISSED: f64 = 1e-6;

/// The calculator of the targets.
#[derive(Debug)]
pub(super) struct Calculator {
    /// K, CV by CV, in spans.
    gains: DMatrix<f64>,
    ramps: Vec<bool>,
    horizon: f64,
    stages: Vec<Stage>,
    economy: Stage,
    /// Settled interval of each CV, relative to its prediction's end.
    settled: Vec<(f64, f64)>,
    /// The steady state without a step, spans.
    ends: Vec<f64>,
    /// The step found, spans.
    pub(super) step: DVector<f64>,
    /// The farthest wish, spans, at least 1: the programmes are solved in units of it, so that their tolerances are
    /// relative.
    scale: f64,
    /// The price in the present trial.
    price: f64,
}

/// One rank, or, without members, the economy.
#[derive(Debug)]
struct Stage {
    /// CV and kind of each wish.
    members: Vec<(usize, Kind)>,
    solver: DualActiveSet<DenseRows>,
    f: Vec<f64>,
    lo: Vec<f64>,
    hi: Vec<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Limits,
    Setpoint,
    Balance,
}

/// What the calculator looks at in one cycle.
#[derive(Clone, Copy)]
pub(super) struct Situation<'a> {
    pub(super) config: &'a DmcConfig,
    pub(super) input: &'a DmcInput<'a>,
    pub(super) prediction: &'a Prediction,
    /// Inputs in force, NU, as tracked.
    pub(super) u: &'a [f64],
    pub(super) mv_on: &'a [bool],
    pub(super) cv_on: &'a [bool],
}

impl Stage {
    fn new(gains: &DMatrix<f64>, members: Vec<(usize, Kind)>, curvature: &[f64]) -> Result<Self, DmcError> {
        let ((cvs, mvs), slacks) = (gains.shape(), members.len());
        let mut rows = DMatrix::zeros(cvs + 2 * slacks, mvs + slacks);
        rows.view_mut((0, 0), (cvs, mvs)).copy_from(gains);
        for (at, (cv, _)) in members.iter().enumerate() {
            for (row, sign) in [(cvs + 2 * at, -1.0), (cvs + 2 * at + 1, 1.0)] {
                rows.view_mut((row, 0), (1, mvs)).copy_from(&gains.row(*cv));
                rows[(row, mvs + at)] = sign;
            }
        }
        let hessian = DMatrix::from_fn(mvs + slacks, mvs + slacks, |i, j| match (i == j, i < mvs) {
            (true, true) => curvature[i],
            (true, false) => 1.0,
            _ => 0.0,
        });
        let all = mvs + slacks + rows.nrows();
        let hi = vec![f64::INFINITY; all];
        let mut lo = vec![f64::NEG_INFINITY; all];
        lo[mvs..mvs + slacks].fill(0.0);
        let solver = DualActiveSet::new(&hessian, DenseRows::new(&rows))?;
        Ok(Self { members, solver, f: vec![0.0; mvs + slacks], lo, hi })
    }
}

impl Calculator {
    pub(super) fn new(model: &StepResponseModel, config: &DmcConfig) -> Result<Self, DmcError> {
        let (cvs, mvs) = (model.cvs(), model.mvs());
        let horizon = config.horizon as f64;
        let gains = DMatrix::from_fn(cvs, mvs, |i, j| {
            let drift = if model.is_integrating(i) { horizon } else { 1.0 };
            drift * model.final_gain(i, j) * config.mv[j].span / config.cv[i].span
        });
        let mut wishes = Vec::new();
        for (i, cv) in config.cv.iter().enumerate() {
            if model.is_integrating(i) {
                wishes.push((cv.limit_rank, (i, Kind::Balance)));
            } else {
                wishes.extend([(cv.limit_rank, (i, Kind::Limits)), (cv.setpoint_rank, (i, Kind::Setpoint))]);
            }
        }
        let mut ranks: Vec<u8> = wishes.iter().map(|(rank, _)| *rank).collect();
        ranks.sort_unstable();
        ranks.dedup();
        let stages = ranks.iter().map(|rank| {
            let members = wishes.iter().filter(|(of, _)| of == rank).map(|(_, wish)| *wish).collect();
            Stage::new(&gains, members, &vec![2.0 * PROXIMITY; mvs])
        });
        let stages = stages.collect::<Result<_, _>>()?;
        let curvature: Vec<f64> = config.mv.iter().map(|mv| 2.0 * (mv.ideal_weight + PROXIMITY)).collect();
        let economy = Stage::new(&gains, Vec::new(), &curvature)?;
        let step = DVector::zeros(mvs);
        let ramps = (0..cvs).map(|cv| model.is_integrating(cv)).collect();
        Ok(Self {
            gains,
            ramps,
            horizon,
            stages,
            economy,
            settled: vec![(0.0, 0.0); cvs],
            ends: vec![0.0; cvs],
            step,
            scale: 1.0,
            price: PRICES[0],
        })
    }

    /// Finds the targets. Anything but `Solved` leaves the step at 0.
    pub(super) fn solve(&mut self, at: Situation<'_>, late: &dyn Fn() -> bool) -> SteadyState {
        self.step.fill(0.0);
        for (i, tuning) in at.config.cv.iter().enumerate() {
            self.ends[i] = if self.ramps[i] { self.horizon * at.slope(i) } else { at.end(i) } / tuning.span;
        }
        self.scale = 1.0;
        for (cv, kind) in self.stages.iter().flat_map(|stage| &stage.members) {
            let far = |(lo, hi): (f64, f64)| (lo - self.ends[*cv]).max(self.ends[*cv] - hi);
            self.scale = self.scale.max(at.wish(*cv, *kind).map_or(0.0, far));
        }
        let mut found = SteadyState::default();
        for price in PRICES {
            self.price = price;
            found = self.rank_by_rank(at, late);
            if matches!(found.status, SolveStatus::Solved | SolveStatus::TimeLimit) {
                break;
            }
            self.stages.iter_mut().chain([&mut self.economy]).for_each(|stage| stage.solver.reset());
        }
        found
    }

    fn rank_by_rank(&mut self, at: Situation<'_>, late: &dyn Fn() -> bool) -> SteadyState {
        self.settled.fill((f64::NEG_INFINITY, f64::INFINITY));
        let mut found = SteadyState { status: SolveStatus::Solved, ..SteadyState::default() };
        for rank in 0..self.stages.len() {
            found.status = self.settle(rank, at, (late, &mut found));
            if found.status != SolveStatus::Solved {
                return found;
            }
        }
        found.status = self.earn(at, late);
        found
    }

    /// Meets the wishes of one rank.
    fn settle(
        &mut self,
        rank: usize,
        at: Situation<'_>,
        (late, found): (&dyn Fn() -> bool, &mut SteadyState),
    ) -> SolveStatus {
        let Self { stages, settled, ends, gains, scale, price, .. } = self;
        let (scale, stage) = (*scale, &mut stages[rank]);
        let (cvs, mvs) = gains.shape();
        stage.bound_inputs(at, scale);
        stage.bound_settled((settled, ends), scale);
        stage.f[mvs..].fill(*price / scale);
        let first = mvs + stage.members.len() + cvs;
        for (member, (cv, kind)) in stage.members.iter().enumerate() {
            let (lo, hi) = at.wish(*cv, *kind).unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
            stage.hi[first + 2 * member] = (hi - ends[*cv]) / scale;
            stage.lo[first + 2 * member + 1] = (lo - ends[*cv]) / scale;
        }
        let ending = stage.solver.solve(&stage.f, &stage.lo, &stage.hi, late);
        if ending.status != SolveStatus::Solved {
            return ending.status;
        }
        let x = stage.solver.x();
        for (cv, kind) in &stage.members {
            let Some((lo, hi)) = at.wish(*cv, *kind) else { continue };
            let reached = ends[*cv] + scale * (0..mvs).map(|j| gains[(*cv, j)] * x[j]).sum::<f64>();
            let interval = &mut settled[*cv];
            *interval = (interval.0.max(lo.min(reached)), interval.1.min(hi.max(reached)));
            let by = (reached - hi).max(0.0) + (reached - lo).min(0.0);
            if by.abs() > MISSED * scale {
                let wish = match kind {
                    Kind::Balance => Wish::Balance,
                    Kind::Setpoint => Wish::Setpoint,
                    Kind::Limits if by > 0.0 => Wish::UpperLimit,
                    Kind::Limits => Wish::LowerLimit,
                };
                // There is room for every wish of every CV.
                let _ = found.given_up.push(GivenUp { cv: *cv, wish, by: by * at.config.cv[*cv].span });
            }
        }
        SolveStatus::Solved
    }

    /// Spends the freedom that is left.
    fn earn(&mut self, at: Situation<'_>, late: &dyn Fn() -> bool) -> SolveStatus {
        let Self { economy, settled, ends, gains, ramps, scale, .. } = self;
        economy.bound_inputs(at, *scale);
        economy.bound_settled((settled, ends), *scale);
        for (j, mv) in at.config.mv.iter().enumerate() {
            let ideal = at.input.u_ideal[j].unwrap_or(at.u[j]);
            let worth = |(i, cv): (usize, &CvTuning)| if ramps[i] { 0.0 } else { cv.cost * gains[(i, j)] };
            let of_cvs: f64 = at.config.cv.iter().enumerate().map(worth).sum();
            economy.f[j] = (mv.cost + of_cvs + 2.0 * mv.ideal_weight * (at.u[j] - ideal) / mv.span) / *scale;
        }
        let ending = economy.solver.solve(&economy.f, &economy.lo, &economy.hi, late);
        if ending.status == SolveStatus::Solved {
            for (j, step) in self.step.iter_mut().enumerate() {
                *step = economy.solver.x()[j].max(economy.lo[j]).min(economy.hi[j]) * *scale;
            }
        }
        ending.status
    }

    /// Steady state of CV `cv` after the step, in CV units.
    pub(super) fn rest(&self, cv: usize, span: f64) -> f64 {
        (self.ends[cv] + (self.gains.row(cv) * &self.step)[(0, 0)]) * span
    }
}

impl Stage {
    fn bound_inputs(&mut self, at: Situation<'_>, scale: f64) {
        for (j, mv) in at.config.mv.iter().enumerate() {
            let on = at.mv_on[j];
            self.lo[j] = if on { (at.input.u_lo[j] - at.u[j]) / (mv.span * scale) } else { 0.0 };
            self.hi[j] = if on { (at.input.u_hi[j] - at.u[j]) / (mv.span * scale) } else { 0.0 };
        }
    }

    fn bound_settled(&mut self, (settled, ends): (&[(f64, f64)], &[f64]), scale: f64) {
        let first = self.f.len();
        for (i, ((lo, hi), end)) in settled.iter().zip(ends).enumerate() {
            let (lo, hi) = ((lo - end) / scale, (hi - end) / scale);
            self.lo[first + i] = lo - ROOM * (1.0 + lo.abs());
            self.hi[first + i] = hi + ROOM * (1.0 + hi.abs());
        }
    }
}

impl Situation<'_> {
    /// The interval of a wish, spans; `None` when the CV is out of service or wishes nothing of the kind.
    fn wish(&self, cv: usize, kind: Kind) -> Option<(f64, f64)> {
        if !self.cv_on[cv] {
            return None;
        }
        let span = self.config.cv[cv].span;
        let (lo, hi) = (self.input.cv_lo[cv], self.input.cv_hi[cv]);
        match kind {
            Kind::Balance => Some((0.0, 0.0)),
            Kind::Limits => Some((lo / span, hi / span)),
            Kind::Setpoint => self.input.setpoints[cv].map(|r| r.max(lo).min(hi) / span).map(|r| (r, r)),
        }
    }

    fn end(&self, cv: usize) -> f64 {
        self.prediction.of(cv).last().copied().unwrap_or(0.0)
    }

    /// Change per sample at the prediction's end.
    fn slope(&self, cv: usize) -> f64 {
        let free = self.prediction.of(cv);
        free[free.len() - 1] - free[free.len() - 2]
    }
}
