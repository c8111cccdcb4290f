//! What spans several keys of a plant file: names and nodes used twice, variables without a tag, tags that must never
//! be written.
//!
//! It is judged on whatever could be read: a key that is out of order takes part in no check, and hides no other fault.

use std::collections::BTreeMap;

use plant_models::PlantModel;
use signals::dcs::{DcsTag, Direction};
use signals::{MAX_CVS, MAX_DVS, MAX_MVS};

use super::guard::{self, SafeFacts};
use super::plant::{Mode, PlantFile};
use super::reader::Section;

/// What the checks ask of a file, as far as it could be read.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) model: Option<&'static dyn PlantModel>,
    pub(super) period_s: Option<f64>,
    pub(super) mode: Option<Mode>,
    pub(super) prefix: Option<String>,
    pub(super) sis_tags: Vec<String>,
    pub(super) heartbeat_timeout_s: Option<f64>,
    pub(super) expiry_s: Option<f64>,
    pub(super) solver_failures_hold: Option<u32>,
    pub(super) solver_failures_shed: Option<u32>,
    pub(super) mvs: Vec<TableFacts>,
    pub(super) cvs: Vec<TableFacts>,
    pub(super) dvs: Vec<TableFacts>,
}

/// What they ask of one table `[[mv]]`, `[[cv]]` or `[[dv]]`. It stands at its number in the file, whatever is wrong with
/// it. Numbers are in the tag's unit.
#[derive(Debug, Default)]
pub(super) struct TableFacts {
    pub(super) name: Option<String>,
    pub(super) node: Option<String>,
    /// The number of the model's input, output or disturbance.
    pub(super) variable: Option<usize>,
    /// From low to high.
    pub(super) range: Option<(f64, f64)>,
    pub(super) hysteresis: Option<f64>,
    pub(super) max_age_s: Option<f64>,
    pub(super) weight: Option<f64>,
    pub(super) terminal_weight: Option<f64>,
    pub(super) price: Option<f64>,
    pub(super) rest_weight: Option<f64>,
    pub(super) safe: SafeFacts,
}

impl TableFacts {
    fn has_setpoint(&self) -> Option<bool> {
        self.weight.map(|weight| weight > 0.0)
    }
}

impl Facts {
    /// Tells `root` every fault that spans several keys.
    pub(super) fn check(&self, root: &Section<'_, '_>) {
        self.check_unique(root);
        self.check_variables(root);
        self.check_measured(root);
        self.check_weights(root);
        self.check_prices(root);
        self.check_safety(root);
        self.check_sis(root);
        let safe: Vec<SafeFacts> = self.cvs.iter().map(|cv| cv.safe).collect();
        guard::check(root, &safe);
    }

    /// Every table with its place: the array it stands in and its number there.
    fn tables(&self) -> impl Iterator<Item = (&'static str, usize, &TableFacts)> {
        let mvs = self.mvs.iter().enumerate().map(|(i, mv)| ("mv", i, mv));
        mvs.chain(self.measured())
    }

    fn measured(&self) -> impl Iterator<Item = (&'static str, usize, &TableFacts)> {
        let cvs = self.cvs.iter().enumerate().map(|(i, cv)| ("cv", i, cv));
        cvs.chain(self.dvs.iter().enumerate().map(|(i, dv)| ("dv", i, dv)))
    }

    fn check_unique(&self, root: &Section<'_, '_>) {
        let (mut names, mut nodes) = (BTreeMap::new(), BTreeMap::new());
        for (array, i, table) in self.tables() {
            let first = table.name.as_deref().and_then(|name| names.insert(name, (array, i)));
            if let Some((array_1, i_1)) = first {
                root.fault_in(array, i, "tag", format!("a name of its own; {array_1}[{}] bears this one", i_1 + 1));
            }
            let first = table.node.as_deref().and_then(|node| nodes.insert(node, (array, i)));
            if let Some((array_1, i_1)) = first {
                root.fault_in(array, i, "node", format!("a node of its own; {array_1}[{}] has this one", i_1 + 1));
            }
        }
    }

    /// The MVs are the model's inputs, all of them and in its order; a CV or DV stands for a variable of its own.
    fn check_variables(&self, root: &Section<'_, '_>) {
        // Where there is no [[mv]] at all, that is told already.
        if let Some(model) = self.model.filter(|_| !self.mvs.is_empty()) {
            let inputs = model.card().inputs;
            for (i, input) in inputs.iter().enumerate() {
                match self.mvs.get(i) {
                    None => root.fault("mv", format!("a table [[mv]] for the model's input \"{}\"", input.name)),
                    Some(mv) if mv.variable.is_some_and(|variable| variable != i) => {
                        let expected = format!("\"{}\": the MVs are in the order of the model's inputs", input.name);
                        root.fault_in("mv", i, "input", expected);
                    }
                    Some(_) => {}
                }
            }
            for i in inputs.len()..self.mvs.len() {
                root.fault_in("mv", i, "input", format!("no more MVs than the model's inputs, {}", inputs.len()));
            }
        }
        let taken = |tables: &[TableFacts], i: usize, table: &TableFacts| {
            table.variable.is_some() && tables.iter().take(i).any(|other| other.variable == table.variable)
        };
        for (i, cv) in self.cvs.iter().enumerate() {
            if taken(&self.cvs, i, cv) {
                root.fault_in("cv", i, "output", "an output that no other CV stands for");
            }
        }
        for (i, dv) in self.dvs.iter().enumerate() {
            if taken(&self.dvs, i, dv) {
                root.fault_in("dv", i, "disturbance", "a disturbance that no other DV stands for");
            }
        }
    }

    fn check_measured(&self, root: &Section<'_, '_>) {
        for (array, i, table) in self.measured() {
            if let (Some((low, high)), Some(hysteresis)) = (table.range, table.hysteresis)
                && hysteresis >= (high - low) / 2.0
            {
                root.fault_in(array, i, "hysteresis", "less than half of the range from low to high");
            }
            if let (Some(max_age_s), Some(period_s)) = (table.max_age_s, self.period_s)
                && max_age_s < period_s
            {
                root.fault_in(array, i, "max_age_s", format!("at least the control period, {period_s} s"));
            }
        }
    }

    fn check_weights(&self, root: &Section<'_, '_>) {
        for (i, cv) in self.cvs.iter().enumerate() {
            if cv.has_setpoint() == Some(false) && cv.terminal_weight.is_some_and(|weight| weight > 0.0) {
                root.fault_in("cv", i, "terminal_weight", "0 where `weight` is 0: the CV has no set-point");
            }
        }
        let moves = self.mode.is_some_and(|mode| mode != Mode::Shadow);
        if moves && !self.cvs.is_empty() && self.cvs.iter().all(|cv| cv.has_setpoint() == Some(false)) {
            root.fault("cv", "at least one CV with a weight above 0: something to control");
        }
    }

    /// An economic optimum is where the MVs aim, and each needs a weight with which it is held there.
    fn check_prices(&self, root: &Section<'_, '_>) {
        let mut prices = self.mvs.iter().chain(&self.cvs).filter_map(|table| table.price);
        if prices.any(|price| price.abs() > 0.0) {
            for (i, mv) in self.mvs.iter().enumerate() {
                if mv.rest_weight.is_some_and(|weight| weight <= 0.0) {
                    root.fault_in(
                        "mv",
                        i,
                        "rest",
                        "a set-point to rest at, with a `rest_weight`: something has a price",
                    );
                }
            }
        }
    }

    fn check_safety(&self, root: &Section<'_, '_>) {
        if let (Some(hold), Some(shed)) = (self.solver_failures_hold, self.solver_failures_shed)
            && shed < hold
        {
            let what = format!("at least solver_failures_hold, {hold}");
            root.fault_in_section("safety", "solver_failures_shed", what);
        }
        if let (Some(timeout_s), Some(period_s)) = (self.heartbeat_timeout_s, self.period_s)
            && timeout_s < period_s
        {
            let what = format!("at least the control period, {period_s} s");
            root.fault_in_section("safety", "heartbeat_timeout_s", what);
        }
        if let (Some(expiry_s), Some(period_s)) = (self.expiry_s, self.period_s)
            && expiry_s < 2.0 * period_s
        {
            let what = format!("at least two control periods, {} s: a person has to read it", 2.0 * period_s);
            root.fault_in_section("advisory", "expiry_s", what);
        }
    }

    /// SR-01: a tag of the safety instrumented system is never written, not even by mistake.
    fn check_sis(&self, root: &Section<'_, '_>) {
        let Some(prefix) = self.prefix.as_deref() else { return };
        let (mvs, cvs, dvs) = (self.mvs.len(), self.cvs.len(), self.dvs.len());
        for tag in DcsTag::all(mvs.min(MAX_MVS), cvs.min(MAX_CVS), dvs.min(MAX_DVS)) {
            if tag.direction() != Direction::ApcToDcs {
                continue;
            }
            let tables = match tag {
                DcsTag::Mv(..) => Some(&self.mvs),
                DcsTag::Cv(..) => Some(&self.cvs),
                DcsTag::Dv(..) => Some(&self.dvs),
                _ => None,
            };
            let node = tables.map(|tables| tables.get(usize::from(tag.number())).and_then(|t| t.node.as_deref()));
            let address = match node {
                None => address(prefix, None, tag),
                Some(Some(node)) => address(prefix, Some(node), tag),
                // A node that could not be read is told already.
                Some(None) => continue,
            };
            if self.sis_tags.contains(&address) {
                let what = format!("no tag that the loop writes, and `{tag}` is \"{address}\" (SR-01)");
                root.fault_in_section("dcs", "sis_tags", what);
            }
        }
    }
}

impl PlantFile {
    /// Every tag of the hand-shake with its node's identifier.
    pub fn addresses(&self) -> impl Iterator<Item = (DcsTag, String)> {
        let (mvs, cvs, dvs) = (self.mvs.len(), self.cvs.len(), self.dvs.len());
        let tags = DcsTag::all(mvs, cvs, dvs).into_iter().chain(DcsTag::spares(cvs, dvs, self.spared()));
        tags.map(|tag| {
            let n = usize::from(tag.number());
            let node = match tag {
                DcsTag::Mv(..) => self.mvs.get(n).map(|mv| mv.tag.node.as_str()),
                DcsTag::Cv(..) => self.cvs.get(n).map(|cv| cv.tag.node.as_str()),
                DcsTag::Dv(..) => self.dvs.get(n).map(|dv| dv.tag.node.as_str()),
                _ => None,
            };
            (tag, address(&self.dcs.prefix, node, tag))
        })
    }
}

/// The identifier of a tag's node: prefix, then the variable's node where the tag belongs to one, then its name.
fn address(prefix: &str, node: Option<&str>, tag: DcsTag) -> String {
    let name = tag.to_string();
    match (node, name.split_once('.')) {
        (Some(node), Some((_, suffix))) => format!("{prefix}{node}.{suffix}"),
        _ => format!("{prefix}{name}"),
    }
}
