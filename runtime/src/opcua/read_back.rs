//! Read-back: a set-point counts as written when the DCS holds it, not when the DCS says so.
//!
//! A server may answer Good and keep the old value: a gateway whose far side is down, a buffer that drops, a node that a
//! second client writes. The heartbeat promises confirmed writes, so each move is read back before it is confirmed.

use opcua::client::Session;
use opcua::types::{DataValue, Error, NodeId, ReadValueId, StatusCode, TimestampsToReturn};
use signals::dcs::WireValue;

use super::value;

/// Numbers that differ by less than this part of the larger one are the same: a gateway may pass a Double on as a Float,
/// which has 24 bits.
const AS_FLOAT: f64 = 1.2e-7;

/// What the server now holds in `nodes`, one value for each.
///
/// # Errors
/// The server's or the network's refusal of the whole read.
pub(super) async fn read(session: &Session, nodes: &[NodeId]) -> Result<Vec<DataValue>, Error> {
    let wanted: Vec<_> = nodes.iter().map(|node| ReadValueId::new_value(node.clone())).collect();
    session.read(&wanted, TimestampsToReturn::Neither, 0.0).await
}

/// The status of a write of `sent` that was answered `answer`, once the tag was read and gave `held`.
pub(super) fn judged(answer: StatusCode, sent: WireValue, held: Option<&DataValue>) -> StatusCode {
    if answer.is_bad() {
        return answer;
    }
    let good = held.filter(|held| value::quality(held.status) == signals::Quality::Good);
    let held = good.and_then(|held| held.value.as_ref()).and_then(value::from_variant);
    match (sent, held) {
        (WireValue::Double(sent), Some(WireValue::Double(held))) if same(sent, held) => answer,
        (sent, Some(held)) if sent == held => answer,
        _ => StatusCode::BadNoDataAvailable,
    }
}

fn same(sent: f64, held: f64) -> bool {
    (sent - held).abs() <= AS_FLOAT * sent.abs().max(held.abs())
}

#[cfg(test)]
mod tests {
    use opcua::types::Variant;

    use super::*;

    fn judge(sent: f64, held: Option<Variant>) -> bool {
        let held = held.map(DataValue::new_now);
        judged(StatusCode::Good, WireValue::Double(sent), held.as_ref()).is_good()
    }

    #[test]
    fn a_write_is_one_when_the_server_holds_the_value_as_double_or_as_float() {
        assert!(judge(20.1, Some(20.1.into())) && judge(0.0, Some(0.0.into())));
        assert!(judge(-8_431.7, Some(f64::from(-8_431.7_f32).into())), "through a gateway's Float");
    }

    #[test]
    fn a_write_that_left_another_value_or_none_is_none() {
        for held in [Some(20.0.into()), Some(f64::NAN.into()), Some("20.1".into()), None] {
            assert!(!judge(20.1, held.clone()), "{held:?}");
        }
        let bad = DataValue { status: Some(StatusCode::BadSensorFailure), ..DataValue::new_now(20.1) };
        assert!(judged(StatusCode::Good, WireValue::Double(20.1), Some(&bad)).is_bad());
        let refused = judged(StatusCode::BadOutOfRange, WireValue::Double(1.0), Some(&DataValue::new_now(1.0)));
        assert_eq!(refused, StatusCode::BadOutOfRange, "a refusal stays one, whatever is read");
    }
}
