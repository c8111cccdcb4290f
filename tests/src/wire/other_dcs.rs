//! A DCS that shares no code with ours (`hil/examples/dcs.py`, asyncua), and the evidence that a loop needs beside it.
//!
//! It is not the rig, so an override is void there. What a loop would have gathered over weeks is written here as a run
//! would have recorded it; the certificate is signed by a rig's key of this site, and everything else (accepting it,
//! the approvals, the decision) is the program's own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use control::accuracy::Fit;
use runtime::commission::certificate::{Claims, Results, rfc3339};
use runtime::commission::evidence::{Evidence, Shown};
use runtime::commission::hashes::{Binding, Hashes};
use runtime::commission::rig_key::RigKey;
use serde_json::Value;

use super::foreign::python;
use super::{RigProcess, RuntimeProcess, Site};

/// Plant seconds per wall second: a period of `cstr2` is half a second of the wall.
const SPEED: &str = "12";
/// What its namespace is called.
const NAMESPACE: &str = "urn:example:other-dcs";

/// The foreign DCS of a site, and the plant file of the loop beside it.
#[derive(Debug)]
pub struct OtherDcs {
    /// The DCS; it understands the lines of the rig's keyboard that the tests type.
    pub dcs: RigProcess,
    /// The plant file.
    pub plant: PathBuf,
    python: PathBuf,
}

impl OtherDcs {
    /// Starts it, and lets it and `outrigger` trust each other; `None` with a printed word where there is no Python for it.
    /// The plant file is the shipped `cstr2` at this server.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn at(site: &Site) -> Result<Option<Self>> {
        let Some(python) = python()? else { return Ok(None) };
        let endpoint = format!("opc.tcp://{}/", TcpListener::bind("127.0.0.1:0")?.local_addr()?);
        let dcs = start(&python, site, &endpoint)?;
        let theirs = site.path("dcs-pki/own/cert.der").display().to_string();
        site.outrigger(&["certificate", "--trust", &theirs])?;
        std::fs::copy(site.path("pki/own/cert.der"), site.path("dcs-pki/trusted/outrigger.der"))?;
        let shipped = std::fs::read_to_string(crate::repo("deploy/plants/cstr2.toml"))?;
        let text = shipped.replace("opc.tcp://127.0.0.1:4855/", &endpoint).replace("urn:outrigger:rig", NAMESPACE);
        let plant = site.path("plant.toml");
        std::fs::write(&plant, text)?;
        Ok(Some(Self { dcs, plant, python }))
    }

    /// As [`Self::at`], with everything that the ladder asks for before this loop may be closed, and no server at which an
    /// override would be possible.
    ///
    /// # Errors
    /// When something is refused.
    pub fn commissioned(site: &Site) -> Result<Option<Self>> {
        let Some(other) = Self::at(site)? else { return Ok(None) };
        let text = std::fs::read_to_string(&other.plant)?;
        let without = text.lines().filter(|line| !line.starts_with("rig_endpoints")).collect::<Vec<_>>().join("\n");
        std::fs::write(&other.plant, without)?;
        commission(site, &other.plant.display().to_string())?;
        Ok(Some(other))
    }

    /// SIGKILL, and the same DCS anew at the same address: it knows nothing of the time before.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn restarted(self, site: &Site) -> Result<Self> {
        let Self { dcs, plant, python } = self;
        let endpoint = dcs.endpoint.clone();
        drop(dcs);
        Ok(Self { dcs: start(&python, site, &endpoint)?, plant, python })
    }

    /// Runs the loop by its evidence.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(&self, site: &Site) -> Result<RuntimeProcess> {
        site.run_as_it_is(&self.plant, &site.dcs_password, &["--speed", SPEED])
    }
}

fn start(python: &Path, site: &Site, endpoint: &str) -> Result<RigProcess> {
    let mut command = Command::new(python);
    command.arg("-B").arg(crate::repo("hil/examples/dcs.py")).args([endpoint, "dcs-pki", SPEED]);
    command.current_dir(site.path("")).env("OUTRIGGER_DCS_PASSWORD", &site.dcs_password);
    RigProcess::start(&mut command)
}

/// The way up the ladder for the loop of a plant file.
fn commission(site: &Site, plant: &str) -> Result<()> {
    let status: Value = serde_json::from_str(&site.outrigger(&["commission", "status", plant, "--json"])?)?;
    let text = |value: &Value| value.as_str().map(str::to_owned).context("no hash");
    let of = &status["hashes"];
    let (configuration, model, binary) = (text(&of["configuration"])?, text(&of["model"])?, text(&of["binary"])?);
    let binding = Binding { hashes: Hashes { configuration, model, binary }, site: text(&status["site"])? };
    let evidence = Evidence { shadow: shown(72.0), advisory: shown(168.0), ..Evidence::none(binding.clone()) };
    evidence.save(&site.path(&format!("commission/cstr2/evidence-{}.txt", binding.id())))?;
    certify(&site.path("rig.key"), &binding.hashes, &site.path("certificate.json"))?;
    std::fs::copy(site.path("rig.key.pub"), site.path("rig-keys.txt"))?;
    site.outrigger(&["commission", "accept-certificate", plant, "certificate.json"])?;
    for step in [&["advisory"][..], &["closed-loop", "--mv", "TC102"]] {
        for person in ["Abel", "Baker"] {
            let approve = ["commission", "approve", plant, "--by", person, "--role", "engineer", "--reason", "a test"];
            site.outrigger(&[&approve[..], &["--step"], step].concat())?;
        }
    }
    Ok(())
}

/// So many hours as a run would have recorded them, with both CVs well foretold.
fn shown(hours: f64) -> Shown {
    let fit = |rmse_max: f64| {
        let mut fit = Fit::default();
        for sign in [1.0, -1.0] {
            fit.add(5.0 * sign * rmse_max, 0.5 * sign * rmse_max);
        }
        fit
    };
    Shown { seconds: 3600.0 * hours, seconds_beyond: 0.0, fits: vec![fit(0.8), fit(0.02)] }
}

fn certify(key: &Path, hashes: &Hashes, to: &Path) -> Result<()> {
    let claims = Claims {
        format: 1,
        campaign: "full".to_owned(),
        rig: "0.1.0".to_owned(),
        hashes: hashes.clone(),
        results: Results { passed: 100, failed: 0, skipped: 0 },
        issued: rfc3339(0),
        expires: "2100-01-01T00:00:00Z".to_owned(),
        key: String::new(),
    };
    let certificate = RigKey::create(key)?.sign(claims);
    std::fs::write(to, serde_json::to_string(&certificate)?).context("the certificate")
}
