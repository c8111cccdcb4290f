//! How far a value may be believed: the severity bits of an OPC UA status code (OPC 10000-4, 7.39).

/// The severity of a value. The order is from best to worst, so `max` gives the worse of two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quality {
    /// The value may be used.
    Good,
    /// The value exists and is doubtful; the loop treats it as bad unless a tag's configuration says otherwise.
    Uncertain,
    /// There is no value, whatever the number beside it says.
    #[default]
    Bad,
}

impl Quality {
    /// Whether the value may be used without reserve.
    #[must_use]
    pub fn is_good(self) -> bool {
        self == Self::Good
    }
}
