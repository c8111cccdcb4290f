//! The hash under which a loop was wired.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The hash over program, model and plant file: the first 64 bits of `CFG_REV`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ConfigHash(pub u64);

impl fmt::Display for ConfigHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
