//! The one order of numbers in flat vectors over all stages: iterates, directions, gradients, weights.
#![allow(clippy::indexing_slicing, reason = "a numeric kernel: every slice has a length set at construction")]

/// Where the parts of a stage lie in a flat vector: states (padded), inputs (padded), rows; stage by stage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) nx: usize,
    pub(crate) nu: usize,
    pub(crate) rows: usize,
    pub(crate) horizon: usize,
}

impl Layout {
    /// Numbers of one stage.
    pub(crate) fn stride(&self) -> usize {
        self.nx + self.nu + self.rows
    }

    /// Numbers of all stages, N + 1 of them.
    pub(crate) fn len(&self) -> usize {
        (self.horizon + 1) * self.stride()
    }

    /// One stage of a flat vector: states, inputs, rows.
    #[inline(always)]
    pub(crate) fn stage<'a>(&self, v: &'a [f64], k: usize) -> (&'a [f64], &'a [f64], &'a [f64]) {
        let stage = &v[k * self.stride()..(k + 1) * self.stride()];
        let (x, rest) = stage.split_at(self.nx);
        let (u, rows) = rest.split_at(self.nu);
        (x, u, rows)
    }

    /// The same, to be written.
    #[inline(always)]
    pub(crate) fn stage_mut<'a>(&self, v: &'a mut [f64], k: usize) -> (&'a mut [f64], &'a mut [f64], &'a mut [f64]) {
        let stride = self.stride();
        let stage = &mut v[k * stride..(k + 1) * stride];
        let (x, rest) = stage.split_at_mut(self.nx);
        let (u, rows) = rest.split_at_mut(self.nu);
        (x, u, rows)
    }
}
