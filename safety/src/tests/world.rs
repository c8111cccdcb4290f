//! A loop of two MVs, two CVs and a DV on a DCS that keeps its side of the hand-shake: it counts, echoes, hands over
//! when acknowledged, follows `SP_REQ` in RCAS, and takes its MVs back when we leave ON.

use std::time::Duration;

use signals::dcs::{DcsView, ModeActual, ModeRequest, MvMode, Reading, Windup};
use signals::{Fixed, ProposedMove, Proposer, Quality, Sample, SolveStatus, Stamp, TagId, Values};

use crate::cause::{CheckSet, Effect};
use crate::config::{InterlockConfig, MvChecks, Reach, Role, TagChecks, TagEffects};
use crate::inputs::{Inputs, SolveReport, WriteReport};
use crate::interlock::Interlock;
use crate::latch::Latch;
use crate::verdict::{Decision, Verdict};

pub(super) const T: Duration = Duration::from_secs(1);
pub(super) const SCANS_PER_PERIOD: u64 = 10;
const SCAN_NS: i64 = 100_000_000;
/// In this scan of each cycle the controller proposes.
const PROPOSES_AT: u64 = 3;
pub(super) const MVS: usize = 2;
pub(super) const TAGS: usize = 3;

/// CV1 trips on its range, CV2 has a delay of half a period, DV1 only warns; MV1 has a safe value.
pub(super) fn config(reach: Reach) -> InterlockConfig {
    let critical = TagChecks {
        role: Role::Critical,
        lo: 0.0,
        hi: 100.0,
        hysteresis: 2.0,
        rate_max_per_s: 100.0,
        max_age: T * 5 / 2,
        accept_uncertain: false,
        delay: Duration::ZERO,
        effects: TagEffects::of(Role::Critical),
    };
    let tags = vec![
        TagChecks { effects: TagEffects { range: Effect::Trip, ..critical.effects }, ..critical },
        TagChecks { delay: T / 2, ..critical },
        TagChecks { role: Role::NonCritical, effects: TagEffects::of(Role::NonCritical), ..critical },
    ];
    let mv = MvChecks {
        lo: 0.0,
        hi: 100.0,
        rate_max_per_s: 5.0,
        ramp_safe_value: Some(35.0),
        span: 100.0,
        commissioned: true,
    };
    let mvs = vec![mv, MvChecks { ramp_safe_value: None, ..mv }];
    InterlockConfig { hold_periods: 3, ..InterlockConfig::customary(T, reach, tags, 2, mvs) }
}

/// The plant, the DCS, the controller and the sink around one interlock. Every field is a knob of a script.
pub(super) struct World {
    pub(super) interlock: Interlock,
    pub(super) now: Stamp,
    pub(super) scans: u64,
    pub(super) cycle_offset: u64,
    pub(super) dcs: DcsView,
    pub(super) samples: [Option<Sample>; TAGS],
    /// Samples of this tag are no longer renewed.
    pub(super) frozen: [bool; TAGS],
    pub(super) hb_dcs_runs: bool,
    pub(super) echo_runs: bool,
    pub(super) link_up: bool,
    pub(super) solver: Option<SolveStatus>,
    pub(super) solve: SolveReport,
    pub(super) propose: Option<[f64; MVS]>,
    /// The proposals are of a cycle so long ago.
    pub(super) propose_late: u64,
    pub(super) no_proposal_left: bool,
    pub(super) confirms: bool,
    pub(super) writes: WriteReport,
    /// The DCS takes its MVs back when `MODE_ACT` is neither INIT nor ON.
    pub(super) takes_back: bool,
    pub(super) heartbeat: u32,
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
            |tag| Sample { tag: TagId(tag), value: 50.0, quality: Quality::Good, source_time: at, sequence: 0 };
        Self {
            interlock: Interlock::build(config, latch),
            now: at,
            scans: 0,
            cycle_offset: 0,
            dcs,
            samples: [Some(sample(0)), Some(sample(1)), Some(sample(2))],
            frozen: [false; TAGS],
            hb_dcs_runs: true,
            echo_runs: true,
            link_up: true,
            solver: Some(SolveStatus::Solved),
            solve: SolveReport::default(),
            propose: Some([50.0; MVS]),
            propose_late: 0,
            no_proposal_left: false,
            confirms: true,
            writes: WriteReport { failures: Fixed::filled(0, MVS), ..WriteReport::default() },
            takes_back: true,
            heartbeat: 0,
        }
    }

    pub(super) fn cycle(&self) -> u64 {
        (self.scans / SCANS_PER_PERIOD + 1).saturating_sub(self.cycle_offset)
    }

    /// What the controller says in this scan.
    pub(super) fn proposal(&self) -> Option<ProposedMove> {
        let u = self.propose.filter(|_| self.scans % SCANS_PER_PERIOD == PROPOSES_AT)?;
        Some(ProposedMove {
            proposer: Proposer::Mpc,
            cycle: self.cycle().saturating_sub(self.propose_late),
            computed_at: self.now,
            valid_until: self.now + T,
            u: Values::collect(u),
            solve: SolveStatus::Solved,
        })
    }

    pub(super) fn inputs<'a>(&'a self, proposal: Option<&'a ProposedMove>) -> Inputs<'a> {
        Inputs {
            samples: &self.samples,
            dcs: &self.dcs,
            link_up: self.link_up,
            proposal,
            no_proposal_left: self.no_proposal_left,
            solve: self.solve,
            cycle: self.cycle(),
            writes: self.writes,
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
        for (sample, frozen) in self.samples.iter_mut().zip(self.frozen) {
            if let Some(s) = sample.as_mut().filter(|_| !frozen) {
                s.source_time = self.now;
                s.sequence += 1;
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
                if let Some(sp) = approved.set_point(n).filter(|_| mv.mode.value == MvMode::Rcas) {
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
