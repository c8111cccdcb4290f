//! Matrices in panels of four lanes, and the one product that the filter needs, `X Yᵀ`.
//!
//! A panel is column-major; its columns are padded with zeros to a multiple of [`LANES`], so that every tile of the
//! product is whole. `P` is symmetric, hence `A P = A Pᵀ`, and all three products of the filter (`A P`, `(A P) Aᵀ` and
//! `W Wᵀ`) are `X Yᵀ`: both operands are read down their columns, and no transpose is ever formed.
//!
//! The tile of 12 × 4 (8 × 4, 4 × 4 at the edge) is held in registers over the whole sum; LLVM turns its loops into
//! fused multiply-adds of four lanes. Source of the scheme: K. Goto and R. van de Geijn, Anatomy of high-performance
//! matrix multiplication, ACM Trans. Math. Softw. 34 (2008), 12.

#![allow(
    clippy::indexing_slicing,
    reason = "a numeric kernel: every length is a multiple of LANES set at construction"
)]
#![allow(clippy::needless_range_loop, reason = "tiles are written by their indices, and unroll")]

use nalgebra::DMatrix;

/// Numbers of one vector register.
pub(super) const LANES: usize = 4;

/// `n` rounded up to whole lanes.
pub(super) fn padded(n: usize) -> usize {
    n.div_ceil(LANES) * LANES
}

/// A column-major matrix with padded columns.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Panel {
    /// Length of a padded column.
    pub(super) lead: usize,
    /// The numbers, column after column; padded columns too where the matrix is square.
    pub(super) data: Vec<f64>,
}

/// What happens to the product's tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// `out = X Yᵀ`.
    Set,
    /// `out = base + X Yᵀ`, lower triangle, mirrored.
    AddMirrored,
    /// `out -= X Yᵀ`, lower triangle, mirrored.
    TakeMirrored,
}

impl Panel {
    /// Zeros, `rows` × `columns` before padding of both.
    pub(super) fn zeros(rows: usize, columns: usize) -> Self {
        Self { lead: padded(rows), data: vec![0.0; padded(rows) * padded(columns)] }
    }

    /// A copy of `matrix`, padded.
    pub(super) fn from(matrix: &DMatrix<f64>) -> Self {
        let mut panel = Self::zeros(matrix.nrows(), matrix.ncols());
        for (j, column) in matrix.column_iter().enumerate() {
            for (i, value) in column.iter().enumerate() {
                panel.data[i + j * panel.lead] = *value;
            }
        }
        panel
    }

    /// Column `j`, padded.
    pub(super) fn column(&self, j: usize) -> &[f64] {
        &self.data[j * self.lead..(j + 1) * self.lead]
    }

    /// Element (i, j).
    pub(super) fn at(&self, i: usize, j: usize) -> f64 {
        self.data[i + j * self.lead]
    }

    /// `self = X Yᵀ`; all three square and of one size.
    pub(super) fn product(&mut self, x: &Self, y: &Self) {
        debug_assert!(self.data.len() == x.data.len() && x.data.len() == y.data.len());
        self.tiles(&x.data, &y.data, None, Fate::Set);
    }

    /// `self = base + X Yᵀ`, whose lower triangle is computed and mirrored: symmetric bit for bit.
    pub(super) fn symmetric_product(&mut self, x: &Self, y: &Self, base: &Self) {
        debug_assert!(self.data.len() == x.data.len() && base.data.len() == x.data.len());
        self.tiles(&x.data, &y.data, Some(&base.data), Fate::AddMirrored);
    }

    /// `self -= W Wᵀ` with the first `columns` of W: symmetric bit for bit.
    pub(super) fn downdate(&mut self, w: &Self, columns: usize) {
        let used = &w.data[..columns * self.lead];
        self.tiles(used, used, None, Fate::TakeMirrored);
    }

    fn tiles(&mut self, x: &[f64], y: &[f64], base: Option<&[f64]>, fate: Fate) {
        let lead = self.lead;
        for j in (0..lead).step_by(LANES) {
            let mut i = if fate == Fate::Set { 0 } else { j };
            while i < lead {
                let at = Tile { lead, i, j };
                i += LANES
                    * match (lead - i) / LANES {
                        1 => at.run::<1>(&mut self.data, (x, y), base, fate),
                        2 | 4 => at.run::<2>(&mut self.data, (x, y), base, fate),
                        _ => at.run::<3>(&mut self.data, (x, y), base, fate),
                    };
            }
        }
    }
}

/// The place of a tile in a square panel.
#[derive(Clone, Copy, Debug)]
struct Tile {
    lead: usize,
    i: usize,
    j: usize,
}

impl Tile {
    /// Computes and stores the tile of `HIGH` vectors of rows and four columns; gives `HIGH`.
    #[inline(always)]
    fn run<const HIGH: usize>(
        self,
        out: &mut [f64],
        (x, y): (&[f64], &[f64]),
        base: Option<&[f64]>,
        fate: Fate,
    ) -> usize {
        let Self { lead, i, j } = self;
        let mut tile = [[[0.0; LANES]; HIGH]; LANES];
        for (x, y) in x.chunks_exact(lead).zip(y.chunks_exact(lead)) {
            let x = x[i..].as_chunks::<LANES>().0.first_chunk::<HIGH>();
            let (Some(x), Some(y)) = (x, y[j..].first_chunk::<LANES>()) else { continue };
            for c in 0..LANES {
                for v in 0..HIGH {
                    for l in 0..LANES {
                        tile[c][v][l] = x[v][l].mul_add(y[c], tile[c][v][l]);
                    }
                }
            }
        }
        for c in 0..LANES {
            let from = i + (j + c) * lead;
            let sums = tile[c].as_flattened();
            let column = &mut out[from..from + sums.len()];
            match (fate, base) {
                (Fate::Set, _) => column.copy_from_slice(sums),
                (Fate::TakeMirrored, _) => column.iter_mut().zip(sums).for_each(|(out, t)| *out -= t),
                (Fate::AddMirrored, base) => {
                    let base = base.map_or(&[][..], |base| &base[from..from + sums.len()]);
                    for ((out, t), base) in column.iter_mut().zip(sums).zip(base) {
                        *out = base + t;
                    }
                }
            }
        }
        if fate != Fate::Set {
            self.mirror(out, HIGH * LANES);
        }
        HIGH
    }

    /// Copies the tile of `high` rows, as far as it lies below the diagonal, to its place above.
    #[inline(always)]
    fn mirror(self, out: &mut [f64], high: usize) {
        let Self { lead, i, j } = self;
        for row in i..i + high {
            let columns = (row - j).min(LANES);
            for c in 0..columns {
                out[j + c + row * lead] = out[row + (j + c) * lead];
            }
        }
    }
}

/// `out += factor * values`, four lanes at a time; equal lengths, multiples of [`LANES`].
#[inline]
pub(super) fn add_scaled(out: &mut [f64], factor: f64, values: &[f64]) {
    for (out, values) in out.as_chunks_mut::<LANES>().0.iter_mut().zip(values.as_chunks::<LANES>().0) {
        for l in 0..LANES {
            out[l] = values[l].mul_add(factor, out[l]);
        }
    }
}
