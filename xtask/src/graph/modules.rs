//! Rings among the top modules of one crate.
//!
//! A top module is a file or a folder directly under `src/`; it uses another when a path in it that starts at the
//! crate's root (`crate::x`, or enough `super::`) names that module, or a name that the root re-exports from it. The
//! scan is of text, not of syntax: comments, strings, the unit tests at the end of a file and files named `tests.rs` are
//! left out, macros are not expanded. The root (`lib.rs`, `main.rs`) is in no ring: it declares the modules.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Source files by path relative to `src/`, with `/` between the parts.
pub(super) type Sources = BTreeMap<String, String>;

/// Reads every `.rs` file under `src`.
pub(super) fn read(src: &Path) -> Result<Sources> {
    let mut sources = Sources::new();
    let mut waiting = vec![src.to_path_buf()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let parts: Vec<_> = path.strip_prefix(src)?.iter().map(|part| part.to_string_lossy()).collect();
                sources.insert(parts.join("/"), fs::read_to_string(&path)?);
            }
        }
    }
    Ok(sources)
}

/// One line for each ring: the modules in order, and for each arrow a file that draws it.
pub(super) fn rings(sources: &Sources) -> Vec<String> {
    let arrows = arrows(sources);
    let mut told = BTreeSet::new();
    let mut rings = Vec::new();
    for start in arrows.keys() {
        let Some(ring) = shortest_ring(start, &arrows) else { continue };
        let members: BTreeSet<&str> = ring.iter().copied().collect();
        if told.insert(members) {
            let arrow = |(from, to): (&&str, &&str)| {
                let file = arrows.get(*from).and_then(|to_file| to_file.get(*to)).map_or("?", String::as_str);
                format!("{from} uses {to} ({file})")
            };
            let next = ring.iter().cycle().skip(1);
            rings.push(format!(
                "a ring of modules: {}",
                ring.iter().zip(next).map(arrow).collect::<Vec<_>>().join(", ")
            ));
        }
    }
    rings
}

/// For each top module the modules that it uses, with the first file in which it does.
type Arrows = BTreeMap<String, BTreeMap<String, String>>;

fn arrows(sources: &Sources) -> Arrows {
    let modules: BTreeSet<&str> = sources.keys().filter_map(|path| top(path)).collect();
    let exports = exports(sources, &modules);
    let mut arrows = Arrows::new();
    for (path, text) in sources {
        let Some(from) = top(path) else { continue };
        let code = code_of(text);
        for name in root_names(&code, depth(path)) {
            let to = modules.get(name.as_str()).copied().or_else(|| exports.get(&name).map(String::as_str));
            if let Some(to) = to.filter(|to| *to != from) {
                arrows.entry(from.to_owned()).or_default().entry(to.to_owned()).or_insert_with(|| path.clone());
            }
        }
    }
    arrows
}

/// The top module of a file; none for the root's own files, for extra binaries and for tests.
fn top(path: &str) -> Option<&str> {
    let first = path.split('/').next()?;
    if path == "tests.rs" || path.ends_with("/tests.rs") {
        return None;
    }
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (!["lib", "main", "bin"].contains(&name)).then_some(name)
}

/// How many `super` lead from a file's own module to the root.
fn depth(path: &str) -> usize {
    let parts = path.split('/').count();
    if path.ends_with("/mod.rs") { parts - 1 } else { parts }
}

/// What the root re-exports from a module: `pub use module::{A, B as C}` gives A and C.
fn exports(sources: &Sources, modules: &BTreeSet<&str>) -> BTreeMap<String, String> {
    let mut exports = BTreeMap::new();
    for root in ["lib.rs", "main.rs"].iter().filter_map(|name| sources.get(*name)) {
        for statement in code_of(root).split(';') {
            let Some((_, path)) = statement.rsplit_once("pub use ") else { continue };
            let path = path.trim().trim_start_matches("crate::").trim_start_matches("self::");
            let Some((module, names)) = path.split_once("::") else { continue };
            if modules.contains(module) {
                let words = names.split(['{', '}', ',']).map(|word| word.rsplit([' ', ':']).next().unwrap_or(word));
                exports.extend(words.filter(|w| !w.is_empty()).map(|word| (word.to_owned(), module.to_owned())));
            }
        }
    }
    exports
}

/// A file's code without line comments, string literals and the tests at its end.
fn code_of(text: &str) -> String {
    let opens_block =
        |at: &usize| text.get(*at..).and_then(|rest| rest.lines().nth(1)).is_some_and(|l| l.ends_with('{'));
    let end = text.match_indices("#[cfg(test)]\nmod ").map(|(at, _)| at).find(opens_block).unwrap_or(text.len());
    let body = text.get(..end).unwrap_or(text);
    let mut code = String::with_capacity(body.len());
    for line in body.lines() {
        let line = line.split("//").next().unwrap_or(line);
        let pieces = line.split('"').step_by(2);
        code.push_str(&pieces.collect::<Vec<_>>().join("\"\""));
        code.push('\n');
    }
    code
}

/// The first names of every path that starts at the crate's root.
fn root_names(code: &str, depth: usize) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let from_root = ["crate::".to_owned(), "super::".repeat(depth)];
    for start in &from_root {
        for (at, _) in code.match_indices(start.as_str()) {
            let before = code.get(..at).unwrap_or_default();
            // `mycrate::` is another crate, `super::super::x` is counted where its first `super` stands.
            let joined = before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':' || c == '$');
            if !joined {
                first_names(code.get(at + start.len()..).unwrap_or_default(), &mut names);
            }
        }
    }
    names
}

/// The name at the head of a path, or each name at the head of a `{…}` group.
fn first_names(rest: &str, names: &mut BTreeSet<String>) {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = rest.strip_prefix('{') else {
        names.insert(word(rest));
        return;
    };
    let mut level = 0_usize;
    let mut at_head = true;
    for (at, c) in group.char_indices() {
        match c {
            '{' => level += 1,
            '}' if level == 0 => return,
            '}' => level -= 1,
            ',' if level == 0 => at_head = true,
            c if at_head && !c.is_whitespace() => {
                names.insert(word(group.get(at..).unwrap_or_default()));
                at_head = false;
            }
            _ => {}
        }
    }
}

/// The shortest way from a module back to itself, if there is one; starts with the module that comes first by name.
fn shortest_ring<'a>(start: &'a str, arrows: &'a Arrows) -> Option<Vec<&'a str>> {
    let mut waiting = std::collections::VecDeque::from([vec![start]]);
    let mut seen = BTreeSet::new();
    while let Some(path) = waiting.pop_front() {
        let at = path.last()?;
        for next in arrows.get(*at).into_iter().flat_map(BTreeMap::keys) {
            if next == start {
                return Some(path);
            }
            if seen.insert(next.as_str()) {
                let mut longer = path.clone();
                longer.push(next);
                waiting.push_back(longer);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rings_of(files: &[(&str, &str)]) -> Vec<String> {
        rings(&files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
    }

    #[test]
    fn two_modules_that_use_each_other_are_one_ring() {
        let rings = rings_of(&[("a.rs", "use crate::b::B;"), ("b.rs", "fn f() { crate::a::g() }"), ("lib.rs", "")]);
        assert_eq!(rings, ["a ring of modules: a uses b (a.rs), b uses a (b.rs)"]);
    }

    #[test]
    fn arrows_in_one_direction_are_no_ring() {
        let files = [("a.rs", "use crate::b::B; use crate::c::C;"), ("b.rs", "use super::c::C;"), ("c.rs", "")];
        assert_eq!(rings_of(&files), Vec::<String>::new());
    }

    #[test]
    fn a_ring_through_three_folders_is_found() {
        let files = [
            ("a/mod.rs", "use crate::b::B;"),
            ("b/deep/er.rs", "use super::super::super::c::C;"),
            ("c/mod.rs", "use super::{x, a::A};"),
        ];
        let rings = rings_of(&files);
        assert_eq!(rings.len(), 1, "{rings:?}");
        assert!(rings[0].contains("b uses c (b/deep/er.rs)"), "{rings:?}");
    }

    #[test]
    fn a_group_is_read_to_its_end() {
        let files = [("a.rs", "use crate::{x::{self, y}, b::B};"), ("b.rs", "use crate::a;")];
        assert_eq!(rings_of(&files).len(), 1);
    }

    #[test]
    fn a_ring_through_a_name_that_the_root_re_exports_is_found() {
        let files = [
            ("lib.rs", "mod a;\npub use a::{One, Two as Three};"),
            ("a.rs", "use crate::b;"),
            ("b.rs", "use crate::Three;"),
        ];
        assert_eq!(rings_of(&files).len(), 1);
        let files = [("lib.rs", "mod a;\npub use a::One;"), ("a.rs", "use crate::b;"), ("b.rs", "use crate::Three;")];
        assert_eq!(rings_of(&files), Vec::<String>::new());
    }

    #[test]
    fn files_of_one_folder_may_use_each_other() {
        let files = [
            ("a/mod.rs", "use crate::a::x;"),
            ("a/x.rs", "use super::y; use crate::a::y;"),
            ("a/y.rs", "use super::x;"),
        ];
        assert_eq!(rings_of(&files), Vec::<String>::new());
    }

    #[test]
    fn comments_strings_and_unit_tests_draw_no_arrow() {
        let tail = "#[cfg(test)]\nmod tests {\n use crate::b;\n}\n";
        for harmless in ["// crate::b\n", "/// See [`crate::b`].\n", "const S: &str = \"crate::b\";\n", tail] {
            let files = [("a.rs", harmless), ("b.rs", "use crate::a;")];
            assert_eq!(rings_of(&files), Vec::<String>::new(), "{harmless}");
        }
        assert_eq!(rings_of(&[("a/tests.rs", "use crate::b;"), ("b.rs", "use crate::a;")]), Vec::<String>::new());
    }

    #[test]
    fn what_follows_a_declared_test_module_still_counts() {
        let files = [("a.rs", "#[cfg(test)]\nmod tests;\nuse crate::b;\n"), ("b.rs", "use crate::a;")];
        assert_eq!(rings_of(&files).len(), 1);
    }
}
