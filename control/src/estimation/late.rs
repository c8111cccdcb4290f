//! Measurements that arrive late: a bounded memory of past periods, from which a filter is run again.
//!
//! A laboratory's sample tells what a row read some periods ago. [`LateFusion`] keeps, for each of the last periods,
//! the filter's memory before it and what went into it. A late sample is put into the period to which it belongs, the
//! filter is set back to before that period, and the periods since are run again: what comes out is, bit for bit, what
//! would have come out had the sample been there in time. (A short cut that carries the correction forward through
//! the linearised model would be cheaper, and not exact: the later periods were linearised elsewhere.)
//!
//! # Invariants
//! - A sample older than the memory, or for a row that was measured, is refused and changes nothing.
//! - If the filter loses its belief while it is run again, the sample is taken out and the run repeated without it.
//! - Neither a step nor a fusion allocates; a fusion costs as many steps as periods are run again, at most the depth.
//!
//! Source: T. D. Larsen et al., Incorporation of time delayed measurements in a discrete-time Kalman filter, Proc. 37th
//! IEEE CDC (1998) 3972 (the filter recalculated is their reference method).

#![allow(clippy::indexing_slicing, reason = "positions in the ring are taken modulo its length, and it is not empty")]

use super::filter::{Correction, Filter, Lengths, Outcome, Period};

/// One past period.
#[derive(Clone, Debug)]
struct Past<M> {
    before: M,
    u: Vec<f64>,
    acting: Vec<f64>,
    now: Vec<f64>,
    y: Vec<f64>,
}

/// What a late sample says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LateSample {
    /// How many periods ago it was taken: 0 is the end of the newest period.
    pub age: usize,
    /// The row of y that it measures.
    pub row: usize,
    /// The value, in the row's unit.
    pub value: f64,
}

/// What became of a late sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LateOutcome {
    /// Fused; so many periods were run again, and this is how the newest of them ends now.
    Fused {
        /// Periods that were run again.
        periods: usize,
        /// The newest period's correction.
        correction: Correction,
    },
    /// Older than the periods that are remembered.
    TooOld {
        /// How many are.
        remembered: usize,
    },
    /// That row was measured in that period.
    AlreadyMeasured,
    /// No such row, or not a finite number.
    Refused,
    /// With it the filter lost its belief; it goes on without.
    Implausible,
}

/// A filter with a memory of its last periods.
#[derive(Clone, Debug)]
pub struct LateFusion<F: Filter> {
    filter: F,
    ring: Vec<Past<F::Memory>>,
    /// Where the next period goes, and how many are remembered.
    next: usize,
    len: usize,
}

impl<F: Filter> LateFusion<F> {
    /// `filter` with a memory of `depth` periods; 0 remembers none.
    #[must_use]
    pub fn new(filter: F, depth: usize) -> Self {
        let Lengths { u, p, y } = filter.lengths();
        let past =
            Past { before: filter.memory(), u: vec![0.0; u], acting: vec![0.0; p], now: vec![0.0; p], y: vec![0.0; y] };
        Self { filter, ring: vec![past; depth], next: 0, len: 0 }
    }

    /// The filter.
    #[must_use]
    pub fn filter(&self) -> &F {
        &self.filter
    }

    /// The filter, to be set; what is remembered is then forgotten, since it would lead elsewhere.
    pub fn filter_mut(&mut self) -> &mut F {
        self.len = 0;
        &mut self.filter
    }

    /// How many periods are remembered now.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.len
    }

    /// One period of the filter, remembered. A lost belief empties the memory: the filter began anew.
    pub fn advance(&mut self, period: &Period<'_>) -> Correction {
        if self.ring.is_empty() || !self.filter.lengths().admit(period) {
            return self.filter.advance(period);
        }
        let past = &mut self.ring[self.next];
        self.filter.save(&mut past.before);
        past.u.copy_from_slice(period.u);
        past.acting.copy_from_slice(period.acting);
        past.now.copy_from_slice(period.now);
        past.y.copy_from_slice(period.y);
        let correction = self.filter.advance(period);
        if correction.outcome == Outcome::Lost {
            self.len = 0;
        } else {
            self.next = (self.next + 1) % self.ring.len();
            self.len = (self.len + 1).min(self.ring.len());
        }
        correction
    }

    /// Fuses a late sample at its own period, and runs the periods since again.
    pub fn fuse(&mut self, sample: &LateSample) -> LateOutcome {
        if sample.row >= self.filter.lengths().y || !sample.value.is_finite() {
            return LateOutcome::Refused;
        }
        if sample.age >= self.len {
            return LateOutcome::TooOld { remembered: self.len };
        }
        let depth = self.ring.len();
        let from = (self.next + depth - 1 - sample.age) % depth;
        let slot = &mut self.ring[from].y[sample.row];
        if slot.is_finite() {
            return LateOutcome::AlreadyMeasured;
        }
        let missing = std::mem::replace(slot, sample.value);
        let periods = sample.age + 1;
        if let Some(correction) = self.run_again(from, periods) {
            return LateOutcome::Fused { periods, correction };
        }
        self.ring[from].y[sample.row] = missing;
        self.run_again(from, periods);
        LateOutcome::Implausible
    }

    /// Runs `periods` periods again from the one at `from`; `None` as soon as the belief is lost.
    fn run_again(&mut self, from: usize, periods: usize) -> Option<Correction> {
        let depth = self.ring.len();
        self.filter.load(&self.ring[from].before);
        let mut last = None;
        for k in 0..periods {
            let past = &mut self.ring[(from + k) % depth];
            self.filter.save(&mut past.before);
            let period = Period { u: &past.u, acting: &past.acting, now: &past.now, y: &past.y };
            let correction = self.filter.advance(&period);
            if correction.outcome == Outcome::Lost {
                return None;
            }
            last = Some(correction);
        }
        last
    }
}
