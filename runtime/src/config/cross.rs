//! What spans several keys of a plant file: names and nodes used twice, variables without a tag, tags that must never
//! be written.

use std::collections::BTreeMap;

use signals::dcs::{DcsTag, Direction};

use super::plant::{Mode, PlantFile, Tag};
use super::reader::Section;

impl PlantFile {
    /// Every tag of the file with its place: the array it stands in and its number there.
    fn tags(&self) -> impl Iterator<Item = (&'static str, usize, &Tag)> {
        let mvs = self.mvs.iter().enumerate().map(|(i, mv)| ("mv", i, &mv.tag));
        let cvs = self.cvs.iter().enumerate().map(|(i, cv)| ("cv", i, &cv.tag));
        let dvs = self.dvs.iter().enumerate().map(|(i, dv)| ("dv", i, &dv.tag));
        mvs.chain(cvs).chain(dvs)
    }

    pub(super) fn cross_check(&self, root: &Section<'_, '_>, sis_tags: &[String]) {
        self.check_unique(root);
        self.check_variables(root);
        self.check_ranges(root);
        self.check_sis(root, sis_tags);
    }

    fn check_unique(&self, root: &Section<'_, '_>) {
        let (mut names, mut nodes) = (BTreeMap::new(), BTreeMap::new());
        for (table, i, tag) in self.tags() {
            if let Some(first) = names.insert(tag.name.as_str(), tag.node.as_str()) {
                root.fault_in(table, i, "tag", format!("a name of its own; node \"{first}\" bears this one"));
            }
            if let Some(first) = nodes.insert(tag.node.as_str(), tag.name.as_str()) {
                root.fault_in(table, i, "node", format!("a node of its own; tag \"{first}\" has this one"));
            }
        }
    }

    /// The MVs are the model's inputs, all of them and in its order; a CV or DV stands for a variable of its own.
    fn check_variables(&self, root: &Section<'_, '_>) {
        let inputs = self.model.card().inputs;
        for (i, input) in inputs.iter().enumerate() {
            match self.mvs.get(i) {
                None => root.fault("mv", format!("a table [[mv]] for the model's input \"{}\"", input.name)),
                Some(mv) if mv.variable.name != input.name => {
                    let expected = format!("\"{}\": the MVs are in the order of the model's inputs", input.name);
                    root.fault_in("mv", i, "input", expected);
                }
                Some(_) => {}
            }
        }
        for i in inputs.len()..self.mvs.len() {
            root.fault_in("mv", i, "input", format!("no more MVs than the model's inputs, {}", inputs.len()));
        }
        for (i, cv) in self.cvs.iter().enumerate() {
            if self.cvs.iter().take(i).any(|other| other.output == cv.output) {
                root.fault_in("cv", i, "output", "an output that no other CV stands for");
            }
        }
        for (i, dv) in self.dvs.iter().enumerate() {
            if self.dvs.iter().take(i).any(|other| other.disturbance == dv.disturbance) {
                root.fault_in("dv", i, "disturbance", "a disturbance that no other DV stands for");
            }
        }
    }

    fn check_ranges(&self, root: &Section<'_, '_>) {
        let limits = self.cvs.iter().enumerate().map(|(i, cv)| ("cv", i, &cv.limits));
        for (table, i, limits) in limits.chain(self.dvs.iter().enumerate().map(|(i, dv)| ("dv", i, &dv.limits))) {
            if limits.hysteresis >= (limits.high - limits.low) / 2.0 {
                root.fault_in(table, i, "hysteresis", "less than half of the range from low to high");
            }
            if limits.max_age_s < self.period_s {
                root.fault_in(table, i, "max_age_s", format!("at least the control period, {} s", self.period_s));
            }
        }
        for (i, cv) in self.cvs.iter().enumerate() {
            if cv.weight == 0.0 && cv.terminal_weight > 0.0 {
                root.fault_in("cv", i, "terminal_weight", "0 where `weight` is 0: the CV has no set-point");
            }
        }
        if self.cvs.iter().all(|cv| cv.weight == 0.0) && self.mode != Mode::Shadow {
            root.fault("cv", "at least one CV with a weight above 0: something to control");
        }
        if self.safety.solver_failures_shed < self.safety.solver_failures_hold {
            let what = format!("at least solver_failures_hold, {}", self.safety.solver_failures_hold);
            root.fault_in_section("safety", "solver_failures_shed", what);
        }
        if self.safety.heartbeat_timeout_s < self.period_s {
            let what = format!("at least the control period, {} s", self.period_s);
            root.fault_in_section("safety", "heartbeat_timeout_s", what);
        }
    }

    /// SR-01: a tag of the safety instrumented system is never written, not even by mistake.
    fn check_sis(&self, root: &Section<'_, '_>, sis_tags: &[String]) {
        let written = self.addresses().filter(|(tag, _)| tag.direction() == Direction::ApcToDcs);
        for (tag, address) in written {
            if sis_tags.contains(&address) {
                let what = format!("no tag that the loop writes, and `{tag}` is \"{address}\" (SR-01)");
                root.fault_in_section("dcs", "sis_tags", what);
            }
        }
    }

    /// Every tag of the hand-shake with its node's identifier.
    pub fn addresses(&self) -> impl Iterator<Item = (DcsTag, String)> {
        let tags = DcsTag::all(self.mvs.len(), self.cvs.len(), self.dvs.len());
        tags.into_iter().map(|tag| (tag, self.address(tag)))
    }

    /// The identifier of a tag's node: prefix, then the variable's node where the tag belongs to one, then its name.
    fn address(&self, tag: DcsTag) -> String {
        let n = usize::from(tag.number());
        let node = match tag {
            DcsTag::Mv(..) => self.mvs.get(n).map(|mv| &mv.tag.node),
            DcsTag::Cv(..) => self.cvs.get(n).map(|cv| &cv.tag.node),
            DcsTag::Dv(..) => self.dvs.get(n).map(|dv| &dv.tag.node),
            _ => None,
        };
        let name = tag.to_string();
        match (node, name.split_once('.')) {
            (Some(node), Some((_, suffix))) => format!("{}{node}.{suffix}", self.dcs.prefix),
            _ => format!("{}{name}", self.dcs.prefix),
        }
    }
}
