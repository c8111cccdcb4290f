//! The first half of a step: what the inputs mean, without yet acting on it.

use std::time::Duration;

use signals::dcs::{ModeRequest, MvRead};
use signals::{Fixed, MAX_MVS, Stamp};

use super::Interlock;
use super::notice::Notice;
use crate::bypass;
use crate::cause::{Cause, Mismatch};
use crate::check::CheckId;
use crate::checks::{BalanceMonitor, Hazard, HostWatch, Look, MvMonitor, MvSeen, TagMonitor, Tagged, harder};
use crate::config::MvChecks;
use crate::handshake::{DcsWatch, Edge, MvScan, Service};
use crate::inputs::{Inputs, WriteReport};
use crate::limits::{Bounds, Range};
use crate::reaction::Effect;

/// What one step knows.
pub(super) struct Scan<'a> {
    pub(super) inputs: &'a Inputs<'a>,
    pub(super) now: Stamp,
    /// Why the inputs cannot be used at all.
    pub(super) broken: Option<Cause>,
    pub(super) request: ModeRequest,
    pub(super) edge: Option<Edge>,
    /// The hardest active hazard of measurements and command.
    pub(super) hazard: Option<Hazard>,
    /// Check 16.
    pub(super) silence: Option<Cause>,
    pub(super) mvs: Fixed<MvScan, MAX_MVS>,
}

impl Scan<'_> {
    pub(super) fn permit(&self) -> bool {
        self.inputs.dcs.permit.good() == Some(true)
    }

    pub(super) fn wd_ok(&self) -> bool {
        self.inputs.dcs.wd_ok.good() == Some(true)
    }

    /// A withdrawn permission of the DCS, which no hand-over and no engagement survives.
    pub(super) fn withdrawn(&self) -> Option<Cause> {
        if !self.permit() {
            Some(Cause::NoPermit)
        } else if !self.wd_ok() {
            Some(Cause::WatchdogTripped)
        } else {
            self.silence
        }
    }

    pub(super) fn mv(&self, mv: usize) -> MvScan {
        self.mvs.get(mv).copied().unwrap_or_default()
    }

    /// Whether a hazard of at least `effect` is active in measurements or command.
    pub(super) fn hazard_from(&self, effect: Effect) -> Option<Cause> {
        self.hazard.filter(|h| h.0 >= effect).map(|h| h.1)
    }
}

/// The memory of one MV.
#[derive(Clone, Copy, Debug)]
pub(super) struct MvMemory {
    /// The value last approved, or last known; before that a lawful stand-in, which is never written.
    pub(super) last: f64,
    /// Whether the last approval manipulated it and nothing has taken it away since.
    pub(super) in_service: bool,
    /// Its writes fail; latched while engaged.
    pub(super) failed: bool,
    /// The operator's last good limits.
    operator: Option<Range>,
    /// The limits now read are bad or crossed.
    pub(super) limits_bad: bool,
    pub(super) limits_told: Notice,
    pub(super) failed_told: Notice,
    /// Checks 13, 14 and 23.
    pub(super) monitor: MvMonitor,
}

impl MvMemory {
    pub(super) fn new(checks: &MvChecks) -> Self {
        Self {
            last: checks.ramp_safe_value.unwrap_or(checks.lo),
            in_service: false,
            failed: false,
            operator: None,
            limits_bad: false,
            limits_told: Notice::default(),
            failed_told: Notice::default(),
            monitor: MvMonitor::new(),
        }
    }

    fn operator_limits(&mut self, read: &MvRead) -> Option<Range> {
        let ends = read.lo_opr.finite().zip(read.hi_opr.finite());
        let seen = ends.and_then(|(lo, hi)| Range::new(lo, hi));
        self.limits_bad = seen.is_none();
        self.operator = seen.or(self.operator);
        self.operator
    }
}

/// By how much of its span an input must have moved before a measurement may be expected to follow (check 6).
const MOVED: f64 = 0.01;

/// Counts how often an input of the plant has moved.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct InputMoves {
    from: Fixed<Option<f64>, MAX_MVS>,
    count: u32,
}

impl InputMoves {
    fn observe(&mut self, mvs: &[MvChecks], reads: &[MvRead]) -> u32 {
        if self.from.is_empty() {
            self.from = Fixed::filled(None, mvs.len());
        }
        for ((from, checks), read) in self.from.iter_mut().zip(mvs).zip(reads) {
            let Some(sp) = read.sp_act.finite() else { continue };
            let moved = from.is_some_and(|from| (sp - from).abs() > MOVED * checks.span);
            self.count = self.count.wrapping_add(u32::from(moved));
            if moved || from.is_none() {
                *from = Some(sp);
            }
        }
        self.count
    }
}

/// Checks 15 and 17: whether the controller lives and solves.
#[derive(Clone, Copy, Debug)]
pub(super) struct ControllerWatch {
    pub(super) proposed_at: Stamp,
    /// The newest cycle with a usable solution; at the start, the first cycle.
    usable_cycle: Option<u64>,
    /// Cycles in a row without a usable solution.
    pub(super) failed_cycles: u64,
}

impl Default for ControllerWatch {
    fn default() -> Self {
        Self { proposed_at: Stamp::NEVER, usable_cycle: None, failed_cycles: 0 }
    }
}

impl ControllerWatch {
    /// Failed cycles are those after the newest usable one that are over, or whose solve has ended unusable. So a
    /// solver that says nothing fails like one that says no.
    fn observe(&mut self, inputs: &Inputs<'_>, now: Stamp) {
        if inputs.proposal.is_some() {
            self.proposed_at = now;
        }
        let solve = inputs.solve;
        let usable = *self.usable_cycle.get_or_insert(inputs.cycle);
        let usable = if solve.status.is_usable() { usable.max(solve.cycle) } else { usable };
        let ended = if solve.status.is_usable() { 0 } else { solve.cycle };
        self.usable_cycle = Some(usable);
        self.failed_cycles = ended.max(inputs.cycle.saturating_sub(1)).saturating_sub(usable);
    }
}

/// Which approvals were confirmed.
#[derive(Clone, Copy, Debug)]
pub(super) struct WriteBook {
    /// The newest approval; 0 before the first.
    newest: u64,
    approved_at: Stamp,
    confirmed: u64,
    /// Approvals after this one belong to the present arming.
    armed_after: u64,
    /// The first step: what was reported before speaks of an earlier interlock's approvals.
    since: Option<Stamp>,
}

impl Default for WriteBook {
    fn default() -> Self {
        Self { newest: 0, approved_at: Stamp::NEVER, confirmed: 0, armed_after: 0, since: None }
    }
}

impl WriteBook {
    fn observe(&mut self, report: &WriteReport, now: Stamp) {
        let since = *self.since.get_or_insert(now);
        // A number that was never given here is an earlier interlock's, however fresh the report.
        if report.at >= since && report.confirmed <= self.newest {
            self.confirmed = self.confirmed.max(report.confirmed);
        }
    }

    /// Whether everything that was approved has landed in the DCS.
    pub(super) fn settled(&self) -> bool {
        self.newest == self.confirmed
    }

    /// Numbers the next approval.
    pub(super) fn next_id(&mut self, now: Stamp) -> u64 {
        self.newest += 1;
        self.approved_at = now;
        self.newest
    }

    pub(super) fn arm(&mut self) {
        self.armed_after = self.newest;
    }

    /// Whether the DCS holds a set-point that was tracked in this arming.
    pub(super) fn tracked(&self) -> bool {
        self.confirmed > self.armed_after
    }

    /// What was in flight when the loop gave the MVs back does not matter any more.
    pub(super) fn forget(&mut self) {
        self.confirmed = self.newest;
    }

    pub(super) fn in_order(&self, period: Duration, now: Stamp) -> bool {
        let in_flight = self.newest - self.confirmed;
        in_flight == 0 || (in_flight == 1 && now.since(self.approved_at) <= period)
    }
}

impl Interlock {
    /// Takes the inputs into every memory. The operator's request is read first and always: an edge that falls on a
    /// broken step is spent like any other.
    pub(super) fn observe<'a>(&mut self, inputs: &'a Inputs<'a>, now: Stamp) -> Scan<'a> {
        let (request, edge) = self.operator.observe(&inputs.dcs.mode_req);
        let before = self.last_step.map_or(now, |(at, _)| at);
        let broken = self.misfit(inputs, now);
        self.last_step = Some((now, inputs.cycle));
        let mut scan = Scan { inputs, now, broken, request, edge, hazard: None, silence: None, mvs: Fixed::new() };
        if let Some(cause) = broken {
            scan.hazard = Some((Effect::Trip, cause));
            return scan;
        }
        self.writes.observe(&inputs.writes, now);
        self.controller.observe(inputs, now);
        self.bypasses.observe(inputs.bypasses, now, (self.tags.len(), self.mvs.len()));
        self.apply_bypasses();
        let off = self.config.switched_off;
        let moves = self.moves.observe(&self.config.mvs, &inputs.dcs.mvs);
        let look = Look { off, now, moves };
        let beats = (self.heartbeat, self.echo_window());
        self.dcs.observe(inputs.dcs, inputs.link_up, beats, now);
        let silence = self.dcs.silence(self.config.heartbeat_timeout, now);
        scan.silence =
            silence.filter(|_| !off.contains(CheckId::DcsHeartbeat)).map(|source| Cause::DcsSilent { source });
        self.observe_tags(inputs, look);
        self.observe_mvs(&mut scan, now.since(before), look);
        self.observe_balances(&scan, look);
        self.host.observe(&self.config, inputs, look);
        scan.hazard = harder(self.command_hazard(inputs), self.found_hazard(now));
        scan
    }

    /// The inputs' misfit to the configuration or to the step before; a step that runs back also loses every memory
    /// of time, so that no stamp from the future keeps anything alive.
    fn misfit(&mut self, inputs: &Inputs<'_>, now: Stamp) -> Option<Cause> {
        if let Some((last, cycle)) = self.last_step {
            if now < last {
                self.forget_time(now);
                return Some(Cause::ClockBack { by: last.since(now) });
            }
            if inputs.cycle < cycle {
                self.forget_time(now);
                return Some(Cause::Inconsistent(Mismatch::Cycle));
            }
        }
        let proposed = inputs.proposal.map_or(self.mvs.len(), |p| p.u.len());
        if inputs.samples.len() != self.config.transmitters() {
            Some(Cause::Inconsistent(Mismatch::Samples))
        } else if !inputs.expected.is_empty() && inputs.expected.len() != self.tags.len() {
            Some(Cause::Inconsistent(Mismatch::Expected))
        } else if inputs.dcs.mvs.len() != self.mvs.len() {
            Some(Cause::Inconsistent(Mismatch::Mvs))
        } else if proposed != self.mvs.len() {
            Some(Cause::Inconsistent(Mismatch::Proposal))
        } else {
            None
        }
    }

    fn forget_time(&mut self, now: Stamp) {
        self.tags.iter_mut().for_each(TagMonitor::forget);
        self.balances.fill(BalanceMonitor::new());
        self.mvs.iter_mut().for_each(|memory| memory.monitor = MvMonitor::new());
        self.host = HostWatch::new();
        self.dcs = DcsWatch::default();
        self.controller = ControllerWatch::default();
        self.beat_cycle = None;
        self.spent_cycle = None;
        self.entered = now;
    }

    /// A true echo lags by no more beats than the time-out has periods, and two that are on their way.
    fn echo_window(&self) -> u32 {
        let periods = self.config.heartbeat_timeout.as_nanos() / self.config.period.as_nanos().max(1);
        u32::try_from(periods).unwrap_or(u32::MAX).saturating_add(2)
    }

    /// Check 3 on a command.
    fn command_hazard(&self, inputs: &Inputs<'_>) -> Option<Hazard> {
        if self.config.switched_off.contains(CheckId::NotFinite) {
            return None;
        }
        let mv = inputs.proposal?.u.iter().position(|u| !u.is_finite())?;
        Some((Effect::Trip, Cause::CommandNotFinite { mv: u16::try_from(mv).unwrap_or(u16::MAX) }))
    }

    /// The hardest active finding of all checks that keep findings.
    fn found_hazard(&self, now: Stamp) -> Option<Hazard> {
        let config = &self.config;
        let tags = self.tags.iter().zip(&config.tags).map(|(monitor, checks)| monitor.worst(checks, now));
        let balances = self.balances.iter().zip(&config.balances).map(|(monitor, of)| monitor.worst(of, now));
        let mvs = self.mvs.iter().zip(&config.mvs).map(|(memory, checks)| memory.monitor.worst(checks, now));
        let host = self.host.worst(&config.reactions, now);
        tags.chain(balances).chain(mvs).chain([host]).fold(None, harder)
    }

    /// Tells every monitor which of its checks are bypassed. A balance has no name by which one could be asked for.
    fn apply_bypasses(&mut self) {
        let on = |subject| self.bypasses.on(subject);
        for (n, monitor) in (0..).zip(&mut self.tags) {
            monitor.bypass(on(bypass::Subject::Tag(n)));
        }
        for (n, memory) in (0..).zip(&mut self.mvs) {
            memory.monitor.bypass(on(bypass::Subject::Mv(n)));
        }
        self.host.bypass(on(bypass::Subject::Loop));
    }

    fn observe_tags(&mut self, inputs: &Inputs<'_>, look: Look) {
        let (own, mut spares) = inputs.samples.split_at_checked(self.tags.len()).unwrap_or_default();
        let tags = self.tags.iter_mut().zip(&self.config.tags).zip(own);
        for (n, ((monitor, checks), sample)) in tags.enumerate() {
            let (its, others) = spares.split_at_checked(monitor.spares()).unwrap_or_default();
            spares = others;
            let tag = Tagged { checks, name: self.config.measured(n) };
            let expected = inputs.expected.get(n).copied().flatten();
            monitor.observe(tag, (sample.as_ref(), its), expected, look);
        }
    }

    fn observe_balances(&mut self, scan: &Scan<'_>, look: Look) {
        let tags = &self.tags;
        for (n, (monitor, balance)) in self.balances.iter_mut().zip(&self.config.balances).enumerate() {
            monitor.observe((n, balance), |tag| tags.get(tag)?.usable(), &scan.mvs, look);
        }
    }

    fn observe_mvs(&mut self, scan: &mut Scan<'_>, elapsed: Duration, look: Look) {
        let engaged = self.state.is_engaged();
        let stopping = scan.inputs.dcs.mode_req.good().is_some_and(|request| request < ModeRequest::On);
        let period_s = self.config.period.as_secs_f64();
        let (max, failures) = (self.config.write_failures_max, &scan.inputs.writes.failures);
        let (settled, cycle) = (self.writes.settled(), scan.inputs.cycle);
        let mvs = self.mvs.iter_mut().zip(&self.config.mvs).zip(&scan.inputs.dcs.mvs);
        scan.mvs = Fixed::collect(mvs.enumerate().map(|(n, ((memory, checks), read))| {
            let failing = failures.get(n).is_some_and(|count| *count >= max);
            memory.failed = failing || (engaged && memory.failed);
            let operator = memory.operator_limits(read);
            let bounds = Bounds::of(checks, read, operator, period_s);
            let mv = MvScan::of(checks, read, bounds, memory.failed);
            let approved = memory.in_service.then_some(memory.last);
            let seen = MvSeen { read, scan: mv, approved, settled, engaged: engaged && !stopping, elapsed, cycle };
            memory.monitor.observe(u16::try_from(n).unwrap_or(u16::MAX), checks, &seen, look);
            memory.in_service &= mv.service == Service::In;
            mv
        }));
    }
}

#[cfg(test)]
mod tests {
    use signals::dcs::Reading;

    use super::*;

    #[test]
    fn an_input_has_moved_when_it_is_more_than_a_hundredth_of_its_span_from_where_it_was() {
        let mvs = [MvChecks::customary(0.0, 200.0, 5.0, Duration::from_secs(1))];
        let mut moves = InputMoves::default();
        let mut moved =
            |sp| moves.observe(&mvs, &[MvRead { sp_act: Reading::of(sp, Stamp::ZERO), ..MvRead::default() }]);
        assert_eq!([50.0, 52.0, 48.0, 52.5, 51.0, 50.0].map(&mut moved), [0, 0, 0, 1, 1, 2]);
        assert_eq!([f64::NAN, 50.0, 51.5, 52.5].map(&mut moved), [2, 2, 2, 3]);
    }
}
