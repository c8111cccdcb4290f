//! What can be wrong with a plant file, and where.

use std::fmt;

use toml::de::{DeTable, DeValue};

/// One fault, with the line and the key to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Line, counted from 1.
    pub line: usize,
    /// The key, such as `mv[1].clamp`.
    pub key: String,
    /// What is wrong, with the values.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.line, self.key, self.message)
    }
}

/// A plant file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{file}: cannot be read: {source}")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The text is no TOML, has an unknown key, lacks one, or a value has the wrong type.
    #[error("{file}:{line}: {message}")]
    Syntax {
        /// The file.
        file: String,
        /// Line, counted from 1.
        line: usize,
        /// What the TOML reader says; it names the key.
        message: String,
    },
    /// The text reads well and says something impossible.
    #[error("{}", list(.file, .faults))]
    Faults {
        /// The file.
        file: String,
        /// Every fault, in the order of the lines.
        faults: Vec<Fault>,
    },
}

fn list(file: &str, faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("{file}:{fault}")).collect::<Vec<_>>().join("\n")
}

/// Collects faults and finds their lines.
pub(super) struct Faults<'a> {
    text: &'a str,
    table: Option<DeTable<'a>>,
    found: Vec<Fault>,
}

/// A place in the file: a key, in the numbered entry of an array of tables or at the top.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<'a> {
    pub(super) table: Option<(&'a str, usize)>,
    pub(super) key: &'a str,
}

impl At<'_> {
    fn name(self) -> String {
        match self.table {
            Some((table, number)) => format!("{table}[{number}].{}", self.key),
            None => self.key.to_owned(),
        }
    }
}

/// The line of a byte offset, counted from 1.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|b| *b == b'\n').count()
}

impl<'a> Faults<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let table = DeTable::parse(text).ok().map(toml::Spanned::into_inner);
        Self { text, table, found: Vec::new() }
    }

    /// Notes a fault at a key; a missing key is reported at its table.
    pub(super) fn add(&mut self, at: At<'_>, message: impl Into<String>) {
        let line = self.offset(at).map_or(1, |offset| line_of(self.text, offset));
        self.found.push(Fault { line, key: at.name(), message: message.into() });
    }

    /// `value`, or a noted fault when it is an error.
    pub(super) fn note<T>(&mut self, at: At<'_>, value: Result<T, String>) -> Option<T> {
        value.map_err(|message| self.add(at, message)).ok()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(super) fn into_error(mut self, file: &str) -> ConfigError {
        self.found.sort_by_key(|fault| fault.line);
        ConfigError::Faults { file: file.to_owned(), faults: self.found }
    }

    fn offset(&self, at: At<'_>) -> Option<usize> {
        let top = self.table.as_ref()?;
        let Some((name, number)) = at.table else {
            return top.get_key_value(at.key).map(|(key, _)| key.span().start);
        };
        let (key, array) = top.get_key_value(name)?;
        let DeValue::Array(array) = array.get_ref() else { return Some(key.span().start) };
        let Some(entry) = array.get(number) else { return Some(key.span().start) };
        let inner = match entry.get_ref() {
            DeValue::Table(table) => table.get_key_value(at.key).map(|(key, _)| key.span().start),
            _ => None,
        };
        Some(inner.unwrap_or_else(|| entry.span().start))
    }
}
