//! actors
#![allow(missing_docs)]
pub mod kernel;
