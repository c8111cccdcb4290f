//! Upsets by seed: what goes wrong with the link, and which stage crashes when.
//!
//! Each kind is a Poisson process with its own stream of the run's seed, so that one kind less leaves the others where
//! they were. All times are plant time.

use std::time::Duration;

use rig::Random;
use serde::Serialize;
use signals::{Stamp, TagId};

use super::crashes::{Crashes, Moment, Victim};
use super::plumbing::{LATE_MAX, LinkFaults};

/// Mean time between two crashes, over all stages.
const CRASH_EVERY: Duration = Duration::from_secs(10 * 60);
/// Mean time between two spells of each kind, and how many control periods a spell lasts in the mean.
const FROZEN: (Duration, u32) = (Duration::from_secs(30 * 60), 2);
const LATE: (Duration, u32) = (Duration::from_secs(10 * 60), 5);
const LOST: (Duration, u32) = (Duration::from_secs(10 * 60), 3);
const FAILING: (Duration, u32) = (Duration::from_secs(15 * 60), 1);

/// How often each kind came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UpsetCounts {
    /// Crashes of a stage.
    pub crashes: u32,
    /// Spells in which nothing passed the link.
    pub frozen: u32,
    /// Spells in which images came late.
    pub late: u32,
    /// Spells in which the samples of one tag were lost.
    pub lost: u32,
    /// Spells in which writes failed.
    pub failing: u32,
}

/// The spells of one kind, with a number drawn for each.
#[derive(Debug)]
struct Spells {
    random: Random,
    gap: Duration,
    length: Duration,
    choices: usize,
    from: Stamp,
    until: Stamp,
    choice: usize,
    counted: bool,
    count: u32,
}

impl Spells {
    fn new(mut random: Random, (gap, periods): (Duration, u32), period: Duration, choices: usize) -> Self {
        let from = Stamp::ZERO + random.wait(gap);
        let (until, length) = (from, period * periods);
        let mut spells = Self { random, gap, length, choices, from, until, choice: 0, counted: false, count: 0 };
        spells.draw(from);
        spells
    }

    fn draw(&mut self, from: Stamp) {
        self.from = from;
        self.until = from + self.random.wait(self.length);
        self.choice = self.random.below(self.choices);
        self.counted = false;
    }

    /// What was drawn for the spell in which `now` lies, if it lies in one.
    fn at(&mut self, now: Stamp) -> Option<usize> {
        if now >= self.until {
            let gap = self.random.wait(self.gap);
            self.draw(now + gap);
        }
        let choice = (now >= self.from).then_some(self.choice)?;
        self.count += u32::from(!self.counted);
        self.counted = true;
        Some(choice)
    }
}

/// What goes wrong, scan by scan.
#[derive(Debug)]
pub struct Upsets {
    frozen: Spells,
    late: Spells,
    lost: Spells,
    failing: Spells,
    chance: Random,
    next_crash: Stamp,
    stages: usize,
    crashes: Crashes,
}

/// How many streams of the seed [`Upsets::new`] takes.
pub(super) const STREAMS: usize = 5;

impl Upsets {
    /// The upsets of a loop with so many measured tags and so many stages; its stages crash by `crashes`, which is to be
    /// wired as the loop's observer and tape.
    #[must_use]
    pub fn new(streams: [Random; STREAMS], period: Duration, (tags, stages): (usize, usize), crashes: Crashes) -> Self {
        let [frozen, late, lost, failing, mut chance] = streams;
        Self {
            frozen: Spells::new(frozen, FROZEN, period, 1),
            late: Spells::new(late, LATE, period, LATE_MAX),
            lost: Spells::new(lost, LOST, period, tags),
            failing: Spells::new(failing, FAILING, period, 1),
            next_crash: Stamp::ZERO + chance.wait(CRASH_EVERY),
            chance,
            stages,
            crashes,
        }
    }

    /// What is wrong with the link at `now`; a crash that falls due is laid.
    pub fn at(&mut self, now: Stamp) -> LinkFaults {
        if now >= self.next_crash {
            self.next_crash = now + self.chance.wait(CRASH_EVERY);
            let stage = u16::try_from(self.chance.below(self.stages)).unwrap_or(0);
            let moment = if self.chance.below(2) == 0 { Moment::Before } else { Moment::After };
            self.crashes.plan(Victim::Stage(stage), moment);
        }
        let frozen = self.frozen.at(now).is_some();
        LinkFaults {
            deaf: frozen,
            mute: frozen,
            late_scans: self.late.at(now).map_or(0, |scans| scans + 1),
            lost_tag: self.lost.at(now).and_then(|tag| u16::try_from(tag).ok()).map(TagId),
            failing_writes: self.failing.at(now).is_some(),
            ..LinkFaults::default()
        }
    }

    /// What came so far.
    #[must_use]
    pub fn counts(&self) -> UpsetCounts {
        UpsetCounts {
            crashes: self.crashes.count(),
            frozen: self.frozen.count,
            late: self.late.count,
            lost: self.lost.count,
            failing: self.failing.count,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use actors::kernel::Unwitnessed;

    use super::*;

    fn upsets(seed: u64) -> Upsets {
        let streams = [0, 1, 2, 3, 4].map(|n| Random::stream(seed, n));
        Upsets::new(streams, Duration::from_secs(1), (4, 10), Crashes::telling(Arc::new(Unwitnessed)))
    }

    fn run(seed: u64) -> (Vec<LinkFaults>, UpsetCounts) {
        let mut upsets = upsets(seed);
        let faults = (0..86_400).map(|s| upsets.at(Stamp::ZERO + Duration::from_secs(s))).collect();
        (faults, upsets.counts())
    }

    #[test]
    fn the_same_seed_gives_the_same_upsets_and_another_others() {
        assert_eq!(run(7), run(7));
        assert_ne!(run(7).0, run(8).0);
    }

    #[test]
    fn every_kind_comes_about_as_often_as_it_should() {
        let (faults, counts) = run(1);
        // A day; four standard deviations of a Poisson number with mean m are 4 √m.
        for (count, mean) in [(counts.frozen, 48.0), (counts.late, 144.0), (counts.lost, 144.0), (counts.failing, 96.0)]
        {
            assert!((f64::from(count) - mean).abs() < 4.0 * f64::sqrt(mean), "{counts:?}");
        }
        assert!(faults.iter().all(|f| f.late_scans <= LATE_MAX && f.lost_tag.is_none_or(|t| t.0 < 4)));
    }
}
