//! Faults of single samples: noise, outliers, lost and late samples, and the status that they bear.

use serde::{Deserialize, Serialize};
use signals::Quality;
use signals::dcs::Reading;

use super::super::{FaultError, expect, positive, probability};
use super::{Distort, Memory};
use crate::random::Random;

/// Noise of its own on top of the transmitter's, normal and white.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoisySensor {
    /// Standard deviation, in units of the tag; above 0.
    pub sd: f64,
}

impl Distort for NoisySensor {
    fn check(&self) -> Result<(), FaultError> {
        positive("noise", ("sd", self.sd))
    }

    fn show(&self, healthy: Reading<f64>, _: &Memory, chance: &mut Random) -> Reading<f64> {
        Reading { value: healthy.value + self.sd * chance.normal(), ..healthy }
    }
}

/// At each scan of the DCS, with this probability, the sample lies `size` off, upwards or downwards alike.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spike {
    /// How far off, in units of the tag; above 0.
    pub size: f64,
    /// Probability per scan, above 0 and at most 1.
    pub probability: f64,
}

impl Distort for Spike {
    fn check(&self) -> Result<(), FaultError> {
        positive("spike", ("size", self.size))?;
        probability("spike", ("probability", self.probability))
    }

    fn show(&self, healthy: Reading<f64>, _: &Memory, chance: &mut Random) -> Reading<f64> {
        let (strikes, up) = (chance.between(0.0, 1.0) < self.probability, chance.between(-1.0, 1.0) >= 0.0);
        let size = if up { self.size } else { -self.size };
        Reading { value: healthy.value + if strikes { size } else { 0.0 }, ..healthy }
    }
}

/// At each scan of the DCS, with this probability, the sample does not arrive: the last one stays, with its status and
/// its old time. With probability 1 nothing ever arrives.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropout {
    /// Probability per scan, above 0 and at most 1.
    pub probability: f64,
}

impl Distort for Dropout {
    fn check(&self) -> Result<(), FaultError> {
        probability("dropout", ("probability", self.probability))
    }

    fn show(&self, healthy: Reading<f64>, memory: &Memory, chance: &mut Random) -> Reading<f64> {
        if chance.between(0.0, 1.0) < self.probability { memory.last } else { healthy }
    }
}

/// A status that is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// [`Quality::Uncertain`].
    Uncertain,
    /// [`Quality::Bad`].
    Bad,
}

/// The value is right and the status says that it is not.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BadQuality {
    /// The status.
    pub status: Status,
}

impl Distort for BadQuality {
    fn check(&self) -> Result<(), FaultError> {
        Ok(())
    }

    fn show(&self, healthy: Reading<f64>, _: &Memory, _: &mut Random) -> Reading<f64> {
        let quality = match self.status {
            Status::Uncertain => Quality::Uncertain,
            Status::Bad => Quality::Bad,
        };
        Reading { quality, ..healthy }
    }
}

/// It takes a sample every `every_s` seconds and shows it, with the time of that sample, until the next.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlowSampling {
    /// Seconds of plant time between samples; above 0. The DCS sees each at the scan at or after it.
    pub every_s: f64,
}

impl Distort for SlowSampling {
    fn check(&self) -> Result<(), FaultError> {
        let good = self.every_s.is_finite() && self.every_s > 0.0;
        expect(good, "slow_sampling", ("every_s", self.every_s), "a finite number of seconds above 0")
    }

    fn show(&self, healthy: Reading<f64>, memory: &Memory, _: &mut Random) -> Reading<f64> {
        let age_s = healthy.source_time.since(memory.last.source_time).as_secs_f64();
        if age_s < self.every_s { memory.last } else { healthy }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{shown, values};
    use signals::{Quality, Stamp};

    #[test]
    fn the_noise_has_the_spread_that_was_asked_for() {
        let got = values("noise sd=0.5", vec![3.0; 10_000]);
        let sd = (got.iter().map(|v| (v - 3.0).powi(2)).sum::<f64>() / 10_000.0).sqrt();
        assert!((sd / 0.5 - 1.0).abs() < 0.03, "{sd}");
    }

    #[test]
    fn spikes_strike_both_ways_and_as_often_as_asked_for() {
        let got = values("spike size=2 probability=0.1", vec![3.0; 10_000]);
        let count = |level: f64| got.iter().filter(|v| (*v - level).abs() < 1e-12).count();
        // Four standard deviations of a binomial: 4 · √(10 000 · 0.05 · 0.95).
        for level in [1.0, 5.0] {
            assert!((count(level) as f64 - 500.0).abs() < 88.0, "{level}: {}", count(level));
        }
        assert_eq!(count(1.0) + count(3.0) + count(5.0), 10_000);
    }

    #[test]
    fn a_lost_sample_leaves_the_last_one_with_its_old_time() {
        let got = shown("dropout probability=0.5", (0..1000).map(f64::from));
        let mut lost = 0;
        for (s, reading) in (1..).zip(&got) {
            let at = reading.source_time.secs_f64();
            assert!((at - (reading.value + 1.0)).abs() < 1e-9 || reading.value >= 7.0 && at < 1e-9, "{reading:?}");
            lost += u32::from(at < f64::from(s));
        }
        assert!((437..563).contains(&lost), "{lost} of 1000 lost");
        let none = shown("dropout probability=1", [1.0, 2.0, 3.0]);
        assert!(none.iter().all(|r| r.source_time == Stamp::ZERO && r.quality.is_good()), "{none:?}");
    }

    #[test]
    fn a_bad_status_leaves_the_value() {
        for (words, quality) in
            [("bad_quality status=bad", Quality::Bad), ("bad_quality status=uncertain", Quality::Uncertain)]
        {
            let got = shown(words, [1.5]);
            assert_eq!((got[0].value.to_bits(), got[0].quality), (1.5_f64.to_bits(), quality));
        }
    }

    #[test]
    fn a_slow_sample_stands_until_the_next_with_its_own_time() {
        let got = shown("slow_sampling every_s=3", (1..=7).map(f64::from));
        let seen: Vec<_> = got.iter().map(|r| (r.value, r.source_time.secs_f64())).collect();
        let (a, b, c) = ((7.0, 0.0), (3.0, 3.0), (6.0, 6.0));
        assert_eq!(seen, [a, a, b, b, b, c, c]);
    }
}
