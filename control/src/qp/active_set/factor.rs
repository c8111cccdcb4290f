//! The factor `G = L D L'` of the Gram matrix of the working set, grown and shrunk by one row at a time.
//!
//! `L` has a unit diagonal and is stored by columns with a fixed stride, so that every inner loop is contiguous.
//! Appending costs one forward substitution, removing one rank-one update of what follows the removed row (method C1 of
//! Gill, Golub, Murray and Saunders, *Methods for modifying matrix factorizations*, 1974).
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: every slice has a length set at construction")]

use super::lanes::{add_multiple, dot};

#[derive(Debug)]
pub(super) struct Factor {
    stride: usize,
    size: usize,
    l: Vec<f64>,
    d: Vec<f64>,
    /// `L⁻¹` times the Gram column of the row that was offered last, and the removed column in [`Self::remove`].
    offered: Vec<f64>,
}

impl Factor {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            stride: capacity,
            size: 0,
            l: vec![0.0; capacity * capacity],
            d: vec![0.0; capacity],
            offered: vec![0.0; capacity],
        }
    }

    pub(super) fn clear(&mut self) {
        self.size = 0;
    }

    /// The pivot that a row would have, given its products with the rows in the factor and with itself.
    pub(super) fn offer(&mut self, gram: &[f64], diagonal: f64) -> f64 {
        let size = self.size;
        self.offered[..size].copy_from_slice(&gram[..size]);
        let mut pivot = diagonal;
        for j in 0..size {
            let y = self.offered[j];
            add_multiple(&mut self.offered[j + 1..size], -y, &self.l[j * self.stride + j + 1..j * self.stride + size]);
            self.offered[j] = y / self.d[j];
            pivot = (-y).mul_add(self.offered[j], pivot);
        }
        pivot
    }

    /// Takes the offered row in.
    pub(super) fn accept(&mut self, pivot: f64) {
        for j in 0..self.size {
            self.l[j * self.stride + self.size] = self.offered[j];
        }
        self.d[self.size] = pivot;
        self.size += 1;
    }

    /// `z` with `G z = -gram` of the offered row: together with 1 for the row itself, the direction in which a
    /// dependent row leaves `v` unmoved.
    pub(super) fn ray(&self, z: &mut [f64]) {
        for (z, offered) in z.iter_mut().zip(&self.offered[..self.size]) {
            *z = -offered;
        }
        self.backward(z);
    }

    /// Takes row `k` out.
    pub(super) fn remove(&mut self, k: usize) {
        let (stride, size) = (self.stride, self.size);
        let tail = size - k - 1;
        self.offered[..tail].copy_from_slice(&self.l[k * stride + k + 1..k * stride + size]);
        let mut weight = self.d[k];
        for j in 0..k {
            self.l.copy_within(j * stride + k + 1..j * stride + size, j * stride + k);
        }
        for j in 0..tail {
            let (old, p) = ((k + 1 + j) * stride + k + 1 + j + 1, self.offered[j]);
            let d = self.d[k + 1 + j];
            let d_new = (p * weight).mul_add(p, d);
            let gain = p * weight / d_new;
            weight *= d / d_new;
            self.d[k + j] = d_new;
            let rest = tail - j - 1;
            let (to, from) = self.l.split_at_mut(old);
            let to = &mut to[old - stride - 1..][..rest];
            for ((to, from), w) in to.iter_mut().zip(&from[..rest]).zip(&mut self.offered[j + 1..tail]) {
                *w = (-p).mul_add(*from, *w);
                *to = gain.mul_add(*w, *from);
            }
        }
        self.size -= 1;
    }

    /// Solves `G z = rhs` in place.
    pub(super) fn solve(&self, z: &mut [f64]) {
        let size = self.size;
        for j in 0..size {
            let y = z[j];
            add_multiple(&mut z[j + 1..size], -y, &self.l[j * self.stride + j + 1..j * self.stride + size]);
            z[j] = y / self.d[j];
        }
        self.backward(z);
    }

    fn backward(&self, z: &mut [f64]) {
        let size = self.size;
        for j in (0..size).rev() {
            z[j] -= dot(&self.l[j * self.stride + j + 1..j * self.stride + size], &z[j + 1..size]);
        }
    }
}
