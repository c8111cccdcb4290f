//! All bounds of a programme as lists of sides: hard, soft, pinned. Absent sides are in no list.
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: every slice has a length set at construction")]

use super::hard::{Aim, Hard, Pins, Place, Reach};
use super::layout::Layout;
use super::soft::SoftSides;
use crate::qp::{OcpDims, OcpQp, OcpSolution};

/// Bounds beyond this are none.
const ABSENT: f64 = 1e20;
/// A hard pair of sides closer than this share of its size is one pin.
const PINNED: f64 = 1e-8;

/// Largest residuals of the bounds' own equations.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BoundResidual {
    pub(super) primal: f64,
    pub(super) dual: f64,
}

#[derive(Debug)]
pub(super) struct BoundLists {
    layout: Layout,
    boxed: Vec<usize>,
    hard: Hard,
    soft: SoftSides,
    pins: Pins,
    /// A hard lower side is above its upper one, or a side is NaN.
    crossed: bool,
    spoilt: bool,
}

impl BoundLists {
    pub(super) fn new(dims: &OcpDims, layout: Layout) -> Self {
        let most = dims.bounds() * (dims.horizon + 1);
        let soft = dims.soft.iter().filter(|soft| soft.is_some()).count() * (dims.horizon + 1);
        Self {
            layout,
            boxed: dims.boxed.clone(),
            hard: Hard::with_capacity(2 * (most - soft)),
            soft: SoftSides::with_capacity(2 * soft),
            pins: Pins::with_capacity(most - soft),
            crossed: false,
            spoilt: false,
        }
    }

    /// Makes the lists anew from the bounds of `qp`.
    pub(super) fn fill(&mut self, qp: &OcpQp) {
        self.hard.clear();
        self.soft.clear();
        self.pins.clear();
        (self.crossed, self.spoilt) = (false, false);
        let dims = qp.dims();
        let nc = dims.bounds();
        for k in 0..=dims.horizon {
            let bounds = qp.bounds(k);
            for i in (0..nc).filter(|i| qp.is_read(k, *i)) {
                let at = (k * self.layout.stride() + self.offset(dims.nu, i)) as u32;
                let slot = (k * nc + i) as u32;
                let (lo, hi) = (bounds.lo[i], bounds.hi[i]);
                self.spoilt |= lo.is_nan() || hi.is_nan();
                let sides = [(1.0, lo), (-1.0, hi)].map(|(sign, bound)| Place { at, slot, sign, bound });
                let present = sides.iter().filter(|side| side.sign * side.bound > -ABSENT);
                let range = range(lo, hi);
                match dims.soft[i] {
                    Some(price) => present.for_each(|side| self.soft.push(*side, price, range)),
                    None => {
                        // The smaller one: an absent side must not widen it.
                        let size = PINNED * lo.abs().min(hi.abs()).clamp(1.0, ABSENT);
                        self.crossed |= lo > hi + size;
                        if hi - lo <= size {
                            let place = Place { at, slot, sign: 0.0, bound: 0.5 * (lo + hi) };
                            self.pins.push(place, norm(qp, k, i));
                        } else {
                            present.for_each(|side| self.hard.push(*side, range));
                        }
                    }
                }
            }
        }
    }

    /// Where bound `i` of a stage lies in that stage of a flat vector.
    fn offset(&self, nu: usize, i: usize) -> usize {
        let Layout { nx, nu: padded, .. } = self.layout;
        if i < nu {
            nx + i
        } else {
            self.boxed.get(i - nu).copied().unwrap_or_else(|| nx + padded + i - nu - self.boxed.len())
        }
    }

    /// Whether no point can satisfy the hard bounds, by themselves.
    pub(super) fn are_crossed(&self) -> bool {
        self.crossed
    }

    /// Whether a bound is not a number.
    pub(super) fn are_spoilt(&self) -> bool {
        self.spoilt
    }

    /// Complementary pairs.
    pub(super) fn pairs(&self) -> usize {
        self.hard.len() + self.soft.len()
    }

    /// Starting values of distances and multipliers, pins included.
    pub(super) fn start(&mut self, z: &[f64], floor_and_mu: (f64, f64), warm: Option<&OcpSolution>) {
        self.start_sides(z, floor_and_mu, warm);
        self.pins.start(warm.map(|warm| (&warm.lambda_lo[..], &warm.lambda_hi[..])));
    }

    /// As [`Self::start`], of the sides alone.
    pub(super) fn start_sides(&mut self, z: &[f64], floor_and_mu: (f64, f64), warm: Option<&OcpSolution>) {
        let warm = warm.map(|warm| (&warm.lambda_lo[..], &warm.lambda_hi[..]));
        self.hard.start(z, floor_and_mu, warm);
        self.soft.start(z, floor_and_mu, warm);
    }

    /// Takes the bounds out of sight: multipliers `lambda`, distances of one, or those at `z`. Returns the least
    /// distance in rooms.
    pub(super) fn relax(&mut self, lambda: f64, z: Option<&[f64]>) -> f64 {
        self.hard.relax(lambda, z).min(self.soft.relax(lambda, z))
    }

    /// Goes all the way along the direction, with the pins alone.
    pub(super) fn settle_pins(&mut self) {
        self.pins.advance(1.0);
    }

    pub(super) fn refresh(&mut self, z: &[f64]) -> BoundResidual {
        let (hard, (gap, dual)) = (self.hard.refresh(z), self.soft.refresh(z));
        // Not `max`, which would lose a NaN; each of them is infinite instead of NaN, or a number.
        BoundResidual { primal: hard.max(gap).max(self.pins.refresh(z)), dual }
    }

    /// The pins' part of the primal residual, which does not shrink with the linear share.
    pub(super) fn pin_error(&self) -> f64 {
        self.pins.largest_error()
    }

    pub(super) fn push_into(&self, gradient: &mut [f64]) {
        self.hard.push_into(gradient);
        self.soft.push_into(gradient);
        self.pins.push_into(gradient);
    }

    pub(super) fn complementarity(&self) -> (f64, f64) {
        let ((a, b), (c, d)) = (self.hard.complementarity(), self.soft.complementarity());
        (a + c, b.max(d))
    }

    pub(super) fn slack_cost(&self) -> f64 {
        self.soft.cost()
    }

    /// See [`SoftSides::slack_error`].
    pub(super) fn slack_error(&self) -> (f64, f64) {
        self.soft.slack_error()
    }

    pub(super) fn weigh(&mut self, weights: &mut [f64]) {
        weights.fill(0.0);
        self.hard.weigh(weights);
        self.soft.weigh(weights);
        self.pins.weigh(weights);
    }

    pub(super) fn aim(&mut self, aim: Aim, share: f64, gradient: &mut [f64]) {
        self.hard.aim(aim, share, gradient);
        self.soft.aim(aim, share, gradient);
        self.pins.aim(gradient);
    }

    pub(super) fn direct(&mut self, dz: &[f64], share: f64) -> Reach {
        self.pins.direct(dz);
        self.hard.direct(dz, share).and(self.soft.direct(dz, share))
    }

    pub(super) fn advance(&mut self, alpha: f64) {
        self.hard.advance(alpha);
        self.soft.advance(alpha);
        self.pins.advance(alpha);
    }

    /// Writes the multipliers.
    pub(super) fn export(&self, lambda_lo: &mut [f64], lambda_hi: &mut [f64]) {
        lambda_lo.fill(0.0);
        lambda_hi.fill(0.0);
        for (place, lambda) in self.hard.multipliers().chain(self.soft.multipliers()) {
            let side = if place.sign > 0.0 { &mut *lambda_lo } else { &mut *lambda_hi };
            side[place.slot as usize] = lambda;
        }
        for (place, y) in self.pins.multipliers() {
            lambda_hi[place.slot as usize] = y.max(0.0);
            lambda_lo[place.slot as usize] = (-y).max(0.0);
        }
    }

    /// As [`Self::push_into`], the hard ones alone.
    pub(super) fn push_hard_into(&self, gradient: &mut [f64]) {
        self.hard.push_into(gradient);
        self.pins.push_into(gradient);
    }

    /// The largest multiplier of a side.
    pub(super) fn largest_multiplier(&self) -> f64 {
        self.hard.multipliers().chain(self.soft.multipliers()).fold(0.0, |a: f64, (_, lambda)| a.max(lambda))
    }

    /// For a certificate: the hard multipliers times their bounds, `Σ ±λ b - Σ y b`.
    pub(super) fn certify(&self) -> f64 {
        let sides: f64 = self.hard.multipliers().map(|(place, lambda)| place.sign * lambda * place.bound).sum();
        let pins: f64 = self.pins.multipliers().map(|(place, y)| y * place.bound).sum();
        sides - pins
    }
}

/// The room between two sides; where one is absent, a share of the size of the other.
fn range(lo: f64, hi: f64) -> f64 {
    let room = (hi - lo).abs();
    if room < ABSENT { room } else { 0.1 * lo.abs().min(hi.abs()).clamp(1.0, ABSENT) }
}

/// The length of the row by which bound `i` of stage `k` sees states and inputs.
fn norm(qp: &OcpQp, k: usize, i: usize) -> f64 {
    let dims = qp.dims();
    match i.checked_sub(dims.nu + dims.boxed.len()) {
        None => 1.0,
        Some(row) => qp.g(k)[row..].iter().step_by(dims.rows).map(|g| g * g).sum::<f64>().sqrt(),
    }
}
