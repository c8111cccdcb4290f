//! How a connection comes about, and how it is refused: no server, no trust, no password, and a user certificate.

use std::net::TcpListener;

use anyhow::{Context, Result};
use tests::wire::{LIMIT, RigProcess, Site};

/// What a refused login says.
const REFUSED: &str = "refuses the login";

/// How often somebody has opened a session at the rig, by its log.
fn sessions(rig: &RigProcess) -> usize {
    rig.log.all().iter().filter(|line| line.contains("Created new session")).count()
}

#[test]
fn wall_a_missing_server_is_a_clear_message_and_no_panic() -> Result<()> {
    let site = Site::new()?;
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let endpoint = format!("opc.tcp://{address}/");
    let mut runtime = site.run(&site.shipped_plant(), &endpoint)?;
    let said = runtime.tells("no connection to the DCS")?;
    assert!(said.contains(&endpoint) && said.contains("retry_in"), "{said}");
    assert_eq!(runtime.page("/healthz")?.0, 503);
    let twice = |lines: &[String]| {
        (lines.iter().filter(|line| line.contains("no connection to the DCS")).count() >= 2).then_some(())
    };
    runtime.log.wait("a second try", 0, LIMIT, twice)?;
    assert!(runtime.runs()?, "it goes on trying");
    // The server comes up late, and all is well.
    let rig = site.rig(&["--listen", &address])?;
    runtime.says("the link", |status| status["link_up"] == true)?;
    assert_eq!(runtime.page("/healthz")?, (200, "ok\n".to_owned()));
    let (report, log) = runtime.stop()?;
    assert_eq!(report["reconnects"], 0);
    assert!(!log.contains("panic"), "{log}");
    rig.quit()?;
    Ok(())
}

#[test]
fn wall_a_wrong_password_stops_the_runtime() -> Result<()> {
    let site = Site::new()?;
    let rig = site.rig(&[])?;
    let (status, log) = site.run_with(&site.shipped_plant(), &rig.endpoint, "wrong")?.ended()?;
    assert_eq!(status.code(), Some(1));
    assert!(log.contains(REFUSED) && log.contains("[dcs.login]"), "{log}");
    assert!(!log.contains("wrong") && !log.contains("panic"), "no password in the log: {log}");
    rig.cycles(2)?;
    let attempts = sessions(&rig);
    assert!((1..=2).contains(&attempts), "{attempts} attempts at a login: {:#?}", rig.log.all());
    // The right one still gets in.
    let runtime = site.run(&site.shipped_plant(), &rig.endpoint)?;
    runtime.says("the link", |status| status["link_up"] == true)?;
    runtime.stop()?;
    Ok(())
}

#[test]
fn wall_an_untrusted_certificate_says_so() -> Result<()> {
    let site = Site::of_strangers()?;
    let rig = site.rig(&[])?;
    let mut runtime = site.run(&site.shipped_plant(), &rig.endpoint)?;
    let said = runtime.tells("no connection to the DCS")?;
    assert!(said.contains("trusted folder"), "we do not trust the server: {said}");
    site.trust_rig()?;
    let trusted = runtime.log.len();
    // The try that was under way may still end as before.
    let refused = |lines: &[String]| lines.iter().filter(|l| l.contains("no connection to the DCS")).nth(1).cloned();
    let said = runtime.log.wait("a refusal by the server", trusted, LIMIT, refused)?;
    assert!(said.contains("trusted folder"), "the server does not trust us: {said}");
    assert!(runtime.runs()? && sessions(&rig) == 0, "{:#?}", rig.log.all());
    // Once both trust each other it connects by itself: nothing is to be started again.
    site.let_in(&site.path("pki/own/cert.der"))?;
    runtime.says("the link", |status| status["link_up"] == true)?;
    let (_, log) = runtime.stop()?;
    assert!(!log.contains("panic"), "{log}");
    Ok(())
}

#[test]
fn wall_certificate_login_works() -> Result<()> {
    let site = Site::new()?;
    site.outrigger(&["certificate", "--pki", "user"])?;
    site.outrigger(&["certificate", "--pki", "stranger"])?;
    let known = site.path("rig-pki/users/outrigger");
    std::fs::create_dir_all(&known)?;
    std::fs::copy(site.path("user/own/cert.der"), known.join("user.der")).context("the user's certificate")?;
    let rig = site.rig(&[])?;
    let plant = |user: &str| {
        let (certificate, key) = (site.path(user).join("own/cert.der"), site.path(user).join("private/private.pem"));
        site.plant_with(&[
            ("user = \"outrigger\"", &format!("certificate = {:?}", certificate.display().to_string())),
            ("password_env = \"OUTRIGGER_DCS_PASSWORD\"", &format!("private_key = {:?}", key.display().to_string())),
        ])
    };
    let (status, log) = site.run(&plant("stranger")?, &rig.endpoint)?.ended()?;
    assert!(status.code() == Some(1) && log.contains(REFUSED), "the negative control: {status} {log}");
    let runtime = site.run(&plant("user")?, &rig.endpoint)?;
    runtime.says("the link", |status| status["link_up"] == true)?;
    rig.command("mode off")?;
    rig.cycles(2)?;
    rig.command("mode warm")?;
    // It may write: WARM is its word, and the set-points track.
    rig.shows("WARM")?;
    rig.cycle("set-points", |cycle| super::set_points(cycle).iter().all(serde_json::Value::is_number))?;
    let (report, log) = runtime.stop()?;
    assert_eq!(report["failed_writes"], 0, "{log}");
    rig.quit()?;
    Ok(())
}
