//! Back from sparse rows to stages.
//!
//! The variables of stage k are `[u_k; x_{k+1}; s_{k+1}]`. Equation `k NX + i` is `x_{k+1,i} - A_k x_k - B_k u_k = b`; the
//! first NX of them carry `A_0 x_0` in b, which cannot be told from `c_0`. So the programme made here has `A_0 = I`,
//! `c_0 = 0` and `x_0 = b`: the same solution, with the measurement where it belongs.

use std::collections::BTreeMap;

use control::qp::{Initial, OcpDims, OcpQp, Soft};

use super::{QpFileError, Raw, Reader};
use crate::qp::OcpSequence;

/// A variable by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// Input `j` of stage `k`.
    U(usize, usize),
    /// State `i` of stage `k`.
    X(usize, usize),
    /// Slack `j` of stage `k`.
    S(usize, usize),
}

#[derive(Clone, Copy, Debug)]
struct Layout {
    nx: usize,
    nu: usize,
    ns: usize,
    horizon: usize,
}

impl Layout {
    fn of(raw: &Raw) -> Result<Self, QpFileError> {
        let reader = Reader { path: &raw.path };
        let count = |key: &str| {
            reader.count(&raw.meta, key).map_err(|_| {
                reader.fault(
                    &format!("meta.{key}"),
                    "missing or no whole number",
                    "a whole number, as `meta.kind` is `ocp` or `rti`",
                )
            })
        };
        let layout = Self { nx: count("nx")?, nu: count("nu")?, ns: count("ns")?, horizon: count("N")? };
        let stage = layout.stage();
        for (key, got, expected, formula) in [
            ("n", raw.n, layout.horizon.checked_mul(stage), "N (nu + nx + ns)"),
            ("neq", raw.neq, layout.horizon.checked_mul(layout.nx), "N nx"),
        ] {
            if expected != Some(got) || got == 0 {
                return Err(reader.fault(key, &got.to_string(), &format!("{formula} of `meta`, above 0")));
            }
        }
        Ok(layout)
    }

    fn stage(&self) -> usize {
        self.nu + self.nx + self.ns
    }

    fn place(&self, column: usize) -> Place {
        let (k, at) = (column / self.stage(), column % self.stage());
        match (at.checked_sub(self.nu), at.checked_sub(self.nu + self.nx)) {
            (None, _) => Place::U(k, at),
            (Some(i), None) => Place::X(k + 1, i),
            (_, Some(j)) => Place::S(k + 1, j),
        }
    }
}

/// What a row beyond the equations is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    /// `factor · place ≤ b`, hard.
    Hard { place: Place, factor: f64 },
    /// `factor · (place - s) ≤ b` or `factor · (place + s) ≤ b`.
    Soft { place: Place, factor: f64 },
    /// `s ≥ 0`.
    SlackSign,
}

/// The programmes of a file of kind `ocp` or `rti`.
pub(super) fn stages(raw: &Raw) -> Result<OcpSequence, QpFileError> {
    let layout = Layout::of(raw)?;
    let mut programmes = Vec::with_capacity(raw.obj.len());
    let mut kinds: Option<Kinds> = None;
    for (k, (q, b)) in raw.q_seq.iter().zip(&raw.b_seq).enumerate() {
        let Some(a) = raw.a_seq.get(k).or(raw.a_seq.first()) else { break };
        let step = Step { raw, layout, a, q, b };
        let found = step.kinds()?;
        let kinds = kinds.get_or_insert_with(|| found.clone());
        if *kinds != found {
            let key = format!("q_seq[{k}]");
            let reader = Reader { path: &raw.path };
            return Err(reader.fault(&key, "slack prices or bounds unlike those of step 0", "the same at every step"));
        }
        programmes.push(step.programme(kinds)?);
    }
    Ok(OcpSequence { name: raw.name.clone(), programmes, objectives: raw.obj.clone() })
}

/// Which states are bounded, and at what price.
#[derive(Clone, Debug, PartialEq)]
struct Kinds {
    /// State, and the price of its bound if it is soft.
    boxed: BTreeMap<usize, Option<Soft>>,
}

/// One programme of the file.
struct Step<'a> {
    raw: &'a Raw,
    layout: Layout,
    a: &'a [f64],
    q: &'a [f64],
    b: &'a [f64],
}

impl Step<'_> {
    fn fault(&self, matrix: &'static str, (row, column): (usize, usize), what: &'static str) -> QpFileError {
        QpFileError::Entry { path: self.raw.path.clone(), matrix, row, column, what }
    }

    /// Entries of the rows beyond the equations, by row.
    fn inequalities(&self) -> BTreeMap<usize, Vec<(usize, f64)>> {
        let mut rows: BTreeMap<usize, Vec<(usize, f64)>> = BTreeMap::new();
        for (row, column, at) in self.raw.a.entries().filter(|(row, ..)| *row >= self.raw.neq) {
            let value = self.a.get(at).copied().unwrap_or(0.0);
            rows.entry(row).or_default().push((column, value));
        }
        rows
    }

    fn bound(&self, row: usize, entries: &[(usize, f64)]) -> Result<Bound, QpFileError> {
        let at = |entry: &(usize, f64)| (row, entry.0);
        match entries {
            [one] if one.1 != 0.0 => match self.layout.place(one.0) {
                Place::S(..) if one.1 < 0.0 => Ok(Bound::SlackSign),
                Place::S(..) => Err(self.fault("A", at(one), "a slack with an upper bound")),
                place => Ok(Bound::Hard { place, factor: one.1 }),
            },
            [first, second] => {
                let (place, slack) = match (self.layout.place(first.0), self.layout.place(second.0)) {
                    (x @ Place::X(..), Place::S(k, _)) if stage_of(x) == k => ((x, first.1), second.1),
                    (Place::S(k, _), x @ Place::X(..)) if stage_of(x) == k => ((x, second.1), first.1),
                    _ => return Err(self.fault("A", at(second), "neither a bound nor a state with its stage's slack")),
                };
                let (x, factor) = place;
                if slack < 0.0 && (slack.abs() - factor.abs()).abs() <= 1e-12 * factor.abs() {
                    Ok(Bound::Soft { place: x, factor })
                } else {
                    Err(self.fault("A", at(second), "a slack whose factor is not that of its state, negated"))
                }
            }
            _ => Err(self.fault(
                "A",
                (row, entries.first().map_or(0, |e| e.0)),
                "a row that is no bound of one variable",
            )),
        }
    }

    /// The prices of slack `column`.
    fn price(&self, column: usize) -> Soft {
        let diagonal = self.raw.p.entries().find(|(row, c, _)| *row == column && *c == column);
        let quadratic = diagonal.and_then(|(.., at)| self.raw.p_values.get(at)).copied().unwrap_or(0.0);
        Soft { linear: self.q.get(column).copied().unwrap_or(0.0), quadratic }
    }

    fn kinds(&self) -> Result<Kinds, QpFileError> {
        let mut boxed: BTreeMap<usize, Option<Soft>> = BTreeMap::new();
        for (row, entries) in self.inequalities() {
            let (place, price) = match self.bound(row, &entries)? {
                Bound::Hard { place, .. } => (place, None),
                Bound::Soft { place, .. } => {
                    let slack = entries.iter().find(|e| matches!(self.layout.place(e.0), Place::S(..)));
                    (place, slack.map(|slack| self.price(slack.0)))
                }
                Bound::SlackSign => continue,
            };
            let column = entries.first().map_or(0, |e| e.0);
            if price.is_some_and(|soft| soft.quadratic <= 0.0 || soft.linear < 0.0) {
                return Err(self.fault("P", (column, column), "a slack without a quadratic price, or paid to violate"));
            }
            let Place::X(_, i) = place else { continue };
            if *boxed.entry(i).or_insert(price) != price {
                return Err(self.fault(
                    "A",
                    (row, column),
                    "a state whose bounds differ in price, or hard and soft ones",
                ));
            }
        }
        Ok(Kinds { boxed })
    }

    fn programme(&self, kinds: &Kinds) -> Result<OcpQp, QpFileError> {
        let Layout { nx, nu, horizon, .. } = self.layout;
        let soft = vec![None; nu].into_iter().chain(kinds.boxed.values().copied()).collect();
        let boxed: Vec<usize> = kinds.boxed.keys().copied().collect();
        let dims = OcpDims { nx, nu, boxed: boxed.clone(), rows: 0, horizon, initial: Initial::Fixed, soft };
        let mut qp = OcpQp::new(dims);
        self.costs(&mut qp)?;
        self.equations(&mut qp)?;
        for (row, entries) in self.inequalities() {
            let (place, factor) = match self.bound(row, &entries)? {
                Bound::Hard { place, factor } | Bound::Soft { place, factor } => (place, factor),
                Bound::SlackSign => continue,
            };
            let limit = self.b.get(row).copied().unwrap_or(0.0) / factor;
            let (k, at) = match place {
                Place::U(k, j) => (k, j),
                Place::X(k, i) | Place::S(k, i) => (k, nu + boxed.iter().position(|b| *b == i).unwrap_or(0)),
            };
            let stage = qp.stage_mut(k);
            if let (Some(lo), Some(hi)) = (stage.lo.get_mut(at), stage.hi.get_mut(at)) {
                if factor > 0.0 {
                    *hi = hi.min(limit);
                } else {
                    *lo = lo.max(limit);
                }
            }
        }
        Ok(qp)
    }

    fn costs(&self, qp: &mut OcpQp) -> Result<(), QpFileError> {
        let Layout { nx, nu, .. } = self.layout;
        for (row, column, at) in self.raw.p.entries() {
            let value = self.raw.p_values.get(at).copied().unwrap_or(0.0);
            let both = |matrix: &mut [f64], (i, j, n): (usize, usize, usize)| {
                for at in [i + j * n, j + i * n] {
                    put(matrix, at, value);
                }
            };
            match (self.layout.place(row), self.layout.place(column)) {
                (Place::U(k, i), Place::U(l, j)) if k == l => both(qp.stage_mut(k).r_mat, (i, j, nu)),
                (Place::X(k, i), Place::X(l, j)) if k == l => both(qp.stage_mut(k).q_mat, (i, j, nx)),
                (Place::S(..), Place::S(..)) if row == column => {}
                _ if value == 0.0 => {}
                _ => return Err(self.fault("P", (row, column), "a cost that couples stages, or inputs and states")),
            }
        }
        for (column, value) in self.q.iter().enumerate() {
            match self.layout.place(column) {
                Place::U(k, j) => put(qp.stage_mut(k).r, j, *value),
                Place::X(k, i) => put(qp.stage_mut(k).q, i, *value),
                Place::S(..) => {}
            }
        }
        Ok(())
    }

    fn equations(&self, qp: &mut OcpQp) -> Result<(), QpFileError> {
        let nx = self.layout.nx;
        for (row, column, at) in self.raw.a.entries().filter(|(row, ..)| *row < self.raw.neq) {
            let value = self.a.get(at).copied().unwrap_or(0.0);
            let (k, i) = (row / nx, row % nx);
            match self.layout.place(column) {
                Place::U(l, j) if l == k => put(qp.stage_mut(k).b, i + j * nx, -value),
                Place::X(l, j) if l == k => put(qp.stage_mut(k).a, i + j * nx, -value),
                Place::X(l, j) if l == k + 1 && i == j && (value - 1.0).abs() < 1e-12 => {}
                _ if value == 0.0 => {}
                _ => return Err(self.fault("A", (row, column), "not of the form x_next - A x - B u = b")),
            }
        }
        for (row, b) in self.b.iter().enumerate().take(self.raw.neq) {
            let (k, i) = (row / nx, row % nx);
            if k == 0 {
                put(&mut qp.x0, i, *b);
                put(qp.stage_mut(0).a, i * (nx + 1), 1.0);
            } else {
                put(qp.stage_mut(k).c, i, *b);
            }
        }
        Ok(())
    }
}

fn stage_of(place: Place) -> usize {
    let (Place::U(k, _) | Place::X(k, _) | Place::S(k, _)) = place;
    k
}

fn put(out: &mut [f64], at: usize, value: f64) {
    if let Some(slot) = out.get_mut(at) {
        *slot = value;
    }
}
