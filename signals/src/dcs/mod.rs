//! The vocabulary of the hand-shake with the DCS: its enumerations, its tags, and the two images of them.
//!
//! One table, [`DcsTag::all`], names every tag with its direction and type. The runtime's OPC UA client and the rig's
//! OPC UA server both walk that table, so that a tag exists on both sides or on neither. Values travel through
//! [`Wire`]; [`DcsView`] is what the DCS owns and we read, [`ApcView`] is what we write and the DCS reads.
//!
//! Anchors: Foundation Fieldbus mode shedding, OPC UA Parts 4 and 8 (the severity of a status decides whether there is
//! a value), NAMUR NE 178. The table itself is documented for users in `docs/dcs-interface.md`.

mod modes;
mod tags;
mod views;
mod wire;

pub use modes::{CvStatus, ModeActual, ModeRequest, MvMode, MvStatus, RecStatus, ShedOption, Windup};
pub use tags::{CvTag, DcsTag, Direction, DvTag, MvTag};
pub use views::{
    ApcView, CvRead, CvWrite, DcsView, DvRead, MvRead, MvWrite, RecRead, Recommendation, Spares, WireField,
};
pub use wire::{Reading, TEXT_MAX, Text, Wire, WireType, WireValue};
