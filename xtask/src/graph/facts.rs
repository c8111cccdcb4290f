//! What `cargo metadata` says of the house, in the few words that the rules need.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

/// The crates of the workspace and what each reaches.
#[derive(Clone, Debug, Default)]
pub(super) struct House {
    /// Sorted by name.
    pub(super) crates: Vec<Crate>,
}

/// One crate of the workspace.
#[derive(Clone, Debug, Default)]
pub(super) struct Crate {
    pub(super) name: String,
    /// Its folder, relative to the root.
    pub(super) folder: String,
    /// Direct dependencies, sorted by name.
    pub(super) uses: Vec<Use>,
    /// Every package reached through normal and build dependencies, with the path that reaches it.
    pub(super) reaches: BTreeMap<String, Vec<String>>,
}

/// One line under `[dependencies]` or its sisters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// A crate of this workspace.
    pub(super) ours: bool,
}

/// The table of the manifest in which a dependency stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    Build,
    Dev,
}

impl Kind {
    /// The table's name in a manifest.
    pub(super) fn table(self) -> &'static str {
        match self {
            Self::Normal => "[dependencies]",
            Self::Build => "[build-dependencies]",
            Self::Dev => "[dev-dependencies]",
        }
    }
}

/// Asks cargo. Uses the lock file as it stands.
pub(super) fn read(root: &Path) -> Result<House> {
    let metadata = MetadataCommand::new()
        .cargo_path(crate::cargo())
        .manifest_path(root.join("Cargo.toml"))
        .other_options(["--locked".to_owned()])
        .exec()
        .context("cargo metadata")?;
    house_of(&metadata)
}

/// The facts in one answer of `cargo metadata`.
pub(super) fn house_of(metadata: &Metadata) -> Result<House> {
    let ours: BTreeSet<&str> = metadata.workspace_packages().iter().map(|package| package.name.as_str()).collect();
    let edges = edges(metadata)?;
    let names: BTreeMap<&PackageId, &str> =
        metadata.packages.iter().map(|package| (&package.id, package.name.as_str())).collect();
    let mut crates = Vec::new();
    for package in metadata.workspace_packages() {
        let folder = package.manifest_path.parent().context("a manifest without a folder")?;
        let folder = folder.strip_prefix(&metadata.workspace_root).unwrap_or(folder).to_string();
        let mut uses: Vec<Use> = package
            .dependencies
            .iter()
            .map(|dependency| Use {
                name: dependency.name.clone(),
                kind: match dependency.kind {
                    DependencyKind::Development => Kind::Dev,
                    DependencyKind::Build => Kind::Build,
                    _ => Kind::Normal,
                },
                ours: ours.contains(dependency.name.as_str()),
            })
            .collect();
        uses.sort_by(|a, b| (&a.name, a.kind.table()).cmp(&(&b.name, b.kind.table())));
        uses.dedup();
        let reaches = reached(&package.id, &edges, &names);
        crates.push(Crate { name: package.name.to_string(), folder, uses, reaches });
    }
    crates.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(House { crates })
}

type Edges<'a> = BTreeMap<&'a PackageId, Vec<&'a PackageId>>;

/// Resolved dependencies, without those for tests only.
fn edges(metadata: &Metadata) -> Result<Edges<'_>> {
    let resolve = metadata.resolve.as_ref().context("cargo metadata gave no resolved graph")?;
    let edges = resolve.nodes.iter().map(|node| {
        let to = node.deps.iter().filter(|dep| dep.dep_kinds.iter().any(|k| k.kind != DependencyKind::Development));
        (&node.id, to.map(|dep| &dep.pkg).collect())
    });
    Ok(edges.collect())
}

/// Breadth first, so the path kept for each package is a shortest one.
fn reached(from: &PackageId, edges: &Edges<'_>, names: &BTreeMap<&PackageId, &str>) -> BTreeMap<String, Vec<String>> {
    let name = |id: &PackageId| names.get(id).copied().unwrap_or(id.repr.as_str()).to_owned();
    let mut paths = BTreeMap::new();
    let mut seen = BTreeSet::from([from]);
    let mut waiting = std::collections::VecDeque::from([(from, vec![name(from)])]);
    while let Some((at, path)) = waiting.pop_front() {
        for next in edges.get(at).into_iter().flatten() {
            if seen.insert(next) {
                let mut longer = path.clone();
                longer.push(name(next));
                paths.entry(name(next)).or_insert_with(|| longer.clone());
                waiting.push_back((next, longer));
            }
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Value {
        let dependency = |(name, kind): &(&str, Option<&str>)| json!({"name": name, "req": "*", "kind": kind, "optional": false, "uses_default_features": true, "features": []});
        let dependencies: Vec<Value> = dependencies.iter().map(dependency).collect();
        json!({"name": name, "version": "0.1.0", "id": name, "dependencies": dependencies, "targets": [], "features": {},
            "manifest_path": format!("/house/{name}/Cargo.toml")})
    }

    fn node(name: &str, to: &[(&str, Option<&str>)]) -> Value {
        let dep = |(name, kind): &(&str, Option<&str>)| json!({"name": name, "pkg": name, "dep_kinds": [{"kind": kind, "target": null}]});
        let deps: Vec<Value> = to.iter().map(dep).collect();
        json!({"id": name, "deps": deps, "dependencies": [], "features": []})
    }

    /// Two crates of ours: `low` uses a harmless library that uses tokio, and in its tests one that uses ractor.
    fn house() -> House {
        let low = [("harmless", None), ("tester", Some("dev"))];
        let high = [("low", None)];
        let metadata = json!({
            "packages": [package("low", &low), package("high", &high), package("harmless", &[]), package("tester", &[]),
                package("tokio", &[]), package("ractor", &[])],
            "workspace_members": ["low", "high"],
            "resolve": {"root": null, "nodes": [node("low", &low), node("high", &high),
                node("harmless", &[("tokio", Some("build"))]), node("tester", &[("ractor", None)]), node("tokio", &[]),
                node("ractor", &[])]},
            "workspace_root": "/house", "target_directory": "/house/target", "version": 1, "metadata": null
        });
        house_of(&serde_json::from_value(metadata).unwrap()).unwrap()
    }

    #[test]
    fn crates_of_ours_are_told_from_foreign_ones() {
        let house = house();
        let names: Vec<&str> = house.crates.iter().map(|krate| krate.name.as_str()).collect();
        assert_eq!(names, ["high", "low"]);
        assert_eq!(house.crates[0].uses, [Use { name: "low".to_owned(), kind: Kind::Normal, ours: true }]);
        assert_eq!(house.crates[1].folder, "low");
        assert_eq!(house.crates[1].uses[1], Use { name: "tester".to_owned(), kind: Kind::Dev, ours: false });
    }

    #[test]
    fn what_is_reached_through_others_comes_with_its_path_and_without_test_tools() {
        let low = &house().crates[1];
        assert_eq!(low.reaches["tokio"], ["low", "harmless", "tokio"]);
        assert!(!low.reaches.contains_key("ractor"), "{:?}", low.reaches);
        assert_eq!(house().crates[0].reaches["tokio"], ["high", "low", "harmless", "tokio"]);
    }
}
