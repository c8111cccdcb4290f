//! Descriptions that are legal and unusual, and what the reader of the crate `fmi` makes of them.

use super::*;

const UNIT: &str = r#"<fmiModelDescription fmiVersion="3.0" modelName="a" instantiationToken="&lt;&quot;&amp;">
  <CoSimulation modelIdentifier="a"/>
  <ModelVariables>
    <Float64 name="level" valueReference="1" causality="output" unit="m" min="0" max="2" nominal="1"/>
    <Enumeration name="valve" valueReference="2" declaredType="Valve"/>
    <String name="maker" valueReference="3"><Start value="us"/></String>
  </ModelVariables>
</fmiModelDescription>"#;

fn read(xml: &str) -> Description {
    Description::read("a.fmu", xml).unwrap()
}

#[test]
fn a_unit_of_measure_on_the_variable_is_read() {
    let says = read(UNIT);
    let level = says.variable("level").unwrap();
    assert_eq!((level.unit.as_deref(), level.min, level.max), (Some("m"), Some(0.0), Some(2.0)));
    assert_eq!(says.variable("valve").unwrap().kind, Kind::Int64);
    assert_eq!(says.variable("maker").unwrap().causality, "local");
    assert!(!says.varies_steps && !says.only_one);
}

/// If this fails, the crate has learnt it, and its reader may do instead of ours.
#[test]
fn the_crates_reader_refuses_legal_descriptions() {
    use fmi::schema::traits::FmiModelDescription;
    let error = fmi::fmi3::schema::Fmi3ModelDescription::deserialize(UNIT).unwrap_err().to_string();
    assert!(error.contains("unit"), "{error}");
    let two = r#"<fmiModelDescription fmiVersion="2.0" modelName="a" guid="g"><ModelVariables>
      <ScalarVariable name="u" valueReference="0" canHandleMultipleSetPerTimeInstant="true"><Real unit="m"/></ScalarVariable>
      </ModelVariables></fmiModelDescription>"#;
    let error = fmi::fmi2::schema::Fmi2ModelDescription::deserialize(two).unwrap_err().to_string();
    assert!(error.contains("canHandleMultipleSetPerTimeInstant"), "{error}");
}

#[test]
fn the_bare_description_holds_what_the_crate_needs() {
    use fmi::schema::traits::{FmiInterfaceType, FmiModelDescription};
    let bare = fmi::fmi3::schema::Fmi3ModelDescription::deserialize(&read(UNIT).bare()).unwrap();
    assert_eq!(bare.instantiation_token, "<\"&");
    assert_eq!(bare.co_simulation.unwrap().model_identifier(), "a");
}
