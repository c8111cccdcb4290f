//! Programmes drawn at random, and the benchmark's linear ones.

use crate::qp::{Initial, OcpDims, OcpQp, Soft};

/// Splitmix64: Steele, Lea and Flood, *Fast splittable pseudorandom number generators*, OOPSLA 2014.
#[derive(Clone, Debug)]
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in [-1, 1).
    pub(crate) fn signed(&mut self) -> f64 {
        2.0 * self.unit() - 1.0
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }
}

fn dims(rng: &mut Rng) -> OcpDims {
    let (nx, nu) = (1 + rng.below(8), 1 + rng.below(3));
    let boxed: Vec<usize> = (0..nx).filter(|_| rng.chance(0.4)).collect();
    let rows = if rng.chance(0.4) { 1 + rng.below(3) } else { 0 };
    let soft = (0..nu + boxed.len() + rows)
        .map(|i| {
            let price = Soft { linear: 5.0 * rng.unit(), quadratic: 0.1 + 5.0 * rng.unit() };
            rng.chance(if i < nu { 0.1 } else { 0.4 }).then_some(price)
        })
        .collect();
    let initial = if rng.chance(0.3) { Initial::Free } else { Initial::Fixed };
    OcpDims { nx, nu, boxed, rows, horizon: 1 + rng.below(15), initial, soft }
}

/// `M'M + floor·I` of order `n`.
fn positive(rng: &mut Rng, n: usize, floor: f64, out: &mut [f64]) {
    let m: Vec<f64> = (0..n * n).map(|_| rng.signed()).collect();
    for j in 0..n {
        for i in 0..n {
            out[i + j * n] =
                (0..n).map(|l| m[l + i * n] * m[l + j * n]).sum::<f64>() + if i == j { floor } else { 0.0 };
        }
    }
}

/// A programme that has a feasible point: bounds are drawn around a trajectory of its own dynamics, some tightly, some
/// pinned to it.
pub(crate) fn feasible(rng: &mut Rng) -> OcpQp {
    let dims = dims(rng);
    let (nx, nu, nc, n) = (dims.nx, dims.nu, dims.bounds(), dims.horizon);
    let mut qp = OcpQp::new(dims.clone());
    let mut x: Vec<f64> = (0..nx).map(|_| 2.0 * rng.signed()).collect();
    qp.x0.copy_from_slice(&x);
    for k in 0..=n {
        let u: Vec<f64> = (0..nu).map(|_| rng.signed()).collect();
        let stage = qp.stage_mut(k);
        positive(rng, nx, 1e-3, stage.q_mat);
        stage.q.iter_mut().chain(stage.r.iter_mut()).for_each(|v| *v = 3.0 * rng.signed());
        stage.g.iter_mut().for_each(|v| *v = rng.signed());
        let mut next = vec![0.0; nx];
        if k < n {
            positive(rng, nu, 0.1, stage.r_mat);
            // Small beside Q and R, so that the whole stays convex.
            stage.s_mat.iter_mut().for_each(|v| *v = 0.003 * rng.signed());
            let size = 1.3 / (nx as f64).sqrt();
            stage.a.iter_mut().for_each(|v| *v = size * rng.signed());
            stage.b.iter_mut().for_each(|v| *v = rng.signed());
            stage.c.iter_mut().for_each(|v| *v = 0.3 * rng.signed());
            for i in 0..nx {
                next[i] = stage.c[i]
                    + (0..nx).map(|j| stage.a[i + j * nx] * x[j]).sum::<f64>()
                    + (0..nu).map(|j| stage.b[i + j * nx] * u[j]).sum::<f64>();
            }
        }
        for i in 0..nc {
            let value = match i.checked_sub(nu) {
                None => u[i],
                Some(b) if b < dims.boxed.len() => x[dims.boxed[b]],
                Some(b) => (0..nx).map(|j| stage.g[b - dims.boxed.len() + j * dims.rows] * x[j]).sum(),
            };
            if rng.chance(0.03) && dims.soft[i].is_none() {
                (stage.lo[i], stage.hi[i]) = (value, value);
            } else {
                let mut room = || if rng.chance(0.2) { f64::INFINITY } else { 1e-3 + 2.0 * rng.unit() };
                (stage.lo[i], stage.hi[i]) = (value - room(), value + room());
                if dims.soft[i].is_some() && rng.chance(0.3) {
                    // A soft bound that the trajectory does not keep.
                    stage.hi[i] = value - 0.5;
                    stage.lo[i] = f64::NEG_INFINITY;
                }
            }
        }
        x = next;
    }
    qp
}

/// A programme without a feasible point: the input cannot lift the state over a floor that is far away.
pub(crate) fn infeasible(rng: &mut Rng) -> OcpQp {
    let (nx, nu, n) = (1 + rng.below(6), 1 + rng.below(3), 1 + rng.below(10));
    let boxed = vec![rng.below(nx)];
    let dims = OcpDims { nx, nu, boxed, rows: 0, horizon: n, initial: Initial::Fixed, soft: vec![None; nu + 1] };
    let mut qp = OcpQp::new(dims);
    let at = 1 + rng.below(n);
    for k in 0..=n {
        let stage = qp.stage_mut(k);
        positive(rng, nx, 1e-2, stage.q_mat);
        if k < n {
            positive(rng, nu, 0.1, stage.r_mat);
            let size = 1.0 / nx as f64;
            stage.a.iter_mut().for_each(|v| *v = size * rng.signed());
            stage.b.iter_mut().for_each(|v| *v = rng.signed());
        }
        stage.lo[..nu].fill(-1.0);
        stage.hi[..nu].fill(1.0);
        if k == at {
            // |x| ≤ max(1, |x0|) · 1 + Σ |b| stays below 8 · horizon.
            stage.lo[nu] = 10.0 * n as f64 * (0.5 + rng.unit()) + 5.0;
        }
    }
    qp.x0.iter_mut().for_each(|v| *v = rng.signed());
    qp
}
