//! How a value travels: its type on the wire, and what was read with what quality.

use crate::{Fixed, Quality, Stamp};

/// The OPC UA type of a tag (enumerations travel as `Int32`, as OPC UA enumerations do).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the OPC UA built-in types")]
pub enum WireType {
    Boolean,
    UInt16,
    UInt32,
    Int32,
    Double,
    String,
}

/// A value on the wire. Texts that are no more than shown pass beside the images.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are those of the OPC UA built-in types")]
pub enum WireValue {
    Boolean(bool),
    UInt16(u16),
    UInt32(u32),
    Int32(i32),
    Double(f64),
    String(Text),
}

/// The longest [`Text`], in bytes.
pub const TEXT_MAX: usize = 32;

/// A short text that crosses a slot without allocation: the name of a user.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Text(Fixed<u8, TEXT_MAX>);

impl Text {
    /// As much of `text` as there is room for, cut between two characters.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let end = text.floor_char_boundary(TEXT_MAX);
        Self(Fixed::collect(text.bytes().take(end)))
    }

    /// The text in these bytes; an empty one where they are none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self::new(std::str::from_utf8(bytes).unwrap_or_default())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// A type that has exactly one form on the wire. Decoding is strict: a value of another type is no value.
pub trait Wire: Copy + Default {
    /// Its type on the wire.
    const TYPE: WireType;
    /// To the wire.
    fn encode(self) -> WireValue;
    /// From the wire; `None` for a value of another type or outside an enumeration.
    fn decode(value: WireValue) -> Option<Self>;
}

macro_rules! plain_wire {
    ($($native:ty => $wire:ident),*) => {$(
        impl Wire for $native {
            const TYPE: WireType = WireType::$wire;
            fn encode(self) -> WireValue {
                WireValue::$wire(self)
            }
            fn decode(value: WireValue) -> Option<Self> {
                match value {
                    WireValue::$wire(v) => Some(v),
                    _ => None,
                }
            }
        }
    )*};
}
plain_wire!(bool => Boolean, u16 => UInt16, u32 => UInt32, f64 => Double, Text => String);

/// A value that was read, and how far it may be believed. The default is bad and infinitely old.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading<T> {
    /// The value; meaningless when the quality is bad.
    pub value: T,
    /// Its quality.
    pub quality: Quality,
    /// When its source took it.
    pub source_time: Stamp,
}

impl<T: Copy> Reading<T> {
    /// A good reading.
    #[must_use]
    pub fn of(value: T, source_time: Stamp) -> Self {
        Self { value, quality: Quality::Good, source_time }
    }

    /// The value, if its quality is good.
    #[must_use]
    pub fn good(&self) -> Option<T> {
        self.quality.is_good().then_some(self.value)
    }
}

impl Reading<f64> {
    /// The value, if its quality is good and the number finite.
    #[must_use]
    pub fn finite(&self) -> Option<f64> {
        self.good().filter(|v| v.is_finite())
    }
}

impl<T: Default> Default for Reading<T> {
    fn default() -> Self {
        Self { value: T::default(), quality: Quality::Bad, source_time: Stamp::NEVER }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_two_characters() {
        assert_eq!(Text::new("Özlem").as_str(), "Özlem");
        let long = "a".repeat(TEXT_MAX - 1) + "ö";
        assert_eq!(Text::new(&long).as_str(), "a".repeat(TEXT_MAX - 1));
        assert_eq!(Text::from_bytes(Text::new(&long).as_str().as_bytes()), Text::new(&long));
        assert_eq!(Text::from_bytes(&[0xff]).as_str(), "");
    }
}
