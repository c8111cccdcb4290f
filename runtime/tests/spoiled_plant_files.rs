//! Plant files spoiled at random: whatever stands in one, it is accepted or its faults are told, and nothing panics.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test speaks by panicking, helpers of tests too"
)]

use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;
use runtime::config::{ConfigError, parse};

const CSTR: &str = include_str!("../../deploy/plants/cstr.toml");

/// One way to spoil a line.
#[derive(Clone, Debug)]
enum Spoil {
    Delete,
    Double,
    /// Puts the line in the place of another.
    Over(Index),
    /// Cuts the line short.
    Cut(Index),
    /// Another value behind the `=`.
    Value(String),
    /// Any text in the middle.
    Insert(Index, String),
}

fn any_spoil() -> impl Strategy<Value = Spoil> {
    let word = proptest::sample::select(
        [
            "-1",
            "0",
            "1e308",
            "-1e-308",
            "5e-324",
            "nan",
            "inf",
            "4294967296",
            "1e18",
            "\"\"",
            "[]",
            "{}",
            "true",
            "\"K\"",
        ]
        .as_slice(),
    );
    prop_oneof![
        Just(Spoil::Delete),
        Just(Spoil::Double),
        any::<Index>().prop_map(Spoil::Over),
        any::<Index>().prop_map(Spoil::Cut),
        word.prop_map(|word| Spoil::Value(word.to_owned())),
        any::<f64>().prop_map(|number| Spoil::Value(format!("{number:e}"))),
        (any::<Index>(), ".{0,8}").prop_map(|(at, text)| Spoil::Insert(at, text)),
    ]
}

fn spoil(lines: &mut Vec<String>, at: &Index, how: &Spoil) {
    let n = at.index(lines.len());
    let place = |line: &str, at: &Index| at.get(&line.char_indices().collect::<Vec<_>>()).0;
    let line = lines[n].clone();
    match how {
        Spoil::Delete => drop(lines.remove(n)),
        Spoil::Double => lines.insert(n, line),
        Spoil::Over(to) => {
            let to = to.index(lines.len());
            lines[to] = line;
        }
        Spoil::Cut(at) if !line.is_empty() => lines[n].truncate(place(&line, at)),
        Spoil::Insert(at, text) if !line.is_empty() => lines[n].insert_str(place(&line, at), text),
        Spoil::Value(value) => {
            if let Some((key, _)) = line.split_once('=') {
                lines[n] = format!("{key}= {value}");
            }
        }
        Spoil::Cut(_) | Spoil::Insert(..) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Whatever stands in the file, it is accepted or its faults are told on lines that exist; it never panics.
    #[test]
    fn no_spoiled_file_panics(spoils in proptest::collection::vec((any::<Index>(), any_spoil()), 1..6)) {
        let mut lines: Vec<String> = CSTR.lines().map(str::to_owned).collect();
        for (at, how) in &spoils {
            spoil(&mut lines, at, how);
        }
        let text = lines.join("\n");
        match parse(Path::new("cstr.toml"), &text) {
            Ok(plant) => prop_assert!(plant.period_s > 0.0),
            Err(ConfigError::Faulty(faults)) => {
                prop_assert!(!faults.faults.is_empty());
                for fault in &faults.faults {
                    prop_assert!((1..=text.lines().count() + 1).contains(&fault.line), "{fault:?}");
                    prop_assert!(!fault.expected.is_empty(), "{fault:?}");
                }
            }
            Err(other) => prop_assert!(other.to_string().starts_with("cstr.toml: "), "{other}"),
        }
    }
}
