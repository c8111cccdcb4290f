//! The trajectory about which the quadratic programme is written: states, inputs, and the linearisation along them.
//!
//! Multiple shooting: the states `x_0 … x_N` and the inputs of the blocks are independent; what one period's
//! integration misses of the next state is its defect, which the next quadratic programme closes. That is what lets
//! an unstable plant be predicted over a long horizon.
//!
//! Between two solves the trajectory is shifted by the elapsed periods and its end is simulated, so that the first
//! programme starts next to its solution (Diehl, Bock and Schlöder, *SIAM J. Control Optim.* 43(5) 2005).
//!
//! # Invariants
//! - Every number in a [`Stage`] is scaled: states by the spans of the model's card, inputs and outputs by the
//!   tuning's spans. Nothing else here is scaled.
//! - No allocation after construction.
#![allow(
    clippy::indexing_slicing,
    clippy::needless_range_loop,
    reason = "periods, blocks, states and inputs are counted once, at construction"
)]

use nalgebra::DMatrix;
use plant_models::{Held, Integrator, PlantModel, Variable};

use super::MpcConfig;

/// The longest step of a state in one correction, in spans of the model's card: beyond it a linearisation says nothing.
const STEP_LONGEST: f64 = 0.5;

/// The linearisation of period k: `ξ_{k+1} = a ξ_k + b υ + defect`, `y_{k+1} = y + span · c ξ_{k+1}`.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    /// NX × NX, scaled.
    pub(super) a: DMatrix<f64>,
    /// NX × NU, scaled.
    pub(super) b: DMatrix<f64>,
    /// NX, scaled: what the integration misses of the next state.
    pub(super) defect: Vec<f64>,
    /// NCV × NX at the period's end, scaled.
    pub(super) c: DMatrix<f64>,
    /// NCV: the model's outputs at the period's end, without disturbance, in model units.
    pub(super) y: Vec<f64>,
}

#[derive(Debug)]
pub(super) struct Trajectory {
    model: &'static dyn PlantModel,
    rk4: Integrator,
    period_s: f64,
    substeps: usize,
    /// Block of each period.
    pub(super) block_of: Vec<usize>,
    outputs: Vec<usize>,
    x_spans: Vec<f64>,
    u_spans: Vec<f64>,
    y_spans: Vec<f64>,
    /// (N + 1) · NX states, period by period; the first is the measured one.
    x: Vec<f64>,
    /// Inputs, block by block.
    pub(super) u: Vec<f64>,
    /// N of them.
    pub(super) stages: Vec<Stage>,
    /// NX, NY and NY × NX for one evaluation; inputs, period by period, for the shift.
    end: Vec<f64>,
    all_y: Vec<f64>,
    all_c: DMatrix<f64>,
    by_period: Vec<f64>,
}

impl Trajectory {
    pub(super) fn new(model: &'static dyn PlantModel, config: &MpcConfig) -> Self {
        let card = model.card();
        let (nx, nu, ny) = (card.states.len(), card.inputs.len(), card.outputs.len());
        let (ncv, horizon) = (config.cv.len(), config.horizon);
        let block_of = config.blocks.iter().enumerate();
        let stage = Stage {
            a: DMatrix::zeros(nx, nx),
            b: DMatrix::zeros(nx, nu),
            defect: vec![0.0; nx],
            c: DMatrix::zeros(ncv, nx),
            y: vec![0.0; ncv],
        };
        Self {
            model,
            rk4: Integrator::rk4(model),
            period_s: config.period_s,
            substeps: config.substeps,
            block_of: block_of.flat_map(|(block, periods)| std::iter::repeat_n(block, *periods)).collect(),
            outputs: config.cv.iter().map(|cv| cv.output).collect(),
            x_spans: card.states.iter().map(Variable::span).collect(),
            u_spans: config.mv.iter().map(|mv| mv.span).collect(),
            y_spans: config.cv.iter().map(|cv| cv.span).collect(),
            x: vec![0.0; (horizon + 1) * nx],
            u: vec![0.0; config.blocks.len() * nu],
            stages: vec![stage; horizon],
            end: vec![0.0; nx],
            all_y: vec![0.0; ny],
            all_c: DMatrix::zeros(ny, nx),
            by_period: vec![0.0; horizon * nu],
        }
    }

    fn nx(&self) -> usize {
        self.x_spans.len()
    }

    fn nu(&self) -> usize {
        self.u_spans.len()
    }

    fn horizon(&self) -> usize {
        self.stages.len()
    }

    /// Input of `block`, in model units.
    pub(super) fn u_at(&self, block: usize) -> &[f64] {
        &self.u[block * self.nu()..(block + 1) * self.nu()]
    }

    /// Starts anew: the input `u` held for ever from `x`. Where that runs away, the state stands still instead.
    pub(super) fn start(&mut self, x: &[f64], u: &[f64], p: &[f64]) {
        let (nx, nu) = (self.nx(), self.nu());
        self.u.chunks_exact_mut(nu).for_each(|block| block.copy_from_slice(u));
        self.x[..nx].copy_from_slice(x);
        self.simulate_from(0, p);
        if !self.x.iter().all(|x| x.is_finite()) {
            self.x.chunks_exact_mut(nx).for_each(|state| state.copy_from_slice(x));
        }
    }

    /// Moves the trajectory `periods` back in time, simulates its new end, and puts `x` at its start.
    pub(super) fn shift(&mut self, periods: usize, x: &[f64], p: &[f64]) {
        let (nx, nu, horizon) = (self.nx(), self.nu(), self.horizon());
        let kept = horizon.saturating_sub(periods);
        for period in 0..horizon {
            let source = self.block_of[(period + periods).min(horizon - 1)];
            self.by_period[period * nu..(period + 1) * nu].copy_from_slice(&self.u[source * nu..(source + 1) * nu]);
        }
        for period in (0..horizon).rev() {
            let block = self.block_of[period];
            self.u[block * nu..(block + 1) * nu].copy_from_slice(&self.by_period[period * nu..(period + 1) * nu]);
        }
        self.x.copy_within(periods.min(horizon) * nx.., 0);
        self.simulate_from(kept, p);
        self.x[..nx].copy_from_slice(x);
    }

    /// Integrates from the state at `period` to the end of the horizon.
    fn simulate_from(&mut self, period: usize, p: &[f64]) {
        let (nx, nu) = (self.nx(), self.nu());
        for period in period..self.horizon() {
            let block = self.block_of[period];
            let held =
                Held { u: &self.u[block * nu..(block + 1) * nu], p, dt_s: self.period_s, substeps: self.substeps };
            let (before, after) = self.x.split_at_mut((period + 1) * nx);
            let next = &mut after[..nx];
            next.copy_from_slice(&before[period * nx..]);
            self.rk4.step(next, &held);
        }
    }

    /// Writes the stages anew. False when a number of theirs is not finite: the trajectory has left the model.
    pub(super) fn linearise(&mut self, p: &[f64]) -> bool {
        let (nx, nu) = (self.nx(), self.nu());
        let mut sound = true;
        for (period, stage) in self.stages.iter_mut().enumerate() {
            let block = self.block_of[period];
            let u = &self.u[block * nu..(block + 1) * nu];
            let (from, to) = self.x[period * nx..(period + 2) * nx].split_at(nx);
            self.end.copy_from_slice(from);
            let held = Held { u, p, dt_s: self.period_s, substeps: self.substeps };
            self.rk4.step_with_sensitivities(&mut self.end, &held, &mut stage.a, &mut stage.b);
            self.model.outputs(to, p, &mut self.all_y);
            self.model.output_jacobian(to, p, &mut self.all_c);
            for i in 0..nx {
                stage.defect[i] = (self.end[i] - to[i]) / self.x_spans[i];
                (0..nx).for_each(|j| stage.a[(i, j)] *= self.x_spans[j] / self.x_spans[i]);
                (0..nu).for_each(|j| stage.b[(i, j)] *= self.u_spans[j] / self.x_spans[i]);
            }
            for (cv, output) in self.outputs.iter().enumerate() {
                stage.y[cv] = self.all_y[*output];
                for j in 0..nx {
                    stage.c[(cv, j)] = self.all_c[(*output, j)] * self.x_spans[j] / self.y_spans[cv];
                }
            }
            let matrices = stage.a.iter().chain(stage.b.iter()).chain(stage.c.iter());
            sound &= matrices.chain(&stage.defect).chain(&stage.y).all(|value| value.is_finite());
        }
        sound
    }

    /// Adds a step of the scaled variables, `υ` block by block and `ξ_1 … ξ_N`, shortened as a whole so that no state
    /// moves further than [`STEP_LONGEST`]; gives the longest of its parts.
    pub(super) fn correct(&mut self, du: &[f64], dx: &[f64]) -> f64 {
        let (nx, nu) = (self.nx(), self.nu());
        let share = (STEP_LONGEST / longest(dx)).min(1.0);
        for (at, (u, du)) in self.u.iter_mut().zip(du).enumerate() {
            *u += share * du * self.u_spans[at % nu];
        }
        for (at, (x, dx)) in self.x[nx..].iter_mut().zip(dx).enumerate() {
            *x += share * dx * self.x_spans[at % nx];
        }
        share * longest(du).max(longest(dx))
    }

    /// Outputs of the CVs at the end of the trajectory's `period`, handed to `each` as `(cv, y)`.
    pub(super) fn outputs_at(&mut self, period: usize, p: &[f64], mut each: impl FnMut(usize, f64)) {
        let nx = self.nx();
        self.model.outputs(&self.x[period * nx..(period + 1) * nx], p, &mut self.all_y);
        self.outputs.iter().enumerate().for_each(|(cv, output)| each(cv, self.all_y[*output]));
    }

    /// Outputs of the CVs one period after the start under the first block's input, by integration.
    pub(super) fn outputs_next(&mut self, p: &[f64], mut each: impl FnMut(usize, f64)) {
        let (nx, nu) = (self.nx(), self.nu());
        self.end.copy_from_slice(&self.x[..nx]);
        let held = Held { u: &self.u[..nu], p, dt_s: self.period_s, substeps: self.substeps };
        self.rk4.step(&mut self.end, &held);
        self.model.outputs(&self.end, p, &mut self.all_y);
        self.outputs.iter().enumerate().for_each(|(cv, output)| each(cv, self.all_y[*output]));
    }
}

fn longest(steps: &[f64]) -> f64 {
    steps.iter().fold(0.0, |longest, step| f64::max(longest, step.abs()))
}
