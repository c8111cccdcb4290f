//! What a cause speaks of: the loop, a measured tag, an MV, a balance.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A measured variable of the loop, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variable {
    /// A controlled variable.
    Cv(u16),
    /// A disturbance variable.
    Dv(u16),
}

/// A measured tag by its place in the loop and by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// The index of [`signals::TagId`].
    pub tag: u16,
    /// The variable that it measures.
    pub variable: Variable,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.variable {
            Variable::Cv(n) => write!(f, "CV{} (tag {})", n + 1, self.tag),
            Variable::Dv(n) => write!(f, "DV{} (tag {})", n + 1, self.tag),
        }
    }
}

/// What a cause speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The loop.
    Loop,
    /// A measured tag.
    Tag(Measured),
    /// An MV, counted from 0.
    Mv(u16),
    /// A balance, counted from 0.
    Balance(u16),
}

impl Subject {
    /// What stands for it in a code of `SHED_REASON`: 0 the loop, 1–24 the tag, 51–58 the MV, 61–76 the balance.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            Self::Loop => 0,
            Self::Tag(measured) => measured.tag.saturating_add(1),
            Self::Mv(mv) => mv.saturating_add(51),
            Self::Balance(balance) => balance.saturating_add(61),
        }
    }
}

/// `loop`, `CV1`, `DV2`, `MV1`, `balance1`.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |what: &str, n: &u16| format!("{what}{}", u32::from(*n) + 1);
        match self {
            Self::Loop => f.pad("loop"),
            Self::Tag(Measured { variable: Variable::Cv(n), .. }) => f.pad(&named("CV", n)),
            Self::Tag(Measured { variable: Variable::Dv(n), .. }) => f.pad(&named("DV", n)),
            Self::Mv(n) => f.pad(&named("MV", n)),
            Self::Balance(n) => f.pad(&named("balance", n)),
        }
    }
}
