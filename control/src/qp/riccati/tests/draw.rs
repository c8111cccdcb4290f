//! Programmes drawn at random, and the benchmark's linear ones.

use crate::qp::{Initial, OcpDims, OcpQp, Soft};
use crate::test_support::Random;

fn dims(random: &mut Random) -> OcpDims {
    let (nx, nu) = (1 + random.below(8), 1 + random.below(3));
    let boxed: Vec<usize> = (0..nx).filter(|_| random.chance(0.4)).collect();
    let rows = if random.chance(0.4) { 1 + random.below(3) } else { 0 };
    let soft = (0..nu + boxed.len() + rows)
        .map(|i| {
            let price = Soft { linear: 5.0 * random.unit(), quadratic: 0.1 + 5.0 * random.unit() };
            random.chance(if i < nu { 0.1 } else { 0.4 }).then_some(price)
        })
        .collect();
    let initial = if random.chance(0.3) { Initial::Free } else { Initial::Fixed };
    OcpDims { nx, nu, boxed, rows, horizon: 1 + random.below(15), initial, soft }
}

/// `M'M + floor·I` of order `n`.
fn positive(random: &mut Random, n: usize, floor: f64, out: &mut [f64]) {
    let m: Vec<f64> = (0..n * n).map(|_| random.signed()).collect();
    for j in 0..n {
        for i in 0..n {
            out[i + j * n] =
                (0..n).map(|l| m[l + i * n] * m[l + j * n]).sum::<f64>() + if i == j { floor } else { 0.0 };
        }
    }
}

/// A programme that has a feasible point: bounds are drawn around a trajectory of its own dynamics, some tightly, some
/// pinned to it.
pub(crate) fn feasible(random: &mut Random) -> OcpQp {
    let dims = dims(random);
    let (nx, nu, nc, n) = (dims.nx, dims.nu, dims.bounds(), dims.horizon);
    let mut qp = OcpQp::new(dims.clone());
    let mut x: Vec<f64> = (0..nx).map(|_| 2.0 * random.signed()).collect();
    qp.x0.copy_from_slice(&x);
    for k in 0..=n {
        let u: Vec<f64> = (0..nu).map(|_| random.signed()).collect();
        let stage = qp.stage_mut(k);
        positive(random, nx, 1e-3, stage.q_mat);
        stage.q.iter_mut().chain(stage.r.iter_mut()).for_each(|v| *v = 3.0 * random.signed());
        stage.g.iter_mut().for_each(|v| *v = random.signed());
        let mut next = vec![0.0; nx];
        if k < n {
            positive(random, nu, 0.1, stage.r_mat);
            // Small beside Q and R, so that the whole stays convex.
            stage.s_mat.iter_mut().for_each(|v| *v = 0.003 * random.signed());
            let size = 1.3 / (nx as f64).sqrt();
            stage.a.iter_mut().for_each(|v| *v = size * random.signed());
            stage.b.iter_mut().for_each(|v| *v = random.signed());
            stage.c.iter_mut().for_each(|v| *v = 0.3 * random.signed());
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
            if random.chance(0.03) && dims.soft[i].is_none() {
                (stage.lo[i], stage.hi[i]) = (value, value);
            } else {
                let mut room = || if random.chance(0.2) { f64::INFINITY } else { 1e-3 + 2.0 * random.unit() };
                (stage.lo[i], stage.hi[i]) = (value - room(), value + room());
                if dims.soft[i].is_some() && random.chance(0.3) {
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
pub(crate) fn infeasible(random: &mut Random) -> OcpQp {
    let (nx, nu, n) = (1 + random.below(6), 1 + random.below(3), 1 + random.below(10));
    let boxed = vec![random.below(nx)];
    let dims = OcpDims { nx, nu, boxed, rows: 0, horizon: n, initial: Initial::Fixed, soft: vec![None; nu + 1] };
    let mut qp = OcpQp::new(dims);
    let at = 1 + random.below(n);
    for k in 0..=n {
        let stage = qp.stage_mut(k);
        positive(random, nx, 1e-2, stage.q_mat);
        if k < n {
            positive(random, nu, 0.1, stage.r_mat);
            let size = 1.0 / nx as f64;
            stage.a.iter_mut().for_each(|v| *v = size * random.signed());
            stage.b.iter_mut().for_each(|v| *v = random.signed());
        }
        stage.lo[..nu].fill(-1.0);
        stage.hi[..nu].fill(1.0);
        if k == at {
            // |x| ≤ max(1, |x0|) · 1 + Σ |b| stays below 8 · horizon.
            stage.lo[nu] = 10.0 * n as f64 * (0.5 + random.unit()) + 5.0;
        }
    }
    qp.x0.iter_mut().for_each(|v| *v = random.signed());
    qp
}
