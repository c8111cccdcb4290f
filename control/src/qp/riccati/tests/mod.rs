//! What the interior-point method promises, on programmes drawn at random and on the benchmark's.
#![allow(clippy::indexing_slicing, reason = "tests")]

mod draw;
mod promises;
