//! Tests of both solvers, and what they share: random programmes from a seed, and other ways to the same answer.

mod dense;
mod step_response;

/// SplitMix64 (Steele, Lea and Flood, 2014): the same programmes on every machine.
pub(super) struct Random(pub(super) u64);

impl Random {
    /// Uniform in [0, 1).
    pub(super) fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in [-1, 1).
    pub(super) fn signed(&mut self) -> f64 {
        2.0 * self.unit() - 1.0
    }

    /// Uniform among `0 … below - 1`.
    pub(super) fn below(&mut self, below: usize) -> usize {
        (self.unit() * below as f64) as usize
    }
}

/// Never late.
pub(super) fn in_time() -> bool {
    false
}
