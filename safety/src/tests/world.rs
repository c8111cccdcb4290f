//! A loop of two MVs, two CVs and a DV on a DCS that keeps its side of the hand-shake: it counts, echoes, hands over
//! when acknowledged, follows `SP_REQ` in RCAS, and takes its MVs back when we leave ON.

use std::time::Duration;

use signals::dcs::{DcsView, ModeActual, ModeRequest, MvMode, Reading, Windup};
use signals::{Fixed, MAX_CVS, MAX_TAGS, ProposedMove, Proposer, Quality, Sample, SolveStatus, Stamp, TagId, Values};

use crate::bypass::BypassSet;
use crate::check::CheckSet;
use crate::config::{
    Balance, Cusum, Frozen, InterlockConfig, MAX_BALANCES, MvChecks, PolicyChecks, Reach, Role, Spike, TagChecks,
    TagReactions, Travel,
};
use crate::config_hash::ConfigHash;
use crate::inputs::{Inputs, PolicyReport, SolveReport, WriteReport};
use crate::interlock::Interlock;
use crate::latch::Latch;
use crate::reaction::{Effect, Reaction};
use crate::row::Row;
use crate::verdict::{Decision, Verdict};

pub(super) const T: Duration = Duration::from_secs(1);
pub(super) const SCANS_PER_PERIOD: u64 = 10;
pub(super) const SCAN_NS: i64 = 100_000_000;
/// In this scan of each cycle the controller proposes.
const PROPOSES_AT: u64 = 3;
pub(super) const MVS: usize = 2;
/// What every tag measures.
const REST: f64 = 50.0;

/// CV1 trips on its range, CV2 has a delay of half a period, DV1 only warns; MV1 has a safe value.
pub(super) fn config(reach: Reach) -> InterlockConfig {
    let tag = |role, delay| TagChecks {
        hysteresis: 2.0,
        rate_max_per_s: 100.0,
        reactions: TagReactions::of(role, delay),
        ..TagChecks::customary(role, 0.0, 100.0, T)
    };
    let cv1 = tag(Role::Critical, Duration::ZERO);
    let tags = vec![
        TagChecks { reactions: cv1.reactions.with(Row::Range, Effect::Trip), ..cv1 },
        tag(Role::Critical, T / 2),
        tag(Role::NonCritical, Duration::ZERO),
    ];
    let mv = MvChecks::customary(0.0, 100.0, 5.0, T);
    let mvs = vec![MvChecks { ramp_safe_value: Some(35.0), ..mv }, mv];
    InterlockConfig { hold_periods: 3, ..InterlockConfig::customary(T, reach, tags, 2, mvs) }
}

/// The same with every check of the specification in force; CV2 has two spare transmitters.
pub(super) fn everything(reach: Reach) -> InterlockConfig {
    let mut config = config(reach);
    for tag in &mut config.tags {
        tag.frozen = Some(Frozen { samples: 8, resolution: 0.4 });
        tag.spike = Some(Spike { window: 5, sigmas: 3.0, floor: 3.0 });
        tag.residual_max = Some(10.0);
        tag.cusum = Some(Cusum { slack: 1.0, limit: 20.0 });
        tag.gap_max = Some(3);
    }
    config.tags[0].reactions = config.tags[0].reactions.with(Row::Sequence, Effect::Hold);
    config.tags[1].spares_tolerance = Some(5.0);
    config.tags[1].reactions = config.tags[1].reactions.with(Row::OneLeft, Effect::Trip);
    for mv in &mut config.mvs {
        mv.travel = Some(Travel { window: T * 10, travel_max: 20.0, reversals_max: 6, dead_band: 0.5 });
        mv.reactions = mv.reactions.with(Row::Travel, Effect::Hold).with(Row::LeftRcas, Effect::Shed);
    }
    // CV1 − CV2 + (MV1 − MV2) / 2 = 0, at rest.
    config.balances = vec![Balance {
        tags: vec![(0, 1.0), (1, -1.0)],
        mvs: vec![(0, 0.5), (1, -0.5)],
        bias: 0.0,
        tolerance: 9.0,
        reaction: Reaction::of(Effect::Shed, T),
    }];
    config.policy = Some(PolicyChecks { distance_max: 1.0, disagreement_max: 0.2 });
    config.config_hash = ConfigHash(0xabc);
    config.reactions = config.reactions.with(Row::ScanOverrun, Effect::Hold);
    config
}

/// As large as a loop can be, with everything in force: 24 tags and 50 transmitters, for 13 tags have two spares.
pub(super) fn large() -> InterlockConfig {
    let mut config = everything(Reach::ClosedLoop);
    let spared = config.tags[1];
    let plain = config.tags[2];
    config.tags.resize(MAX_TAGS, plain);
    config.tags[2..14].fill(TagChecks { role: plain.role, reactions: plain.reactions, ..spared });
    config.cvs = MAX_CVS;
    config.balances.resize(MAX_BALANCES, config.balances[0].clone());
    config
}

/// The plant, the DCS, the controller and the sink around one interlock. Every field is a knob of a script.
pub(super) struct World {
    pub(super) interlock: Interlock,
    pub(super) now: Stamp,
    pub(super) scans: u64,
    pub(super) cycle_offset: u64,
    pub(super) dcs: DcsView,
    /// The transmitters: those of the tags, then the spares.
    pub(super) samples: Vec<Option<Sample>>,
    /// What each transmitter measures, and by how much it swings from sample to sample.
    pub(super) base: Vec<f64>,
    pub(super) swing: Vec<f64>,
    /// Samples of this transmitter are no longer renewed.
    pub(super) frozen: Vec<bool>,
    /// What the model expects of each tag.
    pub(super) expected: Vec<Option<f64>>,
    pub(super) hb_dcs_runs: bool,
    pub(super) echo_runs: bool,
    pub(super) link_up: bool,
    pub(super) solver: Option<SolveStatus>,
    pub(super) solve: SolveReport,
    pub(super) propose: Option<[f64; MVS]>,
    pub(super) proposer: Proposer,
    pub(super) policy: Option<PolicyReport>,
    pub(super) wall_ahead: Duration,
    pub(super) config_hash: ConfigHash,
    pub(super) beats_dropped: u64,
    /// `SP_ACT` of this MV does not follow.
    pub(super) stuck: [bool; MVS],
    /// The proposals are of a cycle so long ago.
    pub(super) propose_late: u64,
    /// When a proposal lapses: so many nanoseconds after it is made.
    pub(super) valid_ns: i64,
    pub(super) no_proposal_left: bool,
    pub(super) confirms: bool,
    pub(super) writes: WriteReport,
    /// The DCS takes its MVs back when `MODE_ACT` is neither INIT nor ON.
    pub(super) takes_back: bool,
    pub(super) heartbeat: u32,
    pub(super) bypasses: BypassSet,
}

impl World {
    pub(super) fn new(reach: Reach, off: CheckSet) -> Self {
        Self::with_config(InterlockConfig { switched_off: off, ..config(reach) }, Latch::default())
    }

    pub(super) fn with_config(config: InterlockConfig, latch: Latch) -> Self {
        let mut dcs = DcsView::sized(MVS, 2, 1);
        let at = Stamp::ZERO;
        dcs.hb_echo = Reading::of(0, at);
        dcs.hb_dcs = Reading::of(1000, at);
        dcs.mode_req = Reading::of(ModeRequest::Off, at);
        dcs.lease = Reading::of(7, at);
        dcs.permit = Reading::of(true, at);
        dcs.wd_ok = Reading::of(true, at);
        for mv in dcs.mvs.iter_mut() {
            mv.sp_act = Reading::of(50.0, at);
            mv.mode = Reading::of(MvMode::Auto, at);
            mv.opr_on = Reading::of(true, at);
            mv.init_req = Reading::of(false, at);
            mv.windup = Reading::of(Windup::None, at);
            mv.lo_opr = Reading::of(10.0, at);
            mv.hi_opr = Reading::of(90.0, at);
            mv.clamp_lo = Reading::of(5.0, at);
            mv.clamp_hi = Reading::of(95.0, at);
            mv.roc_max = Reading::of(10.0, at);
        }
        let sample =
            |tag| Sample { tag: TagId(tag), value: REST, quality: Quality::Good, source_time: at, sequence: 0 };
        let transmitters = config.transmitters();
        Self {
            expected: vec![None; config.tags.len()],
            config_hash: config.config_hash,
            interlock: Interlock::build(config, latch),
            now: at,
            scans: 0,
            cycle_offset: 0,
            dcs,
            samples: (0..transmitters).map(|n| Some(sample(n as u16))).collect(),
            base: vec![REST; transmitters],
            swing: vec![0.0; transmitters],
            frozen: vec![false; transmitters],
            hb_dcs_runs: true,
            echo_runs: true,
            link_up: true,
            solver: Some(SolveStatus::Solved),
            solve: SolveReport::default(),
            propose: Some([50.0; MVS]),
            proposer: Proposer::Mpc,
            policy: None,
            wall_ahead: Duration::from_secs(1_000_000),
            beats_dropped: 0,
            stuck: [false; MVS],
            propose_late: 0,
            valid_ns: 1_000_000_000,
            no_proposal_left: false,
            confirms: true,
            writes: WriteReport { failures: Fixed::filled(0, MVS), ..WriteReport::default() },
            takes_back: true,
            heartbeat: 0,
            bypasses: BypassSet::new(),
        }
    }

    /// A loop with every check in force, its measurements alive and a model that knows them.
    pub(super) fn with_everything(reach: Reach) -> Self {
        Self::alive(everything(reach), Latch::default())
    }

    pub(super) fn alive(config: InterlockConfig, latch: Latch) -> Self {
        let mut world = Self::with_config(config, latch);
        world.swing.fill(0.5);
        world.expected.fill(Some(REST));
        world
    }

    pub(super) fn cycle(&self) -> u64 {
        (self.scans / SCANS_PER_PERIOD + 1).saturating_sub(self.cycle_offset)
    }

    /// What the controller says in this scan.
    pub(super) fn proposal(&self) -> Option<ProposedMove> {
        let u = self.propose.filter(|_| self.scans % SCANS_PER_PERIOD == PROPOSES_AT)?;
        Some(self.proposal_of(u))
    }

    /// A proposal of these set-points, made now.
    pub(super) fn proposal_of(&self, u: impl IntoIterator<Item = f64>) -> ProposedMove {
        ProposedMove {
            proposer: self.proposer,
            cycle: self.cycle().saturating_sub(self.propose_late),
            computed_at: self.now,
            valid_until: Stamp::from_nanos(self.now.nanos() + self.valid_ns),
            u: Values::collect(u),
            solve: SolveStatus::Solved,
        }
    }

    pub(super) fn inputs<'a>(&'a self, proposal: Option<&'a ProposedMove>) -> Inputs<'a> {
        Inputs {
            samples: &self.samples,
            expected: &self.expected,
            dcs: &self.dcs,
            link_up: self.link_up,
            proposal,
            no_proposal_left: self.no_proposal_left,
            policy: self.policy.as_ref(),
            solve: self.solve,
            cycle: self.cycle(),
            writes: self.writes,
            bypasses: &self.bypasses,
            wall: Some(self.now + self.wall_ahead),
            config_hash: self.config_hash,
            beats_dropped: self.beats_dropped,
        }
    }

    /// What a transmitter measures from now on.
    pub(super) fn measure(&mut self, transmitter: usize, value: f64) {
        self.base[transmitter] = value;
        if let Some(sample) = &mut self.samples[transmitter] {
            sample.value = value;
        }
    }

    /// Lets a tenth of a period pass around the interlock, up to its step.
    pub(super) fn pass_time(&mut self) {
        self.now = self.now + Duration::from_nanos(SCAN_NS.unsigned_abs());
        self.scans += 1;
        if self.hb_dcs_runs {
            self.dcs.hb_dcs.value = self.dcs.hb_dcs.value.wrapping_add(1);
        }
        if self.echo_runs {
            self.dcs.hb_echo.value = self.heartbeat;
        }
        if let Some(status) = self.solver {
            self.solve = SolveReport { status, cycle: self.cycle(), at: self.now };
        }
        if let Some(report) = &mut self.policy {
            report.cycle = (self.scans / SCANS_PER_PERIOD + 1).saturating_sub(self.cycle_offset);
        }
        let side = if self.scans.is_multiple_of(2) { 1.0 } else { -1.0 };
        for (n, sample) in self.samples.iter_mut().enumerate() {
            if let Some(s) = sample.as_mut().filter(|_| !self.frozen[n]) {
                s.source_time = self.now;
                s.sequence += 1;
                s.value = self.base[n] + side * self.swing[n];
            }
        }
    }

    /// One scan.
    pub(super) fn scan(&mut self) -> Decision {
        self.pass_time();
        let proposal = self.proposal();
        let mut interlock =
            std::mem::replace(&mut self.interlock, Interlock::build(config(Reach::Shadow), Latch::default()));
        let decision = interlock.step(&self.inputs(proposal.as_ref()), self.now);
        self.interlock = interlock;
        self.react(&decision);
        decision
    }

    /// The sink writes and the DCS reacts.
    pub(super) fn react(&mut self, decision: &Decision) {
        self.heartbeat = decision.heartbeat;
        if let Verdict::Pass(approved) = &decision.verdict {
            for (n, mv) in self.dcs.mvs.iter_mut().enumerate() {
                let moves = mv.mode.value == MvMode::Rcas && !self.stuck[n];
                if let Some(sp) = approved.set_point(n).filter(|_| moves) {
                    mv.sp_act.value = sp;
                }
            }
            if self.confirms {
                self.writes.confirmed = approved.id();
                self.writes.at = self.now;
            }
        }
        let ours = matches!(decision.mode_act, ModeActual::Init | ModeActual::On);
        for (mv, shown) in self.dcs.mvs.iter_mut().zip(&decision.mv) {
            if mv.init_req.value && shown.init_ack {
                mv.mode.value = MvMode::Rcas;
                mv.init_req.value = false;
            } else if !ours && self.takes_back && mv.mode.value == MvMode::Rcas {
                mv.mode.value = MvMode::Auto;
            }
        }
    }

    /// The operator's second action: a new lease, and a request to every MV.
    pub(super) fn grant(&mut self) {
        self.dcs.lease.value += 1;
        for mv in self.dcs.mvs.iter_mut() {
            mv.init_req.value = mv.opr_on.value;
        }
    }

    pub(super) fn run(&mut self, scans: usize) -> Decision {
        let mut last = self.scan();
        for _ in 1..scans {
            last = self.scan();
        }
        last
    }

    /// From the start to Active, one period after the zero move, by the operator's proper actions.
    pub(super) fn engage(&mut self) -> Decision {
        self.run(5);
        self.dcs.mode_req.value = ModeRequest::Warm;
        self.run(10);
        self.dcs.mode_req.value = ModeRequest::On;
        self.run(12);
        self.grant();
        self.run(13)
    }
}
