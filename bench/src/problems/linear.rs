//! Linear optimal control in closed loop: the quadruple tank and the chains of masses.
//!
//! ```text
//! min  Σ_{k=1..N} ½ (x_k - r)'Q (x_k - r) + Σ_{k<N} ½ u_k'R u_k     s.t. x_{k+1} = A x_k + B u_k, bounds on u and x
//! ```
//!
//! The plant is the model and a disturbance of sines; the first input of each solution is applied.

use control::qp::{Initial, OcpDims, OcpQp};
use nalgebra::{DMatrix, DVector};

use super::matrix::{of_rows, oscillating_masses};
use super::spec::{Masses, Spec};
use crate::qp::{OcpSequence, Reference, ReferenceError};

/// nx, nu and N of the chains that are run.
pub const MASSES: [[usize; 3]; 3] = [[10, 2, 10], [10, 2, 50], [20, 5, 20]];

/// A linear problem without its initial state and reference.
struct Problem {
    a: DMatrix<f64>,
    b: DMatrix<f64>,
    q: Vec<f64>,
    r: Vec<f64>,
    horizon: usize,
    u_max: f64,
    /// Limit of |x| for the first `boxed` states.
    x_max: f64,
    boxed: usize,
}

impl Problem {
    /// The programme from `x0` to the reference.
    fn programme(&self, x0: &[f64], reference: &[f64]) -> OcpQp {
        let (nx, nu) = self.b.shape();
        let dims = OcpDims {
            nx,
            nu,
            boxed: (0..self.boxed).collect(),
            rows: 0,
            horizon: self.horizon,
            initial: Initial::Fixed,
            soft: vec![None; nu + self.boxed],
        };
        let mut qp = OcpQp::new(dims);
        qp.x0.copy_from_slice(x0);
        let (q, r) = (diagonal(&self.q), diagonal(&self.r));
        for k in 0..=self.horizon {
            let stage = qp.stage_mut(k);
            if k > 0 {
                stage.q_mat.copy_from_slice(q.as_slice());
                stage.q.iter_mut().zip(&self.q).zip(reference).for_each(|((out, q), r)| *out = -q * r);
            }
            if k < self.horizon {
                stage.a.copy_from_slice(self.a.as_slice());
                stage.b.copy_from_slice(self.b.as_slice());
                stage.r_mat.copy_from_slice(r.as_slice());
            }
            for (i, (lo, hi)) in stage.lo.iter_mut().zip(stage.hi.iter_mut()).enumerate() {
                *hi = if i < nu { self.u_max } else { self.x_max };
                *lo = -*hi;
            }
        }
        qp
    }

    /// `steps` programmes in closed loop under the disturbance `w(k)`, to the reference `r(k)`.
    fn sequence(
        &self,
        name: &str,
        (x0, steps): (&[f64], usize),
        outside: &dyn Fn(usize) -> Outside,
    ) -> Result<OcpSequence, ReferenceError> {
        let mut x = DVector::from_column_slice(x0);
        let mut reference: Option<Reference> = None;
        let (mut programmes, mut objectives) = (Vec::new(), Vec::new());
        for k in 0..steps {
            let outside = outside(k);
            let qp = self.programme(x.as_slice(), &outside.reference);
            let solver = reference.get_or_insert_with(|| Reference::new(qp.dims()));
            objectives.push(solver.solve(name, k, &qp)?);
            let u = DVector::from_column_slice(solver.first_input());
            x = &self.a * x + &self.b * u + DVector::from_vec(outside.disturbance);
            programmes.push(qp);
        }
        Ok(OcpSequence { name: name.to_owned(), programmes, objectives })
    }
}

/// What acts at one step.
struct Outside {
    disturbance: Vec<f64>,
    reference: Vec<f64>,
}

fn diagonal(values: &[f64]) -> DMatrix<f64> {
    DMatrix::from_diagonal(&DVector::from_column_slice(values))
}

/// The quadruple tank's sequence: set-points of both lower levels change sign after half of it.
///
/// # Errors
/// [`ReferenceError`] when a programme of the closed loop could not be solved to the reference's accuracy.
pub fn quadruple_tank(spec: &Spec) -> Result<OcpSequence, ReferenceError> {
    let tank = &spec.quadtank;
    let problem = Problem {
        a: of_rows(&tank.a),
        b: of_rows(&tank.b),
        q: tank.q.clone(),
        r: tank.r.clone(),
        horizon: tank.horizon,
        u_max: tank.u_abs_max,
        x_max: f64::INFINITY,
        boxed: 0,
    };
    let outside = |k: usize| {
        let t = k as f64;
        let reference = if k < 30 { [3.0, -2.0, 0.0, 0.0] } else { [-3.0, 3.0, 0.0, 0.0] };
        let disturbance = vec![0.0, 0.0, 0.3 * (0.9 * t).sin(), 0.3 * (0.7 * t).cos()];
        Outside { disturbance, reference: reference.to_vec() }
    };
    problem.sequence("quad_4_2_40", (&tank.x0, tank.steps), &outside)
}

/// The sequence of a chain of nx/2 masses under nu forces, horizon N; see [`MASSES`].
///
/// # Errors
/// [`ReferenceError`] when a programme of the closed loop could not be solved to the reference's accuracy.
pub fn masses(spec: &Masses, [nx, nu, horizon]: [usize; 3]) -> Result<OcpSequence, ReferenceError> {
    const STEPS: usize = 30;
    let count = nx / 2;
    let (a, b) = oscillating_masses(count, nu, spec);
    let problem = Problem {
        a,
        b,
        q: vec![1.0; nx],
        r: vec![1.0; nu],
        horizon,
        u_max: spec.u_abs_max,
        x_max: spec.pos_abs_max,
        boxed: count,
    };
    let x0: Vec<f64> = (0..nx).map(|i| if i < count { (0.8 * i as f64).sin() } else { 0.0 }).collect();
    let outside = |k: usize| {
        let gust = if k % 7 < 3 { 1.0 } else { 0.2 };
        let push = |i: usize| 0.5 * (1.3 * k as f64 + 0.7 * i as f64).sin() * gust;
        let disturbance = (0..nx).map(|i| i.checked_sub(count).map_or(0.0, push)).collect();
        Outside { disturbance, reference: vec![0.0; nx] }
    };
    problem.sequence(&format!("mass_{nx}_{nu}_{horizon}"), (&x0, STEPS), &outside)
}
