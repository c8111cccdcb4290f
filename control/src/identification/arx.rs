//! ARX models of one output, by least squares.
//!
//! ```text
//! y(t) = - Σ_{i=1..na} a_i y(t-i) + Σ_j Σ_{l=0..nb_j-1} b_jl u_j(t - delay_j - l) + e(t)
//! ```
//!
//! Source: Ljung, *System Identification*, 2nd ed., §4.2 and §10.1.
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: orders are checked against the data first")]

use nalgebra::DMatrix;

use super::{DataSet, IdentificationError, StateSpace, linear};

/// Orders of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArxOrders {
    /// Past outputs, `na`.
    pub na: usize,
    /// One per input.
    pub inputs: Vec<ArxInput>,
}

/// Order and dead time of one input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArxInput {
    /// Coefficients, `nb`.
    pub nb: usize,
    /// Dead time, samples; 1 is the usual sample-and-hold.
    pub delay: usize,
}

/// A fitted model.
#[derive(Clone, Debug, PartialEq)]
pub struct Arx {
    /// Its orders.
    pub orders: ArxOrders,
    /// `a_1 … a_na`.
    pub a: Vec<f64>,
    /// `b_j0 …` of each input.
    pub b: Vec<Vec<f64>>,
    /// Variance of e, residuals over degrees of freedom.
    pub noise_variance: f64,
    /// Sample time, in the data set's unit of time.
    pub period: f64,
}

impl ArxOrders {
    /// Unknowns of the regression.
    #[must_use]
    pub fn unknowns(&self) -> usize {
        self.na + self.inputs.iter().map(|input| input.nb).sum::<usize>()
    }

    /// How many samples back the model looks.
    #[must_use]
    pub fn lag(&self) -> usize {
        let inputs = self.inputs.iter().filter(|input| input.nb > 0).map(|input| input.delay + input.nb - 1);
        inputs.fold(self.na, usize::max)
    }
}

impl Arx {
    /// Fits the model of `output` to `data`, which should be free of trend.
    ///
    /// # Errors
    /// [`IdentificationError::Argument`] when the orders do not fit the inputs, [`IdentificationError::Short`] and
    /// [`IdentificationError::Rank`] when the data do not determine the model.
    pub fn fit(data: &DataSet, output: usize, orders: &ArxOrders) -> Result<Self, IdentificationError> {
        if orders.inputs.len() != data.u.ncols() {
            let value = orders.inputs.len() as f64;
            return Err(IdentificationError::Argument { key: "inputs", value, expected: "one order per input" });
        }
        if output >= data.y.ncols() {
            let value = output as f64;
            return Err(IdentificationError::Argument { key: "output", value, expected: "an output of the data" });
        }
        let (lag, unknowns) = (orders.lag(), orders.unknowns());
        let needed = lag + unknowns + 1;
        if data.len() < needed || unknowns == 0 {
            return Err(IdentificationError::Short { samples: data.len(), needed });
        }
        let rows = data.len() - lag;
        let mut regressors = DMatrix::zeros(rows, unknowns);
        let y = data.y.column(output);
        for i in 1..=orders.na {
            regressors.column_mut(i - 1).copy_from(&-y.rows(lag - i, rows));
        }
        let mut column = orders.na;
        for (j, input) in orders.inputs.iter().enumerate() {
            for back in (input.delay..).take(input.nb) {
                regressors.column_mut(column).copy_from(&data.u.column(j).rows(lag - back, rows));
                column += 1;
            }
        }
        let right = DMatrix::from_column_slice(rows, 1, y.rows(lag, rows).into_owned().as_slice());
        let theta = linear::least_squares(&regressors, &right)?;
        let residual = (&regressors * &theta - right).norm_squared();
        let mut rest = theta.as_slice()[orders.na..].iter().copied();
        Ok(Self {
            a: theta.as_slice()[..orders.na].to_vec(),
            b: orders.inputs.iter().map(|input| rest.by_ref().take(input.nb).collect()).collect(),
            noise_variance: residual / (rows - unknowns).max(1) as f64,
            orders: orders.clone(),
            period: data.period,
        })
    }

    /// The same model in observer form, of order max(na, delay + nb - 1): A has -a in its first column and ones above
    /// the diagonal, C reads the first state, K = -a.
    #[must_use]
    pub fn to_state_space(&self) -> StateSpace {
        let (nx, nu) = (self.orders.lag(), self.b.len());
        let a_of = |i: usize| self.a.get(i).copied().unwrap_or(0.0);
        let b_of = |j: usize, back: usize| {
            back.checked_sub(self.orders.inputs[j].delay).and_then(|l| self.b[j].get(l)).copied().unwrap_or(0.0)
        };
        StateSpace {
            a: DMatrix::from_fn(nx, nx, |i, j| {
                let shift = if j == i + 1 { 1.0 } else { 0.0 };
                if j == 0 { shift - a_of(i) } else { shift }
            }),
            b: DMatrix::from_fn(nx, nu, |i, j| b_of(j, i + 1) - a_of(i) * b_of(j, 0)),
            c: DMatrix::from_fn(1, nx, |_, j| if j == 0 { 1.0 } else { 0.0 }),
            d: DMatrix::from_fn(1, nu, |_, j| b_of(j, 0)),
            k: DMatrix::from_fn(nx, 1, |i, _| -a_of(i)),
            period: self.period,
        }
    }
}
