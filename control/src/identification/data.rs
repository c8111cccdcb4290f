//! Recorded inputs and outputs, sampled evenly, and the scaling that a fit works in.
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: columns are counted once, at construction")]

use nalgebra::{DMatrix, DVector};

use super::{IdentificationError, StateSpace, Table, linear};

/// Inputs and outputs of one experiment, sample by sample.
#[derive(Clone, Debug, PartialEq)]
pub struct DataSet {
    /// Sample time, s (or whatever unit of time the models shall have).
    pub period: f64,
    /// Index of the first sample within the experiment: a part remembers where it was cut.
    pub first: usize,
    /// Names of the inputs, NU.
    pub input_names: Vec<String>,
    /// Names of the outputs, NY.
    pub output_names: Vec<String>,
    /// Inputs, samples × NU.
    pub u: DMatrix<f64>,
    /// Outputs, samples × NY.
    pub y: DMatrix<f64>,
}

/// What is taken off the data before a fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trend {
    /// The mean.
    Mean,
    /// The line of least squares.
    Line,
}

/// An affine map of each column: `scaled(t) = (raw(t) - level - slope · t) / scale`, `t` in samples of the experiment.
#[derive(Clone, Debug, PartialEq)]
pub struct Scaling {
    /// One per input.
    pub u: Vec<ColumnScaling>,
    /// One per output.
    pub y: Vec<ColumnScaling>,
}

/// The map of one column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColumnScaling {
    /// Value at sample 0.
    pub level: f64,
    /// Rise per sample.
    pub slope: f64,
    /// Standard deviation about the trend; 1 for a column that does not move.
    pub scale: f64,
}

impl DataSet {
    /// The columns `inputs` and `outputs` of `table`, sampled every `period`.
    ///
    /// # Errors
    /// [`IdentificationError::Column`] for a name that the table lacks, [`IdentificationError::Argument`] for a period
    /// that is not positive.
    pub fn from_table(
        table: &Table,
        inputs: &[&str],
        outputs: &[&str],
        period: f64,
    ) -> Result<Self, IdentificationError> {
        if !(period > 0.0 && period.is_finite()) {
            return Err(IdentificationError::Argument { key: "period", value: period, expected: "a positive number" });
        }
        let pick = |names: &[&str]| -> Result<DMatrix<f64>, IdentificationError> {
            let columns: Vec<usize> = names.iter().map(|name| table.column(name)).collect::<Result<_, _>>()?;
            Ok(table.values.select_columns(&columns))
        };
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let (u, y) = (pick(inputs)?, pick(outputs)?);
        Ok(Self { period, first: 0, input_names: own(inputs), output_names: own(outputs), u, y })
    }

    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.y.nrows()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The samples before `at`, and those from `at` on: one part to fit, the other to judge.
    #[must_use]
    pub fn split(&self, at: usize) -> (Self, Self) {
        let at = at.min(self.len());
        (self.part(0, at), self.part(at, self.len() - at))
    }

    fn part(&self, from: usize, samples: usize) -> Self {
        Self {
            first: self.first + from,
            u: self.u.rows(from, samples).into_owned(),
            y: self.y.rows(from, samples).into_owned(),
            ..self.clone()
        }
    }
}

impl Scaling {
    /// The scaling that leaves `data` without trend and with a standard deviation of 1.
    #[must_use]
    pub fn of(data: &DataSet, trend: Trend) -> Self {
        let columns = |values: &DMatrix<f64>| {
            values.column_iter().map(|column| ColumnScaling::of(column.as_slice(), data.first, trend)).collect()
        };
        Self { u: columns(&data.u), y: columns(&data.y) }
    }

    /// `data`, scaled. The data may be another part of the same experiment.
    #[must_use]
    pub fn apply(&self, data: &DataSet) -> DataSet {
        let mut scaled = data.clone();
        for (values, scalings) in [(&mut scaled.u, &self.u), (&mut scaled.y, &self.y)] {
            for (mut column, scaling) in values.column_iter_mut().zip(scalings) {
                for (t, value) in column.iter_mut().enumerate() {
                    *value = (*value - scaling.trend(data.first + t)) / scaling.scale;
                }
            }
        }
        scaled
    }
}

impl ColumnScaling {
    fn of(values: &[f64], first: usize, trend: Trend) -> Self {
        let n = values.len();
        let unknowns = if trend == Trend::Line { 2 } else { 1 };
        let regressors = DMatrix::from_fn(n, unknowns, |t, j| if j == 0 { 1.0 } else { (first + t) as f64 });
        let line = linear::min_norm(&regressors, &DMatrix::from_column_slice(n, 1, values));
        let slope = if unknowns == 2 { line[(1, 0)] } else { 0.0 };
        let mut scaling = Self { level: line[(0, 0)], slope, scale: 1.0 };
        let residual = DVector::from_fn(n, |t, _| values[t] - scaling.trend(first + t));
        let deviation = (residual.norm_squared() / n.max(1) as f64).sqrt();
        if deviation > 1e-12 * scaling.level.abs().max(f64::MIN_POSITIVE) {
            scaling.scale = deviation;
        }
        scaling
    }

    /// The trend at sample `t` of the experiment.
    #[must_use]
    pub fn trend(&self, t: usize) -> f64 {
        self.level + self.slope * t as f64
    }
}

impl StateSpace {
    /// A model of scaled data, turned into one of deviations in the data's own units:
    /// `B → B / s_u`, `C → s_y C`, `D → s_y D / s_u`, `K → K / s_y`.
    #[must_use]
    pub fn in_units(mut self, scaling: &Scaling) -> Self {
        for (j, input) in scaling.u.iter().enumerate() {
            self.b.column_mut(j).unscale_mut(input.scale);
            self.d.column_mut(j).unscale_mut(input.scale);
        }
        for (i, output) in scaling.y.iter().enumerate() {
            self.c.row_mut(i).scale_mut(output.scale);
            self.d.row_mut(i).scale_mut(output.scale);
            self.k.column_mut(i).unscale_mut(output.scale);
        }
        self
    }
}
