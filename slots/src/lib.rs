//! What threads of the loop share, and never wait for each other at.
//!
//! - [`Latest`]: the newest value of an edge. Never a queue.
//! - [`Bell`]: a coalesced wake-up whose address outlives whoever answers it.
//! - [`Bounded`]: a queue of fixed capacity, for what must not be overwritten: events, commands. A full one gives the
//!   message back.
//!
//! Stands below the actors, which put ractor behind the bells. A crate of its own, and without ractor or tokio, so that
//! loom can run it: loom needs a build of everything under `--cfg loom`, and tokio reads that flag too.
//!
//! # Invariants
//! - No call blocks in the operating system, none calls foreign code while it holds something, and none allocates, but
//!   for the constructors.
//! - A thread that is suspended anywhere inside a call stops no other thread's call. The exceptions stand at
//!   [`Latest::take`] and [`Bounded`].
//! - What is promised between threads is a model under loom, and has a twin with a seeded fault that loom must find:
//!   `RUSTFLAGS="--cfg loom" cargo test -p slots --release --lib`.
//!
//! Sources: D. Vyukov's bounded queue of many producers and consumers (1024cores.net); the slot is Simpson's four-slot
//! idea (IEE Proc. E 137, 1990) with a claim on a cell instead of four fixed roles, for any number of threads.

mod bell;
mod bounded;
mod latest;
mod sync;

pub use bell::{Bell, Wake};
pub use bounded::{Bounded, Full};
pub use latest::Latest;
