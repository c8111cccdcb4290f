//! The proof that no point satisfies the hard constraints.
//!
//! With multipliers π of the dynamics and λ ≥ 0, y of the hard bounds, a feasible point z has
//!
//! ```text
//! 0 ≥ Σ π⁺'(A x + B u + c - x⁺) + Σ ∓λ (v - b) + Σ y (v - b) = value + r'z
//! ```
//!
//! with `r` its gradient. So `value > |r|∞ · radius` proves that none lies within `|z|₁ ≤ radius`. The multipliers of
//! an interior-point method grow along such a direction when a programme is infeasible.
//!
//! Source: Boyd and Vandenberghe, *Convex Optimization*, section 5.8 (theorems of alternatives).
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: every slice has a length set at construction")]

use super::{RiccatiIpm, kernel, largest};
use crate::qp::Initial;

/// How far beyond the present point a feasible one is looked for, relative to the present point.
const RADIUS: f64 = 1e4;

impl RiccatiIpm {
    /// Whether the present multipliers prove infeasibility.
    pub(super) fn is_certificate(&mut self) -> bool {
        self.lq.gradient(&self.z, Some(&self.pi), &mut self.gradient);
        self.lq.gradient(&self.z, None, &mut self.weights);
        self.gradient.iter_mut().zip(&self.weights).for_each(|(g, objective)| *g -= objective);
        self.bounds.push_hard_into(&mut self.gradient);
        self.lq.fold_rows(&mut self.gradient);
        let layout = self.layout;
        let nx = layout.nx;
        let data = self.lq.packed();
        let mut value = self.bounds.certify();
        for (c, pi) in data.c.chunks_exact(nx).zip(self.pi.chunks_exact(nx).skip(1)) {
            value += kernel::dot(c, pi);
        }
        if self.initial == Initial::Fixed {
            let (x, ..) = layout.stage(&self.z, 0);
            for (a, x) in data.a[..nx * nx].chunks_exact(nx).zip(x) {
                value += x * kernel::dot(a, &self.pi[nx..2 * nx]);
            }
            layout.stage_mut(&mut self.gradient, 0).0.fill(0.0);
        }
        value > largest(&self.gradient) * RADIUS * (1.0 + largest(&self.z))
    }
}
