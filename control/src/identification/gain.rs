//! The Kalman gain of a state-space model, brought to the least prediction error by Gauss-Newton.
//!
//! With e(t) the one-step prediction error under the gain K, and S_ij the sensitivity of the state to K_ij:
//!
//! ```text
//! x(t+1) = A x + B u + K e,   e = y - C x - D u,   S_ij(t+1) = (A - K C) S_ij + E_ij e,   ∂e/∂K_ij = -C S_ij
//! ```
//!
//! A step that makes A - K C unstable or the error larger is halved. On data of a linear system the gain hardly moves;
//! on a plant that the model fits badly, the gain of the residuals' covariances can be worse than none one step ahead.
//!
//! Source: Ljung, *System Identification*, 2nd ed., §7.2 and §10.2.
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: shapes are those of the model")]

use nalgebra::{DMatrix, DVector};

use super::{DataSet, StateSpace, linear};

const ITERATIONS: usize = 30;
const HALVINGS: usize = 12;
/// A relative gain of the squared error below this ends the iteration.
const WORTHWHILE: f64 = 1e-7;
/// Squared errors below this fraction of the squared outputs are no noise that a gain could follow.
const SILENT: f64 = 1e-18;

/// Replaces the gain of `model` by the one with the least one-step prediction error on `data`, searched from the
/// present one. A gain under which the observer is unstable is replaced by 0 first.
pub(super) fn polish(model: &mut StateSpace, data: &DataSet) {
    if linear::spectral_radius(&observer(model)) >= 1.0 {
        model.k.fill(0.0);
    }
    let x0 = model.initial_state(data);
    let mut errors = errors(model, data, &x0);
    for _ in 0..ITERATIONS {
        let before = errors.norm_squared();
        if before <= SILENT * data.y.norm_squared() {
            return;
        }
        let direction = linear::min_norm(&jacobian(model, &errors), &vector(&errors));
        let direction = DMatrix::from_column_slice(model.k.nrows(), model.k.ncols(), direction.as_slice());
        let Some(better) = shorten(model, data, (&x0, &direction, before)) else { return };
        let after = better.norm_squared();
        errors = better;
        if before - after <= WORTHWHILE * before {
            return;
        }
    }
}

/// Takes the longest of the halved steps against `direction` that pays, and returns the errors there.
fn shorten(
    model: &mut StateSpace,
    data: &DataSet,
    (x0, direction, before): (&DVector<f64>, &DMatrix<f64>, f64),
) -> Option<DMatrix<f64>> {
    let start = model.k.clone();
    let mut length = 1.0;
    for _ in 0..HALVINGS {
        model.k = &start - direction * length;
        if linear::spectral_radius(&observer(model)) < 1.0 {
            let errors = errors(model, data, x0);
            if errors.norm_squared() < before {
                return Some(errors);
            }
        }
        length *= 0.5;
    }
    model.k = start;
    None
}

fn observer(model: &StateSpace) -> DMatrix<f64> {
    &model.a - &model.k * &model.c
}

/// One-step prediction errors, NY × samples.
fn errors(model: &StateSpace, data: &DataSet, x0: &DVector<f64>) -> DMatrix<f64> {
    (&data.y - model.predict(data, x0, 1)).transpose()
}

fn vector(errors: &DMatrix<f64>) -> DMatrix<f64> {
    DMatrix::from_column_slice(errors.len(), 1, errors.as_slice())
}

/// ∂e/∂K, one column per element of K, column by column of K.
fn jacobian(model: &StateSpace, errors: &DMatrix<f64>) -> DMatrix<f64> {
    let (ny, samples) = errors.shape();
    let nx = model.order();
    let observer = observer(model);
    let mut jacobian = DMatrix::zeros(ny * samples, nx * ny);
    for (j, i) in (0..ny).flat_map(|j| (0..nx).map(move |i| (j, i))) {
        let mut sensitivity = DVector::<f64>::zeros(nx);
        for t in 0..samples {
            let row = -(&model.c * &sensitivity);
            jacobian.view_mut((t * ny, j * nx + i), (ny, 1)).copy_from(&row);
            sensitivity = &observer * &sensitivity;
            sensitivity[i] += errors[(j, t)];
        }
    }
    jacobian
}
