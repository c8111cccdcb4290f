//! The closed loop as supervised actors.
//!
//! ```text
//!            beat                                        T/10 scans
//! pacer ──────┬──────────────────────────────────────────────┐
//!             ▼                                              ▼
//! image ▶ sensor (one per tag) ▶ estimator ▶ mpc ▷ solver ▶ selector ▶ interlock ▶ actuator ▶ MoveSink
//!                                    └─────▶ model                    │   └─────▶ outlet (status tags)
//!                                                                     └─▶ recommender, in ADVISORY ▶ outlet
//! ```
//!
//! The image is the inlet, latched at each beat. `▶` is a newest-value slot and a doorbell; `▷` crosses to the solver's thread. Each stage is one file: it reads
//! slots, calls one pure `step` of `control` or `safety`, writes slots and rings on. The kernel (slots, doorbells,
//! pacer, clock, supervision) knows nothing of control.
//!
//! # Invariants
//! - Nothing unbounded is reachable from the cycle: edges are slots, doorbells coalesce, the event log is a bounded
//!   channel that loses the newest.
//! - A move reaches a [`MoveSink`] only as a [`safety::ApprovedMove`], by value.
//! - All of a loop's stages run on one thread, the control runtime's; only the solver and its keeper have their own. A
//!   process may hold many loops: each has its own threads and its own subtree, and they share nothing.
//! - In the steady state a cycle allocates nothing outside the solver.

mod actuator;
pub mod board;
mod children;
mod config;
mod driver;
mod estimator;
mod interlock;
pub mod kernel;
mod model;
mod mpc;
mod playback;
pub mod ports;
mod recommender;
mod report;
mod selector;
mod sensor;
mod solver;
pub mod tape;
mod wiring;

pub use board::Board;
pub use playback::{Playback, Reach};
pub use ports::{EventQueue, Inlet, MoveSink, NewsQueue, Outlet};
pub use solver::{Answer, PlaybackError};
pub use wiring::{AdviceConfig, Ending, Loop, LoopConfig, LoopContext, Stopped, WiringError};
