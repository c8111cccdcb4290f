//! Small dense matrices in fixed lanes: products, symmetric updates, Cholesky, triangular solves.
//!
//! Under the Riccati recursion. A matrix is stored column by column, and the height of every tall one is NX, a multiple
//! of [`LANES`], so that a column is a whole number of vector registers; the padding rows and columns are zeros and
//! stay zeros. Each kernel is written once over a [`Shape`]: with [`Fixed`] the compiler knows every trip count, with
//! [`Dynamic`] it does not.
//!
//! # Invariants
//! - Accumulators live in registers: a tile is at most 3 vectors by 4 columns, 12 of AVX2's 16 registers.
//! - Only the lower triangle of a symmetric matrix is computed; the upper one is its mirror, so symmetry is exact.
//!
//! Source of the blocking: Frison et al., *BLASFEO: Basic linear algebra subroutines for embedded optimization*, ACM
//! TOMS 44 (2018).
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: every slice has a length set at construction")]
#![allow(clippy::needless_range_loop, reason = "index loops over lanes and columns are what the equations say")]

use std::fmt::Debug;

/// Doubles in a vector register.
pub(crate) const LANES: usize = 4;

/// One vector register.
pub(crate) type Lane = [f64; LANES];

/// The padded sizes of a stage.
pub(crate) trait Shape: Copy + Debug + Send + 'static {
    /// States, a multiple of [`LANES`].
    fn nx(self) -> usize;
    /// Inputs.
    fn nu(self) -> usize;
}

/// Sizes that the compiler knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fixed<const NX: usize, const NU: usize>;

/// Sizes that it does not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dynamic {
    pub(crate) nx: usize,
    pub(crate) nu: usize,
}

impl<const NX: usize, const NU: usize> Shape for Fixed<NX, NU> {
    #[inline(always)]
    fn nx(self) -> usize {
        NX
    }
    #[inline(always)]
    fn nu(self) -> usize {
        NU
    }
}

impl Shape for Dynamic {
    #[inline(always)]
    fn nx(self) -> usize {
        self.nx
    }
    #[inline(always)]
    fn nu(self) -> usize {
        self.nu
    }
}

/// `acc += x · c`, lane by lane.
#[inline(always)]
fn madd(acc: &mut Lane, x: &Lane, c: f64) {
    for i in 0..LANES {
        acc[i] = x[i].mul_add(c, acc[i]);
    }
}

/// The columns of `x` (height `nx`) in lanes.
#[inline(always)]
fn columns(x: &[f64], nx: usize) -> impl Iterator<Item = &[Lane]> {
    x.chunks_exact(nx).map(|column| column.as_chunks::<LANES>().0)
}

/// R vectors by C columns of a product, in registers.
type Tile<const R: usize, const C: usize> = [[Lane; R]; C];

/// `tile += X[i, :] · Y[j, :]'`, with `i` the R vectors from `row` and `j` the C rows from `at`; X is `nx` high, Y
/// `ny`.
#[inline(always)]
fn tile_product<const R: usize, const C: usize>(
    tile: &mut Tile<R, C>,
    (x, nx, row): (&[f64], usize, usize),
    (y, ny, at): (&[f64], usize, usize),
) {
    let mut sum = *tile;
    for (column, y) in x.chunks_exact(nx).zip(y.chunks_exact(ny)) {
        let lanes = column.as_chunks::<LANES>().0[row..].first_chunk::<R>();
        let (Some(lanes), Some(y)) = (lanes, y[at..].first_chunk::<C>()) else { return };
        for c in 0..C {
            for r in 0..R {
                madd(&mut sum[c][r], &lanes[r], y[c]);
            }
        }
    }
    *tile = sum;
}

#[inline(always)]
fn load<const R: usize, const C: usize>(from: &[f64], nx: usize, row: usize, column: usize) -> Tile<R, C> {
    let mut tile = [[[0.0; LANES]; R]; C];
    for c in 0..C {
        let lanes = from[(column + c) * nx..][..nx].as_chunks::<LANES>().0;
        if let Some(lanes) = lanes[row..].first_chunk::<R>() {
            tile[c] = *lanes;
        }
    }
    tile
}

#[inline(always)]
fn store<const R: usize, const C: usize>(tile: &Tile<R, C>, to: &mut [f64], nx: usize, row: usize, column: usize) {
    for c in 0..C {
        let lanes = to[(column + c) * nx..][..nx].as_chunks_mut::<LANES>().0;
        if let Some(lanes) = lanes[row..].first_chunk_mut::<R>() {
            *lanes = tile[c];
        }
    }
}

/// Cuts `$left` vectors into groups of 3 and 2 (1 only where nothing else is left) and runs `$body` for each.
macro_rules! in_groups {
    ($from:expr, $to:expr, |$row:ident, $r:ident| $body:expr) => {{
        let (mut $row, to) = ($from, $to);
        while $row < to {
            match to - $row {
                1 => {
                    const $r: usize = 1;
                    $body;
                    $row += 1;
                }
                2 | 4 => {
                    const $r: usize = 2;
                    $body;
                    $row += 2;
                }
                _ => {
                    const $r: usize = 3;
                    $body;
                    $row += 3;
                }
            }
        }
    }};
}

/// `out = start + X Y'`; X is NX × K, Y is J × K, `start` and `out` are NX × J.
#[inline(always)]
pub(crate) fn multiply(nx: usize, x: &[f64], y: &[f64], start: Option<&[f64]>, out: &mut [f64]) {
    let wide = out.len() / nx;
    let mut column = 0;
    while column + 4 <= wide {
        multiply_columns::<4>(nx, (x, y), start, out, column);
        column += 4;
    }
    match wide - column {
        3 => multiply_columns::<3>(nx, (x, y), start, out, column),
        2 => multiply_columns::<2>(nx, (x, y), start, out, column),
        1 => multiply_columns::<1>(nx, (x, y), start, out, column),
        _ => {}
    }
}

#[inline(always)]
fn multiply_columns<const C: usize>(
    nx: usize,
    (x, y): (&[f64], &[f64]),
    start: Option<&[f64]>,
    out: &mut [f64],
    column: usize,
) {
    let wide = out.len() / nx;
    in_groups!(0, nx / LANES, |row, R| {
        let mut tile = match start {
            Some(start) => load::<R, C>(start, nx, row, column),
            None => [[[0.0; LANES]; R]; C],
        };
        tile_product(&mut tile, (x, nx, row), (y, wide, column));
        store(&tile, out, nx, row, column);
    });
}

/// The terms of [`symmetric`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<'a> {
    /// NX × NX, symmetric.
    pub(crate) start: &'a [f64],
    /// NX × K each: `Y Z'` is added, and has to be symmetric.
    pub(crate) outer: [(&'a [f64], &'a [f64]); 3],
}

/// `out = start + Σ Y Z'`, NX × NX; the lower triangle, mirrored.
#[inline(always)]
pub(crate) fn symmetric(nx: usize, terms: &Terms<'_>, out: &mut [f64]) {
    let blocks = nx / LANES;
    for block in 0..blocks {
        let at = block * LANES;
        in_groups!(block, blocks, |row, R| {
            let mut tile: Tile<R, LANES> = load(terms.start, nx, row, at);
            for (y, z) in terms.outer {
                tile_product(&mut tile, (y, nx, row), (z, nx, at));
            }
            store_mirrored(&mut tile, out, nx, row, at);
        });
    }
}

/// Stores a tile of the lower triangle, and its mirror in the upper one.
#[inline(always)]
fn store_mirrored<const R: usize>(tile: &mut Tile<R, LANES>, out: &mut [f64], nx: usize, row: usize, at: usize) {
    for r in 0..R {
        let mut mirror = [[0.0; LANES]; LANES];
        for e in 0..LANES {
            mirror[e] = [tile[0][r][e], tile[1][r][e], tile[2][r][e], tile[3][r][e]];
        }
        if (row + r) * LANES == at {
            for e in 0..LANES {
                for c in e + 1..LANES {
                    tile[c][r][e] = tile[e][r][c];
                }
            }
        } else {
            for e in 0..LANES {
                let column = (row + r) * LANES + e;
                out[column * nx..(column + 1) * nx][at..at + LANES].copy_from_slice(&mirror[e]);
            }
        }
    }
    store(tile, out, nx, row, at);
}

/// `y += X v`; X is NX × K.
#[inline(always)]
pub(crate) fn add_product(nx: usize, x: &[f64], v: &[f64], y: &mut [f64]) {
    let blocks = nx / LANES;
    let mut row = 0;
    while row + 6 <= blocks {
        add_rows::<6>((nx, row), x, v, y);
        row += 6;
    }
    match blocks - row {
        5 => add_rows::<5>((nx, row), x, v, y),
        4 => add_rows::<4>((nx, row), x, v, y),
        3 => add_rows::<3>((nx, row), x, v, y),
        2 => add_rows::<2>((nx, row), x, v, y),
        1 => add_rows::<1>((nx, row), x, v, y),
        _ => {}
    }
}

#[inline(always)]
fn add_rows<const R: usize>((nx, row): (usize, usize), x: &[f64], v: &[f64], y: &mut [f64]) {
    let lanes = &mut y.as_chunks_mut::<LANES>().0[row..row + R];
    let mut acc = [[0.0; LANES]; R];
    acc.copy_from_slice(lanes);
    for (column, v) in columns(x, nx).zip(v) {
        let column = &column[row..row + R];
        for r in 0..R {
            madd(&mut acc[r], &column[r], *v);
        }
    }
    lanes.copy_from_slice(&acc);
}

/// `a'b`, whose lengths are equal multiples of [`LANES`].
#[inline(always)]
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut acc = [0.0; LANES];
    for (a, b) in a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0) {
        for i in 0..LANES {
            acc[i] = a[i].mul_add(b[i], acc[i]);
        }
    }
    (acc[0] + acc[2]) + (acc[1] + acc[3])
}

/// Cholesky in place: the lower triangle of the `n` × `n` matrix becomes L, its diagonal 1/L_ii. The upper triangle is
/// not read. False, and a spoilt matrix, when a pivot is not positive or is NaN.
#[inline(always)]
pub(crate) fn cholesky(n: usize, m: &mut [f64]) -> bool {
    let m = &mut m[..n * n];
    for j in 0..n {
        let mut pivot = m[j + j * n];
        for l in 0..j {
            pivot = m[j + l * n].mul_add(-m[j + l * n], pivot);
        }
        if !(pivot > 0.0 && pivot.is_finite()) {
            return false;
        }
        let inverse = 1.0 / pivot.sqrt();
        m[j + j * n] = inverse;
        for i in j + 1..n {
            let mut sum = m[i + j * n];
            for l in 0..j {
                sum = m[i + l * n].mul_add(-m[j + l * n], sum);
            }
            m[i + j * n] = sum * inverse;
        }
    }
    true
}

/// `v = L⁻¹ v`, with L from [`cholesky`].
#[inline(always)]
pub(crate) fn solve_lower(n: usize, l: &[f64], v: &mut [f64]) {
    let (l, v) = (&l[..n * n], &mut v[..n]);
    for i in 0..n {
        let mut sum = v[i];
        for j in 0..i {
            sum = l[i + j * n].mul_add(-v[j], sum);
        }
        v[i] = sum * l[i + i * n];
    }
}

/// `v = L'⁻¹ v`, with L from [`cholesky`].
#[inline(always)]
pub(crate) fn solve_upper(n: usize, l: &[f64], v: &mut [f64]) {
    let (l, v) = (&l[..n * n], &mut v[..n]);
    for i in (0..n).rev() {
        let mut sum = v[i];
        for j in i + 1..n {
            sum = l[j + i * n].mul_add(-v[j], sum);
        }
        v[i] = sum * l[i + i * n];
    }
}

/// `Y = Y L'⁻¹`; Y is NX × `n`, L from [`cholesky`].
#[inline(always)]
pub(crate) fn solve_right(nx: usize, n: usize, l: &[f64], y: &mut [f64]) {
    let (l, y) = (&l[..n * n], &mut y[..nx * n]);
    for j in 0..n {
        let (done, rest) = y.split_at_mut(j * nx);
        let column = rest[..nx].as_chunks_mut::<LANES>().0;
        for (i, done) in columns(done, nx).enumerate() {
            for (to, from) in column.iter_mut().zip(done) {
                madd(to, from, -l[j + i * n]);
            }
        }
        column.iter_mut().for_each(|lane| lane.iter_mut().for_each(|v| *v *= l[j + j * n]));
    }
}
