//! Sparse one-sided rows to dense two-sided ones: `lo ≤ [z; A z] ≤ hi`.
//!
//! A row with one entry bounds its variable. Rows that are each other's negative, or equal, become one with two sides.
#![allow(clippy::indexing_slicing, reason = "indices come from the sizes that the matrices were made with")]

use std::collections::BTreeMap;

use nalgebra::DMatrix;

use super::{QpFileError, Raw, Reader};
use crate::qp::{DenseMatrix, DenseSequence, DenseStep};

/// Columns and values of one row.
type SparseRow = Vec<(usize, f64)>;

/// Where row `i` of the file went: which two-sided row, and by which factor it is that one.
#[derive(Clone, Copy, Debug)]
struct Target {
    row: usize,
    factor: f64,
}

/// The programmes of a file of any kind but `ocp` and `rti`.
pub(super) fn dense(raw: &Raw) -> Result<DenseSequence, QpFileError> {
    let [a] = raw.a_seq.as_slice() else {
        let got = format!("{} lists", raw.a_seq.len());
        let expected = "1 list: a dense programme's rows may not change from step to step";
        return Err(Reader { path: &raw.path }.fault("A_seq", &got, expected));
    };
    let mut rows: Vec<SparseRow> = vec![Vec::new(); raw.m];
    for (row, column, at) in raw.a.entries() {
        let value = a.get(at).copied().unwrap_or(0.0);
        if let (Some(row), true) = (rows.get_mut(row), value != 0.0) {
            row.push((column, value));
        }
    }
    let (targets, general) = join(raw.n, &rows);
    let mut matrix = DMatrix::zeros(general.len(), raw.n);
    for (i, row) in general.iter().enumerate() {
        for (column, value) in row {
            matrix[(i, *column)] = *value;
        }
    }
    let mut hessian = DMatrix::zeros(raw.n, raw.n);
    for (row, column, at) in raw.p.entries() {
        let value = raw.p_values.get(at).copied().unwrap_or(0.0);
        hessian[(row, column)] = value;
        hessian[(column, row)] = value;
    }
    let sides = Sides { count: raw.n + general.len(), neq: raw.neq, targets: &targets };
    let steps = raw.q_seq.iter().zip(&raw.b_seq).map(|(q, b)| sides.step(q, b)).collect();
    let rows = DenseMatrix::General(matrix);
    Ok(DenseSequence { name: raw.name.clone(), hessian, rows, steps, objectives: raw.obj.clone() })
}

/// The two-sided rows: for each row of the file where it went, and the general rows.
fn join(n: usize, rows: &[SparseRow]) -> (Vec<Option<Target>>, Vec<SparseRow>) {
    let mut seen: BTreeMap<Vec<(usize, u64)>, usize> = BTreeMap::new();
    let mut general: Vec<SparseRow> = Vec::new();
    let mut target = |row: &SparseRow| {
        let (column, factor) = row.first().copied()?;
        if row.len() == 1 {
            return Some(Target { row: column, factor });
        }
        let sign = factor.signum();
        let key: Vec<(usize, u64)> = row.iter().map(|(column, value)| (*column, (sign * value).to_bits())).collect();
        let at = *seen.entry(key).or_insert_with(|| {
            general.push(row.iter().map(|(column, value)| (*column, sign * value)).collect());
            general.len() - 1
        });
        Some(Target { row: n + at, factor: sign })
    };
    let targets = rows.iter().map(&mut target).collect();
    (targets, general)
}

struct Sides<'a> {
    count: usize,
    neq: usize,
    targets: &'a [Option<Target>],
}

impl Sides<'_> {
    fn step(&self, q: &[f64], b: &[f64]) -> DenseStep {
        let mut step =
            DenseStep { f: q.to_vec(), lo: vec![f64::NEG_INFINITY; self.count], hi: vec![f64::INFINITY; self.count] };
        for (i, (target, b)) in self.targets.iter().zip(b).enumerate() {
            let Some(Target { row, factor }) = *target else { continue };
            let (Some(lo), Some(hi)) = (step.lo.get_mut(row), step.hi.get_mut(row)) else { continue };
            let limit = b / factor;
            if factor > 0.0 || i < self.neq {
                *hi = hi.min(limit);
            }
            if factor < 0.0 || i < self.neq {
                *lo = lo.max(limit);
            }
        }
        step
    }
}
