//! The second half of a step: what may be written now. The only place where an [`ApprovedMove`] is made.

use signals::dcs::ModeRequest;
use signals::{Fixed, MAX_MVS, ProposedMove, Stamp, Values};

use super::Interlock;
use super::observe::Scan;
use crate::cause::Cause;
use crate::config::{MvChecks, Reach};
use crate::handshake::{MvScan, Service};
use crate::limits::Limited;
use crate::reaction::Effect;
use crate::verdict::{ApprovedMove, Event, Events, MoveKind, Recommended, State, Verdict, Withheld};

/// Set-points of all MVs, and which of them are ours and which are written.
#[derive(Default)]
struct SetPoints {
    u: Values<MAX_MVS>,
    in_service: Fixed<bool, MAX_MVS>,
    written: Fixed<bool, MAX_MVS>,
}

impl SetPoints {
    fn push(&mut self, u: f64, in_service: bool, written: bool) {
        // One per MV: there is room for as many as configuration admits.
        let _ = self.u.push(u);
        let _ = self.in_service.push(in_service);
        let _ = self.written.push(written);
    }
}

/// Where the MVs in service are to go.
enum Aim<'a> {
    /// Nowhere: the last approved value, or `SP_ACT` on the first approval of an MV.
    Stay,
    /// To the proposed values.
    Proposed(&'a ProposedMove),
    /// To the safe values.
    Safe,
}

impl Interlock {
    /// The verdict, and whether a command was cut back.
    pub(super) fn act(&mut self, scan: &Scan<'_>, events: &mut Events) -> (Verdict, bool) {
        let fresh_cycle = self.spent_cycle != Some(scan.inputs.cycle);
        let verdict = match self.state {
            State::Boot | State::Tripped => Verdict::Trip(self.tripped_by),
            State::Shed => {
                let cause = self.first_out.map_or(Cause::Boot, |f| f.cause);
                Verdict::Withhold(Withheld::Shed(cause))
            }
            State::Advisory => match scan.inputs.proposal {
                Some(proposal) => self.recommend(proposal, scan),
                None => self.track(scan),
            },
            State::Ready | State::Armed => self.track(scan),
            State::Active => return self.move_on(scan, events),
            State::Hold | State::Ramp if !fresh_cycle => {
                Verdict::Withhold(self.began.map_or(Withheld::NothingDue, |b| Withheld::Active(b.cause)))
            }
            State::Hold => self.approve_aim(&Aim::Stay, scan, events).0,
            State::Ramp => self.approve_aim(&Aim::Safe, scan, events).0,
        };
        (verdict, false)
    }

    /// Active: the zero move of an engagement first, then one proposal per cycle. A step is built only on a step that
    /// has landed: while the last approval is not confirmed it is written again, or steps that never arrived would add
    /// up to one that breaks the rate (I2).
    fn move_on(&mut self, scan: &Scan<'_>, events: &mut Events) -> (Verdict, bool) {
        let cycle = scan.inputs.cycle;
        if std::mem::take(&mut self.zero_due) {
            return self.approve_aim(&Aim::Stay, scan, events);
        }
        let withheld = match scan.inputs.proposal {
            None => Withheld::NothingDue,
            Some(p) if p.valid_until < scan.now || p.cycle.saturating_add(1) < cycle => Withheld::Expired,
            Some(_) if self.spent_cycle == Some(cycle) => Withheld::CycleSpent,
            Some(_) if !self.writes.settled() => return self.approve_aim(&Aim::Stay, scan, events),
            Some(p) => return self.approve_aim(&Aim::Proposed(p), scan, events),
        };
        (Verdict::Withhold(withheld), false)
    }

    fn approve_aim(&mut self, aim: &Aim<'_>, scan: &Scan<'_>, events: &mut Events) -> (Verdict, bool) {
        let (mut points, mut clamped) = (SetPoints::default(), false);
        for mv in 0..self.mvs.len() {
            let seen = scan.mv(mv);
            if seen.service != Service::In {
                let u = seen.track.or(seen.sp_act).unwrap_or(self.last(mv));
                points.push(u, false, self.trackable(mv, &seen));
                continue;
            }
            let Limited { u, by } = self.command(mv, &seen, aim);
            points.push(u, true, true);
            if let (Aim::Proposed(p), Some(by)) = (aim, by) {
                clamped = true;
                let asked = p.u.get(mv).copied().unwrap_or(u);
                let _ = events.push(Event::Clamped { mv: u8::try_from(mv).unwrap_or(u8::MAX), asked, given: u, by });
            }
        }
        let until = match aim {
            Aim::Proposed(p) => p.valid_until,
            Aim::Stay | Aim::Safe => Stamp::from_nanos(i64::MAX),
        };
        (self.approve(MoveKind::Move, points, until, scan), clamped)
    }

    /// The set-point of an MV in service. One that was not ours at the last approval starts where the DCS has it.
    fn command(&self, mv: usize, seen: &MvScan, aim: &Aim<'_>) -> Limited {
        let last = self.last(mv);
        let held = self.mvs.get(mv).is_some_and(|memory| memory.in_service);
        let base = if held { last } else { seen.sp_act.unwrap_or(last) };
        let Some(bounds) = seen.bounds else { return Limited { u: last, by: None } };
        let asked = match aim {
            Aim::Proposed(p) if held => p.u.get(mv).copied(),
            Aim::Safe if held => self.config.mvs.get(mv).and_then(|checks| checks.ramp_safe_value),
            _ => None,
        };
        match asked {
            Some(asked) => bounds.limit(asked, base, self.config.switched_off),
            None => Limited { u: bounds.hard.nearest(base), by: None },
        }
    }

    /// Whether the ramp has nothing left to move: every MV is at its safe value, or as near as its bounds let it.
    pub(super) fn ramp_ended(&self, scan: &Scan<'_>) -> bool {
        let ours = (0..self.mvs.len()).map(|mv| (mv, scan.mv(mv))).filter(|(_, seen)| seen.service == Service::In);
        let mut left = ours.map(|(mv, seen)| {
            let still = self.command(mv, &seen, &Aim::Stay).u;
            let tolerance = self.config.mvs.get(mv).map_or(0.0, MvChecks::tolerance);
            (self.command(mv, &seen, &Aim::Safe).u - still).abs() > tolerance
        });
        !left.any(|moves| moves)
    }

    /// Once per cycle, `SP_REQ := SP_ACT`; only where the loop may engage at all, is asked to run, and has a DCS to
    /// write to.
    fn track(&mut self, scan: &Scan<'_>) -> Verdict {
        if self.config.reach < Reach::ClosedLoop || scan.request == ModeRequest::Off {
            self.writes.forget();
            return Verdict::Withhold(Withheld::NotEngaged);
        }
        if let Some(cause) = scan.silence {
            return Verdict::Withhold(Withheld::Active(cause));
        }
        let any = scan.mvs.iter().any(|mv| mv.track.is_some());
        if self.spent_cycle == Some(scan.inputs.cycle) || !any {
            return Verdict::Withhold(Withheld::NothingDue);
        }
        let mut points = SetPoints::default();
        for mv in 0..self.mvs.len() {
            let seen = scan.mv(mv);
            let u = seen.track.or(seen.sp_act).unwrap_or(self.last(mv));
            points.push(u, false, seen.track.is_some());
        }
        self.approve(MoveKind::Track, points, Stamp::from_nanos(i64::MAX), scan)
    }

    /// Advisory: the proposal inside the bounds that a move would have to keep, for a person to judge.
    fn recommend(&mut self, proposal: &ProposedMove, scan: &Scan<'_>) -> Verdict {
        if let Some(cause) = scan.hazard_from(Effect::Hold) {
            return Verdict::Withhold(Withheld::Active(cause));
        }
        if proposal.valid_until < scan.now || proposal.cycle.saturating_add(1) < scan.inputs.cycle {
            return Verdict::Withhold(Withheld::Expired);
        }
        let mut shown = Recommended {
            u: Values::new(),
            concerns: Fixed::new(),
            cut: Fixed::new(),
            low: Values::new(),
            high: Values::new(),
            proposer: proposal.proposer,
            cycle: proposal.cycle,
            valid_until: proposal.valid_until,
        };
        for (mv, asked) in proposal.u.iter().enumerate() {
            let seen = scan.mv(mv);
            let present = seen.sp_act.filter(|_| seen.service.takes_part()).zip(seen.bounds);
            let limited = present.map(|(sp, bounds)| bounds.limit(*asked, sp, self.config.switched_off));
            let range = present.map(|(sp, bounds)| bounds.in_time(sp));
            let still = seen.sp_act.unwrap_or(self.last(mv));
            // One per MV: there is room for as many as configuration admits.
            let _ = shown.u.push(limited.map_or(still, |limited| limited.u));
            let _ = shown.concerns.push(limited.is_some());
            let _ = shown.cut.push(limited.and_then(|limited| limited.by));
            let _ = shown.low.push(range.map_or(still, |range| range.lo));
            let _ = shown.high.push(range.map_or(still, |range| range.hi));
        }
        Verdict::Recommend(shown)
    }

    fn last(&self, mv: usize) -> f64 {
        self.mvs.get(mv).map_or(0.0, |memory| memory.last)
    }

    /// Whether an MV that is not ours may have its set-point tracked.
    fn trackable(&self, mv: usize, seen: &MvScan) -> bool {
        seen.track.is_some() && self.mvs.get(mv).is_some_and(|memory| !memory.failed)
    }

    /// Makes the approval and remembers it. It lapses after a period at the latest: by then there is a newer one.
    fn approve(&mut self, kind: MoveKind, points: SetPoints, until: Stamp, scan: &Scan<'_>) -> Verdict {
        let cycle = scan.inputs.cycle;
        let SetPoints { u, in_service, written } = points;
        for (memory, (u, ours)) in self.mvs.iter_mut().zip(u.iter().zip(&in_service)) {
            memory.last = *u;
            memory.in_service = *ours;
        }
        self.spent_cycle = Some(cycle);
        let lease = match kind {
            MoveKind::Move => self.lease.granted().unwrap_or_default(),
            MoveKind::Track => scan.inputs.dcs.lease.value,
        };
        Verdict::Pass(ApprovedMove {
            id: self.writes.next_id(scan.now),
            kind,
            u,
            in_service,
            written,
            lease,
            cycle,
            valid_until: until.min(scan.now + self.config.period),
        })
    }
}
