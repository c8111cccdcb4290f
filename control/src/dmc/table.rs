//! A model as a table of text: one row per pair.
//!
//! ```text
//! # Wood and Berry's column
//! period_s,60
//! samples,120
//! cv,input,role,form,gain,tau_s,zeta,lead_s,delay_s,coefficients
//! xd,reflux,mv,fopdt,12.8,1002,,,60,
//! xd,feed,dv,sopdt,3.8,400,1.1,0,486,
//! level,reflux,mv,integrator,0.02,0,,,60,
//! xb,steam,mv,steps,,,,,,-1.1 -2.0 -2.8 …
//! ```
//!
//! | form | its cells |
//! |---|---|
//! | `fopdt` | `gain`, `tau_s`, `delay_s` |
//! | `sopdt` | `gain`, `tau_s`, `zeta`, `lead_s`, `delay_s` |
//! | `integrator` | `gain` (slope, per second), `tau_s`, `delay_s` |
//! | `steps`, `ramp` | `coefficients`: as many as `samples`, parted by blanks; `ramp` goes on rising after the last |
//! | `impulse` | `coefficients` of an FIR model, as many as `samples` |
//!
//! A form has all of its cells and no others: there is no default. Variables are in the order in which they first
//! appear, within their role; a pair without a row does nothing. Lines that are empty or start with `#` are skipped.
//! All faults of a table are told at once, each with its line.

use std::fmt;
use std::fmt::Write as _;

use super::{DmcError, Names, Pair, StepResponseModel, Transfer};

const COLUMNS: [&str; 10] =
    ["cv", "input", "role", "form", "gain", "tau_s", "zeta", "lead_s", "delay_s", "coefficients"];
const NUMBERS: [&str; 5] = ["gain", "tau_s", "zeta", "lead_s", "delay_s"];

/// Why a table makes no model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}", Told(self))]
pub struct TableError {
    /// Where the table is from.
    pub source_name: String,
    /// Every fault, by line.
    pub faults: Vec<TableFault>,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableFault {
    /// Line of the text, from 1.
    pub line: usize,
    /// The key or column.
    pub key: String,
    /// As it stands there.
    pub value: String,
    /// What should.
    pub expected: String,
}

struct Told<'a>(&'a TableError);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.0.faults.iter().enumerate() {
            let TableFault { line, key, value, expected } = fault;
            let newline = if at > 0 { "\n" } else { "" };
            write!(f, "{newline}{}, line {line}, {key}: `{value}`, expected {expected}", self.0.source_name)?;
        }
        Ok(())
    }
}

/// What has been read so far.
#[derive(Default)]
struct Reader {
    period_s: Option<f64>,
    samples: Option<usize>,
    header: bool,
    names: Names,
    /// Line, CV, whether a DV, index within its role, dynamics.
    rows: Vec<Row>,
    faults: Vec<TableFault>,
}

struct Row {
    line: usize,
    cv: usize,
    is_dv: bool,
    input: usize,
    transfer: Transfer,
}

impl StepResponseModel {
    /// Reads a model from `text`; `source_name` is how errors call it.
    ///
    /// # Errors
    /// [`TableError`] with every fault of the table.
    pub fn from_table(source_name: &str, text: &str) -> Result<Self, TableError> {
        let mut reader = Reader::default();
        let mut last = 1;
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                last = at + 1;
                reader.read(last, line);
            }
        }
        let model = reader.model(last);
        model.map_err(|()| TableError { source_name: source_name.to_owned(), faults: reader.faults })
    }

    /// The model as a table that [`Self::from_table`] reads back bit for bit, every response by its coefficients.
    #[must_use]
    pub fn to_table(&self) -> String {
        let mut text = format!("period_s,{}\nsamples,{}\n{}\n", self.period_s(), self.samples(), COLUMNS.join(","));
        let names = self.names();
        for (i, cv) in names.cvs.iter().enumerate() {
            let inputs = names.mvs.iter().map(|mv| (mv, "mv")).chain(names.dvs.iter().map(|dv| (dv, "dv")));
            for (j, (input, role)) in inputs.enumerate() {
                let form = if self.is_integrating(i) { "ramp" } else { "steps" };
                let values: Vec<String> = self.response(i, j).iter().map(f64::to_string).collect();
                // Writing to a string does not fail.
                let _ = writeln!(text, "{cv},{input},{role},{form},,,,,,{}", values.join(" "));
            }
        }
        text
    }
}

impl Reader {
    fn fault(&mut self, line: usize, key: &str, (value, expected): (&str, &str)) {
        let (key, value, expected) = (key.to_owned(), value.to_owned(), expected.to_owned());
        self.faults.push(TableFault { line, key, value, expected });
    }

    fn read(&mut self, line: usize, text: &str) {
        let cells: Vec<&str> = text.split(',').map(str::trim).collect();
        match cells.as_slice() {
            ["period_s", value] if !self.header => {
                self.period_s = value.parse().ok().filter(|period: &f64| period.is_finite() && *period > 0.0);
                if self.period_s.is_none() {
                    self.fault(line, "period_s", (value, "a positive number of seconds"));
                }
            }
            ["samples", value] if !self.header => {
                self.samples = value.parse().ok().filter(|samples| (2..=super::SAMPLES_MAX).contains(samples));
                if self.samples.is_none() {
                    self.fault(line, "samples", (value, &format!("a whole number from 2 to {}", super::SAMPLES_MAX)));
                }
            }
            cells if !self.header => {
                self.header = true;
                if cells != COLUMNS {
                    self.fault(line, "header", (text, &COLUMNS.join(",")));
                }
            }
            [cv, input, role, form, numbers @ .., coefficients] if numbers.len() == NUMBERS.len() => {
                let is_dv = match *role {
                    "mv" => false,
                    "dv" => true,
                    _ => return self.fault(line, "role", (role, "`mv` or `dv`")),
                };
                for (key, name) in [("cv", cv), ("input", input)] {
                    if name.is_empty() {
                        self.fault(line, key, (name, "a name"));
                    }
                }
                let Some(transfer) = self.transfer(line, form, (numbers, coefficients)) else { return };
                let cv = place(&mut self.names.cvs, cv);
                let input = place(if is_dv { &mut self.names.dvs } else { &mut self.names.mvs }, input);
                if self.rows.iter().any(|row| (row.cv, row.is_dv, row.input) == (cv, is_dv, input)) {
                    self.fault(line, "input", (text, "a pair that has no row yet"));
                }
                self.rows.push(Row { line, cv, is_dv, input, transfer });
            }
            _ => self.fault(line, "row", (text, &format!("{} cells", COLUMNS.len()))),
        }
    }

    /// The dynamics of a row; `None` after a fault.
    fn transfer(&mut self, line: usize, form: &str, (numbers, list): (&[&str], &str)) -> Option<Transfer> {
        let wanted: &[&str] = match form {
            "fopdt" | "integrator" => &["gain", "tau_s", "delay_s"],
            "sopdt" => &NUMBERS,
            "steps" | "ramp" | "impulse" => &[],
            _ => {
                self.fault(line, "form", (form, "`fopdt`, `sopdt`, `integrator`, `steps`, `ramp` or `impulse`"));
                return None;
            }
        };
        let before = self.faults.len();
        let mut values = [0.0; NUMBERS.len()];
        for ((key, cell), value) in NUMBERS.iter().zip(numbers).zip(&mut values) {
            match (wanted.contains(key), cell.parse::<f64>().ok().filter(|value| value.is_finite())) {
                (true, Some(number)) => *value = number,
                (true, None) => self.fault(line, key, (cell, "a finite number")),
                (false, _) if cell.is_empty() => {}
                (false, _) => self.fault(line, key, (cell, &format!("nothing: `{form}` has no such number"))),
            }
        }
        let [gain, tau_s, zeta, lead_s, delay_s] = values;
        let transfer = match form {
            "fopdt" => Transfer::Fopdt { gain, tau_s, delay_s },
            "integrator" => Transfer::Integrator { gain, tau_s, delay_s },
            "sopdt" => Transfer::Sopdt { gain, tau_s, zeta, lead_s, delay_s },
            "impulse" => Transfer::Impulse { values: self.coefficients(line, list) },
            _ => Transfer::Coefficients { values: self.coefficients(line, list), ramp: form == "ramp" },
        };
        if !wanted.is_empty() && !list.is_empty() {
            self.fault(line, "coefficients", (list, &format!("nothing: `{form}` has none")));
        }
        (self.faults.len() == before).then_some(transfer)
    }

    fn coefficients(&mut self, line: usize, list: &str) -> Vec<f64> {
        let mut values = Vec::new();
        for cell in list.split_whitespace() {
            match cell.parse::<f64>().ok().filter(|value| value.is_finite()) {
                Some(value) => values.push(value),
                None => self.fault(line, "coefficients", (cell, "a finite number")),
            }
        }
        if let Some(samples) = self.samples.filter(|samples| *samples != values.len()) {
            let expected = format!("{samples} coefficients, as `samples` says");
            self.fault(line, "coefficients", (&format!("{} of them", values.len()), &expected));
        }
        values
    }

    /// The model; `Err` when there are faults.
    fn model(&mut self, last: usize) -> Result<StepResponseModel, ()> {
        let absent = |missing: bool| missing && self.faults.is_empty();
        for (missing, key, expected) in [
            (absent(self.period_s.is_none()), "period_s", "a line `period_s,SECONDS` before the header"),
            (absent(self.samples.is_none()), "samples", "a line `samples,NUMBER` before the header"),
            (absent(self.rows.is_empty()), "row", "at least one pair"),
        ] {
            if missing {
                self.fault(last, key, ("", expected));
            }
        }
        let (Some(period_s), Some(samples)) = (self.period_s, self.samples) else { return Err(()) };
        let mvs = self.names.mvs.len();
        let rows = std::mem::take(&mut self.rows);
        let mut pairs = Vec::new();
        for Row { line, cv, is_dv, input, transfer } in rows {
            if let Err(DmcError::Transfer { key, value }) = transfer.sampled(period_s, samples) {
                self.fault(line, key, (&value.to_string(), "a finite number in its range"));
            }
            pairs.push(Pair { cv, input: if is_dv { mvs + input } else { input }, transfer });
        }
        if !self.faults.is_empty() {
            return Err(());
        }
        StepResponseModel::new(std::mem::take(&mut self.names), (period_s, samples), &pairs).map_err(|_| ())
    }
}

/// Index of `name`, added at the end when it is new.
fn place(names: &mut Vec<String>, name: &str) -> usize {
    names.iter().position(|known| known == name).unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    })
}
