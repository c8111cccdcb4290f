//! The judge of moves: whether what the loop hands to its sink is such as no sink should ever be handed.
//!
//! Place in the loop: at the sink, before the sink's own last look, so that what that look stops is counted too. It shares
//! no code with the interlock or the last look, and knows none of their limits: it goes by what the DCS has.
//!
//! The interlock is judged by what it knew. Lease and permits are those of the image that the loop had latched when its
//! interlock stepped last before the hand-over; from then on the loop itself has to withdraw what is void. A move that was
//! right by that image, and is void by what the link has heard since, was overtaken: that is nobody's fault, it is counted
//! apart, and the last look stops it.

use std::time::Duration;

use actors::Board;
use actors::board::{Beat, SCANS_PER_CYCLE};
use safety::{ApprovedMove, MoveKind};
use signals::dcs::{DcsView, ModeActual, MvRead};
use signals::{MAX_MVS, Stamp};

/// What of an MV's clamp is rounding.
const TOLERANCE: f64 = 1e-9;

/// Moves that no sink should ever be handed, by what is wrong with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct InvalidMoves {
    /// With a set-point that is no finite number.
    pub not_finite: u64,
    /// With a set-point outside the clamp that the DCS has.
    pub outside_clamp: u64,
    /// With a set-point further from the one before than the DCS's `ROC_MAX` permits in the periods between the two.
    pub too_fast: u64,
    /// After the end of their validity.
    pub expired: u64,
    /// That move the plant while the loop does not claim ON.
    pub not_on: u64,
    /// That move the plant under another lease than the one that the loop knew of.
    pub old_lease: u64,
    /// That move the plant though the loop knew that `PERMIT` or `WD_OK` was not true and good.
    pub not_permitted: u64,
    /// Overtaken by news that the loop had not latched yet. These are not invalid.
    pub overtaken: u64,
}

impl InvalidMoves {
    /// How many faults there were; moves that were overtaken are none.
    #[must_use]
    pub fn total(&self) -> u64 {
        let Self { not_finite, outside_clamp, too_fast, expired, not_on, old_lease, not_permitted, overtaken: _ } =
            self;
        not_finite + outside_clamp + too_fast + expired + not_on + old_lease + not_permitted
    }
}

/// The move before, of the same engagement.
#[derive(Clone, Copy, Debug)]
struct Before {
    lease: u32,
    cycle: u64,
    /// The set-points of the MVs that it manipulated.
    u: [Option<f64>; MAX_MVS],
}

/// The judge of one loop's moves. What it counts are faults, so one move may count more than once.
#[derive(Clone, Debug)]
pub(super) struct Judge {
    period: Duration,
    counts: InvalidMoves,
    before: Option<Before>,
}

/// What speaks against a move by an image of the DCS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Permission {
    leased: bool,
    permitted: bool,
}

impl Permission {
    fn of(approved: &ApprovedMove, image: &DcsView) -> Self {
        Self {
            leased: image.lease.good() == Some(approved.lease()),
            permitted: image.permit.good() == Some(true) && image.wd_ok.good() == Some(true),
        }
    }
}

impl Judge {
    /// Nothing judged yet, of a loop with this control period.
    pub(super) fn new(period: Duration) -> Self {
        Self { period, counts: InvalidMoves::default(), before: None }
    }

    pub(super) fn counts(&self) -> InvalidMoves {
        self.counts
    }

    /// Judges one move at its hand-over at `now`, by what the DCS `has` and what the loop knew.
    pub(super) fn judge(&mut self, approved: &ApprovedMove, has: &DcsView, board: &Board, now: Stamp) {
        self.counts.expired += u64::from(now > approved.valid_until());
        for (n, mv) in has.mvs.iter().enumerate() {
            let Some(u) = approved.set_point(n) else { continue };
            let inside = (mv.clamp_lo.value..=mv.clamp_hi.value).contains(&u);
            self.counts.not_finite += u64::from(!u.is_finite());
            self.counts.outside_clamp += u64::from(u.is_finite() && !inside);
            self.counts.too_fast += u64::from(self.is_too_fast(approved, n, mv));
        }
        self.remember(approved);
        if approved.kind() == MoveKind::Move {
            self.judge_leave(approved, board);
        }
    }

    /// Whether the step from the move before is more than the rate permits in the time between the two. What was approved
    /// and never came here, because the actuator was down, counts as time.
    fn is_too_fast(&self, approved: &ApprovedMove, n: usize, mv: &MvRead) -> bool {
        let before = self.before.filter(|b| approved.kind() == MoveKind::Move && b.lease == approved.lease());
        let last = before.and_then(|b| b.u.get(n).copied().flatten());
        let (Some(before), Some(last), Some(u)) = (before, last, approved.set_point(n)) else { return false };
        let (lo, hi) = (mv.clamp_lo.value, mv.clamp_hi.value);
        // A clamp that is tightened past the set-point is applied by the DCS; from there the rate holds.
        let base = last.max(lo).min(hi);
        let periods = approved.cycle().saturating_sub(before.cycle) as f64;
        let step = mv.roc_max.value * self.period.as_secs_f64() * periods;
        (u - base).abs() > step + TOLERANCE * (hi - lo).abs()
    }

    /// Tracking ends the series: the first move of an engagement has none before it.
    fn remember(&mut self, approved: &ApprovedMove) {
        self.before = (approved.kind() == MoveKind::Move).then(|| {
            let ours = |n| approved.u().get(n).copied().filter(|_| approved.in_service(n));
            Before { lease: approved.lease(), cycle: approved.cycle(), u: std::array::from_fn(ours) }
        });
    }

    /// Whether the loop had the DCS's leave, as far as it knew.
    fn judge_leave(&mut self, approved: &ApprovedMove, board: &Board) {
        let on = board.outlet.read().is_some_and(|apc| apc.mode_act.value == ModeActual::On);
        self.counts.not_on += u64::from(!on);
        let known = Permission::of(approved, &board.image.dcs.read().unwrap_or_default());
        let heard = Permission::of(approved, &board.inlet.dcs.read().unwrap_or_default());
        let right = Permission { leased: true, permitted: true };
        // Between the latching of an image and the interlock's step the loop knows no better.
        if known == right || !self.has_stepped(board) {
            self.counts.overtaken += u64::from(known != right || heard != right);
            return;
        }
        self.counts.old_lease += u64::from(!known.leased);
        self.counts.not_permitted += u64::from(!known.permitted);
    }

    /// Whether the interlock has stepped since the present image was latched.
    fn has_stepped(&self, board: &Board) -> bool {
        let (Some(Beat { at, scan, .. }), Some(status)) = (board.beat.read(), board.status.read()) else {
            return false;
        };
        let scans = u32::try_from(scan).unwrap_or(u32::MAX);
        let latched = at + self.period.saturating_mul(scans) / u32::try_from(SCANS_PER_CYCLE).unwrap_or(u32::MAX);
        status.at >= latched
    }
}
