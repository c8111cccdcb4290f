//! Subspace identification of a state-space model: several outputs at once, no iteration, the order read off singular
//! values.
//!
//! With `i` block rows, past and future block Hankel matrices of the data are compressed by one LQ factorisation;
//! what follows works on the small triangular factor L, whose rows are the coordinates of the data's rows. With `Z/U`
//! for what of Z is orthogonal to U:
//!
//! ```text
//! O_i = Y_f along U_f on [U_p; Y_p]         oblique projection, = Γ_i X_i
//! N4SID: Γ from the SVD of O_i              MOESP: of O_i / U_f
//! CVA: of W⁻¹ (O_i / U_f), W W' = (Y_f / U_f)(Y_f / U_f)'
//! C = first block of Γ,  A = Γ[..i-1]⁺ Γ[1..]       made stable, if asked, by a block of zeros below Γ
//! B, D, x_0: least squares of the simulation error, which is linear in them
//! K: Riccati equation of the residuals of [X_{i+1}; Y_i] on [X_i; U_f], polished if asked (`gain`)
//! ```
//!
//! Sources: Van Overschee and De Moor, *Subspace Identification for Linear Systems*, 1996, ch. 4 (robust combined
//! algorithm) and 5 (weightings); Verhaegen, *Automatica* 30(1) 1994; Maciejowski, *System identification: forcing
//! stability*, 1995 (zeros below Γ).
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: shapes follow from the orders, checked first")]

use nalgebra::{DMatrix, DVector};

use super::{DataSet, IdentificationError, StateSpace, gain, linear};

/// Iterations of the Riccati equation at most, and the relative change that ends it.
const RICCATI_ITERATIONS: usize = 10_000;
const RICCATI_TOLERANCE: f64 = 1e-12;

/// In which metric the singular values are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weighting {
    /// The oblique projection itself.
    N4sid,
    /// Orthogonal to the future inputs.
    Moesp,
    /// Orthogonal to the future inputs, in units of what is left of the future outputs.
    Cva,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SubspaceOrders {
    /// Number of states.
    pub order: Order,
    /// Block rows of past and of future, more than the order.
    pub block_rows: usize,
    /// The metric.
    pub weighting: Weighting,
    /// Whether u(t) acts on y(t).
    pub feedthrough: bool,
    /// Where the Kalman gain comes from.
    pub gain: Gain,
}

/// Where the Kalman gain comes from. On data of a linear system it makes no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gain {
    /// The Riccati equation of the residuals' covariances.
    Covariance,
    /// The same, then searched on for the least one-step prediction error. Where the model fits badly this foretells
    /// the next sample much better, and later ones often worse.
    PredictionError,
}

/// How the number of states is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Order {
    /// As told.
    Fixed(usize),
    /// As many as there are singular values above this fraction of the largest.
    Above(f64),
}

/// A fitted model and how it came about.
#[derive(Clone, Debug, PartialEq)]
pub struct Subspace {
    /// The model.
    pub model: StateSpace,
    /// The singular values that the order was read off, descending.
    pub singular_values: Vec<f64>,
    /// Whether A had to be made stable.
    pub stabilised: bool,
}

/// Coordinates of the rows of the Hankel matrices in an orthonormal basis of their span.
struct Hankel {
    nu: usize,
    ny: usize,
    blocks: usize,
    columns: usize,
    /// Inputs, 2 · blocks · NU rows, then outputs, 2 · blocks · NY rows.
    l: DMatrix<f64>,
}

impl Hankel {
    fn new(data: &DataSet, blocks: usize) -> Result<Self, IdentificationError> {
        let (nu, ny) = (data.u.ncols(), data.y.ncols());
        let rows = 2 * blocks * (nu + ny);
        let needed = rows + 2 * blocks - 1;
        if data.len() < needed {
            return Err(IdentificationError::Short { samples: data.len(), needed });
        }
        let columns = data.len() + 1 - 2 * blocks;
        // The transpose, column by column: a channel from one of its first samples on.
        let mut transposed = DMatrix::zeros(columns, rows);
        for (values, width, offset) in [(&data.u, nu, 0), (&data.y, ny, 2 * blocks * nu)] {
            for block in 0..2 * blocks {
                for j in 0..width {
                    let source = values.column(j);
                    transposed.column_mut(offset + block * width + j).copy_from(&source.rows(block, columns));
                }
            }
        }
        let l = transposed.qr().r().transpose() / (columns as f64).sqrt();
        Ok(Self { nu, ny, blocks, columns, l })
    }

    fn inputs(&self, from: usize, to: usize) -> DMatrix<f64> {
        self.l.rows(from * self.nu, (to - from) * self.nu).into_owned()
    }

    fn outputs(&self, from: usize, to: usize) -> DMatrix<f64> {
        self.l.rows(2 * self.blocks * self.nu + from * self.ny, (to - from) * self.ny).into_owned()
    }

    /// `O`: the future outputs from block `now` on, projected along the future inputs on the past.
    fn oblique(&self, now: usize) -> DMatrix<f64> {
        let end = 2 * self.blocks;
        let past = stack(&[&self.inputs(0, now), &self.outputs(0, now)]);
        let known = stack(&[&past, &self.inputs(now, end)]);
        let theta = linear::min_norm(&known.transpose(), &self.outputs(now, end).transpose()).transpose();
        theta.columns(0, past.nrows()) * past
    }
}

fn stack(parts: &[&DMatrix<f64>]) -> DMatrix<f64> {
    let columns = parts.first().map_or(0, |part| part.ncols());
    let mut stacked = DMatrix::zeros(parts.iter().map(|part| part.nrows()).sum(), columns);
    let mut at = 0;
    for part in parts {
        stacked.rows_mut(at, part.nrows()).copy_from(part);
        at += part.nrows();
    }
    stacked
}

/// What of the rows of `z` is orthogonal to the rows of `u`.
fn orthogonal(z: &DMatrix<f64>, u: &DMatrix<f64>) -> DMatrix<f64> {
    z - linear::min_norm(&u.transpose(), &z.transpose()).transpose() * u
}

/// Fits a state-space model of all outputs to `data`, which should be free of trend and scaled.
///
/// # Errors
/// [`IdentificationError::Argument`] for an order of 0 or beyond what the block rows can show,
/// [`IdentificationError::Short`] for too few samples, [`IdentificationError::Rank`] when B and D are not determined.
pub fn fit(data: &DataSet, orders: &SubspaceOrders) -> Result<Subspace, IdentificationError> {
    if orders.block_rows < 2 {
        let value = orders.block_rows as f64;
        return Err(IdentificationError::Argument { key: "block_rows", value, expected: "at least 2" });
    }
    let hankel = Hankel::new(data, orders.block_rows)?;
    let oblique = hankel.oblique(orders.block_rows);
    let (gamma, singular_values) = observability(&hankel, &oblique, orders)?;
    let (a, c, stabilised) = dynamics(&gamma, hankel.ny);
    let (b, d) = inputs(data, &a, &c, orders.feedthrough)?;
    let k = kalman(&hankel, &oblique, &gamma, (&a, &c));
    let mut model = StateSpace { a, b, c, d, k, period: data.period };
    if orders.gain == Gain::PredictionError {
        gain::polish(&mut model, data);
    }
    Ok(Subspace { model, singular_values, stabilised })
}

/// The extended observability matrix Γ, and the singular values.
fn observability(
    hankel: &Hankel,
    oblique: &DMatrix<f64>,
    orders: &SubspaceOrders,
) -> Result<(DMatrix<f64>, Vec<f64>), IdentificationError> {
    let future = hankel.inputs(hankel.blocks, 2 * hankel.blocks);
    let outputs = hankel.outputs(hankel.blocks, 2 * hankel.blocks);
    let (weight, weighted) = match orders.weighting {
        Weighting::N4sid => (None, oblique.clone()),
        Weighting::Moesp => (None, orthogonal(oblique, &future)),
        Weighting::Cva => {
            let left = orthogonal(&outputs, &future);
            let mut covariance = &left * left.transpose();
            let floor = 1e-12 * covariance.trace() / covariance.nrows() as f64;
            for i in 0..covariance.nrows() {
                covariance[(i, i)] += floor;
            }
            let projected = orthogonal(oblique, &future);
            let weight = covariance.cholesky().map(nalgebra::Cholesky::unpack);
            let scaled = weight.as_ref().and_then(|weight| weight.solve_lower_triangular(&projected));
            (weight, scaled.unwrap_or(projected))
        }
    };
    let svd = weighted.svd(true, false);
    let mut by_size: Vec<usize> = (0..svd.singular_values.len()).collect();
    by_size.sort_by(|i, j| svd.singular_values[*j].total_cmp(&svd.singular_values[*i]));
    let values: Vec<f64> = by_size.iter().map(|i| svd.singular_values[*i]).collect();
    let largest = values.first().copied().unwrap_or(0.0);
    let order = match orders.order {
        Order::Fixed(order) => order,
        Order::Above(fraction) => values.iter().filter(|value| **value > fraction * largest).count(),
    };
    let most = ((hankel.blocks - 1) * hankel.ny).min(values.len());
    let seen = svd.u.as_ref().filter(|_| (1..=most).contains(&order));
    let Some(u) = seen else {
        let expected = "1 to (block_rows - 1) times the outputs";
        return Err(IdentificationError::Argument { key: "order", value: order as f64, expected });
    };
    let mut gamma = DMatrix::zeros(u.nrows(), order);
    for (column, i) in by_size.iter().take(order).enumerate() {
        gamma.set_column(column, &(u.column(*i) * svd.singular_values[*i].sqrt()));
    }
    let gamma = weight.map_or_else(|| gamma.clone(), |weight| weight * &gamma);
    Ok((gamma, values))
}

/// A and C from the shift structure of Γ, and whether zeros below Γ had to make A stable.
fn dynamics(gamma: &DMatrix<f64>, ny: usize) -> (DMatrix<f64>, DMatrix<f64>, bool) {
    let rows = gamma.nrows() - ny;
    let c = gamma.rows(0, ny).into_owned();
    let upper = gamma.rows(0, rows).into_owned();
    let shifted = gamma.rows(ny, rows).into_owned();
    let a = linear::min_norm(&upper, &shifted);
    if linear::spectral_radius(&a) < 1.0 {
        return (a, c, false);
    }
    let padded = shifted.resize_vertically(gamma.nrows(), 0.0);
    (linear::min_norm(gamma, &padded), c, true)
}

/// B and D (and x_0, not kept) by least squares of the simulation error.
fn inputs(
    data: &DataSet,
    a: &DMatrix<f64>,
    c: &DMatrix<f64>,
    feedthrough: bool,
) -> Result<(DMatrix<f64>, DMatrix<f64>), IdentificationError> {
    let (nx, ny, nu, samples) = (a.nrows(), c.nrows(), data.u.ncols(), data.len());
    let direct = if feedthrough { ny * nu } else { 0 };
    let mut regressors = DMatrix::zeros(samples * ny, nx * nu + direct + nx);
    // Column of B[(s, j)]: the response of all outputs to state s being driven by input j.
    for j in 0..nu {
        for s in 0..nx {
            let mut x = DVector::<f64>::zeros(nx);
            for t in 0..samples {
                let y = c * &x;
                regressors.view_mut((t * ny, j * nx + s), (ny, 1)).copy_from(&y);
                x = a * &x;
                x[s] += data.u[(t, j)];
            }
        }
        if feedthrough {
            for i in 0..ny {
                for t in 0..samples {
                    regressors[(t * ny + i, nx * nu + j * ny + i)] = data.u[(t, j)];
                }
            }
        }
    }
    let mut free = c.clone();
    for t in 0..samples {
        regressors.view_mut((t * ny, nx * nu + direct), (ny, nx)).copy_from(&free);
        free *= a;
    }
    let right = DMatrix::from_column_slice(samples * ny, 1, data.y.transpose().as_slice());
    let theta = linear::least_squares(&regressors, &right)?;
    let b = DMatrix::from_column_slice(nx, nu, &theta.as_slice()[..nx * nu]);
    let d = if feedthrough {
        DMatrix::from_column_slice(ny, nu, &theta.as_slice()[nx * nu..nx * nu + direct])
    } else {
        DMatrix::zeros(ny, nu)
    };
    Ok((b, d))
}

/// The Kalman gain, NX × NY; zero where the data show no noise to speak of.
fn kalman(
    hankel: &Hankel,
    oblique: &DMatrix<f64>,
    gamma: &DMatrix<f64>,
    (a, c): (&DMatrix<f64>, &DMatrix<f64>),
) -> DMatrix<f64> {
    let (now, ny, nx) = (hankel.blocks, hankel.ny, a.nrows());
    let none = DMatrix::zeros(nx, ny);
    let x = linear::min_norm(gamma, oblique);
    let shorter = gamma.rows(0, gamma.nrows() - ny).into_owned();
    let x_next = linear::min_norm(&shorter, &hankel.oblique(now + 1));
    let y = hankel.outputs(now, now + 1);
    let unexplained = stack(&[&(x_next - a * &x), &(&y - c * &x)]);
    let residual = orthogonal(&unexplained, &hankel.inputs(now, 2 * now));
    let degrees = hankel.columns.max(1) as f64 / (hankel.columns.saturating_sub(hankel.l.nrows()).max(1)) as f64;
    let covariance = &residual * residual.transpose() * degrees;
    let q = covariance.view((0, 0), (nx, nx)).into_owned();
    let s = covariance.view((0, nx), (nx, ny)).into_owned();
    let r = covariance.view((nx, nx), (ny, ny)).into_owned();
    let signal = (&y * y.transpose()).trace();
    if r.trace() <= 1e-12 * signal {
        return none;
    }
    riccati_gain(a, c, (&q, &s, &r)).unwrap_or(none)
}

/// `K = (A P C' + S)(C P C' + R)⁻¹` with P of the filter's Riccati equation, by its recursion from P = 0.
fn riccati_gain(
    a: &DMatrix<f64>,
    c: &DMatrix<f64>,
    (q, s, r): (&DMatrix<f64>, &DMatrix<f64>, &DMatrix<f64>),
) -> Option<DMatrix<f64>> {
    let mut p = DMatrix::zeros(a.nrows(), a.nrows());
    for _ in 0..RICCATI_ITERATIONS {
        let cross = a * &p * c.transpose() + s;
        let innovation = (c * &p * c.transpose() + r).cholesky()?;
        let gain = innovation.solve(&cross.transpose()).transpose();
        let next = a * &p * a.transpose() + q - &gain * cross.transpose();
        let next = (&next + next.transpose()) * 0.5;
        let change = (&next - &p).norm();
        p = next;
        if change <= RICCATI_TOLERANCE * p.norm() {
            break;
        }
    }
    let cross = a * &p * c.transpose() + s;
    let gain = (c * &p * c.transpose() + r).cholesky()?.solve(&cross.transpose()).transpose();
    let closed = linear::spectral_radius(&(a - &gain * c));
    (closed < 1.0 && gain.iter().all(|value| value.is_finite())).then_some(gain)
}
