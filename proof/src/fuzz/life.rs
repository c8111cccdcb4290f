//! A life of an interlock, read from bytes. Every byte is lawful: what cannot be read ends the life.

use std::time::Duration;

use arbitrary::{Result, Unstructured};
use safety::{
    BypassSet, ConfigHash, Effect, Inputs, Interlock, InterlockConfig, Latch, MvChecks, Reach, Role, Row, SolveReport,
    State, TagChecks, TagReactions, Verdict, WriteReport,
};
use signals::dcs::{DcsView, ModeActual, ModeRequest, MvMode, Reading, Windup};
use signals::{Fixed, MAX_MVS, ProposedMove, Proposer, Quality, Sample, SolveStatus, Stamp, TagId, Values};

use super::oracle::{Memory, Oracle, Unsafe};

const PERIOD: Duration = Duration::from_secs(1);
const SCAN: Duration = Duration::from_millis(100);
const SCANS: u64 = 10;
const MVS: usize = 2;
const TAGS: usize = 2;
/// In this scan of a cycle the controller proposes.
const PROPOSES_AT: u64 = 3;
/// The longest life: an input is short, and a byte may let many scans pass.
const STEPS_MAX: u64 = 4000;

/// A change of state, and what was decided with it.
pub type Passage = (State, State, u8);

/// What came of a life.
#[derive(Clone, Debug, Default)]
pub struct Lived {
    /// Steps.
    pub steps: u64,
    /// Engagements.
    pub engagements: u64,
    /// Moves approved.
    pub moves: u64,
    /// Every change of state, by its kind.
    pub passages: Vec<Passage>,
    /// What was unsafe.
    pub wrong: Vec<Unsafe>,
}

/// Lives the life that `data` tells of, under the right oracle.
#[must_use]
pub fn live(data: &[u8]) -> Lived {
    live_under(data, Oracle::default())
}

/// Lives it under an oracle that may be wrong.
#[must_use]
pub fn live_under(data: &[u8], oracle: Oracle) -> Lived {
    let mut u = Unstructured::new(data);
    let Some(mut life) = Life::begin(&mut u, oracle) else { return Lived::default() };
    while !u.is_empty() && life.lived.steps < STEPS_MAX {
        if life.event(&mut u).is_err() {
            break;
        }
    }
    life.lived
}

/// Everything around one interlock. Its DCS plays along, until an event makes it do otherwise.
struct Life {
    interlock: Interlock,
    reach: Reach,
    oracle: Oracle,
    memory: Memory,
    now: Stamp,
    scan: u64,
    cycle_shift: i64,
    dcs: DcsView,
    samples: [Option<Sample>; TAGS],
    runs: [bool; TAGS],
    echo_runs: bool,
    hb_runs: bool,
    link_up: bool,
    solves: bool,
    solve: SolveReport,
    propose: Option<[f64; MVS]>,
    /// How many values a proposal and how many samples a step get too few.
    short: (usize, usize),
    no_proposal_left: bool,
    confirms: bool,
    takes_back: bool,
    writes: WriteReport,
    heartbeat: u32,
    before: State,
    lived: Lived,
}

fn config(u: &mut Unstructured<'_>) -> Result<InterlockConfig> {
    let reach =
        *u.choose(&[Reach::ClosedLoop, Reach::ClosedLoop, Reach::ClosedLoop, Reach::Advisory, Reach::Shadow])?;
    let trips = *u.choose(&[Effect::Hold, Effect::Ramp, Effect::Shed, Effect::Trip])?;
    let delay = PERIOD / 4 * u.int_in_range(0..=4)?;
    let accept_uncertain = u.arbitrary()?;
    let tag = |role| TagChecks {
        hysteresis: 2.0,
        rate_max_per_s: 100.0,
        accept_uncertain,
        reactions: TagReactions::of(role, delay),
        ..TagChecks::customary(role, 0.0, 100.0, PERIOD)
    };
    let (critical, other) = (tag(Role::Critical), tag(Role::NonCritical));
    let critical = TagChecks { reactions: critical.reactions.with(Row::Range, trips), ..critical };
    let right = Oracle::default();
    let safe = |there: bool| there.then_some(35.0);
    let mv = |there| MvChecks {
        ramp_safe_value: safe(there),
        ..MvChecks::customary(right.low, right.high, right.rate_per_s, PERIOD)
    };
    let mvs = vec![mv(u.arbitrary()?), mv(u.arbitrary()?)];
    let hold_periods = u.int_in_range(1..=4)?;
    Ok(InterlockConfig { hold_periods, ..InterlockConfig::customary(PERIOD, reach, vec![critical, other], 1, mvs) })
}

fn good_image() -> DcsView {
    let at = Stamp::ZERO;
    let mut dcs = DcsView::sized(MVS, 1, 1);
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
        (mv.lo_opr, mv.hi_opr) = (Reading::of(10.0, at), Reading::of(90.0, at));
        (mv.clamp_lo, mv.clamp_hi) = (Reading::of(5.0, at), Reading::of(95.0, at));
        mv.roc_max = Reading::of(10.0, at);
    }
    dcs
}

/// A number: mostly near the range, sometimes anything that eight bytes can be.
fn number(u: &mut Unstructured<'_>) -> Result<f64> {
    Ok(match u.int_in_range(0..=7)? {
        0 => u.arbitrary()?,
        1 => f64::NAN,
        2 => f64::INFINITY,
        _ => f64::from(u.arbitrary::<u16>()?) / 400.0 - 30.0,
    })
}

fn quality(u: &mut Unstructured<'_>) -> Result<Quality> {
    Ok(*u.choose(&[Quality::Good, Quality::Good, Quality::Good, Quality::Uncertain, Quality::Bad])?)
}

/// A reading whose value `draw` draws.
fn read<'a, T: Copy>(
    u: &mut Unstructured<'a>,
    draw: impl FnOnce(&mut Unstructured<'a>) -> Result<T>,
    at: Stamp,
) -> Result<Reading<T>> {
    Ok(Reading { value: draw(u)?, quality: quality(u)?, source_time: at })
}

impl Life {
    fn begin(u: &mut Unstructured<'_>, oracle: Oracle) -> Option<Self> {
        let config = config(u).ok()?;
        let sample = |tag| Sample {
            tag: TagId(tag),
            value: 50.0,
            quality: Quality::Good,
            source_time: Stamp::ZERO,
            sequence: 0,
        };
        Some(Self {
            reach: config.reach,
            interlock: Interlock::with_latch(config, Latch::default()).ok()?,
            oracle,
            memory: Memory::default(),
            now: Stamp::ZERO,
            scan: 0,
            cycle_shift: 1,
            dcs: good_image(),
            samples: [Some(sample(0)), Some(sample(1))],
            runs: [true; TAGS],
            echo_runs: true,
            hb_runs: true,
            link_up: true,
            solves: true,
            solve: SolveReport::default(),
            propose: Some([60.0, 40.0]),
            short: (0, 0),
            no_proposal_left: false,
            confirms: true,
            takes_back: true,
            writes: WriteReport { failures: Fixed::filled(0, MVS), ..WriteReport::default() },
            heartbeat: 0,
            before: State::Boot,
            lived: Lived::default(),
        })
    }

    fn cycle(&self) -> u64 {
        (self.scan / SCANS).saturating_add_signed(self.cycle_shift)
    }

    /// One event, and the scans that pass after it.
    fn event(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let scans = match u.int_in_range(0..=9)? {
            0 => return self.climb(u),
            1 | 2 => self.operator(u)?,
            3 => self.permission(u)?,
            4 | 5 => self.mv(u)?,
            6 => self.measurement(u)?,
            7 | 8 => self.controller(u)?,
            _ => self.surroundings(u)?,
        };
        self.pass(scans);
        Ok(())
    }

    /// Everything is put right, and the operator goes as far up as a byte says.
    fn climb(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let lease = self.dcs.lease.value;
        let heard = (self.dcs.hb_dcs, self.dcs.hb_echo);
        self.dcs = good_image();
        (self.dcs.hb_dcs, self.dcs.hb_echo) = heard;
        (self.dcs.hb_dcs.quality, self.dcs.hb_echo.quality) = (Quality::Good, Quality::Good);
        self.dcs.lease.value = lease;
        for (sample, tag) in self.samples.iter_mut().zip(0..) {
            let source_time = self.now;
            *sample = Some(Sample { tag: TagId(tag), value: 50.0, quality: Quality::Good, source_time, sequence: 0 });
        }
        (self.runs, self.echo_runs, self.hb_runs, self.link_up, self.solves) = ([true; TAGS], true, true, true, true);
        (self.confirms, self.takes_back, self.no_proposal_left, self.short) = (true, true, false, (0, 0));
        self.writes.failures = Fixed::filled(0, MVS);
        self.propose = Some([number(u)?.clamp(-1e3, 1e3), 40.0]).filter(|u| u.iter().all(|v| v.is_finite()));
        let steps = u.int_in_range(0..=4)?;
        for step in 0..=steps {
            match step {
                0 => self.dcs.mode_req.value = ModeRequest::Off,
                1 => self.dcs.mode_req.value = ModeRequest::Warm,
                2 => self.dcs.mode_req.value = ModeRequest::On,
                3 => self.grant(lease.wrapping_add(1)),
                _ => {}
            }
            self.pass(12);
        }
        Ok(())
    }

    fn grant(&mut self, lease: u32) {
        self.dcs.lease.value = lease;
        for mv in self.dcs.mvs.iter_mut() {
            mv.init_req.value = mv.opr_on.value;
        }
    }

    fn operator(&mut self, u: &mut Unstructured<'_>) -> Result<u64> {
        match u.int_in_range(0..=5)? {
            0 => self.grant(u.arbitrary()?),
            1 => self.grant(self.dcs.lease.value.wrapping_add(1)),
            _ => self.dcs.mode_req = read(u, |u| u.choose(ModeRequest::ALL).copied(), self.now)?,
        }
        u.int_in_range(1..=12)
    }

    fn permission(&mut self, u: &mut Unstructured<'_>) -> Result<u64> {
        let (at, lease) = (self.now, self.dcs.lease.value);
        match u.int_in_range(0..=4)? {
            0 => self.dcs.permit = read(u, |u| u.arbitrary(), at)?,
            1 => self.dcs.wd_ok = read(u, |u| u.arbitrary(), at)?,
            2 => self.dcs.lease = read(u, |_| Ok(lease), at)?,
            3 => self.dcs.lease = read(u, |u| u.int_in_range(0..=9), at)?,
            _ => self.takes_back = u.arbitrary()?,
        }
        u.int_in_range(1..=4)
    }

    fn mv(&mut self, u: &mut Unstructured<'_>) -> Result<u64> {
        let at = self.now;
        let n = u.int_in_range(0..=MVS - 1)?;
        let what = u.int_in_range(0..=9)?;
        let Some(mv) = self.dcs.mvs.get_mut(n) else { return Ok(1) };
        match what {
            0 => mv.sp_act = read(u, |u| number(u), at)?,
            1 => mv.mode = read(u, |u| u.choose(MvMode::ALL).copied(), at)?,
            2 => mv.opr_on = read(u, |u| u.arbitrary(), at)?,
            3 => mv.init_req = read(u, |u| u.arbitrary(), at)?,
            4 => mv.windup = read(u, |u| u.choose(Windup::ALL).copied(), at)?,
            5 => (mv.lo_opr, mv.hi_opr) = (read(u, |u| number(u), at)?, read(u, |u| number(u), at)?),
            6 => mv.clamp_lo = read(u, |u| number(u), at)?,
            7 => mv.clamp_hi = read(u, |u| number(u), at)?,
            8 => mv.roc_max = read(u, |u| number(u), at)?,
            _ => {
                let failures = u.int_in_range(0..=3)?;
                self.writes.failures.iter_mut().skip(n).take(1).for_each(|count| *count = failures);
            }
        }
        u.int_in_range(1..=12)
    }

    fn measurement(&mut self, u: &mut Unstructured<'_>) -> Result<u64> {
        let n = u.int_in_range(0..=TAGS - 1)?;
        let (value, quality, lost, runs) = (number(u)?, quality(u)?, u.ratio(1, 8)?, u.ratio(3, 4)?);
        let ahead = Duration::from_millis(u64::from(u.arbitrary::<u16>()?)) * u32::from(u.ratio(1, 8)?);
        let source_time = self.now + ahead;
        let tag = TagId(u16::try_from(n).unwrap_or(0));
        let sample = (!lost).then_some(Sample { tag, value, quality, source_time, sequence: self.scan });
        self.samples.iter_mut().skip(n).take(1).for_each(|slot| *slot = sample);
        self.runs.iter_mut().skip(n).take(1).for_each(|slot| *slot = runs);
        u.int_in_range(1..=30)
    }

    fn controller(&mut self, u: &mut Unstructured<'_>) -> Result<u64> {
        match u.int_in_range(0..=6)? {
            0 => self.propose = None,
            1 => self.solves = u.arbitrary()?,
            2 => self.no_proposal_left = u.ratio(1, 3)?,
            3 => self.short = (usize::from(u.ratio(1, 6)?), usize::from(u.ratio(1, 6)?)),
            _ => self.propose = Some([number(u)?, number(u)?]),
        }
        u.int_in_range(1..=30)
    }

    fn surroundings(&mut self, u: &mut Unstructured<'_>) -> Result<u64> {
        match u.int_in_range(0..=7)? {
            0 => self.hb_runs = u.ratio(2, 3)?,
            1 => self.echo_runs = u.ratio(2, 3)?,
            2 => self.link_up = u.ratio(2, 3)?,
            3 => self.confirms = u.ratio(2, 3)?,
            4 => self.cycle_shift += i64::from(u.arbitrary::<i8>()?),
            5 => self.now = self.now + Duration::from_millis(u64::from(u.arbitrary::<u16>()?)),
            6 => self.now = Stamp::from_nanos(self.now.nanos() - 1_000_000 * i64::from(u.arbitrary::<u16>()?)),
            _ => self.writes = WriteReport { confirmed: u.arbitrary()?, at: self.now, ..self.writes },
        }
        u.int_in_range(1..=30)
    }

    fn pass(&mut self, scans: u64) {
        for _ in 0..scans {
            self.step();
        }
    }

    /// A tenth of a period, and a step at its end.
    fn step(&mut self) {
        self.now = self.now + SCAN;
        self.scan += 1;
        self.dcs.hb_dcs.value = self.dcs.hb_dcs.value.wrapping_add(u32::from(self.hb_runs));
        if self.echo_runs {
            self.dcs.hb_echo.value = self.heartbeat;
        }
        let status = if self.solves { SolveStatus::Solved } else { SolveStatus::Infeasible };
        self.solve = SolveReport { status, cycle: self.cycle(), at: self.now };
        for (sample, runs) in self.samples.iter_mut().zip(self.runs) {
            if let Some(sample) = sample.as_mut().filter(|_| runs) {
                sample.source_time = self.now;
            }
        }
        let proposal = self.proposal();
        let samples = self.samples;
        let inputs = Inputs {
            samples: samples.get(self.short.1..).unwrap_or_default(),
            expected: &[],
            dcs: &self.dcs,
            link_up: self.link_up,
            proposal: proposal.as_ref(),
            no_proposal_left: self.no_proposal_left,
            policy: None,
            solve: self.solve,
            cycle: self.cycle(),
            writes: self.writes,
            bypasses: &BypassSet::default(),
            wall: None,
            config_hash: ConfigHash::default(),
            beats_dropped: 0,
        };
        let decision = self.interlock.step(&inputs, self.now);
        let world = (&self.dcs, self.reach, self.now);
        self.oracle.judge(&mut self.memory, &decision, world, &mut self.lived.wrong);
        self.react(&decision);
    }

    fn proposal(&self) -> Option<ProposedMove> {
        let u = self.propose.filter(|_| self.scan % SCANS == PROPOSES_AT)?;
        Some(ProposedMove {
            proposer: Proposer::Mpc,
            cycle: self.cycle(),
            computed_at: self.now,
            valid_until: self.now + PERIOD,
            u: Values::<MAX_MVS>::collect(u.into_iter().skip(self.short.0)),
            solve: SolveStatus::Solved,
        })
    }

    /// The sink writes and the DCS reacts.
    fn react(&mut self, decision: &safety::Decision) {
        self.lived.steps += 1;
        self.heartbeat = decision.heartbeat;
        let kind = match &decision.verdict {
            Verdict::Pass(_) => 0,
            Verdict::Recommend(_) => 1,
            Verdict::Withhold(_) => 2,
            Verdict::Trip(_) => 3,
        };
        if decision.state != self.before {
            self.lived.passages.push((self.before, decision.state, kind));
            self.lived.engagements += u64::from(decision.state == State::Active && self.before == State::Armed);
        }
        self.before = decision.state;
        if let Verdict::Pass(approved) = &decision.verdict {
            self.lived.moves += u64::from(approved.kind() == safety::MoveKind::Move);
            for (n, mv) in self.dcs.mvs.iter_mut().enumerate() {
                if let Some(sp) = approved.set_point(n).filter(|_| mv.mode.value == MvMode::Rcas && self.confirms) {
                    mv.sp_act.value = sp;
                }
            }
            if self.confirms {
                (self.writes.confirmed, self.writes.at) = (approved.id(), self.now);
            }
        }
        let ours = matches!(decision.mode_act, ModeActual::Init | ModeActual::On);
        for (mv, shown) in self.dcs.mvs.iter_mut().zip(&decision.mv) {
            if mv.init_req.value && shown.init_ack {
                (mv.mode.value, mv.init_req.value) = (MvMode::Rcas, false);
            } else if !ours && self.takes_back && mv.mode.value == MvMode::Rcas {
                mv.mode.value = MvMode::Auto;
            }
        }
    }
}
