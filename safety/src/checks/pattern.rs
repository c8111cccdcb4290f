//! Checks 4 to 7: what the value of one variable does in time.
//!
//! Each is a small state machine. Range looks at every step; the others speak of a sample and hold until the next.
//!
//! # Sources
//! F. R. Hampel, The influence curve and its role in robust estimation, J. Am. Stat. Assoc. 69 (1974) 383;
//! R. K. Pearson, Outliers in process modeling and identification, IEEE Trans. Control Syst. Technol. 10 (2002) 55.

use signals::{Stamp, Values};

use crate::cause::{Fault, finite};
use crate::config::{self, MAX_SPIKE_WINDOW, TagChecks};

/// Check 4. Out of `[lo, hi]` at once; back in only when `hysteresis` inside.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Range {
    #[default]
    Inside,
    High,
    Low,
}

impl Range {
    /// `low` and `high` are what the limits are held against; they are the same where one value stands for the variable.
    pub(super) fn observe(&mut self, checks: &TagChecks, (low, high): (f64, f64)) -> Option<Fault> {
        let hi = if matches!(self, Self::High) { checks.hi - checks.hysteresis } else { checks.hi };
        let lo = if matches!(self, Self::Low) { checks.lo + checks.hysteresis } else { checks.lo };
        let (side, fault) = if high > hi {
            (Self::High, Some(Fault::High { value: high, limit: checks.hi }))
        } else if low < lo {
            (Self::Low, Some(Fault::Low { value: low, limit: checks.lo }))
        } else {
            (Self::Inside, None)
        };
        *self = side;
        fault
    }
}

/// Check 5: `|v − v₀| / (t − t₀)` between two values with their source times.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rate {
    baseline: Option<(f64, Stamp)>,
    found: Option<Fault>,
}

impl Rate {
    pub(super) fn observe(&mut self, rate_max_per_s: f64, value: f64, taken: Stamp) -> Option<Fault> {
        match self.baseline {
            Some((_, at)) if at == taken => {}
            Some((before, at)) => {
                let span_s = taken.since(at).as_secs_f64();
                let per_s = ((value - before).abs() / span_s).min(f64::MAX);
                let fast = span_s > 0.0 && per_s > rate_max_per_s;
                self.found = fast.then_some(Fault::Fast { per_s, limit_per_s: rate_max_per_s });
                self.baseline = Some((value, taken));
            }
            None => self.baseline = Some((value, taken)),
        }
        self.found
    }

    /// There is no value now; the next is judged from the last all the same.
    pub(super) fn pass(&mut self) {
        self.found = None;
    }

    /// The next value cannot be compared with the last: it is measured by others.
    pub(super) fn restart(&mut self) {
        *self = Self::default();
    }
}

/// Check 6: no change beyond the resolution over so many samples after an input moved. At rest a still value is no fault.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Frozen {
    /// The value that it stands at, and how often inputs had moved when it came there.
    anchor: Option<(f64, u32)>,
    samples: u32,
}

impl Frozen {
    pub(super) fn observe(&mut self, config: config::Frozen, value: f64, moves: u32) {
        match self.anchor {
            Some((anchor, at)) if (value - anchor).abs() <= config.resolution => {
                self.samples = self.samples.saturating_add(u32::from(at != moves));
            }
            _ => *self = Self { anchor: Some((value, moves)), samples: 0 },
        }
    }

    pub(super) fn found(&self, config: config::Frozen) -> Option<Fault> {
        (self.samples >= config.samples).then_some(Fault::Frozen { samples: self.samples })
    }
}

/// 1 / Φ⁻¹(3/4): makes the median absolute deviation estimate the standard deviation of a normal distribution.
const MAD_TO_SIGMA: f64 = 1.4826;

/// Check 7: `|x − median| > max(sigmas · 1.4826 · MAD, floor)` over the newest samples, of which x is the newest.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spike {
    values: Values<MAX_SPIKE_WINDOW>,
    /// Where the next value goes once the window is full.
    next: usize,
    pub(super) found: Option<Fault>,
}

impl Spike {
    pub(super) fn observe(&mut self, config: config::Spike, value: f64) {
        if self.values.len() < config.window {
            // There is room: the window is within the capacity.
            let _ = self.values.push(value);
        } else if let Some(oldest) = self.values.get_mut(self.next) {
            *oldest = value;
            self.next = (self.next + 1) % config.window.max(1);
        }
        self.found = None;
        if self.values.len() < config.window {
            return;
        }
        let mut scratch = self.values;
        let centre = median(&mut scratch);
        for v in scratch.iter_mut() {
            *v = (*v - centre).abs();
        }
        let sigma = MAD_TO_SIGMA * median(&mut scratch);
        let limit = (config.sigmas * sigma).max(config.floor);
        let outlier = (value - centre).abs() > limit;
        self.found = outlier.then_some(Fault::Spike { value: finite(value), median: centre });
    }
}

/// The median of an odd number of values; reorders them. 0 for none.
fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    if values.is_empty() { 0.0 } else { *values.select_nth_unstable_by(middle, f64::total_cmp).1 }
}
