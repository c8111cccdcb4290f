//! What may not be written, in words of its own: the oracle knows the plant file's numbers and what stood on the interface.

use safety::{ApprovedMove, Decision, MoveKind, Reach, State, Verdict};
use signals::dcs::{DcsView, MvMode, MvRead};
use signals::{MAX_MVS, Stamp};

/// What of a set-point is rounding.
const ROUNDING: f64 = 1e-3;

/// Why a write is unsafe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsafe {
    /// I1: outside the limits, or no number.
    Range,
    /// I2: further from the move before than the rate permits.
    Rate,
    /// I5: in a latched state.
    Latched,
    /// I8: under another lease than the DCS's, or under the one at which the loop was armed.
    Lease,
    /// I11: by a loop that may not write, or a move outside an engagement.
    Reach,
    /// I12: an MV that begins with a jump.
    Jump,
    /// A move that does not lapse within a period.
    Lasts,
}

/// What is right. The default is what [`super::live`] configures; another one is a negative control.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Oracle {
    /// Lower engineering limit of every MV.
    pub low: f64,
    /// The upper one.
    pub high: f64,
    /// The rate.
    pub rate_per_s: f64,
    /// The control period.
    pub period_s: f64,
    /// Whether there are lawful leases at all.
    pub leases: bool,
    /// Whether there are states in which a move may be written.
    pub writes: bool,
    /// Whether an MV that was not ours between two moves begins anew, where the DCS has it.
    pub anew: bool,
    /// The most by which the first move of an MV may differ from where the DCS has it.
    pub jump_max: f64,
}

impl Default for Oracle {
    fn default() -> Self {
        Self {
            low: 0.0,
            high: 100.0,
            rate_per_s: 5.0,
            period_s: 1.0,
            leases: true,
            writes: true,
            anew: true,
            jump_max: ROUNDING,
        }
    }
}

/// What the oracle remembers of a life.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Memory {
    before: State,
    armed_at: Option<u32>,
    /// The last move of each MV that has been ours since.
    last: [Option<f64>; MAX_MVS],
}

impl Oracle {
    /// What is unsafe about one decision, made on what the DCS `said`.
    pub(super) fn judge(
        &self,
        memory: &mut Memory,
        decision: &Decision,
        (said, reach, now): (&DcsView, Reach, Stamp),
        wrong: &mut Vec<Unsafe>,
    ) {
        if decision.state == State::Armed && memory.before != State::Armed {
            memory.armed_at = said.lease.good();
        }
        if !decision.state.is_engaged() {
            memory.last = [None; MAX_MVS];
        }
        for (read, last) in said.mvs.iter().zip(&mut memory.last) {
            *last = last.filter(|_| !self.anew || self.is_ours(read));
        }
        memory.before = decision.state;
        let Verdict::Pass(approved) = &decision.verdict else { return };
        let mut find = |bad: bool, what: Unsafe| {
            if bad {
                wrong.push(what);
            }
        };
        find(matches!(decision.state, State::Boot | State::Tripped | State::Shed), Unsafe::Latched);
        find(reach < Reach::ClosedLoop, Unsafe::Reach);
        find(approved.valid_until().since(now).as_secs_f64() > self.period_s, Unsafe::Lasts);
        for mv in 0..said.mvs.len() {
            let outside = approved.set_point(mv).is_some_and(|u| !(self.low..=self.high).contains(&u));
            find(outside, Unsafe::Range);
        }
        if approved.kind() == MoveKind::Move {
            find(!self.writes, Unsafe::Latched);
            find(!decision.state.is_engaged(), Unsafe::Reach);
            let lease = said.lease.good().filter(|_| self.leases);
            find(lease != Some(approved.lease()) || lease == memory.armed_at, Unsafe::Lease);
            self.judge_steps(memory, approved, said, wrong);
        }
    }

    fn judge_steps(&self, memory: &mut Memory, approved: &ApprovedMove, said: &DcsView, wrong: &mut Vec<Unsafe>) {
        for ((mv, read), last) in said.mvs.iter().enumerate().zip(&mut memory.last) {
            let Some(u) = approved.u().get(mv).copied().filter(|_| approved.in_service(mv)) else {
                *last = None;
                continue;
            };
            let (low, high) = (read.clamp_lo.value.max(self.low), read.clamp_hi.value.min(self.high));
            // An MV that is manipulated has clamps and a rate that are good.
            if !(low..=high).contains(&u) {
                wrong.push(Unsafe::Range);
            }
            let step = self.rate_per_s.min(read.roc_max.value) * self.period_s + ROUNDING;
            let from = last.unwrap_or(read.sp_act.value).max(low).min(high);
            if (u - from).abs() > step {
                wrong.push(Unsafe::Rate);
            }
            if last.is_none() && (u - from).abs() > self.jump_max {
                wrong.push(Unsafe::Jump);
            }
            *last = Some(u);
        }
    }

    /// Whether the DCS lets us manipulate the MV, and says enough of it.
    fn is_ours(&self, read: &MvRead) -> bool {
        let numbers = [&read.sp_act, &read.clamp_lo, &read.clamp_hi, &read.roc_max].map(|number| number.finite());
        let [Some(sp_act), Some(low), Some(high), Some(_)] = numbers else { return false };
        let inside = sp_act >= low.max(self.low) - ROUNDING && sp_act <= high.min(self.high) + ROUNDING;
        inside && read.mode.good() == Some(MvMode::Rcas) && read.opr_on.good() == Some(true)
    }
}
