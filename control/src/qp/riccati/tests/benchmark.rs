//! The benchmark's sequences of programmes: objectives against a reference solver's at 1e-9, and how long a solve
//! takes.
//!
//! The files are written by `gen_qps.py`, beside the benchmark's problems; the environment variable `QPDIR` says where
//! they are. Without it the tests are skipped, and say so.

use std::path::Path;
use std::time::Instant;

use serde_json::Value;
use signals::SolveStatus;

use crate::qp::riccati::{IpmOptions, RiccatiIpm};
use crate::qp::{Initial, OcpDims, OcpQp, OcpSolution, OcpSolver, Soft};

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn indices(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect()
}

/// The diagonal of a matrix without other entries.
fn diagonal(p: &Value) -> Vec<f64> {
    let (colptr, nzval) = (indices(&p["colptr"]), floats(&p["nzval"]));
    colptr.windows(2).map(|at| nzval[at[0]..at[1]].iter().sum()).collect()
}

/// A file's shape and numbers. Unknowns by stage: `u_k`, `x_{k+1}`, slacks; rows: dynamics, upper sides, lower sides.
struct File {
    json: Value,
    dims: OcpDims,
    /// Row by row: (unknown, position in `A_seq`).
    rows: Vec<Vec<(usize, usize)>>,
    /// The state behind each slack of a stage.
    soft: Vec<usize>,
}

impl File {
    fn read(path: &Path) -> Self {
        let json: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let meta = |key: &str| json["meta"][key].as_u64().unwrap() as usize;
        let (nx, nu, horizon, ns) = (meta("nx"), meta("nu"), meta("N"), meta("ns"));
        let (colptr, rowval) = (indices(&json["A"]["colptr"]), indices(&json["A"]["rowval"]));
        let mut rows = vec![Vec::new(); json["m"].as_u64().unwrap() as usize];
        for column in 0..colptr.len() - 1 {
            for at in colptr[column]..colptr[column + 1] {
                rows[rowval[at]].push((column, at));
            }
        }
        let stride = nu + nx + ns;
        let neq = json["neq"].as_u64().unwrap() as usize;
        let (mut soft, mut boxed) = (vec![usize::MAX; ns], Vec::new());
        for row in &rows[neq..] {
            match row[..] {
                [(v, _)] if (nu..nu + nx).contains(&v) => boxed.push(v - nu),
                [(v, _), (s, _)] if s < stride => {
                    soft[s - nu - nx] = v - nu;
                    boxed.push(v - nu);
                }
                _ => {}
            }
        }
        boxed.sort_unstable();
        boxed.dedup();
        let (q, p) = (floats(&json["q_seq"][0]), diagonal(&json["P"]));
        let price = |state: &usize| {
            let slack = soft.iter().position(|s| s == state)? + nu + nx;
            Some(Soft { linear: q[slack], quadratic: p[slack] })
        };
        let soft_bounds = vec![None; nu].into_iter().chain(boxed.iter().map(price)).collect();
        let dims = OcpDims { nx, nu, boxed, rows: 0, horizon, initial: Initial::Fixed, soft: soft_bounds };
        Self { json, dims, rows, soft }
    }

    fn steps(&self) -> usize {
        self.json["obj"].as_array().unwrap().len()
    }

    /// Programme `step`. The initial state is in the first `c`.
    fn programme(&self, step: usize) -> OcpQp {
        let mut qp = OcpQp::new(self.dims.clone());
        let varying = self.json["A_seq"].as_array().unwrap();
        let a = floats(&varying[step.min(varying.len() - 1)]);
        let (q, b, p) =
            (floats(&self.json["q_seq"][step]), floats(&self.json["b_seq"][step]), diagonal(&self.json["P"]));
        let (nx, nu, n) = (self.dims.nx, self.dims.nu, self.dims.horizon);
        let stride = nu + nx + self.soft.len();
        for k in 0..n {
            let stage = qp.stage_mut(k);
            for j in 0..nu {
                (stage.r_mat[j * (nu + 1)], stage.r[j]) = (p[k * stride + j], q[k * stride + j]);
            }
            for i in 0..nx {
                stage.c[i] = b[k * nx + i];
                for (v, at) in &self.rows[k * nx + i] {
                    match (v / stride, v % stride) {
                        (l, j) if j < nu && l == k => stage.b[i + j * nx] = -a[*at],
                        (l, j) if l + 1 == k => stage.a[i + (j - nu) * nx] = -a[*at],
                        _ => {}
                    }
                }
            }
            let next = qp.stage_mut(k + 1);
            for i in 0..nx {
                (next.q_mat[i * (nx + 1)], next.q[i]) = (p[k * stride + nu + i], q[k * stride + nu + i]);
            }
        }
        for (row, b) in self.rows.iter().zip(&b).skip(n * nx) {
            let (v, at) = row[0];
            let (k, j) = (v / stride, v % stride);
            let (k, i) = match j.checked_sub(nu) {
                None => (k, j),
                Some(state) if state < nx => (k + 1, nu + self.dims.boxed.iter().position(|b| *b == state).unwrap()),
                Some(_) => continue,
            };
            let stage = qp.stage_mut(k);
            if a[at] > 0.0 { stage.hi[i] = *b } else { stage.lo[i] = -b }
        }
        qp
    }
}

/// The largest number in a solution, at least one.
fn size(z: &OcpSolution) -> f64 {
    z.x.iter().chain(&z.u).chain(&z.pi).fold(1.0, |a, v| a.max(v.abs()))
}

/// Times and iterations of a sequence.
struct Times {
    prepare: Vec<f64>,
    solve: Vec<f64>,
    iterations: Vec<u32>,
}

fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * q).round() as usize]
}

#[allow(clippy::disallowed_methods, reason = "a test that measures")]
fn run(file: &File, warm: bool, repetitions: usize) -> Times {
    let options = IpmOptions { warm_start: warm, ..IpmOptions::default() };
    let programmes: Vec<OcpQp> = (0..file.steps()).map(|step| file.programme(step)).collect();
    let mut times =
        Times { prepare: vec![f64::MAX; file.steps()], solve: vec![f64::MAX; file.steps()], iterations: Vec::new() };
    for repetition in 0..repetitions {
        let mut ipm = RiccatiIpm::new(&file.dims, options);
        for (step, qp) in programmes.iter().enumerate() {
            let start = Instant::now();
            ipm.prepare(qp);
            let prepared = Instant::now();
            let ending = ipm.solve(qp, &|| false);
            let solved = Instant::now();
            times.prepare[step] = times.prepare[step].min((prepared - start).as_secs_f64() * 1e6);
            times.solve[step] = times.solve[step].min((solved - prepared).as_secs_f64() * 1e6);
            if repetition == 0 {
                assert_eq!(ending.status, SolveStatus::Solved, "step {step}: {ending:?}");
                times.iterations.push(ending.iterations);
                let (ours, reference) = (qp.objective(ipm.solution()), file.json["obj"][step].as_f64().unwrap());
                // Of cstr4, which is not scaled, the reference is not the optimum; our KKT conditions tell.
                let excess = (ours - reference) / reference.abs().max(1.0);
                let residual = qp.kkt_residual(ipm.solution()).largest() / size(ipm.solution());
                assert!(excess <= 2e-6 && residual <= 2e-6, "step {step}: {ours} and {reference}, {residual:e}");
            }
            ipm.shift(1);
        }
    }
    times
}

/// `QPDIR=… cargo test --release -p control --lib -- --ignored --nocapture benchmark`
#[test]
#[ignore = "measures; needs the release profile and QPDIR"]
fn the_benchmark_sequences_are_solved_to_the_references_objectives() {
    let Ok(directory) = std::env::var("QPDIR") else {
        println!("skipped: QPDIR does not say where the sequences are");
        return;
    };
    let only = std::env::var("ONLY").unwrap_or_default();
    let names = ["quad_4_2_40", "mass_10_2_10", "mass_10_2_50", "mass_20_5_20", "mass_20_5_100"];
    let rti = ["rti_cstr2_N20", "rti_cstr2_N60", "rti_cstr4_N20", "rti_cstr4_N60"];
    for name in names.iter().chain(&rti).filter(|name| name.contains(&only)) {
        let file = File::read(&Path::new(&directory).join(format!("{name}.json")));
        for warm in [false, true].into_iter().filter(|w| !w || std::env::var("COLD").is_err()) {
            let times = run(&file, warm, if name.contains("100") { 20 } else { 60 });
            let whole: Vec<f64> = times.prepare.iter().zip(&times.solve).map(|(a, b)| a + b).collect();
            let iterations: Vec<f64> = times.iterations.iter().map(|i| f64::from(*i)).collect();
            let sum = iterations.iter().sum::<f64>() / iterations.len() as f64;
            print!("mean {sum:.2} ");
            println!(
                "{name:14} {} median {:7.1} p99 {:7.1} max {:7.1} | prepare {:5.1} solve {:7.1} | iterations {} max {}",
                if warm { "warm" } else { "cold" },
                quantile(&whole, 0.5),
                quantile(&whole, 0.99),
                quantile(&whole, 1.0),
                quantile(&times.prepare, 0.5),
                quantile(&times.solve, 0.5),
                quantile(&iterations, 0.5),
                quantile(&iterations, 1.0),
            );
        }
    }
}
