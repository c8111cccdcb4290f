//! The rules of the house, as a pure function of the plan and the facts.
//!
//! Invariant: a rule never stops at its first fault; what comes back is everything that is wrong.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::facts::{Crate, House, Kind, Use};

/// `xtask/house.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plan {
    pub(super) crates: BTreeMap<String, Room>,
    pub(super) never_reaches: BTreeMap<String, Vec<String>>,
    pub(super) home: BTreeMap<String, Vec<String>>,
    pub(super) everyday: BTreeMap<String, Vec<String>>,
    pub(super) test_tools: BTreeMap<String, Vec<String>>,
}

/// One crate in the plan.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Room {
    pub(super) floor: u32,
    pub(super) column: f64,
    pub(super) holds: String,
    pub(super) may_use: Vec<String>,
}

impl Plan {
    /// The crates in which a library may be used in this kind of dependency; `None` if it is not listed at all.
    ///
    /// A test tool may be a dev-dependency where it is listed; the crate `tests` is a test through and through, so
    /// there it may stand in any table.
    fn homes(&self, library: &str, kind: Kind) -> Option<Vec<&str>> {
        let lists = [&self.home, &self.everyday];
        if !self.test_tools.contains_key(library) && lists.iter().all(|list| !list.contains_key(library)) {
            return None;
        }
        let in_any_kind = lists.iter().filter_map(|list| list.get(library)).flatten();
        let tool = self.test_tools.get(library).into_iter().flatten();
        let in_tests = tool.filter(|name| kind == Kind::Dev || *name == "tests");
        let mut homes: Vec<&str> = in_any_kind.chain(in_tests).map(String::as_str).collect();
        homes.sort_unstable();
        homes.dedup();
        Some(homes)
    }
}

/// Every fault of the house, one line each: the file to mend, the key, what is wrong.
pub(super) fn check(plan: &Plan, house: &House) -> Vec<String> {
    let mut faults = plan_faults(plan, house);
    faults.extend(idle_grants(plan, house));
    for krate in &house.crates {
        let Some(room) = plan.crates.get(&krate.name) else {
            faults.push(format!("xtask/house.toml: [crates.{}] is missing: a crate without a floor", krate.name));
            continue;
        };
        for dependency in &krate.uses {
            let fault = if dependency.ours {
                arrow_fault(plan, room, dependency)
            } else {
                library_fault(plan, &krate.name, dependency)
            };
            let place = format!("{}/Cargo.toml: {} {}", krate.folder, dependency.kind.table(), dependency.name);
            faults.extend(fault.map(|fault| format!("{place}: {fault}")));
        }
        faults.extend(reach_faults(plan, krate));
    }
    faults
}

/// Lines of the plan that speak of crates which do not exist, and arrows in it that point up.
fn plan_faults(plan: &Plan, house: &House) -> Vec<String> {
    let exists = |name: &str| house.crates.iter().any(|krate| krate.name == name);
    let mut faults = Vec::new();
    for (name, room) in &plan.crates {
        if !exists(name) {
            faults.push(format!("xtask/house.toml: [crates.{name}]: no crate of this name in the workspace"));
        }
        for used in &room.may_use {
            match plan.crates.get(used) {
                None => faults.push(format!("xtask/house.toml: [crates.{name}] may_use: `{used}` has no floor")),
                Some(other) if other.floor > room.floor => faults.push(format!(
                    "xtask/house.toml: [crates.{name}] may_use: `{used}` on floor {} is above floor {}",
                    other.floor, room.floor
                )),
                Some(_) => {}
            }
        }
    }
    let lists = [("home", &plan.home), ("everyday", &plan.everyday), ("test_tools", &plan.test_tools)];
    for (table, list) in lists {
        for (library, homes) in list {
            let strangers = homes.iter().filter(|home| !plan.crates.contains_key(*home));
            faults.extend(strangers.map(|s| format!("xtask/house.toml: [{table}] {library}: `{s}` has no floor")));
        }
    }
    let strangers = plan.never_reaches.keys().filter(|name| !plan.crates.contains_key(*name));
    faults.extend(strangers.map(|s| format!("xtask/house.toml: [never_reaches] {s}: no crate of this name")));
    faults
}

/// Permissions of the plan that nobody uses: a door left open is a rule not kept. A grant comes with its first use.
fn idle_grants(plan: &Plan, house: &House) -> Vec<String> {
    let mut faults = Vec::new();
    // Grants to or of what does not exist, and upward ones, are faults already.
    let krate = |name: &str| house.crates.iter().find(|krate| krate.name == name);
    for (name, room) in &plan.crates {
        let Some(krate) = krate(name) else { continue };
        let idle = room.may_use.iter().filter(|granted| {
            let downward = plan.crates.get(*granted).is_some_and(|other| other.floor <= room.floor);
            downward && !krate.uses.iter().any(|used| used.ours && used.name == **granted)
        });
        faults
            .extend(idle.map(|granted| format!("xtask/house.toml: [crates.{name}] may_use: `{granted}` is not used")));
    }
    let lists = [("home", &plan.home), ("everyday", &plan.everyday), ("test_tools", &plan.test_tools)];
    for (table, list) in lists {
        for (library, homes) in list {
            let idle = homes.iter().filter_map(|home| krate(home)).filter(|krate| {
                let counts = |kind| table != "test_tools" || kind == Kind::Dev || krate.name == "tests";
                !krate.uses.iter().any(|used| !used.ours && used.name == *library && counts(used.kind))
            });
            let line =
                |krate: &Crate| format!("xtask/house.toml: [{table}] {library}: `{}` does not use it", krate.name);
            faults.extend(idle.map(line));
        }
    }
    faults
}

fn arrow_fault(plan: &Plan, room: &Room, dependency: &Use) -> Option<String> {
    // A crate without a floor is reported once, as such.
    let other = plan.crates.get(&dependency.name)?;
    if other.floor > room.floor {
        return Some(format!("the arrow points up, from floor {} to floor {}", room.floor, other.floor));
    }
    if !room.may_use.contains(&dependency.name) {
        return Some("not in its `may_use` in xtask/house.toml".to_owned());
    }
    None
}

fn library_fault(plan: &Plan, krate: &str, dependency: &Use) -> Option<String> {
    match plan.homes(&dependency.name, dependency.kind) {
        None => Some("a library that xtask/house.toml does not list".to_owned()),
        Some(homes) if homes.contains(&krate) => None,
        Some(homes) if homes.is_empty() => Some("a test tool, allowed in [dev-dependencies] only".to_owned()),
        Some(homes) => Some(format!("away from home: at home in {}", homes.join(", "))),
    }
}

fn reach_faults(plan: &Plan, krate: &Crate) -> Vec<String> {
    let banned = plan.never_reaches.get(&krate.name).into_iter().flatten();
    let reached = banned.filter_map(|library| Some((library, krate.reaches.get(library)?)));
    let line = |(library, path): (&String, &Vec<String>)| {
        format!("{}/Cargo.toml: reaches {library}, which it must not: {}", krate.folder, path.join(" -> "))
    };
    reached.map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = r#"
        [crates.low]
        floor = 1
        column = 0.0
        holds = ""
        may_use = []
        [crates.beside]
        floor = 1
        column = 1.0
        holds = ""
        may_use = []
        [crates.high]
        floor = 2
        column = 0.0
        holds = ""
        may_use = ["low"]
        [crates.tests]
        floor = 3
        column = 0.0
        holds = ""
        may_use = ["low", "beside", "high"]
        [never_reaches]
        low = ["tokio"]
        [home]
        tokio = ["high"]
        [everyday]
        serde = ["low", "high"]
        [test_tools]
        proptest = ["low", "tests"]
        criterion = ["low"]
    "#;

    fn plan() -> Plan {
        toml::from_str(PLAN).unwrap()
    }

    fn used(name: &str, kind: Kind) -> Use {
        let ours = ["low", "beside", "high", "tests", "cellar"].contains(&name);
        Use { name: name.to_owned(), kind, ours }
    }

    /// A house without fault; each test spoils one thing of it.
    fn sound() -> House {
        let krate = |name: &str, uses: Vec<Use>| Crate {
            name: name.to_owned(),
            folder: name.to_owned(),
            uses,
            reaches: BTreeMap::from([("serde".to_owned(), vec![name.to_owned(), "serde".to_owned()])]),
        };
        House {
            crates: vec![
                krate("beside", vec![]),
                krate("high", ["low", "serde", "tokio"].map(|name| used(name, Kind::Normal)).to_vec()),
                krate(
                    "low",
                    vec![used("criterion", Kind::Dev), used("proptest", Kind::Dev), used("serde", Kind::Normal)],
                ),
                krate("tests", ["beside", "high", "low", "proptest"].map(|name| used(name, Kind::Normal)).to_vec()),
            ],
        }
    }

    fn faults_with(krate: &str, use_: Use) -> Vec<String> {
        let mut house = sound();
        house.crates.iter_mut().find(|c| c.name == krate).unwrap().uses.push(use_);
        check(&plan(), &house)
    }

    fn one(faults: &[String], words: &str) {
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].contains(words), "{faults:?}");
    }

    #[test]
    fn a_sound_house_has_no_fault() {
        assert_eq!(check(&plan(), &sound()), Vec::<String>::new());
    }

    #[test]
    fn an_arrow_that_points_up_is_a_fault_in_every_kind_of_dependency() {
        for kind in [Kind::Normal, Kind::Build, Kind::Dev] {
            let faults = faults_with("low", used("high", kind));
            one(&faults, "the arrow points up, from floor 1 to floor 2");
            assert!(faults[0].starts_with(&format!("low/Cargo.toml: {} high", kind.table())), "{faults:?}");
        }
    }

    #[test]
    fn an_arrow_sideways_that_is_not_in_may_use_is_a_fault() {
        one(&faults_with("low", used("beside", Kind::Normal)), "may_use");
    }

    #[test]
    fn an_arrow_down_that_is_not_in_may_use_is_a_fault() {
        one(&faults_with("high", used("beside", Kind::Normal)), "may_use");
    }

    #[test]
    fn a_library_away_from_home_is_a_fault_in_tests_too() {
        one(&faults_with("beside", used("tokio", Kind::Normal)), "away from home: at home in high");
        one(&faults_with("beside", used("tokio", Kind::Dev)), "away from home: at home in high");
    }

    #[test]
    fn an_unlisted_library_is_a_fault() {
        one(&faults_with("low", used("left-pad", Kind::Normal)), "does not list");
        one(&faults_with("low", used("left-pad", Kind::Dev)), "does not list");
    }

    #[test]
    fn a_test_tool_as_a_normal_dependency_is_a_fault() {
        one(&faults_with("low", used("proptest", Kind::Normal)), "away from home: at home in tests");
        one(&faults_with("low", used("criterion", Kind::Normal)), "[dev-dependencies] only");
        assert_eq!(faults_with("low", used("criterion", Kind::Dev)), Vec::<String>::new());
    }

    #[test]
    fn an_unlisted_crate_is_a_fault() {
        let mut house = sound();
        house.crates.push(Crate { name: "cellar".to_owned(), folder: "cellar".to_owned(), ..Crate::default() });
        one(&check(&plan(), &house), "[crates.cellar] is missing");
    }

    #[test]
    fn a_listed_crate_that_does_not_exist_is_a_fault() {
        let mut house = sound();
        house.crates.retain(|krate| krate.name != "beside");
        one(&check(&plan(), &house), "[crates.beside]: no crate of this name");
    }

    #[test]
    fn a_library_reached_through_others_is_a_fault() {
        let mut house = sound();
        let path = ["low", "harmless", "tokio"].map(str::to_owned).to_vec();
        house.crates[2].reaches.insert("tokio".to_owned(), path);
        one(&check(&plan(), &house), "low -> harmless -> tokio");
    }

    #[test]
    fn a_plan_that_allows_an_upward_arrow_is_itself_a_fault() {
        let mut plan = plan();
        plan.crates.get_mut("low").unwrap().may_use.push("high".to_owned());
        one(&check(&plan, &sound()), "is above floor 1");
    }

    #[test]
    fn a_home_that_is_no_crate_is_a_fault() {
        let mut plan = plan();
        plan.home.insert("nalgebra".to_owned(), vec!["attic".to_owned()]);
        one(&check(&plan, &sound()), "`attic` has no floor");
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let mut house = sound();
        house.crates[2].uses.extend([used("high", Kind::Normal), used("left-pad", Kind::Normal)]);
        house.crates[0].uses.push(used("tokio", Kind::Normal));
        assert_eq!(check(&plan(), &house).len(), 3);
    }

    #[test]
    fn the_plan_of_this_house_is_read_and_agrees_with_itself() {
        let plan: Plan = toml::from_str(include_str!("../../house.toml")).unwrap();
        let name = |name: &String| Crate { name: name.clone(), folder: name.clone(), ..Crate::default() };
        let house = House { crates: plan.crates.keys().map(name).collect() };
        assert_eq!(plan_faults(&plan, &house), Vec::<String>::new());
    }

    #[test]
    fn a_permission_that_nobody_uses_is_a_fault() {
        let granted = |change: fn(&mut Plan)| {
            let mut plan = plan();
            change(&mut plan);
            check(&plan, &sound())
        };
        fn to<'a>(table: &'a mut BTreeMap<String, Vec<String>>, library: &str) -> &'a mut Vec<String> {
            table.entry(library.to_owned()).or_default()
        }
        let may_use = granted(|plan| plan.crates.get_mut("high").unwrap().may_use.push("beside".to_owned()));
        one(&may_use, "[crates.high] may_use: `beside` is not used");
        one(&granted(|plan| to(&mut plan.home, "tokio").push("tests".to_owned())), "[home] tokio: `tests`");
        one(&granted(|plan| to(&mut plan.everyday, "anyhow").push("high".to_owned())), "[everyday] anyhow: `high`");
        one(
            &granted(|plan| to(&mut plan.test_tools, "proptest").push("high".to_owned())),
            "[test_tools] proptest: `high`",
        );
        // A library used in earnest is no use of it in tests.
        one(&granted(|plan| to(&mut plan.test_tools, "serde").push("low".to_owned())), "[test_tools] serde: `low`");
    }

    #[test]
    fn an_unknown_key_in_the_plan_is_refused() {
        let error = toml::from_str::<Plan>(&format!("{PLAN}\n[attic]\nx = 1")).unwrap_err();
        assert!(error.to_string().contains("attic"), "{error}");
    }
}
