//! Three transmitters of one variable, over the wire.

use anyhow::Result;
use tests::triplicated;
use tests::wire::Site;

#[test]
fn wall_one_lost_transmitter_of_three_costs_nothing_and_all_three_end_closed_loop() -> Result<()> {
    let site = Site::new()?;
    let shipped = |folder: &str| std::fs::read_to_string(tests::repo(&format!("{folder}/plants/cstr.toml")));
    let (plant, file) = triplicated(shipped("deploy")?, shipped("hil")?, &[(1, "0.03")]);
    let (plant_file, rig_file) = (site.path("three.toml"), site.path("rig-three.toml"));
    std::fs::write(&plant_file, plant)?;
    std::fs::write(&rig_file, file)?;
    let rig = site.rig_of(&rig_file, &[])?;
    let runtime = site.run(&plant_file, &rig.endpoint)?;
    rig.engage()?;
    let age = "outrigger_sample_age_seconds{tag=\"AI101.PV_C\"}";
    assert!(runtime.page("/metrics")?.1.lines().any(|line| line.starts_with(age) && !line.ends_with("+Inf")));
    rig.command("quality CV1 bad")?;
    for cycle in rig.cycles(9)? {
        assert_eq!(cycle["mode_act"], "ON", "{cycle}");
    }
    runtime.tells("transmitter 1")?;
    // The negative control: with the other two as bad, nothing is left to vote.
    rig.command("quality CV1.B bad")?;
    rig.command("quality CV1.C bad")?;
    rig.shows("SHED")?;
    runtime.says("the quality of CV1", |status| {
        status["first_out"].as_str().is_some_and(|why| why.contains("CV1") && !why.contains("transmitter"))
    })?;
    runtime.stop()?;
    rig.quit()?;
    Ok(())
}

#[test]
fn wall_a_spare_that_the_dcs_does_not_have_is_named() -> Result<()> {
    let site = Site::new()?;
    let rig = site.rig(&[])?;
    let plant = site.plant_with(&[("node = \"CV1\"\n", "node = \"CV1\"\nspares_tolerance = 0.03\n")])?;
    let runtime = site.run(&plant, &rig.endpoint)?;
    runtime.tells("CV1.PV_B")?;
    rig.quit()?;
    Ok(())
}
