//! The trajectory about which the quadratic programme is written: states, inputs, and the linearisation along them.
//!
//! Multiple shooting: the states `x_0 … x_N` and the inputs of the blocks are independent; what one period's
//! integration misses of the next state is its defect, which the next quadratic programme closes. That is what lets
//! an unstable plant be predicted over a long horizon.
//!
//! Between two solves the trajectory is shifted by the elapsed periods and its end is simulated, so that the first
//! programme starts next to its solution (Diehl, Bock and Schlöder, *SIAM J. Control Optim.* 43(5) 2005). Its first
//! state is then a prediction; the programme moves it to the measured one.
//!
//! # Invariants
//! - Every matrix and defect of the linearisation is scaled: states by the spans of the model's card, inputs and
//!   outputs by the tuning's spans. Nothing else here is scaled. Matrices are stored column by column.
//! - No allocation after construction.
#![allow(clippy::indexing_slicing, reason = "periods, blocks, states and inputs are counted once, at construction")]

use nalgebra::DMatrix;
use plant_models::{Held, Integrator, MAX_STATES, PlantModel, Sensitivities, Variable};
use signals::MAX_MVS;

use super::MpcConfig;

/// The longest step of a state in one correction, in spans of the model's card: beyond it a linearisation says nothing.
const STEP_LONGEST: f64 = 0.5;

/// The linearisation of one period: `ξ_{k+1} = a ξ_k + b υ + defect`, `y_{k+1} = y + span · c ξ_{k+1}`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stage<'a> {
    /// NX × NX, scaled.
    pub(crate) a: &'a [f64],
    /// NX × NU, scaled.
    pub(crate) b: &'a [f64],
    /// NX, scaled: what the integration misses of the next state.
    pub(crate) defect: &'a [f64],
    /// NCV × NX at the period's end, scaled.
    pub(crate) c: &'a [f64],
    /// NCV: the model's outputs at the period's end, without disturbance, in model units.
    pub(crate) y: &'a [f64],
}

#[derive(Debug)]
pub(crate) struct Trajectory {
    model: &'static dyn PlantModel,
    integrator: Integrator,
    period_s: f64,
    substeps: usize,
    /// Block of each period.
    pub(crate) block_of: Vec<usize>,
    outputs: Vec<usize>,
    spans: Spans,
    /// (N + 1) · NX states, period by period.
    x: Vec<f64>,
    /// Inputs, block by block.
    pub(crate) u: Vec<f64>,
    /// The inputs in force before the first block.
    pub(crate) u_before: Vec<f64>,
    linearisation: Linearisation,
    /// Where the last correction started, and the whole correction.
    base: Correction,
    /// NX, NY and NY × NX for one evaluation; inputs, period by period, for the shift.
    end: Vec<f64>,
    all_y: Vec<f64>,
    all_c: DMatrix<f64>,
    by_period: Vec<f64>,
}

/// Spans, and the quotients by which matrices are scaled.
#[derive(Debug)]
struct Spans {
    x: Vec<f64>,
    u: Vec<f64>,
    y: Vec<f64>,
    /// `x[j] / x[i]`, NX × NX, and `u[j] / x[i]`, NX × NU.
    a: Vec<f64>,
    b: Vec<f64>,
}

#[derive(Debug)]
struct Linearisation {
    a: Vec<f64>,
    b: Vec<f64>,
    defect: Vec<f64>,
    c: Vec<f64>,
    y: Vec<f64>,
}

#[derive(Debug)]
struct Correction {
    x: Vec<f64>,
    u: Vec<f64>,
    /// Scaled.
    dx: Vec<f64>,
    du: Vec<f64>,
    /// How much of it was taken.
    share: f64,
    /// Whether a predicted state was cut.
    cut: bool,
}

impl Trajectory {
    pub(crate) fn new(model: &'static dyn PlantModel, config: &MpcConfig) -> Self {
        let card = model.card();
        let (nx, nu, ny) = (card.states.len(), card.inputs.len(), card.outputs.len());
        let (ncv, horizon, blocks) = (config.cv.len(), config.horizon, config.blocks.len());
        let block_of = config.blocks.iter().enumerate();
        let x: Vec<f64> = card.states.iter().map(Variable::span).collect();
        let u: Vec<f64> = config.mv.iter().map(|mv| mv.span).collect();
        let quotients = |of: &[f64]| of.iter().flat_map(|to| x.iter().map(move |from| to / from)).collect();
        let (a, b) = (quotients(&x), quotients(&u));
        Self {
            model,
            integrator: Integrator::new(model, config.method),
            period_s: config.period_s,
            substeps: config.substeps,
            block_of: block_of.flat_map(|(block, periods)| std::iter::repeat_n(block, *periods)).collect(),
            outputs: config.cv.iter().map(|cv| cv.output).collect(),
            spans: Spans { x, u, y: config.cv.iter().map(|cv| cv.span).collect(), a, b },
            x: vec![0.0; (horizon + 1) * nx],
            u: vec![0.0; blocks * nu],
            u_before: vec![0.0; nu],
            linearisation: Linearisation {
                a: vec![0.0; horizon * nx * nx],
                b: vec![0.0; horizon * nx * nu],
                defect: vec![0.0; horizon * nx],
                c: vec![0.0; horizon * ncv * nx],
                y: vec![0.0; horizon * ncv],
            },
            base: Correction {
                x: vec![0.0; (horizon + 1) * nx],
                u: vec![0.0; blocks * nu],
                dx: vec![0.0; (horizon + 1) * nx],
                du: vec![0.0; blocks * nu],
                share: 0.0,
                cut: false,
            },
            end: vec![0.0; nx],
            all_y: vec![0.0; ny],
            all_c: DMatrix::zeros(ny, nx),
            by_period: vec![0.0; horizon * nu],
        }
    }

    fn nx(&self) -> usize {
        self.spans.x.len()
    }

    fn nu(&self) -> usize {
        self.spans.u.len()
    }

    pub(crate) fn horizon(&self) -> usize {
        self.block_of.len()
    }

    /// Whether `period` is the first of its block.
    pub(crate) fn starts_block(&self, period: usize) -> bool {
        period == 0 || self.block_of[period - 1] != self.block_of[period]
    }

    /// Input of `block`, in model units.
    pub(crate) fn u_at(&self, block: usize) -> &[f64] {
        &self.u[block * self.nu()..(block + 1) * self.nu()]
    }

    /// State at the start of `period`, in model units.
    pub(crate) fn x_at(&self, period: usize) -> &[f64] {
        &self.x[period * self.nx()..(period + 1) * self.nx()]
    }

    /// `u_j - u_{j-1}` of input `i` in `block`, in model units.
    pub(crate) fn move_at(&self, block: usize, i: usize) -> f64 {
        let before = if block == 0 { self.u_before[i] } else { self.u_at(block - 1)[i] };
        self.u_at(block)[i] - before
    }

    /// The linearisation of `period`.
    pub(crate) fn stage(&self, period: usize) -> Stage<'_> {
        let (nx, nu, ncv) = (self.nx(), self.nu(), self.outputs.len());
        let Linearisation { a, b, defect, c, y } = &self.linearisation;
        Stage {
            a: &a[period * nx * nx..(period + 1) * nx * nx],
            b: &b[period * nx * nu..(period + 1) * nx * nu],
            defect: &defect[period * nx..(period + 1) * nx],
            c: &c[period * ncv * nx..(period + 1) * ncv * nx],
            y: &y[period * ncv..(period + 1) * ncv],
        }
    }

    /// The scaled distance of the measured state and inputs from the trajectory's start, to `out` (NX + NU).
    pub(crate) fn deviation(&self, x: &[f64], u_prev: &[f64], out: &mut [f64]) {
        let (dx, du) = out.split_at_mut(self.nx());
        for (i, out) in dx.iter_mut().enumerate() {
            *out = (x[i] - self.x[i]) / self.spans.x[i];
        }
        for (i, out) in du.iter_mut().enumerate() {
            *out = (u_prev[i] - self.u_before[i]) / self.spans.u[i];
        }
    }

    /// The scaled distance of a state and inputs from the trajectory's end, to `out` (NX + NU).
    pub(crate) fn deviation_from_end(&self, x: &[f64], u: &[f64], out: &mut [f64]) {
        let (nx, last) = (self.nx(), self.x.len() - self.nx());
        let at_end = self.x[last..].iter().chain(&self.u[self.u.len() - self.nu()..]);
        let spans = self.spans.x.iter().chain(&self.spans.u);
        debug_assert_eq!(out.len(), nx + self.nu());
        for (out, ((to, from), span)) in out.iter_mut().zip(x.iter().chain(u).zip(at_end).zip(spans)) {
            *out = (to - from) / span;
        }
    }

    /// Starts anew: the input `u` held, and `x` standing still.
    pub(crate) fn start(&mut self, x: &[f64], u: &[f64]) {
        let (nx, nu) = (self.nx(), self.nu());
        self.u_before.copy_from_slice(u);
        self.u.chunks_exact_mut(nu).for_each(|block| block.copy_from_slice(u));
        self.x.chunks_exact_mut(nx).for_each(|state| state.copy_from_slice(x));
    }

    /// Lets the inputs act from the first state on.
    pub(crate) fn simulate(&mut self, p: &[f64]) {
        self.simulate_from(0, p);
    }

    /// Moves the trajectory `periods` back in time and simulates its new end.
    pub(crate) fn shift(&mut self, periods: usize, p: &[f64]) {
        let (nx, nu, horizon) = (self.nx(), self.nu(), self.horizon());
        if periods == 0 {
            return;
        }
        let last = self.block_of[(periods - 1).min(horizon - 1)];
        self.u_before.copy_from_slice(&self.u[last * nu..(last + 1) * nu]);
        for period in 0..horizon {
            let source = self.block_of[(period + periods).min(horizon - 1)];
            self.by_period[period * nu..(period + 1) * nu].copy_from_slice(&self.u[source * nu..(source + 1) * nu]);
        }
        for period in (0..horizon).rev() {
            let block = self.block_of[period];
            self.u[block * nu..(block + 1) * nu].copy_from_slice(&self.by_period[period * nu..(period + 1) * nu]);
        }
        self.x.copy_within(periods.min(horizon) * nx.., 0);
        self.simulate_from(horizon.saturating_sub(periods), p);
    }

    /// What acts over `period`.
    fn held<'a>(&'a self, period: usize, p: &'a [f64]) -> Held<'a> {
        Held { u: self.u_at(self.block_of[period]), p, dt_s: self.period_s, substeps: self.substeps }
    }

    /// Integrates from the state at `period` to the end of the horizon.
    fn simulate_from(&mut self, period: usize, p: &[f64]) {
        let nx = self.nx();
        let mut end = std::mem::take(&mut self.end);
        for period in period..self.horizon() {
            end.copy_from_slice(self.x_at(period));
            self.integrator.step(&mut end, &self.held(period, p));
            self.x[(period + 1) * nx..(period + 2) * nx].copy_from_slice(&end);
        }
        self.end = end;
    }

    /// The scaled derivatives of one period's end at `(x, u)`, to the first NX rows of `a` (NX columns) and `b` (NU).
    pub(crate) fn linearise_at(&self, (x, u): (&[f64], &[f64]), p: &[f64], (a, b): (&mut [f64], &mut [f64])) {
        let (nx, nu) = (self.nx(), self.nu());
        let (mut end, mut by_x, mut by_u) =
            ([0.0; MAX_STATES], [0.0; MAX_STATES * MAX_STATES], [0.0; MAX_STATES * MAX_MVS]);
        let (end, by_x, by_u) = (&mut end[..nx], &mut by_x[..nx * nx], &mut by_u[..nx * nu]);
        end.copy_from_slice(x);
        let held = Held { u, p, dt_s: self.period_s, substeps: self.substeps };
        self.integrator.step_into(end, &held, Sensitivities { by_x, by_u });
        for (out, (from, spans)) in [(a, (&*by_x, &self.spans.a)), (b, (&*by_u, &self.spans.b))] {
            let columns = from.chunks_exact(nx).zip(spans.chunks_exact(nx));
            for (out, (from, spans)) in out.chunks_exact_mut(nx + nu).zip(columns) {
                out[..nx].iter_mut().zip(from.iter().zip(spans)).for_each(|(out, (from, span))| *out = from * span);
            }
        }
    }

    /// Writes the linearisation anew. False when a number of it is not finite: the trajectory has left the model.
    pub(crate) fn linearise(&mut self, p: &[f64]) -> bool {
        let (nx, nu, ncv) = (self.nx(), self.nu(), self.outputs.len());
        let Linearisation { a, b, defect, c, y } = &mut self.linearisation;
        let stages = a.chunks_exact_mut(nx * nx).zip(b.chunks_exact_mut(nx * nu)).zip(defect.chunks_exact_mut(nx));
        let outputs = c.chunks_exact_mut(ncv * nx).zip(y.chunks_exact_mut(ncv));
        // Zero times a number is zero, unless the number is not finite.
        let mut sound = 0.0;
        for (period, (((a, b), defect), (c, y))) in stages.zip(outputs).enumerate() {
            let block = self.block_of[period];
            let u = &self.u[block * nu..(block + 1) * nu];
            let (from, to) = self.x[period * nx..(period + 2) * nx].split_at(nx);
            self.end.copy_from_slice(from);
            let held = Held { u, p, dt_s: self.period_s, substeps: self.substeps };
            self.integrator.step_into(&mut self.end, &held, Sensitivities { by_x: a, by_u: b });
            a.iter_mut().zip(&self.spans.a).for_each(|(a, span)| *a *= span);
            b.iter_mut().zip(&self.spans.b).for_each(|(b, span)| *b *= span);
            for i in 0..nx {
                defect[i] = (self.end[i] - to[i]) / self.spans.x[i];
            }
            self.model.outputs(to, p, &mut self.all_y);
            self.model.output_jacobian(to, p, &mut self.all_c);
            for (cv, output) in self.outputs.iter().enumerate() {
                y[cv] = self.all_y[*output];
                for j in 0..nx {
                    c[cv + j * ncv] = self.all_c[(*output, j)] * self.spans.x[j] / self.spans.y[cv];
                }
            }
            let sum = |values: &[f64]| values.iter().map(|value| 0.0 * value).sum::<f64>();
            sound += sum(a) + sum(b) + sum(defect) + sum(c) + sum(y);
        }
        sound == 0.0
    }

    /// Adds a step, given as the programme's states `z_0 … z_N` (each `[ξ; υ]`); gives the longest of its parts. No
    /// predicted state moves further than [`STEP_LONGEST`]: what the linearisation says beyond it is cut off, state by
    /// state, and left as a defect to the next programme. The inputs move in full, and the first state to the measured one:
    /// an upset must not slow the answer to it.
    pub(crate) fn correct(&mut self, z: &[f64]) -> f64 {
        self.base.x.copy_from_slice(&self.x);
        self.base.u.copy_from_slice(&self.u);
        let (nx, nu) = (self.nx(), self.nu());
        self.base.cut = false;
        for (k, (dx, z)) in self.base.dx.chunks_exact_mut(nx).zip(z.chunks_exact(nx + nu)).enumerate() {
            for (dx, z) in dx.iter_mut().zip(z) {
                *dx = if k == 0 { *z } else { z.clamp(-STEP_LONGEST, STEP_LONGEST) };
                self.base.cut |= k > 0 && z.abs() > STEP_LONGEST;
            }
        }
        for (period, z) in z.chunks_exact(nx + nu).skip(1).enumerate() {
            if self.starts_block(period) {
                let block = self.block_of[period];
                self.base.du[block * nu..(block + 1) * nu].copy_from_slice(&z[nx..]);
            }
        }
        self.base.share = 1.0;
        self.retrace();
        longest(&self.base.dx).max(longest(&self.base.du))
    }

    /// Whether the last correction lost a part of a predicted state.
    pub(crate) fn is_cut(&self) -> bool {
        self.base.cut
    }

    /// Goes back half of the last correction.
    pub(crate) fn halve(&mut self) {
        self.base.share *= 0.5;
        self.retrace();
    }

    /// Goes to the share of the last correction, from where it started.
    fn retrace(&mut self) {
        let Correction { x, u, dx, du, share, .. } = &self.base;
        for (at, slot) in self.u.iter_mut().enumerate() {
            *slot = u[at] + share * du[at] * self.spans.u[at % self.spans.u.len()];
        }
        for (at, slot) in self.x.iter_mut().enumerate() {
            *slot = x[at] + share * dx[at] * self.spans.x[at % self.spans.x.len()];
        }
    }

    /// The sum of all defects' sizes, scaled.
    pub(crate) fn defects(&self) -> f64 {
        self.linearisation.defect.iter().map(|defect| defect.abs()).sum()
    }

    /// How far the first state is from the measured `x`, scaled, in sum.
    pub(crate) fn distance_from_start(&self, x: &[f64]) -> f64 {
        x.iter().zip(&self.x).zip(&self.spans.x).map(|((to, from), span)| ((to - from) / span).abs()).sum()
    }

    /// Outputs of the CVs at the end of the trajectory's `period`, handed to `each` as `(cv, y)`.
    pub(crate) fn outputs_at(&mut self, period: usize, p: &[f64], each: impl FnMut(usize, f64)) {
        let nx = self.nx();
        self.model.outputs(&self.x[period * nx..(period + 1) * nx], p, &mut self.all_y);
        self.hand_out(each);
    }

    /// Outputs of the CVs at the state `x`.
    pub(crate) fn outputs_of(&mut self, x: &[f64], p: &[f64], each: impl FnMut(usize, f64)) {
        self.model.outputs(x, p, &mut self.all_y);
        self.hand_out(each);
    }

    /// Outputs of the CVs one period after `x` under the first block's input, by integration.
    pub(crate) fn outputs_after(&mut self, x: &[f64], p: &[f64], each: impl FnMut(usize, f64)) {
        let mut end = std::mem::take(&mut self.end);
        end.copy_from_slice(x);
        self.integrator.step(&mut end, &self.held(0, p));
        self.model.outputs(&end, p, &mut self.all_y);
        self.end = end;
        self.hand_out(each);
    }

    fn hand_out(&self, mut each: impl FnMut(usize, f64)) {
        self.outputs.iter().enumerate().for_each(|(cv, output)| each(cv, self.all_y[*output]));
    }
}

fn longest(steps: &[f64]) -> f64 {
    steps.iter().fold(0.0, |longest, step| f64::max(longest, step.abs()))
}
