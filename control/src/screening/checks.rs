//! The checks that remember: range with hysteresis, rate of change, frozen value, spike.
//!
//! Each is a small state machine fed with one finite value; its owner, [`super::Screen`], has checked the
//! configuration and decides which finding counts.

use signals::{Stamp, Values};

use super::MAX_SPIKE_WINDOW;

/// Out of `[lo, hi]`; back in only when `hysteresis` inside it.
#[derive(Clone, Debug)]
pub(super) struct Range {
    pub(super) lo: f64,
    pub(super) hi: f64,
    pub(super) hysteresis: f64,
    pub(super) outside: bool,
}

impl Range {
    pub(super) fn finds(&mut self, value: f64) -> bool {
        let margin = if self.outside { self.hysteresis } else { 0.0 };
        self.outside = !(self.lo + margin..=self.hi - margin).contains(&value);
        self.outside
    }
}

/// A value with the two times that it has: its source's, and when the loop first saw it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) value: f64,
    pub(super) source_time: Stamp,
    pub(super) seen_at: Stamp,
}

impl Point {
    /// `|Δvalue| / Δt > max_per_s`. Δt is the source's; where the source's time stands still or runs back, the
    /// loop's own. Without elapsed time there is no rate.
    fn outruns(&self, earlier: &Self, max_per_s: f64) -> bool {
        let by_source = self.source_time.since(earlier.source_time).as_secs_f64();
        let elapsed_s = if by_source > 0.0 { by_source } else { self.seen_at.since(earlier.seen_at).as_secs_f64() };
        elapsed_s > 0.0 && (self.value - earlier.value).abs() > max_per_s * elapsed_s
    }
}

/// Faster than the process can be, measured from the last usable value.
///
/// A real step would hold that finding for ever if it only looked back to the last usable value. So after
/// `persistence` samples in a row that agree with one another, the new level is believed.
#[derive(Clone, Debug)]
pub(super) struct Rate {
    pub(super) max_per_s: f64,
    pub(super) persistence: u32,
    pub(super) usable: Option<Point>,
    pub(super) previous: Option<Point>,
    pub(super) agreeing: u32,
}

impl Rate {
    pub(super) fn finds(&mut self, point: Point) -> bool {
        let jumped = |from: &Option<Point>| from.is_some_and(|from| point.outruns(&from, self.max_per_s));
        let from_usable = jumped(&self.usable);
        self.agreeing = if jumped(&self.previous) { 1 } else { self.agreeing.saturating_add(1) };
        self.previous = Some(point);
        from_usable && self.agreeing < self.persistence
    }
}

/// No change beyond `band` for `cycles` cycles after an input moved. At rest a still value is no fault.
#[derive(Clone, Debug)]
pub(super) struct Frozen {
    pub(super) cycles: u32,
    pub(super) band: f64,
    pub(super) anchor: Option<f64>,
    pub(super) since_input: Option<u32>,
}

impl Frozen {
    pub(super) fn finds(&mut self, value: f64, inputs_moved: bool) -> bool {
        if self.cycles == 0 {
            return false;
        }
        if self.anchor.is_none_or(|anchor| (value - anchor).abs() > self.band) {
            self.anchor = Some(value);
            self.since_input = None;
        }
        self.since_input = match self.since_input {
            Some(cycles) => Some(cycles.saturating_add(1)),
            None => inputs_moved.then_some(0),
        };
        self.since_input.is_some_and(|cycles| cycles >= self.cycles)
    }
}

/// Hampel's identifier over the newest `window` samples: `|x - median| > max(sigmas · 1.4826 · MAD, floor)`.
///
/// MAD is the median absolute deviation from the median; 1.4826 makes it estimate the standard deviation of a
/// normal distribution. The floor keeps a quantised signal at rest, whose MAD is zero, from being all spikes.
#[derive(Clone, Debug)]
pub(super) struct Hampel {
    pub(super) window: usize,
    pub(super) sigmas: f64,
    pub(super) floor: f64,
    pub(super) values: Values<MAX_SPIKE_WINDOW>,
}

/// 1 / Φ⁻¹(3/4).
const MAD_TO_SIGMA: f64 = 1.4826;

impl Hampel {
    pub(super) fn finds(&mut self, value: f64) -> bool {
        if self.window == 0 {
            return false;
        }
        if self.values.len() < self.window {
            // Cannot fail: the window is within the capacity.
            let _ = self.values.push(value);
        } else {
            self.values.rotate_left(1);
            self.values.iter_mut().rev().take(1).for_each(|newest| *newest = value);
        }
        if self.values.len() < self.window {
            return false;
        }
        let mut scratch = self.values;
        let centre = median(&mut scratch);
        scratch.iter_mut().for_each(|v| *v = (*v - centre).abs());
        let sigma = MAD_TO_SIGMA * median(&mut scratch);
        (value - centre).abs() > (self.sigmas * sigma).max(self.floor)
    }
}

/// The median of an odd number of values, at least one; reorders them.
fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}
