//! What the phases of a solve leave for one another: the preparation for the feedback, and the merit for the next step.
//!
//! Source of the merit: Nocedal and Wright, *Numerical Optimization*, 2nd ed., 18.4 (the l1 penalty function).

use super::MERIT_ROUNDING;
use super::MpcInput;
use super::reach::Reach;

/// The phases of an SQP iteration that are already behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Nothing,
    Linearised,
    Prepared,
}

/// The periods that count when nothing further ahead can be solved for.
pub(super) const SHORT_SIGHT: usize = 8;

/// Where a solve starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// The last plan, shifted.
    Shifted,
    /// A simulation with the inputs held.
    Simulated,
    /// The measured state, standing still.
    Standing,
    /// The same, looking only [`SHORT_SIGHT`] periods ahead: about a steep place of an unstable plant, a long horizon's
    /// linear prediction grows beyond all numbers.
    ShortSighted,
}

/// Everything that the prepared programme was made of, but for the state.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) valid: bool,
    /// The model's disturbances, and all other numbers, as they were.
    p: Vec<f64>,
    others: Vec<f64>,
}

impl Prepared {
    /// Room for what one cycle brings: NP disturbances, and so many other numbers.
    pub(super) fn with_room(disturbances: usize, others: usize) -> Self {
        Self { valid: false, p: Vec::with_capacity(disturbances), others: Vec::with_capacity(others) }
    }

    /// Remembers what the programme was just prepared for.
    pub(super) fn take(&mut self, input: &MpcInput<'_>, reach: &Reach) {
        self.valid = true;
        self.p.clear();
        self.p.extend_from_slice(input.p);
        self.others.clear();
        self.others.extend(others(input, reach));
    }

    /// How much of the work for `input` is behind us. The cycle's trajectory is in place already.
    pub(super) fn stands_for(&self, input: &MpcInput<'_>, reach: &Reach) -> Done {
        if !self.valid || self.p != input.p {
            return Done::Nothing;
        }
        if self.others.iter().copied().eq(others(input, reach)) { Done::Prepared } else { Done::Linearised }
    }
}

/// All numbers of an input but its state, its inputs in force and p. An absent target counts as infinite.
fn others<'a>(input: &MpcInput<'a>, reach: &'a Reach) -> impl Iterator<Item = f64> {
    let targets = input.setpoints.iter().chain(input.mv_targets).map(|target| target.unwrap_or(f64::INFINITY));
    let slices = [input.d, input.cv_lo, input.cv_hi, input.u_lo, input.u_hi, input.du_max];
    targets.chain(slices.into_iter().flatten().copied()).chain(reach.numbers())
}

/// The l1 merit of a trajectory: its cost, and its violation of the dynamics at the price of the costates.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Merit {
    price: f64,
    /// Cost and violation where the last step started.
    base: Option<(f64, f64)>,
}

impl Merit {
    /// The price that makes the penalty exact under these costates.
    pub(super) fn weigh(&mut self, costates: &[f64]) {
        self.price = costates.iter().fold(self.price, |price, costate| f64::max(price, 1.1 * costate.abs()));
    }

    pub(super) fn base(&mut self, cost: f64, violation: f64) {
        self.base = Some((cost, violation));
    }

    pub(super) fn has_base(&self) -> bool {
        self.base.is_some()
    }

    /// Whether a point is no worse than the one that the last step started from.
    pub(super) fn accepts(&self, cost: f64, violation: f64) -> bool {
        self.base.is_none_or(|(base_cost, base_violation)| {
            let (merit, before) = (cost + self.price * violation, base_cost + self.price * base_violation);
            merit <= before + MERIT_ROUNDING * (1.0 + before.abs())
        })
    }
}
