//! What checks have found: since when, and whether it has been told.

use signals::Stamp;

use crate::cause::Cause;
use crate::check::CheckSet;
use crate::config::Reactions;
use crate::reaction::{Effect, Reaction};
use crate::row::Row;
use crate::verdict::{Event, Events};

/// A cause with its effect.
pub(crate) type Hazard = (Effect, Cause);

/// The harder of two hazards; of equals the first.
pub(crate) fn harder(a: Option<Hazard>, b: Option<Hazard>) -> Option<Hazard> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.0 > a.0 { b } else { a }),
        (a, b) => a.or(b),
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Finding {
    present: Option<Cause>,
    since: Stamp,
    told: Option<Cause>,
}

impl Finding {
    fn active(&self, reaction: Reaction, now: Stamp) -> Option<Cause> {
        self.present.filter(|_| now.since(self.since) >= reaction.delay)
    }
}

/// The findings of one subject, one for each of `N` rows of the matrix that follow each other. Those of a bypassed check are
/// told, as warnings, and have no other effect; neither do they keep a reset back ([`crate::bypass`]).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Findings<const N: usize> {
    first: Row,
    /// Something is present or was told: what is quiet costs a step nothing.
    live: bool,
    bypassed: CheckSet,
    findings: [Finding; N],
}

impl<const N: usize> Findings<N> {
    pub(crate) fn new(first: Row) -> Self {
        Self { first, live: false, bypassed: CheckSet::EMPTY, findings: [Finding::default(); N] }
    }

    /// Which checks are bypassed from now on.
    pub(crate) fn bypass(&mut self, checks: CheckSet) {
        self.bypassed = checks;
    }

    /// What the check of `row` sees in this step.
    pub(crate) fn set(&mut self, row: Row, cause: Option<Cause>, now: Stamp) {
        if cause.is_none() && !self.live {
            return;
        }
        let place = row.place().checked_sub(self.first.place());
        let Some(finding) = place.and_then(|place| self.findings.get_mut(place)) else { return };
        if finding.present.is_none() && cause.is_some() {
            finding.since = now;
            self.live = true;
        }
        finding.present = cause;
    }

    /// The active finding with the hardest effect; of equals the one of the first row.
    pub(crate) fn worst(&self, reactions: &Reactions<N>, now: Stamp) -> Option<Hazard> {
        let active = self.lively().filter_map(|(place, finding)| {
            let reaction = reactions.at(place)?;
            let cause = finding.active(reaction, now)?;
            Some((effect(self.bypassed, reaction, &cause), cause))
        });
        active.fold(None, |worst, hazard| harder(worst, Some(hazard)))
    }

    /// What is present, active or not, and not bypassed.
    pub(crate) fn present(&self) -> impl Iterator<Item = Cause> {
        let present = self.lively().filter_map(|(_, finding)| finding.present);
        present.filter(move |cause| !is_bypassed(self.bypassed, cause))
    }

    /// The first present finding that trips.
    pub(crate) fn tripping(&self, reactions: &Reactions<N>) -> Option<Cause> {
        let trips = |place| reactions.at(place).is_some_and(|reaction| reaction.effect == Effect::Trip);
        let mut tripping = self.lively().filter(|(place, _)| trips(*place)).filter_map(|(_, finding)| finding.present);
        tripping.find(|cause| !is_bypassed(self.bypassed, cause))
    }

    /// Tells what became active and what is over. What finds no room in `events` is offered again at the next step.
    pub(crate) fn tell(&mut self, reactions: &Reactions<N>, now: Stamp, events: &mut Events) {
        if !self.live {
            return;
        }
        self.live = false;
        let bypassed = self.bypassed;
        let raised = |reaction, cause| Event::Raised { cause, effect: effect(bypassed, reaction, &cause) };
        for (place, finding) in self.findings.iter_mut().enumerate() {
            let Some(reaction) = reactions.at(place) else { continue };
            match (finding.told, finding.active(reaction, now)) {
                (None, Some(cause)) if events.push(raised(reaction, cause)).is_ok() => {
                    finding.told = Some(cause);
                }
                (Some(cause), None) if finding.present.is_none() && events.push(Event::Cleared { cause }).is_ok() => {
                    finding.told = None;
                }
                _ => {}
            }
            self.live |= finding.present.is_some() || finding.told.is_some();
        }
    }

    fn lively(&self) -> impl Iterator<Item = (usize, &Finding)> {
        let findings = if self.live { &self.findings[..] } else { &[] };
        findings.iter().enumerate()
    }
}

fn is_bypassed(bypassed: CheckSet, cause: &Cause) -> bool {
    cause.check().is_some_and(|check| bypassed.contains(check))
}

/// What a cause does; one of a bypassed check warns.
fn effect(bypassed: CheckSet, reaction: Reaction, cause: &Cause) -> Effect {
    if is_bypassed(bypassed, cause) { Effect::Warn } else { reaction.effect }
}
