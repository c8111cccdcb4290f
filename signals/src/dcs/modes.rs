//! The enumerations of the hand-shake, with their codes on the wire.

use super::wire::{Wire, WireType, WireValue};

macro_rules! wire_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $code:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i32)]
        pub enum $name { $($(#[$vmeta])* $variant = $code),* }

        impl $name {
            /// Every value, in the order of the codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name, in the upper case of the DCS table.
            #[must_use]
            pub fn label(self) -> String {
                format!("{self:?}").to_uppercase()
            }
        }

        impl Wire for $name {
            const TYPE: WireType = WireType::Int32;
            fn encode(self) -> WireValue {
                WireValue::Int32(self as i32)
            }
            fn decode(value: WireValue) -> Option<Self> {
                match value {
                    $(WireValue::Int32($code) => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

wire_enum! {
    /// What the operator asks of the APC application (`MODE_REQ`). A bad reading counts as `Off`.
    ModeRequest {
        /// Do nothing.
        #[default]
        Off = 0,
        /// Run, track, write no moves.
        Warm = 1,
        /// Recommend; a person decides.
        Advisory = 2,
        /// Close the loop.
        On = 3,
    }
}

wire_enum! {
    /// What the APC application does (`MODE_ACT`); never above the request.
    ModeActual {
        /// Not running.
        #[default]
        Off = 0,
        /// Armed: tracking, waiting for the DCS to hand over.
        Init = 1,
        /// Running and tracking; no moves.
        Warm = 2,
        /// Recommending.
        Advisory = 3,
        /// In closed loop.
        On = 4,
        /// Gave the MVs back; waits for an acknowledgement.
        Shed = 5,
        /// Tripped; waits for a reset.
        Fault = 6,
    }
}

wire_enum! {
    /// The mode of a slave controller in the DCS (`MVn.MODE`).
    MvMode {
        /// Operator sets the output.
        #[default]
        Man = 0,
        /// Operator sets the set-point.
        Auto = 1,
        /// Another DCS controller sets the set-point.
        Cas = 2,
        /// The APC application sets the set-point.
        Rcas = 3,
    }
}

wire_enum! {
    /// How the APC application uses an MV (`MVn.STS`).
    MvStatus {
        /// Not used.
        #[default]
        Inac = 0,
        /// Manipulated.
        On = 1,
        /// Not manipulated, known to the model.
        Ffwd = 2,
        /// At its high limit.
        High = 3,
        /// At its low limit.
        Low = 4,
        /// Out of service for want of good signals.
        Serv = 5,
        /// In the hand-over.
        Init = 6,
    }
}

wire_enum! {
    /// How the APC application uses a CV (`CVn.STS`).
    CvStatus {
        /// Not used.
        #[default]
        Inac = 0,
        /// Controlled.
        On = 1,
        /// Predicted above its high limit.
        High = 2,
        /// Predicted below its low limit.
        Low = 3,
        /// Its measurement is not usable; the prediction stands in.
        Pred = 4,
    }
}

wire_enum! {
    /// In which direction the MV's slave loop cannot follow (`MVn.WINDUP`). A bad reading counts as `Both`.
    Windup {
        /// It follows.
        None = 0,
        /// It cannot rise.
        Hi = 1,
        /// It cannot fall.
        Lo = 2,
        /// It cannot move.
        #[default]
        Both = 3,
    }
}

wire_enum! {
    /// What the DCS does with an MV on shed (`MVn.SHED_OPT`). None returns by itself.
    ShedOption {
        /// Slave to AUTO at the present set-point.
        #[default]
        HoldAuto = 0,
        /// Slave to AUTO, ramping to the back-up set-point.
        BackupSp = 1,
        /// Slave to MAN at the present output.
        Man = 2,
    }
}

wire_enum! {
    /// What became of the recommendation `REC.ID` (`REC.STATUS`).
    RecStatus {
        /// There was none yet.
        #[default]
        None = 0,
        /// It waits for an answer.
        Open = 1,
        /// A person took it.
        Accepted = 2,
        /// A person declined it.
        Rejected = 3,
        /// Nobody answered in time.
        Expired = 4,
        /// It does not hold any more: the loop left ADVISORY, or the controller stands by it no longer.
        Withdrawn = 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_decodes_to_itself_and_no_other_type_does() {
        for &mode in ModeActual::ALL {
            assert_eq!(ModeActual::decode(mode.encode()), Some(mode));
        }
        assert_eq!(ModeRequest::decode(WireValue::Int32(4)), None);
        assert_eq!(ModeRequest::decode(WireValue::Double(3.0)), None);
        assert_eq!(ModeActual::Fault.label(), "FAULT");
    }
}
