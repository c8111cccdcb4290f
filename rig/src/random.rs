//! The one source of chance: a seeded generator whose sequence is the same on every machine.
//!
//! A run has one seed. Whoever needs chance of its own takes a [`Random::stream`] of that seed, so that one more draw in
//! one place shifts nothing in another. The streams in use: the seed itself is the instruments' noise
//! ([`crate::Rig::new`]); the simulation of `runtime` numbers its own from 0; stream 100 is that of sensor faults.
//!
//! Generator: SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014); a stream
//! begins where one output of the seed's generator says, which is that paper's split.
//! Normal variates: the polar method (Marsaglia, Bray, SIAM Review 6, 1964).

use std::time::Duration;

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
    spare: Option<f64>,
}

impl Random {
    /// The stream that depends on the seed alone.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { state: seed, spare: None }
    }

    /// Stream `number`, counted from 0, of a seed: seeded with output `number` of the seed's own generator.
    #[must_use]
    pub fn stream(seed: u64, number: u32) -> Self {
        let mut parent = Self::seeded(seed);
        for _ in 0..number {
            parent.bits();
        }
        Self::seeded(parent.bits())
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1), from the 53 high bits.
    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in [`low`, `high`).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform among `0..n`; 0 for an empty range. Biased by less than n / 2⁶⁴.
    pub fn below(&mut self, n: usize) -> usize {
        let wide = u128::from(self.bits()) * n as u128;
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    /// How long until the next event of a Poisson process: exponential with this mean, at least a nanosecond.
    pub fn wait(&mut self, mean: Duration) -> Duration {
        mean.mul_f64(-(1.0 - self.unit()).ln()).max(Duration::from_nanos(1))
    }

    /// The next number of mean 0 and variance 1.
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (a, b) = (2.0 * self.unit() - 1.0, 2.0 * self.unit() - 1.0);
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
        let mut random = Random::seeded(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| random.bits()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn mean_and_variance_are_those_of_the_standard_normal() {
        let mut random = Random::seeded(7);
        let n = 100_000;
        let draws: Vec<f64> = (0..n).map(|_| random.normal()).collect();
        let mean = draws.iter().sum::<f64>() / f64::from(n);
        let variance = draws.iter().map(|v| v * v).sum::<f64>() / f64::from(n);
        // Four standard errors: 4/√n and 4·√(2/n).
        assert!(mean.abs() < 0.0127, "{mean}");
        assert!((variance - 1.0).abs() < 0.018, "{variance}");
    }

    #[test]
    fn streams_of_a_seed_differ_and_repeat() {
        let first = |number| Random::stream(7, number).bits();
        let streams = [first(0), first(1), first(2), Random::seeded(7).bits()];
        for (i, a) in streams.iter().enumerate() {
            assert!(streams.iter().skip(i + 1).all(|b| a != b), "{streams:?}");
        }
        assert_eq!(first(2), streams[2]);
    }

    #[test]
    fn waits_have_their_mean_and_choices_are_even() {
        let mut random = Random::seeded(3);
        let n = 40_000;
        let mean = (0..n).map(|_| random.wait(Duration::from_secs(10)).as_secs_f64()).sum::<f64>() / f64::from(n);
        // Four standard errors of an exponential: 4 · 10 / √n.
        assert!((mean - 10.0).abs() < 0.2, "{mean}");
        let mut counts = [0_u32; 5];
        (0..n).for_each(|_| counts[random.below(5)] += 1);
        // Four standard deviations of a binomial: 4 · √(n · 0.2 · 0.8).
        assert!(counts.iter().all(|c| (f64::from(*c) - 8000.0).abs() < 320.0), "{counts:?}");
    }
}
