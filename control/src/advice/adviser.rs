//! The keeper of the open recommendation: it offers, hears answers, and lets lapse.

use signals::dcs::{DcsView, Reading, RecStatus};
use signals::{Fixed, MAX_CVS, MAX_MVS, Stamp, Values};

use super::{
    Advice, Advised, AdviserConfig, AdviserInput, Answer, CvEffect, End, Foretold, News, Proposed, Tally, Verdict,
    Worth,
};

/// Cycles without a plan after which the open recommendation is withdrawn: nobody stands by it any more.
const UNBACKED_MAX: u64 = 2;
/// Recommendations not taken whose horizon is looked at together; of more, the oldest is let go.
const WATCHED_MAX: usize = 32;

/// One of the two answer tags: the last good number, and an answer that waits to be judged.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Ear {
    last: Option<u32>,
    due: Option<Heard>,
}

/// An answer: the number that it quotes, when it was seen, and in which image.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Heard {
    id: u32,
    at: Stamp,
    image: u64,
}

impl Ear {
    /// An answer is a change between two good readings to a number other than 0.
    fn listen(&mut self, reading: &Reading<u32>, at: Stamp, image: u64) {
        let Some(id) = reading.good() else { return };
        if self.last.replace(id).is_some_and(|last| last != id) && id != 0 {
            self.due = Some(Heard { id, at, image });
        }
    }

    /// The answer that was seen in an earlier image than this.
    fn take(&mut self, image: u64) -> Option<Heard> {
        self.due.take_if(|heard| heard.image != image)
    }
}

/// A recommendation that was not taken, whose horizon is not over.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Watched {
    id: u32,
    until: Stamp,
    /// The CVs that were outside when it was offered.
    outside: Fixed<bool, MAX_CVS>,
}

/// Keeps the recommendations of one loop.
#[derive(Clone, Copy, Debug)]
pub struct Adviser {
    config: AdviserConfig,
    accept: Ear,
    reject: Ear,
    /// The number of the newest recommendation; `None` before the answer tags were read.
    number: Option<u32>,
    newest: Option<Advice>,
    status: RecStatus,
    /// The last answered one, and until when the same is not offered again.
    settled: Option<(Advice, Stamp)>,
    /// The cycle of the last plan that led somewhere.
    backed: u64,
    stale_id: u32,
    watched: Fixed<Watched, WATCHED_MAX>,
    tally: Tally,
}

impl Adviser {
    /// Nothing recommended yet.
    #[must_use]
    pub fn new(config: AdviserConfig) -> Self {
        let mvs = Fixed::filled(super::MvTally::default(), config.mvs.len());
        Self {
            config,
            accept: Ear::default(),
            reject: Ear::default(),
            number: None,
            newest: None,
            status: RecStatus::None,
            settled: None,
            backed: 0,
            stale_id: 0,
            watched: Fixed::new(),
            tally: Tally { mvs, ..Tally::default() },
        }
    }

    /// One step: at every scan, and once more when a proposal comes. `foretell` is asked for the effect of set-points that
    /// are to be offered, and may not know; `tell` is told what is to be written down, in its order.
    pub fn step(
        &mut self,
        input: &AdviserInput<'_>,
        foretell: &mut dyn FnMut(&Values<MAX_MVS>) -> Option<Foretold>,
        tell: &mut dyn FnMut(News),
    ) -> Advised {
        self.look_for_violations(input, tell);
        for answer in [Answer::Reject, Answer::Accept] {
            let ear = if answer == Answer::Accept { &mut self.accept } else { &mut self.reject };
            if let Some(heard) = ear.take(input.image) {
                self.judge(answer, heard, input.dcs, tell);
            }
        }
        let rec = &input.dcs.rec;
        self.accept.listen(&rec.accept, input.now, input.image);
        self.reject.listen(&rec.reject, input.now, input.image);
        if let (None, Some(accept), Some(reject)) = (self.number, self.accept.last, self.reject.last) {
            self.number = Some(accept.max(reject));
        }
        self.tally_and_offer(input, foretell, tell);
        Advised { advice: self.newest, status: self.status, stale_id: self.stale_id, tally: self.tally }
    }

    fn tally_and_offer(
        &mut self,
        input: &AdviserInput<'_>,
        foretell: &mut dyn FnMut(&Values<MAX_MVS>) -> Option<Foretold>,
        tell: &mut dyn FnMut(News),
    ) {
        if let Some(proposed) = input.proposed {
            self.tally.proposal(proposed);
        }
        if self.accept.due.is_some() || self.reject.due.is_some() {
            return;
        }
        let wanted = input.proposed.and_then(|proposed| Some((proposed, proposed.bounded()?)));
        if wanted.is_some() {
            self.backed = input.cycle;
        }
        let unbacked = input.cycle.saturating_sub(self.backed) > UNBACKED_MAX;
        match self.open() {
            Some(open) if !input.advising || unbacked => self.end(open, End::Withdrawn, input.now, tell),
            Some(open) if input.now > open.expires_at => self.end(open, End::Expired, input.now, tell),
            _ => {}
        }
        let Some((proposed, u)) = wanted.filter(|_| input.advising) else { return };
        if self.same_is_known(&u, &proposed.concerns, input.now) {
            return;
        }
        if let Some(open) = self.open() {
            self.end(open, End::Superseded, input.now, tell);
        }
        let worth = self.differs(&u, &proposed.u_now, &proposed.concerns, |worth| worth.offer);
        if let (true, Some(number), Some(foretold)) = (worth, self.number, foretell(&u)) {
            self.offer(number, (proposed, u, foretold), input, tell);
        }
    }

    /// The recommendation that waits for an answer.
    fn open(&self) -> Option<Advice> {
        self.newest.filter(|_| self.status == RecStatus::Open)
    }

    /// Whether these set-points are what is open, or what was answered a short while ago.
    fn same_is_known(&self, u: &Values<MAX_MVS>, concerns: &Fixed<bool, MAX_MVS>, now: Stamp) -> bool {
        let settled = self.settled.filter(|(_, until)| now <= *until).map(|(advice, _)| advice);
        self.open().or(settled).is_some_and(|known| {
            known.concerns == *concerns && !self.differs(u, &known.u, concerns, |worth| worth.supersede)
        })
    }

    fn differs(
        &self,
        a: &Values<MAX_MVS>,
        b: &Values<MAX_MVS>,
        concerns: &Fixed<bool, MAX_MVS>,
        by: impl Fn(&Worth) -> f64,
    ) -> bool {
        let mvs = a.iter().zip(b).zip(concerns).zip(&self.config.mvs);
        mvs.into_iter().any(|(((a, b), concerned), worth)| *concerned && (a - b).abs() > by(worth))
    }

    fn offer(
        &mut self,
        number: u32,
        (proposed, u, foretold): (&Proposed, Values<MAX_MVS>, Foretold),
        input: &AdviserInput<'_>,
        tell: &mut dyn FnMut(News),
    ) {
        let id = number.wrapping_add(1).max(1);
        let advice = Advice {
            id,
            cycle: proposed.cycle,
            proposer: proposed.proposer,
            offered_at: input.now,
            expires_at: input.now + self.config.expiry,
            from: proposed.u_now,
            u,
            concerns: proposed.concerns,
            effects: effects(input.dcs, &foretold),
        };
        (self.number, self.newest, self.status) = (Some(id), Some(advice), RecStatus::Open);
        self.tally.offer(speaks_of(&self.config, &advice));
        tell(News::Offered(advice));
    }

    fn judge(&mut self, answer: Answer, heard: Heard, dcs: &DcsView, tell: &mut dyn FnMut(News)) {
        let Heard { id, at, .. } = heard;
        let user = dcs.rec.user.good().unwrap_or_default();
        let newest = self.newest.filter(|advice| advice.id == id);
        let open = newest.filter(|advice| self.status == RecStatus::Open && at <= advice.expires_at);
        let verdict = match open {
            None => Verdict::Stale,
            Some(_) if user.as_str().trim().is_empty() => Verdict::Unsigned,
            Some(_) => Verdict::Taken,
        };
        match (verdict, open) {
            (Verdict::Taken, Some(advice)) => {
                self.status = if answer == Answer::Accept { RecStatus::Accepted } else { RecStatus::Rejected };
                self.settled = Some((advice, at + self.config.expiry));
                self.tally.answer(answer, at.since(advice.offered_at), speaks_of(&self.config, &advice));
                if answer == Answer::Reject {
                    self.not_taken(&advice);
                }
            }
            (Verdict::Unsigned, _) => self.tally.refused_unsigned += 1,
            _ => {
                self.stale_id = id;
                self.tally.refused_stale += 1;
            }
        }
        tell(News::Answered { at, id, answer, user, verdict, advice: newest });
    }

    fn end(&mut self, open: Advice, end: End, at: Stamp, tell: &mut dyn FnMut(News)) {
        match end {
            End::Expired => {
                self.status = RecStatus::Expired;
                self.tally.expired += 1;
                self.not_taken(&open);
            }
            End::Superseded => {
                self.status = RecStatus::Withdrawn;
                self.tally.superseded += 1;
            }
            End::Withdrawn => {
                self.status = RecStatus::Withdrawn;
                self.tally.withdrawn += 1;
            }
        }
        tell(News::Ended { at, id: open.id, end });
    }

    /// From here on its horizon is looked at, counted from the offer.
    fn not_taken(&mut self, advice: &Advice) {
        self.tally.untaken += 1;
        let outside = Fixed::collect(advice.effects.iter().map(CvEffect::is_outside));
        let watched = Watched { id: advice.id, until: advice.offered_at + self.config.horizon, outside };
        if let Err(watched) = self.watched.push(watched) {
            self.watched = Fixed::collect(self.watched.iter().skip(1).copied().chain([watched]));
        }
    }

    fn look_for_violations(&mut self, input: &AdviserInput<'_>, tell: &mut dyn FnMut(News)) {
        if self.watched.is_empty() {
            return;
        }
        let outside = |cv: usize| input.dcs.cvs.get(cv).is_some_and(|cv| asked(cv).is_outside());
        let mut left = Fixed::new();
        for watched in self.watched.iter().filter(|watched| input.now <= watched.until) {
            let mut cvs = watched.outside.iter().enumerate();
            match cvs.find(|(cv, before)| !**before && outside(*cv)) {
                Some((cv, _)) => {
                    self.tally.untaken_violated += 1;
                    let cv = u8::try_from(cv).unwrap_or(u8::MAX);
                    tell(News::Violated { at: input.now, id: watched.id, cv });
                }
                // There is room: it comes from as many.
                None => drop(left.push(*watched)),
            }
        }
        self.watched = left;
    }
}

impl Proposed {
    /// Where the plan leads, inside the bounds; an MV that it does not speak of stays.
    fn bounded(&self) -> Option<Values<MAX_MVS>> {
        // `max` and `min` would take a NaN for a bound.
        let target = self.target.filter(|target| target.iter().all(|u| u.is_finite()))?;
        let bounds = self.low.iter().zip(&self.high).map(|(low, high)| (*low, *high));
        let inside = target.iter().zip(bounds).map(|(target, (low, high))| target.max(low).min(high));
        let moved = inside.zip(&self.u_now).zip(&self.concerns);
        let u = Values::collect(moved.map(|((inside, now), concerned)| if *concerned { inside } else { *now }));
        (u.len() == target.len() && u.iter().all(|u| u.is_finite())).then_some(u)
    }
}

/// Per MV, whether the recommendation changes it by what is worth an offer.
fn speaks_of(config: &AdviserConfig, advice: &Advice) -> impl Iterator<Item = bool> {
    let (config, advice) = (*config, *advice);
    let speaks = move |mv: usize| {
        let change = Some((advice.u.get(mv)? - advice.from.get(mv)?).abs());
        change.zip(config.mvs.get(mv)).map(|(change, worth)| change > worth.offer)
    };
    (0..config.mvs.len()).map(move |mv| speaks(mv).unwrap_or(false))
}

/// What the operator asks of a CV, and where it is.
fn asked(cv: &signals::dcs::CvRead) -> CvEffect {
    let on = cv.opr_on.good() == Some(true);
    let limits = cv.lo_opr.finite().zip(cv.hi_opr.finite()).filter(|(low, high)| low <= high);
    CvEffect {
        pv: cv.pv.finite(),
        setpoint: cv.sp_opr.finite().filter(|_| on),
        limits: limits.filter(|_| on),
        ..CvEffect::default()
    }
}

fn effects(dcs: &DcsView, foretold: &Foretold) -> Fixed<CvEffect, MAX_CVS> {
    let cvs = dcs.cvs.iter().zip(foretold.hold.iter().zip(&foretold.pred));
    Fixed::collect(cvs.map(|(cv, (hold, pred))| CvEffect { hold: *hold, pred: *pred, ..asked(cv) }))
}
