//! What a plant file says of the safety filter and of the model's contract: the sections `[filter]` and `[contract]`, and
//! the keys of a `[[cv]]` that go with them. All of it may be left out, and is then not there.

use control::contract::ContractConfig;
use control::guarded::{GuardConfig, Guards};
use control::safety_filter::{CvLimits, FilterConfig};
use plant_models::Variable;

use super::plant::{Cv, Mv, PlantFile};
use super::reader::{Section, number};
use super::units::Affine;

/// A safe move this close to the proposal, in spans of the MV, is the proposal.
const PASS_SPANS: f64 = 1e-3;

/// The section `[filter]`.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    guards: Guards,
    horizon: usize,
    tail: usize,
    sqp_iterations: usize,
    rest_max: f64,
    slack_price: f64,
}

/// The section `[contract]`.
#[derive(Clone, Debug)]
pub(crate) struct Contract {
    void_after: u32,
    holds_after: u32,
    state_residual_max: Vec<f64>,
}

/// What the filter keeps of one CV; infinite sides are none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Safe {
    low: f64,
    high: f64,
    margin: f64,
    tolerance: f64,
}

/// What the checks between keys ask of a CV.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SafeFacts {
    /// Whether it has a safe limit.
    pub(super) limited: bool,
    /// Whether it has a `residual_max`.
    pub(super) residual: bool,
}

#[allow(
    clippy::option_option,
    reason = "the outer says whether the section is in order, the inner whether it is there"
)]
pub(super) fn read_filter(root: &Section<'_, '_>) -> Option<Option<Filter>> {
    if !root.has("filter") {
        root.skip("filter");
        return Some(None);
    }
    let read = |s: &Section<'_, '_>| {
        let guards = s.choice("guards", &[("all", Guards::All), ("untrusted", Guards::Untrusted)]);
        let (horizon, tail) = (s.count("horizon", 1, 200), s.count("tail", 1, 200));
        let sqp_iterations = s.count("sqp_iterations", 1, 50);
        let rest_max = s.positive("rest_max", "spans of a state per period");
        let slack_price = s.positive("slack_price", "a number");
        Some(Filter {
            guards: guards?,
            horizon: horizon? as usize,
            tail: tail? as usize,
            sqp_iterations: sqp_iterations? as usize,
            rest_max: rest_max?,
            slack_price: slack_price?,
        })
    };
    root.section("filter", read).map(Some)
}

#[allow(
    clippy::option_option,
    reason = "the outer says whether the section is in order, the inner whether it is there"
)]
pub(super) fn read_contract(root: &Section<'_, '_>, states: Option<&'static [Variable]>) -> Option<Option<Contract>> {
    if !root.has("contract") {
        root.skip("contract");
        return Some(None);
    }
    let read = |s: &Section<'_, '_>| {
        let (void_after, holds_after) = (s.count("void_after", 1, 1000), s.count("holds_after", 1, 10_000));
        let boxes = |states: &'static [Variable]| {
            let each = |s: &Section<'_, '_>| {
                let read: Vec<Option<f64>> = states.iter().map(|v| s.positive(v.name, "the model's unit")).collect();
                read.into_iter().collect()
            };
            s.section("state_residual_max", each)
        };
        let state_residual_max = if let Some(states) = states {
            boxes(states)
        } else {
            s.skip("state_residual_max");
            None
        };
        Some(Contract { void_after: void_after?, holds_after: holds_after?, state_residual_max: state_residual_max? })
    };
    root.section("contract", read).map(Some)
}

/// The keys `safe_…` of a CV, in the model's units.
#[allow(
    clippy::option_option,
    reason = "the outer says whether the keys are in order, the inner whether they are there"
)]
pub(super) fn read_safe(s: &Section<'_, '_>, facts: &mut SafeFacts) -> Option<Option<Safe>> {
    let low = s.optional("safe_low", "a number", number);
    let high = s.optional("safe_high", "a number", number);
    facts.limited = s.has("safe_low") || s.has("safe_high");
    if !facts.limited {
        return Some(None);
    }
    let margin = s.non_negative("safe_margin", "the tag's unit");
    let tolerance = s.non_negative("safe_tolerance", "the tag's unit");
    let low = low?.unwrap_or(f64::NEG_INFINITY);
    let (high, margin) = (high?.unwrap_or(f64::INFINITY), margin?);
    if low + margin >= high - margin {
        s.fault("safe_margin", format!("a margin that leaves room between {low} and {high}"));
        return None;
    }
    Some(Some(Safe { low, high, margin, tolerance: tolerance? }))
}

/// The key `residual_max` of a CV, in the tag's unit; infinite where it is not watched.
pub(super) fn read_residual_max(s: &Section<'_, '_>, facts: &mut SafeFacts) -> Option<f64> {
    let most = s.optional("residual_max", "the tag's unit, above 0", |v| number(v).filter(|most| *most > 0.0));
    facts.residual = s.has("residual_max");
    Some(most?.unwrap_or(f64::INFINITY))
}

impl Safe {
    pub(super) fn in_model_units(self, by: Affine) -> Self {
        let Self { low, high, margin, tolerance } = self;
        Self { low: by.value(low), high: by.value(high), margin: by.span(margin), tolerance: by.span(tolerance) }
    }
}

/// Faults between the sections and the CVs' keys.
pub(super) fn check(root: &Section<'_, '_>, cvs: &[SafeFacts]) {
    let has_filter = root.has("filter");
    if has_filter && !cvs.is_empty() && !cvs.iter().any(|cv| cv.limited) {
        root.fault("filter", "a [[cv]] with `safe_low` or `safe_high`: without one there is nothing to keep");
    }
    if !has_filter && root.has("contract") {
        root.fault("contract", "a [filter] beside it: the contract says when the filter's word counts");
    }
    for (i, cv) in cvs.iter().enumerate() {
        if cv.limited && !has_filter {
            let key = "safe_tolerance";
            root.fault_in("cv", i, key, "a [filter] that keeps the safe limits");
        }
        if cv.residual && !root.has("contract") {
            root.fault_in("cv", i, "residual_max", "a [contract] that watches it");
        }
    }
}

impl PlantFile {
    /// What stands behind the controller.
    pub(super) fn guard(&self) -> Option<GuardConfig> {
        let filter = self.filter.as_ref()?;
        let limits = |cv: &Cv| CvLimits {
            output: cv.output,
            span: cv.span,
            lo: cv.safe.map_or(f64::NEG_INFINITY, |safe| safe.low),
            hi: cv.safe.map_or(f64::INFINITY, |safe| safe.high),
            margin: cv.safe.map_or(0.0, |safe| safe.margin),
            tolerance: cv.safe.map_or(0.0, |safe| safe.tolerance),
        };
        let contract = |contract: &Contract| ContractConfig {
            period_s: self.period_s,
            method: self.mpc.method,
            substeps: self.mpc.substeps,
            outputs: self.cvs.iter().map(|cv| cv.output).collect(),
            state_residual_max: contract.state_residual_max.clone(),
            cv_residual_max: self.cvs.iter().map(|cv| cv.residual_max).collect(),
            void_after: contract.void_after,
            holds_after: contract.holds_after,
        };
        Some(GuardConfig {
            guards: filter.guards,
            filter: FilterConfig {
                period_s: self.period_s,
                horizon: filter.horizon,
                tail: filter.tail,
                method: self.mpc.method,
                substeps: self.mpc.substeps,
                sqp_iterations: filter.sqp_iterations,
                cv: self.cvs.iter().map(limits).collect(),
                mv_span: self.mvs.iter().map(|mv: &Mv| mv.high - mv.low).collect(),
                rest_max: filter.rest_max,
                pass_spans: PASS_SPANS,
                slack_price: filter.slack_price,
            },
            contract: self.contract.as_ref().map(contract),
        })
    }
}
