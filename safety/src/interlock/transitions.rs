//! The state machine. Of the causes active in a step the hardest decides (I15); the operator's good request to stop
//! outranks only what is the stop itself: a lease withdrawn and MVs taken out of RCAS along with it.

use signals::Stamp;
use signals::dcs::ModeRequest;

use super::Interlock;
use super::observe::Scan;
use crate::cause::{Cause, Silence};
use crate::check::CheckId;
use crate::checks::{BalanceMonitor, Hazard, TagMonitor, harder};
use crate::config::{Reach, Role};
use crate::handshake::Service;
use crate::reaction::Effect;
use crate::verdict::{Event, Events, FirstOut, Refusal, State, Why};

impl Interlock {
    pub(super) fn transition(&mut self, scan: &Scan<'_>, events: &mut Events) {
        if let Some(edge) = scan.edge.filter(|_| !self.config.switched_off.contains(CheckId::OperatorMode)) {
            let _ = events.push(Event::Asked { from: edge.from, to: edge.to });
        }
        if self.state == State::Boot {
            let boot = FirstOut { cause: Cause::Boot, at: scan.now, cycle: scan.inputs.cycle };
            self.first_out.get_or_insert(boot);
            return self.go(State::Tripped, Why::Started, scan, events);
        }
        if let Some(cause) = scan.hazard_from(Effect::Trip).filter(|_| self.state != State::Tripped) {
            self.latch_first(cause, scan);
            self.tripped_by = cause;
            self.go(State::Tripped, Why::Cause(cause), scan, events);
            return self.spend_edge(Refusal::CausePresent(cause), scan, events);
        }
        match self.state {
            State::Boot | State::Tripped | State::Shed => self.when_latched(scan, events),
            State::Ready | State::Advisory => self.when_standby(scan, events),
            State::Armed => self.when_armed(scan, events),
            State::Active | State::Hold | State::Ramp => self.when_engaged(scan, events),
        }
    }

    fn go(&mut self, to: State, why: Why, scan: &Scan<'_>, events: &mut Events) {
        // The log of a step has room for its few transitions: they come first.
        let _ = events.push(Event::Changed { from: self.state, to, why });
        if self.state.is_engaged() && !to.is_engaged() {
            self.writes.forget();
            self.zero_due = false;
            for mv in &mut self.mvs {
                mv.in_service = false;
            }
        }
        if !matches!(to, State::Hold | State::Ramp) {
            self.began = None;
        }
        if to == State::Tripped {
            self.dcs.rest();
        }
        self.state = to;
        self.entered = scan.now;
    }

    fn latch_first(&mut self, cause: Cause, scan: &Scan<'_>) {
        self.first_out.get_or_insert(FirstOut { cause, at: scan.now, cycle: scan.inputs.cycle });
    }

    fn spend_edge(&self, refusal: Refusal, scan: &Scan<'_>, events: &mut Events) {
        if let Some(edge) = scan.edge.filter(|edge| edge.to > edge.from) {
            let _ = events.push(Event::Refused { asked: edge.to, refusal });
        }
    }

    /// Tripped and Shed: the operator's edge from OFF, and nothing else.
    fn when_latched(&mut self, scan: &Scan<'_>, events: &mut Events) {
        let Some(edge) = scan.edge.filter(|edge| edge.from == ModeRequest::Off) else { return };
        if let Some(refusal) = self.reset_refusal(scan) {
            return self.spend_edge(refusal, scan, events);
        }
        self.first_out = None;
        self.tripped_by = Cause::Boot; // The next trip names its own.
        self.go(State::Ready, Why::Operator(edge.to), scan, events);
    }

    fn reset_refusal(&self, scan: &Scan<'_>) -> Option<Refusal> {
        if let Some(cause) = scan.hazard_from(Effect::Trip) {
            return Some(Refusal::CausePresent(cause));
        }
        if let Some(cause) = self.present_cause() {
            return Some(Refusal::CausePresent(cause));
        }
        let mut critical = self.tags.iter().zip(&self.config.tags).filter(|(_, checks)| checks.role == Role::Critical);
        if let Some(cause) = critical.find_map(|(monitor, _)| monitor.unusable()) {
            return Some(Refusal::DataNotUsable(cause));
        }
        self.link_refusal(scan).or((!scan.permit()).then_some(Refusal::NoPermit))
    }

    /// What is present, active or not, and either trips or is what latched: a cause of the same code.
    fn present_cause(&self) -> Option<Cause> {
        let config = &self.config;
        let tags = self.tags.iter().zip(&config.tags).find_map(|(monitor, checks)| monitor.tripping(checks));
        let balances = self.balances.iter().zip(&config.balances).find_map(|(monitor, of)| monitor.tripping(of));
        let mvs = self.mvs.iter().zip(&config.mvs).find_map(|(memory, checks)| memory.monitor.tripping(checks));
        let tripping = tags.or(balances).or(mvs).or(self.host.tripping(&config.reactions));
        let latched = [self.first_out.map(|f| f.cause), Some(self.tripped_by)].map(|cause| cause.map(|c| c.code()));
        let present = self.tags.iter().flat_map(TagMonitor::present);
        let present = present.chain(self.balances.iter().flat_map(BalanceMonitor::present));
        let present = present.chain(self.mvs.iter().flat_map(|memory| memory.monitor.present()));
        let mut present = present.chain(self.host.present());
        tripping.or_else(|| present.find(|cause| latched.contains(&Some(cause.code()))))
    }

    /// The DCS must be alive and the link up, at this step and not only within the time-out.
    fn link_refusal(&self, scan: &Scan<'_>) -> Option<Refusal> {
        let down = (!scan.inputs.link_up).then_some(Cause::DcsSilent { source: Silence::Link });
        down.or(scan.silence).map(Refusal::DcsNotAlive)
    }

    /// Ready and Advisory. An edge to ON arms; ADVISORY is obeyed as it stands, for it writes nothing.
    fn when_standby(&mut self, scan: &Scan<'_>, events: &mut Events) {
        if scan.edge.is_some_and(|edge| edge.to == ModeRequest::On) {
            return match self.arming_refusal(scan) {
                Some(refusal) => self.spend_edge(refusal, scan, events),
                None => self.arm(scan, events),
            };
        }
        match (self.state, scan.request) {
            (State::Ready, ModeRequest::Advisory) if self.config.reach >= Reach::Advisory => {
                self.go(State::Advisory, Why::Operator(scan.request), scan, events);
            }
            (State::Ready, ModeRequest::Advisory) => self.spend_edge(Refusal::BeyondReach, scan, events),
            (State::Advisory, ModeRequest::Off | ModeRequest::Warm) => {
                self.go(State::Ready, Why::Operator(scan.request), scan, events);
            }
            _ => {}
        }
    }

    fn arming_refusal(&self, scan: &Scan<'_>) -> Option<Refusal> {
        if self.config.reach < Reach::ClosedLoop {
            return Some(Refusal::BeyondReach);
        }
        if let Some(cause) = scan.hazard_from(Effect::StandDown) {
            return Some(Refusal::CausePresent(cause));
        }
        let lease = scan.inputs.dcs.lease.good();
        self.link_refusal(scan)
            .or((!scan.permit()).then_some(Refusal::NoPermit))
            .or((!scan.wd_ok()).then_some(Refusal::WatchdogTripped))
            .or(lease.is_none().then_some(Refusal::NoLease))
    }

    fn arm(&mut self, scan: &Scan<'_>, events: &mut Events) {
        if let Some(present) = scan.inputs.dcs.lease.good() {
            self.lease.arm(present);
            self.writes.arm();
            self.go(State::Armed, Why::Operator(scan.request), scan, events);
        }
    }

    fn stand_down(&mut self, scan: &Scan<'_>, events: &mut Events) {
        let to = if scan.request == ModeRequest::Advisory { State::Advisory } else { State::Ready };
        self.go(to, Why::Operator(scan.request), scan, events);
    }

    fn when_armed(&mut self, scan: &Scan<'_>, events: &mut Events) {
        if scan.request < ModeRequest::On {
            return self.stand_down(scan, events);
        }
        if let Some(cause) = scan.withdrawn().or(scan.hazard_from(Effect::StandDown)) {
            return self.go(State::Ready, Why::Cause(cause), scan, events);
        }
        if scan.now.since(self.entered) >= self.config.armed_timeout {
            return self.go(State::Ready, Why::ArmedTimeout, scan, events);
        }
        self.lease.observe(scan.inputs.dcs.lease.good());
        if let Some(lease) = self.lease.granted().filter(|_| self.may_engage(scan)) {
            self.lease.engage();
            self.zero_due = true;
            self.engaged_at = scan.now;
            self.go(State::Active, Why::Engaged { lease }, scan, events);
        }
    }

    /// Every MV that takes part is in RCAS on a set-point that was tracked, and nothing would hold the loop at once.
    fn may_engage(&self, scan: &Scan<'_>) -> bool {
        let mut part = scan.mvs.iter().filter(|mv| mv.service.takes_part()).peekable();
        let solves = self.solver_hazard().is_none_or(|hazard| hazard.0 < Effect::Hold);
        let healthy = scan.hazard_from(Effect::Hold).is_none() && solves;
        healthy && self.writes.tracked() && part.peek().is_some() && part.all(|mv| mv.service == Service::In)
    }

    fn when_engaged(&mut self, scan: &Scan<'_>, events: &mut Events) {
        let hazard = self.engaged_hazard(scan);
        if let Some((Effect::Shed, cause)) = hazard {
            return self.shed(cause, Why::Cause(cause), scan, events);
        }
        if scan.request < ModeRequest::On {
            return self.stand_down(scan, events);
        }
        if let Some((Effect::StandDown, cause)) = hazard {
            return self.go(State::Ready, Why::Cause(cause), scan, events);
        }
        match (self.state, hazard) {
            (State::Active | State::Hold, Some((Effect::Ramp, cause))) => self.fall(State::Ramp, cause, scan, events),
            (State::Active, Some((Effect::Hold, cause))) => self.fall(State::Hold, cause, scan, events),
            (State::Hold, None | Some((Effect::Warn | Effect::Clamp, _))) => {
                self.go(State::Active, Why::Healthy, scan, events);
            }
            (State::Hold, Some((_, cause))) if self.hold_is_over(scan.now) => {
                let cause = self.began.map_or(cause, |b| b.cause);
                match self.ramp_ended(scan) {
                    true => self.shed(cause, Why::HoldExpired(cause), scan, events),
                    false => self.go(State::Ramp, Why::HoldExpired(cause), scan, events),
                }
            }
            _ => {}
        }
        if let Some(began) = self.began.filter(|_| self.state == State::Ramp && self.ramp_ended(scan)) {
            self.shed(began.cause, Why::RampEnded(began.cause), scan, events);
        }
    }

    fn hold_is_over(&self, now: Stamp) -> bool {
        now.since(self.entered) >= self.config.period.saturating_mul(self.config.hold_periods)
    }

    /// Active or Hold to Hold or Ramp, remembering what began it.
    fn fall(&mut self, to: State, cause: Cause, scan: &Scan<'_>, events: &mut Events) {
        self.go(to, Why::Cause(cause), scan, events);
        self.began.get_or_insert(FirstOut { cause, at: scan.now, cycle: scan.inputs.cycle });
    }

    /// What came first is what began the Hold or Ramp, if that is what sheds; else the present cause.
    fn shed(&mut self, cause: Cause, why: Why, scan: &Scan<'_>, events: &mut Events) {
        if let Some(began) = self.began.filter(|b| b.cause == cause) {
            self.first_out.get_or_insert(began);
        }
        self.latch_first(cause, scan);
        self.go(State::Shed, why, scan, events);
    }

    /// The hardest hazard of an engaged loop.
    fn engaged_hazard(&self, scan: &Scan<'_>) -> Option<Hazard> {
        let stopping = scan.inputs.dcs.mode_req.good().is_some_and(|request| request < ModeRequest::On);
        let handed_back = self.lease_lost(scan).or_else(|| self.nothing_in_service(scan)).filter(|_| !stopping);
        let shed = scan.withdrawn().or(handed_back).map(fixed);
        let controller = harder(self.controller_hazard(scan), self.solver_hazard());
        harder(shed, harder(scan.hazard, controller))
    }

    fn lease_lost(&self, scan: &Scan<'_>) -> Option<Cause> {
        let (held, seen) = (self.lease.granted()?, scan.inputs.dcs.lease.good());
        (seen != Some(held)).then_some(Cause::LeaseLost { held, seen })
    }

    fn nothing_in_service(&self, scan: &Scan<'_>) -> Option<Cause> {
        let any = scan.mvs.iter().any(|mv| mv.service == Service::In);
        (!any).then_some(Cause::NoMvInService)
    }

    fn controller_hazard(&self, scan: &Scan<'_>) -> Option<Hazard> {
        self.controller_finding(scan).map(|hazard| self.bypasses.soften(hazard))
    }

    fn solver_hazard(&self) -> Option<Hazard> {
        self.solver_finding().map(|hazard| self.bypasses.soften(hazard))
    }

    /// Check 15. An engagement grants the first proposal its time.
    pub(super) fn controller_finding(&self, scan: &Scan<'_>) -> Option<Hazard> {
        if self.config.switched_off.contains(CheckId::ControllerSilent) {
            return None;
        }
        if scan.inputs.no_proposal_left {
            return Some(fixed(Cause::NoProposalLeft));
        }
        let silent = scan.now.since(self.controller.proposed_at.max(self.engaged_at));
        (silent > self.config.controller_timeout()).then(|| fixed(Cause::ControllerSilent { silent }))
    }

    /// Check 17.
    pub(super) fn solver_finding(&self) -> Option<Hazard> {
        let cycles = self.controller.failed_cycles;
        let cause = Cause::SolverFailing { cycles };
        if self.config.switched_off.contains(CheckId::SolverStatus) {
            None
        } else if cycles >= u64::from(self.config.solver_failures_shed) {
            Some((Effect::Shed, cause))
        } else {
            (cycles >= u64::from(self.config.solver_failures_hold)).then_some((Effect::Hold, cause))
        }
    }
}

/// A cause with the effect that its row has for everyone.
fn fixed(cause: Cause) -> Hazard {
    (cause.row().fixed_effect().unwrap_or(Effect::Trip), cause)
}
