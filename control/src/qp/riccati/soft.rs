//! The soft sides of the bounds, each with a slack s that is eliminated as a scalar.
//!
//! ```text
//! t = ±(v - b) + s ≥ 0 with λ,   s ≥ 0 with ν,   l + c s - λ - ν = 0      (prices l, c)
//! dt = ±dv + ds - gap,  dλ = -(ρ + λ dt)/t,  dν = -(ρ_s + ν ds)/s
//! D = c + λ/t + ν/s,    e = (l + c s - λ - ν) + (ρ - λ gap)/t + ρ_s/s,    ds = -(e ± (λ/t) dv)/D
//! ```
//!
//! leaves `(λ/t)(c + ν/s)/D` on the Hessian's diagonal and `±((ρ - λ gap)/t - (λ/t) e/D)` in its gradient.
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: every slice has a length set at construction")]

use super::grow;
use super::hard::{Aim, Place, Reach};
use crate::qp::Soft;

/// One soft side.
#[derive(Clone, Copy, Debug)]
struct Side {
    place: Place,
    price: Soft,
    range: f64,
    t: f64,
    lambda: f64,
    s: f64,
    nu: f64,
    gap: f64,
    dual: f64,
    weight: f64,
    d: f64,
    rho: f64,
    rho_s: f64,
    e: f64,
    dt: f64,
    dlambda: f64,
    ds: f64,
    dnu: f64,
}

#[derive(Debug)]
pub(super) struct SoftSides {
    sides: Vec<Side>,
}

impl SoftSides {
    pub(super) fn with_capacity(sides: usize) -> Self {
        Self { sides: Vec::with_capacity(sides) }
    }

    pub(super) fn clear(&mut self) {
        self.sides.clear();
    }

    pub(super) fn push(&mut self, place: Place, price: Soft, range: f64) {
        self.sides.push(Side {
            range,
            place,
            price,
            t: 1.0,
            lambda: 0.0,
            s: 1.0,
            nu: 0.0,
            gap: 0.0,
            dual: 0.0,
            weight: 0.0,
            d: 1.0,
            rho: 0.0,
            rho_s: 0.0,
            e: 0.0,
            dt: 0.0,
            dlambda: 0.0,
            ds: 0.0,
            dnu: 0.0,
        });
    }

    /// Pairs of complementary variables.
    pub(super) fn len(&self) -> usize {
        2 * self.sides.len()
    }

    /// Slacks that make the distances at least `floor` ranges, multipliers for complementarity `mu`; warm ones from λ.
    pub(super) fn start(&mut self, z: &[f64], (floor, mu): (f64, f64), warm: Option<(&[f64], &[f64])>) {
        for side in &mut self.sides {
            let Place { at, slot, sign, bound } = side.place;
            let distance = sign * (z[at as usize] - bound);
            let Soft { linear, quadratic } = side.price;
            let floor = floor * side.range;
            let warm = warm.map(|(lo, hi)| if sign > 0.0 { lo } else { hi }[slot as usize]);
            let slack = warm.map_or(0.0, |lambda| (lambda - linear) / quadratic);
            side.s = floor.max(floor - distance).max(slack);
            side.t = distance + side.s;
            side.lambda = warm.map_or(mu / side.t, |lambda| lambda.max(0.1 * mu / side.t));
            side.nu = (linear + quadratic * side.s - side.lambda).max(0.1 * mu / side.s);
        }
    }

    /// As for the hard sides; no slack, and the slack's multiplier for that.
    pub(super) fn relax(&mut self, lambda: f64, z: Option<&[f64]>) -> f64 {
        let mut least = f64::INFINITY;
        for side in &mut self.sides {
            side.t = z.map_or(1.0, |z| side.place.sign * (z[side.place.at as usize] - side.place.bound));
            (side.lambda, side.s, side.nu) = (lambda, if z.is_some() { 0.0 } else { 1.0 }, side.price.linear - lambda);
            least = least.min(side.t / side.range);
        }
        least
    }

    /// Computes the gaps and the slacks' stationarity; the largest of each, NaN as infinite.
    pub(super) fn refresh(&mut self, z: &[f64]) -> (f64, f64) {
        let (mut gap, mut dual) = (0.0, 0.0);
        for side in &mut self.sides {
            let Place { at, sign, bound, .. } = side.place;
            side.gap = side.t - sign * (z[at as usize] - bound) - side.s;
            side.dual = side.price.quadratic.mul_add(side.s, side.price.linear) - side.lambda - side.nu;
            grow(&mut gap, side.gap);
            grow(&mut dual, side.dual);
        }
        (gap, dual)
    }

    /// Adds `∓λ` to the gradient.
    pub(super) fn push_into(&self, gradient: &mut [f64]) {
        for side in &self.sides {
            gradient[side.place.at as usize] -= side.place.sign * side.lambda;
        }
    }

    /// Σ of the products and the largest.
    pub(super) fn complementarity(&self) -> (f64, f64) {
        self.sides.iter().fold((0.0, 0.0), |(sum, largest): (f64, f64), side| {
            let (a, b) = (side.t * side.lambda, side.s * side.nu);
            (sum + a + b, largest.max(a).max(b))
        })
    }

    /// The price of the slacks.
    pub(super) fn cost(&self) -> f64 {
        self.sides.iter().map(|side| side.s * (side.price.linear + 0.5 * side.price.quadratic * side.s)).sum()
    }

    /// How far a slack is at most from the one that its λ implies, `max(0, (λ - l) / c)`; and λ times that.
    pub(super) fn slack_error(&self) -> (f64, f64) {
        self.sides.iter().fold((0.0, 0.0), |(slack, priced): (f64, f64), side| {
            let error = side.s.min(side.nu / side.price.quadratic);
            (slack.max(error), priced.max(side.lambda * error))
        })
    }

    pub(super) fn weigh(&mut self, weights: &mut [f64]) {
        for side in &mut self.sides {
            side.weight = side.lambda / side.t;
            let rest = side.price.quadratic + side.nu / side.s;
            side.d = side.weight + rest;
            weights[side.place.at as usize] += side.weight * (rest / side.d);
        }
    }

    pub(super) fn aim(&mut self, aim: Aim, share: f64, gradient: &mut [f64]) {
        for side in &mut self.sides {
            (side.rho, side.rho_s) = (side.lambda * side.t, side.nu * side.s);
            if let Aim::Centre(target, second) = aim {
                side.rho += second * side.dt * side.dlambda - target;
                side.rho_s += second * side.ds * side.dnu - target;
            }
            let pull = (side.rho - share * side.lambda * side.gap) / side.t;
            side.e = share * side.dual + pull + side.rho_s / side.s;
            gradient[side.place.at as usize] += side.place.sign * (pull - side.weight * side.e / side.d);
        }
    }

    pub(super) fn direct(&mut self, dz: &[f64], share: f64) -> Reach {
        let mut reach = Reach::default();
        for side in &mut self.sides {
            let dv = side.place.sign * dz[side.place.at as usize];
            side.ds = -(side.e + side.weight * dv) / side.d;
            side.dt = dv + side.ds - share * side.gap;
            side.dlambda = -(side.rho + side.lambda * side.dt) / side.t;
            side.dnu = -(side.rho_s + side.nu * side.ds) / side.s;
            let ratios = [side.dt / side.t, side.dlambda / side.lambda, side.ds / side.s, side.dnu / side.nu];
            let steepest = ratios.iter().fold(0.0, |a: f64, r| a.max(-r));
            let product = side.dt * side.dlambda + side.ds * side.dnu;
            reach = reach.and(Reach { steepest, product });
        }
        reach
    }

    pub(super) fn advance(&mut self, alpha: f64) {
        for side in &mut self.sides {
            side.t += alpha * side.dt;
            side.lambda += alpha * side.dlambda;
            side.s += alpha * side.ds;
            side.nu += alpha * side.dnu;
        }
    }

    /// Each side's place, bound and multiplier.
    pub(super) fn multipliers(&self) -> impl Iterator<Item = (Place, f64)> {
        self.sides.iter().map(|side| (side.place, side.lambda))
    }
}
