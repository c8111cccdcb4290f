//! Between OPC UA's values and ours.

use std::time::SystemTime;

use opcua::types::{DataValue, DateTime, StatusCode, Variant};
use signals::Quality;
use signals::dcs::{Text, WireValue};

/// A variant as a value of the wire; `None` for arrays and for types that no tag has.
pub(super) fn from_variant(variant: &Variant) -> Option<WireValue> {
    match variant {
        Variant::Boolean(v) => Some(WireValue::Boolean(*v)),
        Variant::UInt16(v) => Some(WireValue::UInt16(*v)),
        Variant::UInt32(v) => Some(WireValue::UInt32(*v)),
        Variant::Int32(v) => Some(WireValue::Int32(*v)),
        Variant::Double(v) => Some(WireValue::Double(*v)),
        Variant::String(v) => Some(WireValue::String(Text::new(v.as_ref()))),
        _ => None,
    }
}

/// A value of the wire as a variant.
pub(super) fn to_variant(value: WireValue) -> Variant {
    match value {
        WireValue::Boolean(v) => v.into(),
        WireValue::UInt16(v) => v.into(),
        WireValue::UInt32(v) => v.into(),
        WireValue::Int32(v) => v.into(),
        WireValue::Double(v) => v.into(),
        WireValue::String(v) => v.as_str().into(),
    }
}

/// A value to write. Only a good value is sent with its number; a bad one is sent as a status alone.
pub(super) fn to_data_value(value: Variant, quality: Quality) -> DataValue {
    match quality {
        Quality::Good => DataValue::new_now(value),
        Quality::Uncertain => DataValue { status: Some(StatusCode::Uncertain), ..DataValue::new_now(value) },
        Quality::Bad => DataValue { value: None, status: Some(StatusCode::Bad), ..DataValue::default() },
    }
}

/// The severity of a status (OPC 10000-4, 7.39); no status means good (OPC 10000-6, 5.2.2.17).
pub(super) fn quality(status: Option<StatusCode>) -> Quality {
    match status {
        None => Quality::Good,
        Some(s) if s.is_good() => Quality::Good,
        Some(s) if s.is_uncertain() => Quality::Uncertain,
        Some(_) => Quality::Bad,
    }
}

/// When the source took the value, or the server, in its stead; `None` when neither says.
pub(super) fn source_time(value: &DataValue) -> Option<SystemTime> {
    let at: &DateTime = value.source_timestamp.as_ref().or(value.server_timestamp.as_ref())?;
    Some(at.as_chrono().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_the_wire_survives_the_trip() {
        for value in [
            WireValue::Boolean(true),
            WireValue::UInt16(7),
            WireValue::UInt32(8),
            WireValue::Int32(-9),
            WireValue::Double(0.1),
            WireValue::String(Text::new("Meyer")),
        ] {
            assert_eq!(from_variant(&to_variant(value)), Some(value));
        }
        assert_eq!(from_variant(&Variant::from(vec![0.6])), None, "an array is no number");
    }

    #[test]
    fn only_the_severity_of_a_status_counts() {
        assert_eq!(quality(None), Quality::Good);
        assert_eq!(quality(Some(StatusCode::GoodLocalOverride)), Quality::Good);
        assert_eq!(quality(Some(StatusCode::UncertainLastUsableValue)), Quality::Uncertain);
        assert_eq!(quality(Some(StatusCode::BadSensorFailure)), Quality::Bad);
    }
}
