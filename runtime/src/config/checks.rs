//! The checks of the interlock that a plant file may ask for beyond those that every loop has, and the cells of the
//! cause-and-effect matrix that it changes.
//!
//! What is left out is not there: each of these needs a number that only the site knows.

use std::time::Duration;

use safety::{Balance, CellChange, Cusum, Effect, InterlockConfig, MAX_BALANCES, Overlay, Priority, Reaction, Row};
use safety::{SafetyError, Travel};
use toml::de::DeValue;

use super::cross::TableFacts;
use super::reader::{Section, number};
use super::units::Affine;

/// The longest delay or window, in seconds.
const TIME_MAX_S: f64 = 86_400.0;
/// The most changes of cells in one file.
const CELLS_MAX: usize = 512;

const EFFECTS: [(&str, Effect); 6] = [
    ("warn", Effect::Warn),
    ("hold", Effect::Hold),
    ("ramp", Effect::Ramp),
    ("stand_down", Effect::StandDown),
    ("shed", Effect::Shed),
    ("trip", Effect::Trip),
];
const PRIORITIES: [(&str, Priority); 4] =
    [("low", Priority::Low), ("medium", Priority::Medium), ("high", Priority::High), ("critical", Priority::Critical)];

/// Checks 9 and 10 of a CV, in the tag's unit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ModelChecks {
    pub(crate) residual_max: Option<f64>,
    pub(crate) cusum: Option<Cusum>,
}

impl ModelChecks {
    pub(super) fn read(s: &Section<'_, '_>) -> Option<Self> {
        let residual_max = s.optional("deviation_max", "the tag's unit, above 0", positive);
        let cusum = optional_table(s, "cusum", |s| {
            let slack = s.non_negative("slack", "the tag's unit");
            let limit = s.positive("limit", "the tag's unit");
            Some(Cusum { slack: slack?, limit: limit? })
        });
        Some(Self { residual_max: residual_max?, cusum: cusum? })
    }

    pub(super) fn in_model_units(self, by: Affine) -> Self {
        let cusum = |c: Cusum| Cusum { slack: by.span(c.slack), limit: by.span(c.limit) };
        Self { residual_max: self.residual_max.map(|r| by.span(r)), cusum: self.cusum.map(cusum) }
    }
}

/// Checks 13 and 14 of an MV, in the tag's unit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ValveChecks {
    pub(crate) readback_tolerance: Option<f64>,
    pub(crate) travel: Option<Travel>,
}

impl ValveChecks {
    pub(super) fn read(s: &Section<'_, '_>) -> Option<Self> {
        let readback_tolerance = s.optional("readback_tolerance", "the tag's unit, above 0", positive);
        let travel = optional_table(s, "travel", |s| {
            let window_s = s.between("window_s", "seconds", 0.1, TIME_MAX_S);
            let travel_max = s.positive("travel_max", "the tag's unit");
            let reversals_max = s.count("reversals_max", 1, 1000);
            let dead_band = s.non_negative("dead_band", "the tag's unit");
            Some(Travel {
                window: Duration::from_secs_f64(window_s?),
                travel_max: travel_max?,
                reversals_max: reversals_max?,
                dead_band: dead_band?,
            })
        });
        Some(Self { readback_tolerance: readback_tolerance?, travel: travel? })
    }

    pub(super) fn in_model_units(self, by: Affine) -> Self {
        let travel = |t: Travel| Travel { travel_max: by.span(t.travel_max), dead_band: by.span(t.dead_band), ..t };
        Self { readback_tolerance: self.readback_tolerance.map(|r| by.span(r)), travel: self.travel.map(travel) }
    }
}

/// A table `[[balance]]`: its terms by the names of their tags, in the tags' units.
#[derive(Clone, Debug)]
pub(crate) struct BalanceTable {
    terms: Vec<(Term, f64)>,
    bias: f64,
    tolerance: f64,
    reaction: Reaction,
}

#[derive(Clone, Copy, Debug)]
enum Term {
    Tag(usize),
    Mv(usize),
}

/// The names of the tags that a balance may speak of: CVs, then DVs, and the MVs.
pub(super) struct Names<'f> {
    pub(super) measured: Vec<&'f TableFacts>,
    pub(super) mvs: &'f [TableFacts],
}

impl Names<'_> {
    fn find(&self, name: &str) -> Option<Term> {
        let is = |facts: &TableFacts| facts.name.as_deref() == Some(name);
        let tag = self.measured.iter().position(|facts| is(facts)).map(Term::Tag);
        tag.or_else(|| self.mvs.iter().position(is).map(Term::Mv))
    }
}

pub(super) fn read_balances(root: &Section<'_, '_>, names: &Names<'_>) -> Option<Vec<BalanceTable>> {
    root.sections("balance", (0, MAX_BALANCES), |s| {
        let expected = "a table of coefficients by the tags of this file, such as { FI101 = 1.0, FI102 = -1.0 }";
        let terms = s.get("terms", expected, |v| {
            let terms = v.as_table()?.iter();
            let terms = terms.map(|(key, v)| Some((names.find(key.get_ref())?, number(v.get_ref())?)));
            terms.collect::<Option<Vec<_>>>().filter(|terms| terms.iter().any(|(t, _)| matches!(t, Term::Tag(_))))
        });
        let bias = s.number("bias", "a number, in the terms' unit");
        let tolerance = s.positive("tolerance", "a number, in the terms' unit");
        let effect = s.choice("effect", &EFFECTS);
        let delay_s = s.between("delay_s", "seconds", 0.0, TIME_MAX_S);
        let reaction = Reaction::of(effect?, Duration::from_secs_f64(delay_s?));
        Some(BalanceTable { terms: terms?, bias: bias?, tolerance: tolerance?, reaction })
    })
}

impl BalanceTable {
    /// The balance over the model's units: `Σ c·x + b` in the tags' units, `x = (x_m - offset) / gain`.
    pub(super) fn build(&self, tags: &[Affine], mvs: &[Affine]) -> Balance {
        let mut balance =
            Balance { tags: vec![], mvs: vec![], bias: self.bias, tolerance: self.tolerance, reaction: self.reaction };
        for (term, coefficient) in &self.terms {
            let (terms, place, by) = match term {
                Term::Tag(n) => (&mut balance.tags, *n, tags.get(*n)),
                Term::Mv(n) => (&mut balance.mvs, *n, mvs.get(*n)),
            };
            let by = by.copied().unwrap_or(Affine::IDENTITY);
            let in_model_units = coefficient / by.span(1.0);
            terms.push((place, in_model_units));
            balance.bias -= in_model_units * by.value(0.0);
        }
        balance
    }
}

pub(super) fn read_cells(root: &Section<'_, '_>) -> Option<Overlay> {
    let causes: Vec<_> = Row::all().map(|row| (row.key(), row)).collect();
    let cell = root.sections("cell", (0, CELLS_MAX), |s| {
        let cause = s.choice("cause", &causes);
        let on = s.text("on", "what the cell speaks of: loop, CV1, DV1, MV1 or balance1");
        let effect = s.optional_choice("effect", &EFFECTS);
        let delay_s = s.optional("delay_s", &format!("seconds, from 0 to {TIME_MAX_S}"), |v| {
            number(v).filter(|s| (0.0..=TIME_MAX_S).contains(s))
        });
        let priority = s.optional_choice("priority", &PRIORITIES);
        Some(CellChange { cause: cause?, on: on?, effect: effect?, delay_s: delay_s?, priority: priority? })
    });
    Some(Overlay { cell: cell? })
}

/// Tells `root` of every cell that cannot be changed so.
pub(super) fn check_cells(root: &Section<'_, '_>, overlay: &Overlay, before: &InterlockConfig) {
    let mut config = before.clone();
    if let Err(SafetyError::Overlay { faults }) = overlay.apply(&mut config) {
        for fault in faults {
            root.fault_in("cell", fault.number - 1, fault.key, fault.must);
        }
    }
}

fn positive(value: &DeValue<'_>) -> Option<f64> {
    number(value).filter(|x| *x > 0.0)
}

#[allow(clippy::option_option, reason = "the outer says whether the table is in order, the inner whether it is there")]
fn optional_table<'d, 't, T>(
    s: &Section<'d, 't>,
    key: &'static str,
    read: impl FnOnce(&Section<'d, 't>) -> Option<T>,
) -> Option<Option<T>> {
    if s.has(key) { s.section(key, read).map(Some) } else { Some(None) }
}
