//! The loop's tags at one instant: what the estimator and the display are given each cycle.
//!
//! A [`Frame`] binds the judged samples of *one* control cycle together. A tag whose judgement is missing, or belongs
//! to another cycle, has no data in this frame: values of two cycles are never mixed.

use signals::{MAX_CVS, MAX_TAGS, Stamp, TagId};

use crate::screening::{Fault, Screened};

/// The judged samples of one cycle: the CVs first, in the plant file's order, then the DVs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    cycle: u64,
    at: Stamp,
    cvs: usize,
    len: usize,
    tags: [Screened; MAX_TAGS],
}

impl Frame {
    /// The frame of `cycle`.
    ///
    /// | argument | meaning |
    /// |---|---|
    /// | `screened` | one entry per tag, in the order of [`TagId`]: `cvs` CVs, then the DVs; at most [`MAX_TAGS`] |
    /// | `cvs` | how many of them are CVs; at most [`MAX_CVS`] |
    ///
    /// An entry that is absent, of another cycle or of another tag counts as [`Fault::NoData`].
    #[must_use]
    pub fn assemble(cycle: u64, now: Stamp, screened: &[Option<Screened>], cvs: usize) -> Self {
        let len = screened.len().min(MAX_TAGS);
        let mut tags = [Screened::missing(TagId(0), cycle); MAX_TAGS];
        for (number, slot) in (0_u16..).zip(tags.iter_mut()) {
            let tag = TagId(number);
            let judged = screened.get(tag.index()).copied().flatten();
            *slot = judged
                .filter(|s| s.cycle() == cycle && s.tag() == tag)
                .unwrap_or_else(|| Screened::missing(tag, cycle));
        }
        Self { cycle, at: now, cvs: cvs.min(len).min(MAX_CVS), len, tags }
    }

    /// The control cycle.
    #[must_use]
    pub fn cycle(&self) -> u64 {
        self.cycle
    }

    /// When it was assembled.
    #[must_use]
    pub fn at(&self) -> Stamp {
        self.at
    }

    /// Every tag of the loop, judged.
    #[must_use]
    pub fn tags(&self) -> &[Screened] {
        self.tags.get(..self.len).unwrap_or_default()
    }

    /// The usable value of CV `i`.
    #[must_use]
    pub fn cv(&self, i: usize) -> Option<f64> {
        self.tags().get(..self.cvs)?.get(i)?.usable()
    }

    /// The usable value of DV `i`.
    #[must_use]
    pub fn dv(&self, i: usize) -> Option<f64> {
        self.tags().get(self.cvs..)?.get(i)?.usable()
    }

    /// What is wrong with a tag; a tag that the loop does not have has no data.
    #[must_use]
    pub fn fault(&self, tag: TagId) -> Option<Fault> {
        self.tags().get(tag.index()).map_or(Some(Fault::NoData), Screened::fault)
    }

    /// How many tags, CVs and DVs together, have no usable value.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.tags().iter().filter(|s| s.fault().is_some()).count()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use signals::{Quality, Sample};

    use super::*;
    use crate::screening::{Screen, ScreenConfig};

    /// A judged sample; `None` has no data.
    fn screened(tag: u16, value: impl Into<Option<f64>>, cycle: u64) -> Option<Screened> {
        let config = ScreenConfig {
            lo: f64::NEG_INFINITY,
            hi: f64::INFINITY,
            hysteresis: 0.0,
            rate_max_per_s: f64::INFINITY,
            max_age: Duration::from_secs(1),
            frozen_samples: 0,
            frozen_band: 0.0,
            spike_window: 0,
            spike_sigmas: 0.0,
            accept_uncertain: false,
        };
        let tag = TagId(tag);
        let sample = |value| Sample { tag, value, quality: Quality::Good, source_time: Stamp::ZERO, sequence: 1 };
        let sample = value.into().map(sample);
        Some(Screen::new(tag, config).unwrap().step(sample.as_ref(), false, cycle, Stamp::ZERO))
    }

    /// A frame of these CVs and DVs, each usable if it is given.
    pub(crate) fn frame_of(cycle: u64, at: Stamp, cvs: &[Option<f64>], dvs: &[Option<f64>]) -> Frame {
        let values = cvs.iter().chain(dvs);
        let judged: Vec<_> = (0..).zip(values).map(|(tag, value)| screened(tag, *value, cycle)).collect();
        Frame::assemble(cycle, at, &judged, cvs.len())
    }

    #[test]
    fn cvs_come_first_and_dvs_follow() {
        let frame = Frame::assemble(
            7,
            Stamp::from_nanos(5),
            &[screened(0, 1.0, 7), screened(1, 2.0, 7), screened(2, 3.0, 7)],
            2,
        );
        assert_eq!((frame.cv(0), frame.cv(1), frame.cv(2)), (Some(1.0), Some(2.0), None));
        assert_eq!((frame.dv(0), frame.dv(1)), (Some(3.0), None));
        assert_eq!((frame.cycle(), frame.at(), frame.missing()), (7, Stamp::from_nanos(5), 0));
    }

    #[test]
    fn a_tag_of_another_cycle_has_no_data() {
        for stale in [6, 8] {
            let frame = Frame::assemble(7, Stamp::ZERO, &[screened(0, 1.0, 7), screened(1, 2.0, stale)], 2);
            assert_eq!((frame.cv(0), frame.cv(1)), (Some(1.0), None));
            assert_eq!((frame.fault(TagId(0)), frame.fault(TagId(1))), (None, Some(Fault::NoData)));
            assert_eq!(frame.missing(), 1);
        }
    }

    #[test]
    fn an_absent_a_misplaced_and_an_unknown_tag_have_no_data() {
        let frame = Frame::assemble(7, Stamp::ZERO, &[screened(1, 1.0, 7), None, screened(2, f64::NAN, 7)], 1);
        assert_eq!(frame.fault(TagId(0)), Some(Fault::NoData));
        assert_eq!(frame.fault(TagId(1)), Some(Fault::NoData));
        assert_eq!(frame.fault(TagId(2)), Some(Fault::NotFinite));
        assert_eq!(frame.fault(TagId(3)), Some(Fault::NoData));
        assert_eq!((frame.tags().len(), frame.missing()), (3, 3));
    }

    #[test]
    fn more_tags_than_the_loop_may_have_are_cut() {
        let many: Vec<_> = (0..40).map(|n| screened(n, 1.0, 7)).collect();
        let frame = Frame::assemble(7, Stamp::ZERO, &many, 30);
        assert_eq!(frame.tags().len(), MAX_TAGS);
        assert_eq!((frame.cv(MAX_CVS), frame.dv(0)), (None, Some(1.0)));
    }
}
