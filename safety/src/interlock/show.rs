//! What the DCS and the journal see of a step.

use signals::dcs::MvStatus;

use super::Interlock;
use super::notice::Notice;
use super::observe::Scan;
use crate::bypass;
use crate::cause::Cause;
use crate::checks::Hazard;
use crate::handshake::{MvScan, Service};
use crate::reaction::Effect;
use crate::verdict::{Event, Events, MvDecision, State};

impl Interlock {
    /// Tells what began and what ended. This comes last in a step: where transitions and cut commands have filled the
    /// log, the rest waits for the next step.
    pub(super) fn tell(&mut self, scan: &Scan<'_>, events: &mut Events) {
        if scan.broken.is_some() {
            return;
        }
        let now = scan.now;
        for (monitor, checks) in self.tags.iter_mut().zip(&self.config.tags) {
            monitor.tell(checks, now, events);
        }
        for (monitor, balance) in self.balances.iter_mut().zip(&self.config.balances) {
            monitor.tell(balance, now, events);
        }
        for (memory, checks) in self.mvs.iter_mut().zip(&self.config.mvs) {
            memory.monitor.tell(checks, now, events);
        }
        self.host.tell(&self.config.reactions, now, events);
        for (n, memory) in self.mvs.iter_mut().enumerate() {
            let mv = u16::try_from(n).unwrap_or(u16::MAX);
            let failures = scan.inputs.writes.failures.get(n).copied().unwrap_or(0);
            memory.limits_told.tell(memory.limits_bad.then_some(Cause::OperatorLimits { mv }), events);
            memory.failed_told.tell(memory.failed.then_some(Cause::WritesFail { mv, failures }), events);
        }
        self.silence_told.tell(scan.silence, events);
        self.tell_bypasses(scan, events);
    }

    /// What began and ended of bypasses, and what bypassed checks 15 and 17 find. The others have told theirs. What was
    /// told is over with its finding, not with its bypass.
    fn tell_bypasses(&mut self, scan: &Scan<'_>, events: &mut Events) {
        let found = |hazard: Option<Hazard>, told: &Notice| {
            let bypassed = |hazard: &Hazard| self.bypasses.soften(*hazard).0 == Effect::Warn;
            hazard.filter(|hazard| told.is_told() || bypassed(hazard)).map(|(_, cause)| cause)
        };
        let controller = self.controller_finding(scan).filter(|_| self.state.is_engaged());
        let controller = found(controller, &self.controller_told);
        let solver = found(self.solver_finding(), &self.solver_told);
        self.controller_told.tell(controller, events);
        self.solver_told.tell(solver, events);
        self.bypasses.tell(&mut |news| {
            let event = match news {
                bypass::News::Began(bypass) => Event::BypassBegan { bypass },
                bypass::News::Ended(bypass, why) => Event::BypassEnded { bypass, why },
                bypass::News::Refused(bypass, objection) => Event::BypassRefused { bypass, objection },
            };
            events.push(event).is_ok()
        });
    }

    /// `INIT_ACK` and `STS` of one MV. The acknowledgement follows the request once the DCS holds a tracked set-point
    /// and, on the way to an engagement, has given a new lease.
    pub(super) fn show_mv(&self, mv: usize, scan: &Scan<'_>) -> MvDecision {
        let seen = scan.mv(mv);
        let handing_over = match self.state {
            State::Armed => self.lease.granted().is_some() && self.writes.tracked(),
            state => state.is_engaged(),
        };
        let init_ack = handing_over && seen.init_req && seen.service.takes_part();
        MvDecision { init_ack, sts: self.status(mv, &seen) }
    }

    fn status(&self, mv: usize, seen: &MvScan) -> MvStatus {
        if matches!(self.state, State::Boot | State::Tripped | State::Shed) {
            return MvStatus::Inac;
        }
        match seen.service {
            Service::Off => MvStatus::Inac,
            Service::Faulty => MvStatus::Serv,
            _ if self.state == State::Armed => MvStatus::Init,
            Service::In if self.state.is_engaged() => self.limit_status(mv, seen),
            Service::NotRcas | Service::In => MvStatus::Ffwd,
        }
    }

    fn limit_status(&self, mv: usize, seen: &MvScan) -> MvStatus {
        let Some((memory, bounds)) = self.mvs.get(mv).zip(seen.bounds) else { return MvStatus::Serv };
        let reach = bounds.reachable();
        if memory.last >= reach.hi - bounds.tolerance {
            MvStatus::High
        } else if memory.last <= reach.lo + bounds.tolerance {
            MvStatus::Low
        } else {
            MvStatus::On
        }
    }
}
