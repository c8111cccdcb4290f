//! Sequences of quadratic programmes from a file, in the format that the peers' generator writes.
//!
//! ```text
//! min  ½ z'P z + q'z    s.t.  A z + s = b,   the first `neq` of s zero, the others not negative
//! ```
//!
//! | key | what |
//! |---|---|
//! | `name`, `meta` | `meta.kind` is `ocp` or `rti` (with `nx`, `nu`, `N`, `ns`), or anything else |
//! | `n`, `m`, `neq` | variables, rows, equations |
//! | `P` | `colptr`, `rowval`, `nzval`: upper triangle, compressed columns |
//! | `A` | `colptr`, `rowval`: pattern, compressed columns |
//! | `A_seq` | values of A: one list for all steps, or one per step |
//! | `q_seq`, `b_seq`, `obj` | one per step |
//!
//! Of kind `ocp` and `rti` the rows are put back into stages ([`control::qp::OcpQp`]); any other kind is taken as dense,
//! with opposite rows joined to two-sided ones.

mod dense;
mod ocp;

use std::path::Path;

use serde_json::Value;

use crate::qp::{DenseSequence, OcpSequence};

/// What a file held.
#[derive(Clone, Debug)]
pub enum Sequence {
    /// Stages.
    Ocp(OcpSequence),
    /// One dense programme.
    Dense(DenseSequence),
}

/// Why a file gives no sequence.
#[derive(Debug, thiserror::Error)]
pub enum QpFileError {
    /// The file cannot be read.
    #[error("{path} cannot be read: {reason}")]
    Read {
        /// The file.
        path: String,
        /// Of the operating system.
        reason: std::io::Error,
    },
    /// Not JSON.
    #[error("{path}: not JSON: {reason}")]
    Json {
        /// The file.
        path: String,
        /// With line and column.
        reason: serde_json::Error,
    },
    /// A key is missing or holds something else.
    #[error("{path}: key `{key}` is {got}, expected {expected}")]
    Key {
        /// The file.
        path: String,
        /// The key, with the index in a list.
        key: String,
        /// What is there.
        got: String,
        /// What should be.
        expected: String,
    },
    /// An entry of a matrix has no place in the programme that `meta` describes.
    #[error("{path}: row {row}, column {column} of `{matrix}`: {what}")]
    Entry {
        /// The file.
        path: String,
        /// `P` or `A`.
        matrix: &'static str,
        /// Row.
        row: usize,
        /// Column.
        column: usize,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// A sparse matrix by compressed columns.
#[derive(Clone, Debug, Default)]
struct Columns {
    colptr: Vec<usize>,
    rowval: Vec<usize>,
}

impl Columns {
    /// Row, column and place of each entry.
    fn entries(&self) -> impl Iterator<Item = (usize, usize, usize)> + '_ {
        let spans = self.colptr.windows(2).enumerate();
        spans.flat_map(move |(column, span)| {
            let (from, to) = (span.first().copied().unwrap_or(0), span.last().copied().unwrap_or(0));
            (from..to).filter_map(move |at| Some((*self.rowval.get(at)?, column, at)))
        })
    }
}

/// The file's content, its lengths checked against each other.
#[derive(Clone, Debug)]
struct Raw {
    path: String,
    name: String,
    kind: String,
    meta: Value,
    n: usize,
    m: usize,
    neq: usize,
    p: Columns,
    p_values: Vec<f64>,
    a: Columns,
    a_seq: Vec<Vec<f64>>,
    q_seq: Vec<Vec<f64>>,
    b_seq: Vec<Vec<f64>>,
    obj: Vec<f64>,
}

/// The sequence in a file.
///
/// # Errors
/// [`QpFileError`]: the file, the key or entry, what is there and what was expected.
pub fn read(path: &Path) -> Result<Sequence, QpFileError> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|reason| QpFileError::Read { path: shown.clone(), reason })?;
    parse(&shown, &text)
}

/// The sequence in a text; `path` is for the errors.
///
/// # Errors
/// As [`read`].
pub fn parse(path: &str, text: &str) -> Result<Sequence, QpFileError> {
    let whole: Value =
        serde_json::from_str(text).map_err(|reason| QpFileError::Json { path: path.to_owned(), reason })?;
    let raw = Reader { path }.raw(&whole)?;
    match raw.kind.as_str() {
        "ocp" | "rti" => ocp::stages(&raw).map(Sequence::Ocp),
        _ => dense::dense(&raw).map(Sequence::Dense),
    }
}

/// Takes keys out of a JSON value, with errors that name file and key.
struct Reader<'a> {
    path: &'a str,
}

impl Reader<'_> {
    fn raw(&self, whole: &Value) -> Result<Raw, QpFileError> {
        let [n, m, neq] = [self.count(whole, "n")?, self.count(whole, "m")?, self.count(whole, "neq")?];
        let meta = self.get(whole, "meta")?;
        let p = self.columns(whole, "P", (n, n))?;
        let p_values = self.floats(self.get(self.get(whole, "P")?, "nzval")?, "P.nzval", p.rowval.len())?;
        let a = self.columns(whole, "A", (m, n))?;
        let obj = self.get(whole, "obj")?;
        let steps = self.list(obj, "obj")?.len();
        if steps == 0 {
            return Err(self.fault("obj", "an empty list", "one objective per step"));
        }
        let a_seq = self.sequence(whole, "A_seq", a.rowval.len())?;
        if a_seq.len() != 1 && a_seq.len() != steps {
            return Err(self.fault(
                "A_seq",
                &format!("{} lists", a_seq.len()),
                &format!("1 or {steps} lists, as `obj` has {steps}"),
            ));
        }
        let raw = Raw {
            path: self.path.to_owned(),
            name: self.text(whole, "name")?,
            kind: meta.get("kind").and_then(Value::as_str).unwrap_or("dense").to_owned(),
            meta: meta.clone(),
            q_seq: self.sequence(whole, "q_seq", n)?,
            b_seq: self.sequence(whole, "b_seq", m)?,
            obj: self.floats(obj, "obj", steps)?,
            n,
            m,
            neq,
            p,
            p_values,
            a,
            a_seq,
        };
        for (key, sequence) in [("q_seq", &raw.q_seq), ("b_seq", &raw.b_seq)] {
            if sequence.len() != steps {
                return Err(self.fault(
                    key,
                    &format!("{} lists", sequence.len()),
                    &format!("{steps} lists, as `obj` has {steps}"),
                ));
            }
        }
        if neq > m {
            return Err(self.fault("neq", &neq.to_string(), &format!("at most `m` = {m}")));
        }
        Ok(raw)
    }

    fn fault(&self, key: &str, got: &str, expected: &str) -> QpFileError {
        QpFileError::Key {
            path: self.path.to_owned(),
            key: key.to_owned(),
            got: got.to_owned(),
            expected: expected.to_owned(),
        }
    }

    fn get<'v>(&self, value: &'v Value, key: &str) -> Result<&'v Value, QpFileError> {
        value.get(key).ok_or_else(|| self.fault(key, "missing", "present"))
    }

    fn text(&self, value: &Value, key: &str) -> Result<String, QpFileError> {
        let found = self.get(value, key)?;
        found.as_str().map(str::to_owned).ok_or_else(|| self.fault(key, kind_of(found), "a string"))
    }

    fn count(&self, value: &Value, key: &str) -> Result<usize, QpFileError> {
        let found = self.get(value, key)?;
        let count = found.as_u64().and_then(|count| usize::try_from(count).ok());
        count.ok_or_else(|| self.fault(key, kind_of(found), "a whole number"))
    }

    fn list<'v>(&self, value: &'v Value, key: &str) -> Result<&'v Vec<Value>, QpFileError> {
        value.as_array().ok_or_else(|| self.fault(key, kind_of(value), "a list"))
    }

    fn floats(&self, value: &Value, key: &str, length: usize) -> Result<Vec<f64>, QpFileError> {
        let list = self.list(value, key)?;
        if list.len() != length {
            return Err(self.fault(key, &format!("a list of {}", list.len()), &format!("a list of {length}")));
        }
        let number = |(i, v): (usize, &Value)| {
            v.as_f64().ok_or_else(|| self.fault(&format!("{key}[{i}]"), kind_of(v), "a number"))
        };
        list.iter().enumerate().map(number).collect()
    }

    fn indices(
        &self,
        value: &Value,
        key: &str,
        (length, bound): (Option<usize>, usize),
    ) -> Result<Vec<usize>, QpFileError> {
        let list = self.list(value, key)?;
        if let Some(length) = length.filter(|length| *length != list.len()) {
            return Err(self.fault(key, &format!("a list of {}", list.len()), &format!("a list of {length}")));
        }
        let index = |(i, v): (usize, &Value)| {
            let index = v.as_u64().and_then(|index| usize::try_from(index).ok());
            index.filter(|index| *index < bound).ok_or_else(|| {
                self.fault(&format!("{key}[{i}]"), &v.to_string(), &format!("a whole number below {bound}"))
            })
        };
        list.iter().enumerate().map(index).collect()
    }

    fn columns(&self, whole: &Value, key: &str, (rows, columns): (usize, usize)) -> Result<Columns, QpFileError> {
        let value = self.get(whole, key)?;
        let named = |part: &str| format!("{key}.{part}");
        let rowval = self.get(value, "rowval").map_err(|_| self.fault(&named("rowval"), "missing", "present"))?;
        let colptr = self.get(value, "colptr").map_err(|_| self.fault(&named("colptr"), "missing", "present"))?;
        let rowval = self.indices(rowval, &named("rowval"), (None, rows))?;
        let colptr = self.indices(colptr, &named("colptr"), (Some(columns + 1), rowval.len() + 1))?;
        let ends = (colptr.first().copied(), colptr.last().copied());
        if !colptr.is_sorted() || ends != (Some(0), Some(rowval.len())) {
            let expected = format!("ascending from 0 to {}", rowval.len());
            return Err(self.fault(&named("colptr"), "something else", &expected));
        }
        Ok(Columns { colptr, rowval })
    }

    fn sequence(&self, whole: &Value, key: &str, length: usize) -> Result<Vec<Vec<f64>>, QpFileError> {
        let lists = self.list(self.get(whole, key)?, key)?.iter().enumerate();
        lists.map(|(k, list)| self.floats(list, &format!("{key}[{k}]"), length)).collect()
    }
}

/// What a JSON value is, in a word.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "another number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests;
