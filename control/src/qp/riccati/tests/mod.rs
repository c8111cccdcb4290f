//! What the interior-point method promises, on programmes drawn at random and on the benchmark's.
#![allow(clippy::needless_range_loop, reason = "index loops over columns are what the equations say")]

mod benchmark;
pub(crate) mod draw;
mod promises;
