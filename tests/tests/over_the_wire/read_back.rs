//! A server that confirms a set-point and keeps the old one, as a gateway does whose far side is down.

use anyhow::Result;
use tests::wire::Site;

/// `failed_writes` of the report after some cycles in closed loop, in which the DCS does with the set-points of MV1 as told.
fn failed_writes(told: &str) -> Result<u64> {
    let site = Site::new()?;
    let rig = site.rig(&[])?;
    let runtime = site.run(&site.shipped_plant(), &rig.endpoint)?;
    rig.engage()?;
    rig.command(told)?;
    rig.command("sp CV1 0.9")?;
    rig.cycles(6)?;
    let (report, log) = runtime.stop()?;
    rig.quit()?;
    let failed = report["failed_writes"].as_u64().unwrap_or(0);
    assert_eq!(failed > 0, log.contains("does not hold what it confirmed"), "{log}");
    Ok(failed)
}

#[test]
fn wall_a_confirmed_set_point_that_the_dcs_does_not_hold_is_a_failed_write() -> Result<()> {
    let lost = failed_writes("writes MV1 lost")?;
    assert!((2..=3).contains(&lost), "two in a row, then the MV is out of service: {lost}");
    assert_eq!(failed_writes("writes MV1 taken")?, 0, "the negative control");
    Ok(())
}
