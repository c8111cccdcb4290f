//! Reads a TOML document so that *every* fault is found in one pass, each with its line, its key, the value that
//! stands there and what was expected. serde stops at the first; an engineer with a 200-line plant file should not have
//! to.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Line, counted from 1.
    pub line: usize,
    /// The full key, such as `cv[2].unit`; empty for a syntax error.
    pub key: String,
    /// What stands there; empty when nothing does.
    pub value: String,
    /// What was expected.
    pub expected: String,
}

/// Everything that is wrong with a file; never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
pub struct Faults {
    /// The file.
    pub file: PathBuf,
    /// In the order of the lines.
    pub faults: Vec<Fault>,
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.faults.iter().enumerate() {
            let newline = if i > 0 { "\n" } else { "" };
            write!(f, "{newline}{}:{}: {fault}", self.file.display(), fault.line)?;
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.key.is_empty(), self.value.is_empty()) {
            (true, _) => write!(f, "{}", self.expected),
            (false, true) => write!(f, "`{}` is missing, expected {}", self.key, self.expected),
            (false, false) => write!(f, "`{}` = {}, expected {}", self.key, self.value, self.expected),
        }
    }
}

/// A TOML text and the faults found in it so far.
#[derive(Debug)]
pub struct Document<'t> {
    file: PathBuf,
    text: &'t str,
    faults: RefCell<Vec<Fault>>,
}

impl<'t> Document<'t> {
    /// A text; `file` is its name in the messages.
    #[must_use]
    pub fn new(file: &Path, text: &'t str) -> Self {
        Self { file: file.to_owned(), text, faults: RefCell::default() }
    }

    /// Parses the text and hands its root to `read`; what `read` returns counts only if no fault was found.
    ///
    /// # Errors
    /// [`Faults`], every one, in the order of their lines.
    pub fn read<T>(self, read: impl FnOnce(&Section<'_, 't>) -> Option<T>) -> Result<T, Faults> {
        let (root, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let line = self.line_at(error.span().map_or(0, |s| s.start));
            self.fault(Fault { line, key: String::new(), value: String::new(), expected: error.message().to_owned() });
        }
        let out = if errors.is_empty() { self.root(&root, read) } else { None };
        let mut faults = self.faults.into_inner();
        faults.sort_by_key(|f| f.line);
        match out {
            Some(out) if faults.is_empty() => Ok(out),
            _ => Err(Faults { file: self.file, faults }),
        }
    }

    fn root<T>(&self, root: &Spanned<DeTable<'t>>, read: impl FnOnce(&Section<'_, 't>) -> Option<T>) -> Option<T> {
        let section =
            Section { document: self, path: String::new(), line: 1, table: root.get_ref(), known: RefCell::default() };
        let out = read(&section);
        section.finish();
        out
    }

    fn line_at(&self, byte: usize) -> usize {
        1 + self.text.bytes().take(byte).filter(|b| *b == b'\n').count()
    }

    fn fault(&self, fault: Fault) {
        self.faults.borrow_mut().push(fault);
    }
}

/// A table of the document. Keys that were never asked for are faults when the section is finished.
#[derive(Debug)]
pub struct Section<'d, 't> {
    document: &'d Document<'t>,
    path: String,
    line: usize,
    table: &'d DeTable<'t>,
    known: RefCell<BTreeSet<&'static str>>,
}

impl<'d, 't> Section<'d, 't> {
    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn raw(&self, key: &'static str) -> Option<&'d Spanned<DeValue<'t>>> {
        self.known.borrow_mut().insert(key);
        self.table.get(key)
    }

    /// Whether the key is there.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Leaves a key unread, and unfaulted.
    pub fn skip(&self, key: &'static str) {
        self.known.borrow_mut().insert(key);
    }

    /// Reports that `key` does not hold what was expected.
    pub fn fault(&self, key: &str, expected: impl Into<String>) {
        let (line, value) = match self.table.get(key) {
            Some(v) => (self.document.line_at(v.span().start), text_of(v.get_ref())),
            None => (self.line, String::new()),
        };
        self.document.fault(Fault { line, key: self.path_of(key), value, expected: expected.into() });
    }

    /// Reports a fault of `key` in the `i`-th (from 0) of the tables `[[tables]]`.
    pub fn fault_in(&self, tables: &str, i: usize, key: &str, expected: impl Into<String>) {
        let items = self.table.get(tables).and_then(|v| v.get_ref().as_array());
        let Some(item) = items.and_then(|items| items.get(i)) else { return };
        let Some(table) = item.get_ref().as_table() else { return };
        let (path, line) = (format!("{tables}[{}]", i + 1), self.document.line_at(item.span().start));
        Section { document: self.document, path, line, table, known: RefCell::default() }.fault(key, expected);
    }

    /// Reports a fault of `key` in the table `[section]`.
    pub fn fault_in_section(&self, section: &str, key: &str, expected: impl Into<String>) {
        let Some(table) = self.table.get(section).and_then(|v| v.get_ref().as_table()) else { return };
        let (path, line) = (section.to_owned(), self.line_of(section));
        Section { document: self.document, path, line, table, known: RefCell::default() }.fault(key, expected);
    }

    /// A value of any type that `decode` accepts; `expected` says in words what that is.
    pub fn get<T>(
        &self,
        key: &'static str,
        expected: &str,
        decode: impl FnOnce(&DeValue<'t>) -> Option<T>,
    ) -> Option<T> {
        let decoded = self.raw(key).and_then(|v| decode(v.get_ref()));
        if decoded.is_none() {
            self.fault(key, expected);
        }
        decoded
    }

    /// As [`Self::get`], for a key that may be left out.
    #[allow(
        clippy::option_option,
        reason = "the outer says whether the key is in order, the inner whether it is there"
    )]
    pub fn optional<T>(
        &self,
        key: &'static str,
        expected: &str,
        decode: impl FnOnce(&DeValue<'t>) -> Option<T>,
    ) -> Option<Option<T>> {
        if self.raw(key).is_none() {
            return Some(None);
        }
        self.get(key, expected, decode).map(Some)
    }

    /// A finite number.
    pub fn number(&self, key: &'static str, expected: &str) -> Option<f64> {
        self.get(key, expected, number)
    }

    /// A finite number above zero.
    pub fn positive(&self, key: &'static str, expected: &str) -> Option<f64> {
        self.get(key, &format!("{expected}, above 0"), |v| number(v).filter(|x| *x > 0.0))
    }

    /// A finite number of at least zero.
    pub fn non_negative(&self, key: &'static str, expected: &str) -> Option<f64> {
        self.get(key, &format!("{expected}, at least 0"), |v| number(v).filter(|x| *x >= 0.0))
    }

    /// A number from `low` to `high`.
    pub fn between(&self, key: &'static str, expected: &str, low: f64, high: f64) -> Option<f64> {
        let expected = format!("{expected}, from {low} to {high}");
        self.get(key, &expected, |v| number(v).filter(|x| (low..=high).contains(x)))
    }

    /// A whole number between `low` and `high`.
    pub fn count(&self, key: &'static str, low: u32, high: u32) -> Option<u32> {
        self.get(key, &format!("a whole number from {low} to {high}"), |v| count(v, low, high))
    }

    /// A truth value.
    pub fn flag(&self, key: &'static str) -> Option<bool> {
        self.get(key, "true or false", DeValue::as_bool)
    }

    /// A text that is not empty.
    pub fn text(&self, key: &'static str, expected: &str) -> Option<String> {
        self.get(key, expected, |v| v.as_str().filter(|s| !s.is_empty()).map(str::to_owned))
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let words = choices.iter().map(|(w, _)| format!("\"{w}\"")).collect::<Vec<_>>().join(", ");
        self.get(key, &format!("one of {words}"), |v| {
            choices.iter().find(|(w, _)| v.as_str() == Some(w)).map(|(_, choice)| *choice)
        })
    }

    /// One of a few words, or nothing.
    #[allow(
        clippy::option_option,
        reason = "the outer says whether the key is in order, the inner whether it is there"
    )]
    pub fn optional_choice<T: Copy>(&self, key: &'static str, choices: &[(&str, T)]) -> Option<Option<T>> {
        if self.raw(key).is_none() {
            return Some(None);
        }
        self.choice(key, choices).map(Some)
    }

    /// A list of texts; left out, an empty one.
    pub fn texts(&self, key: &'static str, expected: &str) -> Option<Vec<String>> {
        let decode = |v: &DeValue<'t>| -> Option<Vec<String>> {
            v.as_array()?.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect()
        };
        self.optional(key, expected, decode).map(Option::unwrap_or_default)
    }

    /// A list of whole numbers between `low` and `high`.
    pub fn counts(&self, key: &'static str, low: u32, high: u32) -> Option<Vec<u32>> {
        self.get(key, &format!("a list of whole numbers from {low} to {high}"), |v| {
            v.as_array()?.iter().map(|item| count(item.get_ref(), low, high)).collect()
        })
    }

    /// A table below this one.
    pub fn section<T>(&self, key: &'static str, read: impl FnOnce(&Section<'d, 't>) -> Option<T>) -> Option<T> {
        let table = self.raw(key).and_then(|v| v.get_ref().as_table());
        let Some(table) = table else {
            self.fault(key, format!("a table [{}]", self.path_of(key)));
            return None;
        };
        self.below(self.path_of(key), self.line_of(key), table, read)
    }

    /// The tables `[[key]]`, at least `least` and at most `most` of them.
    pub fn sections<T>(
        &self,
        key: &'static str,
        (least, most): (usize, usize),
        read: impl Fn(&Section<'d, 't>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Some(value) = self.raw(key) else {
            if least > 0 {
                self.fault(key, format!("from {least} to {most} tables [[{key}]]"));
                return None;
            }
            return Some(Vec::new());
        };
        let tables: Option<Vec<_>> = value
            .get_ref()
            .as_array()
            .and_then(|items| items.iter().map(|v| Some((v.span().start, v.get_ref().as_table()?))).collect());
        // Too many or too few are a fault, and are read all the same.
        if !tables.as_ref().is_some_and(|t| (least..=most).contains(&t.len())) {
            self.fault(key, format!("from {least} to {most} tables [[{key}]]"));
        }
        let tables = tables?;
        let read_one = |(i, (start, table)): (usize, &(usize, &'d DeTable<'t>))| {
            let path = format!("{}[{}]", self.path_of(key), i + 1);
            self.below(path, self.document.line_at(*start), table, &read)
        };
        // Every table is read, so that every fault is found, before one missing value spoils the list.
        let read: Vec<Option<T>> = tables.iter().enumerate().map(read_one).collect();
        read.into_iter().collect()
    }

    /// A table of numbers above or equal to zero with just these keys.
    pub fn numbers(&self, key: &'static str, names: &[&'static str]) -> Option<Vec<f64>> {
        self.section(key, |section| {
            let read: Vec<Option<f64>> = names.iter().map(|n| section.non_negative(n, "a number")).collect();
            read.into_iter().collect()
        })
    }

    fn below<T>(
        &self,
        path: String,
        line: usize,
        table: &'d DeTable<'t>,
        read: impl FnOnce(&Section<'d, 't>) -> Option<T>,
    ) -> Option<T> {
        let section = Section { document: self.document, path, line, table, known: RefCell::default() };
        let out = read(&section);
        section.finish();
        out
    }

    fn line_of(&self, key: &str) -> usize {
        self.table.get(key).map_or(self.line, |v| self.document.line_at(v.span().start))
    }

    fn finish(&self) {
        let known = self.known.borrow();
        for (key, value) in self.table.iter().filter(|(key, _)| !known.contains(key.get_ref().as_ref())) {
            let names = known.iter().copied().collect::<Vec<_>>().join(", ");
            self.document.fault(Fault {
                line: self.document.line_at(key.span().start),
                key: self.path_of(key.get_ref()),
                value: text_of(value.get_ref()),
                expected: format!("no such key here; known keys: {names}"),
            });
        }
    }
}

/// A finite number, whole or not.
#[must_use]
pub fn number(value: &DeValue<'_>) -> Option<f64> {
    let text = match value {
        DeValue::Float(f) => f.as_str().to_owned(),
        DeValue::Integer(i) if i.radix() == 10 => i.as_str().to_owned(),
        _ => return None,
    };
    text.replace('_', "").parse().ok().filter(|x: &f64| x.is_finite())
}

/// A whole number within these bounds.
#[must_use]
pub fn count(value: &DeValue<'_>, low: u32, high: u32) -> Option<u32> {
    let n: u32 = value.as_integer().filter(|i| i.radix() == 10)?.as_str().replace('_', "").parse().ok()?;
    (low..=high).contains(&n).then_some(n)
}

fn text_of(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(s) => format!("\"{s}\""),
        DeValue::Integer(i) => i.as_str().to_owned(),
        DeValue::Float(f) => f.as_str().to_owned(),
        DeValue::Boolean(b) => b.to_string(),
        DeValue::Datetime(d) => d.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(f64, Option<f64>), Faults> {
        Document::new(Path::new("plant.toml"), text).read(|root| {
            let period = root.section("loop", |s| s.positive("period_s", "seconds"));
            let extra = root.optional("extra", "a number", number);
            Some((period?, extra?))
        })
    }

    #[test]
    fn a_sound_file_is_read() {
        assert_eq!(read("[loop]\nperiod_s = 1_8.5\n"), Ok((18.5, None)));
    }

    #[test]
    fn every_fault_is_found_with_line_key_value_and_expectation() {
        let faults = read("extra = \"x\"\nspeed = 3\n[loop]\nperiod_s = -18\nmodle = \"a\"\n").unwrap_err();
        let lines: Vec<_> = faults.to_string().lines().map(str::to_owned).collect();
        assert_eq!(
            lines,
            [
                "plant.toml:1: `extra` = \"x\", expected a number",
                "plant.toml:2: `speed` = 3, expected no such key here; known keys: extra, loop",
                "plant.toml:4: `loop.period_s` = -18, expected seconds, above 0",
                "plant.toml:5: `loop.modle` = \"a\", expected no such key here; known keys: period_s",
            ]
        );
    }

    #[test]
    fn a_syntax_error_has_its_line() {
        let faults = read("[loop]\nperiod_s = = 3\n").unwrap_err();
        assert_eq!(faults.faults[0].line, 2);
    }

    #[test]
    fn nan_and_infinity_are_not_numbers() {
        for text in ["nan", "inf", "-inf", "1e999"] {
            assert!(read(&format!("[loop]\nperiod_s = {text}\n")).is_err(), "{text}");
        }
    }
}
