//! A table of numbers out of text.
//!
//! One row per line; cells parted by commas, semicolons or blanks, as the first line shows. A first line with a cell
//! that is no number names the columns; without one they are called `1`, `2`, …. Empty lines and lines that start with
//! `#` or `%` are skipped. A number is finite: a hole in the data is a fault of its cell, to be mended by a person.

use nalgebra::DMatrix;

use super::IdentificationError;

/// Columns of numbers with names.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Where it is from, for messages.
    pub source_name: String,
    /// One name per column.
    pub names: Vec<String>,
    /// Rows by columns.
    pub values: DMatrix<f64>,
}

/// How the cells of a line are parted.
#[derive(Clone, Copy)]
enum Delimiter {
    Character(char),
    Blanks,
}

impl Delimiter {
    fn of(line: &str) -> Self {
        [',', ';'].into_iter().find(|c| line.contains(*c)).map_or(Self::Blanks, Self::Character)
    }

    fn cells(self, line: &str) -> Vec<&str> {
        match self {
            Self::Character(c) => line.split(c).map(str::trim).collect(),
            Self::Blanks => line.split_whitespace().collect(),
        }
    }
}

impl Table {
    /// Reads `text`; `source_name` is how errors call it.
    ///
    /// # Errors
    /// [`IdentificationError::Cell`], [`IdentificationError::Width`] or [`IdentificationError::Empty`]: the first
    /// fault.
    pub fn parse(source_name: &str, text: &str) -> Result<Self, IdentificationError> {
        let source_name = source_name.to_owned();
        let mut lines = text
            .lines()
            .enumerate()
            .map(|(at, line)| (at + 1, line.trim()))
            .filter(|(_, line)| !line.is_empty() && !line.starts_with(['#', '%']))
            .peekable();
        let Some((_, first)) = lines.peek().copied() else { return Err(IdentificationError::Empty { source_name }) };
        let delimiter = Delimiter::of(first);
        let cells = delimiter.cells(first);
        let named = cells.iter().any(|cell| cell.parse::<f64>().is_err());
        let names: Vec<String> = if named {
            lines.next();
            cells.iter().map(|cell| cell.trim_matches('"').to_owned()).collect()
        } else {
            (1..=cells.len()).map(|column| column.to_string()).collect()
        };
        let mut values = Vec::new();
        let mut rows = 0;
        for (line, text) in lines {
            let cells = delimiter.cells(text);
            if cells.len() != names.len() {
                return Err(IdentificationError::Width { source_name, line, cells: cells.len(), columns: names.len() });
            }
            for (cell, column) in cells.iter().zip(&names) {
                let value = cell.parse().ok().filter(|value: &f64| value.is_finite());
                values.push(value.ok_or_else(|| IdentificationError::Cell {
                    source_name: source_name.clone(),
                    line,
                    column: column.clone(),
                    value: (*cell).to_owned(),
                    expected: "a finite number",
                })?);
            }
            rows += 1;
        }
        if rows == 0 {
            return Err(IdentificationError::Empty { source_name });
        }
        let values = DMatrix::from_row_slice(rows, names.len(), &values);
        Ok(Self { source_name, names, values })
    }

    /// Index of the column called `name`.
    ///
    /// # Errors
    /// [`IdentificationError::Column`] when there is none.
    pub fn column(&self, name: &str) -> Result<usize, IdentificationError> {
        self.names.iter().position(|known| known == name).ok_or_else(|| IdentificationError::Column {
            source_name: self.source_name.clone(),
            column: name.to_owned(),
            present: self.names.clone(),
        })
    }
}
