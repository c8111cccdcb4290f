//! The unit's variables, for people.

use std::fmt::Write;

use crate::description::Description;

const HEAD: [&str; 7] = ["name", "causality", "type", "unit", "min", "max", "start"];

/// A line for the unit, and a table with a line for each variable.
pub(crate) fn table(says: &Description) -> String {
    let shown = |end: Option<f64>| end.map_or_else(|| "-".to_owned(), |end| end.to_string());
    let word = |text: &Option<String>| text.clone().filter(|t| !t.is_empty()).unwrap_or_else(|| "-".to_owned());
    let head = (HEAD.map(str::to_owned), "");
    let rows = says.variables.iter().map(|v| {
        let of = if v.is_array { format!("[{}]", v.type_name) } else { v.type_name.clone() };
        let cells =
            [v.name.clone(), v.causality.clone(), of, word(&v.unit), shown(v.min), shown(v.max), word(&v.start)];
        (cells, v.description.as_str())
    });
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| {
        rows.iter().filter_map(|(cells, _)| cells.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let steps = if says.varies_steps { "steps of any length" } else { "equal steps" };
    let mut text = format!("{}, FMI {}, co-simulation, {steps}\n", says.name, says.fmi_version);
    for (cells, description) in &rows {
        let line: Vec<String> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(text, "{}", format!("{}  {description}", line.join("  ")).trim_end());
    }
    text
}
