//! How a value travels: its type on the wire, and what was read with what quality.

use crate::{Quality, Stamp};

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

/// A value on the wire, texts excepted: those are constants of a run and pass beside the images.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are those of the OPC UA built-in types")]
pub enum WireValue {
    Boolean(bool),
    UInt16(u16),
    UInt32(u32),
    Int32(i32),
    Double(f64),
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
plain_wire!(bool => Boolean, u16 => UInt16, u32 => UInt32, f64 => Double);

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
