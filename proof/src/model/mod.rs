//! The bounded model: the real interlock and the real DCS, and everything between and around them that may go wrong.
//!
//! Time passes in scans. In a scan the DCS scans and says its image, the link carries it or does not, our process steps, its
//! writer writes, the link carries that or does not; and at most one *oddity* befalls them ([`Oddity`]). From some starts
//! (a fresh process, an armed one, an engaged one, ...) the checker goes through every life of a bounded number of scans
//! with a bounded number of oddities, wherever in the life they fall. The judge looks at every scan ([`Invariant`]); what
//! must happen somewhere, or nothing was tried, is a [`Milestone`].
//!
//! # What is real and what is not
//! Real: `safety::Interlock` and `rig::dcs::Dcs`. The model's own: the link, the writer, the wiring between them
//! (`process`), a controller that always wants too much, one MV and one CV whose measurement stands still.
//!
//! # Assumptions
//! - A write reaches the DCS within two scans or never; [`Bug::LateForEver`] shows what hangs on that, for `SP_REQ`
//!   carries no lease.
//! - An image that was overtaken by a newer one is dropped; [`Bug::OlderImageTaken`] shows what hangs on that.
//! - At most one oddity per scan; standing ones last until they are turned off.

mod bug;
mod check;
mod judge;
mod oddity;
mod process;
mod setup;
mod world;

#[cfg(test)]
mod tests;

pub use bug::Bug;
pub use check::{Bounds, Clean, Counterexample, Machine, Node, Seeded, check_clean, find};
pub use judge::{Invariant, Milestone};
pub use oddity::Oddity;
pub use setup::{Grain, Setup};
pub use world::World;
