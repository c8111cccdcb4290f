//! Bypasses: a check on one subject is told and has no other effect, for a bounded time, on the word of two people.
//!
//! The set in force is an input of the interlock's step ([`crate::Inputs::bypasses`]), so a replay sees what the run saw.
//! Who asks, who approves and what is on the disk is the [`book`]'s business. The interlock does not believe it: every
//! step judges every bypass that it is offered anew, and one that breaks a rule bypasses nothing ([`Objection`]).
//!
//! # Invariants
//! - I10: a bypass ends. It is in force from `from` to `until`, at most [`MAX_LIFE`]; an end that was once told is never
//!   put off, and one that is over does not come back, also when time runs back.
//! - Checks 3, 11, 12, 16 and 22 ([`CheckId::ALWAYS_ON`]) are never bypassed.
//! - Whoever approves is not whoever asked.
//! - A bypass takes the effect of a finding, not the finding: it is still told, as a warning.

mod book;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use signals::{Fixed, Stamp};

use crate::cause::Cause;
use crate::check::{CheckId, CheckSet};
use crate::reaction::Effect;

pub use book::{
    Account, Act, BookError, BypassBook, CLOCK_SLACK, Calendar, Entry, Names, Outcome, Refused, Shown, Standing, Target,
};

/// The longest life of a bypass.
pub const MAX_LIFE: Duration = Duration::from_hours(8);
/// The most bypasses of a loop at a time.
pub const MAX_BYPASSES: usize = 8;

impl CheckId {
    /// The check of this number.
    #[must_use]
    pub fn numbered(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|check| check.number() == number)
    }
}

/// What a bypassed check looks at; numbers from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The loop as a whole.
    #[default]
    Loop,
    /// A measured tag: the CVs, then the DVs.
    Tag(u16),
    /// An MV.
    Mv(u16),
}

/// A person, as far as the interlock must tell one from another: a fingerprint of the name. Two names with the same
/// fingerprint count as one person, which is refused: the safe side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Person(pub u64);

impl Person {
    /// The person of this name; case and outer blanks do not make another one. FNV-1a, 64 bits.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let letters = name.trim().chars().flat_map(char::to_lowercase);
        Self(letters.fold(0xcbf2_9ce4_8422_2325, |hash, letter| {
            (hash ^ u64::from(u32::from(letter))).wrapping_mul(0x0100_0000_01b3)
        }))
    }
}

/// One bypass, as the step is given it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bypass {
    /// Its number; never given twice.
    pub id: u32,
    /// The check.
    pub check: CheckId,
    /// On what.
    pub subject: Subject,
    /// Who asked for it.
    pub requested_by: Person,
    /// Who approved it.
    pub approved_by: Person,
    /// When it was approved.
    pub from: Stamp,
    /// When it ends.
    pub until: Stamp,
}

/// Fills the unused places of a [`Fixed`]; never seen, and never in force.
impl Default for Bypass {
    fn default() -> Self {
        Self {
            id: 0,
            check: CheckId::NotFinite,
            subject: Subject::Loop,
            requested_by: Person::default(),
            approved_by: Person::default(),
            from: Stamp::ZERO,
            until: Stamp::ZERO,
        }
    }
}

/// The bypasses of a loop.
pub type BypassSet = Fixed<Bypass, MAX_BYPASSES>;

/// Why a bypass is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objection {
    /// The check is one of [`CheckId::ALWAYS_ON`].
    AlwaysOn,
    /// One person asked and approved.
    OnePerson,
    /// It would last longer than [`MAX_LIFE`].
    TooLong,
    /// There is no such tag or MV.
    NoSubject,
    /// The number was that of another bypass.
    Reused,
    /// It has not begun.
    NotYet,
    /// It is over.
    Over,
}

/// Why a bypass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndOfBypass {
    /// Its time is over.
    Expired,
    /// It is offered no more.
    Withdrawn,
}

impl Bypass {
    /// The rule that it breaks at `now`, in a loop of so many tags and MVs.
    fn objection(&self, now: Stamp, tags: usize, mvs: usize) -> Option<Objection> {
        let exists = match self.subject {
            Subject::Loop => true,
            Subject::Tag(n) => usize::from(n) < tags,
            Subject::Mv(n) => usize::from(n) < mvs,
        };
        let rules = [
            (!CheckId::ALWAYS_ON.contains(&self.check), Objection::AlwaysOn),
            (self.requested_by != self.approved_by, Objection::OnePerson),
            (exists, Objection::NoSubject),
            (self.until.since(self.from) <= MAX_LIFE, Objection::TooLong),
            (self.from <= now, Objection::NotYet),
            (now < self.until, Objection::Over),
        ];
        rules.into_iter().find(|(holds, _)| !holds).map(|(_, objection)| objection)
    }

    /// Whether these are two bypasses under one number. Times do not count: they are the first that were told.
    fn is_another_than(&self, other: &Self) -> bool {
        Self { from: other.from, until: other.until, ..*self } != *other
    }
}

/// What the log was told of a bypass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Told {
    #[default]
    Nothing,
    Began,
    Over,
}

/// A bypass that was offered, and what became of it. Its end only ever comes nearer.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    bypass: Bypass,
    objection: Option<Objection>,
    offered: bool,
    /// Another bypass was offered under its number.
    reused: bool,
    /// It has ended, and does not begin again.
    over: bool,
    told: Told,
}

impl Known {
    fn in_force(&self) -> bool {
        self.offered && !self.over && self.objection.is_none()
    }
}

/// What there is to tell of a bypass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    Began(Bypass),
    Ended(Bypass, EndOfBypass),
    Refused(Bypass, Objection),
}

/// The interlock's memory of bypasses.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BypassWatch {
    known: Fixed<Known, MAX_BYPASSES>,
}

impl BypassWatch {
    /// Takes the set that is offered at `now` to a loop of so many tags and MVs.
    pub(crate) fn observe(&mut self, offered: &[Bypass], now: Stamp, (tags, mvs): (usize, usize)) {
        for known in self.known.iter_mut() {
            known.offered = false;
        }
        for bypass in offered {
            let Some(known) = self.known.iter_mut().find(|known| known.bypass.id == bypass.id) else {
                // Where those of before still stand to be told of, a new one waits for a step: the safe side.
                let _ = self.known.push(Known { bypass: *bypass, offered: true, ..Known::default() });
                continue;
            };
            known.offered = true;
            known.reused |= known.bypass.is_another_than(bypass);
            known.bypass.until = known.bypass.until.min(bypass.until);
        }
        for known in self.known.iter_mut() {
            let reused = known.reused.then_some(Objection::Reused);
            known.objection = reused.or(known.bypass.objection(now, tags, mvs));
            known.over |= known.objection == Some(Objection::Over);
        }
    }

    /// Those in force.
    pub(crate) fn in_force(&self) -> impl Iterator<Item = &Bypass> {
        self.known.iter().filter(|known| known.in_force()).map(|known| &known.bypass)
    }

    /// The checks that are bypassed on `subject`.
    pub(crate) fn on(&self, subject: Subject) -> CheckSet {
        let here = self.in_force().filter(|bypass| bypass.subject == subject);
        here.fold(CheckSet::EMPTY, |set, bypass| set.with(bypass.check))
    }

    /// A hazard of the loop as it bites: a bypassed one only warns.
    pub(crate) fn soften(&self, (effect, cause): (Effect, Cause)) -> (Effect, Cause) {
        let bypassed = cause.check().is_some_and(|check| self.on(Subject::Loop).contains(check));
        (if bypassed { Effect::Warn } else { effect }, cause)
    }

    /// Hands each piece of news to `tell`; one that `tell` has no room for (`false`) is offered again next time.
    pub(crate) fn tell(&mut self, tell: &mut dyn FnMut(News) -> bool) {
        for known in self.known.iter_mut() {
            let bypass = known.bypass;
            let ended = if known.over { EndOfBypass::Expired } else { EndOfBypass::Withdrawn };
            let (news, told) = match (known.told, known.in_force(), known.objection) {
                (Told::Nothing, true, _) => (News::Began(bypass), Told::Began),
                (Told::Began, false, _) => (News::Ended(bypass, ended), Told::Over),
                (Told::Nothing, false, Some(why)) if why != Objection::NotYet => {
                    (News::Refused(bypass, why), Told::Over)
                }
                _ => continue,
            };
            if tell(news) {
                known.told = told;
            }
        }
        // What is offered no more and needs no word any more is forgotten.
        let kept = self.known.iter().filter(|known| known.offered || known.told == Told::Began);
        self.known = Fixed::collect(kept.copied());
    }
}

#[cfg(test)]
mod tests;
