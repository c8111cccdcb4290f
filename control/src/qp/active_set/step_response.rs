//! The rows of dynamic matrix control: predicted outputs and accumulated inputs, from step responses.
//!
//! With moves `du_j(m)`, `m = 0 … M-1`, and the response `s_ij(t)` of output i to a unit step of input j,
//! `t = 0 … P-1`:
//!
//! ```text
//! y_i(t) = Σ_j Σ_{m ≤ min(t, M-1)} s_ij(t - m) du_j(m)          c_j(m) = Σ_{l ≤ m} du_j(l)
//! ```
//!
//! Unknowns: `x = [du_0(0) … du_{nu-1}(0), du_0(1) … | ε_0 … ε_{ny-1}]`, moves first, then, if asked for, one slack per
//! output. Rows, in order:
//!
//! | rows | without slack | with slack |
//! |---|---|---|
//! | NY · P, output by output | `y_i(t)`, both sides | `y_i(t) - ε_i`, for the upper side |
//! | NY · P | – | `y_i(t) + ε_i`, for the lower side |
//! | NU · M, move by move | `c_j(m)` | `c_j(m)` |
//!
//! The product is a convolution: NY · NU · P coefficients are read instead of NY · P · NU · M.
//!
//! Source: Cutler and Ramaker, *Dynamic matrix control, a computer control algorithm* (1980).
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: shapes are checked at construction")]

use super::QpError;
use super::rows::Rows;

/// Samples that one pass of the product holds in registers.
const TILE: usize = 16;

/// The shape of [`StepResponseRows`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepResponseShape {
    /// Outputs, NY.
    pub outputs: usize,
    /// Inputs, NU.
    pub inputs: usize,
    /// Samples predicted, P.
    pub horizon: usize,
    /// Moves, M ≤ P.
    pub moves: usize,
    /// Whether each output has a slack that both of its sides share.
    pub slack: bool,
}

impl StepResponseShape {
    fn unknowns(self) -> usize {
        self.inputs * self.moves + if self.slack { self.outputs } else { 0 }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct StepResponseRows {
    shape: StepResponseShape,
    /// Of each pair: M zeros, then P coefficients, then zeros up to `stride`. The zeros in front are what an input does
    /// before it moves.
    coefficients: Vec<f64>,
    stride: usize,
}

impl StepResponseRows {
    /// Rows of `shape` from `coefficients`: `s_ij(t)` at `(i · NU + j) · P + t`; `s_ij(0)` is the response one sample
    /// after the step.
    ///
    /// # Errors
    /// [`QpError::Shape`] if there are not NY · NU · P coefficients, or more moves than samples.
    pub fn new(shape: StepResponseShape, coefficients: &[f64]) -> Result<Self, QpError> {
        let StepResponseShape { outputs, inputs, horizon, moves, .. } = shape;
        let expected = outputs * inputs * horizon;
        if coefficients.len() != expected {
            return Err(QpError::Shape { what: "the step responses", got: coefficients.len(), expected });
        }
        if moves > horizon {
            return Err(QpError::Shape {
                what: "the moves, against the samples predicted,",
                got: moves,
                expected: horizon,
            });
        }
        let stride = moves + horizon.next_multiple_of(TILE);
        let mut padded = vec![0.0; outputs * inputs * stride];
        for (pair, from) in coefficients.chunks_exact(horizon.max(1)).enumerate() {
            padded[pair * stride + moves..pair * stride + moves + horizon].copy_from_slice(from);
        }
        Ok(Self { shape, coefficients: padded, stride })
    }

    /// The shape.
    #[must_use]
    pub fn shape(&self) -> StepResponseShape {
        self.shape
    }

    /// `s_ij`, M zeros before.
    fn pair(&self, i: usize, j: usize) -> &[f64] {
        let at = (i * self.shape.inputs + j) * self.stride;
        &self.coefficients[at..at + self.stride]
    }

    /// `y_i(t)` for the `TILE` samples from `from` on.
    fn tile(&self, i: usize, from: usize, moves: &[f64]) -> [f64; TILE] {
        let StepResponseShape { inputs, moves: count, .. } = self.shape;
        let mut sums = [0.0; TILE];
        for j in 0..inputs {
            let window = &self.pair(i, j)[from..from + count + TILE];
            // The window of move m starts `count - m` in: the later the move, the earlier the response.
            for (m, window) in window[1..].windows(TILE).rev().enumerate() {
                let (Some(window), Some(move_)) = (window.first_chunk::<TILE>(), moves.get(m * inputs + j)) else {
                    break;
                };
                for lane in 0..TILE {
                    sums[lane] = window[lane].mul_add(*move_, sums[lane]);
                }
            }
        }
        sums
    }
}

impl Rows for StepResponseRows {
    fn rows(&self) -> usize {
        let StepResponseShape { outputs, inputs, horizon, moves, slack } = self.shape;
        outputs * horizon * if slack { 2 } else { 1 } + inputs * moves
    }

    fn columns(&self) -> usize {
        self.shape.unknowns()
    }

    fn row_into(&self, i: usize, out: &mut [f64]) {
        let StepResponseShape { outputs, inputs, horizon, moves, slack } = self.shape;
        let predictions = outputs * horizon;
        let sides = if slack { 2 } else { 1 };
        out.fill(0.0);
        if i >= sides * predictions {
            let at = i - sides * predictions;
            for m in 0..=at / inputs {
                out[m * inputs + at % inputs] = 1.0;
            }
            return;
        }
        let (output, t) = (i % predictions / horizon, i % horizon);
        for j in 0..inputs {
            let response = &self.pair(output, j)[moves..];
            for m in 0..moves.min(t + 1) {
                out[m * inputs + j] = response[t - m];
            }
        }
        if slack {
            out[inputs * moves + output] = if i < predictions { -1.0 } else { 1.0 };
        }
    }

    fn times(&self, x: &[f64], out: &mut [f64]) {
        let StepResponseShape { outputs, inputs, horizon, moves, slack } = self.shape;
        let (du, epsilon) = x.split_at(inputs * moves);
        let (predicted, rest) = out.split_at_mut(outputs * horizon);
        for (i, y) in predicted.chunks_exact_mut(horizon.max(1)).enumerate() {
            for (tile, y) in y.chunks_mut(TILE).enumerate() {
                y.copy_from_slice(&self.tile(i, tile * TILE, du)[..y.len()]);
            }
        }
        let accumulated = if slack {
            let (lower, accumulated) = rest.split_at_mut(outputs * horizon);
            for (i, epsilon) in epsilon.iter().enumerate() {
                let part = i * horizon..(i + 1) * horizon;
                for (upper, lower) in predicted[part.clone()].iter_mut().zip(&mut lower[part]) {
                    (*upper, *lower) = (*upper - epsilon, *upper + epsilon);
                }
            }
            accumulated
        } else {
            rest
        };
        for at in 0..accumulated.len().min(du.len()) {
            accumulated[at] = du[at] + if at < inputs { 0.0 } else { accumulated[at - inputs] };
        }
    }
}
