//! The box that each block's input can reach: the limits, widened as far as a return at full rate needs.
//!
//! When the last input lies outside its limits, the limits and the rate contradict each other for a while. Block j
//! (from 0) is then allowed what a return at full rate has reached by its time:
//!
//! ```text
//! hi_j = max(u_hi, u_prev - (j + 1) du_max),   lo_j = min(u_lo, u_prev + (j + 1) du_max)
//! ```
//!
//! So the hard constraints of the quadratic programme are never empty, and inside the limits the box is the limits.
//!
//! # Invariants
//! - [`Reach::project`] leaves inputs inside their boxes with `|Δu| ≤ du_max` to the last bit, whatever the solver
//!   gave; a projected input inside the limits never leaves them.
#![allow(clippy::indexing_slicing, reason = "blocks and inputs are counted once, at construction")]

/// Lower and upper bounds of the inputs, block by block, in model units.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    inputs: usize,
    lo: Vec<f64>,
    hi: Vec<f64>,
}

/// Last inputs and what bounds the next ones; each NU long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InputLimits<'a> {
    pub(crate) u_prev: &'a [f64],
    pub(crate) lo: &'a [f64],
    pub(crate) hi: &'a [f64],
    pub(crate) du_max: &'a [f64],
}

impl Reach {
    pub(crate) fn new(blocks: usize, inputs: usize) -> Self {
        Self { inputs, lo: vec![0.0; blocks * inputs], hi: vec![0.0; blocks * inputs] }
    }

    /// The boxes under `limits`.
    pub(crate) fn update(&mut self, limits: &InputLimits<'_>) {
        for (at, (lo, hi)) in self.lo.iter_mut().zip(&mut self.hi).enumerate() {
            let (block, i) = (at / self.inputs, at % self.inputs);
            let travel = (block + 1) as f64 * limits.du_max[i];
            *lo = limits.lo[i].min(limits.u_prev[i] + travel);
            *hi = limits.hi[i].max(limits.u_prev[i] - travel);
        }
    }

    /// Lower and upper bound of input `i` in `block`.
    pub(crate) fn bounds(&self, block: usize, i: usize) -> (f64, f64) {
        let at = block * self.inputs + i;
        (self.lo[at], self.hi[at])
    }

    /// All bounds, one after the other.
    pub(super) fn numbers(&self) -> impl Iterator<Item = f64> {
        self.lo.iter().chain(&self.hi).copied()
    }

    /// Moves `u` (block by block) into the boxes and the rate, from the first block to the last.
    pub(crate) fn project(&self, u: &mut [f64], limits: &InputLimits<'_>) {
        for at in 0..u.len() {
            let i = at % self.inputs;
            let before = if at < self.inputs { limits.u_prev[i] } else { u[at - self.inputs] };
            let boxed = u[at].max(self.lo[at]).min(self.hi[at]);
            u[at] = within_rate(boxed, before, limits.du_max[i]);
        }
    }
}

/// The number nearest to `wanted` with `|number - before| ≤ du_max`, the subtraction rounded as the reader's will be.
fn within_rate(wanted: f64, before: f64, du_max: f64) -> f64 {
    let mut next = wanted.max(before - du_max).min(before + du_max);
    while next - before > du_max {
        next = next.next_down();
    }
    while before - next > du_max {
        next = next.next_up();
    }
    next
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "the expected values are exact")]
mod tests {
    use super::*;

    #[test]
    fn inside_its_limits_an_input_reaches_them_all() {
        let mut reach = Reach::new(2, 1);
        reach.update(&InputLimits { u_prev: &[5.0], lo: &[0.0], hi: &[10.0], du_max: &[1.0] });
        assert_eq!([reach.bounds(0, 0), reach.bounds(1, 0)], [(0.0, 10.0); 2]);
    }

    #[test]
    fn outside_its_limits_an_input_returns_at_full_rate() {
        let mut reach = Reach::new(3, 1);
        let limits = InputLimits { u_prev: &[12.5], lo: &[0.0], hi: &[10.0], du_max: &[1.0] };
        reach.update(&limits);
        assert_eq!([0, 1, 2].map(|block| reach.bounds(block, 0).1), [11.5, 10.5, 10.0]);
        let mut u = [20.0; 3];
        reach.project(&mut u, &limits);
        assert_eq!(u, [11.5, 10.5, 10.0]);
    }

    #[test]
    fn the_rate_holds_to_the_last_bit() {
        for (before, du_max) in [(0.1, 0.2), (-4500.0, 0.1), (300.016_447, 1e-9), (1e15, 0.3)] {
            for wanted in [f64::MAX, f64::MIN, before] {
                assert!((within_rate(wanted, before, du_max) - before).abs() <= du_max, "{before} {du_max}");
            }
        }
    }
}
