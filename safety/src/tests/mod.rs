//! Tests of the interlock as a whole, against a small DCS that keeps its side of the hand-shake. They live inside the
//! crate because the negative controls switch off checks that no configuration may switch off.

mod allocation;
mod bypass;
mod bypass_lives;
mod cells;
mod checks;
mod commands;
mod configuration;
mod engaged;
mod matrix;
mod pre_trip;
mod properties;
mod script;
mod speed;
mod states;
mod stimulus;
mod voting;
mod world;
