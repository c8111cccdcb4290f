//! What the nodes of the rig accept and refuse.

use opcua::server::authenticator::{AuthManager, UserToken};

use super::super::auth::{Credentials, Gate};
use super::*;

#[test]
fn only_the_interfaces_own_scalar_types_pass_and_nothing_is_converted() {
    for (given, passes) in [
        (Variant::Double(1.0), true),
        (Variant::Boolean(true), true),
        (Variant::UInt32(1), true),
        (Variant::Float(1.0), false),
        (Variant::Int64(1), false),
        (Variant::from("Meyer"), true),
        (Variant::from(vec![1.0, 2.0]), false),
        (Variant::Empty, false),
    ] {
        assert_eq!(wire_value(&given).is_some(), passes, "{given:?}");
    }
}

#[test]
fn a_value_survives_the_way_to_the_wire_and_back() {
    for value in [
        WireValue::Boolean(true),
        WireValue::UInt16(7),
        WireValue::Int32(-3),
        WireValue::Double(0.6),
        WireValue::String(Text::new("Meyer")),
    ] {
        assert_eq!(wire_value(&variant(value)), Some(value));
    }
}

#[test]
fn severity_alone_decides_the_quality() {
    for (given, want) in [
        (None, Quality::Good),
        (Some(StatusCode::GoodClamped), Quality::Good),
        (Some(StatusCode::UncertainSensorNotAccurate), Quality::Uncertain),
        (Some(StatusCode::BadSensorFailure), Quality::Bad),
    ] {
        assert_eq!(quality(given), want);
    }
    assert_eq!(status(Quality::Bad, Stamp::NEVER), StatusCode::BadWaitingForInitialData);
    assert_eq!(status(Quality::Bad, Stamp::ZERO), StatusCode::Bad);
}

#[test]
fn a_spare_transmitter_has_a_node_where_there_is_one_and_nobody_writes_it() {
    let mut config = crate::test_plant();
    let without = tags(&config).len();
    config.cvs[1].spared = true;
    let names: Vec<_> = tags(&config).iter().skip(without).map(ToString::to_string).collect();
    assert_eq!(names, ["CV2.PV_B", "CV2.PV_C"]);
    assert!(writers(&config).keys().all(|name| !name.contains("PV_")));
}

#[test]
fn every_writable_node_has_one_writer_and_measurements_have_none() {
    let config = crate::test_plant();
    let writers = writers(&config);
    let of = |tag: &str| writers.get(&format!("Area1.R101.APC_cstr.{tag}")).copied();
    for (tag, want) in [
        ("HB_APC", Some(Role::Application)),
        ("MV1.SP_REQ", Some(Role::Application)),
        ("MODE_REQ", Some(Role::Operator)),
        ("CV1.SP_OPR", Some(Role::Operator)),
        ("DV1.OPR_ON", Some(Role::Operator)),
        ("REC.ID", Some(Role::Application)),
        ("REC.ACCEPT", Some(Role::Operator)),
        ("REC.USER", Some(Role::Operator)),
        ("CV1.PV", None),
        ("MV1.CLAMP_HI", None),
        ("LEASE", None),
        ("WD_OK", None),
    ] {
        assert_eq!(of(tag), want, "{tag}");
    }
}

/// The rights of the dedicated accounts, node by node: ours writes the tags of direction A→D and no other, the operator's
/// his and none of ours, anybody else none.
#[test]
fn each_account_has_the_right_to_its_own_nodes_and_to_no_other() {
    let config = crate::test_plant();
    let gate = Gate::new(Credentials::default(), writers(&config));
    let full = AccessLevel::CURRENT_READ | AccessLevel::CURRENT_WRITE;
    let (mut ours, mut his, mut nobodys) = (0, 0, 0);
    for tag in tags(&config) {
        let node = NodeId::new(2, format!("{}{tag}", config.prefix));
        let may = |user: &str| {
            let level = gate.effective_user_access_level(&UserToken(user.into()), full, &node);
            level.contains(AccessLevel::CURRENT_WRITE)
        };
        let wanted = match tag.direction() {
            Direction::ApcToDcs => (true, false),
            Direction::DcsToApc => (false, is_operator_tag(tag)),
        };
        assert_eq!((may("outrigger"), may("operator")), wanted, "{tag}");
        assert!(!may("ANONYMOUS") && !may("somebody"), "{tag}");
        *(match wanted {
            (true, _) => &mut ours,
            (_, true) => &mut his,
            _ => &mut nobodys,
        }) += 1;
    }
    assert!(ours > 20 && his > 15 && nobodys > 15, "{ours} {his} {nobodys}");
}
