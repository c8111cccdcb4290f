//! The layer that keeps latency bounded on top of ractor and tokio. Nothing here knows of control.
//!
//! - [`Latest`]: one newest-value slot per edge; never a queue.
//! - [`Bounded`]: a queue of fixed capacity that gives back what does not fit, for what must not be overwritten.
//! - [`Handle`]: the address of a stage's commands, a bounded queue with a doorbell.
//! - [`Doorbell`]: a coalesced wake-up with a stable address that survives a restart of its stage.
//! - [`Stage`]: what steps when its bell is rung. The round (`round`, `turns`) steps those of one loop, one after the other.
//! - [`Clock`]: the reader of the clock; wall or virtual.
//! - [`Pacer`]: beats on absolute time that keep their phase and never burst. Beside [`Clock`], the only one that asks for
//!   the time.
//! - [`watchdog`]: takes the permit to write away from a loop whose cycle stands still.
//! - [`rt`]: what the control thread asks of the operating system, so that the beat comes in time.
//! - [`panics`]: a panic hook that costs the panicking thread next to nothing.
//! - [`Witness`]: is told what the kernel does, in its order, so that it can be done again.
//! - [`supervision`]: one ractor actor per loop that owns its round; restarts with intensity and backoff in control periods.
//! - [`LastGood`]: a stage's memory of its last good step, for its next incarnation.
//!
//! Why not plain ractor: its mailboxes are unbounded, a panicked actor loses its state and its address, and its
//! timers are late and burst (docs/adr/0004).

mod clock;
mod doorbell;
mod handle;
mod last_good;
mod pacer;
pub mod panics;
mod probe;
mod round;
pub mod rt;
mod stage;
pub mod supervision;
mod turns;
pub mod watchdog;
mod witness;

pub use clock::{Clock, utc_now};
pub use doorbell::{Doorbell, Ring};
pub use handle::Handle;
pub use last_good::{LastGood, PROBATION};
pub use pacer::{Pacer, PacerError, Tick};
pub use probe::{Observer, Probe, RELEASE, StageReport, Telemetry, Unobserved};
pub use slots::{Bounded, Full, Latest};
pub use stage::Stage;
pub use witness::{Act, Unwitnessed, Witness};
