//! The programmes that a real-time iteration on the reactors solves, in velocity form `z = [x; u_prev]`, `v = Δu`.
//!
//! ```text
//! min  Σ_{k=1..N} ½ (z_k - r)'Q (z_k - r) + Σ_{k<N} ½ v_k'R v_k + Σ_{k=1..N} l1 s + ½ (2 l2) s²,   Q = 2 diag(w), R = 2 diag(wv)
//! s.t. z_{k+1} = A_k z_k + B_k v_k + c_k,  |v| ≤ du_max,  u_min ≤ u_prev ≤ u_max,  z ≤ limit + s
//! ```
//!
//! with `A_k`, `B_k`, `c_k` the linearisation of `[RK4(x, u_prev + v); u_prev + v]` along the last solution, shifted by
//! one period. At the start the trajectory is brought to convergence by repeated programmes, as the specification's
//! sequence is. What is written here shares no code with `control::mpc`.

use control::qp::{Initial, OcpDims, OcpQp, Soft};
use nalgebra::DMatrix;
use plant_models::{Held, Integrator, PlantModel};

use super::spec::{Reactor, Row};
use crate::qp::{OcpSequence, Reference, ReferenceError};

/// Sub-steps of the prediction and of the plant, and programmes at the start.
const PREDICTION_SUBSTEPS: usize = 2;
const PLANT_SUBSTEPS: usize = 20;
const START_PROGRAMMES: usize = 20;

struct Loop<'a> {
    reactor: &'a Reactor,
    integrator: Integrator,
    period_s: f64,
    horizon: usize,
    /// Trajectory: z (N + 1) and v (N).
    z: Vec<Vec<f64>>,
    v: Vec<Vec<f64>>,
}

impl Loop<'_> {
    fn dims(&self) -> OcpDims {
        let (nx, nu) = (self.reactor.states, self.reactor.inputs);
        let soft_of = |state: usize| self.reactor.soft_upper.iter().find(|soft| soft.state == state);
        let boxed: Vec<usize> = (0..nx + nu).filter(|i| *i >= nx || soft_of(*i).is_some()).collect();
        let price = |state: &usize| soft_of(*state).map(|soft| Soft { linear: soft.l1, quadratic: 2.0 * soft.l2 });
        let soft = vec![None; nu].into_iter().chain(boxed.iter().map(price)).collect();
        OcpDims { nx: nx + nu, nu, boxed, rows: 0, horizon: self.horizon, initial: Initial::Fixed, soft }
    }

    /// The programme along the trajectory, from its first z.
    fn programme(&mut self, row: &Row) -> OcpQp {
        let (nx, nu) = (self.reactor.states, self.reactor.inputs);
        let dims = self.dims();
        let boxed = dims.boxed.clone();
        let mut qp = OcpQp::new(dims);
        qp.x0.clone_from_slice(self.z.first().map_or(&[], Vec::as_slice));
        for k in 0..=self.horizon {
            let stage = qp.stage_mut(k);
            let weights = if k < self.horizon { &self.reactor.w } else { &self.reactor.w_end };
            for (i, (w, r)) in weights.iter().zip(&row.reference).enumerate().filter(|_| k > 0) {
                put(stage.q_mat, i * (nx + nu + 1), 2.0 * w);
                put(stage.q, i, -2.0 * w * r);
            }
            if k < self.horizon {
                for (j, w) in self.reactor.wv.iter().enumerate() {
                    put(stage.r_mat, j * (nu + 1), 2.0 * w);
                }
                self.linearise(k, &row.p, (stage.a, stage.b, stage.c));
            }
            for (j, du) in self.reactor.du_max_per_sample.iter().enumerate() {
                put(stage.lo, j, -du);
                put(stage.hi, j, *du);
            }
            for (i, state) in boxed.iter().enumerate() {
                let soft = self.reactor.soft_upper.iter().find(|soft| soft.state == *state);
                let of_u = |limits: &[f64], none: f64| {
                    state.checked_sub(nx).and_then(|j| limits.get(j)).copied().unwrap_or(none)
                };
                put(stage.lo, nu + i, of_u(&self.reactor.u_min, f64::NEG_INFINITY));
                put(stage.hi, nu + i, soft.map_or(of_u(&self.reactor.u_max, f64::INFINITY), |soft| soft.limit));
            }
        }
        qp
    }

    /// A, B and c of period k.
    fn linearise(&mut self, k: usize, p: &[f64], (a, b, c): (&mut [f64], &mut [f64], &mut [f64])) {
        let (nx, nu) = (self.reactor.states, self.reactor.inputs);
        let nz = nx + nu;
        let (Some(z), Some(v)) = (self.z.get(k), self.v.get(k)) else { return };
        let (x, u_prev) = z.split_at(nx);
        let u: Vec<f64> = u_prev.iter().zip(v).map(|(u, v)| u + v).collect();
        let mut next = x.to_vec();
        let (mut by_x, mut by_u) = (DMatrix::zeros(nx, nx), DMatrix::zeros(nx, nu));
        let held = Held { u: &u, p, dt_s: self.period_s, substeps: PREDICTION_SUBSTEPS };
        self.integrator.step_with_sensitivities(&mut next, &held, &mut by_x, &mut by_u);
        next.extend_from_slice(&u);
        let mut whole = (DMatrix::zeros(nz, nz), DMatrix::zeros(nz, nu));
        whole.0.view_mut((0, 0), (nx, nx)).copy_from(&by_x);
        whole.0.view_mut((0, nx), (nx, nu)).copy_from(&by_u);
        whole.0.view_mut((nx, nx), (nu, nu)).fill_with_identity();
        whole.1.view_mut((0, 0), (nx, nu)).copy_from(&by_u);
        whole.1.view_mut((nx, 0), (nu, nu)).fill_with_identity();
        let (z, v) = (DMatrix::from_column_slice(nz, 1, z), DMatrix::from_column_slice(nu, 1, v));
        let rest = DMatrix::from_column_slice(nz, 1, &next) - &whole.0 * z - &whole.1 * v;
        a.copy_from_slice(whole.0.as_slice());
        b.copy_from_slice(whole.1.as_slice());
        c.copy_from_slice(rest.as_slice());
    }

    fn shift(&mut self) {
        let shifted = |values: &mut Vec<Vec<f64>>, last: Option<Vec<f64>>| {
            values.remove(0);
            values.extend(last);
        };
        let last = self.z.last().cloned();
        shifted(&mut self.z, last);
        shifted(&mut self.v, Some(vec![0.0; self.reactor.inputs]));
    }

    /// Takes over the solution, with the measured z at its start.
    fn adopt(&mut self, z0: &[f64], reference: &Reference) {
        let (nz, nu) = (self.reactor.states + self.reactor.inputs, self.reactor.inputs);
        let solution = reference.solution();
        self.z = solution.x.chunks_exact(nz).map(<[f64]>::to_vec).collect();
        self.v = solution.u.chunks_exact(nu).map(<[f64]>::to_vec).collect();
        if let Some(first) = self.z.first_mut() {
            first.copy_from_slice(z0);
        }
    }
}

fn put(out: &mut [f64], at: usize, value: f64) {
    if let Some(slot) = out.get_mut(at) {
        *slot = value;
    }
}

/// Seconds in the unit of time that the specification names.
pub(crate) fn seconds_in(unit: &str) -> f64 {
    if unit == "h" { 3600.0 } else { 60.0 }
}

/// The sequence of one reactor at one horizon.
///
/// # Errors
/// [`ReferenceError`] when a programme of the closed loop could not be solved to the reference's accuracy.
pub fn real_time_iteration(
    reactor: &Reactor,
    model: &'static dyn PlantModel,
    horizon: usize,
) -> Result<OcpSequence, ReferenceError> {
    let (nx, nu) = (reactor.states, reactor.inputs);
    let period_s = reactor.period * seconds_in(&reactor.time_unit);
    let mut z = reactor.z0.clone();
    let mut run = Loop {
        reactor,
        integrator: Integrator::rk4(model),
        period_s,
        horizon,
        z: vec![z.clone(); horizon + 1],
        v: vec![vec![0.0; nu]; horizon],
    };
    let name = format!("rti_{}_N{horizon}", reactor.name);
    let mut reference = Reference::new(&run.dims());
    let (mut programmes, mut objectives) = (Vec::new(), Vec::new());
    for k in 0..reactor.steps {
        let Some(row) = reactor.row(k) else { break };
        if k > 0 {
            run.shift();
        }
        for _ in 0..if k == 0 { START_PROGRAMMES } else { 0 } {
            let qp = run.programme(row);
            reference.solve(&name, k, &qp)?;
            run.adopt(&z, &reference);
        }
        let mut qp = run.programme(row);
        qp.x0.copy_from_slice(&z);
        objectives.push(reference.solve(&name, k, &qp)?);
        run.adopt(&z, &reference);
        programmes.push(qp);
        let limits = reactor.u_min.iter().zip(&reactor.u_max);
        let (x, u) = z.split_at_mut(nx);
        for ((u, v), (lo, hi)) in u.iter_mut().zip(reference.first_input()).zip(limits) {
            *u = (*u + v).clamp(*lo, *hi);
        }
        run.integrator.step(x, &Held { u, p: &row.p, dt_s: period_s, substeps: PLANT_SUBSTEPS });
    }
    Ok(OcpSequence { name, programmes, objectives })
}
