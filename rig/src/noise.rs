//! Measurement noise: a seeded generator whose sequence is the same on every machine.
//!
//! Generator: SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
//! Normal variates: the polar method (Marsaglia, Bray, SIAM Review 6, 1964).

/// A stream of independent standard normal numbers.
#[derive(Clone, Debug)]
pub(crate) struct Noise {
    state: u64,
    spare: Option<f64>,
}

impl Noise {
    /// A stream that depends on the seed alone.
    #[must_use]
    pub(crate) fn seeded(seed: u64) -> Self {
        Self { state: seed, spare: None }
    }

    /// The next 64 random bits.
    fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in (-1, 1), from the 53 high bits.
    fn symmetric(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (2.0 / (1_u64 << 53) as f64) - 1.0
    }

    /// The next number of mean 0 and variance 1.
    pub(crate) fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (a, b) = (self.symmetric(), self.symmetric());
            let s = a * a + b * b;
            if s > 0.0 && s < 1.0 {
                let scale = (-2.0 * s.ln() / s).sqrt();
                self.spare = Some(b * scale);
                return a * scale;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_gives_the_published_sequence() {
        // Reference outputs of SplitMix64 for seed 1234567 (Vigna's splitmix64.c, as listed by Rosetta Code).
        let mut noise = Noise::seeded(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| noise.bits()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn mean_and_variance_are_those_of_the_standard_normal() {
        let mut noise = Noise::seeded(7);
        let n = 100_000;
        let draws: Vec<f64> = (0..n).map(|_| noise.normal()).collect();
        let mean = draws.iter().sum::<f64>() / f64::from(n);
        let variance = draws.iter().map(|v| v * v).sum::<f64>() / f64::from(n);
        // Four standard errors: 4/√n and 4·√(2/n).
        assert!(mean.abs() < 0.0127, "{mean}");
        assert!((variance - 1.0).abs() < 0.018, "{variance}");
    }
}
