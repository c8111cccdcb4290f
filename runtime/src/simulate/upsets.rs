//! Upsets by seed: what goes wrong with the link, and which stage crashes when.
//!
//! Each kind is a Poisson process with its own stream of the run's seed, so that one kind less leaves the others where
//! they were. All times are plant time.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actors::kernel::{Act, Observer, Witness};
use actors::tape::{Entry, Tape};
use rig::Random;
use serde::Serialize;
use signals::{Stamp, TagId};

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
    crashes: Random,
    next_crash: Stamp,
    stages: usize,
    saboteur: Saboteur,
}

/// How many streams of the seed [`Upsets::new`] takes.
pub(super) const STREAMS: usize = 5;

impl Upsets {
    /// The upsets of a loop with so many measured `tags` and so many `stages`.
    #[must_use]
    pub fn new(streams: [Random; STREAMS], period: Duration, tags: usize, stages: usize) -> Self {
        let [frozen, late, lost, failing, mut crashes] = streams;
        Self {
            frozen: Spells::new(frozen, FROZEN, period, 1),
            late: Spells::new(late, LATE, period, LATE_MAX),
            lost: Spells::new(lost, LOST, period, tags),
            failing: Spells::new(failing, FAILING, period, 1),
            next_crash: Stamp::ZERO + crashes.wait(CRASH_EVERY),
            crashes,
            stages,
            saboteur: Saboteur::default(),
        }
    }

    /// Who crashes the stages: wire it as the loop's observer and, by [`Saboteur::on`], into its tape.
    #[must_use]
    pub fn saboteur(&self) -> Saboteur {
        self.saboteur.clone()
    }

    /// What is wrong with the link at `now`; a crash that falls due is laid.
    pub fn at(&mut self, now: Stamp) -> LinkFaults {
        if now >= self.next_crash {
            self.next_crash = now + self.crashes.wait(CRASH_EVERY);
            let child = u16::try_from(self.crashes.below(self.stages)).unwrap_or(0);
            let when = if self.crashes.below(2) == 0 { When::BeforeItsStep } else { When::AfterItsStep };
            self.saboteur.lay(child, when);
        }
        LinkFaults {
            frozen: self.frozen.at(now).is_some(),
            late_scans: self.late.at(now).map_or(0, |scans| scans + 1),
            lost_tag: self.lost.at(now).and_then(|tag| u16::try_from(tag).ok()).map(TagId),
            failing_writes: self.failing.at(now).is_some(),
        }
    }

    /// What came so far.
    #[must_use]
    pub fn counts(&self) -> UpsetCounts {
        UpsetCounts {
            crashes: self.saboteur.crashes(),
            frozen: self.frozen.count,
            late: self.late.count,
            lost: self.lost.count,
            failing: self.failing.count,
        }
    }
}

/// When a stage crashes: with its rings answered and nothing done, or with everything done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    BeforeItsStep,
    AfterItsStep,
}

#[derive(Debug, Default)]
struct Trap {
    laid: Option<(u16, When)>,
    stepping: Option<u16>,
    sprung: u32,
}

/// Crashes stages from inside: the kernel tells a witness of each step before it and an observer of its latency after it,
/// both in the stage's own actor, so one that unwinds is a stage that panics.
#[derive(Clone, Debug, Default)]
pub struct Saboteur(Arc<Mutex<Trap>>);

impl Saboteur {
    /// The tape that hears what `next` hears, and crashes stages. A step that it prevents, `next` is not told of.
    #[must_use]
    pub fn on(&self, next: Arc<dyn Tape>) -> Arc<dyn Tape> {
        Arc::new(Sabotaged { saboteur: self.clone(), next })
    }

    fn lay(&self, child: u16, when: When) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).laid = Some((child, when));
    }

    fn crashes(&self) -> u32 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).sprung
    }

    fn spring(&self, child: u16, when: When) {
        let mut trap = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        trap.stepping = Some(child);
        if trap.laid == Some((child, when)) {
            trap.laid = None;
            trap.sprung += 1;
            drop(trap);
            // No panic hook is run: a thousand crashes are no news.
            resume_unwind(Box::new("injected crash"));
        }
    }
}

impl Observer for Saboteur {
    fn stage(&self, name: &'static str, _latency_ns: u64) {
        // The driver and the actuator tell of other times than that of a step.
        if matches!(name, "release" | "cycle") {
            return;
        }
        let stepping = self.0.lock().unwrap_or_else(PoisonError::into_inner).stepping;
        if let Some(child) = stepping {
            self.spring(child, When::AfterItsStep);
        }
    }
}

/// A tape with a saboteur before it.
struct Sabotaged {
    saboteur: Saboteur,
    next: Arc<dyn Tape>,
}

impl fmt::Debug for Sabotaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sabotaged").field("next", &self.next).finish_non_exhaustive()
    }
}

impl Witness for Sabotaged {
    fn act(&self, act: Act) {
        if let Act::Step { child, .. } = act {
            self.saboteur.spring(child, When::BeforeItsStep);
        }
        self.next.act(act);
    }
}

impl Tape for Sabotaged {
    fn note(&self, entry: Entry<'_>) {
        self.next.note(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upsets(seed: u64) -> Upsets {
        let streams = [0, 1, 2, 3, 4].map(|n| Random::stream(seed, n));
        Upsets::new(streams, Duration::from_secs(1), 4, 10)
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

    #[test]
    fn a_laid_trap_springs_once_and_only_for_its_stage() {
        let saboteur = Saboteur::default();
        saboteur.lay(3, When::BeforeItsStep);
        saboteur.spring(2, When::BeforeItsStep);
        saboteur.spring(3, When::AfterItsStep);
        let sprung = || std::panic::catch_unwind(|| saboteur.spring(3, When::BeforeItsStep)).is_err();
        assert_eq!((sprung(), sprung(), saboteur.crashes()), (true, false, 1));
    }
}
