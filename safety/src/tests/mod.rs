//! Tests of the interlock as a whole, against a small DCS that keeps its side of the hand-shake. They live inside the
//! crate because the negative controls switch off checks that no configuration may switch off.

mod allocation;
mod bypass;
mod checks;
mod commands;
mod configuration;
mod pre_trip;
mod properties;
mod script;
mod states;
mod world;
