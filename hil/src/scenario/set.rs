//! Changes of single keys of a plant file: `"safety.hold_periods" = 3`, `"cv.1.frozen_samples" = 10`.

use toml::de::DeValue;
use toml::{Table, Value};

/// Keys, each the names and the numbers (from 1) of tables on the way with dots between, and their new values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes(pub Vec<(String, Value)>);

/// A change that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// The text is no TOML.
    #[error("no TOML: {0}")]
    Text(#[from] toml::de::Error),
    /// There is no such table.
    #[error("`{key}`: there is no `{part}` on the way to it")]
    NoSuch {
        /// The key.
        key: String,
        /// The part that is not there.
        part: String,
    },
}

impl Changes {
    /// The changes in a table of a scenario; `None` for what is no table of plain values.
    pub(super) fn read(value: &DeValue<'_>) -> Option<Self> {
        let table = value.as_table()?;
        let pairs = table.iter().map(|(key, value)| Some((key.get_ref().to_string(), plain(value.get_ref())?)));
        pairs.collect::<Option<Vec<_>>>().map(Self)
    }

    /// The text with these changes. Without any, the text as it stands.
    ///
    /// # Errors
    /// [`SetError`].
    pub fn apply(&self, text: &str) -> Result<String, SetError> {
        if self.0.is_empty() {
            return Ok(text.to_owned());
        }
        let mut root: Table = text.parse()?;
        for (key, value) in &self.0 {
            put(&mut root, key, value)?;
        }
        Ok(root.to_string())
    }
}

fn put(root: &mut Table, key: &str, value: &Value) -> Result<(), SetError> {
    let no_such = |part: &str| SetError::NoSuch { key: key.to_owned(), part: part.to_owned() };
    let (way, last) = key.rsplit_once('.').map_or(("", key), |(way, last)| (way, last));
    let mut parts = way.split('.').filter(|part| !part.is_empty());
    let mut here = root;
    while let Some(part) = parts.next() {
        let below = match here.get_mut(part).ok_or_else(|| no_such(part))? {
            Value::Array(items) => {
                let number = parts.next().unwrap_or_default();
                let place = number.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
                place.and_then(|place| items.get_mut(place)).ok_or_else(|| no_such(number))?
            }
            other => other,
        };
        here = below.as_table_mut().ok_or_else(|| no_such(part))?;
    }
    here.insert(last.to_owned(), value.clone());
    Ok(())
}

fn plain(value: &DeValue<'_>) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(truth) => Value::Boolean(*truth),
        DeValue::Integer(number) => Value::Integer(number.as_str().replace('_', "").parse().ok()?),
        DeValue::Float(number) => Value::Float(number.as_str().replace('_', "").parse().ok()?),
        DeValue::Array(items) => Value::Array(items.iter().map(|v| plain(v.get_ref())).collect::<Option<_>>()?),
        DeValue::Table(table) => {
            let pairs = table.iter().map(|(k, v)| Some((k.get_ref().to_string(), plain(v.get_ref())?)));
            Value::Table(pairs.collect::<Option<_>>()?)
        }
        DeValue::Datetime(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_by_names_and_numbers_and_what_is_not_there_is_told() {
        let text = "[a]\nb = 1\n[[cv]]\nx = 1\n[[cv]]\nx = 2\n";
        let set = |key: &str| Changes(vec![(key.to_owned(), Value::Integer(9))]).apply(text);
        assert!(set("a.b").unwrap().contains("b = 9"));
        let second: Table = set("cv.2.x").unwrap().parse().unwrap();
        assert_eq!(second["cv"][1]["x"].as_integer(), Some(9));
        assert_eq!(second["cv"][0]["x"].as_integer(), Some(1));
        for bad in ["z.b", "cv.3.x", "cv.x.x"] {
            assert!(set(bad).is_err(), "{bad}");
        }
        assert_eq!(Changes::default().apply(text).unwrap(), text);
    }
}
