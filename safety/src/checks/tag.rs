//! One measured variable: the vote of its transmitters (check 8), and all that is found on it.
//!
//! With one transmitter its value is the value. With three the vote of [`signals::vote`] gives it: a transmitter that
//! checks 1 to 3 speak against has no vote; the range is held against the worse of the two when one is lost; and checks
//! 1 to 3 speak against the variable only when no transmitter is left.

use signals::vote::{Standing, TRANSMITTERS, Voted, vote};
use signals::{Sample, Stamp};

use super::Look;
use super::finding::{Findings, Hazard};
use super::model::{Cusum, residual};
use super::pattern::{Frozen, Range, Rate, Spike};
use super::sample::{Reading, Transmitter};
use crate::cause::{Cause, Fault};
use crate::check::{CheckId, CheckSet};
use crate::config::TagChecks;
use crate::row::Row;
use crate::subject::Measured;
use crate::verdict::Events;

/// A tag's configuration and its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tagged<'a> {
    pub(crate) checks: &'a TagChecks,
    pub(crate) name: Measured,
}

/// What the transmitters of a tag say together.
#[derive(Clone, Copy, Debug, Default)]
struct Together {
    quality: Option<Fault>,
    age: Option<Fault>,
    not_finite: Option<Fault>,
    sequence: Option<Fault>,
    /// The value; with what the range is held against, and when it was taken.
    value: Option<f64>,
    ends: (f64, f64),
    taken: Stamp,
    /// The value has been measured anew.
    is_new: bool,
    /// No two transmitters agree, so that nobody can say what the value is worth.
    disagree: bool,
}

/// What a tag has beside its own transmitter.
#[derive(Clone, Debug)]
struct Spares {
    transmitters: [Transmitter; 2],
    /// Who had a vote.
    voters: [bool; TRANSMITTERS],
    /// Who has measured anew since the value was last taken as new.
    heard: [bool; TRANSMITTERS],
}

/// The memory of one measured tag.
#[derive(Clone, Debug)]
pub(crate) struct TagMonitor {
    own: Transmitter,
    spares: Option<Box<Spares>>,
    range: Range,
    rate: Rate,
    frozen: Frozen,
    spike: Spike,
    cusum: Cusum,
    findings: Findings<{ Row::TAG.len() }>,
    /// The value, if nothing speaks against its use.
    usable: Option<f64>,
}

impl TagMonitor {
    pub(crate) fn new(checks: &TagChecks) -> Self {
        let spares = || Spares {
            transmitters: [Transmitter::default(); 2],
            voters: [false; TRANSMITTERS],
            heard: [false; TRANSMITTERS],
        };
        Self {
            own: Transmitter::default(),
            spares: checks.spares_tolerance.map(|_| Box::new(spares())),
            range: Range::default(),
            rate: Rate::default(),
            frozen: Frozen::default(),
            spike: Spike::default(),
            cusum: Cusum::default(),
            findings: Findings::new(Row::Quality),
            usable: None,
        }
    }

    /// Forgets everything, in place.
    pub(crate) fn forget(&mut self) {
        if let Some(spares) = &mut self.spares {
            **spares = Spares {
                transmitters: [Transmitter::default(); 2],
                voters: [false; TRANSMITTERS],
                heard: [false; TRANSMITTERS],
            };
        }
        self.own = Transmitter::default();
        self.range = Range::default();
        self.rate = Rate::default();
        self.frozen = Frozen::default();
        self.spike = Spike::default();
        self.cusum = Cusum::default();
        self.findings = Findings::new(Row::Quality);
        self.usable = None;
    }

    /// How many spare transmitters it is shown.
    pub(crate) fn spares(&self) -> usize {
        if self.spares.is_some() { TRANSMITTERS - 1 } else { 0 }
    }

    /// Takes the newest sample of each transmitter, the tag's own first, and what the model expects of the tag.
    pub(crate) fn observe(
        &mut self,
        tag: Tagged<'_>,
        (own, spares): (Option<&Sample>, &[Option<Sample>]),
        expected: Option<f64>,
        look: Look,
    ) {
        let own = self.own.read(tag.checks, own, look);
        let together = match (&mut self.spares, spares) {
            (Some(memory), [second, third]) => {
                let [two, three] = &mut memory.transmitters;
                let (second, third) =
                    (two.read(tag.checks, second.as_ref(), look), three.read(tag.checks, third.as_ref(), look));
                self.put_together(tag, [own, second, third], look)
            }
            _ => Together::single(&own),
        };
        let faulty = together.quality.or(together.age).or(together.not_finite).is_some();
        self.usable = together.value.filter(|_| !faulty && !together.disagree);
        let faults = [
            (Row::Quality, together.quality),
            (Row::Age, together.age),
            (Row::NotFinite, together.not_finite),
            (Row::Sequence, together.sequence),
        ];
        for (row, fault) in faults {
            self.find(tag.name, row, fault, look);
        }
        self.watch(tag, &together, expected, look);
    }

    /// Checks 4 to 7, 9 and 10.
    fn watch(&mut self, tag: Tagged<'_>, together: &Together, expected: Option<f64>, look: Look) {
        let Some(value) = together.value else {
            self.rate.pass();
            for row in [Row::Range, Row::Rate, Row::Frozen, Row::Spike, Row::Residual, Row::Drift] {
                self.find(tag.name, row, None, look);
            }
            return;
        };
        let checks = tag.checks;
        let range = self.range.observe(checks, together.ends);
        let rate = self.rate.observe(checks.rate_max_per_s, value, together.taken);
        let expected = expected.filter(|e| e.is_finite());
        if together.is_new {
            if let Some(frozen) = checks.frozen {
                self.frozen.observe(frozen, value, look.moves);
            }
            if let Some(spike) = checks.spike {
                self.spike.observe(spike, value);
            }
            if let Some((cusum, expected)) = checks.cusum.zip(expected) {
                self.cusum.observe(cusum, value, expected);
            }
        }
        let away = checks.residual_max.zip(expected).and_then(|(most, expected)| residual(most, value, expected));
        let found = [
            (Row::Range, range),
            (Row::Rate, rate),
            (Row::Frozen, checks.frozen.and_then(|frozen| self.frozen.found(frozen))),
            (Row::Spike, self.spike.found),
            (Row::Residual, away),
            (Row::Drift, checks.cusum.zip(expected).and_then(|(cusum, _)| self.cusum.found(cusum))),
        ];
        for (row, fault) in found {
            self.find(tag.name, row, fault, look);
        }
    }

    /// Check 8.
    fn put_together(&mut self, tag: Tagged<'_>, readings: [Reading; TRANSMITTERS], look: Look) -> Together {
        let judged = !look.off.contains(CheckId::Redundancy);
        let tolerance = tag.checks.spares_tolerance.filter(|_| judged).unwrap_or(f64::INFINITY);
        let voted = vote(readings.map(|reading| reading.usable()), tolerance);
        let lost = readings.iter().zip(voted.votes).enumerate().find_map(|(n, (reading, votes))| {
            let deviates =
                || reading.value.filter(|_| !votes).map(|value| Fault::Deviates { value, voted: voted.value });
            let fault = reading.unusable().or(reading.sequence).or_else(deviates)?;
            let transmitter = u8::try_from(n + 1).unwrap_or(u8::MAX);
            Some(Cause::Transmitter { tag: tag.name, transmitter, fault })
        });
        self.findings.set(Row::Transmitter, lost.filter(|_| judged), look.now);
        let disagree = Fault::Disagree { low: voted.low, high: voted.high };
        let last = voted.votes.iter().position(|votes| *votes).unwrap_or_default();
        let one_left = Fault::OneLeft { transmitter: u8::try_from(last + 1).unwrap_or(u8::MAX) };
        let standing = |is: Standing| voted.standing == is && judged;
        self.find(tag.name, Row::TwoDisagree, standing(Standing::Disagree).then_some(disagree), look);
        self.find(tag.name, Row::OneLeft, standing(Standing::One).then_some(one_left), look);
        self.settle(&readings, &voted)
    }

    /// The value of the vote. It is new when everyone who has a vote has measured anew, so that a rate is taken over a
    /// whole sample; and it cannot be compared with the one before when others have voted.
    fn settle(&mut self, readings: &[Reading; TRANSMITTERS], voted: &Voted) -> Together {
        let [own, ..] = readings;
        let Some(spares) = &mut self.spares else { return Together::single(own) };
        if spares.voters != voted.votes {
            self.rate.restart();
            spares.voters = voted.votes;
            spares.heard = [false; TRANSMITTERS];
        }
        for (heard, reading) in spares.heard.iter_mut().zip(readings) {
            *heard |= reading.is_new;
        }
        let mut voters = spares.heard.iter().zip(voted.votes).filter(|(_, votes)| *votes);
        let is_new = voters.all(|(heard, _)| *heard);
        if is_new {
            spares.heard = [false; TRANSMITTERS];
        }
        let none = voted.standing == Standing::None;
        let times = readings.iter().zip(voted.votes).filter(|(_, votes)| *votes).map(|(r, _)| r.source_time);
        Together {
            quality: own.quality.filter(|_| none),
            age: own.age.filter(|_| none),
            not_finite: own.not_finite.filter(|_| none),
            sequence: own.sequence.filter(|_| readings.iter().all(|reading| reading.sequence.is_some())),
            value: Some(voted.value).filter(|_| !none),
            ends: (voted.low, voted.high),
            taken: times.max().unwrap_or(own.source_time),
            is_new,
            disagree: voted.standing == Standing::Disagree,
        }
    }

    fn find(&mut self, tag: Measured, row: Row, fault: Option<Fault>, look: Look) {
        let on = row.check().is_none_or(|check| !look.off.contains(check));
        let cause = fault.filter(|_| on).map(|fault| Cause::Measurement { tag, fault });
        self.findings.set(row, cause, look.now);
    }

    /// The value, if none of checks 1 to 3 speaks against it and it is not in dispute.
    pub(crate) fn usable(&self) -> Option<f64> {
        self.usable
    }

    /// Which checks are bypassed from now on.
    pub(crate) fn bypass(&mut self, checks: CheckSet) {
        self.findings.bypass(checks);
    }

    /// The active finding with the hardest effect.
    pub(crate) fn worst(&self, checks: &TagChecks, now: Stamp) -> Option<Hazard> {
        self.findings.worst(&checks.reactions, now)
    }

    /// Everything that is present, active or not.
    pub(crate) fn present(&self) -> impl Iterator<Item = Cause> {
        self.findings.present()
    }

    /// The first present finding that makes the value worthless: checks 1 to 3.
    pub(crate) fn unusable(&self) -> Option<Cause> {
        self.findings.present().find(|cause| matches!(cause.row(), Row::Quality | Row::Age | Row::NotFinite))
    }

    /// The first present finding that trips.
    pub(crate) fn tripping(&self, checks: &TagChecks) -> Option<Cause> {
        self.findings.tripping(&checks.reactions)
    }

    /// Tells what began and what ended.
    pub(crate) fn tell(&mut self, checks: &TagChecks, now: Stamp, events: &mut Events) {
        self.findings.tell(&checks.reactions, now, events);
    }
}

impl Together {
    fn single(own: &Reading) -> Self {
        let end = own.value.unwrap_or_default();
        Self {
            quality: own.quality,
            age: own.age,
            not_finite: own.not_finite,
            sequence: own.sequence,
            value: own.value,
            ends: (end, end),
            taken: own.source_time,
            is_new: own.is_new,
            disagree: false,
        }
    }
}
