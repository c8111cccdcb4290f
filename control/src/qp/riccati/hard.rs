//! The hard sides of the bounds, with distance t and multiplier λ, and the pinned ones, with multiplier y.
//!
//! ```text
//! side:  t = ±(v - b) ≥ 0, λ ≥ 0, λ t → 0       gap = t - ±(v - b)
//!        dt = ±dv - gap,  dλ = -(ρ + λ dt)/t,    ρ = λ t + dt_aff dλ_aff - σμ
//! pin:   v = b, as v + dv - b = dy/W             W large: the proximal method of multipliers, one step an iteration
//! ```
//!
//! Eliminating dt and dλ leaves λ/t on the Hessian's diagonal and ±(ρ - λ gap)/t in its gradient; a pin leaves W and
//! W (v - b). Sides stand in vectors of [`LANES`]; those that fill up the last one have no sign and stay at rest.
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: every slice has a length set at construction")]
#![allow(clippy::needless_range_loop, reason = "index loops over lanes and columns are what the equations say")]

use super::kernel::{LANES, Lane};
use super::{grow, largest};

/// The weight of a pin. Each step leaves a share of about (curvature / weight) of its error.
const PIN_WEIGHT: f64 = 1e8;

/// Where a side belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// In a flat vector of the layout.
    pub(super) at: u32,
    /// In the solution's multipliers.
    pub(super) slot: u32,
    /// 1 for a lower side, -1 for an upper one.
    pub(super) sign: f64,
    /// The bound.
    pub(super) bound: f64,
}

/// Reductions over sides after a direction was computed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reach {
    /// The largest relative decrease of a t or λ: a step of its inverse arrives at a bound.
    pub(super) steepest: f64,
    /// Σ dt dλ.
    pub(super) product: f64,
}

impl Reach {
    pub(super) fn and(self, other: Self) -> Self {
        Self { steepest: self.steepest.max(other.steepest), product: self.product + other.product }
    }
}

/// What a direction aims at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Aim {
    /// At complementarity zero.
    Affine,
    /// At this complementarity, with this share of the second-order term of the last direction.
    Centre(f64, f64),
}

#[derive(Debug, Default)]
pub(super) struct Hard {
    count: usize,
    at: Vec<[u32; LANES]>,
    slot: Vec<u32>,
    /// How far it is to the other side, or how large the bound is.
    range: Vec<f64>,
    sign: Vec<Lane>,
    bound: Vec<Lane>,
    t: Vec<Lane>,
    lambda: Vec<Lane>,
    gap: Vec<Lane>,
    inverse: Vec<Lane>,
    rho: Vec<Lane>,
    dt: Vec<Lane>,
    dlambda: Vec<Lane>,
}

impl Hard {
    pub(super) fn with_capacity(sides: usize) -> Self {
        let lanes = sides.div_ceil(LANES);
        let lane = || Vec::with_capacity(lanes);
        Self {
            count: 0,
            at: Vec::with_capacity(lanes),
            slot: Vec::with_capacity(lanes * LANES),
            range: Vec::with_capacity(lanes * LANES),
            sign: lane(),
            bound: lane(),
            t: lane(),
            lambda: lane(),
            gap: lane(),
            inverse: lane(),
            rho: lane(),
            dt: lane(),
            dlambda: lane(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.count = 0;
        self.at.clear();
        self.slot.clear();
        self.range.clear();
        for lanes in [&mut self.sign, &mut self.bound, &mut self.t, &mut self.lambda, &mut self.gap] {
            lanes.clear();
        }
        for lanes in [&mut self.inverse, &mut self.rho, &mut self.dt, &mut self.dlambda] {
            lanes.clear();
        }
    }

    pub(super) fn push(&mut self, place: Place, range: f64) {
        self.range.push(range);
        let (lane, e) = (self.count / LANES, self.count % LANES);
        if e == 0 {
            self.at.push([place.at; LANES]);
            self.t.push([1.0; LANES]);
            for lanes in [&mut self.sign, &mut self.bound, &mut self.lambda, &mut self.gap] {
                lanes.push([0.0; LANES]);
            }
            for lanes in [&mut self.inverse, &mut self.rho, &mut self.dt, &mut self.dlambda] {
                lanes.push([0.0; LANES]);
            }
        }
        self.at[lane][e] = place.at;
        self.sign[lane][e] = place.sign;
        self.bound[lane][e] = place.bound;
        self.slot.push(place.slot);
        self.count += 1;
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Distances of at least `floor` ranges, multipliers for complementarity `mu`; warm ones not below a tenth of it.
    pub(super) fn start(&mut self, z: &[f64], (floor, mu): (f64, f64), warm: Option<(&[f64], &[f64])>) {
        for side in 0..self.count {
            let (lane, e) = (side / LANES, side % LANES);
            let sign = self.sign[lane][e];
            let distance = sign * (z[self.at[lane][e] as usize] - self.bound[lane][e]);
            let t = distance.max(floor * self.range[side]);
            self.t[lane][e] = t;
            self.lambda[lane][e] = warm.map_or(mu / t, |(lo, hi)| {
                let lambda = if sign > 0.0 { lo } else { hi }[self.slot[side] as usize];
                lambda.max(0.1 * mu / t)
            });
        }
    }

    /// Sets every multiplier to `lambda`, and the distances to one or to those at `z`; the least of these, in rooms.
    pub(super) fn relax(&mut self, lambda: f64, z: Option<&[f64]>) -> f64 {
        let mut least = f64::INFINITY;
        for side in 0..self.count {
            let (lane, e) = (side / LANES, side % LANES);
            self.lambda[lane][e] = lambda;
            let distance = |z: &[f64]| self.sign[lane][e] * (z[self.at[lane][e] as usize] - self.bound[lane][e]);
            let t = z.map_or(1.0, distance);
            self.t[lane][e] = t;
            least = least.min(t / self.range[side]);
        }
        least
    }

    /// Computes the gaps; the largest, NaN as infinite.
    pub(super) fn refresh(&mut self, z: &[f64]) -> f64 {
        let mut largest = 0.0;
        for lane in 0..self.at.len() {
            for e in 0..LANES {
                let v = z[self.at[lane][e] as usize];
                let sign = self.sign[lane][e];
                let gap = if sign == 0.0 { 0.0 } else { self.t[lane][e] - sign * (v - self.bound[lane][e]) };
                self.gap[lane][e] = gap;
                grow(&mut largest, gap);
            }
        }
        largest
    }

    /// Adds `∓λ` to the gradient.
    pub(super) fn push_into(&self, gradient: &mut [f64]) {
        for ((at, sign), lambda) in self.at.iter().zip(&self.sign).zip(&self.lambda) {
            for e in 0..LANES {
                gradient[at[e] as usize] -= sign[e] * lambda[e];
            }
        }
    }

    /// Σ λ t and the largest λ t.
    pub(super) fn complementarity(&self) -> (f64, f64) {
        let (mut sum, mut largest) = ([0.0; LANES], [0.0; LANES]);
        for (t, lambda) in self.t.iter().zip(&self.lambda) {
            for e in 0..LANES {
                let product = t[e] * lambda[e];
                sum[e] += product;
                largest[e] = if product > largest[e] { product } else { largest[e] };
            }
        }
        (sum.iter().sum(), largest.iter().fold(0.0, |a: f64, b| a.max(*b)))
    }

    /// Adds `λ/t` to the weights.
    pub(super) fn weigh(&mut self, weights: &mut [f64]) {
        for lane in 0..self.at.len() {
            let (t, lambda) = (&self.t[lane], &self.lambda[lane]);
            let inverse: Lane = std::array::from_fn(|e| 1.0 / t[e]);
            self.inverse[lane] = inverse;
            for e in 0..LANES {
                weights[self.at[lane][e] as usize] += lambda[e] * inverse[e];
            }
        }
    }

    /// Adds `±(ρ - λ gap)/t` to the gradient.
    pub(super) fn aim(&mut self, aim: Aim, share: f64, gradient: &mut [f64]) {
        for lane in 0..self.at.len() {
            let (t, lambda, sign) = (&self.t[lane], &self.lambda[lane], &self.sign[lane]);
            let (gap, inverse) = (&self.gap[lane], &self.inverse[lane]);
            let rho: Lane = match aim {
                Aim::Affine => std::array::from_fn(|e| lambda[e] * t[e]),
                Aim::Centre(target, second) => {
                    let (dt, dlambda) = (&self.dt[lane], &self.dlambda[lane]);
                    std::array::from_fn(|e| {
                        (second * dt[e]).mul_add(dlambda[e], lambda[e] * t[e]) - target * sign[e] * sign[e]
                    })
                }
            };
            self.rho[lane] = rho;
            let pull: Lane =
                std::array::from_fn(|e| sign[e] * inverse[e] * (share * lambda[e]).mul_add(-gap[e], rho[e]));
            for e in 0..LANES {
                gradient[self.at[lane][e] as usize] += pull[e];
            }
        }
    }

    /// dt and dλ for the direction `dz`.
    pub(super) fn direct(&mut self, dz: &[f64], share: f64) -> Reach {
        let (mut steepest, mut product) = ([0.0; LANES], [0.0; LANES]);
        for lane in 0..self.at.len() {
            let at = &self.at[lane];
            let dv: Lane = std::array::from_fn(|e| dz[at[e] as usize]);
            let (lambda, inverse, gap) = (&self.lambda[lane], &self.inverse[lane], &self.gap[lane]);
            let (sign, rho) = (&self.sign[lane], &self.rho[lane]);
            let dt: Lane = std::array::from_fn(|e| sign[e].mul_add(dv[e], -share * gap[e]));
            let dlambda: Lane = std::array::from_fn(|e| -inverse[e] * lambda[e].mul_add(dt[e], rho[e]));
            for e in 0..LANES {
                let (a, b) = (-dt[e] * inverse[e], -dlambda[e] / lambda[e]);
                steepest[e] = if a > steepest[e] { a } else { steepest[e] };
                steepest[e] = if b > steepest[e] { b } else { steepest[e] };
                product[e] = dt[e].mul_add(dlambda[e], product[e]);
            }
            self.dt[lane] = dt;
            self.dlambda[lane] = dlambda;
        }
        Reach { steepest: steepest.iter().fold(0.0, |a: f64, b| a.max(*b)), product: product.iter().sum() }
    }

    /// Goes `alpha` along the direction.
    pub(super) fn advance(&mut self, alpha: f64) {
        for lane in 0..self.at.len() {
            for e in 0..LANES {
                self.t[lane][e] = self.dt[lane][e].mul_add(alpha, self.t[lane][e]);
                self.lambda[lane][e] = self.dlambda[lane][e].mul_add(alpha, self.lambda[lane][e]);
            }
        }
    }

    /// Each side's place, bound and multiplier.
    pub(super) fn multipliers(&self) -> impl Iterator<Item = (Place, f64)> {
        (0..self.count).map(|side| {
            let (lane, e) = (side / LANES, side % LANES);
            let (at, slot) = (self.at[lane][e], self.slot[side]);
            let place = Place { at, slot, sign: self.sign[lane][e], bound: self.bound[lane][e] };
            (place, self.lambda[lane][e])
        })
    }
}

/// Bounds whose two sides are equal.
#[derive(Debug)]
pub(super) struct Pins {
    places: Vec<Place>,
    weight: Vec<f64>,
    y: Vec<f64>,
    error: Vec<f64>,
    dv: Vec<f64>,
}

impl Pins {
    pub(super) fn with_capacity(pins: usize) -> Self {
        let empty = || Vec::with_capacity(pins);
        Self { places: Vec::with_capacity(pins), weight: empty(), y: empty(), error: empty(), dv: empty() }
    }

    pub(super) fn clear(&mut self) {
        self.places.clear();
        [&mut self.weight, &mut self.y, &mut self.error, &mut self.dv].into_iter().for_each(Vec::clear);
    }

    /// Adds a pin on a variable that is `norm` long in terms of states or inputs: one of them, or a row of G.
    pub(super) fn push(&mut self, place: Place, norm: f64) {
        self.places.push(place);
        self.weight.push(PIN_WEIGHT / (norm * norm).max(1e-12));
        [&mut self.y, &mut self.error, &mut self.dv].into_iter().for_each(|v| v.push(0.0));
    }

    pub(super) fn start(&mut self, warm: Option<(&[f64], &[f64])>) {
        for (y, place) in self.y.iter_mut().zip(&self.places) {
            *y = warm.map_or(0.0, |(lo, hi)| hi[place.slot as usize] - lo[place.slot as usize]);
        }
    }

    /// Computes the errors; the largest, NaN as infinite.
    pub(super) fn refresh(&mut self, z: &[f64]) -> f64 {
        for (error, place) in self.error.iter_mut().zip(&self.places) {
            *error = z[place.at as usize] - place.bound;
        }
        self.largest_error()
    }

    pub(super) fn largest_error(&self) -> f64 {
        largest(&self.error)
    }

    /// Adds `y` to the gradient.
    pub(super) fn push_into(&self, gradient: &mut [f64]) {
        self.places.iter().zip(&self.y).for_each(|(place, y)| gradient[place.at as usize] += y);
    }

    pub(super) fn weigh(&self, weights: &mut [f64]) {
        self.places.iter().zip(&self.weight).for_each(|(place, weight)| weights[place.at as usize] += weight);
    }

    pub(super) fn aim(&self, gradient: &mut [f64]) {
        let pins = self.places.iter().zip(&self.weight).zip(&self.error);
        pins.for_each(|((place, weight), error)| gradient[place.at as usize] += weight * error);
    }

    pub(super) fn direct(&mut self, dz: &[f64]) {
        self.dv.iter_mut().zip(&self.places).for_each(|(dv, place)| *dv = dz[place.at as usize]);
    }

    pub(super) fn advance(&mut self, alpha: f64) {
        for (((y, error), dv), weight) in self.y.iter_mut().zip(&mut self.error).zip(&self.dv).zip(&self.weight) {
            *y += alpha * weight * (*dv + *error);
            *error += alpha * dv;
        }
    }

    /// Each pin's place and multiplier.
    pub(super) fn multipliers(&self) -> impl Iterator<Item = (Place, f64)> {
        self.places.iter().copied().zip(self.y.iter().copied())
    }
}
