//! Sensor validation: the first stage of the loop. A [`Sample`] goes in, a [`Screened`] comes out.
//!
//! One [`Screen`] judges one tag. It says which fault it finds and keeps the number beside it; whether the loop can
//! live with the fault is for the stages behind it (the estimator bridges a gap, the interlock holds or trips).
//!
//! # Invariants
//! - [`Screened`] is made only here; [`Screened::usable`] is finite, fresh, of accepted quality, in range and
//!   without a finding, or `None`.
//! - A finding never latches: a genuine step is believed after `max(3, (spike_window + 1) / 2)` samples.
//! - A sample is judged once. Seen again it keeps its verdict and grows older.
//! - No allocation, no clock: time is the argument `now`.
//!
//! # Sources
//! F. R. Hampel, The influence curve and its role in robust estimation, J. Am. Stat. Assoc. 69 (1974) 383;
//! L. Davies and U. Gather, The identification of multiple outliers, J. Am. Stat. Assoc. 88 (1993) 782;
//! R. K. Pearson, Outliers in process modeling and identification, IEEE Trans. Control Syst. Technol. 10 (2002) 55.

mod checks;
mod redundant;

use std::time::Duration;

use signals::{Quality, Sample, Stamp, TagId, Values};

use self::checks::{Frozen, Hampel, Point, Range, Rate};

/// The longest window of the spike check.
pub const MAX_SPIKE_WINDOW: usize = 15;

/// The least number of samples in agreement after which a jump is believed.
const MIN_PERSISTENCE: u32 = 3;

/// What one tag is held to. Values are in the unit of the model's variable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScreenConfig {
    /// Lower end of the believable range; `-inf` for none.
    pub lo: f64,
    /// Upper end of the believable range; `inf` for none.
    pub hi: f64,
    /// How far inside the range a value must come back before it is believed again.
    pub hysteresis: f64,
    /// The fastest believable change, per second of plant time; `inf` for none.
    pub rate_max_per_s: f64,
    /// The greatest age of a sample, and the most by which its stamp may lie in the future.
    pub max_age: Duration,
    /// Cycles without change after an input moved that make a value frozen; 0 switches the check off.
    pub frozen_samples: u32,
    /// A change within this is none: the resolution of the transmitter. It is also no spike.
    pub frozen_band: f64,
    /// Samples in the spike check's window: odd, 3 to [`MAX_SPIKE_WINDOW`]; 0 switches the check off.
    pub spike_window: usize,
    /// Robust standard deviations from the window's median that make a spike; usually 3 to 5, at least 1.
    pub spike_sigmas: f64,
    /// Whether a value of uncertain quality may be used. By default of the DCS interface it may not.
    pub accept_uncertain: bool,
}

/// Why a [`ScreenConfig`] was refused.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum ScreenError {
    /// The range is empty or not a number.
    #[error("range [{lo}, {hi}] is empty")]
    EmptyRange {
        /// Its lower end.
        lo: f64,
        /// Its upper end.
        hi: f64,
    },
    /// The hysteresis is negative, or leaves nothing of the range.
    #[error("hysteresis {hysteresis} does not fit into the range [{lo}, {hi}]")]
    Hysteresis {
        /// The hysteresis.
        hysteresis: f64,
        /// Lower end of the range.
        lo: f64,
        /// Upper end of the range.
        hi: f64,
    },
    /// The rate is not positive.
    #[error("greatest rate of change {rate_max_per_s} per s is not positive")]
    Rate {
        /// The rate, per second.
        rate_max_per_s: f64,
    },
    /// No sample could ever be fresh.
    #[error("greatest age is 0 s")]
    MaxAge,
    /// The band is negative or not finite.
    #[error("frozen band {band} is negative or not finite")]
    FrozenBand {
        /// The band.
        band: f64,
    },
    /// The window has no median in the middle, is too short to have outliers, or exceeds the capacity.
    #[error("spike window of {window} samples is neither 0 nor odd and within 3 to {MAX_SPIKE_WINDOW}")]
    SpikeWindow {
        /// The window.
        window: usize,
    },
    /// Too narrow a threshold: ordinary noise would be spikes and a step might never be believed.
    #[error("spike threshold of {sigmas} standard deviations is below 1")]
    SpikeSigmas {
        /// The threshold.
        sigmas: f64,
    },
}

/// What is wrong with a sample. Of several faults the first in this order is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// Nothing has arrived.
    NoData,
    /// Its source calls it bad, or uncertain where that is not accepted.
    BadQuality,
    /// Too old, or stamped too far in the future.
    Stale,
    /// NaN or infinite.
    NotFinite,
    /// Outside the believable range, or not yet far enough back inside it.
    OutOfRange,
    /// Faster than the process can change.
    RateOfChange,
    /// Still, although an input moved.
    Frozen,
    /// An outlier against its neighbours in time.
    Spike,
}

/// A judged sample. Only [`Screen::step`] and, for a tag that did not report, [`crate::frame::Frame::assemble`]
/// make one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Screened {
    tag: TagId,
    cycle: u64,
    value: f64,
    fault: Option<Fault>,
    source_time: Stamp,
    age: Duration,
}

impl Screened {
    /// A tag without data in `cycle`.
    pub(crate) fn missing(tag: TagId, cycle: u64) -> Self {
        Self { tag, cycle, value: f64::NAN, fault: Some(Fault::NoData), source_time: Stamp::NEVER, age: Duration::MAX }
    }

    /// The tag.
    #[must_use]
    pub fn tag(&self) -> TagId {
        self.tag
    }

    /// The control cycle in which it was judged.
    #[must_use]
    pub fn cycle(&self) -> u64 {
        self.cycle
    }

    /// The number as it came, for display and record; NaN when nothing came. Control reads [`Self::usable`].
    #[must_use]
    pub fn raw(&self) -> f64 {
        self.value
    }

    /// The value, if nothing speaks against it; always finite.
    #[must_use]
    pub fn usable(&self) -> Option<f64> {
        self.fault.is_none().then_some(self.value)
    }

    /// What is wrong with it; `None` when it may be used.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// When its source took it; [`Stamp::NEVER`] when nothing came.
    #[must_use]
    pub fn source_time(&self) -> Stamp {
        self.source_time
    }

    /// The greater of the time since its source took it and the time since it was first seen here, so that a
    /// source whose clock is ahead cannot stay young.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.age
    }
}

/// The judge of one tag.
#[derive(Clone, Debug)]
pub struct Screen {
    tag: TagId,
    max_age: Duration,
    accept_uncertain: bool,
    range: Range,
    rate: Rate,
    frozen: Frozen,
    spike: Hampel,
    /// The newest sample, and when it was first seen.
    seen: Option<(Sample, Stamp)>,
    /// The sample whose value was judged last, and the verdict.
    verdict: Option<(Sample, Option<Fault>)>,
    /// The cycle in which stillness was judged last, and the verdict.
    still: Option<(u64, bool)>,
}

impl Screen {
    /// A judge of `tag` without memory.
    ///
    /// # Errors
    /// [`ScreenError`] for the first value of `config` that cannot be kept to.
    pub fn new(tag: TagId, config: ScreenConfig) -> Result<Self, ScreenError> {
        let c = checked(config)?;
        let half_window = u32::try_from(c.spike_window.div_ceil(2)).unwrap_or(u32::MAX);
        Ok(Self {
            tag,
            max_age: c.max_age,
            accept_uncertain: c.accept_uncertain,
            range: Range { lo: c.lo, hi: c.hi, hysteresis: c.hysteresis, outside: false },
            rate: Rate {
                max_per_s: c.rate_max_per_s,
                persistence: half_window.max(MIN_PERSISTENCE),
                usable: None,
                previous: None,
                agreeing: 0,
            },
            frozen: Frozen { cycles: c.frozen_samples, band: c.frozen_band, anchor: None, since_input: None },
            spike: Hampel {
                window: c.spike_window,
                sigmas: c.spike_sigmas,
                floor: c.frozen_band,
                values: Values::new(),
            },
            seen: None,
            verdict: None,
            still: None,
        })
    }

    /// Judges the newest sample of the tag, once per control cycle.
    ///
    /// | argument | meaning |
    /// |---|---|
    /// | `sample` | the newest sample, whether new since the last cycle or not; one of another tag counts as none |
    /// | `inputs_moved` | whether a set-point of the plant moved since the last cycle (for the frozen check) |
    /// | `cycle` | the control cycle |
    /// | `now` | plant time |
    ///
    /// Samples that are bad, stale or not finite leave the memory of the value checks alone; values out of range
    /// stay out of the spike window and the rate, so that a broken wire does not count as the process.
    pub fn step(&mut self, sample: Option<&Sample>, inputs_moved: bool, cycle: u64, now: Stamp) -> Screened {
        let Some(sample) = sample.filter(|sample| sample.tag == self.tag) else {
            return Screened::missing(self.tag, cycle);
        };
        let seen_at = match self.seen {
            Some((seen, at)) if same(&seen, sample) => at,
            _ => now,
        };
        self.seen = Some((*sample, seen_at));
        let age = now.since(sample.source_time).max(now.since(seen_at));
        let fault = self.disbelief(sample, age, now).or_else(|| self.judge(sample, inputs_moved, cycle, seen_at));
        Screened { tag: self.tag, cycle, value: sample.value, fault, source_time: sample.source_time, age }
    }

    /// What speaks against the sample before its value is looked at.
    fn disbelief(&self, sample: &Sample, age: Duration, now: Stamp) -> Option<Fault> {
        let believed = match sample.quality {
            Quality::Good => true,
            Quality::Uncertain => self.accept_uncertain,
            Quality::Bad => false,
        };
        let from_the_future = sample.source_time.since(now) > self.max_age;
        if !believed {
            Some(Fault::BadQuality)
        } else if age > self.max_age || from_the_future {
            Some(Fault::Stale)
        } else if !sample.value.is_finite() {
            Some(Fault::NotFinite)
        } else {
            None
        }
    }

    /// What its value, finite and fresh, looks like beside those before it.
    fn judge(&mut self, sample: &Sample, inputs_moved: bool, cycle: u64, seen_at: Stamp) -> Option<Fault> {
        let frozen = match self.still {
            Some((judged, verdict)) if judged == cycle => verdict,
            _ => self.frozen.finds(sample.value, inputs_moved),
        };
        self.still = Some((cycle, frozen));
        let frozen = frozen.then_some(Fault::Frozen);

        let known = self.verdict.filter(|(judged, _)| same(judged, sample));
        let value_fault = known.map_or_else(|| self.judge_value(sample, seen_at), |(_, fault)| fault);
        self.verdict = Some((*sample, value_fault));
        // The order of `Fault` is the order of precedence; `None` would sort first and is left out.
        value_fault.into_iter().chain(frozen).min()
    }

    fn judge_value(&mut self, sample: &Sample, seen_at: Stamp) -> Option<Fault> {
        if self.range.finds(sample.value) {
            return Some(Fault::OutOfRange);
        }
        let point = Point { value: sample.value, source_time: sample.source_time, seen_at };
        let too_fast = self.rate.finds(point);
        let spike = self.spike.finds(sample.value);
        match (too_fast, spike) {
            (true, _) => Some(Fault::RateOfChange),
            (false, true) => Some(Fault::Spike),
            (false, false) => {
                self.rate.usable = Some(point);
                None
            }
        }
    }
}

/// Whether two are one sample. The number alone will not do: an adapter that restarts counts from zero again.
fn same(a: &Sample, b: &Sample) -> bool {
    a.sequence == b.sequence && a.source_time == b.source_time && a.value.to_bits() == b.value.to_bits()
}

fn checked(config: ScreenConfig) -> Result<ScreenConfig, ScreenError> {
    let ScreenConfig { lo, hi, hysteresis, rate_max_per_s, frozen_band: band, spike_window: window, .. } = config;
    if lo.is_nan() || hi.is_nan() || lo >= hi {
        return Err(ScreenError::EmptyRange { lo, hi });
    }
    if !(hysteresis >= 0.0 && lo + hysteresis < hi - hysteresis) {
        return Err(ScreenError::Hysteresis { hysteresis, lo, hi });
    }
    if rate_max_per_s.is_nan() || rate_max_per_s <= 0.0 {
        return Err(ScreenError::Rate { rate_max_per_s });
    }
    if config.max_age.is_zero() {
        return Err(ScreenError::MaxAge);
    }
    if !(band >= 0.0 && band.is_finite()) {
        return Err(ScreenError::FrozenBand { band });
    }
    if window != 0 && !((3..=MAX_SPIKE_WINDOW).contains(&window) && window % 2 == 1) {
        return Err(ScreenError::SpikeWindow { window });
    }
    if window != 0 && (config.spike_sigmas.is_nan() || config.spike_sigmas < 1.0) {
        return Err(ScreenError::SpikeSigmas { sigmas: config.spike_sigmas });
    }
    Ok(config)
}

#[cfg(test)]
mod tests;
