//! The interlock's memory and its step: observe, change state, act, beat, tell. Always in this order, so that a hazard
//! seen in a step has its effect on the verdict of the same step (I6).

mod act;
mod notice;
mod observe;
mod remember;
mod show;
mod transitions;

use signals::dcs::{ModeActual, ModeRequest, MvMode};
use signals::{Fixed, MAX_MVS, Stamp};

use crate::bypass::{Bypass, BypassWatch};
use crate::cause::Cause;
use crate::checks::{BalanceMonitor, HostWatch, TagMonitor};
use crate::config::{InterlockConfig, SafetyError};
use crate::handshake::{DcsWatch, Lease, OperatorWatch};
use crate::inputs::Inputs;
use crate::latch::Latch;
use crate::pre_trip::PreTrip;
use crate::verdict::{Decision, Events, FirstOut, MvDecision, State};

use notice::Notice;
use observe::{ControllerWatch, InputMoves, MvMemory, Scan, WriteBook};

/// The interlock of one loop. A copy of it is for a model checker, which goes on from one state in many ways; a loop has
/// one interlock.
#[derive(Clone, Debug)]
pub struct Interlock {
    config: InterlockConfig,
    state: State,
    /// When the state was entered.
    entered: Stamp,
    /// When the loop engaged; Active, Hold and Ramp share it.
    engaged_at: Stamp,
    /// Time and cycle of the last step.
    last_step: Option<(Stamp, u64)>,
    tags: Vec<TagMonitor>,
    balances: Vec<BalanceMonitor>,
    host: HostWatch,
    moves: InputMoves,
    mvs: Vec<MvMemory>,
    dcs: DcsWatch,
    operator: OperatorWatch,
    lease: Lease,
    controller: ControllerWatch,
    writes: WriteBook,
    heartbeat: u32,
    /// The cycle of the last beat.
    beat_cycle: Option<u64>,
    /// The cycle of the last approval.
    spent_cycle: Option<u64>,
    /// The next approval is the zero move of an engagement.
    zero_due: bool,
    first_out: Option<FirstOut>,
    /// What holds the loop tripped.
    tripped_by: Cause,
    /// What began the present Hold or Ramp.
    began: Option<FirstOut>,
    silence_told: Notice,
    bypasses: BypassWatch,
    /// Bypassed findings of checks 15 and 17.
    controller_told: Notice,
    solver_told: Notice,
    pre_trip: PreTrip,
}

impl Interlock {
    /// An interlock that has never tripped; it boots tripped all the same.
    ///
    /// # Errors
    /// [`SafetyError::Config`] with every fault of the configuration.
    pub fn new(config: InterlockConfig) -> Result<Self, SafetyError> {
        Self::with_latch(config, Latch::default())
    }

    /// An interlock that takes up the latch of an earlier run: it boots tripped with that run's first-out.
    ///
    /// # Errors
    /// [`SafetyError::Config`] with every fault of the configuration.
    pub fn with_latch(config: InterlockConfig, latch: Latch) -> Result<Self, SafetyError> {
        config.validate()?;
        Ok(Self::build(config, latch))
    }

    /// Without judging the configuration: the negative controls switch off what nobody else may.
    pub(crate) fn build(config: InterlockConfig, latch: Latch) -> Self {
        Self {
            state: State::Boot,
            entered: Stamp::NEVER,
            engaged_at: Stamp::NEVER,
            last_step: None,
            tags: config.tags.iter().map(TagMonitor::new).collect(),
            balances: vec![BalanceMonitor::new(); config.balances.len()],
            host: HostWatch::new(),
            moves: InputMoves::default(),
            mvs: config.mvs.iter().map(MvMemory::new).collect(),
            dcs: DcsWatch::default(),
            operator: OperatorWatch::default(),
            lease: Lease::default(),
            controller: ControllerWatch::default(),
            writes: WriteBook::default(),
            heartbeat: 0,
            beat_cycle: None,
            spent_cycle: None,
            zero_due: false,
            first_out: latch.first_out(),
            tripped_by: latch.first_out().map_or(Cause::Boot, |f| f.cause),
            began: None,
            silence_told: Notice::default(),
            bypasses: BypassWatch::default(),
            controller_told: Notice::default(),
            solver_told: Notice::default(),
            pre_trip: PreTrip::new(),
            config,
        }
    }

    /// What must survive a restart; changes only with the first-out.
    #[must_use]
    pub fn latch(&self) -> Latch {
        Latch::of(self.first_out)
    }

    /// The steps before the first-out; while nothing is latched, those up to now.
    #[must_use]
    pub fn pre_trip(&self) -> &PreTrip {
        &self.pre_trip
    }

    /// The bypasses in force.
    pub fn bypasses(&self) -> impl Iterator<Item = &Bypass> {
        self.bypasses.in_force()
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &InterlockConfig {
        &self.config
    }

    /// One step at plant time `now`: every scan (by custom T/10), and once more when a proposal arrives.
    ///
    /// Total and free of allocation. Inputs that do not fit the configuration, a cycle number or a time that runs
    /// back are causes of a trip, not errors.
    pub fn step(&mut self, inputs: &Inputs<'_>, now: Stamp) -> Decision {
        let mut events = Events::new();
        let frozen = self.first_out.is_some() || self.state == State::Boot;
        let scan = self.observe(inputs, now);
        self.transition(&scan, &mut events);
        let (verdict, clamped) = self.act(&scan, &mut events);
        self.beat(&scan);
        self.tell(&scan, &mut events);
        self.remember(frozen, &scan);
        Decision {
            state: self.state,
            verdict,
            mode_act: self.mode_act(scan.request),
            mv: self.show_mvs(&scan),
            heartbeat: self.heartbeat,
            shed_reason: self.first_out.map_or(0, |f| f.cause.code()),
            first_out: self.first_out,
            events,
            clamped,
            bypasses: u8::try_from(self.bypasses.in_force().count()).unwrap_or(u8::MAX),
        }
    }

    /// `HB_APC`: +1 once per control cycle after an in-time usable solve and confirmed writes. "In time" is a solve
    /// for this cycle or the one before. An approval in flight for less than a period counts as confirmed if the one
    /// before it is. In Shed there is no beat while the DCS still leaves an MV to us: if it did not hear that we shed,
    /// its watchdog must.
    fn beat(&mut self, scan: &Scan<'_>) {
        let cycle = scan.inputs.cycle;
        let latched = matches!(self.state, State::Boot | State::Tripped);
        let unheard =
            self.state == State::Shed && scan.inputs.dcs.mvs.iter().any(|mv| mv.mode.good() == Some(MvMode::Rcas));
        if latched || unheard || scan.broken.is_some() || self.beat_cycle == Some(cycle) {
            return;
        }
        let solve = scan.inputs.solve;
        let solved = solve.status.is_usable() && solve.cycle.saturating_add(1) >= cycle;
        if solved && self.writes.in_order(self.config.period, scan.now) {
            self.heartbeat = self.heartbeat.wrapping_add(1);
            self.beat_cycle = Some(cycle);
            self.dcs.beat(scan.now);
        }
    }

    /// `MODE_ACT`, never above the request.
    fn mode_act(&self, request: ModeRequest) -> ModeActual {
        let off = request == ModeRequest::Off;
        match self.state {
            State::Boot | State::Tripped if off && self.tripped_by == Cause::Boot => ModeActual::Off,
            State::Boot | State::Tripped => ModeActual::Fault,
            State::Ready if off => ModeActual::Off,
            State::Ready => ModeActual::Warm,
            State::Advisory => ModeActual::Advisory,
            State::Armed => ModeActual::Init,
            State::Active | State::Hold | State::Ramp => ModeActual::On,
            State::Shed => ModeActual::Shed,
        }
    }

    fn show_mvs(&self, scan: &Scan<'_>) -> Fixed<MvDecision, MAX_MVS> {
        Fixed::collect((0..self.mvs.len()).map(|mv| self.show_mv(mv, scan)))
    }
}
